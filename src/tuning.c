#include "tuning.h"
#include "os.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the built-in table -------------------------------------------------------------------------------- */

enum kind { ANY, CPU, GPU };

/* Most specific first: a row says only in what it differs from those below it that fit the device too, the last of
 * which fits every device and sets every parameter. A row fits by the kind of device and by parts of its vendor's name
 * and its own ("": any).
 *
 * Rows of GPUs are estimates: none has been measured. */
static const struct row {
    const char *label;
    enum kind kind;
    const char *vendor, *name, *parameters;
} rows[] = {
    /* its vectors are work-items side by side, and `fused` has one; it ends long loops, which `tiled` has */
    {"llvmpipe", CPU, "", "llvmpipe", "conv2d_algorithm=1"},
    /* `tiled` is never the best here: its tiles are small so that tests compile them sooner. Columns amortise what a
     * product's call copies. */
    {"cpu", CPU, "", "",
     "conv2d_algorithm=2 channel_vector=8 im2col_lanes=1 col2im=3 col2im_vector=16 "
     "roi_lanes=1 roi_vectors=8 roi_tile_h=8 roi_tile_w=16 "
     "fused_rows=0 fused_panel=96 fused_panel_kib=384 fused_depth=512 fused_block=64 fused_run=512 "
     "tiled_rows=32 tiled_columns=32 tiled_item_rows=4 tiled_depth=8 columns_kib=8192"},
    /* CLBlast 1.5.3 knows none of NVIDIA's SM 9.0 */
    {"nvidia h200", GPU, "NVIDIA", "H200", "gemm_parameters=1"},
    {"nvidia h100", GPU, "NVIDIA", "H100", "gemm_parameters=1"},
    /* local memory gives 32 numbers a clock, a quarter of what the multipliers take: parts of 8x8 */
    {"nvidia", GPU, "NVIDIA", "", "tiled_rows=128 tiled_item_columns=8"},
    {"default", ANY, "", "",
     "conv2d_algorithm=3 im2col_group=64 channel_vector=4 im2col_lanes=8 col2im=2 col2im_vector=1 "
     "roi_lanes=64 roi_vectors=1 roi_tile_h=8 roi_tile_w=8 "
     "fused_vector=0 fused_rows=4 fused_panel=32 fused_panel_kib=32 fused_depth=64 fused_copies=4 fused_block=16 "
     "fused_run=64 "
     "tiled_rows=64 tiled_columns=64 tiled_item_rows=8 tiled_item_columns=4 tiled_depth=16 tiled_table=3 "
     "tiled_groups=4 tiled_splits=8 "
     "columns_kib=0 gemm_clblast=1 gemm_parameters=0 gemm_indirect=0 long_index=0 atomic_form=0"},
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

/* columns_kib of a device with so large a cache: half of it is for what else a product reads and writes. Some devices
 * name a cache of a few KiB, and have another one behind it. */
static int columns_of_cache(unsigned long long bytes)
{
    enum { LEAST_KIB = 8192, MOST_KIB = 49152, UNKNOWN_KIB = 24576 };
    const unsigned long long kib = bytes / 2048;
    return bytes < 1 << 20 ? UNKNOWN_KIB : kib < LEAST_KIB ? LEAST_KIB : kib > MOST_KIB ? MOST_KIB : (int)kib;
}

/* Sizes of vectors and tiles. */
static bool is_power(const char *name)
{
    static const char *const powers[] = {"channel_vector", "col2im_vector", "fused_vector",    "tiled_rows",
                                         "tiled_columns",  "tiled_depth",   "tiled_item_rows", "tiled_item_columns"};
    for (size_t i = 0; i < sizeof powers / sizeof powers[0]; i++)
        if (strcmp(name, powers[i]) == 0)
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

/* Sets the parameters of "name=value name=value ...", which it takes apart; false where one is wrong. */
static bool set_parameters(cldeform__tuning *tuning, char *pairs, cldeform__text *wrong)
{
    for (char *pair = next_word(&pairs); pair; pair = next_word(&pairs)) {
        char *equals = strchr(pair, '=');
        const char *why = "has no value";
        if (equals) {
            *equals = 0;
            why = set_parameter(tuning, pair, equals + 1);
        }
        if (why) {
            cldeform__text_add(wrong, "%s%s%s %s", pair, equals ? "=" : "", equals ? equals + 1 : "", why);
            return false;
        }
    }
    return true;
}

static bool fits(const struct row *row, const cldeform__tuning_device *device)
{
    return (row->kind == ANY || (row->kind == CPU) == device->is_cpu) && contains(device->name, row->name) &&
           contains(device->vendor, row->vendor);
}

/* The rows that fit the device, the most specific last. */
static void take_rows(cldeform__tuning *tuning, const cldeform__tuning_device *device)
{
    for (size_t i = sizeof rows / sizeof rows[0]; i-- > 0;) {
        char parameters[800];
        cldeform__text wrong = {0};
        if (!fits(&rows[i], device))
            continue;
        snprintf(parameters, sizeof parameters, "%s", rows[i].parameters);
        (void)set_parameters(tuning, parameters, &wrong); /* a test looks whether each is right */
        free(wrong.data);
        snprintf(tuning->source, sizeof tuning->source, "built-in: %s", rows[i].label);
    }
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
    cldeform__text wrong = {0};
    const bool right = set_parameters(&changed, close + 1, &wrong);
    if (!right)
        cldeform__text_add(refused, "line %d: %s\n", number, wrong.data ? wrong.data : "");
    free(wrong.data);
    if (!right)
        return false;
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

static cldeform_status apply_file(cldeform__tuning *tuning, const cldeform__tuning_device *device, const char *file)
{
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

cldeform_status cldeform__tuning_load(cldeform__tuning *tuning, const cldeform__tuning_device *device, const char *file)
{
    memset(tuning, 0, sizeof *tuning);
    take_rows(tuning, device);
    const cldeform_status status = file ? apply_file(tuning, device, file) : CLDEFORM_OK;
    if (tuning->columns_kib == 0)
        tuning->columns_kib = columns_of_cache(device->cache);
    return status;
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
