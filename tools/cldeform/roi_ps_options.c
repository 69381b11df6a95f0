/* roi_ps_options.c: the psroi-pool command's options and their help. */
#include "roi.h"

static const char *const help[] = {
    "usage: cldeform psroi-pool --input F --rois F --output-dim N --output-size H[,W] --spatial-scale S",
    "                           [--mode deformable|plain] [--offset F] [--mask F] [--output F]",
    "                           [--grad-output F [--grad-input F] [--grad-offset F] [--grad-mask F]] [OPTION...]",
    "",
    "Deformable position-sensitive RoI pooling and its gradients. F is a NumPy .npy file: C order, little endian, "
    "'<f2',",
    "'<f4' or '<f8'. The input's type is the type of the computation and of every file ('<f2' is storage: the "
    "arithmetic is",
    "fp32), except that rois are '<f4' or '<f8', and that offset and mask may be '<f4' with '<f2' data. No RoIs, "
    "(0,5), "
    "and",
    "an empty batch are legal. At least one file to write, or --print-plan, is asked for; all of them are written "
    "after",
    "everything is computed.",
    "",
    "files and their shapes",
    "  --input F          (N,C,H,W), C = output-dim*group*group; with --layout nhwc (N,H,W,C). Channel (d*group + "
    "gh)*group + gw",
    "                     is pooled into channel d of the bins in row gh and column gw of the groups",
    "  --rois F           (R,5): batch index, x1, y1, x2, y2 in image pixels, which are rounded; x2 and y2 are the "
    "last "
    "pixels.",
    "                     A RoI whose batch index is not one of the input's, or that is not finite, pools zeros",
    "  --offset F         (R,2*classes,part_h,part_w) in both layouts: each part is shifted by trans-std * the RoI's "
    "size * the",
    "                     offset; channel 2*class is x, the next one y. classes divides output-dim. Without it: not "
    "shifted",
    "  --mask F           (R,1,ph,pw) in both layouts: each bin is multiplied by it. Without it: all ones",
    "  --output F         is written: (R,output-dim,ph,pw); with --layout nhwc (R,ph,pw,output-dim)",
    "  --grad-output F    a loss's gradient with respect to the output, of the output's shape. Without it no gradients",
    "  --grad-input F, --grad-offset F, --grad-mask F",
    "                     are written, those that are given: the loss's gradients with respect to these tensors, in "
    "shape and",
    "                     type the tensors' own. --grad-offset needs --offset, --grad-mask needs --mask",
    "",
    "problem",
    "  --output-dim N     channels of the output",
    "  --output-size H[,W]",
    "                     ph, pw: bins of a RoI; one number is both",
    "  --spatial-scale S  feature pixels per image pixel, as 0.0625",
    "  --mode deformable|plain",
    "                     deformable (default): each bin is the average of bilinear samples. plain: PS RoI pooling of "
    "R-FCN,",
    "                     the average of a bin's pixels; it has no --offset, --mask, --part-size, --sample-per-part "
    "and",
    "                     --trans-std",
    "  --group-size N     rows and columns of channels; 1: not position-sensitive. Default: the root of C/output-dim",
    "  --part-size H[,W]  rows and columns of the offset; one number is both. Default: the output size",
    "  --sample-per-part H[,W]",
    "                     samples per bin and axis; one number is both. Default: 4",
    "  --trans-std S      unit of the offsets in RoI widths and heights, not 0; default 0.1. Without --offset it and",
    "                     --part-size do nothing",
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
    "Example: cldeform psroi-pool --input x.npy --rois r.npy --output-dim 21 --output-size 7 --spatial-scale 0.0625 "
    "--output y.npy",
    NULL,
};

enum { MODE = OPERATOR_OWN, OUTPUT_DIM, OUTPUT_SIZE, SPATIAL_SCALE, GROUP_SIZE, PART_SIZE, SAMPLE_PER_PART, TRANS_STD };

static const struct option own[] = {
    {"mode", required_argument, NULL, MODE},
    {"output-dim", required_argument, NULL, OUTPUT_DIM},
    {"output-size", required_argument, NULL, OUTPUT_SIZE},
    {"spatial-scale", required_argument, NULL, SPATIAL_SCALE},
    {"group-size", required_argument, NULL, GROUP_SIZE},
    {"part-size", required_argument, NULL, PART_SIZE},
    {"sample-per-part", required_argument, NULL, SAMPLE_PER_PART},
    {"trans-std", required_argument, NULL, TRANS_STD},
    {NULL, 0, NULL, 0},
};

static const number_word modes[] = {{"deformable", CLDEFORM_ROI_PS_ALIGN}, {"plain", CLDEFORM_ROI_PS}};

#define COUNT(array) (sizeof(array) / sizeof *(array))

void roi_ps_print_help(void)
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
    case OUTPUT_DIM:
        return number_read_list("--output-dim", text, 1, 1, &o->output_dim, &count, f);
    case OUTPUT_SIZE:
        return number_read_pair("--output-size", text, 1, o->output_size, f);
    case SPATIAL_SCALE:
        return number_read_real("--spatial-scale", text, 1, &o->spatial_scale, f);
    case GROUP_SIZE:
        return number_read_list("--group-size", text, 1, 1, &o->group_size, &count, f);
    case PART_SIZE:
        return number_read_pair("--part-size", text, 1, o->part_size, f);
    case SAMPLE_PER_PART:
        return number_read_pair("--sample-per-part", text, 1, o->samples, f);
    default:
        return number_read_real("--trans-std", text, 0, &o->offset_scale, f);
    }
}

/* What the options must be to each other, before any file is opened. */
static int check(const roi_options *o, const char *command, fault *f)
{
    const roi_mode_option of_deformable[] = {
        {o->common.path[TENSOR_OFFSET] != NULL, "--offset"},
        {o->common.path[TENSOR_MASK] != NULL, "--mask"},
        {o->part_size[0] > 0, "--part-size"},
        {o->samples[0] > 0, "--sample-per-part"},
        {o->offset_scale < 0 || o->offset_scale > 0, "--trans-std"},
    };
    if (o->output_dim == 0)
        return fault_set(f, EXIT_INPUT, "--output-dim is missing; see \"cldeform %s --help\"", command);
    int status = roi_check_required(o, command, f);
    if (status == EXIT_FINE && o->method == CLDEFORM_ROI_PS)
        status = roi_check_mode(of_deformable, COUNT(of_deformable), "--mode deformable", f);
    return status;
}

int roi_ps_read_options(int argc, char **argv, roi_options *o, fault *f)
{
    static const operator_syntax syntax = {ROI_TENSORS, ROI_REQUIRED, roi_algorithms, ROI_ALGORITHMS, own, read_own};
    *o = (roi_options){.method = CLDEFORM_ROI_PS_ALIGN};
    int status = operator_read_options(&syntax, argc, argv, &o->common, o, f);
    return status == EXIT_FINE && !o->common.help ? check(o, argv[0], f) : status;
}
