/* Algorithm im2col: the samples of a slab of output pixels as a matrix in memory, then a matrix product. */
#include "im2col.h"

#include "../disk_cache.h"

#include <math.h>
#include <stdlib.h>

/* ---- steps --------------------------------------------------------------------------------------------- */

/* One slab of the images of a chunk. */
typedef struct im2col_slab {
    int64_t first_image, images, first_pixel, pixels;
} im2col_slab;

static cl_ulong2 place_of(const cldeform__operand *operand, int64_t first_image)
{
    return (cl_ulong2){{operand->start + (cl_ulong)first_image * operand->stride, operand->stride}};
}

static cldeform_status enqueue_im2col(const cldeform_conv2d *conv, cldeform__call *call, const im2col_slab *slab,
                                      const cldeform__conv2d_operands *operands, cl_mem columns)
{
    const im2col_plan *plan = conv->plan;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const cl_int first_pixel = (cl_int)slab->first_pixel, pixels = (cl_int)slab->pixels;
    const cl_ulong2 input_place = place_of(&operands->input, slab->first_image);
    const cl_ulong2 offset_place = place_of(&operands->offset, slab->first_image);
    const cl_ulong2 mask_place = place_of(&operands->mask, slab->first_image);
    const cl_double limit = problem->offset_limit > 0 ? problem->offset_limit : INFINITY;
    const cl_float limit_float = (cl_float)limit;
    cldeform__argument arguments[12];
    cl_uint n = 0;
#define ADD(variable) arguments[n++] = (cldeform__argument)ARGUMENT(variable)
    ADD(plan->geometry);
    ADD(first_pixel);
    ADD(pixels);
    ADD(operands->input.buffer);
    ADD(input_place);
    if (cldeform__conv2d_has_offset(problem)) {
        ADD(operands->offset.buffer);
        ADD(offset_place);
        if (problem->dtype == CLDEFORM_F64)
            ADD(limit);
        else
            ADD(limit_float);
    }
    if (cldeform__conv2d_has_mask(problem)) {
        ADD(operands->mask.buffer);
        ADD(mask_place);
    }
    ADD(columns);
#undef ADD
    const double samples = (double)slab->images * (double)slab->pixels * (double)plan->rows;
    const double offsets =
        (double)slab->images * (double)slab->pixels * (double)(conv->sizes.offset_planes + conv->sizes.mask_planes);
    const cldeform__launch launch = {
        .step = "im2col",
        .kernel = plan->im2col,
        .arguments = arguments,
        .n_arguments = n,
        .items = {(size_t)pixels, (size_t)(conv->sizes.taps * problem->offset_groups), (size_t)slab->images},
        .group = (size_t)conv->context->tuning.im2col_group,
        .flop = samples * (problem->kind == CLDEFORM_CONV2D_MODULATED ? 8 : 7),
        .bytes = samples * (double)plan->real_size + offsets * (double)cldeform__dtype_size(problem->offset_dtype) +
                 (double)slab->images * (double)conv->sizes.input * (double)cldeform__dtype_size(problem->dtype),
    };
    return cldeform__call_launch(call, &launch);
}

static cldeform_status enqueue_pack(const cldeform_conv2d *conv, cldeform__call *call, const cldeform__operand *weight,
                                    cldeform__matrix packed)
{
    const im2col_plan *plan = conv->plan;
    const cl_ulong first = weight->start, first_packed = packed.start;
    const cldeform__argument arguments[] = {ARGUMENT(plan->geometry), ARGUMENT(weight->buffer), ARGUMENT(first),
                                            ARGUMENT(packed.buffer), ARGUMENT(first_packed)};
    const cldeform__launch launch = {
        .step = "pack_weight",
        .kernel = plan->pack_weight,
        .arguments = arguments,
        .n_arguments = sizeof arguments / sizeof arguments[0],
        .items = {(size_t)conv->sizes.weight, 1, 1},
        .group = (size_t)conv->context->tuning.im2col_group,
        .bytes = (double)conv->sizes.weight * (double)(plan->real_size + cldeform__dtype_size(conv->problem.dtype)),
    };
    return cldeform__call_launch(call, &launch);
}

static cldeform_status enqueue_store(const cldeform_conv2d *conv, cldeform__call *call, const im2col_slab *slab,
                                     const cldeform__conv2d_operands *operands, cl_mem result)
{
    const im2col_plan *plan = conv->plan;
    const cl_int first_pixel = (cl_int)slab->first_pixel, pixels = (cl_int)slab->pixels;
    const cl_ulong first_bias = operands->bias.start;
    const cl_ulong2 output_place = place_of(&operands->output, slab->first_image);
    const size_t outputs = (size_t)conv->problem.out_channels;
    const cldeform__argument arguments[] = {
        ARGUMENT(plan->geometry),
        ARGUMENT(first_pixel),
        ARGUMENT(pixels),
        ARGUMENT(result),
        ARGUMENT(operands->bias.buffer),
        ARGUMENT(first_bias),
        ARGUMENT(operands->output.buffer),
        ARGUMENT(output_place),
    };
    const double elements = (double)slab->images * (double)slab->pixels * (double)outputs;
    const cldeform__launch launch = {
        .step = "store",
        .kernel = plan->store,
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
static cldeform_status enqueue_products(const cldeform_conv2d *conv, cldeform__call *call, const im2col_slab *slab,
                                        cldeform__matrix weight, const cldeform__operand *output,
                                        const cl_mem parts[N_PARTS], bool direct)
{
    const im2col_plan *plan = conv->plan;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const bool nhwc = problem->layout == CLDEFORM_NHWC;
    const cldeform__gemm gemm = cldeform__im2col_gemm(conv, plan, slab->pixels, direct);
    const size_t depth = (size_t)(plan->rows / problem->groups),
                 outputs = (size_t)(problem->out_channels / problem->groups);
    const size_t pixels = (size_t)slab->pixels;
    for (int64_t image = 0; image < slab->images; image++) {
        for (size_t group = 0; group < (size_t)problem->groups; group++) {
            const cldeform__matrix columns = {parts[COLUMNS], (size_t)image * (size_t)plan->rows * pixels +
                                                                  group * depth * (nhwc ? 1 : pixels)};
            cldeform__matrix result = {parts[RESULT], (size_t)image * (size_t)problem->out_channels * pixels};
            if (direct)
                result = (cldeform__matrix){output->buffer,
                                            output->start + (size_t)(slab->first_image + image) * output->stride +
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

/* Whether products may write the output themselves: it is of their type, needs no bias, may be read as CLBlast does,
 * and is within the reach of its indices. */
static bool writes_directly(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t batch,
                            const cldeform__conv2d_operands *operands)
{
    const cldeform__operand *output = &operands->output;
    const size_t elements = (size_t)(batch - 1) * output->stride + (size_t)conv->sizes.output;
    return conv->problem.dtype != CLDEFORM_F16 && !operands->bias.buffer && !(output->flags & CL_MEM_WRITE_ONLY) &&
           cldeform__gemm_can_address(&plan->engine, output->start, elements);
}

static cldeform_status forward(const cldeform_conv2d *conv, cldeform__call *call, int64_t batch,
                               const cldeform__conv2d_operands *operands, cldeform__workspace *workspace)
{
    cldeform_status status;
    const im2col_plan *plan = conv->plan;
    size_t sizes[N_PARTS];
    cl_mem parts[N_PARTS] = {NULL};
    cldeform__matrix weight = {operands->weight.buffer, operands->weight.start};
    const bool direct = writes_directly(conv, plan, batch, operands);
    const int64_t images = cldeform__im2col_images_within(
        conv, plan, plan->preferred_images < batch ? plan->preferred_images : batch, workspace->end - workspace->next);
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
    for (int i = 0; i < N_PARTS; i++)
        TRY(cldeform__workspace_part(workspace, sizes[i], &parts[i]));
    TRY(cldeform__call_use_scratch(call, parts[COLUMNS]));
    if (packs) {
        weight = (cldeform__matrix){parts[PACKED], 0};
        TRY(enqueue_pack(conv, call, &operands->weight, weight));
    }

    for (int64_t image = 0; image < batch; image += images) {
        for (int64_t pixel = 0; pixel < conv->sizes.out_plane; pixel += plan->slab_pixels) {
            const int64_t images_left = batch - image, pixels_left = conv->sizes.out_plane - pixel;
            const im2col_slab slab = {image, images < images_left ? images : images_left, pixel,
                                      plan->slab_pixels < pixels_left ? plan->slab_pixels : pixels_left};
            TRY(enqueue_im2col(conv, call, &slab, operands, parts[COLUMNS]));
            TRY(enqueue_products(conv, call, &slab, weight, &operands->output, parts, direct));
            if (!direct)
                TRY(enqueue_store(conv, call, &slab, operands, parts[RESULT]));
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
    if (cldeform__im2col_packs_weight(problem)) {
        const int64_t layout[] = {
            CLDEFORM_ALGORITHM_IM2COL, problem->layout,  (int64_t)plan->real_size, problem->out_channels,
            problem->in_channels,      conv->sizes.taps, problem->groups};
        *bytes = (size_t)conv->sizes.weight * plan->real_size;
        *format = cldeform__hash(7, layout, sizeof layout);
    }
}

static cldeform_status pack_weight(const cldeform_conv2d *conv, cldeform__call *call, const cldeform__operand *weight,
                                   const cldeform__operand *packed)
{
    const im2col_plan *plan = conv->plan;
    return enqueue_pack(conv, call, weight, (cldeform__matrix){packed->buffer, packed->start / plan->real_size});
}

static bool is_deterministic(const cldeform_conv2d *conv, cldeform_passes passes)
{
    (void)conv;
    (void)passes;
    return true; /* every sum of the forward pass has one order */
}

static void describe(const cldeform_conv2d *conv, cldeform__text *text)
{
    const im2col_plan *plan = conv->plan;
    cldeform__text_add(text,
                       ",\"gemm\":\"%s\",\"gemm_reason\":\"%s\",\"packs_weight\":%s,"
                       "\"slab_pixels\":%lld,\"slabs_per_image\":%lld,\"images_per_chunk\":%lld,\"columns_bytes\":%llu,"
                       "\"kernel_options\":\"%s\"",
                       plan->engine.name, plan->engine.reason,
                       cldeform__im2col_packs_weight(&conv->problem) ? "true" : "false", (long long)plan->slab_pixels,
                       (long long)plan->slabs, (long long)plan->preferred_images,
                       (unsigned long long)plan->preferred_images * (unsigned long long)plan->rows *
                           (unsigned long long)plan->slab_pixels * plan->real_size,
                       plan->options);
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
    .packed_weight = packed_weight,
    .pack_weight = pack_weight,
    .describe = describe,
};
