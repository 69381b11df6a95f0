/* Steps on columns, for the algorithms and for the callers who bring their own product. A step works on a slab: a run
 * of output pixels of some images, the first of which is the operands' first. */
#ifndef CLDEFORM_CONV2D_STEPS_H
#define CLDEFORM_CONV2D_STEPS_H

#include "cldeform/cldeform.h"

#include "../launch.h"
#include "conv2d_geometry.clh"
#include "operands.h"
#include "problem.h"

typedef struct cldeform__slab {
    int64_t images, first_pixel, pixels;
} cldeform__slab;

/* Columns in memory, in elements: those of the slab's first image begin at `start`. A row is a tap of a channel
 * (planar) or a pixel. */
typedef struct cldeform__column_view {
    cl_mem buffer;
    size_t start, image_stride, row_stride;
} cldeform__column_view;

/* How kernels are compiled for a problem. */
typedef struct cldeform__step_form {
    bool nhwc;               /* the order of the input, whatever problem.layout */
    bool planar;             /* of columns: rows are taps of channels (if not nhwc, they are) */
    cldeform_dtype columns;  /* F32 and F64: what the arithmetic is in */
    bool im2col, col2offset; /* which of the kernels are needed */
} cldeform__step_form;

typedef struct cldeform__steps {
    conv2d_geometry geometry;
    cldeform__step_form form;
    char options[192];
    int lanes;                                      /* work-items of im2col that share the channels of a sample */
    cldeform__kernel *im2col, *pack_weight, *store; /* of one program */
    cldeform__kernel *col2offset;
} cldeform__steps;

/* Compiles the kernels of the form. Blocking. */
cldeform_status cldeform__steps_prepare(const cldeform_conv2d *conv, const cldeform__step_form *form,
                                        cldeform__steps *steps);

/* The options that all kernels on columns share. */
void cldeform__step_options(const cldeform_conv2d *conv, const cldeform__step_form *form, int vector, char *options,
                            size_t size);
bool cldeform__uses_long_index(const cldeform_conv2d *conv);
void cldeform__step_geometry(const cldeform_conv2d *conv, conv2d_geometry *geometry);

/* What an image costs, for traces: multiply-adds of one product, as two; bytes of its input, offset, mask and output,
 * with so many for an element of input and output. */
double cldeform__product_flop(const cldeform_conv2d *conv);
double cldeform__tensor_bytes(const cldeform_conv2d *conv, size_t element);

/* Whether im2col is best given input in NHWC order on this device. */
bool cldeform__wants_nhwc(const cldeform_conv2d *conv);

/* columns = samples of the input. */
cldeform_status cldeform__enqueue_im2col(const cldeform_conv2d *conv, const cldeform__steps *steps,
                                         cldeform__call *call, const cldeform__slab *slab,
                                         const cldeform__conv2d_operands *operands,
                                         const cldeform__column_view *columns);

/* grad_offset and grad_mask, those that are present, from the gradient of the columns. */
cldeform_status cldeform__enqueue_col2offset(const cldeform_conv2d *conv, const cldeform__steps *steps,
                                             cldeform__call *call, const cldeform__slab *slab,
                                             const cldeform__conv2d_operands *operands,
                                             const cldeform__conv2d_gradients *gradients,
                                             const cldeform__column_view *grad_columns);

/* ---- for whoever enqueues more of the kernels ---- */

/* An offset limit for comparison with floats: rounded down, so that a float beyond the limit is beyond it here too. */
cl_float cldeform__limit_float(double limit);

/* Values that arguments of a launch point to: where the tensors that say where samples lie begin. */
typedef struct cldeform__where {
    cl_ulong2 offset_place, mask_place;
    cl_double limit;
    cl_float limit_float;
} cldeform__where;
void cldeform__add_where(cldeform__argument_list *list, cldeform__where *where, const cldeform_conv2d *conv,
                         const cldeform__conv2d_operands *operands);

#endif
