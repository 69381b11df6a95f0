/* Workspaces, limits and chunks: results must not depend on them. */
#include "algorithms.h"
#include "context.h"
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

static const cldeform_layout layouts[] = {CLDEFORM_NCHW, CLDEFORM_NHWC};

/* One run of the small problem with some fields changed. */
static void check_problem(const cldeform_conv2d_problem *problem, const test_run *run, test_data data, bool bias)
{
    test_conv conv;
    test_conv_create(&conv, problem, bias, data, 77);
    test_conv_check(&device, &conv, run, data == TEST_EXACT);
    test_conv_destroy(&conv);
}

/* ---- workspace ----------------------------------------------------------------------------------------- */

/* The same bits at any workspace size, batch and queue. */
static void results_do_not_depend_on_chunks(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    problem.batch = 5;
    for (int l = 0; l < 2; l++) {
        size_t minimum = 0, preferred = 0;
        cldeform_conv2d *object = NULL;
        problem.layout = layouts[l];
        assert_ok(cldeform_conv2d_create(device.context, &problem, &object));
        assert_ok(cldeform_conv2d_workspace_size(object, CLDEFORM_FORWARD, &minimum, &preferred));
        cldeform_conv2d_destroy(object);
        /* tiled reads NHWC images where they are: it needs nothing for them */
        const bool grows = test_algorithm != CLDEFORM_ALGORITHM_TILED || problem.layout == CLDEFORM_NCHW;
        assert_true(minimum > 0 && (grows ? minimum < preferred : minimum == preferred));
        test_conv conv;
        test_conv_create(&conv, &problem, true, TEST_RANDOM, 21);
        double *expected = test_conv_run_alone(&device, &conv, &(test_run){0});
        for (int step = 0; step <= 6; step++) {
            const size_t bytes = minimum + (preferred + 5000 - minimum) * (size_t)step / 6;
            double *found =
                test_conv_run_alone(&device, &conv, &(test_run){.workspace = true, .workspace_bytes = bytes});
            test_conv_compare(&conv, found, expected, NULL);
            free(found);
        }
        if (device.out_of_order) {
            double *found =
                test_conv_run_alone(&device, &conv, &(test_run){.queue = device.out_of_order, .workspace = true});
            test_conv_compare(&conv, found, expected, NULL);
            free(found);
        }
        free(expected);
        test_conv_destroy(&conv);
    }
}

/* A limit below an image's columns cuts the image into slabs. */
static void limits_make_slabs(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    problem.algorithm = CLDEFORM_ALGORITHM_IM2COL;
    problem.in_h = 30, problem.in_w = 31;
    for (int l = 0; l < 2; l++) {
        problem.layout = layouts[l];
        problem.workspace_limit = 0;
        size_t previous = SIZE_MAX;
        for (size_t limit = 400000; limit > 12000; limit /= 3) {
            size_t minimum = 0, preferred = 0;
            cldeform_conv2d *object = NULL;
            problem.workspace_limit = limit;
            assert_ok(cldeform_conv2d_create(device.context, &problem, &object));
            assert_ok(cldeform_conv2d_workspace_size(object, CLDEFORM_FORWARD, &minimum, &preferred));
            cldeform_conv2d_destroy(object);
            assert_true(minimum <= preferred && preferred <= limit && preferred < previous);
            previous = preferred;
            check_problem(&problem, &(test_run){.workspace = true}, TEST_EXACT, true);
            check_problem(&problem, &(test_run){.workspace = true, .workspace_bytes = preferred}, TEST_EXACT, false);
        }
    }
    /* deterministic: the limit must not change the slabs, so it is refused earlier */
    cldeform_conv2d *object = NULL;
    problem.deterministic = 1;
    problem.workspace_limit = 20000;
    assert_status(cldeform_conv2d_create(device.context, &problem, &object), CLDEFORM_LIMIT, "deterministic");
}

/* Below the minimum: an error that names it, and the minimum works. */
static void limits_below_the_minimum(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    cldeform_conv2d *object = NULL;
    problem.in_h = 30, problem.in_w = 31;
    problem.workspace_limit = 100;
    assert_status(cldeform_conv2d_create(device.context, &problem, &object), CLDEFORM_LIMIT, "minimum");
    assert_null(object);
    const char *text = strstr(cldeform_last_error(), " is ");
    text = text ? strstr(text + 4, " is ") : NULL;
    assert_non_null(text);
    problem.workspace_limit = (size_t)strtoull(text + 4, NULL, 10);
    check_problem(&problem, &(test_run){.workspace = true}, TEST_EXACT, true);
    problem.workspace_limit--;
    assert_status(cldeform_conv2d_create(device.context, &problem, &object), CLDEFORM_LIMIT, "minimum");
}

/* Sizes beyond CLBlast's kernel for small products, with its scratch in the workspace. */
static void large_product(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
    problem.batch = 1, problem.in_channels = 290, problem.out_channels = 260;
    problem.in_h = 31, problem.in_w = 37;
    problem.kernel_h = problem.kernel_w = 3;
    problem.pad_top = problem.pad_left = problem.pad_bottom = problem.pad_right = 1;
    for (int l = 0; l < 2; l++) {
        problem.layout = layouts[l];
        /* the reference would take long over all of it: weights of most outputs are those of the first ones */
        test_conv conv;
        test_conv_create(&conv, &problem, true, TEST_EXACT, 4);
        cldeform_conv2d_problem part = problem;
        part.out_channels = 4;
        test_conv small;
        test_conv_create(&small, &part, true, TEST_EXACT, 4);
        for (int t = CLDEFORM_INPUT; t <= CLDEFORM_OFFSET; t++)
            memcpy(small.values[t], conv.values[t], (size_t)conv.shape[t].elements * sizeof(double));
        const size_t filter = 290 * 9;
        for (size_t o = 0; o < 260; o++) {
            memcpy(conv.values[CLDEFORM_WEIGHT] + o * filter, small.values[CLDEFORM_WEIGHT] + o % 4 * filter,
                   filter * sizeof(double));
            conv.values[CLDEFORM_BIAS][o] = small.values[CLDEFORM_BIAS][o % 4];
        }
        test_conv_reference(&small);
        const size_t plane = 31 * 37;
        for (size_t o = 0; o < 260; o++)
            for (size_t i = 0; i < plane; i++)
                conv.values[CLDEFORM_OUTPUT][l ? i * 260 + o : o * plane + i] =
                    small.values[CLDEFORM_OUTPUT][l ? i * 4 + o % 4 : o % 4 * plane + i];
        for (int bias = 0; bias < 2; bias++) {
            conv.present[CLDEFORM_BIAS] = bias;
            for (size_t o = 0; bias == 0 && o < 260; o++)
                for (size_t i = 0; i < plane; i++)
                    conv.values[CLDEFORM_OUTPUT][l ? i * 260 + o : o * plane + i] -= conv.values[CLDEFORM_BIAS][o];
            for (size_t o = 0; bias == 1 && o < 260; o++)
                for (size_t i = 0; i < plane; i++)
                    conv.values[CLDEFORM_OUTPUT][l ? i * 260 + o : o * plane + i] += conv.values[CLDEFORM_BIAS][o];
            double *found = test_conv_run_alone(&device, &conv, &(test_run){.workspace = true, .strided = true});
            test_conv_compare(&conv, found, conv.values[CLDEFORM_OUTPUT], NULL);
            free(found);
        }
        test_conv_destroy(&small);
        test_conv_destroy(&conv);
    }
}

/* Workspaces of exactly the minimum, in sub-buffers at every origin that the device allows. */
static void workspaces_in_sub_buffers(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_DEFORMABLE);
    problem.in_channels = problem.out_channels =
        8; /* parts that are multiples of the alignment: no slack by accident */
    problem.offset_groups = 1;
    cl_uint alignment_bits = 0;
    cl_int error = CL_SUCCESS;
    assert_cl(clGetDeviceInfo(device.id, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof alignment_bits, &alignment_bits, NULL));
    const size_t alignment = alignment_bits / 8;
    test_fixture f;
    test_fixture_create(&device, device.context, &problem, &f);
    size_t minimum = 0;
    assert_ok(cldeform_conv2d_workspace_size(f.conv, CLDEFORM_FORWARD, &minimum, NULL));
    cl_mem parent = clCreateBuffer(device.cl, CL_MEM_READ_WRITE, minimum + 16 * alignment, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    for (size_t i = 0; i < 8; i++) {
        const cl_buffer_region region = {i * alignment, minimum};
        cl_mem sub = clCreateSubBuffer(parent, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &error);
        assert_int_equal(error, CL_SUCCESS);
        const cldeform_workspace workspace = {sub, 0, 0};
        assert_ok(cldeform_conv2d_forward(f.conv, device.queue, &f.tensors, &workspace, 0, NULL, NULL));
        assert_cl(clReleaseMemObject(sub));
        test_fixture_expect(&f, device.queue);
    }
    assert_cl(clReleaseMemObject(parent));
    test_fixture_destroy(&f);
}

/* What launches more work-groups than devices take in a dimension is refused, not tried. */
static void too_many_taps_are_refused(void **state)
{
    (void)state;
    cldeform_conv2d *object = NULL;
    cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
    problem.algorithm = test_algorithm;
    problem.batch = 1, problem.in_channels = 65536, problem.out_channels = 1, problem.in_h = problem.in_w = 1;
    problem.kernel_h = problem.kernel_w = 1;
    problem.offset_groups = 65536;
    if (test_algorithm == CLDEFORM_ALGORITHM_IM2COL) {
        assert_status(cldeform_conv2d_create(device.context, &problem, &object), CLDEFORM_UNSUPPORTED, "65535");
        problem.offset_groups = 32768;
    }
    check_problem(&problem, &(test_run){0}, TEST_EXACT, true);
}

/* AUTO takes another algorithm where the first needs more than the limit, but not with deterministic set: results must
 * not depend on the limit then. */
static void limits_and_auto(void **state)
{
    (void)state;
    if (device.context->facts.loop_limit)
        skip(); /* fused, the first, refuses the device anyway */
    cldeform_context *context = test_tuned_context(&device, "\"*\" conv2d_algorithm=2\n");
    cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
    problem.batch = 1, problem.in_channels = 16, problem.out_channels = 8, problem.in_h = problem.in_w = 40;
    problem.kernel_h = problem.kernel_w = 3;
    problem.stride_h = problem.stride_w = 8;
    problem.workspace_limit = 60000; /* enough for columns, not for a copy of the input */
    cldeform_conv2d *object = NULL;
    assert_ok(cldeform_conv2d_create(context, &problem, &object));
    cldeform_conv2d_destroy(object);
    problem.deterministic = 1;
    assert_status(cldeform_conv2d_create(context, &problem, &object), CLDEFORM_LIMIT, "deterministic");
    cldeform_context_destroy(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_do_not_depend_on_chunks),
        cmocka_unit_test(limits_below_the_minimum),
        cmocka_unit_test(large_product),
        cmocka_unit_test(workspaces_in_sub_buffers),
        cmocka_unit_test(too_many_taps_are_refused),
    };
    const struct CMUnitTest once[] = {cmocka_unit_test(limits_make_slabs), cmocka_unit_test(limits_and_auto)};
    return TEST_OVER_ALGORITHMS_AND_ONCE(tests, once, test_open_device, test_close_device);
}
