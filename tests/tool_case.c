/* tool_case.c: see tool_case.h. */
#include "tool_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cldeform/cldeform_ref.h"
#include "element.h"
#include "tool_tensor.h"

tool_case tool_case_default(void)
{
    return (tool_case){
        .problem =
            {
                .struct_size = sizeof(cldeform_conv2d_problem),
                .kind = CLDEFORM_CONV2D_MODULATED,
                .batch = 2,
                .in_channels = 4,
                .in_h = 7,
                .in_w = 6,
                .out_channels = 6,
                .kernel_h = 3,
                .kernel_w = 2,
                .stride_h = 2,
                .stride_w = 1,
                .dilation_h = 1,
                .dilation_w = 2,
                .pad_top = 2,
                .pad_left = 1,
                .pad_bottom = 0,
                .pad_right = 3,
                .groups = 2,
                .offset_groups = 2,
                .dtype = CLDEFORM_F32,
                .offset_dtype = CLDEFORM_F32,
            },
        .bias = 1,
        .exact = 1,
    };
}

/* The tensor as a file, and as doubles, which the caller frees. */
static double *make_tensor(tool_case *c, int which, const char *path, int rank, const int64_t *shape)
{
    const int sampling = which == CASE_OFFSET || which == CASE_MASK;
    const int range = !c->exact ? 1000000 : which == CASE_OFFSET ? 10 : 4;
    return tool_write_tensor(&c->files[which], path, sampling ? c->problem.offset_dtype : c->problem.dtype, rank, shape,
                             range,
                             !c->exact  ? 7e5
                             : sampling ? 4
                                        : 1);
}

static int64_t measure_out(int64_t in, int64_t pads, int64_t dilation, int64_t kernel, int64_t stride)
{
    return (in + pads - dilation * (kernel - 1) - 1) / stride + 1;
}

static void order(const tool_case *c, int64_t channels, int64_t h, int64_t w, int64_t shape[4])
{
    int nhwc = c->problem.layout == CLDEFORM_NHWC;
    shape[0] = c->problem.batch;
    shape[nhwc ? 3 : 1] = channels;
    shape[nhwc ? 1 : 2] = h;
    shape[nhwc ? 2 : 3] = w;
}

void tool_case_write(tool_case *c, uint32_t seed)
{
    fault f = {0};
    const cldeform_conv2d_problem *p = &c->problem;
    if (p->kind == CLDEFORM_CONV2D_PLAIN)
        c->problem.offset_groups = 1;
    int64_t taps = p->kernel_h * p->kernel_w, out[4], in[4];
    int64_t out_h = measure_out(p->in_h, p->pad_top + p->pad_bottom, p->dilation_h, p->kernel_h, p->stride_h);
    int64_t out_w = measure_out(p->in_w, p->pad_left + p->pad_right, p->dilation_w, p->kernel_w, p->stride_w);
    double *offset = NULL, *mask = NULL, *bias = NULL;
    tool_seed(seed);
    order(c, p->in_channels, p->in_h, p->in_w, in);
    order(c, p->out_channels, out_h, out_w, out);
    double *input = make_tensor(c, CASE_INPUT, "i.npy", 4, in);
    double *weight =
        make_tensor(c, CASE_WEIGHT, "w.npy", 4,
                    (const int64_t[]){p->out_channels, p->in_channels / p->groups, p->kernel_h, p->kernel_w});
    if (p->kind != CLDEFORM_CONV2D_PLAIN)
        offset = make_tensor(c, CASE_OFFSET, "o.npy", 4,
                             (const int64_t[]){p->batch, 2 * p->offset_groups * taps, out_h, out_w});
    if (p->kind == CLDEFORM_CONV2D_MODULATED)
        mask =
            make_tensor(c, CASE_MASK, "m.npy", 4, (const int64_t[]){p->batch, p->offset_groups * taps, out_h, out_w});
    if (c->bias)
        bias = make_tensor(c, CASE_BIAS, "b.npy", 1, &p->out_channels);

    assert_int_equal(npy_create(&c->expected, p->dtype, 4, out, &f), 0);
    double *output = calloc(c->expected.elements + 1, sizeof *output);
    assert_non_null(output);
    assert_int_equal(cldeform_ref_conv2d_forward(p, input, offset, mask, weight, bias, output), CLDEFORM_OK);
    element_from_double(p->dtype, output, c->expected.elements, c->expected.data);
    free(input);
    free(weight);
    free(offset);
    free(mask);
    free(bias);
    free(output);
}

void tool_case_write_gradients(tool_case *c)
{
    fault f = {0};
    double *values[6], *gradients[5] = {NULL};
    free(make_tensor(c, CASE_GRAD_OUTPUT, "g.npy", 4, c->expected.shape));
    for (int i = 0; i < 6; i++)
        values[i] = tool_widen(&c->files[i]);
    for (int i = 0; i < 5; i++) {
        const npy_array *of = &c->files[i];
        if (i == CASE_BIAS)
            assert_int_equal(npy_create(&c->gradients[i], c->problem.dtype, 1, &c->problem.out_channels, &f), 0);
        else if (of->rank > 0)
            assert_int_equal(npy_create(&c->gradients[i], of->dtype, of->rank, of->shape, &f), 0);
        gradients[i] = tool_widen(&c->gradients[i]);
    }
    const cldeform_ref_conv2d_gradients wanted = {
        .grad_output = values[CASE_GRAD_OUTPUT],
        .grad_input = gradients[CASE_INPUT],
        .grad_offset = gradients[CASE_OFFSET],
        .grad_mask = gradients[CASE_MASK],
        .grad_weight = gradients[CASE_WEIGHT],
        .grad_bias = gradients[CASE_BIAS],
    };
    assert_int_equal(cldeform_ref_conv2d_backward(&c->problem, values[CASE_INPUT], values[CASE_OFFSET],
                                                  values[CASE_MASK], values[CASE_WEIGHT], &wanted),
                     CLDEFORM_OK);
    for (int i = 0; i < 5; i++) {
        if (gradients[i])
            element_from_double(c->gradients[i].dtype, gradients[i], c->gradients[i].elements, c->gradients[i].data);
        free(gradients[i]);
    }
    for (int i = 0; i < 6; i++)
        free(values[i]);
}

static const char *const gradient_files[5] = {
    [CASE_INPUT] = "gi.npy", [CASE_WEIGHT] = "gw.npy", [CASE_OFFSET] = "go.npy",
    [CASE_MASK] = "gm.npy",  [CASE_BIAS] = "gb.npy",
};

const char *tool_case_gradient_path(int which)
{
    return gradient_files[which];
}

const char *tool_case_gradient_options(const tool_case *c, unsigned which)
{
    static const char *const options[5] = {
        [CASE_INPUT] = "--grad-input", [CASE_WEIGHT] = "--grad-weight", [CASE_OFFSET] = "--grad-offset",
        [CASE_MASK] = "--grad-mask",   [CASE_BIAS] = "--grad-bias",
    };
    static char text[256];
    size_t length = (size_t)snprintf(text, sizeof text, "--grad-output g.npy");
    for (int i = 0; i < 5; i++)
        if ((which >> i & 1) && c->gradients[i].rank > 0)
            length += (size_t)snprintf(text + length, sizeof text - length, " %s %s", options[i], gradient_files[i]);
    return text;
}

const char *tool_case_options(const tool_case *c)
{
    static char text[512];
    const cldeform_conv2d_problem *p = &c->problem;
    snprintf(
        text, sizeof text, "--input i.npy --weight w.npy%s%s%s --stride %d,%d --pad %d,%d,%d,%d --dilation %d,%d%s%s%s",
        p->kind != CLDEFORM_CONV2D_PLAIN ? " --offset o.npy" : "",
        p->kind == CLDEFORM_CONV2D_MODULATED ? " --mask m.npy" : "", c->bias ? " --bias b.npy" : "", (int)p->stride_h,
        (int)p->stride_w, (int)p->pad_top, (int)p->pad_left, (int)p->pad_bottom, (int)p->pad_right, (int)p->dilation_h,
        (int)p->dilation_w, p->layout == CLDEFORM_NHWC ? " --layout nhwc" : "",
        p->border == CLDEFORM_BORDER_EDGE ? " --border edge" : "",
        p->offset_gradient == CLDEFORM_OFFSET_GRADIENT_OPEN ? " --offset-gradient open" : "");
    return text;
}

void tool_case_assert_output(const tool_case *c, const char *path)
{
    tool_assert_file(&c->expected, path, 0);
}

void tool_case_assert_gradients(const tool_case *c, unsigned which)
{
    for (int i = 0; i < 5; i++) {
        if ((which >> i & 1) && c->gradients[i].rank > 0) {
            tool_assert_file(&c->gradients[i], gradient_files[i], 0);
            continue;
        }
        tool_assert_no_file(gradient_files[i]);
    }
}

void tool_case_free(tool_case *c)
{
    for (size_t i = 0; i < sizeof c->files / sizeof *c->files; i++)
        npy_free(&c->files[i]);
    for (size_t i = 0; i < sizeof c->gradients / sizeof *c->gradients; i++)
        npy_free(&c->gradients[i]);
    npy_free(&c->expected);
}
