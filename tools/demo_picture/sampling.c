/* sampling.c: see sampling.h.
 *
 * The structure tensor of the smoothed lightness (gradient times its transpose, averaged over a neighbourhood) says for
 * each pixel how much the picture changes there (trace), how one-directional that change is (coherence), and which way
 * the edge runs (eigenvector of the smaller eigenvalue). From it:
 *   on a clear edge  the middle row of the 3x3 grid is laid along the edge, bending with it, and stretched; the outer
 *                    rows lie close on either side;
 *   in flat places   the grid is spread out, to see something;
 *   in texture       the grid stays as it is.
 * A tap counts less (mask) the less its lightness resembles that of the output pixel. */
#include "sampling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Gaussian widths in pixels: before the gradient, and of the neighbourhood it is averaged over. */
static const float SMOOTH = 1.4f, NEIGHBOURHOOD = 2.5f;
/* Half lengths of the grid, in units of the ordinary grid's: along and across the edge, and in flat places. */
static const float EDGE_ALONG = 3.2f, EDGE_ACROSS = 1, FLAT_SPREAD = 2.2f;
/* Difference of lightness that halves a tap's mask. */
static const float MASK_HALF = 0.12f;

typedef struct field {
    int height, width;
    float *lightness;         /* smoothed */
    float *xx, *xy, *yy;      /* structure tensor */
    float *along_y, *along_x; /* unit vector, the way the grid's rows run; x >= 0 */
} field;

static size_t at(const field *f, int y, int x)
{
    return (size_t)y * (size_t)f->width + (size_t)x;
}

static int clamp(int v, int last)
{
    return v < 0 ? 0 : v > last ? last : v;
}

static size_t nearest(const field *f, point p)
{
    return at(f, clamp((int)lroundf(p.y), f->height - 1), clamp((int)lroundf(p.x), f->width - 1));
}

/* One direction of a Gaussian: count pixels, step apart; the first and last pixel go on for ever. */
static void smooth_line(float *line, int count, size_t step, const float *gauss, int radius, float *copy)
{
    for (int i = 0; i < count; i++)
        copy[i] = line[(size_t)i * step];
    for (int i = 0; i < count; i++) {
        float sum = 0;
        for (int d = -radius; d <= radius; d++)
            sum += gauss[d < 0 ? -d : d] * copy[clamp(i + d, count - 1)];
        line[(size_t)i * step] = sum;
    }
}

static int smooth(float *plane, int height, int width, float sigma)
{
    enum { RADIUS = 12 };
    float gauss[RADIUS + 1], sum = 0;
    for (int d = 0; d <= RADIUS; d++) {
        gauss[d] = expf(-(float)(d * d) / (2 * sigma * sigma));
        sum += d == 0 ? gauss[d] : 2 * gauss[d];
    }
    for (int d = 0; d <= RADIUS; d++)
        gauss[d] /= sum;
    float *copy = malloc((size_t)(height > width ? height : width) * sizeof *copy);
    if (!copy)
        return 0;
    for (int y = 0; y < height; y++)
        smooth_line(plane + (size_t)y * (size_t)width, width, 1, gauss, RADIUS, copy);
    for (int x = 0; x < width; x++)
        smooth_line(plane + x, height, (size_t)width, gauss, RADIUS, copy);
    free(copy);
    return 1;
}

static void take_gradients(field *f)
{
    for (int y = 0; y < f->height; y++)
        for (int x = 0; x < f->width; x++) {
            const float *l = f->lightness;
            const float gy =
                0.5f * (l[at(f, clamp(y + 1, f->height - 1), x)] - l[at(f, clamp(y - 1, f->height - 1), x)]);
            const float gx = 0.5f * (l[at(f, y, clamp(x + 1, f->width - 1))] - l[at(f, y, clamp(x - 1, f->width - 1))]);
            f->xx[at(f, y, x)] = gx * gx;
            f->xy[at(f, y, x)] = gx * gy;
            f->yy[at(f, y, x)] = gy * gy;
        }
}

/* s->edge, s->flat and the direction of the rows, from the tensor. */
static void read_tensor(field *f, sampling *s)
{
    const size_t pixels = (size_t)f->height * (size_t)f->width;
    double total = 0;
    for (size_t i = 0; i < pixels; i++)
        total += (double)f->xx[i] + (double)f->yy[i];
    /* How much change is "much" is relative to the picture; the constant keeps noise in a uniform one from being much.
     */
    const float much = 0.3f * (float)(total / (double)pixels) + 1e-5f;
    for (size_t i = 0; i < pixels; i++) {
        const float trace = f->xx[i] + f->yy[i], difference = f->xx[i] - f->yy[i], twice_xy = 2 * f->xy[i];
        const float spread = hypotf(difference, twice_xy); /* of the eigenvalues */
        const float change = trace * trace / (trace * trace + much * much);
        const float coherence = trace > 0 ? spread / trace : 0;
        s->edge[i] = change * coherence * coherence;
        s->contrast[i] = trace / (trace + 20 * much);
        s->flat[i] = 1 - change;
        /* Directions are averaged with doubled angles, where a line and its reverse are the same. The edge is at right
         * angles to the gradient, hence the minus signs; without an edge the rows are level. */
        const float scale = spread > 0 ? s->edge[i] / spread : 0;
        const float angle = 0.5f * atan2f(-scale * twice_xy, -scale * difference + 1 - s->edge[i]);
        f->along_y[i] = sinf(angle);
        f->along_x[i] = cosf(angle);
    }
}

/* Walks length pixels the way the edge runs, forwards or backwards, as a curve; straight on where there is no edge.
 * *direction is where it started to go and becomes where it arrived going, always in the forward sense. */
static point walk(const field *f, const float *edge, point from, float length, float sign, point *direction)
{
    point p = from, d = *direction;
    for (float left = length; left > 0; left -= 1) {
        const size_t i = nearest(f, p);
        const float same = f->along_y[i] * d.y + f->along_x[i] * d.x, turn = same < 0 ? -edge[i] : edge[i];
        d.y = (1 - edge[i]) * d.y + turn * f->along_y[i];
        d.x = (1 - edge[i]) * d.x + turn * f->along_x[i];
        const float norm = hypotf(d.y, d.x), step = sign * fminf(left, 1);
        d.y /= norm; /* not 0: the two directions are at most at right angles */
        d.x /= norm;
        p.y += step * d.y;
        p.x += step * d.x;
    }
    *direction = d;
    return p;
}

static void place_taps(const field *f, sampling *s, int y, int x)
{
    const size_t pixels = (size_t)f->height * (size_t)f->width, here = at(f, y, x);
    const float edge = s->edge[here], flat = s->flat[here], texture = fmaxf(0, 1 - edge - flat);
    const float along = (float)SAMPLING_DILATION * (edge * EDGE_ALONG + flat * FLAT_SPREAD + texture);
    const float across = (float)SAMPLING_DILATION * (edge * EDGE_ACROSS + flat * FLAT_SPREAD + texture);
    for (int column = -1; column <= 1; column++) {
        point direction = {f->along_y[here], f->along_x[here]};
        const point start = {(float)y, (float)x};
        const point middle = column ? walk(f, s->edge, start, along, (float)column, &direction) : start;
        for (int row = -1; row <= 1; row++) {
            const int tap = SAMPLING_KERNEL * (row + 1) + column + 1;
            const point grid = sampling_grid_point(tap, y, x);
            const point p = {middle.y + (float)row * across * direction.x,
                             middle.x - (float)row * across * direction.y};
            const float unlike = (f->lightness[nearest(f, p)] - f->lightness[here]) / MASK_HALF;
            s->offset[(size_t)(2 * tap) * pixels + here] = p.y - grid.y;
            s->offset[(size_t)(2 * tap + 1) * pixels + here] = p.x - grid.x;
            s->mask[(size_t)tap * pixels + here] = 1 / (1 + unlike * unlike);
        }
    }
}

int sampling_create(sampling *s, const float *lightness, int height, int width)
{
    const size_t pixels = (size_t)height * (size_t)width;
    int ok = 0;
    float *planes = malloc(6 * pixels * sizeof *planes);
    *s = (sampling){.height = height,
                    .width = width,
                    .offset = malloc((size_t)2 * SAMPLING_TAPS * pixels * sizeof *s->offset),
                    .mask = malloc(SAMPLING_TAPS * pixels * sizeof *s->mask),
                    .edge = malloc(pixels * sizeof *s->edge),
                    .contrast = malloc(pixels * sizeof *s->contrast),
                    .flat = malloc(pixels * sizeof *s->flat)};
    if (!planes || !s->offset || !s->mask || !s->edge || !s->contrast || !s->flat)
        goto done;
    field f = {height,
               width,
               planes,
               planes + pixels,
               planes + 2 * pixels,
               planes + 3 * pixels,
               planes + 4 * pixels,
               planes + 5 * pixels};
    memcpy(f.lightness, lightness, pixels * sizeof *lightness);
    if (!smooth(f.lightness, height, width, SMOOTH))
        goto done;
    take_gradients(&f);
    if (!smooth(f.xx, height, width, NEIGHBOURHOOD) || !smooth(f.xy, height, width, NEIGHBOURHOOD) ||
        !smooth(f.yy, height, width, NEIGHBOURHOOD))
        goto done;
    read_tensor(&f, s);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            place_taps(&f, s, y, x);
    ok = 1;
done:
    free(planes);
    return ok;
}

void sampling_free(sampling *s)
{
    free(s->offset);
    free(s->mask);
    free(s->edge);
    free(s->contrast);
    free(s->flat);
    *s = (sampling){0};
}

point sampling_grid_point(int tap, int y, int x)
{
    const int row = tap / SAMPLING_KERNEL - 1, column = tap % SAMPLING_KERNEL - 1;
    return (point){(float)(y + row * SAMPLING_DILATION), (float)(x + column * SAMPLING_DILATION)};
}

point sampling_point(const sampling *s, int tap, int y, int x)
{
    const size_t pixels = (size_t)s->height * (size_t)s->width;
    const size_t here = (size_t)y * (size_t)s->width + (size_t)x;
    const point grid = sampling_grid_point(tap, y, x);
    return (point){grid.y + s->offset[(size_t)(2 * tap) * pixels + here],
                   grid.x + s->offset[(size_t)(2 * tap + 1) * pixels + here]};
}
