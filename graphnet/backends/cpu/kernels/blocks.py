"""Blocks of rows: Python walks them, and each is a run of one plan, which further batch sizes share."""
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from graphnet.backends.cpu.blocks import RowBlocks
from graphnet.backends.cpu.calls import PLAIN, Runner
from graphnet.backends.cpu.executor import allowed_threads
from graphnet.backends.cpu.instance import StepReport
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder


class Blocks:
    """Runs a plan for `size` rows at a time, and another one for the rows that are left over."""

    def __init__(self, op: RowBlocks, shapes: Sequence[tuple[int, ...]], builder: Builder) -> None:
        self.rows, self.size, self.lengths, self.taken = op.rows, op.size, op.lengths, len(shapes)
        self.runners = {rows: self._runner(op, shapes, rows, builder) for rows in {op.size, op.rows % op.size} - {0}}

    @staticmethod
    def _runner(op: RowBlocks, shapes: Sequence[tuple[int, ...]], rows: int, builder: Builder) -> Runner:
        from graphnet.backends.cpu.driver import lower_part  # that file needs this one
        given = tuple([(rows * n, *shape[1:]) if n else shape for n, shape in zip(op.lengths, shapes, strict=False)])
        extents = {**op.extents, op.batch: rows}
        key = op.key, given, tuple(extents.values())  # an extent may stand in an op without being one of an input
        runner = builder.parts.get(key)
        if runner is None:
            runner = Runner(lower_part(op.graph, given, allowed_threads(), extents), builder.lanes)
            builder.parts[key] = runner
        return runner

    def _blocks(self, arrays: Sequence[np.ndarray]) -> Iterator[tuple[Runner, list[np.ndarray], list[np.ndarray]]]:
        """Each block's runner, and its parts of the operands and of the results."""
        for start in range(0, self.rows, self.size):
            stop = min(start + self.size, self.rows)
            parts = [x[start * n:stop * n] if n else x for x, n in zip(arrays, self.lengths, strict=True)]
            inputs = [x if x.flags.num & PLAIN == PLAIN else np.require(x, requirements=("C", "A")) for x in parts[:self.taken]]
            yield self.runners[stop - start], inputs, parts[self.taken:]

    def __call__(self, *arrays: np.ndarray) -> None:
        """Operands, and behind them the arrays to fill."""
        for runner, inputs, outputs in self._blocks(arrays):
            dense = [y if y.flags.num & PLAIN == PLAIN else np.empty(y.shape, y.dtype) for y in outputs]
            runner.fill(inputs, dense)
            for y, filled in zip(outputs, dense, strict=True):
                if filled is not y:
                    y[...] = filled

    def times(self, arrays: Sequence[np.ndarray]) -> list[float]:
        """Seconds that each of `steps` takes, all blocks together."""
        taken = {runner: np.zeros(len(runner.steps())) for runner in self.runners.values()}
        for runner, inputs, _ in self._blocks(arrays):
            taken[runner] += runner.times(inputs)
        return [float(t) for times in taken.values() for t in times]

    def steps(self) -> list[StepReport]:
        """What each step does, all blocks together."""
        counts = {self.size: self.rows // self.size, self.rows % self.size: 1}
        return [step.repeated(counts[rows]) for rows, runner in self.runners.items() for step in runner.steps()]


@lowers(RowBlocks)
def lower_blocks(op: RowBlocks, inputs: list[Operand], outputs: list[Operand], builder: Builder, epilogue: Any = None) -> None:
    """One step of Python's, which fills its results itself."""
    assert all(math.prod(x.shape) for x in inputs), "a batch that is large has elements"
    builder.python_step(Blocks(op, [x.shape for x in inputs], builder), inputs, outputs, "rows", fills=True)
