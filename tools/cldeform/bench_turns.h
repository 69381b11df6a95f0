/* bench_turns.h: --turns: a script says when a sample is taken. */
#ifndef CLDEFORM_TOOL_BENCH_TURNS_H
#define CLDEFORM_TOOL_BENCH_TURNS_H

#include "bench_measure.h"

/* "ready CASE PASS ALGORITHM" on standard output, then for each line "go" on standard input a sample, whose
 * milliseconds are printed, until "next". */
int bench_take_turns(bench_object *o, const char *name, const char *algorithm, bench_samples *s, fault *f);

#endif
