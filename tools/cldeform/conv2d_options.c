/* conv2d_options.c: the conv2d command's options and their help. */
#include "conv2d.h"

#include <string.h>

#include "command.h"
#include "number.h"

static const char *const help[] = {
    "usage: cldeform conv2d --input F --weight F [--offset F [--mask F]] [--bias F] --output F [OPTION...]",
    "",
    "Deformable convolution, forward. F is a NumPy .npy file: C order, little endian, '<f2', '<f4' or '<f8'. The "
    "input's",
    "type is the type of the computation and of every file ('<f2' is storage: the arithmetic is fp32), except that "
    "offset",
    "and mask may be '<f4' with '<f2' data. Arrays with an empty batch are legal.",
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
    "  --output F         is written: (N,O,oh,ow); with --layout nhwc (N,oh,ow,O). May be left out with --print-plan.",
    "                     oh = (T + H + B - dilation*(kh-1) - 1) / stride + 1, rounded down; ow alike",
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
    "  --layout nchw|nhwc of input and output; default nchw",
    "",
    "computation",
    "  --algorithm auto|im2col|reference",
    "                     auto (default): the library chooses. im2col: column buffer and matrix product. reference: "
    "plain",
    "                     loops on the host in double precision, rounded once; needs no OpenCL device, ignores the "
    "options",
    "                     below",
    "  --device D         platform:device by index as \"cldeform info\" lists them, or any part of a device's or "
    "platform's",
    "                     name without regard to case. Default: what CLDEFORM_DEVICE says, else the first GPU, else "
    "the",
    "                     first CPU",
    "  --deterministic    the same result to the bit from run to run, at any workspace limit",
    "  --workspace-limit BYTES",
    "                     of device memory for intermediate results, with K, M or G for powers of 1024; 0 (default): "
    "no",
    "                     limit but the device's. Below the least that works is an error that names it",
    "  --print-plan       prints lines \"key: value\" before it runs: device, algorithm, reason, dtype, "
    "workspace_bytes,",
    "                     gflop, deterministic, tuning. Without --output it only prints them",
    "",
    "Exit status: 0 done; 1 no device, or OpenCL failed; 2 a wrong file, shape or option, and then no file is touched.",
    "Example: cldeform conv2d --input x.npy --weight w.npy --offset o.npy --mask m.npy --pad 1 --output y.npy",
    NULL,
};

enum {
    INPUT = OPTION_FIRST,
    WEIGHT,
    OFFSET,
    MASK,
    BIAS,
    OUTPUT,
    STRIDE,
    PAD,
    DILATION,
    GROUPS,
    OFFSET_GROUPS,
    BORDER,
    LAYOUT,
    ALGORITHM,
    DEVICE,
    DETERMINISTIC,
    WORKSPACE_LIMIT,
    PRINT_PLAN
};

static const struct option options[] = {
    {"input", required_argument, NULL, INPUT},
    {"weight", required_argument, NULL, WEIGHT},
    {"offset", required_argument, NULL, OFFSET},
    {"mask", required_argument, NULL, MASK},
    {"bias", required_argument, NULL, BIAS},
    {"output", required_argument, NULL, OUTPUT},
    {"stride", required_argument, NULL, STRIDE},
    {"pad", required_argument, NULL, PAD},
    {"dilation", required_argument, NULL, DILATION},
    {"groups", required_argument, NULL, GROUPS},
    {"offset-groups", required_argument, NULL, OFFSET_GROUPS},
    {"border", required_argument, NULL, BORDER},
    {"layout", required_argument, NULL, LAYOUT},
    {"algorithm", required_argument, NULL, ALGORITHM},
    {"device", required_argument, NULL, DEVICE},
    {"deterministic", no_argument, NULL, DETERMINISTIC},
    {"workspace-limit", required_argument, NULL, WORKSPACE_LIMIT},
    {"print-plan", no_argument, NULL, PRINT_PLAN},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static const number_word borders[] = {{"zero", CLDEFORM_BORDER_ZERO}, {"edge", CLDEFORM_BORDER_EDGE}};
static const number_word layouts[] = {{"nchw", CLDEFORM_NCHW}, {"nhwc", CLDEFORM_NHWC}};
static const number_word algorithms[] = {
    {"auto", CLDEFORM_ALGORITHM_AUTO},
    {"im2col", CLDEFORM_ALGORITHM_IM2COL},
    {"reference", CONV2D_REFERENCE},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

void conv2d_print_help(void)
{
    print_lines(help);
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

/* Which of the options that take a file has this value; NULL for the others. */
static const char **find_path(conv2d_options *o, int option)
{
    switch (option) {
    case INPUT:
        return &o->input;
    case WEIGHT:
        return &o->weight;
    case OFFSET:
        return &o->offset;
    case MASK:
        return &o->mask;
    case BIAS:
        return &o->bias;
    case OUTPUT:
        return &o->output;
    default:
        return NULL;
    }
}

static int read_option(conv2d_options *o, int option, const char *text, fault *f)
{
    int count = 0;
    const char **path = find_path(o, option);
    if (path) {
        *path = text;
        return EXIT_FINE;
    }
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
        return number_read_word("--border", text, borders, COUNT(borders), &o->border, f);
    case LAYOUT:
        return number_read_word("--layout", text, layouts, COUNT(layouts), &o->layout, f);
    case ALGORITHM:
        return number_read_word("--algorithm", text, algorithms, COUNT(algorithms), &o->algorithm, f);
    case DEVICE:
        o->device = text;
        return EXIT_FINE;
    case WORKSPACE_LIMIT:
        return number_read_bytes("--workspace-limit", text, &o->workspace_limit, f);
    case DETERMINISTIC:
        o->deterministic = 1;
        return EXIT_FINE;
    case PRINT_PLAN:
        o->print_plan = 1;
        return EXIT_FINE;
    default:
        o->help = 1;
        return EXIT_FINE;
    }
}

/* What the options must be to each other, before any file is opened. */
static int check(const conv2d_options *o, fault *f)
{
    if (!o->input)
        return fault_set(f, EXIT_INPUT, "--input is missing; see \"cldeform conv2d --help\"");
    if (!o->weight)
        return fault_set(f, EXIT_INPUT, "--weight is missing; see \"cldeform conv2d --help\"");
    if (!o->output && !o->print_plan)
        return fault_set(f, EXIT_INPUT, "nothing is asked for, expected --output or --print-plan");
    if (o->offset)
        return EXIT_FINE;
    if (o->mask)
        return fault_set(f, EXIT_INPUT, "--mask needs --offset");
    if (o->offset_groups > 0)
        return fault_set(f, EXIT_INPUT, "--offset-groups needs --offset");
    if (o->border == CLDEFORM_BORDER_EDGE)
        return fault_set(f, EXIT_INPUT, "--border edge needs --offset: the ordinary convolution pads with zeros");
    return EXIT_FINE;
}

int conv2d_read_options(int argc, char **argv, conv2d_options *o, fault *f)
{
    memset(o, 0, sizeof *o);
    o->stride[0] = o->stride[1] = o->dilation[0] = o->dilation[1] = 1;
    int option = 0;
    while ((option = option_next(argc, argv, options, f)) != OPTION_END) {
        if (option == OPTION_WRONG)
            return f->exit_status;
        int status = read_option(o, option, optarg, f);
        if (status != EXIT_FINE || o->help)
            return status;
    }
    return check(o, f);
}
