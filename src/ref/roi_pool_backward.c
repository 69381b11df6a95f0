/* The derivatives of the sums in roi_pool.c, term by term. Written from those sums, not from the kernels. */
#include "roi_pool.h"

#include "activation.h"

#include <string.h>

typedef struct arrays {
    const cldeform_ref_roi_pool_tensors *t;
    const cldeform_ref_roi_pool_gradients *to;
} arrays;

/* ---- a sample ------------------------------------------------------------------------------------------ */

/* Adds grad * weight to the pixels that the sample reads. */
static void add_to_pixels(const cldeform__ref_roi_sizes *s, double *grad_input, const cldeform__ref_roi *roi,
                          const cldeform__ref_bin *bin, const cldeform__ref_axis *y, const cldeform__ref_axis *x,
                          double grad)
{
    for (int row = 0; row < 2; row++)
        for (int column = 0; column < 2; column++)
            if (y->weight[row] != 0 && x->weight[column] != 0)
                grad_input[cldeform__ref_roi_input_at(s, roi->level, roi->image, bin->channel, y->pixel[row],
                                                      x->pixel[column])] += grad * y->weight[row] * x->weight[column];
}

/* grad: the gradient of the sample's value. */
static void add_sample(const cldeform__ref_roi_sizes *s, const arrays *a, const cldeform__ref_roi *roi,
                       const cldeform__ref_bin *bin, const cldeform__ref_axis *y, const cldeform__ref_axis *x,
                       double grad)
{
    if (a->to->grad_input[roi->level])
        add_to_pixels(s, a->to->grad_input[roi->level], roi, bin, y, x, grad);
    if (!a->to->grad_offset)
        return;
    const double *input = a->t->input[roi->level];
    const double slope[2] = {
        cldeform__ref_four_pixels(s, input, roi, bin->channel, y, x, y->slope, x->across),
        cldeform__ref_four_pixels(s, input, roi, bin->channel, y, x, y->across, x->slope),
    };
    for (int axis = 0; axis < 2; axis++)
        a->to->grad_offset[bin->offset[axis]] += grad * s->p.offset_scale * roi->size[axis] * slope[axis];
}

static void add_samples(const cldeform__ref_roi_sizes *s, const arrays *a, const cldeform__ref_roi *roi,
                        const cldeform__ref_bin *bin, double grad)
{
    for (int64_t i = bin->first[0]; i < bin->last[0]; i++) {
        const cldeform__ref_axis y = cldeform__ref_axis_at(s, roi, bin, 0, i);
        for (int64_t j = bin->first[1]; y.exists && j < bin->last[1]; j++) {
            const cldeform__ref_axis x = cldeform__ref_axis_at(s, roi, bin, 1, j);
            if (x.exists)
                add_sample(s, a, roi, bin, &y, &x, grad);
        }
    }
}

/* ---- whole cells --------------------------------------------------------------------------------------- */

static void add_cells(const cldeform__ref_roi_sizes *s, double *grad_input, const cldeform__ref_roi *roi,
                      const cldeform__ref_bin *bin, double grad)
{
    for (int64_t y = bin->first[0]; y < bin->last[0]; y++)
        for (int64_t x = bin->first[1]; x < bin->last[1]; x++)
            grad_input[cldeform__ref_roi_input_at(s, roi->level, roi->image, bin->channel, y, x)] += grad;
}

/* argmax is the caller's: it may be anything. */
static void add_largest(const cldeform__ref_roi_sizes *s, double *grad_input, const cldeform__ref_roi *roi,
                        const cldeform__ref_bin *bin, int64_t argmax, double grad)
{
    if (argmax >= 0 && argmax < roi->map[0] * roi->map[1])
        grad_input[cldeform__ref_roi_input_at(s, roi->level, roi->image, bin->channel, argmax / roi->map[1],
                                              argmax % roi->map[1])] += grad;
}

/* ---- a bin --------------------------------------------------------------------------------------------- */

static void add_bin(const cldeform__ref_roi_sizes *s, const arrays *a, const cldeform__ref_roi *roi, int64_t o,
                    int64_t bin_y, int64_t bin_x)
{
    const cldeform__ref_bin bin = cldeform__ref_bin_at(s, a->t, roi, o, bin_y, bin_x);
    const int64_t at = cldeform__ref_roi_output_at(s, roi->r, o, bin_y, bin_x);
    const double grad = a->to->grad_output[at], divisor = cldeform__ref_divisor(s, roi, &bin);
    double mask = 1;
    if (s->p.modulated)
        mask = cldeform__ref_activated(s->p.mask_activation, a->t->mask[bin.mask]);
    if (a->to->grad_mask)
        a->to->grad_mask[bin.mask] += grad * cldeform__ref_pooled(s, a->t, roi, &bin, NULL) *
                                      cldeform__ref_activation_slope(s->p.mask_activation, a->t->mask[bin.mask]);
    if (divisor <= 0)
        return;
    switch (s->p.method) {
    case CLDEFORM_ROI_ALIGN:
    case CLDEFORM_ROI_PS_ALIGN:
        add_samples(s, a, roi, &bin, grad * mask / divisor);
        break;
    case CLDEFORM_ROI_PS:
        add_cells(s, a->to->grad_input[roi->level], roi, &bin, grad / divisor);
        break;
    case CLDEFORM_ROI_MAX:
        add_largest(s, a->to->grad_input[roi->level], roi, &bin, a->t->argmax[at], grad);
        break;
    }
}

/* ---- all of them --------------------------------------------------------------------------------------- */

/* Whether the problem has all the gradients asked for, and the tensors that they need are there. */
static bool asks_for_sense(const cldeform__ref_roi_sizes *s, int64_t n, const arrays *a)
{
    const cldeform_ref_roi_pool_gradients *to = a->to;
    const bool of_input = to->grad_input[0], of_position = to->grad_offset || to->grad_mask;
    if (!cldeform__ref_roi_arrays_fit(s, n, a->t, of_position))
        return false;
    for (int64_t l = 0; l < CLDEFORM_MAX_LEVELS; l++)
        if ((to->grad_input[l] != NULL) != (of_input && l < s->p.levels))
            return false;
    if ((!of_input && !of_position) || (to->grad_offset && !s->p.deformable) || (to->grad_mask && !s->p.modulated))
        return false;
    return n == 0 || (to->grad_output && (s->p.method != CLDEFORM_ROI_MAX || a->t->argmax));
}

static void clear(double *values, int64_t elements)
{
    if (values)
        memset(values, 0, (size_t)elements * sizeof *values);
}

cldeform_status cldeform_ref_roi_pool_backward(const cldeform_roi_pool_problem *problem, int64_t n,
                                               const cldeform_ref_roi_pool_tensors *tensors,
                                               const cldeform_ref_roi_pool_gradients *gradients)
{
    const arrays a = {tensors, gradients};
    cldeform__ref_roi_sizes s;
    if (!tensors || !gradients || !cldeform__ref_read_roi_problem(problem, &s) || !asks_for_sense(&s, n, &a))
        return CLDEFORM_INVALID_ARGUMENT;
    for (int64_t l = 0; l < s.p.levels; l++)
        clear(gradients->grad_input[l], s.p.batch * s.p.in_channels * s.p.level[l].in_h * s.p.level[l].in_w);
    clear(gradients->grad_offset, n * 2 * s.p.offset_classes * s.p.part_h * s.p.part_w);
    clear(gradients->grad_mask, n * s.p.out_h * s.p.out_w);
    for (int64_t r = 0; r < n; r++) {
        const cldeform__ref_roi roi = cldeform__ref_roi_at(&s, tensors, r);
        for (int64_t o = 0; roi.exists && o < s.out_channels; o++)
            for (int64_t y = 0; y < s.p.out_h; y++)
                for (int64_t x = 0; x < s.p.out_w; x++)
                    add_bin(&s, &a, &roi, o, y, x);
    }
    return CLDEFORM_OK;
}
