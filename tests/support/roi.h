/* One call of RoI pooling in a test: its tensors on the host, what the reference makes of them, and a run on the device
 * between guard bands. */
#ifndef TEST_ROI_H
#define TEST_ROI_H

#include "data.h"
#include "guarded.h"

enum {
    TEST_ROI_INPUT = 0, /* this one and grad_input: one a level */
    TEST_ROI_ROIS = TEST_ROI_INPUT + CLDEFORM_MAX_LEVELS,
    TEST_ROI_LEVEL,
    TEST_ROI_OFFSET,
    TEST_ROI_MASK,
    TEST_ROI_OUTPUT,
    TEST_ROI_ARGMAX,
    TEST_ROI_GRAD_OUTPUT,
    TEST_ROI_GRAD_INPUT,
    TEST_ROI_GRAD_OFFSET = TEST_ROI_GRAD_INPUT + CLDEFORM_MAX_LEVELS,
    TEST_ROI_GRAD_MASK,
    TEST_ROI_TENSORS
};

extern const char *const test_roi_names[TEST_ROI_TENSORS]; /* "tensors.input[0]", as the library's texts have them */

/* What the fields of a problem mean, defaults filled in. */
typedef struct test_roi_sizes {
    int64_t levels, group, out_channels, part_h, part_w, samples_h, samples_w, classes, canonical_level;
    double offset_scale, canonical_size;
    cldeform_dtype dtype, offset_dtype, roi_dtype;
    cldeform_passes gradients; /* all that the problem has */
} test_roi_sizes;
test_roi_sizes test_roi_sizes_of(const cldeform_roi_pool_problem *problem);

typedef struct test_roi_tensor {
    bool present;
    bool whole; /* int32_t elements; else of dtype */
    cldeform_dtype dtype;
    cldeform_shape shape; /* with the RoIs of the call */
    double *values;       /* rounded to dtype; results: what the reference gives, in double precision */
    double *initial;      /* gradients: what a run that accumulates adds to */
} test_roi_tensor;

typedef struct test_roi {
    cldeform_roi_pool_problem problem;
    test_roi_sizes sizes;
    int64_t n; /* RoIs of the call */
    test_roi_tensor tensor[TEST_ROI_TENSORS];
} test_roi;

/* All tensors of a call with n RoIs, at most the problem's max_rois, with reproducible data (roi_data.c). has_level: a
 * level for each RoI is given; else the rule finds them. */
void test_roi_create(test_roi *roi, const cldeform_roi_pool_problem *problem, int64_t n, bool has_level, test_data data,
                     uint32_t seed);
void test_roi_destroy(test_roi *roi);
/* Fills everything but the results; test_roi_create does it. */
void test_roi_make(test_roi *roi, test_data data, uint32_t seed);

void test_roi_set(test_roi *roi, int64_t r, double image, double x1, double y1, double x2, double y2);
/* Puts a value into all elements of tensor i. */
void test_roi_fill(test_roi *roi, int i, double value);
/* A call with n RoIs of another: the first, and each `step` further on. */
void test_roi_take(const test_roi *from, int64_t first, int64_t step, int64_t n, test_roi *roi);

/* Computes output and argmax, then all gradients, from the other values. */
void test_roi_reference(test_roi *roi);

typedef enum test_roi_pass { TEST_ROI_FORWARD, TEST_ROI_BACKWARD } test_roi_pass;

/* What a run wrote; NULL: was not asked for. */
typedef struct test_roi_found {
    double *values[TEST_ROI_TENSORS];
} test_roi_found;
void test_roi_found_free(test_roi_found *found);

/* Runs a pass; results start as NaN (argmax as no index), accumulated gradients as initial. backward reads the
 * reference's argmax. Fails the test when a byte was touched that is no element of a result. The object knows
 * only this pass: each compiles. run->minimal: not even gradients that are not asked for; tensors that it does not need
 * are absent, and so is the argmax of a forward pass. */
test_roi_found test_roi_run(const test_device *on, const test_roi *roi, test_roi_pass pass, const test_run *run);

/* The gradient's bit of tensor i; 0: it is no gradient. */
cldeform_passes test_roi_bit(int i);
/* Whether backward needs tensor i for these gradients. */
bool test_roi_needs(const test_roi *roi, int i, cldeform_passes gradients);
/* The field of tensor i; either struct may be NULL where it has none. */
cldeform_tensor *test_roi_slot(cldeform_roi_pool_tensors *tensors, cldeform_roi_pool_gradients *gradients, int i);

/* Fails unless what was found is what the reference gives (and initial, where accumulated): exactly, that is rounded
 * once, or within the error bound of its type. */
void test_roi_compare(const test_roi *roi, const test_roi_found *found, cldeform_passes accumulate, bool exact);
/* Runs and compares; the reference's results must be there. */
void test_roi_check(const test_device *on, const test_roi *roi, test_roi_pass pass, const test_run *run, bool exact);
/* Fails unless both found the same bits, in the results that both have. */
void test_roi_same(const test_roi *roi, const test_roi_found *a, const test_roi_found *b);

/* For each element of the output and the gradients, the sum of its terms' absolute values or more. Not of
 * ROI_MAX's output, which is a pixel. */
test_roi_found test_roi_magnitudes(const test_roi *roi);

#endif
