/* Convolution backward against the reference: exactly where the data allows it, else within an error bound. */
#include "algorithms.h"
#include "conv_cases.h"
#include "backward.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const cldeform_conv2d_kind kinds[] = {CLDEFORM_CONV2D_DEFORMABLE, CLDEFORM_CONV2D_MODULATED,
                                             CLDEFORM_CONV2D_PLAIN};
static const cldeform_layout layouts[] = {CLDEFORM_NCHW, CLDEFORM_NHWC};

/* Both rules of the border, and of the offset's gradient at a kink. */
enum { RULE_ZERO, RULE_EDGE, RULE_OPEN, RULES };

static void set_rule(cldeform_conv2d_problem *problem, int rule)
{
    problem->border = rule == RULE_EDGE ? CLDEFORM_BORDER_EDGE : CLDEFORM_BORDER_ZERO;
    problem->offset_gradient = rule == RULE_OPEN ? CLDEFORM_OFFSET_GRADIENT_OPEN : CLDEFORM_OFFSET_GRADIENT_STRICT;
}

/* ---- all shapes ---------------------------------------------------------------------------------------- */

/* Whether kind, layout and rule, as indices, are run in this type for shape number `row`. Each kind and rule has
 * kernels of its own, but another type changes only how they load and store: there, and on a second device, each value
 * of each comes up, not all together. (The layout matters only to few kernels here.) Fused has other kernels for each
 * tile too: with each tile two of these, and all of these with one or the other. */
static bool is_taken(cldeform_dtype dtype, int row, int k, int l, int rule)
{
    const bool single = dtype == CLDEFORM_F32;
    if (device.extent == TEST_ALL)
        return true;
    if (!test_takes_variant(!single))
        return false;
    if (test_is_specialised() && device.extent == TEST_USUAL) {
        const int tile = test_fused_tile(test_conv_cases[row].in_channels / test_conv_cases[row].groups);
        const int form = k == 2 ? 12 + l : 6 * k + 2 * rule + l; /* 0 to 13 */
        return (form + 2 * tile) % (test_algorithm == CLDEFORM_ALGORITHM_TILED ? 28 : 7) == 0 &&
               (single || tile == (dtype == CLDEFORM_F16 ? 2 : 3));
    }
    if ((row + k + l + rule) % 2 != 0)
        return false;
    if (device.extent == TEST_USUAL && single)
        return true;
    /* edge and no mask, open and a mask, and the ordinary convolution */
    return (k == 2 || rule == k + 1) && (device.extent == TEST_USUAL || single || k == 1);
}

/* One in `thin` of the shapes, kinds, layouts and rules that are taken in this type; the way of calling changes from
 * case to case. (The reference takes much of the time, and for an error bound runs seven times.) */
static void check_cases(cldeform_dtype dtype, test_data data, int thin)
{
    uint32_t taken = 0;
    thin *= device.extent == TEST_PART ? 2 : 1;
    for (int row = 0; row < test_n_conv_cases; row++) {
        for (int k = 0; k < 3; k++) {
            for (int l = 0; l < 2; l++) {
                for (int rule = 0; rule < (kinds[k] == CLDEFORM_CONV2D_PLAIN ? 1 : RULES); rule++) {
                    if (!is_taken(dtype, row, k, l, rule) || taken++ % (uint32_t)thin != 0)
                        continue;
                    const uint32_t way = taken * 2654435761u >> 12; /* in step with none of the loops */
                    cldeform_conv2d_problem problem = test_shape_problem(&test_conv_cases[row], kinds[k]);
                    problem.dtype = dtype;
                    problem.layout = layouts[l];
                    set_rule(&problem, rule);
                    const test_run run = {.strided = way % 2,
                                          .workspace = way % 3 == 0,
                                          .minimal = way % 5 == 0,
                                          .accumulate = way % 4 ? 0 : CLDEFORM_BACKWARD & (way >> 4),
                                          .gradients = 0};
                    test_backward_check_problem(&device, &problem, &run, data, taken);
                }
            }
        }
    }
}

static void exact_fp32(void **state)
{
    (void)state;
    check_cases(CLDEFORM_F32, TEST_EXACT, 1);
}

static void exact_fp16(void **state)
{
    (void)state;
    check_cases(CLDEFORM_F16, TEST_EXACT, 1);
}

static void exact_fp64(void **state)
{
    (void)state;
    if (!device.fp64)
        skip();
    check_cases(CLDEFORM_F64, TEST_EXACT, 1);
}

static void random_fp32(void **state)
{
    (void)state;
    check_cases(CLDEFORM_F32, TEST_RANDOM, 3);
}

static void random_fp16(void **state)
{
    (void)state;
    check_cases(CLDEFORM_F16, TEST_RANDOM, 3);
}

static void random_fp64(void **state)
{
    (void)state;
    if (!device.fp64)
        skip();
    check_cases(CLDEFORM_F64, TEST_RANDOM, 3);
}

/* ---- which gradients ----------------------------------------------------------------------------------- */

/* Every subset gives the same bits as all together, with no more prepared and handed over than it needs. */
static void subsets(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++) {
        cldeform_conv2d_problem problem = test_small_problem(kinds[k]);
        problem.layout = layouts[(k + 1) % 2];
        /* tiled adds in any order: only exact sums are then the same */
        const bool any_order = test_algorithm == CLDEFORM_ALGORITHM_TILED;
        problem.deterministic = !any_order;
        test_backward g;
        test_backward_create(&g, &problem, any_order ? TEST_EXACT : TEST_RANDOM, 5);
        test_gradients together = test_backward_run(&device, &g, &(test_run){0});
        for (cldeform_passes asked = CLDEFORM_GRAD_INPUT; asked <= CLDEFORM_BACKWARD; asked += CLDEFORM_GRAD_INPUT) {
            if (asked & ~g.all)
                continue;
            test_gradients found = test_backward_run(&device, &g, &(test_run){.gradients = asked, .minimal = true});
            for (int i = 0; i < TEST_GRADIENTS; i++)
                assert_int_equal(found.values[i] != NULL, (asked & test_gradient_bit(i)) != 0);
            test_gradients_same(&g, &found, &together);
            test_gradients_free(&found);
        }
        test_gradients_free(&together);
        test_backward_destroy(&g);
    }
}

/* What is there is added to by the gradients whose bit is set and overwritten by the others, in each type. */
static void accumulation(void **state)
{
    (void)state;
    const cldeform_dtype types[] = {CLDEFORM_F32, CLDEFORM_F16};
    for (int d = 0; d < 2; d++) {
        for (int l = 0; l < 2; l++) {
            cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
            problem.dtype = types[d];
            problem.layout = layouts[l];
            test_backward g;
            test_backward_create(&g, &problem, TEST_EXACT, 6);
            for (int i = 0; i <= TEST_GRADIENTS; i++) {
                const cldeform_passes accumulate = i < TEST_GRADIENTS ? test_gradient_bit(i) : CLDEFORM_BACKWARD;
                test_backward_check(&device, &g,
                                    &(test_run){.accumulate = accumulate,
                                                .strided = true,
                                                .workspace = i % 2,
                                                .output_flags = l ? CL_MEM_WRITE_ONLY : 0},
                                    true);
            }
            test_backward_destroy(&g);
        }
    }
}

/* An accumulated fp16 gradient is rounded once: what an image adds is below half an ulp of what is there, and only the
 * sum over the images is not. */
static void halves_are_rounded_once(void **state)
{
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
        problem.dtype = CLDEFORM_F16;
        problem.layout = layouts[variant % 2];
        problem.batch = 64, problem.in_channels = 8, problem.out_channels = 8;
        problem.in_h = problem.in_w = 4;
        problem.kernel_h = problem.kernel_w = 1;
        test_backward g;
        test_backward_create(&g, &problem, TEST_EXACT, 6);
        for (int64_t e = 0; e < g.conv.shape[CLDEFORM_INPUT].elements; e++)
            g.conv.values[CLDEFORM_INPUT][e] = 0.0625;
        for (int64_t e = 0; e < g.conv.shape[CLDEFORM_OFFSET].elements; e++)
            g.conv.values[CLDEFORM_OFFSET][e] = 0;
        for (int64_t e = 0; e < g.conv.shape[CLDEFORM_OUTPUT].elements; e++)
            g.grad_output[e] = 0.03125;
        for (int i = CLDEFORM_WEIGHT; i <= CLDEFORM_BIAS; i++) /* the ulp is 2 there; an image adds 1/32, or 1/2 */
            for (int64_t e = 0; e < g.shape[i].elements; e++)
                g.initial[i][e] = 2048;
        const cldeform_passes parameters = CLDEFORM_GRAD_WEIGHT | CLDEFORM_GRAD_BIAS;
        test_backward_check(&device, &g,
                            &(test_run){.accumulate = parameters, .gradients = parameters, .workspace = variant >= 2},
                            true);
        test_backward_destroy(&g);
    }
}

/* Gradients that are only written may be in buffers that cannot be read. */
static void write_only_gradients(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++) {
        cldeform_conv2d_problem problem = test_small_problem(kinds[k]);
        problem.layout = layouts[(k + 1) % 2];
        test_backward_check_problem(&device, &problem,
                                    &(test_run){.output_flags = CL_MEM_WRITE_ONLY, .strided = k == 0}, TEST_EXACT, 3);
    }
}

/* ---- what else a problem may say ----------------------------------------------------------------------- */

/* Data, offsets and gradients of parameters each in another type. */
static void types(void **state)
{
    (void)state;
    enum { F16 = CLDEFORM_F16, F32 = CLDEFORM_F32, F64 = CLDEFORM_F64, EITHER = 0, WITH = 1, WITHOUT = 2 };
    static const struct {
        int data, offset, weight_grad;
        test_extent from;
        int fp64; /* devices with it or without it */
    } rows[] = {
        {F16, F16, F32, TEST_USUAL, EITHER}, /* the master gradients of half precision data */
        {F16, F32, F64, TEST_PART, WITH},     {F32, F64, F16, TEST_USUAL, WITH},
        {F64, F16, F32, TEST_USUAL, WITH}, /* each type was in each role */
        {F16, F64, F32, TEST_ALL, WITH},      {F64, F32, F16, TEST_ALL, WITH},
        {F32, F16, F64, TEST_ALL, WITH},      {F16, F32, F32, TEST_PART, WITHOUT},
        {F32, F16, F16, TEST_USUAL, WITHOUT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
        if (device.extent < rows[i].from || !test_takes_variant((int)i - 2) ||
            (rows[i].fp64 != EITHER && device.fp64 != (rows[i].fp64 == WITH)))
            continue;
        problem.dtype = (cldeform_dtype)rows[i].data;
        problem.offset_dtype = (cldeform_dtype)rows[i].offset;
        problem.weight_grad_dtype = (cldeform_dtype)rows[i].weight_grad;
        for (int l = 0; l < (device.extent == TEST_ALL ? 2 : 1); l++) {
            problem.layout = layouts[(i + (size_t)l) % 2];
            test_backward_check_problem(&device, &problem,
                                        &(test_run){.strided = true, .accumulate = i % 3 == 2 ? 0 : CLDEFORM_BACKWARD},
                                        TEST_EXACT, 77);
        }
    }
}

static void offset_layouts(void **state)
{
    (void)state;
    for (int o = CLDEFORM_OFFSET_YX; o <= CLDEFORM_OFFSET_YX_LAST; o++) {
        for (int l = 0; l < 2; l++) {
            cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
            if (!test_takes_variant(o + l))
                continue;
            problem.offset_layout = (cldeform_offset_layout)o;
            problem.layout = layouts[l];
            test_backward_check_problem(&device, &problem, &(test_run){.strided = l == 0}, TEST_EXACT, 77);
        }
    }
}

static void mask_activations(void **state)
{
    (void)state;
    for (int a = CLDEFORM_MASK_SIGMOID; a <= CLDEFORM_MASK_SIGMOID_X2; a++) {
        for (int l = 0; l < 2; l++) {
            if ((device.extent == TEST_PART && (a != CLDEFORM_MASK_SIGMOID_X2 || l == 0)) ||
                !test_takes_form(a, l, 0) || !test_takes_variant(a - 1))
                continue;
            cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
            problem.mask_activation = (cldeform_mask_activation)a;
            problem.layout = layouts[l];
            test_backward g;
            test_backward_create(&g, &problem, TEST_RANDOM, 8);
            /* logits far out too, where the derivative vanishes and an exponential overflows */
            for (int64_t e = 0; e < g.conv.shape[CLDEFORM_MASK].elements; e += 7)
                g.conv.values[CLDEFORM_MASK][e] = e % 3 ? -100 : e % 2 ? 100 : 1e4;
            test_backward_check(&device, &g, &(test_run){0}, false);
            test_backward_destroy(&g);
        }
    }
}

/* At the limit the gradient is the offset's, beyond it 0: exact offsets are on it often. */
static void offset_limits(void **state)
{
    (void)state;
    const double limits[] = {0.25, 1, 1.5, 1e30, (double)INFINITY};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        for (int rule = 0; rule < RULES; rule++) {
            cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_DEFORMABLE);
            if (!test_takes_form(0, (int)i % 2, rule))
                continue;
            problem.offset_limit = limits[i];
            problem.layout = layouts[i % 2];
            set_rule(&problem, rule);
            test_backward_check_problem(&device, &problem, &(test_run){0}, TEST_EXACT, 9);
        }
    }
}

static void long_indices(void **state)
{
    (void)state;
    cldeform_context *context = test_tuned_context(&device, "\"*\" long_index=1 gemm_clblast=0\n");
    for (int k = 0; k < 3; k++) {
        for (int l = 0; l < 2; l++) {
            cldeform_conv2d_problem problem = test_small_problem(kinds[k]);
            cldeform_conv2d *conv = NULL;
            char text[8192];
            if ((device.extent < TEST_ALL && (k + l) % 2 == 0) || (device.extent == TEST_PART && k != 1))
                continue;
            if ((test_is_specialised() && device.extent < TEST_ALL && k == 0) || !test_takes_variant(k - 1))
                continue;
            problem.layout = layouts[l];
            problem.passes = CLDEFORM_BACKWARD;
            assert_ok(cldeform_conv2d_create(context, &problem, &conv));
            assert_ok(cldeform_conv2d_describe(conv, text, sizeof text, NULL));
            assert_non_null(strstr(text, "INDEX_BITS=64"));
            assert_null(strstr(text, "INDEX_BITS=32"));
            if (test_algorithm == CLDEFORM_ALGORITHM_IM2COL)
                assert_non_null(strstr(text, "\"gemm\":\"builtin\""));
            cldeform_conv2d_destroy(conv);
            test_backward_check_problem(
                &device, &problem,
                &(test_run){.context = context, .strided = true, .accumulate = l ? CLDEFORM_BACKWARD : 0}, TEST_EXACT,
                77);
        }
    }
    cldeform_context_destroy(context);
}

/* Those of im2col; of fused: test_fused.c. */
static void vector_widths(void **state)
{
    (void)state;
    for (int width = 1; width <= (device.extent == TEST_PART ? 1 : 16); width *= 16) {
        char line[80];
        snprintf(line, sizeof line, "\"\" channel_vector=%d im2col_group=%d col2im_vector=%d\n", width, 7 * width,
                 width);
        cldeform_context *context = test_tuned_context(&device, line);
        cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
        problem.algorithm = CLDEFORM_ALGORITHM_IM2COL;
        problem.in_channels = 66, problem.layout = CLDEFORM_NHWC;
        problem.dtype = width == 1 ? CLDEFORM_F16 : CLDEFORM_F32;
        test_backward_check_problem(&device, &problem, &(test_run){.context = context}, TEST_EXACT, 77);
        cldeform_context_destroy(context);
    }
}

static void batch_sizes(void **state)
{
    (void)state;
    const int64_t sizes[] = {1, 2, 31, 33, 37, 64, 80};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int l = 0; l < 2; l++) {
            cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
            if ((device.extent == TEST_PART && sizes[i] != 1 && sizes[i] != 33) || !test_takes_form(1, l, 0))
                continue;
            problem.batch = sizes[i];
            problem.layout = layouts[l];
            problem.in_h = 6, problem.in_w = 5, problem.in_channels = 6, problem.out_channels = 4;
            test_backward_check_problem(&device, &problem, &(test_run){.workspace = l == 0 && sizes[i] < 40},
                                        TEST_EXACT, 12);
        }
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
        cmocka_unit_test(types),
        cmocka_unit_test(offset_layouts),
        cmocka_unit_test(mask_activations),
        cmocka_unit_test(offset_limits),
        cmocka_unit_test(long_indices),
        cmocka_unit_test(batch_sizes),
    };
    const struct CMUnitTest once[] = {cmocka_unit_test(vector_widths)};
    return TEST_OVER_ALGORITHMS_AND_ONCE(tests, once, test_open_device, test_close_device);
}
