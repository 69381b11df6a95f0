#!/usr/bin/python3
"""Sets bench_roi against torchvision.ops.roi_align (aligned): forward and backward on the same RoIs, in turns.

bench_roi runs 512 RoIs of 28 to 112 image pixels on 256 channels of 200 x 336 pixels at a quarter of the image's size,
into 7 x 7 bins, sampling ratio 2, fp32; its options are taken here too and passed on. Turns, because a machine's speed
changes while it works: each round runs bench_roi, then torchvision, and the table has the median of the rounds' medians
and the least of all. Needs Debian's python3-torchvision. Exit status: 0, 1 bench_roi failed, 77 no torchvision.

With --deformable the offset's gradient is in bench_roi's time, and not in torchvision's, which has no such operator.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time

try:
    import torch
    import torchvision
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

SCALE, LEAST_SIDE, MOST_SIDE = 0.25, 28, 112


def draw_rois(count, size):
    """Those of bench_roi, from the same generator."""
    height, width = (side / SCALE for side in size)
    state, rois = 1, []
    for _ in range(count):
        at = []
        for _ in range(4):
            state = (state * 1664525 + 1013904223) % 2**32
            at.append((state >> 8) / 2**24)
        x, y = at[0] * width, at[1] * height
        half_w, half_h = ((LEAST_SIDE + part * (MOST_SIDE - LEAST_SIDE)) / 2 for part in at[2:])
        rois.append([0, x - half_w, y - half_h, x + half_w, y + half_h])
    return torch.tensor(rois, dtype=torch.float32).reshape(-1, 5)


class Torchvision:
    """The two passes as functions without arguments."""

    def __init__(self, options):
        torch.manual_seed(0)
        self.input = torch.randn(1, options.channels, *options.size, requires_grad=True)
        self.rois = draw_rois(options.rois, options.size)
        self.arguments = (options.bins, SCALE, options.sampling_ratio or -1, True)
        self.output = self.pool(self.input)
        self.grad_output = torch.randn_like(self.output)

    def pool(self, image):
        return torchvision.ops.roi_align(image, self.rois, *self.arguments)

    def forward(self):
        with torch.no_grad():
            self.pool(self.input)

    def backward(self):
        torch.autograd.grad(self.output, self.input, self.grad_output, retain_graph=True)


def measure(call, count):
    """Milliseconds of `count` calls, after one that is not counted."""
    times = []
    for _ in range(count + 1):
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return times[1:]


def run_program(options, arguments):
    """(median, least) in milliseconds for each pass, and the device's name."""
    command = [options.program, "--calls", str(options.calls), *arguments]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        print(f"{' '.join(command)}: exit status {run.returncode}\n{run.stderr.strip()}", file=sys.stderr)
        sys.exit(1)
    found = {name: (float(median), float(least)) for name, median, least in
             re.findall(r"^(forward|backward) +median +([\d.]+) ms +least +([\d.]+) ms", run.stdout, re.M)}
    return found, re.search(r"^device +(.*)$", run.stdout, re.M).group(1)


def pair(text):
    numbers = [int(part) for part in text.split(",")]
    return tuple(numbers * 2 if len(numbers) == 1 else numbers)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--program", default="build/bench/bench_roi")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=5, help="of each pass and program in a round")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of torchvision")
    parser.add_argument("--rois", type=int, default=512)
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--size", type=pair, default=(200, 336))
    parser.add_argument("--bins", type=pair, default=(7, 7))
    parser.add_argument("--sampling-ratio", type=int, default=2, help="0: adaptive")
    options, others = parser.parse_known_args()
    passed = [f"--rois={options.rois}", f"--channels={options.channels}", f"--size={options.size[0]},{options.size[1]}",
              f"--bins={options.bins[0]},{options.bins[1]}", f"--sampling-ratio={options.sampling_ratio}"]
    return options, [word for option in passed for word in option.split("=")] + others


def main():
    options, arguments = parse_arguments()
    torch.set_num_threads(options.threads)
    rival = Torchvision(options)
    ours = {"forward": [], "backward": []}
    theirs = {"forward": [], "backward": []}
    for _ in range(options.rounds):
        found, device = run_program(options, arguments)
        for name, times in ours.items():
            if name in found:
                times.append(found[name])
                took = measure(getattr(rival, name), options.calls)
                theirs[name].append((statistics.median(took), min(took)))
    print(f"cldeform     {device}: bench_roi {' '.join(arguments)}")
    print(f"torchvision  {torchvision.__version__}, torch {torch.__version__}, {options.threads} threads")
    print(f"{options.rounds} rounds of {options.calls} calls; milliseconds\n")
    print(f"{'':9} {'torchvision':>22} {'cldeform':>22}   times as fast")
    print(f"{'':9} {'median':>11}{'least':>11} {'median':>11}{'least':>11} {'median':>9}{'least':>8}")
    for name, times in ours.items():
        if times:
            row = [select(values[i] for values in rows) for rows in (theirs[name], times)
                   for i, select in enumerate((statistics.median, min))]
            print(f"{name:9} {row[0]:11.2f}{row[1]:11.2f} {row[2]:11.2f}{row[3]:11.2f} {row[0] / row[2]:9.2f}"
                  f"{row[1] / row[3]:8.2f}")


if __name__ == "__main__":
    main()
