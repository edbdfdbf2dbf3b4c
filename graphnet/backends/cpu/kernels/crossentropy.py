"""Softmax cross-entropy from scores, and its gradient: one walk over each row of scores, which stays in cache for it.

Targets are labels or weights of the classes. A label that is no class is noted in the status words, as an index out of range is.
"""
from typing import Any

import numpy as np

from graphnet.backends.cpu.cache import Kernel, jit, kernel
from graphnet.backends.cpu.kernels.gather import gather_index
from graphnet.backends.cpu.kernels.normalization import store_some, sum_of_runs
from graphnet.backends.cpu.kernels.reduction import BLOCK
from graphnet.backends.cpu.kernels.softmax import max_of_runs, softmax_block, softmax_exp
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder, Word
from graphnet.backends.cpu.simd import (
    LANES,
    full,
    largest,
    load,
    load_part,
    number,
    only,
    put_number,
    put_word,
    store,
    store_part,
    total,
    word,
)
from graphnet.backends.cpu.vectormath import log
from graphnet.ops.classes import ClassScore, SoftmaxCrossentropy, SoftmaxCrossentropyGrad

ZERO, ONE, LOWEST = np.float32(0), np.float32(1), np.float32(-np.inf)
WORK = 24  # multiply-adds that take as long as an element
TASK = 4096  # elements of a task


@jit
def crossentropy_label(row, i):
    """The label of row i; class 0, and the error noted, where it is none."""
    label = gather_index(word(row, 0), i, word(row, 7))
    if 0 <= label < word(row, 4):
        return label
    put_word(word(row, 8), 0, word(row, 9))
    put_word(word(row, 8), 1, i)
    put_word(word(row, 8), 2, label)
    return 0


@jit
def crossentropy_sum(x, y, n, keep):
    """The largest element of a row, and the sum of exp(x - largest), whose terms are kept in y where asked for."""
    if n <= LANES:
        v = load_part(x, 0, n)
        top = largest(only(n, v, full(LOWEST)))
        e = only(n, softmax_exp(v - full(top)), full(ZERO))
        if keep:
            store_part(y, 0, n, e)
        return top, total(e)
    top = np.float32(max_of_runs(x, 1, 0, 1, 0, n))
    added = np.float64(0)
    for k in range(0, n, BLOCK):
        added += np.float64(softmax_block(x + 4 * k, y + 4 * k, min(BLOCK, n - k), full(top), keep))
    return top, np.float32(added)


@jit
def crossentropy_weighted(t, x, n, top, low):
    """The sum of t * (low - (x - top)) over n elements, at most BLOCK."""
    whole, a = n // LANES * LANES, full(ZERO)
    for i in range(0, whole, LANES):
        a = a + load(t, i) * (low - (load(x, i) - top))
    if whole < n:
        a = a + only(n - whole, load_part(t, whole, n - whole) * (low - (load_part(x, whole, n - whole) - top)), full(ZERO))
    return total(a)


@jit
def crossentropy_scaled(y, t, n, scale, g, weighted):
    """y = (y * scale - t) * g over a row; without t where it is not weighted."""
    whole = n // LANES * LANES
    for i in range(0, whole, LANES):
        store(y, i, (load(y, i) * scale - load(t, i)) * g if weighted else load(y, i) * scale * g)
    if whole < n:
        v = load_part(y, whole, n - whole) * scale
        store_part(y, whole, n - whole, (v - load_part(t, whole, n - whole)) * g if weighted else v * g)


@kernel
def crossentropy(row, begin, end, scratch):
    """A task is some rows. 0 targets, 1 x, 2 loss or, for the gradient, its cotangent, 3 the gradient's place, 4 classes, 5 rows,
    6 rows of a task, 7 bytes of a label (0: weights of classes), 8 status, 9 step; all contiguous"""
    n = word(row, 4)
    for task in range(begin, end):
        first = task * word(row, 6)
        count, loss = min(word(row, 6), word(row, 5) - first), word(row, 2) + 4 * first
        for j in range(count):
            i = first + j
            x, t = word(row, 1) + 4 * i * n, word(row, 0) + 4 * i * n
            top, added = crossentropy_sum(x, x, n, False)
            if word(row, 7):  # the logarithms follow, those of many rows at a time
                put_number(loss, j, top - number(x, crossentropy_label(row, i)))
                put_number(scratch, j, added)
            else:
                low, weighted = log(full(added)), np.float64(0)
                for k in range(0, n, BLOCK):
                    weighted += np.float64(crossentropy_weighted(t + 4 * k, x + 4 * k, min(BLOCK, n - k), full(top), low))
                put_number(loss, j, np.float32(weighted))
        if word(row, 7):
            for j in range(0, count, LANES):
                store_some(loss, j, count - j, load_part(loss, j, count - j) + log(load_part(scratch, j, count - j)))


@kernel
def crossentropy_grad(row, begin, end, scratch):
    """Words and tasks are those of `crossentropy`"""
    n = word(row, 4)
    for i in range(begin * word(row, 6), min(end * word(row, 6), word(row, 5))):
        x, y, t = word(row, 1) + 4 * i * n, word(row, 3) + 4 * i * n, word(row, 0) + 4 * i * n
        g = number(word(row, 2), i)
        _, added = crossentropy_sum(x, y, n, True)
        scale = ONE / added
        if word(row, 7):
            label = crossentropy_label(row, i)
            there = (number(y, label) * scale - ONE) * g
            crossentropy_scaled(y, y, n, full(scale), full(g), False)
            put_number(y, label, there)
        else:
            scale *= np.float32(sum_of_runs(t, 1, 0, 1, 0, n))
            crossentropy_scaled(y, t, n, full(scale), full(g), True)


@kernel
def class_score(row, begin, end, scratch):
    """Words and tasks are those of `crossentropy`; 2 is the result"""
    for i in range(begin * word(row, 6), min(end * word(row, 6), word(row, 5))):
        put_number(word(row, 2), i, number(word(row, 1), i * word(row, 4) + crossentropy_label(row, i)))


def _add(function: Kernel, target: Operand, x: Operand, third: Operand, y: Operand | None, work: int, builder: Builder) -> None:
    """The step of one of the kernels; `third` is what is read or written a number for each row."""
    classes = x.shape[-1]
    rows, some = x.size // classes, max(1, TASK // classes)
    sparse = target.dtype in ("int32", "int64")
    words: list[Word] = [target, x, third, y, classes, rows, some, target.itemsize if sparse else 0, builder.status, builder.next_step + 1]
    label = f"{builder.label} (class labels, expected between 0 and {classes - 1})" if sparse else builder.label
    reads, writes = ([target, x], [third]) if y is None else ([target, x, third], [y])
    builder.step(function, words, -(-rows // some), float(work), reads, writes, 4 * some, label)


def _accepts(target: Operand, x: Operand) -> bool:
    return x.dtype == "float32" and x.size > 0 and target.dtype in ("int32", "int64", "float32")


@lowers(SoftmaxCrossentropy, ClassScore)
def lower_crossentropy(op: Any, inputs: list[Operand], outputs: list[Operand], builder: Builder, epilogue: Any = None) -> bool | None:
    """A number for each row of float32 scores."""
    (target, x), (out,) = inputs, outputs
    if not _accepts(target, x):
        return False
    target, x = builder.contiguous(target), builder.contiguous(x)
    y = out if out.contiguous else builder.temporary(out.shape)
    if isinstance(op, ClassScore):
        _add(class_score, target, x, y, None, 8 * y.size, builder)
    else:
        _add(crossentropy, target, x, y, None, WORK * x.size, builder)
    builder.copy(y, out)
    return None


@lowers(SoftmaxCrossentropyGrad)
def lower_crossentropy_grad(op: SoftmaxCrossentropyGrad, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                            epilogue: Any = None) -> bool | None:
    """A row of float32 for each row of scores."""
    (target, x, g), (out,) = inputs, outputs
    if not _accepts(target, x) or g.dtype != "float32":
        return False
    target, x, g = builder.contiguous(target), builder.contiguous(x), builder.contiguous(g)
    y = out if out.contiguous else builder.temporary(out.shape)
    _add(crossentropy_grad, target, x, g, y, WORK * x.size, builder)
    builder.copy(y, out)
    return None
