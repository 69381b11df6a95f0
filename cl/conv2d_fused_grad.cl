/* Gradients of input, offset and mask without columns: the gradient of a panel's columns is a tile in local memory, for
 * one tap and some channels at a time, from which four dot products over the channels give what a sample's offset and
 * mask get, and four products what its corners get.
 *
 * A work-item owns a range of an image's output pixels, and a copy of the input's gradient that it adds to, so that
 * there are no atomics and every sum has one order.
 *
 *   SAMPLE_OPEN  0, 1  the offset's gradient at exactly -1: 0, or the right-hand one
 *   VECTOR, LANES, VECTORS, ROWS: conv2d_fused.cl; the tile's numbers are channels of the input */
#include "common.clh"
#include "conv2d_geometry.clh"
#include "conv2d_fused_shape.clh"
#include "conv2d_sample.clh"
#include "vector.clh"
#include "conv2d_panel.clh"
#include "conv2d_tile.clh"

/* One tile of the gradient of the columns, whole: all outputs of a group. */
static void multiply(__global const REAL *grad_output, conv2d_fused_shape shape, int outputs,
                     __global const REAL *weight, __local REAL *columns)
{
    LANEV tile[ROWS][VECTORS];
    FOR_TILE(i, v)
    tile[i][v] = (LANEV)0;
    for (int o = 0; o < outputs; o += shape.out_lanes) {
        const int n = min(shape.out_lanes, outputs - o);
        for (int l = 0; l < n; l++) {
            LANEV factor[VECTORS];
            FOR_VECTORS (v)
                factor[v] = LOAD_LANEV(weight, l * TILE + v * LANES);
            FOR_ROWS(i)
            {
                const LANEV value = (LANEV)grad_output[i * shape.out_lanes + l];
                FOR_VECTORS (v)
                    tile[i][v] = fma(value, factor[v], tile[i][v]);
            }
        }
        grad_output += (size_t)shape.out_pitch * shape.out_lanes;
        weight += (size_t)n * TILE;
    }
    FOR_TILE(i, v)
    STORE_LANEV(columns, i * shape.columns_pitch + v * LANES, tile[i][v]);
}

/* What a sample's channels are combined with. */
typedef struct corners {
    __global const REAL *input[4];
    __global REAL *gradient[4]; /* null: not wanted */
} corners;

/* The vector's elements behind the first n replaced by 0, so that they neither add nor, not being numbers, spoil. */
static REALV keep(REALV value, int n)
{
    REAL elements[VECTOR];
    STORE_REALV(elements, 0, value);
    for (int i = n; i < VECTOR; i++)
        elements[i] = 0;
    return LOAD_REALV(elements, 0);
}

#if KIND == 2
#define CORNERS 1
#else
#define CORNERS 4
#endif
#define FOR_CORNERS(k) _Pragma("unroll") for (int k = 0; k < CORNERS; k++)

/* Adds channels first .. end-1 of the sample at position p of the tables: `columns` times the weights to the corners'
 * gradients, and the dot products with the corners to dots. */
static void add_sample(panel_input input, __global REAL *copy, panel_tables tables, int span, int p, int first, int end,
                       __local const REAL *columns, __local REAL *dots)
{
    __global const REAL *from[CORNERS];
    __global REAL *to[CORNERS];
    REALV weight[CORNERS], sum[CORNERS];
    const PLACED outside = (PLACED)input.outside * PLACE_SCALE(input);
    int exists = 0, adds = 1;
#if SAMPLE_OPEN && KIND != 2
    /* at exactly -1 a sample has a derivative, but no weight that is not 0: it adds nothing, whatever its factors are
     */
    REAL all = 0;
    FOR_CORNERS(k)
    all += tables.corner[k * span + p] != outside ? tables.weight[k * span + p] : 0;
    adds = all > 0;
#endif
    FOR_CORNERS(k)
    {
        const PLACED corner = tables.corner[k * span + p];
        exists |= corner != outside;
        from[k] = find_corner(input, corner);
        to[k] = copy + AT_CORNER(input, adds ? corner : outside);
#if KIND == 2
        weight[k] = (REALV)1;
#elif KIND == 1
        weight[k] = (REALV)(tables.weight[k * span + p] * tables.factor[p]);
#else
        weight[k] = (REALV)tables.weight[k * span + p];
#endif
        sum[k] = (REALV)0;
    }
    if (!exists)
        return;
    int c = first;
    if (dots && copy) {
        for (; c + VECTOR <= end; c += VECTOR) {
            const REALV value = LOAD_REALV(columns, c - first);
            FOR_CORNERS(k)
            {
                sum[k] = fma(value, LOAD_REALV(from[k], c), sum[k]);
                STORE_REALV(to[k], c, fma(value, weight[k], LOAD_REALV(to[k], c)));
            }
        }
    } else if (copy) {
        for (; c + VECTOR <= end; c += VECTOR) {
            const REALV value = LOAD_REALV(columns, c - first);
            FOR_CORNERS(k)
            STORE_REALV(to[k], c, fma(value, weight[k], LOAD_REALV(to[k], c)));
        }
    } else {
        for (; c + VECTOR <= end; c += VECTOR) {
            const REALV value = LOAD_REALV(columns, c - first);
            FOR_CORNERS(k)
            sum[k] = fma(value, LOAD_REALV(from[k], c), sum[k]);
        }
    }
    if (c < end) {
        const REALV value = keep(LOAD_REALV(columns, c - first), end - c);
        FOR_CORNERS(k)
        {
            if (dots)
                sum[k] = fma(value, keep(LOAD_REALV(from[k], c), end - c), sum[k]);
            if (copy)
                for (int i = c; i < end; i++)
                    to[k][i] = fma(columns[i - first],
#if KIND == 2
                                   (REAL)1,
#elif KIND == 1
                                   tables.weight[k * span + p] * tables.factor[p],
#else
                                   tables.weight[k * span + p],
#endif
                                   to[k][i]);
        }
    }
    if (dots)
        FOR_CORNERS(k)
    dots[k * span + p] += sum_of(sum[k]);
}

#if KIND != 2
/* VECTOR values, of which n are wanted, to pixels side by side; added to what is there where `accumulate` is set. */
static void store_pixels(__global OFFSET *to, INDEX index, INDEX step, int n, REALV value, int accumulate)
{
#if VECTOR > 1 && OFFSET_BITS == DATA_BITS && OFFSET_BITS != 16
    if (step == 1 && n >= VECTOR && !accumulate) {
        STORE_REALV(to, index, value);
        return;
    }
#endif
    REAL values[VECTOR];
    STORE_REALV(values, 0, value);
    for (int i = 0; i < min(n, VECTOR); i++) {
        OFFSET_SUM sum = (OFFSET_SUM)values[i];
        if (accumulate)
            sum += (OFFSET_SUM)READ_OFFSET(to, index + i * step);
        STORE_OFFSET(to, index + i * step, sum);
    }
}

/* Gradients of offset and mask of the panel's pixels, for a tap of an offset group, from the dot products: as in
 * conv2d_col2offset.cl. */
static void store_gradients(conv2d_geometry geometry, panel_tables tables, WHERE_OF_IMAGE __local const REAL *dots,
                            int span, int offset_group, int tap, int first, int count, __global OFFSET *grad_offset,
                            __global OFFSET *grad_mask, int accumulate)
{
    const int channels = geometry.kernel_h * geometry.kernel_w * geometry.offset_groups;
    for (int at = 0; at < count; at += VECTOR) {
        const int n = count - at;
        const vector_sample sample = find_vector(geometry, tables, WHERE_PASSED offset_group, tap, first + at, at, n);
        const REALV down = sample.row.fraction, right = sample.column.fraction;
        const REALV up = (REALV)1 - down, left = (REALV)1 - right, none = (REALV)0;
        const REALV d00 = sample.row.inside0 & sample.column.inside0 ? LOAD_REALV(dots, at) : none;
        const REALV d01 = sample.row.inside0 & sample.column.inside1 ? LOAD_REALV(dots, span + at) : none;
        const REALV d10 = sample.row.inside1 & sample.column.inside0 ? LOAD_REALV(dots, 2 * span + at) : none;
        const REALV d11 = sample.row.inside1 & sample.column.inside1 ? LOAD_REALV(dots, 3 * span + at) : none;
        const PLACEDV exists = sample.row.exists & sample.column.exists;
        PLACEDV moves_y = sample.moves_y & exists, moves_x = sample.moves_x & exists, counts = exists;
#if BORDER_EDGE
        /* constant from the last centre on */
        moves_y = moves_y & sample.row.inside1;
        moves_x = moves_x & sample.column.inside1;
#endif
#if SAMPLE_OPEN
        /* at exactly -1 the sample is 0 by selection: 0 times a NaN would not be */
        counts = counts & (sample.row.inside0 | (down > none)) & (sample.column.inside0 | (right > none));
#endif
        if (grad_offset) {
            const INDEX step = offset_index(geometry, 0, 2 * channels, 1);
            const REALV grad_y = moves_y ? fma(left, d10 - d00, right * (d11 - d01)) * sample.factor : none;
            const REALV grad_x = moves_x ? fma(up, d01 - d00, down * (d11 - d10)) * sample.factor : none;
            store_pixels(grad_offset, offset_y_index(geometry, offset_group, tap, first + at), step, n, grad_y,
                         accumulate & 1);
            store_pixels(grad_offset, offset_x_index(geometry, offset_group, tap, first + at), step, n, grad_x,
                         accumulate & 1);
        }
        if (grad_mask) {
            const REALV grad_factor = fma(up, fma(left, d00, right * d01), down * fma(left, d10, right * d11));
            store_pixels(grad_mask, mask_index(geometry, offset_group, tap, first + at),
                         offset_index(geometry, 0, channels, 1), n, counts ? grad_factor * sample.slope : none,
                         accumulate & 2);
        }
    }
}
#endif

/* The pixels that a worker has to do in a slab: whole tiles, shared out evenly. */
static int2 find_range(conv2d_geometry geometry, conv2d_fused_shape shape, int worker, int slab)
{
    const int plane = geometry.out_h * geometry.out_w, steps = plane / ROWS + (plane % ROWS != 0);
    const int begin = (int)((long)steps * worker / shape.workers) * ROWS;
    const int end = min(plane, (int)((long)steps * (worker + 1) / shape.workers) * ROWS);
    const int first = (int)min((long)end, begin + (long)slab * shape.slab);
    return (int2)(first, first + min(shape.slab, end - first));
}

/* A block of channels: whole groups, or part of one. */
typedef struct channel_block {
    int group, end_group;
    int channel, last_channel; /* the one behind */
} channel_block;

static channel_block find_block(conv2d_geometry geometry, conv2d_fused_shape shape, int number)
{
    const int group_channels = geometry.in_channels / geometry.groups, all = shape.block_groups * group_channels;
    const int of_groups = all / shape.block_channels + (all % shape.block_channels != 0);
    channel_block block;
    block.group = number / of_groups * shape.block_groups;
    block.end_group = min(geometry.groups, block.group + shape.block_groups);
    block.channel = block.group * group_channels + number % of_groups * shape.block_channels;
    block.last_channel = min(block.end_group * group_channels, block.channel + shape.block_channels);
    return block;
}

static int count_blocks(conv2d_geometry geometry, conv2d_fused_shape shape)
{
    const int all = shape.block_groups * (geometry.in_channels / geometry.groups);
    return (geometry.groups / shape.block_groups + (geometry.groups % shape.block_groups != 0)) *
           (all / shape.block_channels + (all % shape.block_channels != 0));
}

/* Where the dot products of a block, for a tap of an offset group, lie among the partial ones: (blocks, taps, offset
 * groups, 4, workers, slab). */
static size_t partial_index(conv2d_geometry geometry, conv2d_fused_shape shape, int block, int tap, int offset_group,
                            int corner, int worker)
{
    const size_t taps = (size_t)geometry.kernel_h * geometry.kernel_w;
    return (((((size_t)block * taps + tap) * geometry.offset_groups + offset_group) * 4 + corner) * shape.workers +
            worker) *
           shape.slab;
}

/* A worker's copy = 0, of the channels that its part adds to. */
static void clear_copy(conv2d_geometry geometry, conv2d_fused_shape shape, __global REAL *copy, int pixels,
                       int first_block, int end_block)
{
    if (shape.parts == 1) {
        for (size_t i = 0; i < (size_t)pixels * shape.pitch; i++)
            copy[i] = 0;
        return;
    }
    const int first = find_block(geometry, shape, first_block).channel;
    const int end = find_block(geometry, shape, end_block - 1).last_channel;
    for (int p = 0; p < pixels; p++)
        for (int c = first; c < end; c++)
            copy[(size_t)p * shape.pitch + c] = 0;
}

/* Work-item (worker, part). The tensors are one image's. grad_output and weight are packed: (groups, out_blocks,
 * out_pitch, out_lanes) and (groups, taps, tiles of channels, out_channels/groups, TILE). copies (workers, in_h*in_w +
 * 1, pitch): sums of the input's gradient, the last row for what lies outside the map; grad_offset and grad_mask: null
 * where they are not wanted; with several parts their dot products go to partial; accumulate: bit 0 for the offset, bit
 * 1 for the mask. local memory: the gradient of the panel's columns; dot products; tables. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void conv2d_fused_grad(
    const conv2d_geometry geometry, const conv2d_fused_shape shape, __global const REAL *input, const PLACE input_place,
    __global const REAL *zeros, WHERE_PARAMETERS __global const REAL *grad_output, __global OFFSET *grad_offset,
    const PLACE grad_offset_place, __global OFFSET *grad_mask, const PLACE grad_mask_place, const int accumulate,
    const int slab, __global REAL *partial, __global const REAL *weight, __global REAL *copies, __local REAL *columns,
    __local REAL *dots, __local PLACED *placed, __local REAL *reals)
{
    const int worker = (int)get_global_id(0), part = (int)get_global_id(1);
    if (worker >= shape.workers)
        return;
    const int taps = geometry.kernel_h * geometry.kernel_w;
    const int group_channels = geometry.in_channels / geometry.groups;
    const int group_outputs = geometry.out_channels / geometry.groups;
    const int offset_channels = geometry.in_channels / geometry.offset_groups;
    const int tiles = (group_channels + TILE - 1) / TILE, blocks = count_blocks(geometry, shape);
    const int first_block = (int)((long)blocks * part / shape.parts);
    const int end_block = (int)((long)blocks * (part + 1) / shape.parts);
    const int2 range = find_range(geometry, shape, worker, slab);
    const panel_tables tables = set_tables(placed, reals, shape.span, 1);
    const panel_input from = {input + input_place.x, zeros, shape.pitch, geometry.in_h * geometry.in_w};
    const size_t copy_size = ((size_t)from.outside + 1) * shape.pitch;
    __global REAL *const copy = copies ? copies + worker * copy_size : 0;
#if KIND != 2
    offset += offset_place.x;
    if (grad_offset)
        grad_offset += grad_offset_place.x;
#endif
#if KIND == 1
    mask += mask_place.x;
#endif
    if (grad_mask)
        grad_mask += grad_mask_place.x;
    if (!grad_offset && !grad_mask)
        dots = 0;
    if (copy && slab == 0)
        clear_copy(geometry, shape, copy, from.outside + 1, first_block, end_block);

    for (int first = range.x; first < range.y; first += shape.panel) {
        const int count = min(shape.panel, range.y - first);
        find_bases(geometry, tables, shape.span, first, count);
        for (int tap = 0; tap < taps; tap++)
            for (int b = first_block; b < end_block; b++) {
                const channel_block block = find_block(geometry, shape, b);
                for (int g = block.group; g < block.end_group; g++) {
                    const int begin = g * group_channels, c = max(block.channel, begin) - begin;
                    const int end = min(block.last_channel, begin + group_channels) - begin;
                    for (int tile = c / TILE; tile * TILE < end; tile++)
                        for (int p = 0; p < count; p += ROWS)
                            multiply(grad_output +
                                         ((size_t)g * shape.out_blocks * shape.out_pitch + first + p) * shape.out_lanes,
                                     shape, group_outputs,
                                     weight + (((size_t)g * taps + tap) * tiles + tile) * group_outputs * TILE,
                                     columns + p * shape.columns_pitch + (begin + tile * TILE - block.channel));
                }
                for (int c = block.channel; c < block.last_channel;) {
                    const int offset_group = c / offset_channels;
                    const int end = min(block.last_channel, (offset_group + 1) * offset_channels);
                    find_samples(geometry, from, tables, WHERE_PASSED offset_group, 0, tap, shape.span, first, count);
                    if (dots && (partial || c == offset_group * offset_channels))
                        for (int i = 0; i < 4 * shape.span; i++)
                            dots[i] = 0;
                    for (int p = 0; p < count; p++)
                        add_sample(from, copy, tables, shape.span, p, c, end,
                                   columns + p * shape.columns_pitch + (c - block.channel), dots);
#if KIND != 2
                    if (dots && partial) {
                        for (int k = 0; k < 4; k++)
                            for (int p = 0; p < count; p++)
                                partial[partial_index(geometry, shape, b, tap, offset_group, k, worker) + first -
                                        range.x + p] = dots[k * shape.span + p];
                    } else if (dots && end == (offset_group + 1) * offset_channels) {
                        store_gradients(geometry, tables, WHERE_PASSED dots, shape.span, offset_group, tap, first,
                                        count, grad_offset, grad_mask, accumulate);
                    }
#endif
                    c = end;
                }
            }
    }
}

#if KIND != 2
/* Gradients of offset and mask from the partial dot products of a slab: work-item (worker, tap of an offset group), and
 * further ones as the launch is wide. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void conv2d_fused_finish(
    const conv2d_geometry geometry, const conv2d_fused_shape shape, __global const REAL *input, const PLACE input_place,
    __global const REAL *zeros, WHERE_PARAMETERS __global const REAL *grad_output, __global OFFSET *grad_offset,
    const PLACE grad_offset_place, __global OFFSET *grad_mask, const PLACE grad_mask_place, const int accumulate,
    const int slab, __global const REAL *partial, __local REAL *dots, __local PLACED *placed, __local REAL *reals)
{
    const int worker = (int)get_global_id(0);
    if (worker >= shape.workers)
        return;
    const int taps = geometry.kernel_h * geometry.kernel_w, blocks = count_blocks(geometry, shape);
    const int offset_channels = geometry.in_channels / geometry.offset_groups;
    const int2 range = find_range(geometry, shape, worker, slab);
    const panel_tables tables = set_tables(placed, reals, shape.span, 1);
    offset += offset_place.x;
    if (grad_offset)
        grad_offset += grad_offset_place.x;
#if KIND == 1
    mask += mask_place.x;
#endif
    if (grad_mask)
        grad_mask += grad_mask_place.x;

    for (int first = range.x; first < range.y; first += shape.panel) {
        const int count = min(shape.panel, range.y - first);
        find_bases(geometry, tables, shape.span, first, count);
        for (int k = (int)get_global_id(1); k < taps * geometry.offset_groups; k += (int)get_global_size(1)) {
            const int tap = k % taps, offset_group = k / taps;
            for (int i = 0; i < 4 * shape.span; i++)
                dots[i] = 0;
            for (int b = 0; b < blocks; b++) {
                const channel_block block = find_block(geometry, shape, b);
                if (block.channel / offset_channels > offset_group ||
                    (block.last_channel - 1) / offset_channels < offset_group)
                    continue;
                for (int corner = 0; corner < 4; corner++)
                    for (int p = 0; p < count; p++)
                        dots[corner * shape.span + p] +=
                            partial[partial_index(geometry, shape, b, tap, offset_group, corner, worker) + first -
                                    range.x + p];
            }
            store_gradients(geometry, tables, WHERE_PASSED dots, shape.span, offset_group, tap, first, count,
                            grad_offset, grad_mask, accumulate);
        }
    }
}
#endif
