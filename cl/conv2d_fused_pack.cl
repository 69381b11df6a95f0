/* Weights and output gradients in the orders that the fused kernels read from end to end: tiles of TILE numbers that
 * are multiplied at once lie side by side, and what a tile lacks is 0. */
#include "common.clh"
#include "conv2d_geometry.clh"

#define RUN 16 /* elements of an output's weights, and outputs, that are turned at once */

/* packed (groups, tiles of outputs, taps, in_channels/groups, tile) from weight (out_channels, in_channels/groups,
 * taps). Work-item (run of channels and taps, block of RUN outputs of the tiles, group). */
__kernel void conv2d_pack_tiles(const conv2d_geometry geometry, const int tile, __global const DATA *weight,
                                const ulong first_element, __global REAL *packed, const ulong first_packed)
{
    const int taps = geometry.kernel_h * geometry.kernel_w;
    const int group_channels = geometry.in_channels / geometry.groups;
    const int group_outputs = geometry.out_channels / geometry.groups;
    const int tiles = (group_outputs + tile - 1) / tile, depth = group_channels * taps;
    const int first = (int)get_global_id(0) * RUN, n = min(RUN, depth - first);
    if (get_global_id(0) * RUN >= (size_t)depth)
        return;
    for (int group = (int)get_global_id(2); group < geometry.groups; group += (int)get_global_size(2))
        for (int o = (int)get_global_id(1) * RUN; o < tiles * tile; o += (int)get_global_size(1) * RUN) {
            const int outputs = min(RUN, group_outputs - o), lanes = min(RUN, tiles * tile - o);
            __global const DATA *const from =
                weight + first_element + ((size_t)group * group_outputs + o) * depth + first;
            __global REAL *const to = packed + first_packed + (size_t)group * tiles * tile * depth;
            REAL values[RUN][RUN];
            if (outputs == RUN && n == RUN) {
                for (int i = 0; i < RUN; i++)
                    for (int k = 0; k < RUN; k++)
                        values[k][i] = LOAD_DATA(from, (size_t)i * depth + k);
            } else {
                for (int i = 0; i < RUN; i++)
                    for (int k = 0; k < n; k++)
                        values[k][i] = i < outputs ? LOAD_DATA(from, (size_t)i * depth + k) : 0;
            }
            for (int k = 0; k < n; k++) {
                const int channel = (first + k) / taps, tap = (first + k) % taps;
                if (tile % RUN == 0) {
                    __global REAL *const row =
                        to + (((size_t)(o / tile) * taps + tap) * group_channels + channel) * tile + o % tile;
                    for (int i = 0; i < RUN; i++)
                        row[i] = values[k][i];
                } else {
                    for (int i = 0; i < lanes; i++)
                        to[(((size_t)((o + i) / tile) * taps + tap) * group_channels + channel) * tile +
                           (o + i) % tile] = values[k][i];
                }
            }
        }
}

/* Work-item 32-bit word. All bits 0 is 0 in every type. */
__kernel void conv2d_clear_row(__global int *words, const ulong n)
{
    if (get_global_id(0) < n)
        words[get_global_id(0)] = 0;
}
