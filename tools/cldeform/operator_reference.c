/* operator_reference.c: --algorithm reference: the host's double precision, without any OpenCL call. */
#include <stdlib.h>

#include "element.h"
#include "operator.h"

static int print_plan(const operator_work *w, fault *f)
{
    json_t *plan = json_pack("{s:s, s:s, s:s, s:i, s:f, s:b, s:s}", "algorithm", "reference", "reason", "asked for",
                             "dtype", element_name(w->arrays[TENSOR_INPUT].dtype), "workspace_bytes", 0, "gflop",
                             w->calls->count_gflop(w->data, w->passes), "deterministic", 1, "tuning", "none");
    int status = plan ? operator_print_plan("host", plan, f) : fault_memory(f);
    json_decref(plan);
    return status;
}

int operator_run_reference(const operator_work *w, fault *f)
{
    double *values[TENSORS] = {NULL};
    int status = w->print_plan ? print_plan(w, f) : EXIT_FINE;
    if (status != EXIT_FINE || tensors_passes(w->arrays) == 0)
        return status;
    for (int i = 0; i < TENSORS && status == EXIT_FINE; i++)
        status = tensor_widen(&w->arrays[i], &values[i], f);
    if (status == EXIT_FINE) {
        cldeform_status answer = w->calls->compute(w->data, w->passes, values);
        if (answer == CLDEFORM_OUT_OF_MEMORY)
            status = fault_memory(f);
        else if (answer != CLDEFORM_OK)
            status = fault_set(f, EXIT_INPUT, "the reference refuses this problem");
    }
    for (int i = 0; i < TENSORS; i++) {
        npy_array *array = &w->arrays[i];
        if (status == EXIT_FINE && array->rank > 0 && tensor_table[i].pass)
            element_from_double(array->dtype, values[i], array->elements, array->data);
        free(values[i]);
    }
    return status;
}
