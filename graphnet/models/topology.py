"""From outputs back to inputs: the nodes of a functional model, its layers in Keras's order, and what a disconnected graph
lacks.
"""
from collections.abc import Sequence
from typing import Any

from graphnet.errors import GraphError
from graphnet.graph import Node, Tensor, made_at
from graphnet.op import FunctionCall


def walk(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[list[Node], list[Any]]:
    """Nodes in running order, and operations in the order in which Keras lists them: by depth, then by the walk's first sight.

    The order of operations decides that of weights, and with it which array of a file goes where.
    """
    stop = {t.key for t in inputs}
    order: list[Node] = []
    sight: dict[Any, int] = {}
    seen: set[Node] = set()
    for output in outputs:
        stack: list[tuple[Node, int]] = [(output.node, 0)]
        while stack:
            node, at = stack.pop()
            if at == 0:
                if node in seen:
                    continue
                seen.add(node)
                sight.setdefault(node.op, len(sight))
            parents = () if any((node, i) in stop for i in range(len(node.specs))) else node.inputs
            while at < len(parents) and parents[at].node in seen:
                at += 1
            if at < len(parents):
                stack.append((node, at + 1))
                stack.append((parents[at].node, 0))
            else:
                order.append(node)
    return order, _by_depth(order, sight, inputs, stop)


def _by_depth(order: list[Node], sight: dict[Any, int], inputs: Sequence[Tensor], stop: set[Any]) -> list[Any]:
    depths: dict[Node, int] = {}
    op_depths: dict[Any, int] = {}
    for node in reversed(order):
        depth = max(depths.setdefault(node, 0), op_depths.get(node.op, 0))
        op_depths[node.op] = depths[node] = depth
        if not any((node, i) in stop for i in range(len(node.specs))):
            for t in node.inputs:
                depths[t.node] = max(depth + 1, depths.get(t.node, 0))
    for t in inputs:
        if t.node.op not in op_depths:
            op_depths[t.node.op], sight[t.node.op] = 0, -1
    return sorted(op_depths, key=lambda op: (-op_depths[op], sight[op]))


def check_connected(inputs: Sequence[Tensor], outputs: Sequence[Tensor], nodes: Sequence[Node], name: str) -> None:
    """Raises GraphError where an output depends on an Input that is not among the model's inputs; shows the shortest path to
    it.
    """
    given = {t.key for t in inputs}
    for node in nodes:
        if not node.inputs and not isinstance(node.op, FunctionCall) and (node, 0) not in given:
            import networkx as nx  # here, because importing it takes long and only this needs it
            graph = nx.DiGraph((t.node, n) for n in nodes for t in n.inputs)
            ends = {t.node for t in outputs}
            paths = [nx.shortest_path(graph, node, end) for end in ends if end in graph and node in graph
                     and nx.has_path(graph, node, end)]
            path = min(paths, key=len) if paths else [node]
            shown = " -> ".join(n.name for n in (path if len(path) <= 7 else [*path[:3], *path[-3:]]))
            missing = Tensor(node)
            raise GraphError(
                f"Model {name!r} is disconnected: its outputs depend on the Input {node.name!r} (shape {missing.shape}, "
                f"{made_at(missing)}), which is "
                f"not among its inputs {[t.name for t in inputs]}. The way from it to an output: {shown}. Add it to inputs, or "
                "build the outputs from the inputs given.")
