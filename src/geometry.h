/* Arithmetic on sizes that notices overflow. Includes no OpenCL. */
#ifndef CLDEFORM_GEOMETRY_H
#define CLDEFORM_GEOMETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *result = a op b for numbers that are not negative; false, and *result unchanged, where it does not fit. */
bool cldeform__multiply(int64_t a, int64_t b, int64_t *result);
bool cldeform__add(int64_t a, int64_t b, int64_t *result);

/* Product of n factors. */
bool cldeform__product(const int64_t *factors, int n, int64_t *result);

/* *bytes = elements * element_size, where a size_t and an int64_t hold it. */
bool cldeform__bytes(int64_t elements, size_t element_size, size_t *bytes);

/* a / b, rounded up; a >= 0, b > 0. */
int64_t cldeform__divide_up(int64_t a, int64_t b);

int64_t cldeform__at_most(int64_t a, int64_t most); /* the smaller one */

/* The largest number from 1 to `most` that fits; what is smaller than one that does fits too. 1 is not asked about, and
 * is the answer where nothing else is. of: passed through. */
typedef bool cldeform__fits(const void *of, int64_t number);
int64_t cldeform__most_that_fits(int64_t most, cldeform__fits *fits, const void *of);

int64_t cldeform__common_divisor(int64_t a, int64_t b); /* the greatest */

/* The next multiple of b; false where it does not fit. */
bool cldeform__round_up(int64_t a, int64_t b, int64_t *result);

/* Whether elements are indexed with 64 bits: more than 2^31-1 of them. */
bool cldeform__needs_long_index(int64_t elements);

#endif
