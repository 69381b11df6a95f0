/* How fused cuts problems into pieces: with blocks small enough that small problems have several of each, and a rest.
 * The tests of what it computes run over all algorithms (algorithms.h). */
#include "algorithms.h"
#include "backward.h"
#include "conv2d/fused.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a problem is cut, with a last piece that is smaller than the others. */
enum {
    CHANNELS = 1 << 0,        /* forward: channels of a group */
    TAPS = 1 << 1,            /* taps */
    GROUPS = 1 << 2,          /* several groups together, but not all */
    OUTPUTS = 1 << 3,         /* tiles of outputs */
    PIXELS = 1 << 4,          /* panels; the last one ends within a tile */
    GRAD_CHANNELS = 1 << 5,   /* gradient of the columns: channels of a group */
    GRAD_GROUPS = 1 << 6,     /* several groups together, but not all */
    GRAD_PIXELS = 1 << 7,     /* panels */
    WEIGHT_CHANNELS = 1 << 8, /* gradient of the weight: blocks that hold a part of a group */
    WEIGHT_PIXELS = 1 << 9,   /* runs */
    BEHIND = 1 << 10,         /* a vector of channels reaches behind those of an offset group, or of a pixel */
    IN_PLACE = 1 << 11,       /* the input is read as it is */
    EVERYWHERE = (1 << 12) - 1,
    WORKERS = 1 << 12,                   /* work-items share an image's pixels */
    PARTS = 1 << 13,                     /* ... and channels */
    SLABS = 1 << 14,                     /* ... some pixels of a range at a time */
    WITH_UNITS = WORKERS | PARTS | SLABS /* where there are several compute units */
};

/* Which cuts the plan makes; what the object has prepared is all passes. */
static unsigned find_cuts(const cldeform_conv2d *conv)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    const fused_plan *plan = conv->plan;
    const fused_form *forward = &plan->forward, *grad = &plan->grad, *weight = &plan->grad_weight;
    const int64_t plane = conv->sizes.out_plane, groups = problem->groups;
    const int64_t channels = problem->in_channels / groups, outputs = problem->out_channels / groups;
    const int64_t tile = (int64_t)forward->lanes * forward->vectors, tiles = (outputs + tile - 1) / tile;
    const int64_t range = plane / grad->shape.workers;
    const struct {
        unsigned cut;
        bool made;
    } all[] = {
        {CHANNELS, test_has_rest(channels, forward->shape.block_channels)},
        {TAPS, test_has_rest(conv->sizes.taps, forward->shape.block_taps)},
        {GROUPS, forward->shape.block_groups > 1 && test_has_rest(groups, forward->shape.block_groups)},
        {OUTPUTS, test_has_rest(tiles, forward->shape.block_tiles) && outputs % forward->lanes != 0},
        {PIXELS, test_has_rest(plane, forward->shape.panel) && plane % forward->shape.panel % forward->rows != 0},
        {GRAD_CHANNELS, test_has_rest(channels, grad->shape.block_channels) && channels % grad->lanes != 0},
        {GRAD_GROUPS, grad->shape.block_groups > 1 && test_has_rest(groups, grad->shape.block_groups)},
        {GRAD_PIXELS, test_has_rest(range, grad->shape.panel) && plane % grad->rows != 0},
        {WEIGHT_CHANNELS, test_has_rest(problem->in_channels, weight->shape.block_channels) &&
                              test_has_rest(channels, weight->shape.block_channels)},
        {WEIGHT_PIXELS, test_has_rest(plane, weight->shape.panel)},
        {BEHIND, problem->in_channels / problem->offset_groups % forward->vector != 0},
        {IN_PLACE, !plan->packs_input},
        {WORKERS, grad->shape.workers > 1 && range > grad->shape.panel},
        {PARTS, grad->shape.parts > 1},
        {SLABS, test_has_rest(range, grad->shape.slab)},
    };
    unsigned cuts = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        cuts |= all[i].made ? all[i].cut : 0;
    return cuts;
}

/* Budgets and depths, with the same tile: nothing is compiled for another one. */
static const char *const tunings[] = {
    "fused_panel_kib=8 fused_depth=20 fused_copies=2", "fused_panel_kib=3 fused_depth=20 fused_copies=1",
    "fused_panel_kib=2 fused_depth=40 fused_copies=2", "fused_panel_kib=1 fused_depth=200 fused_copies=1",
    "fused_panel_kib=4 fused_depth=4 fused_copies=1",
};

/* One kind, and few numbers of channels of a group and layouts, which other tests vary: these have kernels of their
 * own.
 */
static const struct {
    int64_t batch, in_channels, in_h, in_w, out_channels, kernel_h, kernel_w, groups, offset_groups;
    cldeform_offset_layout offset_layout;
    cldeform_layout layout;
} rows[] = {
    {2, 50, 6, 8, 37, 3, 3, 1, 5, 0, 0},
    {1, 6, 5, 9, 5, 2, 4, 1, 2, CLDEFORM_OFFSET_YX_LAST, 0},
    {2, 21, 7, 5, 21, 3, 2, 7, 3, 0, 0},
    {2, 24, 5, 7, 18, 3, 1, 6, 4, CLDEFORM_OFFSET_PLANAR, 0},
    {1, 24, 5, 7, 20, 1, 3, 4, 6, CLDEFORM_OFFSET_YX_LAST, 0},
    {3, 10, 5, 4, 5, 5, 4, 1, 2, 0, 0},     /* one pixel of output */
    {1, 11, 6, 11, 11, 3, 3, 11, 11, 0, 0}, /* depthwise */
    {1, 11, 6, 11, 11, 3, 3, 11, 1, 0, 0},
    {1, 18, 5, 5, 150, 1, 2, 1, 1, 0, 0}, /* several blocks of outputs */
    {1, 42, 21, 20, 5, 3, 3, 1, 6, 0, 0}, /* several slabs */
    {2, 24, 6, 7, 13, 2, 2, 1, 2, 0, CLDEFORM_NHWC},
    {2, 26, 6, 7, 13, 2, 2, 1, 2, CLDEFORM_OFFSET_YX_LAST, CLDEFORM_NHWC},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static cldeform_conv2d_problem problem_of(int row)
{
    cldeform_conv2d_problem p = CLDEFORM_INIT(cldeform_conv2d_problem);
    p.algorithm = CLDEFORM_ALGORITHM_FUSED;
    p.kind = CLDEFORM_CONV2D_MODULATED;
    p.passes = CLDEFORM_FORWARD | CLDEFORM_BACKWARD;
    p.batch = rows[row].batch;
    p.in_channels = rows[row].in_channels, p.in_h = rows[row].in_h, p.in_w = rows[row].in_w;
    p.out_channels = rows[row].out_channels;
    p.kernel_h = rows[row].kernel_h, p.kernel_w = rows[row].kernel_w;
    p.groups = rows[row].groups, p.offset_groups = rows[row].offset_groups;
    p.offset_layout = rows[row].offset_layout;
    p.layout = rows[row].layout;
    if (p.in_h != p.kernel_h) /* else one pixel of output */
        p.pad_top = 1, p.pad_left = 2;
    return p;
}

static void every_cut(void **state)
{
    (void)state;
    unsigned seen = 0;
    size_t units = 0;
    for (size_t t = 0; t < sizeof tunings / sizeof tunings[0]; t++) {
        char line[200];
        snprintf(line, sizeof line, "\"*\" fused_vector=4 fused_rows=3 fused_panel=12 fused_block=8 fused_run=7 %s\n",
                 tunings[t]);
        cldeform_context *context = test_tuned_context(&device, line);
        units = context->facts.compute_units;
        for (int row = 0; row < ROWS; row++) {
            const cldeform_conv2d_problem problem = problem_of(row);
            cldeform_conv2d *conv = NULL;
            const cldeform_status status = cldeform_conv2d_create(context, &problem, &conv);
            if (status == CLDEFORM_UNSUPPORTED) /* not in so little local memory */
                continue;
            assert_ok(status);
            seen |= find_cuts(conv);
            cldeform_conv2d_destroy(conv);
            test_check_all_passes(context, &problem, (uint32_t)row + 1);
        }
        cldeform_context_destroy(context);
    }
    /* else this test needs other shapes */
    const unsigned expected = units > 1 ? EVERYWHERE | WITH_UNITS : EVERYWHERE;
    assert_int_equal(~seen & expected, 0);
}

/* Vectors of each width, and tiles of several heights, in each type. */
static void every_width(void **state)
{
    (void)state;
    static const struct {
        int width, rows;
        cldeform_dtype dtype;
    } all[] = {{1, 2, CLDEFORM_F32}, {2, 5, CLDEFORM_F16},  {4, 3, CLDEFORM_F32},
               {8, 1, CLDEFORM_F32}, {16, 4, CLDEFORM_F64}, {16, 2, CLDEFORM_F32}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char line[160];
        cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
        if ((all[i].dtype == CLDEFORM_F64 && !device.fp64) || (device.extent == TEST_PART && i > 0))
            continue;
        snprintf(line, sizeof line, "\"*\" fused_vector=%d fused_rows=%d fused_panel=%d fused_depth=30 fused_run=9\n",
                 all[i].width, all[i].rows, 3 * all[i].rows);
        cldeform_context *context = test_tuned_context(&device, line);
        problem.algorithm = CLDEFORM_ALGORITHM_FUSED;
        problem.dtype = all[i].dtype;
        problem.in_channels = 66, problem.out_channels = 42; /* 33 and 21 of a group, 22 of an offset group */
        test_check_all_passes(context, &problem, (uint32_t)i + 1);
        cldeform_context_destroy(context);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_cut), cmocka_unit_test(every_width)};
    return cmocka_run_group_tests(tests, test_open_device, test_close_device);
}
