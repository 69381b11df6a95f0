/* device.c: see device.h. */
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS /* clCreateCommandQueue: drivers of OpenCL 1.2 have no other */
#include "device.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef CL_PLATFORM_NOT_FOUND_KHR
#define CL_PLATFORM_NOT_FOUND_KHR (-1001)
#endif

#define NO_DEVICE "no OpenCL device was found; \"cldeform info\" says what was looked for and what to install"

/* ---- strings ---- */

static char *trim(char *text)
{
    size_t length = strlen(text), first = 0;
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    while (first < length && isspace((unsigned char)text[first]))
        first++;
    memmove(text, text + first, length - first);
    text[length - first] = 0;
    return text;
}

char *device_platform_info(cl_platform_id platform, cl_platform_info name)
{
    size_t size = 0;
    if (clGetPlatformInfo(platform, name, 0, NULL, &size) != CL_SUCCESS)
        size = 0;
    char *text = calloc(1, size + 1);
    if (text && size > 0 && clGetPlatformInfo(platform, name, size, text, NULL) != CL_SUCCESS)
        text[0] = 0;
    return text ? trim(text) : NULL;
}

char *device_info(cl_device_id device, cl_device_info name)
{
    size_t size = 0;
    if (clGetDeviceInfo(device, name, 0, NULL, &size) != CL_SUCCESS)
        size = 0;
    char *text = calloc(1, size + 1);
    if (text && size > 0 && clGetDeviceInfo(device, name, size, text, NULL) != CL_SUCCESS)
        text[0] = 0;
    return text ? trim(text) : NULL;
}

int device_has_extension(cl_device_id device, const char *extension)
{
    int found = 0;
    char *list = device_info(device, CL_DEVICE_EXTENSIONS);
    size_t length = strlen(extension);
    for (const char *at = list; at && (at = strstr(at, extension)) != NULL && !found; at += length)
        found = (at == list || at[-1] == ' ') && (at[length] == 0 || at[length] == ' ');
    free(list);
    return found;
}

char *device_text(const device_list *list, const device_entry *device)
{
    const char *platform = list->platforms[device->platform].name;
    size_t size = strlen(device->index) + strlen(device->name) + strlen(platform) + 5;
    char *text = malloc(size);
    if (text)
        snprintf(text, size, "%s %s (%s)", device->index, device->name, platform);
    return text;
}

const char *device_error_name(cl_int code)
{
    static const struct {
        cl_int code;
        const char *name;
    } known[] = {
        {CL_SUCCESS, "CL_SUCCESS"},
        {CL_DEVICE_NOT_FOUND, "CL_DEVICE_NOT_FOUND"},
        {CL_DEVICE_NOT_AVAILABLE, "CL_DEVICE_NOT_AVAILABLE"},
        {CL_MEM_OBJECT_ALLOCATION_FAILURE, "CL_MEM_OBJECT_ALLOCATION_FAILURE"},
        {CL_OUT_OF_RESOURCES, "CL_OUT_OF_RESOURCES"},
        {CL_OUT_OF_HOST_MEMORY, "CL_OUT_OF_HOST_MEMORY"},
        {CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST"},
        {CL_INVALID_VALUE, "CL_INVALID_VALUE"},
        {CL_INVALID_PLATFORM, "CL_INVALID_PLATFORM"},
        {CL_INVALID_DEVICE, "CL_INVALID_DEVICE"},
        {CL_INVALID_CONTEXT, "CL_INVALID_CONTEXT"},
        {CL_INVALID_QUEUE_PROPERTIES, "CL_INVALID_QUEUE_PROPERTIES"},
        {CL_INVALID_COMMAND_QUEUE, "CL_INVALID_COMMAND_QUEUE"},
        {CL_INVALID_MEM_OBJECT, "CL_INVALID_MEM_OBJECT"},
        {CL_INVALID_BUFFER_SIZE, "CL_INVALID_BUFFER_SIZE"},
        {CL_INVALID_OPERATION, "CL_INVALID_OPERATION"},
        {CL_PLATFORM_NOT_FOUND_KHR, "CL_PLATFORM_NOT_FOUND_KHR"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].code == code)
            return known[i].name;
    return "unknown code";
}

/* ---- list ---- */

static int list_devices(device_list *list, size_t platform, fault *f)
{
    device_platform *p = &list->platforms[platform];
    int status = EXIT_FINE;
    cl_device_id *ids = NULL;
    cl_uint count = 0;
    p->error = clGetDeviceIDs(p->id, CL_DEVICE_TYPE_ALL, 0, NULL, &count);
    if (p->error == CL_DEVICE_NOT_FOUND) { /* how a platform says that it has none */
        p->error = CL_SUCCESS;
        count = 0;
    }
    if (p->error != CL_SUCCESS || count == 0)
        return EXIT_FINE; /* a broken driver must not hide the others */
    ids = calloc(count, sizeof(*ids));
    device_entry *devices = realloc(list->devices, (list->n_devices + count) * sizeof *devices);
    if (devices)
        list->devices = devices;
    if (!ids || !devices) {
        status = fault_memory(f);
        goto done;
    }
    p->error = clGetDeviceIDs(p->id, CL_DEVICE_TYPE_ALL, count, ids, NULL);
    for (cl_uint i = 0; i < count && p->error == CL_SUCCESS; i++) {
        device_entry *d = &devices[list->n_devices];
        memset(d, 0, sizeof *d);
        d->id = ids[i];
        d->platform = platform;
        d->name = device_info(d->id, CL_DEVICE_NAME);
        if (!d->name) {
            status = fault_memory(f);
            goto done;
        }
        list->n_devices++;
        (void)clGetDeviceInfo(d->id, CL_DEVICE_TYPE, sizeof d->type, &d->type, NULL);
        (void)clGetDeviceInfo(d->id, CL_DEVICE_AVAILABLE, sizeof d->available, &d->available, NULL);
        snprintf(d->index, sizeof d->index, "%zu:%u", platform, (unsigned)i);
    }
done:
    free(ids);
    return status;
}

int device_list_all(device_list *list, fault *f)
{
    int status = EXIT_FINE;
    cl_platform_id *ids = NULL;
    cl_uint count = 0;
    cl_int error = clGetPlatformIDs(0, NULL, &count);
    if (error == CL_PLATFORM_NOT_FOUND_KHR || (error == CL_SUCCESS && count == 0))
        return EXIT_FINE;
    if (error != CL_SUCCESS)
        return fault_set(f, EXIT_DEVICE, "clGetPlatformIDs failed: %s (%d)", device_error_name(error), (int)error);
    ids = calloc(count, sizeof(*ids));
    list->platforms = calloc(count, sizeof *list->platforms);
    if (!ids || !list->platforms) {
        status = fault_memory(f);
        goto done;
    }
    error = clGetPlatformIDs(count, ids, NULL);
    if (error != CL_SUCCESS) {
        status = fault_set(f, EXIT_DEVICE, "clGetPlatformIDs failed: %s (%d)", device_error_name(error), (int)error);
        goto done;
    }
    for (cl_uint i = 0; i < count && status == EXIT_FINE; i++) {
        list->platforms[i].id = ids[i];
        list->platforms[i].name = device_platform_info(ids[i], CL_PLATFORM_NAME);
        list->n_platforms++;
        status = list->platforms[i].name ? list_devices(list, i, f) : fault_memory(f);
    }
done:
    free(ids);
    return status;
}

void device_list_free(device_list *list)
{
    for (size_t i = 0; i < list->n_devices; i++)
        free(list->devices[i].name);
    for (size_t i = 0; i < list->n_platforms; i++)
        free(list->platforms[i].name);
    free(list->devices);
    free(list->platforms);
    memset(list, 0, sizeof *list);
}

/* ---- choice ---- */

static const device_entry *find_type(const device_list *list, cl_device_type type)
{
    for (size_t i = 0; i < list->n_devices; i++)
        if (list->devices[i].available && (list->devices[i].type & type))
            return &list->devices[i];
    return NULL;
}

static const device_entry *find_default(const device_list *list, const char **reason)
{
    const device_entry *device = NULL;
    if ((device = find_type(list, CL_DEVICE_TYPE_GPU)) != NULL)
        *reason = "the first GPU";
    else if ((device = find_type(list, CL_DEVICE_TYPE_CPU)) != NULL)
        *reason = "the first CPU; there is no GPU";
    else if ((device = find_type(list, CL_DEVICE_TYPE_ALL)) != NULL)
        *reason = "the first device; there is no GPU and no CPU";
    else {
        device = &list->devices[0];
        *reason = "the first device, though it says that it is not available";
    }
    return device;
}

static int contains(const char *text, const char *part)
{
    size_t length = strlen(part);
    for (; *text; text++) {
        size_t i = 0;
        while (i < length && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++; /* stops at the text's end, whose 0 is in no part */
        if (i == length)
            return 1;
    }
    return 0;
}

static int is_index(const char *text)
{
    size_t platform = strspn(text, "0123456789");
    size_t device = text[platform] == ':' ? strspn(text + platform + 1, "0123456789") : 0;
    return platform > 0 && device > 0 && text[platform + 1 + device] == 0;
}

static int fits(const device_list *list, const device_entry *d, const char *wanted)
{
    if (is_index(wanted))
        return strcmp(d->index, wanted) == 0;
    return contains(d->name, wanted) || contains(list->platforms[d->platform].name, wanted);
}

/* "0:0 NAME (PLATFORM), 1:0 ..." of the devices that fit; all of them for wanted NULL. */
static void list_texts(const device_list *list, const char *wanted, char *text, size_t capacity)
{
    size_t length = 0;
    for (size_t i = 0; i < list->n_devices && length < capacity; i++) {
        const device_entry *d = &list->devices[i];
        if (wanted && !fits(list, d, wanted))
            continue;
        length += (size_t)snprintf(text + length, capacity - length, "%s%s %s (%s)", length > 0 ? ", " : "", d->index,
                                   d->name, list->platforms[d->platform].name);
    }
}

int device_choose(const device_list *list, const char *wanted, const device_entry **chosen, const char **reason,
                  fault *f)
{
    const char *source = "--device", *unused = NULL;
    if (!reason)
        reason = &unused;
    *reason = "asked for with --device";
    if (!wanted) {
        source = "CLDEFORM_DEVICE";
        *reason = "asked for with CLDEFORM_DEVICE";
        wanted = getenv("CLDEFORM_DEVICE");
        if (wanted && wanted[0] == 0)
            wanted = NULL;
    }
    if (list->n_devices == 0)
        return fault_set(f, EXIT_DEVICE, NO_DEVICE);
    if (!wanted) {
        *chosen = find_default(list, reason);
        return EXIT_FINE;
    }
    if (wanted[0] == 0)
        return fault_set(f, EXIT_INPUT, "%s is empty, expected platform:device by index or a part of a name", source);

    char texts[1500] = "";
    size_t count = 0;
    for (size_t i = 0; i < list->n_devices; i++)
        if (fits(list, &list->devices[i], wanted)) {
            *chosen = &list->devices[i];
            count++;
        }
    if (count == 1)
        return EXIT_FINE;
    list_texts(list, count > 0 ? wanted : NULL, texts, sizeof texts);
    if (count > 1)
        return fault_set(f, EXIT_INPUT, "%s is \"%s\", which fits several devices: %s", source, wanted, texts);
    return fault_set(f, EXIT_INPUT, "%s is \"%s\", which fits no device, expected one of: %s", source, wanted, texts);
}

/* ---- session ---- */

int device_open(device_session *session, const char *wanted, cl_command_queue_properties properties, fault *f)
{
    int status = device_list_all(&session->list, f);
    if (status == EXIT_FINE)
        status = device_choose(&session->list, wanted, &session->device, NULL, f);
    if (status != EXIT_FINE)
        return status;
    cl_int error = CL_SUCCESS;
    const char *call = "clCreateContext";
    session->context = clCreateContext(NULL, 1, &session->device->id, NULL, NULL, &error);
    if (error == CL_SUCCESS) {
        call = "clCreateCommandQueue";
        session->queue = clCreateCommandQueue(session->context, session->device->id, properties, &error);
    }
    if (error != CL_SUCCESS)
        return fault_set(f, EXIT_DEVICE, "%s failed on device %s %s: %s (%d); see \"cldeform info\"", call,
                         session->device->index, session->device->name, device_error_name(error), (int)error);
    return EXIT_FINE;
}

void device_close(device_session *session)
{
    if (session->queue)
        clReleaseCommandQueue(session->queue);
    if (session->context)
        clReleaseContext(session->context);
    device_list_free(&session->list);
    memset(session, 0, sizeof *session);
}
