/* What an offset tensor holds: samples outside the image, components that are no numbers, magnitudes.
 *
 *   PARTS   runs that the samples of the whole batch are divided into. A constant, so that the same sums are made in
 *           the same order whatever the batch, the workspace and the size of work-groups
 *
 * Magnitudes are summed in the type of the offset, or float for half, with what each addition rounds off kept beside
 * it: 10^9 of them lose nothing that the result could hold. Those from 2^64 on have a sum of their own, scaled down, so
 * that neither can overflow. Devices that flush numbers below 2^-126 to zero lose those, in pixels. */
#ifndef PARTS
#define PARTS 4096
#endif

#define KIND 0 /* the mask has no say in where samples are */

#include "common.clh"
#include "conv2d_geometry.clh"
#include "conv2d_sample.clh"

/* As it is stored: a double that a float cannot hold is finite all the same. */
#if OFFSET_BITS == 64
typedef double MAGNITUDE;
#else
typedef float MAGNITUDE;
#endif

#define LARGE  ((MAGNITUDE)0x1p64f)
#define SHRINK ((MAGNITUDE)0x1p-64f)

#define LONG_SUM_OF MAGNITUDE
#include "long_sum.clh"

typedef struct tally {
    ulong outside, nans, infinite;
    long_sum small, large; /* of magnitudes below LARGE; of the others times SHRINK */
    MAGNITUDE most;
} tally;

/* The public struct. */
typedef struct offset_statistics {
    ulong samples, outside, nans, infinite;
    float mean_magnitude, max_magnitude;
} offset_statistics;

/* total / n to an ulp, n > 0: a quotient, and a correction from what it leaves. */
static MAGNITUDE divide(long_sum total, ulong n)
{
    const MAGNITUDE number = (MAGNITUDE)n;
    const MAGNITUDE quotient = (total.sum + total.rest) / number;
    return quotient + (fma(-quotient, number, total.sum) + total.rest) / number;
}

static void count_component(tally *counts, MAGNITUDE value)
{
    const MAGNITUDE magnitude = fabs(value);
    if (isnan(value)) {
        counts->nans++;
    } else if (isinf(value)) {
        counts->infinite++;
    } else {
        counts->most = fmax(counts->most, magnitude);
        if (magnitude < LARGE)
            counts->small = add(counts->small, magnitude);
        else
            counts->large = add(counts->large, magnitude * SHRINK);
    }
}

/* Work-item (part): a run of the samples in the order of memory: (image, group and tap, pixel), or with offset_last
 * (image, pixel, group and tap). */
__kernel void offset_statistics_count(const conv2d_geometry geometry, const ulong samples,
                                      __global const OFFSET *offset, const PLACE offset_place, const REAL offset_limit,
                                      __global tally *tallies)
{
    const int part = (int)get_global_id(0);
    if (part >= PARTS)
        return;
    const ulong whole = samples / PARTS, longer = samples % PARTS; /* the first parts have one sample more */
    const ulong first = whole * (ulong)part + min((ulong)part, longer);
    ulong left = whole + ((ulong)part < longer ? 1 : 0);

    const int taps = geometry.kernel_h * geometry.kernel_w;
    const int planes = taps * geometry.offset_groups, pixels = geometry.out_h * geometry.out_w;
    const int n_inner = geometry.offset_last ? planes : pixels;
    const int n_outer = geometry.offset_last ? pixels : planes;
    int inner = (int)(first % (ulong)n_inner);
    int outer = (int)(first / (ulong)n_inner % (ulong)n_outer);
    ulong image = first / (ulong)n_inner / (ulong)n_outer;

    tally counts = {0, 0, 0, {0, 0}, {0, 0}, 0};
    for (; left > 0; left--) {
        const int plane = geometry.offset_last ? inner : outer, pixel = geometry.offset_last ? outer : inner;
        const int tap = plane % taps, offset_group = plane / taps;
        __global const OFFSET *const of_image = offset + PLACE_OF_IMAGE(offset_place, image);
        count_component(&counts, READ_OFFSET(of_image, offset_y_index(geometry, offset_group, tap, pixel)));
        count_component(&counts, READ_OFFSET(of_image, offset_x_index(geometry, offset_group, tap, pixel)));
        /* positions are found in the arithmetic of the convolution */
        if (!find_sample(geometry, of_image, offset_limit, offset_group, tap, pixel).exists)
            counts.outside++;
        if (++inner == n_inner) {
            inner = 0;
            if (++outer == n_outer) {
                outer = 0;
                image++;
            }
        }
    }
    tallies[part] = counts;
}

/* One work-item: the parts in their order, and the result. */
__kernel void offset_statistics_combine(const ulong samples, __global const tally *tallies,
                                        __global offset_statistics *result, const ulong first_result)
{
    if (get_global_id(0) > 0)
        return;
    tally total = {0, 0, 0, {0, 0}, {0, 0}, 0};
    for (int part = 0; part < PARTS; part++) {
        const tally counts = tallies[part];
        total.outside += counts.outside;
        total.nans += counts.nans;
        total.infinite += counts.infinite;
        total.small = add(add(total.small, counts.small.sum), counts.small.rest);
        total.large = add(add(total.large, counts.large.sum), counts.large.rest);
        total.most = fmax(total.most, counts.most);
    }
    const ulong finite = 2 * samples - total.nans - total.infinite;
    MAGNITUDE mean = 0;
    if (finite > 0) /* the last product may round beyond the largest number, which no mean is above */
        mean = fmin(divide(total.small, finite) + divide(total.large, finite) * LARGE, total.most);
    offset_statistics found;
    found.samples = samples;
    found.outside = total.outside;
    found.nans = total.nans;
    found.infinite = total.infinite;
    /* doubles beyond the largest float become infinite here */
    found.mean_magnitude = (float)mean;
    found.max_magnitude = (float)total.most;
    result[first_result] = found;
}
