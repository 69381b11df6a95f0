/* Numbers of others: the golden files of torchvision that ship with the project, and the cases of other projects' tests
 * where their folder is there (CLDEFORM_CASES, else shared/cases beside the project). The device and the reference are
 * both held against them: neither is its own judge. */
#include "algorithms.h"
#include "cases.h"
#include "gradients.h"

#include <stdlib.h>
#include <string.h>

static const char *const tensor_names[TEST_TENSORS] = {"input", "offset", "mask", "weight", "bias", "output"};

/* Puts a tensor of root[part] in place of the generated one. */
static void take_tensor(const json_t *root, const char *part, const char *name, test_conv *conv,
                        cldeform_tensor_name tensor)
{
    size_t elements = 0;
    double *values = test_case_tensor(root, part, name, &elements);
    assert_int_equal(values != NULL, conv->present[tensor]);
    if (!values)
        return;
    assert_int_equal(elements, conv->shape[tensor].elements);
    free(conv->values[tensor]);
    conv->values[tensor] = values;
}

static void create_convolution(const json_t *root, const cldeform_conv2d_problem *base, cldeform_dtype dtype,
                               test_conv *conv)
{
    cldeform_conv2d_problem problem = *base;
    problem.dtype = dtype;
    test_conv_create(conv, &problem, test_case_size(root, "inputs", "bias", 0) > 0, TEST_EXACT, 1);
    for (int i = 0; i < CLDEFORM_OUTPUT; i++)
        take_tensor(root, "inputs", tensor_names[i], conv, (cldeform_tensor_name)i);
}

/* On the device (NULL: by the reference) into values[CLDEFORM_OUTPUT]. */
static void find_output(const test_device *on, test_conv *conv)
{
    if (!on) {
        test_conv_reference(conv);
        return;
    }
    free(conv->values[CLDEFORM_OUTPUT]);
    conv->values[CLDEFORM_OUTPUT] = test_conv_run_alone(on, conv, &(test_run){.strided = true});
}

static test_case_result result_of(const char *name, const double *values, const test_conv *conv,
                                  cldeform_tensor_name tensor)
{
    return (test_case_result){name, values, (size_t)conv->shape[tensor].elements};
}

static void check_output(const json_t *root, const test_conv *conv)
{
    const test_case_result output = result_of("output", conv->values[CLDEFORM_OUTPUT], conv, CLDEFORM_OUTPUT);
    test_case_compare(root, "expected", "output", &output, 1);
}

/* On the device in this type, or by the reference (device NULL). */
static void check_convolution(const json_t *root, const cldeform_conv2d_problem *problem, cldeform_dtype dtype,
                              const test_device *on)
{
    test_conv conv;
    create_convolution(root, problem, dtype, &conv);
    find_output(on, &conv);
    check_output(root, &conv);
    double *grad_output = test_case_grad_output(root, (size_t)conv.shape[CLDEFORM_OUTPUT].elements);
    test_case_result results[TEST_GRADIENTS] = {{NULL, NULL, 0}};
    test_gradients gradients = {{NULL}};
    if (grad_output)
        gradients = test_gradients_find(on, &conv, grad_output);
    for (int i = 0; i < TEST_GRADIENTS; i++)
        results[i] = result_of(test_gradient_names[i], gradients.values[i], &conv, (cldeform_tensor_name)i);
    test_case_compare(root, "expected", "grad_", results, TEST_GRADIENTS);
    test_gradients_free(&gradients);
    free(grad_output);
    test_conv_destroy(&conv);
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

/* Forward, both convolutions on the device: the second takes slices of what the first has written, chained by an event.
 */
static void check_slices(const json_t *root, const cldeform_conv2d_problem *problem, const test_device *on)
{
    cldeform_conv2d_problem predict = *problem, deform = *problem;
    predict.algorithm = deform.algorithm = test_algorithm;
    const size_t taps = (size_t)(problem->kernel_h * problem->kernel_w);
    const size_t groups = (size_t)problem->offset_groups;
    predict.kind = CLDEFORM_CONV2D_PLAIN;
    predict.groups = predict.offset_groups = 1;
    predict.out_channels = test_case_size(root, "inputs", "conv_offset_weight", 0);
    deform.mask_activation = CLDEFORM_MASK_SIGMOID;

    cldeform_conv2d *first = NULL, *second = NULL;
    cldeform_shape predicted = CLDEFORM_INIT(cldeform_shape), output = CLDEFORM_INIT(cldeform_shape);
    assert_ok(cldeform_conv2d_create(on->context, &predict, &first));
    assert_ok(cldeform_conv2d_create(on->context, &deform, &second));
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
    test_case_compare(root, "expected", "output", &(test_case_result){"output", found, (size_t)output.elements}, 1);
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

typedef struct pack {
    test_conv predict, deform;
} pack;

static void create_pack(const json_t *root, const cldeform_conv2d_problem *problem, cldeform_dtype dtype, pack *p)
{
    cldeform_conv2d_problem predict = *problem, deform = *problem;
    predict.kind = CLDEFORM_CONV2D_PLAIN;
    predict.groups = predict.offset_groups = 1;
    predict.out_channels = test_case_size(root, "inputs", "conv_offset_weight", 0);
    predict.dtype = deform.dtype = dtype;
    deform.mask_activation = CLDEFORM_MASK_SIGMOID;
    test_conv_create(&p->predict, &predict, true, TEST_EXACT, 1);
    take_tensor(root, "inputs", "input", &p->predict, CLDEFORM_INPUT);
    take_tensor(root, "inputs", "conv_offset_weight", &p->predict, CLDEFORM_WEIGHT);
    take_tensor(root, "inputs", "conv_offset_bias", &p->predict, CLDEFORM_BIAS);
    test_conv_create(&p->deform, &deform, test_case_size(root, "inputs", "bias", 0) > 0, TEST_EXACT, 1);
    take_tensor(root, "inputs", "input", &p->deform, CLDEFORM_INPUT);
    take_tensor(root, "inputs", "weight", &p->deform, CLDEFORM_WEIGHT);
    take_tensor(root, "inputs", "bias", &p->deform, CLDEFORM_BIAS);
}

/* Copies between what the first convolution writes and what the second reads: an image's offsets, then its logits. */
static void copy_slices(const pack *p, double *joined, double *offset, double *mask, bool split)
{
    const size_t batch = (size_t)p->deform.problem.batch;
    const size_t offsets = (size_t)p->deform.shape[CLDEFORM_OFFSET].elements / batch;
    const size_t masks = mask ? (size_t)p->deform.shape[CLDEFORM_MASK].elements / batch : 0;
    assert_int_equal(batch * (offsets + masks), p->predict.shape[CLDEFORM_OUTPUT].elements);
    for (size_t n = 0; n < batch; n++) {
        double *image = joined + n * (offsets + masks);
        for (size_t e = 0; e < offsets + masks; e++) {
            double *part = e < offsets ? &offset[n * offsets + e] : &mask[n * masks + e - offsets];
            if (split)
                *part = image[e];
            else
                image[e] = *part;
        }
    }
}

/* Gradients through both convolutions. deform, predict: of each by itself. */
static void find_pack_gradients(const test_device *on, const pack *p, const double *grad_output, test_gradients *deform,
                                test_gradients *predict)
{
    const size_t elements = (size_t)p->predict.shape[CLDEFORM_OUTPUT].elements;
    double *grad_predicted = malloc((elements + 1) * sizeof *grad_predicted);
    assert_non_null(grad_predicted);
    *deform = test_gradients_find(on, &p->deform, grad_output);
    copy_slices(p, grad_predicted, deform->values[CLDEFORM_OFFSET], deform->values[CLDEFORM_MASK], false);
    *predict = test_gradients_find(on, &p->predict, grad_predicted);
    free(grad_predicted);
}

static void check_pack_gradients(const json_t *root, const test_device *on, const pack *p, const double *grad_output)
{
    test_gradients deform, predict;
    find_pack_gradients(on, p, grad_output, &deform, &predict);
    for (int64_t e = 0; e < p->deform.shape[CLDEFORM_INPUT].elements; e++) /* the input goes into both */
        deform.values[CLDEFORM_INPUT][e] += predict.values[CLDEFORM_INPUT][e];
    const test_case_result results[] = {
        result_of("grad_input", deform.values[CLDEFORM_INPUT], &p->deform, CLDEFORM_INPUT),
        result_of("grad_weight", deform.values[CLDEFORM_WEIGHT], &p->deform, CLDEFORM_WEIGHT),
        result_of("grad_bias", deform.values[CLDEFORM_BIAS], &p->deform, CLDEFORM_BIAS),
        result_of("grad_conv_offset_weight", predict.values[CLDEFORM_WEIGHT], &p->predict, CLDEFORM_WEIGHT),
        result_of("grad_conv_offset_bias", predict.values[CLDEFORM_BIAS], &p->predict, CLDEFORM_BIAS),
    };
    test_case_compare(root, "expected", "grad_", results, sizeof results / sizeof results[0]);
    test_gradients_free(&deform);
    test_gradients_free(&predict);
}

/* What the file's authors derived on the way: the operator's own gradients, by either rule, and the pack's by the other
 * rule. */
static void check_derived(const json_t *root, const test_device *on, pack *p, const double *grad_output)
{
    const bool masks = p->deform.present[CLDEFORM_MASK];
    const cldeform_offset_gradient rule = p->deform.problem.offset_gradient;
    test_conv *op = &p->deform;
    test_gradients deform, open_deform, open_predict, strict, open;
    if (!json_object_get(root, "derived"))
        return;
    deform = test_gradients_find(on, op, grad_output);
    op->problem.offset_gradient = CLDEFORM_OFFSET_GRADIENT_OPEN;
    find_pack_gradients(on, p, grad_output, &open_deform, &open_predict);

    double *logits = op->values[CLDEFORM_MASK]; /* from here on masks as they are */
    op->values[CLDEFORM_MASK] = NULL;
    if (masks)
        take_tensor(root, "derived", "mask", op, CLDEFORM_MASK);
    op->problem.mask_activation = CLDEFORM_MASK_AS_IS;
    open = test_gradients_find(on, op, grad_output);
    op->problem.offset_gradient = CLDEFORM_OFFSET_GRADIENT_STRICT;
    strict = test_gradients_find(on, op, grad_output);
    find_output(on, op);
    check_output(root, op);

    const test_case_result results[] = {
        result_of("offset", op->values[CLDEFORM_OFFSET], op, CLDEFORM_OFFSET),
        result_of("mask", op->values[CLDEFORM_MASK], op, CLDEFORM_MASK),
        result_of("op_grad_input", deform.values[CLDEFORM_INPUT], op, CLDEFORM_INPUT),
        result_of("op_grad_offset", deform.values[CLDEFORM_OFFSET], op, CLDEFORM_OFFSET),
        result_of("op_grad_offset_strict", strict.values[CLDEFORM_OFFSET], op, CLDEFORM_OFFSET),
        result_of("op_grad_offset_open", open.values[CLDEFORM_OFFSET], op, CLDEFORM_OFFSET),
        result_of("op_grad_mask", strict.values[CLDEFORM_MASK], op, CLDEFORM_MASK),
        result_of("grad_conv_offset_weight_open", open_predict.values[CLDEFORM_WEIGHT], &p->predict, CLDEFORM_WEIGHT),
        result_of("grad_conv_offset_bias_open", open_predict.values[CLDEFORM_BIAS], &p->predict, CLDEFORM_BIAS),
    };
    test_case_compare(root, "derived", "", results, sizeof results / sizeof results[0]);
    free(op->values[CLDEFORM_MASK]);
    op->values[CLDEFORM_MASK] = logits;
    op->problem.mask_activation = CLDEFORM_MASK_SIGMOID;
    op->problem.offset_gradient = rule;
    test_gradients *const all[] = {&deform, &open_deform, &open_predict, &strict, &open};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        test_gradients_free(all[i]);
}

/* On the device in this type, or by the reference (device NULL). */
static void check_pack(const json_t *root, const cldeform_conv2d_problem *problem, cldeform_dtype dtype,
                       const test_device *on)
{
    pack p;
    create_pack(root, problem, dtype, &p);
    find_output(on, &p.predict);
    copy_slices(&p, p.predict.values[CLDEFORM_OUTPUT], p.deform.values[CLDEFORM_OFFSET], p.deform.values[CLDEFORM_MASK],
                true);
    find_output(on, &p.deform);
    check_output(root, &p.deform);
    double *grad_output = test_case_grad_output(root, (size_t)p.deform.shape[CLDEFORM_OUTPUT].elements);
    assert_non_null(grad_output);
    check_pack_gradients(root, on, &p, grad_output);
    check_derived(root, on, &p, grad_output);
    free(grad_output);
    test_conv_destroy(&p.predict);
    test_conv_destroy(&p.deform);
}

/* ---- one test a file ----------------------------------------------------------------------------------- */

/* Fused has other kernels for other numbers of channels: it runs in the sharper type, with as few tiles as can be (a
 * context of scalars). */
static test_device scalars;

static int open_devices(void **state)
{
    const int status = test_open_device(state);
    scalars = device;
    scalars.context = test_tuned_context(&device, "\"*\" fused_vector=1 fused_rows=2\n");
    return status;
}

static int close_devices(void **state)
{
    cldeform_context_destroy(scalars.context);
    return test_close_device(state);
}

static void check_case(void **state)
{
    const test_device *on = test_is_specialised() ? &scalars : &device;
    json_t *root = test_case_load(*state);
    cldeform_conv2d_problem problem;
    const bool known = test_case_problem(root, &problem);
    if (!known) {
        json_decref(root);
        skip(); /* a border rule of neither kind */
    }
    if (!json_object_get(json_object_get(root, "expected"), "output")) {
        check_refusal(root, &problem);
    } else {
        const bool is_pack = strstr(test_case_text(root, "op"), "_pack") != NULL;
        if (is_pack)
            check_slices(root, &problem, on);
        void (*check)(const json_t *, const cldeform_conv2d_problem *, cldeform_dtype, const test_device *) =
            is_pack ? check_pack : check_convolution;
        const bool is_fused = test_is_specialised();
        if (!is_fused)
            check(root, &problem, CLDEFORM_F64, NULL);
        check(root, &problem, CLDEFORM_F32, on);
        if (device.fp64 && !is_fused)
            check(root, &problem, CLDEFORM_F64, on);
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
    struct CMUnitTest *tests = calloc(lists[0].n + lists[1].n + 1, sizeof *tests);
    const struct CMUnitTest once[] = {
        {"golden_files_are_there", golden_files_are_there, NULL, NULL, &lists[0]},
        {"other_projects_cases_are_there", other_projects_cases_are_there, NULL, NULL, &lists[1]}};
    size_t n = 0;
    if (!tests)
        return 1;
    for (int l = 0; l < 2; l++)
        for (size_t i = 0; i < lists[l].n; i++)
            if (is_convolution(lists[l].paths[i]))
                tests[n++] =
                    (struct CMUnitTest){strrchr(lists[l].paths[i], '/') + 1, check_case, NULL, NULL, lists[l].paths[i]};
    const int failed = test_run_algorithms(tests, n, once, 2, open_devices, close_devices);
    free(tests);
    test_cases_free(&lists[0]);
    test_cases_free(&lists[1]);
    return failed;
}
