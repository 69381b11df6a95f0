/* bench_check_roi.c: a sample of RoI pooling's results, by poolings that the reference can do quickly: some RoIs in all
 * channels, and all RoIs in one channel of the output, which for position-sensitive ones is a group of the input's. */
#include <string.h>

#include "bench_check.h"

static int is_sensitive(const cldeform_roi_pool_problem *p)
{
    return p->method == CLDEFORM_ROI_PS_ALIGN || p->method == CLDEFORM_ROI_PS;
}

/* Input channels that an output channel is pooled from. */
static int64_t cells_of(const cldeform_roi_pool_problem *p)
{
    return is_sensitive(p) ? p->group_size * p->group_size : 1;
}

/* ---- some RoIs ---- */

/* Of a tensor whose first axis is the RoIs: those of the given numbers. */
static int cut_rois(const bench_data *d, int tensor, const int64_t *numbers, int64_t count, bench_values *v, fault *f)
{
    const npy_array *from = &d->array[tensor];
    const int64_t size = from->rank ? (int64_t)from->elements / d->roi.rois : 0;
    if (size == 0)
        return EXIT_FINE;
    int status = bench_create_values(v, tensor, (size_t)(count * size), f);
    for (int64_t i = 0; status == EXIT_FINE && i < count * size; i++)
        v->at[tensor][i] = bench_element_at(from, numbers[i / size] * size + i % size);
    return status;
}

static int add_rois(const bench_data *d, const int64_t *numbers, int64_t count, const bench_values *v,
                    cldeform_passes passes, bench_expected *expected, fault *f)
{
    int status = EXIT_FINE;
    for (int t = 0; t < TENSORS; t++) {
        if (!(tensor_table[t].pass & passes))
            continue;
        const int64_t size = (int64_t)d->array[t].elements / d->roi.rois;
        for (int64_t i = 0; status == EXIT_FINE && i < count * size; i++)
            status = bench_add_expected(&expected[t], (size_t)(numbers[i / size] * size + i % size), v->at[t][i], f);
    }
    return status;
}

static int expect_rois(const bench_data *d, int pass, bench_expected *expected, fault *f)
{
    enum { MOST = 16 };
    static const int of_rois[] = {TENSOR_ROIS, TENSOR_OFFSET, TENSOR_MASK, TENSOR_GRAD_OUTPUT};
    const cldeform_passes passes = bench_data_passes(d, pass) & ~CLDEFORM_GRAD_INPUT;
    const int64_t count = d->roi.rois < MOST ? d->roi.rois : MOST;
    int64_t numbers[MOST] = {0};
    bench_values v = {{NULL}};
    roi_data r = {.problem = d->roi.problem, .rois = count, .output = d->roi.output};
    uint32_t state = 7;
    if (passes == 0)
        return EXIT_FINE;
    for (int64_t i = 0; i < count; i++)
        numbers[i] = i == 0 ? d->roi.rois - 1 : bench_pick(&state, d->roi.rois);
    r.output.elements = d->roi.output.elements / d->roi.rois * count;
    r.problem.passes = passes;
    int status = bench_widen_values(&v, TENSOR_INPUT, &d->array[TENSOR_INPUT], f);
    for (size_t i = 0; i < sizeof of_rois / sizeof *of_rois && status == EXIT_FINE; i++)
        status = cut_rois(d, of_rois[i], numbers, count, &v, f);
    for (int t = 0; t < TENSORS && status == EXIT_FINE; t++)
        if (tensor_table[t].pass & passes)
            status = bench_create_values(&v, t, d->array[t].elements / (size_t)d->roi.rois * (size_t)count, f);
    if (status == EXIT_FINE)
        status = bench_check_answer(roi_calls.compute(&r, passes, v.at), f);
    if (status == EXIT_FINE)
        status = add_rois(d, numbers, count, &v, passes, expected, f);
    bench_free_values(&v);
    return status;
}

/* ---- one channel ---- */

/* A tensor of n images or RoIs of h x w: where its channels c to c + count - 1 lie in the one of the whole problem. */
typedef struct cut {
    int tensor;
    int64_t n, channels, h, w, c, count;
    cldeform_layout layout;
} cut;

static int64_t cut_index(const cut *k, int64_t i)
{
    const int64_t plane = k->h * k->w, n = i / (k->count * plane), c = i / plane % k->count, at = i % plane;
    return bench_index(k->layout, k->channels, k->h, k->w, n, k->c + c, at / k->w, at % k->w);
}

static int64_t cut_size(const cut *k)
{
    return k->n * k->count * k->h * k->w;
}

static int take(const bench_data *d, const cut *k, bench_values *v, fault *f)
{
    int status = bench_create_values(v, k->tensor, (size_t)cut_size(k), f);
    for (int64_t i = 0; status == EXIT_FINE && i < cut_size(k); i++)
        v->at[k->tensor][i] = bench_element_at(&d->array[k->tensor], cut_index(k, i));
    return status;
}

static int take_inputs(const bench_data *d, int64_t o, const cut *input, bench_values *v, fault *f)
{
    const cldeform_roi_pool_problem *p = &d->roi.problem;
    const int64_t outs = p->in_channels / cells_of(p), classes = p->offset_classes > 0 ? p->offset_classes : 1;
    const npy_array *offset = &d->array[TENSOR_OFFSET];
    const cut grad = {TENSOR_GRAD_OUTPUT, d->roi.rois, outs, p->out_h, p->out_w, o, 1, p->layout};
    int status = take(d, input, v, f);
    if (status == EXIT_FINE)
        status = bench_widen_values(v, TENSOR_ROIS, &d->array[TENSOR_ROIS], f);
    if (status == EXIT_FINE)
        status = bench_widen_values(v, TENSOR_MASK, &d->array[TENSOR_MASK], f);
    if (status == EXIT_FINE && offset->rank > 0)
        status = take(d,
                      &(cut){TENSOR_OFFSET, d->roi.rois, 2 * classes, offset->shape[2], offset->shape[3],
                             2 * (o / (outs / classes)), 2, CLDEFORM_NCHW},
                      v, f);
    return status == EXIT_FINE ? take(d, &grad, v, f) : status;
}

static int expect_channel(const bench_data *d, int pass, int64_t o, bench_expected *expected, fault *f)
{
    const cldeform_roi_pool_problem *p = &d->roi.problem;
    const int64_t cells = cells_of(p), outs = p->in_channels / cells;
    const cut input = {TENSOR_INPUT,     p->batch,  p->in_channels, p->level[0].in_h,
                       p->level[0].in_w, o * cells, cells,          p->layout};
    const cut output = {TENSOR_OUTPUT, d->roi.rois, outs, p->out_h, p->out_w, o, 1, p->layout};
    const cut *computed = pass == BENCH_FORWARD ? &output : &input;
    const int tensor = pass == BENCH_FORWARD ? TENSOR_OUTPUT : TENSOR_GRAD_INPUT;
    roi_data r = {.problem = *p, .rois = d->roi.rois, .output = d->roi.output};
    bench_values v = {{NULL}};
    r.problem.in_channels = cells;
    r.problem.layout = CLDEFORM_NCHW;
    if (p->offset_classes > 0)
        r.problem.offset_classes = 1;
    r.problem.passes = roi_passes(p, tensor_table[tensor].pass);
    r.output.elements = cut_size(&output);
    int status = take_inputs(d, o, &input, &v, f);
    if (status == EXIT_FINE)
        status = bench_create_values(&v, tensor, (size_t)cut_size(computed), f);
    if (status == EXIT_FINE)
        status = bench_check_answer(roi_calls.compute(&r, r.problem.passes, v.at), f);
    for (int64_t i = 0; status == EXIT_FINE && i < cut_size(computed); i++)
        status = bench_add_expected(&expected[tensor], (size_t)cut_index(computed, i), v.at[tensor][i], f);
    bench_free_values(&v);
    return status;
}

int bench_expect_roi(const bench_data *d, int pass, bench_expected *expected, fault *f)
{
    const cldeform_roi_pool_problem *p = &d->roi.problem;
    const int64_t outs = p->in_channels / cells_of(p);
    uint32_t state = 9;
    int status = expect_rois(d, pass, expected, f);
    if (status == EXIT_FINE)
        status = expect_channel(d, pass, outs - 1, expected, f);
    if (status == EXIT_FINE)
        status = expect_channel(d, pass, bench_pick(&state, outs), expected, f);
    return status;
}
