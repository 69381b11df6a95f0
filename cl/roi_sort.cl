/* RoIs of one feature map in the order of their images, and of where they lie in them: neighbours read the same pixels,
 * which are then still in a cache. */
#include "common.clh"
#include "roi_geometry.clh"
#include "roi.clh"

static int cell_on_axis(const roi_axis *axis)
{
    const float middle = rounded(axis->start) + rounded(axis->size) / 2;
    return (int)clamp(middle, 0.0f, (float)(axis->pixels - 1)) / ROI_CELL;
}

/* For each RoI its image, or -1 where it has none here, and the cell of the map that its middle is in. Work-item RoI.
 */
__kernel void roi_find_cells(ROI_PARAMETERS, const ulong n_rois, __global int *images, __global int *cells)
{
    const roi_tensors tensors = ROI_TENSORS;
    const ulong r = get_global_id(0);
    if (r >= n_rois)
        return;
    const roi roi = find_roi(geometry, &tensors, r);
    const int across = (geometry.in_w + ROI_CELL - 1) / ROI_CELL;
    images[r] = roi.here && roi.exists ? roi.image : -1;
    cells[r] = images[r] < 0 ? 0 : cell_on_axis(&roi.rows) * across + cell_on_axis(&roi.columns);
}

/* order: the RoIs by image, those of none first; within one by cell (cells not null), and by number. Those of image i
 * are order[starts[i]] .. order[starts[i+1]-1]. counts (batch, n_cells): scratch. Work-item image. */
__kernel void roi_sort(const int batch, const ulong n_rois, __global const int *images, __global const int *cells,
                       const int n_cells, __global int *counts, __global int *order, __global int *starts)
{
    const int image = (int)get_global_id(0);
    if (image >= batch)
        return;
    counts += (size_t)image * n_cells;
    for (int cell = 0; cell < n_cells; cell++)
        counts[cell] = 0;
    int start = 0, none = 0;
    for (ulong r = 0; r < n_rois; r++) {
        start += images[r] < image;
        if (images[r] == image)
            counts[cells ? cells[r] : 0]++;
        if (image == 0 && images[r] < 0)
            order[none++] = (int)r;
    }
    starts[image] = start;
    for (int cell = 0; cell < n_cells; cell++) { /* where each cell's begin */
        const int count = counts[cell];
        counts[cell] = start;
        start += count;
    }
    if (image == batch - 1)
        starts[batch] = start;
    for (ulong r = 0; r < n_rois; r++)
        if (images[r] == image)
            order[counts[cells ? cells[r] : 0]++] = (int)r;
}
