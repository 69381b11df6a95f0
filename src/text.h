/* A growing text, for the JSON that the describe functions give. */
#ifndef CLDEFORM_TEXT_H
#define CLDEFORM_TEXT_H

#include "status.h"

#include <stdbool.h>

typedef struct cldeform__text {
    char *data; /* start with {0} */
    size_t length, capacity;
    bool failed; /* no memory: later additions do nothing */
} cldeform__text;

void cldeform__text_add(cldeform__text *text, const char *format, ...) CLDEFORM__PRINTF(2, 3);

/* "value" with quotes, escaped for JSON; null for NULL. */
void cldeform__text_add_json(cldeform__text *text, const char *value);

/* Copies at most capacity bytes including the final 0 to `out` (may be NULL if capacity is 0), sets *needed (may be
 * NULL) and frees the text. */
cldeform_status cldeform__text_give(cldeform__text *text, char *out, size_t capacity, size_t *needed);

void cldeform__text_free(cldeform__text *text);

#endif
