/* bench_turns.c: see bench_turns.h. */
#include "bench_turns.h"

#include <stdio.h>
#include <string.h>

int bench_take_turns(bench_object *o, const char *name, const char *algorithm, bench_samples *s, fault *f)
{
    char line[80];
    printf("ready %s %s %s\n", name, bench_pass_names[o->pass], algorithm);
    fflush(stdout); /* a script waits for it, as for the lines below */
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\r\n")] = 0;
        if (strcmp(line, "next") == 0)
            return EXIT_FINE;
        if (strcmp(line, "go") != 0)
            return fault_set(f, EXIT_INPUT, "standard input has \"%s\", expected \"go\" or \"next\"", line);
        int status = bench_sample(o, s, f);
        if (status != EXIT_FINE)
            return status;
        printf("%.6f\n", s->wall[s->n - 1]);
        fflush(stdout);
    }
    return fault_set(f, EXIT_INPUT, "standard input has ended, expected \"go\" or \"next\"");
}
