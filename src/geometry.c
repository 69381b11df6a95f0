#include "geometry.h"

bool cldeform__multiply(int64_t a, int64_t b, int64_t *result)
{
    if (a != 0 && b > INT64_MAX / a)
        return false;
    *result = a * b;
    return true;
}

bool cldeform__add(int64_t a, int64_t b, int64_t *result)
{
    if (b > INT64_MAX - a)
        return false;
    *result = a + b;
    return true;
}

bool cldeform__product(const int64_t *factors, int n, int64_t *result)
{
    int64_t product = 1;
    for (int i = 0; i < n; i++)
        if (!cldeform__multiply(product, factors[i], &product))
            return false;
    *result = product;
    return true;
}

bool cldeform__bytes(int64_t elements, size_t element_size, size_t *bytes)
{
    int64_t product;
    if (!cldeform__multiply(elements, (int64_t)element_size, &product) || (uint64_t)product > SIZE_MAX)
        return false;
    *bytes = (size_t)product;
    return true;
}

int64_t cldeform__divide_up(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}

int64_t cldeform__at_most(int64_t a, int64_t most)
{
    return a < most ? a : most;
}

int64_t cldeform__most_that_fits(int64_t most, cldeform__fits *fits, const void *of)
{
    int64_t least = 1;
    while (least < most) {
        const int64_t middle = least + (most - least + 1) / 2;
        if (fits(of, middle))
            least = middle;
        else
            most = middle - 1;
    }
    return least;
}

int64_t cldeform__common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

bool cldeform__round_up(int64_t a, int64_t b, int64_t *result)
{
    return cldeform__multiply(cldeform__divide_up(a, b), b, result);
}

bool cldeform__needs_long_index(int64_t elements)
{
    return elements > INT32_MAX;
}
