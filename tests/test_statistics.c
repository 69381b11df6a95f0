/* Offset statistics against a plain computation on the host. */
#include "offsets.h"

#include <float.h>
#include <math.h>
#include <string.h>

static void check(const cldeform_conv2d_problem *problem, test_offset_data kind, const test_statistics_run *how)
{
    test_offsets o = test_offsets_create(problem, kind);
    const cldeform_offset_statistics found = test_statistics_measure(&o, how), expected = test_statistics_expect(&o);
    test_statistics_compare(&found, &expected);
    test_offsets_destroy(&o);
}

static void every_layout_border_and_limit(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = test_statistics_problem();
    static const double limits[] = {0, 3.25, 1e-3};
    for (int layout = 0; layout <= CLDEFORM_OFFSET_YX_LAST; layout++)
        for (int border = 0; border <= CLDEFORM_BORDER_EDGE; border++)
            for (size_t limit = 0; limit < sizeof limits / sizeof limits[0]; limit++)
                for (int kind = TEST_QUARTERS; kind <= TEST_NO_NUMBER; kind++) {
                    problem.offset_layout = (cldeform_offset_layout)layout;
                    problem.border = (cldeform_border)border;
                    problem.offset_limit = limits[limit];
                    check(&problem, (test_offset_data)kind, &(test_statistics_run){.strided = kind % 2});
                }
}

static void every_type(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = test_statistics_problem();
    for (int data = CLDEFORM_F16; data <= CLDEFORM_F64; data++)
        for (int dtype = CLDEFORM_F16; dtype <= CLDEFORM_F64; dtype++)
            for (int kind = TEST_QUARTERS; kind <= TEST_NO_NUMBER; kind++) {
                if ((data == CLDEFORM_F64 || dtype == CLDEFORM_F64) && !device.fp64)
                    continue;
                problem.dtype = (cldeform_dtype)data;
                problem.offset_dtype = (cldeform_dtype)dtype;
                problem.offset_limit = kind == TEST_MIXED ? 4.5 : 0;
                check(&problem, (test_offset_data)kind, &(test_statistics_run){.strided = true});
            }
}

/* Doubles that no float holds are finite, and far outside; at a limit they are inside with double data. */
static void doubles_beyond_float(void **state)
{
    (void)state;
    if (!device.fp64)
        skip();
    cldeform_conv2d_problem problem = test_statistics_problem();
    problem.offset_dtype = CLDEFORM_F64;
    for (int data = CLDEFORM_F32; data <= CLDEFORM_F64; data++)
        for (int limited = 0; limited < 2; limited++) {
            problem.dtype = (cldeform_dtype)data;
            problem.offset_limit = limited ? 1 : 0;
            test_offsets o = test_offsets_create(&problem, TEST_QUARTERS);
            o.values[7] = 1e39;
            o.values[1001] = -DBL_MAX;
            const cldeform_offset_statistics found = test_statistics_measure(&o, &(test_statistics_run){0}),
                                             expected = test_statistics_expect(&o);
            assert_true(isinf(found.max_magnitude) && isinf(found.mean_magnitude));
            assert_int_equal(found.infinite, 0);
            test_statistics_compare(&found, &expected);
            o.values[1001] = 0; /* the largest magnitude is infinite in float, the mean is not */
            const cldeform_offset_statistics again = test_statistics_measure(&o, &(test_statistics_run){0}),
                                             less = test_statistics_expect(&o);
            assert_true(isinf(again.max_magnitude) && isfinite(again.mean_magnitude));
            test_statistics_compare(&again, &less);
            test_offsets_destroy(&o);
        }
}

/* Border positions to the last bit: what is judged as sum in floating point gets these wrong. */
static void next_to_the_border(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
    problem.kind = CLDEFORM_CONV2D_DEFORMABLE;
    problem.passes = CLDEFORM_STATISTICS;
    problem.batch = 1, problem.in_channels = 1, problem.in_h = 7, problem.in_w = 9;
    problem.kernel_h = problem.kernel_w = problem.groups = problem.offset_groups = 1;
    problem.stride_h = problem.stride_w = problem.dilation_h = problem.dilation_w = 1;
    static const struct {
        double dy; /* of the last row */
        uint64_t outside[2];
    } rows[] = {{0, {0, 0}},          {0.99999994, {0, 0}}, {1, {1, 1}}, {-6, {0, 0}},
                {-6.0000005, {0, 1}}, {-6.9999995, {0, 1}}, {-7, {1, 1}}};
    for (int border = 0; border < 2; border++)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            problem.border = (cldeform_border)border;
            test_offsets o = test_offsets_create(&problem, TEST_QUARTERS);
            memset(o.values, 0, o.image * sizeof *o.values);
            o.values[test_offset_place(&o, 0, 0, 0, 6 * 9 + 4)] = rows[i].dy;
            assert_int_equal(test_statistics_measure(&o, &(test_statistics_run){0}).outside, rows[i].outside[border]);
            test_offsets_destroy(&o);
        }
}

/* More samples than parts: runs that a float sum could not hold, and the parts' sums. */
static void long_sums_lose_nothing(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = test_statistics_problem();
    problem.in_h = 101;
    problem.in_w = 230;
    problem.pad_left = 0;
    problem.pad_right = 0;
    for (int kind = TEST_QUARTERS; kind <= TEST_ABSORBED; kind++)
        check(&problem, (test_offset_data)kind, &(test_statistics_run){0});
    test_offsets o = test_offsets_create(&problem, TEST_LARGEST);
    for (size_t i = 0; i < o.image * (size_t)problem.batch; i++)
        o.values[i] = FLT_MAX;
    const cldeform_offset_statistics found = test_statistics_measure(&o, &(test_statistics_run){0});
    assert_true(found.mean_magnitude == FLT_MAX && found.max_magnitude == FLT_MAX);
    test_offsets_destroy(&o);
}

static void empty_batches_and_no_numbers_give_zeros(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = test_statistics_problem();
    problem.batch = 0;
    test_offsets o = test_offsets_create(&problem, TEST_QUARTERS);
    const cldeform_offset_statistics zero = {0}, found = test_statistics_measure(&o, &(test_statistics_run){0});
    assert_memory_equal(&found, &zero, sizeof zero);
    test_offsets_destroy(&o);

    /* no offset tensor is needed */
    cldeform_conv2d *conv = NULL;
    cldeform_offset_statistics again;
    const cldeform_tensor none = {NULL, 0, 0}, result = {test_result_create(), 3, 0};
    assert_ok(cldeform_conv2d_create(device.context, &problem, &conv));
    assert_ok(cldeform_conv2d_offset_statistics(conv, device.queue, &none, &result, NULL, 0, NULL, NULL));
    assert_true(test_result_read(device.queue, result.buffer, &again));
    assert_memory_equal(&again, &zero, sizeof zero);
    assert_cl(clReleaseMemObject(result.buffer));
    cldeform_conv2d_destroy(conv);

    problem.batch = 2;
    o = test_offsets_create(&problem, TEST_NO_NUMBER);
    const cldeform_offset_statistics all = test_statistics_measure(&o, &(test_statistics_run){0});
    assert_int_equal(all.outside, all.samples);
    assert_int_equal(all.nan + all.infinite, 2 * all.samples);
    assert_true(all.nan > 0 && all.infinite > all.nan);
    assert_true(all.mean_magnitude == 0 && all.max_magnitude == 0);
    test_offsets_destroy(&o);
}

/* The same bits twice, with any workspace, on both kinds of queues, with other work-groups and indices. */
static void the_same_bits_however_it_runs(void **state)
{
    (void)state;
    cldeform_conv2d_problem problem = test_statistics_problem();
    problem.in_h = 61;
    cldeform_context *groups = test_tuned_context(&device, "\"\" im2col_group=7"),
                     *indices = test_tuned_context(&device, "\"\" long_index=1");
    const test_statistics_run runs[] = {{0},
                                        {.workspace_beyond = 1},
                                        {.workspace_beyond = 1 << 20},
                                        {.queue = device.out_of_order},
                                        {.queue = device.out_of_order, .workspace_beyond = 1000},
                                        {.strided = true},
                                        {.context = groups},
                                        {.context = indices, .strided = true}};
    for (int layout = CLDEFORM_OFFSET_YX; layout <= CLDEFORM_OFFSET_YX_LAST; layout += CLDEFORM_OFFSET_YX_LAST) {
        problem.offset_layout = (cldeform_offset_layout)layout;
        test_offsets o = test_offsets_create(&problem, TEST_MIXED);
        for (size_t i = 0; i < o.image * (size_t)problem.batch; i++) /* sums that are not exact */
            o.values[i] = isfinite(o.values[i]) ? (double)(float)(o.values[i] / 3) : o.values[i];
        const cldeform_offset_statistics expected = test_statistics_expect(&o),
                                         first = test_statistics_measure(&o, &runs[0]);
        test_statistics_compare(&first, &expected);
        for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
            const cldeform_offset_statistics found = test_statistics_measure(&o, &runs[i]);
            assert_memory_equal(&found, &first, sizeof found);
        }
        test_offsets_destroy(&o);
    }
    cldeform_context_destroy(groups);
    cldeform_context_destroy(indices);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout_border_and_limit), cmocka_unit_test(every_type),
        cmocka_unit_test(doubles_beyond_float),          cmocka_unit_test(next_to_the_border),
        cmocka_unit_test(long_sums_lose_nothing),        cmocka_unit_test(empty_batches_and_no_numbers_give_zeros),
        cmocka_unit_test(the_same_bits_however_it_runs),
    };
    return cmocka_run_group_tests(tests, test_open_device, test_close_device);
}
