#include "conv2d.h"

/* In order of preference. */
static const cldeform__conv2d_algorithm *const algorithms[] = {
    &cldeform__conv2d_im2col,
    &cldeform__conv2d_fused,
};
enum { N_ALGORITHMS = sizeof algorithms / sizeof algorithms[0] };

static cldeform_status try_algorithm(cldeform_conv2d *conv, const cldeform__conv2d_algorithm *algorithm)
{
    const char *refusal = algorithm->refuses(conv->context, &conv->problem, &conv->sizes);
    if (refusal)
        return cldeform__fail(CLDEFORM_UNSUPPORTED, "algorithm %s cannot do this problem on %s: %s", algorithm->name,
                              conv->context->facts.name, refusal);
    conv->algorithm = algorithm;
    const cldeform_status status = algorithm->plan(conv);
    if (status != CLDEFORM_OK) {
        algorithm->free_plan(conv->plan);
        conv->plan = NULL;
    }
    return status;
}

cldeform_status cldeform__conv2d_choose(cldeform_conv2d *conv)
{
    const cldeform_algorithm wanted = conv->problem.algorithm;
    cldeform_status status = CLDEFORM_UNSUPPORTED;
    for (int i = 0; i < N_ALGORITHMS; i++) {
        if (wanted != CLDEFORM_ALGORITHM_AUTO && wanted != algorithms[i]->id)
            continue;
        status = try_algorithm(conv, algorithms[i]);
        if (status != CLDEFORM_UNSUPPORTED && status != CLDEFORM_LIMIT) {
            conv->reason = wanted == CLDEFORM_ALGORITHM_AUTO
                               ? "first of the table that can do the problem on this device"
                               : "asked for";
            break;
        }
    }
    return status;
}
