/* The convolution as a matrix product whose second factor, the columns, is sampled into local memory block by block and
 * never written to memory. Rows of a tile are outputs, columns are output pixels, terms are channels of taps.
 *
 *   NHWC        0, 1  layout of the output; the input is (pixels, channels) in both
 *   TILE_TABLE  taps whose positions are in local memory at a time
 *   and those of conv2d_tiled.clh */
#ifndef NHWC
#define NHWC 0
#endif
#ifndef TILE_TABLE
#define TILE_TABLE 3
#endif
#define ROWS_FIRST NHWC /* the output's neighbours are work-items' neighbours */

#include "common.clh"
#include "conv2d_geometry.clh"
#include "conv2d_sample.clh"
#include "conv2d_tiled_shape.clh"
#include "vector.clh"
#include "conv2d_tiled.clh"

/* Where an image has its number. */
static INDEX output_index(conv2d_geometry geometry, int pixel, int channel)
{
#if NHWC
    return (INDEX)pixel * geometry.out_channels + channel;
#else
    return (INDEX)channel * geometry.out_h * geometry.out_w + pixel;
#endif
}

#if DATA_BITS == 16
#define STORE_FOUR(p, value) vstore_half4_rte(value, 0, p)
#else
#define STORE_FOUR(p, value) vstore4(value, 0, p)
#endif

/* The first n of four numbers side by side. */
static void store_output(__global DATA *to, REAL4 value, int n)
{
    if (n == 4) {
        STORE_FOUR(to, value);
        return;
    }
    const REAL values[4] = {value.x, value.y, value.z, value.w};
    UNROLLED for (int i = 0; i < 4; i++) if (i < n) STORE_DATA(to, i, values[i]);
}

/* weight: packed (conv2d_tiled_pack.cl). parts (splits, images, an image's output in its order): without bias; null
 * where there is one split, and the output is written. Work-group (pixels of a tile, tile of outputs and split of its
 * terms, image). */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
conv2d_tiled(const conv2d_geometry geometry, const conv2d_tiled_shape shape, __global const DATA *input,
             const PLACE input_place, WHERE_PARAMETERS __global const REAL *weight, const ulong first_weight,
             __global const DATA *bias, const ulong first_bias, __global DATA *output, const PLACE output_place,
             __global REAL *parts)
{
    __local REAL4 rows[TILE_DEPTH * TILE_ROWS / 4], columns[TILE_TERMS * TERM_PITCH / 4];
    __local int4 corners[TILE_TABLE * TILE_COLUMNS];
    __local REAL4 weights[TILE_TABLE * TILE_COLUMNS];
#if KIND == 1
    __local REAL factors[TILE_TABLE * TILE_COLUMNS];
#endif
    const int item = (int)get_local_id(0), image = (int)get_group_id(2);
    const int first_pixel = (int)get_group_id(0) * TILE_COLUMNS;
    const int tile = (int)get_group_id(1) / shape.splits, split = (int)get_group_id(1) % shape.splits;
    const int plane = geometry.out_h * geometry.out_w, taps = geometry.kernel_h * geometry.kernel_w;
    const int group_channels = geometry.in_channels / geometry.groups, runs = group_channels / shape.run;
    const int group = GROUPED ? tile * shape.slots : tile / shape.section_tiles;
#if GROUPED
    const int terms = shape.slots * shape.depth;
    const int end_channel = min(group + shape.slots, geometry.groups) * group_channels;
#else
    const int terms = TILE_DEPTH;
#endif
    /* this split's blocks, counted through all runs of the group */
    const int all = runs * shape.blocks, each = all / shape.splits, rest = all % shape.splits;
    const int begin = split * each + min(split, rest), end = begin + each + (split < rest);
    tile_sums sums;
    clear_sums(sums);
    input += PLACE_OF_IMAGE(input_place, image);
    weight += first_weight;

    for (int run = begin / shape.blocks; run * shape.blocks < end; run++) {
        const int first_channel = group * group_channels + run * shape.run;
#if KIND != 2
        const int offset_group = first_channel / (geometry.in_channels / geometry.offset_groups);
#else
        const int offset_group = 0;
#endif
        const int first_block = max(begin - run * shape.blocks, 0);
        const int end_block = min(end - run * shape.blocks, shape.blocks);
        for (int first_tap = 0; first_tap < taps; first_tap += TILE_TABLE) {
            const int n_taps = min(TILE_TABLE, taps - first_tap);
            for (int i = item; i < n_taps * TILE_COLUMNS; i += ITEMS) {
                const int pixel = first_pixel + i % TILE_COLUMNS;
                tile_sample sample = {(int4)-1, (REAL4)0, 0};
                if (pixel < plane)
                    sample = place_corners(geometry, find_sample(geometry, WHERE_ARGUMENTS offset_group,
                                                                 first_tap + i / TILE_COLUMNS, pixel));
                corners[i] = sample.corners;
                weights[i] = sample.weights;
#if KIND == 1
                factors[i] = sample.factor;
#endif
            }
            for (int block = first_block; block < end_block; block++)
                for (int t = 0; t < n_taps; t++) {
                    barrier(CLK_LOCAL_MEM_FENCE); /* the table is there; nobody reads the blocks any more */
                    load_weights(rows, shape,
                                 weight +
                                     (((size_t)(tile * runs + run) * shape.blocks + block) * taps + first_tap + t) *
                                         (shape.depth * TILE_ROWS),
                                 item);
                    const int channel = first_channel + block * shape.depth;
#if !GROUPED
                    const int end_channel = first_channel + shape.run;
#endif
                    for (int i = item; i < terms / VECTOR * TILE_COLUMNS; i += ITEMS) {
                        const int term = i % (terms / VECTOR) * VECTOR, column = i / (terms / VECTOR);
                        const int at = t * TILE_COLUMNS + column;
                        REALV value = (REALV)0;
                        if (channel + term < end_channel)
                            value = sample_channels(input, geometry.in_channels, corners[at], weights[at],
#if KIND == 1
                                                    factors[at],
#else
                                                    1,
#endif
                                                    channel + term);
                        store_terms((__local REAL *)columns + term * TERM_PITCH + column, TERM_PITCH, value);
                    }
                    barrier(CLK_LOCAL_MEM_FENCE); /* the blocks are there; nobody reads this tap's positions any more */
                    multiply_block(sums, shape, rows, columns, item);
                }
        }
    }

    const size_t n = (size_t)plane * geometry.out_channels; /* of an image */
    parts = parts ? parts + ((size_t)split * get_num_groups(2) + image) * n : 0;
    output += PLACE_OF_IMAGE(output_place, image);
    FOR_VECTORS (r, c) {
        const int pixel = first_pixel + VECTOR_COLUMN(item, c), pixels = clamp(plane - pixel, 0, 4);
        const row_range range =
            find_rows(shape, tile, VECTOR_ROW(item, r), geometry.out_channels / geometry.groups, geometry.groups);
#if NHWC
        const REAL4 lines[4] = {TURNED(sums, r, c, x), TURNED(sums, r, c, y), TURNED(sums, r, c, z),
                                TURNED(sums, r, c, w)};
        const int n_lines = pixels, length = range.n;
        REAL added[4];
        UNROLLED for (int i = 0; i < 4; i++) added[i] =
            bias && i < length ? LOAD_DATA(bias, first_bias + range.first + i) : 0;
        const REAL4 more = (REAL4)(added[0], added[1], added[2], added[3]);
#else
        const REAL4 lines[4] = {sums[r][0][c], sums[r][1][c], sums[r][2][c], sums[r][3][c]};
        const int n_lines = range.n, length = pixels;
#endif
        UNROLLED for (int i = 0; i < 4; i++)
        {
            if (i >= n_lines)
                continue;
#if NHWC
            const INDEX to = output_index(geometry, pixel + i, range.first);
#else
            const INDEX to = output_index(geometry, pixel, range.first + i);
            const REAL4 more = (REAL4)(bias ? LOAD_DATA(bias, first_bias + range.first + i) : 0);
#endif
            if (parts)
                store_part(parts + to, lines[i], length);
            else
                store_output(output + to, lines[i] + more, length);
        }
    }
}

/* output = the parts' sum + bias. Work-item (number of an image's part, 0, image). */
__kernel void conv2d_tiled_add(const conv2d_geometry geometry, const int splits, __global const REAL *parts,
                               __global const DATA *bias, const ulong first_bias, __global DATA *output,
                               const PLACE output_place)
{
    const size_t plane = (size_t)geometry.out_h * (size_t)geometry.out_w, n = plane * geometry.out_channels;
    const size_t number = get_global_id(0);
    if (number >= n)
        return;
    const int image = (int)get_global_id(2), images = (int)get_global_size(2);
#if NHWC
    const int channel = (int)(number % geometry.out_channels);
#else
    const int channel = (int)(number / plane);
#endif
    REAL sum = 0;
    for (int split = 0; split < splits; split++)
        sum += parts[((size_t)split * images + image) * n + number];
    if (bias)
        sum += LOAD_DATA(bias, first_bias + channel);
    STORE_DATA(output + PLACE_OF_IMAGE(output_place, image), number, sum);
}
