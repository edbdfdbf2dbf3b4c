"""Tracing: running a function on placeholders, so that the ops in it become a Graph.

At the user's level a call of a layer, a model or a public op on symbolic tensors becomes one Node (`symbolic_call`). Inside a
trace the same code runs through: each Op becomes a Node, each Variable a leaf.
"""
import contextvars
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from graphnet import tree
from graphnet.constants import snapshot
from graphnet.dims import LARGEST, Dim, Extent, Symbol, substitute
from graphnet.errors import ShapeError
from graphnet.graph import Constant, Graph, Node, Placeholder, Read, Spec, Tensor, Variable, current_trace

# told of the bytes of arrays that are about to be computed; see `counting`
counter: contextvars.ContextVar[Callable[[float, str], None] | None] = contextvars.ContextVar("graphnet_counter", default=None)


class Trace:
    """What is gathered while a function is traced: leaves of variables and constants, updates, losses, the stack of layer
    names.
    """

    def __init__(self, training: bool | None = False, outer: int = 0) -> None:
        self.outer = outer
        self.leaves: dict[Any, Tensor] = {}
        self.updates: dict[Variable, Tensor] = {}
        self.losses: list[tuple[Any, Tensor]] = []  # what layers add to the loss, with who added it
        self.scope: list[str] = []
        self.drawn: list[Variable] = []  # counters of random draws that values of variables were taken from
        self.training = training
        self.held: float = 0  # bytes of the arrays that were announced while it ran: see `announce`

    def lift(self, value: Any) -> Tensor:
        """A value as a tensor of this trace: variables are read, arrays are constants with the values that they have now."""
        if isinstance(value, Tensor):
            return value
        if isinstance(value, Variable):
            if value in self.updates:
                return self.updates[value]
            leaf = self.leaves.get(value)
            if leaf is None:
                leaf = self.leaves[value] = Tensor(Node(Read(value), (), (value.spec,), value.path))
            return leaf
        array = snapshot(np.asarray(value))
        return Tensor(Node(Constant(array), (), (Spec(array.shape, array.dtype.name),), "constant"))

    def emit(self, op: Any, inputs: Sequence[Any]) -> Any:
        """The op applied to tensors, as a new node; one output, or a tuple of them."""
        tensors = tuple([self.lift(x) for x in inputs])
        specs = op.infer(*[t.spec for t in tensors])
        several = type(specs) is tuple
        if not several:
            specs = (specs,)
        expect_possible(specs, op.name)
        node = Node(op, tensors, specs, op.name, "/".join(self.scope[self.outer:]))
        return tuple([Tensor(node, i) for i in range(len(specs))]) if several else Tensor(node)


def current() -> Trace | None:
    """The trace that runs now, if any."""
    return current_trace.get()


@contextmanager
def tracing(trace: Trace | None) -> Iterator[Trace | None]:
    token = current_trace.set(trace)
    try:
        yield trace
    finally:
        current_trace.reset(token)
        if trace is not None and trace.drawn:  # these numbers are used, whether or not the graph ever runs
            for variable in dict.fromkeys(trace.drawn):
                if variable in trace.updates:
                    variable.assign_now(Variable._evaluate(trace.updates[variable], None))  # type: ignore[attr-defined]


@contextmanager
def counting(expect: Callable[[float, str], None]) -> Iterator[None]:
    """``expect(bytes, what)`` is told, before any of it is computed in this context, of the arrays that a trace holds together.

    Ops of constants alone are computed at once: a file that is loaded could ask for arrays of any size.
    """
    token = counter.set(expect)
    try:
        yield
    finally:
        counter.reset(token)


def announce(shape: Sequence[Any], dtype: str, what: str) -> None:
    """Tells of an array that is about to be computed, where these are counted; extents that are no numbers are left out."""
    expect, trace = counter.get(), current()
    if expect is not None:
        held = max(0, math.prod(extent for extent in shape if isinstance(extent, (int, float)))) * np.dtype(dtype).itemsize
        if trace is not None:
            held += trace.held
            trace.held = held
        expect(held, f"a constant of {what}")


def trace_function(function: Callable[..., Any], placeholders: Sequence[Tensor], training: bool | None = False,
                   name: str = "graph", outer: int = 0) -> tuple[Graph, Any]:
    """The graph of function(*placeholders), and the structure of its result (leaves are positions among the outputs).

    `outer` layers around all of it are left out of the nodes' scopes: the model itself.
    """
    trace = Trace(training, outer)
    with tracing(trace):
        result = function(*placeholders)
        leaves = tree.flatten(result)
        outputs = [trace.lift(leaf) for leaf in leaves if leaf is not None]
    positions = iter(range(len(outputs)))
    structure = tree.pack_sequence_as(result, [None if leaf is None else next(positions) for leaf in leaves])
    return Graph(placeholders, outputs, trace.updates, name), structure


def expect_possible(specs: tuple[Spec, ...], name: str) -> None:
    """Raises ShapeError for results that no array can be: a few nodes could square an extent for ever."""
    for spec in specs:
        for extent in spec.shape:
            if type(extent) is int and extent >= LARGEST:
                raise ShapeError(f"{name}: expected a result whose extents are below 2**63; received an extent of {extent.bit_length()} bits. "
                                 "Give smaller inputs, or smaller arguments.")


def placeholder(spec: Spec, name: str = "input") -> Tensor:
    return Tensor(Node(Placeholder(spec, name), (), (spec,), name))


def fresh_spec(shape: Sequence[int | None], dtype: str, name: str) -> Spec:
    """A Spec whose None extents are new unknowns."""
    letters = "batch", *(f"{name}_{i}" for i in range(1, max(2, len(shape))))
    return Spec(tuple([Dim.unknown(letters[i]) if s is None else int(s) for i, s in enumerate(shape)]), dtype)


def has_tensor(values: Any) -> bool:
    """Whether a symbolic tensor is among the values or inside of their lists, tuples and dicts."""
    for value in values:
        kind = type(value)
        if kind is Tensor:
            return True
        if kind in (list, tuple) and value and has_tensor(value):
            return True
        if kind is dict and has_tensor(value.values()):
            return True
        if kind is slice and has_tensor((value.start, value.stop, value.step)):
            return True
    return False


class Slot(int):
    """The place of a tensor among a node's inputs, inside its recorded arguments."""

    __slots__ = ()


def record(arguments: Any) -> tuple[Any, tuple[Tensor, ...]]:
    """The arguments with each Tensor replaced by a Slot, and those tensors."""
    tensors: list[Tensor] = []

    def swap(value: Any) -> Any:
        if type(value) is Tensor:
            tensors.append(value)
            return Slot(len(tensors) - 1)
        if type(value) is slice:
            return slice(swap(value.start), swap(value.stop), swap(value.step))
        if type(value) in (list, tuple):
            return type(value)([swap(v) for v in value])
        if type(value) is dict:
            return {k: swap(v) for k, v in value.items()}
        return value

    return swap(arguments), tuple(tensors)


def restore(arguments: Any, tensors: Sequence[Any], extents: Mapping[Symbol, Extent] | None = None) -> Any:
    """The recorded arguments with other tensors in the slots, and other extents in place of unknown ones."""
    kind = type(arguments)
    if kind is Slot:
        return tensors[arguments]
    if kind is Dim:
        return substitute(arguments, extents) if extents else arguments
    if kind is slice:
        return slice(*(restore(v, tensors, extents) for v in (arguments.start, arguments.stop, arguments.step)))
    if kind in (list, tuple):
        return kind([restore(v, tensors, extents) for v in arguments])
    if kind is dict:
        return {k: restore(v, tensors, extents) for k, v in arguments.items()}
    return arguments
