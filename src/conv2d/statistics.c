/* Statistics of an offset tensor: parts of a fixed number, then one result from them. No algorithm has a say in it. */
#include "conv2d.h"
#include "steps.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    PARTS = 4096, /* of cl/offset_statistics.cl: enough work-items for a large device, few enough for one to add up */
    TALLY_BYTES = 64 /* its struct tally at its largest, with double */
};

/* The kernel writes this struct. */
#define FIELD_IS_AT(field, byte)                                                                                       \
    static_assert(offsetof(cldeform_offset_statistics, field) == (byte), "cl/offset_statistics.cl has it elsewhere")
static_assert(sizeof(cldeform_offset_statistics) == 40, "cl/offset_statistics.cl has another size");
FIELD_IS_AT(samples, 0);
FIELD_IS_AT(outside, 8);
FIELD_IS_AT(nan, 16);
FIELD_IS_AT(infinite, 24);
FIELD_IS_AT(mean_magnitude, 32);
FIELD_IS_AT(max_magnitude, 36);

cldeform_status cldeform__conv2d_prepare_statistics(cldeform_conv2d *conv)
{
    cldeform_status status;
    const cldeform_conv2d_problem *problem = &conv->problem;
    cldeform__conv2d_statistics *statistics = &conv->statistics;
    cldeform__program *program = NULL;
    char options[120];
    const size_t bytes = (size_t)PARTS * TALLY_BYTES;
    if (!cldeform__workspace_bytes(conv->context, &bytes, 1, &statistics->workspace) ||
        statistics->workspace > conv->workspace_limit)
        return cldeform__fail(CLDEFORM_LIMIT,
                              "workspace_limit is %zu bytes; the minimum for offset statistics is %zu bytes",
                              conv->workspace_limit, statistics->workspace);
    /* positions are in the type that the convolution computes them in: half data shares the kernels of float */
    snprintf(options, sizeof options, "-DDATA_BITS=%d -DOFFSET_BITS=%d -DINDEX_BITS=%d -DBORDER_EDGE=%d -DPARTS=%d",
             problem->dtype == CLDEFORM_F64 ? 64 : 32, (int)cldeform__dtype_size(problem->offset_dtype) * 8,
             cldeform__uses_long_index(conv) ? 64 : 32, problem->border == CLDEFORM_BORDER_EDGE, PARTS);
    TRY(cldeform__program_get(conv->context, "offset_statistics", options, &program));
    TRY(cldeform__program_require(program, "offset_statistics_count", &statistics->count));
    TRY(cldeform__program_require(program, "offset_statistics_combine", &statistics->combine));
done:
    return status;
}

static cldeform_status enqueue_count(const cldeform_conv2d *conv, cldeform__call *call, cl_ulong samples,
                                     const cldeform__operand *offset, cl_mem tallies)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    const cl_ulong2 offset_place = cldeform__place_of(offset);
    const cl_double limit = problem->offset_limit > 0 ? problem->offset_limit : INFINITY;
    const cl_float limit_float = cldeform__limit_float(limit);
    conv2d_geometry geometry;
    cldeform__step_geometry(conv, &geometry);
    cldeform__argument arguments[] = {
        ARGUMENT(geometry),     ARGUMENT(samples),     ARGUMENT(offset->buffer),
        ARGUMENT(offset_place), ARGUMENT(limit_float), ARGUMENT(tallies),
    };
    if (problem->dtype == CLDEFORM_F64)
        arguments[4] = (cldeform__argument)ARGUMENT(limit);
    const cldeform__launch launch = {
        .step = "count",
        .kernel = conv->statistics.count,
        .arguments = arguments,
        .n_arguments = sizeof arguments / sizeof arguments[0],
        .items = {PARTS, 1, 1},
        .group = (size_t)conv->context->tuning.im2col_group,
        .bytes = 2 * (double)samples * (double)cldeform__dtype_size(problem->offset_dtype),
    };
    return cldeform__call_launch(call, &launch);
}

static cldeform_status enqueue_combine(const cldeform_conv2d *conv, cldeform__call *call, cl_ulong samples,
                                       cl_mem tallies, const cldeform__operand *result)
{
    const cl_ulong first_result = result->start;
    const cldeform__argument arguments[] = {
        ARGUMENT(samples),
        ARGUMENT(tallies),
        ARGUMENT(result->buffer),
        ARGUMENT(first_result),
    };
    const cldeform__launch launch = {
        .step = "combine",
        .kernel = conv->statistics.combine,
        .arguments = arguments,
        .n_arguments = sizeof arguments / sizeof arguments[0],
        .items = {1, 1, 1},
        .group = 1,
        .bytes = (double)PARTS * TALLY_BYTES,
    };
    return cldeform__call_launch(call, &launch);
}

/* Checked operands. range: the caller's workspace; NULL: allocate. An empty batch is written as zeros. */
static cldeform_status run(const cldeform_conv2d *conv, cldeform__call *call, int64_t batch,
                           const cldeform__operand *offset, const cldeform__operand *result,
                           const cldeform__range *range)
{
    cldeform_status status;
    cldeform__workspace workspace;
    cl_mem tallies = NULL;
    const cl_ulong samples = (cl_ulong)batch * (cl_ulong)(conv->sizes.offset / 2);
    TRY(cldeform__workspace_begin(&workspace, conv->context, range, conv->statistics.workspace));
    TRY(cldeform__workspace_part(&workspace, (size_t)PARTS * TALLY_BYTES, &tallies));
    TRY(enqueue_count(conv, call, samples, offset, tallies));
    TRY(enqueue_combine(conv, call, samples, tallies, result));
done:
    cldeform__workspace_end(&workspace);
    return status;
}

static cldeform_status check_arguments(const cldeform_conv2d *conv, const cldeform_tensor *offset,
                                       const cldeform_tensor *result, cldeform__operand operands[2],
                                       cldeform__range ranges[2])
{
    if (!offset || !result)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "%s is NULL", offset ? "result" : "offset");
    const cldeform__operand_rule rules[2] = {
        {.name = "offset",
         .tensor = *offset,
         .operand = &operands[0],
         .presence = REQUIRED,
         .batched = true,
         .elements = conv->sizes.offset,
         .element_size = cldeform__dtype_size(conv->problem.offset_dtype)},
        {.name = "result",
         .tensor = *result,
         .operand = &operands[1],
         .presence = REQUIRED,
         .written = true,
         .elements = 1,
         .element_size = sizeof(cldeform_offset_statistics)},
    };
    memset(operands, 0, 2 * sizeof *operands);
    return cldeform__check_operands(conv->context, rules, 2, conv->problem.batch, ranges);
}

cldeform_status cldeform_conv2d_offset_statistics(const cldeform_conv2d *conv, cl_command_queue queue,
                                                  const cldeform_tensor *offset, const cldeform_tensor *result,
                                                  const cldeform_workspace *workspace, cl_uint n_wait,
                                                  const cl_event *wait, cl_event *done)
{
    cldeform_status status;
    cldeform__call call;
    cldeform__operand operands[2];
    cldeform__range ranges[3];
    memset(ranges, 0, sizeof ranges);
    if ((status = cldeform__conv2d_check_object(conv, CLDEFORM_STATISTICS, done)) != CLDEFORM_OK ||
        (status = cldeform__call_begin(&call, conv->context, queue, "conv2d_offset_statistics", n_wait, wait,
                                       done != NULL)) != CLDEFORM_OK)
        return status;
    TRY(cldeform__check_byte_order(conv->context));
    const size_t loop_limit = conv->context->facts.loop_limit;
    if (loop_limit && conv->problem.batch * (conv->sizes.offset / 2) / PARTS > (int64_t)loop_limit / 2) {
        status = cldeform__fail(CLDEFORM_UNSUPPORTED, "%s ends loops after %zu iterations, too few for so many samples",
                                conv->context->facts.name, loop_limit);
        goto done;
    }
    TRY(check_arguments(conv, offset, result, operands, ranges));
    if (workspace)
        TRY(cldeform__check_scratch(conv->context, workspace, conv->statistics.workspace, ranges, 3));
    TRY(run(conv, &call, conv->problem.batch, &operands[0], &operands[1], workspace ? &ranges[2] : NULL));
done:
    return cldeform__call_end(&call, status, done);
}

cldeform_status cldeform__conv2d_warm_up_statistics(const cldeform_conv2d *conv, cldeform__call *call,
                                                    const cldeform__operand *offset)
{
    cl_int error = CL_SUCCESS;
    cldeform__operand result = {0};
    result.buffer =
        clCreateBuffer(conv->context->cl, CL_MEM_READ_WRITE, sizeof(cldeform_offset_statistics), NULL, &error);
    if (error != CL_SUCCESS)
        return cldeform__fail_cl(error, "clCreateBuffer(statistics of %zu bytes)", sizeof(cldeform_offset_statistics));
    const cldeform_status status = run(conv, call, 1, offset, &result, NULL);
    clReleaseMemObject(result.buffer);
    return status;
}
