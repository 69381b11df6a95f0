#include "layer.h"

#include <stdio.h>
#include <string.h>

const cl_layer *layer;

int test_open_layer(void **state)
{
    layer = cl_layer_get();
    return layer ? test_open_device(state) : -1;
}

const char *const test_compiling[] = {"clCreateProgramWithSource",
                                      "clCreateProgramWithBinary",
                                      "clBuildProgram",
                                      "clCompileProgram",
                                      "clLinkProgram",
                                      NULL};
const char *const test_allocating[] = {"clCreateBuffer", "clCreateCommandQueue", "clCreateCommandQueueWithProperties",
                                       NULL};

long test_count_calls(const char *const *functions)
{
    long n = 0;
    for (int i = 0; functions[i]; i++) {
        const long calls = layer->count(functions[i]);
        if (calls < 0)
            fail_msg("the layer does not watch %s", functions[i]);
        n += calls;
    }
    return n;
}

void test_references_now(long references[CL_LAYER_OBJECT_COUNT])
{
    for (int o = 0; o < CL_LAYER_OBJECT_COUNT; o++)
        references[o] = layer->references((cl_layer_object)o);
}

void test_check_references(const long before[CL_LAYER_OBJECT_COUNT], const char *when)
{
    static const char *const names[] = {"context", "queue", "memory", "program", "kernel", "event"};
    for (int o = 0; o < CL_LAYER_OBJECT_COUNT; o++) {
        const long now = layer->references((cl_layer_object)o);
        if (now != before[o])
            fail_msg("%s: %ld references to %s objects, before it were %ld", when, now, names[o], before[o]);
    }
}

void test_check_kept(const long at_first[CL_LAYER_OBJECT_COUNT], long before[CL_LAYER_OBJECT_COUNT], const char *when)
{
    const long events = layer->references(CL_LAYER_EVENT);
    before[CL_LAYER_QUEUE] = layer->references(CL_LAYER_QUEUE);
    before[CL_LAYER_EVENT] = at_first[CL_LAYER_EVENT] + before[CL_LAYER_QUEUE] - at_first[CL_LAYER_QUEUE];
    if (events < before[CL_LAYER_EVENT])
        before[CL_LAYER_EVENT] = events;
    test_check_references(before, when);
}

void test_fail_nth(long n)
{
    const cl_int errors[] = {CL_OUT_OF_HOST_MEMORY, CL_INVALID_OPERATION};
    layer->reset();
    assert_int_equal(layer->fail_nth(NULL, n, errors[n % 2]), 0);
}

bool test_count_failure(long n, cldeform_status status, test_failures *failures)
{
    char function[100] = "";
    if (layer->failed())
        snprintf(function, sizeof function, "%s", layer->failed());
    layer->fail_nth(NULL, 0, CL_SUCCESS);
    if (!function[0])
        return false;
    snprintf(failures->when, sizeof failures->when, "call %ld, %s, failed", n, function);
    if (status == CLDEFORM_OK)
        failures->tolerated++;
    else
        failures->failed++;
    if (status != CLDEFORM_OK && strlen(cldeform_last_error()) < 5)
        fail_msg("%s: no text", failures->when);
    return true;
}
