/* main.c: finds the command, prints its fault. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "cldeform/cldeform.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv, fault *f);
} commands[] = {
    {"info", command_info},         {"selftest", command_selftest},     {"conv2d", command_conv2d},
    {"roi-pool", command_roi_pool}, {"psroi-pool", command_psroi_pool}, {"gradcheck", command_gradcheck},
    {"bench", command_bench},       {"compare", command_compare},
};

static const char *const help[] = {
    "usage: cldeform COMMAND [OPTION...]",
    "",
    "  info        OpenCL platforms and devices, what the library can use of each, what to fix when there is none",
    "  selftest    compares every kernel with the reference on a device",
    "  conv2d      deformable convolution of tensors in NumPy .npy files, and its gradients",
    "  roi-pool    deformable RoI pooling of tensors in .npy files, RoIAlign and RoI pooling (max), and their "
    "gradients",
    "  psroi-pool  deformable and plain position-sensitive RoI pooling of tensors in .npy files, and their gradients",
    "  gradcheck   compares a device's gradients with finite differences of the reference",
    "  bench       times the operators on a device, after comparing their results with the reference",
    "  compare     compares result files of the benchmark: what is faster and slower, or a table of devices and "
    "programs",
    "",
    "  cldeform COMMAND --help    the command's options",
    "  cldeform --version",
    "",
    "Exit status: 0 done; 1 no device, or OpenCL failed; 2 a wrong file, shape or option; 3 a mismatch, or slower.",
    "Environment: CLDEFORM_DEVICE is the device where --device is not given. CLDEFORM_CACHE_DIR and "
    "CLDEFORM_TUNING_FILE",
    "  are where the library keeps compiled kernels and finds tuning parameters: see \"cldeform info\".",
    NULL,
};

void print_lines(const char *const *lines)
{
    for (; *lines; lines++)
        puts(*lines);
}

int option_next_with_words(int argc, char **argv, const struct option *options, fault *f)
{
    opterr = 0; /* getopt would print messages of its own form */
    const char *word = optind < argc ? argv[optind] : "";
    int index = -1;
    int answer = getopt_long(argc, argv, ":h", options, &index);
    if (index >= 0 && strncmp(word, "--", 2) == 0 && strcspn(word + 2, "=") != strlen(options[index].name)) {
        /* an abbreviation, which a later version's options might make ambiguous */
        fault_set(f, EXIT_INPUT, "unknown option %s; see \"cldeform %s --help\"", word, argv[0]);
        return OPTION_WRONG;
    }
    if (answer == 'h')
        return OPTION_HELP;
    if (answer != ':' && answer != '?')
        return answer;
    const char *given = argv[optind - 1];
    if (answer == ':')
        fault_set(f, EXIT_INPUT, "option %s needs a value; see \"cldeform %s --help\"", given, argv[0]);
    else if (optopt >= OPTION_HELP)
        fault_set(f, EXIT_INPUT, "option %s takes no value; see \"cldeform %s --help\"", given, argv[0]);
    else if (optopt > 0)
        fault_set(f, EXIT_INPUT, "unknown option -%c; see \"cldeform %s --help\"", optopt, argv[0]);
    else
        fault_set(f, EXIT_INPUT, "unknown or ambiguous option %s; see \"cldeform %s --help\"", given, argv[0]);
    return OPTION_WRONG;
}

int option_next(int argc, char **argv, const struct option *options, fault *f)
{
    int answer = option_next_with_words(argc, argv, options, f);
    if (answer == OPTION_END && optind < argc) {
        fault_set(f, EXIT_INPUT, "unexpected argument \"%s\"; see \"cldeform %s --help\"", argv[optind], argv[0]);
        return OPTION_WRONG;
    }
    return answer;
}

static int run(int argc, char **argv, fault *f)
{
    if (argc < 2)
        return fault_set(f, EXIT_INPUT, "no command; see \"cldeform --help\"");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1, f);
    int alone = argc == 2;
    if (alone && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_lines(help);
        return EXIT_FINE;
    }
    if (alone && strcmp(argv[1], "--version") == 0) {
        int version = cldeform_version();
        printf("cldeform %d.%d.%d\n", version / 10000, version / 100 % 100, version % 100);
        return EXIT_FINE;
    }
    return fault_set(f, EXIT_INPUT, "unknown command \"%s\"; see \"cldeform --help\"", argv[1]);
}

int main(int argc, char **argv)
{
    fault f = {0};
    int status = run(argc, argv, &f);
    int lost = fflush(stdout) != 0 || ferror(stdout);
    if (status == EXIT_FINE && lost)
        status = fault_set(&f, EXIT_DEVICE, "standard output cannot be written");
    if (status != EXIT_FINE)
        fault_print(&f, "cldeform");
    return status;
}
