/* A convolution's problem, checked and with its defaults filled in. */
#ifndef CLDEFORM_CONV2D_PROBLEM_H
#define CLDEFORM_CONV2D_PROBLEM_H

#include "../status.h"
#include "../storage.h"

#include <stdbool.h>

typedef struct cldeform__conv2d_sizes {
    int64_t taps; /* kernel_h * kernel_w */
    int64_t out_h, out_w, out_plane;
    int64_t offset_planes, mask_planes; /* of one image; 0 where the kind has none */
    /* elements of one image, or of the whole tensor where it has no batch */
    int64_t input, offset, mask, output, weight, bias;
} cldeform__conv2d_sizes;

/* Fills in what is 0 and checks everything that does not need a device.
 * Errors: INVALID_ARGUMENT, UNSUPPORTED, LIMIT. */
cldeform_status cldeform__conv2d_check(const cldeform_conv2d_problem *given, cldeform_conv2d_problem *problem,
                                       cldeform__conv2d_sizes *sizes);

bool cldeform__conv2d_has_offset(const cldeform_conv2d_problem *problem);
bool cldeform__conv2d_has_mask(const cldeform_conv2d_problem *problem);

/* The passes that its kind lacks. */
cldeform_passes cldeform__conv2d_lacks(const cldeform_conv2d_problem *problem);

/* Multiply-adds of the matrix products of problem.passes, each counted as two. */
double cldeform__conv2d_flop(const cldeform_conv2d_problem *problem, const cldeform__conv2d_sizes *sizes);

#endif
