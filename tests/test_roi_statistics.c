/* Levels that RoIs are assigned to, and what is counted of them, against plain computations on the host. */
#include "roi_shapes.h"
#include "cldeform/cldeform_ref.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static cldeform_roi_pool_problem problem_of(int64_t levels, int64_t max_rois)
{
    cldeform_roi_pool_problem p = test_roi_problem_of("4 levels, adaptive", false, false, max_rois);
    p.passes = CLDEFORM_STATISTICS;
    for (int64_t l = 0; l < levels; l++)
        p.level[l] = (cldeform_roi_level){9, 8, 0.25 / (double)(1 << l)};
    p.levels = levels;
    p.canonical_size = 0; /* 224 */
    p.canonical_level = levels > 2 ? 2 : 0;
    return p;
}

/* ---- levels -------------------------------------------------------------------------------------------- */

static void assign(const test_roi *roi, bool strided, double *found)
{
    cldeform_roi_pool *pool = NULL;
    const test_run run = {.strided = strided};
    test_guarded rois = test_guarded_of("rois", roi->sizes.roi_dtype, &roi->tensor[TEST_ROI_ROIS].shape, roi->n, &run);
    const cldeform_shape shape = {.elements = roi->n};
    test_guarded level = test_guarded_of("level", CLDEFORM_F32, &shape, roi->n, &run);
    cl_event done = NULL;
    level.whole = true;
    test_guarded_create(&device, &rois, roi->tensor[TEST_ROI_ROIS].values, CL_MEM_READ_ONLY);
    test_guarded_create(&device, &level, NULL, CL_MEM_WRITE_ONLY);
    const cldeform_tensor from = test_guarded_tensor(&rois), to = test_guarded_tensor(&level);
    assert_ok(cldeform_roi_pool_create(device.context, &roi->problem, &pool));
    assert_ok(cldeform_roi_pool_assign_levels(pool, device.queue, roi->n, &from, &to, 0, NULL, &done));
    assert_cl(clWaitForEvents(1, &done));
    assert_cl(clReleaseEvent(done));
    test_guarded_check(&rois, device.queue, 0, 0);
    test_guarded_check(&level, device.queue, 0, (size_t)roi->n);
    test_guarded_values(&level, found);
    test_guarded_destroy(&rois);
    test_guarded_destroy(&level);
    cldeform_roi_pool_destroy(pool);
}

/* expected NULL: what the reference gives. */
static void check_levels(const test_roi *roi, bool strided, const int *expected)
{
    double *found = malloc(((size_t)roi->n + 1) * sizeof *found);
    int32_t *level = malloc(((size_t)roi->n + 1) * sizeof *level);
    assert_non_null(found);
    assert_non_null(level);
    assert_ok(cldeform_ref_roi_pool_assign_levels(&roi->problem, roi->n, roi->tensor[TEST_ROI_ROIS].values, level));
    assign(roi, strided, found);
    for (int64_t r = 0; r < roi->n; r++) {
        const double *at = &roi->tensor[TEST_ROI_ROIS].values[5 * r];
        if (expected && level[r] != expected[r])
            fail_msg("RoI %lld (%g, %g, %g, %g): the reference gives level %d, not %d", (long long)r, at[1], at[2],
                     at[3], at[4], (int)level[r], expected[r]);
        if (found[r] != level[r])
            fail_msg("RoI %lld (%.9g, %.9g, %.9g, %.9g) is of level %g; it must be %d", (long long)r, at[1], at[2],
                     at[3], at[4], found[r], (int)level[r]);
    }
    free(found);
    free(level);
}

/* At, just below and just above the threshold of each level: a side of 224 is level 2, one of 448 level 3. */
static void thresholds(void **state)
{
    (void)state;
    const cldeform_roi_pool_problem problem = problem_of(5, 40);
    static const struct {
        double x1, y1, x2, y2;
        int level;
    } rois[] = {
        {10, 20, 234, 244, 2},
        {10, 20, 233.9999, 244, 1},
        {10, 20, 234.0001, 244, 2},
        {-112, -112, 112, 112, 2},
        {0, 0, 448, 448, 3},
        {0, 0, 448, 447.9999, 2},
        {0, 0, 896, 224, 3},
        {0, 0, 895.999, 224, 2},
        {0, 0, 112, 112, 1},
        {0, 0, 112, 111.99999, 0},
        {0, 0, 896, 896, 4},
        {0, 0, 1792, 1792, 4},
        {0, 0, 1e9, 1e9, 4},
        {0, 0, 3e38, 3e38, 4},
        {0, 0, 56, 56, 0},
        {0, 0, 1, 1, 0},
        {5, 5, 5, 5, 0},
        {5, 5, 4, 900, 0},
        {900, 900, 0, 0, 0},
        {0, 900, 900, 0, 0},
        {-1e38, 0, 1e38, 1, 4},
        {NAN, 0, 500, 500, 0},
        {0, 0, INFINITY, 500, 0},
        {0, -INFINITY, 500, 500, 0},
        {0, 0, 500, NAN, 0},
        {0, 0, 1568, 32, 2},
        {0, 0, 1568, 31.99999, 1},
        {0.5, 0.5, 224.5, 224.5, 2},
        {1000, 1000, 1448, 1448, 3},
        {1e-30, 0, 3e38, 1e-37, 0},
    };
    enum { N = sizeof rois / sizeof rois[0] };
    int expected[N];
    for (int d = CLDEFORM_F32; d <= (device.fp64 ? CLDEFORM_F64 : CLDEFORM_F32); d++) {
        cldeform_roi_pool_problem typed = problem;
        test_roi roi;
        typed.roi_dtype = (cldeform_dtype)d;
        test_roi_create(&roi, &typed, N, false, TEST_EXACT, 1);
        for (int r = 0; r < N; r++) {
            test_roi_set(&roi, r, r % 3 - 1, rois[r].x1, rois[r].y1, rois[r].x2, rois[r].y2);
            expected[r] = rois[r].level;
        }
        check_levels(&roi, false, expected);
        check_levels(&roi, true, expected);
        test_roi_destroy(&roi);
    }
}

/* Any number of levels, sizes and canonical levels: the thresholds themselves, and sizes all over. */
static void every_rule(void **state)
{
    (void)state;
    static const double sizes[] = {224, 56, 37.3, 0.1, 1e6, 200};
    uint32_t seed = 3;
    for (int64_t levels = 1; levels <= CLDEFORM_MAX_LEVELS; levels++) {
        for (int64_t canonical = 0; canonical < levels; canonical += 1 + levels / 3) {
            cldeform_roi_pool_problem problem = problem_of(levels, 101);
            test_roi roi;
            problem.canonical_level = canonical;
            problem.canonical_size = sizes[(levels + canonical) % 6];
            test_roi_create(&roi, &problem, 101, false, TEST_RANDOM, seed);
            for (int r = 0; r < 101; r++) {
                const double side = problem.canonical_size * exp2(r < 40 ? r % 20 - 10 : test_uniform(&seed, -9, 9));
                const double shape = r < 20 ? 1 : r < 40 ? 4 : exp2(test_uniform(&seed, -2, 2));
                const double x = r < 40 ? 0 : test_uniform(&seed, -100, 100);
                test_roi_set(&roi, r, 0, x, 2 * x, x + side * shape, 2 * x + side / shape);
            }
            check_levels(&roi, levels % 2, NULL);
            test_roi_destroy(&roi);
        }
    }
}

static void no_rois(void **state)
{
    (void)state;
    const cldeform_roi_pool_problem problem = problem_of(3, 5);
    test_roi roi;
    test_roi_create(&roi, &problem, 0, false, TEST_EXACT, 1);
    check_levels(&roi, false, NULL);
    test_roi_destroy(&roi);
}

/* The level that forward takes where none is given is the one that is assigned. */
static void forward_takes_them(void **state)
{
    (void)state;
    cldeform_roi_pool_problem problem = test_roi_problem_of("3 levels", true, true, 60);
    double level[60];
    test_roi by_rule, given;
    int used[3] = {0};
    test_roi_create(&by_rule, &problem, 60, false, TEST_RANDOM, 71);
    by_rule.problem.passes = CLDEFORM_STATISTICS;
    assign(&by_rule, false, level);
    by_rule.problem.passes = 0;
    test_roi_create(&given, &problem, 60, true, TEST_RANDOM, 71);
    for (int i = 0; i < TEST_ROI_OUTPUT; i++)
        if (by_rule.tensor[i].present)
            memcpy(given.tensor[i].values, by_rule.tensor[i].values,
                   (size_t)given.tensor[i].shape.elements * sizeof(double));
    for (int r = 0; r < 60; r++) {
        given.tensor[TEST_ROI_LEVEL].values[r] = level[r];
        used[(int)level[r]]++;
    }
    assert_true(used[0] > 2 && used[1] > 2 && used[2] > 2);
    test_roi_found a = test_roi_run(&device, &by_rule, TEST_ROI_FORWARD, &(test_run){0});
    test_roi_found b = test_roi_run(&device, &given, TEST_ROI_FORWARD, &(test_run){0});
    test_roi_same(&given, &a, &b);
    test_roi_found_free(&a);
    test_roi_found_free(&b);
    test_roi_destroy(&by_rule);
    test_roi_destroy(&given);
}

/* ---- statistics ---------------------------------------------------------------------------------------- */

enum { GUARD = 3 * sizeof(cldeform_roi_statistics), FILL = 0xa5 };

static cldeform_roi_statistics measure(const test_roi *roi, bool strided)
{
    unsigned char bytes[GUARD + sizeof(cldeform_roi_statistics) + GUARD], fill[GUARD];
    cldeform_roi_statistics found;
    cldeform_roi_pool *pool = NULL;
    cldeform_roi_pool_tensors tensors = CLDEFORM_INIT(cldeform_roi_pool_tensors);
    const test_run run = {.strided = strided};
    test_guarded guards[2];
    cl_event done = NULL;
    memset(bytes, FILL, sizeof bytes);
    memset(fill, FILL, sizeof fill);
    for (int i = 0; i < 2; i++) {
        const test_roi_tensor *t = &roi->tensor[i ? TEST_ROI_LEVEL : TEST_ROI_ROIS];
        if (!t->present)
            continue;
        guards[i] =
            test_guarded_of(test_roi_names[i ? TEST_ROI_LEVEL : TEST_ROI_ROIS], t->dtype, &t->shape, roi->n, &run);
        guards[i].whole = t->whole;
        test_guarded_create(&device, &guards[i], t->values, CL_MEM_READ_ONLY);
        *test_roi_slot(&tensors, NULL, i ? TEST_ROI_LEVEL : TEST_ROI_ROIS) = test_guarded_tensor(&guards[i]);
    }
    const cldeform_tensor result = {test_buffer_create(sizeof bytes, bytes), 3, 0};
    assert_ok(cldeform_roi_pool_create(device.context, &roi->problem, &pool));
    assert_ok(cldeform_roi_pool_statistics(pool, device.queue, roi->n, &tensors, &result, 0, NULL, &done));
    assert_cl(clWaitForEvents(1, &done));
    assert_cl(clReleaseEvent(done));
    assert_cl(clEnqueueReadBuffer(device.queue, result.buffer, CL_TRUE, 0, sizeof bytes, bytes, 0, NULL, NULL));
    assert_memory_equal(bytes, fill, GUARD);
    assert_memory_equal(bytes + GUARD + sizeof found, fill, GUARD);
    memcpy(&found, bytes + GUARD, sizeof found);
    for (int i = 0; i < 2; i++) {
        if (!roi->tensor[i ? TEST_ROI_LEVEL : TEST_ROI_ROIS].present)
            continue;
        test_guarded_check(&guards[i], device.queue, 0, 0);
        test_guarded_destroy(&guards[i]);
    }
    assert_cl(clReleaseMemObject(result.buffer));
    cldeform_roi_pool_destroy(pool);
    return found;
}

static cldeform_roi_statistics expect(const test_roi *roi)
{
    cldeform_roi_statistics s = {.rois = (uint64_t)roi->n};
    for (int64_t r = 0; r < roi->n; r++) {
        const double *at = &roi->tensor[TEST_ROI_ROIS].values[5 * r];
        const double level = roi->tensor[TEST_ROI_LEVEL].present ? roi->tensor[TEST_ROI_LEVEL].values[r] : 0;
        s.bad_batch += !(at[0] >= 0 && at[0] < (double)roi->problem.batch && at[0] == floor(at[0]));
        s.bad_level += level < 0 || level >= (double)roi->sizes.levels;
        s.not_finite += !(isfinite(at[1]) && isfinite(at[2]) && isfinite(at[3]) && isfinite(at[4]));
        s.inverted += at[3] < at[1] || at[4] < at[2];
    }
    return s;
}

static void check_statistics(const test_roi *roi, bool strided)
{
    const cldeform_roi_statistics found = measure(roi, strided), expected = expect(roi);
    assert_int_equal(found.rois, expected.rois);
    assert_int_equal(found.bad_batch, expected.bad_batch);
    assert_int_equal(found.bad_level, expected.bad_level);
    assert_int_equal(found.not_finite, expected.not_finite);
    assert_int_equal(found.inverted, expected.inverted);
}

/* Each kind of wrong RoI alone, so that counts cannot be mixed up; then all of it. */
static void counts(void **state)
{
    (void)state;
    static const struct {
        double image, x1, y1, x2, y2, level;
    } wrong[] = {
        {0, 1, 2, 3, 4, 0},         {3, 1, 2, 3, 4, 0},        {-1, 1, 2, 3, 4, 0},       {0.5, 1, 2, 3, 4, 0},
        {NAN, 1, 2, 3, 4, 0},       {INFINITY, 1, 2, 3, 4, 0}, {0, 1, 2, 3, 4, -1},       {0, 1, 2, 3, 4, 3},
        {0, 1, 2, 3, 4, INT32_MIN}, {0, NAN, 2, 3, 4, 0},      {0, 1, INFINITY, 3, 4, 0}, {0, 1, 2, -INFINITY, 4, 0},
        {0, 1, 2, 3, NAN, 0},       {0, 3, 2, 1, 4, 0},        {0, 1, 4, 3, 2, 0},        {2, 3, 4, 1, 2, 2},
        {0, 1, 2, 1, 2, 0},         {2, 1, 2, 3, 1e30, 1},     {-0.0, 1, 2, 3, 4, 0},     {1e30, NAN, 2, 1, 1, 7},
    };
    enum { KINDS = sizeof wrong / sizeof wrong[0] };
    cldeform_roi_pool_problem problem = problem_of(3, 1000);
    problem.batch = 3;
    for (int kind = 0; kind <= KINDS; kind++) {
        test_roi roi;
        const int n = kind < KINDS ? 1 + kind % 3 : 1000;
        test_roi_create(&roi, &problem, n, kind % 2 == 0, TEST_RANDOM, 1);
        for (int r = 0; r < n; r++) {
            const int k = kind < KINDS ? kind : (int)((unsigned)r * 7 % KINDS);
            test_roi_set(&roi, r, wrong[k].image, wrong[k].x1, wrong[k].y1, wrong[k].x2, wrong[k].y2);
            if (roi.tensor[TEST_ROI_LEVEL].present)
                roi.tensor[TEST_ROI_LEVEL].values[r] = wrong[k].level;
        }
        check_statistics(&roi, kind % 3 == 0);
        test_roi_destroy(&roi);
    }
}

/* More than one work-item's, less than a group's, none. */
static void any_number(void **state)
{
    (void)state;
    static const int64_t numbers[] = {0, 1, 2, 15, 16, 17, 63, 65, 255, 257, 5000};
    cldeform_roi_pool_problem problem = problem_of(2, 5000);
    for (int i = 0; i < 11; i++) {
        test_roi roi;
        problem.roi_dtype = i % 2 && device.fp64 ? CLDEFORM_F64 : CLDEFORM_F32;
        test_roi_create(&roi, &problem, numbers[i], i % 3 > 0, TEST_RANDOM, 5);
        check_statistics(&roi, i % 2);
        test_roi_destroy(&roi);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thresholds),         cmocka_unit_test(every_rule), cmocka_unit_test(no_rois),
        cmocka_unit_test(forward_takes_them), cmocka_unit_test(counts),     cmocka_unit_test(any_number),
    };
    return cmocka_run_group_tests(tests, test_open_device, test_close_device);
}
