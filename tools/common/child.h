/* child.h: another program that is talked to in lines, and may crash or hang. Not on Windows, where child_start
 * refuses.
 */
#ifndef TOOLS_CHILD_H
#define TOOLS_CHILD_H

#include <stddef.h>

#include "fault.h"

#define CHILD_LINE 1000

/* All zero before child_start. */
typedef struct child {
    long id; /* 0: not running */
    int in, out;
    char pending[CHILD_LINE]; /* read, and not yet taken as a line */
    size_t n_pending;
} child;

typedef enum child_answer { CHILD_READ, CHILD_LATE, CHILD_ENDED, CHILD_STOPPED } child_answer;

/* Whether this program was asked to stop, by a signal. */
typedef int (*child_stopped)(void);

/* Starts argv[0], in a process group of its own, so that Ctrl-C is the caller's alone. "NAME=value" in `variable` joins
 * its environment. Standard output and standard error are both what child_read reads. From here on this program ignores
 * SIGPIPE. */
int child_start(child *c, char *const *argv, const char *variable, fault *f);

/* The next line, without its end; a longer one is cut in pieces. LATE: there was none until timing_now() was `until`.
 * STOPPED: stopped() said so. */
child_answer child_read(child *c, double until, child_stopped stopped, char line[CHILD_LINE]);

/* 0 where it no longer listens. */
int child_write(child *c, const char *text);

/* How it ended, in words: "ended by signal 11 (Segmentation fault)", "ended with exit status 3". */
#define CHILD_END 100
typedef struct child_end {
    int exit_status; /* -1: a signal's */
    char text[CHILD_END];
} child_end;

/* Ends it and what it has started, at once where it does not end by itself within so many seconds of its standard input
 * ending. Nothing where it is not running. */
child_end child_stop(child *c, double patience);

/* This program's own path. */
int child_own_path(char *path, size_t capacity, fault *f);

#endif
