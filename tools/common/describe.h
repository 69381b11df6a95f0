/* describe.h: what the library says about its objects, as jansson values, and strings from drivers made fit for JSON.
 */
#ifndef TOOLS_DESCRIBE_H
#define TOOLS_DESCRIBE_H

#include <jansson.h>

#include "cldeform/cldeform.h"
#include "fault.h"

/* A new reference to the object of cldeform_context_describe, cldeform_conv2d_describe or cldeform_roi_pool_describe.
 */
int describe_context(const cldeform_context *context, json_t **description, fault *f);
int describe_conv2d(const cldeform_conv2d *conv, json_t **description, fault *f);
int describe_roi_pool(const cldeform_roi_pool *pool, json_t **description, fault *f);

/* A JSON string. Drivers put what they like into names: bytes that are not UTF-8 become '?'. NULL text: "". */
json_t *describe_string(const char *text);

#endif
