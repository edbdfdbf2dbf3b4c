"""Softmax and its logarithm along an axis, of float32: the largest element, the exponentials and their sum, then the scale.

On the way back through softmax a sum of products, then what is scaled by it.

A row of -inf gives NaN, as in numpy; a masked element of -inf or -1e9 gives 0.
"""
from typing import Any

import numpy as np

from graphnet.backends.cpu.cache import jit, kernel
from graphnet.backends.cpu.kernels.normalization import (
    COLUMNS,
    HEAD,
    G,
    along_start,
    along_words,
    back_words,
    products,
    store_some,
)
from graphnet.backends.cpu.kernels.reduction import BLOCK, MAX, PAIR, RUNS, walked
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.cpu.simd import (
    LANES,
    at_least,
    below,
    full,
    largest,
    load,
    load_part,
    only,
    real,
    store,
    store_part,
    total,
    word,
)
from graphnet.backends.cpu.vectormath import exp, log
from graphnet.ops.scaling import LogSoftmax, Softmax, SoftmaxGrad

ZERO, ONE = np.float32(0), np.float32(1)
LOWEST = np.float32(-np.inf)
WORK = 24  # multiply-adds that take as long as an element

FADED = np.float32(-87)  # exp of less is denormal, which would take twice the time, or 0

softmax_larger = PAIR[MAX]
max_of_runs = RUNS[MAX]


@jit
def softmax_exp(x):
    """exp(x) of x <= 0; 0 where it would be denormal."""
    return below(x, FADED, full(ZERO), exp(at_least(x, FADED)))


@jit
def softmax_block(x, y, n, top, keep):
    """The sum of exp(x - top) over n elements, at most BLOCK, which are kept in y where asked for."""
    whole, a = n // LANES * LANES, full(ZERO)
    for i in range(0, whole, LANES):
        e = softmax_exp(load(x, i) - top)
        a = a + e
        if keep:
            store(y, i, e)
    if whole < n:
        e = softmax_exp(load_part(x, whole, n - whole) - top)
        a = a + only(n - whole, e, full(ZERO))
        if keep:
            store_part(y, whole, n - whole, e)
    return total(a)


@jit
def softmax_run(x, y, n, logarithm):
    """A row of n elements side by side."""
    top = full(np.float32(max_of_runs(x, 1, 0, 1, 0, n)))
    added = np.float64(0)
    for k in range(0, n, BLOCK):
        added += np.float64(softmax_block(x + 4 * k, y + 4 * k, min(BLOCK, n - k), top, not logarithm))
    whole = n // LANES * LANES
    if logarithm:
        low = log(full(np.float32(added)))
        for i in range(0, whole, LANES):
            store(y, i, load(x, i) - top - low)
        store_part(y, whole, n - whole, load_part(x, whole, n - whole) - top - low)
    else:
        scale = full(np.float32(1 / added))
        for i in range(0, whole, LANES):
            store(y, i, load(y, i) * scale)
        store_part(y, whole, n - whole, load_part(y, whole, n - whole) * scale)


@jit
def softmax_short(x, y, n):
    """A row of at most LANES elements."""
    v = load_part(x, 0, n)
    e = only(n, softmax_exp(v - full(largest(only(n, v, full(LOWEST))))), full(ZERO))
    store_part(y, 0, n, e * full(ONE / total(e)))


@jit
def softmax_columns(x, y, lines, step, to_step, n, logarithm, scratch):
    """n columns, at most COLUMNS, of `lines` elements each; the steps are in bytes."""
    top, added = scratch, scratch + 4 * COLUMNS
    for c in range(0, n, LANES):
        store(top, c, full(LOWEST))
        store(added, c, full(ZERO))
    for i in range(lines):
        for c in range(0, n, LANES):
            store(top, c, softmax_larger(load(top, c), load_part(x + i * step, c, n - c)))
    for i in range(lines):
        for c in range(0, n, LANES):
            e = softmax_exp(load_part(x + i * step, c, n - c) - load(top, c))
            store(added, c, load(added, c) + e)
            if not logarithm:
                store_some(y + i * to_step, c, n - c, e)
    for c in range(0, n, LANES):
        store(added, c, log(load(added, c)) if logarithm else ONE / load(added, c))
    for i in range(lines):
        for c in range(0, n, LANES):
            if logarithm:
                store_some(y + i * to_step, c, n - c, load_part(x + i * step, c, n - c) - load(top, c) - load(added, c))
            else:
                store_some(y + i * to_step, c, n - c, load_part(y + i * to_step, c, n - c) * load(added, c))


@kernel
def softmax(row, begin, end, scratch):
    """Words and tasks are those of `along_words`; word 2 is 1 where the logarithm is wanted."""
    logarithm = real(row, 2) != ZERO
    for task in range(begin, end):
        x, y, columns = along_start(row, task)
        if columns > 0:
            softmax_columns(x, y, word(row, HEAD + 6), word(row, HEAD + 7), word(row, HEAD + 8), columns, logarithm, scratch)
        elif word(row, HEAD + 6) <= LANES and not logarithm:
            softmax_short(x, y, word(row, HEAD + 6))
        else:
            softmax_run(x, y, word(row, HEAD + 6), logarithm)


@lowers(Softmax, LogSoftmax)
def lower_softmax(op: Any, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                  epilogue: Any = None) -> bool | None:
    """Softmax of float32 along one axis."""
    (x,), (out,) = inputs, outputs
    axes = [op.axis % len(x.shape)] if x.shape else []
    found = walked(builder, x, out, axes, lambda y: y.strides) if x.dtype == "float32" and x.size else None
    if found is None:
        return False
    walk, x, y = found
    words, tasks = along_words(x, y, float(isinstance(op, LogSoftmax)), walk)
    builder.step(softmax, words, tasks, float(WORK * x.size), [x], [y], scratch=8 * COLUMNS)
    builder.copy(y, out)
    return None


@jit
def softmax_back_run(x, y, g, n):
    """y = x * (g - sum(g * x)) over n elements side by side; x is the softmax."""
    added, zero = np.float64(0), full(ZERO)
    for k in range(0, n, BLOCK):
        added += np.float64(products(x + 4 * k, zero, g + 4 * k, min(BLOCK, n - k)))
    inner = full(np.float32(added))
    for i in range(0, n, LANES):
        store_some(y, i, n - i, load_part(x, i, n - i) * (load_part(g, i, n - i) - inner))


@jit
def softmax_back_columns(row, x, y, g, n, scratch):
    """The same of n columns, at most COLUMNS."""
    lines, step, to_step = word(row, HEAD + 6), word(row, HEAD + 7), word(row, HEAD + 8)
    for c in range(0, n, LANES):
        store(scratch, c, full(ZERO))
    for i in range(lines):
        for c in range(0, n, LANES):
            v = load_part(x + i * step, c, n - c) * load_part(g + i * step, c, n - c)
            store(scratch, c, load(scratch, c) + v)
    for i in range(lines):
        for c in range(0, n, LANES):
            v = load_part(g + i * step, c, n - c) - load(scratch, c)
            store_some(y + i * to_step, c, n - c, load_part(x + i * step, c, n - c) * v)


@kernel
def softmax_back(row, begin, end, scratch):
    """Words and tasks are those of `along_words`, of the softmax; word G is where g is, which lies as that does."""
    for task in range(begin, end):
        x, y, columns = along_start(row, task)
        g = word(row, G) + (x - word(row, 0))
        if columns > 0:
            softmax_back_columns(row, x, y, g, columns, scratch)
        else:
            softmax_back_run(x, y, g, word(row, HEAD + 6))


@lowers(SoftmaxGrad)
def lower_softmax_grad(op: SoftmaxGrad, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                       epilogue: Any = None) -> bool | None:
    """The way back through softmax of float32."""
    words = back_words(inputs, outputs[0], (op.axis,), 0.0, builder)
    if words is None:
        return False
    row, tasks, reads, y = words
    builder.step(softmax_back, row, tasks, float(WORK * y.size), reads, [y], scratch=4 * COLUMNS)
    builder.copy(y, outputs[0])
    return None
