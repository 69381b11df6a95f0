/* The OpenCL device that a test program runs on: the first one of the loader's list (tests pin the list), or the one
 * that CLDEFORM_TEST_DEVICE names by index, as 1:0 for the first of the second platform. */
#ifndef TEST_DEVICE_H
#define TEST_DEVICE_H

#include "cldeform/cldeform.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

/* How much of its lists a test goes through (CLDEFORM_TEST_EXTENT). What compiles kernels takes most of the time, so
 * the usual run has every property and every code path once, and not all their combinations. */
typedef enum test_extent {
    TEST_PART, /* "part": one problem of each code path, for a second implementation and for sanitizers */
    TEST_USUAL,
    TEST_ALL /* "all": every combination; tools/check --full */
} test_extent;

typedef struct test_device {
    cl_device_id id;
    cl_context cl;
    cl_command_queue queue;        /* in order */
    cl_command_queue out_of_order; /* NULL: the device has none */
    cldeform_context *context;     /* test_context_options */
    char name[256];
    bool fp64;
    test_extent extent;
} test_device;

/* Opens the device, or ends the program with 77 (skipped) when there is none. */
void test_device_open(test_device *on);
void test_device_close(test_device *on);

/* The device of a program's tests: open from test_open_device to test_close_device, which are a group's set-up and
 * teardown. */
extern test_device device;
int test_open_device(void **state);
int test_close_device(void **state);

/* Writes a new file, whose path it gives. */
enum { TEST_PATH = 64 };
void test_put_temporary(const char *text, char path[TEST_PATH]);

/* Of a context without a disk cache. Of the variables that tell the library what to do, CLDEFORM_BUILD_OPTIONS alone
 * reaches the tests. */
cldeform_context_options test_context_options(void);

/* A context of the device whose tuning file has these lines. */
cldeform_context *test_tuned_context(const test_device *on, const char *lines);

/* A queue of the device with these properties; NULL if it has no such queue. */
cl_command_queue test_queue_create(const test_device *on, cl_command_queue_properties properties);

bool test_is_cpu(const test_device *on);

/* Whether the device takes seconds for a program (rusticl on the processor): tests then make do with few. */
bool test_compiles_slowly(const test_device *on);

/* A buffer of `device`; from NULL: with anything in it. */
cl_mem test_buffer_create(size_t bytes, const void *from);

/* Fails the test with the library's error text unless the call succeeds. */
#define assert_ok(call) test_assert_status((call), CLDEFORM_OK, NULL, #call, __FILE__, __LINE__)
/* Fails unless the call gives this status, and the error text holds `part` (NULL: any). */
#define assert_status(call, status, part) test_assert_status((call), (status), (part), #call, __FILE__, __LINE__)
void test_assert_status(cldeform_status found, cldeform_status wanted, const char *part, const char *call,
                        const char *file, int line);

#define assert_cl(call) assert_int_equal((call), CL_SUCCESS)

#endif
