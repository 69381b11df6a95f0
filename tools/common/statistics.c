/* statistics.c: see statistics.h. */
#include "statistics.h"

#include <math.h>
#include <stdlib.h>

static int compare_numbers(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void statistics_sort(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare_numbers);
}

double statistics_quantile(const double *sorted, size_t n, double q)
{
    const double at = q * (double)(n - 1);
    const size_t below = (size_t)at;
    if (below + 1 >= n)
        return sorted[n - 1];
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

/* The number of values below the median is binomial, with a standard deviation of sqrt(n)/2. */
void statistics_median_bounds(size_t n, size_t *low, size_t *high)
{
    const double half = 1.96 * sqrt((double)n) / 2;
    const double first = floor((double)n / 2 - half), last = ceil((double)n / 2 + half);
    *low = first > 0 ? (size_t)first : 0;
    *high = last < (double)(n - 1) ? (size_t)last : n - 1;
}
