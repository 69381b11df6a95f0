/* Life of a RoI pooling object, and what can be asked of it. */
#include "roi_pool.h"
#include "../arguments.h"
#include "steps.h"

#include <stdlib.h>

cldeform_status cldeform_roi_pool_create(cldeform_context *context, const cldeform_roi_pool_problem *problem,
                                         cldeform_roi_pool **out)
{
    cldeform_status status;
    cldeform_roi_pool *pool = NULL;
    if (!out)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "out is NULL; it must point to where the object goes");
    *out = NULL;
    if (!context)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "context is NULL");
    pool = calloc(1, sizeof *pool);
    if (!pool)
        return cldeform__fail(CLDEFORM_OUT_OF_MEMORY, "no memory for a RoI pooling object");
    pool->context = context;
    cldeform__context_retain(context);
    TRY(cldeform__roi_pool_check(problem, &pool->problem, &pool->sizes));
    TRY(cldeform__check_fp64(context, "dtype", pool->problem.dtype));
    TRY(cldeform__check_fp64(context, "offset_dtype", pool->problem.offset_dtype));
    TRY(cldeform__check_fp64(context, "roi_dtype", pool->problem.roi_dtype));
    pool->workspace_limit = (size_t)context->facts.max_allocation;
    if (pool->problem.workspace_limit != 0 && pool->problem.workspace_limit < pool->workspace_limit)
        pool->workspace_limit = pool->problem.workspace_limit;
    TRY(cldeform__roi_prepare(pool));
done:
    if (status == CLDEFORM_OK)
        *out = pool;
    else
        cldeform_roi_pool_destroy(pool);
    return status;
}

void cldeform_roi_pool_destroy(cldeform_roi_pool *pool)
{
    if (!pool)
        return;
    cldeform__context_release(pool->context);
    free(pool);
}

/* passes asked about must be of those prepared, but for those that the problem lacks. */
static cldeform_status check_passes(const cldeform_roi_pool *pool, cldeform_passes passes)
{
    if (!pool)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "pool is NULL");
    if (passes == 0 || (passes & ~(pool->problem.passes | cldeform__roi_pool_lacks(&pool->problem))))
        return cldeform__fail(passes == 0 ? CLDEFORM_INVALID_ARGUMENT : CLDEFORM_NOT_PREPARED,
                              "passes is 0x%llx; it must be of those that the object was created with, 0x%llx",
                              (unsigned long long)passes, (unsigned long long)pool->problem.passes);
    return CLDEFORM_OK;
}

cldeform_status cldeform_roi_pool_workspace_size(const cldeform_roi_pool *pool, cldeform_passes passes, size_t *minimum,
                                                 size_t *preferred)
{
    size_t least = 0, most = 0;
    const cldeform_status status = check_passes(pool, passes);
    if (status != CLDEFORM_OK)
        return status;
    cldeform__roi_workspace(pool, passes & pool->problem.passes, pool->problem.max_rois, &least, &most);
    if (minimum)
        *minimum = least;
    if (preferred)
        *preferred = most;
    return CLDEFORM_OK;
}

cldeform_status cldeform_roi_pool_is_deterministic(const cldeform_roi_pool *pool, cldeform_passes passes,
                                                   int32_t *deterministic)
{
    const cldeform_status status = check_passes(pool, passes);
    if (status != CLDEFORM_OK)
        return status;
    if (!deterministic)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "deterministic is NULL");
    *deterministic = 1;
    return CLDEFORM_OK;
}

cldeform_status cldeform_roi_pool_describe(const cldeform_roi_pool *pool, char *out, size_t capacity, size_t *needed)
{
    if (!pool)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "pool is NULL");
    if (!out && capacity > 0)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "text is NULL and capacity %zu; it must be 0 then", capacity);
    static const char *const methods[] = {"align", "ps_align", "ps", "max"};
    const cldeform_roi_pool_problem *problem = &pool->problem;
    const cldeform_passes of_bins = CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK;
    const int passes = ((problem->passes & CLDEFORM_FORWARD) != 0) + ((problem->passes & CLDEFORM_GRAD_INPUT) != 0) +
                       ((problem->passes & of_bins) != 0);
    /* in whole numbers: the decimal point of printf depends on the program's locale */
    const double work = passes * cldeform__roi_pass_flop(pool, problem->max_rois);
    const unsigned long long flop = work < 1e19 ? (unsigned long long)work : 10000000000000000000u;
    size_t minimum = 0, preferred = 0;
    cldeform__text text = {0};
    cldeform__roi_workspace(pool, problem->passes, problem->max_rois, &minimum, &preferred);
    cldeform__text_add(
        &text, "{\"operation\":\"roi_pool\",\"method\":\"%s\",\"deformable\":%s,\"modulated\":%s,\"device\":",
        methods[problem->method], problem->deformable ? "true" : "false", problem->modulated ? "true" : "false");
    cldeform__text_add_json(&text, pool->context->facts.name);
    cldeform__text_add(
        &text,
        ",\"algorithm\":\"direct\",\"reason\":\"the only algorithm\",\"dtype\":\"%s\",\"offset_dtype\":\"%s\","
        "\"roi_dtype\":\"%s\",\"workspace_bytes\":%zu,\"workspace_minimum\":%zu,\"workspace_limit\":%zu,"
        "\"gflop\":%llu.%09llu,\"deterministic\":true,\"tuning\":",
        cldeform__dtype_name(problem->dtype), cldeform__dtype_name(problem->offset_dtype),
        cldeform__dtype_name(problem->roi_dtype), preferred, minimum, pool->workspace_limit, flop / 1000000000,
        flop % 1000000000);
    cldeform__text_add_json(&text, pool->context->tuning.source);
    cldeform__text_add(&text,
                       ",\"channel_block\":%d,\"lanes\":%zu,\"tile_lanes\":%zu,\"tile\":[%d,%d],\"copies_input\":%s,"
                       "\"kernel_options\":\"%s\"}",
                       pool->plan.vector * pool->plan.vectors, pool->plan.lanes, pool->plan.tile_lanes,
                       pool->plan.tile_h, pool->plan.tile_w,
                       cldeform__roi_reads_copy(pool, 0, problem->max_rois) ? "true" : "false", pool->plan.options);
    return cldeform__text_give(&text, out, capacity, needed);
}
