#include "im2col.h"

#include "../geometry.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static_assert(sizeof(conv2d_geometry) == 20 * sizeof(cl_int), "the struct is the kernels' own, ints without padding");

/* Work-groups that every device launches in the second and third dimension (CUDA's limit; others have more). */
enum { MOST_GROUPS = 65535 };

bool cldeform__im2col_packs_weight(const cldeform_conv2d_problem *problem)
{
    return problem->layout == CLDEFORM_NHWC || problem->dtype == CLDEFORM_F16;
}

const char *cldeform__im2col_refuses(const cldeform_context *context, const cldeform_conv2d_problem *problem,
                                     const cldeform__conv2d_sizes *sizes)
{
    int64_t rows;
    (void)context;
    if (!cldeform__multiply(problem->in_channels, sizes->taps, &rows) || rows > INT32_MAX)
        return "im2col needs in_channels * kernel_h * kernel_w below 2^31";
    if (sizes->taps * problem->offset_groups > MOST_GROUPS)
        return "im2col needs kernel_h * kernel_w * offset_groups of at most 65535";
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

cldeform__gemm cldeform__im2col_gemm(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t pixels, bool direct)
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

bool cldeform__im2col_size_parts(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t images,
                                 size_t parts[N_PARTS])
{
    const int64_t columns[] = {images, plan->rows, plan->slab_pixels};
    const int64_t result[] = {images, conv->problem.out_channels, plan->slab_pixels};
    int64_t n_columns, n_result;
    parts[SCRATCH] = plan->scratch;
    parts[PACKED] = 0;
    return cldeform__product(columns, 3, &n_columns) && cldeform__product(result, 3, &n_result) &&
           cldeform__bytes(n_columns, plan->real_size, &parts[COLUMNS]) &&
           cldeform__bytes(n_result, plan->real_size, &parts[RESULT]) &&
           (!cldeform__im2col_packs_weight(&conv->problem) ||
            cldeform__bytes(conv->sizes.weight, plan->real_size, &parts[PACKED]));
}

/* Workspace for chunks of `images`; SIZE_MAX where it overflows or the product could not address the columns. */
static size_t workspace_of(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t images)
{
    size_t parts[N_PARTS], bytes = SIZE_MAX;
    if (!cldeform__im2col_size_parts(conv, plan, images, parts) || parts[COLUMNS] / plan->real_size > INT32_MAX ||
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
    plan->scratch = 0;
    const int64_t pixels[] = {plan->slab_pixels, last_slab_pixels(conv, plan)};
    for (int i = 0; i < 2; i++) {
        size_t scratch = 0;
        const cldeform__gemm gemm = cldeform__im2col_gemm(conv, plan, pixels[i], true);
        TRY(cldeform__gemm_scratch(conv->context, &plan->engine, &gemm, &scratch));
        if (scratch > plan->scratch)
            plan->scratch = scratch;
    }
    plan->minimum = workspace_of(conv, plan, 1);
done:
    return status;
}

int64_t cldeform__im2col_images_within(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t most, size_t bytes)
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
    if (most > MOST_GROUPS) /* pixels are rows of the product in NHWC, and the built-in one launches them so */
        most = MOST_GROUPS;
    most = most < 1 ? 1 : most > conv->sizes.out_plane ? conv->sizes.out_plane : most;
    TRY(set_slab(conv, plan, most));
    /* Slabs of other sizes may round their products otherwise: with deterministic set, only the device's own limit
     * makes them smaller, not the caller's. */
    const size_t device_limit = (size_t)conv->context->facts.max_allocation;
    const size_t limit = conv->problem.deterministic ? device_limit : conv->workspace_limit;
    while (plan->minimum > limit && plan->slab_pixels > 1)
        TRY(set_slab(conv, plan, plan->slab_pixels / 2));
    if (plan->minimum == SIZE_MAX) {
        status = cldeform__fail(CLDEFORM_LIMIT, "one output pixel's columns are too large for a workspace");
        goto done;
    }
    if (plan->minimum > conv->workspace_limit) {
        status = cldeform__fail(
            CLDEFORM_LIMIT, "workspace_limit is %zu bytes (%s); the minimum for this problem%s is %zu bytes",
            conv->workspace_limit, conv->problem.workspace_limit ? "as given" : "the device's allocation limit",
            conv->problem.deterministic ? " with deterministic set" : "", plan->minimum);
        goto done;
    }
    int64_t images = target / (pixel_bytes * plan->slab_pixels);
    images = images > conv->problem.batch ? conv->problem.batch : images;
    images = images > MOST_GROUPS ? MOST_GROUPS : images;
    plan->preferred_images = cldeform__im2col_images_within(conv, plan, images < 1 ? 1 : images, conv->workspace_limit);
    plan->preferred = workspace_of(conv, plan, plan->preferred_images);
done:
    return status;
}

cldeform_status cldeform__im2col_make_plan(cldeform_conv2d *conv)
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

void cldeform__im2col_workspace(const cldeform_conv2d *conv, cldeform_passes passes, size_t *minimum, size_t *preferred)
{
    const im2col_plan *plan = conv->plan;
    *minimum = passes & CLDEFORM_FORWARD ? plan->minimum : 0;
    *preferred = passes & CLDEFORM_FORWARD ? plan->preferred : 0;
}
