/* One convolution in a test: its tensors on the host, what the reference makes of them, and a run on the device between
 * guard bands. */
#ifndef TEST_CONV_H
#define TEST_CONV_H

#include "data.h"
#include "guarded.h"

enum { TEST_TENSORS = CLDEFORM_OUTPUT + 1 };

extern const char *const test_tensor_names[TEST_TENSORS];

typedef struct test_conv {
    cldeform_conv2d_problem problem;
    bool has_bias;
    bool present[TEST_TENSORS];
    cldeform_shape shape[TEST_TENSORS];
    cldeform_dtype dtype[TEST_TENSORS];
    double *values[TEST_TENSORS]; /* rounded to dtype; [CLDEFORM_OUTPUT]: what the reference gives */
    double *magnitude;            /* the sum of the terms' absolute values, for error bounds; NULL until asked for */
} test_conv;

/* The next value of a tensor; *state: any number, changed. */
double test_value(const cldeform_conv2d_problem *problem, cldeform_tensor_name name, test_data data, uint32_t *state);

/* All tensors of the problem, filled with reproducible data. */
void test_conv_create(test_conv *conv, const cldeform_conv2d_problem *problem, bool has_bias, test_data data,
                      uint32_t seed);
/* Computes values[CLDEFORM_OUTPUT] from the others. */
void test_conv_reference(test_conv *conv);
/* Rounds it to the output's type: what a run on exact data must give. */
void test_conv_round_reference(test_conv *conv);
void test_conv_destroy(test_conv *conv);

/* A tensor of the convolution between guards; the output is NaN, and the only one that may be written. */
void test_conv_upload(const test_device *on, const test_conv *conv, cldeform_tensor_name name, const test_run *run,
                      test_guarded *guarded);
/* The workspace that the run asks for. */
void test_scratch_for(const test_device *on, const cldeform_conv2d *object, cldeform_passes passes, const test_run *run,
                      test_scratch *scratch);

/* Runs forward; found: room for the output's elements (malloc'ed by the caller). Fails the test when a guard band was
 * touched or an element of the output not written (outputs start as NaN). */
void test_conv_run(const test_device *on, const test_conv *conv, const test_run *run, double *found);

/* The same, with the room malloc'ed here for the caller to free. */
double *test_conv_run_alone(const test_device *on, const test_conv *conv, const test_run *run);

/* Runs, compares: exactly, or within the error bound of the type. Prints where it differs. */
void test_conv_check(const test_device *on, test_conv *conv, const test_run *run, bool exact);

/* Fails unless |found - expected| <= bound, naming element, values and problem. bounds NULL: equal, NaN equal to NaN.
 */
void test_compare(const cldeform_conv2d_problem *problem, const char *name, const cldeform_shape *shape,
                  const double *found, const double *expected, const double *bounds);
void test_conv_compare(const test_conv *conv, const double *found, const double *expected, const double *bounds);

/* Everything different from everything else: sizes, strides, pads, groups. */
cldeform_conv2d_problem test_small_problem(cldeform_conv2d_kind kind);

#endif
