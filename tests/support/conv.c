#include "conv.h"
#include "algorithms.h"
#include "cldeform/cldeform_ref.h"
#include "compare.h"
#include "guarded.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const test_tensor_names[TEST_TENSORS] = {"input", "offset", "mask", "weight", "bias", "output"};

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
    p.algorithm = test_algorithm;
    return p;
}

/* ---- data ---------------------------------------------------------------------------------------------- */

static double make_exact(cldeform_tensor_name name, uint32_t *state)
{
    switch (name) {
    case CLDEFORM_OFFSET:
        return rint(test_uniform(state, -10, 10)) / 4;
    case CLDEFORM_MASK:
        return rint(test_uniform(state, -4, 4)) / 4;
    default:
        return rint(test_uniform(state, -4, 4));
    }
}

static double make_offset(const cldeform_conv2d_problem *problem, uint32_t *state)
{
    const double size = (double)(problem->in_h > problem->in_w ? problem->in_h : problem->in_w);
    const double kind = test_uniform(state, 0, 1);
    return kind < 0.8    ? test_uniform(state, -2, 2)
           : kind < 0.95 ? test_uniform(state, -size, size)
                         : rint(test_uniform(state, -size, size));
}

static double make_random(const cldeform_conv2d_problem *problem, cldeform_tensor_name name, uint32_t *state)
{
    return name == CLDEFORM_OFFSET ? make_offset(problem, state)
           : name == CLDEFORM_MASK ? test_uniform(state, -0.5, 1.5)
                                   : test_uniform(state, -1, 1);
}

double test_value(const cldeform_conv2d_problem *problem, cldeform_tensor_name name, test_data data, uint32_t *state)
{
    return data == TEST_EXACT ? make_exact(name, state) : make_random(problem, name, state);
}

void test_conv_create(test_conv *conv, const cldeform_conv2d_problem *problem, bool has_bias, test_data data,
                      uint32_t seed)
{
    memset(conv, 0, sizeof *conv);
    conv->problem = *problem;
    if (problem->algorithm == CLDEFORM_ALGORITHM_AUTO)
        conv->problem.algorithm = test_algorithm;
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
        for (size_t e = 0; i != CLDEFORM_OUTPUT && e < elements; e++)
            conv->values[i][e] = test_round(test_value(problem, (cldeform_tensor_name)i, data, &state), conv->dtype[i]);
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
    for (int64_t e = 0; e < conv->shape[CLDEFORM_OUTPUT].elements; e++)
        values[e] = test_round(values[e], dtype);
}

void test_conv_destroy(test_conv *conv)
{
    for (int i = 0; i < TEST_TENSORS; i++)
        free(conv->values[i]);
    free(conv->magnitude);
    memset(conv, 0, sizeof *conv);
}

/* ---- run ----------------------------------------------------------------------------------------------- */

void test_conv_upload(const test_device *on, const test_conv *conv, cldeform_tensor_name i, const test_run *run,
                      test_guarded *guarded)
{
    const bool output = i == CLDEFORM_OUTPUT, batched = i != CLDEFORM_WEIGHT && i != CLDEFORM_BIAS;
    *guarded =
        test_guarded_of(test_tensor_names[i], conv->dtype[i], &conv->shape[i], batched ? conv->problem.batch : -1, run);
    test_guarded_create(on, guarded, output ? NULL : conv->values[i],
                        !output             ? CL_MEM_READ_ONLY
                        : run->output_flags ? run->output_flags
                                            : CL_MEM_READ_WRITE);
}

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

void test_scratch_for(const test_device *on, const cldeform_conv2d *object, cldeform_passes passes, const test_run *run,
                      test_scratch *scratch)
{
    size_t bytes = run->workspace_bytes;
    if (bytes == 0)
        assert_ok(cldeform_conv2d_workspace_size(object, passes, &bytes, NULL));
    test_scratch_create(on, scratch, bytes);
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
    test_guarded guards[TEST_TENSORS] = {0};
    test_scratch scratch = {0};
    cl_mem packed = NULL;
    cl_event done = NULL;

    if (run->pack_weight)
        problem.passes = CLDEFORM_FORWARD | CLDEFORM_PACK_WEIGHT;
    assert_ok(cldeform_conv2d_create(context, &problem, &object));
    for (int i = 0; i < TEST_TENSORS; i++) {
        if (!conv->present[i])
            continue;
        test_conv_upload(on, conv, (cldeform_tensor_name)i, run, &guards[i]);
        *slots[i] = test_guarded_tensor(&guards[i]);
    }
    if (run->pack_weight && (packed = pack(on, object, queue, &tensors.weight)) != NULL) {
        tensors.packed_weight = (cldeform_tensor){packed, CLDEFORM_WORKSPACE_ALIGNMENT, 0};
        tensors.weight.buffer = NULL;
    }
    if (run->workspace)
        test_scratch_for(on, object, CLDEFORM_FORWARD, run, &scratch);

    assert_ok(
        cldeform_conv2d_forward(object, queue, &tensors, run->workspace ? &scratch.workspace : NULL, 0, NULL, &done));
    assert_non_null(done);
    assert_cl(clFlush(queue));
    assert_cl(clWaitForEvents(1, &done));
    assert_cl(clReleaseEvent(done));

    for (int i = 0; i < TEST_TENSORS; i++) {
        if (!conv->present[i])
            continue;
        test_guarded_check(&guards[i], queue, 0, i == CLDEFORM_OUTPUT ? (size_t)conv->shape[i].elements : 0);
        if (i == CLDEFORM_OUTPUT)
            test_guarded_values(&guards[i], found);
        test_guarded_destroy(&guards[i]);
    }
    if (run->workspace)
        test_scratch_check(&scratch, queue);
    test_scratch_destroy(&scratch);
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

static void print_problem(const void *problem)
{
    const cldeform_conv2d_problem *p = problem;
    print_error("  problem: kind %d batch %lld in %lldx%lldx%lld out_channels %lld kernel %lldx%lld stride %lldx%lld "
                "dilation %lldx%lld pad %lld,%lld,%lld,%lld groups %lld offset_groups %lld dtype %d offset_dtype %d "
                "layout %d offset_layout %d activation %d border %d offset_gradient %d weight_grad_dtype %d limit %g "
                "algorithm %d\n",
                (int)p->kind, (long long)p->batch, (long long)p->in_channels, (long long)p->in_h, (long long)p->in_w,
                (long long)p->out_channels, (long long)p->kernel_h, (long long)p->kernel_w, (long long)p->stride_h,
                (long long)p->stride_w, (long long)p->dilation_h, (long long)p->dilation_w, (long long)p->pad_top,
                (long long)p->pad_left, (long long)p->pad_bottom, (long long)p->pad_right, (long long)p->groups,
                (long long)p->offset_groups, (int)p->dtype, (int)p->offset_dtype, (int)p->layout, (int)p->offset_layout,
                (int)p->mask_activation, (int)p->border, (int)p->offset_gradient, (int)p->weight_grad_dtype,
                p->offset_limit, (int)p->algorithm);
}

void test_compare(const cldeform_conv2d_problem *problem, const char *name, const cldeform_shape *shape,
                  const double *found, const double *expected, const double *bounds)
{
    test_compare_elements(name, shape, found, expected, bounds, print_problem, problem);
}

void test_conv_compare(const test_conv *conv, const double *found, const double *expected, const double *bounds)
{
    test_compare(&conv->problem, "output", &conv->shape[CLDEFORM_OUTPUT], found, expected, bounds);
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
