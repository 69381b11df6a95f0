#include "steps.h"
#include "conv2d.h"
#include "transfer.h"

#include "../geometry.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { GROUP_PIXELS = 32 }; /* TILE of conv2d_im2col.cl */

static_assert(sizeof(conv2d_geometry) == 20 * sizeof(cl_int), "the struct is the kernels' own, ints without padding");

/* ---- kernels ------------------------------------------------------------------------------------------- */

void cldeform__step_geometry(const cldeform_conv2d *conv, conv2d_geometry *geometry)
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

bool cldeform__uses_long_index(const cldeform_conv2d *conv)
{
    return conv->context->tuning.long_index || cldeform__needs_long_index(conv->sizes.input) ||
           cldeform__needs_long_index(conv->sizes.offset) || cldeform__needs_long_index(conv->sizes.output);
}

/* What does not matter to the kernels of a problem has one value, so that problems share them. */
void cldeform__step_options(const cldeform_conv2d *conv, const cldeform__step_form *form, int vector, char *options,
                            size_t size)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    const bool offset = cldeform__conv2d_has_offset(problem);
    snprintf(options, size,
             "-DDATA_BITS=%d -DOFFSET_BITS=%d -DCOLUMN_BITS=%d -DINDEX_BITS=%d -DKIND=%d -DNHWC=%d -DBORDER_EDGE=%d "
             "-DMASK_SIGMOID=%d -DVECTOR=%d",
             cldeform__bits(problem->dtype), cldeform__bits(offset ? problem->offset_dtype : problem->dtype),
             cldeform__bits(form->columns), cldeform__uses_long_index(conv) ? 64 : 32, (int)problem->kind, form->nhwc,
             offset && problem->border == CLDEFORM_BORDER_EDGE,
             cldeform__conv2d_has_mask(problem) ? (int)problem->mask_activation : 0, vector);
}

double cldeform__product_flop(const cldeform_conv2d *conv)
{
    return 2 * (double)conv->sizes.output * (double)conv->sizes.weight / (double)conv->problem.out_channels;
}

double cldeform__tensor_bytes(const cldeform_conv2d *conv, size_t element)
{
    return (double)(conv->sizes.input + conv->sizes.output) * (double)element +
           (double)(conv->sizes.offset + conv->sizes.mask) * (double)cldeform__dtype_size(conv->problem.offset_dtype);
}

bool cldeform__wants_nhwc(const cldeform_conv2d *conv)
{
    return conv->context->tuning.im2col_lanes > 1;
}

/* Lanes of im2col, a power of two, and channels of a vector, so that few lanes are idle, no vector is cut, and what a
 * work-group keeps is a small part of the local memory. */
static int choose_lanes(const cldeform_conv2d *conv, const cldeform__step_form *form, int *vector)
{
    enum { TILE_BYTES = (GROUP_PIXELS + 1) * (int)sizeof(cl_double) }; /* of a channel of conv2d_im2col.cl's tile */
    const cldeform_conv2d_problem *problem = &conv->problem;
    const int64_t channels = problem->in_channels / problem->offset_groups;
    const int64_t group_channels = problem->in_channels / problem->groups;
    const int64_t most = (int64_t)(conv->context->facts.local_memory / 3 / TILE_BYTES);
    int64_t lanes = 2, width = conv->context->tuning.channel_vector;
    if (!form->nhwc || conv->context->tuning.im2col_lanes == 1 || most < 8) {
        *vector = (int)width;
        return 1;
    }
    while (channels % width != 0 || group_channels % width != 0 || width * lanes > most)
        width /= 2;
    while (lanes * 2 <= conv->context->tuning.im2col_lanes && lanes * width < channels && lanes * 2 * width <= most)
        lanes *= 2;
    *vector = (int)width;
    return (int)lanes; /* 2 at least: one alone is the other kernel */
}

cldeform_status cldeform__steps_prepare(const cldeform_conv2d *conv, const cldeform__step_form *form,
                                        cldeform__steps *steps)
{
    cldeform_status status = CLDEFORM_OK;
    cldeform_context *context = conv->context;
    cldeform__program *program = NULL;
    cldeform__step_geometry(conv, &steps->geometry);
    steps->form = *form;
    if (form->im2col) {
        int vector;
        steps->lanes = choose_lanes(conv, form, &vector);
        cldeform__step_options(conv, form, form->nhwc ? vector : 1, steps->options, sizeof steps->options);
        const size_t length = strlen(steps->options);
        snprintf(steps->options + length, sizeof steps->options - length, " -DPLANAR=%d -DLANES=%d -DTILED=%d",
                 form->planar, steps->lanes, cldeform__turns_tiles(conv));
        TRY(cldeform__program_get(context, "conv2d_im2col", steps->options, &program));
        TRY(cldeform__program_require(program, "conv2d_im2col", &steps->im2col));
        TRY(cldeform__program_require(program, "conv2d_pack_weight", &steps->pack_weight));
        TRY(cldeform__program_require(program, "conv2d_store", &steps->store));
    }
    if (form->col2offset) {
        char options[sizeof steps->options];
        cldeform__step_options(conv, form, form->nhwc ? context->tuning.channel_vector : 1, options, sizeof options);
        const size_t length = strlen(options);
        snprintf(options + length, sizeof options - length, " -DSAMPLE_OPEN=%d",
                 conv->problem.offset_gradient == CLDEFORM_OFFSET_GRADIENT_OPEN);
        if (!form->im2col)
            memcpy(steps->options, options, sizeof options); /* for who describes the steps */
        TRY(cldeform__program_get(context, "conv2d_col2offset", options, &program));
        TRY(cldeform__program_require(program, "conv2d_col2offset", &steps->col2offset));
    }
done:
    return status;
}

/* ---- launches ------------------------------------------------------------------------------------------ */

cl_float cldeform__limit_float(double limit)
{
    const float nearest = (float)limit;
    return (double)nearest > limit ? nextafterf(nearest, 0) : nearest;
}

void cldeform__add_where(cldeform__argument_list *list, cldeform__where *where, const cldeform_conv2d *conv,
                         const cldeform__conv2d_operands *operands)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    if (cldeform__conv2d_has_offset(problem)) {
        where->offset_place = cldeform__place_of(&operands->offset);
        where->limit = problem->offset_limit > 0 ? problem->offset_limit : INFINITY;
        where->limit_float = cldeform__limit_float(where->limit);
        ADD_ARGUMENT(list, operands->offset.buffer);
        ADD_ARGUMENT(list, where->offset_place);
        if (problem->dtype == CLDEFORM_F64)
            ADD_ARGUMENT(list, where->limit);
        else
            ADD_ARGUMENT(list, where->limit_float);
    }
    if (cldeform__conv2d_has_mask(problem)) {
        where->mask_place = cldeform__place_of(&operands->mask);
        ADD_ARGUMENT(list, operands->mask.buffer);
        ADD_ARGUMENT(list, where->mask_place);
    }
}

static double columns_of(const cldeform_conv2d *conv, const cldeform__slab *slab)
{
    return (double)slab->images * (double)slab->pixels * (double)conv->problem.in_channels * (double)conv->sizes.taps;
}

/* Bytes of offset, mask and input that a pass over the slab's samples reads. */
static double bytes_read(const cldeform_conv2d *conv, const cldeform__slab *slab)
{
    return (double)slab->images *
           ((double)slab->pixels * (double)(conv->sizes.offset_planes + conv->sizes.mask_planes) *
                (double)cldeform__dtype_size(conv->problem.offset_dtype) +
            (double)conv->sizes.input * (double)cldeform__dtype_size(conv->problem.dtype));
}

/* What the arguments of a launch on columns point to. */
typedef struct step_values {
    cl_int first_pixel, pixels;
    cl_ulong2 input_place, columns_place;
    cl_ulong row_stride;
    cldeform__where where;
} step_values;

/* The arguments with which kernels from input to columns, and back, begin. */
static void add_input_and_columns(cldeform__argument_list *list, step_values *values, const cldeform_conv2d *conv,
                                  const cldeform__steps *steps, const cldeform__slab *slab,
                                  const cldeform__conv2d_operands *operands, const cldeform__column_view *columns)
{
    values->first_pixel = (cl_int)slab->first_pixel;
    values->pixels = (cl_int)slab->pixels;
    values->input_place = cldeform__place_of(&operands->input);
    values->columns_place = (cl_ulong2){{columns->start, columns->image_stride}};
    values->row_stride = columns->row_stride;
    ADD_ARGUMENT(list, steps->geometry);
    ADD_ARGUMENT(list, values->first_pixel);
    ADD_ARGUMENT(list, values->pixels);
    ADD_ARGUMENT(list, operands->input.buffer);
    ADD_ARGUMENT(list, values->input_place);
    cldeform__add_where(list, &values->where, conv, operands);
    ADD_ARGUMENT(list, columns->buffer);
    ADD_ARGUMENT(list, values->columns_place);
    ADD_ARGUMENT(list, values->row_stride);
}

cldeform_status cldeform__enqueue_im2col(const cldeform_conv2d *conv, const cldeform__steps *steps,
                                         cldeform__call *call, const cldeform__slab *slab,
                                         const cldeform__conv2d_operands *operands,
                                         const cldeform__column_view *columns)
{
    const size_t group = (size_t)call->context->tuning.im2col_group;
    const double elements = columns_of(conv, slab);
    cldeform__argument_list list = {.n = 0};
    step_values values;
    add_input_and_columns(&list, &values, conv, steps, slab, operands, columns);
    const cldeform__launch launch = {
        .step = "im2col",
        .kernel = steps->im2col,
        .arguments = list.arguments,
        .n_arguments = list.n,
        .items = {steps->lanes == 1 ? (size_t)slab->pixels
                                    : (size_t)cldeform__divide_up(slab->pixels, GROUP_PIXELS) * group,
                  (size_t)(conv->sizes.taps * conv->problem.offset_groups), (size_t)slab->images},
        .group = group,
        .flop = elements * (conv->problem.kind == CLDEFORM_CONV2D_MODULATED ? 8 : 7),
        .bytes = elements * (double)cldeform__dtype_size(steps->form.columns) + bytes_read(conv, slab),
    };
    return cldeform__call_launch(call, &launch);
}

cldeform_status cldeform__enqueue_col2offset(const cldeform_conv2d *conv, const cldeform__steps *steps,
                                             cldeform__call *call, const cldeform__slab *slab,
                                             const cldeform__conv2d_operands *operands,
                                             const cldeform__conv2d_gradients *gradients,
                                             const cldeform__column_view *grad_columns)
{
    const cl_int accumulate =
        (gradients->accumulate & CLDEFORM_GRAD_OFFSET ? 1 : 0) | (gradients->accumulate & CLDEFORM_GRAD_MASK ? 2 : 0);
    const cl_ulong2 offset_place = cldeform__place_of(&gradients->grad_offset);
    const cl_ulong2 mask_place = cldeform__place_of(&gradients->grad_mask);
    const double elements = columns_of(conv, slab);
    cldeform__argument_list list = {.n = 0};
    step_values values;
    add_input_and_columns(&list, &values, conv, steps, slab, operands, grad_columns);
    ADD_ARGUMENT(&list, gradients->grad_offset.buffer);
    ADD_ARGUMENT(&list, offset_place);
    ADD_ARGUMENT(&list, gradients->grad_mask.buffer);
    ADD_ARGUMENT(&list, mask_place);
    ADD_ARGUMENT(&list, accumulate);
    const cldeform__launch launch = {
        .step = "col2offset",
        .kernel = steps->col2offset,
        .arguments = list.arguments,
        .n_arguments = list.n,
        .items = {(size_t)slab->pixels, (size_t)(conv->sizes.taps * conv->problem.offset_groups), (size_t)slab->images},
        .group = (size_t)call->context->tuning.im2col_group,
        .flop = 8 * elements,
        .bytes = elements * (double)cldeform__dtype_size(steps->form.columns) + bytes_read(conv, slab) +
                 (double)slab->images * (double)slab->pixels *
                     (double)(conv->sizes.offset_planes + conv->sizes.mask_planes) *
                     (double)cldeform__dtype_size(conv->problem.offset_dtype),
    };
    return cldeform__call_launch(call, &launch);
}
