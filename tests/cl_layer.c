/* cl_layer.c: an OpenCL layer that counts calls and references and makes chosen calls fail (see cl_layer.h).
 *
 * It watches what a compute library with buffers can call; images, pipes and shared virtual memory pass unseen. */
#include "cl_layer.h"

#include <CL/cl_layer.h>
#include <pthread.h>
#include <string.h>

/* ==== The functions ====================================================================================== */

#define WAIT_PARAMETERS cl_uint n_wait, const cl_event *wait, cl_event *event
#define WAIT_ARGUMENTS  n_wait, wait, event
#define INFO_PARAMETERS cl_uint name, size_t size, void *value, size_t *needed
#define INFO_ARGUMENTS  name, size, value, needed

/* One row per function:
 *   QUERY   (name, parameters, arguments)                 returns a status
 *   CREATE  (name, type, object, parameters, arguments)   returns an object, its status in *error
 *   RETAIN, RELEASE (name, type, object)
 *   ENQUEUE (name, blocks, parameters, arguments)         may return an event
 *   OTHER   (name, why)                                   written out below */
#define FUNCTIONS(QUERY, CREATE, RETAIN, RELEASE, ENQUEUE, OTHER)                                                      \
    QUERY(clGetPlatformIDs, (cl_uint capacity, cl_platform_id * platforms, cl_uint * count),                           \
          (capacity, platforms, count))                                                                                \
    QUERY(clGetPlatformInfo, (cl_platform_id platform, INFO_PARAMETERS), (platform, INFO_ARGUMENTS))                   \
    QUERY(clGetDeviceIDs,                                                                                              \
          (cl_platform_id platform, cl_device_type type, cl_uint capacity, cl_device_id * devices, cl_uint * count),   \
          (platform, type, capacity, devices, count))                                                                  \
    QUERY(clGetDeviceInfo, (cl_device_id device, INFO_PARAMETERS), (device, INFO_ARGUMENTS))                           \
    CREATE(clCreateContext, cl_context, CL_LAYER_CONTEXT,                                                              \
           (const cl_context_properties *properties, cl_uint count, const cl_device_id *devices,                       \
            void(CL_CALLBACK * notify)(const char *, const void *, size_t, void *), void *user, cl_int *error),        \
           (properties, count, devices, notify, user, error))                                                          \
    CREATE(clCreateContextFromType, cl_context, CL_LAYER_CONTEXT,                                                      \
           (const cl_context_properties *properties, cl_device_type type,                                              \
            void(CL_CALLBACK * notify)(const char *, const void *, size_t, void *), void *user, cl_int *error),        \
           (properties, type, notify, user, error))                                                                    \
    RETAIN(clRetainContext, cl_context, CL_LAYER_CONTEXT)                                                              \
    RELEASE(clReleaseContext, cl_context, CL_LAYER_CONTEXT)                                                            \
    QUERY(clGetContextInfo, (cl_context context, INFO_PARAMETERS), (context, INFO_ARGUMENTS))                          \
    CREATE(clCreateCommandQueue, cl_command_queue, CL_LAYER_QUEUE,                                                     \
           (cl_context context, cl_device_id device, cl_command_queue_properties properties, cl_int * error),          \
           (context, device, properties, error))                                                                       \
    CREATE(clCreateCommandQueueWithProperties, cl_command_queue, CL_LAYER_QUEUE,                                       \
           (cl_context context, cl_device_id device, const cl_queue_properties *properties, cl_int *error),            \
           (context, device, properties, error))                                                                       \
    RETAIN(clRetainCommandQueue, cl_command_queue, CL_LAYER_QUEUE)                                                     \
    RELEASE(clReleaseCommandQueue, cl_command_queue, CL_LAYER_QUEUE)                                                   \
    QUERY(clGetCommandQueueInfo, (cl_command_queue queue, INFO_PARAMETERS), (queue, INFO_ARGUMENTS))                   \
    CREATE(clCreateBuffer, cl_mem, CL_LAYER_MEMORY,                                                                    \
           (cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *error),                           \
           (context, flags, size, host, error))                                                                        \
    CREATE(clCreateBufferWithProperties, cl_mem, CL_LAYER_MEMORY,                                                      \
           (cl_context context, const cl_mem_properties *properties, cl_mem_flags flags, size_t size, void *host,      \
            cl_int *error),                                                                                            \
           (context, properties, flags, size, host, error))                                                            \
    CREATE(clCreateSubBuffer, cl_mem, CL_LAYER_MEMORY,                                                                 \
           (cl_mem buffer, cl_mem_flags flags, cl_buffer_create_type type, const void *region, cl_int *error),         \
           (buffer, flags, type, region, error))                                                                       \
    RETAIN(clRetainMemObject, cl_mem, CL_LAYER_MEMORY)                                                                 \
    RELEASE(clReleaseMemObject, cl_mem, CL_LAYER_MEMORY)                                                               \
    QUERY(clGetMemObjectInfo, (cl_mem memory, INFO_PARAMETERS), (memory, INFO_ARGUMENTS))                              \
    CREATE(clCreateProgramWithSource, cl_program, CL_LAYER_PROGRAM,                                                    \
           (cl_context context, cl_uint count, const char **texts, const size_t *lengths, cl_int *error),              \
           (context, count, texts, lengths, error))                                                                    \
    CREATE(clCreateProgramWithBinary, cl_program, CL_LAYER_PROGRAM,                                                    \
           (cl_context context, cl_uint count, const cl_device_id *devices, const size_t *lengths,                     \
            const unsigned char **binaries, cl_int *statuses, cl_int *error),                                          \
           (context, count, devices, lengths, binaries, statuses, error))                                              \
    CREATE(clLinkProgram, cl_program, CL_LAYER_PROGRAM,                                                                \
           (cl_context context, cl_uint devices, const cl_device_id *device, const char *options, cl_uint count,       \
            const cl_program *programs, void(CL_CALLBACK * notify)(cl_program, void *), void *user, cl_int *error),    \
           (context, devices, device, options, count, programs, notify, user, error))                                  \
    QUERY(clBuildProgram,                                                                                              \
          (cl_program program, cl_uint count, const cl_device_id *devices, const char *options,                        \
           void(CL_CALLBACK * notify)(cl_program, void *), void *user),                                                \
          (program, count, devices, options, notify, user))                                                            \
    QUERY(clCompileProgram,                                                                                            \
          (cl_program program, cl_uint count, const cl_device_id *devices, const char *options, cl_uint headers,       \
           const cl_program *header, const char **names, void(CL_CALLBACK * notify)(cl_program, void *), void *user),  \
          (program, count, devices, options, headers, header, names, notify, user))                                    \
    RETAIN(clRetainProgram, cl_program, CL_LAYER_PROGRAM)                                                              \
    RELEASE(clReleaseProgram, cl_program, CL_LAYER_PROGRAM)                                                            \
    QUERY(clGetProgramInfo, (cl_program program, INFO_PARAMETERS), (program, INFO_ARGUMENTS))                          \
    QUERY(clGetProgramBuildInfo, (cl_program program, cl_device_id device, INFO_PARAMETERS),                           \
          (program, device, INFO_ARGUMENTS))                                                                           \
    CREATE(clCreateKernel, cl_kernel, CL_LAYER_KERNEL, (cl_program program, const char *kernel, cl_int *error),        \
           (program, kernel, error))                                                                                   \
    CREATE(clCloneKernel, cl_kernel, CL_LAYER_KERNEL, (cl_kernel kernel, cl_int * error), (kernel, error))             \
    OTHER(clCreateKernelsInProgram, creates many)                                                                      \
    RETAIN(clRetainKernel, cl_kernel, CL_LAYER_KERNEL)                                                                 \
    RELEASE(clReleaseKernel, cl_kernel, CL_LAYER_KERNEL)                                                               \
    QUERY(clSetKernelArg, (cl_kernel kernel, cl_uint index, size_t size, const void *value),                           \
          (kernel, index, size, value))                                                                                \
    QUERY(clGetKernelInfo, (cl_kernel kernel, INFO_PARAMETERS), (kernel, INFO_ARGUMENTS))                              \
    QUERY(clGetKernelWorkGroupInfo, (cl_kernel kernel, cl_device_id device, INFO_PARAMETERS),                          \
          (kernel, device, INFO_ARGUMENTS))                                                                            \
    CREATE(clCreateUserEvent, cl_event, CL_LAYER_EVENT, (cl_context context, cl_int * error), (context, error))        \
    QUERY(clSetUserEventStatus, (cl_event event, cl_int status), (event, status))                                      \
    QUERY(clSetEventCallback,                                                                                          \
          (cl_event event, cl_int type, void(CL_CALLBACK * notify)(cl_event, cl_int, void *), void *user),             \
          (event, type, notify, user))                                                                                 \
    RETAIN(clRetainEvent, cl_event, CL_LAYER_EVENT)                                                                    \
    RELEASE(clReleaseEvent, cl_event, CL_LAYER_EVENT)                                                                  \
    QUERY(clGetEventInfo, (cl_event event, INFO_PARAMETERS), (event, INFO_ARGUMENTS))                                  \
    QUERY(clGetEventProfilingInfo, (cl_event event, INFO_PARAMETERS), (event, INFO_ARGUMENTS))                         \
    OTHER(clWaitForEvents, blocks)                                                                                     \
    QUERY(clFlush, (cl_command_queue queue), (queue))                                                                  \
    OTHER(clFinish, blocks)                                                                                            \
    ENQUEUE(clEnqueueReadBuffer, blocks,                                                                               \
            (cl_command_queue queue, cl_mem buffer, cl_bool blocks, size_t offset, size_t size, void *host,            \
             WAIT_PARAMETERS),                                                                                         \
            (queue, buffer, blocks, offset, size, host, WAIT_ARGUMENTS))                                               \
    ENQUEUE(clEnqueueWriteBuffer, blocks,                                                                              \
            (cl_command_queue queue, cl_mem buffer, cl_bool blocks, size_t offset, size_t size, const void *host,      \
             WAIT_PARAMETERS),                                                                                         \
            (queue, buffer, blocks, offset, size, host, WAIT_ARGUMENTS))                                               \
    ENQUEUE(                                                                                                           \
        clEnqueueReadBufferRect, blocks,                                                                               \
        (cl_command_queue queue, cl_mem buffer, cl_bool blocks, const size_t *origin, const size_t *host_origin,       \
         const size_t *region, size_t row, size_t slice, size_t host_row, size_t host_slice, void *host,               \
         WAIT_PARAMETERS),                                                                                             \
        (queue, buffer, blocks, origin, host_origin, region, row, slice, host_row, host_slice, host, WAIT_ARGUMENTS))  \
    ENQUEUE(                                                                                                           \
        clEnqueueWriteBufferRect, blocks,                                                                              \
        (cl_command_queue queue, cl_mem buffer, cl_bool blocks, const size_t *origin, const size_t *host_origin,       \
         const size_t *region, size_t row, size_t slice, size_t host_row, size_t host_slice, const void *host,         \
         WAIT_PARAMETERS),                                                                                             \
        (queue, buffer, blocks, origin, host_origin, region, row, slice, host_row, host_slice, host, WAIT_ARGUMENTS))  \
    ENQUEUE(clEnqueueCopyBuffer, CL_FALSE,                                                                             \
            (cl_command_queue queue, cl_mem from, cl_mem to, size_t from_offset, size_t to_offset, size_t size,        \
             WAIT_PARAMETERS),                                                                                         \
            (queue, from, to, from_offset, to_offset, size, WAIT_ARGUMENTS))                                           \
    ENQUEUE(clEnqueueCopyBufferRect, CL_FALSE,                                                                         \
            (cl_command_queue queue, cl_mem from, cl_mem to, const size_t *from_origin, const size_t *to_origin,       \
             const size_t *region, size_t from_row, size_t from_slice, size_t to_row, size_t to_slice,                 \
             WAIT_PARAMETERS),                                                                                         \
            (queue, from, to, from_origin, to_origin, region, from_row, from_slice, to_row, to_slice, WAIT_ARGUMENTS)) \
    ENQUEUE(clEnqueueFillBuffer, CL_FALSE,                                                                             \
            (cl_command_queue queue, cl_mem buffer, const void *pattern, size_t pattern_size, size_t offset,           \
             size_t size, WAIT_PARAMETERS),                                                                            \
            (queue, buffer, pattern, pattern_size, offset, size, WAIT_ARGUMENTS))                                      \
    OTHER(clEnqueueMapBuffer, returns a pointer)                                                                       \
    ENQUEUE(clEnqueueUnmapMemObject, CL_FALSE, (cl_command_queue queue, cl_mem memory, void *mapped, WAIT_PARAMETERS), \
            (queue, memory, mapped, WAIT_ARGUMENTS))                                                                   \
    ENQUEUE(                                                                                                           \
        clEnqueueMigrateMemObjects, CL_FALSE,                                                                          \
        (cl_command_queue queue, cl_uint count, const cl_mem *memory, cl_mem_migration_flags flags, WAIT_PARAMETERS),  \
        (queue, count, memory, flags, WAIT_ARGUMENTS))                                                                 \
    ENQUEUE(clEnqueueNDRangeKernel, CL_FALSE,                                                                          \
            (cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *offset, const size_t *global, \
             const size_t *local, WAIT_PARAMETERS),                                                                    \
            (queue, kernel, dimensions, offset, global, local, WAIT_ARGUMENTS))                                        \
    ENQUEUE(clEnqueueTask, CL_FALSE, (cl_command_queue queue, cl_kernel kernel, WAIT_PARAMETERS),                      \
            (queue, kernel, WAIT_ARGUMENTS))                                                                           \
    ENQUEUE(clEnqueueMarkerWithWaitList, CL_FALSE, (cl_command_queue queue, WAIT_PARAMETERS), (queue, WAIT_ARGUMENTS)) \
    ENQUEUE(clEnqueueBarrierWithWaitList, CL_FALSE, (cl_command_queue queue, WAIT_PARAMETERS),                         \
            (queue, WAIT_ARGUMENTS))                                                                                   \
    OTHER(clEnqueueMarker, has no wait list)                                                                           \
    OTHER(clEnqueueBarrier, has no wait list)                                                                          \
    OTHER(clEnqueueWaitForEvents, returns no event)

#define ID(function, ...)   id_##function,
#define NAME(function, ...) #function,
enum { FUNCTIONS(ID, ID, ID, ID, ID, ID) FUNCTION_COUNT };
static const char *const function_names[] = {FUNCTIONS(NAME, NAME, NAME, NAME, NAME, NAME)};

#define NO(function, ...)  0,
#define YES(function, ...) 1,
static const unsigned char is_release[] = {FUNCTIONS(NO, NO, NO, YES, NO, NO)};

/* ==== State ============================================================================================== */

static const cl_icd_dispatch *next; /* the driver's functions, or another layer's */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all below */
static long counts[FUNCTION_COUNT];
static long blocking_calls;
static long references[CL_LAYER_OBJECT_COUNT];
static int fail_function; /* FUNCTION_COUNT: any */
static long fail_in;      /* calls until the failure; 0: none */
static cl_int fail_error;
static const char *failed_function;

/* Counts a call. Anything but CL_SUCCESS is what the call has to return. */
static cl_int enter(int function, cl_bool blocks)
{
    cl_int error = CL_SUCCESS;
    pthread_mutex_lock(&lock);
    counts[function]++;
    if (blocks)
        blocking_calls++;
    if (fail_in > 0 && (fail_function == function || (fail_function == FUNCTION_COUNT && !is_release[function]))) {
        if (--fail_in == 0) {
            error = fail_error;
            failed_function = function_names[function];
        }
    }
    pthread_mutex_unlock(&lock);
    return error;
}

static void hold(cl_layer_object object, long change)
{
    pthread_mutex_lock(&lock);
    references[object] += change;
    pthread_mutex_unlock(&lock);
}

/* ==== Wrappers =========================================================================================== */

#define WRAP_QUERY(function, parameters, arguments)                                                                    \
    static cl_int CL_API_CALL wrap_##function parameters                                                               \
    {                                                                                                                  \
        cl_int failure = enter(id_##function, CL_FALSE);                                                               \
        return failure != CL_SUCCESS ? failure : next->function arguments;                                             \
    }

#define WRAP_CREATE(function, type, object, parameters, arguments)                                                     \
    static type CL_API_CALL wrap_##function parameters                                                                 \
    {                                                                                                                  \
        cl_int status = enter(id_##function, CL_FALSE);                                                                \
        if (status != CL_SUCCESS) {                                                                                    \
            if (error != NULL)                                                                                         \
                *error = status;                                                                                       \
            return NULL;                                                                                               \
        }                                                                                                              \
        type created = next->function arguments;                                                                       \
        if (created != NULL)                                                                                           \
            hold(object, 1);                                                                                           \
        return created;                                                                                                \
    }

#define WRAP_REFERENCE(function, type, object, change)                                                                 \
    static cl_int CL_API_CALL wrap_##function(type it)                                                                 \
    {                                                                                                                  \
        cl_int status = enter(id_##function, CL_FALSE);                                                                \
        if (status == CL_SUCCESS)                                                                                      \
            status = next->function(it);                                                                               \
        if (status == CL_SUCCESS)                                                                                      \
            hold(object, change);                                                                                      \
        return status;                                                                                                 \
    }
#define WRAP_RETAIN(function, type, object)  WRAP_REFERENCE(function, type, object, 1)
#define WRAP_RELEASE(function, type, object) WRAP_REFERENCE(function, type, object, -1)

#define WRAP_ENQUEUE(function, blocks, parameters, arguments)                                                          \
    static cl_int CL_API_CALL wrap_##function parameters                                                               \
    {                                                                                                                  \
        cl_int status = enter(id_##function, blocks);                                                                  \
        if (status == CL_SUCCESS)                                                                                      \
            status = next->function arguments;                                                                         \
        if (status == CL_SUCCESS && event != NULL)                                                                     \
            hold(CL_LAYER_EVENT, 1);                                                                                   \
        return status;                                                                                                 \
    }

#define WRAP_OTHER(function, why)

FUNCTIONS(WRAP_QUERY, WRAP_CREATE, WRAP_RETAIN, WRAP_RELEASE, WRAP_ENQUEUE, WRAP_OTHER)

static cl_int CL_API_CALL wrap_clWaitForEvents(cl_uint count, const cl_event *events)
{
    cl_int status = enter(id_clWaitForEvents, CL_TRUE);
    return status != CL_SUCCESS ? status : next->clWaitForEvents(count, events);
}

static cl_int CL_API_CALL wrap_clFinish(cl_command_queue queue)
{
    cl_int status = enter(id_clFinish, CL_TRUE);
    return status != CL_SUCCESS ? status : next->clFinish(queue);
}

static cl_int CL_API_CALL wrap_clCreateKernelsInProgram(cl_program program, cl_uint capacity, cl_kernel *kernels,
                                                        cl_uint *count)
{
    cl_uint created = 0;
    cl_int status = enter(id_clCreateKernelsInProgram, CL_FALSE);
    if (status == CL_SUCCESS)
        status = next->clCreateKernelsInProgram(program, capacity, kernels, &created);
    if (status != CL_SUCCESS)
        return status;
    if (kernels != NULL)
        hold(CL_LAYER_KERNEL, (long)created);
    if (count != NULL)
        *count = created;
    return CL_SUCCESS;
}

static void *CL_API_CALL wrap_clEnqueueMapBuffer(cl_command_queue queue, cl_mem buffer, cl_bool blocks,
                                                 cl_map_flags flags, size_t offset, size_t size, WAIT_PARAMETERS,
                                                 cl_int *error)
{
    cl_int status = enter(id_clEnqueueMapBuffer, blocks);
    if (status != CL_SUCCESS) {
        if (error != NULL)
            *error = status;
        return NULL;
    }
    void *mapped = next->clEnqueueMapBuffer(queue, buffer, blocks, flags, offset, size, WAIT_ARGUMENTS, error);
    if (mapped != NULL && event != NULL)
        hold(CL_LAYER_EVENT, 1);
    return mapped;
}

static cl_int CL_API_CALL wrap_clEnqueueMarker(cl_command_queue queue, cl_event *event)
{
    cl_int status = enter(id_clEnqueueMarker, CL_FALSE);
    if (status == CL_SUCCESS)
        status = next->clEnqueueMarker(queue, event);
    if (status == CL_SUCCESS)
        hold(CL_LAYER_EVENT, 1);
    return status;
}

static cl_int CL_API_CALL wrap_clEnqueueBarrier(cl_command_queue queue)
{
    cl_int status = enter(id_clEnqueueBarrier, CL_FALSE);
    return status != CL_SUCCESS ? status : next->clEnqueueBarrier(queue);
}

static cl_int CL_API_CALL wrap_clEnqueueWaitForEvents(cl_command_queue queue, cl_uint count, const cl_event *events)
{
    cl_int status = enter(id_clEnqueueWaitForEvents, CL_FALSE);
    return status != CL_SUCCESS ? status : next->clEnqueueWaitForEvents(queue, count, events);
}

/* ==== What tests call ==================================================================================== */

static int find(const char *function)
{
    for (int i = 0; i < FUNCTION_COUNT; i++)
        if (strcmp(function_names[i], function) == 0)
            return i;
    return -1;
}

static void reset(void)
{
    pthread_mutex_lock(&lock);
    memset(counts, 0, sizeof counts);
    blocking_calls = 0;
    fail_in = 0;
    failed_function = NULL;
    pthread_mutex_unlock(&lock);
}

static long count(const char *function)
{
    int id = find(function);
    if (id < 0)
        return -1;
    pthread_mutex_lock(&lock);
    long calls = counts[id];
    pthread_mutex_unlock(&lock);
    return calls;
}

static long enqueues(void)
{
    long calls = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < FUNCTION_COUNT; i++)
        if (strncmp(function_names[i], "clEnqueue", strlen("clEnqueue")) == 0)
            calls += counts[i];
    pthread_mutex_unlock(&lock);
    return calls;
}

static long blocking(void)
{
    pthread_mutex_lock(&lock);
    long calls = blocking_calls;
    pthread_mutex_unlock(&lock);
    return calls;
}

static long count_references(cl_layer_object object)
{
    pthread_mutex_lock(&lock);
    long held = references[object];
    pthread_mutex_unlock(&lock);
    return held;
}

static int fail_nth(const char *function, long n, cl_int error)
{
    int id = function != NULL ? find(function) : FUNCTION_COUNT;
    if (id < 0 || (function != NULL && is_release[id]))
        return -1;
    pthread_mutex_lock(&lock);
    fail_function = id;
    fail_in = n;
    fail_error = error;
    failed_function = NULL;
    pthread_mutex_unlock(&lock);
    return 0;
}

static const char *failed(void)
{
    pthread_mutex_lock(&lock);
    const char *function = failed_function;
    pthread_mutex_unlock(&lock);
    return function;
}

#define EXPORT __attribute__((visibility("default")))

extern const cl_layer cl_layer_functions;
EXPORT const cl_layer cl_layer_functions = {reset, count, enqueues, blocking, count_references, fail_nth, failed};

/* ==== What the loader calls ============================================================================== */

EXPORT CL_API_ENTRY cl_int CL_API_CALL clGetLayerInfo(cl_layer_info name, size_t size, void *value, size_t *needed)
{
    static const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
    if (name != CL_LAYER_API_VERSION || (value != NULL && size < sizeof version))
        return CL_INVALID_VALUE;
    if (value != NULL)
        memcpy(value, &version, sizeof version);
    if (needed != NULL)
        *needed = sizeof version;
    return CL_SUCCESS;
}

EXPORT CL_API_ENTRY cl_int CL_API_CALL clInitLayer(cl_uint entries, const cl_icd_dispatch *target,
                                                   cl_uint *entries_filled, const cl_icd_dispatch **layer)
{
    static cl_icd_dispatch table;
    const cl_uint table_entries = (cl_uint)(sizeof table / sizeof table.clGetPlatformIDs);
    if (entries < table_entries || target == NULL || entries_filled == NULL || layer == NULL)
        return CL_INVALID_VALUE;

    next = target;
    table = *target;
#define INSTALL(function, ...) table.function = wrap_##function;
    FUNCTIONS(INSTALL, INSTALL, INSTALL, INSTALL, INSTALL, INSTALL)
    *layer = &table;
    *entries_filled = table_entries;
    return CL_SUCCESS;
}
