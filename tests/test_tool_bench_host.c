/* test_tool_bench_host.c: what bench does without an OpenCL device: problems as strings, presets, files, and what is
 * refused. And the statistics of its samples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "statistics.h"
#include "tool_run.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int count_lines(const char *text)
{
    int lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

/* ---- strings ---- */

/* What is read, and what is written: without defaults, in the order of the fields; NULL: the same. */
static void test_strings(void **state)
{
    static const struct {
        const char *given, *canonical;
    } rows[] = {
        {"conv2d:in=128x100x168,out=64,kernel=3", NULL},
        {"conv2d:batch=1,in=128x100x168,out=128,kernel=3x3,stride=1x1,pad=1x1x1x1,dilation=1,groups=1,offset-groups=1,"
         "kind=deformable,dtype=fp32,offset-dtype=fp32,layout=nchw",
         "conv2d:in=128x100x168,out=128,kernel=3,pad=1"},
        {"conv2d:layout=nhwc,kernel=3x5,out=12,in=6x20x30,batch=2",
         "conv2d:batch=2,in=6x20x30,out=12,kernel=3x5,layout=nhwc"},
        {"conv2d:in=6x20x30,out=12,kernel=3x5,stride=2x1,pad=1x2x3x4,dilation=1x2,groups=3,offset-groups=2,kind="
         "modulated,"
         "dtype=fp16,offset-dtype=fp32,layout=nhwc",
         NULL},
        {"conv2d:in=6x20x30,out=12,kernel=3,pad=1x2", NULL},
        {"conv2d:in=6x20x30,out=12,kernel=3,pad=1x2x1x2,kind=plain",
         "conv2d:in=6x20x30,out=12,kernel=3,pad=1x2,kind=plain"},
        {"conv2d:in=6x20x30,out=12,kernel=3,dtype=fp64,offset-dtype=fp64",
         "conv2d:in=6x20x30,out=12,kernel=3,dtype=fp64"},
        {"roi-pool:batch=1,in=256x200x336,rois=1000,output-size=7x7,spatial-scale=0.25,sampling-ratio=0,gamma=0.1,"
         "mode=align,offset=1,mask=0,dtype=fp32,layout=nchw",
         "roi-pool:in=256x200x336,rois=1000,output-size=7,spatial-scale=0.25"},
        {"roi-pool:in=8x20x33,rois=10,output-size=7x5,spatial-scale=0.0625,sampling-ratio=2,gamma=-0.2,offset=1,mask=1",
         "roi-pool:in=8x20x33,rois=10,output-size=7x5,spatial-scale=0.0625,sampling-ratio=2,gamma=-0.2,mask=1"},
        {"roi-pool:in=8x20x33,rois=10,output-size=7,spatial-scale=0.3,offset=0", NULL},
        {"roi-pool:in=8x20x33,rois=10,output-size=7,spatial-scale=0.3,mode=max", NULL},
        {"roi-pool:in=8x20x33,rois=10,output-size=7,spatial-scale=0.3,mode=max,offset=0",
         "roi-pool:in=8x20x33,rois=10,output-size=7,spatial-scale=0.3,mode=max"},
        {"psroi-pool:batch=1,in=3969x38x63,rois=300,output-dim=81,group-size=7,part-size=7x7,output-size=7x7,"
         "sample-per-part=4x4,trans-std=0.1,spatial-scale=0.0625,classes=81",
         "psroi-pool:in=3969x38x63,rois=300,output-dim=81,output-size=7,spatial-scale=0.0625,classes=81"},
        {"psroi-pool:in=18x9x9,rois=3,output-dim=2,output-size=6,part-size=5x4,sample-per-part=3x2,spatial-scale=0.125,"
         "trans-std=0.25,mask=1,layout=nhwc",
         NULL},
        {"psroi-pool:in=18x9x9,rois=3,output-dim=2,output-size=6,spatial-scale=0.125,mode=plain", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char expected[1000];
        const char *canonical = rows[i].canonical ? rows[i].canonical : rows[i].given;
        snprintf(expected, sizeof expected, "%s %s\n", canonical, canonical);
        tool_run("bench --list --problem %s", rows[i].given);
        tool_assert_success();
        assert_string_equal(tool.out, expected);
        tool_run("bench --list --problem %s", canonical);
        tool_assert_success();
        assert_string_equal(tool.out, expected);
    }
}

/* ---- presets and files ---- */

static void test_presets(void **state)
{
    static const char *const presets[] = {"r50", "r101", "x101", "rfcn", "deeplab", "fpn-dcn", "roi"};
    static char all[16384];
    size_t length = 0;
    (void)state;
    for (size_t i = 0; i < COUNT(presets); i++) {
        char start[20];
        tool_run("bench --list --preset %s", presets[i]);
        tool_assert_success();
        snprintf(start, sizeof start, "%s/", presets[i]);
        assert_memory_equal(tool.out, start, strlen(start));
        length += (size_t)snprintf(all + length, sizeof all - length, "%s", tool.out);
        assert_true(length < sizeof all);
    }
    tool_run("bench --list");
    tool_assert_success();
    assert_string_equal(tool.out, all);
    tool_run("bench --list --preset r50/c3.0,roi/dpool-test --batch 2 --dtype fp16 --layout nhwc");
    tool_assert_success();
    assert_string_equal(
        tool.out, "r50/c3.0 conv2d:batch=2,in=128x200x336,out=128,kernel=3,stride=2,pad=1,dtype=fp16,layout=nhwc\n"
                  "roi/dpool-test roi-pool:batch=2,in=256x200x336,rois=1000,output-size=7,spatial-scale=0.25,"
                  "dtype=fp16,layout=nhwc\n");
    tool_run("bench --list --preset x101/c5.1 --kind modulated --offset-groups 4 --offset-dtype fp64");
    tool_assert_success();
    assert_string_equal(tool.out, "x101/c5.1 conv2d:in=1024x25x42,out=1024,kernel=3,pad=1,groups=32,offset-groups=4,"
                                  "kind=modulated,offset-dtype=fp64\n");
}

/* Each string of every preset is canonical. */
static void test_presets_are_canonical(void **state)
{
    static char listed[16384];
    (void)state;
    tool_run("bench --list");
    tool_assert_success();
    memcpy(listed, tool.out, strlen(tool.out) + 1);
    FILE *stream = fopen("cases.txt", "w");
    assert_non_null(stream);
    char *at = listed;
    for (char *end = strchr(at, '\n'); end; at = end + 1, end = strchr(at, '\n'))
        fprintf(stream, "%.*s\n", (int)(end - strchr(at, ' ') - 1), strchr(at, ' ') + 1);
    assert_int_equal(fclose(stream), 0);
    tool_run("bench --list --file cases.txt");
    tool_assert_success();
    assert_int_equal(count_lines(tool.out), count_lines(listed));
    const char *again = tool.out;
    at = listed;
    for (char *end = strchr(at, '\n'); end; at = end + 1, end = strchr(at, '\n')) {
        const char *problem = strchr(at, ' ') + 1, *written = strchr(again, ' ') + 1;
        assert_memory_equal(problem, written, (size_t)(end + 1 - problem));
        again = strchr(again, '\n') + 1;
    }
    assert_int_equal(remove("cases.txt"), 0);
}

static void test_file(void **state)
{
    static const char text[] =
        "# two\n\nconv2d:in=1x2x3,out=4,kernel=1 # fine\r\n\t roi-pool:in=1x2x3,rois=4,output-size=1,"
        "spatial-scale=1";
    (void)state;
    tool_put_file("cases.txt", text, strlen(text));
    tool_run("bench --list --preset r50/c4.1 --file cases.txt --problem conv2d:in=5x5x5,out=1,kernel=1");
    tool_assert_success();
    assert_int_equal(count_lines(tool.out), 4);
    assert_non_null(
        strstr(tool.out, "\nconv2d:in=1x2x3,out=4,kernel=1 conv2d:in=1x2x3,out=4,kernel=1\nroi-pool:in=1x2x3,"));
    assert_int_equal(remove("cases.txt"), 0);
}

/* ---- what is refused ---- */

#define CONV2D_FIELDS                                                                                                  \
    "batch, in, out, kernel, stride, pad, dilation, groups, offset-groups, kind, dtype, offset-dtype, layout"

static void test_refused(void **state)
{
    static const struct {
        const char *options, *message;
    } rows[] = {
        {"--preset r51", "--preset has no \"r51\", expected one of: r50, r101, x101, rfcn, deeplab, fpn-dcn, roi, or a "
                         "layer of one of them, as r50/c3.0"},
        {"--preset r50/c9", "--preset has no \"r50/c9\", expected one of: r50/c3.0, r50/c3.1, r50/c4.0, r50/c4.1, "
                            "r50/c5.0, r50/c5.1"},
        {"--preset r50,", "--preset is \"r50,\", expected names with commas between"},
        {"--preset rfcn --kind modulated", "--kind is of conv2d, expected no psroi-pool case (rfcn/cls-offset)"},
        {"--preset r50 --offset-groups 5",
         "\"conv2d:in=128x200x336,out=128,kernel=3,stride=2,pad=1,offset-groups=5\": problem.offset_groups is 5; it "
         "must divide in_channels, which is 128"},
        {"--batch 0", "--batch is \"0\", expected a whole number from 1 to 2147483647"},
        {"--dtype f32", "--dtype is \"f32\", expected one of: fp16, fp32, fp64"},
        {"--layout chw", "--layout is \"chw\", expected one of: nchw, nhwc"},
        {"--problem conv3d:in=3",
         "problem \"conv3d:in=3\": expected \"conv2d:\", \"roi-pool:\" or \"psroi-pool:\", then "
         "FIELD=VALUE,..."},
        {"--problem conv2d", "problem \"conv2d\": expected FIELD=VALUE,... behind \"conv2d:\""},
        {"--problem conv2d:in=3x4x5,kernel=1",
         "problem \"conv2d:in=3x4x5,kernel=1\": out is missing, expected at least: in, out, kernel"},
        {"--problem roi-pool:in=3x4x5", "problem \"roi-pool:in=3x4x5\": rois is missing, expected at least: in, rois, "
                                        "output-size, spatial-scale"},
        {"--problem conv2d:in=3x4,out=2",
         "problem \"conv2d:in=3x4,out=2\": in is \"3x4\", expected CxHxW, whole numbers "
         "from 1 to 2147483647"},
        {"--problem conv2d:in=3x4x5x6",
         "problem \"conv2d:in=3x4x5x6\": in is \"3x4x5x6\", expected CxHxW, whole numbers "
         "from 1 to 2147483647"},
        {"--problem conv2d:pad=1x2x3", "problem \"conv2d:pad=1x2x3\": pad is \"1x2x3\", expected N, HxW or TxLxBxR, "
                                       "whole numbers from 0 to 2147483647"},
        {"--problem conv2d:kernel=-1",
         "problem \"conv2d:kernel=-1\": kernel is \"-1\", expected N or HxW, whole numbers "
         "from 1 to 2147483647"},
        {"--problem conv2d:rois=4",
         "problem \"conv2d:rois=4\": conv2d has no \"rois\", expected one of: " CONV2D_FIELDS},
        {"--problem conv2d:kind=v2",
         "problem \"conv2d:kind=v2\": kind is \"v2\", expected one of: deformable, modulated, plain"},
        {"--problem conv2d:out=1,out=1", "problem \"conv2d:out=1,out=1\": out is given twice"},
        {"--problem conv2d:out", "problem \"conv2d:out\": \"out\" is not of the form FIELD=VALUE"},
        {"--problem conv2d:in=3x4x5,out=2,kernel=1,groups=2",
         "problem \"conv2d:in=3x4x5,out=2,kernel=1,groups=2\": problem.groups is 2; it must divide in_channels, which "
         "is 3"},
        {"--problem psroi-pool:in=10x4x5,rois=2,output-size=2,spatial-scale=1,output-dim=3",
         "problem \"psroi-pool:in=10x4x5,rois=2,output-size=2,spatial-scale=1,output-dim=3\": in has 10 channels, "
         "expected "
         "output-dim * group-size squared"},
        {"--problem roi-pool:spatial-scale=0",
         "problem \"roi-pool:spatial-scale=0\": spatial-scale is \"0\", expected a number above 0"},
        {"--file missing.txt", "missing.txt cannot be opened: No such file or directory"},
        {"--file empty.txt", "empty.txt has no case, expected a problem on each line; '#' begins a comment"},
        {"--file wrong.txt",
         "wrong.txt, line 2: problem \"conv2d:x=1\": conv2d has no \"x\", expected one of: " CONV2D_FIELDS},
        {"--algorithm auto,auto", "--algorithm is \"auto,auto\", expected each word once"},
        {"--algorithm cudnn", "--algorithm is \"cudnn\", expected one of: auto, im2col, fused, tiled, direct"},
        {"--pass both", "--pass is \"both\", expected one of: forward, backward"},
        {"--pass ''", "--pass is \"\", expected one of: forward, backward"},
        {"--samples 5,2", "--samples is \"5,2\", expected LEAST[,MOST] with MOST not below LEAST"},
        {"--min-time 0", "--min-time is \"0\", expected a number above 0"},
        {"--cache warm", "--cache is \"warm\", expected one of: hot, cold"},
        {"--offsets big", "--offsets is \"big\", expected one of: normal, zero, uniform"},
        {"--csv x --json x", "--csv and --json are both x, expected a file each"},
        {"--json missing/x", "missing/x cannot be written: No such file or directory"},
        {"more", "unexpected argument \"more\"; see \"cldeform bench --help\""},
    };
    (void)state;
    tool_put_file("empty.txt", "# nothing\n\n", 11);
    tool_put_file("wrong.txt", "# one\nconv2d:x=1\n", 17);
    for (size_t i = 0; i < COUNT(rows); i++)
        tool_assert_refused(rows[i].message, "bench %s", rows[i].options);
    assert_int_equal(remove("empty.txt") | remove("wrong.txt"), 0);
}

/* Nothing is written, also not under a temporary name. */
static void test_no_device(void **state)
{
    (void)state;
    const int files = tool_count_files();
    tool_put_before("kept.json");
    tool_run("bench --csv new.csv --json kept.json");
    tool_assert_failure(1, TOOL_NO_DEVICE);
    tool_assert_untouched("kept.json");
    assert_int_equal(remove("kept.json"), 0);
    assert_int_equal(tool_count_files(), files);
}

static void test_help(void **state)
{
    static const char *const options[] = {"--preset NAMES",
                                          "--file F",
                                          "--problem STRING",
                                          "--dtype, --offset-dtype, --batch, --layout, --kind, --offset-groups",
                                          "--offsets normal|zero|uniform",
                                          "--list",
                                          "--pass LIST",
                                          "--algorithm LIST",
                                          "--device D",
                                          "--cache hot|cold",
                                          "--packed",
                                          "--first",
                                          "--steps",
                                          "--no-roofline",
                                          "--min-time S",
                                          "--samples LEAST[,MOST]",
                                          "--csv F, --json F",
                                          "--turns",
                                          NULL};
    (void)state;
    tool_assert_help("bench", options);
}

/* ---- statistics ---- */

static void test_statistics(void **state)
{
    double values[] = {5, 1, 4, 2, 3};
    size_t low = 9, high = 9;
    (void)state;
    statistics_sort(values, 5);
    for (int i = 0; i < 5; i++)
        assert_true(values[i] == i + 1);
    assert_true(statistics_quantile(values, 5, 0) == 1);
    assert_true(statistics_quantile(values, 5, 0.5) == 3);
    assert_true(statistics_quantile(values, 4, 0.5) == 2.5);
    assert_true(statistics_quantile(values, 5, 1) == 5);
    assert_true(statistics_quantile(values, 1, 0.1) == 1);
    statistics_median_bounds(1, &low, &high);
    assert_true(low == 0 && high == 0);
    statistics_median_bounds(5, &low, &high);
    assert_true(low == 0 && high == 4);
    statistics_median_bounds(100, &low, &high); /* 50 -+ 9.8 */
    assert_true(low == 40 && high == 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings), cmocka_unit_test(test_presets),    cmocka_unit_test(test_presets_are_canonical),
        cmocka_unit_test(test_file),    cmocka_unit_test(test_refused),    cmocka_unit_test(test_no_device),
        cmocka_unit_test(test_help),    cmocka_unit_test(test_statistics),
    };
    return cmocka_run_group_tests(tests, tool_enter_without_device, tool_leave_directory);
}
