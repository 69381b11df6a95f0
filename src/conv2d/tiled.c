/* Algorithm tiled: matrix products in tiles of work-groups, whose second factor is sampled into local memory, so that
 * no columns are ever written. */
#include "tiled.h"

#include "../disk_cache.h"
#include "../geometry.h"
#include "steps.h"

#include <stdlib.h>

/* The weight as the forward kernel's blocks. start: elements. */
static cldeform_status enqueue_pack(const cldeform_conv2d *conv, cldeform__call *call, const cldeform__operand *weight,
                                    cl_mem packed, size_t start)
{
    const tiled_plan *plan = conv->plan;
    const tiled_form *form = &plan->forward;
    const cl_ulong n = (cl_ulong)form->packed, first = weight->start, first_packed = start;
    const cldeform__argument arguments[] = {ARGUMENT(plan->geometry), ARGUMENT(form->shape), ARGUMENT(n),
                                            ARGUMENT(weight->buffer), ARGUMENT(first),       ARGUMENT(packed),
                                            ARGUMENT(first_packed)};
    const cldeform__launch launch = {
        .step = "pack_weight",
        .kernel = plan->pack_outputs,
        .arguments = arguments,
        .n_arguments = 7,
        .items = {(size_t)n, 1, 1},
        .group = (size_t)conv->context->tuning.im2col_group,
        .bytes = (double)conv->sizes.weight * (double)cldeform__dtype_size(conv->problem.dtype) +
                 (double)n * (double)plan->real_size,
    };
    return cldeform__call_launch(call, &launch);
}

/* The output of so many images, or the parts that it is the sum of. */
static cldeform_status enqueue_tiles(const cldeform_conv2d *conv, cldeform__call *call, int64_t images,
                                     const cldeform__conv2d_operands *operands, const cldeform__operand *input,
                                     cl_mem weight, size_t weight_start, cl_mem parts)
{
    const tiled_plan *plan = conv->plan;
    const tiled_form *form = &plan->forward;
    const cl_ulong2 input_place = cldeform__place_of(input), output_place = cldeform__place_of(&operands->output);
    const cl_ulong first_weight = weight_start, first_bias = operands->bias.start;
    cldeform__argument_list list = {.n = 0};
    cldeform__where where;
    ADD_ARGUMENT(&list, plan->geometry);
    ADD_ARGUMENT(&list, form->shape);
    ADD_ARGUMENT(&list, input->buffer);
    ADD_ARGUMENT(&list, input_place);
    cldeform__add_where(&list, &where, conv, operands);
    ADD_ARGUMENT(&list, weight);
    ADD_ARGUMENT(&list, first_weight);
    ADD_ARGUMENT(&list, operands->bias.buffer);
    ADD_ARGUMENT(&list, first_bias);
    ADD_ARGUMENT(&list, operands->output.buffer);
    ADD_ARGUMENT(&list, output_place);
    ADD_ARGUMENT(&list, parts);
    const size_t items = cldeform__tiled_items(form);
    const cldeform__launch launch = {
        .step = "tiled",
        .kernel = form->kernel,
        .arguments = list.arguments,
        .n_arguments = list.n,
        .items = {(size_t)form->column_tiles * items, (size_t)form->shape.tiles * (size_t)form->shape.splits,
                  (size_t)images},
        .group = items,
        .flop = (double)images * cldeform__product_flop(conv),
        .bytes = (double)images * cldeform__tensor_bytes(conv, cldeform__dtype_size(conv->problem.dtype)) +
                 (double)conv->sizes.weight * (double)plan->real_size,
    };
    return cldeform__call_launch(call, &launch);
}

static cldeform_status enqueue_add(const cldeform_conv2d *conv, cldeform__call *call, int64_t images,
                                   const cldeform__conv2d_operands *operands, cl_mem parts)
{
    const tiled_plan *plan = conv->plan;
    const cl_ulong2 output_place = cldeform__place_of(&operands->output);
    const cl_ulong first_bias = operands->bias.start;
    const cl_int splits = plan->forward.shape.splits;
    const cldeform__argument arguments[] = {ARGUMENT(plan->geometry), ARGUMENT(splits),
                                            ARGUMENT(parts),          ARGUMENT(operands->bias.buffer),
                                            ARGUMENT(first_bias),     ARGUMENT(operands->output.buffer),
                                            ARGUMENT(output_place)};
    const double elements = (double)images * (double)conv->sizes.output;
    const cldeform__launch launch = {
        .step = "add_parts",
        .kernel = plan->add,
        .arguments = arguments,
        .n_arguments = 7,
        .items = {(size_t)conv->sizes.output, 1, (size_t)images},
        .group = (size_t)conv->context->tuning.im2col_group,
        .flop = elements * splits,
        .bytes = elements * (splits * (double)plan->real_size + (double)cldeform__dtype_size(conv->problem.dtype)),
    };
    return cldeform__call_launch(call, &launch);
}

static cldeform_status forward(const cldeform_conv2d *conv, cldeform__call *call, int64_t batch,
                               const cldeform__conv2d_operands *operands, cldeform__workspace *workspace)
{
    cldeform_status status;
    const tiled_plan *plan = conv->plan;
    size_t sizes[TILED_FORWARD_PARTS];
    cl_mem parts[TILED_FORWARD_PARTS] = {NULL};
    const int64_t images = cldeform__tiled_chunk(conv, plan, CLDEFORM_FORWARD, batch, workspace->end - workspace->next);
    if (!cldeform__tiled_size_forward(conv, plan, images, sizes)) {
        status = cldeform__fail(CLDEFORM_LIMIT, "the workspace's size overflows");
        goto done;
    }
    for (int i = 0; i < TILED_FORWARD_PARTS; i++)
        TRY(cldeform__workspace_part(workspace, sizes[i], &parts[i]));
    TRY(cldeform__call_use_scratch(call, parts[TILED_WEIGHT]));
    cl_mem weight = operands->packed_weight.buffer;
    if (!weight) {
        weight = parts[TILED_WEIGHT];
        TRY(enqueue_pack(conv, call, &operands->weight, weight, 0));
    }
    for (int64_t image = 0; image < batch; image += images) {
        const cldeform__conv2d_operands chunk = cldeform__operands_from(operands, image);
        const int64_t n = cldeform__at_most(images, batch - image);
        cldeform__operand input = chunk.input;
        if (parts[TILED_INPUT]) {
            TRY(cldeform__enqueue_pack_input(conv, plan->transfer.pack_input, call, n, &chunk.input,
                                             parts[TILED_INPUT]));
            input = (cldeform__operand){.buffer = parts[TILED_INPUT], .stride = (size_t)conv->sizes.input};
        }
        TRY(enqueue_tiles(conv, call, n, &chunk, &input, weight, operands->packed_weight.start / plan->real_size,
                          parts[TILED_PARTS]));
        if (parts[TILED_PARTS])
            TRY(enqueue_add(conv, call, n, &chunk, parts[TILED_PARTS]));
    }
done:
    return status;
}

static void packed_weight(const cldeform_conv2d *conv, size_t *bytes, uint64_t *format)
{
    const tiled_plan *plan = conv->plan;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const tiled_form *form = &plan->forward;
    const int64_t layout[] = {CLDEFORM_ALGORITHM_TILED, form->rows,           form->shape.depth,
                              form->shape.slots,        form->shape.run,      (int64_t)plan->real_size,
                              problem->out_channels,    problem->in_channels, conv->sizes.taps,
                              problem->groups};
    *bytes = 0;
    (void)cldeform__bytes(form->packed, plan->real_size, bytes);
    *format = cldeform__hash(7, layout, sizeof layout);
}

static cldeform_status pack_weight(const cldeform_conv2d *conv, cldeform__call *call, const cldeform__operand *weight,
                                   const cldeform__operand *packed)
{
    const tiled_plan *plan = conv->plan;
    return enqueue_pack(conv, call, weight, packed->buffer, packed->start / plan->real_size);
}

static bool is_deterministic(const cldeform_conv2d *conv, cldeform_passes passes)
{
    (void)conv;
    return !(passes & CLDEFORM_GRAD_INPUT); /* every other sum has one order */
}

static void describe(const cldeform_conv2d *conv, cldeform__text *text)
{
    const tiled_plan *plan = conv->plan;
    const tiled_form *forms[] = {&plan->forward, &plan->grad, &plan->grad_weight};
    static const char *const names[] = {"forward", "grad", "grad_weight"};
    cldeform__text_add(text, ",\"packs_input\":%s,\"kernel_options\":\"%s\"", plan->packs_input ? "true" : "false",
                       plan->options);
    for (int i = 0; i < 3; i++)
        if (forms[i]->kernel)
            cldeform__text_add(text,
                               ",\"%s\":{\"tile\":\"%dx%d\",\"item\":\"%dx%d\",\"depth\":%d,\"groups\":%d,"
                               "\"splits\":%d,\"work_items\":%zu,\"local_bytes\":%zu}",
                               names[i], forms[i]->rows, forms[i]->columns, forms[i]->item_rows, forms[i]->item_columns,
                               forms[i]->depth, forms[i]->shape.slots, forms[i]->shape.splits,
                               cldeform__tiled_items(forms[i]), cldeform__tiled_local_bytes(plan, forms[i]));
}

const cldeform__conv2d_algorithm cldeform__conv2d_tiled = {
    .id = CLDEFORM_ALGORITHM_TILED,
    .name = "tiled",
    .refuses = cldeform__tiled_refuses,
    .plan = cldeform__tiled_make_plan,
    .free_plan = free,
    .workspace = cldeform__tiled_workspace,
    .is_deterministic = is_deterministic,
    .forward = forward,
    .backward = cldeform__tiled_backward,
    .packed_weight = packed_weight,
    .pack_weight = pack_weight,
    .describe = describe,
};
