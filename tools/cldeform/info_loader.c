/* info_loader.c: the ICD loader and the drivers it is told of. Follows ocl-icd's rules, of which other loaders' are a
 * part: OCL_ICD_VENDORS is a directory, an .icd file or a driver library; else OPENCL_VENDOR_PATH is a directory. */
#define _GNU_SOURCE /* dladdr, dlinfo */
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#include "info.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cldeform/cldeform.h"
#include "describe.h"

#ifdef _WIN32 /* drivers are in the registry there */

json_t *info_loader(void)
{
    return json_pack("{s:n, s:n, s:n, s:n, s:n}", "path", "name", "vendor", "version", "opencl");
}

json_t *info_icd_search(void)
{
    return json_string("the registry");
}

json_t *info_icd_files(void)
{
    return json_array();
}

#else

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <sys/stat.h>
#ifdef __linux__
#include <link.h>
#endif

#define VENDORS_DIRECTORY "/etc/OpenCL/vendors"

/* ---- the loader ---- */

/* The loader's own query, which is not in Khronos' headers; clinfo uses it too. */
typedef cl_int(CL_API_CALL *loader_query)(cl_uint name, size_t size, void *value, size_t *needed);
enum { LOADER_OPENCL = 1, LOADER_VERSION = 2, LOADER_NAME = 3, LOADER_VENDOR = 4 };

static json_t *ask_loader(loader_query query, cl_uint name)
{
    char text[256] = "";
    if (!query || query(name, sizeof text - 1, text, NULL) != CL_SUCCESS)
        return json_null();
    return describe_string(text);
}

static json_t *find_loader(void)
{
    Dl_info where;
    void *symbol = dlsym(RTLD_DEFAULT, "clGetPlatformIDs");
    if (!symbol || !dladdr(symbol, &where) || !where.dli_fname)
        return json_null();
    char *path = realpath(where.dli_fname, NULL);
    json_t *text = describe_string(path ? path : where.dli_fname);
    free(path);
    return text;
}

json_t *info_loader(void)
{
    loader_query query = NULL;
    void *address = clGetExtensionFunctionAddress("clGetICDLoaderInfoOCLICD");
    memcpy(&query, &address, sizeof query); /* ISO C has no cast from an object's pointer to a function's */
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "path", find_loader(), "name", ask_loader(query, LOADER_NAME),
                     "vendor", ask_loader(query, LOADER_VENDOR), "version", ask_loader(query, LOADER_VERSION), "opencl",
                     ask_loader(query, LOADER_OPENCL));
}

/* ---- where it looks ---- */

typedef enum search_kind { SEARCH_DIRECTORY, SEARCH_FILE, SEARCH_LIBRARY } search_kind;

typedef struct search {
    search_kind kind;
    const char *variable; /* NULL: the default */
    char path[PATH_MAX];
} search;

static const char *get_variable(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

static int is_directory(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

static int ends_in_icd(const char *name)
{
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".icd") == 0;
}

static search find_search(void)
{
    search s = {.kind = SEARCH_DIRECTORY};
    const char *vendors = get_variable("OCL_ICD_VENDORS"), *directory = get_variable("OPENCL_VENDOR_PATH");
    s.variable = vendors ? "OCL_ICD_VENDORS" : directory ? "OPENCL_VENDOR_PATH" : NULL;
    if (!directory)
        directory = VENDORS_DIRECTORY;
    if (!vendors) {
        snprintf(s.path, sizeof s.path, "%s", directory);
        return s;
    }
    if (is_directory(vendors)) {
        snprintf(s.path, sizeof s.path, "%s", vendors);
        return s;
    }
    s.kind = ends_in_icd(vendors) ? SEARCH_FILE : SEARCH_LIBRARY;
    if (s.kind == SEARCH_FILE && !strchr(vendors, '/')) {
        struct stat facts;
        snprintf(s.path, sizeof s.path, "%s/%s", directory, vendors);
        if (stat(s.path, &facts) == 0)
            return s;
    }
    snprintf(s.path, sizeof s.path, "%s", vendors);
    return s;
}

json_t *info_icd_search(void)
{
    static const char *const kinds[] = {"the .icd files in", "the .icd file", "the driver library"};
    search s = find_search();
    char text[PATH_MAX + 128];
    snprintf(text, sizeof text, "%s %s (%s%s)", kinds[s.kind], s.path, s.variable ? "as says " : "the default",
             s.variable ? s.variable : "");
    return describe_string(text);
}

/* ---- what it finds ---- */

/* Fills path, or error with the reason that the dynamic linker gives. */
static void probe_library(const char *library, json_t *entry)
{
    void *handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
    if (!handle) {
        const char *reason = dlerror();
        json_object_set_new(entry, "error", describe_string(reason ? reason : "cannot be loaded"));
        return;
    }
    const char *path = library;
#ifdef __linux__
    struct link_map *map = NULL;
    if (dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map && map->l_name && map->l_name[0])
        path = map->l_name;
#endif
    json_object_set_new(entry, "path", describe_string(path));
    dlclose(handle);
}

static json_t *describe_library(const char *file, const char *library)
{
    json_t *entry = json_pack("{s:o, s:o, s:n, s:n}", "file", file ? describe_string(file) : json_null(), "library",
                              describe_string(library), "path", "error");
    if (entry)
        probe_library(library, entry);
    return entry;
}

/* Loaders take the first line. */
static json_t *describe_icd(const char *file)
{
    char line[PATH_MAX] = "";
    const char *reason = NULL;
    FILE *stream = fopen(file, "r");
    if (!stream)
        reason = strerror(errno);
    else if (!fgets(line, sizeof line, stream))
        reason = "names no library";
    if (stream)
        fclose(stream);
    size_t length = strlen(line);
    while (length > 0 && isspace((unsigned char)line[length - 1]))
        line[--length] = 0;
    if (!reason && length == 0)
        reason = "names no library";
    if (reason)
        return json_pack("{s:o, s:n, s:n, s:s}", "file", describe_string(file), "library", "path", "error", reason);
    return describe_library(file, line);
}

static int is_icd(const struct dirent *entry)
{
    return ends_in_icd(entry->d_name);
}

static json_t *list_directory(const char *directory)
{
    json_t *files = json_array();
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, is_icd, alphasort);
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX + 260];
        snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
        json_array_append_new(files, describe_icd(path));
        free(entries[i]);
    }
    free(entries);
    return files;
}

json_t *info_icd_files(void)
{
    search s = find_search();
    if (s.kind == SEARCH_DIRECTORY)
        return list_directory(s.path);
    json_t *files = json_array();
    json_array_append_new(files, s.kind == SEARCH_FILE ? describe_icd(s.path) : describe_library(NULL, s.path));
    return files;
}

#endif
