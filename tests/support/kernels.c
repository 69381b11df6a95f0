#define _POSIX_C_SOURCE 200809L
#include "kernels.h"

#include <stdio.h>
#include <stdlib.h>

void test_copy_kernels(char directory[TEST_PATH])
{
    char command[600];
    snprintf(directory, TEST_PATH, "/tmp/cldeform_kernels_XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(command, sizeof command, "cp '" TEST_KERNELS "'/* %s", directory);
    assert_int_equal(system(command), 0);
}

void test_edit_kernel(const char *directory, const char *file, const char *script)
{
    char command[1000];
    snprintf(command, sizeof command, "cd %s && cp %s before && sed -i '%s' %s && ! cmp -s before %s", directory, file,
             script, file, file);
    assert_int_equal(system(command), 0);
}

cldeform_context *test_context_with_kernels(const char *directory, const cldeform_context_options *options)
{
    cldeform_context *context = NULL;
    setenv("CLDEFORM_KERNEL_DIR", directory, 1);
    assert_ok(cldeform_context_create(device.cl, device.id, options, &context));
    unsetenv("CLDEFORM_KERNEL_DIR");
    return context;
}

void test_remove_kernels(const char *directory)
{
    char command[600];
    snprintf(command, sizeof command, "rm -r %s", directory);
    assert_int_equal(system(command), 0);
}
