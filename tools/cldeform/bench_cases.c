/* bench_cases.c: which cases are asked for: layers of presets, lines of a file, strings. */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char bench_layers[]; /* bench/layers.txt */

static int add_case(bench_cases *cases, const char *name, int64_t count, const bench_problem *problem, fault *f)
{
    if (cases->n == cases->capacity) {
        const size_t capacity = 2 * cases->capacity + 16;
        bench_case *grown = realloc(cases->at, capacity * sizeof *grown);
        if (!grown)
            return fault_memory(f);
        cases->at = grown;
        cases->capacity = capacity;
    }
    char *kept = malloc(strlen(name) + 1);
    if (!kept)
        return fault_memory(f);
    memcpy(kept, name, strlen(name) + 1);
    cases->at[cases->n++] = (bench_case){kept, count, *problem};
    return EXIT_FINE;
}

void bench_free_cases(bench_cases *cases)
{
    for (size_t i = 0; i < cases->n; i++)
        free(cases->at[i].name);
    free(cases->at);
}

/* ---- presets ---- */

typedef struct layer {
    char name[40], problem[BENCH_TEXT];
    long long count;
} layer;

/* The next layer at *text, which moves behind its line. 0: there is none left. */
static int next_layer(const char **text, layer *l)
{
    while (**text) {
        const char *line = *text;
        const size_t length = strcspn(line, "\n");
        *text = line + length + (line[length] != 0);
        if (line[0] != '#' && sscanf(line, "%39s %lld %479s", l->name, &l->count, l->problem) == 3)
            return 1;
    }
    return 0;
}

/* Whether the layer is the wanted one, or one of the wanted preset, or any is. */
static int is_wanted(const layer *l, const char *wanted, size_t length)
{
    return strncmp(l->name, wanted, length) == 0 && (length == 0 || l->name[length] == 0 || l->name[length] == '/');
}

/* "r50, r101, ...", or the layers of one of them. */
static void list_names(const char *preset, size_t length, char *text, size_t capacity)
{
    const char *at = bench_layers;
    char last[40] = "";
    layer l;
    size_t used = 0;
    text[0] = 0;
    while (next_layer(&at, &l) && used < capacity) {
        if (!is_wanted(&l, preset, length))
            continue;
        if (length == 0)
            l.name[strcspn(l.name, "/")] = 0;
        if (strcmp(last, l.name) == 0)
            continue;
        memcpy(last, l.name, sizeof last);
        used += (size_t)snprintf(text + used, capacity - used, "%s%s", used ? ", " : "", l.name);
    }
}

static int add_layers(bench_cases *cases, const char *wanted, size_t length, fault *f)
{
    const char *at = bench_layers;
    const size_t before = cases->n;
    int status = EXIT_FINE;
    layer l;
    while (status == EXIT_FINE && next_layer(&at, &l)) {
        bench_problem problem;
        if (!is_wanted(&l, wanted, length))
            continue;
        status = bench_read_problem(l.problem, &problem, f);
        if (status == EXIT_FINE)
            status = add_case(cases, l.name, l.count, &problem, f);
    }
    if (status == EXIT_FINE && cases->n == before) {
        char known[500];
        const char *slash = memchr(wanted, '/', length);
        if (slash) /* a preset's layers, if there is such a preset */
            list_names(wanted, (size_t)(slash - wanted), known, sizeof known);
        if (!slash || !known[0])
            list_names("", 0, known, sizeof known);
        status = fault_set(f, EXIT_INPUT, "--preset has no \"%.*s\", expected one of: %s%s", (int)length, wanted, known,
                           strchr(known, '/') ? "" : ", or a layer of one of them, as r50/c3.0");
    }
    return status;
}

static int add_presets(bench_cases *cases, const char *list, fault *f)
{
    int status = EXIT_FINE;
    for (const char *at = list; status == EXIT_FINE && at;) {
        const size_t length = strcspn(at, ",");
        if (length == 0)
            return fault_set(f, EXIT_INPUT, "--preset is \"%s\", expected names with commas between", list);
        status = add_layers(cases, at, length, f);
        at = at[length] ? at + length + 1 : NULL;
    }
    return status;
}

/* ---- strings ---- */

static int add_problem(bench_cases *cases, const char *text, fault *f)
{
    bench_problem problem;
    int status = bench_read_problem(text, &problem, f);
    return status == EXIT_FINE ? add_case(cases, "", 1, &problem, f) : status;
}

/* A line without its comment and the blanks round it. */
static char *trim(char *line)
{
    line[strcspn(line, "#\r\n")] = 0;
    line += strspn(line, " \t");
    size_t length = strlen(line);
    while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t'))
        line[--length] = 0;
    return line;
}

static int add_file(bench_cases *cases, const char *path, fault *f)
{
    char line[4 * BENCH_TEXT];
    fault inner = {0};
    int status = EXIT_FINE;
    const size_t before = cases->n;
    FILE *stream = fopen(path, "r");
    if (!stream)
        return fault_set(f, EXIT_INPUT, "%s cannot be opened: %s", path, strerror(errno));
    for (int number = 1; status == EXIT_FINE && fgets(line, sizeof line, stream); number++) {
        const char *text = trim(line);
        if (!text[0])
            continue;
        status = add_problem(cases, text, &inner);
        if (status != EXIT_FINE)
            fault_set(f, status, "%s, line %d: %s", path, number, inner.text);
    }
    if (status == EXIT_FINE && ferror(stream))
        status = fault_set(f, EXIT_INPUT, "%s cannot be read: %s", path, strerror(errno));
    if (status == EXIT_FINE && cases->n == before)
        status =
            fault_set(f, EXIT_INPUT, "%s has no case, expected a problem on each line; '#' begins a comment", path);
    fclose(stream);
    return status;
}

/* ---- all of them ---- */

/* Presets mix operators, and an option that some case cannot take would be dropped without a word. */
static int apply_overrides(const bench_options *o, bench_case *c, fault *f)
{
    char text[BENCH_TEXT];
    fault inner = {0};
    int status = EXIT_FINE;
    for (int i = 0; i < BENCH_FIELDS && status == EXIT_FINE; i++) {
        if (!o->override[i])
            continue;
        if (!bench_has_field(&c->problem, i))
            return fault_set(f, EXIT_INPUT, "--%s is of conv2d, expected no %s case (%s)", bench_field_name(i),
                             bench_operation_name(c->problem.operation),
                             c->name[0] ? c->name : bench_write_problem(&c->problem, text));
        status = bench_override(&c->problem, i, o->override[i], &inner);
        if (status != EXIT_FINE)
            return fault_set(f, status, "--%s", inner.text);
    }
    status = bench_check_problem(&c->problem, &inner);
    if (status != EXIT_FINE)
        fault_set(f, status, "\"%s\": %s", bench_write_problem(&c->problem, text), inner.text);
    return status;
}

/* A case without a name of its own is called by its problem. */
static int finish_case(const bench_options *o, bench_case *c, fault *f)
{
    char text[BENCH_TEXT];
    int status = apply_overrides(o, c, f);
    if (status != EXIT_FINE || c->name[0])
        return status;
    bench_write_problem(&c->problem, text);
    char *name = realloc(c->name, strlen(text) + 1);
    if (!name)
        return fault_memory(f);
    memcpy(name, text, strlen(text) + 1);
    c->name = name;
    return EXIT_FINE;
}

int bench_find_cases(const bench_options *o, bench_cases *cases, fault *f)
{
    int status = EXIT_FINE;
    const int chosen = o->preset || o->file || o->n_problems > 0;
    if (!chosen)
        status = o->list ? add_layers(cases, "", 0, f) : add_presets(cases, "r50", f);
    if (o->preset)
        status = add_presets(cases, o->preset, f);
    if (status == EXIT_FINE && o->file)
        status = add_file(cases, o->file, f);
    for (size_t i = 0; i < o->n_problems && status == EXIT_FINE; i++)
        status = add_problem(cases, o->problem[i], f);
    for (size_t i = 0; i < cases->n && status == EXIT_FINE; i++)
        status = finish_case(o, &cases->at[i], f);
    return status;
}
