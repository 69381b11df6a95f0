/* The convolution object, and what an algorithm is. */
#ifndef CLDEFORM_CONV2D_H
#define CLDEFORM_CONV2D_H

#include "../launch.h"
#include "../workspace.h"
#include "operands.h"
#include "problem.h"

/* One way to compute a convolution: a file with this table, and a row in algorithm.c. Everything but `plan` and
 * `free_plan` gets an object that is constant and may run in several threads. */
typedef struct cldeform__conv2d_algorithm {
    cldeform_algorithm id;
    const char *name;

    /* NULL if it can do the problem on the device, else why not, as the end of "...: ". What depends on limits is found
     * by `plan`. */
    const char *(*refuses)(const cldeform_context *context, const cldeform_conv2d_problem *problem,
                           const cldeform__conv2d_sizes *sizes);

    /* Sets conv->plan; compiles the kernels. After LIMIT or UNSUPPORTED, AUTO tries the next algorithm. */
    cldeform_status (*plan)(cldeform_conv2d *conv);
    void (*free_plan)(void *plan);

    /* Bytes for a call that does these passes, of those prepared; preferred is within the problem's limit. */
    void (*workspace)(const cldeform_conv2d *conv, cldeform_passes passes, size_t *minimum, size_t *preferred);

    /* Whether these passes give the same bits from run to run. */
    bool (*is_deterministic)(const cldeform_conv2d *conv, cldeform_passes passes);

    /* Enqueue the passes on images 0 .. batch-1. forward: batch > 0. */
    cldeform_status (*forward)(const cldeform_conv2d *conv, cldeform__call *call, int64_t batch,
                               const cldeform__conv2d_operands *operands, cldeform__workspace *workspace);
    cldeform_status (*backward)(const cldeform_conv2d *conv, cldeform__call *call, int64_t batch,
                                const cldeform__conv2d_operands *operands, const cldeform__conv2d_gradients *gradients,
                                cldeform__workspace *workspace);

    /* Bytes 0: it reads the weight as it is. */
    void (*packed_weight)(const cldeform_conv2d *conv, size_t *bytes, uint64_t *format);
    cldeform_status (*pack_weight)(const cldeform_conv2d *conv, cldeform__call *call, const cldeform__operand *weight,
                                   const cldeform__operand *packed);

    /* Adds members to the plan's JSON object, each with a comma before it. */
    void (*describe)(const cldeform_conv2d *conv, cldeform__text *text);
} cldeform__conv2d_algorithm;

struct cldeform__parts; /* parts.c */

/* What statistics of offsets need; all 0 where they are not prepared. */
typedef struct cldeform__conv2d_statistics {
    cldeform__kernel *count, *combine;
    size_t workspace; /* bytes */
} cldeform__conv2d_statistics;

struct cldeform_conv2d {
    cldeform_context *context;
    cldeform_conv2d_problem problem; /* with its defaults filled in */
    cldeform__conv2d_sizes sizes;
    size_t workspace_limit;                      /* bytes, never 0 */
    size_t needed;                               /* the least of what check_limit refused; 0: it refused none */
    const cldeform__conv2d_algorithm *algorithm; /* NULL: the object has no pass that needs one */
    const char *reason;                          /* why this one */
    void *plan;
    struct cldeform__parts *parts; /* NULL: the object has none of these passes */
    cldeform__conv2d_statistics statistics;
};

extern const cldeform__conv2d_algorithm cldeform__conv2d_im2col, cldeform__conv2d_fused, cldeform__conv2d_tiled;

/* Passes that an algorithm does, and those that are public parts. */
#define CLDEFORM__ALGORITHM_PASSES (CLDEFORM_FORWARD | CLDEFORM_BACKWARD | CLDEFORM_PACK_WEIGHT)
#define CLDEFORM__PART_PASSES      (CLDEFORM_IM2COL | CLDEFORM_COL2IM | CLDEFORM_COL2OFFSET)

/* Sets the object's algorithm, reason and plan: the algorithm that the problem asks for, or for AUTO the first in the
 * table that can do it. */
cldeform_status cldeform__conv2d_choose(cldeform_conv2d *conv);

/* For `plan`: LIMIT where the workspace that an algorithm needs at least is above the object's limit. */
cldeform_status cldeform__conv2d_check_limit(cldeform_conv2d *conv, size_t minimum);

/* The parts that the object's passes ask for: compiles them; their workspace; whether they are deterministic. */
cldeform_status cldeform__parts_prepare(cldeform_conv2d *conv);
void cldeform__parts_free(struct cldeform__parts *parts);
void cldeform__parts_workspace(const cldeform_conv2d *conv, cldeform_passes passes, size_t *minimum, size_t *preferred);
/* Runs them once. columns: room for one image's. */
cldeform_status cldeform__parts_warm_up(const cldeform_conv2d *conv, cldeform__call *call,
                                        const cldeform__conv2d_operands *operands,
                                        const cldeform__conv2d_gradients *gradients, cl_mem columns);
bool cldeform__parts_are_deterministic(const cldeform_conv2d *conv, cldeform_passes passes);

/* Statistics of offsets: sets conv->statistics; runs them on one image of offsets. */
cldeform_status cldeform__conv2d_prepare_statistics(cldeform_conv2d *conv);
cldeform_status cldeform__conv2d_warm_up_statistics(const cldeform_conv2d *conv, cldeform__call *call,
                                                    const cldeform__operand *offset);

/* Why a tensor must be absent. */
#define CLDEFORM__NO_OFFSET "problem.kind is CLDEFORM_CONV2D_PLAIN"
#define CLDEFORM__NO_MASK   "problem.kind is not CLDEFORM_CONV2D_MODULATED"

/* The beginning of every call that enqueues: the object is there and has the pass; *done = NULL. */
cldeform_status cldeform__conv2d_check_object(const cldeform_conv2d *conv, cldeform_passes pass, cl_event *done);

/* Enqueues forward (gradients NULL) or backward on checked tensors. range: the caller's workspace; NULL: allocate. */
cldeform_status cldeform__conv2d_run(const cldeform_conv2d *conv, cldeform__call *call, int64_t batch,
                                     const cldeform__conv2d_operands *operands,
                                     const cldeform__conv2d_gradients *gradients, const cldeform__range *range);

#endif
