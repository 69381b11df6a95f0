/* The RoI pooling object, and how its kernels are launched. */
#ifndef CLDEFORM_ROI_POOL_H
#define CLDEFORM_ROI_POOL_H

#include "../launch.h"
#include "../operands.h"
#include "../workspace.h"
#include "problem.h"

enum { ROI_TURN_ITEM = 16, ROI_TURN_GROUP = 32 }; /* TILE of cl/transpose.cl: without TILED, and with it */

/* How the device is used. */
typedef struct cldeform__roi_plan {
    bool long_position;  /* positions are double */
    int vector, vectors; /* channels of a vector; vectors of a block */
    size_t lanes;        /* work-items that share the channels of a bin; 1: one does them all, and a row of bins */
    size_t tile_lanes;   /* of a tile of the gradient of the input */
    int tile_h, tile_w;
    char options[200];      /* of the kernels, what some have besides apart */
    bool sorts;             /* forward takes RoIs by where they lie, where it copies the input */
    bool always_copies;     /* reads copies of the input however few the RoIs are; for warm_up */
    int64_t rois_of_launch; /* at most, of an image in one launch of grad_input */
    cldeform__kernel *forward, *find_boxes, *find_cells, *sort, *grad_input, *sum_bins, *store_grad_offset,
        *store_grad_mask;
    bool turns_tiles; /* copies are turned by work-groups */
    cldeform__kernel *transpose, *assign_levels, *count;
} cldeform__roi_plan;

struct cldeform_roi_pool {
    cldeform_context *context;
    cldeform_roi_pool_problem problem; /* with its defaults filled in */
    cldeform__roi_pool_sizes sizes;
    size_t workspace_limit; /* bytes, never 0 */
    cldeform__roi_plan plan;
};

typedef struct cldeform__roi_operands {
    cldeform__operand input[CLDEFORM_MAX_LEVELS], rois, level, offset, mask, output, argmax;
} cldeform__roi_operands;

typedef struct cldeform__roi_gradients {
    cldeform__operand grad_output, grad_input[CLDEFORM_MAX_LEVELS], grad_offset, grad_mask;
    cldeform_passes wanted, accumulate; /* GRAD_* bits */
} cldeform__roi_gradients;

/* Compiles the kernels of problem.passes. Errors: UNSUPPORTED, LIMIT, BUILD_FAILED, ... */
cldeform_status cldeform__roi_prepare(cldeform_roi_pool *pool);

/* Bytes for a call that does these passes on `rois` RoIs. preferred is within the limit, and at least the minimum. */
void cldeform__roi_workspace(const cldeform_roi_pool *pool, cldeform_passes passes, int64_t rois, size_t *minimum,
                             size_t *preferred);

/* Enqueues forward (gradients NULL) or backward on checked tensors. range: the caller's workspace; NULL: allocate. */
cldeform_status cldeform__roi_run(const cldeform_roi_pool *pool, cldeform__call *call, int64_t rois,
                                  const cldeform__roi_operands *operands, const cldeform__roi_gradients *gradients,
                                  const cldeform__range *range);

cldeform_status cldeform__roi_enqueue_levels(const cldeform_roi_pool *pool, cldeform__call *call, int64_t rois,
                                             const cldeform__operand *roi, const cldeform__operand *level);
cldeform_status cldeform__roi_enqueue_count(const cldeform_roi_pool *pool, cldeform__call *call, int64_t rois,
                                            const cldeform__operand *roi, const cldeform__operand *level,
                                            const cldeform__operand *result);

/* The beginning of every call that enqueues: the object is there and has one of the passes; *done = NULL. */
cldeform_status cldeform__roi_check_object(const cldeform_roi_pool *pool, cldeform_passes pass, int64_t rois,
                                           cl_event *done);

/* Tensors of forward and backward, in the order of their rules. */
enum {
    CLDEFORM__ROI_INPUT,
    CLDEFORM__ROI_ROIS = CLDEFORM__ROI_INPUT + CLDEFORM_MAX_LEVELS,
    CLDEFORM__ROI_LEVEL,
    CLDEFORM__ROI_OFFSET,
    CLDEFORM__ROI_MASK,
    CLDEFORM__ROI_ARGMAX,
    CLDEFORM__ROI_COMMON
};

/* Rules of the tensors that forward and backward share; the argmax is written by forward. */
void cldeform__roi_common_rules(const cldeform_roi_pool *pool, const cldeform_roi_pool_tensors *tensors,
                                bool reads_input, bool forward, cldeform__roi_operands *operands,
                                cldeform__operand_rule rules[CLDEFORM__ROI_COMMON]);

#endif
