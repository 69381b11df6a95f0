#include "atomics.h"
#include "launch.h"

#include <stdio.h>
#include <string.h>

/* ---- what a device may have ---------------------------------------------------------------------------- */

static bool has_int64(const cldeform_context *context, bool fp64)
{
    return !fp64 || context->facts.int64_atomics;
}

static bool has_extension(const cldeform_context *context, bool fp64)
{
    return fp64 ? context->facts.fp64_atomic_add : context->facts.fp32_atomic_add;
}

static bool is_nvidia(const cldeform_context *context, bool fp64)
{
    (void)fp64;
    return context->facts.nv_extensions;
}

/* Not the vendor's CPUs, of which PoCL says "AuthenticAMD". */
static bool is_amd_gpu(const cldeform_context *context, bool fp64)
{
    (void)fp64;
    return (context->facts.type & CL_DEVICE_TYPE_GPU) &&
           (strstr(context->facts.vendor, "AMD") != NULL || strstr(context->facts.vendor, "Advanced Micro") != NULL);
}

/* In order of preference: instructions, what the compiler makes of the language's addition, loops. Of these two the
 * compare-exchange is one operation where a cell is still 0: 1.2 ns an addition to cells of their own with PoCL and 2.7
 * with llvmpipe, against 2.3 and 4.3; all to one cell, 5 and 69 against 22 and 80. */
static const struct candidate {
    cldeform__atomic_form form;
    const char *name;
    bool (*may_have)(const cldeform_context *context, bool fp64);
    const char *needs;      /* what may_have looks for */
    const char *options[2]; /* before OpenCL 3.0, and from it on */
} candidates[] = {
    {CLDEFORM__ATOMIC_PTX,
     "nvidia_ptx",
     is_nvidia,
     "an NVIDIA GPU (extensions cl_nv_*)",
     {"-DATOMIC_FORM=4", "-DATOMIC_FORM=4"}},
    {CLDEFORM__ATOMIC_AMDGCN, "amdgcn", is_amd_gpu, "an AMD GPU", {"-DATOMIC_FORM=5", "-DATOMIC_FORM=5"}},
    {CLDEFORM__ATOMIC_EXTENSION,
     "cl_ext_float_atomics",
     has_extension,
     "cl_ext_float_atomics with additions to global memory",
     {"-DATOMIC_FORM=3 -cl-std=CL2.0", "-DATOMIC_FORM=3 -cl-std=CL3.0"}},
    {CLDEFORM__ATOMIC_COMPARE_EXCHANGE,
     "compare_exchange",
     has_int64,
     "cl_khr_int64_base_atomics",
     {"-DATOMIC_FORM=1", "-DATOMIC_FORM=1"}},
    {CLDEFORM__ATOMIC_EXCHANGE,
     "exchange",
     has_int64,
     "cl_khr_int64_base_atomics",
     {"-DATOMIC_FORM=2", "-DATOMIC_FORM=2"}},
};
enum { N_CANDIDATES = sizeof candidates / sizeof candidates[0] };

static const struct candidate *find_candidate(cldeform__atomic_form form)
{
    for (int i = 0; i < N_CANDIDATES; i++)
        if (candidates[i].form == form)
            return &candidates[i];
    return NULL;
}

static const char *options_of(const cldeform_context *context, cldeform__atomic_form form)
{
    int major = 0;
    const struct candidate *candidate = find_candidate(form);
    return candidate ? candidate->options[sscanf(context->facts.version, "OpenCL %d", &major) == 1 && major >= 3] : "";
}

const char *cldeform__atomic_name(cldeform__atomic_form form)
{
    const struct candidate *candidate = find_candidate(form);
    return candidate ? candidate->name : "none";
}

/* ---- the proof ----------------------------------------------------------------------------------------- */

/* As cl/atomic_probe.cl adds. Items enough to keep every compute unit adding at the same time. */
enum { CELLS = 19, ITEMS = 1 << 16 };
#define FIRST (-0.5f) /* what cells start with: none stays what it was, or passes for empty */

static void add_on_host(double cells[CELLS])
{
    for (int item = 0; item < ITEMS; item++) {
        cells[1] += 1;
        cells[3] += item % 7 - 5;
        cells[5 + item % 13] += item % 5 * 0.25 - 0.75;
    }
}

static cldeform_status run_probe(cldeform_context *context, cldeform__kernel *kernel, bool fp64, double cells[CELLS])
{
    cldeform_status status;
    cldeform__lane *lane = NULL;
    cldeform__call call;
    cl_int error = CL_SUCCESS;
    cl_float floats[CELLS];
    const cl_int items = ITEMS;
    void *stored = fp64 ? (void *)cells : (void *)floats;
    const size_t bytes = fp64 ? CELLS * sizeof *cells : sizeof floats;
    for (int i = 0; i < CELLS; i++)
        cells[i] = floats[i] = FIRST;
    cl_mem buffer = clCreateBuffer(context->cl, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, bytes, stored, &error);
    if (error != CL_SUCCESS)
        return cldeform__fail_cl(error, "clCreateBuffer(proof of atomic additions)");
    TRY(cldeform__lane_take(context, false, 0, NULL, &lane));
    TRY(cldeform__call_begin(&call, context, lane->queue, "atomic_probe", 0, NULL, false));
    const cldeform__argument arguments[] = {ARGUMENT(buffer), ARGUMENT(items)};
    const cldeform__launch launch = {
        .step = "atomic_probe",
        .kernel = kernel,
        .arguments = arguments,
        .n_arguments = sizeof arguments / sizeof arguments[0],
        .items = {ITEMS, 1, 1},
        .group = (size_t)context->tuning.im2col_group,
        .flop = 3.0 * ITEMS,
    };
    status = cldeform__call_launch(&call, &launch);
    TRY(cldeform__call_end(&call, status, NULL));
    error = clEnqueueReadBuffer(lane->queue, buffer, CL_TRUE, 0, bytes, stored, 0, NULL, NULL);
    if (error != CL_SUCCESS)
        status = cldeform__fail_cl(error, "clEnqueueReadBuffer(proof of atomic additions)");
    for (int i = 0; !fp64 && i < CELLS; i++)
        cells[i] = (double)floats[i];
done:
    if (lane)
        cldeform__lane_return(context, lane, NULL);
    clReleaseMemObject(buffer);
    return status;
}

/* Whether the form adds; if not, the error text says why not. */
static cldeform_status prove(cldeform_context *context, const struct candidate *candidate, bool fp64)
{
    cldeform__program *program = NULL;
    char options[80];
    double found[CELLS], expected[CELLS];
    if (fp64 && !context->facts.fp64)
        return cldeform__fail(CLDEFORM_UNSUPPORTED, "it needs cl_khr_fp64");
    if (!candidate->may_have(context, fp64))
        return cldeform__fail(CLDEFORM_UNSUPPORTED, "it needs %s", candidate->needs);
    snprintf(options, sizeof options, "-DDATA_BITS=%d %s", fp64 ? 64 : 32, options_of(context, candidate->form));
    cldeform_status status = cldeform__program_get(context, "atomic_probe", options, &program);
    if (status != CLDEFORM_OK)
        return status;
    cldeform__kernel *kernel = cldeform__program_kernel(program, "atomic_probe");
    if (!kernel)
        return cldeform__fail(CLDEFORM_BUILD_FAILED, "atomic_probe.cl lacks its kernel");
    status = run_probe(context, kernel, fp64, found);
    if (status != CLDEFORM_OK)
        return status;
    for (int i = 0; i < CELLS; i++)
        expected[i] = FIRST;
    add_on_host(expected);
    for (int i = 0; i < CELLS; i++)
        if (!(found[i] == expected[i]))
            return cldeform__fail(CLDEFORM_UNSUPPORTED, "its sum in cell %d of the proof is %.9g; it must be %.9g", i,
                                  found[i], expected[i]);
    return CLDEFORM_OK;
}

/* ---- the choice ---------------------------------------------------------------------------------------- */

static cldeform_status choose(cldeform_context *context, bool fp64, cldeform__atomic_form *form)
{
    const cldeform__atomic_form forced = (cldeform__atomic_form)context->tuning.atomic_form;
    cldeform_status status = CLDEFORM_OK;
    *form = CLDEFORM__ATOMIC_NONE;
    for (int i = 0; i < N_CANDIDATES; i++) {
        const struct candidate *candidate = &candidates[i];
        if (forced != CLDEFORM__ATOMIC_NONE && candidate->form != forced)
            continue;
        status = prove(context, candidate, fp64);
        if (status == CLDEFORM_OK)
            *form = candidate->form;
        if (status == CLDEFORM_OK || status == CLDEFORM_OUT_OF_MEMORY)
            return status;
        if (forced != CLDEFORM__ATOMIC_NONE) {
            char why[500];
            snprintf(why, sizeof why, "%s", cldeform_last_error());
            return cldeform__fail(CLDEFORM_UNSUPPORTED,
                                  "tuning forces atomic_form=%d (%s), which %s cannot do in %s: %s", (int)forced,
                                  candidate->name, context->facts.name, fp64 ? "fp64" : "fp32", why);
        }
    }
    /* OpenCL failed at the very last: that says nothing of the device for good */
    return status == CLDEFORM_OPENCL_ERROR ? status : CLDEFORM_OK;
}

cldeform_status cldeform__atomics_find(cldeform_context *context, bool fp64, cldeform__atomic_form *form,
                                       const char **options)
{
    cldeform_status status = CLDEFORM_OK;
    cldeform__atomics *atomics = &context->atomics;
    /* one thread proves, others wait for what it finds */
    cldeform__mutex_lock(&atomics->mutex);
    if (!atomics->found[fp64]) {
        cldeform__atomic_form chosen = CLDEFORM__ATOMIC_NONE;
        status = choose(context, fp64, &chosen);
        atomics->form[fp64] = (int)chosen;
        atomics->found[fp64] = status == CLDEFORM_OK;
    }
    *form = (cldeform__atomic_form)atomics->form[fp64];
    cldeform__mutex_unlock(&atomics->mutex);
    if (options)
        *options = options_of(context, *form);
    return status;
}

bool cldeform__atomics_need_device_memory(cldeform_context *context)
{
    cldeform__atomics *atomics = &context->atomics;
    cldeform__mutex_lock(&atomics->mutex);
    const bool need = atomics->form[0] == CLDEFORM__ATOMIC_AMDGCN || atomics->form[1] == CLDEFORM__ATOMIC_AMDGCN;
    cldeform__mutex_unlock(&atomics->mutex);
    return need;
}

void cldeform__atomics_describe(cldeform_context *context, cldeform__text *text)
{
    cldeform__atomics *atomics = &context->atomics;
    cldeform__mutex_lock(&atomics->mutex);
    for (int fp64 = 0; fp64 < 2; fp64++)
        cldeform__text_add(text, "%s\"fp%d\":\"%s\"", fp64 ? "," : "", fp64 ? 64 : 32,
                           atomics->found[fp64] ? cldeform__atomic_name((cldeform__atomic_form)atomics->form[fp64])
                                                : "not probed");
    cldeform__mutex_unlock(&atomics->mutex);
}
