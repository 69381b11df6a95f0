/* Reproducible data for RoI pooling. */
#include "roi.h"

#include <math.h>

static int64_t pick(uint32_t *state, int64_t n)
{
    const int64_t i = (int64_t)test_uniform(state, 0, (double)n);
    return i < n ? i : n - 1;
}

/* A coordinate that round() takes to the whole number k: half is away from zero. */
static double blur(double k, uint32_t *state)
{
    const double by[] = {0, k > 0 ? -0.5 : 0.25, k < 0 ? 0.5 : -0.25, 0.125};
    return k + by[pick(state, 4)];
}

/* One axis of a RoI: what it is made for. */
typedef struct span {
    double scale, size; /* of the map, in its own pixels */
    double out, samples;
} span;

/* Positions in quarters, or a few bits more, and as many samples or cells in a bin as a power of two. */
static void make_exact(cldeform_roi_method method, const span *s, uint32_t *state, double *low, double *high)
{
    static const double bins[] = {0.5, 1, 2, 4}, steps[] = {0.25, 0.5, 1};
    const double start = rint(test_uniform(state, -12, 4 * s->size + 8)) / 4;
    const double bin = bins[pick(state, 4)], kind = test_uniform(state, 0, 1);
    const double pixel = rint(start / s->scale); /* in the image, whole */
    switch (method) {
    case CLDEFORM_ROI_ALIGN: /* 0: a point. Negative: inverted */
        *low = (start + 0.5) / s->scale;
        *high = *low + bin * s->out / s->scale * (kind < 0.05 ? 0 : kind < 0.1 ? -1 : 1);
        break;
    case CLDEFORM_ROI_PS_ALIGN:
        *low = blur(pixel, state);
        *high = blur(pixel + s->out * s->samples * ceil(steps[pick(state, 3)] / s->scale) - 1, state);
        break;
    case CLDEFORM_ROI_PS:
        if (kind < 0.4) { /* bins of 1 and of 2 whole cells */
            *low = blur(rint(start) / s->scale, state);
            *high = blur(rint(start) / s->scale + s->out * (kind < 0.2 ? 1 : 2) / s->scale - 1, state);
        } else { /* bins that cut cells: 2 each, or 1 and 2 in turn */
            const double from = (floor(start) + (kind < 0.7 ? 0.5 : 0)) / s->scale;
            *low = blur(from, state);
            *high = blur(from + s->out * (kind < 0.7 ? 1 : 0.5) / s->scale - 1, state);
        }
        break;
    case CLDEFORM_ROI_MAX:
        *low = start / s->scale;
        *high = *low + (kind < 0.1 ? -1 : kind) * test_uniform(state, 0, s->size / s->scale);
        break;
    }
}

static void make_random(const span *s, uint32_t *state, double *low, double *high)
{
    const double kind = test_uniform(state, 0, 1), image = s->size / s->scale;
    const double least = 0.3 / s->scale, most = 1.2 * image + least;
    double centre = test_uniform(state, 0, image);
    double side = least * pow(most / least, test_uniform(state, 0, 1));
    if (kind > 0.6 && kind < 0.75)
        centre = test_uniform(state, -0.2 * image, 1.2 * image);
    else if (kind > 0.75 && kind < 0.8)
        centre = image + side + 4 / s->scale;
    else if (kind > 0.8 && kind < 0.85)
        side *= 0.05;
    else if (kind > 0.85 && kind < 0.89)
        side = -side;
    else if (kind > 0.89 && kind < 0.91)
        side = 0;
    *low = centre - side / 2;
    *high = centre + side / 2;
    if (kind > 0.91 && kind < 0.93)
        *low = -test_uniform(state, 0, 1e5), *high = test_uniform(state, 0, 1e6);
    else if (kind > 0.93)
        *low = rint(*low), *high = rint(*high);
}

static void make_roi(test_roi *roi, int64_t r, test_data data, uint32_t *state)
{
    static const double no_image[] = {-1, 0.5, NAN, 1e9, -0.001, INFINITY};
    const cldeform_roi_pool_problem *p = &roi->problem;
    const bool wrong = data == TEST_RANDOM && test_uniform(state, 0, 1) < 0.03;
    const cldeform_roi_level *l = &p->level[pick(state, roi->sizes.levels)];
    double image = (double)pick(state, p->batch), x1, y1, x2, y2;
    if (roi->tensor[TEST_ROI_LEVEL].present) {
        roi->tensor[TEST_ROI_LEVEL].values[r] = (double)(l - p->level);
        if (data == TEST_RANDOM && test_uniform(state, 0, 1) < 0.03)
            roi->tensor[TEST_ROI_LEVEL].values[r] = r % 2 ? -1 : (double)roi->sizes.levels;
    }
    const span x = {l->spatial_scale, (double)l->in_w, (double)p->out_w, (double)roi->sizes.samples_w};
    const span y = {l->spatial_scale, (double)l->in_h, (double)p->out_h, (double)roi->sizes.samples_h};
    if (data == TEST_EXACT) {
        make_exact(p->method, &x, state, &x1, &x2);
        make_exact(p->method, &y, state, &y1, &y2);
    } else {
        make_random(&x, state, &x1, &x2);
        make_random(&y, state, &y1, &y2);
    }
    if (wrong)
        image = r % 7 ? no_image[r % 6] : (double)p->batch;
    test_roi_set(roi, r, image, x1, y1, x2, y2);
}

static double make_value(int i, test_data data, uint32_t *state)
{
    const bool exact = data == TEST_EXACT;
    switch (i) {
    case TEST_ROI_OFFSET:
        return exact ? rint(test_uniform(state, -2.4, 2.4)) : test_uniform(state, -3, 3);
    case TEST_ROI_MASK:
        return exact ? rint(test_uniform(state, -4, 4)) / 4 : test_uniform(state, -0.5, 1.5);
    default:
        return exact ? rint(test_uniform(state, -4, 4)) : test_uniform(state, -1, 1);
    }
}

void test_roi_make(test_roi *roi, test_data data, uint32_t seed)
{
    uint32_t state = seed * 2654435761u + 1;
    for (int i = 0; i < TEST_ROI_TENSORS; i++) {
        const test_roi_tensor *t = &roi->tensor[i];
        double *values = t->initial ? t->initial : t->values;
        if (!t->present || i == TEST_ROI_ROIS || i == TEST_ROI_LEVEL || i == TEST_ROI_OUTPUT || i == TEST_ROI_ARGMAX)
            continue;
        for (int64_t e = 0; e < t->shape.elements; e++)
            values[e] = test_round(make_value(t->initial ? TEST_ROI_INPUT : i, data, &state), t->dtype);
    }
    for (int64_t r = 0; r < roi->n; r++)
        make_roi(roi, r, data, &state);
}
