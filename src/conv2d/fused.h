/* What the algorithm fused plans when an object is created: how its kernels cut the problem into pieces. Nothing of it
 * depends on the batch but how many images' copies of the input are in memory at a time, which no result shows. */
#ifndef CLDEFORM_CONV2D_FUSED_H
#define CLDEFORM_CONV2D_FUSED_H

#include "conv2d.h"
#include "conv2d_fused_shape.clh"
#include "steps.h"

/* Parts of the workspace, forward. */
enum { FUSED_WEIGHT, FUSED_ZEROS, FUSED_INPUT, FUSED_FORWARD_PARTS };

/* One kernel: its tile of registers, how it cuts the problem, and the local memory of a work-item, in bytes. */
typedef struct fused_form {
    int vector;               /* channels sampled at once */
    int lanes, vectors, rows; /* of the tile */
    conv2d_fused_shape shape;
    size_t columns, sums, placed, reals;
    size_t blocks; /* work-items that share a panel's groups and outputs */
    cldeform__kernel *kernel;
} fused_form;

typedef struct fused_plan {
    conv2d_geometry geometry;
    size_t real_size; /* of the type of the arithmetic */
    char options[192];
    bool packs_input;
    fused_form forward;
    cldeform__kernel *clear, *transpose, *pack_tiles;
} fused_plan;

/* The algorithm's `refuses`, `plan` and `workspace` (conv2d.h). */
const char *cldeform__fused_refuses(const cldeform_context *context, const cldeform_conv2d_problem *problem,
                                    const cldeform__conv2d_sizes *sizes);
cldeform_status cldeform__fused_make_plan(cldeform_conv2d *conv);
void cldeform__fused_workspace(const cldeform_conv2d *conv, cldeform_passes passes, size_t *minimum, size_t *preferred);

/* Sizes of the workspace's parts for chunks of `images`; false where they overflow. */
bool cldeform__fused_size_forward(const cldeform_conv2d *conv, const fused_plan *plan, int64_t images,
                                  size_t parts[FUSED_FORWARD_PARTS]);

/* Images whose copies of the input are in memory at a time, in a workspace of so many bytes. */
int64_t cldeform__fused_chunk(const cldeform_conv2d *conv, const fused_plan *plan, int64_t batch, size_t bytes);

/* Bytes of the weight as a form's tiles of outputs. */
bool cldeform__fused_weight_bytes(const cldeform_conv2d *conv, const fused_plan *plan, const fused_form *form,
                                  size_t *bytes);

#endif
