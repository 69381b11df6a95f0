/* The self-test's checks, one file each, and the tensors that they share. */
#ifndef CLDEFORM_SELFTEST_H
#define CLDEFORM_SELFTEST_H

#include "../context.h"

/* Takes a check's name and outcome. */
typedef void (*cldeform__selftest_tell)(const char *check, cldeform_status status, void *user);

/* A tensor on the host and on the device. */
typedef struct cldeform__host_tensor {
    cldeform_tensor_name name;
    double *values;
    size_t elements;
    cldeform_dtype dtype;
    cl_mem buffer;
} cldeform__host_tensor;

/* The next of a row of numbers from -4.5 to 4.5. */
double cldeform__small_number(uint32_t *state);

/* Values: whole numbers and quarters small enough that every sum is exact in fp32, in any order: the device must then
 * give the reference's result to the bit (rounded to half for fp16). Offsets hold exploded ones too. */
void cldeform__fill_tensor(cldeform__host_tensor *tensor, uint32_t *state);

/* Memory for the shape's elements, of zeros; the buffer is left to cldeform__send_tensor, which rounds the values to
 * the type. */
cldeform_status cldeform__create_tensor(cldeform__host_tensor *tensor, const cldeform_shape *shape);
cldeform_status cldeform__send_tensor(const cldeform_context *context, cldeform__host_tensor *tensor);
void cldeform__free_tensor(cldeform__host_tensor *tensor);

/* Fails unless the buffer holds the values; fp16 is compared after rounding. tolerance: of the largest value. */
cldeform_status cldeform__compare_tensor(cl_command_queue queue, const char *name, const cldeform__host_tensor *tensor,
                                         double tolerance);

/* Run the checks of a kind, and tell of each. */
void cldeform__selftest_conv2d(cldeform_context *context, cl_command_queue queue, cldeform__selftest_tell tell,
                               void *user);
void cldeform__selftest_roi_pool(cldeform_context *context, cl_command_queue queue, cldeform__selftest_tell tell,
                                 void *user);
void cldeform__selftest_gemm(cldeform_context *context, cl_command_queue queue, cldeform__selftest_tell tell,
                             void *user);

#endif
