#include "conv2d.h"

#include <math.h>
#include <string.h>

/* ---- the problem --------------------------------------------------------------------------------------- */

static int64_t or_one(int64_t value)
{
    return value == 0 ? 1 : value;
}

bool cldeform__ref_read_problem(const cldeform_conv2d_problem *problem, cldeform__ref_sizes *s)
{
    memset(s, 0, sizeof *s);
    if (!problem || problem->struct_size < sizeof problem->struct_size)
        return false;
    memcpy(&s->p, problem, problem->struct_size < sizeof s->p ? problem->struct_size : sizeof s->p);
    cldeform_conv2d_problem *p = &s->p;
    p->stride_h = or_one(p->stride_h), p->stride_w = or_one(p->stride_w);
    p->dilation_h = or_one(p->dilation_h), p->dilation_w = or_one(p->dilation_w);
    p->groups = or_one(p->groups), p->offset_groups = or_one(p->offset_groups);
    const int64_t positive[] = {p->in_channels, p->in_h,       p->in_w,     p->out_channels,
                                p->kernel_h,    p->kernel_w,   p->stride_h, p->stride_w,
                                p->dilation_h,  p->dilation_w, p->groups,   p->offset_groups};
    const int64_t not_negative[] = {p->batch, p->pad_top, p->pad_left, p->pad_bottom, p->pad_right};
    bool valid = (unsigned)p->kind <= CLDEFORM_CONV2D_PLAIN && (unsigned)p->layout <= CLDEFORM_NHWC &&
                 (unsigned)p->offset_layout <= CLDEFORM_OFFSET_YX_LAST &&
                 (unsigned)p->mask_activation <= CLDEFORM_MASK_SIGMOID_X2 &&
                 (unsigned)p->border <= CLDEFORM_BORDER_EDGE &&
                 (unsigned)p->offset_gradient <= CLDEFORM_OFFSET_GRADIENT_OPEN &&
                 (p->border != CLDEFORM_BORDER_EDGE || p->offset_gradient != CLDEFORM_OFFSET_GRADIENT_OPEN) &&
                 p->offset_limit >= 0 && (p->kind != CLDEFORM_CONV2D_PLAIN || p->offset_groups == 1);
    for (size_t i = 0; i < sizeof positive / sizeof positive[0]; i++)
        valid = valid && positive[i] >= 1 && positive[i] <= INT32_MAX;
    for (size_t i = 0; i < sizeof not_negative / sizeof not_negative[0]; i++)
        valid = valid && not_negative[i] >= 0 && not_negative[i] <= INT32_MAX;
    if (!valid)
        return false;
    if (p->in_channels % p->groups || p->out_channels % p->groups || p->in_channels % p->offset_groups)
        return false;
    const int64_t room_h = p->in_h + p->pad_top + p->pad_bottom - (p->dilation_h * (p->kernel_h - 1) + 1);
    const int64_t room_w = p->in_w + p->pad_left + p->pad_right - (p->dilation_w * (p->kernel_w - 1) + 1);
    s->taps = p->kernel_h * p->kernel_w;
    s->out_h = room_h / p->stride_h + 1;
    s->out_w = room_w / p->stride_w + 1;
    return room_h >= 0 && room_w >= 0;
}

/* ---- where an element is ------------------------------------------------------------------------------- */

static int64_t input_at(const cldeform__ref_sizes *s, int64_t n, int64_t c, int64_t y, int64_t x)
{
    if (s->p.layout == CLDEFORM_NHWC)
        return ((n * s->p.in_h + y) * s->p.in_w + x) * s->p.in_channels + c;
    return ((n * s->p.in_channels + c) * s->p.in_h + y) * s->p.in_w + x;
}

int64_t cldeform__ref_output_at(const cldeform__ref_sizes *s, int64_t n, int64_t o, int64_t y, int64_t x)
{
    if (s->p.layout == CLDEFORM_NHWC)
        return ((n * s->out_h + y) * s->out_w + x) * s->p.out_channels + o;
    return ((n * s->p.out_channels + o) * s->out_h + y) * s->out_w + x;
}

/* axis 0 is y, 1 is x */
static int64_t offset_at(const cldeform__ref_sizes *s, int64_t n, int64_t g, int64_t k, int64_t axis, int64_t y,
                         int64_t x)
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

static int64_t mask_at(const cldeform__ref_sizes *s, int64_t n, int64_t g, int64_t k, int64_t y, int64_t x)
{
    if (s->p.offset_layout == CLDEFORM_OFFSET_YX_LAST)
        return (((n * s->out_h + y) * s->out_w + x) * s->p.offset_groups + g) * s->taps + k;
    return (((n * s->p.offset_groups + g) * s->taps + k) * s->out_h + y) * s->out_w + x;
}

static int64_t weight_at(const cldeform__ref_sizes *s, int64_t o, int64_t c, int64_t k)
{
    return (o * (s->p.in_channels / s->p.groups) + c) * s->taps + k;
}

/* ---- a term of the sum --------------------------------------------------------------------------------- */

/* What an element of the offset moves a sample by. NaN stays NaN. */
static double limited(const cldeform__ref_sizes *s, double offset)
{
    const double limit = s->p.offset_limit;
    if (limit > 0 && offset > limit)
        return limit;
    if (limit > 0 && offset < -limit)
        return -limit;
    return offset;
}

cldeform__ref_term cldeform__ref_term_at(const cldeform__ref_sizes *s, const double *offset, int64_t n, int64_t o,
                                         int64_t y, int64_t x, int64_t c, int64_t i, int64_t j)
{
    const int64_t group_channels = s->p.in_channels / s->p.groups;
    const int64_t channel = o / (s->p.out_channels / s->p.groups) * group_channels + c;
    const int64_t g = channel / (s->p.in_channels / s->p.offset_groups), k = i * s->p.kernel_w + j;
    cldeform__ref_term t = {
        .n = n,
        .channel = channel,
        .weight = weight_at(s, o, c, k),
        .mask = mask_at(s, n, g, k, y, x),
        .offset = {offset_at(s, n, g, k, 0, y, x), offset_at(s, n, g, k, 1, y, x)},
        .y = (double)(y * s->p.stride_h - s->p.pad_top + i * s->p.dilation_h),
        .x = (double)(x * s->p.stride_w - s->p.pad_left + j * s->p.dilation_w),
    };
    if (s->p.kind != CLDEFORM_CONV2D_PLAIN) {
        t.y += limited(s, offset[t.offset[0]]);
        t.x += limited(s, offset[t.offset[1]]);
    }
    return t;
}

bool cldeform__ref_within_limit(const cldeform__ref_sizes *s, double offset)
{
    return !(s->p.offset_limit > 0) || fabs(offset) <= s->p.offset_limit;
}

/* ---- the sample ---------------------------------------------------------------------------------------- */

bool cldeform__ref_samples_at(const cldeform__ref_sizes *s, double y, double x)
{
    const double h = (double)s->p.in_h, w = (double)s->p.in_w;
    if (s->p.border == CLDEFORM_BORDER_EDGE)
        return y >= 0 && x >= 0 && y < h && x < w;
    return y > -1 && x > -1 && y < h && x < w;
}

cldeform__ref_cell cldeform__ref_cell_at(const cldeform__ref_sizes *s, double y, double x)
{
    if (s->p.border == CLDEFORM_BORDER_EDGE) { /* constant beyond the last centres */
        y = fmin(y, (double)(s->p.in_h - 1));
        x = fmin(x, (double)(s->p.in_w - 1));
    }
    const double top = floor(y), left = floor(x);
    return (cldeform__ref_cell){top, left, y - top, x - left};
}

int64_t cldeform__ref_pixel_at(const cldeform__ref_sizes *s, int64_t n, int64_t channel, double row, double column)
{
    if (row < 0 || row > (double)(s->p.in_h - 1) || column < 0 || column > (double)(s->p.in_w - 1))
        return -1;
    return input_at(s, n, channel, (int64_t)row, (int64_t)column);
}

double cldeform__ref_pixel(const cldeform__ref_sizes *s, const double *input, int64_t n, int64_t channel, double row,
                           double column)
{
    const int64_t at = cldeform__ref_pixel_at(s, n, channel, row, column);
    return at < 0 ? 0 : input[at];
}

double cldeform__ref_sample(const cldeform__ref_sizes *s, const double *input, int64_t n, int64_t channel, double y,
                            double x)
{
    const cldeform__ref_cell cell = cldeform__ref_cell_at(s, y, x);
    const double top = cell.top, left = cell.left, down = cell.down, right = cell.right;
    return (1 - down) * (1 - right) * cldeform__ref_pixel(s, input, n, channel, top, left) +
           (1 - down) * right * cldeform__ref_pixel(s, input, n, channel, top, left + 1) +
           down * (1 - right) * cldeform__ref_pixel(s, input, n, channel, top + 1, left) +
           down * right * cldeform__ref_pixel(s, input, n, channel, top + 1, left + 1);
}
