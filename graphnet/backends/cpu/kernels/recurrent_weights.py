"""Weights of recurrent layers as their kernels read them: once for all plans where they are constant, else by the plan."""
import numpy as np

from graphnet.backends.cpu.cache import kernel
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder, Word
from graphnet.backends.cpu.simd import LANES, load_part, store, word

PIECE = 64  # rows of a task


@kernel
def recurrent_pack(row, begin, end, scratch):
    """A task is PIECE rows of a block: vectors side by side, zeros behind the last column.

    0 source, 1 to, 2 rows, 3 vectors of a block, 4 columns; 5 elements of the source between rows, 6 vectors, 7 blocks;
    8 columns that a vector and 9 that a block takes; 10 elements of the result between rows, 11 blocks
    """
    source, to, rows, vectors, columns = word(row, 0), word(row, 1), word(row, 2), word(row, 3), word(row, 4)
    pieces = (rows + PIECE - 1) // PIECE
    for task in range(begin, end):
        block, piece = task // pieces, task % pieces
        for k in range(piece * PIECE, min(rows, (piece + 1) * PIECE)):
            at = source + 4 * (k * word(row, 5) + block * word(row, 7))
            out = to + 4 * (k * word(row, 10) + block * word(row, 11))
            left = columns - block * word(row, 9)
            for v in range(vectors):
                store(out, v * LANES, load_part(at, v * word(row, 6), left - v * word(row, 8)))


def _pack(builder: Builder, x: Operand, to: Operand, rows: int, vectors: int, columns: int, blocks: int, steps: tuple[int, int],
          takes: tuple[int, int], into: tuple[int, int]) -> None:
    """Adds the step; steps: elements of x between vectors and blocks; takes, into: words 8 and 9, 10 and 11."""
    words: list[Word] = [x, to, rows, vectors, columns, x.strides[0], *steps, *takes, *into]
    builder.step(recurrent_pack, words, blocks * -(-rows // PIECE), float(rows * vectors * blocks * LANES), [x], [to])


def rows_of(builder: Builder, x: Operand) -> Operand:
    """A matrix whose rows are contiguous: x, or a copy."""
    return x if x.strides[1] == 1 or x.shape[1] == 1 else builder.contiguous(x)


def in_order(builder: Builder, w: Operand, gates: int) -> Operand:
    """`ordered` weights (K, gates * H)."""
    if w.fixed:
        return builder.packed(w, ("recurrent_ordered", gates), lambda value: ordered(gates, value))
    x, (rows, columns) = rows_of(builder, w), w.shape
    units = columns // gates
    blocks = -(-units // LANES)
    to = builder.temporary((rows, blocks * gates * LANES))
    _pack(builder, x, to, rows, gates, units, blocks, (units, LANES), (0, LANES), (blocks * gates * LANES, gates * LANES))
    return to


def in_blocks(builder: Builder, w: Operand, gates: int) -> Operand:
    """`blocked` recurrent weights (H, gates * H)."""
    if w.fixed:
        return builder.packed(w, ("recurrent_blocked", gates), lambda value: blocked(gates, value))
    x, rows, units = rows_of(builder, w), w.shape[0], w.shape[1] // gates
    blocks = -(-units // LANES)
    to = builder.temporary((rows * blocks * gates * LANES,))
    _pack(builder, x, to, rows, gates, units, blocks, (units, LANES), (0, LANES), (gates * LANES, rows * gates * LANES))
    return to


def transposed_in_blocks(builder: Builder, w: Operand, most: int) -> Operand:
    """The transpose (gates * H, H) of recurrent weights, in blocks of `most` vectors and a last one of those that are left."""
    turned = w.transpose((1, 0))
    if w.fixed:
        return builder.packed(turned, ("recurrent_transposed", most), lambda value: in_groups(most, value))
    x, (rows, columns) = builder.contiguous(turned), turned.shape
    vectors = -(-columns // LANES)
    to, whole = builder.temporary((rows * vectors * LANES,)), vectors // most
    if whole:
        into = (most * LANES, rows * most * LANES)
        _pack(builder, x, to, rows, most, columns, whole, (LANES, most * LANES), (LANES, most * LANES), into)
    if vectors % most:
        begin, left = whole * most * LANES, vectors % most
        rest = x.view(begin, (rows, columns - begin), x.strides)
        _pack(builder, rest, to.view(begin * rows, (rows * left * LANES,), (1,)), rows, left, columns - begin, 1, (LANES, 0),
              (LANES, 0), (left * LANES, 0))
    return to


def packed_apart(builder: Builder, w: Operand) -> Operand:
    """A GRU's recurrent weights: those of z and r, then those of h, each `blocked`."""
    units = w.shape[0]
    if w.fixed:
        return builder.packed(w, ("recurrent_apart",), lambda value: np.concatenate(
            [blocked(2, value[:, :2 * units]), blocked(1, value[:, 2 * units:])]))
    size = -(-units // LANES) * LANES * units
    to, x = builder.temporary((3 * size,)), rows_of(builder, w)
    blocks = -(-units // LANES)
    for first, gates in ((0, 2), (2, 1)):
        part = x.view(first * units, (units, gates * units), x.strides)
        into = to.view(first * size, (gates * size,), (1,))
        _pack(builder, part, into, units, gates, units, blocks, (units, LANES), (0, LANES),
              (gates * LANES, units * gates * LANES))
    return to


def in_groups(most: int, w: np.ndarray) -> np.ndarray:
    """(K, columns) as groups of `most` vectors of columns, the last one of what is left: each (K, vectors, lane), flat."""
    rows, columns = w.shape
    vectors = -(-columns // LANES)
    wide = np.zeros((rows, vectors * LANES), np.float32)
    wide[:, :columns] = w
    return np.concatenate([wide[:, v:v + most * LANES].ravel() for v in range(0, vectors * LANES, most * LANES)])


def ordered(gates: int, w: np.ndarray) -> np.ndarray:
    """Columns of Keras's order, gate by gate, to (block, gate, lane), with zeros for the units that fill the last block.

    Example:

        >>> from graphnet.backends.cpu.simd import LANES
        >>> ordered(4, np.ones((3, 4 * 5))).shape == (3, 4 * -(-5 // LANES) * LANES)
        True
    """
    rows, columns = w.shape
    units = columns // gates
    blocks = -(-units // LANES)
    wide = np.zeros((rows, gates, blocks * LANES), np.float32)
    wide[:, :, :units] = w.reshape(rows, gates, units)
    return np.ascontiguousarray(wide.reshape(rows, gates, blocks, LANES).transpose(0, 2, 1, 3)).reshape(rows, -1)


def blocked(gates: int, w: np.ndarray) -> np.ndarray:
    """Recurrent weights (H, gates * H) as (block, H, gate, lane), flat."""
    rows = len(w)
    return np.ascontiguousarray(ordered(gates, w).reshape(rows, -1, gates * LANES).transpose(1, 0, 2)).ravel()
