/* operator_files.c: reads the files of an operator, and checks each shape and type against the ones before it. */
#include <stdio.h>
#include <string.h>

#include "element.h"
#include "operator.h"

int operator_refuse_shape(const operator_options *o, const npy_array *arrays, int tensor, const char *expected,
                          fault *f)
{
    char text[NPY_TEXT_SIZE];
    const npy_array *array = &arrays[tensor];
    return fault_set(f, EXIT_INPUT, "%s %s has shape %s, expected %s", tensor_table[tensor].name, o->path[tensor],
                     npy_shape_text(array->rank, array->shape, text), expected);
}

int operator_check_shape(const operator_options *o, const npy_array *arrays, int tensor, int rank, const int64_t *shape,
                         fault *f)
{
    const npy_array *array = &arrays[tensor];
    if (array->rank == rank && memcmp(array->shape, shape, (size_t)rank * sizeof *shape) == 0)
        return EXIT_FINE;
    char text[NPY_TEXT_SIZE];
    return operator_refuse_shape(o, arrays, tensor, npy_shape_text(rank, shape, text), f);
}

static int refuse_type(const operator_options *o, const npy_array *arrays, int tensor, const char *expected, fault *f)
{
    return fault_set(f, EXIT_INPUT, "%s %s has type '%s', expected %s", tensor_table[tensor].name, o->path[tensor],
                     element_descr(arrays[tensor].dtype), expected);
}

int operator_read(const operator_options *o, npy_array *arrays, int tensor, fault *f)
{
    const npy_array *array = &arrays[tensor];
    const cldeform_dtype dtype = arrays[TENSOR_INPUT].dtype;
    int or_f32 = (tensor == TENSOR_OFFSET || tensor == TENSOR_MASK) && dtype == CLDEFORM_F16;
    int status = npy_read(o->path[tensor], &arrays[tensor], f);
    if (status != EXIT_FINE || tensor == TENSOR_INPUT)
        return status;
    if (tensor == TENSOR_ROIS)
        return array->dtype != CLDEFORM_F16 ? EXIT_FINE : refuse_type(o, arrays, tensor, "'<f4' or '<f8'", f);
    if (array->dtype == arrays[TENSOR_INPUT].dtype || (or_f32 && array->dtype == CLDEFORM_F32))
        return EXIT_FINE;
    char expected[OPERATOR_WORDS];
    snprintf(expected, sizeof expected, "'%s', the input's type%s", element_descr(dtype), or_f32 ? ", or '<f4'" : "");
    return refuse_type(o, arrays, tensor, expected, f);
}

int operator_read_shape(const operator_options *o, npy_array *arrays, int tensor, int rank, const int64_t *shape,
                        fault *f)
{
    int status = operator_read(o, arrays, tensor, f);
    return status == EXIT_FINE ? operator_check_shape(o, arrays, tensor, rank, shape, f) : status;
}

int operator_read_input(const operator_options *o, npy_array *arrays, int64_t size[4], fault *f)
{
    int nhwc = o->layout == CLDEFORM_NHWC;
    int status = operator_read(o, arrays, TENSOR_INPUT, f);
    if (status != EXIT_FINE)
        return status;
    const int64_t *shape = arrays[TENSOR_INPUT].shape;
    if (arrays[TENSOR_INPUT].rank != 4 || shape[1] < 1 || shape[2] < 1 || shape[3] < 1)
        return operator_refuse_shape(
            o, arrays, TENSOR_INPUT,
            nhwc ? "(N,H,W,C) with H, W and C at least 1" : "(N,C,H,W) with C, H and W at least 1", f);
    size[0] = shape[0];
    size[1] = shape[nhwc ? 3 : 1];
    size[2] = shape[nhwc ? 1 : 2];
    size[3] = shape[nhwc ? 2 : 3];
    return EXIT_FINE;
}

int operator_create_outputs(const operator_options *o, npy_array *arrays, const int64_t output[4], fault *f)
{
    int status = EXIT_FINE;
    if (o->path[TENSOR_GRAD_OUTPUT])
        status = operator_read_shape(o, arrays, TENSOR_GRAD_OUTPUT, 4, output, f);
    for (int i = 0; i < TENSORS && status == EXIT_FINE; i++) {
        const npy_array *of = &arrays[tensor_table[i].of];
        if (!tensor_table[i].pass || !o->path[i] || arrays[i].rank > 0)
            continue;
        if (i == TENSOR_OUTPUT)
            status = npy_create(&arrays[i], arrays[TENSOR_INPUT].dtype, 4, output, f);
        else
            status = npy_create(&arrays[i], of->dtype, of->rank, of->shape, f);
    }
    return status;
}
