/* tune_compare.c: comparisons of candidates for one parameter with the best so far. */
#include <stdio.h>
#include <string.h>

#include "timing.h"
#include "tune_search.h"

enum { ROUNDS = 7, QUICK_ROUNDS = 5 };

size_t tune_rounds(const tune_search *s)
{
    return s->quick ? QUICK_ROUNDS : ROUNDS;
}

int tune_is_over(const tune_search *s)
{
    return s->stopped() || (s->until > 0 && timing_now() > s->until);
}

const int *tune_values(const tune_search *s, size_t p)
{
    return s->is_cpu ? tune_parameters[p].cpu : tune_parameters[p].gpu;
}

size_t tune_choice(void)
{
    return tune_find_parameter("conv2d_algorithm", strlen("conv2d_algorithm"));
}

tune_setting tune_with(const tune_setting *setting, size_t p, int value)
{
    tune_setting changed = *setting;
    changed.value[p] = value;
    return changed;
}

unsigned tune_operators(unsigned parts)
{
    return (parts & ~(unsigned)TUNE_ROI ? TUNE_OF_CONV2D : 0) | (parts & TUNE_ROI ? TUNE_OF_ROI : 0);
}

/* ---- measuring ---- */

int tune_measure_once(const tune_search *s, const tune_scope *scope, tune_trial *trials, size_t n, size_t rounds,
                      child_stopped stopped, tune_times *times, fault *f)
{
    tune_free_times(times);
    return s->measurer.measure(s->measurer.user, scope, trials, n, rounds, stopped, times, f);
}

/* Those that were fine, behind the first, which must be measured again. Returns their count, the first with them. */
static size_t sort_out_failures(tune_trial *trials, size_t n)
{
    size_t live = 1;
    for (size_t i = 1; i < n; i++) {
        const tune_trial t = trials[i];
        if (t.outcome != TUNE_FINE)
            continue;
        trials[i] = trials[live];
        trials[live++] = t;
    }
    return live;
}

int tune_measure_all(const tune_search *s, const tune_scope *scope, tune_trial *trials, size_t *n, size_t rounds,
                     child_stopped stopped, tune_times *times, fault *f)
{
    int status = tune_measure_once(s, scope, trials, *n, rounds, stopped, times, f);
    if (status != EXIT_FINE || trials[0].outcome == TUNE_FINE)
        return status;
    *n = sort_out_failures(trials, *n);
    status = tune_measure_once(s, scope, trials, *n, rounds, stopped, times, f);
    if (status == EXIT_FINE && trials[0].outcome != TUNE_FINE)
        return fault_set(f, EXIT_DEVICE, "the device fails with parameters that were fine before: %s: %s",
                         tune_outcome_names[trials[0].outcome], trials[0].reason);
    return status;
}

static const char *time_left(const tune_search *s, char text[40])
{
    const double seconds = (s->until - timing_now()) / 1e3;
    text[0] = 0;
    if (s->until > 0)
        snprintf(text, 40, ", %.0f s left", seconds > 0 ? seconds : 0.0);
    return text;
}

void tune_log_trial(tune_search *s, size_t p, const tune_trial *t, const tune_verdict *v)
{
    char left[40];
    const int value = t->setting.value[p];
    s->n_of[t->outcome]++;
    s->n_done++;
    if (t->outcome == TUNE_FINE)
        tune_log("[%zu of %zu%s] %s=%d: %.3f of the time (%.3f to %.3f)", s->n_done, s->n_candidates,
                 time_left(s, left), tune_parameters[p].name, value, v->ratio, v->low, v->high);
    else
        tune_say("[%zu of %zu%s] %s=%d: %s: %s", s->n_done, s->n_candidates, time_left(s, left),
                 tune_parameters[p].name, value, tune_outcome_names[t->outcome], t->reason);
}

/* ---- one parameter ---- */

int tune_screen(tune_search *s, const tune_scope *scope, size_t p, tune_trial *trials, size_t n, size_t rounds,
                tune_verdict *least, size_t *promising, child_stopped stopped, fault *f)
{
    tune_times times = {0};
    size_t measured = n;
    *promising = 0;
    int status = tune_measure_all(s, scope, trials, &measured, rounds, stopped, &times, f);
    for (size_t t = 1; t < n && status == EXIT_FINE; t++) {
        tune_verdict v = tune_no_verdict;
        if (trials[t].outcome == TUNE_FINE)
            status = tune_judge(&times, t, TUNE_OF_CONV2D | TUNE_OF_ROI, &v, f);
        if (status == EXIT_FINE)
            tune_log_trial(s, p, &trials[t], &v);
        s->failed[p][trials[t].number] = trials[t].outcome != TUNE_FINE;
        if (trials[t].outcome == TUNE_FINE && tune_is_promising(&v) && v.ratio < least->ratio) {
            *least = v;
            *promising = t;
        }
    }
    tune_free_times(&times);
    return status;
}

/* The fastest of many was lucky, too: it must win again, with samples that it was not chosen by. */
static int confirm(tune_search *s, const tune_scope *scope, size_t p, const tune_setting *from, const tune_setting *to,
                   int *wins, fault *f)
{
    tune_trial trials[2] = {{.setting = *from}, {.setting = *to}};
    tune_times times = {0};
    tune_verdict v = tune_no_verdict;
    size_t n = 2;
    int status = tune_measure_all(s, scope, trials, &n, TUNE_AGAIN * tune_rounds(s), s->stopped, &times, f);
    *wins = 0;
    if (status == EXIT_FINE && n == 2 && trials[1].outcome == TUNE_FINE) {
        status = tune_judge(&times, 1, TUNE_OF_CONV2D | TUNE_OF_ROI, &v, f);
        *wins = tune_wins(&v);
        tune_say("%s=%d is %s: %.3f of the time (%.3f to %.3f) when measured again", tune_parameters[p].name,
                 to->value[p], *wins ? "taken" : "not taken", v.ratio, v.low, v.high);
    }
    tune_free_times(&times);
    return status;
}

size_t tune_take_values(const tune_search *s, size_t p, size_t *at, const tune_setting *from, tune_trial *trials)
{
    const int *values = tune_values(s, p);
    size_t n = 1;
    trials[0] = (tune_trial){.setting = *from};
    for (; values[*at] != TUNE_END && n <= TUNE_TOGETHER; ++*at) {
        if (values[*at] == from->value[p] || s->failed[p][*at])
            continue;
        trials[n++] = (tune_trial){.setting = tune_with(from, p, values[*at]), .number = *at};
    }
    return n;
}

int tune_try_parameter(tune_search *s, const tune_scope *scope, size_t p, int forced, int *changed, fault *f)
{
    tune_trial trials[TUNE_TOGETHER + 1];
    tune_setting from = s->best, winner = s->best;
    tune_verdict least = tune_no_verdict;
    size_t at = 0, promising = 0;
    const int once_more = s->searched[p]; /* not counted yet */
    int found = 0, wins = 0, status = EXIT_FINE;
    if (forced)
        from.value[tune_choice()] = forced;
    while (status == EXIT_FINE && !tune_is_over(s)) {
        const size_t n = tune_take_values(s, p, &at, &from, trials);
        if (n == 1)
            break;
        s->n_candidates += once_more ? n - 1 : 0;
        status = tune_screen(s, scope, p, trials, n, tune_rounds(s), &least, &promising, s->stopped, f);
        if (status == EXIT_FINE && promising > 0) {
            winner = trials[promising].setting;
            found = 1;
        }
        s->searched[p] |= status == EXIT_FINE;
    }
    if (status == EXIT_FINE && found && !s->stopped())
        status = confirm(s, scope, p, &from, &winner, &wins, f);
    if (wins) {
        s->best.value[p] = winner.value[p];
        *changed = 1;
    }
    return status == TUNE_STOPPED ? EXIT_FINE : status; /* the search is over, as far as it came */
}
