/* conv2d_device.c: computes with the library, on the device that is asked for. */
#include "conv2d.h"

#include <stdlib.h>

#include "describe.h"
#include "element.h"

typedef struct run {
    const conv2d_device *device;
    cldeform_conv2d *conv;
    cl_mem buffers[CONV2D_TENSORS]; /* NULL: absent, or not asked for */
    cl_event done[2];               /* of forward and of backward */
    cl_uint n_done;
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

static int prepare(run *r, const conv2d_data *d, fault *f)
{
    cldeform_status answer = cldeform_conv2d_create(r->device->context, &d->problem, &r->conv);
    if (answer == CLDEFORM_LIMIT)
        return refuse_limit(d, f);
    return answer == CLDEFORM_OK ? EXIT_FINE : refuse(answer, f);
}

static int print_plan(const run *r, fault *f)
{
    json_t *plan = NULL;
    const device_session *session = &r->device->session;
    char *device = device_text(&session->list, session->device);
    int status = device ? describe_conv2d(r->conv, &plan, f) : fault_memory(f);
    if (status == EXIT_FINE)
        status = conv2d_print_plan(device, plan, f);
    json_decref(plan);
    free(device);
    return status;
}

/* ---- buffers ---- */

/* The library has one type for offset, mask and their gradients, which may be wider than a file's. */
static cldeform_dtype buffer_dtype(const conv2d_data *d, int tensor)
{
    int of = conv2d_tensors[tensor].of;
    return of == CONV2D_OFFSET || of == CONV2D_MASK ? d->problem.offset_dtype : d->problem.dtype;
}

/* The same elements in the type of `to`, which has room for them. */
static int convert(const npy_array *from, const npy_array *to, fault *f)
{
    double *values = NULL;
    int status = conv2d_widen(from, &values, f);
    if (status == EXIT_FINE)
        element_from_double(to->dtype, values, to->elements, to->data);
    free(values);
    return status;
}

/* A tensor without elements has a buffer too, which says that it is there. */
static int create_buffer(const run *r, cl_mem_flags flags, const npy_array *array, cl_mem *buffer, fault *f)
{
    cl_int error = CL_SUCCESS;
    size_t bytes = array->bytes > 0 ? array->bytes : element_size(array->dtype);
    if (array->bytes == 0)
        flags &= ~(cl_mem_flags)CL_MEM_COPY_HOST_PTR;
    *buffer = clCreateBuffer(r->device->session.context, flags, bytes,
                             flags & CL_MEM_COPY_HOST_PTR ? array->data : NULL, &error);
    return error == CL_SUCCESS ? EXIT_FINE : refuse_opencl("clCreateBuffer", error, f);
}

static int create_buffers(run *r, const conv2d_data *d, fault *f)
{
    int status = EXIT_FINE;
    for (int i = 0; i < CONV2D_TENSORS && status == EXIT_FINE; i++) {
        const npy_array *array = &d->array[i];
        const cl_mem_flags flags = conv2d_tensors[i].pass ? CL_MEM_READ_WRITE : CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR;
        npy_array wide = {0};
        if (array->rank == 0)
            continue;
        if (array->dtype != buffer_dtype(d, i)) {
            status = npy_create(&wide, buffer_dtype(d, i), array->rank, array->shape, f);
            if (status == EXIT_FINE)
                status = convert(array, &wide, f);
            array = &wide;
        }
        if (status == EXIT_FINE)
            status = create_buffer(r, flags, array, &r->buffers[i], f);
        npy_free(&wide);
    }
    return status;
}

/* After the calls are done. */
static int read_array(const run *r, cl_mem buffer, npy_array *array, fault *f)
{
    if (array->bytes == 0)
        return EXIT_FINE;
    cl_int error =
        clEnqueueReadBuffer(r->device->session.queue, buffer, CL_TRUE, 0, array->bytes, array->data, 0, NULL, NULL);
    return error == CL_SUCCESS ? EXIT_FINE : refuse_opencl("clEnqueueReadBuffer", error, f);
}

static int read_results(const run *r, conv2d_data *d, fault *f)
{
    int status = EXIT_FINE;
    for (int i = 0; i < CONV2D_TENSORS && status == EXIT_FINE; i++) {
        npy_array *array = &d->array[i], wide = {0};
        if (array->rank == 0 || !conv2d_tensors[i].pass)
            continue;
        if (array->dtype == buffer_dtype(d, i)) {
            status = read_array(r, r->buffers[i], array, f);
            continue;
        }
        status = npy_create(&wide, buffer_dtype(d, i), array->rank, array->shape, f);
        if (status == EXIT_FINE)
            status = read_array(r, r->buffers[i], &wide, f);
        if (status == EXIT_FINE)
            status = convert(&wide, array, f);
        npy_free(&wide);
    }
    return status;
}

/* ---- the calls ---- */

/* Of the passes that were prepared. */
static cldeform_status enqueue(run *r, cldeform_passes passes)
{
    const cl_mem *b = r->buffers;
    const cldeform_conv2d_tensors tensors = {
        .struct_size = sizeof tensors,
        .input = {.buffer = b[CONV2D_INPUT]},
        .offset = {.buffer = b[CONV2D_OFFSET]},
        .mask = {.buffer = b[CONV2D_MASK]},
        .weight = {.buffer = b[CONV2D_WEIGHT]},
        .bias = {.buffer = b[CONV2D_BIAS]},
        .output = {.buffer = b[CONV2D_OUTPUT]},
    };
    const cldeform_conv2d_gradients gradients = {
        .struct_size = sizeof gradients,
        .grad_output = {.buffer = b[CONV2D_GRAD_OUTPUT]},
        .grad_input = {.buffer = b[CONV2D_GRAD_INPUT]},
        .grad_offset = {.buffer = b[CONV2D_GRAD_OFFSET]},
        .grad_mask = {.buffer = b[CONV2D_GRAD_MASK]},
        .grad_weight = {.buffer = b[CONV2D_GRAD_WEIGHT]},
        .grad_bias = {.buffer = b[CONV2D_GRAD_BIAS]},
    };
    const cl_command_queue queue = r->device->session.queue;
    cldeform_status answer = CLDEFORM_OK;
    if (passes & CLDEFORM_FORWARD) {
        answer = cldeform_conv2d_forward(r->conv, queue, &tensors, NULL, 0, NULL, &r->done[r->n_done]);
        r->n_done += answer == CLDEFORM_OK;
    }
    if (answer == CLDEFORM_OK && (passes & CLDEFORM_BACKWARD)) {
        answer = cldeform_conv2d_backward(r->conv, queue, &tensors, &gradients, NULL, 0, NULL, &r->done[r->n_done]);
        r->n_done += answer == CLDEFORM_OK;
    }
    return answer;
}

static int compute(run *r, conv2d_data *d, fault *f)
{
    cldeform_status answer = enqueue(r, conv2d_passes(d));
    if (answer != CLDEFORM_OK) {
        int status = refuse(answer, f);
        clFinish(r->device->session.queue); /* steps that are in flight use the buffers */
        return status;
    }
    cl_int error = clWaitForEvents(r->n_done, r->done);
    return error == CL_SUCCESS ? read_results(r, d, f) : refuse_opencl("clWaitForEvents", error, f);
}

static void release(run *r)
{
    for (cl_uint i = 0; i < r->n_done; i++)
        clReleaseEvent(r->done[i]);
    for (int i = 0; i < CONV2D_TENSORS; i++)
        if (r->buffers[i])
            clReleaseMemObject(r->buffers[i]);
    cldeform_conv2d_destroy(r->conv);
}

int conv2d_run_device(const conv2d_device *device, int plan, conv2d_data *d, fault *f)
{
    run r = {.device = device};
    int asked = conv2d_passes(d) != 0;
    int status = prepare(&r, d, f);
    if (status == EXIT_FINE && plan)
        status = print_plan(&r, f);
    if (status == EXIT_FINE && asked)
        status = create_buffers(&r, d, f);
    if (status == EXIT_FINE && asked)
        status = compute(&r, d, f);
    release(&r);
    return status;
}

int conv2d_open_device(conv2d_device *device, const char *wanted, fault *f)
{
    device_session *session = &device->session;
    int status = device_open(session, wanted, 0, f);
    if (status != EXIT_FINE)
        return status;
    cldeform_status answer = cldeform_context_create(session->context, session->device->id, NULL, &device->context);
    return answer == CLDEFORM_OK ? EXIT_FINE : refuse(answer, f);
}

void conv2d_close_device(conv2d_device *device)
{
    cldeform_context_destroy(device->context);
    device_close(&device->session);
}
