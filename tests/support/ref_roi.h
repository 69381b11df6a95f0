/* Pooling by the reference, with room for all its tensors on the host. */
#ifndef TEST_REF_ROI_H
#define TEST_REF_ROI_H

#include "device.h"

#include "cldeform/cldeform_ref.h"

/* Arrays may be written freely; a pointer may be set to NULL for a call (and back: they are freed). */
typedef struct test_ref_roi {
    cldeform_roi_pool_problem problem;
    int64_t rois, out_channels;
    int64_t levels, inputs[CLDEFORM_MAX_LEVELS], outputs, offsets,
        masks; /* elements; offsets, masks: 0 if it has none */
    double *input[CLDEFORM_MAX_LEVELS], *roi, *offset, *mask, *output;
    int32_t *level, *argmax; /* level: NULL after create */
    double *grad_output, *grad_input[CLDEFORM_MAX_LEVELS], *grad_offset, *grad_mask;
} test_ref_roi;

/* Inputs 0, RoIs the whole of image 0, offsets 0, masks 1, gradients of the output 1. */
void test_ref_roi_create(test_ref_roi *t, const cldeform_roi_pool_problem *problem, int64_t rois);
void test_ref_roi_destroy(test_ref_roi *t);

/* RoI r becomes (image, x1, y1, x2, y2). */
void test_ref_roi_set(test_ref_roi *t, int64_t r, double image, double x1, double y1, double x2, double y2);

/* All results start as NaN, argmax as -7: what a call leaves out is found by whoever looks at it. */
void test_ref_roi_forward(test_ref_roi *t);
void test_ref_roi_backward(test_ref_roi *t);

/* Reproducible, in [0, 1). */
double test_ref_roi_next(uint32_t *state);

/* Equal, infinities to their sign, NaN to NaN. */
void test_ref_roi_expect(double found, double wanted, const char *what, double y, double x);

#endif
