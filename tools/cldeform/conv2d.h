/* conv2d.h: the parts of the conv2d command: options, files and shapes, plan, and the two ways to compute. gradcheck
 * computes with them too. */
#ifndef CLDEFORM_TOOL_CONV2D_H
#define CLDEFORM_TOOL_CONV2D_H

#include <jansson.h>

#include "cldeform/cldeform.h"
#include "device.h"
#include "fault.h"
#include "npy.h"
#include "number.h"

/* The tensors: those that are read, then those that are computed. */
enum {
    CONV2D_INPUT,
    CONV2D_WEIGHT,
    CONV2D_OFFSET,
    CONV2D_MASK,
    CONV2D_BIAS,
    CONV2D_GRAD_OUTPUT,
    CONV2D_OUTPUT,
    CONV2D_GRAD_INPUT,
    CONV2D_GRAD_WEIGHT,
    CONV2D_GRAD_OFFSET,
    CONV2D_GRAD_MASK,
    CONV2D_GRAD_BIAS,
    CONV2D_TENSORS
};

typedef struct conv2d_tensor {
    const char *name;     /* "grad_input": in messages */
    const char *option;   /* "grad-input": of the command line */
    cldeform_passes pass; /* that computes it; 0: it is read */
    int of;               /* a gradient: the tensor that it has the shape and type of; else itself */
} conv2d_tensor;

extern const conv2d_tensor conv2d_tensors[CONV2D_TENSORS];

typedef struct conv2d_options {
    const char *path[CONV2D_TENSORS]; /* NULL: not given */
    const char *device;               /* NULL: not given */
    int64_t stride[2], dilation[2];   /* h, w */
    int64_t pad[4];                   /* top, left, bottom, right */
    int64_t groups, offset_groups;    /* 0: inferred */
    int border, layout, algorithm;    /* their enums; algorithm also CONV2D_REFERENCE */
    int offset_gradient;              /* its enum */
    size_t workspace_limit;           /* 0: none */
    int deterministic, print_plan, help;
} conv2d_options;

#define CONV2D_REFERENCE                                                                                               \
    (-1) /* of options.algorithm: the host's double precision, not one of the library's algorithms */

/* What the options' values are called. The reference is the last of the algorithms, after the library's. */
#define CONV2D_ALGORITHMS 2
extern const number_word conv2d_borders[2], conv2d_offset_gradients[2], conv2d_layouts[2],
    conv2d_algorithms[CONV2D_ALGORITHMS + 1];

#define CONV2D_NOT_OPEN "--offset-gradient open is not possible with --border edge, expected strict"

/* Fills all of o. */
int conv2d_read_options(int argc, char **argv, conv2d_options *o, fault *f);
void conv2d_print_help(void);

typedef struct conv2d_data {
    cldeform_conv2d_problem problem;
    int64_t out_h, out_w;
    /* In their files' types. Rank 0 and no data: absent, or not asked for. Zeros until it is computed. */
    npy_array array[CONV2D_TENSORS];
} conv2d_data;

/* Reads the files, checks every shape and type against the others, and fills all of d. All zero before;
 * conv2d_free_data after, also after a failure. */
int conv2d_load(const conv2d_options *o, conv2d_data *d, fault *f);
void conv2d_free_data(conv2d_data *d);

/* Of those of d's tensors that are computed. */
cldeform_passes conv2d_passes(const conv2d_data *d);

/* plan holds what cldeform_conv2d_describe says, or the same keys. */
int conv2d_print_plan(const char *device, const json_t *plan, fault *f);

typedef struct conv2d_device {
    device_session session;
    cldeform_context *context;
} conv2d_device;

/* `wanted` as device_choose has it. All zero before; conv2d_close_device after, also after a failure. */
int conv2d_open_device(conv2d_device *device, const char *wanted, fault *f);
void conv2d_close_device(conv2d_device *device);

/* Prints the plan if asked for, then computes what d has room for: on the device, or on the host. */
int conv2d_run_device(const conv2d_device *device, int print_plan, conv2d_data *d, fault *f);
int conv2d_run_reference(int print_plan, conv2d_data *d, fault *f);

/* An array's elements as malloced doubles; NULL in *values for an absent tensor, and never for one that is there. */
int conv2d_widen(const npy_array *array, double **values, fault *f);

#endif
