/* tune_search.c: goes from the built-in parameters to better ones: which algorithms are worth it, the parameters of
 * each of them one after the other, those of RoI pooling, which algorithm is fastest with what was found, and whether
 * all of it is faster than the built-in parameters. */
#include "tune_search.h"

#include <string.h>

#include "timing.h"

enum { DESCENTS = 2 /* through the parameters: what the first one found may change what suits the others */ };

static const double too_slow = 3, /* of a candidate; and of an algorithm that tuning will not save */
    hopelessly_slow = 10;         /* an algorithm, for one layer */

/* ---- the parameters of an algorithm ---- */

/* What a change of p can be seen in while `part` is tuned: RoI pooling reads some of the convolution's parameters. */
static tune_scope scope_of(const tune_search *s, size_t p, unsigned part)
{
    const tune_parameter *of = &tune_parameters[p];
    return (tune_scope){tune_operators(of->parts & (part | TUNE_ROI)) & s->operators, of->passes & s->passes, too_slow};
}

static int is_of_part(const tune_search *s, size_t p, unsigned part)
{
    const tune_scope scope = scope_of(s, p, part);
    return s->wanted[p] && tune_parameters[p].parts & part && scope.operators && scope.passes;
}

/* Those that another part had searched before are left as that one has them. */
static int tune_part(tune_search *s, unsigned part, int forced, fault *f)
{
    unsigned char searched_before[TUNE_MOST];
    size_t last_change = tune_n_parameters; /* the parameter that changed last */
    int status = EXIT_FINE, descents = s->quick ? 1 : DESCENTS;
    memcpy(searched_before, s->searched, sizeof searched_before);
    for (int k = 0; k < descents && status == EXIT_FINE && !tune_is_over(s); k++) {
        for (size_t p = 0; p < tune_n_parameters && status == EXIT_FINE && !tune_is_over(s); p++) {
            const tune_scope scope = scope_of(s, p, part);
            int changed = 0;
            if (searched_before[p] || !is_of_part(s, p, part))
                continue;
            if (k > 0 && p == last_change) /* nothing has changed since */
                return EXIT_FINE;
            status = tune_try_parameter(s, &scope, p, forced, &changed, f);
            if (changed)
                last_change = p;
        }
        if (last_change == tune_n_parameters)
            break;
    }
    return status;
}

/* ---- algorithms ---- */

typedef struct algorithms {
    int value[TUNE_VALUES]; /* of conv2d_algorithm, the fastest first */
    double ratio[TUNE_VALUES];
    size_t n;
} algorithms;

static void add_algorithm(algorithms *a, int value, double ratio)
{
    size_t i = a->n++;
    for (; i > 0 && a->ratio[i - 1] > ratio; i--) {
        a->value[i] = a->value[i - 1];
        a->ratio[i] = a->ratio[i - 1];
    }
    a->value[i] = value;
    a->ratio[i] = ratio;
}

/* Those that tuning may make the fastest. */
static void keep_algorithms(const tune_search *s, algorithms *a)
{
    size_t kept = 1;
    while (kept < a->n && !s->quick && a->ratio[kept] < too_slow * a->ratio[0])
        kept++;
    a->n = kept;
}

/* All algorithms, with the parameters as they are. */
static int order_algorithms(tune_search *s, algorithms *a, fault *f)
{
    tune_trial trials[TUNE_TOGETHER + 1];
    size_t at = 0;
    const tune_scope scope = {TUNE_OF_CONV2D, s->passes, hopelessly_slow};
    tune_times times = {0};
    int status = EXIT_FINE;
    add_algorithm(a, s->start.value[tune_choice()], 1);
    for (size_t n = 0; status == EXIT_FINE && n != 1;) {
        n = tune_take_values(s, tune_choice(), &at, &s->start, trials);
        size_t measured = n;
        if (n > 1)
            status = tune_measure_all(s, &scope, trials, &measured, tune_rounds(s), s->stopped, &times, f);
        for (size_t t = 1; t < n && status == EXIT_FINE; t++) {
            tune_verdict v = tune_no_verdict;
            if (trials[t].outcome == TUNE_FINE)
                status = tune_judge(&times, t, TUNE_OF_CONV2D, &v, f);
            tune_log_trial(s, tune_choice(), &trials[t], &v);
            s->failed[tune_choice()][trials[t].number] = trials[t].outcome != TUNE_FINE;
            if (trials[t].outcome == TUNE_FINE)
                add_algorithm(a, trials[t].setting.value[tune_choice()], v.ratio);
        }
    }
    tune_free_times(&times);
    keep_algorithms(s, a);
    s->searched[tune_choice()] = status == EXIT_FINE;
    return status == TUNE_STOPPED ? EXIT_FINE : status;
}

/* Without a choice: the one algorithm that reads all of the convolution's parameters that are wanted, rather the one
 * that AUTO takes. */
static int find_algorithm(const tune_search *s, algorithms *a, fault *f)
{
    const int *values = tune_values(s, tune_choice()), first = s->start.value[tune_choice()];
    unsigned common = ~0u;
    for (size_t p = 0; p < tune_n_parameters; p++)
        if (s->wanted[p] && tune_parameters[p].parts != TUNE_ROI)
            common &= tune_parameters[p].parts;
    if (common == ~0u) /* RoI pooling's alone */
        return EXIT_FINE;
    if (common & TUNE_PART(first))
        add_algorithm(a, first, 1);
    for (size_t i = 0; values[i] != TUNE_END && a->n == 0; i++)
        if (common & TUNE_PART(values[i]))
            add_algorithm(a, values[i], 1);
    return a->n > 0 ? EXIT_FINE
                    : fault_set(f, EXIT_INPUT,
                                "--parameters are of several algorithms, expected those of one, or conv2d_algorithm "
                                "too");
}

/* The candidate of that value. */
static size_t number_of(const tune_search *s, int algorithm)
{
    size_t i = 0;
    while (tune_values(s, tune_choice())[i] != algorithm && tune_values(s, tune_choice())[i] != TUNE_END)
        i++;
    return i;
}

/* With what has been found for each of them. The built-in one stays unless another one seems to be faster; what becomes
 * of that is seen at the end. */
static int choose_algorithm(tune_search *s, const algorithms *a, fault *f)
{
    tune_trial trials[TUNE_VALUES + 1] = {{.setting = s->best}};
    const tune_scope scope = {TUNE_OF_CONV2D, s->passes, hopelessly_slow};
    tune_verdict least = tune_no_verdict;
    size_t n = 1, promising = 0;
    for (size_t i = 0; i < a->n; i++)
        if (a->value[i] != s->best.value[tune_choice()])
            trials[n++] = (tune_trial){.setting = tune_with(&s->best, tune_choice(), a->value[i]),
                                       .number = number_of(s, a->value[i])};
    if (n == 1)
        return EXIT_FINE;
    s->n_candidates += n - 1;
    int status = tune_screen(s, &scope, tune_choice(), trials, n, TUNE_AGAIN * tune_rounds(s), &least, &promising,
                             s->aborted, f);
    if (status == EXIT_FINE && promising > 0) {
        s->best = trials[promising].setting;
        tune_say("%s=%d is looked at again", tune_parameters[tune_choice()].name, s->best.value[tune_choice()]);
    }
    return status;
}

/* ---- all of it ---- */

static int abort_search(fault *f)
{
    return fault_set(f, EXIT_DEVICE, "stopped; nothing was written");
}

/* The built-in parameters must do every row, and their time says what the end will take. */
static int look_at_start(tune_search *s, fault *f)
{
    tune_trial trial = {.setting = s->start};
    tune_times times = {0};
    const tune_scope scope = {s->operators, s->passes, 0};
    const double begin = timing_now();
    tune_say("checking the built-in parameters");
    int status = tune_measure_once(s, &scope, &trial, 1, 2, s->stopped, &times, f);
    s->reserve_ms = 3 * (timing_now() - begin);
    tune_free_times(&times);
    if (status != EXIT_FINE || trial.outcome == TUNE_FINE)
        return status;
    return fault_set(f, trial.outcome == TUNE_WRONG ? EXIT_MISMATCH : EXIT_DEVICE,
                     "the built-in parameters fail: %s: %s", tune_outcome_names[trial.outcome], trial.reason);
}

/* Of parameters of these parts. */
static size_t count_candidates(const tune_search *s, unsigned parts)
{
    size_t n = 0;
    for (size_t p = 0; p < tune_n_parameters; p++) {
        const int *values = tune_values(s, p);
        const unsigned of = tune_parameters[p].parts & parts;
        for (size_t i = 0; s->wanted[p] && tune_operators(of) & s->operators && values[i] != TUNE_END; i++)
            n += values[i] != s->start.value[p];
    }
    return n;
}

/* The fastest algorithm first, then RoI pooling, then the others: time may run out. */
static int search(tune_search *s, const algorithms *a, fault *f)
{
    int status = EXIT_FINE;
    unsigned parts = TUNE_ROI;
    for (size_t i = 0; i < a->n; i++)
        parts |= TUNE_PART(a->value[i]);
    s->n_candidates += count_candidates(s, parts);
    for (size_t i = 0; i < a->n || i == 0; i++) {
        if (i < a->n && status == EXIT_FINE)
            status = tune_part(s, TUNE_PART(a->value[i]), a->value[i], f);
        if (i == 0 && status == EXIT_FINE)
            status = tune_part(s, TUNE_ROI, 0, f);
    }
    return status;
}

int tune_run_search(tune_search *s, fault *f)
{
    algorithms a = {.n = 0};
    const int chooses = s->wanted[tune_choice()] && s->operators & TUNE_OF_CONV2D;
    s->best = s->start;
    int status = !chooses && s->operators & TUNE_OF_CONV2D ? find_algorithm(s, &a, f) : EXIT_FINE;
    if (status == EXIT_FINE)
        status = look_at_start(s, f);
    if (status == TUNE_STOPPED)
        return abort_search(f); /* nothing is known yet */
    if (s->until > 0)
        s->until -= s->reserve_ms;
    s->n_candidates = chooses ? count_candidates(s, TUNE_CHOICE) : 0;
    if (status == EXIT_FINE && chooses && !tune_is_over(s))
        status = order_algorithms(s, &a, f);
    if (status == EXIT_FINE)
        status = search(s, &a, f);
    if (status == EXIT_FINE && tune_is_over(s))
        tune_say("%s: the search is over", s->stopped() ? "stopped" : "no time is left");
    if (status == EXIT_FINE && chooses) {
        status = choose_algorithm(s, &a, f);
        tune_take_back_others(s);
    }
    if (status == EXIT_FINE)
        status = tune_look_at_all(s, chooses || a.n == 0 ? 0 : a.value[0], f);
    if (status == EXIT_FINE && s->aborted())
        status = TUNE_STOPPED;
    return status == TUNE_STOPPED ? abort_search(f) : status;
}

void tune_free_search(tune_search *s)
{
    tune_free_times(&s->last);
}
