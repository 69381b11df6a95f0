/* timing.c: see timing.h. */
#include "timing.h"

#include <string.h>
#include <time.h>

void timing_record(const cldeform_trace_record *command, void *recording)
{
    timing_recording *r = recording;
    if (!r->on)
        return;
    if (r->n_events == TIMING_EVENTS) {
        r->lost = 1;
        return;
    }
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

double timing_collect(timing_recording *r, timing_step *steps, size_t *n_steps)
{
    double sum = 0;
    int known = !r->lost;
    for (size_t i = 0; i < r->n_events; i++) {
        cl_ulong start = 0, end = 0;
        known &=
            clGetEventProfilingInfo(r->events[i].first, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL) ==
                CL_SUCCESS &&
            clGetEventProfilingInfo(r->events[i].last, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL) == CL_SUCCESS;
        clReleaseEvent(r->events[i].first);
        clReleaseEvent(r->events[i].last);
        const double milliseconds = (double)(end - start) * 1e-6;
        sum += milliseconds;
        size_t s = 0;
        while (s < *n_steps && strcmp(steps[s].name, r->events[i].name) != 0)
            s++;
        if (s == TIMING_STEPS)
            continue;
        if (s == *n_steps)
            steps[(*n_steps)++] = (timing_step){r->events[i].name, 0, 0, 0};
        steps[s].milliseconds += milliseconds;
        steps[s].flop += r->events[i].flop;
        steps[s].bytes += r->events[i].bytes;
    }
    r->n_events = 0;
    r->lost = 0;
    return known ? sum : -1;
}
