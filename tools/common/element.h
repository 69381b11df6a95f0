/* element.h: the element types of tensors in host memory: sizes, names, conversion from and to double. */
#ifndef TOOLS_ELEMENT_H
#define TOOLS_ELEMENT_H

#include <stddef.h>

#include "cldeform/problem.h"

size_t element_size(cldeform_dtype dtype);

/* "fp16", "fp32", "fp64": as plans and reports name types. */
const char *element_name(cldeform_dtype dtype);

/* "<f2", "<f4", "<f8": as .npy files name them. */
const char *element_descr(cldeform_dtype dtype);

/* Exact. */
void element_to_double(cldeform_dtype dtype, const void *from, size_t count, double *to);

/* Rounded once, to nearest even; beyond the type's range infinity. */
void element_from_double(cldeform_dtype dtype, const double *from, size_t count, void *to);

#endif
