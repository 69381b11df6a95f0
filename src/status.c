/* Status names and texts, and the thread's last error. */
#include "status.h"
#include "os.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STATUS_LIST(X)                                                                                                 \
    X(OK, "success")                                                                                                   \
    X(INVALID_ARGUMENT, "an argument is wrong or contradicts another one")                                             \
    X(BUFFER_TOO_SMALL, "a tensor or the workspace does not fit its buffer")                                           \
    X(UNSUPPORTED, "this device or this algorithm cannot do it")                                                       \
    X(NOT_PREPARED, "the object was created without this pass")                                                        \
    X(LIMIT, "a size is beyond what memory, the limit given or an index allows")                                       \
    X(OUT_OF_MEMORY, "host or device memory could not be had")                                                         \
    X(BUILD_FAILED, "an OpenCL kernel did not compile")                                                                \
    X(OPENCL_ERROR, "an OpenCL call failed")                                                                           \
    X(GEMM_ERROR, "CLBlast reported an error")                                                                         \
    X(SELFTEST_FAILED, "the device computes wrong results")

static CLDEFORM__THREAD_LOCAL char last_text[4096];
static CLDEFORM__THREAD_LOCAL cl_int last_cl_error;

const char *cldeform_status_name(cldeform_status status)
{
    switch (status) {
#define X(name, text)                                                                                                  \
    case CLDEFORM_##name:                                                                                              \
        return "CLDEFORM_" #name;
        STATUS_LIST(X)
#undef X
    }
    return "unknown status";
}

const char *cldeform_status_text(cldeform_status status)
{
    switch (status) {
#define X(name, text)                                                                                                  \
    case CLDEFORM_##name:                                                                                              \
        return text;
        STATUS_LIST(X)
#undef X
    }
    return "unknown status";
}

const char *cldeform_last_error(void)
{
    return last_text;
}

cl_int cldeform_last_opencl_error(void)
{
    return last_cl_error;
}

int cldeform_version(void)
{
    return CLDEFORM_VERSION_MAJOR * 10000 + CLDEFORM_VERSION_MINOR * 100 + CLDEFORM_VERSION_PATCH;
}

void cldeform__set_cl_error(cl_int error)
{
    last_cl_error = error;
}

cldeform_status cldeform__fail(cldeform_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_text, sizeof last_text, format, arguments);
    va_end(arguments);
    last_cl_error = CL_SUCCESS;
    return status;
}

cldeform_status cldeform__fail_cl(cl_int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_text, sizeof last_text, format, arguments);
    va_end(arguments);
    const size_t length = strlen(last_text);
    snprintf(last_text + length, sizeof last_text - length, ": %s (%d)", cldeform__cl_error_name(error), (int)error);
    last_cl_error = error;
    switch (error) {
    case CL_MEM_OBJECT_ALLOCATION_FAILURE:
    case CL_OUT_OF_RESOURCES:
    case CL_OUT_OF_HOST_MEMORY:
        return CLDEFORM_OUT_OF_MEMORY;
    default:
        return CLDEFORM_OPENCL_ERROR;
    }
}

const char *cldeform__cl_error_name(cl_int error)
{
#define NAME(code)                                                                                                     \
    case code:                                                                                                         \
        return #code;
    switch (error) {
        NAME(CL_SUCCESS)
        NAME(CL_DEVICE_NOT_FOUND)
        NAME(CL_DEVICE_NOT_AVAILABLE)
        NAME(CL_COMPILER_NOT_AVAILABLE)
        NAME(CL_MEM_OBJECT_ALLOCATION_FAILURE)
        NAME(CL_OUT_OF_RESOURCES)
        NAME(CL_OUT_OF_HOST_MEMORY)
        NAME(CL_PROFILING_INFO_NOT_AVAILABLE)
        NAME(CL_MEM_COPY_OVERLAP)
        NAME(CL_BUILD_PROGRAM_FAILURE)
        NAME(CL_MAP_FAILURE)
        NAME(CL_MISALIGNED_SUB_BUFFER_OFFSET)
        NAME(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST)
        NAME(CL_INVALID_VALUE)
        NAME(CL_INVALID_DEVICE_TYPE)
        NAME(CL_INVALID_PLATFORM)
        NAME(CL_INVALID_DEVICE)
        NAME(CL_INVALID_CONTEXT)
        NAME(CL_INVALID_QUEUE_PROPERTIES)
        NAME(CL_INVALID_COMMAND_QUEUE)
        NAME(CL_INVALID_HOST_PTR)
        NAME(CL_INVALID_MEM_OBJECT)
        NAME(CL_INVALID_BINARY)
        NAME(CL_INVALID_BUILD_OPTIONS)
        NAME(CL_INVALID_PROGRAM)
        NAME(CL_INVALID_PROGRAM_EXECUTABLE)
        NAME(CL_INVALID_KERNEL_NAME)
        NAME(CL_INVALID_KERNEL_DEFINITION)
        NAME(CL_INVALID_KERNEL)
        NAME(CL_INVALID_ARG_INDEX)
        NAME(CL_INVALID_ARG_VALUE)
        NAME(CL_INVALID_ARG_SIZE)
        NAME(CL_INVALID_KERNEL_ARGS)
        NAME(CL_INVALID_WORK_DIMENSION)
        NAME(CL_INVALID_WORK_GROUP_SIZE)
        NAME(CL_INVALID_WORK_ITEM_SIZE)
        NAME(CL_INVALID_GLOBAL_OFFSET)
        NAME(CL_INVALID_EVENT_WAIT_LIST)
        NAME(CL_INVALID_EVENT)
        NAME(CL_INVALID_OPERATION)
        NAME(CL_INVALID_BUFFER_SIZE)
        NAME(CL_INVALID_GLOBAL_WORK_SIZE)
        NAME(CL_INVALID_PROPERTY)
    default:
        return "unknown OpenCL error";
    }
#undef NAME
}
