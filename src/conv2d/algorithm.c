#include "conv2d.h"

static const cldeform__conv2d_algorithm *const algorithms[] = {
    &cldeform__conv2d_im2col,
    &cldeform__conv2d_fused,
    &cldeform__conv2d_tiled,
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

static cldeform_status fail_limit(const cldeform_conv2d *conv, size_t minimum)
{
    return cldeform__fail(
        CLDEFORM_LIMIT, "workspace_limit is %zu bytes (%s); the minimum for this problem%s is %zu bytes",
        conv->workspace_limit, conv->problem.workspace_limit ? "as given" : "the device's allocation limit",
        conv->problem.deterministic ? " with deterministic set" : "", minimum);
}

cldeform_status cldeform__conv2d_check_limit(cldeform_conv2d *conv, size_t minimum)
{
    if (minimum <= conv->workspace_limit)
        return CLDEFORM_OK;
    if (conv->needed == 0 || minimum < conv->needed)
        conv->needed = minimum;
    return fail_limit(conv, minimum);
}

/* Errors that leave AUTO to try the next one: a driver may refuse kernels that others compile. But what memory there is
 * now chooses no algorithm. */
static bool cannot(cldeform_status status)
{
    return status == CLDEFORM_UNSUPPORTED || status == CLDEFORM_LIMIT ||
           (status == CLDEFORM_BUILD_FAILED && cldeform_last_opencl_error() != CL_OUT_OF_HOST_MEMORY);
}

cldeform_status cldeform__conv2d_choose(cldeform_conv2d *conv)
{
    const cldeform_algorithm wanted = conv->problem.algorithm;
    const cldeform_algorithm first = (cldeform_algorithm)conv->context->tuning.conv2d_algorithm;
    const cldeform__conv2d_algorithm *unbuilt = NULL; /* the last whose kernels the driver does not compile */
    cldeform_status status = CLDEFORM_UNSUPPORTED;
    conv->reason = "asked for";
    for (int i = 0; i < N_ALGORITHMS; i++)
        if (algorithms[i]->id == (wanted == CLDEFORM_ALGORITHM_AUTO ? first : wanted))
            status = try_algorithm(conv, algorithms[i]);
    if (wanted != CLDEFORM_ALGORITHM_AUTO)
        return status;
    conv->reason = "the tuning's first choice for this device";
    const bool limited = conv->problem.deterministic && conv->problem.workspace_limit > 0;
    for (int i = 0; i < N_ALGORITHMS && cannot(status); i++) {
        if (status == CLDEFORM_BUILD_FAILED)
            unbuilt = conv->algorithm;
        /* With deterministic set a caller's limit must not change results: another algorithm would round otherwise. */
        if (limited && conv->needed > 0)
            break;
        if (algorithms[i]->id != first) {
            conv->reason = "the tuning's first choice cannot do this problem on this device";
            status = try_algorithm(conv, algorithms[i]);
        }
    }
    if (unbuilt && status != CLDEFORM_BUILD_FAILED && cannot(status) && conv->needed == 0)
        return try_algorithm(conv, unbuilt); /* once more, for its text: the compiler's */
    /* the number that a caller could give, whichever algorithm was tried last */
    return cannot(status) && conv->needed > 0 ? fail_limit(conv, conv->needed) : status;
}
