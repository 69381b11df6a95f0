/* gradcheck.c: the gradcheck command: a device's gradients against finite differences of the reference. */
#include "gradcheck.h"

#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "element.h"

static const char *const help[] = {
    "usage: cldeform gradcheck [OPTION...]",
    "",
    "Computes all gradients of a small random problem on a device and compares them with central differences of the",
    "double precision reference's forward pass. Prints the device, the problem, and one line per gradient: its name, "
    "its",
    "type, how many of its elements were checked (of more than 256 a random sample), the largest error relative to the",
    "largest gradient, the limit, and ok or FAIL. No sample lies within a quarter of a pixel of a whole position, "
    "where",
    "the derivative jumps.",
    "",
    "  --device D         platform:device by index as \"cldeform info\" lists them, or any part of a device's or "
    "platform's",
    "                     name without regard to case. Default: what CLDEFORM_DEVICE says, else the first GPU, else "
    "the",
    "                     first CPU",
    "  --dtype fp16|fp32|fp64",
    "                     default: fp32, and fp64 too where the device has it",
    "  --kind deformable|modulated|plain",
    "                     deformable: version 1, with offsets. modulated (default): version 2, with a mask too. plain: "
    "the",
    "                     ordinary convolution",
    "  --layout nchw|nhwc default nchw",
    "  --border zero|edge default zero; see \"cldeform conv2d --help\"",
    "  --offset-gradient strict|open",
    "                     default strict. Both must give the same here: they differ at whole positions only",
    "  --groups N         1 to 8, default 2",
    "  --offset-groups N  1 to 8, default 3; with --kind plain 1",
    "  --seed N           of sizes and data; default 1",
    "  --deterministic    as conv2d's",
    "  --algorithm auto|im2col|fused|tiled",
    "",
    "Exit status: 0 all gradients within their limits; 1 no device, or OpenCL failed; 2 a wrong option; 3 a mismatch.",
    "Example: cldeform gradcheck --kind deformable --layout nhwc --seed 7",
    NULL,
};

enum {
    DEVICE = OPTION_FIRST,
    DTYPE,
    KIND,
    LAYOUT,
    BORDER,
    OFFSET_GRADIENT,
    GROUPS,
    OFFSET_GROUPS,
    SEED,
    DETERMINISTIC,
    ALGORITHM
};

static const struct option options[] = {
    {"device", required_argument, NULL, DEVICE},
    {"dtype", required_argument, NULL, DTYPE},
    {"kind", required_argument, NULL, KIND},
    {"layout", required_argument, NULL, LAYOUT},
    {"border", required_argument, NULL, BORDER},
    {"offset-gradient", required_argument, NULL, OFFSET_GRADIENT},
    {"groups", required_argument, NULL, GROUPS},
    {"offset-groups", required_argument, NULL, OFFSET_GROUPS},
    {"seed", required_argument, NULL, SEED},
    {"deterministic", no_argument, NULL, DETERMINISTIC},
    {"algorithm", required_argument, NULL, ALGORITHM},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static const number_word dtypes[] = {{"fp16", CLDEFORM_F16}, {"fp32", CLDEFORM_F32}, {"fp64", CLDEFORM_F64}};
static const number_word kinds[] = {
    {"deformable", CLDEFORM_CONV2D_DEFORMABLE},
    {"modulated", CLDEFORM_CONV2D_MODULATED},
    {"plain", CLDEFORM_CONV2D_PLAIN},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- options ---- */

/* More groups make a problem that is not small. */
static int read_groups(const char *option, const char *text, int64_t *groups, fault *f)
{
    const int64_t most = 8;
    int count = 0;
    int status = number_read_list(option, text, 1, 1, groups, &count, f);
    if (status == EXIT_FINE && *groups > most)
        return fault_set(f, EXIT_INPUT, "%s is \"%s\", expected a whole number from 1 to %lld", option, text,
                         (long long)most);
    return status;
}

static int read_option(gradcheck_options *o, int option, const char *text, fault *f)
{
    int count = 0;
    switch (option) {
    case DEVICE:
        o->device = text;
        return EXIT_FINE;
    case DTYPE:
        return number_read_word("--dtype", text, dtypes, COUNT(dtypes), &o->dtype, f);
    case KIND:
        return number_read_word("--kind", text, kinds, COUNT(kinds), &o->kind, f);
    case LAYOUT:
        return number_read_word("--layout", text, operator_layouts, COUNT(operator_layouts), &o->layout, f);
    case BORDER:
        return number_read_word("--border", text, conv2d_borders, COUNT(conv2d_borders), &o->border, f);
    case OFFSET_GRADIENT:
        return number_read_word("--offset-gradient", text, conv2d_offset_gradients, COUNT(conv2d_offset_gradients),
                                &o->offset_gradient, f);
    case GROUPS:
        return read_groups("--groups", text, &o->groups, f);
    case OFFSET_GROUPS:
        return read_groups("--offset-groups", text, &o->offset_groups, f);
    case SEED:
        return number_read_list("--seed", text, 0, 1, &o->seed, &count, f);
    case ALGORITHM:
        return number_read_word("--algorithm", text, conv2d_algorithms, CONV2D_ALGORITHMS, &o->algorithm, f);
    case DETERMINISTIC:
        o->deterministic = 1;
        return EXIT_FINE;
    default:
        o->help = 1;
        return EXIT_FINE;
    }
}

/* What the options must be to each other. */
static int check(const gradcheck_options *o, fault *f)
{
    int edge = o->border == CLDEFORM_BORDER_EDGE, open = o->offset_gradient == CLDEFORM_OFFSET_GRADIENT_OPEN;
    if (edge && open)
        return fault_set(f, EXIT_INPUT, CONV2D_NOT_OPEN);
    if (o->kind != CLDEFORM_CONV2D_PLAIN)
        return EXIT_FINE;
    const char *wrong = edge                   ? "--border edge"
                        : open                 ? "--offset-gradient open"
                        : o->offset_groups > 1 ? "--offset-groups"
                                               : NULL;
    if (wrong)
        return fault_set(f, EXIT_INPUT, "%s needs offsets, expected --kind deformable or modulated", wrong);
    return EXIT_FINE;
}

static int read_options(int argc, char **argv, gradcheck_options *o, fault *f)
{
    *o = (gradcheck_options){.kind = CLDEFORM_CONV2D_MODULATED, .groups = 2, .seed = 1};
    int option = 0;
    while ((option = option_next(argc, argv, options, f)) != OPTION_END) {
        if (option == OPTION_WRONG)
            return f->exit_status;
        int status = read_option(o, option, optarg, f);
        if (status != EXIT_FINE || o->help)
            return status;
    }
    int status = check(o, f);
    if (o->offset_groups == 0)
        o->offset_groups = o->kind == CLDEFORM_CONV2D_PLAIN ? 1 : 3;
    return status;
}

/* ---- one type ---- */

/* Relative to the tensor's largest gradient. A gradient here is a sum of at most a few hundred terms of either sign,
 * each rounded a few times: about 20 roundings off. fp32 rounds by 2^-24, and ten times that is allowed. fp16 is
 * computed so, and then rounded once, by 2^-11. fp64 rounds by 2^-53, and so does the reference, whose differences are
 * divided by a quarter: what is allowed is far above both, and far below what any fp32 in between would show. */
static double find_limit(cldeform_dtype dtype)
{
    const double fp32 = 1e-5;
    return dtype == CLDEFORM_F64 ? 1e-11 : dtype == CLDEFORM_F16 ? 0x1p-11 + fp32 : fp32;
}

static void print_problem(const conv2d_data *d)
{
    const cldeform_conv2d_problem *p = &d->problem;
    char input[NPY_TEXT_SIZE], weight[NPY_TEXT_SIZE];
    const npy_array *i = &d->array[TENSOR_INPUT], *w = &d->array[TENSOR_WEIGHT];
    printf("problem: %s, input %s, weight %s, stride %lld,%lld, pad %lld,%lld,%lld,%lld, dilation %lld,%lld, "
           "groups %lld, offset groups %lld, %s, border %s\n",
           kinds[p->kind].word, npy_shape_text(i->rank, i->shape, input), npy_shape_text(w->rank, w->shape, weight),
           (long long)p->stride_h, (long long)p->stride_w, (long long)p->pad_top, (long long)p->pad_left,
           (long long)p->pad_bottom, (long long)p->pad_right, (long long)p->dilation_h, (long long)p->dilation_w,
           (long long)p->groups, (long long)p->offset_groups, operator_layouts[p->layout].word,
           conv2d_borders[p->border].word);
    fflush(stdout);
}

/* *mismatches grows by the lines that end in FAIL. */
static int check_gradients(const gradcheck_options *o, const conv2d_data *d, int *mismatches, fault *f)
{
    const cldeform_dtype dtype = d->problem.dtype;
    const double limit = find_limit(dtype);
    for (int i = 0; i < TENSORS; i++) {
        gradcheck_result r;
        if (!(tensor_table[i].pass & d->problem.passes))
            continue;
        int status = gradcheck_compare(d, i, o->seed, &r, f);
        if (status != EXIT_FINE)
            return status;
        int fine = r.error <= limit; /* NaN is not */
        *mismatches += !fine;
        printf("%-11s  %s  checked %zu of %zu  largest error %.2e  limit %.2e  %s", tensor_table[i].name,
               element_name(dtype), r.checked, d->array[i].elements, r.error, limit, fine ? "ok\n" : "FAIL: ");
        if (!fine)
            printf("element %zu is %.9g, the difference %.9g\n", r.worst, r.found, r.expected);
        fflush(stdout); /* the next one takes a while */
    }
    return EXIT_FINE;
}

static int check_dtype(const gradcheck_options *o, const operator_device *device, cldeform_dtype dtype, int first,
                       int *mismatches, fault *f)
{
    conv2d_data d = {0};
    int status = gradcheck_draw(o, dtype, &d, f);
    if (status == EXIT_FINE && first)
        print_problem(&d);
    if (status == EXIT_FINE)
        status = operator_run_device(device, &(operator_work){&conv2d_calls, &d, d.array, d.problem.passes, 0}, f);
    if (status == EXIT_FINE)
        status = check_gradients(o, &d, mismatches, f);
    tensors_free(d.array);
    return status;
}

/* ---- all of them ---- */

static int run(const gradcheck_options *o, fault *f)
{
    operator_device device = {0};
    cldeform_dtype wanted[2] = {CLDEFORM_F32, CLDEFORM_F64};
    int n_wanted = 2, mismatches = 0;
    char *name = NULL;
    int status = operator_open_device(&device, o->device, f);
    if (status != EXIT_FINE)
        goto done;
    name = device_text(&device.session.list, device.session.device);
    if (!name) {
        status = fault_memory(f);
        goto done;
    }
    printf("device: %s\n", name);
    if (o->dtype != CLDEFORM_DTYPE_DEFAULT) {
        wanted[0] = (cldeform_dtype)o->dtype;
        n_wanted = 1;
    } else if (!device_has_extension(device.session.device->id, "cl_khr_fp64")) {
        n_wanted = 1;
    }
    for (int i = 0; i < n_wanted && status == EXIT_FINE; i++)
        status = check_dtype(o, &device, wanted[i], i == 0, &mismatches, f);
    if (status == EXIT_FINE && mismatches > 0)
        status = fault_set(f, EXIT_MISMATCH, "%d %s from the finite differences on %s", mismatches,
                           mismatches == 1 ? "gradient differs" : "gradients differ", name);
done:
    free(name);
    operator_close_device(&device);
    return status;
}

int command_gradcheck(int argc, char **argv, fault *f)
{
    gradcheck_options o;
    int status = read_options(argc, argv, &o, f);
    if (status != EXIT_FINE || !o.help)
        return status == EXIT_FINE ? run(&o, f) : status;
    print_lines(help);
    return EXIT_FINE;
}
