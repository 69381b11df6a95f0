#include "offsets.h"
#include "storage.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 5, BEFORE = 3, FILL = 0xa5 };

cldeform_conv2d_problem test_statistics_problem(void)
{
    cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    problem.passes = CLDEFORM_STATISTICS;
    problem.out_channels = 0;
    return problem;
}

/* ---- data and what is expected of it ------------------------------------------------------------------- */

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static double make_value(test_offset_data kind, size_t i, uint32_t *state)
{
    static const double special[] = {NAN, INFINITY, -INFINITY}, largest[] = {3e38, -3e38, FLT_MAX, -FLT_MAX, 60000};
    const double quarter = (double)(next(state) % 121) / 4 - 16;
    const uint32_t choice = next(state) % 100;
    switch (kind) {
    case TEST_QUARTERS:
        return quarter;
    case TEST_SPECIAL:
        return choice < 20 ? special[choice % 3] : quarter;
    case TEST_LARGEST:
        return largest[choice % 5];
    case TEST_MIXED:
        return choice < 20 ? special[choice % 3] : choice < 40 ? largest[choice % 5] : quarter;
    case TEST_ABSORBED:
        return i % 128 == 0 ? 0x1p25 : 1.75;
    case TEST_NO_NUMBER:
        return special[choice % 3];
    }
    return 0;
}

test_offsets test_offsets_create(const cldeform_conv2d_problem *problem, test_offset_data kind)
{
    test_offsets o = {.problem = *problem};
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape), output = CLDEFORM_INIT(cldeform_shape);
    cldeform_conv2d_problem nchw = *problem;
    nchw.layout = CLDEFORM_NHWC;
    nchw.out_channels = problem->groups;
    uint32_t state = 2017;
    assert_ok(cldeform_conv2d_shape(problem, CLDEFORM_OFFSET, &shape));
    assert_ok(cldeform_conv2d_shape(&nchw, CLDEFORM_OUTPUT, &output));
    o.out_h = output.size[1];
    o.out_w = output.size[2];
    o.planes = problem->offset_groups * problem->kernel_h * problem->kernel_w;
    o.image = (size_t)(2 * o.planes * o.out_h * o.out_w);
    assert_int_equal(shape.elements, problem->batch * (int64_t)o.image);
    o.data = problem->dtype ? problem->dtype : CLDEFORM_F32;
    o.dtype = problem->offset_dtype ? problem->offset_dtype : o.data;
    o.values = calloc((size_t)shape.elements + 1, sizeof *o.values);
    assert_non_null(o.values);
    for (size_t i = 0; i < (size_t)shape.elements; i++) {
        double stored;
        cldeform__store_element(&stored, 0, o.dtype, make_value(kind, i, &state));
        o.values[i] = cldeform__load_element(&stored, 0, o.dtype);
    }
    return o;
}

size_t test_offset_place(const test_offsets *o, int64_t group, int64_t tap, int64_t axis, int64_t pixel)
{
    const int64_t taps = o->problem.kernel_h * o->problem.kernel_w, plane = o->out_h * o->out_w;
    const int64_t yx = (group * taps + tap) * 2 + axis, xy = (group * taps + tap) * 2 + 1 - axis;
    switch (o->problem.offset_layout) {
    case CLDEFORM_OFFSET_XY:
        return (size_t)(xy * plane + pixel);
    case CLDEFORM_OFFSET_PLANAR:
        return (size_t)(((group * 2 + axis) * taps + tap) * plane + pixel);
    case CLDEFORM_OFFSET_YX_LAST:
        return (size_t)(pixel * 2 * o->planes + yx);
    default:
        return (size_t)(yx * plane + pixel);
    }
}

static bool is_outside(const test_offsets *o, double base, double offset, double size)
{
    const double limit = o->problem.offset_limit > 0 ? o->problem.offset_limit : INFINITY;
    /* float data: the convolution computes positions in float, in which a larger double is infinite */
    const double value = o->data == CLDEFORM_F64 ? offset : (double)(float)offset;
    const double at = base + (isnan(value) ? value : fmin(fmax(value, -limit), limit));
    return o->problem.border == CLDEFORM_BORDER_EDGE ? !(at >= 0 && at < size) : !(at > -1 && at < size);
}

cldeform_offset_statistics test_statistics_expect(const test_offsets *o)
{
    const cldeform_conv2d_problem *p = &o->problem;
    const int64_t taps = p->kernel_h * p->kernel_w, plane = o->out_h * o->out_w;
    cldeform_offset_statistics s = {0};
    long double sum = 0;
    double most = 0;
    for (int64_t n = 0; n < p->batch; n++)
        for (int64_t i = 0; i < o->planes * plane; i++) {
            const int64_t group = i / plane / taps, tap = i / plane % taps, pixel = i % plane;
            const double *image = o->values + (size_t)n * o->image;
            const double d[2] = {image[test_offset_place(o, group, tap, 0, pixel)],
                                 image[test_offset_place(o, group, tap, 1, pixel)]};
            for (int axis = 0; axis < 2; axis++) {
                s.nan += isnan(d[axis]) ? 1 : 0;
                s.infinite += isinf(d[axis]) ? 1 : 0;
                sum += isfinite(d[axis]) ? fabsl(d[axis]) : 0;
                most = isfinite(d[axis]) ? fmax(most, fabs(d[axis])) : most;
            }
            const int64_t y = pixel / o->out_w * p->stride_h - p->pad_top + tap / p->kernel_w * p->dilation_h;
            const int64_t x = pixel % o->out_w * p->stride_w - p->pad_left + tap % p->kernel_w * p->dilation_w;
            s.samples++;
            s.outside +=
                is_outside(o, (double)y, d[0], (double)p->in_h) || is_outside(o, (double)x, d[1], (double)p->in_w);
        }
    const uint64_t finite = 2 * s.samples - s.nan - s.infinite;
    s.mean_magnitude = finite > 0 ? (float)(sum / (long double)finite) : 0;
    s.max_magnitude = (float)most;
    return s;
}

void test_statistics_compare(const cldeform_offset_statistics *found, const cldeform_offset_statistics *expected)
{
    assert_int_equal(found->samples, expected->samples);
    assert_int_equal(found->outside, expected->outside);
    assert_int_equal(found->nan, expected->nan);
    assert_int_equal(found->infinite, expected->infinite);
    assert_true(found->max_magnitude == expected->max_magnitude);
    /* an ulp */
    const double mean = (double)expected->mean_magnitude;
    if (!(found->mean_magnitude == expected->mean_magnitude ||
          fabs((double)found->mean_magnitude - mean) <= mean * 0x1p-23))
        fail_msg("mean_magnitude is %.9g, must be %.9g", (double)found->mean_magnitude, mean);
}

void test_offsets_destroy(test_offsets *o)
{
    free(o->values);
    o->values = NULL;
}

/* ---- on the device ------------------------------------------------------------------------------------- */

cldeform_tensor test_offsets_upload(const test_offsets *o, bool strided)
{
    const size_t element = cldeform__dtype_size(o->dtype), batch = (size_t)o->problem.batch;
    const size_t first = strided ? BEFORE : 0, stride = o->image + (strided ? GAP : 0);
    const size_t bytes = (first + batch * stride + 1) * element;
    unsigned char *stored = malloc(bytes);
    assert_non_null(stored);
    memset(stored, 0xff, bytes);
    for (size_t i = 0; i < batch * o->image; i++)
        cldeform__store_element(stored, first + i / o->image * stride + i % o->image, o->dtype, o->values[i]);
    const cldeform_tensor tensor = {test_buffer_create(bytes, stored), first, strided ? stride : 0};
    free(stored);
    return tensor;
}

cl_mem test_result_create(void)
{
    unsigned char bytes[TEST_GUARD + sizeof(cldeform_offset_statistics) + TEST_GUARD];
    memset(bytes, FILL, sizeof bytes);
    return test_buffer_create(sizeof bytes, bytes);
}

bool test_result_read(cl_command_queue queue, cl_mem buffer, cldeform_offset_statistics *found)
{
    unsigned char bytes[TEST_GUARD + sizeof *found + TEST_GUARD], fill[TEST_GUARD];
    memset(fill, FILL, sizeof fill);
    assert_cl(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, sizeof bytes, bytes, 0, NULL, NULL));
    assert_memory_equal(bytes, fill, TEST_GUARD);
    assert_memory_equal(bytes + TEST_GUARD + sizeof *found, fill, TEST_GUARD);
    memcpy(found, bytes + TEST_GUARD, sizeof *found);
    return memcmp(found, fill, sizeof *found) != 0;
}

cldeform_offset_statistics test_statistics_measure(const test_offsets *o, const test_statistics_run *how)
{
    cl_command_queue queue = how->queue ? how->queue : device.queue;
    cldeform_conv2d *conv = NULL;
    cldeform_offset_statistics found;
    cl_event done = NULL;
    size_t minimum = 0, preferred = 0;
    cldeform_workspace workspace = {0};
    const cldeform_tensor offset = test_offsets_upload(o, how->strided);
    const cldeform_tensor result = {test_result_create(), TEST_GUARD / sizeof found, 0};
    assert_ok(cldeform_conv2d_create(how->context ? how->context : device.context, &o->problem, &conv));
    assert_ok(cldeform_conv2d_workspace_size(conv, CLDEFORM_STATISTICS, &minimum, &preferred));
    assert_true(minimum > 0);
    assert_int_equal(minimum, preferred);
    if (how->workspace_beyond > 0) {
        workspace = (cldeform_workspace){NULL, CLDEFORM_WORKSPACE_ALIGNMENT, minimum + how->workspace_beyond - 1};
        workspace.buffer = test_buffer_create(workspace.offset + workspace.size, NULL);
    }
    assert_ok(cldeform_conv2d_offset_statistics(conv, queue, &offset, &result, workspace.buffer ? &workspace : NULL, 0,
                                                NULL, &done));
    assert_cl(clFlush(queue));
    assert_cl(clWaitForEvents(1, &done));
    assert_cl(clReleaseEvent(done));
    assert_true(test_result_read(queue, result.buffer, &found));
    if (workspace.buffer)
        assert_cl(clReleaseMemObject(workspace.buffer));
    assert_cl(clReleaseMemObject(offset.buffer));
    assert_cl(clReleaseMemObject(result.buffer));
    cldeform_conv2d_destroy(conv);
    return found;
}
