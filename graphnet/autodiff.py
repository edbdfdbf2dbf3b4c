"""Reverse-mode differentiation: one walk from the outputs back to what is asked for, each op giving its own rule (`vjp`).

    gradients(graph, of, wrt) -> Graph          a graph's outputs, followed by the gradients
    backward(outputs, cotangents, wrt)          the same walk inside a trace: tensors to tensors

Gradients are further nodes of the same graph. What of them nobody reads is not part of it: a graph is what its outputs reach.
"""
from collections.abc import Sequence
from typing import Any

from graphnet import dtypes
from graphnet.errors import GraphError
from graphnet.graph import Graph, Node, Tensor, reach
from graphnet.ops.broadcasting import unbroadcast
from graphnet.ops.convert import cast
from graphnet.ops.creation import ones_like, zeros_like
from graphnet.ops.elementwise import Add
from graphnet.ops.subgraphs import register_differentiation
from graphnet.tracing import Trace, current, tracing

__all__ = ["backward", "gradients", "unbroadcast"]


def gradients(graph: Graph, of: Tensor, wrt: Sequence[Tensor]) -> Graph:
    """The graph whose outputs are those of `graph`, followed by the gradient of the sum of `of` with respect to each of `wrt`.

    Arguments: ``of`` a float tensor of the graph, a scalar as a rule; ``wrt`` tensors of the graph: inputs, reads of variables,
    or what was computed. A gradient has the shape and dtype of its tensor, and is zero where `of` does not depend on it.
    Raises UnsupportedError where an op between them has no gradient.

    Example:

        >>> import numpy as np
        >>> from graphnet import ops
        >>> from graphnet.backends.numpy.interpreter import evaluate
        >>> from graphnet.graph import Spec
        >>> from graphnet.tracing import placeholder, trace_function
        >>> graph, _ = trace_function(lambda x: ops.sum(x * x), [placeholder(Spec((3,)))])
        >>> evaluate(gradients(graph, graph.outputs[0], graph.inputs), [np.ones(3, "float32")])[0][1]
        array([2., 2., 2.], dtype=float32)
    """
    trace = Trace()
    with tracing(trace):
        found = backward([of], [ones_like(of)], wrt)
        filled = [trace.lift(zeros_like(x)) if g is None else g for g, x in zip(found, wrt, strict=True)]
    return Graph(graph.inputs, (*graph.outputs, *filled), graph.updates, graph.name)


def backward(outputs: Sequence[Tensor], cotangents: Sequence[Tensor], wrt: Sequence[Tensor]) -> list[Tensor | None]:
    """The cotangents of `wrt` for those of the outputs, within the trace that runs; None where no output depends on it."""
    trace = current()
    if trace is None:
        raise GraphError("backward expects to run inside a trace; use gradients(graph, of, wrt), or graphnet.grad(function).")
    order = reach(outputs)
    differs = _depends(order, wrt)
    sums: dict[Any, Tensor] = {}
    for output, g in zip(outputs, cotangents, strict=True):
        _accumulate(sums, output, trace.lift(g))  # of a known shape it may be an array
    scope = trace.scope
    try:
        for node in reversed(order):
            if node.inputs and any((node, i) in sums and (node, i) in differs for i in range(len(node.specs))):
                trace.scope = [*[""] * trace.outer, f"{node.scope or node.name} (gradient)"]
                _through(node, sums, differs)
    finally:
        trace.scope = scope
    return [sums.get(x.key) for x in wrt]


def _depends(order: Sequence[Node], wrt: Sequence[Tensor]) -> set[Any]:
    """The values that change with `wrt`; integers and booleans carry no gradient, so none of them does."""
    found = {x.key for x in wrt}
    for node in order:
        if any(t.key in found for t in node.inputs):
            found |= {(node, i) for i, spec in enumerate(node.specs) if spec.dtype in dtypes.FLOATS}
    return found


def _through(node: Node, sums: dict[Any, Tensor], differs: set[Any]) -> None:
    """Hands the cotangents of a node's outputs on to its inputs."""
    outputs = tuple([Tensor(node, i) for i in range(len(node.specs))])
    given = tuple([sums.get(t.key) for t in outputs])
    several = type(node.op.infer(*[t.spec for t in node.inputs])) is tuple if len(outputs) == 1 else True
    cotangents = node.op.vjp(given, outputs, *node.inputs) if several else node.op.vjp(given[0], outputs[0], *node.inputs)
    for x, g in zip(node.inputs, cotangents, strict=True):
        if g is not None and x.key in differs:
            _accumulate(sums, x, g)


def _accumulate(sums: dict[Any, Tensor], x: Tensor, g: Any) -> None:
    g = unbroadcast(g, x)
    if g.dtype != x.dtype:
        g = cast(g, x.dtype)
    before = sums.get(x.key)
    sums[x.key] = g if before is None else Add()(before, g)


register_differentiation(backward)  # the gradients of branches and loops are ops too, whose bodies are differentiated by it
