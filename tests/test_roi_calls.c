/* Which OpenCL calls RoI pooling makes: none that allocate, compile or block in a call that has a workspace; every one
 * of them may fail; and every object is released. */
#include "layer.h"
#include "roi_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const test_roi_pass passes[] = {TEST_ROI_FORWARD, TEST_ROI_BACKWARD};
static const test_roi_fixture nothing;

static long count_heavy(void)
{
    return test_count_calls(test_compiling) + test_count_calls(test_allocating);
}

/* Any number of RoIs, on either queue, each subset of the gradients. */
static void calls_allocate_and_compile_nothing(void **state)
{
    (void)state;
    static const int64_t counts[] = {0, 1, 37, 1000};
    cl_command_queue const queues[] = {device.queue, device.out_of_order};
    for (int variant = 0; variant < 2; variant++) {
        cl_command_queue queue = queues[variant];
        cldeform_roi_pool_problem problem = test_roi_fixture_problem(variant);
        test_roi_fixture f = nothing;
        if (!queue)
            continue;
        problem.max_rois = 1000;
        test_roi_fixture_create(&device, device.context, &problem, variant == 1, &f);
        assert_ok(cldeform_roi_pool_warm_up(f.pool, queue));
        for (int c = 0; c < 4; c++) {
            for (int p = 0; p < 2; p++) {
                cl_event done = NULL;
                layer->reset();
                assert_ok(test_roi_fixture_call(&f, passes[p], queue, counts[c], 0, NULL, &done));
                assert_int_equal(layer->blocking(), 0);
                assert_cl(clWaitForEvents(1, &done));
                assert_cl(clReleaseEvent(done));
                assert_int_equal(count_heavy(), 0);
                if (counts[c] == problem.max_rois)
                    test_roi_fixture_expect(&f, passes[p], queue, 1);
            }
        }
        for (cldeform_passes asked = CLDEFORM_GRAD_INPUT; asked < CLDEFORM_GRAD_MASK * 2;
             asked += CLDEFORM_GRAD_INPUT) {
            for (int i = TEST_ROI_GRAD_INPUT; i < TEST_ROI_TENSORS; i++)
                test_roi_slot(&f.tensors, &f.gradients, i)->buffer = asked & test_roi_bit(i) ? f.buffers[i] : NULL;
            cl_event done = NULL;
            layer->reset();
            assert_ok(test_roi_fixture_call(&f, TEST_ROI_BACKWARD, queue, 13, 0, NULL, &done));
            assert_cl(clWaitForEvents(1, &done));
            assert_cl(clReleaseEvent(done));
            assert_int_equal(count_heavy(), 0);
        }
        test_roi_fixture_destroy(&f);
    }
}

/* A program compiled once serves every problem that differs in sizes, counts and scales only. */
static void sizes_compile_nothing(void **state)
{
    (void)state;
    cldeform_roi_pool *first = NULL, *other = NULL;
    cldeform_roi_pool_problem problem = test_roi_fixture_problem(0);
    assert_ok(cldeform_roi_pool_create(device.context, &problem, &first));
    layer->reset();
    problem.batch = 37, problem.max_rois = 2000;
    problem.levels = 4, problem.canonical_level = 3, problem.canonical_size = 100;
    problem.level[3] = (cldeform_roi_level){50, 41, 0.37};
    problem.level[0] = (cldeform_roi_level){100, 37, 0.7};
    problem.out_h = 14, problem.out_w = 3;
    problem.offset_scale = 2, problem.sampling_ratio = 0;
    problem.workspace_limit = 1 << 27;
    assert_ok(cldeform_roi_pool_create(device.context, &problem, &other));
    assert_int_equal(test_count_calls(test_compiling), 0);
    assert_int_equal(layer->count("clCreateKernel") + layer->count("clCreateKernelsInProgram"), 0);
    cldeform_roi_pool_destroy(other);
    /* and one that differs in more does compile: the test can fail */
    problem = test_roi_fixture_problem(0);
    problem.mask_activation = CLDEFORM_MASK_SIGMOID_X2;
    problem.passes = CLDEFORM_FORWARD;
    assert_ok(cldeform_roi_pool_create(device.context, &problem, &other));
    assert_true(layer->count("clBuildProgram") >= 1);
    cldeform_roi_pool_destroy(other);
    cldeform_roi_pool_destroy(first);
}

static cldeform_context *create_context(void)
{
    cldeform_context *context = NULL;
    cldeform_context_options options = test_context_options();
    assert_ok(cldeform_context_create(device.cl, device.id, &options, &context));
    return context;
}

/* Calls that follow each other, as far as the one before succeeded. */
static cldeform_status call_all(test_roi_fixture *f, cl_command_queue queue)
{
    cl_event done[2] = {NULL, NULL};
    cldeform_status status = cldeform_roi_pool_forward(f->pool, queue, 13, &f->tensors, NULL, 0, NULL, &done[0]);
    if (status == CLDEFORM_OK)
        status =
            cldeform_roi_pool_backward(f->pool, queue, 13, &f->tensors, &f->gradients, NULL, 1, &done[0], &done[1]);
    assert_int_equal(status == CLDEFORM_OK, done[1] != NULL);
    for (int i = 0; i < 2; i++)
        if (done[i])
            assert_int_equal(clReleaseEvent(done[i]), CL_SUCCESS);
    clFinish(queue);
    return status;
}

/* The first OpenCL call fails, then the second, ... until none is left: each time an error status with a text, and
 * nothing leaks; the next run succeeds. */
static void every_call_may_fail(void **state)
{
    (void)state;
    cl_command_queue const queues[] = {device.queue, device.out_of_order};
    for (int q = 0; q < 2; q++) {
        const cldeform_roi_pool_problem problem = test_roi_fixture_problem(q);
        test_roi_fixture f = nothing;
        long before[CL_LAYER_OBJECT_COUNT];
        test_failures failures = {0};
        if (!queues[q])
            continue;
        test_roi_fixture_create(&device, device.context, &problem, false, &f);
        assert_ok(call_all(&f, queues[q]));
        test_references_now(before);
        for (long n = 1;; n += 1 + 2 * q) { /* the second time one in three */
            test_fail_nth(n);
            if (!test_count_failure(n, call_all(&f, queues[q]), &failures))
                break;
            assert_cl(clFinish(queues[q]));
            test_check_references(before, failures.when);
        }
        printf("  %d calls failed in turn, %d of them without consequences\n", failures.failed + failures.tolerated,
               failures.tolerated);
        assert_true(failures.failed > 50);
        assert_true(failures.tolerated < failures.failed / 10);
        assert_ok(call_all(&f, queues[q]));
        for (int p = 0; p < 2; p++)
            test_roi_fixture_expect(&f, passes[p], queues[q], 1);
        test_check_references(before, "after all failures");
        test_roi_fixture_destroy(&f);
    }
}

/* The same where objects are created, which takes longer: one call in seven or so, and the programs that compile
 * fastest. */
static void creation_may_fail(void **state)
{
    (void)state;
    cldeform_roi_pool_problem problem = test_roi_problem_of("max 3x5", false, false, 13);
    problem.passes = CLDEFORM_FORWARD | CLDEFORM_GRAD_INPUT | CLDEFORM_STATISTICS;
    long before[CL_LAYER_OBJECT_COUNT];
    test_failures failures = {0};
    test_references_now(before);
    for (long n = 1;; n += test_compiles_slowly(&device) ? 29 : 7) {
        cldeform_context *context = create_context();
        cldeform_roi_pool *pool = NULL;
        test_fail_nth(n);
        cldeform_status status = cldeform_roi_pool_create(context, &problem, &pool);
        assert_int_equal(status == CLDEFORM_OK, pool != NULL);
        if (status == CLDEFORM_OK)
            status = cldeform_roi_pool_warm_up(pool, device.queue);
        const bool last = !test_count_failure(n, status, &failures);
        assert_cl(clFinish(device.queue));
        cldeform_roi_pool_destroy(pool);
        cldeform_context_destroy(context);
        if (last)
            break;
        test_check_references(before, failures.when);
    }
    printf("  %d calls failed in turn, %d of them without consequences\n", failures.failed + failures.tolerated,
           failures.tolerated);
    assert_true(failures.failed > 5);
    assert_true(failures.tolerated < failures.failed / 3);
    test_check_references(before, "after all failures");
}

/* Where the preferred workspace cannot be had, the library makes do with the minimum. */
static void small_workspace_when_memory_is_short(void **state)
{
    (void)state;
    const cldeform_roi_pool_problem problem = test_roi_fixture_problem(0);
    test_roi_fixture f = nothing;
    test_roi_fixture_create(&device, device.context, &problem, false, &f);
    for (int p = 0; p < 2; p++) {
        size_t minimum = 0, preferred = 0;
        assert_ok(cldeform_roi_pool_workspace_size(f.pool, p ? f.host.sizes.gradients : CLDEFORM_FORWARD, &minimum,
                                                   &preferred));
        if (minimum == preferred)
            continue;
        layer->reset();
        assert_int_equal(layer->fail_nth("clCreateBuffer", 1, CL_MEM_OBJECT_ALLOCATION_FAILURE), 0);
        const cldeform_status status =
            p ? cldeform_roi_pool_backward(f.pool, device.queue, 13, &f.tensors, &f.gradients, NULL, 0, NULL, NULL)
              : cldeform_roi_pool_forward(f.pool, device.queue, 13, &f.tensors, NULL, 0, NULL, NULL);
        assert_non_null(layer->failed());
        layer->fail_nth(NULL, 0, CL_SUCCESS);
        assert_ok(status);
        test_roi_fixture_expect(&f, passes[p], device.queue, 1);
    }
    test_roi_fixture_destroy(&f);
}

/* Destroying in any order, and with work in flight. */
static void any_order_of_destruction(void **state)
{
    (void)state;
    const cldeform_roi_pool_problem problem = test_roi_fixture_problem(1);
    long before[CL_LAYER_OBJECT_COUNT];
    test_references_now(before);
    for (int order = 0; order < 2; order++) {
        cldeform_context *context = create_context();
        test_roi_fixture f = nothing;
        cl_int error = CL_SUCCESS;
        cl_event done = NULL, gate = clCreateUserEvent(device.cl, &error);
        assert_int_equal(error, CL_SUCCESS);
        test_roi_fixture_create(&device, context, &problem, false, &f);
        const cldeform_status status =
            cldeform_roi_pool_backward(f.pool, device.queue, 13, &f.tensors, &f.gradients, NULL, 1, &gate, &done);
        assert_cl(clFlush(device.queue));
        if (order == 0)
            cldeform_context_destroy(context);
        cldeform_roi_pool_destroy(f.pool);
        f.pool = NULL;
        if (order == 1)
            cldeform_context_destroy(context);
        assert_cl(clSetUserEventStatus(gate, CL_COMPLETE));
        assert_ok(status);
        assert_cl(clWaitForEvents(1, &done));
        test_roi_fixture_expect(&f, TEST_ROI_BACKWARD, device.queue, 1);
        assert_cl(clReleaseEvent(done));
        assert_cl(clReleaseEvent(gate));
        test_roi_fixture_destroy(&f);
        test_check_references(before, "after everything was destroyed");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_allocate_and_compile_nothing),
        cmocka_unit_test(sizes_compile_nothing),
        cmocka_unit_test(small_workspace_when_memory_is_short),
        cmocka_unit_test(any_order_of_destruction),
        cmocka_unit_test(every_call_may_fail),
        cmocka_unit_test(creation_may_fail),
    };
    return cmocka_run_group_tests(tests, test_open_layer, test_close_device);
}
