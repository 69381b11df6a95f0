/* canvas.c: see canvas.h. */
#include "canvas.h"

#include "font.h"

#include <math.h>
#include <string.h>

static void blend(picture *canvas, int x, int y, colour ink, float coverage)
{
    if (x < 0 || y < 0 || x >= canvas->width || y >= canvas->height || coverage <= 0)
        return;
    const float part = ink.opacity * fminf(coverage, 1);
    const unsigned char to[3] = {ink.r, ink.g, ink.b};
    unsigned char *pixel = canvas->rgb + 3 * ((size_t)y * (size_t)canvas->width + (size_t)x);
    for (int c = 0; c < 3; c++)
        pixel[c] = (unsigned char)lroundf((1 - part) * (float)pixel[c] + part * (float)to[c]);
}

/* Catmull-Rom: the weight of a sample at distance d. */
static float cubic(float d)
{
    d = fabsf(d);
    if (d < 1)
        return 1 + d * d * (1.5f * d - 2.5f);
    return d < 2 ? 2 + d * (-4 + d * (2.5f - 0.5f * d)) : 0;
}

static int clamp(int v, int last)
{
    return v < 0 ? 0 : v > last ? last : v;
}

void canvas_enlarge(picture *canvas, const picture *from, int left, int top, int scale, float dim)
{
    for (int y = 0; y < from->height * scale; y++)
        for (int x = 0; x < from->width * scale; x++) {
            const float v = ((float)y + 0.5f) / (float)scale - 0.5f, u = ((float)x + 0.5f) / (float)scale - 0.5f;
            const int v0 = (int)floorf(v), u0 = (int)floorf(u);
            float sum[3] = {0};
            for (int j = v0 - 1; j <= v0 + 2; j++)
                for (int i = u0 - 1; i <= u0 + 2; i++) {
                    const float part = cubic(v - (float)j) * cubic(u - (float)i);
                    const size_t pixel =
                        (size_t)clamp(j, from->height - 1) * (size_t)from->width + (size_t)clamp(i, from->width - 1);
                    for (int c = 0; c < 3; c++)
                        sum[c] += part * (float)from->rgb[3 * pixel + (size_t)c];
                }
            colour ink = {0, 0, 0, 1};
            ink.r = (unsigned char)lroundf(dim * fminf(fmaxf(sum[0], 0), 255));
            ink.g = (unsigned char)lroundf(dim * fminf(fmaxf(sum[1], 0), 255));
            ink.b = (unsigned char)lroundf(dim * fminf(fmaxf(sum[2], 0), 255));
            blend(canvas, left + x, top + y, ink, 1);
        }
}

void canvas_rectangle(picture *canvas, int left, int top, int width, int height, colour ink)
{
    for (int y = top; y < top + height; y++)
        for (int x = left; x < left + width; x++)
            blend(canvas, x, y, ink, 1);
}

void canvas_disc(picture *canvas, float x, float y, float radius, colour ink)
{
    const int x1 = (int)ceilf(x + radius + 1), y1 = (int)ceilf(y + radius + 1);
    for (int j = (int)floorf(y - radius - 1); j <= y1; j++)
        for (int i = (int)floorf(x - radius - 1); i <= x1; i++)
            blend(canvas, i, j, ink, radius + 0.5f - hypotf((float)i - x, (float)j - y));
}

void canvas_ring(picture *canvas, float x, float y, float radius, float width, colour ink)
{
    const float reach = radius + width;
    const int x1 = (int)ceilf(x + reach + 1), y1 = (int)ceilf(y + reach + 1);
    for (int j = (int)floorf(y - reach - 1); j <= y1; j++)
        for (int i = (int)floorf(x - reach - 1); i <= x1; i++)
            blend(canvas, i, j, ink, 0.5f * width + 0.5f - fabsf(hypotf((float)i - x, (float)j - y) - radius));
}

void canvas_line(picture *canvas, float x0, float y0, float x1, float y1, float width, colour ink)
{
    const float dx = x1 - x0, dy = y1 - y0, square = dx * dx + dy * dy, half = 0.5f * width + 1;
    const int right = (int)ceilf(fmaxf(x0, x1) + half), low = (int)ceilf(fmaxf(y0, y1) + half);
    for (int j = (int)floorf(fminf(y0, y1) - half); j <= low; j++)
        for (int i = (int)floorf(fminf(x0, x1) - half); i <= right; i++) {
            const float px = (float)i - x0, py = (float)j - y0;
            const float along = square > 0 ? fminf(fmaxf((px * dx + py * dy) / square, 0), 1) : 0;
            const float distance = hypotf(px - along * dx, py - along * dy);
            blend(canvas, i, j, ink, 0.5f * width + 0.5f - distance);
        }
}

void canvas_text(picture *canvas, int left, int top, int size, const char *text, colour ink)
{
    for (; *text; text++, left += size * FONT_WIDTH) {
        const unsigned char *rows = font_rows(*text);
        for (int y = 0; y < FONT_HEIGHT; y++)
            for (int x = 0; x < FONT_WIDTH; x++)
                if (rows[y] >> (7 - x) & 1)
                    canvas_rectangle(canvas, left + size * x, top + size * y, size, size, ink);
    }
}

int canvas_text_width(const char *text, int size)
{
    return size * FONT_WIDTH * (int)strlen(text);
}
