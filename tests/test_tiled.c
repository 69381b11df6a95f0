/* How tiled cuts problems into tiles: with tiles small enough that small problems have several of each, and a rest.
 * The tests of what it computes run over all algorithms (algorithms.h). */
#include "algorithms.h"
#include "backward.h"
#include "conv2d/tiled.h"
#include "kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a problem is cut, with a last piece that is smaller than the others. */
enum {
    OUTPUTS = 1 << 0,          /* forward: tiles of a group's outputs */
    CHANNELS = 1 << 1,         /* blocks of a run's channels */
    RUNS = 1 << 2,             /* runs of a group's channels */
    GROUPS = 1 << 3,           /* groups that share a tile */
    PIXELS = 1 << 4,           /* tiles of output pixels, the last of which ends within a work-item's part */
    SPLITS = 1 << 5,           /* channels that several work-groups share */
    TAPS = 1 << 6,             /* turns of taps */
    GRAD_CHANNELS = 1 << 7,    /* gradient of the columns: tiles of a run's channels */
    GRAD_OUTPUTS = 1 << 8,     /* blocks of a group's outputs */
    GRAD_GROUPS = 1 << 9,      /* groups that share a tile */
    WEIGHT_OUTPUTS = 1 << 10,  /* gradient of the weight: tiles of a group's outputs */
    WEIGHT_CHANNELS = 1 << 11, /* tiles of a run's channels */
    WEIGHT_SPLITS = 1 << 12,   /* pixels that several work-groups share */
    ONE = 1 << 13,             /* channels sampled one, two, four at a time */
    TWO = 1 << 14,
    FOUR = 1 << 15,
    IN_PLACE = 1 << 16, /* the input is read as it is */
    EVERYWHERE = (1 << 17) - 1,
};

/* Which cuts the plan makes; what the object has prepared is all passes. */
static unsigned find_cuts(const cldeform_conv2d *conv)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    const tiled_plan *plan = conv->plan;
    const tiled_form *forward = &plan->forward, *grad = &plan->grad, *weight = &plan->grad_weight;
    const int64_t plane = conv->sizes.out_plane, groups = problem->groups;
    const int64_t channels = problem->in_channels / groups, outputs = problem->out_channels / groups;
    const int64_t run = forward->shape.run, all_blocks = channels / run * forward->shape.blocks;
    const struct {
        unsigned cut;
        bool made;
    } all[] = {
        {OUTPUTS, !forward->grouped && test_has_rest(outputs, forward->rows)},
        {CHANNELS, test_has_rest(run, forward->shape.depth)},
        {RUNS, run < channels},
        {GROUPS, forward->grouped && test_has_rest(groups, forward->shape.slots)},
        {PIXELS, test_has_rest(plane, forward->columns) && plane % 4 != 0},
        {SPLITS, test_has_rest(all_blocks, forward->shape.splits) && forward->shape.splits > 1},
        {TAPS, test_has_rest(conv->sizes.taps, forward->table)},
        {GRAD_CHANNELS, !grad->grouped && test_has_rest(run, grad->rows)},
        {GRAD_OUTPUTS, test_has_rest(outputs, grad->shape.depth)},
        {GRAD_GROUPS, grad->grouped && test_has_rest(groups, grad->shape.slots)},
        {WEIGHT_OUTPUTS, test_has_rest(outputs, weight->rows)},
        {WEIGHT_CHANNELS, test_has_rest(run, weight->columns)},
        {WEIGHT_SPLITS, test_has_rest(plane, weight->shape.split_pixels)},
        {ONE, plan->vector == 1},
        {TWO, plan->vector == 2},
        {FOUR, plan->vector == 4},
        {IN_PLACE, !plan->packs_input},
    };
    unsigned cuts = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        cuts |= all[i].made ? all[i].cut : 0;
    return cuts;
}

static const struct {
    int64_t batch, in_channels, in_h, in_w, out_channels, kernel_h, kernel_w, groups, offset_groups;
    cldeform_layout layout;
} rows[] = {
    {1, 20, 7, 9, 37, 3, 3, 1, 1, 0},
    {2, 10, 5, 9, 6, 2, 4, 2, 1, 0},
    {1, 12, 5, 7, 18, 3, 1, 6, 1, 0},
    {1, 24, 5, 7, 20, 1, 3, 4, 6, 0},   /* groups and offset groups that are parts of each other's */
    {2, 11, 6, 11, 11, 3, 3, 11, 1, 0}, /* depthwise */
    {1, 6, 5, 6, 6, 2, 2, 6, 6, 0},
    {1, 16, 21, 20, 5, 2, 2, 1, 2, CLDEFORM_NHWC},
    {2, 36, 5, 4, 18, 5, 4, 1, 1, CLDEFORM_NHWC}, /* one pixel of output */
    {1, 14, 6, 7, 10, 3, 3, 1, 1, CLDEFORM_NHWC},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static cldeform_conv2d_problem problem_of(int row)
{
    cldeform_conv2d_problem p = CLDEFORM_INIT(cldeform_conv2d_problem);
    p.algorithm = CLDEFORM_ALGORITHM_TILED;
    p.kind = CLDEFORM_CONV2D_MODULATED;
    p.passes = CLDEFORM_FORWARD | CLDEFORM_BACKWARD;
    p.batch = rows[row].batch;
    p.in_channels = rows[row].in_channels, p.in_h = rows[row].in_h, p.in_w = rows[row].in_w;
    p.out_channels = rows[row].out_channels;
    p.kernel_h = rows[row].kernel_h, p.kernel_w = rows[row].kernel_w;
    p.groups = rows[row].groups, p.offset_groups = rows[row].offset_groups;
    p.layout = rows[row].layout;
    if (p.in_h != p.kernel_h) /* else one pixel of output */
        p.pad_top = 1, p.pad_left = 2;
    return p;
}

static void every_cut(void **state)
{
    (void)state;
    unsigned seen = 0;
    cldeform_context *context =
        test_tuned_context(&device, "\"*\" tiled_rows=16 tiled_columns=16 tiled_item_rows=4 tiled_item_columns=4 "
                                    "tiled_depth=4 tiled_table=2 tiled_groups=64\n");
    for (int row = 0; row < ROWS; row++) {
        const cldeform_conv2d_problem problem = problem_of(row);
        cldeform_conv2d *conv = NULL;
        if (device.extent == TEST_PART && row % 3 != 0)
            continue;
        assert_ok(cldeform_conv2d_create(context, &problem, &conv));
        seen |= find_cuts(conv);
        cldeform_conv2d_destroy(conv);
        test_check_all_passes(context, &problem, (uint32_t)row + 1);
    }
    cldeform_context_destroy(context);
    if (device.extent > TEST_PART)
        assert_int_equal(~seen & EVERYWHERE, 0); /* else this test needs other shapes */
}

/* Tiles of several shapes, in each type. */
static void every_tile(void **state)
{
    (void)state;
    static const struct {
        int rows, columns, item_rows, item_columns, depth, table;
        cldeform_dtype dtype;
        cldeform_layout layout;
    } all[] = {
        {64, 64, 8, 4, 16, 3, CLDEFORM_F32, CLDEFORM_NCHW}, /* the usual one of GPUs */
        {128, 64, 8, 8, 16, 9, CLDEFORM_F32, CLDEFORM_NHWC},
        {32, 128, 4, 8, 8, 1, CLDEFORM_F16, CLDEFORM_NHWC},
        {16, 32, 8, 4, 32, 4, CLDEFORM_F64, CLDEFORM_NCHW},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char line[200];
        cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
        if ((all[i].dtype == CLDEFORM_F64 && !device.fp64) || (device.extent == TEST_PART && i > 0))
            continue;
        snprintf(line, sizeof line,
                 "\"*\" tiled_rows=%d tiled_columns=%d tiled_item_rows=%d tiled_item_columns=%d tiled_depth=%d "
                 "tiled_table=%d\n",
                 all[i].rows, all[i].columns, all[i].item_rows, all[i].item_columns, all[i].depth, all[i].table);
        cldeform_context *context = test_tuned_context(&device, line);
        problem.algorithm = CLDEFORM_ALGORITHM_TILED;
        problem.dtype = all[i].dtype;
        problem.layout = all[i].layout;
        problem.in_channels = 72, problem.out_channels = 84; /* 36 and 42 of a group, 24 of an offset group */
        test_check_all_passes(context, &problem, (uint32_t)i + 1);
        cldeform_context_destroy(context);
    }
}

/* Tiles shrink until they fit a device; where the least of them does not, it is refused. */
static void small_devices(void **state)
{
    (void)state;
    static const struct {
        size_t group, memory;
        bool fits;
    } all[] = {{64, 16384, true}, {16, 4096, true},  {1024, 8192, true},
               {16, 1024, false}, {4, 65536, false}, {2, 65536, false}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (device.extent == TEST_PART && all[i].fits && i > 0)
            continue;
        cldeform_context *context = test_tuned_context(
            &device, "\"*\" tiled_rows=128 tiled_columns=128 tiled_item_rows=4 tiled_item_columns=4 tiled_depth=16\n");
        cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
        cldeform_conv2d *conv = NULL;
        context->facts.max_group = all[i].group;
        context->facts.local_memory = all[i].memory;
        problem.algorithm = CLDEFORM_ALGORITHM_TILED;
        problem.passes = CLDEFORM_FORWARD | CLDEFORM_BACKWARD;
        const cldeform_status status = cldeform_conv2d_create(context, &problem, &conv);
        if (all[i].fits) {
            assert_ok(status);
            const tiled_plan *plan = conv->plan;
            const tiled_form *forms[] = {&plan->forward, &plan->grad, &plan->grad_weight};
            for (int f = 0; f < 3; f++) {
                assert_true(cldeform__tiled_items(forms[f]) <= all[i].group);
                assert_true(cldeform__tiled_local_bytes(plan, forms[f]) <= all[i].memory);
            }
            cldeform_conv2d_destroy(conv);
            test_check_all_passes(context, &problem, (uint32_t)i + 1);
        } else {
            assert_status(status, CLDEFORM_UNSUPPORTED, "local memory");
        }
        cldeform_context_destroy(context);
    }
}

/* With deterministic set the batch does not show, not even in how a tile's channels are shared out. */
static void images_do_not_depend_on_the_batch(void **state)
{
    (void)state;
    cldeform_context *context = test_tuned_context(&device, "\"*\" tiled_groups=8\n");
    context->facts.compute_units = 2; /* whatever it is here: few enough that seven images fill them */
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    int splits[2];
    for (int deterministic = 0; deterministic < 2; deterministic++) {
        cldeform_conv2d *conv = NULL;
        problem.algorithm = CLDEFORM_ALGORITHM_TILED;
        problem.deterministic = deterministic;
        problem.batch = 7;
        problem.in_channels = 144;
        assert_ok(cldeform_conv2d_create(context, &problem, &conv));
        splits[deterministic] = ((const tiled_plan *)conv->plan)->forward.shape.splits;
        cldeform_conv2d_destroy(conv);
    }
    assert_true(splits[0] < splits[1]);
    test_conv all, one;
    test_conv_create(&all, &problem, true, TEST_RANDOM, 5);
    double *together = test_conv_run_alone(&device, &all, &(test_run){.context = context});
    problem.batch = 1;
    test_conv_create(&one, &problem, true, TEST_RANDOM, 5);
    for (int i = 0; i < TEST_TENSORS; i++)
        if (one.present[i]) /* the last image's */
            memcpy(one.values[i],
                   all.values[i] + (all.shape[i].elements > one.shape[i].elements
                                        ? all.shape[i].elements - one.shape[i].elements
                                        : 0),
                   (size_t)one.shape[i].elements * sizeof(double));
    double *alone = test_conv_run_alone(&device, &one, &(test_run){.context = context});
    const size_t elements = (size_t)one.shape[CLDEFORM_OUTPUT].elements;
    assert_memory_equal(alone, together + 6 * elements, elements * sizeof(double));
    free(alone);
    free(together);
    test_conv_destroy(&one);
    test_conv_destroy(&all);
    cldeform_context_destroy(context);
}

/* Backward, two of three images at a time: the last chunk is a smaller one. */
static void chunks_of_images(void **state)
{
    (void)state;
    cldeform_context *context = test_tuned_context(&device, "\"*\" tiled_groups=64\n");
    cldeform_conv2d_problem problem = problem_of(0);
    cldeform_conv2d *conv = NULL;
    size_t least = 0, most = 0;
    problem.batch = 3;
    assert_ok(cldeform_conv2d_create(context, &problem, &conv));
    cldeform__tiled_workspace(conv, CLDEFORM_BACKWARD, &least, &most);
    const size_t bytes = least + (most - least) / 2 + 1024; /* of parts that begin aligned */
    assert_int_equal(cldeform__tiled_chunk(conv, conv->plan, CLDEFORM_BACKWARD, 3, most), 3);
    assert_int_equal(cldeform__tiled_chunk(conv, conv->plan, CLDEFORM_BACKWARD, 3, bytes), 2);
    cldeform_conv2d_destroy(conv);
    test_backward_check_problem(
        &device, &problem,
        &(test_run){.context = context, .strided = true, .workspace = true, .workspace_bytes = bytes}, TEST_EXACT, 5);
    cldeform_context_destroy(context);
    /* a device that one image fills needs no memory for more */
    context = test_tuned_context(&device, "\"*\" tiled_groups=1\n");
    context->facts.compute_units = 1;
    assert_ok(cldeform_conv2d_create(context, &problem, &conv));
    assert_int_equal(cldeform__tiled_images(conv, conv->plan), 1);
    cldeform_conv2d_destroy(conv);
    cldeform_context_destroy(context);
}

/* A driver that does not compile tiled's kernels: AUTO takes another algorithm, and who asks for tiled is told. */
static void kernels_that_do_not_compile(void **state)
{
    (void)state;
    char directory[TEST_PATH];
    test_copy_kernels(directory);
    test_edit_kernel(directory, "conv2d_tiled.cl", "1i #error planted");
    const cldeform_context_options options = test_context_options();
    cldeform_context *context = test_context_with_kernels(directory, &options);
    context->tuning.conv2d_algorithm = CLDEFORM_ALGORITHM_TILED;
    cldeform_conv2d_problem problem = problem_of(0);
    cldeform_conv2d *conv = NULL;
    assert_status(cldeform_conv2d_create(context, &problem, &conv), CLDEFORM_BUILD_FAILED, "planted");
    problem.algorithm = CLDEFORM_ALGORITHM_AUTO;
    assert_ok(cldeform_conv2d_create(context, &problem, &conv));
    assert_string_equal(conv->algorithm->name, "im2col");
    cldeform_conv2d_destroy(conv);
    test_check_all_passes(context, &problem, 1);
    test_edit_kernel(directory, "conv2d_sample.clh", "1i #error planted"); /* of all algorithms */
    problem.border = CLDEFORM_BORDER_EDGE;
    assert_status(cldeform_conv2d_create(context, &problem, &conv), CLDEFORM_BUILD_FAILED, "planted");
    cldeform_context_destroy(context);
    test_remove_kernels(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut),        cmocka_unit_test(every_tile),
        cmocka_unit_test(small_devices),    cmocka_unit_test(images_do_not_depend_on_the_batch),
        cmocka_unit_test(chunks_of_images), cmocka_unit_test(kernels_that_do_not_compile),
    };
    return cmocka_run_group_tests(tests, test_open_device, test_close_device);
}
