"""Reductions over axes: sums, means, bounds, positions; running sums."""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet import dims, dtypes
from graphnet.graph import Spec
from graphnet.op import Op, Reduction, Samples, public
from graphnet.op import reduced as reduced_shape
from graphnet.ops.convert import cast, floating, normalize_axes, normalize_axis, shape, to_tensor
from graphnet.ops.elementwise import (
    add,
    divide,
    equal,
    exp,
    isfinite,
    log,
    maximum,
    minimum,
    multiply,
    sqrt,
    square,
    subtract,
    where,
)
from graphnet.ops.layout import BroadcastTo, Reshape, StopGradient
from graphnet.ops.shape import reshape, squeeze

AXES = ((0,), (1,), (0, 1), (1, 2), (0, 1, 2))


def wider(dtype: str) -> str:
    """The float type in which numbers of such a type are added up and counted: float16 ends at 65,504."""
    return "float32" if dtype == "float16" else dtype


class _NumpyReduction(Reduction):
    numpy_name = "sum"

    def kept(self, result: Any, x: Any) -> Any:
        """Something of the result's shape with extents of 1 where axes of x were reduced, so that it broadcasts with x."""
        return result if self.keepdims else Reshape(reduced_shape(shape(x), self.axes, True))(result)

    def reference(self, x: np.ndarray) -> np.ndarray:
        dtype = self.result_dtype(x.dtype.name)
        extra = {"dtype": dtype} if self.numpy_name in ("sum", "prod", "mean") else {}
        with np.errstate(all="ignore"):
            return np.asarray(getattr(np, self.numpy_name)(x, axis=self.axes, keepdims=self.keepdims, **extra), dtype)

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        for axes in AXES:
            for keepdims in (False, True):
                x = rng.standard_normal((3, 5, 17)).astype("float32")
                yield cls(axes, keepdims), [x > 0 if cls.numpy_name in ("any", "all") else x]  # type: ignore[call-arg]


@dataclass(frozen=True)
class Sum(_NumpyReduction):
    """The sum over axes; of booleans and small integers in int32."""

    axes: tuple[int, ...] = ()
    keepdims: bool = False

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        return [BroadcastTo(shape(x))(self.kept(g, x))]

    def result_dtype(self, dtype: str) -> str:
        return {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}.get(dtype, dtype)


@dataclass(frozen=True)
class Mean(_NumpyReduction):
    """The mean over axes, in floats."""

    axes: tuple[int, ...] = ()
    keepdims: bool = False
    numpy_name = "mean"

    def result_dtype(self, dtype: str) -> str:
        return dtype if dtype in dtypes.FLOATS else dtypes.floatx()

    def reference(self, x: np.ndarray) -> np.ndarray:
        dtype = self.result_dtype(x.dtype.name)
        with np.errstate(all="ignore"):
            total = np.sum(x, axis=self.axes, keepdims=self.keepdims, dtype=wider(dtype))
            count = int(np.prod([x.shape[a] for a in self.axes], dtype=np.int64))
            return np.asarray(total / total.dtype.type(count), dtype)

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        part = divide(cast(g, wider(str(g.dtype))), dims.product([shape(x)[a] for a in self.axes]))
        return Sum.vjp(self, cast(part, g.dtype), y, x)  # type: ignore[arg-type]


class _Extremum(_NumpyReduction):
    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        """Equal elements share it."""
        chosen = cast(equal(x, self.kept(y, x)), x.dtype)
        return [multiply(chosen, divide(self.kept(g, x), Sum(self.axes, True)(chosen)))]


@dataclass(frozen=True)
class Max(_Extremum):
    """The largest element over axes; NaN where there is one."""

    axes: tuple[int, ...] = ()
    keepdims: bool = False
    numpy_name = "max"


@dataclass(frozen=True)
class Min(_Extremum):
    """The smallest element over axes; NaN where there is one."""

    axes: tuple[int, ...] = ()
    keepdims: bool = False
    numpy_name = "min"


@dataclass(frozen=True)
class Prod(_NumpyReduction):
    """The product over axes."""

    axes: tuple[int, ...] = ()
    keepdims: bool = False
    numpy_name = "prod"

    def result_dtype(self, dtype: str) -> str:
        return Sum.result_dtype(self, dtype)  # type: ignore[arg-type]

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        """The product of the others, of which one that is zero leaves nothing."""
        zero = equal(x, 0.0)
        count = Sum(self.axes, True)(cast(zero, "int32"))
        nonzero = where(zero, 1.0, x)
        others = divide(Prod(self.axes, True)(nonzero), nonzero)
        return [where(equal(count, cast(zero, "int32")), multiply(self.kept(g, x), others), 0.0)]


@dataclass(frozen=True)
class Any_(_NumpyReduction):
    """Whether any element over axes is true."""

    axes: tuple[int, ...] = ()
    keepdims: bool = False
    numpy_name = "any"

    def result_dtype(self, dtype: str) -> str:
        return "bool"


@dataclass(frozen=True)
class All_(_NumpyReduction):
    """Whether all elements over axes are true."""

    axes: tuple[int, ...] = ()
    keepdims: bool = False
    numpy_name = "all"

    def result_dtype(self, dtype: str) -> str:
        return "bool"


class _Position(Op):
    axis: int
    keepdims: bool

    def infer(self, x: Spec) -> Spec:
        return Spec(tuple([1 if i == self.axis else s for i, s in enumerate(x.shape) if i != self.axis or self.keepdims]),
                    "int32")

    @classmethod
    def samples(cls) -> Samples:
        x = np.random.default_rng(0).integers(0, 9, (4, 5, 17)).astype("float32")
        for axis in range(3):
            yield cls(axis), [x]  # type: ignore[call-arg]


@dataclass(frozen=True)
class Argmax(_Position):
    """Where the largest element lies along an axis; the first of equal ones."""

    axis: int = 0
    keepdims: bool = False

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(np.argmax(x, self.axis, keepdims=self.keepdims), "int32")


@dataclass(frozen=True)
class Argmin(_Position):
    """Where the smallest element lies along an axis; the first of equal ones."""

    axis: int = 0
    keepdims: bool = False

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(np.argmin(x, self.axis, keepdims=self.keepdims), "int32")


class AlongAxis(Op):
    """What keeps the shape and works along one axis; the subclass has the field ``axis``."""

    axis: int

    def infer(self, x: Spec) -> Spec:
        return x

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        for axis, extents in ((0, (5, 3)), (1, (5, 17)), (1, (2, 3, 4)), (1, (0, 3)), (2, (2, 3, 33))):
            yield cls(axis), [3 * rng.standard_normal(extents).astype("float32")]  # type: ignore[call-arg]


@dataclass(frozen=True)
class Cumsum(AlongAxis):
    """Running sums along an axis, from its end where `reverse` says so."""

    axis: int = 0
    reverse: bool = False

    def reference(self, x: np.ndarray) -> np.ndarray:
        if self.reverse:
            return np.flip(np.cumsum(np.flip(x, self.axis), self.axis, dtype=x.dtype), self.axis)
        return np.cumsum(x, self.axis, dtype=x.dtype)

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        return [Cumsum(self.axis, not self.reverse)(g)]


# ---- public functions

def _reduce(op_class: type[Reduction], x: Any, axis: Any, keepdims: bool, who: str) -> Any:
    x = to_tensor(x)
    return op_class(normalize_axes(axis, x.ndim, who), bool(keepdims))(x)  # type: ignore[call-arg]


@public
def sum(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """The sum of x over `axis` (all axes for None). Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.sum([[1.0, 2.0], [3.0, 4.0]], 0)
        array([4., 6.], dtype=float32)
    """
    return _reduce(Sum, x, axis, keepdims, "sum")


@public
def mean(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """The mean of x over `axis` (all axes for None). Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.mean([1.0, 3.0])
        array(2., dtype=float32)
    """
    return _reduce(Mean, x, axis, keepdims, "mean")


@public
def max(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False, initial: Any = None) -> Any:
    """The largest element of x over `axis`; not below `initial` where that is given. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.max([1.0, 3.0])
        array(3., dtype=float32)
    """
    out = _reduce(Max, x, axis, keepdims, "max")
    return out if initial is None else maximum(out, initial)


@public
def min(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False, initial: Any = None) -> Any:
    """The smallest element of x over `axis`; not above `initial` where that is given. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.min([1.0, 3.0])
        array(1., dtype=float32)
    """
    out = _reduce(Min, x, axis, keepdims, "min")
    return out if initial is None else minimum(out, initial)


@public
def amax(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """The largest element of x over `axis`, as `max`. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.amax([1.0, 3.0])
        array(3., dtype=float32)
    """
    return _reduce(Max, x, axis, keepdims, "amax")


@public
def amin(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """The smallest element of x over `axis`, as `min`. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.amin([1.0, 3.0])
        array(1., dtype=float32)
    """
    return _reduce(Min, x, axis, keepdims, "amin")


@public
def prod(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """The product of x over `axis`. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.prod([2.0, 3.0])
        array(6., dtype=float32)
    """
    return _reduce(Prod, x if dtype is None else cast(x, dtype), axis, keepdims, "prod")


@public
def any(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """Whether any element of x over `axis` is true (not zero). Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.any([False, True])
        array(True)
    """
    return _reduce(Any_, cast(x, "bool"), axis, keepdims, "any")


@public
def all(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """Whether all elements of x over `axis` are true (not zero). Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.all([False, True])
        array(False)
    """
    return _reduce(All_, cast(x, "bool"), axis, keepdims, "all")


@public
def var(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """The variance of x over `axis`: mean((x - mean(x))**2). Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.var([1.0, 3.0])
        array(1., dtype=float32)
    """
    x = floating(x)
    return mean(square(subtract(x, mean(x, axis, True))), axis, keepdims)


@public
def std(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """The standard deviation of x over `axis`. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.std([1.0, 3.0])
        array(1., dtype=float32)
    """
    return sqrt(var(x, axis, keepdims))


def _positions(op_class: Any, x: Any, axis: int | None, keepdims: bool, who: str) -> Any:
    x = to_tensor(x)
    if axis is None:
        flat = op_class(0)(reshape(x, (-1,)))
        return reshape(flat, (1,) * x.ndim) if keepdims else flat
    return op_class(normalize_axis(axis, x.ndim, who), bool(keepdims))(x)


@public
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The position of the largest element along `axis`, int32; of the flat x for None. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.argmax([1.0, 3.0, 2.0])
        array(1, dtype=int32)
    """
    return _positions(Argmax, x, axis, keepdims, "argmax")


@public
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The position of the smallest element along `axis`, int32; of the flat x for None. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.argmin([1.0, 3.0, 2.0])
        array(0, dtype=int32)
    """
    return _positions(Argmin, x, axis, keepdims, "argmin")


@public
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Running sums of x along `axis`; of the flat x for None. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.cumsum([1, 2, 3])
        array([1, 3, 6], dtype=int32)
    """
    x = to_tensor(x) if dtype is None else cast(x, dtype)
    x = cast(x, "int32") if x.dtype == "bool" else x
    return Cumsum(0)(reshape(x, (-1,))) if axis is None else Cumsum(normalize_axis(axis, x.ndim, "cumsum"))(x)


@public
def logsumexp(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) over `axis`, computed without overflow. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.logsumexp([0.0])
        array(0., dtype=float32)
    """
    x = floating(x)
    axes = normalize_axes(axis, x.ndim, "logsumexp")
    top = StopGradient()(max(x, axes, True))  # what is taken away and added again has no gradient
    out = add(log(sum(exp(subtract(x, top)), axes, True)), top)
    out = where(isfinite(top), out, top)  # the difference of two infinities is NaN
    return out if keepdims else squeeze(out, axes)


__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "cumsum", "logsumexp", "max", "mean", "min", "prod", "std", "sum", "var",
]
