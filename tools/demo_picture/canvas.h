/* canvas.h: drawing with smooth edges into a picture. Coordinates are in pixels of the canvas, the first pixel's centre
 * being at 0. */
#ifndef DEMO_CANVAS_H
#define DEMO_CANVAS_H

#include "picture.h"

typedef struct colour {
    unsigned char r, g, b;
    float opacity; /* 0 to 1 */
} colour;

/* Copies from to (left, top), each pixel enlarged to scale x scale, smoothly; dim 1 keeps the brightness. */
void canvas_enlarge(picture *canvas, const picture *from, int left, int top, int scale, float dim);
void canvas_rectangle(picture *canvas, int left, int top, int width, int height, colour ink);
void canvas_disc(picture *canvas, float x, float y, float radius, colour ink);
void canvas_ring(picture *canvas, float x, float y, float radius, float width, colour ink);
void canvas_line(picture *canvas, float x0, float y0, float x1, float y1, float width, colour ink);

/* Letters are 6 * size wide and 10 * size high, two of the ten below the baseline; (left, top) is the first one's
 * corner. */
void canvas_text(picture *canvas, int left, int top, int size, const char *text, colour ink);
int canvas_text_width(const char *text, int size);

#endif
