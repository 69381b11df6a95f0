/* roi_calls.c: what the library and its reference compute for the commands roi-pool and psroi-pool. */
#include <stdlib.h>

#include "cldeform/cldeform_ref.h"
#include "describe.h"
#include "element.h"
#include "roi.h"

/* Whether backward reads what only forward can tell: the argmax, and with it an output that nobody may have asked for.
 */
static int needs_argmax(const roi_data *d)
{
    return d->problem.method == CLDEFORM_ROI_MAX && (d->problem.passes & CLDEFORM_GRAD_INPUT);
}

/* ---- on a device ---- */

typedef struct roi_object {
    cldeform_roi_pool *pool;
    int64_t rois;
    cl_mem argmax, output; /* NULL where they are not needed */
} roi_object;

static void destroy(void *object)
{
    roi_object *o = object;
    if (!o)
        return;
    if (o->argmax)
        clReleaseMemObject(o->argmax);
    if (o->output)
        clReleaseMemObject(o->output);
    cldeform_roi_pool_destroy(o->pool);
    free(o);
}

/* A buffer is there, also for no elements. */
static int create_buffer(const operator_device *device, const roi_data *d, size_t size, cl_mem *buffer, fault *f)
{
    cl_int error = CL_SUCCESS;
    const size_t elements = d->output.elements > 0 ? (size_t)d->output.elements : 1;
    *buffer = clCreateBuffer(device->session.context, CL_MEM_READ_WRITE, elements * size, NULL, &error);
    return error == CL_SUCCESS ? EXIT_FINE : operator_refuse_opencl("clCreateBuffer", error, f);
}

static int create(const operator_device *device, const void *data, void **object, fault *f)
{
    const roi_data *d = data;
    roi_object *o = calloc(1, sizeof *o);
    *object = o;
    if (!o)
        return fault_memory(f);
    o->rois = d->rois;
    cldeform_status answer = cldeform_roi_pool_create(device->context, &d->problem, &o->pool);
    if (answer != CLDEFORM_OK)
        return operator_refuse(answer, d->problem.workspace_limit, f);
    if (!needs_argmax(d))
        return EXIT_FINE;
    int status = create_buffer(device, d, sizeof(cl_int), &o->argmax, f);
    if (status == EXIT_FINE && d->array[TENSOR_OUTPUT].rank == 0)
        status = create_buffer(device, d, element_size(d->problem.dtype), &o->output, f);
    return status;
}

static int describe(const void *object, json_t **plan, fault *f)
{
    const roi_object *o = object;
    return describe_roi_pool(o->pool, plan, f);
}

static cldeform_roi_pool_tensors list_tensors(const roi_object *o, const cl_mem *b)
{
    return (cldeform_roi_pool_tensors){
        .struct_size = sizeof(cldeform_roi_pool_tensors),
        .input = {{.buffer = b[TENSOR_INPUT]}},
        .rois = {.buffer = b[TENSOR_ROIS]},
        .offset = {.buffer = b[TENSOR_OFFSET]},
        .mask = {.buffer = b[TENSOR_MASK]},
        .output = {.buffer = b[TENSOR_OUTPUT] ? b[TENSOR_OUTPUT] : o->output},
        .argmax = {.buffer = o->argmax},
    };
}

static cldeform_status forward(const void *object, cl_command_queue queue, const cl_mem *b, cl_event *done)
{
    const roi_object *o = object;
    const cldeform_roi_pool_tensors tensors = list_tensors(o, b);
    return cldeform_roi_pool_forward(o->pool, queue, o->rois, &tensors, NULL, 0, NULL, done);
}

static cldeform_status backward(const void *object, cl_command_queue queue, const cl_mem *b, cl_event *done)
{
    const roi_object *o = object;
    const cldeform_roi_pool_tensors tensors = list_tensors(o, b);
    const cldeform_roi_pool_gradients gradients = {
        .struct_size = sizeof gradients,
        .grad_output = {.buffer = b[TENSOR_GRAD_OUTPUT]},
        .grad_input = {{.buffer = b[TENSOR_GRAD_INPUT]}},
        .grad_offset = {.buffer = b[TENSOR_GRAD_OFFSET]},
        .grad_mask = {.buffer = b[TENSOR_GRAD_MASK]},
    };
    return cldeform_roi_pool_backward(o->pool, queue, o->rois, &tensors, &gradients, NULL, 0, NULL, done);
}

/* ---- on the host ---- */

/* Four multiply-adds for a sample, once for the output, once for the gradient of the input, and once for those of
 * offset and mask. As the library counts: 4 samples of a bin where their number depends on the RoIs. */
static double count_gflop(const void *data, cldeform_passes passes)
{
    const roi_data *d = data;
    const cldeform_roi_pool_problem *p = &d->problem;
    const int times = ((passes & CLDEFORM_FORWARD) != 0) + ((passes & CLDEFORM_GRAD_INPUT) != 0) +
                      ((passes & (CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK)) != 0);
    double samples = 4;
    if (p->method == CLDEFORM_ROI_PS_ALIGN && p->samples_h > 0)
        samples = (double)p->samples_h * (double)p->samples_w;
    else if (p->method == CLDEFORM_ROI_PS_ALIGN)
        samples = 4 * 4; /* the default */
    else if (p->sampling_ratio > 0)
        samples = (double)p->sampling_ratio * (double)p->sampling_ratio;
    return 8e-9 * times * samples * (double)d->output.elements;
}

static cldeform_status compute(const void *data, cldeform_passes passes, double *const *v)
{
    const roi_data *d = data;
    const size_t elements = d->output.elements > 0 ? (size_t)d->output.elements : 1;
    double *output = NULL;
    cldeform_status answer = CLDEFORM_OK;
    cldeform_ref_roi_pool_tensors tensors = {
        .input = {v[TENSOR_INPUT]},
        .rois = v[TENSOR_ROIS],
        .offset = v[TENSOR_OFFSET],
        .mask = v[TENSOR_MASK],
        .output = v[TENSOR_OUTPUT],
    };
    const cldeform_ref_roi_pool_gradients gradients = {
        .grad_output = v[TENSOR_GRAD_OUTPUT],
        .grad_input = {v[TENSOR_GRAD_INPUT]},
        .grad_offset = v[TENSOR_GRAD_OFFSET],
        .grad_mask = v[TENSOR_GRAD_MASK],
    };
    if (needs_argmax(d)) {
        if (!tensors.output)
            tensors.output = output = calloc(elements, sizeof *output);
        tensors.argmax = calloc(elements, sizeof *tensors.argmax);
        if (!tensors.output || !tensors.argmax)
            answer = CLDEFORM_OUT_OF_MEMORY;
    }
    if (answer == CLDEFORM_OK && (passes & CLDEFORM_FORWARD))
        answer = cldeform_ref_roi_pool_forward(&d->problem, d->rois, &tensors);
    if (answer == CLDEFORM_OK && (passes & CLDEFORM_BACKWARD))
        answer = cldeform_ref_roi_pool_backward(&d->problem, d->rois, &tensors, &gradients);
    free(output);
    free(tensors.argmax);
    return answer;
}

const operator_calls roi_calls = {create, destroy, describe, forward, backward, compute, count_gflop};
