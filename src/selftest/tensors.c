#include "selftest.h"

#include "../storage.h"
#include "cldeform/cldeform_ref.h"

#include <math.h>
#include <stdlib.h>

double cldeform__small_number(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 24) / 256 * 9 - 4.5;
}

void cldeform__fill_tensor(cldeform__host_tensor *tensor, uint32_t *state)
{
    for (size_t i = 0; i < tensor->elements; i++) {
        const double number = cldeform__small_number(state);
        switch (tensor->name) {
        case CLDEFORM_OFFSET:
            tensor->values[i] = rint(number * 2) / 4; /* quarters: weights of the samples are sixteenths */
            break;
        case CLDEFORM_MASK:
            tensor->values[i] = rint(fabs(number)) / 4;
            break;
        default:
            tensor->values[i] = rint(number);
        }
    }
    if (tensor->name == CLDEFORM_OFFSET) { /* what exploding offsets look like */
        const double special[] = {NAN, INFINITY, -INFINITY, 60000, -60000, -1};
        for (size_t i = 0; i < sizeof special / sizeof special[0] && i * 7 < tensor->elements; i++)
            tensor->values[i * 7] = special[i];
    }
}

cldeform_status cldeform__create_tensor(cldeform__host_tensor *tensor, const cldeform_shape *shape)
{
    tensor->elements = (size_t)shape->elements;
    tensor->values = calloc(tensor->elements, sizeof *tensor->values);
    return tensor->values ? CLDEFORM_OK : cldeform__fail(CLDEFORM_OUT_OF_MEMORY, "no memory for the self-test");
}

cldeform_status cldeform__send_tensor(const cldeform_context *context, cldeform__host_tensor *tensor)
{
    const size_t bytes = tensor->elements * cldeform__dtype_size(tensor->dtype);
    void *stored = malloc(bytes);
    cl_int error = stored ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
    if (error == CL_SUCCESS) {
        for (size_t i = 0; i < tensor->elements; i++)
            cldeform__store_element(stored, i, tensor->dtype, tensor->values[i]);
        tensor->buffer = clCreateBuffer(context->cl, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, bytes, stored, &error);
    }
    free(stored);
    return error == CL_SUCCESS ? CLDEFORM_OK : cldeform__fail_cl(error, "tensor of %zu bytes", bytes);
}

void cldeform__free_tensor(cldeform__host_tensor *tensor)
{
    free(tensor->values);
    if (tensor->buffer)
        clReleaseMemObject(tensor->buffer);
}

/* found against expected; fp16 values are compared after rounding. tolerance: of the largest value. */
static cldeform_status compare(const char *name, const void *found, const double *expected, size_t elements,
                               cldeform_dtype dtype, double tolerance)
{
    double largest = 0;
    for (size_t i = 0; i < elements; i++)
        largest = fmax(largest, fabs(expected[i]));
    for (size_t i = 0; i < elements; i++) {
        const double have = cldeform__load_element(found, i, dtype);
        double want = expected[i];
        if (dtype == CLDEFORM_F16)
            want = cldeform_ref_half_to_double(cldeform_ref_half_from_double(want));
        if (!(fabs(have - want) <= tolerance * largest))
            return cldeform__fail(CLDEFORM_SELFTEST_FAILED, "element %zu of %s is %.9g; it must be %.9g (largest %.9g)",
                                  i, name, have, want, largest);
    }
    return CLDEFORM_OK;
}

cldeform_status cldeform__compare_tensor(cl_command_queue queue, const char *name, const cldeform__host_tensor *tensor,
                                         double tolerance)
{
    const size_t bytes = tensor->elements * cldeform__dtype_size(tensor->dtype);
    void *found = malloc(bytes);
    const cl_int error = found ? clEnqueueReadBuffer(queue, tensor->buffer, CL_TRUE, 0, bytes, found, 0, NULL, NULL)
                               : CL_OUT_OF_HOST_MEMORY;
    const cldeform_status status =
        error == CL_SUCCESS ? compare(name, found, tensor->values, tensor->elements, tensor->dtype, tolerance)
                            : cldeform__fail_cl(error, "reading %s", name);
    free(found);
    return status;
}
