/* Compiled kernels: in memory, on disk, and from files. A damaged or foreign file never reaches the driver. */
#define _POSIX_C_SOURCE 200809L
#include "layer.h"
#include "fixture.h"
#include "program.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];
static char path[400];
static size_t file_size;

static const char *const options_text = "-DDATA_BITS=32";

static cldeform_context *create_context(const char *cache_dir)
{
    cldeform_context *context = NULL;
    cldeform_context_options options = CLDEFORM_INIT(cldeform_context_options);
    options.ignore_environment = 1;
    options.cache_dir = cache_dir;
    assert_ok(cldeform_context_create(device.cl, device.id, &options, &context));
    return context;
}

static void get(cldeform_context *context, const char *options)
{
    cldeform__program *program = NULL;
    assert_ok(cldeform__program_get(context, "gemm", options, &program));
    assert_non_null(cldeform__program_kernel(program, "gemm"));
    assert_null(cldeform__program_kernel(program, "gem"));
}

/* Compiles, or loads, the one program with a new context; how many OpenCL programs were made from binaries. */
static long from_binaries(void)
{
    cldeform_context *context = create_context(directory);
    layer->reset();
    get(context, options_text);
    const long binaries = layer->count("clCreateProgramWithBinary"),
               sources = layer->count("clCreateProgramWithSource");
    assert_int_equal(binaries + sources, 1);
    assert_int_equal(context->loaded, (uint64_t)binaries);
    assert_int_equal(context->compiled, (uint64_t)sources);
    cldeform_context_destroy(context);
    return binaries;
}

static int count_files(void)
{
    int n = 0;
    struct stat facts;
    DIR *open = opendir(directory);
    for (struct dirent *entry = open ? readdir(open) : NULL; entry; entry = readdir(open)) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        n++;
    }
    if (open)
        closedir(open);
    file_size = n && stat(path, &facts) == 0 ? (size_t)facts.st_size : 0;
    return n;
}

static int create_directory(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/cldeform_programs_XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static void memory_has_each_variant_once(void **state)
{
    (void)state;
    cldeform_context *context = create_context("");
    layer->reset();
    get(context, options_text);
    get(context, options_text);
    assert_int_equal(layer->count("clBuildProgram"), 1);
    get(context, "-DDATA_BITS=32 -DINDEX_BITS=64");
    assert_int_equal(layer->count("clBuildProgram"), 2);
    get(context, options_text);
    assert_int_equal(layer->count("clBuildProgram"), 2);
    cldeform_context_destroy(context);
}

static void disk_has_it_for_the_next_context(void **state)
{
    (void)state;
    assert_int_equal(from_binaries(), 0);
    assert_int_equal(count_files(), 1);
    assert_int_equal(from_binaries(), 1);
    assert_int_equal(from_binaries(), 1);
    assert_int_equal(count_files(), 1);
}

/* Kernels from the disk compute the same. */
static void loaded_kernels_work(void **state)
{
    (void)state;
    const cldeform_conv2d_problem problem = test_small_problem(CLDEFORM_CONV2D_MODULATED);
    for (int i = 0; i < 2; i++) {
        cldeform_context *context = create_context(directory);
        test_fixture f;
        test_fixture_create(&device, context, &problem, &f);
        assert_ok(cldeform_conv2d_forward(f.conv, device.queue, &f.tensors, &f.workspace, 0, NULL, NULL));
        test_fixture_expect(&f, device.queue);
        assert_int_equal(context->loaded > 0, i == 1);
        test_fixture_destroy(&f);
        cldeform_context_destroy(context);
    }
}

static void change_byte(size_t at, unsigned char mask)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    const int byte = fgetc(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    fputc(byte ^ mask, file);
    assert_int_equal(fclose(file), 0);
}

/* After each damage: compiled from source, the driver saw no binary, and the file is whole again. */
static void damaged_files_never_reach_the_driver(void **state)
{
    (void)state;
    assert_int_equal(from_binaries(), 0);
    assert_int_equal(count_files(), 1);
    const size_t whole = file_size;
    for (int i = 0; i < 24; i++) {
        change_byte(whole * (size_t)i / 24 + (size_t)i % 7, (unsigned char)(1 << i % 8));
        assert_int_equal(from_binaries(), 0);
        assert_int_equal(from_binaries(), 1);
    }
    const size_t cuts[] = {0, 1, 7, 8, 39, 40, 100, whole / 2, whole - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        assert_int_equal(truncate(path, (off_t)cuts[i]), 0);
        assert_int_equal(from_binaries(), 0);
        assert_int_equal(from_binaries(), 1);
    }
    assert_int_equal(truncate(path, (off_t)whole + 5), 0);
    assert_int_equal(from_binaries(), 0);

    /* whole, but of another program */
    char first[400], command[900];
    snprintf(first, sizeof first, "%s", path);
    cldeform_context *context = create_context(directory);
    get(context, "-DDATA_BITS=32 -DINDEX_BITS=64");
    cldeform_context_destroy(context);
    assert_int_equal(count_files(), 2);
    snprintf(command, sizeof command,
             "cd %s && for f in *; do cp $f x; for g in *.clbin; do cp x $g; done; break; done; "
             "rm x",
             directory);
    assert_int_equal(system(command), 0);
    context = create_context(directory);
    layer->reset();
    get(context, options_text);
    get(context, "-DDATA_BITS=32 -DINDEX_BITS=64");
    assert_int_equal(layer->count("clCreateProgramWithBinary"), 1); /* the one that is still where it belongs */
    cldeform_context_destroy(context);
}

/* A binary that the driver itself refuses: compile. */
static void a_refused_binary_is_compiled_again(void **state)
{
    (void)state;
    assert_int_equal(from_binaries(), 0);
    static const char *const functions[] = {"clCreateProgramWithBinary", "clBuildProgram"};
    for (int i = 0; i < 2; i++) {
        cldeform_context *context = create_context(directory);
        layer->reset();
        assert_int_equal(layer->fail_nth(functions[i], 1, CL_INVALID_BINARY), 0);
        get(context, options_text);
        layer->fail_nth(NULL, 0, CL_SUCCESS);
        assert_int_equal(layer->count("clCreateProgramWithSource"), 1);
        cldeform_context_destroy(context);
    }
}

static void unwritable_places_cost_only_time(void **state)
{
    (void)state;
    static const char *const places[] = {"/proc/cldeform", "/dev/null/cache", "/dev/null"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        cldeform_context *context = create_context(places[i]);
        get(context, options_text);
        assert_int_equal(context->compiled, 1);
        cldeform_context_destroy(context);
    }
}

/* Processes that race for an empty directory. */
static void many_contexts_share_a_directory(void **state)
{
    (void)state;
    cldeform_context *contexts[8];
    for (int i = 0; i < 8; i++)
        contexts[i] = create_context(directory);
    for (int i = 0; i < 8; i++)
        get(contexts[i], options_text);
    assert_int_equal(contexts[7]->loaded, 1);
    for (int i = 0; i < 8; i++)
        cldeform_context_destroy(contexts[i]);
    assert_int_equal(count_files(), 1);
}

static void options_beat_the_environment(void **state)
{
    (void)state;
    cldeform_context *context = NULL;
    cldeform_context_options options = CLDEFORM_INIT(cldeform_context_options);
    setenv("CLDEFORM_CACHE_DIR", "/from/environment", 1);
    assert_ok(cldeform_context_create(device.cl, device.id, NULL, &context));
    assert_string_equal(context->cache_dir, "/from/environment");
    cldeform_context_destroy(context);
    options.cache_dir = "/from/options";
    assert_ok(cldeform_context_create(device.cl, device.id, &options, &context));
    assert_string_equal(context->cache_dir, "/from/options");
    cldeform_context_destroy(context);
    options.cache_dir = "";
    assert_ok(cldeform_context_create(device.cl, device.id, &options, &context));
    assert_null(context->cache_dir);
    cldeform_context_destroy(context);
    options.cache_dir = NULL;
    options.ignore_environment = 1;
    assert_ok(cldeform_context_create(device.cl, device.id, &options, &context));
    /* drivers that keep kernels themselves need no second cache */
    assert_int_equal(context->cache_dir == NULL, context->facts.driver_caches || !getenv("HOME"));
    cldeform_context_destroy(context);
    setenv("CLDEFORM_CACHE_DIR", "", 1);
    assert_ok(cldeform_context_create(device.cl, device.id, NULL, &context));
    assert_null(context->cache_dir);
    cldeform_context_destroy(context);
}

/* CLDEFORM_KERNEL_DIR: the kernels that a developer edits; what does not compile gives its log with file and line. */
static void kernels_from_a_directory(void **state)
{
    (void)state;
    char command[300], file[200];
    snprintf(command, sizeof command, "cp %s/../cl/* %s", TEST_SOURCE_DIR, directory);
    assert_int_equal(system(command), 0);
    setenv("CLDEFORM_KERNEL_DIR", directory, 1);
    cldeform_context *context = NULL;
    cldeform__program *program = NULL;
    assert_ok(cldeform_context_create(device.cl, device.id, NULL, &context));
    assert_null(context->cache_dir);
    get(context, options_text);

    snprintf(file, sizeof file, "%s/common.clh", directory);
    FILE *open = fopen(file, "a");
    assert_non_null(open);
    fputs("\nthis is no kernel;\n", open);
    fclose(open);
    assert_status(cldeform__program_get(context, "gemm", "-DDATA_BITS=32 -DNEW", &program), CLDEFORM_BUILD_FAILED,
                  "common.clh");
    assert_int_not_equal(cldeform_last_opencl_error(), CL_SUCCESS);
    assert_status(cldeform__program_get(context, "nothing", "", &program), CLDEFORM_BUILD_FAILED, "nothing.cl");
    cldeform_context_destroy(context);
    unsetenv("CLDEFORM_KERNEL_DIR");

    assert_status(cldeform__program_get(device.context, "nothing", "", &program), CLDEFORM_BUILD_FAILED, "nothing");
    /* embedded kernels name the file, too */
    assert_status(cldeform__program_get(device.context, "gemm", "-DINDEX=3", &program), CLDEFORM_BUILD_FAILED,
                  "common.clh");
    assert_non_null(strstr(cldeform_last_error(), "-DINDEX=3"));
}

/* OpenCL C 1.2 unless a program asks for another. */
static void the_language_is_asked_for(void **state)
{
    (void)state;
    char file[200];
    cldeform_context *context = NULL;
    cldeform__program *program = NULL;
    snprintf(file, sizeof file, "%s/language.cl", directory);
    FILE *open = fopen(file, "w");
    assert_non_null(open);
    fputs("#if __OPENCL_C_VERSION__ != WANTED\n#error another language\n#endif\n__kernel void language(){}\n", open);
    fclose(open);
    setenv("CLDEFORM_KERNEL_DIR", directory, 1);
    assert_ok(cldeform_context_create(device.cl, device.id, NULL, &context));
    unsetenv("CLDEFORM_KERNEL_DIR");
    assert_ok(cldeform__program_get(context, "language", "-DWANTED=120", &program));
    assert_ok(cldeform__program_get(context, "language", "-DWANTED=110 -cl-std=CL1.1", &program));
    assert_status(cldeform__program_get(context, "language", "-DWANTED=120 -cl-std=CL1.1", &program),
                  CLDEFORM_BUILD_FAILED, "another language");
    cldeform_context_destroy(context);
}

/* CLDEFORM_BUILD_OPTIONS reaches the compiler, and a binary made with others is not taken for it. */
static void options_of_the_environment(void **state)
{
    (void)state;
    const char *usual = getenv("CLDEFORM_BUILD_OPTIONS");
    char *kept = usual ? strdup(usual) : NULL;
    static const char *const values[] = {"-DINDEX_BITS=64", "-DINDEX_BITS=64", "-DINDEX_BITS=32 -cl-opt-disable", "",
                                         ""};
    static const uint64_t compiled[] = {1, 0, 1, 1, 0};
    cldeform_context_options options = CLDEFORM_INIT(cldeform_context_options);
    options.cache_dir = directory;
    for (int i = 0; i < 5; i++) {
        cldeform_context *context = NULL;
        setenv("CLDEFORM_BUILD_OPTIONS", values[i], 1);
        assert_ok(cldeform_context_create(device.cl, device.id, &options, &context));
        get(context, options_text);
        assert_int_equal(context->compiled, compiled[i]);
        cldeform_context_destroy(context);
    }
    cldeform_context *context = NULL;
    cldeform__program *program = NULL;
    setenv("CLDEFORM_BUILD_OPTIONS", "-DINDEX=3", 1);
    assert_ok(cldeform_context_create(device.cl, device.id, &options, &context));
    assert_status(cldeform__program_get(context, "gemm", options_text, &program), CLDEFORM_BUILD_FAILED, "-DINDEX=3");
    cldeform_context_destroy(context);
    context = create_context(directory); /* which ignores the environment */
    get(context, options_text);
    assert_int_equal(context->compiled, 0);
    cldeform_context_destroy(context);
    if (kept)
        setenv("CLDEFORM_BUILD_OPTIONS", kept, 1);
    else
        unsetenv("CLDEFORM_BUILD_OPTIONS");
    free(kept);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, create_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(memory_has_each_variant_once),
        TEST(disk_has_it_for_the_next_context),
        TEST(loaded_kernels_work),
        TEST(damaged_files_never_reach_the_driver),
        TEST(a_refused_binary_is_compiled_again),
        TEST(unwritable_places_cost_only_time),
        TEST(many_contexts_share_a_directory),
        TEST(options_beat_the_environment),
        TEST(kernels_from_a_directory),
        TEST(the_language_is_asked_for),
        TEST(options_of_the_environment),
    };
    return cmocka_run_group_tests(tests, test_open_layer, test_close_device);
}
