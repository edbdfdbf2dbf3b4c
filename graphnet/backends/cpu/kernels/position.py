"""Argmax and argmin of float32, and any and all of booleans."""
import math
from typing import Any

import numpy as np

from graphnet.backends.cpu.cache import jit, kernel
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import (
    I8,
    I32,
    IVEC,
    LANES,
    VEC,
    VOID,
    A,
    V,
    above,
    at_least,
    at_most,
    below,
    byte,
    define,
    full,
    isnan,
    load,
    load_part,
    number,
    only,
    pointer,
    store,
    store_part,
    word,
)
from graphnet.ops.reduction import All_, Any_, Argmax, Argmin

ZERO = np.float32(0)
WORK = 8  # multiply-adds that take as long as an element
MOST = 1 << 24  # places are counted in float32


def _putter(name: str, kind: Any) -> Any:
    return define(name, VOID, (A, A, A), lambda b, p, i, x: b.store(b.trunc(x, kind), pointer(b, p, i, kind, kind)))


put_word32, put_byte = _putter("put_word32", I32), _putter("put_byte", I8)
# whole_bits(x): the int32 of whole numbers, as the bits of a vector
whole_bits = define("whole_bits", V, (V,), lambda b, x: b.bitcast(b.fptosi(x, IVEC), VEC))


@jit
def position_next(x, best, at, i, least):
    """(best, at) after element i of every lane: its place where x is better, or the first NaN."""
    found = below(x, best, i, at) if least else above(x, best, i, at)
    at = isnan(best, at, isnan(x, i, found))
    best = isnan(best, best, at_most(x, best) if least else at_least(x, best))
    return best, at


@jit
def position_in_columns(x, n, step, count, least):
    """Of each of `count` columns, at most LANES, where its best of n elements lies."""
    best, at = load_part(x, 0, count), full(ZERO)
    for i in range(1, n):
        best, at = position_next(load_part(x, i * step, count), best, at, full(np.float32(i)), least)
    return at


@jit
def position_better(v, i, best, at, least):
    """Whether element v at i goes before the best at `at`."""
    if v != v or best != best:
        return v != v and (best == best or i < at)
    return v == best and i < at or (v < best if least else v > best)


@jit
def position_in_run(x, n, least, scratch):
    """Where the best of n elements lies: of each lane first, then of all."""
    best, at = number(x, 0), 0
    if n < LANES:
        for i in range(1, n):
            v = number(x, i)
            if position_better(v, i, best, at, least):
                best, at = v, i
        return at
    lanes, places = load(x, 0), full(ZERO)
    whole = n // LANES
    for i in range(1, whole):
        lanes, places = position_next(load(x, i * LANES), lanes, places, full(np.float32(i)), least)
    if whole * LANES < n:
        worst, left = full(np.float32(np.inf) if least else np.float32(-np.inf)), n - whole * LANES
        v = only(left, load_part(x, whole * LANES, left), worst)
        lanes, places = position_next(v, lanes, places, full(np.float32(whole)), least)
    store(scratch, 0, lanes)
    store(scratch, LANES, places)
    best, at = number(scratch, 0), np.int64(number(scratch, LANES)) * LANES
    for lane in range(1, LANES):
        v, i = number(scratch, lane), np.int64(number(scratch, LANES + lane)) * LANES + lane
        if position_better(v, i, best, at, least):
            best, at = v, i
    return at


@kernel
def position(row, begin, end, scratch):
    """A task is an outer index. 0 x, 1 y, 2 extent of the axis, 3 inner extent, 4 whether the least is looked for; contiguous"""
    n, inner, least = word(row, 2), word(row, 3), word(row, 4)
    for task in range(begin, end):
        x, y = word(row, 0) + 4 * task * n * inner, word(row, 1) + 4 * task * inner
        if inner == 1:
            put_word32(y, 0, position_in_run(x, n, least, scratch))
        else:
            for j in range(0, inner, LANES):
                store_part(y, j, inner - j, whole_bits(position_in_columns(x + 4 * j, n, inner, inner - j, least)))


@kernel
def any_or_all(row, begin, end, scratch):
    """A task is an outer index. 0 x, 1 y, 2 extent reduced, 3 inner extent, 4 the truth that decides: 1 any, 0 all; contiguous"""
    n, inner, decides = word(row, 2), word(row, 3), word(row, 4)
    for task in range(begin, end):
        x = word(row, 0) + task * n * inner
        for j in range(inner):
            i = 0
            while i < n and byte(x, i * inner + j) != decides:
                i += 1
            put_byte(word(row, 1), task * inner + j, decides if i < n else 1 - decides)


def _step(builder: Builder, kind: Any, x: Operand, out: Operand, axes: range, which: int) -> None:
    """Adds the kernel over (outer, extent, inner) of contiguous operands."""
    x = builder.contiguous(x)
    y = out if out.contiguous else builder.temporary(out.shape, out.dtype)
    n, inner = math.prod(x.shape[axes.start:axes.stop]), math.prod(x.shape[axes.stop:])
    outer, work = math.prod(x.shape[:axes.start]), float(WORK * x.size)
    builder.step(kind, [x, y, n, inner, which], outer, work, [x], [y], scratch=8 * LANES)
    builder.copy(y, out)


@lowers(Argmax, Argmin)
def lower_position(op: Any, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                   epilogue: Any = None) -> bool | None:
    """Positions, int32, along one axis of float32."""
    (x,), (out,) = inputs, outputs
    if x.dtype != "float32" or out.dtype != "int32" or not x.size or x.shape[op.axis] >= MOST:
        return False
    _step(builder, position, x, out, range(op.axis, op.axis + 1), int(isinstance(op, Argmin)))
    return None


@lowers(Any_, All_)
def lower_any_or_all(op: Any, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                     epilogue: Any = None) -> bool | None:
    """Booleans over axes that lie side by side."""
    (x,), (out,) = inputs, outputs
    axes = range(op.axes[0], op.axes[-1] + 1) if op.axes else range(0)
    if x.dtype != "bool" or not x.size or tuple(axes) != tuple(op.axes):
        return False
    _step(builder, any_or_all, x, out, axes, int(isinstance(op, Any_)))
    return None
