/* Parameters of the kernels and of their use, per device: a table, and a file that overrides it. */
#ifndef CLDEFORM_TUNING_H
#define CLDEFORM_TUNING_H

#include "text.h"

/* Columns of the table: X(name, least, most, what it is). Every value is a whole number. */
#define CLDEFORM__TUNING_LIST(X)                                                                                       \
    X(conv2d_algorithm, 1, 3, "what AUTO tries first: 1 im2col, 2 fused, 3 tiled; then the others")                    \
    X(im2col_group, 1, 1024, "work-items of a work-group of im2col and of the other element-wise kernels")             \
    X(channel_vector, 1, 16, "channels that im2col moves at once in NHWC: 1, 2, 4, 8 or 16")                           \
    X(im2col_lanes, 1, 64,                                                                                             \
      "work-items that share the channels of a sample in im2col at most, on input that is packed for it; 1: one does " \
      "all of them, on input as it is")                                                                                \
    X(col2im, 0, 3,                                                                                                    \
      "gradient of the input: 0 scatter by owners of channels, 1 gather, 2 atomic (gather where deterministic is "     \
      "asked for), 3 scatter where every compute unit has a block of channels, else gather")                           \
    X(col2im_vector, 1, 16, "channels that col2im adds at once: 1, 2, 4, 8 or 16")                                     \
    X(roi_lanes, 1, 256, "work-items that share the channels of a bin or tile in RoI pooling; 1: one does them all")   \
    X(roi_vectors, 1, 16, "vectors of channels that each of them works on at once")                                    \
    X(roi_tile_h, 1, 16, "rows of the tiles that the gradient of RoI pooling's input is collected in")                 \
    X(roi_tile_w, 1, 16, "columns of them")                                                                            \
    X(fused_vector, 0, 16, "floats of a vector in the fused convolution (doubles: half); 0: the device's own width")   \
    X(fused_rows, 0, 16, "pixels of its tile of registers; 0: 12 with vectors of 16 floats, else 6")                   \
    X(fused_panel, 1, 1024, "pixels of a panel at most")                                                               \
    X(fused_panel_kib, 1, 1 << 20, "local memory of a panel at most, KiB")                                             \
    X(fused_depth, 1, 1 << 20, "samples of a pixel that are in a panel at a time")                                     \
    X(fused_copies, 1, 64, "work-items that share an image in its backward pass, each with a copy of grad_input")      \
    X(fused_block, 1, 1024, "channels at most whose gradient of the weight one of them adds up at a time")             \
    X(fused_run, 1, 1 << 16, "pixels at most that are added up there before rounding is looked after")                 \
    X(tiled_rows, 16, 256, "rows of a work-group's tile in the tiled convolution: outputs, or channels in gradients")  \
    X(tiled_columns, 16, 256, "columns of it: output pixels")                                                          \
    X(tiled_item_rows, 4, 8, "rows of a work-item's part of it: 4 or 8")                                               \
    X(tiled_item_columns, 4, 8, "columns of that: 4 or 8")                                                             \
    X(tiled_depth, 4, 64, "terms that are in local memory at a time")                                                  \
    X(tiled_table, 1, 32, "taps whose positions are in local memory at a time")                                        \
    X(tiled_groups, 1, 64, "work-groups aimed at for each compute unit, where a tile's work can be shared")            \
    X(tiled_splits, 1, 64, "work-groups that share the channels of a tile of outputs at most")                         \
    X(columns_kib, 0, 1 << 20,                                                                                         \
      "size aimed at for the columns that are in memory at a time, KiB; 0: half of the device's cache")                \
    X(gemm_clblast, 0, 1, "1: CLBlast multiplies; 0: the built-in kernel does")                                        \
    X(gemm_parameters, 0, 6,                                                                                           \
      "a set of gemm_parameters.c that CLBlast is to take in this process; 0: it is left alone")                       \
    X(gemm_indirect, 0, 8192,                                                                                          \
      "CLBlast's kernel for large products is for m*n*k from the third power of this on; 0: it is left alone")         \
    X(long_index, 0, 1, "1: 64-bit indices in kernels even where 32 bits are enough; for tests")                       \
    X(atomic_form, 0, 5, "how kernels add to shared memory: 0: the best that the device has; or a form of atomics.h")

typedef struct cldeform__tuning {
#define X(name, least, most, what) int name;
    CLDEFORM__TUNING_LIST(X)
#undef X
    char source[256]; /* "built-in: cpu", "file: tuning.txt line 3 (refused, line 4: x=1 is not a parameter)", ... */
    char *refused;    /* lines of the file that were not understood, one text a line; NULL: none */
} cldeform__tuning;

/* What rows are chosen by. */
typedef struct cldeform__tuning_device {
    const char *name, *vendor; /* of the device */
    int is_cpu;
    unsigned long long cache; /* bytes of its global memory's cache; 0: not known */
} cldeform__tuning_device;

/* The built-in row of the device, overridden by the lines of `file` (NULL: none) that match it.
 *
 * File: text, one line per device; '#' starts a comment. A line is a part of the device's name in double quotes ("" or
 * "*": any device), then name=value pairs of CLDEFORM__TUNING_LIST; what a line leaves out stays as it was, later lines
 * override earlier ones. A line with an unknown name or a value out of range is refused whole and listed in `refused`.
 * Errors: INVALID_ARGUMENT (the file cannot be read), OUT_OF_MEMORY. */
cldeform_status cldeform__tuning_load(cldeform__tuning *tuning, const cldeform__tuning_device *device,
                                      const char *file);
void cldeform__tuning_free(cldeform__tuning *tuning);

/* "name":value pairs, comma-separated, without braces. */
void cldeform__tuning_describe(const cldeform__tuning *tuning, cldeform__text *text);

#endif
