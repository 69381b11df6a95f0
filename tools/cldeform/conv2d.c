/* conv2d.c: the conv2d command: options, files, computation, output. */
#include "conv2d.h"

int command_conv2d(int argc, char **argv, fault *f)
{
    conv2d_options o;
    conv2d_data d = {0};
    int status = conv2d_read_options(argc, argv, &o, f);
    if (status == EXIT_FINE && o.common.help) {
        conv2d_print_help();
        return EXIT_FINE;
    }
    if (status == EXIT_FINE)
        status = conv2d_load(&o, &d, f);
    if (status == EXIT_FINE) {
        const operator_work work = {&conv2d_calls, &d, d.array, d.problem.passes, o.common.print_plan};
        status = operator_compute_and_write(&o.common, &work, f);
    }
    tensors_free(d.array);
    return status;
}
