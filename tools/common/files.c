/* files.c: see files.h. */
#define _XOPEN_SOURCE 700
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef _WIN32
#include <windows.h>
#define realpath(path, resolved) _fullpath(resolved, path, 0)
#define fchmod(descriptor, mode) ((void)(descriptor), (void)(mode), 0)
#define link(from, to)           (CreateHardLinkA(to, from, NULL) ? 0 : -1)
#define rename(from, to)         (MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING) ? 0 : (errno = EACCES, -1))
#else
#define O_BINARY 0
#endif

/* Length of the directory part of a path, with its last separator. */
static size_t measure_directory(const char *path)
{
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] != '/'
#ifdef _WIN32
           && path[length - 1] != '\\' && path[length - 1] != ':'
#endif
    )
        length--;
    return length;
}

/* O_EXCL and a mode of 0666, not mkstemp: the umask then gives the file the permissions any new file gets. */
static int open_temporary(file_replacement *r, fault *f)
{
    size_t directory = measure_directory(r->target);
    size_t capacity = directory + 64;
    r->temporary = malloc(capacity);
    if (!r->temporary)
        return fault_memory(f);
    int descriptor = -1;
    for (int attempt = 0; attempt < 1000 && descriptor < 0; attempt++) {
        snprintf(r->temporary, capacity, "%.*s.cldeform-%ld-%d.tmp", (int)directory, r->target, (long)getpid(),
                 attempt);
        descriptor = open(r->temporary, O_WRONLY | O_CREAT | O_EXCL | O_BINARY, 0666);
        if (descriptor < 0 && errno != EEXIST)
            break;
    }
    if (descriptor >= 0)
        r->stream = fdopen(descriptor, "wb");
    if (!r->stream) {
        int status = fault_set(f, EXIT_INPUT, "%s cannot be written: %s", r->target, strerror(errno));
        if (descriptor >= 0) {
            close(descriptor);
            remove(r->temporary);
        }
        free(r->temporary);
        r->temporary = NULL;
        return status;
    }
    return EXIT_FINE;
}

/* The path of a file that need not exist, in a directory that must: one name for one file. NULL: no such directory, or
 * no memory. */
static char *resolve(const char *path)
{
    size_t length = measure_directory(path);
    const char *name = path + length;
    char *resolved = NULL, *real = NULL, *directory = malloc(length + 1);
    if (!directory)
        return NULL;
    memcpy(directory, path, length);
    directory[length] = 0;
    real = realpath(length > 0 ? directory : ".", NULL);
    if (real && (resolved = malloc(strlen(real) + strlen(name) + 2)) != NULL)
        sprintf(resolved, "%s/%s", real, name);
    free(real);
    free(directory);
    return resolved;
}

int file_begin(file_replacement *r, const char *path, fault *f)
{
    struct stat existing;
    int exists = stat(path, &existing) == 0;
    if (!*path)
        return fault_set(f, EXIT_INPUT, "the name of a file to write is empty");
    if (!exists && errno != ENOENT)
        return fault_set(f, EXIT_INPUT, "%s cannot be written: %s", path, strerror(errno));
    if (exists && !S_ISREG(existing.st_mode))
        return fault_set(f, EXIT_INPUT, "%s is not a regular file, so it cannot be replaced whole", path);
    r->target = exists ? realpath(path, NULL) : resolve(path);
    if (!r->target) {
        size_t bytes = strlen(path) + 1;
        r->target = malloc(bytes);
        if (!r->target)
            return fault_memory(f);
        memcpy(r->target, path, bytes);
    }
    int status = open_temporary(r, f);
    if (status == EXIT_FINE && exists)
        (void)fchmod(fileno(r->stream),
                     existing.st_mode & 07777); /* best effort: a foreign file's mode may not stick */
    return status;
}

int file_close(file_replacement *r, fault *f)
{
    int failed = ferror(r->stream);
    failed = fclose(r->stream) != 0 || failed;
    r->stream = NULL;
    if (failed)
        return fault_set(f, EXIT_INPUT, "%s cannot be written: %s", r->target, strerror(errno));
    return EXIT_FINE;
}

int file_commit(file_replacement *r, fault *f)
{
    size_t bytes = strlen(r->temporary) + sizeof ".old";
    r->backup = malloc(bytes);
    if (!r->backup)
        return fault_memory(f);
    snprintf(r->backup, bytes, "%s.old", r->temporary);
    if (link(r->target, r->backup) != 0) { /* nothing was there; or a file system without links, where undo removes */
        free(r->backup);
        r->backup = NULL;
    }
    if (rename(r->temporary, r->target) != 0)
        return fault_set(f, EXIT_INPUT, "%s cannot be replaced: %s", r->target, strerror(errno));
    free(r->temporary);
    r->temporary = NULL;
    r->committed = 1;
    return EXIT_FINE;
}

void file_undo(file_replacement *r)
{
    if (!r->committed)
        return;
    if (r->backup)
        (void)rename(r->backup, r->target);
    else
        (void)remove(r->target);
    free(r->backup);
    r->backup = NULL;
}

int file_same(const file_replacement *a, const file_replacement *b)
{
    return strcmp(a->target, b->target) == 0;
}

void file_release(file_replacement *r)
{
    if (r->stream)
        fclose(r->stream);
    if (r->temporary)
        remove(r->temporary);
    if (r->backup)
        remove(r->backup);
    free(r->temporary);
    free(r->backup);
    free(r->target);
    memset(r, 0, sizeof *r);
}

int file_make_folder(char *path, size_t capacity, fault *f)
{
#ifdef _WIN32
    (void)capacity;
    path[0] = 0;
    return fault_set(f, EXIT_DEVICE, "folders for temporary files are not written for Windows");
#else
    const char *parent = getenv("TMPDIR");
    if (!parent || !*parent)
        parent = "/tmp";
    const int length = snprintf(path, capacity, "%s/cldeform-XXXXXX", parent);
    if (length > 0 && (size_t)length < capacity && mkdtemp(path))
        return EXIT_FINE;
    path[0] = 0;
    return fault_set(f, EXIT_DEVICE, "no folder for temporary files can be made in %s (TMPDIR)", parent);
#endif
}

int64_t file_size(FILE *stream)
{
    struct stat facts;
    if (fstat(fileno(stream), &facts) != 0 || !S_ISREG(facts.st_mode))
        return -1;
    return (int64_t)facts.st_size;
}
