/* roi.h: the parts of the commands roi-pool and psroi-pool, which differ in their options alone: files and shapes, and
 * the library's calls. */
#ifndef CLDEFORM_TOOL_ROI_H
#define CLDEFORM_TOOL_ROI_H

#include "operator.h"

/* Of both commands; what one of them lacks stays 0. */
typedef struct roi_options {
    operator_options common;
    int method, offset_gradient; /* their enums */
    int64_t output_size[2];      /* h, w */
    double spatial_scale;
    double offset_scale; /* 0: the library's default */
    int64_t sampling_ratio;
    int64_t output_dim, group_size;   /* group_size 0: inferred */
    int64_t part_size[2], samples[2]; /* h, w; 0: the library's defaults */
} roi_options;

/* Fill all of o. */
int roi_pool_read_options(int argc, char **argv, roi_options *o, fault *f);
int roi_ps_read_options(int argc, char **argv, roi_options *o, fault *f);
void roi_pool_print_help(void);
void roi_ps_print_help(void);

/* An option that only one of a command's modes has. */
typedef struct roi_mode_option {
    int given;
    const char *name; /* "--mask" */
} roi_mode_option;

/* For the commands' own parts. What both commands cannot do without; that none of these options is given. */
int roi_check_required(const roi_options *o, const char *command, fault *f);
int roi_check_mode(const roi_mode_option *options, size_t count, const char *needed, fault *f);

#define ROI_TENSORS                                                                                                    \
    (TENSORS_ALL & ~(1u << TENSOR_WEIGHT | 1u << TENSOR_BIAS | 1u << TENSOR_GRAD_WEIGHT | 1u << TENSOR_GRAD_BIAS))
#define ROI_REQUIRED   (1u << TENSOR_INPUT | 1u << TENSOR_ROIS)
#define ROI_ALGORITHMS 3
extern const number_word roi_algorithms[ROI_ALGORITHMS];

typedef struct roi_data {
    cldeform_roi_pool_problem problem;
    int64_t rois, out_channels;
    cldeform_shape output;
    npy_array array[TENSORS]; /* zeros until it is computed */
} roi_data;

/* Reads the files, checks every shape and type against the others, and fills all of d. All zero before; tensors_free
 * after, also after a failure. */
int roi_load(const roi_options *o, roi_data *d, fault *f);

/* Of an object that computes these: the gradient of ROI_MAX follows from the argmax, which forward writes. */
cldeform_passes roi_passes(const cldeform_roi_pool_problem *problem, cldeform_passes passes);

/* Of the library's roi_pool object and of its reference; their data are a roi_data. */
extern const operator_calls roi_calls;

#endif
