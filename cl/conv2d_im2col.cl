/* Deformable convolution by a matrix product: the columns, the weights in the product's order, and the output from its
 * result. A launch works on a slab: pixels first_pixel .. first_pixel+pixels-1 of the output planes of some images.
 *
 *   NHWC  0, 1  layout of input and output
 *
 * Matrices, for each image of the slab:
 *   NCHW: columns (in_channels*taps, pixels), row c*taps + k;               result (out_channels, pixels)
 *   NHWC: columns (pixels, groups*taps*in_channels/groups), row a pixel;    result (pixels, out_channels) */
#ifndef NHWC
#define NHWC 0
#endif

#include "common.clh"
#include "conv2d_geometry.clh"
#include "conv2d_sample.clh"
#include "vector.clh"

/* The value of one channel, or a vector of channels, whose map begins at element `map` of the input; LOAD is LOAD_DATA
 * or LOAD_DATAV. One fixed order of operations: scalars and vectors give the same. */
#if KIND == 2
#define SAMPLE(type, LOAD, map) (sample.in00 ? LOAD(input, (map) + i00) : (type)0)
#else
#define SAMPLE(type, LOAD, map)                                                                                        \
    fma((type)w11, sample.in11 ? LOAD(input, (map) + i11) : (type)0,                                                   \
        fma((type)w10, sample.in10 ? LOAD(input, (map) + i10) : (type)0,                                               \
            fma((type)w01, sample.in01 ? LOAD(input, (map) + i01) : (type)0,                                           \
                (type)w00 *(sample.in00 ? LOAD(input, (map) + i00) : (type)0))))
#endif
#if KIND == 1
#define MODULATE(value) ((value)*sample.factor)
#else
#define MODULATE(value) (value)
#endif

/* Work-item (pixel of the slab, tap and offset group, image): the position once, then all channels of the group.
 * row_stride: elements from a row of the columns to the next. */
__kernel void conv2d_im2col(const conv2d_geometry geometry, const int first_pixel, const int pixels,
                            __global const DATA *input, const PLACE input_place,
                            WHERE_PARAMETERS __global COLUMN *columns, const PLACE columns_place,
                            const ulong row_stride)
{
    const int slab_pixel = (int)get_global_id(0);
    if (slab_pixel >= pixels)
        return;
    const int taps = geometry.kernel_h * geometry.kernel_w;
    const int tap = (int)get_global_id(1) % taps;
    const int offset_group = (int)get_global_id(1) / taps;
    const int image = (int)get_global_id(2);
    const conv2d_sample sample = find_sample(geometry, WHERE_ARGUMENTS offset_group, tap, first_pixel + slab_pixel);
#if NHWC
    const INDEX pitch = geometry.in_channels; /* elements from a pixel to the next */
#else
    const INDEX pitch = 1;
#endif
    const INDEX i00 = ((INDEX)sample.row.first * geometry.in_w + sample.column.first) * pitch;
#if KIND != 2
    const INDEX i01 = ((INDEX)sample.row.first * geometry.in_w + sample.column.second) * pitch;
    const INDEX i10 = ((INDEX)sample.row.second * geometry.in_w + sample.column.first) * pitch;
    const INDEX i11 = ((INDEX)sample.row.second * geometry.in_w + sample.column.second) * pitch;
    const REAL w00 = sample.row.weight0 * sample.column.weight0, w01 = sample.row.weight0 * sample.column.weight1;
    const REAL w10 = sample.row.weight1 * sample.column.weight0, w11 = sample.row.weight1 * sample.column.weight1;
#endif

    input += PLACE_OF_IMAGE(input_place, image);
    columns += PLACE_OF_IMAGE(columns_place, image);
    const int first_channel = offset_group * (geometry.in_channels / geometry.offset_groups);
    const int end_channel = first_channel + geometry.in_channels / geometry.offset_groups;
#if NHWC
    const int group_channels = geometry.in_channels / geometry.groups;
    columns += (size_t)slab_pixel * row_stride;
    int channel = first_channel;
    while (channel < end_channel) {
        /* a run of channels that is contiguous in the columns too: up to the end of the convolution's group */
        const int group = channel / group_channels;
        const int end = min(end_channel, (group + 1) * group_channels);
        int to = (group * taps + tap) * group_channels + channel % group_channels;
        for (; channel + VECTOR <= end; channel += VECTOR, to += VECTOR)
            STORE_COLUMNV(columns, to, MODULATE(SAMPLE(REALV, LOAD_DATAV, channel)));
        for (; channel < end; channel++, to++)
            STORE_COLUMN(columns, to, MODULATE(SAMPLE(REAL, LOAD_DATA, channel)));
    }
#else
    const INDEX plane = (INDEX)geometry.in_h * geometry.in_w;
    for (int channel = first_channel; channel < end_channel; channel++)
        STORE_COLUMN(columns, (size_t)(channel * taps + tap) * row_stride + slab_pixel,
                     MODULATE(SAMPLE(REAL, LOAD_DATA, channel * plane)));
#endif
}

/* weight (out_channels, in_channels/groups, taps) to the matrix that the product takes:
 *   NCHW: the same order, in REAL;   NHWC: (groups, taps, in_channels/groups, out_channels/groups) */
__kernel void conv2d_pack_weight(const conv2d_geometry geometry, __global const DATA *weight, const ulong first_element,
                                 __global REAL *packed, const ulong first_packed)
{
    const int taps = geometry.kernel_h * geometry.kernel_w;
    const int group_channels = geometry.in_channels / geometry.groups;
    const size_t element = get_global_id(0);
    if (element >= (size_t)geometry.out_channels * group_channels * taps)
        return;
    weight += first_element;
#if NHWC
    const int group_outputs = geometry.out_channels / geometry.groups;
    const int output = (int)(element % group_outputs);
    const int channel = (int)(element / group_outputs % group_channels);
    const int tap = (int)(element / group_outputs / group_channels % taps);
    const int group = (int)(element / group_outputs / group_channels / taps);
    const size_t source = ((size_t)(group * group_outputs + output) * group_channels + channel) * taps + tap;
#else
    const size_t source = element;
#endif
    packed[first_packed + element] = LOAD_DATA(weight, source);
}

/* output = result + bias, rounded to the output's type. Work-item (element of the slab, 0, image), elements in the
 * result's order. bias may be null. */
__kernel void conv2d_store(const conv2d_geometry geometry, const int first_pixel, const int pixels,
                           __global const REAL *result, __global const DATA *bias, const ulong first_bias,
                           __global DATA *output, const PLACE output_place)
{
    if (get_global_id(0) >= (size_t)geometry.out_channels * (size_t)pixels)
        return;
    const INDEX element = (INDEX)get_global_id(0);
    const int image = (int)get_global_id(2);
    result += (size_t)image * (size_t)geometry.out_channels * (size_t)pixels;
    output += PLACE_OF_IMAGE(output_place, image);
#if NHWC
    const int channel = (int)(element % geometry.out_channels);
    const INDEX to = (INDEX)first_pixel * geometry.out_channels + element;
#else
    const int channel = (int)(element / pixels);
    const INDEX to = (INDEX)channel * geometry.out_h * geometry.out_w + first_pixel + element % pixels;
#endif
    REAL value = result[element];
    if (bias)
        value += LOAD_DATA(bias, first_bias + channel);
    STORE_DATA(output, to, value);
}
