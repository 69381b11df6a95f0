/* The reference's backward of RoI pooling as the derivative of its forward: finite differences, and identities that
 * hold because the sum is linear in each of its factors. */
#include "ref_roi.h"

#include <math.h>
#include <stdlib.h>

static const cldeform_roi_method align = CLDEFORM_ROI_ALIGN, ps_align = CLDEFORM_ROI_PS_ALIGN;

static double dot(const double *a, const double *b, int64_t elements)
{
    double sum = 0;
    for (int64_t e = 0; e < elements; e++)
        sum += a[e] * b[e];
    return sum;
}

/* <grad_output, forward>: what all gradients are of. */
static double loss(test_ref_roi *t)
{
    test_ref_roi_forward(t);
    return dot(t->grad_output, t->output, t->outputs);
}

/* ---- data away from kinks ------------------------------------------------------------------------------ */

/* The loss is linear in input and a mask as it is, and within a pixel in each offset: any step that stays within the
 * pixel is exact there but for rounding, which a large step keeps small. A sigmoid is what the higher order is for:
 * STEP^4 / 30 of its fifth derivative, below 1e-10. */
static const double STEP = 1.0 / 512, BOUND = 1e-9;

static double uniform(uint32_t *state, double low, double high)
{
    return low + (high - low) * test_ref_roi_next(state);
}

/* Distinct values, further apart than any step, in an order like a hat's: for the maximum's sake. */
static void fill_input(double *values, int64_t elements, uint32_t *state)
{
    for (int64_t e = 0; e < elements; e++)
        values[e] = 0.0625 * (double)e;
    for (int64_t e = elements - 1; e > 0; e--) {
        const int64_t other = (int64_t)(test_ref_roi_next(state) * (double)(e + 1));
        const double value = values[e];
        values[e] = values[other], values[other] = value;
    }
    for (int64_t e = 0; e < elements; e++)
        values[e] -= 0.03125 * (double)elements;
}

static void fill_uniform(double *values, int64_t elements, double low, double high, uint32_t *state)
{
    for (int64_t e = 0; values && e < elements; e++)
        values[e] = uniform(state, low, high);
}

/* Where a RoI starts and how large it is, in pixels; axis 0: y. By the header's formulas once more. */
static void place(const test_ref_roi *t, int64_t r, int axis, double *start, double *size)
{
    const double scale = t->problem.level[t->level ? t->level[r] : 0].spatial_scale;
    const double low = t->roi[5 * r + 2 - axis], high = t->roi[5 * r + 4 - axis];
    *start = low * scale - 0.5;
    *size = (high - low) * scale;
    if (t->problem.method == ps_align) {
        *start = round(low) * scale - 0.5;
        *size = fmax((round(high) + 1) * scale - 0.5 - *start, 0.1);
    }
}

/* From where the slope jumps, or a sample ends to exist. */
static double distance_from_kinks(const test_ref_roi *t, int64_t r, int axis, double at)
{
    const cldeform_roi_level *level = &t->problem.level[t->level ? t->level[r] : 0];
    const double size = (double)(axis == 0 ? level->in_h : level->in_w);
    const double whole = fabs(at - round(at));
    return t->problem.method == align ? whole : fmin(whole, fmin(fabs(at + 0.5), fabs(at - size + 0.5)));
}

/* Whether all samples of RoI r that this offset moves along an axis stay between two kinks whatever the steps. They are
 * those of the bins of its part. */
static bool keeps_distance(const test_ref_roi *t, int64_t r, int axis, int64_t part, double offset)
{
    const cldeform_roi_pool_problem *p = &t->problem;
    const int64_t out = axis == 0 ? p->out_h : p->out_w;
    const int64_t parts = p->method == align ? out : axis == 0 ? p->part_h : p->part_w;
    double start, size;
    place(t, r, axis, &start, &size);
    const int64_t samples = p->method == ps_align   ? (axis == 0 ? p->samples_h : p->samples_w)
                            : p->sampling_ratio > 0 ? p->sampling_ratio
                                                    : (int64_t)ceil(size / (double)out);
    const double margin = 1.5 * 2 * STEP * fabs(p->offset_scale * size);
    for (int64_t bin = 0; bin < out; bin++) {
        if (bin * parts / out != part)
            continue;
        for (int64_t i = 0; i < samples; i++) {
            const double within =
                p->method == align ? ((double)i + 0.5) / (double)samples : (double)i / (double)samples;
            const double at = start + p->offset_scale * size * offset + size * ((double)bin + within) / (double)out;
            if (distance_from_kinks(t, r, axis, at) < margin)
                return false;
        }
    }
    return true;
}

static void fill_offsets(test_ref_roi *t, uint32_t *state)
{
    const cldeform_roi_pool_problem *p = &t->problem;
    const bool ps = p->method == ps_align;
    const int64_t part_h = ps ? p->part_h : p->out_h, part_w = ps ? p->part_w : p->out_w;
    const int64_t planes = 2 * (ps ? p->offset_classes : 1);
    for (int64_t e = 0; e < t->offsets; e++) {
        const int64_t r = e / part_w / part_h / planes;
        const int axis = e / part_w / part_h % 2 == 0; /* x before y */
        const int64_t part = axis == 0 ? e / part_w % part_h : e % part_w;
        int tries = 0;
        do {
            t->offset[e] = uniform(state, -1, 1);
            assert_true(++tries < 10000);
        } while (!keeps_distance(t, r, axis, part, t->offset[e]));
    }
}

/* RoIs that cross every border, one wholly outside, one small, one inverted. */
static void fill_rois(test_ref_roi *t, uint32_t *state)
{
    static const double shapes[][4] = {
        {2, 1, 9, 7}, {-4, 3, 5, 8}, {6, -5, 17, 4}, {3, 5, 22, 19}, {40, 40, 50, 50}, {5, 4, 5.5, 4.75}, {9, 8, 4, 3},
    };
    for (int64_t r = 0; r < t->rois; r++) {
        const double *shape = shapes[(size_t)r % (sizeof shapes / sizeof shapes[0])];
        const double dx = uniform(state, -0.4, 0.4), dy = uniform(state, -0.4, 0.4);
        test_ref_roi_set(t, r, (double)(r % t->problem.batch), shape[0] + dx, shape[1] + dy, shape[2] + dx * dx,
                         shape[3] - dy);
        if (t->level)
            t->level[r] = (int32_t)(r % t->problem.levels);
    }
}

static void create(test_ref_roi *t, const cldeform_roi_pool_problem *problem, uint32_t seed)
{
    uint32_t state = seed;
    test_ref_roi_create(t, problem, 9);
    if (problem->levels > 1) {
        t->level = calloc(9, sizeof *t->level);
        assert_non_null(t->level);
    }
    fill_rois(t, &state);
    for (int64_t l = 0; l < t->levels; l++)
        fill_input(t->input[l], t->inputs[l], &state);
    fill_offsets(t, &state);
    fill_uniform(t->mask, t->masks, -1.5, 1.5, &state);
    fill_uniform(t->grad_output, t->outputs, -1, 1, &state);
}

/* ---- finite differences -------------------------------------------------------------------------------- */

static double difference(test_ref_roi *t, double *element)
{
    const double value = *element;
    double at[4];
    for (int i = 0; i < 4; i++) {
        *element = value + STEP * (i < 2 ? i - 2 : i - 1); /* -2 -1 1 2 */
        at[i] = loss(t);
    }
    *element = value;
    return (8 * (at[2] - at[1]) - (at[3] - at[0])) / (12 * STEP);
}

/* Two dozen elements of a tensor. */
static void check_tensor(test_ref_roi *t, const char *name, double *values, const double *gradients, int64_t elements,
                         uint32_t seed)
{
    const int64_t step = elements / 24 + 1;
    double largest = 0;
    for (int64_t e = 0; e < elements; e++)
        largest = fmax(largest, fabs(gradients[e]));
    assert_true(largest > 0.01);
    for (int64_t e = seed % step; e < elements; e += step) {
        const double wanted = difference(t, &values[e]);
        if (!(fabs(gradients[e] - wanted) <= BOUND * (largest + 1)))
            fail_msg("seed %u, method %d: element %lld of grad_%s is %.15g; the difference quotient is %.15g", seed,
                     (int)t->problem.method, (long long)e, name, gradients[e], wanted);
    }
}

static void check_differences(const cldeform_roi_pool_problem *problem, uint32_t seed)
{
    test_ref_roi t;
    create(&t, problem, seed);
    test_ref_roi_forward(&t);
    test_ref_roi_backward(&t);
    for (int64_t l = 0; l < t.levels; l++)
        check_tensor(&t, "input", t.input[l], t.grad_input[l], t.inputs[l], seed);
    if (t.offset)
        check_tensor(&t, "offset", t.offset, t.grad_offset, t.offsets, seed);
    if (t.mask)
        check_tensor(&t, "mask", t.mask, t.grad_mask, t.masks, seed);
    test_ref_roi_destroy(&t);
}

static cldeform_roi_pool_problem problem_of(cldeform_roi_method method, bool second)
{
    cldeform_roi_pool_problem p = CLDEFORM_INIT(cldeform_roi_pool_problem);
    p.method = method;
    p.batch = 2;
    p.out_h = second ? 4 : 2, p.out_w = 3;
    p.levels = second ? 2 : 1;
    p.level[0] = (cldeform_roi_level){9, 11, 0.75};
    p.level[1] = (cldeform_roi_level){5, 6, 0.4};
    p.in_channels = 3;
    p.offset_scale = second ? 0.1 : 0.25;
    if (method == align)
        p.sampling_ratio = second ? 0 : 2;
    if (method == ps_align || method == CLDEFORM_ROI_PS) {
        p.group_size = second ? 1 : 2;
        p.in_channels = second ? 6 : 16;
    }
    if (method == ps_align) {
        p.part_h = second ? 2 : 3, p.part_w = second ? 2 : 1;
        p.samples_h = 2, p.samples_w = second ? 1 : 3;
        p.offset_classes = second ? 3 : 2;
    }
    return p;
}

static void differences_of_samples(void **state)
{
    (void)state;
    uint32_t seed = 0;
    for (int variant = 0; variant < 64; variant++) {
        cldeform_roi_pool_problem p = problem_of(variant & 1 ? ps_align : align, variant & 2);
        p.layout = variant & 4 ? CLDEFORM_NHWC : CLDEFORM_NCHW;
        p.deformable = !(variant & 8);
        p.modulated = variant >> 4 != 3;
        p.mask_activation = p.modulated ? (cldeform_mask_activation)(variant >> 4) : CLDEFORM_MASK_AS_IS;
        check_differences(&p, ++seed);
    }
}

static void differences_of_cells(void **state)
{
    (void)state;
    uint32_t seed = 100;
    for (int variant = 0; variant < 8; variant++) {
        cldeform_roi_pool_problem p = problem_of(variant & 1 ? CLDEFORM_ROI_PS : CLDEFORM_ROI_MAX, variant & 2);
        p.layout = variant & 4 ? CLDEFORM_NHWC : CLDEFORM_NCHW;
        check_differences(&p, ++seed);
    }
}

/* ---- identities ---------------------------------------------------------------------------------------- */

/* <grad_output, forward(x)> = <grad_x, x> for input and a mask as it is, also at kinks. */
static void adjoint_identities(void **state)
{
    (void)state;
    for (int variant = 0; variant < 16; variant++) {
        const cldeform_roi_method method = (cldeform_roi_method)(variant % 4);
        cldeform_roi_pool_problem p = problem_of(method, variant & 4);
        p.layout = variant & 8 ? CLDEFORM_NHWC : CLDEFORM_NCHW;
        p.deformable = p.modulated = method == align || method == ps_align;
        test_ref_roi t;
        create(&t, &p, 200 + (uint32_t)variant);
        for (int64_t e = 0; e < 5 * t.rois; e++)
            t.roi[e] = round(t.roi[e]);
        for (int64_t e = 0; e < t.offsets; e++)
            t.offset[e] = round(2 * t.offset[e]);
        const double whole = loss(&t);
        double sum = 0;
        test_ref_roi_backward(&t);
        for (int64_t l = 0; l < t.levels; l++)
            sum += dot(t.grad_input[l], t.input[l], t.inputs[l]);
        assert_true(fabs(whole) > 0.1);
        assert_true(fabs(sum - whole) < 1e-10 * (1 + fabs(whole)));
        if (t.mask)
            assert_true(fabs(dot(t.grad_mask, t.mask, t.masks) - whole) < 1e-10 * (1 + fabs(whole)));
        test_ref_roi_destroy(&t);
    }
}

/* Offsets of 0 and masks of 1 change nothing. */
static void nothing_learned_yet(void **state)
{
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        cldeform_roi_pool_problem p = problem_of(variant & 1 ? ps_align : align, variant & 2);
        test_ref_roi plain, learned;
        create(&plain, &p, 300);
        p.deformable = p.modulated = 1;
        create(&learned, &p, 300);
        for (int64_t e = 0; e < learned.offsets; e++)
            learned.offset[e] = 0;
        for (int64_t e = 0; e < learned.masks; e++)
            learned.mask[e] = 1;
        for (int64_t e = 0; e < plain.outputs; e++)
            learned.grad_output[e] = plain.grad_output[e];
        test_ref_roi_forward(&plain);
        test_ref_roi_forward(&learned);
        test_ref_roi_backward(&plain);
        test_ref_roi_backward(&learned);
        assert_memory_equal(plain.output, learned.output, (size_t)plain.outputs * sizeof(double));
        for (int64_t l = 0; l < plain.levels; l++)
            assert_memory_equal(plain.grad_input[l], learned.grad_input[l], (size_t)plain.inputs[l] * sizeof(double));
        test_ref_roi_destroy(&plain);
        test_ref_roi_destroy(&learned);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_of_samples),
        cmocka_unit_test(differences_of_cells),
        cmocka_unit_test(adjoint_identities),
        cmocka_unit_test(nothing_learned_yet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
