/* RoI pooling forward against the reference: exactly where the data allows it, else within an error bound. */
#include "roi_shapes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const cldeform_layout layouts[] = {CLDEFORM_NCHW, CLDEFORM_NHWC};

static void check(test_roi *roi, const test_run *run, bool exact)
{
    test_roi_reference(roi);
    test_roi_check(&device, roi, TEST_ROI_FORWARD, run, exact);
}

static void check_problem(const cldeform_roi_pool_problem *problem, const test_run *run, test_data data)
{
    test_roi roi;
    test_roi_create(&roi, problem, problem->max_rois, false, data, 77);
    check(&roi, run, data == TEST_EXACT);
    test_roi_destroy(&roi);
}

/* ---- all shapes ---------------------------------------------------------------------------------------- */

/* Every shape, with and without offsets and mask, in both layouts, with levels given and found, in fp32; in other types
 * some of them. The way of calling changes from case to case. */
static void check_shapes(cldeform_dtype dtype, test_data data)
{
    uint32_t seed = 0;
    test_roi_variant v;
    for (int i = 0; test_roi_variant_at(i, &v); i++) {
        cldeform_roi_pool_problem problem = test_roi_variant_problem(&v, data, 40);
        seed++;
        if ((dtype != CLDEFORM_F32 && !v.shape->in_all_types) || (test_compiles_slowly(&device) && !v.plainest))
            continue;
        problem.dtype = dtype;
        const test_run run = {.strided = seed % 2, .workspace = seed % 3 == 0, .minimal = seed % 5 == 0};
        test_roi roi;
        test_roi_create(&roi, &problem, 37, v.has_level, data, seed);
        check(&roi, &run, data == TEST_EXACT);
        test_roi_destroy(&roi);
    }
}

static void exact_fp32(void **state)
{
    (void)state;
    check_shapes(CLDEFORM_F32, TEST_EXACT);
}

static void exact_fp16(void **state)
{
    (void)state;
    if (test_compiles_slowly(&device))
        skip();
    check_shapes(CLDEFORM_F16, TEST_EXACT);
}

static void exact_fp64(void **state)
{
    (void)state;
    if (!device.fp64)
        skip();
    check_shapes(CLDEFORM_F64, TEST_EXACT);
}

static void random_fp32(void **state)
{
    (void)state;
    check_shapes(CLDEFORM_F32, TEST_RANDOM);
}

static void random_fp16(void **state)
{
    (void)state;
    if (test_compiles_slowly(&device))
        skip();
    check_shapes(CLDEFORM_F16, TEST_RANDOM);
}

static void random_fp64(void **state)
{
    (void)state;
    if (!device.fp64)
        skip();
    check_shapes(CLDEFORM_F64, TEST_RANDOM);
}

/* ---- what else a problem may say ----------------------------------------------------------------------- */

/* Data, offsets and RoIs each in another type. */
static void mixed_types(void **state)
{
    (void)state;
    static const struct {
        cldeform_dtype data, offset, roi;
    } types[] = {
        {CLDEFORM_F16, CLDEFORM_F32, CLDEFORM_F32}, {CLDEFORM_F32, CLDEFORM_F16, CLDEFORM_F64},
        {CLDEFORM_F32, CLDEFORM_F64, CLDEFORM_F32}, {CLDEFORM_F16, CLDEFORM_F64, CLDEFORM_F64},
        {CLDEFORM_F64, CLDEFORM_F32, CLDEFORM_F32}, {CLDEFORM_F64, CLDEFORM_F16, CLDEFORM_F64},
    };
    if (test_compiles_slowly(&device))
        skip();
    for (int i = 0; i < 6; i++) {
        cldeform_roi_pool_problem problem =
            test_roi_problem_of(i % 2 ? "PS group 2, parts 2x3" : "3 levels", true, true, 23);
        problem.dtype = types[i].data;
        problem.offset_dtype = types[i].offset;
        problem.roi_dtype = types[i].roi;
        problem.layout = layouts[i / 2 % 2];
        if (i > 0 && !device.fp64)
            continue;
        check_problem(&problem, &(test_run){.strided = true}, TEST_EXACT);
        check_problem(&problem, &(test_run){0}, TEST_RANDOM);
    }
}

/* A coordinate that no float holds: 1000000.03125 is 976.5625305 pixels, a float's 976.5625. */
static void rois_in_double(void **state)
{
    (void)state;
    if (!device.fp64)
        skip();
    cldeform_roi_pool_problem problem = CLDEFORM_INIT(cldeform_roi_pool_problem);
    problem.batch = 1, problem.in_channels = 1, problem.max_rois = 1;
    problem.level[0] = (cldeform_roi_level){1, 980, 1.0 / 1024};
    problem.out_h = problem.out_w = 1, problem.sampling_ratio = 1;
    problem.roi_dtype = CLDEFORM_F64;
    test_roi roi;
    test_roi_create(&roi, &problem, 1, false, TEST_EXACT, 1);
    for (int x = 0; x < 980; x++)
        roi.tensor[TEST_ROI_INPUT].values[x] = x - 976;
    test_roi_set(&roi, 0, 0, 1000000.03125, 0, 1000000.03125, 0);
    roi.tensor[TEST_ROI_OUTPUT].values[0] = 1000000.03125 / 1024 - 0.5 - 976;
    test_roi_check(&device, &roi, TEST_ROI_FORWARD, &(test_run){0}, true);
    test_roi_destroy(&roi);
}

static void mask_activations(void **state)
{
    (void)state;
    if (test_compiles_slowly(&device))
        skip();
    for (int a = CLDEFORM_MASK_SIGMOID; a <= CLDEFORM_MASK_SIGMOID_X2; a++) {
        const int l = a - CLDEFORM_MASK_SIGMOID;
        cldeform_roi_pool_problem problem = test_roi_problem_of(l ? "PS 3x3" : "adaptive", l == 0, true, 11);
        problem.mask_activation = (cldeform_mask_activation)a;
        problem.layout = layouts[l];
        test_roi roi;
        test_roi_create(&roi, &problem, 11, false, TEST_RANDOM, 8);
        /* logits far out too, where an exponential overflows */
        for (int64_t e = 0; e < roi.tensor[TEST_ROI_MASK].shape.elements; e += 7)
            roi.tensor[TEST_ROI_MASK].values[e] = e % 3 ? -100 : e % 2 ? 100 : 1e4;
        check(&roi, &(test_run){0}, false);
        test_roi_destroy(&roi);
    }
}

/* The defaults of fields that a problem leaves 0. */
static void defaults(void **state)
{
    (void)state;
    cldeform_roi_pool_problem problem = test_roi_problem_of("PS 3x3", true, false, 9);
    problem.offset_scale = 0, problem.samples_h = problem.samples_w = 0, problem.group_size = 0;
    problem.part_h = problem.part_w = problem.offset_classes = problem.levels = problem.canonical_level = 0;
    check_problem(&problem, &(test_run){0}, TEST_RANDOM);
    problem.offset_scale = 0.1, problem.samples_h = problem.samples_w = 4, problem.group_size = 3;
    problem.part_h = problem.part_w = 3, problem.offset_classes = problem.levels = 1;
    test_roi a, b;
    test_roi_create(&a, &problem, 9, false, TEST_RANDOM, 77);
    test_roi_reference(&a);
    problem.offset_scale = 0, problem.samples_h = problem.samples_w = 0, problem.group_size = 0;
    problem.part_h = problem.part_w = problem.offset_classes = problem.levels = 0;
    test_roi_create(&b, &problem, 9, false, TEST_RANDOM, 77);
    test_roi_found left = test_roi_run(&device, &a, TEST_ROI_FORWARD, &(test_run){0});
    test_roi_found right = test_roi_run(&device, &b, TEST_ROI_FORWARD, &(test_run){0});
    test_roi_same(&a, &left, &right);
    test_roi_found_free(&left);
    test_roi_found_free(&right);
    test_roi_destroy(&a);
    test_roi_destroy(&b);
}

/* Output that may only be written. */
static void write_only_output(void **state)
{
    (void)state;
    static const char *const names[] = {"7x7 like a network's", "PS cells 3x3", "max 3x5"};
    for (int i = 0; i < 3; i++) {
        cldeform_roi_pool_problem problem = test_roi_problem_of(names[i], i == 0, i == 0, 5);
        problem.layout = layouts[i % 2];
        check_problem(&problem, &(test_run){.output_flags = CL_MEM_WRITE_ONLY}, TEST_EXACT);
    }
}

/* Without images no RoI exists, and there is no input. */
static void empty_batch(void **state)
{
    (void)state;
    static const char *const names[] = {"adaptive", "PS 3x3", "PS cells 3x3", "max 3x5"};
    for (int i = 0; i < 4; i++) {
        cldeform_roi_pool_problem problem = test_roi_problem_of(names[i], i < 2, i < 2, 5);
        test_roi roi;
        problem.batch = 1;
        test_roi_create(&roi, &problem, 5, false, TEST_EXACT, 3);
        test_roi empty;
        problem.batch = 0;
        test_roi_create(&empty, &problem, 5, false, TEST_EXACT, 3);
        for (int e = 0; e < 25; e++)
            empty.tensor[TEST_ROI_ROIS].values[e] = roi.tensor[TEST_ROI_ROIS].values[e];
        empty.tensor[TEST_ROI_INPUT].present = false;
        if (empty.tensor[TEST_ROI_ARGMAX].present)
            test_roi_fill(&empty, TEST_ROI_ARGMAX, -1);
        test_roi_check(&device, &empty, TEST_ROI_FORWARD, &(test_run){0}, true); /* zeros */
        test_roi_destroy(&empty);
        test_roi_destroy(&roi);
    }
}

/* A context with these tuning parameters, and the small problem of a method in it. */
static void check_tuned(const char *line, const char *name, bool samples)
{
    cldeform_context *context = test_tuned_context(&device, line);
    cldeform_roi_pool_problem problem = test_roi_problem_of(name, samples, samples, 19);
    test_roi roi;
    problem.layout = layouts[samples];
    test_roi_create(&roi, &problem, 19, true, TEST_EXACT, 7);
    check(&roi, &(test_run){.context = context, .strided = true}, true);
    test_roi_destroy(&roi);
    cldeform_context_destroy(context);
}

static void long_indices(void **state)
{
    (void)state;
    if (test_compiles_slowly(&device))
        skip();
    check_tuned("\"*\" long_index=1\n", "PS 2 levels, 2 classes", true);
    check_tuned("\"*\" long_index=1\n", "max 2 levels", false);
}

static void block_sizes(void **state)
{
    (void)state;
    if (test_compiles_slowly(&device))
        skip();
    check_tuned("\"*\" channel_vector=2 roi_vectors=2 roi_lanes=3\n", "7x7 like a network's", true);
    check_tuned("\"*\" channel_vector=16 roi_vectors=1 roi_lanes=2\n", "max 7x7", false);
}

/* ---- the data ------------------------------------------------------------------------------------------ */

/* The largest power of two that all values are multiples of. */
static double find_unit(const double *values, int64_t n)
{
    double unit = 1;
    for (int64_t e = 0; e < n; e++)
        while (values[e] / unit != rint(values[e] / unit))
            unit /= 2;
    return unit;
}

/* Exact data is exact: the sums of all terms' absolute values, counted in the smallest unit of a sum, stay below 2^24,
 * so no order of summation rounds. */
static void exact_data_is_exact(void **state)
{
    (void)state;
    uint32_t seed = 0;
    int64_t not_zero = 0, elements = 0;
    test_roi_variant v;
    for (int i = 0; test_roi_variant_at(i, &v); i++) {
        const cldeform_roi_pool_problem problem = test_roi_variant_problem(&v, TEST_EXACT, 40);
        test_roi roi;
        test_roi_create(&roi, &problem, 37, v.has_level, TEST_EXACT, ++seed);
        test_roi_reference(&roi);
        test_roi_found magnitudes = test_roi_magnitudes(&roi);
        for (int t = TEST_ROI_OUTPUT; t < TEST_ROI_TENSORS; t++) {
            const test_roi_tensor *x = &roi.tensor[t];
            if (!magnitudes.values[t])
                continue;
            const double unit = find_unit(x->values, x->shape.elements);
            for (int64_t e = 0; e < x->shape.elements; e++) {
                assert_true(fabs(x->values[e]) <= magnitudes.values[t][e]);
                if (magnitudes.values[t][e] > unit * 0x1p24)
                    fail_msg("%s: element %lld of %s is a sum of magnitude %g in units of %g", v.shape->name,
                             (long long)e, test_roi_names[t], magnitudes.values[t][e], unit);
                not_zero += x->values[e] != 0;
                elements++;
            }
        }
        test_roi_found_free(&magnitudes);
        test_roi_destroy(&roi);
    }
    assert_true(not_zero > elements / 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_data_is_exact), cmocka_unit_test(exact_fp32),   cmocka_unit_test(exact_fp16),
        cmocka_unit_test(exact_fp64),          cmocka_unit_test(random_fp32),  cmocka_unit_test(random_fp16),
        cmocka_unit_test(random_fp64),         cmocka_unit_test(mixed_types),  cmocka_unit_test(rois_in_double),
        cmocka_unit_test(mask_activations),    cmocka_unit_test(defaults),     cmocka_unit_test(write_only_output),
        cmocka_unit_test(empty_batch),         cmocka_unit_test(long_indices), cmocka_unit_test(block_sizes),
    };
    return cmocka_run_group_tests(tests, test_open_device, test_close_device);
}
