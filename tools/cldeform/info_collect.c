/* info_collect.c: everything `info` tells, as one JSON object. */
#include "info.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "describe.h"
#include "device.h"

static const char *const advice[] = {
    "CPU: apt install pocl-opencl-icd",
    "Intel GPU: apt install intel-opencl-icd",
    "AMD GPU: AMD's ROCm driver with its OpenCL part; or apt install mesa-opencl-icd and set RUSTICL_ENABLE=radeonsi",
    "NVIDIA GPU: the NVIDIA driver with its OpenCL part (apt install nvidia-opencl-icd)",
    "mesa-opencl-icd (rusticl) shows no device unless RUSTICL_ENABLE names a driver, for example llvmpipe (a CPU) or "
    "iris",
    "permissions: GPUs are opened through /dev/dri/renderD*, so the user must be in the groups render and video",
    "in a container: pass the device (--device /dev/dri, or --gpus all with NVIDIA_DRIVER_CAPABILITIES=compute,utility)"
    " and mount the host's .icd files and the libraries they name; where only NVIDIA's .icd file is missing:"
    " echo libnvidia-opencl.so.1 > /etc/OpenCL/vendors/nvidia.icd",
};

static json_t *take_string(char *text)
{
    json_t *value = describe_string(text);
    free(text);
    return value;
}

/* ---- a device ---- */

static const char *name_type(cl_device_type type)
{
    return type & CL_DEVICE_TYPE_GPU           ? "GPU"
           : type & CL_DEVICE_TYPE_CPU         ? "CPU"
           : type & CL_DEVICE_TYPE_ACCELERATOR ? "accelerator"
                                               : "other";
}

static json_t *read_uint(cl_device_id device, cl_device_info name)
{
    cl_uint value = 0;
    if (clGetDeviceInfo(device, name, sizeof value, &value, NULL) != CL_SUCCESS)
        return json_null();
    return json_integer(value);
}

static json_t *read_ulong(cl_device_id device, cl_device_info name)
{
    cl_ulong value = 0;
    if (clGetDeviceInfo(device, name, sizeof value, &value, NULL) != CL_SUCCESS)
        return json_null();
    return json_integer((json_int_t)value);
}

static json_t *read_size(cl_device_id device, cl_device_info name)
{
    size_t value = 0;
    if (clGetDeviceInfo(device, name, sizeof value, &value, NULL) != CL_SUCCESS)
        return json_null();
    return json_integer((json_int_t)value);
}

static json_t *read_out_of_order(cl_device_id device)
{
    cl_command_queue_properties value = 0;
    if (clGetDeviceInfo(device, CL_DEVICE_QUEUE_PROPERTIES, sizeof value, &value, NULL) != CL_SUCCESS)
        return json_null();
    return json_boolean((value & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE) != 0);
}

/* What the library will use of the device, or {"error": ...}: one bad driver must not hide the other devices. */
static json_t *describe_use(cl_device_id device)
{
    json_t *use = NULL;
    fault f = {0};
    cldeform_context *context = NULL;
    cl_int error = CL_SUCCESS;
    cl_context opencl = clCreateContext(NULL, 1, &device, NULL, NULL, &error);
    if (error != CL_SUCCESS)
        fault_set(&f, EXIT_DEVICE, "clCreateContext failed: %s (%d)", device_error_name(error), (int)error);
    else if (cldeform_context_create(opencl, device, NULL, &context) != CLDEFORM_OK)
        fault_set(&f, EXIT_DEVICE, "%s", cldeform_last_error());
    else
        describe_context(context, &use, &f);
    cldeform_context_destroy(context);
    if (opencl)
        clReleaseContext(opencl);
    return use ? use : json_pack("{s:o}", "error", describe_string(f.text));
}

static json_t *describe_device(const device_entry *d)
{
    json_t *device = json_object();
    json_object_set_new(device, "index", json_string(d->index));
    json_object_set_new(device, "name", describe_string(d->name));
    json_object_set_new(device, "vendor", take_string(device_info(d->id, CL_DEVICE_VENDOR)));
    json_object_set_new(device, "type", json_string(name_type(d->type)));
    json_object_set_new(device, "available", json_boolean(d->available));
    json_object_set_new(device, "driver", take_string(device_info(d->id, CL_DRIVER_VERSION)));
    json_object_set_new(device, "version", take_string(device_info(d->id, CL_DEVICE_VERSION)));
    json_object_set_new(device, "opencl_c", take_string(device_info(d->id, CL_DEVICE_OPENCL_C_VERSION)));
    json_object_set_new(device, "compute_units", read_uint(d->id, CL_DEVICE_MAX_COMPUTE_UNITS));
    json_object_set_new(device, "memory_bytes", read_ulong(d->id, CL_DEVICE_GLOBAL_MEM_SIZE));
    json_object_set_new(device, "max_allocation_bytes", read_ulong(d->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE));
    json_object_set_new(device, "local_memory_bytes", read_ulong(d->id, CL_DEVICE_LOCAL_MEM_SIZE));
    json_object_set_new(device, "max_work_group", read_size(d->id, CL_DEVICE_MAX_WORK_GROUP_SIZE));
    json_object_set_new(device, "fp16", json_boolean(device_has_extension(d->id, "cl_khr_fp16")));
    json_object_set_new(device, "fp64", json_boolean(device_has_extension(d->id, "cl_khr_fp64")));
    json_object_set_new(device, "out_of_order_queues", read_out_of_order(d->id));
    json_object_set_new(device, "library", describe_use(d->id));
    return device;
}

/* ---- all of them ---- */

static json_t *describe_platform(const device_list *list, size_t index)
{
    const device_platform *p = &list->platforms[index];
    json_t *platform = json_object(), *devices = json_array();
    json_object_set_new(platform, "name", describe_string(p->name));
    json_object_set_new(platform, "version", take_string(device_platform_info(p->id, CL_PLATFORM_VERSION)));
    json_object_set_new(platform, "vendor", take_string(device_platform_info(p->id, CL_PLATFORM_VENDOR)));
    if (p->error != CL_SUCCESS)
        json_object_set_new(platform, "error",
                            json_sprintf("clGetDeviceIDs failed: %s (%d)", device_error_name(p->error), (int)p->error));
    for (size_t i = 0; i < list->n_devices; i++)
        if (list->devices[i].platform == index)
            json_array_append_new(devices, describe_device(&list->devices[i]));
    if (json_array_size(devices) == 0 && strcmp(p->name, "rusticl") == 0 && !getenv("RUSTICL_ENABLE"))
        json_object_set_new(platform, "hint",
                            json_string("RUSTICL_ENABLE is not set, which names the drivers it may use"));
    json_object_set_new(platform, "devices", devices);
    return platform;
}

static json_t *list_advice(void)
{
    json_t *lines = json_array();
    for (size_t i = 0; i < sizeof advice / sizeof *advice; i++)
        json_array_append_new(lines, json_string(advice[i]));
    return lines;
}

static void describe_default(const device_list *list, json_t *facts)
{
    const device_entry *device = NULL;
    const char *reason = NULL;
    fault f = {0};
    int found = device_choose(list, NULL, &device, &reason, &f) == EXIT_FINE;
    json_object_set_new(facts, "default_device", found ? json_string(device->index) : json_null());
    json_object_set_new(facts, "default_reason",
                        list->n_devices == 0 ? json_null() : describe_string(found ? reason : f.text));
}

int info_collect(json_t **out, fault *f)
{
    device_list list = {0};
    json_t *facts = NULL, *platforms = json_array();
    int status = device_list_all(&list, f);
    if (status != EXIT_FINE)
        goto done;
    facts = json_object();
    int version = cldeform_version();
    json_object_set_new(facts, "version",
                        json_sprintf("%d.%d.%d", version / 10000, version / 100 % 100, version % 100));
    json_object_set_new(facts, "loader", info_loader());
    json_object_set_new(facts, "icd_search", info_icd_search());
    json_object_set_new(facts, "icd_files", info_icd_files());
    for (size_t i = 0; i < list.n_platforms; i++)
        json_array_append_new(platforms, describe_platform(&list, i));
    json_object_set(facts, "platforms", platforms);
    describe_default(&list, facts);
    if (list.n_devices == 0)
        json_object_set_new(facts, "advice", list_advice());
    *out = facts;
done:
    json_decref(platforms);
    device_list_free(&list);
    return status;
}
