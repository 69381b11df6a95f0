/* files.h: the operating system's part of reading and writing files: sizes, and replacing a file whole or not at all.
 * Linux is tested; Windows (MinGW) is written for and untested. Knows nothing of what the files hold. */
#ifndef TOOLS_FILES_H
#define TOOLS_FILES_H

#include <stdint.h>
#include <stdio.h>

#include "fault.h"

/* A file that is written under a temporary name in the target's directory until it is committed. All zero: none. */
typedef struct file_replacement {
    char *target, *temporary; /* temporary NULL: committed, or never begun */
    char *backup;             /* what the target was before it was committed; NULL: nothing, or no longer kept */
    int committed;
    FILE *stream;
} file_replacement;

/* Opens r->stream. A symbolic link is followed; anything but a regular file (a device, a pipe, a directory) is refused
 * rather than replaced. An existing file's permissions are kept. */
int file_begin(file_replacement *r, const char *path, fault *f);

/* Closes the stream and says whether everything reached the file. */
int file_close(file_replacement *r, fault *f);

/* The target now is the new file, in one step. After file_close. */
int file_commit(file_replacement *r, fault *f);

/* After file_commit: the target is again what it was before. For when another file of the same set cannot be replaced.
 */
void file_undo(file_replacement *r);

/* Whether two begun replacements are of one file. */
int file_same(const file_replacement *a, const file_replacement *b);

/* Releases r, and removes what is left of temporary files. r may be all zero. */
void file_release(file_replacement *r);

/* A new, empty folder for temporary files, of this user alone. Not on Windows, where it refuses. */
int file_make_folder(char *path, size_t capacity, fault *f);

/* Bytes of a regular file; -1 for anything else (a pipe), which has no size before its end. */
int64_t file_size(FILE *stream);

#endif
