/* The reference's backward as the derivative of its forward: finite differences, and identities that hold because the
 * sum is linear in each of its factors. */
#include "backward.h"
#include "conv_cases.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[TEST_GRADIENTS] = {"input", "offset", "mask", "weight", "bias"};

/* ---- a convolution, a gradient of its output, and all gradients ----------------------------------------- */

typedef struct derivative {
    test_conv conv;
    double *grad_output;
    test_gradients gradients;
} derivative;

/* Reproducible, in [0, 1). */
static double next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) / 16777216.0;
}

static void find_gradients(derivative *d)
{
    test_gradients_free(&d->gradients);
    d->gradients = test_gradients_find(NULL, &d->conv, d->grad_output);
}

static void create(derivative *d, const cldeform_conv2d_problem *problem, bool bias, test_data data, uint32_t seed)
{
    memset(d, 0, sizeof *d);
    cldeform_conv2d_problem p = *problem;
    p.dtype = CLDEFORM_F64;
    test_conv_create(&d->conv, &p, bias, data, seed);
    d->grad_output = malloc(((size_t)d->conv.shape[CLDEFORM_OUTPUT].elements + 1) * sizeof *d->grad_output);
    assert_non_null(d->grad_output);
    for (int64_t e = 0; e < d->conv.shape[CLDEFORM_OUTPUT].elements; e++)
        d->grad_output[e] = data == TEST_EXACT ? floor(9 * next(&seed)) - 4 : 2 * next(&seed) - 1;
}

static void destroy(derivative *d)
{
    test_gradients_free(&d->gradients);
    free(d->grad_output);
    test_conv_destroy(&d->conv);
}

static double dot(const double *a, const double *b, int64_t elements)
{
    double sum = 0;
    for (int64_t e = 0; e < elements; e++)
        sum += a[e] * b[e];
    return sum;
}

/* <grad_output, forward>: what all gradients are of. */
static double loss(derivative *d)
{
    test_conv_reference(&d->conv);
    return dot(d->grad_output, d->conv.values[CLDEFORM_OUTPUT], d->conv.shape[CLDEFORM_OUTPUT].elements);
}

/* ---- finite differences -------------------------------------------------------------------------------- */

/* The loss is linear in input, weight, bias and a mask as it is, and within a pixel in each offset: any step that stays
 * within the pixel is exact there but for rounding, which a large step keeps small. A sigmoid is what the higher order
 * is for: STEP^4 / 30 of its fifth derivative, below 1e-10. */
static const double STEP = 1.0 / 128, MARGIN = 1.0 / 16, BOUND = 1e-9;

/* Offsets in (-3, 3), a margin away from whole numbers (positions without offset are whole) and from the limit. */
static void keep_from_kinks(derivative *d, uint32_t seed)
{
    const double limit = d->conv.problem.offset_limit;
    for (int64_t e = 0; d->conv.present[CLDEFORM_OFFSET] && e < d->conv.shape[CLDEFORM_OFFSET].elements; e++) {
        double *offset = &d->conv.values[CLDEFORM_OFFSET][e];
        do
            *offset = floor(6 * next(&seed)) - 3 + MARGIN + (1 - 2 * MARGIN) * next(&seed);
        while (limit > 0 && fabs(fabs(*offset) - limit) < MARGIN);
    }
}

static double difference(derivative *d, double *element)
{
    const double value = *element;
    double at[4];
    for (int i = 0; i < 4; i++) {
        *element = value + STEP * (i < 2 ? i - 2 : i - 1); /* -2 -1 1 2 */
        at[i] = loss(d);
    }
    *element = value;
    return (8 * (at[2] - at[1]) - (at[3] - at[0])) / (12 * STEP);
}

/* A dozen elements of each tensor. */
static void check_differences(const cldeform_conv2d_problem *problem, uint32_t seed)
{
    derivative d;
    create(&d, problem, true, TEST_RANDOM, seed);
    keep_from_kinks(&d, seed);
    find_gradients(&d);
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        if (!d.conv.present[i])
            continue;
        const int64_t elements = d.conv.shape[i].elements, step = elements / 12 + 1;
        double largest = 0;
        for (int64_t e = 0; e < elements; e++)
            largest = fmax(largest, fabs(d.gradients.values[i][e]));
        assert_true(largest > 0.1);
        for (int64_t e = seed % step; e < elements; e += step) {
            const double found = d.gradients.values[i][e], wanted = difference(&d, &d.conv.values[i][e]);
            if (!(fabs(found - wanted) <= BOUND * largest))
                fail_msg("seed %u: element %lld of grad_%s is %.15g; the difference quotient is %.15g", seed,
                         (long long)e, names[i], found, wanted);
        }
    }
    destroy(&d);
}

static void set_sizes(cldeform_conv2d_problem *p, bool second)
{
    p->batch = 2;
    if (second) {
        p->in_channels = 6, p->in_h = 5, p->in_w = 4, p->out_channels = 3;
        p->kernel_h = 3, p->kernel_w = 2;
        p->stride_h = 2, p->dilation_h = 1, p->dilation_w = 2;
        p->pad_top = 1, p->pad_bottom = 2, p->pad_right = 1;
        p->groups = 3, p->offset_groups = 2; /* an offset group ends within a group */
    } else {
        p->in_channels = 4, p->in_h = 4, p->in_w = 5, p->out_channels = 6;
        p->kernel_h = 2, p->kernel_w = 3;
        p->stride_w = 2, p->dilation_h = 2;
        p->pad_top = 1, p->pad_left = 2, p->pad_right = 1;
        p->groups = 2, p->offset_groups = 4;
    }
    if (p->kind == CLDEFORM_CONV2D_PLAIN)
        p->offset_groups = 1;
}

/* Every combination of what a problem may ask for, with either set of sizes. */
static void check_all(cldeform_conv2d_kind kind, bool second)
{
    const int activations = kind == CLDEFORM_CONV2D_MODULATED ? 3 : 1, deformable = kind != CLDEFORM_CONV2D_PLAIN;
    uint32_t seed = second ? 1000 : 0;
    for (int layout = 0; layout < 2; layout++) {
        for (int offsets = 0; offsets < (deformable ? 4 : 1); offsets++) {
            for (int border = 0; border < (deformable ? 2 : 1); border++) {
                for (int limited = 0; limited < (deformable ? 2 : 1); limited++) {
                    for (int activation = 0; activation < activations; activation++) {
                        cldeform_conv2d_problem p = CLDEFORM_INIT(cldeform_conv2d_problem);
                        p.kind = kind;
                        set_sizes(&p, second);
                        p.layout = (cldeform_layout)layout;
                        p.offset_layout = (cldeform_offset_layout)offsets;
                        p.border = (cldeform_border)border;
                        p.offset_limit = limited ? 1.375 : 0;
                        p.mask_activation = (cldeform_mask_activation)activation;
                        if (p.border == CLDEFORM_BORDER_ZERO && layout) /* away from kinks both rules are one */
                            p.offset_gradient = CLDEFORM_OFFSET_GRADIENT_OPEN;
                        check_differences(&p, ++seed);
                    }
                }
            }
        }
    }
}

static void differences_of_deformable(void **state)
{
    (void)state;
    check_all(CLDEFORM_CONV2D_DEFORMABLE, false);
    check_all(CLDEFORM_CONV2D_DEFORMABLE, true);
}

static void differences_of_modulated(void **state)
{
    (void)state;
    check_all(CLDEFORM_CONV2D_MODULATED, false);
    check_all(CLDEFORM_CONV2D_MODULATED, true);
}

static void differences_of_plain(void **state)
{
    (void)state;
    check_all(CLDEFORM_CONV2D_PLAIN, false);
    check_all(CLDEFORM_CONV2D_PLAIN, true);
}

/* ---- identities ---------------------------------------------------------------------------------------- */

/* Without bias, <grad_output, forward(x)> = <grad_x, x> for each factor x of the terms, wherever the samples are. */
static void adjoint_identities(void **state)
{
    (void)state;
    const cldeform_tensor_name factors[] = {CLDEFORM_INPUT, CLDEFORM_MASK, CLDEFORM_WEIGHT};
    for (int kind = CLDEFORM_CONV2D_DEFORMABLE; kind <= CLDEFORM_CONV2D_PLAIN; kind++) {
        for (int variant = 0; variant < 4; variant++) {
            cldeform_conv2d_problem p = test_small_problem((cldeform_conv2d_kind)kind);
            p.border = variant & 1 ? CLDEFORM_BORDER_EDGE : CLDEFORM_BORDER_ZERO;
            p.offset_limit = variant & 2 ? 1 : 0;
            p.layout = variant & 2 ? CLDEFORM_NHWC : CLDEFORM_NCHW;
            derivative d;
            create(&d, &p, false, TEST_EXACT, (uint32_t)(40 + 4 * kind + variant));
            find_gradients(&d);
            const double whole = loss(&d);
            assert_true(fabs(whole) > 1);
            for (size_t i = 0; i < sizeof factors / sizeof factors[0]; i++) {
                const cldeform_tensor_name x = factors[i];
                if (d.conv.present[x]) /* exact data: equal */
                    assert_true(dot(d.gradients.values[x], d.conv.values[x], d.conv.shape[x].elements) == whole);
            }
            destroy(&d);
        }
    }
}

/* grad_bias[o] is the sum over everything else of the gradient of the output, in both layouts. */
static void bias_gets_the_sum(void **state)
{
    (void)state;
    for (int layout = 0; layout < 2; layout++) {
        cldeform_conv2d_problem p = test_small_problem(CLDEFORM_CONV2D_PLAIN);
        p.layout = (cldeform_layout)layout;
        derivative d;
        create(&d, &p, true, TEST_EXACT, 60);
        find_gradients(&d);
        const cldeform_shape *shape = &d.conv.shape[CLDEFORM_OUTPUT];
        const int64_t inner = p.layout == CLDEFORM_NHWC ? 1 : shape->size[2] * shape->size[3];
        double *sum = calloc((size_t)p.out_channels, sizeof *sum);
        assert_non_null(sum);
        for (int64_t e = 0; e < shape->elements; e++)
            sum[e / inner % p.out_channels] += d.grad_output[e];
        assert_memory_equal(sum, d.gradients.values[CLDEFORM_BIAS], (size_t)p.out_channels * sizeof *sum);
        free(sum);
        destroy(&d);
    }
}

static void expect_same(const derivative *a, const derivative *b, cldeform_tensor_name name)
{
    assert_int_equal(a->conv.shape[name].elements, b->conv.shape[name].elements);
    for (int64_t e = 0; e < a->conv.shape[name].elements; e++)
        if (!(a->gradients.values[name][e] == b->gradients.values[name][e]))
            fail_msg("element %lld of grad_%s is %.17g, and %.17g of the other convolution", (long long)e, names[name],
                     a->gradients.values[name][e], b->gradients.values[name][e]);
}

static void fill(derivative *d, cldeform_tensor_name name, double value)
{
    for (int64_t e = 0; e < d->conv.shape[name].elements; e++)
        d->conv.values[name][e] = value;
}

/* The same input, weight and gradient of the output in b as in a. */
static void share_values(const derivative *a, derivative *b)
{
    const cldeform_tensor_name shared[] = {CLDEFORM_INPUT, CLDEFORM_WEIGHT};
    for (int i = 0; i < 2; i++)
        memcpy(b->conv.values[shared[i]], a->conv.values[shared[i]],
               (size_t)a->conv.shape[shared[i]].elements * sizeof(double));
    memcpy(b->grad_output, a->grad_output, (size_t)a->conv.shape[CLDEFORM_OUTPUT].elements * sizeof(double));
}

/* Offsets of 0 and masks of 1 make it the plain convolution, masks of 1 the one without masks. */
static void kinds_agree_where_they_are_the_same(void **state)
{
    (void)state;
    for (int border = 0; border < 2; border++) {
        derivative plain, deformable, modulated;
        cldeform_conv2d_problem p = test_small_problem(CLDEFORM_CONV2D_PLAIN);
        create(&plain, &p, true, TEST_EXACT, 70);
        p = test_small_problem(CLDEFORM_CONV2D_DEFORMABLE);
        p.border = (cldeform_border)border;
        create(&deformable, &p, true, TEST_EXACT, 71);
        p.kind = CLDEFORM_CONV2D_MODULATED;
        create(&modulated, &p, true, TEST_EXACT, 72);
        share_values(&plain, &deformable);
        share_values(&plain, &modulated);
        memcpy(modulated.conv.values[CLDEFORM_OFFSET], deformable.conv.values[CLDEFORM_OFFSET],
               (size_t)deformable.conv.shape[CLDEFORM_OFFSET].elements * sizeof(double));
        fill(&modulated, CLDEFORM_MASK, 1);
        find_gradients(&deformable);
        find_gradients(&modulated);
        expect_same(&deformable, &modulated, CLDEFORM_INPUT);
        expect_same(&deformable, &modulated, CLDEFORM_OFFSET);
        expect_same(&deformable, &modulated, CLDEFORM_WEIGHT);
        fill(&deformable, CLDEFORM_OFFSET, 0);
        find_gradients(&plain);
        find_gradients(&deformable);
        expect_same(&plain, &deformable, CLDEFORM_INPUT);
        expect_same(&plain, &deformable, CLDEFORM_WEIGHT);
        expect_same(&plain, &deformable, CLDEFORM_BIAS);
        destroy(&plain);
        destroy(&deformable);
        destroy(&modulated);
    }
}

/* ---- layouts ------------------------------------------------------------------------------------------- */

/* Where an element of a tensor in the default layouts (NCHW, YX) is in the problem's; as their enums say it. */
static int64_t place_of(const cldeform_conv2d_problem *p, const cldeform_shape *output, cldeform_tensor_name name,
                        int64_t e)
{
    const int64_t plane = output->size[2] * output->size[3], taps = p->kernel_h * p->kernel_w;
    const int64_t groups = p->offset_groups;
    if (name == CLDEFORM_INPUT || name == CLDEFORM_OUTPUT) {
        const int64_t channels = name == CLDEFORM_INPUT ? p->in_channels : p->out_channels;
        const int64_t pixels = name == CLDEFORM_INPUT ? p->in_h * p->in_w : plane;
        const int64_t n = e / pixels / channels, c = e / pixels % channels, pixel = e % pixels;
        return p->layout == CLDEFORM_NHWC ? (n * pixels + pixel) * channels + c : e;
    }
    const int64_t axes = name == CLDEFORM_OFFSET ? 2 : 1;
    if (name != CLDEFORM_OFFSET && name != CLDEFORM_MASK)
        return e;
    const int64_t pixel = e % plane, a = e / plane % axes, k = e / plane / axes % taps;
    const int64_t g = e / plane / axes / taps % groups, n = e / plane / axes / taps / groups;
    switch (p->offset_layout) {
    case CLDEFORM_OFFSET_XY:
        return (((n * groups + g) * taps + k) * axes + (axes - 1 - a)) * plane + pixel;
    case CLDEFORM_OFFSET_PLANAR:
        return (((n * groups + g) * axes + a) * taps + k) * plane + pixel;
    case CLDEFORM_OFFSET_YX_LAST:
        return (((n * plane + pixel) * groups + g) * taps + k) * axes + a;
    case CLDEFORM_OFFSET_YX:
        break;
    }
    return e;
}

/* What the default ones mean is settled by numbers from elsewhere (test_conv2d_cases.c). */
static void layouts_only_move_elements(void **state)
{
    (void)state;
    cldeform_conv2d_problem p = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    derivative usual, other;
    create(&usual, &p, true, TEST_EXACT, 80);
    find_gradients(&usual);
    test_conv_reference(&usual.conv);
    const cldeform_shape output = usual.conv.shape[CLDEFORM_OUTPUT];
    for (int layout = 0; layout < 2; layout++) {
        for (int offsets = 0; offsets < 4; offsets++) {
            p.layout = (cldeform_layout)layout;
            p.offset_layout = (cldeform_offset_layout)offsets;
            create(&other, &p, true, TEST_EXACT, 81);
            for (int i = 0; i < TEST_GRADIENTS; i++)
                for (int64_t e = 0; e < usual.conv.shape[i].elements; e++)
                    other.conv.values[i][place_of(&p, &output, (cldeform_tensor_name)i, e)] = usual.conv.values[i][e];
            for (int64_t e = 0; e < output.elements; e++)
                other.grad_output[place_of(&p, &output, CLDEFORM_OUTPUT, e)] = usual.grad_output[e];
            find_gradients(&other);
            test_conv_reference(&other.conv);
            for (int i = 0; i < TEST_TENSORS; i++) {
                const double *from = i == CLDEFORM_OUTPUT ? usual.conv.values[i] : usual.gradients.values[i];
                const double *to = i == CLDEFORM_OUTPUT ? other.conv.values[i] : other.gradients.values[i];
                for (int64_t e = 0; e < usual.conv.shape[i].elements; e++)
                    if (!(to[place_of(&p, &output, (cldeform_tensor_name)i, e)] == from[e]))
                        fail_msg("layout %d, offset layout %d: element %lld of %s%s differs", layout, offsets,
                                 (long long)e, i == CLDEFORM_OUTPUT ? "" : "grad_",
                                 i == CLDEFORM_OUTPUT ? "output" : names[i]);
            }
            destroy(&other);
        }
    }
    destroy(&usual);
}

/* ---- what tests of the device rest on ------------------------------------------------------------------ */

/* Exact data is exact: the sums of all terms' absolute values, counted in the smallest unit of a term (a quarter of a
 * mask times a sixteenth of a sample), stay below 2^24, so no order of summation rounds. */
static void exact_data_is_exact(void **state)
{
    (void)state;
    for (int row = 0; row < test_n_conv_cases; row++) {
        const cldeform_conv2d_problem problem = test_shape_problem(&test_conv_cases[row], CLDEFORM_CONV2D_MODULATED);
        test_backward g;
        test_backward_create(&g, &problem, TEST_EXACT, (uint32_t)row);
        test_bounds bounds = test_bounds_create(&g);
        for (int i = 0; i < TEST_GRADIENTS; i++)
            for (int64_t e = 0; e < g.shape[i].elements; e++)
                assert_true(64 * (bounds.magnitude[i][e] + 4) <= 0x1p24);
        test_bounds_free(&bounds);
        test_backward_destroy(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_of_deformable),  cmocka_unit_test(differences_of_modulated),
        cmocka_unit_test(differences_of_plain),       cmocka_unit_test(adjoint_identities),
        cmocka_unit_test(bias_gets_the_sum),          cmocka_unit_test(kinds_agree_where_they_are_the_same),
        cmocka_unit_test(layouts_only_move_elements), cmocka_unit_test(exact_data_is_exact),
    };
    return cmocka_run_group_tests_name("ref_derivative", tests, NULL, NULL);
}
