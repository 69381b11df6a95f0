/* statistics.h: what samples say, without assuming anything of their distribution. */
#ifndef TOOLS_STATISTICS_H
#define TOOLS_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

void statistics_sort(double *values, size_t n);

/* Of sorted values, at least one: the value below which a part q of them lies, 0 <= q <= 1, between neighbours by
 * interpolation. 0.5: the median. */
double statistics_quantile(const double *sorted, size_t n, double q);

/* Of sorted values: the indices of those between which the median of what they were drawn from lies in 95 of 100 cases,
 * by counting: a value is above it as often as below. Below 6 values the first and the last. */
void statistics_median_bounds(size_t n, size_t *low, size_t *high);

/* The median of n draws with replacement from n sorted values, for the bootstrap. counts has room for n; *state is any
 * number at first: the same one gives the same draws. */
double statistics_resampled_median(const double *sorted, size_t n, size_t *counts, uint64_t *state);

#endif
