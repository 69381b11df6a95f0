/* test_tune_session.c: how tune measures candidates in processes of their own: turns, and those that crash, hang, are
 * wrong or talk too much. The processes are this program again, which then speaks as `bench --turns` and computes
 * nothing. */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tool_run.h"
#include "tune.h"

/* ---- the other program ---- */

/* What it does: the value of fused_rows in its tuning file. */
enum { FINE, CRASHES, HANGS, IS_WRONG, FAILS, CANNOT, IS_SLOW, TALKS, IS_WRONG_AT_FIRST };

static int read_behaviour(void)
{
    char line[400] = "";
    FILE *stream = fopen(getenv("CLDEFORM_TUNING_FILE"), "r");
    if (!stream || !fgets(line, sizeof line, stream))
        return -1;
    fclose(stream);
    const char *at = strstr(line, " fused_rows=");
    return at ? atoi(at + strlen(" fused_rows=")) : FINE;
}

static void give_samples(int behaviour)
{
    char line[80];
    for (int number = 0; fgets(line, sizeof line, stdin) && strcmp(line, "go\n") == 0; number++) {
        if (behaviour == HANGS)
            for (;;)
                pause();
        if (behaviour == CRASHES && number == 1)
            raise(SIGKILL);
        if (behaviour == TALKS)
            printf("compiling\n\n%02000d\n", 0);
        printf("%.6f\n", (behaviour == IS_SLOW ? 8 : 1) + 0.001 * number);
        fflush(stdout);
    }
}

/* argv as tune_session.c makes it; the file of cases is what --file names. */
static int speak_as_bench(int argc, char **argv)
{
    const int behaviour = read_behaviour();
    char problem[400];
    const char *file = "", *passes = "";
    for (int i = 2; i + 1 < argc; i++) {
        file = strcmp(argv[i], "--file") == 0 ? argv[i + 1] : file;
        passes = strcmp(argv[i], "--pass") == 0 ? argv[i + 1] : passes;
    }
    FILE *cases = fopen(file, "r");
    if (!cases || behaviour < 0)
        return EXIT_INPUT;
    if (behaviour == FAILS)
        fprintf(stderr, "driver: bye\ncldeform: no memory\n");
    if (behaviour == FAILS || behaviour == CANNOT)
        return behaviour == FAILS ? EXIT_DEVICE : EXIT_FINE;
    for (int row = 0; fgets(problem, sizeof problem, cases); row++) {
        problem[strcspn(problem, "\n")] = 0;
        if (strstr(passes, "forward")) {
            printf("ready %s forward fused\n", problem);
            fflush(stdout);
            give_samples(behaviour);
        }
        if (!strstr(passes, "backward"))
            continue;
        if (behaviour == IS_WRONG || (behaviour == IS_WRONG_AT_FIRST && row == 0)) {
            fprintf(stderr, "FAIL %s backward fused: output[3] is 1, expected 2\n", problem);
            continue;
        }
        printf("ready %s backward fused\n", problem);
        fflush(stdout);
        give_samples(behaviour);
    }
    fclose(cases);
    if (behaviour != IS_WRONG && behaviour != IS_WRONG_AT_FIRST)
        return EXIT_FINE;
    fprintf(stderr, "cldeform: 1 result differs from the reference\n");
    return EXIT_MISMATCH;
}

/* ---- a session ---- */

static char program[1000];
static tune_options options;
static bench_cases cases;
static tune_setting built_in;
static tune_session session;
static tune_trial trials[TUNE_VALUES];
static tune_times times;
static fault failure;

static int set_up(void **state)
{
    static bench_case two[2] = {{(char *)"a", 1, {0}}, {(char *)"b", 1, {0}}};
    fault f;
    (void)state;
    if (bench_read_problem("conv2d:in=8x9x10,out=6,kernel=3", &two[0].problem, &f) != EXIT_FINE ||
        bench_read_problem("roi-pool:in=8x20x24,rois=10,output-size=3,spatial-scale=0.1", &two[1].problem, &f) !=
            EXIT_FINE)
        return -1;
    cases = (bench_cases){two, 2, 2};
    bench_default_options(0, NULL, &options.cases);
    options.timeout = 30;
    session = (tune_session){.options = &options, .cases = &cases, .device = "0:0", .built_in = &built_in};
    if (tune_open_session(&session, &f) != EXIT_FINE)
        return -1;
    snprintf(session.program, sizeof session.program, "%s", program);
    for (size_t i = 0; i < TUNE_VALUES; i++)
        trials[i] = (tune_trial){.setting = built_in};
    return 0;
}

/* Nothing is left behind. */
static int tear_down(void **state)
{
    struct stat facts;
    (void)state;
    tune_free_times(&times);
    tune_close_session(&session);
    return stat(session.folder, &facts) == 0 ? -1 : 0;
}

static int never(void)
{
    return 0;
}

static int always(void)
{
    return 1;
}

static void set_behaviour(size_t trial, int behaviour)
{
    trials[trial].setting.value[tune_find_parameter("fused_rows", strlen("fused_rows"))] = behaviour;
}

static int measure(tune_scope scope, size_t n, child_stopped stopped)
{
    const tune_measurer measurer = tune_session_measurer(&session);
    return measurer.measure(measurer.user, &scope, trials, n, 3, stopped, &times, &failure);
}

static const tune_scope all = {TUNE_OF_CONV2D | TUNE_OF_ROI, TUNE_FORWARD | TUNE_BACKWARD, 3};

static void assert_outcome(size_t trial, tune_outcome outcome, const char *part)
{
    if (trials[trial].outcome != outcome || !strstr(trials[trial].reason, part))
        fail_msg("trial %zu is %s: %s", trial, tune_outcome_names[trials[trial].outcome], trials[trial].reason);
}

static void they_take_turns(void **state)
{
    (void)state;
    set_behaviour(1, TALKS);
    assert_int_equal(measure(all, 2, never), 0);
    assert_outcome(0, TUNE_FINE, "");
    assert_outcome(1, TUNE_FINE, "");
    assert_int_equal(times.n_rows, 4);
    assert_string_equal(times.row[1].name, "a");
    assert_int_equal(times.row[1].pass, BENCH_BACKWARD);
    assert_int_equal(times.row[2].operators, TUNE_OF_ROI);
    for (size_t row = 0; row < 4; row++)
        for (size_t trial = 0; trial < 2; trial++)
            for (size_t k = 0; k < 3; k++) {
                const double ms = tune_samples(&times, row, trial)[k], expected = 1 + 0.001 * (double)k;
                assert_true(ms > expected - 1e-6 && ms < expected + 1e-6);
            }
}

static void the_scope_is_kept(void **state)
{
    (void)state;
    assert_int_equal(measure((tune_scope){TUNE_OF_ROI, TUNE_BACKWARD, 0}, 1, never), 0);
    assert_int_equal(times.n_rows, 1);
    assert_string_equal(times.row[0].name, "b");
    assert_int_equal(times.row[0].pass, BENCH_BACKWARD);
}

static void failures_are_told_apart(void **state)
{
    (void)state;
    set_behaviour(1, CRASHES);
    set_behaviour(2, IS_WRONG);
    set_behaviour(3, FAILS);
    set_behaviour(4, CANNOT);
    set_behaviour(5, IS_SLOW);
    set_behaviour(6, IS_WRONG_AT_FIRST);
    assert_int_equal(measure(all, 7, never), 0);
    assert_outcome(0, TUNE_FINE, "");
    assert_outcome(1, TUNE_CRASHED, "ended by signal 9");
    assert_outcome(2, TUNE_WRONG, "output[3] is 1, expected 2");
    assert_outcome(3, TUNE_FAILED, "no memory");
    assert_outcome(4, TUNE_FAILED, "cannot do");
    assert_outcome(5, TUNE_SLOW, "8 times as long");
    assert_outcome(6, TUNE_WRONG, "output[3] is 1, expected 2");
}

/* The others may be slow as well, on a machine that has much to do: the limit is one that they keep. */
static void one_that_hangs_is_ended(void **state)
{
    (void)state;
    options.timeout = 3;
    set_behaviour(1, HANGS);
    assert_int_equal(measure((tune_scope){TUNE_OF_ROI, TUNE_BACKWARD, 0}, 2, never), 0);
    assert_outcome(0, TUNE_FINE, "");
    assert_outcome(1, TUNE_HUNG, "no answer within 3 seconds");
}

static void a_first_that_fails_ends_it(void **state)
{
    (void)state;
    set_behaviour(0, CRASHES);
    assert_int_equal(measure(all, 2, never), 0);
    assert_outcome(0, TUNE_CRASHED, "signal");
    assert_outcome(1, TUNE_FINE, "");
}

static void it_can_be_stopped(void **state)
{
    (void)state;
    assert_int_equal(measure(all, 2, always), TUNE_STOPPED);
}

static void a_program_that_is_not_there(void **state)
{
    (void)state;
    snprintf(session.program, sizeof session.program, "/nowhere/cldeform");
    assert_int_equal(measure(all, 2, never), EXIT_DEVICE);
    assert_non_null(strstr(failure.text, "/nowhere/cldeform cannot be started"));
}

#define SESSION(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(int argc, char **argv)
{
    if (argc > 1)
        return strcmp(argv[1], "bench") == 0 ? speak_as_bench(argc, argv) : EXIT_INPUT;
    const struct CMUnitTest tests[] = {
        SESSION(they_take_turns),
        SESSION(the_scope_is_kept),
        SESSION(failures_are_told_apart),
        SESSION(one_that_hangs_is_ended),
        SESSION(a_first_that_fails_ends_it),
        SESSION(it_can_be_stopped),
        SESSION(a_program_that_is_not_there),
    };
    if (child_own_path(program, sizeof program, &failure) != EXIT_FINE)
        return 1;
    return cmocka_run_group_tests(tests, tool_enter_directory, tool_leave_directory);
}
