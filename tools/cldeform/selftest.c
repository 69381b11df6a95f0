/* selftest.c: the library's self-test, one line per check. */
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "device.h"

static const char *const help[] = {
    "usage: cldeform selftest [--device D]",
    "",
    "Runs every kernel on small problems and compares with the reference. Takes seconds. Prints one line per check,",
    "\"ok   NAME\" or \"FAIL NAME: what is wrong\", and a summary.",
    "",
    "  --device D   platform:device by index as \"cldeform info\" lists them, or any part of a device's or platform's",
    "               name without regard to case. Default: what CLDEFORM_DEVICE says, else the first GPU, else the",
    "               first CPU.",
    "",
    "Exit status: 0 all checks passed; 1 a check failed, there is no device, or OpenCL failed; 2 a wrong option.",
    "Example: cldeform selftest --device portable",
    NULL,
};

typedef struct counts {
    int checks, failures;
} counts;

static void report(const char *check, cldeform_status status, const char *detail, void *user)
{
    counts *c = user;
    c->checks++;
    if (status == CLDEFORM_OK) {
        printf("ok   %s\n", check);
    } else {
        c->failures++;
        printf("FAIL %s: %s\n", check, detail && detail[0] ? detail : cldeform_status_text(status));
    }
    fflush(stdout); /* a driver that crashes in the next check should not take this line with it */
}

static int run(const char *wanted, fault *f)
{
    device_session session = {0};
    cldeform_context *context = NULL;
    char *device = NULL;
    counts c = {0, 0};
    int status = device_open(&session, wanted, 0, f);
    if (status != EXIT_FINE)
        goto done;
    device = device_text(&session.list, session.device);
    cldeform_status answer = cldeform_context_create(session.context, session.device->id, NULL, &context);
    if (answer == CLDEFORM_OK)
        answer = cldeform_selftest(context, report, &c);
    if (answer != CLDEFORM_OK && c.failures == 0) { /* it could not even begin, or failed outside a check */
        status = fault_set(f, EXIT_DEVICE, "%s", cldeform_last_error());
        goto done;
    }
    printf("%d checks, %d failed on %s\n", c.checks, c.failures, device ? device : session.device->name);
    if (c.failures > 0)
        status = fault_set(f, EXIT_DEVICE, "the self-test failed on %s", device ? device : session.device->name);
done:
    free(device);
    cldeform_context_destroy(context);
    device_close(&session);
    return status;
}

int command_selftest(int argc, char **argv, fault *f)
{
    enum { DEVICE = OPTION_FIRST };
    static const struct option options[] = {
        {"device", required_argument, NULL, DEVICE},
        {"help", no_argument, NULL, OPTION_HELP},
        {NULL, 0, NULL, 0},
    };
    const char *wanted = NULL;
    int option = 0;
    while ((option = option_next(argc, argv, options, f)) != OPTION_END) {
        if (option == OPTION_WRONG)
            return f->exit_status;
        if (option == OPTION_HELP) {
            print_lines(help);
            return EXIT_FINE;
        }
        wanted = optarg;
    }
    return run(wanted, f);
}
