/* Life of a convolution object, and what can be asked of it. */
#include "conv2d.h"

#include <stdlib.h>
#include <string.h>

cldeform_status cldeform_conv2d_create(cldeform_context *context, const cldeform_conv2d_problem *problem,
                                       cldeform_conv2d **out)
{
    cldeform_status status;
    cldeform_conv2d *conv = NULL;
    if (!out)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "out is NULL; it must point to where the object goes");
    *out = NULL;
    if (!context)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "context is NULL");
    conv = calloc(1, sizeof *conv);
    if (!conv)
        return cldeform__fail(CLDEFORM_OUT_OF_MEMORY, "no memory for a convolution");
    conv->context = context;
    cldeform__context_retain(context);
    TRY(cldeform__conv2d_check(problem, &conv->problem, &conv->sizes));
    TRY(cldeform__check_fp64(context, "dtype", conv->problem.dtype));
    TRY(cldeform__check_fp64(context, "offset_dtype", conv->problem.offset_dtype));
    TRY(cldeform__check_fp64(context, "weight_grad_dtype", conv->problem.weight_grad_dtype));
    conv->workspace_limit = (size_t)context->facts.max_allocation;
    if (conv->problem.workspace_limit != 0 && conv->problem.workspace_limit < conv->workspace_limit)
        conv->workspace_limit = conv->problem.workspace_limit;
    if (conv->problem.passes & CLDEFORM__ALGORITHM_PASSES)
        TRY(cldeform__conv2d_choose(conv));
    TRY(cldeform__parts_prepare(conv));
    if (conv->problem.passes & CLDEFORM_STATISTICS)
        TRY(cldeform__conv2d_prepare_statistics(conv));
done:
    if (status == CLDEFORM_OK)
        *out = conv;
    else
        cldeform_conv2d_destroy(conv);
    return status;
}

void cldeform_conv2d_destroy(cldeform_conv2d *conv)
{
    if (!conv)
        return;
    if (conv->plan)
        conv->algorithm->free_plan(conv->plan);
    cldeform__parts_free(conv->parts);
    cldeform__context_release(conv->context);
    free(conv);
}

/* passes asked about must be of those prepared, but for those that the kind lacks. */
static cldeform_status check_passes(const cldeform_conv2d *conv, cldeform_passes passes)
{
    if (!conv)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "conv is NULL");
    if (passes == 0 || (passes & ~(conv->problem.passes | cldeform__conv2d_lacks(&conv->problem))))
        return cldeform__fail(passes == 0 ? CLDEFORM_INVALID_ARGUMENT : CLDEFORM_NOT_PREPARED,
                              "passes is 0x%llx; it must be of those that the object was created with, 0x%llx",
                              (unsigned long long)passes, (unsigned long long)conv->problem.passes);
    return CLDEFORM_OK;
}

/* The largest of the passes' own: a call does one of forward, backward, a part, statistics. */
static void find_workspace(const cldeform_conv2d *conv, cldeform_passes passes, size_t *minimum, size_t *preferred)
{
    size_t least = 0, most = 0;
    *minimum = *preferred = 0;
    if (conv->algorithm && (passes & CLDEFORM__ALGORITHM_PASSES))
        conv->algorithm->workspace(conv, passes & conv->problem.passes, minimum, preferred);
    if (conv->parts && (passes & CLDEFORM__PART_PASSES))
        cldeform__parts_workspace(conv, passes & conv->problem.passes, &least, &most);
    if ((passes & conv->problem.passes & CLDEFORM_STATISTICS) && conv->statistics.workspace > least)
        least = conv->statistics.workspace;
    if (least > most)
        most = least;
    *minimum = least > *minimum ? least : *minimum;
    *preferred = most > *preferred ? most : *preferred;
}

static bool are_deterministic(const cldeform_conv2d *conv, cldeform_passes passes)
{
    return (!conv->algorithm || conv->algorithm->is_deterministic(conv, passes)) &&
           (!conv->parts || cldeform__parts_are_deterministic(conv, passes));
}

cldeform_status cldeform_conv2d_workspace_size(const cldeform_conv2d *conv, cldeform_passes passes, size_t *minimum,
                                               size_t *preferred)
{
    size_t least = 0, most = 0;
    const cldeform_status status = check_passes(conv, passes);
    if (status != CLDEFORM_OK)
        return status;
    find_workspace(conv, passes, &least, &most);
    if (minimum)
        *minimum = least;
    if (preferred)
        *preferred = most;
    return CLDEFORM_OK;
}

cldeform_status cldeform_conv2d_is_deterministic(const cldeform_conv2d *conv, cldeform_passes passes,
                                                 int32_t *deterministic)
{
    const cldeform_status status = check_passes(conv, passes);
    if (status != CLDEFORM_OK)
        return status;
    if (!deterministic)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "deterministic is NULL");
    *deterministic = are_deterministic(conv, passes & conv->problem.passes);
    return CLDEFORM_OK;
}

cldeform_status cldeform_conv2d_packed_weight_size(const cldeform_conv2d *conv, size_t *bytes, uint64_t *format)
{
    size_t found_bytes = 0;
    uint64_t found_format = 0;
    const cldeform_status status = check_passes(conv, CLDEFORM_PACK_WEIGHT);
    if (status != CLDEFORM_OK)
        return status;
    conv->algorithm->packed_weight(conv, &found_bytes, &found_format);
    if (bytes)
        *bytes = found_bytes;
    if (format)
        *format = found_format;
    return CLDEFORM_OK;
}

cldeform_status cldeform_conv2d_describe(const cldeform_conv2d *conv, char *out, size_t capacity, size_t *needed)
{
    if (!conv)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "conv is NULL");
    if (!out && capacity > 0)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "text is NULL and capacity %zu; it must be 0 then", capacity);
    static const char *const kinds[] = {"deformable", "modulated", "plain"};
    size_t minimum = 0, preferred = 0;
    /* in whole numbers: the decimal point of printf depends on the program's locale */
    const unsigned long long flop = (unsigned long long)cldeform__conv2d_flop(&conv->problem, &conv->sizes);
    cldeform__text text = {0};
    find_workspace(conv, conv->problem.passes, &minimum, &preferred);
    cldeform__text_add(&text, "{\"operation\":\"conv2d\",\"kind\":\"%s\",\"device\":", kinds[conv->problem.kind]);
    cldeform__text_add_json(&text, conv->context->facts.name);
    cldeform__text_add(&text, ",\"algorithm\":");
    cldeform__text_add_json(&text, conv->algorithm ? conv->algorithm->name : NULL);
    cldeform__text_add(&text, ",\"reason\":");
    cldeform__text_add_json(&text, conv->algorithm ? conv->reason : "no pass of the object needs one");
    cldeform__text_add(&text,
                       ",\"dtype\":\"%s\",\"offset_dtype\":\"%s\",\"workspace_bytes\":%zu,\"workspace_minimum\":%zu,"
                       "\"workspace_limit\":%zu,\"gflop\":%llu.%09llu,\"deterministic\":%s,\"tuning\":",
                       cldeform__dtype_name(conv->problem.dtype), cldeform__dtype_name(conv->problem.offset_dtype),
                       preferred, minimum, conv->workspace_limit, flop / 1000000000, flop % 1000000000,
                       are_deterministic(conv, conv->problem.passes) ? "true" : "false");
    cldeform__text_add_json(&text, conv->context->tuning.source);
    if (conv->algorithm)
        conv->algorithm->describe(conv, &text);
    cldeform__text_add(&text, "}");
    return cldeform__text_give(&text, out, capacity, needed);
}
