"""What the programs compare_torchvision*.py share: files for the tool, errors, and one line per random problem.

A program hands run() its operator, an object with
  command                   of the tool
  random_problem(rng)       a dictionary: "layout", "tensors" (float64, channels first) and what else it likes
  expected(problem, tensors) results by name, from tensors rounded to the type; gradients are named grad_*
  options(problem, tensors) of the command, beyond files, layout and device
  describe(problem)         in a few words
  limit(dtype, name)        of a result's error
Exit status: 0 all within the limits, 1 the tool failed, 3 a mismatch, 77 no torchvision.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import torch
    import torchvision  # noqa: F401: whoever imports this module needs it
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

TYPES = {"fp32": np.dtype("<f4"), "fp64": np.dtype("<f8")}
OF_IMAGES = ("input", "output", "grad_input", "grad_output")  # these have a layout


def to_torch(tensors):
    return {name: torch.from_numpy(value.astype(np.float64)) for name, value in tensors.items()}


def tool_results(operator, problem, tensors, names, folder, args):
    """What the tool writes for each of names; tensors are its files."""
    nhwc = problem["layout"] == "nhwc"
    command = [str(args.tool), operator.command, "--layout", problem["layout"]]
    for name, value in tensors.items():
        path = folder / f"{name}.npy"
        np.save(path, np.ascontiguousarray(value.transpose(0, 2, 3, 1)) if nhwc and name in OF_IMAGES else value)
        command += [f"--{name.replace('_', '-')}", str(path)]
    for name in names:
        command += [f"--{name.replace('_', '-')}", str(folder / f"{name}.npy")]
    command += operator.options(problem, tensors)
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


def compare(operator, problem, dtype, args):
    """The error of each result, by name."""
    tensors = {name: value.astype(TYPES[dtype]) for name, value in problem["tensors"].items()}
    expected = operator.expected(problem, tensors)
    with tempfile.TemporaryDirectory() as folder:
        found = tool_results(operator, problem, tensors, list(expected), pathlib.Path(folder), args)
    for name, value in found.items():
        if value.dtype != TYPES[dtype] or value.shape != expected[name].shape:
            sys.exit(f"{name} is {value.dtype} {value.shape}, not {TYPES[dtype]} {expected[name].shape}")
    return {name: largest_error(found[name], expected[name]) for name in found}


def run(operator, description):
    """The whole program; description is its help."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
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
        problem = operator.random_problem(np.random.default_rng(seed))
        figures, bad = [], []
        for dtype in dtypes:
            errors = compare(operator, problem, dtype, args)
            for name, error in errors.items():
                worst[dtype][name] = max(worst[dtype].get(name, 0.0), error)
            bad += [f"{dtype} {name} {error:.2e}" for name, error in errors.items()
                    if not error <= operator.limit(dtype, name)]
            figures.append(f"{dtype} {max(errors.values()):.2e}")
        mismatches += bool(bad)
        print(f"seed {seed}: {'  '.join(figures)}  {'MISMATCH ' + ', '.join(bad) + '  ' if bad else ''}"
              f"{operator.describe(problem)}", flush=True)
    print(f"{args.count} problems, {mismatches} mismatches; largest errors relative to the largest value:")
    for dtype in dtypes:
        for name, error in worst[dtype].items():
            print(f"  {dtype} {name}: {error:.2e} (limit {operator.limit(dtype, name):.0e})")
    sys.exit(3 if mismatches else 0)
