/* Self-test of the convolution: forward, gradients, each way to the gradient of the input, offset statistics. */
#include "../conv2d/problem.h"
#include "cldeform/cldeform_ref.h"
#include "selftest.h"

#include <math.h>
#include <stdlib.h>

enum { N_TENSORS = CLDEFORM_OUTPUT + 1 };

static cldeform_status create_tensor(const cldeform_context *context, const cldeform_conv2d_problem *problem,
                                     cldeform__host_tensor *tensor, uint32_t *state)
{
    cldeform_status status;
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    const bool offsets = tensor->name == CLDEFORM_OFFSET || tensor->name == CLDEFORM_MASK;
    tensor->dtype = offsets && problem->offset_dtype ? problem->offset_dtype : problem->dtype;
    TRY(cldeform_conv2d_shape(problem, tensor->name, &shape));
    TRY(cldeform__create_tensor(tensor, &shape));
    cldeform__fill_tensor(tensor, state);
    TRY(cldeform__send_tensor(context, tensor));
done:
    return status;
}

/* A convolution's tensors, and the gradients with respect to them; that of the output is given. */
typedef struct conv2d_data {
    cldeform__host_tensor tensors[N_TENSORS], gradients[N_TENSORS];
} conv2d_data;

static cldeform_status create_data(const cldeform_context *context, const cldeform_conv2d_problem *problem,
                                   conv2d_data *data)
{
    cldeform_status status = CLDEFORM_OK;
    uint32_t state = 20181127;
    for (int i = 0; i < N_TENSORS; i++) {
        data->tensors[i].name = data->gradients[i].name = (cldeform_tensor_name)i;
        if ((i == CLDEFORM_OFFSET && !cldeform__conv2d_has_offset(problem)) ||
            (i == CLDEFORM_MASK && !cldeform__conv2d_has_mask(problem)))
            continue;
        TRY(create_tensor(context, problem, &data->tensors[i], &state));
        TRY(create_tensor(context, problem, &data->gradients[i], &state));
    }
done:
    return status;
}

static void free_data(conv2d_data *data)
{
    for (int i = 0; i < 2 * N_TENSORS; i++) {
        cldeform__host_tensor *tensor = i < N_TENSORS ? &data->tensors[i] : &data->gradients[i - N_TENSORS];
        cldeform__free_tensor(tensor);
    }
}

/* What the reference gives, in place of the outputs' values. */
static cldeform_status run_reference(const cldeform_conv2d_problem *problem, conv2d_data *data)
{
    const cldeform__host_tensor *t = data->tensors, *g = data->gradients;
    const cldeform_ref_conv2d_gradients gradients = {g[CLDEFORM_OUTPUT].values, g[CLDEFORM_INPUT].values,
                                                     g[CLDEFORM_OFFSET].values, g[CLDEFORM_MASK].values,
                                                     g[CLDEFORM_WEIGHT].values, g[CLDEFORM_BIAS].values};
    const cldeform_status status = cldeform_ref_conv2d_forward(
        problem, t[CLDEFORM_INPUT].values, t[CLDEFORM_OFFSET].values, t[CLDEFORM_MASK].values,
        t[CLDEFORM_WEIGHT].values, t[CLDEFORM_BIAS].values, t[CLDEFORM_OUTPUT].values);
    if (status != CLDEFORM_OK)
        return status;
    return cldeform_ref_conv2d_backward(problem, t[CLDEFORM_INPUT].values, t[CLDEFORM_OFFSET].values,
                                        t[CLDEFORM_MASK].values, t[CLDEFORM_WEIGHT].values, &gradients);
}

/* The passes, FORWARD and GRAD_* bits. */
static cldeform_status check_conv2d(cldeform_context *context, cl_command_queue queue,
                                    const cldeform_conv2d_problem *problem, cldeform_passes passes, double tolerance)
{
    static const struct {
        const char *name;
        cldeform_passes bit;
    } all[] = {{"grad_input", CLDEFORM_GRAD_INPUT},
               {"grad_offset", CLDEFORM_GRAD_OFFSET},
               {"grad_mask", CLDEFORM_GRAD_MASK},
               {"grad_weight", CLDEFORM_GRAD_WEIGHT},
               {"grad_bias", CLDEFORM_GRAD_BIAS}};
    cldeform_status status;
    cldeform_conv2d *conv = NULL;
    conv2d_data data = {0};
    cldeform_conv2d_problem prepared = *problem;
    prepared.passes = passes;
    TRY(create_data(context, problem, &data));
    TRY(run_reference(problem, &data));
    const cldeform__host_tensor *t = data.tensors, *g = data.gradients;
    const cldeform_conv2d_tensors tensors = {.struct_size = sizeof tensors,
                                             .input.buffer = t[CLDEFORM_INPUT].buffer,
                                             .offset.buffer = t[CLDEFORM_OFFSET].buffer,
                                             .mask.buffer = t[CLDEFORM_MASK].buffer,
                                             .weight.buffer = t[CLDEFORM_WEIGHT].buffer,
                                             .bias.buffer = t[CLDEFORM_BIAS].buffer,
                                             .output.buffer = t[CLDEFORM_OUTPUT].buffer};
    cldeform_conv2d_gradients gradients = CLDEFORM_INIT(cldeform_conv2d_gradients);
    cldeform_tensor *const places[] = {&gradients.grad_input, &gradients.grad_offset, &gradients.grad_mask,
                                       &gradients.grad_weight, &gradients.grad_bias};
    gradients.grad_output.buffer = g[CLDEFORM_OUTPUT].buffer;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (passes & all[i].bit)
            places[i]->buffer = g[i].buffer;
    TRY(cldeform_conv2d_create(context, &prepared, &conv));
    if (passes & CLDEFORM_FORWARD) {
        TRY(cldeform_conv2d_forward(conv, queue, &tensors, NULL, 0, NULL, NULL));
        TRY(cldeform__compare_tensor(queue, "output", &t[CLDEFORM_OUTPUT], tolerance));
    }
    if (passes & CLDEFORM_BACKWARD)
        TRY(cldeform_conv2d_backward(conv, queue, &tensors, &gradients, NULL, 0, NULL, NULL));
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (places[i]->buffer)
            TRY(cldeform__compare_tensor(queue, all[i].name, &g[i], tolerance));
done:
    clFinish(queue);
    cldeform_conv2d_destroy(conv);
    free_data(&data);
    return status;
}

/* ---- offset statistics --------------------------------------------------------------------------------- */

/* Counts of an offset tensor's components, and that its exploded ones are outside. */
static cldeform_status check_statistics(cldeform_context *context, cl_command_queue queue,
                                        const cldeform_conv2d_problem *problem)
{
    cldeform_status status;
    cldeform_conv2d *conv = NULL;
    cldeform__host_tensor offset = {.name = CLDEFORM_OFFSET};
    cldeform_offset_statistics expected = {0}, found = {0};
    cldeform_tensor result = {NULL, 0, 0};
    cldeform_conv2d_problem prepared = *problem;
    uint32_t state = 7;
    double sum = 0;
    cl_int error = CL_SUCCESS;
    prepared.passes = CLDEFORM_STATISTICS;
    TRY(create_tensor(context, problem, &offset, &state));
    expected.samples = offset.elements / 2;
    for (size_t i = 0; i < offset.elements; i++) {
        const double magnitude = fabs(offset.values[i]);
        expected.nan += isnan(magnitude) != 0;
        expected.infinite += isinf(magnitude) != 0;
        expected.outside += !(magnitude < 30000); /* the others are small, and well inside */
        sum += isfinite(magnitude) ? magnitude : 0;
        if (isfinite(magnitude) && magnitude > (double)expected.max_magnitude)
            expected.max_magnitude = (float)magnitude;
    }
    expected.mean_magnitude = (float)(sum / (double)(offset.elements - expected.nan - expected.infinite));
    TRY(cldeform_conv2d_create(context, &prepared, &conv));
    result.buffer = clCreateBuffer(context->cl, CL_MEM_READ_WRITE, sizeof found, NULL, &error);
    if (error != CL_SUCCESS) {
        status = cldeform__fail_cl(error, "clCreateBuffer");
        goto done;
    }
    const cldeform_tensor offsets = {offset.buffer, 0, 0};
    TRY(cldeform_conv2d_offset_statistics(conv, queue, &offsets, &result, NULL, 0, NULL, NULL));
    error = clEnqueueReadBuffer(queue, result.buffer, CL_TRUE, 0, sizeof found, &found, 0, NULL, NULL);
    if (error != CL_SUCCESS)
        status = cldeform__fail_cl(error, "reading the statistics");
    else if (found.samples != expected.samples || found.nan != expected.nan || found.infinite != expected.infinite ||
             found.outside < expected.outside || !(found.max_magnitude == expected.max_magnitude) ||
             !(fabsf(found.mean_magnitude - expected.mean_magnitude) <= 1e-6f * expected.mean_magnitude))
        status = cldeform__fail(
            CLDEFORM_SELFTEST_FAILED,
            "samples %llu, outside %llu, NaN %llu, infinite %llu, mean %.9g, largest %.9g; they must be %llu, at least "
            "%llu, %llu, %llu, %.9g, %.9g",
            (unsigned long long)found.samples, (unsigned long long)found.outside, (unsigned long long)found.nan,
            (unsigned long long)found.infinite, (double)found.mean_magnitude, (double)found.max_magnitude,
            (unsigned long long)expected.samples, (unsigned long long)expected.outside,
            (unsigned long long)expected.nan, (unsigned long long)expected.infinite, (double)expected.mean_magnitude,
            (double)expected.max_magnitude);
done:
    cldeform_conv2d_destroy(conv);
    cldeform__free_tensor(&offset);
    if (result.buffer)
        clReleaseMemObject(result.buffer);
    return status;
}

/* ---- all of them --------------------------------------------------------------------------------------- */

typedef struct check {
    const char *name;
    cldeform_conv2d_kind kind;
    cldeform_dtype dtype;
    cldeform_layout layout;
    cldeform_border border;
    cldeform_offset_layout offset_layout;
    cldeform_mask_activation activation;
    cldeform_dtype offset_dtype;
    bool backward; /* on some: its kernels take long to compile, and have fewer variants, as they work in NHWC alone */
} check;

#define V1    CLDEFORM_CONV2D_DEFORMABLE
#define V2    CLDEFORM_CONV2D_MODULATED
#define PLAIN CLDEFORM_CONV2D_PLAIN
#define ZERO  CLDEFORM_BORDER_ZERO
#define EDGE  CLDEFORM_BORDER_EDGE
#define YX    CLDEFORM_OFFSET_YX
#define AS_IS CLDEFORM_MASK_AS_IS
static const check checks[] = {
    {"conv2d v1 fp32 nchw", V1, CLDEFORM_F32, CLDEFORM_NCHW, ZERO, YX, AS_IS, CLDEFORM_F32, true},
    {"conv2d v1 fp32 nhwc edge", V1, CLDEFORM_F32, CLDEFORM_NHWC, EDGE, YX, AS_IS, CLDEFORM_F32, false},
    {"conv2d v2 fp32 nchw edge", V2, CLDEFORM_F32, CLDEFORM_NCHW, EDGE, YX, AS_IS, CLDEFORM_F32, true},
    {"conv2d v2 fp32 nhwc", V2, CLDEFORM_F32, CLDEFORM_NHWC, ZERO, CLDEFORM_OFFSET_YX_LAST, AS_IS, CLDEFORM_F32, false},
    {"conv2d v2 fp32 sigmoid", V2, CLDEFORM_F32, CLDEFORM_NCHW, ZERO, CLDEFORM_OFFSET_XY, CLDEFORM_MASK_SIGMOID,
     CLDEFORM_F32, true},
    {"conv2d v2 fp16 nchw", V2, CLDEFORM_F16, CLDEFORM_NCHW, ZERO, CLDEFORM_OFFSET_PLANAR, AS_IS, CLDEFORM_F16, true},
    {"conv2d v1 fp16 nhwc fp32 offsets", V1, CLDEFORM_F16, CLDEFORM_NHWC, ZERO, YX, AS_IS, CLDEFORM_F32, false},
    {"conv2d plain fp32 nchw", PLAIN, CLDEFORM_F32, CLDEFORM_NCHW, ZERO, YX, AS_IS, CLDEFORM_F32, false},
    {"conv2d plain fp32 nhwc", PLAIN, CLDEFORM_F32, CLDEFORM_NHWC, ZERO, YX, AS_IS, CLDEFORM_F32, true},
    {"conv2d v2 fp64 nchw", V2, CLDEFORM_F64, CLDEFORM_NCHW, ZERO, YX, AS_IS, CLDEFORM_F64, true},
    {"conv2d v1 fp64 nhwc edge", V1, CLDEFORM_F64, CLDEFORM_NHWC, EDGE, YX, AS_IS, CLDEFORM_F64, false},
};

static cldeform_conv2d_problem problem_of(const check *row)
{
    /* everything differs from everything else: height and width, before and after, groups and offset groups */
    cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
    problem.kind = row->kind;
    problem.batch = 3;
    problem.in_channels = 114, problem.in_h = 11, problem.in_w = 14; /* 19 in a row: whole vectors, and a rest */
    problem.out_channels = 10;
    problem.kernel_h = 3, problem.kernel_w = 2;
    problem.stride_h = 1, problem.stride_w = 2;
    problem.dilation_h = 2, problem.dilation_w = 1;
    problem.pad_top = 1, problem.pad_left = 2, problem.pad_bottom = 0, problem.pad_right = 1;
    problem.groups = 2;
    problem.offset_groups = row->kind == PLAIN ? 1 : 3;
    problem.dtype = row->dtype;
    problem.offset_dtype = row->offset_dtype;
    problem.layout = row->layout;
    problem.offset_layout = row->offset_layout;
    problem.mask_activation = row->activation;
    problem.border = row->border;
    return problem;
}

/* Rows that algorithms with kernels of their own are checked on too: every type, kind and layout, one border of each.
 */
static const struct own_check {
    const char *name;
    cldeform_algorithm algorithm;
    int row;
    bool small_groups; /* several of which share a tile */
} own_checks[] = {
    {"conv2d fused v1 fp32 nchw", CLDEFORM_ALGORITHM_FUSED, 0, false},
    {"conv2d fused v2 fp32 nchw edge", CLDEFORM_ALGORITHM_FUSED, 2, false},
    {"conv2d fused v2 fp32 nhwc", CLDEFORM_ALGORITHM_FUSED, 3, false},
    {"conv2d fused v2 fp16 nchw", CLDEFORM_ALGORITHM_FUSED, 5, false},
    {"conv2d fused plain fp32 nhwc", CLDEFORM_ALGORITHM_FUSED, 8, false},
    {"conv2d fused v2 fp64 nchw", CLDEFORM_ALGORITHM_FUSED, 9, false},
    {"conv2d tiled v1 fp16 nhwc fp32 offsets", CLDEFORM_ALGORITHM_TILED, 6, false},
    {"conv2d tiled v2 fp32 nchw edge", CLDEFORM_ALGORITHM_TILED, 2, true},
    {"conv2d tiled v2 fp64 nchw", CLDEFORM_ALGORITHM_TILED, 9, false},
};

static cldeform_status run_check(cldeform_context *context, cl_command_queue queue, const check *row,
                                 cldeform_algorithm algorithm, bool small_groups)
{
    cldeform_conv2d_problem problem = problem_of(row);
    problem.algorithm = algorithm;
    if (small_groups) {
        problem.in_channels = 32, problem.out_channels = 24;
        problem.groups = 8, problem.offset_groups = 2;
    }
    return check_conv2d(context, queue, &problem, CLDEFORM_FORWARD | (row->backward ? CLDEFORM_BACKWARD : 0),
                        row->activation == AS_IS ? 0 : 1e-5);
}

/* The gradient of the input in one of the ways that conv2d_col2im.cl knows, in a context of its own that is tuned to
 * it: which of them calls take depends on the device and on what they ask for. */
static cldeform_status check_way(const cldeform_context *context, cl_command_queue queue, int way)
{
    cldeform_status status;
    cldeform_context *tuned = NULL;
    cldeform_context_options options = CLDEFORM_INIT(cldeform_context_options);
    cldeform_conv2d_problem problem = problem_of(&checks[0]);
    options.cache_dir = context->cache_dir ? context->cache_dir : "";
    TRY(cldeform_context_create(context->cl, context->device, &options, &tuned));
    tuned->tuning.col2im = way;
    problem.algorithm = CLDEFORM_ALGORITHM_IM2COL;
    TRY(check_conv2d(tuned, queue, &problem, CLDEFORM_GRAD_INPUT, 0));
done:
    cldeform_context_destroy(tuned);
    return status;
}

void cldeform__selftest_conv2d(cldeform_context *context, cl_command_queue queue, cldeform__selftest_tell tell,
                               void *user)
{
    static const char *const ways[] = {"col2im scatter", "col2im gather", "col2im atomic"};
    const cldeform_conv2d_problem first = problem_of(&checks[0]);
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        if (checks[i].dtype != CLDEFORM_F64 || context->facts.fp64)
            tell(checks[i].name, run_check(context, queue, &checks[i], CLDEFORM_ALGORITHM_IM2COL, false), user);
    for (size_t i = 0; i < sizeof own_checks / sizeof own_checks[0]; i++) {
        const struct own_check *own = &own_checks[i];
        if (checks[own->row].dtype == CLDEFORM_F64 && !context->facts.fp64)
            continue;
        const cldeform_status status = run_check(context, queue, &checks[own->row], own->algorithm, own->small_groups);
        if (status != CLDEFORM_UNSUPPORTED) /* a device that cannot take panels or tiles never runs these kernels */
            tell(own->name, status, user);
    }
    for (int way = 0; way < 3; way++)
        tell(ways[way], check_way(context, queue, way), user);
    tell("offset statistics", check_statistics(context, queue, &first), user);
}
