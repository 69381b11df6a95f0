/* filters.c: see filters.h. */
#include "filters.h"

#include <math.h>
#include <stdint.h>

enum { REACH = FILTERS_KERNEL / 2, AREA = FILTERS_KERNEL * FILTERS_KERNEL, DIRECTIONS = 8 };

static const float PI = 3.14159265f;
/* How much each linear colour contributes to light. */
static const float LIGHT[FILTERS_COLOURS] = {0.2126f, 0.7152f, 0.0722f};

static float gauss(float y, float x, float sigma)
{
    return expf(-(y * y + x * x) / (2 * sigma * sigma)) / (2 * PI * sigma * sigma);
}

/* Adds colours[c] * gauss to a filter. */
static void add_blur(float *filter, const float colours[FILTERS_COLOURS], float sigma)
{
    for (int c = 0; c < FILTERS_COLOURS; c++)
        for (int i = 0; i < AREA; i++) {
            const float y = (float)(i / FILTERS_KERNEL - REACH), x = (float)(i % FILTERS_KERNEL - REACH);
            filter[c * AREA + i] += colours[c] * gauss(y, x, sigma);
        }
}

typedef enum pattern { EDGE, EVEN_STRIPES, ODD_STRIPES } pattern;

/* Light alone, changing in the direction of angle, with sum 0: no answer to a uniform picture. */
static void add_directed(float *filter, pattern kind, float angle)
{
    const float sigma = 1.6f, wave = 2 * PI / 4.5f; /* 4.5 pixels from stripe to stripe */
    float plane[AREA], sum = 0, size = 0;
    for (int i = 0; i < AREA; i++) {
        const float y = (float)(i / FILTERS_KERNEL - REACH), x = (float)(i % FILTERS_KERNEL - REACH);
        const float across = x * cosf(angle) + y * sinf(angle);
        const float change = kind == EDGE ? across : kind == EVEN_STRIPES ? cosf(wave * across) : sinf(wave * across);
        plane[i] = change * gauss(y, x, sigma);
        sum += plane[i];
    }
    for (int i = 0; i < AREA; i++) {
        const float y = (float)(i / FILTERS_KERNEL - REACH), x = (float)(i % FILTERS_KERNEL - REACH);
        plane[i] -= sum * gauss(y, x, sigma);
        size += fabsf(plane[i]);
    }
    for (int c = 0; c < FILTERS_COLOURS; c++)
        for (int i = 0; i < AREA; i++)
            filter[c * AREA + i] += 2 * LIGHT[c] * plane[i] / size;
}

void filters_make_bank(float weight[FILTERS_FEATURES * FILTERS_COLOURS * FILTERS_KERNEL * FILTERS_KERNEL])
{
    static const struct {
        float colours[FILTERS_COLOURS], sigma;
    } blurs[] = {
        {{1, 0, 0}, 1},
        {{0, 1, 0}, 1},
        {{0, 0, 1}, 1},
        {{0.2126f, 0.7152f, 0.0722f}, 0.6f},
        {{1, -1, 0}, 1.5f},
        {{-0.5f, -0.5f, 1}, 1.5f},
        {{0.2126f, 0.7152f, 0.0722f}, 2},
    };
    enum { BLURS = sizeof blurs / sizeof *blurs, FILTER = FILTERS_COLOURS * AREA };
    for (int i = 0; i < FILTERS_FEATURES * FILTER; i++)
        weight[i] = 0;
    for (int i = 0; i < BLURS; i++)
        add_blur(weight + (size_t)i * FILTER, blurs[i].colours, blurs[i].sigma);

    const float minus[FILTERS_COLOURS] = {-LIGHT[0], -LIGHT[1], -LIGHT[2]};
    add_blur(weight + (size_t)BLURS * FILTER, LIGHT, 0.8f); /* a spot brighter than what is round it */
    add_blur(weight + (size_t)BLURS * FILTER, minus, 2);

    float *directed = weight + (size_t)(BLURS + 1) * FILTER;
    for (int kind = EDGE; kind <= ODD_STRIPES; kind++)
        for (int d = 0; d < DIRECTIONS; d++, directed += FILTER) {
            const float turn = kind == EDGE ? 2 * PI : PI; /* half a turn gives the same stripes */
            add_directed(directed, (pattern)kind, turn * (float)d / (float)DIRECTIONS);
        }
}

void filters_make_noise(float *weight, size_t count, int fan_in)
{
    const float limit = sqrtf(3.0f / (float)fan_in); /* uniform in [-limit, limit] has variance 1/fan_in */
    uint32_t state = 20170317;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        weight[i] = limit * ((float)(state >> 8) / 8388608.0f - 1);
    }
}
