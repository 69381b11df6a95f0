/* operator.h: what the commands of the operators share: common options, files and their checks, and the two ways to
 * compute, on a device and by the reference. gradcheck computes with it too. */
#ifndef CLDEFORM_TOOL_OPERATOR_H
#define CLDEFORM_TOOL_OPERATOR_H

#include <jansson.h>

#include "cldeform/cldeform.h"
#include "command.h"
#include "device.h"
#include "fault.h"
#include "npy.h"
#include "number.h"
#include "tensors.h"

/* ---- options ---- */

typedef struct operator_options {
    const char *path[TENSORS]; /* NULL: not given */
    const char *device;        /* NULL: not given */
    int layout, algorithm;     /* enums of the library; algorithm also OPERATOR_REFERENCE */
    size_t workspace_limit;    /* 0: none */
    int deterministic, print_plan, help;
} operator_options;

#define OPERATOR_REFERENCE                                                                                             \
    (-1) /* of options.algorithm: the host's double precision, not one of the library's algorithms */

extern const number_word operator_layouts[2];

/* The command line of an operator. */
typedef struct operator_syntax {
    unsigned tensors, required; /* sets: the files it has, and those it cannot do without */
    const number_word *algorithms;
    size_t n_algorithms;
    const struct option *own; /* those that are not common; values from OPERATOR_OWN on; ends in zeros */
    int (*read_own)(void *options, int option, const char *text, fault *f);
} operator_syntax;

/* Values of an operator's own options begin here: behind the files' and the common ones. */
#define OPERATOR_OWN (OPTION_FIRST + TENSORS + 16)

/* Fills all of o, and what `options` holds of the operator's own. Which files are asked for is checked, unless help is.
 */
int operator_read_options(const operator_syntax *syntax, int argc, char **argv, operator_options *o, void *options,
                          fault *f);

/* The help's end: the common options behind --algorithm, and what holds for every operator. */
void operator_print_help(void);

/* ---- files ---- */

/* The file, whose type must be the input's; that of offset and mask may be '<f4' where the input's is '<f2', and that
 * of rois is '<f4' or '<f8'. Input first. */
int operator_read(const operator_options *o, npy_array *arrays, int tensor, fault *f);

/* Reads it, and checks that it has that shape. */
int operator_read_shape(const operator_options *o, npy_array *arrays, int tensor, int rank, const int64_t *shape,
                        fault *f);

/* The input: (N,C,H,W), or (N,H,W,C), whose sizes go into size[4], always in the order N, C, H, W. */
int operator_read_input(const operator_options *o, npy_array *arrays, int64_t size[4], fault *f);

int operator_check_shape(const operator_options *o, const npy_array *arrays, int tensor, int rank, const int64_t *shape,
                         fault *f);

/* "weight w.npy has shape (2,3), expected ..." */
int operator_refuse_shape(const operator_options *o, const npy_array *arrays, int tensor, const char *expected,
                          fault *f);

/* Room for the expected shape in words. */
#define OPERATOR_WORDS 200

/* Reads the gradient of the output, if given, and makes room for the tensors that are asked for. A gradient has shape
 * and type of its tensor, which has been read; where that one is absent, the caller made room. */
int operator_create_outputs(const operator_options *o, npy_array *arrays, const int64_t output[4], fault *f);

/* ---- computing ---- */

typedef struct operator_device {
    device_session session;
    cldeform_context *context;
} operator_device;

/* `wanted` as device_choose has it. All zero before; operator_close_device after, also after a failure. */
int operator_open_device(operator_device *device, const char *wanted, fault *f);
void operator_close_device(operator_device *device);

/* An operator of the library. data: the command's, problem and all. */
typedef struct operator_calls {
    int (*create)(const operator_device *device, const void *data, void **object, fault *f);
    void (*destroy)(void *object); /* of NULL too */
    int (*describe)(const void *object, json_t **plan, fault *f);
    /* buffers[TENSORS]: NULL where an array has rank 0. On the session's queue, which is in order. */
    cldeform_status (*forward)(const void *object, cl_command_queue queue, const cl_mem *buffers, cl_event *done);
    cldeform_status (*backward)(const void *object, cl_command_queue queue, const cl_mem *buffers, cl_event *done);

    /* The reference: values[TENSORS], NULL likewise. gflop is of these passes, by formula. */
    cldeform_status (*compute)(const void *data, cldeform_passes passes, double *const *values);
    double (*count_gflop)(const void *data, cldeform_passes passes);
} operator_calls;

typedef struct operator_work {
    const operator_calls *calls;
    const void *data;       /* of the calls */
    npy_array *arrays;      /* [TENSORS]; those that are computed have room */
    cldeform_passes passes; /* to compute: of the arrays, and what they follow from */
    int print_plan;
} operator_work;

/* Prints the plan if asked for, then computes, if any array is to be: on the device, or on the host. */
int operator_run_device(const operator_device *device, const operator_work *work, fault *f);
int operator_run_reference(const operator_work *work, fault *f);

/* plan holds what the library's describe says, or the same keys. */
int operator_print_plan(const char *device, const json_t *plan, fault *f);

/* What a call of the library said. limit: the caller's workspace_limit, 0 for none; one that is too small is the
 * caller's fault. INVALID_ARGUMENT too; everything else is the device's or the driver's. */
int operator_refuse(cldeform_status answer, size_t limit, fault *f);
int operator_refuse_opencl(const char *call, cl_int error, fault *f);

/* Computes in the way that is asked for, and writes what is asked for: all files or none. */
int operator_compute_and_write(const operator_options *o, const operator_work *work, fault *f);

#endif
