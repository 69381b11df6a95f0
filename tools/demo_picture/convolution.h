/* convolution.h: one convolution with its tensors in host memory: run and timed on a device through the library, and
 * checked against the library's reference. Knows nothing of pictures. */
#ifndef DEMO_CONVOLUTION_H
#define DEMO_CONVOLUTION_H

#include "device.h"
#include "fault.h"

#include "cldeform/cldeform.h"

/* Dense fp32, as cldeform_conv2d_forward takes them. offset and mask are NULL where the kind has none; no bias. */
typedef struct host_tensors {
    const float *input, *offset, *mask, *weight;
    float *output;
} host_tensors;

typedef struct timing {
    char algorithm[64];
    int runs;
    double milliseconds; /* median, from the call to the end of clFinish */
} timing;

/* Faults carry the library's or OpenCL's own words. */
int convolution_run(cldeform_context *library, const device_session *session, const cldeform_conv2d_problem *problem,
                    const host_tensors *host, timing *t, fault *f);

/* Multiplications and additions of the matrix product; sampling comes on top. */
double convolution_gflop(const cldeform_conv2d_problem *problem);

/* *error: the largest difference between host->output and the reference, over all of it, divided by the reference's
 * largest value; infinite where an output is not a number. */
int convolution_check(const cldeform_conv2d_problem *problem, const host_tensors *host, double *error, fault *f);

#endif
