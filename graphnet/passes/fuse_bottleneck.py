"""fuse_bottleneck: a convolution of single pixels joins the depthwise and 1x1 convolutions behind it, where what it gives is too
large for the near caches: few channels become many for no longer than a window needs them.
"""
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet.graph import Graph, Node, Spec, Tensor
from graphnet.op import Op
from graphnet.passes.fuse_separable import Separable, contraction, is_pointwise

FAR = 1 << 19  # bytes of an image in between, from which it does not stay near


@dataclass(frozen=True)
class Bottleneck(Op):
    """`after` of the result of `before`, which takes the first `arity` inputs, and of the other inputs."""

    before: Op
    arity: int
    after: Separable

    @property
    def producer(self) -> Op:
        """What reads the first input."""
        return contraction(self.before)

    def infer(self, *specs: Spec) -> Spec:
        return self.after.infer(self.before.infer(*specs[:self.arity]), *specs[self.arity:])  # type: ignore[arg-type]

    def reference(self, *arrays: np.ndarray) -> np.ndarray:
        return self.after.reference(self.before.reference(*arrays[:self.arity]), *arrays[self.arity:])  # type: ignore[arg-type]

    def by_rows(self, *specs: Any) -> bool:
        middle = self.before.infer(*specs[:self.arity])
        return self.before.by_rows(*specs[:self.arity]) and self.after.by_rows(middle, *specs[self.arity:])

    def __str__(self) -> str:
        return f"{self.before}, then {self.after}"


def fuse_bottleneck(graph: Graph) -> Graph:
    """Merges convolutions of single pixels with the only reader of each, if that is a `Separable` and a large image lies between."""
    readers = Counter(t.key for node in graph.nodes for t in node.inputs) + Counter(t.key for t in graph.roots)

    def change(node: Node, inputs: tuple[Tensor, ...]) -> list[Tensor] | None:
        if not isinstance(node.op, Separable) or readers[node.inputs[0].key] != 1:
            return None
        before = inputs[0].node
        if not is_pointwise(before) or not _far(before.specs[0]):
            return None
        op = Bottleneck(before.op, len(before.inputs), node.op)
        merged = Node(op, (*before.inputs, *inputs[1:]), node.specs, "bottleneck", node.scope)
        return [Tensor(merged, 0)]
    return graph.rewrite(change)


def _far(spec: Spec) -> bool:
    extents = spec.shape[1:]
    return all(type(extent) is int for extent in extents) and 4 * math.prod(extents) > FAR  # type: ignore[arg-type]
