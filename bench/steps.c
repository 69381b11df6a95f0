/* Where the time of a convolution goes: creation, the first call, and then each step of a call, from the trace. Takes
 * the device's own times (profiling events), besides the wall time of whole calls. */
#include "device.h"
#include "fault.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_STEPS = 64, MOST_EVENTS = 4096 };

typedef struct step {
    const char *name;
    double milliseconds, flop, bytes; /* of all the step's commands in all calls */
} step;

typedef struct recording {
    bool on;
    size_t n_events;
    struct {
        const char *name;
        cl_event first, last;
        double flop, bytes;
    } events[MOST_EVENTS];
} recording;

static void record(const cldeform_trace_record *command, void *user)
{
    recording *r = user;
    if (!r->on || r->n_events == MOST_EVENTS)
        return;
    clRetainEvent(command->first_event);
    clRetainEvent(command->event);
    r->events[r->n_events].name = command->step;
    r->events[r->n_events].first = command->first_event;
    r->events[r->n_events].last = command->event;
    r->events[r->n_events].flop = command->flop;
    r->events[r->n_events++].bytes = command->bytes;
}

static double now(void)
{
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

/* Adds the recorded commands' times to the steps of their names, and releases the events. */
static size_t add_up(recording *r, step steps[MOST_STEPS], size_t n_steps)
{
    for (size_t i = 0; i < r->n_events; i++) {
        cl_ulong start = 0, end = 0;
        clGetEventProfilingInfo(r->events[i].first, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL);
        clGetEventProfilingInfo(r->events[i].last, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL);
        clReleaseEvent(r->events[i].first);
        clReleaseEvent(r->events[i].last);
        size_t s = 0;
        while (s < n_steps && strcmp(steps[s].name, r->events[i].name) != 0)
            s++;
        if (s == MOST_STEPS)
            continue;
        if (s == n_steps)
            steps[n_steps++] = (step){r->events[i].name, 0, 0, 0};
        steps[s].milliseconds += (double)(end - start) * 1e-6;
        steps[s].flop += r->events[i].flop;
        steps[s].bytes += r->events[i].bytes;
    }
    r->n_events = 0;
    return n_steps;
}

static int compare_numbers(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A buffer of the tensor: zeros are fine for time, but for offsets, which are spread over some pixels. */
static cl_mem create_tensor(const device_session *device, const cldeform_conv2d_problem *problem,
                            cldeform_tensor_name name)
{
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    cl_int error = CL_SUCCESS;
    if (cldeform_conv2d_shape(problem, name, &shape) != CLDEFORM_OK)
        return NULL;
    float *values = malloc(shape.bytes);
    if (!values)
        return NULL;
    uint32_t state = 1;
    for (int64_t i = 0; i < shape.elements; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = ((float)(state >> 8) / 8388608.0f - 1.0f) * (name == CLDEFORM_OFFSET ? 2.0f : 1.0f);
    }
    cl_mem buffer =
        clCreateBuffer(device->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, shape.bytes, values, &error);
    free(values);
    return error == CL_SUCCESS ? buffer : NULL;
}

static int fail(const char *what)
{
    fprintf(stderr, "bench_steps: %s: %s\n", what, cldeform_last_error());
    return 1;
}

/* The calls, after one that is not counted; 0 if all succeed. */
static int run_calls(const device_session *device, const cldeform_conv2d *conv, const cldeform_conv2d_tensors *tensors,
                     const cldeform_conv2d_gradients *gradients, int calls, recording *r)
{
    const bool backward = gradients->grad_output.buffer != NULL;
    double *times = malloc((size_t)calls * sizeof *times);
    step steps[MOST_STEPS];
    size_t n_steps = 0;
    double total = 0;
    if (!times)
        return 1;
    for (int i = -1; i < calls; i++) {
        r->on = i >= 0;
        const double start = now();
        const cldeform_status status =
            backward ? cldeform_conv2d_backward(conv, device->queue, tensors, gradients, NULL, 0, NULL, NULL)
                     : cldeform_conv2d_forward(conv, device->queue, tensors, NULL, 0, NULL, NULL);
        if (status != CLDEFORM_OK || clFinish(device->queue) != CL_SUCCESS) {
            free(times);
            return fail(backward ? "backward" : "forward");
        }
        if (i < 0)
            continue;
        times[i] = now() - start;
        n_steps = add_up(r, steps, n_steps);
    }
    qsort(times, (size_t)calls, sizeof *times, compare_numbers);
    printf("call              median %9.3f ms   least %9.3f ms   of %d\n", times[calls / 2], times[0], calls);
    for (size_t s = 0; s < n_steps; s++)
        total += steps[s].milliseconds / calls;
    for (size_t s = 0; s < n_steps; s++) {
        const double ms = steps[s].milliseconds / calls;
        printf("%-16s  mean   %9.3f ms   %5.1f %%   %8.2f GFLOP/s   %7.2f GB/s\n", steps[s].name, ms, 100 * ms / total,
               steps[s].flop / calls / ms * 1e-6, steps[s].bytes / calls / ms * 1e-6);
    }
    free(times);
    return 0;
}

static int read_sizes(int n, char **arguments, cldeform_conv2d_problem *p, int *calls)
{
    long values[9] = {1, 128, 100, 168, 128, 3, 1, 1, 10};
    for (int i = 0; i < n; i++) {
        char *end = NULL;
        values[i] = i < 9 ? strtol(arguments[i], &end, 10) : 0;
        if (!end || end == arguments[i] || *end || values[i] < 1)
            return 0;
    }
    p->batch = values[0], p->in_channels = values[1], p->in_h = values[2], p->in_w = values[3];
    p->out_channels = values[4], p->kernel_h = p->kernel_w = values[5];
    p->stride_h = p->stride_w = values[6], p->groups = values[7];
    p->pad_top = p->pad_left = p->pad_bottom = p->pad_right = (values[5] - 1) / 2;
    *calls = (int)values[8];
    return 1;
}

int main(int argc, char **argv)
{
    static recording r;
    cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
    cldeform_context_options options = CLDEFORM_INIT(cldeform_context_options);
    device_session device = {0};
    cldeform_context *context = NULL;
    cldeform_conv2d *conv = NULL;
    fault f = {0};
    int calls = 0, status = 1;
    const bool backward = argc > 1 && strcmp(argv[1], "backward") == 0;
    const int skipped = backward || (argc > 1 && strcmp(argv[1], "forward") == 0) ? 2 : 1;
    if (!read_sizes(argc - skipped, argv + skipped, &problem, &calls)) {
        fprintf(stderr,
                "usage: bench_steps [forward|backward] [BATCH C H W O KERNEL STRIDE GROUPS CALLS]\n"
                "a DCNv1 convolution in fp32, NCHW, forward or all its gradients; default: forward 1 128 100 168 "
                "128 3 1 1 10\n");
        return 2;
    }
    problem.passes = backward ? CLDEFORM_BACKWARD : CLDEFORM_FORWARD;
    if (device_open(&device, NULL, CL_QUEUE_PROFILING_ENABLE, &f) != EXIT_FINE) {
        fault_print(&f, "bench_steps");
        device_close(&device);
        return f.exit_status;
    }
    options.trace = record;
    options.trace_user = &r;
    cldeform_conv2d_tensors t = CLDEFORM_INIT(cldeform_conv2d_tensors);
    t.input.buffer = create_tensor(&device, &problem, CLDEFORM_INPUT);
    t.offset.buffer = create_tensor(&device, &problem, CLDEFORM_OFFSET);
    t.weight.buffer = create_tensor(&device, &problem, CLDEFORM_WEIGHT);
    t.bias.buffer = create_tensor(&device, &problem, CLDEFORM_BIAS);
    t.output.buffer = create_tensor(&device, &problem, CLDEFORM_OUTPUT);
    cldeform_conv2d_gradients g = CLDEFORM_INIT(cldeform_conv2d_gradients);
    if (backward) {
        g.grad_output.buffer = create_tensor(&device, &problem, CLDEFORM_OUTPUT);
        g.grad_input.buffer = create_tensor(&device, &problem, CLDEFORM_INPUT);
        g.grad_offset.buffer = create_tensor(&device, &problem, CLDEFORM_OFFSET);
        g.grad_weight.buffer = create_tensor(&device, &problem, CLDEFORM_WEIGHT);
        g.grad_bias.buffer = create_tensor(&device, &problem, CLDEFORM_BIAS);
    }

    printf("device        %s\n", device.device->name);
    double start = now();
    if (cldeform_context_create(device.context, device.device->id, &options, &context) != CLDEFORM_OK ||
        cldeform_conv2d_create(context, &problem, &conv) != CLDEFORM_OK) {
        fail("create");
        goto done;
    }
    printf("create               %9.3f ms\n", now() - start);
    start = now();
    if (cldeform_conv2d_warm_up(conv, device.queue) != CLDEFORM_OK) {
        fail("warm_up");
        goto done;
    }
    printf("warm_up              %9.3f ms   (CLBlast's compilation included)\n", now() - start);
    status = run_calls(&device, conv, &t, &g, calls, &r);
done:
    cldeform_conv2d_destroy(conv);
    cldeform_context_destroy(context);
    cl_mem const buffers[] = {t.input.buffer,       t.offset.buffer,      t.weight.buffer,     t.bias.buffer,
                              t.output.buffer,      g.grad_output.buffer, g.grad_input.buffer, g.grad_offset.buffer,
                              g.grad_weight.buffer, g.grad_bias.buffer};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++)
        if (buffers[i])
            clReleaseMemObject(buffers[i]);
    device_close(&device);
    return status;
}
