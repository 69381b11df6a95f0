/* bench_report.c: the table, and which numbers a result has. */
#include "bench_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_host.h"
#include "bench_metadata.h"
#include "describe.h"
#include "element.h"

int bench_report_open(bench_report *r, fault *f)
{
    int status = EXIT_FINE;
    r->load_before = bench_host_load();
    r->results = json_array();
    if (!r->results)
        return fault_memory(f);
    if (r->options->csv)
        status = file_begin(&r->csv, r->options->csv, f);
    if (status == EXIT_FINE && r->options->json)
        status = file_begin(&r->json, r->options->json, f);
    if (status == EXIT_FINE && r->options->csv && r->options->json && file_same(&r->csv, &r->json))
        status = fault_set(f, EXIT_INPUT, "--csv and --json are both %s, expected a file each", r->options->csv);
    return status;
}

void bench_report_free(bench_report *r)
{
    file_release(&r->csv);
    file_release(&r->json);
    json_decref(r->results);
}

/* ---- the table: at most 100 columns, but for problems and errors ---- */

/* Which parameters are measured, and what was refused of a tuning file. */
static int print_tuning(const bench_report *r, fault *f)
{
    json_t *library = NULL;
    int status = describe_context(r->device->context, &library, f);
    const char *source = json_string_value(json_object_get(json_object_get(library, "tuning"), "source"));
    if (status == EXIT_FINE)
        printf("\ntuning: %s", source ? source : "unknown");
    json_decref(library);
    return status;
}

int bench_report_head(bench_report *r, fault *f)
{
    const device_session *session = &r->device->session;
    cl_uint units = 0;
    clGetDeviceInfo(session->device->id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
    r->threads = session->device->type & CL_DEVICE_TYPE_CPU ? (int)units : 0;
    if (r->options->turns)
        return EXIT_FINE;
    char *device = device_text(&session->list, session->device);
    if (!device)
        return fault_memory(f);
    printf("device: %s", device);
    if (r->threads)
        printf(", %d %s", r->threads, r->threads == 1 ? "thread" : "threads");
    free(device);
    const int status = print_tuning(r, f);
    if (status != EXIT_FINE)
        return status;
    if (r->roofline->fp32_gflops > 0) {
        printf("\npeak: %.1f GFLOP/s fp32", r->roofline->fp32_gflops);
        if (r->roofline->fp64_gflops > 0)
            printf(", %.1f fp64", r->roofline->fp64_gflops);
        printf("; copy %.1f GB/s", r->roofline->copy_gbs);
    }
    printf("\ncaches: %s%s\n\n", r->options->cold ? "cold" : "hot",
           r->options->packed ? "; weights packed before" : "");
    printf("  %-8s %-9s %9s %9s %6s %5s %9s %8s %9s  %s\n", "pass", "algorithm", "median ms", "least", "spread",
           "count", "device ms", "GFLOP/s", "workspace", "of bound");
    fflush(stdout);
    return EXIT_FINE;
}

void bench_report_case(const bench_report *r, const bench_case *c)
{
    char text[BENCH_TEXT];
    if (r->options->turns)
        return;
    bench_write_problem(&c->problem, text);
    bench_progress("");
    if (strcmp(text, c->name) == 0)
        puts(text);
    else
        printf("%s  %s\n", c->name, text);
    fflush(stdout);
}

static void print_steps(const bench_samples *s)
{
    const double calls = (double)s->n * s->calls;
    double total = 0;
    for (size_t i = 0; i < s->n_steps; i++)
        total += s->steps[i].milliseconds;
    for (size_t i = 0; i < s->n_steps; i++) {
        const timing_step *step = &s->steps[i];
        printf("    %-24s %9.3f ms %5.1f %%  %8.2f GFLOP/s  %8.2f GB/s\n", step->name, step->milliseconds / calls,
               total > 0 ? 100 * step->milliseconds / total : 0,
               step->milliseconds > 0 ? step->flop / step->milliseconds * 1e-6 : 0,
               step->milliseconds > 0 ? step->bytes / step->milliseconds * 1e-6 : 0);
    }
}

static void print_times(const bench_report *r, const bench_row *row, const bench_summary *s)
{
    printf("%9.3f %9.3f %5.1f%% %5zu", s->median, s->min, 100 * (s->p90 - s->p10) / s->median, row->samples.n);
    if (s->device >= 0)
        printf(" %9.3f", s->device);
    else
        printf(" %9s", "-");
    printf(" %8.2f %5.1f MiB", row->gflop / s->median * 1e3, (double)row->workspace_bytes / (1 << 20));
    if (row->bound_ms > 0)
        printf("  %5.1f%% %s", 100 * row->bound_ms / s->median, row->bound_is_memory ? "memory" : "compute");
    putchar('\n');
    if (row->first_ms >= 0)
        printf("    first result after %.1f ms\n", row->first_ms);
    if (r->options->steps)
        print_steps(&row->samples);
}

static void print_row(const bench_report *r, const bench_row *row, const bench_summary *s)
{
    bench_progress("");
    if (r->options->turns) { /* standard output is the script's */
        if (row->status == BENCH_FAIL)
            fprintf(stderr, "FAIL %s %s %s: %s\n", row->of->name, bench_pass_names[row->pass], row->algorithm,
                    row->error);
        return;
    }
    printf("  %-8s %-9s ", bench_pass_names[row->pass], row->algorithm);
    if (row->status == BENCH_UNSUPPORTED)
        puts("unsupported");
    else if (row->status == BENCH_REPEATED)
        puts("see above");
    else if (row->status == BENCH_FAIL)
        printf("     FAIL %s\n", row->error);
    else
        print_times(r, row, s);
    fflush(stdout);
}

/* ---- the results ---- */

static json_t *list_steps(const bench_samples *s)
{
    const double calls = (double)s->n * s->calls;
    json_t *steps = json_array();
    for (size_t i = 0; steps && i < s->n_steps; i++)
        json_array_append_new(steps, json_pack("{s:s, s:f, s:f, s:f}", "step", s->steps[i].name, "device_ms",
                                               s->steps[i].milliseconds / calls, "gflop",
                                               s->steps[i].flop / calls * 1e-9, "bytes", s->steps[i].bytes / calls));
    return steps;
}

static json_t *list_times(const bench_samples *s)
{
    json_t *times = json_array();
    for (size_t i = 0; times && i < s->n; i++)
        json_array_append_new(times, json_real(s->wall[i]));
    return times;
}

static json_t *real_if(int known, double value)
{
    return known ? json_real(value) : json_null();
}

static json_t *make_result(const bench_report *r, const bench_row *row, const bench_summary *s)
{
    char problem[BENCH_TEXT];
    const int timed = row->status == BENCH_OK && row->samples.n > 0, bounded = row->bound_ms > 0;
    const bench_problem *p = &row->of->problem;
    json_t *o = json_object();
    json_object_set_new(o, "case", describe_string(row->of->name));
    json_object_set_new(o, "problem", describe_string(bench_write_problem(p, problem)));
    json_object_set_new(o, "count", json_integer(row->of->count));
    json_object_set_new(o, "pass", json_string(bench_pass_names[row->pass]));
    json_object_set_new(o, "algorithm", json_string(row->algorithm));
    json_object_set_new(o, "dtype", json_string(element_name(bench_dtype(p))));
    json_object_set_new(o, "layout", json_string(operator_layouts[p->number[BENCH_LAYOUT][0]].word));
    json_object_set_new(o, "status", json_string(row->status == BENCH_OK ? "ok" : "fail"));
    if (row->status == BENCH_FAIL)
        json_object_set_new(o, "error", describe_string(row->error));
    json_object_set_new(o, "median_ms", real_if(timed, s->median));
    json_object_set_new(o, "min_ms", real_if(timed, s->min));
    json_object_set_new(o, "p10_ms", real_if(timed, s->p10));
    json_object_set_new(o, "p90_ms", real_if(timed, s->p90));
    json_object_set_new(o, "samples", json_integer((json_int_t)row->samples.n));
    json_object_set_new(o, "calls_per_sample", json_integer(row->samples.calls));
    json_object_set_new(o, "times_ms", list_times(&row->samples));
    json_object_set_new(o, "device_ms", real_if(timed && s->device >= 0, s->device));
    json_object_set_new(o, "first_ms", real_if(row->first_ms >= 0, row->first_ms));
    json_object_set_new(o, "gflops", real_if(timed, timed ? row->gflop / s->median * 1e3 : 0));
    json_object_set_new(o, "gflop", json_real(row->gflop));
    json_object_set_new(o, "threads", r->threads ? json_integer(r->threads) : json_null());
    json_object_set_new(o, "bound_ms", real_if(bounded, row->bound_ms));
    json_object_set_new(o, "bound", bounded ? json_string(row->bound_is_memory ? "memory" : "compute") : json_null());
    json_object_set_new(o, "percent_of_bound", real_if(timed && bounded, timed ? 100 * row->bound_ms / s->median : 0));
    json_object_set_new(o, "cache", json_string(r->options->cold ? "cold" : "hot"));
    json_object_set_new(o, "packed", json_boolean(row->packed));
    json_object_set_new(o, "workspace_bytes", json_integer((json_int_t)row->workspace_bytes));
    if (r->options->steps)
        json_object_set_new(o, "steps", list_steps(&row->samples));
    return o;
}

int bench_report_row(bench_report *r, const bench_row *row, fault *f)
{
    bench_summary s = {0};
    int status = row->samples.n > 0 ? bench_summarise(&row->samples, &s, f) : EXIT_FINE;
    if (status != EXIT_FINE)
        return status;
    r->n_unsupported += row->status == BENCH_UNSUPPORTED;
    print_row(r, row, &s);
    if (row->status != BENCH_OK && row->status != BENCH_FAIL)
        return EXIT_FINE;
    return json_array_append_new(r->results, make_result(r, row, &s)) == 0 ? EXIT_FINE : fault_memory(f);
}

/* ---- the files ---- */

/* Strings are quoted: problems have commas. Nothing in them has a quote. */
static void write_csv_value(FILE *stream, const json_t *value)
{
    if (json_is_string(value))
        fprintf(stream, "\"%s\"", json_string_value(value));
    else if (json_is_integer(value))
        fprintf(stream, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        fprintf(stream, "%.9g", json_real_value(value));
    else if (json_is_boolean(value))
        fputs(json_is_true(value) ? "true" : "false", stream);
}

static void write_csv(FILE *stream, const json_t *results)
{
    static const char *const columns[] = {
        "case",      "problem", "count",    "pass",   "algorithm", "dtype",     "layout",           "status",
        "median_ms", "min_ms",  "p10_ms",   "p90_ms", "samples",   "device_ms", "first_ms",         "gflops",
        "gflop",     "threads", "bound_ms", "bound",  "packed",    "cache",     "percent_of_bound", "workspace_bytes",
    };
    size_t i = 0;
    const json_t *result = NULL;
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
        fprintf(stream, "%s%s", c ? "," : "", columns[c]);
    fputc('\n', stream);
    json_array_foreach(results, i, result)
    {
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
            if (c)
                fputc(',', stream);
            write_csv_value(stream, json_object_get(result, columns[c]));
        }
        fputc('\n', stream);
    }
}

static int write_json(const bench_report *r, fault *f)
{
    json_t *metadata = NULL;
    int status = bench_make_metadata(r, &metadata, f);
    if (status != EXIT_FINE)
        return status;
    json_t *all =
        json_pack("{s:s, s:o, s:O}", "schema", "cldeform-bench-1", "metadata", metadata, "results", r->results);
    if (!all || json_dumpf(all, r->json.stream, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) != 0)
        status = fault_set(f, EXIT_DEVICE, "%s cannot be written", r->options->json);
    fputc('\n', r->json.stream);
    json_decref(all);
    return status;
}

int bench_report_write(bench_report *r, fault *f)
{
    int status = EXIT_FINE;
    if (r->options->csv) {
        write_csv(r->csv.stream, r->results);
        status = file_close(&r->csv, f);
    }
    if (status == EXIT_FINE && r->options->json)
        status = write_json(r, f);
    if (status == EXIT_FINE && r->options->json)
        status = file_close(&r->json, f);
    if (status == EXIT_FINE && r->options->csv)
        status = file_commit(&r->csv, f);
    if (status == EXIT_FINE && r->options->json) {
        status = file_commit(&r->json, f);
        if (status != EXIT_FINE && r->options->csv)
            file_undo(&r->csv);
    }
    return status;
}
