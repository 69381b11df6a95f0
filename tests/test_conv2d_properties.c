/* What must hold for convolution forward whatever the reference says, and values that break careless kernels. */
#include "conv.h"

#include <math.h>
#include <stdlib.h>

static test_device device;

static const cldeform_conv2d_kind kinds[] = {CLDEFORM_CONV2D_DEFORMABLE, CLDEFORM_CONV2D_MODULATED,
                                             CLDEFORM_CONV2D_PLAIN};
static const cldeform_layout layouts[] = {CLDEFORM_NCHW, CLDEFORM_NHWC};
static const cldeform_border borders[] = {CLDEFORM_BORDER_ZERO, CLDEFORM_BORDER_EDGE};

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

/* NaN, infinite and huge offsets sample 0; pixels next to the map's border hold NaN and infinity, which taps outside
 * must not pick up through a clamped coordinate. */
static void special_values(void **state)
{
    (void)state;
    const double offsets[] = {
        NAN, INFINITY, -INFINITY, 3e38, -3e38, 1e30, -1e30, 65504, 2147483648.0, -2147483649.0, 4e18,
        -1,  -1.5,     -0.5,      0.5,  0.0,   5,    5.5,   6,     -0.0,         1e-40};
    const int n = sizeof offsets / sizeof offsets[0];
    for (int k = 0; k < 2; k++) {
        for (int b = 0; b < 2; b++) {
            for (int l = 0; l < 2; l++) {
                cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
                problem.kind = kinds[k];
                problem.border = borders[b];
                problem.layout = layouts[l];
                problem.batch = 1, problem.in_channels = 3, problem.out_channels = 2;
                problem.in_h = n, problem.in_w = n;
                problem.kernel_h = problem.kernel_w = 1;
                test_conv conv;
                test_conv_create(&conv, &problem, false, TEST_EXACT, 11);
                /* output (i, j) samples at offset i from row 0 and offset j from column 0 */
                for (int i = 0; i < n; i++) {
                    for (int j = 0; j < n; j++) {
                        conv.values[CLDEFORM_OFFSET][i * n + j] = (float)(offsets[i] - i);
                        conv.values[CLDEFORM_OFFSET][n * n + i * n + j] = (float)(offsets[j] - j);
                        if (k == 1) /* what is not sampled ignores its mask */
                            conv.values[CLDEFORM_MASK][i * n + j] = isfinite(offsets[i]) ? 0.5 : NAN;
                    }
                }
                test_conv_check(&device, &conv, &(test_run){.strided = true}, true);

                /* the same with a border of NaN and infinity round the map: samples of the inside, and those that are
                 * 0, must not change */
                for (int c = 0; c < 3; c++) {
                    for (int i = 0; i < n; i++) {
                        const int at[4][2] = {{0, i}, {n - 1, i}, {i, 0}, {i, n - 1}};
                        for (int side = 0; side < 4; side++) {
                            const int y = at[side][0], x = at[side][1];
                            conv.values[CLDEFORM_INPUT][l ? (y * n + x) * 3 + c : (c * n + y) * n + x] =
                                side % 2 ? NAN : INFINITY;
                        }
                    }
                }
                test_conv_check(&device, &conv, &(test_run){.strided = true}, true);
                test_conv_destroy(&conv);
            }
        }
    }
}

/* fp16 positions are formed in fp32: in half, 2049 would be 2048. */
static void half_positions(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
    problem.dtype = CLDEFORM_F16;
    problem.batch = 1, problem.in_channels = 1, problem.out_channels = 1;
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

static int open_device(void **state)
{
    (void)state;
    test_device_open(&device);
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    test_device_close(&device);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_offset_is_plain),  cmocka_unit_test(whole_offset_is_a_shift),
        cmocka_unit_test(zero_mask_leaves_bias), cmocka_unit_test(special_values),
        cmocka_unit_test(half_positions),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
