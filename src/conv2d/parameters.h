/* The end of every backward pass: gradients of bias and weight, sums over all pixels of all images, from their sums to
 * the caller's tensors. Sums are pairs: the sum, and what rounding has taken off it. */
#ifndef CLDEFORM_CONV2D_PARAMETERS_H
#define CLDEFORM_CONV2D_PARAMETERS_H

#include "conv2d.h"
#include "conv2d_geometry.clh"

/* Parts of the workspace that the gradient of the bias needs: of parts of images, then in all. */
enum { BIAS_SUMS, BIAS_SUM, BIAS_REST, PARAMETER_PARTS };

typedef struct cldeform__parameter_steps {
    conv2d_geometry geometry;
    size_t real_size;
    cldeform__kernel *sum_grad_output, *add_sums, *store_grad_weight, *store_grad_bias;
} cldeform__parameter_steps;

cldeform_status cldeform__parameters_prepare(const cldeform_conv2d *conv, cldeform__parameter_steps *steps);

/* Bytes of the parts for so many images at a time; false where they overflow. */
bool cldeform__bias_sizes(const cldeform_conv2d *conv, int64_t images, size_t parts[PARAMETER_PARTS]);

/* The bias's sum = (first) or += what so many images give. */
cldeform_status cldeform__enqueue_bias(const cldeform_conv2d *conv, const cldeform__parameter_steps *steps,
                                       cldeform__call *call, int64_t images, bool first,
                                       const cldeform__operand *grad_output, const cl_mem parts[PARAMETER_PARTS]);

/* grad_weight and grad_bias, those that are wanted, = or += their sums; zeros where these are NULL, and nothing
 * taken off where only the rest is. The weight's are
 * (groups, taps, in_channels/groups, out_channels/groups) with `pitch` elements from a channel to the next. */
cldeform_status cldeform__enqueue_parameters(const cldeform_conv2d *conv, const cldeform__parameter_steps *steps,
                                             cldeform__call *call, const cldeform__conv2d_gradients *gradients,
                                             cl_mem weight_sum, cl_mem weight_rest, int64_t weight_pitch,
                                             const cl_mem parts[PARAMETER_PARTS]);

#endif
