/* Kernels by family (a file of cl/) and variant (its -D options): compiled once per context, or taken from disk. */
#ifndef CLDEFORM_PROGRAM_H
#define CLDEFORM_PROGRAM_H

#include "context.h"

typedef struct cldeform__kernel {
    cl_kernel kernel;
    cldeform__mutex mutex; /* held from the first argument to the enqueue: a cl_kernel is one state for all threads */
    size_t max_group;      /* CL_KERNEL_WORK_GROUP_SIZE */
    char name[64];
} cldeform__kernel;

/* Lives as long as the context. */
typedef struct cldeform__program {
    struct cldeform__program *next;
    const char *family;
    char *options;
    cldeform__mutex mutex; /* guards building */
    bool built;
    cl_program program;
    cldeform__kernel *kernels;
    cl_uint n_kernels;
} cldeform__program;

/* The program, compiled. Blocking. Variants are told apart by the text of their options: "-DKIND=1 -DNHWC=0". The
 * language is OpenCL C 1.2 unless they name another with -cl-std.
 * Errors: BUILD_FAILED with the end of the build log, OUT_OF_MEMORY, OPENCL_ERROR. */
cldeform_status cldeform__program_get(cldeform_context *context, const char *family, const char *options,
                                      cldeform__program **program);

/* A kernel of a built program; NULL if there is none of that name. */
cldeform__kernel *cldeform__program_kernel(const cldeform__program *program, const char *name);

/* The same; BUILD_FAILED if there is none. */
cldeform_status cldeform__program_require(const cldeform__program *program, const char *name,
                                          cldeform__kernel **kernel);

void cldeform__programs_release(cldeform__program *first);

#endif
