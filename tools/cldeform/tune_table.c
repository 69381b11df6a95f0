/* tune_table.c: the parameters that tune searches, and the values that it tries.
 *
 * A column of the library's tuning table has a row here. A new one: which algorithms read it (parts), in which passes,
 * and a few values that differ by what could matter, about a factor of two. Those of GPUs suit none but GPUs: a CPU's
 * work-items are threads with vectors. Parameters of one algorithm stand together, the most important first: they are
 * searched in this order. */
#include "tune.h"

#include <string.h>

#define BOTH   (TUNE_FORWARD | TUNE_BACKWARD)
#define CONV2D (TUNE_IM2COL | TUNE_FUSED)
#define VALUES(...)                                                                                                    \
    {                                                                                                                  \
        __VA_ARGS__, TUNE_END                                                                                          \
    }
#define NOT_SEARCHED                                                                                                   \
    0, 0, {TUNE_END},                                                                                                  \
    {                                                                                                                  \
        TUNE_END                                                                                                       \
    }

const tune_parameter tune_parameters[] = {
    /* which algorithm AUTO takes: each of these has its parameters searched first */
    {"conv2d_algorithm", TUNE_CHOICE, BOTH, VALUES(1, 2, 3), VALUES(1, 2, 3), NULL},

    /* im2col */
    {"gemm_clblast", TUNE_IM2COL, BOTH, VALUES(0, 1), VALUES(0, 1), NULL},
    {"gemm_parameters", TUNE_IM2COL, BOTH, VALUES(0, 2, 5), VALUES(0, 1, 2, 3, 4, 5, 6), NULL},
    {"gemm_indirect", TUNE_IM2COL, BOTH, VALUES(0, 256), VALUES(0, 128, 256, 512), NULL},
    {"im2col_lanes", TUNE_IM2COL | TUNE_TILED, BOTH, VALUES(1), VALUES(1, 4, 8, 16, 32), NULL},
    {"columns_kib", TUNE_IM2COL | TUNE_FUSED, BOTH, VALUES(2048, 8192, 32768), VALUES(6144, 12288, 24576, 49152, 98304),
     NULL},
    {"col2im", TUNE_IM2COL, TUNE_BACKWARD, VALUES(0, 1, 2), VALUES(1, 2), NULL},
    {"col2im_vector", TUNE_IM2COL, TUNE_BACKWARD, VALUES(4, 8, 16), VALUES(1, 2, 4), NULL},
    {"channel_vector", TUNE_IM2COL | TUNE_ROI, BOTH, VALUES(4, 8, 16), VALUES(1, 2, 4, 8), NULL},
    {"im2col_group", CONV2D | TUNE_TILED | TUNE_ROI, BOTH, VALUES(16, 64, 256), VALUES(32, 64, 128, 256), NULL},

    /* fused */
    {"fused_rows", TUNE_FUSED, BOTH, VALUES(4, 6, 8, 12, 16), VALUES(2, 4, 6, 8), NULL},
    {"fused_vector", TUNE_FUSED, BOTH, VALUES(4, 8, 16), VALUES(1, 2, 4, 8), NULL},
    {"fused_panel_kib", TUNE_FUSED, BOTH, VALUES(128, 256, 384, 512, 1024), VALUES(16, 32, 48, 64), NULL},
    {"fused_panel", TUNE_FUSED, BOTH, VALUES(48, 96, 192), VALUES(16, 32, 64), NULL},
    {"fused_depth", TUNE_FUSED, BOTH, VALUES(128, 256, 512, 1024), VALUES(32, 64, 128), NULL},
    {"fused_copies", TUNE_FUSED, TUNE_BACKWARD, VALUES(1, 2, 4, 8, 16), VALUES(1, 4, 16), NULL},
    {"fused_block", TUNE_FUSED, TUNE_BACKWARD, VALUES(32, 64, 128), VALUES(8, 16, 32), NULL},

    /* tiled */
    {"tiled_columns", TUNE_TILED, BOTH, VALUES(32, 64, 128), VALUES(32, 64, 128), NULL},
    {"tiled_rows", TUNE_TILED, BOTH, VALUES(32, 64, 128), VALUES(32, 64, 128), NULL},
    {"tiled_item_rows", TUNE_TILED, BOTH, VALUES(4, 8), VALUES(4, 8), NULL},
    {"tiled_item_columns", TUNE_TILED, BOTH, VALUES(4, 8), VALUES(4, 8), NULL},
    {"tiled_depth", TUNE_TILED, BOTH, VALUES(8, 16, 32), VALUES(8, 16, 32), NULL},
    {"tiled_table", TUNE_TILED, TUNE_FORWARD, VALUES(1, 3, 9), VALUES(1, 3, 9), NULL},
    {"tiled_groups", TUNE_TILED, BOTH, VALUES(2, 4, 8), VALUES(2, 4, 8), NULL},
    {"tiled_splits", TUNE_TILED, TUNE_FORWARD, VALUES(1, 4, 8, 16), VALUES(1, 4, 8, 16), NULL},

    /* RoI pooling */
    {"roi_vectors", TUNE_ROI, BOTH, VALUES(2, 4, 8, 16), VALUES(1, 2, 4), NULL},
    {"roi_lanes", TUNE_ROI, BOTH, VALUES(1, 4), VALUES(16, 32, 64, 128), NULL},
    {"roi_tile_h", TUNE_ROI, TUNE_BACKWARD, VALUES(4, 8, 16), VALUES(4, 8, 16), NULL},
    {"roi_tile_w", TUNE_ROI, TUNE_BACKWARD, VALUES(4, 8, 16), VALUES(4, 8, 16), NULL},

    /* the others, so that none is forgotten */
    {"fused_run", NOT_SEARCHED, "longer runs are quicker and less exact: how exact sums are is the library's promise"},
    {"long_index", NOT_SEARCHED, "for tests: 64-bit indices where 32 bits are enough are never quicker"},
    {"atomic_form", NOT_SEARCHED, "for tests: 0 is the best that the device has, which the library tries out"},
};
const size_t tune_n_parameters = sizeof tune_parameters / sizeof *tune_parameters;

_Static_assert(sizeof tune_parameters / sizeof *tune_parameters <= TUNE_MOST, "TUNE_MOST is too small");

size_t tune_find_parameter(const char *name, size_t length)
{
    size_t i = 0;
    while (i < tune_n_parameters &&
           (strlen(tune_parameters[i].name) != length || memcmp(tune_parameters[i].name, name, length) != 0))
        i++;
    return i;
}
