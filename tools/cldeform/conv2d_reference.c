/* conv2d_reference.c: --algorithm reference: the host's double precision, without any OpenCL call. */
#include <stdlib.h>

#include "cldeform/cldeform_ref.h"
#include "conv2d.h"
#include "element.h"

/* One matrix product for the output, one for the gradient of the weights, and one for the gradient of the columns, from
 * which those of input, offset and mask follow. */
static double count_gflop(const conv2d_data *d)
{
    const cldeform_conv2d_problem *p = &d->problem;
    const cldeform_passes of_columns = CLDEFORM_GRAD_INPUT | CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK;
    double products = ((p->passes & CLDEFORM_FORWARD) != 0) + ((p->passes & CLDEFORM_GRAD_WEIGHT) != 0) +
                      ((p->passes & of_columns) != 0);
    double outputs = (double)p->batch * (double)p->out_channels * (double)d->out_h * (double)d->out_w;
    double taps = (double)(p->in_channels / p->groups) * (double)p->kernel_h * (double)p->kernel_w;
    return 2e-9 * outputs * taps * products;
}

static int print_plan(const conv2d_data *d, fault *f)
{
    json_t *plan = json_pack("{s:s, s:s, s:s, s:i, s:f, s:b, s:s}", "algorithm", "reference", "reason", "asked for",
                             "dtype", element_name(d->problem.dtype), "workspace_bytes", 0, "gflop", count_gflop(d),
                             "deterministic", 1, "tuning", "none");
    int status = plan ? conv2d_print_plan("host", plan, f) : fault_memory(f);
    json_decref(plan);
    return status;
}

static cldeform_status compute(const cldeform_conv2d_problem *problem, cldeform_passes passes, double *const *v)
{
    const cldeform_ref_conv2d_gradients gradients = {
        .grad_output = v[CONV2D_GRAD_OUTPUT],
        .grad_input = v[CONV2D_GRAD_INPUT],
        .grad_offset = v[CONV2D_GRAD_OFFSET],
        .grad_mask = v[CONV2D_GRAD_MASK],
        .grad_weight = v[CONV2D_GRAD_WEIGHT],
        .grad_bias = v[CONV2D_GRAD_BIAS],
    };
    cldeform_status answer = CLDEFORM_OK;
    if (passes & CLDEFORM_FORWARD)
        answer = cldeform_ref_conv2d_forward(problem, v[CONV2D_INPUT], v[CONV2D_OFFSET], v[CONV2D_MASK],
                                             v[CONV2D_WEIGHT], v[CONV2D_BIAS], v[CONV2D_OUTPUT]);
    if (answer == CLDEFORM_OK && (passes & CLDEFORM_BACKWARD))
        answer = cldeform_ref_conv2d_backward(problem, v[CONV2D_INPUT], v[CONV2D_OFFSET], v[CONV2D_MASK],
                                              v[CONV2D_WEIGHT], &gradients);
    return answer;
}

int conv2d_run_reference(int plan, conv2d_data *d, fault *f)
{
    double *values[CONV2D_TENSORS] = {NULL};
    const cldeform_passes passes = conv2d_passes(d);
    int status = plan ? print_plan(d, f) : EXIT_FINE;
    if (status != EXIT_FINE || passes == 0)
        return status;
    for (int i = 0; i < CONV2D_TENSORS && status == EXIT_FINE; i++)
        status = conv2d_widen(&d->array[i], &values[i], f);
    if (status == EXIT_FINE && compute(&d->problem, passes, values) != CLDEFORM_OK)
        status = fault_set(f, EXIT_INPUT, "the reference refuses this problem");
    for (int i = 0; i < CONV2D_TENSORS; i++) {
        npy_array *array = &d->array[i];
        if (status == EXIT_FINE && array->rank > 0 && conv2d_tensors[i].pass)
            element_from_double(array->dtype, values[i], array->elements, array->data);
        free(values[i]);
    }
    return status;
}
