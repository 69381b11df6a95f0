/* tool_device.h: what the tests of the command line tool need to know of the device that it takes. */
#ifndef TESTS_TOOL_DEVICE_H
#define TESTS_TOOL_DEVICE_H

#include <jansson.h>

/* For main: 77, what ctest counts as skipped, where there is no device; else 0. */
int tool_check_device(void);

/* "info --json" of the device that the tool takes by default; a new reference. NULL: there is none. */
json_t *tool_find_device(void);

int tool_has_fp64(void);

/* The value of the last run's plan: of its line `number`, whose key must be `key`. */
void tool_get_plan_value(int number, const char *key, char value[256]);

#endif
