/* fault.c: see fault.h. */
#include "fault.h"

#include <stdarg.h>
#include <stdio.h>

int fault_set(fault *f, int exit_status, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int length = vsnprintf(f->text, sizeof f->text, format, values);
    va_end(values);
    if (length < 0)
        f->text[0] = 0;
    for (char *c = f->text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = *c == '\n' || *c == '\t' ? ' ' : '?';
    f->exit_status = exit_status;
    return exit_status;
}

int fault_memory(fault *f)
{
    return fault_set(f, EXIT_DEVICE, "not enough memory");
}

void fault_print(const fault *f, const char *program)
{
    fprintf(stderr, "%s: %s\n", program, f->text);
}
