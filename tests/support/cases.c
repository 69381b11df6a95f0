#define _POSIX_C_SOURCE 200809L
#include "cases.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

test_case_list test_cases_find(const char *directory)
{
    test_case_list list = {NULL, 0};
    DIR *open = opendir(directory);
    for (struct dirent *entry = open ? readdir(open) : NULL; entry; entry = readdir(open)) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".json") != 0 || strcmp(entry->d_name, "INDEX.json") == 0)
            continue;
        const size_t size = strlen(directory) + strlen(entry->d_name) + 2;
        list.paths = realloc(list.paths, (list.n + 1) * sizeof *list.paths);
        assert_non_null(list.paths);
        list.paths[list.n] = malloc(size);
        assert_non_null(list.paths[list.n]);
        snprintf(list.paths[list.n++], size, "%s/%s", directory, entry->d_name);
    }
    if (open)
        closedir(open);
    if (list.n > 0)
        qsort(list.paths, list.n, sizeof *list.paths, by_name);
    return list;
}

void test_cases_free(test_case_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->paths[i]);
    free(list->paths);
    *list = (test_case_list){NULL, 0};
}

json_t *test_case_load(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    if (!root)
        fail_msg("%s: %s", path, error.text);
    return root;
}

const char *test_case_text(const json_t *root, const char *name)
{
    const char *text = json_string_value(json_object_get(root, name));
    return text ? text : "";
}

static const json_t *find_tensor(const json_t *root, const char *part, const char *name)
{
    return json_object_get(json_object_get(root, part), name);
}

int64_t test_case_size(const json_t *root, const char *part, const char *name, size_t i)
{
    return json_integer_value(json_array_get(json_object_get(find_tensor(root, part, name), "shape"), i));
}

double *test_case_tensor(const json_t *root, const char *part, const char *name, size_t *elements)
{
    const json_t *tensor = find_tensor(root, part, name);
    const json_t *shape = json_object_get(tensor, "shape"), *data = json_object_get(tensor, "data");
    if (!shape)
        return NULL;
    *elements = 1;
    for (size_t i = 0; i < json_array_size(shape); i++)
        *elements *= (size_t)json_integer_value(json_array_get(shape, i));
    double *values = malloc((*elements + 1) * sizeof *values);
    assert_non_null(values);
    if (data)
        assert_int_equal(json_array_size(data), *elements);
    const double fill = json_number_value(json_object_get(tensor, "fill"));
    const double start = json_number_value(json_object_get(tensor, "iota"));
    const double step = json_number_value(json_object_get(tensor, "step"));
    const bool iota = json_object_get(tensor, "iota") != NULL;
    assert_true(data || iota || json_object_get(tensor, "fill"));
    for (size_t i = 0; i < *elements; i++)
        values[i] = data ? json_number_value(json_array_get(data, i)) : iota ? start + step * (double)i : fill;
    return values;
}

static int64_t parameter(const json_t *params, const char *name, size_t i)
{
    const json_t *value = json_object_get(params, name);
    return json_integer_value(json_is_array(value) ? json_array_get(value, i) : value);
}

bool test_case_problem(const json_t *root, cldeform_conv2d_problem *problem)
{
    const json_t *params = json_object_get(root, "params");
    const char *border = json_string_value(json_object_get(params, "boundary"));
    memset(problem, 0, sizeof *problem);
    problem->struct_size = sizeof *problem;
    const bool mask = find_tensor(root, "inputs", "mask") || strstr(test_case_text(root, "op"), "modulated");
    problem->kind = mask ? CLDEFORM_CONV2D_MODULATED : CLDEFORM_CONV2D_DEFORMABLE;
    problem->batch = test_case_size(root, "inputs", "input", 0);
    problem->in_channels = test_case_size(root, "inputs", "input", 1);
    problem->in_h = test_case_size(root, "inputs", "input", 2);
    problem->in_w = test_case_size(root, "inputs", "input", 3);
    problem->out_channels = test_case_size(root, "inputs", "weight", 0);
    problem->kernel_h = test_case_size(root, "inputs", "weight", 2);
    problem->kernel_w = test_case_size(root, "inputs", "weight", 3);
    problem->stride_h = parameter(params, "stride", 0), problem->stride_w = parameter(params, "stride", 1);
    problem->dilation_h = parameter(params, "dilation", 0), problem->dilation_w = parameter(params, "dilation", 1);
    problem->pad_top = parameter(params, "pad", 0), problem->pad_left = parameter(params, "pad", 1);
    problem->pad_bottom = parameter(params, "pad", 2), problem->pad_right = parameter(params, "pad", 3);
    problem->groups = parameter(params, "groups", 0);
    problem->offset_groups = parameter(params, "deform_groups", 0);
    problem->border = border && strcmp(border, "edge") == 0 ? CLDEFORM_BORDER_EDGE : CLDEFORM_BORDER_ZERO;
    const char *rule = json_string_value(json_object_get(params, "coordinate_gradient"));
    assert_true(!rule || strcmp(rule, "strict") == 0 || strcmp(rule, "open") == 0);
    if (rule && strcmp(rule, "open") == 0)
        problem->offset_gradient = CLDEFORM_OFFSET_GRADIENT_OPEN;
    return !border || strcmp(border, "edge") == 0 || strcmp(border, "zero") == 0;
}

double *test_case_grad_output(const json_t *root, size_t elements)
{
    const char *form = json_string_value(json_object_get(json_object_get(root, "params"), "grad_output"));
    size_t n = 0;
    double *values = test_case_tensor(root, "inputs", "grad_output", &n);
    if (!values && form) {
        assert_string_equal(form, "ones");
        values = malloc((elements + 1) * sizeof *values);
        assert_non_null(values);
        for (n = 0; n < elements; n++)
            values[n] = 1;
    }
    assert_true(!values || n == elements);
    return values;
}

static void compare(const json_t *root, const char *name, const double *found, const double *expected, size_t elements)
{
    const json_t *tolerance = json_object_get(root, "tolerance");
    const double atol = json_number_value(json_object_get(tolerance, "atol"));
    const double rtol = json_number_value(json_object_get(tolerance, "rtol"));
    for (size_t i = 0; i < elements; i++)
        if (!(fabs(found[i] - expected[i]) <= atol + rtol * fabs(expected[i])))
            fail_msg("%s: element %zu of %s is %.9g; the case says %.9g (+- %g, and %g of it)",
                     test_case_text(root, "id"), i, name, found[i], expected[i], atol, rtol);
}

void test_case_compare(const json_t *root, const char *part, const char *prefix, const test_case_result *results,
                       size_t n)
{
    for (void *i = json_object_iter(json_object_get(root, part)); i;
         i = json_object_iter_next(json_object_get(root, part), i)) {
        const char *name = json_object_iter_key(i);
        const test_case_result *result = NULL;
        if (strncmp(name, prefix, strlen(prefix)) != 0)
            continue;
        for (size_t r = 0; r < n; r++)
            if (results[r].values && strcmp(results[r].name, name) == 0)
                result = &results[r];
        if (!result) {
            fail_msg("%s: %s.%s is not compared with anything", test_case_text(root, "id"), part, name);
            return;
        }
        size_t elements = 0;
        double *expected = test_case_tensor(root, part, name, &elements);
        assert_non_null(expected);
        assert_int_equal(result->elements, elements);
        compare(root, name, result->values, expected, elements);
        free(expected);
    }
}
