/* tune_search.h: what the files of the search share. */
#ifndef CLDEFORM_TOOL_TUNE_SEARCH_H
#define CLDEFORM_TOOL_TUNE_SEARCH_H

#include "tune.h"

enum {
    TUNE_TOGETHER = 4, /* candidates in a comparison: each holds its buffers on the device */
    TUNE_AGAIN = 3     /* times as many rounds where a decision hangs on them */
};

size_t tune_rounds(const tune_search *s);
int tune_is_over(const tune_search *s);
const int *tune_values(const tune_search *s, size_t p); /* candidates of a parameter on this kind of device */
size_t tune_choice(void);                               /* the parameter conv2d_algorithm */
unsigned tune_operators(unsigned parts);                /* that parameters of these parts matter to */
tune_setting tune_with(const tune_setting *setting, size_t p, int value);

/* ---- comparisons ---- */

int tune_measure_once(const tune_search *s, const tune_scope *scope, tune_trial *trials, size_t n, size_t rounds,
                      child_stopped stopped, tune_times *times, fault *f);

/* A candidate that crashes or hangs may take the device with it, and the first trial too: then once more without it.
 * The first was fine before, so that a second time is the device's fault. *n becomes the count of those that were
 * measured, the others are behind them. */
int tune_measure_all(const tune_search *s, const tune_scope *scope, tune_trial *trials, size_t *n, size_t rounds,
                     child_stopped stopped, tune_times *times, fault *f);

/* Counts it, and tells of it. */
void tune_log_trial(tune_search *s, size_t p, const tune_trial *t, const tune_verdict *v);

/* Values of p for one comparison, from number *at on: trials[1] on, [0] is `from`. Those that failed before are left
 * out. Returns the count of trials. */
size_t tune_take_values(const tune_search *s, size_t p, size_t *at, const tune_setting *from, tune_trial *trials);

/* The best of some candidates for parameter p, if it is promising; *promising is 0 otherwise. trials[0] is what they
 * must beat, and *least what the best of earlier ones did. */
int tune_screen(tune_search *s, const tune_scope *scope, size_t p, tune_trial *trials, size_t n, size_t rounds,
                tune_verdict *least, size_t *promising, child_stopped stopped, fault *f);

/* All candidates of p. *changed = 1 where another value was taken. forced: conv2d_algorithm while measuring; 0: as it
 * is. */
int tune_try_parameter(tune_search *s, const tune_scope *scope, size_t p, int forced, int *changed, fault *f);

/* ---- the end ---- */

/* Takes back what was found for algorithms that AUTO will not take. */
void tune_take_back_others(tune_search *s);

/* Compares the best with the start, and takes back what is not faster. forced: as above. */
int tune_look_at_all(tune_search *s, int forced, fault *f);

#endif
