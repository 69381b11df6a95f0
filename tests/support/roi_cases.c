#include "roi_cases.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool op_is(const json_t *root, const char *op)
{
    return strcmp(test_case_text(root, "op"), op) == 0;
}

static bool is_pack(const json_t *root)
{
    return op_is(root, "deform_roi_pool_pack") || op_is(root, "modulated_deform_roi_pool_pack");
}

static bool is_known(const json_t *root)
{
    return is_pack(root) || op_is(root, "deform_roi_pool") || op_is(root, "roi_align") || op_is(root, "roi_pool_max") ||
           op_is(root, "psroi_pooling") || op_is(root, "deform_psroi_pooling");
}

static bool is_known_file(const char *path)
{
    json_t *root = test_case_load(path);
    const bool known = is_known(root);
    json_decref(root);
    return known;
}

static const json_t *parameter(const json_t *root, const char *name)
{
    return json_object_get(json_object_get(root, "params"), name);
}

static int64_t whole(const json_t *root, const char *name, size_t i)
{
    const json_t *value = parameter(root, name);
    return json_integer_value(json_is_array(value) ? json_array_get(value, i) : value);
}

/* Not what this library's RoIAlign computes, and listed to show that. */
static bool is_negative_control(const json_t *root)
{
    return op_is(root, "roi_align") && !json_is_true(parameter(root, "aligned"));
}

/* NULL, or why the case cannot be put to this library. */
static const char *obstacle(const json_t *root)
{
    const int64_t pooled = whole(root, "pooled_size", 0), group = whole(root, "group_size", 0);
    if (strncmp(test_case_text(root, "id"), "ov_dpsroi_", 10) == 0 && pooled != group)
        return "OpenVINO counts input channels bin by bin, which is the papers' order for one bin a group only";
    return NULL;
}

/* ---- the problem --------------------------------------------------------------------------------------- */

static void set_method(const json_t *root, cldeform_roi_pool_problem *p)
{
    if (op_is(root, "roi_pool_max")) {
        p->method = CLDEFORM_ROI_MAX;
    } else if (op_is(root, "psroi_pooling")) {
        p->method = CLDEFORM_ROI_PS;
        assert_string_equal(json_string_value(parameter(root, "mode")), "average");
    } else if (op_is(root, "deform_psroi_pooling")) {
        p->method = CLDEFORM_ROI_PS_ALIGN;
        p->deformable = !json_is_true(parameter(root, "no_trans"));
        p->offset_scale = json_number_value(parameter(root, "trans_std"));
        p->part_h = p->part_w = whole(root, "part_size", 0);
        p->samples_h = whole(root, "sample_per_part_y", 0), p->samples_w = whole(root, "sample_per_part_x", 0);
        if (p->deformable)
            p->offset_classes = test_case_size(root, "inputs", "trans", 1) / 2;
    } else {
        p->method = CLDEFORM_ROI_ALIGN;
        p->deformable = is_pack(root) || test_case_size(root, "inputs", "offset", 0) > 0;
        p->modulated = op_is(root, "modulated_deform_roi_pool_pack");
        p->mask_activation = CLDEFORM_MASK_SIGMOID;
        p->offset_scale = json_number_value(parameter(root, "gamma"));
        p->sampling_ratio = whole(root, "sampling_ratio", 0);
        if (op_is(root, "roi_align"))
            assert_string_equal(json_string_value(parameter(root, "mode")), "avg");
    }
}

static cldeform_roi_pool_problem problem_of(const json_t *root, cldeform_layout layout)
{
    cldeform_roi_pool_problem p = CLDEFORM_INIT(cldeform_roi_pool_problem);
    set_method(root, &p);
    p.layout = layout;
    p.batch = test_case_size(root, "inputs", "input", 0);
    p.in_channels = test_case_size(root, "inputs", "input", 1);
    p.level[0].in_h = test_case_size(root, "inputs", "input", 2);
    p.level[0].in_w = test_case_size(root, "inputs", "input", 3);
    p.level[0].spatial_scale = json_number_value(parameter(root, "spatial_scale"));
    p.max_rois = test_case_size(root, "inputs", "rois", 0);
    if (p.method == CLDEFORM_ROI_PS || p.method == CLDEFORM_ROI_PS_ALIGN) {
        p.out_h = p.out_w = whole(root, "pooled_size", 0);
        p.group_size = whole(root, "group_size", 0);
        p.in_channels = whole(root, "output_dim", 0) * p.group_size * p.group_size; /* those that are looked at */
    } else {
        p.out_h = whole(root, "pooled", 0), p.out_w = whole(root, "pooled", 1);
    }
    return p;
}

static int64_t out_channels(const cldeform_roi_pool_problem *p)
{
    const bool sensitive = p->method == CLDEFORM_ROI_PS || p->method == CLDEFORM_ROI_PS_ALIGN;
    return sensitive ? p->in_channels / (p->group_size * p->group_size) : p->in_channels;
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

static double *allocate(size_t elements)
{
    double *values = malloc((elements + 1) * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < elements; i++)
        values[i] = NAN;
    return values;
}

/* (n, channels, pixels) to (n, pixels, channels), in place; `back`: the other way round. */
static void transpose(double *values, int64_t n, int64_t channels, int64_t pixels, bool back)
{
    double *copy = allocate((size_t)(channels * pixels));
    for (int64_t image = 0; image < n; image++) {
        double *from = values + image * channels * pixels;
        memcpy(copy, from, (size_t)(channels * pixels) * sizeof *copy);
        for (int64_t c = 0; c < channels; c++)
            for (int64_t i = 0; i < pixels; i++)
                from[back ? c * pixels + i : i * channels + c] = copy[back ? i * channels + c : c * pixels + i];
    }
    free(copy);
}

typedef struct call {
    test_roi_call c;
    double *input, *roi, *offset, *mask, *grad_output; /* what c has as const */
    size_t inputs, outputs, offsets;                   /* elements */
} call;

static void to_layout(const call *k, double *input, double *output, bool back)
{
    const cldeform_roi_pool_problem *p = &k->c.problem;
    if (p->layout != CLDEFORM_NHWC)
        return;
    if (input)
        transpose(input, p->batch, p->in_channels, p->level[0].in_h * p->level[0].in_w, back);
    if (output)
        transpose(output, k->c.rois, out_channels(p), p->out_h * p->out_w, back);
}

/* A case may have more channels than it looks at. */
static double *read_input(const json_t *root, const cldeform_roi_pool_problem *p)
{
    const size_t has = (size_t)test_case_size(root, "inputs", "input", 1), takes = (size_t)p->in_channels;
    const size_t pixels = (size_t)(p->level[0].in_h * p->level[0].in_w);
    size_t elements = 0;
    double *values = test_case_tensor(root, "inputs", "input", &elements);
    assert_non_null(values);
    assert_int_equal(elements, (size_t)p->batch * has * pixels);
    assert_true(takes <= has);
    for (size_t n = 0; n < (size_t)p->batch; n++)
        memmove(values + n * takes * pixels, values + n * has * pixels, takes * pixels * sizeof *values);
    return values;
}

/* OpenVINO's tests give more parts than part_size says, but all of one value. */
static double *read_offset(const json_t *root, size_t elements)
{
    size_t found = 0;
    double *values = test_case_tensor(root, "inputs", "offset", &found);
    if (!values)
        values = test_case_tensor(root, "inputs", "trans", &found);
    assert_non_null(values);
    assert_true(found >= elements);
    for (size_t i = 0; found > elements && i < found; i++)
        assert_true(values[i] == values[0]);
    return values;
}

static void create_call(const json_t *root, cldeform_layout layout, call *k)
{
    size_t elements = 0;
    memset(k, 0, sizeof *k);
    k->c.root = root;
    cldeform_roi_pool_problem *p = &k->c.problem;
    *p = problem_of(root, layout);
    k->c.rois = p->max_rois;
    const int64_t part_h = p->part_h ? p->part_h : p->out_h, part_w = p->part_w ? p->part_w : p->out_w;
    k->inputs = (size_t)(p->batch * p->in_channels * p->level[0].in_h * p->level[0].in_w);
    k->outputs = (size_t)(k->c.rois * out_channels(p) * p->out_h * p->out_w);
    k->offsets = (size_t)(k->c.rois * 2 * (p->offset_classes ? p->offset_classes : 1) * part_h * part_w);
    k->input = read_input(root, p);
    k->roi = test_case_tensor(root, "inputs", "rois", &elements);
    assert_int_equal(elements, 5 * k->c.rois);
    if (p->deformable && !is_pack(root))
        k->offset = read_offset(root, k->offsets);
    k->grad_output = test_case_grad_output(root, k->outputs);
    to_layout(k, k->input, k->grad_output, false);
    k->c.output = allocate(k->outputs);
    if (k->grad_output) {
        k->c.grad_input = allocate(k->inputs);
        p->passes = CLDEFORM_FORWARD | CLDEFORM_GRAD_INPUT;
    }
    if (k->grad_output && p->deformable) {
        k->c.grad_offset = allocate(k->offsets);
        p->passes |= CLDEFORM_GRAD_OFFSET;
    }
}

static void run_call(call *k, test_roi_runner run, void *user)
{
    k->c.input = k->input, k->c.roi = k->roi, k->c.offset = k->offset, k->c.mask = k->mask;
    k->c.grad_output = k->grad_output;
    run(&k->c, user);
    to_layout(k, k->c.grad_input, k->c.output, true);
}

static void destroy_call(call *k)
{
    double *const all[] = {k->input,    k->roi,          k->offset,        k->mask,       k->grad_output,
                           k->c.output, k->c.grad_input, k->c.grad_offset, k->c.grad_mask};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
}

/* ---- packs: pooling, linear layers that predict offset and mask from it, pooling again ------------------ */

/* output = weight * input + bias for each RoI; with `rectify`, negative ones are 0. Frees `input`. */
static double *linear(const json_t *root, const char *layer, double *input, size_t rois, size_t *width, bool rectify)
{
    char name[64];
    size_t weights = 0, outputs = 0;
    snprintf(name, sizeof name, "%s_weight", layer);
    double *weight = test_case_tensor(root, "inputs", name, &weights);
    snprintf(name, sizeof name, "%s_bias", layer);
    double *bias = test_case_tensor(root, "inputs", name, &outputs);
    assert_non_null(weight);
    assert_non_null(bias);
    assert_int_equal(weights, outputs * *width);
    double *output = allocate(rois * outputs);
    for (size_t r = 0; r < rois; r++) {
        for (size_t o = 0; o < outputs; o++) {
            double sum = bias[o];
            for (size_t i = 0; i < *width; i++)
                sum += weight[o * *width + i] * input[r * *width + i];
            output[r * outputs + o] = rectify ? fmax(sum, 0) : sum;
        }
    }
    free(weight);
    free(bias);
    free(input);
    *width = outputs;
    return output;
}

static double *pooled_copy(const call *k)
{
    double *copy = allocate(k->outputs);
    memcpy(copy, k->c.output, k->outputs * sizeof *copy);
    return copy;
}

static void predict(const json_t *root, call *k, test_roi_runner run, void *user)
{
    const size_t rois = (size_t)k->c.rois, pooled = k->outputs / rois;
    const bool modulated = k->c.problem.modulated;
    size_t width = pooled;
    k->c.problem.deformable = k->c.problem.modulated = 0;
    run_call(k, run, user);
    k->c.problem.deformable = 1, k->c.problem.modulated = modulated;
    k->offset = linear(root, "offset_fc0", pooled_copy(k), rois, &width, true);
    k->offset = linear(root, "offset_fc1", k->offset, rois, &width, true);
    k->offset = linear(root, "offset_fc2", k->offset, rois, &width, false);
    assert_int_equal(rois * width, k->offsets);
    test_case_compare(root, "expected", "offset", &(test_case_result){"offset", k->offset, k->offsets}, 1);
    if (!modulated)
        return;
    width = pooled;
    k->mask = linear(root, "mask_fc0", pooled_copy(k), rois, &width, true);
    k->mask = linear(root, "mask_fc1", k->mask, rois, &width, false); /* logits */
    double *mask = allocate(rois * width);
    for (size_t i = 0; i < rois * width; i++)
        mask[i] = 1 / (1 + exp(-k->mask[i]));
    test_case_compare(root, "expected", "mask", &(test_case_result){"mask", mask, rois * width}, 1);
    free(mask);
}

/* ---- checks -------------------------------------------------------------------------------------------- */

static void compare(const json_t *root, const call *k, const char *part, const double *grad_offset_true,
                    const double *grad_offset_mmcv)
{
    const test_case_result results[] = {
        {"grad_input", k->c.grad_input, k->inputs},
        {"grad_trans", grad_offset_true, k->offsets},
        {"grad_offset", grad_offset_true, k->offsets},
        {"grad_offset_true", grad_offset_true, k->offsets},
        {"grad_offset_mmcv_formula", grad_offset_mmcv, k->offsets},
    };
    test_case_compare(root, part, "grad_", results, sizeof results / sizeof results[0]);
}

static void check_differs(const json_t *root, const call *k)
{
    const double rtol = json_number_value(json_object_get(json_object_get(root, "tolerance"), "rtol"));
    const double atol = json_number_value(json_object_get(json_object_get(root, "tolerance"), "atol"));
    size_t elements = 0;
    bool differs = false;
    double *expected = test_case_tensor(root, "expected", "output", &elements);
    assert_non_null(expected);
    assert_int_equal(elements, k->outputs);
    for (size_t i = 0; i < elements; i++) {
        assert_true(isfinite(k->c.output[i]));
        differs = differs || fabs(k->c.output[i] - expected[i]) > 10 * (atol + rtol * fabs(expected[i]));
    }
    free(expected);
    assert_true(differs);
}

static double *mmcv_grad_offset(call *k, test_roi_runner run, void *user)
{
    double *usual = k->c.grad_offset, *found = NULL;
    k->c.grad_offset = allocate(k->offsets);
    k->c.problem.offset_gradient = CLDEFORM_ROI_GRADIENT_MMCV;
    run_call(k, run, user);
    found = k->c.grad_offset;
    k->c.grad_offset = usual;
    return found;
}

static void check(const json_t *root, cldeform_layout layout, test_roi_runner run, void *user)
{
    call k;
    double *mmcv = NULL;
    create_call(root, layout, &k);
    if (is_pack(root))
        predict(root, &k, run, user);
    run_call(&k, run, user);
    if (is_negative_control(root)) {
        check_differs(root, &k);
    } else {
        test_case_compare(root, "expected", "output", &(test_case_result){"output", k.c.output, k.outputs}, 1);
        if (k.c.grad_offset && k.c.problem.method == CLDEFORM_ROI_ALIGN)
            mmcv = mmcv_grad_offset(&k, run, user);
        compare(root, &k, "expected", k.c.grad_offset, mmcv);
        compare(root, &k, "derived", k.c.grad_offset, mmcv);
    }
    free(mmcv);
    destroy_call(&k);
}

bool test_roi_case_check(const char *path, cldeform_layout layout, test_roi_runner run, void *user)
{
    json_t *root = test_case_load(path);
    const char *reason = obstacle(root);
    if (reason)
        print_message("%s: %s\n", test_case_text(root, "id"), reason);
    else
        check(root, layout, run, user);
    json_decref(root);
    return !reason;
}

/* ---- one test a file ----------------------------------------------------------------------------------- */

static void golden_files_are_there(void **state)
{
    const size_t *golden = *state;
    assert_true(*golden >= 8);
}

static void other_projects_cases_are_there(void **state)
{
    const test_case_list *others = *state;
    if (others->n == 0)
        skip();
}

int test_roi_cases_run(const char *tests, void (*check_file)(void **state), int (*set_up)(void **state),
                       int (*tear_down)(void **state))
{
    const char *given = getenv("CLDEFORM_CASES");
    char golden[1024], others[1024];
    snprintf(golden, sizeof golden, "%s/golden", tests);
    snprintf(others, sizeof others, "%s/../../shared/cases", tests);
    test_case_list lists[2] = {test_cases_find(golden), test_cases_find(given ? given : others)};
    struct CMUnitTest *all = calloc(lists[0].n + lists[1].n + 2, sizeof *all);
    size_t n = 0, n_golden = 0;
    if (!all)
        return 1;
    for (int l = 0; l < 2; l++) {
        for (size_t i = 0; i < lists[l].n; i++) {
            char *path = lists[l].paths[i];
            if (is_known_file(path))
                all[n++] = (struct CMUnitTest){strrchr(path, '/') + 1, check_file, NULL, NULL, path};
        }
        n_golden = l == 0 ? n : n_golden;
    }
    all[n++] = (struct CMUnitTest){"golden_files_are_there", golden_files_are_there, NULL, NULL, &n_golden};
    all[n++] =
        (struct CMUnitTest){"other_projects_cases_are_there", other_projects_cases_are_there, NULL, NULL, &lists[1]};
    const int failed = _cmocka_run_group_tests("RoI cases", all, n, set_up, tear_down);
    free(all);
    test_cases_free(&lists[0]);
    test_cases_free(&lists[1]);
    return failed;
}
