"""simplify: small rewrites that leave less to do: identities, views of views, constants in a better form, sums before views, pads."""
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from graphnet.graph import Constant, Graph, Node, Tensor
from graphnet.op import Contraction
from graphnet.ops.convolution import Conv, ConvGradKernel, DepthwiseConv, DepthwiseConvGradKernel
from graphnet.ops.elementwise import Add, Cast, Clip, Divide, Maximum, Minimum, Multiply, Power, Square, Subtract
from graphnet.ops.layout import BroadcastTo, Concatenate, Pad, Reshape, Slice, StopGradient, Transpose

Rule = Callable[[Node, tuple[Tensor, ...]], Tensor | None]
RULES: dict[type, Rule] = {}


def rule(*kinds: type) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        for kind in kinds:
            RULES[kind] = function
        return function
    return register


def simplify(graph: Graph) -> Graph:
    """Applies each op's rule, inputs first."""
    def change(node: Node, inputs: tuple[Tensor, ...]) -> list[Tensor] | None:
        found = RULES.get(type(node.op))
        new = found(node, inputs) if found is not None else None
        return None if new is None else [new]
    return graph.rewrite(change)


def made(op: Any, inputs: tuple[Tensor, ...], node: Node) -> Tensor:
    """A node that takes the place of `node`."""
    return Tensor(Node(op, inputs, node.specs, op.name, node.scope))


def scalar(tensor: Tensor) -> float | None:
    """The value of a constant of one element, or None."""
    op = tensor.node.op
    return float(op.value.reshape(())) if isinstance(op, Constant) and op.value.size == 1 and op.value.dtype.kind in "fiu" else None


def _unchanged(node: Node, x: Tensor) -> Tensor | None:
    return x if x.spec == node.specs[0] else None


@rule(Add, Subtract)
def zero_added(node: Node, inputs: tuple[Tensor, ...]) -> Tensor | None:
    x, y = inputs
    if scalar(y) == 0:
        return _unchanged(node, x)
    if scalar(x) == 0 and isinstance(node.op, Add):
        return _unchanged(node, y)
    return before_reshape(node, x, y) if isinstance(node.op, Add) else None


@rule(Multiply, Divide)
def one_multiplied(node: Node, inputs: tuple[Tensor, ...]) -> Tensor | None:
    x, y = inputs
    if scalar(y) == 1:
        return _unchanged(node, x)
    if scalar(x) == 1 and isinstance(node.op, Multiply):
        return _unchanged(node, y)
    return before_reshape(node, x, y) if isinstance(node.op, Multiply) else None


def before_reshape(node: Node, x: Tensor, y: Tensor) -> Tensor | None:
    """reshape(x) + y is reshape(x + y), and so with *, where y has a value for each of x's last axis, one for all, or all.

    x is a contraction, or one with such a neighbour already: there y becomes part of what the contraction writes.
    """
    if not _reshaped(x, node):
        x, y = y, x
    if not _reshaped(x, node) or y.dtype != x.dtype:
        return None
    source, = x.node.inputs
    columns, extents = source.spec.shape[-1], y.spec.shape
    own = extents[next((i for i, extent in enumerate(extents) if extent != 1), len(extents)):]
    if extents == x.spec.shape:
        target = source.spec.shape
    elif own and (own != x.spec.shape[-len(own):] or not all(type(s) is int for s in own) or math.prod(own) != columns):
        return None
    else:
        target = (columns,) if own else ()
    values = made_anew(Reshape(target), (y,), node)
    return made(x.node.op, (made_anew(node.op, (source, values), node),), node)


def _reshaped(x: Tensor, node: Node) -> bool:
    """Whether x is, in the shape of node's result, a contraction reshaped, or a sum or product with one."""
    if not isinstance(x.node.op, Reshape) or x.spec != node.specs[0]:
        return False
    source, = x.node.inputs
    return bool(source.spec.shape) and _of_contraction(source, 4)


def _of_contraction(x: Tensor, depth: int) -> bool:
    op = x.node.op
    return isinstance(op, Contraction) or (isinstance(op, (Add, Multiply)) and depth > 0
                                           and any(_of_contraction(t, depth - 1) for t in x.node.inputs))


def made_anew(op: Any, inputs: tuple[Tensor, ...], node: Node) -> Tensor:
    """A node for `node`'s layer, of a shape of its own."""
    return Tensor(Node(op, inputs, (op.infer(*[t.spec for t in inputs]),), op.name, node.scope))


@rule(Power)
def square(node: Node, inputs: tuple[Tensor, ...]) -> Tensor | None:
    exponent = scalar(inputs[1])
    if inputs[0].spec != node.specs[0]:
        return None
    return inputs[0] if exponent == 1 else made(Square(), inputs[:1], node) if exponent == 2 else None


@rule(Maximum, Minimum)
def clip(node: Node, inputs: tuple[Tensor, ...]) -> Tensor | None:
    """A bound that is a number: maximum(x, 0) is Clip(0, inf)."""
    for x, bound in (inputs, inputs[::-1]):
        value = scalar(bound)
        if value is not None and x.spec == node.specs[0] and x.dtype.startswith("float") and not np.isnan(value):
            return made(Clip(value, np.inf) if isinstance(node.op, Maximum) else Clip(-np.inf, value), (x,), node)
    return None


@rule(Cast)
def cast(node: Node, inputs: tuple[Tensor, ...]) -> Tensor | None:
    return inputs[0] if inputs[0].dtype == node.op.dtype else None


@rule(Reshape)
def reshape(node: Node, inputs: tuple[Tensor, ...]) -> Tensor | None:
    x, = inputs
    if isinstance(x.node.op, Reshape):
        x, = x.node.inputs
    if x.spec.shape == node.specs[0].shape:
        return x
    return None if x is inputs[0] else made(Reshape(node.specs[0].shape), (x,), node)


@rule(Transpose)
def transpose(node: Node, inputs: tuple[Tensor, ...]) -> Tensor | None:
    x, = inputs
    axes = node.op.axes
    if isinstance(x.node.op, Transpose):
        axes = tuple(x.node.op.axes[a] for a in axes)
        x = x.node.inputs[0]
    if axes == tuple(range(len(axes))):
        return x
    return None if x is inputs[0] else made(Transpose(axes), (x,), node)


@rule(Slice)
def slice_all(node: Node, inputs: tuple[Tensor, ...]) -> Tensor | None:
    op = node.op
    whole = all(a is None and b is None and c == 1 for a, b, c in zip(op.starts, op.stops, op.steps, strict=True))
    return inputs[0] if whole else None


@rule(BroadcastTo)
def broadcast_to(node: Node, inputs: tuple[Tensor, ...]) -> Tensor | None:
    return _unchanged(node, inputs[0])


@rule(StopGradient)
def stop_gradient(node: Node, inputs: tuple[Tensor, ...]) -> Tensor | None:
    """All gradients are part of the graph by now, and a node in between would keep its neighbours out of one tape."""
    return inputs[0]


@rule(Concatenate)
def concatenate_one(node: Node, inputs: tuple[Tensor, ...]) -> Tensor | None:
    return inputs[0] if len(inputs) == 1 else None


@rule(Conv, DepthwiseConv, ConvGradKernel, DepthwiseConvGradKernel)
def padding(node: Node, inputs: tuple[Tensor, ...]) -> Tensor | None:
    """Zeros that were put around an image are the padding of the convolution behind it, whose halo costs no copy."""
    x, pad = inputs[0], inputs[0].node.op
    op = node.op
    if not isinstance(pad, Pad) or pad.mode != "constant" or pad.value != 0.0 or op.padding == "same":
        return None
    (first, *widths), last = pad.widths[:-1], pad.widths[-1]
    if (first, last) != ((0, 0), (0, 0)) or not all(type(w) is int and w >= 0 for pair in widths for w in pair):
        return None
    before = ((0, 0),) * len(widths) if op.padding == "valid" else op.padding
    wider = tuple([(a + c, b + d) for (a, b), (c, d) in zip(before, widths, strict=True)])
    return made(replace(op, padding=wider), (x.node.inputs[0], *inputs[1:]), node)
