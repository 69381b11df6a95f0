/* bench_data.c: see bench_data.h. */
#include "bench_data.h"

#include <math.h>
#include <stdlib.h>

#include "element.h"
#include "timing.h"

/* ---- numbers ---- */

/* Box and Muller's pairs: the second one waits for the next call. */
typedef struct source {
    uint32_t state;
    int has_second;
    double second;
} source;

static double draw_uniform(source *s)
{
    return 0.5 + 0.5 * (double)timing_value(&s->state);
}

static double draw_normal(source *s)
{
    const double turn = 6.283185307179586;
    if (s->has_second) {
        s->has_second = 0;
        return s->second;
    }
    const double radius = sqrt(-2 * log(1 - draw_uniform(s))), angle = turn * draw_uniform(s);
    s->second = radius * sin(angle);
    s->has_second = 1;
    return radius * cos(angle);
}

static double draw_offset(source *s, int distribution)
{
    const double most = 8; /* pixels */
    return distribution == BENCH_NORMAL ? draw_normal(s)
           : distribution == BENCH_ZERO ? 0
                                        : most * (2 * draw_uniform(s) - 1);
}

/* Boxes inside the image, as large as people and things are in detection. */
static void draw_rois(const cldeform_roi_pool_problem *p, source *s, double *rois)
{
    const double least = 28, most = 448; /* image pixels */
    const double image[2] = {(double)p->level[0].in_w / p->level[0].spatial_scale,
                             (double)p->level[0].in_h / p->level[0].spatial_scale};
    for (int64_t r = 0; r < p->max_rois; r++, rois += 5) {
        rois[0] = (double)(r % p->batch);
        for (int axis = 0; axis < 2; axis++) {
            const double side = fmin(least + (most - least) * draw_uniform(s), image[axis]);
            rois[1 + axis] = (image[axis] - side) * draw_uniform(s);
            rois[3 + axis] = rois[1 + axis] + side;
        }
    }
}

static double draw_element(source *s, int tensor, int distribution, double weight_scale)
{
    switch (tensor) {
    case TENSOR_OFFSET:
        return draw_offset(s, distribution);
    case TENSOR_MASK:
        return draw_uniform(s);
    case TENSOR_WEIGHT:
        return weight_scale * draw_normal(s);
    default:
        return draw_normal(s);
    }
}

/* In pieces, so that there are no doubles for all of a tensor. */
static int fill(const bench_data *d, int tensor, int distribution, fault *f)
{
    enum { PIECE = 4096 };
    const cldeform_conv2d_problem *p = &d->conv2d.problem;
    npy_array *array = &d->array[tensor];
    source s = {.state = 0x9e3779b9u * (uint32_t)(tensor + 1)}; /* one of its own for each tensor */
    double piece[PIECE], scale = 1;
    if (tensor == TENSOR_ROIS) {
        double *rois = calloc(array->elements, sizeof *rois);
        if (!rois)
            return fault_memory(f);
        draw_rois(&d->roi.problem, &s, rois);
        element_from_double(array->dtype, rois, array->elements, array->data);
        free(rois);
        return EXIT_FINE;
    }
    if (tensor == TENSOR_WEIGHT)
        scale = 1 / sqrt((double)(p->in_channels / p->groups * p->kernel_h * p->kernel_w));
    for (size_t at = 0; at < array->elements; at += PIECE) {
        const size_t n = array->elements - at < PIECE ? array->elements - at : PIECE;
        for (size_t i = 0; i < n; i++)
            piece[i] = draw_element(&s, tensor, distribution, scale);
        element_from_double(array->dtype, piece, n, (char *)array->data + at * element_size(array->dtype));
    }
    return EXIT_FINE;
}

/* ---- tensors ---- */

static const struct {
    int tensor;
    cldeform_tensor_name name;
} named[] = {
    {TENSOR_INPUT, CLDEFORM_INPUT},   {TENSOR_ROIS, CLDEFORM_ROIS}, {TENSOR_WEIGHT, CLDEFORM_WEIGHT},
    {TENSOR_OFFSET, CLDEFORM_OFFSET}, {TENSOR_MASK, CLDEFORM_MASK}, {TENSOR_OUTPUT, CLDEFORM_OUTPUT},
};

static int has_tensor(const bench_data *d, int tensor)
{
    const int conv2d = d->operation == BENCH_CONV2D;
    switch (tensor) {
    case TENSOR_ROIS:
        return !conv2d;
    case TENSOR_WEIGHT:
        return conv2d;
    case TENSOR_OFFSET:
        return conv2d ? d->conv2d.problem.kind != CLDEFORM_CONV2D_PLAIN : d->roi.problem.deformable;
    case TENSOR_MASK:
        return conv2d ? d->conv2d.problem.kind == CLDEFORM_CONV2D_MODULATED : d->roi.problem.modulated;
    default:
        return 1;
    }
}

static cldeform_dtype type_of(const bench_data *d, int tensor)
{
    const int conv2d = d->operation == BENCH_CONV2D;
    if (tensor == TENSOR_ROIS)
        return d->roi.problem.roi_dtype;
    if (tensor == TENSOR_OFFSET || tensor == TENSOR_MASK)
        return conv2d ? d->conv2d.problem.offset_dtype : d->roi.problem.offset_dtype;
    return conv2d ? d->conv2d.problem.dtype : d->roi.problem.dtype;
}

static int create_tensor(bench_data *d, int tensor, cldeform_tensor_name name, size_t most, fault *f)
{
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    const cldeform_status answer = d->operation == BENCH_CONV2D
                                       ? cldeform_conv2d_shape(&d->conv2d.problem, name, &shape)
                                       : cldeform_roi_pool_shape(&d->roi.problem, name, 0, &shape);
    if (answer != CLDEFORM_OK)
        return fault_set(f, EXIT_INPUT, "%s", cldeform_last_error());
    if (shape.bytes > most)
        return fault_set(f, EXIT_DEVICE, "%s has %zu MiB, the device allocates at most %zu", tensor_table[tensor].name,
                         shape.bytes >> 20, most >> 20);
    if (tensor == TENSOR_OUTPUT) {
        const int first = d->conv2d.problem.layout == CLDEFORM_NHWC ? 1 : 2;
        d->conv2d.out_h = shape.size[first];
        d->conv2d.out_w = shape.size[first + 1];
        d->roi.output = shape;
    }
    return npy_create(&d->array[tensor], type_of(d, tensor), (int)shape.rank, shape.size, f);
}

/* A gradient has its tensor's shape and type. The bias's is not measured: there is no bias. */
static int create_gradients(bench_data *d, fault *f)
{
    int status = EXIT_FINE;
    for (int i = 0; i < TENSORS && status == EXIT_FINE; i++) {
        const npy_array *of = &d->array[tensor_table[i].of];
        if (tensor_table[i].of == i || of->rank == 0)
            continue;
        status = npy_create(&d->array[i], of->dtype, of->rank, of->shape, f);
    }
    return status;
}

int bench_data_create(const bench_problem *problem, int offsets, size_t most, bench_data *d, fault *f)
{
    int status = EXIT_FINE;
    d->operation = problem->operation;
    if (d->operation == BENCH_CONV2D) {
        d->conv2d.problem = bench_make_conv2d(problem);
        d->array = d->conv2d.array;
    } else {
        d->roi.problem = bench_make_roi_pool(problem);
        d->roi.problem.roi_dtype = d->roi.problem.dtype == CLDEFORM_F64 ? CLDEFORM_F64 : CLDEFORM_F32;
        d->roi.rois = d->roi.problem.max_rois;
        d->array = d->roi.array;
    }
    for (size_t i = 0; i < sizeof named / sizeof *named && status == EXIT_FINE; i++)
        if (has_tensor(d, named[i].tensor))
            status = create_tensor(d, named[i].tensor, named[i].name, most, f);
    if (status == EXIT_FINE)
        status = create_gradients(d, f);
    for (int i = 0; i < TENSORS && status == EXIT_FINE; i++)
        if (d->array[i].rank > 0 && !tensor_table[i].pass)
            status = fill(d, i, offsets, f);
    return status;
}

void bench_data_free(bench_data *d)
{
    if (d->array)
        tensors_free(d->array);
}

/* ---- what a pass is ---- */

cldeform_passes bench_data_passes(const bench_data *d, int pass)
{
    return tensors_passes(d->array) & (pass == BENCH_FORWARD ? CLDEFORM_FORWARD : CLDEFORM_BACKWARD);
}

double bench_data_gflop(const bench_data *d, int pass)
{
    const cldeform_passes passes = bench_data_passes(d, pass);
    return d->operation == BENCH_CONV2D ? conv2d_calls.count_gflop(&d->conv2d, passes)
                                        : roi_calls.count_gflop(&d->roi, passes);
}

double bench_data_bytes(const bench_data *d, int pass)
{
    const cldeform_passes passes = bench_data_passes(d, pass);
    double bytes = 0;
    for (int i = 0; i < TENSORS; i++) {
        const int computed = (tensor_table[i].pass & passes) != 0;
        const int read = !tensor_table[i].pass && (i != TENSOR_GRAD_OUTPUT || pass == BENCH_BACKWARD);
        double tensor = computed || read ? (double)d->array[i].bytes : 0;
        if (i == TENSOR_INPUT && d->operation != BENCH_CONV2D) { /* few RoIs need not touch all of it */
            const double samples = bench_data_gflop(d, BENCH_FORWARD) * 1e9 / 8, pixels = 4 * samples;
            tensor = fmin(tensor, pixels * (double)element_size(d->array[i].dtype));
        }
        bytes += tensor;
    }
    return bytes;
}
