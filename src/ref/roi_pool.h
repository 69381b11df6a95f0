/* What the reference's forward and backward of RoI pooling have in common: which RoIs exist, where a bin samples, and
 * by which rules. Axis 0 is y, 1 is x. */
#ifndef CLDEFORM_REF_ROI_POOL_H
#define CLDEFORM_REF_ROI_POOL_H

#include "cldeform/cldeform_ref.h"

#include <stdbool.h>

typedef struct cldeform__ref_roi_sizes {
    cldeform_roi_pool_problem p; /* no defaults left to fill in */
    int64_t out_channels;
} cldeform__ref_roi_sizes;

/* false: the problem makes no sense. */
bool cldeform__ref_read_roi_problem(const cldeform_roi_pool_problem *problem, cldeform__ref_roi_sizes *s);

/* false: an array is missing that forward and backward need (input: only where `reads_input`), or there is one that the
 * problem lacks. */
bool cldeform__ref_roi_arrays_fit(const cldeform__ref_roi_sizes *s, int64_t n, const cldeform_ref_roi_pool_tensors *t,
                                  bool reads_input);

/* The number that decides which pixel a position belongs to, whether a sample exists and how many there are. */
double cldeform__ref_rounded(double value);

/* ---- where an element is ---- */

int64_t cldeform__ref_roi_input_at(const cldeform__ref_roi_sizes *s, int64_t level, int64_t image, int64_t channel,
                                   int64_t y, int64_t x);
/* Output and argmax. */
int64_t cldeform__ref_roi_output_at(const cldeform__ref_roi_sizes *s, int64_t r, int64_t o, int64_t bin_y,
                                    int64_t bin_x);

/* ---- a RoI ---- */

/* Of RoI (x1, y1, x2, y2) = corners. */
int32_t cldeform__ref_roi_level(const cldeform__ref_roi_sizes *s, const double corners[4]);

typedef struct cldeform__ref_roi {
    bool exists; /* false: nothing below is set */
    int64_t r, image, level;
    int64_t map[2];           /* in_h, in_w of the level */
    double start[2], size[2]; /* in pixels of the level, as the method defines them */
} cldeform__ref_roi;

cldeform__ref_roi cldeform__ref_roi_at(const cldeform__ref_roi_sizes *s, const cldeform_ref_roi_pool_tensors *t,
                                       int64_t r);

/* ---- a bin ---- */

typedef struct cldeform__ref_bin {
    int64_t channel;         /* of the input */
    int64_t offset[2], mask; /* which elements; they exist where the problem has the tensor */
    int64_t p[2];
    double origin[2];  /* samples: start and shift. Whole cells: unused */
    double samples[2]; /* samples in y and x, all of them: may be beyond int64 in product, and 0 or less */
    int64_t first[2],
        last[2]; /* samples: those that may lie in the map. Whole cells: those of the bin; last excluded */
} cldeform__ref_bin;

cldeform__ref_bin cldeform__ref_bin_at(const cldeform__ref_roi_sizes *s, const cldeform_ref_roi_pool_tensors *t,
                                       const cldeform__ref_roi *roi, int64_t o, int64_t bin_y, int64_t bin_x);

/* How a sample depends on the pixels along one axis: the sum of weight[k] * pixel[k], if it exists. slope is the
 * derivative of the weights; across are the weights that the derivative along the other axis is formed with. */
typedef struct cldeform__ref_axis {
    bool exists;
    int64_t pixel[2];
    double weight[2], slope[2], across[2];
} cldeform__ref_axis;

/* Of sample i along an axis. */
cldeform__ref_axis cldeform__ref_axis_at(const cldeform__ref_roi_sizes *s, const cldeform__ref_roi *roi,
                                         const cldeform__ref_bin *bin, int axis, int64_t i);

/* Sum over the four pixels of along_y * along_x * value; pixels whose factor is 0 are not read. */
double cldeform__ref_four_pixels(const cldeform__ref_roi_sizes *s, const double *input, const cldeform__ref_roi *roi,
                                 int64_t channel, const cldeform__ref_axis *y, const cldeform__ref_axis *x,
                                 const double along_y[2], const double along_x[2]);

/* What the sum over the bin's samples or cells is divided by; 0: there is none. */
double cldeform__ref_divisor(const cldeform__ref_roi_sizes *s, const cldeform__ref_roi *roi,
                             const cldeform__ref_bin *bin);

/* The bin's value without the mask. argmax, of CLDEFORM_ROI_MAX, may be NULL. */
double cldeform__ref_pooled(const cldeform__ref_roi_sizes *s, const cldeform_ref_roi_pool_tensors *t,
                            const cldeform__ref_roi *roi, const cldeform__ref_bin *bin, int32_t *argmax);

#endif
