/* One call of the public API as a chain of commands: each waits for the one before, the first for the caller's events,
 * and the caller's event completes with the last. Right on in-order and out-of-order queues. */
#ifndef CLDEFORM_LAUNCH_H
#define CLDEFORM_LAUNCH_H

#include "context.h"
#include "program.h"

typedef struct cldeform__call {
    cldeform_context *context;
    cl_command_queue queue;
    const char *operation; /* "conv2d_forward" */
    uint64_t number;
    bool out_of_order, profiling, keep_events, started;
    cl_uint n_wait; /* the caller's, for the first command */
    const cl_event *wait;
    cl_event last;        /* of the newest command; NULL: none, or nobody needs it */
    cldeform__lane *lane; /* for CLBlast on out-of-order queues; NULL: not needed so far */
    bool last_in_lane;    /* `last` is a command of the lane, not of the caller's queue */
    cl_mem scratch;       /* memory whose first bytes mean nothing when the call ends; NULL: none */
} cldeform__call;

/* Checks queue and wait list; enqueues nothing. wants_event: the caller passes `done`. */
cldeform_status cldeform__call_begin(cldeform__call *call, cldeform_context *context, cl_command_queue queue,
                                     const char *operation, cl_uint n_wait, const cl_event *wait, bool wants_event);

/* Ends the chain, after a failure too: whoever finishes the queue has then waited for all that was enqueued. *done (may
 * be NULL) becomes its event, or NULL if status, which is returned unless ending fails, is a failure. */
cldeform_status cldeform__call_end(cldeform__call *call, cldeform_status status, cl_event *done);

/* Names the call's `scratch`, and keeps it until the call ends. */
cldeform_status cldeform__call_use_scratch(cldeform__call *call, cl_mem scratch);

typedef struct cldeform__argument {
    size_t size;
    const void *value;
} cldeform__argument;
#define ARGUMENT(variable)                                                                                             \
    {                                                                                                                  \
        sizeof(variable), &(variable)                                                                                  \
    }

/* Arguments of a launch that differ from problem to problem, one after the other. */
typedef struct cldeform__argument_list {
    cldeform__argument arguments[32];
    cl_uint n;
} cldeform__argument_list;
#define ADD_ARGUMENT(list, variable) (list)->arguments[(list)->n++] = (cldeform__argument)ARGUMENT(variable)

typedef struct cldeform__launch {
    const char *step; /* "im2col" */
    cldeform__kernel *kernel;
    const cldeform__argument *arguments;
    cl_uint n_arguments;
    size_t items[3]; /* work-items wanted; the kernel guards dimension 0, which is rounded up to whole work-groups */
    size_t group;    /* work-items of a group, in dimension 0; lowered to what device and kernel allow */
    double flop, bytes;
} cldeform__launch;

/* Work-groups that every device launches in the second and third dimension (CUDA's limit; others have more). */
enum { CLDEFORM__MOST_GROUPS = 65535 };

cldeform_status cldeform__call_launch(cldeform__call *call, const cldeform__launch *launch);

/* For steps that others enqueue: what their first command must wait for, and what they enqueued. */
void cldeform__call_waits(const cldeform__call *call, cl_uint *n, const cl_event **events);
void cldeform__call_advance(cldeform__call *call, cl_event event, bool in_lane); /* takes the event over */
void cldeform__call_trace(const cldeform__call *call, const char *step, cl_event first, cl_event last, double flop,
                          double bytes);

#endif
