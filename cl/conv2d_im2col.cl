/* Deformable convolution by a matrix product: the columns, the weights in the product's order, and the output from its
 * result. A launch works on a slab: pixels first_pixel .. first_pixel+pixels-1 of the output planes of some images.
 *
 *   NHWC    0, 1   order of the input
 *   PLANAR  0, 1   order of the columns, for each image of the slab; 1 where NHWC is 0:
 *                  1: (in_channels*taps, pixels), row c*taps + k
 *                  0: (pixels, groups*taps*in_channels/groups), row a pixel
 *   LANES   1, 2, 4, ...  work-items side by side on the channels of a pixel (NHWC). 1: a work-item does all of them.
 *                  More: VECTOR divides in_channels/groups and in_channels/offset_groups, so that no vector is cut */
#ifndef NHWC
#define NHWC 0
#endif
#ifndef PLANAR
#define PLANAR !NHWC
#endif
#ifndef LANES
#define LANES 1
#endif

#include "common.clh"
#include "conv2d_geometry.clh"
#include "conv2d_move.clh"
#include "conv2d_sample.clh"
#include "vector.clh"

/* What all channels of an offset group share. */
typedef struct corners {
    INDEX i00, i01, i10, i11; /* elements of the input, of the first channel */
    REAL w00, w01, w10, w11;
    REAL factor;
    int inside; /* bit 0: i00 counts, bit 1: i01, bit 2: i10, bit 3: i11 */
} corners;

static corners find_corners(conv2d_geometry geometry, conv2d_sample sample)
{
    corners at;
    const INDEX pitch = NHWC ? geometry.in_channels : 1; /* elements from a pixel to the next */
    at.i00 = ((INDEX)sample.row.first * geometry.in_w + sample.column.first) * pitch;
    at.i01 = ((INDEX)sample.row.first * geometry.in_w + sample.column.second) * pitch;
    at.i10 = ((INDEX)sample.row.second * geometry.in_w + sample.column.first) * pitch;
    at.i11 = ((INDEX)sample.row.second * geometry.in_w + sample.column.second) * pitch;
    at.w00 = sample.row.weight0 * sample.column.weight0;
    at.w01 = sample.row.weight0 * sample.column.weight1;
    at.w10 = sample.row.weight1 * sample.column.weight0;
    at.w11 = sample.row.weight1 * sample.column.weight1;
    at.factor = sample.factor;
    at.inside = (sample.in00 ? 1 : 0) | (sample.in01 ? 2 : 0) | (sample.in10 ? 4 : 0) | (sample.in11 ? 8 : 0);
    return at;
}

/* The value of one channel, or a vector of channels, whose map begins at element `map` of the input; LOAD is LOAD_DATA
 * or LOAD_DATAV. One fixed order of operations: scalars and vectors give the same. */
#if KIND == 2
#define SAMPLE(type, LOAD, map) (at.inside & 1 ? LOAD(input, (map) + at.i00) : (type)0)
#else
#define SAMPLE(type, LOAD, map)                                                                                        \
    fma((type)at.w11, at.inside & 8 ? LOAD(input, (map) + at.i11) : (type)0,                                           \
        fma((type)at.w10, at.inside & 4 ? LOAD(input, (map) + at.i10) : (type)0,                                       \
            fma((type)at.w01, at.inside & 2 ? LOAD(input, (map) + at.i01) : (type)0,                                   \
                (type)at.w00 * (at.inside & 1 ? LOAD(input, (map) + at.i00) : (type)0))))
#endif
#if KIND == 1
#define MODULATE(value) ((value)*at.factor)
#else
#define MODULATE(value) (value)
#endif

#if LANES == 1
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
    const corners at =
        find_corners(geometry, find_sample(geometry, WHERE_ARGUMENTS offset_group, tap, first_pixel + slab_pixel));

    input += PLACE_OF_IMAGE(input_place, image);
    columns += PLACE_OF_IMAGE(columns_place, image);
    const int first_channel = offset_group * (geometry.in_channels / geometry.offset_groups);
    const int end_channel = first_channel + geometry.in_channels / geometry.offset_groups;
#if PLANAR
    const INDEX step = NHWC ? 1 : (INDEX)geometry.in_h * geometry.in_w; /* elements from a channel to the next */
    for (int channel = first_channel; channel < end_channel; channel++)
        STORE_COLUMN(columns, (size_t)(channel * taps + tap) * row_stride + slab_pixel,
                     MODULATE(SAMPLE(REAL, LOAD_DATA, channel * step)));
#else
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
#endif
}
#else
#define TILE 32 /* pixels of a work-group */

/* Work-group (TILE pixels of the slab, tap and offset group, image), of any size: the positions of its pixels once,
 * then neighbours work on neighbouring vectors of channels. Planar columns are turned in local memory, so that
 * neighbours store neighbouring pixels. */
__kernel void conv2d_im2col(const conv2d_geometry geometry, const int first_pixel, const int pixels,
                            __global const DATA *input, const PLACE input_place,
                            WHERE_PARAMETERS __global COLUMN *columns, const PLACE columns_place,
                            const ulong row_stride)
{
    __local corners places[TILE];
#if PLANAR
    __local REAL turned[LANES * VECTOR][TILE + 1]; /* one more: neighbours then lie in different banks */
#endif
    if (get_group_id(0) * TILE >= (size_t)pixels)
        return;
    const int first = (int)get_group_id(0) * TILE, n = min(TILE, pixels - first);
    const int item = (int)get_local_id(0), items = (int)get_local_size(0);
    const int taps = geometry.kernel_h * geometry.kernel_w;
    const int tap = (int)get_group_id(1) % taps;
    const int offset_group = (int)get_group_id(1) / taps;
    const int image = (int)get_group_id(2);
    for (int p = item; p < n; p += items)
        places[p] =
            find_corners(geometry, find_sample(geometry, WHERE_ARGUMENTS offset_group, tap, first_pixel + first + p));
    barrier(CLK_LOCAL_MEM_FENCE);

    input += PLACE_OF_IMAGE(input_place, image);
    columns += PLACE_OF_IMAGE(columns_place, image);
    const int first_channel = offset_group * (geometry.in_channels / geometry.offset_groups);
    const int end_channel = first_channel + geometry.in_channels / geometry.offset_groups;
    /* in_channels is a multiple of VECTOR: where the first vector is aligned, all are */
    bool aligned = (size_t)input % sizeof(DATAV) == 0;
#if PLANAR
    for (int begin = first_channel; begin < end_channel; begin += LANES * VECTOR) {
        for (int i = item; i < n * LANES; i += items) {
            const int p = i / LANES, lane = i % LANES, channel = begin + lane * VECTOR;
            if (channel < end_channel) {
                const corners at = places[p];
                REAL values[VECTOR];
                if (aligned)
                    STORE_REALV(values, 0, MODULATE(SAMPLE(REALV, LOAD_ALIGNED_DATAV, channel)));
                else
                    STORE_REALV(values, 0, MODULATE(SAMPLE(REALV, LOAD_DATAV, channel)));
                for (int j = 0; j < VECTOR; j++)
                    turned[lane * VECTOR + j][p] = values[j];
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int i = item; i < LANES * VECTOR * TILE; i += items) {
            const int p = i % TILE, channel = begin + i / TILE;
            if (p < n && channel < end_channel)
                STORE_COLUMN(columns, (size_t)(channel * taps + tap) * row_stride + first + p, turned[i / TILE][p]);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
#else
    const int group_channels = geometry.in_channels / geometry.groups;
    aligned = aligned && (size_t)columns % sizeof(COLUMNV) == 0 && row_stride % VECTOR == 0;
    for (int i = item; i < n * LANES; i += items) {
        const corners at = places[i / LANES];
        __global COLUMN *const row = columns + (size_t)(first + i / LANES) * row_stride;
        for (int channel = first_channel + i % LANES * VECTOR; channel < end_channel; channel += LANES * VECTOR) {
            const int group = geometry.groups == 1 ? 0 : channel / group_channels;
            const int to = channel + (group * (taps - 1) + tap) * group_channels;
            if (aligned)
                STORE_ALIGNED_COLUMNV(row, to, MODULATE(SAMPLE(REALV, LOAD_ALIGNED_DATAV, channel)));
            else
                STORE_COLUMNV(row, to, MODULATE(SAMPLE(REALV, LOAD_DATAV, channel)));
        }
    }
#endif
}
#endif

/* Orders of the weight as a matrix of each group, in REAL. */
#define AS_GIVEN              0 /* (outputs, channels, taps) */
#define TAPS_CHANNELS_OUTPUTS 1
#define CHANNELS_TAPS_OUTPUTS 2
#define OUTPUTS_TAPS_CHANNELS 3

/* weight (out_channels, in_channels/groups, taps) to the matrix that the product takes, as conv2d_move.clh moves taps
 * of channels and outputs. Dimension 2: groups, further ones as the launch is deep. */
__kernel void conv2d_pack_weight(const conv2d_geometry geometry, __global const DATA *weight, const ulong first_element,
                                 __global REAL *packed, const ulong first_packed, const int order)
{
    TILE_OF_KERNEL
    const int taps = geometry.kernel_h * geometry.kernel_w;
    const int channels = geometry.in_channels / geometry.groups, outputs = geometry.out_channels / geometry.groups;
    const int depth = channels * taps;
    const bool channels_last = order == OUTPUTS_TAPS_CHANNELS, outputs_first = order == AS_GIVEN || channels_last;
    const bool taps_first = order == TAPS_CHANNELS_OUTPUTS || channels_last;
    for (int group = (int)get_global_id(2); group < geometry.groups; group += (int)get_global_size(2)) {
        __global const DATA *const from = weight + first_element + (size_t)group * outputs * depth;
        __global REAL *const to = packed + first_packed + (size_t)group * outputs * depth;
#define ROW(k)             (taps_first ? (k) % taps * channels + (k) / taps : (k))
#define FROM(k, o)         LOAD_DATA(from, (size_t)(o)*depth + (k))
#define STORE(k, o, value) (to[outputs_first ? (size_t)(o)*depth + ROW(k) : (size_t)ROW(k) * outputs + (o)] = (value))
        MOVE(depth, outputs, 1, outputs_first, FROM, STORE)
#undef ROW
#undef FROM
#undef STORE
    }
}

/* output = result + bias, rounded to the output's type. Work-item (element of the slab, 0, image), elements in the
 * result's order: (pixels, out_channels) for outputs in NHWC (last), else (out_channels, pixels) with `pitch` elements
 * from a channel to the next. image_stride: elements from an image's result to the next. bias may be null. */
__kernel void conv2d_store(const conv2d_geometry geometry, const int first_pixel, const int pixels,
                           __global const REAL *result, const int last, const int pitch, const ulong image_stride,
                           __global const DATA *bias, const ulong first_bias, __global DATA *output,
                           const PLACE output_place)
{
    if (get_global_id(0) >= (size_t)geometry.out_channels * (size_t)pixels)
        return;
    const INDEX element = (INDEX)get_global_id(0);
    const int image = (int)get_global_id(2);
    const int channel = (int)(last ? element % geometry.out_channels : element / pixels);
    const INDEX from = last ? element : (INDEX)channel * pitch + element % pixels;
    const INDEX to = last ? (INDEX)first_pixel * geometry.out_channels + element
                          : (INDEX)channel * geometry.out_h * geometry.out_w + first_pixel + element % pixels;
    REAL value = result[image * image_stride + from];
    if (bias)
        value += LOAD_DATA(bias, first_bias + channel);
    STORE_DATA(output + PLACE_OF_IMAGE(output_place, image), to, value);
}
