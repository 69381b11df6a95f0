/* test_npy.c: the tools' .npy files: what is written is read back, and whatever else a file holds is refused with a
 * message, never believed. */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "element.h"
#include "npy.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static char directory[] = "/tmp/cldeform_npy_XXXXXX";

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int count_files(void)
{
    int count = 0;
    DIR *d = opendir(".");
    assert_non_null(d);
    for (struct dirent *entry = readdir(d); entry; entry = readdir(d))
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(d);
    return count;
}

/* Each test begins and ends with an empty directory. */
static int remove_files(void **state)
{
    (void)state;
    DIR *d = opendir(".");
    if (!d)
        return -1;
    for (struct dirent *entry = readdir(d); entry; entry = readdir(d))
        if (remove(entry->d_name) != 0 && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rmdir(entry->d_name);
    closedir(d);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    return chdir("/") == 0 && rmdir(directory) == 0 ? 0 : -1;
}

/* ---- files as bytes ---- */

static void put_file(const char *path, const void *bytes, size_t size)
{
    remove(path); /* file systems write at once what replaces the contents of a file: that takes long */
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_true(size == 0 || fwrite(bytes, size, 1, stream) == 1);
    assert_int_equal(fclose(stream), 0);
}

static size_t get_file(const char *path, unsigned char *bytes, size_t capacity)
{
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    size_t size = fread(bytes, 1, capacity, stream);
    assert_true(size < capacity);
    fclose(stream);
    return size;
}

/* A file of the given version with that header, unpadded, and `data` zero bytes of data. */
static size_t build_file(unsigned char *to, unsigned char version, const char *header, size_t data)
{
    size_t length = strlen(header), lead = version == 1 ? 10 : 12;
    memset(to, 0, lead + length + data);
    memcpy(to, "\x93NUMPY", 6);
    to[6] = version;
    to[8] = (unsigned char)(length & 255);
    to[9] = (unsigned char)(length >> 8);
    memcpy(to + lead, header, length);
    return lead + length + data;
}

static void check_refused(const char *expected)
{
    fault f = {0};
    npy_array array = {0};
    assert_int_equal(npy_read("t.npy", &array, &f), EXIT_INPUT);
    assert_int_equal(f.exit_status, EXIT_INPUT);
    assert_string_equal(f.text, expected);
    assert_null(array.data);
}

/* ---- what is right ---- */

static void test_round_trips(void **state)
{
    static const struct {
        int rank;
        int64_t shape[NPY_MAX_RANK];
    } shapes[] = {
        {0, {0}},
        {1, {0}},
        {1, {5}},
        {2, {2, 3}},
        {2, {0, 7}},
        {3, {4, 0, 2}},
        {4, {2, 3, 5, 7}},
        {5, {1, 1, 1, 1, 1}},
        {6, {3, 1, 2, 1}},
        {7, {2, 1, 1, 1, 3, 1, 2}},
        {8, {1, 2, 1, 2, 1, 2, 1, 3}},
    };
    static const cldeform_dtype dtypes[] = {CLDEFORM_F16, CLDEFORM_F32, CLDEFORM_F64};
    (void)state;
    for (size_t s = 0; s < COUNT(shapes); s++)
        for (size_t t = 0; t < COUNT(dtypes); t++) {
            fault f = {0};
            npy_array out = {0}, in = {0};
            assert_int_equal(npy_create(&out, dtypes[t], shapes[s].rank, shapes[s].shape, &f), 0);
            for (size_t i = 0; i < out.bytes; i++) /* any bits, NaN among them: nothing is converted */
                ((unsigned char *)out.data)[i] = (unsigned char)(i * 37 + 11 * s + t);
            assert_int_equal(npy_write("t.npy", &out, &f), 0);
            assert_int_equal(npy_read("t.npy", &in, &f), 0);
            assert_int_equal(in.dtype, dtypes[t]);
            assert_int_equal(in.rank, shapes[s].rank);
            assert_memory_equal(in.shape, out.shape, sizeof in.shape);
            assert_int_equal(in.elements, out.elements);
            assert_int_equal(in.bytes, out.elements * element_size(dtypes[t]));
            if (in.bytes > 0)
                assert_memory_equal(in.data, out.data, in.bytes);
            else
                assert_null(in.data);
            npy_free(&out);
            npy_free(&in);
        }
}

static void test_written_bytes(void **state)
{
    (void)state;
    fault f = {0};
    npy_array array = {0};
    unsigned char bytes[256];
    assert_int_equal(npy_create(&array, CLDEFORM_F32, 2, (const int64_t[]){2, 1}, &f), 0);
    ((float *)array.data)[0] = 1.0f;
    assert_int_equal(npy_write("t.npy", &array, &f), 0);
    assert_int_equal(get_file("t.npy", bytes, sizeof bytes), 128 + 8);
    assert_memory_equal(bytes, "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2,1), }   ",
                        70);
    assert_int_equal(bytes[127], '\n');
    assert_memory_equal(bytes + 128, "\x00\x00\x80\x3f\x00\x00\x00\x00", 8);
    npy_free(&array);
}

/* As other writers lay a header out. */
static void test_headers_that_differ(void **state)
{
    static const char *const headers[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }          \n",
        "{'descr':'<f4','fortran_order':False,'shape':(2,3)}",
        "{\"shape\": (2, 3,), \"descr\": \"<f4\", \"fortran_order\": False}\n",
        "  {  'shape' :  ( 2L ,\t3L )  , 'fortran_order' : False , 'descr' : '<f4' }  \n",
    };
    (void)state;
    for (unsigned char version = 1; version <= 3; version++)
        for (size_t i = 0; i < COUNT(headers); i++) {
            fault f = {0};
            npy_array array = {0};
            unsigned char bytes[512];
            put_file("t.npy", bytes, build_file(bytes, version, headers[i], 24));
            assert_int_equal(npy_read("t.npy", &array, &f), 0);
            assert_int_equal(array.dtype, CLDEFORM_F32);
            assert_int_equal(array.rank, 2);
            assert_int_equal(array.shape[0], 2);
            assert_int_equal(array.shape[1], 3);
            npy_free(&array);
        }
}

static void test_elements(void **state)
{
    (void)state;
    const double values[] = {0, -0.5, 1.0 / 3, 70000, 1e300};
    double back[COUNT(values)];
    uint16_t halves[COUNT(values)];
    float singles[COUNT(values)];
    element_from_double(CLDEFORM_F16, values, COUNT(values), halves);
    element_to_double(CLDEFORM_F16, halves, COUNT(values), back);
    assert_true(back[0] == 0 && back[1] == -0.5 && back[2] == 1365.0 / 4096 && back[3] > 1e308);
    element_from_double(CLDEFORM_F32, values, COUNT(values), singles);
    element_to_double(CLDEFORM_F32, singles, COUNT(values), back);
    assert_true(back[1] == -0.5 && back[2] == (double)(float)(1.0 / 3) && back[3] == 70000 && back[4] > 1e308);
    element_from_double(CLDEFORM_F64, values, COUNT(values), back);
    assert_memory_equal(back, values, sizeof values);
}

/* ---- what is refused ---- */

static void test_refused_headers(void **state)
{
    static const struct {
        const char *header, *message;
    } rows[] = {
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }",
         "t.npy is in Fortran order, expected C order (numpy.ascontiguousarray)"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }",
         "t.npy holds big endian data ('>f4'), expected '<f2', '<f4' or '<f8'"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }",
         "t.npy holds integer data ('<i4'), expected '<f2', '<f4' or '<f8'"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }",
         "t.npy holds integer data ('|u1'), expected '<f2', '<f4' or '<f8'"},
        {"{'descr': '|b1', 'fortran_order': False, 'shape': (2, 3), }",
         "t.npy holds integer data ('|b1'), expected '<f2', '<f4' or '<f8'"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (2, 3), }",
         "t.npy holds other data ('<c8'), expected '<f2', '<f4' or '<f8'"},
        {"{'descr': '<f16', 'fortran_order': False, 'shape': (2, 3), }",
         "t.npy holds other data ('<f16'), expected '<f2', '<f4' or '<f8'"},
        {"{'descr': '', 'fortran_order': False, 'shape': (2, 3), }",
         "t.npy holds other data (''), expected '<f2', '<f4' or '<f8'"},
        {"{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2, 3), }",
         "t.npy holds structured data, expected '<f2', '<f4' or '<f8'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }",
         "t.npy has more than 8 dimensions, expected at most 8"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,), }",
         "t.npy has a size in its shape that does not fit 63 bits"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
         "t.npy has shape (4294967296,4294967296), which is larger than memory can be"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807,), }",
         "t.npy has shape (9223372036854775807,), which is larger than memory can be"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (0, 4294967296, 4294967296), }",
         "t.npy has shape (0,4294967296,4294967296), which is larger than memory can be"},
        {"{'fortran_order': False, 'shape': (2, 3), }",
         "t.npy has a .npy header without 'descr', expected 'descr', 'fortran_order' and 'shape'"},
        {"{'descr': '<f4', 'shape': (2, 3), }",
         "t.npy has a .npy header without 'fortran_order', expected 'descr', 'fortran_order' and 'shape'"},
        {"{'descr': '<f4', 'fortran_order': False}",
         "t.npy has a .npy header without 'shape', expected 'descr', 'fortran_order' and 'shape'"},
        {"", "t.npy has a .npy header that is malformed at its byte 0, expected a dictionary"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3), }",
         "t.npy has a .npy header that is malformed at its byte 34, expected True or False"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3), }",
         "t.npy has a .npy header that is malformed at its byte 51, expected a size"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6), }",
         "t.npy has a .npy header that is malformed at its byte 53, expected a comma in a shape of one dimension"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2 3), }",
         "t.npy has a .npy header that is malformed at its byte 53, expected a comma or the end of the shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 6, }",
         "t.npy has a .npy header that is malformed at its byte 50, expected a shape such as (2, 3)"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3,",
         "t.npy has a .npy header that is malformed at its byte 56, expected a size"},
        {"{'descr': '<f4' 'fortran_order': False, 'shape': (2, 3), }",
         "t.npy has a .npy header that is malformed at its byte 16, expected a comma or the end of the dictionary"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
         "t.npy has a .npy header that is malformed at its byte 24, expected one of 'descr', 'fortran_order' and "
         "'shape', each once"},
        {"{'colour': '<f4'}", "t.npy has a .npy header that is malformed at its byte 9, expected one of 'descr', "
                              "'fortran_order' and 'shape', each once"},
        {"{'descr' '<f4'}", "t.npy has a .npy header that is malformed at its byte 9, expected a colon"},
        {"{'descr': '<f4", "t.npy has a .npy header that is malformed at its byte 14, expected a type such as '<f4'"},
        {"{'descr': f4}", "t.npy has a .npy header that is malformed at its byte 10, expected a type such as '<f4'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } x",
         "t.npy has a .npy header that is malformed at its byte 60, expected nothing after the dictionary"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        unsigned char bytes[512];
        put_file("t.npy", bytes, build_file(bytes, 1, rows[i].header, 24));
        check_refused(rows[i].message);
    }
}

static void test_refused_files(void **state)
{
    static const char header[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
    (void)state;
    unsigned char bytes[512];
    size_t size = build_file(bytes, 1, header, 24);

    check_refused("t.npy cannot be opened: No such file or directory");
    assert_int_equal(mkdir("t.npy", 0700), 0);
    check_refused("t.npy cannot be read: Is a directory");
    assert_int_equal(rmdir("t.npy"), 0);

    put_file("t.npy", bytes, size - 1);
    check_refused("t.npy has 23 bytes of data, expected 24 for shape (2,3) of '<f4': it is truncated");
    put_file("t.npy", bytes, size + 1);
    check_refused("t.npy has 25 bytes of data, expected 24 for shape (2,3) of '<f4' and nothing after them");
    put_file("t.npy", "PK\x03\x04 this is an archive", 24);
    check_refused("t.npy is not a .npy file (it does not begin with \\x93NUMPY)");
    bytes[6] = 4;
    put_file("t.npy", bytes, size);
    check_refused("t.npy has .npy version 4.0, expected 1.0, 2.0 or 3.0");
    bytes[6] = 1;
    bytes[7] = 1;
    put_file("t.npy", bytes, size);
    check_refused("t.npy has .npy version 1.1, expected 1.0, 2.0 or 3.0");

    size = build_file(bytes, 2, header, 24);
    memcpy(bytes + 8, "\xff\xff\xff\xff", 4);
    put_file("t.npy", bytes, size);
    check_refused("t.npy has a header of 4294967295 bytes, expected at most 65535");
    memcpy(bytes + 8, "\xff\xff\x00\x00", 4);
    put_file("t.npy", bytes, size);
    check_refused("t.npy ends within its header, expected a whole .npy file");

    /* a terabyte is claimed, and must be refused before memory is taken for it */
    size = build_file(bytes, 1, "{'descr': '<f8', 'fortran_order': False, 'shape': (137438953472,), }", 8);
    put_file("t.npy", bytes, size);
    check_refused("t.npy has 8 bytes of data, expected 1099511627776 for shape (137438953472,) of '<f8': it is "
                  "truncated");
}

/* A file name may hold a line end; a message may not. */
static void test_message_is_one_line(void **state)
{
    (void)state;
    fault f = {0};
    npy_array array = {0};
    assert_int_equal(npy_read("no\nsuch\033file", &array, &f), EXIT_INPUT);
    assert_string_equal(f.text, "no such?file cannot be opened: No such file or directory");
}

/* Cut anywhere, a file is refused; so is it through a pipe, whose size is not known beforehand. */
static void test_truncation(void **state)
{
    (void)state;
    fault f = {0};
    npy_array array = {0};
    unsigned char bytes[256];
    assert_int_equal(npy_create(&array, CLDEFORM_F16, 2, (const int64_t[]){2, 3}, &f), 0);
    assert_int_equal(npy_write("t.npy", &array, &f), 0);
    npy_free(&array);
    size_t size = get_file("t.npy", bytes, sizeof bytes);
    for (size_t cut = 0; cut < size; cut++) {
        put_file("t.npy", bytes, cut);
        memset(&f, 0, sizeof f);
        assert_int_equal(npy_read("t.npy", &array, &f), EXIT_INPUT);
        assert_memory_equal(f.text, "t.npy ", 6);
        assert_null(array.data);
    }
}

static int read_through_pipe(const unsigned char *bytes, size_t size, npy_array *array, fault *f)
{
    assert_int_equal(mkfifo("pipe.npy", 0600), 0);
    pid_t writer = fork();
    assert_true(writer >= 0);
    if (writer == 0) {
        FILE *stream = fopen("pipe.npy", "wb");
        _exit(stream && fwrite(bytes, size, 1, stream) == 1 && fclose(stream) == 0 ? 0 : 1);
    }
    int status = npy_read("pipe.npy", array, f);
    waitpid(writer, NULL, 0);
    remove("pipe.npy");
    return status;
}

static void test_pipe(void **state)
{
    (void)state;
    fault f = {0};
    npy_array array = {0};
    unsigned char bytes[256];
    size_t size = build_file(bytes, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 24);
    assert_int_equal(read_through_pipe(bytes, size, &array, &f), 0);
    assert_int_equal(array.elements, 6);
    npy_free(&array);
    assert_int_equal(read_through_pipe(bytes, size - 1, &array, &f), EXIT_INPUT);
    assert_string_equal(f.text, "pipe.npy ends within its data, expected a whole .npy file");
    assert_int_equal(read_through_pipe(bytes, size + 1, &array, &f), EXIT_INPUT);
    assert_string_equal(f.text, "pipe.npy has bytes after its 24 bytes of data, expected none");
}

/* Every byte of the header replaced by every value: read or refused, and never more than the file holds. */
static void test_flipped_bytes(void **state)
{
    (void)state;
    fault f = {0};
    unsigned char bytes[512];
    int read = 0, refused = 0;
    size_t size = build_file(bytes, 1, "{'descr': '<f2', 'fortran_order': False, 'shape': (1, 2, 3), }", 12);
    for (size_t at = 0; at < size - 12; at++) {
        unsigned char kept = bytes[at];
        for (int value = 0; value < 256; value++) {
            npy_array array = {0};
            bytes[at] = (unsigned char)value;
            put_file("t.npy", bytes, size);
            memset(&f, 0, sizeof f);
            if (npy_read("t.npy", &array, &f) == EXIT_FINE) {
                assert_true(array.bytes <= 12 && array.elements * element_size(array.dtype) == array.bytes);
                read++;
            } else {
                assert_memory_equal(f.text, "t.npy ", 6);
                assert_null(array.data);
                refused++;
            }
            npy_free(&array);
        }
        bytes[at] = kept;
    }
    assert_true(read >= (int)size - 12 && refused > 10000);
}

/* ---- writing ---- */

static void test_all_or_nothing(void **state)
{
    (void)state;
    fault f = {0};
    npy_array array = {0};
    unsigned char bytes[16];
    assert_int_equal(npy_create(&array, CLDEFORM_F32, 1, (const int64_t[]){3}, &f), 0);
    put_file("a.npy", "before", 6);
    const npy_output outputs[] = {{"a.npy", &array}, {NULL, NULL}, {"missing/b.npy", &array}};
    assert_int_equal(npy_write_all(outputs, COUNT(outputs), &f), EXIT_INPUT);
    assert_string_equal(f.text, "missing/b.npy cannot be written: No such file or directory");
    assert_int_equal(get_file("a.npy", bytes, sizeof bytes), 6);
    assert_memory_equal(bytes, "before", 6);
    assert_int_equal(count_files(), 1);

    const npy_output good[] = {{"a.npy", &array}, {NULL, NULL}, {"b.npy", &array}};
    assert_int_equal(npy_write_all(good, COUNT(good), &f), 0);
    assert_int_equal(count_files(), 2);
    npy_array back = {0};
    assert_int_equal(npy_read("a.npy", &back, &f), 0);
    npy_free(&back);
    assert_int_equal(npy_read("b.npy", &back, &f), 0);
    npy_free(&back);
    npy_free(&array);
}

static void test_what_is_replaced(void **state)
{
    (void)state;
    fault f = {0};
    npy_array array = {0}, back = {0};
    struct stat facts;
    assert_int_equal(npy_create(&array, CLDEFORM_F32, 1, (const int64_t[]){3}, &f), 0);

    assert_int_equal(mkdir("d", 0700), 0);
    assert_int_equal(npy_write("d", &array, &f), EXIT_INPUT);
    assert_string_equal(f.text, "d is not a regular file, so it cannot be replaced whole");
    assert_int_equal(mkfifo("pipe", 0600), 0); /* as /dev/null would be, which is not put at risk here */
    assert_int_equal(npy_write("pipe", &array, &f), EXIT_INPUT);
    assert_string_equal(f.text, "pipe is not a regular file, so it cannot be replaced whole");
    assert_int_equal(stat("pipe", &facts), 0);
    assert_true(S_ISFIFO(facts.st_mode));

    put_file("real.npy", "before", 6);
    assert_int_equal(chmod("real.npy", 0640), 0);
    assert_int_equal(symlink("real.npy", "link.npy"), 0);
    assert_int_equal(npy_write("link.npy", &array, &f), 0);
    assert_int_equal(lstat("link.npy", &facts), 0);
    assert_true(S_ISLNK(facts.st_mode));
    assert_int_equal(stat("real.npy", &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0640);
    assert_int_equal(npy_read("real.npy", &back, &f), 0);
    npy_free(&back);

    mode_t mask = umask(027);
    assert_int_equal(npy_write("new.npy", &array, &f), 0);
    umask(mask);
    assert_int_equal(stat("new.npy", &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0640);
    npy_free(&array);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_round_trips, remove_files),
        cmocka_unit_test_teardown(test_written_bytes, remove_files),
        cmocka_unit_test_teardown(test_headers_that_differ, remove_files),
        cmocka_unit_test_teardown(test_elements, remove_files),
        cmocka_unit_test_teardown(test_refused_headers, remove_files),
        cmocka_unit_test_teardown(test_refused_files, remove_files),
        cmocka_unit_test_teardown(test_message_is_one_line, remove_files),
        cmocka_unit_test_teardown(test_truncation, remove_files),
        cmocka_unit_test_teardown(test_pipe, remove_files),
        cmocka_unit_test_teardown(test_flipped_bytes, remove_files),
        cmocka_unit_test_teardown(test_all_or_nothing, remove_files),
        cmocka_unit_test_teardown(test_what_is_replaced, remove_files),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
