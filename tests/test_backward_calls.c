/* Which OpenCL calls backward and the parts make: none that allocate, compile or block in a call that has a workspace;
 * every one of them may fail; and every object is released. */
#include "algorithms.h"
#include "backward_fixture.h"
#include "layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void calls_allocate_and_compile_nothing(void **state)
{
    (void)state;
    cl_command_queue const queues[] = {device.queue, device.out_of_order};
    for (int variant = 0; variant < 4; variant++) {
        cl_command_queue queue = queues[variant % 2];
        cldeform_conv2d_problem problem = test_chunked_problem(variant / 2);
        test_backward_fixture f;
        if (!queue)
            continue;
        problem.dtype = variant % 2 == variant / 2 ? CLDEFORM_F32 : CLDEFORM_F16;
        test_backward_fixture_create(&device, device.context, &problem, &f);
        assert_ok(cldeform_conv2d_warm_up(f.conv, queue));
        for (cldeform_passes asked = CLDEFORM_GRAD_INPUT; asked <= CLDEFORM_BACKWARD; asked += CLDEFORM_GRAD_INPUT) {
            cl_event done = NULL;
            for (int i = 0; i < TEST_GRADIENTS; i++)
                test_gradient_slot(&f.gradients, i)->buffer = asked & test_gradient_bit(i) ? f.results[i] : NULL;
            layer->reset();
            assert_ok(test_backward_fixture_call(&f, queue, 0, NULL, &done));
            assert_int_equal(layer->blocking(), 0);
            assert_cl(clWaitForEvents(1, &done)); /* the queue of an out-of-order call is used again */
            assert_cl(clReleaseEvent(done));
            assert_int_equal(test_count_calls(test_compiling) + test_count_calls(test_allocating), 0);
        }
        test_backward_fixture_destroy(&f);
    }
}

/* Three calls that follow each other, as far as the one before succeeded. */
static cldeform_status call_all(const cldeform_conv2d *conv, cl_command_queue queue, test_backward_fixture *f,
                                cl_mem columns)
{
    cl_event done[3] = {NULL, NULL, NULL};
    const cldeform_columns argument = {columns, 0, 0, 0};
    cldeform_conv2d_gradients one = CLDEFORM_INIT(cldeform_conv2d_gradients);
    one.grad_input = f->gradients.grad_input;
    cldeform_status status = cldeform_conv2d_im2col(conv, queue, &f->tensors, 0, 1, &argument, NULL, 0, NULL, &done[0]);
    if (status == CLDEFORM_OK)
        status = cldeform_conv2d_col2im(conv, queue, &f->tensors, 0, 1, &argument, &one, NULL, 1, &done[0], &done[1]);
    if (status == CLDEFORM_OK)
        status = cldeform_conv2d_backward(conv, queue, &f->tensors, &f->gradients, NULL, 1, &done[1], &done[2]);
    assert_int_equal(status == CLDEFORM_OK, done[2] != NULL);
    for (int i = 0; i < 3; i++)
        if (done[i])
            assert_int_equal(clReleaseEvent(done[i]), CL_SUCCESS);
    clFinish(queue);
    return status;
}

static cldeform_context *create_context(void)
{
    cldeform_context *context = NULL;
    cldeform_context_options options = test_context_options();
    assert_ok(cldeform_context_create(device.cl, device.id, &options, &context));
    return context;
}

/* The first OpenCL call fails, then the second, ... until none is left: each time an error status with a text, and
 * nothing leaks; the next run succeeds. */
static void every_call_may_fail(void **state)
{
    (void)state;
    cl_command_queue const queues[] = {device.queue, device.out_of_order};
    for (int q = 0; q < 2; q++) {
        cldeform_conv2d_problem problem = test_chunked_problem(q);
        cldeform_shape columns = CLDEFORM_INIT(cldeform_shape);
        test_backward_fixture f;
        if (!queues[q])
            continue;
        problem.batch = 1;
        problem.passes |= CLDEFORM_IM2COL | CLDEFORM_COL2IM;
        test_backward_fixture_create(&device, device.context, &problem, &f);
        assert_ok(cldeform_conv2d_warm_up(f.conv, queues[q])); /* CLBlast compiles and keeps its programs */
        assert_ok(cldeform_conv2d_shape(&problem, CLDEFORM_COLUMNS, &columns));
        cl_int error = CL_SUCCESS;
        cl_mem memory = clCreateBuffer(device.cl, CL_MEM_READ_WRITE, columns.bytes, NULL, &error);
        assert_int_equal(error, CL_SUCCESS);

        long at_first[CL_LAYER_OBJECT_COUNT], before[CL_LAYER_OBJECT_COUNT];
        test_references_now(at_first);
        cldeform_context *context = create_context();
        cldeform_conv2d *conv = NULL;
        assert_ok(cldeform_conv2d_create(context, &problem, &conv));
        assert_ok(cldeform_conv2d_warm_up(conv, queues[q]));
        assert_ok(call_all(conv, queues[q], &f, memory));
        test_references_now(before);
        test_failures failures = {0};
        for (long n = 1;; n++) {
            test_fail_nth(n);
            const cldeform_status status = call_all(conv, queues[q], &f, memory);
            if (!test_count_failure(n, status, &failures))
                break;
            assert_cl(clFinish(queues[q]));
            test_check_kept(at_first, before, failures.when);
        }
        printf("  %d calls failed in turn, %d of them without consequences\n", failures.failed + failures.tolerated,
               failures.tolerated);
        assert_true(failures.failed > 50);
        assert_true(failures.tolerated < failures.failed / 10);
        assert_ok(call_all(conv, queues[q], &f, memory));
        test_backward_fixture_expect(&f, queues[q], 1);
        cldeform_conv2d_destroy(conv);
        cldeform_context_destroy(context);
        test_check_references(at_first, "after all failures");
        assert_cl(clReleaseMemObject(memory));
        test_backward_fixture_destroy(&f);
    }
}

/* The same where objects are created, which takes longer: one call in seven. */
static void creation_may_fail(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = test_chunked_problem(0);
    problem.batch = 1;
    problem.passes |= CLDEFORM_IM2COL | CLDEFORM_COL2IM | CLDEFORM_COL2OFFSET;
    long before[CL_LAYER_OBJECT_COUNT];
    test_references_now(before);
    test_failures failures = {0};
    for (long n = 1;; n += 7) {
        cldeform_context *context = create_context();
        cldeform_conv2d *conv = NULL;
        test_fail_nth(n);
        cldeform_status status = cldeform_conv2d_create(context, &problem, &conv);
        assert_int_equal(status == CLDEFORM_OK, conv != NULL);
        if (status == CLDEFORM_OK)
            status = cldeform_conv2d_warm_up(conv, device.queue);
        const bool last = !test_count_failure(n, status, &failures);
        assert_cl(clFinish(device.queue));
        cldeform_conv2d_destroy(conv);
        cldeform_context_destroy(context);
        if (last)
            break;
        test_check_references(before, failures.when);
    }
    printf("  %d calls failed in turn, %d of them without consequences\n", failures.failed + failures.tolerated,
           failures.tolerated);
    assert_true(failures.failed > 20);
    assert_true(failures.tolerated < failures.failed / 5);
    test_check_references(before, "after all failures");
}

/* Where the preferred workspace cannot be had, the library makes do with the minimum. */
static void small_workspace_when_memory_is_short(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = test_chunked_problem(1);
    size_t minimum = 0, preferred = 0;
    test_backward_fixture f;
    problem.algorithm = CLDEFORM_ALGORITHM_IM2COL; /* fused has one size */
    test_backward_fixture_create(&device, device.context, &problem, &f);
    assert_ok(cldeform_conv2d_workspace_size(f.conv, CLDEFORM_BACKWARD, &minimum, &preferred));
    assert_true(minimum < preferred);
    layer->reset();
    assert_int_equal(layer->fail_nth("clCreateBuffer", 1, CL_MEM_OBJECT_ALLOCATION_FAILURE), 0);
    assert_ok(cldeform_conv2d_backward(f.conv, device.queue, &f.tensors, &f.gradients, NULL, 0, NULL, NULL));
    assert_non_null(layer->failed());
    layer->fail_nth(NULL, 0, CL_SUCCESS);
    test_backward_fixture_expect(&f, device.queue, 1);
    test_backward_fixture_destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_allocate_and_compile_nothing),
        cmocka_unit_test(every_call_may_fail),
        cmocka_unit_test(creation_may_fail),
    };
    const struct CMUnitTest once[] = {cmocka_unit_test(small_workspace_when_memory_is_short)};
    return TEST_OVER_ALGORITHMS_AND_ONCE(tests, once, test_open_layer, test_close_device);
}
