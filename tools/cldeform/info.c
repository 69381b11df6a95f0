/* info.c: the doctor: what OpenCL there is, what the library uses of it, and what to do where there is none. */
#include "info.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

static const char *const help[] = {
    "usage: cldeform info [--json]",
    "",
    "Lists the OpenCL loader, the drivers it was told of, platforms, devices, what the library will use of each "
    "(caches,",
    "tuning), and which device is the default. Where no device is found it says what was looked for and what to "
    "install.",
    "",
    "  --json   one JSON object: version, loader, icd_search, icd_files, platforms (each with its devices, each with",
    "           \"index\", the name that --device takes, and \"library\", what the library will use), default_device,",
    "           default_reason, and advice where there is no device",
    "",
    "Exit status: 0; 1 where no device is found.",
    "Example: cldeform info",
    NULL,
};

static const char *get_text(const json_t *object, const char *key, const char *absent)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && text[0] ? text : absent;
}

/* Strings without quotes; everything else as JSON has it. */
static void print_value(int indent, const char *key, const json_t *value)
{
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
    printf("%*s%-22s %s\n", indent, "", key, text ? text : json_is_string(value) ? json_string_value(value) : "");
    free(text);
}

static void print_fields(int indent, json_t *object, const char *except)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(object, key, value)
    {
        if (strcmp(key, except) != 0)
            print_value(indent, key, value);
    }
}

static void print_drivers(const json_t *facts)
{
    size_t i = 0;
    json_t *entry = NULL;
    const json_t *loader = json_object_get(facts, "loader"), *files = json_object_get(facts, "icd_files");
    printf("loader: %s, %s %s, %s\n", get_text(loader, "path", "unknown path"),
           get_text(loader, "name", "unknown name"), get_text(loader, "version", ""),
           get_text(loader, "opencl", "unknown OpenCL version"));
    printf("drivers: %s\n", get_text(facts, "icd_search", ""));
    if (json_array_size(files) == 0)
        printf("  none\n");
    json_array_foreach(files, i, entry)
    {
        const char *path = get_text(entry, "path", NULL);
        printf("  %s: %s: %s %s\n", get_text(entry, "file", "(no file)"), get_text(entry, "library", "(no library)"),
               path ? "found," : "NOT FOUND,", path ? path : get_text(entry, "error", ""));
    }
}

static void print_platforms(const json_t *facts)
{
    size_t i = 0, k = 0;
    json_t *platform = NULL, *device = NULL;
    const json_t *platforms = json_object_get(facts, "platforms");
    if (json_array_size(platforms) == 0)
        printf("platforms: none\n");
    json_array_foreach(platforms, i, platform)
    {
        json_t *devices = json_object_get(platform, "devices");
        printf("\nplatform %zu: %s, %s\n", i, get_text(platform, "name", "(no name)"),
               get_text(platform, "version", ""));
        if (json_array_size(devices) == 0)
            printf("  no devices. %s\n",
                   get_text(platform, "error", get_text(platform, "hint", "None of its drivers fits.")));
        json_array_foreach(devices, k, device)
        {
            printf("  device %s: %s\n", get_text(device, "index", "?"), get_text(device, "name", "(no name)"));
            print_fields(4, device, "library");
            printf("    the library will use:\n");
            print_fields(6, json_object_get(device, "library"), "");
        }
    }
}

static void print_text(const json_t *facts)
{
    size_t i = 0;
    json_t *line = NULL;
    printf("cldeform %s\n\n", get_text(facts, "version", "?"));
    print_drivers(facts);
    print_platforms(facts);
    printf("\ndefault device: %s", get_text(facts, "default_device", "none"));
    if (get_text(facts, "default_reason", NULL))
        printf(" (%s)", get_text(facts, "default_reason", NULL));
    printf("\n");
    json_t *advice = json_object_get(facts, "advice");
    if (advice)
        printf("\nNo OpenCL device was found. What helps (Debian and Ubuntu package names):\n");
    json_array_foreach(advice, i, line)
    {
        printf("  * %s\n", json_string_value(line));
    }
}

int command_info(int argc, char **argv, fault *f)
{
    enum { JSON = OPTION_FIRST };
    static const struct option options[] = {
        {"json", no_argument, NULL, JSON},
        {"help", no_argument, NULL, OPTION_HELP},
        {NULL, 0, NULL, 0},
    };
    int as_json = 0, option = 0;
    while ((option = option_next(argc, argv, options, f)) != OPTION_END) {
        if (option == OPTION_WRONG)
            return f->exit_status;
        if (option == OPTION_HELP) {
            print_lines(help);
            return EXIT_FINE;
        }
        as_json = 1;
    }

    json_t *facts = NULL;
    int status = info_collect(&facts, f);
    if (status != EXIT_FINE)
        return status;
    if (as_json) {
        json_dumpf(facts, stdout, JSON_INDENT(2));
        printf("\n");
    } else {
        print_text(facts);
    }
    if (json_object_get(facts, "advice"))
        status = fault_set(f, EXIT_DEVICE, "no OpenCL device was found");
    json_decref(facts);
    return status;
}
