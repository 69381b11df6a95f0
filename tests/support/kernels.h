/* Kernels with a defect: copies of cl/, for CLDEFORM_KERNEL_DIR. */
#ifndef TEST_KERNELS_H
#define TEST_KERNELS_H

#include "device.h"

/* Copies all kernels into a new folder, whose path it gives. */
void test_copy_kernels(char directory[TEST_PATH]);

/* Changes a file of such a folder by a script of sed, which must make a difference. */
void test_edit_kernel(const char *directory, const char *file, const char *script);

/* A context of these options that takes its kernels from the folder. */
cldeform_context *test_context_with_kernels(const char *directory, const cldeform_context_options *options);

void test_remove_kernels(const char *directory);

#endif
