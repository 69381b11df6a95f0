/* How a device is used for a problem of RoI pooling: the kernels, and the workspace. */
#include "../geometry.h"
#include "steps.h"

#include <stdio.h>
#include <string.h>

/* ---- kernels ------------------------------------------------------------------------------------------- */

/* Iterations of a work-item's loops that a device ends after saying nothing (facts.loop_limit) must not be reached. */
static cldeform_status check_loops(const cldeform_roi_pool *pool)
{
    const cldeform_roi_pool_problem *problem = &pool->problem;
    const cldeform__roi_plan *plan = &pool->plan;
    const int64_t limit = (int64_t)pool->context->facts.loop_limit, few = 1024; /* of what is not counted */
    const int64_t block = (int64_t)plan->vector * plan->vectors;
    const int64_t blocks = cldeform__divide_up(pool->sizes.out_channels / problem->offset_classes, block);
    const int64_t cell_bins = cldeform__divide_up(pool->sizes.bins, problem->group_size * problem->group_size);
    const int64_t part_bins =
        cldeform__divide_up(problem->out_h, problem->part_h) * cldeform__divide_up(problem->out_w, problem->part_w);
    const int64_t samples = cldeform__roi_samples(pool);
    int64_t pixels = 0; /* with their windows, and the samples that are found again in each row of these */
    for (int64_t i = 0; i < problem->levels; i++) {
        const int64_t h = problem->level[i].in_h, w = problem->level[i].in_w;
        const int64_t windows_h = cldeform__divide_up(h, 16), windows_w = cldeform__divide_up(w, 16);
        const int64_t plane = h * w + windows_h * windows_w * 160 + 2 * samples * (windows_h + 1) + few;
        pixels = plane > pixels ? plane : pixels;
    }
    if (limit == 0)
        return CLDEFORM_OK;
    const struct {
        cldeform_passes passes;
        int64_t iterations;
        const char *what;
    } all[] = {
        {CLDEFORM_FORWARD | CLDEFORM_BACKWARD, problem->max_rois > CLDEFORM__MOST_GROUPS ? limit + 1 : 0, "RoIs"},
        {CLDEFORM_FORWARD, pixels, "pixels and samples"},
        {CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK,
         problem->offset_classes * cldeform__divide_up(blocks, (int64_t)plan->lanes) * pixels, "pixels and channels"},
        {CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK, part_bins + problem->offset_classes + few, "bins of a part"},
        {CLDEFORM_GRAD_INPUT, 2 * problem->offset_classes * pool->sizes.bins + few, "bins and classes"},
        {CLDEFORM_GRAD_INPUT, 2 * problem->max_rois + few, "RoIs"},
        {CLDEFORM_GRAD_INPUT, cldeform__roi_iterations(pool, cell_bins), "bins"},
        {CLDEFORM_GRAD_INPUT,
         problem->dtype == CLDEFORM_F16 && problem->max_rois > plan->rois_of_launch ? limit + 1 : 0, "RoIs in fp16"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if ((problem->passes & all[i].passes) && all[i].iterations > limit)
            return cldeform__fail(CLDEFORM_UNSUPPORTED, "%s ends loops after %lld iterations, too few for so many %s",
                                  pool->context->facts.name, (long long)limit, all[i].what);
    return CLDEFORM_OK;
}

static bool uses_long_index(const cldeform_roi_pool *pool)
{
    bool needs = pool->context->tuning.long_index || cldeform__needs_long_index(pool->sizes.output) ||
                 cldeform__needs_long_index(pool->sizes.offset);
    for (int64_t i = 0; i < pool->problem.levels; i++)
        needs = needs || cldeform__needs_long_index(pool->sizes.input[i]);
    return needs;
}

/* What does not matter to the kernels of a problem has one value, so that problems share them. */
static void find_options(cldeform_roi_pool *pool)
{
    const cldeform_roi_pool_problem *problem = &pool->problem;
    snprintf(pool->plan.options, sizeof pool->plan.options,
             "-DMETHOD=%d -DDATA_BITS=%d -DOFFSET_BITS=%d -DROI_BITS=%d -DINDEX_BITS=%d -DMASK_SIGMOID=%d -DVECTOR=%d "
             "-DVECTORS=%d",
             (int)problem->method, cldeform__bits(problem->dtype), cldeform__bits(problem->offset_dtype),
             cldeform__bits(problem->roi_dtype), uses_long_index(pool) ? 64 : 32,
             problem->modulated ? (int)problem->mask_activation : 0, pool->plan.vector, pool->plan.vectors);
}

/* Widths of blocks and tiles, within what the device has. */
static void find_widths(cldeform_roi_pool *pool)
{
    const cldeform__facts *facts = &pool->context->facts;
    const cldeform__tuning *tuning = &pool->context->tuning;
    cldeform__roi_plan *plan = &pool->plan;
    const size_t real = cldeform__dtype_size(cldeform__real_dtype(pool->problem.dtype));
    const int64_t channels = pool->sizes.out_channels / pool->problem.offset_classes;
    plan->vector = tuning->channel_vector;
    plan->vectors = facts->loop_limit ? 1 : tuning->roi_vectors; /* short loops where they are counted */
    /* few widths, so that problems share kernels */
    if (2 * channels < plan->vector)
        plan->vector = 1;
    if (channels < (int64_t)plan->vector * plan->vectors)
        plan->vectors = 1;
    plan->tile_h = tuning->roi_tile_h;
    plan->tile_w = tuning->roi_tile_w;
    const size_t memory = (size_t)facts->local_memory;
    size_t lane = (size_t)(plan->tile_h * plan->tile_w * plan->vector * plan->vectors) * real;
    while (lane > memory && plan->tile_h * plan->tile_w > 1) {
        if (plan->tile_h >= plan->tile_w)
            plan->tile_h = (plan->tile_h + 1) / 2;
        else
            plan->tile_w = (plan->tile_w + 1) / 2;
        lane = (size_t)(plan->tile_h * plan->tile_w * plan->vector * plan->vectors) * real;
    }
    const int64_t blocks = cldeform__divide_up(channels, (int64_t)plan->vector * plan->vectors);
    plan->lanes = facts->loop_limit ? 64 : (size_t)tuning->roi_lanes;
    plan->lanes = plan->lanes < facts->max_group ? plan->lanes : facts->max_group;
    plan->lanes = plan->lanes < facts->max_items[0] ? plan->lanes : facts->max_items[0];
    plan->lanes = plan->lanes < (size_t)blocks ? plan->lanes : (size_t)blocks;
    plan->tile_lanes = plan->lanes * lane <= memory ? plan->lanes : memory / lane;
    plan->tile_lanes = plan->tile_lanes > 0 ? plan->tile_lanes : 1;
    plan->sorts = tuning->roi_lanes == 1 && !facts->loop_limit;
}

static size_t at_most_group(size_t lanes, const cldeform__kernel *kernel)
{
    return lanes < kernel->max_group ? lanes : kernel->max_group;
}

static cldeform_status compile(cldeform_roi_pool *pool)
{
    cldeform_status status = CLDEFORM_OK;
    cldeform_context *context = pool->context;
    const cldeform_roi_pool_problem *problem = &pool->problem;
    const cldeform_passes of_bins = CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK;
    cldeform__roi_plan *plan = &pool->plan;
    cldeform__program *program = NULL;
    char more[sizeof plan->options + 40];
    find_options(pool);
    if (problem->passes & CLDEFORM_FORWARD) {
        TRY(cldeform__program_get(context, "roi_forward", plan->options, &program));
        TRY(cldeform__program_require(program, "roi_forward", &plan->forward));
    }
    if (problem->passes & CLDEFORM_GRAD_INPUT) {
        snprintf(more, sizeof more, "%s -DTILE_H=%d -DTILE_W=%d", plan->options, plan->tile_h, plan->tile_w);
        TRY(cldeform__program_get(context, "roi_grad_input", more, &program));
        TRY(cldeform__program_require(program, "roi_find_boxes", &plan->find_boxes));
        TRY(cldeform__program_require(program, "roi_grad_input", &plan->grad_input));
        plan->tile_lanes = at_most_group(plan->tile_lanes, plan->grad_input);
    }
    if (problem->passes & of_bins) {
        snprintf(more, sizeof more, "%s -DSLOPES=%d", plan->options,
                 problem->offset_gradient == CLDEFORM_ROI_GRADIENT_MMCV ? 2 : 1);
        TRY(cldeform__program_get(context, "roi_grad_offset", more, &program));
        TRY(cldeform__program_require(program, "roi_sum_bins", &plan->sum_bins));
        TRY(cldeform__program_require(program, "roi_store_grad_offset", &plan->store_grad_offset));
        TRY(cldeform__program_require(program, "roi_store_grad_mask", &plan->store_grad_mask));
        plan->lanes = at_most_group(plan->lanes, plan->sum_bins);
    }
    if (problem->passes & (CLDEFORM_FORWARD | CLDEFORM_GRAD_INPUT)) {
        /* it looks at nothing but positions */
        snprintf(more, sizeof more, "-DMETHOD=%d -DROI_BITS=%d -DDATA_BITS=%d", (int)problem->method,
                 cldeform__bits(problem->roi_dtype), plan->long_position ? 64 : 32);
        TRY(cldeform__program_get(context, "roi_sort", more, &program));
        TRY(cldeform__program_require(program, "roi_find_cells", &plan->find_cells));
        TRY(cldeform__program_require(program, "roi_sort", &plan->sort));
    }
    if (problem->passes & ~CLDEFORM_STATISTICS) {
        plan->turns_tiles = context->tuning.roi_lanes > 1 &&
                            context->facts.local_memory >= sizeof(cl_double) * ROI_TURN_GROUP * (ROI_TURN_GROUP + 1);
        snprintf(more, sizeof more, "-DELEMENT_BITS=%d -DTILED=%d", cldeform__bits(problem->dtype), plan->turns_tiles);
        TRY(cldeform__program_get(context, "transpose", more, &program));
        TRY(cldeform__program_require(program, "transpose", &plan->transpose));
    }
    if (problem->passes & CLDEFORM_STATISTICS) {
        snprintf(more, sizeof more, "-DROI_BITS=%d", cldeform__bits(problem->roi_dtype));
        TRY(cldeform__program_get(context, "roi_levels", more, &program));
        TRY(cldeform__program_require(program, "roi_assign_levels", &plan->assign_levels));
        TRY(cldeform__program_require(program, "roi_count", &plan->count));
    }
done:
    return status;
}

cldeform_status cldeform__roi_prepare(cldeform_roi_pool *pool)
{
    cldeform_status status;
    size_t minimum = 0, preferred = 0;
    const int64_t limit = (int64_t)pool->context->facts.loop_limit;
    const cldeform_dtype types[] = {pool->problem.dtype, pool->problem.offset_dtype, pool->problem.roi_dtype};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        pool->plan.long_position = pool->plan.long_position || types[i] == CLDEFORM_F64;
    find_widths(pool);
    pool->plan.rois_of_launch = INT32_MAX;
    if (limit > 0) {
        const int64_t cell_bins =
            cldeform__divide_up(pool->sizes.bins, pool->problem.group_size * pool->problem.group_size);
        const int64_t one = cldeform__roi_iterations(pool, cell_bins) - cldeform__roi_iterations(pool, 0);
        pool->plan.rois_of_launch = (limit - cldeform__roi_iterations(pool, 0)) / one;
        if (pool->plan.rois_of_launch < 1)
            pool->plan.rois_of_launch = 1;
    }
    TRY(compile(pool));
    TRY(check_loops(pool));
    cldeform__roi_workspace(pool, pool->problem.passes, pool->problem.max_rois, &minimum, &preferred);
    if (minimum > pool->workspace_limit)
        status =
            cldeform__fail(CLDEFORM_LIMIT, "workspace_limit is %zu bytes; the minimum for this problem is %zu bytes",
                           pool->workspace_limit, minimum);
done:
    return status;
}

/* ---- workspace ----------------------------------------------------------------------------------------- */

bool cldeform__roi_reads_copy(const cldeform_roi_pool *pool, int64_t level, int64_t rois)
{
    const cldeform_roi_pool_problem *problem = &pool->problem;
    const double pixels =
        (double)problem->batch * (double)problem->level[level].in_h * (double)problem->level[level].in_w;
    const bool side_by_side = problem->layout == CLDEFORM_NHWC && problem->group_size == 1;
    /* about as many pixels as bins read: for fewer, reading what they need out of order costs less than a copy */
    return !side_by_side && (pool->plan.always_copies || 8 * (double)rois * (double)pool->sizes.bins >= pixels);
}

int64_t cldeform__roi_cells(const cldeform_roi_pool *pool, int64_t level)
{
    const cldeform_roi_level *map = &pool->problem.level[level];
    return cldeform__divide_up(map->in_h, ROI_CELL) * cldeform__divide_up(map->in_w, ROI_CELL);
}

void cldeform__roi_part_sizes(const cldeform_roi_pool *pool, cldeform_passes passes, int64_t rois, bool copies,
                              size_t sizes[ROI_PARTS])
{
    const cldeform_roi_pool_problem *problem = &pool->problem;
    const size_t data = cldeform__dtype_size(problem->dtype);
    const size_t real = cldeform__dtype_size(cldeform__real_dtype(problem->dtype));
    const cldeform_passes of_bins = CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK;
    const size_t n = rois > 0 ? (size_t)rois : 1; /* kernels are given buffers also where there are no RoIs */
    memset(sizes, 0, ROI_PARTS * sizeof *sizes);
    if (passes & CLDEFORM_GRAD_INPUT) {
        sizes[IMAGES] = sizes[ORDER] = n * sizeof(cl_int);
        sizes[BOXES] = n * sizeof(cl_int4);
        sizes[BIN_BOXES] = n * (size_t)(problem->offset_classes * pool->sizes.bins) * sizeof(cl_int4);
        sizes[STARTS] = ((size_t)problem->batch + 1) * sizeof(cl_int);
        sizes[COUNTS] = sizes[STARTS];
    }
    if (passes & of_bins)
        sizes[SUMS] = n * (size_t)(problem->offset_classes * pool->sizes.bins) * 3 * real;
    if (!copies)
        return;
    if ((passes & CLDEFORM_BACKWARD) && problem->layout == CLDEFORM_NCHW)
        sizes[GRADIENTS] = n * (size_t)pool->sizes.output * data;
    if (passes & (CLDEFORM_FORWARD | of_bins))
        for (int64_t i = 0; i < problem->levels; i++) {
            const size_t bytes = (size_t)(problem->batch * pool->sizes.input[i]) * data;
            const size_t counts = (size_t)(problem->batch * cldeform__roi_cells(pool, i)) * sizeof(cl_int);
            if (!cldeform__roi_reads_copy(pool, i, rois))
                continue;
            sizes[COPY] = bytes > sizes[COPY] ? bytes : sizes[COPY];
            if ((passes & CLDEFORM_FORWARD) && pool->plan.sorts) {
                sizes[IMAGES] = sizes[CELLS] = sizes[ORDER] = n * sizeof(cl_int);
                sizes[STARTS] = ((size_t)problem->batch + 1) * sizeof(cl_int);
                sizes[COUNTS] = counts > sizes[COUNTS] ? counts : sizes[COUNTS];
            }
        }
}

/* Of a call that does these passes together. */
static void find_one(const cldeform_roi_pool *pool, cldeform_passes passes, int64_t rois, size_t *minimum,
                     size_t *preferred)
{
    size_t sizes[ROI_PARTS];
    cldeform__roi_part_sizes(pool, passes, rois, false, sizes);
    if (!cldeform__workspace_bytes(pool->context, sizes, ROI_PARTS, minimum))
        *minimum = SIZE_MAX;
    cldeform__roi_part_sizes(pool, passes, rois, true, sizes);
    if (!cldeform__workspace_bytes(pool->context, sizes, ROI_PARTS, preferred) || *preferred > pool->workspace_limit)
        *preferred = *minimum;
}

void cldeform__roi_workspace(const cldeform_roi_pool *pool, cldeform_passes passes, int64_t rois, size_t *minimum,
                             size_t *preferred)
{
    const cldeform_passes calls[] = {passes & CLDEFORM_FORWARD, passes & CLDEFORM_BACKWARD};
    *minimum = *preferred = 0;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        size_t least = 0, most = 0;
        if (!calls[i])
            continue;
        find_one(pool, calls[i], rois, &least, &most);
        *minimum = least > *minimum ? least : *minimum;
        *preferred = most > *preferred ? most : *preferred;
    }
}
