/* What the algorithm im2col plans when an object is created. A slab is a run of output pixels of one image, at most an
 * image. Its bounds depend on the device and on the problem of one image alone, so that products have the same sizes
 * and results the same bits whatever the batch and the workspace; these decide only for how many images (a chunk) a
 * slab's columns are in memory at a time. */
#ifndef CLDEFORM_CONV2D_IM2COL_H
#define CLDEFORM_CONV2D_IM2COL_H

#include "../gemm.h"
#include "conv2d.h"
#include "conv2d_geometry.clh"

/* Parts of the workspace. */
enum { PACKED, COLUMNS, RESULT, SCRATCH, N_PARTS };

typedef struct im2col_plan {
    conv2d_geometry geometry;
    char options[160];
    cldeform__kernel *im2col, *pack_weight, *store;
    cldeform__gemm_engine engine;
    size_t real_size;         /* of the type of columns, packed weights and results */
    int64_t rows;             /* of the columns: in_channels * taps */
    int64_t slab_pixels;      /* of every slab but an image's last */
    int64_t slabs;            /* of an image */
    size_t scratch;           /* bytes that the products need */
    int64_t preferred_images; /* of a chunk */
    size_t minimum, preferred;
} im2col_plan;

/* The algorithm's `refuses`, `plan` and `workspace` (conv2d.h). */
const char *cldeform__im2col_refuses(const cldeform_context *context, const cldeform_conv2d_problem *problem,
                                     const cldeform__conv2d_sizes *sizes);
cldeform_status cldeform__im2col_make_plan(cldeform_conv2d *conv);
void cldeform__im2col_workspace(const cldeform_conv2d *conv, cldeform_passes passes, size_t *minimum,
                                size_t *preferred);

/* Whether the product takes the weight in another order or type than the caller's. */
bool cldeform__im2col_packs_weight(const cldeform_conv2d_problem *problem);

/* The product of one image's slab of so many pixels and one group, into the output itself (direct) or the result. */
cldeform__gemm cldeform__im2col_gemm(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t pixels, bool direct);

/* Sizes of the workspace's parts for chunks of `images`; false where they overflow. */
bool cldeform__im2col_size_parts(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t images,
                                 size_t parts[N_PARTS]);

/* The largest chunk, at most `most` images, whose workspace is at most `bytes`; at least 1. */
int64_t cldeform__im2col_images_within(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t most,
                                       size_t bytes);

#endif
