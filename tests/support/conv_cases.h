/* Shapes that the tests run over. Non-square everywhere, primes, remainders in every direction, everything asymmetric.
 *
 * X(name, batch, C, H, W, O, kernel h w, stride h w, pad top left bottom right, dilation h w, groups, offset groups) */
#ifndef TEST_CONV_CASES_H
#define TEST_CONV_CASES_H

#include "conv.h"

#define TEST_CONV_CASES(X)                                                                                             \
    X("one pixel, one channel", 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1)                                     \
    X("1x1 kernel", 2, 5, 7, 9, 3, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1)                                                 \
    X("3x3 like a network's", 1, 16, 19, 23, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)                                   \
    X("stride 2", 2, 8, 15, 20, 11, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1)                                                \
    X("all asymmetric", 3, 12, 11, 14, 10, 3, 2, 1, 2, 1, 2, 0, 1, 2, 1, 2, 3)                                         \
    X("pads only before", 1, 4, 6, 5, 6, 2, 3, 1, 1, 2, 3, 0, 0, 1, 1, 2, 1)                                           \
    X("pads only behind", 1, 4, 6, 5, 6, 3, 2, 1, 1, 0, 0, 3, 2, 1, 1, 1, 2)                                           \
    X("input smaller than the kernel", 2, 3, 2, 2, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)                              \
    X("output of one pixel", 2, 6, 5, 4, 5, 5, 4, 1, 1, 0, 0, 0, 0, 1, 1, 1, 2)                                        \
    X("map of one row", 1, 4, 1, 17, 3, 1, 3, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1)                                            \
    X("map of one column", 1, 4, 13, 1, 3, 3, 1, 2, 1, 1, 0, 1, 0, 1, 1, 1, 4)                                         \
    X("dilation 3x2", 1, 6, 17, 13, 7, 3, 3, 1, 1, 3, 2, 3, 2, 3, 2, 1, 3)                                             \
    X("depthwise", 1, 9, 10, 7, 9, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 9, 1)                                                 \
    X("depthwise, an offset group a channel", 1, 6, 9, 8, 12, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 6, 6)                      \
    X("groups 4, offset groups 2", 2, 8, 9, 11, 12, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 4, 2)                                \
    X("groups 2, offset groups 3 across them", 1, 18, 8, 7, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3)                     \
    X("batch 37", 37, 3, 5, 6, 4, 2, 2, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1)                                                  \
    X("5x5 kernel, 33 channels", 1, 33, 9, 10, 17, 5, 5, 1, 1, 2, 2, 2, 2, 1, 1, 1, 1)                                 \
    X("1x7 kernel, stride 3", 1, 5, 8, 31, 6, 1, 7, 1, 3, 0, 3, 0, 3, 1, 1, 1, 5)

typedef struct test_conv_case {
    const char *name;
    int64_t batch, in_channels, in_h, in_w, out_channels, kernel_h, kernel_w, stride_h, stride_w;
    int64_t pad_top, pad_left, pad_bottom, pad_right, dilation_h, dilation_w, groups, offset_groups;
} test_conv_case;

extern const test_conv_case test_conv_cases[];
extern const int test_n_conv_cases;

/* The case as a problem; PLAIN has no offset groups. */
cldeform_conv2d_problem test_shape_problem(const test_conv_case *row, cldeform_conv2d_kind kind);

#endif
