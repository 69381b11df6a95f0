#if !defined(_WIN32) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#include "os.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *join(const char *directory, const char *name, const char *suffix)
{
    const size_t length = strlen(directory) + 1 + strlen(name) + strlen(suffix) + 1;
    char *path = malloc(length);
    if (path)
        snprintf(path, length, "%s/%s%s", directory, name, suffix);
    return path;
}

const char *cldeform__environment(const char *name)
{
    return getenv(name);
}

/* Reads what is left of an open file. */
static char *read_stream(FILE *file, size_t most, size_t *size)
{
    char *data = NULL;
    size_t length = 0, capacity = 0;
    for (;;) {
        if (length == capacity) {
            capacity = capacity ? capacity * 2 : 65536;
            char *larger = realloc(data, capacity + 1);
            if (!larger)
                break;
            data = larger;
        }
        const size_t got = fread(data + length, 1, capacity - length, file);
        length += got;
        if (length > most || ferror(file))
            break;
        if (got == 0) {
            data[length] = 0;
            *size = length;
            return data;
        }
    }
    free(data);
    return NULL;
}

#ifdef _WIN32

#include <windows.h>

void cldeform__mutex_init(cldeform__mutex *mutex)
{
    InitializeSRWLock((PSRWLOCK)mutex);
}
void cldeform__mutex_destroy(cldeform__mutex *mutex)
{
    (void)mutex;
}
void cldeform__mutex_lock(cldeform__mutex *mutex)
{
    AcquireSRWLockExclusive((PSRWLOCK)mutex);
}
void cldeform__mutex_unlock(cldeform__mutex *mutex)
{
    ReleaseSRWLockExclusive((PSRWLOCK)mutex);
}

char *cldeform__cache_directory(const char *name)
{
    const char *local = getenv("LOCALAPPDATA");
    return local && *local ? join(local, name, "") : NULL;
}

char *cldeform__read_file(const char *path, size_t most, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    char *data = read_stream(file, most, size);
    fclose(file);
    return data;
}

/* LOCALAPPDATA is the user's own by its access list. */
char *cldeform__read_trusted_file(const char *directory, const char *name, size_t most, size_t *size)
{
    char *path = join(directory, name, "");
    char *data = path ? cldeform__read_file(path, most, size) : NULL;
    free(path);
    return data;
}

bool cldeform__write_private_file(const char *directory, const char *name, const char *data, size_t size)
{
    bool written = false;
    char suffix[64];
    snprintf(suffix, sizeof suffix, ".%lu.%lu", GetCurrentProcessId(), GetCurrentThreadId());
    char *path = join(directory, name, ""), *temporary = join(directory, name, suffix);
    CreateDirectoryA(directory, NULL);
    FILE *file = path && temporary ? fopen(temporary, "wb") : NULL;
    if (file) {
        written = fwrite(data, 1, size, file) == size;
        written = fclose(file) == 0 && written;
        written = written && MoveFileExA(temporary, path, MOVEFILE_REPLACE_EXISTING);
        if (!written)
            remove(temporary);
    }
    free(path);
    free(temporary);
    return written;
}

#else

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

void cldeform__mutex_init(cldeform__mutex *mutex)
{
    pthread_mutex_init(&mutex->posix, NULL);
}

void cldeform__mutex_destroy(cldeform__mutex *mutex)
{
    pthread_mutex_destroy(&mutex->posix);
}

void cldeform__mutex_lock(cldeform__mutex *mutex)
{
    pthread_mutex_lock(&mutex->posix);
}

void cldeform__mutex_unlock(cldeform__mutex *mutex)
{
    pthread_mutex_unlock(&mutex->posix);
}

char *cldeform__cache_directory(const char *name)
{
    const char *xdg = getenv("XDG_CACHE_HOME");
    if (xdg && xdg[0] == '/') /* the specification ignores relative paths */
        return join(xdg, name, "");
    const char *home = getenv("HOME");
    if (!home || home[0] != '/')
        return NULL;
    char *cache = join(home, ".cache", "");
    char *path = cache ? join(cache, name, "") : NULL;
    free(cache);
    return path;
}

static char *read_descriptor(int descriptor, size_t most, size_t *size)
{
    char *data = NULL;
    FILE *file = fdopen(descriptor, "rb");
    if (file) {
        data = read_stream(file, most, size);
        fclose(file);
    } else {
        close(descriptor);
    }
    return data;
}

char *cldeform__read_file(const char *path, size_t most, size_t *size)
{
    struct stat facts;
    /* O_NONBLOCK: opening a pipe must not wait for a writer */
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return NULL;
    if (fstat(descriptor, &facts) != 0 || !S_ISREG(facts.st_mode)) {
        close(descriptor);
        return NULL;
    }
    return read_descriptor(descriptor, most, size);
}

static bool only_ours(const struct stat *facts)
{
    return (facts->st_uid == geteuid() || facts->st_uid == 0) && (facts->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

char *cldeform__read_trusted_file(const char *directory, const char *name, size_t most, size_t *size)
{
    struct stat facts;
    if (stat(directory, &facts) != 0 || !S_ISDIR(facts.st_mode) || !only_ours(&facts))
        return NULL;
    char *path = join(directory, name, "");
    const int descriptor = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW) : -1;
    free(path);
    if (descriptor < 0)
        return NULL;
    if (fstat(descriptor, &facts) != 0 || !S_ISREG(facts.st_mode) || !only_ours(&facts)) {
        close(descriptor);
        return NULL;
    }
    return read_descriptor(descriptor, most, size);
}

/* mkdir -p, private. */
static bool make_directory(const char *directory)
{
    char *path = join(directory, "", "");
    if (!path)
        return false;
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(path, S_IRWXU) != 0 && errno != EEXIST) {
            free(path);
            return false;
        }
        *slash = '/';
    }
    free(path);
    return true;
}

static bool write_all(int descriptor, const char *data, size_t size)
{
    while (size > 0) {
        const ssize_t written = write(descriptor, data, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        data += written;
        size -= (size_t)written;
    }
    return true;
}

bool cldeform__write_private_file(const char *directory, const char *name, const char *data, size_t size)
{
    bool written = false;
    struct stat facts;
    if (!make_directory(directory) || stat(directory, &facts) != 0 || !S_ISDIR(facts.st_mode) || !only_ours(&facts))
        return false;
    char *path = join(directory, name, ""), *temporary = join(directory, name, ".XXXXXX");
    const int descriptor = path && temporary ? mkstemp(temporary) : -1;
    if (descriptor >= 0) {
        written = write_all(descriptor, data, size) && fsync(descriptor) == 0;
        written = close(descriptor) == 0 && written;
        written = written && rename(temporary, path) == 0;
        if (!written)
            unlink(temporary);
    }
    free(path);
    free(temporary);
    return written;
}

#endif
