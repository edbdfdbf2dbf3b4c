"""bodies: the graphs inside of branches and loops are simplified as the one around them, since each of their steps runs them."""
from dataclasses import fields, replace
from typing import Any

from graphnet.graph import Graph, Node, Tensor
from graphnet.ops.loops import Branch, Scan, WhileLoop
from graphnet.ops.subgraphs import Body
from graphnet.passes.cse import cse
from graphnet.passes.fold import fold
from graphnet.passes.simplify import simplify

HOLDERS = (Branch, Scan, WhileLoop)


def bodies(graph: Graph) -> Graph:
    """Runs simplify, fold and cse on the graphs that ops hold, innermost first."""
    def change(node: Node, inputs: tuple[Tensor, ...]) -> list[Tensor] | None:
        if not isinstance(node.op, HOLDERS):
            return None
        new = Node(_inside(node.op), inputs, node.specs, node.name, node.scope)
        return [Tensor(new, i) for i in range(len(node.specs))]

    return graph.rewrite(change) if any(isinstance(node.op, HOLDERS) for node in graph.nodes) else graph


def _inside(op: Any) -> Any:
    """The op with its bodies simplified."""
    new: dict[str, Any] = {}
    for name in [f.name for f in fields(op)]:
        value = getattr(op, name)
        if isinstance(value, Body):
            new[name] = _simpler(value)
        elif isinstance(value, tuple):
            new[name] = tuple([_simpler(body) for body in value])
    return replace(op, **new)


def _simpler(body: Body) -> Body:
    return Body(cse(fold(simplify(bodies(body.graph)))))
