/* Planes of channels to channels side by side, for kernels that work on the channels of a pixel together.
 *
 *   ELEMENT_BITS 16, 32, 64  elements are moved as they are,
 *   WIDEN        0, 1        but where this is 1: half to float
 *   TILED        0, 1        1: work-groups turn tiles in local memory, so that neighbours load and store neighbours,
 * as GPUs like it; 0: each work-item turns a tile of its own */
#ifndef ELEMENT_BITS
#define ELEMENT_BITS 32
#endif

#ifndef WIDEN
#define WIDEN 0
#endif
#ifndef TILED
#define TILED 0
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

#if TILED
#define TILE 32 /* pixels and channels that a work-group moves, whatever its size */
#else
#define TILE 16 /* those that a work-item moves: a line of memory in both orders, of 4-byte elements */
#endif

/* to (image, pixels, cells, channels/cells), `pitch` elements from a pixel and image_pixels pixels from an image to the
 * next, from (image, channels, pixels)
 * or, with pixel_stride != 1, any order with these strides in elements; channel c of the source is channel c/cells of
 * cell c%cells. place: where the source's first image begins, and elements from image to image. Work-item, TILED
 * work-group (tile of pixels, tile of channels, image); further tiles and images as the launch is wide. */
__kernel void transpose(__global const SOURCE *from, const ulong2 place, const ulong pixel_stride,
                        const ulong channel_stride, const ulong pixels, const int channels, const int cells,
                        const ulong images, __global ELEMENT *to, const int pitch, const ulong image_pixels)
{
    const int cell_channels = channels / cells, tiles = (cell_channels + TILE - 1) / TILE;
#if TILED
    __local ELEMENT turned[TILE][TILE + 1]; /* one more: neighbours then lie in different banks */
    const ulong first_pixel = get_group_id(0) * TILE;
#else
    const ulong first_pixel = get_global_id(0) * TILE;
#endif
    if (first_pixel >= pixels)
        return;
    const int n_pixels = (int)min(pixels - first_pixel, (ulong)TILE);
    for (ulong image = get_global_id(2); image < images; image += get_global_size(2)) {
        __global const SOURCE *const source = from + place.x + place.y * image;
        __global ELEMENT *const target = to + (image * image_pixels + first_pixel) * pitch;
        for (int tile = (int)get_global_id(1); tile < tiles * cells; tile += (int)get_global_size(1)) {
            const int cell = tile / tiles, first = tile % tiles * TILE, n = min(TILE, cell_channels - first);
#if TILED
            for (int i = (int)get_local_id(0); i < TILE * TILE; i += (int)get_local_size(0)) {
                const int p = pixel_stride == 1 ? i % TILE : i / TILE, c = pixel_stride == 1 ? i / TILE : i % TILE;
                if (p < n_pixels && c < n)
                    turned[c][p] = LOAD(source, ((first + c) * (size_t)cells + cell) * channel_stride +
                                                    (first_pixel + p) * pixel_stride);
            }
            barrier(CLK_LOCAL_MEM_FENCE);
            for (int i = (int)get_local_id(0); i < TILE * TILE; i += (int)get_local_size(0)) {
                const int p = i / TILE, c = i % TILE;
                if (p < n_pixels && c < n)
                    target[(size_t)p * pitch + cell * cell_channels + first + c] = turned[c][p];
            }
            barrier(CLK_LOCAL_MEM_FENCE);
#else
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
#endif
        }
    }
}
