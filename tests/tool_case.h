/* tool_case.h: small convolutions as files for the command line tool, and what it must make of them.
 *
 * The data are small integers, offsets and masks multiples of a quarter: every sum is then exact in fp32 in any order,
 * and a result that is not equal to the reference's, rounded once, is wrong. */
#ifndef TESTS_TOOL_CASE_H
#define TESTS_TOOL_CASE_H

#include "cldeform/problem.h"
#include "npy.h"

typedef struct tool_case {
    cldeform_conv2d_problem problem; /* kind, sizes, types, layout, border */
    int bias;
    int exact; /* 0: fractions that round, for comparing runs with each other */
    npy_array files[6];
    npy_array expected;
    npy_array gradients[5]; /* of the first five files; rank 0: the case has none */
} tool_case;

enum { CASE_INPUT, CASE_WEIGHT, CASE_OFFSET, CASE_MASK, CASE_BIAS, CASE_GRAD_OUTPUT };

/* 3x2 kernel, 2 groups, 2 offset groups, asymmetric in everything; version 2 with bias; fp32. */
tool_case tool_case_default(void);

/* Writes i.npy, w.npy, o.npy, m.npy and b.npy, as far as the case has them, and computes what is expected. */
void tool_case_write(tool_case *c, uint32_t seed);

/* After tool_case_write: writes g.npy, the gradient of the output, and computes the gradients that are expected; of the
 * bias also where there is none. */
void tool_case_write_gradients(tool_case *c);

/* The options for all of it, but for --output and the gradients: files, stride, pad, dilation, layout, border, offset
 * gradient. Static text. */
const char *tool_case_options(const tool_case *c);

/* --grad-output and, of the gradients that the case has, those whose bit 1 << CASE_* is set, into the files
 * tool_case_gradient_path names. Static text. */
const char *tool_case_gradient_options(const tool_case *c, unsigned which);
const char *tool_case_gradient_path(int which);

/* That file is what is expected, to the bit; removes it. */
void tool_case_assert_output(const tool_case *c, const char *path);

/* That those of `which` that the case has are there and as expected, and that the others are not there; removes them.
 */
void tool_case_assert_gradients(const tool_case *c, unsigned which);

void tool_case_free(tool_case *c);

#endif
