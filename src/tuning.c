#include "tuning.h"
#include "os.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The built-in rows, most specific first; the last fits every device. A row fits when `part` is in the device's name
 * and `cpu` is its kind (-1: either).
 *
 * The columns of a GPU are sized to stay in its last-level cache, those of a CPU to amortise what a GEMM call copies.
 */
static const struct row {
    const char *label, *part;
    int cpu;
    int conv2d_algorithm, im2col_group, channel_vector, col2im, col2im_vector, roi_lanes, roi_vectors, roi_tile_h,
        roi_tile_w;
    int fused_vector, fused_rows, fused_panel, fused_panel_kib, fused_depth, fused_copies, fused_block, fused_run;
    int tiled_rows, tiled_columns, tiled_item_rows, tiled_item_columns, tiled_depth, tiled_table, tiled_groups,
        tiled_splits;
    int columns_kib, gemm_clblast, long_index, atomic_form;
} rows[] = {
    /* conv2d_algorithm, im2col_group, channel_vector, col2im, col2im_vector, roi_lanes, roi_vectors, roi_tile_h,
     * roi_tile_w, fused_vector, fused_rows, fused_panel, fused_panel_kib, fused_depth, fused_copies, fused_block,
     * fused_run, tiled_rows, tiled_columns, tiled_item_rows, tiled_item_columns, tiled_depth, tiled_table,
     * tiled_groups, tiled_splits, columns_kib, gemm_clblast, long_index, atomic_form */
    /* its vectors are work-items side by side, and `fused` has one */
    {"llvmpipe", "llvmpipe", 1,  1,   64, 8,  3, 16, 1,  8, 8, 16, 0,    0, 96, 384,
     512,        4,          64, 512, 64, 64, 8, 4,  16, 3, 4, 8,  8192, 1, 0,  0},
    {"cpu", "", 1,  2,   64, 8,  3, 16, 1,  8, 8, 16, 0,    0, 96, 384,
     512,   4,  64, 512, 64, 64, 8, 4,  16, 3, 4, 8,  8192, 1, 0,  0},
    {"default", "", -1, 3,  64, 4,  2, 1, 64, 1, 8, 8, 0,     4, 32, 32,
     64,        4,  16, 64, 64, 64, 8, 4, 16, 3, 4, 8, 24576, 1, 0,  0},
};

static bool contains(const char *text, const char *part)
{
    const size_t length = strlen(part);
    for (; *text; text++) {
        size_t i = 0;
        while (i < length && text[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (i == length)
            return true;
    }
    return length == 0;
}

static void take_row(cldeform__tuning *tuning, const struct row *row)
{
#define X(name, least, most, what) tuning->name = row->name;
    CLDEFORM__TUNING_LIST(X)
#undef X
    snprintf(tuning->source, sizeof tuning->source, "built-in: %s", row->label);
}

/* Sizes of vectors and tiles. */
static bool is_power(const char *name)
{
    static const char *const powers[] = {"_vector",         "tiled_rows",         "tiled_columns",
                                         "tiled_item_rows", "tiled_item_columns", "tiled_depth"};
    for (size_t i = 0; i < sizeof powers / sizeof powers[0]; i++)
        if (strstr(name, powers[i]))
            return true;
    return false;
}

/* Sets one parameter; NULL, or what is wrong with it. */
static const char *set_parameter(cldeform__tuning *tuning, const char *name, const char *value)
{
    char *end = NULL;
    const long number = strtol(value, &end, 10);
    if (end == value || *end)
        return "is not a whole number";
#define X(parameter, least, most, what)                                                                                \
    if (strcmp(name, #parameter) == 0) {                                                                               \
        if (number < (least) || number > (most))                                                                       \
            return "is out of range";                                                                                  \
        if (is_power(name) && (number & (number - 1)) != 0)                                                            \
            return "is not a power of two";                                                                            \
        tuning->parameter = (int)number;                                                                               \
        return NULL;                                                                                                   \
    }
    CLDEFORM__TUNING_LIST(X)
#undef X
    return "is not a parameter";
}

/* Cuts the next word off *rest; NULL at its end. (strtok keeps a state that threads would share.) */
static char *next_word(char **rest)
{
    static const char space[] = " \t\r";
    char *word = *rest + strspn(*rest, space);
    if (!*word)
        return NULL;
    *rest = word + strcspn(word, space);
    if (**rest)
        *(*rest)++ = 0;
    return word;
}

/* One line, which it takes apart: true if it was for this device and has been applied. */
static bool apply_line(cldeform__tuning *tuning, const cldeform__tuning_device *device, char *line, int number,
                       cldeform__text *refused)
{
    char *comment = strchr(line, '#');
    if (comment)
        *comment = 0;
    line += strspn(line, " \t\r");
    if (!*line)
        return false;
    char *close = *line == '"' ? strchr(line + 1, '"') : NULL;
    if (!close) {
        cldeform__text_add(refused, "line %d: does not begin with a part of a device's name in quotes\n", number);
        return false;
    }
    *close = 0;
    const char *part = line + 1;
    cldeform__tuning changed = *tuning;
    char *rest = close + 1;
    for (char *pair = next_word(&rest); pair; pair = next_word(&rest)) {
        char *equals = strchr(pair, '=');
        const char *wrong = "has no value";
        if (equals) {
            *equals = 0;
            wrong = set_parameter(&changed, pair, equals + 1);
        }
        if (wrong) {
            cldeform__text_add(refused, "line %d: %s%s%s %s\n", number, pair, equals ? "=" : "",
                               equals ? equals + 1 : "", wrong);
            return false;
        }
    }
    if (strcmp(part, "*") != 0 && !contains(device->name, part))
        return false;
    *tuning = changed;
    return true;
}

/* What became of the file; applied: the last line that was for this device, 0: none was. Of refused lines the first is
 * enough to find the others. */
static void set_source(cldeform__tuning *tuning, const char *file, int applied)
{
    char *source = tuning->source;
    const size_t capacity = sizeof tuning->source;
    if (applied)
        snprintf(source, capacity, "file: %.60s line %d", file, applied);
    const size_t length = strlen(source);
    if (tuning->refused)
        snprintf(source + length, capacity - length, " (refused, %.*s)", (int)strcspn(tuning->refused, "\n"),
                 tuning->refused);
    else if (!applied)
        snprintf(source + length, capacity - length, " (%.60s has no line for this device)", file);
}

cldeform_status cldeform__tuning_load(cldeform__tuning *tuning, const cldeform__tuning_device *device, const char *file)
{
    memset(tuning, 0, sizeof *tuning);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if ((rows[i].cpu < 0 || rows[i].cpu == device->is_cpu) && contains(device->name, rows[i].part)) {
            take_row(tuning, &rows[i]);
            break;
        }
    }
    if (!file)
        return CLDEFORM_OK;

    size_t size = 0;
    char *data = cldeform__read_file(file, 1 << 20, &size);
    if (!data)
        return cldeform__fail(
            CLDEFORM_INVALID_ARGUMENT,
            "options.tuning_file (or CLDEFORM_TUNING_FILE) is \"%s\", which cannot be read; it must be a "
            "text file of at most 1 MiB",
            file);
    cldeform__text refused = {0};
    int number = 1, applied = 0;
    for (char *line = data; line; number++) {
        char *end = strchr(line, '\n');
        if (end)
            *end = 0;
        if (apply_line(tuning, device, line, number, &refused))
            applied = number;
        line = end ? end + 1 : NULL;
    }
    free(data);
    tuning->refused = refused.data;
    set_source(tuning, file, applied);
    return CLDEFORM_OK;
}

void cldeform__tuning_free(cldeform__tuning *tuning)
{
    free(tuning->refused);
    tuning->refused = NULL;
}

void cldeform__tuning_describe(const cldeform__tuning *tuning, cldeform__text *text)
{
    cldeform__text_add(text, "\"source\":");
    cldeform__text_add_json(text, tuning->source);
#define X(name, least, most, what) cldeform__text_add(text, ",\"%s\":%d", #name, tuning->name);
    CLDEFORM__TUNING_LIST(X)
#undef X
    cldeform__text_add(text, ",\"refused\":");
    cldeform__text_add_json(text, tuning->refused);
}
