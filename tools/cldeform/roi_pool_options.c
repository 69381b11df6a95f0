/* roi_pool_options.c: the roi-pool command's options and their help. */
#include "roi.h"

static const char *const help[] = {
    "usage: cldeform roi-pool --input F --rois F --output-size H[,W] --spatial-scale S [--mode align|max]",
    "                         [--offset F] [--mask F] [--output F]",
    "                         [--grad-output F [--grad-input F] [--grad-offset F] [--grad-mask F]] [OPTION...]",
    "",
    "Deformable RoI pooling and its gradients: RoIAlign (aligned, average) whose bins are shifted by --offset. F is a "
    "NumPy",
    ".npy file: C order, little endian, '<f2', '<f4' or '<f8'. The input's type is the type of the computation and of "
    "every",
    "file ('<f2' is storage: the arithmetic is fp32), except that rois are '<f4' or '<f8', and that offset and mask "
    "may "
    "be",
    "'<f4' with '<f2' data. No RoIs, (0,5), and an empty batch are legal. At least one file to write, or --print-plan, "
    "is",
    "asked for; all of them are written after everything is computed.",
    "",
    "files and their shapes",
    "  --input F          (N,C,H,W); with --layout nhwc (N,H,W,C)",
    "  --rois F           (R,5): batch index, x1, y1, x2, y2 in image pixels. A RoI whose batch index is not one of "
    "the",
    "                     input's, or that is not finite, pools zeros",
    "  --offset F         (R,2,ph,pw) in both layouts: bin (i,j) is shifted by gamma * the RoI's size * the offset; "
    "channel 0 is",
    "                     x, channel 1 is y. Without it: RoIAlign",
    "  --mask F           (R,1,ph,pw) in both layouts: each bin is multiplied by it. Without it: all ones",
    "  --output F         is written: (R,C,ph,pw); with --layout nhwc (R,ph,pw,C)",
    "  --grad-output F    a loss's gradient with respect to the output, of the output's shape. Without it no gradients",
    "  --grad-input F, --grad-offset F, --grad-mask F",
    "                     are written, those that are given: the loss's gradients with respect to these tensors, in "
    "shape and",
    "                     type the tensors' own. --grad-offset needs --offset, --grad-mask needs --mask",
    "",
    "problem",
    "  --output-size H[,W]",
    "                     ph, pw: bins of a RoI; one number is both",
    "  --spatial-scale S  feature pixels per image pixel, as 0.0625",
    "  --mode align|max   align (default): each bin is the average of bilinear samples. max: RoI pooling of Fast "
    "R-CNN, "
    "the",
    "                     largest of a bin's pixels; it has no --offset, --mask, --sampling-ratio, --gamma and "
    "--offset-gradient",
    "  --sampling-ratio N samples per bin and axis; 0 (default): adaptive, the bin's size rounded up",
    "  --gamma G          unit of the offsets in RoI widths and heights, not 0; default 0.1. Without --offset it does "
    "nothing",
    "  --offset-gradient true|mmcv",
    "                     true (default): the derivative of what is computed. mmcv: mmcv's formula, which differs "
    "where "
    "a",
    "                     position is clamped to the first or last pixel. Needs --offset",
    "  --layout nchw|nhwc of input, output and their gradients; default nchw",
    "",
    "computation",
    "  --algorithm auto|direct|reference",
    "                     auto (default): the library chooses; it has one algorithm, direct. reference: plain loops on "
    "the",
    "                     host in double precision, rounded once; needs no OpenCL device, ignores the options below",
    NULL,
};

static const char *const example[] = {
    "Example: cldeform roi-pool --input x.npy --rois r.npy --offset o.npy --output-size 7 --spatial-scale 0.25 "
    "--output "
    "y.npy",
    NULL,
};

enum { MODE = OPERATOR_OWN, OUTPUT_SIZE, SPATIAL_SCALE, SAMPLING_RATIO, GAMMA, OFFSET_GRADIENT };

static const struct option own[] = {
    {"mode", required_argument, NULL, MODE},
    {"output-size", required_argument, NULL, OUTPUT_SIZE},
    {"spatial-scale", required_argument, NULL, SPATIAL_SCALE},
    {"sampling-ratio", required_argument, NULL, SAMPLING_RATIO},
    {"gamma", required_argument, NULL, GAMMA},
    {"offset-gradient", required_argument, NULL, OFFSET_GRADIENT},
    {NULL, 0, NULL, 0},
};

static const number_word modes[] = {{"align", CLDEFORM_ROI_ALIGN}, {"max", CLDEFORM_ROI_MAX}};
static const number_word offset_gradients[] = {
    {"true", CLDEFORM_ROI_GRADIENT_TRUE},
    {"mmcv", CLDEFORM_ROI_GRADIENT_MMCV},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

void roi_pool_print_help(void)
{
    print_lines(help);
    operator_print_help();
    print_lines(example);
}

static int read_own(void *options, int option, const char *text, fault *f)
{
    roi_options *o = options;
    int count = 0;
    switch (option) {
    case MODE:
        return number_read_word("--mode", text, modes, COUNT(modes), &o->method, f);
    case OUTPUT_SIZE:
        return number_read_pair("--output-size", text, 1, o->output_size, f);
    case SPATIAL_SCALE:
        return number_read_real("--spatial-scale", text, 1, &o->spatial_scale, f);
    case SAMPLING_RATIO:
        return number_read_list("--sampling-ratio", text, 0, 1, &o->sampling_ratio, &count, f);
    case GAMMA:
        return number_read_real("--gamma", text, 0, &o->offset_scale, f);
    default:
        return number_read_word("--offset-gradient", text, offset_gradients, COUNT(offset_gradients),
                                &o->offset_gradient, f);
    }
}

/* What the options must be to each other, before any file is opened. */
static int check(const roi_options *o, const char *command, fault *f)
{
    const int mmcv = o->offset_gradient == CLDEFORM_ROI_GRADIENT_MMCV;
    const roi_mode_option of_align[] = {
        {o->common.path[TENSOR_OFFSET] != NULL, "--offset"},
        {o->common.path[TENSOR_MASK] != NULL, "--mask"},
        {o->sampling_ratio > 0, "--sampling-ratio"},
        {o->offset_scale < 0 || o->offset_scale > 0, "--gamma"},
        {mmcv, "--offset-gradient mmcv"},
    };
    int status = roi_check_required(o, command, f);
    if (status == EXIT_FINE && o->method == CLDEFORM_ROI_MAX)
        status = roi_check_mode(of_align, COUNT(of_align), "--mode align", f);
    if (status == EXIT_FINE && mmcv && !o->common.path[TENSOR_OFFSET])
        status = fault_set(f, EXIT_INPUT, "--offset-gradient mmcv needs --offset");
    return status;
}

int roi_pool_read_options(int argc, char **argv, roi_options *o, fault *f)
{
    static const operator_syntax syntax = {ROI_TENSORS, ROI_REQUIRED, roi_algorithms, ROI_ALGORITHMS, own, read_own};
    *o = (roi_options){.method = CLDEFORM_ROI_ALIGN};
    int status = operator_read_options(&syntax, argc, argv, &o->common, o, f);
    return status == EXIT_FINE && !o->common.help ? check(o, argv[0], f) : status;
}
