/* RoI pooling, forward.
 *
 * A launch works on one feature map, and leaves RoIs of other levels alone. Work-item (unit, run of bins, RoI); a unit
 * is a block of the channels of an offset class, and a work-item does every get_global_size(0)-th of them: all on a
 * CPU, where it finds a bin's weights once for all channels, one on a GPU, where neighbours read neighbouring channels.
 */
#include "common.clh"
#include "vector.clh"
#include "roi_geometry.clh"
#include "roi.clh"
#include "roi_channels.clh"

#if VECTOR == 1
typedef int INTV;
#define TO_INTV(v) (v)
#else
typedef PASTE(int, VECTOR) INTV;
#define TO_INTV(v) PASTE(convert_int, VECTOR)(v)
#endif

/* Where a block's pixels and results are. */
typedef struct block {
    __global const DATA *input; /* of the RoI's image */
    INDEX input_at;             /* the block's first channel at pixel 0 */
    STRIDES input_strides;
    int n; /* channels */
} block;

#if METHOD == METHOD_MAX
static void find_max(REALV *best, INTV *where, const block *from, int in_w, const roi_bin *row, const roi_bin *column)
{
    const INDEX step = BETWEEN_PIXELS(from->input_strides);
    const int first = row->first * in_w + column->first;
    load_block(best, from->input, from->input_at + first * step, from->input_strides, from->n);
    for (int k = 0; k < VECTORS; k++)
        where[k] = (INTV)first;
    for (int y = row->first; y < row->end; y++)
        for (int x = column->first; x < column->end; x++) {
            const int here = y * in_w + x;
            REALV values[VECTORS];
            load_block(values, from->input, from->input_at + here * step, from->input_strides, from->n);
            for (int k = 0; k < VECTORS; k++) { /* the first NaN stays */
                const REALV value = values[k];
#define WINS (isgreater(value, best[k]) || (isnan(value) && !isnan(best[k])))
                where[k] = TO_INTV(WINS) ? (INTV)here : where[k];
                best[k] = WINS ? value : best[k];
#undef WINS
            }
        }
}

static void store_argmax(__global int *argmax, INDEX at, STRIDES strides, int n, const INTV *where)
{
    for (int k = 0; k < VECTORS; k++) {
        int some[VECTOR];
#if VECTOR == 1
        some[0] = where[k];
#else
        PASTE(vstore, VECTOR)(where[k], 0, some);
#endif
        for (int i = 0; i < VECTOR && k * VECTOR + i < n; i++)
            argmax[at + (k * VECTOR + i) * BETWEEN_CHANNELS(strides)] = some[i];
    }
}
#else
/* sums += the weighted pixels of a window that begins at (low_y, low_x). */
static void add_window(REALV *sums, const block *from, int in_w, int low_y, int low_x, const roi_weights *rows,
                       const roi_weights *columns)
{
    const INDEX step = BETWEEN_PIXELS(from->input_strides);
    const int whole = is_whole(from->n, from->input_strides);
    REALV block[VECTORS]; /* not through the pointer, which would keep it in memory */
    FOR_VECTORS (k)
        block[k] = sums[k];
    for (int y = rows->first; y < rows->end; y++)
        for (int x = columns->first; x < columns->end; x++) {
            const REAL weight = rows->weight[y] * columns->weight[x];
            if (weight == 0) /* not read: it may be no number */
                continue;
            const INDEX at = from->input_at + ((INDEX)(low_y + y) * in_w + low_x + x) * step;
            if (whole) {
                FOR_VECTORS (k)
                    block[k] = fma((REALV)weight, LOAD_DATAV(from->input, at + k * VECTOR), block[k]);
            } else {
                for (int k = 0; k < VECTORS; k++)
                    sums[k] = fma((REALV)weight, load_some(from->input, at, from->input_strides, k, from->n), sums[k]);
            }
        }
    if (whole)
        FOR_VECTORS (k)
            sums[k] = block[k];
}
#endif

__kernel void roi_forward(ROI_PARAMETERS, const ulong n_rois, __global const int *order, const int bins_of_item,
                          __global const DATA *input, const PLACE input_place, const STRIDES input_strides,
                          __global DATA *output, const PLACE output_place, __global int *argmax,
                          const PLACE argmax_place, const STRIDES output_strides)
{
    const roi_tensors tensors = ROI_TENSORS;
    const int bins = geometry.out_h * geometry.out_w, class_channels = geometry.out_channels / geometry.classes;
    const int blocks = (class_channels + BLOCK - 1) / BLOCK, units = blocks * geometry.classes;
    if (get_global_id(0) >= (size_t)units)
        return;
    for (ulong i = get_global_id(2); i < n_rois; i += get_global_size(2)) {
        const ulong r = order ? (ulong)order[i] : i;
        const roi roi = find_roi(geometry, &tensors, r);
        if (!roi.here)
            continue;
        /* runs of bins_of_item bins, every get_global_size(1)-th of them */
        for (int i_bin = 0;; i_bin++) {
            const int run = (int)get_global_id(1) + i_bin / bins_of_item * (int)get_global_size(1);
            const int bin = run * bins_of_item + i_bin % bins_of_item;
            if (bin >= bins)
                break;
            const int bin_y = bin / geometry.out_w, bin_x = bin % geometry.out_w;
            int placed = -1; /* the class that row and column are of */
            roi_bin row, column;
            REAL count = 0;
#if METHOD != METHOD_MAX
            const REAL factor = mask_of(&tensors, r, bin).factor;
            int2 rows = 0, columns = 0;
            roi_weights row_weights, column_weights;
            int single = 0;
#endif
            for (int unit = (int)get_global_id(0); unit < units; unit += (int)get_global_size(0)) {
                const int class = unit / blocks, first_channel = unit % blocks * BLOCK;
                const int channel = class * class_channels + first_channel;
                REALV sums[VECTORS];
                for (int k = 0; k < VECTORS; k++)
                    sums[k] = 0;
                block from;
                from.input = input + PLACE_OF_IMAGE(input_place, roi.exists ? roi.image : 0);
                from.input_at = channel * BETWEEN_CHANNELS(input_strides) +
                                cell_of(geometry, bin_y, bin_x) * BETWEEN_CELLS(input_strides);
                from.input_strides = input_strides;
                from.n = min(BLOCK, class_channels - first_channel);
                const INDEX to = channel * BETWEEN_CHANNELS(output_strides) + bin * BETWEEN_PIXELS(output_strides);
                if (roi.exists && class != placed) {
                    place_both(geometry, &tensors, &roi, r, class, bin_y, bin_x, &row, &column);
                    placed = class;
                    count = divisor(&roi, &row, &column);
#if METHOD != METHOD_MAX
                    rows = reach(&roi.rows, &row);
                    columns = reach(&roi.columns, &column);
                    single = rows.y - rows.x <= WINDOW && columns.y - columns.x <= WINDOW;
                    if (single) {
                        find_weights(&row_weights, &roi.rows, &row, rows.x, rows.y - rows.x);
                        find_weights(&column_weights, &roi.columns, &column, columns.x, columns.y - columns.x);
                    }
#endif
                }
#if METHOD == METHOD_MAX
                INTV where[VECTORS];
                for (int k = 0; k < VECTORS; k++)
                    where[k] = (INTV)(-1);
                if (roi.exists && count > 0)
                    find_max(sums, where, &from, geometry.in_w, &row, &column);
                if (argmax)
                    store_argmax(argmax + PLACE_OF_IMAGE(argmax_place, r), to, output_strides, from.n, where);
#else
                if (roi.exists && single) {
                    add_window(sums, &from, geometry.in_w, rows.x, columns.x, &row_weights, &column_weights);
                } else if (roi.exists) {
                    for (int y = rows.x; y < rows.y; y += WINDOW) {
                        find_weights(&row_weights, &roi.rows, &row, y, min(WINDOW, rows.y - y));
                        for (int x = columns.x; x < columns.y; x += WINDOW) {
                            find_weights(&column_weights, &roi.columns, &column, x, min(WINDOW, columns.y - x));
                            add_window(sums, &from, geometry.in_w, y, x, &row_weights, &column_weights);
                        }
                    }
                }
                for (int k = 0; k < VECTORS; k++)
                    sums[k] = roi.exists ? (count > 0 ? sums[k] / count : 0) * factor : 0;
#endif
                store_block(output + PLACE_OF_IMAGE(output_place, r), to, output_strides, from.n, sums);
            }
        }
    }
}
