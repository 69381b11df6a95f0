/* operator_device.c: computes with the library, on the device that is asked for. */
#include <stdlib.h>

#include "element.h"
#include "operator.h"

typedef struct run {
    const operator_device *device;
    const operator_calls *calls;
    void *object;
    cl_mem buffers[TENSORS]; /* NULL: absent, or not asked for */
    cl_event done[2];        /* of forward and of backward */
    cl_uint n_done;
} run;

/* The library's text names the limit and the minimum. Without a limit of the caller's it is the device's fault. */
int operator_refuse(cldeform_status answer, size_t limit, fault *f)
{
    if (answer == CLDEFORM_LIMIT && limit > 0)
        return fault_set(f, EXIT_INPUT, "--workspace-limit: %s", cldeform_last_error());
    return fault_set(f, answer == CLDEFORM_INVALID_ARGUMENT ? EXIT_INPUT : EXIT_DEVICE, "%s", cldeform_last_error());
}

int operator_refuse_opencl(const char *call, cl_int error, fault *f)
{
    return fault_set(f, EXIT_DEVICE, "%s failed: %s (%d); see \"cldeform info\"", call, device_error_name(error),
                     (int)error);
}

static int print_plan(const run *r, fault *f)
{
    json_t *plan = NULL;
    const device_session *session = &r->device->session;
    char *device = device_text(&session->list, session->device);
    int status = device ? r->calls->describe(r->object, &plan, f) : fault_memory(f);
    if (status == EXIT_FINE)
        status = operator_print_plan(device, plan, f);
    json_decref(plan);
    free(device);
    return status;
}

/* ---- buffers ---- */

/* The library has one type for offset, mask and their gradients, which may be wider than a file's. */
static cldeform_dtype buffer_dtype(const npy_array *arrays, int tensor)
{
    int of = tensor_table[tensor].of;
    return of == TENSOR_OFFSET || of == TENSOR_MASK ? tensors_offset_dtype(arrays) : arrays[tensor].dtype;
}

/* The same elements in the type of `to`, which has room for them. */
static int convert(const npy_array *from, const npy_array *to, fault *f)
{
    double *values = NULL;
    int status = tensor_widen(from, &values, f);
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
    return error == CL_SUCCESS ? EXIT_FINE : operator_refuse_opencl("clCreateBuffer", error, f);
}

static int create_buffers(run *r, const npy_array *arrays, fault *f)
{
    int status = EXIT_FINE;
    for (int i = 0; i < TENSORS && status == EXIT_FINE; i++) {
        const npy_array *array = &arrays[i];
        const cl_mem_flags flags = tensor_table[i].pass ? CL_MEM_READ_WRITE : CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR;
        npy_array wide = {0};
        if (array->rank == 0)
            continue;
        if (array->dtype != buffer_dtype(arrays, i)) {
            status = npy_create(&wide, buffer_dtype(arrays, i), array->rank, array->shape, f);
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
    return error == CL_SUCCESS ? EXIT_FINE : operator_refuse_opencl("clEnqueueReadBuffer", error, f);
}

static int read_results(const run *r, npy_array *arrays, fault *f)
{
    int status = EXIT_FINE;
    for (int i = 0; i < TENSORS && status == EXIT_FINE; i++) {
        npy_array *array = &arrays[i], wide = {0};
        if (array->rank == 0 || !tensor_table[i].pass)
            continue;
        if (array->dtype == buffer_dtype(arrays, i)) {
            status = read_array(r, r->buffers[i], array, f);
            continue;
        }
        status = npy_create(&wide, buffer_dtype(arrays, i), array->rank, array->shape, f);
        if (status == EXIT_FINE)
            status = read_array(r, r->buffers[i], &wide, f);
        if (status == EXIT_FINE)
            status = convert(&wide, array, f);
        npy_free(&wide);
    }
    return status;
}

/* ---- the calls ---- */

/* Forward before backward, which may read what it has written. */
static cldeform_status enqueue(run *r, cldeform_passes passes)
{
    const cl_command_queue queue = r->device->session.queue;
    cldeform_status answer = CLDEFORM_OK;
    if (passes & CLDEFORM_FORWARD) {
        answer = r->calls->forward(r->object, queue, r->buffers, &r->done[r->n_done]);
        r->n_done += answer == CLDEFORM_OK;
    }
    if (answer == CLDEFORM_OK && (passes & CLDEFORM_BACKWARD)) {
        answer = r->calls->backward(r->object, queue, r->buffers, &r->done[r->n_done]);
        r->n_done += answer == CLDEFORM_OK;
    }
    return answer;
}

static int compute(run *r, const operator_work *w, fault *f)
{
    cldeform_status answer = enqueue(r, w->passes);
    if (answer != CLDEFORM_OK) {
        int status = operator_refuse(answer, 0, f);
        clFinish(r->device->session.queue); /* steps that are in flight use the buffers */
        return status;
    }
    cl_int error = clWaitForEvents(r->n_done, r->done);
    return error == CL_SUCCESS ? read_results(r, w->arrays, f) : operator_refuse_opencl("clWaitForEvents", error, f);
}

static void release(run *r)
{
    for (cl_uint i = 0; i < r->n_done; i++)
        clReleaseEvent(r->done[i]);
    for (int i = 0; i < TENSORS; i++)
        if (r->buffers[i])
            clReleaseMemObject(r->buffers[i]);
    r->calls->destroy(r->object);
}

int operator_run_device(const operator_device *device, const operator_work *w, fault *f)
{
    run r = {.device = device, .calls = w->calls};
    int asked = tensors_passes(w->arrays) != 0;
    int status = w->calls->create(device, w->data, &r.object, f);
    if (status == EXIT_FINE && w->print_plan)
        status = print_plan(&r, f);
    if (status == EXIT_FINE && asked)
        status = create_buffers(&r, w->arrays, f);
    if (status == EXIT_FINE && asked)
        status = compute(&r, w, f);
    release(&r);
    return status;
}

int operator_open_device(operator_device *device, const char *wanted, fault *f)
{
    device_session *session = &device->session;
    int status = device_open(session, wanted, 0, f);
    if (status != EXIT_FINE)
        return status;
    cldeform_status answer = cldeform_context_create(session->context, session->device->id, NULL, &device->context);
    return answer == CLDEFORM_OK ? EXIT_FINE : operator_refuse(answer, 0, f);
}

void operator_close_device(operator_device *device)
{
    cldeform_context_destroy(device->context);
    device_close(&device->session);
}
