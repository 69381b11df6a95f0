/* Events of the device of a program's tests. */
#ifndef TEST_EVENTS_H
#define TEST_EVENTS_H

#include "device.h"

cl_event test_user_event(void);
bool test_is_complete(cl_event event);
/* Long enough for a small convolution to have run if nothing held it back. */
void test_pause(void);
/* Waits for an event for at most some seconds, so that a dead lock is a failure and not a hang. */
void test_wait_for(cl_event event);

#endif
