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
static cldeform_status compare(const void *found, const double *expected, size_t elements, cldeform_dtype dtype,
                               double tolerance)
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
            return cldeform__fail(CLDEFORM_SELFTEST_FAILED, "element %zu is %.9g; it must be %.9g (largest %.9g)", i,
                                  have, want, largest);
    }
    return CLDEFORM_OK;
}

static cldeform_status check_conv2d(cldeform_context *context, cl_command_queue queue,
                                    const cldeform_conv2d_problem *problem, double tolerance)
{
    cldeform_status status;
    cldeform_conv2d *conv = NULL;
    cldeform_conv2d_tensors tensors = CLDEFORM_INIT(cldeform_conv2d_tensors);
    cldeform_tensor *const places[N_TENSORS] = {&tensors.input,  &tensors.offset, &tensors.mask,
                                                &tensors.weight, &tensors.bias,   &tensors.output};
    host_tensor host[N_TENSORS] = {0};
    void *found = NULL;
    uint32_t state = 20181127;
    for (int i = 0; i < N_TENSORS; i++) {
        host[i].name = (cldeform_tensor_name)i;
        if ((i == CLDEFORM_OFFSET && !cldeform__conv2d_has_offset(problem)) ||
            (i == CLDEFORM_MASK && !cldeform__conv2d_has_mask(problem)))
            continue;
        TRY(create_tensor(context, problem, &host[i], &state));
        places[i]->buffer = host[i].buffer;
    }
    const host_tensor *output = &host[CLDEFORM_OUTPUT];
    const size_t bytes = output->elements * cldeform__dtype_size(output->dtype);
    TRY(cldeform_ref_conv2d_forward(problem, host[CLDEFORM_INPUT].values, host[CLDEFORM_OFFSET].values,
                                    host[CLDEFORM_MASK].values, host[CLDEFORM_WEIGHT].values,
                                    host[CLDEFORM_BIAS].values, output->values));
    TRY(cldeform_conv2d_create(context, problem, &conv));
    TRY(cldeform_conv2d_forward(conv, queue, &tensors, NULL, 0, NULL, NULL));
    found = malloc(bytes);
    const cl_int error = found ? clEnqueueReadBuffer(queue, output->buffer, CL_TRUE, 0, bytes, found, 0, NULL, NULL)
                               : CL_OUT_OF_HOST_MEMORY;
    if (error != CL_SUCCESS) {
        status = cldeform__fail_cl(error, "reading the output");
        goto done;
    }
    TRY(compare(found, output->values, output->elements, output->dtype, tolerance));
done:
    free(found);
    cldeform_conv2d_destroy(conv);
    for (int i = 0; i < N_TENSORS; i++) {
        free(host[i].values);
        if (host[i].buffer)
            clReleaseMemObject(host[i].buffer);
    }
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
    const cldeform__gemm gemm = {ROWS, COLUMNS, DEPTH, DEPTH, COLUMNS, COLUMNS};
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
} check;

#define V1    CLDEFORM_CONV2D_DEFORMABLE
#define V2    CLDEFORM_CONV2D_MODULATED
#define PLAIN CLDEFORM_CONV2D_PLAIN
#define ZERO  CLDEFORM_BORDER_ZERO
#define EDGE  CLDEFORM_BORDER_EDGE
#define YX    CLDEFORM_OFFSET_YX
#define AS_IS CLDEFORM_MASK_AS_IS
static const check checks[] = {
    {"conv2d v1 fp32 nchw", V1, CLDEFORM_F32, CLDEFORM_NCHW, ZERO, YX, AS_IS, CLDEFORM_F32},
    {"conv2d v1 fp32 nhwc edge", V1, CLDEFORM_F32, CLDEFORM_NHWC, EDGE, YX, AS_IS, CLDEFORM_F32},
    {"conv2d v2 fp32 nchw edge", V2, CLDEFORM_F32, CLDEFORM_NCHW, EDGE, YX, AS_IS, CLDEFORM_F32},
    {"conv2d v2 fp32 nhwc", V2, CLDEFORM_F32, CLDEFORM_NHWC, ZERO, CLDEFORM_OFFSET_YX_LAST, AS_IS, CLDEFORM_F32},
    {"conv2d v2 fp32 sigmoid", V2, CLDEFORM_F32, CLDEFORM_NCHW, ZERO, CLDEFORM_OFFSET_XY, CLDEFORM_MASK_SIGMOID,
     CLDEFORM_F32},
    {"conv2d v2 fp16 nchw", V2, CLDEFORM_F16, CLDEFORM_NCHW, ZERO, CLDEFORM_OFFSET_PLANAR, AS_IS, CLDEFORM_F16},
    {"conv2d v1 fp16 nhwc fp32 offsets", V1, CLDEFORM_F16, CLDEFORM_NHWC, ZERO, YX, AS_IS, CLDEFORM_F32},
    {"conv2d plain fp32 nchw", PLAIN, CLDEFORM_F32, CLDEFORM_NCHW, ZERO, YX, AS_IS, CLDEFORM_F32},
    {"conv2d plain fp32 nhwc", PLAIN, CLDEFORM_F32, CLDEFORM_NHWC, ZERO, YX, AS_IS, CLDEFORM_F32},
    {"conv2d v2 fp64 nchw", V2, CLDEFORM_F64, CLDEFORM_NCHW, ZERO, YX, AS_IS, CLDEFORM_F64},
    {"conv2d v1 fp64 nhwc edge", V1, CLDEFORM_F64, CLDEFORM_NHWC, EDGE, YX, AS_IS, CLDEFORM_F64},
};

static cldeform_status run_check(cldeform_context *context, cl_command_queue queue, const check *row)
{
    /* everything differs from everything else: height and width, before and after, groups and offset groups */
    cldeform_conv2d_problem problem = CLDEFORM_INIT(cldeform_conv2d_problem);
    problem.kind = row->kind;
    problem.batch = 3;
    problem.in_channels = 12, problem.in_h = 11, problem.in_w = 14;
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
    return check_conv2d(context, queue, &problem, row->activation == AS_IS ? 0 : 1e-5);
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
    tell(report, user, "gemm fp32", check_gemm(context, lane->queue, false), &failed, first, sizeof first);
    tell(report, user, "gemm fp32 builtin", check_gemm(context, lane->queue, true), &failed, first, sizeof first);
    error = clFinish(lane->queue);
    cldeform__lane_return(context, lane, NULL);
    if (failed > 0)
        return cldeform__fail(CLDEFORM_SELFTEST_FAILED, "%d of the self-test's checks failed, the first is %s", failed,
                              first);
    return error == CL_SUCCESS ? CLDEFORM_OK : cldeform__fail_cl(error, "clFinish");
}
