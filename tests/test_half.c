/* Halves on the host: every one of them, and the rounding between them. */
#include "device.h"
#include "cldeform/cldeform_ref.h"

#include <math.h>

static void every_half_comes_back(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        const double value = cldeform_ref_half_to_double((uint16_t)bits);
        const uint16_t back = cldeform_ref_half_from_double(value);
        if (isnan(value))
            assert_true((back & 0x7c00) == 0x7c00 && (back & 0x3ff) != 0);
        else
            assert_int_equal(back, bits);
    }
}

static void known_values(void **state)
{
    (void)state;
    static const struct {
        double value;
        uint16_t bits;
    } known[] = {{0, 0},
                 {-0.0, 0x8000},
                 {1, 0x3c00},
                 {-2, 0xc000},
                 {65504, 0x7bff},
                 {0x1p-24, 0x0001},
                 {0x1p-14, 0x0400},
                 {0x1.ff8p-15, 0x03ff},
                 {1.0 / 3, 0x3555},
                 {INFINITY, 0x7c00},
                 {-INFINITY, 0xfc00}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_int_equal(cldeform_ref_half_from_double(known[i].value), known[i].bits);
}

static void ties_go_to_even(void **state)
{
    (void)state;
    for (uint16_t bits = 0; bits < 0x7bff; bits++) {
        const double low = cldeform_ref_half_to_double(bits), high = cldeform_ref_half_to_double(bits + 1);
        const double middle = (low + high) / 2;
        assert_int_equal(cldeform_ref_half_from_double(middle), bits % 2 ? bits + 1 : bits);
        assert_int_equal(cldeform_ref_half_from_double(nextafter(middle, 0)), bits);
        assert_int_equal(cldeform_ref_half_from_double(nextafter(middle, INFINITY)), bits + 1);
    }
    assert_int_equal(cldeform_ref_half_from_double(nextafter(65520, 0)), 0x7bff);
    assert_int_equal(cldeform_ref_half_from_double(65520), 0x7c00);
    assert_int_equal(cldeform_ref_half_from_double(-1e300), 0xfc00);
    assert_int_equal(cldeform_ref_half_from_double(1e-300), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_comes_back),
        cmocka_unit_test(known_values),
        cmocka_unit_test(ties_go_to_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
