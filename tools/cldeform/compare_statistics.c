/* compare_statistics.c: whether two sets of times differ. Times have a long tail and no known distribution, so nothing
 * is assumed of them: the interval of the ratio of their medians is the percentile bootstrap's (Efron 1979), 2000
 * resamples from a fixed seed, so that the same files always give the same answer. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "compare.h"
#include "statistics.h"

enum { RESAMPLES = 2000, LOWEST = RESAMPLES / 40 - 1, HIGHEST = RESAMPLES - RESAMPLES / 40 }; /* 95 % between */

/* With five samples no interval between two of them holds the median with 95 %: 2 * 0.5^5 is more than 5 %. */
enum { LEAST_SAMPLES = 6 };

const char *const compare_verdict_names[COMPARE_VERDICTS] = {"same",     "faster",    "slower",   "unsure",  "FAIL",
                                                             "now fine", "both fail", "only old", "only new"};

/* ---- one pair of rows ---- */

typedef struct samples {
    double *sorted; /* NULL: memory ran out */
    size_t *counts;
    size_t n;
} samples;

static samples make_samples(const double *times, const double *divisors, size_t n)
{
    samples s = {malloc((n + 1) * sizeof(double)), malloc((n + 1) * sizeof(size_t)), n};
    if (!s.sorted || !s.counts) {
        free(s.sorted);
        s.sorted = NULL;
        return s;
    }
    for (size_t i = 0; i < n; i++)
        s.sorted[i] = divisors ? times[i] / divisors[i] : times[i];
    statistics_sort(s.sorted, n);
    return s;
}

static void free_samples(samples *s)
{
    free(s->sorted);
    free(s->counts);
}

/* Sets ratio, low and high. Without `below` the values above are ratios already. */
static void bootstrap(const samples *above, const samples *below, compare_result *r)
{
    double ratios[RESAMPLES];
    uint64_t state = 1;
    r->ratio = statistics_quantile(above->sorted, above->n, 0.5);
    if (below)
        r->ratio /= statistics_quantile(below->sorted, below->n, 0.5);
    if (above->n < LEAST_SAMPLES || (below && below->n < LEAST_SAMPLES))
        return;
    for (size_t i = 0; i < RESAMPLES; i++) {
        ratios[i] = statistics_resampled_median(above->sorted, above->n, above->counts, &state);
        if (below)
            ratios[i] /= statistics_resampled_median(below->sorted, below->n, below->counts, &state);
    }
    statistics_sort(ratios, RESAMPLES);
    r->low = ratios[LOWEST];
    r->high = ratios[HIGHEST];
}

/* The whole interval must lie on one side of the band of what is too small to matter; inside it, nothing has changed.
 */
static compare_verdict judge(const compare_result *r, double threshold)
{
    const double most = 1 + threshold, least = 1 / most;
    if (r->high <= 0)
        return COMPARE_UNSURE;
    return r->low > most                        ? COMPARE_SLOWER
           : r->high < least                    ? COMPARE_FASTER
           : r->low >= least && r->high <= most ? COMPARE_SAME
                                                : COMPARE_UNSURE;
}

compare_result compare_rows(const compare_row *old, const compare_row *new, double threshold, int paired)
{
    compare_result r = {COMPARE_UNSURE, 0, 0, 0};
    if (!old || !new) {
        r.verdict = old ? COMPARE_ONLY_OLD : COMPARE_ONLY_NEW;
        return r;
    }
    if (old->failed || new->failed) {
        r.verdict = !old->failed ? COMPARE_NOW_FAILS : !new->failed ? COMPARE_NOW_FINE : COMPARE_BOTH_FAIL;
        return r;
    }
    r.ratio = new->median / old->median;
    if (!old->times || !new->times)
        return r;
    const size_t pairs = old->samples < new->samples ? old->samples : new->samples;
    samples above = make_samples(new->times, paired ? old->times : NULL, paired ? pairs : new->samples);
    samples below = make_samples(old->times, NULL, old->samples);
    if (above.sorted && below.sorted) {
        bootstrap(&above, paired ? NULL : &below, &r);
        r.verdict = judge(&r, threshold);
    }
    free_samples(&above);
    free_samples(&below);
    return r;
}

double compare_geometric_mean(const double *ratios, size_t n)
{
    double sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (ratios[i] > 0) {
            sum += log(ratios[i]);
            count++;
        }
    return count ? exp(sum / (double)count) : 0;
}
