/* RoI pooling, gradients of offset and mask. A launch works on one feature map, and leaves RoIs of other levels alone.
 *
 * First three sums over the channels of each class and bin; then what each element of the two tensors gets of them: one
 * sum of its bins, and no atomic additions. */
#ifndef SLOPES
#define SLOPES 1
#endif

#include "common.clh"
#include "vector.clh"
#include "roi_geometry.clh"
#include "roi.clh"
#include "roi_channels.clh"

#if SLOPES == 2
#define ACROSS across
#else
#define ACROSS weight
#endif

/* Of a bin: its result times the gradient of it, and the derivatives of that with respect to its shift. */
typedef struct bin_sums {
    REALV value, by_y, by_x;
} bin_sums;

/* sums += a window's, that begins at (low_y, low_x), of a block of n channels. */
static void add_window(bin_sums *sums, const REALV *gradients, __global const DATA *input, INDEX at, STRIDES strides,
                       int n, int in_w, int low_y, int low_x, const roi_weights *rows, const roi_weights *columns)
{
    const int whole = is_whole(n, strides);
    REALV block[VECTORS]; /* not through the pointer, which would keep it in memory */
    FOR_VECTORS (k)
        block[k] = gradients[k];
    for (int y = rows->first; y < rows->end; y++)
        for (int x = columns->first; x < columns->end; x++) {
            const REAL weight = rows->weight[y] * columns->weight[x];
            const REAL by_y = rows->slope[y] * columns->ACROSS[x], by_x = rows->ACROSS[y] * columns->slope[x];
            if (weight == 0 && by_y == 0 && by_x == 0)
                continue;
            const INDEX pixel = at + ((INDEX)(low_y + y) * in_w + low_x + x) * BETWEEN_PIXELS(strides);
            REALV product = 0;
            if (whole) {
                FOR_VECTORS (k)
                    product = fma(LOAD_DATAV(input, pixel + k * VECTOR), block[k], product);
            } else {
                for (int k = 0; k < VECTORS; k++)
                    product = fma(load_some(input, pixel, strides, k, n), gradients[k], product);
            }
            if (weight != 0) /* no product with 0: the pixel may be no number */
                sums->value = fma((REALV)weight, product, sums->value);
            if (by_y != 0)
                sums->by_y = fma((REALV)by_y, product, sums->by_y);
            if (by_x != 0)
                sums->by_x = fma((REALV)by_x, product, sums->by_x);
        }
}

/* The RoI's bin of a class, all channels. */
static bin_sums sum_bin(roi_geometry geometry, const roi *roi, const roi_bin *row, const roi_bin *column, int channel,
                        int channels, __global const DATA *input, INDEX input_at, STRIDES input_strides,
                        __global const DATA *grad_output, INDEX output_at, STRIDES output_strides)
{
    const int2 rows = reach(&roi->rows, row), columns = reach(&roi->columns, column);
    roi_weights row_weights, column_weights;
    bin_sums sums = {0, 0, 0};
    for (int y = rows.x; y < rows.y; y += WINDOW) {
        find_weights(&row_weights, &roi->rows, row, y, min(WINDOW, rows.y - y));
        for (int x = columns.x; x < columns.y; x += WINDOW) {
            find_weights(&column_weights, &roi->columns, column, x, min(WINDOW, columns.y - x));
            for (int c = (int)get_local_id(0) * BLOCK; c < channels; c += (int)get_local_size(0) * BLOCK) {
                const int n = min(BLOCK, channels - c);
                REALV gradients[VECTORS];
                load_block(gradients, grad_output, output_at + (channel + c) * BETWEEN_CHANNELS(output_strides),
                           output_strides, n);
                add_window(&sums, gradients, input, input_at + (channel + c) * BETWEEN_CHANNELS(input_strides),
                           input_strides, n, geometry.in_w, y, x, &row_weights, &column_weights);
            }
        }
    }
    return sums;
}

/* sums (rois, classes, bins, 3): value, by y, by x; 0 for a RoI that does not exist. Work-group (bin, RoI), of as many
 * work-items as `shared` (local memory) has room for 3 of; they share the channels. */
__kernel void roi_sum_bins(ROI_PARAMETERS, const ulong n_rois, __global const DATA *input, const PLACE input_place,
                           const STRIDES input_strides, __global const DATA *grad_output, const PLACE output_place,
                           const STRIDES output_strides, __local REAL *shared, __global REAL *all_sums)
{
    const roi_tensors tensors = ROI_TENSORS;
    const int bins = geometry.out_h * geometry.out_w, class_channels = geometry.out_channels / geometry.classes;
    const int lane = (int)get_local_id(0), lanes = (int)get_local_size(0);
    for (ulong r = get_global_id(2); r < n_rois; r += get_global_size(2)) {
        const roi roi = find_roi(geometry, &tensors, r);
        if (!roi.here)
            continue;
        for (int bin = (int)get_global_id(1); bin < bins; bin += (int)get_global_size(1)) {
            const int bin_y = bin / geometry.out_w, bin_x = bin % geometry.out_w;
            const REAL factor = mask_of(&tensors, r, bin).factor;
            for (int class = 0; class < geometry.classes; class ++) {
                roi_bin row, column;
                bin_sums sums = {0, 0, 0};
                REAL count = 0;
                if (roi.exists) {
                    place_both(geometry, &tensors, &roi, r, class, bin_y, bin_x, &row, &column);
                    count = divisor(&roi, &row, &column);
                    sums = sum_bin(geometry, &roi, &row, &column, class * class_channels, class_channels,
                                   input + PLACE_OF_IMAGE(input_place, roi.image),
                                   cell_of(geometry, bin_y, bin_x) * BETWEEN_CELLS(input_strides), input_strides,
                                   grad_output + PLACE_OF_IMAGE(output_place, r), bin * BETWEEN_PIXELS(output_strides),
                                   output_strides);
                }
                barrier(CLK_LOCAL_MEM_FENCE);
                shared[3 * lane] = sum_of(sums.value);
                shared[3 * lane + 1] = sum_of(sums.by_y);
                shared[3 * lane + 2] = sum_of(sums.by_x);
                barrier(CLK_LOCAL_MEM_FENCE);
                if (lane == 0) {
                    REAL total[3] = {0, 0, 0};
                    for (int i = 0; i < lanes; i++)
                        for (int j = 0; j < 3; j++)
                            total[j] += shared[3 * i + j];
                    __global REAL *const to = all_sums + ((r * geometry.classes + class) * bins + bin) * 3;
                    to[0] = count > 0 ? total[0] / count : 0;
                    /* no product with a mask that is no number where no sample moves */
                    to[1] = count > 0 && total[1] != 0 ? total[1] / count * factor : 0;
                    to[2] = count > 0 && total[2] != 0 ? total[2] / count * factor : 0;
                }
            }
        }
    }
}

static void store_gradient(__global OFFSET *to, INDEX at, REAL value, int accumulate)
{
    OFFSET_SUM sum = (OFFSET_SUM)value;
    if (accumulate)
        sum += (OFFSET_SUM)READ_OFFSET(to, at);
    STORE_OFFSET(to, at, sum);
}

/* grad_offset = or += what its part's bins give it. Work-item (part, class, RoI). */
__kernel void roi_store_grad_offset(ROI_PARAMETERS, const ulong n_rois, __global const REAL *all_sums,
                                    __global OFFSET *grad_offset, const PLACE place, const int accumulate)
{
    const roi_tensors tensors = ROI_TENSORS;
    const int bins = geometry.out_h * geometry.out_w, plane = geometry.part_h * geometry.part_w;
    const int part = (int)get_global_id(0);
    if (part >= plane)
        return;
    const int2 bins_y = bins_of_part(part / geometry.part_w, geometry.out_h, geometry.part_h);
    const int2 bins_x = bins_of_part(part % geometry.part_w, geometry.out_w, geometry.part_w);
    for (ulong r = get_global_id(2); r < n_rois; r += get_global_size(2)) {
        const roi roi = find_roi(geometry, &tensors, r);
        if (!roi.here)
            continue;
        for (int class = (int)get_global_id(1); class < geometry.classes; class += (int)get_global_size(1)) {
            __global const REAL *const sums = all_sums + (r * geometry.classes + class) * bins * 3;
            REAL by_y = 0, by_x = 0;
            for (int y = bins_y.x; y < bins_y.y; y++)
                for (int x = bins_x.x; x < bins_x.y; x++) {
                    by_y += sums[(y * geometry.out_w + x) * 3 + 1];
                    by_x += sums[(y * geometry.out_w + x) * 3 + 2];
                }
            if (roi.exists) { /* else 0 */
                by_y *= (REAL)after(times(offset_scale, roi.rows.size), 0);
                by_x *= (REAL)after(times(offset_scale, roi.columns.size), 0);
            }
            __global OFFSET *const to = grad_offset + PLACE_OF_IMAGE(place, r);
            store_gradient(to, (INDEX)2 * class * plane + part, by_x, accumulate);
            store_gradient(to, (INDEX)(2 * class + 1) * plane + part, by_y, accumulate);
        }
    }
}

/* grad_mask = or += the sum of the classes. Work-item (bin, 1, RoI). */
__kernel void roi_store_grad_mask(ROI_PARAMETERS, const ulong n_rois, __global const REAL *all_sums,
                                  __global OFFSET *grad_mask, const PLACE place, const int accumulate)
{
    const roi_tensors tensors = ROI_TENSORS;
    const int bins = geometry.out_h * geometry.out_w, bin = (int)get_global_id(0);
    if (bin >= bins)
        return;
    for (ulong r = get_global_id(2); r < n_rois; r += get_global_size(2)) {
        const roi roi = find_roi(geometry, &tensors, r);
        if (!roi.here)
            continue;
        REAL sum = 0;
        for (int class = 0; class < geometry.classes; class ++)
            sum += all_sums[((r * geometry.classes + class) * bins + bin) * 3];
        store_gradient(grad_mask + PLACE_OF_IMAGE(place, r), bin,
                       roi.exists ? sum * mask_of(&tensors, r, bin).slope : 0, accumulate);
    }
}
