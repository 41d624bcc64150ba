/* The coded data; see baseline.h. */

#include "baseline.h"

typedef struct {
    const uint8_t *at, *end;
    uint64_t bits; /* the next ones, from the highest */
    int count;     /* how many of them are there */
    int made_up;   /* how many zeros were added at a marker or the end of the data */
} Reader;

#define MOST_MADE_UP 512 /* bits; then the data ended long before */

static const uint8_t natural[64] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

static inline uint64_t load(const uint8_t *at) {
    uint64_t word = 0;
    for (int i = 0; i < 8; i++) word = word << 8 | at[i]; /* compilers make one load of it */
    return word;
}

/* Byte by byte, without the zeros behind bytes of ones, up to a marker or the end of the data.
 *
 * By value: a reader whose address is passed on would not be kept in registers. */
static Reader filled_slowly(Reader in) {
    while (in.count < 56) {
        uint8_t byte = 0;
        if (in.at == in.end || (*in.at == 0xFF && (in.end - in.at < 2 || in.at[1] != 0)))
            in.made_up += 8;
        else byte = *in.at, in.at += byte == 0xFF ? 2 : 1;
        in.bits |= (uint64_t)byte << (56 - in.count);
        in.count += 8;
    }
    return in;
}

/* At least 56 bits; 0 if the data ended long before. */
static inline int fill(Reader *in) {
    if (in->end - in->at >= 8) {
        uint64_t word = load(in->at);
        if (!((~word - 0x0101010101010101u) & word & 0x8080808080808080u)) { /* no byte of ones */
            in->bits |= word >> in->count;
            in->at += (63 - in->count) >> 3;
            in->count |= 56;
            return 1;
        }
    }
    *in = filled_slowly(*in);
    return in->made_up < MOST_MADE_UP;
}

/* Pass the coefficients of a block behind its average. */
static inline int pass_coefficients(Reader *in, const Table *table) {
    unsigned place = 1;
    for (;;) {
        unsigned step = 0, next = 0, symbol;
        if (!fill(in)) return 0;
        for (int i = 0; i < 56 / LOOK; i++) {
            step = table->steps[in->bits >> (64 - LOOK)];
            next = place + STEP_PLACES(step);
            if (next >= 64) break;
            in->bits <<= STEP_BITS(step), in->count -= STEP_BITS(step);
            place = next;
        }
        if (next < 64) continue;
        if (next == 64 || (STEP_PLACES(step) >= 64 && next < 128)) {
            in->bits <<= STEP_BITS(step), in->count -= STEP_BITS(step);
            return 1;
        }
        /* one code at a time: it is long, or others behind it belong to the next block */
        if (!fill(in)) return 0;
        int length = next_code(table, in->bits, &symbol);
        if (!length) return 0;
        length += (int)(symbol & 15);
        in->bits <<= length, in->count -= length;
        if (!(symbol & 15) && symbol != 0xF0) return 1;
        place += (symbol >> 4) + 1;
        if (place >= 64) return place == 64;
    }
}

/* The signed number in the next bits. */
static inline int number_of(uint64_t bits, int size) {
    int value = (int)(bits >> 1 >> (63 - size)), least = 1 << size >> 1;
    return value + ((value - least) >> 31 & (1 - (1 << size)));
}

/* Decode a block's average, dequantized by nobody yet; 0: there is no such code. */
static inline int read_average(Reader *in, const Table *table, int *average) {
    unsigned symbol;
    if (!fill(in)) return 0;
    int length = next_code(table, in->bits, &symbol);
    if (!length) return 0;
    *average += number_of(in->bits << length, (int)symbol);
    length += (int)symbol;
    in->bits <<= length, in->count -= length;
    return *average >= -32768 && *average <= 32767;
}

/* A sample; where libjpeg's own implementations differ, far out of range, `odd` becomes so too. */
static inline uint8_t sample_of(int32_t value, uint32_t *odd) {
    *odd |= (uint32_t)(value + 512) & ~1023u;
    value += 128;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static inline int32_t descaled(int32_t value, int bits) {
    return (value + (1 << (bits - 1))) >> bits;
}

/* The odd part of libjpeg's transform to 2x2: what one half has more than the average. */
static inline int32_t odd_part(int32_t one, int32_t three, int32_t five, int32_t seven) {
    return one * 29692 - three * 10426 + five * 6967 - seven * 5906;
}

/* libjpeg's transform of a block to 2x2 samples (jidctred.c); it uses no even row or column but 0.
 *
 * With |block| <= 4096, and with |half| <= 16384 as in any real image, nothing overflows. */
static uint32_t transform(const int16_t *block, uint8_t *to, size_t columns) {
    static const int used[5] = {0, 1, 3, 5, 7};
    int32_t half[2][8];
    uint32_t odd = 0;
    for (int i = 0; i < 5; i++) {
        const int16_t *at = block + used[i];
        int32_t even = at[0] * 32768, rest = odd_part(at[8], at[24], at[40], at[56]);
        half[0][used[i]] = descaled(even + rest, 13);
        half[1][used[i]] = descaled(even - rest, 13);
        odd |= (uint32_t)(half[0][used[i]] + 16384) | (uint32_t)(half[1][used[i]] + 16384);
    }
    odd &= ~32767u;
    if (odd) return odd;
    for (int row = 0; row < 2; row++, to += columns) {
        const int32_t *at = half[row];
        int32_t even = at[0] * 32768, rest = odd_part(at[1], at[3], at[5], at[7]);
        to[0] = sample_of(descaled(even + rest, 20), &odd);
        to[1] = sample_of(descaled(even - rest, 20), &odd);
    }
    return odd;
}

/* Decode the coefficients of a block behind its average, dequantized, in natural order. */
static inline int read_coefficients(Reader *in, const Table *table, const uint8_t *quantizers,
                                    int16_t *block) {
    unsigned place = 1;
    uint32_t odd = 0;
    for (;;) {
        unsigned symbol;
        if (!fill(in)) return 0;
        for (int i = 0; i < 56 / VALUE_LOOK; i++) {
            Value value = table->values[in->bits >> (64 - VALUE_LOOK)];
            place += value.passed;
            if (place > 63) {
                if (value.passed < 64) return 0;
                place -= value.passed;
                break;
            }
            int32_t level = value.level * quantizers[place];
            block[natural[place++]] = (int16_t)level;
            odd |= (uint32_t)(level + 4096);
            in->bits <<= value.bits, in->count -= value.bits;
            if (place == 64) return odd < 8192;
        }
        if (!fill(in)) return 0;
        int length = next_code(table, in->bits, &symbol), size = symbol & 15;
        if (!length) return 0;
        if (!size && symbol != 0xF0) {
            in->bits <<= length, in->count -= length;
            return odd < 8192;
        }
        place += symbol >> 4;
        if (place > 63) return 0;
        int32_t level = number_of(in->bits << length, size) * quantizers[place];
        block[natural[place++]] = (int16_t)level;
        odd |= (uint32_t)(level + 4096);
        in->bits <<= length + size, in->count -= length + size;
        if (place == 64) return odd < 8192;
    }
}

/* Decode one block to its samples. */
static inline int read_block(Reader *in, const Image *image, const Component *one, int *average,
                             uint8_t *to) {
    const uint8_t *quantizers = image->quantizers[one->quantizers];
    uint32_t odd = 0;
    if (!read_average(in, one->dc, average)) return 0;
    int32_t level = *average * quantizers[0];
    if (one->scale == 1) {
        *to = sample_of(descaled(level, 3), &odd);
        return !odd && pass_coefficients(in, one->ac);
    }
    int16_t block[64] = {(int16_t)level};
    if (level < -4096 || level > 4096) return 0;
    if (!read_coefficients(in, one->ac, quantizers, block)) return 0;
    return !transform(block, to, one->columns);
}

/* Decode MCUs of one restart interval. */
static int read_interval(Reader *from, const Image *image, uint64_t first, uint64_t end) {
    Reader in = *from;
    int averages[MOST_COMPONENTS] = {0};
    size_t row = (size_t)(first / image->mcu_columns), column = (size_t)(first % image->mcu_columns);
    for (uint64_t mcu = first; mcu < end; mcu++) {
        for (unsigned i = 0; i < image->number; i++) {
            const Component *one = &image->components[i];
            size_t high = (size_t)one->down * one->scale, wide = (size_t)one->across * one->scale;
            uint8_t *corner = one->samples + row * high * one->columns + column * wide;
            for (unsigned down = 0; down < one->down; down++)
                for (unsigned across = 0; across < one->across; across++) {
                    uint8_t *to = corner + (down * one->columns + across) * one->scale;
                    if (!read_block(&in, image, one, &averages[i], to)) return 0;
                }
        }
        if (++column == image->mcu_columns) column = 0, row++;
    }
    *from = in;
    return 1;
}

/* Whether nothing but the rest of a byte was left before a marker; pass it. */
static int at_marker(Reader *in, uint8_t marker) {
    *in = filled_slowly(*in);
    int left = in->count - in->made_up;
    if (left < 0 || left >= 8 || in->end - in->at < 2) return 0;
    if (in->at[0] != 0xFF || in->at[1] != marker) return 0;
    in->at += 2, in->bits = 0, in->count = in->made_up = 0;
    return 1;
}

int read_scan(Image *image) {
    Reader in = {image->scan, image->end, 0, 0, 0};
    uint8_t restart = 0xD0;
    for (uint64_t done = 0; done < image->mcus;) {
        uint64_t end = image->mcus;
        if (image->restarts && end - done > image->restarts) end = done + image->restarts;
        if (!read_interval(&in, image, done, end)) return 0;
        if (!at_marker(&in, end < image->mcus ? restart : 0xD9)) return 0;
        restart = (uint8_t)(0xD0 | ((restart + 1) & 7));
        done = end;
    }
    return 1;
}
