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

/* Pixels of zeros: every `step`-th of a buffer, from the one at `first` on. Work-item (element, image). */
__kernel void conv2d_clear_pixels(const int pitch, const ulong first, const ulong step, __global REAL *pixels)
{
    if (get_global_id(0) < (size_t)pitch)
        pixels[(first + get_global_id(1) * step) * pitch + get_global_id(0)] = 0;
}

/* packed (groups, taps, tiles of channels, out_channels/groups, tile) from weight. Work-item (output of a group, tile
 * of channels, group). */
__kernel void conv2d_pack_channel_tiles(const conv2d_geometry geometry, const int tile, __global const DATA *weight,
                                        const ulong first_element, __global REAL *packed)
{
    const int taps = geometry.kernel_h * geometry.kernel_w;
    const int group_channels = geometry.in_channels / geometry.groups;
    const int group_outputs = geometry.out_channels / geometry.groups;
    const int tiles = (group_channels + tile - 1) / tile, output = (int)get_global_id(0);
    if (output >= group_outputs)
        return;
    for (int group = (int)get_global_id(2); group < geometry.groups; group += (int)get_global_size(2))
        for (int t = (int)get_global_id(1); t < tiles; t += (int)get_global_size(1)) {
            const int n = min(tile, group_channels - t * tile);
            __global const DATA *const from =
                weight + first_element +
                (((size_t)group * group_outputs + output) * group_channels + (size_t)t * tile) * taps;
            for (int tap = 0; tap < taps; tap++) {
                __global REAL *const to =
                    packed + ((((size_t)group * taps + tap) * tiles + t) * group_outputs + output) * tile;
                for (int i = 0; i < tile; i++)
                    to[i] = i < n ? LOAD_DATA(from, (size_t)i * taps + tap) : 0;
            }
        }
}

/* packed (groups, blocks, pitch pixels, lanes) from one image's grad_output, element (pixel, channel) of which is at
 * pixel*pixel_stride + channel*channel_stride; 0 behind the plane's pixels and the group's outputs. Work-item (run of
 * pixels, block, group). */
__kernel void conv2d_pack_grad_output(const conv2d_geometry geometry, const int lanes, const int blocks,
                                      const int pitch, __global const DATA *grad_output, const ulong first_element,
                                      const ulong pixel_stride, const ulong channel_stride, __global REAL *packed)
{
    const int group_outputs = geometry.out_channels / geometry.groups;
    const int plane = geometry.out_h * geometry.out_w;
    const int first = (int)get_global_id(0) * RUN;
    if (get_global_id(0) * RUN >= (size_t)pitch)
        return;
    const int there = clamp(plane - first, 0, RUN), pixels = min(RUN, pitch - first);
    grad_output += first_element;
    for (int group = (int)get_global_id(2); group < geometry.groups; group += (int)get_global_size(2))
        for (int block = (int)get_global_id(1); block < blocks; block += (int)get_global_size(1)) {
            const int n = clamp(group_outputs - block * lanes, 0, lanes);
            __global const DATA *const from = grad_output + first * pixel_stride +
                                              ((size_t)group * group_outputs + (size_t)block * lanes) * channel_stride;
            __global REAL *const to = packed + (((size_t)group * blocks + block) * pitch + first) * lanes;
            REAL values[RUN][RUN];
            if (there == RUN && pixel_stride == 1) {
                for (int c = 0; c < n; c++)
                    for (int p = 0; p < RUN; p++)
                        values[c][p] = LOAD_DATA(from, c * channel_stride + p);
            } else {
                for (int c = 0; c < n; c++)
                    for (int p = 0; p < RUN; p++)
                        values[c][p] = p < there ? LOAD_DATA(from, c * channel_stride + p * pixel_stride) : 0;
            }
            for (int p = 0; p < pixels; p++)
                for (int c = 0; c < lanes; c++)
                    to[p * lanes + c] = c < n ? values[c][p] : 0;
        }
}

/* grad_input of one image = or += the sum of its copies (copies, plane + 1, pitch), in their order. Work-item (run of
 * pixels, run of channels). */
__kernel void conv2d_add_copies(const int pixels, const int channels, const int copies, const int pitch,
                                __global const REAL *sums, __global DATA *grad_input, const ulong first_element,
                                const ulong pixel_stride, const ulong channel_stride, const int accumulate)
{
    const int first = (int)get_global_id(0) * RUN;
    if (get_global_id(0) * RUN >= (size_t)pixels)
        return;
    const int n_pixels = min(RUN, pixels - first);
    const size_t copy = ((size_t)pixels + 1) * pitch;
    for (int block = (int)get_global_id(1) * RUN; block < channels; block += (int)get_global_size(1) * RUN) {
        const int n = min(RUN, channels - block);
        __global const REAL *from = sums + (size_t)first * pitch + block;
        __global DATA *const to = grad_input + first_element + first * pixel_stride + block * channel_stride;
        REAL values[RUN][RUN];
        for (int i = 0; i < copies; i++, from += copy)
            if (n == RUN && n_pixels == RUN) {
                for (int p = 0; p < RUN; p++)
                    for (int c = 0; c < RUN; c++)
                        values[p][c] = from[(size_t)p * pitch + c] + (i > 0 ? values[p][c] : 0);
            } else {
                for (int p = 0; p < n_pixels; p++)
                    for (int c = 0; c < n; c++)
                        values[p][c] = from[(size_t)p * pitch + c] + (i > 0 ? values[p][c] : 0);
            }
        for (int c = 0; c < n; c++)
            for (int p = 0; p < n_pixels; p++) {
                const size_t at = c * channel_stride + p * pixel_stride;
                REAL value = values[p][c];
                if (accumulate)
                    value += LOAD_DATA(to, at);
                STORE_DATA(to, at, value);
            }
    }
}
