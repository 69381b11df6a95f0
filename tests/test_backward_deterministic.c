/* Gradients to the bit: from run to run, on any queue, at any workspace size and limit, and image by image; and the
 * ways of adding to the input's gradient, of which two promise it. */
#include "algorithms.h"
#include "conv_cases.h"
#include "backward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cldeform_layout layouts[] = {CLDEFORM_NCHW, CLDEFORM_NHWC};

/* Ways of the tuning parameter col2im. */
enum { OWNER = 0, GATHER = 1, ATOMIC = 2 };

/* A context with that way, and more of the tuning file's parameters. */
static cldeform_context *create_context(int col2im, const char *more)
{
    char line[120], text[8192];
    snprintf(line, sizeof line, "\"*\" col2im=%d %s\n", col2im, more);
    cldeform_context *context = test_tuned_context(&device, line);
    assert_ok(cldeform_context_describe(context, text, sizeof text, NULL));
    snprintf(line, sizeof line, "\"col2im\":%d", col2im);
    if (!strstr(text, line))
        fail_msg("the tuning file's line \"%s\" was not understood: %s", more, text);
    return context;
}

/* A problem whose samples meet often. */
static cldeform_conv2d_problem create_problem(int variant)
{
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    problem.layout = layouts[variant % 2];
    problem.dtype = variant & 2 ? CLDEFORM_F16 : CLDEFORM_F32;
    problem.passes = CLDEFORM_BACKWARD;
    problem.batch = 3;
    problem.in_h = 31, problem.in_w = 29; /* more pixels of an output than a part of the sum of its bias has */
    return problem;
}

/* ---- the same bits ------------------------------------------------------------------------------------- */

static void expect_same(const test_backward *g, const test_gradients *expected, const test_run *run)
{
    test_gradients found = test_backward_run(&device, g, run);
    test_gradients_same(g, &found, expected);
    test_gradients_free(&found);
}

static void read_sizes(cldeform_context *context, const cldeform_conv2d_problem *problem, size_t *minimum,
                       size_t *preferred)
{
    cldeform_conv2d *object = NULL;
    assert_ok(cldeform_conv2d_create(context, problem, &object));
    assert_ok(cldeform_conv2d_workspace_size(object, CLDEFORM_BACKWARD, minimum, preferred));
    cldeform_conv2d_destroy(object);
    assert_true(*minimum <= *preferred);
}

static void check_workspaces(cldeform_context *context, const test_backward *g, const test_gradients *expected)
{
    size_t minimum = 0, preferred = 0;
    read_sizes(context, &g->conv.problem, &minimum, &preferred);
    const int steps = device.extent == TEST_PART ? 2 : 6;
    for (int step = 0; step <= steps; step++) {
        const size_t bytes = minimum + (preferred + 5000 - minimum) * (size_t)step / (size_t)steps;
        test_run run = {.context = context, .workspace = true, .workspace_bytes = bytes, .strided = step % 2};
        if (bytes > 0)
            expect_same(g, expected, &run);
        run.queue = device.out_of_order;
        if (bytes > 0 && run.queue && step * 2 % steps == 0)
            expect_same(g, expected, &run);
    }
}

/* A limit changes nothing, down to the minimum, below which it is refused. */
static void check_limits(cldeform_context *context, test_backward *g, const test_gradients *expected)
{
    size_t minimum = 0, preferred = 0;
    cldeform_conv2d *object = NULL;
    const cldeform_conv2d_problem problem = g->conv.problem;
    read_sizes(context, &problem, &minimum, &preferred);
    for (int step = 0; step <= 3; step += device.extent == TEST_PART ? 2 : 1) {
        size_t limited_minimum = 0, limited_preferred = 0;
        g->conv.problem.workspace_limit = minimum + (preferred - minimum) * (size_t)step / 3;
        read_sizes(context, &g->conv.problem, &limited_minimum, &limited_preferred);
        assert_int_equal(limited_minimum, minimum);
        assert_true(limited_preferred <= g->conv.problem.workspace_limit);
        expect_same(g, expected, &(test_run){.context = context});
        expect_same(g, expected, &(test_run){.context = context, .workspace = true});
    }
    g->conv.problem.workspace_limit = minimum - 1;
    assert_status(cldeform_conv2d_create(context, &g->conv.problem, &object), CLDEFORM_LIMIT, "minimum");
    g->conv.problem.workspace_limit = 0;
}

/* The part of the batch's tensors that is image n, as a problem of its own. */
static void take_image(const test_backward *g, int64_t n, test_backward *single)
{
    cldeform_conv2d_problem problem = g->conv.problem;
    problem.batch = 1;
    test_backward_create(single, &problem, TEST_RANDOM, 1);
    for (int i = 0; i < TEST_TENSORS; i++) {
        const bool batched = i != CLDEFORM_WEIGHT && i != CLDEFORM_BIAS;
        if (!g->conv.present[i])
            continue;
        const size_t elements = (size_t)single->conv.shape[i].elements, first = batched ? (size_t)n * elements : 0;
        if (i == CLDEFORM_OUTPUT)
            memcpy(single->grad_output, g->grad_output + first, elements * sizeof(double));
        else
            memcpy(single->conv.values[i], g->conv.values[i] + first, elements * sizeof(double));
    }
}

static void check_images(cldeform_context *context, const test_backward *g, const test_gradients *expected)
{
    for (int64_t n = 0; n < g->conv.problem.batch; n++) {
        test_backward single;
        take_image(g, n, &single);
        test_gradients found = test_backward_run(&device, &single, &(test_run){.context = context});
        test_gradients slice = {0};
        for (int i = CLDEFORM_INPUT; i <= CLDEFORM_MASK; i++)
            if (expected->values[i])
                slice.values[i] = expected->values[i] + n * single.shape[i].elements;
        test_gradients_same(&single, &found, &slice);
        test_gradients_free(&found);
        test_backward_destroy(&single);
    }
}

static void check_repeats(cldeform_context *context, const test_backward *g, const test_gradients *expected, int runs)
{
    for (int i = 0; i < runs; i++)
        expect_same(
            g, expected,
            &(test_run){.context = context, .queue = i % 2 ? device.out_of_order : NULL, .workspace = i % 4 == 0});
}

static void check_all(cldeform_context *context, const cldeform_conv2d_problem *problem, int runs)
{
    cldeform_conv2d *object = NULL;
    int32_t answer = -1;
    assert_ok(cldeform_conv2d_create(context, problem, &object));
    assert_ok(cldeform_conv2d_is_deterministic(object, CLDEFORM_BACKWARD, &answer));
    assert_int_equal(answer, 1);
    cldeform_conv2d_destroy(object);

    test_backward g;
    test_backward_create(&g, problem, TEST_RANDOM, 61);
    test_gradients expected = test_backward_run(&device, &g, &(test_run){.context = context});
    /* neither is it all zeros, nor far from right */
    test_backward_reference(&g);
    test_bounds bounds = test_bounds_create(&g);
    test_backward_compare(&g, &expected, 0, &bounds);
    test_bounds_free(&bounds);

    check_repeats(context, &g, &expected, runs);
    check_workspaces(context, &g, &expected);
    if (problem->deterministic)
        check_limits(context, &g, &expected);
    check_images(context, &g, &expected);
    test_gradients_free(&expected);
    test_backward_destroy(&g);
}

/* Its additions to the input's gradient are atomic. */
static bool is_tiled(void)
{
    return test_algorithm == CLDEFORM_ALGORITHM_TILED;
}

static void when_asked_for(void **state)
{
    (void)state;
    if (is_tiled()) {
        cldeform_conv2d *object = NULL;
        cldeform_conv2d_problem problem = create_problem(0);
        problem.deterministic = 1;
        assert_status(cldeform_conv2d_create(device.context, &problem, &object), CLDEFORM_UNSUPPORTED, "any order");
        return;
    }
    for (int variant = 0; variant < 4; variant += 3) { /* the other layout in the other type */
        cldeform_conv2d_problem problem = create_problem(variant);
        problem.deterministic = 1;
        check_all(device.context, &problem, device.extent == TEST_PART ? 4 : 20);
    }
}

static void on_processors_by_default(void **state)
{
    (void)state;
    if (!test_is_cpu(&device) || is_tiled()) /* processors take another one by default */
        skip();
    for (int variant = 0; variant < 2; variant++) {
        const cldeform_conv2d_problem problem = create_problem(variant);
        check_all(device.context, &problem, 4);
    }
}

static void by_each_way(void **state)
{
    (void)state;
    for (int way = OWNER; way <= GATHER; way++) {
        cldeform_context *context = create_context(way, way ? "gemm_clblast=0 columns_kib=32" : "columns_kib=32");
        cldeform_conv2d_problem problem = create_problem(1 - way);
        problem.algorithm = CLDEFORM_ALGORITHM_IM2COL;
        problem.batch = 2; /* of several slabs each */
        problem.deterministic = way;
        check_all(context, &problem, 4);
        cldeform_context_destroy(context);
    }
    /* atomics are not taken where it must not matter in which order they come */
    cldeform_context *context = create_context(ATOMIC, "");
    cldeform_conv2d_problem problem = create_problem(0);
    problem.algorithm = CLDEFORM_ALGORITHM_IM2COL;
    problem.deterministic = 1;
    check_all(context, &problem, 4);
    cldeform_context_destroy(context);
}

static int32_t ask(const cldeform_conv2d *object, cldeform_passes passes)
{
    int32_t answer = -1;
    assert_ok(cldeform_conv2d_is_deterministic(object, passes, &answer));
    return answer;
}

static void the_question_is_answered(void **state)
{
    (void)state;
    const cldeform_passes others = CLDEFORM_BACKWARD & ~CLDEFORM_GRAD_INPUT;
    const bool is_fused = test_algorithm == CLDEFORM_ALGORITHM_FUSED; /* whose sums have one order */
    for (int way = is_fused || is_tiled() ? ATOMIC : OWNER; way <= ATOMIC; way++) {
        cldeform_context *context = create_context(way, "");
        for (int deterministic = 0; deterministic < (is_tiled() ? 1 : 2); deterministic++) {
            cldeform_conv2d_problem problem = create_problem(0);
            cldeform_conv2d *object = NULL;
            problem.deterministic = deterministic;
            problem.passes = CLDEFORM_FORWARD | CLDEFORM_BACKWARD | CLDEFORM_COL2IM | CLDEFORM_COL2OFFSET;
            const int32_t expected = deterministic || way != ATOMIC;
            assert_ok(cldeform_conv2d_create(context, &problem, &object));
            assert_int_equal(ask(object, CLDEFORM_GRAD_INPUT), is_fused || expected);
            assert_int_equal(ask(object, CLDEFORM_BACKWARD), is_fused || expected);
            assert_int_equal(ask(object, CLDEFORM_COL2IM), expected); /* a part, of no algorithm */
            assert_int_equal(ask(object, CLDEFORM_FORWARD), 1);
            assert_int_equal(ask(object, CLDEFORM_COL2OFFSET), 1);
            for (cldeform_passes pass = CLDEFORM_GRAD_OFFSET; pass <= CLDEFORM_GRAD_BIAS; pass <<= 1)
                assert_int_equal(ask(object, pass), 1);
            assert_int_equal(ask(object, others), 1);
            cldeform_conv2d_destroy(object);
        }
        cldeform_context_destroy(context);
    }
}

/* ---- the ways are right -------------------------------------------------------------------------------- */

/* Every step-th shape. Kind, border and type are such that each comes up with few kernels to compile; a way that is
 * right with one vector width may keep to one of them with another. */
static void check_way(int way, const char *more, uint32_t seed, int step, int variants)
{
    static const struct {
        cldeform_conv2d_kind kind;
        cldeform_border border;
        cldeform_dtype dtype;
    } all[] = {{CLDEFORM_CONV2D_MODULATED, CLDEFORM_BORDER_ZERO, CLDEFORM_F32},
               {CLDEFORM_CONV2D_DEFORMABLE, CLDEFORM_BORDER_EDGE, CLDEFORM_F16},
               {CLDEFORM_CONV2D_PLAIN, CLDEFORM_BORDER_ZERO, CLDEFORM_F32},
               {CLDEFORM_CONV2D_DEFORMABLE, CLDEFORM_BORDER_EDGE, CLDEFORM_F64}};
    cldeform_context *context = create_context(way, more);
    if (device.extent == TEST_PART) {
        step *= 2;
        variants = 1;
    } else if (!device.fp64 && variants > 3) {
        variants = 3;
    }
    for (int row = (int)seed % step; row < test_n_conv_cases; row += step) {
        for (int l = 0; l < 2; l++, seed++) {
            const size_t v = seed % (uint32_t)variants;
            const uint32_t bits = seed * 2654435761u >> 20; /* in step with none of the loops */
            cldeform_conv2d_problem problem = test_shape_problem(&test_conv_cases[row], all[v].kind);
            problem.algorithm = CLDEFORM_ALGORITHM_IM2COL;
            problem.layout = layouts[l];
            problem.border = all[v].border;
            problem.dtype = all[v].dtype;
            const test_data data = bits % 5 ? TEST_EXACT : TEST_RANDOM;
            const test_run run = {.context = context,
                                  .gradients = CLDEFORM_GRAD_INPUT,
                                  .strided = bits % 2,
                                  .workspace = bits % 3 == 0,
                                  .accumulate = bits % 4 ? 0 : CLDEFORM_GRAD_INPUT};
            test_backward_check_problem(&device, &problem, &run, data, seed);
        }
    }
    cldeform_context_destroy(context);
}

static void owners_are_right(void **state)
{
    (void)state;
    check_way(OWNER, "", 1, 2, 4);
    check_way(OWNER, "col2im_vector=1", 2, 4, 2);
    check_way(OWNER, "col2im_vector=16 columns_kib=4", 3, 4, 2);
}

static void the_gather_is_right(void **state)
{
    (void)state;
    check_way(GATHER, "", 4, 2, 4);
    check_way(GATHER, "col2im_vector=2 columns_kib=4", 5, 4, 2);
}

/* Whatever the device has, and the forms that every device can take. */
static const char *const forms[] = {"", "atomic_form=1", "atomic_form=2"};
enum { FORMS = sizeof forms / sizeof forms[0] };

static void atomics_are_right(void **state)
{
    (void)state;
    for (uint32_t form = 0; form < FORMS; form++)
        check_way(ATOMIC, forms[form], 6 + form, 4, form ? 2 : 4);
}

/* The ways of im2col; the others have one. */
static int last_way(void)
{
    return test_algorithm == CLDEFORM_ALGORITHM_IM2COL ? ATOMIC : OWNER;
}

/* More samples than some devices let a work-item's loops go through. */
static void many_samples(void **state)
{
    (void)state;
    for (int way = OWNER; way <= last_way(); way++) {
        cldeform_context *context = create_context(way, "");
        for (int l = 0; l < 2; l++) {
            cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
            if (!test_takes_form(0, l, 0))
                continue;
            problem.layout = layouts[l];
            problem.batch = 1, problem.in_channels = 17, problem.out_channels = 1;
            problem.in_h = 48, problem.in_w = 50;
            problem.kernel_h = problem.kernel_w = 3;
            problem.pad_top = problem.pad_left = problem.pad_bottom = problem.pad_right = 1;
            test_backward_check_problem(
                &device, &problem, &(test_run){.context = context, .gradients = CLDEFORM_GRAD_INPUT}, TEST_EXACT, 23);
        }
        cldeform_context_destroy(context);
    }
}

/* Every sample in one cell: a gather's longest list, an atomic's worst contention. */
static void crowds(void **state)
{
    (void)state;
    const struct {
        int way;
        const char *more;
    } ways[] = {{OWNER, ""}, {GATHER, ""}, {ATOMIC, forms[0]}, {ATOMIC, forms[1]}, {ATOMIC, forms[2]}};
    const size_t n_ways = test_algorithm == CLDEFORM_ALGORITHM_FUSED ? 1 : sizeof ways / sizeof ways[0];
    for (size_t w = is_tiled() ? ATOMIC : 0; w < n_ways; w++) {
        cldeform_context *context = create_context(ways[w].way, ways[w].more);
        for (int l = 0; l < 2; l++) {
            cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
            if (!test_takes_form(0, l, 0))
                continue;
            problem.layout = layouts[l];
            problem.batch = 2, problem.in_channels = problem.out_channels = 5; /* fused: as a small problem's group */
            problem.in_h = 40, problem.in_w = 50;
            problem.kernel_h = problem.kernel_w = 1;
            test_backward g;
            test_backward_create(&g, &problem, TEST_EXACT, 17);
            for (int64_t e = 0; e < g.conv.shape[CLDEFORM_OFFSET].elements; e++) /* (n, axis, y, x) */
                g.conv.values[CLDEFORM_OFFSET][e] =
                    e / 2000 % 2 ? 31.25 - (double)(e % 50) : 3.5 - (double)(e / 50 % 40);
            test_backward_check(&device, &g, &(test_run){.context = context, .gradients = CLDEFORM_GRAD_INPUT}, true);
            test_backward_destroy(&g);
        }
        cldeform_context_destroy(context);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(when_asked_for),
        cmocka_unit_test(on_processors_by_default),
        cmocka_unit_test(the_question_is_answered),
        cmocka_unit_test(many_samples),
        cmocka_unit_test(crowds),
    };
    const struct CMUnitTest once[] = {
        cmocka_unit_test(by_each_way),
        cmocka_unit_test(owners_are_right),
        cmocka_unit_test(the_gather_is_right),
        cmocka_unit_test(atomics_are_right),
    };
    return TEST_OVER_ALGORITHMS_AND_ONCE(tests, once, test_open_device, test_close_device);
}
