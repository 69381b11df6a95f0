/* The parts, im2col, col2im and col2offset, against what the reference says of the whole. */
#include "conv_cases.h"
#include "backward.h"
#include "cldeform/cldeform_ref.h"

#include <stdlib.h>
#include <string.h>

static const cldeform_conv2d_kind kinds[] = {CLDEFORM_CONV2D_DEFORMABLE, CLDEFORM_CONV2D_MODULATED,
                                             CLDEFORM_CONV2D_PLAIN};
static const cldeform_layout layouts[] = {CLDEFORM_NCHW, CLDEFORM_NHWC};

/* ---- columns on the host ------------------------------------------------------------------------------- */

typedef struct sizes {
    int64_t batch, channels, taps, pixels, groups, outputs;
    bool nhwc;
} sizes;

static sizes find_sizes(const test_conv *conv)
{
    const cldeform_conv2d_problem *p = &conv->problem;
    sizes s = {p->batch,
               p->in_channels,
               p->kernel_h * p->kernel_w,
               0,
               p->groups ? p->groups : 1,
               p->out_channels,
               p->layout == CLDEFORM_NHWC};
    const cldeform_shape *output = &conv->shape[CLDEFORM_OUTPUT];
    s.pixels = output->size[s.nhwc ? 1 : 2] * output->size[s.nhwc ? 2 : 3];
    return s;
}

static int64_t columns_elements(const sizes *s)
{
    return s->batch * s->channels * s->taps * s->pixels;
}

/* Where the sample of channel c and tap k at pixel p lies in dense columns. */
static int64_t at_column(const sizes *s, int64_t n, int64_t c, int64_t k, int64_t p)
{
    const int64_t per_group = s->channels / s->groups;
    if (!s->nhwc)
        return ((n * s->channels + c) * s->taps + k) * s->pixels + p;
    return ((n * s->pixels + p) * s->groups + c / per_group) * s->taps * per_group + k * per_group + c % per_group;
}

static int64_t at_output(const sizes *s, int64_t n, int64_t o, int64_t p)
{
    return s->nhwc ? (n * s->pixels + p) * s->outputs + o : (n * s->outputs + o) * s->pixels + p;
}

/* The columns are the output of a convolution that takes every channel for itself, and whose outputs have one weight
 * each. */
static double *reference_columns(const test_conv *conv)
{
    const sizes s = find_sizes(conv);
    cldeform_conv2d_problem problem = conv->problem;
    problem.groups = s.channels;
    problem.out_channels = s.channels * s.taps;
    double *weight = calloc((size_t)(problem.out_channels * s.taps), sizeof *weight);
    double *output = calloc((size_t)columns_elements(&s) + 1, sizeof *output);
    double *columns = calloc((size_t)columns_elements(&s) + 1, sizeof *columns);
    assert_true(weight && output && columns);
    for (int64_t o = 0; o < problem.out_channels; o++)
        weight[o * s.taps + o % s.taps] = 1;
    assert_ok(cldeform_ref_conv2d_forward(&problem, conv->values[CLDEFORM_INPUT], conv->values[CLDEFORM_OFFSET],
                                          conv->values[CLDEFORM_MASK], weight, NULL, output));
    sizes many = s;
    many.outputs = problem.out_channels;
    for (int64_t n = 0; n < s.batch; n++)
        for (int64_t c = 0; c < s.channels; c++)
            for (int64_t k = 0; k < s.taps; k++)
                for (int64_t p = 0; p < s.pixels; p++)
                    columns[at_column(&s, n, c, k, p)] = output[at_output(&many, n, c * s.taps + k, p)];
    free(weight);
    free(output);
    return columns;
}

/* output = weight * columns, or columns = weight^T * output: of each group. */
static void multiply(const test_conv *conv, bool transposed, double *columns, double *output)
{
    const sizes s = find_sizes(conv);
    const int64_t channels = s.channels / s.groups, outputs = s.outputs / s.groups;
    for (int64_t n = 0; n < s.batch; n++)
        for (int64_t o = 0; o < s.outputs; o++)
            for (int64_t c = 0; c < channels; c++)
                for (int64_t k = 0; k < s.taps; k++)
                    for (int64_t p = 0; p < s.pixels; p++) {
                        const double weight = conv->values[CLDEFORM_WEIGHT][(o * channels + c) * s.taps + k];
                        double *column = &columns[at_column(&s, n, o / outputs * channels + c, k, p)];
                        double *out = &output[at_output(&s, n, o, p)];
                        if (transposed)
                            *column += weight * *out;
                        else
                            *out += weight * *column;
                    }
}

/* ---- a call between guards ----------------------------------------------------------------------------- */

typedef enum part { IM2COL, COL2IM, COL2OFFSET } part;
static const cldeform_passes part_passes[] = {CLDEFORM_IM2COL, CLDEFORM_COL2IM, CLDEFORM_COL2OFFSET};

typedef struct part_run {
    part what;
    int64_t first, images;
    size_t row_gap, image_gap; /* of the columns; image_gap at least row_gap */
    bool strided;              /* the tensors */
    cldeform_passes gradients; /* of COL2OFFSET; 0: all that the kind has */
    cldeform_passes accumulate;
    cldeform_context *context; /* NULL: the device's */
    bool waits;                /* for an event, on the out-of-order queue where there is one */
} part_run;

/* As the columns of these images. */
static test_guarded columns_of(const test_backward *g, const part_run *run)
{
    const sizes s = find_sizes(&g->conv);
    return (test_guarded){
        .name = "columns",
        .dtype = g->conv.dtype[CLDEFORM_INPUT],
        .images = (size_t)run->images,
        .rows = (size_t)(s.nhwc ? s.pixels : s.channels * s.taps),
        .row = (size_t)(s.nhwc ? s.channels * s.taps : s.pixels),
        .row_gap = run->row_gap,
        .image_gap = run->image_gap,
        .shift = run->strided ? 3 : 0,
    };
}

static cldeform_columns columns_argument(const test_guarded *g, const part_run *run)
{
    cldeform_columns columns = {g->buffer, g->first, run->row_gap ? g->row_stride : 0, 0};
    if (run->image_gap != run->row_gap) /* rows * row_stride otherwise */
        columns.image_stride = g->image_stride;
    return columns;
}

static cldeform_status call_part(const cldeform_conv2d *object, cl_command_queue queue, const part_run *run,
                                 const cldeform_conv2d_tensors *tensors, const cldeform_columns *columns,
                                 const cldeform_conv2d_gradients *gradients, cl_uint n_wait, const cl_event *wait,
                                 cl_event *done)
{
    switch (run->what) {
    case IM2COL:
        return cldeform_conv2d_im2col(object, queue, tensors, run->first, run->images, columns, NULL, n_wait, wait,
                                      done);
    case COL2IM:
        return cldeform_conv2d_col2im(object, queue, tensors, run->first, run->images, columns, gradients, NULL, n_wait,
                                      wait, done);
    default:
        return cldeform_conv2d_col2offset(object, queue, tensors, run->first, run->images, columns, gradients, NULL,
                                          n_wait, wait, done);
    }
}

/* Nothing starts before the wait list is complete. */
static void call_and_wait(const cldeform_conv2d *object, const part_run *run, const cldeform_conv2d_tensors *tensors,
                          const cldeform_columns *columns, const cldeform_conv2d_gradients *gradients)
{
    cl_command_queue queue = run->waits && device.out_of_order ? device.out_of_order : device.queue;
    cl_event gate = NULL, done = NULL;
    cl_int error = CL_SUCCESS, state = CL_COMPLETE;
    if (run->waits) {
        gate = clCreateUserEvent(device.cl, &error);
        assert_int_equal(error, CL_SUCCESS);
    }
    const cldeform_status status =
        call_part(object, queue, run, tensors, columns, gradients, gate ? 1 : 0, gate ? &gate : NULL, &done);
    if (gate) {
        if (done)
            assert_cl(clGetEventInfo(done, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL));
        assert_cl(clSetUserEventStatus(gate, CL_COMPLETE));
        assert_cl(clReleaseEvent(gate));
    }
    assert_ok(status);
    assert_non_null(done);
    assert_true(!run->waits || state != CL_COMPLETE);
    assert_cl(clFlush(queue));
    assert_cl(clWaitForEvents(1, &done));
    assert_cl(clReleaseEvent(done));
}

/* values: of the columns of these images; IM2COL writes them, the others read them. Returns the gradients. */
static test_gradients run_part(const test_backward *g, const part_run *run, double *values)
{
    const test_conv *conv = &g->conv;
    const test_run placing = {.strided = run->strided};
    cldeform_conv2d_problem problem = conv->problem;
    cldeform_conv2d *object = NULL;
    cldeform_conv2d_tensors tensors = CLDEFORM_INIT(cldeform_conv2d_tensors);
    cldeform_conv2d_gradients gradients = CLDEFORM_INIT(cldeform_conv2d_gradients);
    cldeform_tensor *const in[] = {&tensors.input, &tensors.offset, &tensors.mask};
    cldeform_tensor *const out[] = {&gradients.grad_input, &gradients.grad_offset, &gradients.grad_mask};
    test_guarded inputs[3] = {0}, results[3] = {0}, columns = columns_of(g, run);
    test_gradients found = {0};
    cldeform_passes asked = run->what == IM2COL   ? 0
                            : run->what == COL2IM ? CLDEFORM_GRAD_INPUT
                                                  : CLDEFORM_GRAD_OFFSET | CLDEFORM_GRAD_MASK;
    asked &= run->gradients ? run->gradients : g->all;

    problem.passes = part_passes[run->what];
    problem.out_channels = 0; /* the parts know of no output */
    assert_ok(cldeform_conv2d_create(run->context ? run->context : device.context, &problem, &object));
    for (int i = CLDEFORM_INPUT; i <= CLDEFORM_MASK; i++) {
        if (conv->present[i] && !(run->what == COL2IM && i == CLDEFORM_INPUT)) {
            test_conv_upload(&device, conv, (cldeform_tensor_name)i, &placing, &inputs[i]);
            *in[i] = test_guarded_tensor(&inputs[i]);
        }
        if (asked & test_gradient_bit(i)) {
            results[i] = test_guarded_of(test_gradient_names[i], g->dtype[i], &g->shape[i], problem.batch, &placing);
            test_guarded_create(&device, &results[i], run->accumulate & test_gradient_bit(i) ? g->initial[i] : NULL,
                                CL_MEM_READ_WRITE);
            *out[i] = test_guarded_tensor(&results[i]);
        }
    }
    gradients.accumulate = run->accumulate & asked;
    test_guarded_create(&device, &columns, run->what == IM2COL ? NULL : values,
                        run->what == IM2COL ? CL_MEM_WRITE_ONLY : CL_MEM_READ_ONLY);
    const cldeform_columns argument = columns_argument(&columns, run);

    call_and_wait(object, run, &tensors, &argument, &gradients);

    const size_t elements = columns.images * columns.rows * columns.row;
    test_guarded_check(&columns, device.queue, 0, run->what == IM2COL ? elements : 0);
    if (run->what == IM2COL)
        test_guarded_values(&columns, values);
    test_guarded_destroy(&columns);
    for (int i = CLDEFORM_INPUT; i <= CLDEFORM_MASK; i++) {
        if (inputs[i].buffer) {
            test_guarded_check(&inputs[i], device.queue, 0, 0);
            test_guarded_destroy(&inputs[i]);
        }
        if (results[i].buffer) { /* of other images nothing is touched */
            const size_t image = results[i].row;
            found.values[i] = malloc(((size_t)g->shape[i].elements + 1) * sizeof(double));
            assert_non_null(found.values[i]);
            test_guarded_check(&results[i], device.queue, (size_t)run->first * image, (size_t)run->images * image);
            test_guarded_values(&results[i], found.values[i]);
            test_guarded_destroy(&results[i]);
        }
    }
    cldeform_conv2d_destroy(object);
    return found;
}

/* ---- comparisons --------------------------------------------------------------------------------------- */

static void compare_columns(const test_backward *g, const double *found, const double *expected, int64_t images)
{
    const sizes s = find_sizes(&g->conv);
    const int64_t rows = s.nhwc ? s.pixels : s.channels * s.taps, row = s.channels * s.taps * s.pixels / rows;
    const cldeform_shape shape = {sizeof shape, 3, {images, rows, row}, images * rows * row, 0};
    test_compare(&g->conv.problem, "columns", &shape, found, expected, NULL);
}

/* Elements of the images of the run: the reference's; of the others: what they began as. */
static void compare_gradients(const test_backward *g, const part_run *run, const test_gradients *found)
{
    for (int i = CLDEFORM_INPUT; i <= CLDEFORM_MASK; i++) {
        if (!found->values[i])
            continue;
        const int64_t image = g->shape[i].elements / g->conv.problem.batch;
        const bool adds = run->accumulate & test_gradient_bit(i);
        double *expected = malloc((size_t)g->shape[i].elements * sizeof *expected);
        assert_non_null(expected);
        for (int64_t e = 0; e < g->shape[i].elements; e++) {
            const bool inside = e / image >= run->first && e / image < run->first + run->images;
            expected[e] = inside ? test_round(g->values[i][e] + (adds ? g->initial[i][e] : 0), g->dtype[i])
                          : adds ? g->initial[i][e]
                                 : found->values[i][e];
        }
        test_compare(&g->conv.problem, test_gradient_names[i], &g->shape[i], found->values[i], expected, NULL);
        free(expected);
    }
}

/* The three parts on exact data: columns are the reference's, multiplied by the weight they are the output, and from
 * the columns' gradient, the weight times that of the output, come the gradients of backward. */
static void check_parts(const cldeform_conv2d_problem *problem, part_run run, uint32_t seed)
{
    test_backward g;
    test_backward_create(&g, problem, TEST_EXACT, seed);
    test_backward_reference(&g);
    const sizes s = find_sizes(&g.conv);
    const int64_t image = columns_elements(&s) / s.batch, outputs = g.conv.shape[CLDEFORM_OUTPUT].elements;
    double *columns = reference_columns(&g.conv), *found = calloc((size_t)columns_elements(&s) + 1, sizeof *found);
    double *grad_columns = calloc((size_t)columns_elements(&s) + 1, sizeof *found);
    double *product = calloc((size_t)outputs + 1, sizeof *product);
    assert_true(found && grad_columns && product);
    multiply(&g.conv, true, grad_columns, g.grad_output);
    for (int64_t e = 0; e < columns_elements(&s); e++) {
        assert_true(test_round(columns[e], g.conv.dtype[CLDEFORM_INPUT]) == columns[e]);
        assert_true(test_round(grad_columns[e], g.conv.dtype[CLDEFORM_INPUT]) == grad_columns[e]);
    }

    run.what = IM2COL;
    test_gradients none = run_part(&g, &run, found);
    compare_columns(&g, found, columns + run.first * image, run.images);
    test_gradients_free(&none);
    if (run.images == s.batch) {
        multiply(&g.conv, false, found, product);
        test_conv_reference(&g.conv);
        test_conv_compare(&g.conv, product, g.conv.values[CLDEFORM_OUTPUT], NULL);
    }

    run.what = COL2IM;
    test_gradients gradients = run_part(&g, &run, grad_columns + run.first * image);
    compare_gradients(&g, &run, &gradients);
    test_gradients_free(&gradients);

    run.what = COL2OFFSET;
    if (problem->kind != CLDEFORM_CONV2D_PLAIN) {
        gradients = run_part(&g, &run, grad_columns + run.first * image);
        assert_true((run.gradients && !(run.gradients & CLDEFORM_GRAD_OFFSET)) || gradients.values[CLDEFORM_OFFSET]);
        compare_gradients(&g, &run, &gradients);
        test_gradients_free(&gradients);
    }
    free(columns);
    free(found);
    free(grad_columns);
    free(product);
    test_backward_destroy(&g);
}

/* ---- tests --------------------------------------------------------------------------------------------- */

/* Each kind with each border in one layout: what differs in these has kernels of its own. */
static cldeform_conv2d_problem shape_problem(int row, int k, int l)
{
    cldeform_conv2d_problem problem = test_shape_problem(&test_conv_cases[row], kinds[k]);
    problem.layout = layouts[l];
    problem.border = k == l ? CLDEFORM_BORDER_EDGE : CLDEFORM_BORDER_ZERO;
    return problem;
}

static void all_shapes(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int row = 0; row < test_n_conv_cases; row++) {
        for (int k = 0; k < 3; k++) {
            for (int l = 0; l < 2; l++, seed++) {
                const uint32_t way = seed * 2654435761u >> 12; /* in step with none of the loops */
                cldeform_conv2d_problem problem = shape_problem(row, k, l);
                if (device.extent == TEST_PART && l != (k == 2 ? 1 : 0))
                    continue;
                if (problem.border == CLDEFORM_BORDER_ZERO && way % 7 < 3)
                    problem.offset_gradient = CLDEFORM_OFFSET_GRADIENT_OPEN;
                part_run run = {.images = problem.batch,
                                .strided = way % 2,
                                .row_gap = way / 2 % 5,
                                .image_gap = way / 2 % 5 + way / 16 % 7};
                run.accumulate = way % 3 == 1 ? CLDEFORM_BACKWARD : 0;
                check_parts(&problem, run, seed);
            }
        }
    }
}

/* Each type as that of data and as that of offsets; all pairs and layouts with TEST_ALL. */
static void all_types(void **state)
{
    (void)state;
    const cldeform_dtype types[] = {CLDEFORM_F32, CLDEFORM_F16, CLDEFORM_F64};
    for (int d = 0; d < 3; d++) {
        for (int o = 0; o < 3; o++) {
            for (int l = 0; l < 2; l++) {
                cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
                problem.dtype = types[d];
                problem.offset_dtype = types[o];
                problem.layout = layouts[l];
                const int shift = (o - d + 3) % 3;
                if ((d == 2 || o == 2) && !device.fp64)
                    continue;
                if (device.extent < TEST_ALL && (shift == 2 || l != (d + shift) % 2))
                    continue;
                if (device.extent == TEST_PART && (d != 1 || shift != 0))
                    continue;
                check_parts(&problem,
                            (part_run){.images = 3,
                                       .strided = l,
                                       .row_gap = (size_t)(o == 0 ? 3 : 0),
                                       .image_gap = (size_t)(o == 0 ? 3 : 0),
                                       .accumulate = d == o ? 0 : CLDEFORM_BACKWARD},
                            7);
            }
        }
    }
}

/* Any images of the batch, none included: the others' gradients stay. */
static void chunks(void **state)
{
    (void)state;
    for (int l = 0; l < 2; l++) {
        for (int64_t first = 0; first <= 4; first++) {
            for (int64_t images = 0; first + images <= 4; images++) {
                if (device.extent == TEST_PART && images * first != 2 && images != 0)
                    continue;
                cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
                problem.batch = 4;
                problem.layout = layouts[l];
                const part_run run = {.first = first,
                                      .images = images,
                                      .strided = first % 2,
                                      .row_gap = (size_t)(images % 2),
                                      .image_gap = 5,
                                      .accumulate = images == 2 ? CLDEFORM_BACKWARD : 0,
                                      .waits = first < 2};
                check_parts(&problem, run, 8);
            }
        }
    }
}

static void one_gradient_alone(void **state)
{
    (void)state;
    for (int l = 0; l < 2; l++) {
        for (int mask = 0; mask < 2; mask++) {
            cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
            problem.layout = layouts[l];
            problem.offset_layout = mask ? CLDEFORM_OFFSET_YX_LAST : CLDEFORM_OFFSET_PLANAR;
            /* of no image too, and with the input's bit: COL2IM is asked for that */
            const cldeform_passes one = mask ? CLDEFORM_GRAD_MASK : CLDEFORM_GRAD_OFFSET;
            check_parts(&problem, (part_run){.images = 3, .gradients = one | CLDEFORM_GRAD_INPUT}, 9);
        }
    }
}

static void long_indices(void **state)
{
    (void)state;
    cldeform_context *context = test_tuned_context(&device, "\"*\" long_index=1\n");
    for (int variant = 0; variant < 4; variant++) {
        cldeform_conv2d_problem problem = test_small_problem(kinds[variant >> 1]);
        if ((device.extent < TEST_ALL && variant % 3 != 0) || (device.extent == TEST_PART && variant == 0))
            continue;
        problem.layout = layouts[variant % 2];
        check_parts(
            &problem,
            (part_run){.images = 2, .first = 1, .context = context, .row_gap = 2, .image_gap = 9, .strided = true}, 10);
    }
    cldeform_context_destroy(context);
}

/* <im2col(x), c> = <x, col2im(c)>, on the device's results alone. */
static void adjoint_identity(void **state)
{
    (void)state;
    for (int row = 0; row < test_n_conv_cases; row++) {
        const cldeform_conv2d_problem problem = shape_problem(row, row % 3, row / 3 % 2);
        test_backward g;
        if (device.extent == TEST_PART && row / 3 % 2 != (row % 3 == 2)) /* what all_shapes takes */
            continue;
        test_backward_create(&g, &problem, TEST_EXACT, 11);
        const sizes s = find_sizes(&g.conv);
        const int64_t elements = columns_elements(&s);
        double *columns = calloc((size_t)elements, sizeof *columns), *others = calloc((size_t)elements, sizeof *others);
        assert_true(columns && others);
        uint32_t number = 5;
        for (int64_t e = 0; e < elements; e++)
            others[e] = test_value(&problem, CLDEFORM_INPUT, TEST_EXACT, &number);
        test_gradients none = run_part(&g, &(part_run){.what = IM2COL, .images = s.batch}, columns);
        test_gradients found = run_part(&g, &(part_run){.what = COL2IM, .images = s.batch}, others);
        double left = 0, right = 0;
        for (int64_t e = 0; e < elements; e++)
            left += columns[e] * others[e];
        for (int64_t e = 0; e < g.shape[CLDEFORM_INPUT].elements; e++)
            right += g.conv.values[CLDEFORM_INPUT][e] * found.values[CLDEFORM_INPUT][e];
        assert_true(left == right);
        free(columns);
        free(others);
        test_gradients_free(&none);
        test_gradients_free(&found);
        test_backward_destroy(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_shapes),         cmocka_unit_test(all_types),    cmocka_unit_test(chunks),
        cmocka_unit_test(one_gradient_alone), cmocka_unit_test(long_indices), cmocka_unit_test(adjoint_identity),
    };
    return cmocka_run_group_tests(tests, test_open_device, test_close_device);
}
