#!/usr/bin/python3
"""Compares `cldeform roi-pool` with torchvision.ops.roi_align and roi_pool on random problems, in fp32 and fp64.

Compared are the output and the gradients of input and mask. Needs Debian's python3-torchvision and a built cldeform.
torchvision computes in float64 from the same numbers (rounded to float32 for the fp32 run), its gradients by autograd,
so the errors printed are the tool's alone: the largest difference in a tensor, relative to the largest value that is
expected in it. Exit status: 0 all within the limits, 1 the tool failed, 3 a mismatch, 77 no torchvision.

--mode align is roi_align (aligned, average): without offsets, with offsets of 0, and with one offset for all bins of a
RoI, which is a RoI that lies elsewhere. --mode max is roi_pool where their definitions agree: scale 1, whole
coordinates, x2 >= x1 and y2 >= y1. Left out are
  RoIs with a sample (other than one at a whole position), a sample count or an edge of the map within 1e-5 of where the
    tool, which decides these by the position rounded to fp32, and torchvision, which does not, may part;
  inverted RoIs with an adaptive sample count, for which torchvision allocates a vector of negative size;
  RoIs of --mode max whose bins torchvision, which divides first, finds a pixel larger than they are.
"""

import sys

from comparison import np, run, to_torch, torch, torchvision

LIMITS = {"fp32": 1e-5, "fp64": 1e-11}
GAMMA = 0.25
MARGIN = 1e-5

command = "roi-pool"


def away(values):
    """Not near a whole number, unless at one."""
    distance = np.abs(values - np.rint(values))
    return ((distance > MARGIN) | (distance < 1e-12)).all()


def axis_agrees(low, high, scale, ratio, bins, size):
    """Whether torchvision and the tool find the same samples along one axis of a RoI."""
    start, length = low * scale - 0.5, (high - low) * scale
    per_bin = length / bins
    if ratio == 0 and (high < low or not away(per_bin)):
        return False
    count = ratio if ratio > 0 else int(np.ceil(per_bin - 1e-12))
    if ratio == 0 and abs(per_bin - np.rint(per_bin)) < 1e-12 and ((high * scale - 0.5) - start) / bins != count:
        return False  # rounding has made torchvision's count another
    if count == 0:
        return True
    at = start + length * (np.arange(bins)[:, None] + (np.arange(count) + 0.5) / count) / bins
    ends = np.minimum(np.abs(at + 1), np.abs(at - size))
    return away(at) and (ends > MARGIN).all()


def bins_agree(low, high, bins):
    """Whether the bins of roi_pool's RoI are what they are without rounding."""
    length, p = int(high - low) + 1, np.arange(bins)
    per_bin = length / bins
    return ((np.floor(p * per_bin) == p * length // bins).all() and
            (np.ceil((p + 1) * per_bin) == -(-(p + 1) * length // bins)).all())


def random_axis(rng, problem, axis):
    """The low and high coordinate of a RoI, in image pixels; multiples of 1/64, which fp32 holds."""
    extent = problem["size"][axis] / problem["scale"]
    while True:
        length = extent * float(np.exp(rng.normal(-1.2, 1.0)))
        if problem["ratio"] > 0 and rng.random() < 0.1:
            length = -length
        low = rng.uniform(-0.3, 1.1) * extent
        step = 1 if problem["mode"] == "max" or rng.random() < 0.3 else 64
        low, high = np.rint(low * step) / step, np.rint((low + length) * step) / step
        if problem["mode"] == "max":
            if high >= low and bins_agree(low, high, problem["bins"][axis]):
                return low, high, 0.0
            continue
        offset = float(rng.integers(-64, 65)) / 16 if problem["offset"] == "one" else 0.0
        shift = GAMMA * (high - low) * offset
        if all(axis_agrees(low + by, high + by, problem["scale"], problem["ratio"], problem["bins"][axis],
                           problem["size"][axis]) for by in (0.0, shift)):
            return low, high, offset


def random_problem(rng):
    mode = str(rng.choice(["align", "align", "align", "max"]))
    problem = {"mode": mode, "size": tuple(int(v) for v in rng.integers(1, 40, 2)),
               "bins": tuple(int(v) for v in rng.choice([1, 2, 3, 5, 7, 7, 14], 2)),
               "scale": 1.0 if mode == "max" else float(rng.choice([1.0, 0.25, 0.0625, rng.uniform(0.02, 1.5)])),
               "ratio": 0 if mode == "max" else int(rng.choice([0, 0, 1, 2, 3])),
               "offset": "none" if mode == "max" else str(rng.choice(["none", "zero", "one"])),
               "layout": str(rng.choice(["nchw", "nhwc"]))}
    # few numbers of channels: a width of vectors has kernels of its own, which take longer to compile than to run
    batch, channels, count = int(rng.integers(1, 4)), int(rng.choice([1, 3, 40])), int(rng.choice([1, 3, 20]))
    y1, y2, dy = (np.array(v) for v in zip(*[random_axis(rng, problem, 0) for _ in range(count)]))
    x1, x2, dx = (np.array(v) for v in zip(*[random_axis(rng, problem, 1) for _ in range(count)]))
    tensors = {"input": rng.standard_normal((batch, channels, *problem["size"])),
               "rois": np.column_stack([rng.integers(0, batch, count), x1, y1, x2, y2]).astype(np.float64),
               "grad_output": rng.standard_normal((count, channels, *problem["bins"]))}
    if problem["offset"] != "none":  # x before y
        tensors["offset"] = np.ones((count, 2, *problem["bins"])) * np.stack([dx, dy], 1)[:, :, None, None]
    if mode == "align" and rng.random() < 0.5:
        tensors["mask"] = rng.random((count, 1, *problem["bins"]))
    problem["tensors"] = tensors
    return problem


def expected(problem, tensors):
    t = to_torch(tensors)
    rois = t["rois"].clone()
    if "offset" in t:
        size = rois[:, 3:] - rois[:, 1:3]
        shift = GAMMA * size * t["offset"][:, :, 0, 0]
        rois[:, 1:] += torch.cat([shift, shift], 1)
    read = {name: t[name].requires_grad_() for name in ("input", "mask") if name in t}
    if problem["mode"] == "max":
        output = torchvision.ops.roi_pool(t["input"], rois, problem["bins"], problem["scale"])
    else:
        output = torchvision.ops.roi_align(t["input"], rois, problem["bins"], problem["scale"], problem["ratio"],
                                           aligned=True)
    if "mask" in t:
        output = output * t["mask"]
    output.backward(t["grad_output"])
    return {"output": output.detach().numpy(), **{f"grad_{name}": value.grad.numpy() for name, value in read.items()}}


def options(problem, tensors):
    words = ["--mode", problem["mode"], "--output-size", ",".join(str(v) for v in problem["bins"]),
             "--spatial-scale", repr(problem["scale"]), "--sampling-ratio", str(problem["ratio"])]
    return words + (["--gamma", str(GAMMA)] if "offset" in tensors else [])


def limit(dtype, name):
    return LIMITS[dtype]


def describe(problem):
    tensors = problem["tensors"]
    return (f"{problem['mode']} {'x'.join(str(v) for v in tensors['input'].shape)} rois {len(tensors['rois'])} bins"
            f" {problem['bins'][0]}x{problem['bins'][1]} scale {problem['scale']:.4g} ratio {problem['ratio']} offset"
            f" {problem['offset']} {problem['layout']} {'mask' if 'mask' in tensors else ''}").rstrip()


if __name__ == "__main__":
    run(sys.modules[__name__], __doc__)
