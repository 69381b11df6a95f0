#include "compare.h"

#include <math.h>
#include <stdio.h>

/* "[1][0][12][3]" */
static const char *name_element(const cldeform_shape *shape, int64_t e, char text[120])
{
    int64_t index[5] = {0};
    size_t used = 0;
    for (int64_t i = shape->rank - 1; i >= 0; i--) {
        index[i] = e % shape->size[i];
        e /= shape->size[i];
    }
    text[0] = 0;
    for (int64_t i = 0; i < shape->rank; i++)
        used += (size_t)snprintf(text + used, 120 - used, "[%lld]", (long long)index[i]);
    return text;
}

void test_compare_elements(const char *name, const cldeform_shape *shape, const double *found, const double *expected,
                           const double *bounds, test_print_problem *print_problem, const void *problem)
{
    int wrong = 0;
    char text[120];
    for (int64_t e = 0; e < shape->elements; e++) {
        const bool equal = found[e] == expected[e] || (isnan(found[e]) && isnan(expected[e]));
        if (equal || (bounds && fabs(found[e] - expected[e]) <= bounds[e]))
            continue;
        if (wrong++ == 0)
            print_problem(problem);
        if (wrong <= 5)
            print_error("  %s%s is %.17g; it must be %.17g%s%.3g\n", name, name_element(shape, e, text), found[e],
                        expected[e], bounds ? ", +-" : ", exactly; off by ",
                        bounds ? bounds[e] : found[e] - expected[e]);
    }
    if (wrong)
        fail_msg("%d of %lld elements of the %s are wrong", wrong, (long long)shape->elements, name);
}
