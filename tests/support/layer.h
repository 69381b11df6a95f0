/* The counting layer (cl_layer.h) in a test program. */
#ifndef TEST_LAYER_H
#define TEST_LAYER_H

#include "cl_layer.h"
#include "device.h"

/* Set by test_open_layer, the set-up of a group that runs under the layer: as test_open_device, and fails without it.
 */
extern const cl_layer *layer;
int test_open_layer(void **state);

/* Calls of all functions of a list that ends in NULL. */
long test_count_calls(const char *const *functions);
/* Not clCreateKernel: CLBlast makes a kernel object of its compiled program for every product. */
extern const char *const test_compiling[];
extern const char *const test_allocating[];

/* What is referenced, and a comparison with it; when: for the message. */
void test_references_now(long references[CL_LAYER_OBJECT_COUNT]);
void test_check_references(const long before[CL_LAYER_OBJECT_COUNT], const char *when);
/* The same where a context lives on, which may keep another queue, and an event of each: they become part of `before`.
 * at_first: before the first of these calls. */
void test_check_kept(const long at_first[CL_LAYER_OBJECT_COUNT], long before[CL_LAYER_OBJECT_COUNT], const char *when);

/* For tests where the first OpenCL call fails, then the second, ... until none is left: test_fail_nth(n), then what
 * makes the calls, then test_count_failure with its status, which is false where there were fewer calls than n. */
typedef struct test_failures {
    int failed, tolerated; /* tolerated: without consequences, e.g. facts that the library can do without */
    char when[200];        /* "call 3, clCreateBuffer, failed" */
} test_failures;
void test_fail_nth(long n);
/* Fails the test where an error has no text. */
bool test_count_failure(long n, cldeform_status status, test_failures *failures);

#endif
