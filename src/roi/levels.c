/* What RoIs are like: levels, and how many are wrong. */
#include "steps.h"

#include <assert.h>
#include <string.h>

static_assert(sizeof(cldeform_roi_statistics) == 5 * sizeof(uint64_t), "cl/roi_levels.cl has another size");

/* ---- launches ------------------------------------------------------------------------------------------ */

cldeform_status cldeform__roi_enqueue_levels(const cldeform_roi_pool *pool, cldeform__call *call, int64_t rois,
                                             const cldeform__operand *roi, const cldeform__operand *level)
{
    const roi_geometry geometry = cldeform__roi_geometry(pool, 0);
    const cl_float8 areas = cldeform__roi_level_areas(&pool->problem);
    const cl_ulong n = (cl_ulong)rois;
    const cl_ulong2 roi_place = cldeform__place_of(roi), level_place = cldeform__place_of(level);
    const cldeform__argument arguments[] = {ARGUMENT(geometry),    ARGUMENT(areas),     ARGUMENT(n),
                                            ARGUMENT(roi->buffer), ARGUMENT(roi_place), ARGUMENT(level->buffer),
                                            ARGUMENT(level_place)};
    const cldeform__launch launch = {
        .step = "assign_levels",
        .kernel = pool->plan.assign_levels,
        .arguments = arguments,
        .n_arguments = sizeof arguments / sizeof arguments[0],
        .items = {(size_t)rois, 1, 1},
        .group = (size_t)call->context->tuning.im2col_group,
        .bytes = (double)rois * (double)(sizeof(cl_int) + 5 * cldeform__dtype_size(pool->problem.roi_dtype)),
    };
    return cldeform__call_launch(call, &launch);
}

cldeform_status cldeform__roi_enqueue_count(const cldeform_roi_pool *pool, cldeform__call *call, int64_t rois,
                                            const cldeform__operand *roi, const cldeform__operand *level,
                                            const cldeform__operand *result)
{
    const roi_geometry geometry = cldeform__roi_geometry(pool, 0);
    const cl_ulong n = (cl_ulong)rois, first_result = result->start;
    const cl_ulong2 roi_place = cldeform__place_of(roi), level_place = cldeform__place_of(level);
    size_t lanes = (size_t)call->context->tuning.im2col_group;
    lanes = lanes < pool->plan.count->max_group ? lanes : pool->plan.count->max_group;
    const cldeform__argument arguments[] = {
        ARGUMENT(geometry),
        ARGUMENT(n),
        ARGUMENT(roi->buffer),
        ARGUMENT(roi_place),
        ARGUMENT(level->buffer),
        ARGUMENT(level_place),
        {4 * lanes * sizeof(cl_ulong), NULL},
        ARGUMENT(result->buffer),
        ARGUMENT(first_result),
    };
    const cldeform__launch launch = {
        .step = "count",
        .kernel = pool->plan.count,
        .arguments = arguments,
        .n_arguments = sizeof arguments / sizeof arguments[0],
        .items = {lanes, 1, 1},
        .group = lanes,
        .bytes = (double)rois * 5 * (double)cldeform__dtype_size(pool->problem.roi_dtype),
    };
    return cldeform__call_launch(call, &launch);
}

/* ---- calls --------------------------------------------------------------------------------------------- */

static cldeform__operand_rule roi_rule(const cldeform_roi_pool *pool, const char *name, const cldeform_tensor *tensor,
                                       cldeform__operand *operand)
{
    return (cldeform__operand_rule){.name = name,
                                    .tensor = *tensor,
                                    .operand = operand,
                                    .presence = REQUIRED,
                                    .batched = true,
                                    .elements = 5,
                                    .element_size = cldeform__dtype_size(pool->problem.roi_dtype)};
}

cldeform_status cldeform_roi_pool_assign_levels(const cldeform_roi_pool *pool, cl_command_queue queue, int64_t rois,
                                                const cldeform_tensor *roi_tensor, const cldeform_tensor *level,
                                                cl_uint n_wait, const cl_event *wait, cl_event *done)
{
    cldeform_status status;
    cldeform__call call;
    cldeform__operand operands[2];
    cldeform__range ranges[2];
    memset(operands, 0, sizeof operands);
    if ((status = cldeform__roi_check_object(pool, CLDEFORM_STATISTICS, rois, done)) != CLDEFORM_OK ||
        (status = cldeform__call_begin(&call, pool->context, queue, "roi_pool_assign_levels", n_wait, wait,
                                       done != NULL)) != CLDEFORM_OK)
        return status;
    if (!roi_tensor || !level) {
        status = cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "%s is NULL", roi_tensor ? "level" : "roi_tensor");
        goto done;
    }
    const cldeform__operand_rule rules[2] = {
        roi_rule(pool, "roi_tensor", roi_tensor, &operands[0]),
        {.name = "level",
         .tensor = *level,
         .operand = &operands[1],
         .presence = REQUIRED,
         .batched = true,
         .written = true,
         .elements = 1,
         .element_size = sizeof(cl_int)},
    };
    TRY(cldeform__check_operands(pool->context, rules, 2, rois, ranges));
    if (rois > 0)
        TRY(cldeform__roi_enqueue_levels(pool, &call, rois, &operands[0], &operands[1]));
done:
    return cldeform__call_end(&call, status, done);
}

cldeform_status cldeform_roi_pool_statistics(const cldeform_roi_pool *pool, cl_command_queue queue, int64_t rois,
                                             const cldeform_roi_pool_tensors *given, const cldeform_tensor *result,
                                             cl_uint n_wait, const cl_event *wait, cl_event *done)
{
    cldeform_status status;
    cldeform__call call;
    cldeform_roi_pool_tensors tensors;
    cldeform__operand operands[3];
    cldeform__range ranges[3];
    memset(operands, 0, sizeof operands);
    if ((status = cldeform__roi_check_object(pool, CLDEFORM_STATISTICS, rois, done)) != CLDEFORM_OK ||
        (status = cldeform__call_begin(&call, pool->context, queue, "roi_pool_statistics", n_wait, wait,
                                       done != NULL)) != CLDEFORM_OK)
        return status;
    TRY(cldeform__check_byte_order(pool->context));
    TRY(cldeform__take_struct(&tensors, sizeof tensors, given, "tensors"));
    if (!result) {
        status = cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "result is NULL");
        goto done;
    }
    const size_t loop_limit = pool->context->facts.loop_limit;
    if (loop_limit && (size_t)rois > loop_limit) {
        status = cldeform__fail(CLDEFORM_UNSUPPORTED, "%s ends loops after %zu iterations, too few for so many RoIs",
                                pool->context->facts.name, loop_limit);
        goto done;
    }
    const cldeform__operand_rule rules[3] = {
        roi_rule(pool, "tensors.rois", &tensors.rois, &operands[0]),
        {.name = "tensors.level",
         .tensor = tensors.level,
         .operand = &operands[1],
         .presence = OPTIONAL,
         .batched = true,
         .elements = 1,
         .element_size = sizeof(cl_int)},
        {.name = "result",
         .tensor = *result,
         .operand = &operands[2],
         .presence = REQUIRED,
         .written = true,
         .elements = 1,
         .element_size = sizeof(cldeform_roi_statistics)},
    };
    TRY(cldeform__check_operands(pool->context, rules, 3, rois, ranges));
    TRY(cldeform__roi_enqueue_count(pool, &call, rois, &operands[0], &operands[1], &operands[2]));
done:
    return cldeform__call_end(&call, status, done);
}
