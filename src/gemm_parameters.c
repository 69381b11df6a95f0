#include "gemm_parameters.h"

#include <CL/cl.h>

enum { GEMMK, KREG, KWG, KWI, MDIMA, MDIMC, MWG, NDIMB, NDIMC, NWG, SA, SB, STRM, STRN, VWM, VWN };

const char *const cldeform__gemm_value_names[CLDEFORM__GEMM_VALUES] = {
    "GEMMK", "KREG", "KWG", "KWI", "MDIMA", "MDIMC", "MWG", "NDIMB",
    "NDIMC", "NWG",  "SA",  "SB",  "STRM",  "STRN",  "VWM", "VWN"};

/* A work-group of MDIMC x NDIMC makes a tile of MWG x NWG, KWG of the sum at a time, in vectors of VWM and VWN; SA and
 * SB: by way of local memory, which it loads as MDIMA and NDIMB wide; STRM: a work-item's elements lie apart. None has
 * been measured on a GPU: `cldeform tune` is to find which is the fastest. */
static const cldeform__gemm_set sets[] = {
    /* 8 x 8 a work-item, for GPUs with many registers: estimated for NVIDIA's SM 9.0 from CLBlast's for SM 7.5 and 8.0
     */
    {"128x128", {0, 1, 16, 2, 32, 16, 128, 32, 16, 128, 1, 1, 1, 0, 4, 4}},
    /* twice as many groups: where outputs or pixels are few */
    {"128x64", {0, 1, 16, 2, 32, 16, 128, 16, 16, 64, 1, 1, 1, 0, 4, 4}},
    {"64x64", {0, 1, 16, 2, 16, 16, 64, 16, 16, 64, 1, 1, 0, 0, 4, 4}},
    /* groups of 64 */
    {"64x64 in groups of 64", {0, 1, 16, 2, 16, 8, 64, 16, 8, 64, 1, 1, 0, 0, 4, 4}},
    {"64x64 in groups of 64, no local memory", {0, 1, 16, 2, 16, 8, 64, 16, 8, 64, 0, 0, 0, 0, 4, 4}},
    {"32x32 in groups of 64", {0, 1, 16, 2, 8, 8, 32, 8, 8, 32, 1, 1, 0, 0, 4, 4}},
};

const cldeform__gemm_set *cldeform__gemm_set_of(int number)
{
    return number >= 1 && (size_t)number <= sizeof sets / sizeof sets[0] ? &sets[number - 1] : NULL;
}

/* What CLBlast's kernel assumes without checking. */
static bool fits_kernel(const size_t v[CLDEFORM__GEMM_VALUES])
{
    for (int i = KWG; i <= NWG; i++)
        if (v[i] == 0)
            return false;
    const size_t items = v[MDIMC] * v[NDIMC];
    return v[GEMMK] == 0 && v[KREG] == 1 && v[VWM] > 0 && v[VWN] > 0 && v[KWG] % v[KWI] == 0 &&
           v[MWG] % (v[MDIMC] * v[VWM]) == 0 && v[NWG] % (v[NDIMC] * v[VWN]) == 0 &&
           v[MWG] % (v[MDIMA] * v[VWM]) == 0 && v[NWG] % (v[NDIMB] * v[VWN]) == 0 && items % v[MDIMA] == 0 &&
           items % v[NDIMB] == 0 && v[KWG] % (items / v[MDIMA]) == 0 && v[KWG] % (items / v[NDIMB]) == 0;
}

const char *cldeform__gemm_set_refuses(const cldeform__gemm_set *set, const cldeform__facts *facts)
{
    const size_t *v = set->values;
    if (!fits_kernel(v))
        return "its values do not fit together";
    if (v[MDIMC] * v[NDIMC] > facts->max_group || v[MDIMC] > facts->max_items[0] || v[NDIMC] > facts->max_items[1])
        return "its work-groups are too large for the device";
    if (v[KWG] * (v[SA] * v[MWG] + v[SB] * v[NWG]) * sizeof(cl_float) > facts->local_memory)
        return "it needs more local memory than the device has";
    return NULL;
}
