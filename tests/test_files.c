/* Several files replaced together: all of them, or none. */
#define _XOPEN_SOURCE 700
#include "files.h"
#include "npy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/cldeform_files_XXXXXX";

static void write_text(const char *path, const char *text)
{
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
}

static void expect_text(const char *path, const char *text)
{
    char found[100] = "";
    FILE *stream = fopen(path, "r");
    assert_non_null(stream);
    assert_non_null(fgets(found, sizeof found, stream));
    fclose(stream);
    assert_string_equal(found, text);
}

static int count_files(void)
{
    int count = -1;
    FILE *pipe = popen("ls -A . | wc -l", "r");
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    return count;
}

/* Two ready to be committed. The second cannot be: a directory has come in its place. */
static void a_failure_undoes_the_others(void **state)
{
    (void)state;
    for (int existed = 0; existed < 2; existed++) {
        file_replacement files[2] = {{0}};
        fault f = {0};
        const char *paths[2] = {"a", "b"};
        if (existed)
            write_text("a", "old");
        for (int i = 0; i < 2; i++) {
            assert_int_equal(file_begin(&files[i], paths[i], &f), EXIT_FINE);
            assert_true(fputs("new", files[i].stream) >= 0);
            assert_int_equal(file_close(&files[i], &f), EXIT_FINE);
        }
        assert_int_equal(mkdir("b", 0700), 0);
        assert_int_equal(file_commit(&files[0], &f), EXIT_FINE);
        expect_text("a", "new");
        assert_int_equal(file_commit(&files[1], &f), EXIT_INPUT);
        file_undo(&files[0]);
        file_undo(&files[1]);
        for (int i = 0; i < 2; i++)
            file_release(&files[i]);
        if (existed)
            expect_text("a", "old");
        else
            assert_int_not_equal(access("a", F_OK), 0);
        assert_int_equal(rmdir("b"), 0);
        assert_int_equal(count_files(), existed);
        remove("a");
    }
}

static void committed_files_stay(void **state)
{
    (void)state;
    file_replacement file = {0};
    fault f = {0};
    write_text("a", "old");
    assert_int_equal(file_begin(&file, "a", &f), EXIT_FINE);
    assert_true(fputs("new", file.stream) >= 0);
    assert_int_equal(file_close(&file, &f), EXIT_FINE);
    assert_int_equal(file_commit(&file, &f), EXIT_FINE);
    file_release(&file);
    expect_text("a", "new");
    assert_int_equal(count_files(), 1);
    remove("a");
}

static void one_file_under_two_names(void **state)
{
    (void)state;
    npy_array array = {0};
    fault f = {0};
    const int64_t shape[] = {2};
    char whole[200];
    assert_int_equal(npy_create(&array, CLDEFORM_F32, 1, shape, &f), EXIT_FINE);
    snprintf(whole, sizeof whole, "%s/a", directory);
    const char *names[] = {"./a", whole, ".//a", "link"};
    write_text("old", "old");
    assert_int_equal(symlink("old", "link"), 0);
    for (size_t i = 0; i < 4; i++) {
        const npy_output outputs[] = {{i == 3 ? "old" : "a", &array}, {names[i], &array}};
        memset(&f, 0, sizeof f);
        assert_int_equal(npy_write_all(outputs, 2, &f), EXIT_INPUT);
        assert_int_equal(count_files(), 2);
        expect_text("old", "old");
    }
    remove("link");
    remove("old");
    npy_free(&array);
}

static void names_that_no_file_can_have(void **state)
{
    (void)state;
    char longest[400];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    const char *names[] = {"", longest, "no/such/directory", "/dev/null"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        file_replacement file = {0};
        fault f = {0};
        assert_int_equal(file_begin(&file, names[i], &f), EXIT_INPUT);
        file_release(&file);
        assert_int_equal(count_files(), 0);
    }
}

static int enter(void **state)
{
    (void)state;
    return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    return chdir("/") == 0 && rmdir(directory) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_undoes_the_others),
        cmocka_unit_test(committed_files_stay),
        cmocka_unit_test(one_file_under_two_names),
        cmocka_unit_test(names_that_no_file_can_have),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
