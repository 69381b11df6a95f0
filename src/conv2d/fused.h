/* What the algorithm fused plans when an object is created: how its kernels cut the problem into pieces. Nothing of it
 * depends on the batch but how many images' copies of the input are in memory at a time, which no result shows. */
#ifndef CLDEFORM_CONV2D_FUSED_H
#define CLDEFORM_CONV2D_FUSED_H

#include "conv2d.h"
#include "conv2d_fused_shape.clh"
#include "parameters.h"
#include "steps.h"

/* Parts of the workspace, forward. */
enum { FUSED_WEIGHT, FUSED_ZEROS, FUSED_INPUT, FUSED_FORWARD_PARTS };

/* Backward: of one image but for the weights. */
enum {
    FUSED_BACK_ZEROS,
    FUSED_BACK_INPUT,
    FUSED_BACK_GRAD_OUTPUT,
    FUSED_BACK_WEIGHT,
    FUSED_BACK_COPIES,  /* of the input's gradient */
    FUSED_BACK_PARTIAL, /* dot products of a slab, where several work-items share its channels */
    FUSED_BACK_SUM,     /* of the weight's gradient, and what rounding has taken off it */
    FUSED_BACK_REST,
    FUSED_BACK_BIAS, /* PARAMETER_PARTS of parameters.h */
    FUSED_BACKWARD_PARTS = FUSED_BACK_BIAS + PARAMETER_PARTS
};

enum { FUSED_TURN = 16 }; /* TILE of transpose.cl, RUN of conv2d_fused_pack.cl */

/* One kernel: its tile of registers, how it cuts the problem, and the local memory of a work-item, in bytes. */
typedef struct fused_form {
    int vector;               /* channels sampled at once */
    int lanes, vectors, rows; /* of the tile */
    conv2d_fused_shape shape;
    size_t columns, sums, placed, reals; /* sums: 0 where the kernel has none */
    size_t blocks;                       /* forward: work-items that share a panel's groups and outputs */
    cldeform__kernel *kernel;
} fused_form;

typedef struct fused_plan {
    conv2d_geometry geometry;
    size_t real_size; /* of the type of the arithmetic */
    char options[192];
    bool packs_input;
    int64_t pitch;                         /* elements from a pixel of the input to the next */
    fused_form forward, grad, grad_weight; /* rows 0: not prepared */
    cldeform__parameter_steps parameters;
    cldeform__kernel *clear, *transpose, *pack_tiles, *pack_channel_tiles, *pack_grad_output, *add_copies, *finish;
} fused_plan;

/* The algorithm's `refuses`, `plan` and `workspace` (conv2d.h). */
const char *cldeform__fused_refuses(const cldeform_context *context, const cldeform_conv2d_problem *problem,
                                    const cldeform__conv2d_sizes *sizes);
cldeform_status cldeform__fused_make_plan(cldeform_conv2d *conv);
void cldeform__fused_workspace(const cldeform_conv2d *conv, cldeform_passes passes, size_t *minimum, size_t *preferred);

/* How one kernel cuts the problem; the kernel is not compiled. */
cldeform_status cldeform__fused_shape_forward(const cldeform_conv2d *conv, const fused_plan *plan, fused_form *form);
cldeform_status cldeform__fused_shape_grad(const cldeform_conv2d *conv, const fused_plan *plan, fused_form *form);
cldeform_status cldeform__fused_shape_grad_weight(const cldeform_conv2d *conv, const fused_plan *plan,
                                                  fused_form *form);

/* floats or doubles of a vector */
int cldeform__fused_vector(const cldeform_conv2d *conv);

/* Local memory of a form. */
size_t cldeform__fused_local_bytes(const fused_form *form);

/* Sizes of the workspace's parts, forward for chunks of `images`; false where they overflow. */
bool cldeform__fused_size_forward(const cldeform_conv2d *conv, const fused_plan *plan, int64_t images,
                                  size_t parts[FUSED_FORWARD_PARTS]);
bool cldeform__fused_size_backward(const cldeform_conv2d *conv, const fused_plan *plan, cldeform_passes passes,
                                   size_t parts[FUSED_BACKWARD_PARTS]);

/* Images whose copies of the input are in memory at a time in the forward pass, in a workspace of so many bytes. */
int64_t cldeform__fused_chunk(const cldeform_conv2d *conv, const fused_plan *plan, int64_t batch, size_t bytes);

/* Bytes of the weight as a form's tiles, of outputs or (channels) of input channels. */
bool cldeform__fused_weight_bytes(const cldeform_conv2d *conv, const fused_plan *plan, const fused_form *form,
                                  bool channels, size_t *bytes);

/* A number of work-groups in the second or third dimension, for kernels that go on where it is too large. */
size_t cldeform__fused_groups(int64_t n);

/* The local memory that a form's kernel takes, its last arguments. */
void cldeform__fused_add_local(cldeform__argument_list *list, const fused_form *form);

/* Pixels of zeros: the one at first_pixel, and as many images' later ones. */
cldeform_status cldeform__fused_clear(const cldeform_conv2d *conv, cldeform__call *call, cl_mem pixels,
                                      int64_t first_pixel, int64_t images);

/* The images' input with channels side by side, room for a pixel behind each. */
cldeform_status cldeform__fused_pack_input(const cldeform_conv2d *conv, cldeform__call *call, int64_t n_images,
                                           const cldeform__operand *input, cl_mem packed);

cldeform_status cldeform__fused_backward(const cldeform_conv2d *conv, cldeform__call *call, int64_t batch,
                                         const cldeform__conv2d_operands *operands,
                                         const cldeform__conv2d_gradients *gradients, cldeform__workspace *workspace);

#endif
