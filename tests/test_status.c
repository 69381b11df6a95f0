/* Status names and texts, and the thread's last error. */
#include "device.h"
#include "status.h"

#include <pthread.h>
#include <string.h>

static void every_status_has_name_and_text(void **state)
{
    (void)state;
    for (int s = CLDEFORM_OK; s >= CLDEFORM_SELFTEST_FAILED; s--) {
        const char *name = cldeform_status_name((cldeform_status)s), *text = cldeform_status_text((cldeform_status)s);
        assert_true(strncmp(name, "CLDEFORM_", 9) == 0);
        assert_true(strlen(text) > 5);
        for (int other = CLDEFORM_OK; other > s; other--)
            assert_string_not_equal(name, cldeform_status_name((cldeform_status)other));
    }
    assert_string_equal(cldeform_status_name((cldeform_status)1), "unknown status");
    assert_string_equal(cldeform_status_text((cldeform_status)-11), "unknown status");
}

static void failing_sets_the_text(void **state)
{
    (void)state;
    assert_int_equal(cldeform__fail(CLDEFORM_LIMIT, "a is %d", 7), CLDEFORM_LIMIT);
    assert_string_equal(cldeform_last_error(), "a is 7");
    assert_int_equal(cldeform_last_opencl_error(), CL_SUCCESS);
    assert_int_equal(cldeform__fail_cl(CL_INVALID_KERNEL, "clSomething"), CLDEFORM_OPENCL_ERROR);
    assert_string_equal(cldeform_last_error(), "clSomething: CL_INVALID_KERNEL (-48)");
    assert_int_equal(cldeform_last_opencl_error(), CL_INVALID_KERNEL);
    assert_int_equal(cldeform__fail_cl(CL_MEM_OBJECT_ALLOCATION_FAILURE, "x"), CLDEFORM_OUT_OF_MEMORY);
    assert_int_equal(cldeform__fail_cl(-9999, "x"), CLDEFORM_OPENCL_ERROR);
    assert_string_equal(cldeform_last_error(), "x: unknown OpenCL error (-9999)");
}

static void long_texts_are_cut(void **state)
{
    (void)state;
    char text[10000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    cldeform__fail_cl(CL_INVALID_KERNEL, "%s", text);
    assert_true(strlen(cldeform_last_error()) < 5000);
}

static void *other_thread(void *unused)
{
    (void)unused;
    return strcmp(cldeform_last_error(), "") == 0 ? NULL : (void *)1;
}

static void texts_belong_to_threads(void **state)
{
    (void)state;
    pthread_t thread;
    void *result = NULL;
    cldeform__fail(CLDEFORM_LIMIT, "mine");
    assert_int_equal(pthread_create(&thread, NULL, other_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_null(result);
    assert_string_equal(cldeform_last_error(), "mine");
}

static void version_is_the_headers(void **state)
{
    (void)state;
    assert_int_equal(cldeform_version(),
                     CLDEFORM_VERSION_MAJOR * 10000 + CLDEFORM_VERSION_MINOR * 100 + CLDEFORM_VERSION_PATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_name_and_text),
        cmocka_unit_test(failing_sets_the_text),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(texts_belong_to_threads),
        cmocka_unit_test(version_is_the_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
