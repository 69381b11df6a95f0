/* Algorithm fused: panels of output pixels are sampled into local memory and multiplied there, so that no columns are
 * ever written. */
#include "fused.h"

#include "../disk_cache.h"
#include "../geometry.h"

#include <stdlib.h>

size_t cldeform__fused_groups(int64_t n)
{
    return (size_t)cldeform__at_most(n, CLDEFORM__MOST_GROUPS);
}

void cldeform__fused_add_local(cldeform__argument_list *list, const fused_form *form)
{
    const size_t local[] = {form->columns, form->sums, form->placed, form->reals};
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++)
        if (local[i] > 0)
            list->arguments[list->n++] = (cldeform__argument){local[i], NULL};
}

/* The weight as the forward kernel's tiles. */
static cldeform_status enqueue_pack(const cldeform_conv2d *conv, cldeform__call *call, const cldeform__operand *weight,
                                    cl_mem packed, size_t start)
{
    const fused_plan *plan = conv->plan;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const cl_int tile = plan->forward.lanes * plan->forward.vectors;
    const cl_ulong first = weight->start, first_packed = start;
    const int64_t outputs = problem->out_channels / problem->groups;
    const int64_t depth = problem->in_channels / problem->groups * conv->sizes.taps;
    const cldeform__argument arguments[] = {ARGUMENT(plan->geometry), ARGUMENT(tile),   ARGUMENT(weight->buffer),
                                            ARGUMENT(first),          ARGUMENT(packed), ARGUMENT(first_packed)};
    const cldeform__launch launch = {
        .step = "pack_weight",
        .kernel = plan->pack_tiles,
        .arguments = arguments,
        .n_arguments = 6,
        .items = {(size_t)cldeform__divide_up(depth, FUSED_TURN),
                  cldeform__fused_groups(cldeform__divide_up(cldeform__divide_up(outputs, tile) * tile, FUSED_TURN)),
                  cldeform__fused_groups(problem->groups)},
        .group = 1,
        .bytes = (double)conv->sizes.weight * (double)(plan->real_size + cldeform__dtype_size(problem->dtype)),
    };
    return cldeform__call_launch(call, &launch);
}

cldeform_status cldeform__fused_clear(const cldeform_conv2d *conv, cldeform__call *call, cl_mem pixels,
                                      int64_t first_pixel, int64_t images)
{
    const fused_plan *plan = conv->plan;
    const cl_int pitch = (cl_int)plan->pitch;
    const cl_ulong first = (cl_ulong)first_pixel, step = (cl_ulong)(conv->problem.in_h * conv->problem.in_w + 1);
    const cldeform__argument arguments[] = {ARGUMENT(pitch), ARGUMENT(first), ARGUMENT(step), ARGUMENT(pixels)};
    const cldeform__launch launch = {
        .step = "clear",
        .kernel = plan->clear,
        .arguments = arguments,
        .n_arguments = 4,
        .items = {(size_t)pitch, (size_t)images, 1},
        .group = (size_t)conv->context->tuning.im2col_group,
        .bytes = (double)images * (double)pitch * (double)plan->real_size,
    };
    return cldeform__call_launch(call, &launch);
}

/* The images' input with channels side by side. */
cldeform_status cldeform__fused_pack_input(const cldeform_conv2d *conv, cldeform__call *call, int64_t n_images,
                                           const cldeform__operand *input, cl_mem packed)
{
    const fused_plan *plan = conv->plan;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const bool nhwc = problem->layout == CLDEFORM_NHWC;
    const cl_ulong2 place = cldeform__place_of(input);
    const cl_ulong pixels = (cl_ulong)(problem->in_h * problem->in_w), images = (cl_ulong)n_images;
    const cl_ulong pixel_stride = nhwc ? (cl_ulong)problem->in_channels : 1, channel_stride = nhwc ? 1 : pixels;
    const cl_int channels = (cl_int)problem->in_channels, cells = 1, pitch = (cl_int)plan->pitch;
    const cl_ulong image_pixels = pixels + 1; /* a pixel of zeros behind each */
    const cldeform__argument arguments[] = {ARGUMENT(input->buffer),  ARGUMENT(place),       ARGUMENT(pixel_stride),
                                            ARGUMENT(channel_stride), ARGUMENT(pixels),      ARGUMENT(channels),
                                            ARGUMENT(cells),          ARGUMENT(images),      ARGUMENT(packed),
                                            ARGUMENT(pitch),          ARGUMENT(image_pixels)};
    const cldeform__launch launch = {
        .step = "pack_input",
        .kernel = plan->transpose,
        .arguments = arguments,
        .n_arguments = 11,
        .items = {(size_t)cldeform__divide_up((int64_t)pixels, FUSED_TURN),
                  cldeform__fused_groups(cldeform__divide_up(channels, FUSED_TURN)), cldeform__fused_groups(n_images)},
        .group = 1,
        .bytes = (double)n_images * (double)conv->sizes.input *
                 (double)(plan->real_size + cldeform__dtype_size(problem->dtype)),
    };
    return cldeform__call_launch(call, &launch);
}

static cldeform_status enqueue_fused(const cldeform_conv2d *conv, cldeform__call *call, int64_t images,
                                     const cldeform__conv2d_operands *operands, const cldeform__operand *input,
                                     cl_mem weight, size_t weight_start, cl_mem zeros)
{
    const fused_plan *plan = conv->plan;
    const fused_form *form = &plan->forward;
    const cl_ulong2 input_place = cldeform__place_of(input), output_place = cldeform__place_of(&operands->output);
    const cl_ulong first_weight = weight_start, first_bias = operands->bias.start;
    cldeform__argument_list list = {.n = 0};
    cldeform__where where;
    ADD_ARGUMENT(&list, plan->geometry);
    ADD_ARGUMENT(&list, form->shape);
    ADD_ARGUMENT(&list, input->buffer);
    ADD_ARGUMENT(&list, input_place);
    ADD_ARGUMENT(&list, zeros);
    cldeform__add_where(&list, &where, conv, operands);
    ADD_ARGUMENT(&list, weight);
    ADD_ARGUMENT(&list, first_weight);
    ADD_ARGUMENT(&list, operands->bias.buffer);
    ADD_ARGUMENT(&list, first_bias);
    ADD_ARGUMENT(&list, operands->output.buffer);
    ADD_ARGUMENT(&list, output_place);
    cldeform__fused_add_local(&list, form);
    const cldeform__launch launch = {
        .step = "fused",
        .kernel = form->kernel,
        .arguments = list.arguments,
        .n_arguments = list.n,
        .items = {(size_t)cldeform__divide_up(conv->sizes.out_plane, form->shape.panel),
                  cldeform__fused_groups((int64_t)form->blocks), (size_t)images},
        .group = 1,
        .flop = (double)images * cldeform__product_flop(conv),
        .bytes = (double)images * cldeform__tensor_bytes(conv, cldeform__dtype_size(conv->problem.dtype)) +
                 (double)conv->sizes.weight * (double)plan->real_size,
    };
    return cldeform__call_launch(call, &launch);
}

static cldeform_status forward(const cldeform_conv2d *conv, cldeform__call *call, int64_t batch,
                               const cldeform__conv2d_operands *operands, cldeform__workspace *workspace)
{
    cldeform_status status;
    const fused_plan *plan = conv->plan;
    size_t sizes[FUSED_FORWARD_PARTS];
    cl_mem parts[FUSED_FORWARD_PARTS] = {NULL};
    const int64_t images = cldeform__fused_chunk(conv, plan, batch, workspace->end - workspace->next);
    if (!cldeform__fused_size_forward(conv, plan, images, sizes)) {
        status = cldeform__fail(CLDEFORM_LIMIT, "the workspace's size overflows");
        goto done;
    }
    for (int i = 0; i < FUSED_FORWARD_PARTS; i++)
        TRY(cldeform__workspace_part(workspace, sizes[i], &parts[i]));
    TRY(cldeform__call_use_scratch(call, parts[FUSED_WEIGHT]));
    cl_mem weight = operands->packed_weight.buffer;
    if (!weight) {
        weight = parts[FUSED_WEIGHT];
        TRY(enqueue_pack(conv, call, &operands->weight, weight, 0));
    }
    if (plan->packs_input)
        TRY(cldeform__fused_clear(conv, call, parts[FUSED_INPUT], conv->problem.in_h * conv->problem.in_w, images));
    else
        TRY(cldeform__fused_clear(conv, call, parts[FUSED_ZEROS], 0, 1));
    for (int64_t image = 0; image < batch; image += images) {
        const cldeform__conv2d_operands chunk = cldeform__operands_from(operands, image);
        const int64_t n = cldeform__at_most(images, batch - image);
        cldeform__operand input = chunk.input;
        if (plan->packs_input) {
            TRY(cldeform__fused_pack_input(conv, call, n, &chunk.input, parts[FUSED_INPUT]));
            input = (cldeform__operand){.buffer = parts[FUSED_INPUT],
                                        .stride = (size_t)(conv->problem.in_h * conv->problem.in_w + 1) *
                                                  (size_t)plan->pitch};
        }
        TRY(enqueue_fused(conv, call, n, &chunk, &input, weight, operands->packed_weight.start / plan->real_size,
                          parts[FUSED_ZEROS]));
    }
done:
    return status;
}

static void packed_weight(const cldeform_conv2d *conv, size_t *bytes, uint64_t *format)
{
    const fused_plan *plan = conv->plan;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const int64_t layout[] = {CLDEFORM_ALGORITHM_FUSED, (int64_t)plan->forward.lanes * plan->forward.vectors,
                              (int64_t)plan->real_size, problem->out_channels,
                              problem->in_channels,     conv->sizes.taps,
                              problem->groups};
    *bytes = 0;
    cldeform__fused_weight_bytes(conv, plan, &plan->forward, false, bytes);
    *format = cldeform__hash(7, layout, sizeof layout);
}

static cldeform_status pack_weight(const cldeform_conv2d *conv, cldeform__call *call, const cldeform__operand *weight,
                                   const cldeform__operand *packed)
{
    const fused_plan *plan = conv->plan;
    return enqueue_pack(conv, call, weight, packed->buffer, packed->start / plan->real_size);
}

static bool is_deterministic(const cldeform_conv2d *conv, cldeform_passes passes)
{
    (void)conv;
    (void)passes;
    return true; /* every sum has one order and one owner */
}

static void describe(const cldeform_conv2d *conv, cldeform__text *text)
{
    const fused_plan *plan = conv->plan;
    const fused_form *forms[] = {&plan->forward, &plan->grad, &plan->grad_weight};
    static const char *const names[] = {"forward", "grad", "grad_weight"};
    cldeform__text_add(text, ",\"packs_input\":%s,\"kernel_options\":\"%s\"", plan->packs_input ? "true" : "false",
                       plan->options);
    for (int i = 0; i < 3; i++)
        if (forms[i]->kernel)
            cldeform__text_add(text,
                               ",\"%s\":{\"tile\":\"%dx%dx%d\",\"panel\":%d,\"taps\":%d,\"channels\":%d,"
                               "\"groups\":%d,\"local_bytes\":%zu}",
                               names[i], forms[i]->rows, forms[i]->vectors, forms[i]->lanes, forms[i]->shape.panel,
                               forms[i]->shape.block_taps, forms[i]->shape.block_channels, forms[i]->shape.block_groups,
                               cldeform__fused_local_bytes(forms[i]));
}

const cldeform__conv2d_algorithm cldeform__conv2d_fused = {
    .id = CLDEFORM_ALGORITHM_FUSED,
    .name = "fused",
    .refuses = cldeform__fused_refuses,
    .plan = cldeform__fused_make_plan,
    .free_plan = free,
    .workspace = cldeform__fused_workspace,
    .is_deterministic = is_deterministic,
    .forward = forward,
    .backward = cldeform__fused_backward,
    .packed_weight = packed_weight,
    .pack_weight = pack_weight,
    .describe = describe,
};
