/* number.h: option values that are numbers or one of a few words, read strictly: nothing is guessed or cut off. */
#ifndef TOOLS_NUMBER_H
#define TOOLS_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#include "fault.h"

#define NUMBER_MAX INT32_MAX /* of a list's numbers: sums and products of two of them fit 64 bits */

/* "3" or "3,5,7": 1 to `most` numbers, each minimum to NUMBER_MAX. *count is how many there were. `option` is for
 * messages. */
int number_read_list(const char *option, const char *text, int64_t minimum, int most, int64_t *numbers, int *count,
                     fault *f);

/* "H" or "H,W": one number is both. */
int number_read_pair(const char *option, const char *text, int64_t minimum, int64_t pair[2], fault *f);

/* A decimal number, "-0.5" or "1e-3", that is finite and not 0; with `positive`, above 0. */
int number_read_real(const char *option, const char *text, int positive, double *value, fault *f);

/* Bytes: digits, then nothing or one of K, M, G for powers of 1024. */
int number_read_bytes(const char *option, const char *text, size_t *bytes, fault *f);

typedef struct number_word {
    const char *word;
    int value;
} number_word;

/* The value of one of `count` words. A fault lists them all. */
int number_read_word(const char *option, const char *text, const number_word *words, size_t count, int *value,
                     fault *f);

#endif
