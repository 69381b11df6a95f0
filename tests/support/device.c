#define _POSIX_C_SOURCE 200809L
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

test_device device;

int test_open_device(void **state)
{
    (void)state;
    test_device_open(&device);
    return 0;
}

int test_close_device(void **state)
{
    (void)state;
    test_device_close(&device);
    return 0;
}

static test_extent read_extent(void)
{
    const char *text = getenv("CLDEFORM_TEST_EXTENT");
    return text && strcmp(text, "part") == 0 ? TEST_PART : text && strcmp(text, "all") == 0 ? TEST_ALL : TEST_USUAL;
}

cl_command_queue test_queue_create(const test_device *on, cl_command_queue_properties properties)
{
    cl_command_queue_properties supported = 0;
    cl_int error = CL_SUCCESS;
    assert_cl(clGetDeviceInfo(on->id, CL_DEVICE_QUEUE_PROPERTIES, sizeof supported, &supported, NULL));
    if (properties & ~supported)
        return NULL;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    cl_command_queue queue = clCreateCommandQueue(on->cl, on->id, properties, &error);
#pragma GCC diagnostic pop
    return error == CL_SUCCESS ? queue : NULL;
}

/* NULL: there is none. */
static cl_device_id find_device(void)
{
    cl_platform_id platforms[16];
    cl_device_id devices[64] = {NULL};
    cl_uint n = 0, n_devices = 0;
    unsigned platform = 0, number = 0;
    const char *chosen = getenv("CLDEFORM_TEST_DEVICE");
    if (clGetPlatformIDs(16, platforms, &n) != CL_SUCCESS)
        n = 0;
    if (chosen && *chosen) {
        if (sscanf(chosen, "%u:%u", &platform, &number) != 2 || platform >= n || number >= 64 ||
            clGetDeviceIDs(platforms[platform], CL_DEVICE_TYPE_ALL, 64, devices, &n_devices) != CL_SUCCESS ||
            number >= n_devices) {
            printf("CLDEFORM_TEST_DEVICE is \"%s\", which is no platform:device by index\n", chosen);
            exit(1);
        }
        return devices[number];
    }
    for (cl_uint i = 0; i < n && i < 16; i++)
        if (clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, 1, devices, NULL) == CL_SUCCESS)
            return devices[0];
    return NULL;
}

cldeform_context_options test_context_options(void)
{
    cldeform_context_options options = CLDEFORM_INIT(cldeform_context_options);
    options.cache_dir = "";
    return options;
}

void test_device_open(test_device *on)
{
    cl_int error = CL_SUCCESS;
    cl_device_fp_config double_config = 0;
    char extensions[16384] = "";
    memset(on, 0, sizeof *on);
    unsetenv("CLDEFORM_TUNING_FILE");
    unsetenv("CLDEFORM_KERNEL_DIR");
    on->extent = read_extent();
    on->id = find_device();
    if (!on->id) {
        printf("no OpenCL device: skipped\n");
        exit(77);
    }
    on->cl = clCreateContext(NULL, 1, &on->id, NULL, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    assert_cl(clGetDeviceInfo(on->id, CL_DEVICE_NAME, sizeof on->name, on->name, NULL));
    assert_cl(clGetDeviceInfo(on->id, CL_DEVICE_EXTENSIONS, sizeof extensions, extensions, NULL));
    clGetDeviceInfo(on->id, CL_DEVICE_DOUBLE_FP_CONFIG, sizeof double_config, &double_config, NULL);
    on->fp64 = double_config != 0 && strstr(extensions, "cl_khr_fp64");
    on->queue = test_queue_create(on, 0);
    assert_non_null(on->queue);
    on->out_of_order = test_queue_create(on, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
    cldeform_context_options options = test_context_options();
    assert_ok(cldeform_context_create(on->cl, on->id, &options, &on->context));
}

cl_mem test_buffer_create(size_t bytes, const void *from)
{
    cl_int error = CL_SUCCESS;
    cl_mem buffer =
        clCreateBuffer(device.cl, CL_MEM_READ_WRITE | (from ? CL_MEM_COPY_HOST_PTR : 0), bytes, (void *)from, &error);
    assert_int_equal(error, CL_SUCCESS);
    return buffer;
}

bool test_is_cpu(const test_device *on)
{
    cl_device_type type = 0;
    assert_cl(clGetDeviceInfo(on->id, CL_DEVICE_TYPE, sizeof type, &type, NULL));
    return type & CL_DEVICE_TYPE_CPU;
}

bool test_compiles_slowly(const test_device *on)
{
    return strstr(on->name, "llvmpipe") != NULL;
}

void test_put_temporary(const char *text, char path[TEST_PATH])
{
    snprintf(path, TEST_PATH, "/tmp/cldeform_test_XXXXXX");
    const int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    FILE *file = fdopen(descriptor, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

cldeform_context *test_tuned_context(const test_device *on, const char *lines)
{
    char path[TEST_PATH];
    test_put_temporary(lines, path);
    cldeform_context_options options = test_context_options();
    cldeform_context *context = NULL;
    options.tuning_file = path;
    assert_ok(cldeform_context_create(on->cl, on->id, &options, &context));
    remove(path);
    return context;
}

void test_device_close(test_device *on)
{
    cldeform_context_destroy(on->context);
    if (on->out_of_order)
        clReleaseCommandQueue(on->out_of_order);
    if (on->queue)
        clReleaseCommandQueue(on->queue);
    if (on->cl)
        clReleaseContext(on->cl);
    memset(on, 0, sizeof *on);
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
