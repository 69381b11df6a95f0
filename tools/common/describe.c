/* describe.c: see describe.h. */
#include "describe.h"

#include <stdlib.h>
#include <string.h>

typedef cldeform_status (*describer)(const void *object, char *text, size_t capacity, size_t *needed);

static cldeform_status read_context(const void *object, char *text, size_t capacity, size_t *needed)
{
    return cldeform_context_describe(object, text, capacity, needed);
}

static cldeform_status read_conv2d(const void *object, char *text, size_t capacity, size_t *needed)
{
    return cldeform_conv2d_describe(object, text, capacity, needed);
}

static cldeform_status read_roi_pool(const void *object, char *text, size_t capacity, size_t *needed)
{
    return cldeform_roi_pool_describe(object, text, capacity, needed);
}

/* A description may grow between two calls (caches are in it), so the second one is asked again until it fits. */
static int parse(describer describe, const void *object, json_t **description, fault *f)
{
    int status = EXIT_FINE;
    char *text = NULL;
    size_t capacity = 0, needed = 4096;
    while (needed > capacity) {
        free(text);
        capacity = needed;
        text = malloc(capacity);
        if (!text)
            return fault_memory(f);
        cldeform_status answer = describe(object, text, capacity, &needed);
        if (answer != CLDEFORM_OK && answer != CLDEFORM_BUFFER_TOO_SMALL) {
            status = fault_set(f, EXIT_DEVICE, "%s", cldeform_last_error());
            goto done;
        }
    }
    json_error_t error;
    *description = json_loads(text, 0, &error);
    if (!*description)
        status = fault_set(f, EXIT_DEVICE, "the library's description is not JSON: %s", error.text);
done:
    free(text);
    return status;
}

int describe_context(const cldeform_context *context, json_t **description, fault *f)
{
    return parse(read_context, context, description, f);
}

int describe_conv2d(const cldeform_conv2d *conv, json_t **description, fault *f)
{
    return parse(read_conv2d, conv, description, f);
}

int describe_roi_pool(const cldeform_roi_pool *pool, json_t **description, fault *f)
{
    return parse(read_roi_pool, pool, description, f);
}

json_t *describe_string(const char *text)
{
    json_t *value = json_string(text ? text : "");
    if (value || !text)
        return value;
    size_t size = strlen(text) + 1;
    char *plain = malloc(size);
    if (!plain)
        return NULL;
    memcpy(plain, text, size);
    for (char *c = plain; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    value = json_string(plain);
    free(plain);
    return value;
}
