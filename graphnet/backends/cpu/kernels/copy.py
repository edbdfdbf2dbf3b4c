"""Copies between strided operands: transposes, slices, broadcasts, and what joins, pads and repeats tensors.

One step copies any number of parts (the operands of a concatenation, the nine pieces of a reflecting pad). The axes of a part
are put in the order of the destination and merged where both sides allow; two inner axes are looped over here, the others
are counted by the task. A part whose source runs along another axis than its destination is turned in registers, LANES
rows by LANES columns at a time.
"""
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from graphnet.backends.cpu.cache import jit, kernel
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder, Word
from graphnet.backends.cpu.simd import (
    I1,
    I8,
    I64,
    IVEC,
    LANES,
    VOID,
    A,
    define,
    first,
    full,
    load,
    load_part,
    masked_load,
    masked_store,
    number,
    pointer,
    store,
    store_part,
    word,
)
from graphnet.ops.shape import Concatenate, Pad, Repeat

RUN, SPREAD, TURN, SINGLE = 0, 1, 2, 3  # how a part is copied
OUTER = 4  # axes of a part besides the inner two
HEAD = 16  # words of a part before its outer axes
WORDS = HEAD + 3 * OUTER
TASK = 8192  # items of a task
NARROW = 6  # columns below which turning squares in registers does not pay
LONG = 1024  # items from which a run is left to memcpy
ITEM_WORK = 16  # multiply-adds that take as long as copying an item


def _mover(bits: int) -> Any:
    """move(to, i, from, j): one item of so many bits."""
    kind = ir.IntType(bits)

    def build(builder: Any, to: Any, i: Any, source: Any, j: Any) -> None:
        builder.store(builder.load(pointer(builder, source, j, kind, kind)), pointer(builder, to, i, kind, kind))
    return define(f"move_{bits}", VOID, (A, A, A, A), build)


def _memcpy(builder: Any, to: Any, source: Any, nbytes: Any) -> None:
    place = I8.as_pointer()
    function = builder.module.declare_intrinsic("llvm.memcpy", [place, place, I64])
    builder.call(function, [builder.inttoptr(to, place), builder.inttoptr(source, place), nbytes, I1(0)])


def _turned(builder: Any, rows: list[Any]) -> list[Any]:
    """LANES vectors as the columns of a square: log2(LANES) rounds that exchange blocks between pairs of rows."""
    width = 1
    while width < LANES:
        low = [i if not i & width else i - width + LANES for i in range(LANES)]
        high = [i + width if not i & width else i + LANES for i in range(LANES)]
        for i in range(LANES):
            if not i & width:
                a, b = rows[i], rows[i + width]
                rows[i] = builder.shuffle_vector(a, b, ir.Constant(IVEC, low))
                rows[i + width] = builder.shuffle_vector(a, b, ir.Constant(IVEC, high))
        width *= 2
    return rows


def _turn(builder: Any, to: Any, to_step: Any, source: Any, source_step: Any) -> None:
    def cell(address: Any, step: Any, i: int) -> Any:
        return pointer(builder, address, builder.mul(I64(i), step))
    rows = _turned(builder, [builder.load(cell(source, source_step, i), align=4) for i in range(LANES)])
    for i, row in enumerate(rows):
        builder.store(row, cell(to, to_step, i), align=4)


def _turn_part(builder: Any, rows: Any, columns: Any, to: Any, to_step: Any, source: Any, source_step: Any) -> None:
    def cell(address: Any, step: Any, i: int, count: Any, width: Any) -> tuple[Any, Any]:
        width = builder.select(builder.icmp_signed("<", I64(i), count), width, I64(0))
        return pointer(builder, address, builder.mul(I64(i), step)), first(builder, width)
    turned = _turned(builder, [masked_load(builder, *cell(source, source_step, i, rows, columns)) for i in range(LANES)])
    for i, row in enumerate(turned):
        masked_store(builder, row, *cell(to, to_step, i, columns, rows))


move_8, move_16, move_32, move_64 = (_mover(bits) for bits in (8, 16, 32, 64))
move_bytes = define("move_bytes", VOID, (A, A, A), _memcpy)
# turn(to, to_step, from, from_step): to[i, j] = from[j, i] of a square of LANES; steps count float32 items
turn = define("turn", VOID, (A, A, A, A), _turn)
# turn_part(rows, columns, to, to_step, from, from_step): the same of the first rows and columns of `from`
turn_part = define("turn_part", VOID, (A, A, A, A, A, A), _turn_part)


@jit
def copy_run(to, source, count, item):
    """Items that lie one behind the other on both sides."""
    if item == 4 and count < LONG:
        whole = count // LANES * LANES
        for i in range(0, whole, LANES):
            store(to, i, load(source, i))
        if whole < count:
            store_part(to, whole, count - whole, load_part(source, whole, count - whole))
    else:
        move_bytes(to, source, count * item)


@jit
def copy_single(to, to_step, source, step, count, item):
    """Items one by one."""
    if item == 4:
        for i in range(count):
            move_32(to, i * to_step, source, i * step)
    elif item == 1:
        for i in range(count):
            move_8(to, i * to_step, source, i * step)
    elif item == 8:
        for i in range(count):
            move_64(to, i * to_step, source, i * step)
    else:
        for i in range(count):
            move_16(to, i * to_step, source, i * step)


@jit
def copy_spread(to, source, count):
    """One float32 item over a run."""
    value = full(number(source, 0))
    for i in range(0, count, LANES):
        store_part(to, i, count - i, value)


@jit
def copy_turned(to, to_step, source, step, rows, count):
    """to[i, j] = source[j, i] of float32 items for i < rows, j < count; the steps are those of the first index, in bytes."""
    for i in range(0, rows, LANES):
        for j in range(0, count, LANES):
            a, b = to + i * to_step + 4 * j, source + j * step + 4 * i
            if rows - i >= LANES and count - j >= LANES:
                turn(a, to_step // 4, b, step // 4)
            else:
                turn_part(min(count - j, LANES), min(rows - i, LANES), a, to_step // 4, b, step // 4)


@jit
def copy_block(part, task):
    """The rows and columns of one task of a part; see `_part` for its words."""
    item, mode, step, to_step = word(part, 3), word(part, 4), word(part, 6), word(part, 7)
    row_step, to_row_step, columns, across = word(part, 10), word(part, 11), word(part, 8), word(part, 13)
    column, row = task % across * columns, task // across % word(part, 14) * word(part, 12)
    count, rows = min(columns, word(part, 5) - column), min(word(part, 12), word(part, 9) - row)
    source = word(part, 1) + column * step * item + row * row_step
    to = word(part, 2) + column * to_step * item + row * to_row_step
    outer = task // across // word(part, 14)
    for axis in range(HEAD, WORDS, 3):
        extent = word(part, axis)
        source += outer % extent * word(part, axis + 1)
        to += outer % extent * word(part, axis + 2)
        outer //= extent
    if mode == TURN:
        copy_turned(to, to_row_step, source, step * 4, rows, count)
        return
    for i in range(rows):
        a, b = to + i * to_row_step, source + i * row_step
        if mode == RUN:
            copy_run(a, b, count, item)
        elif mode == SPREAD:
            copy_spread(a, b, count)
        else:
            copy_single(a, to_step, b, step, count, item)


@kernel
def copy_strided(row, begin, end, scratch):
    """A task is some rows and columns of one part; the parts' words follow one another."""
    part = row
    for task in range(begin, end):
        while task >= word(part, 0):
            part += 8 * WORDS
        copy_block(part, task - word(part, 15))


def _merged(source: Operand, to: Operand) -> list[tuple[int, int, int]]:
    """(extent, stride in the source, stride in the destination) of each axis, outermost in the destination first, merged."""
    axes: list[tuple[int, int, int]] = []
    given = [axis for axis in zip(to.shape, source.strides, to.strides, strict=True) if axis[0] != 1]
    for n, s, d in sorted(given, key=lambda axis: -abs(axis[2])):
        if axes and axes[-1][1] == n * s and axes[-1][2] == n * d:
            axes[-1] = (axes[-1][0] * n, s, d)
        else:
            axes.append((n, s, d))
    return axes or [(1, 1, 1)]


def _inner(axes: list[tuple[int, int, int]], item: int) -> tuple[int, int, list[tuple[int, int, int]]]:
    """How to copy, the axis of the rows (-1: none), and the axes with that of the columns last."""
    n, s, d = axes[-1]
    rows = len(axes) - 2
    if d == 1 and s == 1:
        return RUN, rows, axes
    if d == 1 and s == 0 and item == 4:
        return SPREAD, rows, axes
    turned = [i for i, axis in enumerate(axes[:-1]) if axis[1] == 1]
    if d == 1 and item == 4 and turned:
        if n >= NARROW:
            return TURN, turned[-1], axes
        axes = [*axes[:turned[-1]], *axes[turned[-1] + 1:], axes[turned[-1]]]  # few columns: one by one, along the source
    return SINGLE, rows, axes


def _part(source: Operand, to: Operand, axes: list[tuple[int, int, int]], first_task: int) -> list[Any]:
    """The words of one part: tasks up to, source, destination, item size, mode; of the columns the extent, both strides (items)
    and how many a task has; the same of the rows (bytes); column blocks, row blocks, first task; the outer axes (bytes)."""
    item = to.itemsize
    mode, rows, axes = _inner(axes, item)
    n, s, d = axes[-1]
    height, row_step, to_row_step = axes[rows] if rows >= 0 else (1, 0, 0)
    outer = [axis for i, axis in enumerate(axes[:-1]) if i != rows]
    columns = min(n, {TURN: 128, SINGLE: 1024}.get(mode, TASK))
    lines = max(1, TASK // columns)
    across, down = -(-n // columns), -(-height // lines)
    tasks = across * down
    padding: list[int] = []
    for extent, outer_step, to_outer_step in [*reversed(outer), *[(1, 0, 0)] * (OUTER - len(outer))]:
        padding += [extent, outer_step * item, to_outer_step * item]
        tasks *= extent
    return [first_task + tasks, source, to, item, mode, n, s, d, columns, height, row_step * item, to_row_step * item,
            lines, across, down, first_task, *padding]


def _peeled(source: Operand, to: Operand) -> list[tuple[Operand, Operand, list[tuple[int, int, int]]]]:
    """Pieces of a copy that have no more axes than a part's words hold."""
    axes = _merged(source, to)
    if len(axes) <= OUTER + 2:
        return [(source, to, axes)]
    (n, s, d), *rest = axes
    shape, strides, to_strides = zip(*rest, strict=True)
    return [piece for i in range(n)
            for piece in _peeled(source.view(i * s, shape, strides), to.view(i * d, shape, to_strides))]


def copy_all(builder: Builder, pairs: Sequence[tuple[Operand, Operand]], label: str = "") -> None:
    """Adds one step that copies each source to its destination; the destinations may not overlap with any source.

    Args:
        pairs: (source, destination), alike in shape and dtype, of any strides; a source may have strides of 0 and below.
    """
    pairs = [(source, to) for source, to in pairs if to.size and source != to]
    words: list[Word] = []
    tasks = 0
    for whole, whole_to in pairs:
        if whole.shape != whole_to.shape or whole.dtype != whole_to.dtype:
            raise ValueError(f"{label or builder.label}: a copy expects operands of one shape and dtype; received "
                             f"{whole.dtype}{list(whole.shape)} to {whole_to.dtype}{list(whole_to.shape)}")
        for source, to, axes in _peeled(whole, whole_to):
            words += _part(source, to, axes, tasks)
            tasks = words[-WORDS]  # type: ignore[assignment]
    work = float(ITEM_WORK * sum(to.size for _, to in pairs))
    builder.step(copy_strided, words, tasks, work, [source for source, _ in pairs], [to for _, to in pairs], label=label)


def copy(builder: Builder, source: Operand, to: Operand) -> None:
    """Adds a step that copies between operands of one shape and dtype, whatever their strides; none where they are the same."""
    copy_all(builder, [(source, to)])


def fill(builder: Builder, to: Operand, value: Any) -> None:
    """Adds a step that writes one value to every element."""
    copy(builder, _value(builder, value, to).broadcast(to.shape), to)


def _value(builder: Builder, value: Any, like: Operand) -> Operand:
    return builder.constant(np.asarray(value).astype(like.dtype))


def border(shape: Sequence[int], widths: Sequence[tuple[int, int]]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """(starts, stops) of the boxes around the inside of a padded tensor, which they cover together once.

    Args:
        shape: of the padded tensor. widths: (before, after) of each axis.

    Example:

        >>> border((4, 5), ((1, 0), (0, 2)))
        [((0, 0), (1, 5)), ((1, 3), (4, 5))]
    """
    low, high = [0] * len(shape), list(shape)
    boxes = []
    for axis, (before, after) in enumerate(widths):
        inner = (low[axis] + before, high[axis] - after)
        for start, stop in ((low[axis], inner[0]), (inner[1], high[axis])):
            if start < stop:
                boxes.append((tuple([*low[:axis], start, *low[axis + 1:]]), tuple([*high[:axis], stop, *high[axis + 1:]])))
        low[axis], high[axis] = inner
    return boxes


# ---- lowerings

@lowers(Concatenate)
def lower_concatenate(op: Concatenate, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                      epilogue: Any = None) -> bool | None:
    """Copies each operand to its place, unless it lies there already."""
    out, = outputs
    if any(x.dtype != out.dtype for x in inputs):
        return False
    axis, at, pairs = op.axis % len(out.shape), 0, []
    for x in inputs:
        starts, stops = [0] * len(out.shape), list(out.shape)
        starts[axis], stops[axis] = at, at + x.shape[axis]
        at = stops[axis]
        pairs.append((x, out.slice(tuple(starts), tuple(stops))))
    copy_all(builder, pairs)
    return None


@lowers(Pad)
def lower_pad(op: Pad, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                 epilogue: Any = None) -> bool | None:
    """The inside copied, the border filled with a value or with mirrored copies."""
    (x,), (out,) = inputs, outputs
    if any(before < 0 or after < 0 for before, after in op.widths) or not out.size:
        return False
    if op.mode == "constant":
        starts = tuple([before for before, _ in op.widths])
        inside = out.slice(starts, tuple([a + n for a, n in zip(starts, x.shape, strict=True)]))
        value = _value(builder, op.value, out)
        copy_all(builder, [(x, inside), *[(value.broadcast(box.shape), box)
                                          for box in (out.slice(*ends) for ends in border(out.shape, op.widths))]])
        return None
    edge = 1 if op.mode == "reflect" else 0
    if any(max(widths) > n - edge for widths, n in zip(op.widths, x.shape, strict=True)):
        return False  # mirrored more than once
    # of each axis the pieces (length, first element of x, step), in order
    pieces = [[(before, before - 1 + edge, -1), (n, 0, 1), (after, n - 1 - edge, -1)]
              for n, (before, after) in zip(x.shape, op.widths, strict=True)]
    places = [[0, before, before + n] for n, (before, _) in zip(x.shape, op.widths, strict=True)]
    pairs = []
    for chosen in itertools.product(range(3), repeat=len(x.shape)):
        lengths, firsts, steps = zip(*[pieces[a][k] for a, k in enumerate(chosen)], strict=True)
        if all(lengths):
            offset = sum(f * s for f, s in zip(firsts, x.strides, strict=True))
            to = sum(places[a][k] * out.strides[a] for a, k in enumerate(chosen))
            pairs.append((x.view(offset, lengths, tuple([s * t for s, t in zip(x.strides, steps, strict=True)])),
                          out.view(to, lengths, out.strides)))
    copy_all(builder, pairs)
    return None


@lowers(Repeat)
def lower_repeat(op: Repeat, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                 epilogue: Any = None) -> bool | None:
    """A copy of a view that has each element `repeats` times."""
    (x,), (out,) = inputs, outputs
    n, (before, after) = op.repeats, (op.axis, op.axis + 1)
    if n < 1:
        return False
    shape = (*x.shape[:after], n, *x.shape[after:])
    seen = x.view(0, shape, (*x.strides[:after], 0, *x.strides[after:]))
    step = out.strides[before]
    copy(builder, seen, out.view(0, shape, (*out.strides[:before], step * n, step, *out.strides[after:])))
    return None
