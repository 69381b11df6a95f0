/* One cl_context and one of its devices: facts, options, and what is compiled for it. */
#ifndef CLDEFORM_CONTEXT_H
#define CLDEFORM_CONTEXT_H

#include "os.h"
#include "status.h"
#include "text.h"
#include "tuning.h"

#include <stdbool.h>

typedef struct cldeform__facts {
    char name[256], vendor[256], driver[256], version[256], platform[256], platform_version[256];
    cl_device_type type;
    cl_uint compute_units, address_bits;
    size_t max_group, max_items[3];
    cl_ulong global_memory, max_allocation, local_memory, cache;
    size_t sub_alignment;  /* bytes, of sub-buffers, as the device asks for it */
    size_t base_alignment; /* bytes, of the parts of workspaces: at least CLDEFORM_WORKSPACE_ALIGNMENT */
    int vector_width;      /* floats that its work-items hold in a register: 1, 2, 4, 8 or 16 */
    bool fp64, little_endian;
    size_t loop_limit;  /* iterations after which the device ends a work-item's loops, saying nothing; 0: none known */
    bool driver_caches; /* the driver keeps compiled kernels itself */
    /* what the device says of additions to shared memory; atomics.h proves it */
    bool int64_atomics, nv_extensions;
    bool fp32_atomic_add, fp64_atomic_add; /* by cl_ext_float_atomics, in global memory */
} cldeform__facts;

struct cldeform__program;
struct cldeform__lane;

/* Forms of atomic addition (atomics.h) that have been proved, for float and for double. */
typedef struct cldeform__atomics {
    cldeform__mutex
        mutex; /* held while one is being proved, which takes the context's own: never the other way round */
    bool found[2];
    int form[2];
} cldeform__atomics;

struct cldeform_context {
    cldeform__mutex mutex; /* guards what follows it up to the rule */
    int references;
    struct cldeform__program *programs;
    struct cldeform__lane *lanes;
    uint64_t calls;
    uint64_t compiled, loaded; /* programs from source; from the disk cache */
    cldeform__atomics atomics; /* guarded by its own mutex */
    /* -- constant after creation -- */
    cl_context cl;
    cl_device_id device;
    cldeform__facts facts;
    cldeform__tuning tuning;
    char *cache_dir;     /* NULL: none */
    char *kernel_dir;    /* kernels from files instead of the built-in text; NULL: none */
    char *build_options; /* for the compiler of the library's kernels, behind their own; NULL: none */
    cldeform_trace_function trace;
    void *trace_user;
};

void cldeform__context_retain(cldeform_context *context);
void cldeform__context_release(cldeform_context *context); /* accepts NULL */

/* A command queue of the context's own, in order: for CLBlast, which takes no wait list, when the caller's queue is
 * out of order. A lane serves one call at a time, so that calls wait for nothing of each other: there are as many as
 * calls were in flight at a time. A lane is used again once its last call is complete, or by a call that waits for that
 * one. */
typedef struct cldeform__lane {
    struct cldeform__lane *next;
    cl_command_queue queue;
    bool profiling, busy;
    cl_event last; /* of the call before; NULL: none */
} cldeform__lane;

/* For a call that waits for these events. */
cldeform_status cldeform__lane_take(cldeform_context *context, bool profiling, cl_uint n_wait, const cl_event *wait,
                                    cldeform__lane **lane);
/* last: completes with the call that used the lane, retained here; NULL: nothing is in flight. */
void cldeform__lane_return(cldeform_context *context, cldeform__lane *lane, cl_event last);

/* Device information of a fixed size; a clear failure otherwise. */
cldeform_status cldeform__device_info(cl_device_id device, cl_device_info what, size_t size, void *value,
                                      const char *name);

#endif
