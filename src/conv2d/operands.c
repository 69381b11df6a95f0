#include "operands.h"

#include "../atomics.h"

static cldeform_status check_operand(const cldeform_context *context, const cldeform__operand_rule *rule, int64_t batch,
                                     cldeform__range *range)
{
    *range = (cldeform__range){.name = rule->name};
    if (rule->presence == ABSENT && rule->tensor.buffer)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "%s.buffer is not NULL; it must be, because %s", rule->name,
                              rule->why_not);
    if (rule->presence != REQUIRED && !rule->tensor.buffer)
        return CLDEFORM_OK;
    if (!rule->batched && rule->tensor.batch_stride != 0)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                              "%s.batch_stride is %zu; it must be 0 for a tensor that has no batch", rule->name,
                              rule->tensor.batch_stride);
    const cldeform__tensor_check check = {rule->name,     rule->tensor,       rule->batched ? batch : 1,
                                          rule->elements, rule->element_size, rule->written};
    const cldeform_status status = cldeform__check_tensor(context, &check, range, &rule->operand->stride);
    if (status != CLDEFORM_OK)
        return status;
    if (rule->read && (range->flags & CL_MEM_WRITE_ONLY))
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                              "%s.buffer is CL_MEM_WRITE_ONLY; it must be one that kernels may read, because its "
                              "gradient is accumulated",
                              rule->name);
    rule->operand->buffer = rule->tensor.buffer;
    rule->operand->start = rule->tensor.offset;
    rule->operand->flags = range->flags;
    return status;
}

cldeform_status cldeform__check_operands(const cldeform_context *context, const cldeform__operand_rule *rules, size_t n,
                                         int64_t batch, cldeform__range *ranges)
{
    cldeform_status status = CLDEFORM_OK;
    for (size_t i = 0; i < n; i++)
        TRY(check_operand(context, &rules[i], batch, &ranges[i]));
    for (size_t i = 0; i < n; i++)
        if (rules[i].written)
            TRY(cldeform__check_overlap(ranges, n, i));
done:
    return status;
}

cldeform_status cldeform__check_accumulate(const cldeform_conv2d_gradients *gradients)
{
    const struct {
        const char *name;
        cldeform_passes bit;
        cl_mem buffer;
    } all[] = {
        {"grad_input", CLDEFORM_GRAD_INPUT, gradients->grad_input.buffer},
        {"grad_offset", CLDEFORM_GRAD_OFFSET, gradients->grad_offset.buffer},
        {"grad_mask", CLDEFORM_GRAD_MASK, gradients->grad_mask.buffer},
        {"grad_weight", CLDEFORM_GRAD_WEIGHT, gradients->grad_weight.buffer},
        {"grad_bias", CLDEFORM_GRAD_BIAS, gradients->grad_bias.buffer},
    };
    if (gradients->accumulate & ~CLDEFORM_BACKWARD)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "gradients.accumulate is 0x%llx; its bits must be GRAD_* bits",
                              (unsigned long long)gradients->accumulate);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if ((gradients->accumulate & all[i].bit) && !all[i].buffer)
            return cldeform__fail(
                CLDEFORM_INVALID_ARGUMENT,
                "gradients.accumulate is 0x%llx, but gradients.%s.buffer is NULL; it must be a buffer",
                (unsigned long long)gradients->accumulate, all[i].name);
    return CLDEFORM_OK;
}

cldeform_status cldeform__check_scratch(cldeform_context *context, const cldeform_workspace *workspace, size_t minimum,
                                        cldeform__range *ranges, size_t n)
{
    cldeform_status status;
    TRY(cldeform__check_workspace(context, workspace, minimum, &ranges[n - 1]));
    TRY(cldeform__check_overlap(ranges, n, n - 1));
    if ((ranges[n - 1].flags & (CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR)) &&
        cldeform__atomics_need_device_memory(context))
        status = cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                                "workspace.buffer is CL_MEM_USE_HOST_PTR or CL_MEM_ALLOC_HOST_PTR; on %s it must be "
                                "neither, because atomic additions do nothing there",
                                context->facts.name);
done:
    return status;
}

static void move(cldeform__operand *operand, int64_t image)
{
    operand->start += (size_t)image * operand->stride;
}

cldeform__conv2d_operands cldeform__operands_from(const cldeform__conv2d_operands *operands, int64_t image)
{
    cldeform__conv2d_operands moved = *operands;
    move(&moved.input, image);
    move(&moved.offset, image);
    move(&moved.mask, image);
    move(&moved.output, image);
    return moved;
}

cldeform__conv2d_gradients cldeform__gradients_from(const cldeform__conv2d_gradients *gradients, int64_t image)
{
    cldeform__conv2d_gradients moved = *gradients;
    move(&moved.grad_output, image);
    move(&moved.grad_input, image);
    move(&moved.grad_offset, image);
    move(&moved.grad_mask, image);
    return moved;
}
