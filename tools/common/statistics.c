/* statistics.c: see statistics.h. */
#include "statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* splitmix64. */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Counts how often each is drawn, which is quicker than sorting them again. */
double statistics_resampled_median(const double *sorted, size_t n, size_t *counts, uint64_t *state)
{
    memset(counts, 0, n * sizeof *counts);
    for (size_t i = 0; i < n; i++)
        counts[draw(state) % n]++;
    size_t passed = 0, at = 0;
    while (passed + counts[at] <= (n - 1) / 2)
        passed += counts[at++];
    const double lower = sorted[at];
    while (passed + counts[at] <= n / 2)
        passed += counts[at++];
    return (lower + sorted[at]) / 2;
}
