/* timing.h: what calls cost: wall time, and the device's time of their steps from the trace; and numbers to fill
 * tensors with. */
#ifndef TOOLS_TIMING_H
#define TOOLS_TIMING_H

#include "cldeform/cldeform.h"

enum { TIMING_EVENTS = 8192, TIMING_STEPS = 64 };

/* The commands of some calls. All zero before; the trace_user of timing_record. */
typedef struct timing_recording {
    int on;
    int lost; /* there were more than it holds */
    size_t n_events;
    struct {
        const char *name;
        cl_event first, last;
        double flop, bytes;
    } events[TIMING_EVENTS];
} timing_recording;

/* All commands of one name. */
typedef struct timing_step {
    const char *name;
    double milliseconds, flop, bytes; /* sums */
} timing_step;

/* A cldeform_trace_function. */
void timing_record(const cldeform_trace_record *command, void *recording);

/* Adds the recorded commands to the steps of their names, of which there are *n_steps, at most TIMING_STEPS, and
 * forgets them. They are complete, on a queue with profiling. Returns their milliseconds; -1 where some were lost, or
 * the device does not tell. */
double timing_collect(timing_recording *recording, timing_step *steps, size_t *n_steps);

/* Milliseconds since some moment. */
double timing_now(void);

/* Reproducible, in [-1, 1). */
float timing_value(uint32_t *state);

#endif
