/* Convolution forward against the reference: exactly where the data allows it, else within an error bound. */
#include "algorithms.h"
#include "conv_cases.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const cldeform_conv2d_kind kinds[] = {CLDEFORM_CONV2D_DEFORMABLE, CLDEFORM_CONV2D_MODULATED,
                                             CLDEFORM_CONV2D_PLAIN};
static const cldeform_layout layouts[] = {CLDEFORM_NCHW, CLDEFORM_NHWC};
static const cldeform_border borders[] = {CLDEFORM_BORDER_ZERO, CLDEFORM_BORDER_EDGE};

/* Whether kind, layout and border, as indices, are run in this type. Each has kernels of its own, but another type
 * changes only how they load and store: there, and on a second device, each value of each comes up, not all together.
 * Fused has other kernels for each tile too: with each tile two of these, and all of these with one or the other.
 */
static bool is_taken(cldeform_dtype dtype, const test_conv_case *row, int k, int l, int b)
{
    const int tile = test_fused_tile(row->out_channels / row->groups);
    const int form = 4 * k + 2 * b + l; /* 0 to 9: the ordinary convolution has no border */
    const bool fused = test_is_specialised();
    switch (device.extent) {
    case TEST_ALL:
        return true;
    case TEST_USUAL:
        if (!test_takes_variant(dtype != CLDEFORM_F32))
            return false;
        if (fused)
            return (form + tile) % (test_algorithm == CLDEFORM_ALGORITHM_TILED ? 20 : 5) == 0 &&
                   (dtype == CLDEFORM_F32 || tile == (dtype == CLDEFORM_F16 ? 2 : 3));
        return dtype == CLDEFORM_F32 || (k + l + b) % 2 == 0;
    default:
        return (k == 0 ? l == 0 && b == 1 : l == 1 && b == 0) && (dtype == CLDEFORM_F32 || k == 1);
    }
}

/* Every shape in one type; the way of calling changes from case to case. */
static void check_cases(cldeform_dtype dtype, test_data data)
{
    uint32_t seed = 1;
    for (int row = 0; row < test_n_conv_cases; row++) {
        for (int k = 0; k < 3; k++) {
            for (int l = 0; l < 2; l++) {
                for (int b = 0; b < 2; b++) {
                    cldeform_conv2d_problem problem = test_shape_problem(&test_conv_cases[row], kinds[k]);
                    problem.dtype = dtype;
                    problem.layout = layouts[l];
                    problem.border = borders[b];
                    if ((kinds[k] == CLDEFORM_CONV2D_PLAIN && b > 0) ||
                        !is_taken(dtype, &test_conv_cases[row], k, l, b))
                        continue;
                    const uint32_t way = seed * 2654435761u >> 20; /* in step with none of the loops */
                    const test_run run = {.strided = way % 2, .workspace = way % 3 == 0, .pack_weight = way % 5 == 0};
                    test_conv conv;
                    test_conv_create(&conv, &problem, way % 4 != 0, data, seed);
                    test_conv_check(&device, &conv, &run, data == TEST_EXACT);
                    test_conv_destroy(&conv);
                    seed++;
                }
            }
        }
    }
}

static void exact_fp32(void **state)
{
    (void)state;
    check_cases(CLDEFORM_F32, TEST_EXACT);
}

static void exact_fp16(void **state)
{
    (void)state;
    check_cases(CLDEFORM_F16, TEST_EXACT);
}

static void exact_fp64(void **state)
{
    (void)state;
    if (!device.fp64)
        skip();
    check_cases(CLDEFORM_F64, TEST_EXACT);
}

static void random_fp32(void **state)
{
    (void)state;
    check_cases(CLDEFORM_F32, TEST_RANDOM);
}

static void random_fp16(void **state)
{
    (void)state;
    check_cases(CLDEFORM_F16, TEST_RANDOM);
}

static void random_fp64(void **state)
{
    (void)state;
    if (!device.fp64)
        skip();
    check_cases(CLDEFORM_F64, TEST_RANDOM);
}

/* One run of the small problem with some fields changed. */
static void check_problem(const cldeform_conv2d_problem *problem, const test_run *run, test_data data, bool bias)
{
    test_conv conv;
    test_conv_create(&conv, problem, bias, data, 77);
    test_conv_check(&device, &conv, run, data == TEST_EXACT);
    test_conv_destroy(&conv);
}

static void offset_types(void **state)
{
    (void)state;
    const cldeform_dtype types[] = {CLDEFORM_F16, CLDEFORM_F32, CLDEFORM_F64};
    for (int d = 0; d < 3; d++) {
        for (int o = 0; o < 3; o++) {
            cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
            problem.dtype = types[d];
            problem.offset_dtype = types[o];
            problem.layout = layouts[(d + o) % 2];
            if ((types[d] == CLDEFORM_F64 || types[o] == CLDEFORM_F64) && (!device.fp64 || device.extent == TEST_PART))
                continue;
            /* pairs that have each type in each role */
            if ((test_is_specialised() && device.extent == TEST_USUAL && o != (d + 1) % 3) ||
                !test_takes_variant(d - 1))
                continue;
            check_problem(&problem, &(test_run){.strided = true}, TEST_EXACT, true);
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
            check_problem(&problem, &(test_run){.strided = l == 0}, TEST_EXACT, false);
        }
    }
}

static void mask_activations(void **state)
{
    (void)state;
    for (int a = CLDEFORM_MASK_AS_IS; a <= CLDEFORM_MASK_SIGMOID_X2; a++) {
        cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
        if (!test_takes_variant(a))
            continue;
        problem.mask_activation = (cldeform_mask_activation)a;
        check_problem(&problem, &(test_run){0}, TEST_RANDOM, false);
    }
}

static void offset_limits(void **state)
{
    (void)state;
    const double limits[] = {0.25, 1, 1.5, 1e30, (double)INFINITY};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_DEFORMABLE);
        problem.offset_limit = limits[i];
        check_problem(&problem, &(test_run){0}, TEST_EXACT, false);
    }
}

static void long_indices(void **state)
{
    (void)state;
    cldeform_context *context = test_tuned_context(&device, "\"*\" long_index=1 gemm_clblast=0\n");
    for (int k = 0; k < 3; k++) {
        for (int l = 0; l < 2; l++) {
            cldeform_conv2d_problem problem = test_small_problem(kinds[k]);
            problem.layout = layouts[l];
            cldeform_conv2d *conv = NULL;
            char text[4096];
            if ((device.extent < TEST_ALL && (k + l) % 2 == 0) || (device.extent == TEST_PART && k != 1) ||
                !test_takes_variant(k - l - 1))
                continue;
            assert_ok(cldeform_conv2d_create(context, &problem, &conv));
            assert_ok(cldeform_conv2d_describe(conv, text, sizeof text, NULL));
            assert_non_null(strstr(text, "INDEX_BITS=64"));
            if (test_algorithm == CLDEFORM_ALGORITHM_IM2COL)
                assert_non_null(strstr(text, "\"gemm\":\"builtin\""));
            cldeform_conv2d_destroy(conv);
            check_problem(&problem, &(test_run){.context = context, .strided = true}, TEST_EXACT, true);
        }
    }
    cldeform_context_destroy(context);
}

/* Those of im2col; of fused: test_fused.c. */
static void vector_widths(void **state)
{
    (void)state;
    for (int width = 1; width <= (device.extent == TEST_PART ? 1 : 16); width *= 2) { /* 8 is what others have */
        char line[80];
        snprintf(line, sizeof line, "\"\" channel_vector=%d im2col_group=%d\n", width, 7 * width);
        cldeform_context *context = test_tuned_context(&device, line);
        cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
        problem.algorithm = CLDEFORM_ALGORITHM_IM2COL;
        problem.in_channels = 66, problem.layout = CLDEFORM_NHWC;
        problem.dtype = width == 4 ? CLDEFORM_F16 : CLDEFORM_F32;
        check_problem(&problem, &(test_run){.context = context}, TEST_EXACT, true);
        cldeform_context_destroy(context);
    }
}

/* Output that may only be written: products must not go there directly. */
static void write_only_output(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_DEFORMABLE);
    check_problem(&problem, &(test_run){.output_flags = CL_MEM_WRITE_ONLY}, TEST_EXACT, false);
    check_problem(&problem, &(test_run){.output_flags = CL_MEM_WRITE_ONLY}, TEST_EXACT, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_fp32),    cmocka_unit_test(exact_fp16),     cmocka_unit_test(exact_fp64),
        cmocka_unit_test(random_fp32),   cmocka_unit_test(random_fp16),    cmocka_unit_test(random_fp64),
        cmocka_unit_test(offset_types),  cmocka_unit_test(offset_layouts), cmocka_unit_test(mask_activations),
        cmocka_unit_test(offset_limits), cmocka_unit_test(long_indices),   cmocka_unit_test(write_only_output),
    };
    const struct CMUnitTest once[] = {cmocka_unit_test(vector_widths)};
    return TEST_OVER_ALGORITHMS_AND_ONCE(tests, once, test_open_device, test_close_device);
}
