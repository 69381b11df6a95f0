/* Runs what an object has prepared once, on scratch tensors: some drivers compile at the first launch. */
#include "conv2d.h"

#include <string.h>

typedef struct scratch {
    cldeform__conv2d_operands operands;
    cldeform__conv2d_gradients gradients;
    cldeform__operand columns; /* of the parts */
} scratch;

static cldeform_status create_all(const cldeform_conv2d *conv, cl_command_queue queue, scratch *s)
{
    cldeform_status status = CLDEFORM_OK;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const cldeform__conv2d_sizes *sizes = &conv->sizes;
    const cldeform_passes passes = problem->passes;
    const struct {
        bool wanted;
        int64_t elements;
        cldeform_dtype dtype;
        cldeform__operand *operand;
    } all[] = {
        {true, sizes->input, problem->dtype, &s->operands.input},
        {true, sizes->offset, problem->offset_dtype, &s->operands.offset},
        {true, sizes->mask, problem->offset_dtype, &s->operands.mask},
        {true, sizes->weight, problem->dtype, &s->operands.weight},
        {true, sizes->bias, problem->dtype, &s->operands.bias},
        {(passes & CLDEFORM_FORWARD) != 0, sizes->output, problem->dtype, &s->operands.output},
        {(passes & CLDEFORM_BACKWARD) != 0, sizes->output, problem->dtype, &s->gradients.grad_output},
        {(passes & (CLDEFORM_GRAD_INPUT | CLDEFORM_COL2IM)) != 0, sizes->input, problem->dtype,
         &s->gradients.grad_input},
        {(passes & (CLDEFORM_GRAD_OFFSET | CLDEFORM_COL2OFFSET)) != 0, sizes->offset, problem->offset_dtype,
         &s->gradients.grad_offset},
        {(passes & (CLDEFORM_GRAD_MASK | CLDEFORM_COL2OFFSET)) != 0, sizes->mask, problem->offset_dtype,
         &s->gradients.grad_mask},
        {(passes & CLDEFORM_GRAD_WEIGHT) != 0, sizes->weight, problem->weight_grad_dtype, &s->gradients.grad_weight},
        {(passes & CLDEFORM_GRAD_BIAS) != 0, sizes->bias, problem->weight_grad_dtype, &s->gradients.grad_bias},
        {(passes & CLDEFORM__PART_PASSES) != 0, problem->in_channels * sizes->taps * sizes->out_plane, problem->dtype,
         &s->columns},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i].wanted)
            TRY(cldeform__create_scratch(conv->context, queue, all[i].elements, cldeform__dtype_size(all[i].dtype),
                                         all[i].operand));
done:
    return status;
}

static cldeform_status run(const cldeform_conv2d *conv, cldeform__call *call, scratch *s)
{
    cldeform_status status = CLDEFORM_OK;
    size_t bytes = 0;
    uint64_t format = 0;
    cldeform__conv2d_operands *operands = &s->operands;
    if (conv->problem.passes & CLDEFORM_FORWARD) {
        TRY(cldeform__conv2d_run(conv, call, 1, operands, NULL, NULL));
        const cldeform__operand bias = operands->bias; /* a call without it may take other kernels */
        operands->bias.buffer = NULL;
        status = cldeform__conv2d_run(conv, call, 1, operands, NULL, NULL);
        operands->bias = bias;
        TRY(status);
    }
    if (conv->problem.passes & CLDEFORM_BACKWARD) {
        s->gradients.wanted = conv->problem.passes & CLDEFORM_BACKWARD;
        TRY(cldeform__conv2d_run(conv, call, 1, operands, &s->gradients, NULL));
    }
    if (conv->problem.passes & CLDEFORM_PACK_WEIGHT) {
        conv->algorithm->packed_weight(conv, &bytes, &format);
        if (bytes > 0) {
            TRY(cldeform__create_scratch(conv->context, call->queue, (int64_t)bytes, 1, &operands->packed_weight));
            TRY(conv->algorithm->pack_weight(conv, call, &operands->weight, &operands->packed_weight));
        }
    }
    if (conv->problem.passes & CLDEFORM_STATISTICS)
        TRY(cldeform__conv2d_warm_up_statistics(conv, call, &operands->offset));
    if (conv->parts)
        TRY(cldeform__parts_warm_up(conv, call, operands, &s->gradients, s->columns.buffer));
done:
    return status;
}

/* One image is enough: what is compiled depends on the image, not on the batch. */
cldeform_status cldeform_conv2d_warm_up(const cldeform_conv2d *conv, cl_command_queue queue)
{
    cldeform_status status;
    cldeform__call call;
    scratch s;
    memset(&s, 0, sizeof s);
    if (!conv)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "conv is NULL");
    status = cldeform__call_begin(&call, conv->context, queue, "conv2d_warm_up", 0, NULL, false);
    if (status != CLDEFORM_OK)
        return status;
    TRY(create_all(conv, queue, &s));
    const cl_int error = clFinish(queue);
    if (error != CL_SUCCESS) {
        status = cldeform__fail_cl(error, "clFinish");
        goto done;
    }
    TRY(run(conv, &call, &s));
done:
    status = cldeform__call_end(&call, status, NULL);
    const cl_int finished = clFinish(queue);
    if (status == CLDEFORM_OK && finished != CL_SUCCESS)
        status = cldeform__fail_cl(finished, "clFinish");
    cldeform__operand all[] = {
        s.operands.input,         s.operands.offset,
        s.operands.mask,          s.operands.weight,
        s.operands.bias,          s.operands.output,
        s.operands.packed_weight, s.gradients.grad_output,
        s.gradients.grad_input,   s.gradients.grad_offset,
        s.gradients.grad_mask,    s.gradients.grad_weight,
        s.gradients.grad_bias,    s.columns,
    };
    cldeform__release_scratch(all, sizeof all / sizeof all[0]);
    return status;
}
