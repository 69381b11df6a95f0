#include "backward.h"
#include "algorithms.h"
#include "cldeform/cldeform_ref.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double *allocate(int64_t elements)
{
    double *values = calloc((size_t)elements + 1, sizeof *values);
    assert_non_null(values);
    return values;
}

/* ---- data ---------------------------------------------------------------------------------------------- */

test_backward test_backward_view(const test_conv *conv, double *grad_output)
{
    const cldeform_conv2d_problem *problem = &conv->problem;
    test_backward g;
    memset(&g, 0, sizeof g);
    g.conv = *conv;
    g.grad_output = grad_output;
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        const bool parameter = i == CLDEFORM_WEIGHT || i == CLDEFORM_BIAS;
        if (!conv->present[i])
            continue;
        g.all |= test_gradient_bit(i);
        g.shape[i] = conv->shape[i];
        g.dtype[i] = parameter && problem->weight_grad_dtype ? problem->weight_grad_dtype : conv->dtype[i];
    }
    return g;
}

void test_backward_create(test_backward *g, const cldeform_conv2d_problem *problem, test_data data, uint32_t seed)
{
    test_conv conv;
    uint32_t state = seed * 40503u + 7;
    test_conv_create(&conv, problem, true, data, seed);
    const cldeform_shape *output = &conv.shape[CLDEFORM_OUTPUT];
    double *grad_output = allocate(output->elements);
    for (int64_t e = 0; e < output->elements; e++)
        grad_output[e] = test_round(test_value(problem, CLDEFORM_OUTPUT, data, &state), conv.dtype[CLDEFORM_OUTPUT]);
    *g = test_backward_view(&conv, grad_output);
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        if (!(g->all & test_gradient_bit(i)))
            continue;
        g->initial[i] = allocate(g->shape[i].elements);
        g->values[i] = allocate(g->shape[i].elements);
        for (int64_t e = 0; e < g->shape[i].elements; e++)
            g->initial[i][e] = test_round(test_value(problem, CLDEFORM_INPUT, data, &state), g->dtype[i]);
    }
    /* no gradient needs the bias, and the output is linear in the rest without it */
    free(g->conv.values[CLDEFORM_BIAS]);
    g->conv.values[CLDEFORM_BIAS] = NULL;
    g->conv.present[CLDEFORM_BIAS] = g->conv.has_bias = false;
}

static void run_reference(const test_backward *g, const double *const inputs[TEST_TENSORS], const double *grad_output,
                          double *const values[TEST_GRADIENTS])
{
    const cldeform_ref_conv2d_gradients gradients = {grad_output, values[0], values[1],
                                                     values[2],   values[3], values[4]};
    assert_ok(cldeform_ref_conv2d_backward(&g->conv.problem, inputs[CLDEFORM_INPUT], inputs[CLDEFORM_OFFSET],
                                           inputs[CLDEFORM_MASK], inputs[CLDEFORM_WEIGHT], &gradients));
}

void test_backward_reference(test_backward *g)
{
    const double *inputs[TEST_TENSORS];
    for (int i = 0; i < TEST_TENSORS; i++)
        inputs[i] = g->conv.values[i];
    run_reference(g, inputs, g->grad_output, g->values);
}

void test_backward_destroy(test_backward *g)
{
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        free(g->initial[i]);
        free(g->values[i]);
    }
    free(g->grad_output);
    test_conv_destroy(&g->conv);
    memset(g, 0, sizeof *g);
}

/* ---- run ----------------------------------------------------------------------------------------------- */

unsigned test_backward_need(const test_backward *g, cldeform_passes gradients)
{
    unsigned needed = 0;
    const unsigned positions = 1u << CLDEFORM_OFFSET | 1u << CLDEFORM_MASK;
    if (gradients & CLDEFORM_GRAD_WEIGHT)
        needed |= 1u << CLDEFORM_INPUT | positions;
    if (gradients & CLDEFORM_GRAD_INPUT)
        needed |= 1u << CLDEFORM_WEIGHT | positions;
    if (gradients & (CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK))
        needed |= 1u << CLDEFORM_INPUT | 1u << CLDEFORM_WEIGHT | positions;
    for (int i = 0; i < TEST_TENSORS; i++)
        if (!g->conv.present[i])
            needed &= ~(1u << i);
    return needed;
}

test_gradients test_backward_run(const test_device *on, const test_backward *g, const test_run *run)
{
    const test_conv *conv = &g->conv;
    cl_command_queue queue = run->queue ? run->queue : on->queue;
    const cldeform_passes asked = run->gradients ? run->gradients : g->all;
    const unsigned needed = run->minimal ? test_backward_need(g, asked) : ~0u;
    cldeform_conv2d_problem problem = conv->problem;
    cldeform_conv2d *object = NULL;
    cldeform_conv2d_tensors tensors = CLDEFORM_INIT(cldeform_conv2d_tensors);
    cldeform_conv2d_gradients gradients = CLDEFORM_INIT(cldeform_conv2d_gradients);
    cldeform_tensor *const in[] = {&tensors.input, &tensors.offset, &tensors.mask, &tensors.weight};
    cldeform_tensor *const out[TEST_GRADIENTS] = {&gradients.grad_input, &gradients.grad_offset, &gradients.grad_mask,
                                                  &gradients.grad_weight, &gradients.grad_bias};
    test_guarded inputs[TEST_TENSORS] = {0}, results[TEST_GRADIENTS] = {0}, grad_output;
    test_scratch scratch = {0};
    test_gradients found = {0};
    cl_event done = NULL;

    problem.passes = run->minimal ? asked : CLDEFORM_BACKWARD;
    assert_ok(cldeform_conv2d_create(run->context ? run->context : on->context, &problem, &object));
    for (int i = CLDEFORM_INPUT; i <= CLDEFORM_WEIGHT; i++) {
        if (!conv->present[i] || !(needed & 1u << i))
            continue;
        test_conv_upload(on, conv, (cldeform_tensor_name)i, run, &inputs[i]);
        *in[i] = test_guarded_tensor(&inputs[i]);
    }
    grad_output =
        test_guarded_of("grad_output", conv->dtype[CLDEFORM_OUTPUT], &conv->shape[CLDEFORM_OUTPUT], problem.batch, run);
    test_guarded_create(on, &grad_output, g->grad_output, CL_MEM_READ_ONLY);
    gradients.grad_output = test_guarded_tensor(&grad_output);
    gradients.accumulate = run->accumulate & asked;
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        const bool adds = gradients.accumulate & test_gradient_bit(i);
        if (!(asked & test_gradient_bit(i)))
            continue;
        results[i] = test_guarded_of(test_gradient_names[i], g->dtype[i], &g->shape[i],
                                     i < CLDEFORM_WEIGHT ? problem.batch : -1, run);
        test_guarded_create(on, &results[i], adds ? g->initial[i] : NULL,
                            run->output_flags && !adds ? run->output_flags : CL_MEM_READ_WRITE);
        *out[i] = test_guarded_tensor(&results[i]);
    }
    if (run->workspace)
        test_scratch_for(on, object, asked, run, &scratch);

    assert_ok(cldeform_conv2d_backward(object, queue, &tensors, &gradients, run->workspace ? &scratch.workspace : NULL,
                                       0, NULL, &done));
    assert_non_null(done);
    assert_cl(clFlush(queue));
    assert_cl(clWaitForEvents(1, &done));
    assert_cl(clReleaseEvent(done));

    for (int i = CLDEFORM_INPUT; i <= CLDEFORM_WEIGHT; i++) {
        if (!inputs[i].buffer)
            continue;
        test_guarded_check(&inputs[i], queue, 0, 0);
        test_guarded_destroy(&inputs[i]);
    }
    test_guarded_check(&grad_output, queue, 0, 0);
    test_guarded_destroy(&grad_output);
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        if (!results[i].buffer)
            continue;
        found.values[i] = allocate(g->shape[i].elements);
        test_guarded_check(&results[i], queue, 0, (size_t)g->shape[i].elements);
        test_guarded_values(&results[i], found.values[i]);
        test_guarded_destroy(&results[i]);
    }
    if (run->workspace)
        test_scratch_check(&scratch, queue);
    test_scratch_destroy(&scratch);
    cldeform_conv2d_destroy(object);
    return found;
}

/* ---- compare ------------------------------------------------------------------------------------------- */

/* |values| with the sign of every second row (axis 0) or column (axis 1) turned; axis -1: none. */
static void take_absolute(const test_conv *conv, int axis, double *input)
{
    const cldeform_conv2d_problem *p = &conv->problem;
    const int64_t columns = p->layout == CLDEFORM_NHWC ? p->in_channels : 1; /* elements from a column to the next */
    for (int64_t e = 0; e < conv->shape[CLDEFORM_INPUT].elements; e++) {
        const int64_t x = e / columns % p->in_w, y = e / columns / p->in_w % p->in_h;
        const bool turned = axis == 0 ? y % 2 : axis == 1 ? x % 2 : false;
        const double magnitude = fabs(conv->values[CLDEFORM_INPUT][e]);
        input[e] = turned ? -magnitude : magnitude;
    }
}

/* Sums of the terms' absolute values, as the reference finds them.
 *
 * On absolute values nothing cancels: that gives the sums for the gradients of input, mask, weight and bias. In the
 * gradient of an offset's y, corners are subtracted from those in the row above. With the signs of every second row
 * turned they are added instead: the gradient is then the sum of its terms' absolute values, or minus that, since all
 * channels of the sum have the sample in the same rows. Columns alike for x. Each of the three runs is for no gradient
 * larger than its sum, so the largest of their absolute values is it.
 *
 * centred: samples are moved to the middle of their cell, where all corners have the same weight, 1/4. */
static void find_magnitudes(const test_backward *g, bool centred, double *const sums[TEST_GRADIENTS])
{
    const test_conv *conv = &g->conv;
    test_backward absolute = *g;
    double *copies[TEST_TENSORS] = {0}, *results[TEST_GRADIENTS] = {0};
    const double *inputs[TEST_TENSORS];
    const int64_t outputs = conv->shape[CLDEFORM_OUTPUT].elements;
    const double limit = conv->problem.offset_limit;
    double *grad_output = allocate(outputs);
    if (centred)
        absolute.conv.problem.offset_limit = 0;
    for (int64_t e = 0; e < outputs; e++)
        grad_output[e] = fabs(g->grad_output[e]);
    for (int i = 0; i < TEST_TENSORS; i++) {
        if (conv->present[i] && i != CLDEFORM_OUTPUT)
            copies[i] = allocate(conv->shape[i].elements);
        for (int64_t e = 0; copies[i] && e < conv->shape[i].elements; e++) {
            const double value = conv->values[i][e];
            if (i == CLDEFORM_OFFSET && centred)
                copies[i][e] = floor(limit > 0 ? fmin(fmax(value, -limit), limit) : value) + 0.5;
            else if (i == CLDEFORM_OFFSET || (i == CLDEFORM_MASK && conv->problem.mask_activation))
                copies[i][e] = value; /* an activated mask is positive already */
            else
                copies[i][e] = fabs(value);
        }
        inputs[i] = copies[i];
    }
    for (int i = 0; i < TEST_GRADIENTS; i++)
        if (g->all & test_gradient_bit(i))
            results[i] = allocate(g->shape[i].elements);
    for (int axis = -1; axis < (g->all & CLDEFORM_GRAD_OFFSET ? 2 : 0); axis++) {
        double *wanted[TEST_GRADIENTS] = {0};
        memcpy(wanted, results, sizeof wanted);
        for (int i = 0; axis >= 0 && i < TEST_GRADIENTS; i++)
            wanted[i] = i == CLDEFORM_OFFSET ? results[i] : NULL;
        take_absolute(conv, axis, copies[CLDEFORM_INPUT]);
        run_reference(&absolute, inputs, grad_output, wanted);
        for (int i = 0; i < TEST_GRADIENTS; i++)
            for (int64_t e = 0; wanted[i] && e < g->shape[i].elements; e++)
                sums[i][e] = fmax(sums[i][e], fabs(results[i][e]));
    }
    for (int i = 0; i < TEST_TENSORS; i++)
        free(copies[i]);
    for (int i = 0; i < TEST_GRADIENTS; i++)
        free(results[i]);
    free(grad_output);
}

test_bounds test_bounds_create(const test_backward *g)
{
    test_bounds bounds = {0};
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        if (!(g->all & test_gradient_bit(i)))
            continue;
        bounds.magnitude[i] = allocate(g->shape[i].elements);
        bounds.corners[i] = allocate(g->shape[i].elements);
    }
    find_magnitudes(g, false, bounds.magnitude);
    if (g->conv.problem.kind != CLDEFORM_CONV2D_PLAIN)
        find_magnitudes(g, true, bounds.corners);
    return bounds;
}

void test_bounds_free(test_bounds *bounds)
{
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        free(bounds->magnitude[i]);
        free(bounds->corners[i]);
    }
    memset(bounds, 0, sizeof *bounds);
}

/* Additions in an element of the gradient, at most. */
static double count_terms(const test_backward *g, int i)
{
    const cldeform_conv2d_problem *p = &g->conv.problem;
    const cldeform_shape *output = &g->conv.shape[CLDEFORM_OUTPUT];
    const bool nhwc = p->layout == CLDEFORM_NHWC;
    const double pixels = (double)(output->size[nhwc ? 1 : 2] * output->size[nhwc ? 2 : 3]);
    const double outputs = (double)(p->out_channels / (p->groups ? p->groups : 1)); /* of a column's gradient */
    switch (i) {
    case CLDEFORM_INPUT: /* every sample may lie there */
        return outputs + pixels * (double)(p->kernel_h * p->kernel_w);
    case CLDEFORM_OFFSET:
    case CLDEFORM_MASK:
        return outputs + (double)(p->in_channels / (p->offset_groups ? p->offset_groups : 1));
    default:
        return pixels * (double)p->batch;
    }
}

/* Rounding once in the gradient's type; and in the arithmetic's, each term's own roundings (12), and those of the sum,
 * which grow like the root of their number. The weights of a sample's corners come from the fraction of an offset,
 * which is rounded where it is just below 1: an error that is absolute in the weight, so relative to the corners at
 * full weight, four times those at 1/4. The double precision reference adds offset and pixel before it takes the
 * fraction: for fp64 that error grows with the position. */
static double error_bound(const test_backward *g, int i, const test_bounds *bounds, int64_t e, double initial)
{
    const cldeform_conv2d_problem *p = &g->conv.problem;
    const bool fp64 = p->dtype == CLDEFORM_F64;
    const double arithmetic = fp64 ? DBL_EPSILON : FLT_EPSILON;
    const double extent = (double)(p->in_h + p->in_w + p->pad_top + p->pad_left + p->pad_bottom + p->pad_right);
    const double store = g->dtype[i] == CLDEFORM_F16   ? 0x1p-11
                         : g->dtype[i] == CLDEFORM_F64 ? DBL_EPSILON
                                                       : FLT_EPSILON;
    /* below the normal halves; and what is not normal in fp32 may be taken for 0 on the way */
    const double tiny = g->dtype[i] == CLDEFORM_F16           ? 0x1p-25
                        : fp64 && g->dtype[i] == CLDEFORM_F64 ? 0
                                                              : (double)FLT_MIN;
    const double position = (fp64 ? extent : 1) * arithmetic;
    const double rounding = (12 + sqrt(count_terms(g, i))) * arithmetic;
    return store * fabs(g->values[i][e] + initial) + tiny + rounding * (bounds->magnitude[i][e] + fabs(initial)) +
           position * 4 * bounds->corners[i][e];
}

void test_backward_compare(const test_backward *g, const test_gradients *found, cldeform_passes accumulate,
                           const test_bounds *bounds)
{
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        const bool adds = accumulate & test_gradient_bit(i);
        if (!found->values[i])
            continue;
        double *expected = allocate(g->shape[i].elements), *allowed = bounds ? allocate(g->shape[i].elements) : NULL;
        for (int64_t e = 0; e < g->shape[i].elements; e++) {
            const double initial = adds ? g->initial[i][e] : 0;
            expected[e] = g->values[i][e] + initial;
            if (bounds)
                allowed[e] = error_bound(g, i, bounds, e, initial);
            else
                expected[e] = test_round(expected[e], g->dtype[i]);
        }
        test_compare(&g->conv.problem, test_gradient_names[i], &g->shape[i], found->values[i], expected, allowed);
        free(expected);
        free(allowed);
    }
}

void test_backward_check(const test_device *on, test_backward *g, const test_run *run, bool exact)
{
    test_bounds bounds = {0};
    test_gradients found = test_backward_run(on, g, run);
    test_backward_reference(g);
    if (!exact)
        bounds = test_bounds_create(g);
    test_backward_compare(g, &found, run->accumulate, exact ? NULL : &bounds);
    test_bounds_free(&bounds);
    test_gradients_free(&found);
}

void test_backward_check_problem(const test_device *on, const cldeform_conv2d_problem *problem, const test_run *run,
                                 test_data data, uint32_t seed)
{
    test_backward g;
    test_backward_create(&g, problem, data, seed);
    test_backward_check(on, &g, run, data == TEST_EXACT);
    test_backward_destroy(&g);
}

void test_gradients_same(const test_backward *g, const test_gradients *a, const test_gradients *b)
{
    for (int i = 0; i < TEST_GRADIENTS; i++) {
        const size_t bytes = (size_t)g->shape[i].elements * sizeof(double);
        if (!a->values[i] || !b->values[i] || memcmp(a->values[i], b->values[i], bytes) == 0)
            continue;
        test_compare(&g->conv.problem, test_gradient_names[i], &g->shape[i], a->values[i], b->values[i], NULL);
        /* tiled adds to the input's gradient in any order, which the sign of an exact sum of 0 shows */
        if (test_algorithm != CLDEFORM_ALGORITHM_TILED || i != CLDEFORM_INPUT)
            fail_msg("two runs of %s differ in the sign of a zero or the bits of a NaN", test_gradient_names[i]);
    }
}

void test_check_all_passes(cldeform_context *context, const cldeform_conv2d_problem *problem, uint32_t seed)
{
    test_conv conv;
    test_conv_create(&conv, problem, seed % 2, TEST_EXACT, seed);
    test_conv_check(&device, &conv,
                    &(test_run){.context = context, .strided = true, .workspace = true, .pack_weight = seed % 3 == 0},
                    true);
    test_conv_destroy(&conv);
    test_backward_check_problem(
        &device, problem,
        &(test_run){
            .context = context, .strided = true, .workspace = true, .accumulate = seed % 2 ? CLDEFORM_BACKWARD : 0},
        TEST_EXACT, seed);
}
