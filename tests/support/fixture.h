/* A convolution with buffers on the device, for tests of how it is called rather than of what it computes. */
#ifndef TEST_FIXTURE_H
#define TEST_FIXTURE_H

#include "conv.h"

typedef struct test_fixture {
    test_conv host;
    cldeform_conv2d *conv;
    cldeform_conv2d_tensors tensors;
    cl_mem buffers[TEST_TENSORS];
    cldeform_workspace workspace; /* of the preferred size */
} test_fixture;

/* A dense tensor on the device, and back. */
cl_mem test_upload(const test_device *on, const cldeform_shape *shape, cldeform_dtype dtype, const double *values);
double *test_download(cl_mem buffer, cl_command_queue queue, const cldeform_shape *shape, cldeform_dtype dtype);

/* Exact data, the reference's result in host.values[CLDEFORM_OUTPUT]; the output's buffer holds NaN. */
void test_fixture_create(const test_device *on, cldeform_context *context, const cldeform_conv2d_problem *problem,
                         test_fixture *fixture);
/* From now on without bias: the products then write the output themselves. */
void test_fixture_drop_bias(test_fixture *fixture);
void test_fixture_destroy(test_fixture *fixture);

/* Fails unless the output's buffer holds the reference's result; then fills it with NaN again. Waits for the queue. */
void test_fixture_expect(test_fixture *fixture, cl_command_queue queue);

/* Whether nobody has written the output yet. Reads through a queue of its own. */
bool test_fixture_untouched(const test_device *on, test_fixture *fixture);

#endif
