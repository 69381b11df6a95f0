#!/usr/bin/python3
"""Compares `cldeform conv2d` with torchvision.ops.deform_conv2d on random problems, in fp32 and fp64.

Compared are the output and the gradients of input, weight, offset, mask and bias. Needs Debian's python3-torchvision
and a built cldeform. torchvision computes in float64 from the same numbers (rounded to float32 for the fp32 run), its
gradients by autograd, so the errors printed are the tool's alone: the largest difference in a tensor, relative to the
largest value that is expected in it. Exit status: 0 all within the limits, 1 the tool failed, 3 a mismatch, 77 no
torchvision.

Kinks: where a sample lies at a whole position its derivative jumps. Both programs take the right-hand one there, so all
gradients are compared in all problems, also in the one of five whose offsets are all whole. The one place where they
differ is a sample at exactly -1, where torchvision follows what the tool calls --offset-gradient open. That rule is
asked for wherever some offset is a whole number; in the other problems a coin decides between it and the default,
strict, which must then give the same.
"""

import sys

from comparison import np, run, to_torch, torch, torchvision

LIMITS = {"fp32": 1e-5, "fp64": 1e-11}  # of gradients
OUTPUT_LIMITS = {"fp32": 1e-5, "fp64": 1e-12}

command = "conv2d"


def random_problem(rng):
    """Sizes, parameters and tensors; redrawn until the output has at least one pixel."""
    groups, offset_groups = int(rng.choice([1, 1, 2, 3])), int(rng.choice([1, 1, 2, 4]))
    in_channels = int(np.lcm(groups, offset_groups)) * int(rng.choice([1, 2, 3, 4, 40]))
    out_channels = groups * int(rng.integers(1, 9))
    batch = int(rng.choice([1, 2, 3, 5]))
    while True:
        size, kernel = rng.integers(1, 30, 2), rng.integers(1, 6, 2)
        stride, dilation = rng.integers(1, 4, 2), rng.integers(1, 4, 2)
        pad = rng.integers(0, 4, 4)  # top, left, bottom, right
        out = (size + pad[:2] + pad[2:] - dilation * (kernel - 1) - 1) // stride + 1
        if (out > 0).all():
            break
    taps, out_shape = int(kernel.prod()), tuple(int(v) for v in out)
    reach = float(rng.choice([0.5, 2.0, 2.0, 40.0]))
    tensors = {"input": rng.standard_normal((batch, in_channels, *size)),
               "weight": rng.standard_normal((out_channels, in_channels // groups, *kernel)),
               "offset": rng.uniform(-reach, reach, (batch, 2 * offset_groups * taps, *out_shape))}
    if rng.random() < 0.2:
        tensors["offset"] = np.rint(tensors["offset"])
    if reach > 2:  # few samples hit: keep their positions exact in fp32, so that "the largest value" is a fair measure
        tensors["offset"] = np.rint(tensors["offset"] * 4096) / 4096
    if rng.random() < 0.5:
        tensors["mask"] = rng.random((batch, offset_groups * taps, *out_shape))
    if rng.random() < 0.5:
        tensors["bias"] = rng.standard_normal(out_channels)
    tensors["grad_output"] = rng.standard_normal((batch, out_channels, *out_shape))
    return {"stride": stride, "pad": pad, "dilation": dilation, "groups": groups, "offset_groups": offset_groups,
            "layout": str(rng.choice(["nchw", "nhwc"])),
            "offset_gradient": str(rng.choice(["open", "strict"])), "tensors": tensors}


def expected(problem, tensors):
    """The output and, by autograd, the gradients; that of the bias also where the tool is given none."""
    top, left, bottom, right = (int(v) for v in problem["pad"])
    t = to_torch(tensors)
    grad_output = t.pop("grad_output")
    t.setdefault("bias", torch.zeros(t["weight"].shape[0], dtype=torch.float64))
    for value in t.values():
        value.requires_grad_()
    # torchvision pads both sides alike; zeros round the image are the same to a sampler that is zero outside.
    padded = torch.nn.functional.pad(t["input"], (left, right, top, bottom))
    output = torchvision.ops.deform_conv2d(padded, t["offset"], t["weight"], t["bias"],
                                           tuple(int(v) for v in problem["stride"]), 0,
                                           tuple(int(v) for v in problem["dilation"]), t.get("mask"))
    output.backward(grad_output)
    return {"output": output.detach().numpy(), **{f"grad_{name}": value.grad.numpy() for name, value in t.items()}}


def options(problem, tensors):
    whole = (tensors["offset"] == np.rint(tensors["offset"])).any()
    words = ["--offset-gradient", "open" if whole else problem["offset_gradient"]]
    for name in ("stride", "pad", "dilation"):
        words += [f"--{name}", ",".join(str(v) for v in problem[name])]
    return words + ["--groups", str(problem["groups"]), "--offset-groups", str(problem["offset_groups"])]


def limit(dtype, name):
    return (OUTPUT_LIMITS if name == "output" else LIMITS)[dtype]


def describe(problem):
    tensors = problem["tensors"]
    options = [name for name in ("mask", "bias") if name in tensors]
    return (f"{'x'.join(str(v) for v in tensors['input'].shape)} * {'x'.join(str(v) for v in tensors['weight'].shape)}"
            f" stride {problem['stride']} pad {problem['pad']} dilation {problem['dilation']} groups"
            f" {problem['groups']}/{problem['offset_groups']} {problem['layout']} {' '.join(options)}").rstrip()


if __name__ == "__main__":
    run(sys.modules[__name__], __doc__)
