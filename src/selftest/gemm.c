/* Self-test of the matrix products. */
#include "../gemm.h"
#include "selftest.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS = 130 };

static cldeform_status check_gemm(cldeform_context *context, cl_command_queue queue, bool builtin, int64_t n, int64_t k)
{
    cldeform_status status;
    cldeform__gemm_engine engine;
    cldeform__call call;
    cl_mem buffers[4] = {NULL}; /* A, B, C, scratch */
    cl_int error = CL_SUCCESS;
    size_t scratch = 0;
    const cldeform__gemm gemm = {.m = ROWS, .n = n, .k = k, .lda = k, .ldb = n, .ldc = n};
    const size_t columns = (size_t)n, depth = (size_t)k;
    const size_t elements[3] = {ROWS * depth, depth * columns, ROWS * columns};
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
            values[i][e] = i == 2 ? NAN : (float)rint(cldeform__small_number(&state));
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
        for (size_t d = 0; d < depth; d++)
            sum += (double)values[0][e / columns * depth + d] * (double)values[1][d * columns + e % columns];
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

void cldeform__selftest_gemm(cldeform_context *context, cl_command_queue queue, cldeform__selftest_tell tell,
                             void *user)
{
    /* Large enough for CLBlast's kernel for large products; no size a multiple of tiles. */
    tell("gemm fp32", check_gemm(context, queue, false, 2051, 2741), user);
    tell("gemm fp32 builtin", check_gemm(context, queue, true, 517, 341), user);
}
