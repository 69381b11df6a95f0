/* CLBlast, with its gaps closed: it takes no wait list, its event is that of its last kernel only, its first calls
 * crash when threads make them at once, its indices are 32 bits wide, and its kernels need work-groups of 256. Its
 * batched forms are not used: one gives wrong results with offsets, the other blocks. */
#include "gemm.h"
#include "gemm_parameters.h"
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

/* ---- parameters ---------------------------------------------------------------------------------------- */

/* What this process has made CLBlast take, per device, under the lock. CLBlast's own record is as process-wide. */
enum { MOST_DEVICES = 16 };
static struct {
    cl_device_id device;
    int set, indirect;
} overridden[MOST_DEVICES];
static int n_overridden;
static unsigned generation; /* how often anything was overridden */

static bool override_parameters(cldeform_context *context, const cldeform__gemm_set *set, int indirect)
{
    if (set && CLBlastOverrideParameters(context->device, "Xgemm", CLBlastPrecisionSingle, CLDEFORM__GEMM_VALUES,
                                         (const char **)cldeform__gemm_value_names, set->values) != CLBlastSuccess)
        return false;
    const char *name = "XGEMM_MIN_INDIRECT_SIZE";
    const size_t least = (size_t)indirect;
    return indirect == 0 || CLBlastOverrideParameters(context->device, "GemmRoutine", CLBlastPrecisionSingle, 1, &name,
                                                      &least) == CLBlastSuccess;
}

/* Gives CLBlast what the tuning says, unless it has it already: each time it compiles its kernels anew. */
static void choose_parameters(cldeform_context *context, cldeform__gemm_engine *engine)
{
    const int number = context->tuning.gemm_parameters, indirect = context->tuning.gemm_indirect;
    const cldeform__gemm_set *set = cldeform__gemm_set_of(number);
    engine->parameters = "clblast's";
    engine->parameters_reason = engine->fp64 && set ? "the sets are for single precision" : "tuning";
    if (engine->fp64)
        return;
    const char *refusal = set ? cldeform__gemm_set_refuses(set, &context->facts) : NULL;
    if (refusal) {
        engine->parameters_reason = refusal;
        set = NULL;
    }
    cldeform_gemm_lock();
    int i = 0;
    while (i < n_overridden && overridden[i].device != context->device)
        i++;
    const int wanted = set ? number : 0;
    const bool known = i < n_overridden && (wanted == 0 || overridden[i].set == wanted) &&
                       (indirect == 0 || overridden[i].indirect == indirect);
    if (!known && (wanted || indirect)) {
        generation++;
        if (i == MOST_DEVICES || !override_parameters(context, set, indirect)) {
            engine->parameters_reason = i == MOST_DEVICES ? "too many devices" : "CLBlast refuses them";
            set = NULL;
        } else {
            if (i == n_overridden)
                overridden[n_overridden++].device = context->device;
            if (wanted)
                overridden[i].set = wanted;
            if (indirect)
                overridden[i].indirect = indirect;
        }
    }
    engine->generation = generation;
    cldeform_gemm_unlock();
    if (set)
        engine->parameters = set->name;
}

static CLBlastTranspose transpose(bool transposed)
{
    return transposed ? CLBlastTransposeYes : CLBlastTransposeNo;
}

/* Bytes that CLBlast copies to for this product with matrices that begin at these elements. Under the lock. Its kernel
 * that wants A transposed makes columns of C: it is asked for the transposed product in columns instead, which is the
 * same, as is every product in the kernel for small ones. */
static CLBlastStatusCode ask_scratch(const cldeform__gemm_engine *engine, cl_command_queue *queue,
                                     const cldeform__gemm *gemm, size_t start, size_t *bytes)
{
    const CLBlastTranspose a = transpose(gemm->a_transposed), b = transpose(gemm->b_transposed);
    const size_t m = (size_t)gemm->m, n = (size_t)gemm->n, k = (size_t)gemm->k;
    const size_t lda = (size_t)gemm->lda, ldb = (size_t)gemm->ldb, ldc = (size_t)gemm->ldc;
    CLBlastStatusCode (*const ask)(CLBlastLayout, CLBlastTranspose, CLBlastTranspose, size_t, size_t, size_t, size_t,
                                   size_t, size_t, size_t, size_t, size_t, cl_command_queue *, size_t *) =
        engine->fp64 ? CLBlastDGemmTempBufferSize : CLBlastSGemmTempBufferSize;
    return engine->wants_a_transposed
               ? ask(CLBlastLayoutColMajor, b, a, n, m, k, start, ldb, start, lda, start, ldc, queue, bytes)
               : ask(CLBlastLayoutRowMajor, a, b, m, n, k, start, lda, start, ldb, start, ldc, queue, bytes);
}

/* Finds what CLBlast's kernel for large products takes without copies by asking about some: its table is not public. */
static cldeform_status find_form(cldeform_context *context, cldeform__gemm_engine *engine)
{
    enum { LARGE = 8192, LARGEST_TILE = 1024 };
    cldeform__lane *lane = NULL;
    cldeform_status status = cldeform__lane_take(context, false, 0, NULL, &lane);
    if (status != CLDEFORM_OK)
        return status;
    cldeform__gemm gemm = {.m = LARGE, .n = LARGE, .k = LARGE, .lda = LARGE, .ldb = LARGE, .ldc = LARGE};
    size_t bytes = 1;
    engine->tile = 1;
    cldeform_gemm_lock();
    CLBlastStatusCode code = ask_scratch(engine, &lane->queue, &gemm, 0, &bytes);
    if (code == CLBlastSuccess && bytes > 0) {
        engine->wants_a_transposed = gemm.a_transposed = true;
        code = ask_scratch(engine, &lane->queue, &gemm, 0, &bytes);
    }
    for (int64_t tile = 1; code == CLBlastSuccess && bytes == 0 && tile <= LARGEST_TILE; tile *= 2) {
        size_t with_tile = 0;
        gemm.m = gemm.n = gemm.ldb = gemm.ldc = LARGE + tile;
        gemm.lda = gemm.a_transposed ? gemm.m : gemm.k;
        code = ask_scratch(engine, &lane->queue, &gemm, 0, &with_tile);
        engine->tile = tile;
        if (with_tile == 0)
            break;
    }
    cldeform_gemm_unlock();
    cldeform__lane_return(context, lane, NULL);
    return code == CLBlastSuccess ? CLDEFORM_OK : fail(code, &gemm);
}

/* ---- engines ------------------------------------------------------------------------------------------- */

cldeform_status cldeform__gemm_prepare_builtin(cldeform_context *context, bool fp64, cldeform__gemm_engine *engine)
{
    cldeform__program *program = NULL;
    const cldeform_status status =
        cldeform__program_get(context, "gemm", fp64 ? "-DDATA_BITS=64" : "-DDATA_BITS=32", &program);
    if (status != CLDEFORM_OK)
        return status;
    *engine = (cldeform__gemm_engine){
        .fp64 = fp64, .name = "builtin", .reason = "tuning", .tile = 1, .parameters = "none", .parameters_reason = ""};
    return cldeform__program_require(program, "gemm", &engine->builtin);
}

cldeform_status cldeform__gemm_prepare(cldeform_context *context, bool fp64, cldeform__gemm_engine *engine)
{
    const bool wanted = context->tuning.gemm_clblast, can = context->facts.max_group >= CLBLAST_GROUP;
    if (wanted && can) {
        *engine = (cldeform__gemm_engine){.fp64 = fp64, .name = "clblast", .reason = "tuning"};
        choose_parameters(context, engine);
        return find_form(context, engine);
    }
    const cldeform_status status = cldeform__gemm_prepare_builtin(context, fp64, engine);
    if (wanted)
        engine->reason = "the device's work-groups are too small for CLBlast";
    return status;
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
    /* a start of 0 may save a copy */
    for (size_t start = 0; start < (gemm->aligned ? 1 : 2) && code == CLBlastSuccess; start++) {
        size_t needed = 0;
        code = ask_scratch(engine, &lane->queue, gemm, start, &needed);
        if (needed > *bytes)
            *bytes = needed;
    }
    cldeform_gemm_unlock();
    cldeform__lane_return(context, lane, NULL);
    return code == CLBlastSuccess ? CLDEFORM_OK : fail(code, gemm);
}

bool cldeform__gemm_aligned(const cldeform_context *context, size_t bytes)
{
    return bytes % context->facts.base_alignment == 0;
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

/* The matrix as a buffer of its own, to begin at element 0, where CLBlast needs no copy of it. Retained. */
static cldeform_status view_matrix(const cldeform__matrix *matrix, size_t size, cl_mem *view)
{
    cl_mem parent = NULL;
    size_t origin = 0, bytes = 0;
    cl_int error = CL_SUCCESS;
    if (matrix->start == 0) {
        error = clRetainMemObject(matrix->buffer);
        *view = matrix->buffer;
    } else { /* of a sub-buffer there is none: of what that is a part of, then */
        error = clGetMemObjectInfo(matrix->buffer, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof parent, &parent, NULL);
        if (error == CL_SUCCESS)
            error = clGetMemObjectInfo(matrix->buffer, CL_MEM_OFFSET, sizeof origin, &origin, NULL);
        if (error == CL_SUCCESS)
            error = clGetMemObjectInfo(matrix->buffer, CL_MEM_SIZE, sizeof bytes, &bytes, NULL);
        const cl_buffer_region region = {origin + matrix->start * size, bytes - matrix->start * size};
        if (error == CL_SUCCESS)
            *view =
                clCreateSubBuffer(parent ? parent : matrix->buffer, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &error);
    }
    return error == CL_SUCCESS ? CLDEFORM_OK : cldeform__fail_cl(error, "sub-buffer of a matrix");
}

/* The product in CLBlast's words; see ask_scratch. Under the lock. */
static CLBlastStatusCode multiply(const cldeform__gemm_engine *engine, cl_command_queue *queue,
                                  const cldeform__gemm *gemm, const cldeform__matrix *a, const cldeform__matrix *b,
                                  const cldeform__matrix *c, cl_mem scratch, cl_event *event)
{
    const bool swap = engine->wants_a_transposed;
    const CLBlastLayout layout = swap ? CLBlastLayoutColMajor : CLBlastLayoutRowMajor;
    const CLBlastTranspose first = transpose(swap ? gemm->b_transposed : gemm->a_transposed);
    const CLBlastTranspose second = transpose(swap ? gemm->a_transposed : gemm->b_transposed);
    const size_t m = (size_t)(swap ? gemm->n : gemm->m), n = (size_t)(swap ? gemm->m : gemm->n), k = (size_t)gemm->k;
    const size_t ld_first = (size_t)(swap ? gemm->ldb : gemm->lda), ld_second = (size_t)(swap ? gemm->lda : gemm->ldb);
    const cldeform__matrix *x = swap ? b : a, *y = swap ? a : b;
    return engine->fp64 ? CLBlastDgemmWithTempBuffer(layout, first, second, m, n, k, 1.0, x->buffer, x->start, ld_first,
                                                     y->buffer, y->start, ld_second, 0.0, c->buffer, c->start,
                                                     (size_t)gemm->ldc, queue, event, scratch)
                        : CLBlastSgemmWithTempBuffer(layout, first, second, m, n, k, 1.0f, x->buffer, x->start,
                                                     ld_first, y->buffer, y->start, ld_second, 0.0f, c->buffer,
                                                     c->start, (size_t)gemm->ldc, queue, event, scratch);
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
    cldeform__matrix views[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    const cldeform__matrix *matrices[3] = {&a, &b, &c};
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

    for (int i = 0; gemm->aligned && i < 3; i++) {
        TRY(view_matrix(matrices[i], engine->fp64 ? sizeof(cl_double) : sizeof(cl_float), &views[i].buffer));
        matrices[i] = &views[i];
    }
    cldeform_gemm_lock();
    /* parameters that have changed since may need another size: CLBlast then allocates what it needs */
    const CLBlastStatusCode code =
        multiply(engine, &queue, gemm, matrices[0], matrices[1], matrices[2],
                 engine->generation == generation ? scratch : NULL, call->keep_events ? &last : NULL);
    cldeform_gemm_unlock();
    if (code != CLBlastSuccess) {
        status = fail(code, gemm);
        goto done;
    }
    cldeform__call_advance(call, last, call->lane != NULL);
    cldeform__call_trace(call, "gemm", first, last, flop_of(gemm), bytes_of(engine, gemm));
    last = NULL;
done:
    for (int i = 0; i < 3; i++)
        if (views[i].buffer)
            clReleaseMemObject(views[i].buffer);
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
