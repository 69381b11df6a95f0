/* test_tool_bench.c: bench on a device: what its files hold, that a wrong kernel is FAIL and no time, and turns. No
 * time is looked at. */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

#include <cmocka.h>
#include <jansson.h>

#include "tool_device.h"
#include "tool_run.h"
#include "tool_tensor.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define QUICK     "bench --no-roofline --min-time 0.001 --samples 2,2 "
#define SMALL     "--problem conv2d:in=8x9x10,out=6,kernel=3,pad=1 "
#define LARGE     "--problem conv2d:in=64x30x34,out=48,kernel=3,pad=1 " /* the reference computes a sample */
#define ROI       "--problem roi-pool:in=8x20x24,rois=10,output-size=3,spatial-scale=0.1,sampling-ratio=2 "
#define ROI_MAX   "--problem roi-pool:in=8x20x24,rois=10,output-size=3,spatial-scale=0.1,mode=max "
#define PSROI     "--problem psroi-pool:in=18x20x24,rois=10,output-dim=2,output-size=3,spatial-scale=0.1,mask=1 "
#define ROI_LARGE "--problem roi-pool:in=64x50x60,rois=500,output-size=7,spatial-scale=0.25,sampling-ratio=3,mask=1 "
#define PSROI_LARGE                                                                                                    \
    "--problem psroi-pool:batch=2,in=980x19x23,rois=500,output-dim=20,output-size=7,classes=5,spatial-scale=0.0625 "

static json_t *load(const char *path)
{
    json_error_t error;
    json_t *results = json_load_file(path, 0, &error);
    if (!results)
        fail_msg("%s: %s; the tool printed: %s", path, error.text, tool.err);
    assert_int_equal(remove(path), 0);
    assert_string_equal(json_string_value(json_object_get(results, "schema")), "cldeform-bench-1");
    return results;
}

static double real_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_real(value))
        fail_msg("\"%s\" is not a real number", key);
    return json_real_value(value);
}

static void assert_word(const json_t *object, const char *key, const char *expected)
{
    const char *word = json_string_value(json_object_get(object, key));
    if (!word)
        fail_msg("\"%s\" is not a string", key);
    assert_string_equal(word, expected);
}

/* ---- files ---- */

static void check_metadata(const json_t *m)
{
    static const char *const strings[] = {"version", "device", "platform", "driver", "date", "tuning"};
    static const char *const loads[] = {"load_before", "load_after"};
    assert_word(m, "program", "cldeform");
    for (size_t i = 0; i < COUNT(strings); i++)
        assert_true(json_string_length(json_object_get(m, strings[i])) > 0);
    int year = 0;
    assert_int_equal(sscanf(json_string_value(json_object_get(m, "date")), "%4d-%*2d-%*2dT%*2d:%*2d:%*2dZ", &year), 1);
    assert_non_null(json_object_get(m, "threads"));
    const json_t *host = json_object_get(m, "host"), *peaks = json_object_get(m, "peaks");
    assert_non_null(json_object_get(host, "cpu"));
    assert_non_null(json_object_get(host, "cores"));
    for (size_t i = 0; i < COUNT(loads); i++)
        assert_non_null(json_object_get(host, loads[i]));
    const json_t *command = json_object_get(json_object_get(m, "options"), "command");
    assert_string_equal(json_string_value(json_array_get(command, 0)), "bench");
    assert_string_equal(json_string_value(json_array_get(command, 2)), "0.001");
    assert_true(real_of(json_object_get(peaks, "gflops"), "fp32") > 0);
    assert_int_equal(json_is_real(json_object_get(json_object_get(peaks, "gflops"), "fp64")), tool_has_fp64());
    assert_true(real_of(peaks, "copy_gbs") > 0);
}

static void check_result(const json_t *r, const char *pass)
{
    const json_t *times = json_object_get(r, "times_ms");
    const double median = real_of(r, "median_ms"), least = real_of(r, "min_ms");
    assert_word(r, "pass", pass);
    assert_word(r, "dtype", "fp32");
    assert_word(r, "layout", "nchw");
    assert_word(r, "status", "ok");
    assert_word(r, "cache", "hot");
    assert_null(json_object_get(r, "error"));
    assert_true(json_string_length(json_object_get(r, "algorithm")) > 0);
    assert_string_not_equal(json_string_value(json_object_get(r, "algorithm")), "auto");
    assert_int_equal(json_integer_value(json_object_get(r, "samples")), 2);
    assert_int_equal(json_array_size(times), 2);
    const double first = json_real_value(json_array_get(times, 0)), second = json_real_value(json_array_get(times, 1));
    assert_true(fabs(least - fmin(first, second)) <= 1e-6 * least);
    assert_true(fabs(median - (first + second) / 2) <= 1e-6 * median);
    assert_true(least <= real_of(r, "p10_ms") && real_of(r, "p10_ms") <= median && median <= real_of(r, "p90_ms"));
    assert_true(real_of(r, "device_ms") > 0);
    assert_true(real_of(r, "first_ms") > 0);
    assert_true(fabs(real_of(r, "gflops") - real_of(r, "gflop") / median * 1e3) <= 1e-6 * real_of(r, "gflops"));
    const double bound = real_of(r, "bound_ms");
    const char *kind = json_string_value(json_object_get(r, "bound"));
    assert_true(strcmp(kind, "compute") == 0 || strcmp(kind, "memory") == 0);
    assert_true(fabs(real_of(r, "percent_of_bound") - 100 * bound / median) <= 1e-6 * real_of(r, "percent_of_bound"));
    assert_true(json_is_integer(json_object_get(r, "workspace_bytes")));
    assert_non_null(json_object_get(r, "threads"));
    const json_t *steps = json_object_get(r, "steps");
    assert_true(json_array_size(steps) > 0);
    for (size_t i = 0; i < json_array_size(steps); i++)
        assert_true(json_string_length(json_object_get(json_array_get(steps, i), "step")) > 0);
}

/* Every member of every result, the table, and CSV with a line for each. */
static void test_results(void **state)
{
    static const char *const problems[] = {
        "conv2d:in=8x9x10,out=6,kernel=3,pad=1",
        "roi-pool:in=8x20x24,rois=10,output-size=3,spatial-scale=0.1,sampling-ratio=2"};
    char csv[4096];
    (void)state;
    tool_run("bench --min-time 0.001 --samples 2,2 --steps --first " SMALL ROI "--json r.json --csv r.csv");
    tool_assert_success();
    assert_non_null(strstr(tool.out, "device: "));
    assert_non_null(strstr(tool.out, "\npeak: "));
    for (size_t i = 0; i < COUNT(problems); i++)
        assert_non_null(strstr(tool.out, problems[i]));
    json_t *all = load("r.json");
    check_metadata(json_object_get(all, "metadata"));
    const json_t *results = json_object_get(all, "results");
    assert_int_equal(json_array_size(results), 4);
    for (size_t i = 0; i < 4; i++) {
        const json_t *r = json_array_get(results, i);
        check_result(r, i % 2 ? "backward" : "forward");
        assert_word(r, "case", problems[i / 2]);
        assert_word(r, "problem", problems[i / 2]);
    }
    assert_true(fabs(real_of(json_array_get(results, 0), "gflop") - 2e-9 * 6 * 90 * 8 * 9) < 1e-12);
    assert_true(fabs(real_of(json_array_get(results, 1), "gflop") - 4e-9 * 6 * 90 * 8 * 9) < 1e-12);
    const size_t size = tool_get_file("r.csv", csv, sizeof csv - 1);
    csv[size] = 0;
    assert_int_equal(remove("r.csv"), 0);
    assert_memory_equal(csv, "case,problem,count,pass,algorithm,dtype,", 39);
    int lines = 0;
    for (const char *c = csv; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 5);
    assert_non_null(strstr(csv,
                           "\n\"conv2d:in=8x9x10,out=6,kernel=3,pad=1\",\"conv2d:in=8x9x10,out=6,kernel=3,pad=1\",1,"
                           "\"backward\","));
    json_decref(all);
}

/* What is computed is right in each form, whole and in a sample, hot and cold. */
static void test_forms(void **state)
{
    static const char *const runs[] = {
        ROI_MAX PSROI "--layout nhwc",
        SMALL
        "--kind modulated --offset-groups 2 --batch 2 --layout nhwc --dtype fp16 --offset-dtype fp32 --cache cold "
        "--packed --offsets uniform",
        "--problem conv2d:batch=2,in=64x30x34,out=48,kernel=3x5,stride=2x1,pad=2x1x0x3,dilation=1x2,groups=2,"
        "offset-groups=4,kind=modulated,layout=nhwc",
        "--problem conv2d:batch=2,in=64x30x34,out=48,kernel=3,kind=plain,groups=2,dtype=fp16",
        ROI_LARGE PSROI_LARGE "--layout nhwc",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(runs); i++) {
        tool_run(QUICK "%s --json r.json", runs[i]);
        tool_assert_success();
        json_t *all = load("r.json");
        const json_t *results = json_object_get(all, "results");
        assert_true(json_array_size(results) > 0);
        for (size_t k = 0; k < json_array_size(results); k++) {
            const json_t *r = json_array_get(results, k);
            assert_word(r, "status", "ok");
            assert_true(json_is_null(json_object_get(r, "bound_ms")));
            assert_true(json_is_null(json_object_get(r, "first_ms")));
            assert_word(r, "cache", i == 1 ? "cold" : "hot");
            assert_word(r, "dtype", i == 1 || i == 3 ? "fp16" : "fp32");
            assert_word(r, "layout", i == 3 ? "nchw" : "nhwc");
        }
        json_decref(all);
    }
}

/* It has a line of the table, is left out of the results, and is counted. What auto takes is not measured twice. */
static void test_algorithms(void **state)
{
    (void)state;
    tool_run(QUICK ROI "--pass forward --algorithm auto,im2col,direct --json r.json");
    tool_assert_success();
    assert_non_null(strstr(tool.out, "  forward  im2col    unsupported\n"));
    assert_non_null(strstr(tool.out, "  forward  direct    see above\n"));
    json_t *all = load("r.json");
    assert_int_equal(json_array_size(json_object_get(all, "results")), 1);
    assert_word(json_array_get(json_object_get(all, "results"), 0), "algorithm", "direct");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(all, "metadata"), "unsupported")), 1);
    json_decref(all);
}

/* The other rows are measured all the same. */
static void test_too_large(void **state)
{
    (void)state;
    tool_run(QUICK "--problem conv2d:in=100000x10000x10000,out=1,kernel=1 " SMALL "--pass forward --json r.json");
    tool_assert_failure(1, "1 result could not be measured");
    assert_non_null(strstr(tool.out, "FAIL input has "));
    json_t *all = load("r.json");
    const json_t *results = json_object_get(all, "results");
    assert_int_equal(json_array_size(results), 2);
    assert_word(json_array_get(results, 0), "status", "fail");
    assert_word(json_array_get(results, 1), "status", "ok");
    json_decref(all);
}

/* ---- wrong kernels ---- */

/* A copy of the kernels in "wrong" with one change, which must be one. */
static void use_wrong_kernel(const char *file, const char *change)
{
    char command[1000];
    snprintf(command, sizeof command,
             "rm -rf wrong && cp -r '%s/../cl' wrong && sed -i '%s' wrong/%s && ! cmp -s wrong/%s '%s/../cl/%s'",
             TEST_SOURCE_DIR, change, file, file, TEST_SOURCE_DIR, file);
    assert_int_equal(system(command), 0);
    tool_environment("CLDEFORM_KERNEL_DIR", "wrong");
}

static void check_failure(const char *problem, const char *pass, const char *error)
{
    char part[100];
    tool_run(QUICK "%s --pass %s --json r.json --csv r.csv", problem, pass);
    tool_assert_failure(3, "1 result differs from the reference");
    snprintf(part, sizeof part, "FAIL %s", error);
    if (!strstr(tool.out, part))
        fail_msg("no \"%s\" in: %s", part, tool.out);
    json_t *all = load("r.json");
    const json_t *r = json_array_get(json_object_get(all, "results"), 0);
    static const char *const nulls[] = {"median_ms", "min_ms", "p10_ms", "p90_ms", "device_ms", "gflops"};
    assert_word(r, "status", "fail");
    assert_int_equal(json_integer_value(json_object_get(r, "samples")), 0);
    assert_int_equal(json_array_size(json_object_get(r, "times_ms")), 0);
    assert_memory_equal(json_string_value(json_object_get(r, "error")), error, strlen(error));
    for (size_t i = 0; i < COUNT(nulls); i++)
        assert_true(json_is_null(json_object_get(r, nulls[i])));
    json_decref(all);
    assert_int_equal(remove("r.csv"), 0);
}

/* One corner of a sample has the weight of another; one per cent too much; an element outside the reference's sample
 * that is not written. RoI pooling has no other algorithm, and the
 * convolution is made to take the one whose kernels are changed. */
static void test_fail(void **state)
{
    static const struct {
        const char *file, *change, *problem, *pass, *error;
    } rows[] = {
        {"conv2d_im2col.cl", "s/fma((type)at.w11, at.inside/fma((type)at.w10, at.inside/", SMALL "--algorithm im2col",
         "forward", "output["},
        {"conv2d_im2col.cl", "s/fma((type)at.w11, at.inside/fma((type)at.w10, at.inside/", LARGE "--algorithm im2col",
         "forward", "output["},
        {"conv2d_im2col.cl", "s/fma((type)at.w11, at.inside/fma((type)at.w10, at.inside/", LARGE "--algorithm im2col",
         "backward", "grad_weight["},
        {"conv2d_offset_gradient.clh", "s/STORE_OFFSET(to, index, sum)/STORE_OFFSET(to, index, sum * 1.01f)/",
         LARGE "--algorithm im2col", "backward", "grad_offset["},
        {"conv2d_offset_gradient.clh", "s/STORE_OFFSET(to, index, sum)/if (index != 100) STORE_OFFSET(to, index, sum)/",
         LARGE "--algorithm im2col", "backward", "grad_offset[100] is not finite"},
        {"roi_forward.cl", "s/rows->weight\\[y\\] \\* columns->weight\\[x\\]/rows->weight[y]/", ROI, "forward",
         "output["},
        {"roi_forward.cl", "s/rows->weight\\[y\\] \\* columns->weight\\[x\\]/rows->weight[y]/", PSROI_LARGE, "forward",
         "output["},
        {"roi_grad_input.cl", "s/rows->weight\\[y\\] \\* columns->weight\\[x\\]/rows->weight[y]/", ROI_LARGE,
         "backward", "grad_input["},
        {"roi_grad_offset.cl", "s/STORE_OFFSET(to, at, sum)/STORE_OFFSET(to, at, sum * 1.01f)/", PSROI_LARGE,
         "backward", "grad_offset["},
    };
    (void)state;
    /* each run would compile CLBlast's kernels, which are not what is wrong */
    tool_put_file("builtin.txt", "\"*\" gemm_clblast=0\n", 19);
    tool_environment("CLDEFORM_TUNING_FILE", "builtin.txt");
    for (size_t i = 0; i < COUNT(rows); i++) {
        use_wrong_kernel(rows[i].file, rows[i].change);
        check_failure(rows[i].problem, rows[i].pass, rows[i].error);
    }
    tool_environment("CLDEFORM_KERNEL_DIR", NULL);
    tool_environment("CLDEFORM_TUNING_FILE", NULL);
    assert_int_equal(remove("builtin.txt"), 0);
    assert_int_equal(system("rm -r wrong"), 0);
}

/* ---- turns ---- */

static const char ready[] = "ready conv2d:in=8x9x10,out=6,kernel=3,pad=1 %s ";

static void put_turns(const char *text)
{
    tool_put_file("turns.txt", text, strlen(text));
}

/* Two samples of forward, then none of backward. */
static void test_turns(void **state)
{
    char line[100];
    (void)state;
    put_turns("go\ngo\nnext\nnext\n");
    tool_run(QUICK SMALL "--turns --json r.json <turns.txt");
    tool_assert_success();
    char *at = tool.out;
    for (int pass = 0; pass < 2; pass++) {
        const int length = snprintf(line, sizeof line, ready, pass ? "backward" : "forward");
        assert_memory_equal(at, line, (size_t)length);
        at = strchr(at, '\n') + 1;
        for (int i = 0; i < (pass ? 0 : 2); i++) {
            char *end = NULL;
            assert_true(strtod(at, &end) > 0);
            assert_true(*end == '\n');
            at = end + 1;
        }
    }
    assert_int_equal(*at, 0);
    json_t *all = load("r.json");
    const json_t *results = json_object_get(all, "results");
    assert_int_equal(json_array_size(results), 2);
    assert_int_equal(json_array_size(json_object_get(json_array_get(results, 0), "times_ms")), 2);
    assert_true(real_of(json_array_get(results, 0), "median_ms") > 0);
    assert_true(json_is_null(json_object_get(json_array_get(results, 1), "median_ms")));
    json_decref(all);
}

static void test_wrong_turns(void **state)
{
    (void)state;
    put_turns("go\n");
    tool_run(QUICK SMALL "--turns --json r.json <turns.txt");
    tool_assert_failure(2, "standard input has ended, expected \"go\" or \"next\"");
    tool_assert_no_file("r.json");
    put_turns("stop\n");
    tool_run(QUICK SMALL "--turns --json r.json <turns.txt");
    tool_assert_failure(2, "standard input has \"stop\", expected \"go\" or \"next\"");
    tool_assert_no_file("r.json");
    assert_int_equal(remove("turns.txt"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),     cmocka_unit_test(test_forms), cmocka_unit_test(test_algorithms),
        cmocka_unit_test(test_too_large),   cmocka_unit_test(test_fail),  cmocka_unit_test(test_turns),
        cmocka_unit_test(test_wrong_turns),
    };
    const int without = tool_check_device();
    return without ? without : cmocka_run_group_tests(tests, tool_enter_directory, tool_leave_directory);
}
