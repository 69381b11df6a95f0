/* A file is: magic (8 bytes), key length, binary length, two hashes of both (8 bytes each, little endian), key, binary.
 * Its name is the hash of its key. */
#include "disk_cache.h"
#include "os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char magic[8] = "CLDFKRN1";
enum { HEADER = 8 + 4 * 8, MOST = 256 << 20 };

uint64_t cldeform__hash(uint64_t seed, const void *bytes, size_t size)
{
    /* FNV-1a, whose every step is a bijection of the state, and the finaliser of splitmix64 */
    uint64_t hash = 0xcbf29ce484222325u ^ seed * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
    hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ hash >> 27) * 0x94d049bb133111ebu;
    return hash ^ hash >> 31;
}

static void put_number(unsigned char *to, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        to[i] = (unsigned char)(number >> 8 * i);
}

/* Header of a file that holds this key and binary, which follow it in memory. */
static void put_header(unsigned char *file, size_t key_length, size_t size)
{
    memcpy(file, magic, sizeof magic);
    put_number(file + 8, key_length);
    put_number(file + 16, size);
    put_number(file + 24, cldeform__hash(1, file + HEADER, key_length + size));
    put_number(file + 32, cldeform__hash(2, file + HEADER, key_length + size));
}

static void name_file(const char *key, char name[48])
{
    const size_t length = strlen(key);
    snprintf(name, 48, "%016llx%016llx.clbin", (unsigned long long)cldeform__hash(3, key, length),
             (unsigned long long)cldeform__hash(4, key, length));
}

unsigned char *cldeform__disk_cache_load(const char *directory, const char *key, size_t *size)
{
    char name[48];
    size_t file_size = 0;
    const size_t key_length = strlen(key);
    unsigned char *binary = NULL;
    name_file(key, name);
    unsigned char *file = (unsigned char *)cldeform__read_trusted_file(directory, name, MOST, &file_size);
    if (file && file_size > HEADER + key_length && memcmp(file + HEADER, key, key_length) == 0) {
        /* the header that such a file must have, made again, is compared with the one that it has */
        unsigned char found[HEADER];
        memcpy(found, file, HEADER);
        *size = file_size - HEADER - key_length;
        put_header(file, key_length, *size);
        if (memcmp(found, file, HEADER) == 0) {
            binary = file;
            memmove(binary, file + HEADER + key_length, *size);
            file = NULL;
        }
    }
    free(file);
    return binary;
}

bool cldeform__disk_cache_store(const char *directory, const char *key, const unsigned char *binary, size_t size)
{
    char name[48];
    const size_t key_length = strlen(key), file_size = HEADER + key_length + size;
    if (size == 0 || file_size > MOST)
        return false;
    unsigned char *file = malloc(file_size);
    if (!file)
        return false;
    memcpy(file + HEADER, key, key_length);
    memcpy(file + HEADER + key_length, binary, size);
    put_header(file, key_length, size);
    name_file(key, name);
    const bool stored = cldeform__write_private_file(directory, name, (const char *)file, file_size);
    free(file);
    return stored;
}
