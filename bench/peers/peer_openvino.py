#!/usr/bin/env python3
"""OpenVINO's DeformableConvolution (opset 8) on the CPU, fp32: forward alone.

Needs the package openvino, which is not in Debian: python3 -m venv build-venv && build-venv/bin/pip install numpy
openvino.
"""

from common import Peer, main, np, skip
from problems import draw, read_problem
import reference

try:
    import openvino
    from openvino import opset8
except ImportError as missing:
    skip(missing)


def make_model(problem, data):
    """Samples outside the image are zero, as they are for us; the weight is a constant, as it is in a network."""
    p = problem
    values = {name: opset8.parameter(data[name].shape, np.float32, name=name)
              for name in ("input", "offset", "mask") if name in data}
    weight = data["weight"]
    if p.groups > 1 and p.kind == "plain":
        weight = weight.reshape(p.groups, -1, *weight.shape[1:])
    weight = opset8.constant(weight)
    places = (list(p.stride), list(p.pad[:2]), list(p.pad[2:]), list(p.dilation))
    if p.kind == "plain" and p.groups > 1:
        node = opset8.group_convolution(values["input"], weight, *places)
    elif p.kind == "plain":
        node = opset8.convolution(values["input"], weight, *places)
    else:
        node = opset8.deformable_convolution(values["input"], values["offset"], weight, *places,
                                             mask=values.get("mask"), group=p.groups, deformable_group=p.offset_groups,
                                             bilinear_interpolation_pad=True)
    return openvino.Model([node], list(values.values()), "layer"), list(values)


class OpenVino(Peer):
    program = "openvino"

    def __init__(self):
        self.core = openvino.Core()

    def facts(self):
        return {"version": openvino.__version__, "device": self.core.get_property("CPU", "FULL_DEVICE_NAME"),
                "driver": "CPU plugin"}

    def algorithm_of(self, problem):
        return "Convolution" if problem.kind == "plain" else "DeformableConvolution"

    def refuses(self, problem, direction):
        if problem.operation != "conv2d":
            return "is timed on convolution alone"
        if direction == "backward":
            return "has no gradients"
        if problem.dtype != "fp32" or problem.offset_dtype != "fp32":
            return "is timed on fp32 alone"
        return None if problem.layout == "nchw" else "computes NCHW alone"

    def make_run(self, problem, data, threads):
        model, names = make_model(problem, data)
        settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
                    "INFERENCE_PRECISION_HINT": "f32"}  # not bf16, which it takes by itself where it is faster
        request = self.core.compile_model(model, "CPU", settings).create_infer_request()
        for index, name in enumerate(names):
            request.set_input_tensor(index, openvino.Tensor(data[name], shared_memory=True))
        return request, lambda keep=data: request.infer()

    def prepare(self, problem, direction, data, threads):
        return self.make_run(problem, data, threads)[1]

    def check(self):
        problem = read_problem("conv2d:in=6x7x9,out=4,kernel=3x2,stride=2x1,pad=1x0x2x1,dilation=1x2,groups=2,"
                               "offset-groups=3,kind=modulated,batch=2")
        data = draw(problem)
        request, run = self.make_run(problem, data, 1)
        run()
        reference.check("DeformableConvolution", request.get_output_tensor(0).data, reference.conv2d(problem, data))


if __name__ == "__main__":
    main(OpenVino(), __doc__)
