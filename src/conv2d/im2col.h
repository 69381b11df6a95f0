/* What the algorithm im2col plans when an object is created. A slab's bounds depend on the device and on the problem of
 * one image alone, so that products have the same sizes and results the same bits whatever the batch and the workspace;
 * these decide only for how many images (a chunk) a slab's columns are in memory at a time. */
#ifndef CLDEFORM_CONV2D_IM2COL_H
#define CLDEFORM_CONV2D_IM2COL_H

#include "../gemm.h"
#include "col2im.h"
#include "conv2d.h"
#include "parameters.h"

/* Parts of the workspace, forward. */
enum { PACKED, INPUT, COLUMNS, RESULT, SCRATCH, FORWARD_PARTS };

/* Backward, behind those of col2im. Everything in it is in NHWC order whatever the layout, so that channels lie side by
 * side: columns and their gradient (which are never there at the same time), the input, a slab of grad_output, which
 * may be there in planes too. */
enum {
    BACK_WEIGHT = COL2IM_PARTS, /* packed */
    BACK_INPUT,
    BACK_GRAD_OUTPUT,
    BACK_GRAD_PLANES,
    BACK_COLUMNS,
    BACK_PRODUCT,     /* of a run of pixels, for the gradient of the weight; packed, as its sum */
    BACK_GRAD_WEIGHT, /* the sum, and what rounding has taken off it */
    BACK_GRAD_WEIGHT_REST,
    BACK_BIAS_SUMS, /* PARAMETER_PARTS of parameters.h */
    BACK_SCRATCH = BACK_BIAS_SUMS + PARAMETER_PARTS,
    BACKWARD_PARTS
};

typedef struct im2col_backward {
    cldeform__steps steps;
    cldeform__col2im col2im;
    cldeform__parameter_steps parameters;
    cldeform__kernel *pack_input, *load_grad_output, *add_product;
    bool in_place;    /* the product that gives the gradient of the columns is made without copies */
    bool planes;      /* it takes grad_output in planes */
    bool aligned;     /* products for the gradient of the weight begin aligned */
    bool whole_tiles; /* these products sum over whole tiles of pixels, and over the rest on its own */
    size_t scratch;
} im2col_backward;

/* Orders of the weight in memory: those of conv2d_pack_weight, of each group. */
typedef enum weight_order {
    AS_GIVEN,
    TAPS_CHANNELS_OUTPUTS,
    CHANNELS_TAPS_OUTPUTS,
    OUTPUTS_TAPS_CHANNELS
} weight_order;

typedef struct im2col_plan {
    cldeform__steps steps; /* forward */
    im2col_backward backward;
    bool packs_input;             /* forward, to NHWC */
    cldeform__kernel *pack_input; /* NULL: it does not */
    bool in_place;                /* the forward product is made without copies */
    bool planar;                  /* forward columns: (rows, pixels), else (pixels, rows) */
    weight_order order;           /* of the weight that it takes */
    cldeform__gemm_engine engine;
    size_t real_size;    /* of the type of columns, packed weights and results */
    int64_t rows;        /* of the columns: in_channels * taps */
    int64_t slab_pixels; /* of every slab but an image's last */
    int64_t slabs;       /* of an image */
    size_t scratch;      /* bytes that the products of the forward pass need */
} im2col_plan;

/* The algorithm's `refuses`, `plan` and `workspace` (conv2d.h). */
const char *cldeform__im2col_refuses(const cldeform_context *context, const cldeform_conv2d_problem *problem,
                                     const cldeform__conv2d_sizes *sizes);
cldeform_status cldeform__im2col_make_plan(cldeform_conv2d *conv);
void cldeform__im2col_workspace(const cldeform_conv2d *conv, cldeform_passes passes, size_t *minimum,
                                size_t *preferred);

/* Whether the forward product takes the weight in another order or type than the caller's. */
bool cldeform__im2col_packs_weight(const cldeform_conv2d *conv, const im2col_plan *plan);

/* The pixels that a product without copies (in_place) has for so many: whole tiles. What is in those behind the slab's
 * is of no interest. */
int64_t cldeform__im2col_pad(const im2col_plan *plan, bool in_place, int64_t pixels);

/* Elements from an image to the next of matrices of so many elements in the workspace: they begin aligned. */
size_t cldeform__im2col_image(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t elements);
/* Bytes of a part of such matrices, of these sizes, for so many images; false on overflow. */
bool cldeform__im2col_images(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t images, int64_t rows,
                             int64_t row_length, size_t *bytes);

/* The product of one image's slab of so many pixels and one group, into the output itself (direct) or the result. */
cldeform__gemm cldeform__im2col_gemm(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t pixels, bool direct);

/* Pixels of an image's last slab. */
int64_t cldeform__im2col_last_slab(const cldeform_conv2d *conv, const im2col_plan *plan);

/* Sizes of the workspace's parts for chunks of `images`; false where they overflow. */
bool cldeform__im2col_size_parts(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t images,
                                 size_t parts[FORWARD_PARTS]);

/* The chunk of a call that does one pass, FORWARD or GRAD_* bits, on so many images within so many bytes. */
int64_t cldeform__im2col_chunk(const cldeform_conv2d *conv, const im2col_plan *plan, cldeform_passes passes,
                               int64_t batch, size_t bytes);

/* The weight in the order and type that the products take. */
cldeform_status cldeform__im2col_pack(const cldeform_conv2d *conv, const cldeform__steps *steps, cldeform__call *call,
                                      const cldeform__operand *weight, cldeform__matrix packed, weight_order order);

/* Backward: what the plan needs of it. */
cldeform_status cldeform__im2col_prepare_backward(const cldeform_conv2d *conv, im2col_plan *plan);
cldeform_status cldeform__im2col_size_backward_scratch(const cldeform_conv2d *conv, im2col_plan *plan);
bool cldeform__im2col_size_backward(const cldeform_conv2d *conv, const im2col_plan *plan, cldeform_passes passes,
                                    int64_t images, size_t parts[BACKWARD_PARTS]);
cldeform_status cldeform__im2col_backward(const cldeform_conv2d *conv, cldeform__call *call, int64_t batch,
                                          const cldeform__conv2d_operands *operands,
                                          const cldeform__conv2d_gradients *gradients, cldeform__workspace *workspace);

#endif
