#include "guarded.h"
#include "storage.h"

#include <stdlib.h>
#include <string.h>

enum { GUARD = 1024, FILL = 0xff }; /* bytes of a guard; 0xffff... is a NaN in every type */

static size_t element_size(const test_guarded *g)
{
    return cldeform__dtype_size(g->dtype);
}

/* Where element e of the dense tensor lies in the buffer. */
static size_t place(const test_guarded *g, size_t e)
{
    const size_t image = g->rows * g->row;
    return g->first + e / image * g->image_stride + e % image / g->row * g->row_stride + e % g->row;
}

void test_guarded_create(const test_device *on, test_guarded *g, const double *values, cl_mem_flags flags)
{
    cl_int error = CL_SUCCESS;
    const size_t element = element_size(g), elements = g->images * g->rows * g->row;
    g->row_stride = g->row + g->row_gap;
    g->image_stride = g->rows > 0 ? (g->rows - 1) * g->row_stride + g->row + g->image_gap : 0;
    g->first = GUARD / element + g->shift;
    g->size = 2 * GUARD + (g->images * g->image_stride + 8) * element;
    g->bytes = malloc(g->size);
    assert_non_null(g->bytes);
    memset(g->bytes, FILL, g->size);
    for (size_t e = 0; values && e < elements; e++)
        cldeform__store_element(g->bytes, place(g, e), g->dtype, values[e]);
    g->buffer = clCreateBuffer(on->cl, flags | CL_MEM_COPY_HOST_PTR, g->size, g->bytes, &error);
    assert_int_equal(error, CL_SUCCESS);
}

cldeform_tensor test_guarded_tensor(const test_guarded *g)
{
    return (cldeform_tensor){g->buffer, g->first, g->image_gap ? g->image_stride : 0};
}

void test_guarded_check(test_guarded *g, cl_command_queue queue, size_t first, size_t elements)
{
    const size_t element = element_size(g);
    unsigned char *after = malloc(g->size);
    assert_non_null(after);
    assert_cl(clEnqueueReadBuffer(queue, g->buffer, CL_TRUE, 0, g->size, after, 0, NULL, NULL));
    for (size_t e = first; e < first + elements; e++) /* these may differ */
        memcpy(g->bytes + place(g, e) * element, after + place(g, e) * element, element);
    for (size_t i = 0; i < g->size; i++)
        if (after[i] != g->bytes[i])
            fail_msg("something wrote to byte %zu of the %s's buffer, where the call has nothing to write", i, g->name);
    free(after);
}

void test_guarded_values(const test_guarded *g, double *values)
{
    for (size_t e = 0; e < g->images * g->rows * g->row; e++)
        values[e] = cldeform__load_element(g->bytes, place(g, e), g->dtype);
}

void test_guarded_destroy(test_guarded *g)
{
    free(g->bytes);
    if (g->buffer)
        assert_cl(clReleaseMemObject(g->buffer));
    g->bytes = NULL;
    g->buffer = NULL;
}

/* One alignment before and behind: the workspace does not begin where its buffer does. */
void test_scratch_create(const test_device *on, test_scratch *scratch, size_t bytes)
{
    cl_int error = CL_SUCCESS;
    const size_t size = bytes + 2 * CLDEFORM_WORKSPACE_ALIGNMENT;
    unsigned char *nan = malloc(size); /* its content means nothing: not to anyone */
    assert_non_null(nan);
    memset(nan, FILL, size);
    scratch->workspace = (cldeform_workspace){NULL, CLDEFORM_WORKSPACE_ALIGNMENT, bytes};
    scratch->workspace.buffer = clCreateBuffer(on->cl, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, size, nan, &error);
    assert_int_equal(error, CL_SUCCESS);
    free(nan);
}

void test_scratch_check(const test_scratch *scratch, cl_command_queue queue)
{
    enum { SIZE = CLDEFORM_WORKSPACE_ALIGNMENT };
    unsigned char guard[2 * SIZE];
    const cldeform_workspace *workspace = &scratch->workspace;
    assert_cl(clEnqueueReadBuffer(queue, workspace->buffer, CL_TRUE, 0, SIZE, guard, 0, NULL, NULL));
    assert_cl(clEnqueueReadBuffer(queue, workspace->buffer, CL_TRUE, SIZE + workspace->size, SIZE, guard + SIZE, 0,
                                  NULL, NULL));
    for (size_t i = 0; i < sizeof guard; i++)
        if (guard[i] != FILL)
            fail_msg("something wrote outside of the workspace's %zu bytes", workspace->size);
}

void test_scratch_destroy(test_scratch *scratch)
{
    if (scratch->workspace.buffer)
        assert_cl(clReleaseMemObject(scratch->workspace.buffer));
    scratch->workspace.buffer = NULL;
}

double test_round(double value, cldeform_dtype dtype)
{
    double stored;
    cldeform__store_element(&stored, 0, dtype, value);
    return cldeform__load_element(&stored, 0, dtype);
}
