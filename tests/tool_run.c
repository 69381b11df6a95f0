/* tool_run.c: see tool_run.h. */
#define _XOPEN_SOURCE 700
#include "tool_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

tool_result tool;

static char directory[32];

int tool_enter_directory(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/cldeform_tool_XXXXXX");
    return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

int tool_enter_without_device(void **state)
{
    if (tool_enter_directory(state) != 0 || mkdir("vendors", 0700) != 0)
        return -1;
    tool_environment("OCL_ICD_VENDORS", "vendors");
    tool_environment("CLDEFORM_DEVICE", NULL);
    return 0;
}

static int remove_entry(const char *path, const struct stat *facts, int type, struct FTW *where)
{
    (void)facts;
    (void)type;
    (void)where;
    return remove(path);
}

int tool_leave_directory(void **state)
{
    (void)state;
    return chdir("/") == 0 && nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : -1;
}

void tool_environment(const char *name, const char *value)
{
    assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

void tool_put_file(const char *path, const void *bytes, size_t size)
{
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_true(size == 0 || fwrite(bytes, size, 1, stream) == 1);
    assert_int_equal(fclose(stream), 0);
}

size_t tool_get_file(const char *path, void *bytes, size_t capacity)
{
    FILE *stream = fopen(path, "rb");
    if (!stream)
        fail_msg("%s is not there; the tool printed: %s", path, tool.err);
    size_t size = fread(bytes, 1, capacity, stream);
    fclose(stream);
    return size;
}

int tool_count_files(void)
{
    int count = 0;
    DIR *d = opendir(".");
    assert_non_null(d);
    while (readdir(d))
        count++;
    closedir(d);
    return count - 2;
}

static void get_text(const char *path, char *text, size_t capacity)
{
    size_t size = tool_get_file(path, text, capacity);
    assert_true(size < capacity);
    text[size] = 0;
    assert_int_equal(remove(path), 0);
}

/* Mesa's drivers print warnings of their own, which are not the tool's lines. */
static void remove_driver_lines(char *text)
{
    char *line = text;
    while (*line) {
        char *end = strchr(line, '\n');
        char *next = end ? end + 1 : line + strlen(line);
        if (strncmp(line, "MESA: ", 6) == 0)
            memmove(line, next, strlen(next) + 1);
        else
            line = next;
    }
}

static void run(const char *format, va_list values)
{
    char words[4096], command[8192];
    const char *program = getenv("CLDEFORM_TOOL");
    if (!program)
        program = CLDEFORM_TOOL;
    int length = vsnprintf(words, sizeof words, format, values);
    assert_true(length >= 0 && (size_t)length < sizeof words);
    length = snprintf(command, sizeof command, "{ '%s' %s; } >tool.out 2>tool.err", program, words);
    assert_true((size_t)length < sizeof command);
    int status = system(command);
    tool.exit_status = status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    get_text("tool.out", tool.out, sizeof tool.out);
    get_text("tool.err", tool.err, sizeof tool.err);
    remove_driver_lines(tool.err);
}

void tool_run(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    run(format, values);
    va_end(values);
}

void tool_assert_success(void)
{
    assert_string_equal(tool.err, "");
    assert_int_equal(tool.exit_status, 0);
}

static void check_failure(int exit_status)
{
    size_t length = strlen(tool.err);
    if (tool.exit_status != exit_status)
        fail_msg("exit status %d, expected %d; it printed: %s", tool.exit_status, exit_status, tool.err);
    assert_true(length > 0 && strchr(tool.err, '\n') == tool.err + length - 1);
    assert_memory_equal(tool.err, "cldeform: ", 10);
}

void tool_assert_failure(int exit_status, const char *message)
{
    check_failure(exit_status);
    tool.err[strlen(tool.err) - 1] = 0;
    assert_string_equal(tool.err + 10, message);
}

void tool_assert_failure_with(int exit_status, const char *part)
{
    check_failure(exit_status);
    if (!strstr(tool.err, part))
        fail_msg("the message lacks \"%s\": %s", part, tool.err);
}

void tool_assert_refused(const char *message, const char *format, ...)
{
    const int files = tool_count_files();
    va_list values;
    va_start(values, format);
    run(format, values);
    va_end(values);
    tool_assert_failure(2, message);
    assert_string_equal(tool.out, "");
    assert_int_equal(tool_count_files(), files);
}

void tool_assert_help(const char *command, const char *const *options)
{
    char usage[64];
    snprintf(usage, sizeof usage, "usage: cldeform %s ", command);
    tool_run("%s --help", command);
    tool_assert_success();
    assert_memory_equal(tool.out, usage, strlen(usage));
    assert_non_null(strstr(tool.out, "\nExample: cldeform "));
    assert_non_null(strstr(tool.out, "\nExit status: "));
    for (; *options; options++)
        if (!strstr(tool.out, *options))
            fail_msg("the help of %s lacks %s", command, *options);
}

static const char before[] = "before";

void tool_put_before(const char *path)
{
    tool_put_file(path, before, sizeof before);
}

void tool_assert_untouched(const char *path)
{
    char kept[16];
    assert_int_equal(tool_get_file(path, kept, sizeof kept), sizeof before);
    assert_memory_equal(kept, before, sizeof before);
}
