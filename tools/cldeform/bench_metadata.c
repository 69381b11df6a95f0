/* bench_metadata.c: see bench_metadata.h. */
#include "bench_metadata.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench_host.h"
#include "describe.h"

static json_t *make_date(void)
{
    char text[40] = "";
    const time_t now = time(NULL);
    const struct tm *utc = gmtime(&now);
    if (utc)
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", utc);
    return json_string(text);
}

static json_t *make_version(void)
{
    char text[40];
    const int version = cldeform_version();
    snprintf(text, sizeof text, "%d.%d.%d", version / 10000, version / 100 % 100, version % 100);
    return json_string(text);
}

static json_t *load_or_null(double load)
{
    return load >= 0 ? json_real(load) : json_null();
}

static json_t *make_host(const bench_report *r)
{
    char cpu[200];
    const int cores = bench_host_cores();
    bench_host_cpu(cpu, sizeof cpu);
    return json_pack("{s:o, s:o, s:o, s:o}", "cpu", cpu[0] ? describe_string(cpu) : json_null(), "cores",
                     cores ? json_integer(cores) : json_null(), "load_before", load_or_null(r->load_before),
                     "load_after", load_or_null(bench_host_load()));
}

static json_t *make_options(const bench_options *o)
{
    json_t *words = json_array();
    for (int i = 0; words && i < o->argc; i++)
        json_array_append_new(words, describe_string(o->argv[i]));
    return json_pack("{s:o, s:f, s:[I, I], s:{s:s?}}", "command", words, "min_time", o->min_time, "samples",
                     (json_int_t)o->samples[0], (json_int_t)o->samples[1], "environment", BENCH_PIN_VARIABLE,
                     getenv(BENCH_PIN_VARIABLE));
}

static json_t *peak_or_null(double peak)
{
    return peak > 0 ? json_real(peak) : json_null();
}

static json_t *make_peaks(const bench_roofline *r)
{
    return json_pack("{s:{s:o, s:o}, s:o}", "gflops", "fp32", peak_or_null(r->fp32_gflops), "fp64",
                     peak_or_null(r->fp64_gflops), "copy_gbs", peak_or_null(r->copy_gbs));
}

int bench_make_metadata(const bench_report *r, json_t **metadata, fault *f)
{
    const device_session *session = &r->device->session;
    json_t *library = NULL;
    char *driver = device_info(session->device->id, CL_DRIVER_VERSION);
    int status = driver ? describe_context(r->device->context, &library, f) : fault_memory(f);
    if (status == EXIT_FINE) {
        json_t *tuning = json_object_get(json_object_get(library, "tuning"), "source");
        *metadata = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i}", "program", "cldeform",
                              "version", make_version(), "device", describe_string(session->device->name), "platform",
                              describe_string(session->list.platforms[session->device->platform].name), "driver",
                              describe_string(driver), "threads", r->threads ? json_integer(r->threads) : json_null(),
                              "date", make_date(), "host", make_host(r), "tuning",
                              tuning ? json_incref(tuning) : json_null(), "options", make_options(r->options), "peaks",
                              make_peaks(r->roofline), "unsupported", r->n_unsupported);
        if (!*metadata)
            status = fault_memory(f);
    }
    json_decref(library);
    free(driver);
    return status;
}
