"""The pipeline, top to bottom: a function is traced, its graph simplified, lowered for the shapes of a call, and run.

    trace -> passes -> (shapes of a call) -> lower -> plan -> run
"""
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphnet.graph import Graph
from graphnet.passes import run_passes
from graphnet.settings import settings

PLANS = 64  # kept for one executable; the least recently used goes first


class Executable:
    """A graph ready to be called: plans for the shapes seen, each made at its first call."""

    def __init__(self, graph: Graph, optimized: Graph | None = None) -> None:
        self.graph, self._optimized = graph, optimized
        self._runners: dict[Any, Any] = {}
        self._parts: Any = weakref.WeakValueDictionary()  # plans of parts of the graph, that plans for several shapes share
        self._lanes: Any = None  # the memory that all of them run on
        self._lock = threading.Lock()
        self._plain: dict[tuple[int, ...], Any] = {}  # those that `fast` calls, by the shape of the only input

    @property
    def optimized(self) -> Graph:
        """The graph behind all passes, which run when it is first asked for: what is traced to be saved needs none."""
        if self._optimized is None:
            self._optimized = run_passes(self.graph)
        return self._optimized

    def runner(self, shapes: tuple[tuple[int, ...], ...]) -> Any:
        """What runs inputs of these shapes."""
        found = self._runners.get(shapes)
        if found is not None:
            return found
        from graphnet.backends.cpu.calls import Runner
        from graphnet.backends.cpu.driver import lower_graph
        from graphnet.backends.cpu.executor import allowed_threads
        from graphnet.backends.cpu.lanes import Lanes
        with self._lock:
            found = self._runners.get(shapes)
            if found is None:
                self._lanes = self._lanes or Lanes()
                found = Runner(lower_graph(self.optimized, shapes, allowed_threads(), self._parts, self._lanes), self._lanes)
                self._make_room()
                self._runners[shapes] = found
        return found

    def _make_room(self) -> None:
        """Orders the plans by when they were last used, as near as the marks since the last plan was made tell; drops the first
        if they are many.
        """
        for shapes, runner in [item for item in self._runners.items() if item[1].used]:
            self._runners[shapes] = self._runners.pop(shapes)
            runner.used = False
        if len(self._runners) >= PLANS:
            shapes = next(iter(self._runners))
            del self._runners[shapes]
            self._plain.pop(shapes[0], None)

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs for arrays of the due dtypes, C-contiguous and aligned; variables are updated."""
        runner = self.runner(tuple([x.shape for x in arrays]))
        if settings.debug >= 2:
            print(self.times(arrays), file=sys.stderr)
        return runner(arrays)

    def fast(self, otherwise: Callable[[np.ndarray], Any]) -> Any:
        """The short way for one input and one output: y = fast(x)."""
        from graphnet.backends.cpu.calls import FastCall
        return FastCall(self.graph.inputs[0].dtype, otherwise, self._plain)

    def times(self, arrays: Sequence[np.ndarray]) -> str:
        """Each step's time for these inputs, run one by one, with what it moves and computes in a second."""
        runner = self.runner(tuple([x.shape for x in arrays]))
        lines = [f"{'kernel':16}{'layer':32}{'us':>10}{'GB/s':>8}{'GFLOP/s':>10}"]
        for step, seconds in zip(runner.steps(), runner.times(arrays), strict=True):
            seconds = max(seconds, 1e-9)
            rates = f"{step.nbytes / seconds / 1e9:8.1f}{2 * step.work / seconds / 1e9:10.1f}"
            lines.append(f"{step.kernel:16}{step.label:32}{1e6 * seconds:10.1f}{rates}")
        return "\n".join(lines)

    def report(self, shapes: tuple[tuple[int, ...], ...]) -> str:
        """The plan for these shapes as text: each step's kernel, layer, shapes and multiply-adds; memory; what has no kernel.
        """
        runner = self.runner(shapes)
        inner = [other.plan for part in runner.plan.inner for other in part.runners.values()]
        plans = [runner.plan, *inner]
        lines = [f"{'kernel':16}{'layer':32}{'writes':28}{'work':>14}{'tasks':>8}"]
        for step in runner.steps():
            written = ", ".join(str(shape) for shape in step.writes)
            lines.append(f"{step.kernel:16}{step.label:32}{written:28}{step.work:14,.0f}{step.tasks:8}")
        arena, least = (getattr(runner.plan, of) + max([getattr(plan, of) for plan in inner], default=0)  # parts take turns
                        for of in ("arena_bytes", "least_bytes"))
        packed = sum(plan.packed_bytes for plan in plans)
        lines += [f"a part of the graph runs {part.size} rows at a time" for part in runner.plan.inner]
        lines.append(f"arena {arena:,} bytes, which plans for other shapes use too, of which {least:,} live at once; "
                     f"packed weights {packed:,} bytes; without a kernel, run by numpy: "
                     f"{', '.join(dict.fromkeys(s for p in plans for s in p.python_steps)) or 'nothing'}")
        return "\n".join(lines)


def plain(array: np.ndarray) -> np.ndarray:
    """The array itself where kernels can read it as it lies, else a copy: C-contiguous, aligned, native byte order."""
    flags = array.flags
    if flags.c_contiguous and flags.aligned and array.dtype.isnative:
        return array
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
