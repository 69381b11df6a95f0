/* A tensor on the device between guard bands: bytes that no call may change. */
#ifndef TEST_GUARDED_H
#define TEST_GUARDED_H

#include "device.h"

typedef struct test_guarded {
    /* filled in by the caller */
    const char *name; /* "input", for messages */
    cldeform_dtype dtype;
    size_t images, rows, row;  /* what it holds; row: elements of one. Tensors have one row an image */
    size_t image_gap, row_gap; /* elements between images, and between the rows of an image */
    size_t shift;              /* elements before the first one, beyond the guard */
    /* filled in by test_guarded_create */
    cl_mem buffer;
    size_t first, image_stride, row_stride; /* elements */
    size_t size;                            /* bytes of the buffer */
    unsigned char *bytes;                   /* what it held before the run; after test_guarded_check: behind it */
} test_guarded;

/* Makes the buffer. values: of all elements, densely; NULL: all NaN. What is no element is NaN in every type. */
void test_guarded_create(const test_device *on, test_guarded *guarded, const double *values, cl_mem_flags flags);

/* As the argument of a call; batch_stride 0 where the images lie densely. */
cldeform_tensor test_guarded_tensor(const test_guarded *guarded);

/* Reads the buffer, and fails the test unless every byte outside of elements first .. first + elements - 1 is what it
 * was. */
void test_guarded_check(test_guarded *guarded, cl_command_queue queue, size_t first, size_t elements);

/* The elements as of the last check, densely. */
void test_guarded_values(const test_guarded *guarded, double *values);
void test_guarded_destroy(test_guarded *guarded);

/* A workspace of exactly this many bytes between guards, full of NaN. */
typedef struct test_scratch {
    cldeform_workspace workspace;
} test_scratch;
void test_scratch_create(const test_device *on, test_scratch *scratch, size_t bytes);
/* Fails if something wrote outside of it. */
void test_scratch_check(const test_scratch *scratch, cl_command_queue queue);
void test_scratch_destroy(test_scratch *scratch);

/* The value as a tensor of this type stores it. */
double test_round(double value, cldeform_dtype dtype);

#endif
