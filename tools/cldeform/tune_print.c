/* tune_print.c: progress on standard error. */
#include <stdarg.h>
#include <stdio.h>

#include "bench_host.h"
#include "tune.h"

static void say(const char *format, va_list values)
{
    bench_progress("");
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
}

void tune_say(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    say(format, values);
    va_end(values);
}

void tune_log(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    if (bench_has_terminal()) {
        char text[200];
        vsnprintf(text, sizeof text, format, values);
        bench_progress(text);
    } else {
        say(format, values);
    }
    va_end(values);
}
