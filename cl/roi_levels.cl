/* What RoIs are like: the level that each belongs to, and how many are wrong. */
#include "common.clh"
#include "roi_geometry.clh"
#include "roi.clh"

/* Work-item RoI. */
__kernel void roi_assign_levels(const roi_geometry geometry, const float8 level_areas, const ulong n_rois,
                                __global const ROI *rois, const PLACE rois_place, __global int *levels,
                                const PLACE levels_place)
{
    const ulong r = get_global_id(0);
    if (r >= n_rois)
        return;
    const int level = level_of_roi(geometry, level_areas, rois + PLACE_OF_IMAGE(rois_place, r));
    levels[PLACE_OF_IMAGE(levels_place, r)] = level;
}

/* The public struct. */
typedef struct roi_statistics {
    ulong rois, bad_batch, bad_level, not_finite, inverted;
} roi_statistics;

/* One work-group, whose work-items share the RoIs. shared: local memory, 4 for each. */
__kernel void roi_count(const roi_geometry geometry, const ulong n_rois, __global const ROI *rois,
                        const PLACE rois_place, __global const int *levels, const PLACE levels_place,
                        __local ulong *shared, __global roi_statistics *result, const ulong first_result)
{
    const size_t lane = get_local_id(0), lanes = get_local_size(0);
    ulong counts[4] = {0, 0, 0, 0};
    if (get_group_id(0) > 0)
        return;
    for (ulong r = lane; r < n_rois; r += lanes) {
        __global const ROI *const at = rois + PLACE_OF_IMAGE(rois_place, r);
        const int level = levels ? levels[PLACE_OF_IMAGE(levels_place, r)] : 0;
        counts[0] += image_of_roi(geometry, at) < 0;
        counts[1] += level < 0 || level >= geometry.levels;
        counts[2] += !(isfinite(at[1]) && isfinite(at[2]) && isfinite(at[3]) && isfinite(at[4]));
        counts[3] += at[3] < at[1] || at[4] < at[2];
    }
    for (int i = 0; i < 4; i++)
        shared[lane * 4 + i] = counts[i];
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane > 0)
        return;
    for (size_t other = 1; other < lanes; other++)
        for (int i = 0; i < 4; i++)
            counts[i] += shared[other * 4 + i];
    roi_statistics found;
    found.rois = n_rois;
    found.bad_batch = counts[0];
    found.bad_level = counts[1];
    found.not_finite = counts[2];
    found.inverted = counts[3];
    result[first_result] = found;
}
