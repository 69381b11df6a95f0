/* RoI pooling on the device against numbers of others: golden files, and the cases of other projects' tests where their
 * folder is there. The reference is held against them too (test_ref_roi_cases). */
#include "roi.h"
#include "roi_cases.h"

#include <string.h>

static void put(test_roi *roi, int i, const double *values)
{
    test_roi_tensor *t = &roi->tensor[i];
    assert_true(t->present == (values != NULL));
    for (int64_t e = 0; values && e < t->shape.elements; e++)
        t->values[e] = test_round(values[e], t->dtype);
}

static void take(const test_roi_found *found, const test_roi *roi, int i, double *values)
{
    if (values)
        memcpy(values, found->values[i], (size_t)roi->tensor[i].shape.elements * sizeof *values);
}

/* user: the context, or NULL for the device's. */
static void run_on_device(const test_roi_call *c, void *user)
{
    const cldeform_roi_pool_problem *p = &c->problem;
    test_roi roi;
    test_roi_create(&roi, p, c->rois, false, TEST_EXACT, 1);
    put(&roi, TEST_ROI_INPUT, c->input);
    put(&roi, TEST_ROI_ROIS, c->roi);
    put(&roi, TEST_ROI_OFFSET, p->deformable ? c->offset : NULL);
    put(&roi, TEST_ROI_MASK, p->modulated ? c->mask : NULL);
    test_roi_found forward =
        test_roi_run(&device, &roi, TEST_ROI_FORWARD, &(test_run){.context = user, .strided = true});
    take(&forward, &roi, TEST_ROI_OUTPUT, c->output);
    if (c->grad_output) {
        put(&roi, TEST_ROI_GRAD_OUTPUT, c->grad_output);
        put(&roi, TEST_ROI_ARGMAX, forward.values[TEST_ROI_ARGMAX]);
        test_roi_found backward =
            test_roi_run(&device, &roi, TEST_ROI_BACKWARD, &(test_run){.context = user, .workspace = true});
        take(&backward, &roi, TEST_ROI_GRAD_INPUT, c->grad_input);
        take(&backward, &roi, TEST_ROI_GRAD_OFFSET, p->deformable ? c->grad_offset : NULL);
        take(&backward, &roi, TEST_ROI_GRAD_MASK, p->modulated ? c->grad_mask : NULL);
        test_roi_found_free(&backward);
    }
    test_roi_found_free(&forward);
    test_roi_destroy(&roi);
}

/* Where that takes long: one program for all numbers of channels. */
static cldeform_context *of_few_programs;

static void check_case(void **state)
{
    const char *path = *state;
    if (!test_roi_case_check(path, CLDEFORM_NCHW, run_on_device, of_few_programs))
        skip();
    test_roi_case_check(path, CLDEFORM_NHWC, run_on_device, of_few_programs);
}

static int open_device(void **state)
{
    test_open_device(state);
    if (test_compiles_slowly(&device))
        of_few_programs = test_tuned_context(&device, "\"*\" channel_vector=1 roi_vectors=1\n");
    return 0;
}

static int close_device(void **state)
{
    cldeform_context_destroy(of_few_programs);
    return test_close_device(state);
}

int main(void)
{
    return test_roi_cases_run(TEST_SOURCE_DIR, check_case, open_device, close_device);
}
