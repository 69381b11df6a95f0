#include "arguments.h"
#include "atomics.h"
#include "context.h"
#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cldeform_status cldeform__device_info(cl_device_id device, cl_device_info what, size_t size, void *value,
                                      const char *name)
{
    const cl_int error = clGetDeviceInfo(device, what, size, value, NULL);
    return error == CL_SUCCESS ? CLDEFORM_OK : cldeform__fail_cl(error, "clGetDeviceInfo(%s)", name);
}

#define DEVICE(what, value)      TRY(cldeform__device_info(device, what, sizeof(value), &(value), #what))
#define DEVICE_TEXT(what, field) TRY(read_text(device, what, #what, sizeof facts->field, facts->field))

/* A text of any length, cut to the field's. */
static cldeform_status read_text(cl_device_id device, cl_device_info what, const char *name, size_t size, char *field)
{
    size_t length = 0;
    char *text = NULL;
    cl_int error = clGetDeviceInfo(device, what, 0, NULL, &length);
    if (error == CL_SUCCESS && (text = calloc(length + 1, 1)) == NULL)
        error = CL_OUT_OF_HOST_MEMORY;
    if (error == CL_SUCCESS)
        error = clGetDeviceInfo(device, what, length, text, NULL);
    if (error == CL_SUCCESS)
        snprintf(field, size, "%s", text);
    free(text);
    return error == CL_SUCCESS ? CLDEFORM_OK : cldeform__fail_cl(error, "clGetDeviceInfo(%s)", name);
}

/* Whether cl_ext_float_atomics adds to global memory: a query that headers before 2021 do not name. */
static bool adds_atomically(cl_device_id device, bool fp64)
{
    enum { SINGLE_CAPABILITIES = 0x4231, DOUBLE_CAPABILITIES = 0x4232, GLOBAL_ADD = 1 << 1 };
    cl_bitfield capabilities = 0;
    return clGetDeviceInfo(device, fp64 ? DOUBLE_CAPABILITIES : SINGLE_CAPABILITIES, sizeof capabilities, &capabilities,
                           NULL) == CL_SUCCESS &&
           (capabilities & GLOBAL_ADD);
}

static cldeform_status read_extensions(cl_device_id device, cldeform__facts *facts)
{
    /* CL_DEVICE_DOUBLE_FP_CONFIG is 0 without fp64, but rusticl reports it where it compiles no double: ask both */
    cl_device_fp_config double_config = 0;
    size_t length = 0;
    if (clGetDeviceInfo(device, CL_DEVICE_EXTENSIONS, 0, NULL, &length) != CL_SUCCESS)
        return CLDEFORM_OK;
    char *extensions = calloc(length + 1, 1);
    if (!extensions)
        return cldeform__fail(CLDEFORM_OUT_OF_MEMORY, "no memory for the device's extensions");
    if (clGetDeviceInfo(device, CL_DEVICE_EXTENSIONS, length, extensions, NULL) == CL_SUCCESS) {
        facts->fp64 = clGetDeviceInfo(device, CL_DEVICE_DOUBLE_FP_CONFIG, sizeof double_config, &double_config, NULL) ==
                          CL_SUCCESS &&
                      double_config != 0 && strstr(extensions, "cl_khr_fp64");
        facts->int64_atomics = strstr(extensions, "cl_khr_int64_base_atomics") != NULL;
        facts->nv_extensions = strstr(extensions, "cl_nv_") != NULL;
        const bool float_atomics = strstr(extensions, "cl_ext_float_atomics") != NULL;
        facts->fp32_atomic_add = float_atomics && adds_atomically(device, false);
        facts->fp64_atomic_add = float_atomics && facts->fp64 && adds_atomically(device, true);
    }
    free(extensions);
    return CLDEFORM_OK;
}

static cldeform_status read_facts(cl_device_id device, cldeform__facts *facts)
{
    cldeform_status status;
    cl_platform_id platform = NULL;
    cl_uint dimensions = 0, alignment_bits = 0, width = 0;
    cl_bool little_endian = CL_TRUE;
    DEVICE_TEXT(CL_DEVICE_NAME, name);
    DEVICE_TEXT(CL_DEVICE_VENDOR, vendor);
    DEVICE_TEXT(CL_DRIVER_VERSION, driver);
    DEVICE_TEXT(CL_DEVICE_VERSION, version);
    DEVICE(CL_DEVICE_TYPE, facts->type);
    DEVICE(CL_DEVICE_MAX_COMPUTE_UNITS, facts->compute_units);
    DEVICE(CL_DEVICE_ADDRESS_BITS, facts->address_bits);
    DEVICE(CL_DEVICE_MAX_WORK_GROUP_SIZE, facts->max_group);
    DEVICE(CL_DEVICE_GLOBAL_MEM_SIZE, facts->global_memory);
    DEVICE(CL_DEVICE_MAX_MEM_ALLOC_SIZE, facts->max_allocation);
    DEVICE(CL_DEVICE_LOCAL_MEM_SIZE, facts->local_memory);
    DEVICE(CL_DEVICE_GLOBAL_MEM_CACHE_SIZE, facts->cache);
    DEVICE(CL_DEVICE_MEM_BASE_ADDR_ALIGN, alignment_bits);
    DEVICE(CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, width);
    DEVICE(CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS, dimensions);
    DEVICE(CL_DEVICE_ENDIAN_LITTLE, little_endian);
    DEVICE(CL_DEVICE_PLATFORM, platform);

    facts->little_endian = little_endian == CL_TRUE;
    for (facts->vector_width = 1; facts->vector_width < 16 && (cl_uint)facts->vector_width < width;)
        facts->vector_width *= 2;
    size_t items[16] = {1, 1, 1};
    if (dimensions > sizeof items / sizeof items[0])
        dimensions = sizeof items / sizeof items[0];
    TRY(cldeform__device_info(device, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof items, items,
                              "CL_DEVICE_MAX_WORK_ITEM_SIZES"));
    memcpy(facts->max_items, items, sizeof facts->max_items);

    facts->sub_alignment = alignment_bits >= 8 ? alignment_bits / 8 : 1;
    facts->base_alignment = facts->sub_alignment;
    if (facts->base_alignment < CLDEFORM_WORKSPACE_ALIGNMENT)
        facts->base_alignment = CLDEFORM_WORKSPACE_ALIGNMENT;

    TRY(read_extensions(device, facts));
    cl_int error = clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof facts->platform, facts->platform, NULL);
    if (error == CL_SUCCESS)
        error = clGetPlatformInfo(platform, CL_PLATFORM_VERSION, sizeof facts->platform_version,
                                  facts->platform_version, NULL);
    if (error != CL_SUCCESS)
        return cldeform__fail_cl(error, "clGetPlatformInfo");
    /* lp_bld_limits.h of Mesa: LP_MAX_TGSI_LOOP_ITERATIONS, over all loops of a work-item together. Pinned by the tests
     * many_samples and long_sums. */
    if (strstr(facts->platform, "rusticl") && strstr(facts->name, "llvmpipe"))
        facts->loop_limit = 65535;
    facts->driver_caches = strstr(facts->platform, "Portable Computing Language") || strstr(facts->platform, "NVIDIA");
done:
    return status;
}

static cldeform_status copy_text(const char *text, char **copy)
{
    *copy = NULL;
    if (!text)
        return CLDEFORM_OK;
    const size_t size = strlen(text) + 1;
    *copy = malloc(size);
    if (!*copy)
        return cldeform__fail(CLDEFORM_OUT_OF_MEMORY, "no memory for an option of the context");
    memcpy(*copy, text, size);
    return CLDEFORM_OK;
}

static cldeform_status choose_paths(cldeform_context *context, const cldeform_context_options *options,
                                    const char **tuning_file)
{
    cldeform_status status = CLDEFORM_OK;
    const char *cache_dir = options->cache_dir, *kernel_dir = NULL, *build_options = NULL;
    *tuning_file = options->tuning_file;
    if (!options->ignore_environment) {
        if (!cache_dir)
            cache_dir = cldeform__environment("CLDEFORM_CACHE_DIR");
        if (!*tuning_file)
            *tuning_file = cldeform__environment("CLDEFORM_TUNING_FILE");
        kernel_dir = cldeform__environment("CLDEFORM_KERNEL_DIR");
        build_options = cldeform__environment("CLDEFORM_BUILD_OPTIONS");
    }
    if (*tuning_file && !**tuning_file)
        *tuning_file = NULL;
    if (build_options && *build_options)
        status = copy_text(build_options, &context->build_options);
    if (status != CLDEFORM_OK)
        return status;
    if (kernel_dir && *kernel_dir) {
        /* kernels that are being edited, whose includes the cache's key would not see: no cache */
        return copy_text(kernel_dir, &context->kernel_dir);
    }
    if (cache_dir)
        return *cache_dir ? copy_text(cache_dir, &context->cache_dir) : CLDEFORM_OK;
    if (!context->facts.driver_caches)
        context->cache_dir = cldeform__cache_directory("cldeform");
    return CLDEFORM_OK;
}

static cldeform_status check_device(cl_context cl, cl_device_id device)
{
    size_t size = 0;
    cl_int error = clGetContextInfo(cl, CL_CONTEXT_DEVICES, 0, NULL, &size);
    if (error != CL_SUCCESS)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "context is not a cl_context: %s",
                              cldeform__cl_error_name(error));
    cl_device_id *devices = malloc(size + sizeof *devices);
    if (!devices)
        return cldeform__fail(CLDEFORM_OUT_OF_MEMORY, "no memory for the context's devices");
    error = clGetContextInfo(cl, CL_CONTEXT_DEVICES, size, devices, NULL);
    bool found = false;
    for (size_t i = 0; error == CL_SUCCESS && i < size / sizeof *devices; i++)
        found = found || devices[i] == device;
    free(devices);
    if (!found)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "device is not one of the context's devices");
    return CLDEFORM_OK;
}

cldeform_status cldeform_context_create(cl_context cl, cl_device_id device, const cldeform_context_options *options,
                                        cldeform_context **out)
{
    cldeform_status status;
    cldeform_context *context = NULL;
    cldeform_context_options chosen = {0};
    const char *tuning_file = NULL;
    if (!out)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "out is NULL; it must point to where the context goes");
    *out = NULL;
    if (!cl)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "context is NULL; it must be a cl_context");
    if (!device)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "device is NULL; it must be a device of the context");
    if (options)
        TRY(cldeform__take_struct(&chosen, sizeof chosen, options, "options"));
    TRY(check_device(cl, device));

    context = calloc(1, sizeof *context);
    if (!context)
        return cldeform__fail(CLDEFORM_OUT_OF_MEMORY, "no memory for a context");
    cldeform__mutex_init(&context->mutex);
    cldeform__mutex_init(&context->atomics.mutex);
    context->references = 1;
    context->device = device;
    context->trace = chosen.trace;
    context->trace_user = chosen.trace_user;
    const cl_int error = clRetainContext(cl);
    if (error != CL_SUCCESS) {
        status = cldeform__fail_cl(error, "clRetainContext");
        goto done;
    }
    context->cl = cl;
    TRY(read_facts(device, &context->facts));
    TRY(choose_paths(context, &chosen, &tuning_file));
    const cldeform__tuning_device tuned = {context->facts.name, context->facts.vendor,
                                           (context->facts.type & CL_DEVICE_TYPE_CPU) != 0, context->facts.cache};
    TRY(cldeform__tuning_load(&context->tuning, &tuned, tuning_file));
done:
    if (status == CLDEFORM_OK)
        *out = context;
    else
        cldeform__context_release(context);
    return status;
}

void cldeform_context_destroy(cldeform_context *context)
{
    cldeform__context_release(context);
}

void cldeform__context_retain(cldeform_context *context)
{
    cldeform__mutex_lock(&context->mutex);
    context->references++;
    cldeform__mutex_unlock(&context->mutex);
}

void cldeform__context_release(cldeform_context *context)
{
    if (!context)
        return;
    cldeform__mutex_lock(&context->mutex);
    const int left = --context->references;
    cldeform__mutex_unlock(&context->mutex);
    if (left > 0)
        return;
    cldeform__programs_release(context->programs);
    while (context->lanes) {
        cldeform__lane *lane = context->lanes;
        context->lanes = lane->next;
        if (lane->last)
            clReleaseEvent(lane->last);
        clReleaseCommandQueue(lane->queue);
        free(lane);
    }
    if (context->cl)
        clReleaseContext(context->cl);
    cldeform__tuning_free(&context->tuning);
    cldeform__mutex_destroy(&context->atomics.mutex);
    cldeform__mutex_destroy(&context->mutex);
    free(context->cache_dir);
    free(context->kernel_dir);
    free(context->build_options);
    free(context);
}

/* Whether a call that waits for these events finds the lane free: its last call is complete, or among them. */
static bool is_free(const cldeform__lane *lane, cl_uint n_wait, const cl_event *wait)
{
    cl_int state = CL_QUEUED;
    if (lane->busy)
        return false;
    for (cl_uint i = 0; i < n_wait; i++)
        if (lane->last == wait[i])
            return true;
    return !lane->last ||
           (clGetEventInfo(lane->last, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL) == CL_SUCCESS &&
            state <= CL_COMPLETE);
}

cldeform_status cldeform__lane_take(cldeform_context *context, bool profiling, cl_uint n_wait, const cl_event *wait,
                                    cldeform__lane **out)
{
    cldeform_status status = CLDEFORM_OK;
    cldeform__lane *lane;
    cldeform__mutex_lock(&context->mutex);
    for (lane = context->lanes; lane; lane = lane->next)
        if (lane->profiling == profiling && is_free(lane, n_wait, wait))
            break;
    if (!lane) {
        lane = calloc(1, sizeof *lane);
        if (!lane) {
            status = cldeform__fail(CLDEFORM_OUT_OF_MEMORY, "no memory for a command queue");
            goto done;
        }
        cl_int error = CL_SUCCESS;
        lane->profiling = profiling;
#ifdef __GNUC__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* the function that OpenCL 1.2 has too */
#endif
        lane->queue =
            clCreateCommandQueue(context->cl, context->device, profiling ? CL_QUEUE_PROFILING_ENABLE : 0, &error);
#ifdef __GNUC__
#pragma GCC diagnostic pop
#endif
        if (error != CL_SUCCESS) {
            free(lane);
            status = cldeform__fail_cl(error, "clCreateCommandQueue");
            goto done;
        }
        lane->next = context->lanes;
        context->lanes = lane;
    }
    if (lane->last)
        clReleaseEvent(lane->last);
    lane->last = NULL;
    lane->busy = true;
    *out = lane;
done:
    cldeform__mutex_unlock(&context->mutex);
    return status;
}

void cldeform__lane_return(cldeform_context *context, cldeform__lane *lane, cl_event last)
{
    cldeform__mutex_lock(&context->mutex);
    if (last && clRetainEvent(last) == CL_SUCCESS)
        lane->last = last;
    lane->busy = false;
    cldeform__mutex_unlock(&context->mutex);
}

cldeform_status cldeform_context_describe(const cldeform_context *constant, char *out, size_t capacity, size_t *needed)
{
    if (!constant)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "context is NULL");
    if (!out && capacity > 0)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "text is NULL and capacity %zu; it must be 0 then", capacity);
    cldeform_context *context = (cldeform_context *)constant; /* its counters are read under its lock */
    const cldeform__facts *facts = &context->facts;
    cldeform__text text = {0};
    const struct {
        const char *name, *value;
    } texts[] = {
        {"device", facts->name},
        {"vendor", facts->vendor},
        {"driver", facts->driver},
        {"device_version", facts->version},
        {"platform", facts->platform},
        {"platform_version", facts->platform_version},
        {"cache_dir", context->cache_dir},
        {"kernel_dir", context->kernel_dir},
        {"build_options", context->build_options},
    };
    cldeform__text_add(&text, "{\"library_version\":\"%d.%d.%d\"", CLDEFORM_VERSION_MAJOR, CLDEFORM_VERSION_MINOR,
                       CLDEFORM_VERSION_PATCH);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cldeform__text_add(&text, ",\"%s\":", texts[i].name);
        cldeform__text_add_json(&text, texts[i].value);
    }
    cldeform__mutex_lock(&context->mutex);
    const uint64_t compiled = context->compiled, loaded = context->loaded;
    cldeform__mutex_unlock(&context->mutex);
    cldeform__text_add(&text,
                       ",\"compute_units\":%u,\"max_work_group\":%zu,\"local_memory\":%llu,\"global_memory\":%llu,"
                       "\"max_allocation\":%llu,\"fp64\":%s,\"driver_caches_kernels\":%s,\"programs_compiled\":%llu,"
                       "\"programs_loaded\":%llu,\"atomics\":{",
                       facts->compute_units, facts->max_group, (unsigned long long)facts->local_memory,
                       (unsigned long long)facts->global_memory, (unsigned long long)facts->max_allocation,
                       facts->fp64 ? "true" : "false", facts->driver_caches ? "true" : "false",
                       (unsigned long long)compiled, (unsigned long long)loaded);
    cldeform__atomics_describe(context, &text);
    cldeform__text_add(&text, "},\"tuning\":{");
    cldeform__tuning_describe(&context->tuning, &text);
    cldeform__text_add(&text, "}}");
    return cldeform__text_give(&text, out, capacity, needed);
}
