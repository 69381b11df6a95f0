/* Floating-point addition to memory that other work-items add to: which form of cl/atomic.clh a device has. */
#ifndef CLDEFORM_ATOMICS_H
#define CLDEFORM_ATOMICS_H

#include "context.h"

/* As -DATOMIC_FORM and the tuning parameter atomic_form take them. */
typedef enum cldeform__atomic_form {
    CLDEFORM__ATOMIC_NONE = 0,
    CLDEFORM__ATOMIC_COMPARE_EXCHANGE = 1,
    CLDEFORM__ATOMIC_EXCHANGE = 2,
    CLDEFORM__ATOMIC_EXTENSION = 3, /* cl_ext_float_atomics */
    CLDEFORM__ATOMIC_PTX = 4,       /* NVIDIA */
    CLDEFORM__ATOMIC_AMDGCN = 5
} cldeform__atomic_form;

/* The form for float (double: fp64), proved: a program that adds with it has been compiled and run once, and its sums
 * were right. What a device claims is not believed, and a form that does not compile or adds wrongly is passed over for
 * the next. CLDEFORM__ATOMIC_NONE where none is left: then do without. *options (may be NULL) become the -D and the
 * language standard, if any, that a program with cl/atomic.clh is compiled with; static text, "" for NONE.
 *
 * Blocking at the first call for a type, which compiles; the context keeps what was found.
 * Errors: UNSUPPORTED where tuning forces a form that the device lacks or fails with; OUT_OF_MEMORY, OPENCL_ERROR. */
cldeform_status cldeform__atomics_find(cldeform_context *context, bool fp64, cldeform__atomic_form *form,
                                       const char **options);

/* "exchange", ... */
const char *cldeform__atomic_name(cldeform__atomic_form form);

/* Whether a form found so far loses additions to memory of the host (CLDEFORM__ATOMIC_AMDGCN). */
bool cldeform__atomics_need_device_memory(cldeform_context *context);

/* "fp32":"exchange","fp64":"not probed": the forms found so far, without braces. */
void cldeform__atomics_describe(cldeform_context *context, cldeform__text *text);

#endif
