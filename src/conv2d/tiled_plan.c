/* Algorithm tiled: what an object prepares, and its workspace. */
#include "tiled.h"

#include "../geometry.h"
#include "steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cldeform_passes from_grad_columns = CLDEFORM_GRAD_INPUT | CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK;
static const cldeform_passes from_dots = CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK;

const char *cldeform__tiled_refuses(const cldeform_context *context, const cldeform_conv2d_problem *problem,
                                    const cldeform__conv2d_sizes *sizes)
{
    int64_t plane;
    (void)context;
    if (problem->deterministic && (problem->passes & CLDEFORM_GRAD_INPUT))
        return "tiled adds to the input's gradient in any order, and deterministic is set";
    if (!cldeform__multiply(problem->in_h, problem->in_w, &plane) || plane > INT32_MAX ||
        sizes->out_plane > INT32_MAX / 2)
        return "tiled needs planes of fewer than 2^31 pixels, and output planes of at most 2^30";
    if (sizes->weight > INT32_MAX / 2)
        return "tiled needs a weight of at most 2^30 elements";
    return NULL;
}

/* ---- kernels ------------------------------------------------------------------------------------------- */

/* A work-item's iterations of loops, which some devices end: none of them is unrolled there. */
static bool loops_end(const cldeform_conv2d *conv, const tiled_form *form, int64_t blocks)
{
    const int64_t limit = (int64_t)conv->context->facts.loop_limit;
    const int64_t rows = form->item_rows / 4, columns = form->item_columns / 4;
    const int64_t items = (int64_t)cldeform__tiled_items(form);
    const int64_t of_block = (int64_t)form->depth * (1 + columns + rows * (1 + columns)) +
                             (int64_t)form->terms * (form->columns + form->rows) / items + 16;
    const int64_t end =
        8 * (int64_t)form->rows * form->columns / items + 64 * (int64_t)form->columns; /* corners, sums */
    return limit > 0 && blocks * of_block + end > limit;
}

static cldeform_status get_program(const cldeform_conv2d *conv, const tiled_plan *plan, const tiled_form *form,
                                   const char *family, const char *more, cldeform__program **program)
{
    char options[sizeof plan->options + 320];
    snprintf(options, sizeof options,
             "%s -DTILE_ROWS=%d -DTILE_COLUMNS=%d -DITEM_ROWS=%d -DITEM_COLUMNS=%d -DTILE_DEPTH=%d -DGROUPED=%d "
             "-DTILE_TERMS=%d -DTILE_TABLE=%d%s",
             plan->options, form->rows, form->columns, form->item_rows, form->item_columns, form->depth, form->grouped,
             form->terms, form->table, more);
    return cldeform__program_get(conv->context, family, options, program);
}

static cldeform_status get_pack_program(const cldeform_conv2d *conv, const tiled_form *form,
                                        cldeform__program **program)
{
    char options[64];
    snprintf(options, sizeof options, "-DDATA_BITS=%d -DTILE_ROWS=%d -DGROUPED=%d", cldeform__bits(conv->problem.dtype),
             form->rows, form->grouped);
    return cldeform__program_get(conv->context, "conv2d_tiled_pack", options, program);
}

/* A kernel, and options of its own. */
typedef struct tiled_kernel {
    tiled_form *form;
    tiled_shape_function *shape;
    const char *name, *more;
} tiled_kernel;

/* Blocks of terms that a work-group goes through. */
static int64_t blocks_of(const cldeform_conv2d *conv, const tiled_plan *plan, const tiled_form *form)
{
    if (form == &plan->grad)
        return form->shape.blocks;
    if (form == &plan->grad_weight)
        return form->shape.split_pixels / form->depth;
    const int64_t runs = conv->problem.in_channels / conv->problem.groups / form->shape.run;
    return cldeform__divide_up(runs * form->shape.blocks, form->shape.splits) * conv->sizes.taps;
}

/* Smaller and smaller tiles until the compiled kernel runs in work-groups of their size. */
static cldeform_status get_kernel(const cldeform_conv2d *conv, const tiled_plan *plan, const tiled_kernel *wanted,
                                  cldeform__program **program)
{
    cldeform_status status;
    tiled_form *form = wanted->form;
    const cldeform__facts *facts = &conv->context->facts;
    size_t most_items = facts->max_group < facts->max_items[0] ? facts->max_group : facts->max_items[0];
    for (;;) {
        TRY(wanted->shape(conv, plan, most_items, form));
        if (loops_end(conv, form, blocks_of(conv, plan, form))) {
            status = cldeform__fail(CLDEFORM_UNSUPPORTED,
                                    "%s ends loops after %zu iterations; algorithm tiled needs more for this problem",
                                    conv->context->facts.name, conv->context->facts.loop_limit);
            goto done;
        }
        TRY(get_program(conv, plan, form, wanted->name, wanted->more, program));
        TRY(cldeform__program_require(*program, wanted->name, &form->kernel));
        if (form->kernel->max_group >= cldeform__tiled_items(form))
            break;
        most_items = form->kernel->max_group;
    }
    /* what is launched in the second and third dimension */
    const int64_t wide = form == &plan->forward ? (int64_t)form->shape.tiles * form->shape.splits
                         : form == &plan->grad  ? form->shape.tiles * conv->sizes.taps
                                                : form->row_tiles;
    if (wide > CLDEFORM__MOST_GROUPS || form->shape.splits > CLDEFORM__MOST_GROUPS)
        status = cldeform__fail(CLDEFORM_UNSUPPORTED, "algorithm tiled needs more than %d tiles for this problem",
                                CLDEFORM__MOST_GROUPS);
done:
    return status;
}

static cldeform_status prepare_forward(const cldeform_conv2d *conv, tiled_plan *plan)
{
    cldeform_status status;
    cldeform__program *program = NULL;
    const tiled_kernel wanted = {&plan->forward, cldeform__tiled_shape_forward, "conv2d_tiled", ""};
    TRY(get_kernel(conv, plan, &wanted, &program));
    if (plan->forward.shape.splits > 1)
        TRY(cldeform__program_require(program, "conv2d_tiled_add", &plan->add));
    TRY(get_pack_program(conv, &plan->forward, &program));
    TRY(cldeform__program_require(program, "conv2d_tiled_pack_outputs", &plan->pack_outputs));
done:
    return status;
}

/* How sums are added to; none where the input's gradient is not wanted. */
static cldeform_status find_atomics(const cldeform_conv2d *conv, tiled_plan *plan)
{
    cldeform__atomic_form form = CLDEFORM__ATOMIC_NONE;
    plan->atomic_options = "";
    if (!(conv->problem.passes & CLDEFORM_GRAD_INPUT))
        return CLDEFORM_OK;
    const cldeform_status status =
        cldeform__atomics_find(conv->context, conv->problem.dtype == CLDEFORM_F64, &form, &plan->atomic_options);
    if (status == CLDEFORM_OK && form == CLDEFORM__ATOMIC_NONE)
        return cldeform__fail(CLDEFORM_UNSUPPORTED,
                              "algorithm tiled needs atomic addition, which %s lacks in this type",
                              conv->context->facts.name);
    return status;
}

static cldeform_status prepare_backward(const cldeform_conv2d *conv, tiled_plan *plan)
{
    cldeform_status status = CLDEFORM_OK;
    const cldeform_passes passes = conv->problem.passes;
    cldeform__program *program = NULL;
    char more[128];
    if (passes & from_grad_columns) {
        TRY(find_atomics(conv, plan));
        snprintf(more, sizeof more, "%s%s%s",
                 conv->problem.offset_gradient == CLDEFORM_OFFSET_GRADIENT_OPEN ? " -DSAMPLE_OPEN=1" : "",
                 *plan->atomic_options ? " " : "", plan->atomic_options);
        const tiled_kernel wanted = {&plan->grad, cldeform__tiled_shape_grad, "conv2d_tiled_grad", more};
        TRY(get_kernel(conv, plan, &wanted, &program));
        if (passes & from_dots)
            TRY(cldeform__program_require(program, "conv2d_tiled_finish", &plan->finish));
        TRY(get_pack_program(conv, &plan->grad, &program));
        TRY(cldeform__program_require(program, "conv2d_tiled_pack_channels", &plan->pack_channels));
    }
    if (passes & CLDEFORM_GRAD_WEIGHT) {
        const tiled_kernel wanted = {&plan->grad_weight, cldeform__tiled_shape_grad_weight, "conv2d_tiled_grad_weight",
                                     ""};
        TRY(get_kernel(conv, plan, &wanted, &program));
        TRY(cldeform__program_require(program, "conv2d_tiled_add_parts", &plan->add_parts));
    }
    TRY(cldeform__parameters_prepare(conv, &plan->parameters));
done:
    return status;
}

static cldeform_status prepare(const cldeform_conv2d *conv, tiled_plan *plan)
{
    cldeform_status status = CLDEFORM_OK;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const int64_t run = cldeform__tiled_run(problem);
    const cldeform__step_form form = {.nhwc = problem->layout == CLDEFORM_NHWC,
                                      .columns = cldeform__real_dtype(problem->dtype)};
    plan->real_size = cldeform__dtype_size(form.columns);
    plan->vector = run % 4 == 0 ? 4 : run % 2 == 0 ? 2 : 1;
    plan->packs_input = !form.nhwc;
    cldeform__step_geometry(conv, &plan->geometry);
    cldeform__step_options(conv, &form, plan->vector, plan->options, sizeof plan->options);
    const size_t length = strlen(plan->options);
    snprintf(plan->options + length, sizeof plan->options - length, " -DALIGNED=%d", plan->packs_input);
    if (plan->packs_input || problem->passes & CLDEFORM_BACKWARD)
        TRY(cldeform__transfer_prepare(conv, &plan->transfer));
    if (problem->passes & (CLDEFORM_FORWARD | CLDEFORM_PACK_WEIGHT))
        TRY(prepare_forward(conv, plan));
    if (problem->passes & CLDEFORM_BACKWARD)
        TRY(prepare_backward(conv, plan));
done:
    return status;
}

cldeform_status cldeform__tiled_make_plan(cldeform_conv2d *conv)
{
    cldeform_status status;
    size_t minimum = 0, preferred = 0;
    tiled_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return cldeform__fail(CLDEFORM_OUT_OF_MEMORY, "no memory for the plan of tiled");
    conv->plan = plan;
    TRY(prepare(conv, plan));
    cldeform__tiled_workspace(conv, conv->problem.passes, &minimum, &preferred);
    status = cldeform__conv2d_check_limit(conv, minimum);
done:
    return status;
}

/* ---- workspace ----------------------------------------------------------------------------------------- */

bool cldeform__tiled_size_forward(const cldeform_conv2d *conv, const tiled_plan *plan, int64_t images,
                                  size_t parts[TILED_FORWARD_PARTS])
{
    const int64_t splits = plan->forward.shape.splits;
    const int64_t outputs[] = {images, conv->sizes.output, splits > 1 ? splits : 0};
    int64_t n_input, n_outputs;
    parts[TILED_INPUT] = 0;
    return cldeform__bytes(plan->forward.packed, plan->real_size, &parts[TILED_WEIGHT]) &&
           cldeform__multiply(images, plan->packs_input ? conv->sizes.input : 0, &n_input) &&
           cldeform__bytes(n_input, cldeform__dtype_size(conv->problem.dtype), &parts[TILED_INPUT]) &&
           cldeform__product(outputs, 3, &n_outputs) &&
           cldeform__bytes(n_outputs, plan->real_size, &parts[TILED_PARTS]);
}

bool cldeform__tiled_size_backward(const cldeform_conv2d *conv, const tiled_plan *plan, cldeform_passes passes,
                                   int64_t images, size_t parts[TILED_BACKWARD_PARTS])
{
    const bool reads_input = (passes & (from_dots | CLDEFORM_GRAD_WEIGHT)) != 0;
    const int64_t dots[] = {images, plan->grad.shape.tiles, conv->sizes.taps, conv->sizes.out_plane, 4};
    const size_t real = plan->real_size;
    int64_t n_input, n_dots, n_parts;
    for (int i = 0; i < TILED_BACKWARD_PARTS; i++)
        parts[i] = 0;
    if (!cldeform__product(dots, 5, &n_dots) || !cldeform__multiply(images, conv->sizes.input, &n_input) ||
        !cldeform__multiply(conv->sizes.weight, plan->grad_weight.shape.splits, &n_parts))
        return false;
    if ((passes & from_grad_columns) && !cldeform__bytes(plan->grad.packed, real, &parts[TILED_BACK_WEIGHT]))
        return false;
    if (reads_input && plan->packs_input &&
        !cldeform__bytes(n_input, cldeform__dtype_size(conv->problem.dtype), &parts[TILED_BACK_INPUT]))
        return false;
    if ((passes & CLDEFORM_GRAD_INPUT) && !cldeform__bytes(n_input, real, &parts[TILED_BACK_SUM]))
        return false;
    if ((passes & from_dots) && !cldeform__bytes(n_dots, real, &parts[TILED_BACK_DOTS]))
        return false;
    if ((passes & CLDEFORM_GRAD_WEIGHT) && (!cldeform__bytes(n_parts, real, &parts[TILED_BACK_PARTS]) ||
                                            !cldeform__bytes(conv->sizes.weight, real, &parts[TILED_BACK_TOTAL])))
        return false;
    parts[TILED_BACK_REST] = parts[TILED_BACK_TOTAL];
    return !(passes & CLDEFORM_GRAD_BIAS) || cldeform__bias_sizes(conv, 1, &parts[TILED_BACK_BIAS]);
}

/* Workspace of FORWARD, or of gradients, for chunks of so many images; SIZE_MAX where it overflows. */
static size_t chunk_bytes(const cldeform_conv2d *conv, const tiled_plan *plan, cldeform_passes passes, int64_t images)
{
    size_t parts[(int)TILED_FORWARD_PARTS + (int)TILED_BACKWARD_PARTS]; /* room for either's */
    size_t bytes = SIZE_MAX;
    const bool is_forward = passes == CLDEFORM_FORWARD;
    if (!(is_forward ? cldeform__tiled_size_forward(conv, plan, images, parts)
                     : cldeform__tiled_size_backward(conv, plan, passes, images, parts)) ||
        !cldeform__workspace_bytes(conv->context, parts, is_forward ? TILED_FORWARD_PARTS : TILED_BACKWARD_PARTS,
                                   &bytes))
        return SIZE_MAX;
    return bytes;
}

/* Whether a chunk of so many images does. */
typedef struct room {
    const cldeform_conv2d *conv;
    const tiled_plan *plan;
    cldeform_passes passes;
    size_t bytes;
} room;
static bool chunk_fits(const void *of, int64_t images)
{
    const room *in = of;
    return chunk_bytes(in->conv, in->plan, in->passes, images) <= in->bytes;
}

int64_t cldeform__tiled_chunk(const cldeform_conv2d *conv, const tiled_plan *plan, cldeform_passes passes,
                              int64_t batch, size_t bytes)
{
    const int64_t most =
        passes == CLDEFORM_FORWARD ? batch : cldeform__at_most(batch, cldeform__tiled_images(conv, plan));
    return cldeform__most_that_fits(cldeform__at_most(most, CLDEFORM__MOST_GROUPS), chunk_fits,
                                    &(room){conv, plan, passes, bytes});
}

void cldeform__tiled_workspace(const cldeform_conv2d *conv, cldeform_passes passes, size_t *minimum, size_t *preferred)
{
    const tiled_plan *plan = conv->plan;
    const cldeform_passes each[] = {passes & CLDEFORM_FORWARD, passes & CLDEFORM_BACKWARD};
    *minimum = *preferred = 0;
    for (int i = 0; i < 2; i++) {
        if (!each[i])
            continue;
        const int64_t images = cldeform__tiled_chunk(conv, plan, each[i], conv->problem.batch, conv->workspace_limit);
        const size_t least = chunk_bytes(conv, plan, each[i], 1), most = chunk_bytes(conv, plan, each[i], images);
        *minimum = least > *minimum ? least : *minimum;
        *preferred = most > *preferred ? most : *preferred;
    }
}
