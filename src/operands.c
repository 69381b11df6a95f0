#include "operands.h"

#include "atomics.h"

cl_ulong2 cldeform__place_of(const cldeform__operand *operand)
{
    return (cl_ulong2){{operand->start, operand->stride}};
}

cldeform_status cldeform__create_scratch(const cldeform_context *context, cl_command_queue queue, int64_t elements,
                                         size_t element_size, cldeform__operand *operand)
{
    cl_int error = CL_SUCCESS;
    const cl_double zero = 0;
    if (elements == 0)
        return CLDEFORM_OK;
    const size_t size = ((size_t)elements * element_size + sizeof zero - 1) / sizeof zero * sizeof zero;
    operand->stride = (size_t)elements;
    operand->buffer = clCreateBuffer(context->cl, CL_MEM_READ_WRITE, size, NULL, &error);
    if (error == CL_SUCCESS)
        error = clEnqueueFillBuffer(queue, operand->buffer, &zero, sizeof zero, 0, size, 0, NULL, NULL);
    return error == CL_SUCCESS ? CLDEFORM_OK : cldeform__fail_cl(error, "scratch tensor of %zu bytes", size);
}

void cldeform__release_scratch(const cldeform__operand *operands, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (operands[i].buffer)
            clReleaseMemObject(operands[i].buffer);
}

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
    const int64_t images = rule->images ? *rule->images : batch;
    const cldeform__tensor_check check = {rule->name,     rule->tensor,       rule->batched ? images : 1,
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
