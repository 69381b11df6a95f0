/* The convolution object, and what an algorithm is. */
#ifndef CLDEFORM_CONV2D_H
#define CLDEFORM_CONV2D_H

#include "../launch.h"
#include "../workspace.h"
#include "problem.h"

/* A tensor of one call, checked. */
typedef struct cldeform__operand {
    cl_mem buffer; /* NULL: absent */
    size_t start;  /* elements */
    size_t stride; /* elements from image to image */
    cl_mem_flags flags;
} cldeform__operand;

typedef struct cldeform__conv2d_operands {
    cldeform__operand input, offset, mask, weight, bias, output, packed_weight;
} cldeform__conv2d_operands;

/* One way to compute a convolution: a file with this table, and a row in algorithm.c. Everything but `plan` and
 * `free_plan` gets an object that is constant and may run in several threads. */
typedef struct cldeform__conv2d_algorithm {
    cldeform_algorithm id;
    const char *name;

    /* NULL if it can do the problem on the device, else why not, as the end of "...: ". What depends on limits is found
     * by `plan`. */
    const char *(*refuses)(const cldeform_context *context, const cldeform_conv2d_problem *problem,
                           const cldeform__conv2d_sizes *sizes);

    /* Sets conv->plan; compiles the kernels. After LIMIT or UNSUPPORTED, AUTO tries the next algorithm. */
    cldeform_status (*plan)(cldeform_conv2d *conv);
    void (*free_plan)(void *plan);

    /* Bytes for a call that does these passes; preferred is within the problem's limit. */
    void (*workspace)(const cldeform_conv2d *conv, cldeform_passes passes, size_t *minimum, size_t *preferred);

    /* Whether these passes give the same bits from run to run. */
    bool (*is_deterministic)(const cldeform_conv2d *conv, cldeform_passes passes);

    /* Enqueues the passes. problem.batch > 0. */
    cldeform_status (*forward)(const cldeform_conv2d *conv, cldeform__call *call, int64_t batch,
                               const cldeform__conv2d_operands *operands, cldeform__workspace *workspace);

    /* Bytes 0: it reads the weight as it is. */
    void (*packed_weight)(const cldeform_conv2d *conv, size_t *bytes, uint64_t *format);
    cldeform_status (*pack_weight)(const cldeform_conv2d *conv, cldeform__call *call, const cldeform__operand *weight,
                                   const cldeform__operand *packed);

    /* Adds members to the plan's JSON object, each with a comma before it. */
    void (*describe)(const cldeform_conv2d *conv, cldeform__text *text);
} cldeform__conv2d_algorithm;

struct cldeform_conv2d {
    cldeform_context *context;
    cldeform_conv2d_problem problem; /* with its defaults filled in */
    cldeform__conv2d_sizes sizes;
    size_t workspace_limit; /* bytes, never 0 */
    const cldeform__conv2d_algorithm *algorithm;
    const char *reason; /* why this one */
    void *plan;
};

extern const cldeform__conv2d_algorithm cldeform__conv2d_im2col;

/* Sets the object's algorithm, reason and plan: the algorithm that the problem asks for, or for AUTO the first in the
 * table that can do it. */
cldeform_status cldeform__conv2d_choose(cldeform_conv2d *conv);

#endif
