/* main.c: finds the command, prints its fault. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "cldeform/cldeform.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv, fault *f);
} commands[] = {
    {"info", command_info},
    {"selftest", command_selftest},
    {"conv2d", command_conv2d},
    {"roi-pool", command_roi_pool},
    {"psroi-pool", command_psroi_pool},
    {"gradcheck", command_gradcheck},
    {"bench", command_bench},
    {"tune", command_tune},
    {"compare", command_compare},
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
    "  tune        finds the kernels' parameters that are fastest on a device, and writes a file that the library "
    "loads",
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
