#!/usr/bin/python3
"""torchvision's deform_conv2d, and its roi_align, roi_pool and ps_roi_pool where those are the same operator; torch's
conv2d for ordinary convolution. Gradients by autograd: all that the problem has.

Needs torchvision (Debian: python3-torchvision). torch multiplies its matrices with the BLAS that is installed: with
Debian's reference BLAS that is slow, so install libopenblas0-pthread; the result file's "driver" says which it was.

--device cuda: the same operators on an NVIDIA GPU, fp32 without TF32. A block of calls is timed up to the end of the
last on the device, by the wall clock and by CUDA events.
"""

import os
import sys
import time

from common import Peer, main, skip
from problems import draw, read_problem
import blas
import reference

try:
    import torch
    import torchvision
except ImportError as missing:
    skip(missing)


class Torchvision(Peer):
    program = "torchvision"
    devices = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)

    def facts(self):
        if self.device == "cuda":
            return {"version": torchvision.__version__, "platform": f"torch {torch.__version__}", "threads": None,
                    "device": torch.cuda.get_device_name(), "driver": f"CUDA {torch.version.cuda}, fp32 without TF32"}
        return {"version": torchvision.__version__, "platform": f"torch {torch.__version__}",
                "driver": os.path.basename(os.path.realpath(blas.loaded_blas() or "BLAS of its own"))}

    def algorithm_of(self, problem):
        if problem.operation == "conv2d":
            return "conv2d" if problem.kind == "plain" else "deform_conv2d"
        return {"align": "roi_align", "max": "roi_pool", "plain": "ps_roi_pool"}.get(problem.mode, problem.mode)

    def refuses(self, problem, direction):
        p = problem
        if p.dtype == "fp16" or p.offset_dtype != p.dtype:
            return "computes fp32 and fp64 alone, offsets alike"
        if p.layout != "nchw":
            return "computes NCHW alone"
        if p.operation == "conv2d":
            return None if p.pad[:2] == p.pad[2:] else "pads opposite sides alike"
        if p.offset == "1" or p.mask == "1" or (p.operation == "psroi-pool" and p.mode == "deformable"):
            return "has no deformable RoI pooling"
        if p.operation == "psroi-pool" and p.output_size != (p.group_size or p.output_size[0],) * 2:
            return "has as many groups as bins"
        return None

    def tensors(self, data):
        """By name, on the device."""
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        return {name: torch.from_numpy(value).to(self.device) for name, value in data.items()}

    def run_block(self, call, calls):
        if self.device != "cuda":
            return super().run_block(call, calls)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start = time.perf_counter()
        begin.record()
        for _ in range(calls):
            call()
        end.record()
        torch.cuda.synchronize()
        return time.perf_counter() - start, 1e-3 * begin.elapsed_time(end)

    def use_threads(self, threads):
        torch.set_num_threads(threads)
        blas.set_threads_of_loaded(threads)

    def run(self, problem, tensors):
        """The output, of tensors by name."""
        p, t = problem, tensors
        if p.operation == "conv2d" and p.kind == "plain":
            return torch.nn.functional.conv2d(t["input"], t["weight"], None, p.stride, p.pad[:2], p.dilation, p.groups)
        if p.operation == "conv2d":
            return torchvision.ops.deform_conv2d(t["input"], t["offset"], t["weight"], None, p.stride, p.pad[:2],
                                                 p.dilation, t.get("mask"))
        if p.operation == "psroi-pool":
            return torchvision.ops.ps_roi_pool(t["input"], t["rois"], p.output_size, p.spatial_scale)
        if p.mode == "max":
            return torchvision.ops.roi_pool(t["input"], t["rois"], p.output_size, p.spatial_scale)
        return torchvision.ops.roi_align(t["input"], t["rois"], p.output_size, p.spatial_scale, p.sampling_ratio or -1,
                                         aligned=True)

    def gradients(self, problem, data):
        """A function that returns them by name, from a forward pass that is done once."""
        tensors = self.tensors(data)
        read = [name for name in ("input", "weight", "offset", "mask") if name in tensors]
        for name in read:
            tensors[name].requires_grad_()
        output, grad_output = self.run(problem, tensors), tensors["grad_output"]
        inputs = [tensors[name] for name in read]
        return lambda: dict(zip(read, torch.autograd.grad(output, inputs, grad_output, retain_graph=True)))

    def prepare(self, problem, direction, data, threads):
        self.use_threads(threads)
        if direction == "backward":
            return self.gradients(problem, data)
        tensors = self.tensors(data)

        def call():
            with torch.no_grad():
                self.run(problem, tensors)
        return call

    def check(self):
        """RoI pooling by roi_align alone: the others have no counterpart in reference.py."""
        for text in ("conv2d:in=6x7x9,out=4,kernel=3x2,stride=2x1,pad=1,dilation=1x2,groups=2,offset-groups=3,"
                     "kind=modulated,batch=2,dtype=fp64", "conv2d:in=4x6x5,out=3,kernel=3,pad=1,dtype=fp64",
                     "roi-pool:in=3x40x30,rois=5,output-size=3x2,spatial-scale=0.0625,offset=0,dtype=fp64"):
            problem = read_problem(text)
            data = draw(problem)
            forward = reference.conv2d if problem.operation == "conv2d" else reference.roi_align
            output = self.run(problem, self.tensors(data))
            reference.check(self.algorithm_of(problem), output.cpu().numpy(), forward(problem, data), 1e-9)
            found = {name: value.cpu().numpy() for name, value in self.gradients(problem, data)().items()}
            reference.check_gradients(self.algorithm_of(problem), lambda values: forward(problem, values), data, found,
                                      data["grad_output"])


if __name__ == "__main__":
    peer = Torchvision()
    if "cuda" not in sys.argv and blas.loaded_blas() and not blas.is_openblas(blas.loaded_blas()):
        print("torch's matrix products are not OpenBLAS's here, so its times are not its best (Debian: "
              "libopenblas0-pthread)", file=sys.stderr)
    main(peer, __doc__)
