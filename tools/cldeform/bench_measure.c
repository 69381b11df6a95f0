/* bench_measure.c: see bench_measure.h. */
#include "bench_measure.h"

#include <stdlib.h>
#include <string.h>

#include "statistics.h"

static const double block_ms = 20, warm_ms = 50; /* clocks and schedulers are coarse, and caches fill */

static int run_block(bench_object *o, int calls, double *milliseconds, fault *f)
{
    const double start = timing_now();
    int status = EXIT_FINE;
    for (int i = 0; i < calls && status == EXIT_FINE; i++)
        status = bench_object_call(o, f);
    if (status == EXIT_FINE)
        status = bench_object_finish(o, f);
    *milliseconds = timing_now() - start;
    return status;
}

/* Blocks of twice as many calls until one is long enough. The first call of all, which compiles, has been. */
int bench_warm_up(bench_object *o, bench_samples *s, fault *f)
{
    const int most = 4096;
    const double start = timing_now();
    double last = 0;
    int status = EXIT_FINE;
    s->calls = 1;
    while (status == EXIT_FINE) {
        status = run_block(o, s->calls, &last, f);
        if (last < block_ms && s->calls < most)
            s->calls *= 2;
        else if (timing_now() - start > warm_ms)
            break;
    }
    return status;
}

static int grow(bench_samples *s, fault *f)
{
    const size_t capacity = 2 * s->capacity + 64;
    double *wall = realloc(s->wall, capacity * sizeof *wall);
    if (!wall)
        return fault_memory(f);
    s->wall = wall;
    double *device = realloc(s->device, capacity * sizeof *device);
    if (!device)
        return fault_memory(f);
    s->device = device;
    s->capacity = capacity;
    return EXIT_FINE;
}

int bench_sample(bench_object *o, bench_samples *s, fault *f)
{
    double milliseconds = 0;
    int status = s->n == s->capacity ? grow(s, f) : EXIT_FINE;
    if (status != EXIT_FINE)
        return status;
    o->device->recording.on = 1;
    status = run_block(o, s->calls, &milliseconds, f);
    o->device->recording.on = 0;
    if (status == EXIT_FINE) {
        const double device = timing_collect(&o->device->recording, s->steps, &s->n_steps);
        s->wall[s->n] = milliseconds / s->calls;
        s->device[s->n++] = device < 0 ? -1 : device / s->calls;
    }
    return status;
}

/* Whether the median is known to 2 %: with 95 in 100 it lies between two of the samples, and these are close. */
static int is_known(const bench_samples *s, double *scratch)
{
    const double close = 0.02;
    size_t low = 0, high = 0;
    memcpy(scratch, s->wall, s->n * sizeof *scratch);
    statistics_sort(scratch, s->n);
    statistics_median_bounds(s->n, &low, &high);
    return scratch[high] - scratch[low] <= close * statistics_quantile(scratch, s->n, 0.5);
}

int bench_measure(bench_object *o, const bench_options *options, bench_samples *s, fault *f)
{
    const int64_t least = options->samples[0], most = options->samples[1];
    const double patience = 8, start = timing_now();
    double *scratch = malloc((size_t)most * sizeof *scratch);
    int status = EXIT_FINE;
    if (!scratch)
        return fault_memory(f);
    while (status == EXIT_FINE && (int64_t)s->n < most) {
        const double spent = (timing_now() - start) / 1e3;
        if ((int64_t)s->n >= least && spent >= options->min_time &&
            (spent >= patience * options->min_time || is_known(s, scratch)))
            break;
        status = bench_sample(o, s, f);
    }
    free(scratch);
    return status;
}

void bench_free_samples(bench_samples *s)
{
    free(s->wall);
    free(s->device);
}

int bench_summarise(const bench_samples *s, bench_summary *summary, fault *f)
{
    double *sorted = malloc(s->n * sizeof *sorted);
    if (!sorted)
        return fault_memory(f);
    memcpy(sorted, s->wall, s->n * sizeof *sorted);
    statistics_sort(sorted, s->n);
    summary->median = statistics_quantile(sorted, s->n, 0.5);
    summary->min = sorted[0];
    summary->p10 = statistics_quantile(sorted, s->n, 0.1);
    summary->p90 = statistics_quantile(sorted, s->n, 0.9);
    memcpy(sorted, s->device, s->n * sizeof *sorted);
    statistics_sort(sorted, s->n);
    summary->device = sorted[0] < 0 ? -1 : statistics_quantile(sorted, s->n, 0.5);
    free(sorted);
    return EXIT_FINE;
}
