/* A problem of RoI pooling, checked and with its defaults filled in. */
#ifndef CLDEFORM_ROI_PROBLEM_H
#define CLDEFORM_ROI_PROBLEM_H

#include "../status.h"
#include "../storage.h"

#include <stdbool.h>

typedef struct cldeform__roi_pool_sizes {
    int64_t out_channels, bins;
    int64_t input[CLDEFORM_MAX_LEVELS]; /* elements of one image */
    int64_t offset, mask, output;       /* elements of one RoI; 0 where the problem has none */
} cldeform__roi_pool_sizes;

/* Fills in what is 0 and checks everything that does not need a device. Errors: INVALID_ARGUMENT, LIMIT. */
cldeform_status cldeform__roi_pool_check(const cldeform_roi_pool_problem *given, cldeform_roi_pool_problem *problem,
                                         cldeform__roi_pool_sizes *sizes);

/* The passes that the problem lacks. */
cldeform_passes cldeform__roi_pool_lacks(const cldeform_roi_pool_problem *problem);

bool cldeform__roi_is_ps(const cldeform_roi_pool_problem *problem); /* position-sensitive */

#endif
