/* bench_roofline.h: what the device can do at most, measured with kernels of our own. */
#ifndef CLDEFORM_TOOL_BENCH_ROOFLINE_H
#define CLDEFORM_TOOL_BENCH_ROOFLINE_H

#include "bench_object.h"

/* 0: not measured, or the device lacks the type. */
typedef struct bench_roofline {
    double fp32_gflops, fp64_gflops; /* multiply-adds, 2 flop each */
    double copy_gbs;                 /* bytes read and bytes written per second, 1e9 */
} bench_roofline;

/* About a second. */
int bench_measure_roofline(const bench_device *device, bench_roofline *r, fault *f);

/* Least milliseconds of so much work; *memory = 1 where the bytes take longer. 0: not known. */
double bench_bound(const bench_roofline *r, cldeform_dtype dtype, double gflop, double bytes, int *memory);

#endif
