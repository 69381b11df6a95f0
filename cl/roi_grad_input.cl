/* RoI pooling, gradient of the input. A launch works on one feature map.
 *
 * No atomic additions: a work-group owns the pixels of a tile, for a block of channels for each of its work-items, and
 * collects what the RoIs that touch the tile give them, in the order of the RoIs. Work-items share nothing.
 *
 *   TILE_H, TILE_W  pixels of a tile, at most WINDOW each */
#ifndef TILE_H
#define TILE_H 8
#endif
#ifndef TILE_W
#define TILE_W 16
#endif

#include "common.clh"
#include "vector.clh"
#include "roi_geometry.clh"
#include "roi.clh"
#include "roi_channels.clh"

/* For each RoI its image, or -1 where it has none here; the pixels that it may touch, (first row, end row, first
 * column, end column), and those that each bin of each class may. Work-item RoI. */
__kernel void roi_find_boxes(ROI_PARAMETERS, const ulong n_rois, __global int *images, __global int4 *boxes,
                             __global int4 *bin_boxes)
{
    const roi_tensors tensors = ROI_TENSORS;
    const ulong r = get_global_id(0);
    if (r >= n_rois)
        return;
    const roi roi = find_roi(geometry, &tensors, r);
    int4 box = (int4)(geometry.in_h, 0, geometry.in_w, 0);
    images[r] = roi.here && roi.exists ? roi.image : -1;
    if (images[r] >= 0) {
        bin_boxes += r * geometry.classes * geometry.out_h * geometry.out_w;
        for (int class = 0; class < geometry.classes; class ++)
            for (int y = 0; y < geometry.out_h; y++)
                for (int x = 0; x < geometry.out_w; x++) {
                    roi_bin row, column;
                    place_both(geometry, &tensors, &roi, r, class, y, x, &row, &column);
                    const int2 rows = reach(&roi.rows, &row), columns = reach(&roi.columns, &column);
                    *bin_boxes++ = (int4)(rows.x, rows.y, columns.x, columns.y);
                    if (rows.x < rows.y && columns.x < columns.y)
                        box = (int4)(min(box.x, rows.x), max(box.y, rows.y), min(box.z, columns.x),
                                     max(box.w, columns.y));
                }
    }
    boxes[r] = box;
}

/* A tile of one image, and the block of channels that a work-item collects. */
typedef struct owner {
    int y, x, h, w;     /* pixels */
    __local REAL *sums; /* element (row * TILE_W + column) * pitch, of BLOCK channels */
    int pitch;
} owner;

#if METHOD == METHOD_MAX
/* What one bin gives the tile: each channel to the pixel that was its largest. */
static void add_bin(const owner *to, const REALV *gradients, __global const int *argmax, INDEX at, STRIDES strides,
                    int n, int in_w)
{
    for (int k = 0; k < VECTORS; k++) {
        REAL some[VECTOR];
        STORE_REALV(some, 0, gradients[k]);
        for (int i = 0; i < VECTOR && k * VECTOR + i < n; i++) {
            const int where = argmax[at + (k * VECTOR + i) * BETWEEN_CHANNELS(strides)];
            const int y = where / in_w - to->y, x = where % in_w - to->x;
            if (where >= 0 && y >= 0 && y < to->h && x >= 0 && x < to->w)
                to->sums[(y * TILE_W + x) * to->pitch + k * VECTOR + i] += some[i];
        }
    }
}
#else
static void add_bin(const owner *to, const REALV *gradients, const roi_weights *rows, const roi_weights *columns)
{
    REALV block[VECTORS]; /* not through the pointer, which would keep it in memory */
    FOR_VECTORS (k)
        block[k] = gradients[k];
    for (int y = rows->first; y < rows->end; y++)
        for (int x = columns->first; x < columns->end; x++) {
            const REAL weight = rows->weight[y] * columns->weight[x];
            __local REAL *const sums = to->sums + (y * TILE_W + x) * to->pitch;
            if (weight == 0) /* a gradient that is no number does not spread */
                continue;
            FOR_VECTORS (k)
                STORE_REALV(sums, k * VECTOR, fma((REALV)weight, block[k], LOAD_REALV(sums, k * VECTOR)));
        }
}
#endif

static int misses(const owner *own, int4 box)
{
    return box.y <= own->y || box.x >= own->y + own->h || box.w <= own->x || box.z >= own->x + own->w;
}

/* grad_input = the tile, or += the tile. */
static void store_tile(const owner *from, __global DATA *grad_input, INDEX at, STRIDES strides, int n, int in_w,
                       int accumulate)
{
    if (strides.y == 1) {
        for (int y = 0; y < from->h; y++)
            for (int x = 0; x < from->w; x++)
                for (int c = 0; c < n; c++) {
                    const INDEX to = at + ((INDEX)(from->y + y) * in_w + from->x + x) * BETWEEN_PIXELS(strides) + c;
                    REAL sum = from->sums[(y * TILE_W + x) * from->pitch + c];
                    if (accumulate)
                        sum += LOAD_DATA(grad_input, to);
                    STORE_DATA(grad_input, to, sum);
                }
        return;
    }
    for (int c = 0; c < n; c++)
        for (int y = 0; y < from->h; y++)
            for (int x = 0; x < from->w; x++) {
                const INDEX to = at + c * BETWEEN_CHANNELS(strides) +
                                 ((INDEX)(from->y + y) * in_w + from->x + x) * BETWEEN_PIXELS(strides);
                REAL sum = from->sums[(y * TILE_W + x) * from->pitch + c];
                if (accumulate)
                    sum += LOAD_DATA(grad_input, to);
                STORE_DATA(grad_input, to, sum);
            }
}

/* Work-group (tile, unit and image), one in dimension 0; a unit is a block of channels for each work-item, of a class
 * and a cell. Takes the RoIs first_roi .. first_roi+rois-1 of each image's list. tiles: local memory, TILE_H * TILE_W *
 * BLOCK for each work-item. */
__kernel void roi_grad_input(ROI_PARAMETERS, const int first_roi, const int rois_of_launch, __global const int *order,
                             __global const int *starts, __global const int4 *boxes, __global const int4 *bin_boxes,
                             __global const DATA *grad_output, const PLACE output_place, const STRIDES output_strides,
                             __global const int *argmax, const PLACE argmax_place, const STRIDES argmax_strides,
                             __local REAL *tile, __global DATA *grad_input, const PLACE input_place,
                             const STRIDES input_strides, const int accumulate)
{
#if METHOD != METHOD_MAX
    const roi_tensors tensors = ROI_TENSORS;
#endif
    const int class_channels = geometry.out_channels / geometry.classes, bins = geometry.out_h * geometry.out_w;
    const int group_channels = BLOCK * (int)get_local_size(0);
    const int blocks = (class_channels + group_channels - 1) / group_channels;
    const int cells = geometry.group_size * geometry.group_size, units = blocks * geometry.classes * cells;
    const int tiles_w = (geometry.in_w + TILE_W - 1) / TILE_W, tiles_h = (geometry.in_h + TILE_H - 1) / TILE_H;
    owner own;
    own.sums = tile + BLOCK * (int)get_local_id(0);
    own.pitch = group_channels;
    for (ulong u = get_global_id(2); u < (ulong)units * geometry.batch; u += get_global_size(2)) {
        const int unit = (int)(u % (ulong)units), image = (int)(u / (ulong)units);
        const int cell = unit / (blocks * geometry.classes), class = unit / blocks % geometry.classes;
        const int first_channel = unit % blocks * group_channels + BLOCK * (int)get_local_id(0);
        const int channel = class * class_channels + first_channel, n = min(BLOCK, class_channels - first_channel);
        const int2 bins_y = bins_of_part(cell / geometry.group_size, geometry.out_h, geometry.group_size);
        const int2 bins_x = bins_of_part(cell % geometry.group_size, geometry.out_w, geometry.group_size);
        if (n <= 0)
            continue;
        for (int t = (int)get_global_id(1); t < tiles_w * tiles_h; t += (int)get_global_size(1)) {
            own.y = t / tiles_w * TILE_H;
            own.x = t % tiles_w * TILE_W;
            own.h = min(TILE_H, geometry.in_h - own.y);
            own.w = min(TILE_W, geometry.in_w - own.x);
            for (int pixel = 0; pixel < TILE_H * TILE_W; pixel++)
                for (int k = 0; k < VECTORS; k++)
                    STORE_REALV(own.sums + pixel * own.pitch, k * VECTOR, (REALV)0);

            const int first = starts[image] + first_roi; /* a sum with rois_of_launch may be too large for an int */
            const int end = first + min(starts[image + 1] - first, rois_of_launch);
            for (int i = first; i < end; i++) {
                const ulong r = (ulong)order[i];
                const int4 box = boxes[r];
                if (misses(&own, box))
                    continue;
#if METHOD != METHOD_MAX
                const roi roi = find_roi(geometry, &tensors, r);
#endif
                __global const int4 *const of_roi = bin_boxes + (r * geometry.classes + class) * bins;
                for (int y = bins_y.x; y < bins_y.y; y++)
                    for (int x = bins_x.x; x < bins_x.y; x++) {
                        const int bin = y * geometry.out_w + x;
                        if (misses(&own, of_roi[bin]))
                            continue;
                        const INDEX from =
                            channel * BETWEEN_CHANNELS(output_strides) + bin * BETWEEN_PIXELS(output_strides);
                        REALV gradients[VECTORS];
#if METHOD == METHOD_MAX
                        load_block(gradients, grad_output + PLACE_OF_IMAGE(output_place, r), from, output_strides, n);
                        add_bin(&own, gradients, argmax + PLACE_OF_IMAGE(argmax_place, r),
                                channel * BETWEEN_CHANNELS(argmax_strides) + bin * BETWEEN_PIXELS(argmax_strides),
                                argmax_strides, n, geometry.in_w);
#else
                        roi_bin row, column;
                        place_both(geometry, &tensors, &roi, r, class, y, x, &row, &column);
                        const REAL count = divisor(&roi, &row, &column);
                        const REAL factor = mask_of(&tensors, r, bin).factor;
                        roi_weights row_weights, column_weights;
                        find_weights(&row_weights, &roi.rows, &row, own.y, own.h);
                        find_weights(&column_weights, &roi.columns, &column, own.x, own.w);
                        if (row_weights.first >= row_weights.end || column_weights.first >= column_weights.end)
                            continue;
                        load_block(gradients, grad_output + PLACE_OF_IMAGE(output_place, r), from, output_strides, n);
                        for (int k = 0; k < VECTORS; k++)
                            gradients[k] = gradients[k] / count * factor;
                        add_bin(&own, gradients, &row_weights, &column_weights);
#endif
                    }
            }
            const INDEX to = channel * BETWEEN_CHANNELS(input_strides) + cell * BETWEEN_CELLS(input_strides);
            store_tile(&own, grad_input + PLACE_OF_IMAGE(input_place, image), to, input_strides, n, geometry.in_w,
                       accumulate);
        }
    }
}
