/* compare.h: what the files of the compare command share: result files of the benchmark, which rows of them are of the
 * same work, and the statistics of two rows. */
#ifndef CLDEFORM_TOOL_COMPARE_H
#define CLDEFORM_TOOL_COMPARE_H

#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

#include "fault.h"

#define COMPARE_ABSENT ((size_t)-1) /* a line has no row in this file */

/* ---- files ---- */

/* One object of a file's "results". Texts are never NULL. */
typedef struct compare_row {
    const char *case_name, *problem, *pass, *algorithm, *dtype, *layout, *cache;
    int failed;
    const char *error;
    double median; /* milliseconds; 0 where failed */
    long threads;  /* 0: not said */
    double *times; /* milliseconds, in order; NULL: the file has no raw times */
    size_t samples;
} compare_row;

typedef struct compare_file {
    const char *path;
    json_t *json; /* owns the texts */
    const char *program, *version, *device, *driver, *date;
    long threads; /* 0: not said */
    compare_row *rows;
    size_t n_rows;
} compare_file;

/* Reads a file of the schema "cldeform-bench-1". A fault is one line that names the file and the member. compare_unload
 * after a fault too; *file is all zero before. */
int compare_load(const char *path, compare_file *file, fault *f);
void compare_unload(compare_file *file);

/* ---- lines: the rows of several files that are of the same work ---- */

typedef struct compare_lines {
    size_t n_files, n_lines;
    size_t *rows; /* [line][file]: number of the file's row, or COMPARE_ABSENT */
} compare_lines;

/* Rows belong together when case, problem, pass, type, layout and cache are the same, and with by_algorithm the
 * algorithm. Without, each finds the row with its own algorithm first, and takes another's where there is none. The
 * lines are in the order of the first file, then of what the next ones add. */
int compare_match(const compare_file *files, size_t n_files, int by_algorithm, compare_lines *lines, fault *f);
void compare_lines_free(compare_lines *lines);

/* Whether nothing tells them apart. */
int compare_same_row(const compare_row *a, const compare_row *b);

/* NULL: the line has none of this file. */
const compare_row *compare_row_of(const compare_lines *lines, const compare_file *files, size_t line, size_t file);

/* ---- statistics ---- */

typedef enum compare_verdict {
    COMPARE_SAME,
    COMPARE_FASTER,
    COMPARE_SLOWER,
    COMPARE_UNSURE,
    COMPARE_NOW_FAILS, /* the row is fine in the old file, and fails in the new one */
    COMPARE_NOW_FINE,
    COMPARE_BOTH_FAIL,
    COMPARE_ONLY_OLD,
    COMPARE_ONLY_NEW,
    COMPARE_VERDICTS
} compare_verdict;

extern const char *const compare_verdict_names[COMPARE_VERDICTS];

typedef struct compare_result {
    compare_verdict verdict;
    double ratio;     /* new / old, of medians; paired: the median of ratios. 0: there is none */
    double low, high; /* where the ratio lies with 95 % confidence. Both 0: too few samples to say */
} compare_result;

/* Either row may be NULL, not both. threshold: 0.03 is 3 %. paired: the samples of one number were taken side by side;
 * where the counts differ, the ones without a partner do not count. */
compare_result compare_rows(const compare_row *old, const compare_row *new, double threshold, int paired);

/* Of the ratios above 0; 0 where there is none. */
double compare_geometric_mean(const double *ratios, size_t n);

/* ---- output ---- */

typedef struct compare_options {
    int by_algorithm, paired, table, markdown, help;
    double threshold;
    const char *json, *csv; /* paths, or NULL */
} compare_options;

/* What the commands computed: results[line][file], each file against the first (whose own are not used). */
typedef struct comparison {
    compare_options options;
    compare_file *files;
    compare_lines lines;
    compare_result *results;
} comparison;

/* On standard output: two files with verdicts, or a table of any number. */
int compare_print(const comparison *c, fault *f);
/* The same as a file. */
int compare_write_csv(const comparison *c, FILE *stream, fault *f);
int compare_write_json(const comparison *c, FILE *stream, fault *f);

/* How many lines of the second file have the verdict. */
size_t compare_count(const comparison *c, compare_verdict verdict);

/* The geometric mean of a file's ratios to the first. *count is how many there are. */
double compare_mean_of_file(const comparison *c, size_t file, size_t *count);

#endif
