/* The convolution as its formula, and nothing else. Written from the definition in cldeform.h, not from the kernels. */
#include "cldeform/cldeform_ref.h"

#include <math.h>
#include <string.h>

/* ---- where an element is ------------------------------------------------------------------------------- */

typedef struct sizes {
    cldeform_conv2d_problem p;
    int64_t taps, out_h, out_w;
} sizes;

static int64_t at_input(const sizes *s, int64_t n, int64_t c, int64_t y, int64_t x)
{
    if (s->p.layout == CLDEFORM_NHWC)
        return ((n * s->p.in_h + y) * s->p.in_w + x) * s->p.in_channels + c;
    return ((n * s->p.in_channels + c) * s->p.in_h + y) * s->p.in_w + x;
}

static int64_t at_output(const sizes *s, int64_t n, int64_t o, int64_t y, int64_t x)
{
    if (s->p.layout == CLDEFORM_NHWC)
        return ((n * s->out_h + y) * s->out_w + x) * s->p.out_channels + o;
    return ((n * s->p.out_channels + o) * s->out_h + y) * s->out_w + x;
}

/* axis 0 is y, 1 is x */
static int64_t at_offset(const sizes *s, int64_t n, int64_t g, int64_t k, int64_t axis, int64_t y, int64_t x)
{
    const int64_t groups = s->p.offset_groups;
    switch (s->p.offset_layout) {
    case CLDEFORM_OFFSET_YX_LAST:
        return ((((n * s->out_h + y) * s->out_w + x) * groups + g) * s->taps + k) * 2 + axis;
    case CLDEFORM_OFFSET_PLANAR:
        return ((((n * groups + g) * 2 + axis) * s->taps + k) * s->out_h + y) * s->out_w + x;
    case CLDEFORM_OFFSET_XY:
        axis = 1 - axis;
        break;
    case CLDEFORM_OFFSET_YX:
        break;
    }
    return ((((n * groups + g) * s->taps + k) * 2 + axis) * s->out_h + y) * s->out_w + x;
}

static int64_t at_mask(const sizes *s, int64_t n, int64_t g, int64_t k, int64_t y, int64_t x)
{
    if (s->p.offset_layout == CLDEFORM_OFFSET_YX_LAST)
        return (((n * s->out_h + y) * s->out_w + x) * s->p.offset_groups + g) * s->taps + k;
    return (((n * s->p.offset_groups + g) * s->taps + k) * s->out_h + y) * s->out_w + x;
}

static int64_t at_weight(const sizes *s, int64_t o, int64_t c, int64_t k)
{
    return (o * (s->p.in_channels / s->p.groups) + c) * s->taps + k;
}

/* ---- the sample ---------------------------------------------------------------------------------------- */

/* A pixel of the map; outside of it 0. */
static double pixel(const sizes *s, const double *input, int64_t n, int64_t c, double row, double column)
{
    if (row < 0 || row > (double)(s->p.in_h - 1) || column < 0 || column > (double)(s->p.in_w - 1))
        return 0;
    return input[at_input(s, n, c, (int64_t)row, (int64_t)column)];
}

/* Whether the rule of the border has a sample at that position at all. NaN: no. */
static int samples_at(const sizes *s, double y, double x)
{
    const double h = (double)s->p.in_h, w = (double)s->p.in_w;
    if (s->p.border == CLDEFORM_BORDER_EDGE)
        return y >= 0 && x >= 0 && y < h && x < w;
    return y > -1 && x > -1 && y < h && x < w;
}

static double sample(const sizes *s, const double *input, int64_t n, int64_t c, double y, double x)
{
    if (s->p.border == CLDEFORM_BORDER_EDGE) { /* constant beyond the last centres */
        y = fmin(y, (double)(s->p.in_h - 1));
        x = fmin(x, (double)(s->p.in_w - 1));
    }
    const double top = floor(y), left = floor(x), down = y - top, right = x - left;
    return (1 - down) * (1 - right) * pixel(s, input, n, c, top, left) +
           (1 - down) * right * pixel(s, input, n, c, top, left + 1) +
           down * (1 - right) * pixel(s, input, n, c, top + 1, left) +
           down * right * pixel(s, input, n, c, top + 1, left + 1);
}

static double limited(const sizes *s, double offset)
{
    const double limit = s->p.offset_limit;
    if (limit > 0 && offset > limit)
        return limit;
    if (limit > 0 && offset < -limit)
        return -limit;
    return offset;
}

static double activated(const sizes *s, double mask)
{
    switch (s->p.mask_activation) {
    case CLDEFORM_MASK_SIGMOID:
        return 1 / (1 + exp(-mask));
    case CLDEFORM_MASK_SIGMOID_X2:
        return 2 / (1 + exp(-mask));
    case CLDEFORM_MASK_AS_IS:
        break;
    }
    return mask;
}

/* ---- the sum ------------------------------------------------------------------------------------------- */

/* output[n,o,y,x] */
static double output_at(const sizes *s, const double *input, const double *offset, const double *mask,
                        const double *weight, const double *bias, int64_t n, int64_t o, int64_t y, int64_t x)
{
    const int64_t group_channels = s->p.in_channels / s->p.groups;
    const int64_t first_channel = o / (s->p.out_channels / s->p.groups) * group_channels;
    double sum = bias ? bias[o] : 0;
    for (int64_t c = 0; c < group_channels; c++) {
        const int64_t channel = first_channel + c, g = channel / (s->p.in_channels / s->p.offset_groups);
        for (int64_t i = 0; i < s->p.kernel_h; i++) {
            for (int64_t j = 0; j < s->p.kernel_w; j++) {
                const int64_t k = i * s->p.kernel_w + j;
                double at_y = (double)(y * s->p.stride_h - s->p.pad_top + i * s->p.dilation_h);
                double at_x = (double)(x * s->p.stride_w - s->p.pad_left + j * s->p.dilation_w);
                double factor = 1;
                if (s->p.kind == CLDEFORM_CONV2D_PLAIN) { /* one pixel, whatever its neighbours hold */
                    sum += weight[at_weight(s, o, c, k)] * pixel(s, input, n, channel, at_y, at_x);
                    continue;
                }
                at_y += limited(s, offset[at_offset(s, n, g, k, 0, y, x)]);
                at_x += limited(s, offset[at_offset(s, n, g, k, 1, y, x)]);
                if (!samples_at(s, at_y, at_x))
                    continue;
                if (s->p.kind == CLDEFORM_CONV2D_MODULATED)
                    factor = activated(s, mask[at_mask(s, n, g, k, y, x)]);
                sum += weight[at_weight(s, o, c, k)] * factor * sample(s, input, n, channel, at_y, at_x);
            }
        }
    }
    return sum;
}

static int64_t or_one(int64_t value)
{
    return value == 0 ? 1 : value;
}

/* Fills in defaults; 0 if the problem makes no sense. */
static int read_problem(const cldeform_conv2d_problem *problem, sizes *s)
{
    memset(s, 0, sizeof *s);
    if (!problem || problem->struct_size < sizeof problem->struct_size)
        return 0;
    memcpy(&s->p, problem, problem->struct_size < sizeof s->p ? problem->struct_size : sizeof s->p);
    cldeform_conv2d_problem *p = &s->p;
    p->stride_h = or_one(p->stride_h), p->stride_w = or_one(p->stride_w);
    p->dilation_h = or_one(p->dilation_h), p->dilation_w = or_one(p->dilation_w);
    p->groups = or_one(p->groups), p->offset_groups = or_one(p->offset_groups);
    const int64_t positive[] = {p->in_channels, p->in_h,       p->in_w,     p->out_channels,
                                p->kernel_h,    p->kernel_w,   p->stride_h, p->stride_w,
                                p->dilation_h,  p->dilation_w, p->groups,   p->offset_groups};
    const int64_t not_negative[] = {p->batch, p->pad_top, p->pad_left, p->pad_bottom, p->pad_right};
    int valid = (unsigned)p->kind <= CLDEFORM_CONV2D_PLAIN && (unsigned)p->layout <= CLDEFORM_NHWC &&
                (unsigned)p->offset_layout <= CLDEFORM_OFFSET_YX_LAST &&
                (unsigned)p->mask_activation <= CLDEFORM_MASK_SIGMOID_X2 &&
                (unsigned)p->border <= CLDEFORM_BORDER_EDGE && p->offset_limit >= 0 &&
                (p->kind != CLDEFORM_CONV2D_PLAIN || p->offset_groups == 1);
    for (size_t i = 0; i < sizeof positive / sizeof positive[0]; i++)
        valid = valid && positive[i] >= 1 && positive[i] <= INT32_MAX;
    for (size_t i = 0; i < sizeof not_negative / sizeof not_negative[0]; i++)
        valid = valid && not_negative[i] >= 0 && not_negative[i] <= INT32_MAX;
    if (!valid)
        return 0;
    if (p->in_channels % p->groups || p->out_channels % p->groups || p->in_channels % p->offset_groups)
        return 0;
    const int64_t room_h = p->in_h + p->pad_top + p->pad_bottom - (p->dilation_h * (p->kernel_h - 1) + 1);
    const int64_t room_w = p->in_w + p->pad_left + p->pad_right - (p->dilation_w * (p->kernel_w - 1) + 1);
    s->taps = p->kernel_h * p->kernel_w;
    s->out_h = room_h / p->stride_h + 1;
    s->out_w = room_w / p->stride_w + 1;
    return room_h >= 0 && room_w >= 0;
}

cldeform_status cldeform_ref_conv2d_forward(const cldeform_conv2d_problem *problem, const double *input,
                                            const double *offset, const double *mask, const double *weight,
                                            const double *bias, double *output)
{
    sizes s;
    if (!read_problem(problem, &s))
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
                    output[at_output(&s, n, o, y, x)] = output_at(&s, input, offset, mask, weight, bias, n, o, y, x);
    return CLDEFORM_OK;
}
