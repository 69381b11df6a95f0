/* Deformable convolution without a column buffer, for devices whose work-items are threads with vector units: a
 * work-item samples a panel of output pixels into local memory, some taps and channels at a time, and multiplies it
 * with packed weights, a tile of ROWS pixels x TILE outputs in registers.
 *
 *   NHWC     0, 1            layout of the output; the input has its channels side by side
 *   VECTOR   1, 2, 4, 8, 16  channels sampled at once
 *   LANES    1, 2, 4, 8, 16  outputs of a vector of the tile
 *   VECTORS                  vectors of the tile
 *   ROWS                     pixels of the tile */
#ifndef NHWC
#define NHWC 0
#endif

#include "common.clh"
#include "conv2d_geometry.clh"
#include "conv2d_fused_shape.clh"
#include "conv2d_sample.clh"
#include "vector.clh"
#include "conv2d_panel.clh"
#include "conv2d_tile.clh"

/* sums = or += columns * weights: one tile, over `depth` channels of `taps` taps. */
static void multiply(__local const REAL *columns, int columns_pitch, int columns_tap, __global const REAL *weight,
                     size_t weight_tap, int taps, int depth, __local REAL *sums, int sums_pitch, int first)
{
    LANEV tile[ROWS][VECTORS];
    FOR_TILE(i, v)
    tile[i][v] = (LANEV)0;
    for (int tap = 0; tap < taps; tap++) {
        __local const REAL *const row = columns + tap * columns_tap;
        __global const REAL *const factors = weight + tap * weight_tap;
        for (int c = 0; c < depth; c++) {
            LANEV factor[VECTORS];
            FOR_VECTORS (v)
                factor[v] = LOAD_LANEV(factors, c * TILE + v * LANES);
            FOR_ROWS(i)
            {
                const LANEV value = (LANEV)row[i * columns_pitch + c];
                FOR_VECTORS (v)
                    tile[i][v] = fma(value, factor[v], tile[i][v]);
            }
        }
    }
    /* blocks add up on their own first: what rounding takes off long sums stays small */
    FOR_TILE(i, v)
    STORE_LANEV(sums, i * sums_pitch + v * LANES,
                first ? tile[i][v] : LOAD_LANEV(sums, i * sums_pitch + v * LANES) + tile[i][v]);
}

#define TURN 8 /* pixels and outputs that are turned at once */

/* output (outputs, pixels) = sums (pixels, outputs) + bias. */
static void store_square(__local const REAL *sums, int pitch, __global const DATA *bias, size_t first_bias,
                         __global DATA *output, INDEX plane, int outputs, int pixels)
{
    REAL values[TURN][TURN];
    if (outputs == TURN && pixels == TURN) {
        for (int p = 0; p < TURN; p++)
            for (int i = 0; i < TURN; i++)
                values[i][p] = sums[p * pitch + i];
        for (int i = 0; i < TURN; i++) {
            const REAL base = bias ? LOAD_DATA(bias, first_bias + i) : 0;
            for (int p = 0; p < TURN; p++)
                STORE_DATA(output, i * plane + p, values[i][p] + base);
        }
    } else {
        for (int i = 0; i < outputs; i++) {
            const REAL base = bias ? LOAD_DATA(bias, first_bias + i) : 0;
            for (int p = 0; p < pixels; p++)
                STORE_DATA(output, i * plane + p, sums[p * pitch + i] + base);
        }
    }
}

/* Work-item (panel, block of groups and outputs, image); further blocks as the launch is wide. weight is packed:
 * (groups, tiles of outputs, taps, in_channels/groups, TILE). bias may be null. local memory: the panel's columns, tap
 * by tap; its sums; its tables. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
conv2d_fused(const conv2d_geometry geometry, const conv2d_fused_shape shape, __global const REAL *input,
             const PLACE input_place, __global const REAL *zeros, WHERE_PARAMETERS __global const REAL *weight,
             const ulong first_weight, __global const DATA *bias, const ulong first_bias, __global DATA *output,
             const PLACE output_place, __local REAL *columns, __local REAL *sums, __local PLACED *placed,
             __local REAL *reals)
{
    const int plane = geometry.out_h * geometry.out_w, image = (int)get_global_id(2);
    const int panels = plane / shape.panel + (plane % shape.panel != 0);
    if (get_global_id(0) >= (size_t)panels)
        return;
    const int first = (int)get_global_id(0) * shape.panel, count = min(shape.panel, plane - first);
    const int rows = (count + ROWS - 1) / ROWS * ROWS;
    const int taps = geometry.kernel_h * geometry.kernel_w;
    const int group_channels = geometry.in_channels / geometry.groups;
    const int group_outputs = geometry.out_channels / geometry.groups;
    const int offset_channels = geometry.in_channels / geometry.offset_groups;
    const int tiles = (group_outputs + TILE - 1) / TILE;
    const int output_blocks = (tiles + shape.block_tiles - 1) / shape.block_tiles;
    const int blocks = (geometry.groups + shape.block_groups - 1) / shape.block_groups * output_blocks;
    const int tap_pitch = shape.panel * shape.columns_pitch;
    const panel_tables tables = set_tables(placed, reals, shape.span, shape.block_taps);
    const panel_input from = {input + PLACE_OF_IMAGE(input_place, image), zeros, shape.pitch,
                              geometry.in_h * geometry.in_w};
#if KIND != 2
    offset += PLACE_OF_IMAGE(offset_place, image);
#endif
#if KIND == 1
    mask += PLACE_OF_IMAGE(mask_place, image);
#endif
    output += PLACE_OF_IMAGE(output_place, image);
    weight += first_weight;
    find_bases(geometry, tables, shape.span, first, count);

    for (int block = (int)get_global_id(1); block < blocks; block += (int)get_global_size(1)) {
        const int first_group = block / output_blocks * shape.block_groups;
        const int end_group = min(geometry.groups, first_group + shape.block_groups);
        const int first_tile = block % output_blocks * shape.block_tiles;
        const int end_tile = min(tiles, first_tile + shape.block_tiles);
        const int first_channel = first_group * group_channels, end_channel = end_group * group_channels;

        for (int channel = first_channel; channel < end_channel; channel += shape.block_channels) {
            const int last_channel = min(end_channel, channel + shape.block_channels);
            for (int tap = 0; tap < taps; tap += shape.block_taps) {
                const int block_taps = min(shape.block_taps, taps - tap);
                for (int c = channel; c < last_channel;) {
                    const int offset_group = c / offset_channels;
                    const int end = min(last_channel, (offset_group + 1) * offset_channels);
                    for (int t = 0; t < block_taps; t++)
                        find_samples(geometry, from, tables, WHERE_PASSED offset_group, t, tap + t, shape.span, first,
                                     count);
                    /* all taps of a pixel: they share corners */
                    for (int p = 0; p < rows; p++)
                        for (int t = 0; t < block_taps; t++)
                            take_sample(from, tables, shape.span, t, p, c, end,
                                        columns + t * tap_pitch + p * shape.columns_pitch + (c - channel), VECTOR);
                    c = end;
                }
                for (int group = first_group; group < end_group; group++) {
                    const int c = max(channel, group * group_channels);
                    const int depth = min(last_channel, (group + 1) * group_channels) - c;
                    for (int tile = first_tile; tile < end_tile; tile++) {
                        const size_t rest = ((size_t)(group * tiles + tile) * taps + tap) * group_channels +
                                            (c - group * group_channels);
                        __local REAL *const to =
                            sums + ((group - first_group) * shape.block_tiles + tile - first_tile) * TILE;
                        for (int p = 0; p < rows; p += ROWS)
                            multiply(columns + p * shape.columns_pitch + (c - channel), shape.columns_pitch, tap_pitch,
                                     weight + rest * TILE, (size_t)group_channels * TILE, block_taps, depth,
                                     to + p * shape.sums_pitch, shape.sums_pitch, channel == first_channel && tap == 0);
                    }
                }
            }
        }

        for (int group = first_group; group < end_group; group++)
            for (int tile = first_tile; tile < end_tile; tile++) {
                __local const REAL *const result =
                    sums + ((group - first_group) * shape.block_tiles + tile - first_tile) * TILE;
                const int n = min(TILE, group_outputs - tile * TILE), o = group * group_outputs + tile * TILE;
#if NHWC
                for (int p = 0; p < count; p++)
                    for (int i = 0; i < n; i++)
                        STORE_DATA(output, (INDEX)(first + p) * geometry.out_channels + o + i,
                                   result[p * shape.sums_pitch + i] + (bias ? LOAD_DATA(bias, first_bias + o + i) : 0));
#else
                for (int i = 0; i < n; i += TURN)
                    for (int p = 0; p < count; p += TURN)
                        store_square(result + p * shape.sums_pitch + i, shape.sums_pitch, bias, first_bias + o + i,
                                     output + (INDEX)(o + i) * plane + first + p, plane, min(TURN, n - i),
                                     min(TURN, count - p));
#endif
            }
    }
}
