#include "steps.h"
#include "../geometry.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static_assert(sizeof(roi_geometry) == 14 * sizeof(cl_int), "the struct is the kernels' own, ints without padding");

int64_t cldeform__roi_samples(const cldeform_roi_pool *pool)
{
    const cldeform_roi_pool_problem *p = &pool->problem;
    const int64_t most = p->samples_h > p->samples_w ? p->samples_h : p->samples_w;
    return p->sampling_ratio > most ? p->sampling_ratio : most;
}

int64_t cldeform__roi_iterations(const cldeform_roi_pool *pool, int64_t bins)
{
    const cldeform__roi_plan *plan = &pool->plan;
    const int64_t pixels = (int64_t)plan->tile_h * plan->tile_w, block = (int64_t)plan->vector * plan->vectors;
    const int64_t tile = pixels * (plan->vectors + block); /* cleared and stored */
    return tile +
           bins * (pixels * (plan->vectors + 1) + 2 * block + 250 + 2 * cldeform__roi_samples(pool) /* and weights */);
}

double cldeform__roi_pass_flop(const cldeform_roi_pool *pool, int64_t rois)
{
    const cldeform_roi_pool_problem *problem = &pool->problem;
    double samples = 4; /* where their number depends on the RoIs */
    if (problem->method == CLDEFORM_ROI_PS_ALIGN)
        samples = (double)problem->samples_h * (double)problem->samples_w;
    else if (problem->method == CLDEFORM_ROI_ALIGN && problem->sampling_ratio > 0)
        samples = (double)problem->sampling_ratio * (double)problem->sampling_ratio;
    return 8 * samples * (double)rois * (double)pool->sizes.output;
}

/* ---- arguments ----------------------------------------------------------------------------------------- */

/* A number as kernels take positions: in a double, or in two floats. */
typedef union position {
    cl_double number;
    cl_float2 parts;
} position;
static_assert(sizeof(position) == sizeof(cl_double), "one argument, whichever it is");

static position make_position(const cldeform_roi_pool *pool, double number)
{
    position made = {.number = number};
    if (!pool->plan.long_position) {
        const float most = (float)number;
        made.parts = (cl_float2){{most, (float)(number - (double)most)}};
    }
    return made;
}

/* Values that arguments of a launch on one level point to. */
typedef struct where {
    roi_geometry geometry;
    position scale, offset_scale;
    cl_float8 level_areas;
    cl_ulong2 rois, level, offset, mask;
    cl_ulong n_rois;
} where;

roi_geometry cldeform__roi_geometry(const cldeform_roi_pool *pool, int64_t level)
{
    const cldeform_roi_pool_problem *p = &pool->problem;
    const bool align = p->method == CLDEFORM_ROI_ALIGN;
    return (roi_geometry){
        .batch = (cl_int)p->batch,
        .level = (cl_int)level,
        .levels = (cl_int)p->levels,
        .in_h = (cl_int)p->level[level].in_h,
        .in_w = (cl_int)p->level[level].in_w,
        .out_channels = (cl_int)pool->sizes.out_channels,
        .out_h = (cl_int)p->out_h,
        .out_w = (cl_int)p->out_w,
        .group_size = (cl_int)p->group_size,
        .classes = (cl_int)p->offset_classes,
        .part_h = (cl_int)p->part_h,
        .part_w = (cl_int)p->part_w,
        .samples_h = (cl_int)(align ? p->sampling_ratio : p->samples_h),
        .samples_w = (cl_int)(align ? p->sampling_ratio : p->samples_w),
    };
}

cl_float8 cldeform__roi_level_areas(const cldeform_roi_pool_problem *problem)
{
    cl_float8 areas = {{0}};
    for (int64_t i = 1; i < problem->levels; i++)
        areas.s[i - 1] =
            (float)ldexp(problem->canonical_size * problem->canonical_size, 2 * (int)(i - problem->canonical_level));
    return areas;
}

/* ROI_PARAMETERS of cl/roi.clh. */
static void add_where(cldeform__argument_list *list, where *values, const cldeform_roi_pool *pool, int64_t level,
                      int64_t rois, const cldeform__roi_operands *operands)
{
    values->geometry = cldeform__roi_geometry(pool, level);
    values->scale = make_position(pool, pool->problem.level[level].spatial_scale);
    values->offset_scale = make_position(pool, pool->problem.offset_scale);
    values->level_areas = cldeform__roi_level_areas(&pool->problem);
    values->rois = cldeform__place_of(&operands->rois);
    values->level = cldeform__place_of(&operands->level);
    values->offset = cldeform__place_of(&operands->offset);
    values->mask = cldeform__place_of(&operands->mask);
    values->n_rois = (cl_ulong)rois;
    ADD_ARGUMENT(list, values->geometry);
    ADD_ARGUMENT(list, values->scale);
    ADD_ARGUMENT(list, values->offset_scale);
    ADD_ARGUMENT(list, values->level_areas);
    ADD_ARGUMENT(list, operands->rois.buffer);
    ADD_ARGUMENT(list, values->rois);
    ADD_ARGUMENT(list, operands->level.buffer);
    ADD_ARGUMENT(list, values->level);
    ADD_ARGUMENT(list, operands->offset.buffer);
    ADD_ARGUMENT(list, values->offset);
    ADD_ARGUMENT(list, operands->mask.buffer);
    ADD_ARGUMENT(list, values->mask);
}

/* Strides of cl/roi_channels.clh: from pixel to pixel, channel to channel, cell to cell. */
static cl_ulong4 strides_of(const cldeform_roi_pool_problem *problem, int64_t pixels, int64_t channels, int64_t cells)
{
    if (problem->layout == CLDEFORM_NHWC)
        return (cl_ulong4){{(cl_ulong)channels, (cl_ulong)cells, 1, 0}};
    return (cl_ulong4){{1, (cl_ulong)(pixels * cells), (cl_ulong)pixels, 0}};
}

static cl_ulong4 dense_strides(int64_t channels, int64_t cells)
{
    return (cl_ulong4){{(cl_ulong)channels, 1, (cl_ulong)(channels / cells), 0}};
}

static cl_ulong4 input_strides(const cldeform_roi_pool *pool, int64_t level)
{
    const cldeform_roi_pool_problem *problem = &pool->problem;
    return strides_of(problem, problem->level[level].in_h * problem->level[level].in_w, problem->in_channels,
                      problem->group_size * problem->group_size);
}

static cl_ulong4 output_strides(const cldeform_roi_pool *pool)
{
    return strides_of(&pool->problem, pool->sizes.bins, pool->sizes.out_channels, 1);
}

/* A tensor as a kernel reads it: the caller's, or a copy with channels side by side. */
typedef struct view {
    cl_mem buffer;
    cl_ulong2 place;
    cl_ulong4 strides;
} view;

static view view_of(const cldeform__operand *operand, cl_ulong4 strides)
{
    return (view){operand->buffer, cldeform__place_of(operand), strides};
}

/* ---- launches ------------------------------------------------------------------------------------------ */

static size_t groups(int64_t n)
{
    return (size_t)cldeform__at_most(n, CLDEFORM__MOST_GROUPS);
}

static double bytes_of_rois(const cldeform_roi_pool *pool, int64_t rois)
{
    const cldeform_roi_pool_problem *problem = &pool->problem;
    return (double)rois *
           ((double)pool->sizes.output * (double)cldeform__dtype_size(problem->dtype) +
            (double)(pool->sizes.offset + pool->sizes.mask) * (double)cldeform__dtype_size(problem->offset_dtype) +
            5 * (double)cldeform__dtype_size(problem->roi_dtype));
}

static double bytes_of_input(const cldeform_roi_pool *pool, int64_t level)
{
    return (double)pool->problem.batch * (double)pool->sizes.input[level] *
           (double)cldeform__dtype_size(pool->problem.dtype);
}

/* *from becomes a view of `copy`, where its channels are side by side. */
static cldeform_status enqueue_transpose(const cldeform_roi_pool *pool, cldeform__call *call, view *from,
                                         int64_t images, int64_t image_pixels, int64_t image_channels,
                                         int64_t image_cells, cl_mem copy)
{
    const int side = pool->plan.turns_tiles ? ROI_TURN_GROUP : ROI_TURN_ITEM;
    const size_t group = pool->plan.turns_tiles ? (size_t)call->context->tuning.im2col_group : 1;
    const bool nhwc = pool->problem.layout == CLDEFORM_NHWC;
    const cl_ulong pixel_stride = from->strides.s[0], channel_stride = nhwc ? 1 : (cl_ulong)image_pixels;
    const cl_ulong pixels = (cl_ulong)image_pixels, n = (cl_ulong)images;
    const cl_int channels = (cl_int)image_channels, cells = (cl_int)image_cells;
    const cldeform__argument arguments[] = {
        ARGUMENT(from->buffer), ARGUMENT(from->place), ARGUMENT(pixel_stride), ARGUMENT(channel_stride),
        ARGUMENT(pixels),       ARGUMENT(channels),    ARGUMENT(cells),        ARGUMENT(n),
        ARGUMENT(copy),         ARGUMENT(channels),    ARGUMENT(pixels), /* the copy is dense */
    };
    const int64_t tiles = cldeform__divide_up(image_channels / image_cells, side) * image_cells;
    const cldeform__launch launch = {
        .step = "transpose",
        .kernel = pool->plan.transpose,
        .arguments = arguments,
        .n_arguments = sizeof arguments / sizeof arguments[0],
        .items = {(size_t)cldeform__divide_up(image_pixels, side) * group, groups(tiles), groups(images)},
        .group = group,
        .bytes = 2 * (double)images * (double)image_pixels * (double)image_channels *
                 (double)cldeform__dtype_size(pool->problem.dtype),
    };
    const cldeform_status status = cldeform__call_launch(call, &launch);
    *from = (view){copy, {{0, pixels * (cl_ulong)image_channels}}, dense_strides(image_channels, image_cells)};
    return status;
}

/* A level's input as it is best read. */
static cldeform_status prepare_input(const cldeform_roi_pool *pool, cldeform__call *call, int64_t level, int64_t rois,
                                     const cldeform__operand *input, cl_mem copy, view *from)
{
    const cldeform_roi_pool_problem *problem = &pool->problem;
    *from = view_of(input, input_strides(pool, level));
    if (!copy || !cldeform__roi_reads_copy(pool, level, rois) || problem->batch == 0)
        return CLDEFORM_OK;
    return enqueue_transpose(pool, call, from, problem->batch, problem->level[level].in_h * problem->level[level].in_w,
                             problem->in_channels, problem->group_size * problem->group_size, copy);
}

/* parts[ORDER], by image; by cells too, where the workspace has the part. */
static cldeform_status enqueue_sort(const cldeform_roi_pool *pool, cldeform__call *call, int64_t level, int64_t rois,
                                    const cl_mem parts[ROI_PARTS])
{
    const cl_int batch = (cl_int)pool->problem.batch;
    const cl_int n_cells = parts[CELLS] ? (cl_int)cldeform__roi_cells(pool, level) : 1;
    const cl_ulong n_rois = (cl_ulong)rois;
    const cldeform__argument arguments[] = {
        ARGUMENT(batch),   ARGUMENT(n_rois),        ARGUMENT(parts[IMAGES]), ARGUMENT(parts[CELLS]),
        ARGUMENT(n_cells), ARGUMENT(parts[COUNTS]), ARGUMENT(parts[ORDER]),  ARGUMENT(parts[STARTS]),
    };
    const cldeform__launch launch = {
        .step = "sort",
        .kernel = pool->plan.sort,
        .arguments = arguments,
        .n_arguments = sizeof arguments / sizeof arguments[0],
        .items = {(size_t)batch, 1, 1},
        .group = (size_t)call->context->tuning.im2col_group,
        .bytes = (double)rois * 3 * sizeof(cl_int),
    };
    return cldeform__call_launch(call, &launch);
}

/* A launch over RoIs, that writes these parts. */
static cldeform_status enqueue_find(const cldeform_roi_pool *pool, cldeform__call *call, const char *step,
                                    cldeform__kernel *kernel, int64_t level, int64_t rois,
                                    const cldeform__roi_operands *operands, const cl_mem *parts, int n_parts)
{
    cldeform__argument_list list = {.n = 0};
    where values;
    add_where(&list, &values, pool, level, rois, operands);
    ADD_ARGUMENT(&list, values.n_rois);
    for (int i = 0; i < n_parts; i++)
        ADD_ARGUMENT(&list, parts[i]);
    const cldeform__launch launch = {
        .step = step,
        .kernel = kernel,
        .arguments = list.arguments,
        .n_arguments = list.n,
        .items = {(size_t)rois, 1, 1},
        .group = (size_t)call->context->tuning.im2col_group,
        .bytes = bytes_of_rois(pool, rois),
    };
    return cldeform__call_launch(call, &launch);
}

static cldeform_status enqueue_boxes(const cldeform_roi_pool *pool, cldeform__call *call, int64_t level, int64_t rois,
                                     const cldeform__roi_operands *operands, const cl_mem parts[ROI_PARTS])
{
    cldeform_status status = CLDEFORM_OK;
    const cl_mem written[] = {parts[IMAGES], parts[BOXES], parts[BIN_BOXES]};
    if (rois > 0)
        TRY(enqueue_find(pool, call, "find_boxes", pool->plan.find_boxes, level, rois, operands, written, 3));
    TRY(enqueue_sort(pool, call, level, rois, parts));
done:
    return status;
}

static cldeform_status enqueue_forward(const cldeform_roi_pool *pool, cldeform__call *call, int64_t level, int64_t rois,
                                       const cldeform__roi_operands *operands, const view *input, cl_mem order)
{
    const cldeform__roi_plan *plan = &pool->plan;
    const view output = view_of(&operands->output, output_strides(pool));
    const cl_ulong2 argmax_place = cldeform__place_of(&operands->argmax);
    const int64_t class_channels = pool->sizes.out_channels / pool->problem.offset_classes;
    const int64_t units =
        pool->problem.offset_classes * cldeform__divide_up(class_channels, (int64_t)plan->vector * plan->vectors);
    const cl_int bins_of_item = plan->lanes > 1 || call->context->facts.loop_limit ? 1 : (cl_int)pool->problem.out_w;
    const size_t items = call->context->facts.loop_limit || plan->lanes > 1 ? (size_t)units : 1;
    cldeform__argument_list list = {.n = 0};
    where values;
    add_where(&list, &values, pool, level, rois, operands);
    ADD_ARGUMENT(&list, values.n_rois);
    ADD_ARGUMENT(&list, order);
    ADD_ARGUMENT(&list, bins_of_item);
    ADD_ARGUMENT(&list, input->buffer);
    ADD_ARGUMENT(&list, input->place);
    ADD_ARGUMENT(&list, input->strides);
    ADD_ARGUMENT(&list, output.buffer);
    ADD_ARGUMENT(&list, output.place);
    ADD_ARGUMENT(&list, operands->argmax.buffer);
    ADD_ARGUMENT(&list, argmax_place);
    ADD_ARGUMENT(&list, output.strides);
    const cldeform__launch launch = {
        .step = "pool",
        .kernel = plan->forward,
        .arguments = list.arguments,
        .n_arguments = list.n,
        .items = {items, groups(cldeform__divide_up(pool->sizes.bins, bins_of_item)), groups(rois)},
        .group = plan->lanes,
        .flop = cldeform__roi_pass_flop(pool, rois),
        .bytes = bytes_of_rois(pool, rois) + bytes_of_input(pool, level),
    };
    return cldeform__call_launch(call, &launch);
}

static cldeform_status enqueue_grad_input(const cldeform_roi_pool *pool, cldeform__call *call, int64_t level,
                                          int64_t rois, const cldeform__roi_operands *operands,
                                          const cldeform__roi_gradients *gradients, const view *grad_output,
                                          const cl_mem parts[ROI_PARTS])
{
    cldeform_status status;
    const cldeform_roi_pool_problem *problem = &pool->problem;
    const cldeform__roi_plan *plan = &pool->plan;
    const view grad_input = view_of(&gradients->grad_input[level], input_strides(pool, level));
    const cl_ulong2 argmax_place = cldeform__place_of(&operands->argmax);
    const cl_ulong4 argmax_strides = output_strides(pool);
    const int64_t block = (int64_t)plan->vector * plan->vectors, cells = problem->group_size * problem->group_size;
    const int64_t class_channels = pool->sizes.out_channels / problem->offset_classes;
    const int64_t units =
        cells * problem->offset_classes * cldeform__divide_up(class_channels, block * (int64_t)plan->tile_lanes);
    const int64_t tiles = cldeform__divide_up(problem->level[level].in_h, plan->tile_h) *
                          cldeform__divide_up(problem->level[level].in_w, plan->tile_w);
    const size_t tile_bytes = (size_t)(plan->tile_h * plan->tile_w) * (size_t)block * plan->tile_lanes *
                              cldeform__dtype_size(cldeform__real_dtype(problem->dtype));
    const cl_int rois_of_launch = (cl_int)plan->rois_of_launch;
    cl_int first_roi = 0, accumulate = (gradients->accumulate & CLDEFORM_GRAD_INPUT) != 0;
    cldeform__argument_list list = {.n = 0};
    where values;
    add_where(&list, &values, pool, level, rois, operands);
    ADD_ARGUMENT(&list, first_roi);
    ADD_ARGUMENT(&list, rois_of_launch);
    ADD_ARGUMENT(&list, parts[ORDER]);
    ADD_ARGUMENT(&list, parts[STARTS]);
    ADD_ARGUMENT(&list, parts[BOXES]);
    ADD_ARGUMENT(&list, parts[BIN_BOXES]);
    ADD_ARGUMENT(&list, grad_output->buffer);
    ADD_ARGUMENT(&list, grad_output->place);
    ADD_ARGUMENT(&list, grad_output->strides);
    ADD_ARGUMENT(&list, operands->argmax.buffer);
    ADD_ARGUMENT(&list, argmax_place);
    ADD_ARGUMENT(&list, argmax_strides);
    list.arguments[list.n++] = (cldeform__argument){tile_bytes, NULL}; /* local memory */
    ADD_ARGUMENT(&list, grad_input.buffer);
    ADD_ARGUMENT(&list, grad_input.place);
    ADD_ARGUMENT(&list, grad_input.strides);
    ADD_ARGUMENT(&list, accumulate);
    const cldeform__launch launch = {
        .step = "grad_input",
        .kernel = plan->grad_input,
        .arguments = list.arguments,
        .n_arguments = list.n,
        .items = {plan->tile_lanes, groups(tiles), groups(units * problem->batch)},
        .group = plan->tile_lanes,
        .flop = cldeform__roi_pass_flop(pool, rois),
        .bytes = bytes_of_rois(pool, rois) + bytes_of_input(pool, level),
    };
    for (int64_t first = 0; first == 0 || first < rois; first += plan->rois_of_launch) {
        first_roi = (cl_int)first;
        accumulate = accumulate || first > 0;
        TRY(cldeform__call_launch(call, &launch));
    }
done:
    return status;
}

/* Gradients of offset and mask of the RoIs of one level. */
static cldeform_status enqueue_grad_offset(const cldeform_roi_pool *pool, cldeform__call *call, int64_t level,
                                           int64_t rois, const cldeform__roi_operands *operands,
                                           const cldeform__roi_gradients *gradients, const view *input,
                                           const view *grad_output, cl_mem sums)
{
    cldeform_status status;
    const cldeform_roi_pool_problem *problem = &pool->problem;
    const cldeform__roi_plan *plan = &pool->plan;
    const size_t shared = 3 * plan->lanes * cldeform__dtype_size(cldeform__real_dtype(problem->dtype));
    cldeform__argument_list list = {.n = 0};
    where values;
    add_where(&list, &values, pool, level, rois, operands);
    ADD_ARGUMENT(&list, values.n_rois);
    const cl_uint common = list.n;
    ADD_ARGUMENT(&list, input->buffer);
    ADD_ARGUMENT(&list, input->place);
    ADD_ARGUMENT(&list, input->strides);
    ADD_ARGUMENT(&list, grad_output->buffer);
    ADD_ARGUMENT(&list, grad_output->place);
    ADD_ARGUMENT(&list, grad_output->strides);
    list.arguments[list.n++] = (cldeform__argument){shared, NULL}; /* local memory */
    ADD_ARGUMENT(&list, sums);
    const cldeform__launch sum = {
        .step = "sum_bins",
        .kernel = plan->sum_bins,
        .arguments = list.arguments,
        .n_arguments = list.n,
        .items = {plan->lanes, groups(pool->sizes.bins), groups(rois)},
        .group = plan->lanes,
        .flop = cldeform__roi_pass_flop(pool, rois),
        .bytes = bytes_of_rois(pool, rois) + bytes_of_input(pool, level),
    };
    TRY(cldeform__call_launch(call, &sum));

    const struct {
        cldeform_passes pass;
        const char *step;
        cldeform__kernel *kernel;
        const cldeform__operand *operand;
        size_t items[2];
    } stores[] = {
        {CLDEFORM_GRAD_OFFSET,
         "store_grad_offset",
         plan->store_grad_offset,
         &gradients->grad_offset,
         {(size_t)(problem->part_h * problem->part_w), groups(problem->offset_classes)}},
        {CLDEFORM_GRAD_MASK,
         "store_grad_mask",
         plan->store_grad_mask,
         &gradients->grad_mask,
         {(size_t)pool->sizes.bins, 1}},
    };
    for (size_t i = 0; i < sizeof stores / sizeof stores[0]; i++) {
        const cl_ulong2 place = cldeform__place_of(stores[i].operand);
        const cl_int accumulate = (gradients->accumulate & stores[i].pass) != 0;
        if (!(gradients->wanted & stores[i].pass))
            continue;
        list.n = common;
        ADD_ARGUMENT(&list, sums);
        ADD_ARGUMENT(&list, stores[i].operand->buffer);
        ADD_ARGUMENT(&list, place);
        ADD_ARGUMENT(&list, accumulate);
        const cldeform__launch store = {
            .step = stores[i].step,
            .kernel = stores[i].kernel,
            .arguments = list.arguments,
            .n_arguments = list.n,
            .items = {stores[i].items[0], stores[i].items[1], groups(rois)},
            .group = (size_t)call->context->tuning.im2col_group,
            .bytes = (double)rois * 3 * (double)(problem->offset_classes * pool->sizes.bins) *
                     (double)cldeform__dtype_size(cldeform__real_dtype(problem->dtype)),
        };
        TRY(cldeform__call_launch(call, &store));
    }
done:
    return status;
}

/* ---- passes -------------------------------------------------------------------------------------------- */

static cldeform_status forward(const cldeform_roi_pool *pool, cldeform__call *call, int64_t rois,
                               const cldeform__roi_operands *operands, const cl_mem parts[ROI_PARTS])
{
    cldeform_status status = CLDEFORM_OK;
    for (int64_t level = 0; level < pool->problem.levels; level++) {
        view input;
        TRY(prepare_input(pool, call, level, rois, &operands->input[level], parts[COPY], &input));
        const cl_mem order =
            cldeform__roi_reads_copy(pool, level, rois) && pool->problem.batch > 0 ? parts[ORDER] : NULL;
        const cl_mem found[] = {parts[IMAGES], parts[CELLS]};
        if (order) {
            TRY(enqueue_find(pool, call, "find_cells", pool->plan.find_cells, level, rois, operands, found, 2));
            TRY(enqueue_sort(pool, call, level, rois, parts));
        }
        TRY(enqueue_forward(pool, call, level, rois, operands, &input, order));
    }
done:
    return status;
}

static cldeform_status backward(const cldeform_roi_pool *pool, cldeform__call *call, int64_t rois,
                                const cldeform__roi_operands *operands, const cldeform__roi_gradients *gradients,
                                const cl_mem parts[ROI_PARTS])
{
    cldeform_status status = CLDEFORM_OK;
    view grad_output = view_of(&gradients->grad_output, output_strides(pool));
    if (parts[GRADIENTS] && rois > 0)
        TRY(enqueue_transpose(pool, call, &grad_output, rois, pool->sizes.bins, pool->sizes.out_channels, 1,
                              parts[GRADIENTS]));
    for (int64_t level = 0; level < pool->problem.levels; level++) {
        if ((gradients->wanted & CLDEFORM_GRAD_INPUT) && pool->problem.batch > 0) {
            TRY(enqueue_boxes(pool, call, level, rois, operands, parts));
            TRY(enqueue_grad_input(pool, call, level, rois, operands, gradients, &grad_output, parts));
        }
        if ((gradients->wanted & (CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK)) && rois > 0) {
            view input;
            TRY(prepare_input(pool, call, level, rois, &operands->input[level], parts[COPY], &input));
            TRY(enqueue_grad_offset(pool, call, level, rois, operands, gradients, &input, &grad_output, parts[SUMS]));
        }
    }
done:
    return status;
}

cldeform_status cldeform__roi_run(const cldeform_roi_pool *pool, cldeform__call *call, int64_t rois,
                                  const cldeform__roi_operands *operands, const cldeform__roi_gradients *gradients,
                                  const cldeform__range *range)
{
    cldeform_status status;
    const cldeform_passes passes = gradients ? gradients->wanted : CLDEFORM_FORWARD;
    size_t minimum = 0, preferred = 0, sizes[ROI_PARTS];
    cl_mem parts[ROI_PARTS] = {NULL};
    cldeform__workspace workspace;
    cldeform__roi_workspace(pool, passes, rois, &minimum, &preferred);
    status = cldeform__workspace_begin(&workspace, pool->context, range, preferred);
    if (status == CLDEFORM_OUT_OF_MEMORY && minimum < preferred)
        status = cldeform__workspace_begin(&workspace, pool->context, range, minimum);
    if (status != CLDEFORM_OK)
        goto done;
    const bool copies = preferred > minimum && workspace.end - workspace.next >= preferred;
    cldeform__roi_part_sizes(pool, passes, rois, copies, sizes);
    for (int i = 0; i < ROI_PARTS; i++) {
        TRY(cldeform__workspace_part(&workspace, sizes[i], &parts[i]));
        if (parts[i] && !call->scratch)
            TRY(cldeform__call_use_scratch(call, parts[i]));
    }
    status =
        gradients ? backward(pool, call, rois, operands, gradients, parts) : forward(pool, call, rois, operands, parts);
done:
    cldeform__workspace_end(&workspace);
    return status;
}
