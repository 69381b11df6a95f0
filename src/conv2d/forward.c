/* The calls that enqueue: everything is checked here, before an algorithm sees it. */
#include "conv2d.h"

#include <string.h>

enum { INPUT, OFFSET, MASK, WEIGHT, BIAS, OUTPUT, PACKED, N_TENSORS };

typedef struct operand_rule {
    const char *name;
    cldeform_tensor tensor;
    cldeform__operand *operand;
    bool wanted, optional, batched, written;
    int64_t elements; /* of an image */
    size_t element_size;
    const char *why_not; /* why it must be absent where it is not wanted */
} operand_rule;

static cldeform_status check_operand(const cldeform_context *context, const operand_rule *rule, int64_t batch,
                                     cldeform__range *range)
{
    *range = (cldeform__range){.name = rule->name};
    if (!rule->wanted) {
        if (rule->tensor.buffer)
            return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "%s.buffer is not NULL; it must be, because %s",
                                  rule->name, rule->why_not);
        return CLDEFORM_OK;
    }
    if (rule->optional && !rule->tensor.buffer)
        return CLDEFORM_OK;
    if (!rule->batched && rule->tensor.batch_stride != 0)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                              "%s.batch_stride is %zu; it must be 0 for a tensor that has no batch", rule->name,
                              rule->tensor.batch_stride);
    const cldeform__tensor_check check = {rule->name,     rule->tensor,       rule->batched ? batch : 1,
                                          rule->elements, rule->element_size, rule->written};
    const cldeform_status status = cldeform__check_tensor(context, &check, range, &rule->operand->stride);
    rule->operand->buffer = rule->tensor.buffer;
    rule->operand->start = rule->tensor.offset;
    rule->operand->flags = range->flags;
    return status;
}

/* Packed weights count bytes: an offset that is not aligned is refused here, and is elements of one byte to the rest.
 */
static cldeform_status check_packed(const cldeform_tensor *packed, const char *name)
{
    if (packed->offset % CLDEFORM_WORKSPACE_ALIGNMENT != 0)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "%s.offset is %zu bytes; it must be a multiple of %d", name,
                              packed->offset, CLDEFORM_WORKSPACE_ALIGNMENT);
    return CLDEFORM_OK;
}

static cldeform_status check_tensors(const cldeform_conv2d *conv, const cldeform_conv2d_tensors *tensors,
                                     cldeform__conv2d_operands *operands, cldeform__range ranges[N_TENSORS])
{
    cldeform_status status;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const cldeform__conv2d_sizes *sizes = &conv->sizes;
    const size_t data = cldeform__dtype_size(problem->dtype), offsets = cldeform__dtype_size(problem->offset_dtype);
    const bool packs = tensors->packed_weight.buffer != NULL;
    size_t packed_bytes = 0;
    uint64_t format = 0;
    conv->algorithm->packed_weight(conv, &packed_bytes, &format);
    memset(operands, 0, sizeof *operands);
    if (packs)
        TRY(check_packed(&tensors->packed_weight, "tensors.packed_weight"));

    const char *unpacked_only = "this algorithm reads the weight as it is (cldeform_conv2d_packed_weight_size gives 0)";
    const operand_rule rules[N_TENSORS] = {
        [INPUT] = {"tensors.input", tensors->input, &operands->input, true, false, true, false, sizes->input, data,
                   NULL},
        [OFFSET] = {"tensors.offset", tensors->offset, &operands->offset, cldeform__conv2d_has_offset(problem), false,
                    true, false, sizes->offset, offsets, "problem.kind is CLDEFORM_CONV2D_PLAIN"},
        [MASK] = {"tensors.mask", tensors->mask, &operands->mask, cldeform__conv2d_has_mask(problem), false, true,
                  false, sizes->mask, offsets, "problem.kind is not CLDEFORM_CONV2D_MODULATED"},
        [WEIGHT] = {"tensors.weight", tensors->weight, &operands->weight, !packs, false, false, false, sizes->weight,
                    data, "tensors.packed_weight is given"},
        [BIAS] = {"tensors.bias", tensors->bias, &operands->bias, true, true, false, false, sizes->bias, data, NULL},
        [OUTPUT] = {"tensors.output", tensors->output, &operands->output, true, false, true, true, sizes->output, data,
                    NULL},
        [PACKED] = {"tensors.packed_weight", tensors->packed_weight, &operands->packed_weight, packed_bytes > 0, true,
                    false, false, (int64_t)packed_bytes, 1, unpacked_only},
    };
    for (int i = 0; i < N_TENSORS; i++)
        TRY(check_operand(conv->context, &rules[i], problem->batch, &ranges[i]));
    TRY(cldeform__check_overlap(ranges, N_TENSORS, OUTPUT));
done:
    return status;
}

/* Runs the forward pass on `batch` images of checked operands. range: the caller's workspace; NULL: allocate. */
static cldeform_status run_forward(const cldeform_conv2d *conv, cldeform__call *call, int64_t batch,
                                   const cldeform__conv2d_operands *operands, const cldeform__range *range)
{
    size_t minimum = 0, preferred = 0;
    cldeform__workspace workspace;
    conv->algorithm->workspace(conv, CLDEFORM_FORWARD, &minimum, &preferred);
    cldeform_status status = cldeform__workspace_begin(&workspace, conv->context, range, preferred);
    if (status == CLDEFORM_OUT_OF_MEMORY && minimum < preferred)
        status = cldeform__workspace_begin(&workspace, conv->context, range, minimum);
    if (status == CLDEFORM_OK)
        status = conv->algorithm->forward(conv, call, batch, operands, &workspace);
    cldeform__workspace_end(&workspace);
    return status;
}

static cldeform_status check_object(const cldeform_conv2d *conv, cldeform_passes pass, cl_event *done)
{
    if (done)
        *done = NULL;
    if (!conv)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "conv is NULL");
    if (!(conv->problem.passes & pass))
        return cldeform__fail(CLDEFORM_NOT_PREPARED,
                              "problem.passes was 0x%llx when the object was created; this call needs 0x%llx",
                              (unsigned long long)conv->problem.passes, (unsigned long long)pass);
    return CLDEFORM_OK;
}

cldeform_status cldeform_conv2d_forward(const cldeform_conv2d *conv, cl_command_queue queue,
                                        const cldeform_conv2d_tensors *given, const cldeform_workspace *workspace,
                                        cl_uint n_wait, const cl_event *wait, cl_event *done)
{
    cldeform_status status;
    cldeform__call call;
    cldeform_conv2d_tensors tensors;
    cldeform__conv2d_operands operands;
    cldeform__range ranges[N_TENSORS + 1];
    size_t minimum = 0, preferred = 0;
    memset(ranges, 0, sizeof ranges);
    if ((status = check_object(conv, CLDEFORM_FORWARD, done)) != CLDEFORM_OK ||
        (status = cldeform__call_begin(&call, conv->context, queue, "conv2d_forward", n_wait, wait, done != NULL)) !=
            CLDEFORM_OK)
        return status;
    TRY(cldeform__take_struct(&tensors, sizeof tensors, given, "tensors"));
    TRY(check_tensors(conv, &tensors, &operands, ranges));
    conv->algorithm->workspace(conv, CLDEFORM_FORWARD, &minimum, &preferred);
    if (workspace) {
        TRY(cldeform__check_workspace(conv->context, workspace, minimum, &ranges[N_TENSORS]));
        TRY(cldeform__check_overlap(ranges, N_TENSORS + 1, N_TENSORS));
    }
    if (conv->problem.batch > 0)
        TRY(run_forward(conv, &call, conv->problem.batch, &operands, workspace ? &ranges[N_TENSORS] : NULL));
done:
    return cldeform__call_end(&call, status, done);
}

cldeform_status cldeform_conv2d_pack_weight(const cldeform_conv2d *conv, cl_command_queue queue,
                                            const cldeform_tensor *weight, const cldeform_tensor *packed,
                                            cl_uint n_wait, const cl_event *wait, cl_event *done)
{
    cldeform_status status;
    cldeform__call call;
    cldeform__operand operands[2];
    cldeform__range ranges[2];
    size_t bytes = 0;
    uint64_t format = 0;
    memset(operands, 0, sizeof operands);
    if ((status = check_object(conv, CLDEFORM_PACK_WEIGHT, done)) != CLDEFORM_OK ||
        (status = cldeform__call_begin(&call, conv->context, queue, "conv2d_pack_weight", n_wait, wait,
                                       done != NULL)) != CLDEFORM_OK)
        return status;
    conv->algorithm->packed_weight(conv, &bytes, &format);
    if (bytes == 0) {
        status = cldeform__fail(CLDEFORM_UNSUPPORTED, "this algorithm reads the weight as it is: pass tensors.weight "
                                                      "(cldeform_conv2d_packed_weight_size gives 0)");
        goto done;
    }
    if (!weight || !packed) {
        status = cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "%s is NULL", weight ? "packed" : "weight");
        goto done;
    }
    TRY(check_packed(packed, "packed"));
    const operand_rule rules[2] = {
        {"weight", *weight, &operands[0], true, false, false, false, conv->sizes.weight,
         cldeform__dtype_size(conv->problem.dtype), NULL},
        {"packed", *packed, &operands[1], true, false, false, true, (int64_t)bytes, 1, NULL},
    };
    for (int i = 0; i < 2; i++)
        TRY(check_operand(conv->context, &rules[i], 1, &ranges[i]));
    TRY(cldeform__check_overlap(ranges, 2, 1));
    TRY(conv->algorithm->pack_weight(conv, &call, &operands[0], &operands[1]));
done:
    return cldeform__call_end(&call, status, done);
}

/* A zero-filled buffer of one image of a tensor. */
static cldeform_status create_scratch(const cldeform_context *context, cl_command_queue queue, int64_t elements,
                                      cldeform_dtype dtype, cldeform__operand *operand)
{
    cl_int error = CL_SUCCESS;
    const cl_double zero = 0;
    if (elements == 0)
        return CLDEFORM_OK;
    const size_t size = ((size_t)elements * cldeform__dtype_size(dtype) + sizeof zero - 1) / sizeof zero * sizeof zero;
    operand->stride = (size_t)elements;
    operand->buffer = clCreateBuffer(context->cl, CL_MEM_READ_WRITE, size, NULL, &error);
    if (error == CL_SUCCESS)
        error = clEnqueueFillBuffer(queue, operand->buffer, &zero, sizeof zero, 0, size, 0, NULL, NULL);
    return error == CL_SUCCESS ? CLDEFORM_OK : cldeform__fail_cl(error, "scratch tensor of %zu bytes", size);
}

static cldeform_status run_warm_up(const cldeform_conv2d *conv, cldeform__call *call,
                                   cldeform__conv2d_operands *operands)
{
    cldeform_status status = CLDEFORM_OK;
    size_t bytes = 0;
    uint64_t format = 0;
    if (conv->problem.passes & CLDEFORM_FORWARD) {
        TRY(run_forward(conv, call, 1, operands, NULL));
        const cldeform__operand bias = operands->bias; /* a call without it may take other kernels */
        operands->bias.buffer = NULL;
        status = run_forward(conv, call, 1, operands, NULL);
        operands->bias = bias;
        TRY(status);
    }
    if (conv->problem.passes & CLDEFORM_PACK_WEIGHT) {
        conv->algorithm->packed_weight(conv, &bytes, &format);
        if (bytes > 0) {
            TRY(create_scratch(conv->context, call->queue, (int64_t)bytes / 4, CLDEFORM_F32, &operands->packed_weight));
            TRY(conv->algorithm->pack_weight(conv, call, &operands->weight, &operands->packed_weight));
        }
    }
done:
    return status;
}

/* One image is enough: what is compiled depends on the image, not on the batch. */
cldeform_status cldeform_conv2d_warm_up(const cldeform_conv2d *conv, cl_command_queue queue)
{
    cldeform_status status;
    cldeform__call call;
    cldeform__conv2d_operands operands;
    memset(&operands, 0, sizeof operands);
    if (!conv)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "conv is NULL");
    status = cldeform__call_begin(&call, conv->context, queue, "conv2d_warm_up", 0, NULL, false);
    if (status != CLDEFORM_OK)
        return status;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const cldeform__conv2d_sizes *sizes = &conv->sizes;
    TRY(create_scratch(conv->context, queue, sizes->input, problem->dtype, &operands.input));
    TRY(create_scratch(conv->context, queue, sizes->offset, problem->offset_dtype, &operands.offset));
    TRY(create_scratch(conv->context, queue, sizes->mask, problem->offset_dtype, &operands.mask));
    TRY(create_scratch(conv->context, queue, sizes->weight, problem->dtype, &operands.weight));
    TRY(create_scratch(conv->context, queue, sizes->bias, problem->dtype, &operands.bias));
    TRY(create_scratch(conv->context, queue, sizes->output, problem->dtype, &operands.output));
    const cl_int error = clFinish(queue);
    if (error != CL_SUCCESS) {
        status = cldeform__fail_cl(error, "clFinish");
        goto done;
    }
    TRY(run_warm_up(conv, &call, &operands));
done:
    status = cldeform__call_end(&call, status, NULL);
    const cl_int finished = clFinish(queue);
    if (status == CLDEFORM_OK && finished != CL_SUCCESS)
        status = cldeform__fail_cl(finished, "clFinish");
    cldeform__operand *const all[] = {&operands.input, &operands.offset, &operands.mask,         &operands.weight,
                                      &operands.bias,  &operands.output, &operands.packed_weight};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i]->buffer)
            clReleaseMemObject(all[i]->buffer);
    return status;
}
