/* tool_tensor.c: see tool_tensor.h. */
#include "tool_tensor.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "element.h"

static uint32_t random_state;

void tool_seed(uint32_t seed)
{
    random_state = seed;
}

int tool_draw(int range)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (int)((random_state >> 8) % (uint32_t)(2 * range + 1)) - range;
}

double *tool_widen(const npy_array *array)
{
    if (array->rank == 0)
        return NULL;
    double *values = calloc(array->elements + 1, sizeof *values);
    assert_non_null(values);
    element_to_double(array->dtype, array->data, array->elements, values);
    return values;
}

double *tool_write_tensor(npy_array *array, const char *path, cldeform_dtype dtype, int rank, const int64_t *shape,
                          int range, double divisor)
{
    fault f = {0};
    assert_int_equal(npy_create(array, dtype, rank, shape, &f), 0);
    double *values = tool_widen(array);
    for (size_t i = 0; i < array->elements; i++)
        values[i] = tool_draw(range) / divisor;
    element_from_double(dtype, values, array->elements, array->data);
    element_to_double(dtype, array->data, array->elements, values);
    assert_int_equal(npy_write(path, array, &f), 0);
    return values;
}

void tool_write_zeros(const char *path, cldeform_dtype dtype, int rank, const int64_t *shape)
{
    fault f = {0};
    npy_array array = {0};
    assert_int_equal(npy_create(&array, dtype, rank, shape, &f), 0);
    assert_int_equal(npy_write(path, &array, &f), 0);
    npy_free(&array);
}

static double find_largest(const double *values, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i]) && fabs(values[i]) > largest)
            largest = fabs(values[i]);
    return largest;
}

/* 0 and -0 are near, and so are two NaN. */
static int is_near(double is, double must, double most)
{
    if (isnan(is) || isnan(must))
        return isnan(is) && isnan(must);
    return isinf(is) || isinf(must) ? !(is < must || is > must) : fabs(is - must) <= most;
}

void tool_assert_file(const npy_array *expected, const char *path, double tolerance)
{
    fault f = {0};
    npy_array output = {0};
    if (npy_read(path, &output, &f) != 0)
        fail_msg("%s", f.text);
    assert_int_equal(output.dtype, expected->dtype);
    assert_int_equal(output.rank, expected->rank);
    assert_memory_equal(output.shape, expected->shape, sizeof output.shape);
    double *is = tool_widen(&output), *must = tool_widen(expected);
    const double most = tolerance * find_largest(must, output.elements);
    for (size_t i = 0; i < output.elements; i++)
        if (!is_near(is[i], must[i], most))
            fail_msg("%s: element %zu of %zu is %.17g, expected %.17g", path, i, output.elements, is[i], must[i]);
    free(is);
    free(must);
    npy_free(&output);
    assert_int_equal(remove(path), 0);
}

void tool_assert_no_file(const char *path)
{
    FILE *stream = fopen(path, "rb");
    if (stream)
        fail_msg("%s was written and not asked for", path);
}
