/* Numbers of others: the golden files of torchvision that ship with the project, and the cases of other projects' tests
 * where their folder is there (CLDEFORM_CASES, else shared/cases beside the project). The device and the reference are
 * both held against them: neither is its own judge. */
#include "cases.h"
#include "cldeform/cldeform_ref.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const tensor_names[TEST_TENSORS] = {"input", "offset", "mask", "weight", "bias", "output"};

/* Puts the case's values in place of the generated ones. */
static void take_values(const json_t *root, test_conv *conv)
{
    for (int i = 0; i < CLDEFORM_OUTPUT; i++) {
        size_t elements = 0;
        double *values = test_case_tensor(root, "inputs", tensor_names[i], &elements);
        assert_int_equal(values != NULL, conv->present[i]);
        if (!values)
            continue;
        assert_int_equal(elements, conv->shape[i].elements);
        free(conv->values[i]);
        conv->values[i] = values;
    }
}

/* On the device in this type, or by the reference (device NULL). */
static void check_convolution(const json_t *root, const cldeform_conv2d_problem *base, cldeform_dtype dtype,
                              const test_device *on)
{
    cldeform_conv2d_problem problem = *base;
    test_conv conv;
    size_t elements = 0, bias = 0;
    double *expected = test_case_tensor(root, "expected", "output", &elements);
    double *bias_values = test_case_tensor(root, "inputs", "bias", &bias);
    problem.dtype = dtype;
    test_conv_create(&conv, &problem, bias_values != NULL, TEST_EXACT, 1);
    take_values(root, &conv);
    assert_int_equal(conv.shape[CLDEFORM_OUTPUT].elements, elements);
    if (on) {
        double *found = test_conv_run_alone(on, &conv, &(test_run){.strided = true});
        test_case_compare(root, found, expected, elements);
        free(found);
    } else {
        test_conv_reference(&conv);
        test_case_compare(root, conv.values[CLDEFORM_OUTPUT], expected, elements);
    }
    test_conv_destroy(&conv);
    free(expected);
    free(bias_values);
}

/* Cases that must be refused have a tensor of another shape than the problem's. */
static void check_refusal(const json_t *root, const cldeform_conv2d_problem *problem)
{
    bool differs = false;
    for (int i = 0; i < CLDEFORM_OUTPUT; i++) {
        cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
        size_t elements = 0;
        double *values = test_case_tensor(root, "inputs", tensor_names[i], &elements);
        if (values && (cldeform_conv2d_shape(problem, (cldeform_tensor_name)i, &shape) != CLDEFORM_OK ||
                       (size_t)shape.elements != elements))
            differs = true;
        free(values);
    }
    assert_true(differs);
}

/* ---- packs: the convolution that predicts offsets (and mask logits), then the deformable one ------------ */

static cl_mem upload(const json_t *root, const char *name, size_t *elements)
{
    double *values = test_case_tensor(root, "inputs", name, elements);
    cl_int error = CL_SUCCESS;
    if (!values)
        return NULL;
    float *stored = malloc((*elements + 1) * sizeof *stored);
    assert_non_null(stored);
    for (size_t i = 0; i < *elements; i++)
        stored[i] = (float)values[i];
    cl_mem buffer =
        clCreateBuffer(device.cl, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, *elements * sizeof *stored, stored, &error);
    assert_int_equal(error, CL_SUCCESS);
    free(stored);
    free(values);
    return buffer;
}

/* Both convolutions on the device: the second takes slices of what the first has written, chained by an event. */
static void check_pack(const json_t *root, const cldeform_conv2d_problem *problem)
{
    cldeform_conv2d_problem predict = *problem, deform = *problem;
    const size_t taps = (size_t)(problem->kernel_h * problem->kernel_w);
    const size_t groups = (size_t)problem->offset_groups;
    predict.kind = CLDEFORM_CONV2D_PLAIN;
    predict.groups = predict.offset_groups = 1;
    predict.out_channels = test_case_size(root, "inputs", "conv_offset_weight", 0);
    deform.mask_activation = CLDEFORM_MASK_SIGMOID;

    cldeform_conv2d *first = NULL, *second = NULL;
    cldeform_shape predicted = CLDEFORM_INIT(cldeform_shape), output = CLDEFORM_INIT(cldeform_shape);
    assert_ok(cldeform_conv2d_create(device.context, &predict, &first));
    assert_ok(cldeform_conv2d_create(device.context, &deform, &second));
    assert_ok(cldeform_conv2d_shape(&predict, CLDEFORM_OUTPUT, &predicted));
    assert_ok(cldeform_conv2d_shape(&deform, CLDEFORM_OUTPUT, &output));
    cl_int error = CL_SUCCESS;
    size_t n = 0;
    cl_mem buffers[] = {
        upload(root, "input", &n),
        upload(root, "conv_offset_weight", &n),
        upload(root, "conv_offset_bias", &n),
        upload(root, "weight", &n),
        upload(root, "bias", &n),
        clCreateBuffer(device.cl, CL_MEM_READ_WRITE, predicted.bytes, NULL, &error),
        clCreateBuffer(device.cl, CL_MEM_READ_WRITE, output.bytes, NULL, &error),
    };
    assert_int_equal(error, CL_SUCCESS);
    cldeform_conv2d_tensors a = CLDEFORM_INIT(cldeform_conv2d_tensors), b = CLDEFORM_INIT(cldeform_conv2d_tensors);
    a.input.buffer = b.input.buffer = buffers[0];
    a.weight.buffer = buffers[1], a.bias.buffer = buffers[2], a.output.buffer = buffers[5];
    b.weight.buffer = buffers[3], b.bias.buffer = buffers[4], b.output.buffer = buffers[6];
    const size_t plane = (size_t)(predicted.size[2] * predicted.size[3]), image = (size_t)predicted.size[1] * plane;
    b.offset = (cldeform_tensor){buffers[5], 0, image};
    if (deform.kind == CLDEFORM_CONV2D_MODULATED)
        b.mask = (cldeform_tensor){buffers[5], 2 * groups * taps * plane, image};
    cl_command_queue queue = device.out_of_order ? device.out_of_order : device.queue;
    cl_event between = NULL, done = NULL;
    assert_ok(cldeform_conv2d_forward(first, queue, &a, NULL, 0, NULL, &between));
    assert_ok(cldeform_conv2d_forward(second, queue, &b, NULL, 1, &between, &done));
    float *stored = malloc(output.bytes);
    double *found = malloc((size_t)output.elements * sizeof *found);
    assert_non_null(stored);
    assert_non_null(found);
    assert_cl(clEnqueueReadBuffer(queue, buffers[6], CL_TRUE, 0, output.bytes, stored, 1, &done, NULL));
    for (int64_t i = 0; i < output.elements; i++)
        found[i] = (double)stored[i];
    double *expected = test_case_tensor(root, "expected", "output", &n);
    assert_int_equal(n, output.elements);
    test_case_compare(root, found, expected, n);
    free(expected);
    free(stored);
    free(found);
    clReleaseEvent(between);
    clReleaseEvent(done);
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++)
        if (buffers[i])
            clReleaseMemObject(buffers[i]);
    cldeform_conv2d_destroy(first);
    cldeform_conv2d_destroy(second);
}

/* ---- one test a file ----------------------------------------------------------------------------------- */

static void check_case(void **state)
{
    json_t *root = test_case_load(*state);
    cldeform_conv2d_problem problem;
    const bool known = test_case_problem(root, &problem);
    if (!known) {
        json_decref(root);
        skip(); /* a border rule of neither kind */
    }
    if (strstr(test_case_text(root, "op"), "_pack")) {
        check_pack(root, &problem);
    } else if (!json_object_get(json_object_get(root, "expected"), "output")) {
        check_refusal(root, &problem);
    } else {
        check_convolution(root, &problem, CLDEFORM_F64, NULL);
        check_convolution(root, &problem, CLDEFORM_F32, &device);
        if (device.fp64)
            check_convolution(root, &problem, CLDEFORM_F64, &device);
    }
    json_decref(root);
}

static bool is_convolution(const char *path)
{
    json_t *root = test_case_load(path);
    const char *op = test_case_text(root, "op");
    const bool is = strcmp(op, "deform_conv2d") == 0 || strcmp(op, "deform_conv2d_pack") == 0 ||
                    strcmp(op, "modulated_deform_conv2d_pack") == 0;
    json_decref(root);
    return is;
}

static void golden_files_are_there(void **state)
{
    const test_case_list *golden = *state;
    assert_true(golden->n >= 10);
}

static void other_projects_cases_are_there(void **state)
{
    const test_case_list *others = *state;
    if (others->n == 0)
        skip();
}

int main(void)
{
    const char *directory = getenv("CLDEFORM_CASES");
    test_case_list lists[2] = {test_cases_find(TEST_SOURCE_DIR "/golden"),
                               test_cases_find(directory ? directory : TEST_SOURCE_DIR "/../../shared/cases")};
    struct CMUnitTest *tests = calloc(lists[0].n + lists[1].n + 2, sizeof *tests);
    size_t n = 0;
    if (!tests)
        return 1;
    tests[n++] = (struct CMUnitTest){"golden_files_are_there", golden_files_are_there, NULL, NULL, &lists[0]};
    tests[n++] =
        (struct CMUnitTest){"other_projects_cases_are_there", other_projects_cases_are_there, NULL, NULL, &lists[1]};
    for (int l = 0; l < 2; l++)
        for (size_t i = 0; i < lists[l].n; i++)
            if (is_convolution(lists[l].paths[i]))
                tests[n++] =
                    (struct CMUnitTest){strrchr(lists[l].paths[i], '/') + 1, check_case, NULL, NULL, lists[l].paths[i]};
    const int failed = _cmocka_run_group_tests("cases", tests, n, test_open_device, test_close_device);
    free(tests);
    test_cases_free(&lists[0]);
    test_cases_free(&lists[1]);
    return failed;
}
