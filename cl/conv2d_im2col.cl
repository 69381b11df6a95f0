/* Deformable convolution by a matrix product: the columns, the weights in the product's order, and the output from its
 * result. A launch works on a slab: pixels first_pixel .. first_pixel+pixels-1 of the output planes of some images.
 *
 *   KIND         0: deformable, 1: modulated (mask), 2: plain
 *   NHWC         0, 1         layout of input and output
 *   MASK_SIGMOID 0, 1, 2      factor of the sigmoid that makes a mask from logits; 0: the mask as it is
 *   VECTOR       1 .. 16      channels moved at once, NHWC
 *
 * Matrices of the workspace, in REAL, for each image of the slab:
 *   NCHW: columns (in_channels*taps, pixels), row c*taps + k;               result (out_channels, pixels)
 *   NHWC: columns (pixels, groups, taps, in_channels/groups);               result (pixels, out_channels) */
#ifndef KIND
#define KIND 1
#endif
#ifndef NHWC
#define NHWC 0
#endif
#ifndef MASK_SIGMOID
#define MASK_SIGMOID 0
#endif
#ifndef VECTOR
#define VECTOR 4
#endif

#include "common.clh"
#include "conv2d_geometry.clh"
#if KIND != 2
#include "sample.clh"
#endif

#define PASTE_(a, b) a##b
#define PASTE(a, b)  PASTE_(a, b)

#if VECTOR == 1
typedef REAL REALV;
#define LOAD_DATAV(p, i)         LOAD_DATA(p, i)
#define STORE_REALV(p, i, value) ((p)[i] = (value))
#else
#if DATA_BITS == 64
typedef PASTE(double, VECTOR) REALV;
#else
typedef PASTE(float, VECTOR) REALV;
#endif
#if DATA_BITS == 16
#define LOAD_DATAV(p, i) PASTE(vload_half, VECTOR)(0, (p) + (i))
#else
#define LOAD_DATAV(p, i) PASTE(vload, VECTOR)(0, (p) + (i))
#endif
#define STORE_REALV(p, i, value) PASTE(vstore, VECTOR)(value, 0, (p) + (i))
#endif

/* The value of one channel, or a vector of channels, whose map begins at element `map` of the input; LOAD is one of the
 * macros above. One fixed order of operations: scalars and vectors give the same. */
#if KIND == 2
#define SAMPLE(type, LOAD, map) (in00 ? LOAD(input, (map) + i00) : (type)0)
#else
#define SAMPLE(type, LOAD, map)                                                                                        \
    fma((type)w11, in11 ? LOAD(input, (map) + i11) : (type)0,                                                          \
        fma((type)w10, in10 ? LOAD(input, (map) + i10) : (type)0,                                                      \
            fma((type)w01, in01 ? LOAD(input, (map) + i01) : (type)0,                                                  \
                (type)w00 *(in00 ? LOAD(input, (map) + i00) : (type)0))))
#endif
#if KIND == 1
#define MODULATE(value) ((value)*factor)
#else
#define MODULATE(value) (value)
#endif

#if KIND != 2
/* Element of channel `channel` of `channels` at output pixel `pixel`. */
static INDEX offset_index(conv2d_geometry geometry, int channel, int channels, int pixel)
{
    const INDEX plane = (INDEX)geometry.out_h * geometry.out_w;
    return geometry.offset_last ? (INDEX)pixel * channels + channel : (INDEX)channel * plane + pixel;
}

static REAL clamp_offset(REAL value, REAL limit)
{
    /* NaN passes: it is to sample nothing, not the limit */
    return value > limit ? limit : value < -limit ? -limit : value;
}
#endif

/* Work-item (pixel of the slab, tap and offset group, image): the position once, then all channels of the group. */
__kernel void conv2d_im2col(const conv2d_geometry geometry, const int first_pixel, const int pixels,
                            __global const DATA *input, const PLACE input_place,
#if KIND != 2
                            __global const OFFSET *offset, const PLACE offset_place, const REAL offset_limit,
#endif
#if KIND == 1
                            __global const OFFSET *mask, const PLACE mask_place,
#endif
                            __global REAL *columns)
{
    const int slab_pixel = (int)get_global_id(0);
    if (slab_pixel >= pixels)
        return;
    const int taps = geometry.kernel_h * geometry.kernel_w;
    const int tap = (int)get_global_id(1) % taps;
    const int offset_group = (int)get_global_id(1) / taps;
    const int image = (int)get_global_id(2);
    const int pixel = first_pixel + slab_pixel;
    const int out_y = pixel / geometry.out_w, out_x = pixel % geometry.out_w;
    const int tap_y = tap / geometry.kernel_w, tap_x = tap % geometry.kernel_w;

    const int base_y = out_y * geometry.stride_h - geometry.pad_top + tap_y * geometry.dilation_h;
    const int base_x = out_x * geometry.stride_w - geometry.pad_left + tap_x * geometry.dilation_w;
#if NHWC
    const INDEX pitch = geometry.in_channels; /* elements from a pixel to the next */
#else
    const INDEX pitch = 1;
#endif
#if KIND == 2
    const int in00 = base_y >= 0 && base_y < geometry.in_h && base_x >= 0 && base_x < geometry.in_w;
    const INDEX i00 = in00 ? ((INDEX)base_y * geometry.in_w + base_x) * pitch : 0;
#else
    offset += PLACE_OF_IMAGE(offset_place, image);
    const int offset_channels = 2 * taps * geometry.offset_groups;
    const int offset_channel = offset_group * 2 * taps + tap * geometry.offset_tap_step;
    const REAL dy =
        LOAD_OFFSET(offset, offset_index(geometry, offset_channel + geometry.offset_y_channel, offset_channels, pixel));
    const REAL dx =
        LOAD_OFFSET(offset, offset_index(geometry, offset_channel + geometry.offset_x_channel, offset_channels, pixel));
    const sample_axis row = place_on_axis(base_y, clamp_offset(dy, offset_limit), geometry.in_h);
    const sample_axis column = place_on_axis(base_x, clamp_offset(dx, offset_limit), geometry.in_w);
    const int exists = row.exists && column.exists;
    const int in00 = exists && row.inside0 && column.inside0, in01 = exists && row.inside0 && column.inside1;
    const int in10 = exists && row.inside1 && column.inside0, in11 = exists && row.inside1 && column.inside1;
    const INDEX i00 = ((INDEX)row.first * geometry.in_w + column.first) * pitch;
    const INDEX i01 = ((INDEX)row.first * geometry.in_w + column.second) * pitch;
    const INDEX i10 = ((INDEX)row.second * geometry.in_w + column.first) * pitch;
    const INDEX i11 = ((INDEX)row.second * geometry.in_w + column.second) * pitch;
    const REAL w00 = row.weight0 * column.weight0, w01 = row.weight0 * column.weight1;
    const REAL w10 = row.weight1 * column.weight0, w11 = row.weight1 * column.weight1;
#endif
#if KIND == 1
    mask += PLACE_OF_IMAGE(mask_place, image);
    REAL factor =
        LOAD_OFFSET(mask, offset_index(geometry, offset_group * taps + tap, taps * geometry.offset_groups, pixel));
#if MASK_SIGMOID
    factor = (REAL)MASK_SIGMOID / (1 + exp(-factor));
#endif
    if (!exists)
        factor = 0;
#endif

    input += PLACE_OF_IMAGE(input_place, image);
    columns += (size_t)image * (size_t)(taps * geometry.in_channels) * (size_t)pixels;
    const int first_channel = offset_group * (geometry.in_channels / geometry.offset_groups);
    const int end_channel = first_channel + geometry.in_channels / geometry.offset_groups;
#if NHWC
    const int group_channels = geometry.in_channels / geometry.groups;
    int channel = first_channel;
    while (channel < end_channel) {
        /* a run of channels that is contiguous in the columns too: up to the end of the convolution's group */
        const int group = channel / group_channels;
        const int end = min(end_channel, (group + 1) * group_channels);
        INDEX to =
            ((INDEX)(slab_pixel * geometry.groups + group) * taps + tap) * group_channels + channel % group_channels;
        for (; channel + VECTOR <= end; channel += VECTOR, to += VECTOR)
            STORE_REALV(columns, to, MODULATE(SAMPLE(REALV, LOAD_DATAV, channel)));
        for (; channel < end; channel++, to++)
            columns[to] = MODULATE(SAMPLE(REAL, LOAD_DATA, channel));
    }
#else
    const INDEX plane = (INDEX)geometry.in_h * geometry.in_w;
    for (int channel = first_channel; channel < end_channel; channel++)
        columns[(INDEX)(channel * taps + tap) * pixels + slab_pixel] =
            MODULATE(SAMPLE(REAL, LOAD_DATA, channel * plane));
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
