/* The calls that enqueue: everything is checked here. */
#include "roi_pool.h"

#include <stdio.h>
#include <string.h>

cldeform_status cldeform__roi_check_object(const cldeform_roi_pool *pool, cldeform_passes pass, int64_t rois,
                                           cl_event *done)
{
    if (done)
        *done = NULL;
    if (!pool)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "pool is NULL");
    if (!(pool->problem.passes & pass))
        return cldeform__fail(CLDEFORM_NOT_PREPARED,
                              "problem.passes was 0x%llx when the object was created; this call needs 0x%llx",
                              (unsigned long long)pool->problem.passes, (unsigned long long)pass);
    if (rois < 0 || rois > pool->problem.max_rois)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "rois is %lld; it must be 0 to problem.max_rois, %lld",
                              (long long)rois, (long long)pool->problem.max_rois);
    return CLDEFORM_OK;
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

static const char *const input_names[CLDEFORM_MAX_LEVELS] = {"tensors.input[0]", "tensors.input[1]", "tensors.input[2]",
                                                             "tensors.input[3]", "tensors.input[4]", "tensors.input[5]",
                                                             "tensors.input[6]", "tensors.input[7]"};
static const char *const grad_input_names[CLDEFORM_MAX_LEVELS] = {
    "gradients.grad_input[0]", "gradients.grad_input[1]", "gradients.grad_input[2]", "gradients.grad_input[3]",
    "gradients.grad_input[4]", "gradients.grad_input[5]", "gradients.grad_input[6]", "gradients.grad_input[7]"};

#define NO_LEVEL  "problem.levels is less"
#define NO_OFFSET "problem.deformable is 0"
#define NO_MASK   "problem.modulated is 0"
#define NO_ARGMAX "problem.method is not CLDEFORM_ROI_MAX"

void cldeform__roi_common_rules(const cldeform_roi_pool *pool, const cldeform_roi_pool_tensors *tensors,
                                bool reads_input, bool forward, cldeform__roi_operands *operands,
                                cldeform__operand_rule rules[CLDEFORM__ROI_COMMON])
{
    const cldeform_roi_pool_problem *problem = &pool->problem;
    const cldeform__roi_pool_sizes *sizes = &pool->sizes;
    const size_t data = cldeform__dtype_size(problem->dtype), offsets = cldeform__dtype_size(problem->offset_dtype);
    const bool max = problem->method == CLDEFORM_ROI_MAX;
    for (int i = 0; i < CLDEFORM_MAX_LEVELS; i++)
        rules[CLDEFORM__ROI_INPUT + i] = (cldeform__operand_rule){.name = input_names[i],
                                                                  .tensor = tensors->input[i],
                                                                  .operand = &operands->input[i],
                                                                  .presence = i >= problem->levels ? ABSENT
                                                                              : reads_input        ? REQUIRED
                                                                                                   : OPTIONAL,
                                                                  .batched = true,
                                                                  .images = &problem->batch,
                                                                  .elements = sizes->input[i],
                                                                  .element_size = data,
                                                                  .why_not = NO_LEVEL};
#define TENSOR(field) .name = "tensors." #field, .tensor = tensors->field, .operand = &operands->field, .batched = true
    rules[CLDEFORM__ROI_ROIS] = (cldeform__operand_rule){TENSOR(rois), .presence = REQUIRED, .elements = 5,
                                                         .element_size = cldeform__dtype_size(problem->roi_dtype)};
    rules[CLDEFORM__ROI_LEVEL] =
        (cldeform__operand_rule){TENSOR(level), .presence = OPTIONAL, .elements = 1, .element_size = sizeof(cl_int)};
    rules[CLDEFORM__ROI_OFFSET] =
        (cldeform__operand_rule){TENSOR(offset), .presence = problem->deformable ? REQUIRED : ABSENT,
                                 .elements = sizes->offset, .element_size = offsets, .why_not = NO_OFFSET};
    rules[CLDEFORM__ROI_MASK] =
        (cldeform__operand_rule){TENSOR(mask), .presence = problem->modulated ? REQUIRED : ABSENT,
                                 .elements = sizes->mask, .element_size = offsets, .why_not = NO_MASK};
    rules[CLDEFORM__ROI_ARGMAX] = (cldeform__operand_rule){TENSOR(argmax),
                                                           .presence = !max      ? ABSENT
                                                                       : forward ? OPTIONAL
                                                                                 : REQUIRED,
                                                           .written = forward,
                                                           .elements = sizes->output,
                                                           .element_size = sizeof(cl_int),
                                                           .why_not = NO_ARGMAX};
#undef TENSOR
}

/* ---- forward ------------------------------------------------------------------------------------------- */

enum { OUTPUT = CLDEFORM__ROI_COMMON, N_FORWARD };

cldeform_status cldeform_roi_pool_forward(const cldeform_roi_pool *pool, cl_command_queue queue, int64_t rois,
                                          const cldeform_roi_pool_tensors *given, const cldeform_workspace *workspace,
                                          cl_uint n_wait, const cl_event *wait, cl_event *done)
{
    cldeform_status status;
    cldeform__call call;
    cldeform_roi_pool_tensors tensors;
    cldeform__roi_operands operands;
    cldeform__operand_rule rules[N_FORWARD];
    cldeform__range ranges[N_FORWARD + 1];
    size_t minimum = 0, preferred = 0;
    memset(&operands, 0, sizeof operands);
    memset(ranges, 0, sizeof ranges);
    if ((status = cldeform__roi_check_object(pool, CLDEFORM_FORWARD, rois, done)) != CLDEFORM_OK ||
        (status = cldeform__call_begin(&call, pool->context, queue, "roi_pool_forward", n_wait, wait, done != NULL)) !=
            CLDEFORM_OK)
        return status;
    TRY(cldeform__take_struct(&tensors, sizeof tensors, given, "tensors"));
    cldeform__roi_common_rules(pool, &tensors, true, true, &operands, rules);
    rules[OUTPUT] = (cldeform__operand_rule){.name = "tensors.output",
                                             .tensor = tensors.output,
                                             .operand = &operands.output,
                                             .presence = REQUIRED,
                                             .batched = true,
                                             .written = true,
                                             .elements = pool->sizes.output,
                                             .element_size = cldeform__dtype_size(pool->problem.dtype)};
    TRY(cldeform__check_operands(pool->context, rules, N_FORWARD, rois, ranges));
    cldeform__roi_workspace(pool, CLDEFORM_FORWARD, rois, &minimum, &preferred);
    if (workspace)
        TRY(cldeform__check_scratch(pool->context, workspace, minimum, ranges, N_FORWARD + 1));
    if (rois > 0)
        TRY(cldeform__roi_run(pool, &call, rois, &operands, NULL, workspace ? &ranges[N_FORWARD] : NULL));
done:
    return cldeform__call_end(&call, status, done);
}

/* ---- backward ------------------------------------------------------------------------------------------ */

enum {
    GRAD_OUTPUT = CLDEFORM__ROI_COMMON,
    GRAD_OFFSET,
    GRAD_MASK,
    GRAD_INPUT,
    N_BACKWARD = GRAD_INPUT + CLDEFORM_MAX_LEVELS
};

/* Which gradients are asked for: those whose buffers are there. */
static cldeform_status find_wanted(const cldeform_roi_pool *pool, int64_t rois,
                                   const cldeform_roi_pool_gradients *gradients, cldeform_passes *wanted)
{
    cl_mem any_input = NULL;
    for (int i = 0; i < CLDEFORM_MAX_LEVELS && !any_input; i++)
        any_input = gradients->grad_input[i].buffer;
    const struct {
        const char *name;
        cldeform_passes bit;
        cl_mem buffer;
        const char *why_not;
    } all[] = {
        {"grad_input", CLDEFORM_GRAD_INPUT, any_input, NULL},
        {"grad_offset", CLDEFORM_GRAD_OFFSET, gradients->grad_offset.buffer,
         pool->problem.deformable ? NULL : NO_OFFSET},
        {"grad_mask", CLDEFORM_GRAD_MASK, gradients->grad_mask.buffer, pool->problem.modulated ? NULL : NO_MASK},
    };
    const cldeform_passes bits = CLDEFORM_GRAD_INPUT | CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK;
    *wanted = 0;
    if (gradients->accumulate & ~bits)
        return cldeform__fail(
            CLDEFORM_INVALID_ARGUMENT,
            "gradients.accumulate is 0x%llx; its bits must be of GRAD_INPUT, GRAD_OFFSET and GRAD_MASK",
            (unsigned long long)gradients->accumulate);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].buffer && all[i].why_not)
            return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "gradients.%s.buffer is not NULL; it must be, because %s",
                                  all[i].name, all[i].why_not);
        if (all[i].buffer && !(pool->problem.passes & all[i].bit))
            return cldeform__fail(
                CLDEFORM_NOT_PREPARED,
                "gradients.%s is asked for, but problem.passes was 0x%llx when the object was created; "
                "it needs 0x%llx",
                all[i].name, (unsigned long long)pool->problem.passes, (unsigned long long)all[i].bit);
        if (!all[i].buffer && (gradients->accumulate & all[i].bit))
            return cldeform__fail(
                CLDEFORM_INVALID_ARGUMENT,
                "gradients.accumulate is 0x%llx, but gradients.%s.buffer is NULL; it must be a buffer",
                (unsigned long long)gradients->accumulate, all[i].name);
        if (all[i].buffer)
            *wanted |= all[i].bit;
    }
    if (*wanted == 0 && rois > 0 && pool->problem.batch > 0)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                              "no gradient is asked for; one of gradients.grad_input, grad_offset and grad_mask must "
                              "have a buffer");
    return CLDEFORM_OK;
}

static void backward_rules(const cldeform_roi_pool *pool, const cldeform_roi_pool_tensors *tensors,
                           const cldeform_roi_pool_gradients *given, cldeform__roi_operands *operands,
                           cldeform__roi_gradients *gradients, cldeform__operand_rule rules[N_BACKWARD])
{
    const cldeform_roi_pool_problem *problem = &pool->problem;
    const cldeform__roi_pool_sizes *sizes = &pool->sizes;
    const size_t data = cldeform__dtype_size(problem->dtype), offsets = cldeform__dtype_size(problem->offset_dtype);
    const cldeform_passes wanted = gradients->wanted;
    cldeform__roi_common_rules(pool, tensors, (wanted & ~CLDEFORM_GRAD_INPUT) != 0, false, operands, rules);
    if (!(wanted & CLDEFORM_GRAD_INPUT) && rules[CLDEFORM__ROI_ARGMAX].presence == REQUIRED)
        rules[CLDEFORM__ROI_ARGMAX].presence = OPTIONAL;
#define GRADIENT(field)                                                                                                \
    .name = "gradients." #field, .tensor = given->field, .operand = &gradients->field, .batched = true
#define OUT(bit)                                                                                                       \
    .presence = wanted & (bit) ? REQUIRED : OPTIONAL, .written = true, .read = (given->accumulate & (bit)) != 0
    rules[GRAD_OUTPUT] = (cldeform__operand_rule){GRADIENT(grad_output), .presence = REQUIRED,
                                                  .elements = sizes->output, .element_size = data};
    rules[GRAD_OFFSET] = (cldeform__operand_rule){GRADIENT(grad_offset), OUT(CLDEFORM_GRAD_OFFSET),
                                                  .elements = sizes->offset, .element_size = offsets};
    rules[GRAD_MASK] = (cldeform__operand_rule){GRADIENT(grad_mask), OUT(CLDEFORM_GRAD_MASK), .elements = sizes->mask,
                                                .element_size = offsets};
    for (int i = 0; i < CLDEFORM_MAX_LEVELS; i++) {
        rules[GRAD_INPUT + i] =
            (cldeform__operand_rule){GRADIENT(grad_input[i]),     OUT(CLDEFORM_GRAD_INPUT), .images = &problem->batch,
                                     .elements = sizes->input[i], .element_size = data,     .why_not = NO_LEVEL};
        rules[GRAD_INPUT + i].name = grad_input_names[i];
        if (i >= problem->levels)
            rules[GRAD_INPUT + i].presence = ABSENT;
    }
#undef GRADIENT
#undef OUT
}

cldeform_status cldeform_roi_pool_backward(const cldeform_roi_pool *pool, cl_command_queue queue, int64_t rois,
                                           const cldeform_roi_pool_tensors *given_tensors,
                                           const cldeform_roi_pool_gradients *given_gradients,
                                           const cldeform_workspace *workspace, cl_uint n_wait, const cl_event *wait,
                                           cl_event *done)
{
    cldeform_status status;
    cldeform__call call;
    cldeform_roi_pool_tensors tensors;
    cldeform_roi_pool_gradients given;
    cldeform__roi_operands operands;
    cldeform__roi_gradients gradients;
    cldeform__operand_rule rules[N_BACKWARD];
    cldeform__range ranges[N_BACKWARD + 1];
    size_t minimum = 0, preferred = 0;
    memset(&operands, 0, sizeof operands);
    memset(&gradients, 0, sizeof gradients);
    memset(ranges, 0, sizeof ranges);
    if ((status = cldeform__roi_check_object(pool, CLDEFORM_BACKWARD, rois, done)) != CLDEFORM_OK ||
        (status = cldeform__call_begin(&call, pool->context, queue, "roi_pool_backward", n_wait, wait, done != NULL)) !=
            CLDEFORM_OK)
        return status;
    TRY(cldeform__take_struct(&tensors, sizeof tensors, given_tensors, "tensors"));
    TRY(cldeform__take_struct(&given, sizeof given, given_gradients, "gradients"));
    TRY(find_wanted(pool, rois, &given, &gradients.wanted));
    gradients.accumulate = given.accumulate;
    backward_rules(pool, &tensors, &given, &operands, &gradients, rules);
    TRY(cldeform__check_operands(pool->context, rules, N_BACKWARD, rois, ranges));
    cldeform__roi_workspace(pool, gradients.wanted, rois, &minimum, &preferred);
    if (workspace)
        TRY(cldeform__check_scratch(pool->context, workspace, minimum, ranges, N_BACKWARD + 1));
    if (gradients.wanted)
        TRY(cldeform__roi_run(pool, &call, rois, &operands, &gradients, workspace ? &ranges[N_BACKWARD] : NULL));
done:
    return cldeform__call_end(&call, status, done);
}
