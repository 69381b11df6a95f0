/* number.c: see number.h. */
#include "number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Digits at *text, which moves past them. 0: there are none, or the value is above `most`. strtoll would also take
 * spaces, signs and hexadecimal. */
static int read_digits(const char **text, uint64_t most, uint64_t *value)
{
    const char *at = *text;
    uint64_t sum = 0;
    while (*at >= '0' && *at <= '9') {
        uint64_t digit = (uint64_t)(*at - '0');
        if (digit > most || sum > (most - digit) / 10)
            return 0;
        sum = sum * 10 + digit;
        at++;
    }
    if (at == *text)
        return 0;
    *text = at;
    *value = sum;
    return 1;
}

int number_read_list(const char *option, const char *text, int64_t minimum, int most, int64_t *numbers, int *count,
                     fault *f)
{
    const char *at = text;
    for (int i = 0; i < most; i++) {
        uint64_t value = 0;
        if (!read_digits(&at, NUMBER_MAX, &value) || (int64_t)value < minimum || (*at && *at != ','))
            break;
        numbers[i] = (int64_t)value;
        if (*at == 0) {
            *count = i + 1;
            return EXIT_FINE;
        }
        at++;
    }
    if (most == 1)
        return fault_set(f, EXIT_INPUT, "%s is \"%s\", expected a whole number from %lld to %lld", option, text,
                         (long long)minimum, (long long)NUMBER_MAX);
    return fault_set(f, EXIT_INPUT,
                     "%s is \"%s\", expected 1 to %d whole numbers from %lld to %lld with commas between", option, text,
                     most, (long long)minimum, (long long)NUMBER_MAX);
}

int number_read_pair(const char *option, const char *text, int64_t minimum, int64_t pair[2], fault *f)
{
    int count = 0;
    int status = number_read_list(option, text, minimum, 2, pair, &count, f);
    if (status == EXIT_FINE && count == 1)
        pair[1] = pair[0];
    return status;
}

/* strtod alone would also take spaces, hexadecimal, infinities and NaN. */
int number_read_real(const char *option, const char *text, int positive, double *value, fault *f)
{
    char *end = NULL;
    int plain = text[0] && text[strspn(text, "0123456789+-.eE")] == 0;
    double read = plain ? strtod(text, &end) : 0;
    if (plain && *end == 0 && isfinite(read) && (read > 0 || (read < 0 && !positive))) {
        *value = read;
        return EXIT_FINE;
    }
    return fault_set(f, EXIT_INPUT, "%s is \"%s\", expected a number %s", option, text,
                     positive ? "above 0" : "other than 0");
}

int number_read_bytes(const char *option, const char *text, size_t *bytes, fault *f)
{
    static const char units[] = "KMG";
    const char *at = text;
    uint64_t value = 0;
    if (!read_digits(&at, SIZE_MAX, &value))
        goto refused;
    const char *unit = *at ? strchr(units, *at) : NULL;
    if (unit) {
        int shift = 10 * ((int)(unit - units) + 1);
        if (value > SIZE_MAX >> shift)
            goto refused;
        value <<= shift;
        at++;
    }
    if (*at)
        goto refused;
    *bytes = (size_t)value;
    return EXIT_FINE;
refused:
    return fault_set(f, EXIT_INPUT, "%s is \"%s\", expected bytes: a whole number, with K, M or G for powers of 1024",
                     option, text);
}

int number_read_word(const char *option, const char *text, const number_word *words, size_t count, int *value, fault *f)
{
    char known[256] = "";
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i].word) == 0) {
            *value = words[i].value;
            return EXIT_FINE;
        }
        if (length < sizeof known)
            length += (size_t)snprintf(known + length, sizeof known - length, "%s%s", i > 0 ? ", " : "", words[i].word);
    }
    return fault_set(f, EXIT_INPUT, "%s is \"%s\", expected one of: %s", option, text, known);
}
