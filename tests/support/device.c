#define _POSIX_C_SOURCE 200809L
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cl_command_queue test_queue_create(const test_device *device, cl_command_queue_properties properties)
{
    cl_command_queue_properties supported = 0;
    cl_int error = CL_SUCCESS;
    assert_cl(clGetDeviceInfo(device->id, CL_DEVICE_QUEUE_PROPERTIES, sizeof supported, &supported, NULL));
    if (properties & ~supported)
        return NULL;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    cl_command_queue queue = clCreateCommandQueue(device->cl, device->id, properties, &error);
#pragma GCC diagnostic pop
    return error == CL_SUCCESS ? queue : NULL;
}

void test_device_open(test_device *device)
{
    cl_platform_id platforms[16];
    cl_uint n = 0;
    cl_int error = CL_SUCCESS;
    cl_device_fp_config double_config = 0;
    char extensions[16384] = "";
    memset(device, 0, sizeof *device);
    if (clGetPlatformIDs(16, platforms, &n) != CL_SUCCESS)
        n = 0;
    for (cl_uint i = 0; i < n && i < 16 && !device->id; i++)
        if (clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, 1, &device->id, NULL) != CL_SUCCESS)
            device->id = NULL;
    if (!device->id) {
        printf("no OpenCL device: skipped\n");
        exit(77);
    }
    device->cl = clCreateContext(NULL, 1, &device->id, NULL, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    assert_cl(clGetDeviceInfo(device->id, CL_DEVICE_NAME, sizeof device->name, device->name, NULL));
    assert_cl(clGetDeviceInfo(device->id, CL_DEVICE_EXTENSIONS, sizeof extensions, extensions, NULL));
    clGetDeviceInfo(device->id, CL_DEVICE_DOUBLE_FP_CONFIG, sizeof double_config, &double_config, NULL);
    device->fp64 = double_config != 0 && strstr(extensions, "cl_khr_fp64");
    device->queue = test_queue_create(device, 0);
    assert_non_null(device->queue);
    device->out_of_order = test_queue_create(device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
    cldeform_context_options options = CLDEFORM_INIT(cldeform_context_options);
    options.ignore_environment = 1;
    options.cache_dir = "";
    assert_ok(cldeform_context_create(device->cl, device->id, &options, &device->context));
}

cldeform_context *test_tuned_context(const test_device *device, const char *lines)
{
    char path[] = "/tmp/cldeform_tuning_XXXXXX";
    const int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    FILE *file = fdopen(descriptor, "w");
    assert_non_null(file);
    assert_true(fputs(lines, file) >= 0);
    assert_int_equal(fclose(file), 0);
    cldeform_context_options options = CLDEFORM_INIT(cldeform_context_options);
    cldeform_context *context = NULL;
    options.ignore_environment = 1;
    options.cache_dir = "";
    options.tuning_file = path;
    assert_ok(cldeform_context_create(device->cl, device->id, &options, &context));
    remove(path);
    return context;
}

void test_device_close(test_device *device)
{
    cldeform_context_destroy(device->context);
    if (device->out_of_order)
        clReleaseCommandQueue(device->out_of_order);
    if (device->queue)
        clReleaseCommandQueue(device->queue);
    if (device->cl)
        clReleaseContext(device->cl);
    memset(device, 0, sizeof *device);
}

void test_assert_status(cldeform_status found, cldeform_status wanted, const char *part, const char *call,
                        const char *file, int line)
{
    if (found != wanted) {
        print_error("%s\n  is %s, must be %s: %s\n", call, cldeform_status_name(found), cldeform_status_name(wanted),
                    cldeform_last_error());
        _fail(file, line);
    }
    if (part && !strstr(cldeform_last_error(), part)) {
        print_error("%s\n  its text must hold \"%s\": %s\n", call, part, cldeform_last_error());
        _fail(file, line);
    }
}
