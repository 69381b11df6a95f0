/* timing.h: what a call costs: wall time, and the time of each of its steps from the trace. */
#ifndef BENCH_TIMING_H
#define BENCH_TIMING_H

#include "cldeform/cldeform.h"

enum { TIMING_EVENTS = 4096 };

/* The steps of one call. All zero before; the trace_user of timing_record. */
typedef struct timing_recording {
    int on;
    size_t n_events;
    struct {
        const char *name;
        cl_event first, last;
        double flop, bytes;
    } events[TIMING_EVENTS];
} timing_recording;

/* A cldeform_trace_function. */
void timing_record(const cldeform_trace_record *command, void *recording);

/* Milliseconds since some moment. */
double timing_now(void);

/* Reproducible, in [-1, 1). */
float timing_value(uint32_t *state);

/* Runs `call`, which waits until the work is done and returns 0 where it succeeds: once uncounted, then `calls` times.
 * Prints the median and the least wall time, then each step's mean by the device's clock (the queue has profiling).
 * Returns what a call that fails returns, else 0. */
int timing_run(const char *name, int calls, timing_recording *recording, int (*call)(void *user), void *user);

#endif
