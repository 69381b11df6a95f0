#include "workspace.h"
#include "geometry.h"

#include <string.h>

static size_t round_up(size_t size, size_t alignment)
{
    return (size + alignment - 1) / alignment * alignment;
}

bool cldeform__workspace_bytes(const cldeform_context *context, const size_t *parts, int n, size_t *bytes)
{
    const size_t alignment = context->facts.base_alignment;
    int64_t total = 0;
    for (int i = 0; i < n; i++) {
        int64_t rounded;
        if (parts[i] > INT64_MAX || !cldeform__round_up((int64_t)parts[i], (int64_t)alignment, &rounded) ||
            !cldeform__add(total, rounded, &total))
            return false;
    }
    /* A workspace begins at a multiple of CLDEFORM_WORKSPACE_ALIGNMENT of its buffer, which may be a sub-buffer at any
     * multiple of the device's alignment: by so much it may miss a multiple of ours. */
    const size_t sub = context->facts.sub_alignment;
    const size_t step = sub < CLDEFORM_WORKSPACE_ALIGNMENT ? sub : CLDEFORM_WORKSPACE_ALIGNMENT;
    if (total > 0 && !cldeform__add(total, (int64_t)(alignment - step), &total))
        return false;
    *bytes = (size_t)total;
    return true;
}

cldeform_status cldeform__workspace_begin(cldeform__workspace *workspace, const cldeform_context *context,
                                          const cldeform__range *range, size_t size)
{
    memset(workspace, 0, sizeof *workspace);
    workspace->context = context;
    if (range) {
        workspace->allocation = range->allocation;
        workspace->next = range->start;
        workspace->end = range->end;
    } else if (size > 0) {
        cl_int error = CL_SUCCESS;
        workspace->allocation = clCreateBuffer(context->cl, CL_MEM_READ_WRITE, size, NULL, &error);
        if (error != CL_SUCCESS)
            return cldeform__fail_cl(error, "clCreateBuffer(workspace of %zu bytes)", size);
        workspace->owned = true;
        workspace->end = size;
    }
    return CLDEFORM_OK;
}

cldeform_status cldeform__workspace_part(cldeform__workspace *workspace, size_t size, cl_mem *part)
{
    *part = NULL;
    if (size == 0)
        return CLDEFORM_OK;
    const cl_buffer_region region = {round_up(workspace->next, workspace->context->facts.base_alignment), size};
    if (workspace->n_parts == CLDEFORM__MAX_PARTS || region.origin > workspace->end ||
        size > workspace->end - region.origin)
        return cldeform__fail(CLDEFORM_BUFFER_TOO_SMALL,
                              "workspace ends at byte %zu; a part of it needs %zu bytes from byte %zu on",
                              workspace->end, size, region.origin);
    cl_int error = CL_SUCCESS;
    cl_mem buffer = clCreateSubBuffer(workspace->allocation, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &error);
    if (error != CL_SUCCESS)
        return cldeform__fail_cl(error, "clCreateSubBuffer(bytes %zu to %zu of the workspace)", region.origin,
                                 region.origin + size);
    workspace->parts[workspace->n_parts++] = buffer;
    workspace->next = region.origin + size;
    *part = buffer;
    return CLDEFORM_OK;
}

void cldeform__workspace_end(cldeform__workspace *workspace)
{
    while (workspace->n_parts > 0)
        clReleaseMemObject(workspace->parts[--workspace->n_parts]);
    if (workspace->owned)
        clReleaseMemObject(workspace->allocation);
    workspace->owned = false;
}
