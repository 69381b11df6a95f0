/* tune.h: the parts of the tune command: which parameters are searched, how candidates are measured in turns, what
 * their times say, the search itself, and the file that it writes.
 *
 * The search knows no processes and no OpenCL: it asks a tune_measurer, which tests replace. */
#ifndef CLDEFORM_TOOL_TUNE_H
#define CLDEFORM_TOOL_TUNE_H

#include <stddef.h>
#include <stdio.h>

#include "bench.h"
#include "child.h"

/* ---- the parameters ---- */

/* What a parameter matters to, as a set: RoI pooling, the convolution's algorithms, and which of them AUTO takes. */
#define TUNE_PART(algorithm) (1u << (algorithm))
enum {
    TUNE_ROI = 1u << 0,
    TUNE_IM2COL = TUNE_PART(CLDEFORM_ALGORITHM_IM2COL),
    TUNE_FUSED = TUNE_PART(CLDEFORM_ALGORITHM_FUSED),
    TUNE_TILED = TUNE_PART(CLDEFORM_ALGORITHM_TILED),
    TUNE_CHOICE = 1u << 16
};

enum { TUNE_FORWARD = 1u << BENCH_FORWARD, TUNE_BACKWARD = 1u << BENCH_BACKWARD };

#define TUNE_VALUES 8 /* candidates of a parameter */
#define TUNE_END    (-1)

typedef struct tune_parameter {
    const char *name; /* a column of the library's tuning table */
    unsigned parts, passes;
    int cpu[TUNE_VALUES], gpu[TUNE_VALUES]; /* candidates, ended by TUNE_END; the built-in value may be among them */
    const char *unsearched;                 /* why it is not searched; NULL: it is */
} tune_parameter;

#define TUNE_MOST 64 /* parameters */
extern const tune_parameter tune_parameters[];
extern const size_t tune_n_parameters;

/* tune_n_parameters: there is none of that name. */
size_t tune_find_parameter(const char *name, size_t length);

typedef struct tune_setting {
    int value[TUNE_MOST]; /* of tune_parameters */
} tune_setting;

/* ---- options ---- */

typedef struct tune_options {
    bench_options cases; /* preset, file, problems, overrides, offsets, passes and device of it */
    const char *output;  /* NULL: standard output */
    unsigned char wanted[TUNE_MOST];
    int quick, list, help;  /* list and help have been printed */
    double budget, timeout; /* seconds; budget 0: none */
} tune_options;

/* Fills all of o. tune_free_options after, also after a failure. */
int tune_read_options(int argc, char **argv, tune_options *o, fault *f);
void tune_free_options(tune_options *o);

/* ---- measuring ---- */

enum { TUNE_OF_CONV2D = 1, TUNE_OF_ROI = 2 }; /* operators, as a set */

/* What a comparison is about: rows of these operators and passes. */
typedef struct tune_scope {
    unsigned operators, passes;
    double too_slow; /* a candidate that takes so many times as long as the first is dropped; 0: none is */
} tune_scope;

typedef enum tune_outcome {
    TUNE_FINE,
    TUNE_WRONG,   /* a result differs from the reference */
    TUNE_CRASHED, /* its process ended by a signal */
    TUNE_HUNG,    /* no answer within the time limit */
    TUNE_FAILED,  /* the library or OpenCL refused it */
    TUNE_SLOW,
    TUNE_OUTCOMES
} tune_outcome;
extern const char *const tune_outcome_names[TUNE_OUTCOMES];

typedef struct tune_trial {
    tune_setting setting;
    size_t number; /* of the candidate among its parameter's values */
    tune_outcome outcome;
    char reason[200]; /* "": FINE */
} tune_trial;

/* A case in a direction. */
typedef struct tune_row {
    const char *name; /* of the case */
    int pass;
    unsigned operators; /* one of TUNE_OF_* */
} tune_row;

/* Samples of a comparison. Those of a trial that is not FINE are not all there. */
typedef struct tune_times {
    size_t n_rows, n_trials, n_rounds;
    tune_row *row;
    double *ms; /* [row][trial][round] */
} tune_times;

int tune_create_times(tune_times *t, size_t n_rows, size_t n_trials, size_t n_rounds, fault *f); /* all zero before */
void tune_free_times(tune_times *t);
double *tune_samples(const tune_times *t, size_t row, size_t trial); /* [round] */

/* Measures the trials in turns; fills their outcomes and `times` (all zero before; the caller frees it also after a
 * failure). A trial that fails is no fault. TUNE_STOPPED, without a fault: stopped() said so. */
#define TUNE_STOPPED 1000
typedef struct tune_measurer {
    int (*measure)(void *user, const tune_scope *scope, tune_trial *trials, size_t n_trials, size_t rounds,
                   child_stopped stopped, tune_times *times, fault *f);
    void *user;
} tune_measurer;

/* The real one: each trial is a child of this program, `bench --turns`, with a tuning file of its own. */
typedef struct tune_session {
    const tune_options *options;
    const bench_cases *cases;
    const char *device;               /* as --device takes it */
    const tune_setting *built_in;     /* what need not be written */
    char program[1000], folder[1000]; /* this one; for temporary files */
} tune_session;

int tune_open_session(tune_session *s, fault *f);
void tune_close_session(tune_session *s);
tune_measurer tune_session_measurer(tune_session *s);

/* ---- what times say ---- */

/* A trial's time as a part of the first one's: the geometric mean over the rows of the operators of the median of the
 * ratios of samples taken side by side; and where it lies with 99 % confidence. */
typedef struct tune_verdict {
    double ratio, low, high, likely; /* likely: what it is below with 75 % confidence */
    size_t n_rows;                   /* 0: there is none, and the ratio is 1 */
} tune_verdict;
extern const tune_verdict tune_no_verdict;

int tune_judge(const tune_times *t, size_t trial, unsigned operators, tune_verdict *v, fault *f);

/* Faster by more than noise, and by enough to matter. is_promising: worth more samples. */
int tune_wins(const tune_verdict *v);
int tune_is_promising(const tune_verdict *v);

/* ---- the search ---- */

typedef struct tune_search {
    tune_measurer measurer;
    int is_cpu;
    unsigned operators, passes;  /* of the cases */
    const unsigned char *wanted; /* [parameters] */
    int quick;
    double until;                   /* timing_now() at which it stops searching */
    child_stopped stopped, aborted; /* asked to stop searching; to stop at all */
    tune_setting start, best;
    size_t n_candidates, n_done, n_of[TUNE_OUTCOMES];
    unsigned char failed[TUNE_MOST][TUNE_VALUES]; /* candidates that are not tried again */
    unsigned char searched[TUNE_MOST];
    tune_times last;      /* of start and what was found, when they were last compared; no rows: nothing was */
    tune_verdict verdict; /* of it */
    double reserve_ms;    /* for that comparison */
} tune_search;

/* From s->start to s->best. All but measurer to start zero before; tune_free_search after, also after a failure.
 * TUNE_STOPPED: aborted() said so. */
int tune_run_search(tune_search *s, fault *f);
void tune_free_search(tune_search *s);

/* A line on standard error. */
FAULT_PRINTF(1, 2) void tune_say(const char *format, ...);

/* Progress: the same; on a terminal one that the next one replaces. */
FAULT_PRINTF(1, 2) void tune_log(const char *format, ...);

/* ---- the file ---- */

typedef struct tune_place {
    const char *device, *platform, *driver; /* names */
} tune_place;

/* The tuning file, with comments. */
int tune_write_file(FILE *stream, const tune_place *place, const tune_search *s);

#endif
