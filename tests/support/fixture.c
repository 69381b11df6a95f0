#include "fixture.h"
#include "storage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t output_bytes(const test_fixture *fixture)
{
    return fixture->host.shape[CLDEFORM_OUTPUT].bytes;
}

static void fill_nan(const test_fixture *fixture, cl_command_queue queue)
{
    const cl_uint nan = 0xffffffff;
    const size_t bytes = output_bytes(fixture);
    if (bytes > 0)
        assert_cl(
            clEnqueueFillBuffer(queue, fixture->buffers[CLDEFORM_OUTPUT], &nan, sizeof nan, 0, bytes, 0, NULL, NULL));
    assert_cl(clFinish(queue));
}

cl_mem test_upload(const test_device *on, const cldeform_shape *shape, cldeform_dtype dtype, const double *values)
{
    cl_int error = CL_SUCCESS;
    void *stored = malloc(shape->bytes);
    assert_non_null(stored);
    for (int64_t e = 0; e < shape->elements; e++)
        cldeform__store_element(stored, (size_t)e, dtype, values[e]);
    cl_mem buffer = clCreateBuffer(on->cl, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, shape->bytes, stored, &error);
    assert_int_equal(error, CL_SUCCESS);
    free(stored);
    return buffer;
}

double *test_download(cl_mem buffer, cl_command_queue queue, const cldeform_shape *shape, cldeform_dtype dtype)
{
    void *stored = malloc(shape->bytes);
    double *found = malloc((size_t)shape->elements * sizeof *found);
    assert_non_null(stored);
    assert_non_null(found);
    assert_cl(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, shape->bytes, stored, 0, NULL, NULL));
    for (int64_t e = 0; e < shape->elements; e++)
        found[e] = cldeform__load_element(stored, (size_t)e, dtype);
    free(stored);
    return found;
}

void test_fixture_create(const test_device *on, cldeform_context *context, const cldeform_conv2d_problem *problem,
                         test_fixture *fixture)
{
    cl_int error = CL_SUCCESS;
    size_t size = 0;
    memset(fixture, 0, sizeof *fixture);
    test_conv_create(&fixture->host, problem, true, TEST_EXACT, 31);
    test_conv_reference(&fixture->host);
    test_conv_round_reference(&fixture->host);
    assert_ok(cldeform_conv2d_create(context, &fixture->host.problem, &fixture->conv));
    fixture->tensors.struct_size = sizeof fixture->tensors;
    cldeform_tensor *const slots[TEST_TENSORS] = {&fixture->tensors.input, &fixture->tensors.offset,
                                                  &fixture->tensors.mask,  &fixture->tensors.weight,
                                                  &fixture->tensors.bias,  &fixture->tensors.output};
    for (int i = 0; i < TEST_TENSORS; i++) {
        const cldeform_shape *shape = &fixture->host.shape[i];
        if (!fixture->host.present[i] || shape->bytes == 0)
            continue;
        fixture->buffers[i] = test_upload(on, shape, fixture->host.dtype[i], fixture->host.values[i]);
        slots[i]->buffer = fixture->buffers[i];
    }
    assert_ok(cldeform_conv2d_workspace_size(fixture->conv, CLDEFORM_FORWARD, NULL, &size));
    fixture->workspace.buffer = clCreateBuffer(on->cl, CL_MEM_READ_WRITE, size, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    fill_nan(fixture, on->queue);
}

void test_fixture_drop_bias(test_fixture *fixture)
{
    fixture->tensors.bias.buffer = NULL;
    free(fixture->host.values[CLDEFORM_BIAS]);
    fixture->host.values[CLDEFORM_BIAS] = NULL;
    test_conv_reference(&fixture->host);
    test_conv_round_reference(&fixture->host);
}

void test_fixture_destroy(test_fixture *fixture)
{
    for (int i = 0; i < TEST_TENSORS; i++)
        if (fixture->buffers[i])
            assert_cl(clReleaseMemObject(fixture->buffers[i]));
    assert_cl(clReleaseMemObject(fixture->workspace.buffer));
    cldeform_conv2d_destroy(fixture->conv);
    test_conv_destroy(&fixture->host);
}

static double *read_output(const test_fixture *fixture, cl_command_queue queue)
{
    const cldeform_shape *shape = &fixture->host.shape[CLDEFORM_OUTPUT];
    return test_download(fixture->buffers[CLDEFORM_OUTPUT], queue, shape, fixture->host.dtype[CLDEFORM_OUTPUT]);
}

void test_fixture_expect(test_fixture *fixture, cl_command_queue queue)
{
    assert_cl(clFinish(queue));
    double *found = read_output(fixture, queue);
    test_conv_compare(&fixture->host, found, fixture->host.values[CLDEFORM_OUTPUT], NULL);
    free(found);
    fill_nan(fixture, queue);
}

bool test_fixture_untouched(const test_device *on, test_fixture *fixture)
{
    cl_command_queue queue = test_queue_create(on, 0);
    double *found = read_output(fixture, queue);
    bool untouched = true;
    for (int64_t e = 0; e < fixture->host.shape[CLDEFORM_OUTPUT].elements; e++)
        untouched = untouched && isnan(found[e]);
    free(found);
    clReleaseCommandQueue(queue);
    return untouched;
}
