/* Everything that depends on the operating system: threads, environment, files. Linux is tested; macOS and Windows are
 * written for and untested. Includes no OpenCL. */
#ifndef CLDEFORM_OS_H
#define CLDEFORM_OS_H

#include <stdbool.h>
#include <stddef.h>

#if defined(_MSC_VER)
#define CLDEFORM__THREAD_LOCAL __declspec(thread)
#else
#define CLDEFORM__THREAD_LOCAL _Thread_local
#endif

#ifdef _WIN32
typedef struct cldeform__mutex {
    void *srw_lock;
} cldeform__mutex;
#define CLDEFORM__MUTEX_INIT                                                                                           \
    {                                                                                                                  \
        0                                                                                                              \
    }
#else
#include <pthread.h>
typedef struct cldeform__mutex {
    pthread_mutex_t posix;
} cldeform__mutex;
#define CLDEFORM__MUTEX_INIT                                                                                           \
    {                                                                                                                  \
        PTHREAD_MUTEX_INITIALIZER                                                                                      \
    }
#endif

void cldeform__mutex_init(cldeform__mutex *mutex);
void cldeform__mutex_destroy(cldeform__mutex *mutex);
void cldeform__mutex_lock(cldeform__mutex *mutex);
void cldeform__mutex_unlock(cldeform__mutex *mutex);

/* The variable's value, or NULL when unset. */
const char *cldeform__environment(const char *name);

/* The user's cache directory for `name`, not created: $XDG_CACHE_HOME/name (if absolute) or ~/.cache/name; Windows:
 * %LOCALAPPDATA%\name. malloc'ed; NULL when there is none. */
char *cldeform__cache_directory(const char *name);

/* The whole file as malloc'ed bytes with a 0 after them, or NULL: absent, larger than `most`, not a regular file, or no
 * memory. */
char *cldeform__read_file(const char *path, size_t most, size_t *size);

/* The same for code that will be run: also NULL when path is a link, or the file or its directory could have been
 * written by others than this user and root. */
char *cldeform__read_trusted_file(const char *directory, const char *name, size_t most, size_t *size);

/* Writes a file, readable by this user alone, that appears under its name whole or not at all. Creates the directory
 * (and its parents) where missing. false, and nothing left behind, when that cannot be done, or when others could write
 * to the directory. */
bool cldeform__write_private_file(const char *directory, const char *name, const char *data, size_t size);

#endif
