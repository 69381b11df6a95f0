#include "conv2d.h"

/* In order of preference. */
static const cldeform__conv2d_algorithm *const algorithms[] = {
    &cldeform__conv2d_im2col,
};
enum { N_ALGORITHMS = sizeof algorithms / sizeof algorithms[0] };

cldeform_status cldeform__conv2d_choose(const cldeform_context *context, const cldeform_conv2d_problem *problem,
                                        const cldeform__conv2d_sizes *sizes,
                                        const cldeform__conv2d_algorithm **algorithm, const char **reason)
{
    const char *refusal = "the table of algorithms does not hold it";
    for (int i = 0; i < N_ALGORITHMS; i++) {
        const bool forced = problem->algorithm == algorithms[i]->id;
        if (problem->algorithm != CLDEFORM_ALGORITHM_AUTO && !forced)
            continue;
        refusal = algorithms[i]->refuses(context, problem, sizes);
        if (!refusal) {
            *algorithm = algorithms[i];
            *reason = forced ? "asked for" : "first of the table that can do the problem on this device";
            return CLDEFORM_OK;
        }
    }
    return cldeform__fail(CLDEFORM_UNSUPPORTED, "problem.algorithm %d cannot do this problem on %s: %s",
                          (int)problem->algorithm, context->facts.name, refusal);
}
