"""Deformable convolution and RoIAlign in float64, written down once more: what a peer's own result is held against
before it is timed. Slow, so for small problems only."""

import numpy as np


def sample(image, y, x):
    """image is [channels, height, width]; y and x are positions of any shape: [channels, *shape]. Outside is zero."""
    height, width = image.shape[1:]
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    value = np.zeros((image.shape[0], *y.shape))
    for row, row_weight in ((y0, 1 - (y - y0)), (y0 + 1, y - y0)):
        for column, column_weight in ((x0, 1 - (x - x0)), (x0 + 1, x - x0)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            corner = image[:, np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
            value += np.where(inside, row_weight * column_weight, 0.0) * corner
    return value


def columns(problem, data, image):
    """What the weights are multiplied with: [channels, tap, pixel]."""
    p = problem
    y, x = np.meshgrid(np.arange(p.out_h) * p.stride[0] - p.pad[0], np.arange(p.out_w) * p.stride[1] - p.pad[1],
                       indexing="ij")
    result = np.empty((p.channels, p.taps, p.out_h * p.out_w))
    size = p.channels // p.offset_groups
    for group in range(p.offset_groups):
        for tap in range(p.taps):
            at_y = y + tap // p.kernel[1] * p.dilation[0] + 0.0
            at_x = x + tap % p.kernel[1] * p.dilation[1] + 0.0
            index = group * p.taps + tap
            if "offset" in data:
                at_y = at_y + data["offset"][image, 2 * index]
                at_x = at_x + data["offset"][image, 2 * index + 1]
            channels = slice(group * size, (group + 1) * size)
            value = sample(data["input"][image, channels].astype(np.float64), at_y, at_x)
            if "mask" in data:
                value = value * data["mask"][image, index]
            result[channels, tap] = value.reshape(size, -1)
    return result


def conv2d(problem, data):
    p = problem
    output = np.empty((p.batch, p.out, p.out_h, p.out_w))
    data = {name: value.astype(np.float64) for name, value in data.items()}
    per_group = p.out // p.groups
    for image in range(p.batch):
        found = columns(p, data, image).reshape(p.groups, -1, p.out_h * p.out_w)
        for group in range(p.groups):
            channels = slice(group * per_group, (group + 1) * per_group)
            output[image, channels] = (data["weight"][channels].reshape(per_group, -1) @
                                       found[group]).reshape(per_group, p.out_h, p.out_w)
    return output


def roi_align(problem, data):
    """Aligned: half a pixel is taken off. Samples more than a pixel outside are zero, others move to the border."""
    p = problem
    output = np.empty((p.rois, p.channels, *p.output_size))
    for index, (image, *box) in enumerate(data["rois"].astype(np.float64)):
        x1, y1, x2, y2 = (np.array(box) * p.spatial_scale - 0.5)
        places = []
        for low, high, bins, size in ((y1, y2, p.output_size[0], p.in_h), (x1, x2, p.output_size[1], p.in_w)):
            per_bin = (high - low) / bins
            count = p.sampling_ratio or int(np.ceil(per_bin))
            at = low + per_bin * (np.arange(bins)[:, None] + (np.arange(count) + 0.5) / count).ravel()
            places.append((np.clip(at, 0, size - 1), (at >= -1) & (at <= size), count))
        y, x = np.meshgrid(places[0][0], places[1][0], indexing="ij")
        value = sample(data["input"][int(image)].astype(np.float64), y, x) * np.outer(places[0][1], places[1][1])
        shape = (p.channels, p.output_size[0], places[0][2], p.output_size[1], places[1][2])
        output[index] = value.reshape(shape).mean(axis=(2, 4))
    return output


def check(name, found, expected, limit=1e-4):
    """Raises where they differ by more than `limit` of the largest value expected."""
    error = np.abs(np.asarray(found, np.float64) - expected).max() / np.abs(expected).max()
    if np.shape(found) != np.shape(expected) or not error <= limit:
        raise ArithmeticError(f"{name} differs from the reference by {error:.1e} of the largest value")


def check_gradients(name, forward, data, gradients, grad_output, limit=1e-3):
    """Each gradient against a difference of the float64 function along a random direction, where the sum of
    output * grad_output is what is differentiated. Offsets should keep away from whole positions."""
    rng, step = np.random.default_rng(5), 1e-6
    data = {key: value.astype(np.float64) for key, value in data.items()}
    for key, gradient in gradients.items():
        direction = rng.standard_normal(data[key].shape)
        ends = [float((forward({**data, key: data[key] + sign * step * direction}) * grad_output).sum())
                for sign in (1, -1)]
        expected = (ends[0] - ends[1]) / (2 * step)
        found = float((np.asarray(gradient, np.float64) * direction).sum())
        scale = float(np.abs(gradient).max()) * np.sqrt(direction.size)
        if not abs(found - expected) <= limit * scale:
            raise ArithmeticError(f"{name}: the gradient of {key} is {found:.6g} along a line, not {expected:.6g}")
