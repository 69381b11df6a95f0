/* A tensor on the device between guard bands: bytes that no call may change. */
#ifndef TEST_GUARDED_H
#define TEST_GUARDED_H

#include "device.h"

typedef struct test_guarded {
    /* filled in by the caller */
    const char *name; /* "input", for messages */
    cldeform_dtype dtype;
    bool whole; /* int32_t elements instead; what is no element is then no NaN, but a large negative number */
    size_t images, rows, row;  /* what it holds; row: elements of one. Tensors have one row an image */
    size_t image_gap, row_gap; /* elements between images, and between the rows of an image */
    size_t shift;              /* elements before the first one, beyond the guard */
    /* filled in by test_guarded_create */
    cl_mem buffer;
    size_t first, image_stride, row_stride; /* elements */
    size_t size;                            /* bytes of the buffer */
    unsigned char *bytes;                   /* what it held before the run; after test_guarded_check: behind it */
} test_guarded;

/* How a run differs from the plainest one; zero is the plainest. */
typedef struct test_run {
    cl_command_queue queue;    /* NULL: the device's in-order queue */
    cldeform_context *context; /* NULL: the device's */
    bool strided;              /* gaps between images, and tensors that do not begin at element 0 */
    bool workspace;            /* a workspace of workspace_bytes; 0: the minimum */
    size_t workspace_bytes;
    bool pack_weight;          /* pack first, where the algorithm packs */
    cl_mem_flags output_flags; /* 0: CL_MEM_READ_WRITE */
    /* backward only (gradients.h) */
    cldeform_passes gradients;  /* asked for; 0: all that the kind has */
    cldeform_passes accumulate; /* onto the initial values */
    bool minimal;               /* the object knows no other pass, and tensors that are not needed are absent */
} test_run;

/* A tensor of this shape as the run places it, for test_guarded_create; batch -1: it has none. */
test_guarded test_guarded_of(const char *name, cldeform_dtype dtype, const cldeform_shape *shape, int64_t batch,
                             const test_run *run);

/* Makes the buffer. values: of all elements, densely; NULL: all NaN. What is no element is NaN in every type. */
void test_guarded_create(const test_device *on, test_guarded *guarded, const double *values, cl_mem_flags flags);

/* Bytes of an element. */
size_t test_guarded_element(const test_guarded *guarded);

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
