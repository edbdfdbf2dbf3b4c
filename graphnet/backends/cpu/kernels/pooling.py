"""Maxima and means over windows of 1 to 3 spatial axes, channels innermost.

Fewer axes than three are filled up with axes of extent 1. Windows are clipped where they leave x, so that padding needs no
halo and a mean leaves it out, as Keras does.
"""
import math
from typing import Any

import numpy as np

from graphnet.backends.cpu.cache import jit, kernel
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES, at_least, full, isnan, load, load_part, store, store_part, word
from graphnet.ops.pooling import AveragePool, MaxPool

ZERO, ONE, LOWEST = np.float32(0), np.float32(1), np.float32(-np.inf)
LOAD_WORK = 8  # multiply-adds that take as long as an element of a window


@jit
def max_pair(x, y, planes, rows, columns, plane, row, column):
    """The largest of two vectors of channels over a window; a NaN is kept aside, which leaves one operation in the chain."""
    v, w, nan, nan_w = full(LOWEST), full(LOWEST), full(ZERO), full(ZERO)
    for i in range(planes):
        for j in range(rows):
            at = x + i * plane + j * row
            for _ in range(columns):
                a, b = load(at, 0), load(at, LANES)
                v, w = at_least(v, a), at_least(w, b)
                nan, nan_w = isnan(a, a, nan), isnan(b, b, nan_w)
                at += column
    store(y, 0, isnan(nan, nan, v))
    store(y, LANES, isnan(nan_w, nan_w, w))


@jit
def max_part(x, y, planes, rows, columns, plane, row, column, n):
    """The same of n channels, at most a vector."""
    v, nan = full(LOWEST), full(ZERO)
    for i in range(planes):
        for j in range(rows):
            at = x + i * plane + j * row
            for _ in range(columns):
                a = load_part(at, 0, n)
                v, nan = at_least(v, a), isnan(a, a, nan)
                at += column
    store_part(y, 0, n, isnan(nan, nan, v))


@jit
def mean_pair(x, y, planes, rows, columns, plane, row, column):
    """The mean of two vectors of channels over a window."""
    v, w, scale = full(ZERO), full(ZERO), ONE / np.float32(planes * rows * columns)
    for i in range(planes):
        for j in range(rows):
            at = x + i * plane + j * row
            for _ in range(columns):
                v, w = v + load(at, 0), w + load(at, LANES)
                at += column
    store(y, 0, v * scale)
    store(y, LANES, w * scale)


@jit
def mean_part(x, y, planes, rows, columns, plane, row, column, n):
    """The same of n channels, at most a vector."""
    v, scale = full(ZERO), ONE / np.float32(planes * rows * columns)
    for i in range(planes):
        for j in range(rows):
            at = x + i * plane + j * row
            for _ in range(columns):
                v = v + load_part(at, 0, n)
                at += column
    store_part(y, 0, n, v * scale)


@jit
def pool_pixel(mean, x, y, channels, planes, rows, columns, plane, row, column):
    """All channels of one element of the output."""
    whole = channels // (2 * LANES) * (2 * LANES)
    for c in range(0, whole, 2 * LANES):
        if mean:
            mean_pair(x + 4 * c, y + 4 * c, planes, rows, columns, plane, row, column)
        else:
            max_pair(x + 4 * c, y + 4 * c, planes, rows, columns, plane, row, column)
    for c in range(whole, channels, LANES):
        if mean:
            mean_part(x + 4 * c, y + 4 * c, planes, rows, columns, plane, row, column, channels - c)
        else:
            max_part(x + 4 * c, y + 4 * c, planes, rows, columns, plane, row, column, channels - c)


@kernel
def pool(row, begin, end, scratch):
    """A task is an output row. 0 x, 1 y, 2 mean, 3 channels; y's extents 4, 5, 6; bytes of an image of x 7, of y 8; then of
    planes (9), rows (15) and columns (21): extent of x, window, stride, padding before, bytes from one to the next in x, in y"""
    down = word(row, 5)
    for task in range(begin, end):
        j, i, image = task % down, task // down % word(row, 4), task // down // word(row, 4)
        plane, line = i * word(row, 11) - word(row, 12), j * word(row, 17) - word(row, 18)
        top, left = max(plane, 0), max(line, 0)
        planes, lines = min(plane + word(row, 10), word(row, 9)) - top, min(line + word(row, 16), word(row, 15)) - left
        x = word(row, 0) + image * word(row, 7) + top * word(row, 13) + left * word(row, 19)
        y = word(row, 1) + image * word(row, 8) + i * word(row, 14) + j * word(row, 20)
        for k in range(word(row, 6)):
            column = k * word(row, 23) - word(row, 24)
            start = max(column, 0)
            columns = min(column + word(row, 22), word(row, 21)) - start
            pool_pixel(word(row, 2), x + start * word(row, 25), y + k * word(row, 26), word(row, 3), planes, lines, columns,
                       word(row, 13), word(row, 19), word(row, 25))


@lowers(MaxPool, AveragePool)
def lower_pool(op: Any, inputs: list[Operand], outputs: list[Operand], builder: Builder, epilogue: Any = None) -> bool | None:
    """Pools float32 over at most three spatial axes."""
    (x,), (out,) = inputs, outputs
    rank = len(op.size)
    if x.dtype != "float32" or out.dtype != "float32" or rank > 3 or len(x.shape) != rank + 2 or not out.size:
        return False
    channels = out.shape[-1]
    if channels > 1 and x.strides[-1] != 1:
        x = builder.contiguous(x)
    y = out if channels == 1 or out.strides[-1] == 1 else builder.temporary(out.shape)
    missing = 3 - rank
    words: list[Any] = [x, y, int(isinstance(op, AveragePool)), channels, *(1,) * missing, *out.shape[1:-1],
                        4 * x.strides[0], 4 * y.strides[0], *(1, 1, 1, 0, 0, 0) * missing]
    for axis, (size, stride, (before, _)) in enumerate(zip(op.size, op.strides, op.pads(x.shape[1:-1]), strict=True), 1):
        words += [x.shape[axis], size, stride, before, 4 * x.strides[axis], 4 * y.strides[axis]]
    rows = math.prod(out.shape[:-1]) // out.shape[-2]
    builder.step(pool, words, rows, float(LOAD_WORK * out.size * math.prod(op.size)), [x], [y])
    builder.copy(y, out)
    return None
