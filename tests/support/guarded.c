#include "guarded.h"
#include "storage.h"

#include <stdlib.h>
#include <string.h>

enum { GUARD = 1024 /* bytes */, FILL_WHOLE = 0xa5 };

/* Words of 16 bits that are NaN in every type. Arithmetic hands a NaN's bits on: where something writes what it should
 * not have read, other bits are found than were there. (As whole numbers they mean something.) */
enum { FILL_READ = 0xffff, FILL_WRITTEN = 0xfffd, FILL_SCRATCH = 0xfffe };

/* first: place of the first of these bytes in their buffer. */
static void fill(unsigned char *bytes, size_t first, size_t size, uint16_t word)
{
    unsigned char pair[2];
    memcpy(pair, &word, 2);
    for (size_t i = 0; i < size; i++)
        bytes[i] = pair[(first + i) % 2];
}

size_t test_guarded_element(const test_guarded *g)
{
    return g->whole ? sizeof(int32_t) : cldeform__dtype_size(g->dtype);
}

static void store(const test_guarded *g, size_t at, double value)
{
    if (g->whole) {
        const int32_t whole = (int32_t)value;
        memcpy(g->bytes + at * sizeof whole, &whole, sizeof whole);
    } else {
        cldeform__store_element(g->bytes, at, g->dtype, value);
    }
}

static double load(const test_guarded *g, size_t at)
{
    int32_t whole;
    if (!g->whole)
        return cldeform__load_element(g->bytes, at, g->dtype);
    memcpy(&whole, g->bytes + at * sizeof whole, sizeof whole);
    return whole;
}

/* Where element e of the dense tensor lies in the buffer. */
static size_t place(const test_guarded *g, size_t e)
{
    const size_t image = g->rows * g->row;
    return g->first + e / image * g->image_stride + e % image / g->row * g->row_stride + e % g->row;
}

test_guarded test_guarded_of(const char *name, cldeform_dtype dtype, const cldeform_shape *shape, int64_t batch,
                             const test_run *run)
{
    const size_t images = batch < 0 ? 1 : (size_t)batch;
    return (test_guarded){
        .name = name,
        .dtype = dtype,
        .images = images,
        .rows = 1,
        .row = images > 0 ? (size_t)shape->elements / images : 0,
        .image_gap = run->strided && batch > 0 ? 5 : 0,
        .shift = run->strided ? 3 : 0, /* aligned to nothing but the element */
    };
}

void test_guarded_create(const test_device *on, test_guarded *g, const double *values, cl_mem_flags flags)
{
    cl_int error = CL_SUCCESS;
    const size_t element = test_guarded_element(g), elements = g->images * g->rows * g->row;
    g->row_stride = g->row + g->row_gap;
    g->image_stride = g->rows > 0 ? (g->rows - 1) * g->row_stride + g->row + g->image_gap : 0;
    g->first = GUARD / element + g->shift;
    g->size = 2 * GUARD + (g->images * g->image_stride + 8) * element;
    g->bytes = malloc(g->size);
    assert_non_null(g->bytes);
    memset(g->bytes, FILL_WHOLE, g->size);
    if (!g->whole)
        fill(g->bytes, 0, g->size, flags & CL_MEM_READ_ONLY ? FILL_READ : FILL_WRITTEN);
    for (size_t e = 0; values && e < elements; e++)
        store(g, place(g, e), values[e]);
    g->buffer = clCreateBuffer(on->cl, flags | CL_MEM_COPY_HOST_PTR, g->size, g->bytes, &error);
    assert_int_equal(error, CL_SUCCESS);
}

cldeform_tensor test_guarded_tensor(const test_guarded *g)
{
    return (cldeform_tensor){g->buffer, g->first, g->image_gap ? g->image_stride : 0};
}

void test_guarded_check(test_guarded *g, cl_command_queue queue, size_t first, size_t elements)
{
    const size_t element = test_guarded_element(g);
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
        values[e] = load(g, place(g, e));
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
    fill(nan, 0, size, FILL_SCRATCH);
    scratch->workspace = (cldeform_workspace){NULL, CLDEFORM_WORKSPACE_ALIGNMENT, bytes};
    scratch->workspace.buffer = clCreateBuffer(on->cl, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, size, nan, &error);
    assert_int_equal(error, CL_SUCCESS);
    free(nan);
}

void test_scratch_check(const test_scratch *scratch, cl_command_queue queue)
{
    enum { SIZE = CLDEFORM_WORKSPACE_ALIGNMENT };
    unsigned char guard[2 * SIZE], expected[2 * SIZE];
    const cldeform_workspace *workspace = &scratch->workspace;
    assert_cl(clEnqueueReadBuffer(queue, workspace->buffer, CL_TRUE, 0, SIZE, guard, 0, NULL, NULL));
    assert_cl(clEnqueueReadBuffer(queue, workspace->buffer, CL_TRUE, SIZE + workspace->size, SIZE, guard + SIZE, 0,
                                  NULL, NULL));
    fill(expected, 0, SIZE, FILL_SCRATCH);
    fill(expected + SIZE, SIZE + workspace->size, SIZE, FILL_SCRATCH);
    if (memcmp(guard, expected, sizeof guard) != 0)
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
