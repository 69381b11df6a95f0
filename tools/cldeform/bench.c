/* bench.c: the bench command: goes through cases, passes and algorithms. */
#include "bench.h"

#include <stdio.h>
#include <string.h>

#include "bench_host.h"
#include "bench_report.h"
#include "bench_turns.h"
#include "command.h"

/* What all cases share. */
typedef struct bench_run {
    const bench_options *options;
    bench_device *device;
    bench_report *report;
    size_t n_cases, number; /* of the case: from 1 */
    int mismatches, failures;
} bench_run;

/* A row that is under way. */
typedef struct bench_work {
    const bench_data *data;
    bench_expected expected[TENSORS];
    int is_expected; /* whether they have been computed */
    bench_object object;
    bench_row row;
    char names[BENCH_ALGORITHMS][20]; /* of the algorithms of the pass that had their row */
    size_t n_names;
} bench_work;

static void show_progress(const bench_run *run, const bench_row *row, const char *what)
{
    char text[200];
    snprintf(text, sizeof text, "[%zu/%zu] %.30s %s %s: %s", run->number, run->n_cases, row->of->name,
             bench_pass_names[row->pass], row->algorithm, what);
    bench_progress(text);
}

/* From creation to the end of the first call, in a context in which nothing has been compiled. */
static int measure_first(const bench_run *run, bench_work *w, int algorithm, fault *f)
{
    static bench_device fresh; /* its recording is large */
    bench_object o = {0};
    int supported = 0;
    memset(&fresh, 0, sizeof fresh);
    int status = bench_open_device(&fresh, run->device->session.device->index, f);
    const double start = timing_now();
    if (status == EXIT_FINE)
        status = bench_object_create(&o, &fresh, w->data, w->row.pass, algorithm, &supported, f);
    const double created = timing_now();
    if (status == EXIT_FINE && supported)
        status = bench_object_fill(&o, 1, run->options->packed, f);
    const double filled = timing_now();
    if (status == EXIT_FINE && supported)
        status = bench_object_call(&o, f);
    if (status == EXIT_FINE && supported)
        status = bench_object_finish(&o, f);
    if (status == EXIT_FINE && supported)
        w->row.first_ms = created - start + timing_now() - filled;
    bench_object_free(&o);
    bench_close_device(&fresh);
    return status;
}

/* The first call, whose results are compared; EXIT_MISMATCH leaves its text in the row. */
static int check(const bench_run *run, bench_work *w, fault *f)
{
    const size_t sets = run->options->cold ? bench_cold_sets(run->device, w->data, w->row.pass) : 1;
    int status = w->is_expected ? EXIT_FINE : bench_expect(w->data, w->row.pass, w->expected, f);
    w->is_expected = status == EXIT_FINE;
    if (status == EXIT_FINE)
        status = bench_object_fill(&w->object, sets, run->options->packed, f);
    if (status == EXIT_FINE)
        status = bench_object_call(&w->object, f);
    if (status == EXIT_FINE)
        status = bench_object_finish(&w->object, f);
    if (status == EXIT_FINE)
        status = bench_object_read(&w->object, f);
    w->row.workspace_bytes = w->object.scratch_bytes;
    w->row.packed = w->object.packed != NULL;
    return status == EXIT_FINE ? bench_compare(w->data, w->row.pass, w->expected, w->row.error) : status;
}

/* "auto" is another one's name. 0: that one had its row. */
static int take_name(bench_work *w)
{
    const char *name = json_string_value(json_object_get(w->object.plan, "algorithm"));
    for (size_t i = 0; name && i < w->n_names; i++)
        if (strcmp(w->names[i], name) == 0)
            return 0;
    if (name) {
        snprintf(w->names[w->n_names], sizeof w->names[0], "%s", name);
        w->row.algorithm = w->names[w->n_names++];
    }
    return 1;
}

static int measure(const bench_run *run, bench_work *w, int algorithm, fault *f)
{
    int supported = 0;
    int status = EXIT_FINE;
    show_progress(run, &w->row, "compiling");
    if (run->options->first)
        status = measure_first(run, w, algorithm, f);
    if (status == EXIT_FINE)
        status = bench_object_create(&w->object, run->device, w->data, w->row.pass, algorithm, &supported, f);
    if (status != EXIT_FINE)
        return status;
    if (!supported || !take_name(w)) {
        w->row.status = supported ? BENCH_REPEATED : BENCH_UNSUPPORTED;
        return EXIT_FINE;
    }
    show_progress(run, &w->row, "checking");
    status = check(run, w, f);
    if (status == EXIT_FINE) {
        show_progress(run, &w->row, "measuring");
        status = bench_warm_up(&w->object, &w->row.samples, f);
    }
    if (status != EXIT_FINE)
        return status;
    return run->options->turns ? bench_take_turns(&w->object, w->row.of->name, w->row.algorithm, &w->row.samples, f)
                               : bench_measure(&w->object, run->options, &w->row.samples, f);
}

/* A mismatch, or a device that fails, is the row's result: the next one may do. */
static int run_row(bench_run *run, bench_work *w, int algorithm, fault *f)
{
    fault inner = {0};
    int status = measure(run, w, algorithm, &inner);
    if (status == EXIT_INPUT) {
        *f = inner;
        goto done;
    }
    run->mismatches += status == EXIT_MISMATCH;
    run->failures += status == EXIT_DEVICE;
    if (status == EXIT_DEVICE)
        snprintf(w->row.error, sizeof w->row.error, "%.*s", BENCH_ERROR - 1, inner.text);
    if (status != EXIT_FINE)
        w->row.status = BENCH_FAIL;
    status = bench_report_row(run->report, &w->row, f);
done:
    bench_free_samples(&w->row.samples);
    bench_object_free(&w->object);
    w->object = (bench_object){0};
    return status;
}

static int run_pass(bench_run *run, const bench_case *c, const bench_data *d, int pass, fault *f)
{
    static bench_work w;
    int memory = 0;
    memset(&w, 0, sizeof w);
    w.data = d;
    const double gflop = bench_data_gflop(d, pass);
    const double bound =
        bench_bound(run->report->roofline, bench_dtype(&c->problem), gflop, bench_data_bytes(d, pass), &memory);
    bench_row row = {
        .of = c, .pass = pass, .gflop = gflop, .first_ms = -1, .bound_ms = bound, .bound_is_memory = memory};
    int status = EXIT_FINE;
    for (size_t i = 0; i < run->options->n_algorithms && status == EXIT_FINE; i++) {
        row.algorithm = bench_algorithm_name(run->options->algorithm[i]);
        w.row = row;
        status = run_row(run, &w, run->options->algorithm[i], f);
    }
    bench_free_expected(w.expected);
    return status;
}

/* None of the case's rows can be measured. */
static int give_up(bench_run *run, const bench_case *c, const char *error, fault *f)
{
    int status = EXIT_FINE;
    for (size_t i = 0; i < run->options->n_passes; i++)
        for (size_t k = 0; k < run->options->n_algorithms && status == EXIT_FINE; k++) {
            bench_row row = {.of = c, .pass = run->options->pass[i], .status = BENCH_FAIL, .first_ms = -1};
            row.algorithm = bench_algorithm_name(run->options->algorithm[k]);
            snprintf(row.error, sizeof row.error, "%.*s", BENCH_ERROR - 1, error);
            run->failures++;
            status = bench_report_row(run->report, &row, f);
        }
    return status;
}

static int run_case(bench_run *run, const bench_case *c, fault *f)
{
    bench_data d = {0};
    fault inner = {0};
    cl_ulong most = 0;
    clGetDeviceInfo(run->device->session.device->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof most, &most, NULL);
    bench_report_case(run->report, c);
    int status = bench_data_create(&c->problem, run->options->offsets, (size_t)most, &d, &inner);
    if (status == EXIT_INPUT)
        *f = inner;
    if (status == EXIT_DEVICE) {
        bench_data_free(&d);
        return give_up(run, c, inner.text, f);
    }
    for (size_t i = 0; i < run->options->n_passes && status == EXIT_FINE; i++)
        status = run_pass(run, c, &d, run->options->pass[i], f);
    bench_data_free(&d);
    return status;
}

/* After all rows: what the exit status says of them. */
static int conclude(const bench_run *run, fault *f)
{
    if (run->mismatches > 0)
        return fault_set(f, EXIT_MISMATCH, "%d %s from the reference", run->mismatches,
                         run->mismatches == 1 ? "result differs" : "results differ");
    if (run->failures > 0)
        return fault_set(f, EXIT_DEVICE, "%d %s not be measured", run->failures,
                         run->failures == 1 ? "result could" : "results could");
    return EXIT_FINE;
}

static int run_cases(const bench_options *o, const bench_cases *cases, fault *f)
{
    static bench_device device;
    bench_roofline roofline = {0};
    bench_report report = {.options = o, .device = &device, .roofline = &roofline};
    bench_run run = {.options = o, .device = &device, .report = &report, .n_cases = cases->n};
    int status = bench_report_open(&report, f);
    if (status == EXIT_FINE)
        status = bench_open_device(&device, o->device, f);
    if (status == EXIT_FINE && !o->no_roofline) {
        bench_progress("measuring peaks");
        status = bench_measure_roofline(&device, &roofline, f);
        bench_progress("");
    }
    if (status == EXIT_FINE)
        status = bench_report_head(&report, f);
    for (size_t i = 0; i < cases->n && status == EXIT_FINE; i++) {
        run.number = i + 1;
        status = run_case(&run, &cases->at[i], f);
    }
    bench_progress("");
    if (status == EXIT_FINE)
        status = bench_report_write(&report, f);
    if (status == EXIT_FINE)
        status = conclude(&run, f);
    bench_report_free(&report);
    bench_close_device(&device);
    return status;
}

int command_bench(int argc, char **argv, fault *f)
{
    bench_options o;
    bench_cases cases = {0};
    char text[BENCH_TEXT];
    int status = bench_read_options(argc, argv, &o, f);
    if (status == EXIT_FINE && o.help)
        bench_print_help();
    else if (status == EXIT_FINE)
        status = bench_find_cases(&o, &cases, f);
    for (size_t i = 0; i < cases.n && status == EXIT_FINE && o.list; i++)
        printf("%s %s\n", cases.at[i].name, bench_write_problem(&cases.at[i].problem, text));
    if (status == EXIT_FINE && !o.list && !o.help) {
        bench_pin_threads();
        status = run_cases(&o, &cases, f);
    }
    bench_free_cases(&cases);
    bench_free_options(&o);
    return status;
}
