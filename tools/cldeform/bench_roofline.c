/* bench_roofline.c: see bench_roofline.h. */
#include "bench_roofline.h"

#include <stdio.h>
#include <string.h>

/* Twelve sums that do not wait for each other: a multiply-add takes 4 to 6 cycles, and a core starts two in each. */
static const char source[] =
    "#ifdef USES_DOUBLE\n"
    "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n"
    "#endif\n"
    "#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)\n"
    "#define START(i) REAL s##i = (REAL)((SCALAR)(get_global_id(0) + i));\n"
    "#define STEP(i) s##i = fma(s##i, a, b);\n"
    "#define ADD(i) + s##i\n"
    "__kernel void multiply_add(__global REAL *out, SCALAR factor, SCALAR term, int rounds)\n"
    "{\n"
    "    const REAL a = (REAL)(factor), b = (REAL)(term);\n"
    "    EACH(START)\n"
    "    for (int i = 0; i < rounds; i++) {\n"
    "        EACH(STEP)\n"
    "        EACH(STEP)\n"
    "    }\n"
    "    out[get_global_id(0)] = (REAL)((SCALAR)0) EACH(ADD);\n"
    "}\n"
    "__kernel void copy(__global const REAL *from, __global REAL *to)\n"
    "{\n"
    "    to[get_global_id(0)] = from[get_global_id(0)];\n"
    "}\n";

enum { SUMS = 12, STEPS = 2, REPEATS = 5 };

/* A way to keep the device busy. */
typedef struct shape {
    int vector;
    size_t local, groups; /* of work-items; of work-groups per compute unit */
} shape;

/* CPUs want vectors in each work-item, GPUs many work-items. */
static const shape cpu_shapes[] = {{4, 1, 4}, {8, 1, 4}, {16, 1, 4}},
                   gpu_shapes[] = {{1, 128, 32}, {2, 128, 32}, {4, 128, 32}};

typedef struct probe {
    const bench_device *device;
    cl_program program;
    cl_kernel kernel;
    cl_mem buffers[2];
} probe;

static void release(probe *p)
{
    for (int i = 0; i < 2; i++)
        if (p->buffers[i])
            clReleaseMemObject(p->buffers[i]);
    if (p->kernel)
        clReleaseKernel(p->kernel);
    if (p->program)
        clReleaseProgram(p->program);
}

static int build(probe *p, const char *name, const char *scalar, int vector, fault *f)
{
    const char *text = source;
    char options[120], real[20];
    cl_int error = CL_SUCCESS;
    snprintf(real, sizeof real, vector > 1 ? "%s%d" : "%s", scalar, vector);
    snprintf(options, sizeof options, "-D REAL=%s -D SCALAR=%s%s", real, scalar,
             strcmp(scalar, "double") == 0 ? " -D USES_DOUBLE" : "");
    p->program = clCreateProgramWithSource(p->device->session.context, 1, &text, NULL, &error);
    if (error == CL_SUCCESS)
        error = clBuildProgram(p->program, 1, &p->device->session.device->id, options, NULL, NULL);
    if (error == CL_SUCCESS)
        p->kernel = clCreateKernel(p->program, name, &error);
    return error == CL_SUCCESS ? EXIT_FINE : operator_refuse_opencl("clBuildProgram of a roofline probe", error, f);
}

static int create_buffers(probe *p, int count, size_t bytes, fault *f)
{
    const cl_uint zero = 0;
    cl_int error = CL_SUCCESS;
    for (int i = 0; i < count && error == CL_SUCCESS; i++) {
        p->buffers[i] = clCreateBuffer(p->device->session.context, CL_MEM_READ_WRITE, bytes, NULL, &error);
        if (error == CL_SUCCESS) /* pages exist from the first write on */
            error = clEnqueueFillBuffer(p->device->session.queue, p->buffers[i], &zero, sizeof zero, 0, bytes, 0, NULL,
                                        NULL);
    }
    return error == CL_SUCCESS ? EXIT_FINE : operator_refuse_opencl("clCreateBuffer", error, f);
}

/* Milliseconds of a launch by the wall clock. */
static int launch(const probe *p, size_t global, size_t local, double *milliseconds, fault *f)
{
    const cl_command_queue queue = p->device->session.queue;
    const double start = timing_now();
    cl_int error = clEnqueueNDRangeKernel(queue, p->kernel, 1, NULL, &global, local ? &local : NULL, 0, NULL, NULL);
    if (error == CL_SUCCESS)
        error = clFinish(queue);
    *milliseconds = timing_now() - start;
    return error == CL_SUCCESS ? EXIT_FINE : operator_refuse_opencl("a roofline probe", error, f);
}

static int launch_rounds(const probe *p, int is_double, int rounds, const shape *s, size_t items, double *milliseconds,
                         fault *f)
{
    const double numbers[2] = {0.9999, 1e-4};
    cl_int error = clSetKernelArg(p->kernel, 0, sizeof p->buffers[0], &p->buffers[0]);
    for (cl_uint i = 0; i < 2 && error == CL_SUCCESS; i++) {
        const float narrow = (float)numbers[i];
        error = is_double ? clSetKernelArg(p->kernel, 1 + i, sizeof numbers[i], &numbers[i])
                          : clSetKernelArg(p->kernel, 1 + i, sizeof narrow, &narrow);
    }
    if (error == CL_SUCCESS)
        error = clSetKernelArg(p->kernel, 3, sizeof rounds, &rounds);
    return error == CL_SUCCESS ? launch(p, items, s->local, milliseconds, f)
                               : operator_refuse_opencl("clSetKernelArg", error, f);
}

/* The fastest of some launches, each long enough for the clock. */
static int measure_shape(const bench_device *device, int is_double, const shape *s, double *gflops, fault *f)
{
    const double least_ms = 10;
    const int most_rounds = 1 << 26;
    probe p = {.device = device};
    cl_uint units = 1;
    double milliseconds = 0, best = 0;
    int rounds = 1024;
    clGetDeviceInfo(device->session.device->id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
    const size_t items = s->local * s->groups * units;
    int status = build(&p, "multiply_add", is_double ? "double" : "float", s->vector, f);
    if (status == EXIT_FINE)
        status = create_buffers(&p, 1, items * (size_t)s->vector * (is_double ? 8 : 4), f);
    if (status == EXIT_FINE)
        status = launch_rounds(&p, is_double, rounds, s, items, &milliseconds, f); /* compiles */
    while (status == EXIT_FINE) {
        status = launch_rounds(&p, is_double, rounds, s, items, &milliseconds, f);
        if (milliseconds >= least_ms || rounds >= most_rounds)
            break;
        rounds *= 2;
    }
    for (int i = 0; i < REPEATS && status == EXIT_FINE; i++) {
        status = launch_rounds(&p, is_double, rounds, s, items, &milliseconds, f);
        if (best <= 0 || milliseconds < best)
            best = milliseconds;
    }
    if (status == EXIT_FINE) {
        const double flop = 2.0 * SUMS * STEPS * s->vector * (double)items * rounds;
        if (flop / best * 1e-6 > *gflops)
            *gflops = flop / best * 1e-6;
    }
    release(&p);
    return status;
}

static int measure_peak(const bench_device *device, int is_double, double *gflops, fault *f)
{
    const int is_cpu = (device->session.device->type & CL_DEVICE_TYPE_CPU) != 0;
    const shape *shapes = is_cpu ? cpu_shapes : gpu_shapes;
    int status = EXIT_FINE;
    for (int i = 0; i < 3 && status == EXIT_FINE; i++)
        status = measure_shape(device, is_double, &shapes[i], gflops, f);
    return status;
}

/* Far more than caches hold. */
static int measure_copy(const bench_device *device, double *gbs, fault *f)
{
    const int vector = 4;
    const cl_ulong wanted = (cl_ulong)128 << 20;
    probe p = {.device = device};
    cl_ulong most = 0;
    double milliseconds = 0, best = 0;
    clGetDeviceInfo(device->session.device->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof most, &most, NULL);
    const size_t bytes = (size_t)(most / 4 < wanted ? most / 4 / 1024 * 1024 : wanted);
    int status = build(&p, "copy", "float", vector, f);
    if (status == EXIT_FINE)
        status = create_buffers(&p, 2, bytes, f);
    for (cl_uint i = 0; i < 2 && status == EXIT_FINE; i++)
        if (clSetKernelArg(p.kernel, i, sizeof p.buffers[i], &p.buffers[i]) != CL_SUCCESS)
            status = fault_set(f, EXIT_DEVICE, "clSetKernelArg failed");
    for (int i = -1; i < 2 * REPEATS && status == EXIT_FINE; i++) {
        status = launch(&p, bytes / (sizeof(cl_float) * (size_t)vector), 0, &milliseconds, f);
        if (i == 0 || (i > 0 && milliseconds < best))
            best = milliseconds;
    }
    if (status == EXIT_FINE)
        *gbs = 2 * (double)bytes / best * 1e-6;
    release(&p);
    return status;
}

int bench_measure_roofline(const bench_device *device, bench_roofline *r, fault *f)
{
    int status = measure_peak(device, 0, &r->fp32_gflops, f);
    if (status == EXIT_FINE && device_has_extension(device->session.device->id, "cl_khr_fp64"))
        status = measure_peak(device, 1, &r->fp64_gflops, f);
    return status == EXIT_FINE ? measure_copy(device, &r->copy_gbs, f) : status;
}

double bench_bound(const bench_roofline *r, cldeform_dtype dtype, double gflop, double bytes, int *memory)
{
    const double peak = dtype == CLDEFORM_F64 ? r->fp64_gflops : r->fp32_gflops;
    if (!(peak > 0) || !(r->copy_gbs > 0))
        return 0;
    const double compute_ms = gflop / peak * 1e3, memory_ms = bytes / r->copy_gbs * 1e-6;
    *memory = memory_ms > compute_ms;
    return *memory ? memory_ms : compute_ms;
}
