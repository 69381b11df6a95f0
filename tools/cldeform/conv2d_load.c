/* conv2d_load.c: from files to a problem: reads them and checks each shape and type against the ones before it. */
#include "conv2d.h"

#include <stdio.h>
#include <string.h>

#include "element.h"

/* Room for an expected shape in words. */
#define WORDS 200

/* "weight w.npy has shape (2,3), expected ..." */
static int refuse_shape(const conv2d_options *o, const conv2d_data *d, int tensor, const char *expected, fault *f)
{
    char text[NPY_TEXT_SIZE];
    const npy_array *array = &d->array[tensor];
    return fault_set(f, EXIT_INPUT, "%s %s has shape %s, expected %s", conv2d_tensors[tensor].name, o->path[tensor],
                     npy_shape_text(array->rank, array->shape, text), expected);
}

static int check_shape(const conv2d_options *o, const conv2d_data *d, int tensor, int rank, const int64_t *expected,
                       fault *f)
{
    const npy_array *array = &d->array[tensor];
    if (array->rank == rank && memcmp(array->shape, expected, (size_t)rank * sizeof *expected) == 0)
        return EXIT_FINE;
    char text[NPY_TEXT_SIZE];
    return refuse_shape(o, d, tensor, npy_shape_text(rank, expected, text), f);
}

/* The file, whose type must be the input's; that of offset and mask may be '<f4' where the input's is '<f2'. */
static int read_tensor(const conv2d_options *o, conv2d_data *d, int tensor, fault *f)
{
    npy_array *array = &d->array[tensor];
    const cldeform_dtype dtype = d->problem.dtype;
    int or_f32 = (tensor == CONV2D_OFFSET || tensor == CONV2D_MASK) && dtype == CLDEFORM_F16;
    int status = npy_read(o->path[tensor], array, f);
    if (status != EXIT_FINE || tensor == CONV2D_INPUT || array->dtype == dtype ||
        (or_f32 && array->dtype == CLDEFORM_F32))
        return status;
    return fault_set(f, EXIT_INPUT, "%s %s has type '%s', expected '%s', the input's type%s",
                     conv2d_tensors[tensor].name, o->path[tensor], element_descr(array->dtype), element_descr(dtype),
                     or_f32 ? ", or '<f4'" : "");
}

/* ---- one tensor each ---- */

static int load_input(const conv2d_options *o, conv2d_data *d, fault *f)
{
    int nhwc = o->layout == CLDEFORM_NHWC;
    int status = read_tensor(o, d, CONV2D_INPUT, f);
    if (status != EXIT_FINE)
        return status;
    const int64_t *shape = d->array[CONV2D_INPUT].shape;
    if (d->array[CONV2D_INPUT].rank != 4 || shape[1] < 1 || shape[2] < 1 || shape[3] < 1)
        return refuse_shape(o, d, CONV2D_INPUT,
                            nhwc ? "(N,H,W,C) with H, W and C at least 1" : "(N,C,H,W) with C, H and W at least 1", f);
    cldeform_conv2d_problem *p = &d->problem;
    p->batch = shape[0];
    p->in_channels = shape[nhwc ? 3 : 1];
    p->in_h = shape[nhwc ? 1 : 2];
    p->in_w = shape[nhwc ? 2 : 3];
    p->dtype = d->array[CONV2D_INPUT].dtype;
    return EXIT_FINE;
}

static int load_weight(const conv2d_options *o, conv2d_data *d, fault *f)
{
    cldeform_conv2d_problem *p = &d->problem;
    char expected[WORDS];
    int status = read_tensor(o, d, CONV2D_WEIGHT, f);
    if (status != EXIT_FINE)
        return status;
    const int64_t *shape = d->array[CONV2D_WEIGHT].shape;
    if (d->array[CONV2D_WEIGHT].rank != 4 || d->array[CONV2D_WEIGHT].elements == 0)
        return refuse_shape(o, d, CONV2D_WEIGHT, "(O,C/groups,kh,kw), each at least 1", f);
    if (o->groups > 0 && p->in_channels % o->groups != 0)
        return fault_set(f, EXIT_INPUT, "--groups is %lld, expected a divisor of the %lld channels of input %s",
                         (long long)o->groups, (long long)p->in_channels, o->path[CONV2D_INPUT]);
    if (o->groups > 0 && shape[1] != p->in_channels / o->groups) {
        snprintf(expected, sizeof expected, "(O,%lld,kh,kw) for %lld input channels in groups of --groups %lld",
                 (long long)(p->in_channels / o->groups), (long long)p->in_channels, (long long)o->groups);
        return refuse_shape(o, d, CONV2D_WEIGHT, expected, f);
    }
    if (p->in_channels % shape[1] != 0) {
        snprintf(expected, sizeof expected, "(O,C/groups,kh,kw) with C/groups a divisor of the input's %lld channels",
                 (long long)p->in_channels);
        return refuse_shape(o, d, CONV2D_WEIGHT, expected, f);
    }
    p->groups = p->in_channels / shape[1];
    if (shape[0] % p->groups != 0) {
        snprintf(expected, sizeof expected, "(O,%lld,kh,kw) with O a multiple of groups, %lld", (long long)shape[1],
                 (long long)p->groups);
        return refuse_shape(o, d, CONV2D_WEIGHT, expected, f);
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
        return fault_set(f, EXIT_INPUT, "input %s %s and weight %s %s do not fit: %s", o->path[CONV2D_INPUT],
                         npy_shape_text(4, d->array[CONV2D_INPUT].shape, input), o->path[CONV2D_WEIGHT],
                         npy_shape_text(4, d->array[CONV2D_WEIGHT].shape, weight), cldeform_last_error());
    int first = d->problem.layout == CLDEFORM_NHWC ? 1 : 2;
    d->out_h = shape->size[first];
    d->out_w = shape->size[first + 1];
    return EXIT_FINE;
}

static int load_bias(const conv2d_options *o, conv2d_data *d, fault *f)
{
    int status = read_tensor(o, d, CONV2D_BIAS, f);
    return status == EXIT_FINE ? check_shape(o, d, CONV2D_BIAS, 1, &d->problem.out_channels, f) : status;
}

/* That offset_groups divides the channels comes before its product with the kernel's size: then that product is at most
 * twice the weight's elements, and cannot overflow. */
static int load_offset(const conv2d_options *o, conv2d_data *d, fault *f)
{
    cldeform_conv2d_problem *p = &d->problem;
    const npy_array *offset = &d->array[CONV2D_OFFSET];
    char expected[WORDS];
    int64_t per_group = 2 * p->kernel_h * p->kernel_w;
    int status = read_tensor(o, d, CONV2D_OFFSET, f);
    if (status != EXIT_FINE)
        return status;
    p->offset_groups = o->offset_groups;
    if (p->offset_groups == 0 && offset->rank == 4 && offset->shape[1] % per_group == 0)
        p->offset_groups = offset->shape[1] / per_group;
    if (o->offset_groups > 0 && p->in_channels % o->offset_groups != 0)
        return fault_set(f, EXIT_INPUT, "--offset-groups is %lld, expected a divisor of the %lld channels of input %s",
                         (long long)o->offset_groups, (long long)p->in_channels, o->path[CONV2D_INPUT]);
    if (p->offset_groups == 0 || p->in_channels % p->offset_groups != 0) {
        snprintf(expected, sizeof expected,
                 "(%lld,%lld*offset_groups,%lld,%lld) with offset_groups a divisor of the input's %lld channels",
                 (long long)p->batch, (long long)per_group, (long long)d->out_h, (long long)d->out_w,
                 (long long)p->in_channels);
        return refuse_shape(o, d, CONV2D_OFFSET, expected, f);
    }
    const int64_t shape[] = {p->batch, p->offset_groups * per_group, d->out_h, d->out_w};
    return check_shape(o, d, CONV2D_OFFSET, 4, shape, f);
}

static int load_mask(const conv2d_options *o, conv2d_data *d, fault *f)
{
    const cldeform_conv2d_problem *p = &d->problem;
    const int64_t shape[] = {p->batch, p->offset_groups * p->kernel_h * p->kernel_w, d->out_h, d->out_w};
    int status = read_tensor(o, d, CONV2D_MASK, f);
    return status == EXIT_FINE ? check_shape(o, d, CONV2D_MASK, 4, shape, f) : status;
}

/* ---- all of them ---- */

/* Those that are read, after input and weight. */
static int load_others(const conv2d_options *o, conv2d_data *d, const cldeform_shape *output, fault *f)
{
    int status = EXIT_FINE;
    if (o->path[CONV2D_BIAS])
        status = load_bias(o, d, f);
    if (status == EXIT_FINE && o->path[CONV2D_OFFSET])
        status = load_offset(o, d, f);
    if (status == EXIT_FINE && o->path[CONV2D_MASK])
        status = load_mask(o, d, f);
    if (status == EXIT_FINE && o->path[CONV2D_GRAD_OUTPUT])
        status = read_tensor(o, d, CONV2D_GRAD_OUTPUT, f);
    if (status == EXIT_FINE && o->path[CONV2D_GRAD_OUTPUT])
        status = check_shape(o, d, CONV2D_GRAD_OUTPUT, (int)output->rank, output->size, f);
    return status;
}

/* Room for those that are computed: a gradient has shape and type of its tensor, whose file is there but for the
 * bias's. */
static int create_outputs(const conv2d_options *o, conv2d_data *d, const cldeform_shape *output, fault *f)
{
    const cldeform_dtype dtype = d->problem.dtype;
    int status = EXIT_FINE;
    for (int i = 0; i < CONV2D_TENSORS && status == EXIT_FINE; i++) {
        const npy_array *of = &d->array[conv2d_tensors[i].of];
        if (!conv2d_tensors[i].pass || !o->path[i])
            continue;
        if (i == CONV2D_OUTPUT)
            status = npy_create(&d->array[i], dtype, (int)output->rank, output->size, f);
        else if (i == CONV2D_GRAD_BIAS)
            status = npy_create(&d->array[i], dtype, 1, &d->problem.out_channels, f);
        else
            status = npy_create(&d->array[i], of->dtype, of->rank, of->shape, f);
    }
    return status;
}

/* The contract lets each of offset and mask be '<f4' with '<f2' data; the library has one type for both. */
static cldeform_dtype find_offset_dtype(const conv2d_data *d)
{
    if (d->array[CONV2D_OFFSET].rank == 0)
        return d->problem.dtype;
    if (d->array[CONV2D_MASK].rank > 0 && d->array[CONV2D_MASK].dtype == CLDEFORM_F32)
        return CLDEFORM_F32;
    return d->array[CONV2D_OFFSET].dtype;
}

int conv2d_load(const conv2d_options *o, conv2d_data *d, fault *f)
{
    cldeform_shape output;
    d->problem = (cldeform_conv2d_problem){
        .struct_size = sizeof d->problem,
        .kind = o->path[CONV2D_MASK]     ? CLDEFORM_CONV2D_MODULATED
                : o->path[CONV2D_OFFSET] ? CLDEFORM_CONV2D_DEFORMABLE
                                         : CLDEFORM_CONV2D_PLAIN,
        .stride_h = o->stride[0],
        .stride_w = o->stride[1],
        .dilation_h = o->dilation[0],
        .dilation_w = o->dilation[1],
        .pad_top = o->pad[0],
        .pad_left = o->pad[1],
        .pad_bottom = o->pad[2],
        .pad_right = o->pad[3],
        .layout = (cldeform_layout)o->layout,
        .border = (cldeform_border)o->border,
        .offset_gradient = (cldeform_offset_gradient)o->offset_gradient,
        .deterministic = o->deterministic,
        .algorithm = o->algorithm == CONV2D_REFERENCE ? CLDEFORM_ALGORITHM_AUTO : (cldeform_algorithm)o->algorithm,
        .workspace_limit = o->workspace_limit,
    };
    int status = load_input(o, d, f);
    if (status == EXIT_FINE)
        status = load_weight(o, d, f);
    if (status == EXIT_FINE)
        status = find_output(o, d, &output, f);
    if (status == EXIT_FINE)
        status = load_others(o, d, &output, f);
    if (status == EXIT_FINE)
        status = create_outputs(o, d, &output, f);
    d->problem.offset_dtype = find_offset_dtype(d);
    d->problem.passes = conv2d_passes(d);
    if (d->problem.passes == 0) /* a plan alone is that of forward */
        d->problem.passes = CLDEFORM_FORWARD;
    return status;
}
