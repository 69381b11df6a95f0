/* Every wrong argument of RoI pooling, forward and backward: its status, its text, nothing enqueued. */
#include "layer.h"
#include "roi_fixture.h"

#include <stdlib.h>
#include <string.h>

enum { ROIS = 13, IMAGES = 2 };

static cldeform_roi_pool_problem whole_problem(bool deformable, bool modulated)
{
    cldeform_roi_pool_problem problem = test_roi_problem_of("3 levels", deformable, modulated, ROIS);
    problem.passes = CLDEFORM_FORWARD | CLDEFORM_BACKWARD;
    return problem;
}

typedef struct fixture {
    test_roi_fixture f;
    size_t minimum[2]; /* workspace of each pass */
} fixture;

static int create_fixture(void **state)
{
    fixture *x = calloc(1, sizeof *x);
    const cldeform_roi_pool_problem problem = whole_problem(true, true);
    if (!x)
        return -1;
    *state = x;
    test_roi_fixture_create(&device, device.context, &problem, true, &x->f);
    assert_ok(cldeform_roi_pool_workspace_size(x->f.pool, CLDEFORM_FORWARD, &x->minimum[0], NULL));
    assert_ok(cldeform_roi_pool_workspace_size(x->f.pool, x->f.host.sizes.gradients, &x->minimum[1], NULL));
    return 0;
}

static int destroy_fixture(void **state)
{
    fixture *x = *state;
    test_roi_fixture_destroy(&x->f);
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
#define FORWARD(x, queue, workspace, n_wait, wait)                                                                     \
    cldeform_roi_pool_forward((x)->f.pool, queue, ROIS, &(x)->f.tensors, workspace, n_wait, wait, &done_)
#define BACKWARD(x, queue, workspace, n_wait, wait)                                                                    \
    cldeform_roi_pool_backward((x)->f.pool, queue, ROIS, &(x)->f.tensors, &(x)->f.gradients, workspace, n_wait, wait,  \
                               &done_)
#define EITHER(x, pass, queue, workspace, n_wait, wait)                                                                \
    ((pass) == TEST_ROI_FORWARD ? FORWARD(x, queue, workspace, n_wait, wait)                                           \
                                : BACKWARD(x, queue, workspace, n_wait, wait))
#define WRONG(x, pass, status, text) REFUSED(EITHER(x, pass, device.queue, NULL, 0, NULL), status, text)

static const test_roi_pass passes[] = {TEST_ROI_FORWARD, TEST_ROI_BACKWARD};
enum { PASSES = 2 };

static cldeform_tensor *slot(fixture *x, int i)
{
    return test_roi_slot(&x->f.tensors, &x->f.gradients, i);
}

/* Whether the pass takes tensor i of the fixture's problem. */
static bool is_of(const fixture *x, int i, test_roi_pass pass)
{
    if (!x->f.host.tensor[i].present)
        return false;
    return pass == TEST_ROI_FORWARD ? i <= TEST_ROI_OUTPUT : i != TEST_ROI_OUTPUT;
}

static bool is_written(int i)
{
    return i == TEST_ROI_OUTPUT || test_roi_bit(i) != 0;
}

static void names_it(const char *name)
{
    if (!strstr(cldeform_last_error(), name))
        fail_msg("the text must name %s: %s", name, cldeform_last_error());
}

static void the_fixture_itself_runs(void **state)
{
    fixture *x = *state;
    for (int p = 0; p < PASSES; p++) {
        cl_event done = NULL;
        layer->reset();
        assert_ok(test_roi_fixture_call(&x->f, passes[p], device.queue, ROIS, 0, NULL, &done));
        assert_true(layer->enqueues() > 0);
        assert_cl(clWaitForEvents(1, &done));
        assert_cl(clReleaseEvent(done));
        test_roi_fixture_expect(&x->f, passes[p], device.queue, 1);
    }
}

/* ---- everything but tensors ---------------------------------------------------------------------------- */

static void null_arguments(void **state)
{
    fixture *x = *state;
    test_roi_fixture *f = &x->f;
    cldeform_roi_pool *pool = f->pool;
    const cldeform_roi_pool_problem problem = whole_problem(false, false);
    int32_t answer = 0;
    REFUSED(cldeform_roi_pool_forward(NULL, device.queue, ROIS, &f->tensors, NULL, 0, NULL, &done_),
            CLDEFORM_INVALID_ARGUMENT, "pool is NULL");
    REFUSED(cldeform_roi_pool_backward(NULL, device.queue, ROIS, &f->tensors, &f->gradients, NULL, 0, NULL, &done_),
            CLDEFORM_INVALID_ARGUMENT, "pool is NULL");
    for (int p = 0; p < PASSES; p++)
        REFUSED(EITHER(x, passes[p], NULL, NULL, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "queue is NULL");
    REFUSED(cldeform_roi_pool_forward(pool, device.queue, ROIS, NULL, NULL, 0, NULL, &done_), CLDEFORM_INVALID_ARGUMENT,
            "tensors is NULL");
    REFUSED(cldeform_roi_pool_backward(pool, device.queue, ROIS, NULL, &f->gradients, NULL, 0, NULL, &done_),
            CLDEFORM_INVALID_ARGUMENT, "tensors is NULL");
    REFUSED(cldeform_roi_pool_backward(pool, device.queue, ROIS, &f->tensors, NULL, NULL, 0, NULL, &done_),
            CLDEFORM_INVALID_ARGUMENT, "gradients is NULL");
    assert_status(cldeform_roi_pool_create(NULL, &problem, &pool), CLDEFORM_INVALID_ARGUMENT, "context is NULL");
    assert_null(pool);
    assert_status(cldeform_roi_pool_create(device.context, NULL, &pool), CLDEFORM_INVALID_ARGUMENT, "problem is NULL");
    assert_status(cldeform_roi_pool_create(device.context, &problem, NULL), CLDEFORM_INVALID_ARGUMENT, "out is NULL");
    assert_status(cldeform_roi_pool_warm_up(NULL, device.queue), CLDEFORM_INVALID_ARGUMENT, "pool is NULL");
    assert_status(cldeform_roi_pool_warm_up(f->pool, NULL), CLDEFORM_INVALID_ARGUMENT, "queue is NULL");
    assert_status(cldeform_roi_pool_workspace_size(NULL, CLDEFORM_FORWARD, NULL, NULL), CLDEFORM_INVALID_ARGUMENT,
                  "pool is NULL");
    assert_status(cldeform_roi_pool_is_deterministic(NULL, CLDEFORM_FORWARD, &answer), CLDEFORM_INVALID_ARGUMENT,
                  "pool is NULL");
    assert_status(cldeform_roi_pool_is_deterministic(f->pool, CLDEFORM_FORWARD, NULL), CLDEFORM_INVALID_ARGUMENT,
                  "deterministic is NULL");
    assert_status(cldeform_roi_pool_describe(NULL, NULL, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "pool is NULL");
    assert_status(cldeform_roi_pool_describe(f->pool, NULL, 5, NULL), CLDEFORM_INVALID_ARGUMENT, "text is NULL");
    cldeform_roi_pool_destroy(NULL);
}

static void structs(void **state)
{
    fixture *x = *state;
    x->f.gradients.struct_size = 0;
    WRONG(x, TEST_ROI_BACKWARD, CLDEFORM_INVALID_ARGUMENT, "gradients.struct_size is 0");
    x->f.gradients.struct_size = sizeof x->f.gradients;
    x->f.tensors.struct_size = 3;
    for (int p = 0; p < PASSES; p++)
        WRONG(x, passes[p], CLDEFORM_INVALID_ARGUMENT, "tensors.struct_size is 3");
}

static void wait_lists(void **state)
{
    fixture *x = *state;
    const cl_event none = NULL;
    for (int p = 0; p < PASSES; p++) {
        REFUSED(EITHER(x, passes[p], device.queue, NULL, 1, NULL), CLDEFORM_INVALID_ARGUMENT,
                "n_wait is 1 and wait is NULL");
        REFUSED(EITHER(x, passes[p], device.queue, NULL, 0, &none), CLDEFORM_INVALID_ARGUMENT,
                "n_wait is 0 and wait is not NULL");
        REFUSED(EITHER(x, passes[p], device.queue, NULL, 1, &none), CLDEFORM_INVALID_ARGUMENT, "wait[0] is NULL");
    }
}

static void numbers_of_rois(void **state)
{
    fixture *x = *state;
    const int64_t wrong[] = {-1, INT64_MIN, ROIS + 1, INT64_MAX};
    static const char *const texts[] = {"rois is -1; it must be 0 to", "rois is -9223372036854775808", "rois is 14",
                                        "rois is 9223372036854775807"};
    for (int i = 0; i < 4; i++) {
        for (int p = 0; p < PASSES; p++) {
            cl_event done = NULL;
            layer->reset();
            assert_status(test_roi_fixture_call(&x->f, passes[p], device.queue, wrong[i], 0, NULL, &done),
                          CLDEFORM_INVALID_ARGUMENT, texts[i]);
            assert_int_equal(layer->enqueues(), 0);
            names_it("13");
        }
    }
}

static void what_is_not_prepared(void **state)
{
    fixture *x = *state;
    cldeform_roi_pool *whole = x->f.pool;
    cldeform_roi_pool_problem problem = whole_problem(true, true);
    const cldeform_passes bits[] = {CLDEFORM_GRAD_INPUT, CLDEFORM_GRAD_OFFSET, CLDEFORM_GRAD_MASK};
    static const char *const names[] = {"grad_input", "grad_offset", "grad_mask"};
    for (int i = 0; i < 3; i++) {
        problem.passes = CLDEFORM_BACKWARD & ~bits[i];
        assert_ok(cldeform_roi_pool_create(device.context, &problem, &x->f.pool));
        WRONG(x, TEST_ROI_FORWARD, CLDEFORM_NOT_PREPARED, "problem.passes");
        WRONG(x, TEST_ROI_BACKWARD, CLDEFORM_NOT_PREPARED, names[i]);
        REFUSED((done_ = NULL, cldeform_roi_pool_workspace_size(x->f.pool, bits[i], NULL, NULL)), CLDEFORM_NOT_PREPARED,
                "0x");
        cldeform_roi_pool_destroy(x->f.pool);
    }
    problem.passes = CLDEFORM_FORWARD;
    assert_ok(cldeform_roi_pool_create(device.context, &problem, &x->f.pool));
    WRONG(x, TEST_ROI_BACKWARD, CLDEFORM_NOT_PREPARED, "problem.passes");
    cldeform_roi_pool_destroy(x->f.pool);
    x->f.pool = whole;
}

static void workspaces(void **state)
{
    fixture *x = *state;
    for (int p = 0; p < PASSES; p++) {
        cldeform_workspace w = {NULL, 0, 0};
        REFUSED(EITHER(x, passes[p], device.queue, &w, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "workspace.buffer is NULL");
        w.buffer = x->f.workspace.buffer;
        if (x->minimum[p] > 1) {
            w.size = x->minimum[p] - 1;
            REFUSED(EITHER(x, passes[p], device.queue, &w, 0, NULL), CLDEFORM_BUFFER_TOO_SMALL, "the minimum is");
        }
        w.size = 0;
        w.offset = 255;
        REFUSED(EITHER(x, passes[p], device.queue, &w, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "workspace.offset is 255");
        /* over what is written, and over what is read */
        cl_mem both = test_buffer_create(x->minimum[p] + (1 << 20), NULL);
        w = (cldeform_workspace){both, 0, 0};
        for (int i = 0; i < TEST_ROI_TENSORS; i++) {
            if (!is_of(x, i, passes[p]))
                continue;
            slot(x, i)->buffer = both;
            REFUSED(EITHER(x, passes[p], device.queue, &w, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "overlap");
            names_it("workspace");
            names_it(test_roi_names[i]);
            slot(x, i)->buffer = x->f.buffers[i];
        }
        clReleaseMemObject(both);
    }
    assert_true(x->minimum[1] > 1);
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

static void missing_tensors(void **state)
{
    fixture *x = *state;
    for (int p = 0; p < PASSES; p++) {
        for (int i = 0; i < TEST_ROI_TENSORS; i++) {
            const bool optional = i == TEST_ROI_LEVEL || i == TEST_ROI_GRAD_OFFSET || i == TEST_ROI_GRAD_MASK;
            if (!is_of(x, i, passes[p]) || optional)
                continue;
            slot(x, i)->buffer = NULL;
            WRONG(x, passes[p], CLDEFORM_INVALID_ARGUMENT, test_roi_names[i]);
            names_it("NULL");
            slot(x, i)->buffer = x->f.buffers[i];
        }
    }
    /* the gradient of the input alone needs no input */
    x->f.gradients.grad_offset.buffer = x->f.gradients.grad_mask.buffer = NULL;
    for (int l = 0; l < 3; l++)
        x->f.tensors.input[l].buffer = NULL;
    assert_ok(test_roi_fixture_call(&x->f, TEST_ROI_BACKWARD, device.queue, ROIS, 0, NULL, NULL));
    test_roi_fixture_expect(&x->f, TEST_ROI_BACKWARD, device.queue, 1);
    for (int l = 0; l < 3; l++) /* but that of all levels or none */
        x->f.gradients.grad_input[l].buffer = NULL;
    WRONG(x, TEST_ROI_BACKWARD, CLDEFORM_INVALID_ARGUMENT, "no gradient is asked for");
    x->f.gradients.grad_input[2].buffer = x->f.buffers[TEST_ROI_GRAD_INPUT + 2];
    WRONG(x, TEST_ROI_BACKWARD, CLDEFORM_INVALID_ARGUMENT, "gradients.grad_input[0]");
}

/* Each that the problem lacks is an error, not ignored. */
static void superfluous_tensors(void **state)
{
    fixture *x = *state;
    cldeform_roi_pool *whole = x->f.pool;
    cl_mem any = x->f.buffers[TEST_ROI_MASK];
    for (int p = 0; p < PASSES; p++) {
        x->f.tensors.input[3].buffer = any;
        WRONG(x, passes[p], CLDEFORM_INVALID_ARGUMENT, "tensors.input[3].buffer is not NULL");
        x->f.tensors.input[3].buffer = NULL;
        x->f.tensors.argmax.buffer = any;
        WRONG(x, passes[p], CLDEFORM_INVALID_ARGUMENT, "tensors.argmax.buffer is not NULL");
        names_it("CLDEFORM_ROI_MAX");
        x->f.tensors.argmax.buffer = NULL;
    }
    x->f.gradients.grad_input[7].buffer = any;
    WRONG(x, TEST_ROI_BACKWARD, CLDEFORM_INVALID_ARGUMENT, "gradients.grad_input[7].buffer is not NULL");
    x->f.gradients.grad_input[7].buffer = NULL;

    cldeform_roi_pool_problem problem = whole_problem(true, false);
    assert_ok(cldeform_roi_pool_create(device.context, &problem, &x->f.pool));
    WRONG(x, TEST_ROI_FORWARD, CLDEFORM_INVALID_ARGUMENT, "tensors.mask.buffer is not NULL");
    WRONG(x, TEST_ROI_BACKWARD, CLDEFORM_INVALID_ARGUMENT, "gradients.grad_mask");
    names_it("modulated");
    x->f.gradients.grad_mask.buffer = NULL;
    WRONG(x, TEST_ROI_BACKWARD, CLDEFORM_INVALID_ARGUMENT, "tensors.mask.buffer is not NULL");
    x->f.tensors.mask.buffer = NULL;
    x->f.gradients.accumulate = CLDEFORM_GRAD_MASK;
    WRONG(x, TEST_ROI_BACKWARD, CLDEFORM_INVALID_ARGUMENT, "accumulate");
    x->f.gradients.accumulate = 0;
    cldeform_roi_pool_destroy(x->f.pool);

    problem = whole_problem(false, true);
    assert_ok(cldeform_roi_pool_create(device.context, &problem, &x->f.pool));
    x->f.tensors.mask.buffer = any;
    WRONG(x, TEST_ROI_FORWARD, CLDEFORM_INVALID_ARGUMENT, "tensors.offset.buffer is not NULL");
    WRONG(x, TEST_ROI_BACKWARD, CLDEFORM_INVALID_ARGUMENT, "gradients.grad_offset");
    names_it("deformable");
    x->f.gradients.grad_offset.buffer = NULL;
    WRONG(x, TEST_ROI_BACKWARD, CLDEFORM_INVALID_ARGUMENT, "tensors.offset.buffer is not NULL");
    cldeform_roi_pool_destroy(x->f.pool);
    x->f.pool = whole;
}

/* ROI_MAX: backward reads the argmax that forward may leave away. */
static void argmax(void **state)
{
    (void)state;
    cldeform_roi_pool_problem problem = test_roi_problem_of("max 3x5", false, false, ROIS);
    fixture x = {.minimum = {0}};
    problem.passes = CLDEFORM_FORWARD | CLDEFORM_BACKWARD;
    test_roi_fixture_create(&device, device.context, &problem, false, &x.f);
    x.f.tensors.argmax.buffer = NULL;
    assert_ok(test_roi_fixture_call(&x.f, TEST_ROI_FORWARD, device.queue, ROIS, 0, NULL, NULL));
    test_roi_fixture_expect(&x.f, TEST_ROI_FORWARD, device.queue, 1);
    WRONG(&x, TEST_ROI_BACKWARD, CLDEFORM_INVALID_ARGUMENT, "tensors.argmax.buffer is NULL");
    const size_t bytes = x.f.host.tensor[TEST_ROI_ARGMAX].shape.bytes;
    cl_mem small = test_buffer_create(bytes - 1, NULL);
    x.f.tensors.argmax.buffer = small;
    for (int p = 0; p < PASSES; p++)
        WRONG(&x, passes[p], CLDEFORM_BUFFER_TOO_SMALL, "tensors.argmax");
    /* forward writes it: nothing may be there */
    x.f.tensors.argmax.buffer = x.f.buffers[TEST_ROI_OUTPUT];
    WRONG(&x, TEST_ROI_FORWARD, CLDEFORM_INVALID_ARGUMENT, "overlap");
    names_it("tensors.argmax");
    clReleaseMemObject(small);
    test_roi_fixture_destroy(&x.f);
}

/* A tensor in the slot, spoilt in every way. */
static void spoil(fixture *x, int i, test_roi_pass pass)
{
    cldeform_tensor *at = slot(x, i);
    const cldeform_tensor right = *at;
    const char *name = test_roi_names[i];
    const bool written = is_written(i), of_images = i < TEST_ROI_ROIS || test_roi_bit(i) == CLDEFORM_GRAD_INPUT;
    const size_t bytes = x->f.host.tensor[i].shape.bytes, dense = bytes / 4 / (of_images ? IMAGES : ROIS);
    cl_int error = CL_SUCCESS;
    cl_mem small = test_buffer_create(bytes - 1, NULL);
    cl_mem wrong = clCreateBuffer(device.cl, written ? CL_MEM_READ_ONLY : CL_MEM_WRITE_ONLY, bytes, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    at->buffer = small;
    WRONG(x, pass, CLDEFORM_BUFFER_TOO_SMALL, name);
    at->buffer = wrong;
    WRONG(x, pass, CLDEFORM_INVALID_ARGUMENT, written ? "CL_MEM_READ_ONLY" : "CL_MEM_WRITE_ONLY");
    names_it(name);
    const size_t offsets[] = {1, SIZE_MAX, SIZE_MAX / 4 + 1}; /* the last, times four bytes, is 0 */
    for (int k = 0; k < 3; k++) {
        *at = right;
        at->offset = offsets[k];
        WRONG(x, pass, CLDEFORM_BUFFER_TOO_SMALL, name);
    }
    *at = right;
    if (dense > 1) {
        at->batch_stride = dense - 1;
        WRONG(x, pass, CLDEFORM_INVALID_ARGUMENT, "batch_stride");
        names_it(name);
    }
    at->batch_stride = dense + 1;
    WRONG(x, pass, CLDEFORM_BUFFER_TOO_SMALL, name);
    at->batch_stride = SIZE_MAX;
    WRONG(x, pass, CLDEFORM_BUFFER_TOO_SMALL, name);
    *at = right;
    clReleaseMemObject(small);
    clReleaseMemObject(wrong);
}

static void wrong_tensors(void **state)
{
    fixture *x = *state;
    for (int p = 0; p < PASSES; p++)
        for (int i = 0; i < TEST_ROI_TENSORS; i++)
            if (is_of(x, i, passes[p]))
                spoil(x, i, passes[p]);
}

/* Of fewer RoIs than there may be, tensors need hold no more. */
static void as_many_as_there_are(void **state)
{
    fixture *x = *state;
    cl_mem few[TEST_ROI_TENSORS] = {NULL};
    for (int i = TEST_ROI_ROIS; i < TEST_ROI_TENSORS; i++) {
        if (!x->f.host.tensor[i].present || test_roi_bit(i) == CLDEFORM_GRAD_INPUT)
            continue;
        few[i] = test_buffer_create(x->f.host.tensor[i].shape.bytes / ROIS * 5, NULL);
        slot(x, i)->buffer = few[i];
    }
    for (int p = 0; p < PASSES; p++) {
        assert_ok(test_roi_fixture_call(&x->f, passes[p], device.queue, 5, 0, NULL, NULL));
        assert_cl(clFinish(device.queue));
        assert_status(test_roi_fixture_call(&x->f, passes[p], device.queue, 6, 0, NULL, NULL),
                      CLDEFORM_BUFFER_TOO_SMALL, "tensors.rois");
    }
    for (int i = 0; i < TEST_ROI_TENSORS; i++)
        if (few[i])
            assert_cl(clReleaseMemObject(few[i]));
}

static void accumulate_bits(void **state)
{
    fixture *x = *state;
    const cldeform_passes bits[] = {CLDEFORM_GRAD_INPUT, CLDEFORM_GRAD_OFFSET, CLDEFORM_GRAD_MASK};
    const cldeform_passes others[] = {CLDEFORM_FORWARD, CLDEFORM_GRAD_WEIGHT, CLDEFORM_STATISTICS,
                                      (cldeform_passes)1 << 63};
    for (int b = 0; b < 3; b++) {
        for (int i = 0; i < TEST_ROI_TENSORS; i++)
            if (test_roi_bit(i) == bits[b])
                slot(x, i)->buffer = NULL;
        x->f.gradients.accumulate = bits[b];
        WRONG(x, TEST_ROI_BACKWARD, CLDEFORM_INVALID_ARGUMENT, "gradients.accumulate is");
        for (int i = 0; i < TEST_ROI_TENSORS; i++)
            if (test_roi_bit(i) == bits[b])
                slot(x, i)->buffer = x->f.buffers[i];
    }
    for (int i = 0; i < 4; i++) {
        x->f.gradients.accumulate = others[i];
        WRONG(x, TEST_ROI_BACKWARD, CLDEFORM_INVALID_ARGUMENT, "accumulate");
    }
    /* what is added to must be readable */
    for (int i = TEST_ROI_GRAD_INPUT; i < TEST_ROI_TENSORS; i++) {
        cl_int error = CL_SUCCESS;
        if (!x->f.host.tensor[i].present)
            continue;
        cl_mem write_only = clCreateBuffer(device.cl, CL_MEM_WRITE_ONLY, x->f.host.tensor[i].shape.bytes, NULL, &error);
        assert_int_equal(error, CL_SUCCESS);
        slot(x, i)->buffer = write_only;
        x->f.gradients.accumulate = test_roi_bit(i);
        WRONG(x, TEST_ROI_BACKWARD, CLDEFORM_INVALID_ARGUMENT, "CL_MEM_WRITE_ONLY");
        names_it(test_roi_names[i]);
        slot(x, i)->buffer = x->f.buffers[i];
        clReleaseMemObject(write_only);
    }
}

static void other_contexts(void **state)
{
    fixture *x = *state;
    cl_int error = CL_SUCCESS;
    test_device other = device;
    other.cl = clCreateContext(NULL, 1, &device.id, NULL, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    cl_mem foreign = clCreateBuffer(other.cl, CL_MEM_READ_WRITE, 1 << 20, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    cl_command_queue queue = test_queue_create(&other, 0);
    cl_event event = clCreateUserEvent(other.cl, &error);
    const cldeform_workspace workspace = {foreign, 0, 0};
    for (int p = 0; p < PASSES; p++) {
        for (int i = 0; i < TEST_ROI_TENSORS; i++) {
            if (!is_of(x, i, passes[p]))
                continue;
            slot(x, i)->buffer = foreign;
            WRONG(x, passes[p], CLDEFORM_INVALID_ARGUMENT, "another cl_context");
            names_it(test_roi_names[i]);
            slot(x, i)->buffer = x->f.buffers[i];
        }
        REFUSED(EITHER(x, passes[p], queue, NULL, 0, NULL), CLDEFORM_INVALID_ARGUMENT,
                "queue belongs to another cl_context");
        REFUSED(EITHER(x, passes[p], device.queue, NULL, 1, &event), CLDEFORM_INVALID_ARGUMENT,
                "wait[0] belongs to another cl_context");
        REFUSED(EITHER(x, passes[p], device.queue, &workspace, 0, NULL), CLDEFORM_INVALID_ARGUMENT,
                "workspace.buffer belongs to another");
    }
    clSetUserEventStatus(event, CL_COMPLETE);
    clReleaseEvent(event);
    clReleaseCommandQueue(queue);
    clReleaseMemObject(foreign);
    clReleaseContext(other.cl);
}

/* What is written shares no byte with anything else of the call; side by side in one buffer they are fine. */
static void overlaps(void **state)
{
    fixture *x = *state;
    cl_mem both = test_buffer_create(1 << 20, NULL);
    for (int p = 0; p < PASSES; p++) {
        for (int i = 0; i < TEST_ROI_TENSORS; i++) {
            if (!is_of(x, i, passes[p]) || !is_written(i))
                continue;
            const size_t elements = (size_t)x->f.host.tensor[i].shape.elements;
            *slot(x, i) = (cldeform_tensor){both, 0, 0};
            for (int t = 0; t < TEST_ROI_TENSORS; t++) { /* shares its last element */
                if (t == i || !is_of(x, t, passes[p]))
                    continue;
                *slot(x, t) = (cldeform_tensor){both, elements - 1, 0};
                WRONG(x, passes[p], CLDEFORM_INVALID_ARGUMENT, "overlap");
                names_it(test_roi_names[i]);
                names_it(test_roi_names[t]);
                slot(x, t)->offset++;
                cl_event done = NULL;
                assert_ok(test_roi_fixture_call(&x->f, passes[p], device.queue, ROIS, 0, NULL, &done));
                assert_cl(clWaitForEvents(1, &done));
                assert_cl(clReleaseEvent(done));
                *slot(x, t) = (cldeform_tensor){x->f.buffers[t], 0, 0};
            }
            *slot(x, i) = (cldeform_tensor){x->f.buffers[i], 0, 0};
        }
    }
    clReleaseMemObject(both);
}

/* backward does not look at the output. */
static void what_is_not_looked_at(void **state)
{
    fixture *x = *state;
    x->f.tensors.output = (cldeform_tensor){x->f.buffers[TEST_ROI_GRAD_INPUT], 12345, 7};
    assert_ok(test_roi_fixture_call(&x->f, TEST_ROI_BACKWARD, device.queue, ROIS, 0, NULL, NULL));
    test_roi_fixture_expect(&x->f, TEST_ROI_BACKWARD, device.queue, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, create_fixture, destroy_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_fixture_itself_runs),
        TEST(null_arguments),
        TEST(structs),
        TEST(wait_lists),
        TEST(numbers_of_rois),
        TEST(what_is_not_prepared),
        TEST(workspaces),
        TEST(missing_tensors),
        TEST(superfluous_tensors),
        TEST(argmax),
        TEST(wrong_tensors),
        TEST(as_many_as_there_are),
        TEST(accumulate_bits),
        TEST(other_contexts),
        TEST(overlaps),
        TEST(what_is_not_looked_at),
    };
    return cmocka_run_group_tests(tests, test_open_layer, test_close_device);
}
