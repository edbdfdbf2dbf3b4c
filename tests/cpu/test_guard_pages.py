"""Every op's kernels, at its samples and at odd extents, between pages that may not be touched, against float64.

Each operand lies at the end of its pages, and once at their beginning; with 1, 2, 3 and 8 threads the bytes are the same.
`test_avx2.py` runs this file once more, in a process that is restricted to AVX2.
"""
import math
import sys

import numpy as np
import pytest
from lowered import close, guarded

from graphnet.backends.cpu.lowering import lowering_of
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES
from graphnet.backends.cpu.tiles import HALF, WIDTH
from graphnet.backends.cpu.warm import everything
from graphnet.graph import Spec
from graphnet.op import OPS
from graphnet.ops.attention import Attend
from graphnet.ops.convolution import (
    Conv,
    ConvGradInput,
    ConvGradKernel,
    ConvTranspose,
    DepthwiseConv,
    DepthwiseConvGradInput,
    DepthwiseConvGradKernel,
)
from graphnet.ops.elementwise import Add, Exp
from graphnet.ops.linalg import MatMul
from graphnet.ops.moments import Moments
from graphnet.ops.pooling import AveragePool, MaxPool, MaxPoolGrad
from graphnet.ops.reduction import Argmax, Max, Mean, Sum
from graphnet.ops.scaling import Normalize, Softmax
from graphnet.passes.fuse_bottleneck import Bottleneck
from graphnet.passes.fuse_separable import Separable

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="mprotect, which guards pages, is not there on Windows")
TOLERANCE = 1e-5  # of the largest output
ODD = (1, LANES - 1, LANES + 1, 2 * LANES + 7)


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def convolutions(channels, filters):
    """Forward, transposed and backward, by each way that these extents may take."""
    x, w = random(2, 7, 9, channels), random(3, 3, channels, filters, seed=1)
    for strides, padding in (((1, 1), "valid"), ((1, 1), "same"), ((2, 3), "same")):
        op = Conv(strides, padding)
        g = random(*op.infer(*[Spec(v.shape, "float32") for v in (x, w)]).shape, seed=2)
        yield op, [x, w]
        yield ConvGradInput((7, 9), strides, padding), [g, w]
        yield ConvGradKernel((3, 3), strides, padding), [x, g]
        yield ConvTranspose(strides, padding), [x, w.swapaxes(2, 3)]
    yield Conv((1, 1), "valid"), [x, w[:1, :1]]


def depthwise(channels):
    x, w = random(2, 7, 9, channels), random(3, 3, channels, 1, seed=1)
    for strides, padding in (((1, 1), "same"), ((2, 2), "valid")):
        op = DepthwiseConv(strides, padding)
        g = random(*op.infer(*[Spec(v.shape, "float32") for v in (x, w)]).shape, seed=2)
        yield op, [x, w]
        yield DepthwiseConvGradInput((7, 9), strides, padding), [g, w]
        yield DepthwiseConvGradKernel((3, 3), strides, padding), [x, g]


def stretches(channels):
    """Convolutions that run line by line, whose weights have to be constants."""
    for strides in ((1, 1), (2, 2)):
        after = Separable(DepthwiseConv(strides, "same"), 2, Conv())
        windows = [random(3, 3, channels, 1, seed=1), random(1, 1, channels, 7, seed=2)]
        yield after, [random(2, 9, 13, channels), *windows]
        yield Bottleneck(Conv(), 2, after), [random(2, 9, 13, 5), random(1, 1, 5, channels, seed=3), *windows]


def others(extent):
    """Kernels that go along an axis of this extent."""
    x = random(3, 5, extent)
    yield Add(), [x, random(extent, seed=1)]
    yield Exp(), [x]
    yield from ((op(axes), [x]) for op in (Sum, Max, Mean, Moments) for axes in ((0, 1), (2,)))
    yield from ((op, [x]) for op in (Argmax(2), Softmax(2), Softmax(1), Normalize((2,)), Normalize((1,))))
    image = random(2, 7, 5, extent)
    for op in (MaxPool((3, 2), (2, 2), "same"), AveragePool((3, 3), (1, 1), "valid")):
        yield op, [image]
    pool = MaxPool((2, 2), (2, 2), "valid")
    yield MaxPoolGrad(pool.size, pool.strides, pool.padding), [image, pool.reference(image), random(2, 3, 2, extent, seed=1)]


def extents():
    """Ops and their inputs: each extent 1, and a vector or a tile with one element less or some more."""
    for n in ODD:
        yield from others(n)
        yield from depthwise(n)
        yield from stretches(n)
        for rows, columns in ((1, n), (13, WIDTH + 5), (5, HALF - 1), (1, 1)):
            for a, b in ((False, False), (True, False), (False, True)):
                yield MatMul(a, b), [random(2, *((n, rows) if a else (rows, n))), random(2, *((columns, n) if b else (n, columns)), seed=1)]
        heads = [random(1, 2, 11, n), random(1, 2, n, n, seed=1), random(1, 2, n, 7, seed=2)]
        yield Attend(0.3), heads
        yield Attend(0.3), [*heads, random(1, 1, 11, n, seed=3) > 0]
        yield Attend(0.3), [*heads, random(1, 2, 1, n, seed=3)]
    for channels, filters in ((1, 1), (3, HALF + 1), (LANES + 1, 1), (LANES - 1, WIDTH + 3), (2 * LANES, 2 * LANES + 7)):
        yield from convolutions(channels, filters)


def cases():
    """Samples of ops that have a kernel, and odd extents; of what is empty no kernel is asked."""
    everything()
    sampled = [sample for _, kind in sorted(OPS.items()) if lowering_of(kind.__new__(kind)) is not None for sample in kind.samples()]
    for i, (op, arrays) in enumerate([*sampled, *extents()]):
        if all(a.size for a in arrays) and any(math.prod(spec.shape) for spec in specs_of(op, arrays)):
            yield pytest.param(op, arrays, id=f"{type(op).__name__}-{i}")


def specs_of(op, arrays):
    """Those of the outputs."""
    inferred = op.infer(*[Spec(a.shape, a.dtype.name) for a in arrays])
    return inferred if isinstance(inferred, tuple) else (inferred,)


def computed(op, arrays, specs, threads, at_end):
    """The outputs by so many threads, each task claimed on its own; None where there is no kernel."""
    builder, fixed = Builder(threads=threads), arrays[1:] if isinstance(op, Separable | Bottleneck) else []
    given = [guarded(a, at_end) for a in arrays[:len(arrays) - len(fixed)]]
    operands = [builder.input(a.shape, a.dtype.name) for a in given] + [builder.constant(a) for a in fixed]
    outputs = [builder.output(spec.shape, spec.dtype) for spec in specs]
    if lowering_of(op)(op, operands, outputs, builder) is False:
        return None
    for step in builder.steps:
        step.chunk = step.least = 1
    found = [guarded(np.zeros(spec.shape, spec.dtype), at_end) for spec in specs]
    builder.finish().instantiate(threads).run(given, found)
    return found


@pytest.mark.parametrize("op, arrays", list(cases()))
def test_kernel(op, arrays):
    specs, first = specs_of(op, arrays), None
    wanted = op.reference(*[a.astype("float64") if a.dtype == "float32" else a for a in arrays])
    for threads, at_end in ((1, False), (1, True), (2, True), (3, True), (8, True)):
        found = computed(op, arrays, specs, threads, at_end)
        if found is None:
            pytest.skip("no kernel for these operands: the reference runs")
        first = first or found
        assert all(a.tobytes() == b.tobytes() for a, b in zip(first, found, strict=True)), f"{threads} threads"
    for y, value in zip(first, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        if y.dtype.kind == "f":
            close(y, np.asarray(value), TOLERANCE, 1e-38)
        else:
            np.testing.assert_array_equal(y, value)
