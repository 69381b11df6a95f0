/* Algorithm fused: how its kernels cut a problem into pieces. */
#include "fused.h"

#include "../geometry.h"

#include <stdio.h>
#include <stdlib.h>

enum { PLACED_ARRAYS = 6, REAL_ARRAYS = 5 }; /* PANEL_PLACED and PANEL_REALS of conv2d_panel.clh */

const char *cldeform__fused_refuses(const cldeform_context *context, const cldeform_conv2d_problem *problem,
                                    const cldeform__conv2d_sizes *sizes)
{
    int64_t plane;
    (void)context;
    if (problem->passes & CLDEFORM_BACKWARD)
        return "it has no gradients";
    if (!cldeform__multiply(problem->in_h, problem->in_w, &plane) || plane >= INT32_MAX ||
        sizes->out_plane > INT32_MAX / 2)
        return "fused needs planes of fewer than 2^31 pixels, and output planes of at most 2^30";
    if (sizes->weight > INT32_MAX / 2)
        return "fused needs a weight of at most 2^30 elements";
    return NULL;
}

/* ---- the tile ------------------------------------------------------------------------------------------ */

static int most_lanes(const cldeform_conv2d *conv)
{
    const cldeform_context *context = conv->context;
    const int lanes = context->tuning.fused_vector ? context->tuning.fused_vector : context->facts.vector_width;
    return conv->problem.dtype == CLDEFORM_F64 && lanes > 1 ? lanes / 2 : lanes;
}

static int64_t round_to(int64_t a, int64_t b)
{
    return cldeform__divide_up(a, b) * b;
}

/* The tile for products whose rows are `n` numbers of a group. */
static void set_tile(const cldeform_conv2d *conv, fused_form *form, int64_t n)
{
    const cldeform__tuning *tuning = &conv->context->tuning;
    form->vector = most_lanes(conv);
    form->lanes = 1;
    while (form->lanes < form->vector && form->lanes < n)
        form->lanes *= 2;
    /* two vectors, unless what the last tile lacks costs more than they save */
    form->vectors = n > form->lanes && round_to(n, 2 * form->lanes) * 8 <= round_to(n, form->lanes) * 9 ? 2 : 1;
    form->rows = tuning->fused_rows;
}

/* ---- the panel ----------------------------------------------------------------------------------------- */

static size_t form_bytes(const fused_form *form)
{
    return form->columns + form->sums + form->placed + form->reals;
}

/* Sizes of local memory for panels of so many pixels. */
static void set_panel(const fused_plan *plan, fused_form *form, int64_t panel)
{
    conv2d_fused_shape *shape = &form->shape;
    const int64_t span = round_to(panel, form->vector), tile = (int64_t)form->lanes * form->vectors;
    shape->panel = (cl_int)panel;
    shape->span = (cl_int)span;
    /* a vector behind the channels, for the last one of a run; the odd one keeps rows off the same lines of a cache */
    shape->columns_pitch = (cl_int)(round_to(shape->block_channels, form->vector) + form->vector);
    shape->sums_pitch = (cl_int)(shape->block_groups * shape->block_tiles * tile);
    form->columns = (size_t)panel * (size_t)shape->block_taps * (size_t)shape->columns_pitch * plan->real_size;
    form->sums = (size_t)panel * (size_t)shape->sums_pitch * plan->real_size;
    form->placed = (size_t)span * PLACED_ARRAYS * plan->real_size;
    form->reals = (size_t)span * REAL_ARRAYS * plan->real_size;
}

/* Local memory that a form may take. */
static size_t local_budget(const cldeform_conv2d *conv)
{
    const size_t aim = (size_t)conv->context->tuning.fused_panel_kib * 1024;
    const size_t most = (size_t)conv->context->facts.local_memory;
    return aim < most ? aim : most;
}

/* How much longer the image takes with panels of so many pixels than it must: whole panels on whole compute units, and
 * the weights that each panel reads, for as long as about three pixels. */
static double panel_cost(const cldeform_conv2d *conv, int64_t panel, size_t blocks)
{
    const double units = (double)conv->context->facts.compute_units;
    const double items = (double)cldeform__divide_up(conv->sizes.out_plane, panel) * (double)blocks;
    const double turns = (double)(int64_t)((items + units - 1) / units);
    return turns * ((double)panel + 3) / (double)blocks;
}

/* Blocks of groups, channels and taps for a depth of about fused_depth, and tiles of outputs; then the panel. */
static cldeform_status set_blocks(const cldeform_conv2d *conv, const fused_plan *plan, fused_form *form)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    conv2d_fused_shape *shape = &form->shape;
    const int64_t channels = problem->in_channels / problem->groups, outputs = problem->out_channels / problem->groups;
    const int64_t taps = conv->sizes.taps, depth = conv->context->tuning.fused_depth;
    const int64_t tiles = cldeform__divide_up(outputs, (int64_t)form->lanes * form->vectors);
    const size_t budget = local_budget(conv);
    const int64_t good = 2 * form->rows; /* pixels that a panel should have at least */
    int64_t block_channels = cldeform__at_most(channels, round_to(depth, form->vector));
    const int64_t tap_blocks = cldeform__divide_up(taps * block_channels, depth);
    shape->block_groups = 1;
    shape->block_channels = (cl_int)block_channels;
    shape->block_taps = (cl_int)cldeform__divide_up(taps, tap_blocks < taps ? tap_blocks : taps);
    shape->block_tiles = (cl_int)tiles;
    /* many small groups together, as long as they leave room for pixels */
    if (block_channels == channels && shape->block_taps == taps)
        for (int64_t groups = 2; groups <= problem->groups; groups++) {
            const conv2d_fused_shape before = *shape;
            shape->block_groups = (cl_int)groups;
            shape->block_channels = (cl_int)(groups * channels);
            set_panel(plan, form, good);
            if (form_bytes(form) > budget) {
                *shape = before;
                break;
            }
        }
    /* smaller blocks on devices with little local memory: what costs least first */
    for (set_panel(plan, form, form->rows); form_bytes(form) > budget; set_panel(plan, form, form->rows)) {
        if (shape->block_taps > 1)
            shape->block_taps = (shape->block_taps + 1) / 2;
        else if (shape->block_tiles > 1)
            shape->block_tiles = (shape->block_tiles + 1) / 2;
        else if (shape->block_groups == 1 && shape->block_channels > form->vector)
            shape->block_channels = (cl_int)round_to(shape->block_channels / 2, form->vector);
        else
            return cldeform__fail(
                CLDEFORM_UNSUPPORTED, "algorithm fused needs %zu bytes of local memory for this problem; %s has %llu",
                form_bytes(form), conv->context->facts.name, (unsigned long long)conv->context->facts.local_memory);
    }
    form->blocks = (size_t)(cldeform__divide_up(problem->groups, shape->block_groups) *
                            cldeform__divide_up(tiles, shape->block_tiles));
    int64_t best = form->rows;
    for (int64_t panel = form->rows; panel <= conv->context->tuning.fused_panel; panel += form->rows) {
        set_panel(plan, form, panel);
        if (form_bytes(form) > budget)
            break;
        if (panel_cost(conv, panel, form->blocks) <= panel_cost(conv, best, form->blocks))
            best = panel;
    }
    set_panel(plan, form, best);
    return CLDEFORM_OK;
}

/* Elements from a pixel of the input to the next: room for a vector that begins at any channel, where any may. */
static int64_t input_pitch(const cldeform_conv2d *conv, const fused_form *form)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    const int64_t vector = form->vector, channels = problem->in_channels;
    const bool whole = channels / problem->offset_groups % vector == 0 &&
                       (form->shape.block_channels % vector == 0 || form->shape.block_channels >= channels) &&
                       (form->shape.block_channels * form->shape.block_groups >= channels ||
                        channels / problem->groups * form->shape.block_groups % vector == 0);
    return whole ? channels : round_to(channels, vector) + vector;
}

static cldeform_status get_kernel(const cldeform_conv2d *conv, const fused_plan *plan, fused_form *form,
                                  const char *family)
{
    cldeform_status status;
    cldeform__program *program = NULL;
    char options[320];
    snprintf(options, sizeof options, "%s -DLANES=%d -DVECTORS=%d -DROWS=%d", plan->options, form->lanes, form->vectors,
             form->rows);
    TRY(cldeform__program_get(conv->context, family, options, &program));
    TRY(cldeform__program_require(program, family, &form->kernel));
done:
    return status;
}

/* ---- the plan ------------------------------------------------------------------------------------------ */

cldeform_status cldeform__fused_make_plan(cldeform_conv2d *conv)
{
    cldeform_status status;
    cldeform__program *program = NULL;
    const cldeform_conv2d_problem *problem = &conv->problem;
    char options[64];
    fused_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return cldeform__fail(CLDEFORM_OUT_OF_MEMORY, "no memory for the plan of fused");
    conv->plan = plan;
    plan->real_size = problem->dtype == CLDEFORM_F64 ? sizeof(cl_double) : sizeof(cl_float);
    cldeform__step_geometry(conv, &plan->geometry);
    const cldeform__step_form form = {.nhwc = problem->layout == CLDEFORM_NHWC,
                                      .columns = cldeform__real_dtype(problem->dtype)};
    cldeform__step_options(conv, &form, most_lanes(conv), plan->options, sizeof plan->options);
    set_tile(conv, &plan->forward, problem->out_channels / problem->groups);
    TRY(set_blocks(conv, plan, &plan->forward));
    const int64_t pitch = input_pitch(conv, &plan->forward);
    plan->forward.shape.pitch = (cl_int)pitch;
    plan->packs_input = !form.nhwc || problem->dtype == CLDEFORM_F16 || pitch != problem->in_channels;
    TRY(get_kernel(conv, plan, &plan->forward, "conv2d_fused"));
    snprintf(options, sizeof options, "-DDATA_BITS=%d", cldeform__bits(problem->dtype));
    TRY(cldeform__program_get(conv->context, "conv2d_fused_pack", options, &program));
    TRY(cldeform__program_require(program, "conv2d_pack_tiles", &plan->pack_tiles));
    TRY(cldeform__program_require(program, "conv2d_clear_row", &plan->clear));
    if (plan->packs_input) {
        snprintf(options, sizeof options, "-DELEMENT_BITS=%d%s", cldeform__bits(form.columns),
                 problem->dtype == CLDEFORM_F16 ? " -DWIDEN=1" : "");
        TRY(cldeform__program_get(conv->context, "transpose", options, &program));
        TRY(cldeform__program_require(program, "transpose", &plan->transpose));
    }
    size_t minimum = 0, preferred = 0;
    cldeform__fused_workspace(conv, problem->passes, &minimum, &preferred);
    if (minimum > conv->workspace_limit)
        status = cldeform__fail(CLDEFORM_LIMIT,
                                "workspace_limit is %zu bytes (%s); the minimum for this problem is "
                                "%zu bytes",
                                conv->workspace_limit,
                                problem->workspace_limit ? "as given" : "the device's allocation limit", minimum);
done:
    return status;
}

bool cldeform__fused_weight_bytes(const cldeform_conv2d *conv, const fused_plan *plan, const fused_form *form,
                                  size_t *bytes)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    const int64_t tile = (int64_t)form->lanes * form->vectors;
    const int64_t elements[] = {problem->groups, round_to(problem->out_channels / problem->groups, tile),
                                problem->in_channels / problem->groups, conv->sizes.taps};
    int64_t n;
    return cldeform__product(elements, 4, &n) && cldeform__bytes(n, plan->real_size, bytes);
}

bool cldeform__fused_size_forward(const cldeform_conv2d *conv, const fused_plan *plan, int64_t images,
                                  size_t parts[FUSED_FORWARD_PARTS])
{
    const int64_t pitch = plan->forward.shape.pitch, row[] = {1, pitch};
    const int64_t input[] = {images, conv->problem.in_h, conv->problem.in_w, pitch};
    int64_t n_row, n_input;
    parts[FUSED_INPUT] = 0;
    if (!cldeform__product(row, 2, &n_row) || !cldeform__product(input, 4, &n_input))
        return false;
    return cldeform__fused_weight_bytes(conv, plan, &plan->forward, &parts[FUSED_WEIGHT]) &&
           cldeform__bytes(n_row, plan->real_size, &parts[FUSED_ZEROS]) &&
           (!plan->packs_input || cldeform__bytes(n_input, plan->real_size, &parts[FUSED_INPUT]));
}

static size_t forward_bytes(const cldeform_conv2d *conv, const fused_plan *plan, int64_t images)
{
    size_t parts[FUSED_FORWARD_PARTS], bytes = SIZE_MAX;
    if (!cldeform__fused_size_forward(conv, plan, images, parts) ||
        !cldeform__workspace_bytes(conv->context, parts, FUSED_FORWARD_PARTS, &bytes))
        return SIZE_MAX;
    return bytes;
}

int64_t cldeform__fused_chunk(const cldeform_conv2d *conv, const fused_plan *plan, int64_t batch, size_t bytes)
{
    int64_t least = 1, most = cldeform__at_most(batch, CLDEFORM__MOST_GROUPS);
    size_t parts[FUSED_FORWARD_PARTS];
    /* copies that are still in the caches when they are read */
    if (plan->packs_input && cldeform__fused_size_forward(conv, plan, 1, parts))
        most = cldeform__at_most(most,
                                 1 + (int64_t)conv->context->tuning.columns_kib * 1024 / (int64_t)parts[FUSED_INPUT]);
    while (least < most) {
        const int64_t middle = least + (most - least + 1) / 2;
        if (forward_bytes(conv, plan, middle) <= bytes)
            least = middle;
        else
            most = middle - 1;
    }
    return least;
}

void cldeform__fused_workspace(const cldeform_conv2d *conv, cldeform_passes passes, size_t *minimum, size_t *preferred)
{
    const fused_plan *plan = conv->plan;
    *minimum = *preferred = 0;
    if (passes & CLDEFORM_FORWARD) {
        *minimum = forward_bytes(conv, plan, 1);
        *preferred =
            forward_bytes(conv, plan, cldeform__fused_chunk(conv, plan, conv->problem.batch, conv->workspace_limit));
    }
}
