/* Every wrong argument of the calls that create and enqueue: its status, its text, and nothing enqueued. */
#include "algorithms.h"
#include "layer.h"
#include "conv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A convolution with all its buffers, ready to run, of which tests spoil one argument at a time. */
typedef struct fixture {
    cldeform_conv2d *conv;
    cldeform_conv2d_tensors tensors;
    cl_mem buffers[TEST_TENSORS];
    size_t bytes[TEST_TENSORS];
    cl_mem scratch, packed;
    size_t minimum;
} fixture;

static cl_mem create_buffer(cl_context cl, cl_mem_flags flags, size_t bytes)
{
    cl_int error = CL_SUCCESS;
    cl_mem buffer = clCreateBuffer(cl, flags, bytes, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    return buffer;
}

static cldeform_tensor *tensor_of(fixture *f, int i)
{
    cldeform_tensor *const all[TEST_TENSORS] = {&f->tensors.input,  &f->tensors.offset, &f->tensors.mask,
                                                &f->tensors.weight, &f->tensors.bias,   &f->tensors.output};
    return all[i];
}

static int create_fixture(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    problem.layout = CLDEFORM_NHWC; /* which packs its weights */
    problem.passes = CLDEFORM_FORWARD | CLDEFORM_PACK_WEIGHT;
    if (!f)
        return -1;
    *state = f;
    assert_ok(cldeform_conv2d_create(device.context, &problem, &f->conv));
    f->tensors.struct_size = sizeof f->tensors;
    for (int i = 0; i < TEST_TENSORS; i++) {
        cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
        assert_ok(cldeform_conv2d_shape(&problem, (cldeform_tensor_name)i, &shape));
        f->bytes[i] = shape.bytes;
        f->buffers[i] = create_buffer(device.cl, CL_MEM_READ_WRITE, shape.bytes);
        tensor_of(f, i)->buffer = f->buffers[i];
    }
    assert_ok(cldeform_conv2d_workspace_size(f->conv, CLDEFORM_FORWARD, &f->minimum, NULL));
    f->scratch = create_buffer(device.cl, CL_MEM_READ_WRITE, f->minimum + CLDEFORM_WORKSPACE_ALIGNMENT);
    size_t bytes = 0;
    assert_ok(cldeform_conv2d_packed_weight_size(f->conv, &bytes, NULL));
    f->packed = create_buffer(device.cl, CL_MEM_READ_WRITE, bytes);
    return 0;
}

static int destroy_fixture(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < TEST_TENSORS; i++)
        clReleaseMemObject(f->buffers[i]);
    clReleaseMemObject(f->scratch);
    clReleaseMemObject(f->packed);
    cldeform_conv2d_destroy(f->conv);
    free(f);
    return 0;
}

/* forward with these arguments must be refused with this status and text, and enqueue nothing. */
#define REFUSED(f, queue, workspace, n_wait, wait, status, text)                                                       \
    do {                                                                                                               \
        cl_event done_ = (cl_event)1;                                                                                  \
        layer->reset();                                                                                                \
        assert_status(cldeform_conv2d_forward((f)->conv, queue, &(f)->tensors, workspace, n_wait, wait, &done_),       \
                      status, text);                                                                                   \
        assert_int_equal(layer->enqueues(), 0);                                                                        \
        assert_null(done_);                                                                                            \
    } while (0)
#define WRONG_TENSORS(f, status, text) REFUSED(f, device.queue, NULL, 0, NULL, status, text)

static void the_fixture_itself_runs(void **state)
{
    fixture *f = *state;
    const cldeform_workspace workspace = {f->scratch, 0, 0};
    cl_event done = NULL;
    layer->reset();
    assert_ok(cldeform_conv2d_forward(f->conv, device.queue, &f->tensors, &workspace, 0, NULL, &done));
    assert_true(layer->enqueues() > 0);
    assert_cl(clWaitForEvents(1, &done));
    assert_cl(clReleaseEvent(done));
}

static void null_arguments(void **state)
{
    fixture *f = *state;
    cldeform_conv2d *conv = f->conv;
    assert_status(cldeform_conv2d_forward(NULL, device.queue, &f->tensors, NULL, 0, NULL, NULL),
                  CLDEFORM_INVALID_ARGUMENT, "conv is NULL");
    assert_status(cldeform_conv2d_forward(conv, NULL, &f->tensors, NULL, 0, NULL, NULL), CLDEFORM_INVALID_ARGUMENT,
                  "queue is NULL");
    assert_status(cldeform_conv2d_forward(conv, device.queue, NULL, NULL, 0, NULL, NULL), CLDEFORM_INVALID_ARGUMENT,
                  "tensors is NULL");
    assert_status(cldeform_conv2d_create(NULL, &(cldeform_conv2d_problem){0}, &conv), CLDEFORM_INVALID_ARGUMENT,
                  "context is NULL");
    assert_null(conv);
    assert_status(cldeform_conv2d_create(device.context, NULL, &conv), CLDEFORM_INVALID_ARGUMENT, "problem is NULL");
    const cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_PLAIN);
    assert_status(cldeform_conv2d_create(device.context, &problem, NULL), CLDEFORM_INVALID_ARGUMENT, "out is NULL");
    assert_status(cldeform_conv2d_warm_up(NULL, device.queue), CLDEFORM_INVALID_ARGUMENT, "conv is NULL");
    assert_status(cldeform_conv2d_warm_up(f->conv, NULL), CLDEFORM_INVALID_ARGUMENT, "queue is NULL");
    assert_status(cldeform_conv2d_workspace_size(NULL, CLDEFORM_FORWARD, NULL, NULL), CLDEFORM_INVALID_ARGUMENT,
                  "conv is NULL");
    assert_status(cldeform_conv2d_is_deterministic(f->conv, CLDEFORM_FORWARD, NULL), CLDEFORM_INVALID_ARGUMENT,
                  "deterministic is NULL");
    assert_status(cldeform_conv2d_is_deterministic(NULL, CLDEFORM_FORWARD, NULL), CLDEFORM_INVALID_ARGUMENT, "conv");
    assert_status(cldeform_conv2d_describe(NULL, NULL, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "conv is NULL");
    assert_status(cldeform_conv2d_describe(f->conv, NULL, 5, NULL), CLDEFORM_INVALID_ARGUMENT, "text is NULL");
    assert_status(cldeform_conv2d_packed_weight_size(NULL, NULL, NULL), CLDEFORM_INVALID_ARGUMENT, "conv is NULL");
    cldeform_conv2d_destroy(NULL);
    cldeform_context_destroy(NULL);
}

static void tensors_struct(void **state)
{
    fixture *f = *state;
    f->tensors.struct_size = 0;
    WRONG_TENSORS(f, CLDEFORM_INVALID_ARGUMENT, "tensors.struct_size is 0");
}

static const char *const tensor_names[TEST_TENSORS] = {"tensors.input",  "tensors.offset", "tensors.mask",
                                                       "tensors.weight", "tensors.bias",   "tensors.output"};

static void missing_tensors(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < TEST_TENSORS; i++) {
        if (i == CLDEFORM_BIAS)
            continue;
        tensor_of(f, i)->buffer = NULL;
        WRONG_TENSORS(f, CLDEFORM_INVALID_ARGUMENT, tensor_names[i]);
        assert_non_null(strstr(cldeform_last_error(), "NULL"));
        tensor_of(f, i)->buffer = f->buffers[i];
    }
}

static void buffers_too_small(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < TEST_TENSORS; i++) {
        cldeform_tensor *tensor = tensor_of(f, i);
        cl_mem small = create_buffer(device.cl, CL_MEM_READ_WRITE, f->bytes[i] - 1);
        tensor->buffer = small;
        WRONG_TENSORS(f, CLDEFORM_BUFFER_TOO_SMALL, tensor_names[i]);
        tensor->buffer = f->buffers[i];
        tensor->offset = 1;
        WRONG_TENSORS(f, CLDEFORM_BUFFER_TOO_SMALL, tensor_names[i]);
        tensor->offset = SIZE_MAX;
        WRONG_TENSORS(f, CLDEFORM_BUFFER_TOO_SMALL, tensor_names[i]);
        tensor->offset = SIZE_MAX / 4 + 1; /* times four bytes it is 0 */
        WRONG_TENSORS(f, CLDEFORM_BUFFER_TOO_SMALL, tensor_names[i]);
        tensor->offset = 0;
        clReleaseMemObject(small);
    }
}

static void batch_strides(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < TEST_TENSORS; i++) {
        cldeform_tensor *tensor = tensor_of(f, i);
        const bool batched = i != CLDEFORM_WEIGHT && i != CLDEFORM_BIAS;
        const size_t dense = f->bytes[i] / 4 / (batched ? 3 : 1);
        tensor->batch_stride = dense - 1;
        WRONG_TENSORS(f, CLDEFORM_INVALID_ARGUMENT, "batch_stride");
        tensor->batch_stride = dense + 1;
        WRONG_TENSORS(f, batched ? CLDEFORM_BUFFER_TOO_SMALL : CLDEFORM_INVALID_ARGUMENT, tensor_names[i]);
        tensor->batch_stride = SIZE_MAX;
        WRONG_TENSORS(f, batched ? CLDEFORM_BUFFER_TOO_SMALL : CLDEFORM_INVALID_ARGUMENT, tensor_names[i]);
        tensor->batch_stride = 0;
    }
}

static void access_flags(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < TEST_TENSORS; i++) {
        const bool output = i == CLDEFORM_OUTPUT;
        cl_mem wrong = create_buffer(device.cl, output ? CL_MEM_READ_ONLY : CL_MEM_WRITE_ONLY, f->bytes[i]);
        tensor_of(f, i)->buffer = wrong;
        WRONG_TENSORS(f, CLDEFORM_INVALID_ARGUMENT, output ? "CL_MEM_READ_ONLY" : "CL_MEM_WRITE_ONLY");
        assert_non_null(strstr(cldeform_last_error(), tensor_names[i]));
        tensor_of(f, i)->buffer = f->buffers[i];
        clReleaseMemObject(wrong);
    }
}

static void other_contexts(void **state)
{
    fixture *f = *state;
    cl_int error = CL_SUCCESS;
    test_device other = device;
    other.cl = clCreateContext(NULL, 1, &device.id, NULL, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    for (int i = 0; i < TEST_TENSORS; i++) {
        cl_mem foreign = create_buffer(other.cl, CL_MEM_READ_WRITE, f->bytes[i]);
        tensor_of(f, i)->buffer = foreign;
        WRONG_TENSORS(f, CLDEFORM_INVALID_ARGUMENT, "another cl_context");
        assert_non_null(strstr(cldeform_last_error(), tensor_names[i]));
        tensor_of(f, i)->buffer = f->buffers[i];
        clReleaseMemObject(foreign);
    }
    cl_command_queue queue = test_queue_create(&other, 0);
    REFUSED(f, queue, NULL, 0, NULL, CLDEFORM_INVALID_ARGUMENT, "queue belongs to another cl_context");
    cl_event event = clCreateUserEvent(other.cl, &error);
    REFUSED(f, device.queue, NULL, 1, &event, CLDEFORM_INVALID_ARGUMENT, "wait[0] belongs to another cl_context");
    cl_mem foreign = create_buffer(other.cl, CL_MEM_READ_WRITE, f->minimum);
    const cldeform_workspace workspace = {foreign, 0, 0};
    REFUSED(f, device.queue, &workspace, 0, NULL, CLDEFORM_INVALID_ARGUMENT, "workspace.buffer belongs to another");
    cldeform_context *context = NULL;
    assert_status(cldeform_context_create(NULL, device.id, NULL, &context), CLDEFORM_INVALID_ARGUMENT,
                  "context is NULL");
    assert_status(cldeform_context_create(device.cl, NULL, NULL, &context), CLDEFORM_INVALID_ARGUMENT,
                  "device is NULL");
    assert_status(cldeform_context_create(device.cl, device.id, NULL, NULL), CLDEFORM_INVALID_ARGUMENT, "out is NULL");
    assert_status(cldeform_context_create(device.cl, (cl_device_id)device.cl, NULL, &context),
                  CLDEFORM_INVALID_ARGUMENT, "not one of the context's devices");
    clSetUserEventStatus(event, CL_COMPLETE);
    clReleaseEvent(event);
    clReleaseMemObject(foreign);
    clReleaseCommandQueue(queue);
    clReleaseContext(other.cl);
}

static void wait_lists(void **state)
{
    fixture *f = *state;
    const cl_event none = NULL;
    REFUSED(f, device.queue, NULL, 1, NULL, CLDEFORM_INVALID_ARGUMENT, "n_wait is 1 and wait is NULL");
    REFUSED(f, device.queue, NULL, 0, &none, CLDEFORM_INVALID_ARGUMENT, "n_wait is 0 and wait is not NULL");
    REFUSED(f, device.queue, NULL, 1, &none, CLDEFORM_INVALID_ARGUMENT, "wait[0] is NULL");
}

static void overlaps(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < CLDEFORM_OUTPUT; i++) {
        /* the output over each input, in a buffer that is large enough for both; they share one element */
        const size_t bytes = f->bytes[i] + f->bytes[CLDEFORM_OUTPUT];
        cl_mem both = create_buffer(device.cl, CL_MEM_READ_WRITE, bytes);
        *tensor_of(f, i) = (cldeform_tensor){both, 0, 0};
        f->tensors.output = (cldeform_tensor){both, f->bytes[i] / 4 - 1, 0};
        WRONG_TENSORS(f, CLDEFORM_INVALID_ARGUMENT, "overlap");
        assert_non_null(strstr(cldeform_last_error(), tensor_names[i]));
        /* side by side they are fine */
        f->tensors.output.offset++;
        assert_ok(cldeform_conv2d_forward(f->conv, device.queue, &f->tensors, NULL, 0, NULL, NULL));
        assert_cl(clFinish(device.queue));
        *tensor_of(f, i) = (cldeform_tensor){f->buffers[i], 0, 0};
        f->tensors.output = (cldeform_tensor){f->buffers[CLDEFORM_OUTPUT], 0, 0};
        clReleaseMemObject(both);
    }
    /* a sub-buffer of the output as input */
    cl_int error = CL_SUCCESS;
    cl_mem parent = create_buffer(device.cl, CL_MEM_READ_WRITE, f->bytes[CLDEFORM_INPUT]);
    const cl_buffer_region region = {0, f->bytes[CLDEFORM_OUTPUT]};
    cl_mem sub = clCreateSubBuffer(parent, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &error);
    assert_int_equal(error, CL_SUCCESS);
    f->tensors.input.buffer = parent;
    f->tensors.output.buffer = sub;
    WRONG_TENSORS(f, CLDEFORM_INVALID_ARGUMENT, "tensors.output (bytes 0 to");
    clReleaseMemObject(sub);
    clReleaseMemObject(parent);
}

/* Input and output as channels of one tensor, images alternating. */
static void slices_of_one_tensor(void **state)
{
    fixture *f = *state;
    const size_t in = f->bytes[CLDEFORM_INPUT] / 12, out = f->bytes[CLDEFORM_OUTPUT] / 12; /* elements of an image */
    cl_mem both = create_buffer(device.cl, CL_MEM_READ_WRITE, 3 * (in + out) * 4);
    f->tensors.input = (cldeform_tensor){both, 0, in + out};
    f->tensors.output = (cldeform_tensor){both, in, in + out};
    assert_ok(cldeform_conv2d_forward(f->conv, device.queue, &f->tensors, NULL, 0, NULL, NULL));
    assert_cl(clFinish(device.queue));
    f->tensors.output.offset--; /* into the input of the same image */
    WRONG_TENSORS(f, CLDEFORM_INVALID_ARGUMENT, "overlap");
    f->tensors.output.offset++;
    f->tensors.input.offset = 1; /* its last element is the output's first */
    f->tensors.input.batch_stride = f->tensors.output.batch_stride = in + out;
    WRONG_TENSORS(f, CLDEFORM_INVALID_ARGUMENT, "overlap");
    f->tensors.input.offset = 0;
    f->tensors.input.batch_stride++; /* apart from the output's: they meet somewhere */
    WRONG_TENSORS(f, CLDEFORM_INVALID_ARGUMENT, "overlap");
    clReleaseMemObject(both);
}

static void workspaces(void **state)
{
    fixture *f = *state;
    cldeform_workspace w = {NULL, 0, 0};
    REFUSED(f, device.queue, &w, 0, NULL, CLDEFORM_INVALID_ARGUMENT, "workspace.buffer is NULL");
    w.buffer = f->scratch;
    w.size = f->minimum - 1;
    REFUSED(f, device.queue, &w, 0, NULL, CLDEFORM_BUFFER_TOO_SMALL, "the minimum is");
    w.size = f->minimum;
    w.offset = 255;
    REFUSED(f, device.queue, &w, 0, NULL, CLDEFORM_INVALID_ARGUMENT, "workspace.offset is 255");
    w.offset = 2 * CLDEFORM_WORKSPACE_ALIGNMENT;
    REFUSED(f, device.queue, &w, 0, NULL, CLDEFORM_BUFFER_TOO_SMALL, "workspace has offset 512");
    w.offset = (size_t)1 << 40;
    w.size = 0;
    REFUSED(f, device.queue, &w, 0, NULL, CLDEFORM_BUFFER_TOO_SMALL, "workspace has offset");
    w = (cldeform_workspace){f->buffers[CLDEFORM_OUTPUT], 0, 0};
    REFUSED(f, device.queue, &w, 0, NULL, CLDEFORM_BUFFER_TOO_SMALL, "the minimum is");
    cl_mem read_only = create_buffer(device.cl, CL_MEM_READ_ONLY, f->minimum);
    w.buffer = read_only;
    REFUSED(f, device.queue, &w, 0, NULL, CLDEFORM_INVALID_ARGUMENT, "CL_MEM_READ_ONLY");
    clReleaseMemObject(read_only);
    /* over a tensor */
    cl_mem both = create_buffer(device.cl, CL_MEM_READ_WRITE, f->minimum + f->bytes[CLDEFORM_INPUT]);
    f->tensors.input.buffer = both;
    w.buffer = both;
    REFUSED(f, device.queue, &w, 0, NULL, CLDEFORM_INVALID_ARGUMENT, "overlap");
    clReleaseMemObject(both);
}

static void tensors_of_another_kind(void **state)
{
    fixture *f = *state;
    cldeform_conv2d *modulated = f->conv;
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_DEFORMABLE);
    assert_ok(cldeform_conv2d_create(device.context, &problem, &f->conv));
    WRONG_TENSORS(f, CLDEFORM_INVALID_ARGUMENT, "tensors.mask.buffer is not NULL");
    f->tensors.mask.buffer = NULL;
    f->tensors.packed_weight.buffer = f->packed;
    WRONG_TENSORS(f, CLDEFORM_INVALID_ARGUMENT, "tensors.weight.buffer is not NULL");
    f->tensors.weight.buffer = NULL;
    if (test_algorithm == CLDEFORM_ALGORITHM_IM2COL) /* NCHW fp32 */
        WRONG_TENSORS(f, CLDEFORM_INVALID_ARGUMENT, "reads the weight as it is");
    cldeform_conv2d_destroy(f->conv);
    problem = test_small_problem(CLDEFORM_CONV2D_PLAIN);
    assert_ok(cldeform_conv2d_create(device.context, &problem, &f->conv));
    f->tensors.packed_weight.buffer = NULL;
    f->tensors.weight.buffer = f->buffers[CLDEFORM_WEIGHT];
    WRONG_TENSORS(f, CLDEFORM_INVALID_ARGUMENT, "tensors.offset.buffer is not NULL");
    cldeform_conv2d_destroy(f->conv);
    f->conv = modulated;
}

static void packing(void **state)
{
    fixture *f = *state;
    const cldeform_tensor weight = {f->buffers[CLDEFORM_WEIGHT], 0, 0};
    cldeform_tensor packed = {f->packed, 0, 0};
    cl_event done = (cl_event)1;
    assert_status(cldeform_conv2d_pack_weight(f->conv, device.queue, NULL, &packed, 0, NULL, &done),
                  CLDEFORM_INVALID_ARGUMENT, "weight is NULL");
    assert_null(done);
    assert_status(cldeform_conv2d_pack_weight(f->conv, device.queue, &weight, NULL, 0, NULL, NULL),
                  CLDEFORM_INVALID_ARGUMENT, "packed is NULL");
    assert_status(cldeform_conv2d_pack_weight(f->conv, device.queue, &packed, &packed, 0, NULL, NULL),
                  CLDEFORM_INVALID_ARGUMENT, "overlap");
    packed.offset = 4;
    assert_status(cldeform_conv2d_pack_weight(f->conv, device.queue, &weight, &packed, 0, NULL, NULL),
                  CLDEFORM_INVALID_ARGUMENT, "packed.offset is 4 bytes");
    packed.offset = CLDEFORM_WORKSPACE_ALIGNMENT;
    assert_status(cldeform_conv2d_pack_weight(f->conv, device.queue, &weight, &packed, 0, NULL, NULL),
                  CLDEFORM_BUFFER_TOO_SMALL, "packed");
    f->tensors.weight.buffer = NULL;
    f->tensors.packed_weight = (cldeform_tensor){f->packed, 100, 0};
    WRONG_TENSORS(f, CLDEFORM_INVALID_ARGUMENT, "tensors.packed_weight.offset is 100");
    f->tensors.packed_weight = (cldeform_tensor){f->packed, CLDEFORM_WORKSPACE_ALIGNMENT, 0};
    WRONG_TENSORS(f, CLDEFORM_BUFFER_TOO_SMALL, "tensors.packed_weight");
    cldeform_conv2d *plain = NULL;
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_PLAIN);
    problem.passes = CLDEFORM_PACK_WEIGHT;
    assert_ok(cldeform_conv2d_create(device.context, &problem, &plain));
    packed.offset = 0;
    if (test_algorithm == CLDEFORM_ALGORITHM_IM2COL) /* NCHW fp32 */
        assert_status(cldeform_conv2d_pack_weight(plain, device.queue, &weight, &packed, 0, NULL, NULL),
                      CLDEFORM_UNSUPPORTED, "pass tensors.weight");
    assert_status(cldeform_conv2d_forward(plain, device.queue, &f->tensors, NULL, 0, NULL, NULL), CLDEFORM_NOT_PREPARED,
                  "0x40");
    assert_status(cldeform_conv2d_workspace_size(plain, CLDEFORM_FORWARD, NULL, NULL), CLDEFORM_NOT_PREPARED, "0x1");
    assert_status(cldeform_conv2d_workspace_size(plain, 0, NULL, NULL), CLDEFORM_INVALID_ARGUMENT, "passes is 0x0");
    cldeform_conv2d_destroy(plain);
}

/* What the device lacks is refused, by name, when the object is created. */
static void types_that_the_device_lacks(void **state)
{
    (void)state;
    cldeform_conv2d *conv = NULL;
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_DEFORMABLE);
    if (device.fp64)
        skip();
    problem.dtype = CLDEFORM_F64;
    assert_status(cldeform_conv2d_create(device.context, &problem, &conv), CLDEFORM_UNSUPPORTED, "problem.dtype");
    assert_non_null(strstr(cldeform_last_error(), "cl_khr_fp64"));
    problem.dtype = CLDEFORM_F32;
    problem.offset_dtype = CLDEFORM_F64;
    assert_status(cldeform_conv2d_create(device.context, &problem, &conv), CLDEFORM_UNSUPPORTED,
                  "problem.offset_dtype");
    assert_null(conv);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, create_fixture, destroy_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_fixture_itself_runs),
        TEST(null_arguments),
        TEST(tensors_struct),
        TEST(missing_tensors),
        TEST(buffers_too_small),
        TEST(batch_strides),
        TEST(access_flags),
        TEST(other_contexts),
        TEST(wait_lists),
        TEST(overlaps),
        TEST(slices_of_one_tensor),
        TEST(workspaces),
        TEST(tensors_of_another_kind),
        TEST(packing),
        TEST(types_that_the_device_lacks),
    };
    return TEST_OVER_ALGORITHMS(tests, test_open_layer, test_close_device);
}
