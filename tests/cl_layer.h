/* cl_layer.h: what an OpenCL layer (cl_layer.c) saw between a test and the driver, and how to make calls fail.
 *
 * The loader puts the layer in between when OPENCL_LAYERS names it, which cldeform_test(... LAYER) does. It sees the
 * calls of CLBlast too. Every function here may be called from any thread. */
#ifndef CL_LAYER_H
#define CL_LAYER_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 300
#endif
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdlib.h>

typedef enum cl_layer_object {
    CL_LAYER_CONTEXT,
    CL_LAYER_QUEUE,
    CL_LAYER_MEMORY, /* buffers and sub-buffers */
    CL_LAYER_PROGRAM,
    CL_LAYER_KERNEL,
    CL_LAYER_EVENT,
    CL_LAYER_OBJECT_COUNT
} cl_layer_object;

typedef struct cl_layer {
    /* Sets all counts to 0 and forgets fail_nth. References stay: objects outlive it. */
    void (*reset)(void);
    /* Calls of a function ("clCreateBuffer"), failed ones included; -1: the layer does not watch such a function. */
    long (*count)(const char *function);
    long (*enqueues)(void); /* calls of all clEnqueue functions */
    long (*blocking)(void); /* clFinish, clWaitForEvents, and reads, writes and maps that were asked to block */
    /* References that were created or retained and not yet released. */
    long (*references)(cl_layer_object object);
    /* From now on, the nth call (1: the next) of `function`, or of any but the releases when NULL, does nothing and
     * returns `error`. Replaces an earlier request; n = 0 ends it. -1: no such function, or a release. */
    int (*fail_nth)(const char *function, long n, cl_int error);
    /* The function that failed since fail_nth, or NULL when it has not come to that. */
    const char *(*failed)(void);
} cl_layer;

/* NULL: the program does not run under the layer. */
static inline const cl_layer *cl_layer_get(void)
{
    cl_uint platforms = 0;
    const char *path = getenv("OPENCL_LAYERS");
    if (path == NULL)
        return NULL;
    (void)clGetPlatformIDs(0, NULL, &platforms); /* the loader loads its layers at the first call */
    void *module = dlopen(path, RTLD_NOLOAD | RTLD_NOW);
    return module != NULL ? (const cl_layer *)dlsym(module, "cl_layer_functions") : NULL;
}

#endif
