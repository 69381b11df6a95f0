/* Compiled kernels on disk. A driver may crash on a damaged binary, so none is given away that is not exactly what was
 * stored under exactly this key; a doubt means that there is none. Knows no OpenCL. */
#ifndef CLDEFORM_DISK_CACHE_H
#define CLDEFORM_DISK_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 64 bits of the bytes; seeds give independent values. Against damage, not against forgers: who may write to the
 * directory may run code anyway, so directory and file must belong to this user or root (os.h). */
uint64_t cldeform__hash(uint64_t seed, const void *bytes, size_t size);

/* The binary stored under the key, malloc'ed, or NULL. */
unsigned char *cldeform__disk_cache_load(const char *directory, const char *key, size_t *size);

/* false if it could not be written: costs only time. */
bool cldeform__disk_cache_store(const char *directory, const char *key, const unsigned char *binary, size_t size);

#endif
