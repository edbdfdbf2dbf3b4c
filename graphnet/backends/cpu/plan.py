"""The builder that lowerings speak to: steps, argument rows, buffers; `finish` makes of them a Plan.

Lowerings add argument rows word by word; words that are addresses of memory not there yet are noted beside.
"""
import math
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphnet.backends.cpu import weights
from graphnet.backends.cpu.cache import Kernel
from graphnet.backends.cpu.instance import Plan
from graphnet.backends.cpu.lanes import Lanes
from graphnet.backends.cpu.operand import Buffer, Kind, Operand, Shape, itemsize, packed_strides

__all__ = ["Buffer", "Builder", "Operand", "Plan", "Step", "Table"]

GRAIN = 200_000  # multiply-adds a claim, some 2 microseconds
LARGE = 1 << 19  # bytes of a buffer from which it is worth to clear its halo in each call
MANY = 8  # buffers of one geometry from which one place of their own, whose halo stays zero, is better
SERIAL = 100_000  # multiply-adds below which a step is one task: sharing would cost more than it gains

_bits = struct.Struct("q").unpack
_double = struct.Struct("d").pack


class Status:
    """The word that stands for the address of the instance's status words."""

    def __repr__(self) -> str:
        return "<status words>"


@dataclass(frozen=True, slots=True)
class Table:
    """Words kept with the plan, that a step's word may point to; `start` counts words from the rows' beginning."""

    start: int


Word = int | float | Operand | Kernel | Table | Status | None


@dataclass(slots=True)
class Step:
    """One step of a plan: a kernel over tasks, or a Python function (then ``kernel`` is None).

    A thread claims `chunk` tasks at a time, fewer where there are more threads than chunks, but never fewer than `least`.
    A function that `fills` is given the arrays of its results too, and runs further plans.
    """

    kernel: Kernel | None
    label: str
    row: int
    tasks: int
    chunk: int
    work: float
    reads: tuple[Operand, ...]
    writes: tuple[Operand, ...]
    function: Callable[..., Any] | None = None
    least: int = 1
    fills: bool = False

    @property
    def name(self) -> str:
        """The kernel's name, or ``python``."""
        return self.kernel.name if self.kernel is not None else "python"

    @property
    def nbytes(self) -> int:
        """Bytes of the operands."""
        return sum(x.nbytes for x in (*self.reads, *self.writes))


@dataclass
class Builder:
    """Gathers the steps of a plan.

    Args:
        threads: how many threads calls will likely use. Tasks and reductions may not depend on it: results would.

    Example:

        >>> builder = Builder()
        >>> x = builder.temporary((3, 5))
        >>> x.shape, x.strides, x.dtype
        ((3, 5), (5, 1), 'float32')
    """

    threads: int = 1
    label: str = ""  # of steps that name none; the driver sets it to the layer's name
    steps: list[Step] = field(default_factory=list)
    inputs: list[Operand] = field(default_factory=list)
    outputs: list[Operand] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    operands: list[tuple[int, Buffer, int]] = field(default_factory=list)  # word, buffer, byte: an address to fill in
    tables: list[int] = field(default_factory=list)  # words that hold the index of another word, to become its address
    statuses: list[int] = field(default_factory=list)
    barriers: list[int] = field(default_factory=list)
    kept: dict[int, Any] = field(default_factory=dict)  # the sources of weights and constants, by id
    halos: dict[Any, Operand] = field(default_factory=dict)  # (an input, halo) -> the copy of it that has the halo
    parts: Any = field(default_factory=dict)  # plans of parts of the graph, shared by the plans of one graph
    lanes: Lanes | None = None  # what those parts run on
    geometries: Counter[Any] = field(default_factory=Counter)  # of the buffers with a halo
    scratch: int = 0
    status: Status = field(default_factory=Status)

    # ---- operands

    def input(self, shape: Shape, dtype: str = "float32") -> Operand:
        """The next input: the caller's array, contiguous and aligned to its items, other memory at each call."""
        self.inputs.append(self._new("input", shape, dtype, len(self.inputs)))
        return self.inputs[-1]

    def output(self, shape: Shape, dtype: str = "float32") -> Operand:
        """The next output: a fresh array at each call, which the plan must write whole."""
        self.outputs.append(self._new("output", shape, dtype, len(self.outputs)))
        return self.outputs[-1]

    def weight(self, source: weights.Source) -> Operand:
        """The value of a variable (or of `weights.derived`), where it lies."""
        return self._kept("weight", source)

    def variable(self, source: weights.Source) -> Operand:
        """The value of a variable that the plan itself changes, behind its last barrier."""
        return self._kept("variable", source)

    def constant(self, value: Any) -> Operand:
        """An array that never changes: a copy of it, shared by all plans that are given the same array."""
        return self._kept("constant", weights.derived((np.asarray(value),), ("constant",), np.asarray))

    def temporary(self, shape: Shape, dtype: str = "float32", halo: Sequence[tuple[int, int]] | None = None) -> Operand:
        """Memory of the arena, alive from its first writer to its last reader; not zeroed.

        Args:
            halo: (before, after) of each axis: room around the operand that always reads as zero and that nobody may write.
        """
        if halo is None or not any(map(any, halo)):
            return self._new("arena", shape, dtype)
        wide = tuple([before + extent + after for extent, (before, after) in zip(shape, halo, strict=True)])
        geometry = (tuple(shape), tuple(map(tuple, halo)), dtype)
        self.geometries[geometry] += 1
        strides = packed_strides(wide)
        offset = sum(before * stride for (before, _), stride in zip(halo, strides, strict=True))
        return Operand(Buffer("arena", math.prod(wide) * itemsize(dtype), halo=geometry), offset, tuple(shape), strides, dtype)

    def contiguous(self, x: Operand) -> Operand:
        """x itself where it is contiguous, else a copy of it that is."""
        if x.contiguous:
            return x
        if x.fixed:
            return self.packed(x, ("contiguous",), np.ascontiguousarray)
        dense = self.temporary(x.shape, x.dtype)
        self.copy(x, dense)
        return dense

    def packed(self, x: Operand, recipe: tuple[Any, ...], make: Callable[[np.ndarray], np.ndarray]) -> Operand:
        """``make(value)`` of a weight or constant: made once for all plans, and again when the variable changes.

        Args:
            x: a weight or constant, or a view of one.
            recipe: names what `make` does with all that it depends on besides x; hashable.
            make: gives an array whose shape and dtype depend on x's shape and dtype and the recipe alone.
        """
        if not x.fixed:
            raise ValueError(f"{self.label}: packed expected a weight or a constant, received an operand of kind {x.buffer.kind}")
        view = (x.offset, x.shape, x.strides, x.dtype)
        made = weights.derived((x.buffer.source,), (view, *recipe), lambda base: make(x.on(base)))
        return self._kept(x.buffer.kind, made)

    def _kept(self, kind: Kind, source: Any) -> Operand:
        self.kept[id(source)] = source
        shape, dtype = source.shape, source.dtype
        return Operand(Buffer(kind, math.prod(shape) * itemsize(dtype), source=source), 0, shape, packed_strides(shape), dtype)

    def _new(self, kind: Kind, shape: Shape, dtype: str, index: int = 0) -> Operand:
        shape = tuple(shape)
        return Operand(Buffer(kind, math.prod(shape) * itemsize(dtype), index), 0, shape, packed_strides(shape), dtype)

    # ---- steps

    @property
    def next_step(self) -> int:
        """The number of the step that `step` adds next, which its kernel gives with an error."""
        return len(self.steps)

    def step(self, kernel: Kernel, words: Sequence[Word], tasks: int, work: float, reads: Sequence[Operand],
             writes: Sequence[Operand], scratch: int = 0, label: str = "") -> None:
        """Adds a kernel over tasks 0..tasks-1; one without tasks is left out.

        Args:
            words: the argument row. An int as it is, a float as the bits of its float64, an operand as the address of its
                first element, a kernel, a table and `status` as their addresses, None as 0.
            tasks: fixed by shapes, never by the number of threads.
            work: multiply-adds of the whole step, or what takes as long; decides how it is shared among threads.
            reads, writes: every operand that the kernel touches.
            scratch: bytes that each thread needs besides.
        """
        if tasks <= 0:
            return
        for x in writes:
            self.clear_halo(x.buffer)
        row = self._append(words)
        chunk = least = tasks
        if work >= SERIAL:
            chunk = max(1, min(-(-tasks // 2), int(tasks * GRAIN / work)))
            least = max(1, int(tasks * SERIAL / 2 / work))
        self.scratch = max(self.scratch, scratch)
        self.steps.append(Step(kernel, label or self.label, row, tasks, chunk, work, tuple(reads), tuple(writes), least=least))

    def table(self, words: Sequence[Word]) -> Table:
        """Further words, kept with the plan; a step's word may be the table, and becomes its address."""
        return Table(self._append(words))

    def python_step(self, function: Callable[..., Any], inputs: Sequence[Operand], outputs: Sequence[Operand],
                    label: str = "", fills: bool = False) -> None:
        """Adds ``function(*arrays)``, which gets read-only views and gives one array, or a list of them, for the outputs.

        One that `fills` gets the outputs' arrays behind the others instead, and tells of its own ``steps()`` and ``times(arrays)``.
        """
        for x in outputs:
            self.clear_halo(x.buffer)
        self.steps.append(Step(None, label or self.label, 0, 1, 1, 0.0, tuple(inputs), tuple(outputs), function,
                               fills=fills))

    def mark(self) -> tuple[int, ...]:
        """Where the plan stands now, for `undo`."""
        return tuple([len(rows) for rows in self._rows()])

    def undo(self, mark: tuple[int, ...]) -> None:
        """Takes back all steps since a mark, and their rows; none of them may have been the first to write what has a halo."""
        for rows, length in zip(self._rows(), mark, strict=True):
            del rows[length:]

    def _rows(self) -> list[list[Any]]:
        return [self.steps, self.words, self.operands, self.tables, self.statuses]

    def clear_halo(self, buffer: Buffer) -> None:
        """Lets the plan zero a large buffer's halo before its first writer: memory that others use meanwhile, for a small step."""
        if buffer.halo is None or buffer.cleared or buffer.nbytes < LARGE or self.geometries[buffer.halo] >= MANY:
            return
        buffer.cleared = True
        from graphnet.backends.cpu.kernels.halo import clear  # here, because that file needs this one
        clear(self, buffer)

    def copy(self, source: Operand, to: Operand) -> None:
        """Adds a step that copies between operands of one shape and dtype, whatever their strides."""
        from graphnet.backends.cpu.kernels.copy import copy  # here, because that file needs this one
        copy(self, source, to)

    def barrier(self) -> None:
        """What follows runs only where no step before it raised or reported an error."""
        self.barriers.append(len(self.steps))

    def finish(self) -> Plan:
        """The plan of these steps: waits and memory are decided here."""
        return Plan(self)

    def _append(self, words: Sequence[Word]) -> int:
        start = len(self.words)
        self.words += [value if type(value) is int else 0 for value in words]
        for at, value in enumerate(words, start):
            if type(value) is not int and value is not None:
                self.words[at] = self._word(value, at)
        return start

    def _word(self, value: Any, at: int) -> int:
        """A word that is no plain number, as it is now; what it becomes is noted."""
        if isinstance(value, Operand):
            self.operands.append((at, value.buffer, value.offset * itemsize(value.dtype)))
            if value.buffer.source is not None:
                self.kept[id(value.buffer.source)] = value.buffer.source
            return 0
        if isinstance(value, Kernel):
            return value.address
        if isinstance(value, Table):
            self.tables.append(at)
            return value.start
        if isinstance(value, Status):
            self.statuses.append(at)
            return 0
        return int(_bits(_double(value))[0]) if isinstance(value, float | np.floating) else int(value)
