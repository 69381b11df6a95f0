/* What must hold for the gradients whatever the reference says, and values that break careless kernels. */
#include "algorithms.h"
#include "conv_cases.h"
#include "backward.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const cldeform_conv2d_kind kinds[] = {CLDEFORM_CONV2D_DEFORMABLE, CLDEFORM_CONV2D_MODULATED,
                                             CLDEFORM_CONV2D_PLAIN};

static void fill(double *values, const cldeform_shape *shape, double value)
{
    for (int64_t i = 0; values && i < shape->elements; i++)
        values[i] = value;
}

static void copy(double *to, const double *from, const cldeform_shape *shape)
{
    memcpy(to, from, (size_t)shape->elements * sizeof *to);
}

static double dot(const double *a, const double *b, const cldeform_shape *shape)
{
    double sum = 0;
    for (int64_t i = 0; i < shape->elements; i++)
        sum += a[i] * b[i];
    return sum;
}

/* ---- relations between problems ------------------------------------------------------------------------ */

/* With zero offsets, and masks of 1 too, input, weight and bias have the ordinary convolution's gradients; and with
 * masks of 1 the offsets have those of the convolution without. */
static void zero_offset_is_plain_and_mask_one_is_v1(void **state)
{
    (void)state;
    for (int l = 0; l < 2; l++) {
        for (int moved = 0; moved < 2 && test_takes_form(0, l, 0); moved++) {
            test_backward g[3];
            test_gradients found[3];
            for (int k = 2; k >= 0; k--) {
                cldeform_conv2d_problem problem = test_small_problem(kinds[k]);
                problem.layout = (cldeform_layout)l;
                test_backward_create(&g[k], &problem, TEST_EXACT, 5);
                copy(g[k].conv.values[CLDEFORM_INPUT], g[2].conv.values[CLDEFORM_INPUT],
                     &g[k].conv.shape[CLDEFORM_INPUT]);
                copy(g[k].conv.values[CLDEFORM_WEIGHT], g[2].conv.values[CLDEFORM_WEIGHT],
                     &g[k].conv.shape[CLDEFORM_WEIGHT]);
                copy(g[k].grad_output, g[2].grad_output, &g[k].conv.shape[CLDEFORM_OUTPUT]);
                if (!moved)
                    fill(g[k].conv.values[CLDEFORM_OFFSET], &g[k].conv.shape[CLDEFORM_OFFSET], 0);
                else if (k == 0)
                    copy(g[0].conv.values[CLDEFORM_OFFSET], g[1].conv.values[CLDEFORM_OFFSET],
                         &g[0].conv.shape[CLDEFORM_OFFSET]);
                fill(g[k].conv.values[CLDEFORM_MASK], &g[k].conv.shape[CLDEFORM_MASK], 1);
                found[k] = test_backward_run(&device, &g[k], &(test_run){0});
            }
            test_gradients_same(&g[0], &found[0], &found[1]);
            for (int k = 0; k < 2; k++)
                if (!moved)
                    test_gradients_same(&g[k], &found[k], &found[2]);
            assert_non_null(found[1].values[CLDEFORM_OFFSET]);
            for (int k = 0; k < 3; k++) {
                test_gradients_free(&found[k]);
                test_backward_destroy(&g[k]);
            }
        }
    }
}

/* The output is linear in the input, in the weight and in the mask: the products of each with its gradient all equal
 * that of the output with its own. On exact data not a bit may be lost on the way. */
static void adjoint_identities(void **state)
{
    (void)state;
    for (int row = 0; row < test_n_conv_cases; row++) {
        if (test_is_specialised() && device.extent < TEST_ALL && row % 6 != 4)
            continue; /* other tiles, other kernels */
        for (int l = 0; l < 2; l++) {
            cldeform_conv2d_problem problem = test_shape_problem(&test_conv_cases[row], kinds[(row + l) % 3]);
            problem.layout = (cldeform_layout)l;
            problem.border = row % 2 ? CLDEFORM_BORDER_EDGE : CLDEFORM_BORDER_ZERO;
            test_backward g;
            test_backward_create(&g, &problem, TEST_EXACT, (uint32_t)row);
            double *output = test_conv_run_alone(&device, &g.conv, &(test_run){0});
            test_gradients found = test_backward_run(&device, &g, &(test_run){0});
            const double loss = dot(g.grad_output, output, &g.conv.shape[CLDEFORM_OUTPUT]);
            for (int i = 0; i < TEST_GRADIENTS; i++)
                if (found.values[i] && i != CLDEFORM_OFFSET && i != CLDEFORM_BIAS)
                    assert_true(dot(found.values[i], g.conv.values[i], &g.shape[i]) == loss);
            free(output);
            test_gradients_free(&found);
            test_backward_destroy(&g);
        }
    }
}

/* The same in random numbers, where each side is as right as fp32 is. */
static void adjoint_identities_within_rounding(void **state)
{
    (void)state;
    for (int l = 0; l < 2; l++) {
        cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
        problem.layout = (cldeform_layout)l;
        test_backward g;
        test_backward_create(&g, &problem, TEST_RANDOM, 41);
        test_bounds bounds = test_bounds_create(&g);
        double *output = test_conv_run_alone(&device, &g.conv, &(test_run){0});
        test_gradients found = test_backward_run(&device, &g, &(test_run){0});
        const double loss = dot(g.grad_output, output, &g.conv.shape[CLDEFORM_OUTPUT]);
        for (int i = CLDEFORM_INPUT; i <= CLDEFORM_WEIGHT; i++) {
            double allowed = 0;
            if (i == CLDEFORM_OFFSET)
                continue;
            for (int64_t e = 0; e < g.shape[i].elements; e++)
                allowed += 1e-6 * bounds.magnitude[i][e] * fabs(g.conv.values[i][e]);
            const double product = dot(found.values[i], g.conv.values[i], &g.shape[i]);
            if (!(fabs(product - loss) <= allowed))
                fail_msg("<%s, %s> is %.9g, and <grad_output, output> %.9g; they may differ by %.3g",
                         test_gradient_names[i], test_tensor_names[i], product, loss, allowed);
        }
        free(output);
        test_gradients_free(&found);
        test_bounds_free(&bounds);
        test_backward_destroy(&g);
    }
}

/* A sample is linear in each of its coordinates within a cell. Moving samples along an axis by a quarter, where that
 * leaves none of their cells, changes the loss by a quarter of the sum of their gradients, exactly; the gradient at a
 * whole position is the one to the right. */
static void moved_samples(void **state)
{
    (void)state;
    uint32_t number = 3;
    for (int variant = 0; variant < 8; variant++) {
        if (!test_takes_form(variant & 1, variant >> 1 & 1, variant & 4 ? 1 : 2))
            continue;
        cldeform_conv2d_problem problem = test_small_problem(kinds[variant & 1]);
        problem.layout = (cldeform_layout)(variant >> 1 & 1);
        problem.border = variant & 4 ? CLDEFORM_BORDER_EDGE : CLDEFORM_BORDER_ZERO;
        if (problem.border == CLDEFORM_BORDER_ZERO)
            problem.offset_gradient = CLDEFORM_OFFSET_GRADIENT_OPEN;
        test_backward g;
        test_backward_create(&g, &problem, TEST_EXACT, 51);
        const cldeform_shape *output = &g.conv.shape[CLDEFORM_OUTPUT], *offsets = &g.conv.shape[CLDEFORM_OFFSET];
        double *offset = g.conv.values[CLDEFORM_OFFSET];
        for (int64_t e = 0; e < offsets->elements; e++)
            if (offset[e] - floor(offset[e]) == 0.75)
                offset[e] -= 0.25;
        double *before = test_conv_run_alone(&device, &g.conv, &(test_run){0});
        test_gradients found = test_backward_run(&device, &g, &(test_run){.gradients = CLDEFORM_GRAD_OFFSET});
        const int64_t pixels = output->elements / problem.batch / problem.out_channels;
        for (int axis = 0; axis < 2; axis++) {
            double expected = 0;
            test_backward other;
            test_backward_create(&other, &problem, TEST_EXACT, 51);
            for (int64_t e = 0; e < offsets->elements; e++) {
                const bool moves = e / pixels % 2 == axis && (number = number * 69069u + 1) >> 30 != 0;
                other.conv.values[CLDEFORM_OFFSET][e] = offset[e] + (moves ? 0.25 : 0);
                expected += moves ? 0.25 * found.values[CLDEFORM_OFFSET][e] : 0;
            }
            double *after = test_conv_run_alone(&device, &other.conv, &(test_run){0});
            const double change = dot(g.grad_output, after, output) - dot(g.grad_output, before, output);
            assert_true(expected != 0);
            assert_true(change == expected);
            free(after);
            test_backward_destroy(&other);
        }
        free(before);
        test_gradients_free(&found);
        test_backward_destroy(&g);
    }
}

/* ---- special values ------------------------------------------------------------------------------------ */

/* Positions that break careless kernels, on a 6 x 6 map. */
static const double positions[] = {
    0.5, INFINITY, 3e38, 1e30, NAN, -INFINITY, -3e38, -1e30, 65504, 2147483648.0, -2147483649.0, 4e18,
    -1,  -1.5,     -0.5, 0.0,  4.5, 5,         5.5,   6,     -0.0,  1e-40,        2.25,
};
/* CHANNELS, here and below: fused has the same tiles for it as for a group of the small problem. */
enum { POSITIONS = sizeof positions / sizeof positions[0], MAP = 6, CHANNELS = 5 };

/* A 1x1 convolution whose output (i, j) samples at (positions[i], positions[j]). */
static void create_special(test_backward *g, int kind, int rule, int layout, double limit)
{
    cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
    problem.kind = kinds[kind];
    problem.border = rule == 1 ? CLDEFORM_BORDER_EDGE : CLDEFORM_BORDER_ZERO;
    problem.offset_gradient = rule == 2 ? CLDEFORM_OFFSET_GRADIENT_OPEN : CLDEFORM_OFFSET_GRADIENT_STRICT;
    problem.layout = (cldeform_layout)layout;
    problem.offset_limit = limit;
    problem.batch = 1, problem.in_channels = CHANNELS, problem.out_channels = CHANNELS;
    problem.in_h = problem.in_w = MAP;
    problem.kernel_h = problem.kernel_w = 1;
    problem.pad_bottom = problem.pad_right = POSITIONS - MAP;
    test_backward_create(g, &problem, TEST_EXACT, 11);
    fill(g->conv.values[CLDEFORM_WEIGHT], &g->conv.shape[CLDEFORM_WEIGHT], 1); /* infinity must not meet its negative */
    for (int i = 0; i < POSITIONS; i++) {
        for (int j = 0; j < POSITIONS; j++) {
            const int at = i * POSITIONS + j;
            g->conv.values[CLDEFORM_OFFSET][at] = (float)(positions[i] - i);
            g->conv.values[CLDEFORM_OFFSET][POSITIONS * POSITIONS + at] = (float)(positions[j] - j);
            if (kinds[kind] == CLDEFORM_CONV2D_MODULATED) /* what is not sampled ignores its mask */
                g->conv.values[CLDEFORM_MASK][at] = isfinite(positions[i]) ? 0.5 : NAN;
        }
    }
}

/* NaN, infinite and huge offsets have zero gradients of offset and mask and move nothing to the input. The pixels at
 * the map's border are then infinite, and NaN: what is outside, though clamped to those pixels, must add exactly 0. */
static void special_values(void **state)
{
    (void)state;
    const double edges[] = {0, (double)INFINITY, (double)NAN};
    const double limits[] = {0, 3};
    for (int variant = 0; variant < 3 * 2 * 2 * 2; variant++) {
        if (!test_takes_form(variant & 1, variant >> 1 & 1, variant >> 3))
            continue;
        test_backward g;
        create_special(&g, variant & 1, variant >> 3, variant >> 1 & 1, limits[variant >> 2 & 1]);
        const bool nhwc = g.conv.problem.layout == CLDEFORM_NHWC;
        for (int e = 0; e < 3; e++) {
            for (int c = 0; e > 0 && c < CHANNELS; c++)
                for (int y = 0; y < MAP; y++)
                    for (int x = 0; x < MAP; x++)
                        if (y == 0 || x == 0 || y == MAP - 1 || x == MAP - 1)
                            g.conv
                                .values[CLDEFORM_INPUT][nhwc ? (y * MAP + x) * CHANNELS + c : (c * MAP + y) * MAP + x] =
                                edges[e];
            test_gradients found = test_backward_run(&device, &g, &(test_run){.strided = true});
            test_backward_reference(&g);
            for (int i = 0; i < TEST_GRADIENTS; i++) /* sums of infinities are infinite or NaN by their order */
                for (int64_t at = 0; found.values[i] && at < g.shape[i].elements; at++)
                    if (!isfinite(g.values[i][at]) && !isfinite(found.values[i][at]))
                        g.values[i][at] = found.values[i][at];
            test_backward_compare(&g, &found, 0, NULL);
            test_gradients_free(&found);
        }
        /* whatever the reference says: where the position is no number, or far away, everything is 0 */
        test_gradients found = test_backward_run(&device, &g, &(test_run){0});
        for (int i = 1; i < 12 && g.conv.problem.offset_limit == 0; i++) {
            for (int j = 0; j < POSITIONS; j++) {
                const int rows = i * POSITIONS + j, columns = j * POSITIONS + i, second = POSITIONS * POSITIONS;
                assert_true(found.values[CLDEFORM_OFFSET][rows] == 0);
                assert_true(found.values[CLDEFORM_OFFSET][rows + second] == 0);
                assert_true(found.values[CLDEFORM_OFFSET][columns] == 0);
                assert_true(found.values[CLDEFORM_OFFSET][columns + second] == 0);
                assert_true(!found.values[CLDEFORM_MASK] || found.values[CLDEFORM_MASK][rows] == 0);
                assert_true(!found.values[CLDEFORM_MASK] || found.values[CLDEFORM_MASK][columns] == 0);
            }
        }
        test_gradients_free(&found);
        test_backward_destroy(&g);
    }
}

/* With the open rule a sample at exactly -1 exists for its offset, but adds nothing to the input's gradient: not even 0
 * times an infinite one. */
static void open_samples_add_nothing(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        test_backward g;
        int changed = 0;
        create_special(&g, kind, 2, CLDEFORM_NCHW, 0);
        for (int c = 0; c < CHANNELS; c++)
            for (int at = 0; at < POSITIONS * POSITIONS; at++)
                if (positions[at / POSITIONS] == -1 || positions[at % POSITIONS] == -1) {
                    g.grad_output[c * POSITIONS * POSITIONS + at] = (double)INFINITY;
                    changed++;
                }
        assert_true(changed > 0);
        test_gradients found = test_backward_run(&device, &g, &(test_run){0});
        for (int64_t e = 0; e < g.shape[CLDEFORM_INPUT].elements; e++)
            assert_true(isfinite(found.values[CLDEFORM_INPUT][e]));
        test_gradients_free(&found);
        test_backward_destroy(&g);
    }
}

/* A gradient of an output that is no number reaches what this output depends on, and nothing else. In the gradient of
 * the weight it meets samples that do not exist as 0, in a matrix product: that may be a number or none. */
static void nan_gradients_stay_where_they_belong(void **state)
{
    (void)state;
    for (int variant = 0; variant < 6; variant++) {
        if (!test_takes_form(variant / 2, variant % 2, 0))
            continue;
        cldeform_conv2d_problem problem = test_small_problem(kinds[variant / 2]);
        problem.layout = (cldeform_layout)(variant % 2);
        test_backward g;
        test_backward_create(&g, &problem, TEST_EXACT, 13);
        const cldeform_shape *shape = &g.conv.shape[CLDEFORM_OUTPUT];
        const int64_t at = shape->elements / 2 + 43;
        const int64_t o = problem.layout == CLDEFORM_NHWC ? at % problem.out_channels
                                                          : at / (shape->size[2] * shape->size[3]) % shape->size[1];
        g.grad_output[at] = NAN;
        test_gradients found = test_backward_run(&device, &g, &(test_run){.strided = true});
        test_backward_reference(&g);
        const int64_t filter = g.shape[CLDEFORM_WEIGHT].elements / problem.out_channels;
        int weights = 0;
        for (int64_t e = o * filter; e < (o + 1) * filter; e++) {
            weights += isnan(found.values[CLDEFORM_WEIGHT][e]) != 0;
            if (isnan(found.values[CLDEFORM_WEIGHT][e]))
                g.values[CLDEFORM_WEIGHT][e] = NAN;
        }
        assert_true(weights > 0);
        test_backward_compare(&g, &found, 0, NULL);
        for (int i = 0; i < TEST_GRADIENTS; i++) {
            int64_t numbers = 0;
            for (int64_t e = 0; found.values[i] && e < g.shape[i].elements; e++)
                numbers += !isnan(found.values[i][e]);
            if (found.values[i] && (numbers == 0 || numbers == g.shape[i].elements))
                fail_msg("%s of kind %d: %lld of %lld are numbers", test_gradient_names[i], (int)problem.kind,
                         (long long)numbers, (long long)g.shape[i].elements);
        }
        test_gradients_free(&found);
        test_backward_destroy(&g);
    }
}

/* Every sample of a group in one cell, the worst case of any way of adding to the input's gradient. */
static void all_samples_in_one_cell(void **state)
{
    (void)state;
    for (int l = 0; l < 2; l++) {
        cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
        problem.layout = (cldeform_layout)l;
        if (!test_takes_form(0, l, 0))
            continue;
        problem.batch = 2, problem.in_channels = problem.out_channels = CHANNELS;
        problem.in_h = 9, problem.in_w = 13;
        problem.kernel_h = problem.kernel_w = 3;
        problem.pad_top = problem.pad_left = problem.pad_bottom = problem.pad_right = 1;
        test_backward g;
        test_backward_create(&g, &problem, TEST_EXACT, 14);
        const cldeform_shape *shape = &g.conv.shape[CLDEFORM_OFFSET];
        for (int64_t e = 0; e < shape->elements; e++) { /* (n, tap, axis, y, x) */
            const int64_t x = e % 13, y = e / 13 % 9, axis = e / 117 % 2, tap = e / 234 % 9;
            g.conv.values[CLDEFORM_OFFSET][e] =
                axis ? 7.25 - (double)(x - 1 + tap % 3) : 3.5 - (double)(y - 1 + tap / 3);
        }
        test_backward_check(&device, &g, &(test_run){0}, true);
        test_backward_destroy(&g);
    }
}

/* fp16 positions are formed in fp32, and samples far from the origin are as good as those near it. */
static void far_positions(void **state)
{
    (void)state;
    for (int l = 0; l < 2; l++) {
        cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
        problem.layout = (cldeform_layout)l;
        if (!test_takes_form(0, l, 0))
            continue;
        problem.batch = 1, problem.in_channels = problem.out_channels = CHANNELS;
        problem.in_h = 1, problem.in_w = 2051;
        problem.kernel_h = problem.kernel_w = 1;
        problem.dtype = CLDEFORM_F16;
        test_backward_check_problem(&device, &problem, &(test_run){0}, TEST_EXACT, 1);
        problem.dtype = CLDEFORM_F32;
        problem.in_w = 100003, problem.stride_w = 37;
        test_backward g;
        test_backward_create(&g, &problem, TEST_RANDOM, 3);
        for (int64_t i = 0; i < g.conv.shape[CLDEFORM_OFFSET].elements; i++)
            g.conv.values[CLDEFORM_OFFSET][i] = (float)(sin((double)i) * 0.99);
        test_backward_check(&device, &g, &(test_run){0}, false);
        test_backward_destroy(&g);
    }
}

/* No image adds nothing: parameters have gradients of 0, and what is accumulated stays. */
static void empty_batches(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++) {
        for (int variant = 0; variant < 8; variant++) {
            cldeform_conv2d_problem problem = test_small_problem(kinds[k]);
            if (!test_takes_form(k, variant & 1, variant & 2 ? k + 1 : 0)) /* half precision with one layout */
                continue;
            problem.batch = 0;
            problem.layout = (cldeform_layout)(variant & 1);
            problem.dtype = variant & 2 ? CLDEFORM_F16 : CLDEFORM_F32;
            test_backward g;
            test_backward_create(&g, &problem, TEST_EXACT, 15);
            for (int a = 0; a < 4; a++) {
                const cldeform_passes accumulate =
                    (a & 1 ? CLDEFORM_GRAD_WEIGHT : 0) | (a & 2 ? CLDEFORM_GRAD_BIAS : 0);
                test_gradients found = test_backward_run(
                    &device, &g,
                    &(test_run){.accumulate = accumulate, .strided = a % 2, .workspace = (variant & 4) != 0});
                test_backward_compare(&g, &found, accumulate, NULL); /* against values that are 0 */
                test_gradients_free(&found);
            }
            test_backward_destroy(&g);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_offset_is_plain_and_mask_one_is_v1),
        cmocka_unit_test(adjoint_identities),
        cmocka_unit_test(adjoint_identities_within_rounding),
        cmocka_unit_test(moved_samples),
        cmocka_unit_test(special_values),
        cmocka_unit_test(nan_gradients_stay_where_they_belong),
        cmocka_unit_test(open_samples_add_nothing),
        cmocka_unit_test(all_samples_in_one_cell),
        cmocka_unit_test(far_positions),
        cmocka_unit_test(empty_batches),
    };
    return TEST_OVER_ALGORITHMS(tests, test_open_device, test_close_device);
}
