/* test_cl_layer.c: the counting layer counts, makes calls fail and sees leaks: otherwise the tests that rely on it
 * would pass whatever the library does. */
#include "cl_layer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

typedef struct fixture {
    const cl_layer *layer;
    cl_context context;
    cl_device_id device;
    cl_command_queue queue;
} fixture;

static int reset(void **state)
{
    const fixture *f = *state;
    f->layer->reset();
    return 0;
}

static void counts_calls(void **state)
{
    const fixture *f = *state;
    const cl_layer *layer = f->layer;
    float data[4] = {1, 2, 3, 4};
    cl_int error = CL_SUCCESS;
    cl_event event = NULL;

    cl_mem buffer = clCreateBuffer(f->context, CL_MEM_READ_WRITE, sizeof data, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    assert_int_equal(clEnqueueWriteBuffer(f->queue, buffer, CL_TRUE, 0, sizeof data, data, 0, NULL, NULL), CL_SUCCESS);
    assert_int_equal(clEnqueueReadBuffer(f->queue, buffer, CL_FALSE, 0, sizeof data, data, 0, NULL, &event),
                     CL_SUCCESS);
    assert_int_equal(layer->blocking(), 1);
    assert_int_equal(clWaitForEvents(1, &event), CL_SUCCESS);
    assert_int_equal(clFinish(f->queue), CL_SUCCESS);
    assert_int_equal(clReleaseEvent(event), CL_SUCCESS);
    assert_int_equal(clReleaseMemObject(buffer), CL_SUCCESS);

    assert_int_equal(layer->count("clCreateBuffer"), 1);
    assert_int_equal(layer->count("clEnqueueReadBuffer"), 1);
    assert_int_equal(layer->count("clReleaseMemObject"), 1);
    assert_int_equal(layer->count("clCreateKernel"), 0);
    assert_int_equal(layer->count("clNoSuchFunction"), -1);
    assert_int_equal(layer->enqueues(), 2);
    assert_int_equal(layer->blocking(), 3);
    layer->reset();
    assert_int_equal(layer->count("clCreateBuffer"), 0);
    assert_int_equal(layer->enqueues(), 0);
    assert_int_equal(layer->blocking(), 0);
}

static void fails_the_nth_call_of_a_function(void **state)
{
    const fixture *f = *state;
    const cl_layer *layer = f->layer;
    cl_mem buffers[3];
    cl_int errors[3];

    assert_int_equal(layer->fail_nth("clCreateBuffer", 2, CL_MEM_OBJECT_ALLOCATION_FAILURE), 0);
    assert_null(layer->failed());
    assert_int_equal(clFlush(f->queue), CL_SUCCESS); /* another function: does not count */
    for (int i = 0; i < 3; i++)
        buffers[i] = clCreateBuffer(f->context, CL_MEM_READ_WRITE, 64, NULL, &errors[i]);
    assert_int_equal(errors[0], CL_SUCCESS);
    assert_int_equal(errors[1], CL_MEM_OBJECT_ALLOCATION_FAILURE);
    assert_int_equal(errors[2], CL_SUCCESS);
    assert_null(buffers[1]);
    assert_string_equal(layer->failed(), "clCreateBuffer");
    assert_int_equal(layer->count("clCreateBuffer"), 3);
    assert_int_equal(clReleaseMemObject(buffers[0]), CL_SUCCESS);
    assert_int_equal(clReleaseMemObject(buffers[2]), CL_SUCCESS);

    assert_int_equal(layer->fail_nth("clReleaseMemObject", 1, CL_OUT_OF_RESOURCES), -1);
    assert_int_equal(layer->fail_nth("clNoSuchFunction", 1, CL_OUT_OF_RESOURCES), -1);
}

static void fails_the_nth_call_of_any_function(void **state)
{
    const fixture *f = *state;
    const cl_layer *layer = f->layer;
    cl_int error = CL_SUCCESS;
    cl_event event = NULL;

    assert_int_equal(layer->fail_nth(NULL, 3, CL_OUT_OF_RESOURCES), 0);
    cl_mem buffer = clCreateBuffer(f->context, CL_MEM_READ_WRITE, 64, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    assert_int_equal(clReleaseMemObject(buffer), CL_SUCCESS); /* releases neither fail nor count */
    assert_int_equal(clFlush(f->queue), CL_SUCCESS);
    assert_int_equal(clEnqueueMarkerWithWaitList(f->queue, 0, NULL, &event), CL_OUT_OF_RESOURCES);
    assert_null(event);
    assert_string_equal(layer->failed(), "clEnqueueMarkerWithWaitList");
    assert_int_equal(clFinish(f->queue), CL_SUCCESS); /* once only */

    assert_int_equal(layer->fail_nth(NULL, 1, CL_OUT_OF_RESOURCES), 0);
    assert_int_equal(layer->fail_nth(NULL, 0, CL_SUCCESS), 0); /* withdrawn */
    assert_int_equal(clFinish(f->queue), CL_SUCCESS);
    assert_null(layer->failed());
}

static void sees_what_is_not_released(void **state)
{
    const fixture *f = *state;
    static const char *const text = "kernel void nothing(void) {}";
    long before[CL_LAYER_OBJECT_COUNT];
    long now[CL_LAYER_OBJECT_COUNT];
    cl_int error = CL_SUCCESS;
    cl_event event = NULL;
    for (int i = 0; i < CL_LAYER_OBJECT_COUNT; i++)
        before[i] = f->layer->references((cl_layer_object)i);

    cl_mem buffer = clCreateBuffer(f->context, CL_MEM_READ_WRITE, 64, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    assert_int_equal(clRetainMemObject(buffer), CL_SUCCESS);
    cl_program program = clCreateProgramWithSource(f->context, 1, (const char *[]){text}, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    assert_int_equal(clBuildProgram(program, 1, &f->device, "", NULL, NULL), CL_SUCCESS);
    cl_kernel kernel = clCreateKernel(program, "nothing", &error);
    assert_int_equal(error, CL_SUCCESS);
    assert_null(clCreateKernel(program, "something", NULL)); /* a failure holds nothing */
    assert_int_equal(clEnqueueNDRangeKernel(f->queue, kernel, 1, NULL, (const size_t[]){1}, NULL, 0, NULL, &event),
                     CL_SUCCESS);
    assert_int_equal(clFinish(f->queue), CL_SUCCESS);

    for (int i = 0; i < CL_LAYER_OBJECT_COUNT; i++)
        now[i] = f->layer->references((cl_layer_object)i) - before[i];
    assert_int_equal(now[CL_LAYER_CONTEXT], 0);
    assert_int_equal(now[CL_LAYER_QUEUE], 0);
    assert_int_equal(now[CL_LAYER_MEMORY], 2);
    assert_int_equal(now[CL_LAYER_PROGRAM], 1);
    assert_int_equal(now[CL_LAYER_KERNEL], 1);
    assert_int_equal(now[CL_LAYER_EVENT], 1);

    assert_int_equal(clReleaseEvent(event), CL_SUCCESS);
    assert_int_equal(clReleaseKernel(kernel), CL_SUCCESS);
    assert_int_equal(clReleaseProgram(program), CL_SUCCESS);
    assert_int_equal(clReleaseMemObject(buffer), CL_SUCCESS);
    assert_int_equal(clReleaseMemObject(buffer), CL_SUCCESS);
    for (int i = 0; i < CL_LAYER_OBJECT_COUNT; i++)
        assert_int_equal(f->layer->references((cl_layer_object)i), before[i]);
}

enum { THREADS = 4, CALLS = 500 };

static void *create_and_release(void *user)
{
    const fixture *f = user;
    for (int i = 0; i < CALLS; i++) {
        cl_mem buffer = clCreateBuffer(f->context, CL_MEM_READ_WRITE, 64, NULL, NULL);
        if (buffer != NULL)
            (void)clReleaseMemObject(buffer);
    }
    return NULL;
}

static void counts_calls_of_many_threads(void **state)
{
    fixture *f = *state;
    pthread_t threads[THREADS];
    long before = f->layer->references(CL_LAYER_MEMORY);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, create_and_release, f), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(f->layer->count("clCreateBuffer"), THREADS * CALLS);
    assert_int_equal(f->layer->count("clReleaseMemObject"), THREADS * CALLS);
    assert_int_equal(f->layer->references(CL_LAYER_MEMORY), before);
}

int main(void)
{
    cl_platform_id platform = NULL;
    cl_int error = CL_SUCCESS;
    fixture f = {.layer = cl_layer_get()};
    if (f.layer == NULL) {
        fprintf(stderr, "the layer is not loaded: OPENCL_LAYERS must name it, and the loader must know layers\n");
        return 1;
    }
    if (clGetPlatformIDs(1, &platform, NULL) != CL_SUCCESS ||
        clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &f.device, NULL) != CL_SUCCESS)
        return 77;
    f.context = clCreateContext(NULL, 1, &f.device, NULL, NULL, &error);
    if (error == CL_SUCCESS)
        f.queue = clCreateCommandQueueWithProperties(f.context, f.device, NULL, &error);
    if (error != CL_SUCCESS) {
        fprintf(stderr, "no context or queue: OpenCL error %d\n", (int)error);
        return 1;
    }

    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(counts_calls, reset, reset, &f),
        cmocka_unit_test_prestate_setup_teardown(fails_the_nth_call_of_a_function, reset, reset, &f),
        cmocka_unit_test_prestate_setup_teardown(fails_the_nth_call_of_any_function, reset, reset, &f),
        cmocka_unit_test_prestate_setup_teardown(sees_what_is_not_released, reset, reset, &f),
        cmocka_unit_test_prestate_setup_teardown(counts_calls_of_many_threads, reset, reset, &f),
    };
    int failures = cmocka_run_group_tests_name("cl_layer", tests, NULL, NULL);
    (void)clReleaseCommandQueue(f.queue);
    (void)clReleaseContext(f.context);
    return failures;
}
