/* Shapes of RoI pooling's tensors, and every wrong problem with its message. No device. */
#include "roi_shapes.h"
#include "cldeform/cldeform_ref.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static cldeform_roi_pool_problem small_problem(void)
{
    return test_roi_problem_of("PS 2 levels, 2 classes", true, true, 9);
}

/* ---- shapes -------------------------------------------------------------------------------------------- */

static void check_shape(const cldeform_roi_pool_problem *problem, cldeform_tensor_name name, int64_t level,
                        const char *expected, size_t bytes)
{
    char text[200] = "";
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    assert_ok(cldeform_roi_pool_shape(problem, name, level, &shape));
    int64_t elements = 1;
    for (int64_t i = 0; i < shape.rank; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%lld", i ? "," : "", (long long)shape.size[i]);
        elements *= shape.size[i];
    }
    assert_string_equal(text, expected);
    assert_int_equal(shape.elements, elements);
    assert_int_equal(shape.bytes, bytes);
}

static void shapes(void **state)
{
    (void)state;
    cldeform_roi_pool_problem p = small_problem(); /* 90 channels of 14 x 13 and 7 x 7; 10 * 3 * 3, parts 2 x 2 */
    check_shape(&p, CLDEFORM_INPUT, 0, "1,90,14,13", 90 * 14 * 13 * 4);
    check_shape(&p, CLDEFORM_INPUT, 1, "1,90,7,7", 90 * 49 * 4);
    check_shape(&p, CLDEFORM_ROIS, 0, "9,5", 9 * 5 * 4);
    check_shape(&p, CLDEFORM_LEVEL, 0, "9", 9 * 4);
    check_shape(&p, CLDEFORM_OFFSET, 0, "9,4,2,2", 9 * 16 * 4);
    check_shape(&p, CLDEFORM_MASK, 0, "9,1,3,3", 9 * 9 * 4);
    check_shape(&p, CLDEFORM_OUTPUT, 0, "9,10,3,3", 9 * 90 * 4);
    p.layout = CLDEFORM_NHWC;
    p.dtype = CLDEFORM_F16;
    p.offset_dtype = CLDEFORM_F64;
    p.roi_dtype = CLDEFORM_F64;
    check_shape(&p, CLDEFORM_INPUT, 1, "1,7,7,90", 90 * 49 * 2);
    check_shape(&p, CLDEFORM_ROIS, 0, "9,5", 9 * 5 * 8);
    check_shape(&p, CLDEFORM_LEVEL, 0, "9", 9 * 4);
    check_shape(&p, CLDEFORM_OFFSET, 0, "9,4,2,2", 9 * 16 * 8);
    check_shape(&p, CLDEFORM_MASK, 0, "9,1,3,3", 9 * 9 * 8);
    check_shape(&p, CLDEFORM_OUTPUT, 0, "9,3,3,10", 9 * 90 * 2);
    p.max_rois = 0;
    check_shape(&p, CLDEFORM_OUTPUT, 0, "0,3,3,10", 0);
    p.batch = 0;
    check_shape(&p, CLDEFORM_INPUT, 0, "0,14,13,90", 0);

    p = test_roi_problem_of("max 3x5", false, false, 6);
    check_shape(&p, CLDEFORM_OUTPUT, 0, "6,7,3,5", 6 * 7 * 15 * 4);
    check_shape(&p, CLDEFORM_ARGMAX, 0, "6,7,3,5", 6 * 7 * 15 * 4);
    p.dtype = CLDEFORM_F64; /* RoIs follow */
    p.layout = CLDEFORM_NHWC;
    check_shape(&p, CLDEFORM_ROIS, 0, "6,5", 6 * 5 * 8);
    check_shape(&p, CLDEFORM_ARGMAX, 0, "6,3,5,7", 6 * 7 * 15 * 4);
    check_shape(&p, CLDEFORM_OUTPUT, 0, "6,3,5,7", 6 * 7 * 15 * 8);
    p.dtype = CLDEFORM_F16; /* but never to half */
    check_shape(&p, CLDEFORM_ROIS, 0, "6,5", 6 * 5 * 4);
}

/* Those of all the shapes that tests run over are what the tests take them to be. */
static void shapes_of_the_tests(void **state)
{
    (void)state;
    static const cldeform_tensor_name names[TEST_ROI_GRAD_OUTPUT - TEST_ROI_ROIS] = {
        CLDEFORM_ROIS, CLDEFORM_LEVEL, CLDEFORM_OFFSET, CLDEFORM_MASK, CLDEFORM_OUTPUT, CLDEFORM_ARGMAX};
    test_roi_variant v;
    for (int i = 0; test_roi_variant_at(i, &v); i++) {
        const cldeform_roi_pool_problem problem = test_roi_variant_problem(&v, TEST_EXACT, 7);
        test_roi roi;
        test_roi_create(&roi, &problem, 7, true, TEST_EXACT, 1);
        for (int t = 0; t < TEST_ROI_GRAD_OUTPUT; t++) {
            cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
            const bool input = t < TEST_ROI_ROIS;
            if (!roi.tensor[t].present)
                continue;
            assert_ok(cldeform_roi_pool_shape(&problem, input ? CLDEFORM_INPUT : names[t - TEST_ROI_ROIS],
                                              input ? t : 0, &shape));
            assert_memory_equal(&shape, &roi.tensor[t].shape, sizeof shape);
        }
        test_roi_destroy(&roi);
    }
}

static void tensors_that_a_problem_lacks(void **state)
{
    (void)state;
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    cldeform_roi_pool_problem p = test_roi_problem_of("3 levels", false, false, 9);
    static const cldeform_tensor_name none[] = {CLDEFORM_OFFSET, CLDEFORM_MASK,    CLDEFORM_WEIGHT,
                                                CLDEFORM_BIAS,   CLDEFORM_COLUMNS, CLDEFORM_ARGMAX};
    for (int i = 0; i < 6; i++)
        assert_status(cldeform_roi_pool_shape(&p, none[i], 0, &shape), CLDEFORM_INVALID_ARGUMENT, "name is");
    assert_status(cldeform_roi_pool_shape(&p, (cldeform_tensor_name)99, 0, &shape), CLDEFORM_INVALID_ARGUMENT, "99");
    assert_status(cldeform_roi_pool_shape(&p, (cldeform_tensor_name)-1, 0, &shape), CLDEFORM_INVALID_ARGUMENT, "-1");
    assert_status(cldeform_roi_pool_shape(&p, CLDEFORM_INPUT, 3, &shape), CLDEFORM_INVALID_ARGUMENT, "level is 3");
    assert_status(cldeform_roi_pool_shape(&p, CLDEFORM_INPUT, -1, &shape), CLDEFORM_INVALID_ARGUMENT, "level is -1");
    assert_status(cldeform_roi_pool_shape(&p, CLDEFORM_ROIS, 1, &shape), CLDEFORM_INVALID_ARGUMENT, "level is 1");
    assert_status(cldeform_roi_pool_shape(&p, CLDEFORM_INPUT, 0, NULL), CLDEFORM_INVALID_ARGUMENT, "shape is NULL");
    assert_status(cldeform_roi_pool_shape(NULL, CLDEFORM_INPUT, 0, &shape), CLDEFORM_INVALID_ARGUMENT,
                  "problem is NULL");
    shape.struct_size = 0;
    assert_status(cldeform_roi_pool_shape(&p, CLDEFORM_INPUT, 0, &shape), CLDEFORM_INVALID_ARGUMENT,
                  "shape.struct_size is 0");
}

/* ---- wrong problems ------------------------------------------------------------------------------------ */

/* Fails unless the problem with one field changed is refused with this status and text, which names the field. The
 * reference refuses it too, but for fields that it does not look at (`by` other than BOTH) and limits of size. */
enum { BOTH, KERNELS };
#define REFUSED(problem, field, value, status, text, by)                                                               \
    do {                                                                                                               \
        cldeform_shape shape_ = CLDEFORM_INIT(cldeform_shape);                                                         \
        cldeform_roi_pool_problem p_ = (problem);                                                                      \
        int32_t level_ = 0;                                                                                            \
        const double roi_[5] = {0};                                                                                    \
        p_.field = value;                                                                                              \
        assert_status(cldeform_roi_pool_shape(&p_, CLDEFORM_OUTPUT, 0, &shape_), status, text);                        \
        assert_non_null(strstr(cldeform_last_error(), "problem." #field));                                             \
        if ((by) == BOTH)                                                                                              \
            assert_int_equal(cldeform_ref_roi_pool_assign_levels(&p_, 1, roi_, &level_), CLDEFORM_INVALID_ARGUMENT);   \
    } while (0)
#define INVALID(field, value, text)          REFUSED(small_problem(), field, value, CLDEFORM_INVALID_ARGUMENT, text, BOTH)
#define INVALID_OF(name, field, value, text) REFUSED(plain(name), field, value, CLDEFORM_INVALID_ARGUMENT, text, BOTH)

static cldeform_roi_pool_problem plain(const char *name)
{
    return test_roi_problem_of(name, false, false, 9);
}
#define ALIGN    "7x7 like a network's"
#define PS_ALIGN "PS 3x3"
#define CELLS    "PS cells 3x3"
#define MAX      "max 3x5"

static void wrong_sizes(void **state)
{
    (void)state;
    REFUSED(small_problem(), struct_size, 0, CLDEFORM_INVALID_ARGUMENT, "struct_size is 0", BOTH);
    REFUSED(small_problem(), struct_size, 3, CLDEFORM_INVALID_ARGUMENT, "struct_size is 3", BOTH);
    INVALID(batch, -1, "is -1; it must be at least 0");
    INVALID(in_channels, 0, "is 0; it must be at least 1");
    INVALID(in_channels, -90, "at least 1");
    REFUSED(small_problem(), max_rois, -1, CLDEFORM_INVALID_ARGUMENT, "is -1; it must be at least 0", KERNELS);
    INVALID_OF(ALIGN, out_h, 0, "is 0; it must be at least 1");
    INVALID_OF(MAX, out_w, -3, "at least 1");
    INVALID(levels, -1, "is -1");
    REFUSED(small_problem(), levels, 9, CLDEFORM_LIMIT, "is 9; it must be at most 8", BOTH);
    REFUSED(small_problem(), levels, INT64_MAX, CLDEFORM_LIMIT, "is 9223372036854775807", BOTH);
    INVALID(level[0].in_h, 0, "is 0; it must be at least 1");
    INVALID(level[1].in_w, -7, "at least 1");
    INVALID(level[0].spatial_scale, 0, "is 0");
    INVALID(level[1].spatial_scale, -0.25, "is -0.25");
    INVALID(level[0].spatial_scale, (double)NAN, "nan");
    INVALID(level[1].spatial_scale, (double)INFINITY, "inf");
    INVALID_OF(ALIGN, sampling_ratio, -1, "is -1; it must be at least 0");
    INVALID(group_size, -1, "is -1");
    INVALID(part_h, -1, "is -1");
    INVALID(part_w, INT64_MIN, "is -9223372036854775808");
    INVALID(samples_h, -1, "is -1");
    INVALID(samples_w, -2, "is -2");
    INVALID(offset_classes, -1, "is -1");
    INVALID(canonical_level, -1, "is -1");
    INVALID(canonical_level, 2, "is 2");
    INVALID(canonical_size, -1, "is -1");
    INVALID(canonical_size, (double)NAN, "nan");
    INVALID(canonical_size, (double)INFINITY, "inf");
    INVALID(offset_scale, (double)NAN, "nan");
    INVALID(offset_scale, (double)INFINITY, "inf");
}

static void what_must_divide(void **state)
{
    (void)state;
    /* group_size^2 */
    INVALID(in_channels, 89, "is 89; it must be a multiple");
    INVALID(offset_classes, 3, "is 3; it must divide");
    INVALID_OF(PS_ALIGN, in_channels, 46, "is 46; it must be a multiple");
    INVALID_OF(CELLS, in_channels, 8, "is 8; it must be a multiple");
    /* without a group size, bins are as many in both directions */
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    cldeform_roi_pool_problem p = plain(PS_ALIGN);
    p.out_h = 2;
    assert_status(cldeform_roi_pool_shape(&p, CLDEFORM_OUTPUT, 0, &shape), CLDEFORM_INVALID_ARGUMENT,
                  "problem.group_size is 0");
    p.group_size = 3;
    assert_ok(cldeform_roi_pool_shape(&p, CLDEFORM_OUTPUT, 0, &shape));
    p = plain(CELLS);
    p.out_w = 5;
    assert_status(cldeform_roi_pool_shape(&p, CLDEFORM_OUTPUT, 0, &shape), CLDEFORM_INVALID_ARGUMENT,
                  "problem.group_size is 0");
}

/* What belongs to another method is no hint, but a mistake. */
static void fields_of_other_methods(void **state)
{
    (void)state;
    static const char *const others[] = {ALIGN, CELLS, MAX};
    for (int i = 0; i < 3; i++) {
        INVALID_OF(others[i], part_h, 3, "");
        INVALID_OF(others[i], part_w, 3, "");
        INVALID_OF(others[i], samples_h, 2, "");
        INVALID_OF(others[i], samples_w, 2, "");
        INVALID_OF(others[i], offset_classes, 1, "");
    }
    INVALID_OF(ALIGN, group_size, 2, "");
    INVALID_OF(MAX, group_size, 3, "");
    INVALID_OF(PS_ALIGN, sampling_ratio, 2, "");
    INVALID_OF(CELLS, sampling_ratio, 2, "");
    INVALID_OF(MAX, sampling_ratio, 2, "");
    INVALID_OF(CELLS, deformable, 1, "");
    INVALID_OF(CELLS, modulated, 1, "");
    INVALID_OF(MAX, deformable, 1, "");
    INVALID_OF(MAX, modulated, 1, "");
    INVALID_OF(PS_ALIGN, offset_gradient, CLDEFORM_ROI_GRADIENT_MMCV, "");
    INVALID_OF(CELLS, offset_gradient, CLDEFORM_ROI_GRADIENT_MMCV, "");
    INVALID_OF(MAX, offset_gradient, CLDEFORM_ROI_GRADIENT_MMCV, "");
    /* group size 1 says what is so anyway */
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    cldeform_roi_pool_problem p = plain(ALIGN);
    p.group_size = 1;
    assert_ok(cldeform_roi_pool_shape(&p, CLDEFORM_OUTPUT, 0, &shape));
    p = plain(MAX);
    p.group_size = 1;
    assert_ok(cldeform_roi_pool_shape(&p, CLDEFORM_OUTPUT, 0, &shape));
}

static void wrong_enums(void **state)
{
    (void)state;
    INVALID(method, (cldeform_roi_method)4, "is 4; it must be 0 to 3");
    INVALID(method, (cldeform_roi_method)-1, "is -1");
    INVALID(deformable, 2, "is 2; it must be 0 to 1");
    INVALID(modulated, -1, "is -1");
    INVALID(layout, (cldeform_layout)2, "is 2; it must be 0 to 1");
    INVALID(mask_activation, (cldeform_mask_activation)3, "is 3; it must be 0 to 2");
    INVALID(offset_gradient, (cldeform_roi_gradient)2, "is 2; it must be 0 to 1");
#define KERNELS_REFUSE(field, value, text)                                                                             \
    REFUSED(small_problem(), field, value, CLDEFORM_INVALID_ARGUMENT, text, KERNELS)
    KERNELS_REFUSE(dtype, (cldeform_dtype)4, "is 4; it must be 0 to 3");
    KERNELS_REFUSE(offset_dtype, (cldeform_dtype)4, "is 4");
    KERNELS_REFUSE(roi_dtype, (cldeform_dtype)4, "is 4");
    KERNELS_REFUSE(roi_dtype, CLDEFORM_F16, "is CLDEFORM_F16; it must be CLDEFORM_F32 or CLDEFORM_F64");
    KERNELS_REFUSE(deterministic, 2, "is 2");
    KERNELS_REFUSE(passes, 0x800, "is 0x800");
    KERNELS_REFUSE(passes, CLDEFORM_FORWARD | CLDEFORM_PACK_WEIGHT, "is 0x41");
    KERNELS_REFUSE(passes, CLDEFORM_IM2COL, "is 0x80");
    KERNELS_REFUSE(passes, ~(cldeform_passes)0, "is 0xffff");
}

/* Passes that the problem lacks are left out beside others, and refused alone. */
static void passes_that_a_problem_lacks(void **state)
{
    (void)state;
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    static const char *const names[] = {ALIGN, PS_ALIGN, CELLS, MAX};
    for (int i = 0; i < 4; i++) {
        cldeform_roi_pool_problem p = plain(names[i]);
        p.passes = CLDEFORM_FORWARD | CLDEFORM_BACKWARD | CLDEFORM_STATISTICS;
        assert_ok(cldeform_roi_pool_shape(&p, CLDEFORM_OUTPUT, 0, &shape));
        p.passes = CLDEFORM_BACKWARD;
        assert_ok(cldeform_roi_pool_shape(&p, CLDEFORM_OUTPUT, 0, &shape));
        p.passes = CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK;
        assert_status(cldeform_roi_pool_shape(&p, CLDEFORM_OUTPUT, 0, &shape), CLDEFORM_INVALID_ARGUMENT,
                      "problem.passes");
    }
}

static void sizes_that_overflow(void **state)
{
    (void)state;
    const int64_t beyond = INT64_C(1) << 31;
#define BEYOND(field, value) REFUSED(small_problem(), field, value, CLDEFORM_LIMIT, "at most", KERNELS)
    BEYOND(batch, beyond);
    BEYOND(max_rois, beyond);
    BEYOND(in_channels, beyond * 9);
    BEYOND(level[0].in_h, INT64_MAX);
    BEYOND(level[1].in_w, beyond);
    REFUSED(plain(ALIGN), out_h, beyond, CLDEFORM_LIMIT, "at most", KERNELS);
    REFUSED(plain(ALIGN), out_w, 32769, CLDEFORM_LIMIT, "at most 32768", KERNELS);
    BEYOND(part_w, beyond);
    BEYOND(samples_h, beyond);
    REFUSED(plain(ALIGN), sampling_ratio, beyond, CLDEFORM_LIMIT, "at most", KERNELS);

    /* each fits, the product does not */
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    cldeform_roi_pool_problem p = plain(ALIGN);
    p.level[0].in_h = p.level[0].in_w = 2147483647;
    p.batch = 2147483647;
    assert_status(cldeform_roi_pool_shape(&p, CLDEFORM_INPUT, 0, &shape), CLDEFORM_LIMIT, NULL);
    p = plain(ALIGN);
    p.max_rois = 2147483646, p.in_channels = 1 << 30, p.out_h = 1 << 20, p.out_w = 1 << 20;
    assert_status(cldeform_roi_pool_shape(&p, CLDEFORM_OUTPUT, 0, &shape), CLDEFORM_LIMIT, NULL);
    /* an argmax is an int32 */
    p = plain(MAX);
    p.level[0].in_h = 65536, p.level[0].in_w = 32768;
    assert_status(cldeform_roi_pool_shape(&p, CLDEFORM_INPUT, 0, &shape), CLDEFORM_LIMIT, NULL);
}

/* Programs compiled against older and newer headers. */
static void struct_versions(void **state)
{
    (void)state;
    struct {
        cldeform_roi_pool_problem problem;
        uint64_t added;
    } newer;
    memset(&newer, 0, sizeof newer);
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    newer.problem = small_problem();
    newer.problem.struct_size = sizeof newer;
    assert_ok(cldeform_roi_pool_shape(&newer.problem, CLDEFORM_OUTPUT, 0, &shape));
    newer.added = 1;
    assert_status(cldeform_roi_pool_shape(&newer.problem, CLDEFORM_OUTPUT, 0, &shape), CLDEFORM_UNSUPPORTED,
                  "does not know");
    /* an older one ends before dtype: what follows is not read */
    cldeform_roi_pool_problem older = small_problem();
    older.struct_size = offsetof(cldeform_roi_pool_problem, dtype);
    older.dtype = (cldeform_dtype)99;
    older.layout = (cldeform_layout)99;
    assert_ok(cldeform_roi_pool_shape(&older, CLDEFORM_OUTPUT, 0, &shape));
    assert_int_equal(shape.bytes, 9 * 90 * 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),
        cmocka_unit_test(shapes_of_the_tests),
        cmocka_unit_test(tensors_that_a_problem_lacks),
        cmocka_unit_test(wrong_sizes),
        cmocka_unit_test(what_must_divide),
        cmocka_unit_test(fields_of_other_methods),
        cmocka_unit_test(wrong_enums),
        cmocka_unit_test(passes_that_a_problem_lacks),
        cmocka_unit_test(sizes_that_overflow),
        cmocka_unit_test(struct_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
