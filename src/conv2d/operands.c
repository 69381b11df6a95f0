#include "operands.h"

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
