"""Gathering by indices that come with the data: embeddings, take, take_along_axis, one_hot.

Indices are checked: one out of range is clamped, and the kernel writes its step and position to the status words, from which
the plan raises an error when the stretch has run.
"""
import math
from typing import Any

import numpy as np

from graphnet.backends.cpu.cache import jit, kernel
from graphnet.backends.cpu.kernels.copy import ITEM_WORK, TASK, copy_run
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder, Word
from graphnet.backends.cpu.simd import LANES, full, put_number, put_word, store, store_part, word, word32
from graphnet.ops.indexing import OneHot, Take, TakeAlongAxis

ZERO, ONE = np.float32(0), np.float32(1)
INDEX_WORK = 32  # multiply-adds that take as long as finding a row


@jit
def gather_index(ids, position, size):
    """The index at a position, of 4 or 8 bytes."""
    return word32(ids, position) if size == 4 else word(ids, position)


@jit
def gather_checked(index, extent, position, status, step):
    """The index counted from the front; clamped, and the error noted, where it is not in -extent..extent-1."""
    place = index + extent if index < 0 else index
    if 0 <= place < extent:
        return place
    put_word(status, 0, step)
    put_word(status, 1, position)
    put_word(status, 2, index)
    return min(max(place, 0), extent - 1)


@kernel
def gather(row, begin, end, scratch):
    """A task is a block of indices for one outer index. 0 x, 1 ids, 2 y, 3 status, 4 step, 5 bytes of an index, 6 extent of
    the axis, 7 items of a run, 8 bytes of an item; indices: 9 lines, 10 in a line, 11 in a block, 12 blocks of a line; bytes from
    one to the next: 13 outer index of x, 14 element of the axis; of y 15 outer index, 16 line, 17 index in a line"""
    ids, run, item, length, blocks = word(row, 1), word(row, 7), word(row, 8), word(row, 10), word(row, 12)
    for task in range(begin, end):
        line, outer, start = task // blocks % word(row, 9), task // blocks // word(row, 9), task % blocks * word(row, 11)
        x = word(row, 0) + outer * word(row, 13)
        y = word(row, 2) + outer * word(row, 15) + line * word(row, 16)
        for i in range(start, min(start + word(row, 11), length)):
            position = line * length + i
            index = gather_checked(gather_index(ids, position, word(row, 5)), word(row, 6), position, word(row, 3), word(row, 4))
            copy_run(y + i * word(row, 17), x + index * word(row, 14), run, item)


@kernel
def gather_along(row, begin, end, scratch):
    """A task is a run of one outer and one axis index. 0 x, 1 ids, 2 y, 3 status, 4 step, 5 bytes of an index, 6 extent of the
    axis in x, 7 in the ids, 8 items of a run, 9 bytes of an item; ids, y and x are contiguous"""
    run, item, extent = word(row, 8), word(row, 9), word(row, 6)
    for task in range(begin, end):
        x = word(row, 0) + task // word(row, 7) * extent * run * item
        for j in range(run):
            at = task * run + j
            index = gather_checked(gather_index(word(row, 1), at, word(row, 5)), extent, at, word(row, 3), word(row, 4))
            copy_run(word(row, 2) + at * item, x + (index * run + j) * item, 1, item)


@kernel
def one_hot(row, begin, end, scratch):
    """A task is one outer index. 0 ids, 1 y, 2 bytes of an index, 3 classes, 4 inner extent; both contiguous"""
    classes, inner = word(row, 3), word(row, 4)
    size = classes * inner
    for task in range(begin, end):
        y = word(row, 1) + 4 * task * size
        for i in range(0, size - LANES + 1, LANES):
            store(y, i, full(ZERO))
        store_part(y, size // LANES * LANES, size % LANES, full(ZERO))
        for j in range(inner):
            index = gather_index(word(row, 0), task * inner + j, word(row, 2))
            if 0 <= index < classes:
                put_number(y, index * inner + j, ONE)


def _splits(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """(lines, indices in a line) as which indices of that shape can be walked; one line first."""
    return [(math.prod(shape[:k]), math.prod(shape[k:])) for k in range(max(1, len(shape)))]


def _placed(out: Operand, outer: int, shape: tuple[int, ...], run: int) -> Operand | None:
    """The output as (outer, lines, indices, run) whose runs are contiguous; None where its strides do not allow it."""
    for lines, length in _splits(shape):
        y = out.reshape((outer, lines, length, run))
        if y is not None and (run == 1 or y.strides[3] == 1):
            return y
    return None


@lowers(Take)
def lower_take(op: Take, inputs: list[Operand], outputs: list[Operand], builder: Builder, epilogue: Any = None) -> bool | None:
    """Rows of x, of any dtype, where the indices are int32 or int64."""
    (x, ids), (out,) = inputs, outputs
    if ids.dtype not in ("int32", "int64") or not out.size:
        return False
    extent, outer, run = x.shape[op.axis], math.prod(x.shape[:op.axis]), math.prod(x.shape[op.axis + 1:])
    table = x.reshape((outer, extent, run))
    if table is None or run > 1 and table.strides[2] != 1:
        x = builder.contiguous(x)
        table = x.reshape((outer, extent, run))
    ids = builder.contiguous(ids)
    y = _placed(out, outer, ids.shape, run)
    target = out if y is not None else builder.temporary(out.shape, out.dtype)
    y = y or _placed(target, outer, ids.shape, run)
    assert table is not None and y is not None  # contiguous operands take any shape
    lines, length = y.shape[1:3]
    item, block = x.itemsize, min(length, max(1, TASK // run))
    blocks = -(-length // block)
    words: list[Word] = [table, ids, y, builder.status, builder.next_step + 1, ids.itemsize, extent, run, item, lines, length,
                         block, blocks, item * table.strides[0], item * table.strides[1], *[item * s for s in y.strides[:3]]]
    work = ITEM_WORK * out.size + INDEX_WORK * outer * ids.size
    builder.step(gather, words, outer * lines * blocks, float(work), [x, ids], [y])
    builder.copy(target, out)
    return None


@lowers(TakeAlongAxis)
def lower_take_along_axis(op: TakeAlongAxis, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                          epilogue: Any = None) -> bool | None:
    """Items of x, of any dtype, where the indices are int32 or int64 and the other axes agree."""
    (x, ids), (out,) = inputs, outputs
    axis = op.axis
    agree = x.shape[:axis] == ids.shape[:axis] and x.shape[axis + 1:] == ids.shape[axis + 1:]
    if ids.dtype not in ("int32", "int64") or not out.size or not agree:
        return False
    x, ids = builder.contiguous(x), builder.contiguous(ids)
    y = out if out.contiguous else builder.temporary(out.shape, out.dtype)
    run = math.prod(x.shape[axis + 1:])
    words: list[Word] = [x, ids, y, builder.status, builder.next_step + 1, ids.itemsize, x.shape[axis], ids.shape[axis], run,
                         x.itemsize]
    builder.step(gather_along, words, out.size // run, float((ITEM_WORK + INDEX_WORK) * out.size), [x, ids], [y])
    builder.copy(y, out)
    return None


@lowers(OneHot)
def lower_one_hot(op: OneHot, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                  epilogue: Any = None) -> bool | None:
    """float32 ones at int32 or int64 indices."""
    (ids,), (out,) = inputs, outputs
    if ids.dtype not in ("int32", "int64") or out.dtype != "float32" or not out.size:
        return False
    ids = builder.contiguous(ids)
    y = out if out.contiguous else builder.temporary(out.shape)
    inner = math.prod(out.shape[op.axis % len(out.shape) + 1:])
    words: list[Word] = [ids, y, ids.itemsize, op.num_classes, inner]
    builder.step(one_hot, words, ids.size // inner, float(ITEM_WORK * out.size), [ids], [y])
    builder.copy(y, out)
    return None
