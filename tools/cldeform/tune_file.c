/* tune_file.c: the tuning file, whose comments say where it is from and what it gains. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cldeform/cldeform.h"
#include "statistics.h"
#include "tune.h"

/* A part of a device's name that a line of the file can hold: to its first quote, '#' or control character. */
static int measure_name(const char *name)
{
    int length = 0;
    while ((unsigned char)name[length] >= ' ' && name[length] != '"' && name[length] != '#')
        length++;
    return length;
}

static int is_changed(const tune_search *s)
{
    int changed = 0;
    for (size_t p = 0; p < tune_n_parameters; p++)
        changed |= s->best.value[p] != s->start.value[p];
    return changed;
}

static void write_origin(FILE *stream, const tune_place *place, const tune_search *s)
{
    char date[40] = "unknown";
    const int version = cldeform_version();
    const time_t now = time(NULL);
    const struct tm *utc = gmtime(&now);
    if (utc)
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", utc);
    fprintf(stream, "# Parameters for CLDeform (options.tuning_file, CLDEFORM_TUNING_FILE), by \"cldeform tune\".\n");
    fprintf(stream, "# device: %.*s (%.*s), driver %.*s\n", measure_name(place->device), place->device,
            measure_name(place->platform), place->platform, measure_name(place->driver), place->driver);
    fprintf(stream, "# date: %s, cldeform %d.%d.%d\n", date, version / 10000, version / 100 % 100, version % 100);
    fprintf(stream, "# candidates: %zu", s->n_done);
    for (int i = 0; i < TUNE_OUTCOMES; i++)
        if (s->n_of[i] > 0)
            fprintf(stream, ", %zu %s", s->n_of[i], tune_outcome_names[i]);
    fputc('\n', stream);
}

static double median(const double *values, size_t n)
{
    double sorted[256];
    n = n < sizeof sorted / sizeof *sorted ? n : sizeof sorted / sizeof *sorted;
    memcpy(sorted, values, n * sizeof *sorted);
    statistics_sort(sorted, n);
    return statistics_quantile(sorted, n, 0.5);
}

static void write_rows(FILE *stream, const tune_times *t)
{
    fprintf(stream, "#   built-in ms  found ms  ratio\n");
    for (size_t i = 0; i < t->n_rows; i++) {
        const double before = median(tune_samples(t, i, 0), t->n_rounds);
        const double after = median(tune_samples(t, i, 1), t->n_rounds);
        fprintf(stream, "#   %11.3f %9.3f  %5.3f  %s %s\n", before, after, after / before, t->row[i].name,
                bench_pass_names[t->row[i].pass]);
    }
}

static void write_result(FILE *stream, const tune_search *s)
{
    const int changed = is_changed(s);
    if (!changed)
        fprintf(stream, "# result: nothing faster beyond noise was found: these are the built-in values\n");
    if (s->last.n_rows > 0) {
        fprintf(stream, "# %s: %.3f of the built-in parameters' time (%.3f to %.3f with 99 %% confidence)\n",
                changed ? "result" : "best candidates, not taken", s->verdict.ratio, s->verdict.low, s->verdict.high);
        write_rows(stream, &s->last);
    }
    for (size_t p = 0; p < tune_n_parameters; p++)
        if (s->best.value[p] != s->start.value[p])
            fprintf(stream, "# %s was %d\n", tune_parameters[p].name, s->start.value[p]);
}

int tune_write_file(FILE *stream, const tune_place *place, const tune_search *s)
{
    const int length = measure_name(place->device);
    write_origin(stream, place, s);
    write_result(stream, s);
    fprintf(stream, "\"%.*s\"", length, place->device);
    for (size_t p = 0; p < tune_n_parameters; p++)
        if (s->searched[p])
            fprintf(stream, " %s=%d", tune_parameters[p].name, s->best.value[p]);
    fputc('\n', stream);
    return !ferror(stream);
}
