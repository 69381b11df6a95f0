/* A backward pass with buffers on the device, for tests of how it is called rather than of what it computes. */
#ifndef TEST_BACKWARD_FIXTURE_H
#define TEST_BACKWARD_FIXTURE_H

#include "backward.h"

typedef struct test_backward_fixture {
    test_backward host;
    cldeform_conv2d *conv;
    cldeform_conv2d_tensors tensors;
    cldeform_conv2d_gradients gradients;
    cl_mem inputs[TEST_TENSORS];    /* [CLDEFORM_OUTPUT]: grad_output */
    cl_mem results[TEST_GRADIENTS]; /* gradients of no element have none, and are absent */
    cldeform_workspace workspace;   /* of the preferred size */
} test_backward_fixture;

/* Exact data, the reference's result in host.values; all gradients of the kind are asked for, and their buffers hold
 * NaN. problem->passes: CLDEFORM_BACKWARD, and what else the object is for. */
void test_backward_fixture_create(const test_device *on, cldeform_context *context,
                                  const cldeform_conv2d_problem *problem, test_backward_fixture *fixture);
void test_backward_fixture_destroy(test_backward_fixture *fixture);

/* Several chunks and groups: a chain of many commands on both queues. layout 0: NHWC. */
cldeform_conv2d_problem test_chunked_problem(int layout);

/* The smallest workspace: as many chunks as there can be. */
void test_backward_fixture_shrink(test_backward_fixture *fixture);

/* The call, with the fixture's workspace. */
cldeform_status test_backward_fixture_call(test_backward_fixture *fixture, cl_command_queue queue, cl_uint n_wait,
                                           const cl_event *wait, cl_event *done);

/* Fills the gradients asked for with NaN, or with 0: what accumulates needs numbers. Waits for the queue. */
void test_backward_fixture_fill(test_backward_fixture *fixture, cl_command_queue queue, bool nan);

/* Waits for the queue, fails unless the gradients asked for are `times` the reference's, then fills them with NaN. */
void test_backward_fixture_expect(test_backward_fixture *fixture, cl_command_queue queue, int times);

/* Whether nobody has written a gradient yet (all are NaN). Reads through a queue of its own. */
bool test_backward_fixture_untouched(const test_device *on, test_backward_fixture *fixture);

/* gradients' slot of gradient i. */
cldeform_tensor *test_gradient_slot(cldeform_conv2d_gradients *gradients, int i);

#endif
