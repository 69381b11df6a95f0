/* Gradient of the input from the gradient of the columns, summed in REAL as (image, in_h*in_w, in_channels) whatever
 * the layout. Three ways, the first two with sums in a fixed order:
 *
 *   scatter  a work-item owns a block of channels and adds all samples to them, in order
 *   gather   samples are sorted by the pixel they begin at; a work-item adds up what one pixel receives
 *   atomic   a work-item adds one element of the columns with atomic operations, in any order
 *
 *   NHWC         0, 1  layout of the columns (conv2d_im2col.cl)
 *   ATOMIC_FORM  0     no atomic way; else which (atomic.clh)
 *
 * All work from a table of the slab's samples, number ((image*offset_groups + offset group)*pixels + pixel)*taps + tap:
 *   corners  the row and column of the first corner, from -1 on; row NOWHERE: no sample
 *   weights  of the corners 00, 01, 10, 11, mask included */
#ifndef NHWC
#define NHWC 0
#endif
#ifndef ATOMIC_FORM
#define ATOMIC_FORM 0
#endif

#include "common.clh"
#include "conv2d_geometry.clh"
#include "conv2d_sample.clh"
#include "vector.clh"
#if ATOMIC_FORM
#include "atomic.clh"
#endif

#define NOWHERE (-2)
#if KIND == 2
#define CORNERS 1 /* the sample is a pixel */
#else
#define CORNERS 4
#endif

#if DATA_BITS == 64
typedef double4 REAL4;
#else
typedef float4 REAL4;
#endif

/* Unrolled: arrays indexed by constants are registers. */
#define FOR_VECTOR(c) _Pragma("unroll") for (int c = 0; c < VECTOR; c++)

/* Of a sample's corner i. Read where it is wanted: an array of four, indexed, would be in memory on GPUs. */
#define WEIGHT_OF(number, i) (((__global const REAL *)(weights + (number)))[i])

/* The bin of samples that begin at that pixel: (in_h + 1) * (in_w + 1) of them. */
static int bin_of(conv2d_geometry geometry, int row, int column)
{
    return (row + 1) * (geometry.in_w + 1) + column + 1;
}

static size_t bins_of(conv2d_geometry geometry)
{
    return (size_t)(geometry.in_h + 1) * (size_t)(geometry.in_w + 1);
}

/* Where the columns have an element. */
static size_t column_index(conv2d_geometry geometry, ulong row_stride, int slab_pixel, int tap, int channel)
{
    const int taps = geometry.kernel_h * geometry.kernel_w;
#if NHWC
    const int group_channels = geometry.in_channels / geometry.groups, group = channel / group_channels;
    return (size_t)slab_pixel * row_stride +
           (size_t)((group * taps + tap) * group_channels + channel - group * group_channels);
#else
    return (size_t)(channel * taps + tap) * row_stride + slab_pixel;
#endif
}

/* Fills the table, and counts the samples of each bin where `counts` is not null. Work-item (pixel of the slab, tap and
 * offset group, image). */
__kernel void conv2d_place(const conv2d_geometry geometry, const int first_pixel, const int pixels,
                           WHERE_PARAMETERS __global int2 *corners, __global REAL4 *weights, __global int *counts)
{
    const int slab_pixel = (int)get_global_id(0);
    if (slab_pixel >= pixels)
        return;
    const int taps = geometry.kernel_h * geometry.kernel_w;
    const int tap = (int)get_global_id(1) % taps;
    const int offset_group = (int)get_global_id(1) / taps;
    const int image = (int)get_global_id(2);
    const conv2d_sample sample = find_sample(geometry, WHERE_ARGUMENTS offset_group, tap, first_pixel + slab_pixel);
    const size_t plane = (size_t)image * geometry.offset_groups + offset_group;
    const size_t number = (plane * pixels + slab_pixel) * taps + tap;
    const int row = sample.row.inside0 ? sample.row.first : -1;
    const int column = sample.column.inside0 ? sample.column.first : -1;
    corners[number] = (int2)(sample.exists ? row : NOWHERE, column);
    if (!sample.exists)
        return;
    weights[number] = (REAL4)(sample.row.weight0 * sample.column.weight0, sample.row.weight0 * sample.column.weight1,
                              sample.row.weight1 * sample.column.weight0, sample.row.weight1 * sample.column.weight1) *
                      sample.factor;
    if (counts)
        atomic_inc(counts + plane * bins_of(geometry) + bin_of(geometry, row, column));
}

/* ---- scatter ------------------------------------------------------------------------------------------- */

/* Blocks of at most VECTOR channels that lie in one convolution group and one offset group; unit: the channels of the
 * smaller of these groups' common parts. */
static int blocks_of(int unit)
{
    return (unit + VECTOR - 1) / VECTOR;
}

/* Work-item (block of channels, 0, image). */
__kernel void conv2d_scatter(const conv2d_geometry geometry, const int pixels, const int unit,
                             __global const COLUMN *grad_columns, const PLACE columns_place, const ulong row_stride,
                             __global const int2 *corners, __global const REAL4 *weights, __global REAL *sum)
{
    const int block = (int)get_global_id(0);
    if (block >= geometry.in_channels / unit * blocks_of(unit))
        return;
    const int taps = geometry.kernel_h * geometry.kernel_w;
    const int image = (int)get_global_id(2);
    const int first = block / blocks_of(unit) * unit + block % blocks_of(unit) * VECTOR;
    const int channels = min(VECTOR, unit - block % blocks_of(unit) * VECTOR);
    const int offset_group = first / (geometry.in_channels / geometry.offset_groups);
    size_t number = ((size_t)image * geometry.offset_groups + offset_group) * pixels * taps;
    grad_columns += PLACE_OF_IMAGE(columns_place, image);
    sum += (size_t)image * geometry.in_h * geometry.in_w * geometry.in_channels + first;
    for (int slab_pixel = 0; slab_pixel < pixels; slab_pixel++) {
        for (int tap = 0; tap < taps; tap++, number++) {
            const int2 corner = corners[number];
            if (corner.x == NOWHERE)
                continue;
            const size_t from = column_index(geometry, row_stride, slab_pixel, tap, first);
            for (int i = 0; i < CORNERS; i++) {
                const REAL weight = WEIGHT_OF(number, i);
                const int row = corner.x + i / 2, column = corner.y + i % 2;
                if (row < 0 || row >= geometry.in_h || column < 0 || column >= geometry.in_w)
                    continue;
                __global REAL *to = sum + ((size_t)row * geometry.in_w + column) * geometry.in_channels;
#if NHWC
                if (channels == VECTOR) {
                    STORE_REALV(to, 0, fma(LOAD_COLUMNV(grad_columns, from), (REALV)weight, LOAD_REALV(to, 0)));
                    continue;
                }
                const size_t step = 1;
#else
                const size_t step = (size_t)taps * row_stride;
#endif
                for (int c = 0; c < channels; c++)
                    to[c] = fma(LOAD_COLUMN(grad_columns, from + c * step), weight, to[c]);
            }
        }
    }
}

/* ---- gather -------------------------------------------------------------------------------------------- */

/* Counts to each bin's first place, in place. One work-group (all, offset group, image). */
#define SCAN_ITEMS 64
__kernel void conv2d_scan(const conv2d_geometry geometry, __global int *bins)
{
    __local int sums[SCAN_ITEMS];
    if (get_group_id(0) > 0)
        return;
    const size_t item = get_local_id(0), items = get_local_size(0), n = bins_of(geometry);
    bins += (get_global_id(2) * geometry.offset_groups + get_global_id(1)) * n;
    const size_t share = (n + items - 1) / items, begin = min(n, item * share), end = min(n, begin + share);
    int total = 0;
    for (size_t i = begin; i < end; i++)
        total += bins[i];
    sums[item] = total;
    barrier(CLK_LOCAL_MEM_FENCE);
    int before = 0;
    for (size_t i = 0; i < item; i++)
        before += sums[i];
    for (size_t i = begin; i < end; i++) {
        const int count = bins[i];
        bins[i] = before;
        before += count;
    }
}

/* Puts each sample's number (within its offset group and image) into its bin, in any order; afterwards bins[i] is the
 * end of bin i, and the end of the one before is its begin. Work-item (sample, offset group, image). */
__kernel void conv2d_fill(const conv2d_geometry geometry, const int pixels, __global const int2 *corners,
                          __global int *bins, __global int *samples)
{
    const size_t n = (size_t)pixels * (size_t)(geometry.kernel_h * geometry.kernel_w), sample = get_global_id(0);
    if (sample >= n)
        return;
    const size_t plane = get_global_id(2) * geometry.offset_groups + get_global_id(1);
    const int2 corner = corners[plane * n + sample];
    if (corner.x == NOWHERE)
        return;
    const int place = atomic_inc(bins + plane * bins_of(geometry) + bin_of(geometry, corner.x, corner.y));
    samples[plane * n + place] = (int)sample;
}

/* Moves a value down the heap `values` of n elements from place i on. */
static void sift(__global int *values, int n, int i)
{
    const int value = values[i];
    for (int child = 2 * i + 1; child < n; child = 2 * i + 1) {
        if (child + 1 < n && values[child + 1] > values[child])
            child++;
        if (values[child] <= value)
            break;
        values[i] = values[child];
        i = child;
    }
    values[i] = value;
}

/* Sorts each bin, so that sums have one order. Work-item (bin, offset group, image). Bins hold a few samples as a rule,
 * but may hold all of them. */
__kernel void conv2d_sort(const conv2d_geometry geometry, const int pixels, __global const int *bins,
                          __global int *samples)
{
    const size_t bin = get_global_id(0);
    if (bin >= bins_of(geometry))
        return;
    const size_t plane = get_global_id(2) * geometry.offset_groups + get_global_id(1);
    bins += plane * bins_of(geometry);
    const int begin = bin > 0 ? bins[bin - 1] : 0, n = bins[bin] - begin;
    samples += plane * (size_t)pixels * (size_t)(geometry.kernel_h * geometry.kernel_w) + begin;
    if (n <= 16) {
        for (int i = 1; i < n; i++) {
            const int value = samples[i];
            int j = i;
            for (; j > 0 && samples[j - 1] > value; j--)
                samples[j] = samples[j - 1];
            samples[j] = value;
        }
        return;
    }
    for (int i = n / 2 - 1; i >= 0; i--)
        sift(samples, n, i);
    for (int last = n - 1; last > 0; last--) {
        const int value = samples[last];
        samples[last] = samples[0];
        samples[0] = value;
        sift(samples, last, 0);
    }
}

/* Work-item (pixel of the input and block of channels, 0, image); the block changes fastest. */
__kernel void conv2d_gather(const conv2d_geometry geometry, const int pixels, const int unit,
                            __global const COLUMN *grad_columns, const PLACE columns_place, const ulong row_stride,
                            __global const REAL4 *weights, __global const int *bins, __global const int *samples,
                            __global REAL *sum)
{
    const size_t blocks = (size_t)(geometry.in_channels / unit * blocks_of(unit));
    const size_t place = get_global_id(0) / blocks;
    const int block = (int)(get_global_id(0) % blocks);
    if (place >= (size_t)geometry.in_h * geometry.in_w)
        return;
    const int taps = geometry.kernel_h * geometry.kernel_w;
    const int row = (int)(place / geometry.in_w), column = (int)(place % geometry.in_w);
    const int image = (int)get_global_id(2);
    const int first = block / blocks_of(unit) * unit + block % blocks_of(unit) * VECTOR;
    const int channels = min(VECTOR, unit - block % blocks_of(unit) * VECTOR);
    const size_t plane =
        (size_t)image * geometry.offset_groups + first / (geometry.in_channels / geometry.offset_groups);
    const size_t n = (size_t)pixels * taps;
    grad_columns += PLACE_OF_IMAGE(columns_place, image);
    weights += plane * n;
    samples += plane * n;
    bins += plane * bins_of(geometry);
    REAL parts[VECTOR];
    FOR_VECTOR(c)
    parts[c] = 0;
#if NHWC
    REALV whole = (REALV)0;
#endif
    for (int i = 0; i < CORNERS; i++) {
        const int bin = bin_of(geometry, row - i / 2, column - i % 2);
        const int begin = bin > 0 ? bins[bin - 1] : 0, end = bins[bin];
        for (int at = begin; at < end; at++) {
            const int sample = samples[at];
            const REAL weight = WEIGHT_OF(sample, i);
            const size_t from = column_index(geometry, row_stride, sample / taps, sample % taps, first);
#if NHWC
            if (channels == VECTOR) {
                whole = fma(LOAD_COLUMNV(grad_columns, from), (REALV)weight, whole);
                continue;
            }
            const size_t step = 1;
#else
            const size_t step = (size_t)taps * row_stride;
#endif
            FOR_VECTOR(c)
            if (c < channels)
                parts[c] = fma(LOAD_COLUMN(grad_columns, from + c * step), weight, parts[c]);
        }
    }
    sum += ((size_t)image * geometry.in_h * geometry.in_w + place) * geometry.in_channels + first;
#if NHWC
    if (channels == VECTOR) {
        STORE_REALV(sum, 0, LOAD_REALV(sum, 0) + whole);
        return;
    }
#endif
    FOR_VECTOR(c)
    if (c < channels)
        sum[c] += parts[c];
}

/* ---- atomic -------------------------------------------------------------------------------------------- */

#if ATOMIC_FORM
/* Work-item (element of the slab's columns in their order, 0, image). */
__kernel void conv2d_scatter_atomic(const conv2d_geometry geometry, const int pixels,
                                    __global const COLUMN *grad_columns, const PLACE columns_place,
                                    const ulong row_stride, __global const int2 *corners, __global const REAL4 *weights,
                                    __global REAL *sum)
{
    const int taps = geometry.kernel_h * geometry.kernel_w;
    const size_t rows = (size_t)geometry.in_channels * taps, element = get_global_id(0);
    if (element >= rows * pixels)
        return;
    const int image = (int)get_global_id(2);
#if NHWC
    const int slab_pixel = (int)(element / rows), row_element = (int)(element % rows);
    const int group_channels = geometry.in_channels / geometry.groups;
    const int tap = row_element / group_channels % taps;
    const int channel = row_element / group_channels / taps * group_channels + row_element % group_channels;
#else
    const int slab_pixel = (int)(element % pixels), row_element = (int)(element / pixels);
    const int tap = row_element % taps, channel = row_element / taps;
#endif
    const int offset_group = channel / (geometry.in_channels / geometry.offset_groups);
    const size_t number = (((size_t)image * geometry.offset_groups + offset_group) * pixels + slab_pixel) * taps + tap;
    const int2 corner = corners[number];
    if (corner.x == NOWHERE)
        return;
    grad_columns += PLACE_OF_IMAGE(columns_place, image);
    sum += (size_t)image * geometry.in_h * geometry.in_w * geometry.in_channels + channel;
    const REAL value = LOAD_COLUMN(grad_columns, column_index(geometry, row_stride, slab_pixel, tap, channel));
    for (int i = 0; i < CORNERS; i++) {
        const int row = corner.x + i / 2, column = corner.y + i % 2;
        if (row >= 0 && row < geometry.in_h && column >= 0 && column < geometry.in_w)
            ATOMIC_ADD_REAL(sum + ((size_t)row * geometry.in_w + column) * geometry.in_channels,
                            value * WEIGHT_OF(number, i));
    }
}
#endif
