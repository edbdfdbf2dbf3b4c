"""The one graph structure: a symbolic graph of layer calls, and the primitive graph that it becomes, are both a `Graph`.

    Graph    = inputs, outputs : tuple of Tensor; nodes : tuple of Node, each after what it reads; updates : Variable -> Tensor
    Tensor   = output `index` of a Node, with its Spec
    Node     = an operation applied to Tensors: a layer call, or an Op; a leaf (Placeholder, Read, Constant) has no inputs
    Spec     = shape (tuple of int or Dim) and dtype

History is Tensor -> Node -> Tensors: a Node does not own its outputs, so dropped graphs are freed at once.
"""
import contextvars
import inspect
import itertools
import math
import os
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet import dtypes
from graphnet.dims import Dim, Extent
from graphnet.errors import DTypeError, GraphError, ShapeError, SymbolicTensorError

_INNER = tuple([os.path.dirname(os.path.abspath(file)) + os.sep for file in (__file__, np.__file__)])
changes = [0]  # rises with every change of any variable; a call compares this before it looks at versions
current_trace: contextvars.ContextVar[Any] = contextvars.ContextVar("graphnet_trace", default=None)
# names that paths of variables begin with
path_scope: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("graphnet_path", default=())
_watcher: contextvars.ContextVar[Any] = contextvars.ContextVar("graphnet_watcher", default=None)
_announced: contextvars.ContextVar[Any] = contextvars.ContextVar("graphnet_announced", default=None)


@contextmanager
def watching(watcher: "Callable[[Variable], None] | None") -> Iterator[None]:
    """The watcher is told of each variable that is made in this context; None of no one."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


@contextmanager
def announcing(take: "Callable[[int, str | None, Any], Any]") -> Iterator[None]:
    """``take(bytes, name, initializer)`` is asked for the initializer of each variable of a given shape in this context."""
    token = _announced.set(take)
    try:
        yield
    finally:
        _announced.reset(token)


def user_line() -> tuple[str, int] | None:
    """File and line of the innermost frame outside of this package and numpy: the user's own call."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_INNER):
        frame = frame.f_back  # type: ignore[assignment]
    return (frame.f_code.co_filename, frame.f_lineno) if frame is not None else None


def at_line() -> str:
    """The user's own line as the end of a message."""
    line = user_line()
    return f"\n  at {line[0]}:{line[1]}" if line else ""


@dataclass(frozen=True, slots=True)
class Spec:
    """Shape and dtype of a tensor; an extent that is not known yet is a `Dim`."""

    shape: tuple[Extent, ...]
    dtype: str = "float32"

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(str(s) for s in self.shape)}]"


class Tensor:
    """A symbolic value: it has a shape and a dtype, and gets its numbers when a model runs.

    Attributes: ``shape`` (None for an unknown extent), ``dtype``, ``ndim``, ``name``, ``mask`` (a boolean Tensor or None).
    Operators and `graphnet.ops` build further tensors from it.

    Example:

        >>> import graphnet
        >>> x = graphnet.Input((3,), name="x")
        >>> isinstance(x, graphnet.KerasTensor), (x[:, :2] + 1).shape
        (True, (None, 2))
    """

    __slots__ = ("__weakref__", "index", "mask", "name", "node", "spec")

    def __init__(self, node: "Node", index: int = 0, name: str | None = None) -> None:
        self.node, self.index, self.spec = node, index, node.specs[index]
        self.name, self.mask = name or node.name, None

    @property
    def shape(self) -> tuple[int | None, ...]:
        return tuple([None if type(s) is Dim else s for s in self.spec.shape])  # type: ignore[misc]

    @property
    def dtype(self) -> str:
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        return len(self.spec.shape)

    @property
    def key(self) -> tuple["Node", int]:
        """Which value this is: two Tensor objects of one key are the same value."""
        return self.node, self.index

    def __repr__(self) -> str:
        return f"<Tensor {self.name} shape={self.shape} dtype={self.dtype}>"

    __hash__ = object.__hash__

    def _refuse(self, what: str, mend: str) -> Any:
        raise SymbolicTensorError(f"The symbolic tensor {self.name!r} (shape {self.shape}, {made_at(self)}) has no value "
                                  f"before the model runs, so {what}. {mend}{at_line()}")

    def __bool__(self) -> bool:
        return self._refuse("it cannot decide an `if`, a `while`, an `and` or an `or`", CHOOSE)

    def __float__(self) -> float:
        return self._refuse("it cannot become a Python number", COMPUTE)

    __int__ = __index__ = __complex__ = __float__  # type: ignore[assignment]

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        return self._refuse("it cannot become a numpy array", "Use graphnet.ops in place of numpy's function.")

    def __len__(self) -> int:
        if not self.spec.shape or isinstance(self.spec.shape[0], Dim):
            self._refuse("its length is not known", "Use graphnet.ops.shape(x)[0].")
        return self.spec.shape[0]  # type: ignore[return-value]

    def __iter__(self) -> Any:
        if not self.spec.shape or isinstance(self.spec.shape[0], Dim):
            self._refuse("one cannot iterate over its unknown extent",
                         "Use graphnet.ops.scan or ops.map, or index an axis of known extent.")
        return (self[i] for i in range(self.spec.shape[0]))  # type: ignore[index]


CHOOSE = ("Use graphnet.ops.where to choose between two results, ops.cond to run one of two functions, ops.while_loop in place "
          "of a `while`, ops.scan or ops.fori_loop in place of a `for`.")
COMPUTE = ("Compute with graphnet.ops instead: ops.where and ops.cond for what depends on a value, ops.fori_loop or ops.scan "
           "for a number of steps, ops.take for an index.")


class Variable:
    """Numbers that a model keeps: weights, statistics, counters. The array behind it stays in place while its values change.

    Arguments: ``initializer`` an array, a number, an initializer's name, or a callable: ``(shape, dtype) -> array``, or
    without a shape ``() -> array``;
    ``shape``, ``dtype``, ``trainable``, ``name``; ``path``, by default the name behind the names of the modules around.
    Within a trace (`graphnet.function`, the call of a layer) `assign` is a part of the graph, and its value cannot be read.
    Raises ShapeError where a value has another shape, DTypeError where it is of another kind of number.

    Example:

        >>> import graphnet
        >>> v = graphnet.Variable([1.0, 2.0], name="v")
        >>> v.assign([3.0, 4.0]).numpy()
        array([3., 4.], dtype=float32)
    """

    def __init__(self, initializer: Any, shape: Sequence[int] | None = None, dtype: Any = None, trainable: bool = True,
                 name: str | None = None, path: str | None = None) -> None:
        dtype = None if dtype is None else dtypes.standardize_dtype(dtype)
        announced = _announced.get()
        if announced is not None and shape is not None:
            initializer = announced(math.prod(shape) * np.dtype(dtype or dtypes.floatx()).itemsize, name, initializer)
        if isinstance(initializer, str):
            initializer = Variable._initializer_named(initializer)  # type: ignore[attr-defined]  # set in initializers, above
        if callable(initializer):
            value = _called(initializer, shape, dtype, name)
            dtype = dtype or (value.dtype.name if shape is None else dtypes.floatx())
        else:
            value = _initial(initializer, name)
            dtype = dtype or value.dtype.name
        self.value = np.array(value, dtype=dtype, order="C", copy=not getattr(initializer, "gives_memory", False) or None)
        if shape is not None and self.value.shape != tuple(shape):
            raise ShapeError(f"Variable {name!r} expects shape {tuple(shape)}; its initial value has shape {self.value.shape}.")
        self.spec = Spec(self.value.shape, self.value.dtype.name)  # neither changes in a variable's life
        self.name = name or "variable"
        self.path = path or "/".join((*path_scope.get(), self.name))
        self._trainable, self.version = bool(trainable), 0
        self.regularizer: Any = None
        self.constraint: Any = None
        watcher = _watcher.get()
        if watcher is not None:
            watcher(self)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def dtype(self) -> str:
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def size(self) -> int:
        return self.value.size

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)

    def assign(self, value: Any) -> "Variable":
        """Copies the value in; shape and kind of number must fit. Within a trace it is the value once the graph has run."""
        if current_trace.get() is not None or type(value) is Tensor:
            return self._assign_in_trace(value)  # type: ignore[attr-defined]  # set in ops.operators, above this room
        return self.assign_now(value)

    def assign_now(self, value: Any) -> "Variable":
        """Copies an array in at once, within a trace too: for what makes variables, or fills those that were just made."""
        array = value.value if isinstance(value, Variable) else dtypes.as_array(value)
        if array.shape != self.value.shape:
            raise ShapeError(f"Variable {self.path!r} expects a value of shape {self.value.shape}; received shape "
                             f"{array.shape}.")
        if not np.can_cast(array.dtype, self.value.dtype, "same_kind"):
            raise DTypeError(f"Variable {self.path!r} has dtype {self.dtype}; received a value of dtype {array.dtype.name}. "
                             f"Cast it first: graphnet.ops.cast(value, {self.dtype!r}).")
        self.value[...] = array
        self.version += 1
        changes[0] += 1
        return self

    def assign_add(self, value: Any) -> "Variable":
        """Adds to the value."""
        return self.assign(self + value)

    def assign_sub(self, value: Any) -> "Variable":
        """Subtracts from the value."""
        return self.assign(self - value)

    def _read(self, what: str, mend: str) -> np.ndarray:
        """The value, read-only; an error within a trace, which would keep this value for ever."""
        if current_trace.get() is not None:
            raise SymbolicTensorError(f"The value of variable {self.path!r} is not known while a graph is traced, so {what}. "
                                      f"{mend}{at_line()}")
        view = self.value.view()
        view.flags.writeable = False
        return view

    def numpy(self) -> np.ndarray:
        """The value, read-only: change it by `assign`."""
        return self._read("it cannot become a numpy array", "Use graphnet.ops in place of numpy's function.")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __bool__(self) -> bool:
        return bool(self._read("it cannot decide an `if`, a `while`, an `and` or an `or`", CHOOSE))

    def __int__(self) -> int:
        return int(self._read("it cannot become a Python number", COMPUTE))

    def __float__(self) -> float:
        return float(self._read("it cannot become a Python number", COMPUTE))

    def __complex__(self) -> complex:
        return complex(float(self))

    def __index__(self) -> int:
        return self._read("it cannot be an index of Python's", COMPUTE).__index__()

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))  # type: ignore[index]

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        value = np.array2string(self.value, threshold=8)
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}, value={value}>"


def _called(initializer: Any, shape: Sequence[int] | None, dtype: str | None, name: str | None) -> np.ndarray:
    """The initial value that a callable gives: for a shape and a dtype, or by itself."""
    if shape is not None:
        return _initial(initializer(tuple(shape), dtype=dtype or dtypes.floatx()), name)
    try:
        inspect.signature(initializer).bind()
    except TypeError:
        raise ShapeError(f"Variable {name!r} is made by a callable initializer that takes arguments, so it expects `shape`; "
                         "received None.") from None
    return _initial(initializer(), name)


def _initial(value: Any, name: str | None) -> np.ndarray:
    if isinstance(value, Variable):
        return value.value
    if type(value) is Tensor:
        return Variable._evaluate(value, name)  # type: ignore[attr-defined]  # set in ops.operators, above this room
    array = dtypes.as_array(value)
    if array.dtype.name not in dtypes.ALL:
        raise DTypeError(f"Variable {name!r} expects an array, a number or a callable that gives one; received {value!r}.")
    return array


# ---- leaves

class Leaf:
    """What a node without inputs holds."""

    name = "leaf"

    def infer(self) -> Spec:
        raise AssertionError("leaves know their spec when they are made")

    def compute(self) -> np.ndarray:
        raise AssertionError("an input has no value of its own")


class Placeholder(Leaf):
    """An input of a graph."""

    def __init__(self, spec: Spec, name: str = "input") -> None:
        self.spec, self.name = spec, name

    def infer(self) -> Spec:
        return self.spec


class Read(Leaf):
    """The value of a variable when the graph runs."""

    def __init__(self, variable: Variable) -> None:
        self.variable, self.name = variable, variable.path

    def infer(self) -> Spec:
        return self.variable.spec


class Constant(Leaf):
    """An array that never changes."""

    name = "constant"

    def __init__(self, value: np.ndarray) -> None:
        self.value = value

    def infer(self) -> Spec:
        return Spec(self.value.shape, self.value.dtype.name)


class Node:
    """One call of an operation; ``arguments`` are a layer call's (args, kwargs), a place in ``inputs`` for each Tensor."""

    __slots__ = ("__weakref__", "arguments", "inputs", "name", "op", "scope", "source", "specs", "structure")

    def __init__(self, op: Any, inputs: tuple[Tensor, ...], specs: tuple[Spec, ...], name: str, scope: str = "",
                 arguments: Any = None, structure: Any = None, source: tuple[str, int] | None = None) -> None:
        self.op, self.inputs, self.specs, self.name, self.scope = op, inputs, specs, name, scope
        self.arguments, self.structure, self.source = arguments, structure, source

    def __repr__(self) -> str:
        return f"<Node {self.name}({', '.join(t.name for t in self.inputs)}) -> {', '.join(map(str, self.specs))}>"


def made_at(tensor: Tensor) -> str:
    """Where in the user's code a tensor was made, for messages."""
    source = tensor.node.source
    return f"made at {source[0]}:{source[1]}" if source else "made while a graph was traced"


def reach(outputs: Iterable[Tensor], stop: frozenset[Any] | set[Any] = frozenset()) -> list[Node]:
    """The nodes that the outputs need, each after its inputs, not behind values in `stop`. No recursion: chains are long."""
    order: list[Node] = []
    seen: set[Node] = set()
    for output in outputs:
        if output.key in stop:
            continue
        stack: list[tuple[Node, int]] = [(output.node, 0)]
        while stack:
            node, at = stack.pop()
            if at == 0 and node in seen:
                continue
            seen.add(node)
            inputs = node.inputs
            while at < len(inputs) and (inputs[at].node in seen or inputs[at].key in stop):
                at += 1
            if at < len(inputs):
                stack.append((node, at + 1))
                stack.append((inputs[at].node, 0))
            else:
                order.append(node)
    return order


class Graph:
    """Ordered nodes between inputs and outputs; immutable.

    A Graph is what its outputs and updates reach: dead code needs no pass.
    """

    __slots__ = ("inputs", "name", "nodes", "outputs", "updates")

    def __init__(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], updates: Mapping[Variable, Tensor] | None = None,
                 name: str = "graph") -> None:
        self.inputs, self.outputs, self.name = tuple(inputs), tuple(outputs), name
        self.updates = dict(updates or {})
        self.nodes = tuple(reach(itertools.chain(self.outputs, self.updates.values()), {t.key for t in self.inputs}))

    @property
    def roots(self) -> tuple[Tensor, ...]:
        """All that must be computed: outputs, then updates."""
        return (*self.outputs, *self.updates.values())

    @property
    def variables(self) -> list[Variable]:
        return [n.op.variable for n in self.nodes if isinstance(n.op, Read)]

    def rewrite(self, change: Callable[[Node, tuple[Tensor, ...]], Sequence[Tensor] | None]) -> "Graph":
        """The graph with nodes replaced: change(node, its new inputs) gives tensors in place of its outputs; None keeps it."""
        new: dict[Any, Tensor] = {t.key: t for t in self.inputs}
        for node in self.nodes:
            if node.inputs and node.inputs[0].node is node:
                raise AssertionError("a node reads itself")
            inputs = tuple([new[t.key] for t in node.inputs])
            tensors = change(node, inputs)
            if tensors is None:
                if all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
                    kept = node
                else:
                    kept = Node(node.op, inputs, node.specs, node.name, node.scope, node.arguments, node.structure, node.source)
                tensors = [Tensor(kept, i) for i in range(len(kept.specs))]
            for i, tensor in enumerate(tensors):
                new[node, i] = tensor
        return Graph(self.inputs, [new[t.key] for t in self.outputs], {v: new[t.key] for v, t in self.updates.items()},
                     self.name)

    def verify(self) -> "Graph":
        """Checks order, specs and that each op infers what its node says; returns the graph."""
        known = {t.key for t in self.inputs}
        for node in self.nodes:
            for t in node.inputs:
                if t.key not in known:
                    raise GraphError(f"{node.name} reads {t.name} before it is computed")
            inferred = node.op.infer(*[t.spec for t in node.inputs])
            specs = inferred if isinstance(inferred, tuple) else (inferred,)
            if specs != node.specs:
                raise GraphError(f"{node.name} ({node.op}) says {node.specs}, but infers {specs}")
            known |= {(node, i) for i in range(len(node.specs))}
        return self

    def __str__(self) -> str:
        names = {t.key: f"%{i}" for i, t in enumerate(self.inputs)}
        lines = [f"graph {self.name}({', '.join(f'{names[t.key]}: {t.spec}' for t in self.inputs)})"]
        for node in self.nodes:
            results = []
            for i, spec in enumerate(node.specs):
                names[node, i] = f"%{len(names)}"
                results.append(f"{names[node, i]}: {spec}")
            op = f"read {node.op.name}" if isinstance(node.op, Leaf) else str(node.op)
            scope = f"   # {node.scope}" if node.scope else ""
            lines.append(f"  {', '.join(results)} = {op} {' '.join(names[t.key] for t in node.inputs)}{scope}")
        lines.append(f"  return {', '.join(names[t.key] for t in self.outputs)}")
        lines += [f"  update {v.path} = {names[t.key]}" for v, t in self.updates.items()]
        return "\n".join(lines)


class CallList:
    """Weak references to the call nodes of one layer, in the order of the calls."""

    __slots__ = ("_refs",)

    def __init__(self) -> None:
        self._refs: list[weakref.ref[Node]] = []

    def add(self, node: Node) -> int:
        """Notes a call; gives its number among all calls so far."""
        self._refs.append(weakref.ref(node))
        return len(self._refs) - 1

    def alive(self) -> list[Node]:
        return [node for ref in self._refs if (node := ref()) is not None]
