#include "run.h"

#include <stdio.h>
#include <stdlib.h>

#include "statistics.h"

static void print_steps(const timing_step *steps, size_t n_steps, int calls)
{
    double total = 0;
    for (size_t s = 0; s < n_steps; s++)
        total += steps[s].milliseconds / calls;
    for (size_t s = 0; s < n_steps; s++) {
        const double ms = steps[s].milliseconds / calls;
        printf("%-16s  mean   %9.3f ms   %5.1f %%   %8.2f GFLOP/s   %7.2f GB/s\n", steps[s].name, ms, 100 * ms / total,
               steps[s].flop / calls / ms * 1e-6, steps[s].bytes / calls / ms * 1e-6);
    }
}

int run_calls(const char *name, int calls, timing_recording *recording, int (*call)(void *user), void *user)
{
    double *times = malloc((size_t)calls * sizeof *times);
    timing_step steps[TIMING_STEPS];
    size_t n_steps = 0;
    int failure = 0;
    if (!times) {
        fputs("memory ran out\n", stderr);
        return 1;
    }
    for (int i = -1; i < calls; i++) {
        recording->on = i >= 0;
        const double start = timing_now();
        failure = call(user);
        if (failure)
            goto done;
        if (i < 0)
            continue;
        times[i] = timing_now() - start;
        timing_collect(recording, steps, &n_steps);
    }
    statistics_sort(times, (size_t)calls);
    printf("%-16s  median %9.3f ms   least %9.3f ms   of %d\n", name, times[calls / 2], times[0], calls);
    print_steps(steps, n_steps, calls);
done:
    recording->on = 0;
    free(times);
    return failure;
}
