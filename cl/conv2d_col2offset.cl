/* Gradients of offset and mask from the gradient of the columns, in one pass: four dot products over the channels, one
 * for each corner, give all three.
 *
 *   NHWC         0, 1  layout of input, and of columns (conv2d_im2col.cl)
 *   SAMPLE_OPEN  0, 1  the offset's gradient at exactly -1: 0, or the right-hand one */
#ifndef NHWC
#define NHWC 0
#endif

#include "common.clh"
#include "conv2d_geometry.clh"
#include "conv2d_sample.clh"
#include "conv2d_offset_gradient.clh"
#include "vector.clh"

#if KIND != 2
/* Adds the products of a channel, or a vector of channels, to the four sums of its type. Corners outside were clamped
 * to a pixel that is there: their sums are not used. */
#define ADD_CORNERS(value, d, LOAD, map)                                                                               \
    d[0] = fma(value, LOAD(input, (map) + i00), d[0]);                                                                 \
    d[1] = fma(value, LOAD(input, (map) + i01), d[1]);                                                                 \
    d[2] = fma(value, LOAD(input, (map) + i10), d[2]);                                                                 \
    d[3] = fma(value, LOAD(input, (map) + i11), d[3])

/* Work-item (pixel of the slab, tap and offset group, image). grad_offset and grad_mask may be null; accumulate: bit 0
 * for the offset, bit 1 for the mask. */
__kernel void conv2d_col2offset(const conv2d_geometry geometry, const int first_pixel, const int pixels,
                                __global const DATA *input, const PLACE input_place,
                                WHERE_PARAMETERS __global const COLUMN *grad_columns, const PLACE columns_place,
                                const ulong row_stride, __global OFFSET *grad_offset, const PLACE grad_offset_place,
                                __global OFFSET *grad_mask, const PLACE grad_mask_place, const int accumulate)
{
    const int slab_pixel = (int)get_global_id(0);
    if (slab_pixel >= pixels)
        return;
    const int taps = geometry.kernel_h * geometry.kernel_w;
    const int tap = (int)get_global_id(1) % taps;
    const int offset_group = (int)get_global_id(1) / taps;
    const int image = (int)get_global_id(2);
    const int pixel = first_pixel + slab_pixel;
    const conv2d_sample sample = find_sample(geometry, WHERE_ARGUMENTS offset_group, tap, pixel);
    offset_gradient gradient = {0, 0, 0};
    if (sample.exists) {
#if NHWC
        const INDEX pitch = geometry.in_channels;
#else
        const INDEX pitch = 1;
#endif
        const INDEX i00 = ((INDEX)sample.row.first * geometry.in_w + sample.column.first) * pitch;
        const INDEX i01 = ((INDEX)sample.row.first * geometry.in_w + sample.column.second) * pitch;
        const INDEX i10 = ((INDEX)sample.row.second * geometry.in_w + sample.column.first) * pitch;
        const INDEX i11 = ((INDEX)sample.row.second * geometry.in_w + sample.column.second) * pitch;
        input += PLACE_OF_IMAGE(input_place, image);
        grad_columns += PLACE_OF_IMAGE(columns_place, image);
        const int first_channel = offset_group * (geometry.in_channels / geometry.offset_groups);
        const int end_channel = first_channel + geometry.in_channels / geometry.offset_groups;
        REAL dots[4] = {0, 0, 0, 0};
#if NHWC
        REALV vectors[4] = {(REALV)0, (REALV)0, (REALV)0, (REALV)0};
        const int group_channels = geometry.in_channels / geometry.groups;
        grad_columns += (size_t)slab_pixel * row_stride;
        int channel = first_channel;
        while (channel < end_channel) {
            const int group = channel / group_channels;
            const int end = min(end_channel, (group + 1) * group_channels);
            int from = (group * taps + tap) * group_channels + channel % group_channels;
            for (; channel + VECTOR <= end; channel += VECTOR, from += VECTOR) {
                const REALV value = LOAD_COLUMNV(grad_columns, from);
                ADD_CORNERS(value, vectors, LOAD_DATAV, channel);
            }
            for (; channel < end; channel++, from++) {
                const REAL value = LOAD_COLUMN(grad_columns, from);
                ADD_CORNERS(value, dots, LOAD_DATA, channel);
            }
        }
        for (int i = 0; i < 4; i++)
            dots[i] += sum_of(vectors[i]);
#else
        const INDEX plane = (INDEX)geometry.in_h * geometry.in_w;
        for (int channel = first_channel; channel < end_channel; channel++) {
            const REAL value = LOAD_COLUMN(grad_columns, (size_t)(channel * taps + tap) * row_stride + slab_pixel);
            ADD_CORNERS(value, dots, LOAD_DATA, channel * plane);
        }
#endif
        gradient = find_offset_gradient(sample, dots);
    }
    store_offset_gradient(geometry, gradient, offset_group, tap, pixel,
                          grad_offset ? grad_offset + PLACE_OF_IMAGE(grad_offset_place, image) : 0,
                          grad_mask ? grad_mask + PLACE_OF_IMAGE(grad_mask_place, image) : 0, accumulate);
}
#endif
