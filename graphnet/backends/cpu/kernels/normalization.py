"""(x - mean) / sqrt(variance + epsilon) over axes: layer, group and instance normalization.

Mean first, then the mean of the squared differences from it, so that nothing cancels. Either the innermost axis is among those
normalized and vectors run along it, or it is kept and vectors lie across it.
"""
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphnet.backends.cpu.cache import jit, kernel
from graphnet.backends.cpu.kernels.reduction import (
    BLOCK,
    LEVEL,
    OUTER,
    REDUCED,
    RUNS,
    SUM,
    Loops,
    axis_words,
    divided,
    walked,
)
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import (
    I64,
    LANES,
    A,
    V,
    define,
    first,
    full,
    load,
    load_part,
    masked_store,
    only,
    pointer,
    real,
    sqrt,
    store,
    total,
    types,
    word,
)
from graphnet.ops.scaling import Normalize

ZERO, ONE = np.float32(0), np.float32(1)
WORK = 12  # multiply-adds that take as long as an element
COLUMNS = 256  # columns of a task
HEAD, OUTSIDE = 5, 5 + 3 * REDUCED  # where the words of the reduced and of the outer axes begin

sum_of_runs = RUNS[SUM]


def _store_some(builder: Any, y: Any, i: Any, n: Any, x: Any) -> None:
    where = pointer(builder, y, i)
    with builder.if_else(builder.icmp_signed(">=", n, I64(LANES))) as (whole, part):
        with whole:
            builder.store(x, where, align=4)
        with part:
            masked_store(builder, x, where, first(builder, n))


# store_some(y, i, n, x): the first n lanes of x, all of them without a mask (which costs on some processors)
store_some = define("store_some", types.void, (A, A, A, V), _store_some)


def along_words(x: Operand, y: Operand, option: float, walk: Loops) -> tuple[list[Any], int]:
    """The words of a kernel that writes what it reads under the same shape, and its tasks.

    0 x, 1 y, 2 a float, 3 columns (0: runs), 4 tasks side by side; from 5 the reduced axes, from 14 the outer ones: extent, bytes
    of x, bytes of y. A task is a run, or COLUMNS columns.
    """
    blocks = -(-walk.columns // COLUMNS) if walk.columns else 1
    reduced: Sequence[Any] = [(1, 0, 0)] * (REDUCED - len(walk.reduced)) + list(walk.reduced)
    words = [x, y, float(option), walk.columns, blocks, *axis_words(reduced, REDUCED), *axis_words(walk.outer[::-1], OUTER)]
    return words, blocks * int(np.prod([n for n, _, _ in walk.outer], dtype=np.int64))


@jit
def along_start(row, task):
    """Where the task's run, or its first column, begins in x and in y, and how many columns it has."""
    outer, block = divided(task, word(row, 4))
    first = block * COLUMNS
    x, y = word(row, 0) + 4 * first, word(row, 1) + 4 * first
    for axis in range(OUTSIDE, OUTSIDE + 3 * OUTER, 3):
        outer, i = divided(outer, word(row, axis))
        x += i * word(row, axis + 1)
        y += i * word(row, axis + 2)
    return x, y, min(word(row, 3) - first, COLUMNS)


@jit
def squares(x, mean, n):
    """The sum of (x - mean)**2 over n elements side by side, at most BLOCK."""
    whole, a, b = n // LANES * LANES, full(ZERO), full(ZERO)
    for i in range(0, whole - LANES, 2 * LANES):
        u, v = load(x, i) - mean, load(x, i + LANES) - mean
        a, b = a + u * u, b + v * v
    if whole // LANES % 2:
        u = load(x, whole - LANES) - mean
        a = a + u * u
    if whole < n:
        v = only(n - whole, load_part(x, whole, n - whole) - mean, full(ZERO))
        b = b + v * v
    return total(a + b)


@jit
def normalize_run(row, x, y):
    """One mean and one variance: planes x rows x elements side by side."""
    planes, plane, to_plane = word(row, HEAD), word(row, HEAD + 1), word(row, HEAD + 2)
    rows, line, to_line, n = word(row, HEAD + 3), word(row, HEAD + 4), word(row, HEAD + 5), word(row, HEAD + 6)
    count, variance = np.float64(planes * rows * n), np.float64(0)
    mean = full(np.float32(sum_of_runs(x, planes, plane, rows, line, n) / count))
    for i in range(planes):
        for j in range(rows):
            for k in range(0, n, BLOCK):
                variance += np.float64(squares(x + i * plane + j * line + 4 * k, mean, min(BLOCK, n - k)))
    scale = full(np.float32(1 / np.sqrt(variance / count + np.float64(real(row, 2)))))
    for i in range(planes):
        for j in range(rows):
            at, to = x + i * plane + j * line, y + i * to_plane + j * to_line
            for k in range(0, n, LANES):
                store_some(to, k, n - k, (load_part(at, k, n - k) - mean) * scale)


@jit
def column_lines(x, lines, line, mean, squared, part, n):
    """part += the lines of n columns, or += the squared differences from the mean."""
    for _ in range(lines):
        for c in range(0, n, LANES):
            v = load_part(x, c, n - c) - load(mean, c)
            store(part, c, load(part, c) + (v * v if squared else v))
        x += line


@jit
def column_sum(row, x, mean, squared, part, out, n):
    """out = the sum over planes x rows x lines of n columns, or of their squared differences from the mean; in two levels."""
    lines, line = word(row, HEAD + 6), word(row, HEAD + 7)
    for c in range(0, n, LANES):
        store(out, c, full(ZERO))
    for i in range(word(row, HEAD)):
        for j in range(word(row, HEAD + 3)):
            for k in range(0, lines, LEVEL):
                for c in range(0, n, LANES):
                    store(part, c, full(ZERO))
                at = x + i * word(row, HEAD + 1) + j * word(row, HEAD + 4) + k * line
                column_lines(at, min(LEVEL, lines - k), line, mean, squared, part, n)
                for c in range(0, n, LANES):
                    store(out, c, load(out, c) + load(part, c))


@jit
def normalize_columns(row, x, y, n, scratch):
    """A mean and a variance of each of n columns, at most COLUMNS."""
    mean, scale, part, zeros = scratch, scratch + 4 * COLUMNS, scratch + 8 * COLUMNS, scratch + 12 * COLUMNS
    planes, rows, lines = word(row, HEAD), word(row, HEAD + 3), word(row, HEAD + 6)
    count = np.float32(planes * rows * lines)
    for c in range(0, n, LANES):
        store(zeros, c, full(ZERO))
    column_sum(row, x, zeros, False, part, mean, n)
    for c in range(0, n, LANES):
        store(mean, c, load(mean, c) / count)
    column_sum(row, x, mean, True, part, scale, n)
    for c in range(0, n, LANES):
        store(scale, c, ONE / sqrt(load(scale, c) / count + real(row, 2)))
    for i in range(planes):
        for j in range(rows):
            at, to = x + i * word(row, HEAD + 1) + j * word(row, HEAD + 4), y + i * word(row, HEAD + 2) + j * word(row, HEAD + 5)
            for _ in range(lines):
                for c in range(0, n, LANES):
                    store_some(to, c, n - c, (load_part(at, c, n - c) - load(mean, c)) * load(scale, c))
                at, to = at + word(row, HEAD + 7), to + word(row, HEAD + 8)


@kernel
def normalize(row, begin, end, scratch):
    """Words and tasks are those of `along_words`; word 2 is epsilon."""
    for task in range(begin, end):
        x, y, columns = along_start(row, task)
        if columns > 0:
            normalize_columns(row, x, y, columns, scratch)
        else:
            normalize_run(row, x, y)


@lowers(Normalize)
def lower_normalize(op: Normalize, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                    epilogue: Any = None) -> bool | None:
    """Normalizes float32 over any axes."""
    (x,), (out,) = inputs, outputs
    axes = [a % len(x.shape) for a in op.axes]
    found = walked(builder, x, out, axes, lambda y: y.strides) if x.dtype == "float32" and x.size else None
    if found is None:
        return False
    walk, x, y = found
    words, tasks = along_words(x, y, op.epsilon, walk)
    builder.step(normalize, words, tasks, float(WORK * x.size), [x], [y], scratch=16 * COLUMNS)
    builder.copy(y, out)
    return None
