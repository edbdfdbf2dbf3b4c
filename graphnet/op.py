"""Op, a primitive: a frozen dataclass whose fields are its static attributes, so that equality, hash and CSE come free.

An op lives in one file with five members: `infer` (output Spec or ShapeError), `reference` (its meaning in numpy), `vjp`,
`formula` or a lowering found by its family, and `samples` (inputs that every test of ops runs on).
"""
import functools
import inspect
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from graphnet import dtypes, tree
from graphnet.dims import Dim, maximum, product
from graphnet.errors import GraphError, ShapeError, UnsupportedError
from graphnet.graph import Node, Spec, Tensor, Variable, made_at, user_line
from graphnet.masking import warn_of_op
from graphnet.tracing import Trace, announce, counter, current, has_tensor, placeholder, record, restore, tracing

Samples = Iterator[tuple["Op", list[np.ndarray]]]
OPS: dict[str, type["Op"]] = {}  # every primitive by its class name: what tests and tables go through


@dataclass(frozen=True)
class Op:
    """Base of all primitives; calling one on tensors makes a node, on arrays it runs `reference`."""

    name: ClassVar[str] = "op"
    checked: ClassVar[bool] = False  # reads indices from data: an error is reported with the layer's name and the position

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower().lstrip("_")
        if "reference" in dir(cls) and cls.reference is not Op.reference and not cls.__name__.startswith("_"):
            OPS[cls.__name__] = cls

    def infer(self, *specs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} lacks infer")

    def reference(self, *arrays: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} lacks reference")

    def vjp(self, g: Any, y: Any, *xs: Any) -> list[Any]:
        """The cotangents of the inputs for that of the output, written in ops; None where an input has none.

        They may have the broadcast shape: autodiff sums them to the inputs' own. Of several outputs, g and y are tuples, in
        which g has None where a result is not used.
        """
        raise UnsupportedError(f"The op {self.name!r} has no gradient. Put ops.stop_gradient around it, or compute it by "
                               "others.")

    def work(self, *specs: Any) -> Any:
        """Multiply-adds, or what takes as long: one for each element of the results, but for ops that add up more."""
        results = self.infer(*specs)
        return sum(product(spec.shape) for spec in (results if isinstance(results, tuple) else (results,)))

    def by_rows(self, *specs: Any) -> bool:
        """Whether a batch may be computed some rows at a time: row i of a result needs row i alone of each operand that has rows.

        Asked only where the first extent of each operand and result is the batch's unknown one, or so many times it, and no other
        extent depends on it. An operand that does not at all is used whole for all rows.
        """
        return False

    @classmethod
    def samples(cls) -> "Samples":
        """Pairs of an op of this kind and inputs for it, edges included."""
        return iter(())

    def bind(self, extents: Any) -> "Op":
        """The op with unknown extents in its attributes replaced by their values."""
        return self

    def __call__(self, *inputs: Any) -> Any:
        trace = current()
        if trace is not None:
            for x in inputs:
                if type(x) is Tensor or isinstance(x, Variable):
                    return trace.emit(self, inputs)
        elif has_tensor(inputs):
            return symbolic_call(FunctionCall(type(self).__call__, self.name), (self, *inputs), {})
        arrays = [x.value if isinstance(x, Variable) else x for x in inputs]
        if counter.get() is not None and not isinstance(self, View):
            self._announce(arrays)
        try:
            return self.reference(*arrays)
        except (ValueError, TypeError, IndexError):  # where shapes or dtypes do not fit, infer says so better than numpy
            self.infer(*[Spec(np.shape(x), np.asarray(x).dtype.name) for x in arrays])
            raise

    def _announce(self, arrays: list[Any]) -> None:
        """Tells of the results for these arrays before they are computed."""
        specs = self.infer(*[Spec(np.shape(x), np.asarray(x).dtype.name) for x in arrays])
        for spec in specs if isinstance(specs, tuple) else (specs,):
            announce(spec.shape, spec.dtype, repr(self.name))

    def __str__(self) -> str:
        shown = [f"{f.name}={getattr(self, f.name)}" for f in fields(self)]
        return f"{self.name}({', '.join(shown)})"


# ---- shapes

def broadcast(shapes: list[tuple[Any, ...]], who: str = "") -> tuple[Any, ...]:
    """The shape that numpy's broadcasting gives; unknown extents that may differ become a maximum."""
    out: list[Any] = []
    longest = max(map(len, shapes), default=0)
    for axis in range(-longest, 0):
        extent: Any = 1
        for shape in shapes:
            if len(shape) < -axis:
                continue
            other = shape[axis]
            if type(other) is int and other == 1:
                continue
            if type(extent) is int and extent == 1:
                extent = other
            elif extent != other:
                if isinstance(extent, Dim) and isinstance(other, Dim):
                    extent = maximum(extent, other)
                elif isinstance(extent, Dim):
                    extent = other  # must be equal or 1: checked when the plan is made
                elif not isinstance(other, Dim):
                    listed = " and ".join(str(tuple(None if isinstance(s, Dim) else s for s in shape)) for shape in shapes)
                    raise ShapeError(
                        f"{who + ': ' if who else ''}expected operands whose shapes broadcast, received shapes {listed}: "
                        f"on axis {axis}, {extent} meets {other}. Equal extents or 1 would do; transpose, reshape or "
                        "expand_dims one operand.")
        out.append(extent)
    return tuple(out)


def rows_meet(specs: Sequence[Any]) -> bool:
    """Whether the first axis of each operand that has rows is that of the result, which all of them broadcast to."""
    rank = max(spec.ndim for spec in specs)
    return all((type(spec.shape[0]) is not int or spec.shape[0] == 1) if spec.ndim == rank else type(spec.shape[0]) is int
               for spec in specs if spec.ndim)


class Elementwise(Op):
    """A function of each element; operands broadcast. `formula` is its vector form over {0}, {1}, {2}; `result` its dtype."""

    formula: ClassVar[str] = ""
    result: ClassVar[str] = "same"  # "same" as the operands, "bool", or "float": integers become floats
    arity: ClassVar[int] = 1

    def infer(self, *specs: Spec) -> Spec:
        shape = specs[0].shape if len(specs) == 1 else broadcast([s.shape for s in specs], self.name)
        return Spec(shape, self.result_dtype(*[s.dtype for s in specs]))

    def by_rows(self, *specs: Any) -> bool:
        return rows_meet(specs)

    def result_dtype(self, *names: str) -> str:
        if self.result == "bool":
            return "bool"
        dtype = dtypes.result_type(*names)
        return dtypes.floatx() if self.result == "float" and dtype not in dtypes.FLOATS else dtype


class Reduction(Op):
    """A reduction over axes; the subclass has fields ``axes`` (sorted, not negative) and ``keepdims``."""

    axes: tuple[int, ...]
    keepdims: bool

    def infer(self, *specs: Spec) -> Spec:
        spec, = specs
        return Spec(reduced(spec.shape, self.axes, self.keepdims), self.result_dtype(spec.dtype))

    def by_rows(self, *specs: Any) -> bool:
        return True  # over the rows themselves, the result would have none

    def result_dtype(self, dtype: str) -> str:
        return dtype


class View(Op):
    """The same elements under another shape: strides of its reader where that is possible."""


class Contraction(Op):
    """A sum of products: matrix product or convolution. Takes an epilogue."""

    def by_rows(self, *specs: Any) -> bool:
        return all(type(extent) is int for extent in specs[1].shape)  # one kernel for all rows


def reduced(shape: tuple[Any, ...], axes: tuple[int, ...], keepdims: bool) -> tuple[Any, ...]:
    if keepdims:
        return tuple([1 if i in axes else s for i, s in enumerate(shape)])
    return tuple([s for i, s in enumerate(shape) if i not in axes])


# ---- public functions: at the user's level one call is one node

class Names:
    """Names given to layers and calls: dense, dense_1, ... as in Keras."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: defaultdict[str, int] = defaultdict(int)

    def unique(self, prefix: str) -> str:
        with self._lock:
            number = self._counts[prefix]
            self._counts[prefix] += 1
        return f"{prefix}_{number}" if number else prefix

    def reset(self) -> None:
        self._counts.clear()


NAMES = Names()
CLASS_NAMES: dict[str, Callable[..., Any]] = {}  # Keras's class names of op nodes in files ("GetItem") -> public function


class FunctionCall:
    """A public op called on symbolic tensors outside of any layer: an operation without variables."""

    variables: tuple[Variable, ...] = ()
    supports_masking = False

    def __init__(self, function: Callable[..., Any], prefix: str, name: str | None = None) -> None:
        self.function, self.prefix = function, prefix
        self.name = name or NAMES.unique(prefix)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    @property
    def class_name(self) -> str:
        """The name that Keras's files have for it."""
        return getattr(self.function, "class_name", None) or camel_case(self.prefix)


def camel_case(name: str) -> str:
    """expand_dims -> ExpandDims."""
    return "".join(part.capitalize() for part in name.split("_"))


def public(function: Callable[..., Any], class_name: str | None = None) -> Callable[..., Any]:
    """Marks a public op: called on symbolic tensors at the user's level it becomes one node of the graph."""
    prefix = function.__name__
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if current() is None and (has_tensor(args) or (kwargs and has_tensor(kwargs.values()))):
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{prefix}: {error}. It takes ({', '.join(signature.parameters)}).") from None
            return symbolic_call(FunctionCall(call, prefix), args, kwargs)
        return function(*args, **kwargs)

    call.prefix, call.class_name = prefix, class_name or camel_case(prefix)  # type: ignore[attr-defined]
    CLASS_NAMES.setdefault(call.class_name, call)  # type: ignore[attr-defined]
    return call


def symbolic_call(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], run: Callable[..., Any] | None = None) -> Any:
    """Traces operation(*args, **kwargs) for its shapes, drops that trace, and gives the outputs of one new node.

    A mask that the result carries becomes a further output of the node, behind the others.
    """
    arguments, tensors = record((args, kwargs))
    inner = []
    for t in tensors:
        stand_in = placeholder(t.spec, t.name)
        if t.mask is not None:
            stand_in.mask = placeholder(t.mask.spec, t.name + "_mask")
        inner.append(stand_in)
    trace = Trace()
    try:
        with tracing(trace):
            inner_args, inner_kwargs = restore(arguments, inner)
            result = (run or operation)(*inner_args, **inner_kwargs)
            leaves = [trace.lift(leaf) if leaf is not None else None for leaf in tree.flatten(result)]
    except (GraphError, TypeError, IndexError) as error:
        _locate(error, operation, tensors)
        raise
    found = [t for t in leaves if t is not None]
    specs = [t.spec for t in found]
    carriers: list[int] = []
    for at, t in enumerate(found):
        if t.mask is not None:
            carriers.append(at)
            specs.append(t.mask.spec)
    if run is None and not carriers:
        warn_of_op(operation, tensors, specs)
    node = Node(operation, tensors, tuple(specs), operation.name, "", arguments, None, user_line())
    fill = iter(range(len(found)))
    node.structure = (tree.pack_sequence_as(result, [None if t is None else next(fill) for t in leaves]), tuple(carriers))
    return outputs_of(node)


def _locate(error: Exception, operation: Any, tensors: tuple[Tensor, ...]) -> None:
    """Adds to an error's text the call that failed, and where its operands were made; the innermost call on tensors of the
    user's says it.
    """
    if getattr(error, "graphnet_located", False) or len(error.args) != 1:
        return
    what = "operation" if isinstance(operation, FunctionCall) else "layer"
    made = "; ".join(f"{t.name!r} {t.shape} {made_at(t)}" for t in tensors)
    error.args = (f"{error}\n  in the call of {what} {operation.name!r} "
                  f"({getattr(operation, 'class_name', type(operation).__name__)}) on {made}",)
    error.graphnet_located = True  # type: ignore[attr-defined]


def outputs_of(node: Node) -> Any:
    """The outputs of a call, in the structure that it gave them; masks attached."""
    positions, carriers = node.structure
    count = len(node.specs) - len(carriers)
    tensors = [Tensor(node, i) for i in range(count)]
    for offset, at in enumerate(carriers):
        tensors[at].mask = Tensor(node, count + offset, f"{node.name}_mask")
    if type(positions) is int:
        return tensors[positions]
    return tree.map_structure(lambda i: None if i is None else tensors[i], positions)
