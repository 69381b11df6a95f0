/* Failures: a code, a text for people, and the OpenCL error behind it, kept per thread. */
#ifndef CLDEFORM_STATUS_H
#define CLDEFORM_STATUS_H

#include "cldeform/cldeform.h"

#if defined(__GNUC__)
#define CLDEFORM__PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define CLDEFORM__PRINTF(text, first)
#endif

/* Sets this thread's error text and returns status. */
cldeform_status cldeform__fail(cldeform_status status, const char *format, ...) CLDEFORM__PRINTF(2, 3);

/* The same for a failed OpenCL call, whose name and error are appended: "<text>: CL_INVALID_VALUE (-30)". The status is
 * OUT_OF_MEMORY where the error says so, else OPENCL_ERROR. */
cldeform_status cldeform__fail_cl(cl_int error, const char *format, ...) CLDEFORM__PRINTF(2, 3);

/* "CL_INVALID_VALUE"; "unknown OpenCL error" for others. */
const char *cldeform__cl_error_name(cl_int error);

/* What cldeform_last_opencl_error gives from now on; for failures that carry an OpenCL code under another status. */
void cldeform__set_cl_error(cl_int error);

/* Forwards a failure without touching its text. Needs `cldeform_status status` and a `done:` label. */
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        status = (call);                                                                                               \
        if (status != CLDEFORM_OK)                                                                                     \
            goto done;                                                                                                 \
    } while (0)

#endif
