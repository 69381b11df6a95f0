/* bench_data.h: the tensors of a case in host memory, and what they must become. */
#ifndef CLDEFORM_TOOL_BENCH_DATA_H
#define CLDEFORM_TOOL_BENCH_DATA_H

#include "bench.h"
#include "conv2d.h"
#include "roi.h"

/* Of one operator: the other one's data are zeros. */
typedef struct bench_data {
    int operation; /* BENCH_CONV2D, ... */
    conv2d_data conv2d;
    roi_data roi;
    npy_array *array; /* [TENSORS], of the operator's data; what is computed has room */
} bench_data;

/* Tensors in their own types: input, weight and grad_output N(0,1), weight divided by the root of what it sums; offsets
 * as asked for, in their type; masks from 0 to 1; RoIs with sides of 28 to 448 image pixels inside the image. The same
 * numbers each time. EXIT_DEVICE where a tensor has more bytes than `most`, or memory ran out. All zero before;
 * bench_data_free after, also after a failure. */
int bench_data_create(const bench_problem *problem, int offsets, size_t most, bench_data *d, fault *f);
void bench_data_free(bench_data *d);

/* Of a pass: what it computes; arithmetic by formula, in GFLOP; bytes of the tensors that it reads and writes. */
cldeform_passes bench_data_passes(const bench_data *d, int pass);
double bench_data_gflop(const bench_data *d, int pass);
double bench_data_bytes(const bench_data *d, int pass);

#endif
