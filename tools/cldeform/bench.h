/* bench.h: the parts of the bench command: its options, and the cases it runs. */
#ifndef CLDEFORM_TOOL_BENCH_H
#define CLDEFORM_TOOL_BENCH_H

#include <stddef.h>
#include <stdint.h>

#include "bench_problem.h"
#include "fault.h"

enum { BENCH_NORMAL, BENCH_ZERO, BENCH_UNIFORM }; /* distributions of offsets */

enum { BENCH_FORWARD, BENCH_BACKWARD, BENCH_PASSES };
extern const char *const bench_pass_names[BENCH_PASSES];

/* Algorithms: those of the library's convolution, and the only one of its RoI pooling. */
enum { BENCH_DIRECT = -1, BENCH_ALGORITHMS = 5 };

typedef struct bench_options {
    const char *preset, *file; /* NULL: not given */
    const char **problem;      /* [n_problems] strings */
    size_t n_problems;
    const char *override[BENCH_FIELDS]; /* NULL: as the case has it */
    int offsets;
    int pass[BENCH_PASSES]; /* in the order asked for */
    int algorithm[BENCH_ALGORITHMS];
    size_t n_passes, n_algorithms;
    const char *device, *csv, *json;
    int cold, packed, first, steps, no_roofline, turns, list, help;
    double min_time;    /* seconds */
    int64_t samples[2]; /* least, most */
    int argc;           /* the command line, for the record */
    char **argv;
} bench_options;

/* Fills all of o. bench_free_options after, also after a failure. */
int bench_read_options(int argc, char **argv, bench_options *o, fault *f);
void bench_free_options(bench_options *o);
void bench_print_help(void);

/* What tune reads of them. */
void bench_default_options(int argc, char **argv, bench_options *o);
int bench_add_problem(bench_options *o, const char *text, fault *f);
int bench_read_offsets(bench_options *o, const char *text, fault *f);
int bench_read_passes(bench_options *o, const char *text, fault *f);
const char *bench_offsets_name(int offsets);

const char *bench_algorithm_name(int algorithm);

typedef struct bench_case {
    char *name;    /* PRESET/LAYER, or the problem's string */
    int64_t count; /* how often the network has it */
    bench_problem problem;
} bench_case;

typedef struct bench_cases {
    bench_case *at;
    size_t n, capacity;
} bench_cases;

/* Those that the options ask for, overrides applied; with none asked for the preset r50, or to list all. All zero
 * before; bench_free_cases after, also after a failure. */
int bench_find_cases(const bench_options *o, bench_cases *cases, fault *f);
void bench_free_cases(bench_cases *cases);

#endif
