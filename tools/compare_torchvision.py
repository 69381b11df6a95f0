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

import argparse
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import torch
    import torchvision
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

LIMITS = {"fp32": 1e-5, "fp64": 1e-11}  # of gradients
OUTPUT_LIMITS = {"fp32": 1e-5, "fp64": 1e-12}
TYPES = {"fp32": np.dtype("<f4"), "fp64": np.dtype("<f8")}


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


def torchvision_results(problem, tensors):
    """The output and, by autograd, the gradients; that of the bias also where the tool is given none."""
    top, left, bottom, right = (int(v) for v in problem["pad"])
    t = {name: torch.from_numpy(value.astype(np.float64)) for name, value in tensors.items()}
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


OF_IMAGES = ("input", "output", "grad_input", "grad_output")  # these have a layout


def tool_results(problem, tensors, names, folder, args):
    """What the tool writes for each of names; tensors are its files."""
    nhwc = problem["layout"] == "nhwc"
    whole = (tensors["offset"] == np.rint(tensors["offset"])).any()
    command = [str(args.tool), "conv2d", "--layout", problem["layout"], "--offset-gradient",
               "open" if whole else problem["offset_gradient"]]
    for name, value in tensors.items():
        path = folder / f"{name}.npy"
        np.save(path, np.ascontiguousarray(value.transpose(0, 2, 3, 1)) if nhwc and name in OF_IMAGES else value)
        command += [f"--{name.replace('_', '-')}", str(path)]
    for name in names:
        command += [f"--{name.replace('_', '-')}", str(folder / f"{name}.npy")]
    for name in ("stride", "pad", "dilation"):
        command += [f"--{name}", ",".join(str(v) for v in problem[name])]
    command += ["--groups", str(problem["groups"]), "--offset-groups", str(problem["offset_groups"])]
    command += ["--device", args.device] if args.device else []
    command += ["--algorithm", args.algorithm] if args.algorithm else []
    command += ["--deterministic"] if args.deterministic else []
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)}\nexit status {run.returncode}: {run.stderr.strip()}")
    results = {name: np.load(folder / f"{name}.npy") for name in names}
    return {name: value.transpose(0, 3, 1, 2) if nhwc and name in OF_IMAGES else value
            for name, value in results.items()}


def largest_error(found, expected):
    """Relative to the largest value expected; infinite where there is a NaN."""
    error = np.abs(found - expected).max() / max(np.abs(expected).max(), np.finfo(np.float32).tiny)
    return float(error) if np.isfinite(error) else float("inf")


def compare(problem, dtype, args):
    """The error of each result, by name."""
    tensors = {name: value.astype(TYPES[dtype]) for name, value in problem["tensors"].items()}
    expected = torchvision_results(problem, tensors)
    with tempfile.TemporaryDirectory() as folder:
        found = tool_results(problem, tensors, list(expected), pathlib.Path(folder), args)
    for name, value in found.items():
        if value.dtype != TYPES[dtype] or value.shape != expected[name].shape:
            sys.exit(f"{name} is {value.dtype} {value.shape}, not {TYPES[dtype]} {expected[name].shape}")
    return {name: largest_error(found[name], expected[name]) for name in found}


def limit(dtype, name):
    return (OUTPUT_LIMITS if name == "output" else LIMITS)[dtype]


def describe(problem):
    tensors = problem["tensors"]
    options = [name for name in ("mask", "bias") if name in tensors]
    return (f"{'x'.join(str(v) for v in tensors['input'].shape)} * {'x'.join(str(v) for v in tensors['weight'].shape)}"
            f" stride {problem['stride']} pad {problem['pad']} dilation {problem['dilation']} groups"
            f" {problem['groups']}/{problem['offset_groups']} {problem['layout']} {' '.join(options)}").rstrip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", type=pathlib.Path, default=pathlib.Path("build/tools/cldeform"), help="the program")
    parser.add_argument("--count", type=int, default=200, help="number of problems (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="of the first problem; problem i has seed + i (default 1)")
    parser.add_argument("--types", default="fp32,fp64", help="default fp32,fp64")
    parser.add_argument("--device", help="passed on to the program")
    parser.add_argument("--algorithm", help="passed on to the program")
    parser.add_argument("--deterministic", action="store_true", help="passed on to the program")
    args = parser.parse_args()

    dtypes = args.types.split(",")
    worst = {dtype: {} for dtype in dtypes}
    mismatches = 0
    for seed in range(args.seed, args.seed + args.count):
        problem = random_problem(np.random.default_rng(seed))
        figures, bad = [], []
        for dtype in dtypes:
            errors = compare(problem, dtype, args)
            for name, error in errors.items():
                worst[dtype][name] = max(worst[dtype].get(name, 0.0), error)
            bad += [f"{dtype} {name} {error:.2e}" for name, error in errors.items() if not error <= limit(dtype, name)]
            figures.append(f"{dtype} {max(errors.values()):.2e}")
        mismatches += bool(bad)
        print(f"seed {seed}: {'  '.join(figures)}  {'MISMATCH ' + ', '.join(bad) + '  ' if bad else ''}"
              f"{describe(problem)}", flush=True)
    print(f"{args.count} problems, {mismatches} mismatches; largest errors relative to the largest value:")
    for dtype in dtypes:
        for name, error in worst[dtype].items():
            print(f"  {dtype} {name}: {error:.2e} (limit {limit(dtype, name):.0e})")
    sys.exit(3 if mismatches else 0)


if __name__ == "__main__":
    main()
