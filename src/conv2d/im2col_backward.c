/* Backward of the algorithm im2col: the gradient of the columns as a matrix product, what follows from it, and the
 * gradient of the weight as a product with the columns. */
#include "im2col.h"

#include "../geometry.h"

static const cldeform_passes from_grad_columns = CLDEFORM_GRAD_INPUT | CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK;
static const cldeform_passes from_input = CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK | CLDEFORM_GRAD_WEIGHT;
static const cldeform_passes from_both = CLDEFORM_GRAD_INPUT | CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK |
                                         CLDEFORM_GRAD_WEIGHT; /* columns, or their gradient */

/* ---- plan ---------------------------------------------------------------------------------------------- */

cldeform_status cldeform__im2col_prepare_backward(const cldeform_conv2d *conv, im2col_plan *plan)
{
    cldeform_status status = CLDEFORM_OK;
    im2col_backward *back = &plan->backward;
    cldeform__program *program = NULL;
    const cldeform_passes passes = conv->problem.passes;
    const cldeform__step_form form = {.nhwc = true,
                                      .columns = cldeform__real_dtype(conv->problem.dtype),
                                      .im2col = (passes & from_both) != 0,
                                      .col2offset = (passes & (CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK)) != 0};
    TRY(cldeform__steps_prepare(conv, &form, &back->steps));
    if (passes & CLDEFORM_GRAD_INPUT)
        TRY(cldeform__col2im_prepare(conv, &form, &back->col2im));
    TRY(cldeform__parameters_prepare(conv, &back->parameters));
    TRY(cldeform__transfer_program(conv, &program));
    TRY(cldeform__program_require(program, "conv2d_pack_input", &back->pack_input));
    TRY(cldeform__program_require(program, "conv2d_load_grad_output", &back->load_grad_output));
    TRY(cldeform__program_require(program, "conv2d_add_product", &back->add_product));
done:
    return status;
}

/* Of one image's slab and one group: grad_columns (pixels, rows/groups) = grad_output * weight. */
static cldeform__gemm columns_gemm(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t pixels)
{
    const int64_t groups = conv->problem.groups, outputs = conv->problem.out_channels / groups;
    const im2col_backward *back = &plan->backward;
    const int64_t width = cldeform__im2col_pad(plan, back->in_place, pixels);
    return (cldeform__gemm){.m = width,
                            .n = plan->rows / groups,
                            .k = outputs,
                            .lda = back->planes ? width : conv->problem.out_channels,
                            .ldb = back->in_place ? plan->rows : outputs,
                            .ldc = plan->rows,
                            .a_transposed = back->planes,
                            .b_transposed = !back->in_place,
                            .aligned = back->in_place};
}

/* Pixels of a product for the gradient of the weight: how an engine sums is its own, and long sums of floats round.
 * What products give is added up with its rounding. */
enum { WEIGHT_PIXELS = 512 };

/* Of the next product, when so many are left. */
static int64_t weight_run(const im2col_plan *plan, int64_t left)
{
    const int64_t tile = plan->engine.tile, run = cldeform__at_most(left, WEIGHT_PIXELS);
    return plan->backward.whole_tiles && run > tile ? run / tile * tile : run;
}

/* product (rows/groups, out_channels/groups) = columns * grad_output. */
static cldeform__gemm weight_gemm(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t pixels)
{
    const int64_t groups = conv->problem.groups, outputs = conv->problem.out_channels / groups;
    return (cldeform__gemm){.m = plan->rows / groups,
                            .n = outputs,
                            .k = pixels,
                            .lda = plan->rows,
                            .ldb = conv->problem.out_channels,
                            .ldc = outputs,
                            .a_transposed = true,
                            .aligned = plan->backward.aligned};
}

/* Sets the form of the product that gives the gradient of the columns: as it comes, or as CLBlast needs no copies for.
 */
static cldeform_status columns_scratch(const cldeform_conv2d *conv, im2col_plan *plan, const int64_t slabs[2],
                                       bool in_place, size_t *scratch)
{
    cldeform_status status = CLDEFORM_OK;
    plan->backward.in_place = in_place;
    plan->backward.planes = in_place && plan->engine.wants_a_transposed;
    *scratch = 0;
    for (int i = 0; i < 2; i++) {
        size_t needed = 0;
        const cldeform__gemm gemm = columns_gemm(conv, plan, slabs[i]);
        TRY(cldeform__gemm_scratch(conv->context, &plan->engine, &gemm, &needed));
        if (needed > *scratch)
            *scratch = needed;
    }
done:
    return status;
}

/* Whether runs of so many pixels of the columns and of grad_output begin aligned, one after the other. */
static bool runs_are_aligned(const cldeform_conv2d *conv, const im2col_plan *plan, int64_t pixels)
{
    return cldeform__gemm_aligned(conv->context, (size_t)(pixels * plan->rows) * plan->real_size) &&
           cldeform__gemm_aligned(conv->context, (size_t)(pixels * conv->problem.out_channels) * plan->real_size);
}

/* The same for the products of the gradient of the weight: in runs of whole tiles, where the rest has one of its own,
 * or in as few as there can be. */
static cldeform_status weight_scratch(const cldeform_conv2d *conv, im2col_plan *plan, const int64_t slabs[2],
                                      bool whole_tiles, size_t *scratch)
{
    cldeform_status status = CLDEFORM_OK;
    plan->backward.whole_tiles = whole_tiles;
    *scratch = 0;
    for (int i = 0; i < 2; i++) {
        int64_t before = 0, run;
        for (int64_t left = slabs[i]; left > 0; left -= run) {
            size_t needed = 0;
            run = weight_run(plan, left);
            const cldeform__gemm gemm = weight_gemm(conv, plan, run);
            if (run != before)
                TRY(cldeform__gemm_scratch(conv->context, &plan->engine, &gemm, &needed));
            if (needed > *scratch)
                *scratch = needed;
            before = run;
        }
    }
done:
    return status;
}

cldeform_status cldeform__im2col_size_backward_scratch(const cldeform_conv2d *conv, im2col_plan *plan)
{
    cldeform_status status = CLDEFORM_OK;
    const int64_t slabs[] = {plan->slab_pixels, cldeform__im2col_last_slab(conv, plan)};
    im2col_backward *back = &plan->backward;
    const bool alone = conv->problem.groups == 1; /* groups begin where they must: not aligned */
    size_t columns = 0, weight = 0, without = 0;
    TRY(columns_scratch(conv, plan, slabs, false, &columns));
    if (columns > 0 && alone) {
        TRY(columns_scratch(conv, plan, slabs, true, &without));
        if (without < columns)
            columns = without;
        else
            TRY(columns_scratch(conv, plan, slabs, false, &columns));
    }
    back->aligned = alone && runs_are_aligned(conv, plan, WEIGHT_PIXELS);
    TRY(weight_scratch(conv, plan, slabs, false, &weight));
    if (weight > 0 && back->aligned && runs_are_aligned(conv, plan, plan->engine.tile)) {
        TRY(weight_scratch(conv, plan, slabs, true, &without));
        if (without < weight)
            weight = without;
        else
            TRY(weight_scratch(conv, plan, slabs, false, &weight));
    }
    back->scratch = columns > weight ? columns : weight;
done:
    return status;
}

static bool packs_input(const cldeform_conv2d *conv)
{
    return conv->problem.layout == CLDEFORM_NCHW;
}

/* The orders that products of these passes take grad_output in. */
static bool takes_planes(const im2col_plan *plan, cldeform_passes passes)
{
    return (passes & from_grad_columns) && plan->backward.planes;
}

static bool takes_pixels(const im2col_plan *plan, cldeform_passes passes)
{
    return (passes & CLDEFORM_GRAD_WEIGHT) || ((passes & from_grad_columns) && !plan->backward.planes);
}

bool cldeform__im2col_size_backward(const cldeform_conv2d *conv, const im2col_plan *plan, cldeform_passes passes,
                                    int64_t images, size_t parts[BACKWARD_PARTS])
{
    const int64_t outputs = conv->problem.out_channels;
    const int64_t width = cldeform__im2col_pad(plan, plan->backward.in_place, plan->slab_pixels);
    const size_t data_size = cldeform__dtype_size(conv->problem.dtype);
    int64_t n_input;
    for (int i = 0; i < BACKWARD_PARTS; i++)
        parts[i] = 0;
    if ((passes & CLDEFORM_GRAD_INPUT) &&
        !cldeform__col2im_sizes(conv, &plan->backward.col2im, images, plan->slab_pixels, parts))
        return false;
    if (!cldeform__multiply(images, conv->sizes.input, &n_input))
        return false;
    if ((passes & from_grad_columns) && !cldeform__bytes(conv->sizes.weight, plan->real_size, &parts[BACK_WEIGHT]))
        return false;
    if ((passes & from_input) && packs_input(conv) && !cldeform__bytes(n_input, data_size, &parts[BACK_INPUT]))
        return false;
    if (takes_pixels(plan, passes) &&
        !cldeform__im2col_images(conv, plan, images, width, outputs, &parts[BACK_GRAD_OUTPUT]))
        return false;
    if (takes_planes(plan, passes) &&
        !cldeform__im2col_images(conv, plan, images, outputs, width, &parts[BACK_GRAD_PLANES]))
        return false;
    if ((passes & from_both) && !cldeform__im2col_images(conv, plan, images, width, plan->rows, &parts[BACK_COLUMNS]))
        return false;
    if ((passes & CLDEFORM_GRAD_WEIGHT) && !cldeform__bytes(conv->sizes.weight, plan->real_size, &parts[BACK_PRODUCT]))
        return false;
    parts[BACK_GRAD_WEIGHT] = parts[BACK_GRAD_WEIGHT_REST] = parts[BACK_PRODUCT];
    if ((passes & CLDEFORM_GRAD_BIAS) && !cldeform__bias_sizes(conv, images, &parts[BACK_BIAS_SUMS]))
        return false;
    parts[BACK_SCRATCH] = passes & from_both ? plan->backward.scratch : 0;
    return true;
}

/* ---- steps --------------------------------------------------------------------------------------------- */

static size_t group_of(const cldeform__call *call)
{
    return (size_t)call->context->tuning.im2col_group;
}

/* ---- the pass ------------------------------------------------------------------------------------------ */

/* What the products of a slab take and give. */
typedef struct slab_matrices {
    cldeform__matrix grad_output; /* of the slab's first image and pixel */
    size_t image_stride;          /* of it */
    size_t columns_stride, planes_stride;
    const cl_mem *parts;
    bool first; /* nothing has been added to the gradient of the weight */
} slab_matrices;

static cldeform__matrix grad_output_of(const cldeform_conv2d *conv, const slab_matrices *on, size_t image, size_t pixel,
                                       size_t group)
{
    const size_t channels = (size_t)conv->problem.out_channels, outputs = channels / (size_t)conv->problem.groups;
    return (cldeform__matrix){on->grad_output.buffer,
                              on->grad_output.start + image * on->image_stride + pixel * channels + group * outputs};
}

/* The columns' of a pixel and group. */
static cldeform__matrix columns_of(const cldeform_conv2d *conv, const slab_matrices *on, size_t image, size_t pixel,
                                   size_t group)
{
    const size_t rows = (size_t)(conv->problem.in_channels * conv->sizes.taps);
    return (cldeform__matrix){on->parts[BACK_COLUMNS], image * on->columns_stride + pixel * rows +
                                                           group * (rows / (size_t)conv->problem.groups)};
}

static cldeform_status enqueue_grad_columns(const cldeform_conv2d *conv, cldeform__call *call,
                                            const cldeform__slab *slab, const slab_matrices *on)
{
    const im2col_plan *plan = conv->plan;
    const cldeform__gemm gemm = columns_gemm(conv, plan, slab->pixels);
    for (size_t image = 0; image < (size_t)slab->images; image++) {
        for (size_t group = 0; group < (size_t)conv->problem.groups; group++) {
            const cldeform__matrix weight = {on->parts[BACK_WEIGHT], group * (size_t)(gemm.n * gemm.k)};
            const cldeform__matrix planes = {on->parts[BACK_GRAD_PLANES], image * on->planes_stride};
            const cldeform_status status = cldeform__gemm_enqueue(
                call, &plan->engine, &gemm, plan->backward.planes ? planes : grad_output_of(conv, on, image, 0, group),
                weight, columns_of(conv, on, image, 0, group), on->parts[BACK_SCRATCH]);
            if (status != CLDEFORM_OK)
                return status;
        }
    }
    return CLDEFORM_OK;
}

/* The sum += the products of a run of pixels of one image, from there on. */
static cldeform_status enqueue_grad_weight(const cldeform_conv2d *conv, cldeform__call *call,
                                           const cldeform__slab *slab, size_t image, int64_t pixel, slab_matrices *on)
{
    cldeform_status status = CLDEFORM_OK;
    const im2col_plan *plan = conv->plan;
    const cldeform__gemm gemm = weight_gemm(conv, plan, weight_run(plan, slab->pixels - pixel));
    for (size_t group = 0; group < (size_t)conv->problem.groups; group++) {
        const cldeform__matrix product = {on->parts[BACK_PRODUCT], group * (size_t)(gemm.m * gemm.n)};
        TRY(cldeform__gemm_enqueue(call, &plan->engine, &gemm, columns_of(conv, on, image, (size_t)pixel, group),
                                   grad_output_of(conv, on, image, (size_t)pixel, group), product,
                                   on->parts[BACK_SCRATCH]));
    }
    const cl_ulong n = (cl_ulong)conv->sizes.weight;
    const cl_int first = on->first;
    const cldeform__argument arguments[] = {ARGUMENT(n), ARGUMENT(on->parts[BACK_PRODUCT]),
                                            ARGUMENT(on->parts[BACK_GRAD_WEIGHT]),
                                            ARGUMENT(on->parts[BACK_GRAD_WEIGHT_REST]), ARGUMENT(first)};
    const cldeform__launch launch = {
        .step = "add_product",
        .kernel = plan->backward.add_product,
        .arguments = arguments,
        .n_arguments = 5,
        .items = {(size_t)n, 1, 1},
        .group = group_of(call),
        .flop = (double)n,
        .bytes = 5 * (double)n * (double)plan->real_size,
    };
    TRY(cldeform__call_launch(call, &launch));
    on->first = false;
done:
    return status;
}

/* Whether products may read the slab's grad_output where it is: pixel by pixel, in their type, within the reach of
 * their indices, and where no copies are to be made, begun and ended as that needs. */
static bool reads_directly(const cldeform_conv2d *conv, const cldeform__slab *slab,
                           const cldeform__conv2d_gradients *gradients)
{
    const im2col_plan *plan = conv->plan;
    const im2col_backward *back = &plan->backward;
    const cldeform__operand *grad_output = &gradients->grad_output;
    const size_t first = grad_output->start + (size_t)(slab->first_pixel * conv->problem.out_channels);
    if (conv->problem.layout != CLDEFORM_NHWC || conv->problem.dtype == CLDEFORM_F16 ||
        !cldeform__gemm_can_address(&plan->engine, grad_output->start,
                                    (size_t)(slab->images - 1) * grad_output->stride + (size_t)conv->sizes.output))
        return false;
    const bool whole = back->planes || cldeform__im2col_pad(plan, back->in_place, slab->pixels) == slab->pixels;
    return !(back->in_place || back->aligned) ||
           (whole && cldeform__gemm_aligned(conv->context, first * plan->real_size) &&
            cldeform__gemm_aligned(conv->context, grad_output->stride * plan->real_size));
}

/* One slab: everything that follows from its columns and from their gradient. */
static cldeform_status run_slab(const cldeform_conv2d *conv, cldeform__call *call, const cldeform__slab *slab,
                                const cldeform__conv2d_operands *operands, const cldeform__conv2d_gradients *gradients,
                                const cl_mem parts[BACKWARD_PARTS], slab_matrices *on)
{
    cldeform_status status = CLDEFORM_OK;
    const im2col_plan *plan = conv->plan;
    const im2col_backward *back = &plan->backward;
    const cldeform_passes wanted = gradients->wanted;
    const int64_t width = cldeform__im2col_pad(plan, back->in_place, slab->pixels),
                  outputs = conv->problem.out_channels;
    on->columns_stride = cldeform__im2col_image(conv, plan, plan->rows * width);
    on->image_stride = on->planes_stride = cldeform__im2col_image(conv, plan, outputs * width);
    const cldeform__column_view columns = {parts[BACK_COLUMNS], 0, on->columns_stride, (size_t)plan->rows};
    const cldeform__loaded planes = {parts[BACK_GRAD_PLANES], true, (size_t)width, on->planes_stride};
    const cldeform__loaded pixels = {parts[BACK_GRAD_OUTPUT], false, (size_t)outputs, on->image_stride};
    if (takes_planes(plan, wanted))
        TRY(cldeform__enqueue_load(conv, back->load_grad_output, call, slab, &gradients->grad_output, &planes));
    if (takes_pixels(plan, wanted) && reads_directly(conv, slab, gradients)) {
        const size_t first = (size_t)(slab->first_pixel * outputs);
        on->grad_output = (cldeform__matrix){gradients->grad_output.buffer, gradients->grad_output.start + first};
        on->image_stride = gradients->grad_output.stride;
    } else if (takes_pixels(plan, wanted)) {
        TRY(cldeform__enqueue_load(conv, back->load_grad_output, call, slab, &gradients->grad_output, &pixels));
        on->grad_output = (cldeform__matrix){parts[BACK_GRAD_OUTPUT], 0};
    }
    if (wanted & from_grad_columns)
        TRY(enqueue_grad_columns(conv, call, slab, on));
    if (wanted & (CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK))
        TRY(cldeform__enqueue_col2offset(conv, &back->steps, call, slab, operands, gradients, &columns));
    if (wanted & CLDEFORM_GRAD_INPUT)
        TRY(cldeform__enqueue_col2im(conv, &back->col2im, call, slab, operands, &columns, parts));
    if (wanted & CLDEFORM_GRAD_WEIGHT) {
        TRY(cldeform__enqueue_im2col(conv, &back->steps, call, slab, operands, &columns));
        for (int64_t image = 0; image < slab->images; image++)
            for (int64_t pixel = 0; pixel < slab->pixels; pixel += weight_run(plan, slab->pixels - pixel))
                TRY(enqueue_grad_weight(conv, call, slab, (size_t)image, pixel, on));
    }
done:
    return status;
}

/* The images of a chunk. */
static cldeform_status run_chunk(const cldeform_conv2d *conv, cldeform__call *call, int64_t images, bool first,
                                 const cldeform__conv2d_operands *given, const cldeform__conv2d_gradients *gradients,
                                 const cl_mem parts[BACKWARD_PARTS], slab_matrices *on)
{
    cldeform_status status = CLDEFORM_OK;
    const im2col_plan *plan = conv->plan;
    const cldeform_passes wanted = gradients->wanted;
    cldeform__conv2d_operands operands = *given;
    if ((wanted & from_input) && packs_input(conv)) {
        TRY(cldeform__enqueue_pack_input(conv, plan->backward.pack_input, call, images, &given->input,
                                         parts[BACK_INPUT]));
        operands.input = (cldeform__operand){.buffer = parts[BACK_INPUT], .stride = (size_t)conv->sizes.input};
    }
    if (wanted & CLDEFORM_GRAD_INPUT)
        TRY(cldeform__enqueue_clear(conv, &plan->backward.col2im, call, images, parts));
    for (int64_t pixel = 0; (wanted & from_both) && pixel < conv->sizes.out_plane; pixel += plan->slab_pixels) {
        const cldeform__slab slab = {images, pixel,
                                     cldeform__at_most(plan->slab_pixels, conv->sizes.out_plane - pixel)};
        TRY(run_slab(conv, call, &slab, &operands, gradients, parts, on));
    }
    if (wanted & CLDEFORM_GRAD_INPUT)
        TRY(cldeform__enqueue_store_grad_input(conv, &plan->backward.col2im, call, images, gradients, parts));
    if (wanted & CLDEFORM_GRAD_BIAS)
        TRY(cldeform__enqueue_bias(conv, &plan->backward.parameters, call, images, first, &gradients->grad_output,
                                   &parts[BACK_BIAS_SUMS]));
done:
    return status;
}

cldeform_status cldeform__im2col_backward(const cldeform_conv2d *conv, cldeform__call *call, int64_t batch,
                                          const cldeform__conv2d_operands *operands,
                                          const cldeform__conv2d_gradients *gradients, cldeform__workspace *workspace)
{
    cldeform_status status = CLDEFORM_OK;
    const im2col_plan *plan = conv->plan;
    const cldeform_passes wanted = gradients->wanted;
    size_t sizes[BACKWARD_PARTS];
    cl_mem parts[BACKWARD_PARTS] = {NULL};
    if (batch > 0) {
        const int64_t images = cldeform__im2col_chunk(conv, plan, wanted, batch, workspace->end - workspace->next);
        if (!cldeform__im2col_size_backward(conv, plan, wanted, images, sizes)) {
            status = cldeform__fail(CLDEFORM_LIMIT, "the workspace's size overflows");
            goto done;
        }
        for (int i = 0; i < BACKWARD_PARTS; i++)
            TRY(cldeform__workspace_part(workspace, sizes[i], &parts[i]));
        TRY(cldeform__call_use_scratch(call, workspace->parts[0]));
        slab_matrices on = {.parts = parts, .first = true};
        const cldeform__matrix weight = {parts[BACK_WEIGHT], 0};
        if (wanted & from_grad_columns)
            TRY(cldeform__im2col_pack(conv, &plan->backward.steps, call, &operands->weight, weight,
                                      plan->backward.in_place ? OUTPUTS_TAPS_CHANNELS : TAPS_CHANNELS_OUTPUTS));
        for (int64_t image = 0; image < batch; image += images) {
            const cldeform__conv2d_operands chunk = cldeform__operands_from(operands, image);
            const cldeform__conv2d_gradients chunk_gradients = cldeform__gradients_from(gradients, image);
            TRY(run_chunk(conv, call, cldeform__at_most(images, batch - image), image == 0, &chunk, &chunk_gradients,
                          parts, &on));
        }
    }
    TRY(cldeform__enqueue_parameters(conv, &plan->backward.parameters, call, gradients, parts[BACK_GRAD_WEIGHT],
                                     parts[BACK_GRAD_WEIGHT_REST], conv->problem.out_channels / conv->problem.groups,
                                     &parts[BACK_BIAS_SUMS]));
done:
    return status;
}
