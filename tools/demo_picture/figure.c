/* figure.c: see figure.h. Chooses the positions, then draws. */
#include "figure.h"

#include "canvas.h"
#include "font.h"

#include <math.h>

enum { EDGES = 10, FLATS = 4, POSITIONS = EDGES + FLATS, STRIP = 92, TEXT_SIZE = 2 };
enum { NARROWEST = 1000, TALLEST = 2400 }; /* of the enlarged photograph, as far as whole enlargements allow */

static const colour SAMPLE = {70, 214, 255, 1}, OUTPUT = {255, 40, 90, 1}, DARK = {10, 14, 20, 1};
static const colour NET = {70, 214, 255, 0.8f}, SHADOW = {0, 0, 0, 0.5f}, GRID = {255, 255, 255, 0.9f};
static const colour PAPER = {24, 25, 30, 1}, TEXT = {236, 236, 232, 1}, NOTE = {160, 162, 168, 1};

typedef struct place {
    int y, x;
    float reach; /* of its farthest sampling location */
} place;

typedef enum wish { EDGE, FLAT } wish;

static float place_reach(const sampling *s, int y, int x)
{
    float reach = 0;
    for (int tap = 0; tap < SAMPLING_TAPS; tap++) {
        const point p = sampling_point(s, tap, y, x);
        reach = fmaxf(reach, hypotf(p.y - (float)y, p.x - (float)x));
    }
    return reach;
}

/* How well a free place at (y, x) would do, 0 if it is not free: it must keep apart from the others and the border. */
static float place_value(const sampling *s, wish wanted, const place *taken, int count, int y, int x)
{
    const float reach = place_reach(s, y, x), margin = reach + 4;
    if ((float)y < margin || (float)x < margin || (float)(s->height - 1 - y) < margin ||
        (float)(s->width - 1 - x) < margin)
        return 0;
    float nearest = 1e9f;
    for (int i = 0; i < count; i++) {
        const float distance = hypotf((float)(y - taken[i].y), (float)(x - taken[i].x));
        if (distance < reach + taken[i].reach + 8)
            return 0;
        nearest = fminf(nearest, distance);
    }
    /* Far from the others is worth as much as a high score, up to a point: the places spread over the picture. */
    const float ample = 0.22f * sqrtf((float)s->height * (float)s->width);
    const float spread = fminf(nearest / ample, 1);
    const size_t here = (size_t)y * (size_t)s->width + (size_t)x;
    return (wanted == EDGE ? s->edge[here] * s->contrast[here] : s->flat[here]) * spread;
}

static int choose(const sampling *s, wish wanted, int most, place *taken, int count)
{
    for (; most > 0; most--) {
        float best = 0.02f; /* rather none than a poor one */
        place chosen = {-1, -1, 0};
        for (int y = 0; y < s->height; y++)
            for (int x = 0; x < s->width; x++) {
                const float value = place_value(s, wanted, taken, count, y, x);
                if (value > best) {
                    best = value;
                    chosen = (place){y, x, 0};
                }
            }
        if (chosen.y < 0)
            break;
        chosen.reach = place_reach(s, chosen.y, chosen.x);
        taken[count++] = chosen;
    }
    return count;
}

typedef struct frame {
    picture *canvas;
    int scale;
} frame;

static float on_canvas(const frame *f, float pixel)
{
    return (pixel + 0.5f) * (float)f->scale - 0.5f;
}

static void draw_sample(const frame *f, float x, float y, float mask)
{
    const float radius = (0.7f + 1.2f * sqrtf(mask)) * (float)f->scale;
    canvas_disc(f->canvas, x, y, radius + 1.5f, DARK);
    canvas_disc(f->canvas, x, y, radius, SAMPLE);
}

static void draw_output(const frame *f, float x, float y)
{
    const float radius = 3.4f * (float)f->scale;
    canvas_ring(f->canvas, x, y, radius, 6, DARK);
    canvas_ring(f->canvas, x, y, radius, 3.4f, OUTPUT);
}

/* The line from one sampling location to a neighbour in the kernel. */
static void draw_link(const frame *f, const sampling *s, const place *at, int tap, int neighbour, int shadow)
{
    const point p = sampling_point(s, tap, at->y, at->x), q = sampling_point(s, neighbour, at->y, at->x);
    canvas_line(f->canvas, on_canvas(f, p.x), on_canvas(f, p.y), on_canvas(f, q.x), on_canvas(f, q.y),
                shadow ? 4.6f : 2, shadow ? SHADOW : NET);
}

static void draw_place(const frame *f, const sampling *s, const place *at)
{
    const size_t pixels = (size_t)s->height * (size_t)s->width, here = (size_t)at->y * (size_t)s->width + (size_t)at->x;
    for (int shadow = 1; shadow >= 0; shadow--)
        for (int tap = 0; tap < SAMPLING_TAPS; tap++) {
            if (tap % SAMPLING_KERNEL < SAMPLING_KERNEL - 1)
                draw_link(f, s, at, tap, tap + 1, shadow);
            if (tap + SAMPLING_KERNEL < SAMPLING_TAPS)
                draw_link(f, s, at, tap, tap + SAMPLING_KERNEL, shadow);
        }
    draw_output(f, on_canvas(f, (float)at->x), on_canvas(f, (float)at->y));
    for (int tap = 0; tap < SAMPLING_TAPS; tap++) {
        const point p = sampling_point(s, tap, at->y, at->x);
        draw_sample(f, on_canvas(f, p.x), on_canvas(f, p.y), s->mask[(size_t)tap * pixels + here]);
    }
}

/* Returns where the next thing may begin. */
static int draw_label(picture *canvas, int left, int middle, const char *text)
{
    canvas_text(canvas, left, middle - (FONT_BASELINE - 3) * TEXT_SIZE, TEXT_SIZE, text, TEXT);
    return left + canvas_text_width(text, TEXT_SIZE) + 32;
}

/* Below the photograph: what the marks mean, and the caption. */
static void draw_strip(const frame *f, const char *caption)
{
    picture *canvas = f->canvas;
    const int first = canvas->height - STRIP, middle = first + 32;
    canvas_rectangle(canvas, 0, first, canvas->width, STRIP, PAPER);

    int left = 22 + 3 * f->scale;
    draw_output(f, (float)left, (float)middle);
    left = draw_label(canvas, left + 22, middle, "output pixel");

    for (int i = 0; i < 3; i++, left += 5 * f->scale)
        draw_sample(f, (float)left, (float)middle, 0.05f + 0.475f * (float)i);
    left = draw_label(canvas, left + 4, middle, "its 9 samples (size: mask)");

    const float step = (float)(SAMPLING_DILATION * f->scale);
    for (int tap = 0; tap < SAMPLING_TAPS; tap++)
        canvas_disc(canvas, (float)left + step * (float)(tap % SAMPLING_KERNEL),
                    (float)middle + step * (float)(tap / SAMPLING_KERNEL - 1), 2.6f, GRID);
    draw_label(canvas, left + (int)(2 * step) + 16, middle, "without offsets");

    canvas_text(canvas, 22, canvas->height - 12 - FONT_BASELINE * TEXT_SIZE, TEXT_SIZE, caption, NOTE);
}

int figure_draw(picture *figure, const picture *photograph, const sampling *s, const char *caption)
{
    int scale = (NARROWEST + photograph->width - 1) / photograph->width;
    while (scale > 1 && scale * photograph->height > TALLEST)
        scale--;
    if (!picture_allocate(figure, photograph->width * scale, photograph->height * scale + STRIP))
        return 0;
    place places[POSITIONS];
    int count = choose(s, EDGE, EDGES, places, 0);
    count = choose(s, FLAT, POSITIONS - count, places, count);

    const frame f = {figure, scale};
    canvas_enlarge(figure, photograph, 0, 0, scale, 0.82f);
    for (int i = 0; i < count; i++)
        draw_place(&f, s, &places[i]);
    draw_strip(&f, caption);
    return 1;
}
