/* problem.h: what is computed, in plain numbers. Part of cldeform.h, and usable without OpenCL (cldeform_ref.h does).
 */
#ifndef CLDEFORM_PROBLEM_H
#define CLDEFORM_PROBLEM_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(CLDEFORM_BUILD_SHARED)
#define CLDEFORM_API __declspec(dllexport)
#elif defined(_WIN32) && defined(CLDEFORM_SHARED)
#define CLDEFORM_API __declspec(dllimport)
#elif defined(__GNUC__)
#define CLDEFORM_API __attribute__((visibility("default")))
#else
#define CLDEFORM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* First initialiser of every struct of this library: cldeform_conv2d_problem p =
 * CLDEFORM_INIT(cldeform_conv2d_problem); C++: cldeform_conv2d_problem p = {}; p.struct_size = sizeof p; */
#define CLDEFORM_INIT(type)                                                                                            \
    {                                                                                                                  \
        .struct_size = sizeof(type)                                                                                    \
    }

typedef enum cldeform_status {
    CLDEFORM_OK = 0,
    CLDEFORM_INVALID_ARGUMENT = -1, /* a value, shape, pointer, queue or context is wrong                       */
    CLDEFORM_BUFFER_TOO_SMALL = -2, /* a tensor or the workspace does not fit its cl_mem                        */
    CLDEFORM_UNSUPPORTED = -3,      /* right, but not on this device or not by the algorithm that was forced    */
    CLDEFORM_NOT_PREPARED = -4,     /* the object was created without this pass (problem.passes)                */
    CLDEFORM_LIMIT = -5,            /* workspace_limit, or the device's allocation limit, is below the minimum  */
    CLDEFORM_OUT_OF_MEMORY = -6,    /* host or device                                                           */
    CLDEFORM_BUILD_FAILED = -7,     /* a kernel did not compile; the text ends with the build log               */
    CLDEFORM_OPENCL_ERROR = -8,     /* any other OpenCL error; see cldeform_last_opencl_error                   */
    CLDEFORM_GEMM_ERROR = -9,       /* CLBlast refused                                                          */
    CLDEFORM_SELFTEST_FAILED = -10  /* the device computes wrong results                                        */
} cldeform_status;

typedef enum cldeform_dtype {
    CLDEFORM_DTYPE_DEFAULT = 0, /* F32, or "as problem.dtype" where a field says so               */
    CLDEFORM_F16 = 1,           /* storage only: all arithmetic is fp32; works without cl_khr_fp16 */
    CLDEFORM_F32 = 2,
    CLDEFORM_F64 = 3 /* needs cl_khr_fp64 */
} cldeform_dtype;

typedef enum cldeform_layout { CLDEFORM_NCHW = 0, CLDEFORM_NHWC = 1 } cldeform_layout;

/* What an object can do, what a query is about, which gradients accumulate: one set of bits. */
typedef uint64_t cldeform_passes; /* 64 bits: no struct ends in padding, where struct_size could not see a new field */
#define CLDEFORM_FORWARD     ((cldeform_passes)0x001)
#define CLDEFORM_GRAD_INPUT  ((cldeform_passes)0x002)
#define CLDEFORM_GRAD_OFFSET ((cldeform_passes)0x004)
#define CLDEFORM_GRAD_MASK   ((cldeform_passes)0x008)
#define CLDEFORM_GRAD_WEIGHT ((cldeform_passes)0x010)
#define CLDEFORM_GRAD_BIAS   ((cldeform_passes)0x020)
#define CLDEFORM_BACKWARD    ((cldeform_passes)0x03e) /* all gradients; those that the kind lacks are left out */
#define CLDEFORM_PACK_WEIGHT ((cldeform_passes)0x040)
#define CLDEFORM_IM2COL      ((cldeform_passes)0x080)
#define CLDEFORM_COL2IM      ((cldeform_passes)0x100)
#define CLDEFORM_COL2OFFSET  ((cldeform_passes)0x200)
#define CLDEFORM_STATISTICS  ((cldeform_passes)0x400)

typedef enum cldeform_conv2d_kind {
    CLDEFORM_CONV2D_DEFORMABLE = 0, /* v1: offset                                                            */
    CLDEFORM_CONV2D_MODULATED = 1,  /* v2: offset and mask                                                   */
    CLDEFORM_CONV2D_PLAIN = 2       /* neither: the ordinary convolution, e.g. the one that predicts offsets */
} cldeform_conv2d_kind;

typedef enum cldeform_border {
    CLDEFORM_BORDER_ZERO = 0, /* samples fade to 0 within one pixel outside: torchvision, mmcv, ONNX, MXNet v2 */
    CLDEFORM_BORDER_EDGE = 1  /* 0 outside [0,H) x [0,W), constant beyond the last centre: MXNet v1, OpenVINO default */
} cldeform_border;

/* The offset's gradient where the sample has a kink. At whole positions it is the right-hand derivative. */
typedef enum cldeform_offset_gradient {
    CLDEFORM_OFFSET_GRADIENT_STRICT = 0, /* 0 wherever the sample is 0 by its position: MXNet, mmcv, Paddle */
    CLDEFORM_OFFSET_GRADIENT_OPEN = 1    /* right-hand at exactly -1 too: torchvision; not with BORDER_EDGE */
} cldeform_offset_gradient;

/* Where (group g, tap k, axis a, y, x) of an offset lies within one image; the mask has no axis. */
typedef enum cldeform_offset_layout {
    CLDEFORM_OFFSET_YX = 0,     /* (g, k, a, y, x), a: 0 = y, 1 = x          torchvision, mmcv, ONNX, OpenVINO, MXNet */
    CLDEFORM_OFFSET_XY = 1,     /* (g, k, a, y, x), a: 0 = x, 1 = y                                                   */
    CLDEFORM_OFFSET_PLANAR = 2, /* (g, a, k, y, x): all y of a group, then all x                                      */
    CLDEFORM_OFFSET_YX_LAST = 3 /* (y, x, g, k, a): as an NHWC convolution writes YX; the mask is (y, x, g, k)        */
} cldeform_offset_layout;

typedef enum cldeform_mask_activation {
    CLDEFORM_MASK_AS_IS = 0,     /* torchvision, mmcv operator                       */
    CLDEFORM_MASK_SIGMOID = 1,   /* mask holds logits: mmcv's and the papers' layers */
    CLDEFORM_MASK_SIGMOID_X2 = 2 /* 2 * sigmoid: MXNet's layers                      */
} cldeform_mask_activation;

/* AUTO takes what the tuning names first for the device (FUSED on CPUs, TILED on GPUs), or else what can do the
 * problem. */
typedef enum cldeform_algorithm {
    CLDEFORM_ALGORITHM_AUTO = 0,
    CLDEFORM_ALGORITHM_IM2COL = 1, /* column buffer and GEMM */
    CLDEFORM_ALGORITHM_FUSED = 2, /* samples and multiplies panel by panel in local memory, without a column buffer: for
                                     devices whose work-items are threads with vector units, not for GPUs */
    CLDEFORM_ALGORITHM_TILED = 3  /* the same by tiles of work-groups, for GPUs. Gradients of the input are added up by
                                     atomic operations: not with `deterministic` */
} cldeform_algorithm;

/* One convolution. Zero in a field is its default; sizes without a default must be positive. */
typedef struct cldeform_conv2d_problem {
    size_t struct_size;
    cldeform_conv2d_kind kind;
    cldeform_passes passes; /* what to prepare; 0: FORWARD */

    int64_t batch; /* no default: 0 is an empty batch; calls then succeed, and parameter gradients are 0 */
    int64_t in_channels, in_h, in_w;
    int64_t out_channels; /* may be 0 where passes holds nothing but IM2COL, COL2IM, COL2OFFSET and STATISTICS */
    int64_t kernel_h, kernel_w;
    int64_t stride_h, stride_w;     /* 0: 1 */
    int64_t dilation_h, dilation_w; /* 0: 1 */
    int64_t pad_top, pad_left, pad_bottom, pad_right;
    int64_t groups, offset_groups; /* 0: 1 */

    cldeform_dtype dtype;             /* input, weight, bias, output and their gradients but the next two  */
    cldeform_dtype offset_dtype;      /* offset, mask and their gradients; default: dtype                  */
    cldeform_dtype weight_grad_dtype; /* grad_weight, grad_bias; default: dtype. F32 with F16 data: master gradients */
    cldeform_layout layout;           /* input, output and their gradients; not weight, not offset         */
    cldeform_offset_layout offset_layout;
    cldeform_mask_activation mask_activation; /* of MODULATED; others do not look at it. grad_mask is with respect to
                                                 what mask holds                                                      */
    cldeform_border border;                   /* of DEFORMABLE and MODULATED; PLAIN pads with zeros either way        */
    cldeform_offset_gradient offset_gradient;
    double offset_limit; /* offsets are clamped to [-limit, limit] (NaN stays NaN), gradient 0 beyond; 0: no limit */

    int32_t deterministic; /* 1: results the same to the bit from run to run, at any workspace size and limit */
    cldeform_algorithm algorithm;
    size_t workspace_limit; /* bytes; 0: the device's allocation limit */
} cldeform_conv2d_problem;

/* ---- RoI pooling ---- */

typedef enum cldeform_roi_method {
    CLDEFORM_ROI_ALIGN = 0,    /* average of bilinear samples, aligned (RoIAlign); with offsets: mmcv's DeformRoIPool */
    CLDEFORM_ROI_PS_ALIGN = 1, /* position-sensitive samples; with offsets: deformable PS RoI pooling of the paper    */
    CLDEFORM_ROI_PS = 2,       /* position-sensitive average of whole cells (R-FCN); no offset, no mask              */
    CLDEFORM_ROI_MAX = 3       /* RoI pooling of Fast R-CNN, as mmcv has it; no offset, no mask                      */
} cldeform_roi_method;

typedef enum cldeform_roi_gradient {
    CLDEFORM_ROI_GRADIENT_TRUE = 0, /* derivative of what forward computes */
    CLDEFORM_ROI_GRADIENT_MMCV = 1  /* mmcv's formula, which forgets that positions are clamped; ROI_ALIGN only */
} cldeform_roi_gradient;

#define CLDEFORM_MAX_LEVELS 8

/* One feature map of a pyramid. */
typedef struct cldeform_roi_level {
    int64_t in_h, in_w;   /* at most 2^23 each */
    double spatial_scale; /* feature pixels per image pixel, e.g. 1.0/16. No default */
} cldeform_roi_level;

/* Pooling of RoIs. Zero in a field is its default; sizes without a default must be positive. */
typedef struct cldeform_roi_pool_problem {
    size_t struct_size;
    cldeform_roi_method method;
    int32_t deformable, modulated; /* offsets are given; a mask is given */
    cldeform_passes passes;        /* FORWARD (0: that), GRAD_INPUT, GRAD_OFFSET, GRAD_MASK, STATISTICS */

    int64_t batch; /* images; no default: 0 is an empty batch, of which no RoI exists */
    int64_t in_channels;
    int64_t max_rois; /* most RoIs of one call; sizes the workspace; 0: every call has none */
    int64_t levels;   /* feature maps; 0: 1 */
    cldeform_roi_level level[CLDEFORM_MAX_LEVELS];
    int64_t out_h, out_w; /* bins */

    double offset_scale;          /* gamma of DeformRoIPool, trans_std of the PS form; 0: 0.1 */
    int64_t sampling_ratio;       /* ROI_ALIGN: samples per bin and axis; 0: adaptive, ceil(bin size) */
    int64_t group_size;           /* PS methods: 0: out_h, which must equal out_w; 1: not position-sensitive */
    int64_t part_h, part_w;       /* ROI_PS_ALIGN: rows and columns of the offset; 0: out_h, out_w */
    int64_t samples_h, samples_w; /* ROI_PS_ALIGN: samples per bin and axis; 0: 4 */
    int64_t offset_classes;       /* ROI_PS_ALIGN: 0: 1, shared; must divide out_channels, in_channels/group_size^2 */

    double canonical_size;   /* level of a RoI where none is given: canonical_level + floor(log2(sqrt(area)/size)), */
    int64_t canonical_level; /* clamped to those that exist. size 0: 224. level: index into level[] of a RoI of that
                                size, 2 where level[0] has stride 4. Lin et al. 2017 (1612.03144) eq. 1 */

    cldeform_dtype dtype;                     /* inputs, output and their gradients                     */
    cldeform_dtype offset_dtype;              /* offset, mask and their gradients; default: dtype       */
    cldeform_dtype roi_dtype;                 /* F32 or F64; default: F32, of F64 problems F64          */
    cldeform_layout layout;                   /* inputs (all levels), output, argmax and their gradients */
    cldeform_mask_activation mask_activation; /* of a modulated problem */
    cldeform_roi_gradient offset_gradient;
    int32_t deterministic;  /* RoI pooling always is: accepted so that callers need not know */
    size_t workspace_limit; /* bytes; 0: the device's allocation limit */
} cldeform_roi_pool_problem;

#ifdef __cplusplus
}
#endif
#endif
