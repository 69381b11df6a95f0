#!/usr/bin/env python3
"""onnxruntime's DeformConv (opset 19) on the CPU, and Conv for ordinary convolution: forward alone.

Needs the packages onnxruntime and onnx; neither is in Debian 12: python3 -m venv build-venv &&
build-venv/bin/pip install numpy onnx onnxruntime.
"""

from common import Peer, main, np, skip
from problems import draw, read_problem
import reference

try:
    import onnx
    import onnxruntime
except ImportError as missing:
    skip(missing)

INPUTS = ("input", "weight", "offset", "bias", "mask")  # in the operator's order


def make_model(problem, data):
    """One node, whose weight is a constant, as it is in a network."""
    p, helper = problem, onnx.helper
    kind = onnx.helper.np_dtype_to_tensor_dtype(data["input"].dtype)
    names = [name if name in data else "" for name in INPUTS]
    attributes = {"kernel_shape": p.kernel, "strides": p.stride, "pads": p.pad, "dilations": p.dilation,
                  "group": p.groups}
    if p.kind == "plain":
        node = helper.make_node("Conv", names[:2], ["output"], **attributes)
    else:
        names = names if "mask" in data else names[:3]
        node = helper.make_node("DeformConv", names, ["output"], offset_group=p.offset_groups, **attributes)
    inputs = [helper.make_tensor_value_info(name, kind, data[name].shape)
              for name in ("input", "offset", "mask") if name in data]
    output = helper.make_tensor_value_info("output", kind, (p.batch, p.out, p.out_h, p.out_w))
    weight = onnx.numpy_helper.from_array(data["weight"], "weight")
    graph = helper.make_graph([node], "layer", inputs, [output], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])
    model.ir_version = 9  # that of opset 19: the packages need not be of one age
    return model.SerializeToString()


class OnnxRuntime(Peer):
    program = "onnxruntime"

    def facts(self):
        return {"version": onnxruntime.__version__, "driver": "CPUExecutionProvider"}

    def algorithm_of(self, problem):
        return "Conv" if problem.kind == "plain" else "DeformConv"

    def refuses(self, problem, direction):
        if problem.operation != "conv2d":
            return "has no deformable RoI pooling"
        if direction == "backward":
            return "has no gradients"
        if problem.dtype != "fp32" or problem.offset_dtype != "fp32":
            return "computes fp32 here"
        return None if problem.layout == "nchw" else "computes NCHW alone"

    def make_run(self, problem, data, threads):
        """An output array and a function that fills it: no copies out of the library."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = onnxruntime.InferenceSession(make_model(problem, data), options, providers=["CPUExecutionProvider"])
        binding = session.io_binding()
        output = np.zeros((problem.batch, problem.out, problem.out_h, problem.out_w), np.float32)
        for name in ("input", "offset", "mask"):
            if name in data:
                binding.bind_cpu_input(name, data[name])
        binding.bind_output("output", "cpu", 0, np.float32, output.shape, output.ctypes.data)
        return output, lambda keep=(data, output): session.run_with_iobinding(binding)

    def prepare(self, problem, direction, data, threads):
        return self.make_run(problem, data, threads)[1]

    def check(self):
        problem = read_problem("conv2d:in=6x7x9,out=4,kernel=3x2,stride=2x1,pad=1x0x2x1,dilation=1x2,groups=2,"
                               "offset-groups=3,kind=modulated,batch=2")
        data = draw(problem)
        try:
            output, run = self.make_run(problem, data, 1)
        except Exception as error:  # NotImplemented, in versions whose CPU has no such operator
            skip(f"this onnxruntime ({onnxruntime.__version__}) has no DeformConv on the CPU: "
                 f"{str(error).splitlines()[0]}")
        run()
        reference.check("DeformConv", output, reference.conv2d(problem, data))


if __name__ == "__main__":
    main(OnnxRuntime(), __doc__)
