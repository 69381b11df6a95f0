#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(cldeform__text *text, size_t more)
{
    if (text->failed)
        return false;
    const size_t needed = text->length + more + 1;
    if (needed > text->capacity) {
        const size_t capacity = needed * 2;
        char *data = realloc(text->data, capacity);
        if (!data) {
            text->failed = true;
            return false;
        }
        text->data = data;
        text->capacity = capacity;
    }
    return true;
}

void cldeform__text_add(cldeform__text *text, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length >= 0 && reserve(text, (size_t)length)) {
        vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
}

void cldeform__text_add_json(cldeform__text *text, const char *value)
{
    if (!value) {
        cldeform__text_add(text, "null");
        return;
    }
    cldeform__text_add(text, "\"");
    for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
        if (*c == '"' || *c == '\\')
            cldeform__text_add(text, "\\%c", *c);
        else if (*c < 0x20)
            cldeform__text_add(text, "\\u%04x", *c);
        else
            cldeform__text_add(text, "%c", *c);
    }
    cldeform__text_add(text, "\"");
}

cldeform_status cldeform__text_give(cldeform__text *text, char *out, size_t capacity, size_t *needed)
{
    cldeform_status status = CLDEFORM_OK;
    if (text->failed || !text->data) {
        status = cldeform__fail(CLDEFORM_OUT_OF_MEMORY, "no memory for the description");
    } else {
        if (needed)
            *needed = text->length + 1;
        if (capacity > 0) {
            const size_t length = text->length < capacity - 1 ? text->length : capacity - 1;
            memcpy(out, text->data, length);
            out[length] = 0;
        }
    }
    cldeform__text_free(text);
    return status;
}

void cldeform__text_free(cldeform__text *text)
{
    free(text->data);
    *text = (cldeform__text){0};
}
