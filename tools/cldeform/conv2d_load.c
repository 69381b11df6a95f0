/* conv2d_load.c: from files to a problem: reads them and checks each shape and type against the ones before it. */
#include "conv2d.h"

#include <stdio.h>

static int load_input(const conv2d_options *o, conv2d_data *d, fault *f)
{
    int64_t size[4];
    cldeform_conv2d_problem *p = &d->problem;
    int status = operator_read_input(&o->common, d->array, size, f);
    if (status != EXIT_FINE)
        return status;
    p->batch = size[0];
    p->in_channels = size[1];
    p->in_h = size[2];
    p->in_w = size[3];
    p->dtype = d->array[TENSOR_INPUT].dtype;
    return EXIT_FINE;
}

static int load_weight(const conv2d_options *o, conv2d_data *d, fault *f)
{
    cldeform_conv2d_problem *p = &d->problem;
    char expected[OPERATOR_WORDS];
    int status = operator_read(&o->common, d->array, TENSOR_WEIGHT, f);
    if (status != EXIT_FINE)
        return status;
    const int64_t *shape = d->array[TENSOR_WEIGHT].shape;
    if (d->array[TENSOR_WEIGHT].rank != 4 || d->array[TENSOR_WEIGHT].elements == 0)
        return operator_refuse_shape(&o->common, d->array, TENSOR_WEIGHT, "(O,C/groups,kh,kw), each at least 1", f);
    if (o->groups > 0 && p->in_channels % o->groups != 0)
        return fault_set(f, EXIT_INPUT, "--groups is %lld, expected a divisor of the %lld channels of input %s",
                         (long long)o->groups, (long long)p->in_channels, o->common.path[TENSOR_INPUT]);
    if (o->groups > 0 && shape[1] != p->in_channels / o->groups) {
        snprintf(expected, sizeof expected, "(O,%lld,kh,kw) for %lld input channels in groups of --groups %lld",
                 (long long)(p->in_channels / o->groups), (long long)p->in_channels, (long long)o->groups);
        return operator_refuse_shape(&o->common, d->array, TENSOR_WEIGHT, expected, f);
    }
    if (p->in_channels % shape[1] != 0) {
        snprintf(expected, sizeof expected, "(O,C/groups,kh,kw) with C/groups a divisor of the input's %lld channels",
                 (long long)p->in_channels);
        return operator_refuse_shape(&o->common, d->array, TENSOR_WEIGHT, expected, f);
    }
    p->groups = p->in_channels / shape[1];
    if (shape[0] % p->groups != 0) {
        snprintf(expected, sizeof expected, "(O,%lld,kh,kw) with O a multiple of groups, %lld", (long long)shape[1],
                 (long long)p->groups);
        return operator_refuse_shape(&o->common, d->array, TENSOR_WEIGHT, expected, f);
    }
    p->out_channels = shape[0];
    p->kernel_h = shape[2];
    p->kernel_w = shape[3];
    return EXIT_FINE;
}

/* The library's arithmetic, so that the tool has none of its own. Needs all of the problem but offset_groups. */
static int find_output(const conv2d_options *o, conv2d_data *d, cldeform_shape *shape, fault *f)
{
    char input[NPY_TEXT_SIZE], weight[NPY_TEXT_SIZE];
    *shape = (cldeform_shape)CLDEFORM_INIT(cldeform_shape);
    if (cldeform_conv2d_shape(&d->problem, CLDEFORM_OUTPUT, shape) != CLDEFORM_OK)
        return fault_set(f, EXIT_INPUT, "input %s %s and weight %s %s do not fit: %s", o->common.path[TENSOR_INPUT],
                         npy_shape_text(4, d->array[TENSOR_INPUT].shape, input), o->common.path[TENSOR_WEIGHT],
                         npy_shape_text(4, d->array[TENSOR_WEIGHT].shape, weight), cldeform_last_error());
    int first = d->problem.layout == CLDEFORM_NHWC ? 1 : 2;
    d->out_h = shape->size[first];
    d->out_w = shape->size[first + 1];
    return EXIT_FINE;
}

/* That offset_groups divides the channels comes before its product with the kernel's size: then that product is at most
 * twice the weight's elements, and cannot overflow. */
static int load_offset(const conv2d_options *o, conv2d_data *d, fault *f)
{
    cldeform_conv2d_problem *p = &d->problem;
    const npy_array *offset = &d->array[TENSOR_OFFSET];
    char expected[OPERATOR_WORDS];
    int64_t per_group = 2 * p->kernel_h * p->kernel_w;
    int status = operator_read(&o->common, d->array, TENSOR_OFFSET, f);
    if (status != EXIT_FINE)
        return status;
    p->offset_groups = o->offset_groups;
    if (p->offset_groups == 0 && offset->rank == 4 && offset->shape[1] % per_group == 0)
        p->offset_groups = offset->shape[1] / per_group;
    if (o->offset_groups > 0 && p->in_channels % o->offset_groups != 0)
        return fault_set(f, EXIT_INPUT, "--offset-groups is %lld, expected a divisor of the %lld channels of input %s",
                         (long long)o->offset_groups, (long long)p->in_channels, o->common.path[TENSOR_INPUT]);
    if (p->offset_groups == 0 || p->in_channels % p->offset_groups != 0) {
        snprintf(expected, sizeof expected,
                 "(%lld,%lld*offset_groups,%lld,%lld) with offset_groups a divisor of the input's %lld channels",
                 (long long)p->batch, (long long)per_group, (long long)d->out_h, (long long)d->out_w,
                 (long long)p->in_channels);
        return operator_refuse_shape(&o->common, d->array, TENSOR_OFFSET, expected, f);
    }
    const int64_t shape[] = {p->batch, p->offset_groups * per_group, d->out_h, d->out_w};
    return operator_check_shape(&o->common, d->array, TENSOR_OFFSET, 4, shape, f);
}

static int load_mask(const conv2d_options *o, conv2d_data *d, fault *f)
{
    const cldeform_conv2d_problem *p = &d->problem;
    const int64_t shape[] = {p->batch, p->offset_groups * p->kernel_h * p->kernel_w, d->out_h, d->out_w};
    return operator_read_shape(&o->common, d->array, TENSOR_MASK, 4, shape, f);
}

/* ---- all of them ---- */

/* Those that are read, after input and weight, but for the gradient of the output. */
static int load_others(const conv2d_options *o, conv2d_data *d, fault *f)
{
    int status = EXIT_FINE;
    if (o->common.path[TENSOR_BIAS])
        status = operator_read_shape(&o->common, d->array, TENSOR_BIAS, 1, &d->problem.out_channels, f);
    if (status == EXIT_FINE && o->common.path[TENSOR_OFFSET])
        status = load_offset(o, d, f);
    if (status == EXIT_FINE && o->common.path[TENSOR_MASK])
        status = load_mask(o, d, f);
    return status;
}

/* The gradient of the bias does without a bias. */
static int create_outputs(const conv2d_options *o, conv2d_data *d, const cldeform_shape *output, fault *f)
{
    int status = EXIT_FINE;
    if (o->common.path[TENSOR_GRAD_BIAS])
        status = npy_create(&d->array[TENSOR_GRAD_BIAS], d->problem.dtype, 1, &d->problem.out_channels, f);
    return status == EXIT_FINE ? operator_create_outputs(&o->common, d->array, output->size, f) : status;
}

int conv2d_load(const conv2d_options *o, conv2d_data *d, fault *f)
{
    cldeform_shape output;
    d->problem = (cldeform_conv2d_problem){
        .struct_size = sizeof d->problem,
        .kind = o->common.path[TENSOR_MASK]     ? CLDEFORM_CONV2D_MODULATED
                : o->common.path[TENSOR_OFFSET] ? CLDEFORM_CONV2D_DEFORMABLE
                                                : CLDEFORM_CONV2D_PLAIN,
        .stride_h = o->stride[0],
        .stride_w = o->stride[1],
        .dilation_h = o->dilation[0],
        .dilation_w = o->dilation[1],
        .pad_top = o->pad[0],
        .pad_left = o->pad[1],
        .pad_bottom = o->pad[2],
        .pad_right = o->pad[3],
        .layout = (cldeform_layout)o->common.layout,
        .border = (cldeform_border)o->border,
        .offset_gradient = (cldeform_offset_gradient)o->offset_gradient,
        .deterministic = o->common.deterministic,
        .algorithm = o->common.algorithm == OPERATOR_REFERENCE ? CLDEFORM_ALGORITHM_AUTO
                                                               : (cldeform_algorithm)o->common.algorithm,
        .workspace_limit = o->common.workspace_limit,
    };
    int status = load_input(o, d, f);
    if (status == EXIT_FINE)
        status = load_weight(o, d, f);
    if (status == EXIT_FINE)
        status = find_output(o, d, &output, f);
    if (status == EXIT_FINE)
        status = load_others(o, d, f);
    if (status == EXIT_FINE)
        status = create_outputs(o, d, &output, f);
    d->problem.offset_dtype = tensors_offset_dtype(d->array);
    d->problem.passes = tensors_passes(d->array);
    if (d->problem.passes == 0) /* a plan alone is that of forward */
        d->problem.passes = CLDEFORM_FORWARD;
    return status;
}
