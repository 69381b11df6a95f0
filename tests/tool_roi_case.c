/* tool_roi_case.c: see tool_roi_case.h. */
#include "tool_roi_case.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cldeform/cldeform_ref.h"
#include "element.h"
#include "tool_tensor.h"

static const struct {
    const char *file, *option;
} tensors[5] = {
    [ROI_CASE_INPUT] = {"i.npy", "input"},
    [ROI_CASE_OFFSET] = {"o.npy", "offset"},
    [ROI_CASE_MASK] = {"m.npy", "mask"},
    [ROI_CASE_ROIS] = {"r.npy", "rois"},
    [ROI_CASE_GRAD_OUTPUT] = {"g.npy", "grad-output"},
};
static const char *const gradient_files[3] = {"gi.npy", "go.npy", "gm.npy"};

static int of_samples(const tool_roi_case *c)
{
    return c->problem.method == CLDEFORM_ROI_ALIGN || c->problem.method == CLDEFORM_ROI_PS_ALIGN;
}

static int of_positions(const tool_roi_case *c)
{
    return c->problem.method == CLDEFORM_ROI_PS_ALIGN || c->problem.method == CLDEFORM_ROI_PS;
}

tool_roi_case tool_roi_case_default(cldeform_roi_method method)
{
    tool_roi_case c = {
        .problem =
            {
                .struct_size = sizeof(cldeform_roi_pool_problem),
                .method = method,
                .batch = 2,
                .in_channels = 3,
                .levels = 1,
                .level = {{.in_h = 7, .in_w = 9, .spatial_scale = 0.5}},
                .out_h = 2,
                .out_w = 3,
                .offset_scale = 0.25,
                .dtype = CLDEFORM_F32,
                .offset_dtype = CLDEFORM_F32,
                .roi_dtype = CLDEFORM_F32,
            },
        .rois = -1,
        .left_out = "",
    };
    c.problem.deformable = c.problem.modulated = of_samples(&c);
    if (method == CLDEFORM_ROI_ALIGN)
        c.problem.sampling_ratio = 2;
    if (of_positions(&c)) {
        c.problem.group_size = 2;
        c.problem.in_channels = 6 * 2 * 2;
    }
    if (method == CLDEFORM_ROI_PS_ALIGN) {
        c.problem.part_h = 3;
        c.problem.part_w = 2;
        c.problem.samples_h = 2;
        c.problem.samples_w = 3;
        c.problem.offset_classes = 3;
    }
    return c;
}

/* ---- files ---- */

static int64_t count_out_channels(const cldeform_roi_pool_problem *p)
{
    return p->in_channels / (p->group_size > 0 ? p->group_size * p->group_size : 1);
}

static void order(const tool_roi_case *c, int64_t batch, int64_t channels, int64_t h, int64_t w, int64_t shape[4])
{
    int nhwc = c->problem.layout == CLDEFORM_NHWC;
    shape[0] = batch;
    shape[nhwc ? 3 : 1] = channels;
    shape[nhwc ? 1 : 2] = h;
    shape[nhwc ? 2 : 3] = w;
}

static void write_rois(tool_roi_case *c)
{
    static const double some[][5] = {
        {0, 2, 3, 11, 9},    {1, 0, 0, 17, 13},  {1, -5, 4.5, 3, 12}, {0, 12, -3, 23.5, 7},   {1, 3.25, 9, 10, 19.75},
        {0, 30, 30, 40, 44}, {1, 4, 4, 4.25, 4}, {0, 11, 8, 5, 2},    {-1, 2, 3, 11, 9},      {2, 2, 3, 11, 9},
        {0.5, 2, 3, 11, 9},  {0, -9e9, 0, 9, 9}, {1, NAN, 3, 11, 9},  {0, 2, 3, INFINITY, 9},
    };
    const int64_t shape[2] = {c->rois >= 0 ? c->rois : (int64_t)(sizeof some / sizeof *some), 5};
    fault f = {0};
    npy_array *array = &c->files[ROI_CASE_ROIS];
    c->rois = shape[0];
    assert_int_equal(npy_create(array, c->problem.roi_dtype, 2, shape, &f), 0);
    element_from_double(array->dtype, some[0], array->elements, array->data);
    assert_int_equal(npy_write(tensors[ROI_CASE_ROIS].file, array, &f), 0);
}

static void write_tensor(tool_roi_case *c, int which, const int64_t shape[4])
{
    const cldeform_roi_pool_problem *p = &c->problem;
    const int sampling = which == ROI_CASE_OFFSET || which == ROI_CASE_MASK;
    free(tool_write_tensor(&c->files[which], tensors[which].file, sampling ? p->offset_dtype : p->dtype, 4, shape,
                           1000000, 7e5));
}

/* ---- what is expected ---- */

static void compute(tool_roi_case *c)
{
    double *values[5], *gradients[3];
    double *output = calloc(c->expected.elements + 1, sizeof *output);
    int32_t *argmax = calloc(c->expected.elements + 1, sizeof *argmax);
    assert_true(output && argmax);
    for (int i = 0; i < 5; i++)
        values[i] = tool_widen(&c->files[i]);
    for (int i = 0; i < 3; i++)
        gradients[i] = tool_widen(&c->gradients[i]);
    const cldeform_ref_roi_pool_tensors t = {
        .input = {values[ROI_CASE_INPUT]},
        .rois = values[ROI_CASE_ROIS],
        .offset = values[ROI_CASE_OFFSET],
        .mask = values[ROI_CASE_MASK],
        .output = output,
        .argmax = c->problem.method == CLDEFORM_ROI_MAX ? argmax : NULL,
    };
    const cldeform_ref_roi_pool_gradients wanted = {
        .grad_output = values[ROI_CASE_GRAD_OUTPUT],
        .grad_input = {gradients[ROI_CASE_INPUT]},
        .grad_offset = gradients[ROI_CASE_OFFSET],
        .grad_mask = gradients[ROI_CASE_MASK],
    };
    assert_int_equal(cldeform_ref_roi_pool_forward(&c->problem, c->rois, &t), CLDEFORM_OK);
    assert_int_equal(cldeform_ref_roi_pool_backward(&c->problem, c->rois, &t, &wanted), CLDEFORM_OK);
    element_from_double(c->expected.dtype, output, c->expected.elements, c->expected.data);
    for (int i = 0; i < 3; i++) {
        if (gradients[i])
            element_from_double(c->gradients[i].dtype, gradients[i], c->gradients[i].elements, c->gradients[i].data);
        free(gradients[i]);
    }
    for (int i = 0; i < 5; i++)
        free(values[i]);
    free(output);
    free(argmax);
}

void tool_roi_case_write(tool_roi_case *c, uint32_t seed)
{
    fault f = {0};
    cldeform_roi_pool_problem *p = &c->problem;
    int64_t in[4], out[4];
    tool_seed(seed);
    write_rois(c);
    order(c, p->batch, p->in_channels, p->level[0].in_h, p->level[0].in_w, in);
    order(c, c->rois, count_out_channels(p), p->out_h, p->out_w, out);
    write_tensor(c, ROI_CASE_INPUT, in);
    if (p->deformable)
        write_tensor(c, ROI_CASE_OFFSET,
                     (const int64_t[]){c->rois, 2 * (p->offset_classes > 0 ? p->offset_classes : 1),
                                       p->part_h > 0 ? p->part_h : p->out_h, p->part_w > 0 ? p->part_w : p->out_w});
    if (p->modulated)
        write_tensor(c, ROI_CASE_MASK, (const int64_t[]){c->rois, 1, p->out_h, p->out_w});
    write_tensor(c, ROI_CASE_GRAD_OUTPUT, out);
    assert_int_equal(npy_create(&c->expected, p->dtype, 4, out, &f), 0);
    for (int i = 0; i < 3; i++)
        if (c->files[i].rank > 0)
            assert_int_equal(npy_create(&c->gradients[i], c->files[i].dtype, 4, c->files[i].shape, &f), 0);
    compute(c);
}

void tool_roi_case_rewrite(tool_roi_case *c, int which)
{
    fault f = {0};
    assert_int_equal(npy_write(tensors[which].file, &c->files[which], &f), 0);
    compute(c);
}

/* ---- the command line ---- */

/* Unless the case leaves it out. */
static void append(const tool_roi_case *c, char text[1024], const char *option, const char *value)
{
    size_t length = strlen(text);
    if (!strstr(c->left_out, option))
        snprintf(text + length, 1024 - length, " %s %s", option, value);
}

static void append_pair(const tool_roi_case *c, char text[1024], const char *option, int64_t h, int64_t w)
{
    char value[48];
    snprintf(value, sizeof value, h == w ? "%lld" : "%lld,%lld", (long long)h, (long long)w);
    if (h > 0)
        append(c, text, option, value);
}

const char *tool_roi_case_words(const tool_roi_case *c)
{
    static char text[1024];
    static const char *const modes[] = {
        [CLDEFORM_ROI_ALIGN] = "align",
        [CLDEFORM_ROI_PS_ALIGN] = "deformable",
        [CLDEFORM_ROI_PS] = "plain",
        [CLDEFORM_ROI_MAX] = "max",
    };
    const cldeform_roi_pool_problem *p = &c->problem;
    const int ps = of_positions(c);
    char value[48], option[48];
    snprintf(text, sizeof text, "%s", ps ? "psroi-pool" : "roi-pool");
    for (int i = 0; i < 4; i++) {
        snprintf(option, sizeof option, "--%s", tensors[i].option);
        if (c->files[i].rank > 0)
            append(c, text, option, tensors[i].file);
    }
    append(c, text, "--mode", modes[p->method]);
    append_pair(c, text, "--output-size", p->out_h, p->out_w);
    snprintf(value, sizeof value, "%.17g", p->level[0].spatial_scale);
    append(c, text, "--spatial-scale", value);
    if (ps)
        append_pair(c, text, "--output-dim", count_out_channels(p), count_out_channels(p));
    append_pair(c, text, "--group-size", ps ? p->group_size : 0, p->group_size);
    append_pair(c, text, "--part-size", p->part_h, p->part_w);
    append_pair(c, text, "--sample-per-part", p->samples_h, p->samples_w);
    append_pair(c, text, "--sampling-ratio", p->sampling_ratio, p->sampling_ratio);
    snprintf(value, sizeof value, "%.17g", p->offset_scale);
    if (p->deformable && p->offset_scale != 0)
        append(c, text, ps ? "--trans-std" : "--gamma", value);
    if (p->offset_gradient == CLDEFORM_ROI_GRADIENT_MMCV)
        append(c, text, "--offset-gradient", "mmcv");
    if (p->layout == CLDEFORM_NHWC)
        append(c, text, "--layout", "nhwc");
    return text;
}

const char *tool_roi_case_gradient_words(const tool_roi_case *c, unsigned which)
{
    static char text[256];
    size_t length = (size_t)snprintf(text, sizeof text, "--grad-output g.npy");
    for (int i = 0; i < 3; i++)
        if ((which >> i & 1) && c->gradients[i].rank > 0)
            length += (size_t)snprintf(text + length, sizeof text - length, " --grad-%s %s", tensors[i].option,
                                       gradient_files[i]);
    return text;
}

/* ---- results ---- */

void tool_roi_case_assert_output(const tool_roi_case *c, double tolerance)
{
    tool_assert_file(&c->expected, "y.npy", tolerance);
}

void tool_roi_case_assert_gradients(const tool_roi_case *c, unsigned which, double tolerance)
{
    for (int i = 0; i < 3; i++) {
        if ((which >> i & 1) && c->gradients[i].rank > 0)
            tool_assert_file(&c->gradients[i], gradient_files[i], tolerance);
        else
            tool_assert_no_file(gradient_files[i]);
    }
}

void tool_roi_case_free(tool_roi_case *c)
{
    for (int i = 0; i < 5; i++)
        npy_free(&c->files[i]);
    for (int i = 0; i < 3; i++)
        npy_free(&c->gradients[i]);
    npy_free(&c->expected);
}
