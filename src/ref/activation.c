#include "activation.h"

#include <math.h>

double cldeform__ref_activated(cldeform_mask_activation activation, double mask)
{
    switch (activation) {
    case CLDEFORM_MASK_SIGMOID:
        return 1 / (1 + exp(-mask));
    case CLDEFORM_MASK_SIGMOID_X2:
        return 2 / (1 + exp(-mask));
    case CLDEFORM_MASK_AS_IS:
        break;
    }
    return mask;
}

double cldeform__ref_activation_slope(cldeform_mask_activation activation, double mask)
{
    const double tail = exp(-fabs(mask)); /* the sigmoid's slope is even; this way nothing overflows or cancels */
    const double slope = tail / ((1 + tail) * (1 + tail));
    switch (activation) {
    case CLDEFORM_MASK_SIGMOID:
        return slope;
    case CLDEFORM_MASK_SIGMOID_X2:
        return 2 * slope;
    case CLDEFORM_MASK_AS_IS:
        break;
    }
    return 1;
}
