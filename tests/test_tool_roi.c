/* test_tool_roi.c: roi-pool and psroi-pool on a device: they compute what the reference does, and print a plan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tool_device.h"
#include "tool_roi_case.h"
#include "tool_run.h"
#include "tool_tensor.h"

enum { ALL = 7 }; /* of the gradients */

/* Of the largest value: some roundings of the type, half an ulp of a half more. */
static double find_tolerance(cldeform_dtype dtype)
{
    return dtype == CLDEFORM_F64 ? 1e-13 : dtype == CLDEFORM_F16 ? 0x1p-11 + 1e-5 : 1e-5;
}

static void check_case(tool_roi_case *c, uint32_t seed, const char *more)
{
    const double tolerance = find_tolerance(c->problem.dtype);
    tool_roi_case_write(c, seed);
    tool_run("%s %s %s --output y.npy", tool_roi_case_words(c), tool_roi_case_gradient_words(c, ALL), more);
    tool_assert_success();
    assert_string_equal(tool.out, "");
    tool_roi_case_assert_output(c, tolerance);
    tool_roi_case_assert_gradients(c, ALL, tolerance);
    tool_roi_case_free(c);
}

static void test_align(void **state)
{
    (void)state;
    tool_roi_case c = tool_roi_case_default(CLDEFORM_ROI_ALIGN);
    check_case(&c, 1, "");
}

/* In fp64, where the device has it: kernels are compiled for a while. */
static void test_ps_align(void **state)
{
    (void)state;
    tool_roi_case c = tool_roi_case_default(CLDEFORM_ROI_PS_ALIGN);
    if (tool_has_fp64())
        c.problem.dtype = c.problem.offset_dtype = c.problem.roi_dtype = CLDEFORM_F64;
    check_case(&c, 3, "--algorithm auto");
}

static void test_ps(void **state)
{
    (void)state;
    tool_roi_case c = tool_roi_case_default(CLDEFORM_ROI_PS);
    check_case(&c, 4, "--workspace-limit 1G");
}

/* The gradient by itself too: it needs an argmax, and writes no output. */
static void test_max(void **state)
{
    (void)state;
    tool_roi_case c = tool_roi_case_default(CLDEFORM_ROI_MAX);
    check_case(&c, 5, "");
    c = tool_roi_case_default(CLDEFORM_ROI_MAX);
    tool_roi_case_write(&c, 6);
    tool_run("%s %s", tool_roi_case_words(&c), tool_roi_case_gradient_words(&c, ALL));
    tool_assert_success();
    tool_roi_case_assert_gradients(&c, ALL, find_tolerance(c.problem.dtype));
    tool_assert_no_file("y.npy");
    tool_roi_case_free(&c);
}

/* Halves with offsets in fp32, channels last, and the rest of what roi-pool can be told. */
static void test_fp16(void **state)
{
    (void)state;
    tool_roi_case c = tool_roi_case_default(CLDEFORM_ROI_ALIGN);
    c.problem.dtype = CLDEFORM_F16;
    c.problem.layout = CLDEFORM_NHWC;
    c.problem.sampling_ratio = 0;
    c.problem.offset_gradient = CLDEFORM_ROI_GRADIENT_MMCV;
    check_case(&c, 7, "--algorithm direct --deterministic");
}

static void test_fp64_where_there_is_none(void **state)
{
    (void)state;
    if (tool_has_fp64())
        skip();
    tool_roi_case c = tool_roi_case_default(CLDEFORM_ROI_ALIGN);
    c.problem.dtype = c.problem.offset_dtype = CLDEFORM_F64;
    tool_roi_case_write(&c, 9);
    tool_put_before("y.npy");
    tool_run("%s --output y.npy", tool_roi_case_words(&c));
    tool_assert_failure_with(1, "fp64");
    tool_assert_untouched("y.npy");
    assert_int_equal(remove("y.npy"), 0);
    tool_roi_case_free(&c);
}

static void test_workspace_limit(void **state)
{
    (void)state;
    tool_roi_case c = tool_roi_case_default(CLDEFORM_ROI_ALIGN);
    tool_roi_case_write(&c, 12);
    tool_run("%s %s --workspace-limit 1", tool_roi_case_words(&c), tool_roi_case_gradient_words(&c, ALL));
    tool_assert_failure_with(2, "--workspace-limit: workspace_limit is 1 bytes; the minimum for this problem is ");
    tool_roi_case_assert_gradients(&c, 0, 0);
    tool_roi_case_free(&c);
}

static void test_nothing_to_pool(void **state)
{
    (void)state;
    for (int m = 0; m < 2; m++)
        for (int k = 0; k < 2; k++) {
            tool_roi_case c = tool_roi_case_default(m ? CLDEFORM_ROI_MAX : CLDEFORM_ROI_ALIGN);
            c.rois = k ? -1 : 0;
            c.problem.batch = k ? 0 : 2;
            check_case(&c, 10, "");
        }
}

static void test_plan(void **state)
{
    static const char *const keys[] = {"device",          "algorithm", "reason",        "dtype",
                                       "workspace_bytes", "gflop",     "deterministic", "tuning"};
    char values[8][256];
    (void)state;
    json_t *device = tool_find_device();
    tool_roi_case c = tool_roi_case_default(CLDEFORM_ROI_ALIGN);
    tool_roi_case_write(&c, 11);
    for (int alone = 0; alone < 2; alone++) {
        tool_run("%s --print-plan %s", tool_roi_case_words(&c), alone ? "" : "--output y.npy");
        tool_assert_success();
        for (int i = 0; i < 8; i++)
            tool_get_plan_value(i, keys[i], values[i]);
        assert_non_null(strstr(values[0], json_string_value(json_object_get(device, "name"))));
        assert_string_equal(values[1], "direct");
        assert_string_equal(values[3], "fp32");
        assert_true(strspn(values[4], "0123456789") == strlen(values[4]));
        assert_true(strtod(values[5], NULL) >= 0);
        assert_string_equal(values[6], "true");
        if (!alone)
            tool_roi_case_assert_output(&c, find_tolerance(c.problem.dtype));
        tool_assert_no_file("y.npy");
    }
    tool_roi_case_free(&c);
    json_decref(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_align),
        cmocka_unit_test(test_ps_align),
        cmocka_unit_test(test_ps),
        cmocka_unit_test(test_max),
        cmocka_unit_test(test_fp16),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_fp64_where_there_is_none),
        cmocka_unit_test(test_workspace_limit),
        cmocka_unit_test(test_nothing_to_pool),
    };
    const int without = tool_check_device();
    return without ? without : cmocka_run_group_tests(tests, tool_enter_directory, tool_leave_directory);
}
