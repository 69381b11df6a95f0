/* picture.h: a colour picture in memory; reading, shrinking and writing it. Knows nothing of convolutions. */
#ifndef DEMO_PICTURE_H
#define DEMO_PICTURE_H

#include <stddef.h>

typedef struct picture {
    int width, height;
    unsigned char *rgb; /* [y][x][channel], sRGB */
} picture;

/* Reads PNG, JPEG, BMP, GIF, TGA, PNM or PSD and shrinks it until no side is longer than longest. Returns NULL, or a
 * static text that says what is wrong. */
const char *picture_read(picture *p, const char *path, int longest);
int picture_allocate(picture *p, int width, int height);
int picture_write_png(const picture *p, const char *path);
void picture_free(picture *p);

/* The bytes as light: [channel][y][x], linear, 0 to 1. NULL when memory is short. */
float *picture_linear_planes(const picture *p);

/* The bytes as lightness: [y][x], 0 to 1, as unequal to linear light as the eye is. NULL when memory is short. */
float *picture_lightness(const picture *p);

static inline size_t picture_pixels(const picture *p)
{
    return (size_t)p->width * (size_t)p->height;
}

#endif
