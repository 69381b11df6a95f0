/* gradcheck_problem.c: the small random problem of the gradcheck command. */
#include "gradcheck.h"

#include <stdlib.h>

#include "element.h"

/* Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014). */
uint64_t gradcheck_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A whole number from first to last. */
static int64_t draw(uint64_t *state, int64_t first, int64_t last)
{
    return first + (int64_t)(gradcheck_random(state) % (uint64_t)(last - first + 1));
}

/* One axis: the image is as large as the kernel's window, and at least 4. */
static int64_t draw_axis(uint64_t *state, int64_t *kernel, int64_t *stride, int64_t *dilation, int64_t *before,
                         int64_t *behind)
{
    *kernel = draw(state, 1, 3);
    *stride = draw(state, 1, 2);
    *dilation = draw(state, 1, 2);
    *before = draw(state, 0, 2);
    *behind = draw(state, 0, 2);
    int64_t window = *dilation * (*kernel - 1) + 1;
    return (window > 4 ? window : 4) + draw(state, 0, 2);
}

static int64_t least_common_multiple(int64_t a, int64_t b)
{
    int64_t multiple = a;
    while (multiple % b != 0)
        multiple += a;
    return multiple;
}

/* Channels that a group of either kind holds side by side: at least two, so that a sum over too few of them shows;
 * where that is not many in all, more than the widest vector of the kernels and not a multiple of any. */
static int64_t count_channels(int64_t groups, int64_t offset_groups)
{
    int64_t least = least_common_multiple(groups, offset_groups);
    return least * (least <= 12 ? 17 : 2);
}
static void draw_problem(const gradcheck_options *o, cldeform_dtype dtype, uint64_t *state, conv2d_data *d)
{
    cldeform_conv2d_problem *p = &d->problem;
    *p = (cldeform_conv2d_problem){
        .struct_size = sizeof *p,
        .kind = (cldeform_conv2d_kind)o->kind,
        .batch = 2,
        .groups = o->groups,
        .offset_groups = o->offset_groups,
        .dtype = dtype,
        .offset_dtype = dtype,
        .layout = (cldeform_layout)o->layout,
        .border = (cldeform_border)o->border,
        .offset_gradient = (cldeform_offset_gradient)o->offset_gradient,
        .deterministic = o->deterministic,
        .algorithm = (cldeform_algorithm)o->algorithm,
    };
    p->in_h = draw_axis(state, &p->kernel_h, &p->stride_h, &p->dilation_h, &p->pad_top, &p->pad_bottom);
    p->in_w = draw_axis(state, &p->kernel_w, &p->stride_w, &p->dilation_w, &p->pad_left, &p->pad_right);
    p->in_channels = count_channels(p->groups, p->offset_groups);
    p->out_channels = p->groups * draw(state, 2, 3);
}

/* Offsets are multiples of 1/64 below 4, which every type holds exactly: rounding cannot move them into the margin. */
static double draw_value(uint64_t *state, int tensor)
{
    const int64_t margin = (int64_t)(64 * GRADCHECK_MARGIN);
    if (tensor == TENSOR_OFFSET)
        return (double)draw(state, -3, 2) + (double)draw(state, margin, 64 - margin) / 64;
    double value = (double)(gradcheck_random(state) >> 11) * 0x1p-53; /* from 0 to 1 */
    return tensor == TENSOR_MASK ? value + 0.25 : 2 * value - 1;
}

static int fill(uint64_t *state, int tensor, npy_array *array, fault *f)
{
    double *values = NULL;
    int status = tensor_widen(array, &values, f);
    for (size_t i = 0; i < array->elements && status == EXIT_FINE; i++)
        values[i] = draw_value(state, tensor);
    if (status == EXIT_FINE)
        element_from_double(array->dtype, values, array->elements, array->data);
    free(values);
    return status;
}

/* Of the library, but offset and mask in the files' four sizes. */
static int find_shape(const conv2d_data *d, int tensor, int64_t shape[4], int *rank, fault *f)
{
    static const cldeform_tensor_name names[TENSORS] = {
        [TENSOR_INPUT] = CLDEFORM_INPUT, [TENSOR_WEIGHT] = CLDEFORM_WEIGHT, [TENSOR_OFFSET] = CLDEFORM_OFFSET,
        [TENSOR_MASK] = CLDEFORM_MASK,   [TENSOR_BIAS] = CLDEFORM_BIAS,     [TENSOR_OUTPUT] = CLDEFORM_OUTPUT,
    };
    const cldeform_conv2d_problem *p = &d->problem;
    int64_t taps = p->offset_groups * p->kernel_h * p->kernel_w;
    cldeform_shape found = CLDEFORM_INIT(cldeform_shape);
    if (cldeform_conv2d_shape(p, names[tensor], &found) != CLDEFORM_OK)
        return fault_set(f, EXIT_INPUT, "%s", cldeform_last_error());
    *rank = tensor == TENSOR_BIAS ? 1 : 4;
    for (int i = 0; i < *rank; i++)
        shape[i] = found.size[i];
    if (tensor == TENSOR_OFFSET || tensor == TENSOR_MASK) {
        shape[0] = p->batch;
        shape[1] = tensor == TENSOR_OFFSET ? 2 * taps : taps;
        shape[2] = d->out_h;
        shape[3] = d->out_w;
    }
    return EXIT_FINE;
}

static int find_out_size(conv2d_data *d, fault *f)
{
    int64_t shape[4] = {0};
    int rank = 0, first = d->problem.layout == CLDEFORM_NHWC ? 1 : 2;
    int status = find_shape(d, TENSOR_OUTPUT, shape, &rank, f);
    if (status == EXIT_FINE) {
        d->out_h = shape[first];
        d->out_w = shape[first + 1];
    }
    return status;
}

static int is_of_kind(cldeform_conv2d_kind kind, int tensor)
{
    return tensor != TENSOR_ROIS && !(tensor == TENSOR_OFFSET && kind == CLDEFORM_CONV2D_PLAIN) &&
           !(tensor == TENSOR_MASK && kind != CLDEFORM_CONV2D_MODULATED);
}

int gradcheck_draw(const gradcheck_options *o, cldeform_dtype dtype, conv2d_data *d, fault *f)
{
    uint64_t state = (uint64_t)o->seed;
    draw_problem(o, dtype, &state, d);
    int status = find_out_size(d, f);
    for (int i = 0; i < TENSORS && status == EXIT_FINE; i++) {
        int64_t shape[4] = {0};
        int rank = 0, of = tensor_table[i].of;
        if (i == TENSOR_OUTPUT || !is_of_kind(d->problem.kind, of))
            continue;
        status = find_shape(d, of, shape, &rank, f);
        if (status == EXIT_FINE)
            status = npy_create(&d->array[i], dtype, rank, shape, f);
        if (status == EXIT_FINE && tensor_table[i].pass == 0)
            status = fill(&state, i, &d->array[i], f);
    }
    d->problem.passes = tensors_passes(d->array);
    return status;
}
