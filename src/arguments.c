#include "arguments.h"
#include "geometry.h"

#include <string.h>

cldeform_status cldeform__take_struct(void *to, size_t size, const void *from, const char *name)
{
    size_t given = 0;
    if (!from)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "%s is NULL", name);
    memcpy(&given, from, sizeof given);
    if (given < sizeof given || given > 1 << 16)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                              "%s.struct_size is %zu; it must be the size of the struct, %zu in this version", name,
                              given, size);
    memset(to, 0, size);
    memcpy(to, from, given < size ? given : size);
    for (size_t i = size; i < given; i++)
        if (((const unsigned char *)from)[i] != 0)
            return cldeform__fail(CLDEFORM_UNSUPPORTED,
                                  "%s has a field at byte %zu that this version, whose struct has %zu bytes, does not "
                                  "know; it must be 0",
                                  name, i, size);
    return CLDEFORM_OK;
}

cldeform_status cldeform__fill_shape(cldeform_shape *shape, const int64_t *size, int rank, size_t element_size)
{
    cldeform_shape found;
    if (!shape)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "shape is NULL");
    const cldeform_status status = cldeform__take_struct(&found, sizeof found, shape, "shape");
    if (status != CLDEFORM_OK)
        return status;
    found.rank = rank;
    memset(found.size, 0, sizeof found.size);
    memcpy(found.size, size, (size_t)rank * sizeof *size);
    if (!cldeform__product(size, rank, &found.elements) || !cldeform__bytes(found.elements, element_size, &found.bytes))
        return cldeform__fail(CLDEFORM_LIMIT, "the tensor's size in bytes does not fit a size_t");
    found.struct_size = shape->struct_size;
    memcpy(shape, &found, shape->struct_size < sizeof found ? shape->struct_size : sizeof found);
    return CLDEFORM_OK;
}

cldeform_status cldeform__check_fp64(const cldeform_context *context, const char *name, cldeform_dtype dtype)
{
    if (dtype == CLDEFORM_F64 && !context->facts.fp64)
        return cldeform__fail(CLDEFORM_UNSUPPORTED,
                              "problem.%s is CLDEFORM_F64; device %s has no cl_khr_fp64, so it must be another type",
                              name, context->facts.name);
    return CLDEFORM_OK;
}

cldeform_status cldeform__check_byte_order(const cldeform_context *context)
{
    const uint16_t one = 1;
    const bool host_little = *(const unsigned char *)&one == 1;
    if (context->facts.little_endian != host_little)
        return cldeform__fail(CLDEFORM_UNSUPPORTED, "device %s is %s-endian; for statistics it must be as the host is",
                              context->facts.name, context->facts.little_endian ? "little" : "big");
    return CLDEFORM_OK;
}

cldeform_status cldeform__check_queue(const cldeform_context *context, cl_command_queue queue,
                                      cl_command_queue_properties *properties)
{
    cl_context cl = NULL;
    cl_device_id device = NULL;
    if (!queue)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "queue is NULL; it must be a command queue of the context");
    cl_int error = clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof cl, &cl, NULL);
    if (error == CL_SUCCESS)
        error = clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof device, &device, NULL);
    if (error == CL_SUCCESS)
        error = clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof *properties, properties, NULL);
    if (error != CL_SUCCESS)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "queue is not a command queue: %s",
                              cldeform__cl_error_name(error));
    if (cl != context->cl)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "queue belongs to another cl_context than the object");
    if (device != context->device)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "queue belongs to another device than the object");
    return CLDEFORM_OK;
}

cldeform_status cldeform__check_wait_list(const cldeform_context *context, cl_uint n_wait, const cl_event *wait)
{
    if ((n_wait == 0) != (wait == NULL))
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                              "n_wait is %u and wait is %s; they must be 0 and NULL, or a number and its events",
                              n_wait, wait ? "not NULL" : "NULL");
    for (cl_uint i = 0; i < n_wait; i++) {
        cl_context cl = NULL;
        if (!wait[i])
            return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "wait[%u] is NULL; it must be an event", i);
        const cl_int error = clGetEventInfo(wait[i], CL_EVENT_CONTEXT, sizeof cl, &cl, NULL);
        if (error != CL_SUCCESS)
            return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "wait[%u] is not an event: %s", i,
                                  cldeform__cl_error_name(error));
        if (cl != context->cl)
            return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "wait[%u] belongs to another cl_context than the object",
                                  i);
    }
    return CLDEFORM_OK;
}

cldeform_status cldeform__inspect_buffer(const cldeform_context *context, cl_mem buffer, const char *name,
                                         cldeform__buffer *facts)
{
    cl_context cl = NULL;
    cl_mem_object_type type = 0;
    cl_mem parent = NULL;
    memset(facts, 0, sizeof *facts);
    if (!buffer)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "%s.buffer is NULL; it must be a buffer", name);
    cl_int error = clGetMemObjectInfo(buffer, CL_MEM_TYPE, sizeof type, &type, NULL);
    if (error == CL_SUCCESS)
        error = clGetMemObjectInfo(buffer, CL_MEM_CONTEXT, sizeof cl, &cl, NULL);
    if (error == CL_SUCCESS)
        error = clGetMemObjectInfo(buffer, CL_MEM_SIZE, sizeof facts->size, &facts->size, NULL);
    if (error == CL_SUCCESS)
        error = clGetMemObjectInfo(buffer, CL_MEM_FLAGS, sizeof facts->flags, &facts->flags, NULL);
    if (error == CL_SUCCESS)
        error = clGetMemObjectInfo(buffer, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof parent, &parent, NULL);
    if (error == CL_SUCCESS && parent)
        error = clGetMemObjectInfo(buffer, CL_MEM_OFFSET, sizeof facts->start, &facts->start, NULL);
    if (error != CL_SUCCESS)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "%s.buffer is not a memory object: %s", name,
                              cldeform__cl_error_name(error));
    if (type != CL_MEM_OBJECT_BUFFER)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                              "%s.buffer is a memory object of another type; it must be a "
                              "buffer",
                              name);
    if (cl != context->cl)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "%s.buffer belongs to another cl_context than the object",
                              name);
    facts->allocation = parent ? parent : buffer;
    return CLDEFORM_OK;
}

cldeform_status cldeform__check_tensor(const cldeform_context *context, const cldeform__tensor_check *check,
                                       cldeform__range *range, size_t *batch_stride)
{
    const cldeform_tensor *tensor = &check->tensor;
    const char *name = check->name;
    cldeform__buffer buffer;
    *range = (cldeform__range){.name = name};
    *batch_stride = (size_t)check->image_elements;
    if (tensor->batch_stride != 0) {
        if (tensor->batch_stride < (size_t)check->image_elements)
            return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                                  "%s.batch_stride is %zu; it must be 0 or at least %lld, the elements of an image",
                                  name, tensor->batch_stride, (long long)check->image_elements);
        *batch_stride = tensor->batch_stride;
    }
    if (check->images == 0 && !tensor->buffer)
        return CLDEFORM_OK;
    const cldeform_status status = cldeform__inspect_buffer(context, tensor->buffer, name, &buffer);
    if (status != CLDEFORM_OK)
        return status;
    const cl_mem_flags forbidden = check->written ? CL_MEM_READ_ONLY : CL_MEM_WRITE_ONLY;
    if (buffer.flags & forbidden)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "%s.buffer is %s; it must be one that kernels may %s", name,
                              check->written ? "CL_MEM_READ_ONLY" : "CL_MEM_WRITE_ONLY",
                              check->written ? "write" : "read");

    /* last image's start + its elements + offset, in elements and in bytes */
    int64_t elements = 0;
    size_t needed = 0, first = 0;
    bool fits = tensor->offset <= INT64_MAX && *batch_stride <= INT64_MAX;
    if (check->images > 0)
        fits = fits && cldeform__multiply(check->images - 1, (int64_t)*batch_stride, &elements) &&
               cldeform__add(elements, check->image_elements, &elements);
    fits = fits && cldeform__add(elements, (int64_t)tensor->offset, &elements) &&
           cldeform__bytes(elements, check->element_size, &needed) &&
           cldeform__bytes((int64_t)tensor->offset, check->element_size, &first);
    if (!fits || needed > buffer.size)
        return cldeform__fail(
            CLDEFORM_BUFFER_TOO_SMALL,
            "%s needs %lld images of %lld elements, %zu apart from element %zu on, of %zu bytes each; "
            "its buffer has %zu bytes",
            name, (long long)check->images, (long long)check->image_elements, *batch_stride, tensor->offset,
            check->element_size, buffer.size);
    range->allocation = buffer.allocation;
    range->start = buffer.start + first;
    range->end = buffer.start + needed;
    range->stride = *batch_stride * check->element_size;
    range->length = (size_t)check->image_elements * check->element_size;
    range->flags = buffer.flags;
    return CLDEFORM_OK;
}

static bool overlap(const cldeform__range *a, const cldeform__range *b)
{
    if (!a->allocation || a->allocation != b->allocation || a->start >= b->end || b->start >= a->end)
        return false;
    if (a->stride != b->stride || a->stride == 0)
        return true;
    /* images equally far apart: where b begins within a's period */
    const size_t period = a->stride, a_phase = a->start % period, b_phase = b->start % period;
    const size_t phase = b_phase >= a_phase ? b_phase - a_phase : period - (a_phase - b_phase);
    return phase < a->length || phase + b->length > period;
}

cldeform_status cldeform__check_overlap(const cldeform__range *ranges, size_t n, size_t written)
{
    const cldeform__range *a = &ranges[written];
    for (size_t i = 0; i < n; i++) {
        const cldeform__range *b = &ranges[i];
        if (i != written && overlap(a, b))
            return cldeform__fail(CLDEFORM_INVALID_ARGUMENT,
                                  "%s (bytes %zu to %zu) and %s (bytes %zu to %zu) overlap in the same buffer; what is "
                                  "written must overlap nothing",
                                  a->name, a->start, a->end, b->name, b->start, b->end);
    }
    return CLDEFORM_OK;
}

cldeform_status cldeform__check_workspace(const cldeform_context *context, const cldeform_workspace *workspace,
                                          size_t minimum, cldeform__range *range)
{
    cldeform__buffer buffer;
    const cldeform_status status = cldeform__inspect_buffer(context, workspace->buffer, "workspace", &buffer);
    if (status != CLDEFORM_OK)
        return status;
    if (buffer.flags & (CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY))
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "workspace.buffer is %s; it must be CL_MEM_READ_WRITE",
                              buffer.flags & CL_MEM_READ_ONLY ? "CL_MEM_READ_ONLY" : "CL_MEM_WRITE_ONLY");
    if (workspace->offset % CLDEFORM_WORKSPACE_ALIGNMENT != 0)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "workspace.offset is %zu; it must be a multiple of %d",
                              workspace->offset, CLDEFORM_WORKSPACE_ALIGNMENT);
    if (workspace->offset > buffer.size || workspace->size > buffer.size - workspace->offset)
        return cldeform__fail(CLDEFORM_BUFFER_TOO_SMALL,
                              "workspace has offset %zu and size %zu; its buffer has %zu bytes", workspace->offset,
                              workspace->size, buffer.size);
    const size_t size = workspace->size ? workspace->size : buffer.size - workspace->offset;
    if (size < minimum)
        return cldeform__fail(CLDEFORM_BUFFER_TOO_SMALL, "workspace has %zu bytes; the minimum is %zu", size, minimum);
    *range = (cldeform__range){
        .name = "workspace",
        .allocation = buffer.allocation,
        .start = buffer.start + workspace->offset,
        .end = buffer.start + workspace->offset + size,
        .flags = buffer.flags,
    };
    return CLDEFORM_OK;
}
