/* Backward of the algorithm tiled, by chunks of images. */
#include "tiled.h"

#include "../geometry.h"
#include "steps.h"

static const cldeform_passes from_dots = CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK;
static const cldeform_passes from_grad_columns = CLDEFORM_GRAD_INPUT | CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK;

static cldeform_status enqueue_pack_weight(const cldeform_conv2d *conv, cldeform__call *call,
                                           const cldeform__operand *weight, cl_mem packed)
{
    const tiled_plan *plan = conv->plan;
    const cl_ulong n = (cl_ulong)plan->grad.packed, first = weight->start;
    const cldeform__argument arguments[] = {
        ARGUMENT(plan->geometry), ARGUMENT(plan->grad.shape), ARGUMENT(n), ARGUMENT(weight->buffer), ARGUMENT(first),
        ARGUMENT(packed)};
    const cldeform__launch launch = {
        .step = "pack_weight",
        .kernel = plan->pack_channels,
        .arguments = arguments,
        .n_arguments = 6,
        .items = {(size_t)n, 1, 1},
        .group = (size_t)conv->context->tuning.im2col_group,
        .bytes = (double)conv->sizes.weight * (double)cldeform__dtype_size(conv->problem.dtype) +
                 (double)n * (double)plan->real_size,
    };
    return cldeform__call_launch(call, &launch);
}

/* What the lists below point to. */
typedef struct begin_values {
    cl_ulong2 input_place, output_place;
    cldeform__where where;
} begin_values;

/* The arguments that both products begin with. */
static void add_begin(cldeform__argument_list *list, begin_values *values, const cldeform_conv2d *conv,
                      const tiled_form *form, const cldeform__conv2d_operands *operands,
                      const cldeform__conv2d_gradients *gradients)
{
    const tiled_plan *plan = conv->plan;
    values->input_place = cldeform__place_of(&operands->input);
    values->output_place = cldeform__place_of(&gradients->grad_output);
    ADD_ARGUMENT(list, plan->geometry);
    ADD_ARGUMENT(list, form->shape);
    ADD_ARGUMENT(list, operands->input.buffer);
    ADD_ARGUMENT(list, values->input_place);
    cldeform__add_where(list, &values->where, conv, operands);
    ADD_ARGUMENT(list, gradients->grad_output.buffer);
    ADD_ARGUMENT(list, values->output_place);
}

/* The sum of the input's gradient, and the dots, of so many images. */
static cldeform_status enqueue_grad(const cldeform_conv2d *conv, cldeform__call *call, int64_t images,
                                    const cldeform__conv2d_operands *operands,
                                    const cldeform__conv2d_gradients *gradients,
                                    const cl_mem parts[TILED_BACKWARD_PARTS])
{
    const tiled_plan *plan = conv->plan;
    const tiled_form *form = &plan->grad;
    cldeform__argument_list list = {.n = 0};
    begin_values values;
    add_begin(&list, &values, conv, form, operands, gradients);
    ADD_ARGUMENT(&list, parts[TILED_BACK_WEIGHT]);
    ADD_ARGUMENT(&list, parts[TILED_BACK_SUM]);
    ADD_ARGUMENT(&list, parts[TILED_BACK_DOTS]);
    const size_t items = cldeform__tiled_items(form);
    const cldeform__launch launch = {
        .step = "tiled_grad",
        .kernel = form->kernel,
        .arguments = list.arguments,
        .n_arguments = list.n,
        .items = {(size_t)form->column_tiles * items, (size_t)(form->shape.tiles * conv->sizes.taps), (size_t)images},
        .group = items,
        .flop = (double)images * cldeform__product_flop(conv),
        .bytes = (double)images * (cldeform__tensor_bytes(conv, cldeform__dtype_size(conv->problem.dtype)) +
                                   (double)conv->sizes.input * (double)plan->real_size) +
                 (double)conv->sizes.weight * (double)plan->real_size,
    };
    return cldeform__call_launch(call, &launch);
}

static cldeform_status enqueue_finish(const cldeform_conv2d *conv, cldeform__call *call, int64_t images,
                                      const cldeform__conv2d_operands *operands,
                                      const cldeform__conv2d_gradients *gradients, cl_mem dots)
{
    const tiled_plan *plan = conv->plan;
    const cl_int tiles = plan->grad.shape.tiles;
    const cl_ulong2 offset_place = cldeform__place_of(&gradients->grad_offset);
    const cl_ulong2 mask_place = cldeform__place_of(&gradients->grad_mask);
    const cl_int accumulate =
        (gradients->accumulate & CLDEFORM_GRAD_OFFSET ? 1 : 0) | (gradients->accumulate & CLDEFORM_GRAD_MASK ? 2 : 0);
    const double samples = (double)images * (double)conv->sizes.out_plane * (double)conv->sizes.taps;
    cldeform__argument_list list = {.n = 0};
    cldeform__where where;
    ADD_ARGUMENT(&list, plan->geometry);
    ADD_ARGUMENT(&list, tiles);
    cldeform__add_where(&list, &where, conv, operands);
    ADD_ARGUMENT(&list, dots);
    ADD_ARGUMENT(&list, gradients->grad_offset.buffer);
    ADD_ARGUMENT(&list, offset_place);
    ADD_ARGUMENT(&list, gradients->grad_mask.buffer);
    ADD_ARGUMENT(&list, mask_place);
    ADD_ARGUMENT(&list, accumulate);
    const cldeform__launch launch = {
        .step = "tiled_finish",
        .kernel = plan->finish,
        .arguments = list.arguments,
        .n_arguments = list.n,
        .items = {(size_t)conv->sizes.out_plane, (size_t)(conv->sizes.taps * conv->problem.offset_groups),
                  (size_t)images},
        .group = (size_t)call->context->tuning.im2col_group,
        .flop = 4 * samples * tiles,
        .bytes = samples * 4 * tiles * (double)plan->real_size +
                 2 * (double)images * (double)(conv->sizes.offset + conv->sizes.mask) *
                     (double)cldeform__dtype_size(conv->problem.offset_dtype),
    };
    return cldeform__call_launch(call, &launch);
}

/* The sum of the weight's gradient = (first) or += what the image gives. */
static cldeform_status enqueue_grad_weight(const cldeform_conv2d *conv, cldeform__call *call, bool is_first,
                                           const cldeform__conv2d_operands *operands,
                                           const cldeform__conv2d_gradients *gradients,
                                           const cl_mem parts[TILED_BACKWARD_PARTS])
{
    cldeform_status status;
    const tiled_plan *plan = conv->plan;
    const tiled_form *form = &plan->grad_weight;
    cldeform__argument_list list = {.n = 0};
    begin_values values;
    add_begin(&list, &values, conv, form, operands, gradients);
    ADD_ARGUMENT(&list, parts[TILED_BACK_PARTS]);
    const size_t items = cldeform__tiled_items(form);
    const cldeform__launch launch = {
        .step = "tiled_grad_weight",
        .kernel = form->kernel,
        .arguments = list.arguments,
        .n_arguments = list.n,
        .items = {(size_t)(form->column_tiles * conv->sizes.taps) * items, (size_t)form->row_tiles,
                  (size_t)form->shape.splits},
        .group = items,
        .flop = cldeform__product_flop(conv),
        .bytes = cldeform__tensor_bytes(conv, cldeform__dtype_size(conv->problem.dtype)) +
                 (double)conv->sizes.weight * form->shape.splits * (double)plan->real_size,
    };
    TRY(cldeform__call_launch(call, &launch));
    const cl_ulong n = (cl_ulong)conv->sizes.weight;
    const cl_int splits = form->shape.splits, first = is_first;
    const cldeform__argument arguments[] = {ARGUMENT(n),
                                            ARGUMENT(splits),
                                            ARGUMENT(parts[TILED_BACK_PARTS]),
                                            ARGUMENT(parts[TILED_BACK_TOTAL]),
                                            ARGUMENT(parts[TILED_BACK_REST]),
                                            ARGUMENT(first)};
    const cldeform__launch add = {
        .step = "add_parts",
        .kernel = plan->add_parts,
        .arguments = arguments,
        .n_arguments = 6,
        .items = {(size_t)n, 1, 1},
        .group = (size_t)call->context->tuning.im2col_group,
        .flop = (double)n * splits,
        .bytes = (double)n * (splits + 4) * (double)plan->real_size,
    };
    status = cldeform__call_launch(call, &add);
done:
    return status;
}

static cldeform_status run_chunk(const cldeform_conv2d *conv, cldeform__call *call, int64_t images, bool is_first,
                                 const cldeform__conv2d_operands *given, const cldeform__conv2d_gradients *gradients,
                                 const cl_mem parts[TILED_BACKWARD_PARTS])
{
    cldeform_status status = CLDEFORM_OK;
    const tiled_plan *plan = conv->plan;
    const cldeform_passes wanted = gradients->wanted;
    cldeform__conv2d_operands operands = *given;
    if (parts[TILED_BACK_INPUT]) {
        TRY(cldeform__enqueue_pack_input(conv, plan->transfer.pack_input, call, images, &given->input,
                                         parts[TILED_BACK_INPUT]));
        operands.input = (cldeform__operand){.buffer = parts[TILED_BACK_INPUT], .stride = (size_t)conv->sizes.input};
    }
    if (wanted & CLDEFORM_GRAD_INPUT)
        TRY(cldeform__enqueue_zeros(&plan->transfer, call, parts[TILED_BACK_SUM],
                                    (size_t)images * (size_t)conv->sizes.input * plan->real_size));
    if (wanted & from_grad_columns)
        TRY(enqueue_grad(conv, call, images, &operands, gradients, parts));
    if (wanted & from_dots)
        TRY(enqueue_finish(conv, call, images, &operands, gradients, parts[TILED_BACK_DOTS]));
    if (wanted & CLDEFORM_GRAD_INPUT)
        TRY(cldeform__enqueue_store_input(conv, &plan->transfer, call, images, gradients, parts[TILED_BACK_SUM]));
    /* what is summed over the images, one by one: in the same order whatever the chunk */
    for (int64_t image = 0; image < images; image++) {
        const cldeform__conv2d_operands from = cldeform__operands_from(&operands, image);
        const cldeform__conv2d_gradients to = cldeform__gradients_from(gradients, image);
        const bool sets = is_first && image == 0;
        if (wanted & CLDEFORM_GRAD_WEIGHT)
            TRY(enqueue_grad_weight(conv, call, sets, &from, &to, parts));
        if (wanted & CLDEFORM_GRAD_BIAS)
            TRY(cldeform__enqueue_bias(conv, &plan->parameters, call, 1, sets, &to.grad_output,
                                       &parts[TILED_BACK_BIAS]));
    }
done:
    return status;
}

cldeform_status cldeform__tiled_backward(const cldeform_conv2d *conv, cldeform__call *call, int64_t batch,
                                         const cldeform__conv2d_operands *operands,
                                         const cldeform__conv2d_gradients *gradients, cldeform__workspace *workspace)
{
    cldeform_status status = CLDEFORM_OK;
    const tiled_plan *plan = conv->plan;
    size_t sizes[TILED_BACKWARD_PARTS];
    cl_mem parts[TILED_BACKWARD_PARTS] = {NULL};
    int64_t images = 1;
    if (batch > 0) {
        images = cldeform__tiled_chunk(conv, plan, gradients->wanted, batch, workspace->end - workspace->next);
        if (!cldeform__tiled_size_backward(conv, plan, gradients->wanted, images, sizes)) {
            status = cldeform__fail(CLDEFORM_LIMIT, "the workspace's size overflows");
            goto done;
        }
        for (int i = 0; i < TILED_BACKWARD_PARTS; i++)
            TRY(cldeform__workspace_part(workspace, sizes[i], &parts[i]));
        TRY(cldeform__call_use_scratch(call, workspace->parts[0]));
        if (gradients->wanted & from_grad_columns)
            TRY(enqueue_pack_weight(conv, call, &operands->weight, parts[TILED_BACK_WEIGHT]));
    }
    for (int64_t image = 0; image < batch; image += images) {
        const cldeform__conv2d_operands from = cldeform__operands_from(operands, image);
        const cldeform__conv2d_gradients to = cldeform__gradients_from(gradients, image);
        TRY(run_chunk(conv, call, cldeform__at_most(images, batch - image), image == 0, &from, &to, parts));
    }
    TRY(cldeform__enqueue_parameters(conv, &plan->parameters, call, gradients, parts[TILED_BACK_TOTAL],
                                     parts[TILED_BACK_REST], conv->problem.out_channels / conv->problem.groups,
                                     &parts[TILED_BACK_BIAS]));
done:
    return status;
}
