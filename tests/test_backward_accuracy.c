/* Gradients where careless arithmetic loses digits: long sums of one sign, saturated masks, wide gradients of narrow
 * data, limits that no float is. */
#include "algorithms.h"
#include "backward.h"

#include <math.h>
#include <stdlib.h>

/* Fails unless the gradient is within this of the reference's, relative to its largest value. */
static void expect_near(const test_backward *g, const test_gradients *found, int i, double limit)
{
    double largest = 0, error = 0;
    for (int64_t e = 0; e < g->shape[i].elements; e++) {
        const double difference = fabs(found->values[i][e] - g->values[i][e]);
        largest = fmax(largest, fabs(g->values[i][e]));
        error = isnan(difference) ? INFINITY : fmax(error, difference);
    }
    if (!(error <= limit * largest))
        fail_msg("%s is off by %.2g of its largest value, more than %.2g", test_gradient_names[i], error / largest,
                 limit);
}

/* One channel of a 1x1 convolution: its weight and bias gather all pixels of all images. */
static void check_sums(cldeform_context *context, int64_t batch, int64_t h, int64_t w, cldeform_layout layout)
{
    cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
    test_backward g;
    problem.layout = layout;
    problem.batch = batch, problem.in_channels = 1, problem.out_channels = 1, problem.in_h = h, problem.in_w = w;
    problem.kernel_h = problem.kernel_w = 1;
    test_backward_create(&g, &problem, TEST_EXACT, 5);
    for (int64_t e = 0; e < batch * h * w; e++) { /* equal terms: all that is rounded off has one sign for long */
        g.conv.values[CLDEFORM_INPUT][e] = 1;
        g.grad_output[e] = (double)1.1f;
    }
    for (int64_t e = 0; e < 2 * batch * h * w; e++)
        g.conv.values[CLDEFORM_OFFSET][e] = 0;
    test_backward_reference(&g);
    test_gradients found = test_backward_run(
        &device, &g, &(test_run){.context = context, .gradients = CLDEFORM_GRAD_WEIGHT | CLDEFORM_GRAD_BIAS});
    expect_near(&g, &found, CLDEFORM_WEIGHT, 4e-6);
    expect_near(&g, &found, CLDEFORM_BIAS, 1e-6);
    test_gradients_free(&found);
    test_backward_destroy(&g);
}

static void long_sums_of_one_sign(void **state)
{
    (void)state;
    const char *engines[] = {"\"*\" gemm_clblast=1\n", "\"*\" gemm_clblast=0\n"}; /* of im2col */
    for (int e = test_algorithm == CLDEFORM_ALGORITHM_IM2COL ? 0 : 1; e < 2; e++) {
        cldeform_context *context = test_tuned_context(&device, engines[e]);
        check_sums(context, 2, 512, 600, e ? CLDEFORM_NHWC : CLDEFORM_NCHW);
        if (e) /* many products: one engine is enough */
            check_sums(context, 3000, 1, 1, CLDEFORM_NCHW);
        cldeform_context_destroy(context);
    }
}

/* A slope that is the difference of 1 and nearly 1 has no digits left. */
static void slopes_of_saturated_masks(void **state)
{
    (void)state;
    for (int a = CLDEFORM_MASK_SIGMOID; a <= CLDEFORM_MASK_SIGMOID_X2; a++) {
        cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
        test_backward g;
        problem.kind = CLDEFORM_CONV2D_MODULATED;
        problem.mask_activation = (cldeform_mask_activation)a;
        problem.batch = 1, problem.in_channels = 1, problem.out_channels = 1, problem.in_h = 1, problem.in_w = 41;
        problem.kernel_h = problem.kernel_w = 1;
        test_backward_create(&g, &problem, TEST_EXACT, 5);
        for (int x = 0; x < 41; x++) {
            g.conv.values[CLDEFORM_INPUT][x] = g.grad_output[x] = 1;
            g.conv.values[CLDEFORM_OFFSET][x] = g.conv.values[CLDEFORM_OFFSET][41 + x] = 0;
            g.conv.values[CLDEFORM_MASK][x] = 2 * (x - 20);
        }
        g.conv.values[CLDEFORM_WEIGHT][0] = 1;
        test_backward_reference(&g);
        test_gradients found = test_backward_run(&device, &g, &(test_run){.gradients = CLDEFORM_GRAD_MASK});
        for (int x = 0; x < 41; x++) {
            const double have = found.values[CLDEFORM_MASK][x], want = g.values[CLDEFORM_MASK][x];
            if (!(fabs(have - want) <= 1e-5 * fabs(want)))
                fail_msg("the slope at logit %d is %.9g; it must be %.9g", 2 * (x - 20), have, want);
        }
        test_gradients_free(&found);
        test_backward_destroy(&g);
    }
}

/* What is added to is not rounded to the data's type: here 0 is added to thirds. */
static void wide_gradients_of_narrow_data(void **state)
{
    (void)state;
    if (!device.fp64)
        skip();
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    test_backward g;
    problem.offset_dtype = problem.weight_grad_dtype = CLDEFORM_F64;
    test_backward_create(&g, &problem, TEST_EXACT, 5);
    for (int64_t e = 0; e < g.conv.shape[CLDEFORM_OUTPUT].elements; e++)
        g.grad_output[e] = 0;
    const int wide[] = {CLDEFORM_OFFSET, CLDEFORM_MASK, CLDEFORM_WEIGHT, CLDEFORM_BIAS};
    cldeform_passes bits = 0;
    for (int i = 0; i < 4; i++) {
        bits |= test_gradient_bit(wide[i]);
        for (int64_t e = 0; e < g.shape[wide[i]].elements; e++)
            g.initial[wide[i]][e] = 1.0 / 3;
    }
    test_gradients found = test_backward_run(&device, &g, &(test_run){.gradients = bits, .accumulate = bits});
    for (int i = 0; i < 4; i++)
        for (int64_t e = 0; e < g.shape[wide[i]].elements; e++)
            assert_true(found.values[wide[i]][e] == 1.0 / 3);
    test_gradients_free(&found);
    test_backward_destroy(&g);
}

/* The float next to a limit is beyond it, or not, as in double precision. */
static void limits_between_floats(void **state)
{
    (void)state;
    const double limits[] = {0.1, 0.3, 0.7, 1.1}; /* some floats next to these are above, some below */
    for (int l = 0; l < 4; l++) {
        cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
        test_backward g;
        problem.offset_limit = limits[l];
        problem.batch = 1, problem.in_channels = 1, problem.out_channels = 1, problem.in_h = 8, problem.in_w = 9;
        problem.kernel_h = problem.kernel_w = 1;
        test_backward_create(&g, &problem, TEST_RANDOM, 5);
        for (int e = 0; e < 2 * 72; e++)
            g.conv.values[CLDEFORM_OFFSET][e] = (double)(float)(e % 2 ? limits[l] : -limits[l]);
        test_backward_reference(&g);
        test_gradients found = test_backward_run(&device, &g, &(test_run){.gradients = CLDEFORM_GRAD_OFFSET});
        for (int e = 0; e < 2 * 72; e++)
            assert_int_equal(found.values[CLDEFORM_OFFSET][e] == 0, g.values[CLDEFORM_OFFSET][e] == 0);
        test_gradients_free(&found);
        test_backward_destroy(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_sums_of_one_sign),
        cmocka_unit_test(slopes_of_saturated_masks),
        cmocka_unit_test(wide_gradients_of_narrow_data),
        cmocka_unit_test(limits_between_floats),
    };
    return TEST_OVER_ALGORITHMS(tests, test_open_device, test_close_device);
}
