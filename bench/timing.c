#include "timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_STEPS = 64 };

typedef struct step {
    const char *name;
    double milliseconds, flop, bytes; /* of all the step's commands in all calls */
} step;

void timing_record(const cldeform_trace_record *command, void *recording)
{
    timing_recording *r = recording;
    if (!r->on || r->n_events == TIMING_EVENTS)
        return;
    clRetainEvent(command->first_event);
    clRetainEvent(command->event);
    r->events[r->n_events].name = command->step;
    r->events[r->n_events].first = command->first_event;
    r->events[r->n_events].last = command->event;
    r->events[r->n_events].flop = command->flop;
    r->events[r->n_events++].bytes = command->bytes;
}

double timing_now(void)
{
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

float timing_value(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 8388608.0f - 1.0f;
}

/* Adds the recorded commands' times to the steps of their names, and releases the events. */
static size_t add_up(timing_recording *r, step steps[MOST_STEPS], size_t n_steps)
{
    for (size_t i = 0; i < r->n_events; i++) {
        cl_ulong start = 0, end = 0;
        clGetEventProfilingInfo(r->events[i].first, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL);
        clGetEventProfilingInfo(r->events[i].last, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL);
        clReleaseEvent(r->events[i].first);
        clReleaseEvent(r->events[i].last);
        size_t s = 0;
        while (s < n_steps && strcmp(steps[s].name, r->events[i].name) != 0)
            s++;
        if (s == MOST_STEPS)
            continue;
        if (s == n_steps)
            steps[n_steps++] = (step){r->events[i].name, 0, 0, 0};
        steps[s].milliseconds += (double)(end - start) * 1e-6;
        steps[s].flop += r->events[i].flop;
        steps[s].bytes += r->events[i].bytes;
    }
    r->n_events = 0;
    return n_steps;
}

static int compare_numbers(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_steps(const step *steps, size_t n_steps, int calls)
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

int timing_run(const char *name, int calls, timing_recording *recording, int (*call)(void *user), void *user)
{
    double *times = malloc((size_t)calls * sizeof *times);
    step steps[MOST_STEPS];
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
        n_steps = add_up(recording, steps, n_steps);
    }
    qsort(times, (size_t)calls, sizeof *times, compare_numbers);
    printf("%-16s  median %9.3f ms   least %9.3f ms   of %d\n", name, times[calls / 2], times[0], calls);
    print_steps(steps, n_steps, calls);
done:
    recording->on = 0;
    free(times);
    return failure;
}
