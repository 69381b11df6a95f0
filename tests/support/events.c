#define _POSIX_C_SOURCE 200809L
#include "events.h"

#include <time.h>

cl_event test_user_event(void)
{
    cl_int error = CL_SUCCESS;
    cl_event event = clCreateUserEvent(device.cl, &error);
    assert_int_equal(error, CL_SUCCESS);
    return event;
}

bool test_is_complete(cl_event event)
{
    cl_int state = CL_QUEUED;
    assert_cl(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL));
    return state == CL_COMPLETE;
}

void test_pause(void)
{
    const struct timespec time = {0, 150 * 1000 * 1000};
    nanosleep(&time, NULL);
}

void test_wait_for(cl_event event)
{
    for (int i = 0; i < 3000 && !test_is_complete(event); i++) {
        const struct timespec time = {0, 10 * 1000 * 1000};
        nanosleep(&time, NULL);
    }
    if (!test_is_complete(event))
        fail_msg("an event does not complete");
}
