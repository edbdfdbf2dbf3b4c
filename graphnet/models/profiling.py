"""Model.profile: the times of each layer's steps, measured; Model.cost: multiply-adds, bytes and memory, before anything runs.
"""
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet import dims
from graphnet.compiler import plain
from graphnet.dims import Extent
from graphnet.graph import Constant, Graph, Leaf, Node, Read, Spec
from graphnet.op import View
from graphnet.settings import settings
from graphnet.visualization.profile import Profile, StepTime


def profile(model: Any, x: Any, runs: int = 20, threads: int | None = None) -> Profile:
    """The times of a model's steps for one batch; `Model.profile` says more."""
    from graphnet.backends.cpu.executor import allowed_threads
    from graphnet.backends.cpu.probe import machine
    with settings(threads=threads if threads is not None else settings.threads):
        executable, arrays = model._profiled(x)
        arrays = [plain(np.asarray(a)) for a in arrays]
        runner = executable.runner(tuple([a.shape for a in arrays]))
        whole = min(_timed(runner, arrays) for _ in range(runs))
        times = np.min([runner.times(arrays) for _ in range(runs)], axis=0)
        able = machine(allowed_threads())
    steps = [StepTime(s.kernel, s.label, float(t), s.work, s.nbytes)
             for s, t in zip(runner.steps(), times, strict=True)]
    return Profile(model.name, steps, able, whole)


def _timed(runner: Any, arrays: list[np.ndarray]) -> float:
    start = time.perf_counter()
    runner(arrays)
    return time.perf_counter() - start


@dataclass(frozen=True)
class LayerCost:
    """What one layer costs; an unknown extent is an expression: ``2048*batch``.

    Attributes: ``multiply_adds``; ``params``, the number of values in its weights; ``nbytes`` that it reads and writes at its
    borders, weights included; ``memory``, bytes of its results.
    """

    layer: str
    multiply_adds: Extent
    params: int
    nbytes: Extent
    memory: Extent


class Cost:
    """What `Model.cost` gives. Printed, it is a table; ``layers`` are its rows, ``total`` their sum."""

    def __init__(self, name: str, layers: list[LayerCost], params: int) -> None:
        self.name, self.layers = name, layers
        zero: list[Extent] = [0, 0, 0]
        for row in layers:
            zero = [a + b for a, b in zip(zero, (row.multiply_adds, row.nbytes, row.memory),
                                          strict=True)]  # type: ignore[operator]
        self.total = LayerCost("total", zero[0], params, zero[1], zero[2])

    def at(self, **extents: int) -> "Cost":
        """The cost with values in place of unknown extents, by their names: ``cost.at(batch=32)``.

        Raises ValueError for a name that no unknown extent has.
        """
        names = {s.name for row in (*self.layers, self.total) for e in (row.multiply_adds, row.nbytes, row.memory)
                 for s in dims.symbols(e)}
        if unknown := set(extents) - names:
            raise ValueError(f"cost.at expects names among {', '.join(sorted(names)) or 'none'}; received "
                             f"{', '.join(sorted(unknown))}.")

        def put(extent: Extent) -> Extent:
            return dims.substitute(extent, {s: extents[s.name] for s in dims.symbols(extent) if s.name in extents})
        rows = [LayerCost(r.layer, put(r.multiply_adds), r.params, put(r.nbytes), put(r.memory)) for r in self.layers]
        return Cost(self.name, rows, self.total.params)

    def __str__(self) -> str:
        head = f"{'layer':36}{'multiply-adds':>26}{'params':>14}{'bytes':>26}{'result, bytes':>22}"
        rows = [f"{r.layer[:35]:36}{_shown(r.multiply_adds):>26}{r.params:>14,}{_shown(r.nbytes):>26}{_shown(r.memory):>22}"
                for r in (*self.layers, self.total)]
        return "\n".join([f"{self.name}", head, *rows])

    __repr__ = __str__


def _shown(extent: Extent) -> str:
    return f"{extent:,}" if isinstance(extent, int) else str(extent)


def cost(model: Any) -> Cost:
    """The cost of a model's layers; `Model.cost` says more."""
    graph = model.executable()[0].graph
    groups: dict[str, list[Node]] = {}
    for node in graph.nodes:
        if not isinstance(node.op, Leaf):
            groups.setdefault(node.scope or node.name, []).append(node)
    rows = [_row(layer, nodes, graph) for layer, nodes in groups.items()]
    return Cost(model.name, rows, model.count_params())


def _row(layer: str, nodes: list[Node], graph: Graph) -> LayerCost:
    """Elements that lie between a layer's own ops are not counted as moved: they are fused, or stay in cache."""
    inside = set(nodes)
    read = {t.key: t for node in nodes for t in node.inputs if t.node not in inside and not isinstance(t.node.op, Constant)}
    weights = {t.node.op.variable: t.spec for t in read.values() if isinstance(t.node.op, Read)}
    taken = {t.key for node in graph.nodes if node not in inside for t in node.inputs} | {t.key for t in graph.roots}
    results = [spec for node in nodes for i, spec in enumerate(node.specs) if (node, i) in taken]
    work: Extent = 0
    for node in nodes:
        if not isinstance(node.op, View):
            work = work + node.op.work(*[t.spec for t in node.inputs])  # type: ignore[operator]
    memory = _bytes(results)
    return LayerCost(layer, work, sum(v.size for v in weights), _bytes([t.spec for t in read.values()]) + memory,
                     memory)  # type: ignore[operator]


def _bytes(specs: list[Spec]) -> Extent:
    total: Extent = 0
    for spec in specs:
        total = total + np.dtype(spec.dtype).itemsize * dims.product(spec.shape)  # type: ignore[operator]
    return total


__all__ = ["Cost", "LayerCost", "cost", "profile"]
