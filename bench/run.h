/* run.h: times calls and prints what they and their steps cost. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "timing.h"

/* Runs `call`, which waits until the work is done and returns 0 where it succeeds: once uncounted, then `calls` times.
 * Prints the median and the least wall time, then each step's mean by the device's clock (the queue has profiling).
 * Returns what a call that fails returns, else 0. */
int run_calls(const char *name, int calls, timing_recording *recording, int (*call)(void *user), void *user);

#endif
