/* One call's scratch memory, cut into parts. Each part is a sub-buffer: it begins aligned at its element 0, as GEMM
 * libraries like it, and parts may be read and written at the same time, which the standard does not allow for a buffer
 * and its own sub-buffer. */
#ifndef CLDEFORM_WORKSPACE_H
#define CLDEFORM_WORKSPACE_H

#include "arguments.h"

enum { CLDEFORM__MAX_PARTS = 24 };

typedef struct cldeform__workspace {
    const cldeform_context *context;
    cl_mem allocation;
    size_t next, end; /* bytes of the allocation */
    bool owned;
    cl_mem parts[CLDEFORM__MAX_PARTS];
    int n_parts;
} cldeform__workspace;

/* Bytes that n parts of these sizes (0: no such part) take, wherever a workspace begins; false on overflow. */
bool cldeform__workspace_bytes(const cldeform_context *context, const size_t *parts, int n, size_t *bytes);

/* Takes the caller's range (checked), or allocates `size` bytes where it is NULL. */
cldeform_status cldeform__workspace_begin(cldeform__workspace *workspace, const cldeform_context *context,
                                          const cldeform__range *range, size_t size);

/* The next part; NULL for size 0. It belongs to the workspace. */
cldeform_status cldeform__workspace_part(cldeform__workspace *workspace, size_t size, cl_mem *part);

/* Commands in flight keep the memory alive. */
void cldeform__workspace_end(cldeform__workspace *workspace);

#endif
