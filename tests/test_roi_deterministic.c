/* The same bits: from run to run, on every queue, at every workspace, and for a RoI whatever the others of the call
 * are. */
#include "roi_shapes.h"

#include <stdlib.h>
#include <string.h>

enum { PROBLEMS = 5 };

/* One of each method, whose RoIs meet often; and one of a larger map, whose RoIs are worked on in another order. */
static cldeform_roi_pool_problem problem_of(int i, int64_t max_rois)
{
    static const char *const names[] = {"3 levels", "PS 2 levels, 2 classes", "PS cells, group 2, 3 levels",
                                        "max 2 levels", "75x101"};
    const bool samples = i != 2 && i != 3;
    cldeform_roi_pool_problem problem = test_roi_problem_of(names[i], samples, samples, max_rois);
    problem.layout = i % 2 ? CLDEFORM_NHWC : CLDEFORM_NCHW;
    return problem;
}

static const test_roi_pass passes[] = {TEST_ROI_FORWARD, TEST_ROI_BACKWARD};

static void expect_same(const test_roi *roi, const test_roi_found *expected, test_roi_pass pass, const test_run *run)
{
    test_roi_found found = test_roi_run(&device, roi, pass, run);
    test_roi_same(roi, &found, expected);
    test_roi_found_free(&found);
}

/* All queues, all workspaces from the minimum on, all limits from it on; the last runs are the same again. */
static void in_any_way(void **state)
{
    (void)state;
    for (int i = 0; i < PROBLEMS; i++) {
        const cldeform_roi_pool_problem problem = problem_of(i, 53);
        test_roi roi;
        test_roi_create(&roi, &problem, 53, false, TEST_RANDOM, 61);
        test_roi_reference(&roi);
        for (int p = 0; p < 2; p++) {
            const cldeform_passes asked = p ? roi.sizes.gradients : CLDEFORM_FORWARD;
            size_t minimum = 0, preferred = 0;
            cldeform_roi_pool *pool = NULL;
            int32_t answer = -1;
            cldeform_roi_pool_problem with = problem;
            with.passes = CLDEFORM_FORWARD | CLDEFORM_BACKWARD;
            assert_ok(cldeform_roi_pool_create(device.context, &with, &pool));
            assert_ok(cldeform_roi_pool_workspace_size(pool, asked, &minimum, &preferred));
            assert_ok(cldeform_roi_pool_is_deterministic(pool, asked, &answer));
            assert_int_equal(answer, 1);
            assert_true(minimum <= preferred);
            cldeform_roi_pool_destroy(pool);

            test_roi_found expected = test_roi_run(&device, &roi, passes[p], &(test_run){0});
            for (int step = 0; step <= 6; step++) {
                const size_t bytes = minimum + (preferred + 5000 - minimum) * (size_t)step / 6;
                test_run run = {.workspace = bytes > 0, .workspace_bytes = bytes, .strided = step % 2};
                expect_same(&roi, &expected, passes[p], &run);
                run.queue = device.out_of_order;
                if (run.queue && step % 3 == 0)
                    expect_same(&roi, &expected, passes[p], &run);
            }
            for (int repeat = 0; repeat < 6; repeat++)
                expect_same(&roi, &expected, passes[p], &(test_run){.queue = repeat % 2 ? device.out_of_order : NULL});
            /* a limit changes nothing, and below the minimum it is refused */
            roi.problem.deterministic = 1;
            for (int step = 0; step <= 2 && minimum > 0; step++) {
                roi.problem.workspace_limit = minimum + (preferred - minimum) * (size_t)step / 2;
                expect_same(&roi, &expected, passes[p], &(test_run){.minimal = true});
                expect_same(&roi, &expected, passes[p], &(test_run){.minimal = true, .workspace = true});
            }
            roi.problem.workspace_limit = 0;
            roi.problem.deterministic = 0;
            if (minimum > 1) {
                with.passes = asked;
                with.workspace_limit = minimum - 1;
                assert_status(cldeform_roi_pool_create(device.context, &with, &pool), CLDEFORM_LIMIT, "minimum");
                assert_null(pool);
            }
            test_roi_found_free(&expected);
        }
        test_roi_destroy(&roi);
    }
}

/* What belongs to a RoI does not depend on the others, on how many there may be, nor on its place among them; with the
 * gradient of the input it is the order of the sum that does not depend on what other levels and images have. */
static void whatever_the_others(void **state)
{
    (void)state;
    static const int by_roi[] = {TEST_ROI_OUTPUT, TEST_ROI_ARGMAX, TEST_ROI_GRAD_OFFSET, TEST_ROI_GRAD_MASK};
    for (int i = 0; i < PROBLEMS; i++) {
        cldeform_roi_pool_problem problem = problem_of(i, 37);
        test_roi roi;
        test_roi_create(&roi, &problem, 37, i % 2, TEST_RANDOM, 62);
        test_roi_reference(&roi);
        for (int p = 0; p < 2; p++) {
            test_roi_found all = test_roi_run(&device, &roi, passes[p], &(test_run){0});
            static const struct {
                int64_t first, step, n, max;
            } parts[] = {{0, 1, 1, 37}, {36, 1, 1, 1}, {5, 1, 1, 1}, {36, -1, 37, 40}, {3, 7, 5, 1000}, {0, 1, 36, 36}};
            for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
                test_roi part;
                test_roi whole = roi;
                whole.problem.max_rois = parts[k].max;
                test_roi_take(&whole, parts[k].first, parts[k].step, parts[k].n, &part);
                test_roi_found found = test_roi_run(&device, &part, passes[p], &(test_run){0});
                for (int t = 0; t < 4; t++) {
                    const int64_t row = part.tensor[by_roi[t]].shape.elements / parts[k].n;
                    for (int64_t r = 0; found.values[by_roi[t]] && r < parts[k].n; r++)
                        assert_memory_equal(found.values[by_roi[t]] + r * row,
                                            all.values[by_roi[t]] + (parts[k].first + r * parts[k].step) * row,
                                            (size_t)row * sizeof(double));
                }
                test_roi_found_free(&found);
                test_roi_destroy(&part);
            }
            test_roi_found_free(&all);
        }
        test_roi_destroy(&roi);
    }
}

/* 0, 1, 37 and 1000 RoIs on one object: the first ones' results are the same. */
static void any_number(void **state)
{
    (void)state;
    static const int64_t counts[] = {1000, 0, 1, 37, 999};
    for (int i = 0; i < PROBLEMS; i++) {
        const cldeform_roi_pool_problem problem = problem_of(i, 1000);
        test_roi roi;
        test_roi_found first = {{NULL}};
        test_roi_create(&roi, &problem, 1000, false, TEST_RANDOM, 63);
        test_roi_reference(&roi);
        for (int c = 0; c < 5; c++) {
            test_roi part;
            test_roi_take(&roi, 0, 1, counts[c], &part);
            test_roi_found found = test_roi_run(&device, &part, TEST_ROI_FORWARD, &(test_run){.workspace = c % 2});
            if (c == 0) {
                test_roi_compare(&roi, &found, 0, false);
                test_roi_check(&device, &roi, TEST_ROI_BACKWARD, &(test_run){.workspace = i % 2}, false);
                first = found;
            } else {
                test_roi_same(&part, &found, &first); /* as many elements as the part has */
                test_roi_found_free(&found);
            }
            test_roi_destroy(&part);
        }
        test_roi_found_free(&first);
        test_roi_destroy(&roi);
    }
}

/* Filled up with batch index -1, as where the device alone knows how many there are, it is the same call. */
static void filled_up(void **state)
{
    (void)state;
    for (int i = 0; i < PROBLEMS; i++) {
        const cldeform_roi_pool_problem problem = problem_of(i, 40);
        test_roi some, full;
        test_roi_create(&full, &problem, 40, false, TEST_RANDOM, 64);
        for (int r = 25; r < 40; r++)
            test_roi_set(&full, r, -1, 0, 0, 50, 50);
        test_roi_reference(&full);
        test_roi_take(&full, 0, 1, 25, &some);
        for (int p = 0; p < 2; p++) {
            test_roi_found a = test_roi_run(&device, &some, passes[p], &(test_run){0});
            test_roi_found b = test_roi_run(&device, &full, passes[p], &(test_run){0});
            test_roi_same(&some, &a, &b);
            for (int t = TEST_ROI_OUTPUT; t < TEST_ROI_TENSORS; t++) {
                const int64_t from = some.tensor[t].shape.elements;
                for (int64_t e = from; b.values[t] && e < full.tensor[t].shape.elements; e++)
                    assert_true(b.values[t][e] == (t == TEST_ROI_ARGMAX ? -1 : 0));
            }
            test_roi_found_free(&a);
            test_roi_found_free(&b);
        }
        test_roi_destroy(&some);
        test_roi_destroy(&full);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_any_way),
        cmocka_unit_test(whatever_the_others),
        cmocka_unit_test(any_number),
        cmocka_unit_test(filled_up),
    };
    return cmocka_run_group_tests(tests, test_open_device, test_close_device);
}
