/* Checks of what a caller hands over: structs of any version, tensors, workspaces, queues and wait lists. Drivers do
 * not protect anyone: a buffer of another context, or one that is too small, is accepted by all that were tried. */
#ifndef CLDEFORM_ARGUMENTS_H
#define CLDEFORM_ARGUMENTS_H

#include "context.h"

/* Copies the struct that starts with its struct_size: what the caller's version lacks becomes 0, and fields that this
 * version does not know must be 0. */
cldeform_status cldeform__take_struct(void *to, size_t size, const void *from, const char *name);

/* Fills a caller's shape, of whatever version. Errors: INVALID_ARGUMENT, LIMIT. */
cldeform_status cldeform__fill_shape(cldeform_shape *shape, const int64_t *size, int rank, size_t element_size);

/* Fails unless the queue belongs to the context. */
cldeform_status cldeform__check_queue(const cldeform_context *context, cl_command_queue queue,
                                      cl_command_queue_properties *properties);
cldeform_status cldeform__check_wait_list(const cldeform_context *context, cl_uint n_wait, const cl_event *wait);

/* Fails where a type of the problem is F64 and the device has none; name: the field's. */
cldeform_status cldeform__check_fp64(const cldeform_context *context, const char *name, cldeform_dtype dtype);
/* Fails unless whole numbers that a kernel writes can be read by the host as they are. */
cldeform_status cldeform__check_byte_order(const cldeform_context *context);

/* A range of bytes of an allocation, for overlap checks: of the parent where the buffer is a sub-buffer. */
typedef struct cldeform__range {
    const char *name; /* "tensors.input" */
    cl_mem allocation;
    size_t start, end;
    size_t stride, length; /* bytes from image to image, and of an image; 0: one piece */
    cl_mem_flags flags;
} cldeform__range;

typedef struct cldeform__tensor_check {
    const char *name;
    cldeform_tensor tensor;
    int64_t images, image_elements;
    size_t element_size;
    bool written;
} cldeform__tensor_check;

/* Checks context, access, size and stride of one tensor (images 0: an empty one, whose buffer may be NULL) and gives
 * its range and dense stride. Errors: INVALID_ARGUMENT, BUFFER_TOO_SMALL. */
cldeform_status cldeform__check_tensor(const cldeform_context *context, const cldeform__tensor_check *check,
                                       cldeform__range *range, size_t *batch_stride);

/* Fails if ranges[written] shares a byte with another of the n ranges. Slices of images that are equally far apart may
 * alternate: the input and the output may be channels of one tensor. */
cldeform_status cldeform__check_overlap(const cldeform__range *ranges, size_t n, size_t written);

/* Checks a caller's workspace and gives its allocation (the parent of a sub-buffer) and range. */
cldeform_status cldeform__check_workspace(const cldeform_context *context, const cldeform_workspace *workspace,
                                          size_t minimum, cldeform__range *range);

/* Facts of a buffer: fails, naming it, unless it is one of the context's. */
typedef struct cldeform__buffer {
    cl_mem allocation;  /* the parent, or the buffer itself */
    size_t start, size; /* bytes, start within the allocation */
    cl_mem_flags flags;
} cldeform__buffer;
cldeform_status cldeform__inspect_buffer(const cldeform_context *context, cl_mem buffer, const char *name,
                                         cldeform__buffer *facts);

#endif
