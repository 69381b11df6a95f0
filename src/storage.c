#include "storage.h"
#include "cldeform/cldeform_ref.h"

size_t cldeform__dtype_size(cldeform_dtype dtype)
{
    return dtype == CLDEFORM_F16 ? 2 : dtype == CLDEFORM_F64 ? 8 : 4;
}

int cldeform__bits(cldeform_dtype dtype)
{
    return (int)cldeform__dtype_size(dtype) * 8;
}

cldeform_dtype cldeform__real_dtype(cldeform_dtype dtype)
{
    return dtype == CLDEFORM_F64 ? CLDEFORM_F64 : CLDEFORM_F32;
}

const char *cldeform__dtype_name(cldeform_dtype dtype)
{
    return dtype == CLDEFORM_F16 ? "fp16" : dtype == CLDEFORM_F64 ? "fp64" : "fp32";
}

void cldeform__store_element(void *elements, size_t index, cldeform_dtype dtype, double value)
{
    if (dtype == CLDEFORM_F16)
        ((uint16_t *)elements)[index] = cldeform_ref_half_from_double(value);
    else if (dtype == CLDEFORM_F64)
        ((double *)elements)[index] = value;
    else
        ((float *)elements)[index] = (float)value;
}

double cldeform__load_element(const void *elements, size_t index, cldeform_dtype dtype)
{
    if (dtype == CLDEFORM_F16)
        return cldeform_ref_half_to_double(((const uint16_t *)elements)[index]);
    return dtype == CLDEFORM_F64 ? ((const double *)elements)[index] : (double)((const float *)elements)[index];
}
