/* What a run of RoI pooling found, against the reference. */
#include "roi.h"
#include "compare.h"
#include "cldeform/cldeform_ref.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double *allocate(int64_t elements)
{
    double *values = calloc((size_t)elements + 1, sizeof *values);
    assert_non_null(values);
    return values;
}

static void print_problem(const void *problem)
{
    const cldeform_roi_pool_problem *p = problem;
    print_error("  problem: method %d deformable %d modulated %d batch %lld channels %lld max_rois %lld out %lldx%lld "
                "scale %g ratio %lld group %lld part %lldx%lld samples %lldx%lld classes %lld canonical %g,%lld dtype "
                "%d offset_dtype %d roi_dtype %d layout %d activation %d gradient %d; levels",
                (int)p->method, (int)p->deformable, (int)p->modulated, (long long)p->batch, (long long)p->in_channels,
                (long long)p->max_rois, (long long)p->out_h, (long long)p->out_w, p->offset_scale,
                (long long)p->sampling_ratio, (long long)p->group_size, (long long)p->part_h, (long long)p->part_w,
                (long long)p->samples_h, (long long)p->samples_w, (long long)p->offset_classes, p->canonical_size,
                (long long)p->canonical_level, (int)p->dtype, (int)p->offset_dtype, (int)p->roi_dtype, (int)p->layout,
                (int)p->mask_activation, (int)p->offset_gradient);
    for (int l = 0; l < (p->levels ? p->levels : 1); l++)
        print_error(" %lldx%lld * %g", (long long)p->level[l].in_h, (long long)p->level[l].in_w,
                    p->level[l].spatial_scale);
    print_error("\n");
}

/* ---- magnitudes ---------------------------------------------------------------------------------------- */

/* For each pixel of a map, fold() over it and its neighbours. */
static void fold_neighbours(const test_roi *roi, const test_roi_tensor *map, double *values,
                            double (*fold)(double, double))
{
    const bool nhwc = roi->problem.layout == CLDEFORM_NHWC;
    const int64_t h = map->shape.size[nhwc ? 1 : 2], w = map->shape.size[nhwc ? 2 : 3];
    const int64_t column = nhwc ? roi->problem.in_channels : 1; /* elements from a column to the next */
    double *folded = allocate(map->shape.elements);
    for (int64_t e = 0; e < map->shape.elements; e++) {
        const int64_t x = e / column % w, y = e / column / w % h;
        for (int64_t dy = -1; dy <= 1; dy++)
            for (int64_t dx = -1; dx <= 1; dx++)
                if (y + dy >= 0 && y + dy < h && x + dx >= 0 && x + dx < w)
                    folded[e] = fold(folded[e], values[e + (dy * w + dx) * column]);
    }
    memcpy(values, folded, (size_t)map->shape.elements * sizeof *values);
    free(folded);
}

static double add(double a, double b)
{
    return a + b;
}

static void take_absolute(test_roi_tensor *t)
{
    for (int64_t e = 0; e < t->shape.elements; e++)
        t->values[e] = fabs(t->values[e]);
}

/* Height and width (0, 1) of a RoI on its map, or more; 0: it does not exist. */
static double size_of(const test_roi *roi, int64_t r, int axis)
{
    const cldeform_roi_pool_problem *p = &roi->problem;
    const double *at = roi->tensor[TEST_ROI_ROIS].values + 5 * r, low = at[2 - axis], high = at[4 - axis];
    int32_t level = 0;
    if (roi->tensor[TEST_ROI_LEVEL].present)
        level = (int32_t)roi->tensor[TEST_ROI_LEVEL].values[r];
    else
        assert_ok(cldeform_ref_roi_pool_assign_levels(p, 1, at, &level));
    if (level < 0 || level >= roi->sizes.levels || !isfinite(low) || !isfinite(high))
        return 0;
    const double ps = p->method == CLDEFORM_ROI_PS_ALIGN ? 2 : 0; /* rounding of both corners, and the last pixel */
    return (fabs(high - low) + ps) * p->level[level].spatial_scale + 0.1;
}

/* The offset's gradient is gamma * size * the sum of grad_output * mask * slope / samples. A slope is at most twice the
 * largest of the pixels, by the formula of mmcv six times. output: means of the largest pixels, times the mask. */
static void find_offset_magnitude(const test_roi *roi, const double *output, double *sums)
{
    const cldeform_roi_pool_problem *p = &roi->problem;
    const test_roi_sizes *s = &roi->sizes;
    const double *grad_output = roi->tensor[TEST_ROI_GRAD_OUTPUT].values;
    const int64_t channels = s->out_channels, per_class = channels / s->classes, bins = p->out_h * p->out_w;
    const double most = p->offset_gradient == CLDEFORM_ROI_GRADIENT_MMCV ? 6 : 2;
    for (int64_t e = 0; e < roi->n * channels * bins; e++) {
        const bool nhwc = p->layout == CLDEFORM_NHWC;
        const int64_t r = e / (channels * bins), o = nhwc ? e % channels : e / bins % channels;
        const int64_t bin = nhwc ? e / channels % bins : e % bins, y = bin / p->out_w, x = bin % p->out_w;
        const int64_t part = y * s->part_h / p->out_h * s->part_w + x * s->part_w / p->out_w;
        for (int axis = 0; axis < 2; axis++) {
            const int64_t plane = (r * s->classes + o / per_class) * 2 + 1 - axis;
            sums[plane * s->part_h * s->part_w + part] +=
                most * fabs(s->offset_scale) * size_of(roi, r, axis) * fabs(grad_output[e]) * fabs(output[e]);
        }
    }
}

test_roi_found test_roi_magnitudes(const test_roi *roi)
{
    test_roi absolute;
    test_roi_found magnitudes = {{NULL}};
    const bool max = roi->problem.method == CLDEFORM_ROI_MAX, cells = max || roi->problem.method == CLDEFORM_ROI_PS;
    test_roi_take(roi, 0, 1, roi->n, &absolute);
    test_roi_tensor *t = absolute.tensor;
    for (int l = 0; l < roi->sizes.levels && !max; l++) { /* the largest pixel must stay where it is */
        take_absolute(&t[TEST_ROI_INPUT + l]);
        fold_neighbours(roi, &t[TEST_ROI_INPUT + l], t[TEST_ROI_INPUT + l].values, fmax);
    }
    if (!roi->problem.mask_activation) /* an activated mask is positive already */
        take_absolute(&t[TEST_ROI_MASK]);
    take_absolute(&t[TEST_ROI_GRAD_OUTPUT]);
    test_roi_reference(&absolute);
    for (int i = 0; i < TEST_ROI_TENSORS; i++) {
        if (!t[i].present || (!test_roi_bit(i) && (i != TEST_ROI_OUTPUT || max)))
            continue;
        if (test_roi_bit(i) == CLDEFORM_GRAD_INPUT && !cells) /* a pixel that a sample just misses, too */
            fold_neighbours(roi, &t[i], t[i].values, add);
        magnitudes.values[i] = t[i].values;
        t[i].values = NULL;
    }
    if (roi->problem.deformable) {
        test_roi_tensor *grad = &t[TEST_ROI_GRAD_OFFSET];
        memset(magnitudes.values[TEST_ROI_GRAD_OFFSET], 0, (size_t)grad->shape.elements * sizeof(double));
        find_offset_magnitude(roi, magnitudes.values[TEST_ROI_OUTPUT], magnitudes.values[TEST_ROI_GRAD_OFFSET]);
    }
    test_roi_destroy(&absolute);
    return magnitudes;
}

/* ---- error bounds -------------------------------------------------------------------------------------- */

/* Additions in an element of the result, at most. */
static double count_terms(const test_roi *roi, int i)
{
    const cldeform_roi_pool_problem *p = &roi->problem;
    const double samples = 4 * (double)((p->level[0].in_h + 2) * (p->level[0].in_w + 2)); /* in a map, of a bin */
    const double bins = (double)(p->out_h * p->out_w);
    switch (test_roi_bit(i)) {
    case CLDEFORM_GRAD_INPUT:
        return (double)roi->n * bins + samples;
    case CLDEFORM_GRAD_OFFSET:
    case CLDEFORM_GRAD_MASK:
        return samples + bins * (double)roi->sizes.out_channels;
    default:
        return samples;
    }
}

/* The farthest position that counts, in pixels of the finest map. */
static double find_extent(const test_roi *roi)
{
    const test_roi_tensor *rois = &roi->tensor[TEST_ROI_ROIS];
    const cldeform_roi_level *l = roi->problem.level;
    double extent = (double)(l[0].in_h + l[0].in_w);
    for (int64_t e = 0; e < rois->shape.elements; e++)
        if (e % 5 > 0 && fabs(rois->values[e]) <= 0x1p31 / l[0].spatial_scale)
            extent = fmax(extent, fabs(rois->values[e]) * l[0].spatial_scale);
    return extent;
}

/* Rounding once in the result's type; and in the arithmetic's, each term's own roundings (16), and those of the sum,
 * which grow like the root of their number. The weights of a sample's pixels come from the fraction of its position,
 * which is rounded: an error that is absolute in the weight, so relative to the pixels at full weight, which the
 * magnitudes hold. Positions themselves are good to 2^-44 of them, or to that of a double. */
static double *find_bounds(const test_roi *roi, int i, const double *magnitude, const double *expected,
                           const double *initial)
{
    const test_roi_tensor *t = &roi->tensor[i];
    const bool fp64 = roi->sizes.dtype == CLDEFORM_F64;
    const double arithmetic = fp64 ? DBL_EPSILON : FLT_EPSILON;
    const double store = t->dtype == CLDEFORM_F16 ? 0x1p-11 : t->dtype == CLDEFORM_F64 ? DBL_EPSILON : FLT_EPSILON;
    /* below the normal halves; and what is not normal in fp32 may be taken for 0 on the way */
    const double tiny = t->dtype == CLDEFORM_F16 ? 0x1p-25 : t->dtype == CLDEFORM_F64 && fp64 ? 0 : (double)FLT_MIN;
    const double position = (fp64 ? 16 * DBL_EPSILON : 4 * 0x1p-44) * find_extent(roi);
    const double rounding = (16 + sqrt(count_terms(roi, i))) * arithmetic + position;
    double *bounds = allocate(t->shape.elements);
    for (int64_t e = 0; e < t->shape.elements; e++)
        bounds[e] = store * fabs(expected[e]) + tiny + rounding * (magnitude[e] + (initial ? fabs(initial[e]) : 0));
    return bounds;
}

void test_roi_compare(const test_roi *roi, const test_roi_found *found, cldeform_passes accumulate, bool exact)
{
    test_roi_found magnitudes = {{NULL}};
    if (!exact)
        magnitudes = test_roi_magnitudes(roi);
    for (int i = 0; i < TEST_ROI_TENSORS; i++) {
        const test_roi_tensor *t = &roi->tensor[i];
        const double *initial = accumulate & test_roi_bit(i) ? t->initial : NULL;
        const bool as_it_is = i == TEST_ROI_ARGMAX || (i == TEST_ROI_OUTPUT && roi->problem.method == CLDEFORM_ROI_MAX);
        if (!found->values[i])
            continue;
        double *expected = allocate(t->shape.elements), *bounds = NULL;
        for (int64_t e = 0; e < t->shape.elements; e++)
            expected[e] = t->values[e] + (initial ? initial[e] : 0);
        if (!exact && !as_it_is)
            bounds = find_bounds(roi, i, magnitudes.values[i], expected, initial);
        for (int64_t e = 0; !bounds && !t->whole && e < t->shape.elements; e++)
            expected[e] = test_round(expected[e], t->dtype);
        test_compare_elements(test_roi_names[i], &t->shape, found->values[i], expected, bounds, print_problem,
                              &roi->problem);
        free(expected);
        free(bounds);
    }
    test_roi_found_free(&magnitudes);
}

void test_roi_check(const test_device *on, const test_roi *roi, test_roi_pass pass, const test_run *run, bool exact)
{
    test_roi_found found = test_roi_run(on, roi, pass, run);
    test_roi_compare(roi, &found, run->accumulate, exact);
    test_roi_found_free(&found);
}

void test_roi_same(const test_roi *roi, const test_roi_found *a, const test_roi_found *b)
{
    for (int i = 0; i < TEST_ROI_TENSORS; i++) {
        const test_roi_tensor *t = &roi->tensor[i];
        if (!a->values[i] || !b->values[i] ||
            memcmp(a->values[i], b->values[i], (size_t)t->shape.elements * sizeof(double)) == 0)
            continue;
        test_compare_elements(test_roi_names[i], &t->shape, a->values[i], b->values[i], NULL, print_problem,
                              &roi->problem);
        fail_msg("two runs of %s differ in the sign of a zero or the bits of a NaN", test_roi_names[i]);
    }
}
