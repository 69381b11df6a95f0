/* All gradients of a convolution in a test, by the reference or on the device. */
#ifndef TEST_GRADIENTS_H
#define TEST_GRADIENTS_H

#include "conv.h"

/* Counted as their tensors: gradient CLDEFORM_INPUT is grad_input, and so on to CLDEFORM_BIAS. */
enum { TEST_GRADIENTS = CLDEFORM_BIAS + 1 };
extern const char *const test_gradient_names[TEST_GRADIENTS]; /* "grad_input", ... */

/* By cldeform_tensor_name; NULL where the convolution lacks the tensor, and where it was not asked for. */
typedef struct test_gradients {
    double *values[TEST_GRADIENTS];
} test_gradients;

/* Of <grad_output, output>; on NULL: by the reference. What is not written is NaN. */
test_gradients test_gradients_find(const test_device *on, const test_conv *conv, const double *grad_output);
void test_gradients_free(test_gradients *gradients);

#endif
