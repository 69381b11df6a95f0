/* picture.c: see picture.h. Files are stb's business. */
#include "picture.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stb_image.h>
#include <stb_image_write.h>

enum { CHANNELS = 3 };

static float linear_from_srgb(unsigned char byte)
{
    const float v = (float)byte / 255.0f;
    return v <= 0.04045f ? v / 12.92f : powf((v + 0.055f) / 1.055f, 2.4f);
}

static unsigned char srgb_from_linear(float v)
{
    const float s = v <= 0.0031308f ? 12.92f * v : 1.055f * powf(v, 1.0f / 2.4f) - 0.055f;
    return (unsigned char)lroundf(255.0f * fminf(fmaxf(s, 0.0f), 1.0f));
}

int picture_allocate(picture *p, int width, int height)
{
    p->width = width;
    p->height = height;
    p->rgb = calloc(picture_pixels(p), CHANNELS);
    return p->rgb != NULL;
}

/* Mean light over the area of the large picture that a pixel of the small one covers. */
static void shrink_row(const picture *from, const picture *to, const float *linear, int y)
{
    const float step_y = (float)from->height / (float)to->height, step_x = (float)from->width / (float)to->width;
    const float y0 = (float)y * step_y, y1 = y0 + step_y;
    for (int x = 0; x < to->width; x++) {
        const float x0 = (float)x * step_x, x1 = x0 + step_x;
        float sum[CHANNELS] = {0}, area = 0;
        for (int v = (int)y0; v < from->height && (float)v < y1; v++) {
            const float part_y = fminf(y1, (float)v + 1) - fmaxf(y0, (float)v);
            for (int u = (int)x0; u < from->width && (float)u < x1; u++) {
                const float part = part_y * (fminf(x1, (float)u + 1) - fmaxf(x0, (float)u));
                const unsigned char *pixel = from->rgb + ((size_t)v * (size_t)from->width + (size_t)u) * CHANNELS;
                for (int c = 0; c < CHANNELS; c++)
                    sum[c] += part * linear[pixel[c]];
                area += part;
            }
        }
        unsigned char *pixel = to->rgb + ((size_t)y * (size_t)to->width + (size_t)x) * CHANNELS;
        for (int c = 0; c < CHANNELS; c++)
            pixel[c] = srgb_from_linear(sum[c] / area);
    }
}

static const char *shrink(picture *p, int longest)
{
    const int side = p->width > p->height ? p->width : p->height;
    if (side <= longest)
        return NULL;
    const double scale = (double)longest / side;
    const int width = (int)lround(p->width * scale), height = (int)lround(p->height * scale);
    picture small = {0};
    if (!picture_allocate(&small, width > 0 ? width : 1, height > 0 ? height : 1))
        return "not enough memory";
    float linear[256];
    for (int i = 0; i < 256; i++)
        linear[i] = linear_from_srgb((unsigned char)i);
    for (int y = 0; y < small.height; y++)
        shrink_row(p, &small, linear, y);
    picture_free(p);
    *p = small;
    return NULL;
}

const char *picture_read(picture *p, const char *path, int longest)
{
    int channels;
    FILE *file = fopen(path, "rb");
    if (!file)
        return strerror(errno);
    p->rgb = stbi_load_from_file(file, &p->width, &p->height, &channels, CHANNELS);
    fclose(file);
    return p->rgb ? shrink(p, longest) : stbi_failure_reason();
}

int picture_write_png(const picture *p, const char *path)
{
    stbi_write_png_compression_level = 12;
    return stbi_write_png(path, p->width, p->height, CHANNELS, p->rgb, p->width * CHANNELS);
}

void picture_free(picture *p)
{
    free(p->rgb); /* stb's memory comes from malloc, too */
    p->rgb = NULL;
}

float *picture_linear_planes(const picture *p)
{
    const size_t pixels = picture_pixels(p);
    float *planes = malloc(CHANNELS * pixels * sizeof *planes);
    for (size_t i = 0; planes && i < CHANNELS * pixels; i++)
        planes[i % CHANNELS * pixels + i / CHANNELS] = linear_from_srgb(p->rgb[i]);
    return planes;
}

float *picture_lightness(const picture *p)
{
    const size_t pixels = picture_pixels(p);
    float *lightness = malloc(pixels * sizeof *lightness);
    for (size_t i = 0; lightness && i < pixels; i++) {
        const unsigned char *rgb = p->rgb + CHANNELS * i;
        lightness[i] = (0.2126f * (float)rgb[0] + 0.7152f * (float)rgb[1] + 0.0722f * (float)rgb[2]) / 255.0f;
    }
    return lightness;
}
