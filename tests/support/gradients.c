#include "backward.h"
#include "cldeform/cldeform_ref.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const test_gradient_names[TEST_GRADIENTS] = {"grad_input", "grad_offset", "grad_mask", "grad_weight",
                                                         "grad_bias"};

static void run_reference(const test_conv *conv, const double *grad_output, test_gradients *gradients)
{
    double *const *from = conv->values, **to = gradients->values;
    const cldeform_ref_conv2d_gradients all = {
        grad_output, to[CLDEFORM_INPUT], to[CLDEFORM_OFFSET], to[CLDEFORM_MASK], to[CLDEFORM_WEIGHT], to[CLDEFORM_BIAS],
    };
    assert_ok(cldeform_ref_conv2d_backward(&conv->problem, from[CLDEFORM_INPUT], from[CLDEFORM_OFFSET],
                                           from[CLDEFORM_MASK], from[CLDEFORM_WEIGHT], &all));
}

test_gradients test_gradients_find(const test_device *on, const test_conv *conv, const double *grad_output)
{
    test_gradients gradients = {{NULL}};
    if (on) {
        double *copy = malloc(((size_t)conv->shape[CLDEFORM_OUTPUT].elements + 1) * sizeof *copy);
        assert_non_null(copy);
        memcpy(copy, grad_output, (size_t)conv->shape[CLDEFORM_OUTPUT].elements * sizeof *copy);
        const test_backward view = test_backward_view(conv, copy);
        gradients = test_backward_run(on, &view, &(test_run){.gradients = view.all});
        free(copy);
        return gradients;
    }
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        if (!conv->present[i])
            continue;
        gradients.values[i] = malloc(((size_t)conv->shape[i].elements + 1) * sizeof(double));
        assert_non_null(gradients.values[i]);
        for (int64_t e = 0; e < conv->shape[i].elements; e++)
            gradients.values[i][e] = NAN;
    }
    run_reference(conv, grad_output, &gradients);
    return gradients;
}

void test_gradients_free(test_gradients *gradients)
{
    for (int i = 0; i < TEST_GRADIENTS; i++)
        free(gradients->values[i]);
    *gradients = (test_gradients){{NULL}};
}
