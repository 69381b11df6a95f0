#include "conv2d.h"

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

/* Errors that leave AUTO to try the next one. */
static bool cannot(cldeform_status status)
{
    return status == CLDEFORM_UNSUPPORTED || status == CLDEFORM_LIMIT;
}

cldeform_status cldeform__conv2d_choose(cldeform_conv2d *conv)
{
    const cldeform_algorithm wanted = conv->problem.algorithm;
    const cldeform_algorithm first = (cldeform_algorithm)conv->context->tuning.conv2d_algorithm;
    cldeform_status status = CLDEFORM_UNSUPPORTED;
    conv->reason = "asked for";
    for (int i = 0; i < N_ALGORITHMS; i++)
        if (algorithms[i]->id == (wanted == CLDEFORM_ALGORITHM_AUTO ? first : wanted))
            status = try_algorithm(conv, algorithms[i]);
    if (wanted != CLDEFORM_ALGORITHM_AUTO)
        return status;
    conv->reason = "the tuning's first choice for this device";
    for (int i = 0; i < N_ALGORITHMS && cannot(status); i++)
        if (algorithms[i]->id != first) {
            conv->reason = "the tuning's first choice cannot do this problem on this device";
            status = try_algorithm(conv, algorithms[i]);
        }
    return status;
}
