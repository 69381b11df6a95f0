/* info.h: what `info` knows, collected once as JSON; info.c prints it as such or as text. */
#ifndef CLDEFORM_TOOL_INFO_H
#define CLDEFORM_TOOL_INFO_H

#include <jansson.h>

#include "fault.h"

/* version, loader, icd_search, icd_files, platforms, default_device, default_reason, and advice where no device is. A
 * new reference. */
int info_collect(json_t **facts, fault *f);

/* The ICD loader's library: path, name, vendor, version, opencl; null for what it does not say. A new reference. */
json_t *info_loader(void);

/* Where the loader looks for drivers, in words. A new reference. */
json_t *info_icd_search(void);

/* An array of {file, library, path, error}: each .icd file, the library it names, where that was found, or why it was
 * not. file is null for a library that an environment variable names. A new reference. After the loader has loaded
 * them: each is opened once more. */
json_t *info_icd_files(void);

#endif
