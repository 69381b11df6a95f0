/* reference.c: convolution_check of convolution.h. The reference is slow by design, so its output channels are shared
 * out between threads. */
#include "convolution.h"

#include "cldeform/cldeform_ref.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

enum { MOST_THREADS = 16 };

static double *to_double(const float *from, cldeform_conv2d_problem problem, cldeform_tensor_name name, int *ok)
{
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    if (!from || !*ok)
        return NULL;
    *ok = cldeform_conv2d_shape(&problem, name, &shape) == CLDEFORM_OK;
    const size_t count = *ok ? (size_t)shape.elements : 0;
    double *to = malloc((count + 1) * sizeof *to);
    *ok = *ok && to;
    for (size_t i = 0; *ok && i < count; i++)
        to[i] = (double)from[i];
    return to;
}

typedef struct share {
    cldeform_conv2d_problem problem; /* out_channels is the share's */
    const double *input, *offset, *mask, *weight;
    double *output;
    cldeform_status status;
    int started;
    pthread_t thread;
} share;

static void *run_share(void *argument)
{
    share *s = argument;
    s->status = cldeform_ref_conv2d_forward(&s->problem, s->input, s->offset, s->mask, s->weight, NULL, s->output);
    return NULL;
}

/* Channel by channel the convolution is the same problem with fewer weights (groups is 1). */
static cldeform_status run_shares(const share *whole, size_t plane)
{
    share shares[MOST_THREADS];
    const cldeform_conv2d_problem *p = &whole->problem;
    const int64_t products = p->in_channels * p->kernel_h * p->kernel_w;
    const int count = p->out_channels < MOST_THREADS ? (int)p->out_channels : MOST_THREADS;
    for (int i = 0; i < count; i++) {
        const int64_t first = p->out_channels * i / count, end = p->out_channels * (i + 1) / count;
        shares[i] = *whole;
        shares[i].problem.out_channels = end - first;
        shares[i].weight += first * products;
        shares[i].output += (size_t)first * plane;
        shares[i].started = pthread_create(&shares[i].thread, NULL, run_share, &shares[i]) == 0;
        if (!shares[i].started)
            run_share(&shares[i]);
    }
    cldeform_status status = CLDEFORM_OK;
    for (int i = 0; i < count; i++) {
        if (shares[i].started)
            pthread_join(shares[i].thread, NULL);
        if (shares[i].status != CLDEFORM_OK)
            status = shares[i].status;
    }
    return status;
}

static double relative_error(const float *output, const double *expected, size_t count)
{
    double difference = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(output[i]))
            return INFINITY;
        difference = fmax(difference, fabs((double)output[i] - expected[i]));
        largest = fmax(largest, fabs(expected[i]));
    }
    return largest > 0 ? difference / largest : difference;
}

int convolution_check(const cldeform_conv2d_problem *problem, const host_tensors *host, double *error, fault *f)
{
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    int ok = cldeform_conv2d_shape(problem, CLDEFORM_OUTPUT, &shape) == CLDEFORM_OK, result = EXIT_FINE;
    double *input = to_double(host->input, *problem, CLDEFORM_INPUT, &ok);
    double *offset = to_double(host->offset, *problem, CLDEFORM_OFFSET, &ok);
    double *mask = to_double(host->mask, *problem, CLDEFORM_MASK, &ok);
    double *weight = to_double(host->weight, *problem, CLDEFORM_WEIGHT, &ok);
    double *expected = calloc((size_t)shape.elements + 1, sizeof *expected);
    if (!ok || !expected) {
        result = fault_memory(f);
        goto done;
    }
    const share whole = {
        .problem = *problem, .input = input, .offset = offset, .mask = mask, .weight = weight, .output = expected};
    const cldeform_status status = run_shares(&whole, (size_t)(shape.elements / problem->out_channels));
    if (status != CLDEFORM_OK)
        result = fault_set(f, EXIT_DEVICE, "cldeform_ref_conv2d_forward: %s", cldeform_status_text(status));
    else
        *error = relative_error(host->output, expected, (size_t)shape.elements);
done:
    free(input);
    free(offset);
    free(mask);
    free(weight);
    free(expected);
    return result;
}
