#include "launch.h"
#include "arguments.h"

#include <string.h>

cldeform_status cldeform__call_begin(cldeform__call *call, cldeform_context *context, cl_command_queue queue,
                                     const char *operation, cl_uint n_wait, const cl_event *wait, bool wants_event)
{
    cldeform_status status;
    cl_command_queue_properties properties = 0;
    memset(call, 0, sizeof *call);
    TRY(cldeform__check_queue(context, queue, &properties));
    TRY(cldeform__check_wait_list(context, n_wait, wait));
    call->context = context;
    call->queue = queue;
    call->operation = operation;
    call->out_of_order = (properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE) != 0;
    call->profiling = (properties & CL_QUEUE_PROFILING_ENABLE) != 0;
    call->keep_events = wants_event || call->out_of_order || context->trace;
    call->n_wait = n_wait;
    call->wait = wait;
    cldeform__mutex_lock(&context->mutex);
    call->number = ++context->calls;
    cldeform__mutex_unlock(&context->mutex);
done:
    return status;
}

cldeform_status cldeform__call_use_scratch(cldeform__call *call, cl_mem scratch)
{
    const cl_int error = clRetainMemObject(scratch);
    if (error != CL_SUCCESS)
        return cldeform__fail_cl(error, "clRetainMemObject");
    if (call->scratch)
        clReleaseMemObject(call->scratch);
    call->scratch = scratch;
    return CLDEFORM_OK;
}

void cldeform__call_waits(const cldeform__call *call, cl_uint *n, const cl_event **events)
{
    if (!call->started) {
        *n = call->n_wait;
        *events = call->wait;
    } else if (call->out_of_order) {
        *n = 1;
        *events = &call->last;
    } else { /* the queue's order is enough */
        *n = 0;
        *events = NULL;
    }
}

void cldeform__call_advance(cldeform__call *call, cl_event event, bool in_lane)
{
    if (call->last)
        clReleaseEvent(call->last);
    call->last = event;
    call->last_in_lane = in_lane;
    call->started = true;
}

void cldeform__call_trace(const cldeform__call *call, const char *step, cl_event first, cl_event last, double flop,
                          double bytes)
{
    if (!call->context->trace)
        return;
    const cldeform_trace_record record = {
        .struct_size = sizeof record,
        .operation = call->operation,
        .step = step,
        .call = call->number,
        .first_event = first,
        .event = last,
        .flop = flop,
        .bytes = bytes,
    };
    call->context->trace(&record, call->context->trace_user);
}

cldeform_status cldeform__call_launch(cldeform__call *call, const cldeform__launch *launch)
{
    cldeform__kernel *kernel = launch->kernel;
    const size_t limits[] = {kernel->max_group, call->context->facts.max_group, call->context->facts.max_items[0]};
    size_t group = launch->group;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        group = group < limits[i] ? group : limits[i];
    const size_t global[3] = {(launch->items[0] + group - 1) / group * group, launch->items[1], launch->items[2]};
    const size_t local[3] = {group, 1, 1};
    cl_uint n_wait;
    const cl_event *wait;
    cl_event event = NULL;
    /* a queue may wait for events of another one only after that one has been flushed */
    cl_int error = call->last_in_lane ? clFlush(call->lane->queue) : CL_SUCCESS;
    if (error != CL_SUCCESS)
        return cldeform__fail_cl(error, "clFlush");
    cldeform__call_waits(call, &n_wait, &wait);

    cldeform__mutex_lock(&kernel->mutex);
    cl_uint set = 0;
    while (set < launch->n_arguments && error == CL_SUCCESS) {
        error = clSetKernelArg(kernel->kernel, set, launch->arguments[set].size, launch->arguments[set].value);
        set++;
    }
    const bool arguments_set = error == CL_SUCCESS;
    if (arguments_set)
        error = clEnqueueNDRangeKernel(call->queue, kernel->kernel, 3, NULL, global, local, n_wait, wait,
                                       call->keep_events ? &event : NULL);
    cldeform__mutex_unlock(&kernel->mutex);

    if (!arguments_set)
        return cldeform__fail_cl(error, "clSetKernelArg(%s, argument %u)", kernel->name, set - 1);
    if (error != CL_SUCCESS)
        return cldeform__fail_cl(error, "clEnqueueNDRangeKernel(%s, %zu x %zu x %zu work-items in groups of %zu)",
                                 kernel->name, global[0], global[1], global[2], group);
    cldeform__call_advance(call, event, false);
    cldeform__call_trace(call, launch->step, event, event, launch->flop, launch->bytes);
    return CLDEFORM_OK;
}

/* Enqueues a command that does nothing of note to an out-of-order queue, after the events. A marker would do by the
 * standard, but that of PoCL 3.1 waits for the whole queue whatever its list says. */
static cl_int enqueue_nothing(cldeform__call *call, cl_uint n_wait, const cl_event *wait, cl_event *event)
{
    const cl_uint zero = 0;
    cl_int error = CL_SUCCESS;
    if (!call->scratch)
        call->scratch = clCreateBuffer(call->context->cl, CL_MEM_READ_WRITE, sizeof zero, NULL, &error);
    if (error != CL_SUCCESS)
        return error;
    return clEnqueueFillBuffer(call->queue, call->scratch, &zero, sizeof zero, 0, sizeof zero, n_wait, wait, event);
}

/* An event for a call that enqueued nothing: complete when the caller's events are. */
static cldeform_status mark_nothing(cldeform__call *call)
{
    cl_int error = CL_SUCCESS;
    if (!call->out_of_order) {
        error = clEnqueueMarkerWithWaitList(call->queue, call->n_wait, call->wait, &call->last);
    } else if (call->n_wait > 0) {
        error = enqueue_nothing(call, call->n_wait, call->wait, &call->last);
    } else {
        call->last = clCreateUserEvent(call->context->cl, &error);
        if (error == CL_SUCCESS)
            error = clSetUserEventStatus(call->last, CL_COMPLETE);
    }
    return error == CL_SUCCESS ? CLDEFORM_OK : cldeform__fail_cl(error, "event of an empty call");
}

/* The caller finishes its own queue: what is in the lane must end there too, also after a failure, when the lane may
 * hold commands that nobody has an event of. */
static cl_int leave_lane(cldeform__call *call, bool failed)
{
    cl_int error = CL_SUCCESS;
    cl_event event = NULL, end = NULL;
    if (failed) { /* in order: a marker is behind all of them */
        if ((error = clEnqueueMarkerWithWaitList(call->lane->queue, 0, NULL, &event)) == CL_SUCCESS)
            cldeform__call_advance(call, event, true);
        else
            clFinish(call->lane->queue); /* no way is left but to wait */
    }
    if (call->last_in_lane) {
        const cl_int flushed = clFlush(call->lane->queue);
        error = error == CL_SUCCESS ? flushed : error;
        if (error == CL_SUCCESS)
            error = enqueue_nothing(call, 1, &call->last, &end);
        if (error == CL_SUCCESS) {
            cldeform__call_advance(call, end, false);
            cldeform__call_trace(call, "join", end, end, 0, 0);
        }
    }
    cldeform__lane_return(call->context, call->lane, call->last);
    call->lane = NULL;
    return error;
}

cldeform_status cldeform__call_end(cldeform__call *call, cldeform_status status, cl_event *done)
{
    if (call->lane) {
        const cl_int error = leave_lane(call, status != CLDEFORM_OK);
        if (error != CL_SUCCESS && status == CLDEFORM_OK)
            status = cldeform__fail_cl(error, "last command of the call");
    }
    if (status == CLDEFORM_OK && done && !call->started)
        status = mark_nothing(call);
    if (done) {
        *done = status == CLDEFORM_OK ? call->last : NULL;
        if (status == CLDEFORM_OK)
            call->last = NULL;
    }
    if (call->last)
        clReleaseEvent(call->last);
    call->last = NULL;
    if (call->scratch)
        clReleaseMemObject(call->scratch);
    call->scratch = NULL;
    return status;
}
