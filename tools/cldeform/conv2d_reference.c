/* conv2d_reference.c: --algorithm reference: the host's double precision, without any OpenCL call. */
#include <stdlib.h>

#include "cldeform/cldeform_ref.h"
#include "conv2d.h"
#include "element.h"

/* NULL in *values for an absent tensor, and never for one that is there. */
static int widen(const npy_array *array, double **values, fault *f)
{
    if (array->rank == 0)
        return EXIT_FINE;
    *values = calloc(array->elements > 0 ? array->elements : 1, sizeof **values);
    if (!*values)
        return fault_memory(f);
    element_to_double(array->dtype, array->data, array->elements, *values);
    return EXIT_FINE;
}

static int print_plan(const conv2d_data *d, fault *f)
{
    const cldeform_conv2d_problem *p = &d->problem;
    double taps = (double)(p->in_channels / p->groups) * (double)p->kernel_h * (double)p->kernel_w;
    json_t *plan = json_pack("{s:s, s:s, s:s, s:i, s:f, s:b, s:s}", "algorithm", "reference", "reason", "asked for",
                             "dtype", element_name(p->dtype), "workspace_bytes", 0, "gflop",
                             2e-9 * (double)d->output.elements * taps, "deterministic", 1, "tuning", "none");
    int status = plan ? conv2d_print_plan("host", plan, f) : fault_memory(f);
    json_decref(plan);
    return status;
}

int conv2d_run_reference(const conv2d_options *o, conv2d_data *d, fault *f)
{
    double *input = NULL, *offset = NULL, *mask = NULL, *weight = NULL, *bias = NULL, *output = NULL;
    int status = o->print_plan ? print_plan(d, f) : EXIT_FINE;
    if (status != EXIT_FINE || !o->output)
        return status;
    if (widen(&d->input, &input, f) != EXIT_FINE || widen(&d->offset, &offset, f) != EXIT_FINE ||
        widen(&d->mask, &mask, f) != EXIT_FINE || widen(&d->weight, &weight, f) != EXIT_FINE ||
        widen(&d->bias, &bias, f) != EXIT_FINE || widen(&d->output, &output, f) != EXIT_FINE) {
        status = f->exit_status;
        goto done;
    }
    if (cldeform_ref_conv2d_forward(&d->problem, input, offset, mask, weight, bias, output) != CLDEFORM_OK) {
        status = fault_set(f, EXIT_INPUT, "the reference refuses this problem");
        goto done;
    }
    element_from_double(d->output.dtype, output, d->output.elements, d->output.data);
done:
    free(input);
    free(offset);
    free(mask);
    free(weight);
    free(bias);
    free(output);
    return status;
}
