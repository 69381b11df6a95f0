/* test_tool_roi_host.c: roi-pool and psroi-pool where there is no OpenCL device: what the reference computes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "element.h"
#include "tool_roi_case.h"
#include "tool_run.h"
#include "tool_tensor.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { ALL = 7 }; /* of the gradients */

static const cldeform_roi_method methods[] = {CLDEFORM_ROI_ALIGN, CLDEFORM_ROI_PS_ALIGN, CLDEFORM_ROI_PS,
                                              CLDEFORM_ROI_MAX};

/* ---- the reference ---- */

/* It rounds once, as the expected values were: they are equal. */
static void check_reference(tool_roi_case *c)
{
    tool_roi_case_write(c, 4);
    tool_run("%s %s --output y.npy --algorithm reference", tool_roi_case_words(c),
             tool_roi_case_gradient_words(c, ALL));
    tool_assert_success();
    assert_string_equal(tool.out, "");
    tool_roi_case_assert_output(c, 0);
    tool_roi_case_assert_gradients(c, ALL, 0);
    tool_roi_case_free(c);
}

static void test_methods_and_types(void **state)
{
    static const struct {
        cldeform_dtype dtype, offset_dtype, roi_dtype;
        cldeform_layout layout;
    } rows[] = {
        {CLDEFORM_F32, CLDEFORM_F32, CLDEFORM_F32, CLDEFORM_NCHW},
        {CLDEFORM_F64, CLDEFORM_F64, CLDEFORM_F64, CLDEFORM_NHWC},
        {CLDEFORM_F64, CLDEFORM_F64, CLDEFORM_F32, CLDEFORM_NCHW},
        {CLDEFORM_F16, CLDEFORM_F16, CLDEFORM_F64, CLDEFORM_NHWC},
        {CLDEFORM_F16, CLDEFORM_F32, CLDEFORM_F32, CLDEFORM_NCHW},
    };
    (void)state;
    for (size_t m = 0; m < COUNT(methods); m++)
        for (size_t i = 0; i < COUNT(rows); i++) {
            tool_roi_case c = tool_roi_case_default(methods[m]);
            c.problem.dtype = rows[i].dtype;
            c.problem.offset_dtype = rows[i].offset_dtype;
            c.problem.roi_dtype = rows[i].roi_dtype;
            c.problem.layout = rows[i].layout;
            check_reference(&c);
        }
}

static void test_kinds(void **state)
{
    (void)state;
    for (int m = 0; m < 2; m++)
        for (int kind = 0; kind < 3; kind++) {
            tool_roi_case c = tool_roi_case_default(methods[m]);
            c.problem.deformable = kind == 1;
            c.problem.modulated = kind == 2;
            c.problem.offset_classes = c.problem.deformable ? c.problem.offset_classes : 0;
            check_reference(&c);
        }
}

/* What is not written is what the contract says. */
static void test_defaults(void **state)
{
    (void)state;
    tool_roi_case c = tool_roi_case_default(CLDEFORM_ROI_ALIGN);
    c.problem.offset_scale = 0.1;
    c.problem.sampling_ratio = 0;
    c.left_out = "--gamma --sampling-ratio --mode";
    check_reference(&c);

    c = tool_roi_case_default(CLDEFORM_ROI_PS_ALIGN);
    c.problem.offset_scale = 0.1;
    c.problem.part_h = c.problem.out_h;
    c.problem.part_w = c.problem.out_w;
    c.problem.samples_h = c.problem.samples_w = 4;
    c.left_out = "--trans-std --part-size --sample-per-part --group-size --mode";
    check_reference(&c);

    c = tool_roi_case_default(CLDEFORM_ROI_PS);
    c.problem.group_size = 5;
    c.problem.in_channels = 2 * 5 * 5;
    c.left_out = "--group-size";
    check_reference(&c);
    c = tool_roi_case_default(CLDEFORM_ROI_PS);
    c.problem.group_size = 1;
    check_reference(&c);
}

static void test_ways_to_write_numbers(void **state)
{
    (void)state;
    tool_roi_case c = tool_roi_case_default(CLDEFORM_ROI_ALIGN);
    c.problem.out_h = c.problem.out_w = 3;
    c.problem.offset_scale = -0.25;
    c.problem.offset_gradient = CLDEFORM_ROI_GRADIENT_MMCV;
    tool_roi_case_write(&c, 5);
    tool_run("%s %s --output y.npy --algorithm reference --spatial-scale 5e-1 --gamma -.25 --output-size=3",
             tool_roi_case_words(&c), tool_roi_case_gradient_words(&c, ALL));
    tool_assert_success();
    tool_roi_case_assert_output(&c, 0);
    tool_roi_case_assert_gradients(&c, ALL, 0);
    tool_roi_case_free(&c);
}

/* Without an offset what scales it does nothing. */
static void test_scale_without_offset(void **state)
{
    static const char *const options[] = {"--gamma 3", "--trans-std 3 --part-size 5"};
    (void)state;
    for (int m = 0; m < 2; m++) {
        tool_roi_case c = tool_roi_case_default(methods[m]);
        c.problem.deformable = 0;
        c.problem.offset_classes = 0;
        tool_roi_case_write(&c, 6);
        tool_run("%s %s --output y.npy --algorithm reference", tool_roi_case_words(&c), options[m]);
        tool_assert_success();
        tool_roi_case_assert_output(&c, 0);
        tool_roi_case_free(&c);
    }
}

/* Each gradient by itself, and each left out; --mode max computes what its gradient follows from, and writes no output.
 */
static void test_subsets(void **state)
{
    (void)state;
    for (size_t m = 0; m < COUNT(methods); m++) {
        tool_roi_case c = tool_roi_case_default(methods[m]);
        tool_roi_case_write(&c, 7);
        for (unsigned which = 1; which < ALL; which++) {
            if ((which & 1) == 0 && c.gradients[ROI_CASE_OFFSET].rank == 0)
                continue;
            tool_run("%s %s --algorithm reference", tool_roi_case_words(&c), tool_roi_case_gradient_words(&c, which));
            tool_assert_success();
            tool_roi_case_assert_gradients(&c, which, 0);
            tool_assert_no_file("y.npy");
        }
        tool_roi_case_free(&c);
    }
}

static void test_nothing_to_pool(void **state)
{
    (void)state;
    for (size_t m = 0; m < COUNT(methods); m++)
        for (int k = 0; k < 3; k++) {
            tool_roi_case c = tool_roi_case_default(methods[m]);
            c.rois = k == 1 ? -1 : 0;
            c.problem.batch = k == 0 ? 2 : 0;
            check_reference(&c);
        }
}

/* A pixel that is NaN is in the samples that read it, and in no other. */
static void test_nan(void **state)
{
    (void)state;
    for (size_t m = 0; m < COUNT(methods); m++) {
        int found = 0;
        tool_roi_case c = tool_roi_case_default(methods[m]);
        tool_roi_case_write(&c, 8);
        ((float *)c.files[ROI_CASE_INPUT].data)[3 * 9 + 4] = NAN;
        ((float *)c.files[ROI_CASE_INPUT].data)[3 * 9 + 1] = INFINITY;
        tool_roi_case_rewrite(&c, ROI_CASE_INPUT);
        for (size_t i = 0; i < c.expected.elements; i++)
            found += isnan(((float *)c.expected.data)[i]) != 0;
        assert_true(found > 0 && (size_t)found < c.expected.elements / 4);
        tool_run("%s --output y.npy --algorithm reference", tool_roi_case_words(&c));
        tool_assert_success();
        tool_roi_case_assert_output(&c, 0);
        tool_roi_case_free(&c);
    }
}

/* ---- numbers that are known ---- */

static void write_values(const char *path, int rank, const int64_t *shape, const double *values)
{
    fault f = {0};
    npy_array array = {0};
    assert_int_equal(npy_create(&array, CLDEFORM_F64, rank, shape, &f), 0);
    element_from_double(CLDEFORM_F64, values, array.elements, array.data);
    assert_int_equal(npy_write(path, &array, &f), 0);
    npy_free(&array);
}

static void assert_values(const char *path, int rank, const int64_t *shape, const double *values)
{
    fault f = {0};
    npy_array array = {0};
    assert_int_equal(npy_create(&array, CLDEFORM_F64, rank, shape, &f), 0);
    element_from_double(CLDEFORM_F64, values, array.elements, array.data);
    tool_assert_file(&array, path, 1e-15);
    npy_free(&array);
}

/* The image 1 2 / 3 4, the RoI from (0,0) to (1,1), 2x2 bins of 2x2 samples: mmcv's first test of DeformRoIPool, with
 * the gradients of the offset by hand. */
static void test_known_roi_pool(void **state)
{
    static const int64_t image[4] = {1, 1, 2, 2}, roi[2] = {1, 5}, bins[4] = {1, 2, 2, 2};
    static const double ones[8] = {1, 1, 1, 1, 1, 1, 1, 1}, zeros[8] = {0};
    (void)state;
    write_values("i.npy", 4, image, (const double[]){1, 2, 3, 4});
    write_values("r.npy", 2, roi, (const double[]){0, 0, 0, 1, 1});
    write_values("o.npy", 4, bins, zeros);
    write_values("g.npy", 4, image, ones);
    for (int mmcv = 0; mmcv < 2; mmcv++) {
        tool_run(
            "roi-pool --input i.npy --rois r.npy --offset o.npy --output-size 2 --spatial-scale 1 --sampling-ratio "
            "2 --output y.npy --grad-output g.npy --grad-input gi.npy --grad-offset go.npy --algorithm reference "
            "--offset-gradient %s",
            mmcv ? "mmcv" : "true");
        tool_assert_success();
        assert_values("y.npy", 4, image, (const double[]){1, 1.25, 1.5, 1.75});
        assert_values("gi.npy", 4, image, (const double[]){3.0625, 0.4375, 0.4375, 0.0625});
        assert_values("go.npy", 4, bins,
                      mmcv ? (const double[]){0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.2}
                           : (const double[]){0, 0.1, 0, 0.1, 0, 0, 0.2, 0.2});
    }
    tool_run("roi-pool --mode max --input i.npy --rois r.npy --output-size 1 --spatial-scale 1 --output y.npy "
             "--algorithm reference");
    tool_assert_success();
    assert_values("y.npy", 4, (const int64_t[]){1, 1, 1, 1}, (const double[]){4});
}

/* Four channels of one number each, 2x2 groups: each bin is its group's channel; shifted by one RoI width to the right,
 * which is 2 pixels, the left bins read what the right ones did, and the right ones nothing. */
static void test_known_psroi_pool(void **state)
{
    static const int64_t image[4] = {1, 4, 2, 2}, roi[2] = {1, 5}, bins[4] = {1, 1, 2, 2}, part[4] = {1, 2, 1, 1};
    (void)state;
    write_values("i.npy", 4, image, (const double[]){1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4});
    write_values("r.npy", 2, roi, (const double[]){0, 0, 0, 1, 1});
    write_values("o.npy", 4, part, (const double[]){0.5, 0});
    tool_run("psroi-pool --input i.npy --rois r.npy --output-dim 1 --output-size 2 --spatial-scale 1 --output y.npy "
             "--algorithm reference");
    tool_assert_success();
    assert_values("y.npy", 4, bins, (const double[]){1, 2, 3, 4});
    tool_run("psroi-pool --mode plain --input i.npy --rois r.npy --output-dim 1 --output-size 2 --spatial-scale 1 "
             "--output y.npy --algorithm reference");
    tool_assert_success();
    assert_values("y.npy", 4, bins, (const double[]){1, 2, 3, 4});
    /* samples at 0.5 and 1 of the left bins, and at 1.5 (the last that exists) and 2 of the right ones */
    write_values("i.npy", 4, image, (const double[]){1, 5, 1, 5, 2, 6, 2, 6, 3, 7, 3, 7, 4, 8, 4, 8});
    tool_run("psroi-pool --input i.npy --rois r.npy --offset o.npy --output-dim 1 --output-size 2 --part-size 1 "
             "--sample-per-part 2 --trans-std 1 --spatial-scale 1 --output y.npy --algorithm reference");
    tool_assert_success();
    assert_values("y.npy", 4, bins, (const double[]){4, 6, 6, 8});
}

/* ---- without a device ---- */

static void test_no_device(void **state)
{
    (void)state;
    for (size_t m = 0; m < COUNT(methods); m++) {
        tool_roi_case c = tool_roi_case_default(methods[m]);
        tool_roi_case_write(&c, 9);
        tool_run("%s %s --output y.npy", tool_roi_case_words(&c), tool_roi_case_gradient_words(&c, ALL));
        tool_assert_failure(1, TOOL_NO_DEVICE);
        tool_assert_no_file("y.npy");
        tool_roi_case_assert_gradients(&c, 0, 0);
        tool_roi_case_free(&c);
    }
}

static void test_plan(void **state)
{
    (void)state;
    tool_roi_case c = tool_roi_case_default(CLDEFORM_ROI_ALIGN);
    tool_roi_case_write(&c, 10);
    tool_run("%s --algorithm reference --print-plan", tool_roi_case_words(&c));
    tool_assert_success();
    const char *rest = strstr(tool.out, "gflop: ");
    assert_non_null(rest);
    assert_memory_equal(tool.out,
                        "device: host\nalgorithm: reference\nreason: asked for\ndtype: fp32\nworkspace_bytes: 0\n",
                        (size_t)(rest - tool.out));
    assert_string_equal(strchr(rest, '\n'), "\ndeterministic: true\ntuning: none\n");
    tool_assert_no_file("y.npy");
    tool_roi_case_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods_and_types),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_ways_to_write_numbers),
        cmocka_unit_test(test_scale_without_offset),
        cmocka_unit_test(test_subsets),
        cmocka_unit_test(test_nothing_to_pool),
        cmocka_unit_test(test_nan),
        cmocka_unit_test(test_known_roi_pool),
        cmocka_unit_test(test_known_psroi_pool),
        cmocka_unit_test(test_no_device),
        cmocka_unit_test(test_plan),
    };
    return cmocka_run_group_tests(tests, tool_enter_without_device, tool_leave_directory);
}
