/* cldeform_ref.h: what the operators compute, as plain C in double precision, for checking a port.
 *
 * No OpenCL, no im2col, no matrix product: loops in the order of the formula. Every tensor is a dense array of double
 * in the order that the problem's fields name; the problem's types, algorithm, passes and workspace_limit are not
 * looked at. Slow by design. */
#ifndef CLDEFORM_REF_H
#define CLDEFORM_REF_H

#include "problem.h"

#ifdef __cplusplus
extern "C" {
#endif

/* output = deformable convolution, as cldeform_conv2d_forward (cldeform.h) defines it.
 *
 *   input (batch, in_channels, in_h, in_w) or NHWC; offset as problem->offset_layout, NULL for PLAIN; mask NULL unless
 *   MODULATED; weight (out_channels, in_channels/groups, kernel_h, kernel_w); bias (out_channels) or NULL: 0;
 *   output (batch, out_channels, out_h, out_w) or NHWC, out_h = (pad_top + in_h + pad_bottom - dilation_h*(kernel_h-1)
 * - 1) / stride_h + 1, out_w alike.
 *
 * Returns INVALID_ARGUMENT for a value of the problem that is out of range or does not divide, an output below one
 * pixel, a NULL array that the kind needs or an array that it lacks. It sets no text for cldeform_last_error. */
CLDEFORM_API cldeform_status cldeform_ref_conv2d_forward(const cldeform_conv2d_problem *problem, const double *input,
                                                         const double *offset, const double *mask, const double *weight,
                                                         const double *bias, double *output);

typedef struct cldeform_ref_conv2d_gradients {
    const double *grad_output;                                              /* as output */
    double *grad_input, *grad_offset, *grad_mask, *grad_weight, *grad_bias; /* as their tensors; NULL: not computed */
} cldeform_ref_conv2d_gradients;

/* Gradients, as cldeform_conv2d_backward (cldeform.h) defines them: the derivative of the sum above, term by term.
 * Every gradient asked for is overwritten. grad_mask NULL unless MODULATED, grad_offset NULL for PLAIN. input and
 * weight may be NULL where the gradients asked for do not need them, as there; the kind's offset and mask only where
 * grad_bias alone is asked for. Returns as forward; INVALID_ARGUMENT also where no gradient is asked for. */
CLDEFORM_API cldeform_status cldeform_ref_conv2d_backward(const cldeform_conv2d_problem *problem, const double *input,
                                                          const double *offset, const double *mask,
                                                          const double *weight,
                                                          const cldeform_ref_conv2d_gradients *gradients);

typedef struct cldeform_ref_roi_pool_tensors {
    const double *input[CLDEFORM_MAX_LEVELS]; /* each as cldeform_roi_pool_tensors (cldeform.h) describes it */
    const double *rois;
    const int32_t *level;        /* NULL: by canonical_size */
    const double *offset, *mask; /* NULL unless problem->deformable, problem->modulated */
    double *output;              /* forward only */
    int32_t *argmax;             /* CLDEFORM_ROI_MAX: written by forward unless NULL, read by backward */
} cldeform_ref_roi_pool_tensors;

/* Pools n RoIs, as cldeform_roi_pool_forward (cldeform.h) defines it; problem->max_rois is not looked at. Returns
 * INVALID_ARGUMENT for a value of the problem that is out of range or does not divide, or for an array that is missing
 * or that the problem lacks, n below 0. It sets no text for cldeform_last_error. */
CLDEFORM_API cldeform_status cldeform_ref_roi_pool_forward(const cldeform_roi_pool_problem *problem, int64_t n,
                                                           const cldeform_ref_roi_pool_tensors *tensors);

typedef struct cldeform_ref_roi_pool_gradients {
    const double *grad_output;               /* as output */
    double *grad_input[CLDEFORM_MAX_LEVELS]; /* all levels or none */
    double *grad_offset, *grad_mask;         /* as their tensors; NULL: not computed */
} cldeform_ref_roi_pool_gradients;

/* Gradients, as cldeform_roi_pool_backward (cldeform.h) defines them. Every gradient asked for is overwritten. output
 * is not looked at; input may be NULL where only grad_input is asked for. Returns as forward; INVALID_ARGUMENT also
 * where no gradient is asked for. */
CLDEFORM_API cldeform_status cldeform_ref_roi_pool_backward(const cldeform_roi_pool_problem *problem, int64_t n,
                                                            const cldeform_ref_roi_pool_tensors *tensors,
                                                            const cldeform_ref_roi_pool_gradients *gradients);

/* level[r], as cldeform_roi_pool_assign_levels (cldeform.h). */
CLDEFORM_API cldeform_status cldeform_ref_roi_pool_assign_levels(const cldeform_roi_pool_problem *problem, int64_t n,
                                                                 const double *rois, int32_t *level);

/* IEEE half, as fp16 tensors store it: the value of the bits, and the bits of the nearest half (ties to even; from
 * 65520 on infinity; NaN stays NaN). */
CLDEFORM_API double cldeform_ref_half_to_double(uint16_t bits);
CLDEFORM_API uint16_t cldeform_ref_half_from_double(double value);

#ifdef __cplusplus
}
#endif
#endif
