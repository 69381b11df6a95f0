/* Every wrong argument of im2col, col2im and col2offset: its status, its text, nothing enqueued. */
#include "backward_fixture.h"
#include "layer.h"

#include <stdlib.h>
#include <string.h>

typedef enum part { IM2COL, COL2IM, COL2OFFSET, PARTS } part;

enum { BATCH = 3 };

/* All that the three calls take; tests spoil one argument at a time. */
typedef struct fixture {
    test_backward_fixture f;
    cl_mem memory;
    size_t image, row; /* elements of an image's columns, and of a row */
    cldeform_columns columns;
    int64_t first, images;
} fixture;

static cl_mem create_buffer(cl_mem_flags flags, size_t bytes)
{
    cl_int error = CL_SUCCESS;
    cl_mem buffer = clCreateBuffer(device.cl, flags, bytes, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    return buffer;
}

static cldeform_conv2d_problem whole_problem(void)
{
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    problem.passes = CLDEFORM_BACKWARD | CLDEFORM_IM2COL | CLDEFORM_COL2IM | CLDEFORM_COL2OFFSET;
    return problem;
}

static int create_fixture(void **state)
{
    fixture *x = calloc(1, sizeof *x);
    const cldeform_conv2d_problem problem = whole_problem();
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    if (!x)
        return -1;
    *state = x;
    test_backward_fixture_create(&device, device.context, &problem, &x->f);
    assert_ok(cldeform_conv2d_shape(&problem, CLDEFORM_COLUMNS, &shape));
    x->image = (size_t)shape.elements;
    x->row = (size_t)shape.size[shape.rank - 1];
    x->memory = create_buffer(CL_MEM_READ_WRITE, BATCH * shape.bytes);
    x->columns.buffer = x->memory;
    x->images = BATCH;
    return 0;
}

static int destroy_fixture(void **state)
{
    fixture *x = *state;
    clReleaseMemObject(x->memory);
    test_backward_fixture_destroy(&x->f);
    free(x);
    return 0;
}

static cldeform_status call(const fixture *x, part what, const cldeform_conv2d *conv,
                            const cldeform_conv2d_tensors *tensors, const cldeform_columns *columns,
                            const cldeform_conv2d_gradients *gradients, cl_event *done)
{
    switch (what) {
    case IM2COL:
        return cldeform_conv2d_im2col(conv, device.queue, tensors, x->first, x->images, columns, NULL, 0, NULL, done);
    case COL2IM:
        return cldeform_conv2d_col2im(conv, device.queue, tensors, x->first, x->images, columns, gradients, NULL, 0,
                                      NULL, done);
    default:
        return cldeform_conv2d_col2offset(conv, device.queue, tensors, x->first, x->images, columns, gradients, NULL, 0,
                                          NULL, done);
    }
}

static cldeform_status call_all(const fixture *x, part what, cl_event *done)
{
    return call(x, what, x->f.conv, &x->f.tensors, &x->columns, &x->f.gradients, done);
}

#define REFUSED(call, status, text)                                                                                    \
    do {                                                                                                               \
        cl_event done_ = (cl_event)1;                                                                                  \
        layer->reset();                                                                                                \
        assert_status(call, status, text);                                                                             \
        assert_int_equal(layer->enqueues(), 0);                                                                        \
        assert_null(done_);                                                                                            \
    } while (0)
#define WRONG(x, what, status, text) REFUSED(call_all(x, what, &done_), status, text)

static void expect_runs(const fixture *x, part what)
{
    cl_event done = NULL;
    assert_ok(call_all(x, what, &done));
    assert_cl(clWaitForEvents(1, &done));
    assert_cl(clReleaseEvent(done));
}

static void the_fixture_itself_runs(void **state)
{
    for (part p = IM2COL; p < PARTS; p++)
        expect_runs(*state, p);
}

/* The columns are called so where they are written, and grad_columns where they are read. */
static const char *const columns_names[PARTS] = {"columns", "grad_columns", "grad_columns"};

static void null_arguments(void **state)
{
    fixture *x = *state;
    for (part p = IM2COL; p < PARTS; p++) {
        REFUSED(call(x, p, NULL, &x->f.tensors, &x->columns, &x->f.gradients, &done_), CLDEFORM_INVALID_ARGUMENT,
                "conv is NULL");
        REFUSED(call(x, p, x->f.conv, NULL, &x->columns, &x->f.gradients, &done_), CLDEFORM_INVALID_ARGUMENT,
                "tensors is NULL");
        REFUSED(call(x, p, x->f.conv, &x->f.tensors, NULL, &x->f.gradients, &done_), CLDEFORM_INVALID_ARGUMENT,
                columns_names[p]);
        if (p != IM2COL)
            REFUSED(call(x, p, x->f.conv, &x->f.tensors, &x->columns, NULL, &done_), CLDEFORM_INVALID_ARGUMENT,
                    "gradients is NULL");
        x->columns.buffer = NULL;
        WRONG(x, p, CLDEFORM_INVALID_ARGUMENT, columns_names[p]);
        assert_non_null(strstr(cldeform_last_error(), "NULL"));
        x->columns.buffer = x->memory;
    }
}

static void images_of_the_batch(void **state)
{
    fixture *x = *state;
    const int64_t wrong[][2] = {{-1, 1},        {0, -1},        {0, 4},         {1, 3},
                                {3, 1},         {4, 0},         {INT64_MAX, 1}, {INT64_MAX, INT64_MAX},
                                {INT64_MIN, 1}, {0, INT64_MIN}, {1, INT64_MAX}};
    for (part p = IM2COL; p < PARTS; p++) {
        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
            x->first = wrong[i][0], x->images = wrong[i][1];
            WRONG(x, p, CLDEFORM_INVALID_ARGUMENT, "image");
        }
        x->first = BATCH, x->images = 0; /* none, behind the last */
        expect_runs(x, p);
        x->first = 0, x->images = BATCH;
    }
}

static void columns_strides(void **state)
{
    fixture *x = *state;
    for (part p = IM2COL; p < PARTS; p++) {
        x->columns.row_stride = x->row - 1;
        WRONG(x, p, CLDEFORM_INVALID_ARGUMENT, "row_stride");
        assert_non_null(strstr(cldeform_last_error(), columns_names[p]));
        x->columns.row_stride = x->row + 1;
        WRONG(x, p, CLDEFORM_BUFFER_TOO_SMALL, columns_names[p]);
        const size_t too_far[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / (x->image / x->row) + 2}; /* the last wraps */
        for (int i = 0; i < 3; i++) {
            cl_event done = (cl_event)1;
            x->columns.row_stride = too_far[i];
            layer->reset();
            assert_int_not_equal(call_all(x, p, &done), CLDEFORM_OK);
            assert_non_null(strstr(cldeform_last_error(), columns_names[p]));
            assert_int_equal(layer->enqueues(), 0);
            assert_null(done);
        }
        x->columns.row_stride = 0;
        x->columns.image_stride = x->image - 1;
        WRONG(x, p, CLDEFORM_INVALID_ARGUMENT, "image_stride");
        x->columns.image_stride = x->image + 1;
        WRONG(x, p, CLDEFORM_BUFFER_TOO_SMALL, columns_names[p]);
        x->images = 2; /* which fit */
        expect_runs(x, p);
        x->columns.image_stride = SIZE_MAX;
        WRONG(x, p, CLDEFORM_BUFFER_TOO_SMALL, columns_names[p]);
        x->columns.image_stride = 0;
        x->images = BATCH;
        const size_t offsets[] = {1, SIZE_MAX, SIZE_MAX / 4 + 1};
        for (int i = 0; i < 3; i++) {
            x->columns.offset = offsets[i];
            WRONG(x, p, CLDEFORM_BUFFER_TOO_SMALL, columns_names[p]);
        }
        x->columns.offset = 0;
    }
}

static void access_flags(void **state)
{
    fixture *x = *state;
    for (part p = IM2COL; p < PARTS; p++) {
        cl_mem wrong = create_buffer(p == IM2COL ? CL_MEM_READ_ONLY : CL_MEM_WRITE_ONLY, BATCH * x->image * 4);
        x->columns.buffer = wrong;
        WRONG(x, p, CLDEFORM_INVALID_ARGUMENT, p == IM2COL ? "CL_MEM_READ_ONLY" : "CL_MEM_WRITE_ONLY");
        assert_non_null(strstr(cldeform_last_error(), columns_names[p]));
        x->columns.buffer = x->memory;
        clReleaseMemObject(wrong);
    }
}

static void missing_tensors(void **state)
{
    fixture *x = *state;
    cldeform_tensor *const slots[] = {&x->f.tensors.input, &x->f.tensors.offset, &x->f.tensors.mask};
    static const char *const names[] = {"tensors.input", "tensors.offset", "tensors.mask"};
    x->f.tensors.weight.buffer = NULL; /* not looked at, nor is the gradient of the output */
    x->f.gradients.grad_output.buffer = NULL;
    for (part p = IM2COL; p < PARTS; p++) {
        for (int i = 0; i < 3; i++) {
            slots[i]->buffer = NULL;
            if (p == COL2IM && i == CLDEFORM_INPUT)
                expect_runs(x, p);
            else
                WRONG(x, p, CLDEFORM_INVALID_ARGUMENT, names[i]);
            slots[i]->buffer = x->f.inputs[i];
            slots[i]->offset = 1;
            if (!(p == COL2IM && i == CLDEFORM_INPUT))
                WRONG(x, p, CLDEFORM_BUFFER_TOO_SMALL, names[i]);
            slots[i]->offset = 0;
        }
    }
}

static void gradients_asked_for(void **state)
{
    fixture *x = *state;
    cldeform_conv2d_gradients *g = &x->f.gradients;
    const cldeform_conv2d_gradients all = *g;
    g->grad_input.buffer = NULL;
    WRONG(x, COL2IM, CLDEFORM_INVALID_ARGUMENT, "gradients.grad_input");
    g->accumulate = CLDEFORM_GRAD_INPUT;
    WRONG(x, COL2IM, CLDEFORM_INVALID_ARGUMENT, "grad_input");
    *g = all;
    g->grad_offset.buffer = NULL;
    expect_runs(x, COL2OFFSET);
    g->accumulate = CLDEFORM_GRAD_OFFSET;
    WRONG(x, COL2OFFSET, CLDEFORM_INVALID_ARGUMENT, "grad_offset");
    g->accumulate = 0;
    g->grad_mask.buffer = NULL;
    WRONG(x, COL2OFFSET, CLDEFORM_INVALID_ARGUMENT, "gradient");
    *g = all;
    g->grad_mask.buffer = NULL;
    expect_runs(x, COL2OFFSET);
    *g = all;
    g->grad_input.offset = 1;
    WRONG(x, COL2IM, CLDEFORM_BUFFER_TOO_SMALL, "gradients.grad_input");
    g->grad_offset.offset = 1;
    WRONG(x, COL2OFFSET, CLDEFORM_BUFFER_TOO_SMALL, "gradients.grad_offset");
    g->grad_offset.offset = 0, g->grad_mask.offset = 1;
    WRONG(x, COL2OFFSET, CLDEFORM_BUFFER_TOO_SMALL, "gradients.grad_mask");
    *g = all;
    g->struct_size = 0;
    WRONG(x, COL2IM, CLDEFORM_INVALID_ARGUMENT, "gradients.struct_size is 0");
}

static void gradients_that_the_kind_lacks(void **state)
{
    fixture *x = *state;
    cldeform_conv2d *whole = x->f.conv;
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_DEFORMABLE);
    problem.passes = CLDEFORM_COL2OFFSET;
    assert_ok(cldeform_conv2d_create(device.context, &problem, &x->f.conv));
    x->f.tensors.mask.buffer = NULL;
    WRONG(x, COL2OFFSET, CLDEFORM_INVALID_ARGUMENT, "gradients.grad_mask");
    x->f.gradients.grad_mask.buffer = NULL;
    expect_runs(x, COL2OFFSET);
    x->f.tensors.mask.buffer = x->f.inputs[CLDEFORM_MASK];
    WRONG(x, COL2OFFSET, CLDEFORM_INVALID_ARGUMENT, "tensors.mask.buffer is not NULL");
    cldeform_conv2d_destroy(x->f.conv);
    x->f.conv = whole;
}

static void parts_that_are_not_prepared(void **state)
{
    fixture *x = *state;
    cldeform_conv2d *whole = x->f.conv;
    const cldeform_passes passes[PARTS] = {CLDEFORM_IM2COL, CLDEFORM_COL2IM, CLDEFORM_COL2OFFSET};
    for (part p = IM2COL; p < PARTS; p++) {
        cldeform_conv2d_problem problem = whole_problem();
        problem.passes &= ~passes[p]; /* all the gradients are no help */
        assert_ok(cldeform_conv2d_create(device.context, &problem, &x->f.conv));
        WRONG(x, p, CLDEFORM_NOT_PREPARED, "problem.passes");
        cldeform_conv2d_destroy(x->f.conv);
    }
    x->f.conv = whole;
}

static void overlaps(void **state)
{
    fixture *x = *state;
    const size_t inputs = (size_t)x->f.host.conv.shape[CLDEFORM_INPUT].elements;
    const size_t offsets = (size_t)x->f.host.conv.shape[CLDEFORM_OFFSET].elements;
    const size_t masks = (size_t)x->f.host.conv.shape[CLDEFORM_MASK].elements;
    cl_mem both = create_buffer(CL_MEM_READ_WRITE, (inputs + offsets + masks + BATCH * x->image) * 4);
    /* columns behind the input, sharing its last element, then not */
    x->f.tensors.input.buffer = both;
    x->columns = (cldeform_columns){both, inputs - 1, 0, 0};
    WRONG(x, IM2COL, CLDEFORM_INVALID_ARGUMENT, "overlap");
    x->columns.offset++;
    expect_runs(x, IM2COL);
    x->f.tensors.input.buffer = x->f.inputs[CLDEFORM_INPUT];
    x->f.gradients.grad_input.buffer = both;
    x->columns.offset = inputs - 1;
    WRONG(x, COL2IM, CLDEFORM_INVALID_ARGUMENT, "overlap");
    x->columns.offset++;
    expect_runs(x, COL2IM);
    x->f.gradients.grad_input.buffer = x->f.results[CLDEFORM_INPUT];
    x->f.gradients.grad_offset.buffer = both;
    x->columns.offset = offsets - 1;
    WRONG(x, COL2OFFSET, CLDEFORM_INVALID_ARGUMENT, "overlap");
    x->columns.buffer = x->memory, x->columns.offset = 0;
    x->f.gradients.grad_mask = (cldeform_tensor){both, offsets - 1, 0};
    WRONG(x, COL2OFFSET, CLDEFORM_INVALID_ARGUMENT, "overlap");
    x->f.gradients.grad_mask.offset++;
    expect_runs(x, COL2OFFSET);
    x->f.tensors.mask = (cldeform_tensor){both, offsets + masks - 1, 0};
    WRONG(x, COL2OFFSET, CLDEFORM_INVALID_ARGUMENT, "overlap");
    clReleaseMemObject(both);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, create_fixture, destroy_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_fixture_itself_runs),
        TEST(null_arguments),
        TEST(images_of_the_batch),
        TEST(columns_strides),
        TEST(access_flags),
        TEST(missing_tensors),
        TEST(gradients_asked_for),
        TEST(gradients_that_the_kind_lacks),
        TEST(parts_that_are_not_prepared),
        TEST(overlaps),
    };
    return cmocka_run_group_tests(tests, test_open_layer, test_close_device);
}
