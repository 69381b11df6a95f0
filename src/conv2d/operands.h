/* A convolution's tensors. */
#ifndef CLDEFORM_CONV2D_OPERANDS_H
#define CLDEFORM_CONV2D_OPERANDS_H

#include "../operands.h"

typedef struct cldeform__conv2d_operands {
    cldeform__operand input, offset, mask, weight, bias, output, packed_weight;
} cldeform__conv2d_operands;

typedef struct cldeform__conv2d_gradients {
    cldeform__operand grad_output, grad_input, grad_offset, grad_mask, grad_weight, grad_bias;
    cldeform_passes wanted, accumulate; /* GRAD_* bits */
} cldeform__conv2d_gradients;

/* The same tensors from a later image on. */
cldeform__conv2d_operands cldeform__operands_from(const cldeform__conv2d_operands *operands, int64_t image);
cldeform__conv2d_gradients cldeform__gradients_from(const cldeform__conv2d_gradients *gradients, int64_t image);

/* Fails unless every accumulate bit is that of a gradient whose buffer is there. */
cldeform_status cldeform__check_accumulate(const cldeform_conv2d_gradients *gradients);

#endif
