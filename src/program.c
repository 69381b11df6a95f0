#include "program.h"
#include "disk_cache.h"
#include "kernel_sources.h"

#include <stdlib.h>
#include <string.h>

/* The family's text: built in, or a file of the kernel directory, which the caller frees as *loaded. NULL, and the
 * error text set, if there is none. */
static const char *find_source(const cldeform_context *context, const char *family, char **loaded)
{
    if (context->kernel_dir) {
        cldeform__text path = {0};
        size_t size = 0;
        cldeform__text_add(&path, "%s/%s.cl", context->kernel_dir, family);
        *loaded = path.failed ? NULL : cldeform__read_file(path.data, 1 << 24, &size);
        cldeform__text_free(&path);
        if (!*loaded)
            cldeform__fail(CLDEFORM_BUILD_FAILED, "CLDEFORM_KERNEL_DIR is \"%s\", which has no readable %s.cl",
                           context->kernel_dir, family);
        return *loaded;
    }
    for (const cldeform__kernel_source *row = cldeform__kernel_sources; row->name; row++)
        if (strcmp(row->name, family) == 0)
            return row->text;
    cldeform__fail(CLDEFORM_BUILD_FAILED, "the library holds no kernel family \"%s\"", family);
    return NULL;
}

/* All that a binary depends on. */
static void make_key(const cldeform_context *context, const cldeform__program *program, const char *source,
                     cldeform__text *key)
{
    const cldeform__facts *facts = &context->facts;
    const size_t length = strlen(source);
    cldeform__text_add(key,
                       "cldeform %d\nplatform %s %s\ndevice %s %s %s %u bits\ndriver %s\nfamily %s\noptions %s %s\n"
                       "source %zu %016llx %016llx\n",
                       cldeform_version(), facts->platform, facts->platform_version, facts->vendor, facts->name,
                       facts->version, facts->address_bits, facts->driver, program->family, program->options,
                       context->build_options ? context->build_options : "", length,
                       (unsigned long long)cldeform__hash(5, source, length),
                       (unsigned long long)cldeform__hash(6, source, length));
}

static cldeform_status build_failed(const cldeform_context *context, const cldeform__program *program, cl_int error)
{
    size_t length = 0;
    char *log = NULL;
    const char *end = "";
    if (clGetProgramBuildInfo(program->program, context->device, CL_PROGRAM_BUILD_LOG, 0, NULL, &length) ==
            CL_SUCCESS &&
        (log = calloc(length + 1, 1)) != NULL &&
        clGetProgramBuildInfo(program->program, context->device, CL_PROGRAM_BUILD_LOG, length, log, NULL) ==
            CL_SUCCESS) {
        length = strlen(log);
        end = length > 3000 ? log + length - 3000 : log;
    }
    cldeform__fail(CLDEFORM_BUILD_FAILED, "kernels %s.cl with options \"%s%s%s\" did not compile: %s (%d)\n%s",
                   program->family, program->options, context->build_options ? " " : "",
                   context->build_options ? context->build_options : "", cldeform__cl_error_name(error), (int)error,
                   end);
    cldeform__set_cl_error(error);
    free(log);
    return CLDEFORM_BUILD_FAILED;
}

static cldeform_status compile(cldeform_context *context, cldeform__program *program, const char *source)
{
    cl_int error = CL_SUCCESS;
    cldeform__text options = {0};
    program->program = clCreateProgramWithSource(context->cl, 1, &source, NULL, &error);
    if (error != CL_SUCCESS)
        return cldeform__fail_cl(error, "clCreateProgramWithSource(%s.cl)", program->family);
    if (!strstr(program->options, "-cl-std="))
        cldeform__text_add(&options, "-cl-std=CL1.2 ");
    cldeform__text_add(&options, "%s", program->options);
    if (context->build_options)
        cldeform__text_add(&options, " %s", context->build_options);
    if (context->kernel_dir) /* not quoted: PoCL takes quotes for a part of the path */
        cldeform__text_add(&options, " -I %s", context->kernel_dir);
    error = options.failed ? CL_OUT_OF_HOST_MEMORY
                           : clBuildProgram(program->program, 1, &context->device, options.data, NULL, NULL);
    cldeform__text_free(&options);
    return error == CL_SUCCESS ? CLDEFORM_OK : build_failed(context, program, error);
}

/* From a binary that the disk cache has verified; anything that goes wrong means compiling. */
static bool load(cldeform_context *context, cldeform__program *program, const char *key)
{
    size_t size = 0;
    cl_int error = CL_SUCCESS, status = CL_SUCCESS;
    unsigned char *binary = context->cache_dir ? cldeform__disk_cache_load(context->cache_dir, key, &size) : NULL;
    if (!binary)
        return false;
    const unsigned char *bytes = binary;
    program->program = clCreateProgramWithBinary(context->cl, 1, &context->device, &size, &bytes, &status, &error);
    free(binary);
    if (error != CL_SUCCESS)
        program->program = NULL;
    if (error == CL_SUCCESS)
        error = status;
    if (error == CL_SUCCESS)
        error = clBuildProgram(program->program, 1, &context->device, NULL, NULL, NULL);
    if (error == CL_SUCCESS)
        return true;
    if (program->program)
        clReleaseProgram(program->program);
    program->program = NULL;
    return false;
}

/* After the kernels exist: some drivers compile only then. Failing costs time, not results. */
static void save(const cldeform_context *context, const cldeform__program *program, const char *key)
{
    cl_uint devices = 0;
    if (clGetProgramInfo(program->program, CL_PROGRAM_NUM_DEVICES, sizeof devices, &devices, NULL) != CL_SUCCESS ||
        devices == 0)
        return;
    cl_device_id *ids = calloc(devices, sizeof *ids);
    size_t *sizes = calloc(devices, sizeof *sizes);
    unsigned char **binaries = calloc(devices, sizeof *binaries);
    unsigned char *binary = NULL;
    size_t size = 0;
    if (!ids || !sizes || !binaries)
        goto done;
    /* a program belongs to all devices of the cl_context: entries left NULL are skipped */
    if (clGetProgramInfo(program->program, CL_PROGRAM_DEVICES, devices * sizeof *ids, ids, NULL) != CL_SUCCESS ||
        clGetProgramInfo(program->program, CL_PROGRAM_BINARY_SIZES, devices * sizeof *sizes, sizes, NULL) != CL_SUCCESS)
        goto done;
    for (cl_uint i = 0; i < devices; i++) {
        if (ids[i] == context->device && sizes[i] > 0) {
            size = sizes[i];
            binary = binaries[i] = malloc(size);
        }
    }
    if (binary && clGetProgramInfo(program->program, CL_PROGRAM_BINARIES, devices * sizeof *binaries, binaries, NULL) ==
                      CL_SUCCESS)
        cldeform__disk_cache_store(context->cache_dir, key, binary, size);
done:
    free(binary);
    free(binaries);
    free(sizes);
    free(ids);
}

static cldeform_status create_kernels(const cldeform_context *context, cldeform__program *program)
{
    cldeform_status status = CLDEFORM_OK;
    cl_kernel *kernels = NULL;
    cl_uint n = 0;
    cl_int error = clCreateKernelsInProgram(program->program, 0, NULL, &n);
    if (error != CL_SUCCESS)
        return cldeform__fail_cl(error, "clCreateKernelsInProgram(%s.cl)", program->family);
    kernels = calloc(n + 1, sizeof(cl_kernel));
    program->kernels = calloc(n + 1, sizeof *program->kernels);
    if (!kernels || !program->kernels) {
        status = cldeform__fail(CLDEFORM_OUT_OF_MEMORY, "no memory for the kernels of %s.cl", program->family);
        goto done;
    }
    error = clCreateKernelsInProgram(program->program, n, kernels, NULL);
    if (error != CL_SUCCESS) {
        status = cldeform__fail_cl(error, "clCreateKernelsInProgram(%s.cl)", program->family);
        goto done;
    }
    program->n_kernels = n;
    for (cl_uint i = 0; i < n; i++) {
        cldeform__kernel *kernel = &program->kernels[i];
        kernel->kernel = kernels[i];
        cldeform__mutex_init(&kernel->mutex);
        error = clGetKernelInfo(kernels[i], CL_KERNEL_FUNCTION_NAME, sizeof kernel->name, kernel->name, NULL);
        if (error == CL_SUCCESS)
            error = clGetKernelWorkGroupInfo(kernels[i], context->device, CL_KERNEL_WORK_GROUP_SIZE,
                                             sizeof kernel->max_group, &kernel->max_group, NULL);
        if (error != CL_SUCCESS && status == CLDEFORM_OK)
            status = cldeform__fail_cl(error, "kernel %u of %s.cl", i, program->family);
    }
done:
    free(kernels);
    return status;
}

static void release_build(cldeform__program *program)
{
    for (cl_uint i = 0; i < program->n_kernels; i++) {
        clReleaseKernel(program->kernels[i].kernel);
        cldeform__mutex_destroy(&program->kernels[i].mutex);
    }
    free(program->kernels);
    program->kernels = NULL;
    program->n_kernels = 0;
    if (program->program)
        clReleaseProgram(program->program);
    program->program = NULL;
}

static cldeform_status build(cldeform_context *context, cldeform__program *program)
{
    cldeform_status status = CLDEFORM_BUILD_FAILED;
    char *from_file = NULL;
    cldeform__text key = {0};
    bool from_disk = false;
    const char *source = find_source(context, program->family, &from_file);
    if (!source)
        goto done;
    make_key(context, program, source, &key);
    from_disk = !key.failed && load(context, program, key.data) && create_kernels(context, program) == CLDEFORM_OK;
    if (!from_disk) {
        release_build(program);
        TRY(compile(context, program, source));
        TRY(create_kernels(context, program));
    }
    status = CLDEFORM_OK;
    if (!from_disk && context->cache_dir && !key.failed)
        save(context, program, key.data);
    cldeform__mutex_lock(&context->mutex);
    if (from_disk)
        context->loaded++;
    else
        context->compiled++;
    cldeform__mutex_unlock(&context->mutex);
done:
    if (status != CLDEFORM_OK)
        release_build(program);
    cldeform__text_free(&key);
    free(from_file);
    return status;
}

/* The table's entry, added if it is not there; NULL without memory. */
static cldeform__program *find_entry(cldeform_context *context, const char *family, const char *options)
{
    cldeform__program *entry;
    cldeform__mutex_lock(&context->mutex);
    for (entry = context->programs; entry; entry = entry->next)
        if (strcmp(entry->family, family) == 0 && strcmp(entry->options, options) == 0)
            break;
    if (!entry && (entry = calloc(1, sizeof *entry)) != NULL) {
        const size_t size = strlen(options) + 1;
        entry->family = family;
        entry->options = malloc(size);
        if (entry->options) {
            memcpy(entry->options, options, size);
            cldeform__mutex_init(&entry->mutex);
            entry->next = context->programs;
            context->programs = entry;
        } else {
            free(entry);
            entry = NULL;
        }
    }
    cldeform__mutex_unlock(&context->mutex);
    return entry;
}

cldeform_status cldeform__program_get(cldeform_context *context, const char *family, const char *options,
                                      cldeform__program **program)
{
    cldeform_status status = CLDEFORM_OK;
    cldeform__program *entry = find_entry(context, family, options);
    if (!entry)
        return cldeform__fail(CLDEFORM_OUT_OF_MEMORY, "no memory for the program %s.cl", family);
    /* one thread compiles, others that want the same program wait for it; different programs compile side by side */
    cldeform__mutex_lock(&entry->mutex);
    if (!entry->built) {
        status = build(context, entry);
        entry->built = status == CLDEFORM_OK;
    }
    cldeform__mutex_unlock(&entry->mutex);
    *program = entry;
    return status;
}

cldeform__kernel *cldeform__program_kernel(const cldeform__program *program, const char *name)
{
    for (cl_uint i = 0; i < program->n_kernels; i++)
        if (strcmp(program->kernels[i].name, name) == 0)
            return &program->kernels[i];
    return NULL;
}

cldeform_status cldeform__program_require(const cldeform__program *program, const char *name, cldeform__kernel **kernel)
{
    *kernel = cldeform__program_kernel(program, name);
    return *kernel ? CLDEFORM_OK
                   : cldeform__fail(CLDEFORM_BUILD_FAILED, "%s.cl has no kernel %s", program->family, name);
}

void cldeform__programs_release(cldeform__program *program)
{
    while (program) {
        cldeform__program *next = program->next;
        release_build(program);
        cldeform__mutex_destroy(&program->mutex);
        free(program->options);
        free(program);
        program = next;
    }
}
