/* compare_match.c: which rows of several files are of the same work. */
#include <stdlib.h>
#include <string.h>

#include "compare.h"

/* How much of what tells rows apart must be the same: tried from the strictest on. */
enum { SAME_WORK, SAME_ALGORITHM, SAME_THREADS };

static int rows_match(const compare_row *a, const compare_row *b, int strictness)
{
    if (strcmp(a->case_name, b->case_name) != 0 || strcmp(a->problem, b->problem) != 0 ||
        strcmp(a->pass, b->pass) != 0 || strcmp(a->dtype, b->dtype) != 0 || strcmp(a->layout, b->layout) != 0 ||
        strcmp(a->cache, b->cache) != 0)
        return 0;
    if (strictness >= SAME_ALGORITHM && strcmp(a->algorithm, b->algorithm) != 0)
        return 0;
    return strictness < SAME_THREADS || a->threads == b->threads;
}

int compare_same_row(const compare_row *a, const compare_row *b)
{
    return rows_match(a, b, SAME_THREADS);
}

const compare_row *compare_row_of(const compare_lines *lines, const compare_file *files, size_t line, size_t file)
{
    const size_t row = lines->rows[line * lines->n_files + file];
    return row == COMPARE_ABSENT ? NULL : &files[file].rows[row];
}

/* The row of the first file that has one. */
static const compare_row *first_row(const compare_lines *lines, const compare_file *files, size_t line)
{
    for (size_t k = 0; k < lines->n_files; k++)
        if (compare_row_of(lines, files, line, k))
            return compare_row_of(lines, files, line, k);
    return NULL;
}

/* Puts the file's row into the first line that is of the same work and has none of this file. */
static int place_row(compare_lines *lines, const compare_file *files, size_t file, size_t row, int strictness)
{
    for (size_t i = 0; i < lines->n_lines; i++) {
        size_t *cell = &lines->rows[i * lines->n_files + file];
        if (*cell == COMPARE_ABSENT && rows_match(first_row(lines, files, i), &files[file].rows[row], strictness)) {
            *cell = row;
            return 1;
        }
    }
    return 0;
}

static void match_file(compare_lines *lines, const compare_file *files, size_t file, int by_algorithm, char *placed)
{
    memset(placed, 0, files[file].n_rows);
    for (int strictness = SAME_THREADS; strictness >= (by_algorithm ? SAME_ALGORITHM : SAME_WORK); strictness--)
        for (size_t row = 0; row < files[file].n_rows; row++)
            if (!placed[row])
                placed[row] = (char)place_row(lines, files, file, row, strictness);
    for (size_t row = 0; row < files[file].n_rows; row++)
        if (!placed[row])
            lines->rows[lines->n_lines++ * lines->n_files + file] = row;
}

int compare_match(const compare_file *files, size_t n_files, int by_algorithm, compare_lines *lines, fault *f)
{
    size_t most_rows = 0, all_rows = 0;
    for (size_t k = 0; k < n_files; k++) {
        all_rows += files[k].n_rows;
        if (files[k].n_rows > most_rows)
            most_rows = files[k].n_rows;
    }
    char *placed = malloc(most_rows + 1);
    *lines = (compare_lines){n_files, 0, malloc((all_rows * n_files + 1) * sizeof *lines->rows)};
    if (!placed || !lines->rows) {
        free(placed);
        return fault_memory(f);
    }
    for (size_t i = 0; i < all_rows * n_files; i++)
        lines->rows[i] = COMPARE_ABSENT;
    for (size_t k = 0; k < n_files; k++)
        match_file(lines, files, k, by_algorithm, placed);
    free(placed);
    return EXIT_FINE;
}

void compare_lines_free(compare_lines *lines)
{
    free(lines->rows);
    lines->rows = NULL;
}
