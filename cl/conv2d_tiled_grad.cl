/* Gradients of input, offset and mask: the gradient of the columns is a matrix product that stays in a work-group's
 * local memory, from which four dot products over the channels give what a sample's offset and mask get, and four
 * products what its corners get, by atomic additions. Rows of a tile are channels, columns are output pixels, terms are
 * outputs.
 *
 *   NHWC         0, 1  layout of grad_output; the input is (pixels, channels) in both
 *   SAMPLE_OPEN  0, 1  the offset's gradient at exactly -1: 0, or the right-hand one
 *   ATOMIC_FORM  0     nothing is added to the input's gradient; else how (atomic.clh)
 *   and those of conv2d_tiled.clh */
#ifndef NHWC
#define NHWC 0
#endif
#ifndef ATOMIC_FORM
#define ATOMIC_FORM 0
#endif

#include "common.clh"
#include "conv2d_geometry.clh"
#include "conv2d_sample.clh"
#include "conv2d_tiled_shape.clh"
#include "vector.clh"
#include "conv2d_tiled.clh"
#include "conv2d_offset_gradient.clh"
#if ATOMIC_FORM
#include "atomic.clh"
#endif

#define LANES (TILE_ROWS / VECTOR) /* work-items that share a pixel's channels */
#define TURN  (ITEMS / LANES)      /* pixels that are worked on at a time */
/* From a pixel to the next of the gradient of the columns, which takes the place of the blocks. */
#define PIXEL_PITCH (TILE_ROWS + 4)
#define BLOCKS_SIZE (TILE_DEPTH * TILE_ROWS + TILE_TERMS * TERM_PITCH)
#define POOL_SIZE   (BLOCKS_SIZE > TILE_COLUMNS * PIXEL_PITCH ? BLOCKS_SIZE : TILE_COLUMNS * PIXEL_PITCH)

/* The output's gradient, of one image. */
static REAL grad_output_at(conv2d_geometry geometry, __global const DATA *grad_output, int output, int pixel)
{
#if NHWC
    return LOAD_DATA(grad_output, (INDEX)pixel * geometry.out_channels + output);
#else
    return LOAD_DATA(grad_output, (INDEX)output * geometry.out_h * geometry.out_w + pixel);
#endif
}

static REAL sum_products(REALV a, REALV b)
{
    return sum_of(a * b);
}

/* The products of a vector of the columns' gradient with the input at the corners. */
static REAL4 multiply_corners(__global const DATA *input, int pitch, int4 corners, int channel, REALV value)
{
    return (REAL4)(sum_products(value, load_corner(input, pitch, corners.x, channel, ALIGNED)),
                   sum_products(value, load_corner(input, pitch, corners.y, channel, ALIGNED)),
                   sum_products(value, load_corner(input, pitch, corners.z, channel, ALIGNED)),
                   sum_products(value, load_corner(input, pitch, corners.w, channel, ALIGNED)));
}

#if ATOMIC_FORM
static void add_to_corner(__global REAL *sum, int pitch, int corner, int channel, REAL value)
{
    if (corner >= 0)
        ATOMIC_ADD_REAL(sum + ((size_t)corner * pitch + channel), value);
}
#endif

/* weight: packed (conv2d_tiled_pack.cl). sum (images, in_h*in_w, in_channels): the input's gradient is added to it;
 * dots (images, tiles, taps, pixels): products with the corners, of each tile's channels; either may be null.
 * Work-group (pixels of a tile, tile of channels and tap, image). */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
conv2d_tiled_grad(const conv2d_geometry geometry, const conv2d_tiled_shape shape, __global const DATA *input,
                  const PLACE input_place, WHERE_PARAMETERS __global const DATA *grad_output,
                  const PLACE grad_output_place, __global const REAL *weight, __global REAL *sum, __global REAL4 *dots)
{
    __local REAL4 pool[POOL_SIZE / 4];
    __local int4 corners[TILE_COLUMNS];
    __local REAL4 weights[TILE_COLUMNS];
#if SAMPLE_OPEN
    __local int adds[TILE_COLUMNS]; /* at exactly -1 a sample adds nothing, not even 0 times an infinity */
#endif
    __local REAL4 *const rows = pool, *const columns = pool + TILE_DEPTH * TILE_ROWS / 4;
    const int item = (int)get_local_id(0), image = (int)get_group_id(2);
#if KIND != 2
    __local REAL4 products[TURN * LANES];
#endif
    const int first_pixel = (int)get_group_id(0) * TILE_COLUMNS;
    const int plane = geometry.out_h * geometry.out_w, taps = geometry.kernel_h * geometry.kernel_w;
    const int tile = (int)get_group_id(1) / taps, tap = (int)get_group_id(1) % taps;
    const int group_channels = geometry.in_channels / geometry.groups;
    const int group_outputs = geometry.out_channels / geometry.groups;
    const int section = GROUPED ? tile * shape.slots : tile / shape.section_tiles; /* a run */
    const int group = section * shape.run / group_channels;
    const int first_output = group * group_outputs;
#if GROUPED
    const int terms = shape.slots * shape.depth;
    const int end_output = min(group + shape.slots, geometry.groups) * group_outputs;
#else
    const int terms = TILE_DEPTH, end_output = first_output + group_outputs;
#endif
    tile_sums sums;
    clear_sums(sums);
    grad_output += PLACE_OF_IMAGE(grad_output_place, image);

    const int offset_group = section * shape.run / (geometry.in_channels / geometry.offset_groups);
    for (int i = item; i < TILE_COLUMNS; i += ITEMS) {
        conv2d_sample found = {0};
        tile_sample placed = {(int4)-1, (REAL4)0, 0};
        if (first_pixel + i < plane) {
            found = find_sample(geometry, WHERE_ARGUMENTS offset_group, tap, first_pixel + i);
            placed = place_corners(geometry, found);
        }
        corners[i] = placed.corners;
        weights[i] = placed.weights * placed.factor;
#if SAMPLE_OPEN
        adds[i] = found.exists && (found.row.inside0 || found.row.weight1 > 0) &&
                  (found.column.inside0 || found.column.weight1 > 0);
#endif
    }
    weight += (size_t)(tile * taps + tap) * shape.blocks * (shape.depth * TILE_ROWS);
    for (int block = 0; block < shape.blocks; block++) {
        const int from = first_output + block * shape.depth;
        load_weights(rows, shape, weight + (size_t)block * (shape.depth * TILE_ROWS), item);
        for (int i = item; i < terms * TILE_COLUMNS; i += ITEMS) {
#if NHWC
            const int term = i % terms, column = i / terms;
#else
            const int term = i / TILE_COLUMNS, column = i % TILE_COLUMNS;
#endif
            const bool there = from + term < end_output && first_pixel + column < plane;
            ((__local REAL *)columns)[term * TERM_PITCH + column] =
                there ? grad_output_at(geometry, grad_output, from + term, first_pixel + column) : 0;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        multiply_block(sums, shape, rows, columns, item);
        barrier(CLK_LOCAL_MEM_FENCE);
    }

#if KIND == 2
    (void)input;
    (void)dots;
#else
    input += PLACE_OF_IMAGE(input_place, image);
    if (dots)
        dots += (size_t)image * (get_num_groups(1) * (size_t)plane); /* of all tiles and taps */
#endif
#if ATOMIC_FORM
    if (sum)
        sum += (size_t)image * ((size_t)geometry.in_h * geometry.in_w * geometry.in_channels);
#else
    (void)sum;
#endif
    /* the gradient of the columns, a pixel's channels side by side */
    FOR_VECTORS (r, c) {
        __local REAL4 *const to = pool + (VECTOR_COLUMN(item, c) * PIXEL_PITCH + VECTOR_ROW(item, r)) / 4;
        to[0] = TURNED(sums, r, c, x);
        to[PIXEL_PITCH / 4] = TURNED(sums, r, c, y);
        to[2 * (PIXEL_PITCH / 4)] = TURNED(sums, r, c, z);
        to[3 * (PIXEL_PITCH / 4)] = TURNED(sums, r, c, w);
    }
    barrier(CLK_LOCAL_MEM_FENCE);

#if KIND != 2 || ATOMIC_FORM /* else nothing is made of it */
    for (int first = 0; first < TILE_COLUMNS; first += TURN) {
        const int lane = item % LANES, column = first + item / LANES;
#if KIND != 2
        const int m = lane * VECTOR;
        const int channel = row_number(shape, tile, m, shape.run, geometry.in_channels / shape.run);
        REAL4 product = (REAL4)0;
#endif
        if (item < TURN * LANES && column < TILE_COLUMNS) {
            __local const REAL *const values = (__local const REAL *)pool + column * PIXEL_PITCH;
            const int4 corner = corners[column];
#if KIND != 2
            if (dots && channel >= 0) {
                const REALV value = LOAD_REALV(values, m);
                product = multiply_corners(input, geometry.in_channels, corner, channel, value);
            }
#endif
#if ATOMIC_FORM
#if SAMPLE_OPEN
            if (sum && adds[column])
#else
            if (sum)
#endif
                UNROLLED for (int j = 0; j < VECTOR; j++) /* neighbours add to neighbours */
                {
                    const int row = j * LANES + lane;
                    const int to = row_number(shape, tile, row, shape.run, geometry.in_channels / shape.run);
                    const REAL4 factor = weights[column];
                    if (to < 0)
                        continue;
                    add_to_corner(sum, geometry.in_channels, corner.x, to, values[row] * factor.x);
#if KIND != 2
                    add_to_corner(sum, geometry.in_channels, corner.y, to, values[row] * factor.y);
                    add_to_corner(sum, geometry.in_channels, corner.z, to, values[row] * factor.z);
                    add_to_corner(sum, geometry.in_channels, corner.w, to, values[row] * factor.w);
#endif
                }
#endif
        }
#if KIND != 2
        if (dots) {
            if (item < TURN * LANES)
                products[item] = product;
            barrier(CLK_LOCAL_MEM_FENCE);
            /* a pixel's four sums by four work-items */
            for (int i = item; i < 4 * TURN; i += ITEMS) {
                REAL total = 0;
                for (int l = 0; l < LANES; l++)
                    total += ((__local const REAL *)products)[(i / 4 * LANES + l) * 4 + i % 4];
                const int pixel = first_pixel + first + i / 4;
                if (first + i / 4 < TILE_COLUMNS && pixel < plane)
                    ((__global REAL *)dots)[(((size_t)tile * taps + tap) * plane + pixel) * 4 + i % 4] = total;
            }
            barrier(CLK_LOCAL_MEM_FENCE);
        }
#endif
    }
#endif
}

#if KIND != 2
/* Gradients of offset and mask from the dots of all tiles. grad_offset and grad_mask may be null; accumulate: bit 0 for
 * the offset, bit 1 for the mask. Work-item (output pixel, tap and offset group, image). */
__kernel void conv2d_tiled_finish(const conv2d_geometry geometry, const int tiles,
                                  WHERE_PARAMETERS __global const REAL4 *dots, __global OFFSET *grad_offset,
                                  const PLACE grad_offset_place, __global OFFSET *grad_mask,
                                  const PLACE grad_mask_place, const int accumulate)
{
    const int plane = geometry.out_h * geometry.out_w, taps = geometry.kernel_h * geometry.kernel_w;
    const int pixel = (int)get_global_id(0), image = (int)get_global_id(2);
    if (pixel >= plane)
        return;
    const int tap = (int)get_global_id(1) % taps, offset_group = (int)get_global_id(1) / taps;
    const int each = tiles / geometry.offset_groups; /* of an offset group */
    REAL4 total = (REAL4)0;
    for (int tile = offset_group * each; tile < (offset_group + 1) * each; tile++)
        total += dots[(((size_t)image * tiles + tile) * taps + tap) * plane + pixel];
    const REAL all[4] = {total.x, total.y, total.z, total.w};
    const conv2d_sample sample = find_sample(geometry, WHERE_ARGUMENTS offset_group, tap, pixel);
    store_offset_gradient(geometry, find_offset_gradient(sample, all), offset_group, tap, pixel,
                          grad_offset ? grad_offset + PLACE_OF_IMAGE(grad_offset_place, image) : 0,
                          grad_mask ? grad_mask + PLACE_OF_IMAGE(grad_mask_place, image) : 0, accumulate);
}
#endif
