#include "col2im.h"

#include "../geometry.h"
#include "conv2d.h"

#include <stdio.h>
#include <string.h>

enum { SCAN_ITEMS = 64 }; /* of conv2d_col2im.cl */

/* ---- plan ---------------------------------------------------------------------------------------------- */

static int64_t bins_of(const cldeform_conv2d *conv)
{
    return (conv->problem.in_h + 1) * (conv->problem.in_w + 1);
}

static void take(cldeform__col2im *col2im, cldeform__col2im_way way, const char *reason)
{
    col2im->way = way;
    col2im->reason = reason;
}

/* The choice must not depend on batch or workspace: other ways give other bits. *atomic_options: how the kernels are
 * compiled for the atomic way. */
static cldeform_status choose_way(const cldeform_conv2d *conv, cldeform__col2im *col2im, const char **atomic_options)
{
    *atomic_options = "";
    switch (conv->context->tuning.col2im) {
    case COL2IM_SCATTER:
        take(col2im, COL2IM_SCATTER, "tuning");
        break;
    case COL2IM_GATHER:
        take(col2im, COL2IM_GATHER, "tuning");
        break;
    case COL2IM_ATOMIC:
        if (conv->problem.deterministic) {
            take(col2im, COL2IM_GATHER, "deterministic");
            break;
        }
        take(col2im, COL2IM_ATOMIC, "tuning");
        const cldeform_status status = cldeform__atomics_find(conv->context, conv->problem.dtype == CLDEFORM_F64,
                                                              &col2im->atomic_form, atomic_options);
        if (status != CLDEFORM_OK)
            return status;
        if (col2im->atomic_form == CLDEFORM__ATOMIC_NONE)
            take(col2im, COL2IM_GATHER, "the device has no atomic addition in this type");
        break;
    default:
        if ((cl_uint)col2im->blocks >= conv->context->facts.compute_units)
            take(col2im, COL2IM_SCATTER, "a block of channels for every compute unit");
        else
            take(col2im, COL2IM_GATHER, "more compute units than blocks of channels");
        break;
    }
    const size_t loop_limit = conv->context->facts.loop_limit;
    if (col2im->way == COL2IM_GATHER && bins_of(conv) > (loop_limit ? (int64_t)loop_limit * SCAN_ITEMS / 4 : INT32_MAX))
        take(col2im, COL2IM_SCATTER, "the map is too large to sort by its pixels");
    return CLDEFORM_OK;
}

cldeform_status cldeform__col2im_prepare(const cldeform_conv2d *conv, const cldeform__step_form *form,
                                         cldeform__col2im *col2im)
{
    cldeform_status status;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const int vector = conv->context->tuning.col2im_vector;
    cldeform__program *program = NULL;
    const char *atomic_options;
    char options[320];
    memset(col2im, 0, sizeof *col2im);
    cldeform__step_geometry(conv, &col2im->geometry);
    col2im->nhwc = form->nhwc;
    col2im->real_size = cldeform__dtype_size(cldeform__real_dtype(problem->dtype));
    col2im->unit = (int)cldeform__common_divisor(problem->in_channels / problem->groups,
                                                 problem->in_channels / problem->offset_groups);
    col2im->blocks = (int)(problem->in_channels / col2im->unit * cldeform__divide_up(col2im->unit, vector));
    TRY(choose_way(conv, col2im, &atomic_options));

    cldeform__step_options(conv, form, vector, options, sizeof options);
    const size_t length = strlen(options);
    snprintf(options + length, sizeof options - length, "%s%s", *atomic_options ? " " : "", atomic_options);
    TRY(cldeform__program_get(conv->context, "conv2d_col2im", options, &program));
    TRY(cldeform__program_require(program, "conv2d_place", &col2im->place));
    switch (col2im->way) {
    case COL2IM_SCATTER:
        TRY(cldeform__program_require(program, "conv2d_scatter", &col2im->scatter));
        break;
    case COL2IM_GATHER:
        TRY(cldeform__program_require(program, "conv2d_scan", &col2im->scan));
        TRY(cldeform__program_require(program, "conv2d_fill", &col2im->fill));
        TRY(cldeform__program_require(program, "conv2d_sort", &col2im->sort));
        TRY(cldeform__program_require(program, "conv2d_gather", &col2im->gather));
        break;
    case COL2IM_ATOMIC:
        TRY(cldeform__program_require(program, "conv2d_scatter_atomic", &col2im->atomic));
        break;
    }
    TRY(cldeform__transfer_prepare(conv, &col2im->transfer));
done:
    return status;
}

void cldeform__col2im_describe(const cldeform__col2im *col2im, cldeform__text *text)
{
    static const char *const names[] = {"scatter", "gather", "atomic"};
    cldeform__text_add(text, ",\"col2im\":\"%s\",\"col2im_reason\":\"%s\",\"atomic_form\":\"%s\"", names[col2im->way],
                       col2im->reason, cldeform__atomic_name(col2im->atomic_form));
}

bool cldeform__col2im_sizes(const cldeform_conv2d *conv, const cldeform__col2im *col2im, int64_t images, int64_t pixels,
                            size_t parts[COL2IM_PARTS])
{
    const int64_t table[] = {images, conv->problem.offset_groups, pixels, conv->sizes.taps};
    const int64_t all_bins[] = {images, conv->problem.offset_groups, bins_of(conv)};
    const bool gathers = col2im->way == COL2IM_GATHER;
    int64_t sum, samples, bins = 0;
    if (!cldeform__multiply(images, conv->sizes.input, &sum) || !cldeform__product(table, 4, &samples) ||
        (gathers && !cldeform__product(all_bins, 3, &bins)))
        return false;
    return cldeform__bytes(sum, col2im->real_size, &parts[COL2IM_SUM]) &&
           cldeform__bytes(samples, sizeof(cl_int2), &parts[COL2IM_CORNERS]) &&
           cldeform__bytes(samples, 4 * col2im->real_size, &parts[COL2IM_WEIGHTS]) &&
           cldeform__bytes(bins, sizeof(cl_int), &parts[COL2IM_BINS]) &&
           cldeform__bytes(gathers ? samples : 0, sizeof(cl_int), &parts[COL2IM_SAMPLES]);
}

/* ---- launches ------------------------------------------------------------------------------------------ */

cldeform_status cldeform__enqueue_clear(const cldeform_conv2d *conv, const cldeform__col2im *col2im,
                                        cldeform__call *call, int64_t images, const cl_mem parts[COL2IM_PARTS])
{
    return cldeform__enqueue_zeros(&col2im->transfer, call, parts[COL2IM_SUM],
                                   (size_t)images * (size_t)conv->sizes.input * col2im->real_size);
}

static cldeform_status enqueue_place(const cldeform_conv2d *conv, const cldeform__col2im *col2im, cldeform__call *call,
                                     const cldeform__slab *slab, const cldeform__conv2d_operands *operands,
                                     const cl_mem parts[COL2IM_PARTS])
{
    const cl_int first_pixel = (cl_int)slab->first_pixel, pixels = (cl_int)slab->pixels;
    const double samples =
        (double)slab->images * (double)slab->pixels * (double)conv->sizes.taps * (double)conv->problem.offset_groups;
    cldeform__argument_list list = {.n = 0};
    cldeform__where where;
    ADD_ARGUMENT(&list, col2im->geometry);
    ADD_ARGUMENT(&list, first_pixel);
    ADD_ARGUMENT(&list, pixels);
    cldeform__add_where(&list, &where, conv, operands);
    ADD_ARGUMENT(&list, parts[COL2IM_CORNERS]);
    ADD_ARGUMENT(&list, parts[COL2IM_WEIGHTS]);
    ADD_ARGUMENT(&list, parts[COL2IM_BINS]);
    const cldeform__launch launch = {
        .step = "place",
        .kernel = col2im->place,
        .arguments = list.arguments,
        .n_arguments = list.n,
        .items = {(size_t)pixels, (size_t)(conv->sizes.taps * conv->problem.offset_groups), (size_t)slab->images},
        .group = (size_t)call->context->tuning.im2col_group,
        .bytes = samples *
                 (8 + 4 * (double)col2im->real_size + 3 * (double)cldeform__dtype_size(conv->problem.offset_dtype)),
    };
    return cldeform__call_launch(call, &launch);
}

/* Bytes of the columns, of four corners for each of their elements, and of nothing else. */
static double bytes_added(const cldeform_conv2d *conv, const cldeform__col2im *col2im, const cldeform__slab *slab)
{
    return 5 * (double)slab->images * (double)slab->pixels * (double)conv->problem.in_channels *
           (double)conv->sizes.taps * (double)col2im->real_size;
}

static cldeform_status enqueue_scatter(const cldeform_conv2d *conv, const cldeform__col2im *col2im,
                                       cldeform__call *call, const cldeform__slab *slab,
                                       const cldeform__column_view *grad_columns, const cl_mem parts[COL2IM_PARTS])
{
    const bool atomic = col2im->way == COL2IM_ATOMIC;
    const cl_int pixels = (cl_int)slab->pixels, unit = col2im->unit;
    const cl_ulong2 columns_place = {{grad_columns->start, grad_columns->image_stride}};
    const cl_ulong row_stride = grad_columns->row_stride;
    cldeform__argument_list list = {.n = 0};
    ADD_ARGUMENT(&list, col2im->geometry);
    ADD_ARGUMENT(&list, pixels);
    if (!atomic)
        ADD_ARGUMENT(&list, unit);
    ADD_ARGUMENT(&list, grad_columns->buffer);
    ADD_ARGUMENT(&list, columns_place);
    ADD_ARGUMENT(&list, row_stride);
    ADD_ARGUMENT(&list, parts[COL2IM_CORNERS]);
    ADD_ARGUMENT(&list, parts[COL2IM_WEIGHTS]);
    ADD_ARGUMENT(&list, parts[COL2IM_SUM]);
    const size_t elements = (size_t)(conv->problem.in_channels * conv->sizes.taps * slab->pixels);
    const cldeform__launch launch = {
        .step = atomic ? "scatter_atomic" : "scatter",
        .kernel = atomic ? col2im->atomic : col2im->scatter,
        .arguments = list.arguments,
        .n_arguments = list.n,
        .items = {atomic ? elements : (size_t)col2im->blocks, 1, (size_t)slab->images},
        .group = atomic ? (size_t)call->context->tuning.im2col_group : 1, /* one block each: they are few and long */
        .flop = 8 * (double)slab->images * (double)elements,
        .bytes = bytes_added(conv, col2im, slab),
    };
    return cldeform__call_launch(call, &launch);
}

static cldeform_status enqueue_gather(const cldeform_conv2d *conv, const cldeform__col2im *col2im, cldeform__call *call,
                                      const cldeform__slab *slab, const cldeform__column_view *grad_columns,
                                      const cl_mem parts[COL2IM_PARTS])
{
    cldeform_status status;
    const cl_int pixels = (cl_int)slab->pixels, unit = col2im->unit;
    const cl_ulong2 columns_place = {{grad_columns->start, grad_columns->image_stride}};
    const cl_ulong row_stride = grad_columns->row_stride;
    const size_t group = (size_t)call->context->tuning.im2col_group, images = (size_t)slab->images;
    const size_t offset_groups = (size_t)conv->problem.offset_groups;
    const size_t samples = (size_t)(slab->pixels * conv->sizes.taps), bins = (size_t)bins_of(conv);
    const double words = (double)images * (double)offset_groups;

    const cldeform__argument scan[] = {ARGUMENT(col2im->geometry), ARGUMENT(parts[COL2IM_BINS])};
    const cldeform__argument fill[] = {ARGUMENT(col2im->geometry), ARGUMENT(pixels), ARGUMENT(parts[COL2IM_CORNERS]),
                                       ARGUMENT(parts[COL2IM_BINS]), ARGUMENT(parts[COL2IM_SAMPLES])};
    const cldeform__argument sort[] = {ARGUMENT(col2im->geometry), ARGUMENT(pixels), ARGUMENT(parts[COL2IM_BINS]),
                                       ARGUMENT(parts[COL2IM_SAMPLES])};
    const cldeform__argument gather[] = {
        ARGUMENT(col2im->geometry),
        ARGUMENT(pixels),
        ARGUMENT(unit),
        ARGUMENT(grad_columns->buffer),
        ARGUMENT(columns_place),
        ARGUMENT(row_stride),
        ARGUMENT(parts[COL2IM_WEIGHTS]),
        ARGUMENT(parts[COL2IM_BINS]),
        ARGUMENT(parts[COL2IM_SAMPLES]),
        ARGUMENT(parts[COL2IM_SUM]),
    };
#define STEP(name, n, ...)                                                                                             \
    {                                                                                                                  \
        .step = #name, .kernel = col2im->name, .arguments = name, .n_arguments = n, __VA_ARGS__                        \
    }
    const cldeform__launch launches[] = {
        STEP(scan, 2, .items = {SCAN_ITEMS, offset_groups, images}, .group = SCAN_ITEMS,
             .bytes = 12 * words * (double)bins),
        STEP(fill, 5, .items = {samples, offset_groups, images}, .group = group, .bytes = 16 * words * (double)samples),
        STEP(sort, 4, .items = {bins, offset_groups, images}, .group = group, .bytes = 8 * words * (double)samples),
        STEP(gather, 10,
             .items = {(size_t)(conv->problem.in_h * conv->problem.in_w) * (size_t)col2im->blocks, 1, images},
             .group = group, .flop = 8 * (double)slab->images * (double)samples * (double)conv->problem.in_channels,
             .bytes = bytes_added(conv, col2im, slab)),
    };
#undef STEP
    for (size_t i = 0; i < sizeof launches / sizeof launches[0]; i++)
        TRY(cldeform__call_launch(call, &launches[i]));
done:
    return status;
}

/* Pixels whose samples one work-item may go through: all, but for devices that end loops. 80: what a sample takes at
 * most, of corners times channels when they are added one by one, or of comparisons when they are sorted. */
static int64_t most_pixels(const cldeform_conv2d *conv)
{
    const int64_t limit = (int64_t)conv->context->facts.loop_limit, pixels = limit / 80 / conv->sizes.taps;
    return limit == 0 ? INT64_MAX : pixels < 1 ? 1 : pixels;
}

static cldeform_status enqueue_piece(const cldeform_conv2d *conv, const cldeform__col2im *col2im, cldeform__call *call,
                                     const cldeform__slab *slab, const cldeform__conv2d_operands *operands,
                                     const cldeform__column_view *grad_columns, const cl_mem parts[COL2IM_PARTS])
{
    cldeform_status status;
    const bool gathers = col2im->way == COL2IM_GATHER;
    if (gathers)
        TRY(cldeform__enqueue_zeros(&col2im->transfer, call, parts[COL2IM_BINS],
                                    (size_t)slab->images * (size_t)(conv->problem.offset_groups * bins_of(conv)) *
                                        sizeof(cl_int)));
    TRY(enqueue_place(conv, col2im, call, slab, operands, parts));
    TRY((gathers ? enqueue_gather : enqueue_scatter)(conv, col2im, call, slab, grad_columns, parts));
done:
    return status;
}

cldeform_status cldeform__enqueue_col2im(const cldeform_conv2d *conv, const cldeform__col2im *col2im,
                                         cldeform__call *call, const cldeform__slab *slab,
                                         const cldeform__conv2d_operands *operands,
                                         const cldeform__column_view *grad_columns, const cl_mem parts[COL2IM_PARTS])
{
    cldeform_status status = CLDEFORM_OK;
    const int64_t most =
        col2im->way == COL2IM_ATOMIC ? slab->pixels : cldeform__at_most(most_pixels(conv), slab->pixels);
    for (int64_t pixel = 0; pixel < slab->pixels; pixel += most) {
        const cldeform__slab piece = {slab->images, slab->first_pixel + pixel,
                                      cldeform__at_most(most, slab->pixels - pixel)};
        cldeform__column_view columns = *grad_columns;
        columns.start += (size_t)pixel * (col2im->nhwc ? columns.row_stride : 1);
        TRY(enqueue_piece(conv, col2im, call, &piece, operands, &columns, parts));
    }
done:
    return status;
}

cldeform_status cldeform__enqueue_store_grad_input(const cldeform_conv2d *conv, const cldeform__col2im *col2im,
                                                   cldeform__call *call, int64_t images,
                                                   const cldeform__conv2d_gradients *gradients,
                                                   const cl_mem parts[COL2IM_PARTS])
{
    return cldeform__enqueue_store_input(conv, &col2im->transfer, call, images, gradients, parts[COL2IM_SUM]);
}
