/* filters.h: the weights of the demonstration's two convolutions. */
#ifndef DEMO_FILTERS_H
#define DEMO_FILTERS_H

#include <stddef.h>

enum { FILTERS_COLOURS = 3, FILTERS_FEATURES = 32, FILTERS_KERNEL = 7, FILTERS_OUTPUTS = 32 };

/* Colours to features, [feature][colour][y][x]: 8 blurs and contrasts of colour and light, then edges and even and odd
 * stripes in 8 directions each. */
void filters_make_bank(float weight[FILTERS_FEATURES * FILTERS_COLOURS * FILTERS_KERNEL * FILTERS_KERNEL]);

/* What a trained network would have learned, here noise from a fixed seed, of a size that keeps the outputs near the
 * size of the inputs. fan_in: products per output. */
void filters_make_noise(float *weight, size_t count, int fan_in);

#endif
