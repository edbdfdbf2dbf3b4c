"""fold: what depends on constants and variables alone is computed once, and again only when a variable changes."""
from collections.abc import Sequence

import numpy as np

from graphnet.backends.numpy.interpreter import evaluate
from graphnet.graph import Constant, Graph, Leaf, Node, Placeholder, Read, Spec, Tensor, Variable

LARGEST = 1 << 22  # elements; a larger result costs more to keep than to compute


class Folded(Leaf):
    """The value of a graph without inputs: constants and variables combined."""

    name = "folded"

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.variables: list[Variable] = graph.variables

    def infer(self) -> Spec:
        return self.graph.outputs[0].spec

    def compute(self) -> np.ndarray:
        return evaluate(self.graph, [])[0][0]


def is_fixed(tensor: Tensor, written: set[Variable]) -> bool:
    """Whether a tensor is fixed: its value depends on constants alone, and on variables that the graph itself does not write."""
    op = tensor.node.op
    variables = op.variables if isinstance(op, Folded) else [op.variable] if isinstance(op, Read) else []
    return isinstance(op, (Constant, Read, Folded)) and written.isdisjoint(variables)


def expand(tensor: Tensor) -> Tensor:
    """The tensor behind a folded leaf: the graph that computes it."""
    return tensor.node.op.graph.outputs[0] if isinstance(tensor.node.op, Folded) else tensor


def folded(tensor: Tensor) -> Tensor:
    """A computed tensor, whose inputs are fixed, as one leaf: a constant where no variable is behind it."""
    graph = Graph((), [tensor], name="folded")
    leaf: Leaf = Folded(graph)
    if not graph.variables:
        leaf = Constant(evaluate(graph, [])[0][0])
    return Tensor(Node(leaf, (), (tensor.spec,), leaf.name, tensor.node.scope))


def _apply(node: Node, inputs: Sequence[Tensor]) -> Node:
    return Node(node.op, tuple([expand(t) for t in inputs]), node.specs, node.name, node.scope)


def fold(graph: Graph) -> Graph:
    """Replaces each node whose inputs are all fixed by a leaf that holds its value."""
    written = set(graph.updates)

    def change(node: Node, inputs: tuple[Tensor, ...]) -> list[Tensor] | None:
        if isinstance(node.op, (Leaf, Placeholder)) or len(node.specs) != 1 or not inputs:
            return None
        if not all(is_fixed(t, written) for t in inputs):
            return None
        extent = 1
        for s in node.specs[0].shape:
            if not isinstance(s, int):
                return None
            extent *= s
        if extent > LARGEST:
            return None
        return [folded(Tensor(_apply(node, inputs)))]

    return graph.rewrite(change)
