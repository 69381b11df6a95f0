/* test_tune.c: the tune command's search without a device: what made-up times make it choose, and what becomes of
 * candidates that fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

#include <cmocka.h>

#include "timing.h"
#include "tune.h"
#include "tool_run.h"
#include "tuning.h"

/* ---- the table ---- */

static void every_column_has_a_row(void **state)
{
    (void)state;
#define X(column, low, high, what)                                                                                     \
    if (tune_find_parameter(#column, strlen(#column)) == tune_n_parameters)                                            \
        fail_msg("src/tuning.h has %s, tools/cldeform/tune_table.c does not", #column);
    CLDEFORM__TUNING_LIST(X)
#undef X
}

static void write_values(FILE *stream, const tune_parameter *of, const int *values)
{
    for (int i = 0; values[i] != TUNE_END; i++) {
        if (i == TUNE_VALUES - 1)
            fail_msg("%s: no end", of->name);
        fprintf(stream, "\"*\" %s=%d\n", of->name, values[i]);
    }
}

/* The library refuses none of them. */
static void every_row_is_a_column_and_its_values_fit(void **state)
{
    const cldeform__tuning_device of = {"any", "", 1, 0};
    cldeform__tuning tuning;
    (void)state;
    FILE *stream = fopen("values.txt", "w");
    assert_non_null(stream);
    for (size_t p = 0; p < tune_n_parameters; p++) {
        const tune_parameter *row = &tune_parameters[p];
        if (row->unsearched)
            fprintf(stream, "\"*\" %s=1\n", row->name);
        write_values(stream, row, row->cpu);
        write_values(stream, row, row->gpu);
        assert_int_equal(tune_find_parameter(row->name, strlen(row->name)), p);
        assert_true(row->unsearched || (row->parts && row->passes && row->gpu[0] != TUNE_END));
    }
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(cldeform__tuning_load(&tuning, &of, "values.txt"), 0);
    if (tuning.refused)
        fail_msg("%s", tuning.refused);
    cldeform__tuning_free(&tuning);
}

/* Every algorithm that AUTO can be told of is tried. */
static void every_algorithm_is_a_candidate(void **state)
{
    const tune_parameter *of = &tune_parameters[tune_find_parameter("conv2d_algorithm", 16)];
    int most = 0;
    (void)state;
#define X(column, low, high, what)                                                                                     \
    if (strcmp(of->name, #column) == 0)                                                                                \
        most = (high);
    CLDEFORM__TUNING_LIST(X)
#undef X
    for (int value = 1; value <= most; value++)
        if (of->gpu[value - 1] != value || of->cpu[value - 1] != value)
            fail_msg("conv2d_algorithm=%d is no candidate", value);
}

/* ---- made-up times ---- */

static uint64_t noise_state;

/* From 0 to 1. */
static double draw(void)
{
    noise_state = noise_state * 6364136223846793005u + 1442695040888963407u;
    return (double)(noise_state >> 40) / (double)(1 << 24);
}

/* From 1 - size to 1 + size; one in ten is disturbed. */
static double noise(double size)
{
    const double value = 1 + size * (2 * draw() - 1);
    return draw() < 0.1 ? 1.5 * value : value;
}

static void two_sets_of_times(tune_times *t, size_t rows, size_t rounds, double ratio, double size)
{
    fault f;
    assert_int_equal(tune_create_times(t, rows, 2, rounds, &f), 0);
    for (size_t row = 0; row < rows; row++) {
        t->row[row] = (tune_row){"", BENCH_FORWARD, row % 2 ? TUNE_OF_ROI : TUNE_OF_CONV2D};
        for (size_t k = 0; k < rounds; k++) {
            const double drift = 1 + 0.3 * (double)k; /* a machine that becomes slower does not matter */
            tune_samples(t, row, 0)[k] = drift * (double)(row + 1) * noise(size);
            tune_samples(t, row, 1)[k] = drift * (double)(row + 1) * ratio * noise(size);
        }
    }
}

/* Of 50. */
static int count_wins(double ratio, double size, size_t rounds)
{
    int wins = 0;
    noise_state = 1;
    for (int i = 0; i < 50; i++) {
        tune_times t = {0};
        tune_verdict v;
        fault f;
        two_sets_of_times(&t, 4, rounds, ratio, size);
        assert_int_equal(tune_judge(&t, 1, TUNE_OF_CONV2D | TUNE_OF_ROI, &v, &f), 0);
        assert_int_equal(v.n_rows, 4);
        assert_true(v.low <= v.ratio && v.ratio <= v.high);
        wins += tune_wins(&v);
        tune_free_times(&t);
    }
    return wins;
}

static void noise_does_not_win(void **state)
{
    (void)state;
    assert_true(count_wins(1, 0.1, 7) <= 1);
    assert_true(count_wins(1, 0.1, 21) <= 1);
    assert_int_equal(count_wins(1.05, 0.1, 21), 0);
    assert_int_equal(count_wins(0.995, 0, 21), 0); /* too little to matter */
    assert_true(count_wins(0.9, 0.1, 21) >= 45);
    assert_true(count_wins(0.95, 0.01, 21) >= 45);
    assert_true(count_wins(0.7, 0.01, 7) >= 45);
}

static void operators_are_judged_apart(void **state)
{
    (void)state;
    tune_times t = {0};
    tune_verdict v;
    fault f;
    noise_state = 1;
    two_sets_of_times(&t, 4, 21, 0.9, 0);
    for (size_t k = 0; k < 21; k++)
        tune_samples(&t, 1, 1)[k] *= 2;
    assert_int_equal(tune_judge(&t, 1, TUNE_OF_CONV2D, &v, &f), 0);
    assert_int_equal(v.n_rows, 2);
    assert_true(tune_wins(&v));
    assert_int_equal(tune_judge(&t, 1, TUNE_OF_ROI, &v, &f), 0);
    assert_true(v.low > 1.2);
    tune_free_times(&t);
}

/* ---- the search ---- */

/* A device: how long a setting takes, and which settings fail. */
static struct device {
    double noise;
    int algorithm_ms[4];                        /* of each, with the parameters as they are built in */
    int rows_best, panel_gain;                  /* fused_rows that is fastest; whether fused_panel=192 helps */
    int roi_slower_by_group;                    /* im2col_group=256 helps the convolution and hurts RoI pooling */
    int crashes, hangs, is_wrong, takes_others; /* values of fused_rows; the crash fails the others too */
    int asked, stop_at;                         /* calls; the call from which on it was asked to stop */
    int built_in_fails, fails_at_end;
} device;

static int value_of(const tune_setting *s, const char *name)
{
    return s->value[tune_find_parameter(name, strlen(name))];
}

static double time_of(const tune_setting *s, unsigned operators)
{
    const int group = value_of(s, "im2col_group");
    double ms = device.algorithm_ms[value_of(s, "conv2d_algorithm")];
    if (operators == TUNE_OF_ROI)
        return device.roi_slower_by_group && group == 256 ? 2 : 1;
    if (value_of(s, "conv2d_algorithm") == 2) {
        ms *= value_of(s, "fused_rows") == device.rows_best ? 0.7 : 1;
        ms *= device.panel_gain && value_of(s, "fused_panel") == 192 ? 0.9 : 1;
    }
    return device.roi_slower_by_group && group == 256 ? 0.3 * ms : ms;
}

static tune_outcome outcome_of(const tune_setting *s)
{
    const int rows = value_of(s, "fused_rows");
    return rows == device.crashes    ? TUNE_CRASHED
           : rows == device.hangs    ? TUNE_HUNG
           : rows == device.is_wrong ? TUNE_WRONG
                                     : TUNE_FINE;
}

static int measure(void *user, const tune_scope *scope, tune_trial *trials, size_t n, size_t rounds,
                   child_stopped stopped, tune_times *t, fault *f)
{
    size_t rows = 0;
    (void)user;
    device.asked++;
    if (stopped())
        return TUNE_STOPPED;
    assert_int_equal(tune_create_times(t, 4, n, rounds, f), 0);
    for (unsigned operators = 1; operators <= 2; operators++)
        for (int pass = 0; pass < 2; pass++)
            if (scope->operators & operators && scope->passes & 1u << pass)
                t->row[rows++] = (tune_row){"case", pass, operators};
    t->n_rows = rows;
    assert_true(rows > 0);
    for (size_t i = 0; i < n; i++) {
        trials[i].outcome = outcome_of(&trials[i].setting);
        snprintf(trials[i].reason, sizeof trials[i].reason, "made up");
        if (trials[i].outcome == TUNE_CRASHED && device.takes_others)
            trials[0].outcome = TUNE_FAILED;
        for (size_t row = 0; row < rows; row++)
            for (size_t k = 0; k < rounds; k++)
                tune_samples(t, row, i)[k] = time_of(&trials[i].setting, t->row[row].operators) * noise(device.noise);
    }
    if (device.built_in_fails)
        trials[0].outcome = TUNE_WRONG;
    return EXIT_FINE;
}

static int never(void)
{
    return 0;
}

static int asked_to_stop(void)
{
    return device.stop_at > 0 && device.asked >= device.stop_at;
}

static tune_search s;
static unsigned char wanted[TUNE_MOST];
static fault failure;

/* All parameters at values like those of a CPU, on a device where nothing is better. */
static int set_up(void **state)
{
    static const tune_search none;
    (void)state;
    device =
        (struct device){.noise = 0.02, .algorithm_ms = {0, 40, 10, 50}, .crashes = -1, .hangs = -1, .is_wrong = -1};
    noise_state = 1;
    s = none;
    s.measurer = (tune_measurer){measure, NULL};
    s.is_cpu = 1;
    s.operators = TUNE_OF_CONV2D | TUNE_OF_ROI;
    s.passes = TUNE_FORWARD | TUNE_BACKWARD;
    s.wanted = wanted;
    s.stopped = s.aborted = never;
    for (size_t p = 0; p < tune_n_parameters; p++) {
        wanted[p] = !tune_parameters[p].unsearched;
        s.start.value[p] = wanted[p] ? tune_parameters[p].cpu[1] : 0;
    }
    s.start.value[tune_find_parameter("conv2d_algorithm", 16)] = 2;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tune_free_search(&s);
    return 0;
}

static void want(const char *first, const char *second)
{
    memset(wanted, 0, sizeof wanted);
    wanted[tune_find_parameter(first, strlen(first))] = 1;
    if (second)
        wanted[tune_find_parameter(second, strlen(second))] = 1;
}

static void run_fine(void)
{
    if (tune_run_search(&s, &failure) != EXIT_FINE)
        fail_msg("%s", failure.text);
}

/* All but these are as they were. */
static void assert_changed(const char *first, const char *second)
{
    for (size_t p = 0; p < tune_n_parameters; p++) {
        const int is_named = (first && strcmp(tune_parameters[p].name, first) == 0) ||
                             (second && strcmp(tune_parameters[p].name, second) == 0);
        if ((s.best.value[p] != s.start.value[p]) != is_named)
            fail_msg("%s is %d, was %d", tune_parameters[p].name, s.best.value[p], s.start.value[p]);
    }
}

static void nothing_better_leaves_the_built_in_values(void **state)
{
    (void)state;
    device.noise = 0.1;
    run_fine();
    assert_changed(NULL, NULL);
    assert_true(s.n_done > 20);
    assert_int_equal(s.n_done, s.n_of[TUNE_FINE]);
}

static void what_is_faster_is_found(void **state)
{
    (void)state;
    device.rows_best = 12;
    device.panel_gain = 1;
    run_fine();
    assert_changed("fused_rows", "fused_panel");
    assert_int_equal(value_of(&s.best, "fused_rows"), 12);
    assert_int_equal(value_of(&s.best, "fused_panel"), 192);
    assert_true(s.verdict.ratio > 0.5 && s.verdict.ratio < 0.7);
}

static void candidates_that_fail_are_counted_and_left_out(void **state)
{
    (void)state;
    device.rows_best = 4; /* which would be fastest */
    device.crashes = 4;
    device.hangs = 8;
    device.is_wrong = 12;
    want("fused_rows", NULL);
    run_fine();
    assert_changed(NULL, NULL);
    assert_int_equal(s.n_of[TUNE_CRASHED], 1);
    assert_int_equal(s.n_of[TUNE_HUNG], 1);
    assert_int_equal(s.n_of[TUNE_WRONG], 1);
    assert_int_equal(s.n_of[TUNE_FINE], 1);
}

/* A candidate that takes the device with it costs its comparison, not the search. */
static void a_crash_that_takes_the_best_along(void **state)
{
    (void)state;
    device.crashes = 16;
    device.rows_best = 8;
    device.takes_others = 1;
    device.panel_gain = 1;
    want("fused_rows", "fused_panel");
    run_fine();
    assert_changed("fused_rows", "fused_panel");
    assert_int_equal(s.n_of[TUNE_CRASHED], 1);
    assert_int_equal(s.n_of[TUNE_FAILED], 0);
}

static void a_gain_that_harms_the_other_operator_is_taken_back(void **state)
{
    (void)state;
    device.roi_slower_by_group = 1;
    want("im2col_group", NULL);
    run_fine();
    assert_changed(NULL, NULL);
}

static void another_algorithm_is_chosen_after_its_parameters(void **state)
{
    (void)state;
    s.start.value[tune_find_parameter("conv2d_algorithm", 16)] = 1;
    device.algorithm_ms[1] = 10;
    device.algorithm_ms[2] = 12; /* but with other rows it takes 8.4 */
    device.rows_best = 8;
    run_fine();
    assert_changed("conv2d_algorithm", "fused_rows");
}

/* What was found for an algorithm that AUTO does not take has not been seen to matter. */
static void parameters_of_the_other_algorithms_stay(void **state)
{
    (void)state;
    s.start.value[tune_find_parameter("conv2d_algorithm", 16)] = 1;
    device.algorithm_ms[1] = 10;
    device.algorithm_ms[2] = 20; /* with other rows 14 */
    device.rows_best = 8;
    run_fine();
    assert_changed(NULL, NULL);
}

static void without_a_choice_an_algorithm_is_tuned_for_its_own_sake(void **state)
{
    (void)state;
    s.start.value[tune_find_parameter("conv2d_algorithm", 16)] = 1;
    device.rows_best = 8;
    want("fused_rows", NULL);
    run_fine();
    assert_changed("fused_rows", NULL);
    tear_down(NULL);
    set_up(NULL);
    want("fused_rows", "col2im");
    assert_int_equal(tune_run_search(&s, &failure), EXIT_INPUT);
    assert_non_null(strstr(failure.text, "several algorithms"));
}

static void the_budget_ends_the_search(void **state)
{
    (void)state;
    device.rows_best = 12;
    s.until = timing_now() - 1;
    run_fine();
    assert_changed(NULL, NULL);
    assert_int_equal(s.n_done, 0);
    assert_int_equal(device.asked, 1); /* the built-in parameters are checked */
}

/* What has been found until then is compared and kept. */
static void ctrl_c_ends_the_search(void **state)
{
    (void)state;
    s.stopped = asked_to_stop;
    device.rows_best = 12;
    want("fused_rows", "fused_panel");
    device.stop_at = 5; /* built-in, two of fused_rows, its confirmation, and one more */
    run_fine();
    assert_changed("fused_rows", NULL);
    assert_true(s.verdict.n_rows > 0);
    tear_down(NULL);
    set_up(NULL);
    s.stopped = s.aborted = asked_to_stop;
    device.rows_best = 12;
    device.stop_at = 3; /* built-in, fused_rows, its confirmation; the last comparison is not made */
    want("fused_rows", NULL);
    assert_int_equal(tune_run_search(&s, &failure), EXIT_DEVICE);
    assert_non_null(strstr(failure.text, "nothing was written"));
}

static void built_in_parameters_that_fail_are_a_fault(void **state)
{
    (void)state;
    device.built_in_fails = 1;
    assert_int_equal(tune_run_search(&s, &failure), EXIT_MISMATCH);
    assert_non_null(strstr(failure.text, "built-in parameters fail: wrong: made up"));
}

/* ---- the file ---- */

/* The library reads what was written, for the device that it was written for, whatever its name. */
static void the_library_reads_the_file(void **state)
{
    static const char *const names[] = {"Plain GPU 900", "Odd \"GPU\" #3", "#1", "Bell\aGPU"};
    (void)state;
    device.rows_best = 12;
    want("fused_rows", NULL);
    run_fine();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const cldeform__tuning_device of = {names[i], "", 1, 0};
        const tune_place place = {names[i], "Platform\n\"x\" long_index=1", "1\n2"};
        cldeform__tuning tuning;
        FILE *stream = fopen("tuning.txt", "w");
        assert_non_null(stream);
        assert_true(tune_write_file(stream, &place, &s));
        assert_int_equal(fclose(stream), 0);
        assert_int_equal(cldeform__tuning_load(&tuning, &of, "tuning.txt"), 0);
        assert_int_equal(tuning.fused_rows, 12);
        assert_int_equal(tuning.long_index, 0);
        assert_null(tuning.refused);
        cldeform__tuning_free(&tuning);
    }
}

#define SEARCH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_column_has_a_row),
        cmocka_unit_test(every_row_is_a_column_and_its_values_fit),
        cmocka_unit_test(every_algorithm_is_a_candidate),
        cmocka_unit_test(noise_does_not_win),
        cmocka_unit_test(operators_are_judged_apart),
        SEARCH(nothing_better_leaves_the_built_in_values),
        SEARCH(what_is_faster_is_found),
        SEARCH(candidates_that_fail_are_counted_and_left_out),
        SEARCH(a_crash_that_takes_the_best_along),
        SEARCH(a_gain_that_harms_the_other_operator_is_taken_back),
        SEARCH(another_algorithm_is_chosen_after_its_parameters),
        SEARCH(parameters_of_the_other_algorithms_stay),
        SEARCH(without_a_choice_an_algorithm_is_tuned_for_its_own_sake),
        SEARCH(the_budget_ends_the_search),
        SEARCH(ctrl_c_ends_the_search),
        SEARCH(built_in_parameters_that_fail_are_a_fault),
        SEARCH(the_library_reads_the_file),
    };
    return cmocka_run_group_tests(tests, tool_enter_directory, tool_leave_directory);
}
