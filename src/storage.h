/* Elements of a tensor in host memory, by type. */
#ifndef CLDEFORM_STORAGE_H
#define CLDEFORM_STORAGE_H

#include "cldeform/problem.h"

size_t cldeform__dtype_size(cldeform_dtype dtype);      /* bytes */
const char *cldeform__dtype_name(cldeform_dtype dtype); /* "fp16" */

int cldeform__bits(cldeform_dtype dtype);
cldeform_dtype cldeform__real_dtype(cldeform_dtype dtype); /* what arithmetic on it is in: F64 or F32 */

/* Rounds to the type. */
void cldeform__store_element(void *elements, size_t index, cldeform_dtype dtype, double value);
double cldeform__load_element(const void *elements, size_t index, cldeform_dtype dtype);

#endif
