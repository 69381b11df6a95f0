/* Backward of the algorithm tiled, image by image. */
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

/* Multiply-adds, as two, of one of the two products, of one image. */
static double product_flop(const cldeform_conv2d *conv)
{
    return 2 * (double)conv->sizes.output * (double)conv->sizes.weight / (double)conv->problem.out_channels;
}

/* Bytes of the tensors that both kernels read, of one image. */
static double bytes_read(const cldeform_conv2d *conv)
{
    return (double)(conv->sizes.input + conv->sizes.output) * (double)cldeform__dtype_size(conv->problem.dtype) +
           (double)(conv->sizes.offset + conv->sizes.mask) * (double)cldeform__dtype_size(conv->problem.offset_dtype);
}

/* The sum of the input's gradient, and the dots. */
static cldeform_status enqueue_grad(const cldeform_conv2d *conv, cldeform__call *call,
                                    const cldeform__conv2d_operands *operands,
                                    const cldeform__conv2d_gradients *gradients,
                                    const cl_mem parts[TILED_BACKWARD_PARTS])
{
    const tiled_plan *plan = conv->plan;
    const tiled_form *form = &plan->grad;
    const cl_ulong2 input_place = cldeform__place_of(&operands->input),
                    output_place = cldeform__place_of(&gradients->grad_output);
    cldeform__argument_list list = {.n = 0};
    cldeform__where where;
    ADD_ARGUMENT(&list, plan->geometry);
    ADD_ARGUMENT(&list, form->shape);
    ADD_ARGUMENT(&list, operands->input.buffer);
    ADD_ARGUMENT(&list, input_place);
    cldeform__add_where(&list, &where, conv, operands);
    ADD_ARGUMENT(&list, parts[TILED_BACK_WEIGHT]);
    ADD_ARGUMENT(&list, gradients->grad_output.buffer);
    ADD_ARGUMENT(&list, output_place);
    ADD_ARGUMENT(&list, parts[TILED_BACK_SUM]);
    ADD_ARGUMENT(&list, parts[TILED_BACK_DOTS]);
    const size_t items = cldeform__tiled_items(form);
    const cldeform__launch launch = {
        .step = "tiled_grad",
        .kernel = form->kernel,
        .arguments = list.arguments,
        .n_arguments = list.n,
        .items = {(size_t)form->column_tiles * items, (size_t)(form->shape.tiles * conv->sizes.taps), 1},
        .group = items,
        .flop = product_flop(conv),
        .bytes = bytes_read(conv) + (double)(conv->sizes.weight + conv->sizes.input) * (double)plan->real_size,
    };
    return cldeform__call_launch(call, &launch);
}

static cldeform_status enqueue_finish(const cldeform_conv2d *conv, cldeform__call *call,
                                      const cldeform__conv2d_operands *operands,
                                      const cldeform__conv2d_gradients *gradients, cl_mem dots)
{
    const tiled_plan *plan = conv->plan;
    const cl_int tiles = plan->grad.shape.tiles;
    const cl_ulong2 offset_place = cldeform__place_of(&gradients->grad_offset);
    const cl_ulong2 mask_place = cldeform__place_of(&gradients->grad_mask);
    const cl_int accumulate =
        (gradients->accumulate & CLDEFORM_GRAD_OFFSET ? 1 : 0) | (gradients->accumulate & CLDEFORM_GRAD_MASK ? 2 : 0);
    const double samples = (double)conv->sizes.out_plane * (double)conv->sizes.taps;
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
        .items = {(size_t)conv->sizes.out_plane, (size_t)(conv->sizes.taps * conv->problem.offset_groups), 1},
        .group = (size_t)call->context->tuning.im2col_group,
        .flop = 4 * samples * tiles,
        .bytes = samples * 4 * tiles * (double)plan->real_size +
                 2 * (double)(conv->sizes.offset + conv->sizes.mask) *
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
    const cl_ulong2 input_place = cldeform__place_of(&operands->input),
                    output_place = cldeform__place_of(&gradients->grad_output);
    cldeform__argument_list list = {.n = 0};
    cldeform__where where;
    ADD_ARGUMENT(&list, plan->geometry);
    ADD_ARGUMENT(&list, form->shape);
    ADD_ARGUMENT(&list, operands->input.buffer);
    ADD_ARGUMENT(&list, input_place);
    cldeform__add_where(&list, &where, conv, operands);
    ADD_ARGUMENT(&list, gradients->grad_output.buffer);
    ADD_ARGUMENT(&list, output_place);
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
        .flop = product_flop(conv),
        .bytes = bytes_read(conv) + (double)conv->sizes.weight * form->shape.splits * (double)plan->real_size,
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

static cldeform_status run_image(const cldeform_conv2d *conv, cldeform__call *call, bool is_first,
                                 const cldeform__conv2d_operands *given, const cldeform__conv2d_gradients *gradients,
                                 const cl_mem parts[TILED_BACKWARD_PARTS])
{
    cldeform_status status = CLDEFORM_OK;
    const tiled_plan *plan = conv->plan;
    const cldeform_passes wanted = gradients->wanted;
    cldeform__conv2d_operands operands = *given;
    if (parts[TILED_BACK_INPUT]) {
        TRY(cldeform__enqueue_pack_input(conv, plan->transfer.pack_input, call, 1, &given->input,
                                         parts[TILED_BACK_INPUT]));
        operands.input = (cldeform__operand){.buffer = parts[TILED_BACK_INPUT]};
    }
    if (wanted & CLDEFORM_GRAD_INPUT)
        TRY(cldeform__enqueue_zeros(&plan->transfer, call, parts[TILED_BACK_SUM],
                                    (size_t)conv->sizes.input * plan->real_size));
    if (wanted & from_grad_columns)
        TRY(enqueue_grad(conv, call, &operands, gradients, parts));
    if (wanted & from_dots)
        TRY(enqueue_finish(conv, call, &operands, gradients, parts[TILED_BACK_DOTS]));
    if (wanted & CLDEFORM_GRAD_INPUT)
        TRY(cldeform__enqueue_store_input(conv, &plan->transfer, call, 1, gradients, parts[TILED_BACK_SUM]));
    if (wanted & CLDEFORM_GRAD_WEIGHT)
        TRY(enqueue_grad_weight(conv, call, is_first, &operands, gradients, parts));
    if (wanted & CLDEFORM_GRAD_BIAS)
        TRY(cldeform__enqueue_bias(conv, &plan->parameters, call, 1, is_first, &gradients->grad_output,
                                   &parts[TILED_BACK_BIAS]));
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
    if (batch > 0) {
        if (!cldeform__tiled_size_backward(conv, plan, gradients->wanted, sizes)) {
            status = cldeform__fail(CLDEFORM_LIMIT, "the workspace's size overflows");
            goto done;
        }
        for (int i = 0; i < TILED_BACKWARD_PARTS; i++)
            TRY(cldeform__workspace_part(workspace, sizes[i], &parts[i]));
        TRY(cldeform__call_use_scratch(call, workspace->parts[0]));
        if (gradients->wanted & from_grad_columns)
            TRY(enqueue_pack_weight(conv, call, &operands->weight, parts[TILED_BACK_WEIGHT]));
    }
    for (int64_t image = 0; image < batch; image++) {
        const cldeform__conv2d_operands from = cldeform__operands_from(operands, image);
        const cldeform__conv2d_gradients to = cldeform__gradients_from(gradients, image);
        TRY(run_image(conv, call, image == 0, &from, &to, parts));
    }
    TRY(cldeform__enqueue_parameters(conv, &plan->parameters, call, gradients, parts[TILED_BACK_TOTAL],
                                     parts[TILED_BACK_REST], conv->problem.out_channels / conv->problem.groups,
                                     &parts[TILED_BACK_BIAS]));
done:
    return status;
}
