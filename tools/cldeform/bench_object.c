/* bench_object.c: see bench_object.h. */
#include "bench_object.h"

#include <stdlib.h>

#include "describe.h"
#include "element.h"

int bench_open_device(bench_device *device, const char *wanted, fault *f)
{
    device_session *session = &device->session;
    cldeform_context_options options = CLDEFORM_INIT(cldeform_context_options);
    int status = device_open(session, wanted, CL_QUEUE_PROFILING_ENABLE, f);
    if (status != EXIT_FINE)
        return status;
    options.trace = timing_record;
    options.trace_user = &device->recording;
    const cldeform_status answer =
        cldeform_context_create(session->context, session->device->id, &options, &device->context);
    return answer == CLDEFORM_OK ? EXIT_FINE : operator_refuse(answer, 0, f);
}

void bench_close_device(bench_device *device)
{
    cldeform_context_destroy(device->context);
    device_close(&device->session);
}

/* ---- the library's object ---- */

static cldeform_status create_conv2d(bench_object *o, int algorithm)
{
    cldeform_conv2d_problem p = o->data->conv2d.problem;
    if (algorithm == BENCH_DIRECT)
        return CLDEFORM_UNSUPPORTED;
    p.algorithm = (cldeform_algorithm)algorithm;
    p.passes = bench_data_passes(o->data, o->pass);
    if (o->pass == BENCH_FORWARD)
        p.passes |= CLDEFORM_PACK_WEIGHT;
    return cldeform_conv2d_create(o->device->context, &p, &o->conv);
}

static cldeform_status create_roi_pool(bench_object *o, int algorithm)
{
    cldeform_roi_pool_problem p = o->data->roi.problem;
    if (algorithm != CLDEFORM_ALGORITHM_AUTO && algorithm != BENCH_DIRECT)
        return CLDEFORM_UNSUPPORTED;
    p.passes = roi_passes(&p, bench_data_passes(o->data, o->pass));
    return cldeform_roi_pool_create(o->device->context, &p, &o->pool);
}

int bench_object_create(bench_object *o, bench_device *device, const bench_data *data, int pass, int algorithm,
                        int *supported, fault *f)
{
    o->device = device;
    o->data = data;
    o->pass = pass;
    *supported = 1;
    const cldeform_status answer =
        data->operation == BENCH_CONV2D ? create_conv2d(o, algorithm) : create_roi_pool(o, algorithm);
    if (answer == CLDEFORM_UNSUPPORTED) {
        *supported = 0;
        return EXIT_FINE;
    }
    if (answer != CLDEFORM_OK)
        return operator_refuse(answer, 0, f);
    return o->conv ? describe_conv2d(o->conv, &o->plan, f) : describe_roi_pool(o->pool, &o->plan, f);
}

/* ---- buffers ---- */

static int create_buffer(const bench_object *o, size_t bytes, void *values, cl_mem *buffer, fault *f)
{
    cl_int error = CL_SUCCESS;
    cl_mem_flags flags = CL_MEM_READ_WRITE | (values ? CL_MEM_COPY_HOST_PTR : 0);
    *buffer = clCreateBuffer(o->device->session.context, flags, bytes, values, &error);
    return error == CL_SUCCESS ? EXIT_FINE : operator_refuse_opencl("clCreateBuffer", error, f);
}

/* All bits set are NaN in every type. */
static int poison(const bench_object *o, cl_mem buffer, size_t bytes, fault *f)
{
    const cl_uchar ones = 0xff;
    const cl_int error =
        clEnqueueFillBuffer(o->device->session.queue, buffer, &ones, sizeof ones, 0, bytes, 0, NULL, NULL);
    return error == CL_SUCCESS ? EXIT_FINE : operator_refuse_opencl("clEnqueueFillBuffer", error, f);
}

static int needs_output(const bench_object *o)
{
    return o->pass == BENCH_FORWARD || o->argmax;
}

static int create_set(bench_object *o, cl_mem *buffers, fault *f)
{
    const cldeform_passes passes = bench_data_passes(o->data, o->pass);
    int status = EXIT_FINE;
    for (int i = 0; i < TENSORS && status == EXIT_FINE; i++) {
        const npy_array *array = &o->data->array[i];
        const int computed = (tensor_table[i].pass & passes) != 0 || (i == TENSOR_OUTPUT && needs_output(o));
        const int read = !tensor_table[i].pass && (i != TENSOR_GRAD_OUTPUT || o->pass == BENCH_BACKWARD);
        if (array->rank == 0 || (!computed && !read))
            continue;
        status = create_buffer(o, array->bytes, computed ? NULL : array->data, &buffers[i], f);
        if (status == EXIT_FINE && computed)
            status = poison(o, buffers[i], array->bytes, f);
    }
    return status;
}

static int create_scratch(bench_object *o, fault *f)
{
    const cldeform_passes passes = bench_data_passes(o->data, o->pass);
    size_t forward = 0;
    cldeform_status answer = o->conv ? cldeform_conv2d_workspace_size(o->conv, passes, NULL, &o->scratch_bytes)
                                     : cldeform_roi_pool_workspace_size(o->pool, passes, NULL, &o->scratch_bytes);
    if (answer == CLDEFORM_OK && o->argmax)
        answer = cldeform_roi_pool_workspace_size(o->pool, CLDEFORM_FORWARD, NULL, &forward);
    if (answer != CLDEFORM_OK)
        return operator_refuse(answer, 0, f);
    const size_t bytes = forward > o->scratch_bytes ? forward : o->scratch_bytes;
    return bytes > 0 ? create_buffer(o, bytes, NULL, &o->scratch.buffer, f) : EXIT_FINE;
}

static int pack_weight(bench_object *o, fault *f)
{
    size_t bytes = 0;
    uint64_t format = 0;
    if (!o->conv || o->pass != BENCH_FORWARD)
        return EXIT_FINE;
    cldeform_status answer = cldeform_conv2d_packed_weight_size(o->conv, &bytes, &format);
    if (answer != CLDEFORM_OK)
        return operator_refuse(answer, 0, f);
    if (bytes == 0) /* it reads them as they are */
        return EXIT_FINE;
    int status = create_buffer(o, bytes, NULL, &o->packed, f);
    if (status != EXIT_FINE)
        return status;
    const cldeform_tensor weight = {.buffer = o->sets[0][TENSOR_WEIGHT]}, packed = {.buffer = o->packed};
    answer = cldeform_conv2d_pack_weight(o->conv, o->device->session.queue, &weight, &packed, 0, NULL, NULL);
    return answer == CLDEFORM_OK ? EXIT_FINE : operator_refuse(answer, 0, f);
}

int bench_object_fill(bench_object *o, size_t n_sets, int pack, fault *f)
{
    const int with_argmax = o->pool && o->data->roi.problem.method == CLDEFORM_ROI_MAX && o->pass == BENCH_BACKWARD;
    int status = EXIT_FINE;
    o->sets = calloc(n_sets, sizeof *o->sets);
    if (!o->sets)
        return fault_memory(f);
    if (with_argmax)
        status = create_buffer(o, (size_t)o->data->roi.output.elements * sizeof(cl_int), NULL, &o->argmax, f);
    while (o->n_sets < n_sets && status == EXIT_FINE) {
        o->n_sets++; /* what a failure leaves of it is freed too */
        status = create_set(o, o->sets[o->n_sets - 1], f);
    }
    if (status == EXIT_FINE)
        status = create_scratch(o, f);
    if (status == EXIT_FINE && pack)
        status = pack_weight(o, f);
    if (status == EXIT_FINE && o->argmax) { /* what backward reads */
        o->pass = BENCH_FORWARD;
        status = bench_object_call(o, f);
        o->pass = BENCH_BACKWARD;
        o->next_set = 0;
    }
    return status == EXIT_FINE ? bench_object_finish(o, f) : status;
}

void bench_object_free(bench_object *o)
{
    if (o->device)
        clFinish(o->device->session.queue); /* a failure may have left work in flight */
    for (size_t s = 0; s < o->n_sets; s++)
        for (int i = 0; i < TENSORS; i++)
            if (o->sets[s][i])
                clReleaseMemObject(o->sets[s][i]);
    free(o->sets);
    cl_mem const others[] = {o->argmax, o->packed, o->scratch.buffer};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (others[i])
            clReleaseMemObject(others[i]);
    json_decref(o->plan);
    cldeform_conv2d_destroy(o->conv);
    cldeform_roi_pool_destroy(o->pool);
}

/* ---- calls ---- */

static cldeform_status call_conv2d(const bench_object *o, const cl_mem *b, const cldeform_workspace *scratch)
{
    const cl_command_queue queue = o->device->session.queue;
    cldeform_conv2d_tensors tensors = {
        .struct_size = sizeof tensors,
        .input = {.buffer = b[TENSOR_INPUT]},
        .offset = {.buffer = b[TENSOR_OFFSET]},
        .mask = {.buffer = b[TENSOR_MASK]},
        .weight = {.buffer = o->packed ? NULL : b[TENSOR_WEIGHT]},
        .packed_weight = {.buffer = o->packed},
        .output = {.buffer = b[TENSOR_OUTPUT]},
    };
    const cldeform_conv2d_gradients gradients = {
        .struct_size = sizeof gradients,
        .grad_output = {.buffer = b[TENSOR_GRAD_OUTPUT]},
        .grad_input = {.buffer = b[TENSOR_GRAD_INPUT]},
        .grad_offset = {.buffer = b[TENSOR_GRAD_OFFSET]},
        .grad_mask = {.buffer = b[TENSOR_GRAD_MASK]},
        .grad_weight = {.buffer = b[TENSOR_GRAD_WEIGHT]},
    };
    return o->pass == BENCH_FORWARD
               ? cldeform_conv2d_forward(o->conv, queue, &tensors, scratch, 0, NULL, NULL)
               : cldeform_conv2d_backward(o->conv, queue, &tensors, &gradients, scratch, 0, NULL, NULL);
}

static cldeform_status call_roi_pool(const bench_object *o, const cl_mem *b, const cldeform_workspace *scratch)
{
    const cl_command_queue queue = o->device->session.queue;
    const int64_t rois = o->data->roi.rois;
    const cldeform_roi_pool_tensors tensors = {
        .struct_size = sizeof tensors,
        .input = {{.buffer = b[TENSOR_INPUT]}},
        .rois = {.buffer = b[TENSOR_ROIS]},
        .offset = {.buffer = b[TENSOR_OFFSET]},
        .mask = {.buffer = b[TENSOR_MASK]},
        .output = {.buffer = b[TENSOR_OUTPUT]},
        .argmax = {.buffer = o->argmax},
    };
    const cldeform_roi_pool_gradients gradients = {
        .struct_size = sizeof gradients,
        .grad_output = {.buffer = b[TENSOR_GRAD_OUTPUT]},
        .grad_input = {{.buffer = b[TENSOR_GRAD_INPUT]}},
        .grad_offset = {.buffer = b[TENSOR_GRAD_OFFSET]},
        .grad_mask = {.buffer = b[TENSOR_GRAD_MASK]},
    };
    return o->pass == BENCH_FORWARD
               ? cldeform_roi_pool_forward(o->pool, queue, rois, &tensors, scratch, 0, NULL, NULL)
               : cldeform_roi_pool_backward(o->pool, queue, rois, &tensors, &gradients, scratch, 0, NULL, NULL);
}

int bench_object_call(bench_object *o, fault *f)
{
    const cl_mem *buffers = o->sets[o->next_set];
    const cldeform_workspace *scratch = o->scratch.buffer ? &o->scratch : NULL;
    o->next_set = (o->next_set + 1) % o->n_sets;
    const cldeform_status answer = o->conv ? call_conv2d(o, buffers, scratch) : call_roi_pool(o, buffers, scratch);
    return answer == CLDEFORM_OK ? EXIT_FINE : operator_refuse(answer, 0, f);
}

int bench_object_finish(bench_object *o, fault *f)
{
    const cl_int error = clFinish(o->device->session.queue);
    return error == CL_SUCCESS ? EXIT_FINE : operator_refuse_opencl("clFinish", error, f);
}

int bench_object_read(bench_object *o, fault *f)
{
    const cldeform_passes passes = bench_data_passes(o->data, o->pass);
    for (int i = 0; i < TENSORS; i++) {
        const npy_array *array = &o->data->array[i];
        if (!(tensor_table[i].pass & passes))
            continue;
        const cl_int error = clEnqueueReadBuffer(o->device->session.queue, o->sets[0][i], CL_TRUE, 0, array->bytes,
                                                 array->data, 0, NULL, NULL);
        if (error != CL_SUCCESS)
            return operator_refuse_opencl("clEnqueueReadBuffer", error, f);
    }
    return EXIT_FINE;
}

/* Four times the largest cache: what the device tells of, or what CPUs that tell of less may have. A quarter of the
 * memory at most. */
size_t bench_cold_sets(const bench_device *device, const bench_data *data, int pass)
{
    const double least_cache = 64.0 * (1 << 20), most_sets = 64;
    const cl_device_id id = device->session.device->id;
    cl_ulong cache = 0, memory = 0;
    clGetDeviceInfo(id, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE, sizeof cache, &cache, NULL);
    clGetDeviceInfo(id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof memory, &memory, NULL);
    const double each = bench_data_bytes(data, pass) + 1;
    double sets = 4 * ((double)cache > least_cache ? (double)cache : least_cache) / each + 1;
    if (sets * each > (double)memory / 4)
        sets = (double)memory / 4 / each;
    if (sets > most_sets)
        sets = most_sets;
    return sets > 2 ? (size_t)sets : 2;
}
