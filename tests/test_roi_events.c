/* Wait lists, events, queues of both kinds, threads, and the trace, of RoI pooling. */
#include "events.h"
#include "roi_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const test_roi_pass passes[] = {TEST_ROI_FORWARD, TEST_ROI_BACKWARD};
enum { PASSES = 2, ROIS = 13 };

/* ---- wait lists and events ----------------------------------------------------------------------------- */

/* Nothing starts before the wait list is complete, and `done` completes after everything. */
static void check_wait_list(cl_command_queue queue, int variant, test_roi_pass pass)
{
    const cldeform_roi_pool_problem problem = test_roi_fixture_problem(variant);
    test_roi_fixture f;
    test_roi_fixture_create(&device, device.context, &problem, variant == 0, &f);
    cl_event wait[2] = {test_user_event(), test_user_event()}, done = NULL;
    assert_ok(test_roi_fixture_call(&f, pass, queue, ROIS, 2, wait, &done));
    assert_cl(clFlush(queue));
    test_pause();
    bool early = test_is_complete(done) || !test_roi_fixture_untouched(&device, &f);
    assert_cl(clSetUserEventStatus(wait[1], CL_COMPLETE));
    test_pause();
    early = early || test_is_complete(done) || !test_roi_fixture_untouched(&device, &f);
    assert_cl(clSetUserEventStatus(wait[0], CL_COMPLETE)); /* before the test can fail: what waits would hang it */
    assert_false(early);
    test_wait_for(done);
    test_roi_fixture_expect(&f, pass, device.queue, 1);
    assert_cl(clReleaseEvent(done));
    assert_cl(clReleaseEvent(wait[0]));
    assert_cl(clReleaseEvent(wait[1]));
    test_roi_fixture_destroy(&f);
}

static void waits_in_order(void **state)
{
    (void)state;
    for (int p = 0; p < PASSES; p++)
        check_wait_list(device.queue, p, passes[p]);
}

static void waits_out_of_order(void **state)
{
    (void)state;
    if (!device.out_of_order)
        skip();
    for (int p = 0; p < PASSES; p++)
        check_wait_list(device.out_of_order, 1 - p, passes[p]);
}

/* On an out-of-order queue, neither the call waits for commands before it, nor commands behind it for the call. */
static void out_of_order_queues_stay_so(void **state)
{
    (void)state;
    if (!device.out_of_order)
        skip();
    for (int p = 0; p < PASSES; p++) {
        const cldeform_roi_pool_problem problem = test_roi_fixture_problem(p);
        test_roi_fixture f, second;
        test_roi_fixture_create(&device, device.context, &problem, false, &f);
        test_roi_fixture_create(&device, device.context, &problem, false, &second);
        const cl_uint pattern = 7;
        cl_mem memory = test_buffer_create(64, NULL);
        cl_event blocked = test_user_event(), held = test_user_event();
        cl_event before = NULL, done = NULL, behind = NULL, held_done = NULL;
        assert_cl(clEnqueueFillBuffer(device.out_of_order, memory, &pattern, 4, 0, 64, 1, &blocked, &before));
        const cldeform_status status = test_roi_fixture_call(&f, passes[p], device.out_of_order, ROIS, 0, NULL, &done);
        const cldeform_status later =
            test_roi_fixture_call(&second, passes[p], device.out_of_order, ROIS, 1, &held, &held_done);
        assert_cl(clEnqueueFillBuffer(device.out_of_order, memory, &pattern, 4, 0, 64, 0, NULL, &behind));
        assert_cl(clFlush(device.out_of_order));
        if (done)
            test_wait_for(done);
        test_wait_for(behind);
        const bool still = !test_is_complete(before) && held_done && !test_is_complete(held_done);
        assert_cl(clSetUserEventStatus(blocked, CL_COMPLETE));
        assert_cl(clSetUserEventStatus(held, CL_COMPLETE));
        assert_ok(status);
        assert_ok(later);
        assert_true(still);
        test_roi_fixture_expect(&f, passes[p], device.out_of_order, 1);
        test_roi_fixture_expect(&second, passes[p], device.out_of_order, 1);
        cl_event all[] = {blocked, held, before, done, behind, held_done};
        for (size_t e = 0; e < sizeof all / sizeof all[0]; e++)
            assert_cl(clReleaseEvent(all[e]));
        assert_cl(clReleaseMemObject(memory));
        test_roi_fixture_destroy(&f);
        test_roi_fixture_destroy(&second);
    }
}

/* clFinish of the caller's queue waits for all of the call, without an event and with memory of its own too. */
static void finish_is_enough(void **state)
{
    (void)state;
    cl_command_queue const queues[] = {device.queue, device.out_of_order};
    for (int q = 0; q < 2; q++) {
        const cldeform_roi_pool_problem problem = test_roi_fixture_problem(q);
        test_roi_fixture f;
        if (!queues[q])
            continue;
        test_roi_fixture_create(&device, device.context, &problem, false, &f);
        for (int i = 0; i < 6; i++) {
            if (i % 2)
                assert_ok(
                    cldeform_roi_pool_backward(f.pool, queues[q], ROIS, &f.tensors, &f.gradients, NULL, 0, NULL, NULL));
            else
                assert_ok(cldeform_roi_pool_forward(f.pool, queues[q], ROIS, &f.tensors, NULL, 0, NULL, NULL));
            test_roi_fixture_expect(&f, passes[i % 2], queues[q], 1);
        }
        test_roi_fixture_destroy(&f);
    }
}

/* Calls that add to the same gradients, in one workspace: only events keep them apart. */
static void calls_chain_by_events(void **state)
{
    (void)state;
    enum { CALLS = 8 };
    cl_command_queue queue = device.out_of_order ? device.out_of_order : device.queue;
    for (int variant = 0; variant < 2; variant++) {
        const cldeform_roi_pool_problem problem = test_roi_fixture_problem(variant);
        test_roi_fixture f;
        test_roi_fixture_create(&device, device.context, &problem, false, &f);
        test_roi_fixture_fill(&f, device.queue, false);
        f.gradients.accumulate = CLDEFORM_GRAD_INPUT | CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK;
        cl_event last = NULL;
        for (int i = 0; i < CALLS; i++) {
            cl_event done = NULL;
            assert_ok(
                test_roi_fixture_call(&f, TEST_ROI_BACKWARD, queue, ROIS, last ? 1 : 0, last ? &last : NULL, &done));
            if (last)
                assert_cl(clReleaseEvent(last));
            last = done;
        }
        assert_cl(clFlush(queue));
        test_wait_for(last);
        assert_cl(clReleaseEvent(last));
        test_roi_fixture_expect(&f, TEST_ROI_BACKWARD, queue, CALLS);
        test_roi_fixture_destroy(&f);
    }
}

/* Without RoIs `done` completes, after the wait list; gradients that accumulate stay, others are 0. */
static void no_rois_complete(void **state)
{
    (void)state;
    cl_command_queue const queues[] = {device.queue, device.out_of_order};
    for (int i = 0; i < 6; i++) { /* forward, backward that has zeros to write, backward that has not */
        const cl_command_queue queue = queues[i / 3];
        const test_roi_pass pass = passes[i % 3 > 0];
        const cldeform_roi_pool_problem problem = test_roi_fixture_problem(0);
        test_roi_fixture f;
        if (!queue)
            continue;
        test_roi_fixture_create(&device, device.context, &problem, false, &f);
        f.gradients.accumulate = i % 3 == 2 ? f.host.sizes.gradients : 0;
        cl_event done = NULL, wait = test_user_event();
        const cldeform_status status = test_roi_fixture_call(&f, pass, queue, 0, 1, &wait, &done);
        assert_cl(clFlush(queue));
        test_pause();
        const bool early = done && test_is_complete(done), untouched = test_roi_fixture_untouched(&device, &f);
        assert_cl(clSetUserEventStatus(wait, CL_COMPLETE));
        assert_ok(status);
        assert_false(early);
        assert_true(untouched);
        test_wait_for(done);
        assert_cl(clReleaseEvent(done));
        if (i % 3 == 1) {
            f.gradients.grad_offset.buffer = f.gradients.grad_mask.buffer = NULL; /* no rows: nothing to look at */
            for (int l = 0; l < 3; l++)
                test_roi_fill(&f.host, TEST_ROI_GRAD_INPUT + l, 0);
            test_roi_fixture_expect(&f, pass, device.queue, 1);
        } else {
            assert_true(test_roi_fixture_untouched(&device, &f));
        }
        /* and without anything before it */
        assert_ok(test_roi_fixture_call(&f, pass, queue, 0, 0, NULL, NULL));
        assert_cl(clFinish(queue));
        assert_cl(clReleaseEvent(wait));
        test_roi_fixture_destroy(&f);
    }
}

/* ---- threads ------------------------------------------------------------------------------------------- */

typedef struct user {
    pthread_t thread;
    test_roi_fixture f; /* of its own, but for the object */
    cl_command_queue queue;
    cldeform_status status;
} user;

/* No assertion: cmocka's are for the main thread. */
static void *use(void *argument)
{
    user *u = argument;
    u->status = CLDEFORM_OK;
    for (int i = 0; i < 40 && u->status == CLDEFORM_OK; i++) {
        cl_event done = NULL;
        u->status = test_roi_fixture_call(&u->f, passes[i % 2], u->queue, ROIS, 0, NULL, &done);
        if (u->status == CLDEFORM_OK && (clWaitForEvents(1, &done) != CL_SUCCESS || clReleaseEvent(done) != CL_SUCCESS))
            u->status = CLDEFORM_OPENCL_ERROR;
    }
    return NULL;
}

/* Two threads use one object at once, each with tensors and a workspace of its own. */
static void threads_share_an_object(void **state)
{
    (void)state;
    const cldeform_roi_pool_problem problem = test_roi_fixture_problem(0);
    user users[2];
    for (int t = 0; t < 2; t++) {
        test_roi_fixture_create(&device, device.context, &problem, t == 1, &users[t].f);
        users[t].queue = test_queue_create(&device, 0);
    }
    cldeform_roi_pool *second = users[1].f.pool;
    users[1].f.pool = users[0].f.pool;
    for (int t = 0; t < 2; t++)
        assert_int_equal(pthread_create(&users[t].thread, NULL, use, &users[t]), 0);
    for (int t = 0; t < 2; t++)
        assert_int_equal(pthread_join(users[t].thread, NULL), 0);
    users[1].f.pool = second;
    for (int t = 0; t < 2; t++) {
        assert_int_equal(users[t].status, CLDEFORM_OK);
        assert_cl(clFinish(users[t].queue));
        for (int p = 0; p < PASSES; p++)
            test_roi_fixture_expect(&users[t].f, passes[p], users[t].queue, 1);
        test_roi_fixture_destroy(&users[t].f);
        assert_cl(clReleaseCommandQueue(users[t].queue));
    }
}

/* ---- trace --------------------------------------------------------------------------------------------- */

enum { MOST_RECORDS = 100 };
static struct record {
    char operation[40];
    uint64_t call;
    cl_event event;
    double bytes;
} records[MOST_RECORDS];
static int n_records;

static void remember(const cldeform_trace_record *record, void *user_data)
{
    (void)user_data;
    assert_true(n_records < MOST_RECORDS);
    struct record *r = &records[n_records++];
    snprintf(r->operation, sizeof r->operation, "%s", record->operation);
    assert_true(record->step[0] != 0);
    assert_cl(clRetainEvent(record->event));
    r->call = record->call;
    r->event = record->event;
    r->bytes = record->bytes;
}

/* Every command is told of, in order. */
static void trace_has_every_step(void **state)
{
    (void)state;
    cldeform_context_options options = test_context_options();
    cldeform_context *context = NULL;
    options.trace = remember;
    assert_ok(cldeform_context_create(device.cl, device.id, &options, &context));
    static const char *const names[] = {"roi_pool_forward", "roi_pool_backward"};
    for (int p = 0; p < PASSES; p++) {
        const cldeform_roi_pool_problem problem = test_roi_fixture_problem(p);
        test_roi_fixture f;
        test_roi_fixture_create(&device, context, &problem, false, &f);
        uint64_t last_call = 0;
        for (int i = 0; i < 2; i++) {
            cl_event done = NULL;
            n_records = 0;
            assert_ok(test_roi_fixture_call(&f, passes[p], device.queue, ROIS, 0, NULL, &done));
            assert_cl(clFlush(device.queue));
            test_wait_for(done);
            assert_cl(clReleaseEvent(done));
            assert_true(n_records >= 2); /* a launch a level, or more */
            assert_true(i == 0 || records[0].call > last_call);
            last_call = records[0].call;
            for (int r = 0; r < n_records; r++) {
                assert_string_equal(records[r].operation, names[p]);
                assert_true(records[r].call == last_call);
                assert_true(test_is_complete(records[r].event));
                assert_true(records[r].bytes > 0);
                assert_cl(clReleaseEvent(records[r].event));
            }
            test_roi_fixture_expect(&f, passes[p], device.queue, 1);
        }
        test_roi_fixture_destroy(&f);
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
        cmocka_unit_test(no_rois_complete),
        cmocka_unit_test(threads_share_an_object),
        cmocka_unit_test(trace_has_every_step),
    };
    return cmocka_run_group_tests(tests, test_open_device, test_close_device);
}
