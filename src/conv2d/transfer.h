/* Tensors to the workspace and back, in another order or type (conv2d_transfer.cl). */
#ifndef CLDEFORM_CONV2D_TRANSFER_H
#define CLDEFORM_CONV2D_TRANSFER_H

#include "conv2d.h"
#include "steps.h"

enum { TRANSFER_BLOCK = 16, TRANSFER_PART = 256 }; /* BLOCK and PART of conv2d_transfer.cl */

/* The program, for problem.layout. */
cldeform_status cldeform__transfer_program(const cldeform_conv2d *conv, cldeform__program **program);

/* Whether work-groups turn tiles in local memory: on devices whose neighbours are to touch neighbours. */
bool cldeform__turns_tiles(const cldeform_conv2d *conv);

/* Work-items of a kernel that moves so many pixels and channels of each image. */
void cldeform__transfer_items(const cldeform_conv2d *conv, int64_t pixels, int64_t channels, int64_t images,
                              size_t items[3]);

/* What every way of making the gradient of the input begins and ends with. */
typedef struct cldeform__transfer {
    conv2d_geometry geometry;
    size_t real_size; /* of the type of sums */
    cldeform__kernel *clear, *pack_input, *store_grad_input;
} cldeform__transfer;

cldeform_status cldeform__transfer_prepare(const cldeform_conv2d *conv, cldeform__transfer *transfer);

/* Bytes of the buffer = 0. */
cldeform_status cldeform__enqueue_zeros(const cldeform__transfer *transfer, cldeform__call *call, cl_mem buffer,
                                        size_t bytes);

/* grad_input of so many images = or += sum (images, in_h*in_w, in_channels). */
cldeform_status cldeform__enqueue_store_input(const cldeform_conv2d *conv, const cldeform__transfer *transfer,
                                              cldeform__call *call, int64_t images,
                                              const cldeform__conv2d_gradients *gradients, cl_mem sum);

/* packed = input of so many images in NHWC order, in its own type; the kernel is conv2d_pack_input. */
cldeform_status cldeform__enqueue_pack_input(const cldeform_conv2d *conv, cldeform__kernel *kernel,
                                             cldeform__call *call, int64_t images, const cldeform__operand *input,
                                             cl_mem packed);

/* A matrix for each image of a slab, in elements. Its rows are channels (planes) or pixels. */
typedef struct cldeform__loaded {
    cl_mem buffer;
    bool planes;
    size_t row_stride, image_stride;
} cldeform__loaded;

/* loaded = a slab of grad_output in the type of the arithmetic; the kernel is conv2d_load_grad_output. */
cldeform_status cldeform__enqueue_load(const cldeform_conv2d *conv, cldeform__kernel *kernel, cldeform__call *call,
                                       const cldeform__slab *slab, const cldeform__operand *grad_output,
                                       const cldeform__loaded *loaded);

#endif
