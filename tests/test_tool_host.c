/* test_tool_host.c: the command line tool where there is no OpenCL device: help, the reference, what it refuses and how
 * it says so, and what it advises. The loader is shown an empty directory throughout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "cldeform/cldeform.h"
#include "tool_case.h"
#include "tool_run.h"
#include "tool_tensor.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void test_help_and_version(void **state)
{
    static const char *const commands[] = {"info",       "selftest",  "conv2d", "roi-pool",
                                           "psroi-pool", "gradcheck", "compare"};
    (void)state;
    static const char *const none[] = {NULL};
    char version[64];
    snprintf(version, sizeof version, "cldeform %d.%d.%d\n", CLDEFORM_VERSION_MAJOR, CLDEFORM_VERSION_MINOR,
             CLDEFORM_VERSION_PATCH);
    tool_run("--version");
    tool_assert_success();
    assert_string_equal(tool.out, version);
    tool_run("--help");
    tool_assert_success();
    assert_memory_equal(tool.out, "usage: cldeform ", 16);
    for (size_t i = 0; i < COUNT(commands); i++) {
        assert_non_null(strstr(tool.out, commands[i]));
        tool_assert_help(commands[i], none);
        tool_run("--help");
    }
    tool_run("conv2d --input missing.npy -h --nonsense"); /* help comes before anything is looked at */
    tool_assert_success();
}

static void test_every_option_is_in_the_help(void **state)
{
    static const char *const options[] = {"--input F",
                                          "--weight F",
                                          "--offset F",
                                          "--mask F",
                                          "--bias F",
                                          "--output F",
                                          "--grad-output F",
                                          "--grad-input F",
                                          "--grad-weight F",
                                          "--grad-offset F",
                                          "--grad-mask F",
                                          "--grad-bias F",
                                          "--offset-gradient strict|open",
                                          "--stride H[,W]",
                                          "--pad T[,L[,B,R]]",
                                          "--dilation H[,W]",
                                          "--groups N",
                                          "--offset-groups N",
                                          "--border zero|edge",
                                          "--layout nchw|nhwc",
                                          "--algorithm auto|im2col|fused|tiled|reference",
                                          "--device D",
                                          "--deterministic",
                                          "--workspace-limit BYTES",
                                          "--print-plan",
                                          NULL};
    (void)state;
    tool_assert_help("conv2d", options);
}

/* ---- what is refused before any device is looked for ---- */

/* Each row: one thing wrong with the default case, whose files are there. */
static void test_refused_options(void **state)
{
    static const struct {
        const char *options, *message;
    } rows[] = {
        {"--pad 1,2,3", "--pad is \"1,2,3\", three numbers; expected T, or T,L, or T,L,B,R"},
        {"--pad 1,2,3,4,5",
         "--pad is \"1,2,3,4,5\", expected 1 to 4 whole numbers from 0 to 2147483647 with commas between"},
        {"--pad -1", "--pad is \"-1\", expected 1 to 4 whole numbers from 0 to 2147483647 with commas between"},
        {"--pad ''", "--pad is \"\", expected 1 to 4 whole numbers from 0 to 2147483647 with commas between"},
        {"--pad 1,", "--pad is \"1,\", expected 1 to 4 whole numbers from 0 to 2147483647 with commas between"},
        {"--pad ,1", "--pad is \",1\", expected 1 to 4 whole numbers from 0 to 2147483647 with commas between"},
        {"--pad 2147483648",
         "--pad is \"2147483648\", expected 1 to 4 whole numbers from 0 to 2147483647 with commas between"},
        {"--stride 0", "--stride is \"0\", expected 1 to 2 whole numbers from 1 to 2147483647 with commas between"},
        {"--stride 1,1,1",
         "--stride is \"1,1,1\", expected 1 to 2 whole numbers from 1 to 2147483647 with commas between"},
        {"--stride 1.5", "--stride is \"1.5\", expected 1 to 2 whole numbers from 1 to 2147483647 with commas between"},
        {"--dilation 0x1",
         "--dilation is \"0x1\", expected 1 to 2 whole numbers from 1 to 2147483647 with commas between"},
        {"--groups 0", "--groups is \"0\", expected a whole number from 1 to 2147483647"},
        {"--groups two", "--groups is \"two\", expected a whole number from 1 to 2147483647"},
        {"--offset-groups 1,1", "--offset-groups is \"1,1\", expected a whole number from 1 to 2147483647"},
        {"--border reflect", "--border is \"reflect\", expected one of: zero, edge"},
        {"--layout chw", "--layout is \"chw\", expected one of: nchw, nhwc"},
        {"--algorithm winograd", "--algorithm is \"winograd\", expected one of: auto, im2col, fused, tiled, reference"},
        {"--workspace-limit 1.5G",
         "--workspace-limit is \"1.5G\", expected bytes: a whole number, with K, M or G for powers of 1024"},
        {"--workspace-limit 64KB",
         "--workspace-limit is \"64KB\", expected bytes: a whole number, with K, M or G for powers of 1024"},
        {"--workspace-limit 17179869184G",
         "--workspace-limit is \"17179869184G\", expected bytes: a whole number, with K, M or G for powers of 1024"},
        {"--workspace-limit -1",
         "--workspace-limit is \"-1\", expected bytes: a whole number, with K, M or G for powers of 1024"},
        {"--strid 2", "unknown option --strid; see \"cldeform conv2d --help\""},
        {"-x", "unknown option -x; see \"cldeform conv2d --help\""},
        {"--pad", "option --pad needs a value; see \"cldeform conv2d --help\""},
        {"--deterministic=yes", "option --deterministic=yes takes no value; see \"cldeform conv2d --help\""},
        {"more", "unexpected argument \"more\"; see \"cldeform conv2d --help\""},
        {"--input missing.npy", "missing.npy cannot be opened: No such file or directory"},
        {"--input vendors", "vendors cannot be read: Is a directory"},
        {"--groups 3", "--groups is 3, expected a divisor of the 4 channels of input i.npy"},
        {"--groups 4", "weight w.npy has shape (6,2,3,2), expected (O,1,kh,kw) for 4 input channels in groups of "
                       "--groups 4"},
        {"--offset-groups 3", "--offset-groups is 3, expected a divisor of the 4 channels of input i.npy"},
        {"--offset-groups 1", "offset o.npy has shape (2,24,4,8), expected (2,12,4,8)"},
        {"--offset-groups 4", "offset o.npy has shape (2,24,4,8), expected (2,48,4,8)"},
        {"--stride 1", "offset o.npy has shape (2,24,4,8), expected (2,24,7,8)"},
        {"--layout nhwc", "weight w.npy has shape (6,2,3,2), expected (O,3,kh,kw) for 6 input channels in groups of "
                          "--groups 2"},
        {"--input b.npy", "input b.npy has shape (6,), expected (N,C,H,W) with C, H and W at least 1"},
        {"--input b.npy --layout nhwc", "input b.npy has shape (6,), expected (N,H,W,C) with H, W and C at least 1"},
        {"--weight b.npy", "weight b.npy has shape (6,), expected (O,C/groups,kh,kw), each at least 1"},
        {"--offset b.npy",
         "offset b.npy has shape (6,), expected (2,12*offset_groups,4,8) with offset_groups a divisor "
         "of the input's 4 channels"},
        {"--offset m.npy", "mask m.npy has shape (2,12,4,8), expected (2,6,4,8)"},
        {"--offset i.npy", "offset i.npy has shape (2,4,7,6), expected (2,12*offset_groups,4,8) with offset_groups a "
                           "divisor of the input's 4 channels"},
        {"--mask o.npy", "mask o.npy has shape (2,24,4,8), expected (2,12,4,8)"},
        {"--mask b.npy", "mask b.npy has shape (6,), expected (2,12,4,8)"},
        {"--bias w.npy", "bias w.npy has shape (6,2,3,2), expected (6,)"},
    };
    (void)state;
    tool_case c = tool_case_default();
    tool_case_write(&c, 1);
    tool_put_before("y.npy");
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *groups = strstr(rows[i].message, "--groups 2") ? "--groups 2" : "";
        tool_assert_refused(rows[i].message, "conv2d %s %s --output y.npy %s", tool_case_options(&c), groups,
                            rows[i].options);
        tool_assert_untouched("y.npy");
    }
    tool_case_free(&c);
}

static void test_refused_commands(void **state)
{
    static const struct {
        const char *words, *message;
    } rows[] = {
        {"", "no command; see \"cldeform --help\""},
        {"convolve", "unknown command \"convolve\"; see \"cldeform --help\""},
        {"--version --help", "unknown command \"--version\"; see \"cldeform --help\""},
        {"info all", "unexpected argument \"all\"; see \"cldeform info --help\""},
        {"selftest --json", "unknown or ambiguous option --json; see \"cldeform selftest --help\""},
        {"conv2d", "--input is missing; see \"cldeform conv2d --help\""},
        {"conv2d --input i.npy", "--weight is missing; see \"cldeform conv2d --help\""},
        {"conv2d --input i.npy --weight w.npy", "nothing is asked for, expected --output, a gradient or --print-plan"},
        {"conv2d --input i.npy --weight w.npy --output y.npy --mask m.npy", "--mask needs --offset"},
        {"conv2d --input i.npy --weight w.npy --output y.npy --offset-groups 1", "--offset-groups needs --offset"},
        {"conv2d --input i.npy --weight w.npy --output y.npy --border edge",
         "--border edge needs --offset: the ordinary convolution pads with zeros"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        tool_assert_refused(rows[i].message, "%s", rows[i].words);
}

static void test_refused_types(void **state)
{
    static const struct {
        cldeform_dtype input, changed;
        const char *file, *message;
    } rows[] = {
        {CLDEFORM_F32, CLDEFORM_F64, "w.npy", "weight w.npy has type '<f8', expected '<f4', the input's type"},
        {CLDEFORM_F32, CLDEFORM_F16, "b.npy", "bias b.npy has type '<f2', expected '<f4', the input's type"},
        {CLDEFORM_F32, CLDEFORM_F16, "o.npy", "offset o.npy has type '<f2', expected '<f4', the input's type"},
        {CLDEFORM_F64, CLDEFORM_F32, "m.npy", "mask m.npy has type '<f4', expected '<f8', the input's type"},
        {CLDEFORM_F16, CLDEFORM_F64, "o.npy",
         "offset o.npy has type '<f8', expected '<f2', the input's type, or '<f4'"},
        {CLDEFORM_F16, CLDEFORM_F32, "w.npy", "weight w.npy has type '<f4', expected '<f2', the input's type"},
        {CLDEFORM_F16, CLDEFORM_F32, "b.npy", "bias b.npy has type '<f4', expected '<f2', the input's type"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        tool_case c = tool_case_default();
        c.problem.dtype = c.problem.offset_dtype = rows[i].input;
        tool_case_write(&c, 2);
        const npy_array *array = rows[i].file[0] == 'w'   ? &c.files[CASE_WEIGHT]
                                 : rows[i].file[0] == 'b' ? &c.files[CASE_BIAS]
                                 : rows[i].file[0] == 'o' ? &c.files[CASE_OFFSET]
                                                          : &c.files[CASE_MASK];
        tool_write_zeros(rows[i].file, rows[i].changed, array->rank, array->shape);
        tool_run("conv2d %s --output none.npy", tool_case_options(&c));
        tool_assert_failure(2, rows[i].message);
        tool_case_free(&c);
    }
}

static void test_refused_shapes(void **state)
{
    static const struct {
        int64_t input[4], weight[4];
        const char *message; /* its beginning */
    } rows[] = {
        {{1, 0, 5, 5}, {2, 2, 3, 3}, "input i.npy has shape (1,0,5,5), expected (N,C,H,W) with C, H and W at least 1"},
        {{1, 2, 5, 0}, {2, 2, 3, 3}, "input i.npy has shape (1,2,5,0), expected (N,C,H,W) with C, H and W at least 1"},
        {{1, 2, 5, 5}, {0, 2, 3, 3}, "weight w.npy has shape (0,2,3,3), expected (O,C/groups,kh,kw), each at least 1"},
        {{1, 2, 5, 5}, {2, 0, 3, 3}, "weight w.npy has shape (2,0,3,3), expected (O,C/groups,kh,kw), each at least 1"},
        {{1, 4, 5, 5},
         {2, 3, 3, 3},
         "weight w.npy has shape (2,3,3,3), expected (O,C/groups,kh,kw) with C/groups a "
         "divisor of the input's 4 channels"},
        {{1, 4, 5, 5},
         {3, 2, 3, 3},
         "weight w.npy has shape (3,2,3,3), expected (O,2,kh,kw) with O a multiple of "
         "groups, 2"},
        {{1, 4, 2, 5}, {2, 4, 3, 3}, "input i.npy (1,4,2,5) and weight w.npy (2,4,3,3) do not fit: "},
        {{1, 4, 5, 2}, {2, 4, 3, 3}, "input i.npy (1,4,5,2) and weight w.npy (2,4,3,3) do not fit: "},
        {{0, 4, (int64_t)1 << 40, (int64_t)1 << 19}, {2, 4, 1, 1}, ""}, /* no file is large, but the product is */
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        tool_write_zeros("i.npy", CLDEFORM_F32, 4, rows[i].input);
        tool_write_zeros("w.npy", CLDEFORM_F32, 4, rows[i].weight);
        tool_run("conv2d --input i.npy --weight w.npy --output none.npy --algorithm reference");
        if (rows[i].message[0] == 0) {
            assert_true(tool.exit_status == 0 || tool.exit_status == 2);
            continue;
        }
        tool_assert_failure_with(2, rows[i].message);
    }
}

/* The tool reads through npy.h, whose own test has every way to be wrong: here, that it says so. */
static void test_refused_files(void **state)
{
    (void)state;
    tool_case c = tool_case_default();
    tool_case_write(&c, 3);
    tool_put_file("m.npy", "no array", 8);
    tool_run("conv2d %s --output none.npy", tool_case_options(&c));
    tool_assert_failure(2, "m.npy is not a .npy file (it does not begin with \\x93NUMPY)");
    tool_case_free(&c);
}

static void test_refused_output(void **state)
{
    (void)state;
    tool_case c = tool_case_default();
    tool_case_write(&c, 4);
    int files = tool_count_files();
    tool_run("conv2d %s --algorithm reference --output missing/y.npy", tool_case_options(&c));
    tool_assert_failure(2, "missing/y.npy cannot be written: No such file or directory");
    tool_run("conv2d %s --algorithm reference --output vendors", tool_case_options(&c));
    tool_assert_failure(2, "vendors is not a regular file, so it cannot be replaced whole");
    assert_int_equal(tool_count_files(), files);
    tool_case_free(&c);
}

/* ---- without a device ---- */

static void test_reference_needs_no_device(void **state)
{
    static const cldeform_dtype dtypes[] = {CLDEFORM_F16, CLDEFORM_F32, CLDEFORM_F64};
    (void)state;
    for (size_t i = 0; i < COUNT(dtypes); i++) {
        tool_case c = tool_case_default();
        c.problem.dtype = c.problem.offset_dtype = dtypes[i];
        tool_case_write(&c, 5);
        tool_run("conv2d %s --algorithm reference --output y.npy --device ignored", tool_case_options(&c));
        tool_assert_success();
        tool_case_assert_output(&c, "y.npy");
        tool_case_free(&c);
    }
}

/* 2 * outputs (2*6*4*8) * (4/2 channels) * 3*2 taps = 9216 operations. */
static void test_reference_plan(void **state)
{
    (void)state;
    tool_case c = tool_case_default();
    tool_case_write(&c, 6);
    tool_run("conv2d %s --algorithm reference --print-plan", tool_case_options(&c));
    tool_assert_success();
    assert_string_equal(tool.out, "device: host\n"
                                  "algorithm: reference\n"
                                  "reason: asked for\n"
                                  "dtype: fp32\n"
                                  "workspace_bytes: 0\n"
                                  "gflop: 9.216e-06\n"
                                  "deterministic: true\n"
                                  "tuning: none\n");
    tool_case_free(&c);
}

static void test_no_device(void **state)
{
    (void)state;
    tool_case c = tool_case_default();
    tool_case_write(&c, 7);
    tool_put_before("y.npy");
    tool_run("conv2d %s --output y.npy", tool_case_options(&c));
    tool_assert_failure(1, TOOL_NO_DEVICE);
    tool_run("conv2d %s --output y.npy --device 0:0 --print-plan", tool_case_options(&c));
    tool_assert_failure(1, TOOL_NO_DEVICE);
    assert_string_equal(tool.out, "");
    tool_assert_untouched("y.npy");
    tool_run("selftest");
    tool_assert_failure(1, TOOL_NO_DEVICE);
    tool_case_free(&c);
}

static void test_info_without_device(void **state)
{
    (void)state;
    static const char library[] = "libno_such_driver.so.7\n";
    tool_put_file("vendors/some.icd", library, sizeof library - 1);
    tool_run("info");
    tool_assert_failure(1, "no OpenCL device was found");
    assert_non_null(strstr(tool.out, "vendors (as says OCL_ICD_VENDORS)"));
    assert_non_null(strstr(tool.out, "vendors/some.icd: libno_such_driver.so.7: NOT FOUND"));
    assert_non_null(strstr(tool.out, "\ndefault device: none"));
    assert_non_null(strstr(tool.out, "pocl-opencl-icd"));
    assert_non_null(strstr(tool.out, "RUSTICL_ENABLE"));
    assert_non_null(strstr(tool.out, "container"));

    tool_run("info --json");
    tool_assert_failure(1, "no OpenCL device was found");
    json_t *facts = json_loads(tool.out, 0, NULL);
    assert_non_null(facts);
    assert_true(json_is_string(json_object_get(facts, "version")));
    assert_true(json_is_object(json_object_get(facts, "loader")));
    assert_true(json_is_null(json_object_get(facts, "default_device")));
    assert_int_equal(json_array_size(json_object_get(facts, "platforms")), 0);
    assert_true(json_array_size(json_object_get(facts, "advice")) > 0);
    const json_t *icd = json_array_get(json_object_get(facts, "icd_files"), 0);
    assert_string_equal(json_string_value(json_object_get(icd, "file")), "vendors/some.icd");
    assert_string_equal(json_string_value(json_object_get(icd, "library")), "libno_such_driver.so.7");
    assert_true(json_is_null(json_object_get(icd, "path")));
    assert_true(json_is_string(json_object_get(icd, "error")));
    json_decref(facts);

    /* a file by itself, an empty one, and a library that is no file's */
    tool_put_file("vendors/some.icd", "\n", 1);
    tool_environment("OCL_ICD_VENDORS", "vendors/some.icd");
    tool_run("info");
    tool_assert_failure(1, "no OpenCL device was found");
    assert_non_null(strstr(tool.out, "vendors/some.icd: (no library): NOT FOUND, names no library"));
    tool_environment("OCL_ICD_VENDORS", "/nowhere/libdriver.so");
    tool_run("info");
    tool_assert_failure(1, "no OpenCL device was found");
    assert_non_null(strstr(tool.out, "(no file): /nowhere/libdriver.so: NOT FOUND"));
    tool_environment("OCL_ICD_VENDORS", "vendors");
    assert_int_equal(remove("vendors/some.icd"), 0);
}

/* A full disk behind standard output is not success. */
static void test_lost_output(void **state)
{
    (void)state;
    FILE *full = fopen("/dev/full", "w");
    if (!full)
        skip();
    fclose(full);
    tool_run("--help >/dev/full");
    tool_assert_failure(1, "standard output cannot be written");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help_and_version),
        cmocka_unit_test(test_every_option_is_in_the_help),
        cmocka_unit_test(test_refused_options),
        cmocka_unit_test(test_refused_commands),
        cmocka_unit_test(test_refused_types),
        cmocka_unit_test(test_refused_shapes),
        cmocka_unit_test(test_refused_files),
        cmocka_unit_test(test_refused_output),
        cmocka_unit_test(test_reference_needs_no_device),
        cmocka_unit_test(test_reference_plan),
        cmocka_unit_test(test_no_device),
        cmocka_unit_test(test_info_without_device),
        cmocka_unit_test(test_lost_output),
    };
    return cmocka_run_group_tests(tests, tool_enter_without_device, tool_leave_directory);
}
