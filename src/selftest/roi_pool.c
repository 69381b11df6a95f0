/* Self-test of RoI pooling: forward and gradients of each method. */
#include "../roi/problem.h"
#include "cldeform/cldeform_ref.h"
#include "selftest.h"

#include <math.h>

typedef struct check {
    const char *name;
    cldeform_roi_method method;
    cldeform_dtype dtype;
    cldeform_layout layout;
    bool moves; /* with offsets and a mask */
    cldeform_passes passes;
    double tolerance; /* of the largest value: averages of three samples are not exact */
} check;

#define ALL (CLDEFORM_FORWARD | CLDEFORM_BACKWARD)
static const check checks[] = {
    {"roi align fp32 nchw", CLDEFORM_ROI_ALIGN, CLDEFORM_F32, CLDEFORM_NCHW, true, ALL, 1e-5},
    {"roi align fp16 nhwc", CLDEFORM_ROI_ALIGN, CLDEFORM_F16, CLDEFORM_NHWC, true, CLDEFORM_FORWARD, 1e-3},
    {"roi align fp64 nchw", CLDEFORM_ROI_ALIGN, CLDEFORM_F64, CLDEFORM_NCHW, true, ALL, 1e-12},
    {"psroi align fp32 nchw", CLDEFORM_ROI_PS_ALIGN, CLDEFORM_F32, CLDEFORM_NCHW, true, ALL, 1e-5},
    {"psroi cells fp32 nhwc", CLDEFORM_ROI_PS, CLDEFORM_F32, CLDEFORM_NHWC, false, ALL, 1e-5},
    {"roi max fp32 nchw", CLDEFORM_ROI_MAX, CLDEFORM_F32, CLDEFORM_NCHW, false, ALL, 0},
};
#undef ALL

enum { ROIS = 9, LEVELS = 2 };

/* What a device and the reference are given, and what the reference makes of it. */
typedef struct roi_data {
    cldeform__host_tensor input[LEVELS], rois, offset, mask, output;
    cldeform__host_tensor grad_input[LEVELS], grad_offset, grad_mask, grad_output;
    int32_t argmax[ROIS * 40 * 6];
    cl_mem argmax_buffer;
} roi_data;

static cldeform_roi_pool_problem problem_of(const check *row)
{
    const bool ps = row->method == CLDEFORM_ROI_PS_ALIGN || row->method == CLDEFORM_ROI_PS;
    cldeform_roi_pool_problem problem = CLDEFORM_INIT(cldeform_roi_pool_problem);
    problem.method = row->method;
    problem.deformable = problem.modulated = row->moves;
    problem.passes = row->passes;
    problem.batch = 2;
    problem.in_channels = ps ? 148 : 37; /* 37 in a row: whole vectors, and a rest */
    problem.group_size = ps ? 2 : 0;
    problem.max_rois = ROIS;
    problem.levels = LEVELS;
    problem.level[0] = (cldeform_roi_level){19, 22, 0.5};
    problem.level[1] = (cldeform_roi_level){10, 11, 0.25};
    problem.canonical_size = 30;
    problem.out_h = 3, problem.out_w = 2;
    problem.dtype = row->dtype;
    problem.layout = row->layout;
    problem.mask_activation = row->moves ? CLDEFORM_MASK_SIGMOID : CLDEFORM_MASK_AS_IS;
    return problem;
}

/* RoIs inside, across borders, outside, inverted, and some that do not exist. */
static const double rois[ROIS][5] = {
    {0, 3.25, 2.5, 17.75, 30}, {1, -9, -7.5, 12, 9.25}, {1, 30, 25.5, 60, 50},
    {0, 100, 100, 130, 120},   {1, 20, 20, 8, 9},       {0, 5, 5, 5.5, 5.25},
    {7, 1, 1, 9, 9},           {0, 0, 0, 44, 38},       {1, NAN, 0, 9, 9},
};

static cldeform_status create_data(const cldeform_context *context, const cldeform_roi_pool_problem *problem,
                                   roi_data *data)
{
    cldeform_status status = CLDEFORM_OK;
    const struct {
        cldeform__host_tensor *tensor;
        cldeform_tensor_name name;
        int64_t level;
        bool wanted;
    } all[] = {
        {&data->input[0], CLDEFORM_INPUT, 0, true},
        {&data->input[1], CLDEFORM_INPUT, 1, true},
        {&data->rois, CLDEFORM_ROIS, 0, true},
        {&data->offset, CLDEFORM_OFFSET, 0, problem->deformable},
        {&data->mask, CLDEFORM_MASK, 0, problem->modulated},
        {&data->output, CLDEFORM_OUTPUT, 0, true},
        {&data->grad_input[0], CLDEFORM_INPUT, 0, true},
        {&data->grad_input[1], CLDEFORM_INPUT, 1, true},
        {&data->grad_offset, CLDEFORM_OFFSET, 0, problem->deformable},
        {&data->grad_mask, CLDEFORM_MASK, 0, problem->modulated},
        {&data->grad_output, CLDEFORM_OUTPUT, 0, true},
    };
    uint32_t state = 20170317;
    cl_int error = CL_SUCCESS;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
        cldeform__host_tensor *tensor = all[i].tensor;
        if (!all[i].wanted)
            continue;
        tensor->name = all[i].name;
        tensor->dtype = problem->dtype;
        if (all[i].name == CLDEFORM_ROIS && tensor->dtype != CLDEFORM_F64)
            tensor->dtype = CLDEFORM_F32;
        TRY(cldeform_roi_pool_shape(problem, all[i].name, all[i].level, &shape));
        TRY(cldeform__create_tensor(tensor, &shape));
        cldeform__fill_tensor(tensor, &state);
        for (size_t e = 0; all[i].name == CLDEFORM_ROIS && e < tensor->elements; e++)
            tensor->values[e] = rois[e / 5][e % 5];
        TRY(cldeform__send_tensor(context, tensor));
    }
    if (problem->method == CLDEFORM_ROI_MAX)
        data->argmax_buffer = clCreateBuffer(context->cl, CL_MEM_READ_WRITE, sizeof data->argmax, NULL, &error);
    if (error != CL_SUCCESS)
        status = cldeform__fail_cl(error, "clCreateBuffer(argmax)");
done:
    return status;
}

static void free_data(roi_data *data)
{
    cldeform__host_tensor *const all[] = {&data->input[0],      &data->input[1],      &data->rois,
                                          &data->offset,        &data->mask,          &data->output,
                                          &data->grad_input[0], &data->grad_input[1], &data->grad_offset,
                                          &data->grad_mask,     &data->grad_output};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        cldeform__free_tensor(all[i]);
    if (data->argmax_buffer)
        clReleaseMemObject(data->argmax_buffer);
}

static cldeform_status run_reference(const cldeform_roi_pool_problem *problem, roi_data *data)
{
    const cldeform_ref_roi_pool_tensors tensors = {.input = {data->input[0].values, data->input[1].values},
                                                   .rois = data->rois.values,
                                                   .offset = data->offset.values,
                                                   .mask = data->mask.values,
                                                   .output = data->output.values,
                                                   .argmax = problem->method == CLDEFORM_ROI_MAX ? data->argmax : NULL};
    const cldeform_ref_roi_pool_gradients gradients = {
        .grad_output = data->grad_output.values,
        .grad_input = {data->grad_input[0].values, data->grad_input[1].values},
        .grad_offset = data->grad_offset.values,
        .grad_mask = data->grad_mask.values};
    const cldeform_status status = cldeform_ref_roi_pool_forward(problem, ROIS, &tensors);
    return status == CLDEFORM_OK ? cldeform_ref_roi_pool_backward(problem, ROIS, &tensors, &gradients) : status;
}

static cldeform_status run_check(cldeform_context *context, cl_command_queue queue, const check *row)
{
    cldeform_status status;
    cldeform_roi_pool *pool = NULL;
    roi_data data = {0};
    const cldeform_roi_pool_problem problem = problem_of(row);
    TRY(create_data(context, &problem, &data));
    TRY(run_reference(&problem, &data));
    const cldeform_roi_pool_tensors tensors = {.struct_size = sizeof tensors,
                                               .input[0].buffer = data.input[0].buffer,
                                               .input[1].buffer = data.input[1].buffer,
                                               .rois.buffer = data.rois.buffer,
                                               .offset.buffer = data.offset.buffer,
                                               .mask.buffer = data.mask.buffer,
                                               .output.buffer = data.output.buffer,
                                               .argmax.buffer = data.argmax_buffer};
    const cldeform_roi_pool_gradients gradients = {.struct_size = sizeof gradients,
                                                   .grad_output.buffer = data.grad_output.buffer,
                                                   .grad_input[0].buffer = data.grad_input[0].buffer,
                                                   .grad_input[1].buffer = data.grad_input[1].buffer,
                                                   .grad_offset.buffer = data.grad_offset.buffer,
                                                   .grad_mask.buffer = data.grad_mask.buffer};
    TRY(cldeform_roi_pool_create(context, &problem, &pool));
    TRY(cldeform_roi_pool_forward(pool, queue, ROIS, &tensors, NULL, 0, NULL, NULL));
    TRY(cldeform__compare_tensor(queue, "output", &data.output, row->tolerance));
    if (!(row->passes & CLDEFORM_BACKWARD))
        goto done;
    TRY(cldeform_roi_pool_backward(pool, queue, ROIS, &tensors, &gradients, NULL, 0, NULL, NULL));
    for (int level = 0; level < LEVELS; level++)
        TRY(cldeform__compare_tensor(queue, "grad_input", &data.grad_input[level], row->tolerance));
    if (row->moves) {
        TRY(cldeform__compare_tensor(queue, "grad_offset", &data.grad_offset, row->tolerance));
        TRY(cldeform__compare_tensor(queue, "grad_mask", &data.grad_mask, row->tolerance));
    }
done:
    clFinish(queue);
    cldeform_roi_pool_destroy(pool);
    free_data(&data);
    return status;
}

void cldeform__selftest_roi_pool(cldeform_context *context, cl_command_queue queue, cldeform__selftest_tell tell,
                                 void *user)
{
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        if (checks[i].dtype != CLDEFORM_F64 || context->facts.fp64)
            tell(checks[i].name, run_check(context, queue, &checks[i]), user);
}
