/* The reference of RoI pooling against numbers of others (roi_cases.h), in both layouts. */
#include "ref/roi_pool.h"
#include "roi_cases.h"

#include <stdlib.h>

/* Of samples that exist in each bin: not something that a caller gets, but some cases know them. */
static void check_sample_counts(const test_roi_call *c, const cldeform_ref_roi_pool_tensors *t)
{
    cldeform__ref_roi_sizes s;
    size_t elements = 0;
    double *expected = test_case_tensor(c->root, "expected", "sample_count", &elements);
    if (!expected)
        return;
    assert_true(cldeform__ref_read_roi_problem(&c->problem, &s));
    assert_int_equal(elements, c->rois * s.out_channels * s.p.out_h * s.p.out_w);
    size_t at = 0;
    for (int64_t r = 0; r < c->rois; r++) {
        const cldeform__ref_roi roi = cldeform__ref_roi_at(&s, t, r);
        for (int64_t o = 0; o < s.out_channels; o++) {
            for (int64_t y = 0; y < s.p.out_h; y++) {
                for (int64_t x = 0; x < s.p.out_w; x++) {
                    const cldeform__ref_bin bin = cldeform__ref_bin_at(&s, t, &roi, o, y, x);
                    assert_true(cldeform__ref_divisor(&s, &roi, &bin) == expected[at++]);
                }
            }
        }
    }
    free(expected);
}

static void run_reference(const test_roi_call *c, void *user)
{
    (void)user;
    const cldeform_roi_pool_problem *p = &c->problem;
    cldeform_ref_roi_pool_tensors t = {.input = {c->input}, .rois = c->roi, .offset = c->offset, .mask = c->mask};
    int32_t *argmax = NULL;
    t.output = c->output;
    if (p->method == CLDEFORM_ROI_MAX) {
        argmax = malloc((size_t)(c->rois * p->in_channels * p->out_h * p->out_w + 1) * sizeof *argmax);
        assert_non_null(argmax);
        t.argmax = argmax;
    }
    assert_ok(cldeform_ref_roi_pool_forward(p, c->rois, &t));
    check_sample_counts(c, &t);
    if (c->grad_output) {
        const cldeform_ref_roi_pool_gradients g = {c->grad_output, {c->grad_input}, c->grad_offset, c->grad_mask};
        assert_ok(cldeform_ref_roi_pool_backward(p, c->rois, &t, &g));
    }
    free(argmax);
}

static void check_case(void **state)
{
    for (int layout = 0; layout < 2; layout++)
        if (!test_roi_case_check(*state, (cldeform_layout)layout, run_reference, NULL))
            skip();
}

int main(void)
{
    return test_roi_cases_run(TEST_SOURCE_DIR, check_case, NULL, NULL);
}
