/* What a context and a plan tell about themselves, the self-test, and threads. */
#define _POSIX_C_SOURCE 200809L
#include "context.h"
#include "algorithms.h"
#include "fixture.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!object)
        fail_msg("not JSON: %s in %s", error.text, text);
    return object;
}

static void a_context_describes_itself(void **state)
{
    (void)state;
    size_t needed = 0, again = 0;
    char text[8192], part[10];
    assert_ok(cldeform_context_describe(device.context, NULL, 0, &needed));
    assert_ok(cldeform_context_describe(device.context, text, sizeof text, &again));
    assert_int_equal(needed, again);
    assert_int_equal(strlen(text) + 1, needed);
    assert_ok(cldeform_context_describe(device.context, part, sizeof part, NULL));
    assert_int_equal(strlen(part), sizeof part - 1);
    assert_memory_equal(part, text, sizeof part - 1);
    assert_status(cldeform_context_describe(NULL, text, sizeof text, NULL), CLDEFORM_INVALID_ARGUMENT, "context");
    assert_status(cldeform_context_describe(device.context, NULL, 1, NULL), CLDEFORM_INVALID_ARGUMENT, "text is NULL");
    json_t *object = parse(text);
    assert_string_equal(json_string_value(json_object_get(object, "device")), device.name);
    assert_true(json_is_null(json_object_get(object, "cache_dir")));
    assert_int_equal(json_is_true(json_object_get(object, "fp64")), device.fp64);
    assert_true(json_integer_value(json_object_get(object, "max_allocation")) > 0);
    const char *source = json_string_value(json_object_get(json_object_get(object, "tuning"), "source"));
    assert_memory_equal(source, "built-in: ", 10);
    if (test_is_cpu(&device))
        assert_string_equal(source, "built-in: cpu");
    json_decref(object);

    cldeform_context *tuned =
        test_tuned_context(&device, "\"\" nonsense=1\n\"\" columns_kib=\"9\"\n\"\" columns_kib=9");
    assert_ok(cldeform_context_describe(tuned, text, sizeof text, NULL));
    object = parse(text);
    json_t *tuning = json_object_get(object, "tuning");
    assert_int_equal(json_integer_value(json_object_get(tuning, "columns_kib")), 9);
    assert_non_null(strstr(json_string_value(json_object_get(tuning, "refused")), "line 1: nonsense=1"));
    assert_non_null(strstr(json_string_value(json_object_get(tuning, "refused")), "line 2: "));
    json_decref(object);
    cldeform_context_destroy(tuned);
}

static void a_plan_describes_itself(void **state)
{
    (void)state;
    char text[8192];
    cldeform_conv2d *conv = NULL;
    size_t minimum = 0, preferred = 0;
    int32_t deterministic = 0;
    const cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    assert_ok(cldeform_conv2d_create(device.context, &problem, &conv));
    assert_ok(cldeform_conv2d_describe(conv, text, sizeof text, NULL));
    assert_ok(cldeform_conv2d_workspace_size(conv, CLDEFORM_FORWARD, &minimum, &preferred));
    assert_ok(cldeform_conv2d_is_deterministic(conv, CLDEFORM_FORWARD, &deterministic));
    assert_int_equal(deterministic, 1);
    json_t *object = parse(text);
    static const char *const names[] = {"auto", "im2col", "fused", "tiled"};
    assert_string_equal(json_string_value(json_object_get(object, "algorithm")), names[test_algorithm]);
    assert_string_equal(json_string_value(json_object_get(object, "reason")), "asked for");
    assert_string_equal(json_string_value(json_object_get(object, "dtype")), "fp32");
    if (test_algorithm == CLDEFORM_ALGORITHM_FUSED)
        assert_int_equal(json_integer_value(json_object_get(json_object_get(object, "forward"), "groups")),
                         problem.groups);
    else if (test_algorithm == CLDEFORM_ALGORITHM_TILED)
        assert_non_null(json_object_get(json_object_get(object, "forward"), "tile"));
    else
        assert_string_equal(json_string_value(json_object_get(object, "gemm")), "clblast");
    assert_int_equal(json_integer_value(json_object_get(object, "workspace_bytes")), preferred);
    assert_int_equal(json_integer_value(json_object_get(object, "workspace_minimum")), minimum);
    assert_true(json_real_value(json_object_get(object, "gflop")) > 0.000137 &&
                json_real_value(json_object_get(object, "gflop")) < 0.000139); /* 2 * 3*10*64 * 6*6 * 1e-9 */
    json_decref(object);
    cldeform_conv2d_destroy(conv);
}

/* What AUTO becomes in a context with these lines of tuning, and why. */
static void expect_choice(const char *lines, const cldeform_conv2d_problem *problem, const char *algorithm,
                          const char *reason)
{
    char text[8192];
    cldeform_conv2d *conv = NULL;
    cldeform_context *context = test_tuned_context(&device, lines);
    assert_ok(cldeform_conv2d_create(context, problem, &conv));
    assert_ok(cldeform_conv2d_describe(conv, text, sizeof text, NULL));
    json_t *object = parse(text);
    assert_string_equal(json_string_value(json_object_get(object, "algorithm")), algorithm);
    assert_non_null(strstr(json_string_value(json_object_get(object, "reason")), reason));
    json_decref(object);
    cldeform_conv2d_destroy(conv);
    cldeform_context_destroy(context);
}

/* The built-in one on processors is fused; where it cannot do a problem, the other one does. */
static void auto_takes_the_tuning_s_choice(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    if (test_is_cpu(&device))
        expect_choice("", &problem, "fused", "first choice");
    expect_choice("\"*\" conv2d_algorithm=1\n", &problem, "im2col", "first choice");
    expect_choice("\"*\" conv2d_algorithm=2\n", &problem, "fused", "first choice");
    expect_choice("\"*\" conv2d_algorithm=3\n", &problem, "tiled", "first choice");
    problem.passes = CLDEFORM_BACKWARD;
    problem.deterministic = 1; /* not with atomic additions */
    expect_choice("\"*\" conv2d_algorithm=3\n", &problem, "im2col", "cannot");
    problem.passes = CLDEFORM_FORWARD;
    problem.deterministic = 0;
    problem.workspace_limit = 20000; /* slabs fit, copies do not */
    problem.in_h = 30, problem.in_w = 31;
    expect_choice("\"*\" conv2d_algorithm=2\n", &problem, "im2col", "cannot");
    problem = (cldeform_conv2d_problem)CLDEFORM_INIT(cldeform_conv2d_problem);
    problem.batch = 1, problem.in_channels = 65536, problem.out_channels = 1, problem.in_h = problem.in_w = 1;
    problem.kernel_h = problem.kernel_w = 1;
    problem.offset_groups = 65536; /* too many for im2col */
    expect_choice("\"*\" conv2d_algorithm=1\n", &problem, "fused", "cannot");
}

static size_t minimum_of(cldeform_context *context, cldeform_conv2d_problem problem, cldeform_algorithm algorithm)
{
    cldeform_conv2d *conv = NULL;
    size_t minimum = 0, preferred = 0;
    problem.algorithm = algorithm;
    assert_ok(cldeform_conv2d_create(context, &problem, &conv));
    assert_ok(cldeform_conv2d_workspace_size(conv, problem.passes, &minimum, &preferred));
    cldeform_conv2d_destroy(conv);
    return minimum;
}

/* With deterministic set, what a limit leaves no room for is not replaced by an algorithm that rounds otherwise,
 * whatever the first choice was refused for. */
static void limits_do_not_change_deterministic_algorithms(void **state)
{
    (void)state;
    cldeform_context *context = test_tuned_context(&device, "\"*\" conv2d_algorithm=3 gemm_clblast=0\n");
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    cldeform_conv2d *conv = NULL;
    if (context->facts.loop_limit) /* there is no other */
        skip();
    problem.in_h = 60, problem.in_w = 61;
    problem.passes = CLDEFORM_BACKWARD;
    problem.deterministic = 1;
    const size_t im2col = minimum_of(context, problem, CLDEFORM_ALGORITHM_IM2COL);
    const size_t fused = minimum_of(context, problem, CLDEFORM_ALGORITHM_FUSED);
    assert_true(fused < im2col); /* else this test needs another problem */
    problem.workspace_limit = fused;
    assert_status(cldeform_conv2d_create(context, &problem, &conv), CLDEFORM_LIMIT, "minimum");
    cldeform_context_destroy(context);
}

static void missing_tuning_files_are_errors(void **state)
{
    (void)state;
    cldeform_context *context = NULL;
    setenv("CLDEFORM_TUNING_FILE", "/nowhere/tuning", 1);
    assert_status(cldeform_context_create(device.cl, device.id, NULL, &context), CLDEFORM_INVALID_ARGUMENT,
                  "/nowhere/tuning");
    assert_null(context);
    cldeform_context_options options = test_context_options();
    options.ignore_environment = 1;
    assert_ok(cldeform_context_create(device.cl, device.id, &options, &context));
    cldeform_context_destroy(context);
    unsetenv("CLDEFORM_TUNING_FILE");
    options.struct_size = 1;
    assert_status(cldeform_context_create(device.cl, device.id, &options, &context), CLDEFORM_INVALID_ARGUMENT,
                  "options.struct_size");
}

/* ---- self-test: its results are test_selftest.c's ------------------------------------------------------ */

static void count_failures(const char *check, cldeform_status status, const char *detail, void *user)
{
    assert_non_null(check);
    assert_int_equal(status, CLDEFORM_BUILD_FAILED);
    assert_non_null(detail);
    ++*(int *)user;
}

/* Without kernels every check fails, and the others are done all the same. */
static void a_self_test_without_kernels(void **state)
{
    (void)state;
    int failures = 0;
    char path[TEST_PATH];
    cldeform_context *context = NULL;
    cldeform_context_options options = CLDEFORM_INIT(cldeform_context_options);
    test_put_temporary("\"*\" gemm_clblast=0\n", path);
    options.tuning_file = path;
    setenv("CLDEFORM_KERNEL_DIR", "/nowhere", 1);
    assert_ok(cldeform_context_create(device.cl, device.id, &options, &context));
    assert_status(cldeform_selftest(context, count_failures, &failures), CLDEFORM_SELFTEST_FAILED, "conv2d v1");
    assert_status(cldeform_selftest(context, NULL, NULL), CLDEFORM_SELFTEST_FAILED, "conv2d v1");
    unsetenv("CLDEFORM_KERNEL_DIR");
    assert_true(failures > 20);
    cldeform_context_destroy(context);
    remove(path);
    assert_status(cldeform_selftest(NULL, NULL, NULL), CLDEFORM_INVALID_ARGUMENT, "context is NULL");
}

/* ---- threads ------------------------------------------------------------------------------------------- */

enum { THREADS = 8, CALLS = 25 };

typedef struct worker {
    pthread_t thread;
    cldeform_context *context;
    cl_command_queue queue;
    test_fixture *shared; /* its object is used by all threads */
    cl_mem output;
    void *found;
    bool failed;
} worker;

static void *work(void *argument)
{
    worker *w = argument;
    const size_t bytes = w->shared->host.shape[CLDEFORM_OUTPUT].bytes;
    for (int i = 0; i < CALLS && !w->failed; i++) {
        /* an object of its own, compiled at the same time as the others' */
        cldeform_conv2d *own = NULL;
        cldeform_conv2d_tensors tensors = w->shared->tensors;
        tensors.output.buffer = w->output;
        cl_event done = NULL;
        w->failed = cldeform_conv2d_create(w->context, &w->shared->host.problem, &own) != CLDEFORM_OK ||
                    cldeform_conv2d_forward(i % 2 ? own : w->shared->conv, w->queue, &tensors, NULL, 0, NULL, &done) !=
                        CLDEFORM_OK ||
                    clEnqueueReadBuffer(w->queue, w->output, CL_TRUE, 0, bytes, w->found, 1, &done, NULL) != CL_SUCCESS;
        if (done)
            clReleaseEvent(done);
        cldeform_conv2d_destroy(own);
    }
    return NULL;
}

static void many_threads_use_one_object(void **state)
{
    (void)state;
    const cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    cldeform_context_options options = test_context_options();
    cldeform_context *context = NULL; /* new: the first compilation is the threads' */
    assert_ok(cldeform_context_create(device.cl, device.id, &options, &context));
    assert_ok(cldeform_gemm_clear_cache());
    test_fixture f;
    test_fixture_create(&device, context, &problem, &f);
    const size_t bytes = f.host.shape[CLDEFORM_OUTPUT].bytes;
    worker workers[THREADS] = {0};
    for (int i = 0; i < THREADS; i++) {
        cl_int error = CL_SUCCESS;
        workers[i] = (worker){.context = context, .shared = &f, .found = malloc(bytes)};
        workers[i].queue = test_queue_create(&device, 0);
        workers[i].output = clCreateBuffer(device.cl, CL_MEM_READ_WRITE, bytes, NULL, &error);
        assert_int_equal(error, CL_SUCCESS);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        const float *found = workers[i].found;
        assert_false(workers[i].failed);
        for (int64_t e = 0; e < f.host.shape[CLDEFORM_OUTPUT].elements; e++)
            assert_true((double)found[e] == f.host.values[CLDEFORM_OUTPUT][e]);
        free(workers[i].found);
        assert_cl(clReleaseMemObject(workers[i].output));
        assert_cl(clReleaseCommandQueue(workers[i].queue));
    }
    test_fixture_destroy(&f);
    cldeform_context_destroy(context);
}

/* Two contexts at once, each with its own cl_context. */
static void contexts_do_not_mix(void **state)
{
    (void)state;
    const cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_DEFORMABLE);
    test_device other;
    test_device_open(&other);
    test_fixture a, b;
    test_fixture_create(&device, device.context, &problem, &a);
    test_fixture_create(&other, other.context, &problem, &b);
    assert_ok(cldeform_conv2d_forward(a.conv, device.queue, &a.tensors, NULL, 0, NULL, NULL));
    assert_ok(cldeform_conv2d_forward(b.conv, other.queue, &b.tensors, NULL, 0, NULL, NULL));
    test_fixture_expect(&b, other.queue);
    test_fixture_destroy(&b);
    test_device_close(&other);
    test_fixture_expect(&a, device.queue);
    test_fixture_destroy(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads_use_one_object),
        cmocka_unit_test(a_plan_describes_itself),
        cmocka_unit_test(contexts_do_not_mix),
    };
    const struct CMUnitTest once[] = {
        cmocka_unit_test(auto_takes_the_tuning_s_choice),
        cmocka_unit_test(limits_do_not_change_deterministic_algorithms),
        cmocka_unit_test(a_context_describes_itself),
        cmocka_unit_test(missing_tuning_files_are_errors),
        cmocka_unit_test(a_self_test_without_kernels),
    };
    return TEST_OVER_ALGORITHMS_AND_ONCE(tests, once, test_open_device, test_close_device);
}
