"""From arrays to arrays: a plan on a lane, and the short way for one input and one output."""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphnet.backends.cpu.executor import allowed_threads, handle
from graphnet.backends.cpu.instance import Plan, StepReport, empty_outputs
from graphnet.backends.cpu.lanes import KEPT, Lanes
from graphnet.graph import changes
from graphnet.settings import overridden

PLAIN = 0x101  # numpy's flags C_CONTIGUOUS and ALIGNED

recorders: list[Callable[[Plan, list[tuple[float, float]]], None]] = []  # told the times of plans, which run step by step


class Runner:
    """Calls a plan; any number of Python threads may call at once, each on a lane of its own.

    Args:
        plan: what `Builder.finish` gave.
        lanes: memory that other runners use too; by default some of its own.

    Example:

        >>> from graphnet.backends.cpu.plan import Builder
        >>> builder = Builder()
        >>> x, y = builder.input((2,)), builder.output((2,))
        >>> builder.python_step(np.negative, [x], [y], "negative")
        >>> Runner(builder.finish())([np.ones(2, "float32")])
        [array([-1., -1.], dtype=float32)]
    """

    __slots__ = ("plan", "lanes", "pool", "threads", "seen", "fast", "shape", "dtype", "used", "__weakref__")

    def __init__(self, plan: Plan, lanes: Lanes | None = None) -> None:
        self.plan, self.lanes = plan, lanes or Lanes()
        self.threads = allowed_threads()
        self.pool = self.lanes.pools[self.threads]  # of the calls that change no setting
        self.seen = changes[0]
        self.used = True  # set by each call; whoever bounds the number of plans may clear it
        simple = [stretch.python for stretch in plan.stretches] == [False] and not plan.written
        self.fast = len(plan.inputs) == len(plan.outputs) == 1 and simple
        self.shape = plan.outputs[0].shape if self.fast else ()
        self.dtype = np.dtype(plan.outputs[0].dtype if self.fast else "float32")
        self.refresh()

    def refresh(self) -> None:
        """Brings derived weights up to date, where any variable has changed since the last call."""
        now = changes[0]
        self.plan.refresh()
        self.seen = now

    def __del__(self) -> None:
        if hasattr(self, "lanes"):
            self.lanes.forget(self.plan)

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Fresh outputs for inputs that are contiguous, aligned, and of the plan's shapes and dtypes."""
        outputs = empty_outputs(self.plan.outputs)
        self.fill(arrays, outputs)
        return outputs

    def fill(self, arrays: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        """As a call, into arrays as those that it would give."""
        if changes[0] != self.seen:
            self.refresh()
        self.used = True
        lane = self.lanes.take(allowed_threads())
        try:
            instance = lane.turn(self.plan)
            if recorders:
                marks = instance.marks(arrays, outputs)
                for record in recorders:
                    record(self.plan, marks)
            else:
                instance.run(arrays, outputs)
        finally:
            self.lanes.give_back(lane)
            if self.plan.written:  # a call that was interrupted may have written, too
                for source in self.plan.written:
                    source.version += 1
                changes[0] += 1

    def steps(self) -> list[StepReport]:
        """What each step does; in place of one that runs a part in blocks, the steps of that part."""
        parts = [step.function.steps() if step.fills else [told]  # type: ignore[union-attr]
                 for step, told in zip(self.plan.steps, self.plan.steps_report(), strict=True)]
        return [told for part in parts for told in part]

    def times(self, arrays: Sequence[np.ndarray]) -> list[float]:
        """Seconds that each of `steps` takes, run one by one."""
        self.refresh()
        lane = self.lanes.take(allowed_threads())
        try:
            return lane.turn(self.plan).times(arrays, empty_outputs(self.plan.outputs))
        finally:
            self.lanes.give_back(lane)


class FastCall:
    """``y = call(x)`` for a model of one input and one output: a check, a look-up by shape, one jitted call.

    Args:
        dtype: of the input.
        otherwise: called with x where this way does not apply: another dtype or layout, a shape without a plan, changed
            settings. It may `add` the runner that it made.
        runners: by the shape of the input; all short ways of an executable have the same ones. By default some of its own.
    """

    __slots__ = ("dtype", "otherwise", "runners")

    def __init__(self, dtype: Any, otherwise: Callable[[np.ndarray], Any], runners: dict[tuple[int, ...], Runner] | None = None) -> None:
        self.dtype, self.otherwise = np.dtype(dtype), otherwise
        self.runners = {} if runners is None else runners

    def add(self, runner: Runner) -> None:
        """Takes calls of the runner's input shape from now on, if its plan is of the simple kind and no setting is changed."""
        if runner.fast and not overridden():
            runner.threads = allowed_threads()  # it may have been made where settings were changed
            runner.pool = runner.lanes.pools[runner.threads]
            self.runners[runner.plan.inputs[0].shape] = runner

    def __call__(self, x: np.ndarray) -> Any:
        runner = self.runners.get(x.shape)
        if runner is None or x.dtype is not self.dtype or x.flags.num & PLAIN != PLAIN or overridden() or recorders:
            return self.otherwise(x)
        if changes[0] != runner.seen:
            runner.refresh()
        pool = runner.pool
        try:
            lane = pool.pop()
        except IndexError:
            lane = runner.lanes.new(runner.threads)
        try:
            instance = lane.last if lane.last.plan is runner.plan else lane.turn(runner.plan)
            runner.used = True
            y = np.empty(runner.shape, runner.dtype)
            if instance.execute(instance.header, handle(x), handle(y)):
                instance.fail()
        finally:
            if len(pool) < KEPT:
                pool.append(lane)
        return y
