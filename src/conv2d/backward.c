/* The call that enqueues the gradients: checked here, before an algorithm sees it. */
#include "conv2d.h"

#include <string.h>

enum {
    INPUT,
    OFFSET,
    MASK,
    WEIGHT,
    PACKED,
    GRAD_OUTPUT,
    GRAD_INPUT,
    GRAD_OFFSET,
    GRAD_MASK,
    GRAD_WEIGHT,
    GRAD_BIAS,
    N_TENSORS
};

/* Which gradients are asked for: those whose buffers are there. */
static cldeform_status find_wanted(const cldeform_conv2d *conv, const cldeform_conv2d_gradients *gradients,
                                   cldeform_passes *wanted)
{
    const struct {
        const char *name;
        cldeform_passes bit;
        cl_mem buffer;
        const char *why_not;
    } all[] = {
        {"grad_input", CLDEFORM_GRAD_INPUT, gradients->grad_input.buffer, NULL},
        {"grad_offset", CLDEFORM_GRAD_OFFSET, gradients->grad_offset.buffer,
         cldeform__conv2d_has_offset(&conv->problem) ? NULL : CLDEFORM__NO_OFFSET},
        {"grad_mask", CLDEFORM_GRAD_MASK, gradients->grad_mask.buffer,
         cldeform__conv2d_has_mask(&conv->problem) ? NULL : CLDEFORM__NO_MASK},
        {"grad_weight", CLDEFORM_GRAD_WEIGHT, gradients->grad_weight.buffer, NULL},
        {"grad_bias", CLDEFORM_GRAD_BIAS, gradients->grad_bias.buffer, NULL},
    };
    *wanted = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (!all[i].buffer)
            continue;
        if (all[i].why_not)
            return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "gradients.%s.buffer is not NULL; it must be, because %s",
                                  all[i].name, all[i].why_not);
        if (!(conv->problem.passes & all[i].bit))
            return cldeform__fail(
                CLDEFORM_NOT_PREPARED,
                "gradients.%s is asked for, but problem.passes was 0x%llx when the object was created; "
                "it needs 0x%llx",
                all[i].name, (unsigned long long)conv->problem.passes, (unsigned long long)all[i].bit);
        *wanted |= all[i].bit;
    }
    if (*wanted == 0 && conv->problem.batch > 0)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                              "no gradient is asked for; one of gradients.grad_input, grad_offset, grad_mask, "
                              "grad_weight and grad_bias must have a buffer");
    return cldeform__check_accumulate(gradients);
}

static cldeform_status check_tensors(const cldeform_conv2d *conv, const cldeform_conv2d_tensors *tensors,
                                     const cldeform_conv2d_gradients *given, cldeform__conv2d_operands *operands,
                                     cldeform__conv2d_gradients *gradients, cldeform__range ranges[N_TENSORS])
{
    cldeform_status status;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const cldeform__conv2d_sizes *sizes = &conv->sizes;
    const size_t data = cldeform__dtype_size(problem->dtype), offsets = cldeform__dtype_size(problem->offset_dtype);
    const size_t parameters = cldeform__dtype_size(problem->weight_grad_dtype);
    const bool has_offset = cldeform__conv2d_has_offset(problem), has_mask = cldeform__conv2d_has_mask(problem);
    memset(operands, 0, sizeof *operands);
    memset(gradients, 0, sizeof *gradients);
    TRY(find_wanted(conv, given, &gradients->wanted));
    gradients->accumulate = given->accumulate;
    const cldeform_passes wanted = gradients->wanted;
    const bool samples = (wanted & ~CLDEFORM_GRAD_BIAS) != 0;
    const bool reads_input = (wanted & (CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK | CLDEFORM_GRAD_WEIGHT)) != 0;
    const bool reads_weight = (wanted & (CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK | CLDEFORM_GRAD_INPUT)) != 0;

#define TENSOR(field)   .name = "tensors." #field, .tensor = tensors->field, .operand = &operands->field
#define GRADIENT(field) .name = "gradients." #field, .tensor = given->field, .operand = &gradients->field
#define OUT(bit)                                                                                                       \
    .presence = wanted & (bit) ? REQUIRED : OPTIONAL, .written = true, .read = (given->accumulate & (bit)) != 0
    const cldeform__operand_rule rules[N_TENSORS] = {
        [INPUT] = {TENSOR(input), .presence = reads_input ? REQUIRED : OPTIONAL, .batched = true,
                   .elements = sizes->input, .element_size = data},
        [OFFSET] = {TENSOR(offset),
                    .presence = !has_offset ? ABSENT
                                : samples   ? REQUIRED
                                            : OPTIONAL,
                    .batched = true, .elements = sizes->offset, .element_size = offsets,
                    .why_not = CLDEFORM__NO_OFFSET},
        [MASK] = {TENSOR(mask),
                  .presence = !has_mask ? ABSENT
                              : samples ? REQUIRED
                                        : OPTIONAL,
                  .batched = true, .elements = sizes->mask, .element_size = offsets, .why_not = CLDEFORM__NO_MASK},
        [WEIGHT] = {TENSOR(weight), .presence = reads_weight ? REQUIRED : OPTIONAL, .elements = sizes->weight,
                    .element_size = data},
        [PACKED] = {TENSOR(packed_weight), .presence = ABSENT, .elements = 1, .element_size = 1,
                    .why_not = "backward reads tensors.weight"},
        [GRAD_OUTPUT] = {GRADIENT(grad_output), .presence = REQUIRED, .batched = true, .elements = sizes->output,
                         .element_size = data},
        [GRAD_INPUT] = {GRADIENT(grad_input), OUT(CLDEFORM_GRAD_INPUT), .batched = true, .elements = sizes->input,
                        .element_size = data},
        [GRAD_OFFSET] = {GRADIENT(grad_offset), OUT(CLDEFORM_GRAD_OFFSET), .batched = true, .elements = sizes->offset,
                         .element_size = offsets},
        [GRAD_MASK] = {GRADIENT(grad_mask), OUT(CLDEFORM_GRAD_MASK), .batched = true, .elements = sizes->mask,
                       .element_size = offsets},
        [GRAD_WEIGHT] = {GRADIENT(grad_weight), OUT(CLDEFORM_GRAD_WEIGHT), .elements = sizes->weight,
                         .element_size = parameters},
        [GRAD_BIAS] = {GRADIENT(grad_bias), OUT(CLDEFORM_GRAD_BIAS), .elements = sizes->bias,
                       .element_size = parameters},
    };
#undef TENSOR
#undef GRADIENT
#undef OUT
    TRY(cldeform__check_operands(conv->context, rules, N_TENSORS, problem->batch, ranges));
done:
    return status;
}

cldeform_status cldeform_conv2d_backward(const cldeform_conv2d *conv, cl_command_queue queue,
                                         const cldeform_conv2d_tensors *given_tensors,
                                         const cldeform_conv2d_gradients *given_gradients,
                                         const cldeform_workspace *workspace, cl_uint n_wait, const cl_event *wait,
                                         cl_event *done)
{
    cldeform_status status;
    cldeform__call call;
    cldeform_conv2d_tensors tensors;
    cldeform_conv2d_gradients given;
    cldeform__conv2d_operands operands;
    cldeform__conv2d_gradients gradients;
    cldeform__range ranges[N_TENSORS + 1];
    size_t minimum = 0, preferred = 0;
    memset(ranges, 0, sizeof ranges);
    if ((status = cldeform__conv2d_check_object(conv, CLDEFORM_BACKWARD, done)) != CLDEFORM_OK ||
        (status = cldeform__call_begin(&call, conv->context, queue, "conv2d_backward", n_wait, wait, done != NULL)) !=
            CLDEFORM_OK)
        return status;
    TRY(cldeform__take_struct(&tensors, sizeof tensors, given_tensors, "tensors"));
    TRY(cldeform__take_struct(&given, sizeof given, given_gradients, "gradients"));
    TRY(check_tensors(conv, &tensors, &given, &operands, &gradients, ranges));
    if (gradients.wanted)
        conv->algorithm->workspace(conv, gradients.wanted, &minimum, &preferred);
    if (workspace)
        TRY(cldeform__check_scratch(conv->context, workspace, minimum, ranges, N_TENSORS + 1));
    if (gradients.wanted)
        TRY(cldeform__conv2d_run(conv, &call, conv->problem.batch, &operands, &gradients,
                                 workspace ? &ranges[N_TENSORS] : NULL));
done:
    return cldeform__call_end(&call, status, done);
}
