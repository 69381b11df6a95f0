#include "parameters.h"

#include "../geometry.h"
#include "steps.h"
#include "transfer.h"

cldeform_status cldeform__parameters_prepare(const cldeform_conv2d *conv, cldeform__parameter_steps *steps)
{
    cldeform_status status;
    cldeform__program *program = NULL;
    cldeform__step_geometry(conv, &steps->geometry);
    steps->real_size = cldeform__dtype_size(cldeform__real_dtype(conv->problem.dtype));
    TRY(cldeform__transfer_program(conv, &program));
    TRY(cldeform__program_require(program, "conv2d_sum_grad_output", &steps->sum_grad_output));
    TRY(cldeform__program_require(program, "conv2d_add_sums", &steps->add_sums));
    TRY(cldeform__program_require(program, "conv2d_store_grad_weight", &steps->store_grad_weight));
    TRY(cldeform__program_require(program, "conv2d_store_grad_bias", &steps->store_grad_bias));
done:
    return status;
}

static int64_t bias_parts(const cldeform_conv2d *conv)
{
    return cldeform__divide_up(conv->sizes.out_plane, TRANSFER_PART);
}

bool cldeform__bias_sizes(const cldeform_conv2d *conv, int64_t images, size_t parts[PARAMETER_PARTS])
{
    const int64_t sums[] = {images, conv->problem.out_channels, bias_parts(conv)};
    const size_t real_size = cldeform__dtype_size(cldeform__real_dtype(conv->problem.dtype));
    int64_t n_sums;
    if (!cldeform__product(sums, 3, &n_sums) || !cldeform__bytes(n_sums, real_size, &parts[BIAS_SUMS]) ||
        !cldeform__bytes(conv->problem.out_channels, real_size, &parts[BIAS_SUM]))
        return false;
    parts[BIAS_REST] = parts[BIAS_SUM];
    return true;
}

static size_t group_of(const cldeform__call *call)
{
    return (size_t)call->context->tuning.im2col_group;
}

cldeform_status cldeform__enqueue_bias(const cldeform_conv2d *conv, const cldeform__parameter_steps *steps,
                                       cldeform__call *call, int64_t images, bool first,
                                       const cldeform__operand *grad_output, const cl_mem parts[PARAMETER_PARTS])
{
    cldeform_status status;
    const cl_ulong2 place = cldeform__place_of(grad_output);
    const size_t outputs = (size_t)conv->problem.out_channels;
    const cl_int n_parts = (cl_int)(images * bias_parts(conv)), is_first = first;
    const double elements = (double)images * (double)conv->sizes.output;
    const cldeform__argument sum[] = {ARGUMENT(steps->geometry), ARGUMENT(grad_output->buffer), ARGUMENT(place),
                                      ARGUMENT(parts[BIAS_SUMS])};
    const cldeform__argument add[] = {ARGUMENT(steps->geometry), ARGUMENT(parts[BIAS_SUMS]), ARGUMENT(n_parts),
                                      ARGUMENT(parts[BIAS_SUM]), ARGUMENT(parts[BIAS_REST]), ARGUMENT(is_first)};
    const cldeform__launch launches[] = {
        {.step = "sum_grad_output",
         .kernel = steps->sum_grad_output,
         .arguments = sum,
         .n_arguments = 4,
         .items = {outputs, (size_t)cldeform__at_most(bias_parts(conv), CLDEFORM__MOST_GROUPS), (size_t)images},
         .group = group_of(call),
         .flop = elements,
         .bytes = elements * (double)cldeform__dtype_size(conv->problem.dtype)},
        {.step = "add_sums",
         .kernel = steps->add_sums,
         .arguments = add,
         .n_arguments = 6,
         .items = {outputs, 1, 1},
         .group = group_of(call),
         .flop = (double)n_parts * (double)outputs,
         .bytes = (double)n_parts * (double)outputs * (double)steps->real_size},
    };
    TRY(cldeform__call_launch(call, &launches[0]));
    TRY(cldeform__call_launch(call, &launches[1]));
done:
    return status;
}

static cldeform_status enqueue_store_bias(const cldeform_conv2d *conv, const cldeform__parameter_steps *steps,
                                          cldeform__call *call, const cl_mem parts[PARAMETER_PARTS],
                                          const cldeform__operand *gradient, bool accumulates)
{
    const cl_ulong first = gradient->start;
    const cl_int accumulate = accumulates;
    const double outputs = (double)conv->problem.out_channels;
    const cldeform__argument arguments[] = {
        ARGUMENT(steps->geometry),  ARGUMENT(parts[BIAS_SUM]), ARGUMENT(parts[BIAS_REST]),
        ARGUMENT(gradient->buffer), ARGUMENT(first),           ARGUMENT(accumulate)};
    const cldeform__launch launch = {
        .step = "store_grad_bias",
        .kernel = steps->store_grad_bias,
        .arguments = arguments,
        .n_arguments = 6,
        .items = {(size_t)conv->problem.out_channels, 1, 1},
        .group = group_of(call),
        .bytes = outputs * (double)(steps->real_size + cldeform__dtype_size(conv->problem.weight_grad_dtype)),
    };
    return cldeform__call_launch(call, &launch);
}

static cldeform_status enqueue_store_weight(const cldeform_conv2d *conv, const cldeform__parameter_steps *steps,
                                            cldeform__call *call, cl_mem sum, cl_mem rest, int64_t sum_pitch,
                                            const cldeform__operand *gradient, bool accumulates)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    const cl_ulong first = gradient->start;
    const cl_int accumulate = accumulates, pitch = (cl_int)sum_pitch;
    const int64_t depth = problem->in_channels / problem->groups * conv->sizes.taps;
    const int64_t blocks = cldeform__divide_up(problem->out_channels / problem->groups, TRANSFER_BLOCK);
    const cldeform__argument arguments[] = {
        ARGUMENT(steps->geometry), ARGUMENT(sum),        ARGUMENT(rest), ARGUMENT(gradient->buffer),
        ARGUMENT(first),           ARGUMENT(accumulate), ARGUMENT(pitch)};
    cldeform__launch launch = {
        .step = "store_grad_weight",
        .kernel = steps->store_grad_weight,
        .arguments = arguments,
        .n_arguments = 7,
        .items = {(size_t)cldeform__divide_up(depth, TRANSFER_BLOCK),
                  (size_t)cldeform__at_most(blocks, CLDEFORM__MOST_GROUPS),
                  (size_t)cldeform__at_most(problem->groups, CLDEFORM__MOST_GROUPS)},
        .group = 1,
        .bytes =
            (double)conv->sizes.weight * (double)(steps->real_size + cldeform__dtype_size(problem->weight_grad_dtype)),
    };
    if (cldeform__turns_tiles(conv)) {
        cldeform__transfer_items(conv, depth, problem->out_channels / problem->groups,
                                 cldeform__at_most(problem->groups, CLDEFORM__MOST_GROUPS), launch.items);
        launch.group = group_of(call);
    }
    return cldeform__call_launch(call, &launch);
}

cldeform_status cldeform__enqueue_parameters(const cldeform_conv2d *conv, const cldeform__parameter_steps *steps,
                                             cldeform__call *call, const cldeform__conv2d_gradients *gradients,
                                             cl_mem weight_sum, cl_mem weight_rest, int64_t weight_pitch,
                                             const cl_mem parts[PARAMETER_PARTS])
{
    cldeform_status status = CLDEFORM_OK;
    if (gradients->wanted & CLDEFORM_GRAD_WEIGHT)
        TRY(enqueue_store_weight(conv, steps, call, weight_sum, weight_rest, weight_pitch, &gradients->grad_weight,
                                 (gradients->accumulate & CLDEFORM_GRAD_WEIGHT) != 0));
    if (gradients->wanted & CLDEFORM_GRAD_BIAS)
        TRY(enqueue_store_bias(conv, steps, call, parts, &gradients->grad_bias,
                               (gradients->accumulate & CLDEFORM_GRAD_BIAS) != 0));
done:
    return status;
}
