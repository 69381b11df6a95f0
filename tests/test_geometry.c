/* Size arithmetic, at its limits. */
#include "device.h"
#include "geometry.h"

static void products_overflow_where_they_must(void **state)
{
    (void)state;
    int64_t result = -1;
    assert_true(cldeform__multiply(INT64_C(1) << 31, INT64_C(1) << 31, &result));
    assert_true(result == INT64_C(1) << 62);
    assert_false(cldeform__multiply(INT64_C(1) << 32, INT64_C(1) << 31, &result));
    assert_true(result == INT64_C(1) << 62);
    assert_true(cldeform__multiply(0, INT64_MAX, &result));
    assert_true(result == 0);
    assert_true(cldeform__multiply(INT64_MAX, 0, &result));
    assert_true(cldeform__multiply(INT64_MAX, 1, &result));
    assert_false(cldeform__multiply(INT64_MAX, 2, &result));
    assert_true(cldeform__multiply(7, INT64_MAX / 7, &result));
    assert_false(cldeform__multiply(7, INT64_MAX / 7 + 1, &result));
    const int64_t factors[] = {3037000499, 3037000499, 1}, more[] = {3037000500, 3037000500, 1};
    assert_true(cldeform__product(factors, 3, &result));
    assert_false(cldeform__product(more, 3, &result));
}

static void sums_overflow_where_they_must(void **state)
{
    (void)state;
    int64_t result = -1;
    assert_true(cldeform__add(INT64_MAX - 5, 5, &result));
    assert_true(result == INT64_MAX);
    assert_false(cldeform__add(INT64_MAX - 5, 6, &result));
}

static void bytes_fit_a_size(void **state)
{
    (void)state;
    size_t bytes = 0;
    assert_true(cldeform__bytes(INT64_C(1) << 40, 8, &bytes));
    assert_true(bytes == (size_t)1 << 43);
    assert_false(cldeform__bytes(INT64_MAX / 8 + 1, 8, &bytes));
}

static void rounding_goes_up(void **state)
{
    (void)state;
    int64_t result = 0;
    assert_true(cldeform__divide_up(0, 5) == 0);
    assert_true(cldeform__divide_up(1, 5) == 1);
    assert_true(cldeform__divide_up(5, 5) == 1);
    assert_true(cldeform__divide_up(6, 5) == 2);
    assert_true(cldeform__divide_up(INT64_MAX, 2) == INT64_MAX / 2 + 1);
    assert_true(cldeform__round_up(13, 8, &result));
    assert_true(result == 16);
    assert_false(cldeform__round_up(INT64_MAX, 8, &result));
}

static void long_indices_begin_at_2_31(void **state)
{
    (void)state;
    assert_false(cldeform__needs_long_index((INT64_C(1) << 31) - 1));
    assert_true(cldeform__needs_long_index(INT64_C(1) << 31));
    assert_true(cldeform__needs_long_index((INT64_C(1) << 31) + 1));
    assert_false(cldeform__needs_long_index(0));
}

static bool is_within(const void *of, int64_t number)
{
    return number <= *(const int64_t *)of;
}

static void the_most_that_fits_is_found(void **state)
{
    (void)state;
    for (int64_t most = 1; most < 40; most++)
        for (int64_t limit = 0; limit < 45; limit++) /* 1 is taken without being asked about */
            assert_int_equal(cldeform__most_that_fits(most, is_within, &limit), limit < 1      ? 1
                                                                                : limit < most ? limit
                                                                                               : most);
    assert_int_equal(cldeform__common_divisor(12, 18), 6);
    assert_int_equal(cldeform__common_divisor(5, 7), 1);
    assert_int_equal(cldeform__common_divisor(4, 12), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_overflow_where_they_must),
        cmocka_unit_test(sums_overflow_where_they_must),
        cmocka_unit_test(bytes_fit_a_size),
        cmocka_unit_test(rounding_goes_up),
        cmocka_unit_test(long_indices_begin_at_2_31),
        cmocka_unit_test(the_most_that_fits_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
