/* Cases (cases.h) about RoI pooling: what they ask for as problems of this library, and what is made of the results.
 * The same for the reference and for a device, which differ in the function that runs a call. */
#ifndef TEST_ROI_CASES_H
#define TEST_ROI_CASES_H

#include "cases.h"

/* One forward call, and backward where grad_output is there. Tensors are dense, in the problem's layout. */
typedef struct test_roi_call {
    const json_t *root;                /* the case */
    cldeform_roi_pool_problem problem; /* one level, types by default, max_rois is rois, passes as asked for below */
    int64_t rois;
    const double *input, *roi, *offset, *mask, *grad_output; /* NULL: absent */
    double *output, *grad_input, *grad_offset, *grad_mask;   /* filled by the runner; NULL: not asked for */
} test_roi_call;

/* Runs it, and fails the test where that fails. An argmax, of CLDEFORM_ROI_MAX, is the runner's own business. */
typedef void (*test_roi_runner)(const test_roi_call *call, void *user);

/* Everything that a case knows, in this layout (the file is NCHW): output, gradients, both rules of the offset's
 * gradient; packs, with their linear layers on the host; negative controls, whose output must differ. Prints why and
 * returns false if the case cannot be put to this library. */
bool test_roi_case_check(const char *path, cldeform_layout layout, test_roi_runner run, void *user);

/* Runs `check` as a test for every file about RoI pooling of a kind that this library has, with the path as *state: the
 * golden files below `tests` (TEST_SOURCE_DIR), and other projects' cases where their folder is there (CLDEFORM_CASES,
 * else shared/cases beside the project). Set-up and teardown are the group's. Returns how many fail. */
int test_roi_cases_run(const char *tests, void (*check)(void **state), int (*set_up)(void **state),
                       int (*tear_down)(void **state));

#endif
