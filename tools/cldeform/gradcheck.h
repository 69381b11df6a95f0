/* gradcheck.h: the parts of the gradcheck command: a small random problem, and finite differences of the reference. */
#ifndef CLDEFORM_TOOL_GRADCHECK_H
#define CLDEFORM_TOOL_GRADCHECK_H

#include "conv2d.h"

typedef struct gradcheck_options {
    const char *device;                  /* NULL: not given */
    int dtype;                           /* CLDEFORM_DTYPE_DEFAULT: fp32, and fp64 where the device has it */
    int kind, layout, border, algorithm; /* their enums */
    int offset_gradient;                 /* its enum */
    int64_t groups, offset_groups, seed;
    int deterministic, help;
} gradcheck_options;

/* Sizes and data that depend on the options and the seed, with room for every gradient that the kind has. All zero
 * before; tensors_free after, also after a failure. The offsets keep every sample at least GRADCHECK_MARGIN from
 * whole positions, where its derivative jumps; the borders are whole positions too. */
int gradcheck_draw(const gradcheck_options *o, cldeform_dtype dtype, conv2d_data *d, fault *f);

#define GRADCHECK_MARGIN 0.25
#define GRADCHECK_STEP   0.125 /* of the differences: below the margin */
#define GRADCHECK_MOST   256   /* elements of a tensor that are checked, drawn from all where there are more */

typedef struct gradcheck_result {
    size_t checked;
    double error;           /* the largest |found - expected|, relative to the largest |expected| */
    size_t worst;           /* the element where it is */
    double found, expected; /* there */
} gradcheck_result;

/* A gradient in d, one of TENSOR_GRAD_*, against the central differences of sum(grad_output * output). */
int gradcheck_compare(const conv2d_data *d, int gradient, int64_t seed, gradcheck_result *result, fault *f);

/* Reproducible numbers; any start. */
uint64_t gradcheck_random(uint64_t *state);

#endif
