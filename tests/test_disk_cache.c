/* The disk cache gives back what was stored under the key, or nothing. */
#define _POSIX_C_SOURCE 200809L
#include "device.h"
#include "disk_cache.h"
#include "os.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char key[] = "device X\ndriver 1.2\n";
static const unsigned char binary[] = "\x7f"
                                      "ELF\0\1\2 some kernel \0 with zeros";

static char directory[64];
static char path[400]; /* of the only file in it */

static int create_directory(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/cldeform_cache_XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

/* Removes what is in the directory; remembers the last name in `path`. */
static int visit_files(bool delete)
{
    int n = 0;
    DIR *open = opendir(directory);
    for (struct dirent *entry = open ? readdir(open) : NULL; entry; entry = readdir(open)) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (delete)
            remove(path);
        n++;
    }
    if (open)
        closedir(open);
    return n;
}

static int remove_directory(void **state)
{
    (void)state;
    chmod(directory, 0700);
    visit_files(true);
    return rmdir(directory);
}

static bool loads(const char *from_key)
{
    size_t size = 0;
    unsigned char *found = cldeform__disk_cache_load(directory, from_key, &size);
    const bool right = found && size == sizeof binary && memcmp(found, binary, sizeof binary) == 0;
    assert_true(right || !found); /* never anything else */
    free(found);
    return right;
}

static void store(void)
{
    assert_true(cldeform__disk_cache_store(directory, key, binary, sizeof binary));
    assert_int_equal(visit_files(false), 1); /* and no temporary file is left */
}

static void what_was_stored_comes_back(void **state)
{
    (void)state;
    assert_false(loads(key));
    store();
    assert_true(loads(key));
    assert_false(loads("device X\ndriver 1.3\n"));
    assert_false(loads("device X\ndriver 1.2\n more"));
    assert_false(loads(""));
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
}

static void write_file(const unsigned char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void every_damage_is_noticed(void **state)
{
    (void)state;
    unsigned char bytes[400];
    store();
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_true(size > sizeof binary + sizeof key && size < sizeof bytes);
    for (size_t i = 0; i < size; i++) { /* one bit or more of each byte */
        for (int bit = 0; bit < 9; bit++) {
            const unsigned char flip = (unsigned char)(bit < 8 ? 1 << bit : 0xff);
            bytes[i] ^= flip;
            write_file(bytes, size);
            assert_false(loads(key));
            bytes[i] ^= flip;
        }
    }
    for (size_t cut = 0; cut < size; cut++) {
        write_file(bytes, cut);
        assert_false(loads(key));
    }
    bytes[size] = 0;
    write_file(bytes, size + 1);
    assert_false(loads(key));
    write_file(bytes, size);
    assert_true(loads(key));
}

static void foreign_files_are_not_taken(void **state)
{
    (void)state;
    store();
    char other[500];
    snprintf(other, sizeof other, "%s.moved", path);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink(other, path), 0);
    assert_false(loads(key));
    assert_int_equal(remove(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(loads(key)); /* and does not wait for a writer */
    assert_int_equal(remove(path), 0);
    assert_int_equal(rename(other, path), 0);
    assert_true(loads(key));

    assert_int_equal(chmod(path, 0620), 0); /* others could have written it */
    assert_false(loads(key));
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(chmod(directory, 0777), 0);
    assert_false(loads(key));
    assert_false(cldeform__disk_cache_store(directory, key, binary, sizeof binary));
    assert_int_equal(chmod(directory, 0700), 0);
    assert_true(loads(key));
    if (geteuid() == 0) { /* of a third user */
        assert_int_equal(chown(path, 12345, 12345), 0);
        assert_false(loads(key));
    }
}

static void a_place_that_cannot_be_written_costs_only_time(void **state)
{
    (void)state;
    assert_false(cldeform__disk_cache_store("/proc/nowhere", key, binary, sizeof binary));
    char below_file[500];
    store();
    snprintf(below_file, sizeof below_file, "%s/cache", path);
    assert_false(cldeform__disk_cache_store(below_file, key, binary, sizeof binary));
    size_t size = 0;
    assert_null(cldeform__disk_cache_load(below_file, key, &size));
    assert_false(cldeform__disk_cache_store(directory, key, binary, 0));
}

static void missing_directories_are_made(void **state)
{
    (void)state;
    char deep[200];
    snprintf(deep, sizeof deep, "%s/a/b", directory);
    assert_true(cldeform__disk_cache_store(deep, key, binary, sizeof binary));
    size_t size = 0;
    unsigned char *found = cldeform__disk_cache_load(deep, key, &size);
    assert_non_null(found);
    free(found);
    char command[300];
    snprintf(command, sizeof command, "rm -r %s/a", directory);
    assert_int_equal(system(command), 0);
}

static void the_users_cache_directory(void **state)
{
    (void)state;
    char *before_xdg = getenv("XDG_CACHE_HOME") ? strdup(getenv("XDG_CACHE_HOME")) : NULL;
    char *before_home = getenv("HOME") ? strdup(getenv("HOME")) : NULL;
    setenv("XDG_CACHE_HOME", "/x/y", 1);
    char *found = cldeform__cache_directory("cldeform");
    assert_string_equal(found, "/x/y/cldeform");
    free(found);
    setenv("XDG_CACHE_HOME", "relative", 1);
    setenv("HOME", "/home/someone", 1);
    found = cldeform__cache_directory("cldeform");
    assert_string_equal(found, "/home/someone/.cache/cldeform");
    free(found);
    unsetenv("HOME");
    assert_null(cldeform__cache_directory("cldeform"));
    if (before_xdg)
        setenv("XDG_CACHE_HOME", before_xdg, 1);
    else
        unsetenv("XDG_CACHE_HOME");
    if (before_home)
        setenv("HOME", before_home, 1);
    free(before_xdg);
    free(before_home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_stored_comes_back, create_directory, remove_directory),
        cmocka_unit_test_setup_teardown(every_damage_is_noticed, create_directory, remove_directory),
        cmocka_unit_test_setup_teardown(foreign_files_are_not_taken, create_directory, remove_directory),
        cmocka_unit_test_setup_teardown(a_place_that_cannot_be_written_costs_only_time, create_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(missing_directories_are_made, create_directory, remove_directory),
        cmocka_unit_test(the_users_cache_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
