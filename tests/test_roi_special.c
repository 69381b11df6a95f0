/* RoIs and pixels that break careless kernels, forward and backward: RoIs across and beyond every border, without
 * extent, inverted, huge, of no number, of no image; NaN where nothing is read; positions beside whole ones. */
#include "context.h"
#include "roi_shapes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void check(test_roi *roi, bool exact)
{
    test_roi_reference(roi);
    test_roi_check(&device, roi, TEST_ROI_FORWARD, &(test_run){0}, exact);
    test_roi_check(&device, roi, TEST_ROI_BACKWARD, &(test_run){.workspace = true}, exact);
}

/* One of each method, and one more. */
static const char *const each_method[] = {"adaptive", "PS 3x3", "PS cells 3x3", "max 3x5", "7x7 like a network's"};
enum { METHODS = 4, SHAPES = 5 };

static cldeform_roi_pool_problem problem_of(int i, int64_t max_rois)
{
    const bool samples = i != 2 && i != 3;
    cldeform_roi_pool_problem problem = test_roi_problem_of(each_method[i], samples, samples, max_rois);
    problem.layout = i % 2 ? CLDEFORM_NHWC : CLDEFORM_NCHW;
    return problem;
}

/* ---- RoIs ---------------------------------------------------------------------------------------------- */

/* A RoI's extent along an axis, in pixels of the map: beyond * its size + by. */
typedef struct end {
    double sizes, by;
} end;
static const struct {
    end low, high;
    bool exists;
} spans[] = {
    {{0, 1.3}, {0.7, 0.4}, true},    /* inside                   */
    {{0, -3.1}, {0, 2.2}, true},     /* across the first pixel   */
    {{1, -2.2}, {1, 3.4}, true},     /* ... the last             */
    {{0, -2.6}, {1, 2.3}, true},     /* ... both                 */
    {{0, -9.3}, {0, -5.2}, true},    /* outside                  */
    {{1, 4.1}, {1, 9.7}, true},      /*                          */
    {{0, 1.31}, {0, 1.42}, true},    /* within a pixel           */
    {{0, 2.25}, {0, 2.25}, true},    /* a point                  */
    {{0, 5.1}, {0, 1.7}, true},      /* inverted                 */
    {{1, 2.1}, {0, -3.6}, true},     /* inverted, across both    */
    {{0, -1e9}, {0, 1.1e9}, true},   /* huge                     */
    {{0, 1.4}, {0, 1.9e9}, true},    /*                          */
    {{0, 1.9e9}, {0, -1.7e9}, true}, /* huge and inverted        */
    {{0, -0.5}, {1, -0.5}, true},    /* exactly the map          */
    {{0, -2.2e9}, {0, 4.5}, false},  /* beyond 2^31              */
    {{0, 1.5}, {0, 3e9}, false},     /*                          */
    {{0, 1.5}, {0, 1e30}, false},    /*                          */
    {{0, NAN}, {0, 3.5}, false},     /* no number                */
    {{0, 0.5}, {0, NAN}, false},     /*                          */
    {{0, -INFINITY}, {0, 4}, false}, /*                          */
    {{0, 0}, {0, INFINITY}, false},  /*                          */
};
enum { SPANS = sizeof spans / sizeof spans[0] };

static double place(const end *at, int64_t size, double scale)
{
    return (at->sizes * (double)size + at->by) / scale;
}

/* Whether everything of RoI r is 0, and its argmax -1. */
static bool is_nothing(const test_roi *roi, const test_roi_found *found, int64_t r)
{
    static const int rows[] = {TEST_ROI_OUTPUT, TEST_ROI_ARGMAX, TEST_ROI_GRAD_OFFSET, TEST_ROI_GRAD_MASK};
    bool nothing = true;
    for (int i = 0; i < 4; i++) {
        const int64_t row = roi->n > 0 ? roi->tensor[rows[i]].shape.elements / roi->n : 0;
        for (int64_t e = r * row; found->values[rows[i]] && e < (r + 1) * row; e++)
            nothing = nothing && found->values[rows[i]][e] == (rows[i] == TEST_ROI_ARGMAX ? -1 : 0);
    }
    return nothing;
}

/* RoIs that do not exist give nothing, and to no gradient. exists: by RoI. */
static void check_existence(const test_roi *roi, const bool *exists)
{
    test_roi_found forward = test_roi_run(&device, roi, TEST_ROI_FORWARD, &(test_run){0});
    test_roi_found backward = test_roi_run(&device, roi, TEST_ROI_BACKWARD, &(test_run){0});
    for (int64_t r = 0; r < roi->n; r++)
        if (!exists[r] && !(is_nothing(roi, &forward, r) && is_nothing(roi, &backward, r)))
            fail_msg("RoI %lld does not exist and gives something", (long long)r);
    test_roi_found_free(&forward);
    test_roi_found_free(&backward);
}

static void everywhere(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        const cldeform_roi_pool_problem problem = problem_of(i, SPANS * SPANS);
        const cldeform_roi_level *l = problem.level;
        bool exists[SPANS * SPANS];
        test_roi roi;
        if (i >= METHODS && test_compiles_slowly(&device))
            continue;
        test_roi_create(&roi, &problem, SPANS * SPANS, false, TEST_RANDOM, 5);
        for (int y = 0; y < SPANS; y++)
            for (int x = 0; x < SPANS; x++) {
                const int r = y * SPANS + x;
                exists[r] = spans[y].exists && spans[x].exists;
                test_roi_set(&roi, r, r % (int)problem.batch, place(&spans[x].low, l->in_w, l->spatial_scale),
                             place(&spans[y].low, l->in_h, l->spatial_scale),
                             place(&spans[x].high, l->in_w, l->spatial_scale),
                             place(&spans[y].high, l->in_h, l->spatial_scale));
            }
        check(&roi, false);
        check_existence(&roi, exists);
        test_roi_destroy(&roi);
    }
}

/* Batch indices and levels that do not exist. */
static void of_no_map(void **state)
{
    (void)state;
    static const char *const names[] = {"3 levels", "PS 2 levels, 2 classes", "PS cells, group 2, 3 levels",
                                        "max 2 levels"};
    for (int i = 0; i < 4; i++) {
        const cldeform_roi_pool_problem problem = test_roi_problem_of(names[i], i < 2, i < 2, 24);
        const double batch = (double)problem.batch, levels = (double)problem.levels;
        const struct {
            double image, level;
            bool exists;
        } rois[] = {
            {0, 0, true},          {-1, 0, false},           {batch, 0, false},
            {0.5, 0, false},       {NAN, 0, false},          {INFINITY, 0, false},
            {-INFINITY, 0, false}, {1e30, 0, false},         {4294967296.0, 0, false},
            {-0.25, 0, false},     {-0.0, 0, true},          {batch - 1, levels - 1, true},
            {0, -1, false},        {0, levels, false},       {0, INT32_MAX, false},
            {0, INT32_MIN, false}, {2147483648.0, 1, false}, {-2147483648.0, 1, false},
        };
        enum { N = sizeof rois / sizeof rois[0] };
        bool exists[N];
        test_roi roi;
        test_roi_create(&roi, &problem, N, true, TEST_EXACT, 6);
        for (int r = 0; r < N; r++) {
            exists[r] = rois[r].exists;
            roi.tensor[TEST_ROI_ROIS].values[5 * r] = test_round(rois[r].image, roi.sizes.roi_dtype);
            roi.tensor[TEST_ROI_LEVEL].values[r] = rois[r].level;
        }
        check(&roi, false);
        check_existence(&roi, exists);
        test_roi_destroy(&roi);
    }
}

/* Samples at NaN, infinite and huge offsets do not exist; the others of the RoI do. */
static void wild_offsets(void **state)
{
    (void)state;
    static const double wild[] = {NAN, INFINITY, -INFINITY, 3e38, -3e38, 1e30, -1e30, 65504, 2147483648.0, -4e18};
    for (int i = 0; i < 2; i++) {
        const cldeform_roi_pool_problem problem = problem_of(i, 20);
        test_roi roi;
        test_roi_create(&roi, &problem, 20, false, TEST_EXACT, 7);
        const test_roi_tensor *offset = &roi.tensor[TEST_ROI_OFFSET];
        for (int64_t e = 0; e < offset->shape.elements; e += 3)
            offset->values[e] = (double)(float)wild[e / 3 % 10];
        check(&roi, true);
        test_roi_destroy(&roi);
    }
}

/* More samples of a bin than are looked at one by one: those of a map are found by bisection. The first RoI's begin and
 * end exactly where samples begin and cease to exist. */
static void many_samples(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        cldeform_roi_pool_problem problem = problem_of(i, 20);
        const cldeform_roi_level *l = problem.level;
        if (i)
            problem.samples_h = 64, problem.samples_w = 33;
        else
            problem.sampling_ratio = 50;
        test_roi roi;
        test_roi_create(&roi, &problem, 20, false, TEST_RANDOM, 14);
        const test_roi_tensor *offset = &roi.tensor[TEST_ROI_OFFSET];
        for (int64_t e = 0; e < offset->shape.elements / roi.n; e++)
            offset->values[e] = 0;
        test_roi_set(&roi, 0, 0, 0, 0, (double)l->in_w / l->spatial_scale - 1, (double)l->in_h / l->spatial_scale - 1);
        check(&roi, false);
        test_roi_destroy(&roi);
    }
}

/* ---- pixels -------------------------------------------------------------------------------------------- */

/* What no sample or cell reads may hold anything: what has weight 0 is not read. */
static void unread_pixels(void **state)
{
    (void)state;
    static const double fill[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) { /* not of ROI_MAX, which looks at all cells of a bin */
        const cldeform_roi_pool_problem problem = problem_of(i, 6);
        test_roi roi;
        test_roi_create(&roi, &problem, 6, false, TEST_EXACT, 41);
        /* with gradients of 1, the gradient of the input is that of the pixels that are read */
        test_roi_tensor *grad = &roi.tensor[TEST_ROI_GRAD_OUTPUT], *input = &roi.tensor[TEST_ROI_INPUT];
        test_roi_fill(&roi, TEST_ROI_GRAD_OUTPUT, 1);
        double *mask = roi.tensor[TEST_ROI_MASK].values;
        for (int64_t e = 0; e < roi.tensor[TEST_ROI_MASK].shape.elements; e++)
            mask[e] = fabs(mask[e]) + 0.25;
        test_roi_reference(&roi);
        int64_t unread = 0;
        for (int64_t e = 0; e < input->shape.elements; e++)
            if (roi.tensor[TEST_ROI_GRAD_INPUT].values[e] == 0) {
                input->values[e] = fill[e % 3];
                unread++;
            }
        assert_true(unread > input->shape.elements / 10 && unread < input->shape.elements);
        for (int64_t e = 0; e < grad->shape.elements; e++)
            grad->values[e] = (double)(e % 7) - 3;
        test_roi_reference(&roi);
        for (int64_t e = 0; e < roi.tensor[TEST_ROI_OUTPUT].shape.elements; e++)
            assert_true(isfinite(roi.tensor[TEST_ROI_OUTPUT].values[e]));
        test_roi_check(&device, &roi, TEST_ROI_FORWARD, &(test_run){0}, true);
        test_roi_check(&device, &roi, TEST_ROI_BACKWARD,
                       &(test_run){.gradients = roi.sizes.gradients & ~CLDEFORM_GRAD_OFFSET}, true);
        test_roi_destroy(&roi);
    }
}

/* A NaN is the largest of its bin, the first of several, wherever it comes; infinities are as large as they are. */
static void largest_of_no_number(void **state)
{
    (void)state;
    static const double fill[] = {NAN, INFINITY, -INFINITY, NAN};
    const cldeform_roi_pool_problem problem = problem_of(3, 20);
    test_roi roi;
    test_roi_create(&roi, &problem, 20, false, TEST_EXACT, 42);
    for (int64_t e = 0; e < roi.tensor[TEST_ROI_INPUT].shape.elements; e += 11)
        roi.tensor[TEST_ROI_INPUT].values[e] = fill[e / 11 % 4];
    check(&roi, true);
    /* all equal, and all as small as they can be: the first */
    test_roi_fill(&roi, TEST_ROI_INPUT, -INFINITY);
    check(&roi, true);
    test_roi_fill(&roi, TEST_ROI_INPUT, -3);
    check(&roi, true);
    test_roi_destroy(&roi);
}

/* An argmax that is no pixel gives nothing, and leads nowhere. */
static void argmax_of_others(void **state)
{
    (void)state;
    static const double wrong[] = {-1, -2, INT32_MIN, INT32_MAX, 13 * 17, 1e9};
    const cldeform_roi_pool_problem problem = problem_of(3, 20);
    test_roi roi;
    test_roi_create(&roi, &problem, 20, false, TEST_EXACT, 43);
    test_roi_reference(&roi);
    const bool nhwc = problem.layout == CLDEFORM_NHWC;
    test_roi_fill(&roi, TEST_ROI_GRAD_INPUT, 0);
    const int64_t channels = roi.sizes.out_channels, bins = problem.out_h * problem.out_w;
    const int64_t plane = problem.level[0].in_h * problem.level[0].in_w;
    for (int64_t e = 0; e < roi.tensor[TEST_ROI_ARGMAX].shape.elements; e++) {
        double *argmax = &roi.tensor[TEST_ROI_ARGMAX].values[e];
        const int64_t r = e / (channels * bins), c = nhwc ? e % channels : e / bins % channels;
        const int64_t image = (int64_t)roi.tensor[TEST_ROI_ROIS].values[5 * r];
        if (e % 5 == 0)
            *argmax = wrong[e / 5 % 6];
        if (*argmax < 0 || *argmax >= (double)plane)
            continue;
        const int64_t at = (int64_t)*argmax;
        roi.tensor[TEST_ROI_GRAD_INPUT]
            .values[nhwc ? (image * plane + at) * channels + c : (image * channels + c) * plane + at] +=
            roi.tensor[TEST_ROI_GRAD_OUTPUT].values[e];
    }
    test_roi_check(&device, &roi, TEST_ROI_BACKWARD, &(test_run){0}, true);
    test_roi_destroy(&roi);
}

/* ---- positions beside whole ones ----------------------------------------------------------------------- */

/* One RoI of one bin on a map of one row or so, whose result is known. */
typedef struct known {
    cldeform_roi_method method;
    int64_t in_h, in_w, ratio;
    double scale, x1, x2;
    int map; /* what pixel x holds */
    double output;
} known;
enum { X, SQUARE, BACKWARDS, ALONE };
enum { CHANNELS = 5 }; /* all alike: as many as other problems have here, for their programs */

/* Products that are not whole, nor are they in double precision, but in single: 7.000000000000001, 28.999999999999996
 * and the like. */
static const known positions[] = {
    /* 0.28 * 25 = 7.000000000000001 ends before pixel 7, 0.29 * 100 = 28.999999999999996 begins at pixel 29 */
    {CLDEFORM_ROI_MAX, 2, 40, 0, 0.28, 0, 24, X, 6},
    {CLDEFORM_ROI_MAX, 2, 40, 0, 0.29, 100, 103, BACKWARDS, -29},
    {CLDEFORM_ROI_PS, 2, 40, 0, 0.28, 0, 24, X, 3},
    {CLDEFORM_ROI_PS, 2, 40, 0, 0.29, 100, 103, BACKWARDS, -29.5},
    /* at 0.07 * 50 - 0.5 = 3.0000000000000004, the end of a map of 3: it exists, and is the last pixel */
    {CLDEFORM_ROI_ALIGN, 1, 3, 1, 0.07, 50, 50, X, 2},
    /* 0.07 * 100 = 7.000000000000001 wide: 7 samples, at 0, 1, ... 6, whose squares' mean is 13 */
    {CLDEFORM_ROI_ALIGN, 1, 12, 0, 0.07, 0, 100, SQUARE, 13},
    /* 0.29 * 50 - 0.5 = 13.999999999999998 is pixel 14, and for ROI_PS_ALIGN nothing of its neighbours */
    {CLDEFORM_ROI_ALIGN, 1, 20, 1, 0.29, 50, 50, X, 14},
    {CLDEFORM_ROI_PS_ALIGN, 1, 20, 0, 0.29, 50, 52, ALONE, 14},
    /* 0.28 * 25 - 0.5 = 6.500000000000001, the end of a map of 7 */
    {CLDEFORM_ROI_PS_ALIGN, 1, 7, 0, 0.28, 25, 30, X, 6},
};

static cldeform_roi_pool_problem known_problem(const known *k)
{
    cldeform_roi_pool_problem p = CLDEFORM_INIT(cldeform_roi_pool_problem);
    const bool ps = k->method == CLDEFORM_ROI_PS || k->method == CLDEFORM_ROI_PS_ALIGN;
    p.method = k->method;
    p.batch = 1, p.in_channels = CHANNELS, p.max_rois = 1;
    p.level[0] = (cldeform_roi_level){k->in_h, k->in_w, k->scale};
    p.out_h = p.out_w = 1;
    p.sampling_ratio = k->ratio;
    p.group_size = ps;
    p.samples_h = p.samples_w = k->method == CLDEFORM_ROI_PS_ALIGN;
    return p;
}

static void fill_known(const known *k, test_roi *roi)
{
    for (int64_t e = 0; e < CHANNELS * k->in_h * k->in_w; e++) {
        const double x = (double)(e % k->in_w);
        roi->tensor[TEST_ROI_INPUT].values[e] = k->map == X           ? x
                                                : k->map == SQUARE    ? x * x
                                                : k->map == BACKWARDS ? -x
                                                : x == k->output      ? x
                                                                      : (double)NAN;
    }
    /* along y: within the first row, whatever the method */
    const double y1 = k->method == CLDEFORM_ROI_ALIGN ? 0.5 / k->scale : 0;
    test_roi_set(roi, 0, 0, k->x1, y1, k->x2, k->method == CLDEFORM_ROI_ALIGN && !k->ratio ? 2 * y1 : y1);
}

/* DIFFERS: others decide by numbers that were rounded on the way, to the type of the data. */
static void rounded_positions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++) {
        const known *k = &positions[i];
        for (int d = CLDEFORM_F32; d <= (device.fp64 ? CLDEFORM_F64 : CLDEFORM_F32); d++) {
            cldeform_roi_pool_problem problem = known_problem(k);
            problem.dtype = (cldeform_dtype)d;
            test_roi roi;
            test_roi_create(&roi, &problem, 1, false, TEST_EXACT, 1);
            fill_known(k, &roi);
            test_roi_reference(&roi);
            for (int o = 0; o < CHANNELS; o++)
                if (!(fabs(roi.tensor[TEST_ROI_OUTPUT].values[o] - k->output) < 1e-12))
                    fail_msg("position %zu: the reference gives %.17g, not %g", i,
                             roi.tensor[TEST_ROI_OUTPUT].values[o], k->output);
            test_roi_check(&device, &roi, TEST_ROI_FORWARD, &(test_run){0}, false);
            test_roi_destroy(&roi);
        }
    }
}

/* From -0.4 in bins of 0.2: the second ends at 0, and is empty. */
static void cancelled_positions(void **state)
{
    (void)state;
    const known k = {CLDEFORM_ROI_MAX, 1, 4, 0, 0.1, -4, 1, X, 0};
    for (int d = CLDEFORM_F32; d <= (device.fp64 ? CLDEFORM_F64 : CLDEFORM_F32); d++) {
        cldeform_roi_pool_problem problem = known_problem(&k);
        test_roi roi;
        problem.dtype = (cldeform_dtype)d;
        problem.out_w = 3;
        test_roi_create(&roi, &problem, 1, false, TEST_EXACT, 1);
        for (int64_t e = 0; e < CHANNELS * k.in_w; e++)
            roi.tensor[TEST_ROI_INPUT].values[e] = 5;
        test_roi_set(&roi, 0, 0, k.x1, 0, k.x2, 0);
        test_roi_reference(&roi);
        for (int o = 0; o < CHANNELS; o++) {
            assert_true(roi.tensor[TEST_ROI_OUTPUT].values[3 * o + 1] == 0);
            assert_true(roi.tensor[TEST_ROI_OUTPUT].values[3 * o + 2] == 5);
        }
        test_roi_check(&device, &roi, TEST_ROI_FORWARD, &(test_run){0}, true);
        test_roi_destroy(&roi);
    }
}

/* Masks of RoIs that do not exist, as those that fill a call up to max_rois have, may be no numbers, and so may those
 * of bins without a sample: neither has a gradient that is none. */
static void masks_of_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        cldeform_roi_pool_problem problem = problem_of(i, 20);
        problem.modulated = 1;
        for (int sigmoid = 0; sigmoid < (test_compiles_slowly(&device) ? 1 : 2); sigmoid++) {
            test_roi roi;
            problem.mask_activation = sigmoid ? CLDEFORM_MASK_SIGMOID : CLDEFORM_MASK_AS_IS;
            test_roi_create(&roi, &problem, 20, false, TEST_RANDOM, 9);
            test_roi_tensor *mask = &roi.tensor[TEST_ROI_MASK], *offset = &roi.tensor[TEST_ROI_OFFSET];
            const int64_t masks = mask->shape.elements / 20, offsets = offset->shape.elements / 20;
            for (int64_t r = 0; r < 20; r += 3) {
                const bool exists = r % 2 && !sigmoid;
                if (!exists)
                    roi.tensor[TEST_ROI_ROIS].values[5 * r] = -1;
                for (int64_t e = 0; e < offsets && exists; e++)
                    offset->values[r * offsets + e] = e % 2 ? (double)NAN : 1e9;
                for (int64_t e = 0; e < masks; e++)
                    mask->values[r * masks + e] = e % 2 ? (double)NAN : (double)INFINITY;
            }
            test_roi_reference(&roi);
            test_roi_check(&device, &roi, TEST_ROI_BACKWARD, &(test_run){0}, false);
            for (int64_t e = 0; e < mask->shape.elements; e++)
                assert_true(isfinite(roi.tensor[TEST_ROI_GRAD_MASK].values[e]));
            for (int64_t e = 0; e < offset->shape.elements; e++)
                assert_true(isfinite(roi.tensor[TEST_ROI_GRAD_OFFSET].values[e]));
            test_roi_destroy(&roi);
        }
    }
}

/* The type of offsets means nothing where there are none. */
static void type_of_no_offsets(void **state)
{
    (void)state;
    if (!device.fp64)
        skip();
    cldeform_roi_pool_problem problem = problem_of(0, 20);
    problem.deformable = problem.modulated = 0;
    problem.offset_dtype = CLDEFORM_F64;
    test_roi roi;
    test_roi_create(&roi, &problem, 20, false, TEST_RANDOM, 10);
    check(&roi, false);
    test_roi_destroy(&roi);
}

/* The same cell decides the slope: at 13.999999999999998, which is 14, ROI_ALIGN's is that to the right, ROI_PS_ALIGN's
 * is 0. */
static void rounded_slopes(void **state)
{
    (void)state;
    for (int ps = 0; ps < 2; ps++) {
        const known k = {
            ps ? CLDEFORM_ROI_PS_ALIGN : CLDEFORM_ROI_ALIGN, 1, 20, !ps, 0.29, ps ? 50 : 40, 60, SQUARE, 0};
        cldeform_roi_pool_problem problem = known_problem(&k);
        test_roi roi;
        problem.deformable = 1;
        problem.offset_scale = 0.25;
        test_roi_create(&roi, &problem, 1, false, TEST_EXACT, 1);
        fill_known(&k, &roi);
        test_roi_fill(&roi, TEST_ROI_OFFSET, 0);
        test_roi_fill(&roi, TEST_ROI_GRAD_OUTPUT, 1);
        test_roi_reference(&roi);
        /* 15 * 15 - 14 * 14 = 29, times a quarter of the width, 20 * 0.29 */
        roi.tensor[TEST_ROI_GRAD_OFFSET].values[0] = ps ? 0 : CHANNELS * 29 * 0.25 * 20 * 0.29;
        roi.tensor[TEST_ROI_GRAD_OFFSET].values[1] = 0;
        test_roi_check(&device, &roi, TEST_ROI_BACKWARD, &(test_run){.gradients = CLDEFORM_GRAD_OFFSET}, false);
        test_roi_destroy(&roi);
    }
}

/* A device that ends loops early, saying nothing, gets no problem whose loops could be that long. */
static void long_loops_are_refused(void **state)
{
    (void)state;
    if (device.context->facts.loop_limit == 0)
        skip();
    for (int i = 0; i < 4; i++) {
        cldeform_roi_pool_problem problem = CLDEFORM_INIT(cldeform_roi_pool_problem);
        cldeform_roi_pool *pool = NULL;
        problem.batch = 1, problem.in_channels = 3, problem.max_rois = 10;
        problem.level[0] = (cldeform_roi_level){8, 8, 1};
        problem.out_h = problem.out_w = 2;
        if (i == 0)
            problem.level[0].in_h = problem.level[0].in_w = 300;
        else if (i == 1)
            problem.sampling_ratio = 32768;
        else if (i == 2)
            problem.passes = CLDEFORM_GRAD_INPUT, problem.max_rois = 40000;
        else
            problem.max_rois = 70000;
        assert_status(cldeform_roi_pool_create(device.context, &problem, &pool), CLDEFORM_UNSUPPORTED, "ends loops");
        assert_null(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everywhere),           cmocka_unit_test(of_no_map),
        cmocka_unit_test(wild_offsets),         cmocka_unit_test(unread_pixels),
        cmocka_unit_test(largest_of_no_number), cmocka_unit_test(argmax_of_others),
        cmocka_unit_test(masks_of_nothing),     cmocka_unit_test(type_of_no_offsets),
        cmocka_unit_test(rounded_positions),    cmocka_unit_test(cancelled_positions),
        cmocka_unit_test(many_samples),         cmocka_unit_test(long_loops_are_refused),
        cmocka_unit_test(rounded_slopes),
    };
    return cmocka_run_group_tests(tests, test_open_device, test_close_device);
}
