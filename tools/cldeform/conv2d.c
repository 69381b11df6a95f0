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

static int compute(const conv2d_options *o, conv2d_data *d, fault *f)
{
    conv2d_device device = {0};
    if (o->algorithm == CONV2D_REFERENCE)
        return conv2d_run_reference(o->print_plan, d, f);
    int status = conv2d_open_device(&device, o->device, f);
    if (status == EXIT_FINE)
        status = conv2d_run_device(&device, o->print_plan, d, f);
    conv2d_close_device(&device);
    return status;
}

static int write_outputs(const conv2d_options *o, const conv2d_data *d, fault *f)
{
    npy_output outputs[CONV2D_TENSORS] = {{NULL, NULL}};
    for (int i = 0; i < CONV2D_TENSORS; i++)
        if (conv2d_tensors[i].pass)
            outputs[i] = (npy_output){o->path[i], &d->array[i]};
    return npy_write_all(outputs, CONV2D_TENSORS, f);
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
        status = compute(&o, &d, f);
    if (status == EXIT_FINE)
        status = write_outputs(&o, &d, f);
    conv2d_free_data(&d);
    return status;
}
