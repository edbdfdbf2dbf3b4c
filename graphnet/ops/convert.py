"""How values become operands: arrays, dtypes that combine, unknown extents that are read as numbers."""
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from graphnet import dims, dtypes
from graphnet.dims import Dim
from graphnet.errors import DTypeError, ShapeError, UnsupportedError
from graphnet.graph import Spec, Tensor, Variable
from graphnet.op import Elementwise, FunctionCall, Op, Samples, public, symbolic_call
from graphnet.tracing import current


@dataclass(frozen=True)
class Cast(Elementwise):
    """The elements converted to another dtype."""

    dtype: str
    formula: ClassVar[str] = "{0}"

    def result_dtype(self, *names: str) -> str:
        return self.dtype

    def reference(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(x).astype(self.dtype)

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        return [cast(g, x.dtype) if str(x.dtype) in dtypes.FLOATS else None]

    @classmethod
    def samples(cls) -> Samples:
        x = np.random.default_rng(0).uniform(0, 9, (3, 17)).astype("float32")
        for dtype in ("int32", "float64", "bool", "float32"):
            yield cls(dtype), [x]
        yield cls("float32"), [x > 4]


@dataclass(frozen=True)
class Extent(Op):
    """An extent as a number: what `shape(x)[0]` is worth when the graph runs."""

    extent: Any

    def infer(self) -> Spec:
        return Spec((), "int32")

    def reference(self) -> np.ndarray:
        return np.asarray(self.extent, "int32")

    def bind(self, extents: Any) -> "Extent":
        return Extent(bound(self.extent, extents))

    @classmethod
    def samples(cls) -> Samples:
        yield cls(7), []


def bound(value: Any, extents: Any) -> Any:
    """An attribute with its unknown extents replaced by their values."""
    if type(value) is tuple:
        return tuple([bound(v, extents) for v in value])
    return dims.evaluate(value, extents) if type(value) is Dim else value


def shown(shape: Sequence[Any]) -> tuple[Any, ...]:
    """A shape as users see it: None for unknown extents."""
    return tuple([None if isinstance(s, Dim) else s for s in shape])


def _unknown(value: Any) -> bool:
    return type(value) is Dim or (type(value) is tuple and any(_unknown(v) for v in value))


def sized(op: Op, *inputs: Any) -> Any:
    """op(*inputs), where the op may hold unknown extents: then it becomes a node even if all inputs are arrays, or there are
    none.
    """
    if not any(_unknown(getattr(op, f.name)) for f in fields(op)):
        return op(*inputs)
    trace = current()
    if trace is not None:
        return trace.emit(op, inputs)
    kind = type(op)  # the extents are arguments of the call, so that they follow it to other inputs

    def make(attributes: tuple[Any, ...], *values: Any) -> Any:
        return sized(kind(*attributes), *values)
    return symbolic_call(FunctionCall(make, op.name), (tuple([getattr(op, f.name) for f in fields(op)]), *inputs), {})


def is_tensor(x: Any) -> bool:
    """Whether x is symbolic or a variable or an array.

    Example:

        >>> from graphnet import ops
        >>> ops.is_tensor(3), ops.is_tensor(ops.ones(3))
        (False, True)
    """
    return isinstance(x, (Tensor, Variable, np.ndarray))


def to_tensor(x: Any) -> Any:
    """x as an operand: symbolic tensors, variables and arrays as they are, numbers and lists as arrays, extents as scalars."""
    if isinstance(x, (Tensor, Variable, np.ndarray)):
        return x
    if type(x) is Dim:
        return sized(Extent(x))
    array = dtypes.as_array(x)
    if array.dtype == object:
        raise DTypeError(f"Expected a tensor, a number or a nested list of numbers; received {x!r}. "
                         "Tensors and extents are joined by graphnet.ops.stack.")
    return array


def by_value(x: Any, who: str, mend: str) -> np.ndarray:
    """x as an array, for functions whose result has a shape that depends on values; UnsupportedError for a symbolic tensor."""
    if isinstance(x, Tensor):
        raise UnsupportedError(f"{who} gives a result whose shape depends on values, which a graph cannot have; received {x!r}. "
                               f"{mend}")
    return x.value if isinstance(x, Variable) else dtypes.as_array(x)


def promote(*values: Any) -> list[Any]:
    """The operands, all of the dtype that they combine to; Python numbers and lists become arrays."""
    operands = [v if type(v) in (int, float, bool) else to_tensor(v) for v in values]
    dtype = dtypes.result_type(*[dtypes.dtype_of(v) for v in operands])
    return [_cast(v, dtype) for v in operands]


def _cast(x: Any, dtype: str) -> Any:
    if isinstance(x, (Tensor, Variable)):
        return x if x.dtype == dtype else Cast(dtype)(x)
    return dtypes.as_array(x, dtype)


@public
def cast(x: Any, dtype: Any) -> Any:
    """x with its elements converted to `dtype`; floats become integers by dropping what is behind the point.

    Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.cast([0.0, 1.7, -1.7], "int32")
        array([ 0,  1, -1], dtype=int32)
    """
    return _cast(to_tensor(x), dtypes.standardize_dtype(dtype))


def floating(x: Any) -> Any:
    """x as floats: integers become the default float type."""
    x = to_tensor(x)
    return x if str(x.dtype) in dtypes.FLOATS else _cast(x, dtypes.floatx())


def normalize_axis(axis: Any, ndim: int, who: str = "op") -> int:
    """A non-negative axis; ShapeError where there is no such axis."""
    if not isinstance(axis, (int, np.integer)) or not -ndim <= axis < ndim:
        raise ShapeError(f"{who} expects an axis between {-ndim} and {ndim - 1} for an operand with ndim={ndim}; received "
                         f"axis={axis}.")
    return int(axis) % ndim


def normalize_axes(axis: Any, ndim: int, who: str = "op") -> tuple[int, ...]:
    """Sorted non-negative axes; None means all of them."""
    if axis is None:
        return tuple(range(ndim))
    listed = [axis] if isinstance(axis, (int, np.integer)) else axis
    axes = tuple(sorted(normalize_axis(a, ndim, who) for a in listed))
    if len(set(axes)) < len(axes):
        raise ShapeError(f"{who} expects each axis once; received axis={axis} for an operand with ndim={ndim}.")
    return axes


def assign_in_trace(variable: Variable, value: Any) -> None:
    """Gives a variable its next value: at once outside of a trace, as an update of the graph inside of one; later reads see
    it.
    """
    trace = current()
    if trace is None:
        variable.assign_now(value)
        return
    tensor = trace.lift(to_tensor(value))
    if tensor.dtype != variable.dtype:
        if not np.can_cast(tensor.dtype, variable.dtype, "same_kind"):
            raise DTypeError(f"Variable {variable.path!r} has dtype {variable.dtype}; received a value of dtype {tensor.dtype}. Cast it "
                             f"first: graphnet.ops.cast(value, {variable.dtype!r}).")
        tensor = Cast(variable.dtype)(tensor)
    if tensor.spec.shape != variable.shape:
        raise ShapeError(f"Variable {variable.path!r} expects a value of shape {variable.shape}; received shape "
                         f"{shown(tensor.spec.shape)}.")
    trace.updates[variable] = tensor


def shape(x: Any) -> tuple[Any, ...]:
    """The shape of x: ints, and a `Dim` for each extent that is not known before the model runs; use it in further shapes.

    Example:

        >>> from graphnet import ops
        >>> ops.shape(ops.zeros((2, 3)))
        (2, 3)
    """
    return tuple(x.spec.shape) if isinstance(x, (Tensor, Variable)) else tuple(np.shape(x))


__all__ = ["cast", "is_tensor", "shape"]
