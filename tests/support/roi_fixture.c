#include "roi_fixture.h"
#include "fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

cldeform_roi_pool_problem test_roi_fixture_problem(int i)
{
    cldeform_roi_pool_problem problem =
        test_roi_problem_of(i % 2 ? "PS 2 levels, 2 classes" : "3 levels", true, true, 13);
    problem.layout = i % 2 ? CLDEFORM_NHWC : CLDEFORM_NCHW;
    problem.passes = CLDEFORM_FORWARD | CLDEFORM_BACKWARD;
    return problem;
}

static bool is_result(int i)
{
    return i == TEST_ROI_OUTPUT || i == TEST_ROI_ARGMAX || test_roi_bit(i);
}

static cl_mem upload(const test_device *on, const test_roi_tensor *t)
{
    cl_int error = CL_SUCCESS;
    if (!t->whole)
        return test_upload(on, &t->shape, t->dtype, t->values);
    int32_t *whole = malloc(t->shape.bytes);
    assert_non_null(whole);
    for (int64_t e = 0; e < t->shape.elements; e++)
        whole[e] = (int32_t)t->values[e];
    cl_mem buffer = clCreateBuffer(on->cl, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, t->shape.bytes, whole, &error);
    assert_int_equal(error, CL_SUCCESS);
    free(whole);
    return buffer;
}

void test_roi_fixture_create(const test_device *on, cldeform_context *context, const cldeform_roi_pool_problem *problem,
                             bool has_level, test_roi_fixture *f)
{
    cl_int error = CL_SUCCESS;
    size_t forward = 0, backward = 0;
    memset(f, 0, sizeof *f);
    test_roi_create(&f->host, problem, problem->max_rois, has_level, TEST_EXACT, 31);
    test_roi_reference(&f->host);
    assert_ok(cldeform_roi_pool_create(context, problem, &f->pool));
    f->tensors.struct_size = sizeof f->tensors;
    f->gradients.struct_size = sizeof f->gradients;
    for (int i = 0; i < TEST_ROI_TENSORS; i++) {
        if (!f->host.tensor[i].present)
            continue;
        f->buffers[i] = upload(on, &f->host.tensor[i]);
        test_roi_slot(&f->tensors, &f->gradients, i)->buffer = f->buffers[i];
    }
    assert_ok(cldeform_roi_pool_workspace_size(f->pool, CLDEFORM_FORWARD, NULL, &forward));
    assert_ok(cldeform_roi_pool_workspace_size(f->pool, f->host.sizes.gradients, NULL, &backward));
    const size_t size = forward > backward ? forward : backward;
    if (size > 0)
        f->workspace.buffer = clCreateBuffer(on->cl, CL_MEM_READ_WRITE, size, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    test_roi_fixture_fill(f, on->queue, true);
}

void test_roi_fixture_destroy(test_roi_fixture *f)
{
    for (int i = 0; i < TEST_ROI_TENSORS; i++)
        if (f->buffers[i])
            assert_cl(clReleaseMemObject(f->buffers[i]));
    if (f->workspace.buffer)
        assert_cl(clReleaseMemObject(f->workspace.buffer));
    cldeform_roi_pool_destroy(f->pool);
    test_roi_destroy(&f->host);
}

cldeform_status test_roi_fixture_call(test_roi_fixture *f, test_roi_pass pass, cl_command_queue queue, int64_t n,
                                      cl_uint n_wait, const cl_event *wait, cl_event *done)
{
    const cldeform_workspace *workspace = f->workspace.buffer ? &f->workspace : NULL;
    if (pass == TEST_ROI_BACKWARD)
        return cldeform_roi_pool_backward(f->pool, queue, n, &f->tensors, &f->gradients, workspace, n_wait, wait, done);
    return cldeform_roi_pool_forward(f->pool, queue, n, &f->tensors, workspace, n_wait, wait, done);
}

/* Whether tensor i is a result that is asked for. */
static bool is_asked(test_roi_fixture *f, int i)
{
    return is_result(i) && test_roi_slot(&f->tensors, &f->gradients, i)->buffer != NULL;
}

/* Whether it is one of the pass's. Not argmax: backward reads it. */
static bool is_asked_of(test_roi_fixture *f, int i, test_roi_pass pass)
{
    return is_asked(f, i) && i != TEST_ROI_ARGMAX && (test_roi_bit(i) != 0) == (pass == TEST_ROI_BACKWARD);
}

static void fill(test_roi_fixture *f, test_roi_pass pass, cl_command_queue queue, bool nan)
{
    const cl_uchar byte = nan ? 0xff : 0;
    for (int i = 0; i < TEST_ROI_TENSORS; i++)
        if (is_asked_of(f, i, pass))
            assert_cl(
                clEnqueueFillBuffer(queue, f->buffers[i], &byte, 1, 0, f->host.tensor[i].shape.bytes, 0, NULL, NULL));
    assert_cl(clFinish(queue));
}

void test_roi_fixture_fill(test_roi_fixture *f, cl_command_queue queue, bool nan)
{
    fill(f, TEST_ROI_FORWARD, queue, nan);
    fill(f, TEST_ROI_BACKWARD, queue, nan);
}

static double *read(test_roi_fixture *f, cl_command_queue queue, int i)
{
    return test_download(f->buffers[i], queue, &f->host.tensor[i].shape, f->host.tensor[i].dtype);
}

void test_roi_fixture_expect(test_roi_fixture *f, test_roi_pass pass, cl_command_queue queue, int times)
{
    test_roi_found found = {{NULL}};
    assert_cl(clFinish(queue));
    for (int i = 0; i < TEST_ROI_TENSORS; i++) {
        if (!is_asked_of(f, i, pass))
            continue;
        found.values[i] = read(f, queue, i);
        for (int64_t e = 0; e < f->host.tensor[i].shape.elements; e++)
            found.values[i][e] /= times;
    }
    test_roi_compare(&f->host, &found, 0, true);
    test_roi_found_free(&found);
    fill(f, pass, queue, true);
}

bool test_roi_fixture_untouched(const test_device *on, test_roi_fixture *f)
{
    cl_command_queue queue = test_queue_create(on, 0);
    bool untouched = true;
    for (int i = 0; i < TEST_ROI_TENSORS; i++) {
        if (!is_asked(f, i) || i == TEST_ROI_ARGMAX)
            continue;
        double *found = read(f, queue, i);
        for (int64_t e = 0; e < f->host.tensor[i].shape.elements; e++)
            untouched = untouched && isnan(found[e]);
        free(found);
    }
    clReleaseCommandQueue(queue);
    return untouched;
}
