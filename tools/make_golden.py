#!/usr/bin/python3
"""Makes tests/golden/*.json: small deform_conv2d cases, forward and all gradients, computed by torchvision in float64.

Needs Debian's python3-torchvision. Running it again gives the same bytes: every input is a multiple of a
power of two (value 1/64, mask 1/16, offset 1/1024), so that every product and sum is exact in float64 in any order.
The script holds torchvision to that: direct sums over the definition must give the same bits. Gradients are then
written with seven digits, which keeps the files small and is a hundred times what the tolerance asks for.
"""

import argparse
import itertools
import json
import math
import pathlib

import numpy as np
import torch
import torchvision

SEED = 20240607
# Debian 12's packages, which made the committed files; the numbers being exact, any version must give them.
TOOL = "torchvision 0.14.1 (torch 1.13.1), CPU, float64"
HUGE = float(np.float32(1e30))


def case(name, note, size, kernel, *, batch=1, channels=(2, 3), stride=(1, 1), pad=(0, 0, 0, 0), dilation=(1, 1),
         groups=1, offset_groups=1, mask=False, bias=False, offsets="near", masks="unit"):
    """One row of the table below. size and kernel: (h, w); channels: (in, out); pad: top, left, bottom, right."""
    return dict(locals())


CASES = [
    case("v1_basic", "offsets within two pixels", (5, 6), (3, 3), pad=(1, 1, 1, 1)),
    case("v1_bias_batch2", "two images, bias", (6, 5), (3, 3), batch=2, pad=(1, 1, 1, 1), bias=True),
    case("v2_mask_bias", "mask and bias", (7, 5), (3, 3), pad=(1, 1, 1, 1), mask=True, bias=True),
    case("v2_mask_any_value", "mask with zeros, negative values and values above one", (5, 5), (3, 3),
         pad=(1, 1, 1, 1), mask=True, masks="any"),
    case("v2_groups2_offset_groups3", "groups and offset groups that differ", (5, 4), (3, 3), channels=(6, 4),
         pad=(1, 1, 1, 1), groups=2, offset_groups=3, mask=True, bias=True),
    case("v1_groups3_offset_groups1", "groups with one offset group", (4, 6), (2, 2), channels=(6, 3), groups=3),
    case("v1_depthwise_offset_groups4", "one channel per group and per offset group", (5, 5), (3, 3), channels=(4, 4),
         pad=(1, 1, 1, 1), groups=4, offset_groups=4, bias=True),
    case("v2_asymmetric", "kernel, stride, dilation and the four pads all differ", (8, 7), (2, 3), batch=2,
         stride=(2, 1), pad=(1, 2, 0, 3), dilation=(3, 2), mask=True, bias=True),
    case("v1_asymmetric_stride", "stride larger than the kernel in one direction", (9, 8), (1, 4), stride=(3, 2),
         pad=(0, 1, 0, 1), channels=(3, 2)),
    case("v1_batch5", "five images", (4, 5), (3, 2), batch=5, pad=(1, 0, 1, 0)),
    case("v2_one_pixel", "an input of one pixel", (1, 1), (3, 3), batch=2, channels=(3, 2), pad=(1, 1, 1, 1), mask=True,
         bias=True),
    case("v1_one_row", "an input of one row", (1, 9), (3, 3), pad=(1, 1, 1, 1), dilation=(1, 2)),
    case("v1_kernel_above_input", "a kernel larger than the input without its padding", (2, 3), (5, 4),
         pad=(2, 2, 2, 2)),
    case("v2_pointwise", "a 1x1 kernel", (5, 7), (1, 1), channels=(4, 3), offset_groups=2, mask=True),
    case("v1_far_offsets", "most offsets lead outside the image", (6, 6), (3, 3), pad=(1, 1, 1, 1), offsets="far"),
    case("v2_border_offsets", "samples exactly on pixel centres, on -1, 0, size-1 and size, and just inside those",
         (5, 6), (3, 3), pad=(1, 1, 1, 1), mask=True, bias=True, offsets="border"),
    case("v1_huge_offsets", "one offset in four is 1e4 or 1e30 (as float32), of either sign", (5, 5), (3, 3), batch=2,
         pad=(1, 1, 1, 1), bias=True, offsets="huge"),
]


def multiples(rng, shape, unit, low, high):
    """Random multiples of 1/unit in [low, high]."""
    return rng.randint(round(low * unit), round(high * unit) + 1, size=shape) / unit


def output_size(c):
    return [(c["size"][a] + c["pad"][a] + c["pad"][a + 2] - c["dilation"][a] * (c["kernel"][a] - 1) - 1)
            // c["stride"][a] + 1 for a in (0, 1)]


def grid_position(c, axis, tap, out):
    """Where tap (i or j) of output row or column `out` samples before its offset."""
    return out * c["stride"][axis] - c["pad"][axis] + tap * c["dilation"][axis]


def make_offset(rng, c):
    out_h, out_w = output_size(c)
    kernel_h, kernel_w = c["kernel"]
    shape = (c["batch"], c["offset_groups"], kernel_h * kernel_w, 2, out_h, out_w)
    reach = 3 * max(c["size"]) if c["offsets"] == "far" else 2
    offset = multiples(rng, shape, 1024, -reach, reach)
    if c["offsets"] == "huge":
        huge = rng.choice([1e4, -1e4, HUGE, -HUGE], size=shape)
        offset = np.where(rng.randint(0, 4, size=shape) == 0, huge, offset)
    if c["offsets"] == "border":
        for n, g, k, axis, y, x in itertools.product(*map(range, shape)):
            size = c["size"][axis]
            step = 1 / 1024
            wanted = rng.choice([-1, -1 + step, -step, 0, step, 1, size - 1 - step, size - 1, size - 1 + step,
                                 size - step, size])
            tap = k // kernel_w if axis == 0 else k % kernel_w
            offset[n, g, k, axis, y, x] = wanted - grid_position(c, axis, tap, y if axis == 0 else x)
    return offset.reshape(c["batch"], -1, out_h, out_w)


def make_inputs(rng, c):
    in_channels, out_channels = c["channels"]
    out_h, out_w = output_size(c)
    inputs = {"input": multiples(rng, (c["batch"], in_channels, *c["size"]), 64, -1, 1),
              "weight": multiples(rng, (out_channels, in_channels // c["groups"], *c["kernel"]), 64, -1, 1),
              "offset": make_offset(rng, c)}
    if c["mask"]:
        low, high = (-1, 2) if c["masks"] == "any" else (0, 1)
        mask = multiples(rng, (c["batch"], c["offset_groups"] * math.prod(c["kernel"]), out_h, out_w), 16, low, high)
        if c["masks"] == "any":
            mask[rng.randint(0, 4, size=mask.shape) == 0] = 0
        inputs["mask"] = mask
    if c["bias"]:
        inputs["bias"] = multiples(rng, (out_channels,), 64, -1, 1)
    for name, value in inputs.items():
        assert np.array_equal(value, value.astype(np.float32)), f"{c['name']}: {name} is not exact in float32"
    return inputs


def make_grad_output(rng, c):
    return multiples(rng, (c["batch"], c["channels"][1], *output_size(c)), 64, -1, 1)


def torchvision_results(c, inputs, grad_output):
    """The output, and the gradient of every input."""
    top, left, bottom, right = c["pad"]
    leaves = {name: torch.from_numpy(value).requires_grad_() for name, value in inputs.items()}
    tensors = dict(leaves)
    padding = (top, left)
    if (top, left) != (bottom, right):
        # torchvision pads both sides alike. Zeros round the image change nothing: samples fade to zero there anyway,
        # and its rule for offset gradients is the right-hand slope of the image with zeros all round.
        tensors["input"] = torch.nn.functional.pad(tensors["input"], (left, right, top, bottom))
        padding = (0, 0)
    output = torchvision.ops.deform_conv2d(tensors["input"], tensors["offset"], tensors["weight"], tensors.get("bias"),
                                           c["stride"], padding, c["dilation"], tensors.get("mask"))
    output.backward(torch.from_numpy(grad_output))
    results = {"output": output.detach().numpy()}
    results.update({f"grad_{name}": leaf.grad.numpy() for name, leaf in leaves.items()})
    return results


def padded(image, row, column):
    """The pixels (channels) of an image with zeros all round."""
    height, width = image.shape[1:]
    inside = 0 <= row < height and 0 <= column < width
    return image[:, int(row), int(column)] if inside else np.zeros(image.shape[0])


def sample(image, y, x):
    """Bilinear, zero outside, with its right-hand slopes along y and x; image is (channels, h, w). The fourth result is
    the pixels that it reads, as (row, column, weight)."""
    y0, x0 = math.floor(y), math.floor(x)
    v = {(i, j): padded(image, y0 + i, x0 + j) for i, j in itertools.product((0, 1), (0, 1))}
    across_y, across_x = (1 - (y - y0), y - y0), (1 - (x - x0), x - x0)
    value = sum(across_y[i] * across_x[j] * v[i, j] for i, j in v)
    slope_y = sum(across_x[j] * (v[1, j] - v[0, j]) for j in (0, 1))
    slope_x = sum(across_y[i] * (v[i, 1] - v[i, 0]) for i in (0, 1))
    height, width = image.shape[1:]
    pixels = [(y0 + i, x0 + j, across_y[i] * across_x[j]) for i, j in v if 0 <= y0 + i < height and 0 <= x0 + j < width]
    return value, slope_y, slope_x, pixels


def direct_results(c, inputs, grad_output):
    """The definition, as written: the output and the gradients, by the rule `open`."""
    (in_channels, out_channels), (out_h, out_w), (kernel_h, kernel_w) = c["channels"], output_size(c), c["kernel"]
    taps, groups, offset_groups = kernel_h * kernel_w, c["groups"], c["offset_groups"]
    offset = inputs["offset"].reshape(c["batch"], offset_groups, taps, 2, out_h, out_w)
    mask = inputs.get("mask", np.ones((c["batch"], offset_groups * taps, out_h, out_w)))
    mask = mask.reshape(c["batch"], offset_groups, taps, out_h, out_w)
    weight = inputs["weight"].reshape(groups, out_channels // groups, in_channels // groups, taps)
    output = np.zeros((c["batch"], out_channels, out_h, out_w))
    grad_input, grad_weight = np.zeros_like(inputs["input"]), np.zeros_like(weight)
    grad_offset, grad_mask = np.zeros_like(offset), np.zeros_like(mask)
    for n, y, x in itertools.product(range(c["batch"]), range(out_h), range(out_w)):
        columns = np.zeros((in_channels, taps))
        grad = grad_output[n, :, y, x].reshape(groups, -1)
        grad_columns = np.einsum("goik,go->gik", weight, grad).reshape(in_channels, taps)
        for g, k in itertools.product(range(offset_groups), range(taps)):
            channels = slice(g * in_channels // offset_groups, (g + 1) * in_channels // offset_groups)
            sy = grid_position(c, 0, k // kernel_w, y) + offset[n, g, k, 0, y, x]
            sx = grid_position(c, 1, k % kernel_w, x) + offset[n, g, k, 1, y, x]
            value, slope_y, slope_x, pixels = sample(inputs["input"][n, channels], sy, sx)
            m, grad_column = mask[n, g, k, y, x], grad_columns[channels, k]
            columns[channels, k] = value * m
            grad_offset[n, g, k, :, y, x] = (grad_column @ slope_y) * m, (grad_column @ slope_x) * m
            grad_mask[n, g, k, y, x] = grad_column @ value
            for row, column, share in pixels:
                grad_input[n, channels, row, column] += grad_column * m * share
        columns = columns.reshape(groups, in_channels // groups, taps)
        output[n, :, y, x] = np.einsum("goik,gik->go", weight, columns).reshape(-1)
        grad_weight += np.einsum("go,gik->goik", grad, columns)
    results = {"output": output + inputs.get("bias", np.zeros(out_channels)).reshape(1, -1, 1, 1),
               "grad_input": grad_input, "grad_offset": grad_offset, "grad_mask": grad_mask, "grad_weight": grad_weight,
               "grad_bias": grad_output.sum((0, 2, 3))}
    return {name: value.reshape(inputs[name.removeprefix("grad_")].shape) if name != "output" else value
            for name, value in results.items() if name == "output" or name.removeprefix("grad_") in inputs}


def number_text(value, digits):
    value = float(value) + 0.0  # no minus zero
    return (repr(value) if digits is None else repr(float(f"{value:.{digits}g}"))).removesuffix(".0")


def tensor_text(value, digits=None):
    data = ", ".join(number_text(v, digits) for v in value.reshape(-1))
    return f'{{"shape": {json.dumps(list(value.shape))}, "data": [{data}]}}'


def tensors_text(tensors):
    return "{\n" + ",\n".join(f'  "{name}": {text}' for name, text in tensors.items()) + "\n }"


def case_text(c, inputs, grad_output, results):
    source = {"tool": TOOL, "script": "tools/make_golden.py", "seed": SEED}
    params = {"stride": c["stride"], "pad": c["pad"], "dilation": c["dilation"], "groups": c["groups"],
              "deform_groups": c["offset_groups"], "boundary": "zero", "coordinate_gradient": "open",
              "pad_order": "top,left,bottom,right", "stride_order": "h,w",
              "offset_order": "(y,x) interleaved per kernel tap"}
    given = {name: tensor_text(value) for name, value in {**inputs, "grad_output": grad_output}.items()}
    expected = {name: tensor_text(value, None if name == "output" else 7) for name, value in results.items()}
    rows = [("id", json.dumps("golden_" + c["name"])), ("kind", '"golden"'), ("op", '"deform_conv2d"'),
            ("source", json.dumps(source)), ("origin", json.dumps(c["note"])), ("params", json.dumps(params)),
            ("inputs", tensors_text(given)), ("expected", tensors_text(expected)),
            ("tolerance", json.dumps({"rtol": 1e-5, "atol": 1e-5})),
            ("checked", json.dumps({"model": "direct sum over the definition, exact in float64", "max_abs_err": 0.0}))]
    return "{\n" + ",\n".join(f' "{key}": {text}' for key, text in rows) + "\n}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden"
    parser.add_argument("--output", type=pathlib.Path, default=default, help="folder to write (default tests/golden)")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for index, c in enumerate(CASES):
        rng = np.random.RandomState(SEED + index)  # RandomState: its stream is frozen
        inputs = make_inputs(rng, c)
        grad_output = make_grad_output(rng, c)
        results, direct = torchvision_results(c, inputs, grad_output), direct_results(c, inputs, grad_output)
        assert sorted(results) == sorted(direct)
        for name, value in results.items():
            assert np.array_equal(value, direct[name]), f"{c['name']}: {name} of torchvision and the definition differ"
            assert np.isfinite(value).all() and np.abs(value).max() > (0.5 if name == "output" else 1 / 16)
        text = case_text(c, inputs, grad_output, results)
        json.loads(text, parse_constant=lambda word: (_ for _ in ()).throw(ValueError(word)))
        (folder / f"golden_{c['name']}.json").write_text(text, encoding="ascii")
        print(f"golden_{c['name']}.json: {len(text)} bytes, output {list(results['output'].shape)}")


if __name__ == "__main__":
    main()
