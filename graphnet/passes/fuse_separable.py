"""fuse_separable: a depthwise convolution and the 1x1 convolution behind it become one op, so that a line of pixels may go through
both while it is in cache.
"""
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet.graph import Graph, Node, Spec, Tensor
from graphnet.op import Op
from graphnet.ops.convolution import Conv, DepthwiseConv
from graphnet.passes.fuse import Epilogue


def contraction(op: Op) -> Op:
    """The op itself, or what its epilogue follows."""
    return op.producer if isinstance(op, Epilogue) else op


@dataclass(frozen=True)
class Separable(Op):
    """`second` of the result of `first`, which takes the first `arity` inputs, and of the other inputs; each may be an Epilogue."""

    first: Op
    arity: int
    second: Op

    @property
    def producer(self) -> Op:
        """What reads the first input."""
        return contraction(self.first)

    def infer(self, *specs: Spec) -> Spec:
        return self.second.infer(self.first.infer(*specs[:self.arity]), *specs[self.arity:])  # type: ignore[no-any-return]

    def reference(self, *arrays: np.ndarray) -> np.ndarray:
        middle = self.first.reference(*arrays[:self.arity])
        return self.second.reference(middle, *arrays[self.arity:])  # type: ignore[no-any-return]

    def by_rows(self, *specs: Any) -> bool:
        middle = self.first.infer(*specs[:self.arity])
        return self.first.by_rows(*specs[:self.arity]) and self.second.by_rows(middle, *specs[self.arity:])

    def __str__(self) -> str:
        return f"{self.first}, then {self.second}"


def fuse_separable(graph: Graph) -> Graph:
    """Merges depthwise convolutions over an image with the only reader of each, if that is a convolution of single pixels."""
    readers = Counter(t.key for node in graph.nodes for t in node.inputs) + Counter(t.key for t in graph.roots)

    def change(node: Node, inputs: tuple[Tensor, ...]) -> list[Tensor] | None:
        if not is_pointwise(node) or readers[node.inputs[0].key] != 1:
            return None
        before = inputs[0].node
        if not isinstance(contraction(before.op), DepthwiseConv) or before.specs[0].dtype != "float32":
            return None
        op = Separable(before.op, len(before.inputs), node.op)
        merged = Node(op, (*before.inputs, *inputs[1:]), node.specs, "separable", node.scope)
        return [Tensor(merged, 0)]
    return graph.rewrite(change)


def is_pointwise(node: Node) -> bool:
    """Whether a node is a convolution of single pixels in float32, with what follows it or without."""
    op = contraction(node.op)
    if not isinstance(op, Conv):
        return False
    one = op.strides == (1, 1) and op.groups == 1 and node.inputs[1].spec.shape[:2] == (1, 1)
    return one and op.padding in ("valid", "same") and node.specs[0].dtype == "float32"
