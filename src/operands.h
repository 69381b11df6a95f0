/* Tensors of one call, checked. */
#ifndef CLDEFORM_OPERANDS_H
#define CLDEFORM_OPERANDS_H

#include "arguments.h"

typedef struct cldeform__operand {
    cl_mem buffer; /* NULL: absent */
    size_t start;  /* elements */
    size_t stride; /* elements from image to image */
    cl_mem_flags flags;
} cldeform__operand;

/* Where it begins and how far its images are apart, as kernels take it. */
cl_ulong2 cldeform__place_of(const cldeform__operand *operand);

/* A buffer of zeros in the place of one image of a tensor, dense. elements 0: none. */
cldeform_status cldeform__create_scratch(const cldeform_context *context, cl_command_queue queue, int64_t elements,
                                         size_t element_size, cldeform__operand *operand);

/* Releases n of them; those that have no buffer are passed over. */
void cldeform__release_scratch(const cldeform__operand *operands, size_t n);

typedef enum cldeform__presence { ABSENT, OPTIONAL, REQUIRED } cldeform__presence;

typedef struct cldeform__operand_rule {
    const char *name; /* "tensors.input" */
    cldeform_tensor tensor;
    cldeform__operand *operand;
    cldeform__presence presence; /* ABSENT: giving it is an error */
    bool batched, written;
    const int64_t *images; /* of this tensor, where it is batched; NULL: as many as the call's batch */
    bool read;             /* what is written is read too */
    int64_t elements;      /* of an image */
    size_t element_size;
    const char *why_not; /* why it must be absent, for ABSENT */
} cldeform__operand_rule;

/* Checks n tensors, fills their operands and ranges, and checks that what is written overlaps nothing of them. */
cldeform_status cldeform__check_operands(const cldeform_context *context, const cldeform__operand_rule *rules, size_t n,
                                         int64_t batch, cldeform__range *ranges);

/* The caller's workspace, as the last of n ranges, which it must not overlap. Sums that atomic operations add to are in
 * it: it must be memory that the device's form of them works in. */
cldeform_status cldeform__check_scratch(cldeform_context *context, const cldeform_workspace *workspace, size_t minimum,
                                        cldeform__range *ranges, size_t n);

#endif
