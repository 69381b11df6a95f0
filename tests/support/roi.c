#include "roi.h"
#include "cldeform/cldeform_ref.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEVELS(name) name "[0]", name "[1]", name "[2]", name "[3]", name "[4]", name "[5]", name "[6]", name "[7]"

const char *const test_roi_names[TEST_ROI_TENSORS] = {
    LEVELS("tensors.input"), "tensors.rois",          "tensors.level",
    "tensors.offset",        "tensors.mask",          "tensors.output",
    "tensors.argmax",        "gradients.grad_output", LEVELS("gradients.grad_input"),
    "gradients.grad_offset", "gradients.grad_mask",
};

static double *allocate(int64_t elements)
{
    double *values = calloc((size_t)elements + 1, sizeof *values);
    assert_non_null(values);
    return values;
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

static int64_t or_else(int64_t value, int64_t otherwise)
{
    return value ? value : otherwise;
}

static bool is_position_sensitive(const cldeform_roi_pool_problem *problem)
{
    return problem->method == CLDEFORM_ROI_PS_ALIGN || problem->method == CLDEFORM_ROI_PS;
}

test_roi_sizes test_roi_sizes_of(const cldeform_roi_pool_problem *p)
{
    test_roi_sizes s = {
        .levels = or_else(p->levels, 1),
        .group = is_position_sensitive(p) ? or_else(p->group_size, p->out_h) : 1,
        .part_h = or_else(p->part_h, p->out_h),
        .part_w = or_else(p->part_w, p->out_w),
        .samples_h = or_else(p->samples_h, 4),
        .samples_w = or_else(p->samples_w, 4),
        .classes = or_else(p->offset_classes, 1),
        .canonical_level = p->canonical_level,
        .offset_scale = p->offset_scale != 0 ? p->offset_scale : 0.1,
        .canonical_size = p->canonical_size != 0 ? p->canonical_size : 224,
        .dtype = p->dtype ? p->dtype : CLDEFORM_F32,
        .gradients =
            CLDEFORM_GRAD_INPUT | (p->deformable ? CLDEFORM_GRAD_OFFSET : 0) | (p->modulated ? CLDEFORM_GRAD_MASK : 0),
    };
    s.out_channels = p->in_channels / (s.group * s.group);
    s.offset_dtype = p->offset_dtype ? p->offset_dtype : s.dtype;
    s.roi_dtype = p->roi_dtype ? p->roi_dtype : s.dtype == CLDEFORM_F64 ? CLDEFORM_F64 : CLDEFORM_F32;
    return s;
}

cldeform_passes test_roi_bit(int i)
{
    return i == TEST_ROI_GRAD_MASK                                ? CLDEFORM_GRAD_MASK
           : i == TEST_ROI_GRAD_OFFSET                            ? CLDEFORM_GRAD_OFFSET
           : i >= TEST_ROI_GRAD_INPUT && i < TEST_ROI_GRAD_OFFSET ? CLDEFORM_GRAD_INPUT
                                                                  : 0;
}

static void set_shape(test_roi *roi, int i, int64_t rank, const int64_t *size)
{
    test_roi_tensor *t = &roi->tensor[i];
    t->present = true;
    t->whole = i == TEST_ROI_LEVEL || i == TEST_ROI_ARGMAX;
    t->dtype = i == TEST_ROI_ROIS                                                        ? roi->sizes.roi_dtype
               : i == TEST_ROI_OFFSET || i == TEST_ROI_MASK || i >= TEST_ROI_GRAD_OFFSET ? roi->sizes.offset_dtype
                                                                                         : roi->sizes.dtype;
    const test_guarded guarded = {.dtype = t->dtype, .whole = t->whole};
    t->shape.struct_size = sizeof t->shape;
    t->shape.rank = rank;
    t->shape.elements = 1;
    for (int64_t d = 0; d < rank; d++)
        t->shape.elements *= t->shape.size[d] = size[d];
    t->shape.bytes = (size_t)t->shape.elements * test_guarded_element(&guarded);
    t->values = allocate(t->shape.elements);
    if (test_roi_bit(i))
        t->initial = allocate(t->shape.elements);
}

/* A map in the problem's layout. */
static void set_map(test_roi *roi, int i, int64_t n, int64_t channels, int64_t h, int64_t w)
{
    const bool nhwc = roi->problem.layout == CLDEFORM_NHWC;
    const int64_t size[] = {n, nhwc ? h : channels, nhwc ? w : h, nhwc ? channels : w};
    set_shape(roi, i, 4, size);
}

static void set_shapes(test_roi *roi, bool has_level)
{
    const cldeform_roi_pool_problem *p = &roi->problem;
    const test_roi_sizes *s = &roi->sizes;
    const int64_t n = roi->n;
    const int64_t offset[] = {n, 2 * s->classes, s->part_h, s->part_w}, mask[] = {n, 1, p->out_h, p->out_w};
    for (int l = 0; l < s->levels; l++)
        for (int i = TEST_ROI_INPUT; i <= TEST_ROI_GRAD_INPUT; i += TEST_ROI_GRAD_INPUT - TEST_ROI_INPUT)
            set_map(roi, i + l, p->batch, p->in_channels, p->level[l].in_h, p->level[l].in_w);
    for (int i = TEST_ROI_OUTPUT; i <= TEST_ROI_GRAD_OUTPUT; i++)
        if (i != TEST_ROI_ARGMAX || p->method == CLDEFORM_ROI_MAX)
            set_map(roi, i, n, s->out_channels, p->out_h, p->out_w);
    set_shape(roi, TEST_ROI_ROIS, 2, (const int64_t[]){n, 5});
    if (has_level)
        set_shape(roi, TEST_ROI_LEVEL, 1, &n);
    if (p->deformable) {
        set_shape(roi, TEST_ROI_OFFSET, 4, offset);
        set_shape(roi, TEST_ROI_GRAD_OFFSET, 4, offset);
    }
    if (p->modulated) {
        set_shape(roi, TEST_ROI_MASK, 4, mask);
        set_shape(roi, TEST_ROI_GRAD_MASK, 4, mask);
    }
}

void test_roi_create(test_roi *roi, const cldeform_roi_pool_problem *problem, int64_t n, bool has_level, test_data data,
                     uint32_t seed)
{
    memset(roi, 0, sizeof *roi);
    assert_true(n <= problem->max_rois);
    roi->problem = *problem;
    roi->sizes = test_roi_sizes_of(problem);
    roi->n = n;
    set_shapes(roi, has_level);
    test_roi_make(roi, data, seed);
}

void test_roi_destroy(test_roi *roi)
{
    for (int i = 0; i < TEST_ROI_TENSORS; i++) {
        free(roi->tensor[i].values);
        free(roi->tensor[i].initial);
    }
    memset(roi, 0, sizeof *roi);
}

void test_roi_set(test_roi *roi, int64_t r, double image, double x1, double y1, double x2, double y2)
{
    const test_roi_tensor *rois = &roi->tensor[TEST_ROI_ROIS];
    const double values[] = {image, x1, y1, x2, y2};
    for (int i = 0; i < 5; i++)
        rois->values[r * 5 + i] = test_round(values[i], rois->dtype);
}

void test_roi_fill(test_roi *roi, int i, double value)
{
    for (int64_t e = 0; e < roi->tensor[i].shape.elements; e++)
        roi->tensor[i].values[e] = value;
}

/* Whether tensor i has a row for each RoI. */
static bool is_by_roi(int i)
{
    return i >= TEST_ROI_ROIS && (i < TEST_ROI_GRAD_INPUT || i >= TEST_ROI_GRAD_OFFSET);
}

void test_roi_take(const test_roi *from, int64_t first, int64_t step, int64_t n, test_roi *roi)
{
    test_roi_create(roi, &from->problem, n, from->tensor[TEST_ROI_LEVEL].present, TEST_EXACT, 1);
    for (int i = 0; i < TEST_ROI_TENSORS; i++) {
        const test_roi_tensor *a = &from->tensor[i], *b = &roi->tensor[i];
        if (!b->present)
            continue;
        const int64_t rows = is_by_roi(i) && from->n > 0 ? from->n : 1;
        const size_t row = (size_t)(a->shape.elements / rows);
        for (int64_t r = 0; r < (is_by_roi(i) ? n : 1); r++) {
            const size_t to = (size_t)r * row, at = (size_t)(is_by_roi(i) ? first + r * step : 0) * row;
            memcpy(b->values + to, a->values + at, row * sizeof(double));
            if (a->initial)
                memcpy(b->initial + to, a->initial + at, row * sizeof(double));
        }
    }
}

/* ---- reference ----------------------------------------------------------------------------------------- */

static int32_t *to_whole(const test_roi_tensor *t)
{
    if (!t->present)
        return NULL;
    int32_t *whole = malloc(((size_t)t->shape.elements + 1) * sizeof *whole);
    assert_non_null(whole);
    for (int64_t e = 0; e < t->shape.elements; e++)
        whole[e] = (int32_t)t->values[e];
    return whole;
}

void test_roi_reference(test_roi *roi)
{
    test_roi_tensor *t = roi->tensor;
    int32_t *level = to_whole(&t[TEST_ROI_LEVEL]), *argmax = to_whole(&t[TEST_ROI_ARGMAX]);
    cldeform_ref_roi_pool_tensors tensors = {
        .rois = t[TEST_ROI_ROIS].values,
        .level = level,
        .offset = t[TEST_ROI_OFFSET].values,
        .mask = t[TEST_ROI_MASK].values,
        .output = t[TEST_ROI_OUTPUT].values,
        .argmax = argmax,
    };
    cldeform_ref_roi_pool_gradients gradients = {
        .grad_output = t[TEST_ROI_GRAD_OUTPUT].values,
        .grad_offset = t[TEST_ROI_GRAD_OFFSET].values,
        .grad_mask = t[TEST_ROI_GRAD_MASK].values,
    };
    for (int l = 0; l < roi->sizes.levels; l++) {
        tensors.input[l] = t[TEST_ROI_INPUT + l].values;
        gradients.grad_input[l] = t[TEST_ROI_GRAD_INPUT + l].values;
    }
    assert_ok(cldeform_ref_roi_pool_forward(&roi->problem, roi->n, &tensors));
    for (int64_t e = 0; argmax && e < t[TEST_ROI_ARGMAX].shape.elements; e++)
        t[TEST_ROI_ARGMAX].values[e] = argmax[e];
    assert_ok(cldeform_ref_roi_pool_backward(&roi->problem, roi->n, &tensors, &gradients));
    free(level);
    free(argmax);
}

/* ---- run ----------------------------------------------------------------------------------------------- */

bool test_roi_needs(const test_roi *roi, int i, cldeform_passes gradients)
{
    const bool max = roi->problem.method == CLDEFORM_ROI_MAX;
    if (!roi->tensor[i].present || (i >= TEST_ROI_OUTPUT && i != TEST_ROI_ARGMAX && i != TEST_ROI_GRAD_OUTPUT))
        return false;
    if (i < TEST_ROI_ROIS)
        return (gradients & (CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK)) != 0;
    return i != TEST_ROI_ARGMAX || (max && (gradients & CLDEFORM_GRAD_INPUT));
}

cldeform_tensor *test_roi_slot(cldeform_roi_pool_tensors *tensors, cldeform_roi_pool_gradients *gradients, int i)
{
    switch (i) {
    case TEST_ROI_ROIS:
        return &tensors->rois;
    case TEST_ROI_LEVEL:
        return &tensors->level;
    case TEST_ROI_OFFSET:
        return &tensors->offset;
    case TEST_ROI_MASK:
        return &tensors->mask;
    case TEST_ROI_OUTPUT:
        return &tensors->output;
    case TEST_ROI_ARGMAX:
        return &tensors->argmax;
    case TEST_ROI_GRAD_OUTPUT:
        return &gradients->grad_output;
    case TEST_ROI_GRAD_OFFSET:
        return &gradients->grad_offset;
    case TEST_ROI_GRAD_MASK:
        return &gradients->grad_mask;
    default:
        return i < TEST_ROI_ROIS ? &tensors->input[i - TEST_ROI_INPUT]
                                 : &gradients->grad_input[i - TEST_ROI_GRAD_INPUT];
    }
}

typedef enum role { NONE, READ, WRITTEN } role;

static role role_of(const test_roi *roi, int i, test_roi_pass pass, cldeform_passes asked, bool minimal)
{
    if (!roi->tensor[i].present)
        return NONE;
    if (pass == TEST_ROI_FORWARD)
        return i < TEST_ROI_OUTPUT                ? READ
               : i == TEST_ROI_OUTPUT             ? WRITTEN
               : i == TEST_ROI_ARGMAX && !minimal ? WRITTEN
                                                  : NONE;
    if (test_roi_bit(i))
        return asked & test_roi_bit(i) ? WRITTEN : NONE;
    return i != TEST_ROI_OUTPUT && (!minimal || test_roi_needs(roi, i, asked)) ? READ : NONE;
}

static test_guarded guard(const test_roi *roi, int i, const test_run *run)
{
    const test_roi_tensor *t = &roi->tensor[i];
    test_guarded guarded =
        test_guarded_of(test_roi_names[i], t->dtype, &t->shape, is_by_roi(i) ? roi->n : roi->problem.batch, run);
    guarded.whole = t->whole;
    return guarded;
}

static void place_scratch(const test_device *on, const cldeform_roi_pool *object, cldeform_passes passes,
                          const test_run *run, test_scratch *scratch)
{
    size_t bytes = run->workspace_bytes;
    if (bytes == 0)
        assert_ok(cldeform_roi_pool_workspace_size(object, passes, &bytes, NULL));
    test_scratch_create(on, scratch, bytes);
}

test_roi_found test_roi_run(const test_device *on, const test_roi *roi, test_roi_pass pass, const test_run *run)
{
    const bool backward = pass == TEST_ROI_BACKWARD;
    const cldeform_passes asked = run->gradients ? run->gradients : roi->sizes.gradients;
    cl_command_queue queue = run->queue ? run->queue : on->queue;
    cldeform_roi_pool_problem problem = roi->problem;
    cldeform_roi_pool *object = NULL;
    cldeform_roi_pool_tensors tensors = CLDEFORM_INIT(cldeform_roi_pool_tensors);
    cldeform_roi_pool_gradients gradients = CLDEFORM_INIT(cldeform_roi_pool_gradients);
    test_guarded guards[TEST_ROI_TENSORS];
    role roles[TEST_ROI_TENSORS];
    test_scratch scratch = {0};
    test_roi_found found = {{NULL}};
    cl_event done = NULL;

    problem.passes = !backward ? CLDEFORM_FORWARD : run->minimal ? asked : CLDEFORM_BACKWARD;
    assert_ok(cldeform_roi_pool_create(run->context ? run->context : on->context, &problem, &object));
    gradients.accumulate = run->accumulate & asked;
    for (int i = 0; i < TEST_ROI_TENSORS; i++) {
        const test_roi_tensor *t = &roi->tensor[i];
        const bool adds = (gradients.accumulate & test_roi_bit(i)) != 0;
        roles[i] = role_of(roi, i, pass, asked, run->minimal);
        if (roles[i] == NONE)
            continue;
        guards[i] = guard(roi, i, run);
        test_guarded_create(on, &guards[i],
                            roles[i] == READ ? t->values
                            : adds           ? t->initial
                                             : NULL,
                            roles[i] == READ             ? CL_MEM_READ_ONLY
                            : run->output_flags && !adds ? run->output_flags
                                                         : CL_MEM_READ_WRITE);
        *test_roi_slot(&tensors, &gradients, i) = test_guarded_tensor(&guards[i]);
    }
    if (run->workspace)
        place_scratch(on, object, backward ? asked : CLDEFORM_FORWARD, run, &scratch);
    const cldeform_workspace *workspace = run->workspace && scratch.workspace.size > 0 ? &scratch.workspace : NULL;

    if (backward)
        assert_ok(cldeform_roi_pool_backward(object, queue, roi->n, &tensors, &gradients, workspace, 0, NULL, &done));
    else
        assert_ok(cldeform_roi_pool_forward(object, queue, roi->n, &tensors, workspace, 0, NULL, &done));
    assert_non_null(done);
    assert_cl(clFlush(queue));
    assert_cl(clWaitForEvents(1, &done));
    assert_cl(clReleaseEvent(done));

    for (int i = 0; i < TEST_ROI_TENSORS; i++) {
        if (roles[i] == NONE)
            continue;
        test_guarded_check(&guards[i], queue, 0, roles[i] == WRITTEN ? (size_t)roi->tensor[i].shape.elements : 0);
        if (roles[i] == WRITTEN) {
            found.values[i] = allocate(roi->tensor[i].shape.elements);
            test_guarded_values(&guards[i], found.values[i]);
        }
        test_guarded_destroy(&guards[i]);
    }
    if (run->workspace)
        test_scratch_check(&scratch, queue);
    test_scratch_destroy(&scratch);
    cldeform_roi_pool_destroy(object);
    return found;
}

void test_roi_found_free(test_roi_found *found)
{
    for (int i = 0; i < TEST_ROI_TENSORS; i++)
        free(found->values[i]);
    memset(found, 0, sizeof *found);
}
