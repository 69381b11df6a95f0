/* tool_tensor.h: tensors as files for the command line tool, and as what it must write. */
#ifndef TESTS_TOOL_TENSOR_H
#define TESTS_TOOL_TENSOR_H

#include "cldeform/problem.h"
#include "npy.h"

/* Pseudorandom whole numbers from -range to range. */
void tool_seed(uint32_t seed);
int tool_draw(int range);

/* Elements as doubles, which the caller frees; NULL for a tensor of rank 0. */
double *tool_widen(const npy_array *array);

/* Writes a tensor of draws from that range, each divided and rounded to the type; returns the values as tool_widen. */
double *tool_write_tensor(npy_array *array, const char *path, cldeform_dtype dtype, int rank, const int64_t *shape,
                          int range, double divisor);

void tool_write_zeros(const char *path, cldeform_dtype dtype, int rank, const int64_t *shape);

/* That file is the expected tensor; removes it. tolerance: of the largest finite value that is expected; 0: equal, but
 * for the sign of 0. NaN and infinities must be where they are expected. */
void tool_assert_file(const npy_array *expected, const char *path, double tolerance);

/* That there is no such file. */
void tool_assert_no_file(const char *path);

#endif
