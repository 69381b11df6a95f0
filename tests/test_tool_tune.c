/* test_tool_tune.c: tune on a device, from end to end: candidates are measured, those that crash or are wrong are left
 * out, and the library loads what was written. No time is looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tool_device.h"
#include "tool_run.h"

/* The built-in parameters, which only a wrong choice can beat here, or better ones: both are right. */
#define QUICK "tune --quick --pass forward --problem conv2d:in=8x9x10,out=6,kernel=3,pad=1 --output tuning.txt "

/* The file's only line without '#'. */
static void get_line(char line[1000])
{
    char text[4000];
    const size_t size = tool_get_file("tuning.txt", text, sizeof text - 1);
    int lines = 0;
    text[size] = 0;
    for (char *at = text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1)
        if (*at != '#') {
            snprintf(line, 1000, "%.*s", (int)(end - at), at);
            lines++;
        }
    assert_int_equal(lines, 1);
}

/* `info` shows the parameters of the file, on this device. */
static void check_that_it_loads(const char *parameter)
{
    char line[1000], pair[60];
    get_line(line);
    tool_environment("CLDEFORM_TUNING_FILE", "tuning.txt");
    json_t *device = tool_find_device();
    tool_environment("CLDEFORM_TUNING_FILE", NULL);
    const json_t *tuning = json_object_get(json_object_get(device, "library"), "tuning");
    assert_memory_equal(json_string_value(json_object_get(tuning, "source")), "file: tuning.txt line ", 22);
    snprintf(pair, sizeof pair, " %s=%d", parameter, (int)json_integer_value(json_object_get(tuning, parameter)));
    if (!strstr(line, pair))
        fail_msg("no \"%s\" in: %s", pair, line);
    json_decref(device);
}

static void tune(void)
{
    tool_run(QUICK "--parameters im2col_group");
    if (tool.exit_status != 0)
        fail_msg("%s", tool.err);
    assert_string_equal(tool.out, "");
    assert_non_null(strstr(tool.err, "im2col_group="));
    assert_non_null(strstr(tool.err, "\nwritten to "));
    check_that_it_loads("im2col_group");
}

/* Where a crash is the crashing process's own. */
static int is_pocl(void)
{
    json_t *device = tool_find_device();
    const char *name = json_string_value(json_object_get(device, "name"));
    const int is = name && (strncmp(name, "pthread-", 8) == 0 || strncmp(name, "cpu-", 4) == 0);
    json_decref(device);
    return is;
}

/* Kernels that crash, or leave outputs out, where a tile has 4 or 16 rows. */
static void tune_with_kernels_that_fail(void)
{
    static const char command[] =
        "cp -r '" TEST_SOURCE_DIR "/../cl' wrong && sed -i "
        "-e '1i #if ROWS == 4\\n#define FAIL *(volatile __global int *)8 = 1;\\n#elif ROWS == 16\\n"
        "#define FAIL return;\\n#else\\n#define FAIL\\n#endif' "
        "-e 's/^    find_bases(geometry, tables, shape.span, first, count);/    FAIL\\n&/' wrong/conv2d_fused.cl && "
        "grep -q '^    FAIL$' wrong/conv2d_fused.cl";
    assert_int_equal(system(command), 0);
    tool_environment("CLDEFORM_KERNEL_DIR", "wrong");
    tool_run(QUICK "--parameters fused_rows");
    tool_environment("CLDEFORM_KERNEL_DIR", NULL);
    if (tool.exit_status != 0)
        fail_msg("%s", tool.err);
    assert_non_null(strstr(tool.err, "fused_rows=4: crashed: ended by signal 11"));
    assert_non_null(strstr(tool.err, "fused_rows=16: wrong: "));
    assert_non_null(strstr(tool.err, "output[0] is not finite"));
    assert_non_null(strstr(tool.err, " fused_rows=6: "));
    check_that_it_loads("fused_rows");
    char line[1000], text[4000] = "";
    get_line(line);
    assert_null(strstr(line, " fused_rows=4"));
    assert_null(strstr(line, " fused_rows=16"));
    tool_get_file("tuning.txt", text, sizeof text - 1);
    assert_non_null(strstr(text, "1 wrong, 1 crashed\n"));
}

/* One run, which is enough: each candidate compiles kernels. */
static void test_tune(void **state)
{
    (void)state;
    if (is_pocl())
        tune_with_kernels_that_fail();
    else
        tune();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tune)};
    const int without = tool_check_device();
    return without ? without : cmocka_run_group_tests(tests, tool_enter_directory, tool_leave_directory);
}
