/* conv2d_calls.c: what the library and its reference compute for the conv2d command. */
#include "cldeform/cldeform_ref.h"
#include "conv2d.h"
#include "describe.h"

/* ---- on a device ---- */

static int create(const operator_device *device, const void *data, void **object, fault *f)
{
    const conv2d_data *d = data;
    cldeform_conv2d *conv = NULL;
    cldeform_status answer = cldeform_conv2d_create(device->context, &d->problem, &conv);
    *object = conv;
    return answer == CLDEFORM_OK ? EXIT_FINE : operator_refuse(answer, d->problem.workspace_limit, f);
}

static void destroy(void *object)
{
    cldeform_conv2d_destroy(object);
}

static int describe(const void *object, json_t **plan, fault *f)
{
    return describe_conv2d(object, plan, f);
}

static cldeform_conv2d_tensors list_tensors(const cl_mem *b)
{
    return (cldeform_conv2d_tensors){
        .struct_size = sizeof(cldeform_conv2d_tensors),
        .input = {.buffer = b[TENSOR_INPUT]},
        .offset = {.buffer = b[TENSOR_OFFSET]},
        .mask = {.buffer = b[TENSOR_MASK]},
        .weight = {.buffer = b[TENSOR_WEIGHT]},
        .bias = {.buffer = b[TENSOR_BIAS]},
        .output = {.buffer = b[TENSOR_OUTPUT]},
    };
}

static cldeform_status forward(const void *object, cl_command_queue queue, const cl_mem *b, cl_event *done)
{
    const cldeform_conv2d_tensors tensors = list_tensors(b);
    return cldeform_conv2d_forward(object, queue, &tensors, NULL, 0, NULL, done);
}

static cldeform_status backward(const void *object, cl_command_queue queue, const cl_mem *b, cl_event *done)
{
    const cldeform_conv2d_tensors tensors = list_tensors(b);
    const cldeform_conv2d_gradients gradients = {
        .struct_size = sizeof gradients,
        .grad_output = {.buffer = b[TENSOR_GRAD_OUTPUT]},
        .grad_input = {.buffer = b[TENSOR_GRAD_INPUT]},
        .grad_offset = {.buffer = b[TENSOR_GRAD_OFFSET]},
        .grad_mask = {.buffer = b[TENSOR_GRAD_MASK]},
        .grad_weight = {.buffer = b[TENSOR_GRAD_WEIGHT]},
        .grad_bias = {.buffer = b[TENSOR_GRAD_BIAS]},
    };
    return cldeform_conv2d_backward(object, queue, &tensors, &gradients, NULL, 0, NULL, done);
}

/* ---- on the host ---- */

/* One matrix product for the output, one for the gradient of the weights, and one for the gradient of the columns, from
 * which those of input, offset and mask follow. */
static double count_gflop(const void *data, cldeform_passes passes)
{
    const conv2d_data *d = data;
    const cldeform_conv2d_problem *p = &d->problem;
    const cldeform_passes of_columns = CLDEFORM_GRAD_INPUT | CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK;
    double products =
        ((passes & CLDEFORM_FORWARD) != 0) + ((passes & CLDEFORM_GRAD_WEIGHT) != 0) + ((passes & of_columns) != 0);
    double outputs = (double)p->batch * (double)p->out_channels * (double)d->out_h * (double)d->out_w;
    double taps = (double)(p->in_channels / p->groups) * (double)p->kernel_h * (double)p->kernel_w;
    return 2e-9 * outputs * taps * products;
}

static cldeform_status compute(const void *data, cldeform_passes passes, double *const *v)
{
    const cldeform_conv2d_problem *problem = &((const conv2d_data *)data)->problem;
    const cldeform_ref_conv2d_gradients gradients = {
        .grad_output = v[TENSOR_GRAD_OUTPUT],
        .grad_input = v[TENSOR_GRAD_INPUT],
        .grad_offset = v[TENSOR_GRAD_OFFSET],
        .grad_mask = v[TENSOR_GRAD_MASK],
        .grad_weight = v[TENSOR_GRAD_WEIGHT],
        .grad_bias = v[TENSOR_GRAD_BIAS],
    };
    cldeform_status answer = CLDEFORM_OK;
    if (passes & CLDEFORM_FORWARD)
        answer = cldeform_ref_conv2d_forward(problem, v[TENSOR_INPUT], v[TENSOR_OFFSET], v[TENSOR_MASK],
                                             v[TENSOR_WEIGHT], v[TENSOR_BIAS], v[TENSOR_OUTPUT]);
    if (answer == CLDEFORM_OK && (passes & CLDEFORM_BACKWARD))
        answer = cldeform_ref_conv2d_backward(problem, v[TENSOR_INPUT], v[TENSOR_OFFSET], v[TENSOR_MASK],
                                              v[TENSOR_WEIGHT], &gradients);
    return answer;
}

const operator_calls conv2d_calls = {create, destroy, describe, forward, backward, compute, count_gflop};
