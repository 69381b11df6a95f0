/* Algorithm im2col: the samples of a slab of output pixels as a matrix in memory, then a matrix product. */
#include "im2col.h"

#include "../disk_cache.h"
#include "../geometry.h"

#include <stdlib.h>

/* ---- steps --------------------------------------------------------------------------------------------- */

cldeform_status cldeform__im2col_pack(const cldeform_conv2d *conv, const cldeform__steps *steps, cldeform__call *call,
                                      const cldeform__operand *weight, cldeform__matrix packed, weight_order order)
{
    const im2col_plan *plan = conv->plan;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const cl_ulong first = weight->start, first_packed = packed.start;
    const cl_int as = (cl_int)order;
    const cldeform__argument arguments[] = {ARGUMENT(steps->geometry), ARGUMENT(weight->buffer), ARGUMENT(first),
                                            ARGUMENT(packed.buffer),   ARGUMENT(first_packed),   ARGUMENT(as)};
    cldeform__launch launch = {
        .step = "pack_weight",
        .kernel = steps->pack_weight,
        .arguments = arguments,
        .n_arguments = sizeof arguments / sizeof arguments[0],
        .group = (size_t)conv->context->tuning.im2col_group,
        .bytes = (double)conv->sizes.weight * (double)(plan->real_size + cldeform__dtype_size(conv->problem.dtype)),
    };
    cldeform__transfer_items(conv, plan->rows / problem->groups, problem->out_channels / problem->groups,
                             cldeform__at_most(problem->groups, CLDEFORM__MOST_GROUPS), launch.items);
    return cldeform__call_launch(call, &launch);
}

static cldeform_status enqueue_store(const cldeform_conv2d *conv, cldeform__call *call, const cldeform__slab *slab,
                                     const cldeform__conv2d_operands *operands, cl_mem result)
{
    const im2col_plan *plan = conv->plan;
    const cl_int first_pixel = (cl_int)slab->first_pixel, pixels = (cl_int)slab->pixels;
    const cl_ulong first_bias = operands->bias.start;
    const cl_ulong2 output_place = cldeform__place_of(&operands->output);
    const size_t outputs = (size_t)conv->problem.out_channels;
    const int64_t width = cldeform__im2col_pad(plan, plan->in_place, slab->pixels);
    const cl_int last = conv->problem.layout == CLDEFORM_NHWC, pitch = (cl_int)width;
    const cl_ulong image_stride = cldeform__im2col_image(conv, plan, width * conv->problem.out_channels);
    const cldeform__argument arguments[] = {
        ARGUMENT(plan->steps.geometry),
        ARGUMENT(first_pixel),
        ARGUMENT(pixels),
        ARGUMENT(result),
        ARGUMENT(last),
        ARGUMENT(pitch),
        ARGUMENT(image_stride),
        ARGUMENT(operands->bias.buffer),
        ARGUMENT(first_bias),
        ARGUMENT(operands->output.buffer),
        ARGUMENT(output_place),
    };
    const double elements = (double)slab->images * (double)slab->pixels * (double)outputs;
    const cldeform__launch launch = {
        .step = "store",
        .kernel = plan->steps.store,
        .arguments = arguments,
        .n_arguments = sizeof arguments / sizeof arguments[0],
        .items = {(size_t)pixels * outputs, 1, (size_t)slab->images},
        .group = (size_t)conv->context->tuning.im2col_group,
        .flop = operands->bias.buffer ? elements : 0,
        .bytes = elements * (double)(plan->real_size + cldeform__dtype_size(conv->problem.dtype)),
    };
    return cldeform__call_launch(call, &launch);
}

/* One product for each image of the slab and each group, into the output itself (direct) or the result. */
static cldeform_status enqueue_products(const cldeform_conv2d *conv, cldeform__call *call, const cldeform__slab *slab,
                                        cldeform__matrix weight, const cldeform__operand *output,
                                        const cl_mem parts[FORWARD_PARTS], bool direct)
{
    const im2col_plan *plan = conv->plan;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const bool nhwc = problem->layout == CLDEFORM_NHWC;
    const cldeform__gemm gemm = cldeform__im2col_gemm(conv, plan, slab->pixels, direct);
    const size_t depth = (size_t)(plan->rows / problem->groups),
                 outputs = (size_t)(problem->out_channels / problem->groups);
    const int64_t width = cldeform__im2col_pad(plan, plan->in_place, slab->pixels);
    const size_t columns_stride = cldeform__im2col_image(conv, plan, plan->rows * width);
    const size_t result_stride = cldeform__im2col_image(conv, plan, problem->out_channels * width);
    for (int64_t image = 0; image < slab->images; image++) {
        for (size_t group = 0; group < (size_t)problem->groups; group++) {
            const cldeform__matrix columns = {parts[COLUMNS], (size_t)image * columns_stride +
                                                                  group * depth * (plan->planar ? (size_t)width : 1)};
            cldeform__matrix result = {parts[RESULT], (size_t)image * result_stride};
            if (direct)
                result = (cldeform__matrix){output->buffer,
                                            output->start + (size_t)image * output->stride +
                                                (size_t)slab->first_pixel * (nhwc ? (size_t)problem->out_channels : 1)};
            result.start += group * outputs * (nhwc ? 1 : (size_t)gemm.ldc);
            const cldeform__matrix weights = {weight.buffer, weight.start + group * outputs * depth};
            const cldeform_status status =
                nhwc ? cldeform__gemm_enqueue(call, &plan->engine, &gemm, columns, weights, result, parts[SCRATCH])
                     : cldeform__gemm_enqueue(call, &plan->engine, &gemm, weights, columns, result, parts[SCRATCH]);
            if (status != CLDEFORM_OK)
                return status;
        }
    }
    return CLDEFORM_OK;
}

/* ---- passes -------------------------------------------------------------------------------------------- */

/* Whether products may write the slab's output themselves: it is of their type, needs no bias, may be read as CLBlast
 * does, is within the reach of its indices, and where no copies are to be made, begins and ends as that needs. */
static bool writes_directly(const cldeform_conv2d *conv, const im2col_plan *plan, const cldeform__slab *slab,
                            const cldeform__conv2d_operands *operands)
{
    const cldeform__operand *output = &operands->output;
    const size_t elements = (size_t)(slab->images - 1) * output->stride + (size_t)conv->sizes.output;
    const bool nhwc = conv->problem.layout == CLDEFORM_NHWC;
    const size_t first = output->start + (size_t)slab->first_pixel * (nhwc ? (size_t)conv->problem.out_channels : 1);
    if (conv->problem.dtype == CLDEFORM_F16 || operands->bias.buffer || (output->flags & CL_MEM_WRITE_ONLY) ||
        !cldeform__gemm_can_address(&plan->engine, output->start, elements))
        return false;
    return !plan->in_place || (slab->pixels % plan->engine.tile == 0 && (nhwc || plan->slabs == 1) &&
                               cldeform__gemm_aligned(conv->context, first * plan->real_size) &&
                               cldeform__gemm_aligned(conv->context, output->stride * plan->real_size));
}

static cldeform_status forward(const cldeform_conv2d *conv, cldeform__call *call, int64_t batch,
                               const cldeform__conv2d_operands *operands, cldeform__workspace *workspace)
{
    cldeform_status status;
    const im2col_plan *plan = conv->plan;
    size_t sizes[FORWARD_PARTS];
    cl_mem parts[FORWARD_PARTS] = {NULL};
    cldeform__matrix weight = {operands->weight.buffer, operands->weight.start};
    const int64_t images =
        cldeform__im2col_chunk(conv, plan, CLDEFORM_FORWARD, batch, workspace->end - workspace->next);
    if (!cldeform__im2col_size_parts(conv, plan, images, sizes)) {
        status = cldeform__fail(CLDEFORM_LIMIT, "the workspace's size overflows");
        goto done;
    }
    const bool packs = sizes[PACKED] > 0 && !operands->packed_weight.buffer;
    if (operands->packed_weight.buffer)
        weight = (cldeform__matrix){operands->packed_weight.buffer, operands->packed_weight.start / plan->real_size};
    if (!packs && !cldeform__gemm_can_address(&plan->engine, weight.start, (size_t)conv->sizes.weight)) {
        status = cldeform__fail(CLDEFORM_LIMIT,
                                "tensors.%s ends beyond element 2^31-1 of its buffer; CLBlast cannot address it there",
                                operands->packed_weight.buffer ? "packed_weight" : "weight");
        goto done;
    }
    for (int i = 0; i < FORWARD_PARTS; i++)
        TRY(cldeform__workspace_part(workspace, sizes[i], &parts[i]));
    TRY(cldeform__call_use_scratch(call, parts[COLUMNS]));
    if (packs) {
        weight = (cldeform__matrix){parts[PACKED], 0};
        TRY(cldeform__im2col_pack(conv, &plan->steps, call, &operands->weight, weight, plan->order));
    }

    for (int64_t image = 0; image < batch; image += images) {
        cldeform__conv2d_operands chunk = cldeform__operands_from(operands, image);
        if (plan->packs_input) {
            TRY(cldeform__enqueue_pack_input(conv, plan->pack_input, call, cldeform__at_most(images, batch - image),
                                             &chunk.input, parts[INPUT]));
            chunk.input = (cldeform__operand){.buffer = parts[INPUT], .stride = (size_t)conv->sizes.input};
        }
        for (int64_t pixel = 0; pixel < conv->sizes.out_plane; pixel += plan->slab_pixels) {
            const cldeform__slab slab = {cldeform__at_most(images, batch - image), pixel,
                                         cldeform__at_most(plan->slab_pixels, conv->sizes.out_plane - pixel)};
            const bool direct = writes_directly(conv, plan, &slab, &chunk);
            const int64_t width = cldeform__im2col_pad(plan, plan->in_place, slab.pixels);
            const cldeform__column_view columns = {parts[COLUMNS], 0,
                                                   cldeform__im2col_image(conv, plan, plan->rows * width),
                                                   (size_t)(plan->planar ? width : plan->rows)};
            TRY(cldeform__enqueue_im2col(conv, &plan->steps, call, &slab, &chunk, &columns));
            TRY(enqueue_products(conv, call, &slab, weight, &chunk.output, parts, direct));
            if (!direct)
                TRY(enqueue_store(conv, call, &slab, &chunk, parts[RESULT]));
        }
    }
done:
    return status;
}

static void packed_weight(const cldeform_conv2d *conv, size_t *bytes, uint64_t *format)
{
    const im2col_plan *plan = conv->plan;
    const cldeform_conv2d_problem *problem = &conv->problem;
    *bytes = 0;
    *format = 0;
    if (cldeform__im2col_packs_weight(conv, plan)) {
        const int64_t layout[] = {
            CLDEFORM_ALGORITHM_IM2COL, (int64_t)plan->order, (int64_t)plan->real_size, problem->out_channels,
            problem->in_channels,      conv->sizes.taps,     problem->groups};
        *bytes = (size_t)conv->sizes.weight * plan->real_size;
        *format = cldeform__hash(7, layout, sizeof layout);
    }
}

static cldeform_status pack_weight(const cldeform_conv2d *conv, cldeform__call *call, const cldeform__operand *weight,
                                   const cldeform__operand *packed)
{
    const im2col_plan *plan = conv->plan;
    return cldeform__im2col_pack(conv, &plan->steps, call, weight,
                                 (cldeform__matrix){packed->buffer, packed->start / plan->real_size}, plan->order);
}

static bool is_deterministic(const cldeform_conv2d *conv, cldeform_passes passes)
{
    const im2col_plan *plan = conv->plan;
    /* every other sum has one order */
    return !(passes & CLDEFORM_GRAD_INPUT) || plan->backward.col2im.way != COL2IM_ATOMIC;
}

static void describe(const cldeform_conv2d *conv, cldeform__text *text)
{
    const im2col_plan *plan = conv->plan;
    const cldeform_passes passes = conv->problem.passes;
    const int64_t images = cldeform__im2col_chunk(conv, plan, passes & CLDEFORM_FORWARD ? CLDEFORM_FORWARD : passes,
                                                  conv->problem.batch, conv->workspace_limit);
    cldeform__text_add(text,
                       ",\"gemm\":\"%s\",\"gemm_reason\":\"%s\",\"gemm_parameters\":\"%s\","
                       "\"gemm_parameters_reason\":\"%s\",\"gemm_copies_bytes\":%llu,\"packs_weight\":%s,"
                       "\"slab_pixels\":%lld,\"slabs_per_image\":%lld,\"images_per_chunk\":%lld,\"columns_bytes\":%llu,"
                       "\"kernel_options\":\"%s\"",
                       plan->engine.name, plan->engine.reason, plan->engine.parameters, plan->engine.parameters_reason,
                       (unsigned long long)(passes & CLDEFORM_FORWARD ? plan->scratch : plan->backward.scratch),
                       cldeform__im2col_packs_weight(conv, plan) ? "true" : "false", (long long)plan->slab_pixels,
                       (long long)plan->slabs, (long long)images,
                       (unsigned long long)images * (unsigned long long)plan->rows *
                           (unsigned long long)plan->slab_pixels * plan->real_size,
                       passes & CLDEFORM_FORWARD ? plan->steps.options : plan->backward.steps.options);
    if (passes & CLDEFORM_GRAD_INPUT)
        cldeform__col2im_describe(&plan->backward.col2im, text);
}

const cldeform__conv2d_algorithm cldeform__conv2d_im2col = {
    .id = CLDEFORM_ALGORITHM_IM2COL,
    .name = "im2col",
    .refuses = cldeform__im2col_refuses,
    .plan = cldeform__im2col_make_plan,
    .free_plan = free,
    .workspace = cldeform__im2col_workspace,
    .is_deterministic = is_deterministic,
    .forward = forward,
    .backward = cldeform__im2col_backward,
    .packed_weight = packed_weight,
    .pack_weight = pack_weight,
    .describe = describe,
};
