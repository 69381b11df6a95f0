/* RoI pooling with buffers on the device, for tests of how it is called rather than of what it computes. */
#ifndef TEST_ROI_FIXTURE_H
#define TEST_ROI_FIXTURE_H

#include "roi_shapes.h"

typedef struct test_roi_fixture {
    test_roi host;
    cldeform_roi_pool *pool;
    cldeform_roi_pool_tensors tensors;
    cldeform_roi_pool_gradients gradients;
    cl_mem buffers[TEST_ROI_TENSORS]; /* NULL: the problem has no such tensor */
    cldeform_workspace workspace;     /* of the preferred size for any pass; buffer NULL: none is needed */
} test_roi_fixture;

/* Exact data for max_rois RoIs, the reference's results in host; all passes are prepared, all gradients asked for, and
 * the results hold NaN. */
void test_roi_fixture_create(const test_device *on, cldeform_context *context, const cldeform_roi_pool_problem *problem,
                             bool has_level, test_roi_fixture *fixture);
void test_roi_fixture_destroy(test_roi_fixture *fixture);

/* Modulated, of several levels: a chain of many commands in both passes. i: an even number for ROI_ALIGN, an odd one
 * for ROI_PS_ALIGN, in the other layout. */
cldeform_roi_pool_problem test_roi_fixture_problem(int i);

/* The call with n RoIs and the fixture's workspace. */
cldeform_status test_roi_fixture_call(test_roi_fixture *fixture, test_roi_pass pass, cl_command_queue queue, int64_t n,
                                      cl_uint n_wait, const cl_event *wait, cl_event *done);

/* Fills the results of both passes with NaN, or with 0: what accumulates needs numbers. Waits for the queue. */
void test_roi_fixture_fill(test_roi_fixture *fixture, cl_command_queue queue, bool nan);
/* Waits for the queue, fails unless the pass's results are `times` the reference's, then fills these with NaN. */
void test_roi_fixture_expect(test_roi_fixture *fixture, test_roi_pass pass, cl_command_queue queue, int times);
/* Whether nobody has written a result yet. Reads through a queue of its own. */
bool test_roi_fixture_untouched(const test_device *on, test_roi_fixture *fixture);

#endif
