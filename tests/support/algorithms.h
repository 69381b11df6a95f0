/* The algorithms of a convolution: what one of them passes, all must. */
#ifndef TEST_ALGORITHMS_H
#define TEST_ALGORITHMS_H

#include "device.h"

/* What problems ask for that say nothing themselves (test_small_problem, test_shape_problem, test_conv_create): AUTO,
 * and while test_run_algorithms runs a test, the algorithm whose turn it is. */
extern cldeform_algorithm test_algorithm;

/* Whether the algorithm has kernels of its own for each kind, layout, border and tile. They take long to compile, so
 * that the usual run goes through fewer problems with it. */
bool test_is_specialised(void);

/* Whether a test goes through this one of several problems, from 0 on, that differ in what all algorithms do with the
 * same code. All of them with im2col and fused; with tiled, whose kernels take longest to compile, the usual run takes
 * the first. */
bool test_takes_variant(int number);

/* Whether a test goes through this kind, layout and rule of the border (indices). All of them with im2col; of the small
 * problem's, the usual run has half with fused and a third with tiled. */
bool test_takes_form(int kind, int layout, int rule);

/* Whether pieces of that size, several of them, leave a smaller one of the whole. */
bool test_has_rest(int64_t whole, int64_t piece);

/* Number of the tile that fused takes for rows of n numbers: 0 for 1, 1 for 2, 2 for 3 and 4, ... Kernels of another
 * tile are other kernels. */
int test_fused_tile(int64_t n);

/* Runs each test of `over` with every algorithm (with the extent TEST_PART not with tiled: test_tiled.c), as "TEST
 * (ALGORITHM)", then those of `once`, which choose for themselves (NULL: none); as cmocka_run_group_tests. */
int test_run_algorithms(const struct CMUnitTest *over, size_t n_over, const struct CMUnitTest *once, size_t n_once,
                        CMFixtureFunction open, CMFixtureFunction close);

/* For arrays. */
#define TEST_OVER_ALGORITHMS(over, open, close)                                                                        \
    test_run_algorithms(over, sizeof(over) / sizeof(over)[0], NULL, 0, open, close)
#define TEST_OVER_ALGORITHMS_AND_ONCE(over, once, open, close)                                                         \
    test_run_algorithms(over, sizeof(over) / sizeof(over)[0], once, sizeof(once) / sizeof(once)[0], open, close)

#endif
