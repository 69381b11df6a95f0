/* Parameters of CLBlast's kernel for large products in single precision: sets to choose from, for devices that its own
 * table does not know. Data alone: gemm.c hands them over. */
#ifndef CLDEFORM_GEMM_PARAMETERS_H
#define CLDEFORM_GEMM_PARAMETERS_H

#include "context.h"

enum { CLDEFORM__GEMM_VALUES = 16 };
extern const char *const cldeform__gemm_value_names[CLDEFORM__GEMM_VALUES];

typedef struct cldeform__gemm_set {
    const char *name;
    size_t values[CLDEFORM__GEMM_VALUES]; /* in the order of their names */
} cldeform__gemm_set;

/* Set number 1, 2, ... (gemm_parameters in the tuning); NULL: there is none of this number. */
const cldeform__gemm_set *cldeform__gemm_set_of(int number);

/* NULL if kernels with these values can be compiled and run on the device, else why not. */
const char *cldeform__gemm_set_refuses(const cldeform__gemm_set *set, const cldeform__facts *facts);

#endif
