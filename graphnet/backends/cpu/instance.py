"""A plan, and its instances: what one call at a time runs on.

A plan is a template: one block of int64 words (status, stretches' headers, the steps' table, patches, argument rows) with
notes of which words are addresses of what. An instance is a copy of that block with its addresses filled in, for one arena,
which other plans use in turn (`lanes`). Behind the copy lie the counters of tasks, which late helpers may look at: see `team`.
Steps are cut into stretches: runs of kernels, which `execute` walks, and between them the Python steps.
"""
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphnet.backends.cpu import executor, memory
from graphnet.backends.cpu.executor import COLUMNS, HEADER, PATCH
from graphnet.backends.cpu.lanes import LINE, room
from graphnet.backends.cpu.operand import Buffer, Operand
from graphnet.backends.cpu.weights import Derived, aligned
from graphnet.errors import OutOfRangeError

if TYPE_CHECKING:
    from graphnet.backends.cpu.plan import Builder, Step

STATUS = 8  # words: 1 + the step that reported an error, the position in its data, the index found there


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a step of a plan does, for reports."""

    kernel: str
    label: str
    reads: tuple[tuple[int, ...], ...]
    writes: tuple[tuple[int, ...], ...]
    nbytes: int
    work: float
    tasks: int
    chunk: int
    needs: int

    def repeated(self, count: int) -> "StepReport":
        """The same step, so many times."""
        return replace(self, nbytes=count * self.nbytes, work=count * self.work)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Steps first..last-1: kernels that run in one go, or one Python step."""

    first: int
    last: int
    python: bool


def stretches(python: Sequence[bool], barriers: Sequence[int]) -> list[Stretch]:
    """Cuts steps, of which some are Python's, before and behind those and at the barriers.

    Example:

        >>> [(s.first, s.last, s.python) for s in stretches([False, False, True, False, False], [4])]
        [(0, 2, False), (2, 3, True), (3, 4, False), (4, 5, False)]
    """
    cuts = {0, len(python), *barriers}
    for s, is_python in enumerate(python):
        if is_python:
            cuts |= {s, s + 1}
    ordered = sorted(cuts)
    return [Stretch(first, last, python[first]) for first, last in zip(ordered, ordered[1:], strict=False)]


class Plan:
    """The steps for one signature, ready to be instantiated.

    Args:
        builder: with all steps added; it is not to be used afterwards.
    """

    def __init__(self, builder: "Builder") -> None:
        self.steps: list[Step] = builder.steps
        self.inputs, self.outputs = builder.inputs, builder.outputs
        self.sources = list(builder.kept.values())
        self.written = list({id(x.buffer.source): x.buffer.source for step in self.steps for x in step.writes
                             if x.buffer.source is not None}.values())
        self.derived = [source for source in self.sources if isinstance(source, Derived)]
        self.scratch = -(-builder.scratch // 64) * 64
        accesses = [(step.reads, step.writes) for step in self.steps]
        python = [step.function is not None for step in self.steps]
        self.stretches = stretches(python, builder.barriers)
        self.needs = memory.needs(accesses, [stretch.first for stretch in self.stretches])
        self.offsets, self.arena_bytes, self.least_bytes = memory.layout(accesses, self.needs)
        self.halos = list({(offset, buffer.nbytes, buffer.halo) for buffer, offset in self.offsets.items()
                           if buffer.halo is not None and not buffer.cleared})  # no step zeroes these
        self._fill(builder)

    def _fill(self, builder: "Builder") -> None:
        """The template block, and the notes on its words."""
        patched = [(at, buffer, byte) for at, buffer, byte in builder.operands if buffer.kind in ("input", "output")]
        self.handles = len(self.inputs) + len(self.outputs)
        self.headers = STATUS
        self.table = self.headers + -(-HEADER * len(self.stretches) // 8) * 8
        self.patches = self.table + COLUMNS * len(self.steps)
        self.ids = self.patches + PATCH * len(patched)
        self.rows = -(-(self.ids + self.handles) // 8) * 8
        block = self.template = np.zeros(self.rows + len(builder.words), np.int64)
        block[self.rows:] = builder.words
        in_block: list[int] = []  # words that hold a byte of the block, to become its address
        in_arena: list[int] = []
        for at, buffer, byte in builder.operands:
            if buffer.kind == "arena":
                block[self.rows + at] = self.offsets[buffer] + byte
                in_arena.append(self.rows + at)
            elif buffer.source is not None:
                block[self.rows + at] = buffer.source.value.ctypes.data + byte
        for at in builder.tables:
            block[self.rows + at] = 8 * (self.rows + block[self.rows + at])
            in_block.append(self.rows + at)
        in_block += [self.rows + at for at in builder.statuses]  # the status words are the block's first
        for i, (at, buffer, byte) in enumerate(patched):
            which = buffer.index + (len(self.inputs) if buffer.kind == "output" else 0)
            block[self.patches + PATCH * i:self.patches + PATCH * (i + 1)] = 8 * (self.rows + at), which, byte
            in_block.append(self.patches + PATCH * i)
        starts = {s: stretch.first for stretch in self.stretches for s in range(stretch.first, stretch.last)}
        table = block[self.table:self.patches].reshape(-1, COLUMNS)
        if len(table):
            table[:, :executor.COUNTERS] = [
                (step.kernel.address if step.kernel is not None else 0, 8 * (self.rows + step.row), step.tasks, step.chunk,
                 max(0, need - starts[s]), step.least) for s, (step, need) in enumerate(zip(self.steps, self.needs, strict=True))]
        in_block += range(self.table + executor.ROW, self.patches, COLUMNS)
        self._fill_headers(block, len(patched), in_block)
        self.in_block, self.in_arena = np.array(in_block, np.intp), np.array(in_arena, np.intp)

    def _fill_headers(self, block: np.ndarray, patches: int, in_block: list[int]) -> None:
        for i, stretch in enumerate(self.stretches):
            at = self.headers + HEADER * i
            block[at + executor.H_STEPS] = 8 * (self.table + COLUMNS * stretch.first)
            block[at + executor.H_COUNT] = stretch.last - stretch.first
            block[at + executor.H_PATCHES], block[at + executor.H_PATCH_COUNT] = 8 * self.patches, patches
            block[at + executor.H_IDS], block[at + executor.H_BEHIND] = 8 * self.ids, executor.BEHIND
            in_block += [at + word for word in (executor.H_STEPS, executor.H_PATCHES, executor.H_IDS, executor.H_STATUS)]

    def room(self, threads: int) -> int:
        """Bytes of the arena and of what so many threads need besides."""
        return -(-self.arena_bytes // LINE) * LINE + threads * self.scratch

    def instantiate(self, threads: int, arena: np.ndarray | None = None) -> "Instance":
        """Argument rows for one call at a time, by at most so many threads, and an arena: a given one, or one of its own."""
        return Instance(self, threads, room(self.room(threads)) if arena is None else arena)

    def refresh(self) -> None:
        """Remakes what was derived from weights that have changed since."""
        for entry in self.derived:
            entry.refresh()

    @property
    def packed_bytes(self) -> int:
        """Bytes of weights that were packed, folded or copied; other plans may share them."""
        return sum(entry.kept_bytes for entry in self.derived)

    @property
    def python_steps(self) -> list[str]:
        """The labels of the steps that run in Python, for want of a kernel."""
        return [step.label for step in self.steps if step.function is not None and not step.fills]

    @property
    def inner(self) -> list[Any]:
        """The functions that run further plans, whose steps may be told one by one."""
        return [step.function for step in self.steps if step.fills]

    def steps_report(self) -> list[StepReport]:
        """One record a step, in order."""
        return [StepReport(step.name, step.label, tuple(x.shape for x in step.reads), tuple(x.shape for x in step.writes),
                           step.nbytes, step.work, step.tasks, step.chunk, need)
                for step, need in zip(self.steps, self.needs, strict=True)]


def borders(flat: np.ndarray, shape: Sequence[int], halo: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Views of what lies around an operand of some shape: `before` and `after` entries along each axis.

    Example:

        >>> x = np.ones(12, int)
        >>> for border in borders(x, (2, 2), [(1, 0), (0, 2)]):
        ...     border[...] = 0
        >>> x.reshape(3, 4).tolist()
        [[0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]]
    """
    wide, found = flat.reshape([before + extent + after for extent, (before, after) in zip(shape, halo, strict=True)]), []
    for axis, (before, after) in enumerate(halo):
        lead = (slice(None),) * axis
        found += [wide[(*lead, slice(before))]] if before else []
        found += [wide[(*lead, slice(-after, None))]] if after else []
    return found


class Instance:
    """A plan laid over an arena, for one call at a time.

    Args:
        plan: whose.
        threads: at most so many work on a call.
        arena: `Plan.room` bytes or more, of any content.
    """

    __slots__ = ("plan", "arena", "halos", "block", "execute", "header", "ids", "parts", "team", "__weakref__")

    def __init__(self, plan: Plan, threads: int, arena: np.ndarray) -> None:
        self.plan, self.arena, self.execute = plan, arena, executor.ready()
        chunks, shares, counters = self._claims(plan, threads)
        lines, threads = int(counters[-1]), int(shares.max(initial=1))
        self.team = executor.team(threads)
        start, words = arena.ctypes.data, len(plan.template)
        at = -(-words // 8) * 8
        self.block = aligned((at + 8 * lines,), np.int64)
        self.block[:words] = plan.template
        base = self.block.ctypes.data
        self.block[plan.in_block] += base
        self.block[plan.in_arena] += start
        counters = base + 8 * at + LINE * counters
        table = self.block[plan.table:plan.patches].reshape(-1, COLUMNS)
        table[:, executor.CHUNK], table[:, executor.SHARES] = chunks, shares
        table[:, executor.COUNTERS] = counters[:-1]
        self.header, self.parts = base + 8 * plan.headers, []
        self.ids = self.block[plan.ids:plan.ids + plan.handles]
        for i, stretch in enumerate(plan.stretches):
            header = self.block[plan.headers + HEADER * i:plan.headers + HEADER * (i + 1)]
            header[executor.H_COUNTERS] = counters[stretch.first]
            header[executor.H_LINES] = (counters[stretch.last] - counters[stretch.first]) // LINE
            header[executor.H_THREADS] = shares[stretch.first:stretch.last].max()
            header[executor.H_SCRATCH] = start + plan.room(0)
            header[executor.H_SCRATCH_EACH] = plan.scratch
            header[executor.H_TEAM] = self.team.address
            self.parts.append(None if stretch.python else self.header + 8 * HEADER * i)
        self.halos = [border for offset, nbytes, (shape, halo, dtype) in plan.halos
                      for border in borders(arena[offset:offset + nbytes].view(dtype), shape, halo)]
        self.clear_halos()

    def clear_halos(self) -> None:
        """Zeroes what the plan takes for zeros; due whenever another plan has used the arena."""
        for border in self.halos:
            border[...] = 0

    def __del__(self) -> None:
        if hasattr(self, "parts"):
            first = self.header
            self.team.release(first, first + self.block.nbytes, (self.block, self.plan))

    @staticmethod
    def _claims(plan: Plan, threads: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each step the tasks a claim, the shares, and the first of its lines of counters (one of tasks done, one a share)."""
        table = plan.template[plan.table:plan.patches].reshape(-1, COLUMNS)
        tasks = table[:, executor.TASKS]
        fair = np.maximum(table[:, executor.LEAST], -(-tasks // threads))
        chunks = np.minimum(table[:, executor.CHUNK], fair)
        shares = np.minimum(threads, -(-tasks // chunks))
        return chunks, shares, np.concatenate([[0], np.cumsum(1 + shares)])

    def run(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        """Computes the outputs, all of them contiguous arrays of the plan's shapes and dtypes."""
        self.ids[:] = [executor.handle(array) for array in (*inputs, *outputs)]
        for stretch, header in zip(self.plan.stretches, self.parts, strict=True):
            if header is None:
                self._python(self.plan.steps[stretch.first], inputs, outputs)
            elif self.execute(header, 0, 0):
                self.fail()

    def times(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> list[float]:
        """As `run`, step by step: the seconds that each took, in one thread or several as the plan has it."""
        inner: dict[int, list[float]] = {}
        marks = self.marks(inputs, outputs, inner)
        return [t for s, (_, seconds) in enumerate(marks) for t in inner.get(s, [seconds])]

    def marks(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray],
              inner: dict[int, list[float]] | None = None) -> list[tuple[float, float]]:
        """As `run`, step by step: when each began, by `time.perf_counter`, and the seconds it took.

        Where `inner` is given, the steps of plans within a step are timed too, and stand there behind.
        """
        self.ids[:] = [executor.handle(array) for array in (*inputs, *outputs)]
        taken = []
        for stretch, part in zip(self.plan.stretches, self.parts, strict=True):
            for s in range(stretch.first, stretch.last):
                start = time.perf_counter()
                if part is None:
                    step = self.plan.steps[s]
                    self._python(step, inputs, outputs)
                    if inner is not None and step.fills:
                        inner[s] = step.function.times(self._arrays(step, inputs, outputs))  # type: ignore[union-attr]
                else:
                    header = self._alone(part, s)
                    failed = self.execute(header.ctypes.data, 0, 0)
                    self.team.release(header.ctypes.data, header.ctypes.data + header.nbytes, (header, self.block))
                    if failed:
                        self.fail()
                taken.append((start, time.perf_counter() - start))
        return taken

    def _alone(self, part: int, s: int) -> np.ndarray:
        """A header for one step, and a copy of the step behind it that does not wait for others."""
        at, step = (part - self.block.ctypes.data) // 8, self.plan.table + COLUMNS * s
        header = aligned((HEADER + COLUMNS,), np.int64)
        header[:HEADER] = self.block[at:at + HEADER]
        header[HEADER:] = self.block[step:step + COLUMNS]
        header[HEADER + executor.NEEDS] = 0
        header[executor.H_STEPS] = header.ctypes.data + 8 * HEADER
        header[executor.H_COUNT] = 1
        return header

    def _arrays(self, step: "Step", inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What a Python step is called with: views that it may only read, and behind them those that it fills itself."""
        arrays = []
        for x in step.reads:
            array = x.on(self._base(x.buffer, inputs, outputs))
            array.flags.writeable = False
            arrays.append(array)
        return arrays + [x.on(self._base(x.buffer, inputs, outputs)) for x in step.writes if step.fills]

    def _python(self, step: "Step", inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        arrays = self._arrays(step, inputs, outputs)
        if step.fills:
            step.function(*arrays)  # type: ignore[misc]
            return
        with np.errstate(all="ignore"):  # as in kernels: NaN and infinity are values
            results = step.function(*arrays)  # type: ignore[misc]
        if not isinstance(results, list | tuple):
            results = [results]
        for x, result in zip(step.writes, results, strict=True):
            if np.shape(result) != x.shape:
                raise AssertionError(f"{step.label}: its reference gave shape {np.shape(result)} where {x.shape} was inferred")
            x.on(self._base(x.buffer, inputs, outputs))[...] = result

    def _base(self, buffer: Buffer, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Any:
        if buffer.kind == "input":
            return inputs[buffer.index]
        if buffer.kind == "output":
            return outputs[buffer.index]
        if buffer.kind == "arena":
            offset = self.plan.offsets[buffer]
            return self.arena[offset:offset + buffer.nbytes]
        return buffer.source.value

    def fail(self) -> None:
        """Raises what the status words tell."""
        number, position, index = int(self.block[0]) - 1, int(self.block[1]), int(self.block[2])
        step = self.plan.steps[number]
        shapes = f"the operands have shapes {', '.join(str(x.shape) for x in step.reads)}"
        if "labels" in step.label:
            label = "NaN" if index == -(1 << 31) else index  # what the processor makes of one
            raise OutOfRangeError(f"{step.label}: the label {label} at position {position} of the flattened labels is none of these; {shapes}. "
                                  "Do the labels begin at 0, and has the last layer as many units as there are classes?")
        raise OutOfRangeError(
            f"{step.label or step.name}: the index {index} at position {position} of the flattened indices lies outside of its table; {shapes}. "
            "Check the data, or give the layer a larger size.")


def empty_outputs(operands: Sequence[Operand]) -> list[np.ndarray]:
    """Fresh arrays for a call's outputs."""
    return [np.empty(x.shape, x.dtype) for x in operands]
