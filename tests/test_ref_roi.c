/* The reference of RoI pooling against numbers worked out by hand: where a sample has a kink, where a position counts
 * as whole, which RoIs and samples exist. Whole cells: test_ref_roi_cells.c; derivatives elsewhere:
 * test_ref_roi_derivative.c. */
#include "ref_roi.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define expect test_ref_roi_expect

static const cldeform_roi_method align = CLDEFORM_ROI_ALIGN, ps_align = CLDEFORM_ROI_PS_ALIGN;
static const cldeform_roi_gradient mmcv = CLDEFORM_ROI_GRADIENT_MMCV;

/* ---- one sample ---------------------------------------------------------------------------------------- */

enum { MAP_H = 2, MAP_W = 3, MAP = MAP_H * MAP_W };

/* Powers of two: a sum tells which were added. */
static const double map[MAP] = {1, 2, 4, 8, 16, 32};

static const double grad_output = 3, mask = 0.5;

/* One bin with one sample, which an offset moves by as many pixels. */
static cldeform_roi_pool_problem one_sample(cldeform_roi_method method)
{
    cldeform_roi_pool_problem p = CLDEFORM_INIT(cldeform_roi_pool_problem);
    p.method = method;
    p.deformable = p.modulated = 1;
    p.batch = p.in_channels = p.out_h = p.out_w = 1;
    p.level[0] = (cldeform_roi_level){MAP_H, MAP_W, 1};
    p.sampling_ratio = method == align;
    p.samples_h = p.samples_w = method == ps_align;
    p.offset_scale = 1;
    return p;
}

/* Samples where y and x say. */
static void place_sample(test_ref_roi *t, double y, double x)
{
    if (t->problem.method == align)
        test_ref_roi_set(t, 0, 0, 0, 0, 1, 1); /* from -0.5 to 0.5: its middle is 0 */
    else
        test_ref_roi_set(t, 0, 0, 0, 0, 0, 0); /* from -0.5 to 0.5: its first sample is -0.5 */
    t->offset[0] = t->problem.method == align ? x : x + 0.5;
    t->offset[1] = t->problem.method == align ? y : y + 0.5;
}

typedef struct found {
    double output, input[MAP], offset[2], mask; /* but for output: gradients */
} found;

static found run_one(cldeform_roi_method method, cldeform_roi_gradient rule, const double *input, double y, double x)
{
    test_ref_roi t;
    found f;
    cldeform_roi_pool_problem p = one_sample(method);
    p.offset_gradient = rule;
    test_ref_roi_create(&t, &p, 1);
    memcpy(t.input[0], input, MAP * sizeof *input);
    t.mask[0] = mask;
    t.grad_output[0] = grad_output;
    place_sample(&t, y, x);
    test_ref_roi_forward(&t);
    test_ref_roi_backward(&t);
    f.output = t.output[0];
    memcpy(f.input, t.grad_input[0], sizeof f.input);
    f.offset[0] = t.grad_offset[1], f.offset[1] = t.grad_offset[0];
    f.mask = t.grad_mask[0];
    test_ref_roi_destroy(&t);
    return f;
}

typedef struct sample_row {
    double y, x, value, slope_y, slope_x;
} sample_row;

static void check_row(cldeform_roi_method method, cldeform_roi_gradient rule, const sample_row *row)
{
    const double y = row->y, x = row->x;
    const found f = run_one(method, rule, map, y, x);
    expect(f.output, mask * row->value, "the output", y, x);
    expect(f.offset[0], grad_output * mask * row->slope_y, "the offset's y gradient", y, x);
    expect(f.offset[1], grad_output * mask * row->slope_x, "the offset's x gradient", y, x);
    expect(f.mask, grad_output * row->value, "the mask's gradient", y, x);
    double sum = 0;
    for (int e = 0; e < MAP; e++)
        sum += f.input[e] * map[e];
    expect(sum, grad_output * mask * row->value, "the input times its gradient", y, x);
}

/* The next number of fp32, seen from where it matters. */
static double beyond(double limit, double towards)
{
    return (double)nextafterf((float)limit, (float)towards);
}

/* Too close to be another number in fp32. */
static const double close = 1e-9;

static void samples_of_align(void **state)
{
    (void)state;
    const sample_row rows[] = {
        /* whole positions: the slope to the right */
        {0, 0, 1, 7, 1},
        {0, 1, 2, 14, 2},
        {0.5, 1, 9, 14, 9},
        {0, 0.5, 1.5, 10.5, 1},
        {0.5, 0.5, 6.75, 10.5, 4.5},
        /* from the last centres on nothing moves along that axis, up to the size itself */
        {1, 1, 16, 0, 16},
        {1, 2, 32, 0, 0},
        {0, 2, 4, 28, 0},
        {1.5, 0.5, 12, 0, 8},
        {0.5, 2.5, 18, 28, 0},
        {2, 1, 16, 0, 16},
        {0, 3, 4, 28, 0},
        {2, 3, 32, 0, 0},
        {2 + close, 1, 16, 0, 16},
        {beyond(2, 3), 1, 0, 0, 0},
        {0, beyond(3, 4), 0, 0, 0},
        /* before the first ones neither, down to -1 */
        {-0.25, 1, 2, 0, 2},
        {1, -0.75, 8, 0, 0},
        {0.5, -0.75, 4.5, 7, 0},
        {-1, 1, 2, 0, 2},
        {-1, -1, 1, 0, 0},
        {0, -1, 1, 7, 0},
        {-1 - close, 1, 2, 0, 2},
        {0, -1 - close, 1, 7, 0},
        {beyond(-1, -2), 1, 0, 0, 0},
        {0, beyond(-1, -2), 0, 0, 0},
        /* a position that is whole in fp32 belongs to that pixel */
        {0, 1 - close, 2, 14, 2},
        {1 - close, 1, 16, 0, 16},
        {0, 2 - close, 4, 28, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_row(align, CLDEFORM_ROI_GRADIENT_TRUE, &rows[i]);
}

static void samples_of_ps_align(void **state)
{
    (void)state;
    const sample_row rows[] = {
        /* whole positions are that pixel alone */
        {0, 0, 1, 0, 0},
        {0, 1, 2, 0, 0},
        {1, 2, 32, 0, 0},
        {0.5, 1, 9, 14, 0},
        {0, 0.5, 1.5, 0, 1},
        {0.5, 0.5, 6.75, 10.5, 4.5},
        {0.5, 2, 18, 28, 0},
        {0.5, 1 + close, 9, 14, 0},
        {0.5, 1 - close, 9, 14, 0},
        /* clamped ones too */
        {-0.25, 0.5, 1.5, 0, 1},
        {-0.5, 0.5, 1.5, 0, 1},
        {0.5, -0.5, 4.5, 7, 0},
        {1.25, 0.5, 12, 0, 8},
        {1.5, 0.5, 12, 0, 8},
        {0.5, 2.5, 18, 28, 0},
        {1.5, 2.5, 32, 0, 0},
        {-0.5, -0.5, 1, 0, 0},
        /* beyond half a pixel there is no sample */
        {-0.5 - close, 0.5, 1.5, 0, 1},
        {1.5 + close, 0.5, 12, 0, 8},
        {0.5, 2.5 + close, 18, 28, 0},
        {beyond(-0.5, -1), 0.5, 0, 0, 0},
        {beyond(1.5, 2), 0.5, 0, 0, 0},
        {0.5, beyond(-0.5, -1), 0, 0, 0},
        {0.5, beyond(2.5, 3), 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_row(ps_align, CLDEFORM_ROI_GRADIENT_TRUE, &rows[i]);
}

/* Its formula goes on in a straight line before the first centres, and has no slope at all from the last ones on. */
static void mmcv_formula(void **state)
{
    (void)state;
    const sample_row rows[] = {
        {0, 0, 1, 7, 1},
        {0, 1, 2, 14, 2},
        {0.5, 0.5, 6.75, 10.5, 4.5},
        {-0.5, 0.5, 1.5, 10.5, 1.5 * 1 - 0.5 * 8},
        {0.5, -0.5, 4.5, 1.5 * 7 - 0.5 * 14, 4.5},
        {-1, -1, 1, 2 * 7 - 14, 2 * 1 - 8},
        {-0.25, -0.5, 1, 1.5 * 7 - 0.5 * 14, 1.25 * 1 - 0.25 * 8},
        {1, 1, 16, 0, 0},
        {0, 2, 4, 0, 0},
        {1.5, 0.5, 12, 0, 0},
        {0.5, 2.5, 18, 0, 0},
        {-0.5, 2.5, 4, 0, 0},
        {2, 3, 32, 0, 0},
        {beyond(-1, -2), 0.5, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_row(align, mmcv, &rows[i]);
}

static void pixels_get_their_weights(void **state)
{
    (void)state;
    const struct {
        cldeform_roi_method method;
        double y, x, pixels[MAP];
    } rows[] = {
        {align, 0.25, 1.5, {0, 0.375, 0.375, 0, 0.125, 0.125}},
        {ps_align, 0.25, 1.5, {0, 0.375, 0.375, 0, 0.125, 0.125}},
        {align, -0.75, 1.25, {0, 0.75, 0.25, 0, 0, 0}},
        {ps_align, -0.25, 1.25, {0, 0.75, 0.25, 0, 0, 0}},
        {align, 1.75, 2.75, {0, 0, 0, 0, 0, 1}},
        {ps_align, 1.25, 0.25, {0, 0, 0, 0.75, 0.25, 0}},
        {align, -1.25, 1, {0, 0, 0, 0, 0, 0}},
        {ps_align, -0.75, 1, {0, 0, 0, 0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const found f = run_one(rows[i].method, CLDEFORM_ROI_GRADIENT_TRUE, map, rows[i].y, rows[i].x);
        for (int e = 0; e < MAP; e++)
            expect(f.input[e], grad_output * mask * rows[i].pixels[e], "a pixel's gradient", rows[i].y, rows[i].x);
    }
}

/* The cell is chosen in fp32, but how far the sample is beyond it is not. */
static void fractions_are_not_rounded(void **state)
{
    (void)state;
    const found f = run_one(align, CLDEFORM_ROI_GRADIENT_TRUE, map, 0, 1 + close);
    assert_true(fabs(f.output / mask - (2 + 2 * close)) < 1e-15);
    assert_true(fabs(f.input[2] / (grad_output * mask * close) - 1) < 1e-6);
}

/* ---- special values ------------------------------------------------------------------------------------ */

static void samples_far_away_do_not_exist(void **state)
{
    (void)state;
    static const double nothing[MAP] = {NAN, INFINITY, -INFINITY, NAN, INFINITY, NAN};
    const double outside[] = {NAN, INFINITY, -INFINITY, 1e30, -1e30, DBL_MAX, -DBL_MAX, 1e9, -1e9, 4, -1.5};
    const double across[] = {0.5, 0, 7, NAN};
    for (int method = CLDEFORM_ROI_ALIGN; method <= CLDEFORM_ROI_PS_ALIGN; method++) {
        for (size_t i = 0; i < 2 * sizeof outside / sizeof outside[0]; i++) {
            for (size_t j = 0; j < sizeof across / sizeof across[0]; j++) {
                const double y = i % 2 ? outside[i / 2] : across[j], x = i % 2 ? across[j] : outside[i / 2];
                const found f = run_one((cldeform_roi_method)method, CLDEFORM_ROI_GRADIENT_TRUE, nothing, y, x);
                expect(f.output, 0, "the output", y, x);
                expect(f.offset[0], 0, "the offset's y gradient", y, x);
                expect(f.offset[1], 0, "the offset's x gradient", y, x);
                expect(f.mask, 0, "the mask's gradient", y, x);
                for (int e = 0; e < MAP; e++)
                    expect(f.input[e], 0, "a pixel's gradient", y, x);
            }
        }
    }
}

/* Pixels whose weight is 0 are not read, nor written. */
static void only_the_pixels_of_a_sample_matter(void **state)
{
    (void)state;
    const double one[MAP] = {NAN, INFINITY, NAN, NAN, 16, NAN}, row[MAP] = {NAN, NAN, NAN, NAN, 16, 32};
    const struct {
        cldeform_roi_method method;
        const double *input;
        double y, x, value;
    } rows[] = {
        {ps_align, one, 1, 1, 16},   {align, one, 1, 1, 16},      {ps_align, one, 1 - close, 1, 16},
        {align, one, 2, 1, 16},      {ps_align, row, 1, 1.5, 24}, {ps_align, row, 1.5, 1.5, 24},
        {align, row, 1.75, 1.5, 24}, {align, row, 1, 2.5, 32},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const found f = run_one(rows[i].method, CLDEFORM_ROI_GRADIENT_TRUE, rows[i].input, rows[i].y, rows[i].x);
        expect(f.output, mask * rows[i].value, "the output", rows[i].y, rows[i].x);
        expect(f.mask, grad_output * rows[i].value, "the mask's gradient", rows[i].y, rows[i].x);
        expect(f.offset[0], 0, "the offset's y gradient", rows[i].y, rows[i].x);
        if (rows[i].method == ps_align && rows[i].input == one)
            expect(f.offset[1], 0, "the offset's x gradient", rows[i].y, rows[i].x);
    }
}

/* A gradient of the output that is not finite stays with the pixels that the sample reads. */
static void infinite_gradients_stay_with_their_pixels(void **state)
{
    (void)state;
    for (int method = CLDEFORM_ROI_ALIGN; method <= CLDEFORM_ROI_PS_ALIGN; method++) {
        test_ref_roi t;
        const cldeform_roi_pool_problem p = one_sample((cldeform_roi_method)method);
        test_ref_roi_create(&t, &p, 1);
        t.grad_output[0] = INFINITY;
        place_sample(&t, 0, 1);
        test_ref_roi_backward(&t);
        for (int e = 0; e < MAP; e++)
            expect(t.grad_input[0][e], e == 1 ? INFINITY : 0, "a pixel's gradient", 0, e);
        test_ref_roi_destroy(&t);
    }
}

/* ---- RoIs of several samples --------------------------------------------------------------------------- */

/* A map of one row, one bin, one channel. */
static cldeform_roi_pool_problem one_row(cldeform_roi_method method, int64_t width, double scale)
{
    cldeform_roi_pool_problem p = CLDEFORM_INIT(cldeform_roi_pool_problem);
    p.method = method;
    p.batch = p.in_channels = p.out_h = p.out_w = 1;
    p.level[0] = (cldeform_roi_level){1, width, scale};
    return p;
}

/* Coordinate times scale is whole where it is so in fp32, whatever double makes of it. */
static const struct {
    double scale, coordinate, whole;
} products[] = {{0.1, 30, 3}, {0.1f, 30, 3}, {0.07, 100, 7}, {0.29, 100, 29}, {0.7, 90, 63}};

enum { PRODUCTS = sizeof products / sizeof products[0] };

/* One RoI from x1 to x2 in a row of so many pixels, all NaN but one of 1, whose share is the output. */
static double share(const cldeform_roi_pool_problem *p, double x1, double x2, double pixel, double *grad_offset)
{
    test_ref_roi t;
    test_ref_roi_create(&t, p, 1);
    test_ref_roi_set(&t, 0, 0, x1, 0, x2, p->method == align);
    for (int64_t e = 0; e < t.inputs[0]; e++)
        t.input[0][e] = p->method == align ? 0 : NAN;
    t.input[0][(int)pixel] = 1;
    if (p->deformable)
        t.offset[0] = 0.05 / p->level[0].spatial_scale; /* half a pixel for a RoI of ten image pixels */
    test_ref_roi_forward(&t);
    test_ref_roi_backward(&t);
    const double output = t.output[0];
    double sum = 0;
    for (int64_t e = 0; e < t.inputs[0]; e++)
        sum += t.input[0][e] * t.grad_input[0][e] == 0 ? 0 : t.grad_input[0][e];
    if (p->method == ps_align)
        expect(sum, output, "the pixel's gradient", 0, x1);
    if (p->deformable)
        *grad_offset = t.grad_offset[0];
    test_ref_roi_destroy(&t);
    return output;
}

static void rounded_positions(void **state)
{
    (void)state;
    assert_true((double)0.1f * 30 > 3 && 0.07 * 100 > 7 && 0.29 * 100 < 29); /* what this is about */
    for (int i = 0; i < PRODUCTS; i++) {
        const double scale = products[i].scale, at = products[i].coordinate, whole = products[i].whole;
        /* ceil(size) samples: one on each pixel, not one more */
        cldeform_roi_pool_problem p = one_row(align, (int64_t)whole + 1, scale);
        assert_true(fabs(share(&p, 0, at, 1, NULL) - 1 / whole) < 1e-7);
        /* the middle of a RoI at the width itself: it exists */
        p = one_row(align, (int64_t)(whole - 1) / 2, scale);
        p.sampling_ratio = 1;
        expect(share(&p, 0, at, (whole - 1) / 2 - 1, NULL), 1, "the output", scale, at);
        /* a sample half a pixel beyond the last one exists */
        p = one_row(ps_align, (int64_t)whole, scale);
        p.samples_h = p.samples_w = 1;
        expect(share(&p, at, at + 9, whole - 1, NULL), 1, "the output", scale, at);
        /* a whole position is that pixel alone */
        double grad_offset = NAN;
        p = one_row(ps_align, (int64_t)whole + 2, scale);
        p.samples_h = p.samples_w = 1;
        p.deformable = 1;
        p.offset_scale = 1;
        expect(share(&p, at, at + 9, whole, &grad_offset), 1, "the output", scale, at);
        expect(grad_offset, 0, "the offset's gradient", scale, at);
    }
}

/* Sum and divisor of an adaptive RoI of 1e9 pixels: it ends, samples outside count in the divisor, and those in the map
 * are all there. */
static void huge_rois(void **state)
{
    (void)state;
    enum { BINS = 7, H = 6, W = 5 };
    const struct {
        double size;
        int64_t ratio;
    } rows[] = {{1e9, 0}, {123456789, 0}, {2147483648.0, 0}, {1e9, INT32_MAX}, {1e6, 1000000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_ref_roi t;
        cldeform_roi_pool_problem p = one_row(align, W, 1);
        p.level[0].in_h = H;
        p.out_h = p.out_w = BINS;
        p.sampling_ratio = rows[i].ratio;
        test_ref_roi_create(&t, &p, 1);
        test_ref_roi_set(&t, 0, 0, -rows[i].size, -rows[i].size, rows[i].size, rows[i].size);
        for (int e = 0; e < H * W; e++)
            t.input[0][e] = 3;
        test_ref_roi_forward(&t);
        test_ref_roi_backward(&t);
        const double bin = 2 * rows[i].size / BINS,
                     samples = rows[i].ratio ? (double)rows[i].ratio : ceil((double)(float)bin);
        /* in [-1, H] x [-1, W] or as good as that, one more or less at the ends */
        const double density = samples / bin, count = t.output[24] * samples * samples / 3;
        const double rows_in = floor((H + 1 + 1e-6) * density), columns_in = floor((W + 1 + 1e-6) * density);
        const double least = rows_in * columns_in, most = (rows_in + 1) * (columns_in + 1);
        if (!(fabs(count - round(count)) < 1e-6 && count > least - 0.5 && count < most + 0.5))
            fail_msg("size %g, ratio %lld: %.9g samples, not one of %g to %g", rows[i].size, (long long)rows[i].ratio,
                     count, least, most);
        double sum = 0;
        for (int e = 0; e < H * W; e++)
            sum += 3 * t.grad_input[0][e];
        assert_true(fabs(sum / t.output[24] - 1) < 1e-12);
        for (int e = 0; e < BINS * BINS; e++)
            assert_true(e == 24 || t.output[e] == 0);
        test_ref_roi_destroy(&t);
    }
}

/* Samples outside [-1, size] count in ALIGN's divisor, not in that of PS_ALIGN. */
static void divisors(void **state)
{
    (void)state;
    test_ref_roi t;
    cldeform_roi_pool_problem p = one_row(align, 4, 1);
    p.sampling_ratio = 4;
    test_ref_roi_create(&t, &p, 1);
    for (int e = 0; e < 4; e++)
        t.input[0][e] = 1;
    test_ref_roi_set(&t, 0, 0, 0.5, 0.5, 8.5, 0.5); /* samples at 1, 3, 5 and 7: those beyond 4 are not there */
    test_ref_roi_forward(&t);
    test_ref_roi_backward(&t);
    expect(t.output[0], 0.5, "the output", 0, 0);
    expect(t.grad_input[0][1], 0.25, "a pixel's gradient", 0, 1);
    expect(t.grad_input[0][3], 0.25, "a pixel's gradient", 0, 3);
    test_ref_roi_destroy(&t);

    p = one_row(ps_align, 4, 1);
    test_ref_roi_create(&t, &p, 1);
    for (int e = 0; e < 4; e++)
        t.input[0][e] = 1 + e;
    test_ref_roi_set(&t, 0, 0, 2, 0, 9, 0); /* samples at 1.5, 3.5, 5.5 and 7.5, in each row */
    test_ref_roi_forward(&t);
    test_ref_roi_backward(&t);
    expect(t.output[0], (2.5 + 4) / 2, "the output", 0, 0);
    expect(t.grad_input[0][1], 0.25, "a pixel's gradient", 0, 1);
    expect(t.grad_input[0][3], 0.5, "a pixel's gradient", 0, 3);
    test_ref_roi_destroy(&t);
}

/* Inverted and empty ones are as the formulas say: no adaptive sample, but those of a fixed number. */
static void inverted_and_empty_rois(void **state)
{
    (void)state;
    test_ref_roi t;
    const double inverted[5] = {0, 3.5, 1.5, 1.5, 0.5}, empty[5] = {0, 2.25, 0.5, 2.25, 0.5};
    cldeform_roi_pool_problem p = one_row(align, 4, 1);
    p.deformable = 1;
    for (int64_t ratio = 0; ratio < 4; ratio++) {
        p.sampling_ratio = ratio;
        test_ref_roi_create(&t, &p, 2);
        memcpy(t.roi, inverted, sizeof inverted);
        memcpy(t.roi + 5, empty, sizeof empty);
        t.offset[2] = t.offset[3] = 100; /* times a size of 0 */
        for (int e = 0; e < 4; e++)
            t.input[0][e] = e;
        test_ref_roi_forward(&t);
        test_ref_roi_backward(&t);
        assert_true(fabs(t.output[0] - (ratio ? 2 : 0)) < 1e-15); /* from 3 to 1, whose mean is 2 */
        assert_true(fabs(t.output[1] - (ratio ? 1.75 : 0)) < 1e-15);
        assert_true(fabs(t.grad_offset[0] - (ratio == 0 ? 0 : 0.1 * -2)) < 1e-15);
        expect(t.grad_offset[1], 0, "the y gradient", 0, 0); /* a map of one row */
        expect(t.grad_offset[2], 0, "the x gradient of an empty one", 0, 0);
        test_ref_roi_destroy(&t);
    }

    p = one_row(ps_align, 4, 1); /* at least 0.1 wide: both sample from 1.5 to less than 1.6 */
    test_ref_roi_create(&t, &p, 2);
    test_ref_roi_set(&t, 0, 0, 2, 0, -5, 0);
    test_ref_roi_set(&t, 1, 0, 2, 0, 1, 0);
    for (int e = 0; e < 4; e++)
        t.input[0][e] = e;
    test_ref_roi_forward(&t);
    for (int r = 0; r < 2; r++)
        assert_true(fabs(t.output[r] - (1.5 + 0.1 * (0 + 1 + 2 + 3) / 16)) < 1e-12);
    test_ref_roi_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_of_align),
        cmocka_unit_test(samples_of_ps_align),
        cmocka_unit_test(mmcv_formula),
        cmocka_unit_test(pixels_get_their_weights),
        cmocka_unit_test(fractions_are_not_rounded),
        cmocka_unit_test(samples_far_away_do_not_exist),
        cmocka_unit_test(only_the_pixels_of_a_sample_matter),
        cmocka_unit_test(infinite_gradients_stay_with_their_pixels),
        cmocka_unit_test(rounded_positions),
        cmocka_unit_test(huge_rois),
        cmocka_unit_test(divisors),
        cmocka_unit_test(inverted_and_empty_rois),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
