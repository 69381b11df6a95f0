/* Every wrong argument of backward and of the parts: its status, its text, nothing enqueued, outputs untouched. */
#include "algorithms.h"
#include "backward_fixture.h"
#include "layer.h"

#include <stdlib.h>
#include <string.h>

typedef struct fixture {
    test_backward_fixture f;
    cl_mem columns; /* of all images, densely */
    size_t columns_bytes, minimum;
} fixture;

static cl_mem create_buffer(cl_context cl, cl_mem_flags flags, size_t bytes)
{
    cl_int error = CL_SUCCESS;
    cl_mem buffer = clCreateBuffer(cl, flags, bytes, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    return buffer;
}

static cldeform_conv2d_problem whole_problem(cldeform_conv2d_kind kind)
{
    cldeform_conv2d_problem problem = test_small_problem(kind);
    problem.passes = CLDEFORM_BACKWARD | CLDEFORM_IM2COL | CLDEFORM_COL2IM | CLDEFORM_COL2OFFSET;
    return problem;
}

static int create_fixture(void **state)
{
    fixture *x = calloc(1, sizeof *x);
    const cldeform_conv2d_problem problem = whole_problem(CLDEFORM_CONV2D_MODULATED);
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    if (!x)
        return -1;
    *state = x;
    test_backward_fixture_create(&device, device.context, &problem, &x->f);
    assert_ok(cldeform_conv2d_shape(&problem, CLDEFORM_COLUMNS, &shape));
    x->columns_bytes = 3 * shape.bytes;
    x->columns = create_buffer(device.cl, CL_MEM_READ_WRITE, x->columns_bytes);
    assert_ok(cldeform_conv2d_workspace_size(x->f.conv, CLDEFORM_BACKWARD, &x->minimum, NULL));
    return 0;
}

static int destroy_fixture(void **state)
{
    fixture *x = *state;
    clReleaseMemObject(x->columns);
    test_backward_fixture_destroy(&x->f);
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

#define BACKWARD(x, queue, workspace, n_wait, wait)                                                                    \
    cldeform_conv2d_backward((x)->f.conv, queue, &(x)->f.tensors, &(x)->f.gradients, workspace, n_wait, wait, &done_)
#define WRONG(x, status, text) REFUSED(BACKWARD(x, device.queue, NULL, 0, NULL), status, text)

static void the_fixture_itself_runs(void **state)
{
    fixture *x = *state;
    layer->reset();
    assert_ok(cldeform_conv2d_backward(x->f.conv, device.queue, &x->f.tensors, &x->f.gradients, &x->f.workspace, 0,
                                       NULL, NULL));
    assert_true(layer->enqueues() > 0);
    test_backward_fixture_expect(&x->f, device.queue, 1);
}

/* gradients.NAME */
static const char *full_name(int i)
{
    static char text[60];
    strcpy(text, "gradients.");
    strcat(text, test_gradient_names[i]);
    return text;
}

static const char *const input_names[TEST_TENSORS] = {"tensors.input",  "tensors.offset", "tensors.mask",
                                                      "tensors.weight", "tensors.bias",   "gradients.grad_output"};

static cldeform_tensor *input_slot(fixture *x, int i)
{
    cldeform_tensor *const slots[TEST_TENSORS] = {&x->f.tensors.input, &x->f.tensors.offset,
                                                  &x->f.tensors.mask,  &x->f.tensors.weight,
                                                  &x->f.tensors.bias,  &x->f.gradients.grad_output};
    return slots[i];
}

static cldeform_tensor *result_slot(fixture *x, int i)
{
    return test_gradient_slot(&x->f.gradients, i);
}

static void ask_for(fixture *x, cldeform_passes gradients)
{
    for (int i = 0; i < TEST_GRADIENTS; i++)
        result_slot(x, i)->buffer = gradients & test_gradient_bit(i) ? x->f.results[i] : NULL;
}

static void null_arguments(void **state)
{
    fixture *x = *state;
    test_backward_fixture *f = &x->f;
    REFUSED(cldeform_conv2d_backward(NULL, device.queue, &f->tensors, &f->gradients, NULL, 0, NULL, &done_),
            CLDEFORM_INVALID_ARGUMENT, "conv is NULL");
    REFUSED(BACKWARD(x, NULL, NULL, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "queue is NULL");
    REFUSED(cldeform_conv2d_backward(f->conv, device.queue, NULL, &f->gradients, NULL, 0, NULL, &done_),
            CLDEFORM_INVALID_ARGUMENT, "tensors is NULL");
    REFUSED(cldeform_conv2d_backward(f->conv, device.queue, &f->tensors, NULL, NULL, 0, NULL, &done_),
            CLDEFORM_INVALID_ARGUMENT, "gradients is NULL");
    f->gradients.struct_size = 0;
    WRONG(x, CLDEFORM_INVALID_ARGUMENT, "gradients.struct_size is 0");
    f->gradients.struct_size = sizeof f->gradients;
    f->tensors.struct_size = 3;
    WRONG(x, CLDEFORM_INVALID_ARGUMENT, "tensors.struct_size is 3");
}

static void wait_lists(void **state)
{
    fixture *x = *state;
    const cl_event none = NULL;
    REFUSED(BACKWARD(x, device.queue, NULL, 1, NULL), CLDEFORM_INVALID_ARGUMENT, "n_wait is 1 and wait is NULL");
    REFUSED(BACKWARD(x, device.queue, NULL, 0, &none), CLDEFORM_INVALID_ARGUMENT, "n_wait is 0 and wait is not NULL");
    REFUSED(BACKWARD(x, device.queue, NULL, 1, &none), CLDEFORM_INVALID_ARGUMENT, "wait[0] is NULL");
}

/* ---- which gradients ----------------------------------------------------------------------------------- */

static void nothing_asked_for(void **state)
{
    fixture *x = *state;
    ask_for(x, 0);
    WRONG(x, CLDEFORM_INVALID_ARGUMENT, "no gradient is asked for");
}

static void gradients_that_are_not_prepared(void **state)
{
    fixture *x = *state;
    cldeform_conv2d *whole = x->f.conv;
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        cldeform_conv2d_problem problem = whole_problem(CLDEFORM_CONV2D_MODULATED);
        problem.passes = CLDEFORM_FORWARD | (CLDEFORM_BACKWARD & ~test_gradient_bit(i));
        assert_ok(cldeform_conv2d_create(device.context, &problem, &x->f.conv));
        WRONG(x, CLDEFORM_NOT_PREPARED, "problem.passes");
        REFUSED((done_ = NULL, cldeform_conv2d_workspace_size(x->f.conv, CLDEFORM_BACKWARD, NULL, NULL)),
                CLDEFORM_NOT_PREPARED, "0x");
        cldeform_conv2d_destroy(x->f.conv);
    }
    cldeform_conv2d_problem problem = whole_problem(CLDEFORM_CONV2D_MODULATED);
    problem.passes = CLDEFORM_FORWARD;
    assert_ok(cldeform_conv2d_create(device.context, &problem, &x->f.conv));
    WRONG(x, CLDEFORM_NOT_PREPARED, "problem.passes");
    cldeform_conv2d_destroy(x->f.conv);
    x->f.conv = whole;
}

static void gradients_that_the_kind_lacks(void **state)
{
    fixture *x = *state;
    cldeform_conv2d *whole = x->f.conv;
    cldeform_conv2d_problem problem = whole_problem(CLDEFORM_CONV2D_DEFORMABLE);
    assert_ok(cldeform_conv2d_create(device.context, &problem, &x->f.conv));
    x->f.tensors.mask.buffer = NULL;
    WRONG(x, CLDEFORM_INVALID_ARGUMENT, "gradients.grad_mask");
    assert_non_null(strstr(cldeform_last_error(), "CLDEFORM_CONV2D_MODULATED"));
    x->f.tensors.mask.buffer = x->f.inputs[CLDEFORM_MASK];
    ask_for(x, CLDEFORM_GRAD_WEIGHT);
    WRONG(x, CLDEFORM_INVALID_ARGUMENT, "tensors.mask.buffer is not NULL");
    x->f.gradients.accumulate = CLDEFORM_GRAD_MASK;
    x->f.tensors.mask.buffer = NULL;
    WRONG(x, CLDEFORM_INVALID_ARGUMENT, "accumulate");
    x->f.gradients.accumulate = 0;
    cldeform_conv2d_destroy(x->f.conv);

    problem = whole_problem(CLDEFORM_CONV2D_PLAIN);
    problem.passes &= ~CLDEFORM_COL2OFFSET;
    assert_ok(cldeform_conv2d_create(device.context, &problem, &x->f.conv));
    x->f.tensors.offset.buffer = NULL;
    ask_for(x, CLDEFORM_GRAD_WEIGHT | CLDEFORM_GRAD_OFFSET);
    WRONG(x, CLDEFORM_INVALID_ARGUMENT, "gradients.grad_offset");
    assert_non_null(strstr(cldeform_last_error(), "CLDEFORM_CONV2D_PLAIN"));
    cldeform_conv2d_destroy(x->f.conv);
    x->f.conv = whole;
}

static void accumulate_bits(void **state)
{
    fixture *x = *state;
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        ask_for(x, CLDEFORM_BACKWARD & ~test_gradient_bit(i));
        x->f.gradients.accumulate = test_gradient_bit(i);
        WRONG(x, CLDEFORM_INVALID_ARGUMENT, "gradients.accumulate is");
    }
    ask_for(x, CLDEFORM_BACKWARD);
    const cldeform_passes others[] = {CLDEFORM_FORWARD, CLDEFORM_COL2IM, (cldeform_passes)1 << 63};
    for (int i = 0; i < 3; i++) {
        x->f.gradients.accumulate = others[i];
        WRONG(x, CLDEFORM_INVALID_ARGUMENT, "accumulate");
    }
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

static void missing_tensors(void **state)
{
    fixture *x = *state;
    x->f.gradients.grad_output.buffer = NULL;
    WRONG(x, CLDEFORM_INVALID_ARGUMENT, "gradients.grad_output");
    x->f.gradients.grad_output.buffer = x->f.inputs[CLDEFORM_OUTPUT];
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        const unsigned needed = test_backward_need(&x->f.host, test_gradient_bit(i));
        ask_for(x, test_gradient_bit(i));
        for (int t = CLDEFORM_INPUT; t <= CLDEFORM_WEIGHT; t++)
            input_slot(x, t)->buffer = needed & 1u << t ? x->f.inputs[t] : NULL;
        /* with what it needs it runs, without one of them it does not */
        assert_ok(
            cldeform_conv2d_backward(x->f.conv, device.queue, &x->f.tensors, &x->f.gradients, NULL, 0, NULL, NULL));
        test_backward_fixture_expect(&x->f, device.queue, 1);
        for (int t = CLDEFORM_INPUT; t <= CLDEFORM_WEIGHT; t++) {
            if (!(needed & 1u << t))
                continue;
            input_slot(x, t)->buffer = NULL;
            WRONG(x, CLDEFORM_INVALID_ARGUMENT, input_names[t]);
            assert_non_null(strstr(cldeform_last_error(), "NULL"));
            input_slot(x, t)->buffer = x->f.inputs[t];
        }
    }
}

static void packed_weights(void **state)
{
    fixture *x = *state;
    x->f.tensors.packed_weight.buffer = x->f.inputs[CLDEFORM_WEIGHT];
    WRONG(x, CLDEFORM_INVALID_ARGUMENT, "tensors.packed_weight");
    x->f.tensors.weight.buffer = NULL;
    WRONG(x, CLDEFORM_INVALID_ARGUMENT, "weight");
    ask_for(x, CLDEFORM_GRAD_BIAS);
    WRONG(x, CLDEFORM_INVALID_ARGUMENT, "tensors.packed_weight");
}

/* A tensor of so many bytes in the slot, spoilt in every way. */
static void spoil(fixture *x, cldeform_tensor *slot, const char *name, size_t bytes, bool batched, bool written)
{
    const cldeform_tensor right = *slot;
    const size_t dense = bytes / 4 / (batched ? 3 : 1);
    cl_mem small = create_buffer(device.cl, CL_MEM_READ_WRITE, bytes - 1);
    cl_mem wrong = create_buffer(device.cl, written ? CL_MEM_READ_ONLY : CL_MEM_WRITE_ONLY, bytes);
    slot->buffer = small;
    WRONG(x, CLDEFORM_BUFFER_TOO_SMALL, name);
    slot->buffer = wrong;
    WRONG(x, CLDEFORM_INVALID_ARGUMENT, written ? "CL_MEM_READ_ONLY" : "CL_MEM_WRITE_ONLY");
    assert_non_null(strstr(cldeform_last_error(), name));
    const size_t offsets[] = {1, SIZE_MAX, SIZE_MAX / 4 + 1}; /* the last, times four bytes, is 0 */
    for (int i = 0; i < 3; i++) {
        *slot = right;
        slot->offset = offsets[i];
        WRONG(x, CLDEFORM_BUFFER_TOO_SMALL, name);
    }
    *slot = right;
    slot->batch_stride = dense - 1;
    WRONG(x, CLDEFORM_INVALID_ARGUMENT, "batch_stride");
    slot->batch_stride = dense + 1;
    WRONG(x, batched ? CLDEFORM_BUFFER_TOO_SMALL : CLDEFORM_INVALID_ARGUMENT, name);
    slot->batch_stride = SIZE_MAX;
    WRONG(x, batched ? CLDEFORM_BUFFER_TOO_SMALL : CLDEFORM_INVALID_ARGUMENT, name);
    *slot = right;
    clReleaseMemObject(small);
    clReleaseMemObject(wrong);
}

static void wrong_tensors(void **state)
{
    fixture *x = *state;
    for (int i = CLDEFORM_INPUT; i <= CLDEFORM_OUTPUT; i++)
        if (i != CLDEFORM_BIAS)
            spoil(x, input_slot(x, i), input_names[i], x->f.host.conv.shape[i].bytes, i != CLDEFORM_WEIGHT, false);
    for (int i = 0; i < TEST_GRADIENTS; i++)
        spoil(x, result_slot(x, i), full_name(i), x->f.host.shape[i].bytes, i < CLDEFORM_WEIGHT, true);
}

/* What is added to must be readable. */
static void accumulation_reads(void **state)
{
    fixture *x = *state;
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        cl_mem write_only = create_buffer(device.cl, CL_MEM_WRITE_ONLY, x->f.host.shape[i].bytes);
        result_slot(x, i)->buffer = write_only;
        x->f.gradients.accumulate = test_gradient_bit(i);
        WRONG(x, CLDEFORM_INVALID_ARGUMENT, full_name(i));
        assert_non_null(strstr(cldeform_last_error(), "CL_MEM_WRITE_ONLY"));
        result_slot(x, i)->buffer = x->f.results[i];
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
    cl_mem foreign = create_buffer(other.cl, CL_MEM_READ_WRITE, 1 << 20);
    x->f.gradients.grad_output.buffer = foreign;
    WRONG(x, CLDEFORM_INVALID_ARGUMENT, "another cl_context");
    assert_non_null(strstr(cldeform_last_error(), "gradients.grad_output"));
    x->f.gradients.grad_output.buffer = x->f.inputs[CLDEFORM_OUTPUT];
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        result_slot(x, i)->buffer = foreign;
        WRONG(x, CLDEFORM_INVALID_ARGUMENT, "another cl_context");
        assert_non_null(strstr(cldeform_last_error(), full_name(i)));
        result_slot(x, i)->buffer = x->f.results[i];
    }
    cl_command_queue queue = test_queue_create(&other, 0);
    REFUSED(BACKWARD(x, queue, NULL, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "queue belongs to another cl_context");
    clReleaseCommandQueue(queue);
    clReleaseMemObject(foreign);
    clReleaseContext(other.cl);
}

static void overlaps(void **state)
{
    fixture *x = *state;
    cl_mem both = create_buffer(device.cl, CL_MEM_READ_WRITE, 1 << 20);
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        const size_t elements = (size_t)x->f.host.shape[i].elements;
        *result_slot(x, i) = (cldeform_tensor){both, 0, 0};
        for (int t = CLDEFORM_INPUT; t <= CLDEFORM_OUTPUT; t++) { /* an input shares its last element */
            if (t == CLDEFORM_BIAS)
                continue;
            *input_slot(x, t) = (cldeform_tensor){both, elements - 1, 0};
            WRONG(x, CLDEFORM_INVALID_ARGUMENT, "overlap");
            assert_non_null(strstr(cldeform_last_error(), full_name(i)));
            assert_non_null(strstr(cldeform_last_error(), input_names[t]));
            *input_slot(x, t) = (cldeform_tensor){x->f.inputs[t], 0, 0};
        }
        for (int other = 0; other < TEST_GRADIENTS; other++) { /* another gradient does */
            if (other == i)
                continue;
            *result_slot(x, other) = (cldeform_tensor){both, elements - 1, 0};
            WRONG(x, CLDEFORM_INVALID_ARGUMENT, "overlap");
            assert_non_null(strstr(cldeform_last_error(), full_name(i)));
            assert_non_null(strstr(cldeform_last_error(), full_name(other)));
            result_slot(x, other)->offset++; /* side by side they are fine */
            assert_ok(
                cldeform_conv2d_backward(x->f.conv, device.queue, &x->f.tensors, &x->f.gradients, NULL, 0, NULL, NULL));
            assert_cl(clFinish(device.queue));
            *result_slot(x, other) = (cldeform_tensor){x->f.results[other], 0, 0};
        }
        *result_slot(x, i) = (cldeform_tensor){x->f.results[i], 0, 0};
    }
    /* inputs may */
    x->f.tensors.mask = x->f.tensors.offset;
    assert_ok(cldeform_conv2d_backward(x->f.conv, device.queue, &x->f.tensors, &x->f.gradients, NULL, 0, NULL, NULL));
    assert_cl(clFinish(device.queue));
    clReleaseMemObject(both);
}

/* Bias and output of the forward pass are not looked at. */
static void what_is_not_looked_at(void **state)
{
    fixture *x = *state;
    x->f.tensors.bias = (cldeform_tensor){x->f.results[CLDEFORM_BIAS], 12345, 7};
    x->f.tensors.output = (cldeform_tensor){x->f.results[CLDEFORM_INPUT], 1, 2};
    assert_ok(cldeform_conv2d_backward(x->f.conv, device.queue, &x->f.tensors, &x->f.gradients, NULL, 0, NULL, NULL));
    test_backward_fixture_expect(&x->f, device.queue, 1);
}

static void workspaces(void **state)
{
    fixture *x = *state;
    cldeform_workspace w = {NULL, 0, 0};
    assert_true(x->minimum > 0);
    REFUSED(BACKWARD(x, device.queue, &w, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "workspace.buffer is NULL");
    w.buffer = x->f.workspace.buffer;
    w.size = x->minimum - 1;
    REFUSED(BACKWARD(x, device.queue, &w, 0, NULL), CLDEFORM_BUFFER_TOO_SMALL, "the minimum is");
    w.size = 0;
    w.offset = 255;
    REFUSED(BACKWARD(x, device.queue, &w, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "workspace.offset is 255");
    /* over each gradient, and over what is read */
    cl_mem both = create_buffer(device.cl, CL_MEM_READ_WRITE, x->minimum + (1 << 20));
    w = (cldeform_workspace){both, 0, 0};
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        result_slot(x, i)->buffer = both;
        REFUSED(BACKWARD(x, device.queue, &w, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "overlap");
        assert_non_null(strstr(cldeform_last_error(), full_name(i)));
        assert_non_null(strstr(cldeform_last_error(), "workspace"));
        result_slot(x, i)->buffer = x->f.results[i];
    }
    x->f.gradients.grad_output.buffer = both;
    REFUSED(BACKWARD(x, device.queue, &w, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "overlap");
    clReleaseMemObject(both);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, create_fixture, destroy_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_fixture_itself_runs),
        TEST(null_arguments),
        TEST(wait_lists),
        TEST(nothing_asked_for),
        TEST(gradients_that_are_not_prepared),
        TEST(gradients_that_the_kind_lacks),
        TEST(accumulate_bits),
        TEST(missing_tensors),
        TEST(packed_weights),
        TEST(wrong_tensors),
        TEST(accumulation_reads),
        TEST(other_contexts),
        TEST(overlaps),
        TEST(what_is_not_looked_at),
        TEST(workspaces),
    };
    return TEST_OVER_ALGORITHMS(tests, test_open_layer, test_close_device);
}
