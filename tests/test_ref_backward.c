/* The reference's backward against numbers worked out by hand: where a sample has a kink, and where values are special;
 * and what it accepts. Its derivatives elsewhere: test_ref_derivative.c. */
#include "cldeform/cldeform_ref.h"
#include "conv.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GRADIENTS = CLDEFORM_OUTPUT };

static const cldeform_border zero = CLDEFORM_BORDER_ZERO, edge = CLDEFORM_BORDER_EDGE;
static const cldeform_offset_gradient strict = CLDEFORM_OFFSET_GRADIENT_STRICT, open = CLDEFORM_OFFSET_GRADIENT_OPEN;

/* ---- one sample ---------------------------------------------------------------------------------------- */

enum { MAP_H = 2, MAP_W = 3, MAP = MAP_H * MAP_W };

/* Powers of two: a sum tells which were added. */
static const double map[MAP] = {1, 2, 4, 8, 16, 32};

/* One output pixel with one tap, which samples a map of 2 x 3 exactly where its offset says. */
static cldeform_conv2d_problem one_sample(cldeform_border border, cldeform_offset_gradient rule)
{
    cldeform_conv2d_problem p = CLDEFORM_INIT(cldeform_conv2d_problem);
    p.kind = CLDEFORM_CONV2D_MODULATED;
    p.batch = p.in_channels = p.out_channels = p.kernel_h = p.kernel_w = 1;
    p.in_h = MAP_H, p.in_w = MAP_W;
    p.stride_h = p.stride_w = 9;
    p.border = border;
    p.offset_gradient = rule;
    return p;
}

typedef struct found {
    double input[MAP], offset[2], mask, weight, bias;
} found;

static const double weight = 2, grad_output = 3;

static found run_one(const cldeform_conv2d_problem *p, const double *input, double y, double x, double mask)
{
    const double offset[2] = {y, x};
    found f;
    const cldeform_ref_conv2d_gradients gradients = {&grad_output, f.input, f.offset, &f.mask, &f.weight, &f.bias};
    memset(&f, 0xff, sizeof f); /* NaN: everything is overwritten */
    assert_ok(cldeform_ref_conv2d_backward(p, input, offset, &mask, &weight, &gradients));
    assert_true(f.bias == grad_output);
    return f;
}

/* Equal, infinities to their sign; NaN is equal to nothing. */
static void expect(double value, double wanted, const char *what, double y, double x)
{
    if (!(value == wanted))
        fail_msg("%s at (%.17g, %.17g) is %.17g; it must be %.17g", what, y, x, value, wanted);
}

static void right_hand_slopes_at_kinks(void **state)
{
    (void)state;
    const double above_minus_one = nextafter(-1, 0);
    const struct {
        cldeform_border border;
        cldeform_offset_gradient rule;
        double y, x, value, slope_y, slope_x;
    } rows[] = {
        /* whole positions inside */
        {zero, strict, 0, 0, 1, 8 - 1, 2 - 1},
        {zero, strict, 0, 1, 2, 16 - 2, 4 - 2},
        {zero, open, 0, 1, 2, 16 - 2, 4 - 2},
        {edge, strict, 0, 0, 1, 8 - 1, 2 - 1},
        {edge, strict, -0.0, -0.0, 1, 8 - 1, 2 - 1},
        {zero, strict, 0, 0.5, 1.5, 12 - 1.5, 1},
        {zero, strict, 0.5, 1, 9, 14, 18 - 9},
        /* the last centres: zero falls, edge is flat along that axis alone */
        {zero, strict, 1, 1, 16, -16, 32 - 16},
        {zero, open, 1, 1, 16, -16, 32 - 16},
        {zero, strict, 0, 2, 4, 32 - 4, -4},
        {zero, strict, 1, 2, 32, -32, -32},
        {edge, strict, 1, 1, 16, 0, 32 - 16},
        {edge, strict, 0.5, 2, 18, 32 - 4, 0},
        {edge, strict, 1, 2, 32, 0, 0},
        /* beyond them */
        {zero, strict, 1.5, 1, 8, -16, 16 * 0.5},
        {zero, strict, 0, 2.75, 1, 7, -4},
        {edge, strict, 1.5, 1, 16, 0, 32 - 16},
        {edge, strict, 0, 2.75, 4, 32 - 4, 0},
        {edge, strict, 1.5, 2.5, 32, 0, 0},
        /* at the size there is no sample */
        {zero, strict, 2, 1, 0, 0, 0},
        {zero, open, 2, 1, 0, 0, 0},
        {edge, strict, 2, 1, 0, 0, 0},
        {zero, strict, 1, 3, 0, 0, 0},
        {zero, open, 1, 3, 0, 0, 0},
        {edge, strict, 1, 3, 0, 0, 0},
        {edge, strict, nextafter(2, 0), nextafter(3, 0), 32, 0, 0},
        /* before the first centres */
        {zero, strict, -0.5, 1, 1, 2, (4 - 2) * 0.5},
        {zero, strict, 1, -0.75, 2, -2, 8},
        {edge, strict, -0.25, 1, 0, 0, 0},
        {edge, strict, 1, -0.25, 0, 0, 0},
        {edge, strict, -1, 1, 0, 0, 0},
        /* at -1 exactly the rules differ */
        {zero, strict, -1, 0, 0, 0, 0},
        {zero, open, -1, 0, 0, 1, 0},
        {zero, strict, -1, 0.5, 0, 0, 0},
        {zero, open, -1, 0.5, 0, 1.5, 0},
        {zero, strict, 0, -1, 0, 0, 0},
        {zero, open, 0, -1, 0, 0, 1},
        {zero, open, 0.25, -1, 0, 0, 0.75 * 1 + 0.25 * 8},
        {zero, open, 1.5, -1, 0, 0, 0.5 * 8},
        {zero, open, -1, 2.5, 0, 0.5 * 4, 0},
        {zero, open, -1, -0.5, 0, 0.5, 0},
        {zero, strict, -1, -1, 0, 0, 0},
        {zero, open, -1, -1, 0, 0, 0},
        /* and nowhere else */
        {zero, open, -1, 3, 0, 0, 0},
        {zero, open, -1, -1.5, 0, 0, 0},
        {zero, open, nextafter(-1, -2), 0, 0, 0, 0},
        {zero, strict, above_minus_one, 0, 1 + above_minus_one, 1, 1 + above_minus_one},
        {zero, open, above_minus_one, 0, 1 + above_minus_one, 1, 1 + above_minus_one},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const cldeform_conv2d_problem p = one_sample(rows[i].border, rows[i].rule);
        const double y = rows[i].y, x = rows[i].x, mask = 0.5;
        const found f = run_one(&p, map, y, x, mask);
        expect(f.offset[0], grad_output * weight * mask * rows[i].slope_y, "the offset's y gradient", y, x);
        expect(f.offset[1], grad_output * weight * mask * rows[i].slope_x, "the offset's x gradient", y, x);
        expect(f.mask, grad_output * weight * rows[i].value, "the mask's gradient", y, x);
        expect(f.weight, grad_output * mask * rows[i].value, "the weight's gradient", y, x);
        double sum = 0;
        for (int e = 0; e < MAP; e++)
            sum += f.input[e] * map[e];
        expect(sum, grad_output * weight * mask * rows[i].value, "the input times its gradient", y, x);
    }
}

static void pixels_get_their_weights(void **state)
{
    (void)state;
    const struct {
        cldeform_border border;
        double y, x, pixels[MAP];
    } rows[] = {
        {zero, 0.25, 1.5, {0, 0.375, 0.375, 0, 0.125, 0.125}},
        {edge, 0.25, 1.5, {0, 0.375, 0.375, 0, 0.125, 0.125}},
        {zero, -0.5, -0.5, {0.25, 0, 0, 0, 0, 0}},
        {edge, -0.5, -0.5, {0, 0, 0, 0, 0, 0}},
        {zero, 1.75, 1.25, {0, 0, 0, 0, 0.1875, 0.0625}},
        {edge, 1.75, 1.25, {0, 0, 0, 0, 0.75, 0.25}},
        {zero, 0.5, 2.5, {0, 0, 0.25, 0, 0, 0.25}},
        {edge, 0.5, 2.5, {0, 0, 0.5, 0, 0, 0.5}},
        {edge, 1.5, 2.5, {0, 0, 0, 0, 0, 1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const cldeform_conv2d_problem p = one_sample(rows[i].border, strict);
        const found f = run_one(&p, map, rows[i].y, rows[i].x, 1);
        for (int e = 0; e < MAP; e++)
            expect(f.input[e], grad_output * weight * rows[i].pixels[e], "a pixel's gradient", rows[i].y, rows[i].x);
    }
}

static void offset_moves_up_to_its_limit(void **state)
{
    (void)state;
    cldeform_conv2d_problem p = one_sample(zero, strict);
    p.offset_limit = 0.75;
    const double inside = nextafter(0.75, 0), beyond = nextafter(0.75, 1);
    const struct {
        double y, x;
        bool moves_y, moves_x;
    } rows[] = {
        {0.75, 0.5, true, true},       {beyond, 0.5, false, true},  {0.5, beyond, true, false},
        {inside, 0.75, true, true},    {-0.75, 0.5, true, true},    {-beyond, 0.5, false, true},
        {0.5, -beyond, true, false},   {1e30, 0.5, false, true},    {INFINITY, 0.5, false, true},
        {0.5, -INFINITY, true, false}, {-1e30, 1e30, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const found f = run_one(&p, map, rows[i].y, rows[i].x, 1);
        /* where the sample is, without a limit */
        const double y = fmax(fmin(rows[i].y, 0.75), -0.75), x = fmax(fmin(rows[i].x, 0.75), -0.75);
        const cldeform_conv2d_problem unlimited = one_sample(zero, strict);
        const found there = run_one(&unlimited, map, y, x, 1);
        assert_true(there.offset[0] != 0 && there.offset[1] != 0 && there.mask != 0);
        expect(f.offset[0], rows[i].moves_y ? there.offset[0] : 0, "the offset's y gradient", rows[i].y, rows[i].x);
        expect(f.offset[1], rows[i].moves_x ? there.offset[1] : 0, "the offset's x gradient", rows[i].y, rows[i].x);
        assert_memory_equal(f.input, there.input, sizeof f.input);
        expect(f.mask, there.mask, "the mask's gradient", rows[i].y, rows[i].x);
        expect(f.weight, there.weight, "the weight's gradient", rows[i].y, rows[i].x);
    }
}

/* ---- special values ------------------------------------------------------------------------------------ */

/* Neither its mask nor any pixel is looked at. */
static void expect_no_sample(const cldeform_conv2d_problem *p, double y, double x)
{
    static const double nothing[MAP] = {NAN, INFINITY, -INFINITY, NAN, INFINITY, NAN};
    const found f = run_one(p, nothing, y, x, NAN);
    expect(f.offset[0], 0, "the offset's y gradient", y, x);
    expect(f.offset[1], 0, "the offset's x gradient", y, x);
    expect(f.mask, 0, "the mask's gradient", y, x);
    expect(f.weight, 0, "the weight's gradient", y, x);
    for (int e = 0; e < MAP; e++)
        expect(f.input[e], 0, "a pixel's gradient", y, x);
}

static void a_sample_that_does_not_exist_has_no_gradient(void **state)
{
    (void)state;
    const double outside[] = {NAN, INFINITY, -INFINITY, 1e30, -1e30, DBL_MAX, -DBL_MAX, 1e9, -1e9, 3, -1.5};
    const double across[] = {0.5, -1, 7, NAN};
    for (int rule = 0; rule < 3; rule++) {
        for (int activation = CLDEFORM_MASK_AS_IS; activation <= CLDEFORM_MASK_SIGMOID_X2; activation++) {
            cldeform_conv2d_problem p = one_sample(rule == 1 ? edge : zero, rule == 2 ? open : strict);
            p.mask_activation = (cldeform_mask_activation)activation;
            for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
                for (size_t j = 0; j < sizeof across / sizeof across[0]; j++) {
                    expect_no_sample(&p, outside[i], across[j]);
                    expect_no_sample(&p, across[j], outside[i]);
                }
            }
            p.offset_limit = 2;
            expect_no_sample(&p, NAN, 0.5);
            expect_no_sample(&p, 0.5, NAN);
        }
    }
}

/* Pixels outside are 0, not 0 times the pixel that is nearest. */
static void infinite_pixels_stay_inside_the_map(void **state)
{
    (void)state;
    const double top_left[MAP] = {INFINITY, 2, 4, 8, 16, 32}, last[MAP] = {1, 2, 4, 8, 16, INFINITY};
    cldeform_conv2d_problem p = one_sample(zero, strict);
    found f = run_one(&p, top_left, -0.5, -0.5, 1);
    expect(f.offset[0], INFINITY, "the offset's y gradient", -0.5, -0.5);
    expect(f.offset[1], INFINITY, "the offset's x gradient", -0.5, -0.5);
    expect(f.mask, INFINITY, "the mask's gradient", -0.5, -0.5);
    f = run_one(&p, last, 1.5, 2.5, 1);
    expect(f.offset[0], -INFINITY, "the offset's y gradient", 1.5, 2.5);
    expect(f.offset[1], -INFINITY, "the offset's x gradient", 1.5, 2.5);
    expect(f.weight, INFINITY, "the weight's gradient", 1.5, 2.5);
    f = run_one(&p, last, 1.5, 0.5, 1); /* does not reach it */
    expect(f.offset[0], grad_output * weight * -(8 + 16) / 2, "the offset's y gradient", 1.5, 0.5);
    p.border = edge;
    f = run_one(&p, last, 1.5, 1.5, 1);
    expect(f.offset[0], 0, "the offset's y gradient", 1.5, 1.5);
    expect(f.offset[1], INFINITY, "the offset's x gradient", 1.5, 1.5);
    expect(f.mask, INFINITY, "the mask's gradient", 1.5, 1.5);
    p.border = zero;
    p.offset_gradient = open;
    f = run_one(&p, top_left, -1, 0.5, 1);
    expect(f.offset[0], INFINITY, "the offset's y gradient", -1, 0.5);
    expect(f.weight, 0, "the weight's gradient", -1, 0.5);
}

static void saturated_masks_have_no_slope(void **state)
{
    (void)state;
    const double logits[] = {1000, -1000, INFINITY, -INFINITY};
    for (int activation = CLDEFORM_MASK_SIGMOID; activation <= CLDEFORM_MASK_SIGMOID_X2; activation++) {
        cldeform_conv2d_problem p = one_sample(zero, strict);
        p.mask_activation = (cldeform_mask_activation)activation;
        const double most = activation == CLDEFORM_MASK_SIGMOID_X2 ? 2 : 1;
        for (size_t i = 0; i < sizeof logits / sizeof logits[0]; i++) {
            const found f = run_one(&p, map, 0.5, 1, logits[i]);
            expect(f.mask, 0, "the mask's gradient", 0.5, 1);
            expect(f.weight, logits[i] > 0 ? grad_output * most * 9 : 0, "the weight's gradient", 0.5, 1);
        }
        const found even = run_one(&p, map, 0.5, 1, 0);
        expect(even.mask, grad_output * weight * 9 * most / 4, "the mask's gradient", 0.5, 1);
        /* far out the slope is the tail itself, to the last bits, on either side */
        for (int sign = -1; sign <= 1; sign += 2) {
            const found far = run_one(&p, map, 0.5, 1, sign * 40.0);
            assert_true(fabs(far.mask / (grad_output * weight * 9 * most * exp(-40)) - 1) < 1e-15);
        }
    }
}

/* ---- what is asked for --------------------------------------------------------------------------------- */

typedef struct gradients {
    double *values[GRADIENTS]; /* by cldeform_tensor_name */
} gradients;

static gradients make_gradients(const test_conv *conv, unsigned wanted)
{
    gradients made = {{NULL}};
    for (int i = 0; i < GRADIENTS; i++) {
        if (!conv->present[i] || !(wanted & 1u << i))
            continue;
        const size_t bytes = (size_t)conv->shape[i].elements * sizeof(double);
        made.values[i] = malloc(bytes);
        assert_non_null(made.values[i]);
        memset(made.values[i], 0xff, bytes); /* NaN */
    }
    return made;
}

static void free_gradients(gradients *made)
{
    for (int i = 0; i < GRADIENTS; i++)
        free(made->values[i]);
}

static cldeform_status run_backward(const test_conv *conv, const double *grad, double *const tensors[GRADIENTS],
                                    const gradients *to)
{
    const cldeform_ref_conv2d_gradients all = {grad,          to->values[0], to->values[1],
                                               to->values[2], to->values[3], to->values[4]};
    return cldeform_ref_conv2d_backward(&conv->problem, tensors[CLDEFORM_INPUT], tensors[CLDEFORM_OFFSET],
                                        tensors[CLDEFORM_MASK], tensors[CLDEFORM_WEIGHT], &all);
}

/* Which tensors a gradient needs, as bits of cldeform_tensor_name. */
static unsigned needs(int gradient)
{
    const unsigned input = 1u << CLDEFORM_INPUT, weight_bit = 1u << CLDEFORM_WEIGHT;
    const unsigned positions = 1u << CLDEFORM_OFFSET | 1u << CLDEFORM_MASK;
    return gradient == CLDEFORM_BIAS     ? 0
           : gradient == CLDEFORM_INPUT  ? positions | weight_bit
           : gradient == CLDEFORM_WEIGHT ? positions | input
                                         : positions | input | weight_bit;
}

/* Any subset, to the bit as all together, from no more than what it needs; and nothing without any of that. */
static void any_subset(void **state)
{
    (void)state;
    for (int kind = CLDEFORM_CONV2D_DEFORMABLE; kind <= CLDEFORM_CONV2D_PLAIN; kind++) {
        cldeform_conv2d_problem p = test_small_problem((cldeform_conv2d_kind)kind);
        p.batch = 2, p.in_channels = 6, p.out_channels = 4;
        p.dtype = CLDEFORM_F64;
        test_conv conv;
        test_conv_create(&conv, &p, true, TEST_RANDOM, 7);
        const double *grad = conv.values[CLDEFORM_OUTPUT];
        test_conv_reference(&conv); /* as good a gradient of the output as any */
        gradients all = make_gradients(&conv, ~0u);
        assert_ok(run_backward(&conv, grad, conv.values, &all));
        for (unsigned wanted = 1; wanted < 1u << GRADIENTS; wanted++) {
            gradients some = make_gradients(&conv, wanted);
            double *tensors[GRADIENTS] = {NULL};
            unsigned needed = 0, asked = 0;
            for (int i = 0; i < GRADIENTS; i++)
                if (some.values[i])
                    needed |= needs(i), asked |= 1u << i;
            for (int i = 0; i < GRADIENTS; i++)
                tensors[i] = needed & 1u << i ? conv.values[i] : NULL;
            if (!asked) {
                assert_int_equal(run_backward(&conv, grad, conv.values, &some), CLDEFORM_INVALID_ARGUMENT);
                continue;
            }
            assert_ok(run_backward(&conv, grad, tensors, &some));
            for (int i = 0; i < GRADIENTS; i++)
                if (some.values[i])
                    assert_memory_equal(some.values[i], all.values[i], (size_t)conv.shape[i].elements * sizeof(double));
            assert_int_equal(run_backward(&conv, NULL, tensors, &some), CLDEFORM_INVALID_ARGUMENT);
            for (int i = 0; i < GRADIENTS; i++) {
                if (!tensors[i])
                    continue;
                tensors[i] = NULL;
                assert_int_equal(run_backward(&conv, grad, tensors, &some), CLDEFORM_INVALID_ARGUMENT);
                tensors[i] = conv.values[i];
            }
            free_gradients(&some);
        }
        free_gradients(&all);
        test_conv_destroy(&conv);
    }
}

static void what_a_kind_lacks_is_refused(void **state)
{
    (void)state;
    double input[MAP] = {0}, offset[2] = {0}, mask = 1, room[MAP];
    cldeform_conv2d_problem p = one_sample(zero, strict);
    cldeform_ref_conv2d_gradients to = {.grad_output = &grad_output, .grad_bias = room};
    for (int64_t batch = 0; batch <= 1; batch++) {
        p.batch = batch;
        p.kind = CLDEFORM_CONV2D_DEFORMABLE;
        assert_ok(cldeform_ref_conv2d_backward(&p, input, offset, NULL, &weight, &to));
        assert_int_equal(cldeform_ref_conv2d_backward(&p, input, offset, &mask, &weight, &to),
                         CLDEFORM_INVALID_ARGUMENT);
        to.grad_mask = room + 1;
        assert_int_equal(cldeform_ref_conv2d_backward(&p, input, offset, NULL, &weight, &to),
                         CLDEFORM_INVALID_ARGUMENT);
        to.grad_mask = NULL;
        p.kind = CLDEFORM_CONV2D_PLAIN;
        assert_ok(cldeform_ref_conv2d_backward(&p, input, NULL, NULL, &weight, &to));
        assert_int_equal(cldeform_ref_conv2d_backward(&p, input, offset, NULL, &weight, &to),
                         CLDEFORM_INVALID_ARGUMENT);
        to.grad_offset = room + 1;
        assert_int_equal(cldeform_ref_conv2d_backward(&p, input, NULL, NULL, &weight, &to), CLDEFORM_INVALID_ARGUMENT);
        to.grad_offset = NULL;
    }
}

static void a_wrong_problem_is_refused(void **state)
{
    (void)state;
    double offset[2] = {0}, mask = 1, room[MAP];
    const cldeform_ref_conv2d_gradients to = {.grad_output = &grad_output, .grad_input = room};
    cldeform_conv2d_problem p = one_sample(edge, open);
    assert_int_equal(cldeform_ref_conv2d_backward(&p, map, offset, &mask, &weight, &to), CLDEFORM_INVALID_ARGUMENT);
    assert_int_equal(cldeform_ref_conv2d_forward(&p, map, offset, &mask, &weight, NULL, room),
                     CLDEFORM_INVALID_ARGUMENT);
    p = one_sample(zero, (cldeform_offset_gradient)2);
    assert_int_equal(cldeform_ref_conv2d_backward(&p, map, offset, &mask, &weight, &to), CLDEFORM_INVALID_ARGUMENT);
    p = one_sample(zero, strict);
    p.kernel_h = 3;
    assert_int_equal(cldeform_ref_conv2d_backward(&p, map, offset, &mask, &weight, &to), CLDEFORM_INVALID_ARGUMENT);
    p = one_sample(zero, strict);
    p.offset_limit = NAN;
    assert_int_equal(cldeform_ref_conv2d_backward(&p, map, offset, &mask, &weight, &to), CLDEFORM_INVALID_ARGUMENT);
    p = one_sample(zero, strict);
    assert_int_equal(cldeform_ref_conv2d_backward(&p, map, offset, &mask, &weight, NULL), CLDEFORM_INVALID_ARGUMENT);
    assert_int_equal(cldeform_ref_conv2d_backward(NULL, map, offset, &mask, &weight, &to), CLDEFORM_INVALID_ARGUMENT);
}

static void an_empty_batch_has_parameter_gradients_of_zero(void **state)
{
    (void)state;
    cldeform_conv2d_problem p = one_sample(zero, strict);
    double weights[2] = {NAN, 7}, bias[2] = {NAN, 7}, images = 7;
    const cldeform_ref_conv2d_gradients to = {NULL, &images, &images, &images, weights, bias};
    p.batch = 0;
    assert_ok(cldeform_ref_conv2d_backward(&p, NULL, NULL, NULL, NULL, &to));
    assert_true(weights[0] == 0 && bias[0] == 0);
    assert_true(weights[1] == 7 && bias[1] == 7 && images == 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_hand_slopes_at_kinks),
        cmocka_unit_test(pixels_get_their_weights),
        cmocka_unit_test(offset_moves_up_to_its_limit),
        cmocka_unit_test(a_sample_that_does_not_exist_has_no_gradient),
        cmocka_unit_test(infinite_pixels_stay_inside_the_map),
        cmocka_unit_test(saturated_masks_have_no_slope),
        cmocka_unit_test(any_subset),
        cmocka_unit_test(what_a_kind_lacks_is_refused),
        cmocka_unit_test(a_wrong_problem_is_refused),
        cmocka_unit_test(an_empty_batch_has_parameter_gradients_of_zero),
    };
    return cmocka_run_group_tests_name("ref_backward", tests, NULL, NULL);
}
