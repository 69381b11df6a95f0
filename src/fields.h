/* Checks of a problem's fields, which their failures name. Includes no OpenCL of its own. */
#ifndef CLDEFORM_FIELDS_H
#define CLDEFORM_FIELDS_H

#include "cldeform/problem.h"

/* 0 to last. Enums are read as whole numbers: a caller's struct may hold anything. */
cldeform_status cldeform__check_enum(const char *name, int value, int last);

/* least to 2^31-1: kernels hold single sizes in an int. */
cldeform_status cldeform__check_size(const char *name, int64_t value, int64_t least);

/* value divides n, a number of `channels`. */
cldeform_status cldeform__check_divides(const char *name, int64_t value, const char *channels, int64_t n);

#endif
