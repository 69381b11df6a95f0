/* Backward of the algorithm fused, image by image: the output's gradient is packed once, one kernel then gives the
 * gradients of input, offset and mask, and another that of the weight. */
#include "fused.h"

#include "../geometry.h"

static const cldeform_passes from_grad_columns = CLDEFORM_GRAD_INPUT | CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK;
static const cldeform_passes from_dots = CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK;
static const cldeform_passes from_input = CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK | CLDEFORM_GRAD_WEIGHT;
static const cldeform_passes from_both =
    CLDEFORM_GRAD_INPUT | CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK | CLDEFORM_GRAD_WEIGHT;

/* ---- workspace ----------------------------------------------------------------------------------------- */

/* Elements of the input's gradient that a worker adds to: a row behind the map takes what lies outside. */
static bool copy_elements(const cldeform_conv2d *conv, const fused_plan *plan, int64_t *elements)
{
    const int64_t sizes[] = {conv->problem.in_h * conv->problem.in_w + 1, plan->pitch};
    return cldeform__product(sizes, 2, elements);
}

/* Elements of the partial dot products of a slab. */
static bool partial_elements(const cldeform_conv2d *conv, const fused_plan *plan, int64_t *elements)
{
    const conv2d_fused_shape *shape = &plan->grad.shape;
    const int64_t channels = conv->problem.in_channels / conv->problem.groups;
    const int64_t sizes[] = {cldeform__divide_up(conv->problem.groups, shape->block_groups),
                             cldeform__divide_up(shape->block_groups * channels, shape->block_channels),
                             conv->sizes.taps,
                             conv->problem.offset_groups,
                             4,
                             shape->workers,
                             shape->slab};
    return cldeform__product(sizes, 7, elements);
}

/* Elements of the sum of the weight's gradient. */
static bool sum_elements(const cldeform_conv2d *conv, const fused_plan *plan, int64_t *elements)
{
    const conv2d_fused_shape *shape = &plan->grad_weight.shape;
    const int64_t sizes[] = {conv->problem.in_channels, conv->sizes.taps,
                             (int64_t)shape->out_blocks * shape->out_lanes};
    return cldeform__product(sizes, 3, elements);
}

static bool packed_elements(const cldeform_conv2d *conv, const fused_plan *plan, int64_t *elements)
{
    const conv2d_fused_shape *shape = &plan->grad_weight.shape;
    const int64_t sizes[] = {conv->problem.groups, shape->out_blocks, shape->out_pitch, shape->out_lanes};
    return cldeform__product(sizes, 4, elements);
}

/* Whether so many runs of pixels are added up that what rounding takes off is looked after. */
static bool keeps_rest(const cldeform_conv2d *conv, const fused_plan *plan)
{
    const int64_t runs = cldeform__divide_up(conv->sizes.out_plane, plan->grad_weight.shape.panel);
    return runs > 16 || conv->problem.batch > 16 / runs;
}

bool cldeform__fused_size_backward(const cldeform_conv2d *conv, const fused_plan *plan, cldeform_passes passes,
                                   size_t parts[FUSED_BACKWARD_PARTS])
{
    int64_t n_copy, n_copies, n_sum, n_packed, n_partial = 0;
    const size_t size = plan->real_size;
    for (int i = 0; i < FUSED_BACKWARD_PARTS; i++)
        parts[i] = 0;
    if (!copy_elements(conv, plan, &n_copy) || !cldeform__multiply(n_copy, plan->grad.shape.workers, &n_copies) ||
        !sum_elements(conv, plan, &n_sum) || !packed_elements(conv, plan, &n_packed))
        return false;
    if ((passes & from_both) && !cldeform__bytes(n_packed, size, &parts[FUSED_BACK_GRAD_OUTPUT]))
        return false;
    if ((passes & from_input) && !(plan->packs_input ? cldeform__bytes(n_copy, size, &parts[FUSED_BACK_INPUT])
                                                     : cldeform__bytes(plan->pitch, size, &parts[FUSED_BACK_ZEROS])))
        return false;
    if ((passes & from_grad_columns) &&
        !cldeform__fused_weight_bytes(conv, plan, &plan->grad, true, &parts[FUSED_BACK_WEIGHT]))
        return false;
    if ((passes & CLDEFORM_GRAD_INPUT) && !cldeform__bytes(n_copies, size, &parts[FUSED_BACK_COPIES]))
        return false;
    if ((passes & CLDEFORM_GRAD_WEIGHT) && !cldeform__bytes(n_sum, size, &parts[FUSED_BACK_SUM]))
        return false;
    if ((passes & from_dots) && plan->grad.shape.parts > 1 &&
        (!partial_elements(conv, plan, &n_partial) || !cldeform__bytes(n_partial, size, &parts[FUSED_BACK_PARTIAL])))
        return false;
    parts[FUSED_BACK_REST] = keeps_rest(conv, plan) ? parts[FUSED_BACK_SUM] : 0;
    return !(passes & CLDEFORM_GRAD_BIAS) || cldeform__bias_sizes(conv, 1, &parts[FUSED_BACK_BIAS]);
}

/* ---- steps --------------------------------------------------------------------------------------------- */

static cldeform_status enqueue_pack_weight(const cldeform_conv2d *conv, cldeform__call *call,
                                           const cldeform__operand *weight, cl_mem packed)
{
    const fused_plan *plan = conv->plan;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const int64_t channels = problem->in_channels / problem->groups;
    const cl_int tile = plan->grad.lanes * plan->grad.vectors;
    const cl_ulong first = weight->start;
    const cldeform__argument arguments[] = {ARGUMENT(plan->geometry), ARGUMENT(tile), ARGUMENT(weight->buffer),
                                            ARGUMENT(first), ARGUMENT(packed)};
    const cldeform__launch launch = {
        .step = "pack_weight",
        .kernel = plan->pack_channel_tiles,
        .arguments = arguments,
        .n_arguments = 5,
        .items = {(size_t)(problem->out_channels / problem->groups),
                  cldeform__fused_groups(cldeform__divide_up(channels, tile)), cldeform__fused_groups(problem->groups)},
        .group = 1,
        .bytes = (double)conv->sizes.weight * (double)(plan->real_size + cldeform__dtype_size(problem->dtype)),
    };
    return cldeform__call_launch(call, &launch);
}

/* Elements between pixels and between channels of an image of so many pixels and channels. */
static void find_strides(const cldeform_conv2d *conv, int64_t pixels, int64_t channels, cl_ulong strides[2])
{
    const bool nhwc = conv->problem.layout == CLDEFORM_NHWC;
    strides[0] = nhwc ? (cl_ulong)channels : 1;
    strides[1] = nhwc ? 1 : (cl_ulong)pixels;
}

static cldeform_status enqueue_pack_grad_output(const cldeform_conv2d *conv, cldeform__call *call,
                                                const cldeform__operand *grad_output, cl_mem packed)
{
    const fused_plan *plan = conv->plan;
    const conv2d_fused_shape *shape = &plan->grad_weight.shape;
    const cl_ulong first = grad_output->start;
    cl_ulong strides[2];
    find_strides(conv, conv->sizes.out_plane, conv->problem.out_channels, strides);
    const cldeform__argument arguments[] = {
        ARGUMENT(plan->geometry),   ARGUMENT(shape->out_lanes),    ARGUMENT(shape->out_blocks),
        ARGUMENT(shape->out_pitch), ARGUMENT(grad_output->buffer), ARGUMENT(first),
        ARGUMENT(strides[0]),       ARGUMENT(strides[1]),          ARGUMENT(packed)};
    const cldeform__launch launch = {
        .step = "pack_grad_output",
        .kernel = plan->pack_grad_output,
        .arguments = arguments,
        .n_arguments = 9,
        .items = {(size_t)cldeform__divide_up(shape->out_pitch, FUSED_TURN), cldeform__fused_groups(shape->out_blocks),
                  cldeform__fused_groups(conv->problem.groups)},
        .group = 1,
        .bytes = (double)conv->sizes.output * (double)(plan->real_size + cldeform__dtype_size(conv->problem.dtype)),
    };
    return cldeform__call_launch(call, &launch);
}

/* The arguments with which both kernels begin, and what they point to. */
typedef struct begin_values {
    cl_ulong2 input_place;
    cldeform__where where;
} begin_values;

static void add_begin(cldeform__argument_list *list, begin_values *values, const cldeform_conv2d *conv,
                      const fused_form *form, const cldeform__conv2d_operands *operands,
                      const cl_mem parts[FUSED_BACKWARD_PARTS])
{
    const fused_plan *plan = conv->plan;
    values->input_place = cldeform__place_of(&operands->input);
    ADD_ARGUMENT(list, plan->geometry);
    ADD_ARGUMENT(list, form->shape);
    ADD_ARGUMENT(list, operands->input.buffer);
    ADD_ARGUMENT(list, values->input_place);
    ADD_ARGUMENT(list, parts[FUSED_BACK_ZEROS]);
    cldeform__add_where(list, &values->where, conv, operands);
    ADD_ARGUMENT(list, parts[FUSED_BACK_GRAD_OUTPUT]);
}

/* One slab: the gradients of input, offset and mask, or with several parts of the channels what they consist of. */
static cldeform_status enqueue_slab(const cldeform_conv2d *conv, cldeform__call *call, int64_t number, double share,
                                    const cldeform__conv2d_operands *operands,
                                    const cldeform__conv2d_gradients *gradients,
                                    const cl_mem parts[FUSED_BACKWARD_PARTS])
{
    cldeform_status status;
    const fused_plan *plan = conv->plan;
    const fused_form *form = &plan->grad;
    const cl_ulong2 offset_place = cldeform__place_of(&gradients->grad_offset);
    const cl_ulong2 mask_place = cldeform__place_of(&gradients->grad_mask);
    const cl_int slab = (cl_int)number;
    const cl_int accumulate =
        (gradients->accumulate & CLDEFORM_GRAD_OFFSET ? 1 : 0) | (gradients->accumulate & CLDEFORM_GRAD_MASK ? 2 : 0);
    cldeform__argument_list list = {.n = 0};
    begin_values values;
    add_begin(&list, &values, conv, form, operands, parts);
    ADD_ARGUMENT(&list, gradients->grad_offset.buffer);
    ADD_ARGUMENT(&list, offset_place);
    ADD_ARGUMENT(&list, gradients->grad_mask.buffer);
    ADD_ARGUMENT(&list, mask_place);
    ADD_ARGUMENT(&list, accumulate);
    ADD_ARGUMENT(&list, slab);
    ADD_ARGUMENT(&list, parts[FUSED_BACK_PARTIAL]);
    cldeform__argument_list finish = list;
    ADD_ARGUMENT(&list, parts[FUSED_BACK_WEIGHT]);
    ADD_ARGUMENT(&list, parts[FUSED_BACK_COPIES]);
    cldeform__fused_add_local(&list, form);
    const cldeform__launch launch = {
        .step = "fused_grad",
        .kernel = form->kernel,
        .arguments = list.arguments,
        .n_arguments = list.n,
        .items = {(size_t)form->shape.workers, (size_t)form->shape.parts, 1},
        .group = 1,
        .flop = share * cldeform__product_flop(conv),
        .bytes = share *
                 (cldeform__tensor_bytes(conv, plan->real_size) + (double)conv->sizes.weight * (double)plan->real_size +
                  (double)conv->sizes.input * (double)plan->real_size * 2 * (double)form->shape.workers),
    };
    TRY(cldeform__call_launch(call, &launch));
    if (parts[FUSED_BACK_PARTIAL]) {
        fused_form tables = *form; /* all but the columns */
        tables.columns = 0;
        cldeform__fused_add_local(&finish, &tables);
        const cldeform__launch last = {
            .step = "fused_finish",
            .kernel = plan->finish,
            .arguments = finish.arguments,
            .n_arguments = finish.n,
            .items = {(size_t)form->shape.workers,
                      cldeform__fused_groups(conv->sizes.taps * conv->problem.offset_groups), 1},
            .group = 1,
            .bytes = share * (double)(conv->sizes.offset + conv->sizes.mask) *
                     (double)cldeform__dtype_size(conv->problem.offset_dtype) * 2,
        };
        TRY(cldeform__call_launch(call, &last));
    }
done:
    return status;
}

static cldeform_status enqueue_grad(const cldeform_conv2d *conv, cldeform__call *call,
                                    const cldeform__conv2d_operands *operands,
                                    const cldeform__conv2d_gradients *gradients,
                                    const cl_mem parts[FUSED_BACKWARD_PARTS])
{
    cldeform_status status = CLDEFORM_OK;
    const fused_plan *plan = conv->plan;
    const conv2d_fused_shape *shape = &plan->grad.shape;
    const int64_t steps = cldeform__divide_up(conv->sizes.out_plane, plan->grad.rows);
    const int64_t range = cldeform__divide_up(steps, shape->workers) * plan->grad.rows; /* of the longest */
    const int64_t slabs = cldeform__divide_up(range, shape->slab);
    for (int64_t slab = 0; slab < slabs; slab++)
        TRY(enqueue_slab(conv, call, slab, 1 / (double)slabs, operands, gradients, parts));
done:
    return status;
}

static cldeform_status enqueue_add_copies(const cldeform_conv2d *conv, cldeform__call *call,
                                          const cldeform__conv2d_gradients *gradients, cl_mem copies)
{
    const fused_plan *plan = conv->plan;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const cl_int pixels = (cl_int)(problem->in_h * problem->in_w), channels = (cl_int)problem->in_channels;
    const cl_int n_copies = plan->grad.shape.workers, pitch = (cl_int)plan->pitch;
    const cl_int accumulate = (gradients->accumulate & CLDEFORM_GRAD_INPUT) != 0;
    const cl_ulong first = gradients->grad_input.start;
    cl_ulong strides[2];
    find_strides(conv, pixels, channels, strides);
    const cldeform__argument arguments[] = {
        ARGUMENT(pixels),     ARGUMENT(channels),   ARGUMENT(n_copies),
        ARGUMENT(pitch),      ARGUMENT(copies),     ARGUMENT(gradients->grad_input.buffer),
        ARGUMENT(first),      ARGUMENT(strides[0]), ARGUMENT(strides[1]),
        ARGUMENT(accumulate),
    };
    const cldeform__launch launch = {
        .step = "add_copies",
        .kernel = plan->add_copies,
        .arguments = arguments,
        .n_arguments = 10,
        .items = {(size_t)cldeform__divide_up(pixels, FUSED_TURN), 1, 1},
        .group = 1,
        .flop = (double)conv->sizes.input * (double)(n_copies - 1),
        .bytes = (double)conv->sizes.input *
                 ((double)n_copies * (double)plan->real_size + (double)cldeform__dtype_size(problem->dtype)),
    };
    return cldeform__call_launch(call, &launch);
}

static cldeform_status enqueue_grad_weight(const cldeform_conv2d *conv, cldeform__call *call, bool is_first,
                                           const cldeform__conv2d_operands *operands,
                                           const cl_mem parts[FUSED_BACKWARD_PARTS])
{
    const fused_plan *plan = conv->plan;
    const fused_form *form = &plan->grad_weight;
    const cl_int first = is_first;
    cldeform__argument_list list = {.n = 0};
    begin_values values;
    add_begin(&list, &values, conv, form, operands, parts);
    ADD_ARGUMENT(&list, parts[FUSED_BACK_SUM]);
    ADD_ARGUMENT(&list, parts[FUSED_BACK_REST]);
    ADD_ARGUMENT(&list, first);
    cldeform__fused_add_local(&list, form);
    const cldeform__launch launch = {
        .step = "fused_grad_weight",
        .kernel = form->kernel,
        .arguments = list.arguments,
        .n_arguments = list.n,
        .items = {(size_t)form->shape.parts, 1, 1},
        .group = 1,
        .flop = cldeform__product_flop(conv),
        .bytes =
            cldeform__tensor_bytes(conv, plan->real_size) + 2 * (double)conv->sizes.weight * (double)plan->real_size,
    };
    return cldeform__call_launch(call, &launch);
}

/* ---- the pass ------------------------------------------------------------------------------------------ */

static cldeform_status run_image(const cldeform_conv2d *conv, cldeform__call *call, bool is_first,
                                 const cldeform__conv2d_operands *given, const cldeform__conv2d_gradients *gradients,
                                 const cl_mem parts[FUSED_BACKWARD_PARTS])
{
    cldeform_status status = CLDEFORM_OK;
    const fused_plan *plan = conv->plan;
    const cldeform_passes wanted = gradients->wanted;
    cldeform__conv2d_operands operands = *given;
    if (parts[FUSED_BACK_INPUT]) {
        TRY(cldeform__fused_pack_input(conv, call, 1, &given->input, parts[FUSED_BACK_INPUT]));
        operands.input = (cldeform__operand){.buffer = parts[FUSED_BACK_INPUT]};
    }
    if (wanted & from_both)
        TRY(enqueue_pack_grad_output(conv, call, &gradients->grad_output, parts[FUSED_BACK_GRAD_OUTPUT]));
    if (wanted & from_grad_columns)
        TRY(enqueue_grad(conv, call, &operands, gradients, parts));
    if (wanted & CLDEFORM_GRAD_INPUT)
        TRY(enqueue_add_copies(conv, call, gradients, parts[FUSED_BACK_COPIES]));
    if (wanted & CLDEFORM_GRAD_WEIGHT)
        TRY(enqueue_grad_weight(conv, call, is_first, &operands, parts));
    if (wanted & CLDEFORM_GRAD_BIAS)
        TRY(cldeform__enqueue_bias(conv, &plan->parameters, call, 1, is_first, &gradients->grad_output,
                                   &parts[FUSED_BACK_BIAS]));
done:
    return status;
}

cldeform_status cldeform__fused_backward(const cldeform_conv2d *conv, cldeform__call *call, int64_t batch,
                                         const cldeform__conv2d_operands *operands,
                                         const cldeform__conv2d_gradients *gradients, cldeform__workspace *workspace)
{
    cldeform_status status = CLDEFORM_OK;
    const fused_plan *plan = conv->plan;
    size_t sizes[FUSED_BACKWARD_PARTS];
    cl_mem parts[FUSED_BACKWARD_PARTS] = {NULL};
    if (batch > 0) {
        if (!cldeform__fused_size_backward(conv, plan, gradients->wanted, sizes)) {
            status = cldeform__fail(CLDEFORM_LIMIT, "the workspace's size overflows");
            goto done;
        }
        for (int i = 0; i < FUSED_BACKWARD_PARTS; i++)
            TRY(cldeform__workspace_part(workspace, sizes[i], &parts[i]));
        TRY(cldeform__call_use_scratch(call, workspace->parts[0]));
        if (parts[FUSED_BACK_INPUT])
            TRY(cldeform__fused_clear(conv, call, parts[FUSED_BACK_INPUT], conv->problem.in_h * conv->problem.in_w, 1));
        if (parts[FUSED_BACK_ZEROS])
            TRY(cldeform__fused_clear(conv, call, parts[FUSED_BACK_ZEROS], 0, 1));
        if (gradients->wanted & from_grad_columns)
            TRY(enqueue_pack_weight(conv, call, &operands->weight, parts[FUSED_BACK_WEIGHT]));
    }
    for (int64_t image = 0; image < batch; image++) {
        const cldeform__conv2d_operands from = cldeform__operands_from(operands, image);
        const cldeform__conv2d_gradients to = cldeform__gradients_from(gradients, image);
        TRY(run_image(conv, call, image == 0, &from, &to, parts));
    }
    TRY(cldeform__enqueue_parameters(
        conv, &plan->parameters, call, gradients, parts[FUSED_BACK_SUM], parts[FUSED_BACK_REST],
        (int64_t)plan->grad_weight.shape.out_blocks * plan->grad_weight.shape.out_lanes, &parts[FUSED_BACK_BIAS]));
done:
    return status;
}
