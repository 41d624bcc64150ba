/* Headers and Huffman tables; see baseline.h. */

#include "baseline.h"

#include <string.h>

static unsigned u16(const uint8_t *at) { return (unsigned)at[0] << 8 | at[1]; }

/* DHT: several tables in one segment. */
static int read_tables(Image *image, const uint8_t *at, const uint8_t *end) {
    while (at < end) {
        int total = 0;
        if (end - at < 17 || at[0] >> 4 > 1 || (at[0] & 15) >= TABLES) return 0;
        Table *table = &image->tables[at[0] >> 4][at[0] & 15];
        for (int length = 1; length <= 16; length++) total += at[length];
        if (total > 256 || end - at - 17 < total) return 0;
        memset(table, 0, sizeof *table);
        memcpy(table->counts, at, 17);
        memcpy(table->symbols, at + 17, (size_t)total);
        table->defined = 1;
        at += 17 + total;
    }
    return 1;
}

/* DQT: several tables in one segment, of 8 bits each. */
static int read_quantizers(Image *image, const uint8_t *at, const uint8_t *end) {
    for (; at < end; at += 65) {
        if (end - at < 65 || at[0] >= TABLES) return 0;
        for (int place = 1; place <= 64; place++)
            if (!at[place]) return 0;
        memcpy(image->quantizers[at[0]], at + 1, 64);
    }
    return 1;
}

/* APP14: libjpeg warns of a color transform that three components do not have. */
static int read_adobe(const uint8_t *at, const uint8_t *end) {
    return end - at < 12 || memcmp(at, "Adobe", 5) != 0 || at[11] <= 1;
}

/* How large a component is at 1/8, and where its blocks go. */
static int set_scale(Image *image, Component *one) {
    /* libjpeg doubles a component's scale as long as that saves its upsampling. */
    one->scale = image->across % (2u * one->across) == 0 && image->down % (2u * one->down) == 0;
    one->scale++;
    if (image->across % (4u * one->across) == 0 && image->down % (4u * one->down) == 0) return 0;
    if (image->across % ((unsigned)one->across * one->scale)) return 0;
    if (image->down % ((unsigned)one->down * one->scale)) return 0;
    if (image->number == 1) one->across = one->down = 1; /* not interleaved: a block is an MCU */
    return 1;
}

/* SOF0. */
static int read_frame(Image *image, const uint8_t *at, const uint8_t *end) {
    unsigned blocks = 0;
    if (image->number || end - at < 6 || at[0] != 8) return 0;
    image->height = u16(at + 1), image->width = u16(at + 3), image->number = at[5];
    if (!image->height || !image->width) return 0;
    if (image->number != 1 && image->number != 3) return 0;
    if (end - at != 6 + 3 * (int)image->number) return 0;
    at += 6;
    for (unsigned i = 0; i < image->number; i++, at += 3) {
        Component *one = &image->components[i];
        for (unsigned before = 0; before < i; before++)
            if (image->components[before].name == at[0]) return 0;
        one->name = at[0], one->across = at[1] >> 4, one->down = at[1] & 15;
        one->quantizers = at[2];
        if (one->across < 1 || one->across > 4 || one->down < 1 || one->down > 4) return 0;
        if (one->quantizers >= TABLES) return 0;
        if (one->across > image->across) image->across = one->across;
        if (one->down > image->down) image->down = one->down;
        blocks += (unsigned)one->across * one->down;
    }
    if (image->number > 1 && blocks > MOST_BLOCKS) return 0;
    for (unsigned i = 0; i < image->number; i++)
        if (!set_scale(image, &image->components[i])) return 0;
    if (image->number == 1) image->across = image->down = 1;
    image->mcu_columns = (image->width + 8 * image->across - 1) / (8 * image->across);
    image->mcus = (uint64_t)image->mcu_columns *
                  ((image->height + 8 * image->down - 1) / (8 * image->down));
    return 1;
}

/* SOS: one scan with all components, in the order of the frame. */
static int read_scan_header(Image *image, const uint8_t *at, const uint8_t *end) {
    if (!image->number || end - at != 4 + 2 * (int)image->number) return 0;
    if (at[0] != image->number) return 0;
    for (unsigned i = 0; i < image->number; i++) {
        Component *one = &image->components[i];
        unsigned dc = at[2 + 2 * i] >> 4, ac = at[2 + 2 * i] & 15;
        if (at[1 + 2 * i] != one->name || dc >= TABLES || ac >= TABLES) return 0;
        one->dc = &image->tables[0][dc], one->ac = &image->tables[1][ac];
        if (!one->dc->defined || !one->ac->defined) return 0;
        if (!image->quantizers[one->quantizers][0]) return 0;
    }
    at = end - 3;
    return at[0] == 0 && at[1] == 63 && at[2] == 0;
}

static int read_segments(Image *image) {
    const uint8_t *at = image->data + 2;
    if (image->end - image->data < 4 || u16(image->data) != 0xFFD8) return 0;
    for (;;) {
        if (image->end - at < 4 || at[0] != 0xFF) return 0;
        uint8_t marker = at[1];
        const uint8_t *body = at + 4;
        unsigned length = u16(at + 2);
        if (length < 2 || (size_t)(image->end - at - 2) < length) return 0;
        at += 2 + length;
        int fine = 1;
        if (marker == 0xC4) fine = read_tables(image, body, at);
        else if (marker == 0xDB) fine = read_quantizers(image, body, at);
        else if (marker == 0xC0) fine = read_frame(image, body, at);
        else if (marker == 0xEE) fine = read_adobe(body, at);
        else if (marker == 0xDD) fine = length == 4 ? (image->restarts = u16(body), 1) : 0;
        else if (marker == 0xDA) return image->scan = at, read_scan_header(image, body, at);
        else if (marker != 0xFE && (marker < 0xE0 || marker > 0xEF)) fine = 0;
        if (!fine) return 0;
    }
}

/* Assign the codes; as strict as libjpeg. */
static int assign_codes(Table *table, int is_dc) {
    uint32_t code = 0;
    int place = 0;
    for (int length = 1; length <= 16; length++, code <<= 1) {
        table->first[length] = place - (int32_t)code;
        table->largest[length] = -1;
        for (int i = 0; i < table->counts[length]; i++, code++, place++) {
            uint8_t symbol = table->symbols[place];
            if (code >= 1u << length || (is_dc && symbol > 15)) return 0;
            table->largest[length] = (int32_t)code;
            if (length > CODE_LOOK) continue;
            for (uint32_t low = 0; low < 1u << (CODE_LOOK - length); low++)
                table->codes[code << (CODE_LOOK - length) | low] = (uint16_t)(symbol << 8 | length);
        }
        /* no code consists of ones */
        if (table->counts[length] && code >= 1u << length) return 0;
    }
    return 1;
}

/* Join the codes of coefficients that fit in LOOK bits together. */
static void join_codes(Table *table) {
    for (uint32_t bits = 0; bits < 1u << LOOK; bits++) {
        unsigned used = 0, places = 0, ends = 0;
        while (!ends && used < LOOK) {
            unsigned symbol = 0;
            unsigned length = (unsigned)next_code(table, (uint64_t)bits << (64 - LOOK + used), &symbol);
            unsigned size = symbol & 15, passed = (symbol >> 4) + 1;
            if (!length || used + length + size > LOOK) break;
            if (!size && symbol != 0xF0) ends = 64, passed = 0;
            if (places + passed > 63) break;
            used += length + size, places += passed;
        }
        table->steps[bits] = (uint16_t)(used ? (ends + places) << 8 | used : NO_STEP);
    }
}

/* Codes of one coefficient that fit in VALUE_LOOK bits with its value. */
static void find_values(Table *table) {
    for (uint32_t bits = 0; bits < 1u << VALUE_LOOK; bits++) {
        unsigned symbol = 0;
        unsigned length = (unsigned)next_code(table, (uint64_t)bits << (64 - VALUE_LOOK), &symbol);
        unsigned size = symbol & 15;
        Value value = {0, 64, 0};
        if (length && size && length + size <= VALUE_LOOK) {
            int level = (int)(bits >> (VALUE_LOOK - length - size) & ((1u << size) - 1));
            if (level < 1 << (size - 1)) level += 1 - (1 << size);
            value.level = (int16_t)level;
            value.passed = (uint8_t)(symbol >> 4);
            value.bits = (uint8_t)(length + size);
        }
        table->values[bits] = value;
    }
}

int read_headers(Image *image) {
    int built[2][TABLES] = {{0}};
    if (!read_segments(image)) return 0;
    for (unsigned i = 0; i < image->number; i++) {
        ptrdiff_t dc = image->components[i].dc - image->tables[0];
        ptrdiff_t ac = image->components[i].ac - image->tables[1];
        if (!built[0][dc]++ && !assign_codes(&image->tables[0][dc], 1)) return 0;
        if (built[1][ac]++) continue;
        if (!assign_codes(&image->tables[1][ac], 0)) return 0;
        join_codes(&image->tables[1][ac]);
        find_values(&image->tables[1][ac]);
    }
    return 1;
}
