/* RoI pooling backward against the reference: exactly where the data allows it, else within an error bound. */
#include "roi_shapes.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const cldeform_layout layouts[] = {CLDEFORM_NCHW, CLDEFORM_NHWC};
static const cldeform_dtype types[] = {CLDEFORM_F16, CLDEFORM_F32};

static void check(test_roi *roi, const test_run *run, bool exact)
{
    test_roi_reference(roi);
    test_roi_check(&device, roi, TEST_ROI_BACKWARD, run, exact);
}

static void check_problem(const cldeform_roi_pool_problem *problem, const test_run *run, test_data data)
{
    test_roi roi;
    test_roi_create(&roi, problem, problem->max_rois, false, data, 77);
    check(&roi, run, data == TEST_EXACT);
    test_roi_destroy(&roi);
}

/* ---- all shapes ---------------------------------------------------------------------------------------- */

/* Every shape, kind, layout and way to levels in fp32; in other types some of them. */
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
        if (seed % 2 && problem.method == CLDEFORM_ROI_ALIGN && !test_compiles_slowly(&device))
            problem.offset_gradient = CLDEFORM_ROI_GRADIENT_MMCV;
        const test_run run = {.strided = seed % 2,
                              .workspace = seed % 3 == 0,
                              .minimal = seed % 5 == 0,
                              .accumulate = seed % 4 ? 0 : (CLDEFORM_BACKWARD & (seed * 2654435761u >> 8))};
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

/* ---- which gradients ----------------------------------------------------------------------------------- */

/* One of each method. */
static cldeform_roi_pool_problem problem_of(int i, int64_t max_rois)
{
    static const char *const names[] = {"3 levels", "PS 2 levels, 2 classes", "PS cells 3x3", "max 2 levels"};
    cldeform_roi_pool_problem problem = test_roi_problem_of(names[i], i < 2, i < 2, max_rois);
    problem.layout = layouts[i % 2];
    return problem;
}

/* Every subset gives the same bits as all together, with no more prepared and handed over than it needs. */
static void subsets(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        const cldeform_roi_pool_problem problem = problem_of(i, 29);
        test_roi roi;
        test_roi_create(&roi, &problem, 29, i % 2, TEST_RANDOM, 5);
        test_roi_reference(&roi);
        test_roi_found together = test_roi_run(&device, &roi, TEST_ROI_BACKWARD, &(test_run){0});
        for (cldeform_passes asked = CLDEFORM_GRAD_INPUT; asked <= CLDEFORM_GRAD_MASK * 2 - 1;
             asked += CLDEFORM_GRAD_INPUT) {
            if ((asked & ~roi.sizes.gradients) || (test_compiles_slowly(&device) && (asked & (asked - 1))))
                continue;
            test_roi_found found =
                test_roi_run(&device, &roi, TEST_ROI_BACKWARD, &(test_run){.gradients = asked, .minimal = true});
            for (int t = 0; t < TEST_ROI_TENSORS; t++)
                assert_int_equal(found.values[t] != NULL, roi.tensor[t].present && (asked & test_roi_bit(t)) != 0);
            test_roi_same(&roi, &found, &together);
            test_roi_found_free(&found);
        }
        test_roi_found_free(&together);
        test_roi_destroy(&roi);
    }
}

/* What is there is added to by the gradients whose bit is set and overwritten by the others, in each type. */
static void accumulation(void **state)
{
    (void)state;
    const cldeform_passes bits[] = {CLDEFORM_GRAD_INPUT, CLDEFORM_GRAD_OFFSET, CLDEFORM_GRAD_MASK, CLDEFORM_BACKWARD};
    for (int i = 0; i < 8; i++) {
        cldeform_roi_pool_problem problem = problem_of(i / 2, 31);
        problem.dtype = types[1 - i % 2];
        problem.layout = layouts[(i / 2 + i) % 2];
        test_roi roi;
        if (i % 2 && test_compiles_slowly(&device))
            continue;
        test_roi_create(&roi, &problem, 31, true, TEST_EXACT, 6);
        for (int b = 0; b < 4; b++) {
            const test_run run = {.accumulate = bits[b],
                                  .strided = true,
                                  .workspace = b % 2,
                                  .output_flags = i % 2 ? CL_MEM_WRITE_ONLY : 0};
            if (bits[b] & roi.sizes.gradients)
                check(&roi, &run, true);
        }
        test_roi_destroy(&roi);
    }
}

static double largest_of(const test_roi_tensor *t)
{
    double largest = 0;
    for (int64_t e = 0; e < t->shape.elements; e++)
        largest = fmax(largest, fabs(t->values[e]));
    return largest;
}

/* An accumulated fp16 gradient is rounded once: what a RoI adds is below half an ulp of what is there, and only the sum
 * over the RoIs (or bins, or channels) is not. */
static void halves_are_rounded_once(void **state)
{
    (void)state;
    if (test_compiles_slowly(&device))
        skip();
    for (int variant = 0; variant < 4; variant++) {
        cldeform_roi_pool_problem problem = CLDEFORM_INIT(cldeform_roi_pool_problem);
        const bool ps = variant / 2;
        problem.method = ps ? CLDEFORM_ROI_PS_ALIGN : CLDEFORM_ROI_ALIGN;
        problem.deformable = problem.modulated = 1;
        problem.dtype = CLDEFORM_F16;
        problem.layout = layouts[variant % 2];
        problem.batch = 1, problem.in_channels = 8, problem.max_rois = 64;
        problem.level[0] = (cldeform_roi_level){4, 4, 1};
        problem.out_h = problem.out_w = 1;
        problem.sampling_ratio = !ps, problem.samples_h = problem.samples_w = ps, problem.group_size = ps;
        problem.offset_scale = 0.25;
        test_roi roi;
        test_roi_create(&roi, &problem, 64, false, TEST_EXACT, 6);
        for (int r = 0; r < 64; r++) /* one sample at pixel (1.25, 1.25) */
            test_roi_set(&roi, r, 0, ps ? 2 : 1.25, ps ? 2 : 1.25, ps ? 2 : 2.25, ps ? 2 : 2.25);
        for (int64_t e = 0; e < roi.tensor[TEST_ROI_INPUT].shape.elements; e++) /* a slope in x */
            roi.tensor[TEST_ROI_INPUT].values[e] = 32 * (double)(problem.layout ? e / 8 % 4 : e % 4) - 24;
        test_roi_fill(&roi, TEST_ROI_OFFSET, ps ? -1 : 0);
        test_roi_fill(&roi, TEST_ROI_MASK, 1);
        test_roi_fill(&roi, TEST_ROI_GRAD_OUTPUT, 0.03125);
        for (int i = TEST_ROI_GRAD_INPUT; i < TEST_ROI_TENSORS; i++) /* the ulp is 2 there */
            for (int64_t e = 0; roi.tensor[i].present && e < roi.tensor[i].shape.elements; e++)
                roi.tensor[i].initial[e] = 2048;
        test_roi_reference(&roi);
        for (int i = TEST_ROI_GRAD_INPUT; i < TEST_ROI_TENSORS; i++)
            assert_true(!roi.tensor[i].present || largest_of(&roi.tensor[i]) > 1);
        check(&roi, &(test_run){.accumulate = CLDEFORM_BACKWARD, .workspace = variant % 2}, true);
        test_roi_destroy(&roi);
    }
}

/* Gradients that are only written may be in buffers that cannot be read. */
static void write_only_gradients(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        const cldeform_roi_pool_problem problem = problem_of(i, 11);
        test_roi roi;
        test_roi_create(&roi, &problem, 11, true, TEST_EXACT, 3);
        check(&roi, &(test_run){.output_flags = CL_MEM_WRITE_ONLY, .strided = i == 0}, true);
        test_roi_destroy(&roi);
    }
}

/* Without RoIs gradients are 0, or stay; without images there is no gradient of the input. */
static void nothing_to_do(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        for (int adds = 0; adds < 2; adds++) {
            cldeform_roi_pool_problem problem = problem_of(i, 5);
            test_roi roi;
            test_roi_create(&roi, &problem, 0, adds, TEST_EXACT, 3);
            test_roi_check(&device, &roi, TEST_ROI_FORWARD, &(test_run){0}, true);
            test_roi_check(&device, &roi, TEST_ROI_BACKWARD,
                           &(test_run){.accumulate = adds ? CLDEFORM_BACKWARD : 0, .workspace = adds}, true);
            test_roi_destroy(&roi);
            if (adds)
                continue;
            problem.max_rois = 0;
            test_roi_create(&roi, &problem, 0, false, TEST_EXACT, 3);
            test_roi_check(&device, &roi, TEST_ROI_BACKWARD, &(test_run){0}, true);
            test_roi_destroy(&roi);
        }
    }
}

/* ---- what else a problem may say ----------------------------------------------------------------------- */

static void mixed_types(void **state)
{
    (void)state;
    static const struct {
        cldeform_dtype data, offset, roi;
    } mixed[] = {
        {CLDEFORM_F16, CLDEFORM_F32, CLDEFORM_F32},
        {CLDEFORM_F32, CLDEFORM_F16, CLDEFORM_F64},
        {CLDEFORM_F64, CLDEFORM_F32, CLDEFORM_F32},
        {CLDEFORM_F32, CLDEFORM_F64, CLDEFORM_F32},
    };
    if (test_compiles_slowly(&device))
        skip();
    for (int i = 0; i < 4; i++) {
        cldeform_roi_pool_problem problem = problem_of(i % 2, 23);
        problem.dtype = mixed[i].data;
        problem.offset_dtype = mixed[i].offset;
        problem.roi_dtype = mixed[i].roi;
        problem.layout = layouts[i / 2];
        if (i > 0 && !device.fp64)
            continue;
        check_problem(&problem, &(test_run){.strided = true, .accumulate = i % 2 ? 0 : CLDEFORM_BACKWARD}, TEST_EXACT);
        check_problem(&problem, &(test_run){0}, TEST_RANDOM);
    }
}

static void mask_activations(void **state)
{
    (void)state;
    if (test_compiles_slowly(&device))
        skip();
    for (int a = CLDEFORM_MASK_SIGMOID; a <= CLDEFORM_MASK_SIGMOID_X2; a++) {
        cldeform_roi_pool_problem problem = problem_of(a - CLDEFORM_MASK_SIGMOID, 11);
        problem.mask_activation = (cldeform_mask_activation)a;
        test_roi roi;
        test_roi_create(&roi, &problem, 11, false, TEST_RANDOM, 8);
        /* logits far out too, where the derivative vanishes and an exponential overflows */
        for (int64_t e = 0; e < roi.tensor[TEST_ROI_MASK].shape.elements; e += 7)
            roi.tensor[TEST_ROI_MASK].values[e] = e % 3 ? -100 : e % 2 ? 100 : 1e4;
        check(&roi, &(test_run){0}, false);
        test_roi_destroy(&roi);
    }
}

/* The two rules of the offset's gradient, and that they differ where positions are clamped. */
static void both_gradients(void **state)
{
    (void)state;
    static const char *const names[] = {"adaptive", "7x7 like a network's", "row, adaptive", "column"};
    for (int i = 0; i < 4; i++) {
        cldeform_roi_pool_problem problem = test_roi_problem_of(names[i], true, i % 2, 37);
        double *first = NULL;
        bool differs = false;
        if (i > 0 && test_compiles_slowly(&device))
            continue;
        for (int rule = 0; rule < 2; rule++) {
            test_roi roi;
            problem.offset_gradient = (cldeform_roi_gradient)rule;
            test_roi_create(&roi, &problem, 37, false, TEST_EXACT, 9);
            check(&roi, &(test_run){0}, true);
            test_roi_found found =
                test_roi_run(&device, &roi, TEST_ROI_BACKWARD, &(test_run){.gradients = CLDEFORM_GRAD_OFFSET});
            for (int64_t e = 0; first && e < roi.tensor[TEST_ROI_GRAD_OFFSET].shape.elements; e++)
                differs = differs || first[e] != found.values[TEST_ROI_GRAD_OFFSET][e];
            free(first);
            first = found.values[TEST_ROI_GRAD_OFFSET];
            test_roi_destroy(&roi);
        }
        assert_true(differs);
        free(first);
    }
}

/* A context with these tuning parameters, and the problem of a method in it. */
static void check_tuned(const char *line, int method)
{
    cldeform_context *context = test_tuned_context(&device, line);
    cldeform_roi_pool_problem problem = problem_of(method, 19);
    test_roi roi;
    test_roi_create(&roi, &problem, 19, true, TEST_EXACT, 7);
    check(&roi, &(test_run){.context = context, .strided = true, .accumulate = method % 2 ? CLDEFORM_BACKWARD : 0},
          true);
    test_roi_destroy(&roi);
    cldeform_context_destroy(context);
}

static void long_indices(void **state)
{
    (void)state;
    if (test_compiles_slowly(&device))
        skip();
    check_tuned("\"*\" long_index=1\n", 0);
    check_tuned("\"*\" long_index=1\n", 3);
}

static void block_sizes(void **state)
{
    (void)state;
    if (test_compiles_slowly(&device))
        skip();
    check_tuned("\"*\" channel_vector=2 roi_vectors=2 roi_lanes=3 roi_tile_h=3 roi_tile_w=5\n", 0);
    check_tuned("\"*\" channel_vector=1 roi_vectors=1 roi_lanes=2 roi_tile_h=1 roi_tile_w=16\n", 1);
}

/* ---- crowds -------------------------------------------------------------------------------------------- */

/* A thousand RoIs on the same few pixels. */
static void contention(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        cldeform_roi_pool_problem problem = problem_of(i, 1000);
        const double scale = problem.level[0].spatial_scale;
        test_roi roi;
        problem.levels = 1, problem.canonical_level = 0;
        if (i == 0)
            problem.sampling_ratio = 1;
        test_roi_create(&roi, &problem, 1000, false, TEST_EXACT, 11);
        for (int r = 0; r < 1000; r++) /* within pixels 5 to 7 */
            test_roi_set(&roi, r, 0, (5 + r % 3 * 0.5) / scale, (5 + r % 2) / scale, 7.5 / scale, 7 / scale);
        if (i < 2)
            test_roi_fill(&roi, TEST_ROI_OFFSET, 0);
        check(&roi, &(test_run){0}, i == 3);
        check(&roi, &(test_run){.workspace = true, .accumulate = CLDEFORM_BACKWARD}, i == 3);
        test_roi_destroy(&roi);
    }
}

/* ---- the identity of the adjoint ----------------------------------------------------------------------- */

static double dot(const double *a, const double *b, int64_t n, double *magnitude)
{
    double sum = 0;
    for (int64_t e = 0; e < n; e++) {
        sum += a[e] * b[e];
        *magnitude += fabs(a[e] * b[e]);
    }
    return sum;
}

/* <forward(x), g> = <x, grad_input(g)>: both passes read the same pixels at the same weights. Of ROI_MAX too, whose
 * largest pixels are those of x. */
static void adjoint(void **state)
{
    (void)state;
    uint32_t seed = 0;
    test_roi_variant v;
    for (int i = 0; test_roi_variant_at(i, &v); i++) {
        cldeform_roi_pool_problem problem = test_roi_variant_problem(&v, TEST_RANDOM, 37);
        test_roi roi;
        if (++seed % 3 || (test_compiles_slowly(&device) && !v.plainest))
            continue;
        test_roi_create(&roi, &problem, 37, v.has_level, TEST_RANDOM, seed);
        test_roi_found forward = test_roi_run(&device, &roi, TEST_ROI_FORWARD, &(test_run){0});
        if (forward.values[TEST_ROI_ARGMAX])
            memcpy(roi.tensor[TEST_ROI_ARGMAX].values, forward.values[TEST_ROI_ARGMAX],
                   (size_t)roi.tensor[TEST_ROI_ARGMAX].shape.elements * sizeof(double));
        test_roi_found backward =
            test_roi_run(&device, &roi, TEST_ROI_BACKWARD, &(test_run){.gradients = CLDEFORM_GRAD_INPUT});
        double left_size = 0, right_size = 0, right = 0;
        const double left = dot(forward.values[TEST_ROI_OUTPUT], roi.tensor[TEST_ROI_GRAD_OUTPUT].values,
                                roi.tensor[TEST_ROI_OUTPUT].shape.elements, &left_size);
        for (int l = 0; l < roi.sizes.levels; l++)
            right += dot(roi.tensor[TEST_ROI_INPUT + l].values, backward.values[TEST_ROI_GRAD_INPUT + l],
                         roi.tensor[TEST_ROI_INPUT + l].shape.elements, &right_size);
        if (!(fabs(left - right) <= 4 * FLT_EPSILON * (left_size + right_size)) || !(left_size > 0))
            fail_msg("%s: <forward(x), g> is %.9g, <x, grad_input(g)> %.9g", v.shape->name, left, right);
        test_roi_found_free(&forward);
        test_roi_found_free(&backward);
        test_roi_destroy(&roi);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_fp32),
        cmocka_unit_test(exact_fp16),
        cmocka_unit_test(exact_fp64),
        cmocka_unit_test(random_fp32),
        cmocka_unit_test(random_fp16),
        cmocka_unit_test(random_fp64),
        cmocka_unit_test(subsets),
        cmocka_unit_test(accumulation),
        cmocka_unit_test(halves_are_rounded_once),
        cmocka_unit_test(write_only_gradients),
        cmocka_unit_test(nothing_to_do),
        cmocka_unit_test(mixed_types),
        cmocka_unit_test(mask_activations),
        cmocka_unit_test(both_gradients),
        cmocka_unit_test(long_indices),
        cmocka_unit_test(block_sizes),
        cmocka_unit_test(contention),
        cmocka_unit_test(adjoint),
    };
    return cmocka_run_group_tests(tests, test_open_device, test_close_device);
}
