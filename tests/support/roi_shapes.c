#include "roi_shapes.h"

#include <string.h>

#define ALIGN    CLDEFORM_ROI_ALIGN
#define PS_ALIGN CLDEFORM_ROI_PS_ALIGN
#define PS       CLDEFORM_ROI_PS
#define MAX      CLDEFORM_ROI_MAX

/* Channels are few in kind, since programs depend on how many there are: one, less than a vector holds, and more than
 * some do. Samples of ROI_PS_ALIGN: at most two along an axis, since those outside the map are not counted, and a mean
 * of three is not exact. */
const test_roi_shape test_roi_shapes[] = {
    {"one pixel, one channel", ALIGN, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, false},
    {"7x7 like a network's", ALIGN, 1, 17, 19, 23, 1, 0.25, 7, 7, 2, 0, 0, 0, 0, 0, 0, false},
    {"adaptive", ALIGN, 3, 5, 17, 13, 1, 0.5, 3, 5, 0, 0, 0, 0, 0, 0, 0, true},
    {"row, adaptive", ALIGN, 1, 6, 1, 17, 1, 1, 1, 3, 0, 0, 0, 0, 0, 0, 0, false},
    {"column", ALIGN, 2, 7, 13, 1, 1, 0.125, 4, 1, 4, 0, 0, 0, 0, 0, 0, false},
    {"8 channels", ALIGN, 1, 8, 9, 10, 1, 0.25, 2, 3, 1, 0, 0, 0, 0, 0, 0, false},
    {"3 levels", ALIGN, 2, 6, 24, 21, 3, 0.25, 3, 2, 2, 0, 0, 0, 0, 0, 0, true},
    {"4 levels, adaptive", ALIGN, 1, 5, 29, 31, 4, 0.25, 2, 2, 0, 0, 0, 0, 0, 0, 0, false},
    {"PS 3x3", PS_ALIGN, 1, 45, 15, 20, 1, 0.25, 3, 3, 0, 0, 0, 0, 2, 2, 0, false},
    {"PS group 2, parts 2x3", PS_ALIGN, 3, 28, 11, 14, 1, 0.5, 4, 5, 0, 2, 2, 3, 2, 1, 0, true},
    {"PS group 1, parts beyond bins", PS_ALIGN, 1, 7, 13, 11, 1, 1, 2, 3, 0, 1, 5, 7, 1, 2, 0, false},
    {"PS 3 classes", PS_ALIGN, 2, 24, 9, 12, 1, 0.0625, 2, 2, 0, 0, 3, 1, 2, 2, 3, false},
    {"PS 2 levels, 2 classes", PS_ALIGN, 1, 90, 14, 13, 2, 0.25, 3, 3, 0, 0, 2, 2, 1, 2, 2, true},
    {"PS one pixel", PS_ALIGN, 1, 4, 1, 1, 1, 1, 2, 1, 0, 1, 0, 0, 2, 2, 2, false},

    {"PS cells 3x3", PS, 1, 45, 15, 20, 1, 0.25, 3, 3, 0, 0, 0, 0, 0, 0, 0, false},
    {"PS cells, group 1", PS, 3, 5, 11, 17, 1, 0.5, 2, 5, 0, 1, 0, 0, 0, 0, 0, true},
    {"PS cells, group 2, 3 levels", PS, 2, 20, 21, 16, 3, 0.25, 4, 3, 0, 2, 0, 0, 0, 0, 0, false},

    {"max 7x7", MAX, 1, 17, 19, 23, 1, 0.0625, 7, 7, 0, 0, 0, 0, 0, 0, 0, false},
    {"max 3x5", MAX, 3, 7, 13, 17, 1, 0.5, 3, 5, 0, 0, 0, 0, 0, 0, 0, true},
    {"max 2 levels", MAX, 2, 5, 18, 11, 2, 0.25, 2, 3, 0, 0, 0, 0, 0, 0, 0, false},

    {"75x101", ALIGN, 2, 5, 75, 101, 1, 0.25, 2, 3, 2, 0, 0, 0, 0, 0, 0, false},
};
const int test_n_roi_shapes = sizeof test_roi_shapes / sizeof test_roi_shapes[0];

cldeform_roi_pool_problem test_roi_problem(const test_roi_shape *shape, bool deformable, bool modulated,
                                           int64_t max_rois)
{
    cldeform_roi_pool_problem p = CLDEFORM_INIT(cldeform_roi_pool_problem);
    p.method = shape->method;
    p.deformable = deformable;
    p.modulated = modulated;
    p.max_rois = max_rois;
    p.batch = shape->batch;
    p.in_channels = shape->in_channels;
    p.levels = shape->levels;
    for (int64_t l = 0; l < shape->levels; l++) {
        const int64_t half = (int64_t)1 << l;
        p.level[l].in_h = (shape->in_h + half - 1) / half;
        p.level[l].in_w = (shape->in_w + half - 1) / half;
        p.level[l].spatial_scale = shape->spatial_scale / (double)half;
    }
    p.out_h = shape->out_h, p.out_w = shape->out_w;
    p.sampling_ratio = shape->sampling_ratio;
    p.group_size = shape->group_size;
    p.part_h = shape->part_h, p.part_w = shape->part_w;
    p.samples_h = shape->samples_h, p.samples_w = shape->samples_w;
    p.offset_classes = shape->classes;
    p.offset_scale = 0.25;
    p.canonical_size = 25; /* in the middle of the sizes of these maps' RoIs */
    p.canonical_level = (shape->levels - 1) / 2;
    return p;
}

cldeform_roi_pool_problem test_roi_problem_of(const char *name, bool deformable, bool modulated, int64_t max_rois)
{
    for (int i = 0; i < test_n_roi_shapes; i++)
        if (strcmp(test_roi_shapes[i].name, name) == 0)
            return test_roi_problem(&test_roi_shapes[i], deformable, modulated, max_rois);
    fail_msg("there is no shape \"%s\"", name);
    return (cldeform_roi_pool_problem){0};
}

bool test_roi_variant_at(int i, test_roi_variant *v)
{
    for (const test_roi_shape *s = test_roi_shapes; s < test_roi_shapes + test_n_roi_shapes; s++) {
        const bool samples = s->method == ALIGN || s->method == PS_ALIGN;
        /* whole cells are exact where their RoIs are made for their level (roi_data.c) */
        const int levels = s->levels > 1 && s->method != PS ? 2 : 1, n = (samples ? 4 : 1) * levels * 2;
        if (i < n) {
            v->shape = s;
            v->layout = i % 2 ? CLDEFORM_NHWC : CLDEFORM_NCHW;
            v->has_level = levels == 2 ? i / 2 % 2 : s->levels > 1;
            v->deformable = i / (2 * levels) % 2;
            v->modulated = i / (2 * levels) / 2 % 2;
            v->plainest = i % 2 == (s - test_roi_shapes) % 2 && v->deformable == samples && v->modulated == samples;
            v->plainest = v->plainest && s->in_channels > 4 && s->in_channels != 17;
            return true;
        }
        i -= n;
    }
    return false;
}

cldeform_roi_pool_problem test_roi_variant_problem(const test_roi_variant *v, test_data data, int64_t max_rois)
{
    cldeform_roi_pool_problem problem = test_roi_problem(v->shape, v->deformable, v->modulated, max_rois);
    problem.layout = v->layout;
    if (data == TEST_RANDOM && (v->shape - test_roi_shapes) % 3) {
        problem.offset_scale = 0;
        for (int64_t l = 0; l < problem.levels; l++)
            problem.level[l].spatial_scale *= 0.83;
        problem.canonical_size *= 1.1;
    }
    return problem;
}
