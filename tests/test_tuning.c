/* The tuning table and the file that overrides it. */
#include "device.h"
#include "tuning.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cldeform__tuning_device cpu = {"Example CPU Model 7", 1}, gpu = {"Example GPU 900", 0};

/* The tuning of the device from a file of these lines. */
static cldeform__tuning load(const cldeform__tuning_device *of, const char *lines)
{
    char path[TEST_PATH];
    test_put_temporary(lines, path);
    cldeform__tuning tuning;
    assert_ok(cldeform__tuning_load(&tuning, of, path));
    remove(path);
    return tuning;
}

static void the_table_has_a_row_for_every_device(void **state)
{
    (void)state;
    cldeform__tuning tuning;
    assert_ok(cldeform__tuning_load(&tuning, &cpu, NULL));
    assert_string_equal(tuning.source, "built-in: cpu");
    assert_int_equal(tuning.channel_vector, 8);
    assert_null(tuning.refused);
    assert_ok(cldeform__tuning_load(&tuning, &gpu, NULL));
    assert_string_equal(tuning.source, "built-in: default");
    assert_int_equal(tuning.gemm_clblast, 1);
}

static void a_line_overrides(void **state)
{
    (void)state;
    cldeform__tuning tuning = load(&cpu, "# comment\n\n  \"cpu MODEL\" columns_kib=17 channel_vector=2 # more\n");
    assert_int_equal(tuning.columns_kib, 17);
    assert_int_equal(tuning.channel_vector, 2);
    assert_int_equal(tuning.im2col_group, 64);
    assert_non_null(strstr(tuning.source, "line 3"));
    assert_null(tuning.refused);
    cldeform__tuning_free(&tuning);
}

static void later_lines_win(void **state)
{
    (void)state;
    cldeform__tuning tuning = load(&cpu, "\"*\" columns_kib=1 im2col_group=3\r\n\"\" columns_kib=2");
    assert_int_equal(tuning.columns_kib, 2);
    assert_int_equal(tuning.im2col_group, 3);
    cldeform__tuning_free(&tuning);
}

static void lines_of_other_devices_do_nothing(void **state)
{
    (void)state;
    cldeform__tuning tuning = load(&gpu, "\"cpu\" columns_kib=17\n");
    assert_int_not_equal(tuning.columns_kib, 17);
    assert_memory_equal(tuning.source, "built-in: default (/", 20);
    assert_non_null(strstr(tuning.source, " has no line for this device)"));
    cldeform__tuning_free(&tuning);
}

static void wrong_lines_are_refused_whole(void **state)
{
    (void)state;
    static const struct {
        const char *line, *part;
    } wrong[] = {
        {"\"\" columns_kib=17 colour=3", "colour=3 is not a parameter"},
        {"\"\" columns_kib=17 im2col_group=0", "im2col_group=0 is out of range"},
        {"\"\" columns_kib=17 im2col_group=1025", "out of range"},
        {"\"\" columns_kib=17 channel_vector=3", "is not a power of two"},
        {"\"\" columns_kib=17 atomic_form=6", "atomic_form=6 is out of range"},
        {"\"\" columns_kib=17 channel_vector=x", "is not a whole number"},
        {"\"\" columns_kib=17 channel_vector=4x", "is not a whole number"},
        {"\"\" columns_kib=17 channel_vector=", "is not a whole number"},
        {"\"\" columns_kib=17 channel_vector", "channel_vector has no value"},
        {"columns_kib=17", "in quotes"},
        {"\"columns_kib=17", "in quotes"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char lines[200];
        snprintf(lines, sizeof lines, "\n%s\n\"\" im2col_group=9\n", wrong[i].line);
        cldeform__tuning tuning = load(&cpu, lines);
        assert_int_equal(tuning.columns_kib, 8192);
        assert_int_equal(tuning.im2col_group, 9);
        assert_non_null(tuning.refused);
        assert_non_null(strstr(tuning.refused, "line 2: "));
        assert_non_null(strstr(tuning.source, " line 3 (refused, line 2: "));
        assert_non_null(strstr(tuning.refused, wrong[i].part));
        cldeform__tuning_free(&tuning);
    }
}

static void a_file_that_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    cldeform__tuning tuning;
    assert_status(cldeform__tuning_load(&tuning, &cpu, "/nowhere/tuning.txt"), CLDEFORM_INVALID_ARGUMENT,
                  "/nowhere/tuning.txt");
    assert_status(cldeform__tuning_load(&tuning, &cpu, "/tmp"), CLDEFORM_INVALID_ARGUMENT, "tuning_file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_has_a_row_for_every_device),
        cmocka_unit_test(a_line_overrides),
        cmocka_unit_test(later_lines_win),
        cmocka_unit_test(lines_of_other_devices_do_nothing),
        cmocka_unit_test(wrong_lines_are_refused_whole),
        cmocka_unit_test(a_file_that_cannot_be_read_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
