#include "im2col.h"

#include "../geometry.h"

#include <stdio.h>
#include <stdlib.h>

bool cldeform__im2col_packs_weight(const cldeform_conv2d_problem *problem)
{
    return problem->layout == CLDEFORM_NHWC || problem->dtype == CLDEFORM_F16;
}

const char *cldeform__im2col_refuses(const cldeform_context *context, const cldeform_conv2d_problem *problem,
                                     const cldeform__conv2d_sizes *sizes)
{
    int64_t rows;
    const size_t loop_limit = context->facts.loop_limit;
    if (loop_limit && problem->in_channels / problem->offset_groups > (int64_t)loop_limit / 8)
        return "the device ends loops before they have gone through so many channels";
    if (!cldeform__multiply(problem->in_channels, sizes->taps, &rows) || rows > INT32_MAX)
        return "im2col needs in_channels * kernel_h * kernel_w below 2^31";
    if (sizes->taps * problem->offset_groups > CLDEFORM__MOST_GROUPS)
        return "im2col needs kernel_h * kernel_w * offset_groups of at most 65535";
    if (sizes->weight > INT32_MAX)
        return "im2col needs a weight of fewer than 2^31 elements";
    return NULL;
}

static cldeform_status find_kernels(const cldeform_conv2d *conv, im2col_plan *plan)
{
    cldeform_status status = CLDEFORM_OK;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const cldeform__step_form form = {
        .nhwc = problem->layout == CLDEFORM_NHWC, .columns = cldeform__real_dtype(problem->dtype), .im2col = true};
    if (problem->passes & (CLDEFORM_FORWARD | CLDEFORM_PACK_WEIGHT))
        TRY(cldeform__steps_prepare(conv, &form, &plan->steps));
    if (problem->passes & CLDEFORM_BACKWARD)
        TRY(cldeform__im2col_prepare_backward(conv, plan));
    TRY(cldeform__gemm_prepare(conv->context, problem->dtype == CLDEFORM_F64, &plan->engine));
done:
    return status;
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

int64_t cldeform__im2col_last_slab(const cldeform_conv2d *conv, const im2col_plan *plan)
{
    return conv->sizes.out_plane - (plan->slabs - 1) * plan->slab_pixels;
}

bool cldeform__im2col_size_parts(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t images,
                                 size_t parts[FORWARD_PARTS])
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

/* Workspace of one pass, FORWARD or GRAD_* bits, for chunks of `images`; SIZE_MAX where it overflows or the products
 * could not address the columns. */
static size_t workspace_of(const cldeform_conv2d *conv, const im2col_plan *plan, cldeform_passes passes, int64_t images)
{
    size_t parts[BACKWARD_PARTS], bytes = SIZE_MAX;
    const bool forward = (passes & CLDEFORM_FORWARD) != 0;
    const size_t most = (size_t)INT32_MAX * plan->real_size;
    if (!(forward ? cldeform__im2col_size_parts(conv, plan, images, parts)
                  : cldeform__im2col_size_backward(conv, plan, passes, images, parts)))
        return SIZE_MAX;
    if (forward ? parts[COLUMNS] > most || parts[RESULT] > most
                : parts[BACK_COLUMNS] > most || parts[BACK_GRAD_OUTPUT] > most)
        return SIZE_MAX;
    if (!cldeform__workspace_bytes(conv->context, parts, forward ? FORWARD_PARTS : BACKWARD_PARTS, &bytes))
        return SIZE_MAX;
    return bytes;
}

/* The passes that have a workspace of their own each: forward, and all gradients together. */
static int split(cldeform_passes passes, cldeform_passes each[2])
{
    int n = 0;
    if (passes & CLDEFORM_FORWARD)
        each[n++] = CLDEFORM_FORWARD;
    if (passes & CLDEFORM_BACKWARD)
        each[n++] = passes & CLDEFORM_BACKWARD;
    return n;
}

static size_t minimum_of(const cldeform_conv2d *conv, const im2col_plan *plan, cldeform_passes passes)
{
    cldeform_passes each[2];
    size_t minimum = 0;
    for (int i = split(passes, each) - 1; i >= 0; i--) {
        const size_t bytes = workspace_of(conv, plan, each[i], 1);
        minimum = bytes > minimum ? bytes : minimum;
    }
    return minimum;
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
    const int64_t pixels[] = {plan->slab_pixels, cldeform__im2col_last_slab(conv, plan)};
    for (int i = 0; i < 2; i++) {
        size_t scratch = 0;
        const cldeform__gemm gemm = cldeform__im2col_gemm(conv, plan, pixels[i], true);
        TRY(cldeform__gemm_scratch(conv->context, &plan->engine, &gemm, &scratch));
        if (scratch > plan->scratch)
            plan->scratch = scratch;
    }
    if (conv->problem.passes & CLDEFORM_BACKWARD)
        TRY(cldeform__im2col_size_backward_scratch(conv, plan));
done:
    return status;
}

static int64_t target_bytes(const cldeform_conv2d *conv)
{
    return (int64_t)conv->context->tuning.columns_kib * 1024;
}

int64_t cldeform__im2col_chunk(const cldeform_conv2d *conv, const im2col_plan *plan, cldeform_passes passes,
                               int64_t batch, size_t bytes)
{
    const int64_t slab_bytes = plan->rows * (int64_t)plan->real_size * plan->slab_pixels;
    int64_t least = 1, most = target_bytes(conv) / slab_bytes;
    if (!(passes & CLDEFORM_FORWARD) && plan->slabs > 1)
        most = 1; /* sums over slabs go from image to image, in whatever chunks */
    most = cldeform__at_most(most, cldeform__at_most(batch, CLDEFORM__MOST_GROUPS));
    if (conv->context->facts.loop_limit) /* one work-item adds up the bias of a chunk */
        most = cldeform__at_most(most, (int64_t)conv->context->facts.loop_limit / 8);
    while (least < most) { /* workspace_of grows with the images */
        const int64_t middle = least + (most - least + 1) / 2;
        if (workspace_of(conv, plan, passes, middle) <= bytes)
            least = middle;
        else
            most = middle - 1;
    }
    return least;
}

static cldeform_status choose_slab(cldeform_conv2d *conv, im2col_plan *plan)
{
    cldeform_status status;
    const cldeform_passes passes = conv->problem.passes;
    int64_t most = target_bytes(conv) / (plan->rows * (int64_t)plan->real_size);
    if (most >
        CLDEFORM__MOST_GROUPS) /* pixels are rows of the product in NHWC, and the built-in one launches them so */
        most = CLDEFORM__MOST_GROUPS;
    most = most < 1 ? 1 : most > conv->sizes.out_plane ? conv->sizes.out_plane : most;
    TRY(set_slab(conv, plan, most));
    /* Slabs of other sizes may round their products otherwise: with deterministic set, only the device's own limit
     * makes them smaller, not the caller's. */
    const size_t device_limit = (size_t)conv->context->facts.max_allocation;
    const size_t limit = conv->problem.deterministic ? device_limit : conv->workspace_limit;
    while (minimum_of(conv, plan, passes) > limit && plan->slab_pixels > 1)
        TRY(set_slab(conv, plan, plan->slab_pixels / 2));
    const size_t minimum = minimum_of(conv, plan, passes);
    if (minimum == SIZE_MAX) {
        status = cldeform__fail(CLDEFORM_LIMIT, "one output pixel's columns are too large for a workspace");
        goto done;
    }
    status = cldeform__conv2d_check_limit(conv, minimum);
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
    TRY(find_kernels(conv, plan));
    TRY(choose_slab(conv, plan));
done:
    return status;
}

void cldeform__im2col_workspace(const cldeform_conv2d *conv, cldeform_passes passes, size_t *minimum, size_t *preferred)
{
    const im2col_plan *plan = conv->plan;
    cldeform_passes each[2];
    *minimum = minimum_of(conv, plan, passes);
    *preferred = 0;
    for (int i = split(passes, each) - 1; i >= 0; i--) {
        const int64_t images = cldeform__im2col_chunk(conv, plan, each[i], conv->problem.batch, conv->workspace_limit);
        const size_t bytes = workspace_of(conv, plan, each[i], images);
        *preferred = bytes > *preferred ? bytes : *preferred;
    }
}
