/* text_table.h: rows of texts that are printed with aligned columns, as Markdown or as CSV. */
#ifndef TOOLS_TEXT_TABLE_H
#define TOOLS_TEXT_TABLE_H

#include <stddef.h>
#include <stdio.h>

#include "fault.h"

/* The first row is the head. All zero but for `columns`: empty. */
typedef struct text_table {
    size_t columns;
    size_t n_cells, capacity;
    char **cells;
    int out_of_memory; /* a cell is missing; printing says so */
} text_table;

/* The next cell of the row, or the first of the next row. */
void text_table_add(text_table *t, const char *format, ...) FAULT_PRINTF(2, 3);

/* align: one 'l' or 'r' for each column. */
int text_table_print(const text_table *t, const char *align, FILE *stream, fault *f);
int text_table_print_markdown(const text_table *t, const char *align, FILE *stream, fault *f);
/* As RFC 4180 has it, but for line ends. */
int text_table_print_csv(const text_table *t, FILE *stream, fault *f);

void text_table_free(text_table *t);

#endif
