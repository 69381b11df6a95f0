/* What must hold for convolution forward whatever the reference says, and values that break careless kernels. */
#include "algorithms.h"
#include "conv.h"

#include <math.h>
#include <stdlib.h>

static const cldeform_conv2d_kind kinds[] = {CLDEFORM_CONV2D_DEFORMABLE, CLDEFORM_CONV2D_MODULATED,
                                             CLDEFORM_CONV2D_PLAIN};

/* ---- properties ---------------------------------------------------------------------------------------- */

static void fill_values(test_conv *conv, cldeform_tensor_name name, double value)
{
    for (int64_t i = 0; i < conv->shape[name].elements; i++)
        conv->values[name][i] = value;
}

/* Deformable with zero offset, and modulated with mask 1 too, is the ordinary convolution. */
static void zero_offset_is_plain(void **state)
{
    (void)state;
    double *results[3];
    test_conv conv;
    for (int k = 0; k < 3; k++) {
        cldeform_conv2d_problem problem = test_small_problem(kinds[k]);
        test_conv_create(&conv, &problem, true, TEST_EXACT, 5);
        /* the same input, weight and bias for all kinds */
        uint32_t number = 1;
        for (int t = 0; t < TEST_TENSORS; t++)
            for (int64_t i = 0; conv.present[t] && i < conv.shape[t].elements; i++)
                conv.values[t][i] = t == CLDEFORM_OFFSET ? 0
                                    : t == CLDEFORM_MASK ? 1
                                                         : (double)((number = number * 69069u + 1) >> 29) - 4;
        number = 1;
        for (int t = CLDEFORM_INPUT; t <= CLDEFORM_BIAS; t++)
            for (int64_t i = 0;
                 t != CLDEFORM_OFFSET && t != CLDEFORM_MASK && conv.present[t] && i < conv.shape[t].elements; i++)
                conv.values[t][i] = (double)((number = number * 69069u + 1) >> 29) - 4;
        results[k] = test_conv_run_alone(&device, &conv, &(test_run){0});
        if (k < 2)
            test_conv_destroy(&conv);
    }
    test_conv_compare(&conv, results[0], results[2], NULL);
    test_conv_compare(&conv, results[1], results[2], NULL);
    for (int k = 0; k < 3; k++)
        free(results[k]);
    test_conv_destroy(&conv);
}

/* A whole offset reads the pixel that lies there. */
static void whole_offset_is_a_shift(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
    problem.batch = 1, problem.in_channels = 1, problem.out_channels = 1;
    problem.in_h = 9, problem.in_w = 7;
    problem.kernel_h = problem.kernel_w = 1;
    test_conv conv;
    test_conv_create(&conv, &problem, false, TEST_EXACT, 3);
    const int dy = 2, dx = -3;
    for (int64_t y = 0; y < 9; y++) {
        for (int64_t x = 0; x < 7; x++) {
            conv.values[CLDEFORM_OFFSET][y * 7 + x] = dy;
            conv.values[CLDEFORM_OFFSET][63 + y * 7 + x] = dx;
            const bool inside = y + dy < 9 && x + dx >= 0;
            conv.values[CLDEFORM_OUTPUT][y * 7 + x] =
                inside ? conv.values[CLDEFORM_INPUT][(y + dy) * 7 + x + dx] * conv.values[CLDEFORM_WEIGHT][0] : 0;
        }
    }
    double *found = test_conv_run_alone(&device, &conv, &(test_run){0});
    test_conv_compare(&conv, found, conv.values[CLDEFORM_OUTPUT], NULL);
    free(found);
    test_conv_destroy(&conv);
}

static void zero_mask_leaves_bias(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    test_conv conv;
    test_conv_create(&conv, &problem, true, TEST_RANDOM, 9);
    fill_values(&conv, CLDEFORM_MASK, 0);
    const cldeform_shape *shape = &conv.shape[CLDEFORM_OUTPUT];
    const int64_t plane = shape->size[2] * shape->size[3];
    for (int64_t i = 0; i < shape->elements; i++)
        conv.values[CLDEFORM_OUTPUT][i] = conv.values[CLDEFORM_BIAS][i / plane % shape->size[1]];
    double *found = test_conv_run_alone(&device, &conv, &(test_run){0});
    test_conv_compare(&conv, found, conv.values[CLDEFORM_OUTPUT], NULL);
    free(found);
    test_conv_destroy(&conv);
}

/* ---- special values ------------------------------------------------------------------------------------ */

/* Positions that break careless kernels, on a 6 x 6 map. */
static const double positions[] = {
    0.5, INFINITY, 3e38, 1e30, NAN, -INFINITY, -3e38, -1e30, 65504, 2147483648.0, -2147483649.0, 4e18,
    -1,  -1.5,     -0.5, 0.0,  4.5, 5,         5.5,   6,     -0.0,  1e-40,        2.25,
};
enum { POSITIONS = sizeof positions / sizeof positions[0], MAP = 6 };

/* A 1x1 convolution whose output (i, j) samples at (positions[i], positions[j]). (Five outputs here and below: as many
 * as a group of the small problem has, so that fused takes the same kernels.) */
static void create_special(test_conv *conv, int kind, int border, int layout, double limit)
{
    cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
    problem.kind = kinds[kind];
    problem.border = (cldeform_border)border;
    problem.layout = (cldeform_layout)layout;
    problem.offset_limit = limit;
    problem.batch = 1, problem.in_channels = 3, problem.out_channels = 5;
    problem.in_h = problem.in_w = MAP;
    problem.kernel_h = problem.kernel_w = 1;
    problem.pad_bottom = problem.pad_right = POSITIONS - MAP;
    test_conv_create(conv, &problem, false, TEST_EXACT, 11);
    fill_values(conv, CLDEFORM_WEIGHT, 1); /* infinity must not meet its negative */
    for (int i = 0; i < POSITIONS; i++) {
        for (int j = 0; j < POSITIONS; j++) {
            const int at = i * POSITIONS + j;
            conv->values[CLDEFORM_OFFSET][at] = (float)(positions[i] - i);
            conv->values[CLDEFORM_OFFSET][POSITIONS * POSITIONS + at] = (float)(positions[j] - j);
            if (kinds[kind] == CLDEFORM_CONV2D_MODULATED) /* what is not sampled ignores its mask */
                conv->values[CLDEFORM_MASK][at] = isfinite(positions[i]) ? 0.5 : NAN;
        }
    }
}

/* NaN, infinite and huge offsets sample 0. The pixels at the map's border are then infinite, and NaN: taps outside,
 * whose coordinates are clamped to those pixels, must add exactly 0, and samples of the inside must not change. */
static void special_values(void **state)
{
    (void)state;
    const double edges[] = {0, (double)INFINITY, (double)NAN};
    const double limits[] = {0, 3};
    for (int variant = 0; variant < 2 * 2 * 2 * 2; variant++) {
        test_conv conv;
        create_special(&conv, variant & 1, variant >> 1 & 1, variant >> 2 & 1, limits[variant >> 3]);
        const bool nhwc = conv.problem.layout == CLDEFORM_NHWC;
        for (int e = 0; e < 3; e++) {
            for (int c = 0; e > 0 && c < 3; c++)
                for (int y = 0; y < MAP; y++)
                    for (int x = 0; x < MAP; x++)
                        if (y == 0 || x == 0 || y == MAP - 1 || x == MAP - 1)
                            conv.values[CLDEFORM_INPUT][nhwc ? (y * MAP + x) * 3 + c : (c * MAP + y) * MAP + x] =
                                edges[e];
            test_conv_check(&device, &conv, &(test_run){.strided = true}, true);
        }
        test_conv_destroy(&conv);
    }
}

/* fp16 positions are formed in fp32: in half, 2049 would be 2048. */
static void half_positions(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
    problem.dtype = CLDEFORM_F16;
    problem.batch = 1, problem.in_channels = 1, problem.out_channels = 5;
    problem.in_h = 1, problem.in_w = 2051;
    problem.kernel_h = problem.kernel_w = 1;
    test_conv conv;
    test_conv_create(&conv, &problem, false, TEST_EXACT, 1);
    for (int x = 0; x < 2051; x++) {
        conv.values[CLDEFORM_INPUT][x] = x % 7;
        conv.values[CLDEFORM_OFFSET][x] = 0;
        conv.values[CLDEFORM_OFFSET][2051 + x] = 0.5;
    }
    conv.values[CLDEFORM_WEIGHT][0] = 1;
    test_conv_check(&device, &conv, &(test_run){0}, true);
    test_conv_destroy(&conv);
}

/* Samples far from the origin are as good as those near it: the error bound knows nothing of the map's size. */
static void far_columns(void **state)
{
    (void)state;
    for (int l = 0; l < 2; l++) {
        cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
        problem.layout = (cldeform_layout)l;
        problem.batch = 1, problem.in_channels = 2, problem.out_channels = 5;
        problem.in_h = 1, problem.in_w = 100003;
        problem.kernel_h = problem.kernel_w = 1;
        problem.stride_w = 37;
        test_conv conv;
        test_conv_create(&conv, &problem, false, TEST_RANDOM, 3);
        for (int64_t i = 0; i < conv.shape[CLDEFORM_OFFSET].elements; i++)
            conv.values[CLDEFORM_OFFSET][i] = (float)(sin((double)i) * 0.99);
        test_conv_check(&device, &conv, &(test_run){0}, false);
        test_conv_destroy(&conv);
    }
}

/* Equal terms, so that all that is rounded off has one sign for long: the built-in product and fused add up in blocks;
 * tiled adds one after the other, as GEMM libraries do: half an ulp for each term. */
static void long_sums(void **state)
{
    (void)state;
    cldeform_context *context = test_tuned_context(&device, "\"*\" gemm_clblast=0\n");
    cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
    problem.kind = CLDEFORM_CONV2D_PLAIN;
    problem.batch = 1, problem.in_channels = 8000, problem.out_channels = 5, problem.in_h = problem.in_w = 2;
    problem.kernel_h = problem.kernel_w = 1;
    test_conv conv;
    test_conv_create(&conv, &problem, false, TEST_EXACT, 3);
    fill_values(&conv, CLDEFORM_INPUT, 1);
    fill_values(&conv, CLDEFORM_WEIGHT, (double)1.1f);
    test_conv_reference(&conv);
    double *found = test_conv_run_alone(&device, &conv, &(test_run){.context = context});
    const double bound = test_algorithm == CLDEFORM_ALGORITHM_TILED ? 8000 * 0x1p-24 : 4e-6;
    for (int i = 0; i < 5 * 4; i++)
        assert_true(fabs(found[i] - conv.values[CLDEFORM_OUTPUT][i]) <= bound * conv.values[CLDEFORM_OUTPUT][i]);
    free(found);
    test_conv_destroy(&conv);
    cldeform_context_destroy(context);
}

/* Offsets of millions of pixels, to a pixel that is there. */
static void far_offsets(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
    problem.batch = 1, problem.in_channels = 1, problem.out_channels = 1;
    problem.in_h = 1, problem.in_w = 3000001;
    problem.kernel_h = problem.kernel_w = 1;
    problem.stride_w = 3000000;
    test_conv conv;
    test_conv_create(&conv, &problem, false, TEST_EXACT, 3);
    const double to[] = {2000000, -2999999};
    for (int x = 0; x < 2; x++) {
        conv.values[CLDEFORM_OFFSET][x] = 0;
        conv.values[CLDEFORM_OFFSET][2 + x] = to[x];
        conv.values[CLDEFORM_INPUT][x * 3000000 + (int64_t)to[x]] = 3 + x;
    }
    conv.values[CLDEFORM_WEIGHT][0] = 1;
    test_conv_reference(&conv);
    assert_true(conv.values[CLDEFORM_OUTPUT][0] == 3 && conv.values[CLDEFORM_OUTPUT][1] == 4);
    test_conv_check(&device, &conv, &(test_run){0}, true);
    test_conv_destroy(&conv);
}

/* The ordinary convolution reads the pixels of its window and no others: a NaN reaches the outputs whose window holds
 * it. */
static void plain_nan_stays_in_its_window(void **state)
{
    (void)state;
    for (int l = 0; l < 2; l++) {
        cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
        problem.kind = CLDEFORM_CONV2D_PLAIN;
        problem.layout = (cldeform_layout)l;
        problem.batch = 1, problem.in_channels = 1, problem.out_channels = 5;
        problem.in_h = 7, problem.in_w = 6;
        problem.kernel_h = 3, problem.kernel_w = 1;
        problem.pad_top = problem.pad_bottom = 1;
        test_conv conv;
        test_conv_create(&conv, &problem, false, TEST_EXACT, 3);
        fill_values(&conv, CLDEFORM_WEIGHT, 1);
        conv.values[CLDEFORM_INPUT][3 * 6 + 2] = NAN;
        double *found = test_conv_run_alone(&device, &conv, &(test_run){0});
        for (int o = 0; o < 5; o++)
            for (int y = 0; y < 7; y++)
                for (int x = 0; x < 6; x++)
                    assert_int_equal(isnan(found[l ? (y * 6 + x) * 5 + o : (o * 7 + y) * 6 + x]) != 0,
                                     x == 2 && y >= 2 && y <= 4);
        test_conv_reference(&conv);
        test_conv_compare(&conv, found, conv.values[CLDEFORM_OUTPUT], NULL);
        free(found);
        test_conv_destroy(&conv);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_offset_is_plain),
        cmocka_unit_test(whole_offset_is_a_shift),
        cmocka_unit_test(zero_mask_leaves_bias),
        cmocka_unit_test(special_values),
        cmocka_unit_test(half_positions),
        cmocka_unit_test(far_columns),
        cmocka_unit_test(far_offsets),
        cmocka_unit_test(long_sums),
        cmocka_unit_test(plain_nan_stays_in_its_window),
    };
    return TEST_OVER_ALGORITHMS(tests, test_open_device, test_close_device);
}
