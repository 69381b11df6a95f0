/* test_tool_tune_host.c: what tune does without an OpenCL device: its options, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tool_run.h"

#define SMALL "--problem conv2d:in=8x9x10,out=6,kernel=3 "

static void test_help(void **state)
{
    static const char *const options[] = {
        "--output", "--device",  "--preset",        "--file",         "--problem", "--dtype", "--batch",
        "--layout", "--kind",    "--offset-groups", "--offset-dtype", "--offsets", "--pass",  "--parameters",
        "--budget", "--timeout", "--quick",         "--list",         NULL};
    (void)state;
    tool_assert_help("tune", options);
}

static void test_list(void **state)
{
    (void)state;
    tool_run("tune --list");
    tool_assert_success();
    assert_non_null(strstr(tool.out, "conv2d_algorithm CPU 1,2"));
    assert_non_null(strstr(tool.out, "long_index       not searched: for tests"));
}

static void test_refused(void **state)
{
    (void)state;
    tool_assert_refused("--parameters has no \"colour\", expected some of those that --list prints",
                        "tune --parameters fused_rows,colour");
    tool_assert_refused("--parameters has no \"\", expected some of those that --list prints", "tune --parameters ''");
    tool_assert_refused("--parameters has \"long_index\", which is not searched (for tests: 64-bit indices where 32 "
                        "bits are enough are never quicker)",
                        "tune --parameters long_index");
    tool_assert_refused("--pass is \"sideways\", expected one of: forward, backward", "tune --pass sideways");
    tool_assert_refused("unknown or ambiguous option --csv; see \"cldeform tune --help\"", "tune --csv x.csv");
    tool_assert_refused("unexpected argument \"r50\"; see \"cldeform tune --help\"", "tune r50");
    tool_assert_refused("--kind is of conv2d, expected no roi-pool case (roi/dpool-test)", "tune --kind modulated");
    tool_run("tune --budget -1");
    tool_assert_failure_with(2, "--budget");
    tool_run("tune --timeout 0");
    tool_assert_failure_with(2, "--timeout");
    tool_run("tune --preset r51");
    tool_assert_failure_with(2, "--preset has no \"r51\"");
    tool_run("tune " SMALL "--output nowhere/tuning.txt");
    tool_assert_failure_with(2, "nowhere/tuning.txt");
}

/* A file that is there stays as it is, and no temporary one is left. */
static void test_no_device(void **state)
{
    (void)state;
    tool_put_before("tuning.txt");
    const int files = tool_count_files();
    tool_run("tune " SMALL "--output tuning.txt");
    tool_assert_failure(1, TOOL_NO_DEVICE);
    tool_assert_untouched("tuning.txt");
    assert_int_equal(tool_count_files(), files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_device),
    };
    return cmocka_run_group_tests(tests, tool_enter_without_device, tool_leave_directory);
}
