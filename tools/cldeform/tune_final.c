/* tune_final.c: whether what was found is faster than the built-in parameters. */
#include "tune_search.h"

enum { LAST_LOOKS = 3 /* a part of it may have to be taken back */ };

/* Back to the built-in values of those that have changed and matter to one of the parts. */
static void take_back(tune_search *s, unsigned parts)
{
    for (size_t p = 0; p < tune_n_parameters; p++)
        if (tune_parameters[p].parts & parts)
            s->best.value[p] = s->start.value[p];
}

void tune_take_back_others(tune_search *s)
{
    const unsigned of = TUNE_PART(s->best.value[tune_choice()]) | TUNE_ROI | TUNE_CHOICE;
    for (size_t p = 0; p < tune_n_parameters; p++)
        if (!(tune_parameters[p].parts & of))
            s->best.value[p] = s->start.value[p];
}

/* Parts and passes of what has changed. */
static unsigned find_changes(const tune_search *s, unsigned *passes)
{
    unsigned parts = 0;
    *passes = 0;
    for (size_t p = 0; p < tune_n_parameters; p++)
        if (s->best.value[p] != s->start.value[p]) {
            parts |= tune_parameters[p].parts;
            *passes |= tune_parameters[p].passes;
        }
    *passes &= s->passes;
    return parts;
}

/* Takes back what the last comparison has not shown to be faster. *again: there is something left, which has not been
 * measured by itself. */
static int judge_all(tune_search *s, const tune_trial *found, size_t n, int *again, fault *f)
{
    static const unsigned operators[] = {TUNE_OF_CONV2D, TUNE_OF_ROI};
    const unsigned roi = TUNE_ROI;
    *again = 0;
    if (n < 2 || found->outcome != TUNE_FINE) {
        tune_say("what was found is not taken: %s: %s", tune_outcome_names[found->outcome], found->reason);
        take_back(s, ~0u);
        return EXIT_FINE;
    }
    int status = tune_judge(&s->last, 1, TUNE_OF_CONV2D | TUNE_OF_ROI, &s->verdict, f);
    if (status != EXIT_FINE)
        return status;
    tune_say("all together: %.3f of the built-in parameters' time (%.3f to %.3f)", s->verdict.ratio, s->verdict.low,
             s->verdict.high);
    if (!tune_wins(&s->verdict)) {
        take_back(s, ~0u);
        return EXIT_FINE;
    }
    for (int i = 0; i < 2 && status == EXIT_FINE; i++) {
        tune_verdict v;
        status = tune_judge(&s->last, 1, operators[i], &v, f);
        if (status == EXIT_FINE && v.low > 1) { /* the other one's gain hid it */
            take_back(s, operators[i] == TUNE_OF_ROI ? roi : ~roi);
            *again = 1;
        }
    }
    return status;
}

int tune_look_at_all(tune_search *s, int forced, fault *f)
{
    int status = EXIT_FINE, again = 1;
    for (int k = 0; k < LAST_LOOKS && status == EXIT_FINE && again; k++) {
        tune_trial trials[2] = {{.setting = s->start}, {.setting = s->best}};
        tune_scope scope = {0, 0, 0};
        size_t n = 2;
        scope.operators = tune_operators(find_changes(s, &scope.passes)) & s->operators;
        tune_free_times(&s->last);
        if (!scope.operators)
            return EXIT_FINE;
        if (forced)
            trials[0].setting.value[tune_choice()] = trials[1].setting.value[tune_choice()] = forced;
        tune_say("comparing what was found with the built-in parameters");
        status = tune_measure_all(s, &scope, trials, &n, TUNE_AGAIN * tune_rounds(s), s->aborted, &s->last, f);
        if (status == EXIT_FINE)
            status = judge_all(s, &trials[1], n, &again, f);
    }
    if (again)
        take_back(s, ~0u);
    return status;
}
