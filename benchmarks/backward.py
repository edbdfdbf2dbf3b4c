"""What share of the processor's multiply-add peak the backward kernels reach, through real plans.

python benchmarks/backward.py [part of a name]

The peak is measured in the same run, as in kernels.py. Inputs lie where their producers put them in a training step: in
buffers with the halo that the op wants. All that the op does then counts: packing of weights, phases, sums of chunks. Weights
are inputs, as a step changes them. Small ops are computed many times in one plan, and their share of it counts. Figures are
the best of 30 runs; a pool's are GB/s of what it must read and write.
"""
import sys
import time

import numpy as np
from kernels import peaks

from graphnet.backends.cpu import driver  # it imports all kernel files, which register their lowerings
from graphnet.backends.cpu.kernels.convolution import required_halo
from graphnet.backends.cpu.lowering import lowering_of
from graphnet.backends.cpu.plan import Builder
from graphnet.graph import Spec
from graphnet.ops.convolution import (
    Conv,
    ConvGradInput,
    ConvGradKernel,
    ConvTranspose,
    DepthwiseConv,
    DepthwiseConvGradInput,
    DepthwiseConvGradKernel,
)
from graphnet.ops.linalg import MatMul
from graphnet.ops.pooling import AveragePool, AveragePoolGrad, MaxPool, MaxPoolGrad

RUNS = 30
FAST = 3e7  # multiply-adds from which a single run is long enough to be timed


def taken(op, shapes, threads, repeats):
    """The time of a plan that computes an op so often, from inputs that have the halo that it wants."""
    rng = np.random.default_rng(0)
    values = [rng.random(shape, dtype="float32") - np.float32(0.5) for shape in shapes]
    builder = Builder(threads=threads)
    inputs = [builder.input(shape) for shape in shapes]
    halo = required_halo(op, *shapes[:2]) if len(shapes) == 2 else None
    given = list(inputs)
    if halo is not None:
        given[0] = builder.temporary(shapes[0], halo=halo)
        builder.copy(inputs[0], given[0])
    result = builder.output(op.infer(*[Spec(shape, "float32") for shape in shapes]).shape)
    for _ in range(repeats):
        assert lowering_of(op)(op, given, [result], builder) is not False, f"no kernel for {op}"
    instance = builder.finish().instantiate(threads)
    y, found = np.zeros(result.shape, "float32"), []
    for _ in range(RUNS):
        start = time.perf_counter()
        instance.run(values, [y])
        found.append(time.perf_counter() - start)
    return min(found)


def seconds(op, shapes, threads, work):
    """The time that an op takes in a plan: what a plan that computes it often takes more than one that computes it once."""
    more = max(1, min(100, int(FAST / work)))
    return (taken(op, shapes, threads, 1 + more) - taken(op, shapes, threads, 1)) / more


def convolution(name, x, kernel, *geometry):
    """(name, op, shapes, multiply-adds) of both gradients of a convolution."""
    op = Conv(*geometry)
    y = op.infer(Spec(x, "float32"), Spec(kernel, "float32")).shape
    work = int(np.prod(y)) * int(np.prod(kernel[:-1]))
    yield f"{name}, kernel", ConvGradKernel(kernel[:-2], *op.geometry), (x, y), work
    if x[-1] > 3:
        yield f"{name}, input", ConvGradInput(x[1:-1], *op.geometry), (y, kernel), work


def depthwise(name, x, kernel, *geometry):
    op = DepthwiseConv(*geometry)
    y = op.infer(Spec(x, "float32"), Spec(kernel, "float32")).shape
    work = int(np.prod(y)) * int(np.prod(kernel[:-2]))
    yield f"{name}, forward", op, (x, kernel), work
    yield f"{name}, kernel", DepthwiseConvGradKernel(kernel[:-2], *geometry), (x, y), work
    yield f"{name}, input", DepthwiseConvGradInput(x[1:-1], *geometry), (y, kernel), work


def dense(name, rows, inner, columns):
    work = rows * inner * columns
    yield f"{name}, forward", MatMul(), ((rows, inner), (inner, columns)), work
    yield f"{name}, kernel", MatMul(True, False), ((rows, inner), (rows, columns)), work
    yield f"{name}, input", MatMul(False, True), ((rows, columns), (inner, columns)), work


SAME, VALID, HALVED = ((1, 1), "same", (1, 1)), ((1, 1), "valid", (1, 1)), ((2, 2), "same", (1, 1))
CASES = [
    *convolution("3x3, 32 x 32, 3 -> 32", (32, 32, 32, 3), (3, 3, 3, 32), *VALID),
    *convolution("3x3, 30 x 30, 32 -> 64", (32, 30, 30, 32), (3, 3, 32, 64), *VALID),
    *convolution("3x3, 9 x 9, 64 -> 64", (32, 9, 9, 64), (3, 3, 64, 64), *SAME),
    *convolution("3x3, 14 x 14, 256 -> 256", (8, 14, 14, 256), (3, 3, 256, 256), *SAME),
    *convolution("3x3, 7 x 7, 512 -> 512", (8, 7, 7, 512), (3, 3, 512, 512), *SAME),
    *convolution("3x3 stride 2, 96 x 96, 3 -> 32", (32, 96, 96, 3), (3, 3, 3, 32), *HALVED),
    *convolution("3x3 stride 2, 28 x 28, 64 -> 128", (8, 28, 28, 64), (3, 3, 64, 128), *HALVED),
    *convolution("1x1, 48 x 48, 32 -> 16", (32, 48, 48, 32), (1, 1, 32, 16), *SAME),
    *convolution("1x1, 24 x 24, 24 -> 144", (32, 24, 24, 24), (1, 1, 24, 144), *SAME),
    *convolution("1x1, 24 x 24, 144 -> 24", (32, 24, 24, 144), (1, 1, 144, 24), *SAME),
    *convolution("1x1, 6 x 6, 96 -> 576", (32, 6, 6, 96), (1, 1, 96, 576), *SAME),
    *convolution("1x1, 3 x 3, 960 -> 320", (32, 3, 3, 960), (1, 1, 960, 320), *SAME),
    *convolution("3x3, 28 x 28, 1 -> 16", (32, 28, 28, 1), (3, 3, 1, 16), *VALID),
    *convolution("3x3, 26 x 26, 16 -> 32", (32, 26, 26, 16), (3, 3, 16, 32), *VALID),
    *dense("dense 784 -> 64, batch 32", 32, 784, 64),
    *dense("dense 64 -> 64, batch 32", 32, 64, 64),
    *dense("dense 64 -> 10, batch 32", 32, 64, 10),
    *dense("dense 2048 -> 1000, batch 32", 32, 2048, 1000),
    *dense("dense 256 -> 1024, 2048 rows", 2048, 256, 1024),
    ("transposed 3x3, 26 x 26, 32 -> 16", ConvTranspose(), ((32, 26, 26, 32), (3, 3, 16, 32)), 32 * 26 * 26 * 9 * 512),
    ("transposed 3x3, 28 x 28, 16 -> 1", ConvTranspose(), ((32, 28, 28, 16), (3, 3, 1, 16)), 32 * 28 * 28 * 9 * 16),
    *depthwise("depthwise 3x3, 48 x 48, 32", (32, 48, 48, 32), (3, 3, 32, 1), (1, 1), "same", (1, 1)),
    *depthwise("depthwise 3x3 stride 2, 48 x 48, 96", (32, 48, 48, 96), (3, 3, 96, 1), (2, 2), "same", (1, 1)),
    *depthwise("depthwise 3x3, 24 x 24, 144", (32, 24, 24, 144), (3, 3, 144, 1), (1, 1), "same", (1, 1)),
    *depthwise("depthwise 3x3, 6 x 6, 576", (32, 6, 6, 576), (3, 3, 576, 1), (1, 1), "same", (1, 1)),
    *depthwise("depthwise 3x3, 3 x 3, 960", (32, 3, 3, 960), (3, 3, 960, 1), (1, 1), "same", (1, 1)),
    *depthwise("depthwise 5x5, 24 x 24, 144", (32, 24, 24, 144), (5, 5, 144, 1), (1, 1), "same", (1, 1)),
]


def pools():
    """(name, op, shapes, bytes) of gradients of pools."""
    for name, size, strides, padding, x in (
            ("2x2, 24 x 24, 64", (2, 2), (2, 2), "valid", (32, 24, 24, 64)),
            ("3x3 stride 3, 28 x 28, 64", (3, 3), (3, 3), "valid", (32, 28, 28, 64)),
            ("3x3 stride 2, 56 x 56, 64", (3, 3), (2, 2), "same", (8, 56, 56, 64))):
        y = MaxPool(size, strides, padding).infer(Spec(x, "float32")).shape
        read = 4 * int(np.prod(x)), 4 * int(np.prod(y))
        yield f"max {name}, forward", MaxPool(size, strides, padding), (x,), read[0] + read[1]
        yield f"max {name}, gradient", MaxPoolGrad(size, strides, padding), (x, y, y), 2 * read[0] + 2 * read[1]
        yield f"mean {name}, forward", AveragePool(size, strides, padding), (x,), read[0] + read[1]
        yield f"mean {name}, gradient", AveragePoolGrad(x[1:-1], size, strides, padding), (y,), read[0] + read[1]


def main():
    assert driver.lower_graph
    chosen = sys.argv[1] if len(sys.argv) > 1 else ""
    before = peaks()
    print(f"peak, GFLOP/s: one thread {before[0]:.0f}, two threads {before[1]:.0f}")
    print(f"{'':44}{'one thread':>18}{'two threads':>20}")
    for name, op, shapes, work in CASES:
        if chosen in name:
            rates = [2e-9 * work / seconds(op, shapes, threads, work) for threads in (1, 2)]
            print(f"{name:44}{rates[0]:10.0f} {rates[0] / before[0]:6.0%}{rates[1]:13.0f} {rates[1] / before[1]:6.0%}")
    for name, op, shapes, moved in pools():
        if chosen in name:
            print(f"{name:44}" + "".join(f"{1e-9 * moved / seconds(op, shapes, threads, moved):{width}.1f} GB/s"
                                         for threads, width in ((1, 13), (2, 15))))


if __name__ == "__main__":
    main()
