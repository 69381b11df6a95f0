#!/usr/bin/python3
"""Compares `cldeform conv2d` with torchvision.ops.deform_conv2d on random problems, in fp32 and fp64.

Needs Debian's python3-torchvision and a built cldeform. torchvision computes in float64 from the same numbers (rounded
to float32 for the fp32 run), so the error printed is the tool's alone: the largest difference, relative to the largest
value of the expected output. Exit status: 0 all within the limits, 1 the tool failed, 3 a mismatch, 77 no torchvision.
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

LIMITS = {"fp32": 1e-5, "fp64": 1e-12}
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
    return {"stride": stride, "pad": pad, "dilation": dilation, "groups": groups, "offset_groups": offset_groups,
            "layout": str(rng.choice(["nchw", "nhwc"])), "tensors": tensors}


def torchvision_output(problem, tensors):
    top, left, bottom, right = (int(v) for v in problem["pad"])
    t = {name: torch.from_numpy(value.astype(np.float64)) for name, value in tensors.items()}
    # torchvision pads both sides alike; zeros round the image are the same to a sampler that is zero outside.
    padded = torch.nn.functional.pad(t["input"], (left, right, top, bottom))
    return torchvision.ops.deform_conv2d(padded, t["offset"], t["weight"], t.get("bias"),
                                         tuple(int(v) for v in problem["stride"]), 0,
                                         tuple(int(v) for v in problem["dilation"]), t.get("mask")).numpy()


def tool_output(problem, tensors, folder, args):
    nhwc = problem["layout"] == "nhwc"
    command = [str(args.tool), "conv2d", "--layout", problem["layout"], "--output", str(folder / "output.npy")]
    for name, value in tensors.items():
        path = folder / f"{name}.npy"
        np.save(path, np.ascontiguousarray(value.transpose(0, 2, 3, 1)) if nhwc and name == "input" else value)
        command += [f"--{name}", str(path)]
    for name in ("stride", "pad", "dilation"):
        command += [f"--{name}", ",".join(str(v) for v in problem[name])]
    command += ["--groups", str(problem["groups"]), "--offset-groups", str(problem["offset_groups"])]
    command += ["--device", args.device] if args.device else []
    command += ["--algorithm", args.algorithm] if args.algorithm else []
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)}\nexit status {run.returncode}: {run.stderr.strip()}")
    output = np.load(folder / "output.npy")
    return output.transpose(0, 3, 1, 2) if nhwc else output


def describe(problem):
    tensors = problem["tensors"]
    options = [name for name in ("mask", "bias") if name in tensors]
    return (f"{'x'.join(str(v) for v in tensors['input'].shape)} * {'x'.join(str(v) for v in tensors['weight'].shape)}"
            f" stride {problem['stride']} pad {problem['pad']} dilation {problem['dilation']} groups"
            f" {problem['groups']}/{problem['offset_groups']} {problem['layout']} {' '.join(options)}").rstrip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", type=pathlib.Path, default=pathlib.Path("build/tools/cldeform"), help="the program")
    parser.add_argument("--count", type=int, default=50, help="number of problems (default 50)")
    parser.add_argument("--seed", type=int, default=1, help="of the first problem; problem i has seed + i (default 1)")
    parser.add_argument("--types", default="fp32,fp64", help="default fp32,fp64")
    parser.add_argument("--device", help="passed on to the program")
    parser.add_argument("--algorithm", help="passed on to the program")
    args = parser.parse_args()

    worst = {name: 0.0 for name in args.types.split(",")}
    mismatches = 0
    for seed in range(args.seed, args.seed + args.count):
        problem = random_problem(np.random.default_rng(seed))
        errors = {}
        for name in worst:
            tensors = {key: value.astype(TYPES[name]) for key, value in problem["tensors"].items()}
            expected = torchvision_output(problem, tensors)
            with tempfile.TemporaryDirectory() as folder:
                output = tool_output(problem, tensors, pathlib.Path(folder), args)
            if output.dtype != TYPES[name] or output.shape != expected.shape:
                sys.exit(f"seed {seed}: output is {output.dtype} {output.shape}, not {TYPES[name]} {expected.shape}")
            error = np.abs(output - expected).max() / max(np.abs(expected).max(), np.finfo(np.float32).tiny)
            errors[name] = float(error) if np.isfinite(error) else float("inf")
            worst[name] = max(worst[name], errors[name])
        bad = [name for name, error in errors.items() if not error <= LIMITS[name]]
        mismatches += bool(bad)
        figures = "  ".join(f"{name} {error:.2e}" for name, error in errors.items())
        print(f"seed {seed}: {figures}  {'MISMATCH  ' if bad else ''}{describe(problem)}", flush=True)
    limits = ", ".join(f"{name} {error:.2e} (limit {LIMITS[name]:.0e})" for name, error in worst.items())
    print(f"{args.count} problems, {mismatches} mismatches; largest error relative to the largest value: {limits}")
    sys.exit(3 if mismatches else 0)


if __name__ == "__main__":
    main()
