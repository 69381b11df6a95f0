/* tool_run.h: runs the built command line tool in a temporary directory and keeps what it printed. */
#ifndef TESTS_TOOL_RUN_H
#define TESTS_TOOL_RUN_H

#include <stddef.h>

typedef struct tool_result {
    int exit_status; /* -1: it was killed by a signal */
    char out[65536], err[8192];
} tool_result;

/* Of the last run. */
extern tool_result tool;

/* Group setup and teardown: the tests' working directory is a new, empty one, which is removed with all it holds. */
int tool_enter_directory(void **state);
int tool_leave_directory(void **state);

/* Instead: as well, and the tool finds no OpenCL device. The loader is shown the empty directory "vendors". */
int tool_enter_without_device(void **state);

/* What the tool then says. */
#define TOOL_NO_DEVICE "no OpenCL device was found; \"cldeform info\" says what was looked for and what to install"

/* The words after the program's name, as a shell reads them. The tool is the one that the environment variable
 * CLDEFORM_TOOL names, else the one the tests were built with. */
#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
void tool_run(const char *format, ...);

/* Runs from here on see this environment variable; NULL value: they do not. */
void tool_environment(const char *name, const char *value);

/* After a run: success, without a word on standard error. */
void tool_assert_success(void);

/* After a run: that exit status and exactly one line on standard error, "cldeform: " and then `message`. */
void tool_assert_failure(int exit_status, const char *message);

/* As above, the line only containing `part`. */
void tool_assert_failure_with(int exit_status, const char *part);

/* Runs it: as tool_assert_failure(2, message), without a word on standard output, and no file was made. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void tool_assert_refused(const char *message, const char *format, ...);

/* That the command's help is there, and names each of the options; NULL after the last. */
void tool_assert_help(const char *command, const char *const *options);

/* A file with a few bytes, and that it still has them. */
void tool_put_before(const char *path);
void tool_assert_untouched(const char *path);

void tool_put_file(const char *path, const void *bytes, size_t size);

/* Bytes read, at most capacity. Fails the test if there is no such file. */
size_t tool_get_file(const char *path, void *bytes, size_t capacity);

/* Entries of the working directory: a temporary file that is left over shows. */
int tool_count_files(void);

#endif
