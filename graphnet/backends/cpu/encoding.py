"""From a program of elementwise ops to a tape's table: which block kernels, which slots, and over which axes.

Values are float32 in a tape. Booleans are 1.0 and 0.0 there and uint8 in memory; int32 and uint8 are read as float32, which is
exact below 2**24 and so allowed where it shows in no result: in casts to float32, in truth, and in comparisons with small
constants.
"""
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet.backends.cpu import tape
from graphnet.backends.cpu.kernels.elementwise import Block, block
from graphnet.backends.cpu.operand import Buffer, Operand
from graphnet.backends.cpu.plan import Builder, Table, Word
from graphnet.backends.cpu.simd import LANES
from graphnet.ops.elementwise import (
    Cast,
    Equal,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    LogicalAnd,
    LogicalNot,
    LogicalOr,
    LogicalXor,
    NotEqual,
    Where,
)

COMPARISONS = (Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual)
LOGIC = (LogicalAnd, LogicalNot, LogicalOr, LogicalXor)
KINDS = {"float32": tape.FLOAT, "bool": tape.BYTE, "uint8": tape.BYTE, "int32": tape.INT}
EXACT = 1 << 24  # whole numbers below it are float32 numbers
SHORT = tape.BLOCK // 2 + 1  # elements below which several rows make a block: one block costs 40 ns
CROWDED = 8  # operands and temporaries from which blocks are halved, to stay in L1
MOVED = 10.0  # multiply-adds that take as long as reading and writing an element

Program = Sequence[tuple[Any, tuple[int, ...]]]
Axes = list[tuple[int, tuple[int, ...]]]  # of each axis the extent and the strides (bytes) of the output and the operands


@dataclass(frozen=True, slots=True)
class Encoded:
    """A tape ready for `tape.run_tile`: its table, the scratch bytes that it needs, the operands that it reads."""

    table: Table
    scratch: int
    reads: tuple[Operand, ...]


def _small(x: Operand) -> bool:
    """Whether x surely holds whole numbers that are exact in float32."""
    if x.dtype in ("bool", "uint8"):
        return True
    known = x.constant if x.buffer.kind == "constant" and x.dtype == "int32" else None
    return known is not None and int(np.abs(known).max(initial=0)) < EXACT


def _accepts(op: Any, dtypes: list[str], small: list[bool]) -> bool:
    """Whether an op on values of these dtypes may be computed in float32."""
    if any(d not in KINDS for d in dtypes) or op.result_dtype(*dtypes) not in ("float32", "bool"):
        return False
    if all(d == "float32" for d in dtypes) or isinstance(op, LOGIC + (Cast,)):
        return True
    if isinstance(op, COMPARISONS):
        return "float32" not in dtypes and sum(not s for s in small) <= 1
    if isinstance(op, Where):
        return all(d in ("float32", "bool") for d in dtypes[1:])
    return False


def blocks(program: Program, inputs: Sequence[Operand], output: str) -> list[Block] | None:
    """The block kernels of a program's instructions; None where one has none or a dtype is not for tapes.

    Args:
        program: instructions (op, operands); operands below ``len(inputs)`` are inputs, others results of earlier instructions.
        output: the dtype of the result.
    """
    found, dtypes, small = [], [x.dtype for x in inputs], [_small(x) for x in inputs]
    for op, refs in program:
        made = block(op.formula) if getattr(op, "formula", "") else None
        if made is None or not _accepts(op, [dtypes[r] for r in refs], [small[r] for r in refs]):
            return None
        if any(isinstance(o, str) and not isinstance(getattr(op, o, None), int | float) for o in made.operands):
            return None
        dtypes.append(op.result_dtype(*[dtypes[r] for r in refs]))
        small.append(dtypes[-1] == "bool")
        found.append(made)
    return found if output == dtypes[-1] else None


def has_blocks(program: Program, count: int) -> bool:
    """Whether a program of `count` float32 operands runs in block kernels."""
    return blocks(program, [Operand(Buffer("arena", 0), 0, (), (), "float32")] * count, "float32") is not None


class Slots:
    """Which slot each value of a program has: operands, then constants, then temporaries that share blocks by lifetimes."""

    def __init__(self, program: Program, found: list[Block], inputs: Sequence[Operand], results: Sequence[int] = ()) -> None:
        self.constants: list[float] = []
        self.operands = [i for i, x in enumerate(inputs) if not (x.buffer.kind == "constant" and x.size == 1)]
        values = [x.constant for x in inputs]
        outputs = {k: ("operand", n) for n, k in enumerate((len(program) - 1, *results))}
        place: dict[int, tuple[str, int]] = {i: ("operand", len(outputs) + k) for k, i in enumerate(self.operands)}
        for i, value in enumerate(values):
            if i not in place:
                place[i] = ("constant", self._constant(float(value.ravel()[0])))  # type: ignore[union-attr]
        last = {r: k for k, (_, refs) in enumerate(program) for r in refs}
        free: list[int] = []
        self.temporaries = 0
        rows: list[list[tuple[str, int]]] = []
        for k, ((op, refs), made) in enumerate(zip(program, found, strict=True)):
            row = [place[refs[o]] if isinstance(o, int) else ("constant", self._constant(float(getattr(op, o))))
                   for o in made.operands]
            free += [place[r][1] for r in dict.fromkeys(refs) if last[r] == k and place[r][0] == "temporary"]
            result = outputs.get(k, ("temporary", -1))
            if k not in outputs:
                if not free:
                    free.append(self.temporaries)
                    self.temporaries += 1
                result = ("temporary", free.pop())
            place[len(inputs) + k] = result
            rows.append([result, *row])
        constants = len(outputs) + len(self.operands)
        first = {"operand": 0, "constant": constants, "temporary": constants + len(self.constants)}
        self.count = first["temporary"] + self.temporaries
        self.instructions = [[2 * (first[kind] + n) for kind, n in row] for row in rows]

    def _constant(self, value: float) -> int:
        bits = np.float32(value).tobytes()
        same = [k for k, v in enumerate(self.constants) if np.float32(v).tobytes() == bits]
        if not same:
            self.constants.append(value)
        return same[0] if same else len(self.constants) - 1


def _table(slots: Slots, found: list[Block], records: list[list[Word]], reads: Sequence[Operand], builder: Builder) -> Encoded:
    """The words of a tape; a record is an operand's address, strides and kind."""
    assert all(len(r) == tape.RECORD for r in records)
    constants_at = 8 * (tape.HEAD + tape.RECORD * len(records))
    instructions_at = constants_at + 4 * LANES * len(slots.constants)
    marks_at = tape.SLOTS_AT + 16 * slots.count
    blocks_at = -(-(marks_at + 16 * len(records)) // 64) * 64
    words: list[Word] = [len(records), len(slots.constants), slots.temporaries, len(found), constants_at, instructions_at,
                         blocks_at, marks_at]
    for record in records:
        words += record
    for value in slots.constants:
        with np.errstate(over="ignore"):
            words += np.full(LANES, value, np.float32).view(np.int64).tolist()
    for made, row in zip(found, slots.instructions, strict=True):
        words += [made.kernel, *row, *[0] * (tape.INSTRUCTION - 1 - len(row))]
    scratch = blocks_at + tape.BLOCK_BYTES * (len(records) + slots.temporaries)
    return Encoded(builder.table(words), scratch, tuple(reads))


def _record(x: Operand, outer: Sequence[int], row_step: int, step: int) -> list[Word]:
    return [x, *outer, *[0] * (tape.OUTER - len(outer)), row_step, step, KINDS[x.dtype]]


def _strides(x: Operand) -> tuple[int, ...]:
    return tuple([s * x.itemsize for s in x.strides])


# ---- a tape of its own

def merged(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> Axes:
    """The axes of an iteration space, outermost first, merged where all operands allow; at least one.

    Example:

        >>> merged((2, 3, 4), [(48, 16, 4), (0, 0, 4)])
        [(6, (16, 0)), (4, (4, 4))]
    """
    axes: Axes = []
    for extent, *steps in zip(shape, *strides, strict=True):
        if extent == 1:
            continue
        if axes and all(a == extent * s for a, s in zip(axes[-1][1], steps, strict=True)):
            axes[-1] = (axes[-1][0] * extent, tuple(steps))
        else:
            axes.append((extent, tuple(steps)))
    return axes or [(1, (0,) * len(strides))]


def add_tape(program: Program, inputs: Sequence[Operand], output: Operand, builder: Builder,
             further: Sequence[tuple[int, Operand]] = ()) -> bool:
    """Adds the step that computes a program; False, before anything is added, where it has no kernels for it.

    Args:
        program: see `blocks`.
        inputs: operands of any strides, that broadcast to the output's shape.
        output: of any strides; it may be one of the inputs.
        further: instructions whose results are kept as well, and where: float32, contiguous, and of the output's shape.
    """
    found = blocks(program, inputs, output.dtype)
    if found is None or len(merged(output.shape, [_strides(output)])) > tape.OUTER or len(output.shape) > tape.OUTER + 2:
        return False
    slots = Slots(program, found, inputs, [k for k, _ in further])
    written = [output, *[x for _, x in further]]
    operands = written + [_readable(inputs[i], builder).broadcast(output.shape) for i in slots.operands]
    axes = merged(output.shape, [_strides(x) for x in operands])
    columns, steps = axes.pop()
    if columns == 1:  # a single element has no stride of its own; further results are written where they lie, which is contiguous
        steps = tuple([4 if 0 < k < len(written) else s for k, s in enumerate(steps)])
    rows, row_steps = axes.pop() if axes and (columns < SHORT or len(axes) > tape.OUTER) else (1, (0,) * len(operands))
    records = [_record(x, [s[k] for _, s in axes], row_steps[k], steps[k]) for k, x in enumerate(operands)]
    encoded = _table(slots, found, records, operands[len(written):], builder)
    room = tape.BLOCK if len(records) + slots.temporaries <= CROWDED else tape.BLOCK // 2
    wide = min(columns, room)
    tall = min(rows, max(1, room // wide))
    across, down = -(-columns // wide), -(-rows // tall)
    tasks = across * down
    for extent, _ in axes:
        tasks *= extent
    work = output.size * (MOVED + sum(made.work for made in found))
    extents = [extent for extent, _ in axes]
    words: list[Word] = [encoded.table, len(axes), rows, tall, columns, wide, across, across * down, *extents]
    builder.step(tape.tape_rows, words, tasks, work, encoded.reads, written, scratch=encoded.scratch)
    return True


def _readable(x: Operand, builder: Builder) -> Operand:
    """x, or a copy of it where its elements lie across the rows: a tape would read it one by one, all over the memory."""
    inner = [s for n, s in zip(x.shape, x.strides, strict=True) if n != 1]
    return x if not inner or inner[-1] in (0, 1) or x.size < SHORT else builder.contiguous(x)


# ---- behind a contraction

def encode_epilogue(program: Program, extra_inputs: Sequence[Operand], output: Operand, builder: Builder,
                    view: Callable[[Operand], Operand | None] | None = None) -> Encoded | None:
    """The tape of a contraction's epilogue, for `tape.run_tile` over tiles of the output; None where there is none.

    Args:
        program: operand 0 is the contraction's result, which the kernel has stored at the output; 1.. are `extra_inputs`.
        extra_inputs: broadcast to the output's shape.
        output: float32; it is read and written in place.
        view: gives an operand of the output's shape with the kernel's own five axes (image, plane, line, row, column), or None
            where strides cannot say it. By default the output's own axes, up to five, are the last of them.

    Returns:
        its ``.table`` (a word of the argument row; add ``.reads`` to the step's reads) and ``.scratch`` bytes.
    """
    inputs = [output, *extra_inputs]
    found = blocks(program, inputs, "float32")
    if found is None:
        return None
    slots = Slots(program, found, inputs)
    seen: list[Operand] = []
    for x in [output, *[inputs[i] for i in slots.operands]]:
        wide = x.broadcast(output.shape)
        five = view(wide) if view is not None else _five(wide)
        if five is None:
            return None
        seen.append(five)
    assert all(len(x.shape) == 5 and x.shape == seen[0].shape for x in seen)
    records = []
    for x in seen:
        *outer, row_step, step = _strides(x)
        records.append(_record(x, outer, row_step, step))
    return _table(slots, found, records, [inputs[i] for i in slots.operands], builder)


def _five(x: Operand) -> Operand | None:
    missing = 5 - len(x.shape)
    return x.view(0, (1,) * missing + x.shape, (0,) * missing + x.strides) if missing >= 0 else None
