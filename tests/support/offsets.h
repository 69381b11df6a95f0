/* Offset tensors for tests of the statistics, what is expected of them, and a run on the device. */
#ifndef TEST_OFFSETS_H
#define TEST_OFFSETS_H

#include "conv.h"

typedef enum test_offset_data {
    TEST_QUARTERS, /* moderate: many samples exactly at a border */
    TEST_SPECIAL,  /* the same with NaN and infinities */
    TEST_LARGEST,  /* around the largest float */
    TEST_MIXED,    /* all of it */
    TEST_ABSORBED, /* a large one and 127 small ones that a plain float sum would lose, and so on */
    TEST_NO_NUMBER /* nothing finite */
} test_offset_data;

typedef struct test_offsets {
    cldeform_conv2d_problem problem;
    int64_t out_h, out_w, planes; /* planes: offset_groups * taps */
    size_t image;                 /* elements */
    cldeform_dtype dtype, data;
    double *values; /* dense, as rounded to the type */
} test_offsets;

/* Strides, dilations and groups of the problem must not be left to their defaults. */
test_offsets test_offsets_create(const cldeform_conv2d_problem *problem, test_offset_data kind);
void test_offsets_destroy(test_offsets *o);

/* Element of an image that holds axis `axis` (0: y) of a sample. */
size_t test_offset_place(const test_offsets *o, int64_t group, int64_t tap, int64_t axis, int64_t pixel);

/* By a plain computation on the host. */
cldeform_offset_statistics test_statistics_expect(const test_offsets *o);
/* Fails unless counts are equal, and the mean within an ulp. */
void test_statistics_compare(const cldeform_offset_statistics *found, const cldeform_offset_statistics *expected);

/* How a run differs from the plainest one; zero is the plainest. */
typedef struct test_statistics_run {
    cldeform_context *context; /* NULL: the device's */
    cl_command_queue queue;    /* NULL: the device's in-order queue */
    bool strided;
    size_t workspace_beyond; /* bytes beyond the minimum of the caller's workspace; 0: none of the caller's */
} test_statistics_run;

/* Bytes before and behind a result, which is number 3 of its buffer. */
enum { TEST_GUARD = 3 * sizeof(cldeform_offset_statistics) };
/* The tensor in a buffer of its own, in which every other byte would count as NaN. */
cldeform_tensor test_offsets_upload(const test_offsets *o, bool strided);
cl_mem test_result_create(void);
/* Reads the result at TEST_GUARD; false: nobody has written it. What is round it must be as it was. */
bool test_result_read(cl_command_queue queue, cl_mem buffer, cldeform_offset_statistics *found);

/* Creates, runs and waits. */
cldeform_offset_statistics test_statistics_measure(const test_offsets *o, const test_statistics_run *how);

/* The small problem for statistics alone, which need no output channels. */
cldeform_conv2d_problem test_statistics_problem(void);

#endif
