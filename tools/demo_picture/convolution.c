/* convolution.c: see convolution.h. The part on the device; reference.c has the check. */
#include "convolution.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_RUNS = 21, FEWEST_RUNS = 3, TENSORS = 5 };
static const double LONGEST = 2000; /* milliseconds after which no further run is started */

static int library_fault(fault *f, cldeform_status status, const char *call)
{
    const char *detail = cldeform_last_error();
    return fault_set(f, EXIT_DEVICE, "%s: %s: %s", call, cldeform_status_name(status),
                     detail[0] ? detail : cldeform_status_text(status));
}

static int opencl_fault(fault *f, cl_int error, const char *call)
{
    return fault_set(f, EXIT_DEVICE, "%s: %s (%d)", call, device_error_name(error), (int)error);
}

static double now(void)
{
    struct timespec t = {0};
    timespec_get(&t, TIME_UTC);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A buffer of the tensor's size, filled from data where there is any. */
static int make_buffer(const device_session *session, const cldeform_conv2d_problem *problem, cldeform_tensor_name name,
                       const float *data, cl_mem *buffer, size_t *bytes, fault *f)
{
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    const cldeform_status status = cldeform_conv2d_shape(problem, name, &shape);
    if (status != CLDEFORM_OK)
        return library_fault(f, status, "cldeform_conv2d_shape");
    cl_int error = CL_SUCCESS;
    *bytes = shape.bytes;
    *buffer = clCreateBuffer(session->context, CL_MEM_READ_WRITE, shape.bytes, NULL, &error);
    if (error != CL_SUCCESS)
        return opencl_fault(f, error, "clCreateBuffer");
    if (data)
        error = clEnqueueWriteBuffer(session->queue, *buffer, CL_TRUE, 0, shape.bytes, data, 0, NULL, NULL);
    return error == CL_SUCCESS ? EXIT_FINE : opencl_fault(f, error, "clEnqueueWriteBuffer");
}

/* The value of "algorithm" in the plan, which is JSON written by the library. */
static int read_algorithm(const cldeform_conv2d *conv, char *algorithm, size_t capacity, fault *f)
{
    static const char key[] = "\"algorithm\"";
    char plan[16384];
    const cldeform_status status = cldeform_conv2d_describe(conv, plan, sizeof plan, NULL);
    if (status != CLDEFORM_OK)
        return library_fault(f, status, "cldeform_conv2d_describe");
    const char *value = strstr(plan, key);
    value = value ? strchr(value + sizeof key - 1, '"') : NULL;
    if (value)
        snprintf(algorithm, capacity, "%.*s", (int)strcspn(value + 1, "\""), value + 1);
    return EXIT_FINE;
}

static int time_runs(const cldeform_conv2d *conv, cl_command_queue queue, const cldeform_conv2d_tensors *tensors,
                     const cldeform_workspace *workspace, timing *t, fault *f)
{
    double times[MOST_RUNS], total = 0;
    for (t->runs = 0; t->runs < MOST_RUNS && (t->runs < FEWEST_RUNS || total < LONGEST); t->runs++) {
        const double start = now();
        const cldeform_status status = cldeform_conv2d_forward(conv, queue, tensors, workspace, 0, NULL, NULL);
        if (status != CLDEFORM_OK)
            return library_fault(f, status, "cldeform_conv2d_forward");
        const cl_int error = clFinish(queue);
        if (error != CL_SUCCESS)
            return opencl_fault(f, error, "clFinish");
        times[t->runs] = now() - start;
        total += times[t->runs];
    }
    qsort(times, (size_t)t->runs, sizeof *times, compare_doubles);
    t->milliseconds = times[t->runs / 2];
    return EXIT_FINE;
}

int convolution_run(cldeform_context *library, const device_session *session, const cldeform_conv2d_problem *problem,
                    const host_tensors *host, timing *t, fault *f)
{
    const struct {
        cldeform_tensor_name name;
        const float *data;
        int needed;
    } rows[TENSORS] = {{CLDEFORM_INPUT, host->input, 1},
                       {CLDEFORM_OFFSET, host->offset, host->offset != NULL},
                       {CLDEFORM_MASK, host->mask, host->mask != NULL},
                       {CLDEFORM_WEIGHT, host->weight, 1},
                       {CLDEFORM_OUTPUT, NULL, 1}};
    cldeform_conv2d *conv = NULL;
    cl_mem buffers[TENSORS] = {NULL}, scratch = NULL;
    size_t bytes[TENSORS] = {0}, scratch_bytes = 0;
    cl_int error = CL_SUCCESS;
    int result = EXIT_FINE;
    memset(t, 0, sizeof *t);

    cldeform_status status = cldeform_conv2d_create(library, problem, &conv);
    if (status != CLDEFORM_OK) {
        result = library_fault(f, status, "cldeform_conv2d_create");
        goto done;
    }
    result = read_algorithm(conv, t->algorithm, sizeof t->algorithm, f);
    for (int i = 0; i < TENSORS && result == EXIT_FINE; i++)
        if (rows[i].needed)
            result = make_buffer(session, problem, rows[i].name, rows[i].data, &buffers[i], &bytes[i], f);
    if (result != EXIT_FINE)
        goto done;

    /* With a workspace of the caller's nothing is allocated per call. */
    status = cldeform_conv2d_workspace_size(conv, CLDEFORM_FORWARD, NULL, &scratch_bytes);
    if (status != CLDEFORM_OK) {
        result = library_fault(f, status, "cldeform_conv2d_workspace_size");
        goto done;
    }
    if (scratch_bytes > 0) {
        scratch = clCreateBuffer(session->context, CL_MEM_READ_WRITE, scratch_bytes, NULL, &error);
        if (error != CL_SUCCESS) {
            result = opencl_fault(f, error, "clCreateBuffer");
            goto done;
        }
    }
    cldeform_conv2d_tensors tensors = CLDEFORM_INIT(cldeform_conv2d_tensors);
    tensors.input.buffer = buffers[0];
    tensors.offset.buffer = buffers[1];
    tensors.mask.buffer = buffers[2];
    tensors.weight.buffer = buffers[3];
    tensors.output.buffer = buffers[4];
    const cldeform_workspace workspace = {.buffer = scratch};

    status = cldeform_conv2d_warm_up(conv, session->queue); /* compilers run now rather than in the first timed run */
    if (status != CLDEFORM_OK) {
        result = library_fault(f, status, "cldeform_conv2d_warm_up");
        goto done;
    }
    result = time_runs(conv, session->queue, &tensors, scratch ? &workspace : NULL, t, f);
    if (result != EXIT_FINE)
        goto done;
    error = clEnqueueReadBuffer(session->queue, buffers[4], CL_TRUE, 0, bytes[4], host->output, 0, NULL, NULL);
    if (error != CL_SUCCESS)
        result = opencl_fault(f, error, "clEnqueueReadBuffer");
done:
    for (int i = 0; i < TENSORS; i++)
        if (buffers[i])
            clReleaseMemObject(buffers[i]);
    if (scratch)
        clReleaseMemObject(scratch);
    cldeform_conv2d_destroy(conv);
    return result;
}

double convolution_gflop(const cldeform_conv2d_problem *problem)
{
    cldeform_shape output = CLDEFORM_INIT(cldeform_shape);
    if (cldeform_conv2d_shape(problem, CLDEFORM_OUTPUT, &output) != CLDEFORM_OK)
        return 0;
    const int64_t groups = problem->groups ? problem->groups : 1;
    const double products = (double)(problem->in_channels / groups * problem->kernel_h * problem->kernel_w);
    return 2e-9 * (double)output.elements * products;
}
