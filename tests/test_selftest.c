/* The self-test: the device passes, and defects of kernels are found. */
#include "context.h"
#include "kernels.h"

#include <stdio.h>
#include <string.h>

typedef struct report {
    int checks, failures;
    char failed[1000]; /* their names, each between bars */
} report;

static void remember(const char *check, cldeform_status status, const char *detail, void *user)
{
    report *r = user;
    r->checks++;
    assert_non_null(detail);
    const size_t length = strlen(r->failed);
    if (status != CLDEFORM_OK && ++r->failures)
        snprintf(r->failed + length, sizeof r->failed - length, "|%s|", check);
}

static void the_device_passes(void **state)
{
    (void)state;
    report r = {0};
    assert_ok(cldeform_selftest(device.context, remember, &r));
    const int fused = device.context->facts.loop_limit ? 0 : device.fp64 ? 6 : 5;
    assert_int_equal(r.checks, (device.fp64 ? 26 : 22) + fused);
    assert_int_equal(r.failures, 0);
}

/* Kernels with a defect must be found, and named. All defects at once, each where some checks look and others do not:
 * the kernels are compiled anew for each run. */
static void wrong_kernels_fail(void **state)
{
    (void)state;
    static const struct {
        const char *file, *edit;
    } defects[] = {
        {"sample.clh", "s/if (first >= size - 1)/if (first >= size)/"}, /* of the edge rule alone */
        {"conv2d_panel.clh", "s/>= (PLACEDV)(size - 1) ?/>= (PLACEDV)size ?/"},
        {"mask.clh", "s/small \\* share \\* share/small * share/"},         /* of gradients by logits */
        {"roi.clh", "s/ceil(rounded(axis.bin))/ceil(rounded(axis.size))/"}, /* of the number of samples */
        {"gemm.cl", "s/l < end; l++/l < end - 1; l++/"},
    };
    char directory[TEST_PATH];
    test_copy_kernels(directory);
    for (size_t i = 0; i < sizeof defects / sizeof defects[0]; i++)
        test_edit_kernel(directory, defects[i].file, defects[i].edit);
    cldeform_context *context = test_context_with_kernels(directory, NULL);
    report r = {0};
    context->facts.fp64 = false; /* as on many devices: nothing below is of it */
    assert_status(cldeform_selftest(context, remember, &r), CLDEFORM_SELFTEST_FAILED, "conv2d v1 fp32 nhwc edge");
    assert_non_null(strstr(r.failed, "|conv2d v1 fp32 nhwc edge|"));
    assert_non_null(strstr(r.failed, "|conv2d v2 fp32 nchw edge|"));
    assert_non_null(strstr(r.failed, "|conv2d fused v2 fp32 nchw edge|"));
    assert_null(strstr(r.failed, "|conv2d fused v1 fp32 nchw|"));
    assert_non_null(strstr(r.failed, "|conv2d tiled v2 fp32 nchw edge|"));
    assert_null(strstr(r.failed, "|conv2d tiled v1 fp16 nhwc fp32 offsets|"));
    assert_non_null(strstr(r.failed, "|conv2d v2 fp32 sigmoid|"));
    assert_non_null(strstr(r.failed, "|gemm fp32 builtin|"));
    assert_null(strstr(r.failed, "|conv2d v1 fp32 nchw|"));
    assert_null(strstr(r.failed, "plain"));
    assert_non_null(strstr(r.failed, "|roi align fp16 nhwc|"));
    assert_null(strstr(r.failed, "|roi max fp32 nchw|"));
    assert_null(strstr(r.failed, "|psroi cells fp32 nhwc|"));
    cldeform_context_destroy(context);
    test_remove_kernels(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_device_passes), cmocka_unit_test(wrong_kernels_fail)};
    return cmocka_run_group_tests(tests, test_open_device, test_close_device);
}
