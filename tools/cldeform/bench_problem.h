/* bench_problem.h: problems as strings, "conv2d:in=128x100x168,out=128,kernel=3,pad=1", that round-trip. */
#ifndef CLDEFORM_TOOL_BENCH_PROBLEM_H
#define CLDEFORM_TOOL_BENCH_PROBLEM_H

#include "cldeform/problem.h"
#include "fault.h"

enum { BENCH_CONV2D, BENCH_ROI_POOL, BENCH_PSROI_POOL, BENCH_OPERATIONS };

/* What a string can say, in the order in which it is written. */
enum {
    BENCH_BATCH,
    BENCH_IN, /* C, H, W */
    BENCH_OUT,
    BENCH_KERNEL,
    BENCH_STRIDE,
    BENCH_PAD, /* top, left, bottom, right */
    BENCH_DILATION,
    BENCH_GROUPS,
    BENCH_OFFSET_GROUPS,
    BENCH_ROIS,
    BENCH_OUTPUT_DIM,
    BENCH_OUTPUT_SIZE,
    BENCH_GROUP_SIZE,
    BENCH_PART_SIZE,
    BENCH_SAMPLE_PER_PART,
    BENCH_SPATIAL_SCALE,
    BENCH_SAMPLING_RATIO,
    BENCH_GAMMA,
    BENCH_TRANS_STD,
    BENCH_CLASSES,
    BENCH_ROI_MODE, /* "mode", of roi-pool and of psroi-pool */
    BENCH_PS_MODE,
    BENCH_OFFSET,
    BENCH_MASK,
    BENCH_KIND,
    BENCH_DTYPE,
    BENCH_OFFSET_DTYPE,
    BENCH_LAYOUT,
    BENCH_FIELDS
};

/* Fields that its operation lacks are 0. */
typedef struct bench_problem {
    int operation;
    int64_t number[BENCH_FIELDS][4]; /* words too: their enums */
    double real[BENCH_FIELDS];
} bench_problem;

#define BENCH_TEXT 480 /* of the longest string */

/* Reads it, fills in what it leaves out, and checks that there is such a problem. */
int bench_read_problem(const char *text, bench_problem *p, fault *f);

/* The canonical form: without what is as it would be anyway. Returns text. */
const char *bench_write_problem(const bench_problem *p, char text[BENCH_TEXT]);

/* Overrides: `at` is one of BENCH_*, `value` as in a string. bench_check_problem after the last of them. */
int bench_override(bench_problem *p, int at, const char *value, fault *f);
int bench_check_problem(const bench_problem *p, fault *f);

const char *bench_field_name(int at);
int bench_has_field(const bench_problem *p, int at);
const char *bench_operation_name(int operation); /* "conv2d" */

/* The library's problem; passes are left to the caller. */
cldeform_conv2d_problem bench_make_conv2d(const bench_problem *p);
cldeform_roi_pool_problem bench_make_roi_pool(const bench_problem *p);

/* Of its data; the default is fp32, that of offsets the data's. */
cldeform_dtype bench_dtype(const bench_problem *p);
cldeform_dtype bench_offset_dtype(const bench_problem *p);

#endif
