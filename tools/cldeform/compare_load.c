/* compare_load.c: reads result files, and says which member is wrong where one is. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

#define SCHEMA "cldeform-bench-1"

/* Where a member is: `path: object.name`. */
typedef struct place {
    const char *path;
    char object[48];
} place;

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_NULL:
        return "null";
    default:
        return "true or false";
    }
}

static int fault_member(const place *at, const char *name, const json_t *value, const char *expected, fault *f)
{
    const char *dot = at->object[0] ? "." : "";
    if (!value)
        return fault_set(f, EXIT_INPUT, "%s: %s%s%s is missing, expected %s", at->path, at->object, dot, name,
                         expected);
    return fault_set(f, EXIT_INPUT, "%s: %s%s%s is %s, expected %s", at->path, at->object, dot, name, type_name(value),
                     expected);
}

/* absent: what stands for a member that is missing or null; NULL: it must be there. */
static int read_text(const place *at, const json_t *object, const char *name, const char *absent, const char **text,
                     fault *f)
{
    const json_t *value = json_object_get(object, name);
    *text = absent ? absent : "";
    if (json_is_string(value))
        *text = json_string_value(value);
    else if (!absent || (value && !json_is_null(value)))
        return fault_member(at, name, value, absent ? "a string or null" : "a string", f);
    return EXIT_FINE;
}

/* A number above 0 that may be missing or null; then *number is 0. */
static int read_count(const place *at, const json_t *object, const char *name, long *number, fault *f)
{
    const json_t *value = json_object_get(object, name);
    *number = 0;
    if (!value || json_is_null(value))
        return EXIT_FINE;
    const json_int_t read = json_integer_value(value);
    if (!json_is_integer(value))
        return fault_member(at, name, value, "a whole number or null", f);
    if (read < 1 || read > 1000000)
        return fault_set(f, EXIT_INPUT, "%s: %s.%s is %lld, expected 1 to 1000000", at->path, at->object, name,
                         (long long)read);
    *number = (long)read;
    return EXIT_FINE;
}

/* Milliseconds, or whatever else must be finite and above 0 where the row is fine. */
static int read_positive(const place *at, const json_t *object, const char *name, double *number, fault *f)
{
    const json_t *value = json_object_get(object, name);
    *number = json_number_value(value);
    if (!json_is_number(value))
        return fault_member(at, name, value, "a number", f);
    if (!(*number > 0 && isfinite(*number)))
        return fault_set(f, EXIT_INPUT, "%s: %s.%s is %g, expected a number above 0", at->path, at->object, name,
                         *number);
    return EXIT_FINE;
}

/* Raw times may be missing; where they are there they are the samples that are counted. */
static int read_times(const place *at, const json_t *object, compare_row *row, fault *f)
{
    const json_t *times = json_object_get(object, "times_ms"), *samples = json_object_get(object, "samples");
    if (!json_is_integer(samples))
        return fault_member(at, "samples", samples, "a whole number", f);
    if (!times || json_is_null(times))
        return EXIT_FINE;
    if (!json_is_array(times))
        return fault_member(at, "times_ms", times, "an array or null", f);
    row->samples = json_array_size(times);
    if (json_integer_value(samples) != (json_int_t)row->samples)
        return fault_set(f, EXIT_INPUT, "%s: %s.times_ms has %zu numbers, expected %lld, as %s.samples says", at->path,
                         at->object, row->samples, (long long)json_integer_value(samples), at->object);
    if (row->samples == 0)
        return EXIT_FINE;
    row->times = malloc(row->samples * sizeof *row->times);
    if (!row->times)
        return fault_memory(f);
    for (size_t i = 0; i < row->samples; i++) {
        const json_t *value = json_array_get(times, i);
        row->times[i] = json_number_value(value);
        if (!json_is_number(value) || !(row->times[i] > 0))
            return fault_set(f, EXIT_INPUT, "%s: %s.times_ms[%zu] is not a number above 0", at->path, at->object, i);
    }
    return EXIT_FINE;
}

static int read_row(const char *path, size_t index, const json_t *object, compare_row *row, fault *f)
{
    place at = {path, ""};
    const char *status_text = "";
    double least = 0;
    snprintf(at.object, sizeof at.object, "results[%zu]", index);
    if (!json_is_object(object))
        return fault_set(f, EXIT_INPUT, "%s: %s is %s, expected an object", path, at.object, type_name(object));
    const struct {
        const char *name, *absent, **text;
    } texts[] = {
        {"case", NULL, &row->case_name}, {"problem", NULL, &row->problem},     {"pass", NULL, &row->pass},
        {"dtype", NULL, &row->dtype},    {"algorithm", NULL, &row->algorithm}, {"status", NULL, &status_text},
        {"layout", "", &row->layout},    {"cache", "hot", &row->cache},        {"error", "", &row->error},
    };
    int status = EXIT_FINE;
    for (size_t i = 0; i < sizeof texts / sizeof *texts && status == EXIT_FINE; i++)
        status = read_text(&at, object, texts[i].name, texts[i].absent, texts[i].text, f);
    if (status == EXIT_FINE)
        status = read_count(&at, object, "threads", &row->threads, f);
    if (status != EXIT_FINE)
        return status;
    row->failed = strcmp(status_text, "fail") == 0;
    if (row->failed)
        return EXIT_FINE;
    if (strcmp(status_text, "ok") != 0)
        return fault_set(f, EXIT_INPUT, "%s: %s.status is \"%s\", expected \"ok\" or \"fail\"", path, at.object,
                         status_text);
    status = read_positive(&at, object, "median_ms", &row->median, f);
    if (status == EXIT_FINE)
        status = read_positive(&at, object, "min_ms", &least, f);
    return status == EXIT_FINE ? read_times(&at, object, row, f) : status;
}

static int read_metadata(compare_file *file, fault *f)
{
    const json_t *metadata = json_object_get(file->json, "metadata");
    const place at = {file->path, "metadata"}, root = {file->path, ""};
    if (!json_is_object(metadata))
        return fault_member(&root, "metadata", metadata, "an object", f);
    int status = read_text(&at, metadata, "program", NULL, &file->program, f);
    if (status == EXIT_FINE)
        status = read_text(&at, metadata, "version", "", &file->version, f);
    if (status == EXIT_FINE)
        status = read_text(&at, metadata, "device", "", &file->device, f);
    if (status == EXIT_FINE)
        status = read_text(&at, metadata, "driver", "", &file->driver, f);
    if (status == EXIT_FINE)
        status = read_text(&at, metadata, "date", "", &file->date, f);
    return status == EXIT_FINE ? read_count(&at, metadata, "threads", &file->threads, f) : status;
}

/* Two rows that nothing tells apart cannot be compared with another file's. */
static int check_unique(const compare_file *file, fault *f)
{
    for (size_t i = 0; i < file->n_rows; i++)
        for (size_t k = 0; k < i; k++) {
            const compare_row *a = &file->rows[i];
            if (compare_same_row(a, &file->rows[k]))
                return fault_set(f, EXIT_INPUT, "%s: results[%zu] and results[%zu] are both of %s %s %s", file->path, k,
                                 i, a->case_name, a->pass, a->algorithm);
        }
    return EXIT_FINE;
}

static int read_results(compare_file *file, fault *f)
{
    const json_t *results = json_object_get(file->json, "results");
    const place root = {file->path, ""};
    if (!json_is_array(results))
        return fault_member(&root, "results", results, "an array", f);
    const size_t n = json_array_size(results);
    file->rows = calloc(n + 1, sizeof *file->rows);
    if (!file->rows)
        return fault_memory(f);
    for (size_t i = 0; i < n; i++) {
        file->n_rows = i + 1;
        int status = read_row(file->path, i, json_array_get(results, i), &file->rows[i], f);
        if (status != EXIT_FINE)
            return status;
    }
    return check_unique(file, f);
}

int compare_load(const char *path, compare_file *file, fault *f)
{
    json_error_t error;
    const char *schema = "";
    const place root = {path, ""};
    file->path = path;
    FILE *stream = fopen(path, "rb");
    if (!stream)
        return fault_set(f, EXIT_INPUT, "%s cannot be opened: %s", path, strerror(errno));
    file->json = json_loadf(stream, JSON_REJECT_DUPLICATES, &error);
    fclose(stream);
    if (!file->json)
        return fault_set(f, EXIT_INPUT, "%s is not JSON: line %d: %s", path, error.line, error.text);
    if (!json_is_object(file->json))
        return fault_set(f, EXIT_INPUT, "%s is %s, expected an object", path, type_name(file->json));
    int status = read_text(&root, file->json, "schema", NULL, &schema, f);
    if (status == EXIT_FINE && strcmp(schema, SCHEMA) != 0)
        status = fault_set(f, EXIT_INPUT, "%s: schema is \"%s\", expected \"" SCHEMA "\"", path, schema);
    if (status == EXIT_FINE)
        status = read_metadata(file, f);
    return status == EXIT_FINE ? read_results(file, f) : status;
}

void compare_unload(compare_file *file)
{
    for (size_t i = 0; i < file->n_rows; i++)
        free(file->rows[i].times);
    free(file->rows);
    json_decref(file->json);
    *file = (compare_file){0};
}
