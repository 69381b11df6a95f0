/* bench_check.h: what a case's results must be, by the reference: all of them where that is quick, else a sample. */
#ifndef CLDEFORM_TOOL_BENCH_CHECK_H
#define CLDEFORM_TOOL_BENCH_CHECK_H

#include "bench_data.h"

typedef struct bench_element {
    size_t index;
    double value;
} bench_element;

/* Elements of a tensor that is computed. */
typedef struct bench_expected {
    size_t n, capacity;
    bench_element *at;
} bench_expected;

#define BENCH_ERROR 200 /* of the longest text about a difference */

/* The pass's tensors into expected[TENSORS]. All zero before; bench_free_expected after, also after a failure. */
int bench_expect(const bench_data *d, int pass, bench_expected *expected, fault *f);
void bench_free_expected(bench_expected *expected);

/* Compares the pass's tensors, which have been read into the data's arrays; those elements that are not expected to be
 * something must be finite. EXIT_MISMATCH, with the first wrong tensor in error, where one differs. */
int bench_compare(const bench_data *d, int pass, const bench_expected *expected, char error[BENCH_ERROR]);

/* For the operators' parts. */

/* The sample. */
int bench_expect_conv2d(const bench_data *d, int pass, bench_expected *expected, fault *f);
int bench_expect_roi(const bench_data *d, int pass, bench_expected *expected, fault *f);

int bench_add_expected(bench_expected *expected, size_t index, double value, fault *f);

/* A case of doubles for the reference: small, or the whole one. All zero before. */
typedef struct bench_values {
    double *at[TENSORS];
} bench_values;

int bench_create_values(bench_values *v, int tensor, size_t elements, fault *f); /* zeros */
int bench_widen_values(bench_values *v, int tensor, const npy_array *array, fault *f);
void bench_free_values(bench_values *v);

/* What a call of the reference says. */
int bench_check_answer(cldeform_status answer, fault *f);

double bench_element_at(const npy_array *array, int64_t index);

/* Of (n, c, y, x) in a tensor of that many channels, rows and columns. */
int64_t bench_index(cldeform_layout layout, int64_t channels, int64_t h, int64_t w, int64_t n, int64_t c, int64_t y,
                    int64_t x);

/* A whole number from 0 to count - 1: the same ones every time. */
int64_t bench_pick(uint32_t *state, int64_t count);

#endif
