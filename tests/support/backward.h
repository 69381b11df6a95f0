/* The backward pass of one convolution in a test: as conv.h, backward. */
#ifndef TEST_BACKWARD_H
#define TEST_BACKWARD_H

#include "gradients.h"

/* Of problem.passes, and of accumulate. */
static inline cldeform_passes test_gradient_bit(int i)
{
    return CLDEFORM_GRAD_INPUT << i;
}

typedef struct test_backward {
    test_conv conv; /* without bias, which no gradient needs; its output is not used */
    double *grad_output;
    cldeform_passes all; /* what the kind has */
    cldeform_shape shape[TEST_GRADIENTS];
    cldeform_dtype dtype[TEST_GRADIENTS];
    double *initial[TEST_GRADIENTS]; /* what a run that accumulates adds to */
    double *values[TEST_GRADIENTS];  /* what the reference gives, in double precision */
} test_backward;

/* The convolution's own tensors, to be run: no initial values, nothing to destroy. grad_bias only where conv has a
 * bias.
 */
test_backward test_backward_view(const test_conv *conv, double *grad_output);

void test_backward_create(test_backward *g, const cldeform_conv2d_problem *problem, test_data data, uint32_t seed);
/* Computes values. */
void test_backward_reference(test_backward *g);
void test_backward_destroy(test_backward *g);

/* The tensors that these gradients need, as a mask of 1 << cldeform_tensor_name. */
unsigned test_backward_need(const test_backward *g, cldeform_passes gradients);

/* Runs backward; gradients start as NaN, accumulated ones as initial. Fails the test when a byte was touched that is no
 * element of a gradient asked for. */
test_gradients test_backward_run(const test_device *on, const test_backward *g, const test_run *run);

/* Sums of the absolute values of each gradient's terms, of which the error bounds are made. */
typedef struct test_bounds {
    double *magnitude[TEST_GRADIENTS], *corners[TEST_GRADIENTS];
} test_bounds;
test_bounds test_bounds_create(const test_backward *g);
void test_bounds_free(test_bounds *bounds);

/* Fails unless each gradient that was found is values (and initial, where accumulated): within the error bound of its
 * type; bounds NULL: exactly, that is rounded once. */
void test_backward_compare(const test_backward *g, const test_gradients *found, cldeform_passes accumulate,
                           const test_bounds *bounds);

/* Reference, run and comparison. */
void test_backward_check(const test_device *on, test_backward *g, const test_run *run, bool exact);
/* The same with data made for it. */
void test_backward_check_problem(const test_device *on, const cldeform_conv2d_problem *problem, const test_run *run,
                                 test_data data, uint32_t seed);

/* Forward and all gradients of `device`, exactly, in strided tensors; what else is asked for varies with the seed. */
void test_check_all_passes(cldeform_context *context, const cldeform_conv2d_problem *problem, uint32_t seed);

/* Fails unless both found the same bits, in the gradients that both have. */
void test_gradients_same(const test_backward *g, const test_gradients *a, const test_gradients *b);

#endif
