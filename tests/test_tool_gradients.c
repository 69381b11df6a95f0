/* test_tool_gradients.c: the command line tool's gradients on a device: conv2d writes what the reference computes, and
 * gradcheck tells right gradients from wrong ones. */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "element.h"
#include "tool_case.h"
#include "tool_device.h"
#include "tool_run.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { ALL = 31 }; /* of the gradients */

/* ---- conv2d ---- */

/* On the device with one algorithm (its kernels are those of any number of channels) and on the host, with the output
 * and without it. */
static void check_case(tool_case *c, uint32_t seed, const char *more)
{
    static const char *const ways[] = {"--algorithm im2col --output y.npy", "--algorithm im2col",
                                       "--output y.npy --algorithm reference"};
    tool_case_write(c, seed);
    tool_case_write_gradients(c);
    for (size_t i = 0; i < COUNT(ways); i++) {
        tool_run("conv2d %s %s %s %s", tool_case_options(c), tool_case_gradient_options(c, ALL), more, ways[i]);
        tool_assert_success();
        assert_string_equal(tool.out, "");
        if (strstr(ways[i], "--output"))
            tool_case_assert_output(c, "y.npy");
        tool_case_assert_gradients(c, ALL);
    }
    tool_case_free(c);
}

/* Version 2, version 1 and the ordinary convolution; without a bias where k is odd. */
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

/* The file anew in that type, with factor * value + shift for each value. */
static void rewrite(tool_case *c, int which, const char *path, cldeform_dtype dtype, double factor, double shift)
{
    fault f = {0};
    npy_array *old = &c->files[which], array = {0};
    assert_int_equal(npy_create(&array, dtype, old->rank, old->shape, &f), 0);
    double *values = calloc(old->elements, sizeof *values);
    assert_non_null(values);
    element_to_double(old->dtype, old->data, old->elements, values);
    for (size_t i = 0; i < old->elements; i++)
        values[i] = factor * values[i] + shift;
    element_from_double(dtype, values, array.elements, array.data);
    assert_int_equal(npy_write(path, &array, &f), 0);
    free(values);
    npy_free(old);
    *old = array;
}

/* In types that differ, each gradient has its own tensor's, and what is fp32 was never a half. */
static void test_offset_and_mask_of_two_types(void **state)
{
    static const char *const paths[] = {"o.npy", "m.npy"};
    static const int which[] = {CASE_OFFSET, CASE_MASK};
    (void)state;
    for (int k = 0; k < 2; k++) {
        tool_case c = tool_case_default();
        c.problem.dtype = CLDEFORM_F16;
        tool_case_write(&c, 7); /* fp32 both; quarters fit a half as well */
        rewrite(&c, which[k], paths[k], CLDEFORM_F16, 1, 0);
        rewrite(&c, CASE_INPUT, "i.npy", CLDEFORM_F16, 33, 1); /* exact in a half, but sums of products are not */
        tool_case_write_gradients(&c);
        assert_int_equal(c.gradients[which[k]].dtype, CLDEFORM_F16);
        assert_int_equal(c.gradients[which[1 - k]].dtype, CLDEFORM_F32);
        tool_run("conv2d %s %s --algorithm im2col", tool_case_options(&c), tool_case_gradient_options(&c, ALL));
        tool_assert_success();
        tool_case_assert_gradients(&c, ALL);
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
            check_case(&c, 200 + (uint32_t)(2 * layout + border), "--offset-gradient strict");
        }
}

/* The case has samples at exactly -1, where the two rules differ. */
static void test_offset_gradient(void **state)
{
    (void)state;
    tool_case strict = tool_case_default(), open = tool_case_default();
    open.problem.offset_gradient = CLDEFORM_OFFSET_GRADIENT_OPEN;
    tool_case_write(&strict, 300);
    tool_case_write_gradients(&strict);
    tool_case_write(&open, 300);
    tool_case_write_gradients(&open);
    const npy_array *one = &strict.gradients[CASE_OFFSET], *other = &open.gradients[CASE_OFFSET];
    assert_memory_not_equal(one->data, other->data, one->bytes);
    tool_case_free(&strict);
    tool_case_free(&open);
    open = tool_case_default();
    open.problem.offset_gradient = CLDEFORM_OFFSET_GRADIENT_OPEN;
    check_case(&open, 300, "");
}

/* Each by itself, and each left out. */
static void test_subsets(void **state)
{
    (void)state;
    tool_case c = tool_case_default();
    tool_case_write(&c, 400);
    tool_case_write_gradients(&c);
    for (unsigned i = 0; i < 10; i++) {
        unsigned which = i < 5 ? 1u << i : ALL & ~(1u << (i - 5));
        tool_run("conv2d %s %s --deterministic", tool_case_options(&c), tool_case_gradient_options(&c, which));
        tool_assert_success();
        tool_case_assert_gradients(&c, which);
    }
    tool_case_free(&c);
}

/* An empty batch has empty gradients, and of the parameters 0. */
static void test_empty_batch(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        tool_case c = tool_case_default();
        c.problem.batch = 0;
        tool_case_write(&c, 500);
        tool_case_write_gradients(&c);
        unsigned which = i < 5 ? 1u << i : ALL;
        tool_run("conv2d %s %s", tool_case_options(&c), tool_case_gradient_options(&c, which));
        tool_assert_success();
        tool_case_assert_gradients(&c, which);
        tool_case_free(&c);
    }
}

static void test_plan(void **state)
{
    (void)state;
    static const char *const algorithms[] = {"im2col", "fused"};
    tool_case c = tool_case_default();
    tool_case_write(&c, 600);
    tool_case_write_gradients(&c);
    for (size_t i = 0; i < COUNT(algorithms); i++) {
        char line[64];
        snprintf(line, sizeof line, "\nalgorithm: %s\n", algorithms[i]);
        tool_run("conv2d %s %s --print-plan --deterministic --algorithm %s", tool_case_options(&c),
                 tool_case_gradient_options(&c, ALL), algorithms[i]);
        tool_assert_success();
        assert_non_null(strstr(tool.out, line));
        assert_non_null(strstr(tool.out, "\ndeterministic: true\n"));
        tool_case_assert_gradients(&c, ALL);
    }
    tool_run("conv2d %s --print-plan", tool_case_options(&c)); /* alone, it writes nothing */
    tool_assert_success();
    tool_case_assert_gradients(&c, 0);
    tool_case_free(&c);
}

/* ---- gradcheck ---- */

static const char *const names[] = {"grad_input", "grad_weight", "grad_offset", "grad_mask", "grad_bias"};

/* The lines after device and problem: of these gradients in that type, each ending as `end` says; moves *line. */
static void assert_lines(const char **line, unsigned which, const char *dtype, const char *end)
{
    for (unsigned i = 0; i < 5; i++) {
        if (!(which >> i & 1))
            continue;
        size_t length = strcspn(*line, "\n");
        char text[512], name[32];
        assert_true(length < sizeof text);
        memcpy(text, *line, length);
        text[length] = 0;
        int checked = 0, all = 0;
        double error = 0, limit = 0;
        char type[8], word[8];
        if (sscanf(text, "%31s %7s checked %d of %d largest error %lf limit %lf %7s", name, type, &checked, &all,
                   &error, &limit, word) != 7)
            fail_msg("not a line of a gradient: %s", text);
        assert_string_equal(name, names[i]);
        assert_string_equal(type, dtype);
        assert_true(checked > 0 && checked <= all && (checked == all || checked == 256));
        assert_string_equal(word, end);
        if (strcmp(end, "ok") == 0)
            assert_true(error <= limit && error >= 0);
        *line += length + 1;
    }
}

static const char *skip_head(void)
{
    assert_memory_equal(tool.out, "device: ", 8);
    const char *line = strchr(tool.out, '\n') + 1;
    assert_memory_equal(line, "problem: ", 9);
    return strchr(line, '\n') + 1;
}

static void test_gradcheck(void **state)
{
    static const struct {
        const char *options;
        unsigned gradients; /* of names */
        const char *dtype;
    } rows[] = {
        {"--algorithm im2col --dtype fp32 --kind deformable", 1 | 2 | 4 | 16, "fp32"},
        {"--algorithm im2col --dtype fp32 --kind plain --groups 3 --layout nhwc", 1 | 2 | 16, "fp32"},
        {"--algorithm im2col --dtype fp16 --deterministic --seed 2", 31, "fp16"},
        {"--algorithm fused --dtype fp16 --border edge --layout nhwc --seed 3", 31, "fp16"},
        {"--algorithm im2col --dtype fp32 --border edge --groups 1 --offset-groups 1 --seed 4", 31, "fp32"},
        {"--algorithm im2col --dtype fp32 --offset-gradient open --seed 5", 31, "fp32"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        tool_run("gradcheck %s", rows[i].options);
        tool_assert_success();
        const char *line = skip_head();
        assert_lines(&line, rows[i].gradients, rows[i].dtype, "ok");
        assert_string_equal(line, "");
    }
}

/* Without options: fp32, and fp64 where the device has it. */
static void test_gradcheck_default(void **state)
{
    (void)state;
    tool_run("gradcheck --dtype fp64");
    int fp64 = tool.exit_status == 0;
    if (!fp64)
        tool_assert_failure_with(1, "fp64");
    tool_run("gradcheck");
    tool_assert_success();
    const char *line = skip_head();
    assert_lines(&line, 31, "fp32", "ok");
    if (fp64)
        assert_lines(&line, 31, "fp64", "ok");
    assert_string_equal(line, "");
}

/* A seed gives a problem, and another seed another one. */
static void test_gradcheck_seed(void **state)
{
    (void)state;
    static char first[sizeof tool.out];
    tool_run("gradcheck --algorithm im2col --dtype fp32 --seed 8 --deterministic");
    tool_assert_success();
    memcpy(first, tool.out, sizeof first);
    tool_run("gradcheck --algorithm im2col --dtype fp32 --seed 8 --deterministic");
    assert_string_equal(tool.out, first);
    tool_run("gradcheck --algorithm im2col --dtype fp32 --seed 9 --deterministic");
    tool_assert_success();
    assert_string_not_equal(tool.out, first);
}

/* The kernels, with `from` in place of `to`, in the new folder "kernels". */
static void put_kernels(const char *from, const char *to)
{
    static char text[1 << 18], path[512];
    int changed = 0;
    const struct dirent *entry = NULL;
    assert_int_equal(mkdir("kernels", 0700), 0);
    DIR *folder = opendir(TEST_SOURCE_DIR "/../cl");
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        if (!strstr(entry->d_name, ".cl"))
            continue;
        snprintf(path, sizeof path, TEST_SOURCE_DIR "/../cl/%s", entry->d_name);
        size_t size = tool_get_file(path, text, sizeof text);
        assert_true(size < sizeof text);
        text[size] = 0;
        snprintf(path, sizeof path, "kernels/%s", entry->d_name);
        FILE *stream = fopen(path, "w");
        assert_non_null(stream);
        const char *rest = text;
        for (const char *at = NULL; (at = strstr(rest, from)) != NULL; rest = at + strlen(from)) {
            fwrite(rest, (size_t)(at - rest), 1, stream);
            fputs(to, stream);
            changed++;
        }
        fputs(rest, stream);
        assert_int_equal(fclose(stream), 0);
    }
    closedir(folder);
    assert_true(changed > 0); /* else this test needs another defect */
}

/* Kernels that take the pixel above a position for the one below it give gradients that are wrong, but for the bias's,
 * which no sample is in. */
static void test_gradcheck_finds_wrong_kernels(void **state)
{
    (void)state;
    put_kernels("floor(", "ceil(");
    tool_environment("CLDEFORM_KERNEL_DIR", "kernels");
    tool_run("gradcheck --dtype fp32");
    tool_environment("CLDEFORM_KERNEL_DIR", NULL);
    tool_assert_failure_with(3, "4 gradients differ from the finite differences on ");
    const char *line = skip_head();
    assert_lines(&line, 15, "fp32", "FAIL:");
    assert_lines(&line, 16, "fp32", "ok");
    assert_string_equal(line, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fp32),
        cmocka_unit_test(test_fp16),
        cmocka_unit_test(test_fp64),
        cmocka_unit_test(test_offset_and_mask_of_two_types),
        cmocka_unit_test(test_layouts_and_borders),
        cmocka_unit_test(test_offset_gradient),
        cmocka_unit_test(test_subsets),
        cmocka_unit_test(test_empty_batch),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_gradcheck),
        cmocka_unit_test(test_gradcheck_default),
        cmocka_unit_test(test_gradcheck_seed),
        cmocka_unit_test(test_gradcheck_finds_wrong_kernels),
    };
    const int without = tool_check_device();
    return without ? without : cmocka_run_group_tests(tests, tool_enter_directory, tool_leave_directory);
}
