/* npy.h: dense tensors in NumPy's .npy files: C order, little endian, '<f2', '<f4' or '<f8', rank 0 to 8.
 *
 * Everything else is refused with a fault that names the file, what it has and what is expected. Files may be hostile:
 * nothing in one is believed before it is checked. Knows nothing of convolutions. */
#ifndef TOOLS_NPY_H
#define TOOLS_NPY_H

#include <stddef.h>
#include <stdint.h>

#include "cldeform/problem.h"
#include "fault.h"

#define NPY_MAX_RANK  8
#define NPY_TEXT_SIZE (NPY_MAX_RANK * 21 + 3) /* of the longest shape as text */

typedef struct npy_array {
    cldeform_dtype dtype; /* CLDEFORM_F16, _F32 or _F64 */
    int rank;
    int64_t shape[NPY_MAX_RANK]; /* outermost first; a size may be 0 */
    size_t elements, bytes;
    void *data; /* malloc; NULL where bytes is 0 */
} npy_array;

/* All zero before; released by npy_free after, also after a failure. Versions 1, 2 and 3 of the format. */
int npy_read(const char *path, npy_array *array, fault *f);

/* A tensor of that shape, its data zero. Fails where the size does not fit memory. */
int npy_create(npy_array *array, cldeform_dtype dtype, int rank, const int64_t *shape, fault *f);

void npy_free(npy_array *array);

typedef struct npy_output {
    const char *path; /* NULL: this one is not asked for */
    const npy_array *array;
} npy_output;

/* Version 1.0 files. Either every file is written, whole, or none is touched: all of them are complete under temporary
 * names before the first is renamed. (A rename that fails after another has succeeded is the one exception.) */
int npy_write_all(const npy_output *outputs, size_t count, fault *f);
int npy_write(const char *path, const npy_array *array, fault *f);

/* "(2,3,4,5)" into text, which it returns. */
const char *npy_shape_text(int rank, const int64_t *shape, char text[NPY_TEXT_SIZE]);

/* For npy.c and its tests: the dictionary of a header, which is `size` bytes at `text`, without a final 0. Fills
 * dtype, rank, shape, elements and bytes. `path` is for messages. */
int npy_parse_header(const char *path, const char *text, size_t size, npy_array *array, fault *f);

#endif
