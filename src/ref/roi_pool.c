/* RoI pooling as its formulas, and nothing else. Written from the definitions in cldeform.h, not from the kernels. */
#include "roi_pool.h"

#include "activation.h"

#include <math.h>

/* ---- a bin of samples ---------------------------------------------------------------------------------- */

static double sum_of_samples(const cldeform__ref_roi_sizes *s, const double *input, const cldeform__ref_roi *roi,
                             const cldeform__ref_bin *bin)
{
    double sum = 0;
    for (int64_t i = bin->first[0]; i < bin->last[0]; i++) {
        const cldeform__ref_axis y = cldeform__ref_axis_at(s, roi, bin, 0, i);
        for (int64_t j = bin->first[1]; y.exists && j < bin->last[1]; j++) {
            const cldeform__ref_axis x = cldeform__ref_axis_at(s, roi, bin, 1, j);
            if (x.exists)
                sum += cldeform__ref_four_pixels(s, input, roi, bin->channel, &y, &x, y.weight, x.weight);
        }
    }
    return sum;
}

/* ---- a bin of whole cells ------------------------------------------------------------------------------ */

static double sum_of_cells(const cldeform__ref_roi_sizes *s, const double *input, const cldeform__ref_roi *roi,
                           const cldeform__ref_bin *bin)
{
    double sum = 0;
    for (int64_t y = bin->first[0]; y < bin->last[0]; y++)
        for (int64_t x = bin->first[1]; x < bin->last[1]; x++)
            sum += input[cldeform__ref_roi_input_at(s, roi->level, roi->image, bin->channel, y, x)];
    return sum;
}

/* The first of the largest; the first NaN, where there is one. */
static double largest_cell(const cldeform__ref_roi_sizes *s, const double *input, const cldeform__ref_roi *roi,
                           const cldeform__ref_bin *bin, int32_t *argmax)
{
    double largest = 0;
    int64_t at = -1;
    for (int64_t y = bin->first[0]; y < bin->last[0]; y++) {
        for (int64_t x = bin->first[1]; x < bin->last[1]; x++) {
            const double value = input[cldeform__ref_roi_input_at(s, roi->level, roi->image, bin->channel, y, x)];
            if (at < 0 || value > largest || (isnan(value) && !isnan(largest))) {
                largest = value;
                at = y * roi->map[1] + x;
            }
        }
    }
    if (argmax)
        *argmax = (int32_t)at;
    return largest;
}

double cldeform__ref_pooled(const cldeform__ref_roi_sizes *s, const cldeform_ref_roi_pool_tensors *t,
                            const cldeform__ref_roi *roi, const cldeform__ref_bin *bin, int32_t *argmax)
{
    const double *input = t->input[roi->level];
    const double divisor = cldeform__ref_divisor(s, roi, bin);
    switch (s->p.method) {
    case CLDEFORM_ROI_MAX:
        return largest_cell(s, input, roi, bin, argmax);
    case CLDEFORM_ROI_PS:
        return divisor > 0 ? sum_of_cells(s, input, roi, bin) / divisor : 0;
    case CLDEFORM_ROI_ALIGN:
    case CLDEFORM_ROI_PS_ALIGN:
        break;
    }
    return divisor > 0 ? sum_of_samples(s, input, roi, bin) / divisor : 0;
}

/* ---- all of them --------------------------------------------------------------------------------------- */

static double output_at(const cldeform__ref_roi_sizes *s, const cldeform_ref_roi_pool_tensors *t,
                        const cldeform__ref_roi *roi, int64_t o, int64_t bin_y, int64_t bin_x, int32_t *argmax)
{
    if (argmax)
        *argmax = -1;
    if (!roi->exists)
        return 0;
    const cldeform__ref_bin bin = cldeform__ref_bin_at(s, t, roi, o, bin_y, bin_x);
    const double pooled = cldeform__ref_pooled(s, t, roi, &bin, argmax);
    return s->p.modulated ? cldeform__ref_activated(s->p.mask_activation, t->mask[bin.mask]) * pooled : pooled;
}

cldeform_status cldeform_ref_roi_pool_forward(const cldeform_roi_pool_problem *problem, int64_t n,
                                              const cldeform_ref_roi_pool_tensors *tensors)
{
    cldeform__ref_roi_sizes s;
    if (!cldeform__ref_read_roi_problem(problem, &s) || !tensors ||
        !cldeform__ref_roi_arrays_fit(&s, n, tensors, true) || (n > 0 && !tensors->output))
        return CLDEFORM_INVALID_ARGUMENT;
    for (int64_t r = 0; r < n; r++) {
        const cldeform__ref_roi roi = cldeform__ref_roi_at(&s, tensors, r);
        for (int64_t o = 0; o < s.out_channels; o++) {
            for (int64_t y = 0; y < s.p.out_h; y++) {
                for (int64_t x = 0; x < s.p.out_w; x++) {
                    const int64_t at = cldeform__ref_roi_output_at(&s, r, o, y, x);
                    tensors->output[at] =
                        output_at(&s, tensors, &roi, o, y, x, tensors->argmax ? tensors->argmax + at : NULL);
                }
            }
        }
    }
    return CLDEFORM_OK;
}

cldeform_status cldeform_ref_roi_pool_assign_levels(const cldeform_roi_pool_problem *problem, int64_t n,
                                                    const double *rois, int32_t *level)
{
    cldeform__ref_roi_sizes s;
    if (!cldeform__ref_read_roi_problem(problem, &s) || n < 0 || (n > 0 && (!rois || !level)))
        return CLDEFORM_INVALID_ARGUMENT;
    for (int64_t r = 0; r < n; r++)
        level[r] = cldeform__ref_roi_level(&s, rois + 5 * r + 1);
    return CLDEFORM_OK;
}
