/* bench_check.c: see bench_check.h. */
#include "bench_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "element.h"
#include "timing.h"

int bench_add_expected(bench_expected *e, size_t index, double value, fault *f)
{
    if (e->n == e->capacity) {
        const size_t capacity = 2 * e->capacity + 1024;
        bench_element *grown = realloc(e->at, capacity * sizeof *grown);
        if (!grown)
            return fault_memory(f);
        e->at = grown;
        e->capacity = capacity;
    }
    e->at[e->n++] = (bench_element){index, value};
    return EXIT_FINE;
}

void bench_free_expected(bench_expected *expected)
{
    for (int i = 0; i < TENSORS; i++)
        free(expected[i].at);
}

int bench_create_values(bench_values *v, int tensor, size_t elements, fault *f)
{
    v->at[tensor] = calloc(elements > 0 ? elements : 1, sizeof *v->at[tensor]);
    return v->at[tensor] ? EXIT_FINE : fault_memory(f);
}

int bench_widen_values(bench_values *v, int tensor, const npy_array *array, fault *f)
{
    return tensor_widen(array, &v->at[tensor], f);
}

void bench_free_values(bench_values *v)
{
    for (int i = 0; i < TENSORS; i++)
        free(v->at[i]);
}

int bench_check_answer(cldeform_status answer, fault *f)
{
    if (answer == CLDEFORM_OK)
        return EXIT_FINE;
    return answer == CLDEFORM_OUT_OF_MEMORY ? fault_memory(f)
                                            : fault_set(f, EXIT_INPUT, "the reference refuses this problem");
}

double bench_element_at(const npy_array *array, int64_t index)
{
    double value = 0;
    element_to_double(array->dtype, (const char *)array->data + (size_t)index * element_size(array->dtype), 1, &value);
    return value;
}

int64_t bench_index(cldeform_layout layout, int64_t channels, int64_t h, int64_t w, int64_t n, int64_t c, int64_t y,
                    int64_t x)
{
    return layout == CLDEFORM_NHWC ? ((n * h + y) * w + x) * channels + c : ((n * channels + c) * h + y) * w + x;
}

int64_t bench_pick(uint32_t *state, int64_t count)
{
    return (int64_t)((0.5 + 0.5 * (double)timing_value(state)) * (double)count);
}

/* ---- all of it ---- */

static int expect_whole(const bench_data *d, int pass, bench_expected *expected, fault *f)
{
    const cldeform_passes passes = bench_data_passes(d, pass);
    bench_values v = {{NULL}};
    int status = EXIT_FINE;
    for (int i = 0; i < TENSORS && status == EXIT_FINE; i++) {
        if (tensor_table[i].pass & passes)
            status = bench_create_values(&v, i, d->array[i].elements, f);
        else if (!tensor_table[i].pass)
            status = bench_widen_values(&v, i, &d->array[i], f);
    }
    if (status == EXIT_FINE && d->operation == BENCH_CONV2D) {
        status = bench_check_answer(conv2d_calls.compute(&d->conv2d, passes, v.at), f);
    } else if (status == EXIT_FINE) {
        roi_data of_pass = d->roi;
        of_pass.problem.passes = roi_passes(&of_pass.problem, passes);
        status = bench_check_answer(roi_calls.compute(&of_pass, of_pass.problem.passes, v.at), f);
    }
    for (int i = 0; i < TENSORS; i++)
        for (size_t e = 0; status == EXIT_FINE && (tensor_table[i].pass & passes) && e < d->array[i].elements; e++)
            status = bench_add_expected(&expected[i], e, v.at[i][e], f);
    bench_free_values(&v);
    return status;
}

/* The reference takes some 20 nanoseconds for a multiply-add: here half a second. */
int bench_expect(const bench_data *d, int pass, bench_expected *expected, fault *f)
{
    const double most_gflop = 0.05;
    if (bench_data_gflop(d, pass) <= most_gflop)
        return expect_whole(d, pass, expected, f);
    return d->operation == BENCH_CONV2D ? bench_expect_conv2d(d, pass, expected, f)
                                        : bench_expect_roi(d, pass, expected, f);
}

/* ---- comparing ---- */

/* Relative to the largest value that is expected in the tensor. Sums of thousands of terms in fp32 are off by some 4e-6
 * of it, and a term that is missing by more than 1e-3. fp16 is rounded once more. */
static double find_limit(cldeform_dtype dtype)
{
    const double fp32 = 5e-5;
    return dtype == CLDEFORM_F64 ? 1e-11 : dtype == CLDEFORM_F16 ? 0x1p-11 + fp32 : fp32;
}

/* The computation's type is the input's, though the offset's gradient may be stored in a finer one. */
static double find_tensor_limit(const bench_data *d, const npy_array *array)
{
    return fmax(find_limit(array->dtype), d->array[TENSOR_INPUT].dtype == CLDEFORM_F64 ? 0 : find_limit(CLDEFORM_F32));
}

/* Its index, or -1. Buffers were full of NaN before: what a kernel has left out shows. */
static int64_t find_not_finite(const npy_array *array)
{
    enum { PIECE = 4096 };
    double piece[PIECE];
    for (size_t at = 0; at < array->elements; at += PIECE) {
        const size_t n = array->elements - at < PIECE ? array->elements - at : PIECE;
        element_to_double(array->dtype, (const char *)array->data + at * element_size(array->dtype), n, piece);
        for (size_t i = 0; i < n; i++)
            if (!isfinite(piece[i]))
                return (int64_t)(at + i);
    }
    return -1;
}

static int compare_tensor(const bench_data *d, int tensor, const bench_expected *e, char error[BENCH_ERROR])
{
    const npy_array *array = &d->array[tensor];
    const int64_t bad = find_not_finite(array);
    double largest = 0;
    if (bad >= 0) {
        snprintf(error, BENCH_ERROR, "%s[%lld] is not finite", tensor_table[tensor].name, (long long)bad);
        return EXIT_MISMATCH;
    }
    for (size_t i = 0; i < e->n; i++)
        largest = fmax(largest, fabs(e->at[i].value));
    const double limit = find_tensor_limit(d, array) * largest;
    for (size_t i = 0; i < e->n; i++) {
        const double found = bench_element_at(array, (int64_t)e->at[i].index);
        if (fabs(found - e->at[i].value) <= limit)
            continue;
        snprintf(error, BENCH_ERROR, "%s[%zu] is %.7g, expected %.7g within %.1g", tensor_table[tensor].name,
                 e->at[i].index, found, e->at[i].value, limit);
        return EXIT_MISMATCH;
    }
    return EXIT_FINE;
}

int bench_compare(const bench_data *d, int pass, const bench_expected *expected, char error[BENCH_ERROR])
{
    const cldeform_passes passes = bench_data_passes(d, pass);
    int status = EXIT_FINE;
    for (int i = 0; i < TENSORS && status == EXIT_FINE; i++)
        if (tensor_table[i].pass & passes)
            status = compare_tensor(d, i, &expected[i], error);
    return status;
}
