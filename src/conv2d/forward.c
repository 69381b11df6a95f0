/* The calls that enqueue forward and packing: everything is checked here, before an algorithm sees it. */
#include "conv2d.h"

#include <string.h>

enum { INPUT, OFFSET, MASK, WEIGHT, BIAS, OUTPUT, PACKED, N_TENSORS };

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

#define TENSOR(field) .name = "tensors." #field, .tensor = tensors->field, .operand = &operands->field
    const cldeform__operand_rule rules[N_TENSORS] = {
        [INPUT] = {TENSOR(input), .presence = REQUIRED, .batched = true, .elements = sizes->input,
                   .element_size = data},
        [OFFSET] = {TENSOR(offset), .presence = cldeform__conv2d_has_offset(problem) ? REQUIRED : ABSENT,
                    .batched = true, .elements = sizes->offset, .element_size = offsets,
                    .why_not = CLDEFORM__NO_OFFSET},
        [MASK] = {TENSOR(mask), .presence = cldeform__conv2d_has_mask(problem) ? REQUIRED : ABSENT, .batched = true,
                  .elements = sizes->mask, .element_size = offsets, .why_not = CLDEFORM__NO_MASK},
        [WEIGHT] = {TENSOR(weight), .presence = packs ? ABSENT : REQUIRED, .elements = sizes->weight,
                    .element_size = data, .why_not = "tensors.packed_weight is given"},
        [BIAS] = {TENSOR(bias), .presence = OPTIONAL, .elements = sizes->bias, .element_size = data},
        [OUTPUT] = {TENSOR(output), .presence = REQUIRED, .batched = true, .written = true, .elements = sizes->output,
                    .element_size = data},
        [PACKED] = {TENSOR(packed_weight), .presence = packed_bytes > 0 ? OPTIONAL : ABSENT,
                    .elements = (int64_t)packed_bytes, .element_size = 1,
                    .why_not = "this algorithm reads the weight as it is (cldeform_conv2d_packed_weight_size gives 0)"},
    };
#undef TENSOR
    TRY(cldeform__check_operands(conv->context, rules, N_TENSORS, problem->batch, ranges));
done:
    return status;
}

cldeform_status cldeform__conv2d_check_object(const cldeform_conv2d *conv, cldeform_passes pass, cl_event *done)
{
    if (done)
        *done = NULL;
    if (!conv)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "conv is NULL");
    if (!(pass & ~cldeform__conv2d_lacks(&conv->problem)))
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "there is nothing to compute: %s",
                              cldeform__conv2d_has_offset(&conv->problem) ? CLDEFORM__NO_MASK : CLDEFORM__NO_OFFSET);
    if (!(conv->problem.passes & pass))
        return cldeform__fail(CLDEFORM_NOT_PREPARED,
                              "problem.passes was 0x%llx when the object was created; this call needs 0x%llx",
                              (unsigned long long)conv->problem.passes, (unsigned long long)pass);
    return CLDEFORM_OK;
}

cldeform_status cldeform__conv2d_run(const cldeform_conv2d *conv, cldeform__call *call, int64_t batch,
                                     const cldeform__conv2d_operands *operands,
                                     const cldeform__conv2d_gradients *gradients, const cldeform__range *range)
{
    size_t minimum = 0, preferred = 0;
    cldeform__workspace workspace;
    if (batch > 0)
        conv->algorithm->workspace(conv, gradients ? gradients->wanted : CLDEFORM_FORWARD, &minimum, &preferred);
    cldeform_status status = cldeform__workspace_begin(&workspace, conv->context, range, preferred);
    if (status == CLDEFORM_OUT_OF_MEMORY && minimum < preferred)
        status = cldeform__workspace_begin(&workspace, conv->context, range, minimum);
    if (status == CLDEFORM_OK)
        status = gradients ? conv->algorithm->backward(conv, call, batch, operands, gradients, &workspace)
                           : conv->algorithm->forward(conv, call, batch, operands, &workspace);
    cldeform__workspace_end(&workspace);
    return status;
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
    if ((status = cldeform__conv2d_check_object(conv, CLDEFORM_FORWARD, done)) != CLDEFORM_OK ||
        (status = cldeform__call_begin(&call, conv->context, queue, "conv2d_forward", n_wait, wait, done != NULL)) !=
            CLDEFORM_OK)
        return status;
    TRY(cldeform__take_struct(&tensors, sizeof tensors, given, "tensors"));
    TRY(check_tensors(conv, &tensors, &operands, ranges));
    conv->algorithm->workspace(conv, CLDEFORM_FORWARD, &minimum, &preferred);
    if (workspace)
        TRY(cldeform__check_scratch(conv->context, workspace, minimum, ranges, N_TENSORS + 1));
    if (conv->problem.batch > 0)
        TRY(cldeform__conv2d_run(conv, &call, conv->problem.batch, &operands, NULL,
                                 workspace ? &ranges[N_TENSORS] : NULL));
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
    if ((status = cldeform__conv2d_check_object(conv, CLDEFORM_PACK_WEIGHT, done)) != CLDEFORM_OK ||
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
    const cldeform__operand_rule rules[2] = {
        {.name = "weight",
         .tensor = *weight,
         .operand = &operands[0],
         .presence = REQUIRED,
         .elements = conv->sizes.weight,
         .element_size = cldeform__dtype_size(conv->problem.dtype)},
        {.name = "packed",
         .tensor = *packed,
         .operand = &operands[1],
         .presence = REQUIRED,
         .written = true,
         .elements = (int64_t)bytes,
         .element_size = 1},
    };
    TRY(cldeform__check_operands(conv->context, rules, 2, 1, ranges));
    TRY(conv->algorithm->pack_weight(conv, &call, &operands[0], &operands[1]));
done:
    return cldeform__call_end(&call, status, done);
}
