/* Algorithm im2col: the samples of a slab of output pixels as a matrix in memory, then a matrix product.
 *
 * A slab is a run of output pixels of one image, at most an image. Its bounds depend on the device and on the problem
 * of one image alone, so that products have the same sizes and results the same bits whatever the batch and the
 * workspace; these decide only for how many images (a chunk) a slab's columns are in memory at a time. */
#include "../disk_cache.h"
#include "../gemm.h"
#include "../geometry.h"
#include "conv2d.h"
#include "conv2d_geometry.clh"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(conv2d_geometry) == 20 * sizeof(cl_int), "the struct is the kernels' own, ints without padding");

enum { PACKED, COLUMNS, RESULT, SCRATCH, N_PARTS };

typedef struct im2col_plan {
    conv2d_geometry geometry;
    char options[160];
    cldeform__kernel *im2col, *pack_weight, *store;
    cldeform__gemm_engine engine;
    size_t real_size;         /* of the type of columns, packed weights and results */
    int64_t rows;             /* of the columns: in_channels * taps */
    int64_t slab_pixels;      /* of every slab but an image's last */
    int64_t slabs;            /* of an image */
    size_t parts[N_PARTS];    /* bytes of the workspace's parts for a chunk of one image */
    int64_t preferred_images; /* of a chunk */
    size_t minimum, preferred;
} im2col_plan;

/* ---- plan ---------------------------------------------------------------------------------------------- */

static bool packs_weight(const cldeform_conv2d_problem *problem)
{
    return problem->layout == CLDEFORM_NHWC || problem->dtype == CLDEFORM_F16;
}

static const char *refuses(const cldeform_context *context, const cldeform_conv2d_problem *problem,
                           const cldeform__conv2d_sizes *sizes)
{
    int64_t rows;
    (void)context;
    if (!cldeform__multiply(problem->in_channels, sizes->taps, &rows) || rows > INT32_MAX)
        return "im2col needs in_channels * kernel_h * kernel_w below 2^31";
    if (sizes->weight > INT32_MAX)
        return "im2col needs a weight of fewer than 2^31 elements";
    return NULL;
}

static void set_geometry(const cldeform_conv2d *conv, conv2d_geometry *geometry)
{
    const cldeform_conv2d_problem *p = &conv->problem;
    const cl_int taps = (cl_int)conv->sizes.taps;
    *geometry = (conv2d_geometry){
        .in_channels = (cl_int)p->in_channels,
        .in_h = (cl_int)p->in_h,
        .in_w = (cl_int)p->in_w,
        .out_channels = (cl_int)p->out_channels,
        .out_h = (cl_int)conv->sizes.out_h,
        .out_w = (cl_int)conv->sizes.out_w,
        .kernel_h = (cl_int)p->kernel_h,
        .kernel_w = (cl_int)p->kernel_w,
        .stride_h = (cl_int)p->stride_h,
        .stride_w = (cl_int)p->stride_w,
        .dilation_h = (cl_int)p->dilation_h,
        .dilation_w = (cl_int)p->dilation_w,
        .pad_top = (cl_int)p->pad_top,
        .pad_left = (cl_int)p->pad_left,
        .groups = (cl_int)p->groups,
        .offset_groups = (cl_int)p->offset_groups,
        .offset_last = p->offset_layout == CLDEFORM_OFFSET_YX_LAST,
        .offset_tap_step = p->offset_layout == CLDEFORM_OFFSET_PLANAR ? 1 : 2,
        .offset_y_channel = p->offset_layout == CLDEFORM_OFFSET_XY ? 1 : 0,
        .offset_x_channel = p->offset_layout == CLDEFORM_OFFSET_XY       ? 0
                            : p->offset_layout == CLDEFORM_OFFSET_PLANAR ? taps
                                                                         : 1,
    };
}

static bool uses_long_index(const cldeform_conv2d *conv)
{
    return conv->context->tuning.long_index || cldeform__needs_long_index(conv->sizes.input) ||
           cldeform__needs_long_index(conv->sizes.offset) || cldeform__needs_long_index(conv->sizes.output);
}

static int bits(cldeform_dtype dtype)
{
    return (int)cldeform__dtype_size(dtype) * 8;
}

/* What does not matter to the kernels of a problem has one value, so that problems share them. */
static cldeform_status find_kernels(cldeform_conv2d *conv, im2col_plan *plan)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    const bool offset = cldeform__conv2d_has_offset(problem), nhwc = problem->layout == CLDEFORM_NHWC;
    cldeform__program *program = NULL;
    snprintf(plan->options, sizeof plan->options,
             "-DDATA_BITS=%d -DOFFSET_BITS=%d -DINDEX_BITS=%d -DKIND=%d -DNHWC=%d -DBORDER_EDGE=%d -DMASK_SIGMOID=%d "
             "-DVECTOR=%d",
             bits(problem->dtype), bits(offset ? problem->offset_dtype : problem->dtype),
             uses_long_index(conv) ? 64 : 32, (int)problem->kind, nhwc,
             offset && problem->border == CLDEFORM_BORDER_EDGE,
             cldeform__conv2d_has_mask(problem) ? (int)problem->mask_activation : 0,
             nhwc ? conv->context->tuning.channel_vector : 1);
    const cldeform_status status = cldeform__program_get(conv->context, "conv2d_im2col", plan->options, &program);
    if (status != CLDEFORM_OK)
        return status;
    plan->im2col = cldeform__program_kernel(program, "conv2d_im2col");
    plan->pack_weight = cldeform__program_kernel(program, "conv2d_pack_weight");
    plan->store = cldeform__program_kernel(program, "conv2d_store");
    if (!plan->im2col || !plan->pack_weight || !plan->store)
        return cldeform__fail(CLDEFORM_BUILD_FAILED, "conv2d_im2col.cl lacks a kernel");
    return cldeform__gemm_prepare(conv->context, problem->dtype == CLDEFORM_F64, &plan->engine);
}

/* The product of one image's slab and one group. */
static cldeform__gemm make_gemm(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t pixels, bool direct)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    const int64_t outputs = problem->out_channels / problem->groups, depth = plan->rows / problem->groups;
    if (problem->layout == CLDEFORM_NHWC)
        return (cldeform__gemm){
            .m = pixels, .n = outputs, .k = depth, .lda = plan->rows, .ldb = outputs, .ldc = problem->out_channels};
    return (cldeform__gemm){.m = outputs,
                            .n = pixels,
                            .k = depth,
                            .lda = depth,
                            .ldb = pixels,
                            .ldc = direct ? conv->sizes.out_plane : pixels};
}

static int64_t last_slab_pixels(const cldeform_conv2d *conv, const im2col_plan *plan)
{
    return conv->sizes.out_plane - (plan->slabs - 1) * plan->slab_pixels;
}

/* Sizes of the workspace's parts for chunks of `images`; false where they overflow. */
static bool size_parts(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t images, size_t parts[N_PARTS])
{
    const int64_t columns[] = {images, plan->rows, plan->slab_pixels};
    const int64_t result[] = {images, conv->problem.out_channels, plan->slab_pixels};
    int64_t n_columns, n_result;
    parts[SCRATCH] = plan->parts[SCRATCH];
    parts[PACKED] = 0;
    return cldeform__product(columns, 3, &n_columns) && cldeform__product(result, 3, &n_result) &&
           cldeform__bytes(n_columns, plan->real_size, &parts[COLUMNS]) &&
           cldeform__bytes(n_result, plan->real_size, &parts[RESULT]) &&
           (!packs_weight(&conv->problem) || cldeform__bytes(conv->sizes.weight, plan->real_size, &parts[PACKED]));
}

/* Workspace for chunks of `images`; SIZE_MAX where it overflows or the product could not address the columns. */
static size_t workspace_of(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t images)
{
    size_t parts[N_PARTS], bytes = SIZE_MAX;
    if (!size_parts(conv, plan, images, parts) || parts[COLUMNS] / plan->real_size > INT32_MAX ||
        parts[RESULT] / plan->real_size > INT32_MAX ||
        !cldeform__workspace_bytes(conv->context, parts, N_PARTS, &bytes))
        return SIZE_MAX;
    return bytes;
}

/* Divides the image evenly into slabs of at most `most` pixels and sizes what depends on it. */
static cldeform_status set_slab(const cldeform_conv2d *conv, im2col_plan *plan, int64_t most)
{
    cldeform_status status;
    const int64_t plane = conv->sizes.out_plane;
    plan->slabs = cldeform__divide_up(plane, most);
    plan->slab_pixels = cldeform__divide_up(plane, plan->slabs);
    plan->slabs = cldeform__divide_up(plane, plan->slab_pixels);
    plan->parts[SCRATCH] = 0;
    const int64_t pixels[] = {plan->slab_pixels, last_slab_pixels(conv, plan)};
    for (int i = 0; i < 2; i++) {
        size_t scratch = 0;
        const cldeform__gemm gemm = make_gemm(conv, plan, pixels[i], true);
        TRY(cldeform__gemm_scratch(conv->context, &plan->engine, &gemm, &scratch));
        if (scratch > plan->parts[SCRATCH])
            plan->parts[SCRATCH] = scratch;
    }
    plan->minimum = workspace_of(conv, plan, 1);
done:
    return status;
}

/* The largest chunk, at most `most` images, whose workspace is at most `bytes`; at least 1. */
static int64_t images_within(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t most, size_t bytes)
{
    int64_t least = 1;
    while (least < most) { /* workspace_of grows with the images */
        const int64_t middle = least + (most - least + 1) / 2;
        if (workspace_of(conv, plan, middle) <= bytes)
            least = middle;
        else
            most = middle - 1;
    }
    return least;
}

static cldeform_status choose_slab(const cldeform_conv2d *conv, im2col_plan *plan)
{
    cldeform_status status;
    const int64_t target = (int64_t)conv->context->tuning.columns_kib * 1024;
    const int64_t pixel_bytes = plan->rows * (int64_t)plan->real_size;
    int64_t most = target / pixel_bytes;
    most = most < 1 ? 1 : most > conv->sizes.out_plane ? conv->sizes.out_plane : most;
    TRY(set_slab(conv, plan, most));
    /* Slabs of other sizes may round their products otherwise: with deterministic set, only the device's own limit
     * makes them smaller, not the caller's. */
    const size_t device_limit = (size_t)conv->context->facts.max_allocation;
    const size_t limit = conv->problem.deterministic ? device_limit : conv->workspace_limit;
    while (plan->minimum > limit && plan->slab_pixels > 1)
        TRY(set_slab(conv, plan, plan->slab_pixels / 2));
    if (plan->minimum > conv->workspace_limit) {
        status = cldeform__fail(
            CLDEFORM_LIMIT, "workspace_limit is %zu bytes (%s); the minimum for this problem%s is %zu bytes",
            conv->workspace_limit, conv->problem.workspace_limit ? "as given" : "the device's allocation limit",
            conv->problem.deterministic ? " with deterministic set" : "", plan->minimum);
        goto done;
    }
    int64_t images = target / (pixel_bytes * plan->slab_pixels);
    images = images > conv->problem.batch ? conv->problem.batch : images;
    plan->preferred_images = images_within(conv, plan, images < 1 ? 1 : images, conv->workspace_limit);
    plan->preferred = workspace_of(conv, plan, plan->preferred_images);
done:
    return status;
}

static cldeform_status make_plan(cldeform_conv2d *conv)
{
    cldeform_status status;
    im2col_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return cldeform__fail(CLDEFORM_OUT_OF_MEMORY, "no memory for the plan of im2col");
    conv->plan = plan;
    plan->real_size = conv->problem.dtype == CLDEFORM_F64 ? sizeof(cl_double) : sizeof(cl_float);
    plan->rows = conv->problem.in_channels * conv->sizes.taps;
    set_geometry(conv, &plan->geometry);
    TRY(find_kernels(conv, plan));
    TRY(choose_slab(conv, plan));
done:
    return status;
}

static void find_workspace(const cldeform_conv2d *conv, size_t *minimum, size_t *preferred)
{
    const im2col_plan *plan = conv->plan;
    *minimum = plan->minimum;
    if (preferred)
        *preferred = plan->preferred;
}

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
    const bool nhwc = conv->problem.layout == CLDEFORM_NHWC;
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
        .items = {nhwc ? outputs : (size_t)pixels, nhwc ? (size_t)pixels : outputs, (size_t)slab->images},
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
    const cldeform__gemm gemm = make_gemm(conv, plan, slab->pixels, direct);
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
    const int64_t images = images_within(conv, plan, plan->preferred_images < batch ? plan->preferred_images : batch,
                                         workspace->end - workspace->next);
    if (!size_parts(conv, plan, images, sizes)) {
        status = cldeform__fail(CLDEFORM_LIMIT, "the workspace's size overflows");
        goto done;
    }
    if (operands->packed_weight.buffer)
        weight = (cldeform__matrix){operands->packed_weight.buffer, operands->packed_weight.start / plan->real_size};
    else if (sizes[PACKED] == 0 &&
             !cldeform__gemm_can_address(&plan->engine, weight.start, (size_t)conv->sizes.weight)) {
        status = cldeform__fail(CLDEFORM_LIMIT, "tensors.weight ends beyond element 2^31-1 of its buffer; CLBlast "
                                                "cannot address it there");
        goto done;
    }
    for (int i = 0; i < N_PARTS; i++)
        TRY(cldeform__workspace_part(workspace, sizes[i], &parts[i]));
    TRY(cldeform__call_use_scratch(call, parts[COLUMNS]));
    if (sizes[PACKED] > 0 && !operands->packed_weight.buffer) {
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
    if (packs_weight(problem)) {
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

static void describe(const cldeform_conv2d *conv, cldeform__text *text)
{
    const im2col_plan *plan = conv->plan;
    cldeform__text_add(text,
                       ",\"gemm\":\"%s\",\"gemm_reason\":\"%s\",\"direct_output\":%s,\"packs_weight\":%s,"
                       "\"slab_pixels\":%lld,\"slabs_per_image\":%lld,\"images_per_chunk\":%lld,\"columns_bytes\":%llu,"
                       "\"kernel_options\":\"%s\"",
                       plan->engine.name, plan->engine.reason,
                       conv->problem.dtype == CLDEFORM_F16 ? "false" : "\"without bias\"",
                       packs_weight(&conv->problem) ? "true" : "false", (long long)plan->slab_pixels,
                       (long long)plan->slabs, (long long)plan->preferred_images,
                       (unsigned long long)plan->preferred_images * (unsigned long long)plan->rows *
                           (unsigned long long)plan->slab_pixels * plan->real_size,
                       plan->options);
}

const cldeform__conv2d_algorithm cldeform__conv2d_im2col = {
    .id = CLDEFORM_ALGORITHM_IM2COL,
    .name = "im2col",
    .refuses = refuses,
    .plan = make_plan,
    .free_plan = free,
    .workspace = find_workspace,
    .forward = forward,
    .packed_weight = packed_weight,
    .pack_weight = pack_weight,
    .describe = describe,
};
