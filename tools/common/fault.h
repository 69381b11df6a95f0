/* fault.h: what went wrong, as one line for a person, and the exit status that it means. Knows no files and no OpenCL.
 *
 * Functions of the tools that can fail take a fault, fill it and return its exit status; 0 is success. Only main
 * prints. */
#ifndef TOOLS_FAULT_H
#define TOOLS_FAULT_H

enum {
    EXIT_FINE = 0,
    EXIT_DEVICE = 1,  /* no device, OpenCL failed, or memory ran out: the request was right */
    EXIT_INPUT = 2,   /* a wrong file, shape or option */
    EXIT_MISMATCH = 3 /* a comparison found a difference that is too large */
};

typedef struct fault {
    int exit_status;
    char text[2000]; /* without the program's name and without a line end */
} fault;

#if defined(__GNUC__)
#define FAULT_PRINTF(format_at, values_at) __attribute__((format(printf, format_at, values_at)))
#else
#define FAULT_PRINTF(format_at, values_at)
#endif

/* Returns exit_status. Control characters (a file name may hold any) become '?', so that the text stays one line. */
int fault_set(fault *f, int exit_status, const char *format, ...) FAULT_PRINTF(3, 4);

int fault_memory(fault *f);

/* "program: text" on standard error. */
void fault_print(const fault *f, const char *program);

#endif
