/* conv2d.h: the parts of the conv2d command: options, files and shapes, plan, and the two ways to compute. */
#ifndef CLDEFORM_TOOL_CONV2D_H
#define CLDEFORM_TOOL_CONV2D_H

#include <jansson.h>

#include "cldeform/cldeform.h"
#include "fault.h"
#include "npy.h"

typedef struct conv2d_options {
    const char *input, *weight, *offset, *mask, *bias, *output; /* paths; NULL: not given */
    const char *device;                                         /* NULL: not given */
    int64_t stride[2], dilation[2];                             /* h, w */
    int64_t pad[4];                                             /* top, left, bottom, right */
    int64_t groups, offset_groups;                              /* 0: inferred */
    int border, layout, algorithm;                              /* their enums; algorithm also CONV2D_REFERENCE */
    size_t workspace_limit;                                     /* 0: none */
    int deterministic, print_plan, help;
} conv2d_options;

#define CONV2D_REFERENCE                                                                                               \
    (-1) /* of options.algorithm: the host's double precision, not one of the library's algorithms */

/* Fills all of o. */
int conv2d_read_options(int argc, char **argv, conv2d_options *o, fault *f);
void conv2d_print_help(void);

typedef struct conv2d_data {
    cldeform_conv2d_problem problem;
    npy_array input, weight, offset, mask, bias; /* rank 0 and no data: absent */
    npy_array output;                            /* zeros until it is computed */
} conv2d_data;

/* Reads the files, checks every shape and type against the others, and fills all of d. All zero before;
 * conv2d_free_data after, also after a failure. */
int conv2d_load(const conv2d_options *o, conv2d_data *d, fault *f);
void conv2d_free_data(conv2d_data *d);

/* plan holds what cldeform_conv2d_describe says, or the same keys. */
int conv2d_print_plan(const char *device, const json_t *plan, fault *f);

/* Prints the plan if asked for, then fills d->output if that is asked for. */
int conv2d_run_device(const conv2d_options *o, conv2d_data *d, fault *f);
int conv2d_run_reference(const conv2d_options *o, conv2d_data *d, fault *f);

#endif
