#!/usr/bin/python3
"""Runs small problems on Oclgrind, which simulates a device and watches every access of memory.

    test_oclgrind.py --tool CLDEFORM --kernels DIRECTORY PART     PART: a key of PARTS

A case fails where Oclgrind's log says anything (it exits with 0 all the same), where the tool fails, or where a result
is not that of --algorithm reference. Part `planted` shows that each kind of error is found, in copies of a kernel; part
`limits` runs on a device of small work-groups and little local memory. Exit status: 0, 1, 77 no Oclgrind.

Kernels are built with -cl-opt-disable: Oclgrind 21.10 does not know some instructions that LLVM's passes make.
"""

import argparse
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

ICD = "/usr/lib/oclgrind/liboclgrind-rt-icd.so"
SMALL_DEVICE = {"OCLGRIND_MAX_WGSIZE": "64", "OCLGRIND_LOCAL_MEM_SIZE": "16384"}
# As on GPUs, but with the built-in product: CLBlast's kernels are not ours.
GPU = "channel_vector=4 col2im_vector=1 roi_lanes=8 roi_vectors=1 roi_tile_h=4 roi_tile_w=4 gemm_clblast=0"
# Tiles so small that these problems have several of each, and a last one that is not full.
TILES = GPU + " tiled_rows=16 tiled_columns=16 tiled_item_rows=4 tiled_item_columns=4 tiled_depth=4 tiled_table=2 tiled_groups=64"
SORTED = GPU + " col2im=1"
ATOMIC = GPU + " col2im=2"
SCATTERED = GPU + " col2im=0"
# `fused` computes with what is behind the last channel and forgets it, which Oclgrind cannot know: whole vectors there.
CPU = "channel_vector=8 roi_lanes=1 roi_vectors=8 fused_vector=4 col2im_vector=16 gemm_clblast=0 col2im=0"


def write_array(path, shape, values, code="f"):
    header = f"{{'descr': '<f{struct.calcsize(code)}', 'fortran_order': False, 'shape': {tuple(shape)!r}, }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
                     + struct.pack(f"<{len(values)}{code}", *values))


def read_array(path):
    data = path.read_bytes()
    begin = 10 + struct.unpack("<H", data[8:10])[0]
    code = {"2": "e", "4": "f", "8": "d"}[chr(data[data.index(b"'<f") + 3])]
    return struct.unpack(f"<{(len(data) - begin) // struct.calcsize(code)}{code}", data[begin:])


def product(shape):
    result = 1
    for size in shape:
        result *= size
    return result


class Problem:
    """Files of a problem, and the arguments of the tool that name them."""

    def __init__(self, directory, command, code, *options):
        self.directory, self.command, self.code, self.options = directory, command, code, list(options)
        self.outputs, self.random = {}, random.Random(7)

    def add(self, name, shape, low=-1, high=1, values=None):
        path = self.directory / f"{name}.npy"
        if values is None:
            values = [round(self.random.uniform(low, high), 3) for _ in range(product(shape))]
        write_array(path, shape, values, self.code)
        self.options += [f"--{name}", path]

    def ask(self, name):
        self.outputs[name] = self.directory / f"out-{name}.npy"

    def run(self, tool, environment, *more):
        words = [tool, self.command, *self.options, *more]
        for name, path in self.outputs.items():
            words += [f"--{name}", path]
        result = subprocess.run([str(word) for word in words], env={**os.environ, **environment}, capture_output=True,
                                text=True, timeout=300)
        return result.returncode, (result.stdout + result.stderr).strip(), \
            {name: read_array(path) for name, path in self.outputs.items() if path.exists()}


def conv2d(directory, kind="v2", layout="nchw", backward=False, code="f", groups=1, offset_groups=1, channels=6,
           outputs=4, size=5, border="zero", gradient="strict", kernel=(3, 3)):
    """kernel: odd numbers."""
    padding = f"{kernel[0] // 2},{kernel[1] // 2}"
    problem = Problem(directory, "conv2d", code, "--pad", padding, "--layout", layout)
    planes = lambda c: (2, size, size, c) if layout == "nhwc" else (2, c, size, size)
    taps = kernel[0] * kernel[1]
    problem.add("input", planes(channels))
    problem.add("weight", (outputs, channels // groups, *kernel))
    problem.add("bias", (outputs,))
    if kind != "plain":
        problem.add("offset", (2, 2 * offset_groups * taps, size, size), -3, 3)
        problem.options += ["--border", border, "--offset-gradient", gradient]
    if kind == "v2":
        problem.add("mask", (2, offset_groups * taps, size, size), 0, 1)
    problem.ask("output")
    if backward:
        problem.add("grad-output", planes(outputs))
        names = ["input", "weight", "bias"] + (["offset"] if kind != "plain" else []) + (["mask"] if kind == "v2" else [])
        for name in names:
            problem.ask(f"grad-{name}")
    return problem


def roi(directory, command="roi-pool", backward=True, code="f", mode=None, channels=8):
    problem = Problem(directory, command, code, "--output-size", "2", "--spatial-scale", "0.5")
    problem.add("input", (2, channels, 6, 7))
    problem.add("rois", (3, 5), values=[0, 1, 1, 9, 8, 1, 0, 2, 13, 11, 1, 4, 4, 5, 5])
    outputs = channels // 4 if command == "psroi-pool" else channels
    if command == "psroi-pool":
        problem.options += ["--output-dim", str(outputs)]
    if mode:
        problem.options += ["--mode", mode]
    elif command == "roi-pool":
        problem.add("offset", (3, 2, 2, 2), -0.5, 0.5)
    problem.ask("output")
    if backward:
        problem.add("grad-output", (3, outputs, 2, 2))
        problem.ask("grad-input")
        if not mode and command == "roi-pool":
            problem.ask("grad-offset")
    return problem


class Runner:
    def __init__(self, tool, kernels, directory):
        self.tool, self.kernels, self.directory, self.failures, self.cases = tool, kernels, directory, 0, 0

    def simulate(self, problem, tuning, environment=(), algorithm=()):
        """(exit status, what the tool said, its outputs, Oclgrind's log)."""
        log, file = self.directory / "log", self.directory / "tuning"
        log.unlink(missing_ok=True)
        file.write_text(f'"" {tuning}\n')
        status, text, outputs = problem.run(self.tool, {
            "OCL_ICD_VENDORS": ICD, "CLDEFORM_CACHE_DIR": "", "CLDEFORM_TUNING_FILE": str(file), "CLDEFORM_DEVICE": "",
            "OCLGRIND_LOG": str(log), "OCLGRIND_BUILD_OPTIONS": "-cl-opt-disable", "OCLGRIND_DATA_RACES": "1",
            "OCLGRIND_UNINITIALIZED": "1", "OCLGRIND_CHECK_API": "1", "OCLGRIND_MAX_ERRORS": "20", **dict(environment)},
            *algorithm)
        return status, text, outputs, log.read_text(errors="replace") if log.exists() else ""

    def fail(self, name, text):
        self.failures += 1
        print(f"FAILED {name}: {text[:3000]}", flush=True)

    def check(self, name, problem, tuning, algorithm=None, environment=(), may_lack=False):
        """may_lack: the device may be too small, if the tool says so in a line of its own."""
        self.cases += 1
        chosen = ["--algorithm", algorithm] if algorithm else []
        status, text, outputs, log = self.simulate(problem, tuning, environment, chosen)
        if log.strip():
            return self.fail(name, log)
        if status == 1 and may_lack and "did not compile" not in text and "needs" in text:
            print(f"refused {name}: {text}", flush=True)
            return None
        if status != 0:
            return self.fail(name, f"exit status {status}: {text}")
        status, text, expected = problem.run(self.tool, {}, "--algorithm", "reference")
        for tensor, values in expected.items():
            most = 1e-3 if problem.code != "e" else 1e-3 * max(1, *map(abs, values))  # halves are rounded
            worst = max(abs(a - b) if a == a else float("inf") for a, b in zip(outputs[tensor], values))
            if not worst <= most:
                return self.fail(name, f"{tensor} differs by {worst}")
        print(f"ok     {name}", flush=True)
        return None


def run_forward(runner):
    for algorithm, tuning in (("tiled", GPU), ("im2col", SORTED), ("fused", CPU)):
        channels, offset_groups = (8, 2) if algorithm == "fused" else (6, 3)
        for layout in ("nchw", "nhwc"):
            runner.check(f"{algorithm} {layout} v2", conv2d(runner.directory, layout=layout, channels=channels), tuning,
                         algorithm)
        runner.check(f"{algorithm} groups v1 edge",
                     conv2d(runner.directory, "v1", groups=2, offset_groups=offset_groups, border="edge",
                            channels=channels), tuning, algorithm)
        runner.check(f"{algorithm} plain", conv2d(runner.directory, "plain", "nhwc", channels=8), tuning, algorithm)
        runner.check(f"{algorithm} v2 fp64", conv2d(runner.directory, "v2", code="d"), tuning, algorithm)
    for layout, code in (("nchw", "f"), ("nhwc", "e")):
        runner.check(f"tiled, several tiles {layout}", conv2d(runner.directory, "v2", layout, code=code, channels=18, outputs=21,
                                                             kernel=(1, 3)), TILES, "tiled")
    runner.check("tiled, small groups", conv2d(runner.directory, "v2", groups=9, channels=18, outputs=18, kernel=(1, 3)),
                 TILES, "tiled")


def run_backward(runner):
    for layout, code, gradient, groups in (("nhwc", "e", "open", 1), ("nchw", "f", "strict", 9)):
        runner.check(f"tiled, several tiles {layout} {gradient} {groups}",
                     conv2d(runner.directory, "v2", layout, True, code, groups, channels=18, outputs=18 if groups > 1 else 17,
                            gradient=gradient, kernel=(1, 3)), TILES + " col2im=2", "tiled")
    for algorithm, tuning in (("im2col", SORTED), ("im2col", SCATTERED), ("im2col", ATOMIC), ("fused", CPU)):
        how = {SORTED: "sorted", SCATTERED: "scattered", ATOMIC: "atomic", CPU: "cpu"}[tuning]
        for layout in ("nchw", "nhwc"):
            runner.check(f"{algorithm} {how} {layout}", conv2d(runner.directory, "v2", layout, True, groups=2, channels=8,
                                                                kernel=(1, 3)), tuning, algorithm)


def run_roi(runner):
    for name, tuning in (("lanes", GPU), ("cpu", CPU)):
        runner.check(f"align {name}", roi(runner.directory), tuning)
        runner.check(f"max {name}", roi(runner.directory, mode="max"), tuning)
        runner.check(f"ps {name}", roi(runner.directory, "psroi-pool"), tuning)
    runner.check("align fp64", roi(runner.directory, code="d"), GPU)


def run_limits(runner):
    """Work-groups of 64 and 16 KiB of local memory."""
    for algorithm in ("tiled", "im2col", "fused", "auto"):
        for backward in (False, True):
            runner.check(f"{algorithm} {'backward' if backward else 'forward'}",
                         conv2d(runner.directory, "v2", "nhwc", backward), SORTED, algorithm, SMALL_DEVICE, algorithm != "auto")
    runner.check("align", roi(runner.directory), GPU.replace("roi_lanes=8", "roi_lanes=64"), None, SMALL_DEVICE)


# What is planted in kernels of work-groups: kernel, text, what takes its place, and what Oclgrind must say.
PLANTS = {
    "out of bounds": ("conv2d_scan", "sums[item] = total;", "sums[item + SCAN_ITEMS] = total;", "Invalid write"),
    "race": ("conv2d_scan", "sums[item] = total;", "sums[item / 2] = total;", "data race"),
    "uninitialised": ("conv2d_scan", "int before = 0;", "int before; if (item < 0) before = 0;", "Uninitialized"),
    "divergent barrier": ("conv2d_scan", "barrier(CLK_LOCAL_MEM_FENCE);", "if (item % 2) barrier(CLK_LOCAL_MEM_FENCE);",
                          "divergence"),
    "a barrier less": ("conv2d_tiled", "barrier(CLK_LOCAL_MEM_FENCE); /* the table", "/* the table", "Uninitialized"),
    "behind a tile": ("conv2d_tiled", "corners[i] = sample.corners;", "corners[i + n_taps * TILE_COLUMNS] = sample.corners;",
                      "Invalid write"),
}
FAMILIES = {"conv2d_scan": ("conv2d_col2im.cl", "im2col", SORTED), "conv2d_tiled": ("conv2d_tiled.cl", "tiled", TILES)}


def run_planted(runner):
    copy = runner.directory / "kernels"
    copy.mkdir()
    for file in runner.kernels.iterdir():
        if file.suffix in (".cl", ".clh"):
            (copy / file.name).write_text(file.read_text())
    for name, (kernel, old, new, said) in PLANTS.items():
        runner.cases += 1
        file, algorithm, tuning = FAMILIES[kernel]
        text = (runner.kernels / file).read_text()
        begin = re.search(rf"__kernel [^;{{]*\b{kernel}\(", text).start()
        if old not in text[begin:]:
            runner.fail(name, f"{kernel} has no \"{old}\" to change: name another place in PLANTS")
            continue
        (copy / file).write_text(text[:begin] + text[begin:].replace(old, new, 1))
        _, _, _, log = runner.simulate(conv2d(runner.directory, "v1", backward=algorithm == "im2col",
                                              outputs=4 if algorithm == "im2col" else 17), tuning,
                                       {"CLDEFORM_KERNEL_DIR": str(copy)}, ["--algorithm", algorithm])
        (copy / file).write_text(text)
        if said.lower() not in log.lower():
            runner.fail(name, f"Oclgrind did not say \"{said}\" but: {log}")
        else:
            print(f"found  {name}", flush=True)


PARTS = {"forward": run_forward, "backward": run_backward, "roi": run_roi, "limits": run_limits, "planted": run_planted}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tool", required=True, type=Path)
    parser.add_argument("--kernels", required=True, type=Path)
    parser.add_argument("part", choices=PARTS)
    arguments = parser.parse_args()
    if not Path(ICD).exists():
        print("Oclgrind is not installed")
        return 77
    with tempfile.TemporaryDirectory() as directory:
        runner = Runner(arguments.tool, arguments.kernels, Path(directory))
        PARTS[arguments.part](runner)
    print(f"{runner.cases} cases, {runner.failures} failed")
    return 1 if runner.failures else 0


if __name__ == "__main__":
    sys.exit(main())
