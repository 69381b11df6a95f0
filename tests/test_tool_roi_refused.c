/* test_tool_roi_refused.c: roi-pool and psroi-pool: help, and what is refused and how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tool_roi_case.h"
#include "tool_run.h"
#include "tool_tensor.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { ALL = 7 }; /* of the gradients */

static void test_every_option_is_in_the_help(void **state)
{
    static const char *const both[] = {"--input F",
                                       "--rois F",
                                       "--offset F",
                                       "--mask F",
                                       "--output F",
                                       "--grad-output F",
                                       "--grad-input F",
                                       "--grad-offset F",
                                       "--grad-mask F",
                                       "--output-size H[,W]",
                                       "--spatial-scale S",
                                       "--layout nchw|nhwc",
                                       "--algorithm auto|direct|reference",
                                       "--device D",
                                       "--deterministic",
                                       "--workspace-limit BYTES",
                                       "--print-plan",
                                       NULL};
    static const char *const of_roi_pool[] = {"--mode align|max", "--sampling-ratio N", "--gamma G",
                                              "--offset-gradient true|mmcv", NULL};
    static const char *const of_psroi_pool[] = {"--mode deformable|plain",
                                                "--output-dim N",
                                                "--group-size N",
                                                "--part-size H[,W]",
                                                "--sample-per-part H[,W]",
                                                "--trans-std S",
                                                NULL};
    (void)state;
    tool_assert_help("roi-pool", both);
    tool_assert_help("roi-pool", of_roi_pool);
    tool_assert_help("psroi-pool", both);
    tool_assert_help("psroi-pool", of_psroi_pool);
}

/* ---- what is refused ---- */

typedef struct refusal {
    const char *options, *message;
} refusal;

/* Each row: more options, or other ones, for the default case. */
static void check_refused(cldeform_roi_method method, const char *left_out, const refusal *rows, size_t count)
{
    tool_roi_case c = tool_roi_case_default(method);
    c.left_out = left_out;
    tool_roi_case_write(&c, 1);
    tool_put_before("y.npy");
    for (size_t i = 0; i < count; i++) {
        tool_assert_refused(rows[i].message, "%s --output y.npy %s", tool_roi_case_words(&c), rows[i].options);
        tool_assert_untouched("y.npy");
    }
    assert_int_equal(remove("y.npy"), 0);
    tool_roi_case_free(&c);
}

#define WHOLE  "expected a whole number from "
#define PAIR   "expected 1 to 2 whole numbers from 1 to 2147483647 with commas between"
#define ABOVE  "expected a number above 0"
#define NOT_0  "expected a number other than 0"
#define TO_MAX " to 2147483647"

static void test_refused_values(void **state)
{
    static const refusal of_roi_pool[] = {
        {"--mode average", "--mode is \"average\", expected one of: align, max"},
        {"--mode plain", "--mode is \"plain\", expected one of: align, max"},
        {"--output-size 0", "--output-size is \"0\", " PAIR},
        {"--output-size 2,0", "--output-size is \"2,0\", " PAIR},
        {"--output-size 1,2,3", "--output-size is \"1,2,3\", " PAIR},
        {"--output-size -1", "--output-size is \"-1\", " PAIR},
        {"--output-size ''", "--output-size is \"\", " PAIR},
        {"--spatial-scale 0", "--spatial-scale is \"0\", " ABOVE},
        {"--spatial-scale -0.5", "--spatial-scale is \"-0.5\", " ABOVE},
        {"--spatial-scale 1e-999", "--spatial-scale is \"1e-999\", " ABOVE},
        {"--spatial-scale 1e999", "--spatial-scale is \"1e999\", " ABOVE},
        {"--spatial-scale inf", "--spatial-scale is \"inf\", " ABOVE},
        {"--spatial-scale nan", "--spatial-scale is \"nan\", " ABOVE},
        {"--spatial-scale 0x1", "--spatial-scale is \"0x1\", " ABOVE},
        {"--spatial-scale 1/16", "--spatial-scale is \"1/16\", " ABOVE},
        {"--spatial-scale ' 1'", "--spatial-scale is \" 1\", " ABOVE},
        {"--spatial-scale 1e", "--spatial-scale is \"1e\", " ABOVE},
        {"--spatial-scale -", "--spatial-scale is \"-\", " ABOVE},
        {"--spatial-scale ''", "--spatial-scale is \"\", " ABOVE},
        {"--sampling-ratio -1", "--sampling-ratio is \"-1\", " WHOLE "0" TO_MAX},
        {"--sampling-ratio 1.5", "--sampling-ratio is \"1.5\", " WHOLE "0" TO_MAX},
        {"--sampling-ratio 2,2", "--sampling-ratio is \"2,2\", " WHOLE "0" TO_MAX},
        {"--gamma 0", "--gamma is \"0\", " NOT_0},
        {"--gamma -0.0", "--gamma is \"-0.0\", " NOT_0},
        {"--gamma one", "--gamma is \"one\", " NOT_0},
        {"--offset-gradient strict", "--offset-gradient is \"strict\", expected one of: true, mmcv"},
        {"--algorithm im2col", "--algorithm is \"im2col\", expected one of: auto, direct, reference"},
        {"--layout chw", "--layout is \"chw\", expected one of: nchw, nhwc"},
        {"--workspace-limit 1.5G",
         "--workspace-limit is \"1.5G\", expected bytes: a whole number, with K, M or G for powers of 1024"},
        {"--weight i.npy", "unknown or ambiguous option --weight; see \"cldeform roi-pool --help\""},
        {"--output-dim 3", "unknown or ambiguous option --output-dim; see \"cldeform roi-pool --help\""},
        {"--gam 1", "unknown option --gam; see \"cldeform roi-pool --help\""},
        {"--gamma", "option --gamma needs a value; see \"cldeform roi-pool --help\""},
        {"more", "unexpected argument \"more\"; see \"cldeform roi-pool --help\""},
    };
    static const refusal of_psroi_pool[] = {
        {"--mode max", "--mode is \"max\", expected one of: deformable, plain"},
        {"--output-dim 0", "--output-dim is \"0\", " WHOLE "1" TO_MAX},
        {"--output-dim 2,2", "--output-dim is \"2,2\", " WHOLE "1" TO_MAX},
        {"--output-size 0", "--output-size is \"0\", " PAIR},
        {"--spatial-scale -1", "--spatial-scale is \"-1\", " ABOVE},
        {"--group-size 0", "--group-size is \"0\", " WHOLE "1" TO_MAX},
        {"--group-size -2", "--group-size is \"-2\", " WHOLE "1" TO_MAX},
        {"--part-size 0", "--part-size is \"0\", " PAIR},
        {"--part-size -1", "--part-size is \"-1\", " PAIR},
        {"--part-size 2,0", "--part-size is \"2,0\", " PAIR},
        {"--sample-per-part 0", "--sample-per-part is \"0\", " PAIR},
        {"--sample-per-part -4", "--sample-per-part is \"-4\", " PAIR},
        {"--trans-std 0", "--trans-std is \"0\", " NOT_0},
        {"--gamma 1", "unknown or ambiguous option --gamma; see \"cldeform psroi-pool --help\""},
        {"--grad-bias gi.npy", "unknown or ambiguous option --grad-bias; see \"cldeform psroi-pool --help\""},
    };
    (void)state;
    check_refused(CLDEFORM_ROI_ALIGN, "", of_roi_pool, COUNT(of_roi_pool));
    check_refused(CLDEFORM_ROI_PS_ALIGN, "", of_psroi_pool, COUNT(of_psroi_pool));
}

/* What options must be to each other. */
static void test_refused_combinations(void **state)
{
    static const refusal of_max[] = {
        {"--offset o.npy", "--offset needs --mode align"},
        {"--mask m.npy", "--mask needs --mode align"},
        {"--sampling-ratio 2", "--sampling-ratio needs --mode align"},
        {"--gamma 0.1", "--gamma needs --mode align"},
        {"--offset-gradient mmcv", "--offset-gradient mmcv needs --mode align"},
    };
    static const refusal of_plain[] = {
        {"--offset o.npy", "--offset needs --mode deformable"},
        {"--mask m.npy", "--mask needs --mode deformable"},
        {"--part-size 2", "--part-size needs --mode deformable"},
        {"--sample-per-part 2", "--sample-per-part needs --mode deformable"},
        {"--trans-std 0.1", "--trans-std needs --mode deformable"},
    };
    static const refusal rows[] = {
        {"roi-pool", "--input is missing; see \"cldeform roi-pool --help\""},
        {"roi-pool --input i.npy", "--rois is missing; see \"cldeform roi-pool --help\""},
        {"roi-pool --input i.npy --rois r.npy --output y.npy --spatial-scale 1",
         "--output-size is missing; see \"cldeform roi-pool --help\""},
        {"roi-pool --input i.npy --rois r.npy --output y.npy --output-size 2",
         "--spatial-scale is missing; see \"cldeform roi-pool --help\""},
        {"psroi-pool --input i.npy --rois r.npy --output y.npy --output-size 2 --spatial-scale 1",
         "--output-dim is missing; see \"cldeform psroi-pool --help\""},
        {"psroi-pool --input i.npy --rois r.npy --output y.npy --output-dim 2 --spatial-scale 1",
         "--output-size is missing; see \"cldeform psroi-pool --help\""},
        {"roi-pool --input i.npy --rois r.npy --output-size 2 --spatial-scale 1",
         "nothing is asked for, expected --output, a gradient or --print-plan"},
        {"roi-pool --input i.npy --rois r.npy --output-size 2 --spatial-scale 1 --output y.npy --offset-gradient mmcv",
         "--offset-gradient mmcv needs --offset"},
        {"psroi-pool --input i.npy --rois r.npy --grad-input gi.npy", "--grad-input needs --grad-output"},
        {"roi-pool --input i.npy --rois r.npy --grad-output g.npy --output y.npy",
         "--grad-output is given but no gradient is asked for, expected --grad-input, --grad-offset or --grad-mask"},
        {"roi-pool --input i.npy --rois r.npy --grad-output g.npy --grad-offset go.npy",
         "--grad-offset needs --offset"},
        {"psroi-pool --input i.npy --rois r.npy --offset o.npy --grad-output g.npy --grad-mask gm.npy",
         "--grad-mask needs --mask"},
        {"roi-pool --input i.npy --rois r.npy --grad-output g.npy --grad-input y.npy --output y.npy",
         "--output and --grad-input are both y.npy, expected a file each"},
    };
    (void)state;
    check_refused(CLDEFORM_ROI_MAX, "", of_max, COUNT(of_max));
    check_refused(CLDEFORM_ROI_PS, "", of_plain, COUNT(of_plain));
    for (size_t i = 0; i < COUNT(rows); i++)
        tool_assert_refused(rows[i].message, "%s", rows[i].options);
}

/* The default cases' files in each other's places: input (2,3,7,9), rois (14,5), offset (14,2,2,3), mask (14,1,2,3);
 * psroi-pool: input (2,24,7,9), offset (14,6,3,2). */
static void test_refused_shapes(void **state)
{
    static const refusal of_roi_pool[] = {
        {"--input r.npy", "input r.npy has shape (14,5), expected (N,C,H,W) with C, H and W at least 1"},
        {"--rois missing.npy", "missing.npy cannot be opened: No such file or directory"},
        {"--rois i.npy", "rois i.npy has shape (2,3,7,9), expected (R,5): batch index, x1, y1, x2, y2"},
        {"--rois four.npy", "rois four.npy has shape (3,4), expected (R,5): batch index, x1, y1, x2, y2"},
        {"--rois one.npy", "rois one.npy has shape (5,), expected (R,5): batch index, x1, y1, x2, y2"},
        {"--rois five.npy", "offset o.npy has shape (14,2,2,3), expected (3,2,2,3)"},
        {"--offset m.npy", "offset m.npy has shape (14,1,2,3), expected (14,2,2,3)"},
        {"--mask o.npy", "mask o.npy has shape (14,2,2,3), expected (14,1,2,3)"},
        {"--output-size 3,2", "offset o.npy has shape (14,2,2,3), expected (14,2,3,2)"},
        {"--grad-output m.npy --grad-input gi.npy", "grad_output m.npy has shape (14,1,2,3), expected (14,3,2,3)"},
        {"--layout nhwc --grad-output g.npy --grad-input gi.npy",
         "grad_output g.npy has shape (14,3,2,3), expected (14,2,3,9)"},
    };
    static const refusal of_psroi_pool[] = {
        {"--output-dim 5",
         "input i.npy has shape (2,24,7,9), expected (N,C,H,W) with C = --output-dim 5 * --group-size 2 squared"},
        {"--group-size 3",
         "input i.npy has shape (2,24,7,9), expected (N,C,H,W) with C = --output-dim 6 * --group-size 3 squared"},
        {"--layout nhwc",
         "input i.npy has shape (2,24,7,9), expected (N,H,W,C) with C = --output-dim 6 * --group-size 2 squared"},
        {"--offset m.npy",
         "offset m.npy has shape (14,1,2,3), expected (14,2*classes,3,2) with classes a divisor of --output-dim 6"},
        {"--offset r.npy",
         "offset r.npy has shape (14,5), expected (14,2*classes,3,2) with classes a divisor of --output-dim 6"},
        {"--offset eight.npy",
         "offset eight.npy has shape (14,8,3,2), expected (14,2*classes,3,2) with classes a divisor of --output-dim 6"},
        {"--offset none.npy",
         "offset none.npy has shape (14,0,3,2), expected (14,2*classes,3,2) with classes a divisor of --output-dim 6"},
        {"--part-size 2,3", "offset o.npy has shape (14,6,3,2), expected (14,6,2,3)"},
        {"--rois five.npy", "offset o.npy has shape (14,6,3,2), expected (3,6,3,2)"},
        {"--mask o.npy", "mask o.npy has shape (14,6,3,2), expected (14,1,2,3)"},
    };
    static const refusal without_group[] = {
        {"--output-dim 5",
         "input i.npy has shape (2,24,7,9), expected (N,C,H,W) with C = --output-dim 5 * a whole group size squared"},
        {"--output-dim 12",
         "input i.npy has shape (2,24,7,9), expected (N,C,H,W) with C = --output-dim 12 * a whole group size squared"},
        {"--output-dim 48",
         "input i.npy has shape (2,24,7,9), expected (N,C,H,W) with C = --output-dim 48 * a whole group size squared"},
    };
    (void)state;
    tool_write_zeros("four.npy", CLDEFORM_F32, 2, (const int64_t[]){3, 4});
    tool_write_zeros("five.npy", CLDEFORM_F32, 2, (const int64_t[]){3, 5});
    tool_write_zeros("one.npy", CLDEFORM_F32, 1, (const int64_t[]){5});
    tool_write_zeros("eight.npy", CLDEFORM_F32, 4, (const int64_t[]){14, 8, 3, 2});
    tool_write_zeros("none.npy", CLDEFORM_F32, 4, (const int64_t[]){14, 0, 3, 2});
    check_refused(CLDEFORM_ROI_ALIGN, "", of_roi_pool, COUNT(of_roi_pool));
    check_refused(CLDEFORM_ROI_PS_ALIGN, "", of_psroi_pool, COUNT(of_psroi_pool));
    check_refused(CLDEFORM_ROI_PS_ALIGN, "--group-size", without_group, COUNT(without_group));
}

static void test_refused_types(void **state)
{
    static const struct {
        cldeform_dtype input, changed;
        const char *file;
        const char *message;
    } rows[] = {
        {CLDEFORM_F32, CLDEFORM_F16, "r.npy", "rois r.npy has type '<f2', expected '<f4' or '<f8'"},
        {CLDEFORM_F16, CLDEFORM_F16, "r.npy", "rois r.npy has type '<f2', expected '<f4' or '<f8'"},
        {CLDEFORM_F32, CLDEFORM_F64, "o.npy", "offset o.npy has type '<f8', expected '<f4', the input's type"},
        {CLDEFORM_F16, CLDEFORM_F64, "m.npy", "mask m.npy has type '<f8', expected '<f2', the input's type, or '<f4'"},
        {CLDEFORM_F16, CLDEFORM_F32, "g.npy", "grad_output g.npy has type '<f4', expected '<f2', the input's type"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        tool_roi_case c = tool_roi_case_default(CLDEFORM_ROI_ALIGN);
        c.problem.dtype = c.problem.offset_dtype = rows[i].input;
        tool_roi_case_write(&c, 2);
        const npy_array *array = rows[i].file[0] == 'r'   ? &c.files[ROI_CASE_ROIS]
                                 : rows[i].file[0] == 'o' ? &c.files[ROI_CASE_OFFSET]
                                 : rows[i].file[0] == 'm' ? &c.files[ROI_CASE_MASK]
                                                          : &c.files[ROI_CASE_GRAD_OUTPUT];
        tool_write_zeros(rows[i].file, rows[i].changed, array->rank, array->shape);
        tool_assert_refused(rows[i].message, "%s %s --algorithm reference", tool_roi_case_words(&c),
                            tool_roi_case_gradient_words(&c, ALL));
        tool_roi_case_free(&c);
    }
}

/* One file that cannot be written, and none is. */
static void test_all_files_or_none(void **state)
{
    (void)state;
    tool_roi_case c = tool_roi_case_default(CLDEFORM_ROI_PS_ALIGN);
    tool_roi_case_write(&c, 3);
    tool_put_before("y.npy");
    tool_assert_refused("missing/gm.npy cannot be written: No such file or directory",
                        "%s %s --algorithm reference --output y.npy --grad-mask missing/gm.npy",
                        tool_roi_case_words(&c), tool_roi_case_gradient_words(&c, 3));
    tool_assert_untouched("y.npy");
    assert_int_equal(remove("y.npy"), 0);
    tool_roi_case_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_option_is_in_the_help),
        cmocka_unit_test(test_refused_values),
        cmocka_unit_test(test_refused_combinations),
        cmocka_unit_test(test_refused_shapes),
        cmocka_unit_test(test_refused_types),
        cmocka_unit_test(test_all_files_or_none),
    };
    return cmocka_run_group_tests(tests, tool_enter_without_device, tool_leave_directory);
}
