/* conv2d_data.c: the tensors of a convolution: a table of what they are, and their arrays. */
#include "conv2d.h"

#include <stdlib.h>

#include "element.h"

const conv2d_tensor conv2d_tensors[CONV2D_TENSORS] = {
    [CONV2D_INPUT] = {"input", "input", 0, CONV2D_INPUT},
    [CONV2D_WEIGHT] = {"weight", "weight", 0, CONV2D_WEIGHT},
    [CONV2D_OFFSET] = {"offset", "offset", 0, CONV2D_OFFSET},
    [CONV2D_MASK] = {"mask", "mask", 0, CONV2D_MASK},
    [CONV2D_BIAS] = {"bias", "bias", 0, CONV2D_BIAS},
    [CONV2D_GRAD_OUTPUT] = {"grad_output", "grad-output", 0, CONV2D_OUTPUT},
    [CONV2D_OUTPUT] = {"output", "output", CLDEFORM_FORWARD, CONV2D_OUTPUT},
    [CONV2D_GRAD_INPUT] = {"grad_input", "grad-input", CLDEFORM_GRAD_INPUT, CONV2D_INPUT},
    [CONV2D_GRAD_WEIGHT] = {"grad_weight", "grad-weight", CLDEFORM_GRAD_WEIGHT, CONV2D_WEIGHT},
    [CONV2D_GRAD_OFFSET] = {"grad_offset", "grad-offset", CLDEFORM_GRAD_OFFSET, CONV2D_OFFSET},
    [CONV2D_GRAD_MASK] = {"grad_mask", "grad-mask", CLDEFORM_GRAD_MASK, CONV2D_MASK},
    [CONV2D_GRAD_BIAS] = {"grad_bias", "grad-bias", CLDEFORM_GRAD_BIAS, CONV2D_BIAS},
};

cldeform_passes conv2d_passes(const conv2d_data *d)
{
    cldeform_passes passes = 0;
    for (int i = 0; i < CONV2D_TENSORS; i++)
        if (d->array[i].rank > 0)
            passes |= conv2d_tensors[i].pass;
    return passes;
}

int conv2d_widen(const npy_array *array, double **values, fault *f)
{
    if (array->rank == 0)
        return EXIT_FINE;
    *values = calloc(array->elements > 0 ? array->elements : 1, sizeof **values);
    if (!*values)
        return fault_memory(f);
    element_to_double(array->dtype, array->data, array->elements, *values);
    return EXIT_FINE;
}

void conv2d_free_data(conv2d_data *d)
{
    for (int i = 0; i < CONV2D_TENSORS; i++)
        npy_free(&d->array[i]);
}
