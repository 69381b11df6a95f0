/* What the reference's forward and backward have in common: where an element is, where a term samples, and by which
 * rules. */
#ifndef CLDEFORM_REF_CONV2D_H
#define CLDEFORM_REF_CONV2D_H

#include "cldeform/cldeform_ref.h"

#include <stdbool.h>

typedef struct cldeform__ref_sizes {
    cldeform_conv2d_problem p; /* no defaults left to fill in */
    int64_t taps, out_h, out_w;
} cldeform__ref_sizes;

/* false: the problem makes no sense. */
bool cldeform__ref_read_problem(const cldeform_conv2d_problem *problem, cldeform__ref_sizes *s);

/* Which element of the output. */
int64_t cldeform__ref_output_at(const cldeform__ref_sizes *s, int64_t n, int64_t o, int64_t y, int64_t x);

/* One term of the sum that is output[n,o,y,x]: weight * mask * S(input[n,channel], y, x), where the tap samples. */
typedef struct cldeform__ref_term {
    int64_t n, channel;
    int64_t weight, mask, offset[2]; /* which elements; offset: y, x. PLAIN looks at weight alone */
    double y, x;
} cldeform__ref_term;

/* c counts the channels of o's group. offset may be NULL for PLAIN. */
cldeform__ref_term cldeform__ref_term_at(const cldeform__ref_sizes *s, const double *offset, int64_t n, int64_t o,
                                         int64_t y, int64_t x, int64_t c, int64_t i, int64_t j);

/* Whether the rule of the border has a sample at that position at all. NaN: no. */
bool cldeform__ref_samples_at(const cldeform__ref_sizes *s, double y, double x);

/* The pixels round a position: rows top and top + 1, columns left and left + 1; and how far it is beyond the first. */
typedef struct cldeform__ref_cell {
    double top, left, down, right;
} cldeform__ref_cell;

cldeform__ref_cell cldeform__ref_cell_at(const cldeform__ref_sizes *s, double y, double x);

/* Which element of the input a pixel is; -1 outside of the map. */
int64_t cldeform__ref_pixel_at(const cldeform__ref_sizes *s, int64_t n, int64_t channel, double row, double column);

/* Its value; 0 outside of the map. */
double cldeform__ref_pixel(const cldeform__ref_sizes *s, const double *input, int64_t n, int64_t channel, double row,
                           double column);

/* S */
double cldeform__ref_sample(const cldeform__ref_sizes *s, const double *input, int64_t n, int64_t channel, double y,
                            double x);

/* Whether a sample moves with this element of the offset: not beyond the limit. */
bool cldeform__ref_within_limit(const cldeform__ref_sizes *s, double offset);

#endif
