/* The convolution as its formula, and nothing else. Written from the definition in cldeform.h, not from the kernels. */
#include "activation.h"
#include "conv2d.h"

/* output[n,o,y,x] */
static double output_at(const cldeform__ref_sizes *s, const double *input, const double *offset, const double *mask,
                        const double *weight, const double *bias, int64_t n, int64_t o, int64_t y, int64_t x)
{
    double sum = bias ? bias[o] : 0;
    for (int64_t c = 0; c < s->p.in_channels / s->p.groups; c++) {
        for (int64_t i = 0; i < s->p.kernel_h; i++) {
            for (int64_t j = 0; j < s->p.kernel_w; j++) {
                const cldeform__ref_term t = cldeform__ref_term_at(s, offset, n, o, y, x, c, i, j);
                double factor = 1;
                if (s->p.kind == CLDEFORM_CONV2D_PLAIN) { /* one pixel, whatever its neighbours hold */
                    sum += weight[t.weight] * cldeform__ref_pixel(s, input, n, t.channel, t.y, t.x);
                    continue;
                }
                if (!cldeform__ref_samples_at(s, t.y, t.x))
                    continue;
                if (s->p.kind == CLDEFORM_CONV2D_MODULATED)
                    factor = cldeform__ref_activated(s->p.mask_activation, mask[t.mask]);
                sum += weight[t.weight] * factor * cldeform__ref_sample(s, input, n, t.channel, t.y, t.x);
            }
        }
    }
    return sum;
}

cldeform_status cldeform_ref_conv2d_forward(const cldeform_conv2d_problem *problem, const double *input,
                                            const double *offset, const double *mask, const double *weight,
                                            const double *bias, double *output)
{
    cldeform__ref_sizes s;
    if (!cldeform__ref_read_problem(problem, &s))
        return CLDEFORM_INVALID_ARGUMENT;
    if (s.p.batch == 0)
        return CLDEFORM_OK;
    if (!input || !weight || !output || (!offset && s.p.kind != CLDEFORM_CONV2D_PLAIN) ||
        (!mask) != (s.p.kind != CLDEFORM_CONV2D_MODULATED) || (offset && s.p.kind == CLDEFORM_CONV2D_PLAIN))
        return CLDEFORM_INVALID_ARGUMENT;
    for (int64_t n = 0; n < s.p.batch; n++)
        for (int64_t o = 0; o < s.p.out_channels; o++)
            for (int64_t y = 0; y < s.out_h; y++)
                for (int64_t x = 0; x < s.out_w; x++)
                    output[cldeform__ref_output_at(&s, n, o, y, x)] =
                        output_at(&s, input, offset, mask, weight, bias, n, o, y, x);
    return CLDEFORM_OK;
}
