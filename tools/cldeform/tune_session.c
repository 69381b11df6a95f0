/* tune_session.c: measures candidates in turns. Each is a process of its own, which may crash or hang: this program as
 * `bench --turns`, with a tuning file that holds the candidate. They go through the rows together; bench compares each
 * row's results with the reference before it is ready to be timed.
 *
 * One process at a time sets up a row: that takes all cores, and where a driver hangs it is clear in whom. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "timing.h"
#include "tune.h"

static const double patience = 5; /* seconds for a process to end by itself, which it may spend in its driver */

const char *const tune_outcome_names[TUNE_OUTCOMES] = {"fine", "wrong", "crashed", "hung", "failed", "too slow"};

typedef struct runner {
    const tune_session *session;
    const tune_scope *scope;
    tune_trial *trials;
    tune_times *times;
    const bench_case **of;    /* [row] */
    child *children;          /* [trial] */
    char (*said)[CHILD_LINE]; /* [trial]: the last line that is no answer, which tells what went wrong */
    child_stopped stopped;
} runner;

int tune_open_session(tune_session *s, fault *f)
{
    int status = child_own_path(s->program, sizeof s->program, f);
    return status == EXIT_FINE ? file_make_folder(s->folder, sizeof s->folder, f) : status;
}

void tune_close_session(tune_session *s)
{
    if (s->folder[0])
        (void)remove(s->folder);
}

/* ---- files of a candidate ---- */

#define PATH_ROOM 1100

static void set_path(const tune_session *s, size_t trial, char path[PATH_ROOM])
{
    snprintf(path, PATH_ROOM, "%s/tuning-%zu.txt", s->folder, trial);
}

static void set_cases_path(const tune_session *s, char path[PATH_ROOM])
{
    snprintf(path, PATH_ROOM, "%s/cases.txt", s->folder);
}

static int close_file(FILE *stream, const char *path, fault *f)
{
    const int failed = ferror(stream);
    return fclose(stream) == 0 && !failed
               ? EXIT_FINE
               : fault_set(f, EXIT_DEVICE, "%s cannot be written: %s", path, strerror(errno));
}

static int open_file(const char *path, FILE **stream, fault *f)
{
    *stream = fopen(path, "w");
    return *stream ? EXIT_FINE : fault_set(f, EXIT_DEVICE, "%s cannot be written: %s", path, strerror(errno));
}

static int write_setting(const tune_session *s, const tune_setting *setting, size_t trial, fault *f)
{
    char path[PATH_ROOM];
    FILE *stream = NULL;
    set_path(s, trial, path);
    int status = open_file(path, &stream, f);
    if (status != EXIT_FINE)
        return status;
    fputs("\"*\"", stream);
    for (size_t i = 0; i < tune_n_parameters; i++)
        if (setting->value[i] != s->built_in->value[i])
            fprintf(stream, " %s=%d", tune_parameters[i].name, setting->value[i]);
    fputc('\n', stream);
    return close_file(stream, path, f);
}

static unsigned operator_of(const bench_case *c)
{
    return c->problem.operation == BENCH_CONV2D ? TUNE_OF_CONV2D : TUNE_OF_ROI;
}

static int write_cases(const tune_session *s, const tune_scope *scope, fault *f)
{
    char path[PATH_ROOM], text[BENCH_TEXT];
    FILE *stream = NULL;
    set_cases_path(s, path);
    int status = open_file(path, &stream, f);
    if (status != EXIT_FINE)
        return status;
    for (size_t i = 0; i < s->cases->n; i++)
        if (operator_of(&s->cases->at[i]) & scope->operators)
            fprintf(stream, "%s\n", bench_write_problem(&s->cases->at[i].problem, text));
    return close_file(stream, path, f);
}

/* ---- rows ---- */

/* The pass that is number `i` of those asked for, if it is in the scope; else -1. */
static int pass_of(const runner *r, size_t i)
{
    const int pass = r->session->options->cases.pass[i];
    return r->scope->passes & 1u << pass ? pass : -1;
}

/* In the order in which bench goes through them. */
static int list_rows(runner *r, size_t n_trials, size_t n_rounds, fault *f)
{
    const bench_cases *cases = r->session->cases;
    const size_t n_passes = r->session->options->cases.n_passes;
    size_t n = 0;
    int status = tune_create_times(r->times, cases->n * n_passes, n_trials, n_rounds, f);
    r->of = calloc(cases->n * n_passes + 1, sizeof *r->of);
    if (status != EXIT_FINE || !r->of)
        return fault_memory(f);
    for (size_t i = 0; i < cases->n; i++)
        for (size_t k = 0; k < n_passes; k++) {
            const int pass = pass_of(r, k);
            if (pass < 0 || !(operator_of(&cases->at[i]) & r->scope->operators))
                continue;
            r->times->row[n] = (tune_row){cases->at[i].name, pass, operator_of(&cases->at[i])};
            r->of[n++] = &cases->at[i];
        }
    r->times->n_rows = n;
    return EXIT_FINE;
}

/* ---- a child ---- */

static int start(runner *r, size_t trial, fault *f)
{
    char cases[PATH_ROOM], tuning[PATH_ROOM], variable[PATH_ROOM + 40], passes[40] = "";
    const tune_session *s = r->session;
    set_cases_path(s, cases);
    set_path(s, trial, tuning);
    snprintf(variable, sizeof variable, "CLDEFORM_TUNING_FILE=%s", tuning);
    for (size_t i = 0; i < s->options->cases.n_passes; i++)
        if (pass_of(r, i) >= 0)
            snprintf(passes + strlen(passes), sizeof passes - strlen(passes), "%s%s", passes[0] ? "," : "",
                     bench_pass_names[pass_of(r, i)]);
    const char *const words[] = {s->program, "bench",   "--turns",   "--no-roofline",
                                 "--device", s->device, "--file",    cases,
                                 "--pass",   passes,    "--offsets", bench_offsets_name(s->options->cases.offsets),
                                 NULL};
    return child_start(&r->children[trial], (char *const *)words, variable, f);
}

static void reject(runner *r, size_t trial, tune_outcome outcome, const char *reason)
{
    tune_trial *t = &r->trials[trial];
    t->outcome = outcome;
    snprintf(t->reason, sizeof t->reason, "%.*s", (int)sizeof t->reason - 1, reason);
    child_stop(&r->children[trial], 0);
}

static double deadline(const runner *r)
{
    return timing_now() + 1e3 * r->session->options->timeout;
}

static int reject_late(runner *r, size_t trial)
{
    char text[80];
    snprintf(text, sizeof text, "no answer within %g seconds", r->session->options->timeout);
    reject(r, trial, TUNE_HUNG, text);
    return EXIT_FINE;
}

/* The child has said all that it will say, and its status tells the rest. */
static int reject_ended(runner *r, size_t trial)
{
    const char *said = r->said[trial];
    const child_end end = child_stop(&r->children[trial], patience);
    if (strncmp(said, "FAIL ", 5) == 0)
        said += 5;
    if (end.exit_status < 0)
        reject(r, trial, TUNE_CRASHED, end.text);
    else if (end.exit_status == EXIT_MISMATCH)
        reject(r, trial, TUNE_WRONG, said[0] ? said : "a result differs from the reference");
    else if (end.exit_status == EXIT_FINE)
        reject(r, trial, TUNE_FAILED, "the library cannot do one of the problems");
    else
        reject(r, trial, TUNE_FAILED, said[0] ? said : end.text);
    return EXIT_FINE;
}

/* Drivers talk too. What bench says of a row that fails comes before what it says at its end. */
static void remember(runner *r, size_t trial, const char *line)
{
    if (line[0] && strncmp(r->said[trial], "FAIL ", 5) != 0)
        snprintf(r->said[trial], CHILD_LINE, "%s", line);
}

/* A row has been left out, because it failed: only the end will say how. */
static int run_to_end(runner *r, size_t trial)
{
    char line[CHILD_LINE];
    const double until = deadline(r);
    for (;;) {
        switch (child_read(&r->children[trial], until, r->stopped, line)) {
        case CHILD_STOPPED:
            return TUNE_STOPPED;
        case CHILD_LATE:
            return reject_late(r, trial);
        case CHILD_ENDED:
            return reject_ended(r, trial);
        default:
            if (strncmp(line, "ready ", 6) == 0)
                child_write(&r->children[trial], "next\n");
            else
                remember(r, trial, line);
        }
    }
}

/* Until the child is ready for the row. */
static int await_row(runner *r, size_t trial, size_t row)
{
    char line[CHILD_LINE], text[BENCH_TEXT], expected[BENCH_TEXT + 40];
    const double until = deadline(r);
    const int length =
        snprintf(expected, sizeof expected, "ready %s %s ", bench_write_problem(&r->of[row]->problem, text),
                 bench_pass_names[r->times->row[row].pass]);
    for (;;) {
        switch (child_read(&r->children[trial], until, r->stopped, line)) {
        case CHILD_STOPPED:
            return TUNE_STOPPED;
        case CHILD_LATE:
            return reject_late(r, trial);
        case CHILD_ENDED:
            return reject_ended(r, trial);
        default:
            if (strncmp(line, expected, (size_t)length) == 0)
                return EXIT_FINE;
            if (strncmp(line, "ready ", 6) == 0) {
                child_write(&r->children[trial], "next\n");
                return run_to_end(r, trial);
            }
            remember(r, trial, line);
        }
    }
}

static int take_sample(runner *r, size_t trial, double *ms)
{
    char line[CHILD_LINE];
    const double until = deadline(r);
    child_write(&r->children[trial], "go\n");
    for (;;) {
        char *end = NULL;
        switch (child_read(&r->children[trial], until, r->stopped, line)) {
        case CHILD_STOPPED:
            return TUNE_STOPPED;
        case CHILD_LATE:
            return reject_late(r, trial);
        case CHILD_ENDED:
            return reject_ended(r, trial);
        default:
            *ms = strtod(line, &end);
            if (end != line && !*end && *ms > 0)
                return EXIT_FINE;
            remember(r, trial, line);
        }
    }
}

/* ---- all of them ---- */

static int is_live(const runner *r, size_t trial)
{
    return r->trials[trial].outcome == TUNE_FINE;
}

static int set_up_row(runner *r, size_t row, fault *f)
{
    int status = EXIT_FINE;
    for (size_t t = 0; t < r->times->n_trials && status == EXIT_FINE; t++) {
        if (!is_live(r, t))
            continue;
        if (row == 0)
            status = start(r, t, f);
        else
            child_write(&r->children[t], "next\n"); /* one that does not listen has ended, which shows below */
        if (status == EXIT_FINE)
            status = await_row(r, t, row);
        if (t == 0 && !is_live(r, t))
            break;
    }
    return status;
}

/* Two samples: one may have been disturbed. */
static void drop_slow(runner *r, size_t row)
{
    for (size_t t = 1; t < r->times->n_trials; t++) {
        const double *of = tune_samples(r->times, row, t), *first = tune_samples(r->times, row, 0);
        char text[80];
        if (!is_live(r, t) || of[0] < r->scope->too_slow * first[0] || of[1] < r->scope->too_slow * first[1])
            continue;
        snprintf(text, sizeof text, "%.2g times as long for a layer", of[0] / first[0]);
        reject(r, t, TUNE_SLOW, text);
    }
}

/* Another one begins each round: nobody always comes first, nor after itself, which would find its data in the caches.
 */
static int sample_row(runner *r, size_t row)
{
    const size_t n = r->times->n_trials;
    int status = EXIT_FINE;
    for (size_t round = 0; round < r->times->n_rounds; round++) {
        for (size_t i = 0; i < n && status == EXIT_FINE && is_live(r, 0); i++) {
            const size_t trial = (round + i) % n;
            if (is_live(r, trial))
                status = take_sample(r, trial, tune_samples(r->times, row, trial) + round);
        }
        if (round == 1 && r->scope->too_slow > 0 && is_live(r, 0) && status == EXIT_FINE)
            drop_slow(r, row);
    }
    return status;
}

/* Nothing more can be learnt where the first has failed. */
static int run_rows(runner *r, fault *f)
{
    int status = EXIT_FINE;
    for (size_t row = 0; row < r->times->n_rows && status == EXIT_FINE && is_live(r, 0); row++) {
        status = set_up_row(r, row, f);
        if (status == EXIT_FINE && is_live(r, 0))
            status = sample_row(r, row);
    }
    return status;
}

static void clean_up(runner *r, size_t n)
{
    char path[PATH_ROOM];
    for (size_t t = 0; t < n; t++) {
        if (r->children)
            child_stop(&r->children[t], r->stopped() ? 0 : 0.5);
        set_path(r->session, t, path);
        (void)remove(path);
    }
    set_cases_path(r->session, path);
    (void)remove(path);
    free(r->of);
    free(r->children);
    free(r->said);
}

static int measure(void *user, const tune_scope *scope, tune_trial *trials, size_t n_trials, size_t rounds,
                   child_stopped stopped, tune_times *times, fault *f)
{
    runner r = {.session = user, .scope = scope, .trials = trials, .times = times, .stopped = stopped};
    int status = list_rows(&r, n_trials, rounds, f);
    r.children = calloc(n_trials, sizeof *r.children);
    r.said = calloc(n_trials, sizeof *r.said);
    if (status == EXIT_FINE && (!r.children || !r.said))
        status = fault_memory(f);
    if (status == EXIT_FINE)
        status = write_cases(user, scope, f);
    for (size_t t = 0; t < n_trials && status == EXIT_FINE; t++) {
        trials[t].outcome = TUNE_FINE;
        trials[t].reason[0] = 0;
        status = write_setting(user, &trials[t].setting, t, f);
    }
    if (status == EXIT_FINE)
        status = run_rows(&r, f);
    clean_up(&r, n_trials);
    return status;
}

tune_measurer tune_session_measurer(tune_session *s)
{
    return (tune_measurer){measure, s};
}
