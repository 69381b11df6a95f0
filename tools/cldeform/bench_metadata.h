/* bench_metadata.h: where results come from. */
#ifndef CLDEFORM_TOOL_BENCH_METADATA_H
#define CLDEFORM_TOOL_BENCH_METADATA_H

#include "bench_report.h"

/* A new reference: the member "metadata" of a file of results. */
int bench_make_metadata(const bench_report *r, json_t **metadata, fault *f);

#endif
