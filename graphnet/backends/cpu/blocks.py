"""Blocks of rows: stretches of a graph through which a large batch goes a few rows at a time.

Where rows are computed apart (`Op.by_rows`), a stretch may run from its first op to its last for some rows before it turns to
the next. It then reads its weights once a block, but what lies between its ops stays in the caches, and little memory is
needed. Which stretches, and how many rows, is decided by an estimate of the bytes that do not come from the near caches. It
knows shapes alone, neither the machine nor the threads: results depend on neither.

Stretches that run whole beside others are parts as well. Parts take turns on one memory: what lies between the ops of one is not
needed while another runs.
"""
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet import dims
from graphnet.backends.cpu.operand import itemsize
from graphnet.backends.numpy.interpreter import evaluate
from graphnet.dims import Symbol
from graphnet.graph import Graph, Leaf, Node, Spec, Tensor
from graphnet.op import Op, View

NEAR = 2 << 20  # bytes of an op's operands that are still near when the next op wants them
BEGUN = 1 << 17  # bytes that could be moved while all threads begin an op
CUT = 1 << 20  # bytes that could be moved while a block begins and ends
SIZES = (1, 2, 4, 8, 16)
LARGE = 16 << 20  # bytes of all results from which it is worth to think about blocks

Specs = Mapping[Any, Spec]  # of each tensor's key, every extent known


@dataclass(frozen=True, eq=False)
class RowBlocks(Op):
    """A part of a graph, computed `size` rows at a time.

    Args:
        key: names the part among those of one graph.
        lengths: of each input and each result how many of its first extent are a row; 0 for an input used whole by all rows.
        batch, extents: the batch's unknown extent, and the values of all; a block has its own rows for the batch.
        results: the specs of what it gives.
    """

    graph: Graph
    key: Any
    rows: int
    size: int
    lengths: tuple[int, ...]
    batch: Symbol
    extents: Mapping[Symbol, int]
    results: tuple[Spec, ...]

    def infer(self, *specs: Spec) -> tuple[Spec, ...]:
        return self.results

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(evaluate(self.graph, arrays, self.extents)[0])


def in_blocks(graph: Graph, specs: Specs, extents: Mapping[Symbol, int]) -> Graph | None:
    """The graph with stretches replaced by `RowBlocks`; None where the whole batch at once is best."""
    batch = next((dims.sole_symbol(t.spec.shape[0]) for t in graph.inputs if t.spec.shape), None)
    rows = extents.get(batch, 1) if batch is not None else 1
    nodes = [node for node in graph.nodes if not isinstance(node.op, Leaf)]
    if rows <= 1 or graph.updates or sum(_bytes(specs[n, i]) for n in nodes for i in range(len(n.specs))) < LARGE:
        return None
    assert batch is not None
    sizes = _chosen(nodes, graph, specs, batch, rows)
    if all(size == rows for size in sizes):
        return None
    return _replaced(graph, nodes, sizes, specs, extents, batch)


def _bytes(spec: Spec) -> int:
    return math.prod(spec.shape) * itemsize(spec.dtype)  # type: ignore[arg-type, return-value]


def length(spec: Spec, batch: Symbol) -> int | None:
    """How many of the first extent are a row of the batch: 0 where no extent depends on the batch; None where another does too."""
    unknown = [extent for extent in spec.shape if type(extent) is not int]
    if not any(batch in dims.symbols(extent) for extent in unknown):
        return 0
    first = spec.shape[0]
    if isinstance(first, dims.Dim) and set(first.terms) == {(batch,)} and not any(batch in dims.symbols(s) for s in unknown[1:]):
        return first.terms[batch,]
    return None


def _by_rows(node: Node, batch: Symbol) -> bool:
    """Whether some rows of a node's results need the same rows of its inputs alone."""
    lengths = [length(t.spec, batch) for t in node.inputs]
    if not any(lengths) or None in lengths or not all(length(spec, batch) for spec in node.specs):
        return False
    return bool(node.op.by_rows(*[t.spec for t in node.inputs]))


def _chosen(nodes: Sequence[Node], graph: Graph, specs: Specs, batch: Symbol, rows: int) -> list[int]:
    """The rows of a block for each node, so that the fewest bytes are moved in all: the cheapest way through a table of nodes and
    sizes, where each change of size costs what lies between the two nodes.
    """
    sizes = [rows, *[size for size in SIZES if size < rows]]
    between = _between(nodes, graph, specs, batch)
    total, ways = [0.0] * len(sizes), []
    for node, crossing in zip(nodes, between, strict=True):
        cheapest = min(range(len(sizes)), key=total.__getitem__)
        change = total[cheapest] + 2 * crossing
        reached, traffic = [], Traffic.of(node, specs, batch)
        for i, size in enumerate(sizes):
            begun = CUT * -(-rows // size) if size != rows else 0
            reached.append(cheapest if change + begun < total[i] else i)
            total[i] = min(total[i], change + begun) + traffic.moved(rows, size)
        ways.append(reached)
    at, chosen = min(range(len(sizes)), key=total.__getitem__), []
    for reached in reversed(ways):
        chosen.append(sizes[at])
        at = reached[at]
    return chosen[::-1]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes that a node reads for all rows alike, and bytes of its operands and results that each row has of its own."""

    by_rows: bool
    shared: int
    own: int
    view: bool

    @classmethod
    def of(cls, node: Node, specs: Specs, batch: Symbol) -> "Traffic":
        shared, own = 0, sum(_bytes(specs[node, i]) for i in range(len(node.specs)))
        for t in node.inputs:
            if length(t.spec, batch) == 0:
                shared += _bytes(specs[t.key])
            else:
                own += _bytes(specs[t.key])
        return cls(_by_rows(node, batch), shared, own, isinstance(node.op, View))

    def moved(self, rows: int, size: int) -> float:
        """Bytes that do not come from the near caches with blocks of that size, and what stands for the time to begin."""
        if size != rows and not self.by_rows:
            return math.inf
        if self.view:
            return 0.0
        return -(-rows // size) * (self.shared + BEGUN + max(0.0, self.own * size / rows - NEAR))


def _between(nodes: Sequence[Node], graph: Graph, specs: Specs, batch: Symbol) -> list[int]:
    """Before each node, the bytes that nodes from there on read of what was computed before."""
    last: dict[Any, int] = {}
    for i, node in enumerate(nodes):
        last |= dict.fromkeys([t.key for t in node.inputs if not isinstance(t.node.op, Leaf)], i)
    last |= {t.key: len(nodes) for t in graph.outputs}
    changes = [0] * (len(nodes) + 2)
    for i, node in enumerate(nodes):
        for k in range(len(node.specs)):
            if (node, k) in last:
                changes[i + 1] += _bytes(specs[node, k])
                changes[last[node, k] + 1] -= _bytes(specs[node, k])
    found, now = [], 0
    for change in changes[:len(nodes)]:
        now += change
        found.append(now)
    return found


def _replaced(graph: Graph, nodes: Sequence[Node], sizes: Sequence[int], specs: Specs, extents: Mapping[Symbol, int],
              batch: Symbol) -> Graph:
    """The graph with each run of nodes of one size as one node: a run of the whole batch, too, if much lies between its nodes, which
    then takes the memory that the others' blocks have.
    """
    rows, new = extents[batch], {t.key: t for t in graph.inputs}
    new |= {(leaf, 0): Tensor(leaf, 0) for leaf in graph.nodes if isinstance(leaf.op, Leaf)}
    kinds = [(size, size != rows or _by_rows(node, batch)) for node, size in zip(nodes, sizes, strict=True)]
    for (size, apart), numbers in itertools.groupby(range(len(nodes)), kinds.__getitem__):
        run = [nodes[n] for n in numbers]
        if apart and (size != rows or sum(_bytes(specs[node, i]) for node in run for i in range(len(node.specs))) > NEAR):
            new |= _part(graph, run, size, new, specs, extents, batch)
            continue
        for node in run:
            again = Node(node.op, tuple([new[t.key] for t in node.inputs]), node.specs, node.name, node.scope)
            new |= {(node, i): Tensor(again, i) for i in range(len(node.specs))}
    return Graph(graph.inputs, [new[t.key] for t in graph.outputs], name=graph.name)


def _part(graph: Graph, nodes: Sequence[Node], size: int, new: Mapping[Any, Tensor], specs: Specs, extents: Mapping[Symbol, int],
          batch: Symbol) -> dict[Any, Tensor]:
    """What stands for the results of some nodes that others need: those of one node."""
    inside, fixed = set(nodes), {(node, 0) for node in graph.nodes if isinstance(node.op, Leaf)}
    taken = {t.key: t for node in nodes for t in node.inputs if t.node not in inside and t.key not in fixed}
    needed = {t.key for node in graph.nodes if node not in inside for t in node.inputs} | {t.key for t in graph.outputs}
    given = {(node, i): Tensor(node, i) for node in nodes for i in range(len(node.specs)) if (node, i) in needed}
    lengths = [length(t.spec, batch) for t in (*taken.values(), *given.values())]
    op = RowBlocks(Graph(list(taken.values()), list(given.values()), name=graph.name), (nodes[0], nodes[-1]), extents[batch], size,
                   tuple(lengths), batch, extents, tuple([specs[key] for key in given]))  # type: ignore[arg-type]
    node = Node(op, tuple([new[key] for key in taken]), tuple([t.spec for t in given.values()]), "rows", "rows")
    return {key: Tensor(node, i) for i, key in enumerate(given)}
