/* cldeform.h: deformable convolution on OpenCL devices, from C.
 *
 * Read it from top to bottom: 1 rules that hold everywhere, 2 status, 3 tensors, 4 context, 5 convolution,
 * 6 its parts, 7 RoI pooling, 8 measuring and self-test, 9 CLBlast. Problems, their enums and the status codes are in
 * problem.h. */
#ifndef CLDEFORM_H
#define CLDEFORM_H

#ifndef CL_TARGET_OPENCL_VERSION /* what the Khronos headers would choose themselves, without their note */
#define CL_TARGET_OPENCL_VERSION 300
#endif
#ifdef __APPLE__
#include <OpenCL/opencl.h>
#else
#include <CL/cl.h>
#endif

#include "problem.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CLDEFORM_VERSION_MAJOR 0
#define CLDEFORM_VERSION_MINOR 1
#define CLDEFORM_VERSION_PATCH 0

/* Version of the library at run time: major * 10000 + minor * 100 + patch. */
CLDEFORM_API int cldeform_version(void);

/* ==== 1. Rules that hold everywhere =====================================================================
 *
 * Structs. The first field is struct_size; the library reads no further than that, so a program built
 *   against an older header keeps working. Zero in any other field is its default (stride 0 means 1).
 *     C    cldeform_conv2d_problem p = CLDEFORM_INIT(cldeform_conv2d_problem);   then assign fields
 *     C    ... = { .struct_size = sizeof(cldeform_conv2d_problem), .batch = 1, ... };
 *     C++  cldeform_conv2d_problem p = {};  p.struct_size = sizeof p;            other languages: zero, set size
 *
 * Enqueueing calls end in (n_wait, wait, done), as clEnqueueNDRangeKernel does.
 *   They return at once, after warm_up (the first product of a process otherwise compiles CLBlast's kernels: seconds).
 *   Nothing of the call starts before all of `wait` are complete. *done, when done is
 *   not NULL, completes after everything the call enqueued, on in-order and out-of-order queues, also
 *   when there was nothing to do (empty batch). The caller releases it. Its profiling times cover the whole call
 *   from the first START to the last END only through the trace (section 8): an OpenCL event holds the
 *   times of one command.
 *   On an out-of-order queue nothing waits for commands that are not in `wait` (so no empty-list markers).
 *   For CLBlast, which takes no wait list, the context then has in-order queues of its own: as many as calls
 *   were in flight at a time.
 *   The queue must belong to the context's cl_context and device.
 *   A call need not flush: clFlush before another queue or thread waits for *done.
 *   After an error nothing was enqueued, but for OPENCL_ERROR, GEMM_ERROR and OUT_OF_MEMORY: there, earlier
 *   steps of the call may be in flight and outputs are undefined; *done is then NULL: finish the queue before the
 *   buffers are used again.
 *
 *   Blocking calls, and only these: create, warm_up, selftest. They say so.
 *
 * Buffers. The library reads and writes caller's buffers only inside the described tensors, keeps no
 *   reference after `done`, and never maps or copies to the host. Outputs overlap nothing else in the call, but may be
 *   slices of the buffer that holds an input (batch_stride).
 *
 * Threads. Every object may be used from many threads at once, except its own destroy.
 *
 * Lifetime. Objects keep their context alive; contexts retain the cl_context: any order of destroy is
 *   right. Destroy accepts NULL, does not wait, and does not disturb work in flight. */

/* ==== 2. Status ========================================================================================== */

/* "CLDEFORM_BUFFER_TOO_SMALL", and one sentence. Static text; unknown values give "unknown status". */
CLDEFORM_API const char *cldeform_status_name(cldeform_status status);
CLDEFORM_API const char *cldeform_status_text(cldeform_status status);

/* The last failure of this thread: which argument, what it was, what it must be; kernel; build log's end.
 * "" when there was none. Valid until this thread's next call that fails. A success does not clear it. */
CLDEFORM_API const char *cldeform_last_error(void);
/* The OpenCL code behind it, or CL_SUCCESS. */
CLDEFORM_API cl_int cldeform_last_opencl_error(void);

/* ==== 3. Tensors ======================================================================================= */

/* A dense tensor inside a buffer. buffer NULL: absent. */
typedef struct cldeform_tensor {
    cl_mem buffer;
    size_t offset;       /* of the first element, in elements of the tensor's own type; any value */
    size_t batch_stride; /* elements from one image (or RoI) to the next; 0: dense. Larger than dense makes
                            channel slices possible: offset and mask logits out of one convolution, output into
                            a concatenation. Not for weight, bias and columns. */
} cldeform_tensor;

/* Scratch. Its content means nothing between calls; calls that may run at the same time need distinct ones. Its buffer
 * should hold no tensor of the same call: the library takes sub-buffers of it, and OpenCL does not define what becomes
 * of a buffer that is used beside sub-buffers of its own.
 * NULL where a cldeform_workspace pointer is taken: the library allocates for this call. */
typedef struct cldeform_workspace {
    cl_mem buffer;
    size_t offset; /* bytes, a multiple of CLDEFORM_WORKSPACE_ALIGNMENT */
    size_t size;   /* bytes; 0: to the end of the buffer */
} cldeform_workspace;

#define CLDEFORM_WORKSPACE_ALIGNMENT 256

typedef enum cldeform_tensor_name {
    CLDEFORM_INPUT = 0,
    CLDEFORM_OFFSET = 1,
    CLDEFORM_MASK = 2,
    CLDEFORM_WEIGHT = 3,
    CLDEFORM_BIAS = 4,
    CLDEFORM_OUTPUT = 5,
    CLDEFORM_COLUMNS = 6, /* of one image, section 6 */
    CLDEFORM_ROIS = 7,    /* this one and the next two: section 7 */
    CLDEFORM_LEVEL = 8,
    CLDEFORM_ARGMAX = 9
} cldeform_tensor_name;

typedef struct cldeform_shape {
    size_t struct_size;
    int64_t rank;
    int64_t size[5];  /* outermost first */
    int64_t elements; /* their product */
    size_t bytes;     /* elements * sizeof(type) */
} cldeform_shape;

/* ==== 4. Context ========================================================================================= */

typedef struct cldeform_context cldeform_context;

typedef struct cldeform_trace_record cldeform_trace_record; /* section 8 */
typedef void (*cldeform_trace_function)(const cldeform_trace_record *record, void *user);

typedef struct cldeform_context_options {
    size_t struct_size;
    const char *cache_dir;         /* compiled kernels. NULL: $CLDEFORM_CACHE_DIR, else $XDG_CACHE_HOME/cldeform,
                                      else ~/.cache/cldeform, but none on drivers that keep kernels themselves (PoCL,
                                      NVIDIA). "": none. May be read-only, and may be shipped: entries
                                      depend on device, driver and library version, never on a path */
    const char *tuning_file;       /* NULL: $CLDEFORM_TUNING_FILE, else the built-in table. Lines that are not
                                      understood are skipped, and listed by cldeform_context_describe */
    int32_t ignore_environment;    /* 1: no CLDEFORM_* variable is read */
    cldeform_trace_function trace; /* NULL: none */
    void *trace_user;
} cldeform_context_options;

/* One per cl_context and device. options may be NULL. Compiles nothing: atomic additions, which some devices take for
 * the gradient of the input, are tried out when the first object needs them. Blocking (reads device facts). */
CLDEFORM_API cldeform_status cldeform_context_create(cl_context context, cl_device_id device,
                                                     const cldeform_context_options *options, cldeform_context **out);
CLDEFORM_API void cldeform_context_destroy(cldeform_context *context);

/* What the library knows and will use of the device, as one JSON object: facts, caches, tuning.
 * Writes at most capacity bytes including the final 0; *needed (may be NULL) is the full length with it. */
CLDEFORM_API cldeform_status cldeform_context_describe(const cldeform_context *context, char *text, size_t capacity,
                                                       size_t *needed);

/* ==== 5. Deformable convolution ========================================================================== */

/* Shape of one of the problem's tensors; the way to learn out_h and out_w and to allocate. Gradients have the shapes of
 * their tensors; those of weight and bias are in weight_grad_dtype, which `bytes` knows nothing of. Pure arithmetic.
 * Errors: INVALID_ARGUMENT (the problem itself, or it has no such tensor), LIMIT (does not fit a size_t). */
CLDEFORM_API cldeform_status cldeform_conv2d_shape(const cldeform_conv2d_problem *problem, cldeform_tensor_name name,
                                                   cldeform_shape *shape);

typedef struct cldeform_conv2d cldeform_conv2d;

/* Chooses the algorithm and compiles the kernels of problem.passes. Blocking: up to seconds when kernels are not in
 * a cache; microseconds, and no compiler, for a problem that differs from an earlier one of the context in sizes
 * only. Immutable after. Compile in the background by calling it from a thread. */
CLDEFORM_API cldeform_status cldeform_conv2d_create(cldeform_context *context, const cldeform_conv2d_problem *problem,
                                                    cldeform_conv2d **out);
CLDEFORM_API void cldeform_conv2d_destroy(cldeform_conv2d *conv);

/* Runs each prepared pass once on scratch memory and waits: some drivers (PoCL, Mali) compile at the first launch.
 * Blocking. After it no call compiles anything. */
CLDEFORM_API cldeform_status cldeform_conv2d_warm_up(const cldeform_conv2d *conv, cl_command_queue queue);

/* Workspace for one call that does `passes` (for backward: the gradients asked for together).
 * Any size from *minimum works and gives the same results, to the bit; from *preferred on it is fastest. Both may be 0.
 * Either pointer may be NULL. preferred <= problem.workspace_limit: a smaller limit lowers the minimum too, by cutting
 * an image into smaller pieces, unless problem.deterministic is set. */
CLDEFORM_API cldeform_status cldeform_conv2d_workspace_size(const cldeform_conv2d *conv, cldeform_passes passes,
                                                            size_t *minimum, size_t *preferred);

/* *deterministic = 1 if all of `passes` repeat bitwise as created. */
CLDEFORM_API cldeform_status cldeform_conv2d_is_deterministic(const cldeform_conv2d *conv, cldeform_passes passes,
                                                              int32_t *deterministic);

/* Plan: algorithm, why, tuning, chunks, workspace, flop, kernel options. One JSON object; as cldeform_context_describe.
 */
CLDEFORM_API cldeform_status cldeform_conv2d_describe(const cldeform_conv2d *conv, char *text, size_t capacity,
                                                      size_t *needed);

typedef struct cldeform_conv2d_tensors {
    size_t struct_size;
    cldeform_tensor input;         /* (batch, in_channels, in_h, in_w) or NHWC                                   */
    cldeform_tensor offset;        /* (batch, offset_groups, kernel_h*kernel_w, 2, out_h, out_w), input pixels   */
    cldeform_tensor mask;          /* (batch, offset_groups, kernel_h*kernel_w, out_h, out_w)                    */
    cldeform_tensor weight;        /* (out_channels, in_channels/groups, kernel_h, kernel_w), both layouts       */
    cldeform_tensor bias;          /* (out_channels); absent: 0                                                  */
    cldeform_tensor output;        /* (batch, out_channels, out_h, out_w) or NHWC; forward only                  */
    cldeform_tensor packed_weight; /* instead of weight, forward only; from cldeform_conv2d_pack_weight; offset in
                                      bytes, a multiple of CLDEFORM_WORKSPACE_ALIGNMENT                          */
} cldeform_conv2d_tensors;

/* Deformable convolution.
 *
 *   output[n,o,y,x] = bias[o] + sum over c in the group of o, tap k = (i,j) of weight[o,c,i,j] * mask[n,g,k,y,x] *
 *       S(input[n,c], y*stride_h - pad_top  + i*dilation_h + offset[n,g,k,0,y,x],
 *                     x*stride_w - pad_left + j*dilation_w + offset[n,g,k,1,y,x])
 *
 *   g = c / (in_channels/offset_groups); S bilinear with problem.border; a NaN, infinite or huge offset samples 0.
 *
 * The tensors must be exactly those of the kind: a mask with DEFORMABLE is an error, not ignored.
 * Errors: INVALID_ARGUMENT, BUFFER_TOO_SMALL, NOT_PREPARED, LIMIT, OUT_OF_MEMORY, OPENCL_ERROR, GEMM_ERROR.
 * Source: Dai et al. 2017 (1703.06211) eq. 2; Zhu et al. 2018 (1811.11168) eq. 1. */
CLDEFORM_API cldeform_status cldeform_conv2d_forward(const cldeform_conv2d *conv, cl_command_queue queue,
                                                     const cldeform_conv2d_tensors *tensors,
                                                     const cldeform_workspace *workspace, cl_uint n_wait,
                                                     const cl_event *wait, cl_event *done);

typedef struct cldeform_conv2d_gradients {
    size_t struct_size;
    cldeform_tensor grad_output;                                                /* in, as output */
    cldeform_tensor grad_input, grad_offset, grad_mask, grad_weight, grad_bias; /* out, as their tensors; absent: not
                                                                                   computed */
    cldeform_passes accumulate; /* GRAD_* bits: add to what is there, instead of overwriting it */
} cldeform_conv2d_gradients;

/* Gradients of a loss whose gradient with respect to output is grad_output.
 *
 *   grad_column[n,c,k,y,x] = sum over o in the group of c of weight[o,c,k] * grad_output[n,o,y,x]
 *   grad_input[n,c]       += grad_column * mask * bilinear weight, at the up to four pixels that the sample reads
 *   grad_offset[n,g,k,a]   = sum over c in g of grad_column * mask * dS/da,  a: y, x (problem.offset_gradient)
 *   grad_mask[n,g,k]       = sum over c in g of grad_column * S, times the derivative of problem.mask_activation
 *   grad_weight[o,c,k]     = sum over n, y, x of grad_output * mask * S
 *   grad_bias[o]           = sum over n, y, x of grad_output
 *
 * A sample that does not exist (outside the border; NaN, infinite and huge offsets) has zero gradients of offset and
 * mask and adds nothing to grad_input. At an offset_limit the offset's gradient is that of the offset itself, beyond it
 * 0. DIFFERS: MXNet's v1 backward keeps a gradient at y == in_h with BORDER_EDGE, where its sample is 0; here it is 0.
 *
 * Takes the forward's tensors; bias and output are not looked at, packed_weight is refused: weights change between
 * steps. What the gradients asked for do not need may be absent: grad_bias needs grad_output alone; grad_weight all but
 * weight; grad_input all but input. An accumulated F16 gradient is read, summed in fp32 and rounded once per call. An
 * empty batch gives parameter gradients of 0, or leaves accumulated ones.
 * Errors: as forward; INVALID_ARGUMENT also where no gradient is asked for, for an accumulate bit whose gradient is
 * absent, and for grad_mask without MODULATED or grad_offset of PLAIN; NOT_PREPARED for a gradient that is not in
 * problem.passes.
 * Source: Dai et al. 2017 (1703.06211) appendix A; Zhu et al. 2018 (1811.11168) section 3.2. */
CLDEFORM_API cldeform_status cldeform_conv2d_backward(const cldeform_conv2d *conv, cl_command_queue queue,
                                                      const cldeform_conv2d_tensors *tensors,
                                                      const cldeform_conv2d_gradients *gradients,
                                                      const cldeform_workspace *workspace, cl_uint n_wait,
                                                      const cl_event *wait, cl_event *done);

/* Weights in the order and type that the algorithm reads: for inference, once per model instead of once per call.
 * *bytes may be 0 (the algorithm reads weight as it is: then pass weight).
 * Two objects with the same *format (same context) accept each other's packed weights, whatever the images' sizes. */
CLDEFORM_API cldeform_status cldeform_conv2d_packed_weight_size(const cldeform_conv2d *conv, size_t *bytes,
                                                                uint64_t *format);
CLDEFORM_API cldeform_status cldeform_conv2d_pack_weight(const cldeform_conv2d *conv, cl_command_queue queue,
                                                         const cldeform_tensor *weight, const cldeform_tensor *packed,
                                                         cl_uint n_wait, const cl_event *wait, cl_event *done);

/* What users of these operators watch: offsets that explode. One per call, written by the device. */
typedef struct cldeform_offset_statistics {
    uint64_t samples;     /* batch * offset_groups * taps * out_h * out_w                                */
    uint64_t outside;     /* samples that border makes 0, those with NaN and infinite offsets included   */
    uint64_t nan;         /* offset components that are NaN                                              */
    uint64_t infinite;    /* ... infinite                                                                */
    float mean_magnitude; /* mean and largest |component| over the finite ones, in pixels; 0 where there are none,
                             infinite where an F64 component is beyond FLT_MAX */
    float max_magnitude;
} cldeform_offset_statistics;

/* Counts samples and magnitudes of an offset tensor; offset_limit moves samples, not magnitudes.
 * offset: as tensors.offset of forward. result: a buffer that receives one cldeform_offset_statistics; its offset
 * is in units of that struct. Needs passes STATISTICS, with which the workspace is asked for. Always deterministic.
 * Errors: as forward; INVALID_ARGUMENT for PLAIN; UNSUPPORTED where device and host differ in byte order. */
CLDEFORM_API cldeform_status cldeform_conv2d_offset_statistics(const cldeform_conv2d *conv, cl_command_queue queue,
                                                               const cldeform_tensor *offset,
                                                               const cldeform_tensor *result,
                                                               const cldeform_workspace *workspace, cl_uint n_wait,
                                                               const cl_event *wait, cl_event *done);

/* ==== 6. Its parts, for callers with their own GEMM ====================================================== *
 *
 * All work on images first_image .. first_image + images - 1 of the batch, any number from 0 on; the full tensors are
 * passed. Columns hold the images of the call, the first at their start, in problem.dtype:
 *
 *   NCHW: (images, in_channels*kernel_h*kernel_w, out_h*out_w), row = c*kernel_h*kernel_w + tap, mask included
 *   NHWC: (images, out_h*out_w, groups*kernel_h*kernel_w*in_channels/groups), order (groups, taps, in_channels/groups)
 *
 * so that per image and group one GEMM without transposition gives the output in its layout:
 *   NCHW: output(O/g x P) = weight(O/g x C/g*K) * columns(C/g*K x P).
 * The shape of one image's columns is cldeform_conv2d_shape's CLDEFORM_COLUMNS. */

typedef struct cldeform_columns {
    cl_mem buffer;
    size_t offset;       /* elements of problem.dtype */
    size_t row_stride;   /* elements from a row to the next (the GEMM's leading dimension); 0: dense */
    size_t image_stride; /* elements; 0: rows * row_stride */
} cldeform_columns;

/* columns = samples of input, times the mask. Reads tensors input, offset, mask; others are not looked at. Pass IM2COL.
 * Needs no workspace. Errors: as forward. */
CLDEFORM_API cldeform_status cldeform_conv2d_im2col(const cldeform_conv2d *conv, cl_command_queue queue,
                                                    const cldeform_conv2d_tensors *tensors, int64_t first_image,
                                                    int64_t images, const cldeform_columns *columns,
                                                    const cldeform_workspace *workspace, cl_uint n_wait,
                                                    const cl_event *wait, cl_event *done);

/* gradients->grad_input, of these images only, from the gradient of the columns; overwritten, or added to with
 * accumulate GRAD_INPUT. Reads tensors offset and mask. Pass COL2IM. Errors: as backward. */
CLDEFORM_API cldeform_status cldeform_conv2d_col2im(const cldeform_conv2d *conv, cl_command_queue queue,
                                                    const cldeform_conv2d_tensors *tensors, int64_t first_image,
                                                    int64_t images, const cldeform_columns *grad_columns,
                                                    const cldeform_conv2d_gradients *gradients,
                                                    const cldeform_workspace *workspace, cl_uint n_wait,
                                                    const cl_event *wait, cl_event *done);

/* gradients->grad_offset and grad_mask, whichever are present, of these images only, in one pass. Reads tensors input,
 * offset and mask. Pass COL2OFFSET. Needs no workspace. Errors: as backward. */
CLDEFORM_API cldeform_status cldeform_conv2d_col2offset(const cldeform_conv2d *conv, cl_command_queue queue,
                                                        const cldeform_conv2d_tensors *tensors, int64_t first_image,
                                                        int64_t images, const cldeform_columns *grad_columns,
                                                        const cldeform_conv2d_gradients *gradients,
                                                        const cldeform_workspace *workspace, cl_uint n_wait,
                                                        const cl_event *wait, cl_event *done);

/* ==== 7. RoI pooling ===================================================================================== *
 *
 * Each RoI (batch index, x1, y1, x2, y2 in image pixels) is divided into out_h x out_w bins, and each bin pooled from
 * one feature map. s: spatial_scale of the RoI's level; S(v, y, x): bilinear. x before y in rois and offsets.
 *
 * ROI_ALIGN: start = x1*s - 0.5, size = (x2 - x1)*s, no rounding and no least size. Bin p has g samples per axis,
 *   g = sampling_ratio or ceil(size/out_w), at start + shift + size*(p + (i + 0.5)/g)/out_w, with shift =
 *   offset_scale * size * offset[r,0,p_y,p_x] (y: channel 1). Sum of the samples / max(g_y*g_x, 1). A sample
 *   outside [-1, H] x [-1, W] is 0; positions are then clamped to the first and last pixel. Without offsets:
 *   RoIAlign (aligned, average); it is not RoI pooling (max).
 *
 * ROI_PS_ALIGN: start = round(x1)*s - 0.5, size = max((round(x2) + 1)*s - 0.5 - start, 0.1), samples_w samples per
 *   bin at start + shift + size*(p*samples_w + i)/(out_w*samples_w), shift = offset_scale * size * offset[r,
 *   2*class, floor(p_y*part_h/out_h), floor(p_x*part_w/out_w)] (y: 2*class + 1), class = o /
 *   (out_channels/offset_classes). Samples outside [-0.5, H-0.5] x [-0.5, W-0.5] are left out, positions clamped
 *   to [0, H-1] x [0, W-1]; the mean of the others, or 0 where there is none.
 *
 * ROI_PS: start = round(x1)*s, size = max((round(x2) + 1)*s - start, 0.1); mean of the pixels floor(start +
 *   size*p/out_w) to ceil(start + size*(p+1)/out_w), end excluded, clipped to the map; 0 where there is none.
 *
 * ROI_MAX: start = x1*s, size = (x2 + 1)*s - start; largest of those pixels, the first of several, a NaN before
 *   all; 0, and argmax -1, where there is none, and where size <= 0 in x or y.
 *
 * PS methods pool output channel o of bin (p_y, p_x) from input channel (o*G + floor(p_y*G/out_h))*G +
 * floor(p_x*G/out_w), G = group_size, and have in_channels/G^2 output channels; the others have in_channels.
 * With a mask the result is multiplied by mask[r,0,p_y,p_x]. round is half away from zero.
 *
 * Which pixels a bin or sample belongs to, whether a sample exists and the adaptive g are decided by the number of the
 * formula rounded to fp32, in every type, and a position within 2^-24 of 0 is 0: a scale of 0.1 has no exact value, and
 * 30*0.1 is 3, 4*0.1 - 0.4 is 0.
 * DIFFERS: others round every intermediate to the type of the data. Pinned by the tests rounded_positions
 * and cancelled_positions.
 *
 * A RoI pools zeros, costs nothing and has zero gradients if its batch index is not a whole number from 0 to batch-1,
 * its level does not exist, or a coordinate is not finite or beyond 2^31 feature pixels. Samples at NaN, infinite and
 * huge offsets do not exist. Inverted and empty RoIs are as the formulas say. An adaptive RoI of any size costs no more
 * than the pixels of the map that it touches. No RoI leads outside a buffer.
 *
 * All of it is deterministic, on every device. */

/* level: of CLDEFORM_INPUT; else 0. rois, level, offset, mask, output, argmax have problem->max_rois. */
CLDEFORM_API cldeform_status cldeform_roi_pool_shape(const cldeform_roi_pool_problem *problem,
                                                     cldeform_tensor_name name, int64_t level, cldeform_shape *shape);

typedef struct cldeform_roi_pool cldeform_roi_pool;

/* Checks the problem and compiles the kernels of problem.passes. Blocking. Errors: INVALID_ARGUMENT, UNSUPPORTED,
 * LIMIT, BUILD_FAILED, OUT_OF_MEMORY, OPENCL_ERROR. */
CLDEFORM_API cldeform_status cldeform_roi_pool_create(cldeform_context *context,
                                                      const cldeform_roi_pool_problem *problem,
                                                      cldeform_roi_pool **out);
CLDEFORM_API void cldeform_roi_pool_destroy(cldeform_roi_pool *pool);

/* The next four: as for the convolution, but that a workspace_limit does not lower the minimum: create fails with LIMIT
 * below it. */
CLDEFORM_API cldeform_status cldeform_roi_pool_warm_up(const cldeform_roi_pool *pool, cl_command_queue queue);
CLDEFORM_API cldeform_status cldeform_roi_pool_workspace_size(const cldeform_roi_pool *pool, cldeform_passes passes,
                                                              size_t *minimum, size_t *preferred);
CLDEFORM_API cldeform_status cldeform_roi_pool_is_deterministic(const cldeform_roi_pool *pool, cldeform_passes passes,
                                                                int32_t *deterministic);
CLDEFORM_API cldeform_status cldeform_roi_pool_describe(const cldeform_roi_pool *pool, char *text, size_t capacity,
                                                        size_t *needed);

typedef struct cldeform_roi_pool_tensors {
    size_t struct_size;
    cldeform_tensor input[CLDEFORM_MAX_LEVELS]; /* (batch, in_channels, level[l].in_h, level[l].in_w) or NHWC        */
    cldeform_tensor rois;   /* (rois, 5): batch index, x1, y1, x2, y2                                                */
    cldeform_tensor level;  /* (rois) int32: index into input; absent: by canonical_size                             */
    cldeform_tensor offset; /* (rois, 2*offset_classes, part_h or out_h, part_w or out_w); x plane before y plane;
                               unit: offset_scale * RoI width (height)                                               */
    cldeform_tensor mask;   /* (rois, 1, out_h, out_w)                                                               */
    cldeform_tensor output; /* (rois, out_channels, out_h, out_w) or (rois, out_h, out_w, out_channels)              */
    cldeform_tensor argmax; /* ROI_MAX: int32 as output, y*in_w + x or -1; written by forward if present, read by
                               backward                                                                              */
} cldeform_roi_pool_tensors;

/* Pools `rois` RoIs, 0 <= rois <= max_rois. When the count is known on the device only, fill up to max_rois with batch
 * index -1. A new count compiles nothing, and with a workspace allocates nothing.
 * Tensors must be exactly those of the problem. Errors: as cldeform_conv2d_forward.
 * Source: Dai et al. 2017 (1703.06211) eq. 4 to 6; Zhu et al. 2018 (1811.11168) eq. 2; He et al. 2017 (1703.06870)
 * section 3; Dai et al. 2016 (1605.06409) eq. 1; Girshick 2015 (1504.08083) section 2.1. */
CLDEFORM_API cldeform_status cldeform_roi_pool_forward(const cldeform_roi_pool *pool, cl_command_queue queue,
                                                       int64_t rois, const cldeform_roi_pool_tensors *tensors,
                                                       const cldeform_workspace *workspace, cl_uint n_wait,
                                                       const cl_event *wait, cl_event *done);

typedef struct cldeform_roi_pool_gradients {
    size_t struct_size;
    cldeform_tensor grad_output;
    cldeform_tensor grad_input[CLDEFORM_MAX_LEVELS]; /* out, as tensors.input: all levels or none                   */
    cldeform_tensor grad_offset, grad_mask;          /* out, as their tensors; absent: not computed                 */
    cldeform_passes accumulate;                      /* GRAD_* bits: add to what is there, instead of overwriting it */
} cldeform_roi_pool_gradients;

/* Gradients of a loss whose gradient with respect to output is grad_output: the derivatives of the formulas above, with
 * respect to the offset by problem.offset_gradient. At whole positions and where positions are clamped ROI_ALIGN's is
 * the right-hand derivative and 0; ROI_PS_ALIGN's is 0 at both. There is none with respect to the RoIs.
 *
 * Takes the forward's tensors; output is not looked at; input may be absent where only grad_input is asked for, argmax
 * must be there for it in ROI_MAX. An accumulated F16 gradient is read, summed in fp32 and rounded once per call. No
 * RoIs give gradients of 0, or leave accumulated ones. Errors: as cldeform_conv2d_backward. */
CLDEFORM_API cldeform_status cldeform_roi_pool_backward(const cldeform_roi_pool *pool, cl_command_queue queue,
                                                        int64_t rois, const cldeform_roi_pool_tensors *tensors,
                                                        const cldeform_roi_pool_gradients *gradients,
                                                        const cldeform_workspace *workspace, cl_uint n_wait,
                                                        const cl_event *wait, cl_event *done);

/* level[r], int32, as forward chooses it where tensors.level is absent; 0 for a RoI that is not finite. Pass
 * STATISTICS. */
CLDEFORM_API cldeform_status cldeform_roi_pool_assign_levels(const cldeform_roi_pool *pool, cl_command_queue queue,
                                                             int64_t rois, const cldeform_tensor *roi_tensor,
                                                             const cldeform_tensor *level, cl_uint n_wait,
                                                             const cl_event *wait, cl_event *done);

/* What is wrong with RoIs. One per call, written by the device. A RoI may count in several. */
typedef struct cldeform_roi_statistics {
    uint64_t rois;
    uint64_t bad_batch;  /* batch index that does not exist                    */
    uint64_t bad_level;  /* level that does not exist                          */
    uint64_t not_finite; /* a coordinate that is NaN or infinite               */
    uint64_t inverted;   /* x2 < x1 or y2 < y1                                 */
} cldeform_roi_statistics;

/* Reads tensors rois and level (may be absent); others are not looked at. result: a buffer that receives one
 * cldeform_roi_statistics; its offset is in units of that struct. Needs no workspace. Pass STATISTICS.
 * Errors: as forward; UNSUPPORTED where device and host differ in byte order. */
CLDEFORM_API cldeform_status cldeform_roi_pool_statistics(const cldeform_roi_pool *pool, cl_command_queue queue,
                                                          int64_t rois, const cldeform_roi_pool_tensors *tensors,
                                                          const cldeform_tensor *result, cl_uint n_wait,
                                                          const cl_event *wait, cl_event *done);

/* ==== 8. Measuring and self-test ========================================================================= */

/* One per command that a call enqueues, in order, on the calling thread, before the call returns. event is valid during
 * the callback (retain it to keep it); read its times after it completes, from a queue with profiling. GEMM steps
 * span CLBlast's internal kernels: first_event may then differ from event. */
struct cldeform_trace_record {
    size_t struct_size;
    const char *operation; /* "conv2d_forward" */
    const char *step;      /* "im2col", "gemm", ...; static text */
    uint64_t call;         /* the same for all steps of a call */
    cl_event first_event, event;
    double flop, bytes; /* of the step, by formula */
};

typedef void (*cldeform_selftest_function)(const char *check, cldeform_status status, const char *detail, void *user);

/* Every kernel family on small problems against the built-in reference. Blocking, seconds. report may be NULL.
 * SELFTEST_FAILED if any check fails, the first one named in cldeform_last_error. */
CLDEFORM_API cldeform_status cldeform_selftest(cldeform_context *context, cldeform_selftest_function report,
                                               void *user);

/* ==== 9. CLBlast ========================================================================================= *
 *
 * The library multiplies matrices with CLBlast, whose compiled kernels and parameter overrides belong to the process
 * and whose first calls are not safe from several threads. The library takes one process-wide lock round each of its
 * CLBlast calls; an application that calls CLBlast from other threads takes the same lock round its own. Not
 * recursive: call nothing of this library while holding it.
 *
 * For devices that CLBlast does not know, creating a convolution may override CLBlast's parameters of single-precision
 * GEMM, for the whole process: objects of every context and the application's own calls then use them too. The tuning's
 * gemm_parameters and gemm_indirect say so, and with both 0 the library leaves CLBlast as it finds it. An application
 * that overrides them itself does so before it creates objects: their workspace is sized for the parameters of then. */
CLDEFORM_API void cldeform_gemm_lock(void);
CLDEFORM_API void cldeform_gemm_unlock(void);

/* Frees the kernels that CLBlast keeps for the process, which otherwise keep every cl_context it has seen alive. Takes
 * the lock. Later calls compile again. */
CLDEFORM_API cldeform_status cldeform_gemm_clear_cache(void);

#ifdef __cplusplus
}
#endif
#endif
