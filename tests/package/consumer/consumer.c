/* A convolution with one tap of weight 2 and no offset doubles its input. Needs no OpenCL device. */
#include <cldeform/cldeform.h>
#include <cldeform/cldeform_ref.h>

#include <stdio.h>

int main(void)
{
    const double input[6] = {1, 2, 3, 4, 5, 6}, offset[12] = {0}, weight[1] = {2};
    double output[6] = {0};
    cldeform_shape shape = CLDEFORM_INIT(cldeform_shape);
    cldeform_conv2d_problem problem = {
        .struct_size = sizeof problem,
        .batch = 1,
        .in_channels = 1,
        .in_h = 2,
        .in_w = 3,
        .out_channels = 1,
        .kernel_h = 1,
        .kernel_w = 1,
    };
    if (cldeform_conv2d_shape(&problem, CLDEFORM_OUTPUT, &shape) != CLDEFORM_OK || shape.elements != 6)
        return 1;
    if (cldeform_ref_conv2d_forward(&problem, input, offset, NULL, weight, NULL, output) != CLDEFORM_OK)
        return 1;
    /* Refused; but to be linked it needs the whole library, and what that needs. */
    if (cldeform_conv2d_create(NULL, &problem, NULL) != CLDEFORM_INVALID_ARGUMENT)
        return 1;
    for (int i = 0; i < 6; i++)
        if (output[i] != 2 * input[i])
            return 1;
    printf("%d.%d.%d ok\n", cldeform_version() / 10000, cldeform_version() / 100 % 100, cldeform_version() % 100);
    return 0;
}
