#!/usr/bin/python3
"""Makes tests/golden/golden_roi_*.json: small RoI pooling cases, forward and gradient of the input, by torchvision.

roi_align (aligned) and roi_pool in float64. Where definitions part they are kept away from: roi_pool rounds scaled
coordinates where this library does not, so its cases have scale 1 and whole coordinates, and no inverted RoI, which it
makes one pixel large. Running it again gives the same bytes: inputs are multiples of a power of two, and
results are written with nine digits, a thousand times what the tolerance asks for.
"""

import argparse
import json
import pathlib

import numpy as np
import torch
import torchvision

from make_golden import SEED, TOOL, multiples, tensor_text, tensors_text

INSIDE = [[0, 2, 1.5, 9.25, 8], [1, 0, 0, 13, 11], [0, 5.5, 3.25, 6.75, 10.5]]
CROSSING = [[0, -4, -3.5, 5, 4.25], [1, 8, 6, 19.5, 16], [1, -6, 2, 20, 7], [0, 3, -9, 5, 30]]
INVERTED = [[0, 6.5, 3, 2.25, 9], [1, 3, 8, 9, 2.5], [1, 9, 9, 3, 2]]  # torchvision fails on them when adaptive
DEGENERATE = [[0, 4, 4, 4, 4], [0, 40, 40, 50, 50], [1, -900, -900, 1000, 1100], [1, 5, 5, 5.125, 5.25]]


def at_position(y, x):
    """A RoI whose one sample of one bin lies there, at scale 0.5."""
    return [0, 2 * x, 2 * y, 2 * x + 2, 2 * y + 2]


STEP = 1 / 64
BORDERS = [at_position(y, x) for y in (-1 - STEP, -1, -0.5, 0, 2.5, 5, 5.5, 6, 6 + STEP)
           for x in (-1 - STEP, -1, -STEP, 0, 3, 6, 6.5, 7, 7 + STEP)]

# name, note, bins, sampling ratio (None: roi_pool), scale, RoIs
CASES = [
    ("align_basic", "two samples a bin, RoIs inside and across every border", (3, 4), 2, 0.5, INSIDE + CROSSING),
    ("align_adaptive", "as many samples as the bin has pixels, rounded up", (2, 3), 0, 0.5, INSIDE + CROSSING),
    ("align_borders", "single samples at, before and beyond -1, 0, size-1 and size", (1, 1), 1, 0.5, BORDERS),
    ("align_degenerate", "empty, outside, huge, tiny; adaptive", (2, 2), 0, 0.5, DEGENERATE),
    ("align_degenerate_ratio", "the same and inverted, with two samples a bin", (2, 2), 2, 0.5, DEGENERATE + INVERTED),
    ("align_many_bins", "bins smaller than a pixel, three samples each", (7, 5), 3, 1.0,
     [[0, 1, 0.5, 4.25, 5], [1, 2, 2, 3, 3.5]]),
    ("max_basic", "RoIs inside and across every border", (2, 3), None, 1.0,
     [[0, 1, 1, 5, 4], [1, -3, -2, 3, 3], [1, 4, 3, 11, 9], [0, 0, 0, 6, 5], [1, 9, 9, 12, 12]]),
    ("max_many_bins", "bins smaller than a pixel", (7, 7), None, 1.0,
     [[0, 1, 1, 4, 3], [1, 5, 0, 5, 0], [1, -2, -2, 1, 9]]),
]


def results_of(image, rois, grad_output, bins, ratio, scale):
    leaf = torch.from_numpy(image).requires_grad_()
    if ratio is None:
        output = torchvision.ops.roi_pool(leaf, torch.from_numpy(rois), bins, scale)
    else:
        output = torchvision.ops.roi_align(leaf, torch.from_numpy(rois), bins, scale, ratio or -1, True)
    output.backward(torch.from_numpy(grad_output))
    return {"output": output.detach().numpy(), "grad_input": leaf.grad.numpy()}


def case_text(name, note, params, inputs, results):
    source = {"tool": TOOL, "script": "tools/make_golden_roi.py", "seed": SEED}
    rows = [("id", json.dumps("golden_roi_" + name)), ("kind", '"golden"'),
            ("op", '"roi_pool_max"' if name.startswith("max") else '"roi_align"'),
            ("source", json.dumps(source)), ("origin", json.dumps(note)), ("params", json.dumps(params)),
            ("inputs", tensors_text({key: tensor_text(value) for key, value in inputs.items()})),
            ("expected", tensors_text({key: tensor_text(value, 9) for key, value in results.items()})),
            ("tolerance", json.dumps({"rtol": 1e-5, "atol": 1e-6}))]
    return "{\n" + ",\n".join(f' "{key}": {text}' for key, text in rows) + "\n}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden"
    parser.add_argument("--output", type=pathlib.Path, default=default, help="folder to write (default tests/golden)")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for index, (name, note, bins, ratio, scale, rows) in enumerate(CASES):
        rng = np.random.RandomState(SEED + 100 + index)  # RandomState: its stream is frozen
        rois = np.array(rows, dtype=np.float64)
        assert np.array_equal(rois, rois.astype(np.float32))
        image = multiples(rng, (2, 2, 6, 7), 64, -1, 1)
        grad_output = multiples(rng, (len(rows), 2, *bins), 64, -1, 1)
        results = results_of(image, rois, grad_output, bins, ratio, scale)
        assert all(np.isfinite(value).all() and np.abs(value).max() > 0.25 for value in results.values())
        params = {"pooled": bins, "spatial_scale": scale, "roi_order": "batch,x1,y1,x2,y2"}
        params |= {"mode": "max"} if ratio is None else {"mode": "avg", "sampling_ratio": ratio, "aligned": True}
        text = case_text(name, note, params, {"input": image, "rois": rois, "grad_output": grad_output}, results)
        json.loads(text, parse_constant=lambda word: (_ for _ in ()).throw(ValueError(word)))
        (folder / f"golden_roi_{name}.json").write_text(text, encoding="ascii")
        print(f"golden_roi_{name}.json: {len(text)} bytes, output {list(results['output'].shape)}")


if __name__ == "__main__":
    main()
