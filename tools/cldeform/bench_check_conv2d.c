/* bench_check_conv2d.c: a sample of a large convolution's results, by small convolutions that the reference can do:
 *
 *   a pixel     output, or gradients of offset and mask, at one output pixel: a convolution with an output of one
 * pixel, whose offsets have the pixel's position in them a channel   gradient of the input in one channel of an image,
 * or of some weights of one input channel: a convolution of one input channel */
#include <stdlib.h>

#include "bench_check.h"

static const double most_terms = 2.5e7; /* of the reference, 20 nanoseconds each, for each of the two */

static double taps_of(const cldeform_conv2d_problem *p)
{
    return (double)p->kernel_h * (double)p->kernel_w;
}

/* ---- pixels ---- */

typedef struct pixel {
    int64_t n, y, x;
} pixel;

/* Of a tensor with a value for each output pixel in each of `planes`: offset and mask. */
static int64_t plane_index(const conv2d_data *c, int64_t planes, int64_t plane, const pixel *at)
{
    return bench_index(CLDEFORM_NCHW, planes, c->out_h, c->out_w, at->n, plane, at->y, at->x);
}

static int64_t output_index(const conv2d_data *c, int64_t o, const pixel *at)
{
    return bench_index(c->problem.layout, c->problem.out_channels, c->out_h, c->out_w, at->n, o, at->y, at->x);
}

/* An output of one pixel at the image's first corner, from where the offsets lead to the wanted one. The ordinary
 * convolution is one with whole offsets. */
static conv2d_data make_pixel_problem(const conv2d_data *whole)
{
    conv2d_data c = {.problem = whole->problem, .out_h = 1, .out_w = 1};
    cldeform_conv2d_problem *p = &c.problem;
    if (p->kind == CLDEFORM_CONV2D_PLAIN)
        p->kind = CLDEFORM_CONV2D_DEFORMABLE;
    p->batch = 1;
    p->stride_h = p->in_h + p->pad_top + p->pad_bottom;
    p->stride_w = p->in_w + p->pad_left + p->pad_right;
    return c;
}

static void move_offsets(const conv2d_data *whole, const npy_array *arrays, const pixel *at, bench_values *v)
{
    const cldeform_conv2d_problem *p = &whole->problem;
    const int64_t samples = p->offset_groups * p->kernel_h * p->kernel_w;
    for (int64_t k = 0; k < samples; k++) {
        double *moved = &v->at[TENSOR_OFFSET][2 * k];
        moved[0] = (double)(at->y * p->stride_h);
        moved[1] = (double)(at->x * p->stride_w);
        for (int axis = 0; axis < 2 && arrays[TENSOR_OFFSET].rank > 0; axis++)
            moved[axis] += bench_element_at(&arrays[TENSOR_OFFSET], plane_index(whole, 2 * samples, 2 * k + axis, at));
        if (arrays[TENSOR_MASK].rank > 0)
            v->at[TENSOR_MASK][k] = bench_element_at(&arrays[TENSOR_MASK], plane_index(whole, samples, k, at));
    }
}

/* Those of the results that a pixel has. */
static int add_pixel(const conv2d_data *whole, const pixel *at, const bench_values *v, bench_expected *expected,
                     fault *f)
{
    const cldeform_conv2d_problem *p = &whole->problem;
    const int64_t samples = p->offset_groups * p->kernel_h * p->kernel_w;
    int status = EXIT_FINE;
    for (int64_t o = 0; v->at[TENSOR_OUTPUT] && o < p->out_channels && status == EXIT_FINE; o++)
        status = bench_add_expected(&expected[TENSOR_OUTPUT], (size_t)output_index(whole, o, at),
                                    v->at[TENSOR_OUTPUT][o], f);
    for (int64_t k = 0; v->at[TENSOR_GRAD_OFFSET] && k < 2 * samples && status == EXIT_FINE; k++)
        status = bench_add_expected(&expected[TENSOR_GRAD_OFFSET], (size_t)plane_index(whole, 2 * samples, k, at),
                                    v->at[TENSOR_GRAD_OFFSET][k], f);
    for (int64_t k = 0; v->at[TENSOR_GRAD_MASK] && k < samples && status == EXIT_FINE; k++)
        status = bench_add_expected(&expected[TENSOR_GRAD_MASK], (size_t)plane_index(whole, samples, k, at),
                                    v->at[TENSOR_GRAD_MASK][k], f);
    return status;
}

/* The corners of the first and of the last image, then any. */
static pixel pick_pixel(const conv2d_data *whole, int number, uint32_t *state)
{
    const int64_t batch = whole->problem.batch, h = whole->out_h, w = whole->out_w;
    if (number < 8)
        return (pixel){number < 4 ? 0 : batch - 1, number & 1 ? h - 1 : 0, number & 2 ? w - 1 : 0};
    return (pixel){bench_pick(state, batch), bench_pick(state, h), bench_pick(state, w)};
}

static int create_pixel_values(const bench_data *d, int pass, bench_values *v, fault *f)
{
    const cldeform_conv2d_problem *p = &d->conv2d.problem;
    const size_t samples = (size_t)(p->offset_groups * p->kernel_h * p->kernel_w);
    int status = bench_widen_values(v, TENSOR_INPUT, &d->array[TENSOR_INPUT], f);
    if (status == EXIT_FINE)
        status = bench_widen_values(v, TENSOR_WEIGHT, &d->array[TENSOR_WEIGHT], f);
    if (status == EXIT_FINE)
        status = bench_create_values(v, TENSOR_OFFSET, 2 * samples, f);
    if (status == EXIT_FINE && p->kind == CLDEFORM_CONV2D_MODULATED)
        status = bench_create_values(v, TENSOR_MASK, samples, f);
    if (status == EXIT_FINE && pass == BENCH_FORWARD)
        return bench_create_values(v, TENSOR_OUTPUT, (size_t)p->out_channels, f);
    if (status == EXIT_FINE)
        status = bench_create_values(v, TENSOR_GRAD_OUTPUT, (size_t)p->out_channels, f);
    if (status == EXIT_FINE)
        status = bench_create_values(v, TENSOR_GRAD_OFFSET, 2 * samples, f);
    if (status == EXIT_FINE && p->kind == CLDEFORM_CONV2D_MODULATED)
        status = bench_create_values(v, TENSOR_GRAD_MASK, samples, f);
    return status;
}

static int expect_pixels(const bench_data *d, int pass, bench_expected *expected, fault *f)
{
    enum { LEAST = 12, MOST = 64 };
    const conv2d_data *whole = &d->conv2d;
    const cldeform_conv2d_problem *p = &whole->problem;
    const double terms = (double)p->out_channels * (double)(p->in_channels / p->groups) * taps_of(p);
    const cldeform_passes passes = pass == BENCH_FORWARD
                                       ? CLDEFORM_FORWARD
                                       : bench_data_passes(d, pass) & (CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK);
    const size_t image = (size_t)(p->in_channels * p->in_h * p->in_w);
    const conv2d_data c = make_pixel_problem(whole);
    bench_values v = {{NULL}};
    uint32_t state = 3;
    if (passes == 0) /* the ordinary convolution */
        return EXIT_FINE;
    int status = create_pixel_values(d, pass, &v, f);
    for (int i = 0; status == EXIT_FINE && i < MOST && (i < LEAST || i * terms < most_terms); i++) {
        const pixel at = pick_pixel(whole, i, &state);
        bench_values of_pixel = v;
        of_pixel.at[TENSOR_INPUT] += (size_t)at.n * image;
        move_offsets(whole, d->array, &at, &v);
        for (int64_t o = 0; pass == BENCH_BACKWARD && o < p->out_channels; o++)
            v.at[TENSOR_GRAD_OUTPUT][o] = bench_element_at(&d->array[TENSOR_GRAD_OUTPUT], output_index(whole, o, &at));
        status = bench_check_answer(conv2d_calls.compute(&c, passes, of_pixel.at), f);
        if (status == EXIT_FINE)
            status = add_pixel(whole, &at, &v, expected, f);
    }
    bench_free_values(&v);
    return status;
}

/* ---- channels ---- */

/* Images n to n + images - 1, input channel c, output channels o to o + outs - 1 of its group. */
typedef struct slice {
    int64_t n, images, c, o, outs;
} slice;

static conv2d_data make_slice_problem(const conv2d_data *whole, const slice *s)
{
    conv2d_data c = {.problem = whole->problem, .out_h = whole->out_h, .out_w = whole->out_w};
    cldeform_conv2d_problem *p = &c.problem;
    p->batch = s->images;
    p->in_channels = 1;
    p->out_channels = s->outs;
    p->groups = p->offset_groups = 1;
    p->layout = CLDEFORM_NCHW;
    return c;
}

/* Channels c to c + count - 1 of a tensor with `channels`. */
static int cut_channels(const npy_array *from, cldeform_layout layout, int64_t channels, int64_t h, int64_t w,
                        const slice *s, int64_t c, int64_t count, bench_values *v, int tensor, fault *f)
{
    int status = bench_create_values(v, tensor, (size_t)(s->images * count * h * w), f);
    if (status != EXIT_FINE)
        return status;
    double *to = v->at[tensor];
    for (int64_t n = 0; n < s->images; n++)
        for (int64_t i = 0; i < count; i++)
            for (int64_t y = 0; y < h; y++)
                for (int64_t x = 0; x < w; x++)
                    *to++ = bench_element_at(from, bench_index(layout, channels, h, w, s->n + n, c + i, y, x));
    return EXIT_FINE;
}

static int64_t weight_index(const cldeform_conv2d_problem *p, int64_t o, int64_t c)
{
    const int64_t in_group = p->in_channels / p->groups;
    return (o * in_group + c % in_group) * p->kernel_h * p->kernel_w;
}

static int cut_weights(const bench_data *d, const slice *s, bench_values *v, fault *f)
{
    const cldeform_conv2d_problem *p = &d->conv2d.problem;
    const int64_t taps = p->kernel_h * p->kernel_w;
    int status = bench_create_values(v, TENSOR_WEIGHT, (size_t)(s->outs * taps), f);
    for (int64_t i = 0; status == EXIT_FINE && i < s->outs * taps; i++)
        v->at[TENSOR_WEIGHT][i] =
            bench_element_at(&d->array[TENSOR_WEIGHT], weight_index(p, s->o + i / taps, s->c) + i % taps);
    return status;
}

static int cut_slice(const bench_data *d, const slice *s, bench_values *v, fault *f)
{
    const conv2d_data *c = &d->conv2d;
    const cldeform_conv2d_problem *p = &c->problem;
    const int64_t taps = p->kernel_h * p->kernel_w, group = s->c / (p->in_channels / p->offset_groups);
    int status = cut_channels(&d->array[TENSOR_INPUT], p->layout, p->in_channels, p->in_h, p->in_w, s, s->c, 1, v,
                              TENSOR_INPUT, f);
    if (status == EXIT_FINE && p->kind != CLDEFORM_CONV2D_PLAIN)
        status = cut_channels(&d->array[TENSOR_OFFSET], CLDEFORM_NCHW, 2 * p->offset_groups * taps, c->out_h, c->out_w,
                              s, 2 * group * taps, 2 * taps, v, TENSOR_OFFSET, f);
    if (status == EXIT_FINE && p->kind == CLDEFORM_CONV2D_MODULATED)
        status = cut_channels(&d->array[TENSOR_MASK], CLDEFORM_NCHW, p->offset_groups * taps, c->out_h, c->out_w, s,
                              group * taps, taps, v, TENSOR_MASK, f);
    if (status == EXIT_FINE)
        status = cut_channels(&d->array[TENSOR_GRAD_OUTPUT], p->layout, p->out_channels, c->out_h, c->out_w, s, s->o,
                              s->outs, v, TENSOR_GRAD_OUTPUT, f);
    return status == EXIT_FINE ? cut_weights(d, s, v, f) : status;
}

static int expect_grad_input(const bench_data *d, const slice *s, bench_expected *expected, fault *f)
{
    const cldeform_conv2d_problem *p = &d->conv2d.problem;
    const conv2d_data c = make_slice_problem(&d->conv2d, s);
    const int64_t pixels = p->in_h * p->in_w;
    bench_values v = {{NULL}};
    int status = cut_slice(d, s, &v, f);
    if (status == EXIT_FINE)
        status = bench_create_values(&v, TENSOR_GRAD_INPUT, (size_t)pixels, f);
    if (status == EXIT_FINE)
        status = bench_check_answer(conv2d_calls.compute(&c, CLDEFORM_GRAD_INPUT, v.at), f);
    for (int64_t i = 0; status == EXIT_FINE && i < pixels; i++)
        status = bench_add_expected(
            &expected[TENSOR_GRAD_INPUT],
            (size_t)bench_index(p->layout, p->in_channels, p->in_h, p->in_w, s->n, s->c, i / p->in_w, i % p->in_w),
            v.at[TENSOR_GRAD_INPUT][i], f);
    bench_free_values(&v);
    return status;
}

static int expect_grad_weight(const bench_data *d, const slice *s, bench_expected *expected, fault *f)
{
    const cldeform_conv2d_problem *p = &d->conv2d.problem;
    const conv2d_data c = make_slice_problem(&d->conv2d, s);
    const int64_t taps = p->kernel_h * p->kernel_w;
    bench_values v = {{NULL}};
    int status = cut_slice(d, s, &v, f);
    if (status == EXIT_FINE)
        status = bench_create_values(&v, TENSOR_GRAD_WEIGHT, (size_t)(s->outs * taps), f);
    if (status == EXIT_FINE)
        status = bench_check_answer(conv2d_calls.compute(&c, CLDEFORM_GRAD_WEIGHT, v.at), f);
    for (int64_t i = 0; status == EXIT_FINE && i < s->outs * taps; i++)
        status = bench_add_expected(&expected[TENSOR_GRAD_WEIGHT],
                                    (size_t)(weight_index(p, s->o + i / taps, s->c) + i % taps),
                                    v.at[TENSOR_GRAD_WEIGHT][i], f);
    bench_free_values(&v);
    return status;
}

/* The last channel, then others, while that is quick. */
static int expect_channels(const bench_data *d, bench_expected *expected, fault *f)
{
    enum { MOST = 4, OUTS = 4 };
    const cldeform_conv2d_problem *p = &d->conv2d.problem;
    const int64_t in_group = p->in_channels / p->groups, out_group = p->out_channels / p->groups;
    const int64_t outs = out_group < OUTS ? out_group : OUTS;
    const double terms = taps_of(p) * (double)d->conv2d.out_h * (double)d->conv2d.out_w;
    const double of_each = terms * (double)(out_group + p->batch * outs);
    int status = EXIT_FINE;
    uint32_t state = 5;
    for (int i = 0; status == EXIT_FINE && i < MOST && (i == 0 || (i + 1) * of_each < most_terms); i++) {
        const int64_t c = i == 0 ? p->in_channels - 1 : bench_pick(&state, p->in_channels);
        const int64_t o = c / in_group * out_group;
        const slice of_input = {bench_pick(&state, p->batch), 1, c, o, out_group};
        const slice of_weight = {0, p->batch, c, o + bench_pick(&state, out_group - outs + 1), outs};
        status = expect_grad_input(d, &of_input, expected, f);
        if (status == EXIT_FINE)
            status = expect_grad_weight(d, &of_weight, expected, f);
    }
    return status;
}

int bench_expect_conv2d(const bench_data *d, int pass, bench_expected *expected, fault *f)
{
    int status = expect_pixels(d, pass, expected, f);
    return status == EXIT_FINE && pass == BENCH_BACKWARD ? expect_channels(d, expected, f) : status;
}
