/* What RoI pooling costs: forward and backward of many RoIs on one map, with a workspace that is given, wall time and
 * each step's own. bench/roi_torchvision.py sets it against torchvision. */
#include "device.h"
#include "number.h"
#include "run.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double SCALE = 0.25, LEAST_SIDE = 28, MOST_SIDE = 112; /* image pixels */

enum { PASS_BOTH, PASS_FORWARD, PASS_BACKWARD };

typedef struct settings {
    cldeform_roi_pool_problem problem;
    int pass, calls;
} settings;

typedef struct bench {
    device_session device;
    cldeform_context *context;
    cldeform_roi_pool *pool;
    int64_t rois;
    cldeform_roi_pool_tensors tensors;
    cldeform_roi_pool_gradients gradients;
    cldeform_workspace workspace;
    cl_mem buffers[16];
    size_t n_buffers;
    timing_recording recording;
} bench;

static int fail(const char *what)
{
    fprintf(stderr, "bench_roi: %s: %s\n", what, cldeform_last_error());
    return 1;
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

/* Keeps it until the end; NULL where it cannot be made. */
static cl_mem create_buffer(bench *b, size_t bytes, void *values)
{
    cl_int error = CL_SUCCESS;
    cl_mem buffer = clCreateBuffer(b->device.context, CL_MEM_READ_WRITE | (values ? CL_MEM_COPY_HOST_PTR : 0),
                                   bytes ? bytes : 1, values, &error);
    if (error != CL_SUCCESS)
        return NULL;
    b->buffers[b->n_buffers++] = buffer;
    return buffer;
}

/* Centres uniform over the image, sides uniform; the script draws the same. */
static void fill_rois(const cldeform_roi_pool_problem *p, float *rois)
{
    const double width = (double)p->level[0].in_w / SCALE, height = (double)p->level[0].in_h / SCALE;
    uint32_t state = 1;
    for (int64_t r = 0; r < p->max_rois; r++) {
        double at[4]; /* in [0, 1): x, y, width, height */
        for (int i = 0; i < 4; i++)
            at[i] = 0.5 + 0.5 * (double)timing_value(&state);
        const double half_w = (LEAST_SIDE + at[2] * (MOST_SIDE - LEAST_SIDE)) / 2;
        const double half_h = (LEAST_SIDE + at[3] * (MOST_SIDE - LEAST_SIDE)) / 2;
        rois[5 * r] = 0;
        rois[5 * r + 1] = (float)(at[0] * width - half_w), rois[5 * r + 2] = (float)(at[1] * height - half_h);
        rois[5 * r + 3] = (float)(at[0] * width + half_w), rois[5 * r + 4] = (float)(at[1] * height + half_h);
    }
}

static bool create_tensor(bench *b, const cldeform_roi_pool_problem *p, cldeform_tensor_name name,
                          cldeform_tensor *tensor)
{
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    if (cldeform_roi_pool_shape(p, name, 0, &shape) != CLDEFORM_OK)
        return !fail("shape");
    float *values = malloc(shape.bytes + 1);
    if (!values)
        return false;
    uint32_t state = 7;
    for (int64_t e = 0; e < shape.elements; e++) /* an argmax takes no harm: forward writes it */
        values[e] = timing_value(&state);
    if (name == CLDEFORM_ROIS)
        fill_rois(p, values);
    tensor->buffer = create_buffer(b, shape.bytes, values);
    free(values);
    return tensor->buffer != NULL;
}

static bool create_tensors(bench *b, const cldeform_roi_pool_problem *p)
{
    cldeform_roi_pool_tensors *t = &b->tensors;
    cldeform_roi_pool_gradients *g = &b->gradients;
    *t = (cldeform_roi_pool_tensors)CLDEFORM_INIT(cldeform_roi_pool_tensors);
    *g = (cldeform_roi_pool_gradients)CLDEFORM_INIT(cldeform_roi_pool_gradients);
    if (!create_tensor(b, p, CLDEFORM_INPUT, &t->input[0]) || !create_tensor(b, p, CLDEFORM_ROIS, &t->rois) ||
        !create_tensor(b, p, CLDEFORM_OUTPUT, &t->output) || !create_tensor(b, p, CLDEFORM_OUTPUT, &g->grad_output) ||
        !create_tensor(b, p, CLDEFORM_INPUT, &g->grad_input[0]))
        return false;
    if (p->deformable &&
        (!create_tensor(b, p, CLDEFORM_OFFSET, &t->offset) || !create_tensor(b, p, CLDEFORM_OFFSET, &g->grad_offset)))
        return false;
    if (p->modulated &&
        (!create_tensor(b, p, CLDEFORM_MASK, &t->mask) || !create_tensor(b, p, CLDEFORM_MASK, &g->grad_mask)))
        return false;
    return p->method != CLDEFORM_ROI_MAX || create_tensor(b, p, CLDEFORM_ARGMAX, &t->argmax);
}

static bool create_workspace(bench *b, cldeform_passes passes)
{
    size_t bytes = 0;
    if (cldeform_roi_pool_workspace_size(b->pool, passes, NULL, &bytes) != CLDEFORM_OK)
        return !fail("workspace_size");
    printf("workspace         %9.3f MiB\n", (double)bytes / (1 << 20));
    b->workspace = (cldeform_workspace){NULL, 0, 0};
    if (bytes > 0)
        b->workspace.buffer = create_buffer(b, bytes, NULL);
    return bytes == 0 || b->workspace.buffer;
}

/* ---- calls --------------------------------------------------------------------------------------------- */

static const cldeform_workspace *workspace_of(const bench *b)
{
    return b->workspace.buffer ? &b->workspace : NULL;
}

static int call_forward(void *user)
{
    const bench *b = user;
    if (cldeform_roi_pool_forward(b->pool, b->device.queue, b->rois, &b->tensors, workspace_of(b), 0, NULL, NULL) !=
            CLDEFORM_OK ||
        clFinish(b->device.queue) != CL_SUCCESS)
        return fail("forward");
    return 0;
}

static int call_backward(void *user)
{
    const bench *b = user;
    if (cldeform_roi_pool_backward(b->pool, b->device.queue, b->rois, &b->tensors, &b->gradients, workspace_of(b), 0,
                                   NULL, NULL) != CLDEFORM_OK ||
        clFinish(b->device.queue) != CL_SUCCESS)
        return fail("backward");
    return 0;
}

static int measure(bench *b, const settings *s)
{
    const cldeform_roi_pool_problem *p = &s->problem;
    double start = timing_now();
    if (cldeform_roi_pool_create(b->context, p, &b->pool) != CLDEFORM_OK)
        return fail("create");
    printf("create            %9.3f ms\n", timing_now() - start);
    start = timing_now();
    if (cldeform_roi_pool_warm_up(b->pool, b->device.queue) != CLDEFORM_OK)
        return fail("warm_up");
    printf("warm_up           %9.3f ms\n", timing_now() - start);
    if (!create_workspace(b, CLDEFORM_FORWARD))
        return 1;
    /* backward of MAX reads what forward has found */
    if (s->pass != PASS_BACKWARD ? run_calls("forward", s->calls, &b->recording, call_forward, b) : call_forward(b))
        return 1;
    if (s->pass == PASS_FORWARD)
        return 0;
    if (!create_workspace(b, p->passes & CLDEFORM_BACKWARD))
        return 1;
    return run_calls("backward", s->calls, &b->recording, call_backward, b);
}

/* ---- the command line ---------------------------------------------------------------------------------- */

static const char *const usage =
    "usage: bench_roi [--pass both|forward|backward] [--method align|ps-align|ps|max] [--layout nchw|nhwc]\n"
    "                 [--deformable] [--modulated] [--sampling-ratio N] [--samples N] [--rois N] [--channels N]\n"
    "                 [--group N] [--size H[,W]] [--bins H[,W]] [--calls N]\n"
    "RoI pooling in fp32: 512 RoIs of 28 to 112 image pixels, 256 channels, 7 x 7 bins, a map of 200 x 336 at a\n"
    "quarter of the image's size, sampling ratio 2 (0: adaptive), group 1, 4 samples of ps-align, 20 calls. Backward "
    "is\n"
    "all gradients.\n";

static const number_word pass_words[] = {{"both", PASS_BOTH}, {"forward", PASS_FORWARD}, {"backward", PASS_BACKWARD}};
static const number_word method_words[] = {{"align", CLDEFORM_ROI_ALIGN},
                                           {"ps-align", CLDEFORM_ROI_PS_ALIGN},
                                           {"ps", CLDEFORM_ROI_PS},
                                           {"max", CLDEFORM_ROI_MAX}};
static const number_word layout_words[] = {{"nchw", CLDEFORM_NCHW}, {"nhwc", CLDEFORM_NHWC}};

/* One option with its value. */
static int read_option(settings *s, int64_t *group, const char *option, const char *value, fault *f)
{
    cldeform_roi_pool_problem *p = &s->problem;
    int status = EXIT_FINE, number = 0, count = 0;
    int64_t pair[2] = {0, 0};
    if (strcmp(option, "--pass") == 0) {
        status = number_read_word(option, value, pass_words, 3, &s->pass, f);
    } else if (strcmp(option, "--method") == 0) {
        status = number_read_word(option, value, method_words, 4, &number, f);
        p->method = (cldeform_roi_method)number;
    } else if (strcmp(option, "--layout") == 0) {
        status = number_read_word(option, value, layout_words, 2, &number, f);
        p->layout = (cldeform_layout)number;
    } else if (strcmp(option, "--sampling-ratio") == 0) {
        status = number_read_list(option, value, 0, 1, &p->sampling_ratio, &count, f);
    } else if (strcmp(option, "--samples") == 0) {
        status = number_read_list(option, value, 1, 1, &p->samples_h, &count, f);
        p->samples_w = p->samples_h;
    } else if (strcmp(option, "--rois") == 0) {
        status = number_read_list(option, value, 0, 1, &p->max_rois, &count, f);
    } else if (strcmp(option, "--channels") == 0) {
        status = number_read_list(option, value, 1, 1, &p->in_channels, &count, f);
    } else if (strcmp(option, "--group") == 0) {
        status = number_read_list(option, value, 1, 1, group, &count, f);
    } else if (strcmp(option, "--size") == 0) {
        status = number_read_pair(option, value, 1, pair, f);
        p->level[0].in_h = pair[0], p->level[0].in_w = pair[1];
    } else if (strcmp(option, "--bins") == 0) {
        status = number_read_pair(option, value, 1, pair, f);
        p->out_h = pair[0], p->out_w = pair[1];
    } else if (strcmp(option, "--calls") == 0) {
        status = number_read_list(option, value, 1, 1, pair, &count, f);
        s->calls = (int)pair[0];
    } else {
        status = fault_set(f, EXIT_INPUT, "%s: no such option", option);
    }
    return status;
}

/* What does not belong to the method is dropped, so that one set of options fits all. */
static void fit_method(cldeform_roi_pool_problem *p, int64_t group)
{
    const bool sensitive = p->method == CLDEFORM_ROI_PS_ALIGN || p->method == CLDEFORM_ROI_PS;
    if (p->method != CLDEFORM_ROI_ALIGN)
        p->sampling_ratio = 0;
    if (p->method != CLDEFORM_ROI_PS_ALIGN)
        p->samples_h = p->samples_w = 0;
    if (sensitive) {
        p->group_size = group;
        p->in_channels -= p->in_channels % (group * group);
    }
    if (p->method == CLDEFORM_ROI_PS || p->method == CLDEFORM_ROI_MAX)
        p->deformable = p->modulated = 0;
}

static int read_options(int n, char **words, settings *s, fault *f)
{
    cldeform_roi_pool_problem *p = &s->problem;
    int64_t group = 1;
    int status = EXIT_FINE;
    *p = (cldeform_roi_pool_problem)CLDEFORM_INIT(cldeform_roi_pool_problem);
    p->batch = 1, p->in_channels = 256, p->max_rois = 512;
    p->level[0] = (cldeform_roi_level){200, 336, SCALE};
    p->out_h = p->out_w = 7;
    p->sampling_ratio = 2;
    s->calls = 20;
    for (int i = 1; i < n && status == EXIT_FINE; i++) {
        if (strcmp(words[i], "--deformable") == 0)
            p->deformable = 1;
        else if (strcmp(words[i], "--modulated") == 0)
            p->modulated = 1;
        else if (i + 1 == n)
            status = fault_set(f, EXIT_INPUT, "%s: no such option, or its value is missing", words[i]);
        else
            status = read_option(s, &group, words[i], words[i + 1], f), i++;
    }
    fit_method(p, group);
    p->passes = CLDEFORM_FORWARD;
    if (s->pass != PASS_FORWARD)
        p->passes |=
            CLDEFORM_GRAD_INPUT | (p->deformable ? CLDEFORM_GRAD_OFFSET : 0) | (p->modulated ? CLDEFORM_GRAD_MASK : 0);
    return status;
}

int main(int argc, char **argv)
{
    static bench b;
    settings s = {0};
    fault f = {0};
    int status = read_options(argc, argv, &s, &f);
    if (status == EXIT_INPUT)
        fputs(usage, stderr);
    if (status == EXIT_FINE)
        status = device_open(&b.device, NULL, CL_QUEUE_PROFILING_ENABLE, &f);
    if (status != EXIT_FINE) {
        fault_print(&f, "bench_roi");
        device_close(&b.device);
        return status;
    }
    printf("device            %s\n", b.device.device->name);
    cldeform_context_options options = CLDEFORM_INIT(cldeform_context_options);
    options.trace = timing_record;
    options.trace_user = &b.recording;
    b.rois = s.problem.max_rois;
    if (cldeform_context_create(b.device.context, b.device.device->id, &options, &b.context) != CLDEFORM_OK)
        status = fail("context");
    else if (!create_tensors(&b, &s.problem))
        status = fail("tensors");
    else
        status = measure(&b, &s);
    cldeform_roi_pool_destroy(b.pool);
    cldeform_context_destroy(b.context);
    for (size_t i = 0; i < b.n_buffers; i++)
        clReleaseMemObject(b.buffers[i]);
    device_close(&b.device);
    return status;
}
