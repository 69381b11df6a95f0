/* What the reference of RoI pooling accepts: problems, arrays, numbers of RoIs; and any subset of the gradients. */
#include "ref_roi.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Everything different from everything else; valid. */
static cldeform_roi_pool_problem valid(cldeform_roi_method method)
{
    cldeform_roi_pool_problem p = CLDEFORM_INIT(cldeform_roi_pool_problem);
    p.method = method;
    p.batch = 2;
    p.in_channels = 12;
    p.levels = 2;
    p.level[0] = (cldeform_roi_level){5, 7, 0.5};
    p.level[1] = (cldeform_roi_level){3, 4, 0.25};
    p.out_h = 2, p.out_w = 3;
    if (method == CLDEFORM_ROI_ALIGN || method == CLDEFORM_ROI_PS_ALIGN)
        p.deformable = p.modulated = 1;
    if (method == CLDEFORM_ROI_PS_ALIGN || method == CLDEFORM_ROI_PS)
        p.group_size = 2;
    if (method == CLDEFORM_ROI_PS_ALIGN) {
        p.part_h = 3, p.part_w = 2;
        p.samples_h = 2, p.samples_w = 1;
        p.offset_classes = 3;
    }
    if (method == CLDEFORM_ROI_ALIGN)
        p.sampling_ratio = 2;
    return p;
}

/* ---- problems ------------------------------------------------------------------------------------------ */

static cldeform_status try_problem(const cldeform_roi_pool_problem *p)
{
    const cldeform_ref_roi_pool_tensors tensors = {{NULL}, NULL, NULL, NULL, NULL, NULL, NULL};
    const cldeform_status forward = cldeform_ref_roi_pool_forward(p, 0, &tensors);
    assert_int_equal(cldeform_ref_roi_pool_assign_levels(p, 0, NULL, NULL), forward);
    double room[2 * 12 * 5 * 7];
    const cldeform_ref_roi_pool_gradients to = {.grad_input = {room, p && p->levels == 2 ? room : NULL}};
    if (forward != CLDEFORM_OK) /* valid ones may be of any size */
        assert_int_equal(cldeform_ref_roi_pool_backward(p, 0, &tensors, &to), forward);
    return forward;
}

static const char *tried;

/* The valid problem with `change`. */
#define CHECK_PROBLEM(method, status, change)                                                                          \
    do {                                                                                                               \
        cldeform_roi_pool_problem p = valid(CLDEFORM_ROI_##method);                                                    \
        change;                                                                                                        \
        tried = #method ": " #change;                                                                                  \
        if (try_problem(&p) != (status))                                                                               \
            fail_msg("%s: not %s", tried, cldeform_status_name(status));                                               \
    } while (0)
#define ACCEPT(method, change) CHECK_PROBLEM(method, CLDEFORM_OK, change)
#define REFUSE(method, change) CHECK_PROBLEM(method, CLDEFORM_INVALID_ARGUMENT, change)
#define REFUSE_ALL(change)                                                                                             \
    do {                                                                                                               \
        REFUSE(ALIGN, change);                                                                                         \
        REFUSE(PS_ALIGN, change);                                                                                      \
        REFUSE(PS, change);                                                                                            \
        REFUSE(MAX, change);                                                                                           \
    } while (0)
#define ACCEPT_ALL(change)                                                                                             \
    do {                                                                                                               \
        ACCEPT(ALIGN, change);                                                                                         \
        ACCEPT(PS_ALIGN, change);                                                                                      \
        ACCEPT(PS, change);                                                                                            \
        ACCEPT(MAX, change);                                                                                           \
    } while (0)

static void fields_of_every_method(void **state)
{
    (void)state;
    ACCEPT_ALL((void)p);
    assert_int_equal(try_problem(NULL), CLDEFORM_INVALID_ARGUMENT);
    REFUSE_ALL(p.struct_size = 0);
    REFUSE_ALL(p.method = (cldeform_roi_method)4);
    REFUSE_ALL(p.method = (cldeform_roi_method)-1);
    REFUSE_ALL(p.batch = -1);
    ACCEPT_ALL(p.batch = 0);
    REFUSE_ALL(p.in_channels = 0);
    REFUSE_ALL(p.in_channels = -4);
    REFUSE_ALL(p.in_channels = (int64_t)INT32_MAX + 1);
    REFUSE_ALL(p.out_h = 0);
    REFUSE_ALL(p.out_w = 0);
    REFUSE_ALL(p.out_w = -3);
    REFUSE_ALL(p.out_h = INT64_MAX);
    REFUSE_ALL(p.levels = -1);
    REFUSE_ALL(p.levels = 9);
    REFUSE_ALL(p.levels = 3); /* the third has no size */
    ACCEPT_ALL(p.levels = 0);
    REFUSE_ALL(p.level[1].in_h = 0);
    REFUSE_ALL(p.level[0].in_w = -1);
    REFUSE_ALL(p.level[1].in_w = INT64_MAX);
    ACCEPT_ALL(p.levels = 1; p.level[1].in_h = -1; p.level[1].spatial_scale = NAN);
    REFUSE_ALL(p.level[0].spatial_scale = 0);
    REFUSE_ALL(p.level[1].spatial_scale = -0.5);
    REFUSE_ALL(p.level[1].spatial_scale = NAN);
    REFUSE_ALL(p.level[0].spatial_scale = INFINITY);
    REFUSE_ALL(p.canonical_level = 2);
    REFUSE_ALL(p.canonical_level = -1);
    ACCEPT_ALL(p.canonical_level = 1);
    REFUSE_ALL(p.canonical_size = -224);
    REFUSE_ALL(p.canonical_size = NAN);
    REFUSE_ALL(p.canonical_size = INFINITY);
    REFUSE_ALL(p.offset_scale = NAN);
    REFUSE_ALL(p.offset_scale = -INFINITY);
    REFUSE_ALL(p.layout = (cldeform_layout)2);
    REFUSE_ALL(p.mask_activation = (cldeform_mask_activation)3);
    REFUSE_ALL(p.offset_gradient = (cldeform_roi_gradient)2);
    ACCEPT_ALL(p.deterministic = 1);
    REFUSE_ALL(p.deformable = 2);
    REFUSE_ALL(p.modulated = -1);
}

/* Not looked at, whatever they hold. */
static void fields_that_only_devices_know(void **state)
{
    (void)state;
    ACCEPT_ALL(p.passes = ~(cldeform_passes)0);
    ACCEPT_ALL(p.dtype = (cldeform_dtype)77);
    ACCEPT_ALL(p.offset_dtype = (cldeform_dtype)77);
    ACCEPT_ALL(p.roi_dtype = CLDEFORM_F16);
    ACCEPT_ALL(p.max_rois = -5);
    ACCEPT_ALL(p.workspace_limit = 1);
}

static void fields_of_some_methods(void **state)
{
    (void)state;
    ACCEPT(ALIGN, p.sampling_ratio = 0);
    REFUSE(ALIGN, p.sampling_ratio = -1);
    REFUSE(PS_ALIGN, p.sampling_ratio = 2);
    REFUSE(PS, p.sampling_ratio = 2);
    REFUSE(MAX, p.sampling_ratio = 2);
    ACCEPT(ALIGN, p.offset_gradient = CLDEFORM_ROI_GRADIENT_MMCV);
    REFUSE(PS_ALIGN, p.offset_gradient = CLDEFORM_ROI_GRADIENT_MMCV);
    REFUSE(PS, p.offset_gradient = CLDEFORM_ROI_GRADIENT_MMCV);
    REFUSE(MAX, p.offset_gradient = CLDEFORM_ROI_GRADIENT_MMCV);

    ACCEPT(ALIGN, p.deformable = 0);
    ACCEPT(ALIGN, p.modulated = 0);
    ACCEPT(PS_ALIGN, p.deformable = p.modulated = 0);
    REFUSE(PS, p.deformable = 1);
    REFUSE(PS, p.modulated = 1);
    REFUSE(MAX, p.deformable = 1);
    REFUSE(MAX, p.modulated = 1);

    ACCEPT(ALIGN, p.group_size = 1);
    REFUSE(ALIGN, p.group_size = 2);
    ACCEPT(MAX, p.group_size = 1);
    REFUSE(MAX, p.group_size = 2);
    REFUSE_ALL(p.group_size = -1);
    ACCEPT(PS, p.group_size = 1);
    REFUSE(PS, p.group_size = 5);                /* 12 / 25 */
    REFUSE(PS, p.group_size = 12);               /* 12 / 144 */
    REFUSE(PS, p.group_size = (int64_t)1 << 32); /* whose square wraps to 0 */
    REFUSE(PS, p.group_size = 0);                /* 2 x 3 bins */
    ACCEPT(PS, p.group_size = 0; p.out_w = 2);
    REFUSE(PS_ALIGN, p.group_size = 0; p.out_h = p.out_w = 3); /* 12 / 9 */

    REFUSE(PS_ALIGN, p.offset_classes = 2); /* of 3 output channels */
    REFUSE(PS_ALIGN, p.offset_classes = -3);
    ACCEPT(PS_ALIGN, p.offset_classes = 0);
    REFUSE(PS_ALIGN, p.offset_classes = 2; p.deformable = 0);
    REFUSE(PS_ALIGN, p.part_h = -1);
    REFUSE(PS_ALIGN, p.part_w = -1);
    REFUSE(PS_ALIGN, p.samples_h = -1);
    REFUSE(PS_ALIGN, p.samples_w = -1);
    ACCEPT(PS_ALIGN, p.part_h = p.part_w = p.samples_h = p.samples_w = 0);
#define REFUSE_OTHERS(change)                                                                                          \
    do {                                                                                                               \
        REFUSE(ALIGN, change);                                                                                         \
        REFUSE(PS, change);                                                                                            \
        REFUSE(MAX, change);                                                                                           \
    } while (0)
    REFUSE_OTHERS(p.part_h = 2);
    REFUSE_OTHERS(p.part_w = 3);
    REFUSE_OTHERS(p.samples_h = 1);
    REFUSE_OTHERS(p.samples_w = 1);
    REFUSE_OTHERS(p.offset_classes = 1);

    /* argmax counts pixels in 32 bits */
    REFUSE(MAX, p.level[0].in_h = p.level[0].in_w = 65536);
    ACCEPT(ALIGN, p.level[0].in_h = p.level[0].in_w = 65536);
}

/* A problem of a program that was built against a header that ended earlier. */
static void shorter_struct(void **state)
{
    (void)state;
    cldeform_roi_pool_problem p = valid(CLDEFORM_ROI_ALIGN);
    p.layout = (cldeform_layout)99;
    p.deterministic = 99;
    assert_int_equal(try_problem(&p), CLDEFORM_INVALID_ARGUMENT);
    p.struct_size = offsetof(cldeform_roi_pool_problem, layout);
    assert_int_equal(try_problem(&p), CLDEFORM_OK);
}

/* ---- arrays -------------------------------------------------------------------------------------------- */

typedef struct call {
    cldeform_ref_roi_pool_tensors t;
    cldeform_ref_roi_pool_gradients to;
} call;

static void fill(double *values, int64_t elements, uint32_t seed)
{
    for (int64_t e = 0; values && e < elements; e++)
        values[e] = 2 * test_ref_roi_next(&seed) - 1;
}

static void create(test_ref_roi *t, cldeform_roi_method method, call *all)
{
    const cldeform_roi_pool_problem p = valid(method);
    test_ref_roi_create(t, &p, 3);
    test_ref_roi_set(t, 0, 0, 1, 2, 9, 7);
    test_ref_roi_set(t, 1, 1, -3, 1, 20, 30);
    test_ref_roi_set(t, 2, 1, 4, 4, 4.5, 5);
    for (uint32_t l = 0; l < 2; l++)
        fill(t->input[l], t->inputs[l], l);
    fill(t->offset, t->offsets, 3);
    fill(t->mask, t->masks, 4);
    fill(t->grad_output, t->outputs, 5);
    t->level = calloc(3, sizeof *t->level);
    assert_non_null(t->level);
    t->level[1] = 1;
    test_ref_roi_forward(t);
    *all = (call){{{t->input[0], t->input[1]}, t->roi, t->level, t->offset, t->mask, t->output, t->argmax},
                  {t->grad_output, {t->grad_input[0], t->grad_input[1]}, t->grad_offset, t->grad_mask}};
}

static const cldeform_status bad = CLDEFORM_INVALID_ARGUMENT;

/* Forward with one change to the arrays. */
#define FORWARD(status, change)                                                                                        \
    do {                                                                                                               \
        call c = all;                                                                                                  \
        change;                                                                                                        \
        assert_int_equal(cldeform_ref_roi_pool_forward(&t.problem, n, &c.t), (status));                                \
    } while (0)

static void arrays_of_forward(void **state)
{
    (void)state;
    for (int method = CLDEFORM_ROI_ALIGN; method <= CLDEFORM_ROI_MAX; method++) {
        test_ref_roi t;
        call all;
        int32_t spare = 0;
        create(&t, (cldeform_roi_method)method, &all);
        for (int64_t n = 3; n >= 0; n -= 3) {
            const cldeform_status if_any = n ? bad : CLDEFORM_OK;
            FORWARD(CLDEFORM_OK, (void)c);
            FORWARD(if_any, c.t.input[0] = NULL);
            FORWARD(if_any, c.t.input[1] = NULL);
            FORWARD(bad, c.t.input[2] = t.input[0]);
            FORWARD(bad, c.t.input[CLDEFORM_MAX_LEVELS - 1] = t.input[0]);
            FORWARD(if_any, c.t.rois = NULL);
            FORWARD(if_any, c.t.output = NULL);
            FORWARD(CLDEFORM_OK, c.t.level = NULL);
            FORWARD(t.offset ? if_any : CLDEFORM_OK, c.t.offset = NULL);
            FORWARD(t.mask ? if_any : CLDEFORM_OK, c.t.mask = NULL);
            FORWARD(CLDEFORM_OK, c.t.argmax = NULL);
            if (!t.argmax)
                FORWARD(bad, c.t.argmax = &spare);
            if (!t.offset) {
                FORWARD(bad, c.t.offset = t.roi);
                FORWARD(bad, c.t.mask = t.roi);
            }
        }
        assert_int_equal(cldeform_ref_roi_pool_forward(&t.problem, 3, NULL), bad);
        assert_int_equal(cldeform_ref_roi_pool_forward(&t.problem, -1, &all.t), bad);
        int32_t levels[3];
        assert_ok(cldeform_ref_roi_pool_assign_levels(&t.problem, 3, t.roi, levels));
        assert_int_equal(cldeform_ref_roi_pool_assign_levels(&t.problem, -1, t.roi, levels), bad);
        assert_int_equal(cldeform_ref_roi_pool_assign_levels(&t.problem, 3, NULL, levels), bad);
        assert_int_equal(cldeform_ref_roi_pool_assign_levels(&t.problem, 3, t.roi, NULL), bad);
        test_ref_roi_destroy(&t);
    }
}

#define BACKWARD(status, change)                                                                                       \
    do {                                                                                                               \
        call c = all;                                                                                                  \
        change;                                                                                                        \
        assert_int_equal(cldeform_ref_roi_pool_backward(&t.problem, n, &c.t, &c.to), (status));                        \
    } while (0)

static void arrays_of_backward(void **state)
{
    (void)state;
    for (int method = CLDEFORM_ROI_ALIGN; method <= CLDEFORM_ROI_MAX; method++) {
        test_ref_roi t;
        call all;
        int32_t spare = 0;
        create(&t, (cldeform_roi_method)method, &all);
        for (int64_t n = 3; n >= 0; n -= 3) {
            const cldeform_status if_any = n ? bad : CLDEFORM_OK, of_position = t.offset ? if_any : CLDEFORM_OK;
            BACKWARD(CLDEFORM_OK, c.t.output = NULL);
            BACKWARD(CLDEFORM_OK, c.t.level = NULL);
            BACKWARD(if_any, c.to.grad_output = NULL);
            BACKWARD(if_any, c.t.rois = NULL);
            BACKWARD(of_position, c.t.input[1] = NULL);
            BACKWARD(of_position, c.t.offset = NULL);
            BACKWARD(of_position, c.t.mask = NULL);
            BACKWARD(bad, c.t.input[2] = t.input[0]);
            BACKWARD(bad, c.to.grad_input[1] = NULL); /* all levels or none */
            BACKWARD(bad, c.to.grad_input[0] = NULL);
            BACKWARD(bad, c.to.grad_input[2] = t.input[0]);
            BACKWARD(bad, c.to.grad_input[0] = c.to.grad_input[1] = c.to.grad_offset = c.to.grad_mask = NULL);
            BACKWARD(CLDEFORM_OK, c.t.input[0] = c.t.input[1] = NULL; c.to.grad_offset = c.to.grad_mask = NULL);
            BACKWARD(t.argmax ? if_any : CLDEFORM_OK, c.t.argmax = NULL);
            if (!t.argmax)
                BACKWARD(bad, c.t.argmax = &spare);
            if (!t.offset) {
                BACKWARD(bad, c.t.offset = t.roi);
                BACKWARD(bad, c.t.mask = t.roi);
                BACKWARD(bad, c.to.grad_offset = t.roi);
                BACKWARD(bad, c.to.grad_mask = t.roi);
            }
        }
        assert_int_equal(cldeform_ref_roi_pool_backward(&t.problem, 3, NULL, &all.to), bad);
        assert_int_equal(cldeform_ref_roi_pool_backward(&t.problem, 3, &all.t, NULL), bad);
        assert_int_equal(cldeform_ref_roi_pool_backward(&t.problem, -1, &all.t, &all.to), bad);
        test_ref_roi_destroy(&t);
    }
}

/* ---- numbers of RoIs, subsets -------------------------------------------------------------------------- */

static void no_rois_give_gradients_of_zero(void **state)
{
    (void)state;
    for (int method = CLDEFORM_ROI_ALIGN; method <= CLDEFORM_ROI_MAX; method++) {
        test_ref_roi t;
        call all;
        create(&t, (cldeform_roi_method)method, &all);
        for (int l = 0; l < 2; l++)
            fill(t.grad_input[l], t.inputs[l], 9);
        cldeform_ref_roi_pool_tensors nothing;
        memset(&nothing, 0, sizeof nothing);
        all.to.grad_output = NULL;
        assert_ok(cldeform_ref_roi_pool_forward(&t.problem, 0, &nothing));
        assert_ok(cldeform_ref_roi_pool_backward(&t.problem, 0, &nothing, &all.to));
        for (int l = 0; l < 2; l++)
            for (int64_t e = 0; e < t.inputs[l]; e++)
                assert_true(t.grad_input[l][e] == 0);
        test_ref_roi_destroy(&t);
    }
}

static void expect_bytes(const double *found, const double *wanted, int64_t elements)
{
    if (found)
        assert_memory_equal(found, wanted, (size_t)elements * sizeof *found);
}

/* Any subset, to the bit as all together. */
static void any_subset(void **state)
{
    (void)state;
    for (int method = CLDEFORM_ROI_ALIGN; method <= CLDEFORM_ROI_PS_ALIGN; method++) {
        test_ref_roi whole, part;
        call all;
        create(&whole, (cldeform_roi_method)method, &all);
        test_ref_roi_backward(&whole);
        for (int wanted = 1; wanted < 8; wanted++) {
            create(&part, (cldeform_roi_method)method, &all);
            if (!(wanted & 1))
                all.to.grad_input[0] = all.to.grad_input[1] = NULL;
            if (!(wanted & 2))
                all.to.grad_offset = NULL;
            if (!(wanted & 4))
                all.to.grad_mask = NULL;
            fill(part.grad_offset, part.offsets, 8); /* overwritten */
            assert_ok(cldeform_ref_roi_pool_backward(&part.problem, 3, &all.t, &all.to));
            for (int l = 0; l < 2; l++)
                expect_bytes(all.to.grad_input[l], whole.grad_input[l], whole.inputs[l]);
            expect_bytes(all.to.grad_offset, whole.grad_offset, whole.offsets);
            expect_bytes(all.to.grad_mask, whole.grad_mask, whole.masks);
            test_ref_roi_destroy(&part);
        }
        test_ref_roi_destroy(&whole);
    }
}

/* Each RoI by itself is what it is among others, and gradients of the input add up. */
static void rois_know_nothing_of_each_other(void **state)
{
    (void)state;
    for (int method = CLDEFORM_ROI_ALIGN; method <= CLDEFORM_ROI_MAX; method++) {
        test_ref_roi t;
        call all;
        create(&t, (cldeform_roi_method)method, &all);
        test_ref_roi_backward(&t);
        const int64_t bins = t.outputs / 3, offsets = t.offsets / 3, masks = t.masks / 3;
        double *sum = calloc((size_t)t.inputs[0], sizeof *sum), *alone = calloc((size_t)t.outputs, sizeof *alone);
        double *grad_input[2] = {calloc((size_t)t.inputs[0], sizeof *sum), calloc((size_t)t.inputs[1], sizeof *sum)};
        assert_true(sum && alone && grad_input[0] && grad_input[1]);
        for (int64_t r = 0; r < 3; r++) {
            call one = all;
            one.t.rois += 5 * r, one.t.level += r, one.t.output = alone;
            one.t.offset = t.offset ? t.offset + r * offsets : NULL, one.t.mask = t.mask ? t.mask + r * masks : NULL;
            one.t.argmax = t.argmax ? t.argmax + r * bins : NULL;
            assert_ok(cldeform_ref_roi_pool_forward(&t.problem, 1, &one.t));
            assert_memory_equal(alone, t.output + r * bins, (size_t)bins * sizeof *alone);
            one.to.grad_output += r * bins;
            one.to.grad_input[0] = grad_input[0], one.to.grad_input[1] = grad_input[1];
            one.to.grad_offset = one.to.grad_mask = NULL;
            assert_ok(cldeform_ref_roi_pool_backward(&t.problem, 1, &one.t, &one.to));
            for (int64_t e = 0; e < t.inputs[0]; e++)
                sum[e] += grad_input[0][e];
        }
        for (int64_t e = 0; e < t.inputs[0]; e++)
            assert_true(fabs(sum[e] - t.grad_input[0][e]) < 1e-12);
        void *const rooms[] = {sum, alone, grad_input[0], grad_input[1]};
        for (int i = 0; i < 4; i++)
            free(rooms[i]);
        test_ref_roi_destroy(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_every_method),
        cmocka_unit_test(fields_that_only_devices_know),
        cmocka_unit_test(fields_of_some_methods),
        cmocka_unit_test(shorter_struct),
        cmocka_unit_test(arrays_of_forward),
        cmocka_unit_test(arrays_of_backward),
        cmocka_unit_test(no_rois_give_gradients_of_zero),
        cmocka_unit_test(any_subset),
        cmocka_unit_test(rois_know_nothing_of_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
