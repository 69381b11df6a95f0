/* What the algorithm tiled plans when an object is created: the tiles of its three kernels, and how they cut the
 * problem. With deterministic set, nothing of it depends on the batch but how many images' copies are in memory at a
 * time, which no result shows. */
#ifndef CLDEFORM_CONV2D_TILED_H
#define CLDEFORM_CONV2D_TILED_H

#include "../atomics.h"
#include "conv2d.h"
#include "conv2d_tiled_shape.clh"
#include "parameters.h"
#include "transfer.h"

/* Parts of the workspace, forward. */
enum { TILED_WEIGHT, TILED_INPUT, TILED_PARTS, TILED_FORWARD_PARTS };

/* Backward: of a chunk's images but for the weights. */
enum {
    TILED_BACK_WEIGHT,
    TILED_BACK_INPUT,
    TILED_BACK_SUM,   /* of the input's gradient */
    TILED_BACK_DOTS,  /* what the gradients of offset and mask consist of */
    TILED_BACK_PARTS, /* of the weight's gradient, of each split */
    TILED_BACK_TOTAL, /* of it, over the images, and what rounding has taken off */
    TILED_BACK_REST,
    TILED_BACK_BIAS, /* PARAMETER_PARTS of parameters.h */
    TILED_BACKWARD_PARTS = TILED_BACK_BIAS + PARAMETER_PARTS
};

/* One kernel and its tile: the options of conv2d_tiled.clh. */
typedef struct tiled_form {
    int rows, columns, item_rows, item_columns, depth;
    int terms; /* of all groups of a tile; depth where `grouped` is false */
    int table; /* taps (forward) or pixels (gradient of the weight) whose positions are in local memory */
    bool grouped;
    conv2d_tiled_shape shape;
    int64_t row_tiles;    /* gradient of the weight: tiles of a group's outputs */
    int64_t column_tiles; /* of output pixels, or of channels */
    int64_t packed;       /* elements of the packed weight */
    cldeform__kernel *kernel;
} tiled_form;

typedef struct tiled_plan {
    conv2d_geometry geometry;
    size_t real_size; /* of the type of the arithmetic */
    int vector;
    char options[192];
    const char *atomic_options; /* of the gradient's kernel */
    bool packs_input;
    tiled_form forward, grad, grad_weight; /* rows 0: not prepared */
    cldeform__transfer transfer;
    cldeform__parameter_steps parameters;
    cldeform__kernel *pack_outputs, *pack_channels, *add, *finish, *add_parts;
} tiled_plan;

/* The algorithm's `refuses`, `plan` and `workspace` (conv2d.h). */
const char *cldeform__tiled_refuses(const cldeform_context *context, const cldeform_conv2d_problem *problem,
                                    const cldeform__conv2d_sizes *sizes);
cldeform_status cldeform__tiled_make_plan(cldeform_conv2d *conv);
void cldeform__tiled_workspace(const cldeform_conv2d *conv, cldeform_passes passes, size_t *minimum, size_t *preferred);

/* The tile of a kernel, for work-groups of at most so many work-items, and how it cuts the problem; the kernel is not
 * compiled. Errors: UNSUPPORTED (no tile is small enough for the device). */
typedef cldeform_status tiled_shape_function(const cldeform_conv2d *conv, const tiled_plan *plan, size_t most_items,
                                             tiled_form *form);
tiled_shape_function cldeform__tiled_shape_forward, cldeform__tiled_shape_grad, cldeform__tiled_shape_grad_weight;

size_t cldeform__tiled_items(const tiled_form *form);                               /* work-items of a group */
size_t cldeform__tiled_local_bytes(const tiled_plan *plan, const tiled_form *form); /* local memory of one */

/* Channels that lie in one group and one offset group. */
int64_t cldeform__tiled_run(const cldeform_conv2d_problem *problem);

/* Sizes of the workspace's parts for chunks of so many images; false where they overflow. */
bool cldeform__tiled_size_forward(const cldeform_conv2d *conv, const tiled_plan *plan, int64_t images,
                                  size_t parts[TILED_FORWARD_PARTS]);
bool cldeform__tiled_size_backward(const cldeform_conv2d *conv, const tiled_plan *plan, cldeform_passes passes,
                                   int64_t images, size_t parts[TILED_BACKWARD_PARTS]);

/* Images of a backward chunk at most: more of them would only take memory, as the device has several turns of
 * work-groups. */
int64_t cldeform__tiled_images(const cldeform_conv2d *conv, const tiled_plan *plan);

/* The images that a call, forward (FORWARD) or backward, works on at a time within so many bytes. */
int64_t cldeform__tiled_chunk(const cldeform_conv2d *conv, const tiled_plan *plan, cldeform_passes passes,
                              int64_t batch, size_t bytes);

cldeform_status cldeform__tiled_backward(const cldeform_conv2d *conv, cldeform__call *call, int64_t batch,
                                         const cldeform__conv2d_operands *operands,
                                         const cldeform__conv2d_gradients *gradients, cldeform__workspace *workspace);

#endif
