#include "conv_cases.h"
#include "algorithms.h"

const test_conv_case test_conv_cases[] = {
#define X(...) {__VA_ARGS__},
    TEST_CONV_CASES(X)
#undef X
};
const int test_n_conv_cases = sizeof test_conv_cases / sizeof test_conv_cases[0];

cldeform_conv2d_problem test_shape_problem(const test_conv_case *row, cldeform_conv2d_kind kind)
{
    cldeform_conv2d_problem p = CLDEFORM_INIT(cldeform_conv2d_problem);
    p.kind = kind;
    p.batch = row->batch;
    p.in_channels = row->in_channels, p.in_h = row->in_h, p.in_w = row->in_w;
    p.out_channels = row->out_channels;
    p.kernel_h = row->kernel_h, p.kernel_w = row->kernel_w;
    p.stride_h = row->stride_h, p.stride_w = row->stride_w;
    p.pad_top = row->pad_top, p.pad_left = row->pad_left;
    p.pad_bottom = row->pad_bottom, p.pad_right = row->pad_right;
    p.dilation_h = row->dilation_h, p.dilation_w = row->dilation_w;
    p.groups = row->groups;
    p.offset_groups = kind == CLDEFORM_CONV2D_PLAIN ? 1 : row->offset_groups;
    p.algorithm = test_algorithm;
    return p;
}
