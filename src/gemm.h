/* Matrix products. The only file of the library that sees CLBlast is gemm.c. */
#ifndef CLDEFORM_GEMM_H
#define CLDEFORM_GEMM_H

#include "launch.h"

/* C (m, n) = A (m, k) * B (k, n), row-major, C overwritten whatever it held. */
typedef struct cldeform__gemm {
    int64_t m, n, k, lda, ldb, ldc;  /* ld: elements from a row to the next, as the matrix is stored */
    bool a_transposed, b_transposed; /* stored as (k, m), (n, k) */
} cldeform__gemm;

typedef struct cldeform__matrix {
    cl_mem buffer;
    size_t start; /* elements */
} cldeform__matrix;

/* How a context multiplies in one type. */
typedef struct cldeform__gemm_engine {
    bool fp64;
    const char *name; /* "clblast" or "builtin" */
    const char *reason;
    cldeform__kernel *builtin; /* NULL: CLBlast */
} cldeform__gemm_engine;

/* Chooses CLBlast, or the built-in kernel where the device is too small for CLBlast's work-groups, and compiles the
 * latter. Blocking. */
cldeform_status cldeform__gemm_prepare(cldeform_context *context, bool fp64, cldeform__gemm_engine *engine);

/* The built-in kernel on any device. */
cldeform_status cldeform__gemm_prepare_builtin(cldeform_context *context, bool fp64, cldeform__gemm_engine *engine);

/* Bytes of scratch that products of this shape need at most, wherever their matrices begin. */
cldeform_status cldeform__gemm_scratch(cldeform_context *context, const cldeform__gemm_engine *engine,
                                       const cldeform__gemm *gemm, size_t *bytes);

/* Whether the engine can address the matrix of so many elements from there on. */
bool cldeform__gemm_can_address(const cldeform__gemm_engine *engine, size_t start, size_t elements);

/* Enqueues the product as a step of the call. scratch: a buffer of the size asked for above, NULL if that was 0. */
cldeform_status cldeform__gemm_enqueue(cldeform__call *call, const cldeform__gemm_engine *engine,
                                       const cldeform__gemm *gemm, cldeform__matrix a, cldeform__matrix b,
                                       cldeform__matrix c, cl_mem scratch);

#endif
