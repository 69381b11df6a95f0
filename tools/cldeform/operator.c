/* operator.c: from a problem that is whole to files: computes in the way that is asked for, and writes; the plan. */
#include "operator.h"

#include <stdio.h>

int operator_print_plan(const char *device, const json_t *plan, fault *f)
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
    const json_t *parameters = json_object_get(plan, "gemm_parameters"); /* of algorithms that have a product */
    if (parameters)
        printf("gemm_parameters: %s\n", json_string_value(parameters));
    fflush(stdout); /* before it runs: it may run long, or not to its end */
    return EXIT_FINE;
}

static int compute(const operator_options *o, const operator_work *work, fault *f)
{
    operator_device device = {0};
    if (o->algorithm == OPERATOR_REFERENCE)
        return operator_run_reference(work, f);
    int status = operator_open_device(&device, o->device, f);
    if (status == EXIT_FINE)
        status = operator_run_device(&device, work, f);
    operator_close_device(&device);
    return status;
}

static int write_outputs(const operator_options *o, const npy_array *arrays, fault *f)
{
    npy_output outputs[TENSORS] = {{NULL, NULL}};
    for (int i = 0; i < TENSORS; i++)
        if (tensor_table[i].pass)
            outputs[i] = (npy_output){o->path[i], &arrays[i]};
    return npy_write_all(outputs, TENSORS, f);
}

int operator_compute_and_write(const operator_options *o, const operator_work *work, fault *f)
{
    int status = compute(o, work, f);
    return status == EXIT_FINE ? write_outputs(o, work->arrays, f) : status;
}
