/* Which OpenCL calls the library makes: none that allocate, compile or block in a call that has a workspace; every one
 * of them may fail; and every object is released. */
#define _POSIX_C_SOURCE 200809L
#include "algorithms.h"
#include "layer.h"
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void calls_allocate_and_compile_nothing(void **state)
{
    (void)state;
    cl_command_queue const queues[] = {device.queue, device.out_of_order};
    const cldeform_dtype dtypes[] = {CLDEFORM_F32, CLDEFORM_F16};
    for (int q = 0; q < 2; q++) {
        for (int d = 0; d < 2; d++) {
            if (!queues[q])
                continue;
            cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
            problem.dtype = dtypes[d];
            test_fixture f;
            test_fixture_create(&device, device.context, &problem, &f);
            assert_ok(cldeform_conv2d_warm_up(f.conv, queues[q]));
            layer->reset();
            for (int i = 0; i < 100; i++) {
                cl_event done = NULL;
                assert_ok(cldeform_conv2d_forward(f.conv, queues[q], &f.tensors, &f.workspace, 0, NULL, &done));
                assert_int_equal(layer->blocking(), 0);
                assert_cl(clWaitForEvents(1, &done)); /* the queue of an out-of-order call is used again */
                assert_cl(clReleaseEvent(done));
                assert_int_equal(test_count_calls(test_compiling), 0);
                assert_int_equal(test_count_calls(test_allocating), 0);
                layer->reset();
            }
            test_fixture_expect(&f, queues[q]);
            test_fixture_destroy(&f);
        }
    }
}

/* A program compiled once serves every problem that differs in sizes only. */
static void sizes_compile_nothing(void **state)
{
    (void)state;
    cldeform_conv2d *first = NULL, *other = NULL;
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    assert_ok(cldeform_conv2d_create(device.context, &problem, &first));
    layer->reset();
    problem.batch = 37;
    problem.in_channels = 30, problem.in_h = 50, problem.in_w = 41, problem.out_channels = 25;
    problem.kernel_h = 5, problem.kernel_w = 7;
    problem.stride_h = 2, problem.dilation_w = 3;
    problem.pad_top = 4, problem.pad_right = 9;
    problem.groups = 5, problem.offset_groups = 3; /* tiled: runs of as many channels as the small problem's */
    problem.offset_layout = CLDEFORM_OFFSET_PLANAR;
    problem.offset_limit = 3;
    problem.workspace_limit = 1 << 20;
    assert_ok(cldeform_conv2d_create(device.context, &problem, &other));
    assert_int_equal(test_count_calls(test_compiling), 0);
    assert_int_equal(layer->count("clCreateKernel") + layer->count("clCreateKernelsInProgram"), 0);
    cldeform_conv2d_destroy(other);
    /* and one that differs in more does compile: the test can fail */
    problem.border = CLDEFORM_BORDER_EDGE;
    problem.layout = CLDEFORM_NHWC;
    problem.mask_activation = CLDEFORM_MASK_SIGMOID_X2;
    problem.offset_dtype = CLDEFORM_F16;
    assert_ok(cldeform_conv2d_create(device.context, &problem, &other));
    assert_int_equal(layer->count("clBuildProgram"), 1);
    cldeform_conv2d_destroy(other);
    cldeform_conv2d_destroy(first);
}

static void context_creation_compiles_nothing(void **state)
{
    (void)state;
    cldeform_context *context = NULL;
    cldeform_context_options options = test_context_options();
    layer->reset();
    assert_ok(cldeform_context_create(device.cl, device.id, &options, &context));
    cldeform_context_destroy(context);
    assert_int_equal(test_count_calls(test_compiling), 0);
    assert_int_equal(layer->enqueues(), 0);
}

/* Everything that one user does, each step as far as the one before succeeded. */
static cldeform_status create(cldeform_context **context, const cldeform_conv2d_problem *problem,
                              cldeform_conv2d **conv)
{
    cldeform_context_options options = test_context_options();
    const cldeform_status status = cldeform_context_create(device.cl, device.id, &options, context);
    return status == CLDEFORM_OK ? cldeform_conv2d_create(*context, problem, conv) : status;
}

static cldeform_status use(const cldeform_conv2d *conv, cl_command_queue queue, const test_fixture *f)
{
    cl_event done = NULL;
    cldeform_status status = cldeform_conv2d_warm_up(conv, queue);
    if (status == CLDEFORM_OK)
        status = cldeform_conv2d_forward(conv, queue, &f->tensors, NULL, 0, NULL, &done);
    if (status == CLDEFORM_OK) {
        assert_non_null(done);
        assert_int_equal(clReleaseEvent(done), CL_SUCCESS);
    } else {
        assert_null(done);
    }
    return status;
}

static cldeform_status create_and_use(cl_command_queue queue, const cldeform_conv2d_problem *problem,
                                      const test_fixture *f)
{
    cldeform_context *context = NULL;
    cldeform_conv2d *conv = NULL;
    cldeform_status status = create(&context, problem, &conv);
    if (status == CLDEFORM_OK)
        status = use(conv, queue, f);
    clFinish(queue);
    cldeform_conv2d_destroy(conv);
    cldeform_context_destroy(context);
    return status;
}

/* The first call fails, then the second, ... until none is left: each time an error status with a text, and nothing
 * leaks; the next run succeeds. With an object that lives on, and one that is created anew, which takes long: one call
 * in seven of those. */
static void every_call_may_fail(void **state)
{
    (void)state;
    cl_command_queue const queues[] = {device.queue, device.out_of_order};
    const cldeform_layout layouts[] = {CLDEFORM_NHWC, CLDEFORM_NCHW};
    for (int variant = 0; variant < 4; variant++) {
        const bool anew = variant >= 2;
        cl_command_queue const queue = queues[variant % 2];
        cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
        problem.layout = layouts[variant % 2];
        problem.batch = 1;
        test_fixture f;
        if (!queue)
            continue;
        test_fixture_create(&device, device.context, &problem, &f);
        cldeform_context *context = NULL;
        cldeform_conv2d *conv = NULL;
        if (!anew)
            assert_ok(create(&context, &problem, &conv));
        /* CLBlast compiles and keeps its programs */
        assert_ok(anew ? create_and_use(queue, &problem, &f) : use(conv, queue, &f));
        assert_cl(clFinish(queue));
        long before[CL_LAYER_OBJECT_COUNT], at_first[CL_LAYER_OBJECT_COUNT];
        test_references_now(before);
        memcpy(at_first, before, sizeof at_first);
        test_failures failures = {0};
        const long step = anew ? 7 : 1;
        for (long n = 1;; n += step) {
            test_fail_nth(n);
            if (!test_count_failure(n, anew ? create_and_use(queue, &problem, &f) : use(conv, queue, &f), &failures))
                break;
            assert_cl(clFinish(queue));
            if (anew)
                test_check_references(before, failures.when);
            else
                test_check_kept(at_first, before, failures.when);
        }
        printf("  %d calls failed in turn, %d of them without consequences\n", failures.failed + failures.tolerated,
               failures.tolerated);
        assert_true(failures.failed > 25);
        assert_true(failures.tolerated < failures.failed / 10);
        assert_ok(anew ? create_and_use(queue, &problem, &f) : use(conv, queue, &f));
        assert_cl(clFinish(queue));
        test_fixture_expect(&f, queue);
        if (anew)
            test_check_references(before, "after all failures");
        cldeform_conv2d_destroy(conv);
        cldeform_context_destroy(context);
        test_fixture_destroy(&f);
    }
}

/* Where the preferred workspace cannot be had, the library makes do with the minimum. */
static void small_workspace_when_memory_is_short(void **state)
{
    (void)state;
    const cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    size_t minimum = 0, preferred = 0;
    test_fixture f;
    test_fixture_create(&device, device.context, &problem, &f);
    assert_ok(cldeform_conv2d_workspace_size(f.conv, CLDEFORM_FORWARD, &minimum, &preferred));
    assert_true(minimum < preferred);
    layer->reset();
    assert_int_equal(layer->fail_nth("clCreateBuffer", 1, CL_MEM_OBJECT_ALLOCATION_FAILURE), 0);
    assert_ok(cldeform_conv2d_forward(f.conv, device.queue, &f.tensors, NULL, 0, NULL, NULL));
    assert_non_null(layer->failed());
    layer->fail_nth(NULL, 0, CL_SUCCESS);
    test_fixture_expect(&f, device.queue);
    test_fixture_destroy(&f);
}

/* After a failure halfway, finishing the queue is enough: nothing of the call writes the output later. */
static void failed_calls_end_with_the_queue(void **state)
{
    (void)state;
    if (!device.out_of_order)
        skip();
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_DEFORMABLE);
    problem.in_channels = problem.out_channels = 32, problem.in_h = problem.in_w = 60;
    problem.groups = 2, problem.offset_groups = 1;
    test_fixture f;
    test_fixture_create(&device, device.context, &problem, &f);
    test_fixture_drop_bias(&f);
    assert_ok(cldeform_conv2d_warm_up(f.conv, device.out_of_order));
    const size_t bytes = f.host.shape[CLDEFORM_OUTPUT].bytes;
    unsigned char *early = malloc(bytes), *late = malloc(bytes);
    assert_non_null(early);
    assert_non_null(late);
    int caught = 0;
    /* im2col, then a product each; or fused, or tiled, with what they pack before */
    const long last = test_algorithm == CLDEFORM_ALGORITHM_TILED ? 3 : 4;
    for (long n = 2; n <= last; n++) {
        layer->reset();
        assert_int_equal(layer->fail_nth("clEnqueueNDRangeKernel", n, CL_OUT_OF_RESOURCES), 0);
        const cldeform_status status =
            cldeform_conv2d_forward(f.conv, device.out_of_order, &f.tensors, &f.workspace, 0, NULL, NULL);
        layer->fail_nth(NULL, 0, CL_SUCCESS);
        assert_int_equal(status, CLDEFORM_OUT_OF_MEMORY);
        assert_cl(clFinish(device.out_of_order));
        cl_mem output = f.buffers[CLDEFORM_OUTPUT];
        assert_cl(clEnqueueReadBuffer(device.queue, output, CL_TRUE, 0, bytes, early, 0, NULL, NULL));
        const struct timespec time = {0, 300 * 1000 * 1000};
        nanosleep(&time, NULL);
        assert_cl(clEnqueueReadBuffer(device.queue, output, CL_TRUE, 0, bytes, late, 0, NULL, NULL));
        assert_memory_equal(early, late, bytes);
        caught++;
    }
    assert_int_equal(caught, last - 1);
    free(early);
    free(late);
    assert_ok(cldeform_conv2d_forward(f.conv, device.out_of_order, &f.tensors, &f.workspace, 0, NULL, NULL));
    test_fixture_expect(&f, device.out_of_order);
    test_fixture_destroy(&f);
}

/* Calls that wait for one another share a queue of the library's own, however many are in flight. */
static void chained_calls_make_no_queues(void **state)
{
    (void)state;
    if (!device.out_of_order)
        skip();
    const cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_DEFORMABLE);
    test_fixture f;
    test_fixture_create(&device, device.context, &problem, &f);
    assert_ok(cldeform_conv2d_warm_up(f.conv, device.out_of_order));
    cl_int error = CL_SUCCESS;
    cl_event last = clCreateUserEvent(device.cl, &error), gate = last;
    assert_int_equal(error, CL_SUCCESS);
    assert_cl(clRetainEvent(gate));
    layer->reset();
    for (int i = 0; i < 50; i++) {
        cl_event done = NULL;
        assert_ok(cldeform_conv2d_forward(f.conv, device.out_of_order, &f.tensors, &f.workspace, 1, &last, &done));
        assert_cl(clReleaseEvent(last));
        last = done;
    }
    const long made = test_count_calls(test_allocating);
    assert_cl(
        clSetUserEventStatus(gate, CL_COMPLETE)); /* before anything can fail: what waits would hang the program */
    test_fixture_expect(&f, device.out_of_order);
    assert_true(made <= 1);
    assert_cl(clReleaseEvent(last));
    assert_cl(clReleaseEvent(gate));
    test_fixture_destroy(&f);
}

/* Destroying in any order, and with work in flight. */
static void any_order_of_destruction(void **state)
{
    (void)state;
    const cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    long before[CL_LAYER_OBJECT_COUNT];
    test_references_now(before);
    for (int order = 0; order < 3; order++) {
        cl_int error = CL_SUCCESS;
        test_device own = device;
        own.cl = clCreateContext(NULL, 1, &device.id, NULL, NULL, &error);
        assert_int_equal(error, CL_SUCCESS);
        own.queue = test_queue_create(&own, 0);
        assert_ok(cldeform_context_create(own.cl, own.id, NULL, &own.context));
        test_fixture f;
        test_fixture_create(&own, own.context, &problem, &f);
        cl_int result = CL_SUCCESS;
        cl_event gate = clCreateUserEvent(own.cl, &result), done = NULL;
        assert_int_equal(result, CL_SUCCESS);
        assert_ok(cldeform_conv2d_forward(f.conv, own.queue, &f.tensors, NULL, 1, &gate, &done));
        assert_cl(clFlush(own.queue));
        if (order == 0) {
            cldeform_context_destroy(own.context);
            cldeform_conv2d_destroy(f.conv);
        } else if (order == 1) {
            cldeform_conv2d_destroy(f.conv);
            cldeform_context_destroy(own.context);
        } else { /* the cl_context first */
            assert_cl(clReleaseContext(own.cl));
            cldeform_context_destroy(own.context);
            cldeform_conv2d_destroy(f.conv);
        }
        f.conv = NULL;
        assert_cl(clSetUserEventStatus(gate, CL_COMPLETE));
        assert_cl(clWaitForEvents(1, &done));
        test_fixture_expect(&f, own.queue);
        assert_cl(clReleaseEvent(done));
        assert_cl(clReleaseEvent(gate));
        test_fixture_destroy(&f);
        assert_cl(clReleaseCommandQueue(own.queue));
        if (order != 2)
            assert_cl(clReleaseContext(own.cl));
    }
    assert_ok(cldeform_gemm_clear_cache()); /* CLBlast keeps programs of these contexts alive */
    for (int o = CL_LAYER_QUEUE; o < CL_LAYER_OBJECT_COUNT; o++)
        if (o != CL_LAYER_PROGRAM && o != CL_LAYER_KERNEL)
            assert_int_equal(layer->references((cl_layer_object)o), before[o]);
    assert_int_equal(layer->references(CL_LAYER_CONTEXT), before[CL_LAYER_CONTEXT]);
}

/* Last of all: nothing is left but what the test program itself holds. */
static int close_device(void **state)
{
    (void)state;
    test_device_close(&device);
    if (!layer || cldeform_gemm_clear_cache() != CLDEFORM_OK)
        return -1;
    for (int o = 0; o < CL_LAYER_OBJECT_COUNT; o++) {
        if (layer->references((cl_layer_object)o) != 0) {
            print_error("%ld OpenCL references of kind %d are left at the end\n", layer->references((cl_layer_object)o),
                        o);
            return -1;
        }
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_allocate_and_compile_nothing),
        cmocka_unit_test(sizes_compile_nothing),
        cmocka_unit_test(small_workspace_when_memory_is_short),
        cmocka_unit_test(failed_calls_end_with_the_queue),
        cmocka_unit_test(chained_calls_make_no_queues),
        cmocka_unit_test(any_order_of_destruction),
        cmocka_unit_test(every_call_may_fail),
    };
    const struct CMUnitTest once[] = {cmocka_unit_test(context_creation_compiles_nothing)};
    return TEST_OVER_ALGORITHMS_AND_ONCE(tests, once, test_open_layer, close_device);
}
