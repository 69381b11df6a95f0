/* Gradient of the weight without columns: a work-item owns taps of some input channels, samples them at a run of
 * pixels into local memory, and multiplies these with the gradient of the output. It adds up its part of the gradient
 * run by run, image by image, so that there are no copies and no atomics, and every sum has one order.
 *
 *   VECTOR   channels sampled at once
 *   LANES, VECTORS  the tile's numbers are outputs
 *   ROWS     its rows are channels: at most VECTOR */
#include "common.clh"
#include "conv2d_geometry.clh"
#include "conv2d_fused_shape.clh"
#include "conv2d_sample.clh"
#include "vector.clh"
#include "conv2d_panel.clh"
#include "conv2d_tile.clh"
#define LONG_SUM_OF LANEV
#include "long_sum.clh"

/* sum and rest (first: = , else +=) the products of `count` pixels: `rows` channels, which lie side by side in blocks
 * of VECTOR, with a tile of outputs. */
static void multiply(__local const REAL *columns, __global const REAL *grad_output, size_t block, int count,
                     __global REAL *sum, __global REAL *rest, int pitch, int rows, int first)
{
    LANEV tile[ROWS][VECTORS];
    FOR_TILE(i, v)
    tile[i][v] = (LANEV)0;
    for (int p = 0; p < count; p++) {
        LANEV factor[VECTORS];
        FOR_VECTORS (v)
            factor[v] = LOAD_LANEV(grad_output, v * block + p * LANES);
        FOR_ROWS(i)
        {
            const LANEV value = (LANEV)columns[p * VECTOR + i];
            FOR_VECTORS (v)
                tile[i][v] = fma(value, factor[v], tile[i][v]);
        }
    }
    FOR_TILE(i, v)
    if (i < rows) {
        const int at = i * pitch + v * LANES;
        if (!rest) {
            STORE_LANEV(sum, at, first ? tile[i][v] : LOAD_LANEV(sum, at) + tile[i][v]);
        } else {
            long_sum total = {tile[i][v], (LANEV)0};
            if (!first) {
                const long_sum before = {LOAD_LANEV(sum, at), LOAD_LANEV(rest, at)};
                total = add(before, tile[i][v]);
            }
            STORE_LANEV(sum, at, total.sum);
            STORE_LANEV(rest, at, total.rest);
        }
    }
}

/* Work-item, of shape.parts which share out the units (block of channels, tap) evenly; of one image. grad_output as in
 * conv2d_fused_grad.cl. sum and rest (groups, taps, in_channels/groups, out_blocks*LANES); rest null: what rounding
 * takes off is small enough. is_first: they hold nothing yet. local memory: samples in blocks of VECTOR channels,
 * (blocks, panel, VECTOR), and room for a tile behind them; tables. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
conv2d_fused_grad_weight(const conv2d_geometry geometry, const conv2d_fused_shape shape, __global const REAL *input,
                         const PLACE input_place, __global const REAL *zeros,
                         WHERE_PARAMETERS __global const REAL *grad_output, __global REAL *sum, __global REAL *rest,
                         const int is_first, __local REAL *columns, __local PLACED *placed, __local REAL *reals)
{
    const int taps = geometry.kernel_h * geometry.kernel_w, plane = geometry.out_h * geometry.out_w;
    const int group_channels = geometry.in_channels / geometry.groups;
    const int offset_channels = geometry.in_channels / geometry.offset_groups;
    const int pitch = shape.out_blocks * LANES;
    const int units =
        taps * (geometry.in_channels / shape.block_channels + (geometry.in_channels % shape.block_channels != 0));
    const int first_unit = (int)((long)units * get_global_id(0) / shape.parts);
    const int end_unit = (int)((long)units * (get_global_id(0) + 1) / shape.parts);
    if (get_global_id(0) >= (size_t)shape.parts)
        return;
    const size_t block = (size_t)shape.out_pitch * LANES; /* elements of a block of grad_output */
    const panel_tables tables = set_tables(placed, reals, shape.span, 1);
    const panel_input from = {input + input_place.x, zeros, shape.pitch, geometry.in_h * geometry.in_w};
#if KIND != 2
    offset += offset_place.x;
#endif
#if KIND == 1
    mask += mask_place.x;
#endif

    /* all units of a run of pixels, so that its gradient of the output stays in the caches */
    for (int first = 0; first < plane; first += shape.panel) {
        const int count = min(shape.panel, plane - first);
        find_bases(geometry, tables, shape.span, first, count);
        for (int unit = first_unit; unit < end_unit; unit++) {
            const int tap = unit % taps, channel = unit / taps * shape.block_channels;
            const int last_channel = min(geometry.in_channels, channel + shape.block_channels);
            /* each offset group begins with a block of its own */
            __local REAL *run = columns;
            for (int c = channel; c < last_channel;) {
                const int offset_group = c / offset_channels;
                const int end = min(last_channel, (offset_group + 1) * offset_channels);
                find_samples(geometry, from, tables, WHERE_PASSED offset_group, 0, tap, shape.span, first, count);
                for (int p = 0; p < count; p++)
                    take_sample(from, tables, shape.span, 0, p, c, end, run + p * VECTOR, shape.panel * VECTOR);
                run += (end - c + VECTOR - 1) / VECTOR * shape.panel * VECTOR;
                c = end;
            }
            run = columns;
            for (int begin = channel; begin < last_channel;) {
                const int end = min(last_channel, (begin / offset_channels + 1) * offset_channels);
                for (int start = begin; start < end;) { /* a run of channels of one group too */
                    const int group = start / group_channels;
                    const int stop = min(end, (group + 1) * group_channels);
                    for (int out = 0; out < shape.out_blocks; out += VECTORS)
                        for (int c = start; c < stop;) {
                            const int lane = (c - begin) % VECTOR, rows = min(min(ROWS, VECTOR - lane), stop - c);
                            const size_t at =
                                (((size_t)group * taps + tap) * group_channels + (c - group * group_channels)) * pitch +
                                out * LANES;
                            multiply(run + ((c - begin) / VECTOR * shape.panel) * VECTOR + lane,
                                     grad_output +
                                         (((size_t)group * shape.out_blocks + out) * shape.out_pitch + first) * LANES,
                                     block, count, sum + at, rest ? rest + at : 0, pitch, rows, is_first && first == 0);
                            c += rows;
                        }
                    start = stop;
                }
                run += (end - begin + VECTOR - 1) / VECTOR * shape.panel * VECTOR;
                begin = end;
            }
        }
    }
}
