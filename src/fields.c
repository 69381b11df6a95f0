#include "fields.h"

#include "status.h"

cldeform_status cldeform__check_enum(const char *name, int value, int last)
{
    if (value < 0 || value > last)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "problem.%s is %d; it must be 0 to %d", name, value, last);
    return CLDEFORM_OK;
}

cldeform_status cldeform__check_size(const char *name, int64_t value, int64_t least)
{
    if (value < least)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "problem.%s is %lld; it must be at least %lld", name,
                              (long long)value, (long long)least);
    if (value > INT32_MAX)
        return cldeform__fail(CLDEFORM_LIMIT, "problem.%s is %lld; it must be at most %d", name, (long long)value,
                              INT32_MAX);
    return CLDEFORM_OK;
}

cldeform_status cldeform__check_divides(const char *name, int64_t value, const char *channels, int64_t n)
{
    if (n % value != 0)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "problem.%s is %lld; it must divide %s, which is %lld", name,
                              (long long)value, channels, (long long)n);
    return CLDEFORM_OK;
}
