/* Wait lists, events, queues of both kinds, and the trace. */
#include "algorithms.h"
#include "events.h"
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cldeform_conv2d_problem chunked_problem(void)
{
    /* several chunks and groups: a chain of many commands on both queues */
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    problem.batch = 4;
    problem.workspace_limit = 60000;
    return problem;
}

/* Nothing starts before the wait list is complete, and `done` completes after everything. */
static void check_wait_list(cl_command_queue queue)
{
    const cldeform_conv2d_problem problem = chunked_problem();
    test_fixture f;
    test_fixture_create(&device, device.context, &problem, &f);
    cl_event wait[2] = {test_user_event(), test_user_event()}, done = NULL;
    assert_ok(cldeform_conv2d_forward(f.conv, queue, &f.tensors, &f.workspace, 2, wait, &done));
    assert_cl(clFlush(queue));
    test_pause();
    assert_false(test_is_complete(done));
    assert_true(test_fixture_untouched(&device, &f));
    assert_cl(clSetUserEventStatus(wait[1], CL_COMPLETE));
    test_pause();
    assert_false(test_is_complete(done));
    assert_true(test_fixture_untouched(&device, &f));
    assert_cl(clSetUserEventStatus(wait[0], CL_COMPLETE));
    test_wait_for(done);
    test_fixture_expect(&f, device.queue);
    assert_cl(clReleaseEvent(done));
    assert_cl(clReleaseEvent(wait[0]));
    assert_cl(clReleaseEvent(wait[1]));
    test_fixture_destroy(&f);
}

static void waits_in_order(void **state)
{
    (void)state;
    check_wait_list(device.queue);
}

static void waits_out_of_order(void **state)
{
    (void)state;
    if (!device.out_of_order)
        skip();
    check_wait_list(device.out_of_order);
}

/* On an out-of-order queue, neither the call waits for commands before it, nor commands behind it for the call. */
static void check_out_of_order(bool has_bias)
{
    const cldeform_conv2d_problem problem = chunked_problem();
    test_fixture f;
    test_fixture_create(&device, device.context, &problem, &f);
    if (!has_bias)
        test_fixture_drop_bias(&f);
    const cl_uint pattern = 7;
    cl_int error = CL_SUCCESS;
    cl_mem other = clCreateBuffer(device.cl, CL_MEM_READ_WRITE, 64, NULL, &error);
    cl_event blocked = test_user_event(), before = NULL, done = NULL;
    /* a command that cannot start yet, then the call */
    assert_cl(clEnqueueFillBuffer(device.out_of_order, other, &pattern, 4, 0, 64, 1, &blocked, &before));
    assert_ok(cldeform_conv2d_forward(f.conv, device.out_of_order, &f.tensors, &f.workspace, 0, NULL, &done));
    assert_cl(clFlush(device.out_of_order));
    test_wait_for(done);
    assert_false(test_is_complete(before));
    test_fixture_expect(&f, device.queue);
    assert_cl(clReleaseEvent(done));

    /* a call that cannot start yet, then a command, and a second call */
    cl_event held = test_user_event(), behind = NULL, held_done = NULL;
    assert_ok(cldeform_conv2d_forward(f.conv, device.out_of_order, &f.tensors, &f.workspace, 1, &held, &held_done));
    assert_cl(clEnqueueFillBuffer(device.out_of_order, other, &pattern, 4, 0, 64, 0, NULL, &behind));
    test_fixture second;
    test_fixture_create(&device, device.context, &problem, &second);
    if (!has_bias)
        test_fixture_drop_bias(&second);
    assert_ok(
        cldeform_conv2d_forward(second.conv, device.out_of_order, &second.tensors, &second.workspace, 0, NULL, &done));
    assert_cl(clFlush(device.out_of_order));
    test_wait_for(behind);
    test_wait_for(done);
    assert_false(test_is_complete(held_done));
    test_fixture_expect(&second, device.queue);
    assert_cl(clSetUserEventStatus(held, CL_COMPLETE));
    assert_cl(clSetUserEventStatus(blocked, CL_COMPLETE));
    test_wait_for(held_done);
    test_fixture_expect(&f, device.queue);
    assert_cl(clFinish(device.out_of_order));
    cl_event all[] = {blocked, before, done, held, behind, held_done};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        assert_cl(clReleaseEvent(all[i]));
    assert_cl(clReleaseMemObject(other));
    test_fixture_destroy(&second);
    test_fixture_destroy(&f);
}

static void out_of_order_queues_stay_so(void **state)
{
    (void)state;
    if (!device.out_of_order)
        skip();
    check_out_of_order(true);
    check_out_of_order(false); /* ends in a product, not in a kernel of ours */
}

/* clFinish of the caller's queue waits for all of the call, without an event too. */
static void finish_is_enough(void **state)
{
    (void)state;
    const cldeform_conv2d_problem problem = chunked_problem();
    cl_command_queue const queues[] = {device.queue, device.out_of_order};
    for (int q = 0; q < 2; q++) {
        if (!queues[q])
            continue;
        test_fixture f;
        test_fixture_create(&device, device.context, &problem, &f);
        for (int i = 0; i < 6; i++) {
            if (i == 3)
                test_fixture_drop_bias(&f);
            assert_ok(cldeform_conv2d_forward(f.conv, queues[q], &f.tensors, NULL, 0, NULL, NULL));
            test_fixture_expect(&f, queues[q]);
        }
        test_fixture_destroy(&f);
    }
}

/* Calls that depend on each other through events alone. */
static void calls_chain_by_events(void **state)
{
    (void)state;
    cl_command_queue queue = device.out_of_order ? device.out_of_order : device.queue;
    const cldeform_conv2d_problem problem = chunked_problem();
    test_fixture f;
    test_fixture_create(&device, device.context, &problem, &f);
    cl_event last = NULL;
    for (int i = 0; i < 20; i++) { /* the same workspace each time: only the events keep them apart */
        cl_event done = NULL;
        assert_ok(
            cldeform_conv2d_forward(f.conv, queue, &f.tensors, &f.workspace, last ? 1 : 0, last ? &last : NULL, &done));
        if (last)
            assert_cl(clReleaseEvent(last));
        last = done;
    }
    assert_cl(clFlush(queue));
    test_wait_for(last);
    assert_cl(clReleaseEvent(last));
    test_fixture_expect(&f, queue);
    test_fixture_destroy(&f);
}

static void empty_batches_complete(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    problem.batch = 0;
    test_fixture f;
    test_fixture_create(&device, device.context, &problem, &f);
    cl_command_queue const queues[] = {device.queue, device.out_of_order};
    for (int q = 0; q < 2; q++) {
        cl_event done = NULL, wait = test_user_event();
        if (queues[q]) {
            assert_ok(cldeform_conv2d_forward(f.conv, queues[q], &f.tensors, NULL, 0, NULL, NULL));
            assert_ok(cldeform_conv2d_forward(f.conv, queues[q], &f.tensors, NULL, 0, NULL, &done));
            assert_cl(clFlush(queues[q]));
            test_wait_for(done);
            assert_cl(clReleaseEvent(done));
            assert_ok(cldeform_conv2d_forward(f.conv, queues[q], &f.tensors, NULL, 1, &wait, &done));
            assert_cl(clFlush(queues[q]));
            test_pause();
            assert_false(test_is_complete(done));
            assert_cl(clSetUserEventStatus(wait, CL_COMPLETE));
            test_wait_for(done);
            assert_cl(clReleaseEvent(done));
        }
        assert_cl(clReleaseEvent(wait));
    }
    /* on an out-of-order queue an empty call does not wait for what came before it */
    if (device.out_of_order) {
        const cl_uint pattern = 7;
        cl_event blocked = test_user_event(), before = NULL, done = NULL;
        cl_int error = CL_SUCCESS;
        cl_mem other = clCreateBuffer(device.cl, CL_MEM_READ_WRITE, 64, NULL, &error);
        assert_cl(clEnqueueFillBuffer(device.out_of_order, other, &pattern, 4, 0, 64, 1, &blocked, &before));
        assert_ok(cldeform_conv2d_forward(f.conv, device.out_of_order, &f.tensors, NULL, 0, NULL, &done));
        test_wait_for(done);
        assert_false(test_is_complete(before));
        cl_event after = NULL;
        assert_ok(cldeform_conv2d_forward(f.conv, device.out_of_order, &f.tensors, NULL, 1, &done, &after));
        assert_cl(clFlush(device.out_of_order));
        test_wait_for(after);
        assert_false(test_is_complete(before));
        assert_cl(clSetUserEventStatus(blocked, CL_COMPLETE));
        assert_cl(clFinish(device.out_of_order));
        cl_event all[] = {blocked, before, done, after};
        for (int i = 0; i < 4; i++)
            assert_cl(clReleaseEvent(all[i]));
        assert_cl(clReleaseMemObject(other));
    }
    test_fixture_destroy(&f);
}

/* ---- trace --------------------------------------------------------------------------------------------- */

enum { MOST_RECORDS = 200 };
static struct record {
    char operation[40], step[20];
    uint64_t call;
    cl_event first, last;
    double flop, bytes;
} records[MOST_RECORDS];
static int n_records;

static void remember(const cldeform_trace_record *record, void *user)
{
    assert_ptr_equal(user, &n_records);
    assert_int_equal(record->struct_size, sizeof *record);
    assert_true(n_records < MOST_RECORDS);
    struct record *r = &records[n_records++];
    snprintf(r->operation, sizeof r->operation, "%s", record->operation);
    snprintf(r->step, sizeof r->step, "%s", record->step);
    r->call = record->call;
    assert_cl(clRetainEvent(record->first_event));
    assert_cl(clRetainEvent(record->event));
    r->first = record->first_event;
    r->last = record->event;
    r->flop = record->flop;
    r->bytes = record->bytes;
}

static cl_ulong time_of(cl_event event, cl_profiling_info what)
{
    cl_ulong time = 0;
    assert_cl(clGetEventProfilingInfo(event, what, sizeof time, &time, NULL));
    return time;
}

static void trace_has_every_step(void **state)
{
    (void)state;
    cldeform_context_options options = test_context_options();
    cldeform_context *context = NULL;
    options.trace = remember;
    options.trace_user = &n_records;
    assert_ok(cldeform_context_create(device.cl, device.id, &options, &context));
    const cl_command_queue_properties properties[] = {
        CL_QUEUE_PROFILING_ENABLE, CL_QUEUE_PROFILING_ENABLE | CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE};
    for (int q = 0; q < 2; q++) {
        cl_command_queue queue = test_queue_create(&device, properties[q]);
        if (!queue)
            continue;
        cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
        problem.layout = CLDEFORM_NHWC;
        test_fixture f;
        test_fixture_create(&device, context, &problem, &f);
        n_records = 0;
        cl_event done = NULL;
        assert_ok(cldeform_conv2d_forward(f.conv, queue, &f.tensors, &f.workspace, 0, NULL, &done));
        /* 3 images in one chunk, 2 groups */
        static const char *const im2col[] = {"pack_weight", "im2col", "gemm", "gemm", "gemm",
                                             "gemm",        "gemm",   "gemm", "store"};
        static const char *const fused[] = {"pack_weight", "clear", "pack_input", "fused"};
        static const char *const tiled[] = {"pack_weight", "tiled"};
        const char *const *steps = test_algorithm == CLDEFORM_ALGORITHM_FUSED   ? fused
                                   : test_algorithm == CLDEFORM_ALGORITHM_TILED ? tiled
                                                                                : im2col;
        const int n_steps = steps == fused ? 4 : steps == tiled ? 2 : 9;
        assert_int_equal(n_records, n_steps);
        assert_cl(clFlush(queue));
        test_wait_for(done);
        double flop = 0; /* of the products */
        for (int i = 0; i < n_records; i++) {
            struct record *r = &records[i];
            assert_string_equal(r->operation, "conv2d_forward");
            assert_string_equal(r->step, steps[i]);
            assert_true(r->call == records[0].call);
            assert_true(test_is_complete(r->first) && test_is_complete(r->last));
            assert_true(r->bytes > 0);
            assert_true(time_of(r->first, CL_PROFILING_COMMAND_START) <= time_of(r->last, CL_PROFILING_COMMAND_END));
            if (i > 0) /* the chain: each starts after the one before has ended */
                assert_true(time_of(records[i - 1].last, CL_PROFILING_COMMAND_END) <=
                            time_of(r->last, CL_PROFILING_COMMAND_END));
            if (strcmp(r->step, "gemm") == 0 || strcmp(r->step, "fused") == 0 || strcmp(r->step, "tiled") == 0)
                flop += r->flop;
        }
        assert_true(flop == 2.0 * 3 * 10 * 64 * 6 * 6); /* batch, outputs, pixels, channels of a group, taps */
        const uint64_t call = records[0].call;
        for (int i = 0; i < n_records; i++) {
            clReleaseEvent(records[i].first);
            clReleaseEvent(records[i].last);
        }
        n_records = 0;
        assert_ok(cldeform_conv2d_forward(f.conv, queue, &f.tensors, &f.workspace, 1, &done, NULL));
        assert_int_equal(n_records, n_steps);
        assert_true(records[0].call > call);
        assert_cl(clFinish(queue));
        for (int i = 0; i < n_records; i++) {
            clReleaseEvent(records[i].first);
            clReleaseEvent(records[i].last);
        }
        assert_cl(clReleaseEvent(done));
        test_fixture_expect(&f, queue);
        test_fixture_destroy(&f);
        clReleaseCommandQueue(queue);
    }
    cldeform_context_destroy(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_in_order),
        cmocka_unit_test(waits_out_of_order),
        cmocka_unit_test(out_of_order_queues_stay_so),
        cmocka_unit_test(finish_is_enough),
        cmocka_unit_test(calls_chain_by_events),
        cmocka_unit_test(empty_batches_complete),
        cmocka_unit_test(trace_has_every_step),
    };
    return TEST_OVER_ALGORITHMS(tests, test_open_device, test_close_device);
}
