#include "transfer.h"
#include "conv2d.h"

#include "../geometry.h"

#include <stdio.h>

enum { TRANSFER_SIDE = 32 }; /* SIDE of conv2d_transfer.cl */

bool cldeform__turns_tiles(const cldeform_conv2d *conv)
{
    enum { TILE_BYTES = TRANSFER_SIDE * (TRANSFER_SIDE + 1) * (int)sizeof(cl_double) };
    return cldeform__wants_nhwc(conv) && conv->context->facts.local_memory >= TILE_BYTES;
}

cldeform_status cldeform__transfer_program(const cldeform_conv2d *conv, cldeform__program **program)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    char options[128];
    snprintf(options, sizeof options, "-DDATA_BITS=%d -DWGRAD_BITS=%d -DINDEX_BITS=%d -DNHWC=%d -DTILED=%d",
             cldeform__bits(problem->dtype), cldeform__bits(problem->weight_grad_dtype),
             cldeform__uses_long_index(conv) ? 64 : 32, problem->layout == CLDEFORM_NHWC, cldeform__turns_tiles(conv));
    return cldeform__program_get(conv->context, "conv2d_transfer", options, program);
}

void cldeform__transfer_items(const cldeform_conv2d *conv, int64_t pixels, int64_t channels, int64_t images,
                              size_t items[3])
{
    const int64_t side = cldeform__turns_tiles(conv) ? TRANSFER_SIDE : TRANSFER_BLOCK;
    items[0] = cldeform__turns_tiles(conv)
                   ? (size_t)cldeform__divide_up(pixels, side) * (size_t)conv->context->tuning.im2col_group
                   : (size_t)pixels;
    items[1] = (size_t)cldeform__at_most(cldeform__divide_up(channels, side), CLDEFORM__MOST_GROUPS);
    items[2] = (size_t)images;
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

cldeform_status cldeform__enqueue_store_input(const cldeform_conv2d *conv, const cldeform__transfer *transfer,
                                              cldeform__call *call, int64_t images,
                                              const cldeform__conv2d_gradients *gradients, cl_mem sum)
{
    const cl_ulong2 place = cldeform__place_of(&gradients->grad_input);
    const cl_int accumulate = gradients->accumulate & CLDEFORM_GRAD_INPUT ? 1 : 0;
    const cldeform__argument arguments[] = {ARGUMENT(transfer->geometry), ARGUMENT(sum),
                                            ARGUMENT(gradients->grad_input.buffer), ARGUMENT(place),
                                            ARGUMENT(accumulate)};
    cldeform__launch launch = {
        .step = "store_grad_input",
        .kernel = transfer->store_grad_input,
        .arguments = arguments,
        .n_arguments = 5,
        .group = (size_t)call->context->tuning.im2col_group,
        .bytes = (double)images * (double)conv->sizes.input *
                 (double)(transfer->real_size + cldeform__dtype_size(conv->problem.dtype)),
    };
    cldeform__transfer_items(conv, conv->problem.in_h * conv->problem.in_w, conv->problem.in_channels, images,
                             launch.items);
    return cldeform__call_launch(call, &launch);
}

cldeform_status cldeform__enqueue_pack_input(const cldeform_conv2d *conv, cldeform__kernel *kernel,
                                             cldeform__call *call, int64_t images, const cldeform__operand *input,
                                             cl_mem packed)
{
    conv2d_geometry geometry;
    const cl_ulong2 place = cldeform__place_of(input);
    const cldeform__argument arguments[] = {ARGUMENT(geometry), ARGUMENT(input->buffer), ARGUMENT(place),
                                            ARGUMENT(packed)};
    cldeform__launch launch = {
        .step = "pack_input",
        .kernel = kernel,
        .arguments = arguments,
        .n_arguments = sizeof arguments / sizeof arguments[0],
        .group = (size_t)call->context->tuning.im2col_group,
        .bytes = 2 * (double)images * (double)conv->sizes.input * (double)cldeform__dtype_size(conv->problem.dtype),
    };
    cldeform__step_geometry(conv, &geometry);
    cldeform__transfer_items(conv, conv->problem.in_h * conv->problem.in_w, conv->problem.in_channels, images,
                             launch.items);
    return cldeform__call_launch(call, &launch);
}

cldeform_status cldeform__enqueue_load(const cldeform_conv2d *conv, cldeform__kernel *kernel, cldeform__call *call,
                                       const cldeform__slab *slab, const cldeform__operand *grad_output,
                                       const cldeform__loaded *loaded)
{
    conv2d_geometry geometry;
    const cl_ulong2 place = cldeform__place_of(grad_output);
    const cl_int first_pixel = (cl_int)slab->first_pixel, pixels = (cl_int)slab->pixels;
    const cl_int planes = loaded->planes, pitch = (cl_int)loaded->row_stride;
    const cl_ulong image_stride = loaded->image_stride;
    const size_t real_size = cldeform__dtype_size(cldeform__real_dtype(conv->problem.dtype));
    const cldeform__argument arguments[] = {
        ARGUMENT(geometry),    ARGUMENT(first_pixel),    ARGUMENT(pixels), ARGUMENT(grad_output->buffer),
        ARGUMENT(place),       ARGUMENT(loaded->buffer), ARGUMENT(planes), ARGUMENT(pitch),
        ARGUMENT(image_stride)};
    cldeform__launch launch = {
        .step = "load_grad_output",
        .kernel = kernel,
        .arguments = arguments,
        .n_arguments = sizeof arguments / sizeof arguments[0],
        .group = (size_t)call->context->tuning.im2col_group,
        .bytes = (double)slab->images * (double)slab->pixels * (double)conv->problem.out_channels *
                 (double)(real_size + cldeform__dtype_size(conv->problem.dtype)),
    };
    cldeform__step_geometry(conv, &geometry);
    cldeform__transfer_items(conv, slab->pixels, conv->problem.out_channels, slab->images, launch.items);
    return cldeform__call_launch(call, &launch);
}
