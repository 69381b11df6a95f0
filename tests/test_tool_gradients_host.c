/* test_tool_gradients_host.c: gradients on the command line where there is no OpenCL device: what is refused and how,
 * and what the reference computes. The loader is shown an empty directory throughout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tool_case.h"
#include "tool_run.h"
#include "tool_tensor.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { ALL = 31 }; /* of the gradients */

/* ---- what is refused ---- */

#define NONE_ASKED                                                                                                     \
    "--grad-output is given but no gradient is asked for, expected --grad-input, --grad-weight, --grad-offset, "       \
    "--grad-mask or --grad-bias"

/* Each row: options after input and weight. No file that is asked for is touched. */
static void test_refused_options(void **state)
{
    static const struct {
        const char *options, *message;
    } rows[] = {
        {"--grad-input gi.npy", "--grad-input needs --grad-output"},
        {"--output y.npy --grad-bias gi.npy", "--grad-bias needs --grad-output"},
        {"--print-plan --grad-weight gi.npy", "--grad-weight needs --grad-output"},
        {"--grad-output g.npy", NONE_ASKED},
        {"--grad-output g.npy --output y.npy", NONE_ASKED},
        {"--grad-output g.npy --print-plan", NONE_ASKED},
        {"--grad-output g.npy --grad-offset gi.npy", "--grad-offset needs --offset"},
        {"--grad-output g.npy --grad-mask gi.npy", "--grad-mask needs --mask"},
        {"--grad-output g.npy --offset o.npy --grad-mask gi.npy", "--grad-mask needs --mask"},
        {"--grad-output g.npy --grad-input gi.npy --mask m.npy", "--mask needs --offset"},
        {"--output y.npy --offset o.npy --offset-gradient open --border edge",
         "--offset-gradient open is not possible with --border edge, expected strict"},
        {"--output y.npy --offset-gradient open", "--offset-gradient open needs --offset"},
        {"--output y.npy --offset-gradient wide", "--offset-gradient is \"wide\", expected one of: strict, open"},
        {"--output y.npy --grad-output g.npy --grad-input y.npy",
         "--output and --grad-input are both y.npy, expected a file each"},
        {"--grad-output g.npy --grad-bias gi.npy --grad-weight gi.npy",
         "--grad-weight and --grad-bias are both gi.npy, expected a file each"},
        {"--grad-outpu g.npy", "unknown option --grad-outpu; see \"cldeform conv2d --help\""},
        {"--grad-input", "option --grad-input needs a value; see \"cldeform conv2d --help\""},
        {"--grad-output missing.npy --grad-input gi.npy", "missing.npy cannot be opened: No such file or directory"},
        {"--grad-output w.npy --grad-input gi.npy", "grad_output w.npy has shape (6,2,3,2), expected (2,6,4,8)"},
        {"--grad-output b.npy --grad-input gi.npy --output y.npy",
         "grad_output b.npy has shape (6,), expected (2,6,4,8)"},
        {"--grad-output half.npy --grad-input gi.npy",
         "grad_output half.npy has type '<f2', expected '<f4', the input's type"},
    };
    (void)state;
    tool_case c = tool_case_default();
    tool_case_write(&c, 1);
    tool_case_write_gradients(&c);
    tool_write_zeros("half.npy", CLDEFORM_F16, 4, c.expected.shape);
    tool_put_before("y.npy");
    tool_put_before("gi.npy");
    for (size_t i = 0; i < COUNT(rows); i++) {
        tool_assert_refused(rows[i].message,
                            "conv2d --input i.npy --weight w.npy --stride 2,1 --pad 2,1,0,3 --dilation 1,2 --algorithm "
                            "reference %s",
                            rows[i].options);
        tool_assert_untouched("y.npy");
        tool_assert_untouched("gi.npy");
    }
    assert_int_equal(remove("y.npy") | remove("gi.npy") | remove("half.npy"), 0);
    tool_case_free(&c);
}

/* With NHWC the gradient of the output is NHWC too. */
static void test_refused_layout(void **state)
{
    (void)state;
    tool_case c = tool_case_default();
    c.problem.layout = CLDEFORM_NHWC;
    tool_case_write(&c, 2);
    tool_case nchw = tool_case_default();
    tool_case_write_gradients(&c);
    const int64_t shape[] = {2, 6, 4, 8};
    tool_write_zeros("g.npy", nchw.problem.dtype, 4, shape);
    tool_assert_refused("grad_output g.npy has shape (2,6,4,8), expected (2,4,8,6)",
                        "conv2d %s %s --algorithm reference", tool_case_options(&c),
                        tool_case_gradient_options(&c, ALL));
    tool_case_free(&c);
}

/* One file that cannot be written, and none is. */
static void test_all_files_or_none(void **state)
{
    (void)state;
    tool_case c = tool_case_default();
    tool_case_write(&c, 3);
    tool_case_write_gradients(&c);
    tool_put_before("y.npy");
    tool_assert_refused("missing/gb.npy cannot be written: No such file or directory",
                        "conv2d %s %s --algorithm reference --output y.npy --grad-bias missing/gb.npy",
                        tool_case_options(&c), tool_case_gradient_options(&c, ALL));
    tool_assert_untouched("y.npy");
    assert_int_equal(remove("y.npy"), 0);
    tool_case_free(&c);
}

static void test_refused_gradcheck(void **state)
{
    static const struct {
        const char *options, *message;
    } rows[] = {
        {"--dtype f32", "--dtype is \"f32\", expected one of: fp16, fp32, fp64"},
        {"--kind v2", "--kind is \"v2\", expected one of: deformable, modulated, plain"},
        {"--layout chw", "--layout is \"chw\", expected one of: nchw, nhwc"},
        {"--border none", "--border is \"none\", expected one of: zero, edge"},
        {"--offset-gradient no", "--offset-gradient is \"no\", expected one of: strict, open"},
        {"--groups 0", "--groups is \"0\", expected a whole number from 1 to 2147483647"},
        {"--groups 9", "--groups is \"9\", expected a whole number from 1 to 8"},
        {"--offset-groups 9", "--offset-groups is \"9\", expected a whole number from 1 to 8"},
        {"--seed -1", "--seed is \"-1\", expected a whole number from 0 to 2147483647"},
        {"--algorithm reference", "--algorithm is \"reference\", expected one of: auto, im2col, fused, tiled"},
        {"--border edge --offset-gradient open",
         "--offset-gradient open is not possible with --border edge, expected strict"},
        {"--kind plain --border edge", "--border edge needs offsets, expected --kind deformable or modulated"},
        {"--kind plain --offset-gradient open",
         "--offset-gradient open needs offsets, expected --kind deformable or modulated"},
        {"--kind plain --offset-groups 2", "--offset-groups needs offsets, expected --kind deformable or modulated"},
        {"--input i.npy", "unknown or ambiguous option --input; see \"cldeform gradcheck --help\""},
        {"more", "unexpected argument \"more\"; see \"cldeform gradcheck --help\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        tool_assert_refused(rows[i].message, "gradcheck %s", rows[i].options);
    tool_run("gradcheck --kind plain --offset-groups 1");
    tool_assert_failure(1, TOOL_NO_DEVICE);
}

static void test_gradcheck_help(void **state)
{
    static const char *const options[] = {"--device D",
                                          "--dtype fp16|fp32|fp64",
                                          "--kind deformable|modulated|plain",
                                          "--layout nchw|nhwc",
                                          "--border zero|edge",
                                          "--offset-gradient strict|open",
                                          "--groups N",
                                          "--offset-groups N",
                                          "--seed N",
                                          "--deterministic",
                                          "--algorithm auto|im2col|fused",
                                          NULL};
    (void)state;
    tool_assert_help("gradcheck", options);
}

/* ---- the reference ---- */

static void test_reference(void **state)
{
    static const cldeform_dtype dtypes[] = {CLDEFORM_F16, CLDEFORM_F32, CLDEFORM_F64};
    (void)state;
    for (size_t i = 0; i < COUNT(dtypes); i++) {
        tool_case c = tool_case_default();
        c.problem.dtype = c.problem.offset_dtype = dtypes[i];
        c.exact = 0; /* it rounds once, as the expected values were */
        tool_case_write(&c, 4);
        tool_case_write_gradients(&c);
        tool_run("conv2d %s %s --output y.npy --algorithm reference", tool_case_options(&c),
                 tool_case_gradient_options(&c, ALL));
        tool_assert_success();
        assert_string_equal(tool.out, "");
        tool_case_assert_output(&c, "y.npy");
        tool_case_assert_gradients(&c, ALL);
        tool_case_free(&c);
    }
}

/* Forward is 9.216e-06 (test_reference_plan): one matrix product, and another for the gradient of the weights, and
 * another for all that follow from the gradient of the columns. */
static void test_reference_plan(void **state)
{
    static const struct {
        unsigned gradients;
        const char *output, *gflop;
    } rows[] = {
        {1u << CASE_BIAS, "", "gflop: 0\n"},
        {1u << CASE_WEIGHT, "", "gflop: 9.216e-06\n"},
        {1u << CASE_INPUT | 1u << CASE_OFFSET | 1u << CASE_MASK, "", "gflop: 9.216e-06\n"},
        {ALL, "", "gflop: 1.8432e-05\n"},
        {ALL, "--output y.npy", "gflop: 2.7648e-05\n"},
    };
    (void)state;
    tool_case c = tool_case_default();
    tool_case_write(&c, 5);
    tool_case_write_gradients(&c);
    for (size_t i = 0; i < COUNT(rows); i++) {
        tool_run("conv2d %s %s %s --algorithm reference --print-plan", tool_case_options(&c),
                 tool_case_gradient_options(&c, rows[i].gradients), rows[i].output);
        tool_assert_success();
        assert_non_null(strstr(tool.out, rows[i].gflop));
        tool_case_assert_gradients(&c, rows[i].gradients);
    }
    tool_case_assert_output(&c, "y.npy");
    tool_case_free(&c);
}

static void test_no_device(void **state)
{
    (void)state;
    tool_case c = tool_case_default();
    tool_case_write(&c, 6);
    tool_case_write_gradients(&c);
    tool_run("conv2d %s %s", tool_case_options(&c), tool_case_gradient_options(&c, ALL));
    tool_assert_failure(1, TOOL_NO_DEVICE);
    tool_case_assert_gradients(&c, 0);
    tool_run("gradcheck");
    tool_assert_failure(1, TOOL_NO_DEVICE);
    assert_string_equal(tool.out, "");
    tool_case_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_options),   cmocka_unit_test(test_refused_layout),
        cmocka_unit_test(test_all_files_or_none), cmocka_unit_test(test_refused_gradcheck),
        cmocka_unit_test(test_gradcheck_help),    cmocka_unit_test(test_reference),
        cmocka_unit_test(test_reference_plan),    cmocka_unit_test(test_no_device),
    };
    return cmocka_run_group_tests(tests, tool_enter_without_device, tool_leave_directory);
}
