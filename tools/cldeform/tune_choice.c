/* tune_choice.c: what the times of a comparison say.
 *
 * A machine's speed changes while it works, so only samples that were taken side by side are compared: the ratio of two
 * of one round. Of a row the median of its rounds' ratios counts, which a few disturbed ones do not move; of several
 * rows the geometric mean. Where that lies is found by drawing rounds again, with replacement, from each row
 * (bootstrap, Efron 1979): nothing is assumed of how times are distributed. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "statistics.h"
#include "tune.h"

enum { RESAMPLES = 1000, LOWEST = RESAMPLES / 200, HIGHEST = RESAMPLES - 1 - LOWEST }; /* 99 % between */
enum { LIKELY = RESAMPLES * 3 / 4 };

/* Less is not worth a line in a file, and may come from where buffers happen to lie. */
static const double least_gain = 0.01;

const tune_verdict tune_no_verdict = {1, 1, 1, 1, 0};

int tune_create_times(tune_times *t, size_t n_rows, size_t n_trials, size_t n_rounds, fault *f)
{
    t->n_rows = n_rows;
    t->n_trials = n_trials;
    t->n_rounds = n_rounds;
    t->row = calloc(n_rows + 1, sizeof *t->row);
    t->ms = calloc(n_rows * n_trials * n_rounds + 1, sizeof *t->ms);
    return t->row && t->ms ? EXIT_FINE : fault_memory(f);
}

void tune_free_times(tune_times *t)
{
    free(t->row);
    free(t->ms);
    *t = (tune_times){0};
}

double *tune_samples(const tune_times *t, size_t row, size_t trial)
{
    return t->ms + (row * t->n_trials + trial) * t->n_rounds;
}

/* Logarithms of the ratios of each row of the operators, sorted: logs[row][round]. Returns the count of rows. */
static size_t take_logs(const tune_times *t, size_t trial, unsigned operators, double *logs)
{
    size_t n = 0;
    for (size_t row = 0; row < t->n_rows; row++) {
        const double *of = tune_samples(t, row, trial), *first = tune_samples(t, row, 0);
        double *to = logs + n * t->n_rounds;
        if (!(t->row[row].operators & operators))
            continue;
        for (size_t k = 0; k < t->n_rounds; k++)
            to[k] = log(of[k] / first[k]);
        statistics_sort(to, t->n_rounds);
        n++;
    }
    return n;
}

/* From n > 0 rows of logarithms. */
static void find_interval(const double *logs, size_t n, size_t rounds, double *means, size_t *counts, tune_verdict *v)
{
    uint64_t state = 1;
    double mean = 0;
    for (size_t row = 0; row < n; row++)
        mean += statistics_quantile(logs + row * rounds, rounds, 0.5) / (double)n;
    for (size_t i = 0; i < RESAMPLES; i++) {
        means[i] = 0;
        for (size_t row = 0; row < n; row++)
            means[i] += statistics_resampled_median(logs + row * rounds, rounds, counts, &state) / (double)n;
    }
    statistics_sort(means, RESAMPLES);
    *v = (tune_verdict){exp(mean), exp(means[LOWEST]), exp(means[HIGHEST]), exp(means[LIKELY]), n};
}

int tune_judge(const tune_times *t, size_t trial, unsigned operators, tune_verdict *v, fault *f)
{
    double *logs = malloc((t->n_rows * t->n_rounds + RESAMPLES) * sizeof *logs);
    size_t *counts = malloc((t->n_rounds + 1) * sizeof *counts);
    size_t n = 0;
    *v = tune_no_verdict;
    if (!logs || !counts) {
        free(logs);
        free(counts);
        return fault_memory(f);
    }
    n = take_logs(t, trial, operators, logs);
    if (n > 0)
        find_interval(logs, n, t->n_rounds, logs + t->n_rows * t->n_rounds, counts, v);
    free(logs);
    free(counts);
    return EXIT_FINE;
}

int tune_is_promising(const tune_verdict *v)
{
    return v->n_rows > 0 && v->ratio <= 1 - least_gain && v->likely < 1;
}

int tune_wins(const tune_verdict *v)
{
    return v->n_rows > 0 && v->high <= 1 - least_gain;
}
