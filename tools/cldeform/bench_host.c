/* bench_host.c: see bench_host.h. */
#ifdef __unix__
#define _DEFAULT_SOURCE
#endif
#include "bench_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __unix__
#include <unistd.h>
#endif

void bench_host_cpu(char *name, size_t capacity)
{
    char line[256];
    name[0] = 0;
    FILE *stream = fopen("/proc/cpuinfo", "r");
    while (stream && !name[0] && fgets(line, sizeof line, stream)) {
        const char *colon = strchr(line, ':');
        line[strcspn(line, "\n")] = 0;
        if (colon && strncmp(line, "model name", 10) == 0)
            snprintf(name, capacity, "%s", colon + 1 + strspn(colon + 1, " "));
    }
    if (stream)
        fclose(stream);
}

int bench_host_cores(void)
{
#ifdef _SC_NPROCESSORS_ONLN
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (int)cores : 0;
#else
    return 0;
#endif
}

double bench_host_load(void)
{
#ifdef __unix__
    double load = 0;
    return getloadavg(&load, 1) == 1 ? load : -1;
#else
    return -1;
#endif
}

int bench_has_terminal(void)
{
#ifdef __unix__
    return isatty(STDERR_FILENO);
#else
    return 0;
#endif
}

void bench_progress(const char *text)
{
    if (bench_has_terminal())
        fprintf(stderr, "\r\033[K%s", text);
}

void bench_pin_threads(void)
{
    setenv(BENCH_PIN_VARIABLE, "1", 0);
}
