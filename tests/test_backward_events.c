/* Wait lists, events, queues of both kinds, and the trace, of backward. */
#include "algorithms.h"
#include "backward_fixture.h"
#include "events.h"

#include <stdio.h>
#include <string.h>

/* ---- wait lists and events ----------------------------------------------------------------------------- */

/* Nothing starts before the wait list is complete, and `done` completes after everything. */
static void check_wait_list(cl_command_queue queue, int layout)
{
    const cldeform_conv2d_problem problem = test_chunked_problem(layout);
    test_backward_fixture f;
    test_backward_fixture_create(&device, device.context, &problem, &f);
    test_backward_fixture_shrink(&f);
    cl_event wait[2] = {test_user_event(), test_user_event()}, done = NULL;
    assert_ok(test_backward_fixture_call(&f, queue, 2, wait, &done));
    assert_cl(clFlush(queue));
    test_pause();
    bool early = test_is_complete(done) || !test_backward_fixture_untouched(&device, &f);
    assert_cl(clSetUserEventStatus(wait[1], CL_COMPLETE));
    test_pause();
    early = early || test_is_complete(done) || !test_backward_fixture_untouched(&device, &f);
    assert_cl(clSetUserEventStatus(wait[0], CL_COMPLETE)); /* before the test can fail: what waits would hang it */
    assert_false(early);
    test_wait_for(done);
    test_backward_fixture_expect(&f, device.queue, 1);
    assert_cl(clReleaseEvent(done));
    assert_cl(clReleaseEvent(wait[0]));
    assert_cl(clReleaseEvent(wait[1]));
    test_backward_fixture_destroy(&f);
}

static void waits_in_order(void **state)
{
    (void)state;
    check_wait_list(device.queue, 0);
    check_wait_list(device.queue, 1);
}

static void waits_out_of_order(void **state)
{
    (void)state;
    if (!device.out_of_order)
        skip();
    check_wait_list(device.out_of_order, 0);
    check_wait_list(device.out_of_order, 1);
}

/* On an out-of-order queue the call waits for no command before it: with all gradients, and with each alone, whose last
 * step differs. */
static void out_of_order_queues_stay_so(void **state)
{
    (void)state;
    if (!device.out_of_order)
        skip();
    for (int i = 0; i <= TEST_GRADIENTS; i++) {
        const cldeform_conv2d_problem problem = test_chunked_problem(i % 2);
        test_backward_fixture f;
        test_backward_fixture_create(&device, device.context, &problem, &f);
        for (int other = 0; other < TEST_GRADIENTS; other++)
            if (i < TEST_GRADIENTS && other != i)
                test_gradient_slot(&f.gradients, other)->buffer = NULL;
        const cl_uint pattern = 7;
        cl_int error = CL_SUCCESS;
        cl_mem memory = clCreateBuffer(device.cl, CL_MEM_READ_WRITE, 64, NULL, &error);
        cl_event blocked = test_user_event(), before = NULL, done = NULL;
        assert_cl(clEnqueueFillBuffer(device.out_of_order, memory, &pattern, 4, 0, 64, 1, &blocked, &before));
        const cldeform_status status = test_backward_fixture_call(&f, device.out_of_order, 0, NULL, &done);
        assert_cl(clFlush(device.out_of_order));
        if (done)
            test_wait_for(done);
        const bool still = !test_is_complete(before);
        assert_cl(clSetUserEventStatus(blocked, CL_COMPLETE));
        assert_ok(status);
        assert_true(still);
        test_backward_fixture_expect(&f, device.out_of_order, 1);
        cl_event all[] = {blocked, before, done};
        for (size_t e = 0; e < sizeof all / sizeof all[0]; e++)
            assert_cl(clReleaseEvent(all[e]));
        assert_cl(clReleaseMemObject(memory));
        test_backward_fixture_destroy(&f);
    }
}

/* clFinish of the caller's queue waits for all of the call, without an event and with memory of its own too. */
static void finish_is_enough(void **state)
{
    (void)state;
    cl_command_queue const queues[] = {device.queue, device.out_of_order};
    for (int q = 0; q < 2; q++) {
        if (!queues[q])
            continue;
        const cldeform_conv2d_problem problem = test_chunked_problem(q);
        test_backward_fixture f;
        test_backward_fixture_create(&device, device.context, &problem, &f);
        for (int i = 0; i < 5; i++) {
            assert_ok(cldeform_conv2d_backward(f.conv, queues[q], &f.tensors, &f.gradients, NULL, 0, NULL, NULL));
            test_backward_fixture_expect(&f, queues[q], 1);
        }
        test_backward_fixture_destroy(&f);
    }
}

/* Calls that add to the same gradients, in one workspace: only events keep them apart. */
static void calls_chain_by_events(void **state)
{
    (void)state;
    enum { CALLS = 8 };
    cl_command_queue queue = device.out_of_order ? device.out_of_order : device.queue;
    for (int l = 0; l < 2; l++) {
        const cldeform_conv2d_problem problem = test_chunked_problem(l);
        test_backward_fixture f;
        test_backward_fixture_create(&device, device.context, &problem, &f);
        test_backward_fixture_fill(&f, device.queue, false);
        f.gradients.accumulate = CLDEFORM_BACKWARD;
        cl_event last = NULL;
        for (int i = 0; i < CALLS; i++) {
            cl_event done = NULL;
            assert_ok(test_backward_fixture_call(&f, queue, last ? 1 : 0, last ? &last : NULL, &done));
            if (last)
                assert_cl(clReleaseEvent(last));
            last = done;
        }
        assert_cl(clFlush(queue));
        test_wait_for(last);
        assert_cl(clReleaseEvent(last));
        test_backward_fixture_expect(&f, queue, CALLS);
        test_backward_fixture_destroy(&f);
    }
}

static void empty_batches_complete(void **state)
{
    (void)state;
    cl_command_queue const queues[] = {device.queue, device.out_of_order};
    for (int q = 0; q < 2; q++) {
        for (int parameters = 0; parameters < 2; parameters++) { /* without them there is nothing at all to do */
            cldeform_conv2d_problem problem = test_chunked_problem(0);
            problem.batch = 0;
            test_backward_fixture f;
            if (!queues[q])
                continue;
            test_backward_fixture_create(&device, device.context, &problem, &f);
            f.gradients.accumulate = parameters ? 0 : CLDEFORM_GRAD_WEIGHT | CLDEFORM_GRAD_BIAS;
            cl_event done = NULL, wait = test_user_event();
            const cldeform_status status = test_backward_fixture_call(&f, queues[q], 1, &wait, &done);
            assert_cl(clFlush(queues[q]));
            test_pause();
            const bool early = done && test_is_complete(done);
            const bool untouched = test_backward_fixture_untouched(&device, &f);
            assert_cl(clSetUserEventStatus(wait, CL_COMPLETE));
            assert_ok(status);
            assert_false(early);
            assert_true(untouched);
            test_wait_for(done);
            if (parameters)
                test_backward_fixture_expect(&f, device.queue, 1); /* 0 */
            else
                assert_true(test_backward_fixture_untouched(&device, &f));
            assert_cl(clReleaseEvent(done));
            assert_cl(clReleaseEvent(wait));
            test_backward_fixture_destroy(&f);
        }
    }
}

/* ---- trace --------------------------------------------------------------------------------------------- */

enum { MOST_RECORDS = 400 };
static struct record {
    char operation[40], step[40];
    uint64_t call;
    cl_event first, last;
    double flop, bytes;
} records[MOST_RECORDS];
static int n_records;

static void remember(const cldeform_trace_record *record, void *user)
{
    (void)user;
    assert_true(n_records < MOST_RECORDS);
    struct record *r = &records[n_records++];
    snprintf(r->operation, sizeof r->operation, "%s", record->operation);
    snprintf(r->step, sizeof r->step, "%s", record->step);
    assert_cl(clRetainEvent(record->first_event));
    assert_cl(clRetainEvent(record->event));
    r->call = record->call;
    r->first = record->first_event, r->last = record->event;
    r->flop = record->flop, r->bytes = record->bytes;
}

static cl_ulong time_of(cl_event event, cl_profiling_info what)
{
    cl_ulong time = 0;
    assert_cl(clGetEventProfilingInfo(event, what, sizeof time, &time, NULL));
    return time;
}

/* Every command is told of, in order; the products are those of the formulas. */
static void trace_has_every_step(void **state)
{
    (void)state;
    cldeform_context_options options = test_context_options();
    cldeform_context *context = NULL;
    options.trace = remember;
    assert_ok(cldeform_context_create(device.cl, device.id, &options, &context));
    const cl_command_queue_properties properties[] = {
        CL_QUEUE_PROFILING_ENABLE, CL_QUEUE_PROFILING_ENABLE | CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE};
    for (int q = 0; q < 2; q++) {
        cl_command_queue queue = test_queue_create(&device, properties[q]);
        if (!queue)
            continue;
        const cldeform_conv2d_problem problem = test_chunked_problem(q);
        test_backward_fixture f;
        test_backward_fixture_create(&device, context, &problem, &f);
        n_records = 0;
        cl_event done = NULL;
        assert_ok(test_backward_fixture_call(&f, queue, 0, NULL, &done));
        assert_cl(clFlush(queue));
        test_wait_for(done);
        double flop = 0; /* of the products */
        assert_true(n_records >= 4);
        for (int i = 0; i < n_records; i++) {
            struct record *r = &records[i];
            assert_string_equal(r->operation, "conv2d_backward");
            assert_true(r->step[0] != 0);
            assert_true(r->call == records[0].call);
            assert_true(test_is_complete(r->first) && test_is_complete(r->last));
            assert_true(r->bytes > 0);
            assert_true(time_of(r->first, CL_PROFILING_COMMAND_START) <= time_of(r->last, CL_PROFILING_COMMAND_END));
            if (strcmp(r->step, "gemm") == 0 || strncmp(r->step, "fused_grad", 10) == 0 ||
                strncmp(r->step, "tiled_grad", 10) == 0)
                flop += r->flop;
        }
        /* two products, of the weight's gradient and of the columns': batch, outputs, pixels, channels of a group, taps
         */
        assert_true(flop == 2 * 2.0 * 4 * 10 * 64 * 6 * 6);
        for (int i = 0; i < n_records; i++) {
            clReleaseEvent(records[i].first);
            clReleaseEvent(records[i].last);
        }
        assert_cl(clReleaseEvent(done));
        test_backward_fixture_expect(&f, queue, 1);
        test_backward_fixture_destroy(&f);
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
