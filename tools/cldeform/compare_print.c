/* compare_print.c: a comparison as text, Markdown, CSV and JSON. */
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "text_table.h"

enum { MOST_ALIGN = 512 };

/* ---- texts ---- */

/* "results/torchvision.json": torchvision. */
static void short_name(const compare_file *file, char name[64])
{
    const char *slash = strrchr(file->path, '/');
    const char *base = slash ? slash + 1 : file->path, *end = strstr(base, ".json");
    const size_t length = end ? (size_t)(end - base) : strlen(base);
    snprintf(name, 64, "%.*s", (int)length, base);
}

/* Milliseconds with the digits that a person reads, or with all that CSV keeps; FAIL; "" where there is no row. The
 * file says with how many threads it ran; a row that says otherwise is marked. */
static void add_time(text_table *t, const compare_file *file, const compare_row *row, int exact)
{
    char threads[32] = "";
    if (!row) {
        text_table_add(t, "%s", "");
        return;
    }
    if (!exact && row->threads && file->threads && row->threads != file->threads)
        snprintf(threads, sizeof threads, " @%ld", row->threads);
    if (row->failed)
        text_table_add(t, "FAIL");
    else if (exact)
        text_table_add(t, "%.9g", row->median);
    else
        text_table_add(t, "%.*f%s", row->median < 10 ? 3 : row->median < 100 ? 2 : 1, row->median, threads);
}

static void add_ratio(text_table *t, double ratio, int exact)
{
    if (ratio > 0)
        text_table_add(t, exact ? "%.9g" : "%.3f", ratio);
    else
        text_table_add(t, "%s", "");
}

/* What the line's rows are of. The algorithm is the first one's; with two files, both where they differ. */
static void add_work(text_table *t, const comparison *c, size_t line, int exact)
{
    const compare_row *row = NULL, *last = NULL;
    for (size_t k = 0; k < c->lines.n_files; k++) {
        const compare_row *other = compare_row_of(&c->lines, c->files, line, k);
        row = row ? row : other;
        last = other ? other : last;
    }
    if (!row)
        return;
    text_table_add(t, "%s", row->case_name);
    if (exact)
        text_table_add(t, "%s", row->problem);
    text_table_add(t, "%s", row->pass);
    if (!c->options.table && strcmp(row->algorithm, last->algorithm) != 0)
        text_table_add(t, "%s -> %s", row->algorithm, last->algorithm);
    else
        text_table_add(t, "%s", row->algorithm);
    text_table_add(t, "%s", row->dtype);
    text_table_add(t, "%s", row->layout);
    text_table_add(t, "%s", row->cache);
}

static void add_texts(text_table *t, const char *const *texts)
{
    for (; *texts; texts++)
        text_table_add(t, "%s", *texts);
}

/* Returns how many columns it made. */
static size_t add_head_of_work(text_table *t, int exact)
{
    static const char *const brief[] = {"case", "pass", "algorithm", "dtype", "layout", "cache", NULL};
    static const char *const whole[] = {"case", "problem", "pass", "algorithm", "dtype", "layout", "cache", NULL};
    add_texts(t, exact ? whole : brief);
    return t->n_cells;
}

/* ---- two files with verdicts ---- */

static void fill_verdicts(const comparison *c, int exact, text_table *t, char *align)
{
    static const char *const brief[] = {"old ms", "new ms", "ratio", "95 %", "verdict", NULL};
    static const char *const whole[] = {"old_ms", "new_ms", "ratio", "low", "high", "verdict", NULL};
    const size_t columns = add_head_of_work(t, exact);
    add_texts(t, exact ? whole : brief);
    t->columns = t->n_cells;
    memset(align, 'r', t->columns);
    memset(align, 'l', columns);
    align[t->columns - 1] = 'l';
    for (size_t i = 0; i < c->lines.n_lines; i++) {
        const compare_result *r = &c->results[i * 2 + 1];
        add_work(t, c, i, exact);
        for (size_t k = 0; k < 2; k++)
            add_time(t, &c->files[k], compare_row_of(&c->lines, c->files, i, k), exact);
        add_ratio(t, r->ratio, exact);
        if (exact) {
            add_ratio(t, r->low, exact);
            add_ratio(t, r->high, exact);
        } else if (r->high > 0) {
            text_table_add(t, "%.3f..%.3f", r->low, r->high);
        } else {
            text_table_add(t, "%s", "");
        }
        text_table_add(t, "%s", compare_verdict_names[r->verdict]);
    }
}

/* ---- a table of any number of files ---- */

static void fill_table(const comparison *c, int exact, text_table *t, char *align)
{
    char name[64];
    const size_t columns = add_head_of_work(t, exact);
    for (size_t k = 0; k < c->lines.n_files; k++) {
        short_name(&c->files[k], name);
        text_table_add(t, exact ? "%s_ms" : "%s ms", name);
        if (k > 0)
            text_table_add(t, exact ? "%s_ratio" : "ratio", name);
    }
    t->columns = t->n_cells;
    memset(align, 'r', t->columns);
    memset(align, 'l', columns);
    for (size_t i = 0; i < c->lines.n_lines; i++) {
        add_work(t, c, i, exact);
        for (size_t k = 0; k < c->lines.n_files; k++) {
            add_time(t, &c->files[k], compare_row_of(&c->lines, c->files, i, k), exact);
            if (k > 0)
                add_ratio(t, c->results[i * c->lines.n_files + k].ratio, exact);
        }
    }
    if (exact)
        return;
    text_table_add(t, "geometric mean");
    for (size_t i = 1; i < columns; i++)
        text_table_add(t, "%s", "");
    for (size_t k = 0; k < c->lines.n_files; k++) {
        size_t count = 0;
        text_table_add(t, "%s", "");
        if (k > 0)
            add_ratio(t, compare_mean_of_file(c, k, &count), exact);
    }
}

/* ---- all ---- */

size_t compare_count(const comparison *c, compare_verdict verdict)
{
    size_t count = 0;
    for (size_t i = 0; i < c->lines.n_lines; i++)
        count += c->results[i * c->lines.n_files + 1].verdict == verdict;
    return count;
}

double compare_mean_of_file(const comparison *c, size_t file, size_t *count)
{
    const size_t n = c->lines.n_lines, n_files = c->lines.n_files;
    double *ratios = malloc((n + 1) * sizeof *ratios), mean = 0;
    *count = 0;
    for (size_t i = 0; ratios && i < n; i++) {
        ratios[i] = c->results[i * n_files + file].ratio;
        *count += ratios[i] > 0;
    }
    if (ratios)
        mean = compare_geometric_mean(ratios, n);
    free(ratios);
    return mean;
}

static void print_files(const comparison *c)
{
    for (size_t k = 0; k < c->lines.n_files; k++) {
        const compare_file *file = &c->files[k];
        char name[64];
        short_name(file, name);
        printf("%s%s: %s %s", c->options.markdown ? "* " : "",
               c->options.table ? name
               : k == 0         ? "old"
                                : "new",
               file->program, file->version);
        if (file->device[0])
            printf(", %s", file->device);
        if (file->driver[0])
            printf(", %s", file->driver);
        if (file->threads)
            printf(", %ld thread%s", file->threads, file->threads == 1 ? "" : "s");
        printf("%s%s (%s)\n", file->date[0] ? ", " : "", file->date, file->path);
    }
    printf("\n");
}

static void print_sums(const comparison *c)
{
    const char *comma = "";
    size_t with_ratio = 0;
    const double mean = compare_mean_of_file(c, 1, &with_ratio);
    printf("\n%zu rows: ", c->lines.n_lines);
    for (int v = 0; v < COMPARE_VERDICTS; v++) {
        const size_t count = compare_count(c, (compare_verdict)v);
        if (count > 0) {
            printf("%s%zu %s", comma, count, compare_verdict_names[v]);
            comma = ", ";
        }
    }
    if (with_ratio)
        printf("; geometric mean of the ratios of %zu: %.3f", with_ratio, mean);
    printf("\nratio: new / old, below 1 is faster; \"same\" is within %g %%\n", 100 * c->options.threshold);
    for (size_t i = 0; i < c->lines.n_lines; i++) {
        const compare_row *new = compare_row_of(&c->lines, c->files, i, 1);
        if (new &&new->failed)
            printf("FAIL: %s %s %s: %s\n", new->case_name, new->pass, new->algorithm, new->error);
    }
}

static int has_other_threads(const comparison *c)
{
    for (size_t k = 0; k < c->lines.n_files; k++)
        for (size_t i = 0; i < c->files[k].n_rows; i++) {
            const long threads = c->files[k].rows[i].threads;
            if (threads && c->files[k].threads && threads != c->files[k].threads)
                return 1;
        }
    return 0;
}

int compare_print(const comparison *c, fault *f)
{
    char align[MOST_ALIGN];
    text_table t = {0};
    if (c->options.table)
        fill_table(c, 0, &t, align);
    else
        fill_verdicts(c, 0, &t, align);
    print_files(c);
    const int status =
        c->options.markdown ? text_table_print_markdown(&t, align, stdout, f) : text_table_print(&t, align, stdout, f);
    text_table_free(&t);
    if (status != EXIT_FINE)
        return status;
    if (c->options.table)
        printf("\nratio: time / time of the first file, above 1 is slower than the first\n");
    else
        print_sums(c);
    if (has_other_threads(c))
        printf("@N: with N threads, fewer than the file's other rows\n");
    return EXIT_FINE;
}

int compare_write_csv(const comparison *c, FILE *stream, fault *f)
{
    char align[MOST_ALIGN];
    text_table t = {0};
    if (c->options.table)
        fill_table(c, 1, &t, align);
    else
        fill_verdicts(c, 1, &t, align);
    const int status = text_table_print_csv(&t, stream, f);
    text_table_free(&t);
    return status;
}

/* ---- JSON ---- */

static json_t *number_or_null(double number)
{
    return number > 0 ? json_real(number) : json_null();
}

static json_t *make_cell(const comparison *c, size_t line, size_t file)
{
    const compare_row *row = compare_row_of(&c->lines, c->files, line, file);
    const compare_result *r = &c->results[line * c->lines.n_files + file];
    json_t *cell = json_object();
    if (row) {
        json_object_set_new(cell, "algorithm", json_string(row->algorithm));
        json_object_set_new(cell, "threads", row->threads ? json_integer(row->threads) : json_null());
        json_object_set_new(cell, "status", json_string(row->failed ? "fail" : "ok"));
        json_object_set_new(cell, "median_ms", number_or_null(row->median));
    }
    if (file == 0)
        return cell;
    json_object_set_new(cell, "ratio", number_or_null(r->ratio));
    json_object_set_new(cell, "low", number_or_null(r->low));
    json_object_set_new(cell, "high", number_or_null(r->high));
    json_object_set_new(cell, "verdict", json_string(compare_verdict_names[r->verdict]));
    return cell;
}

static json_t *make_row(const comparison *c, size_t line)
{
    json_t *row = json_object(), *cells = json_array();
    const compare_row *work = NULL;
    for (size_t k = 0; k < c->lines.n_files; k++) {
        const compare_row *other = compare_row_of(&c->lines, c->files, line, k);
        work = work ? work : other;
        json_array_append_new(cells, make_cell(c, line, k));
    }
    if (work) {
        json_object_set_new(row, "case", json_string(work->case_name));
        json_object_set_new(row, "problem", json_string(work->problem));
        json_object_set_new(row, "pass", json_string(work->pass));
        json_object_set_new(row, "dtype", json_string(work->dtype));
        json_object_set_new(row, "layout", json_string(work->layout));
        json_object_set_new(row, "cache", json_string(work->cache));
    }
    json_object_set_new(row, "files", cells);
    return row;
}

int compare_write_json(const comparison *c, FILE *stream, fault *f)
{
    json_t *root = json_object(), *files = json_array(), *rows = json_array();
    for (size_t k = 0; k < c->lines.n_files; k++) {
        size_t count = 0;
        json_t *file = json_object();
        json_object_set_new(file, "path", json_string(c->files[k].path));
        json_object_set(file, "metadata", json_object_get(c->files[k].json, "metadata"));
        if (k > 0)
            json_object_set_new(file, "geometric_mean", number_or_null(compare_mean_of_file(c, k, &count)));
        json_array_append_new(files, file);
    }
    for (size_t i = 0; i < c->lines.n_lines; i++)
        json_array_append_new(rows, make_row(c, i));
    json_object_set_new(root, "schema", json_string("cldeform-compare-1"));
    json_object_set_new(root, "threshold_percent", json_real(100 * c->options.threshold));
    json_object_set_new(root, "paired", json_boolean(c->options.paired));
    json_object_set_new(root, "files", files);
    json_object_set_new(root, "rows", rows);
    const int failed = json_dumpf(root, stream, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) != 0;
    json_decref(root);
    return failed ? fault_memory(f) : EXIT_FINE;
}
