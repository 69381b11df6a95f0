#include "transfer.h"

#include "../geometry.h"
#include "steps.h"

#include <stdio.h>

cldeform_status cldeform__transfer_program(const cldeform_conv2d *conv, cldeform__program **program)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    char options[128];
    snprintf(options, sizeof options, "-DDATA_BITS=%d -DWGRAD_BITS=%d -DINDEX_BITS=%d -DNHWC=%d",
             cldeform__bits(problem->dtype), cldeform__bits(problem->weight_grad_dtype),
             cldeform__uses_long_index(conv) ? 64 : 32, problem->layout == CLDEFORM_NHWC);
    return cldeform__program_get(conv->context, "conv2d_transfer", options, program);
}

cldeform_status cldeform__transfer_prepare(const cldeform_conv2d *conv, cldeform__transfer *transfer)
{
    cldeform_status status;
    cldeform__program *program = NULL;
    cldeform__step_geometry(conv, &transfer->geometry);
    transfer->real_size = cldeform__dtype_size(cldeform__real_dtype(conv->problem.dtype));
    TRY(cldeform__transfer_program(conv, &program));
    TRY(cldeform__program_require(program, "conv2d_clear", &transfer->clear));
    TRY(cldeform__program_require(program, "conv2d_pack_input", &transfer->pack_input));
    TRY(cldeform__program_require(program, "conv2d_store_grad_input", &transfer->store_grad_input));
done:
    return status;
}

cldeform_status cldeform__enqueue_zeros(const cldeform__transfer *transfer, cldeform__call *call, cl_mem buffer,
                                        size_t bytes)
{
    const cl_ulong words = bytes / sizeof(cl_int);
    const cldeform__argument arguments[] = {ARGUMENT(buffer), ARGUMENT(words)};
    const cldeform__launch launch = {
        .step = "clear",
        .kernel = transfer->clear,
        .arguments = arguments,
        .n_arguments = 2,
        .items = {(size_t)words, 1, 1},
        .group = (size_t)call->context->tuning.im2col_group,
        .bytes = (double)bytes,
    };
    return cldeform__call_launch(call, &launch);
}

/* A launch over the pixels of the input's map and blocks of its channels. */
static cldeform_status launch_over_input(const cldeform_conv2d *conv, cldeform__call *call, int64_t images,
                                         cldeform__launch launch)
{
    launch.items[0] = (size_t)(conv->problem.in_h * conv->problem.in_w);
    launch.items[1] = (size_t)cldeform__at_most(cldeform__divide_up(conv->problem.in_channels, TRANSFER_BLOCK),
                                                CLDEFORM__MOST_GROUPS);
    launch.items[2] = (size_t)images;
    launch.group = (size_t)call->context->tuning.im2col_group;
    return cldeform__call_launch(call, &launch);
}

cldeform_status cldeform__enqueue_pack_input(const cldeform_conv2d *conv, const cldeform__transfer *transfer,
                                             cldeform__call *call, int64_t images, const cldeform__operand *input,
                                             cl_mem packed)
{
    const cl_ulong2 place = cldeform__place_of(input);
    const cldeform__argument arguments[] = {ARGUMENT(transfer->geometry), ARGUMENT(input->buffer), ARGUMENT(place),
                                            ARGUMENT(packed)};
    const cldeform__launch launch = {
        .step = "pack_input",
        .kernel = transfer->pack_input,
        .arguments = arguments,
        .n_arguments = 4,
        .bytes = 2 * (double)images * (double)conv->sizes.input * (double)cldeform__dtype_size(conv->problem.dtype),
    };
    return launch_over_input(conv, call, images, launch);
}

cldeform_status cldeform__enqueue_store_input(const cldeform_conv2d *conv, const cldeform__transfer *transfer,
                                              cldeform__call *call, int64_t images,
                                              const cldeform__conv2d_gradients *gradients, cl_mem sum)
{
    const cl_ulong2 place = cldeform__place_of(&gradients->grad_input);
    const cl_int accumulate = gradients->accumulate & CLDEFORM_GRAD_INPUT ? 1 : 0;
    const cldeform__argument arguments[] = {ARGUMENT(transfer->geometry), ARGUMENT(sum),
                                            ARGUMENT(gradients->grad_input.buffer), ARGUMENT(place),
                                            ARGUMENT(accumulate)};
    const cldeform__launch launch = {
        .step = "store_grad_input",
        .kernel = transfer->store_grad_input,
        .arguments = arguments,
        .n_arguments = 5,
        .bytes = (double)images * (double)conv->sizes.input *
                 (double)(transfer->real_size + cldeform__dtype_size(conv->problem.dtype)),
    };
    return launch_over_input(conv, call, images, launch);
}
