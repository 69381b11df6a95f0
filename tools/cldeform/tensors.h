/* tensors.h: the tensors of all operators: a table of what they are, and arrays of them. An operator has some of them.
 */
#ifndef CLDEFORM_TOOL_TENSORS_H
#define CLDEFORM_TOOL_TENSORS_H

#include "cldeform/problem.h"
#include "fault.h"
#include "npy.h"

/* Those that are read, then those that are computed. */
enum {
    TENSOR_INPUT,
    TENSOR_ROIS,
    TENSOR_WEIGHT,
    TENSOR_OFFSET,
    TENSOR_MASK,
    TENSOR_BIAS,
    TENSOR_GRAD_OUTPUT,
    TENSOR_OUTPUT,
    TENSOR_GRAD_INPUT,
    TENSOR_GRAD_WEIGHT,
    TENSOR_GRAD_OFFSET,
    TENSOR_GRAD_MASK,
    TENSOR_GRAD_BIAS,
    TENSORS
};

#define TENSORS_ALL ((1u << TENSORS) - 1) /* sets of them are bits, 1 << TENSOR_* */

typedef struct tensor_entry {
    const char *name;     /* "grad_input": in messages */
    const char *option;   /* "grad-input": of the command line */
    cldeform_passes pass; /* that computes it; 0: it is read */
    int of;               /* a gradient: the tensor that it has the shape and type of; else itself */
} tensor_entry;

extern const tensor_entry tensor_table[TENSORS];

/* The functions below take an operator's arrays[TENSORS], in their files' types. Rank 0 and no data: the operator lacks
 * it, it is absent, or not asked for. */

/* Of those that are computed. */
cldeform_passes tensors_passes(const npy_array *arrays);

/* Of offset, mask and their gradients in the library, which has one type for them: the wider one, where the files of
 * offset and mask differ; without either, the input's. */
cldeform_dtype tensors_offset_dtype(const npy_array *arrays);

void tensors_free(npy_array *arrays);

/* An array's elements as malloced doubles; NULL in *values for an absent tensor, and never for one that is there. */
int tensor_widen(const npy_array *array, double **values, fault *f);

#endif
