/* conv2d_device.c: computes with the library, on the device that is asked for. */
#include "conv2d.h"

#include <stdlib.h>

#include "describe.h"
#include "device.h"

typedef struct run {
    device_session session;
    cldeform_context *context;
    cldeform_conv2d *conv;
    cl_mem input, weight, offset, mask, bias, output;
    cl_event done;
} run;

/* INVALID_ARGUMENT is the caller's problem; everything else, the device's or the driver's. */
static int refuse(cldeform_status answer, fault *f)
{
    return fault_set(f, answer == CLDEFORM_INVALID_ARGUMENT ? EXIT_INPUT : EXIT_DEVICE, "%s", cldeform_last_error());
}

static int refuse_opencl(const char *call, cl_int error, fault *f)
{
    return fault_set(f, EXIT_DEVICE, "%s failed: %s (%d); see \"cldeform info\"", call, device_error_name(error),
                     (int)error);
}

/* The library's text names the limit and the minimum. Without a limit of the caller's it is the device's fault. */
static int refuse_limit(const conv2d_data *d, fault *f)
{
    if (d->problem.workspace_limit == 0)
        return refuse(CLDEFORM_LIMIT, f);
    return fault_set(f, EXIT_INPUT, "--workspace-limit: %s", cldeform_last_error());
}

static int prepare(const conv2d_options *o, const conv2d_data *d, run *r, fault *f)
{
    int status = device_open(&r->session, o->device, 0, f);
    if (status != EXIT_FINE)
        return status;
    cldeform_status answer = cldeform_context_create(r->session.context, r->session.device->id, NULL, &r->context);
    if (answer == CLDEFORM_OK)
        answer = cldeform_conv2d_create(r->context, &d->problem, &r->conv);
    if (answer == CLDEFORM_LIMIT)
        return refuse_limit(d, f);
    return answer == CLDEFORM_OK ? EXIT_FINE : refuse(answer, f);
}

static int print_plan(const run *r, fault *f)
{
    json_t *plan = NULL;
    char *device = device_text(&r->session.list, r->session.device);
    int status = device ? describe_conv2d(r->conv, &plan, f) : fault_memory(f);
    if (status == EXIT_FINE)
        status = conv2d_print_plan(device, plan, f);
    json_decref(plan);
    free(device);
    return status;
}

/* A tensor without elements, absent or empty, has no buffer: OpenCL has none of size 0. */
static int create_buffer(const run *r, cl_mem_flags flags, const npy_array *array, cl_mem *buffer, fault *f)
{
    if (array->bytes == 0)
        return EXIT_FINE;
    cl_int error = CL_SUCCESS;
    *buffer = clCreateBuffer(r->session.context, flags, array->bytes, flags & CL_MEM_COPY_HOST_PTR ? array->data : NULL,
                             &error);
    return error == CL_SUCCESS ? EXIT_FINE : refuse_opencl("clCreateBuffer", error, f);
}

static int create_buffers(run *r, const conv2d_data *d, fault *f)
{
    const cl_mem_flags given = CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR;
    int status = create_buffer(r, given, &d->input, &r->input, f);
    if (status == EXIT_FINE)
        status = create_buffer(r, given, &d->weight, &r->weight, f);
    if (status == EXIT_FINE)
        status = create_buffer(r, given, &d->offset, &r->offset, f);
    if (status == EXIT_FINE)
        status = create_buffer(r, given, &d->mask, &r->mask, f);
    if (status == EXIT_FINE)
        status = create_buffer(r, given, &d->bias, &r->bias, f);
    if (status == EXIT_FINE)
        status = create_buffer(r, CL_MEM_READ_WRITE, &d->output, &r->output, f);
    return status;
}

static int compute(run *r, conv2d_data *d, fault *f)
{
    const cldeform_conv2d_tensors tensors = {
        .struct_size = sizeof tensors,
        .input = {.buffer = r->input},
        .offset = {.buffer = r->offset},
        .mask = {.buffer = r->mask},
        .weight = {.buffer = r->weight},
        .bias = {.buffer = r->bias},
        .output = {.buffer = r->output},
    };
    cldeform_status answer = cldeform_conv2d_forward(r->conv, r->session.queue, &tensors, NULL, 0, NULL, &r->done);
    if (answer != CLDEFORM_OK) {
        int status = refuse(answer, f);
        clFinish(r->session.queue); /* steps that are in flight use the buffers */
        return status;
    }
    const char *call = "clWaitForEvents";
    cl_int error = clWaitForEvents(1, &r->done);
    if (error == CL_SUCCESS && d->output.bytes > 0) {
        call = "clEnqueueReadBuffer";
        error = clEnqueueReadBuffer(r->session.queue, r->output, CL_TRUE, 0, d->output.bytes, d->output.data, 0, NULL,
                                    NULL);
    }
    return error == CL_SUCCESS ? EXIT_FINE : refuse_opencl(call, error, f);
}

static void release(run *r)
{
    const cl_mem buffers[] = {r->input, r->weight, r->offset, r->mask, r->bias, r->output};
    if (r->done)
        clReleaseEvent(r->done);
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        if (buffers[i])
            clReleaseMemObject(buffers[i]);
    cldeform_conv2d_destroy(r->conv);
    cldeform_context_destroy(r->context);
    device_close(&r->session);
}

int conv2d_run_device(const conv2d_options *o, conv2d_data *d, fault *f)
{
    run r = {0};
    int status = prepare(o, d, &r, f);
    if (status == EXIT_FINE && o->print_plan)
        status = print_plan(&r, f);
    if (status == EXIT_FINE && o->output)
        status = create_buffers(&r, d, f);
    if (status == EXIT_FINE && o->output)
        status = compute(&r, d, f);
    release(&r);
    return status;
}
