/* Comparison of a tensor with what it must be. */
#ifndef TEST_COMPARE_H
#define TEST_COMPARE_H

#include "device.h"

typedef void test_print_problem(const void *problem);

/* Fails unless |found - expected| <= bound, naming element, values and problem. bounds NULL: equal, NaN equal to NaN.
 */
void test_compare_elements(const char *name, const cldeform_shape *shape, const double *found, const double *expected,
                           const double *bounds, test_print_problem *print_problem, const void *problem);

#endif
