"""(x - mean) / sqrt(variance + epsilon) over axes: layer, group and instance normalization; and the way back.

Mean first, then the mean of the squared differences from it, so that nothing cancels. Either the innermost axis is among those
normalized and vectors run along it, or it is kept and vectors lie across it.
"""
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphnet.backends.cpu.cache import jit, kernel
from graphnet.backends.cpu.encoding import add_tape
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
    VOID,
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
    word,
)
from graphnet.ops.elementwise import Add, Multiply
from graphnet.ops.scaling import Normalize, NormalizeGrad

ZERO, ONE = np.float32(0), np.float32(1)
WORK = 12  # multiply-adds that take as long as an element
COLUMNS = 256  # columns of a task
PLAIN, SQUARED, TIMES = range(3)  # kinds of sums of columns
HEAD, OUTSIDE = 5, 5 + 3 * REDUCED  # where the words of the reduced and of the outer axes begin
G = OUTSIDE + 3 * OUTER  # of the way back: where g is, which lies as x does

SCALED = ((Multiply(), (0, 1)), (Add(), (3, 2)))  # the program that multiplies by operand 1 and adds operand 2

sum_of_runs = RUNS[SUM]


def _store_some(builder: Any, y: Any, i: Any, n: Any, x: Any) -> None:
    where = pointer(builder, y, i)
    with builder.if_else(builder.icmp_signed(">=", n, I64(LANES))) as (whole, part):
        with whole:
            builder.store(x, where, align=4)
        with part:
            masked_store(builder, x, where, first(builder, n))


# store_some(y, i, n, x): the first n lanes of x, all of them without a mask (which costs on some processors)
store_some = define("store_some", VOID, (A, A, A, V), _store_some)


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
def products(x, mean, g, n):
    """The sum of (x - mean) * g over n elements side by side, at most BLOCK."""
    whole, a = n // LANES * LANES, full(ZERO)
    for i in range(0, whole, LANES):
        a = a + (load(x, i) - mean) * load(g, i)
    if whole < n:
        a = a + only(n - whole, (load_part(x, whole, n - whole) - mean) * load_part(g, whole, n - whole), full(ZERO))
    return total(a)


@jit
def run_mean(row, x):
    """The mean of a run: planes x rows x elements side by side."""
    planes, rows, n = word(row, HEAD), word(row, HEAD + 3), word(row, HEAD + 6)
    return np.float32(sum_of_runs(x, planes, word(row, HEAD + 1), rows, word(row, HEAD + 4), n) / np.float64(planes * rows * n))


@jit
def run_products(row, x, mean, other):
    """The mean of (x - mean) * other over a run; of its square, where other is x."""
    planes, plane, rows, line = word(row, HEAD), word(row, HEAD + 1), word(row, HEAD + 3), word(row, HEAD + 4)
    n, added = word(row, HEAD + 6), np.float64(0)
    for i in range(planes):
        for j in range(rows):
            for k in range(0, n, BLOCK):
                at = i * plane + j * line + 4 * k
                if other == x:
                    added += np.float64(squares(x + at, mean, min(BLOCK, n - k)))
                else:
                    added += np.float64(products(x + at, mean, other + at, min(BLOCK, n - k)))
    return added / np.float64(planes * rows * n)


@jit
def run_scale(row, x, mean):
    """1 / sqrt(variance + epsilon)."""
    return 1 / np.sqrt(run_products(row, x, mean, x) + np.float64(real(row, 2)))


@jit
def normalize_run(row, x, y):
    """One mean and one variance: planes x rows x elements side by side."""
    planes, plane, to_plane = word(row, HEAD), word(row, HEAD + 1), word(row, HEAD + 2)
    rows, line, to_line, n = word(row, HEAD + 3), word(row, HEAD + 4), word(row, HEAD + 5), word(row, HEAD + 6)
    mean = full(run_mean(row, x))
    scale = full(np.float32(run_scale(row, x, mean)))
    for i in range(planes):
        for j in range(rows):
            at, to = x + i * plane + j * line, y + i * to_plane + j * to_line
            for k in range(0, n, LANES):
                store_some(to, k, n - k, (load_part(at, k, n - k) - mean) * scale)


@jit
def normalize_scaled_run(row, x, y):
    """The same of elements side by side, each times its own factor, and plus its own shift."""
    n, factors, shifts = word(row, HEAD + 6), word(row, G), word(row, G + 1)
    mean = full(run_mean(row, x))
    scale = full(np.float32(run_scale(row, x, mean)))
    for k in range(0, n, LANES):
        v = (load_part(x, k, n - k) - mean) * scale
        store_some(y, k, n - k, v * load_part(factors, k, n - k) + load_part(shifts, k, n - k))


@jit
def column_lines(x, lines, line, mean, kind, other, part, n):
    """part += the lines of n columns less the mean: as that is, its square, or times what lies `other` bytes further."""
    for _ in range(lines):
        for c in range(0, n, LANES):
            v = load_part(x, c, n - c) - load(mean, c)
            if kind == SQUARED:
                v = v * v
            elif kind == TIMES:
                v = v * load_part(x + other, c, n - c)
            store(part, c, load(part, c) + v)
        x += line


@jit
def column_sum(row, x, mean, kind, other, part, out, n):
    """out = the sum over planes x rows x lines of what `column_lines` says, of n columns; in two levels."""
    lines, line = word(row, HEAD + 6), word(row, HEAD + 7)
    for c in range(0, n, LANES):
        store(out, c, full(ZERO))
    for i in range(word(row, HEAD)):
        for j in range(word(row, HEAD + 3)):
            for k in range(0, lines, LEVEL):
                for c in range(0, n, LANES):
                    store(part, c, full(ZERO))
                at = x + i * word(row, HEAD + 1) + j * word(row, HEAD + 4) + k * line
                column_lines(at, min(LEVEL, lines - k), line, mean, kind, other, part, n)
                for c in range(0, n, LANES):
                    store(out, c, load(out, c) + load(part, c))


@jit
def column_moments(row, x, mean, scale, part, zeros, n):
    """The means of n columns, at most COLUMNS, and 1 / sqrt(variance + epsilon); zeros are written."""
    count = np.float32(word(row, HEAD) * word(row, HEAD + 3) * word(row, HEAD + 6))
    for c in range(0, n, LANES):
        store(zeros, c, full(ZERO))
    column_sum(row, x, zeros, PLAIN, 0, part, mean, n)
    for c in range(0, n, LANES):
        store(mean, c, load(mean, c) / count)
    column_sum(row, x, mean, SQUARED, 0, part, scale, n)
    for c in range(0, n, LANES):
        store(scale, c, ONE / sqrt(load(scale, c) / count + real(row, 2)))


@jit
def normalize_columns(row, x, y, n, scratch):
    """A mean and a variance of each of n columns, at most COLUMNS."""
    mean, scale = scratch, scratch + 4 * COLUMNS
    planes, rows, lines = word(row, HEAD), word(row, HEAD + 3), word(row, HEAD + 6)
    column_moments(row, x, mean, scale, scratch + 8 * COLUMNS, scratch + 12 * COLUMNS, n)
    for i in range(planes):
        for j in range(rows):
            at, to = x + i * word(row, HEAD + 1) + j * word(row, HEAD + 4), y + i * word(row, HEAD + 2) + j * word(row, HEAD + 5)
            for _ in range(lines):
                for c in range(0, n, LANES):
                    store_some(to, c, n - c, (load_part(at, c, n - c) - load(mean, c)) * load(scale, c))
                at, to = at + word(row, HEAD + 7), to + word(row, HEAD + 8)


@kernel
def normalize(row, begin, end, scratch):
    """Words and tasks are those of `along_words`; word 2 is epsilon, words G and G + 1 are where scale and shift are, or 0."""
    for task in range(begin, end):
        x, y, columns = along_start(row, task)
        if columns > 0:
            normalize_columns(row, x, y, columns, scratch)
        elif word(row, G):
            normalize_scaled_run(row, x, y)
        else:
            normalize_run(row, x, y)


@lowers(Normalize)
def lower_normalize(op: Normalize, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                    epilogue: Any = None) -> bool | None:
    """Normalizes float32 over any axes; over the last alone with scale and shift in one go."""
    (x, *along), (out,) = inputs, outputs
    axes = [a % len(x.shape) for a in op.axes]
    found = walked(builder, x, out, axes, lambda y: y.strides) if x.dtype == "float32" and x.size else None
    if found is None:
        return False
    walk, x, y = found
    whole = axes == [len(x.shape) - 1] and not walk.columns and all(v.contiguous for v in along)
    target = y if whole or not along else builder.temporary(out.shape)
    if target is not y:
        return lower_normalize(op, [x], [target], builder) is not False and add_tape(SCALED, [target, *along], out, builder)
    words, tasks = along_words(x, y, op.epsilon, walk)
    words += along or [0, 0]
    builder.step(normalize, words, tasks, float(WORK * x.size), [x, *along], [y], scratch=16 * COLUMNS)
    builder.copy(y, out)
    return None


@jit
def normalize_back_run(row, x, y, g):
    """y = scale * (g - mean(g) - (x - mean) * factor), factor = scale^2 * mean(g * (x - mean)), of one run."""
    planes, plane, to_plane = word(row, HEAD), word(row, HEAD + 1), word(row, HEAD + 2)
    rows, line, to_line, n = word(row, HEAD + 3), word(row, HEAD + 4), word(row, HEAD + 5), word(row, HEAD + 6)
    mean, middle = full(run_mean(row, x)), full(run_mean(row, g))
    sharp = run_scale(row, x, mean)
    factor, scale = full(np.float32(sharp * sharp * run_products(row, x, mean, g))), full(np.float32(sharp))
    for i in range(planes):
        for j in range(rows):
            at, to = i * plane + j * line, y + i * to_plane + j * to_line
            for k in range(0, n, LANES):
                v = (load_part(x + at, k, n - k) - mean) * factor
                store_some(to, k, n - k, (load_part(g + at, k, n - k) - middle - v) * scale)


@jit
def normalize_back_columns(row, x, y, g, n, scratch):
    """The same of n columns, at most COLUMNS."""
    mean, scale, part = scratch, scratch + 4 * COLUMNS, scratch + 8 * COLUMNS
    middle, factor = scratch + 12 * COLUMNS, scratch + 16 * COLUMNS
    planes, rows, lines = word(row, HEAD), word(row, HEAD + 3), word(row, HEAD + 6)
    count = np.float32(planes * rows * lines)
    column_moments(row, x, mean, scale, part, factor, n)
    column_sum(row, g, factor, PLAIN, 0, part, middle, n)
    column_sum(row, x, mean, TIMES, g - x, part, factor, n)
    for c in range(0, n, LANES):
        store(middle, c, load(middle, c) / count)
        store(factor, c, load(factor, c) / count * load(scale, c) * load(scale, c))
    for i in range(planes):
        for j in range(rows):
            at, to = i * word(row, HEAD + 1) + j * word(row, HEAD + 4), y + i * word(row, HEAD + 2) + j * word(row, HEAD + 5)
            for _ in range(lines):
                for c in range(0, n, LANES):
                    v = (load_part(x + at, c, n - c) - load(mean, c)) * load(factor, c)
                    store_some(to, c, n - c, (load_part(g + at, c, n - c) - load(middle, c) - v) * load(scale, c))
                at, to = at + word(row, HEAD + 7), to + word(row, HEAD + 8)


def back_words(inputs: list[Operand], out: Operand, axes: Sequence[int], option: float,
               builder: Builder) -> tuple[list[Any], int, list[Operand], Operand] | None:
    """Words and tasks of a kernel that reads g and x, brought into one order, with the operands read and the one written.

    None where they are not of float32, or there is no such walk.
    """
    g, x = inputs
    if any(v.dtype != "float32" for v in inputs) or not x.size or g.shape != x.shape:
        return None
    found = walked(builder, builder.contiguous(x), out, axes, lambda y: y.strides)
    if found is None:
        return None
    (walk, x, y), g = found, builder.contiguous(g)
    words, tasks = along_words(x, y, option, walk)
    return [*words, g], tasks, [x, g], y


@kernel
def normalize_back(row, begin, end, scratch):
    """Words and tasks are those of `along_words`; word 2 is epsilon, and word G where g is."""
    for task in range(begin, end):
        x, y, columns = along_start(row, task)
        g = word(row, G) + (x - word(row, 0))
        if columns > 0:
            normalize_back_columns(row, x, y, g, columns, scratch)
        else:
            normalize_back_run(row, x, y, g)


@lowers(NormalizeGrad)
def lower_normalize_grad(op: NormalizeGrad, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                         epilogue: Any = None) -> bool | None:
    """The way back through `Normalize` of float32."""
    words = back_words(inputs, outputs[0], op.axes, op.epsilon, builder)
    if words is None:
        return False
    row, tasks, reads, y = words
    builder.step(normalize_back, row, tasks, float(2 * WORK * y.size), reads, [y], scratch=20 * COLUMNS)
    builder.copy(y, outputs[0])
    return None
