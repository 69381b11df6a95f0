#include "data.h"

double test_uniform(uint32_t *state, double least, double most)
{
    *state = *state * 1664525u + 1013904223u;
    uint32_t bits = *state;
    bits ^= bits >> 16;
    bits *= 0x45d9f3bu;
    bits ^= bits >> 16;
    return least + (most - least) * (bits / 4294967296.0);
}
