#include "roi_pool.h"

#include <math.h>
#include <string.h>

static const double far_away = 2147483648.0; /* feature pixels: RoIs beyond do not exist */
static const double least_size = 0.1;        /* of a RoI of the position-sensitive methods */

static bool of_samples(const cldeform__ref_roi_sizes *s)
{
    return s->p.method == CLDEFORM_ROI_ALIGN || s->p.method == CLDEFORM_ROI_PS_ALIGN;
}

static bool position_sensitive(const cldeform__ref_roi_sizes *s)
{
    return s->p.method == CLDEFORM_ROI_PS_ALIGN || s->p.method == CLDEFORM_ROI_PS;
}

double cldeform__ref_rounded(double value)
{
    return fabs(value) < 1e38 ? (double)(float)value : value; /* beyond, whole and outside of everything either way */
}

/* A position, for what is decided by it: differences that should be 0 leave something of the numbers they are of. */
static double locate(double position)
{
    return fabs(position) < ldexp(1, -24) ? 0 : cldeform__ref_rounded(position);
}

/* ---- the problem --------------------------------------------------------------------------------------- */

static int64_t or_default(int64_t value, int64_t otherwise)
{
    return value == 0 ? otherwise : value;
}

static bool positive(double value)
{
    return value > 0 && isfinite(value);
}

/* Fields that mean something to other methods only. */
static bool has_foreign_fields(const cldeform_roi_pool_problem *p)
{
    const bool ps_align = p->method == CLDEFORM_ROI_PS_ALIGN;
    if (!ps_align && (p->part_h || p->part_w || p->samples_h || p->samples_w || p->offset_classes))
        return true;
    if (p->method != CLDEFORM_ROI_ALIGN && (p->sampling_ratio || p->offset_gradient != CLDEFORM_ROI_GRADIENT_TRUE))
        return true;
    if ((p->method == CLDEFORM_ROI_ALIGN || p->method == CLDEFORM_ROI_MAX) && p->group_size != 0 && p->group_size != 1)
        return true;
    return (p->method == CLDEFORM_ROI_PS || p->method == CLDEFORM_ROI_MAX) && (p->deformable || p->modulated);
}

static bool levels_are_valid(const cldeform_roi_pool_problem *p)
{
    if (p->levels < 1 || p->levels > CLDEFORM_MAX_LEVELS || p->canonical_level < 0 || p->canonical_level >= p->levels ||
        !positive(p->canonical_size))
        return false;
    for (int64_t l = 0; l < p->levels; l++) {
        const cldeform_roi_level *level = &p->level[l];
        if (level->in_h < 1 || level->in_h > INT32_MAX || level->in_w < 1 || level->in_w > INT32_MAX ||
            !positive(level->spatial_scale))
            return false;
        if (p->method == CLDEFORM_ROI_MAX && level->in_h * level->in_w > INT32_MAX) /* argmax */
            return false;
    }
    return true;
}

static void fill_in_defaults(cldeform_roi_pool_problem *p)
{
    p->levels = or_default(p->levels, 1);
    p->offset_scale = p->offset_scale == 0 ? 0.1 : p->offset_scale;
    p->canonical_size = p->canonical_size == 0 ? 224 : p->canonical_size;
    if (p->method == CLDEFORM_ROI_PS_ALIGN) {
        p->part_h = or_default(p->part_h, p->out_h), p->part_w = or_default(p->part_w, p->out_w);
        p->samples_h = or_default(p->samples_h, 4), p->samples_w = or_default(p->samples_w, 4);
    } else { /* one shift a bin */
        p->part_h = p->out_h, p->part_w = p->out_w;
        p->samples_h = p->samples_w = 1;
    }
    p->offset_classes = or_default(p->offset_classes, 1);
}

bool cldeform__ref_read_roi_problem(const cldeform_roi_pool_problem *problem, cldeform__ref_roi_sizes *s)
{
    memset(s, 0, sizeof *s);
    if (!problem || problem->struct_size < sizeof problem->struct_size)
        return false;
    memcpy(&s->p, problem, problem->struct_size < sizeof s->p ? problem->struct_size : sizeof s->p);
    cldeform_roi_pool_problem *p = &s->p;
    if ((unsigned)p->method > CLDEFORM_ROI_MAX || (unsigned)p->layout > CLDEFORM_NHWC ||
        (unsigned)p->mask_activation > CLDEFORM_MASK_SIGMOID_X2 ||
        (unsigned)p->offset_gradient > CLDEFORM_ROI_GRADIENT_MMCV || (unsigned)p->deformable > 1 ||
        (unsigned)p->modulated > 1 || has_foreign_fields(p))
        return false;
    if (position_sensitive(s) && p->group_size == 0 && p->out_h != p->out_w)
        return false;
    p->group_size = position_sensitive(s) ? or_default(p->group_size, p->out_h) : 1;
    fill_in_defaults(p);
    const int64_t sizes[] = {p->in_channels, p->out_h,     p->out_w,     p->group_size,    p->part_h,
                             p->part_w,      p->samples_h, p->samples_w, p->offset_classes};
    const int64_t not_negative[] = {p->batch, p->sampling_ratio};
    bool valid = isfinite(p->offset_scale) && levels_are_valid(p);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        valid = valid && sizes[i] >= 1 && sizes[i] <= INT32_MAX;
    for (size_t i = 0; i < sizeof not_negative / sizeof not_negative[0]; i++)
        valid = valid && not_negative[i] >= 0 && not_negative[i] <= INT32_MAX;
    if (!valid || p->in_channels % (p->group_size * p->group_size))
        return false;
    s->out_channels = p->in_channels / (p->group_size * p->group_size);
    return s->out_channels % p->offset_classes == 0;
}

bool cldeform__ref_roi_arrays_fit(const cldeform__ref_roi_sizes *s, int64_t n, const cldeform_ref_roi_pool_tensors *t,
                                  bool reads_input)
{
    if (n < 0 || (t->offset && !s->p.deformable) || (t->mask && !s->p.modulated) ||
        (t->argmax && s->p.method != CLDEFORM_ROI_MAX))
        return false;
    for (int64_t l = 0; l < CLDEFORM_MAX_LEVELS; l++)
        if (l >= s->p.levels ? t->input[l] != NULL : n > 0 && s->p.batch > 0 && reads_input && !t->input[l])
            return false;
    return n == 0 || (t->rois && (t->offset || !s->p.deformable) && (t->mask || !s->p.modulated));
}

/* ---- where an element is ------------------------------------------------------------------------------- */

int64_t cldeform__ref_roi_input_at(const cldeform__ref_roi_sizes *s, int64_t level, int64_t image, int64_t channel,
                                   int64_t y, int64_t x)
{
    const int64_t in_h = s->p.level[level].in_h, in_w = s->p.level[level].in_w;
    if (s->p.layout == CLDEFORM_NHWC)
        return ((image * in_h + y) * in_w + x) * s->p.in_channels + channel;
    return ((image * s->p.in_channels + channel) * in_h + y) * in_w + x;
}

int64_t cldeform__ref_roi_output_at(const cldeform__ref_roi_sizes *s, int64_t r, int64_t o, int64_t bin_y,
                                    int64_t bin_x)
{
    if (s->p.layout == CLDEFORM_NHWC)
        return ((r * s->p.out_h + bin_y) * s->p.out_w + bin_x) * s->out_channels + o;
    return ((r * s->out_channels + o) * s->p.out_h + bin_y) * s->p.out_w + bin_x;
}

/* ---- a RoI --------------------------------------------------------------------------------------------- */

int32_t cldeform__ref_roi_level(const cldeform__ref_roi_sizes *s, const double corners[4])
{
    int32_t level = 0;
    for (int i = 0; i < 4; i++)
        if (!isfinite(corners[i]))
            return 0;
    const double area = fmax(corners[2] - corners[0], 0) * fmax(corners[3] - corners[1], 0);
    for (int32_t l = 1; l < s->p.levels; l++) {
        const double threshold = s->p.canonical_size * s->p.canonical_size * pow(4, l - (double)s->p.canonical_level);
        if (cldeform__ref_rounded(area) >= cldeform__ref_rounded(threshold))
            level = l;
    }
    return level;
}

/* Where a RoI from `low` to `high` image pixels starts on the map, and its size there. */
static void place(const cldeform__ref_roi_sizes *s, double scale, double low, double high, double *start, double *size)
{
    switch (s->p.method) {
    case CLDEFORM_ROI_ALIGN:
        *start = low * scale - 0.5;
        *size = (high - low) * scale;
        break;
    case CLDEFORM_ROI_PS_ALIGN:
        *start = round(low) * scale - 0.5;
        *size = fmax((round(high) + 1) * scale - 0.5 - *start, least_size);
        break;
    case CLDEFORM_ROI_PS:
        *start = round(low) * scale;
        *size = fmax((round(high) + 1) * scale - *start, least_size);
        break;
    case CLDEFORM_ROI_MAX:
        *start = low * scale;
        *size = (high + 1) * scale - *start;
        break;
    }
}

cldeform__ref_roi cldeform__ref_roi_at(const cldeform__ref_roi_sizes *s, const cldeform_ref_roi_pool_tensors *t,
                                       int64_t r)
{
    cldeform__ref_roi roi = {.exists = false, .r = r};
    const double image = t->rois[5 * r], *corners = t->rois + 5 * r + 1; /* x1, y1, x2, y2 */
    const int64_t level = t->level ? t->level[r] : cldeform__ref_roi_level(s, corners);
    if (!(image >= 0 && image < (double)s->p.batch) || image != floor(image) || level < 0 || level >= s->p.levels)
        return roi;
    const double scale = s->p.level[level].spatial_scale;
    for (int i = 0; i < 4; i++)
        if (!(fabs(cldeform__ref_rounded(corners[i] * scale)) <= far_away))
            return roi;
    roi.exists = true;
    roi.image = (int64_t)image, roi.level = level;
    roi.map[0] = s->p.level[level].in_h, roi.map[1] = s->p.level[level].in_w;
    place(s, scale, corners[1], corners[3], &roi.start[0], &roi.size[0]);
    place(s, scale, corners[0], corners[2], &roi.start[1], &roi.size[1]);
    return roi;
}

/* ---- a bin --------------------------------------------------------------------------------------------- */

static double between(double value, double low, double high)
{
    return fmin(fmax(value, low), high);
}

static int64_t bins(const cldeform__ref_roi_sizes *s, int axis)
{
    return axis == 0 ? s->p.out_h : s->p.out_w;
}

/* Where sample i of a bin lies. */
static double position(const cldeform__ref_roi_sizes *s, const cldeform__ref_roi *roi, const cldeform__ref_bin *bin,
                       int axis, int64_t i)
{
    const double p = (double)bin->p[axis], out = (double)bins(s, axis), samples = bin->samples[axis];
    if (s->p.method == CLDEFORM_ROI_ALIGN)
        return bin->origin[axis] + roi->size[axis] * (p + ((double)i + 0.5) / samples) / out;
    return bin->origin[axis] + roi->size[axis] * (p * samples + (double)i) / (out * samples);
}

/* Leaves out what is certainly outside of the map, a pixel and more: a huge RoI has few samples in it. Whether the
 * others exist is for axis_at to say. */
static void find_samples(const cldeform__ref_roi_sizes *s, const cldeform__ref_roi *roi, cldeform__ref_bin *bin,
                         int axis)
{
    const double samples = bin->samples[axis], origin = bin->origin[axis], size = roi->size[axis];
    const double low = -2, high = (double)roi->map[axis] * (1 + 1e-6) + 1;
    const double first = position(s, roi, bin, axis, 0), step = size / ((double)bins(s, axis) * samples);
    bin->first[axis] = bin->last[axis] = 0;
    if (!(samples >= 1) || !isfinite(origin))
        return;
    if (step == 0) { /* all in one place */
        bin->last[axis] = first >= low && first <= high ? (int64_t)samples : 0;
        return;
    }
    const double at_low = (low - first) / step, at_high = (high - first) / step;
    bin->first[axis] = (int64_t)between(floor(fmin(at_low, at_high)), 0, samples);
    bin->last[axis] = (int64_t)between(ceil(fmax(at_low, at_high)) + 1, 0, samples);
}

static void find_cells(const cldeform__ref_roi_sizes *s, const cldeform__ref_roi *roi, cldeform__ref_bin *bin, int axis)
{
    const double p = (double)bin->p[axis], out = (double)bins(s, axis), map = (double)roi->map[axis];
    const double low = roi->start[axis] + roi->size[axis] * p / out;
    const double high = roi->start[axis] + roi->size[axis] * (p + 1) / out;
    bin->first[axis] = (int64_t)between(floor(locate(low)), 0, map);
    bin->last[axis] = (int64_t)between(ceil(locate(high)), 0, map);
    if (s->p.method == CLDEFORM_ROI_MAX && roi->size[axis] <= 0)
        bin->last[axis] = bin->first[axis];
}

/* How many samples a bin has along an axis, in the map or not. */
static double samples_of(const cldeform__ref_roi_sizes *s, const cldeform__ref_roi *roi, int axis)
{
    if (s->p.method == CLDEFORM_ROI_PS_ALIGN)
        return (double)(axis == 0 ? s->p.samples_h : s->p.samples_w);
    if (s->p.sampling_ratio > 0)
        return (double)s->p.sampling_ratio;
    return ceil(cldeform__ref_rounded(roi->size[axis] / (double)bins(s, axis)));
}

cldeform__ref_bin cldeform__ref_bin_at(const cldeform__ref_roi_sizes *s, const cldeform_ref_roi_pool_tensors *t,
                                       const cldeform__ref_roi *roi, int64_t o, int64_t bin_y, int64_t bin_x)
{
    const int64_t out_h = s->p.out_h, out_w = s->p.out_w, group = s->p.group_size;
    const int64_t part_h = s->p.part_h, part_w = s->p.part_w, classes = s->p.offset_classes;
    const int64_t class = o / (s->out_channels / classes);
    const int64_t part = bin_y * part_h / out_h * part_w + bin_x * part_w / out_w;
    const int64_t plane_x = (roi->r * classes + class) * 2, plane_y = plane_x + 1;
    cldeform__ref_bin bin = {
        .channel = (o * group + bin_y * group / out_h) * group + bin_x * group / out_w,
        .offset = {plane_y * part_h * part_w + part, plane_x * part_h * part_w + part},
        .mask = (roi->r * out_h + bin_y) * out_w + bin_x,
        .p = {bin_y, bin_x},
    };
    for (int axis = 0; axis < 2; axis++) {
        if (!of_samples(s)) {
            find_cells(s, roi, &bin, axis);
            continue;
        }
        bin.samples[axis] = samples_of(s, roi, axis);
        bin.origin[axis] = roi->start[axis];
        if (s->p.deformable)
            bin.origin[axis] += s->p.offset_scale * roi->size[axis] * t->offset[bin.offset[axis]];
        find_samples(s, roi, &bin, axis);
    }
    return bin;
}

/* One pixel, whatever its neighbours hold. */
static cldeform__ref_axis single_pixel(double pixel)
{
    return (cldeform__ref_axis){
        .exists = true, .pixel = {(int64_t)pixel, (int64_t)pixel}, .weight = {1, 0}, .across = {1, 0}};
}

/* Between two pixels, at least at the first and at most at the second. */
static cldeform__ref_axis two_pixels(double first, double at)
{
    const double beyond = between(at - first, 0, 1);
    return (cldeform__ref_axis){.exists = true,
                                .pixel = {(int64_t)first, (int64_t)first + 1},
                                .weight = {1 - beyond, beyond},
                                .slope = {-1, 1},
                                .across = {1 - beyond, beyond}};
}

static cldeform__ref_axis align_axis(const cldeform__ref_roi_sizes *s, double at, double map)
{
    const double rounded = locate(at), cell = floor(fmax(rounded, 0));
    const bool mmcv = s->p.offset_gradient == CLDEFORM_ROI_GRADIENT_MMCV;
    if (!(rounded >= -1 && rounded <= map))
        return (cldeform__ref_axis){.exists = false};
    if (cell >= map - 1) {
        cldeform__ref_axis last = single_pixel(map - 1);
        if (mmcv) /* its terms for the two rows (columns), which are the same one, cancel */
            last.across[0] = 0;
        return last;
    }
    if (rounded >= 0)
        return two_pixels(cell, at);
    cldeform__ref_axis first = single_pixel(0);
    if (mmcv) { /* as if the map went on in a straight line */
        first.pixel[1] = 1;
        first.slope[0] = -1, first.slope[1] = 1;
        first.across[0] = 1 - at, first.across[1] = at;
    }
    return first;
}

static cldeform__ref_axis ps_align_axis(double at, double map)
{
    const double rounded = locate(at);
    if (!(rounded >= -0.5 && rounded <= map - 0.5))
        return (cldeform__ref_axis){.exists = false};
    const double clamped = between(rounded, 0, map - 1), cell = floor(clamped);
    return clamped == cell ? single_pixel(cell) : two_pixels(cell, at);
}

cldeform__ref_axis cldeform__ref_axis_at(const cldeform__ref_roi_sizes *s, const cldeform__ref_roi *roi,
                                         const cldeform__ref_bin *bin, int axis, int64_t i)
{
    const double at = position(s, roi, bin, axis, i), map = (double)roi->map[axis];
    return s->p.method == CLDEFORM_ROI_ALIGN ? align_axis(s, at, map) : ps_align_axis(at, map);
}

double cldeform__ref_four_pixels(const cldeform__ref_roi_sizes *s, const double *input, const cldeform__ref_roi *roi,
                                 int64_t channel, const cldeform__ref_axis *y, const cldeform__ref_axis *x,
                                 const double along_y[2], const double along_x[2])
{
    double sum = 0;
    for (int row = 0; row < 2; row++)
        for (int column = 0; column < 2; column++)
            if (along_y[row] != 0 && along_x[column] != 0)
                sum += along_y[row] * along_x[column] *
                       input[cldeform__ref_roi_input_at(s, roi->level, roi->image, channel, y->pixel[row],
                                                        x->pixel[column])];
    return sum;
}

static double existing_samples(const cldeform__ref_roi_sizes *s, const cldeform__ref_roi *roi,
                               const cldeform__ref_bin *bin, int axis)
{
    double count = 0;
    for (int64_t i = bin->first[axis]; i < bin->last[axis]; i++)
        count += cldeform__ref_axis_at(s, roi, bin, axis, i).exists;
    return count;
}

double cldeform__ref_divisor(const cldeform__ref_roi_sizes *s, const cldeform__ref_roi *roi,
                             const cldeform__ref_bin *bin)
{
    switch (s->p.method) {
    case CLDEFORM_ROI_ALIGN:
        return fmax(bin->samples[0] * bin->samples[1], 1);
    case CLDEFORM_ROI_PS_ALIGN:
        return existing_samples(s, roi, bin, 0) * existing_samples(s, roi, bin, 1);
    case CLDEFORM_ROI_PS:
        return fmax((double)(bin->last[0] - bin->first[0]), 0) * fmax((double)(bin->last[1] - bin->first[1]), 0);
    case CLDEFORM_ROI_MAX:
        break;
    }
    return 1;
}
