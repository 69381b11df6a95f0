// consumer.c, from C++.
#include <cldeform/cldeform.h>
#include <cldeform/cldeform_ref.h>

#include <iostream>
#include <vector>

int main()
{
    const std::vector<double> input = {1, 2, 3, 4, 5, 6}, offset(12), weight = {2};
    std::vector<double> output(6);
    cldeform_shape shape = {};
    shape.struct_size = sizeof shape;
    cldeform_conv2d_problem problem = {};
    problem.struct_size = sizeof problem;
    problem.batch = problem.in_channels = problem.out_channels = problem.kernel_h = problem.kernel_w = 1;
    problem.in_h = 2;
    problem.in_w = 3;
    if (cldeform_conv2d_shape(&problem, CLDEFORM_OUTPUT, &shape) != CLDEFORM_OK || shape.elements != 6)
        return 1;
    if (cldeform_ref_conv2d_forward(&problem, input.data(), offset.data(), nullptr, weight.data(), nullptr,
                                    output.data()) != CLDEFORM_OK)
        return 1;
    // Refused; but to be linked it needs the whole library, and what that needs.
    if (cldeform_conv2d_create(nullptr, &problem, nullptr) != CLDEFORM_INVALID_ARGUMENT)
        return 1;
    for (int i = 0; i < 6; i++)
        if (output[i] != 2 * input[i])
            return 1;
    const int version = cldeform_version();
    std::cout << version / 10000 << '.' << version / 100 % 100 << '.' << version % 100 << " ok\n";
    return 0;
}
