#include "ref_roi.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double *filled(int64_t elements, double value)
{
    double *values = malloc(((size_t)elements + 1) * sizeof *values);
    assert_non_null(values);
    for (int64_t e = 0; e <= elements; e++)
        values[e] = value;
    return values;
}

static int64_t or_default(int64_t value, int64_t otherwise)
{
    return value ? value : otherwise;
}

static void count_elements(test_ref_roi *t)
{
    const cldeform_roi_pool_problem *p = &t->problem;
    const bool sensitive = p->method == CLDEFORM_ROI_PS || p->method == CLDEFORM_ROI_PS_ALIGN;
    const int64_t group = sensitive ? or_default(p->group_size, p->out_h) : 1;
    const int64_t parts = or_default(p->part_h, p->out_h) * or_default(p->part_w, p->out_w);
    t->levels = or_default(p->levels, 1);
    t->out_channels = p->in_channels / (group * group);
    t->outputs = t->rois * t->out_channels * p->out_h * p->out_w;
    for (int64_t l = 0; l < t->levels; l++)
        t->inputs[l] = p->batch * p->in_channels * p->level[l].in_h * p->level[l].in_w;
    t->offsets = p->deformable ? t->rois * 2 * or_default(p->offset_classes, 1) * parts : 0;
    t->masks = p->modulated ? t->rois * p->out_h * p->out_w : 0;
}

void test_ref_roi_create(test_ref_roi *t, const cldeform_roi_pool_problem *problem, int64_t rois)
{
    memset(t, 0, sizeof *t);
    t->problem = *problem;
    t->rois = rois;
    count_elements(t);
    for (int64_t l = 0; l < t->levels; l++) {
        t->input[l] = filled(t->inputs[l], 0);
        t->grad_input[l] = filled(t->inputs[l], 0);
    }
    t->roi = filled(5 * rois, 0);
    for (int64_t r = 0; r < rois; r++)
        test_ref_roi_set(t, r, 0, 0, 0, (double)problem->level[0].in_w / problem->level[0].spatial_scale,
                         (double)problem->level[0].in_h / problem->level[0].spatial_scale);
    t->output = filled(t->outputs, 0);
    t->grad_output = filled(t->outputs, 1);
    if (problem->deformable) {
        t->offset = filled(t->offsets, 0);
        t->grad_offset = filled(t->offsets, 0);
    }
    if (problem->modulated) {
        t->mask = filled(t->masks, 1);
        t->grad_mask = filled(t->masks, 0);
    }
    if (problem->method == CLDEFORM_ROI_MAX) {
        t->argmax = calloc((size_t)t->outputs + 1, sizeof *t->argmax);
        assert_non_null(t->argmax);
    }
}

void test_ref_roi_destroy(test_ref_roi *t)
{
    for (int64_t l = 0; l < t->levels; l++) {
        free(t->input[l]);
        free(t->grad_input[l]);
    }
    void *const others[] = {t->roi,    t->offset,      t->mask,        t->output,   t->level,
                            t->argmax, t->grad_output, t->grad_offset, t->grad_mask};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        free(others[i]);
}

void test_ref_roi_set(test_ref_roi *t, int64_t r, double image, double x1, double y1, double x2, double y2)
{
    const double values[5] = {image, x1, y1, x2, y2};
    memcpy(t->roi + 5 * r, values, sizeof values);
}

static cldeform_ref_roi_pool_tensors tensors_of(const test_ref_roi *t)
{
    cldeform_ref_roi_pool_tensors all = {.rois = t->roi, .level = t->level, .offset = t->offset, .mask = t->mask};
    for (int64_t l = 0; l < t->levels; l++)
        all.input[l] = t->input[l];
    all.argmax = t->argmax;
    return all;
}

static void fill(double *values, int64_t elements, double value)
{
    for (int64_t e = 0; values && e < elements; e++)
        values[e] = value;
}

void test_ref_roi_forward(test_ref_roi *t)
{
    cldeform_ref_roi_pool_tensors all = tensors_of(t);
    all.output = t->output;
    fill(t->output, t->outputs, NAN);
    for (int64_t e = 0; t->argmax && e < t->outputs; e++)
        t->argmax[e] = -7;
    assert_ok(cldeform_ref_roi_pool_forward(&t->problem, t->rois, &all));
    for (int64_t e = 0; t->argmax && e < t->outputs; e++)
        assert_true(t->argmax[e] >= -1);
}

void test_ref_roi_backward(test_ref_roi *t)
{
    const cldeform_ref_roi_pool_tensors all = tensors_of(t);
    cldeform_ref_roi_pool_gradients to = {.grad_output = t->grad_output};
    for (int64_t l = 0; l < t->levels; l++) {
        fill(t->grad_input[l], t->inputs[l], NAN);
        to.grad_input[l] = t->grad_input[l];
    }
    fill(to.grad_offset = t->grad_offset, t->offsets, NAN);
    fill(to.grad_mask = t->grad_mask, t->masks, NAN);
    assert_ok(cldeform_ref_roi_pool_backward(&t->problem, t->rois, &all, &to));
}

double test_ref_roi_next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) / 16777216.0;
}

void test_ref_roi_expect(double found, double wanted, const char *what, double y, double x)
{
    if (!(found == wanted) && !(isnan(found) && isnan(wanted)))
        fail_msg("%s at (%.17g, %.17g) is %.17g; it must be %.17g", what, y, x, found, wanted);
}
