/* Algorithm tiled: tiles that fit a problem and a device. */
#include "tiled.h"

#include "../geometry.h"

enum {
    VECTOR = 4,       /* of a work-item's rows and columns */
    LEAST_ITEMS = 64, /* of a group, where the tile has room for them: those of one instruction of every GPU */
    LEAST = 16,       /* rows and columns of the smallest tile */
    PIXELS = 64,      /* whose positions are in local memory, for the gradient of the weight */
};

int64_t cldeform__tiled_run(const cldeform_conv2d_problem *problem)
{
    return cldeform__common_divisor(problem->in_channels / problem->groups,
                                    problem->in_channels / problem->offset_groups);
}

size_t cldeform__tiled_items(const tiled_form *form)
{
    return (size_t)(form->rows / form->item_rows) * (size_t)(form->columns / form->item_columns);
}

size_t cldeform__tiled_local_bytes(const tiled_plan *plan, const tiled_form *form)
{
    const size_t real = plan->real_size, position = sizeof(cl_int4) + 5 * real;
    const size_t rows = (size_t)form->rows, columns = (size_t)form->columns;
    const size_t blocks = ((size_t)form->depth * rows + (size_t)form->terms * (columns + VECTOR)) * real;
    if (form == &plan->forward)
        return blocks + (size_t)form->table * columns * position;
    if (form == &plan->grad_weight)
        return blocks + (size_t)form->depth * VECTOR * real + (size_t)form->table * position;
    const size_t pixels = columns * (rows + VECTOR) * real; /* in the place of the blocks */
    return (blocks > pixels ? blocks : pixels) + cldeform__tiled_items(form) * 4 * real + columns * position;
}

static cl_int divide_up(int64_t a, int64_t b)
{
    return (cl_int)cldeform__divide_up(a, b);
}

/* Rows of a tile for sections of so many numbers: as many as the tuning wants, unless smaller tiles leave less of them
 * empty. */
static int choose_rows(const cldeform_conv2d *conv, int64_t section)
{
    int rows = conv->context->tuning.tiled_rows;
    while (rows > LEAST &&
           cldeform__divide_up(section, rows / 2) * (rows / 2) * 8 < cldeform__divide_up(section, rows) * rows * 7)
        rows /= 2;
    return rows;
}

/* Doubles take twice the registers and local memory: half the columns, and the smallest parts of a tile. */
static void set_item(const cldeform_conv2d *conv, tiled_form *form)
{
    const cldeform__tuning *tuning = &conv->context->tuning;
    const bool wide = conv->problem.dtype == CLDEFORM_F64;
    form->item_rows = wide ? VECTOR : tuning->tiled_item_rows;
    form->item_columns = wide ? VECTOR : tuning->tiled_item_columns;
    form->columns = wide && tuning->tiled_columns > LEAST ? tuning->tiled_columns / 2 : tuning->tiled_columns;
    form->depth = form->terms = tuning->tiled_depth;
    form->grouped = false;
}

/* Whether groups with so many terms may share a tile: all of a group's channels have offsets in common, and its terms
 * are in local memory together. */
static bool can_share(const cldeform_conv2d *conv, const tiled_form *form, int64_t terms)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    return cldeform__tiled_run(problem) == problem->in_channels / problem->groups && terms <= form->depth;
}

/* Small groups share a tile: those of sections of so many rows with so many terms each. */
static void set_slots(const cldeform_conv2d *conv, tiled_form *form, int64_t section, int64_t terms)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    const int64_t channels = problem->in_channels / problem->groups,
                  slot_rows = cldeform__divide_up(section, VECTOR) * VECTOR;
    form->shape.slots = 1;
    form->shape.slot_rows = form->rows;
    if (!can_share(conv, form, terms))
        return;
    int64_t slots =
        cldeform__at_most(cldeform__at_most(form->rows / slot_rows, 2 * (int64_t)form->depth / terms), problem->groups);
    /* groups of a tile have offsets in common */
    while (slots > 1 && problem->offset_groups > 1 &&
           problem->in_channels / problem->offset_groups % (slots * channels))
        slots--;
    if (slots < 2)
        return;
    form->grouped = true;
    form->terms = 2 * form->depth;
    form->shape.slots = (cl_int)slots;
    form->shape.slot_rows = (cl_int)slot_rows;
    form->shape.depth = (cl_int)terms;
    form->shape.blocks = 1;
    while (form->rows > LEAST && form->rows / 2 >= slots * slot_rows)
        form->rows /= 2;
}

/* The next smaller tile; false where there is none. */
static bool shrink(tiled_form *form, bool local)
{
    if (local && form->table > 1 && form->table < PIXELS)
        form->table = 1;
    else if (form->columns > LEAST && (form->columns >= form->rows || form->rows == LEAST))
        form->columns /= 2;
    else if (form->rows > LEAST)
        form->rows /= 2;
    else if (local && form->depth > VECTOR)
        form->depth /= 2;
    else if (!local && form->item_rows == VECTOR && form->item_columns == VECTOR)
        form->item_columns *= 2; /* fewer work-items of more each */
    else if (!local && form->item_rows == VECTOR)
        form->item_rows *= 2;
    else
        return false;
    return true;
}

/* Smaller tiles until the device takes one. */
static cldeform_status fit(const cldeform_conv2d *conv, const tiled_plan *plan, size_t most_items, tiled_form *form,
                           int64_t section, int64_t terms, bool shares)
{
    const cldeform__facts *facts = &conv->context->facts;
    /* so that two groups are resident where there are 64 KiB */
    const size_t budget = facts->local_memory < 32768 ? (size_t)facts->local_memory : 32768;
    for (;;) {
        form->shape.depth = form->depth;
        form->shape.blocks = divide_up(terms, form->depth);
        form->terms = form->depth;
        form->grouped = false;
        form->shape.slots = 1;
        form->shape.slot_rows = form->rows;
        if (shares)
            set_slots(conv, form, section, terms);
        const bool local = cldeform__tiled_local_bytes(plan, form) > budget;
        const size_t items = cldeform__tiled_items(form);
        /* the gradient's kernel gives every vector of a pixel's channels a work-item */
        const bool enough = form != &plan->grad || items * (size_t)plan->vector >= (size_t)form->rows;
        const bool good = enough && items >= LEAST_ITEMS;
        if (!local && !good && 2 * items <= most_items && form->item_rows + form->item_columns > 2 * VECTOR) {
            /* more work-items of less each */
            *(form->item_columns > VECTOR ? &form->item_columns : &form->item_rows) = VECTOR;
            continue;
        }
        if (!local && enough && items <= most_items)
            return CLDEFORM_OK;
        if ((!local && !enough) || !shrink(form, local))
            return cldeform__fail(CLDEFORM_UNSUPPORTED,
                                  "algorithm tiled needs work-groups of %zu with %zu bytes of local memory; %s has %zu "
                                  "and %llu",
                                  cldeform__tiled_items(form), cldeform__tiled_local_bytes(plan, form), facts->name,
                                  most_items, (unsigned long long)facts->local_memory);
    }
}

/* Tiles over sections (groups, or runs of channels) of so many numbers. */
static void count_tiles(tiled_form *form, int64_t section, int64_t sections)
{
    form->shape.section_tiles = form->grouped ? 1 : divide_up(section, form->rows);
    form->shape.tiles =
        form->grouped ? divide_up(sections, form->shape.slots) : (cl_int)(sections * form->shape.section_tiles);
}

/* Work-groups that would fill the device: tiled_groups of usual size for each compute unit, more of small ones. */
static int64_t wanted_groups(const cldeform_conv2d *conv, const tiled_form *form)
{
    const int64_t usual = 128, items = (int64_t)cldeform__tiled_items(form);
    return (int64_t)conv->context->facts.compute_units * conv->context->tuning.tiled_groups *
           (items < usual ? usual / items : 1);
}

int64_t cldeform__tiled_images(const cldeform_conv2d *conv, const tiled_plan *plan)
{
    const tiled_form *form = &plan->grad;
    const int64_t turns = 4;
    return form->kernel ? cldeform__divide_up(turns * wanted_groups(conv, form),
                                              form->column_tiles * form->shape.tiles * conv->sizes.taps)
                        : 1;
}

static cldeform_status too_many(void)
{
    return cldeform__fail(CLDEFORM_LIMIT, "the number of tiles of algorithm tiled overflows");
}

cldeform_status cldeform__tiled_shape_forward(const cldeform_conv2d *conv, const tiled_plan *plan, size_t most_items,
                                              tiled_form *form)
{
    cldeform_status status;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const int64_t outputs = problem->out_channels / problem->groups, channels = problem->in_channels / problem->groups;
    const int64_t run = cldeform__tiled_run(problem);
    set_item(conv, form);
    form->rows = choose_rows(conv, can_share(conv, form, run) ? outputs * problem->groups : outputs);
    form->table = conv->context->tuning.tiled_table;
    form->shape.run = (cl_int)run;
    TRY(fit(conv, plan, most_items, form, outputs, run, true));
    count_tiles(form, outputs, problem->groups);
    form->column_tiles = cldeform__divide_up(conv->sizes.out_plane, form->columns);

    /* A tile's channels are shared out where there are too few tiles, as long as each part is a few blocks. The batch
     * must not show in deterministic results. */
    const int64_t tiles = form->column_tiles * form->shape.tiles * (problem->deterministic ? 1 : problem->batch);
    const int64_t blocks = channels / run * form->shape.blocks;
    int64_t splits = wanted_groups(conv, form) / (tiles < 1 ? 1 : tiles);
    splits = cldeform__at_most(splits, blocks * conv->sizes.taps / 16);
    splits = cldeform__at_most(cldeform__at_most(splits, blocks), conv->context->tuning.tiled_splits);
    form->shape.splits = (cl_int)(splits < 1 ? 1 : splits);

    const int64_t packed[] = {form->shape.tiles, channels / run,    form->shape.blocks,
                              conv->sizes.taps,  form->shape.depth, form->rows};
    if (!cldeform__product(packed, 6, &form->packed))
        status = too_many();
done:
    return status;
}

cldeform_status cldeform__tiled_shape_grad(const cldeform_conv2d *conv, const tiled_plan *plan, size_t most_items,
                                           tiled_form *form)
{
    cldeform_status status;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const int64_t outputs = problem->out_channels / problem->groups, run = cldeform__tiled_run(problem);
    set_item(conv, form);
    form->rows = choose_rows(conv, can_share(conv, form, outputs) ? problem->in_channels : run);
    form->table = 1;
    form->shape.run = (cl_int)run;
    form->shape.splits = 1;
    TRY(fit(conv, plan, most_items, form, run, outputs, true));
    count_tiles(form, run, problem->in_channels / run);
    form->column_tiles = cldeform__divide_up(conv->sizes.out_plane, form->columns);
    const int64_t packed[] = {form->shape.tiles, conv->sizes.taps, form->shape.blocks, form->shape.depth, form->rows};
    if (!cldeform__product(packed, 5, &form->packed))
        status = too_many();
done:
    return status;
}

cldeform_status cldeform__tiled_shape_grad_weight(const cldeform_conv2d *conv, const tiled_plan *plan,
                                                  size_t most_items, tiled_form *form)
{
    enum { MOST_PIXELS = 1 << 15 }; /* of a split: 64 runs of the kernel's */
    cldeform_status status;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const int64_t outputs = problem->out_channels / problem->groups, run = cldeform__tiled_run(problem);
    const int64_t plane = conv->sizes.out_plane;
    set_item(conv, form);
    form->rows = choose_rows(conv, outputs);
    form->columns = choose_rows(conv, run) < form->columns ? choose_rows(conv, run) : form->columns;
    form->table = PIXELS;
    form->item_columns = VECTOR; /* its sums are there twice */
    form->shape.run = (cl_int)run;
    TRY(fit(conv, plan, most_items, form, outputs, plane, false));
    form->row_tiles = cldeform__divide_up(outputs, form->rows);
    form->shape.section_tiles = divide_up(run, form->columns);
    form->column_tiles = problem->in_channels / run * form->shape.section_tiles;
    form->shape.tiles = 0;

    const int64_t tiles = form->row_tiles * form->column_tiles * conv->sizes.taps;
    const int64_t least = cldeform__divide_up(plane, MOST_PIXELS);
    int64_t splits = cldeform__at_most(wanted_groups(conv, form) / tiles, plane / PIXELS / 2);
    splits = splits < least ? least : splits;
    form->shape.split_pixels = divide_up(cldeform__divide_up(plane, splits), PIXELS) * PIXELS;
    form->shape.splits = divide_up(plane, form->shape.split_pixels);
done:
    return status;
}
