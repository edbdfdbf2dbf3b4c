"""cse: nodes of equal ops on equal inputs become one."""
from typing import Any

from graphnet.graph import Constant, Graph, Leaf, Node, Read, Tensor


def cse(graph: Graph) -> Graph:
    """Computes each common subexpression once; leaves of one variable, and small equal constants, become one too."""
    seen: dict[Any, list[Tensor]] = {}

    def change(node: Node, inputs: tuple[Tensor, ...]) -> list[Tensor] | None:
        op = node.op
        if isinstance(op, Read):
            key: Any = op.variable
        elif isinstance(op, Constant):
            key = (op.value.shape, op.value.dtype.name, op.value.tobytes()) if op.value.size <= 1024 else id(op.value)
        elif isinstance(op, Leaf):
            key = op
        else:
            key = (op, tuple([t.key for t in inputs]))
        if key not in seen:
            new = node if all(a is b for a, b in zip(inputs, node.inputs, strict=True)) else Node(op, inputs, node.specs, node.name, node.scope)
            seen[key] = [Tensor(new, i) for i in range(len(node.specs))]
        return seen[key]

    return graph.rewrite(change)
