/* bench_report.h: rows of results: the table as they come, then CSV and JSON of all of them. */
#ifndef CLDEFORM_TOOL_BENCH_REPORT_H
#define CLDEFORM_TOOL_BENCH_REPORT_H

#include "bench_check.h"
#include "bench_measure.h"
#include "bench_roofline.h"
#include "files.h"

/* What became of a row. */
enum { BENCH_OK, BENCH_FAIL, BENCH_UNSUPPORTED, BENCH_REPEATED };

typedef struct bench_row {
    const bench_case *of;
    int pass, status;
    const char *algorithm; /* by its own name, where there is one: not "auto" */
    char error[BENCH_ERROR];
    bench_samples samples;  /* none where it was not measured */
    double gflop, first_ms; /* first_ms -1: not known */
    double bound_ms;        /* 0: not known */
    int bound_is_memory, packed;
    size_t workspace_bytes;
} bench_row;

typedef struct bench_report {
    const bench_options *options;
    const bench_device *device;
    const bench_roofline *roofline;
    file_replacement csv, json;
    json_t *results;
    int n_unsupported, threads; /* threads 0: not a CPU */
    double load_before;
} bench_report;

/* Begins the files, so that a wrong path shows at once. All zero before but for the first three; bench_report_free
 * after, also after a failure. */
int bench_report_open(bench_report *r, fault *f);

/* What holds for all rows; the case that rows follow of; a row, which joins the results. */
int bench_report_head(bench_report *r, fault *f);
void bench_report_case(const bench_report *r, const bench_case *c);
int bench_report_row(bench_report *r, const bench_row *row, fault *f);

/* Writes the files, whole or not at all. */
int bench_report_write(bench_report *r, fault *f);
void bench_report_free(bench_report *r);

#endif
