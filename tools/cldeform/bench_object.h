/* bench_object.h: a case on a device: the library's object for a pass, its buffers, and calls of it. */
#ifndef CLDEFORM_TOOL_BENCH_OBJECT_H
#define CLDEFORM_TOOL_BENCH_OBJECT_H

#include "bench_data.h"
#include "timing.h"

typedef struct bench_device {
    device_session session; /* its queue has profiling, and is in order */
    cldeform_context *context;
    timing_recording recording; /* of the context's calls */
} bench_device;

/* `wanted` as device_choose has it. All zero before; bench_close_device after, also after a failure. */
int bench_open_device(bench_device *device, const char *wanted, fault *f);
void bench_close_device(bench_device *device);

typedef struct bench_object {
    bench_device *device;
    const bench_data *data;
    int pass;
    cldeform_conv2d *conv; /* one of the two is NULL */
    cldeform_roi_pool *pool;
    json_t *plan;    /* what the library says of it */
    size_t n_sets;   /* of buffers: calls take them in turns */
    size_t next_set; /* of the next call */
    cl_mem (*sets)[TENSORS];
    cl_mem argmax;              /* of ROI_MAX */
    cl_mem packed;              /* NULL: the weights are packed in the call, or read as they are */
    cldeform_workspace scratch; /* buffer NULL: none is needed */
    size_t scratch_bytes;
} bench_object;

/* Creates the library's object alone: kernels compile. algorithm: one of the options'. *supported = 0, without a fault,
 * where the algorithm or the device cannot do the case. All zero before; bench_object_free after, also after a failure.
 */
int bench_object_create(bench_object *o, bench_device *device, const bench_data *data, int pass, int algorithm,
                        int *supported, fault *f);

/* n_sets sets of buffers, whose results are full of NaN, and the workspace; packs the weights, if asked for and there
 * is such a thing. */
int bench_object_fill(bench_object *o, size_t n_sets, int pack, fault *f);

void bench_object_free(bench_object *o);

/* Enqueues a call with the next set of buffers. */
int bench_object_call(bench_object *o, fault *f);
int bench_object_finish(bench_object *o, fault *f);

/* The results of the first set into the data's arrays. */
int bench_object_read(bench_object *o, fault *f);

/* Sets of buffers that no cache holds all of: two at least. */
size_t bench_cold_sets(const bench_device *device, const bench_data *data, int pass);

#endif
