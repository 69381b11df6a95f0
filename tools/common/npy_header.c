/* npy_header.c: the dictionary in a .npy file's header, a Python literal such as
 *   {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
 * Reads text in memory only. */
#include "npy.h"

#include <stdio.h>
#include <string.h>

#include "element.h"

typedef struct reader {
    const char *path, *start, *at, *end;
    fault *f;
} reader;

enum { KEY_DESCR = 1, KEY_ORDER = 2, KEY_SHAPE = 4, KEY_ALL = 7 };

static int refuse(reader *r, const char *expected)
{
    return fault_set(r->f, EXIT_INPUT, "%s has a .npy header that is malformed at its byte %td, expected %s", r->path,
                     r->at - r->start, expected);
}

static void skip_space(reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

static int next_is(reader *r, char c)
{
    skip_space(r);
    return r->at < r->end && *r->at == c;
}

static int take(reader *r, char c)
{
    if (!next_is(r, c))
        return 0;
    r->at++;
    return 1;
}

static int take_word(reader *r, const char *word)
{
    size_t length = strlen(word);
    skip_space(r);
    if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0)
        return 0;
    r->at += length;
    return 1;
}

/* A quoted string without escapes: names and types need none. */
static int read_string(reader *r, const char *expected, char *text, size_t capacity)
{
    char quote = next_is(r, '"') ? '"' : '\'';
    if (!take(r, quote))
        return refuse(r, expected);
    size_t length = 0;
    while (r->at < r->end && *r->at != quote && *r->at != '\\' && length + 1 < capacity)
        text[length++] = *r->at++;
    text[length] = 0;
    if (r->at >= r->end || *r->at != quote)
        return refuse(r, expected);
    r->at++;
    return EXIT_FINE;
}

static int refuse_type(reader *r, const char *what, const char *descr)
{
    return fault_set(r->f, EXIT_INPUT, "%s holds %s data ('%s'), expected '<f2', '<f4' or '<f8'", r->path, what, descr);
}

static int read_descr(reader *r, npy_array *array)
{
    char descr[64] = "";
    if (next_is(r, '['))
        return fault_set(r->f, EXIT_INPUT, "%s holds structured data, expected '<f2', '<f4' or '<f8'", r->path);
    int status = read_string(r, "a type such as '<f4'", descr, sizeof descr);
    if (status != EXIT_FINE)
        return status;
    static const cldeform_dtype known[] = {CLDEFORM_F16, CLDEFORM_F32, CLDEFORM_F64};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(descr, element_descr(known[i])) == 0) {
            array->dtype = known[i];
            return EXIT_FINE;
        }
    if (descr[0] == '>')
        return refuse_type(r, "big endian", descr);
    char kind = descr[0] && strchr("<|=", descr[0]) ? descr[1] : descr[0];
    if (kind == 'i' || kind == 'u' || kind == 'b')
        return refuse_type(r, "integer", descr);
    return refuse_type(r, "other", descr);
}

static int read_order(reader *r)
{
    if (take_word(r, "False"))
        return EXIT_FINE;
    if (take_word(r, "True"))
        return fault_set(r->f, EXIT_INPUT, "%s is in Fortran order, expected C order (numpy.ascontiguousarray)",
                         r->path);
    return refuse(r, "True or False");
}

static int read_size(reader *r, int64_t *size)
{
    skip_space(r);
    const char *first = r->at;
    int64_t value = 0;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        int digit = *r->at - '0';
        if (value > (INT64_MAX - digit) / 10)
            return fault_set(r->f, EXIT_INPUT, "%s has a size in its shape that does not fit 63 bits", r->path);
        value = value * 10 + digit;
        r->at++;
    }
    if (r->at == first)
        return refuse(r, "a size");
    if (r->at < r->end && *r->at == 'L') /* as Python 2 wrote them */
        r->at++;
    *size = value;
    return EXIT_FINE;
}

static int read_shape(reader *r, npy_array *array)
{
    if (!take(r, '('))
        return refuse(r, "a shape such as (2, 3)");
    int comma = 1;
    array->rank = 0;
    while (!take(r, ')')) {
        if (!comma)
            return refuse(r, "a comma or the end of the shape");
        if (array->rank == NPY_MAX_RANK)
            return fault_set(r->f, EXIT_INPUT, "%s has more than %d dimensions, expected at most %d", r->path,
                             NPY_MAX_RANK, NPY_MAX_RANK);
        int status = read_size(r, &array->shape[array->rank]);
        if (status != EXIT_FINE)
            return status;
        array->rank++;
        comma = take(r, ',');
    }
    if (array->rank == 1 && !comma) /* (3) is a number, (3,) a shape */
        return refuse(r, "a comma in a shape of one dimension");
    return EXIT_FINE;
}

static int read_entry(reader *r, npy_array *array, int *seen)
{
    static const char expected[] = "one of 'descr', 'fortran_order' and 'shape', each once";
    char key[32] = "";
    int status = read_string(r, expected, key, sizeof key);
    if (status != EXIT_FINE)
        return status;
    int bit = strcmp(key, "descr") == 0           ? KEY_DESCR
              : strcmp(key, "fortran_order") == 0 ? KEY_ORDER
              : strcmp(key, "shape") == 0         ? KEY_SHAPE
                                                  : 0;
    if (bit == 0 || (*seen & bit))
        return refuse(r, expected);
    *seen |= bit;
    if (!take(r, ':'))
        return refuse(r, "a colon");
    return bit == KEY_DESCR ? read_descr(r, array) : bit == KEY_ORDER ? read_order(r) : read_shape(r, array);
}

/* The product counts sizes of 0 as 1 for the check, so that no later product of some of the sizes can overflow. */
static int measure(reader *r, npy_array *array)
{
    size_t bytes = element_size(array->dtype);
    int empty = 0;
    for (int i = 0; i < array->rank; i++) {
        size_t size = (size_t)array->shape[i];
        empty |= size == 0;
        if (size != 0 && bytes > (size_t)PTRDIFF_MAX / size) {
            char text[NPY_TEXT_SIZE];
            return fault_set(r->f, EXIT_INPUT, "%s has shape %s, which is larger than memory can be", r->path,
                             npy_shape_text(array->rank, array->shape, text));
        }
        bytes *= size != 0 ? size : 1;
    }
    array->bytes = empty ? 0 : bytes;
    array->elements = array->bytes / element_size(array->dtype);
    return EXIT_FINE;
}

int npy_parse_header(const char *path, const char *text, size_t size, npy_array *array, fault *f)
{
    reader r = {.path = path, .start = text, .at = text, .end = text + size, .f = f};
    if (!take(&r, '{'))
        return refuse(&r, "a dictionary");
    int seen = 0, comma = 1;
    while (!take(&r, '}')) {
        if (!comma)
            return refuse(&r, "a comma or the end of the dictionary");
        int status = read_entry(&r, array, &seen);
        if (status != EXIT_FINE)
            return status;
        comma = take(&r, ',');
    }
    if (seen != KEY_ALL)
        return fault_set(f, EXIT_INPUT,
                         "%s has a .npy header without %s, expected 'descr', 'fortran_order' and 'shape'", path,
                         !(seen & KEY_DESCR)   ? "'descr'"
                         : !(seen & KEY_ORDER) ? "'fortran_order'"
                                               : "'shape'");
    skip_space(&r);
    if (r.at != r.end)
        return refuse(&r, "nothing after the dictionary");
    return measure(&r, array);
}

const char *npy_shape_text(int rank, const int64_t *shape, char text[NPY_TEXT_SIZE])
{
    size_t length = 0;
    text[length++] = '(';
    for (int i = 0; i < rank; i++)
        length +=
            (size_t)snprintf(text + length, NPY_TEXT_SIZE - length, "%s%lld", i > 0 ? "," : "", (long long)shape[i]);
    snprintf(text + length, NPY_TEXT_SIZE - length, "%s)", rank == 1 ? "," : "");
    return text;
}
