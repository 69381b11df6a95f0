"""Problems of the benchmark as strings, "conv2d:in=128x100x168,out=128,kernel=3,pad=1", and random data for them.

`cldeform bench --list` prints the strings, and "cldeform bench --help" says what they mean. Here they are read; the one
that was read goes into the results as it is, so that rows of different programs belong together.
"""

import re
import types

import numpy as np

DTYPES = {"fp16": np.float16, "fp32": np.float32, "fp64": np.float64}
REQUIRED = object()

# Of each field: its form, and what holds where the string leaves it out. A form is a count of numbers ("2": one number
# is both), "real", or the words there are.
COMMON = {"dtype": (tuple(DTYPES), "fp32"), "offset-dtype": (tuple(DTYPES), None), "layout": (("nchw", "nhwc"), "nchw"),
          "batch": ("1", 1), "in": ("3", REQUIRED)}
ROIS = {"rois": ("1", REQUIRED), "output-size": ("2", REQUIRED), "spatial-scale": ("real", REQUIRED),
        "offset": (("0", "1"), None), "mask": (("0", "1"), "0")}
FIELDS = {
    "conv2d": {**COMMON, "out": ("1", REQUIRED), "kernel": ("2", REQUIRED), "stride": ("2", (1, 1)),
               "pad": ("4", (0, 0, 0, 0)), "dilation": ("2", (1, 1)), "groups": ("1", 1), "offset-groups": ("1", 1),
               "kind": (("deformable", "modulated", "plain"), "deformable")},
    "roi-pool": {**COMMON, **ROIS, "sampling-ratio": ("1", 0), "gamma": ("real", 0.1),
                 "mode": (("align", "max"), "align")},
    "psroi-pool": {**COMMON, **ROIS, "output-dim": ("1", REQUIRED), "group-size": ("1", None), "part-size": ("2", None),
                   "sample-per-part": ("2", (4, 4)), "trans-std": ("real", 0.1), "classes": ("1", 1),
                   "mode": (("deformable", "plain"), "deformable")},
}
MAY_BE_ZERO = ("pad", "sampling-ratio")


class ProblemError(ValueError):
    """A string that is no problem; the text says what is accepted."""


def read_value(name, form, text):
    if isinstance(form, tuple):
        if text not in form:
            raise ProblemError(f'{name} is "{text}", expected one of: {", ".join(form)}')
        return text
    if form == "real":
        if not re.fullmatch(r"\d+(\.\d*)?(e[-+]?\d+)?", text):
            raise ProblemError(f'{name} is "{text}", expected a number')
        return float(text)
    least, most = (0 if name in MAY_BE_ZERO else 1), int(form)
    numbers = [int(part) for part in text.split("x")] if re.fullmatch(r"\d+(x\d+)*", text) else []
    counts = {"1": (1,), "2": (1, 2), "3": (3,), "4": (1, 2, 4)}[form]
    if len(numbers) not in counts or min(numbers) < least:
        raise ProblemError(f'{name} is "{text}", expected {" or ".join(str(n) for n in counts)} whole numbers from '
                           f'{least} on, with x between')
    numbers = numbers * (most // len(numbers)) if form != "3" else numbers
    return numbers[0] if most == 1 else tuple(numbers)


def read_problem(text):
    """A namespace: text, operation, and the fields with "_" for "-"; "in" is channels, in_h and in_w."""
    operation, colon, rest = text.partition(":")
    if operation not in FIELDS or not colon:
        raise ProblemError(f'problem "{text}" begins with none of: {", ".join(name + ":" for name in FIELDS)}')
    known, found = FIELDS[operation], {}
    try:
        for pair in rest.split(","):
            name, equals, value = pair.partition("=")
            if name not in known or not equals:
                raise ProblemError(f'{operation} has no "{pair}", expected FIELD=VALUE with a field of: '
                                   f'{", ".join(known)}')
            if name in found:
                raise ProblemError(f"{name} is given twice")
            found[name] = read_value(name, known[name][0], value)
        for name, (_, default) in known.items():
            if name not in found and default is REQUIRED:
                raise ProblemError(f"{name} is missing")
            found.setdefault(name, default)
    except ProblemError as error:
        raise ProblemError(f'problem "{text}": {error}') from None
    problem = types.SimpleNamespace(text=text, operation=operation,
                                    **{name.replace("-", "_"): value for name, value in found.items() if name != "in"})
    problem.channels, problem.in_h, problem.in_w = found["in"]
    return finish(problem)


def finish(problem):
    """Adds what follows from the fields."""
    problem.offset_dtype = problem.offset_dtype or problem.dtype
    if problem.operation != "conv2d":
        if problem.offset is None:
            problem.offset = "0" if problem.mode in ("max", "plain") else "1"
        return problem
    top, left, bottom, right = problem.pad
    problem.taps = problem.kernel[0] * problem.kernel[1]
    problem.out_h, problem.out_w = (
        (size + before + after - dilation * (kernel - 1) - 1) // stride + 1
        for size, before, after, dilation, kernel, stride in zip(
            (problem.in_h, problem.in_w), (top, left), (bottom, right), problem.dilation, problem.kernel,
            problem.stride))
    for name, count in (("groups", problem.groups), ("offset-groups", problem.offset_groups)):
        if problem.channels % count or (name == "groups" and problem.out % count):
            raise ProblemError(f'problem "{problem.text}": {name} is {count}, expected a divisor of the channels')
    if min(problem.out_h, problem.out_w) < 1:
        raise ProblemError(f'problem "{problem.text}": the output has no pixel')
    return problem


def gflop(problem, direction):
    """Multiplications and additions of the convolution's products, twice as many backward; None for RoIs."""
    if problem.operation != "conv2d":
        return None
    terms = problem.channels // problem.groups * problem.taps
    products = 2e-9 * problem.batch * problem.out * problem.out_h * problem.out_w * terms
    return products if direction == "forward" else 2 * products


# ---- data: the distributions of `cldeform bench`, not its numbers ----


def draw_offsets(rng, offsets, shape):
    if offsets == "zero":
        return np.zeros(shape)
    return rng.uniform(-8, 8, shape) if offsets == "uniform" else rng.standard_normal(shape)


def draw_rois(rng, problem):
    """Boxes with sides of 28 to 448 image pixels that lie inside the image, as rows of image, x1, y1, x2, y2."""
    extent = np.array([problem.in_w, problem.in_h]) / problem.spatial_scale
    size = np.minimum(rng.uniform(28, 448, (problem.rois, 2)), extent)
    corner = rng.uniform(0, 1, (problem.rois, 2)) * (extent - size)
    return np.column_stack([rng.integers(0, problem.batch, problem.rois), corner, corner + size])


def draw(problem, offsets="normal", seed=1):
    """NumPy arrays by name, channels first whatever the layout: input, weight, offset, mask, rois, grad_output; those
    that the problem has."""
    rng = np.random.default_rng(seed)
    p, data = problem, {}
    data["input"] = rng.standard_normal((p.batch, p.channels, p.in_h, p.in_w), dtype=np.float32)
    if p.operation == "conv2d":
        fan_in = p.channels // p.groups * p.taps
        data["weight"] = rng.standard_normal((p.out, p.channels // p.groups, *p.kernel)) / np.sqrt(fan_in)
        if p.kind != "plain":
            data["offset"] = draw_offsets(rng, offsets, (p.batch, 2 * p.offset_groups * p.taps, p.out_h, p.out_w))
        if p.kind == "modulated":
            data["mask"] = rng.random((p.batch, p.offset_groups * p.taps, p.out_h, p.out_w))
        data["grad_output"] = rng.standard_normal((p.batch, p.out, p.out_h, p.out_w), dtype=np.float32)
    else:
        data["rois"] = draw_rois(rng, p)
        channels = p.channels if p.operation == "roi-pool" else p.output_dim
        data["grad_output"] = rng.standard_normal((p.rois, channels, *p.output_size), dtype=np.float32)
    of_offsets = ("offset", "mask")
    return {name: np.ascontiguousarray(value, DTYPES[p.offset_dtype if name in of_offsets else p.dtype])
            for name, value in data.items()}
