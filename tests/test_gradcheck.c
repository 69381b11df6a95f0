/* test_gradcheck.c: what the tool's gradcheck command rests on: its problems keep away from the kinks, and its finite
 * differences accept the reference's gradients and find one wrong element. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cldeform/cldeform_ref.h"
#include "gradcheck.h"

enum { SEEDS = 40 };

static gradcheck_options make_options(cldeform_conv2d_kind kind, int64_t seed)
{
    return (gradcheck_options){
        .kind = (int)kind,
        .layout = (int)(seed % 2),
        .border = kind == CLDEFORM_CONV2D_PLAIN ? 0 : (int)(seed / 2 % 2),
        .groups = 1 + seed % 3,
        .offset_groups = kind == CLDEFORM_CONV2D_PLAIN ? 1 : 1 + seed / 3 % 3,
        .seed = seed,
    };
}

static void draw(const gradcheck_options *o, conv2d_data *d)
{
    fault f = {0};
    memset(d, 0, sizeof *d);
    assert_int_equal(gradcheck_draw(o, CLDEFORM_F64, d, &f), 0);
}

/* Every sample is a quarter of a pixel from whole positions, in every type; some lie outside, most inside. */
static void test_samples_avoid_kinks(void **state)
{
    static const cldeform_dtype dtypes[] = {CLDEFORM_F16, CLDEFORM_F32, CLDEFORM_F64};
    (void)state;
    assert_true(GRADCHECK_STEP < GRADCHECK_MARGIN);
    for (int64_t seed = 0; seed < SEEDS; seed++)
        for (int t = 0; t < 3; t++) {
            fault f = {0};
            conv2d_data d = {0};
            double *offsets = NULL;
            const gradcheck_options o = make_options(CLDEFORM_CONV2D_DEFORMABLE, seed);
            assert_int_equal(gradcheck_draw(&o, dtypes[t], &d, &f), 0);
            const npy_array *array = &d.array[TENSOR_OFFSET];
            assert_int_equal(array->dtype, dtypes[t]);
            assert_int_equal(tensor_widen(array, &offsets, &f), 0);
            for (size_t i = 0; i < array->elements; i++) {
                double fraction = offsets[i] - floor(offsets[i]);
                assert_true(fraction >= GRADCHECK_MARGIN && fraction <= 1 - GRADCHECK_MARGIN);
            }
            free(offsets);
            tensors_free(d.array);
        }
}

static void test_problems(void **state)
{
    (void)state;
    int different = 0;
    int64_t first = 0;
    for (int64_t seed = 0; seed < SEEDS; seed++)
        for (int kind = 0; kind < 3; kind++) {
            conv2d_data d, again;
            const gradcheck_options o = make_options((cldeform_conv2d_kind)kind, seed);
            draw(&o, &d);
            draw(&o, &again);
            const cldeform_conv2d_problem *p = &d.problem;
            assert_true(p->in_channels % p->groups == 0 && p->in_channels / p->groups >= 2);
            assert_true(p->in_channels % p->offset_groups == 0 && p->in_channels / p->offset_groups >= 2);
            assert_true(p->out_channels % p->groups == 0 && p->out_channels / p->groups >= 2);
            for (int i = 0; i < TENSORS; i++) {
                assert_int_equal(d.array[i].bytes, again.array[i].bytes);
                assert_memory_equal(d.array[i].shape, again.array[i].shape, sizeof d.array[i].shape);
                if (d.array[i].bytes > 0)
                    assert_memory_equal(d.array[i].data, again.array[i].data, d.array[i].bytes);
            }
            assert_int_equal(p->passes, (kind == CLDEFORM_CONV2D_MODULATED ? CLDEFORM_BACKWARD
                                         : kind == CLDEFORM_CONV2D_DEFORMABLE
                                             ? CLDEFORM_BACKWARD & ~CLDEFORM_GRAD_MASK
                                             : CLDEFORM_GRAD_INPUT | CLDEFORM_GRAD_WEIGHT | CLDEFORM_GRAD_BIAS));
            int64_t size = p->in_h * 100 + p->in_w * 10 + p->kernel_h + p->stride_w;
            first = seed == 0 ? size : first;
            different += size != first;
            tensors_free(d.array);
            tensors_free(again.array);
        }
    assert_true(different > SEEDS);
}

static void compute(conv2d_data *d)
{
    npy_array *a = d->array;
    const cldeform_ref_conv2d_gradients gradients = {
        .grad_output = a[TENSOR_GRAD_OUTPUT].data,
        .grad_input = a[TENSOR_GRAD_INPUT].data,
        .grad_offset = a[TENSOR_GRAD_OFFSET].data,
        .grad_mask = a[TENSOR_GRAD_MASK].data,
        .grad_weight = a[TENSOR_GRAD_WEIGHT].data,
        .grad_bias = a[TENSOR_GRAD_BIAS].data,
    };
    assert_int_equal(cldeform_ref_conv2d_backward(&d->problem, a[TENSOR_INPUT].data, a[TENSOR_OFFSET].data,
                                                  a[TENSOR_MASK].data, a[TENSOR_WEIGHT].data, &gradients),
                     CLDEFORM_OK);
}

/* What the command allows fp64 is far above the error of the differences. Each problem has one or two of its gradients
 * checked, each gradient a fifth of the problems: with every kind, layout, border and number of groups. (A difference
 * runs the reference twice, for each element.) */
static void test_right_gradients(void **state)
{
    (void)state;
    int checked[TENSORS] = {0};
    for (int64_t seed = 0; seed < SEEDS; seed++) {
        fault f = {0};
        conv2d_data d;
        const gradcheck_options o = make_options((cldeform_conv2d_kind)(seed % 3), seed);
        draw(&o, &d);
        compute(&d);
        for (int i = TENSOR_GRAD_INPUT; i < TENSORS; i++) {
            gradcheck_result r;
            if (d.array[i].rank == 0 || (seed + i) % 5 != 0)
                continue;
            checked[i]++;
            assert_int_equal(gradcheck_compare(&d, i, seed, &r, &f), 0);
            assert_int_equal(r.checked, d.array[i].elements < GRADCHECK_MOST ? d.array[i].elements : GRADCHECK_MOST);
            if (!(r.error <= 1e-13))
                fail_msg("seed %d, %s: error %g", (int)seed, tensor_table[i].name, r.error);
        }
        tensors_free(d.array);
    }
    for (int i = TENSOR_GRAD_INPUT; i < TENSORS; i++)
        if (tensor_table[i].pass & CLDEFORM_BACKWARD)
            assert_true(checked[i] > 1);
}

/* The first problem from `seed` on whose tensor has at most so many elements: what follows takes their square. */
static void draw_small(int64_t seed, int tensor, size_t most, conv2d_data *d)
{
    for (;; seed++) {
        gradcheck_options o = make_options(CLDEFORM_CONV2D_MODULATED, seed);
        o.groups = o.offset_groups = 1;
        draw(&o, d);
        if (d->array[tensor].elements <= most)
            return;
        tensors_free(d->array);
        assert_true(seed < 1000);
    }
}

/* In a small tensor every element is checked: each of them wrong in turn is found, NaN too. */
static void test_wrong_element(void **state)
{
    (void)state;
    fault f = {0};
    conv2d_data d;
    gradcheck_result r;
    draw_small(1, TENSOR_GRAD_WEIGHT, 60, &d);
    compute(&d);
    npy_array *gradient = &d.array[TENSOR_GRAD_WEIGHT];
    double *values = gradient->data, largest = 0;
    assert_true(gradient->elements <= GRADCHECK_MOST);
    for (size_t i = 0; i < gradient->elements; i++)
        largest = fmax(largest, fabs(values[i]));
    for (size_t i = 0; i < gradient->elements; i++) {
        const double before = values[i];
        values[i] = before + 1e-4 * largest;
        assert_int_equal(gradcheck_compare(&d, TENSOR_GRAD_WEIGHT, 1, &r, &f), 0);
        assert_int_equal(r.worst, i);
        assert_true(fabs(r.error - 1e-4) < 1e-10);
        assert_true(fabs(r.found - values[i]) <= 0 && fabs(r.expected - before) < 1e-10);
        values[i] = NAN;
        assert_int_equal(gradcheck_compare(&d, TENSOR_GRAD_WEIGHT, 1, &r, &f), 0);
        assert_int_equal(r.worst, i);
        assert_true(isnan(r.error));
        values[i] = before;
    }
    tensors_free(d.array);
}

/* Of a large tensor a sample is checked, which depends on the seed. */
static void test_samples_of_a_large_tensor(void **state)
{
    (void)state;
    fault f = {0};
    conv2d_data d;
    gradcheck_result r;
    draw_small(2, TENSOR_GRAD_INPUT, 1000, &d);
    compute(&d);
    const npy_array *gradient = &d.array[TENSOR_GRAD_INPUT];
    assert_true(gradient->elements > GRADCHECK_MOST);
    double *values = gradient->data;
    int found = 0;
    values[gradient->elements - 1] += 1;
    for (int seed = 0; seed < 12; seed++) {
        assert_int_equal(gradcheck_compare(&d, TENSOR_GRAD_INPUT, seed, &r, &f), 0);
        assert_int_equal(r.checked, GRADCHECK_MOST);
        found += r.worst == gradient->elements - 1 && r.error > 1e-3;
    }
    assert_true(found > 0 && found < 12);
    tensors_free(d.array);
}

/* Where all differences are 0, any other gradient is infinitely wrong. */
static void test_no_gradient(void **state)
{
    (void)state;
    fault f = {0};
    conv2d_data d;
    gradcheck_result r;
    const gradcheck_options o = make_options(CLDEFORM_CONV2D_MODULATED, 3);
    draw(&o, &d);
    memset(d.array[TENSOR_GRAD_OUTPUT].data, 0, d.array[TENSOR_GRAD_OUTPUT].bytes);
    compute(&d);
    assert_int_equal(gradcheck_compare(&d, TENSOR_GRAD_BIAS, 3, &r, &f), 0);
    assert_true(fabs(r.error) <= 0);
    ((double *)d.array[TENSOR_GRAD_BIAS].data)[1] = 1e-30;
    assert_int_equal(gradcheck_compare(&d, TENSOR_GRAD_BIAS, 3, &r, &f), 0);
    assert_true(isinf(r.error));
    tensors_free(d.array);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples_avoid_kinks),       cmocka_unit_test(test_problems),
        cmocka_unit_test(test_right_gradients),           cmocka_unit_test(test_wrong_element),
        cmocka_unit_test(test_samples_of_a_large_tensor), cmocka_unit_test(test_no_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
