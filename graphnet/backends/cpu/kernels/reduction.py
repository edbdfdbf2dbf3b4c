"""Sums, means, bounds and products over axes.

The axes are taken in the order of x's strides and merged where they can be. Either the innermost one is reduced: vectors run
along it, and each stretch of BLOCK elements ends in a tree over the lanes that is added up in float64. Or it is kept: vectors lie
across it, and sums are taken in two levels. Long reductions are cut into pieces, which a second step joins. Pieces and blocks are
fixed by the shape, so that the sums are the same bytes for any number of threads.
"""
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

from graphnet.backends.cpu.cache import Kernel, jit, kernel
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand, packed_strides
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import (
    DOUBLE,
    I32,
    IVEC,
    LANES,
    REAL,
    VEC,
    V,
    define,
    full,
    largest,
    load,
    load_part,
    only,
    put_number,
    real,
    smallest,
    store,
    store_part,
    total,
    word,
)
from graphnet.ops.reduction import Max, Mean, Min, Prod, Sum

SUM, MAX, MIN, PROD = 0, 1, 2, 3
START = (np.float32(0), np.float32(-np.inf), np.float32(np.inf), np.float32(1))
BLOCK = 2048  # elements of a run that are added up in float32
LEVEL = 32  # vectors added up before they join the second level
WIDE = 4 * LANES  # kept elements side by side in registers
PIECE = 2048  # vectors of a column that one task adds up
LONG_RUN = 16384  # elements of a run that one task adds up, where there are few runs
OUTER, REDUCED = 3, 3  # axes at most, besides the vectors'
WORK = 4  # multiply-adds that take as long as an element


def _product(builder: Any, x: Any) -> Any:
    """Product of the lanes by halves."""
    width = LANES
    while width > 1:
        width //= 2
        lanes = ir.Constant(IVEC, [(i + width) % LANES for i in range(LANES)])
        x = builder.fmul(x, builder.shuffle_vector(x, ir.Constant(VEC, ir.Undefined), lanes))
    return builder.extract_element(x, I32(0))


product = define("product", REAL, (V,), _product)


@jit
def divided(a, b):
    """(a // b, a % b) of numbers not below zero; most need no division, which costs as much as a short row."""
    if b == 1:
        return a, 0
    if a < b:
        return 0, a
    quotient = a // b
    return quotient, a - quotient * b


def named(name: str) -> Any:
    """`jit` under a name that says which reduction the function belongs to."""
    def compiled(function: Any) -> Any:
        function.__name__ = function.__qualname__ = f"reduce_{name}_{function.__name__}"
        return jit(function)
    return compiled


def _paired(mode: int) -> Callable[..., Any]:
    """Code that makes one of two, vectors or numbers; of bounds NaN where either is one."""
    def build(builder: Any, v: Any, x: Any) -> Any:
        if mode == SUM:
            return builder.fadd(v, x, flags=("contract",))
        if mode == PROD:
            return builder.fmul(v, x, flags=("contract",))
        keep = builder.fcmp_ordered(">" if mode == MAX else "<", v, x)
        return builder.select(builder.or_(keep, builder.fcmp_unordered("uno", v, v)), v, x)
    return build


NAMES = ("sum", "max", "min", "prod")
# pair(v, x) of two vectors, join(v, x) of two float64, lanes(v) of the lanes of a vector
PAIR = [define(f"pair_{name}", V, (V, V), _paired(mode)) for mode, name in enumerate(NAMES)]
JOIN = [define(f"join_{name}", DOUBLE, (DOUBLE, DOUBLE), _paired(mode)) for mode, name in enumerate(NAMES)]
LANE = [total, largest, smallest, product]


def make_runs(mode: int) -> Any:
    """runs(x, planes, plane, rows, row, n): all elements of planes x rows x n, the last side by side, in float64."""
    name, start, pair, join, lanes = NAMES[mode], START[mode], PAIR[mode], JOIN[mode], LANE[mode]

    @named(name)
    def block(x, n):
        a = b = c = d = full(start)
        wide, whole = n // WIDE * WIDE, n // LANES * LANES
        for i in range(0, wide, WIDE):
            a, b = pair(a, load(x, i)), pair(b, load(x, i + LANES))
            c, d = pair(c, load(x, i + 2 * LANES)), pair(d, load(x, i + 3 * LANES))
        for i in range(wide, whole, LANES):
            a = pair(a, load(x, i))
        if whole < n:
            b = pair(b, only(n - whole, load_part(x, whole, n - whole), full(start)))
        return lanes(pair(pair(a, b), pair(c, d)))

    @named(name)
    def runs(x, planes, plane, rows, row, n):
        out = np.float64(start)
        for i in range(planes):
            for j in range(rows):
                for k in range(0, n, BLOCK):
                    out = join(out, np.float64(block(x + i * plane + j * row + 4 * k, min(BLOCK, n - k))))
        return out
    return runs


RUNS = [make_runs(mode) for mode in range(len(NAMES))]


def make_columns(mode: int) -> Any:
    """columns(x, y, planes, plane, rows, row, lines, line, divisor): WIDE columns over planes x rows x lines; steps in bytes."""
    name, start, pair = NAMES[mode], START[mode], PAIR[mode]

    @named(name)
    def columns(x, y, planes, plane, rows, row, lines, line, divisor):
        a = b = c = d = full(start)
        for i in range(planes):
            for j in range(rows):
                for k in range(0, lines, LEVEL):
                    p = q = r = s = full(start)
                    at = x + i * plane + j * row + k * line
                    for _ in range(min(LEVEL, lines - k)):
                        p, q = pair(p, load(at, 0)), pair(q, load(at, LANES))
                        r, s = pair(r, load(at, 2 * LANES)), pair(s, load(at, 3 * LANES))
                        at += line
                    a, b, c, d = pair(a, p), pair(b, q), pair(c, r), pair(d, s)
        store(y, 0, a / divisor)
        store(y, LANES, b / divisor)
        store(y, 2 * LANES, c / divisor)
        store(y, 3 * LANES, d / divisor)
    return columns


def make_column(mode: int) -> Any:
    """The same of the n columns, at most LANES, that are left."""
    name, start, pair = NAMES[mode], START[mode], PAIR[mode]

    @named(name)
    def column(x, y, planes, plane, rows, row, lines, line, divisor, n):
        a = full(start)
        for i in range(planes):
            for j in range(rows):
                for k in range(0, lines, LEVEL):
                    p = full(start)
                    at = x + i * plane + j * row + k * line
                    for _ in range(min(LEVEL, lines - k)):
                        p = pair(p, load_part(at, 0, n))
                        at += line
                    a = pair(a, p)
        store_part(y, 0, n, a / divisor)
    return column


def make_task(mode: int) -> Any:
    """task(row, task) of one of the four reductions; `reduce_sum` lists the words."""
    runs, columns, column = RUNS[mode], make_columns(mode), make_column(mode)

    @named(NAMES[mode])
    def task(row, task):
        x, y, divisor, split = word(row, 0), word(row, 1), real(row, 2), word(row, 8)
        outer, block = divided(task, word(row, 5))
        outer, piece = divided(outer, word(row, 6))
        for axis in range(16, 16 + 3 * OUTER, 3):
            outer, i = divided(outer, word(row, axis))
            x += i * word(row, axis + 1)
            y += i * word(row, axis + 2)
        begin = piece * word(row, 7)
        x += begin * word(row, 11 + 2 * split)
        y += piece * word(row, 9)
        left = min(word(row, 7), word(row, 10 + 2 * split) - begin)
        planes = left if split == 0 else word(row, 10)
        rows = left if split == 1 else word(row, 12)
        lines = left if split == 2 else word(row, 14)
        plane, line, step, n = word(row, 11), word(row, 13), word(row, 15), word(row, 4)
        if word(row, 3):
            put_number(y, 0, np.float32(runs(x, planes, plane, rows, line, lines) / np.float64(divisor)))
            return
        first = block * WIDE
        if n - first >= WIDE:
            columns(x + 4 * first, y + 4 * first, planes, plane, rows, line, lines, step, divisor)
        else:
            for c in range(first, n, LANES):
                column(x + 4 * c, y + 4 * c, planes, plane, rows, line, lines, step, divisor, n - c)
    return task


sum_task, max_task, min_task, prod_task = (make_task(mode) for mode in (SUM, MAX, MIN, PROD))


@kernel
def reduce_sum(row, begin, end, scratch):
    """A task is one piece of one run, or of WIDE columns. 0 x, 1 y, 2 divisor, 3 runs, 4 columns, 5 tasks side by side, 6 pieces,
    7 extent of a piece, 8 which reduced axis is cut, 9 bytes of y between pieces; from 10 reduced axes: extent, bytes; from 16
    outer axes: extent, bytes of x, bytes of y"""
    for task in range(begin, end):
        sum_task(row, task)


@kernel
def reduce_max(row, begin, end, scratch):
    """As `reduce_sum`, the largest element; NaN where there is one."""
    for task in range(begin, end):
        max_task(row, task)


@kernel
def reduce_min(row, begin, end, scratch):
    """As `reduce_sum`, the smallest element; NaN where there is one."""
    for task in range(begin, end):
        min_task(row, task)


@kernel
def reduce_prod(row, begin, end, scratch):
    """As `reduce_sum`, the product."""
    for task in range(begin, end):
        prod_task(row, task)


KERNELS: dict[type, Kernel] = {Sum: reduce_sum, Mean: reduce_sum, Max: reduce_max, Min: reduce_min, Prod: reduce_prod}


Axis = tuple[int, int, int]  # extent, stride of x, stride of y


@dataclass(frozen=True)
class Loops:
    """How x and y are walked: outer axes, reduced axes (a run's own is the last), columns side by side (0: runs)."""

    outer: tuple[Axis, ...]
    reduced: tuple[Axis, ...]
    columns: int


def loops(shape: Sequence[int], strides: Sequence[int], to: Sequence[int], axes: Sequence[int]) -> Loops | None:
    """The walk over operands, None where the kernels cannot do it.

    Args:
        shape, strides: of x. to: strides of y along the axes of x; 0 for reduced axes that y has not.
        axes: the reduced ones.

    Example:

        >>> loops((8, 7, 7, 64), (3136, 448, 64, 1), (64, 0, 0, 1), (1, 2))
        Loops(outer=((8, 3136, 64),), reduced=((49, 64, 0),), columns=64)
    """
    merged: list[tuple[int, int, int, bool]] = []
    given = [(n, s, t, i not in axes) for i, (n, s, t) in enumerate(zip(shape, strides, to, strict=True)) if n != 1]
    for n, s, t, kept in sorted(given, key=lambda axis: -abs(axis[1])):
        if merged and merged[-1][1:] == (n * s, n * t, kept):
            merged[-1] = (merged[-1][0] * n, s, t, kept)
        else:
            merged.append((n, s, t, kept))
    if not merged:
        return Loops((), (), 1)
    n, s, t, kept = merged[-1]
    if s != 1 or t != 1 and (kept or t != 0):
        return None
    rest = merged[:-1] if kept else merged
    outer = tuple([axis[:3] for axis in rest if axis[3]])
    reduced = tuple([axis[:3] for axis in rest if not axis[3]])
    return Loops(outer, reduced, n if kept else 0) if len(outer) <= OUTER and len(reduced) <= REDUCED else None


def walked(builder: Builder, x: Operand, out: Operand, axes: Sequence[int],
           strides: Callable[[Operand], Sequence[int]]) -> tuple[Loops, Operand, Operand] | None:
    """A walk with the operands it is for: x or a copy of it, the output or a temporary to be copied to it; None if there is none.

    Args:
        strides: of a place for the output, its strides along the axes of x.
    """
    for steps in (x.strides, packed_strides(x.shape)):
        for y in (out, builder.temporary(out.shape)):
            walk = loops(x.shape, steps, strides(y), axes)
            if walk is not None:
                return walk, x if steps == x.strides else builder.contiguous(x), y
    return None


def axis_words(axes: Sequence[Axis], count: int) -> list[int]:
    """(extent, bytes of x, bytes of y) of float32 axes, filled up with axes of extent 1."""
    return [word for n, s, t in [*axes, *[(1, 0, 0)] * (count - len(axes))] for word in (n, 4 * s, 4 * t)]


def _cut(walk: Loops) -> tuple[int, int]:
    """Which reduced axis is cut into pieces (counted from behind), and how long those are."""
    if not walk.reduced:
        return 0, 1
    extents = [n for n, _, _ in walk.reduced]
    longest = max(range(len(extents)), key=extents.__getitem__)
    others = math.prod(extents) // extents[longest]
    if walk.columns:
        return longest, min(extents[longest], max(1, PIECE // others))
    few = math.prod(n for n, _, _ in walk.outer) < 16
    return longest, min(extents[longest], max(1, LONG_RUN // others)) if few else extents[longest]


def reduce(builder: Builder, function: Kernel, walk: Loops, x: Operand, y: Operand, divisor: float) -> None:
    """Adds the steps of one reduction; `walk` is that of x to y."""
    axis, length = _cut(walk)
    pieces = -(-walk.reduced[axis][0] // length) if walk.reduced else 1
    rest = math.prod(n for n, _, _ in walk.outer)
    target, outer, between = y, walk.outer, 0
    if pieces > 1:  # into (outer, pieces, columns), which the second step reduces
        width = max(1, walk.columns)
        target, between = builder.temporary((rest, pieces, width)), width
        steps = packed_strides(tuple([n for n, _, _ in outer]))
        outer = tuple([(n, s, step * pieces * width) for (n, s, _), step in zip(outer, steps, strict=True)])
    blocks = -(-walk.columns // WIDE) if walk.columns else 1
    words: list[Any] = [x, target, 1.0 if pieces > 1 else divisor, int(not walk.columns), walk.columns, blocks, pieces, length,
                        REDUCED - len(walk.reduced) + axis if walk.reduced else 0, 4 * between]
    for n, s, _ in [(1, 0, 0)] * (REDUCED - len(walk.reduced)) + list(walk.reduced):
        words += [n, 4 * s]
    words += axis_words(outer[::-1], OUTER)
    builder.step(function, words, rest * pieces * blocks, float(WORK * x.size), [x], [target])
    if pieces > 1:
        reduce(builder, function, _joined(walk, pieces), target, y, divisor)


def _joined(walk: Loops, pieces: int) -> Loops:
    """The walk of the second step, over (outer, pieces, columns)."""
    width = max(1, walk.columns)
    steps = packed_strides(tuple([n for n, _, _ in walk.outer]))
    outer = tuple([(n, step * pieces * width, t) for (n, _, t), step in zip(walk.outer, steps, strict=True)])
    return Loops(outer, ((pieces, width, 0),), walk.columns)


@lowers(*KERNELS)
def lower_reduction(op: Any, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                    epilogue: Any = None) -> bool | None:
    """Reduces float32 over any axes."""
    (x,), (out,) = inputs, outputs
    if x.dtype != "float32" or out.dtype != "float32" or not x.size:
        return False

    def strides(y: Operand) -> list[int]:
        kept = iter(y.strides)
        if op.keepdims:
            return [0 if i in op.axes else stride for i, stride in enumerate(kept)]
        return [0 if i in op.axes else next(kept) for i in range(len(x.shape))]
    found = walked(builder, x, out, op.axes, strides)
    if found is None:
        return False
    walk, x, y = found
    divisor = float(math.prod(x.shape[a] for a in op.axes)) if isinstance(op, Mean) else 1.0
    reduce(builder, KERNELS[type(op)], walk, x, y, divisor)
    builder.copy(y, out)
    return None
