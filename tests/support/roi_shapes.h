/* Problems of RoI pooling that the tests run over. Non-square everywhere, primes, remainders, everything asymmetric. */
#ifndef TEST_ROI_SHAPES_H
#define TEST_ROI_SHAPES_H

#include "roi.h"

typedef struct test_roi_shape {
    const char *name;
    cldeform_roi_method method;
    int64_t batch, in_channels, in_h, in_w; /* of the first level; each further one has half of it */
    int64_t levels;
    double spatial_scale; /* of the first level, a power of two */
    int64_t out_h, out_w;
    int64_t sampling_ratio; /* ROI_ALIGN */
    int64_t group_size;     /* PS methods, and what follows ROI_PS_ALIGN alone */
    int64_t part_h, part_w, samples_h, samples_w, classes;
    bool in_all_types; /* the others run in fp32: every type compiles programs of its own */
} test_roi_shape;

extern const test_roi_shape test_roi_shapes[];
extern const int test_n_roi_shapes;

/* The shape as a problem for any number of RoIs up to max_rois; offset_scale, where deformable, is a quarter. */
cldeform_roi_pool_problem test_roi_problem(const test_roi_shape *shape, bool deformable, bool modulated,
                                           int64_t max_rois);
/* The shape of this name. */
cldeform_roi_pool_problem test_roi_problem_of(const char *name, bool deformable, bool modulated, int64_t max_rois);

/* A shape, what of the rest a problem may have, and how its levels are found. */
typedef struct test_roi_variant {
    const test_roi_shape *shape;
    bool deformable, modulated, has_level;
    cldeform_layout layout;
    bool plainest; /* for devices that compile slowly: as few programs as a method has */
} test_roi_variant;
/* Number i of all of them; false: there are fewer. */
bool test_roi_variant_at(int i, test_roi_variant *variant);
/* Random data in scales that have no exact value and the default offset_scale, but in every third shape. */
cldeform_roi_pool_problem test_roi_variant_problem(const test_roi_variant *variant, test_data data, int64_t max_rois);

#endif
