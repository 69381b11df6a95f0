/* Every wrong argument of the calls about RoIs themselves, their levels and their statistics: its status, its text,
 * nothing enqueued. */
#include "context.h"
#include "layer.h"
#include "roi_shapes.h"

#include <stdlib.h>

enum { ROIS = 13 };

typedef struct fixture {
    cldeform_roi_pool *pool;
    cldeform_roi_pool_tensors tensors; /* rois and level */
    cl_mem level, result;
} fixture;

static int create_fixture(void **state)
{
    fixture *x = calloc(1, sizeof *x);
    cldeform_roi_pool_problem problem = test_roi_problem_of("3 levels", true, true, ROIS);
    if (!x)
        return -1;
    *state = x;
    problem.passes = CLDEFORM_STATISTICS;
    assert_ok(cldeform_roi_pool_create(device.context, &problem, &x->pool));
    x->tensors.struct_size = sizeof x->tensors;
    x->tensors.rois.buffer = test_buffer_create(ROIS * 5 * sizeof(cl_float), NULL);
    x->tensors.level.buffer = test_buffer_create(ROIS * sizeof(cl_int), NULL);
    x->level = test_buffer_create(ROIS * sizeof(cl_int), NULL);
    x->result = test_buffer_create(4 * sizeof(cldeform_roi_statistics), NULL);
    return 0;
}

static int destroy_fixture(void **state)
{
    fixture *x = *state;
    clReleaseMemObject(x->tensors.rois.buffer);
    clReleaseMemObject(x->tensors.level.buffer);
    clReleaseMemObject(x->level);
    clReleaseMemObject(x->result);
    cldeform_roi_pool_destroy(x->pool);
    free(x);
    return 0;
}

/* The call must be refused with this status and text, and enqueue nothing. The event pointer of the call is &done_. */
#define REFUSED(call, status, text)                                                                                    \
    do {                                                                                                               \
        cl_event done_ = (cl_event)1;                                                                                  \
        layer->reset();                                                                                                \
        assert_status(call, status, text);                                                                             \
        assert_int_equal(layer->enqueues(), 0);                                                                        \
        assert_null(done_);                                                                                            \
    } while (0)

static void levels(void **state)
{
    fixture *x = *state;
    const cldeform_tensor rois = x->tensors.rois, level = {x->level, 0, 0};
    cldeform_tensor from = rois, to = level;
#define ASSIGN(pool, queue, from_, to_, n_wait, wait)                                                                  \
    cldeform_roi_pool_assign_levels(pool, queue, ROIS, from_, to_, n_wait, wait, &done_)
#define WRONG_LEVELS(status, text)                                                                                     \
    do {                                                                                                               \
        REFUSED(ASSIGN(x->pool, device.queue, &from, &to, 0, NULL), status, text);                                     \
        from = rois;                                                                                                   \
        to = level;                                                                                                    \
    } while (0)
    REFUSED(ASSIGN(NULL, device.queue, &from, &to, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "pool is NULL");
    REFUSED(ASSIGN(x->pool, NULL, &from, &to, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "queue is NULL");
    REFUSED(ASSIGN(x->pool, device.queue, NULL, &to, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "roi_tensor is NULL");
    REFUSED(ASSIGN(x->pool, device.queue, &from, NULL, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "level is NULL");
    REFUSED(ASSIGN(x->pool, device.queue, &from, &to, 1, NULL), CLDEFORM_INVALID_ARGUMENT, "n_wait is 1");
    from.buffer = NULL;
    WRONG_LEVELS(CLDEFORM_INVALID_ARGUMENT, "roi_tensor.buffer is NULL");
    to.buffer = NULL;
    WRONG_LEVELS(CLDEFORM_INVALID_ARGUMENT, "level.buffer is NULL");
    from.offset = 1;
    WRONG_LEVELS(CLDEFORM_BUFFER_TOO_SMALL, "roi_tensor needs");
    to.offset = 1;
    WRONG_LEVELS(CLDEFORM_BUFFER_TOO_SMALL, "level needs");
    from.batch_stride = 4;
    WRONG_LEVELS(CLDEFORM_INVALID_ARGUMENT, "roi_tensor.batch_stride is 4");
    to.batch_stride = 2;
    WRONG_LEVELS(CLDEFORM_BUFFER_TOO_SMALL, "level needs");
    to.buffer = from.buffer;
    WRONG_LEVELS(CLDEFORM_INVALID_ARGUMENT, "overlap");
    assert_ok(cldeform_roi_pool_assign_levels(x->pool, device.queue, ROIS, &from, &to, 0, NULL, NULL));
    assert_cl(clFinish(device.queue));
}

static void statistics(void **state)
{
    fixture *x = *state;
    const cldeform_roi_pool_tensors right = x->tensors;
    const cldeform_tensor place = {x->result, 3, 0};
    cldeform_tensor result = place;
    cl_int error = CL_SUCCESS;
    cl_mem read_only = clCreateBuffer(device.cl, CL_MEM_READ_ONLY, 1 << 10, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
#define COUNT(pool, queue, tensors, result_, n_wait, wait)                                                             \
    cldeform_roi_pool_statistics(pool, queue, ROIS, tensors, result_, n_wait, wait, &done_)
#define WRONG_COUNT(status, text)                                                                                      \
    do {                                                                                                               \
        REFUSED(COUNT(x->pool, device.queue, &x->tensors, &result, 0, NULL), status, text);                            \
        x->tensors = right;                                                                                            \
        result = place;                                                                                                \
    } while (0)
    REFUSED(COUNT(NULL, device.queue, &right, &result, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "pool is NULL");
    REFUSED(COUNT(x->pool, NULL, &right, &result, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "queue is NULL");
    REFUSED(COUNT(x->pool, device.queue, NULL, &result, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "tensors is NULL");
    REFUSED(COUNT(x->pool, device.queue, &right, NULL, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "result is NULL");
    REFUSED(COUNT(x->pool, device.queue, &right, &result, 1, NULL), CLDEFORM_INVALID_ARGUMENT, "n_wait is 1");
    x->tensors.struct_size = 0;
    WRONG_COUNT(CLDEFORM_INVALID_ARGUMENT, "tensors.struct_size is 0");
    x->tensors.rois.buffer = NULL;
    WRONG_COUNT(CLDEFORM_INVALID_ARGUMENT, "tensors.rois.buffer is NULL");
    x->tensors.rois.offset = 1;
    WRONG_COUNT(CLDEFORM_BUFFER_TOO_SMALL, "tensors.rois needs");
    x->tensors.level.offset = 1;
    WRONG_COUNT(CLDEFORM_BUFFER_TOO_SMALL, "tensors.level needs");
    result.buffer = NULL;
    WRONG_COUNT(CLDEFORM_INVALID_ARGUMENT, "result.buffer is NULL");
    result.buffer = read_only;
    WRONG_COUNT(CLDEFORM_INVALID_ARGUMENT, "result.buffer is CL_MEM_READ_ONLY");
    result.offset = 4;
    WRONG_COUNT(CLDEFORM_BUFFER_TOO_SMALL, "result needs");
    result.offset = SIZE_MAX;
    WRONG_COUNT(CLDEFORM_BUFFER_TOO_SMALL, "result needs");
    result.batch_stride = 1;
    WRONG_COUNT(CLDEFORM_INVALID_ARGUMENT, "result.batch_stride is 1");
    result = (cldeform_tensor){x->tensors.rois.buffer, 0, 0};
    WRONG_COUNT(CLDEFORM_INVALID_ARGUMENT, "overlap");
    /* kernels write whole numbers, which the host reads as they are */
    device.context->facts.little_endian = !device.context->facts.little_endian;
    REFUSED(COUNT(x->pool, device.queue, &x->tensors, &result, 0, NULL), CLDEFORM_UNSUPPORTED, "-endian");
    device.context->facts.little_endian = !device.context->facts.little_endian;
    /* other tensors are not looked at */
    cldeform_roi_pool_tensors two = CLDEFORM_INIT(cldeform_roi_pool_tensors);
    two.rois = right.rois;
    assert_ok(cldeform_roi_pool_statistics(x->pool, device.queue, ROIS, &two, &result, 0, NULL, NULL));
    two.input[0].buffer = two.mask.buffer = two.output.buffer = x->result;
    assert_ok(cldeform_roi_pool_statistics(x->pool, device.queue, ROIS, &two, &result, 0, NULL, NULL));
    assert_cl(clFinish(device.queue));
    clReleaseMemObject(read_only);
}

static void numbers_of_rois(void **state)
{
    fixture *x = *state;
    const int64_t wrong[] = {-1, INT64_MIN, ROIS + 1, INT64_MAX};
    static const char *const texts[] = {"rois is -1; it must be 0 to", "rois is -9223372036854775808", "rois is 14",
                                        "rois is 9223372036854775807"};
    const cldeform_tensor level = {x->level, 0, 0}, result = {x->result, 0, 0};
    for (int i = 0; i < 4; i++) {
        REFUSED(
            cldeform_roi_pool_assign_levels(x->pool, device.queue, wrong[i], &x->tensors.rois, &level, 0, NULL, &done_),
            CLDEFORM_INVALID_ARGUMENT, texts[i]);
        REFUSED(cldeform_roi_pool_statistics(x->pool, device.queue, wrong[i], &x->tensors, &result, 0, NULL, &done_),
                CLDEFORM_INVALID_ARGUMENT, texts[i]);
    }
}

static void what_is_not_prepared(void **state)
{
    fixture *x = *state;
    const cldeform_tensor level = {x->level, 0, 0}, result = {x->result, 0, 0};
    cldeform_roi_pool_problem problem = test_roi_problem_of("3 levels", true, true, ROIS);
    cldeform_roi_pool *pool = NULL;
    assert_ok(cldeform_roi_pool_create(device.context, &problem, &pool)); /* forward */
    REFUSED(cldeform_roi_pool_assign_levels(pool, device.queue, ROIS, &x->tensors.rois, &level, 0, NULL, &done_),
            CLDEFORM_NOT_PREPARED, "0x400");
    REFUSED(cldeform_roi_pool_statistics(pool, device.queue, ROIS, &x->tensors, &result, 0, NULL, &done_),
            CLDEFORM_NOT_PREPARED, "0x400");
    cldeform_roi_pool_destroy(pool);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, create_fixture, destroy_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(levels), TEST(statistics), TEST(numbers_of_rois),
                                       TEST(what_is_not_prepared)};
    return cmocka_run_group_tests(tests, test_open_layer, test_close_device);
}
