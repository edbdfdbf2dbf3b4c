"""Graphs inside of ops: the body of a loop, a branch. Traced from a function; run by the ops' references, step after step.

    Body      = a graph as a program over slots, ready to be run many times
    Captures  = what functions read from around them: outer tensors and variables, each with a stand-in inside
"""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphnet import tree
from graphnet.dims import Dim
from graphnet.errors import ShapeError, UnsupportedError
from graphnet.graph import Constant, Graph, Leaf, Node, Spec, Tensor, Variable
from graphnet.op import Op
from graphnet.ops.convert import shown, to_tensor
from graphnet.tracing import Trace, placeholder, tracing

Backward = Callable[[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]], list[Tensor | None]]
_differentiation: list[Backward] = []


def register_differentiation(backward: Backward) -> None:
    """Hands over `autodiff.backward`, which stands above this room: (outputs, cotangents, wrt) -> cotangents of wrt."""
    _differentiation[:] = [backward]


def backward(outputs: Sequence[Tensor], cotangents: Sequence[Tensor], wrt: Sequence[Tensor]) -> list[Tensor | None]:
    """`autodiff.backward`, in the trace that runs."""
    return _differentiation[0](outputs, cotangents, wrt)


class Body:
    """A graph as a program: for each node its op, and the slots that it reads and writes. Two bodies are equal if they are one."""

    __slots__ = ("constants", "graph", "size", "slots", "steps")

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        places: dict[Any, int] = {t.key: i for i, t in enumerate(graph.inputs)}
        self.constants: list[tuple[int, np.ndarray]] = []
        self.steps: list[tuple[Any, tuple[int, ...], tuple[int, ...]]] = []
        for node in graph.nodes:
            made = tuple([places.setdefault((node, i), len(places)) for i in range(len(node.specs))])
            if isinstance(node.op, Leaf):
                self.constants.append((made[0], node.op.compute() if not isinstance(node.op, Constant) else node.op.value))
            else:
                self.steps.append((node.op, tuple([places[t.key] for t in node.inputs]), made))
        self.slots, self.size = tuple([places[t.key] for t in graph.outputs]), len(places)

    def bind(self, extents: Any) -> "Body":
        """The body with unknown extents in its ops replaced by their values."""
        def change(node: Node, inputs: tuple[Tensor, ...]) -> list[Tensor] | None:
            if isinstance(node.op, Leaf):
                return None
            new = Node(node.op.bind(extents), inputs, node.specs, node.name, node.scope)
            return [Tensor(new, i) for i in range(len(node.specs))]
        return Body(self.graph.rewrite(change))

    def _walk(self, inputs: Sequence[Any], constant: Callable[[np.ndarray], Any], step: Callable[[Any, list[Any]], Any]) -> list[Any]:
        values = [*inputs, *[None] * (self.size - len(inputs))]
        for at, value in self.constants:
            values[at] = constant(value)
        for op, reads, writes in self.steps:
            out = step(op, [values[i] for i in reads])
            for i, value in zip(writes, out if type(out) is tuple else (out,), strict=True):
                values[i] = value
        return [values[i] for i in self.slots]

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """The outputs for these inputs."""
        return self._walk(arrays, lambda value: value, lambda op, inputs: op.reference(*inputs))

    def infer(self, *specs: Spec) -> list[Spec]:
        """The specs of the outputs for inputs of these specs."""
        return self._walk(specs, lambda value: Spec(value.shape, value.dtype.name), lambda op, inputs: op.infer(*inputs))

    def __str__(self) -> str:
        return f"<{len(self.steps)} ops>"

    __repr__ = __str__


class Captures:
    """What bodies read from the trace around them, in the order in which they first do."""

    def __init__(self, outer: Trace) -> None:
        self.outer = outer
        self.found: dict[Any, tuple[Tensor, Tensor]] = {}  # a variable, or a tensor's key -> (the outer tensor, its stand-in)

    def stand_in(self, value: Tensor | Variable) -> Tensor:
        """The tensor that takes an outer value's place inside; a variable has one of its own, whatever tensor it was assigned."""
        tensor = self.outer.lift(value)
        if not isinstance(tensor.node.op, (Op, Leaf)):
            raise UnsupportedError(f"The function of a loop or of a branch reads the symbolic tensor {tensor.name!r} from around it. "
                                   "In a functional model put the call into a Layer, or hand the tensor over as an argument (init, xs, "
                                   "loop_vars, operands).")
        key = value if isinstance(value, Variable) else tensor.key
        return self.found.setdefault(key, (tensor, placeholder(tensor.spec, tensor.name)))[1]

    @property
    def outside(self) -> list[Tensor]:
        return [tensor for tensor, _ in self.found.values()]

    @property
    def inside(self) -> list[Tensor]:
        return [stand_in for _, stand_in in self.found.values()]


class BodyTrace(Trace):
    """The trace of a body: tensors that were not made in it are captured."""

    def __init__(self, captures: Captures, own: Sequence[Node]) -> None:
        super().__init__(captures.outer.training, captures.outer.outer)
        self.scope = list(captures.outer.scope)
        self.captures, self.own = captures, set(own)

    def lift(self, value: Any) -> Tensor:
        if isinstance(value, Variable):
            return self.updates[value] if value in self.updates else self.captures.stand_in(value)
        if isinstance(value, Tensor):
            inside = value.node in self.own or any(value is t for t in self.captures.inside)
            return value if inside else self.captures.stand_in(value)
        tensor = super().lift(value)
        self.own.add(tensor.node)
        return tensor

    def emit(self, op: Any, inputs: Sequence[Any]) -> Any:
        out = super().emit(op, inputs)
        self.own.add((out[0] if isinstance(out, tuple) else out).node)
        return out


class Traced:
    """A function traced on placeholders: the tensors that it gives, their structure (None stays), and the variables that it assigns."""

    def __init__(self, function: Callable[..., Any], arguments: Any, inputs: Sequence[Tensor], captures: Captures) -> None:
        trace = BodyTrace(captures, [t.node for t in inputs])
        with tracing(trace):
            self.result = function(*arguments)
            self.leaves = tree.flatten(self.result)
            self.outputs = [trace.lift(to_tensor(leaf)) for leaf in self.leaves if leaf is not None]
        if trace.losses:
            who = trace.losses[0][0]
            raise UnsupportedError("The function of a loop or of a branch is expected to add no loss, which would not be counted; "
                                   f"received one from {getattr(who, 'name', who)!r} (add_loss, or its activity_regularizer). "
                                   "Return the value from the function, and call add_loss outside of it.")
        self.updates = trace.updates

    def rebuilt(self, tensors: Sequence[Any]) -> Any:
        """The structure with other values for its tensors."""
        rest = iter(tensors)
        return tree.pack_sequence_as(self.result, [None if leaf is None else next(rest) for leaf in self.leaves])


def gradient_body(inputs: Sequence[Tensor], make: Callable[[], Sequence[Tensor]], graph: Graph) -> Body:
    """The body of a gradient, which `make` gives the outputs of: further nodes behind those of the body's own graph."""
    captures = Captures(Trace())
    trace = BodyTrace(captures, [*graph.nodes, *[t.node for t in (*graph.inputs, *inputs)]])
    with tracing(trace):
        outputs = [trace.lift(t) for t in make()]
    assert not captures.found, "a gradient reads nothing from around it"
    return Body(Graph(inputs, outputs, name="gradient"))


def expect_alike(who: str, what: str, before: Sequence[Spec], after: Sequence[Spec]) -> None:
    """Raises ShapeError where two lists of specs differ in number, shape or dtype; unknown extents are compared when it runs."""
    def same(a: Spec, b: Spec) -> bool:
        return a.dtype == b.dtype and len(a.shape) == len(b.shape) and all(
            isinstance(i, Dim) or isinstance(j, Dim) or i == j for i, j in zip(a.shape, b.shape, strict=True))
    if len(before) != len(after) or not all(map(same, before, after)):
        left, right = (", ".join(f"{s.dtype}{list(shown(s.shape))}" for s in specs) or "nothing" for specs in (before, after))
        raise ShapeError(f"{who} expects {what} of the same structure, shapes and dtypes; received {left} and {right}.")
