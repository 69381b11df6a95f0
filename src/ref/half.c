#include "cldeform/cldeform_ref.h"

#include <math.h>

double cldeform_ref_half_to_double(uint16_t bits)
{
    const int exponent = bits >> 10 & 0x1f, fraction = bits & 0x3ff;
    double value;
    if (exponent == 31)
        value = fraction ? NAN : INFINITY;
    else if (exponent == 0)
        value = ldexp(fraction, -24);
    else
        value = ldexp(1024 + fraction, exponent - 25);
    return bits & 0x8000 ? -value : value;
}

uint16_t cldeform_ref_half_from_double(double value)
{
    const uint16_t sign = signbit(value) ? 0x8000 : 0;
    const double magnitude = fabs(value);
    if (isnan(value))
        return sign | 0x7e00;
    if (magnitude >= 65520) /* halfway from the largest half to the next power of two */
        return sign | 0x7c00;
    if (magnitude == 0)
        return sign;
    int exponent = 0;
    frexp(magnitude, &exponent); /* magnitude < 2^exponent */
    if (exponent < -13)
        exponent = -13; /* below 2^-14 halves are evenly spaced */
    /* in units of the last place: up to 2^11, which carries into the exponent by itself */
    const double units = ldexp(magnitude, 11 - exponent);
    double whole = floor(units);
    const double rest = units - whole;
    if (rest > 0.5 || (rest == 0.5 && fmod(whole, 2) != 0))
        whole += 1;
    const int encoded = (int)whole + (exponent + 13) * 1024;
    return (uint16_t)(sign | encoded);
}
