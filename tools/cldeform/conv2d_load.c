/* conv2d_load.c: from files to a problem: reads them and checks each shape and type against the ones before it. */
#include "conv2d.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "element.h"

/* Room for an expected shape in words. */
#define WORDS 200

/* "weight w.npy has shape (2,3), expected ..." */
static int refuse_shape(const char *name, const char *path, const npy_array *array, const char *expected, fault *f)
{
    char text[NPY_TEXT_SIZE];
    return fault_set(f, EXIT_INPUT, "%s %s has shape %s, expected %s", name, path,
                     npy_shape_text(array->rank, array->shape, text), expected);
}

static int check_dtype(const char *name, const char *path, const npy_array *array, cldeform_dtype dtype, int or_f32,
                       fault *f)
{
    if (array->dtype == dtype || (or_f32 && dtype == CLDEFORM_F16 && array->dtype == CLDEFORM_F32))
        return EXIT_FINE;
    return fault_set(f, EXIT_INPUT, "%s %s has type '%s', expected '%s', the input's type%s", name, path,
                     element_descr(array->dtype), element_descr(dtype),
                     or_f32 && dtype == CLDEFORM_F16 ? ", or '<f4'" : "");
}

static int check_shape(const char *name, const char *path, const npy_array *array, int rank, const int64_t *expected,
                       fault *f)
{
    if (array->rank == rank && memcmp(array->shape, expected, (size_t)rank * sizeof *expected) == 0)
        return EXIT_FINE;
    char text[NPY_TEXT_SIZE];
    return refuse_shape(name, path, array, npy_shape_text(rank, expected, text), f);
}

/* ---- one tensor each ---- */

static int load_input(const conv2d_options *o, conv2d_data *d, fault *f)
{
    int nhwc = o->layout == CLDEFORM_NHWC;
    int status = npy_read(o->input, &d->input, f);
    if (status != EXIT_FINE)
        return status;
    const int64_t *shape = d->input.shape;
    if (d->input.rank != 4 || shape[1] < 1 || shape[2] < 1 || shape[3] < 1)
        return refuse_shape("input", o->input, &d->input,
                            nhwc ? "(N,H,W,C) with H, W and C at least 1" : "(N,C,H,W) with C, H and W at least 1", f);
    cldeform_conv2d_problem *p = &d->problem;
    p->batch = shape[0];
    p->in_channels = shape[nhwc ? 3 : 1];
    p->in_h = shape[nhwc ? 1 : 2];
    p->in_w = shape[nhwc ? 2 : 3];
    p->dtype = d->input.dtype;
    return EXIT_FINE;
}

static int load_weight(const conv2d_options *o, conv2d_data *d, fault *f)
{
    cldeform_conv2d_problem *p = &d->problem;
    char expected[WORDS];
    int status = npy_read(o->weight, &d->weight, f);
    if (status == EXIT_FINE)
        status = check_dtype("weight", o->weight, &d->weight, p->dtype, 0, f);
    if (status != EXIT_FINE)
        return status;
    const int64_t *shape = d->weight.shape;
    if (d->weight.rank != 4 || d->weight.elements == 0)
        return refuse_shape("weight", o->weight, &d->weight, "(O,C/groups,kh,kw), each at least 1", f);
    if (o->groups > 0 && p->in_channels % o->groups != 0)
        return fault_set(f, EXIT_INPUT, "--groups is %lld, expected a divisor of the %lld channels of input %s",
                         (long long)o->groups, (long long)p->in_channels, o->input);
    if (o->groups > 0 && shape[1] != p->in_channels / o->groups) {
        snprintf(expected, sizeof expected, "(O,%lld,kh,kw) for %lld input channels in groups of --groups %lld",
                 (long long)(p->in_channels / o->groups), (long long)p->in_channels, (long long)o->groups);
        return refuse_shape("weight", o->weight, &d->weight, expected, f);
    }
    if (p->in_channels % shape[1] != 0) {
        snprintf(expected, sizeof expected, "(O,C/groups,kh,kw) with C/groups a divisor of the input's %lld channels",
                 (long long)p->in_channels);
        return refuse_shape("weight", o->weight, &d->weight, expected, f);
    }
    p->groups = p->in_channels / shape[1];
    if (shape[0] % p->groups != 0) {
        snprintf(expected, sizeof expected, "(O,%lld,kh,kw) with O a multiple of groups, %lld", (long long)shape[1],
                 (long long)p->groups);
        return refuse_shape("weight", o->weight, &d->weight, expected, f);
    }
    p->out_channels = shape[0];
    p->kernel_h = shape[2];
    p->kernel_w = shape[3];
    return EXIT_FINE;
}

/* The library's arithmetic, so that the tool has none of its own. Needs all of the problem but offset_groups. */
static int create_output(const conv2d_options *o, conv2d_data *d, fault *f)
{
    char input[NPY_TEXT_SIZE], weight[NPY_TEXT_SIZE];
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    if (cldeform_conv2d_shape(&d->problem, CLDEFORM_OUTPUT, &shape) != CLDEFORM_OK)
        return fault_set(f, EXIT_INPUT, "input %s %s and weight %s %s do not fit: %s", o->input,
                         npy_shape_text(4, d->input.shape, input), o->weight,
                         npy_shape_text(4, d->weight.shape, weight), cldeform_last_error());
    return npy_create(&d->output, d->problem.dtype, (int)shape.rank, shape.size, f);
}

static void get_out_size(const conv2d_data *d, int64_t *out_h, int64_t *out_w)
{
    int first = d->problem.layout == CLDEFORM_NHWC ? 1 : 2;
    *out_h = d->output.shape[first];
    *out_w = d->output.shape[first + 1];
}

static int load_bias(const conv2d_options *o, conv2d_data *d, fault *f)
{
    if (!o->bias)
        return EXIT_FINE;
    int status = npy_read(o->bias, &d->bias, f);
    if (status == EXIT_FINE)
        status = check_dtype("bias", o->bias, &d->bias, d->problem.dtype, 0, f);
    if (status == EXIT_FINE)
        status = check_shape("bias", o->bias, &d->bias, 1, &d->problem.out_channels, f);
    return status;
}

/* That offset_groups divides the channels comes before its product with the kernel's size: then that product is at most
 * twice the weight's elements, and cannot overflow. */
static int load_offset(const conv2d_options *o, conv2d_data *d, fault *f)
{
    if (!o->offset)
        return EXIT_FINE;
    cldeform_conv2d_problem *p = &d->problem;
    char expected[WORDS];
    int64_t per_group = 2 * p->kernel_h * p->kernel_w, out_h = 0, out_w = 0;
    get_out_size(d, &out_h, &out_w);
    int status = npy_read(o->offset, &d->offset, f);
    if (status == EXIT_FINE)
        status = check_dtype("offset", o->offset, &d->offset, p->dtype, 1, f);
    if (status != EXIT_FINE)
        return status;
    p->offset_groups = o->offset_groups;
    if (p->offset_groups == 0 && d->offset.rank == 4 && d->offset.shape[1] % per_group == 0)
        p->offset_groups = d->offset.shape[1] / per_group;
    if (o->offset_groups > 0 && p->in_channels % o->offset_groups != 0)
        return fault_set(f, EXIT_INPUT, "--offset-groups is %lld, expected a divisor of the %lld channels of input %s",
                         (long long)o->offset_groups, (long long)p->in_channels, o->input);
    if (p->offset_groups == 0 || p->in_channels % p->offset_groups != 0) {
        snprintf(expected, sizeof expected,
                 "(%lld,%lld*offset_groups,%lld,%lld) with offset_groups a divisor of the input's %lld channels",
                 (long long)p->batch, (long long)per_group, (long long)out_h, (long long)out_w,
                 (long long)p->in_channels);
        return refuse_shape("offset", o->offset, &d->offset, expected, f);
    }
    const int64_t shape[] = {p->batch, p->offset_groups * per_group, out_h, out_w};
    return check_shape("offset", o->offset, &d->offset, 4, shape, f);
}

static int load_mask(const conv2d_options *o, conv2d_data *d, fault *f)
{
    if (!o->mask)
        return EXIT_FINE;
    cldeform_conv2d_problem *p = &d->problem;
    int64_t out_h = 0, out_w = 0;
    get_out_size(d, &out_h, &out_w);
    int status = npy_read(o->mask, &d->mask, f);
    if (status == EXIT_FINE)
        status = check_dtype("mask", o->mask, &d->mask, p->dtype, 1, f);
    const int64_t shape[] = {p->batch, p->offset_groups * p->kernel_h * p->kernel_w, out_h, out_w};
    if (status == EXIT_FINE)
        status = check_shape("mask", o->mask, &d->mask, 4, shape, f);
    return status;
}

/* ---- all of them ---- */

/* Exact. */
static int widen_to_f32(npy_array *array, fault *f)
{
    npy_array wide = {0};
    double *values = malloc(array->elements > 0 ? array->elements * sizeof *values : 1);
    int status = values ? npy_create(&wide, CLDEFORM_F32, array->rank, array->shape, f) : fault_memory(f);
    if (status == EXIT_FINE) {
        element_to_double(array->dtype, array->data, array->elements, values);
        element_from_double(CLDEFORM_F32, values, array->elements, wide.data);
        npy_free(array);
        *array = wide;
    }
    free(values);
    return status;
}

/* The contract lets each of offset and mask be '<f4' with '<f2' data; the library has one type for both. */
static int unify_types(conv2d_data *d, fault *f)
{
    int status = EXIT_FINE;
    if (d->mask.rank > 0 && d->mask.dtype != d->offset.dtype)
        status = widen_to_f32(d->mask.dtype == CLDEFORM_F16 ? &d->mask : &d->offset, f);
    d->problem.offset_dtype = d->offset.rank > 0 ? d->offset.dtype : d->problem.dtype;
    return status;
}

int conv2d_load(const conv2d_options *o, conv2d_data *d, fault *f)
{
    d->problem = (cldeform_conv2d_problem){
        .struct_size = sizeof d->problem,
        .kind = o->mask     ? CLDEFORM_CONV2D_MODULATED
                : o->offset ? CLDEFORM_CONV2D_DEFORMABLE
                            : CLDEFORM_CONV2D_PLAIN,
        .passes = CLDEFORM_FORWARD,
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
        .deterministic = o->deterministic,
        .algorithm = o->algorithm == CONV2D_REFERENCE ? CLDEFORM_ALGORITHM_AUTO : (cldeform_algorithm)o->algorithm,
        .workspace_limit = o->workspace_limit,
    };
    static int (*const steps[])(const conv2d_options *, conv2d_data *, fault *) = {
        load_input, load_weight, create_output, load_bias, load_offset, load_mask,
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int status = steps[i](o, d, f);
        if (status != EXIT_FINE)
            return status;
    }
    return unify_types(d, f);
}

void conv2d_free_data(conv2d_data *d)
{
    npy_free(&d->input);
    npy_free(&d->weight);
    npy_free(&d->offset);
    npy_free(&d->mask);
    npy_free(&d->bias);
    npy_free(&d->output);
}
