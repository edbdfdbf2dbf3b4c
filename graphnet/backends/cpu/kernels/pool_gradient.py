"""The cotangents of what maxima and means over windows are taken of: each window adds to the elements that it holds.

A task is an image and some of its channels, worked through in order, so that windows may overlap. Fewer axes than three are
filled up behind with axes of extent 1; what no window has added to yet is cleared plane by plane, just ahead of the windows.
"""
from typing import Any

import numpy as np

from graphnet.backends.cpu.cache import jit, kernel
from graphnet.backends.cpu.kernels.contraction import TASKS
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import LANES, equal, full, isnan, load, load_part, store, store_part, word
from graphnet.ops.pooling import AveragePoolGrad, MaxPoolGrad

ZERO, ONE = np.float32(0), np.float32(1)
ADD_WORK = 12  # multiply-adds that take as long as an element of a window
MEAN, ADDS, CLEARS = 1, 2, 4  # bits of the mode: means, windows that overlap, elements that no window holds


@jit
def taken(at, n):
    """A vector, or its first n lanes; whole ones without a mask, as they are read soon again."""
    return load(at, 0) if n >= LANES else load_part(at, 0, n)


@jit
def put(at, n, v):
    """Writes what `taken` reads."""
    if n >= LANES:
        store(at, 0, v)
    else:
        store_part(at, 0, n, v)


@jit
def give_most(adds, n, x, y, g, to, planes, rows, columns, x_plane, x_row, x_column, plane, row, column):
    """g to the first element of a window that is its maximum y, or NaN; at most a vector of n channels."""
    top, left = taken(y, n), taken(g, n)
    for i in range(planes):
        for j in range(rows):
            at, there = x + i * x_plane + j * x_row, to + i * plane + j * row
            for _ in range(columns):
                v = taken(at, n)
                given = isnan(v, left, equal(v, top, left, full(ZERO)))
                left = isnan(v, full(ZERO), equal(v, top, full(ZERO), left))
                put(there, n, taken(there, n) + given if adds else given)
                at += x_column
                there += column


@jit
def give_mean(adds, n, g, to, planes, rows, columns, plane, row, column):
    """g in equal parts to the elements of a window."""
    given = taken(g, n) * (ONE / np.float32(planes * rows * columns))
    for i in range(planes):
        for j in range(rows):
            there = to + i * plane + j * row
            for _ in range(columns):
                put(there, n, taken(there, n) + given if adds else given)
                there += column


@jit
def clear(to, n, planes, rows, columns, plane, row, column):
    """Zeros to n channels of a box."""
    for i in range(planes):
        for j in range(rows):
            for k in range(columns):
                there = to + i * plane + j * row + k * column
                for c in range(0, n, LANES):
                    put(there + 4 * c, n - c, full(ZERO))


@kernel
def pool_gradient(row, begin, end, scratch):
    """0 x, 1 y, 2 g, 3 dx, 4 mode, 5 channels, 6 parts of them, 7 channels of a part; bytes of an image of x 8, y 9, g 10,
    dx 11; then of planes (12), rows (21) and columns (30): extents of dx and of g, window, stride, padding before, bytes from
    one to the next in x, y, g, dx. A maximum reads x and y, a mean does not."""
    mode, parts, share = word(row, 4), word(row, 6), word(row, 7)
    adds, to_plane, to_row, to_column = mode & ADDS, word(row, 20), word(row, 29), word(row, 38)
    for task in range(begin, end):
        image, first = task // parts, task % parts * share
        x, y = word(row, 0) + image * word(row, 8) + 4 * first, word(row, 1) + image * word(row, 9) + 4 * first
        g, to = word(row, 2) + image * word(row, 10) + 4 * first, word(row, 3) + image * word(row, 11) + 4 * first
        n, cleared = min(share, word(row, 5) - first), 0
        for i in range(word(row, 13)):
            plane = i * word(row, 15) - word(row, 16)
            top, stop = max(plane, 0), min(plane + word(row, 14), word(row, 12))
            if mode & CLEARS:
                until = word(row, 12) if i == word(row, 13) - 1 else stop
                if until > cleared:
                    there, planes = to + cleared * to_plane, until - cleared
                    clear(there, n, planes, word(row, 21), word(row, 30), to_plane, to_row, to_column)
                    cleared = until
            for j in range(word(row, 22)):
                line = j * word(row, 24) - word(row, 25)
                left, rows = max(line, 0), min(line + word(row, 23), word(row, 21)) - max(line, 0)
                for k in range(word(row, 31)):
                    column = k * word(row, 33) - word(row, 34)
                    start, columns = max(column, 0), min(column + word(row, 32), word(row, 30)) - max(column, 0)
                    a = x + top * word(row, 17) + left * word(row, 26) + start * word(row, 35)
                    b = y + i * word(row, 18) + j * word(row, 27) + k * word(row, 36)
                    d = g + i * word(row, 19) + j * word(row, 28) + k * word(row, 37)
                    e = to + top * to_plane + left * to_row + start * to_column
                    for c in range(0, n, LANES):
                        if mode & MEAN:
                            give_mean(adds, n - c, d + 4 * c, e + 4 * c, stop - top, rows, columns, to_plane, to_row, to_column)
                        else:
                            give_most(adds, n - c, a + 4 * c, b + 4 * c, d + 4 * c, e + 4 * c, stop - top, rows, columns,
                                      word(row, 17), word(row, 26), word(row, 35), to_plane, to_row, to_column)


@lowers(MaxPoolGrad, AveragePoolGrad)
def lower_pool_gradient(op: Any, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                        epilogue: Any = None) -> bool | None:
    """Gradients of float32 pools over at most three spatial axes."""
    out, rank, mean = outputs[0], len(op.size), isinstance(op, AveragePoolGrad)
    if any(v.dtype != "float32" for v in (*inputs, out)) or rank > 3 or not all(v.size for v in (*inputs, out)):
        return False
    channels = out.shape[-1]
    inputs = [builder.contiguous(v) if channels > 1 and v.strides[-1] != 1 else v for v in inputs]
    g, to = inputs[-1], out if channels == 1 or out.strides[-1] == 1 else builder.temporary(out.shape)
    x, y = (to, g) if mean else inputs[:2]
    spatial, results = out.shape[1:-1], g.shape[1:-1]
    axes = list(zip(spatial, results, op.size, op.strides, op.pool.pads(spatial), strict=True))
    overlap = any(size > stride and n > 1 for _, n, size, stride, _ in axes)
    covered = all(stride == size and n * stride == extent for extent, n, size, stride, _ in axes)
    mode = (MEAN if mean else 0) | (ADDS if overlap else 0) | (0 if covered else CLEARS)
    vectors = -(-channels // LANES)
    share = LANES * -(-vectors // min(vectors, -(-TASKS // out.shape[0])))
    parts = -(-channels // share)
    words: list[Any] = [*((None, None) if mean else (x, y)), g, to, mode, channels, parts, share,
                        *[4 * v.strides[0] for v in (x, y, g, to)]]
    for axis, (extent, n, size, stride, (before, _)) in enumerate(axes, 1):
        words += [extent, n, size, stride, before, *[4 * v.strides[axis] for v in (x, y, g, to)]]
    words += (1, 1, 1, 1, 0, 0, 0, 0, 0) * (3 - rank)
    work = float(ADD_WORK * g.size * int(np.prod(op.size)))
    builder.step(pool_gradient, words, out.shape[0] * parts, work, inputs, [to])
    builder.copy(to, out)
    return None
