/* The parts of a convolution as calls of their own: columns, and what follows from their gradient. */
#include "col2im.h"
#include "conv2d.h"

#include "../geometry.h"

#include <stdlib.h>
#include <string.h>

typedef struct cldeform__parts {
    cldeform__steps steps;
    cldeform__col2im col2im;
    int64_t slab_pixels; /* of col2im; depends on device and image alone, as sums do on it */
    size_t minimum;      /* workspace of col2im */
} cldeform__parts;

/* ---- plan ---------------------------------------------------------------------------------------------- */

static int64_t target_bytes(const cldeform_conv2d *conv)
{
    return (int64_t)conv->context->tuning.columns_kib * 1024;
}

static size_t workspace_of(const cldeform_conv2d *conv, int64_t images)
{
    size_t parts[COL2IM_PARTS], bytes = SIZE_MAX;
    if (!cldeform__col2im_sizes(conv, &conv->parts->col2im, images, conv->parts->slab_pixels, parts) ||
        !cldeform__workspace_bytes(conv->context, parts, COL2IM_PARTS, &bytes))
        return SIZE_MAX;
    return bytes;
}

/* How many images' sums to hold at a time within so many bytes. */
static int64_t chunk_of(const cldeform_conv2d *conv, int64_t images, size_t bytes)
{
    int64_t chunk = target_bytes(conv) / (conv->sizes.input * (int64_t)conv->parts->col2im.real_size);
    chunk = cldeform__at_most(chunk, cldeform__at_most(images, CLDEFORM__MOST_GROUPS));
    while (chunk > 1 && workspace_of(conv, chunk) > bytes)
        chunk /= 2;
    return chunk < 1 ? 1 : chunk;
}

static cldeform_status prepare_col2im(cldeform_conv2d *conv, const cldeform__step_form *form)
{
    cldeform_status status;
    cldeform__parts *parts = conv->parts;
    const int64_t table[] = {conv->sizes.taps, conv->problem.offset_groups,
                             (int64_t)(sizeof(cl_int2) + 4 * cldeform__dtype_size(form->columns) + sizeof(cl_int))};
    int64_t pixel_bytes;
    TRY(cldeform__col2im_prepare(conv, form, &parts->col2im));
    parts->slab_pixels = 1;
    if (cldeform__product(table, 3, &pixel_bytes) && target_bytes(conv) / pixel_bytes > 1)
        parts->slab_pixels = cldeform__at_most(conv->sizes.out_plane, target_bytes(conv) / pixel_bytes);
    parts->minimum = workspace_of(conv, 1);
    /* as the slabs of an algorithm: smaller ones may round otherwise */
    while (parts->minimum > conv->workspace_limit && parts->slab_pixels > 1 && !conv->problem.deterministic) {
        parts->slab_pixels /= 2;
        parts->minimum = workspace_of(conv, 1);
    }
    if (parts->minimum > conv->workspace_limit)
        status = cldeform__fail(CLDEFORM_LIMIT,
                                "workspace_limit is %zu bytes; the minimum for CLDEFORM_COL2IM of this problem is %zu "
                                "bytes",
                                conv->workspace_limit, parts->minimum);
done:
    return status;
}

cldeform_status cldeform__parts_prepare(cldeform_conv2d *conv)
{
    cldeform_status status = CLDEFORM_OK;
    const cldeform_passes passes = conv->problem.passes;
    const cldeform__step_form form = {.nhwc = conv->problem.layout == CLDEFORM_NHWC,
                                      .planar = conv->problem.layout == CLDEFORM_NCHW,
                                      .columns = conv->problem.dtype,
                                      .im2col = (passes & CLDEFORM_IM2COL) != 0,
                                      .col2offset = (passes & CLDEFORM_COL2OFFSET) != 0};
    if (!(passes & CLDEFORM__PART_PASSES))
        return CLDEFORM_OK;
    int64_t rows;
    if (!cldeform__multiply(conv->problem.in_channels, conv->sizes.taps, &rows) || rows > INT32_MAX ||
        conv->sizes.taps * conv->problem.offset_groups > CLDEFORM__MOST_GROUPS)
        return cldeform__fail(CLDEFORM_UNSUPPORTED,
                              "columns need in_channels * kernel_h * kernel_w below 2^31 and kernel_h * kernel_w * "
                              "offset_groups of at most %d",
                              CLDEFORM__MOST_GROUPS);
    conv->parts = calloc(1, sizeof *conv->parts);
    if (!conv->parts)
        return cldeform__fail(CLDEFORM_OUT_OF_MEMORY, "no memory for the parts of a convolution");
    TRY(cldeform__steps_prepare(conv, &form, &conv->parts->steps));
    if (passes & CLDEFORM_COL2IM)
        TRY(prepare_col2im(conv, &form));
done:
    return status;
}

void cldeform__parts_free(struct cldeform__parts *parts)
{
    free(parts);
}

void cldeform__parts_workspace(const cldeform_conv2d *conv, cldeform_passes passes, size_t *minimum, size_t *preferred)
{
    *minimum = *preferred = 0;
    if (passes & CLDEFORM_COL2IM) {
        *minimum = conv->parts->minimum;
        *preferred = workspace_of(conv, chunk_of(conv, conv->problem.batch, conv->workspace_limit));
    }
}

bool cldeform__parts_are_deterministic(const cldeform_conv2d *conv, cldeform_passes passes)
{
    return !(passes & CLDEFORM_COL2IM) || conv->parts->col2im.way != COL2IM_ATOMIC;
}

/* ---- checks -------------------------------------------------------------------------------------------- */

/* One call of a part, checked. */
typedef struct part_call {
    cldeform__call call;
    cldeform__conv2d_operands operands;   /* from the call's first image on */
    cldeform__conv2d_gradients gradients; /* likewise */
    cldeform__column_view columns;
    int64_t images;
    cldeform__range ranges[8];
    bool has_workspace;
} part_call;

enum { INPUT, OFFSET, MASK, COLUMNS, GRAD_INPUT, GRAD_OFFSET, GRAD_MASK, N_TENSORS };

static cldeform_status check_images(const cldeform_conv2d *conv, int64_t first_image, int64_t images)
{
    if (first_image < 0 || images < 0 || first_image > conv->problem.batch ||
        images > conv->problem.batch - first_image)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                              "first_image is %lld and images %lld; they must be a range of the batch of %lld",
                              (long long)first_image, (long long)images, (long long)conv->problem.batch);
    return CLDEFORM_OK;
}

/* The columns as a tensor whose images are as far apart as they are, and as the kernels take them. */
static cldeform_status check_columns(const cldeform_conv2d *conv, const cldeform_columns *columns, const char *name,
                                     part_call *part, cldeform_tensor *tensor, int64_t *elements)
{
    const bool nhwc = conv->problem.layout == CLDEFORM_NHWC;
    const int64_t channels = conv->problem.in_channels * conv->sizes.taps, plane = conv->sizes.out_plane;
    const int64_t rows = nhwc ? plane : channels, length = nhwc ? channels : plane;
    if (!columns)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "%s is NULL", name);
    const size_t row_stride = columns->row_stride ? columns->row_stride : (size_t)length;
    if (row_stride < (size_t)length || row_stride > INT64_MAX)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                              "%s->row_stride is %zu; it must be 0 or at least %lld, the elements of a row", name,
                              columns->row_stride, (long long)length);
    int64_t dense;
    if (!cldeform__multiply(rows - 1, (int64_t)row_stride, elements) || !cldeform__add(*elements, length, elements) ||
        !cldeform__multiply(rows, (int64_t)row_stride, &dense))
        return cldeform__fail(CLDEFORM_LIMIT, "%s->row_stride is %zu; an image of %lld rows overflows with it", name,
                              row_stride, (long long)rows);
    if (columns->image_stride != 0 && columns->image_stride < (size_t)*elements)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                              "%s->image_stride is %zu; it must be 0 or at least %lld, the elements of an image", name,
                              columns->image_stride, (long long)*elements);
    const size_t image_stride = columns->image_stride ? columns->image_stride : (size_t)dense;
    *tensor = (cldeform_tensor){columns->buffer, columns->offset, image_stride};
    part->columns = (cldeform__column_view){columns->buffer, columns->offset, image_stride, row_stride};
    return CLDEFORM_OK;
}

typedef struct part_arguments {
    const char *operation;
    cldeform_passes pass;
    const cldeform_conv2d_tensors *tensors;
    int64_t first_image, images;
    const char *columns_name;
    const cldeform_columns *columns;
    const cldeform_conv2d_gradients *gradients; /* NULL for IM2COL */
    const cldeform_workspace *workspace;
} part_arguments;

/* The gradients of COL2OFFSET that are asked for. */
static cldeform_status check_offset_gradients(const cldeform_conv2d *conv, const cldeform_conv2d_gradients *given)
{
    if (given->grad_mask.buffer && !cldeform__conv2d_has_mask(&conv->problem))
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                              "gradients.grad_mask.buffer is not NULL; it must be, because " CLDEFORM__NO_MASK);
    if (!given->grad_offset.buffer && !given->grad_mask.buffer && conv->problem.batch > 0)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                              "no gradient is asked for; gradients.grad_offset or grad_mask must have a buffer");
    return CLDEFORM_OK;
}

static cldeform_status check_tensors(const cldeform_conv2d *conv, const part_arguments *given, part_call *part)
{
    cldeform_status status;
    const cldeform_conv2d_problem *problem = &conv->problem;
    const cldeform__conv2d_sizes *sizes = &conv->sizes;
    const size_t data = cldeform__dtype_size(problem->dtype), offsets = cldeform__dtype_size(problem->offset_dtype);
    const bool im2col = given->pass == CLDEFORM_IM2COL, col2im = given->pass == CLDEFORM_COL2IM;
    cldeform_conv2d_tensors tensors;
    cldeform_conv2d_gradients gradients;
    cldeform_tensor columns;
    int64_t column_elements = 0;
    size_t minimum = 0, preferred = 0;
    memset(&gradients, 0, sizeof gradients);
    TRY(cldeform__take_struct(&tensors, sizeof tensors, given->tensors, "tensors"));
    if (!im2col) {
        TRY(cldeform__take_struct(&gradients, sizeof gradients, given->gradients, "gradients"));
        TRY(cldeform__check_accumulate(&gradients));
    }
    TRY(check_images(conv, given->first_image, given->images));
    TRY(check_columns(conv, given->columns, given->columns_name, part, &columns, &column_elements));
    if (given->pass == CLDEFORM_COL2OFFSET)
        TRY(check_offset_gradients(conv, &gradients));
    part->gradients.accumulate = gradients.accumulate;
    part->images = given->images;

    /* not looked at by this call: absent */
    const cldeform_tensor none = {NULL, 0, 0};
    const cldeform_tensor input = col2im ? none : tensors.input, grad_input = col2im ? gradients.grad_input : none;
    const cldeform_tensor grad_offset = col2im ? none : gradients.grad_offset;
    const cldeform_tensor grad_mask = col2im ? none : gradients.grad_mask;
    cldeform__operand unused;
    cldeform__conv2d_operands *to = &part->operands;
    cldeform__conv2d_gradients *grad = &part->gradients;
#define OUT(bit) .written = true, .read = (gradients.accumulate & (bit)) != 0, .batched = true
    const cldeform__operand_rule rules[N_TENSORS] = {
        [INPUT] = {.name = "tensors.input",
                   .tensor = input,
                   .operand = &to->input,
                   .presence = col2im ? OPTIONAL : REQUIRED,
                   .batched = true,
                   .elements = sizes->input,
                   .element_size = data},
        [OFFSET] = {.name = "tensors.offset",
                    .tensor = tensors.offset,
                    .operand = &to->offset,
                    .presence = cldeform__conv2d_has_offset(problem) ? REQUIRED : ABSENT,
                    .batched = true,
                    .elements = sizes->offset,
                    .element_size = offsets,
                    .why_not = CLDEFORM__NO_OFFSET},
        [MASK] = {.name = "tensors.mask",
                  .tensor = tensors.mask,
                  .operand = &to->mask,
                  .presence = cldeform__conv2d_has_mask(problem) ? REQUIRED : ABSENT,
                  .batched = true,
                  .elements = sizes->mask,
                  .element_size = offsets,
                  .why_not = CLDEFORM__NO_MASK},
        [GRAD_INPUT] = {.name = "gradients.grad_input",
                        .tensor = grad_input,
                        .operand = &grad->grad_input,
                        .presence = col2im ? REQUIRED : OPTIONAL,
                        OUT(CLDEFORM_GRAD_INPUT),
                        .elements = sizes->input,
                        .element_size = data},
        [GRAD_OFFSET] = {.name = "gradients.grad_offset",
                         .tensor = grad_offset,
                         .operand = &grad->grad_offset,
                         .presence = OPTIONAL,
                         OUT(CLDEFORM_GRAD_OFFSET),
                         .elements = sizes->offset,
                         .element_size = offsets},
        [GRAD_MASK] = {.name = "gradients.grad_mask",
                       .tensor = grad_mask,
                       .operand = &grad->grad_mask,
                       .presence = OPTIONAL,
                       OUT(CLDEFORM_GRAD_MASK),
                       .elements = sizes->mask,
                       .element_size = offsets},
        /* the tensors have the batch's images, the columns those of the call */
        [COLUMNS] = {.name = given->columns_name, .operand = &unused, .presence = OPTIONAL, .element_size = data},
    };
#undef OUT
    TRY(cldeform__check_operands(conv->context, rules, N_TENSORS, problem->batch, part->ranges));
    const cldeform__tensor_check check = {given->columns_name, columns, given->images, column_elements, data, im2col};
    size_t stride;
    TRY(cldeform__check_tensor(conv->context, &check, &part->ranges[COLUMNS], &stride));
    for (size_t i = 0; i < N_TENSORS; i++)
        if (i == COLUMNS ? im2col : rules[i].written)
            TRY(cldeform__check_overlap(part->ranges, N_TENSORS, i));
    cldeform__parts_workspace(conv, given->pass, &minimum, &preferred);
    part->has_workspace = given->workspace != NULL;
    if (given->workspace)
        TRY(cldeform__check_scratch(conv->context, given->workspace, minimum, part->ranges, N_TENSORS + 1));
    part->operands = cldeform__operands_from(&part->operands, given->first_image);
    part->gradients = cldeform__gradients_from(&part->gradients, given->first_image);
done:
    return status;
}

/* ---- runs ---------------------------------------------------------------------------------------------- */

static cldeform__column_view columns_from(const cldeform__column_view *columns, int64_t image)
{
    cldeform__column_view moved = *columns;
    moved.start += (size_t)image * columns->image_stride;
    return moved;
}

/* IM2COL and COL2OFFSET: all pixels at once, as many images as a launch takes. */
static cldeform_status run_direct(const cldeform_conv2d *conv, cldeform_passes pass, part_call *part)
{
    cldeform_status status = CLDEFORM_OK;
    for (int64_t image = 0; image < part->images; image += CLDEFORM__MOST_GROUPS) {
        const cldeform__slab slab = {cldeform__at_most(part->images - image, CLDEFORM__MOST_GROUPS), 0,
                                     conv->sizes.out_plane};
        const cldeform__conv2d_operands operands = cldeform__operands_from(&part->operands, image);
        const cldeform__conv2d_gradients gradients = cldeform__gradients_from(&part->gradients, image);
        const cldeform__column_view columns = columns_from(&part->columns, image);
        if (pass == CLDEFORM_IM2COL)
            TRY(cldeform__enqueue_im2col(conv, &conv->parts->steps, &part->call, &slab, &operands, &columns));
        else
            TRY(cldeform__enqueue_col2offset(conv, &conv->parts->steps, &part->call, &slab, &operands, &gradients,
                                             &columns));
    }
done:
    return status;
}

static cldeform_status add_images(const cldeform_conv2d *conv, part_call *part, int64_t image, int64_t images,
                                  const cl_mem parts[COL2IM_PARTS])
{
    cldeform_status status;
    const cldeform__conv2d_operands operands = cldeform__operands_from(&part->operands, image);
    const cldeform__conv2d_gradients gradients = cldeform__gradients_from(&part->gradients, image);
    TRY(cldeform__enqueue_clear(conv, &conv->parts->col2im, &part->call, images, parts));
    for (int64_t pixel = 0; pixel < conv->sizes.out_plane; pixel += conv->parts->slab_pixels) {
        const cldeform__slab slab = {images, pixel,
                                     cldeform__at_most(conv->parts->slab_pixels, conv->sizes.out_plane - pixel)};
        cldeform__column_view columns = columns_from(&part->columns, image);
        columns.start += (size_t)pixel * (conv->problem.layout == CLDEFORM_NHWC ? columns.row_stride : 1);
        TRY(cldeform__enqueue_col2im(conv, &conv->parts->col2im, &part->call, &slab, &operands, &columns, parts));
    }
    TRY(cldeform__enqueue_store_grad_input(conv, &conv->parts->col2im, &part->call, images, &gradients, parts));
done:
    return status;
}

static cldeform_status run_col2im(const cldeform_conv2d *conv, part_call *part)
{
    cldeform_status status;
    cldeform__workspace workspace;
    cl_mem parts[COL2IM_PARTS] = {NULL};
    size_t sizes[COL2IM_PARTS];
    const cldeform__range *range = part->has_workspace ? &part->ranges[N_TENSORS] : NULL;
    const size_t size = workspace_of(conv, chunk_of(conv, part->images, conv->workspace_limit));
    status = cldeform__workspace_begin(&workspace, conv->context, range, size);
    if (status == CLDEFORM_OUT_OF_MEMORY && size > conv->parts->minimum)
        status = cldeform__workspace_begin(&workspace, conv->context, range, conv->parts->minimum);
    TRY(status);
    const int64_t chunk = chunk_of(conv, part->images, workspace.end - workspace.next);
    if (!cldeform__col2im_sizes(conv, &conv->parts->col2im, chunk, conv->parts->slab_pixels, sizes)) {
        status = cldeform__fail(CLDEFORM_LIMIT, "the workspace's size overflows");
        goto done;
    }
    for (int i = 0; i < COL2IM_PARTS; i++)
        TRY(cldeform__workspace_part(&workspace, sizes[i], &parts[i]));
    for (int64_t image = 0; image < part->images; image += chunk)
        TRY(add_images(conv, part, image, cldeform__at_most(chunk, part->images - image), parts));
done:
    cldeform__workspace_end(&workspace);
    return status;
}

static cldeform_status run_part(const cldeform_conv2d *conv, cldeform_passes pass, part_call *part)
{
    if (part->images == 0)
        return CLDEFORM_OK;
    return pass == CLDEFORM_COL2IM ? run_col2im(conv, part) : run_direct(conv, pass, part);
}

static cldeform_status enqueue_part(const cldeform_conv2d *conv, cl_command_queue queue, const part_arguments *given,
                                    cl_uint n_wait, const cl_event *wait, cl_event *done)
{
    cldeform_status status;
    part_call part;
    memset(&part, 0, sizeof part);
    if ((status = cldeform__conv2d_check_object(conv, given->pass, done)) != CLDEFORM_OK ||
        (status = cldeform__call_begin(&part.call, conv->context, queue, given->operation, n_wait, wait,
                                       done != NULL)) != CLDEFORM_OK)
        return status;
    TRY(check_tensors(conv, given, &part));
    TRY(run_part(conv, given->pass, &part));
done:
    return cldeform__call_end(&part.call, status, done);
}

cldeform_status cldeform_conv2d_im2col(const cldeform_conv2d *conv, cl_command_queue queue,
                                       const cldeform_conv2d_tensors *tensors, int64_t first_image, int64_t images,
                                       const cldeform_columns *columns, const cldeform_workspace *workspace,
                                       cl_uint n_wait, const cl_event *wait, cl_event *done)
{
    const part_arguments given = {"conv2d_im2col", CLDEFORM_IM2COL, tensors, first_image, images,
                                  "columns",       columns,         NULL,    workspace};
    return enqueue_part(conv, queue, &given, n_wait, wait, done);
}

cldeform_status cldeform_conv2d_col2im(const cldeform_conv2d *conv, cl_command_queue queue,
                                       const cldeform_conv2d_tensors *tensors, int64_t first_image, int64_t images,
                                       const cldeform_columns *grad_columns, const cldeform_conv2d_gradients *gradients,
                                       const cldeform_workspace *workspace, cl_uint n_wait, const cl_event *wait,
                                       cl_event *done)
{
    const part_arguments given = {"conv2d_col2im", CLDEFORM_COL2IM, tensors,   first_image, images,
                                  "grad_columns",  grad_columns,    gradients, workspace};
    return enqueue_part(conv, queue, &given, n_wait, wait, done);
}

cldeform_status cldeform_conv2d_col2offset(const cldeform_conv2d *conv, cl_command_queue queue,
                                           const cldeform_conv2d_tensors *tensors, int64_t first_image, int64_t images,
                                           const cldeform_columns *grad_columns,
                                           const cldeform_conv2d_gradients *gradients,
                                           const cldeform_workspace *workspace, cl_uint n_wait, const cl_event *wait,
                                           cl_event *done)
{
    const part_arguments given = {"conv2d_col2offset", CLDEFORM_COL2OFFSET, tensors,   first_image, images,
                                  "grad_columns",      grad_columns,        gradients, workspace};
    return enqueue_part(conv, queue, &given, n_wait, wait, done);
}

/* ---- warm-up ------------------------------------------------------------------------------------------- */

cldeform_status cldeform__parts_warm_up(const cldeform_conv2d *conv, cldeform__call *call,
                                        const cldeform__conv2d_operands *operands,
                                        const cldeform__conv2d_gradients *gradients, cl_mem columns)
{
    cldeform_status status = CLDEFORM_OK;
    static const cldeform_passes passes[] = {CLDEFORM_IM2COL, CLDEFORM_COL2IM, CLDEFORM_COL2OFFSET};
    const bool nhwc = conv->problem.layout == CLDEFORM_NHWC;
    const size_t rows = (size_t)(conv->problem.in_channels * conv->sizes.taps), plane = (size_t)conv->sizes.out_plane;
    part_call part;
    memset(&part, 0, sizeof part);
    part.call = *call;
    part.operands = *operands;
    part.gradients = *gradients;
    part.columns = (cldeform__column_view){columns, 0, rows * plane, nhwc ? rows : plane};
    part.images = 1;
    for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++)
        if (conv->problem.passes & passes[i])
            TRY(run_part(conv, passes[i], &part));
done:
    *call = part.call;
    return status;
}
