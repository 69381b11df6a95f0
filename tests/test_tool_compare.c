/* test_tool_compare.c: the compare command: verdicts, exit statuses, which rows belong together, what it writes, and
 * what it refuses. Its files are made here; nothing is measured. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "tool_run.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- result files ---- */

/* Around `middle`, with a tail to the right as times have it. width: of the middle part, as a fraction. */
static json_t *make_times(int n, double middle, double width)
{
    json_t *times = json_array();
    for (int i = 0; i < n; i++) {
        const double at = (double)(i * 7 % n) / n - 0.5; /* not in order */
        json_array_append_new(times, json_real(middle * (1 + width * at + (i % 10 == 3 ? 0.3 : 0))));
    }
    return times;
}

static int compare_reals(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A row of these times; times stays the caller's to add to. */
static json_t *make_row(const char *case_name, const char *pass, const char *algorithm, json_t *times)
{
    double sorted[64];
    const size_t n = json_array_size(times);
    assert_true(n > 0 && n <= COUNT(sorted));
    for (size_t i = 0; i < n; i++)
        sorted[i] = json_number_value(json_array_get(times, i));
    qsort(sorted, n, sizeof *sorted, compare_reals);
    const double median = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
    return json_pack("{ss ss ss ss ss ss ss ss sf sf so sI sf si}", "case", case_name, "problem",
                     "conv2d:in=8x9x10,out=8,kernel=3", "pass", pass, "algorithm", algorithm, "dtype", "fp32", "layout",
                     "nchw", "cache", "hot", "status", "ok", "median_ms", median, "min_ms", sorted[0], "times_ms",
                     times, "samples", (json_int_t)n, "gflops", 1.5, "threads", 2);
}

static json_t *make_failed_row(const char *case_name, const char *error)
{
    json_t *row = make_row(case_name, "forward", "im2col", make_times(1, 1, 0));
    assert_int_equal(json_object_update_new(row, json_pack("{ss ss sn sn si}", "status", "fail", "error", error,
                                                           "median_ms", "min_ms", "samples", 0)),
                     0);
    json_object_del(row, "times_ms");
    return row;
}

static json_t *make_file(const char *program)
{
    return json_pack("{ss s{ss ss ss ss sn si} s[]}", "schema", "cldeform-bench-1", "metadata", "program", program,
                     "version", "1.2", "device", "some device", "date", "2026-01-01T00:00:00Z", "driver", "threads", 2,
                     "results");
}

static void add_row(json_t *file, json_t *row)
{
    assert_int_equal(json_array_append_new(json_object_get(file, "results"), row), 0);
}

static void write_json(const char *path, json_t *file)
{
    assert_non_null(file);
    assert_int_equal(json_dump_file(file, path, 0), 0);
}

static void put_file(const char *path, json_t *file)
{
    write_json(path, file);
    json_decref(file);
}

/* One case of each median, in milliseconds; 0 ends them. */
static void put_medians(const char *path, const char *program, const double *medians, int samples, double width)
{
    json_t *file = make_file(program);
    for (int i = 0; medians[i] > 0; i++) {
        char name[32];
        snprintf(name, sizeof name, "case/%d", i);
        add_row(file, make_row(name, "forward", "im2col", make_times(samples, medians[i], width)));
    }
    put_file(path, file);
}

/* ---- what was printed ---- */

/* The last word, or words, of the line that begins so. */
static void assert_line_ends(const char *begin, const char *end)
{
    const char *line = strstr(tool.out, begin);
    while (line && line != tool.out && line[-1] != '\n')
        line = strstr(line + 1, begin);
    if (!line)
        fail_msg("no line begins with %s:\n%s", begin, tool.out);
    const size_t length = strcspn(line, "\n"), wanted = strlen(end);
    if (length < wanted || strncmp(line + length - wanted, end, wanted) != 0)
        fail_msg("the line should end with \"%s\": %.*s", end, (int)length, line);
}

static void assert_printed(const char *part)
{
    if (!strstr(tool.out, part))
        fail_msg("\"%s\" is not in:\n%s", part, tool.out);
}

/* ---- two files ---- */

/* 1.1 is clearly more, 1.032 is more, but not by enough to be sure that it is more than 3 %; its interval is wide where
 * the times are spread. */
static void test_verdicts(void **state)
{
    static const double old[] = {10, 10, 10, 10, 0}, new[] = {11, 9, 10.05, 10.3, 0};
    (void)state;
    put_medians("a.json", "one", old, 40, 0.02);
    put_medians("b.json", "two", new, 40, 0.02);
    tool_run("compare a.json b.json");
    tool_assert_failure(3, "slower: 1 of 4 rows; FAIL now: 0");
    assert_line_ends("case/0 ", " slower");
    assert_line_ends("case/1 ", " faster");
    assert_line_ends("case/2 ", " same");
    assert_line_ends("case/3 ", " unsure");
    assert_printed("4 rows: 1 same, 1 faster, 1 slower, 1 unsure; geometric mean of the ratios of 4: 1.006\n");
    assert_printed("old: one 1.2, some device, 2 threads, 2026-01-01T00:00:00Z (a.json)\n");
    assert_printed(" 10.01   11.01  1.100  ");
    char first[sizeof tool.out]; /* the same from run to run: the seed is fixed */
    memcpy(first, tool.out, sizeof first);
    tool_run("compare a.json b.json");
    assert_string_equal(tool.out, first);
    tool_run("compare b.json b.json");
    tool_assert_success();
    assert_printed("4 rows: 4 same; geometric mean of the ratios of 4: 1.000\n");
}

static void test_threshold(void **state)
{
    static const double old[] = {10, 10, 0}, new[] = {11, 10, 0};
    (void)state;
    put_medians("a.json", "one", old, 40, 0.02);
    put_medians("b.json", "two", new, 40, 0.02);
    tool_run("compare a.json b.json --threshold 20");
    tool_assert_success();
    assert_line_ends("case/0 ", " same");
    tool_run("compare a.json b.json --threshold 10");
    tool_assert_success();
    assert_line_ends("case/0 ", " unsure");
    tool_run("compare a.json b.json --threshold 0");
    tool_assert_failure(3, "slower: 1 of 2 rows; FAIL now: 0");
    assert_line_ends("case/1 ", " unsure"); /* nothing is within 0 % for sure */
}

/* However large the difference, few samples show nothing; nor do files without raw times. */
static void test_few_samples(void **state)
{
    static const double old[] = {10, 0}, new[] = {20, 0};
    (void)state;
    for (int n = 5; n <= 6; n++) {
        put_medians("a.json", "one", old, n, 0.02);
        put_medians("b.json", "two", new, n, 0.02);
        tool_run("compare a.json b.json");
        assert_line_ends("case/0 ", n < 6 ? " unsure" : " slower");
        assert_int_equal(tool.exit_status, n < 6 ? 0 : 3);
    }
    json_t *file = make_file("raw"), *row = make_row("case/0", "forward", "im2col", make_times(20, 10, 0.1));
    json_object_del(row, "times_ms");
    add_row(file, row);
    put_file("c.json", file);
    tool_run("compare c.json b.json");
    tool_assert_success();
    assert_line_ends("case/0 ", "  unsure");
}

/* The machine's speed doubles halfway through both: medians alone are spread widely, and pairs show the 5 %. */
static void test_paired(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        json_t *file = make_file(k ? "two" : "one"), *times = json_array();
        for (int i = 0; i < 30; i++)
            json_array_append_new(times, json_real((i % 2 ? 10 : 20) * (k ? 1.05 : 1) * (1 + 0.001 * (i * 7 % 11))));
        add_row(file, make_row("case/0", "forward", "im2col", times));
        put_file(k ? "b.json" : "a.json", file);
    }
    tool_run("compare a.json b.json");
    tool_assert_success();
    assert_line_ends("case/0 ", " unsure");
    tool_run("compare a.json b.json --paired");
    tool_assert_failure(3, "slower: 1 of 1 rows; FAIL now: 0");
    assert_printed(" 1.050  1.050..1.050  slower\n");
}

static void test_failed_rows(void **state)
{
    (void)state;
    json_t *a = make_file("one"), *b = make_file("two");
    add_row(a, make_row("one", "forward", "im2col", make_times(20, 10, 0.01)));
    add_row(b, make_failed_row("one", "3 of 40 elements are wrong"));
    add_row(a, make_failed_row("two", ""));
    add_row(b, make_row("two", "forward", "im2col", make_times(20, 10, 0.01)));
    add_row(a, make_failed_row("three", "before"));
    add_row(b, make_failed_row("three", "after"));
    add_row(a, make_row("four", "forward", "im2col", make_times(20, 10, 0.01)));
    add_row(b, make_row("five", "forward", "im2col", make_times(20, 10, 0.01)));
    put_file("a.json", a);
    put_file("b.json", b);
    tool_run("compare a.json b.json");
    tool_assert_failure(3, "slower: 0 of 5 rows; FAIL now: 1");
    assert_line_ends("one ", " FAIL");
    assert_line_ends("two ", " now fine");
    assert_line_ends("three ", " both fail");
    assert_line_ends("four ", " only old");
    assert_line_ends("five ", " only new");
    assert_printed("\nFAIL: one forward im2col: 3 of 40 elements are wrong\n");
    tool_run("compare b.json a.json"); /* what is gone or was broken before is no reason to fail */
    tool_assert_failure(3, "slower: 0 of 5 rows; FAIL now: 1");
    assert_line_ends("two ", " FAIL");
}

/* Each row goes with its own algorithm if the other file has it, and with another's only where it must. */
static void test_matching(void **state)
{
    (void)state;
    json_t *a = make_file("one"), *b = make_file("two");
    add_row(a, make_row("x", "forward", "im2col", make_times(20, 10, 0.01)));
    add_row(b, make_row("x", "forward", "fused", make_times(20, 1, 0.01)));
    add_row(b, make_row("x", "forward", "im2col", make_times(20, 10, 0.01)));
    add_row(a, make_row("y", "backward", "im2col", make_times(20, 10, 0.01)));
    add_row(b, make_row("y", "backward", "fused", make_times(20, 1, 0.01)));
    json_t *other = make_row("x", "forward", "im2col", make_times(20, 50, 0.01));
    json_object_set_new(other, "dtype", json_string("fp64"));
    add_row(b, other);
    put_file("a.json", a);
    put_file("b.json", b);
    tool_run("compare a.json b.json");
    tool_assert_success();
    assert_printed("4 rows: 1 same, 1 faster, 2 only new;");
    assert_printed("im2col -> fused");
    tool_run("compare a.json b.json --by-algorithm");
    tool_assert_success();
    assert_printed("5 rows: 1 same, 1 only old, 3 only new;");
}

static void test_nothing_in_common(void **state)
{
    static const double medians[] = {10, 0};
    (void)state;
    put_medians("a.json", "one", medians, 10, 0.01);
    put_file("empty.json", make_file("two"));
    tool_assert_refused("a.json has no row in common with empty.json", "compare a.json empty.json");
    tool_assert_refused("empty.json has no row in common with the other files", "compare empty.json a.json empty.json");
}

/* ---- tables and files ---- */

static void test_table(void **state)
{
    static const double ours[] = {10, 20, 0}, theirs[] = {40, 20, 0}, one[] = {5, 0};
    (void)state;
    put_medians("ours.json", "one", ours, 11, 0);
    put_medians("theirs.json", "two", theirs, 11, 0);
    put_medians("part.json", "three", one, 11, 0);
    tool_run("compare ours.json theirs.json part.json");
    tool_assert_success(); /* though things are slower: a table judges nothing */
    assert_printed("theirs: two 1.2, some device, 2 threads, 2026-01-01T00:00:00Z (theirs.json)\n");
    assert_printed("case            pass     algorithm  dtype  layout  cache  ours ms  theirs ms  ratio  part ms  "
                   "ratio\n");
    assert_line_ends("case/0 ", " 10.00      40.00  4.000    5.000  0.500");
    assert_line_ends("case/1 ", " 20.00      20.00  1.000                ");
    assert_line_ends("geometric mean ", " 2.000           0.500");
    tool_run("compare ours.json theirs.json --table --markdown");
    tool_assert_success();
    assert_printed("\n| case | pass | algorithm | dtype | layout | cache | ours ms | theirs ms | ratio |\n"
                   "|---|---|---|---|---|---|--:|--:|--:|\n"
                   "| case/0 | forward | im2col | fp32 | nchw | hot | 10.00 | 40.00 | 4.000 |\n");
    assert_printed("\n| geometric mean |  |  |  |  |  |  |  | 2.000 |\n");
}

/* What would end a cell of Markdown or of CSV is made harmless. */
static void test_cells_are_quoted(void **state)
{
    char text[4096];
    (void)state;
    json_t *file = make_file("one");
    add_row(file, make_row("a|\"b\",c", "forward", "im2col", make_times(9, 10, 0)));
    put_file("a.json", file);
    tool_run("compare a.json a.json --markdown --csv t.csv");
    tool_assert_success();
    assert_printed("\n| a\\|\"b\",c | forward | ");
    text[tool_get_file("t.csv", text, sizeof text - 1)] = 0;
    assert_non_null(strstr(text, "\n\"a|\"\"b\"\",c\",\"conv2d:"));
}

/* A row of another number of threads than its file's says so. */
static void test_threads_are_shown(void **state)
{
    (void)state;
    json_t *file = make_file("one"), *row = make_row("x", "forward", "gemm", make_times(9, 10, 0));
    json_object_set_new(row, "threads", json_integer(1));
    add_row(file, row);
    put_file("a.json", file);
    tool_run("compare a.json a.json --table");
    tool_assert_success();
    assert_printed(" 10.00 @1  10.00 @1  1.000\n");
    assert_printed("\n@N: with N threads");
}

static void test_csv_and_json(void **state)
{
    static const double old[] = {10, 0}, new[] = {20, 0};
    char text[4096];
    (void)state;
    put_medians("a.json", "one", old, 11, 0);
    put_medians("b.json", "two", new, 11, 0);
    tool_run("compare a.json b.json --csv t.csv --json t.json");
    assert_int_equal(tool.exit_status, 3);
    text[tool_get_file("t.csv", text, sizeof text - 1)] = 0;
    assert_string_equal(text, "case,problem,pass,algorithm,dtype,layout,cache,old_ms,new_ms,ratio,low,high,verdict\n"
                              "case/0,\"conv2d:in=8x9x10,out=8,kernel=3\",forward,im2col,fp32,nchw,hot,10,20,2,2,2,"
                              "slower\n");
    json_t *json = json_load_file("t.json", 0, NULL);
    assert_non_null(json);
    const json_t *row = json_array_get(json_object_get(json, "rows"), 0);
    const json_t *cell = json_array_get(json_object_get(row, "files"), 1);
    assert_string_equal(json_string_value(json_object_get(json, "schema")), "cldeform-compare-1");
    assert_string_equal(json_string_value(json_object_get(row, "case")), "case/0");
    assert_string_equal(json_string_value(json_object_get(cell, "verdict")), "slower");
    assert_true(json_number_value(json_object_get(cell, "ratio")) == 2);
    assert_true(json_number_value(json_object_get(cell, "median_ms")) == 20);
    json_decref(json);
    tool_run("compare a.json b.json a.json --csv t.csv");
    tool_assert_success();
    text[tool_get_file("t.csv", text, sizeof text - 1)] = 0;
    assert_non_null(strstr(text, ",a_ms,b_ms,b_ratio,a_ms,a_ratio\n"));
    assert_non_null(strstr(text, ",10,20,2,10,1\n"));
    tool_run("compare a.json b.json --csv missing/t.csv");
    tool_assert_failure(2, "missing/t.csv cannot be written: No such file or directory");
}

/* ---- what is refused ---- */

static void test_refused_options(void **state)
{
    static const double medians[] = {10, 0};
    static const struct {
        const char *words, *message;
    } rows[] = {
        {"", "compare is given 0 of its 2 to 64 files; see \"cldeform compare --help\""},
        {"a.json", "compare is given 1 of its 2 to 64 files; see \"cldeform compare --help\""},
        {"a.json a.json --threshold -1", "--threshold is \"-1\", expected percent from 0 to 100"},
        {"a.json a.json --threshold 3%", "--threshold is \"3%\", expected percent from 0 to 100"},
        {"a.json a.json --threshold 101", "--threshold is \"101\", expected percent from 0 to 100"},
        {"a.json a.json --threshold nan", "--threshold is \"nan\", expected percent from 0 to 100"},
        {"a.json a.json --tabel", "unknown or ambiguous option --tabel; see \"cldeform compare --help\""},
        {"a.json missing.json", "missing.json cannot be opened: No such file or directory"},
    };
    (void)state;
    put_medians("a.json", "one", medians, 10, 0.01);
    for (size_t i = 0; i < COUNT(rows); i++)
        tool_assert_refused(rows[i].message, "compare %s", rows[i].words);
}

/* Each row: what replaces a member of the file, or of its first result (in "results[0]"). NULL value: it is taken away.
 */
static void test_refused_members(void **state)
{
    static const struct {
        const char *where, *member, *value, *message;
    } rows[] = {
        {"", "schema", NULL, "bad.json: schema is missing, expected a string"},
        {"", "schema", "\"cldeform-bench-2\"",
         "bad.json: schema is \"cldeform-bench-2\", expected \"cldeform-bench-1\""},
        {"", "schema", "1", "bad.json: schema is a number, expected a string"},
        {"", "metadata", NULL, "bad.json: metadata is missing, expected an object"},
        {"", "metadata", "[]", "bad.json: metadata is an array, expected an object"},
        {"metadata", "program", NULL, "bad.json: metadata.program is missing, expected a string"},
        {"metadata", "device", "7", "bad.json: metadata.device is a number, expected a string or null"},
        {"metadata", "threads", "\"2\"", "bad.json: metadata.threads is a string, expected a whole number or null"},
        {"metadata", "threads", "0", "bad.json: metadata.threads is 0, expected 1 to 1000000"},
        {"", "results", NULL, "bad.json: results is missing, expected an array"},
        {"", "results", "{}", "bad.json: results is an object, expected an array"},
        {"", "results", "[true]", "bad.json: results[0] is true or false, expected an object"},
        {"results", "case", NULL, "bad.json: results[0].case is missing, expected a string"},
        {"results", "problem", "null", "bad.json: results[0].problem is null, expected a string"},
        {"results", "pass", NULL, "bad.json: results[0].pass is missing, expected a string"},
        {"results", "algorithm", "3", "bad.json: results[0].algorithm is a number, expected a string"},
        {"results", "dtype", NULL, "bad.json: results[0].dtype is missing, expected a string"},
        {"results", "layout", "{}", "bad.json: results[0].layout is an object, expected a string or null"},
        {"results", "status", NULL, "bad.json: results[0].status is missing, expected a string"},
        {"results", "status", "\"fine\"", "bad.json: results[0].status is \"fine\", expected \"ok\" or \"fail\""},
        {"results", "median_ms", "null", "bad.json: results[0].median_ms is null, expected a number"},
        {"results", "median_ms", "-1", "bad.json: results[0].median_ms is -1, expected a number above 0"},
        {"results", "min_ms", "\"1\"", "bad.json: results[0].min_ms is a string, expected a number"},
        {"results", "samples", NULL, "bad.json: results[0].samples is missing, expected a whole number"},
        {"results", "samples", "12",
         "bad.json: results[0].times_ms has 10 numbers, expected 12, as results[0].samples says"},
        {"results", "times_ms", "5", "bad.json: results[0].times_ms is a number, expected an array or null"},
        {"results", "times_ms", "[1,2,3,4,5,6,7,8,9,0]", "bad.json: results[0].times_ms[9] is not a number above 0"},
    };
    static const double medians[] = {10, 0};
    (void)state;
    put_medians("a.json", "one", medians, 10, 0.01);
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *file = json_load_file("a.json", 0, NULL), *object = file;
        if (rows[i].where[0])
            object = json_object_get(file, rows[i].where);
        if (json_is_array(object))
            object = json_array_get(object, 0);
        if (rows[i].value)
            json_object_set_new(object, rows[i].member, json_loads(rows[i].value, JSON_DECODE_ANY, NULL));
        else
            json_object_del(object, rows[i].member);
        put_file("bad.json", file);
        tool_run("compare a.json bad.json"); /* in either place */
        tool_assert_failure(2, rows[i].message);
        tool_run("compare bad.json a.json");
        tool_assert_failure(2, rows[i].message);
        assert_string_equal(tool.out, "");
    }
}

static void test_refused_files(void **state)
{
    static const double medians[] = {10, 0};
    static const char list[] = "[1]", cut[] = "{\"schema\": ", twice[] = "{\"schema\": \"a\", \"schema\": \"a\"}";
    (void)state;
    put_medians("a.json", "one", medians, 10, 0.01);
    tool_put_file("bad.json", list, sizeof list - 1);
    tool_assert_refused("bad.json is an array, expected an object", "compare a.json bad.json");
    tool_put_file("bad.json", cut, sizeof cut - 1);
    tool_run("compare a.json bad.json");
    tool_assert_failure_with(2, "bad.json is not JSON: line 1: ");
    tool_put_file("bad.json", twice, sizeof twice - 1);
    tool_run("compare a.json bad.json");
    tool_assert_failure_with(2, "bad.json is not JSON: line 1: ");
    json_t *file = make_file("one");
    for (int i = 0; i < 2; i++)
        add_row(file, make_row("x", "forward", "im2col", make_times(9, 10, 0.01)));
    put_file("bad.json", file);
    tool_assert_refused("bad.json: results[0] and results[1] are both of x forward im2col", "compare a.json bad.json");
}

static void test_help(void **state)
{
    static const char *const options[] = {"--threshold PERCENT", "--by-algorithm", "--paired",    "--table",
                                          "--markdown",          "--csv FILE",     "--json FILE", NULL};
    (void)state;
    tool_assert_help("compare", options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_threshold),
        cmocka_unit_test(test_few_samples),
        cmocka_unit_test(test_paired),
        cmocka_unit_test(test_failed_rows),
        cmocka_unit_test(test_matching),
        cmocka_unit_test(test_nothing_in_common),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_cells_are_quoted),
        cmocka_unit_test(test_threads_are_shown),
        cmocka_unit_test(test_csv_and_json),
        cmocka_unit_test(test_refused_options),
        cmocka_unit_test(test_refused_members),
        cmocka_unit_test(test_refused_files),
    };
    return cmocka_run_group_tests(tests, tool_enter_without_device, tool_leave_directory);
}
