/* probe_device.c: exits with 0 when the first device compiles and runs a kernel that calls fma, with 77 when there is
 * no device at all.
 *
 * Run when the tests are configured: some releases of drivers crash there (rusticl of Mesa 25.2 with llvmpipe) or know
 * no such processor (PoCL 1.8), which says nothing about this library. */
#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>

static const char *const text = "kernel void probe(global float *a)\n"
                                "{\n"
                                "    a[get_global_id(0)] = fma(a[get_global_id(0)], 2.0f, 1.0f);\n"
                                "}\n";

int main(void)
{
    const size_t count = 4;
    float data[4] = {0, 1, 2, 3};
    cl_platform_id platform = NULL;
    cl_device_id device = NULL;
    cl_int error = CL_SUCCESS;
    if (clGetPlatformIDs(1, &platform, NULL) != CL_SUCCESS ||
        clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL) != CL_SUCCESS)
        return 77;

    /* The process ends at once: nothing is released. */
    cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, &error);
    cl_command_queue queue = clCreateCommandQueueWithProperties(context, device, NULL, NULL);
    cl_mem buffer = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, sizeof data, data, NULL);
    cl_program program = clCreateProgramWithSource(context, 1, (const char *[]){text}, NULL, NULL);
    if (clBuildProgram(program, 1, &device, "", NULL, NULL) != CL_SUCCESS)
        return 1;
    cl_kernel kernel = clCreateKernel(program, "probe", NULL);
    if (clSetKernelArg(kernel, 0, sizeof buffer, &buffer) != CL_SUCCESS ||
        clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &count, NULL, 0, NULL, NULL) != CL_SUCCESS ||
        clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, sizeof data, data, 0, NULL, NULL) != CL_SUCCESS)
        return 1;
    return data[0] == 1.0f && data[1] == 3.0f && data[2] == 5.0f && data[3] == 7.0f ? 0 : 1;
}
