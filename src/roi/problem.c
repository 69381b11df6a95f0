#include "problem.h"
#include "../arguments.h"
#include "../fields.h"
#include "../geometry.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool cldeform__roi_is_ps(const cldeform_roi_pool_problem *problem)
{
    return problem->method == CLDEFORM_ROI_PS_ALIGN || problem->method == CLDEFORM_ROI_PS;
}

cldeform_passes cldeform__roi_pool_lacks(const cldeform_roi_pool_problem *problem)
{
    return CLDEFORM_GRAD_WEIGHT | CLDEFORM_GRAD_BIAS | (problem->deformable ? 0 : CLDEFORM_GRAD_OFFSET) |
           (problem->modulated ? 0 : CLDEFORM_GRAD_MASK);
}

/* ---- checks -------------------------------------------------------------------------------------------- */

static const cldeform_passes all_passes = CLDEFORM_FORWARD | CLDEFORM_BACKWARD | CLDEFORM_STATISTICS;

static cldeform_status check_enums(const cldeform_roi_pool_problem *problem)
{
    cldeform_status status;
    TRY(cldeform__check_enum("method", (int)problem->method, CLDEFORM_ROI_MAX));
    TRY(cldeform__check_enum("deformable", problem->deformable, 1));
    TRY(cldeform__check_enum("modulated", problem->modulated, 1));
    TRY(cldeform__check_enum("dtype", (int)problem->dtype, CLDEFORM_F64));
    TRY(cldeform__check_enum("offset_dtype", (int)problem->offset_dtype, CLDEFORM_F64));
    TRY(cldeform__check_enum("roi_dtype", (int)problem->roi_dtype, CLDEFORM_F64));
    TRY(cldeform__check_enum("layout", (int)problem->layout, CLDEFORM_NHWC));
    TRY(cldeform__check_enum("mask_activation", (int)problem->mask_activation, CLDEFORM_MASK_SIGMOID_X2));
    TRY(cldeform__check_enum("offset_gradient", (int)problem->offset_gradient, CLDEFORM_ROI_GRADIENT_MMCV));
    TRY(cldeform__check_enum("deterministic", problem->deterministic, 1));
    if (problem->roi_dtype == CLDEFORM_F16)
        status = cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                                "problem.roi_dtype is CLDEFORM_F16; it must be CLDEFORM_F32 or CLDEFORM_F64");
    else if (problem->passes & ~all_passes)
        status = cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "problem.passes is 0x%llx; its bits must be of 0x%llx",
                                (unsigned long long)problem->passes, (unsigned long long)all_passes);
done:
    return status;
}

/* What a method does not have must be 0. */
static cldeform_status check_method(const cldeform_roi_pool_problem *problem)
{
    static const char *const names[] = {"CLDEFORM_ROI_ALIGN", "CLDEFORM_ROI_PS_ALIGN", "CLDEFORM_ROI_PS",
                                        "CLDEFORM_ROI_MAX"};
    const bool align = problem->method == CLDEFORM_ROI_ALIGN, ps_align = problem->method == CLDEFORM_ROI_PS_ALIGN;
    const bool samples = align || ps_align;
    const struct {
        const char *name;
        int64_t value;
        bool has;
    } fields[] = {
        {"deformable", problem->deformable, samples},
        {"modulated", problem->modulated, samples},
        {"offset_gradient", problem->offset_gradient, align},
        {"sampling_ratio", problem->sampling_ratio, align},
        {"group_size", problem->group_size, cldeform__roi_is_ps(problem) || problem->group_size == 1},
        {"part_h", problem->part_h, ps_align},
        {"part_w", problem->part_w, ps_align},
        {"samples_h", problem->samples_h, ps_align},
        {"samples_w", problem->samples_w, ps_align},
        {"offset_classes", problem->offset_classes, ps_align},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (!fields[i].has && fields[i].value != 0)
            return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "problem.%s is %lld; it must be 0%s, because %s has none",
                                  fields[i].name, (long long)fields[i].value,
                                  strcmp(fields[i].name, "group_size") == 0 ? " or 1" : "", names[problem->method]);
    return CLDEFORM_OK;
}

/* Bins, parts and samples: so many that a sample's number in its RoI fits a long, whatever the RoI's size. Pixels: so
 * many that a float holds the borders of the last one. */
enum { MOST_BINS = 1 << 15, MOST_CHANNELS = 1 << 30, MOST_PIXELS = 1 << 23 };

static cldeform_status check_sizes(const cldeform_roi_pool_problem *problem)
{
    const struct {
        const char *name;
        int64_t value, least, most;
    } sizes[] = {
        {"batch", problem->batch, 0, INT32_MAX},
        {"in_channels", problem->in_channels, 1, MOST_CHANNELS},
        {"max_rois", problem->max_rois, 0, INT32_MAX},
        {"levels", problem->levels, 1, CLDEFORM_MAX_LEVELS},
        {"out_h", problem->out_h, 1, MOST_BINS},
        {"out_w", problem->out_w, 1, MOST_BINS},
        {"sampling_ratio", problem->sampling_ratio, 0, MOST_BINS},
        {"group_size", problem->group_size, 1, MOST_BINS},
        {"part_h", problem->part_h, 1, MOST_BINS},
        {"part_w", problem->part_w, 1, MOST_BINS},
        {"samples_h", problem->samples_h, 1, MOST_BINS},
        {"samples_w", problem->samples_w, 1, MOST_BINS},
        {"offset_classes", problem->offset_classes, 1, MOST_CHANNELS},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const cldeform_status status = cldeform__check_size(sizes[i].name, sizes[i].value, sizes[i].least);
        if (status != CLDEFORM_OK)
            return status;
        if (sizes[i].value > sizes[i].most)
            return cldeform__fail(CLDEFORM_LIMIT, "problem.%s is %lld; it must be at most %lld", sizes[i].name,
                                  (long long)sizes[i].value, (long long)sizes[i].most);
    }
    return CLDEFORM_OK;
}

static cldeform_status check_levels(const cldeform_roi_pool_problem *problem)
{
    char name[40];
    for (int64_t i = 0; i < problem->levels; i++) {
        const cldeform_roi_level *level = &problem->level[i];
        const int64_t sizes[] = {level->in_h, level->in_w};
        for (int axis = 0; axis < 2; axis++) {
            snprintf(name, sizeof name, "level[%d].in_%c", (int)i, "hw"[axis]);
            const cldeform_status status = cldeform__check_size(name, sizes[axis], 1);
            if (status != CLDEFORM_OK)
                return status;
            if (sizes[axis] > MOST_PIXELS)
                return cldeform__fail(CLDEFORM_LIMIT, "problem.%s is %lld; it must be at most %d", name,
                                      (long long)sizes[axis], MOST_PIXELS);
        }
        if (!(level->spatial_scale > 0 && level->spatial_scale <= 1e30)) /* NaN fails both */
            return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                                  "problem.level[%d].spatial_scale is %g; it must be positive and at most 1e30", (int)i,
                                  level->spatial_scale);
    }
    if (problem->canonical_level < 0 || problem->canonical_level >= problem->levels)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                              "problem.canonical_level is %lld; it must be 0 to levels-1, %lld",
                              (long long)problem->canonical_level, (long long)problem->levels - 1);
    if (!(problem->canonical_size > 0 && problem->canonical_size <= 1e15))
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                              "problem.canonical_size is %g; it must be 0 (224) or positive, at most 1e15",
                              problem->canonical_size);
    if (!(problem->offset_scale >= -1e15 && problem->offset_scale <= 1e15))
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                              "problem.offset_scale is %g; it must be a number from -1e15 to 1e15",
                              problem->offset_scale);
    return CLDEFORM_OK;
}

static cldeform_status check_channels(const cldeform_roi_pool_problem *problem, cldeform__roi_pool_sizes *sizes)
{
    const int64_t cells = problem->group_size * problem->group_size;
    if (problem->in_channels % cells != 0)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                              "problem.in_channels is %lld; it must be a multiple of group_size^2, %lld",
                              (long long)problem->in_channels, (long long)cells);
    sizes->out_channels = problem->in_channels / cells;
    return cldeform__check_divides("offset_classes", problem->offset_classes, "out_channels", sizes->out_channels);
}

static void fill_in(cldeform_roi_pool_problem *p)
{
#define DEFAULT(field, value) p->field = p->field ? p->field : (value)
    DEFAULT(passes, CLDEFORM_FORWARD);
    DEFAULT(levels, 1);
    DEFAULT(offset_classes, 1);
    DEFAULT(part_h, p->out_h);
    DEFAULT(part_w, p->out_w);
    DEFAULT(samples_h, 4);
    DEFAULT(samples_w, 4);
    DEFAULT(dtype, CLDEFORM_F32);
    if (!p->deformable && !p->modulated)
        p->offset_dtype = p->dtype; /* there is nothing of that type: kernels are the same whatever it says */
    DEFAULT(offset_dtype, p->dtype);
    DEFAULT(roi_dtype, p->dtype == CLDEFORM_F64 ? CLDEFORM_F64 : CLDEFORM_F32);
    DEFAULT(group_size, cldeform__roi_is_ps(p) ? p->out_h : 1);
#undef DEFAULT
    if (p->offset_scale == 0)
        p->offset_scale = 0.1;
    if (p->canonical_size == 0)
        p->canonical_size = 224;
}

static bool find_sizes(const cldeform_roi_pool_problem *problem, cldeform__roi_pool_sizes *sizes)
{
    const int64_t parts[] = {2, problem->offset_classes, problem->part_h, problem->part_w};
    bool fits = cldeform__multiply(problem->out_h, problem->out_w, &sizes->bins) && sizes->bins <= INT32_MAX / 4 &&
                cldeform__multiply(sizes->out_channels, sizes->bins, &sizes->output);
    if (fits && problem->deformable)
        fits = cldeform__product(parts, 4, &sizes->offset);
    if (fits && problem->modulated)
        sizes->mask = sizes->bins;
    /* whole tensors in bytes, and what the workspace keeps of the bins, so that later sums of them cannot overflow */
    const int64_t of_rois[] = {sizes->output, sizes->offset, 24 * sizes->bins};
    for (size_t i = 0; fits && i < sizeof of_rois / sizeof of_rois[0]; i++) {
        const int64_t all[] = {of_rois[i], problem->max_rois, problem->offset_classes};
        int64_t elements;
        size_t bytes;
        fits = cldeform__product(all, 3, &elements) && cldeform__bytes(elements, 8, &bytes);
    }
    for (int64_t i = 0; fits && i < problem->levels; i++) {
        const int64_t image[] = {problem->in_channels, problem->level[i].in_h, problem->level[i].in_w};
        int64_t elements;
        size_t bytes;
        fits = problem->level[i].in_h * problem->level[i].in_w <= INT32_MAX &&
               cldeform__product(image, 3, &sizes->input[i]) &&
               cldeform__multiply(sizes->input[i], problem->batch, &elements) && cldeform__bytes(elements, 8, &bytes);
    }
    return fits;
}

cldeform_status cldeform__roi_pool_check(const cldeform_roi_pool_problem *given, cldeform_roi_pool_problem *problem,
                                         cldeform__roi_pool_sizes *sizes)
{
    cldeform_status status;
    memset(sizes, 0, sizeof *sizes);
    TRY(cldeform__take_struct(problem, sizeof *problem, given, "problem"));
    TRY(check_enums(problem));
    TRY(check_method(problem));
    if (cldeform__roi_is_ps(problem) && problem->group_size == 0 && problem->out_h != problem->out_w) {
        status =
            cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                           "problem.group_size is 0, which means out_h, but out_h is %lld and out_w %lld; they must "
                           "be equal, or group_size be given",
                           (long long)problem->out_h, (long long)problem->out_w);
        goto done;
    }
    fill_in(problem);
    if (!(problem->passes & ~cldeform__roi_pool_lacks(problem))) {
        status = cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                                "problem.passes is 0x%llx, of which this problem has none: it has no %s",
                                (unsigned long long)problem->passes,
                                problem->passes & CLDEFORM_GRAD_OFFSET ? "offsets"
                                : problem->passes & CLDEFORM_GRAD_MASK ? "mask"
                                                                       : "weight and no bias");
        goto done;
    }
    problem->passes &= ~cldeform__roi_pool_lacks(problem);
    TRY(check_sizes(problem));
    TRY(check_levels(problem));
    TRY(check_channels(problem, sizes));
    if (!find_sizes(problem, sizes))
        status =
            cldeform__fail(CLDEFORM_LIMIT, "the problem's sizes overflow: a map must have at most 2^31-1 pixels, and "
                                           "every tensor's bytes must fit a size_t");
done:
    return status;
}

cldeform_status cldeform_roi_pool_shape(const cldeform_roi_pool_problem *given, cldeform_tensor_name name,
                                        int64_t level, cldeform_shape *shape)
{
    cldeform_status status;
    cldeform_roi_pool_problem problem;
    cldeform__roi_pool_sizes sizes;
    TRY(cldeform__roi_pool_check(given, &problem, &sizes));
    if (level < 0 || level >= (name == CLDEFORM_INPUT ? problem.levels : 1)) {
        status = cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "level is %lld; it must be 0 to %lld for this tensor",
                                (long long)level, name == CLDEFORM_INPUT ? (long long)problem.levels - 1 : 0LL);
        goto done;
    }
    const bool nhwc = problem.layout == CLDEFORM_NHWC;
    const int64_t h = problem.level[level].in_h, w = problem.level[level].in_w, c = problem.in_channels;
    const int64_t r = problem.max_rois, oh = problem.out_h, ow = problem.out_w, o = sizes.out_channels;
    int64_t size[4] = {r, nhwc ? oh : o, nhwc ? ow : oh, nhwc ? o : ow}; /* as the output */
    int rank = 4;
    size_t element_size = cldeform__dtype_size(problem.dtype);
    bool exists = true;
    switch (name) {
    case CLDEFORM_INPUT:
        memcpy(size, (int64_t[]){problem.batch, nhwc ? h : c, nhwc ? w : h, nhwc ? c : w}, sizeof size);
        break;
    case CLDEFORM_OUTPUT:
        break;
    case CLDEFORM_OFFSET:
        exists = problem.deformable;
        memcpy(size, (int64_t[]){r, 2 * problem.offset_classes, problem.part_h, problem.part_w}, sizeof size);
        element_size = cldeform__dtype_size(problem.offset_dtype);
        break;
    case CLDEFORM_MASK:
        exists = problem.modulated;
        memcpy(size, (int64_t[]){r, 1, oh, ow}, sizeof size);
        element_size = cldeform__dtype_size(problem.offset_dtype);
        break;
    case CLDEFORM_ROIS:
        rank = 2;
        size[1] = 5;
        element_size = cldeform__dtype_size(problem.roi_dtype);
        break;
    case CLDEFORM_LEVEL:
        rank = 1;
        element_size = sizeof(int32_t);
        break;
    case CLDEFORM_ARGMAX:
        exists = problem.method == CLDEFORM_ROI_MAX;
        element_size = sizeof(int32_t);
        break;
    case CLDEFORM_WEIGHT:
    case CLDEFORM_BIAS:
    case CLDEFORM_COLUMNS:
    default:
        exists = false;
        break;
    }
    if (!exists) {
        status =
            cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "name is %d, of which this problem (method %d) has no tensor",
                           (int)name, (int)problem.method);
        goto done;
    }
    status = cldeform__fill_shape(shape, size, rank, element_size);
done:
    return status;
}
