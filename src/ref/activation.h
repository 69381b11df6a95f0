/* What a mask's element multiplies with. */
#ifndef CLDEFORM_REF_ACTIVATION_H
#define CLDEFORM_REF_ACTIVATION_H

#include "cldeform/problem.h"

double cldeform__ref_activated(cldeform_mask_activation activation, double mask);

/* The derivative of that. */
double cldeform__ref_activation_slope(cldeform_mask_activation activation, double mask);

#endif
