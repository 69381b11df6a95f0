/* Numeric cases in JSON: those of other projects' tests, and the golden files of this one (tools/make_golden.py). */
#ifndef TEST_CASES_H
#define TEST_CASES_H

#include "conv.h"

#include <jansson.h>

/* A folder of case files; absent: n is 0. */
typedef struct test_case_list {
    char **paths;
    size_t n;
} test_case_list;

test_case_list test_cases_find(const char *directory);
void test_cases_free(test_case_list *list);

/* The object in the file. Fails the test if it is not JSON. */
json_t *test_case_load(const char *path);

/* "op", "id" and the like. */
const char *test_case_text(const json_t *root, const char *name);

/* A tensor in one of the forms {"shape","data"}, {"shape","fill"}, {"shape","iota","step"} as malloc'ed values; NULL if
 * there is none of that name in root[part]. */
double *test_case_tensor(const json_t *root, const char *part, const char *name, size_t *elements);

/* params and the shapes of a case as a problem. false: it has a border rule that this library does not have. */
bool test_case_problem(const json_t *root, cldeform_conv2d_problem *problem);

/* Size i of a tensor's shape; 0 if there is no such tensor. */
int64_t test_case_size(const json_t *root, const char *part, const char *name, size_t i);

/* The gradient of the output that a case's gradients are of, for the caller to free: a tensor, or ones (`elements` of
 * them). NULL: the case has no gradients. */
double *test_case_grad_output(const json_t *root, size_t elements);

/* A result, under the name that it has in a case. values NULL: none. */
typedef struct test_case_result {
    const char *name;
    const double *values;
    size_t elements;
} test_case_result;

/* Fails unless each tensor of root[part] whose name begins with `prefix` is among the results, with as many elements
 * and |found - expected| <= atol + rtol * |expected|, by the case's own tolerance. */
void test_case_compare(const json_t *root, const char *part, const char *prefix, const test_case_result *results,
                       size_t n);

#endif
