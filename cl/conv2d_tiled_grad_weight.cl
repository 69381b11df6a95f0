/* Gradient of the weight: a matrix product over the output pixels, whose second factor is sampled into local memory.
 * Rows of a tile are outputs of a group, columns are channels of a run for one tap, terms are pixels.
 *
 *   NHWC        0, 1  layout of grad_output; the input is (pixels, channels) in both
 *   TILE_TABLE  pixels whose positions are in local memory at a time: a multiple of TILE_DEPTH
 *   and those of conv2d_tiled.clh */
#ifndef NHWC
#define NHWC 0
#endif
#ifndef TILE_TABLE
#define TILE_TABLE 64
#endif
#define RUN        512 /* pixels: a multiple of TILE_TABLE */
#define ROW_PITCH  (TILE_ROWS + 4)
#define ROWS_FIRST 1 /* outputs are side by side in the result */

#include "common.clh"
#include "conv2d_geometry.clh"
#include "conv2d_sample.clh"
#include "conv2d_tiled_shape.clh"
#include "vector.clh"
#include "conv2d_tiled.clh"
#define LONG_SUM_OF REAL
#include "long_sum.clh"

/* Of one image. parts (splits, groups, taps, in_channels/groups, out_channels/groups). Work-group (tile of channels and
 * tap, tile of outputs, split of the pixels). */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
conv2d_tiled_grad_weight(const conv2d_geometry geometry, const conv2d_tiled_shape shape, __global const DATA *input,
                         const PLACE input_place, WHERE_PARAMETERS __global const DATA *grad_output,
                         const PLACE grad_output_place, __global REAL *parts)
{
    __local REAL4 rows[TILE_DEPTH * ROW_PITCH / 4], columns[TILE_DEPTH * TERM_PITCH / 4];
    __local int4 corners[TILE_TABLE];
    __local REAL4 weights[TILE_TABLE];
#if KIND == 1
    __local REAL factors[TILE_TABLE];
#endif
    const int item = (int)get_local_id(0);
#if KIND != 2
    const int image = 0;
#endif
    const int plane = geometry.out_h * geometry.out_w, taps = geometry.kernel_h * geometry.kernel_w;
    const int group_channels = geometry.in_channels / geometry.groups;
    const int group_outputs = geometry.out_channels / geometry.groups;
    const int number = (int)get_group_id(0) / taps, tap = (int)get_group_id(0) % taps;
    const int run = number / shape.section_tiles, within = number % shape.section_tiles * TILE_COLUMNS;
    const int first_channel = run * shape.run + within, channels = shape.run - within;
    const int group = first_channel / group_channels, first_row = (int)get_group_id(1) * TILE_ROWS;
    const int first_output = group * group_outputs + first_row, outputs = group_outputs - first_row;
    const int begin = (int)get_group_id(2) * shape.split_pixels, end = min(plane, begin + shape.split_pixels);
    tile_sums sums, totals; /* of a run of pixels; of the runs before, so that no sum is of many small terms */
    clear_sums(sums);
    clear_sums(totals);
    input += input_place.x;
    grad_output += grad_output_place.x;

    for (int first = begin; first < end; first += TILE_TABLE) {
        for (int i = item; i < TILE_TABLE; i += ITEMS) {
            tile_sample sample = {(int4)-1, (REAL4)0, 0};
            if (first + i < end)
                sample = place_corners(geometry, find_sample(geometry,
                                                             WHERE_ARGUMENTS first_channel /
                                                                 (geometry.in_channels / geometry.offset_groups),
                                                             tap, first + i));
            corners[i] = sample.corners;
            weights[i] = sample.weights;
#if KIND == 1
            factors[i] = sample.factor;
#endif
        }
        for (int at = 0; at < TILE_TABLE && first + at < end; at += TILE_DEPTH) {
            barrier(CLK_LOCAL_MEM_FENCE);
            for (int i = item; i < TILE_DEPTH * TILE_ROWS; i += ITEMS) {
#if NHWC
                const int term = i / TILE_ROWS, row = i % TILE_ROWS;
#else
                const int term = i % TILE_DEPTH, row = i / TILE_DEPTH;
#endif
                const int pixel = first + at + term;
                REAL value = 0;
                if (row < outputs && pixel < end)
#if NHWC
                    value = LOAD_DATA(grad_output, (INDEX)pixel * geometry.out_channels + first_output + row);
#else
                    value = LOAD_DATA(grad_output, (INDEX)(first_output + row) * plane + pixel);
#endif
                ((__local REAL *)rows)[term * ROW_PITCH + row] = value;
            }
            for (int i = item; i < TILE_DEPTH * (TILE_COLUMNS / VECTOR); i += ITEMS) {
                const int column = i % (TILE_COLUMNS / VECTOR) * VECTOR, term = i / (TILE_COLUMNS / VECTOR);
                REALV value = (REALV)0;
                if (column < channels)
                    value = sample_channels(input, geometry.in_channels, corners[at + term], weights[at + term],
#if KIND == 1
                                            factors[at + term],
#else
                                            1,
#endif
                                            first_channel + column);
                STORE_REALV((__local REAL *)columns, term * TERM_PITCH + column, value);
            }
            barrier(CLK_LOCAL_MEM_FENCE);
            multiply_block(sums, shape, rows, columns, item);
        }
        barrier(CLK_LOCAL_MEM_FENCE); /* nobody reads the table any more */
        if ((first - begin) % RUN == RUN - TILE_TABLE || first + TILE_TABLE >= end) {
            FOR_VECTORS (r, c)
                UNROLLED for (int i = 0; i < 4; i++)
                {
                    totals[r][i][c] += sums[r][i][c];
                    sums[r][i][c] = (REAL4)0;
                }
        }
    }

    parts += get_group_id(2) * ((size_t)geometry.in_channels * taps * group_outputs);
    const int of_group = first_channel % group_channels;
    FOR_VECTORS (r, c) {
        const REAL4 turned[4] = {
            TURNED(totals, r, c, x),
            TURNED(totals, r, c, y),
            TURNED(totals, r, c, z),
            TURNED(totals, r, c, w),
        };
        const int row = VECTOR_ROW(item, r), column = VECTOR_COLUMN(item, c);
        UNROLLED for (int j = 0; j < 4; j++)
        {
            if (column + j >= channels)
                continue;
            __global REAL *const to =
                parts + (((size_t)group * taps + tap) * group_channels + of_group + column + j) * group_outputs +
                first_row + row;
            store_part(to, turned[j], clamp(outputs - row, 0, 4));
        }
    }
}

/* sum and rest (n) = all parts (first), or += all parts, in order. Work-item element. */
__kernel void conv2d_tiled_add_parts(const ulong n, const int splits, __global const REAL *parts, __global REAL *sum,
                                     __global REAL *rest, const int first)
{
    const size_t element = get_global_id(0);
    if (element >= n)
        return;
    long_sum total = {0, 0};
    if (!first) {
        total.sum = sum[element];
        total.rest = rest[element];
    }
    for (int split = 0; split < splits; split++)
        total = add(total, parts[(size_t)split * n + element]);
    sum[element] = total.sum;
    rest[element] = total.rest;
}
