/* Atomic additions of floats: each form that the device has adds exactly under contention, and none is believed that
 * does not. */
#define _POSIX_C_SOURCE 200809L
#include "atomics.h"
#include "kernels.h"
#include "program.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMS = CLDEFORM__ATOMIC_AMDGCN };

static cldeform_context *forced_context(int form)
{
    char line[40];
    snprintf(line, sizeof line, "\"\" atomic_form=%d", form);
    return test_tuned_context(&device, line);
}

static void assert_described(const cldeform_context *context, const char *part)
{
    char text[8192];
    assert_ok(cldeform_context_describe(context, text, sizeof text, NULL));
    if (!strstr(text, part))
        fail_msg("the context's description lacks %s: %s", part, text);
}

/* ---- additions ----------------------------------------------------------------------------------------- */

enum { ADDERS = 50000 };

/* Work-item i adds its number, a multiple of a quarter of either sign, to one of `cells` cells. */
static const char adding_kernel[] = "#include \"common.clh\"\n"
                                    "#include \"atomic.clh\"\n"
                                    "__kernel void add(__global REAL *cells, uint n_cells, uint n)\n"
                                    "{\n"
                                    "    const uint i = (uint)get_global_id(0);\n"
                                    "    if (i < n)\n"
                                    "        ATOMIC_ADD_REAL(cells + i % n_cells, ((REAL)(i % 11) - 3) / 4);\n"
                                    "}\n";

/* The kernel, compiled as the library compiles its programs: with the options of the form. */
static cl_kernel build_adder(bool fp64, const char *options, cl_program *program)
{
    char all[600];
    const char *source = adding_kernel;
    cl_int error = CL_SUCCESS;
    snprintf(all, sizeof all, "%s %s -DDATA_BITS=%d -I %s/../cl", strstr(options, "-cl-std=") ? "" : "-cl-std=CL1.2",
             options, fp64 ? 64 : 32, TEST_SOURCE_DIR);
    *program = clCreateProgramWithSource(device.cl, 1, &source, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    assert_cl(clBuildProgram(*program, 1, &device.id, all, NULL, NULL));
    cl_kernel kernel = clCreateKernel(*program, "add", &error);
    assert_int_equal(error, CL_SUCCESS);
    return kernel;
}

static void check_additions(bool fp64, const char *options, cl_uint n_cells)
{
    const size_t element = fp64 ? sizeof(double) : sizeof(float), bytes = (n_cells + 1) * element;
    cl_program program = NULL;
    cl_kernel kernel = build_adder(fp64, options, &program);
    cl_int error = CL_SUCCESS;
    double *expected = calloc(n_cells + 1, sizeof *expected);
    void *stored = calloc(n_cells + 1, element);
    assert_true(expected && stored);
    for (cl_uint c = 0; c <= n_cells; c++) { /* some begin at 0, as gradients do */
        expected[c] = c % 2 ? 0 : 100.75;
        if (fp64)
            ((double *)stored)[c] = expected[c];
        else
            ((float *)stored)[c] = (float)expected[c];
    }
    for (cl_uint i = 0; i < ADDERS; i++)
        expected[i % n_cells] += ((double)(i % 11) - 3) / 4;
    cl_mem buffer = clCreateBuffer(device.cl, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, bytes, stored, &error);
    assert_int_equal(error, CL_SUCCESS);
    const cl_uint n = ADDERS;
    const size_t global = (ADDERS + 15) / 16 * 16, local = 16;
    assert_cl(clSetKernelArg(kernel, 0, sizeof buffer, &buffer));
    assert_cl(clSetKernelArg(kernel, 1, sizeof n_cells, &n_cells));
    assert_cl(clSetKernelArg(kernel, 2, sizeof n, &n));
    assert_cl(clEnqueueNDRangeKernel(device.queue, kernel, 1, NULL, &global, &local, 0, NULL, NULL));
    assert_cl(clEnqueueReadBuffer(device.queue, buffer, CL_TRUE, 0, bytes, stored, 0, NULL, NULL));
    for (cl_uint c = 0; c <= n_cells; c++) {
        const double found = fp64 ? ((double *)stored)[c] : (double)((float *)stored)[c];
        if (!(found == expected[c]))
            fail_msg("%s, fp%d, %u cells: cell %u is %.9g, must be %.9g", options, fp64 ? 64 : 32, n_cells, c, found,
                     expected[c]);
    }
    assert_cl(clReleaseMemObject(buffer));
    assert_cl(clReleaseKernel(kernel));
    assert_cl(clReleaseProgram(program));
    free(expected);
    free(stored);
}

/* All work-items on one cell, few, and almost as many cells as work-items. */
static void every_form_adds_or_is_refused(void **state)
{
    (void)state;
    for (int form = 1; form <= FORMS; form++) {
        cldeform_context *context = forced_context(form);
        for (int fp64 = 0; fp64 <= (device.fp64 ? 1 : 0); fp64++) {
            cldeform__atomic_form found = CLDEFORM__ATOMIC_NONE;
            const char *options = NULL;
            char part[60];
            const cldeform_status status = cldeform__atomics_find(context, fp64, &found, &options);
            const bool loop = form <= CLDEFORM__ATOMIC_EXCHANGE;
            if (loop && (!fp64 || context->facts.int64_atomics))
                assert_int_equal(status, CLDEFORM_OK);
            if (status == CLDEFORM_OK) {
                static const cl_uint cells[] = {1, 2, 97, 40009};
                assert_int_equal(found, form);
                snprintf(part, sizeof part, "-DATOMIC_FORM=%d", form);
                assert_non_null(strstr(options, part));
                for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
                    check_additions(fp64, options, cells[i]);
                printf("  fp%d: %s adds\n", fp64 ? 64 : 32, cldeform__atomic_name(found));
            } else {
                snprintf(part, sizeof part, "atomic_form=%d (%s)", form,
                         cldeform__atomic_name((cldeform__atomic_form)form));
                assert_status(status, CLDEFORM_UNSUPPORTED, part);
                assert_non_null(strstr(cldeform_last_error(), device.name));
                assert_int_equal(found, CLDEFORM__ATOMIC_NONE);
                assert_string_equal(options, "");
                printf("  %s\n", cldeform_last_error());
                /* it stays refused */
                assert_status(cldeform__atomics_find(context, fp64, &found, NULL), CLDEFORM_UNSUPPORTED, part);
            }
        }
        cldeform_context_destroy(context);
    }
}

/* ---- the choice ---------------------------------------------------------------------------------------- */

static void each_type_is_proved_once(void **state)
{
    (void)state;
    cldeform_context *context = forced_context(0);
    cldeform__atomic_form form = CLDEFORM__ATOMIC_NONE, again = CLDEFORM__ATOMIC_NONE;
    const char *options = NULL, *same = NULL;
    char part[80];
    assert_described(context, "\"atomics\":{\"fp32\":\"not probed\",\"fp64\":\"not probed\"}");
    assert_ok(cldeform__atomics_find(context, false, &form, &options));
    assert_int_not_equal(form, CLDEFORM__ATOMIC_NONE);
    check_additions(false, options, 1);
    const uint64_t compiled = context->compiled, calls = context->calls;
    assert_true(compiled > 0 && calls > 0);
    assert_ok(cldeform__atomics_find(context, false, &again, &same));
    assert_int_equal(again, form);
    assert_ptr_equal(same, options);
    assert_int_equal(context->compiled, compiled);
    assert_int_equal(context->calls, calls);
    snprintf(part, sizeof part, "\"fp32\":\"%s\",\"fp64\":\"not probed\"", cldeform__atomic_name(form));
    assert_described(context, part);

    assert_ok(cldeform__atomics_find(context, true, &form, &options));
    snprintf(part, sizeof part, "\"fp64\":\"%s\"", cldeform__atomic_name(form));
    assert_described(context, part);
    if (form == CLDEFORM__ATOMIC_NONE) {
        assert_string_equal(options, "");
        assert_string_equal(cldeform__atomic_name(form), "none");
    } else {
        check_additions(true, options, 1);
    }
    char extensions[16384] = "";
    assert_cl(clGetDeviceInfo(device.id, CL_DEVICE_EXTENSIONS, sizeof extensions, extensions, NULL));
    if (device.fp64 && strstr(extensions, "cl_khr_int64_base_atomics"))
        assert_int_not_equal(form, CLDEFORM__ATOMIC_NONE);
    cldeform_context_destroy(context);
}

/* What a device lacks is not tried. */
static void double_without_64_bit_atomics_has_none(void **state)
{
    (void)state;
    cldeform__atomic_form form = CLDEFORM__ATOMIC_PTX;
    cldeform_context *context = forced_context(0), *forced = forced_context(1);
    context->facts.int64_atomics = forced->facts.int64_atomics = false;
    if (context->facts.fp64_atomic_add || context->facts.nv_extensions ||
        (context->facts.type & CL_DEVICE_TYPE_GPU)) { /* there is another way */
        cldeform_context_destroy(context);
        cldeform_context_destroy(forced);
        skip();
    }
    assert_ok(cldeform__atomics_find(context, true, &form, NULL));
    assert_int_equal(form, CLDEFORM__ATOMIC_NONE);
    assert_int_equal(context->compiled, 0);
    assert_described(context, "\"fp64\":\"none\"");
    assert_status(cldeform__atomics_find(forced, true, &form, NULL), CLDEFORM_UNSUPPORTED,
                  device.fp64 ? "it needs cl_khr_int64_base_atomics" : "it needs cl_khr_fp64");
    assert_ok(cldeform__atomics_find(forced, false, &form, NULL)); /* of no concern to float */
    assert_int_equal(form, CLDEFORM__ATOMIC_COMPARE_EXCHANGE);
    cldeform_context_destroy(context);
    cldeform_context_destroy(forced);
}

/* Claims of a device that its compiler does not keep. */
static void claims_are_not_believed(void **state)
{
    (void)state;
    cldeform__atomic_form honest = CLDEFORM__ATOMIC_NONE, form = CLDEFORM__ATOMIC_NONE;
    cldeform_context *context = forced_context(0);
    const bool extension = context->facts.fp32_atomic_add, gpu = (context->facts.type & CL_DEVICE_TYPE_GPU) != 0;
    assert_ok(cldeform__atomics_find(context, false, &honest, NULL));
    cldeform_context_destroy(context);
    if (extension || gpu)
        skip();
    context = forced_context(0);
    cldeform_context *forced = forced_context(CLDEFORM__ATOMIC_EXTENSION);
    context->facts.fp32_atomic_add = forced->facts.fp32_atomic_add = true;
    context->facts.type |= CL_DEVICE_TYPE_GPU;
    snprintf(context->facts.vendor, sizeof context->facts.vendor, "Advanced Micro Devices, Inc.");
    assert_ok(cldeform__atomics_find(context, false, &form, NULL));
    assert_int_equal(form, honest);
    assert_status(cldeform__atomics_find(forced, false, &form, NULL), CLDEFORM_UNSUPPORTED, "did not compile");
    assert_non_null(strstr(cldeform_last_error(), "atomic_form=3 (cl_ext_float_atomics)"));
    cldeform_context_destroy(context);
    cldeform_context_destroy(forced);
}

/* A context whose kernels have ATOMIC_ADD_REAL redefined in the forms for which `condition` holds. */
static cldeform_context *context_with(const char *condition, const char *definition, int forced)
{
    char directory[TEST_PATH], tuning[TEST_PATH], path[TEST_PATH + 20], line[40];
    test_copy_kernels(directory);
    snprintf(path, sizeof path, "%s/atomic.clh", directory);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fprintf(file, "#if %s\n#undef ATOMIC_ADD_REAL\n%s\n#endif\n", condition, definition);
    assert_int_equal(fclose(file), 0);
    snprintf(line, sizeof line, "\"\" atomic_form=%d", forced);
    test_put_temporary(line, tuning);

    cldeform_context_options options = test_context_options();
    options.tuning_file = tuning;
    cldeform_context *context = test_context_with_kernels(directory, &options);
    /* compiled while the files are there */
    cldeform__atomic_form form;
    (void)cldeform__atomics_find(context, false, &form, NULL);
    remove(tuning);
    test_remove_kernels(directory);
    return context;
}

/* Each defect in the form that would be taken: the proof sees it, and the next form is taken. */
static void wrong_forms_are_passed_over(void **state)
{
    (void)state;
    static const struct {
        const char *definition, *text;
    } defects[] = {
        {"#define ATOMIC_ADD_REAL(p, value) atomic_add_real(p, 2 * (value))", "its sum in cell 1 "},
        {"#define ATOMIC_ADD_REAL(p, value) atomic_add_real(p, fabs(value))", "its sum in cell 3 "},
        {"#define ATOMIC_ADD_REAL(p, value) atomic_add_real(p, (REAL)(int)(value))", "its sum in cell 5 "},
        {"#define ATOMIC_ADD_REAL(p, value) atomic_add_real((p) + 1, value)", "its sum in cell 1 "},
        {"#define ATOMIC_ADD_REAL(p, value) (atomic_add_real(p, value), (p)[-1] += 1)", "its sum in cell 0 "},
        {"#define ATOMIC_ADD_REAL(p, value)", "its sum in cell 1 "},
        {"this is no kernel;", "did not compile"},
    };
    cldeform__atomic_form best = CLDEFORM__ATOMIC_NONE, form = CLDEFORM__ATOMIC_NONE;
    cldeform_context *context = forced_context(0);
    char condition[40];
    assert_ok(cldeform__atomics_find(context, false, &best, NULL));
    cldeform_context_destroy(context);
    snprintf(condition, sizeof condition, "ATOMIC_FORM == %d", (int)best);
    for (size_t i = 0; i < sizeof defects / sizeof defects[0]; i++) {
        context = context_with(condition, defects[i].definition, 0);
        const char *options = NULL;
        assert_ok(cldeform__atomics_find(context, false, &form, &options));
        assert_int_not_equal(form, best);
        assert_int_not_equal(form, CLDEFORM__ATOMIC_NONE);
        check_additions(false, options, 1);
        cldeform_context_destroy(context);

        /* forced, it is refused, in words */
        context = context_with(condition, defects[i].definition, (int)best);
        assert_false(context->atomics.found[0]);
        assert_int_equal(context->atomics.form[0], CLDEFORM__ATOMIC_NONE);
        cldeform_context_destroy(context);
        assert_non_null(strstr(cldeform_last_error(), defects[i].text));
        assert_non_null(strstr(cldeform_last_error(), cldeform__atomic_name(best)));

        context = context_with("1", defects[i].definition, 0);
        assert_ok(cldeform__atomics_find(context, false, &form, NULL));
        assert_int_equal(form, CLDEFORM__ATOMIC_NONE);
        assert_described(context, "\"fp32\":\"none\"");
        cldeform_context_destroy(context);
    }
    /* and one that only says the same in other words is taken */
    context = context_with(condition, "#define ATOMIC_ADD_REAL(p, value) atomic_add_real(p, -(-(value)))", 0);
    assert_ok(cldeform__atomics_find(context, false, &form, NULL));
    assert_int_equal(form, best);
    cldeform_context_destroy(context);
}

/* ---- threads ------------------------------------------------------------------------------------------- */

enum { THREADS = 6 };

typedef struct worker {
    pthread_t thread;
    cldeform_context *context;
    cldeform_status status;
    cldeform__atomic_form form;
} worker;

static void *work(void *argument)
{
    worker *w = argument;
    char text[8192];
    w->status = cldeform__atomics_find(w->context, false, &w->form, NULL);
    if (w->status == CLDEFORM_OK)
        w->status = cldeform_context_describe(w->context, text, sizeof text, NULL);
    return NULL;
}

static void threads_find_the_same(void **state)
{
    (void)state;
    worker workers[THREADS] = {0};
    cldeform_context *context = forced_context(0);
    for (int i = 0; i < THREADS; i++) {
        workers[i].context = context;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(workers[i].status, CLDEFORM_OK);
        assert_int_equal(workers[i].form, workers[0].form);
    }
    assert_int_equal(context->compiled, 1);
    assert_int_equal(context->calls, 1); /* one thread has proved it */
    cldeform_context_destroy(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_adds_or_is_refused),
        cmocka_unit_test(each_type_is_proved_once),
        cmocka_unit_test(double_without_64_bit_atomics_has_none),
        cmocka_unit_test(claims_are_not_believed),
        cmocka_unit_test(wrong_forms_are_passed_over),
        cmocka_unit_test(threads_find_the_same),
    };
    return cmocka_run_group_tests(tests, test_open_device, test_close_device);
}
