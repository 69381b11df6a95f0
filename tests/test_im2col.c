/* What im2col does for GPUs, on any device: work-items along the channels, tensors turned in local memory, products
 * that CLBlast makes without copies, with parameters of ours. */
#include "algorithms.h"
#include "backward.h"
#include "context.h"
#include "fixture.h"
#include "gemm_parameters.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cldeform_layout layouts[] = {CLDEFORM_NCHW, CLDEFORM_NHWC};

/* CLBlast's kernels, and many of ours, take too long to compile on a second implementation: with --full it has them. */
static void skip_in_part(void)
{
    if (device.extent == TEST_PART)
        skip();
}

/* ---- samples ------------------------------------------------------------------------------------------- */

typedef struct lanes_case {
    const char *tuning;
    int64_t in_channels, groups, offset_groups;
    cldeform_conv2d_kind kind;
    cldeform_dtype dtype;
} lanes_case;

/* Vectors that fit and vectors that would be cut, fewer vectors than lanes, more pixels than a work-group's, groups of
 * work-items that are no multiple of the lanes, and fewer of them than lanes. */
static const lanes_case lanes_cases[] = {
    {"im2col_lanes=8 channel_vector=4", 40, 2, 1, CLDEFORM_CONV2D_MODULATED, CLDEFORM_F32},
    {"im2col_lanes=4 channel_vector=4 im2col_group=7", 24, 1, 2, CLDEFORM_CONV2D_DEFORMABLE, CLDEFORM_F16},
    {"im2col_lanes=64 channel_vector=2 im2col_group=3", 12, 2, 3, CLDEFORM_CONV2D_MODULATED, CLDEFORM_F32},
    {"im2col_lanes=2 channel_vector=16 im2col_group=33", 33, 3, 1, CLDEFORM_CONV2D_PLAIN, CLDEFORM_F32},
    {"im2col_lanes=8 channel_vector=4 long_index=1", 16, 4, 2, CLDEFORM_CONV2D_MODULATED, CLDEFORM_F64},
};

static cldeform_conv2d_problem problem_of(const lanes_case *c, cldeform_layout layout)
{
    cldeform_conv2d_problem problem = test_small_problem(c->kind);
    problem.algorithm = CLDEFORM_ALGORITHM_IM2COL;
    problem.layout = layout;
    problem.in_channels = c->in_channels, problem.groups = c->groups, problem.offset_groups = c->offset_groups;
    problem.out_channels = 2 * c->groups;
    problem.dtype = c->dtype;
    problem.batch = 2;
    return problem;
}

static bool lacks(const lanes_case *c)
{
    return c->dtype == CLDEFORM_F64 && !device.fp64;
}

/* The same bits as by one work-item for all channels, at any place in the buffers. */
static void lanes_change_no_bit(void **state)
{
    (void)state;
    cldeform_context *one = test_tuned_context(&device, "\"*\" im2col_lanes=1 gemm_clblast=0\n");
    for (size_t i = 0; i < sizeof lanes_cases / sizeof lanes_cases[0]; i++) {
        if (lacks(&lanes_cases[i]) || (device.extent == TEST_PART && i > 0))
            continue;
        char line[120];
        snprintf(line, sizeof line, "\"*\" gemm_clblast=0 %s\n", lanes_cases[i].tuning);
        cldeform_context *context = test_tuned_context(&device, line);
        for (int l = 0; l < 2; l++) {
            const cldeform_conv2d_problem problem = problem_of(&lanes_cases[i], layouts[l]);
            test_conv conv;
            test_conv_create(&conv, &problem, true, TEST_RANDOM, 5 + (uint32_t)i);
            double *expected = test_conv_run_alone(&device, &conv, &(test_run){.context = one});
            for (int strided = 0; strided < 2; strided++) { /* aligned vectors, and others */
                double *found =
                    test_conv_run_alone(&device, &conv, &(test_run){.context = context, .strided = strided});
                test_conv_compare(&conv, found, expected, NULL);
                free(found);
            }
            free(expected);
            test_conv_destroy(&conv);
        }
        cldeform_context_destroy(context);
    }
    cldeform_context_destroy(one);
}

/* Backward, where tensors are turned both ways. */
static void lanes_backward(void **state)
{
    (void)state;
    skip_in_part();
    for (size_t i = 0; i < 3; i++) {
        char line[120];
        snprintf(line, sizeof line, "\"*\" gemm_clblast=0 %s\n", lanes_cases[i].tuning);
        cldeform_context *context = test_tuned_context(&device, line);
        for (int l = 0; l < 2; l++) {
            const cldeform_conv2d_problem problem = problem_of(&lanes_cases[i], layouts[l]);
            test_backward_check_problem(
                &device, &problem,
                &(test_run){.context = context, .strided = l == 1, .accumulate = i ? CLDEFORM_GRAD_INPUT : 0},
                TEST_EXACT, 31);
        }
        cldeform_context_destroy(context);
    }
}

/* Corners outside the map count nothing, whatever the pixel that they were clamped to holds. */
static void nothing_leaks_from_the_border(void **state)
{
    (void)state;
    skip_in_part();
    cldeform_context *context = test_tuned_context(&device, "\"*\" im2col_lanes=4 channel_vector=4 gemm_clblast=0\n");
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_DEFORMABLE);
    problem.algorithm = CLDEFORM_ALGORITHM_IM2COL;
    problem.in_channels = 8, problem.groups = problem.offset_groups = 1, problem.layout = CLDEFORM_NHWC;
    problem.pad_top = problem.pad_left = problem.pad_bottom = problem.pad_right = 40;
    test_conv conv;
    test_conv_create(&conv, &problem, false, TEST_EXACT, 3);
    for (int64_t i = 0; i < conv.shape[CLDEFORM_INPUT].elements; i++)
        conv.values[CLDEFORM_INPUT][i] = NAN;
    double *found = test_conv_run_alone(&device, &conv, &(test_run){.context = context});
    assert_true(found[0] == 0); /* all of whose taps lie far outside */
    int64_t n = 0;
    for (int64_t i = 0; i < conv.shape[CLDEFORM_OUTPUT].elements; i++)
        n += isnan(found[i]) ? 1 : 0;
    assert_true(n > 0 && n < conv.shape[CLDEFORM_OUTPUT].elements);
    free(found);
    test_conv_destroy(&conv);
    cldeform_context_destroy(context);
}

/* ---- products ------------------------------------------------------------------------------------------ */

static json_t *describe(cldeform_context *context, const cldeform_conv2d_problem *problem)
{
    char text[4096];
    cldeform_conv2d *conv = NULL;
    assert_ok(cldeform_conv2d_create(context, problem, &conv));
    assert_ok(cldeform_conv2d_describe(conv, text, sizeof text, NULL));
    cldeform_conv2d_destroy(conv);
    json_t *plan = json_loads(text, 0, NULL);
    assert_non_null(plan);
    return plan;
}

static json_int_t copies_of(cldeform_context *context, const cldeform_conv2d_problem *problem)
{
    json_t *plan = describe(context, problem);
    assert_string_equal(json_string_value(json_object_get(plan, "gemm")), "clblast");
    const json_int_t bytes = json_integer_value(json_object_get(plan, "gemm_copies_bytes"));
    json_decref(plan);
    return bytes;
}

static bool has_clblast(void)
{
    return device.context->facts.max_group >= 256;
}

/* ResNet-50's layers at 800 x 1344, whose outputs are no multiple of a tile, with CLBlast's own parameters: first. */
static void layers_need_no_copies(void **state)
{
    (void)state;
    skip_in_part();
    if (!has_clblast())
        skip();
    static const struct {
        int64_t channels, h, w;
    } layers[] = {{128, 100, 168}, {256, 50, 84}, {512, 25, 42}};
    for (int i = 0; i < 3; i++)
        for (int l = 0; l < 2; l++) {
            cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
            problem.algorithm = CLDEFORM_ALGORITHM_IM2COL;
            problem.layout = layouts[l];
            problem.batch = 2;
            problem.in_channels = problem.out_channels = layers[i].channels;
            problem.in_h = layers[i].h, problem.in_w = layers[i].w;
            problem.kernel_h = problem.kernel_w = 3;
            problem.pad_top = problem.pad_left = problem.pad_bottom = problem.pad_right = 1;
            for (int backward = 0; backward < 2; backward++) {
                problem.passes = backward ? CLDEFORM_BACKWARD : CLDEFORM_FORWARD;
                assert_int_equal(copies_of(device.context, &problem), 0);
            }
        }
}

/* Sizes of which an output is whole tiles, or not, cut into slabs, or not. */
static void run_in_place(cldeform_context *context, cldeform_context *slabs)
{
    for (int i = 0; i < 3; i++)
        for (int l = 0; l < 2; l++) {
            cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
            problem.algorithm = CLDEFORM_ALGORITHM_IM2COL;
            problem.layout = layouts[l];
            problem.batch = 2, problem.in_channels = 16, problem.out_channels = 64;
            problem.in_h = i ? 8 : 9, problem.in_w = 8;
            problem.kernel_h = 1, problem.kernel_w = 2;
            problem.pad_right = 1;
            cldeform_context *with = i == 2 ? slabs : context;
            assert_int_equal(copies_of(with, &problem), 0);
            test_conv conv;
            test_conv_create(&conv, &problem, i == 0, TEST_EXACT, 9);
            test_conv_check(&device, &conv, &(test_run){.context = with, .workspace = true}, true);
            test_conv_check(&device, &conv, &(test_run){.context = with, .strided = true}, true);
            test_conv_destroy(&conv);
            problem.passes = CLDEFORM_BACKWARD;
            test_backward_check_problem(&device, &problem, &(test_run){.context = with, .strided = l == 1}, TEST_EXACT,
                                        8);
        }
}

/* Small problems by way of the kernel for large products, which works on whole tiles alone. */
static void products_in_place_are_right(void **state)
{
    (void)state;
    skip_in_part();
    if (!has_clblast())
        skip();
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_DEFORMABLE);
    problem.algorithm = CLDEFORM_ALGORITHM_IM2COL;
    cldeform_context *context = test_tuned_context(&device, "\"*\" gemm_indirect=1 gemm_parameters=6 im2col_lanes=4\n");
    cldeform_context *slabs = test_tuned_context(&device, "\"*\" gemm_indirect=1 gemm_parameters=6 columns_kib=4\n");
    json_t *plan = describe(context, &problem);
    assert_string_equal(json_string_value(json_object_get(plan, "gemm_parameters")), "32x32 in groups of 64");
    json_decref(plan);
    run_in_place(context, slabs);
    cldeform_context_destroy(slabs);
    cldeform_context_destroy(context);
}

/* Other parameters for the same device change what products take: objects of before go on. */
static void parameters_may_change(void **state)
{
    (void)state;
    if (!has_clblast() || device.extent != TEST_ALL) /* more of CLBlast's kernels to compile */
        skip();
    cldeform_context *context = test_tuned_context(&device, "\"*\" gemm_indirect=1 gemm_parameters=6\n");
    cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
    problem.algorithm = CLDEFORM_ALGORITHM_IM2COL;
    problem.batch = 1, problem.in_channels = 32, problem.out_channels = 10, problem.in_h = problem.in_w = 8;
    problem.kernel_h = problem.kernel_w = 1;
    assert_true(copies_of(context, &problem) > 0); /* and more of them with larger tiles */
    test_fixture f;
    test_fixture_create(&device, context, &problem, &f);
    assert_ok(cldeform_conv2d_forward(f.conv, device.queue, &f.tensors, NULL, 0, NULL, NULL));
    test_fixture_expect(&f, device.queue);
    cldeform_context *other = test_tuned_context(&device, "\"*\" gemm_indirect=1 gemm_parameters=5\n");
    problem.out_channels = 64;
    assert_int_equal(copies_of(other, &problem), 0);
    assert_ok(cldeform_conv2d_forward(f.conv, device.queue, &f.tensors, NULL, 0, NULL, NULL));
    test_fixture_expect(&f, device.queue);
    test_fixture_destroy(&f);
    cldeform_context_destroy(other);
    cldeform_context_destroy(context);
}

static void sets_fit_their_devices(void **state)
{
    (void)state;
    cldeform__facts facts = {.max_group = 256, .max_items = {256, 256, 1}, .local_memory = 16384};
    int n = 0;
    while (cldeform__gemm_set_of(n + 1))
        assert_null(cldeform__gemm_set_refuses(cldeform__gemm_set_of(++n), &facts));
    cldeform__tuning tuning;
    assert_int_equal(n, 6); /* the most that gemm_parameters can say */
    assert_null(cldeform__gemm_set_of(0));
    facts.local_memory = 16383;
    assert_non_null(strstr(cldeform__gemm_set_refuses(cldeform__gemm_set_of(1), &facts), "local memory"));
    assert_null(cldeform__gemm_set_refuses(cldeform__gemm_set_of(3), &facts));
    facts.max_group = 64;
    assert_non_null(strstr(cldeform__gemm_set_refuses(cldeform__gemm_set_of(3), &facts), "work-groups"));
    assert_null(cldeform__gemm_set_refuses(cldeform__gemm_set_of(4), &facts));
    facts.max_items[1] = 4;
    assert_non_null(cldeform__gemm_set_refuses(cldeform__gemm_set_of(4), &facts));

    cldeform__gemm_set wrong = *cldeform__gemm_set_of(3);
    const cldeform__facts large = {.max_group = 1024, .max_items = {1024, 1024, 64}, .local_memory = 1 << 20};
    for (int i = 0; i < CLDEFORM__GEMM_VALUES; i++) {
        const size_t was = wrong.values[i];
        const bool free_value = strchr("SG", cldeform__gemm_value_names[i][0]) != NULL; /* switches: 0 or 1 */
        wrong.values[i] = free_value ? was : 48 - 1;
        if (!free_value)
            assert_non_null(cldeform__gemm_set_refuses(&wrong, &large));
        wrong.values[i] = was;
    }
    const cldeform__tuning_device gpu = {"NVIDIA H200", "NVIDIA Corporation", 0, 50ull << 20};
    assert_ok(cldeform__tuning_load(&tuning, &gpu, NULL));
    assert_int_equal(tuning.gemm_parameters, 1);
    assert_string_equal(cldeform__gemm_set_of(tuning.gemm_parameters)->name, "128x128");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_need_no_copies),  cmocka_unit_test(lanes_change_no_bit),
        cmocka_unit_test(lanes_backward),         cmocka_unit_test(nothing_leaks_from_the_border),
        cmocka_unit_test(sets_fit_their_devices), cmocka_unit_test(products_in_place_are_right),
        cmocka_unit_test(parameters_may_change),
    };
    return cmocka_run_group_tests(tests, test_open_device, test_close_device);
}
