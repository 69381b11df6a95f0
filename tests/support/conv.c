#include "conv.h"
#include "cldeform/cldeform_ref.h"
#include "storage.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[TEST_TENSORS] = {"input", "offset", "mask", "weight", "bias", "output"};

cldeform_conv2d_problem test_small_problem(cldeform_conv2d_kind kind)
{
    cldeform_conv2d_problem p = CLDEFORM_INIT(cldeform_conv2d_problem);
    p.kind = kind;
    p.batch = 3;
    p.in_channels = 12, p.in_h = 11, p.in_w = 14;
    p.out_channels = 10;
    p.kernel_h = 3, p.kernel_w = 2;
    p.stride_h = 1, p.stride_w = 2;
    p.dilation_h = 2, p.dilation_w = 1;
    p.pad_top = 1, p.pad_left = 2, p.pad_bottom = 0, p.pad_right = 1;
    p.groups = 2;
    p.offset_groups = kind == CLDEFORM_CONV2D_PLAIN ? 1 : 3;
    return p;
}

/* ---- data ---------------------------------------------------------------------------------------------- */

static double uniform(uint32_t *state, double least, double most)
{
    *state = *state * 1664525u + 1013904223u;
    uint32_t bits = *state;
    bits ^= bits >> 16;
    bits *= 0x45d9f3bu;
    bits ^= bits >> 16;
    return least + (most - least) * (bits / 4294967296.0);
}

static double make_exact(cldeform_tensor_name name, uint32_t *state)
{
    switch (name) {
    case CLDEFORM_OFFSET:
        return rint(uniform(state, -10, 10)) / 4;
    case CLDEFORM_MASK:
        return rint(uniform(state, -4, 4)) / 4;
    default:
        return rint(uniform(state, -4, 4));
    }
}

static double make_offset(const cldeform_conv2d_problem *problem, uint32_t *state)
{
    const double size = (double)(problem->in_h > problem->in_w ? problem->in_h : problem->in_w);
    const double kind = uniform(state, 0, 1);
    return kind < 0.8    ? uniform(state, -2, 2)
           : kind < 0.95 ? uniform(state, -size, size)
                         : rint(uniform(state, -size, size));
}

static double make_random(const cldeform_conv2d_problem *problem, cldeform_tensor_name name, uint32_t *state)
{
    return name == CLDEFORM_OFFSET ? make_offset(problem, state)
           : name == CLDEFORM_MASK ? uniform(state, -0.5, 1.5)
                                   : uniform(state, -1, 1);
}

void test_conv_create(test_conv *conv, const cldeform_conv2d_problem *problem, bool has_bias, test_data data,
                      uint32_t seed)
{
    memset(conv, 0, sizeof *conv);
    conv->problem = *problem;
    conv->has_bias = has_bias;
    const cldeform_dtype dtype = problem->dtype ? problem->dtype : CLDEFORM_F32;
    uint32_t state = seed * 2654435761u + 1;
    for (int i = 0; i < TEST_TENSORS; i++) {
        conv->present[i] = !(i == CLDEFORM_OFFSET && problem->kind == CLDEFORM_CONV2D_PLAIN) &&
                           !(i == CLDEFORM_MASK && problem->kind != CLDEFORM_CONV2D_MODULATED) &&
                           !(i == CLDEFORM_BIAS && !has_bias);
        if (!conv->present[i])
            continue;
        const bool offsets = i == CLDEFORM_OFFSET || i == CLDEFORM_MASK;
        conv->dtype[i] = offsets && problem->offset_dtype ? problem->offset_dtype : dtype;
        conv->shape[i].struct_size = sizeof conv->shape[i];
        assert_ok(cldeform_conv2d_shape(problem, (cldeform_tensor_name)i, &conv->shape[i]));
        const size_t elements = (size_t)conv->shape[i].elements;
        conv->values[i] = calloc(elements + 1, sizeof(double));
        assert_non_null(conv->values[i]);
        for (size_t e = 0; i != CLDEFORM_OUTPUT && e < elements; e++) {
            const double value = data == TEST_EXACT ? make_exact((cldeform_tensor_name)i, &state)
                                                    : make_random(problem, (cldeform_tensor_name)i, &state);
            double stored;
            cldeform__store_element(&stored, 0, conv->dtype[i], value);
            conv->values[i][e] = cldeform__load_element(&stored, 0, conv->dtype[i]);
        }
    }
}

void test_conv_reference(test_conv *conv)
{
    assert_ok(cldeform_ref_conv2d_forward(&conv->problem, conv->values[CLDEFORM_INPUT], conv->values[CLDEFORM_OFFSET],
                                          conv->values[CLDEFORM_MASK], conv->values[CLDEFORM_WEIGHT],
                                          conv->values[CLDEFORM_BIAS], conv->values[CLDEFORM_OUTPUT]));
}

void test_conv_round_reference(test_conv *conv)
{
    const cldeform_dtype dtype = conv->dtype[CLDEFORM_OUTPUT];
    double *values = conv->values[CLDEFORM_OUTPUT];
    for (int64_t e = 0; e < conv->shape[CLDEFORM_OUTPUT].elements; e++) {
        double stored;
        cldeform__store_element(&stored, 0, dtype, values[e]);
        values[e] = cldeform__load_element(&stored, 0, dtype);
    }
}

void test_conv_destroy(test_conv *conv)
{
    for (int i = 0; i < TEST_TENSORS; i++)
        free(conv->values[i]);
    free(conv->magnitude);
    memset(conv, 0, sizeof *conv);
}

/* ---- buffers between guards ---------------------------------------------------------------------------- */

enum { GUARD = 1024, FILL = 0xff }; /* bytes of a guard; 0xffff... is a NaN in every type */

typedef struct guarded {
    const char *name;
    unsigned char *bytes; /* what the buffer held before the run */
    size_t size, element;
    cldeform_tensor tensor;
    cl_mem buffer;
    size_t first, stride, images, image_elements; /* elements */
} guarded;

/* Where element e of the dense tensor lies in the buffer. */
static size_t place(const guarded *g, size_t e)
{
    return g->first + e / g->image_elements * g->stride + e % g->image_elements;
}

static void create_guarded(const test_device *on, const test_conv *conv, int i, const test_run *run, guarded *g)
{
    const bool batched = i != CLDEFORM_WEIGHT && i != CLDEFORM_BIAS;
    const size_t elements = (size_t)conv->shape[i].elements;
    cl_int error = CL_SUCCESS;
    g->name = names[i];
    g->element = cldeform__dtype_size(conv->dtype[i]);
    g->images = batched ? (size_t)conv->problem.batch : 1;
    g->image_elements = g->images ? elements / g->images : 0;
    const size_t gap = run->strided && batched && g->images > 0 ? 5 : 0;
    g->stride = g->image_elements + gap;
    g->first = GUARD / g->element + (run->strided ? 3 : 0); /* 3: aligned to nothing but the element */
    g->size = 2 * GUARD + (g->images * g->stride + 8) * g->element;
    g->bytes = malloc(g->size);
    assert_non_null(g->bytes);
    memset(g->bytes, FILL, g->size);
    for (size_t e = 0; i != CLDEFORM_OUTPUT && e < elements; e++)
        cldeform__store_element(g->bytes, place(g, e), conv->dtype[i], conv->values[i][e]);
    const cl_mem_flags flags = i != CLDEFORM_OUTPUT ? CL_MEM_READ_ONLY
                               : run->output_flags  ? run->output_flags
                                                    : CL_MEM_READ_WRITE;
    g->buffer = clCreateBuffer(on->cl, flags | CL_MEM_COPY_HOST_PTR, g->size, g->bytes, &error);
    assert_int_equal(error, CL_SUCCESS);
    g->tensor = (cldeform_tensor){g->buffer, g->first, gap ? g->stride : 0};
}

/* Reads the buffer; every byte outside the tensor must be what it was. */
static void check_guards(cl_command_queue queue, guarded *g, bool written)
{
    unsigned char *after = malloc(g->size);
    assert_non_null(after);
    assert_cl(clEnqueueReadBuffer(queue, g->buffer, CL_TRUE, 0, g->size, after, 0, NULL, NULL));
    const size_t elements = g->images * g->image_elements;
    size_t next = 0; /* first byte not looked at */
    for (size_t e = 0; written && e < elements; e++) {
        const size_t start = place(g, e) * g->element;
        if (memcmp(after + next, g->bytes + next, start - next) != 0)
            fail_msg("something wrote between bytes %zu and %zu of the %s's buffer, outside of the tensor", next, start,
                     g->name);
        next = start + g->element;
    }
    if (memcmp(after + next, g->bytes + next, g->size - next) != 0)
        fail_msg("something wrote behind byte %zu of the %s's buffer, outside of the tensor", next, g->name);
    free(g->bytes);
    g->bytes = after;
}

/* ---- run ----------------------------------------------------------------------------------------------- */

static cl_mem pack(const test_device *on, cldeform_conv2d *object, cl_command_queue queue,
                   const cldeform_tensor *weight)
{
    size_t bytes = 0;
    cl_int error = CL_SUCCESS;
    assert_ok(cldeform_conv2d_packed_weight_size(object, &bytes, NULL));
    if (bytes == 0)
        return NULL;
    cl_mem buffer = clCreateBuffer(on->cl, CL_MEM_READ_WRITE, bytes + CLDEFORM_WORKSPACE_ALIGNMENT, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    const cldeform_tensor packed = {buffer, CLDEFORM_WORKSPACE_ALIGNMENT, 0};
    cl_event done = NULL;
    assert_ok(cldeform_conv2d_pack_weight(object, queue, weight, &packed, 0, NULL, &done));
    assert_cl(clWaitForEvents(1, &done));
    assert_cl(clReleaseEvent(done));
    return buffer;
}

void test_conv_run(const test_device *on, const test_conv *conv, const test_run *run, double *found)
{
    cl_command_queue queue = run->queue ? run->queue : on->queue;
    cldeform_context *context = run->context ? run->context : on->context;
    cldeform_conv2d_problem problem = conv->problem;
    cldeform_conv2d *object = NULL;
    cldeform_conv2d_tensors tensors = CLDEFORM_INIT(cldeform_conv2d_tensors);
    cldeform_tensor *const slots[TEST_TENSORS] = {&tensors.input,  &tensors.offset, &tensors.mask,
                                                  &tensors.weight, &tensors.bias,   &tensors.output};
    guarded guards[TEST_TENSORS] = {0};
    cl_mem packed = NULL, scratch = NULL;
    cl_event done = NULL;
    cl_int error = CL_SUCCESS;

    if (run->pack_weight)
        problem.passes = CLDEFORM_FORWARD | CLDEFORM_PACK_WEIGHT;
    assert_ok(cldeform_conv2d_create(context, &problem, &object));
    for (int i = 0; i < TEST_TENSORS; i++) {
        if (!conv->present[i])
            continue;
        create_guarded(on, conv, i, run, &guards[i]);
        *slots[i] = guards[i].tensor;
    }
    if (run->pack_weight && (packed = pack(on, object, queue, &tensors.weight)) != NULL) {
        tensors.packed_weight = (cldeform_tensor){packed, CLDEFORM_WORKSPACE_ALIGNMENT, 0};
        tensors.weight.buffer = NULL;
    }
    cldeform_workspace workspace = {NULL, CLDEFORM_WORKSPACE_ALIGNMENT, run->workspace_bytes};
    if (run->workspace) {
        if (workspace.size == 0)
            assert_ok(cldeform_conv2d_workspace_size(object, CLDEFORM_FORWARD, &workspace.size, NULL));
        const size_t size = workspace.size + 2 * CLDEFORM_WORKSPACE_ALIGNMENT;
        unsigned char *nan = malloc(size); /* its content means nothing: not to anyone */
        assert_non_null(nan);
        memset(nan, FILL, size);
        workspace.buffer = clCreateBuffer(on->cl, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, size, nan, &error);
        free(nan);
        assert_int_equal(error, CL_SUCCESS);
        scratch = workspace.buffer;
    }

    assert_ok(cldeform_conv2d_forward(object, queue, &tensors, run->workspace ? &workspace : NULL, 0, NULL, &done));
    assert_non_null(done);
    assert_cl(clFlush(queue));
    assert_cl(clWaitForEvents(1, &done));
    assert_cl(clReleaseEvent(done));

    for (int i = 0; i < TEST_TENSORS; i++) {
        guarded *g = &guards[i];
        if (!conv->present[i])
            continue;
        check_guards(queue, g, i == CLDEFORM_OUTPUT);
        for (size_t e = 0; i == CLDEFORM_OUTPUT && e < g->images * g->image_elements; e++)
            found[e] = cldeform__load_element(g->bytes, place(g, e), conv->dtype[i]);
        free(g->bytes);
        assert_cl(clReleaseMemObject(g->buffer));
    }
    if (scratch) {
        unsigned char guard[2 * CLDEFORM_WORKSPACE_ALIGNMENT];
        assert_cl(clEnqueueReadBuffer(queue, scratch, CL_TRUE, 0, CLDEFORM_WORKSPACE_ALIGNMENT, guard, 0, NULL, NULL));
        assert_cl(clEnqueueReadBuffer(queue, scratch, CL_TRUE, CLDEFORM_WORKSPACE_ALIGNMENT + workspace.size,
                                      CLDEFORM_WORKSPACE_ALIGNMENT, guard + CLDEFORM_WORKSPACE_ALIGNMENT, 0, NULL,
                                      NULL));
        for (size_t i = 0; i < sizeof guard; i++)
            if (guard[i] != FILL)
                fail_msg("something wrote outside of the workspace's %zu bytes", workspace.size);
        assert_cl(clReleaseMemObject(scratch));
    }
    if (packed)
        assert_cl(clReleaseMemObject(packed));
    cldeform_conv2d_destroy(object);
}

double *test_conv_run_alone(const test_device *on, const test_conv *conv, const test_run *run)
{
    double *found = malloc(((size_t)conv->shape[CLDEFORM_OUTPUT].elements + 1) * sizeof *found);
    assert_non_null(found);
    test_conv_run(on, conv, run, found);
    return found;
}

/* ---- compare ------------------------------------------------------------------------------------------- */

static void print_problem(const cldeform_conv2d_problem *p)
{
    print_error("  problem: kind %d batch %lld in %lldx%lldx%lld out_channels %lld kernel %lldx%lld stride %lldx%lld "
                "dilation %lldx%lld pad %lld,%lld,%lld,%lld groups %lld offset_groups %lld dtype %d offset_dtype %d "
                "layout %d offset_layout %d activation %d border %d limit %g\n",
                (int)p->kind, (long long)p->batch, (long long)p->in_channels, (long long)p->in_h, (long long)p->in_w,
                (long long)p->out_channels, (long long)p->kernel_h, (long long)p->kernel_w, (long long)p->stride_h,
                (long long)p->stride_w, (long long)p->dilation_h, (long long)p->dilation_w, (long long)p->pad_top,
                (long long)p->pad_left, (long long)p->pad_bottom, (long long)p->pad_right, (long long)p->groups,
                (long long)p->offset_groups, (int)p->dtype, (int)p->offset_dtype, (int)p->layout, (int)p->offset_layout,
                (int)p->mask_activation, (int)p->border, p->offset_limit);
}

void test_conv_compare(const test_conv *conv, const double *found, const double *expected, const double *bounds)
{
    const cldeform_shape *shape = &conv->shape[CLDEFORM_OUTPUT];
    int wrong = 0;
    for (int64_t e = 0; e < shape->elements; e++) {
        const bool equal = found[e] == expected[e] || (isnan(found[e]) && isnan(expected[e]));
        if (equal || (bounds && fabs(found[e] - expected[e]) <= bounds[e]))
            continue;
        if (wrong++ == 0)
            print_problem(&conv->problem);
        if (wrong <= 5)
            print_error("  output[%lld][%lld][%lld][%lld] is %.17g; it must be %.17g%s%.3g\n",
                        (long long)(e / (shape->size[1] * shape->size[2] * shape->size[3])),
                        (long long)(e / (shape->size[2] * shape->size[3]) % shape->size[1]),
                        (long long)(e / shape->size[3] % shape->size[2]), (long long)(e % shape->size[3]), found[e],
                        expected[e], bounds ? ", +-" : ", exactly; off by ",
                        bounds ? bounds[e] : found[e] - expected[e]);
    }
    if (wrong)
        fail_msg("%d of %lld elements of the output are wrong", wrong, (long long)shape->elements);
}

/* The reference on absolute values is the sum of the absolute values of its terms (offsets stay, so do the weights of
 * the samples). */
static void find_magnitude(test_conv *conv)
{
    test_conv absolute = *conv;
    for (int i = 0; i < TEST_TENSORS; i++) {
        if (!conv->present[i] || i == CLDEFORM_OFFSET)
            continue;
        const size_t elements = (size_t)conv->shape[i].elements;
        absolute.values[i] = malloc((elements + 1) * sizeof(double));
        assert_non_null(absolute.values[i]);
        for (size_t e = 0; e < elements; e++) /* an activated mask is positive already */
            absolute.values[i][e] =
                i == CLDEFORM_MASK && conv->problem.mask_activation ? conv->values[i][e] : fabs(conv->values[i][e]);
    }
    test_conv_reference(&absolute);
    for (int i = 0; i < TEST_TENSORS; i++)
        if (conv->present[i] && i != CLDEFORM_OFFSET && i != CLDEFORM_OUTPUT)
            free(absolute.values[i]);
    conv->magnitude = absolute.values[CLDEFORM_OUTPUT];
}

void test_conv_check(const test_device *on, test_conv *conv, const test_run *run, bool exact)
{
    const size_t elements = (size_t)conv->shape[CLDEFORM_OUTPUT].elements;
    const cldeform_dtype dtype = conv->dtype[CLDEFORM_OUTPUT];
    const cldeform_conv2d_problem *p = &conv->problem;
    double *found = malloc((elements + 1) * sizeof *found), *bounds = NULL;
    double *expected = conv->values[CLDEFORM_OUTPUT];
    assert_non_null(found);
    test_conv_reference(conv);
    if (!exact) {
        find_magnitude(conv);
        bounds = malloc((elements + 1) * sizeof *bounds);
        assert_non_null(bounds);
        /* rounding once in the output's type; and in the arithmetic's: each term's own roundings (8), and those of the
         * sum, which grow like the root of their number. Positions are exact. */
        const double terms = (double)(p->in_channels / (p->groups ? p->groups : 1) * p->kernel_h * p->kernel_w);
        const double store = dtype == CLDEFORM_F16 ? 0x1p-11 : dtype == CLDEFORM_F64 ? DBL_EPSILON : FLT_EPSILON;
        const double tiny = dtype == CLDEFORM_F16 ? 0x1p-25 : 0; /* below the normal halves */
        const double arithmetic = dtype == CLDEFORM_F64 ? DBL_EPSILON : FLT_EPSILON;
        for (size_t e = 0; e < elements; e++)
            bounds[e] = store * fabs(expected[e]) + tiny + (8 + sqrt(terms)) * arithmetic * conv->magnitude[e];
    } else {
        test_conv_round_reference(conv);
    }
    test_conv_run(on, conv, run, found);
    test_conv_compare(conv, found, expected, bounds);
    free(found);
    free(bounds);
    free(conv->magnitude);
    conv->magnitude = NULL;
}
