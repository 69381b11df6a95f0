/* npy.c: reads and writes .npy files. The header's dictionary is npy_header.c's, temporary files are files.c's. */
#include "npy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "element.h"
#include "files.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "npy.c copies elements between files, which are little endian, and memory: this machine needs a swap there"
#endif

static const unsigned char magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

#define MAX_HEADER 65535u /* all that version 1 can express; eight sizes and a type need about 250 */

static int read_bytes(FILE *stream, const char *path, const char *part, void *to, size_t count, fault *f)
{
    errno = 0;
    if (count == 0 || fread(to, 1, count, stream) == count)
        return EXIT_FINE;
    if (ferror(stream))
        return fault_set(f, EXIT_INPUT, "%s cannot be read: %s", path, strerror(errno));
    return fault_set(f, EXIT_INPUT, "%s ends within its %s, expected a whole .npy file", path, part);
}

/* Fills all of array but the data. */
static int read_header(FILE *stream, const char *path, npy_array *array, fault *f)
{
    char *text = NULL;
    unsigned char lead[8], length[4] = {0};
    int status = read_bytes(stream, path, "first 8 bytes", lead, sizeof lead, f);
    if (status != EXIT_FINE)
        goto done;
    if (memcmp(lead, magic, sizeof magic) != 0) {
        status = fault_set(f, EXIT_INPUT, "%s is not a .npy file (it does not begin with \\x93NUMPY)", path);
        goto done;
    }
    if (lead[6] < 1 || lead[6] > 3 || lead[7] != 0) {
        status =
            fault_set(f, EXIT_INPUT, "%s has .npy version %d.%d, expected 1.0, 2.0 or 3.0", path, lead[6], lead[7]);
        goto done;
    }
    status = read_bytes(stream, path, "header's length", length, lead[6] == 1 ? 2 : 4, f);
    if (status != EXIT_FINE)
        goto done;
    size_t size = length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 | (size_t)length[3] << 24;
    if (size > MAX_HEADER) {
        status = fault_set(f, EXIT_INPUT, "%s has a header of %zu bytes, expected at most %u", path, size, MAX_HEADER);
        goto done;
    }
    text = malloc(size + 1);
    if (!text) {
        status = fault_memory(f);
        goto done;
    }
    status = read_bytes(stream, path, "header", text, size, f);
    if (status == EXIT_FINE)
        status = npy_parse_header(path, text, size, array, f);
done:
    free(text);
    return status;
}

/* What a regular file holds is known before memory is taken for it: a header may claim anything. */
static int check_size(FILE *stream, const char *path, const npy_array *array, fault *f)
{
    int64_t size = file_size(stream);
    long at = ftell(stream);
    if (size < 0 || at < 0)
        return EXIT_FINE;
    uint64_t left = size > at ? (uint64_t)(size - at) : 0;
    if (left == array->bytes)
        return EXIT_FINE;
    char text[NPY_TEXT_SIZE];
    return fault_set(f, EXIT_INPUT, "%s has %llu bytes of data, expected %zu for shape %s of '%s'%s", path,
                     (unsigned long long)left, array->bytes, npy_shape_text(array->rank, array->shape, text),
                     element_descr(array->dtype),
                     left < array->bytes ? ": it is truncated" : " and nothing after them");
}

int npy_read(const char *path, npy_array *array, fault *f)
{
    int status = EXIT_FINE;
    FILE *stream = fopen(path, "rb");
    if (!stream) {
        status = fault_set(f, EXIT_INPUT, "%s cannot be opened: %s", path, strerror(errno));
        goto done;
    }
    status = read_header(stream, path, array, f);
    if (status == EXIT_FINE)
        status = check_size(stream, path, array, f);
    if (status != EXIT_FINE)
        goto done;
    if (array->bytes > 0) {
        array->data = malloc(array->bytes);
        if (!array->data) {
            status =
                fault_set(f, EXIT_DEVICE, "%s has %zu bytes of data, more than there is memory", path, array->bytes);
            goto done;
        }
    }
    status = read_bytes(stream, path, "data", array->data, array->bytes, f);
    if (status == EXIT_FINE && fgetc(stream) != EOF) /* a pipe, whose size check_size could not know */
        status =
            fault_set(f, EXIT_INPUT, "%s has bytes after its %zu bytes of data, expected none", path, array->bytes);
done:
    if (stream)
        fclose(stream);
    if (status != EXIT_FINE)
        npy_free(array);
    return status;
}

int npy_create(npy_array *array, cldeform_dtype dtype, int rank, const int64_t *shape, fault *f)
{
    memset(array, 0, sizeof *array);
    array->dtype = dtype;
    array->rank = rank;
    array->elements = 1;
    for (int i = 0; i < rank; i++) {
        size_t size = (size_t)shape[i];
        if (size != 0 && array->elements > (size_t)PTRDIFF_MAX / element_size(dtype) / size)
            return fault_memory(f);
        array->shape[i] = shape[i];
        array->elements *= size;
    }
    array->bytes = array->elements * element_size(dtype);
    if (array->bytes == 0)
        return EXIT_FINE;
    array->data = calloc(1, array->bytes);
    return array->data ? EXIT_FINE : fault_memory(f);
}

void npy_free(npy_array *array)
{
    free(array->data);
    memset(array, 0, sizeof *array);
}

/* The header is padded with spaces so that the data begin at a multiple of 64 bytes, as the format asks. */
static int write_array(FILE *stream, const npy_array *array)
{
    char shape[NPY_TEXT_SIZE], text[512];
    int length = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }",
                          element_descr(array->dtype), npy_shape_text(array->rank, array->shape, shape));
    size_t lead = sizeof magic + 4, total = (lead + (size_t)length + 1 + 63) / 64 * 64;
    size_t header = total - lead;
    memset(text + length, ' ', header - (size_t)length - 1);
    text[header - 1] = '\n';
    const unsigned char version[4] = {1, 0, (unsigned char)(header & 255), (unsigned char)(header >> 8)};
    return fwrite(magic, sizeof magic, 1, stream) == 1 && fwrite(version, sizeof version, 1, stream) == 1 &&
           fwrite(text, header, 1, stream) == 1 &&
           (array->bytes == 0 || fwrite(array->data, array->bytes, 1, stream) == 1);
}

int npy_write_all(const npy_output *outputs, size_t count, fault *f)
{
    int status = EXIT_FINE;
    file_replacement *files = calloc(count > 0 ? count : 1, sizeof *files);
    if (!files)
        return fault_memory(f);
    for (size_t i = 0; i < count && status == EXIT_FINE; i++) {
        if (!outputs[i].path)
            continue;
        status = file_begin(&files[i], outputs[i].path, f);
        for (size_t k = 0; k < i && status == EXIT_FINE; k++)
            if (outputs[k].path && file_same(&files[k], &files[i]))
                status = fault_set(f, EXIT_INPUT, "%s and %s are one file, expected a file each", outputs[k].path,
                                   outputs[i].path);
        if (status == EXIT_FINE && !write_array(files[i].stream, outputs[i].array))
            status = fault_set(f, EXIT_INPUT, "%s cannot be written: %s", outputs[i].path, strerror(errno));
        if (status == EXIT_FINE)
            status = file_close(&files[i], f);
    }
    for (size_t i = 0; i < count && status == EXIT_FINE; i++)
        if (outputs[i].path)
            status = file_commit(&files[i], f);
    for (size_t i = 0; i < count; i++) {
        if (status != EXIT_FINE)
            file_undo(&files[i]);
        file_release(&files[i]);
    }
    free(files);
    return status;
}

int npy_write(const char *path, const npy_array *array, fault *f)
{
    const npy_output one = {path, array};
    return npy_write_all(&one, 1, f);
}
