/* tool_roi_case.h: small poolings of RoIs as files for the command line tool, and what it must make of them.
 *
 * The RoIs lie inside, across each border, outside, are smaller than a pixel, inverted, empty and of no image; the
 * offsets throw some samples out. */
#ifndef TESTS_TOOL_ROI_CASE_H
#define TESTS_TOOL_ROI_CASE_H

#include "cldeform/problem.h"
#include "npy.h"

enum { ROI_CASE_INPUT, ROI_CASE_OFFSET, ROI_CASE_MASK, ROI_CASE_ROIS, ROI_CASE_GRAD_OUTPUT };

typedef struct tool_roi_case {
    cldeform_roi_pool_problem problem; /* all but passes, batch and max_rois: what the tool is to find */
    int64_t rois;                      /* -1: those of the comment above */
    const char *left_out;              /* options that are not written */
    npy_array files[5];
    npy_array expected;
    npy_array gradients[3]; /* of the first three files; rank 0: the case has none */
} tool_roi_case;

/* Asymmetric in everything; with offset and mask where the method has them; fp32. */
tool_roi_case tool_roi_case_default(cldeform_roi_method method);

/* Writes i.npy, r.npy, o.npy, m.npy and g.npy, as far as the case has them, and computes what is expected. */
void tool_roi_case_write(tool_roi_case *c, uint32_t seed);

/* After tool_roi_case_write and a change of a file's array: writes that file again and computes anew. */
void tool_roi_case_rewrite(tool_roi_case *c, int which);

/* The command and the options for all of it, but for --output and the gradients. Static text. */
const char *tool_roi_case_words(const tool_roi_case *c);

/* --grad-output and, of the gradients that the case has, those whose bit 1 << ROI_CASE_* is set: gi.npy, go.npy and
 * gm.npy. Static text. */
const char *tool_roi_case_gradient_words(const tool_roi_case *c, unsigned which);

/* That y.npy is what is expected, within the tolerance of tool_assert_file; removes it. */
void tool_roi_case_assert_output(const tool_roi_case *c, double tolerance);

/* That those of `which` that the case has are there and as expected, and that the others are not there; removes them.
 */
void tool_roi_case_assert_gradients(const tool_roi_case *c, unsigned which, double tolerance);

void tool_roi_case_free(tool_roi_case *c);

#endif
