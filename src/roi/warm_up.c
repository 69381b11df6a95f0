/* Runs what an object has prepared once, on scratch tensors: some drivers compile at the first launch. */
#include "roi_pool.h"

#include <string.h>

typedef struct scratch {
    cldeform__roi_operands operands;
    cldeform__roi_gradients gradients;
    cldeform__operand result;
} scratch;

/* Tensors of one image and one RoI, all zeros: a RoI of image 0. */
static cldeform_status create_all(const cldeform_roi_pool *pool, cl_command_queue queue, scratch *s)
{
    cldeform_status status = CLDEFORM_OK;
    const cldeform_roi_pool_problem *problem = &pool->problem;
    const cldeform__roi_pool_sizes *sizes = &pool->sizes;
    const size_t data = cldeform__dtype_size(problem->dtype), offsets = cldeform__dtype_size(problem->offset_dtype);
    const cldeform_passes passes = problem->passes;
    const struct {
        bool wanted;
        int64_t elements;
        size_t element_size;
        cldeform__operand *operand;
    } all[] = {
        {true, 5, cldeform__dtype_size(problem->roi_dtype), &s->operands.rois},
        {true, 1, sizeof(cl_int), &s->operands.level},
        {true, sizes->offset, offsets, &s->operands.offset},
        {true, sizes->mask, offsets, &s->operands.mask},
        {true, sizes->output, data, &s->operands.output},
        {problem->method == CLDEFORM_ROI_MAX, sizes->output, sizeof(cl_int), &s->operands.argmax},
        {(passes & CLDEFORM_BACKWARD) != 0, sizes->output, data, &s->gradients.grad_output},
        {(passes & CLDEFORM_GRAD_OFFSET) != 0, sizes->offset, offsets, &s->gradients.grad_offset},
        {(passes & CLDEFORM_GRAD_MASK) != 0, sizes->mask, offsets, &s->gradients.grad_mask},
        {(passes & CLDEFORM_STATISTICS) != 0, 1, sizeof(cldeform_roi_statistics), &s->result},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i].wanted)
            TRY(cldeform__create_scratch(pool->context, queue, all[i].elements, all[i].element_size, all[i].operand));
    for (int64_t i = 0; i < problem->levels; i++) {
        TRY(cldeform__create_scratch(pool->context, queue, sizes->input[i], data, &s->operands.input[i]));
        if (passes & CLDEFORM_GRAD_INPUT)
            TRY(cldeform__create_scratch(pool->context, queue, sizes->input[i], data, &s->gradients.grad_input[i]));
    }
done:
    return status;
}

static cldeform_status run(const cldeform_roi_pool *pool, cldeform__call *call, scratch *s)
{
    cldeform_status status = CLDEFORM_OK;
    const cldeform_passes passes = pool->problem.passes;
    s->gradients.wanted = passes & CLDEFORM_BACKWARD;
    if (passes & CLDEFORM_FORWARD)
        TRY(cldeform__roi_run(pool, call, 1, &s->operands, NULL, NULL));
    if (passes & CLDEFORM_BACKWARD)
        TRY(cldeform__roi_run(pool, call, 1, &s->operands, &s->gradients, NULL));
    if (passes & CLDEFORM_STATISTICS) {
        TRY(cldeform__roi_enqueue_count(pool, call, 1, &s->operands.rois, &s->operands.level, &s->result));
        TRY(cldeform__roi_enqueue_levels(pool, call, 1, &s->operands.rois, &s->operands.level));
    }
done:
    return status;
}

cldeform_status cldeform_roi_pool_warm_up(const cldeform_roi_pool *pool, cl_command_queue queue)
{
    cldeform_status status;
    cldeform__call call;
    scratch s;
    memset(&s, 0, sizeof s);
    if (!pool)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "pool is NULL");
    status = cldeform__call_begin(&call, pool->context, queue, "roi_pool_warm_up", 0, NULL, false);
    if (status != CLDEFORM_OK)
        return status;
    cldeform_roi_pool one = *pool; /* with one image, whatever the batch: what is compiled does not depend on it */
    one.problem.batch = 1;
    TRY(create_all(&one, queue, &s));
    const cl_int error = clFinish(queue);
    if (error != CL_SUCCESS) {
        status = cldeform__fail_cl(error, "clFinish");
        goto done;
    }
    TRY(run(&one, &call, &s));
    one.plan.always_copies = true; /* as calls with many RoIs do, and those with one do not */
    TRY(run(&one, &call, &s));
done:
    status = cldeform__call_end(&call, status, NULL);
    const cl_int finished = clFinish(queue);
    if (status == CLDEFORM_OK && finished != CL_SUCCESS)
        status = cldeform__fail_cl(finished, "clFinish");
    cldeform__release_scratch(s.operands.input, CLDEFORM_MAX_LEVELS);
    cldeform__release_scratch(s.gradients.grad_input, CLDEFORM_MAX_LEVELS);
    cldeform__operand others[] = {
        s.operands.rois,   s.operands.level,        s.operands.offset,       s.operands.mask,       s.operands.output,
        s.operands.argmax, s.gradients.grad_output, s.gradients.grad_offset, s.gradients.grad_mask, s.result};
    cldeform__release_scratch(others, sizeof others / sizeof others[0]);
    return status;
}
