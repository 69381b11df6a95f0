/* How offset statistics are called: events, wrong arguments, what objects say of them. */
#define _POSIX_C_SOURCE 200809L
#include "layer.h"
#include "context.h"
#include "offsets.h"

#include <string.h>
#include <time.h>

/* Nothing starts before the caller's event; `done` is the end of it. */
static void events_order_it(void **state)
{
    (void)state;
    const cldeform_conv2d_problem problem = test_statistics_problem();
    test_offsets o = test_offsets_create(&problem, TEST_SPECIAL);
    const cldeform_offset_statistics expected = test_statistics_expect(&o);
    cl_command_queue other = test_queue_create(&device, 0);
    cldeform_conv2d *conv = NULL;
    assert_ok(cldeform_conv2d_create(device.context, &problem, &conv));
    const cldeform_tensor offset = test_offsets_upload(&o, false);
    for (int i = 0; i < 2; i++) {
        cl_command_queue queue = i ? device.out_of_order : device.queue;
        const cldeform_tensor result = {test_result_create(), TEST_GUARD / sizeof expected, 0};
        cldeform_offset_statistics found;
        cl_int error = CL_SUCCESS;
        cl_event done = NULL;
        if (!queue)
            continue;
        cl_event before = clCreateUserEvent(device.cl, &error);
        assert_int_equal(error, CL_SUCCESS);
        assert_ok(cldeform_conv2d_offset_statistics(conv, queue, &offset, &result, NULL, 1, &before, &done));
        assert_cl(clFlush(queue));
        /* what starts too early has time to show it */
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        assert_false(test_result_read(other, result.buffer, &found));
        assert_cl(clSetUserEventStatus(before, CL_COMPLETE));
        assert_cl(clWaitForEvents(1, &done));
        assert_true(test_result_read(other, result.buffer, &found));
        test_statistics_compare(&found, &expected);
        assert_cl(clReleaseEvent(before));
        assert_cl(clReleaseEvent(done));
        assert_cl(clReleaseMemObject(result.buffer));
    }
    assert_cl(clReleaseMemObject(offset.buffer));
    assert_cl(clReleaseCommandQueue(other));
    cldeform_conv2d_destroy(conv);
    test_offsets_destroy(&o);
}

static int commands; /* that a context with this trace has enqueued */

static void count_command(const cldeform_trace_record *record, void *user)
{
    (void)user;
    commands++;
    assert_string_equal(record->operation, "conv2d_offset_statistics");
    assert_string_equal(record->step, commands == 1 ? "count" : "combine");
}

/* Every wrong argument is refused with its name, and nothing is enqueued. */
static void wrong_arguments(void **state)
{
    (void)state;
    cldeform_context_options options = test_context_options();
    cldeform_context *context = NULL;
    cldeform_conv2d *conv = NULL, *forward = NULL, *plain = NULL;
    cl_int error = CL_SUCCESS;
    size_t minimum = 0;
    options.trace = count_command;
    assert_ok(cldeform_context_create(device.cl, device.id, &options, &context));
    cldeform_conv2d_problem problem = test_statistics_problem();
    assert_ok(cldeform_conv2d_create(context, &problem, &conv));
    problem.passes = CLDEFORM_FORWARD;
    problem.out_channels = 10;
    assert_ok(cldeform_conv2d_create(context, &problem, &forward));
    problem = test_small_problem(CLDEFORM_CONV2D_PLAIN);
    problem.passes = CLDEFORM_STATISTICS | CLDEFORM_FORWARD;
    assert_ok(cldeform_conv2d_create(context, &problem, &plain));
    problem = test_statistics_problem();
    assert_ok(cldeform_conv2d_workspace_size(conv, CLDEFORM_STATISTICS, &minimum, NULL));

    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    assert_ok(cldeform_conv2d_shape(&problem, CLDEFORM_OFFSET, &shape));
    const size_t size = sizeof(cldeform_offset_statistics);
    const cl_mem_flags flags[2] = {CL_MEM_READ_ONLY, CL_MEM_WRITE_ONLY};
    cl_mem one_way[2];
    for (int i = 0; i < 2; i++)
        one_way[i] = clCreateBuffer(device.cl, flags[i], shape.bytes + size, NULL, &error);
    cldeform_tensor offset = {test_buffer_create(shape.bytes + 2 * size, NULL), 0, 0},
                    result = {test_result_create(), 3, 0};
    const cldeform_tensor good = offset, place_of_result = result;
    cldeform_workspace workspace = {test_buffer_create(minimum, NULL), 0, 0}, *with = NULL;
    const cldeform_workspace right = workspace;
    cl_event done;
#define CALL(object, o, r)                                                                                             \
    (done = (cl_event)1,                                                                                               \
     cldeform_conv2d_offset_statistics(object, device.queue, o, r, with, 0, NULL, object ? &done : NULL))
#define REFUSED(object, o, r, status, text)                                                                            \
    do {                                                                                                               \
        commands = 0;                                                                                                  \
        assert_status(CALL(object, o, r), status, text);                                                               \
        assert_int_equal(commands, 0);                                                                                 \
        if (object)                                                                                                    \
            assert_null(done);                                                                                         \
    } while (0)
#define WRONG(status, text)                                                                                            \
    do {                                                                                                               \
        REFUSED(conv, &offset, &result, status, text);                                                                 \
        offset = good;                                                                                                 \
        result = place_of_result;                                                                                      \
        workspace = right;                                                                                             \
    } while (0)
    REFUSED(((cldeform_conv2d *)NULL), &offset, &result, CLDEFORM_INVALID_ARGUMENT, "conv is NULL");
    REFUSED(forward, &offset, &result, CLDEFORM_NOT_PREPARED, "this call needs 0x400");
    REFUSED(plain, &offset, &result, CLDEFORM_INVALID_ARGUMENT, "CLDEFORM_CONV2D_PLAIN");
    REFUSED(conv, NULL, &result, CLDEFORM_INVALID_ARGUMENT, "offset is NULL");
    REFUSED(conv, &offset, NULL, CLDEFORM_INVALID_ARGUMENT, "result is NULL");
    assert_status(cldeform_conv2d_offset_statistics(conv, NULL, &offset, &result, NULL, 0, NULL, NULL),
                  CLDEFORM_INVALID_ARGUMENT, "queue is NULL");
    assert_status(cldeform_conv2d_offset_statistics(conv, device.queue, &offset, &result, NULL, 1, NULL, NULL),
                  CLDEFORM_INVALID_ARGUMENT, "n_wait is 1");
    offset.buffer = NULL;
    WRONG(CLDEFORM_INVALID_ARGUMENT, "offset.buffer is NULL");
    result.buffer = NULL;
    WRONG(CLDEFORM_INVALID_ARGUMENT, "result.buffer is NULL");
    offset.offset = 2 * size / 4 + 1;
    WRONG(CLDEFORM_BUFFER_TOO_SMALL, "offset needs");
    offset.batch_stride = 1;
    WRONG(CLDEFORM_INVALID_ARGUMENT, "offset.batch_stride is 1");
    result.offset = 7;
    WRONG(CLDEFORM_BUFFER_TOO_SMALL, "result needs");
    result.offset = SIZE_MAX;
    WRONG(CLDEFORM_BUFFER_TOO_SMALL, "result needs");
    result.batch_stride = 1;
    WRONG(CLDEFORM_INVALID_ARGUMENT, "result.batch_stride is 1");
    result = (cldeform_tensor){one_way[0], 0, 0};
    WRONG(CLDEFORM_INVALID_ARGUMENT, "result.buffer is CL_MEM_READ_ONLY");
    offset.buffer = one_way[1];
    WRONG(CLDEFORM_INVALID_ARGUMENT, "offset.buffer is CL_MEM_WRITE_ONLY");
    result = (cldeform_tensor){offset.buffer, (shape.bytes - 1) / size, 0};
    WRONG(CLDEFORM_INVALID_ARGUMENT, "overlap");
    with = &workspace;
    workspace.size = minimum - 1;
    WRONG(CLDEFORM_BUFFER_TOO_SMALL, "the minimum is");
    workspace.buffer = one_way[0];
    WRONG(CLDEFORM_INVALID_ARGUMENT, "workspace.buffer is CL_MEM_READ_ONLY");
    workspace.offset = 8;
    WRONG(CLDEFORM_INVALID_ARGUMENT, "workspace.offset is 8");
    cl_mem both = test_buffer_create(minimum + shape.bytes, NULL);
    workspace.buffer = offset.buffer = both;
    WRONG(CLDEFORM_INVALID_ARGUMENT, "workspace");
    workspace.buffer = result.buffer = both;
    result.offset = 0;
    WRONG(CLDEFORM_INVALID_ARGUMENT, "overlap");
    /* kernels write whole numbers, which the host reads as they are */
    context->facts.little_endian = !context->facts.little_endian;
    WRONG(CLDEFORM_UNSUPPORTED, "-endian");
    context->facts.little_endian = !context->facts.little_endian;

    /* and the right ones run: the result behind the offsets in one buffer */
    with = NULL;
    result = (cldeform_tensor){offset.buffer, (shape.bytes + size - 1) / size, 0};
    commands = 0;
    assert_ok(CALL(conv, &offset, &result));
    assert_int_equal(commands, 2);
    assert_cl(clWaitForEvents(1, &done));
    assert_cl(clReleaseEvent(done));
    for (int i = 0; i < 2; i++)
        assert_cl(clReleaseMemObject(one_way[i]));
    assert_cl(clReleaseMemObject(both));
    assert_cl(clReleaseMemObject(offset.buffer));
    assert_cl(clReleaseMemObject(place_of_result.buffer));
    assert_cl(clReleaseMemObject(workspace.buffer));
    cldeform_conv2d_destroy(conv);
    cldeform_conv2d_destroy(forward);
    cldeform_conv2d_destroy(plain);
    cldeform_context_destroy(context);
}

/* Everything that a user of statistics does, each step as far as the one before succeeded. */
static cldeform_status use_statistics(const cldeform_tensor *offset, const cldeform_tensor *result)
{
    cldeform_context *context = NULL;
    cldeform_conv2d *conv = NULL;
    cl_event done = NULL;
    const cldeform_conv2d_problem problem = test_statistics_problem();
    cldeform_context_options options = test_context_options();
    cldeform_status status = cldeform_context_create(device.cl, device.id, &options, &context);
    if (status == CLDEFORM_OK)
        status = cldeform_conv2d_create(context, &problem, &conv);
    if (status == CLDEFORM_OK)
        status = cldeform_conv2d_warm_up(conv, device.queue);
    if (status == CLDEFORM_OK)
        status = cldeform_conv2d_offset_statistics(conv, device.queue, offset, result, NULL, 0, NULL, &done);
    assert_int_equal(done != NULL, status == CLDEFORM_OK);
    if (done)
        assert_int_equal(clReleaseEvent(done), CL_SUCCESS);
    clFinish(device.queue);
    cldeform_conv2d_destroy(conv);
    cldeform_context_destroy(context);
    return status;
}

/* The first OpenCL call fails, then the second, ...: a status with a text each time, and nothing leaks. */
static void every_call_may_fail(void **state)
{
    (void)state;
    const cldeform_conv2d_problem problem = test_statistics_problem();
    test_offsets o = test_offsets_create(&problem, TEST_QUARTERS);
    const cldeform_offset_statistics expected = test_statistics_expect(&o);
    cldeform_offset_statistics found;
    const cldeform_tensor offset = test_offsets_upload(&o, false), result = {test_result_create(), 3, 0};
    long before[CL_LAYER_OBJECT_COUNT], failures = 0, calls = 0;
    for (int i = 0; i < CL_LAYER_OBJECT_COUNT; i++)
        before[i] = layer->references((cl_layer_object)i);
    for (bool failed = true; failed;) {
        layer->reset();
        assert_int_equal(layer->fail_nth(NULL, ++calls, CL_INVALID_OPERATION), 0);
        const cldeform_status status = use_statistics(&offset, &result);
        failed = layer->failed() != NULL;
        layer->fail_nth(NULL, 0, CL_SUCCESS);
        if (status != CLDEFORM_OK) {
            failures++;
            assert_true(strlen(cldeform_last_error()) > 5);
        }
        assert_cl(clFinish(device.queue));
        for (int i = 0; i < CL_LAYER_OBJECT_COUNT; i++)
            assert_int_equal(layer->references((cl_layer_object)i), before[i]);
    }
    assert_true(failures > 40 && failures > calls * 9 / 10);
    assert_true(test_result_read(device.queue, result.buffer, &found));
    test_statistics_compare(&found, &expected);
    assert_cl(clReleaseMemObject(offset.buffer));
    assert_cl(clReleaseMemObject(result.buffer));
    test_offsets_destroy(&o);
}

/* An object without an algorithm, one with both, and one that has nothing to do. */
static void what_objects_say(void **state)
{
    (void)state;
    size_t statistics = 0, alone = 0, both = 0;
    int32_t deterministic = 0;
    char text[8192];
    cldeform_conv2d *conv = NULL;
    cldeform_conv2d_problem problem = test_statistics_problem();
    assert_ok(cldeform_conv2d_create(device.context, &problem, &conv));
    assert_ok(cldeform_conv2d_workspace_size(conv, CLDEFORM_STATISTICS, &statistics, NULL));
    assert_ok(cldeform_conv2d_is_deterministic(conv, CLDEFORM_STATISTICS, &deterministic));
    assert_int_equal(deterministic, 1);
    assert_ok(cldeform_conv2d_describe(conv, text, sizeof text, NULL));
    assert_non_null(strstr(text, "\"algorithm\":null"));
    assert_ok(cldeform_conv2d_warm_up(conv, device.queue));
    cldeform_conv2d_destroy(conv);

    problem.workspace_limit = statistics - 1;
    assert_status(cldeform_conv2d_create(device.context, &problem, &conv), CLDEFORM_LIMIT, "workspace_limit");
    problem.workspace_limit = 0;

    problem.out_channels = 10;
    problem.passes |= CLDEFORM_FORWARD;
    assert_ok(cldeform_conv2d_create(device.context, &problem, &conv));
    assert_ok(cldeform_conv2d_workspace_size(conv, CLDEFORM_FORWARD, &alone, NULL));
    assert_ok(cldeform_conv2d_workspace_size(conv, problem.passes, &both, NULL));
    assert_int_equal(both, alone > statistics ? alone : statistics);
    assert_ok(cldeform_conv2d_is_deterministic(conv, problem.passes, &deterministic));
    assert_ok(cldeform_conv2d_warm_up(conv, device.queue));
    cldeform_conv2d_destroy(conv);

    problem = test_small_problem(CLDEFORM_CONV2D_PLAIN);
    problem.passes = CLDEFORM_STATISTICS;
    assert_status(cldeform_conv2d_create(device.context, &problem, &conv), CLDEFORM_INVALID_ARGUMENT, "no offsets");
    problem.passes |= CLDEFORM_FORWARD;
    assert_ok(cldeform_conv2d_create(device.context, &problem, &conv));
    assert_ok(cldeform_conv2d_workspace_size(conv, CLDEFORM_STATISTICS, &alone, NULL));
    assert_int_equal(alone, 0);
    assert_ok(cldeform_conv2d_warm_up(conv, device.queue));
    cldeform_conv2d_destroy(conv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_order_it),
        cmocka_unit_test(wrong_arguments),
        cmocka_unit_test(every_call_may_fail),
        cmocka_unit_test(what_objects_say),
    };
    return cmocka_run_group_tests(tests, test_open_layer, test_close_device);
}
