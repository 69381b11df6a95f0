/* bench_host.h: what the operating system tells of the machine, and its terminal. Linux is tested; elsewhere the facts
 * are left out. */
#ifndef CLDEFORM_TOOL_BENCH_HOST_H
#define CLDEFORM_TOOL_BENCH_HOST_H

#include <stddef.h>

/* "" where it is not known. */
void bench_host_cpu(char *name, size_t capacity);

/* That are online; 0: not known. */
int bench_host_cores(void);

/* Programs that wanted to run, on average over the last minute; -1: not known. */
double bench_host_load(void);

/* Whether standard error is one. */
int bench_has_terminal(void);

/* Takes the place of the line on the terminal that standard error is, or does nothing. "": none. */
void bench_progress(const char *text);

/* Has PoCL pin its threads to cores, unless the environment says otherwise: else two of them may wake up on one core,
 * and a call of some milliseconds is over before they are parted. To be called before the first OpenCL call. */
#define BENCH_PIN_VARIABLE "POCL_AFFINITY"
void bench_pin_threads(void);

#endif
