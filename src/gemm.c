/* CLBlast, with its gaps closed: it takes no wait list, its event is that of its last kernel only, its first calls
 * crash when threads make them at once, its indices are 32 bits wide, and its kernels need work-groups of 256. Its
 * batched forms are not used: one gives wrong results with offsets, the other blocks. */
#include "gemm.h"
#include "geometry.h"

#include <clblast_c.h>

enum {
    CLBLAST_GROUP = 256, /* largest work-group among CLBlast's default kernels (padding and transposition) */
    BUILTIN_ROWS = 4,    /* ROWS and COLUMNS of cl/gemm.cl */
    BUILTIN_COLUMNS = 4
};

static cldeform__mutex clblast_lock = CLDEFORM__MUTEX_INIT;

void cldeform_gemm_lock(void)
{
    cldeform__mutex_lock(&clblast_lock);
}

void cldeform_gemm_unlock(void)
{
    cldeform__mutex_unlock(&clblast_lock);
}

cldeform_status cldeform_gemm_clear_cache(void)
{
    cldeform_gemm_lock();
    const CLBlastStatusCode code = CLBlastClearCache();
    cldeform_gemm_unlock();
    if (code != CLBlastSuccess)
        return cldeform__fail(CLDEFORM_GEMM_ERROR, "CLBlastClearCache returned %d", (int)code);
    return CLDEFORM_OK;
}

/* CLBlast passes OpenCL's codes through; its own are below -1000. */
static cldeform_status fail(CLBlastStatusCode code, const cldeform__gemm *gemm)
{
    switch ((int)code) {
    case CL_MEM_OBJECT_ALLOCATION_FAILURE:
    case CL_OUT_OF_RESOURCES:
    case CL_OUT_OF_HOST_MEMORY:
        return cldeform__fail_cl((cl_int)code, "CLBlast, product of %lld x %lld x %lld", (long long)gemm->m,
                                 (long long)gemm->n, (long long)gemm->k);
    default:
        cldeform__fail(CLDEFORM_GEMM_ERROR, "CLBlast returned %d for a product of %lld x %lld x %lld (%s)", (int)code,
                       (long long)gemm->m, (long long)gemm->n, (long long)gemm->k,
                       (int)code > -1000 ? cldeform__cl_error_name((cl_int)code) : "see its clblast_c.h");
        cldeform__set_cl_error((int)code > -1000 ? (cl_int)code : CL_SUCCESS);
        return CLDEFORM_GEMM_ERROR;
    }
}

cldeform_status cldeform__gemm_prepare_builtin(cldeform_context *context, bool fp64, cldeform__gemm_engine *engine)
{
    cldeform__program *program = NULL;
    const cldeform_status status =
        cldeform__program_get(context, "gemm", fp64 ? "-DDATA_BITS=64" : "-DDATA_BITS=32", &program);
    if (status != CLDEFORM_OK)
        return status;
    *engine = (cldeform__gemm_engine){fp64, "builtin", "tuning", NULL};
    return cldeform__program_require(program, "gemm", &engine->builtin);
}

cldeform_status cldeform__gemm_prepare(cldeform_context *context, bool fp64, cldeform__gemm_engine *engine)
{
    const bool wanted = context->tuning.gemm_clblast, can = context->facts.max_group >= CLBLAST_GROUP;
    if (wanted && can) {
        *engine = (cldeform__gemm_engine){fp64, "clblast", "tuning", NULL};
        return CLDEFORM_OK;
    }
    const cldeform_status status = cldeform__gemm_prepare_builtin(context, fp64, engine);
    if (wanted)
        engine->reason = "the device's work-groups are too small for CLBlast";
    return status;
}

static CLBlastTranspose transpose(bool transposed)
{
    return transposed ? CLBlastTransposeYes : CLBlastTransposeNo;
}

cldeform_status cldeform__gemm_scratch(cldeform_context *context, const cldeform__gemm_engine *engine,
                                       const cldeform__gemm *gemm, size_t *bytes)
{
    cldeform__lane *lane = NULL;
    *bytes = 0;
    const size_t loop_limit = context->facts.loop_limit;
    if (engine->builtin && loop_limit && gemm->k > (int64_t)loop_limit / 8) /* 6 of its loops' iterations for each k */
        return cldeform__fail(CLDEFORM_UNSUPPORTED,
                              "%s ends loops after %zu iterations; the built-in product would need more for %lld terms",
                              context->facts.name, loop_limit, (long long)gemm->k);
    if (engine->builtin || gemm->m == 0 || gemm->n == 0 || gemm->k == 0)
        return CLDEFORM_OK;
    /* the query wants a queue, of which it reads the device */
    const cldeform_status status = cldeform__lane_take(context, false, 0, NULL, &lane);
    if (status != CLDEFORM_OK)
        return status;
    CLBlastStatusCode code = CLBlastSuccess;
    cldeform_gemm_lock();
    for (size_t start = 0; start < 2 && code == CLBlastSuccess; start++) { /* a start of 0 may save a copy */
        size_t needed = 0;
        code = (engine->fp64 ? CLBlastDGemmTempBufferSize : CLBlastSGemmTempBufferSize)(
            CLBlastLayoutRowMajor, transpose(gemm->a_transposed), transpose(gemm->b_transposed), (size_t)gemm->m,
            (size_t)gemm->n, (size_t)gemm->k, start, (size_t)gemm->lda, start, (size_t)gemm->ldb, start,
            (size_t)gemm->ldc, &lane->queue, &needed);
        if (needed > *bytes)
            *bytes = needed;
    }
    cldeform_gemm_unlock();
    cldeform__lane_return(context, lane, NULL);
    return code == CLBlastSuccess ? CLDEFORM_OK : fail(code, gemm);
}

bool cldeform__gemm_can_address(const cldeform__gemm_engine *engine, size_t start, size_t elements)
{
    return engine->builtin || (start <= INT32_MAX && elements <= (size_t)INT32_MAX - start);
}

static double flop_of(const cldeform__gemm *gemm)
{
    return 2.0 * (double)gemm->m * (double)gemm->n * (double)gemm->k;
}

static double bytes_of(const cldeform__gemm_engine *engine, const cldeform__gemm *gemm)
{
    const double elements =
        (double)gemm->m * (double)gemm->k + (double)gemm->k * (double)gemm->n + (double)gemm->m * (double)gemm->n;
    return elements * (engine->fp64 ? 8 : 4);
}

static cldeform_status enqueue_builtin(cldeform__call *call, const cldeform__gemm_engine *engine,
                                       const cldeform__gemm *gemm, cldeform__matrix a, cldeform__matrix b,
                                       cldeform__matrix c)
{
    const cl_int m = (cl_int)gemm->m, n = (cl_int)gemm->n, k = (cl_int)gemm->k, ldc = (cl_int)gemm->ldc;
    const cl_int lda = (cl_int)gemm->lda, ldb = (cl_int)gemm->ldb, one = 1;
    const cl_int *a_step[] = {&lda, &one}, *b_step[] = {&ldb, &one}; /* of rows, of columns */
    const cl_ulong a_start = a.start, b_start = b.start, c_start = c.start;
    const cldeform__argument arguments[] = {
        ARGUMENT(m),
        ARGUMENT(n),
        ARGUMENT(k),
        ARGUMENT(a.buffer),
        ARGUMENT(a_start),
        ARGUMENT(*a_step[gemm->a_transposed]),
        ARGUMENT(*a_step[!gemm->a_transposed]),
        ARGUMENT(b.buffer),
        ARGUMENT(b_start),
        ARGUMENT(*b_step[gemm->b_transposed]),
        ARGUMENT(*b_step[!gemm->b_transposed]),
        ARGUMENT(c.buffer),
        ARGUMENT(c_start),
        ARGUMENT(ldc),
    };
    const cldeform__launch launch = {
        .step = "gemm",
        .kernel = engine->builtin,
        .arguments = arguments,
        .n_arguments = sizeof arguments / sizeof arguments[0],
        .items = {(size_t)cldeform__divide_up(n, BUILTIN_COLUMNS),
                  (size_t)cldeform__at_most(cldeform__divide_up(m, BUILTIN_ROWS), CLDEFORM__MOST_GROUPS), 1},
        .group = (size_t)call->context->tuning.im2col_group,
        .flop = flop_of(gemm),
        .bytes = bytes_of(engine, gemm),
    };
    return cldeform__call_launch(call, &launch);
}

/* CLBlast's queue must be one that runs in order: the caller's, or a lane. */
static cldeform_status choose_queue(cldeform__call *call, cl_command_queue *queue)
{
    if (call->out_of_order && !call->lane) {
        const cldeform_status status =
            cldeform__lane_take(call->context, call->profiling, call->n_wait, call->wait, &call->lane);
        if (status != CLDEFORM_OK)
            return status;
    }
    *queue = call->lane ? call->lane->queue : call->queue;
    return CLDEFORM_OK;
}

static cldeform_status enqueue_clblast(cldeform__call *call, const cldeform__gemm_engine *engine,
                                       const cldeform__gemm *gemm, cldeform__matrix a, cldeform__matrix b,
                                       cldeform__matrix c, cl_mem scratch)
{
    cldeform_status status;
    cl_command_queue queue = NULL;
    cl_event first = NULL, last = NULL;
    cl_uint n_wait;
    const cl_event *wait;
    cl_int error = CL_SUCCESS;
    TRY(choose_queue(call, &queue));
    cldeform__call_waits(call, &n_wait, &wait);
    if (call->last_in_lane)
        n_wait = 0;      /* the lane's order is enough */
    else if (call->lane) /* a queue may wait for events of another one only after that one has been flushed */
        error = clFlush(call->queue);
    if (error == CL_SUCCESS && (n_wait > 0 || call->context->trace))
        error =
            clEnqueueMarkerWithWaitList(queue, n_wait, n_wait > 0 ? wait : NULL, call->context->trace ? &first : NULL);
    if (error != CL_SUCCESS) {
        status = cldeform__fail_cl(error, "clEnqueueMarkerWithWaitList");
        goto done;
    }

    cldeform_gemm_lock();
    const CLBlastTranspose a_form = transpose(gemm->a_transposed), b_form = transpose(gemm->b_transposed);
    const CLBlastStatusCode code =
        engine->fp64
            ? CLBlastDgemmWithTempBuffer(CLBlastLayoutRowMajor, a_form, b_form, (size_t)gemm->m, (size_t)gemm->n,
                                         (size_t)gemm->k, 1.0, a.buffer, a.start, (size_t)gemm->lda, b.buffer, b.start,
                                         (size_t)gemm->ldb, 0.0, c.buffer, c.start, (size_t)gemm->ldc, &queue,
                                         call->keep_events ? &last : NULL, scratch)
            : CLBlastSgemmWithTempBuffer(CLBlastLayoutRowMajor, a_form, b_form, (size_t)gemm->m, (size_t)gemm->n,
                                         (size_t)gemm->k, 1.0f, a.buffer, a.start, (size_t)gemm->lda, b.buffer, b.start,
                                         (size_t)gemm->ldb, 0.0f, c.buffer, c.start, (size_t)gemm->ldc, &queue,
                                         call->keep_events ? &last : NULL, scratch);
    cldeform_gemm_unlock();
    if (code != CLBlastSuccess) {
        status = fail(code, gemm);
        goto done;
    }
    cldeform__call_advance(call, last, call->lane != NULL);
    cldeform__call_trace(call, "gemm", first, last, flop_of(gemm), bytes_of(engine, gemm));
    last = NULL;
done:
    if (first)
        clReleaseEvent(first);
    if (last)
        clReleaseEvent(last);
    return status;
}

cldeform_status cldeform__gemm_enqueue(cldeform__call *call, const cldeform__gemm_engine *engine,
                                       const cldeform__gemm *gemm, cldeform__matrix a, cldeform__matrix b,
                                       cldeform__matrix c, cl_mem scratch)
{
    return engine->builtin ? enqueue_builtin(call, engine, gemm, a, b, c)
                           : enqueue_clblast(call, engine, gemm, a, b, c, scratch);
}
