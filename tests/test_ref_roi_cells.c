/* The reference of RoI pooling against rules worked out by hand: bins of whole cells, which RoIs exist, which channel
 * and which offset a bin takes, which level a RoI belongs to. Samples: test_ref_roi.c. */
#include "ref_roi.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define expect test_ref_roi_expect

static const cldeform_roi_method ps = CLDEFORM_ROI_PS, max = CLDEFORM_ROI_MAX;

static cldeform_roi_pool_problem small(cldeform_roi_method method, int64_t in_h, int64_t in_w, int64_t out_h,
                                       int64_t out_w)
{
    cldeform_roi_pool_problem p = CLDEFORM_INIT(cldeform_roi_pool_problem);
    p.method = method;
    p.batch = p.in_channels = 1;
    p.group_size = method == ps || method == CLDEFORM_ROI_PS_ALIGN;
    p.level[0] = (cldeform_roi_level){in_h, in_w, 1};
    p.out_h = out_h, p.out_w = out_w;
    return p;
}

/* ---- whole cells --------------------------------------------------------------------------------------- */

/* Rows [top, bottom) and columns [left, right) are in the bin, and nothing else. */
static void expect_cells(test_ref_roi *t, int64_t bin, int64_t top, int64_t bottom, int64_t left, int64_t right)
{
    const int64_t in_h = t->problem.level[0].in_h, in_w = t->problem.level[0].in_w;
    const double area = (double)((bottom - top) * (right - left));
    for (int64_t e = 0; e < t->outputs; e++)
        t->grad_output[e] = e == bin ? 12 : 0;
    for (int64_t e = 0; e < in_h * in_w; e++)
        t->input[0][e] = NAN;
    for (int64_t y = top; y < bottom; y++)
        for (int64_t x = left; x < right; x++)
            t->input[0][y * in_w + x] = (double)(y * in_w + x); /* the largest is the last */
    test_ref_roi_forward(t);
    test_ref_roi_backward(t);
    double sum = 0;
    for (int64_t y = 0; y < in_h; y++) {
        for (int64_t x = 0; x < in_w; x++) {
            const bool inside = y >= top && y < bottom && x >= left && x < right;
            const bool last = y == bottom - 1 && x == right - 1;
            const double wanted = t->problem.method == max ? (inside && last ? 12 : 0) : inside ? 12 / area : 0;
            expect(t->grad_input[0][y * in_w + x], wanted, "a pixel's gradient", (double)y, (double)x);
            sum += inside ? t->input[0][y * in_w + x] : 0;
        }
    }
    if (t->problem.method == max) {
        expect(t->output[bin], area > 0 ? (double)((bottom - 1) * in_w + right - 1) : 0, "the output", 0, 0);
        assert_int_equal(t->argmax[bin], area > 0 ? (bottom - 1) * in_w + right - 1 : -1);
    } else {
        expect(t->output[bin], area > 0 ? sum / area : 0, "the output", 0, 0);
    }
}

static void bins_of_cells(void **state)
{
    (void)state;
    const struct {
        cldeform_roi_method method;
        double x1, y1, x2, y2;
        int64_t bin, top, bottom, left, right; /* of 2 x 3 bins of a map of 6 x 9 */
    } rows[] = {
        /* 9 x 6 cells: 3 x 3 a bin */
        {ps, 0, 0, 8, 5, 0, 0, 3, 0, 3},
        {ps, 0, 0, 8, 5, 5, 3, 6, 6, 9},
        {max, 0, 0, 8, 5, 1, 0, 3, 3, 6},
        /* coordinates are rounded, half away from zero */
        {ps, 0.5, -0.5, 8.5, 4.5, 0, 0, 3, 1, 4},
        {ps, 0.5, -0.5, 8.5, 4.5, 3, 2, 6, 1, 4},
        {ps, 0.49, 0.49, 8.49, 5.49, 5, 3, 6, 6, 9},
        /* but not by MAX: from 0.5 to 9.5 and -0.5 to 5.5 */
        {max, 0.5, -0.5, 8.5, 4.5, 0, 0, 3, 0, 4},
        {max, 0.5, -0.5, 8.5, 4.5, 5, 2, 6, 6, 9},
        /* floor and ceil: a bin of 1.333 x 1.5 cells */
        {ps, 2, 1, 5, 3, 0, 1, 3, 2, 4},
        {ps, 2, 1, 5, 3, 1, 1, 3, 3, 5},
        {ps, 2, 1, 5, 3, 5, 2, 4, 4, 6},
        {max, 2, 1, 5, 3, 4, 2, 4, 3, 5},
        /* smaller than a pixel: bins of one cell */
        {ps, 3, 2, 3, 2, 0, 2, 3, 3, 4},
        {max, 3.25, 2.5, 2.5, 1.75, 5, 2, 3, 3, 4},
        /* empty and inverted: at least 0.1, or nothing */
        {ps, 3, 2, 2, 1, 5, 2, 3, 3, 4},
        {ps, 3, 2, -5, -9, 5, 2, 3, 3, 4},
        {max, 3, 2, 2, 4, 0, 0, 0, 0, 0},
        {max, 3, 2, 5, 1, 0, 0, 0, 0, 0},
        {max, 3.5, 2.5, 2.5, 4, 0, 0, 0, 0, 0},
        {max, 3.5, 2.5, 4, 1.25, 0, 0, 0, 0, 0},
        {max, 3, 2, -4, -5, 0, 0, 0, 0, 0},
        /* over the borders, and outside */
        {ps, -3, -3, 5, 2, 0, 0, 0, 0, 0},
        {ps, -3, -3, 5, 2, 4, 0, 3, 0, 3},
        {max, -3, -3, 5, 2, 4, 0, 3, 0, 3},
        {max, 6, 3, 14, 8, 0, 3, 6, 6, 9},
        {max, 6, 3, 14, 8, 1, 0, 0, 0, 0},
        {ps, 9, 0, 20, 5, 0, 0, 0, 0, 0},
        {max, -20, -20, -1, -1, 5, 0, 0, 0, 0},
        /* huge ones touch the whole map */
        {ps, -1e9, -1e9, 1e9, 2e9, 1, 0, 6, 0, 9},
        {max, -1e9, -1e9, 1e9, 2e9, 1, 0, 6, 0, 9},
        {max, -1e9, -1e9, 1e9, 2e9, 2, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_ref_roi t;
        const cldeform_roi_pool_problem p = small(rows[i].method, 6, 9, 2, 3);
        test_ref_roi_create(&t, &p, 1);
        test_ref_roi_set(&t, 0, 0, rows[i].x1, rows[i].y1, rows[i].x2, rows[i].y2);
        expect_cells(&t, rows[i].bin, rows[i].top, rows[i].bottom, rows[i].left, rows[i].right);
        test_ref_roi_destroy(&t);
    }
}

/* From -0.4 in bins of 0.2: the second ends at 0, not at the 5.6e-17 that double precision leaves of the sum. */
static void cancelled_positions(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        test_ref_roi t;
        cldeform_roi_pool_problem p = small(i ? max : ps, 1, 4, 1, 3);
        p.level[0].spatial_scale = 0.1;
        test_ref_roi_create(&t, &p, 1);
        test_ref_roi_set(&t, 0, 0, -4, 0, 1, 0);
        expect_cells(&t, 1, 0, 0, 0, 0);
        expect_cells(&t, 2, 0, 1, 0, 1);
        test_ref_roi_destroy(&t);
    }
}

/* Coordinate times scale is whole where it is so in fp32, whatever double makes of it. */
static void rounded_positions(void **state)
{
    (void)state;
    const struct {
        double scale, coordinate;
        int64_t whole;
    } rows[] = {{0.1, 30, 3}, {0.1f, 30, 3}, {0.07, 100, 7}, {0.29, 100, 29}, {0.7, 90, 63}};
    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        const int64_t at = rows[i / 2].whole;
        const double coordinate = rows[i / 2].coordinate;
        test_ref_roi t;
        cldeform_roi_pool_problem p = small(i % 2 ? max : ps, 1, 3 * at, 1, 2);
        p.level[0].spatial_scale = rows[i / 2].scale;
        test_ref_roi_create(&t, &p, 1);
        test_ref_roi_set(&t, 0, 0, coordinate, 0, 3 * coordinate - 1, 0);
        expect_cells(&t, 0, 0, 1, at, 2 * at);
        expect_cells(&t, 1, 0, 1, 2 * at, 3 * at);
        test_ref_roi_destroy(&t);
    }
}

static void first_of_the_largest(void **state)
{
    (void)state;
    const struct {
        double input[4]; /* of a map of 2 x 2 */
        int32_t argmax;
    } rows[] = {
        {{1, 5, 5, 2}, 1},
        {{-3, -4, -2, -9}, 2},
        {{-INFINITY, -INFINITY, -INFINITY, -INFINITY}, 0},
        {{-INFINITY, -DBL_MAX, -INFINITY, -DBL_MAX}, 1},
        {{1, INFINITY, NAN, 3}, 2},
        {{NAN, 7, NAN, INFINITY}, 0},
        {{0.0, -0.0, 0.0, -0.0}, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_ref_roi t;
        const cldeform_roi_pool_problem p = small(max, 2, 2, 1, 1);
        test_ref_roi_create(&t, &p, 1);
        memcpy(t.input[0], rows[i].input, sizeof rows[i].input);
        test_ref_roi_forward(&t);
        test_ref_roi_backward(&t);
        assert_int_equal(t.argmax[0], rows[i].argmax);
        expect(t.output[0], rows[i].input[rows[i].argmax], "the output", 0, (double)i);
        for (int e = 0; e < 4; e++)
            expect(t.grad_input[0][e], e == rows[i].argmax, "a pixel's gradient", 0, e);
        test_ref_roi_destroy(&t);
    }
}

/* argmax is the caller's: backward writes where it says, and nowhere outside of the map. */
static void argmax_is_not_believed(void **state)
{
    (void)state;
    const int32_t bad[] = {-1, -2, INT32_MIN, 4, 5, INT32_MAX};
    test_ref_roi t;
    const cldeform_roi_pool_problem p = small(max, 2, 2, 1, 1);
    test_ref_roi_create(&t, &p, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        t.argmax[0] = bad[i];
        test_ref_roi_backward(&t);
        for (int e = 0; e < 4; e++)
            expect(t.grad_input[0][e], 0, "a pixel's gradient", 0, e);
    }
    t.argmax[0] = 3;
    test_ref_roi_backward(&t);
    expect(t.grad_input[0][3], 1, "a pixel's gradient", 0, 3);
    test_ref_roi_destroy(&t);
}

/* ---- which RoIs exist ---------------------------------------------------------------------------------- */

static cldeform_roi_pool_problem two_images(cldeform_roi_method method, double scale)
{
    cldeform_roi_pool_problem p = small(method, 3, 4, 2, 2);
    p.batch = 2;
    p.levels = 2;
    p.level[1] = (cldeform_roi_level){2, 3, scale};
    p.level[0].spatial_scale = scale;
    p.deformable = p.modulated = method == CLDEFORM_ROI_ALIGN || method == CLDEFORM_ROI_PS_ALIGN;
    return p;
}

static void fill(double *values, int64_t elements, double value)
{
    for (int64_t e = 0; values && e < elements; e++)
        values[e] = value;
}

/* One RoI that pools zeros and has no gradients, whatever the tensors hold. */
static void expect_nothing(test_ref_roi *t, const char *what)
{
    for (int l = 0; l < 2; l++)
        fill(t->input[l], t->inputs[l], NAN);
    fill(t->offset, t->offsets, NAN);
    fill(t->mask, t->masks, NAN);
    fill(t->grad_output, t->outputs, NAN);
    test_ref_roi_forward(t);
    for (int64_t e = 0; e < t->outputs; e++)
        expect(t->output[e], 0, what, 0, (double)e);
    for (int64_t e = 0; t->argmax && e < t->outputs; e++) {
        assert_int_equal(t->argmax[e], -1);
        t->argmax[e] = 0;
    }
    test_ref_roi_backward(t);
    for (int l = 0; l < 2; l++)
        for (int64_t e = 0; e < t->inputs[l]; e++)
            expect(t->grad_input[l][e], 0, what, 1, (double)e);
    for (int64_t e = 0; e < t->offsets; e++)
        expect(t->grad_offset[e], 0, what, 2, (double)e);
    for (int64_t e = 0; e < t->masks; e++)
        expect(t->grad_mask[e], 0, what, 3, (double)e);
}

static void rois_that_do_not_exist(void **state)
{
    (void)state;
    const double images[] = {-1, -0.5, 0.5, 1.5, 2, 1e30, NAN, INFINITY, -INFINITY};
    const double coordinates[] = {NAN,     INFINITY, -INFINITY,    1e30,         -1e30,
                                  DBL_MAX, -DBL_MAX, 2147484000.0, -2147484000.0};
    for (int method = CLDEFORM_ROI_ALIGN; method <= CLDEFORM_ROI_MAX; method++) {
        for (int scaled = 0; scaled < 2; scaled++) {
            test_ref_roi t;
            const double scale = scaled ? 0.5 : 1;
            const cldeform_roi_pool_problem p = two_images((cldeform_roi_method)method, scale);
            test_ref_roi_create(&t, &p, 1);
            for (size_t i = 0; i < sizeof images / sizeof images[0]; i++) {
                test_ref_roi_set(&t, 0, images[i], 0, 0, 3, 2);
                expect_nothing(&t, "a RoI of an image that does not exist");
            }
            for (size_t i = 0; i < 4 * sizeof coordinates / sizeof coordinates[0]; i++) {
                test_ref_roi_set(&t, 0, 1, 0, 0, 3, 2);
                t.roi[1 + i % 4] = coordinates[i / 4] / scale;
                expect_nothing(&t, "a RoI with a coordinate that is too large");
            }
            test_ref_roi_set(&t, 0, 1, 0, 0, 3, 2);
            t.level = malloc(sizeof *t.level);
            assert_non_null(t.level);
            const int32_t levels[] = {-1, 2, INT32_MAX, INT32_MIN};
            for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
                t.level[0] = levels[i];
                expect_nothing(&t, "a RoI of a level that does not exist");
            }
            test_ref_roi_destroy(&t);
        }
    }
}

/* The last ones that do exist. */
static void rois_that_just_exist(void **state)
{
    (void)state;
    for (int method = CLDEFORM_ROI_ALIGN; method <= CLDEFORM_ROI_MAX; method++) {
        test_ref_roi t;
        cldeform_roi_pool_problem p = two_images((cldeform_roi_method)method, 0.5);
        p.out_h = p.out_w = 1;
        p.deformable = p.modulated = 0;
        p.levels = 1;
        test_ref_roi_create(&t, &p, 2);
        fill(t.input[0], t.inputs[0], 2);
        test_ref_roi_set(&t, 0, 1, -4294967296.0, -4294967296.0, 4294967296.0, 4294967296.0);
        test_ref_roi_set(&t, 1, -0.0, 1, 1, 3, 2);
        test_ref_roi_forward(&t);
        assert_true(t.output[0] > 0 && ((cldeform_roi_method)method != ps || t.output[0] == 2));
        expect(t.output[1], 2, "the output", 0, method);
        test_ref_roi_destroy(&t);
    }
}

/* No image: no RoI exists, and no input need be there. */
static void empty_batch(void **state)
{
    (void)state;
    for (int method = CLDEFORM_ROI_ALIGN; method <= CLDEFORM_ROI_MAX; method++) {
        test_ref_roi t;
        cldeform_roi_pool_problem p = two_images((cldeform_roi_method)method, 1);
        p.batch = 0;
        test_ref_roi_create(&t, &p, 2);
        double *const inputs[2] = {t.input[0], t.input[1]};
        test_ref_roi_set(&t, 0, 0, 0, 0, 3, 2);
        t.input[0] = t.input[1] = NULL;
        expect_nothing(&t, "a RoI of an empty batch");
        t.input[0] = inputs[0], t.input[1] = inputs[1];
        test_ref_roi_destroy(&t);
    }
}

/* ---- which channel, which offset ----------------------------------------------------------------------- */

static void channels_of_bins(void **state)
{
    (void)state;
    const struct {
        int64_t group, out_h, out_w;
    } rows[] = {{0, 3, 3}, {2, 3, 5}, {2, 4, 4}, {3, 7, 2}, {1, 2, 3}, {5, 2, 2}};
    for (int method = CLDEFORM_ROI_PS_ALIGN; method <= CLDEFORM_ROI_PS; method++) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            const int64_t out_h = rows[i].out_h, out_w = rows[i].out_w, g = rows[i].group ? rows[i].group : out_h;
            test_ref_roi t;
            cldeform_roi_pool_problem p = small((cldeform_roi_method)method, 4, 4, out_h, out_w);
            p.group_size = rows[i].group;
            p.in_channels = 2 * g * g;
            test_ref_roi_create(&t, &p, 1);
            assert_int_equal(t.outputs, 2 * out_h * out_w);
            test_ref_roi_set(&t, 0, 0, 0, 0, 3, 3);
            for (int64_t e = 0; e < t.inputs[0]; e++)
                t.input[0][e] = (double)(e / 16);
            test_ref_roi_forward(&t);
            for (int64_t e = 0; e < t.outputs; e++) {
                const int64_t o = e / (out_h * out_w), y = e / out_w % out_h, x = e % out_w;
                expect(t.output[e], (double)((o * g + y * g / out_h) * g + x * g / out_w), "the output", (double)i,
                       (double)e);
            }
            test_ref_roi_destroy(&t);
        }
    }
}

/* Every offset but one leads away: the bins of its part and the channels of its class are those that see anything.
 * Parts are counted in whole numbers: at 22 of 22 a quotient in fp32 is one short. */
static void parts_and_classes(void **state)
{
    (void)state;
    const struct {
        int64_t out_h, out_w, part_h, part_w, classes;
    } rows[] = {{4, 6, 2, 3, 3}, {4, 5, 3, 2, 1}, {2, 3, 3, 4, 2}, {22, 23, 22, 23, 1}, {3, 3, 1, 1, 6}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const int64_t out_h = rows[i].out_h, out_w = rows[i].out_w, classes = rows[i].classes;
        test_ref_roi t;
        cldeform_roi_pool_problem p = small(CLDEFORM_ROI_PS_ALIGN, 4, 4, out_h, out_w);
        p.deformable = 1;
        p.in_channels = 6;
        p.part_h = rows[i].part_h, p.part_w = rows[i].part_w, p.offset_classes = classes;
        const int64_t parts = p.part_h * p.part_w;
        test_ref_roi_create(&t, &p, 1);
        assert_int_equal(t.offsets, 2 * classes * parts);
        test_ref_roi_set(&t, 0, 0, 0, 0, 3, 3);
        fill(t.input[0], t.inputs[0], 1);
        for (int64_t c = 0; c < classes; c++) {
            const int64_t step = parts > 100 ? 41 : 1;
            for (int64_t part = 0; part < parts; part += step) {
                fill(t.offset, t.offsets, NAN);
                t.offset[2 * c * parts + part] = t.offset[(2 * c + 1) * parts + part] = 0;
                test_ref_roi_forward(&t);
                for (int64_t e = 0; e < t.outputs; e++) {
                    const int64_t o = e / (out_h * out_w), y = e / out_w % out_h, x = e % out_w;
                    const bool sees =
                        o / (6 / classes) == c && y * p.part_h / out_h * p.part_w + x * p.part_w / out_w == part;
                    expect(t.output[e], sees, "the output", (double)i, (double)e);
                }
            }
        }
        test_ref_roi_destroy(&t);
    }
}

/* ---- levels -------------------------------------------------------------------------------------------- */

static cldeform_roi_pool_problem pyramid(void)
{
    cldeform_roi_pool_problem p = small(CLDEFORM_ROI_PS, 8, 8, 1, 1);
    p.levels = 4;
    p.canonical_level = 2;
    for (int l = 1; l < 4; l++)
        p.level[l] = (cldeform_roi_level){8 - l, 8 + l, ldexp(1, -l)};
    return p;
}

static void levels_at_thresholds(void **state)
{
    (void)state;
    const double below = (double)nextafterf(224.0f * 224.0f, 0.0f); /* an area of fp32 */
    const struct {
        double width, height;
        int32_t level;
    } rows[] = {
        {224, 224, 2},   {below, 1, 1},         {224 * 224, 1, 2},  {224 * 224 - 1e-6, 1, 2},
        {447, 448, 2},   {448, 448, 3},         {1e6, 1e6, 3},      {1e30, 1e30, 3},
        {112, 112, 1},   {112, 111.99, 0},      {56, 56, 0},        {1, 1, 0},
        {0, 0, 0},       {-500, 500, 0},        {-500, -500, 0},    {1e5, 224 * 224e-5, 2},
        {1e5, 0.125, 0}, {1, 4 * 224 * 224, 3}, {224, INFINITY, 0}, {224, NAN, 0},
        {NAN, 224, 0},   {-INFINITY, 224, 0},   {448, 447.99, 2},
    };
    const cldeform_roi_pool_problem p = pyramid();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const double roi[5] = {0, 0, 0, rows[i].width, rows[i].height},
                     swapped[5] = {9, -3, 0, rows[i].height - 3, rows[i].width};
        int32_t level = -7;
        assert_ok(cldeform_ref_roi_pool_assign_levels(&p, 1, roi, &level));
        if (level != rows[i].level)
            fail_msg("%g x %g is of level %d, not %d", rows[i].width, rows[i].height, level, rows[i].level);
        if (fabs(rows[i].height) >= 1 && fabs(rows[i].height) < 1e3) { /* 3 more, 3 less: the same to the bit */
            assert_ok(cldeform_ref_roi_pool_assign_levels(&p, 1, swapped, &level));
            assert_int_equal(level, rows[i].level);
        }
    }
    cldeform_roi_pool_problem other = p;
    const double roi[5] = {0, 0, 0, 100, 100};
    const struct {
        double size;
        int64_t canonical;
        int32_t level;
    } constants[] = {{100, 0, 0}, {100, 3, 3}, {50, 0, 1},  {50, 1, 2},
                     {26, 0, 1},  {25, 0, 2},  {201, 3, 1}, {1e-3, 0, 3}};
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++) {
        int32_t level = -7;
        other.canonical_size = constants[i].size;
        other.canonical_level = constants[i].canonical;
        assert_ok(cldeform_ref_roi_pool_assign_levels(&other, 1, roi, &level));
        assert_int_equal(level, constants[i].level);
    }
}

/* RoIs that begin at pixel (2, 3) of their level's map, which is NaN before. */
static void expect_levels(test_ref_roi *t, const int32_t levels[4], const double sides[4])
{
    for (int r = 0; r < 4; r++) {
        const double pixel = ldexp(1, levels[r]);
        test_ref_roi_set(t, r, 0, 3 * pixel, 2 * pixel, 3 * pixel + sides[r], 2 * pixel + sides[r]);
    }
    test_ref_roi_forward(t);
    test_ref_roi_backward(t);
    for (int r = 0; r < 4; r++) {
        double sum = 0;
        for (int64_t e = 0; e < t->inputs[r]; e++)
            sum += t->grad_input[r][e];
        expect(t->output[r], 1 + levels[r], "the output", levels[r], sides[r]);
        assert_true(fabs(sum - 1) < 1e-12); /* one RoI a level */
    }
}

/* A RoI takes its level's map, by its scale, whether the level is given or found. */
static void rois_pool_from_their_level(void **state)
{
    (void)state;
    const int32_t in_order[4] = {0, 1, 2, 3}, mixed[4] = {2, 0, 3, 1};
    const double growing[4] = {100, 112, 224, 448}, same[4] = {90, 90, 90, 90};
    const cldeform_roi_pool_problem p = pyramid();
    test_ref_roi t;
    test_ref_roi_create(&t, &p, 4);
    for (int l = 0; l < 4; l++)
        for (int64_t e = 0; e < t.inputs[l]; e++)
            t.input[l][e] = e / p.level[l].in_w < 2 || e % p.level[l].in_w < 3 ? NAN : 1.0 + l;
    expect_levels(&t, in_order, growing);
    t.level = malloc(sizeof mixed);
    assert_non_null(t.level);
    memcpy(t.level, mixed, sizeof mixed);
    expect_levels(&t, mixed, same);
    test_ref_roi_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bins_of_cells),          cmocka_unit_test(cancelled_positions),
        cmocka_unit_test(rounded_positions),      cmocka_unit_test(first_of_the_largest),
        cmocka_unit_test(argmax_is_not_believed), cmocka_unit_test(rois_that_do_not_exist),
        cmocka_unit_test(rois_that_just_exist),   cmocka_unit_test(empty_batch),
        cmocka_unit_test(channels_of_bins),       cmocka_unit_test(parts_and_classes),
        cmocka_unit_test(levels_at_thresholds),   cmocka_unit_test(rois_pool_from_their_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
