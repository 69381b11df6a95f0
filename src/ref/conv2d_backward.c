/* The derivative of the sum in conv2d.c, term by term. Written from that sum, not from the kernels. */
#include "activation.h"
#include "conv2d.h"

#include <string.h>

typedef struct arrays {
    const double *input, *offset, *mask, *weight;
    const cldeform_ref_conv2d_gradients *to;
} arrays;

/* ---- the sample's derivatives -------------------------------------------------------------------------- */

/* Whether the sample moves with its position there. */
static bool slopes_at(const cldeform__ref_sizes *s, double y, double x)
{
    if (s->p.offset_gradient == CLDEFORM_OFFSET_GRADIENT_OPEN) /* its value is 0 at -1 but grows from there on */
        return y >= -1 && x >= -1 && y < (double)s->p.in_h && x < (double)s->p.in_w;
    return cldeform__ref_samples_at(s, y, x);
}

/* dS/dy (axis 0) or dS/dx (axis 1); at whole positions the right-hand one. */
static double slope(const cldeform__ref_sizes *s, const double *input, const cldeform__ref_term *t, int axis)
{
    const cldeform__ref_cell cell = cldeform__ref_cell_at(s, t->y, t->x);
    const double first = axis == 0 ? cell.top : cell.left;
    const int64_t size = axis == 0 ? s->p.in_h : s->p.in_w;
    if (s->p.border == CLDEFORM_BORDER_EDGE && first == (double)(size - 1)) /* constant from there on */
        return 0;
    const double v00 = cldeform__ref_pixel(s, input, t->n, t->channel, cell.top, cell.left);
    const double v01 = cldeform__ref_pixel(s, input, t->n, t->channel, cell.top, cell.left + 1);
    const double v10 = cldeform__ref_pixel(s, input, t->n, t->channel, cell.top + 1, cell.left);
    const double v11 = cldeform__ref_pixel(s, input, t->n, t->channel, cell.top + 1, cell.left + 1);
    return axis == 0 ? (1 - cell.right) * (v10 - v00) + cell.right * (v11 - v01)
                     : (1 - cell.down) * (v01 - v00) + cell.down * (v11 - v10);
}

/* Adds factor * dS/d(pixel) to the pixels that S reads. */
static void add_to_pixels(const cldeform__ref_sizes *s, double *grad_input, const cldeform__ref_term *t, double factor)
{
    const cldeform__ref_cell cell = cldeform__ref_cell_at(s, t->y, t->x);
    for (int row = 0; row < 2; row++) {
        for (int column = 0; column < 2; column++) {
            const int64_t at = cldeform__ref_pixel_at(s, t->n, t->channel, cell.top + row, cell.left + column);
            if (at >= 0)
                grad_input[at] += factor * (row ? cell.down : 1 - cell.down) * (column ? cell.right : 1 - cell.right);
        }
    }
}

/* ---- a term's derivatives ------------------------------------------------------------------------------ */

/* Of weight * pixel. */
static void add_plain_term(const cldeform__ref_sizes *s, const arrays *a, const cldeform__ref_term *t, double grad)
{
    const int64_t at = cldeform__ref_pixel_at(s, t->n, t->channel, t->y, t->x);
    if (at < 0)
        return;
    if (a->to->grad_weight)
        a->to->grad_weight[t->weight] += grad * a->input[at];
    if (a->to->grad_input)
        a->to->grad_input[at] += grad * a->weight[t->weight];
}

/* Of weight * mask * S; grad: the gradient of the output that the term belongs to. */
static void add_term(const cldeform__ref_sizes *s, const arrays *a, const cldeform__ref_term *t, double grad)
{
    const bool modulated = s->p.kind == CLDEFORM_CONV2D_MODULATED;
    const bool samples = cldeform__ref_samples_at(s, t->y, t->x), slopes = slopes_at(s, t->y, t->x);
    if (!samples && !slopes)
        return;
    const double mask = modulated ? cldeform__ref_activated(s->p.mask_activation, a->mask[t->mask]) : 1;
    if (a->to->grad_offset && slopes)
        for (int axis = 0; axis < 2; axis++)
            if (cldeform__ref_within_limit(s, a->offset[t->offset[axis]]))
                a->to->grad_offset[t->offset[axis]] += grad * a->weight[t->weight] * mask * slope(s, a->input, t, axis);
    if (!samples)
        return;
    if (a->to->grad_weight)
        a->to->grad_weight[t->weight] += grad * mask * cldeform__ref_sample(s, a->input, t->n, t->channel, t->y, t->x);
    if (a->to->grad_mask)
        a->to->grad_mask[t->mask] += grad * a->weight[t->weight] *
                                     cldeform__ref_activation_slope(s->p.mask_activation, a->mask[t->mask]) *
                                     cldeform__ref_sample(s, a->input, t->n, t->channel, t->y, t->x);
    if (a->to->grad_input)
        add_to_pixels(s, a->to->grad_input, t, grad * a->weight[t->weight] * mask);
}

/* Of every term of output[n,o,y,x]. */
static void add_output(const cldeform__ref_sizes *s, const arrays *a, int64_t n, int64_t o, int64_t y, int64_t x)
{
    const double grad = a->to->grad_output[cldeform__ref_output_at(s, n, o, y, x)];
    if (a->to->grad_bias)
        a->to->grad_bias[o] += grad;
    if (!a->to->grad_input && !a->to->grad_offset && !a->to->grad_mask && !a->to->grad_weight)
        return;
    for (int64_t c = 0; c < s->p.in_channels / s->p.groups; c++) {
        for (int64_t i = 0; i < s->p.kernel_h; i++) {
            for (int64_t j = 0; j < s->p.kernel_w; j++) {
                const cldeform__ref_term t = cldeform__ref_term_at(s, a->offset, n, o, y, x, c, i, j);
                if (s->p.kind == CLDEFORM_CONV2D_PLAIN)
                    add_plain_term(s, a, &t, grad);
                else
                    add_term(s, a, &t, grad);
            }
        }
    }
}

/* ---- all of them --------------------------------------------------------------------------------------- */

/* Whether the kind has all the gradients asked for, and the tensors that they need are there. */
static bool asks_for_sense(const cldeform__ref_sizes *s, const arrays *a)
{
    const cldeform_ref_conv2d_gradients *to = a->to;
    const bool offset = s->p.kind != CLDEFORM_CONV2D_PLAIN, mask = s->p.kind == CLDEFORM_CONV2D_MODULATED;
    const bool of_position = to->grad_offset || to->grad_mask;
    const bool of_samples = to->grad_input || of_position || to->grad_weight;
    if (!of_samples && !to->grad_bias)
        return false;
    if ((!offset && (a->offset || to->grad_offset)) || (!mask && (a->mask || to->grad_mask)))
        return false;
    if (s->p.batch == 0) /* nothing is read */
        return true;
    if (!to->grad_output || (of_samples && ((offset && !a->offset) || (mask && !a->mask))))
        return false;
    return (a->input || !(of_position || to->grad_weight)) && (a->weight || !(of_position || to->grad_input));
}

static void clear(double *values, int64_t elements)
{
    if (values)
        memset(values, 0, (size_t)elements * sizeof *values);
}

cldeform_status cldeform_ref_conv2d_backward(const cldeform_conv2d_problem *problem, const double *input,
                                             const double *offset, const double *mask, const double *weight,
                                             const cldeform_ref_conv2d_gradients *gradients)
{
    const arrays a = {input, offset, mask, weight, gradients};
    cldeform__ref_sizes s;
    if (!gradients || !cldeform__ref_read_problem(problem, &s) || !asks_for_sense(&s, &a))
        return CLDEFORM_INVALID_ARGUMENT;
    const cldeform_conv2d_problem *p = &s.p;
    const int64_t positions = p->batch * p->offset_groups * s.taps * s.out_h * s.out_w;
    clear(gradients->grad_input, p->batch * p->in_channels * p->in_h * p->in_w);
    clear(gradients->grad_offset, 2 * positions);
    clear(gradients->grad_mask, positions);
    clear(gradients->grad_weight, p->out_channels * (p->in_channels / p->groups) * s.taps);
    clear(gradients->grad_bias, p->out_channels);
    for (int64_t n = 0; n < p->batch; n++)
        for (int64_t o = 0; o < p->out_channels; o++)
            for (int64_t y = 0; y < s.out_h; y++)
                for (int64_t x = 0; x < s.out_w; x++)
                    add_output(&s, &a, n, o, y, x);
    return CLDEFORM_OK;
}
