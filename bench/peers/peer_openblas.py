#!/usr/bin/python3
"""The floor: OpenBLAS's sgemm (fp64: dgemm) on the matrix products of a convolution, without any sampling.

Forward is one product for each image and group: in NCHW output[M,N] = weight[M,K] columns[K,N] with M output channels,
N pixels and K input channels times taps, each of one group; in NHWC output[N,M] = columns[N,K] weight[M,K]^T. Backward
is two: the gradient of the columns, and that of the weight. fp16 is timed as sgemm, as fp32 is what it is computed in.
RoI pooling has no product. Needs OpenBLAS (Debian: libopenblas0-pthread) and NumPy.
"""

import ctypes
import os

from common import Peer, main, np, skip
from problems import read_problem
import blas
import reference

try:
    library = blas.load(os.environ.get("OPENBLAS_LIBRARY"))
except OSError as missing:
    skip(missing)


def multiply(transposed, m, n, k, a, b, c):
    """A function that computes c[m,n] = a b, row major; transposed: of a and b, whose shapes are then the other way."""
    name, real = ("cblas_sgemm", ctypes.c_float) if c.dtype == np.float32 else ("cblas_dgemm", ctypes.c_double)
    function = getattr(library, name)
    function.restype = None
    orders = [ctypes.c_int(blas.TRANSPOSE if flag else blas.NO_TRANSPOSE) for flag in transposed]
    lead = [ctypes.c_int(size) for size in (m if transposed[0] else k, k if transposed[1] else n, n)]
    a_at, b_at, c_at = (ctypes.c_void_p(array.ctypes.data) for array in (a, b, c))
    arguments = (ctypes.c_int(blas.ROW_MAJOR), *orders, *(ctypes.c_int(size) for size in (m, n, k)), real(1), a_at,
                 lead[0], b_at, lead[1], real(0), c_at, lead[2])
    return lambda keep=(a, b, c): function(*arguments)


def products(problem, direction, weight, columns, grad_output):
    """What is multiplied for one image and group, as (transposed, m, n, k, a, b, c); the last are new arrays."""
    m, n = problem.out // problem.groups, problem.out_h * problem.out_w
    k = columns.size // n
    new, nchw = (lambda *shape: np.zeros(shape, weight.dtype)), problem.layout == "nchw"
    if direction == "forward" and nchw:
        return [((False, False), m, n, k, weight, columns, new(m, n))]
    if direction == "forward":
        return [((False, True), n, m, k, columns, weight, new(n, m))]
    if nchw:
        return [((True, False), k, n, m, weight, grad_output, new(k, n)),
                ((False, True), m, k, n, grad_output, columns, new(m, k))]
    return [((False, False), n, k, m, grad_output, weight, new(n, k)),
            ((True, False), m, k, n, grad_output, columns, new(m, k))]


class OpenBlas(Peer):
    program, algorithm = "openblas", "gemm"

    def facts(self):
        config = library.openblas_get_config().decode()
        words = config.split()
        return {"version": words[1] if len(words) > 1 else config, "driver": config}

    def refuses(self, problem, direction):
        return None if problem.operation == "conv2d" else "RoI pooling has no matrix product"

    def use_threads(self, threads):
        library.openblas_set_num_threads(threads)

    def prepare(self, problem, direction, data, threads):
        """Each group has arrays of its own, as it has in a network; images take turns on the same ones."""
        p, rng, calls = problem, np.random.default_rng(1), []
        dtype = np.float64 if p.dtype == "fp64" else np.float32
        pixels, terms, m = p.out_h * p.out_w, p.channels // p.groups * p.taps, p.out // p.groups
        for group in range(p.groups):
            weight = np.ascontiguousarray(data["weight"].reshape(p.groups, m, terms)[group], dtype)
            columns = rng.standard_normal((terms, pixels), dtype=dtype)
            grad_output = np.ascontiguousarray(data["grad_output"][0].reshape(p.groups, m, pixels)[group], dtype)
            if p.layout == "nhwc":
                columns, grad_output = (np.ascontiguousarray(array.T) for array in (columns, grad_output))
            calls += [multiply(*product) for product in products(p, direction, weight, columns, grad_output)]

        def call():
            for _ in range(p.batch):
                for one in calls:
                    one()
        return call

    def check(self):
        rng = np.random.default_rng(2)
        for dtype in ("fp32", "fp64"):
            for layout in ("nchw", "nhwc"):
                p = read_problem(f"conv2d:in=6x5x7,out=4,kernel=3x2,groups=2,dtype={dtype},layout={layout}")
                real = np.float32 if dtype == "fp32" else np.float64
                weight = rng.standard_normal((2, 18)).astype(real)
                columns, grad_output = (rng.standard_normal((rows, p.out_h * p.out_w)).astype(real) for rows in (18, 2))
                if layout == "nhwc":
                    columns, grad_output = (np.ascontiguousarray(array.T) for array in (columns, grad_output))
                for direction in ("forward", "backward"):
                    for flags, m, n, k, a, b, c in products(p, direction, weight, columns, grad_output):
                        multiply(flags, m, n, k, a, b, c)()
                        left, right = (array.T if flag else array for flag, array in zip(flags, (a, b)))
                        reference.check(f"{direction} {layout}", c, left.astype(np.float64) @ right.astype(np.float64))


if __name__ == "__main__":
    main(OpenBlas(), __doc__)
