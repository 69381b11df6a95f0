/* sampling.h: offsets and mask of a 3x3 deformable convolution that follow the content of a picture. Host code alone:
 * in a trained network a convolution would predict them. */
#ifndef DEMO_SAMPLING_H
#define DEMO_SAMPLING_H

enum { SAMPLING_KERNEL = 3, SAMPLING_TAPS = 9, SAMPLING_DILATION = 5 };

typedef struct sampling {
    int height, width;
    float *offset;   /* [tap][0 = y, 1 = x][y][x], in pixels; tap = 3 * row + column */
    float *mask;     /* [tap][y][x], 0 to 1 */
    float *edge;     /* [y][x]: 1 on a clear edge, 0 elsewhere */
    float *contrast; /* [y][x]: 0 to 1, how strong the edge is among the picture's */
    float *flat;     /* [y][x]: 1 where nothing changes, 0 on edges and in texture */
} sampling;

typedef struct point {
    float y, x;
} point;

/* lightness: [y][x]. Returns 0 when memory is short; sampling_free is right either way. */
int sampling_create(sampling *s, const float *lightness, int height, int width);
void sampling_free(sampling *s);

/* Where tap of output pixel (y, x) samples: on the ordinary grid, and with its offset. */
point sampling_grid_point(int tap, int y, int x);
point sampling_point(const sampling *s, int tap, int y, int x);

#endif
