/* conv2d_options.c: the conv2d command's options and their help. */
#include "conv2d.h"

static const char *const help[] = {
    "usage: cldeform conv2d --input F --weight F [--offset F [--mask F]] [--bias F] [--output F]",
    "                       [--grad-output F [--grad-input F] [--grad-weight F] [--grad-offset F] [--grad-mask F]",
    "                       [--grad-bias F]] [OPTION...]",
    "",
    "Deformable convolution and its gradients. F is a NumPy .npy file: C order, little endian, '<f2', '<f4' or '<f8'. "
    "The",
    "input's type is the type of the computation and of every file ('<f2' is storage: the arithmetic is fp32), except "
    "that",
    "offset and mask may be '<f4' with '<f2' data. Arrays with an empty batch are legal. At least one file to write, "
    "or",
    "--print-plan, is asked for; all of them are written after everything is computed.",
    "",
    "files and their shapes",
    "  --input F          (N,C,H,W); with --layout nhwc (N,H,W,C)",
    "  --weight F         (O,C/groups,kh,kw) in both layouts",
    "  --offset F         (N,2*offset_groups*kh*kw,oh,ow) in both layouts, in input pixels; channel 2*(g*kh*kw + i*kw "
    "+ j)",
    "                     is y, the next one x, of tap (i,j) in offset group g. Without it: the ordinary convolution",
    "  --mask F           (N,offset_groups*kh*kw,oh,ow) in both layouts: each sample is multiplied by it. Needs "
    "--offset.",
    "                     Without it: version 1, all ones",
    "  --bias F           (O). Without it: 0",
    "  --output F         is written: (N,O,oh,ow); with --layout nhwc (N,oh,ow,O).",
    "                     oh = (T + H + B - dilation*(kh-1) - 1) / stride + 1, rounded down; ow alike",
    "  --grad-output F    a loss's gradient with respect to the output, of the output's shape. Without it no gradients",
    "  --grad-input F, --grad-weight F, --grad-offset F, --grad-mask F, --grad-bias F",
    "                     are written, those that are given: the loss's gradients with respect to these tensors, in "
    "shape and",
    "                     type the tensors' own. --grad-offset needs --offset, --grad-mask needs --mask; --grad-bias "
    "is "
    "(O)",
    "                     and does without --bias",
    "",
    "problem",
    "  --stride H[,W]     default 1; one number is both",
    "  --pad T[,L[,B,R]]  default 0; one number pads all sides, two are top = bottom and left = right, four are top, "
    "left,",
    "                     bottom, right",
    "  --dilation H[,W]   default 1; one number is both",
    "  --groups N         default: C divided by the weight's second size",
    "  --offset-groups N  default: the offset's channels divided by 2*kh*kw",
    "  --border zero|edge what a sample near the border is. zero (default): pixels outside are 0, so that samples fade "
    "out",
    "                     within one pixel (PyTorch, mmcv, ONNX). edge: samples outside [0,H) x [0,W) are 0, and "
    "beyond the",
    "                     last pixel's centre the image is constant (the first MXNet operator, OpenVINO). Needs "
    "--offset",
    "  --offset-gradient strict|open",
    "                     the offset's gradient where a sample lies exactly one pixel above or left of the image. "
    "strict",
    "                     (default): 0 (mmcv, MXNet). open: that towards the image (PyTorch); not with --border edge. "
    "Needs",
    "                     --offset",
    "  --layout nchw|nhwc of input, output and their gradients; default nchw",
    "",
    "computation",
    "  --algorithm auto|im2col|fused|tiled|reference",
    "                     auto (default): the library chooses. im2col: column buffer and matrix product. reference: "
    "plain",
    "                     loops on the host in double precision, rounded once; needs no OpenCL device, ignores the "
    "options",
    "                     below",
    NULL,
};

static const char *const example[] = {
    "Example: cldeform conv2d --input x.npy --weight w.npy --offset o.npy --mask m.npy --pad 1 --output y.npy",
    NULL,
};

enum { STRIDE = OPERATOR_OWN, PAD, DILATION, GROUPS, OFFSET_GROUPS, BORDER, OFFSET_GRADIENT };

static const struct option own[] = {
    {"stride", required_argument, NULL, STRIDE},
    {"pad", required_argument, NULL, PAD},
    {"dilation", required_argument, NULL, DILATION},
    {"groups", required_argument, NULL, GROUPS},
    {"offset-groups", required_argument, NULL, OFFSET_GROUPS},
    {"border", required_argument, NULL, BORDER},
    {"offset-gradient", required_argument, NULL, OFFSET_GRADIENT},
    {NULL, 0, NULL, 0},
};

const number_word conv2d_borders[2] = {{"zero", CLDEFORM_BORDER_ZERO}, {"edge", CLDEFORM_BORDER_EDGE}};
const number_word conv2d_offset_gradients[2] = {
    {"strict", CLDEFORM_OFFSET_GRADIENT_STRICT},
    {"open", CLDEFORM_OFFSET_GRADIENT_OPEN},
};
const number_word conv2d_algorithms[CONV2D_ALGORITHMS + 1] = {
    {"auto", CLDEFORM_ALGORITHM_AUTO},   {"im2col", CLDEFORM_ALGORITHM_IM2COL}, {"fused", CLDEFORM_ALGORITHM_FUSED},
    {"tiled", CLDEFORM_ALGORITHM_TILED}, {"reference", OPERATOR_REFERENCE},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

void conv2d_print_help(void)
{
    print_lines(help);
    operator_print_help();
    print_lines(example);
}

static int read_pad(const char *text, int64_t pad[4], fault *f)
{
    int count = 0;
    int status = number_read_list("--pad", text, 0, 4, pad, &count, f);
    if (status != EXIT_FINE)
        return status;
    if (count == 3)
        return fault_set(f, EXIT_INPUT, "--pad is \"%s\", three numbers; expected T, or T,L, or T,L,B,R", text);
    if (count == 1)
        pad[1] = pad[0];
    if (count <= 2) {
        pad[2] = pad[0];
        pad[3] = pad[1];
    }
    return EXIT_FINE;
}

static int read_own(void *options, int option, const char *text, fault *f)
{
    conv2d_options *o = options;
    int count = 0;
    switch (option) {
    case STRIDE:
        return number_read_pair("--stride", text, 1, o->stride, f);
    case PAD:
        return read_pad(text, o->pad, f);
    case DILATION:
        return number_read_pair("--dilation", text, 1, o->dilation, f);
    case GROUPS:
        return number_read_list("--groups", text, 1, 1, &o->groups, &count, f);
    case OFFSET_GROUPS:
        return number_read_list("--offset-groups", text, 1, 1, &o->offset_groups, &count, f);
    case BORDER:
        return number_read_word("--border", text, conv2d_borders, COUNT(conv2d_borders), &o->border, f);
    default:
        return number_read_word("--offset-gradient", text, conv2d_offset_gradients, COUNT(conv2d_offset_gradients),
                                &o->offset_gradient, f);
    }
}

/* What the options must be to each other, before any file is opened. */
static int check(const conv2d_options *o, fault *f)
{
    int open = o->offset_gradient == CLDEFORM_OFFSET_GRADIENT_OPEN;
    if (open && o->border == CLDEFORM_BORDER_EDGE)
        return fault_set(f, EXIT_INPUT, CONV2D_NOT_OPEN);
    if (o->common.path[TENSOR_OFFSET])
        return EXIT_FINE;
    if (o->common.path[TENSOR_MASK])
        return fault_set(f, EXIT_INPUT, "--mask needs --offset");
    if (o->offset_groups > 0)
        return fault_set(f, EXIT_INPUT, "--offset-groups needs --offset");
    if (o->border == CLDEFORM_BORDER_EDGE)
        return fault_set(f, EXIT_INPUT, "--border edge needs --offset: the ordinary convolution pads with zeros");
    if (open)
        return fault_set(f, EXIT_INPUT, "--offset-gradient open needs --offset");
    return EXIT_FINE;
}

int conv2d_read_options(int argc, char **argv, conv2d_options *o, fault *f)
{
    static const operator_syntax syntax = {
        .tensors = TENSORS_ALL & ~(1u << TENSOR_ROIS),
        .required = 1u << TENSOR_INPUT | 1u << TENSOR_WEIGHT,
        .algorithms = conv2d_algorithms,
        .n_algorithms = COUNT(conv2d_algorithms),
        .own = own,
        .read_own = read_own,
    };
    *o = (conv2d_options){.stride = {1, 1}, .dilation = {1, 1}};
    int status = operator_read_options(&syntax, argc, argv, &o->common, o, f);
    return status == EXIT_FINE && !o->common.help ? check(o, f) : status;
}
