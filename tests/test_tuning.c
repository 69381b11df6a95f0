/* The tuning table and the file that overrides it. */
#include "device.h"
#include "tuning.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cldeform__tuning_device cpu = {"Example CPU Model 7", "Example", 1, 0},
                                     gpu = {"Example GPU 900", "Example", 0, 0};

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

/* Rows add up, the most specific one last: of each the last parameter, as what is wrong ends a row. */
static void every_row_is_right(void **state)
{
    (void)state;
    static const struct {
        cldeform__tuning_device device;
        const char *source;
        int algorithm, columns_kib, item_columns, parameters;
    } all[] = {
        {{"llvmpipe (LLVM 15.0.6, 256 bits)", "Mesa", 1, 0}, "built-in: llvmpipe", 1, 8192, 4, 0},
        {{"llvmpipe", "Mesa", 0, 0}, "built-in: default", 3, 24576, 4, 0},
        {{"pthread-skylake", "GenuineIntel", 1, 1 << 25}, "built-in: cpu", 2, 8192, 4, 0},
        {{"NVIDIA H200", "NVIDIA Corporation", 0, 50ull << 20}, "built-in: nvidia h200", 3, 25600, 8, 1},
        {{"NVIDIA H100 PCIe", "NVIDIA Corporation", 0, 0}, "built-in: nvidia h100", 3, 24576, 8, 1},
        {{"NVIDIA GeForce RTX 3070", "NVIDIA Corporation", 0, 0}, "built-in: nvidia", 3, 24576, 8, 0},
        {{"gfx1030", "Advanced Micro Devices, Inc.", 0, 0}, "built-in: default", 3, 24576, 4, 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        cldeform__tuning tuning;
        assert_ok(cldeform__tuning_load(&tuning, &all[i].device, NULL));
        assert_string_equal(tuning.source, all[i].source);
        assert_int_equal(tuning.conv2d_algorithm, all[i].algorithm);
        assert_int_equal(tuning.columns_kib, all[i].columns_kib);
        assert_int_equal(tuning.tiled_item_columns, all[i].item_columns);
        assert_int_equal(tuning.gemm_parameters, all[i].parameters);
#define X(name, least, most, what) assert_in_range(tuning.name, least, most);
        CLDEFORM__TUNING_LIST(X)
#undef X
    }
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
        cmocka_unit_test(every_row_is_right),
        cmocka_unit_test(a_line_overrides),
        cmocka_unit_test(later_lines_win),
        cmocka_unit_test(lines_of_other_devices_do_nothing),
        cmocka_unit_test(wrong_lines_are_refused_whole),
        cmocka_unit_test(a_file_that_cannot_be_read_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
