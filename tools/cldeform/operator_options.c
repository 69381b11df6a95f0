/* operator_options.c: the options that all operators have, and which files can be asked for. */
#include <stdio.h>
#include <string.h>

#include "operator.h"

static const char *const help[] = {
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
    "                     gflop, deterministic, tuning. Without a file to write it only prints them, as for --output",
    "",
    "Files are read before any is written, so an output may take the place of an input. Two outputs cannot be one "
    "file.",
    "Exit status: 0 done; 1 no device, or OpenCL failed; 2 a wrong file, shape or option, and then no file is touched.",
    NULL,
};

/* The files' options are those before FIRST_COMMON: OPTION_FIRST + the tensor. */
enum {
    FIRST_COMMON = OPTION_FIRST + TENSORS,
    LAYOUT = FIRST_COMMON,
    ALGORITHM,
    DEVICE,
    DETERMINISTIC,
    WORKSPACE_LIMIT,
    PRINT_PLAN,
    LAST_COMMON
};

static const struct option common[] = {
    {"layout", required_argument, NULL, LAYOUT},
    {"algorithm", required_argument, NULL, ALGORITHM},
    {"device", required_argument, NULL, DEVICE},
    {"deterministic", no_argument, NULL, DETERMINISTIC},
    {"workspace-limit", required_argument, NULL, WORKSPACE_LIMIT},
    {"print-plan", no_argument, NULL, PRINT_PLAN},
    {"help", no_argument, NULL, OPTION_HELP},
};

_Static_assert((int)LAST_COMMON <= OPERATOR_OWN, "an operator's own options have values that no common one has");

const number_word operator_layouts[2] = {{"nchw", CLDEFORM_NCHW}, {"nhwc", CLDEFORM_NHWC}};

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define MOST_OWN     16

void operator_print_help(void)
{
    print_lines(help);
}

static int read_option(const operator_syntax *s, operator_options *o, int option, const char *text, fault *f)
{
    if (option >= OPTION_FIRST && option < FIRST_COMMON) {
        o->path[option - OPTION_FIRST] = text;
        return EXIT_FINE;
    }
    switch (option) {
    case LAYOUT:
        return number_read_word("--layout", text, operator_layouts, COUNT(operator_layouts), &o->layout, f);
    case ALGORITHM:
        return number_read_word("--algorithm", text, s->algorithms, s->n_algorithms, &o->algorithm, f);
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

/* "--grad-input, --grad-offset or --grad-mask": those that the operator has. */
static void list_gradients(const operator_syntax *s, char *text, size_t capacity)
{
    int left = 0;
    size_t length = 0;
    for (int i = 0; i < TENSORS; i++)
        left += (s->tensors >> i & 1) && (tensor_table[i].pass & CLDEFORM_BACKWARD);
    for (int i = 0; i < TENSORS && length < capacity; i++) {
        if (!(s->tensors >> i & 1) || !(tensor_table[i].pass & CLDEFORM_BACKWARD))
            continue;
        left--;
        length += (size_t)snprintf(text + length, capacity - length, "--%s%s", tensor_table[i].option,
                                   left > 1    ? ", "
                                   : left == 1 ? " or "
                                               : "");
    }
}

/* Of the files that are asked for: gradients need grad_output, and no file can be two. */
static int check_outputs(const operator_syntax *s, const operator_options *o, fault *f)
{
    int outputs = 0, gradients = 0;
    for (int i = 0; i < TENSORS; i++) {
        const tensor_entry *tensor = &tensor_table[i];
        if (!tensor->pass || !o->path[i])
            continue;
        outputs++;
        if (tensor->pass & CLDEFORM_BACKWARD) {
            gradients++;
            if (!o->path[TENSOR_GRAD_OUTPUT])
                return fault_set(f, EXIT_INPUT, "--%s needs --grad-output", tensor->option);
            if (!o->path[tensor->of] && tensor->of != TENSOR_BIAS)
                return fault_set(f, EXIT_INPUT, "--%s needs --%s", tensor->option, tensor_table[tensor->of].option);
        }
        for (int k = 0; k < i; k++)
            if (tensor_table[k].pass && o->path[k] && strcmp(o->path[k], o->path[i]) == 0)
                return fault_set(f, EXIT_INPUT, "--%s and --%s are both %s, expected a file each",
                                 tensor_table[k].option, tensor->option, o->path[i]);
    }
    if (o->path[TENSOR_GRAD_OUTPUT] && gradients == 0) {
        char known[OPERATOR_WORDS];
        list_gradients(s, known, sizeof known);
        return fault_set(f, EXIT_INPUT, "--grad-output is given but no gradient is asked for, expected %s", known);
    }
    if (outputs == 0 && !o->print_plan)
        return fault_set(f, EXIT_INPUT, "nothing is asked for, expected --output, a gradient or --print-plan");
    return EXIT_FINE;
}

static int check(const operator_syntax *s, const char *command, const operator_options *o, fault *f)
{
    for (int i = 0; i < TENSORS; i++)
        if ((s->required >> i & 1) && !o->path[i])
            return fault_set(f, EXIT_INPUT, "--%s is missing; see \"cldeform %s --help\"", tensor_table[i].option,
                             command);
    return check_outputs(s, o, f);
}

static void list_options(const operator_syntax *s, struct option options[TENSORS + MOST_OWN + COUNT(common) + 1])
{
    size_t n = 0;
    for (int i = 0; i < TENSORS; i++)
        if (s->tensors >> i & 1)
            options[n++] = (struct option){tensor_table[i].option, required_argument, NULL, OPTION_FIRST + i};
    for (const struct option *own = s->own; own->name && own < s->own + MOST_OWN; own++)
        options[n++] = *own;
    memcpy(options + n, common, sizeof common);
    options[n + COUNT(common)] = (struct option){NULL, 0, NULL, 0};
}

int operator_read_options(const operator_syntax *s, int argc, char **argv, operator_options *o, void *own, fault *f)
{
    struct option options[TENSORS + MOST_OWN + COUNT(common) + 1];
    memset(o, 0, sizeof *o);
    list_options(s, options);
    int option = 0;
    while ((option = option_next(argc, argv, options, f)) != OPTION_END) {
        if (option == OPTION_WRONG)
            return f->exit_status;
        int status =
            option >= OPERATOR_OWN ? s->read_own(own, option, optarg, f) : read_option(s, o, option, optarg, f);
        if (status != EXIT_FINE || o->help)
            return status;
    }
    return check(s, argv[0], o, f);
}
