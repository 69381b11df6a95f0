#include "algorithms.h"
#include "context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cldeform_algorithm test_algorithm = CLDEFORM_ALGORITHM_AUTO;

/* The test conv2d_problem finds it when one is missing here. */
static const struct {
    cldeform_algorithm id;
    const char *name;
} algorithms[] = {
    {CLDEFORM_ALGORITHM_IM2COL, "im2col"},
    {CLDEFORM_ALGORITHM_FUSED, "fused"},
    {CLDEFORM_ALGORITHM_TILED, "tiled"},
};
enum { ALGORITHMS = sizeof algorithms / sizeof algorithms[0] };

bool test_takes_form(int kind, int layout, int rule)
{
    if (device.extent == TEST_ALL)
        return true;
    switch (test_algorithm) {
    case CLDEFORM_ALGORITHM_FUSED:
        return (kind + layout + rule) % 2 == 1;
    case CLDEFORM_ALGORITHM_TILED:
        return (kind + layout + rule) % 3 == 1;
    default:
        return true;
    }
}

bool test_is_specialised(void)
{
    return test_algorithm == CLDEFORM_ALGORITHM_FUSED || test_algorithm == CLDEFORM_ALGORITHM_TILED;
}

bool test_takes_variant(int number)
{
    return number == 0 || device.extent == TEST_ALL || test_algorithm != CLDEFORM_ALGORITHM_TILED;
}

bool test_has_rest(int64_t whole, int64_t piece)
{
    return piece < whole && whole % piece != 0;
}

int test_fused_tile(int64_t n)
{
    int tile = 0;
    while ((int64_t)1 << tile < n && tile < 4)
        tile++;
    return tile;
}

/* A test and the algorithm that it runs with. */
typedef struct turn {
    const struct CMUnitTest *test;
    cldeform_algorithm algorithm;
    char name[100];
} turn;
static const turn *now;

static int begin(void **state)
{
    now = *state;
    test_algorithm = now->algorithm;
    *state = now->test->initial_state;
    return now->test->setup_func ? now->test->setup_func(state) : 0;
}

static int end(void **state)
{
    const int status = now->test->teardown_func ? now->test->teardown_func(state) : 0;
    test_algorithm = CLDEFORM_ALGORITHM_AUTO;
    return status;
}

/* Every device takes im2col; fused is not for those that end long loops. */
static void run_turn(void **state)
{
    if (now->algorithm == CLDEFORM_ALGORITHM_FUSED && device.context->facts.loop_limit)
        skip();
    now->test->test_func(state);
}

int test_run_algorithms(const struct CMUnitTest *over, size_t n_over, const struct CMUnitTest *once, size_t n_once,
                        CMFixtureFunction open, CMFixtureFunction close)
{
    size_t n = 0;
    struct CMUnitTest *tests = calloc(n_over * ALGORITHMS + n_once + 1, sizeof *tests);
    turn *turns = calloc(n_over * ALGORITHMS + 1, sizeof *turns);
    if (!tests || !turns) {
        free(tests);
        free(turns);
        return 1;
    }
    /* on a second implementation test_tiled.c is enough: its kernels take longest to compile */
    const char *extent = getenv("CLDEFORM_TEST_EXTENT");
    const size_t last = extent && strcmp(extent, "part") == 0 ? ALGORITHMS - 1 : ALGORITHMS;
    for (size_t a = 0; a < last; a++)
        for (size_t i = 0; i < n_over; i++, n++) {
            turns[n].test = &over[i];
            turns[n].algorithm = algorithms[a].id;
            snprintf(turns[n].name, sizeof turns[n].name, "%s (%s)", over[i].name, algorithms[a].name);
            tests[n] = (struct CMUnitTest){turns[n].name, run_turn, begin, end, &turns[n]};
        }
    for (size_t i = 0; i < n_once; i++)
        tests[n++] = once[i];
    const int failed = _cmocka_run_group_tests("tests", tests, n, open, close);
    free(turns);
    free(tests);
    return failed;
}
