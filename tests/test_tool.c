/* test_tool.c: the command line tool on a device: the plan, the workspace, the choice of the device, and what it says
 * of it. */
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
#include "tool_device.h"
#include "tool_run.h"

/* ---- the plan and the workspace ---- */

static void test_plan(void **state)
{
    static const char *const keys[] = {"device",          "algorithm", "reason",        "dtype",
                                       "workspace_bytes", "gflop",     "deterministic", "tuning"};
    (void)state;
    char values[8][256];
    json_t *device = tool_find_device();
    tool_case c = tool_case_default();
    c.problem.dtype = c.problem.offset_dtype = CLDEFORM_F16;
    tool_case_write(&c, 700);
    for (int run = 0; run < 2; run++) { /* with an output, and the plan alone */
        tool_run("conv2d %s --deterministic --print-plan %s", tool_case_options(&c), run == 0 ? "--output y.npy" : "");
        tool_assert_success();
        for (int i = 0; i < 8; i++)
            tool_get_plan_value(i, keys[i], values[i]);
        assert_non_null(strstr(values[0], json_string_value(json_object_get(device, "name"))));
        assert_true(strcmp(values[1], "im2col") == 0 || strcmp(values[1], "fused") == 0);
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
static void check_workspace_limit(const char *algorithm)
{
    char options[1024];
    tool_case c = tool_case_default();
    c.exact = 0;
    c.problem.batch = 5;
    tool_case_write(&c, 800);
    tool_put_before("y.npy");
    snprintf(options, sizeof options, "%s --algorithm %s", tool_case_options(&c), algorithm);
    tool_run("conv2d %s --workspace-limit 1 --output y.npy", options);
    tool_assert_failure_with(2, "--workspace-limit: workspace_limit is 1 bytes");
    unsigned long minimum = named_minimum();
    tool_run("conv2d %s --workspace-limit %lu --output y.npy", options, minimum - 1);
    tool_assert_failure_with(2, "the minimum for this problem");
    assert_int_equal(named_minimum(), minimum);
    tool_run("conv2d %s --workspace-limit %lu --output other.npy", options, minimum);
    tool_assert_success();

    tool_run("conv2d %s --deterministic --workspace-limit 1 --output y.npy", options);
    tool_assert_failure_with(2, "--workspace-limit: ");
    if (strcmp(algorithm, "im2col") == 0) /* the others' does not depend on it */
        assert_true(named_minimum() > minimum);
    minimum = named_minimum();
    tool_run("conv2d %s --deterministic --workspace-limit %lu --output y.npy", options, minimum - 1);
    tool_assert_failure_with(2, "the minimum for this problem");
    assert_true(minimum > 1024);
    tool_run("conv2d %s --deterministic --workspace-limit 1K --output y.npy", options);
    tool_assert_failure_with(2, "workspace_limit is 1024 bytes ");
    tool_assert_untouched("y.npy");

    unsigned char *limited = NULL, *unlimited = NULL;
    tool_run("conv2d %s --deterministic --workspace-limit %lu --output y.npy --print-plan", options, minimum);
    tool_assert_success();
    char value[256];
    tool_get_plan_value(4, "workspace_bytes", value);
    assert_true(strtoul(value, NULL, 10) <= minimum);
    size_t size = read_bytes("y.npy", &limited);
    tool_run("conv2d %s --deterministic --workspace-limit 1G --output y.npy", options);
    tool_assert_success();
    assert_int_equal(read_bytes("y.npy", &unlimited), size);
    assert_memory_equal(limited, unlimited, size);
    free(limited);
    free(unlimited);
    assert_int_equal(remove("y.npy"), 0);
    tool_case_free(&c);
}

static void test_workspace_limit(void **state)
{
    (void)state;
    check_workspace_limit("im2col");
    check_workspace_limit("fused");
}

/* ---- devices ---- */

static void test_device_option(void **state)
{
    (void)state;
    char part[256];
    json_t *device = tool_find_device();
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
    json_t *device = tool_find_device();
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
    json_t *device = tool_find_device();
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
        cmocka_unit_test(test_plan),          cmocka_unit_test(test_workspace_limit),
        cmocka_unit_test(test_device_option), cmocka_unit_test(test_ambiguous_device),
        cmocka_unit_test(test_selftest),      cmocka_unit_test(test_info),
    };
    const int without = tool_check_device();
    return without ? without : cmocka_run_group_tests(tests, tool_enter_directory, tool_leave_directory);
}
