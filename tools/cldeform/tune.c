/* tune.c: the tune command: what is tuned, on which device, and where the result goes. */
#include "tune.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_host.h"
#include "command.h"
#include "describe.h"
#include "device.h"
#include "files.h"
#include "operator.h"
#include "timing.h"

/* ---- Ctrl-C ---- */

static volatile sig_atomic_t requests;

static void count_request(int number)
{
    requests++;
    signal(number, count_request); /* some systems forget it */
}

static int is_stopped(void)
{
    return requests > 0;
}

static int is_aborted(void)
{
    return requests > 1;
}

/* ---- the device ---- */

typedef struct facts {
    char index[48];
    char *device, *platform, *driver;
    int is_cpu;
    tune_setting built_in;
} facts;

static char *copy_text(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

static void free_facts(facts *of)
{
    free(of->device);
    free(of->platform);
    free(of->driver);
}

static int read_values(const cldeform_context *context, tune_setting *setting, fault *f)
{
    json_t *description = NULL;
    int status = describe_context(context, &description, f);
    for (size_t p = 0; p < tune_n_parameters && status == EXIT_FINE; p++) {
        const json_t *value = json_object_get(json_object_get(description, "tuning"), tune_parameters[p].name);
        setting->value[p] = (int)json_integer_value(value);
        if (!json_is_integer(value))
            status = fault_set(f, EXIT_DEVICE, "the library has no parameter %s", tune_parameters[p].name);
    }
    json_decref(description);
    return status;
}

/* The device is closed again: children have it for themselves. */
static int find_facts(const char *wanted, facts *of, fault *f)
{
    device_session session = {0};
    cldeform_context *context = NULL;
    cldeform_context_options options = CLDEFORM_INIT(cldeform_context_options);
    options.tuning_file = ""; /* the built-in row, whatever the environment says */
    int status = device_open(&session, wanted, 0, f);
    if (status == EXIT_FINE) {
        const cldeform_status answer = cldeform_context_create(session.context, session.device->id, &options, &context);
        status = answer == CLDEFORM_OK ? read_values(context, &of->built_in, f) : operator_refuse(answer, 0, f);
    }
    if (status == EXIT_FINE) {
        memcpy(of->index, session.device->index, sizeof of->index);
        of->is_cpu = (session.device->type & CL_DEVICE_TYPE_CPU) != 0;
        of->device = copy_text(session.device->name);
        of->platform = copy_text(session.list.platforms[session.device->platform].name);
        of->driver = device_info(session.device->id, CL_DRIVER_VERSION);
        if (!of->device || !of->platform || !of->driver)
            status = fault_memory(f);
    }
    cldeform_context_destroy(context);
    device_close(&session);
    return status;
}

/* ---- the command ---- */

static void find_scope(const bench_options *o, const bench_cases *cases, tune_search *s)
{
    for (size_t i = 0; i < cases->n; i++)
        s->operators |= cases->at[i].problem.operation == BENCH_CONV2D ? TUNE_OF_CONV2D : TUNE_OF_ROI;
    for (size_t i = 0; i < o->n_passes; i++)
        s->passes |= 1u << o->pass[i];
}

static int search(const tune_options *o, const bench_cases *cases, const facts *of, tune_search *s, fault *f)
{
    tune_session session = {.options = o, .cases = cases, .device = of->index, .built_in = &of->built_in};
    const double begin = timing_now();
    int status = tune_open_session(&session, f);
    s->measurer = tune_session_measurer(&session);
    s->is_cpu = of->is_cpu;
    s->wanted = o->wanted;
    s->quick = o->quick;
    s->until = o->budget > 0 ? begin + 1e3 * o->budget : 0;
    s->stopped = is_stopped;
    s->aborted = is_aborted;
    s->start = of->built_in;
    find_scope(&o->cases, cases, s);
    if (status == EXIT_FINE)
        status = tune_run_search(s, f);
    tune_close_session(&session);
    return status;
}

static int write_output(file_replacement *output, const facts *of, const tune_search *s, fault *f)
{
    const tune_place place = {of->device, of->platform, of->driver};
    bench_progress("");
    tune_write_file(output->stream ? output->stream : stdout, &place, s);
    if (!output->stream)
        return EXIT_FINE; /* main looks at standard output */
    int status = file_close(output, f);
    if (status == EXIT_FINE)
        status = file_commit(output, f);
    if (status == EXIT_FINE)
        tune_say("written to %s", output->target);
    return status;
}

static int tune(const tune_options *o, const bench_cases *cases, fault *f)
{
    static tune_search s;
    file_replacement output = {0};
    facts of = {.device = NULL};
    int status = o->output ? file_begin(&output, o->output, f) : EXIT_FINE; /* a wrong path shows at once */
    if (status == EXIT_FINE)
        status = find_facts(o->cases.device, &of, f);
    if (status == EXIT_FINE) {
        signal(SIGINT, count_request);
        signal(SIGTERM, count_request);
        tune_say("device: %s %s (%s)", of.index, of.device, of.platform);
        status = search(o, cases, &of, &s, f);
    }
    if (status == EXIT_FINE)
        status = write_output(&output, &of, &s, f);
    tune_free_search(&s);
    free_facts(&of);
    file_release(&output);
    return status;
}

int command_tune(int argc, char **argv, fault *f)
{
    tune_options o;
    bench_cases cases = {0};
    int status = tune_read_options(argc, argv, &o, f);
    const int runs = status == EXIT_FINE && !o.help && !o.list;
    if (runs)
        status = bench_find_cases(&o.cases, &cases, f);
    if (runs && status == EXIT_FINE)
        status = tune(&o, &cases, f);
    bench_free_cases(&cases);
    tune_free_options(&o);
    return status;
}
