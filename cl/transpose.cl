/* Planes of channels to channels side by side, for kernels that work on the channels of a pixel together.
 *
 *   ELEMENT_BITS 16, 32, 64  elements are moved as they are,
 *   WIDEN        0, 1        but where this is 1: half to float */
#ifndef ELEMENT_BITS
#define ELEMENT_BITS 32
#endif

#ifndef WIDEN
#define WIDEN 0
#endif

#if WIDEN
typedef float ELEMENT;
typedef half SOURCE;
#define LOAD(p, i) vload_half(i, p)
#elif ELEMENT_BITS == 16
typedef ushort ELEMENT;
#elif ELEMENT_BITS == 64
typedef ulong ELEMENT;
#else
typedef uint ELEMENT;
#endif
#if !WIDEN
typedef ELEMENT SOURCE;
#define LOAD(p, i) ((p)[i])
#endif

#define TILE 16 /* pixels and channels that a work-item moves: a line of memory in both orders, of 4-byte elements */

/* to (image, pixels, cells, channels/cells), `pitch` elements from a pixel and image_pixels pixels from an image to the
 * next, from (image, channels, pixels)
 * or, with pixel_stride != 1, any order with these strides in elements; channel c of the source is channel c/cells of
 * cell c%cells. place: where the source's first image begins, and elements from image to image. Work-item (tile of
 * pixels, tile of channels, image); further tiles and images as the launch is wide. */
__kernel void transpose(__global const SOURCE *from, const ulong2 place, const ulong pixel_stride,
                        const ulong channel_stride, const ulong pixels, const int channels, const int cells,
                        const ulong images, __global ELEMENT *to, const int pitch, const ulong image_pixels)
{
    const int cell_channels = channels / cells, tiles = (cell_channels + TILE - 1) / TILE;
    const ulong first_pixel = get_global_id(0) * TILE;
    if (first_pixel >= pixels)
        return;
    const int n_pixels = (int)min(pixels - first_pixel, (ulong)TILE);
    for (ulong image = get_global_id(2); image < images; image += get_global_size(2)) {
        __global const SOURCE *const source = from + place.x + place.y * image;
        __global ELEMENT *const target = to + (image * image_pixels + first_pixel) * pitch;
        for (int tile = (int)get_global_id(1); tile < tiles * cells; tile += (int)get_global_size(1)) {
            const int cell = tile / tiles, first = tile % tiles * TILE, n = min(TILE, cell_channels - first);
            ELEMENT values[TILE][TILE];
            if (n_pixels == TILE && pixel_stride == 1)
                for (int c = 0; c < n; c++)
                    for (int p = 0; p < TILE; p++)
                        values[c][p] =
                            LOAD(source, ((first + c) * (size_t)cells + cell) * channel_stride + first_pixel + p);
            else
                for (int c = 0; c < n; c++)
                    for (int p = 0; p < n_pixels; p++)
                        values[c][p] = LOAD(source, ((first + c) * (size_t)cells + cell) * channel_stride +
                                                        (first_pixel + p) * pixel_stride);
            for (int p = 0; p < n_pixels; p++) {
                __global ELEMENT *const row = target + (size_t)p * pitch + cell * cell_channels + first;
                if (n == TILE)
                    for (int c = 0; c < TILE; c++)
                        row[c] = values[c][p];
                else
                    for (int c = 0; c < n; c++)
                        row[c] = values[c][p];
            }
        }
    }
}
