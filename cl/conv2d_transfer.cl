/* What backward moves between the caller's tensors and its workspace, and the gradient of the bias.
 *
 *   NHWC       0, 1        layout of the caller's input, output and their gradients; the workspace's is NHWC, but where
 *                          said otherwise
 *   WGRAD_BITS 16, 32, 64  type of the gradients of weight and bias */
#ifndef NHWC
#define NHWC 0
#endif
#ifndef WGRAD_BITS
#define WGRAD_BITS DATA_BITS
#endif

#include "common.clh"
#include "conv2d_geometry.clh"
#include "conv2d_move.clh"
#define LONG_SUM_OF REAL
#include "long_sum.clh"

#if WGRAD_BITS == 64 && DATA_BITS != 64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif
#if WGRAD_BITS == 16
typedef half WGRAD;
#define LOAD_WGRAD(p, i)         vload_half((size_t)(i), p)
#define STORE_WGRAD(p, i, value) vstore_half_rte(value, (size_t)(i), p)
#elif WGRAD_BITS == 64
typedef double WGRAD;
#define LOAD_WGRAD(p, i)         ((p)[i])
#define STORE_WGRAD(p, i, value) ((p)[i] = (value))
#else
typedef float WGRAD;
#define LOAD_WGRAD(p, i)         ((p)[i])
#define STORE_WGRAD(p, i, value) ((p)[i] = (float)(value))
#endif
#if WGRAD_BITS == 64
typedef double WGRAD_REAL; /* the wider of the two */
#else
typedef REAL WGRAD_REAL;
#endif

static void store_parameter_gradient(__global WGRAD *to, size_t index, REAL value, int accumulate)
{
    WGRAD_REAL sum = (WGRAD_REAL)value;
    if (accumulate)
        sum += (WGRAD_REAL)LOAD_WGRAD(to, index);
    STORE_WGRAD(to, index, sum);
}

/* Work-item 32-bit word. All bits 0 is 0 in every type. */
__kernel void conv2d_clear(__global int *words, const ulong n)
{
    if (get_global_id(0) < n)
        words[get_global_id(0)] = 0;
}

/* Input to NHWC, in its own type. Dimension 2: images. */
__kernel void conv2d_pack_input(const conv2d_geometry geometry, __global const DATA *input, const PLACE input_place,
                                __global DATA *packed)
{
    TILE_OF_KERNEL
    const INDEX plane = (INDEX)geometry.in_h * geometry.in_w;
    input += PLACE_OF_IMAGE(input_place, get_global_id(2));
    packed += get_global_id(2) * (size_t)plane * geometry.in_channels;
#define FROM(p, c)         LOAD_DATA(input, (c)*plane + (p))
#define STORE(p, c, value) STORE_DATA(packed, (p)*geometry.in_channels + (c), value)
    MOVE(plane, geometry.in_channels, 1, 0, FROM, STORE)
#undef FROM
#undef STORE
}

/* A slab of grad_output in REAL, to (out_channels, pixels) where `planes` is 1, else (pixels, out_channels): `pitch`
 * elements from a row to the next, image_stride from an image to the next. Dimension 2: images. */
__kernel void conv2d_load_grad_output(const conv2d_geometry geometry, const int first_pixel, const int pixels,
                                      __global const DATA *grad_output, const PLACE place, __global REAL *loaded,
                                      const int planes, const int pitch, const ulong image_stride)
{
    TILE_OF_KERNEL
    grad_output += PLACE_OF_IMAGE(place, get_global_id(2));
    loaded += get_global_id(2) * image_stride;
#if NHWC
#define FROM(p, c) LOAD_DATA(grad_output, (first_pixel + (p)) * geometry.out_channels + (c))
#else
#define FROM(p, c) LOAD_DATA(grad_output, (INDEX)(c)*geometry.out_h *geometry.out_w + first_pixel + (p))
#endif
#define STORE(p, c, value) (loaded[planes ? (size_t)(c)*pitch + (p) : (size_t)(p)*pitch + (c)] = (value))
    MOVE(pixels, geometry.out_channels, !NHWC, planes, FROM, STORE)
#undef FROM
#undef STORE
}

/* grad_input = sum (image, in_h*in_w, in_channels), or + sum. Dimension 2: images. */
__kernel void conv2d_store_grad_input(const conv2d_geometry geometry, __global const REAL *sum,
                                      __global DATA *grad_input, const PLACE place, const int accumulate)
{
    TILE_OF_KERNEL
    const INDEX plane = (INDEX)geometry.in_h * geometry.in_w;
    grad_input += PLACE_OF_IMAGE(place, get_global_id(2));
    sum += get_global_id(2) * (size_t)plane * geometry.in_channels;
#if NHWC
#define TO(p, c) ((p)*geometry.in_channels + (c))
#else
#define TO(p, c) ((c)*plane + (p))
#endif
#define FROM(p, c) sum[(size_t)(p)*geometry.in_channels + (c)]
#define STORE(p, c, value)                                                                                             \
    STORE_DATA(grad_input, TO(p, c), accumulate ? (value) + LOAD_DATA(grad_input, TO(p, c)) : (value))
    MOVE(plane, geometry.in_channels, 0, !NHWC, FROM, STORE)
#undef TO
#undef FROM
#undef STORE
}

/* ---- gradients of the parameters: sums over all pixels of all images --------------------------------------- */

/* sum and rest = product (first), or += product. Work-item element of the weight. */
__kernel void conv2d_add_product(const ulong n, __global const REAL *product, __global REAL *sum, __global REAL *rest,
                                 const int first)
{
    const size_t element = get_global_id(0);
    if (element >= n)
        return;
    long_sum total = {0, 0};
    if (!first) {
        total.sum = sum[element];
        total.rest = rest[element];
    }
    total = add(total, product[element]);
    sum[element] = total.sum;
    rest[element] = total.rest;
}

/* grad_weight (out_channels, in_channels/groups, taps) = or += sum + rest (groups, taps, in_channels/groups,
 * out_channels/groups), `pitch` elements from a channel to the next. sum null: zeros; rest null: there is none.
 * TILED 0: work-item (BLOCK taps of channels, BLOCK outputs, group), further ones as the launch is wide: a square that
 * both sides hold in whole lines. */
__kernel void conv2d_store_grad_weight(const conv2d_geometry geometry, __global const REAL *sum,
                                       __global const REAL *rest, __global WGRAD *grad_weight,
                                       const ulong first_element, const int accumulate, const int pitch)
{
    const int taps = geometry.kernel_h * geometry.kernel_w;
    const int group_channels = geometry.in_channels / geometry.groups, depth = group_channels * taps;
    const int group_outputs = geometry.out_channels / geometry.groups;
#if TILED
    TILE_OF_KERNEL
    for (int group = (int)get_global_id(2); group < geometry.groups; group += (int)get_global_size(2)) {
#define AT(k, o)   ((((size_t)group * taps + (k) % taps) * group_channels + (k) / taps) * pitch + (o))
#define FROM(k, o) (sum ? rest ? sum[AT(k, o)] + rest[AT(k, o)] : sum[AT(k, o)] : 0)
#define STORE(k, o, value)                                                                                             \
    store_parameter_gradient(grad_weight + first_element, ((size_t)group * group_outputs + (o)) * depth + (k), value,  \
                             accumulate)
        MOVE(depth, group_outputs, 0, 1, FROM, STORE)
#undef AT
#undef FROM
#undef STORE
    }
#else
    const int first = (int)get_global_id(0) * BLOCK;
    if (get_global_id(0) * BLOCK >= (size_t)depth)
        return;
    const int n = min(BLOCK, depth - first);
    for (int group = (int)get_global_id(2); group < geometry.groups; group += (int)get_global_size(2))
        for (int o = (int)get_global_id(1) * BLOCK; o < group_outputs; o += (int)get_global_size(1) * BLOCK) {
            const int outputs = min(BLOCK, group_outputs - o);
            REAL values[BLOCK][BLOCK];
            for (int k = 0; k < n; k++) {
                const int channel = (first + k) / taps, tap = (first + k) % taps;
                const size_t from = (((size_t)group * taps + tap) * group_channels + channel) * pitch + o;
                for (int i = 0; i < outputs; i++)
                    values[k][i] = sum ? rest ? sum[from + i] + rest[from + i] : sum[from + i] : 0;
            }
            for (int i = 0; i < outputs; i++) {
                const size_t to = ((size_t)group * group_outputs + o + i) * depth + first;
                for (int k = 0; k < n; k++)
                    store_parameter_gradient(grad_weight + first_element, to + k, values[k][i], accumulate);
            }
        }
#endif
}

#define PART 256 /* pixels of a part */

/* Sums of parts of the images' planes, (image, part, out_channels). Work-item (channel, part, image). */
__kernel void conv2d_sum_grad_output(const conv2d_geometry geometry, __global const DATA *grad_output,
                                     const PLACE place, __global REAL *sums)
{
    const int plane = geometry.out_h * geometry.out_w, channel = (int)get_global_id(0);
    if (channel >= geometry.out_channels)
        return;
    const int parts = plane / PART + (plane % PART != 0);
    grad_output += PLACE_OF_IMAGE(place, get_global_id(2));
    for (int part = (int)get_global_id(1); part < parts; part += (int)get_global_size(1)) {
        const int first = part * PART, end = first + min(PART, plane - first);
        long_sum sum = {0, 0};
        for (int pixel = first; pixel < end; pixel++) {
#if NHWC
            sum = add(sum, LOAD_DATA(grad_output, (INDEX)pixel * geometry.out_channels + channel));
#else
            sum = add(sum, LOAD_DATA(grad_output, (INDEX)channel * plane + pixel));
#endif
        }
        sums[(get_global_id(2) * parts + part) * geometry.out_channels + channel] = sum.sum + sum.rest;
    }
}

/* sum and rest (out_channels) = all parts (first), or += all parts, in order. Work-item channel. */
__kernel void conv2d_add_sums(const conv2d_geometry geometry, __global const REAL *sums, const int parts,
                              __global REAL *sum, __global REAL *rest, const int first)
{
    const int channel = (int)get_global_id(0);
    if (channel >= geometry.out_channels)
        return;
    long_sum total = {0, 0};
    if (!first) {
        total.sum = sum[channel];
        total.rest = rest[channel];
    }
    for (int part = 0; part < parts; part++)
        total = add(total, sums[(size_t)part * geometry.out_channels + channel]);
    sum[channel] = total.sum;
    rest[channel] = total.rest;
}

/* grad_bias = or += sum + rest. sum null: zeros. Work-item channel. */
__kernel void conv2d_store_grad_bias(const conv2d_geometry geometry, __global const REAL *sum,
                                     __global const REAL *rest, __global WGRAD *grad_bias, const ulong first_element,
                                     const int accumulate)
{
    const int channel = (int)get_global_id(0);
    if (channel >= geometry.out_channels)
        return;
    grad_bias += first_element;
    store_parameter_gradient(grad_bias, (size_t)channel, sum ? sum[channel] + rest[channel] : 0, accumulate);
}
