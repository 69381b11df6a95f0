#include "backward_fixture.h"
#include "fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

cldeform_tensor *test_gradient_slot(cldeform_conv2d_gradients *gradients, int i)
{
    cldeform_tensor *const slots[TEST_GRADIENTS] = {&gradients->grad_input, &gradients->grad_offset,
                                                    &gradients->grad_mask, &gradients->grad_weight,
                                                    &gradients->grad_bias};
    return slots[i];
}

static cl_mem create_buffer(const test_device *on, size_t bytes)
{
    cl_int error = CL_SUCCESS;
    cl_mem buffer = clCreateBuffer(on->cl, CL_MEM_READ_WRITE, bytes, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    return buffer;
}

void test_backward_fixture_create(const test_device *on, cldeform_context *context,
                                  const cldeform_conv2d_problem *problem, test_backward_fixture *f)
{
    size_t size = 0;
    memset(f, 0, sizeof *f);
    test_backward_create(&f->host, problem, TEST_EXACT, 31);
    if (problem->batch > 0)
        test_backward_reference(&f->host);
    assert_ok(cldeform_conv2d_create(context, &f->host.conv.problem, &f->conv));
    f->tensors.struct_size = sizeof f->tensors;
    f->gradients.struct_size = sizeof f->gradients;
    const test_conv *conv = &f->host.conv;
    cldeform_tensor *const slots[TEST_TENSORS] = {&f->tensors.input,  &f->tensors.offset, &f->tensors.mask,
                                                  &f->tensors.weight, &f->tensors.bias,   &f->gradients.grad_output};
    for (int i = 0; i < TEST_TENSORS; i++) {
        if (!conv->present[i] || conv->shape[i].bytes == 0)
            continue;
        f->inputs[i] = test_upload(on, &conv->shape[i], conv->dtype[i],
                                   i == CLDEFORM_OUTPUT ? f->host.grad_output : conv->values[i]);
        slots[i]->buffer = f->inputs[i];
    }
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        if (f->host.shape[i].bytes == 0)
            continue;
        f->results[i] = create_buffer(on, f->host.shape[i].bytes);
        test_gradient_slot(&f->gradients, i)->buffer = f->results[i];
    }
    assert_ok(cldeform_conv2d_workspace_size(f->conv, CLDEFORM_BACKWARD, NULL, &size));
    f->workspace.buffer = create_buffer(on, size ? size : 1);
    test_backward_fixture_fill(f, on->queue, true);
}

void test_backward_fixture_destroy(test_backward_fixture *f)
{
    for (int i = 0; i < TEST_TENSORS; i++)
        if (f->inputs[i])
            assert_cl(clReleaseMemObject(f->inputs[i]));
    for (int i = 0; i < TEST_GRADIENTS; i++)
        if (f->results[i])
            assert_cl(clReleaseMemObject(f->results[i]));
    assert_cl(clReleaseMemObject(f->workspace.buffer));
    cldeform_conv2d_destroy(f->conv);
    test_backward_destroy(&f->host);
}

static bool is_asked(test_backward_fixture *f, int i)
{
    return test_gradient_slot(&f->gradients, i)->buffer != NULL;
}

void test_backward_fixture_fill(test_backward_fixture *f, cl_command_queue queue, bool nan)
{
    const cl_uchar byte = nan ? 0xff : 0;
    for (int i = 0; i < TEST_GRADIENTS; i++)
        if (is_asked(f, i))
            assert_cl(clEnqueueFillBuffer(queue, f->results[i], &byte, 1, 0, f->host.shape[i].bytes, 0, NULL, NULL));
    assert_cl(clFinish(queue));
}

static double *read_gradient(test_backward_fixture *f, cl_command_queue queue, int i)
{
    return test_download(f->results[i], queue, &f->host.shape[i], f->host.dtype[i]);
}

void test_backward_fixture_expect(test_backward_fixture *f, cl_command_queue queue, int times)
{
    assert_cl(clFinish(queue));
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        if (!is_asked(f, i))
            continue;
        double *found = read_gradient(f, queue, i);
        for (int64_t e = 0; e < f->host.shape[i].elements; e++)
            found[e] /= times;
        test_compare(&f->host.conv.problem, test_gradient_names[i], &f->host.shape[i], found, f->host.values[i], NULL);
        free(found);
    }
    test_backward_fixture_fill(f, queue, true);
}

bool test_backward_fixture_untouched(const test_device *on, test_backward_fixture *f)
{
    cl_command_queue queue = test_queue_create(on, 0);
    bool untouched = true;
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        if (!is_asked(f, i))
            continue;
        double *found = read_gradient(f, queue, i);
        for (int64_t e = 0; e < f->host.shape[i].elements; e++)
            untouched = untouched && isnan(found[e]);
        free(found);
    }
    clReleaseCommandQueue(queue);
    return untouched;
}

cldeform_conv2d_problem test_chunked_problem(int layout)
{
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    problem.batch = 4;
    problem.layout = layout ? CLDEFORM_NCHW : CLDEFORM_NHWC;
    problem.passes = CLDEFORM_BACKWARD;
    return problem;
}

void test_backward_fixture_shrink(test_backward_fixture *f)
{
    assert_ok(cldeform_conv2d_workspace_size(f->conv, CLDEFORM_BACKWARD, &f->workspace.size, NULL));
}

cldeform_status test_backward_fixture_call(test_backward_fixture *f, cl_command_queue queue, cl_uint n_wait,
                                           const cl_event *wait, cl_event *done)
{
    return cldeform_conv2d_backward(f->conv, queue, &f->tensors, &f->gradients, &f->workspace, n_wait, wait, done);
}
