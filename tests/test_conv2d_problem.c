/* Shapes of a convolution's tensors, and every wrong problem with its message. No device. */
#include "conv.h"
#include "cldeform/cldeform_ref.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void check_shape(const cldeform_conv2d_problem *problem, cldeform_tensor_name name, const char *expected,
                        size_t bytes)
{
    char text[200] = "";
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    assert_ok(cldeform_conv2d_shape(problem, name, &shape));
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
    cldeform_conv2d_problem p =
        test_small_problem(CLDEFORM_CONV2D_MODULATED); /* out 8 x 8: (11+1-5)/1+1, (14+3-2)/2+1 */
    check_shape(&p, CLDEFORM_INPUT, "3,12,11,14", 3 * 12 * 11 * 14 * 4);
    check_shape(&p, CLDEFORM_OFFSET, "3,36,8,8", 3 * 36 * 64 * 4);
    check_shape(&p, CLDEFORM_MASK, "3,18,8,8", 3 * 18 * 64 * 4);
    check_shape(&p, CLDEFORM_WEIGHT, "10,6,3,2", 10 * 36 * 4);
    check_shape(&p, CLDEFORM_BIAS, "10", 40);
    check_shape(&p, CLDEFORM_OUTPUT, "3,10,8,8", 3 * 10 * 64 * 4);
    p.layout = CLDEFORM_NHWC;
    p.offset_layout = CLDEFORM_OFFSET_YX_LAST;
    p.dtype = CLDEFORM_F16;
    p.offset_dtype = CLDEFORM_F64;
    check_shape(&p, CLDEFORM_INPUT, "3,11,14,12", 3 * 12 * 11 * 14 * 2);
    check_shape(&p, CLDEFORM_OFFSET, "3,8,8,36", 3 * 36 * 64 * 8);
    check_shape(&p, CLDEFORM_MASK, "3,8,8,18", 3 * 18 * 64 * 8);
    check_shape(&p, CLDEFORM_OUTPUT, "3,8,8,10", 3 * 10 * 64 * 2);
    p.batch = 0;
    check_shape(&p, CLDEFORM_INPUT, "0,11,14,12", 0);
}

static void tensors_that_a_kind_lacks(void **state)
{
    (void)state;
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    cldeform_conv2d_problem p = test_small_problem(CLDEFORM_CONV2D_DEFORMABLE);
    assert_status(cldeform_conv2d_shape(&p, CLDEFORM_MASK, &shape), CLDEFORM_INVALID_ARGUMENT, "no tensor");
    p = test_small_problem(CLDEFORM_CONV2D_PLAIN);
    assert_status(cldeform_conv2d_shape(&p, CLDEFORM_OFFSET, &shape), CLDEFORM_INVALID_ARGUMENT, "no tensor");
    assert_status(cldeform_conv2d_shape(&p, (cldeform_tensor_name)99, &shape), CLDEFORM_INVALID_ARGUMENT, "99");
    assert_status(cldeform_conv2d_shape(&p, CLDEFORM_INPUT, NULL), CLDEFORM_INVALID_ARGUMENT, "shape is NULL");
    assert_status(cldeform_conv2d_shape(NULL, CLDEFORM_INPUT, &shape), CLDEFORM_INVALID_ARGUMENT, "problem is NULL");
}

/* Fails unless the small problem with one field changed is refused with this status and text. */
#define REFUSED(field, value, status, text)                                                                            \
    do {                                                                                                               \
        cldeform_shape shape_ = CLDEFORM_INIT(cldeform_shape);                                                         \
        cldeform_conv2d_problem p_ = test_small_problem(CLDEFORM_CONV2D_MODULATED);                                    \
        p_.field = value;                                                                                              \
        assert_status(cldeform_conv2d_shape(&p_, CLDEFORM_OUTPUT, &shape_), status, text);                             \
        assert_non_null(strstr(cldeform_last_error(), #field));                                                        \
    } while (0)
#define INVALID(field, value, text) REFUSED(field, value, CLDEFORM_INVALID_ARGUMENT, text)

static void wrong_sizes(void **state)
{
    (void)state;
    INVALID(struct_size, 0, "struct_size is 0");
    INVALID(struct_size, 3, "struct_size is 3");
    INVALID(batch, -1, "is -1; it must be at least 0");
    INVALID(in_channels, 0, "is 0; it must be at least 1");
    INVALID(in_channels, -12, "at least 1");
    INVALID(in_h, 0, "at least 1");
    INVALID(in_w, -5, "at least 1");
    INVALID(out_channels, 0, "at least 1");
    INVALID(kernel_h, 0, "at least 1");
    INVALID(kernel_w, -1, "at least 1");
    INVALID(stride_h, -1, "at least 1");
    INVALID(stride_w, INT64_MIN, "at least 1");
    INVALID(dilation_h, -1, "at least 1");
    INVALID(dilation_w, -1, "at least 1");
    INVALID(pad_top, -1, "at least 0");
    INVALID(pad_left, -1, "at least 0");
    INVALID(pad_bottom, -1, "at least 0");
    INVALID(pad_right, -1, "at least 0");
    INVALID(groups, -1, "at least 1");
    INVALID(offset_groups, -1, "at least 1");
    INVALID(groups, 5, "groups is 5; it must divide in_channels, which is 12");
    INVALID(groups, 3, "groups is 3; it must divide out_channels, which is 10");
    INVALID(offset_groups, 5, "offset_groups is 5; it must divide in_channels, which is 12");
    INVALID(kernel_h, 7, "out_h would be below 1");
    INVALID(kernel_w, 18, "out_w would be below 1");
    INVALID(dilation_h, 6, "out_h would be below 1");
}

static void wrong_enums(void **state)
{
    (void)state;
    INVALID(kind, (cldeform_conv2d_kind)3, "is 3; it must be 0 to 2");
    INVALID(kind, (cldeform_conv2d_kind)-1, "is -1");
    INVALID(dtype, (cldeform_dtype)4, "is 4; it must be 0 to 3");
    INVALID(offset_dtype, (cldeform_dtype)4, "is 4");
    INVALID(layout, (cldeform_layout)2, "is 2; it must be 0 to 1");
    INVALID(offset_layout, (cldeform_offset_layout)4, "is 4");
    INVALID(mask_activation, (cldeform_mask_activation)3, "is 3");
    INVALID(border, (cldeform_border)2, "is 2");
    INVALID(deterministic, 2, "is 2");
    INVALID(algorithm, (cldeform_algorithm)7, "is 7");
    INVALID(weight_grad_dtype, (cldeform_dtype)4, "is 4");
    INVALID(offset_gradient, (cldeform_offset_gradient)2, "is 2; it must be 0 to 1");
    INVALID(passes, 0x800, "is 0x800");
    INVALID(passes, ~(cldeform_passes)0, "is 0xffff");
    INVALID(offset_limit, -1, "is -1; it must be 0 (none) or positive");
    INVALID(offset_limit, (double)NAN, "nan");
}

static void sizes_that_overflow(void **state)
{
    (void)state;
    const int64_t beyond = INT64_C(1) << 31;
    REFUSED(batch, beyond, CLDEFORM_LIMIT, "2147483648; it must be at most 2147483647");
    REFUSED(in_channels, beyond, CLDEFORM_LIMIT, "at most");
    REFUSED(in_channels, (1 << 30) + 2, CLDEFORM_LIMIT, "at most 1073741824");
    REFUSED(out_channels, (1 << 30) + 2, CLDEFORM_LIMIT, "at most 1073741824");
    REFUSED(in_h, INT64_MAX, CLDEFORM_LIMIT, "at most");
    REFUSED(kernel_w, beyond, CLDEFORM_LIMIT, "at most");
    REFUSED(pad_top, beyond, CLDEFORM_LIMIT, "at most");
    REFUSED(stride_w, beyond, CLDEFORM_LIMIT, "at most");

    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    cldeform_conv2d_problem p = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    p.pad_top = p.pad_bottom = 2000000000;
    assert_status(cldeform_conv2d_shape(&p, CLDEFORM_OUTPUT, &shape), CLDEFORM_LIMIT, "with its padding");
    p = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    p.in_h = p.in_w = 1000000000; /* planes of 10^18 elements */
    assert_status(cldeform_conv2d_shape(&p, CLDEFORM_OUTPUT, &shape), CLDEFORM_LIMIT, "overflow");
    p = test_small_problem(CLDEFORM_CONV2D_DEFORMABLE);
    p.batch = 2147483646, p.in_channels = p.out_channels = 1 << 30; /* each fits, the product does not */
    p.offset_groups = 1;
    assert_status(cldeform_conv2d_shape(&p, CLDEFORM_OUTPUT, &shape), CLDEFORM_LIMIT, "overflow");
}

/* Shapes of 2^31 elements and more are fine as long as bytes can be counted. */
static void large_shapes(void **state)
{
    (void)state;
    cldeform_conv2d_problem p = CLDEFORM_INIT(cldeform_conv2d_problem);
    p.kind = CLDEFORM_CONV2D_PLAIN;
    p.batch = 5, p.in_channels = 65537, p.in_h = 256, p.in_w = 129, p.out_channels = 1, p.kernel_h = p.kernel_w = 1;
    check_shape(&p, CLDEFORM_INPUT, "5,65537,256,129", (size_t)5 * 65537 * 256 * 129 * 4);
}

/* Programs compiled against older and newer headers. */
static void struct_versions(void **state)
{
    (void)state;
    struct {
        cldeform_conv2d_problem problem;
        uint64_t added;
    } newer;
    memset(&newer, 0, sizeof newer);
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    newer.problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    newer.problem.struct_size = sizeof newer;
    assert_ok(cldeform_conv2d_shape(&newer.problem, CLDEFORM_OUTPUT, &shape));
    newer.added = 1;
    assert_status(cldeform_conv2d_shape(&newer.problem, CLDEFORM_OUTPUT, &shape), CLDEFORM_UNSUPPORTED,
                  "does not know");
    /* an older one ends before dtype: what follows is not read */
    cldeform_conv2d_problem older = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    older.struct_size = offsetof(cldeform_conv2d_problem, dtype);
    older.dtype = (cldeform_dtype)99;
    older.border = (cldeform_border)99;
    assert_ok(cldeform_conv2d_shape(&older, CLDEFORM_OUTPUT, &shape));
    assert_int_equal(shape.bytes, 3 * 10 * 64 * 4);
}

/* The reference refuses what makes no sense, too. */
static void the_reference_checks(void **state)
{
    (void)state;
    double x[4096] = {0};
    cldeform_conv2d_problem p = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    assert_int_equal(cldeform_ref_conv2d_forward(NULL, x, x, x, x, x, x), CLDEFORM_INVALID_ARGUMENT);
    assert_int_equal(cldeform_ref_conv2d_forward(&p, NULL, x, x, x, x, x), CLDEFORM_INVALID_ARGUMENT);
    assert_int_equal(cldeform_ref_conv2d_forward(&p, x, NULL, x, x, x, x), CLDEFORM_INVALID_ARGUMENT);
    assert_int_equal(cldeform_ref_conv2d_forward(&p, x, x, NULL, x, x, x), CLDEFORM_INVALID_ARGUMENT);
    p.kind = CLDEFORM_CONV2D_DEFORMABLE;
    assert_int_equal(cldeform_ref_conv2d_forward(&p, x, x, x, x, x, x), CLDEFORM_INVALID_ARGUMENT); /* a mask */
    p.kind = CLDEFORM_CONV2D_MODULATED;
    p.groups = 7;
    assert_int_equal(cldeform_ref_conv2d_forward(&p, x, x, x, x, x, x), CLDEFORM_INVALID_ARGUMENT);
    p = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    p.in_h = INT64_MAX;
    assert_int_equal(cldeform_ref_conv2d_forward(&p, x, x, x, x, x, x), CLDEFORM_INVALID_ARGUMENT);
    p = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    p.kernel_h = 20;
    assert_int_equal(cldeform_ref_conv2d_forward(&p, x, x, x, x, x, x), CLDEFORM_INVALID_ARGUMENT);
    /* whatever the shape refuses for a field that the reference reads, it refuses too */
    for (int i = 0; i < 9; i++) {
        cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
        p = test_small_problem(CLDEFORM_CONV2D_MODULATED);
        switch (i) {
        case 0:
            p.kind = (cldeform_conv2d_kind)7;
            break;
        case 1:
            p.layout = (cldeform_layout)7;
            break;
        case 2:
            p.border = (cldeform_border)-1;
            break;
        case 3:
            p.offset_layout = (cldeform_offset_layout)9;
            break;
        case 4:
            p.mask_activation = (cldeform_mask_activation)9;
            break;
        case 5:
            p.offset_limit = -1;
            break;
        case 6:
            p.offset_limit = (double)NAN;
            break;
        case 7:
            p.kind = CLDEFORM_CONV2D_PLAIN;
            break; /* with offset groups */
        case 8:
            p.pad_left = -1;
            break;
        }
        assert_int_equal(cldeform_conv2d_shape(&p, CLDEFORM_INPUT, &shape), CLDEFORM_INVALID_ARGUMENT);
        assert_int_equal(cldeform_ref_conv2d_forward(&p, x, x, x, x, x, x), CLDEFORM_INVALID_ARGUMENT);
    }
    p = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    p.batch = 0;
    assert_int_equal(cldeform_ref_conv2d_forward(&p, NULL, NULL, NULL, NULL, NULL, NULL), CLDEFORM_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),          cmocka_unit_test(tensors_that_a_kind_lacks), cmocka_unit_test(wrong_sizes),
        cmocka_unit_test(wrong_enums),     cmocka_unit_test(sizes_that_overflow),       cmocka_unit_test(large_shapes),
        cmocka_unit_test(struct_versions), cmocka_unit_test(the_reference_checks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
