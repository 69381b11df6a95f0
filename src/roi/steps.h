/* Launches of RoI pooling's kernels, and the parts of its workspace. */
#ifndef CLDEFORM_ROI_STEPS_H
#define CLDEFORM_ROI_STEPS_H

#include "roi_geometry.clh"
#include "roi_pool.h"

/* Parts of the workspace. */
enum {
    IMAGES,    /* of each RoI, int */
    BOXES,     /* of each RoI, four ints */
    BIN_BOXES, /* of each bin of each class of each RoI, four ints */
    CELLS,     /* of each RoI, int: where in its image it is */
    COUNTS,    /* of RoIs in each cell of each image */
    ORDER,     /* RoIs sorted by image */
    STARTS,    /* of each image's RoIs in that order */
    SUMS,      /* of a RoI's bins and classes: three sums that the gradients of offset and mask are made of */
    GRADIENTS, /* grad_output with channels side by side; only where there is room for both copies */
    COPY,      /* a level's input with channels side by side */
    ROI_PARTS
};

/* What kernels on a level are told of it, and the least area of a RoI of level 1, 2, ..., four times that of the level
 * below. */
roi_geometry cldeform__roi_geometry(const cldeform_roi_pool *pool, int64_t level);
cl_float8 cldeform__roi_level_areas(const cldeform_roi_pool_problem *problem);

/* copies: with those parts that only make the work faster. */
void cldeform__roi_part_sizes(const cldeform_roi_pool *pool, cldeform_passes passes, int64_t rois, bool copies,
                              size_t sizes[ROI_PARTS]);

/* Whether a level's input is better copied first, channels side by side, for so many RoIs. */
bool cldeform__roi_reads_copy(const cldeform_roi_pool *pool, int64_t level, int64_t rois);

/* Cells of a level's map that RoIs are sorted by. */
int64_t cldeform__roi_cells(const cldeform_roi_pool *pool, int64_t level);

/* Multiply-adds of one pass, each counted as two. */
double cldeform__roi_pass_flop(const cldeform_roi_pool *pool, int64_t rois);

/* Most samples of a bin on an axis, where the problem says how many. */
int64_t cldeform__roi_samples(const cldeform_roi_pool *pool);

/* At most so many iterations of loops does a work-item of grad_input do for one RoI of so many bins. */
int64_t cldeform__roi_iterations(const cldeform_roi_pool *pool, int64_t bins);

#endif
