#include "problem.h"
#include "../arguments.h"
#include "../fields.h"
#include "../geometry.h"

#include <math.h>
#include <string.h>

bool cldeform__conv2d_has_offset(const cldeform_conv2d_problem *problem)
{
    return problem->kind != CLDEFORM_CONV2D_PLAIN;
}

bool cldeform__conv2d_has_mask(const cldeform_conv2d_problem *problem)
{
    return problem->kind == CLDEFORM_CONV2D_MODULATED;
}

cldeform_passes cldeform__conv2d_lacks(const cldeform_conv2d_problem *problem)
{
    return (cldeform__conv2d_has_mask(problem) ? 0 : CLDEFORM_GRAD_MASK) |
           (cldeform__conv2d_has_offset(problem) ? 0
                                                 : CLDEFORM_GRAD_OFFSET | CLDEFORM_COL2OFFSET | CLDEFORM_STATISTICS);
}

double cldeform__conv2d_flop(const cldeform_conv2d_problem *problem, const cldeform__conv2d_sizes *sizes)
{
    const cldeform_passes from_grad_columns = CLDEFORM_GRAD_INPUT | CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK;
    const int products = ((problem->passes & CLDEFORM_FORWARD) != 0) + ((problem->passes & from_grad_columns) != 0) +
                         ((problem->passes & CLDEFORM_GRAD_WEIGHT) != 0);
    return 2.0 * products * (double)problem->batch * (double)sizes->output * (double)sizes->taps *
           (double)(problem->in_channels / problem->groups);
}

static const cldeform_passes parts = CLDEFORM_IM2COL | CLDEFORM_COL2IM | CLDEFORM_COL2OFFSET | CLDEFORM_STATISTICS;
static const cldeform_passes all_passes = CLDEFORM_FORWARD | CLDEFORM_BACKWARD | CLDEFORM_PACK_WEIGHT | parts;

static cldeform_status check_enums(const cldeform_conv2d_problem *problem)
{
    cldeform_status status;
    TRY(cldeform__check_enum("kind", (int)problem->kind, CLDEFORM_CONV2D_PLAIN));
    TRY(cldeform__check_enum("dtype", (int)problem->dtype, CLDEFORM_F64));
    TRY(cldeform__check_enum("offset_dtype", (int)problem->offset_dtype, CLDEFORM_F64));
    TRY(cldeform__check_enum("layout", (int)problem->layout, CLDEFORM_NHWC));
    TRY(cldeform__check_enum("offset_layout", (int)problem->offset_layout, CLDEFORM_OFFSET_YX_LAST));
    TRY(cldeform__check_enum("mask_activation", (int)problem->mask_activation, CLDEFORM_MASK_SIGMOID_X2));
    TRY(cldeform__check_enum("border", (int)problem->border, CLDEFORM_BORDER_EDGE));
    TRY(cldeform__check_enum("deterministic", problem->deterministic, 1));
    TRY(cldeform__check_enum("algorithm", (int)problem->algorithm, CLDEFORM_ALGORITHM_TILED));
    TRY(cldeform__check_enum("weight_grad_dtype", (int)problem->weight_grad_dtype, CLDEFORM_F64));
    TRY(cldeform__check_enum("offset_gradient", (int)problem->offset_gradient, CLDEFORM_OFFSET_GRADIENT_OPEN));
    if (problem->border == CLDEFORM_BORDER_EDGE && problem->offset_gradient == CLDEFORM_OFFSET_GRADIENT_OPEN) {
        status = cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                                "problem.offset_gradient is CLDEFORM_OFFSET_GRADIENT_OPEN; it must be "
                                "CLDEFORM_OFFSET_GRADIENT_STRICT with CLDEFORM_BORDER_EDGE");
        goto done;
    }
    if (problem->passes & ~all_passes)
        status = cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "problem.passes is 0x%llx; its bits must be of 0x%llx",
                                (unsigned long long)problem->passes, (unsigned long long)all_passes);
done:
    return status;
}

/* NaN fails both comparisons. */
static cldeform_status check_offset_limit(double limit)
{
    if (!(limit >= 0 && limit <= INFINITY))
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "problem.offset_limit is %g; it must be 0 (none) or positive",
                              limit);
    return CLDEFORM_OK;
}

static cldeform_status check_sizes(const cldeform_conv2d_problem *problem)
{
    const struct {
        const char *name;
        int64_t value, least;
    } sizes[] = {
        {"batch", problem->batch, 0},
        {"in_channels", problem->in_channels, 1},
        {"in_h", problem->in_h, 1},
        {"in_w", problem->in_w, 1},
        {"out_channels", problem->out_channels, problem->passes & ~parts ? 1 : 0},
        {"kernel_h", problem->kernel_h, 1},
        {"kernel_w", problem->kernel_w, 1},
        {"stride_h", problem->stride_h, 1},
        {"stride_w", problem->stride_w, 1},
        {"dilation_h", problem->dilation_h, 1},
        {"dilation_w", problem->dilation_w, 1},
        {"pad_top", problem->pad_top, 0},
        {"pad_left", problem->pad_left, 0},
        {"pad_bottom", problem->pad_bottom, 0},
        {"pad_right", problem->pad_right, 0},
        {"groups", problem->groups, 1},
        {"offset_groups", problem->offset_groups, 1},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const cldeform_status status = cldeform__check_size(sizes[i].name, sizes[i].value, sizes[i].least);
        if (status != CLDEFORM_OK)
            return status;
    }
    return CLDEFORM_OK;
}

/* Positions on an axis, and a few pixels more, fit the kernels' ints. */
enum { MOST_PADDED = 1 << 30 };

/* One axis of the output. All values are at most 2^31-1, so that none of the sums can overflow. */
static cldeform_status find_out_size(const char *axis, int64_t in, int64_t pad_before, int64_t pad_after,
                                     int64_t kernel, int64_t dilation, int64_t stride, int64_t *out)
{
    const int64_t padded = in + pad_before + pad_after, window = dilation * (kernel - 1) + 1;
    if (padded > MOST_PADDED)
        return cldeform__fail(CLDEFORM_LIMIT, "in_%s with its padding is %lld; it must be at most %d", axis,
                              (long long)padded, MOST_PADDED);
    if (padded < window)
        return cldeform__fail(
            CLDEFORM_INVALID_ARGUMENT,
            "out_%s would be below 1: in_%s %lld padded by %lld and %lld is smaller than the kernel's "
            "window, dilation_%s*(kernel_%s-1)+1 = %lld",
            axis, axis, (long long)in, (long long)pad_before, (long long)pad_after, axis, axis, (long long)window);
    *out = (padded - window) / stride + 1;
    return CLDEFORM_OK;
}

/* Kernels go through channels in steps that must not overflow an int. */
enum { MOST_CHANNELS = 1 << 30 };

static void fill_defaults(cldeform_conv2d_problem *problem)
{
    int64_t *ones[] = {&problem->stride_h,   &problem->stride_w, &problem->dilation_h,
                       &problem->dilation_w, &problem->groups,   &problem->offset_groups};
    for (size_t i = 0; i < sizeof ones / sizeof ones[0]; i++)
        if (*ones[i] == 0)
            *ones[i] = 1;
    if (problem->passes == 0)
        problem->passes = CLDEFORM_FORWARD;
    if (problem->dtype == CLDEFORM_DTYPE_DEFAULT)
        problem->dtype = CLDEFORM_F32;
    if (problem->offset_dtype == CLDEFORM_DTYPE_DEFAULT)
        problem->offset_dtype = problem->dtype;
    if (problem->weight_grad_dtype == CLDEFORM_DTYPE_DEFAULT)
        problem->weight_grad_dtype = problem->dtype;
}

cldeform_status cldeform__conv2d_check(const cldeform_conv2d_problem *given, cldeform_conv2d_problem *problem,
                                       cldeform__conv2d_sizes *sizes)
{
    cldeform_status status;
    memset(sizes, 0, sizeof *sizes);
    TRY(cldeform__take_struct(problem, sizeof *problem, given, "problem"));
    TRY(check_enums(problem));
    TRY(check_offset_limit(problem->offset_limit));
    fill_defaults(problem);
    if ((problem->passes & ~cldeform__conv2d_lacks(problem)) == 0) {
        status = cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                                "problem.passes is 0x%llx; kind %d has none of them: it has no %s",
                                (unsigned long long)problem->passes, (int)problem->kind,
                                cldeform__conv2d_has_offset(problem) ? "mask" : "offsets");
        goto done;
    }
    problem->passes &= ~cldeform__conv2d_lacks(problem);
    if (problem->in_channels > MOST_CHANNELS || problem->out_channels > MOST_CHANNELS) {
        status =
            cldeform__fail(CLDEFORM_LIMIT, "problem.in_channels is %lld and out_channels %lld; they must be at most %d",
                           (long long)problem->in_channels, (long long)problem->out_channels, MOST_CHANNELS);
        goto done;
    }
    TRY(check_sizes(problem));
    TRY(cldeform__check_divides("groups", problem->groups, "in_channels", problem->in_channels));
    TRY(cldeform__check_divides("groups", problem->groups, "out_channels", problem->out_channels));
    TRY(cldeform__check_divides("offset_groups", problem->offset_groups, "in_channels", problem->in_channels));
    if (problem->kind == CLDEFORM_CONV2D_PLAIN && problem->offset_groups != 1) {
        status = cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                                "problem.offset_groups is %lld; it must be 0 or 1 for CLDEFORM_CONV2D_PLAIN, which has "
                                "no offsets",
                                (long long)problem->offset_groups);
        goto done;
    }
    TRY(find_out_size("h", problem->in_h, problem->pad_top, problem->pad_bottom, problem->kernel_h, problem->dilation_h,
                      problem->stride_h, &sizes->out_h));
    TRY(find_out_size("w", problem->in_w, problem->pad_left, problem->pad_right, problem->kernel_w, problem->dilation_w,
                      problem->stride_w, &sizes->out_w));

    const int64_t in_planes[] = {problem->in_channels, problem->in_h, problem->in_w};
    bool fits = cldeform__multiply(problem->kernel_h, problem->kernel_w, &sizes->taps) && sizes->taps <= INT32_MAX &&
                cldeform__multiply(sizes->out_h, sizes->out_w, &sizes->out_plane) && sizes->out_plane <= INT32_MAX &&
                cldeform__product(in_planes, 3, &sizes->input) &&
                cldeform__multiply(problem->out_channels, sizes->out_plane, &sizes->output);
    sizes->bias = problem->out_channels;
    const int64_t weights[] = {problem->out_channels, problem->in_channels / problem->groups, sizes->taps};
    fits = fits && cldeform__product(weights, 3, &sizes->weight);
    if (fits && cldeform__conv2d_has_offset(problem)) {
        const int64_t planes[] = {problem->offset_groups, sizes->taps, 2};
        fits = cldeform__product(planes, 3, &sizes->offset_planes) && sizes->offset_planes <= INT32_MAX &&
               cldeform__multiply(sizes->offset_planes, sizes->out_plane, &sizes->offset);
    }
    if (fits && cldeform__conv2d_has_mask(problem)) {
        sizes->mask_planes = sizes->offset_planes / 2;
        sizes->mask = sizes->mask_planes * sizes->out_plane;
    }
    /* whole tensors in bytes, so that later sums of them cannot overflow */
    const int64_t images[] = {sizes->input, sizes->offset, sizes->output};
    size_t weight_bytes;
    fits = fits && cldeform__bytes(sizes->weight, 8, &weight_bytes);
    for (size_t i = 0; fits && i < sizeof images / sizeof images[0]; i++) {
        int64_t elements;
        size_t bytes;
        fits = cldeform__multiply(images[i], problem->batch, &elements) && cldeform__bytes(elements, 8, &bytes);
    }
    if (!fits)
        status = cldeform__fail(CLDEFORM_LIMIT,
                                "the problem's sizes overflow: kernel and output planes must have at most 2^31-1 "
                                "elements, and every tensor's bytes must fit a size_t");
done:
    return status;
}

cldeform_status cldeform_conv2d_shape(const cldeform_conv2d_problem *given, cldeform_tensor_name name,
                                      cldeform_shape *shape)
{
    cldeform_status status;
    cldeform_conv2d_problem problem;
    cldeform__conv2d_sizes sizes;
    cldeform_shape found = {0};
    TRY(cldeform__conv2d_check(given, &problem, &sizes));
    const bool nhwc = problem.layout == CLDEFORM_NHWC, last = problem.offset_layout == CLDEFORM_OFFSET_YX_LAST;
    const int64_t n = problem.batch, oh = sizes.out_h, ow = sizes.out_w;
    const int64_t c = problem.in_channels, h = problem.in_h, w = problem.in_w, o = problem.out_channels;
    const int64_t op = sizes.offset_planes, mp = sizes.mask_planes;
    cldeform_dtype dtype = problem.dtype;
#define SHAPE(...)                                                                                                     \
    do {                                                                                                               \
        const int64_t list[] = {__VA_ARGS__};                                                                          \
        found.rank = sizeof list / sizeof list[0];                                                                     \
        memset(found.size, 0, sizeof found.size);                                                                      \
        memcpy(found.size, list, sizeof list);                                                                         \
    } while (0)
    found.rank = 0;
    switch (name) {
    case CLDEFORM_INPUT:
        if (nhwc)
            SHAPE(n, h, w, c);
        else
            SHAPE(n, c, h, w);
        break;
    case CLDEFORM_OUTPUT:
        if (nhwc)
            SHAPE(n, oh, ow, o);
        else
            SHAPE(n, o, oh, ow);
        break;
    case CLDEFORM_OFFSET:
        dtype = problem.offset_dtype;
        if (!cldeform__conv2d_has_offset(&problem))
            break;
        if (last)
            SHAPE(n, oh, ow, op);
        else
            SHAPE(n, op, oh, ow);
        break;
    case CLDEFORM_MASK:
        dtype = problem.offset_dtype;
        if (!cldeform__conv2d_has_mask(&problem))
            break;
        if (last)
            SHAPE(n, oh, ow, mp);
        else
            SHAPE(n, mp, oh, ow);
        break;
    case CLDEFORM_WEIGHT:
        SHAPE(o, c / problem.groups, problem.kernel_h, problem.kernel_w);
        break;
    case CLDEFORM_BIAS:
        SHAPE(o);
        break;
    case CLDEFORM_COLUMNS:
        if (nhwc)
            SHAPE(oh * ow, sizes.taps * c);
        else
            SHAPE(c * sizes.taps, oh * ow);
        break;
    case CLDEFORM_ROIS:
    case CLDEFORM_LEVEL:
    case CLDEFORM_ARGMAX:
        break;
    }
#undef SHAPE
    if (found.rank == 0) {
        status = cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "name is %d, of which this problem (kind %d) has no tensor",
                                (int)name, (int)problem.kind);
        goto done;
    }
    status = cldeform__fill_shape(shape, found.size, (int)found.rank, cldeform__dtype_size(dtype));
done:
    return status;
}
