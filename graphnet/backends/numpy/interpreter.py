"""The reference interpreter of a primitive graph."""
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphnet.errors import OutOfRangeError
from graphnet.graph import Constant, Graph, Leaf, Read, Variable


def evaluate(graph: Graph, inputs: Sequence[np.ndarray], extents: Mapping[Any, int] | None = None) -> tuple[list[np.ndarray], dict[Variable, np.ndarray]]:
    """The outputs of the graph, and the values of its updates.

    `extents` gives the values of unknown extents that stand in attributes; by default they are read off the inputs.
    """
    if extents is None:
        extents = bind_extents(graph, [x.shape for x in inputs])
    values: dict[Any, np.ndarray] = {t.key: x for t, x in zip(graph.inputs, inputs, strict=True)}
    for node in graph.nodes:
        if isinstance(node.op, Read):
            values[node, 0] = node.op.variable.value
        elif isinstance(node.op, Constant):
            values[node, 0] = node.op.value
        elif isinstance(node.op, Leaf):
            values[node, 0] = node.op.compute()
        else:
            try:
                out = node.op.bind(extents).reference(*[values[t.key] for t in node.inputs])
            except OutOfRangeError as error:
                raise OutOfRangeError(f"layer {node.scope or node.name!r}: {error}") from None
            for i, value in enumerate(out if isinstance(out, tuple) else (out,)):
                values[node, i] = value
    return [np.array(values[t.key]) for t in graph.outputs], {v: values[t.key] for v, t in graph.updates.items()}


def bind_extents(graph: Graph, shapes: Sequence[tuple[int, ...]]) -> dict[Any, int]:
    """Values of the unknown extents, read off the shapes of the inputs."""
    from graphnet.dims import sole_symbol
    extents: dict[Any, int] = {}
    for tensor, shape in zip(graph.inputs, shapes, strict=True):
        for extent, value in zip(tensor.spec.shape, shape, strict=True):
            symbol = sole_symbol(extent)
            if symbol is not None:
                extents[symbol] = value
    return extents
