/* gradcheck_difference.c: gradients against finite differences of the reference's forward. */
#include "gradcheck.h"

#include <math.h>
#include <stdlib.h>

#include "cldeform/cldeform_ref.h"

/* Doubles of the tensors that are read, and of two outputs. */
typedef struct host {
    const conv2d_data *d;
    double *values[TENSORS];
    double *above, *below;
    size_t outputs;
} host;

static int widen(const conv2d_data *d, host *h, fault *f)
{
    int status = EXIT_FINE;
    h->d = d;
    h->outputs = d->array[TENSOR_GRAD_OUTPUT].elements;
    for (int i = 0; i < TENSORS && status == EXIT_FINE; i++)
        status = tensor_widen(&d->array[i], &h->values[i], f);
    if (status != EXIT_FINE)
        return status;
    h->above = calloc(2 * h->outputs + 1, sizeof *h->above);
    if (!h->above)
        return fault_memory(f);
    h->below = h->above + h->outputs;
    return EXIT_FINE;
}

static void release(host *h)
{
    for (int i = 0; i < TENSORS; i++)
        free(h->values[i]);
    free(h->above);
}

static int run(const host *h, double *output, fault *f)
{
    double *const *v = h->values;
    if (cldeform_ref_conv2d_forward(&h->d->problem, v[TENSOR_INPUT], v[TENSOR_OFFSET], v[TENSOR_MASK], v[TENSOR_WEIGHT],
                                    v[TENSOR_BIAS], output) != CLDEFORM_OK)
        return fault_set(f, EXIT_DEVICE, "the reference refuses the problem");
    return EXIT_FINE;
}

/* d loss / d element, where loss = sum(grad_output * output). The output is linear in each element by itself, in an
 * offset as long as its sample stays between the same pixels: so the step may be large, and the difference has no
 * error but that of rounding. The outputs are subtracted before they are summed, so that those which do not depend on
 * the element add exactly nothing. */
static int differentiate(const host *h, double *element, double *slope, fault *f)
{
    const double before = *element, up = before + GRADCHECK_STEP, down = before - GRADCHECK_STEP;
    *element = up;
    int status = run(h, h->above, f);
    *element = down;
    if (status == EXIT_FINE)
        status = run(h, h->below, f);
    *element = before;
    double sum = 0;
    for (size_t i = 0; i < h->outputs; i++)
        sum += h->values[TENSOR_GRAD_OUTPUT][i] * (h->above[i] - h->below[i]);
    *slope = sum / (up - down);
    return status;
}

/* NaN is the largest error there is. */
static int is_above(double error, double other)
{
    return !(error <= other);
}

int gradcheck_compare(const conv2d_data *d, int gradient, int64_t seed, gradcheck_result *result, fault *f)
{
    host h = {0};
    const size_t elements = d->array[gradient].elements;
    size_t wanted = elements < GRADCHECK_MOST ? elements : GRADCHECK_MOST;
    uint64_t state = (uint64_t)seed;
    double largest = 0, error = -1;
    *result = (gradcheck_result){.checked = wanted};
    int status = widen(d, &h, f);
    for (size_t i = 0; i < elements && wanted > 0 && status == EXIT_FINE; i++) {
        double slope = 0;
        if (gradcheck_random(&state) % (elements - i) >= wanted) /* each set of `wanted` elements is as likely */
            continue;
        wanted--;
        status = differentiate(&h, &h.values[tensor_table[gradient].of][i], &slope, f);
        double found = h.values[gradient][i], difference = fabs(found - slope);
        largest = fmax(largest, fabs(slope));
        if (is_above(difference, error) && !isnan(error)) {
            error = difference;
            result->worst = i;
            result->found = found;
            result->expected = slope;
        }
    }
    /* where all gradients are 0, what is found must be, too */
    result->error = largest > 0 ? error / largest : error > 0 ? INFINITY : error;
    release(&h);
    return status;
}
