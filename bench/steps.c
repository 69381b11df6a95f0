/* Where the time of a convolution goes: creation, the first call, and then each step of a call, from the trace. Takes
 * the device's own times (profiling events), besides the wall time of whole calls. */
#include "device.h"
#include "fault.h"
#include "run.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    for (int64_t i = 0; i < shape.elements; i++)
        values[i] = timing_value(&state) * (name == CLDEFORM_OFFSET ? 2.0f : 1.0f);
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

typedef struct calls {
    cl_command_queue queue;
    const cldeform_conv2d *conv;
    const cldeform_conv2d_tensors *tensors;
    const cldeform_conv2d_gradients *gradients;
} calls;

static int call(void *user)
{
    const calls *c = user;
    const bool backward = c->gradients->grad_output.buffer != NULL;
    const cldeform_status status =
        backward ? cldeform_conv2d_backward(c->conv, c->queue, c->tensors, c->gradients, NULL, 0, NULL, NULL)
                 : cldeform_conv2d_forward(c->conv, c->queue, c->tensors, NULL, 0, NULL, NULL);
    if (status != CLDEFORM_OK || clFinish(c->queue) != CL_SUCCESS)
        return fail(backward ? "backward" : "forward");
    return 0;
}

static int read_sizes(int words, char **arguments, cldeform_conv2d_problem *p, int *n)
{
    long values[9] = {1, 128, 100, 168, 128, 3, 1, 1, 10};
    for (int i = 0; i < words; i++) {
        char *end = NULL;
        values[i] = i < 9 ? strtol(arguments[i], &end, 10) : 0;
        if (!end || end == arguments[i] || *end || values[i] < 1)
            return 0;
    }
    p->batch = values[0], p->in_channels = values[1], p->in_h = values[2], p->in_w = values[3];
    p->out_channels = values[4], p->kernel_h = p->kernel_w = values[5];
    p->stride_h = p->stride_w = values[6], p->groups = values[7];
    p->pad_top = p->pad_left = p->pad_bottom = p->pad_right = (values[5] - 1) / 2;
    *n = (int)values[8];
    return 1;
}

int main(int argc, char **argv)
{
    static timing_recording r;
    cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
    cldeform_context_options options = CLDEFORM_INIT(cldeform_context_options);
    device_session device = {0};
    cldeform_context *context = NULL;
    cldeform_conv2d *conv = NULL;
    fault f = {0};
    int n = 0, status = 1;
    const bool backward = argc > 1 && strcmp(argv[1], "backward") == 0;
    const int skipped = backward || (argc > 1 && strcmp(argv[1], "forward") == 0) ? 2 : 1;
    if (!read_sizes(argc - skipped, argv + skipped, &problem, &n)) {
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
    options.trace = timing_record;
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
    double start = timing_now();
    if (cldeform_context_create(device.context, device.device->id, &options, &context) != CLDEFORM_OK ||
        cldeform_conv2d_create(context, &problem, &conv) != CLDEFORM_OK) {
        fail("create");
        goto done;
    }
    printf("create               %9.3f ms\n", timing_now() - start);
    start = timing_now();
    if (cldeform_conv2d_warm_up(conv, device.queue) != CLDEFORM_OK) {
        fail("warm_up");
        goto done;
    }
    printf("warm_up              %9.3f ms   (CLBlast's compilation included)\n", timing_now() - start);
    status = run_calls("call", n, &r, call, &(calls){device.queue, conv, &t, &g});
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
