/* Baseline JPEGs at 1/8, without decoding what that does not use.
 *
 * At 1/8, libjpeg-turbo computes a component at full resolution from its block averages (DC) alone,
 * and chroma at half resolution in both directions at 2/8; but it decodes the Huffman codes of all
 * other coefficients one by one, which takes most of the time. Here a table over the next LOOK bits
 * tells how far all codes go that fit in them. The pixels are computed as libjpeg-turbo does.
 *
 * Anything but a complete file in order is left to libjpeg-turbo: damage is found by the same code,
 * with the same words, as without this module. Every read is checked against the end of the data,
 * every write against the size of its buffer; nothing that the file says is trusted.
 *
 * headers.c reads the headers and builds the tables, scan.c decodes the blocks, module.c makes pixels
 * and is what Python sees.
 */

#ifndef VOCSCORE_BASELINE_H
#define VOCSCORE_BASELINE_H

#include <stddef.h>
#include <stdint.h>

/* How many bits index a table: all that are used for an image stay in the first cache. */
#define LOOK 13       /* 16 KB for luma, as much for chroma if it is not at 2/8 */
#define VALUE_LOOK 10 /* 4 KB */
#define CODE_LOOK 9   /* 1 KB */
#define TABLES 4
#define MOST_COMPONENTS 3
#define MOST_BLOCKS 10 /* in an MCU, by the standard */

/* A step: what the next LOOK bits say of all codes that are whole. Its low bits are how many bits
 * they take, above are the coefficients passed; with an end of block, 64 more; 255: no code is. */
#define STEP_BITS(step) ((int)((step) & 15))
#define STEP_PLACES(step) ((unsigned)(step) >> 8)
#define NO_STEP 0xFF00

/* A code alone. */
#define CODE_LENGTH(code) ((int)((code) & 31)) /* 0: longer than CODE_LOOK, or none */
#define CODE_SYMBOL(code) ((unsigned)(code) >> 8)

/* A code of a coefficient that is whole, with its value. */
typedef struct {
    int16_t level;
    uint8_t passed; /* coefficients that are 0 before it; 64: none is whole, or it is no level */
    uint8_t bits;
} Value;

typedef struct {
    int defined;
    uint8_t counts[17]; /* codes of each length, 1 to 16 */
    uint8_t symbols[256];
    uint16_t steps[1 << LOOK]; /* of AC */
    Value values[1 << VALUE_LOOK]; /* of AC */
    uint16_t codes[1 << CODE_LOOK];
    int32_t largest[17]; /* code of each length; -1: none */
    int32_t first[17];   /* place in `symbols` of the code 0 of each length */
} Table;

typedef struct {
    uint8_t name, across, down; /* sampling factors */
    uint8_t scale;              /* samples of a block at 1/8, along each axis: 1 or 2 */
    uint8_t quantizers;         /* the table's number */
    const Table *dc, *ac;
    uint8_t *samples;
    size_t columns, rows; /* of samples */
} Component;

typedef struct {
    const uint8_t *data, *end;
    const uint8_t *scan; /* where the coded data begin */
    Table tables[2][TABLES];
    uint8_t quantizers[TABLES][64]; /* in zigzag order; the first is 0: not defined */
    Component components[MOST_COMPONENTS];
    unsigned number; /* of components; 0: no frame header yet */
    unsigned width, height, restarts, across, down;
    uint64_t mcus;
    size_t mcu_columns;
} Image;

/* Find the first code in `bits`, from the highest; return its length, 0 if there is none. */
static inline int next_code(const Table *table, uint64_t bits, unsigned *symbol) {
    unsigned code = table->codes[bits >> (64 - CODE_LOOK)];
    *symbol = CODE_SYMBOL(code);
    if (CODE_LENGTH(code)) return CODE_LENGTH(code);
    for (int length = CODE_LOOK + 1; length <= 16; length++) {
        int32_t value = (int32_t)(bits >> (64 - length));
        if (value <= table->largest[length]) {
            *symbol = table->symbols[table->first[length] + value];
            return length;
        }
    }
    return 0;
}

/* Read everything before the coded data; 0: the file is left to libjpeg-turbo. */
int read_headers(Image *image);

/* Decode all blocks to samples; 0: the file is left to libjpeg-turbo. */
int read_scan(Image *image);

#endif
