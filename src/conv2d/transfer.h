/* Moving images between the caller's tensors and the workspace, where pixels have their channels side by side
 * (conv2d_transfer.cl). */
#ifndef CLDEFORM_CONV2D_TRANSFER_H
#define CLDEFORM_CONV2D_TRANSFER_H

#include "conv2d.h"
#include "conv2d_geometry.clh"

enum { TRANSFER_BLOCK = 16, TRANSFER_PART = 256 }; /* BLOCK and PART of conv2d_transfer.cl */

/* The program, in problem.layout. */
cldeform_status cldeform__transfer_program(const cldeform_conv2d *conv, cldeform__program **program);

typedef struct cldeform__transfer {
    conv2d_geometry geometry;
    size_t real_size; /* of the type of sums */
    cldeform__kernel *clear, *pack_input, *store_grad_input;
} cldeform__transfer;

cldeform_status cldeform__transfer_prepare(const cldeform_conv2d *conv, cldeform__transfer *transfer);

/* Bytes of the buffer = 0. */
cldeform_status cldeform__enqueue_zeros(const cldeform__transfer *transfer, cldeform__call *call, cl_mem buffer,
                                        size_t bytes);

/* packed (images, in_h*in_w, in_channels) = the images' input, in its own type. */
cldeform_status cldeform__enqueue_pack_input(const cldeform_conv2d *conv, const cldeform__transfer *transfer,
                                             cldeform__call *call, int64_t images, const cldeform__operand *input,
                                             cl_mem packed);

/* grad_input of so many images = or += sum (images, in_h*in_w, in_channels). */
cldeform_status cldeform__enqueue_store_input(const cldeform_conv2d *conv, const cldeform__transfer *transfer,
                                              cldeform__call *call, int64_t images,
                                              const cldeform__conv2d_gradients *gradients, cl_mem sum);

#endif
