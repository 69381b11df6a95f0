/* Algorithm fused: how its kernels cut a problem into pieces that fit registers and caches. */
#include "fused.h"

#include "../geometry.h"

/* Arrays of conv2d_panel.clh's tables: those of the bases, and for each tap. */
enum { BASES = 2, CORNERS = 4, WEIGHTS = 5 };

/* ---- the tile ------------------------------------------------------------------------------------------ */

int cldeform__fused_vector(const cldeform_conv2d *conv)
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
    form->vector = cldeform__fused_vector(conv);
    form->lanes = 1;
    while (form->lanes < form->vector && form->lanes < n)
        form->lanes *= 2;
    /* two vectors, unless what the last tile lacks costs more than they save */
    form->vectors =
        n > form->lanes && round_to(n, 2 * (int64_t)form->lanes) * 8 <= round_to(n, form->lanes) * 9 ? 2 : 1;
    /* what the registers hold: processors with vectors of 16 floats have 32 of them, many others 16 */
    const int width = tuning->fused_vector ? tuning->fused_vector : conv->context->facts.vector_width;
    form->rows = tuning->fused_rows ? tuning->fused_rows : width == 16 ? 12 : 6;
}

/* ---- the panel ----------------------------------------------------------------------------------------- */

size_t cldeform__fused_local_bytes(const fused_form *form)
{
    return form->columns + form->sums + form->placed + form->reals;
}

/* The tables of panels of so many pixels. */
static void set_tables(const fused_plan *plan, fused_form *form, int64_t panel)
{
    const int64_t span = round_to(panel, form->vector);
    form->shape.panel = (cl_int)panel;
    form->shape.span = (cl_int)span;
    form->placed = (size_t)span * (BASES + CORNERS * (size_t)form->shape.block_taps) * plan->real_size;
    form->reals = (size_t)span * WEIGHTS * (size_t)form->shape.block_taps * plan->real_size;
}

/* Sizes of local memory for panels of so many pixels. */
static void set_panel(const fused_plan *plan, fused_form *form, int64_t panel)
{
    conv2d_fused_shape *shape = &form->shape;
    const int64_t tile = (int64_t)form->lanes * form->vectors;
    set_tables(plan, form, panel);
    /* a vector behind the channels, for the last one of a run; the odd one keeps rows off the same lines of a cache */
    shape->columns_pitch = (cl_int)(round_to(shape->block_channels, form->vector) + form->vector);
    shape->sums_pitch = (cl_int)((int64_t)shape->block_groups * shape->block_tiles * tile);
    form->columns = (size_t)panel * (size_t)shape->block_taps * (size_t)shape->columns_pitch * plan->real_size;
    form->sums = (size_t)panel * (size_t)shape->sums_pitch * plan->real_size;
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

static cldeform_status too_large(const cldeform_conv2d *conv, const fused_form *form)
{
    return cldeform__fail(CLDEFORM_UNSUPPORTED,
                          "algorithm fused needs %zu bytes of local memory for this problem; %s has %llu",
                          cldeform__fused_local_bytes(form), conv->context->facts.name,
                          (unsigned long long)conv->context->facts.local_memory);
}

/* ---- forward ------------------------------------------------------------------------------------------- */

/* Blocks of groups, channels and taps for a depth of about fused_depth, and tiles of outputs; then the panel. */
cldeform_status cldeform__fused_shape_forward(const cldeform_conv2d *conv, const fused_plan *plan, fused_form *form)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    conv2d_fused_shape *shape = &form->shape;
    const int64_t channels = problem->in_channels / problem->groups, outputs = problem->out_channels / problem->groups;
    const int64_t taps = conv->sizes.taps, depth = conv->context->tuning.fused_depth;
    set_tile(conv, form, outputs);
    const int64_t tiles = cldeform__divide_up(outputs, (int64_t)form->lanes * form->vectors);
    const size_t budget = local_budget(conv);
    const int64_t good = 2 * (int64_t)form->rows; /* pixels that a panel should have at least */
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
            if (cldeform__fused_local_bytes(form) > budget) {
                *shape = before;
                break;
            }
        }
    /* smaller blocks on devices with little local memory: what costs least first */
    for (set_panel(plan, form, form->rows); cldeform__fused_local_bytes(form) > budget;
         set_panel(plan, form, form->rows)) {
        if (shape->block_taps > 1)
            shape->block_taps = (shape->block_taps + 1) / 2;
        else if (shape->block_tiles > 1)
            shape->block_tiles = (shape->block_tiles + 1) / 2;
        else if (shape->block_groups == 1 && shape->block_channels > form->vector)
            shape->block_channels = (cl_int)round_to(shape->block_channels / 2, form->vector);
        else
            return cldeform__fail(CLDEFORM_UNSUPPORTED,
                                  "algorithm fused needs %zu bytes of local memory for this problem; %s has %llu",
                                  cldeform__fused_local_bytes(form), conv->context->facts.name,
                                  (unsigned long long)conv->context->facts.local_memory);
    }
    form->blocks = (size_t)(cldeform__divide_up(problem->groups, shape->block_groups) *
                            cldeform__divide_up(tiles, shape->block_tiles));
    int64_t best = form->rows;
    for (int64_t panel = form->rows; panel <= conv->context->tuning.fused_panel; panel += form->rows) {
        set_panel(plan, form, panel);
        if (cldeform__fused_local_bytes(form) > budget)
            break;
        if (panel_cost(conv, panel, form->blocks) <= panel_cost(conv, best, form->blocks))
            best = panel;
    }
    set_panel(plan, form, best);
    return CLDEFORM_OK;
}

/* ---- backward ------------------------------------------------------------------------------------------ */

/* Blocks of channels: whole groups, or part of one; one tap at a time. */
static void set_grad_panel(const fused_plan *plan, fused_form *form, int64_t panel)
{
    const int64_t tile = (int64_t)form->lanes * form->vectors, vector = form->vector;
    set_tables(plan, form, panel);
    /* room for a tile, or a vector, behind the channels */
    form->shape.columns_pitch =
        (cl_int)(round_to(form->shape.block_channels, vector) + (tile > vector ? tile : vector));
    form->columns = (size_t)panel * (size_t)form->shape.columns_pitch * plan->real_size;
    form->sums = (size_t)form->shape.span * 4 * plan->real_size;
}

/* Pixels of a worker in a slab, so that the partial dot products of all blocks take about 1 MiB. */
static int64_t slab_pixels(const cldeform_conv2d *conv, const fused_plan *plan, const fused_form *form, int64_t blocks)
{
    const int64_t of_pixel = blocks * conv->sizes.taps * conv->problem.offset_groups * 4 * form->shape.workers;
    const int64_t panels = (1 << 20) / (int64_t)plan->real_size / form->shape.panel / of_pixel;
    return cldeform__at_most((panels > 1 ? panels : 1) * form->shape.panel, conv->sizes.out_plane);
}

cldeform_status cldeform__fused_shape_grad(const cldeform_conv2d *conv, const fused_plan *plan, fused_form *form)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    const cldeform__tuning *tuning = &conv->context->tuning;
    const int64_t channels = problem->in_channels / problem->groups;
    const size_t budget = local_budget(conv);
    conv2d_fused_shape *shape = &form->shape;
    set_tile(conv, form, channels);
    shape->block_taps = 1;
    const int64_t tile = (int64_t)form->lanes * form->vectors;
    const int64_t step = tile > form->vector ? tile : form->vector; /* both are powers of two */
    const int64_t steps = cldeform__divide_up(conv->sizes.out_plane, form->rows);
    const int64_t units = (int64_t)conv->context->facts.compute_units;
    const int64_t workers = cldeform__at_most(cldeform__at_most(tuning->fused_copies, units), steps);
    const int64_t wanted = cldeform__divide_up(units, workers); /* parts of the channels */
    int64_t blocks = 1;
    for (int64_t block = round_to(tuning->fused_depth, step);; block = round_to(block / 2, step)) {
        const int64_t groups = cldeform__at_most(block / channels, problem->groups);
        shape->block_groups = (cl_int)(groups < 1 ? 1 : groups);
        shape->block_channels = (cl_int)(groups < 1 ? block : groups * channels);
        blocks = cldeform__divide_up(problem->groups, shape->block_groups) *
                 cldeform__divide_up(shape->block_groups * channels, shape->block_channels);
        set_grad_panel(plan, form, form->rows);
        if (cldeform__fused_local_bytes(form) <= budget && (blocks >= wanted || block == step))
            break;
        if (block == step)
            return too_large(conv, form);
    }
    int64_t best = form->rows;
    for (int64_t panel = form->rows; panel <= tuning->fused_panel; panel += form->rows) {
        set_grad_panel(plan, form, panel);
        if (cldeform__fused_local_bytes(form) > budget)
            break;
        best = panel;
    }
    set_grad_panel(plan, form, best);
    shape->workers = (cl_int)workers;
    shape->parts = (cl_int)cldeform__at_most(blocks, wanted);
    shape->slab = shape->parts > 1 ? (cl_int)slab_pixels(conv, plan, form, blocks) : (cl_int)conv->sizes.out_plane;
    return CLDEFORM_OK;
}

/* Samples of a block of channels at a run of pixels. Each offset group begins with a vector of its own. */
static void set_run(const cldeform_conv2d *conv, const fused_plan *plan, fused_form *form, int64_t run)
{
    const int64_t channels = form->shape.block_channels, vector = form->vector;
    const int64_t offset_channels = conv->problem.in_channels / conv->problem.offset_groups;
    const bool whole = offset_channels % vector == 0 || conv->problem.offset_groups == 1;
    const int64_t blocks =
        cldeform__divide_up(channels, vector) + (whole ? 0 : cldeform__divide_up(channels, offset_channels) + 1);
    set_tables(plan, form, run);
    form->columns = (size_t)(run * blocks * vector + form->rows) * plan->real_size;
    form->sums = 0;
}

/* Taps of blocks of channels: what the work-items share out. */
static int64_t units_of(const cldeform_conv2d *conv, int64_t block)
{
    return conv->sizes.taps * cldeform__divide_up(conv->problem.in_channels, block);
}

/* How long all blocks of channels take on all compute units, if there is nothing else to share out. */
static int64_t block_cost(const cldeform_conv2d *conv, int64_t block)
{
    const int64_t turns = cldeform__divide_up(units_of(conv, block), (int64_t)conv->context->facts.compute_units);
    return turns * (block + 4); /* what it costs to find samples again */
}

cldeform_status cldeform__fused_shape_grad_weight(const cldeform_conv2d *conv, const fused_plan *plan, fused_form *form)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    const cldeform__tuning *tuning = &conv->context->tuning;
    const int64_t outputs = problem->out_channels / problem->groups, plane = conv->sizes.out_plane;
    const size_t budget = local_budget(conv);
    conv2d_fused_shape *shape = &form->shape;
    set_tile(conv, form, outputs);
    shape->block_groups = shape->block_taps = 1;
    form->rows = (int)cldeform__at_most(form->vector, 8); /* divides a vector */
    int64_t best = form->vector;
    for (int64_t block = form->vector; block <= tuning->fused_block; block += form->vector)
        if (block_cost(conv, block) <= block_cost(conv, best))
            best = block;
    int64_t run = cldeform__at_most(tuning->fused_run, plane);
    for (;;) {
        shape->block_channels = (cl_int)cldeform__at_most(best, problem->in_channels);
        set_run(conv, plan, form, run);
        if (cldeform__fused_local_bytes(form) <= budget)
            break;
        const bool small = run <= 64; /* then fewer channels, as long as there are any to leave out */
        if (small && best > form->vector)
            best -= form->vector;
        else if (run > 1)
            run /= 2;
        else
            return too_large(conv, form);
    }
    shape->parts =
        (cl_int)cldeform__at_most(conv->sizes.taps * cldeform__divide_up(problem->in_channels, shape->block_channels),
                                  (int64_t)conv->context->facts.compute_units);
    set_run(conv, plan, form, cldeform__divide_up(plane, cldeform__divide_up(plane, run)));
    return CLDEFORM_OK;
}
