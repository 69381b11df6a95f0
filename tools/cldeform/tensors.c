/* tensors.c: see tensors.h. */
#include "tensors.h"

#include <stdlib.h>

#include "element.h"

const tensor_entry tensor_table[TENSORS] = {
    [TENSOR_INPUT] = {"input", "input", 0, TENSOR_INPUT},
    [TENSOR_ROIS] = {"rois", "rois", 0, TENSOR_ROIS},
    [TENSOR_WEIGHT] = {"weight", "weight", 0, TENSOR_WEIGHT},
    [TENSOR_OFFSET] = {"offset", "offset", 0, TENSOR_OFFSET},
    [TENSOR_MASK] = {"mask", "mask", 0, TENSOR_MASK},
    [TENSOR_BIAS] = {"bias", "bias", 0, TENSOR_BIAS},
    [TENSOR_GRAD_OUTPUT] = {"grad_output", "grad-output", 0, TENSOR_OUTPUT},
    [TENSOR_OUTPUT] = {"output", "output", CLDEFORM_FORWARD, TENSOR_OUTPUT},
    [TENSOR_GRAD_INPUT] = {"grad_input", "grad-input", CLDEFORM_GRAD_INPUT, TENSOR_INPUT},
    [TENSOR_GRAD_WEIGHT] = {"grad_weight", "grad-weight", CLDEFORM_GRAD_WEIGHT, TENSOR_WEIGHT},
    [TENSOR_GRAD_OFFSET] = {"grad_offset", "grad-offset", CLDEFORM_GRAD_OFFSET, TENSOR_OFFSET},
    [TENSOR_GRAD_MASK] = {"grad_mask", "grad-mask", CLDEFORM_GRAD_MASK, TENSOR_MASK},
    [TENSOR_GRAD_BIAS] = {"grad_bias", "grad-bias", CLDEFORM_GRAD_BIAS, TENSOR_BIAS},
};

cldeform_passes tensors_passes(const npy_array *arrays)
{
    cldeform_passes passes = 0;
    for (int i = 0; i < TENSORS; i++)
        if (arrays[i].rank > 0)
            passes |= tensor_table[i].pass;
    return passes;
}

cldeform_dtype tensors_offset_dtype(const npy_array *arrays)
{
    static const int sampling[] = {TENSOR_OFFSET, TENSOR_MASK};
    cldeform_dtype dtype = arrays[TENSOR_INPUT].dtype;
    for (int i = 0; i < 2; i++)
        if (arrays[sampling[i]].rank > 0 && element_size(arrays[sampling[i]].dtype) > element_size(dtype))
            dtype = arrays[sampling[i]].dtype;
    return dtype;
}

int tensor_widen(const npy_array *array, double **values, fault *f)
{
    if (array->rank == 0)
        return EXIT_FINE;
    *values = calloc(array->elements > 0 ? array->elements : 1, sizeof **values);
    if (!*values)
        return fault_memory(f);
    element_to_double(array->dtype, array->data, array->elements, *values);
    return EXIT_FINE;
}

void tensors_free(npy_array *arrays)
{
    for (int i = 0; i < TENSORS; i++)
        npy_free(&arrays[i]);
}
