/* conv2d.h: the parts of the conv2d command: options, files and shapes, and the library's calls. gradcheck computes
 * with them too. */
#ifndef CLDEFORM_TOOL_CONV2D_H
#define CLDEFORM_TOOL_CONV2D_H

#include "operator.h"

typedef struct conv2d_options {
    operator_options common;
    int64_t stride[2], dilation[2]; /* h, w */
    int64_t pad[4];                 /* top, left, bottom, right */
    int64_t groups, offset_groups;  /* 0: inferred */
    int border, offset_gradient;    /* their enums */
} conv2d_options;

/* What the options' values are called. The reference is the last of the algorithms, after the library's. */
#define CONV2D_ALGORITHMS 4
extern const number_word conv2d_borders[2], conv2d_offset_gradients[2], conv2d_algorithms[CONV2D_ALGORITHMS + 1];

#define CONV2D_NOT_OPEN "--offset-gradient open is not possible with --border edge, expected strict"

/* Fills all of o. */
int conv2d_read_options(int argc, char **argv, conv2d_options *o, fault *f);
void conv2d_print_help(void);

typedef struct conv2d_data {
    cldeform_conv2d_problem problem;
    int64_t out_h, out_w;
    npy_array array[TENSORS]; /* zeros until it is computed */
} conv2d_data;

/* Reads the files, checks every shape and type against the others, and fills all of d. All zero before; tensors_free
 * after, also after a failure. */
int conv2d_load(const conv2d_options *o, conv2d_data *d, fault *f);

/* Of the library's conv2d object and of its reference; their data are a conv2d_data. */
extern const operator_calls conv2d_calls;

#endif
