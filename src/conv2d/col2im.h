/* Gradient of the input from the gradient of the columns: begin, add slab after slab, store. The ways to add are in
 * conv2d_col2im.cl. */
#ifndef CLDEFORM_CONV2D_COL2IM_H
#define CLDEFORM_CONV2D_COL2IM_H

#include "../atomics.h"
#include "steps.h"
#include "transfer.h"

typedef enum cldeform__col2im_way { COL2IM_SCATTER = 0, COL2IM_GATHER = 1, COL2IM_ATOMIC = 2 } cldeform__col2im_way;

/* Parts of the workspace: the sum, the table of a slab's samples, and for the gather the bins and what is in them. */
enum { COL2IM_SUM, COL2IM_CORNERS, COL2IM_WEIGHTS, COL2IM_BINS, COL2IM_SAMPLES, COL2IM_PARTS };

typedef struct cldeform__col2im {
    conv2d_geometry geometry;
    bool nhwc; /* the order of the columns */
    cldeform__col2im_way way;
    const char *reason;                /* why this way */
    cldeform__atomic_form atomic_form; /* of the atomic way */
    int unit, blocks;                  /* channels that every group holds whole; blocks of channels of an image */
    size_t real_size;
    cldeform__kernel *place, *scatter, *scan, *fill, *sort, *gather, *atomic; /* NULL: not of this way */
    cldeform__transfer transfer;
} cldeform__col2im;

/* Chooses the way from the device, the tuning and the problem of one image; compiles the kernels for columns of that
 * form. Blocking. */
cldeform_status cldeform__col2im_prepare(const cldeform_conv2d *conv, const cldeform__step_form *form,
                                         cldeform__col2im *col2im);

/* ,"col2im":"scatter", why, and the form of atomic addition */
void cldeform__col2im_describe(const cldeform__col2im *col2im, cldeform__text *text);

/* Bytes of the parts for so many images and slabs of so many pixels; false on overflow. */
bool cldeform__col2im_sizes(const cldeform_conv2d *conv, const cldeform__col2im *col2im, int64_t images, int64_t pixels,
                            size_t parts[COL2IM_PARTS]);

/* The sum of so many images = 0. */
cldeform_status cldeform__enqueue_clear(const cldeform_conv2d *conv, const cldeform__col2im *col2im,
                                        cldeform__call *call, int64_t images, const cl_mem parts[COL2IM_PARTS]);

/* The sum += what the slab's columns give. */
cldeform_status cldeform__enqueue_col2im(const cldeform_conv2d *conv, const cldeform__col2im *col2im,
                                         cldeform__call *call, const cldeform__slab *slab,
                                         const cldeform__conv2d_operands *operands,
                                         const cldeform__column_view *grad_columns, const cl_mem parts[COL2IM_PARTS]);

/* grad_input of so many images = or += the sum. */
cldeform_status cldeform__enqueue_store_grad_input(const cldeform_conv2d *conv, const cldeform__col2im *col2im,
                                                   cldeform__call *call, int64_t images,
                                                   const cldeform__conv2d_gradients *gradients,
                                                   const cl_mem parts[COL2IM_PARTS]);

#endif
