/* tune_options.c: the tune command's options and their help. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "number.h"
#include "tune.h"

static const char *const help[] = {
    "usage: cldeform tune [--output F] [--device D] [--preset NAMES] [--problem STRING]... [OPTION...]",
    "",
    "Finds the parameters of the kernels that are fastest on a device, and writes them as a file that the library "
    "loads:",
    "as options.tuning_file, or where CLDEFORM_TUNING_FILE is its name. From the built-in parameters on, one parameter",
    "after the other gets other values. Each candidate runs in a process of its own, is compared with the reference, "
    "and",
    "is then timed by turns with the best so far; it takes that one's place where it is faster by more than noise, "
    "twice.",
    "One that is wrong, crashes or hangs is counted and left out. At the end the best is compared with the built-in",
    "parameters in the same way: what is not faster beyond noise is not written, but the built-in values instead.",
    "\"Faster\" is of all the layers together, each of equal weight; the file has each one's times before and after.",
    "",
    "what it is tuned for",
    "  --preset NAMES, --file F, --problem STRING",
    "                     layers, as \"cldeform bench --help\" says. Default: r50/c3.1, r50/c4.1, r50/c5.1, x101/c4.1 "
    "and",
    "                     roi/dpool-test; with --quick r50/c4.1 and roi/dpool-test",
    "  --dtype, --offset-dtype, --batch, --layout, --kind, --offset-groups, --offsets",
    "                     as bench's",
    "  --pass LIST        forward,backward (default): backward is all gradients but the bias's",
    "  --device D         as conv2d's",
    "",
    "how",
    "  --parameters LIST  only these, for example conv2d_algorithm,fused_rows; --list names all. Without",
    "                     conv2d_algorithm each algorithm's parameters are tuned for its own sake",
    "  --budget S         seconds after which it stops searching, default 1800, with --quick 300; 0: none. A "
    "comparison",
    "                     that is under way is finished first",
    "  --timeout S        seconds that a candidate may take for a layer until it counts as hung, default 120",
    "  --quick            fewer layers and samples, only the algorithm that is fastest to begin with, and one round",
    "  --list             prints the parameters and the values that are tried on CPUs and GPUs, and does nothing else",
    "",
    "results",
    "  --output F         the file, written whole or not at all, at the end; default: standard output. Lines of "
    "several",
    "                     devices may stand in one file: it replaces F, so join them by hand",
    "",
    "Progress is on standard error. Ctrl-C ends the search: the best so far is compared with the built-in parameters "
    "and",
    "written; a second Ctrl-C ends that too, and nothing is written. CLDEFORM_TUNING_FILE is not read.",
    "Exit status: 0 done, whether something faster was found or not; 1 no device, or OpenCL failed; 2 a wrong file,",
    "problem or option; 3 the built-in parameters give wrong results.",
    "Example: cldeform tune --preset r50 --pass forward --budget 600 --output tuning.txt",
    NULL,
};

/* Overrides have the values OVERRIDE + BENCH_*. */
enum {
    PRESET = OPTION_FIRST,
    FILE_OF_CASES,
    PROBLEM,
    OFFSETS,
    PASS,
    DEVICE,
    PARAMETERS,
    BUDGET,
    TIMEOUT,
    QUICK,
    LIST,
    OUTPUT,
    OVERRIDE
};

static const struct option options[] = {
    {"preset", required_argument, NULL, PRESET},
    {"file", required_argument, NULL, FILE_OF_CASES},
    {"problem", required_argument, NULL, PROBLEM},
    {"offsets", required_argument, NULL, OFFSETS},
    {"pass", required_argument, NULL, PASS},
    {"device", required_argument, NULL, DEVICE},
    {"parameters", required_argument, NULL, PARAMETERS},
    {"budget", required_argument, NULL, BUDGET},
    {"timeout", required_argument, NULL, TIMEOUT},
    {"quick", no_argument, NULL, QUICK},
    {"list", no_argument, NULL, LIST},
    {"output", required_argument, NULL, OUTPUT},
    {"kind", required_argument, NULL, OVERRIDE + BENCH_KIND},
    {"dtype", required_argument, NULL, OVERRIDE + BENCH_DTYPE},
    {"offset-dtype", required_argument, NULL, OVERRIDE + BENCH_OFFSET_DTYPE},
    {"offset-groups", required_argument, NULL, OVERRIDE + BENCH_OFFSET_GROUPS},
    {"batch", required_argument, NULL, OVERRIDE + BENCH_BATCH},
    {"layout", required_argument, NULL, OVERRIDE + BENCH_LAYOUT},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static void print_values(const char *of, const int *values)
{
    printf(" %s", of);
    for (int i = 0; values[i] != TUNE_END; i++)
        printf("%c%d", i ? ',' : ' ', values[i]);
}

static void print_parameters(void)
{
    for (size_t i = 0; i < tune_n_parameters; i++) {
        const tune_parameter *p = &tune_parameters[i];
        printf("%-16s", p->name);
        if (p->unsearched)
            printf(" not searched: %s", p->unsearched);
        else {
            print_values("CPU", p->cpu);
            print_values("  GPU", p->gpu);
        }
        putchar('\n');
    }
}

static int read_parameters(tune_options *o, const char *text, fault *f)
{
    memset(o->wanted, 0, sizeof o->wanted);
    for (const char *at = text; at;) {
        const size_t length = strcspn(at, ","), found = tune_find_parameter(at, length);
        if (found == tune_n_parameters)
            return fault_set(f, EXIT_INPUT, "--parameters has no \"%.*s\", expected some of those that --list prints",
                             (int)length, at);
        if (tune_parameters[found].unsearched)
            return fault_set(f, EXIT_INPUT, "--parameters has \"%.*s\", which is not searched (%s)", (int)length, at,
                             tune_parameters[found].unsearched);
        o->wanted[found] = 1;
        at = at[length] ? at + length + 1 : NULL;
    }
    return EXIT_FINE;
}

/* Seconds; 0 where it may be. */
static int read_seconds(const char *option, const char *text, int or_zero, double *seconds, fault *f)
{
    if (or_zero && strcmp(text, "0") == 0) {
        *seconds = 0;
        return EXIT_FINE;
    }
    return number_read_real(option, text, 1, seconds, f);
}

static int read_value(tune_options *o, int option, const char *text, fault *f)
{
    switch (option) {
    case PRESET:
        o->cases.preset = text;
        return EXIT_FINE;
    case FILE_OF_CASES:
        o->cases.file = text;
        return EXIT_FINE;
    case PROBLEM:
        return bench_add_problem(&o->cases, text, f);
    case OFFSETS:
        return bench_read_offsets(&o->cases, text, f);
    case PASS:
        return bench_read_passes(&o->cases, text, f);
    case DEVICE:
        o->cases.device = text;
        return EXIT_FINE;
    case PARAMETERS:
        return read_parameters(o, text, f);
    case BUDGET:
        return read_seconds("--budget", text, 1, &o->budget, f);
    case TIMEOUT:
        return read_seconds("--timeout", text, 0, &o->timeout, f);
    case OUTPUT:
        o->output = text;
        return EXIT_FINE;
    default:
        o->cases.override[option - OVERRIDE] = text;
        return EXIT_FINE;
    }
}

int tune_read_options(int argc, char **argv, tune_options *o, fault *f)
{
    const double budget = 1800, quick_budget = 300;
    int option = 0;
    *o = (tune_options){.budget = -1, .timeout = 120};
    bench_default_options(argc, argv, &o->cases);
    for (size_t i = 0; i < tune_n_parameters; i++)
        o->wanted[i] = !tune_parameters[i].unsearched;
    while ((option = option_next(argc, argv, options, f)) != OPTION_END) {
        int status = EXIT_FINE;
        if (option == OPTION_WRONG)
            return f->exit_status;
        if (option == OPTION_HELP) {
            o->help = 1;
            print_lines(help);
            return EXIT_FINE;
        }
        if (option == LIST)
            o->list = 1;
        else if (option == QUICK)
            o->quick = 1;
        else
            status = read_value(o, option, optarg, f);
        if (status != EXIT_FINE)
            return status;
    }
    if (o->list)
        print_parameters();
    if (o->budget < 0)
        o->budget = o->quick ? quick_budget : budget;
    if (!o->cases.preset && !o->cases.file && o->cases.n_problems == 0)
        o->cases.preset = o->quick ? "r50/c4.1,roi/dpool-test" : "r50/c3.1,r50/c4.1,r50/c5.1,x101/c4.1,roi/dpool-test";
    return EXIT_FINE;
}

void tune_free_options(tune_options *o)
{
    bench_free_options(&o->cases);
}
