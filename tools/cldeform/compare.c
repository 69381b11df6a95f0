/* compare.c: the compare command: result files of the benchmark against each other. */
#include "compare.h"

#include <stdlib.h>

#include "command.h"
#include "files.h"
#include "number.h"

static const char *const help[] = {
    "usage: cldeform compare OLD.json NEW.json [OPTION...]",
    "       cldeform compare FIRST.json OTHER.json... --table [OPTION...]",
    "",
    "Compares result files of \"cldeform bench --json\" and of the scripts in bench/peers. Two files: a line for each "
    "row "
    "that",
    "either has, with both medians, new / old, where that ratio lies with 95 % confidence, and what follows from it:",
    "",
    "  faster, slower  all of the interval is beyond the threshold",
    "  same            all of it is within the threshold",
    "  unsure          anything else, or fewer than 6 samples: measure longer",
    "  FAIL            the row was fine in the old file, and fails in the new one",
    "  now fine, both fail, only old, only new",
    "",
    "The interval is the percentile bootstrap's of the ratio of medians: 2000 resamples of the raw times, always the "
    "same",
    "ones. It covers what varies within a run, not what changes from one run to the next: measure on an idle machine, "
    "or",
    "side by side with \"bench --turns\" and --paired.",
    "",
    "More files, or --table: one table, a line for each row and a column for each file (device, program), with the "
    "ratio "
    "to",
    "the first file's time, and their geometric mean at the end. No verdicts.",
    "",
    "Rows belong together that have the same case, problem, pass, type, layout and cache; if a file has several such",
    "rows, those with the same algorithm first.",
    "",
    "  --threshold PERCENT  what is too small to matter, 0 to 100; default 3",
    "  --by-algorithm       rows of different algorithms do not belong together",
    "  --paired             samples of one number were taken side by side: the ratio is the median of their ratios",
    "  --table              a table for two files too",
    "  --markdown           prints Markdown",
    "  --csv FILE           writes the same with all digits",
    "  --json FILE          writes {schema: \"cldeform-compare-1\", files, rows}: rows[i].files[k] is the k-th file's "
    "row, "
    "with",
    "                       ratio, low, high and verdict against the first file",
    "",
    "Exit status: 0 nothing is slower, or a table; 2 a wrong file or option; 3 something is slower, or has become "
    "FAIL.",
    "Example: cldeform compare before.json after.json --threshold 5",
    NULL,
};

enum { THRESHOLD = OPTION_FIRST, BY_ALGORITHM, PAIRED, TABLE, MARKDOWN, CSV, JSON };

static const struct option options[] = {
    {"threshold", required_argument, NULL, THRESHOLD},
    {"by-algorithm", no_argument, NULL, BY_ALGORITHM},
    {"paired", no_argument, NULL, PAIRED},
    {"table", no_argument, NULL, TABLE},
    {"markdown", no_argument, NULL, MARKDOWN},
    {"csv", required_argument, NULL, CSV},
    {"json", required_argument, NULL, JSON},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

enum { MOST_FILES = 64 };

/* "3" or "2.5". */
static int read_threshold(const char *text, double *threshold, fault *f)
{
    char *end = NULL;
    double percent = 0;
    if (text[0] >= '0' && text[0] <= '9') {
        percent = strtod(text, &end);
        if (*end == 0 && percent <= 100) {
            *threshold = percent / 100;
            return EXIT_FINE;
        }
    }
    return fault_set(f, EXIT_INPUT, "--threshold is \"%s\", expected percent from 0 to 100", text);
}

static int read_option(compare_options *o, int option, const char *text, fault *f)
{
    switch (option) {
    case THRESHOLD:
        return read_threshold(text, &o->threshold, f);
    case BY_ALGORITHM:
        o->by_algorithm = 1;
        return EXIT_FINE;
    case PAIRED:
        o->paired = 1;
        return EXIT_FINE;
    case TABLE:
        o->table = 1;
        return EXIT_FINE;
    case MARKDOWN:
        o->markdown = 1;
        return EXIT_FINE;
    case CSV:
        o->csv = text;
        return EXIT_FINE;
    case JSON:
        o->json = text;
        return EXIT_FINE;
    default:
        o->help = 1;
        return EXIT_FINE;
    }
}

static int read_options(int argc, char **argv, compare_options *o, fault *f)
{
    int option = 0;
    *o = (compare_options){.threshold = 0.03};
    while ((option = option_next_with_words(argc, argv, options, f)) != OPTION_END) {
        if (option == OPTION_WRONG)
            return f->exit_status;
        int status = read_option(o, option, optarg, f);
        if (status != EXIT_FINE || o->help)
            return status;
    }
    const int n_files = argc - optind;
    if (n_files < 2 || n_files > MOST_FILES)
        return fault_set(f, EXIT_INPUT, "compare is given %d of its 2 to %d files; see \"cldeform compare --help\"",
                         n_files, MOST_FILES);
    if (n_files > 2)
        o->table = 1;
    return EXIT_FINE;
}

/* ---- the comparison ---- */

static int compare_files(comparison *c, char **paths, size_t n_files, fault *f)
{
    int status = EXIT_FINE, common = 0;
    c->files = calloc(n_files, sizeof *c->files);
    if (!c->files)
        return fault_memory(f);
    c->lines.n_files = n_files;
    for (size_t k = 0; k < n_files && status == EXIT_FINE; k++)
        status = compare_load(paths[k], &c->files[k], f);
    if (status == EXIT_FINE)
        status = compare_match(c->files, n_files, c->options.by_algorithm, &c->lines, f);
    if (status != EXIT_FINE)
        return status;
    c->results = calloc(c->lines.n_lines * n_files + 1, sizeof *c->results);
    if (!c->results)
        return fault_memory(f);
    for (size_t i = 0; i < c->lines.n_lines; i++)
        for (size_t k = 1; k < n_files; k++) {
            const compare_row *old = compare_row_of(&c->lines, c->files, i, 0);
            const compare_row *new = compare_row_of(&c->lines, c->files, i, k);
            if (old || new)
                c->results[i * n_files + k] = compare_rows(old, new, c->options.threshold, c->options.paired);
            common = common || (old && new);
        }
    if (!common) /* a check that compares nothing must not pass */
        return fault_set(f, EXIT_INPUT, "%s has no row in common with %s", paths[0],
                         n_files == 2 ? paths[1] : "the other files");
    return EXIT_FINE;
}

static int write_file(const comparison *c, const char *path, int (*write)(const comparison *, FILE *, fault *),
                      fault *f)
{
    file_replacement file = {0};
    int status = path ? file_begin(&file, path, f) : EXIT_FINE;
    if (path && status == EXIT_FINE)
        status = write(c, file.stream, f);
    if (path && status == EXIT_FINE)
        status = file_close(&file, f);
    if (path && status == EXIT_FINE)
        status = file_commit(&file, f);
    file_release(&file);
    return status;
}

/* What a check is to fail with. */
static int judge(const comparison *c, fault *f)
{
    if (c->options.table)
        return EXIT_FINE;
    const size_t slower = compare_count(c, COMPARE_SLOWER), failing = compare_count(c, COMPARE_NOW_FAILS);
    if (slower + failing == 0)
        return EXIT_FINE;
    return fault_set(f, EXIT_MISMATCH, "slower: %zu of %zu rows; FAIL now: %zu", slower, c->lines.n_lines, failing);
}

int command_compare(int argc, char **argv, fault *f)
{
    comparison c = {0};
    int status = read_options(argc, argv, &c.options, f);
    if (status == EXIT_FINE && c.options.help) {
        print_lines(help);
        return EXIT_FINE;
    }
    if (status == EXIT_FINE)
        status = compare_files(&c, argv + optind, (size_t)(argc - optind), f);
    if (status == EXIT_FINE)
        status = write_file(&c, c.options.csv, compare_write_csv, f);
    if (status == EXIT_FINE)
        status = write_file(&c, c.options.json, compare_write_json, f);
    if (status == EXIT_FINE)
        status = compare_print(&c, f);
    if (status == EXIT_FINE)
        status = judge(&c, f);
    for (size_t k = 0; c.files && k < c.lines.n_files; k++)
        compare_unload(&c.files[k]);
    free(c.files);
    free(c.results);
    compare_lines_free(&c.lines);
    return status;
}
