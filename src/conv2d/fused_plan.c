/* Algorithm fused: what an object prepares, and its workspace. */
#include "fused.h"

#include "../geometry.h"

#include <stdio.h>
#include <stdlib.h>

const char *cldeform__fused_refuses(const cldeform_context *context, const cldeform_conv2d_problem *problem,
                                    const cldeform__conv2d_sizes *sizes)
{
    int64_t plane;
    if (context->facts.loop_limit)
        return "the device ends loops after fewer iterations than a panel takes";
    if (!cldeform__multiply(problem->in_h, problem->in_w, &plane) || plane >= INT32_MAX ||
        sizes->out_plane > INT32_MAX / 2)
        return "fused needs planes of fewer than 2^31 pixels, and output planes of at most 2^30";
    if (sizes->weight > INT32_MAX / 2)
        return "fused needs a weight of at most 2^30 elements";
    return NULL;
}

/* Whether all vectors of the channels that a form samples begin and end in the channels of a pixel. */
static bool is_whole(const cldeform_conv2d *conv, const fused_form *form)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    const int64_t vector = form->vector, channels = problem->in_channels, group_channels = channels / problem->groups;
    if (form->rows == 0)
        return true;
    return channels / problem->offset_groups % vector == 0 &&
           (form->shape.block_channels % vector == 0 || form->shape.block_channels >= channels) &&
           (form->shape.block_groups >= problem->groups || group_channels * form->shape.block_groups % vector == 0);
}

/* Elements from a pixel of the input to the next: room for a vector that begins at any channel, where any may. */
static int64_t find_pitch(const cldeform_conv2d *conv, const fused_plan *plan)
{
    const int64_t vector = cldeform__fused_vector(conv), channels = conv->problem.in_channels;
    if (is_whole(conv, &plan->forward) && is_whole(conv, &plan->grad) && is_whole(conv, &plan->grad_weight))
        return channels;
    return (cldeform__divide_up(channels, vector) + 1) * vector;
}

static cldeform_status get_kernel(const cldeform_conv2d *conv, const fused_plan *plan, fused_form *form,
                                  const char *family, const char *name, const char *more, cldeform__kernel **kernel)
{
    cldeform_status status;
    cldeform__program *program = NULL;
    char options[sizeof plan->options + 100];
    form->shape.pitch = (cl_int)plan->pitch;
    snprintf(options, sizeof options, "%s -DDIRECT=%d -DLANES=%d -DVECTORS=%d -DROWS=%d%s", plan->options,
             !plan->packs_input, form->lanes, form->vectors, form->rows, more);
    TRY(cldeform__program_get(conv->context, family, options, &program));
    TRY(cldeform__program_require(program, name, kernel));
done:
    return status;
}

/* The layout of the packed gradient of the output: that of the tiles of the weight's gradient. */
static void set_packed(const cldeform_conv2d *conv, fused_plan *plan)
{
    const fused_form *form = &plan->grad_weight;
    const int64_t outputs = conv->problem.out_channels / conv->problem.groups, plane = conv->sizes.out_plane;
    conv2d_fused_shape *shapes[] = {&plan->grad.shape, &plan->grad_weight.shape};
    for (int i = 0; i < 2; i++) {
        shapes[i]->out_lanes = form->lanes;
        shapes[i]->out_blocks =
            (cl_int)(cldeform__divide_up(outputs, (int64_t)form->lanes * form->vectors) * form->vectors);
        shapes[i]->out_pitch = (cl_int)(cldeform__divide_up(plane, plan->grad.rows) * plan->grad.rows);
    }
}

static cldeform_status prepare_backward(const cldeform_conv2d *conv, fused_plan *plan, cldeform__program *pack)
{
    cldeform_status status;
    const cldeform_passes passes = conv->problem.passes;
    const char *more = conv->problem.offset_gradient == CLDEFORM_OFFSET_GRADIENT_OPEN ? " -DSAMPLE_OPEN=1" : "";
    if (passes & (CLDEFORM_GRAD_INPUT | CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK))
        TRY(get_kernel(conv, plan, &plan->grad, "conv2d_fused_grad", "conv2d_fused_grad", more, &plan->grad.kernel));
    if (passes & CLDEFORM_GRAD_WEIGHT)
        TRY(get_kernel(conv, plan, &plan->grad_weight, "conv2d_fused_grad_weight", "conv2d_fused_grad_weight", "",
                       &plan->grad_weight.kernel));
    if ((passes & (CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK)) && plan->grad.shape.parts > 1)
        TRY(get_kernel(conv, plan, &plan->grad, "conv2d_fused_grad", "conv2d_fused_finish", more, &plan->finish));
    TRY(cldeform__program_require(pack, "conv2d_pack_channel_tiles", &plan->pack_channel_tiles));
    TRY(cldeform__program_require(pack, "conv2d_pack_grad_output", &plan->pack_grad_output));
    TRY(cldeform__program_require(pack, "conv2d_add_copies", &plan->add_copies));
    TRY(cldeform__parameters_prepare(conv, &plan->parameters));
done:
    return status;
}

static cldeform_status prepare(const cldeform_conv2d *conv, fused_plan *plan)
{
    cldeform_status status;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const bool forward = (problem->passes & (CLDEFORM_FORWARD | CLDEFORM_PACK_WEIGHT)) != 0;
    const bool backward = (problem->passes & CLDEFORM_BACKWARD) != 0;
    const cldeform__step_form form = {.nhwc = problem->layout == CLDEFORM_NHWC,
                                      .columns = cldeform__real_dtype(problem->dtype)};
    cldeform__program *program = NULL;
    char options[64];
    plan->real_size = cldeform__dtype_size(form.columns);
    cldeform__step_geometry(conv, &plan->geometry);
    cldeform__step_options(conv, &form, cldeform__fused_vector(conv), plan->options, sizeof plan->options);
    if (forward)
        TRY(cldeform__fused_shape_forward(conv, plan, &plan->forward));
    if (backward) {
        TRY(cldeform__fused_shape_grad(conv, plan, &plan->grad));
        TRY(cldeform__fused_shape_grad_weight(conv, plan, &plan->grad_weight));
        set_packed(conv, plan);
    }
    plan->pitch = find_pitch(conv, plan);
    plan->packs_input = !form.nhwc || problem->dtype == CLDEFORM_F16 || plan->pitch != problem->in_channels;
    if (!cldeform__uses_long_index(conv) &&
        cldeform__needs_long_index((problem->in_h * problem->in_w + 1) * plan->pitch)) {
        status = cldeform__fail(CLDEFORM_LIMIT,
                                "an image's packed input, (in_h*in_w + 1) * %lld elements, must be below "
                                "2^31 where the input is",
                                (long long)plan->pitch);
        goto done;
    }
    snprintf(options, sizeof options, "-DDATA_BITS=%d", cldeform__bits(problem->dtype));
    TRY(cldeform__program_get(conv->context, "conv2d_fused_pack", options, &program));
    TRY(cldeform__program_require(program, "conv2d_pack_tiles", &plan->pack_tiles));
    TRY(cldeform__program_require(program, "conv2d_clear_pixels", &plan->clear));
    if (forward)
        TRY(get_kernel(conv, plan, &plan->forward, "conv2d_fused", "conv2d_fused", "", &plan->forward.kernel));
    if (backward)
        TRY(prepare_backward(conv, plan, program));
    if (plan->packs_input) {
        snprintf(options, sizeof options, "-DELEMENT_BITS=%d%s", cldeform__bits(form.columns),
                 problem->dtype == CLDEFORM_F16 ? " -DWIDEN=1" : "");
        TRY(cldeform__program_get(conv->context, "transpose", options, &program));
        TRY(cldeform__program_require(program, "transpose", &plan->transpose));
    }
done:
    return status;
}

cldeform_status cldeform__fused_make_plan(cldeform_conv2d *conv)
{
    cldeform_status status;
    size_t minimum = 0, preferred = 0;
    fused_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return cldeform__fail(CLDEFORM_OUT_OF_MEMORY, "no memory for the plan of fused");
    conv->plan = plan;
    TRY(prepare(conv, plan));
    cldeform__fused_workspace(conv, conv->problem.passes, &minimum, &preferred);
    status = cldeform__conv2d_check_limit(conv, minimum);
done:
    return status;
}

/* ---- workspace ----------------------------------------------------------------------------------------- */

bool cldeform__fused_weight_bytes(const cldeform_conv2d *conv, const fused_plan *plan, const fused_form *form,
                                  bool channels, size_t *bytes)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    const int64_t tile = (int64_t)form->lanes * form->vectors;
    const int64_t in = problem->in_channels / problem->groups, out = problem->out_channels / problem->groups;
    const int64_t elements[] = {problem->groups, conv->sizes.taps, channels ? out : in,
                                cldeform__divide_up(channels ? in : out, tile), tile};
    int64_t n;
    return cldeform__product(elements, 5, &n) && cldeform__bytes(n, plan->real_size, bytes);
}

bool cldeform__fused_size_forward(const cldeform_conv2d *conv, const fused_plan *plan, int64_t images,
                                  size_t parts[FUSED_FORWARD_PARTS])
{
    const int64_t input[] = {images, conv->problem.in_h * conv->problem.in_w + 1, plan->pitch};
    int64_t n_input;
    parts[FUSED_INPUT] = parts[FUSED_ZEROS] = 0;
    return cldeform__product(input, 3, &n_input) &&
           cldeform__fused_weight_bytes(conv, plan, &plan->forward, false, &parts[FUSED_WEIGHT]) &&
           (plan->packs_input ? cldeform__bytes(n_input, plan->real_size, &parts[FUSED_INPUT])
                              : cldeform__bytes(plan->pitch, plan->real_size, &parts[FUSED_ZEROS]));
}

static size_t forward_bytes(const cldeform_conv2d *conv, const fused_plan *plan, int64_t images)
{
    size_t parts[FUSED_FORWARD_PARTS], bytes = SIZE_MAX;
    if (!cldeform__fused_size_forward(conv, plan, images, parts) ||
        !cldeform__workspace_bytes(conv->context, parts, FUSED_FORWARD_PARTS, &bytes))
        return SIZE_MAX;
    return bytes;
}

static size_t backward_bytes(const cldeform_conv2d *conv, const fused_plan *plan, cldeform_passes passes)
{
    size_t parts[FUSED_BACKWARD_PARTS], bytes = SIZE_MAX;
    if (!cldeform__fused_size_backward(conv, plan, passes, parts) ||
        !cldeform__workspace_bytes(conv->context, parts, FUSED_BACKWARD_PARTS, &bytes))
        return SIZE_MAX;
    return bytes;
}

/* Whether a forward chunk of so many images does. */
typedef struct room {
    const cldeform_conv2d *conv;
    const fused_plan *plan;
    size_t bytes;
} room;
static bool forward_fits(const void *of, int64_t images)
{
    const room *in = of;
    return forward_bytes(in->conv, in->plan, images) <= in->bytes;
}

int64_t cldeform__fused_chunk(const cldeform_conv2d *conv, const fused_plan *plan, int64_t batch, size_t bytes)
{
    int64_t most = cldeform__at_most(batch, CLDEFORM__MOST_GROUPS);
    size_t parts[FUSED_FORWARD_PARTS];
    /* copies that are still in the caches when they are read */
    if (plan->packs_input && cldeform__fused_size_forward(conv, plan, 1, parts))
        most = cldeform__at_most(most,
                                 1 + (int64_t)conv->context->tuning.columns_kib * 1024 / (int64_t)parts[FUSED_INPUT]);
    return cldeform__most_that_fits(most, forward_fits, &(room){conv, plan, bytes});
}

void cldeform__fused_workspace(const cldeform_conv2d *conv, cldeform_passes passes, size_t *minimum, size_t *preferred)
{
    const fused_plan *plan = conv->plan;
    *minimum = *preferred = 0;
    if (passes & CLDEFORM_FORWARD) {
        const int64_t images = cldeform__fused_chunk(conv, plan, conv->problem.batch, conv->workspace_limit);
        *minimum = forward_bytes(conv, plan, 1);
        *preferred = forward_bytes(conv, plan, images);
    }
    if (passes & CLDEFORM_BACKWARD) {
        const size_t bytes = backward_bytes(conv, plan, passes & CLDEFORM_BACKWARD);
        *minimum = bytes > *minimum ? bytes : *minimum;
        *preferred = bytes > *preferred ? bytes : *preferred;
    }
}
