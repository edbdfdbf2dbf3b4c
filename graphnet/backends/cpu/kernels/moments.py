"""Batch statistics and their gradient's sums: two numbers for each column of a matrix, in one pass over memory.

A task takes a piece of PIECE rows by WIDE columns, few enough for the first cache: of moments the piece's own mean first, then
the differences from that, so that nothing cancels. A second kernel joins the pieces, as Chan, Golub and LeVeque do it
(Updating formulae and a pairwise algorithm for computing sample variances, https://doi.org/10.1007/978-3-642-51461-6_3).
"""
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphnet.backends.cpu.cache import Kernel, jit, kernel
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder, Word
from graphnet.backends.cpu.simd import LANES, full, load, load_part, store, store_part, word
from graphnet.ops.moments import CentredSums, Moments

WIDE = 4 * LANES  # columns of a task, side by side in registers
PIECE = 128  # rows of a task
LEVEL = 16  # pieces added up before they join the second level
WORK = 6  # multiply-adds that take as long as an element
ZERO = np.float32(0)

# the words of a row; of sums alone: the cotangent, the bytes between its rows, and the middle
X, PARTS, ROWS, COLUMNS, X_ROW, BLOCKS, NUMBERS, G, G_ROW, MIDDLE = range(10)


@jit
def store_four(y, a, b, c, d):
    store(y, 0, a)
    store(y, LANES, b)
    store(y, 2 * LANES, c)
    store(y, 3 * LANES, d)


@jit
def moments_wide(x, line, n, y, below):
    """Of n rows of WIDE columns the mean, the sum of the differences from it (which is what rounding left out), and of their
    squares; `below` elements apart."""
    a = b = c = d = full(ZERO)
    at = x
    for _ in range(n):
        a, b, c, d = a + load(at, 0), b + load(at, LANES), c + load(at, 2 * LANES), d + load(at, 3 * LANES)
        at += line
    count = np.float32(n)
    a, b, c, d = a / count, b / count, c / count, d / count
    h = k = m = o = p = q = r = s = full(ZERO)
    at = x
    for _ in range(n):
        t, u, v, w = load(at, 0) - a, load(at, LANES) - b, load(at, 2 * LANES) - c, load(at, 3 * LANES) - d
        h, k, m, o = h + t, k + u, m + v, o + w
        p, q, r, s = p + t * t, q + u * u, r + v * v, s + w * w
        at += line
    store_four(y, a, b, c, d)
    store_four(y + 4 * below, h, k, m, o)
    store_four(y + 8 * below, p, q, r, s)


@jit
def moments_narrow(x, line, n, y, below, columns):
    """The same of the columns, at most LANES, that are left."""
    a = b = h = k = p = q = full(ZERO)
    for i in range(0, n - 1, 2):
        a, b = a + load_part(x + i * line, 0, columns), b + load_part(x + (i + 1) * line, 0, columns)
    if n % 2:
        a = a + load_part(x + (n - 1) * line, 0, columns)
    a = (a + b) / np.float32(n)
    for i in range(0, n - 1, 2):
        u, v = load_part(x + i * line, 0, columns) - a, load_part(x + (i + 1) * line, 0, columns) - a
        h, k, p, q = h + u, k + v, p + u * u, q + v * v
    if n % 2:
        u = load_part(x + (n - 1) * line, 0, columns) - a
        h, p = h + u, p + u * u
    store_part(y, 0, columns, a)
    store_part(y, below, columns, h + k)
    store_part(y, 2 * below, columns, p + q)


@jit
def centred_wide(g, g_line, x, line, n, middle, y, below):
    """sum(g) and sum(g * (x - middle)) of n rows, of WIDE columns."""
    a = b = c = d = p = q = r = s = full(ZERO)
    h, k, m, o = load(middle, 0), load(middle, LANES), load(middle, 2 * LANES), load(middle, 3 * LANES)
    for _ in range(n):
        t, u, v, w = load(g, 0), load(g, LANES), load(g, 2 * LANES), load(g, 3 * LANES)
        a, b, c, d = a + t, b + u, c + v, d + w
        p, q = p + t * (load(x, 0) - h), q + u * (load(x, LANES) - k)
        r, s = r + v * (load(x, 2 * LANES) - m), s + w * (load(x, 3 * LANES) - o)
        g, x = g + g_line, x + line
    store_four(y, a, b, c, d)
    store_four(y + 4 * below, p, q, r, s)


@jit
def centred_narrow(g, g_line, x, line, n, middle, y, below, columns):
    """The same of the columns, at most LANES, that are left."""
    a = b = p = q = full(ZERO)
    k = load_part(middle, 0, columns)
    for i in range(0, n - 1, 2):
        t, u = load_part(g + i * g_line, 0, columns), load_part(g + (i + 1) * g_line, 0, columns)
        a, b = a + t, b + u
        p, q = p + t * (load_part(x + i * line, 0, columns) - k), q + u * (load_part(x + (i + 1) * line, 0, columns) - k)
    if n % 2:
        t = load_part(g + (n - 1) * g_line, 0, columns)
        a, p = a + t, p + t * (load_part(x + (n - 1) * line, 0, columns) - k)
    store_part(y, 0, columns, a + b)
    store_part(y, below, columns, p + q)


@jit
def piece_of(row, task):
    """(x, g, to, rows, first column) of a task; the parts are (pieces, numbers, columns)."""
    piece, block = task // word(row, BLOCKS), task % word(row, BLOCKS)
    first, begin = block * WIDE, piece * PIECE
    x, g = word(row, X) + 4 * first + begin * word(row, X_ROW), word(row, G) + 4 * first + begin * word(row, G_ROW)
    to = word(row, PARTS) + 4 * (word(row, NUMBERS) * piece * word(row, COLUMNS) + first)
    return x, g, to, min(PIECE, word(row, ROWS) - begin), first


@kernel
def moments_pieces(row, begin, end, scratch):
    """A task is a piece of WIDE columns; the words are named above."""
    line, columns = word(row, X_ROW), word(row, COLUMNS)
    for task in range(begin, end):
        x, _, to, n, first = piece_of(row, task)
        if columns - first >= WIDE:
            moments_wide(x, line, n, to, columns)
        else:
            for c in range(0, columns - first, LANES):
                moments_narrow(x + 4 * c, line, n, to + 4 * c, columns, columns - first - c)


@kernel
def centred_pieces(row, begin, end, scratch):
    """A task is a piece of WIDE columns; the words are named above."""
    line, g_line, columns = word(row, X_ROW), word(row, G_ROW), word(row, COLUMNS)
    for task in range(begin, end):
        x, g, to, n, first = piece_of(row, task)
        middle = word(row, MIDDLE) + 4 * first
        if columns - first >= WIDE:
            centred_wide(g, g_line, x, line, n, middle, to, columns)
        else:
            for c in range(0, columns - first, LANES):
                centred_narrow(g + 4 * c, g_line, x + 4 * c, line, n, middle + 4 * c, to + 4 * c, columns, columns - first - c)


@jit
def sum_of_parts(parts, pieces, step, n):
    """The sum of n columns, at most LANES, over pieces `step` bytes apart; in two levels."""
    out = full(ZERO)
    for k in range(0, pieces, LEVEL):
        level = full(ZERO)
        for i in range(k, min(pieces, k + LEVEL)):
            level = level + load_part(parts + i * step, 0, n)
        out = out + level
    return out


@jit
def mean_of_parts(parts, pieces, step, columns, rows, n):
    """The mean of n columns, at most LANES: of the pieces' means and of what rounding left out of them."""
    out = full(ZERO)
    for k in range(0, pieces, LEVEL):
        level = full(ZERO)
        for i in range(k, min(pieces, k + LEVEL)):
            count = np.float32(min(PIECE, rows - i * PIECE))
            level = level + (load_part(parts + i * step, 0, n) * count + load_part(parts + i * step, columns, n))
        out = out + level
    return out / np.float32(rows)


@jit
def squares_of_parts(parts, pieces, step, columns, rows, mean, n):
    """The sum of the squared differences from the mean: those within pieces, and those of the pieces' means."""
    out = full(ZERO)
    for k in range(0, pieces, LEVEL):
        level = full(ZERO)
        for i in range(k, min(pieces, k + LEVEL)):
            count = np.float32(min(PIECE, rows - i * PIECE))
            v, rest = load_part(parts + i * step, 0, n) - mean, load_part(parts + i * step, columns, n)
            level = level + (load_part(parts + i * step, 2 * columns, n) + v * (v * count + rest + rest))
        out = out + level
    return out


@kernel
def join_moments(row, begin, end, scratch):
    """A task is LANES columns. 0 parts, 1 mean, 2 variance, 3 rows, 4 columns"""
    rows, columns = word(row, 3), word(row, 4)
    pieces, step = (rows + PIECE - 1) // PIECE, 12 * columns
    for task in range(begin, end):
        n, parts = columns - task * LANES, word(row, 0) + 4 * task * LANES
        mean = mean_of_parts(parts, pieces, step, columns, rows, n)
        store_part(word(row, 1), task * LANES, n, mean)
        squares = squares_of_parts(parts, pieces, step, columns, rows, mean, n)
        store_part(word(row, 2), task * LANES, n, squares / np.float32(rows))


@kernel
def join_sums(row, begin, end, scratch):
    """A task is LANES columns. 0 parts, 1 the first sum, 2 the second one, 3 rows, 4 columns"""
    rows, columns = word(row, 3), word(row, 4)
    pieces, step = (rows + PIECE - 1) // PIECE, 8 * columns
    for task in range(begin, end):
        n, parts = columns - task * LANES, word(row, 0) + 4 * task * LANES
        store_part(word(row, 1), task * LANES, n, sum_of_parts(parts, pieces, step, n))
        store_part(word(row, 2), task * LANES, n, sum_of_parts(parts + 4 * columns, pieces, step, n))


def as_matrix(x: Operand, axes: Sequence[int], builder: Builder) -> Operand:
    """x as (rows, columns): the axes that are summed over, then the others; a copy where strides cannot say it."""
    kept = [i for i in range(len(x.shape)) if i not in axes]
    shape = math.prod(x.shape[a] for a in axes), math.prod(x.shape[a] for a in kept)
    turned = x.transpose((*axes, *kept))
    seen = turned.reshape(shape)
    if seen is not None and (seen.strides[1] == 1 or shape[1] == 1):
        return seen
    return builder.contiguous(turned).view(0, shape, (shape[1], 1))


def _two_numbers(pieces: Kernel, join: Kernel, x: Operand, more: Sequence[Operand], outputs: Sequence[Operand | None],
                 builder: Builder) -> None:
    """Adds both kernels' steps. more: g and the middle, or nothing."""
    rows, columns = x.shape
    count, blocks = -(-rows // PIECE), -(-columns // WIDE)
    numbers = 2 if more else 3
    parts = builder.temporary((count, numbers, columns))
    g, middle = more or (x, None)
    words: list[Word] = [x, parts, rows, columns, 4 * x.strides[0], blocks, numbers, g, 4 * g.strides[0], middle]
    builder.step(pieces, words, count * blocks, float(WORK * x.size), [x, *more], [parts])
    made = [y if y is not None and y.contiguous else builder.temporary((columns,)) for y in outputs]
    builder.step(join, [parts, *made, rows, columns], -(-columns // LANES), float(WORK * parts.size), [parts], made)
    for y, to in zip(made, outputs, strict=True):
        if to is not None and y is not to:
            builder.copy(y.view(0, to.shape, builder.temporary(to.shape).strides), to)


@lowers(Moments)
def lower_moments(op: Moments, inputs: list[Operand], outputs: list[Operand | None], builder: Builder,
                  epilogue: Any = None) -> bool | None:
    """Mean and variance of float32."""
    x, = inputs
    if x.dtype != "float32" or not x.size:
        return False
    _two_numbers(moments_pieces, join_moments, as_matrix(x, op.axes, builder), (), outputs, builder)
    return None


@lowers(CentredSums)
def lower_centred_sums(op: CentredSums, inputs: list[Operand], outputs: list[Operand | None], builder: Builder,
                       epilogue: Any = None) -> bool | None:
    """Both sums of float32; the middle must be the same along the axes that are summed over."""
    g, x, middle = inputs
    kept = tuple([1 if i in op.axes else n for i, n in enumerate(x.shape)])
    fits = math.prod(middle.shape) in (1, math.prod(kept)) and len(middle.shape) <= len(kept)
    if any(v.dtype != "float32" for v in inputs) or not x.size or g.shape != x.shape or not fits:
        return False
    if any(n not in (1, k) for n, k in zip(middle.shape, kept[len(kept) - len(middle.shape):], strict=True)):
        return False
    column = builder.contiguous(middle.broadcast(kept)).view(0, (math.prod(kept),), (1,))
    matrices = [as_matrix(v, op.axes, builder) for v in (x, g)]
    _two_numbers(centred_pieces, join_sums, matrices[0], (matrices[1], column), outputs, builder)
    return None
