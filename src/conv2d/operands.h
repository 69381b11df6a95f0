/* Tensors of one call, checked. */
#ifndef CLDEFORM_CONV2D_OPERANDS_H
#define CLDEFORM_CONV2D_OPERANDS_H

#include "../arguments.h"

typedef struct cldeform__operand {
    cl_mem buffer; /* NULL: absent */
    size_t start;  /* elements */
    size_t stride; /* elements from image to image */
    cl_mem_flags flags;
} cldeform__operand;

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

typedef enum cldeform__presence { ABSENT, OPTIONAL, REQUIRED } cldeform__presence;

typedef struct cldeform__operand_rule {
    const char *name; /* "tensors.input" */
    cldeform_tensor tensor;
    cldeform__operand *operand;
    cldeform__presence presence; /* ABSENT: giving it is an error */
    bool batched, written;
    bool read;        /* what is written is read too */
    int64_t elements; /* of an image */
    size_t element_size;
    const char *why_not; /* why it must be absent, for ABSENT */
} cldeform__operand_rule;

/* Checks n tensors, fills their operands and ranges, and checks that what is written overlaps nothing of them. */
cldeform_status cldeform__check_operands(const cldeform_context *context, const cldeform__operand_rule *rules, size_t n,
                                         int64_t batch, cldeform__range *ranges);

/* Fails unless every accumulate bit is that of a gradient whose buffer is there. */
cldeform_status cldeform__check_accumulate(const cldeform_conv2d_gradients *gradients);

/* The caller's workspace, as the last of n ranges, which it must not overlap. Sums that atomic operations add to are in
 * it: it must be memory that the device's form of them works in. */
cldeform_status cldeform__check_scratch(cldeform_context *context, const cldeform_workspace *workspace, size_t minimum,
                                        cldeform__range *ranges, size_t n);

#endif
