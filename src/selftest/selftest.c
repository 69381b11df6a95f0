/* Every kernel family on small problems, on the device at hand, against the reference. */
#include "selftest.h"

#include <stdio.h>

typedef struct outcome {
    cldeform_selftest_function report;
    void *user;
    int failed;
    char first[1024];
} outcome;

/* Tells the caller of one check and keeps the first failure. */
static void tell(const char *name, cldeform_status status, void *user)
{
    outcome *o = user;
    if (status != CLDEFORM_OK && o->failed++ == 0)
        snprintf(o->first, sizeof o->first, "%s: %s", name, cldeform_last_error());
    if (o->report)
        o->report(name, status, status == CLDEFORM_OK ? "" : cldeform_last_error(), o->user);
}

cldeform_status cldeform_selftest(cldeform_context *context, cldeform_selftest_function report, void *user)
{
    cldeform__lane *lane = NULL;
    outcome o = {.report = report, .user = user};
    if (!context)
        return cldeform__fail(CLDEFORM_INVALID_ARGUMENT, "context is NULL");
    const cldeform_status status = cldeform__lane_take(context, false, 0, NULL, &lane);
    if (status != CLDEFORM_OK)
        return status;
    cldeform__selftest_conv2d(context, lane->queue, tell, &o);
    cldeform__selftest_roi_pool(context, lane->queue, tell, &o);
    cldeform__selftest_gemm(context, lane->queue, tell, &o);
    const cl_int error = clFinish(lane->queue);
    cldeform__lane_return(context, lane, NULL);
    if (o.failed > 0)
        return cldeform__fail(CLDEFORM_SELFTEST_FAILED, "%d of the self-test's checks failed, the first is %s",
                              o.failed, o.first);
    return error == CL_SUCCESS ? CLDEFORM_OK : cldeform__fail_cl(error, "clFinish");
}
