/* bench_measure.h: samples of an object's calls, and what they come to. */
#ifndef CLDEFORM_TOOL_BENCH_MEASURE_H
#define CLDEFORM_TOOL_BENCH_MEASURE_H

#include "bench_object.h"

typedef struct bench_samples {
    int calls; /* in a block, which is a sample */
    size_t n, capacity;
    double *wall, *device; /* milliseconds of a call; device -1 where it is not known */
    size_t n_steps;
    timing_step steps[TIMING_STEPS]; /* of all samples */
} bench_samples;

/* After a first call: calls until the device is warm, and how many make a block. All zero before; bench_free_samples
 * after, also after a failure. */
int bench_warm_up(bench_object *o, bench_samples *s, fault *f);

/* One more sample. */
int bench_sample(bench_object *o, bench_samples *s, fault *f);

/* Samples until the median is known, within the options' limits. */
int bench_measure(bench_object *o, const bench_options *options, bench_samples *s, fault *f);

void bench_free_samples(bench_samples *s);

typedef struct bench_summary {
    double median, min, p10, p90; /* of the wall times */
    double device;                /* median; -1: not known */
} bench_summary;

/* Of at least one sample. */
int bench_summarise(const bench_samples *s, bench_summary *summary, fault *f);

#endif
