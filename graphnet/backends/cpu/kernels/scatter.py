"""Adding rows to a table at indices that come with the data: the gradient of an embedding, of take and take_along_axis.

A task owns a block of the table: it clears the block, walks all indices in order and adds the rows that fall into it. So no two
tasks write to one place, and the order of the additions is that of the indices, however many threads there are.
"""
import math
from typing import Any

from graphnet.backends.cpu.cache import jit, kernel
from graphnet.backends.cpu.kernels.copy import ITEM_WORK
from graphnet.backends.cpu.kernels.gather import gather_checked, gather_index
from graphnet.backends.cpu.kernels.halo import zeros
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder, Word
from graphnet.backends.cpu.simd import LANES, load, load_part, number, put_number, store, store_part, word
from graphnet.ops.indexing import TakeAlongAxisGrad, TakeGrad

BLOCKS = 16  # tasks of a table: each walks all indices, so that more of them would cost more than they share
PIECE = 64  # columns that a task has at least, where rows are too few to share
WALK_WORK = 8  # multiply-adds that take as long as looking at an index


@jit
def scatter_row(y, g, n):
    """y += g, n elements."""
    whole = n // LANES * LANES
    for i in range(0, whole, LANES):
        store(y, i, load(y, i) + load(g, i))
    if whole < n:
        store_part(y, whole, n - whole, load_part(y, whole, n - whole) + load_part(g, whole, n - whole))


@kernel
def scatter_add(row, begin, end, scratch):
    """A task is a block of rows and columns of one outer index. 0 g, 1 ids, 2 y, 3 status, 4 step, 5 bytes of an index, 6 rows of
    the table, 7 indices, 8 columns, 9 blocks of rows, 10 rows in one, 11 blocks of columns, 12 columns in one; all contiguous"""
    ids, size, extent, count, run = word(row, 1), word(row, 5), word(row, 6), word(row, 7), word(row, 8)
    for task in range(begin, end):
        rest, piece = task // word(row, 11), task % word(row, 11)
        outer, block = rest // word(row, 9), rest % word(row, 9)
        column, first = piece * word(row, 12), block * word(row, 10)
        n, last = min(word(row, 12), run - column), min(first + word(row, 10), extent)
        y = word(row, 2) + 4 * (outer * extent * run + column)
        g = word(row, 0) + 4 * (outer * count * run + column)
        if n == run:
            zeros(y + 4 * first * run, (last - first) * run)
        else:
            for i in range(first, last):
                zeros(y + 4 * i * run, n)
        for i in range(count):
            index = gather_checked(gather_index(ids, i, size), extent, i, word(row, 3), word(row, 4))
            if first <= index < last:
                scatter_row(y + 4 * index * run, g + 4 * i * run, n)


@kernel
def scatter_along(row, begin, end, scratch):
    """A task is a block of columns of one outer index. 0 g, 1 ids, 2 y, 3 status, 4 step, 5 bytes of an index, 6 extent of the axis
    in y, 7 in g and ids, 8 columns, 9 blocks of columns, 10 columns in one; all contiguous"""
    extent, lines, run = word(row, 6), word(row, 7), word(row, 8)
    for task in range(begin, end):
        outer, column = task // word(row, 9), task % word(row, 9) * word(row, 10)
        n = min(word(row, 10), run - column)
        y, start = word(row, 2) + 4 * (outer * extent * run + column), outer * lines * run + column
        for i in range(extent):
            zeros(y + 4 * i * run, n)
        for i in range(lines):
            for j in range(n):
                at = start + i * run + j
                index = gather_checked(gather_index(word(row, 1), at, word(row, 5)), extent, at, word(row, 3), word(row, 4))
                put_number(y, index * run + j, number(y, index * run + j) + number(word(row, 0), at))


def _accepts(g: Operand, ids: Operand, out: Operand) -> bool:
    return ids.dtype in ("int32", "int64") and g.dtype == "float32" and out.size > 0


def _words(g: Operand, ids: Operand, out: Operand, builder: Builder) -> tuple[list[Word], list[Operand], Operand]:
    """The first words of both kernels, and their operands, contiguous."""
    g, ids = builder.contiguous(g), builder.contiguous(ids)
    y = out if out.contiguous else builder.temporary(out.shape)
    return [g, ids, y, builder.status, builder.next_step + 1, ids.itemsize], [g, ids], y


@lowers(TakeGrad)
def lower_take_grad(op: TakeGrad, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                    epilogue: Any = None) -> bool | None:
    """Rows of float32 added into a table of zeros, at int32 or int64 indices."""
    (g, ids), (out,) = inputs, outputs
    if not _accepts(g, ids, out):
        return False
    extent, outer, run = out.shape[op.axis], math.prod(out.shape[:op.axis]), math.prod(out.shape[op.axis + 1:])
    words, reads, y = _words(g, ids, out, builder)
    rows = -(-extent // BLOCKS)
    blocks = -(-extent // rows)
    columns = max(-(-run // (BLOCKS // blocks)), PIECE)
    pieces = -(-run // columns)
    words += [extent, ids.size, run, blocks, rows, pieces, columns]
    work = ITEM_WORK * (out.size + g.size) + WALK_WORK * outer * blocks * pieces * ids.size
    builder.step(scatter_add, words, outer * blocks * pieces, float(work), reads, [y])
    builder.copy(y, out)
    return None


@lowers(TakeAlongAxisGrad)
def lower_take_along_axis_grad(op: TakeAlongAxisGrad, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                               epilogue: Any = None) -> bool | None:
    """Elements of float32 added into zeros, at int32 or int64 indices of their own."""
    (g, ids), (out,) = inputs, outputs
    if not _accepts(g, ids, out) or g.shape != ids.shape:
        return False
    outer, run = math.prod(out.shape[:op.axis]), math.prod(out.shape[op.axis + 1:])
    words, reads, y = _words(g, ids, out, builder)
    columns = max(-(-run // BLOCKS), PIECE)
    pieces = -(-run // columns)
    words += [out.shape[op.axis], g.shape[op.axis], run, pieces, columns]
    builder.step(scatter_along, words, outer * pieces, float(ITEM_WORK * (out.size + 2 * g.size)), reads, [y])
    builder.copy(y, out)
    return None
