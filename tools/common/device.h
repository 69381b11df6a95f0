/* device.h: which OpenCL devices there are, which one a person means, and a context and queue on it. */
#ifndef TOOLS_DEVICE_H
#define TOOLS_DEVICE_H

#include <stddef.h>

#include "cldeform/cldeform.h"
#include "fault.h"

typedef struct device_platform {
    cl_platform_id id;
    char *name;
    cl_int error; /* of listing its devices; CL_SUCCESS also where it has none */
} device_platform;

typedef struct device_entry {
    cl_device_id id;
    cl_device_type type;
    cl_bool available;
    size_t platform; /* index into the list's platforms */
    char *name;
    char index[48]; /* "platform:device", both counted from 0 in the loader's order */
} device_entry;

typedef struct device_list {
    size_t n_platforms, n_devices;
    device_platform *platforms;
    device_entry *devices;
} device_list;

/* All platforms and devices. None is not a failure, also where the loader has no driver at all
 * (CL_PLATFORM_NOT_FOUND_KHR). All zero before; device_list_free after, also after a failure. */
int device_list_all(device_list *list, fault *f);
void device_list_free(device_list *list);

/* The device that `wanted` means: "platform:device" by index, or any part of a device's or its platform's name without
 * regard to case. NULL: what the environment variable CLDEFORM_DEVICE says, else the first GPU, else the first CPU,
 * else the first device. Faults: EXIT_DEVICE where there is no device at all, EXIT_INPUT where `wanted` fits none or
 * several, which are then listed. *reason (may be NULL) says in static text why it is this one. */
int device_choose(const device_list *list, const char *wanted, const device_entry **chosen, const char **reason,
                  fault *f);

typedef struct device_session {
    device_list list;
    const device_entry *device;
    cl_context context;
    cl_command_queue queue;
} device_session;

/* A context and a queue with the given properties on device_choose's device. All zero before; device_close after, also
 * after a failure. */
int device_open(device_session *session, const char *wanted, cl_command_queue_properties properties, fault *f);
void device_close(device_session *session);

/* "0:0 NAME (PLATFORM)" as malloced text; NULL where memory ran out. */
char *device_text(const device_list *list, const device_entry *device);

/* Strings that OpenCL has, malloced, without the blanks that some drivers put round them; "" for what a driver does not
 * know, NULL where memory ran out. */
char *device_platform_info(cl_platform_id platform, cl_platform_info name);
char *device_info(cl_device_id device, cl_device_info name);

/* Whether the list of extensions has this one: the whole word, not a part of a longer one. */
int device_has_extension(cl_device_id device, const char *extension);

/* "CL_OUT_OF_RESOURCES" for the codes a tool meets, else "unknown code". */
const char *device_error_name(cl_int code);

#endif
