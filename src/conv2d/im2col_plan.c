#include "im2col.h"

#include "../geometry.h"

#include <stdio.h>
#include <stdlib.h>

bool cldeform__im2col_packs_weight(const cldeform_conv2d *conv, const im2col_plan *plan)
{
    return plan->order != AS_GIVEN || conv->problem.dtype == CLDEFORM_F16;
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

/* Forward; what it is compiled for depends on the slab. */
static cldeform_status find_kernels(const cldeform_conv2d *conv, im2col_plan *plan)
{
    cldeform_status status = CLDEFORM_OK;
    const cldeform_conv2d_problem *problem = &conv->problem;
    cldeform__program *program = NULL;
    const cldeform__step_form form = {.nhwc = problem->layout == CLDEFORM_NHWC || plan->packs_input,
                                      .planar = plan->planar,
                                      .columns = cldeform__real_dtype(problem->dtype),
                                      .im2col = true};
    if (!(problem->passes & (CLDEFORM_FORWARD | CLDEFORM_PACK_WEIGHT)))
        return CLDEFORM_OK;
    TRY(cldeform__steps_prepare(conv, &form, &plan->steps));
    if (plan->packs_input) {
        TRY(cldeform__transfer_program(conv, &program));
        TRY(cldeform__program_require(program, "conv2d_pack_input", &plan->pack_input));
    }
done:
    return status;
}

int64_t cldeform__im2col_pad(const im2col_plan *plan, bool in_place, int64_t pixels)
{
    return in_place ? cldeform__divide_up(pixels, plan->engine.tile) * plan->engine.tile : pixels;
}

cldeform__gemm cldeform__im2col_gemm(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t pixels, bool direct)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    const int64_t outputs = problem->out_channels / problem->groups, depth = plan->rows / problem->groups;
    const int64_t width = cldeform__im2col_pad(plan, plan->in_place, pixels);
    if (problem->layout == CLDEFORM_NHWC)
        return (cldeform__gemm){.m = width,
                                .n = outputs,
                                .k = depth,
                                .lda = plan->planar ? width : plan->rows,
                                .ldb = outputs,
                                .ldc = problem->out_channels,
                                .a_transposed = plan->planar,
                                .aligned = plan->in_place};
    const bool transposed = plan->order != AS_GIVEN;
    return (cldeform__gemm){.m = outputs,
                            .n = width,
                            .k = depth,
                            .lda = transposed ? outputs : depth,
                            .ldb = width,
                            .ldc = direct ? conv->sizes.out_plane : width,
                            .a_transposed = transposed,
                            .aligned = plan->in_place};
}

int64_t cldeform__im2col_last_slab(const cldeform_conv2d *conv, const im2col_plan *plan)
{
    return conv->sizes.out_plane - (plan->slabs - 1) * plan->slab_pixels;
}

size_t cldeform__im2col_image(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t elements)
{
    const int64_t step = (int64_t)(conv->context->facts.base_alignment / plan->real_size);
    return (size_t)(cldeform__divide_up(elements, step) * step);
}

bool cldeform__im2col_images(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t images, int64_t rows,
                             int64_t row_length, size_t *bytes)
{
    int64_t elements;
    return cldeform__multiply(rows, row_length, &elements) && elements <= INT64_MAX / 2 &&
           cldeform__multiply((int64_t)cldeform__im2col_image(conv, plan, elements), images, &elements) &&
           cldeform__bytes(elements, plan->real_size, bytes);
}

bool cldeform__im2col_size_parts(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t images,
                                 size_t parts[FORWARD_PARTS])
{
    const int64_t width = cldeform__im2col_pad(plan, plan->in_place, plan->slab_pixels);
    int64_t n_input;
    parts[SCRATCH] = plan->scratch;
    parts[PACKED] = parts[INPUT] = 0;
    return cldeform__im2col_images(conv, plan, images, plan->rows, width, &parts[COLUMNS]) &&
           cldeform__im2col_images(conv, plan, images, conv->problem.out_channels, width, &parts[RESULT]) &&
           (!plan->packs_input ||
            (cldeform__multiply(images, conv->sizes.input, &n_input) &&
             cldeform__bytes(n_input, cldeform__dtype_size(conv->problem.dtype), &parts[INPUT]))) &&
           (!cldeform__im2col_packs_weight(conv, plan) ||
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
                : parts[BACK_COLUMNS] > most || parts[BACK_GRAD_OUTPUT] > most || parts[BACK_GRAD_PLANES] > most)
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

/* The form of the forward product: as it comes, or as CLBlast needs no copies for (in_place). */
static cldeform_status take_form(const cldeform_conv2d *conv, im2col_plan *plan, bool in_place)
{
    cldeform_status status = CLDEFORM_OK;
    const bool nhwc = conv->problem.layout == CLDEFORM_NHWC, turned = in_place && plan->engine.wants_a_transposed;
    const int64_t pixels[] = {plan->slab_pixels, cldeform__im2col_last_slab(conv, plan)};
    plan->in_place = in_place;
    plan->planar = !nhwc || turned;
    plan->order = turned ? CHANNELS_TAPS_OUTPUTS : nhwc ? TAPS_CHANNELS_OUTPUTS : AS_GIVEN;
    plan->scratch = 0;
    for (int i = 0; i < 2; i++) {
        size_t scratch = 0;
        const cldeform__gemm gemm = cldeform__im2col_gemm(conv, plan, pixels[i], !in_place);
        TRY(cldeform__gemm_scratch(conv->context, &plan->engine, &gemm, &scratch));
        if (scratch > plan->scratch)
            plan->scratch = scratch;
    }
done:
    return status;
}

/* Divides the image evenly into slabs of at most `most` pixels, of whole tiles but for the last one, and sizes what
 * depends on it. */
static cldeform_status set_slab(const cldeform_conv2d *conv, im2col_plan *plan, int64_t most)
{
    cldeform_status status;
    const int64_t plane = conv->sizes.out_plane, tile = plan->engine.tile;
    plan->slabs = cldeform__divide_up(plane, most);
    plan->slab_pixels = cldeform__divide_up(plane, plan->slabs);
    if (plan->slabs > 1 && most >= tile)
        plan->slab_pixels = cldeform__at_most(cldeform__divide_up(plan->slab_pixels, tile), most / tile) * tile;
    plan->slabs = cldeform__divide_up(plane, plan->slab_pixels);
    TRY(take_form(conv, plan, false));
    const size_t copies = plan->scratch;
    if (copies > 0 && conv->problem.groups == 1) { /* groups begin where they must: not aligned */
        TRY(take_form(conv, plan, true));
        if (plan->scratch >= copies)
            TRY(take_form(conv, plan, false));
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

/* Whether a chunk of so many images does: workspace_of grows with them. */
typedef struct room {
    const cldeform_conv2d *conv;
    const im2col_plan *plan;
    cldeform_passes passes;
    size_t bytes;
} room;
static bool chunk_fits(const void *of, int64_t images)
{
    const room *in = of;
    return workspace_of(in->conv, in->plan, in->passes, images) <= in->bytes;
}

int64_t cldeform__im2col_chunk(const cldeform_conv2d *conv, const im2col_plan *plan, cldeform_passes passes,
                               int64_t batch, size_t bytes)
{
    const int64_t slab_bytes = plan->rows * (int64_t)plan->real_size * plan->slab_pixels;
    int64_t most = target_bytes(conv) / slab_bytes;
    if (!(passes & CLDEFORM_FORWARD) && plan->slabs > 1)
        most = 1; /* sums over slabs go from image to image, in whatever chunks */
    most = cldeform__at_most(most, cldeform__at_most(batch, CLDEFORM__MOST_GROUPS));
    if (conv->context->facts.loop_limit) /* one work-item adds up the bias of a chunk */
        most = cldeform__at_most(most, (int64_t)conv->context->facts.loop_limit / 8);
    return cldeform__most_that_fits(most, chunk_fits, &(room){conv, plan, passes, bytes});
}

/* Pixels that give every compute unit a tile of the product: fewer would cost more than columns that leave the cache.
 */
static int64_t pixels_for_all_units(const cldeform_conv2d *conv, const im2col_plan *plan)
{
    const int64_t tile = plan->engine.tile, wide = cldeform__divide_up(conv->problem.out_channels, tile);
    return tile == 1 || conv->problem.groups > 1
               ? 1
               : cldeform__divide_up((int64_t)conv->context->facts.compute_units, wide) * tile;
}

static cldeform_status choose_slab(cldeform_conv2d *conv, im2col_plan *plan)
{
    cldeform_status status;
    const cldeform_passes passes = conv->problem.passes;
    int64_t most = target_bytes(conv) / (plan->rows * (int64_t)plan->real_size);
    if (most < pixels_for_all_units(conv, plan))
        most = pixels_for_all_units(conv, plan);
    if (most >
        CLDEFORM__MOST_GROUPS) /* pixels are rows of the product in NHWC, and the built-in one launches them so */
        most = CLDEFORM__MOST_GROUPS;
    most = most < 1 ? 1 : most > conv->sizes.out_plane ? conv->sizes.out_plane : most;
    TRY(set_slab(conv, plan, most));
    /* Slabs of other sizes may round their products otherwise: with deterministic set, only the device's own limit
     * makes them smaller, not the caller's. */
    const size_t device_limit = (size_t)conv->context->facts.max_allocation;
    const size_t limit = conv->problem.deterministic ? device_limit : conv->workspace_limit;
    /* samples are the same either way: a copy of the input must leave room for all the rest */
    if (plan->packs_input && (uint64_t)conv->sizes.input * plan->real_size > conv->workspace_limit / 4)
        plan->packs_input = false;
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
    plan->packs_input = conv->problem.layout == CLDEFORM_NCHW && cldeform__wants_nhwc(conv);
    TRY(cldeform__gemm_prepare(conv->context, conv->problem.dtype == CLDEFORM_F64, &plan->engine));
    if (conv->problem.passes & CLDEFORM_BACKWARD)
        TRY(cldeform__im2col_prepare_backward(conv, plan));
    TRY(choose_slab(conv, plan));
    TRY(find_kernels(conv, plan));
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
