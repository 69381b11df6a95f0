/* test_tool_conv2d.c: the command line tool's conv2d on a device: it computes what the reference does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tool_case.h"
#include "tool_device.h"
#include "tool_run.h"

/* By the device with one algorithm (its kernels are those of any number of channels), and by the reference. */
static void check_case(tool_case *c, uint32_t seed, const char *more)
{
    static const char *const algorithms[] = {"--algorithm im2col", "--algorithm reference"};
    tool_case_write(c, seed);
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
        tool_run("conv2d %s %s %s --output y.npy", tool_case_options(c), more, algorithms[i]);
        tool_assert_success();
        assert_string_equal(tool.out, "");
        tool_case_assert_output(c, "y.npy");
    }
    tool_case_free(c);
}

static void test_algorithms(void **state)
{
    static const char *const algorithms[] = {"auto", "im2col", "fused", "tiled", "reference"};
    (void)state;
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
        char option[64];
        tool_case c = tool_case_default();
        snprintf(option, sizeof option, "--algorithm %s", algorithms[i]);
        tool_case_write(&c, 50);
        tool_run("conv2d %s %s --output y.npy --print-plan", tool_case_options(&c), option);
        tool_assert_success();
        tool_case_assert_output(&c, "y.npy");
        snprintf(option, sizeof option, "\nalgorithm: %s", i == 0 ? "" : algorithms[i]);
        assert_non_null(strstr(tool.out, option));
        tool_case_free(&c);
    }
}

/* Version 2, version 1 and the ordinary convolution, without a bias where k is odd. */
static void check_kinds(cldeform_dtype dtype, cldeform_dtype offset_dtype)
{
    static const cldeform_conv2d_kind kinds[] = {CLDEFORM_CONV2D_MODULATED, CLDEFORM_CONV2D_DEFORMABLE,
                                                 CLDEFORM_CONV2D_PLAIN};
    for (int k = 0; k < 3; k++) {
        tool_case c = tool_case_default();
        c.problem.kind = kinds[k];
        c.problem.dtype = dtype;
        c.problem.offset_dtype = offset_dtype;
        c.bias = k % 2 == 0;
        check_case(&c, 100 + (uint32_t)k, "");
    }
}

static void test_fp32(void **state)
{
    (void)state;
    check_kinds(CLDEFORM_F32, CLDEFORM_F32);
}

static void test_fp16(void **state)
{
    (void)state;
    check_kinds(CLDEFORM_F16, CLDEFORM_F16);
    check_kinds(CLDEFORM_F16, CLDEFORM_F32);
}

static void test_fp64(void **state)
{
    (void)state;
    if (!tool_has_fp64())
        skip();
    check_kinds(CLDEFORM_F64, CLDEFORM_F64);
}

static void test_fp64_where_there_is_none(void **state)
{
    (void)state;
    if (tool_has_fp64())
        skip();
    tool_case c = tool_case_default();
    c.problem.dtype = c.problem.offset_dtype = CLDEFORM_F64;
    tool_case_write(&c, 1);
    tool_put_before("y.npy");
    tool_run("conv2d %s --output y.npy", tool_case_options(&c));
    tool_assert_failure_with(1, "fp64");
    tool_assert_untouched("y.npy");
    tool_run("conv2d %s --output y.npy --algorithm reference", tool_case_options(&c));
    tool_assert_success();
    tool_case_assert_output(&c, "y.npy");
    tool_case_free(&c);
}

/* The library has one type for offset and mask, the tool takes each on its own. */
static void test_offset_and_mask_of_two_types(void **state)
{
    static const char *const paths[] = {"o.npy", "m.npy"};
    (void)state;
    for (int k = 0; k < 2; k++) {
        fault f = {0};
        npy_array wide = {0};
        tool_case c = tool_case_default();
        c.problem.dtype = CLDEFORM_F16;
        tool_case_write(&c, 7); /* fp32 both; quarters fit a half as well */
        npy_array *array = &c.files[k == 0 ? CASE_OFFSET : CASE_MASK];
        assert_int_equal(npy_create(&wide, CLDEFORM_F16, 4, array->shape, &f), 0);
        for (size_t i = 0; i < wide.elements; i++) { /* sign, exponent, top of the fraction: exact for quarters */
            uint32_t bits = ((uint32_t *)array->data)[i];
            uint32_t exponent = bits >> 23 & 255;
            ((uint16_t *)wide.data)[i] =
                (uint16_t)((bits >> 16 & 0x8000) | (exponent == 0 ? 0 : (exponent - 112) << 10 | (bits >> 13 & 0x3ff)));
        }
        assert_int_equal(npy_write(paths[k], &wide, &f), 0);
        tool_run("conv2d %s --output y.npy", tool_case_options(&c));
        tool_assert_success();
        tool_case_assert_output(&c, "y.npy");
        npy_free(&wide);
        tool_case_free(&c);
    }
}

static void test_layouts_and_borders(void **state)
{
    (void)state;
    for (int layout = 0; layout < 2; layout++)
        for (int border = 0; border < 2; border++) {
            tool_case c = tool_case_default();
            c.problem.layout = layout ? CLDEFORM_NHWC : CLDEFORM_NCHW;
            c.problem.border = border ? CLDEFORM_BORDER_EDGE : CLDEFORM_BORDER_ZERO;
            check_case(&c, 200 + (uint32_t)(2 * layout + border), border ? "" : "--border zero");
        }
}

static void test_groups_given(void **state)
{
    (void)state;
    tool_case c = tool_case_default();
    check_case(&c, 300, "--groups 2 --offset-groups 2");
    c = tool_case_default();
    c.problem.groups = 1;
    c.problem.offset_groups = 4;
    check_case(&c, 301, "--groups 1");
    c = tool_case_default();
    c.problem.groups = 2;
    c.problem.offset_groups = 1;
    check_case(&c, 302, "--offset-groups 1 --deterministic --layout nchw");
}

/* A later option replaces an earlier one, so that each way to write them can follow tool_case_options. */
static void test_ways_to_write_numbers(void **state)
{
    static const struct {
        const char *options;
        int64_t pad[4], stride[2], dilation[2];
    } rows[] = {
        {"--pad 2", {2, 2, 2, 2}, {2, 1}, {1, 2}},
        {"--pad 2,1", {2, 1, 2, 1}, {2, 1}, {1, 2}},
        {"--pad=0,3,2,1", {0, 3, 2, 1}, {2, 1}, {1, 2}},
        {"--stride 2", {2, 1, 0, 3}, {2, 2}, {1, 2}},
        {"--stride 1,3", {2, 1, 0, 3}, {1, 3}, {1, 2}},
        {"--dilation 2", {2, 1, 0, 3}, {2, 1}, {2, 2}},
        {"--dilation 2,1 --workspace-limit 0", {2, 1, 0, 3}, {2, 1}, {2, 1}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tool_case c = tool_case_default();
        cldeform_conv2d_problem *p = &c.problem;
        p->pad_top = rows[i].pad[0];
        p->pad_left = rows[i].pad[1];
        p->pad_bottom = rows[i].pad[2];
        p->pad_right = rows[i].pad[3];
        p->stride_h = rows[i].stride[0];
        p->stride_w = rows[i].stride[1];
        p->dilation_h = rows[i].dilation[0];
        p->dilation_w = rows[i].dilation[1];
        tool_case_write(&c, 400 + (uint32_t)i);
        tool_case given = tool_case_default();
        tool_run("conv2d %s %s --output y.npy", tool_case_options(&given), rows[i].options);
        tool_assert_success();
        tool_case_assert_output(&c, "y.npy");
        tool_case_free(&c);
    }
    /* nothing written is stride 1, pad 0, dilation 1 */
    tool_case c = tool_case_default();
    c.problem.pad_top = c.problem.pad_left = c.problem.pad_right = 0;
    c.problem.stride_h = c.problem.dilation_w = 1;
    tool_case_write(&c, 450);
    tool_run("conv2d --input i.npy --weight w.npy --offset o.npy --mask m.npy --bias b.npy --output y.npy");
    tool_assert_success();
    tool_case_assert_output(&c, "y.npy");
    tool_case_free(&c);
}

static void test_empty_batch(void **state)
{
    (void)state;
    for (int nhwc = 0; nhwc < 2; nhwc++) {
        tool_case c = tool_case_default();
        c.problem.batch = 0;
        c.problem.layout = nhwc ? CLDEFORM_NHWC : CLDEFORM_NCHW;
        check_case(&c, 500, "");
    }
}

/* The input's file is read before the output's is written. */
static void test_output_over_input(void **state)
{
    (void)state;
    tool_case c = tool_case_default();
    tool_case_write(&c, 600);
    tool_run("conv2d %s --output i.npy", tool_case_options(&c));
    tool_assert_success();
    tool_case_assert_output(&c, "i.npy");
    tool_case_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_algorithms),
        cmocka_unit_test(test_fp32),
        cmocka_unit_test(test_fp16),
        cmocka_unit_test(test_fp64),
        cmocka_unit_test(test_fp64_where_there_is_none),
        cmocka_unit_test(test_offset_and_mask_of_two_types),
        cmocka_unit_test(test_layouts_and_borders),
        cmocka_unit_test(test_groups_given),
        cmocka_unit_test(test_ways_to_write_numbers),
        cmocka_unit_test(test_empty_batch),
        cmocka_unit_test(test_output_over_input),
    };
    const int without = tool_check_device();
    return without ? without : cmocka_run_group_tests(tests, tool_enter_directory, tool_leave_directory);
}
