/* The weight as the blocks that tiles read one after the other, zeros where a tile is incomplete. TILE_ROWS,
 * GROUPED: of the tile. */
#include "common.clh"
#include "conv2d_geometry.clh"
#include "conv2d_sample.clh"
#include "conv2d_tiled_shape.clh"
#include "vector.clh"
#include "conv2d_tiled.clh"

static REAL weight_at(conv2d_geometry geometry, __global const DATA *weight, int output, int channel, int tap)
{
    const int taps = geometry.kernel_h * geometry.kernel_w, group_channels = geometry.in_channels / geometry.groups;
    return LOAD_DATA(weight, ((size_t)output * group_channels + channel % group_channels) * taps + tap);
}

/* Rows are outputs: packed (tiles, runs of a group, blocks of a run's channels, taps, depth, TILE_ROWS). Work-item
 * element. */
__kernel void conv2d_tiled_pack_outputs(const conv2d_geometry geometry, const conv2d_tiled_shape shape, const ulong n,
                                        __global const DATA *weight, const ulong first, __global REAL *packed,
                                        const ulong first_packed)
{
    const ulong element = get_global_id(0);
    if (element >= n)
        return;
    const int taps = geometry.kernel_h * geometry.kernel_w, group_channels = geometry.in_channels / geometry.groups;
    const int runs = group_channels / shape.run, group_outputs = geometry.out_channels / geometry.groups;
    const int m = (int)(element % TILE_ROWS), k = (int)(element / TILE_ROWS % shape.depth);
    const ulong number = element / TILE_ROWS / shape.depth; /* of the block */
    const int tap = (int)(number % taps), within = (int)(number / taps % shape.blocks) * shape.depth + k;
    const int run = (int)(number / taps / shape.blocks % runs), tile = (int)(number / taps / shape.blocks / runs);
    const int output = row_number(shape, tile, m, group_outputs, geometry.groups);
    packed[first_packed + element] =
        output >= 0 && within < shape.run
            ? weight_at(geometry, weight + first, output,
                        output / group_outputs * group_channels + run * shape.run + within, tap)
            : 0;
}

/* Rows are channels: packed (tiles, taps, blocks of a group's outputs, depth, TILE_ROWS). Work-item element. */
__kernel void conv2d_tiled_pack_channels(const conv2d_geometry geometry, const conv2d_tiled_shape shape, const ulong n,
                                         __global const DATA *weight, const ulong first, __global REAL *packed)
{
    const ulong element = get_global_id(0);
    if (element >= n)
        return;
    const int taps = geometry.kernel_h * geometry.kernel_w, group_outputs = geometry.out_channels / geometry.groups;
    const int group_channels = geometry.in_channels / geometry.groups;
    const int m = (int)(element % TILE_ROWS), k = (int)(element / TILE_ROWS % shape.depth);
    const ulong number = element / TILE_ROWS / shape.depth;
    const int within = (int)(number % shape.blocks) * shape.depth + k, tap = (int)(number / shape.blocks % taps);
    const int tile = (int)(number / shape.blocks / taps);
    const int channel = row_number(shape, tile, m, shape.run, geometry.in_channels / shape.run);
    packed[element] =
        channel >= 0 && within < group_outputs
            ? weight_at(geometry, weight + first, channel / group_channels * group_outputs + within, channel, tap)
            : 0;
}
