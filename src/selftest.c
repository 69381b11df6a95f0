/* Every kernel family on small problems, on the device at hand, against the reference. */
#include "cldeform/cldeform_ref.h"
#include "conv2d/problem.h"
#include "gemm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one convolution ----------------------------------------------------------------------------------- */

/* Whole numbers and quarters small enough that every sum is exact in fp32, in any order: the device must then give the
 * reference's result to the bit (rounded to half for fp16). */
static double small_number(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 24) / 256 * 9 - 4.5;
}

typedef struct host_tensor {
    cldeform_tensor_name name;
    double *values;
    size_t elements;
    cldeform_dtype dtype;
    cl_mem buffer;
} host_tensor;

enum { N_TENSORS = CLDEFORM_OUTPUT + 1 };

static void fill(host_tensor *tensor, uint32_t *state)
{
    for (size_t i = 0; i < tensor->elements; i++) {
        const double number = small_number(state);
        switch (tensor->name) {
        case CLDEFORM_OFFSET:
            tensor->values[i] = rint(number * 2) / 4; /* quarters: weights of the samples are sixteenths */
            break;
        case CLDEFORM_MASK:
            tensor->values[i] = rint(fabs(number)) / 4;
            break;
        default:
            tensor->values[i] = rint(number);
        }
    }
    if (tensor->name == CLDEFORM_OFFSET) { /* what exploding offsets look like */
        const double special[] = {NAN, INFINITY, -INFINITY, 60000, -60000, -1};
        for (size_t i = 0; i < sizeof special / sizeof special[0] && i * 7 < tensor->elements; i++)
            tensor->values[i * 7] = special[i];
    }
}

static cldeform_status create_tensor(const cldeform_context *context, const cldeform_conv2d_problem *problem,
                                     host_tensor *tensor, uint32_t *state)
{
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    const cldeform_status status = cldeform_conv2d_shape(problem, tensor->name, &shape);
    if (status != CLDEFORM_OK)
        return status;
    const bool offsets = tensor->name == CLDEFORM_OFFSET || tensor->name == CLDEFORM_MASK;
    tensor->dtype = offsets && problem->offset_dtype ? problem->offset_dtype : problem->dtype;
    tensor->elements = (size_t)shape.elements;
    tensor->values = calloc(tensor->elements, sizeof *tensor->values);
    void *stored = malloc(shape.bytes);
    cl_int error = tensor->values && stored ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
    if (error == CL_SUCCESS) {
        fill(tensor, state);
        for (size_t i = 0; i < tensor->elements; i++)
            cldeform__store_element(stored, i, tensor->dtype, tensor->values[i]);
        tensor->buffer =
            clCreateBuffer(context->cl, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, shape.bytes, stored, &error);
    }
    free(stored);
    return error == CL_SUCCESS ? CLDEFORM_OK : cldeform__fail_cl(error, "tensor of %zu bytes", shape.bytes);
}

/* found against expected; fp16 values are compared after rounding. tolerance: of the largest value. */
static cldeform_status compare(const char *name, const void *found, const double *expected, size_t elements,
                               cldeform_dtype dtype, double tolerance)
{
    double largest = 0;
    for (size_t i = 0; i < elements; i++)
        largest = fmax(largest, fabs(expected[i]));
    for (size_t i = 0; i < elements; i++) {
        const double have = cldeform__load_element(found, i, dtype);
        double want = expected[i];
        if (dtype == CLDEFORM_F16)
            want = cldeform_ref_half_to_double(cldeform_ref_half_from_double(want));
        if (!(fabs(have - want) <= tolerance * largest))
            return cldeform__fail(CLDEFORM_SELFTEST_FAILED, "element %zu of %s is %.9g; it must be %.9g (largest %.9g)",
                                  i, name, have, want, largest);
    }
    return CLDEFORM_OK;
}

/* The tensor as it is on the device. */
static cldeform_status check_tensor(cl_command_queue queue, const char *name, const host_tensor *tensor,
                                    double tolerance)
{
    const size_t bytes = tensor->elements * cldeform__dtype_size(tensor->dtype);
    void *found = malloc(bytes);
    const cl_int error = found ? clEnqueueReadBuffer(queue, tensor->buffer, CL_TRUE, 0, bytes, found, 0, NULL, NULL)
                               : CL_OUT_OF_HOST_MEMORY;
    const cldeform_status status =
        error == CL_SUCCESS ? compare(name, found, tensor->values, tensor->elements, tensor->dtype, tolerance)
                            : cldeform__fail_cl(error, "reading %s", name);
    free(found);
    return status;
}

/* A convolution's tensors, and the gradients with respect to them; that of the output is given. */
typedef struct conv2d_data {
    host_tensor tensors[N_TENSORS], gradients[N_TENSORS];
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
        host_tensor *tensor = i < N_TENSORS ? &data->tensors[i] : &data->gradients[i - N_TENSORS];
        free(tensor->values);
        if (tensor->buffer)
            clReleaseMemObject(tensor->buffer);
    }
}

/* What the reference gives, in place of the outputs' values. */
static cldeform_status run_reference(const cldeform_conv2d_problem *problem, conv2d_data *data)
{
    const host_tensor *t = data->tensors, *g = data->gradients;
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
    const host_tensor *t = data.tensors, *g = data.gradients;
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
        TRY(check_tensor(queue, "output", &t[CLDEFORM_OUTPUT], tolerance));
    }
    if (passes & CLDEFORM_BACKWARD)
        TRY(cldeform_conv2d_backward(conv, queue, &tensors, &gradients, NULL, 0, NULL, NULL));
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (places[i]->buffer)
            TRY(check_tensor(queue, all[i].name, &g[i], tolerance));
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
    host_tensor offset = {.name = CLDEFORM_OFFSET};
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
    free(offset.values);
    if (offset.buffer)
        clReleaseMemObject(offset.buffer);
    if (result.buffer)
        clReleaseMemObject(result.buffer);
    return status;
}

/* ---- one matrix product -------------------------------------------------------------------------------- */

/* Large enough for CLBlast's kernel for large products, with no size a multiple of its tiles. */
enum { ROWS = 130, COLUMNS = 2051, DEPTH = 2741 };

static cldeform_status check_gemm(cldeform_context *context, cl_command_queue queue, bool builtin)
{
    cldeform_status status;
    cldeform__gemm_engine engine;
    cldeform__call call;
    cl_mem buffers[4] = {NULL}; /* A, B, C, scratch */
    cl_int error = CL_SUCCESS;
    size_t scratch = 0;
    const cldeform__gemm gemm = {.m = ROWS, .n = COLUMNS, .k = DEPTH, .lda = DEPTH, .ldb = COLUMNS, .ldc = COLUMNS};
    const size_t elements[3] = {(size_t)ROWS * DEPTH, (size_t)DEPTH * COLUMNS, (size_t)ROWS * COLUMNS};
    float *values[3] = {NULL};
    uint32_t state = 2017;
    TRY(builtin ? cldeform__gemm_prepare_builtin(context, false, &engine)
                : cldeform__gemm_prepare(context, false, &engine));
    TRY(cldeform__gemm_scratch(context, &engine, &gemm, &scratch));
    for (int i = 0; i < 3 && error == CL_SUCCESS; i++) {
        const size_t bytes = elements[i] * sizeof(float);
        values[i] = malloc(bytes);
        if (!values[i]) {
            error = CL_OUT_OF_HOST_MEMORY;
            break;
        }
        for (size_t e = 0; e < elements[i]; e++) /* C starts as NaN: it must be overwritten, not scaled by 0 */
            values[i][e] = i == 2 ? NAN : (float)rint(small_number(&state));
        buffers[i] = clCreateBuffer(context->cl, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, bytes, values[i], &error);
    }
    if (error == CL_SUCCESS && scratch > 0)
        buffers[3] = clCreateBuffer(context->cl, CL_MEM_READ_WRITE, scratch, NULL, &error);
    if (error != CL_SUCCESS) {
        status = cldeform__fail_cl(error, "matrices of the self-test");
        goto done;
    }
    TRY(cldeform__call_begin(&call, context, queue, "selftest", 0, NULL, false));
    status = cldeform__gemm_enqueue(&call, &engine, &gemm, (cldeform__matrix){buffers[0], 0},
                                    (cldeform__matrix){buffers[1], 0}, (cldeform__matrix){buffers[2], 0}, buffers[3]);
    TRY(cldeform__call_end(&call, status, NULL));
    error = clEnqueueReadBuffer(queue, buffers[2], CL_TRUE, 0, elements[2] * sizeof(float), values[2], 0, NULL, NULL);
    if (error != CL_SUCCESS) {
        status = cldeform__fail_cl(error, "reading the product");
        goto done;
    }
    for (size_t e = 0; e < elements[2]; e += 97) { /* every row and every column is met */
        double sum = 0;
        for (size_t k = 0; k < DEPTH; k++)
            sum += (double)values[0][e / COLUMNS * DEPTH + k] * (double)values[1][k * COLUMNS + e % COLUMNS];
        if (!((double)values[2][e] == sum)) {
            status = cldeform__fail(CLDEFORM_SELFTEST_FAILED, "element %zu of the product is %.9g; it must be %.9g", e,
                                    (double)values[2][e], sum);
            goto done;
        }
    }
done:
    for (int i = 0; i < 4; i++)
        if (buffers[i])
            clReleaseMemObject(buffers[i]);
    for (int i = 0; i < 3; i++)
        free(values[i]);
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

static cldeform_status run_check(cldeform_context *context, cl_command_queue queue, const check *row)
{
    const cldeform_conv2d_problem problem = problem_of(row);
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
    const cldeform_conv2d_problem problem = problem_of(&checks[0]);
    options.cache_dir = context->cache_dir ? context->cache_dir : "";
    TRY(cldeform_context_create(context->cl, context->device, &options, &tuned));
    tuned->tuning.col2im = way;
    TRY(check_conv2d(tuned, queue, &problem, CLDEFORM_GRAD_INPUT, 0));
done:
    cldeform_context_destroy(tuned);
    return status;
}

/* Tells the caller of one check and keeps the first failure. */
static void tell(cldeform_selftest_function report, void *user, const char *name, cldeform_status status, int *failed,
                 char *first, size_t first_size)
{
    if (status != CLDEFORM_OK && (*failed)++ == 0)
        snprintf(first, first_size, "%s: %s", name, cldeform_last_error());
    if (report)
        report(name, status, status == CLDEFORM_OK ? "" : cldeform_last_error(), user);
}

cldeform_status cldeform_selftest(cldeform_context *context, cldeform_selftest_function report, void *user)
{
    cl_int error = CL_SUCCESS;
    cldeform__lane *lane = NULL;
    int failed = 0;
    char first[1024] = "";
    if (!context)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "context is NULL");
    const cldeform_status status = cldeform__lane_take(context, false, 0, NULL, &lane);
    if (status != CLDEFORM_OK)
        return status;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        if (checks[i].dtype != CLDEFORM_F64 || context->facts.fp64)
            tell(report, user, checks[i].name, run_check(context, lane->queue, &checks[i]), &failed, first,
                 sizeof first);
    static const char *const ways[] = {"col2im scatter", "col2im gather", "col2im atomic"};
    for (int way = 0; way < 3; way++)
        tell(report, user, ways[way], check_way(context, lane->queue, way), &failed, first, sizeof first);
    const cldeform_conv2d_problem first_problem = problem_of(&checks[0]);
    tell(report, user, "offset statistics", check_statistics(context, lane->queue, &first_problem), &failed, first,
         sizeof first);
    tell(report, user, "gemm fp32", check_gemm(context, lane->queue, false), &failed, first, sizeof first);
    tell(report, user, "gemm fp32 builtin", check_gemm(context, lane->queue, true), &failed, first, sizeof first);
    error = clFinish(lane->queue);
    cldeform__lane_return(context, lane, NULL);
    if (failed > 0)
        return cldeform__fail(CLDEFORM_SELFTEST_FAILED, "%d of the self-test's checks failed, the first is %s", failed,
                              first);
    return error == CL_SUCCESS ? CLDEFORM_OK : cldeform__fail_cl(error, "clFinish");
}
