/* element.c: see element.h. */
#include "element.h"

#include <string.h>

#include "cldeform/cldeform_ref.h"

size_t element_size(cldeform_dtype dtype)
{
    return dtype == CLDEFORM_F16 ? 2 : dtype == CLDEFORM_F64 ? 8 : 4;
}

const char *element_name(cldeform_dtype dtype)
{
    return dtype == CLDEFORM_F16 ? "fp16" : dtype == CLDEFORM_F64 ? "fp64" : "fp32";
}

const char *element_descr(cldeform_dtype dtype)
{
    return dtype == CLDEFORM_F16 ? "<f2" : dtype == CLDEFORM_F64 ? "<f8" : "<f4";
}

void element_to_double(cldeform_dtype dtype, const void *from, size_t count, double *to)
{
    if (dtype == CLDEFORM_F16) {
        const uint16_t *bits = from;
        for (size_t i = 0; i < count; i++)
            to[i] = cldeform_ref_half_to_double(bits[i]);
    } else if (dtype == CLDEFORM_F64) {
        if (count > 0)
            memcpy(to, from, count * sizeof *to);
    } else {
        const float *values = from;
        for (size_t i = 0; i < count; i++)
            to[i] = (double)values[i];
    }
}

void element_from_double(cldeform_dtype dtype, const double *from, size_t count, void *to)
{
    if (dtype == CLDEFORM_F16) {
        uint16_t *bits = to;
        for (size_t i = 0; i < count; i++)
            bits[i] = cldeform_ref_half_from_double(from[i]);
    } else if (dtype == CLDEFORM_F64) {
        if (count > 0)
            memcpy(to, from, count * sizeof *from);
    } else {
        float *values = to;
        for (size_t i = 0; i < count; i++)
            values[i] = (float)from[i];
    }
}
