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
#include "vector.clh"

#if KIND != 2
/* Adds the products of a channel, or a vector of channels, to the four sums of its type. Corners outside were clamped
 * to a pixel that is there: their sums are not used. */
#define ADD_CORNERS(value, d, LOAD, map)                                                                               \
    d[0] = fma(value, LOAD(input, (map) + i00), d[0]);                                                                 \
    d[1] = fma(value, LOAD(input, (map) + i01), d[1]);                                                                 \
    d[2] = fma(value, LOAD(input, (map) + i10), d[2]);                                                                 \
    d[3] = fma(value, LOAD(input, (map) + i11), d[3])

static void store_gradient(__global OFFSET *to, INDEX index, REAL value, int accumulate)
{
    OFFSET_SUM sum = (OFFSET_SUM)value;
    if (accumulate)
        sum += (OFFSET_SUM)READ_OFFSET(to, index);
    STORE_OFFSET(to, index, sum);
}

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
    REAL grad_y = 0, grad_x = 0, grad_factor = 0;
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
        const REAL d00 = sample.in00 ? dots[0] : 0, d01 = sample.in01 ? dots[1] : 0;
        const REAL d10 = sample.in10 ? dots[2] : 0, d11 = sample.in11 ? dots[3] : 0;
        const REAL up = sample.row.weight0, down = sample.row.weight1;
        const REAL left = sample.column.weight0, right = sample.column.weight1;
        grad_factor = fma(up, fma(left, d00, right * d01), down * fma(left, d10, right * d11));
        grad_y = fma(left, d10 - d00, right * (d11 - d01)) * sample.factor;
        grad_x = fma(up, d01 - d00, down * (d11 - d10)) * sample.factor;
#if BORDER_EDGE
        /* constant from the last centre on */
        grad_y = sample.row.inside1 ? grad_y : 0;
        grad_x = sample.column.inside1 ? grad_x : 0;
#endif
        grad_y = sample.moves_y ? grad_y : 0;
        grad_x = sample.moves_x ? grad_x : 0;
        grad_factor *= sample.slope;
#if SAMPLE_OPEN
        /* at exactly -1 the sample is 0 by selection: 0 times a NaN would not be */
        if ((!sample.row.inside0 && !(down > 0)) || (!sample.column.inside0 && !(right > 0)))
            grad_factor = 0;
#endif
    }
    if (grad_offset) {
        grad_offset += PLACE_OF_IMAGE(grad_offset_place, image);
        store_gradient(grad_offset, offset_y_index(geometry, offset_group, tap, pixel), grad_y, accumulate & 1);
        store_gradient(grad_offset, offset_x_index(geometry, offset_group, tap, pixel), grad_x, accumulate & 1);
    }
    if (grad_mask) {
        grad_mask += PLACE_OF_IMAGE(grad_mask_place, image);
        store_gradient(grad_mask, mask_index(geometry, offset_group, tap, pixel), grad_factor, accumulate & 2);
    }
}
#endif
