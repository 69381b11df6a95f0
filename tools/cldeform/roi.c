/* roi.c: the commands roi-pool and psroi-pool: options, files, computation, output. */
#include "roi.h"

/* The library has one algorithm, which it names in its plan. */
const number_word roi_algorithms[ROI_ALGORITHMS] = {{"auto", 0}, {"direct", 0}, {"reference", OPERATOR_REFERENCE}};

int roi_check_required(const roi_options *o, const char *command, fault *f)
{
    const char *missing = o->output_size[0] == 0 ? "--output-size" : !(o->spatial_scale > 0) ? "--spatial-scale" : NULL;
    if (missing)
        return fault_set(f, EXIT_INPUT, "%s is missing; see \"cldeform %s --help\"", missing, command);
    return EXIT_FINE;
}

int roi_check_mode(const roi_mode_option *options, size_t count, const char *needed, fault *f)
{
    for (size_t i = 0; i < count; i++)
        if (options[i].given)
            return fault_set(f, EXIT_INPUT, "%s needs %s", options[i].name, needed);
    return EXIT_FINE;
}

static int run(const roi_options *o, fault *f)
{
    roi_data d = {0};
    int status = roi_load(o, &d, f);
    if (status == EXIT_FINE) {
        const operator_work work = {&roi_calls, &d, d.array, d.problem.passes, o->common.print_plan};
        status = operator_compute_and_write(&o->common, &work, f);
    }
    tensors_free(d.array);
    return status;
}

int command_roi_pool(int argc, char **argv, fault *f)
{
    roi_options o;
    int status = roi_pool_read_options(argc, argv, &o, f);
    if (status != EXIT_FINE || !o.common.help)
        return status == EXIT_FINE ? run(&o, f) : status;
    roi_pool_print_help();
    return EXIT_FINE;
}

int command_psroi_pool(int argc, char **argv, fault *f)
{
    roi_options o;
    int status = roi_ps_read_options(argc, argv, &o, f);
    if (status != EXIT_FINE || !o.common.help)
        return status == EXIT_FINE ? run(&o, f) : status;
    roi_ps_print_help();
    return EXIT_FINE;
}
