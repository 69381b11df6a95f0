/* test_tool.c: the command line tool on a device: it computes what the reference does, and says what it uses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "tool_case.h"
#include "tool_run.h"

#define NO_DEVICE_EXIT 77 /* what ctest counts as skipped */

/* Of the device that the tool takes by default; a new reference. NULL: there is none. */
static json_t *find_device(void)
{
    size_t i = 0, k = 0;
    json_t *platform = NULL, *device = NULL;
    tool_run("info --json");
    json_t *facts = json_loads(tool.out, 0, NULL);
    assert_non_null(facts);
    const char *index = json_string_value(json_object_get(facts, "default_device"));
    json_t *found = NULL;
    json_array_foreach(json_object_get(facts, "platforms"), i, platform)
    {
        json_array_foreach(json_object_get(platform, "devices"), k, device)
        {
            if (index && strcmp(json_string_value(json_object_get(device, "index")), index) == 0)
                found = json_incref(device);
        }
    }
    json_decref(facts);
    return found;
}

static int has_fp64(void)
{
    json_t *device = find_device();
    int has = json_is_true(json_object_get(device, "fp64"));
    json_decref(device);
    return has;
}

/* ---- what it computes ---- */

static void check_case(tool_case *c, uint32_t seed, const char *more)
{
    static const char *const algorithms[] = {"", "--algorithm reference"};
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
    static const char *const algorithms[] = {"auto", "im2col", "reference"};
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
    if (!has_fp64())
        skip();
    check_kinds(CLDEFORM_F64, CLDEFORM_F64);
}

static void test_fp64_where_there_is_none(void **state)
{
    (void)state;
    if (has_fp64())
        skip();
    tool_case c = tool_case_default();
    c.problem.dtype = c.problem.offset_dtype = CLDEFORM_F64;
    tool_case_write(&c, 1);
    tool_put_file("y.npy", "before", 6);
    tool_run("conv2d %s --output y.npy", tool_case_options(&c));
    tool_assert_failure_with(1, "fp64");
    char kept[16];
    assert_int_equal(tool_get_file("y.npy", kept, sizeof kept), 6);
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

/* ---- the plan and the workspace ---- */

/* The value of the plan's line `number`, whose key must be `key`. */
static void get_plan_value(int number, const char *key, char value[256])
{
    const char *line = tool.out;
    for (int i = 0; i < number; i++) {
        line = strchr(line, '\n');
        assert_non_null(line);
        line++;
    }
    size_t length = strlen(key);
    assert_memory_equal(line, key, length);
    assert_memory_equal(line + length, ": ", 2);
    size_t size = strcspn(line + length + 2, "\n");
    assert_true(size > 0 && size < 256);
    memcpy(value, line + length + 2, size);
    value[size] = 0;
}

static void test_plan(void **state)
{
    static const char *const keys[] = {"device",          "algorithm", "reason",        "dtype",
                                       "workspace_bytes", "gflop",     "deterministic", "tuning"};
    (void)state;
    char values[8][256];
    json_t *device = find_device();
    tool_case c = tool_case_default();
    c.problem.dtype = c.problem.offset_dtype = CLDEFORM_F16;
    tool_case_write(&c, 700);
    for (int run = 0; run < 2; run++) { /* with an output, and the plan alone */
        tool_run("conv2d %s --deterministic --print-plan %s", tool_case_options(&c), run == 0 ? "--output y.npy" : "");
        tool_assert_success();
        for (int i = 0; i < 8; i++)
            get_plan_value(i, keys[i], values[i]);
        assert_non_null(strstr(values[0], json_string_value(json_object_get(device, "name"))));
        assert_string_equal(values[1], "im2col");
        assert_string_equal(values[3], "fp16");
        assert_true(strspn(values[4], "0123456789") == strlen(values[4]));
        assert_true(strtod(values[5], NULL) > 0);
        assert_string_equal(values[6], "true");
        const char *last = strstr(tool.out, "\ntuning: ");
        assert_non_null(last);
        assert_string_equal(strchr(last + 1, '\n'), "\n"); /* and no line after it */
        if (run == 0)
            tool_case_assert_output(&c, "y.npy");
    }
    tool_case_free(&c);
    json_decref(device);
}

static size_t read_bytes(const char *path, unsigned char **bytes)
{
    *bytes = malloc(1 << 20);
    assert_non_null(*bytes);
    return tool_get_file(path, *bytes, 1 << 20);
}

/* The minimum that the message names. */
static unsigned long named_minimum(void)
{
    const char *text = strstr(tool.err, "the minimum for this problem");
    assert_non_null(text);
    text = strstr(text, " is ");
    assert_non_null(text);
    return strtoul(text + 4, NULL, 10);
}

/* The message names the minimum, one byte less is refused, and the minimum gives the same bits as no limit. */
static void test_workspace_limit(void **state)
{
    (void)state;
    tool_case c = tool_case_default();
    c.exact = 0;
    c.problem.batch = 5;
    tool_case_write(&c, 800);
    tool_put_file("y.npy", "before", 6);
    /* without --deterministic the minimum is far lower */
    tool_run("conv2d %s --workspace-limit 1 --output y.npy", tool_case_options(&c));
    tool_assert_failure_with(2, "--workspace-limit: workspace_limit is 1 bytes");
    unsigned long minimum = named_minimum();
    tool_run("conv2d %s --workspace-limit %lu --output y.npy", tool_case_options(&c), minimum - 1);
    tool_assert_failure_with(2, "the minimum for this problem");
    assert_int_equal(named_minimum(), minimum);
    tool_run("conv2d %s --workspace-limit %lu --output other.npy", tool_case_options(&c), minimum);
    tool_assert_success();

    tool_run("conv2d %s --deterministic --workspace-limit 1 --output y.npy", tool_case_options(&c));
    tool_assert_failure_with(2, "--workspace-limit: ");
    assert_true(named_minimum() > minimum);
    minimum = named_minimum();
    tool_run("conv2d %s --deterministic --workspace-limit %lu --output y.npy", tool_case_options(&c), minimum - 1);
    tool_assert_failure_with(2, "the minimum for this problem");
    assert_true(minimum > 1024);
    tool_run("conv2d %s --deterministic --workspace-limit 1K --output y.npy", tool_case_options(&c));
    tool_assert_failure_with(2, "workspace_limit is 1024 bytes ");
    char kept[16];
    assert_int_equal(tool_get_file("y.npy", kept, sizeof kept), 6);
    assert_memory_equal(kept, "before", 6);

    unsigned char *limited = NULL, *unlimited = NULL;
    tool_run("conv2d %s --deterministic --workspace-limit %lu --output y.npy --print-plan", tool_case_options(&c),
             minimum);
    tool_assert_success();
    char value[256];
    get_plan_value(4, "workspace_bytes", value);
    assert_true(strtoul(value, NULL, 10) <= minimum);
    size_t size = read_bytes("y.npy", &limited);
    tool_run("conv2d %s --deterministic --workspace-limit 1G --output y.npy", tool_case_options(&c));
    tool_assert_success();
    assert_int_equal(read_bytes("y.npy", &unlimited), size);
    assert_memory_equal(limited, unlimited, size);
    free(limited);
    free(unlimited);
    assert_int_equal(remove("y.npy"), 0);
    tool_case_free(&c);
}

/* ---- devices ---- */

static void test_device_option(void **state)
{
    (void)state;
    char part[256];
    json_t *device = find_device();
    const char *index = json_string_value(json_object_get(device, "index"));
    const char *name = json_string_value(json_object_get(device, "name"));
    tool_case c = tool_case_default();
    tool_case_write(&c, 900);

    tool_run("conv2d %s --device %s --output y.npy", tool_case_options(&c), index);
    tool_assert_success();
    tool_case_assert_output(&c, "y.npy");
    size_t length = strlen(name);
    assert_true(length > 1 && length < sizeof part);
    for (size_t i = 0; i <= length; i++) /* the other case */
        part[i] = (char)(name[i] >= 'a' && name[i] <= 'z'   ? name[i] - 32
                         : name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32
                                                            : name[i]);
    tool_run("conv2d %s --device '%s' --print-plan", tool_case_options(&c), part + 1);
    if (tool.exit_status == 2) /* two of the same name */
        tool_assert_failure_with(2, "which fits several devices: ");
    else
        tool_assert_success();

    tool_run("conv2d %s --device 99:0 --output y.npy", tool_case_options(&c));
    tool_assert_failure_with(2, "--device is \"99:0\", which fits no device, expected one of: ");
    assert_non_null(strstr(tool.err, name));
    tool_run("conv2d %s --device '' --output y.npy", tool_case_options(&c));
    tool_assert_failure(2, "--device is empty, expected platform:device by index or a part of a name");
    tool_environment("CLDEFORM_DEVICE", "no such device");
    tool_run("conv2d %s --output y.npy", tool_case_options(&c));
    tool_assert_failure_with(2, "CLDEFORM_DEVICE is \"no such device\", which fits no device");
    tool_run("conv2d %s --device %s --print-plan", tool_case_options(&c), index);
    tool_assert_success();
    tool_environment("CLDEFORM_DEVICE", index);
    tool_run("conv2d %s --print-plan", tool_case_options(&c));
    tool_assert_success();
    tool_environment("CLDEFORM_DEVICE", NULL);
    tool_case_free(&c);
    json_decref(device);
}

/* PoCL can show one CPU as two devices. */
static void test_ambiguous_device(void **state)
{
    (void)state;
    json_t *device = find_device();
    const char *version = json_string_value(json_object_get(device, "version"));
    int pocl = version && strstr(version, "PoCL");
    json_decref(device);
    if (!pocl)
        skip();
    const char *before = getenv("POCL_DEVICES");
    tool_environment("POCL_DEVICES", "pthread basic");
    tool_run("selftest --device 'PORTABLE computing'");
    tool_environment("POCL_DEVICES", before);
    tool_assert_failure_with(2, "--device is \"PORTABLE computing\", which fits several devices: ");
    assert_non_null(strstr(tool.err, "0:0 "));
    assert_non_null(strstr(tool.err, ", 0:1 "));
}

static void test_selftest(void **state)
{
    (void)state;
    tool_run("selftest");
    tool_assert_success();
    int checks = 0;
    const char *line = tool.out;
    for (; strncmp(line, "ok   ", 5) == 0; checks++)
        line = strchr(line, '\n') + 1;
    char summary[64];
    snprintf(summary, sizeof summary, "%d checks, 0 failed on ", checks);
    assert_true(checks > 0);
    assert_memory_equal(line, summary, strlen(summary));
    assert_string_equal(strchr(line, '\n'), "\n");
}

static void test_info(void **state)
{
    static const char *const keys[] = {"index",
                                       "name",
                                       "type",
                                       "driver",
                                       "opencl_c",
                                       "compute_units",
                                       "memory_bytes",
                                       "max_allocation_bytes",
                                       "max_work_group",
                                       "local_memory_bytes",
                                       "fp16",
                                       "fp64",
                                       "out_of_order_queues"};
    (void)state;
    json_t *device = find_device();
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!json_object_get(device, keys[i]) || json_is_null(json_object_get(device, keys[i])))
            fail_msg("info --json lacks \"%s\" of the device", keys[i]);
    json_t *library = json_object_get(device, "library");
    assert_true(json_object_size(library) > 1);
    assert_null(json_object_get(library, "error"));
    tool_run("info");
    tool_assert_success();
    assert_non_null(strstr(tool.out, "\ndefault device: "));
    assert_non_null(strstr(tool.out, json_string_value(json_object_get(device, "name"))));
    assert_non_null(strstr(tool.out, "\nloader: /"));
    json_decref(device);
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
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_workspace_limit),
        cmocka_unit_test(test_device_option),
        cmocka_unit_test(test_ambiguous_device),
        cmocka_unit_test(test_selftest),
        cmocka_unit_test(test_info),
    };
    if (tool_enter_directory(NULL) != 0)
        return 1;
    tool_run("info");
    int failed = NO_DEVICE_EXIT;
    if (tool.exit_status != 1)
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    return tool_leave_directory(NULL) != 0 ? 1 : failed;
}
