/* text_table.c: see text_table.h. */
#include "text_table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void text_table_add(text_table *t, const char *format, ...)
{
    char text[1024];
    va_list values;
    va_start(values, format);
    const int length = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (t->n_cells == t->capacity) {
        const size_t capacity = 2 * t->capacity + 64;
        char **cells = realloc(t->cells, capacity * sizeof *cells);
        if (!cells) {
            t->out_of_memory = 1;
            return;
        }
        t->cells = cells;
        t->capacity = capacity;
    }
    const size_t bytes = strlen(text) + 1;
    char *cell = malloc(bytes);
    if (!cell || length < 0) {
        free(cell);
        t->out_of_memory = 1;
        return;
    }
    memcpy(cell, text, bytes);
    t->cells[t->n_cells++] = cell;
}

static size_t column_width(const text_table *t, size_t column)
{
    size_t width = 0;
    for (size_t i = column; i < t->n_cells; i += t->columns)
        if (strlen(t->cells[i]) > width)
            width = strlen(t->cells[i]);
    return width;
}

/* Without spaces at the ends of lines. */
int text_table_print(const text_table *t, const char *align, FILE *stream, fault *f)
{
    if (t->out_of_memory)
        return fault_memory(f);
    for (size_t i = 0; i < t->n_cells; i++) {
        const size_t column = i % t->columns;
        const int width = (int)column_width(t, column), last = column + 1 == t->columns;
        if (align[column] == 'r')
            fprintf(stream, "%*s", width, t->cells[i]);
        else
            fprintf(stream, "%-*s", last ? 0 : width, t->cells[i]);
        fputs(last ? "\n" : "  ", stream);
    }
    return EXIT_FINE;
}

int text_table_print_markdown(const text_table *t, const char *align, FILE *stream, fault *f)
{
    if (t->out_of_memory)
        return fault_memory(f);
    for (size_t i = 0; i < t->n_cells; i++) {
        const int last = i % t->columns + 1 == t->columns;
        fputs(i % t->columns == 0 ? "| " : " ", stream);
        for (const char *c = t->cells[i]; *c; c++)
            fprintf(stream, *c == '|' ? "\\%c" : "%c", *c);
        fputs(last ? " |\n" : " |", stream);
        if (i + 1 == t->columns) { /* the head ends */
            for (size_t k = 0; k < t->columns; k++)
                fputs(align[k] == 'r' ? "|--:" : "|---", stream);
            fputs("|\n", stream);
        }
    }
    return EXIT_FINE;
}

int text_table_print_csv(const text_table *t, FILE *stream, fault *f)
{
    if (t->out_of_memory)
        return fault_memory(f);
    for (size_t i = 0; i < t->n_cells; i++) {
        const char *cell = t->cells[i];
        const int quoted = strpbrk(cell, ",\"\n") != NULL;
        if (quoted)
            fputc('"', stream);
        for (; *cell; cell++) {
            if (*cell == '"')
                fputc('"', stream);
            fputc(*cell, stream);
        }
        if (quoted)
            fputc('"', stream);
        fputc(i % t->columns + 1 == t->columns ? '\n' : ',', stream);
    }
    return EXIT_FINE;
}

void text_table_free(text_table *t)
{
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i]);
    free(t->cells);
    *t = (text_table){0};
}
