/* roi_load.c: from files to a problem: reads them and checks each shape and type against the ones before it. */
#include "roi.h"

#include <math.h>
#include <stdio.h>

static int load_input(const roi_options *o, roi_data *d, fault *f)
{
    int64_t size[4];
    cldeform_roi_pool_problem *p = &d->problem;
    int status = operator_read_input(&o->common, d->array, size, f);
    if (status != EXIT_FINE)
        return status;
    p->batch = size[0];
    p->in_channels = size[1];
    p->level[0] = (cldeform_roi_level){size[2], size[3], o->spatial_scale};
    p->dtype = d->array[TENSOR_INPUT].dtype;
    return EXIT_FINE;
}

/* The input's channels are output_dim times the square of the group's size, which they tell where it is not given. */
static int find_channels(const roi_options *o, roi_data *d, fault *f)
{
    cldeform_roi_pool_problem *p = &d->problem;
    char expected[OPERATOR_WORDS];
    int nhwc = o->common.layout == CLDEFORM_NHWC;
    d->out_channels = p->in_channels;
    if (o->output_dim == 0) /* roi-pool */
        return EXIT_FINE;
    const int64_t squared = p->in_channels % o->output_dim == 0 ? p->in_channels / o->output_dim : 0;
    d->out_channels = o->output_dim;
    p->group_size = o->group_size > 0 ? o->group_size : llround(sqrt((double)squared));
    if (p->group_size > 0 && p->group_size * p->group_size == squared)
        return EXIT_FINE;
    if (o->group_size > 0)
        snprintf(expected, sizeof expected, "%s with C = --output-dim %lld * --group-size %lld squared",
                 nhwc ? "(N,H,W,C)" : "(N,C,H,W)", (long long)o->output_dim, (long long)o->group_size);
    else
        snprintf(expected, sizeof expected, "%s with C = --output-dim %lld * a whole group size squared",
                 nhwc ? "(N,H,W,C)" : "(N,C,H,W)", (long long)o->output_dim);
    return operator_refuse_shape(&o->common, d->array, TENSOR_INPUT, expected, f);
}

static int load_rois(const roi_options *o, roi_data *d, fault *f)
{
    const npy_array *rois = &d->array[TENSOR_ROIS];
    int status = operator_read(&o->common, d->array, TENSOR_ROIS, f);
    if (status != EXIT_FINE)
        return status;
    if (rois->rank != 2 || rois->shape[1] != 5)
        return operator_refuse_shape(&o->common, d->array, TENSOR_ROIS, "(R,5): batch index, x1, y1, x2, y2", f);
    d->rois = d->problem.max_rois = rois->shape[0];
    d->problem.roi_dtype = rois->dtype;
    return EXIT_FINE;
}

/* Shifts for each part and class of channels; without classes, in roi-pool, for each bin. */
static int load_offset(const roi_options *o, roi_data *d, fault *f)
{
    cldeform_roi_pool_problem *p = &d->problem;
    const npy_array *offset = &d->array[TENSOR_OFFSET];
    int64_t shape[] = {d->rois, 2, p->part_h > 0 ? p->part_h : p->out_h, p->part_w > 0 ? p->part_w : p->out_w};
    if (p->method == CLDEFORM_ROI_ALIGN)
        return operator_read_shape(&o->common, d->array, TENSOR_OFFSET, 4, shape, f);
    int status = operator_read(&o->common, d->array, TENSOR_OFFSET, f);
    if (status != EXIT_FINE)
        return status;
    p->offset_classes = offset->rank == 4 && offset->shape[1] % 2 == 0 ? offset->shape[1] / 2 : 0;
    if (p->offset_classes == 0 || d->out_channels % p->offset_classes != 0) {
        char expected[OPERATOR_WORDS];
        snprintf(expected, sizeof expected, "(%lld,2*classes,%lld,%lld) with classes a divisor of --output-dim %lld",
                 (long long)shape[0], (long long)shape[2], (long long)shape[3], (long long)d->out_channels);
        return operator_refuse_shape(&o->common, d->array, TENSOR_OFFSET, expected, f);
    }
    shape[1] = offset->shape[1];
    return operator_check_shape(&o->common, d->array, TENSOR_OFFSET, 4, shape, f);
}

static int load_mask(const roi_options *o, roi_data *d, fault *f)
{
    const int64_t shape[] = {d->rois, 1, d->problem.out_h, d->problem.out_w};
    return operator_read_shape(&o->common, d->array, TENSOR_MASK, 4, shape, f);
}

/* The library's arithmetic, so that the tool has none of its own. Needs all of the problem. */
static int find_output(roi_data *d, fault *f)
{
    d->output = (cldeform_shape)CLDEFORM_INIT(cldeform_shape);
    if (cldeform_roi_pool_shape(&d->problem, CLDEFORM_OUTPUT, 0, &d->output) != CLDEFORM_OK)
        return fault_set(f, EXIT_INPUT, "%s", cldeform_last_error());
    return EXIT_FINE;
}

cldeform_passes roi_passes(const cldeform_roi_pool_problem *problem, cldeform_passes passes)
{
    return passes | (problem->method == CLDEFORM_ROI_MAX ? CLDEFORM_FORWARD : 0);
}

int roi_load(const roi_options *o, roi_data *d, fault *f)
{
    cldeform_roi_pool_problem *p = &d->problem;
    *p = (cldeform_roi_pool_problem){
        .struct_size = sizeof *p,
        .method = (cldeform_roi_method)o->method,
        .deformable = o->common.path[TENSOR_OFFSET] != NULL,
        .modulated = o->common.path[TENSOR_MASK] != NULL,
        .levels = 1,
        .out_h = o->output_size[0],
        .out_w = o->output_size[1],
        .offset_scale = o->offset_scale,
        .sampling_ratio = o->sampling_ratio,
        .part_h = o->part_size[0],
        .part_w = o->part_size[1],
        .samples_h = o->samples[0],
        .samples_w = o->samples[1],
        .layout = (cldeform_layout)o->common.layout,
        .offset_gradient = (cldeform_roi_gradient)o->offset_gradient,
        .deterministic = o->common.deterministic,
        .workspace_limit = o->common.workspace_limit,
    };
    int status = load_input(o, d, f);
    if (status == EXIT_FINE)
        status = find_channels(o, d, f);
    if (status == EXIT_FINE)
        status = load_rois(o, d, f);
    if (status == EXIT_FINE && p->deformable)
        status = load_offset(o, d, f);
    if (status == EXIT_FINE && p->modulated)
        status = load_mask(o, d, f);
    p->offset_dtype = tensors_offset_dtype(d->array);
    if (status == EXIT_FINE)
        status = find_output(d, f);
    if (status == EXIT_FINE)
        status = operator_create_outputs(&o->common, d->array, d->output.size, f);
    p->passes = tensors_passes(d->array);
    if (p->passes == 0) /* a plan alone is that of forward */
        p->passes = CLDEFORM_FORWARD;
    p->passes = roi_passes(p, p->passes);
    return status;
}
