/* conv2d.c: the conv2d command: options, files, computation, output. */
#include "conv2d.h"

#include <stdio.h>

#include "command.h"

int conv2d_print_plan(const char *device, const json_t *plan, fault *f)
{
    static const char *const keys[] = {"algorithm", "reason",        "dtype", "workspace_bytes",
                                       "gflop",     "deterministic", "tuning"};
    printf("device: %s\n", device);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *value = json_object_get(plan, keys[i]);
        if (json_is_string(value))
            printf("%s: %s\n", keys[i], json_string_value(value));
        else if (json_is_integer(value))
            printf("%s: %lld\n", keys[i], (long long)json_integer_value(value));
        else if (json_is_real(value))
            printf("%s: %.6g\n", keys[i], json_real_value(value));
        else if (json_is_boolean(value))
            printf("%s: %s\n", keys[i], json_is_true(value) ? "true" : "false");
        else
            return fault_set(f, EXIT_DEVICE, "the library's plan lacks \"%s\"", keys[i]);
    }
    fflush(stdout); /* before it runs: it may run long, or not to its end */
    return EXIT_FINE;
}

int command_conv2d(int argc, char **argv, fault *f)
{
    conv2d_options o;
    conv2d_data d = {0};
    int status = conv2d_read_options(argc, argv, &o, f);
    if (status == EXIT_FINE && o.help) {
        conv2d_print_help();
        return EXIT_FINE;
    }
    if (status == EXIT_FINE)
        status = conv2d_load(&o, &d, f);
    if (status == EXIT_FINE)
        status = o.algorithm == CONV2D_REFERENCE ? conv2d_run_reference(&o, &d, f) : conv2d_run_device(&o, &d, f);
    if (status == EXIT_FINE && o.output)
        status = npy_write(o.output, &d.output, f);
    conv2d_free_data(&d);
    return status;
}
