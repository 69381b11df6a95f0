/* Reproducible data for tests. */
#ifndef TEST_DATA_H
#define TEST_DATA_H

#include <stdint.h>

typedef enum test_data {
    /* Whole numbers, positions and masks in quarters: every sum is exact in fp32, in any order. */
    TEST_EXACT,
    /* Uniform values; positions mostly inside, some outside, some exactly at borders. */
    TEST_RANDOM
} test_data;

/* The next number of a sequence; *state: any number, changed. */
double test_uniform(uint32_t *state, double least, double most);

#endif
