/* Matrix products. The only file of the library that sees CLBlast is gemm.c. */
#ifndef CLDEFORM_GEMM_H
#define CLDEFORM_GEMM_H

#include "launch.h"

/* C (m, n) = A (m, k) * B (k, n), row-major, C overwritten whatever it held. */
typedef struct cldeform__gemm {
    int64_t m, n, k, lda, ldb, ldc;  /* ld: elements from a row to the next, as the matrix is stored */
    bool a_transposed, b_transposed; /* stored as (k, m), (n, k) */
    bool aligned;                    /* all three begin where cldeform__gemm_aligned says, which can save copies */
} cldeform__gemm;

typedef struct cldeform__matrix {
    cl_mem buffer;
    size_t start; /* elements */
} cldeform__matrix;

/* How a context multiplies in one type. CLBlast copies a matrix that its kernel for large products cannot take as it
 * is. It takes without a copy: aligned matrices with a leading dimension of exactly a row, where m and n are multiples
 * of `tile` and k of what CLBlast wants there (32 at most), b not transposed, and a as wants_a_transposed says. */
typedef struct cldeform__gemm_engine {
    bool fp64;
    const char *name; /* "clblast" or "builtin" */
    const char *reason;
    cldeform__kernel *builtin; /* NULL: CLBlast */
    bool wants_a_transposed;
    int64_t tile;           /* 1: it is never known to take anything as it is */
    const char *parameters; /* of CLBlast's kernel: a set's name, or "clblast's" */
    const char *parameters_reason;
    unsigned generation; /* of CLBlast's parameters in this process, when the engine was prepared */
} cldeform__gemm_engine;

/* Chooses CLBlast, or the built-in kernel where the device is too small for CLBlast's work-groups, and compiles the
 * latter. Gives CLBlast the parameters of the tuning, for the whole process. Blocking. */
cldeform_status cldeform__gemm_prepare(cldeform_context *context, bool fp64, cldeform__gemm_engine *engine);

/* The built-in kernel on any device. */
cldeform_status cldeform__gemm_prepare_builtin(cldeform_context *context, bool fp64, cldeform__gemm_engine *engine);

/* Whether a matrix may begin so many bytes behind its buffer's begin and be called aligned. */
bool cldeform__gemm_aligned(const cldeform_context *context, size_t bytes);

/* Bytes of scratch that products of this shape need at most, wherever their matrices begin (within `aligned`). */
cldeform_status cldeform__gemm_scratch(cldeform_context *context, const cldeform__gemm_engine *engine,
                                       const cldeform__gemm *gemm, size_t *bytes);

/* Whether the engine can address the matrix of so many elements from there on. */
bool cldeform__gemm_can_address(const cldeform__gemm_engine *engine, size_t start, size_t elements);

/* Enqueues the product as a step of the call. scratch: a buffer of the size asked for above, NULL if that was 0. */
cldeform_status cldeform__gemm_enqueue(cldeform__call *call, const cldeform__gemm_engine *engine,
                                       const cldeform__gemm *gemm, cldeform__matrix a, cldeform__matrix b,
                                       cldeform__matrix c, cl_mem scratch);

#endif
