"""Counts, averages, quantiles, histograms."""
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet import dtypes
from graphnet.errors import ShapeError
from graphnet.graph import Spec
from graphnet.op import Op, Samples, public
from graphnet.ops import elementwise as e
from graphnet.ops import reduction as r
from graphnet.ops.contraction import matmul
from graphnet.ops.convert import by_value, cast, floating, normalize_axes, normalize_axis, promote, shape, to_tensor
from graphnet.ops.indexing import get_item, take, take_along_axis
from graphnet.ops.ordering import Sort
from graphnet.ops.shape import broadcast_to, moveaxis, reshape, transpose


@dataclass(frozen=True)
class Cumprod(Op):
    """Running products along an axis."""

    axis: int = 0

    def infer(self, x: Spec) -> Spec:
        return x

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.cumprod(x, self.axis, dtype=x.dtype)

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        """Sums of g y from here on, over x. At the first zero y is taken without that factor; behind it nothing changes."""
        zeros = r.Cumsum(self.axis)(cast(e.equal(x, 0.0), "int32"))
        first = e.logical_and(e.equal(x, 0.0), e.equal(zeros, 1))
        passed = r.Cumsum(self.axis, True)(g * y)
        at_zero = r.Cumsum(self.axis, True)(g * Cumprod(self.axis)(e.where(first, 1.0, x)))
        return [e.where(first, at_zero, e.where(e.equal(zeros, 0), passed / e.where(e.equal(x, 0.0), 1.0, x), 0.0))]

    @classmethod
    def samples(cls) -> Samples:
        x = np.random.default_rng(0).uniform(0.5, 1.5, (3, 5)).astype("float32")
        for axis in range(2):
            yield cls(axis), [x]
        yield cls(0), [x[:0]]


@dataclass(frozen=True)
class Bincount(Op):
    """How often each of 0, 1, ..., count - 1 occurs along the last axis; with a second operand, the sum of its values there."""

    count: int = 1

    def infer(self, x: Spec, *weights: Spec) -> Spec:
        return Spec((*x.shape[:-1], self.count), weights[0].dtype if weights else "int32")

    def reference(self, x: np.ndarray, *weights: np.ndarray) -> np.ndarray:
        hits = np.expand_dims(x, -1) == np.arange(self.count)
        if not weights:
            return np.sum(hits, -2, dtype="int32")
        return np.sum(np.where(hits, np.expand_dims(weights[0], -1), 0), -2, dtype=weights[0].dtype)

    def vjp(self, g: Any, y: Any, x: Any, *weights: Any) -> list[Any]:
        counted = e.logical_and(e.greater_equal(x, 0), e.less(x, self.count))
        return [None, *[e.where(counted, take_along_axis(g, e.where(counted, x, 0), -1), 0.0) for _ in weights]]

    @classmethod
    def samples(cls) -> Samples:
        x = np.random.default_rng(0).integers(0, 4, (3, 7)).astype("int32")
        yield cls(4), [x]
        yield cls(3), [x[0], np.arange(7, dtype="float32")]
        yield cls(2), [x[0, :0]]


@public
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Running products of x along `axis`; of the flat x for None. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.cumprod([1, 2, 3])
        array([1, 2, 6], dtype=int32)
    """
    x = to_tensor(x) if dtype is None else cast(x, dtype)
    x = cast(x, "int32") if x.dtype == "bool" else x
    return Cumprod(0)(reshape(x, (-1,))) if axis is None else Cumprod(normalize_axis(axis, x.ndim, "cumprod"))(x)


@public
def count_nonzero(x: Any, axis: int | Sequence[int] | None = None) -> Any:
    """How many elements over `axis` are not zero, int32. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.count_nonzero([[0, 1], [2, 3]], 0)
        array([1, 2], dtype=int32)
    """
    return r.sum(cast(e.not_equal(x, 0), "int32"), axis)


@public
def average(x: Any, axis: int | Sequence[int] | None = None, weights: Any = None) -> Any:
    """The mean over `axis`, each element counted with its weight. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.average([1.0, 4.0], weights=[2.0, 1.0])
        array(2., dtype=float32)
    """
    x = floating(x)
    if weights is None:
        return r.mean(x, axis)
    x, weights = promote(x, floating(weights))
    if weights.ndim == 1 and x.ndim > 1:
        if not isinstance(axis, int):
            raise ShapeError(f"average expects weights of x's shape, or one axis for a row of weights; received axis={axis}.")
        weights = reshape(weights, [-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])
    total = r.sum(e.multiply(x, weights), axis)
    return e.divide(total, r.sum(broadcast_to(weights, shape(x)), axis))


@public
def ptp(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """The largest less the smallest element over `axis`. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.ptp([1.0, 4.0, 2.0])
        array(3., dtype=float32)
    """
    return e.subtract(r.max(x, axis, keepdims), r.min(x, axis, keepdims))


@public
def quantile(x: Any, q: Any, axis: int | Sequence[int] | None = None, method: str = "linear", keepdims: bool = False) -> Any:
    """The value below which the share q of the elements over `axis` lies; several q give a new first axis.

    ``method``: between two elements "linear", "lower", "higher", "midpoint" or "nearest". Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.quantile([1.0, 2.0, 3.0, 4.0], 0.5)
        array(2.5, dtype=float32)
    """
    if method not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise ValueError("quantile expects method 'linear', 'lower', 'higher', 'midpoint' or 'nearest'; received "
                         f"method={method!r}.")
    x = floating(x)
    q = cast(q, x.dtype)
    axes = normalize_axes(axis, x.ndim, "quantile")
    rest = [i for i in range(x.ndim) if i not in axes]
    extents = shape(x)
    behind = reshape(transpose(x, [*rest, *axes]), (*[extents[i] for i in rest], -1))
    row = Sort(len(rest))(behind)
    last = shape(row)[-1] - 1
    at = e.multiply(reshape(q, (-1,)), cast(to_tensor(last), x.dtype))
    below, above = (cast(v, "int32") for v in (e.floor(at), e.ceil(at)))
    low, high = take(row, below, -1), take(row, above, -1)
    if method == "nearest":
        out = take(row, cast(e.round(at), "int32"), -1)
    else:
        share = {"linear": e.subtract(at, e.floor(at)), "lower": 0.0, "higher": 1.0, "midpoint": 0.5}[method]
        out = low if method == "lower" else e.add(low, e.multiply(e.subtract(high, low), share))
    out = e.where(r.any(e.isnan(behind), -1, True), math.nan, out)
    out = moveaxis(out, -1, 0)
    kept = [1 if i in axes else extents[i] for i in range(x.ndim)] if keepdims else [extents[i] for i in rest]
    return reshape(out, (*shape(q), *kept))


@public
def percentile(x: Any, q: Any, axis: int | Sequence[int] | None = None, method: str = "linear", keepdims: bool = False) -> Any:
    """`quantile` with q in hundredths. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.percentile([1.0, 2.0, 3.0, 4.0], 50)
        array(2.5, dtype=float32)
    """
    return quantile(x, e.divide(floating(q), 100.0), axis, method, keepdims)


@public
def median(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """The middle of the elements over `axis`. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.median([1.0, 4.0, 2.0])
        array(2., dtype=float32)
    """
    return quantile(x, 0.5, axis, keepdims=keepdims)


@public
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Any:
    """How often each whole number from 0 on occurs, or the sum of its weights. A symbolic x needs `minlength`: larger numbers
    are not counted.

    Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.bincount([1, 1, 3])
        array([0, 2, 0, 1], dtype=int32)
    """
    if sparse:
        raise ValueError("bincount expects sparse=False: graphnet has no sparse tensors. Leave the argument out.")
    x = to_tensor(x)
    if isinstance(x, np.ndarray) or not minlength:
        values = by_value(x, "bincount", "Give minlength: the number of counts.")
        minlength = max(int(minlength), int(values.max(initial=-1)) + 1)
    return Bincount(int(minlength))(x, *([] if weights is None else [to_tensor(weights)]))


@public
def histogram(x: Any, bins: int = 10, range: tuple[float, float] | None = None) -> tuple[Any, Any]:
    """How many elements lie in each of `bins` equal parts of the range, in floats, and the parts' edges. Source:
    https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.histogram([0.0, 0.1, 1.0], bins=2)[0]
        array([2., 1.], dtype=float32)
    """
    counts, edges = np.histogram(by_value(x, "histogram", "Compute it outside of the model."), bins, range)
    return counts.astype(dtypes.floatx()), edges.astype(dtypes.floatx())


@public
def corrcoef(x: Any) -> Any:
    """The correlation of each pair of rows. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.round(ops.corrcoef([[1.0, 2.0], [2.0, 1.0]]), 3)
        array([[ 1., -1.],
               [-1.,  1.]], dtype=float32)
    """
    x = floating(x)
    x = reshape(x, (1, -1)) if x.ndim < 2 else x
    centred = e.subtract(x, r.mean(x, -1, True))
    scaled = e.divide(centred, e.sqrt(r.sum(e.square(centred), -1, True)))
    return matmul(scaled, transpose(scaled))


@public
def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    """Each element less the one before it, along `axis`; `n` times. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.diff([1, 4, 9])
        array([3, 5], dtype=int32)
    """
    x = to_tensor(a)
    axis = normalize_axis(axis, x.ndim, "diff")
    whole = (slice(None),) * axis
    for _ in range(n):
        later, earlier = get_item(x, (*whole, slice(1, None))), get_item(x, (*whole, slice(None, -1)))
        x = e.not_equal(later, earlier) if x.dtype == "bool" else e.subtract(later, earlier)
    return x


@public
def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    """The integral of y along `axis` by the trapezoidal rule. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.trapezoid([1.0, 2.0, 3.0])
        array(4., dtype=float32)
    """
    y = moveaxis(floating(y), axis, -1)
    width = dx if x is None else diff(moveaxis(floating(x), axis, -1) if to_tensor(x).ndim > 1 else floating(x))
    both = e.add(get_item(y, (..., slice(1, None))), get_item(y, (..., slice(None, -1))))
    return r.sum(e.multiply(e.multiply(both, 0.5), width), -1)


# ---- without NaN

def _without_nan(name: str, doc: str, call: str, result: str, function: Callable[..., Any]) -> Any:
    def reduced(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
        x = to_tensor(x)
        missing = e.isnan(x) if x.dtype in dtypes.FLOATS else e.not_equal(x, x)
        return function(x, missing, axis, keepdims)
    return e.document(reduced, name, doc, call, result, ", over `axis`")


def _count(missing: Any, dtype: Any, axis: Any, keepdims: bool) -> Any:
    return r.sum(cast(e.logical_not(missing), dtype), axis, keepdims)


def _nansum(x: Any, missing: Any, axis: Any, keepdims: bool) -> Any:
    return r.sum(e.where(missing, 0, x), axis, keepdims)


def _nanmean(x: Any, missing: Any, axis: Any, keepdims: bool) -> Any:
    x = floating(x)
    return e.divide(_nansum(x, missing, axis, keepdims), _count(missing, x.dtype, axis, keepdims))


def _nanvar(x: Any, missing: Any, axis: Any, keepdims: bool) -> Any:
    return _nanmean(e.square(e.subtract(x, _nanmean(x, missing, axis, True))), missing, axis, keepdims)


def _extreme(reduce: Any, fill: float) -> Any:
    def function(x: Any, missing: Any, axis: Any, keepdims: bool) -> Any:
        if x.dtype not in dtypes.FLOATS:
            return reduce(x, axis, keepdims)
        return e.where(r.all(missing, axis, keepdims), math.nan, reduce(e.where(missing, fill, x), axis, keepdims))
    return function


nansum = _without_nan("nansum", "The sum of what is not NaN.", 'nansum([1.0, float("nan")])', "array(1., dtype=float32)", _nansum)
nanprod = _without_nan("nanprod", "The product of what is not NaN.", 'nanprod([2.0, float("nan")])', "array(2., dtype=float32)",
                       lambda x, missing, axis, keepdims: r.prod(e.where(missing, 1, x), axis, keepdims))
nanmean = _without_nan("nanmean", "The mean of what is not NaN.", 'nanmean([1.0, float("nan")])', "array(1., dtype=float32)",
                       _nanmean)
nanvar = _without_nan("nanvar", "The variance of what is not NaN.", 'nanvar([1.0, 3.0, float("nan")])',
                      "array(1., dtype=float32)", _nanvar)
nanstd = _without_nan("nanstd", "The standard deviation of what is not NaN.", 'nanstd([1.0, 3.0, float("nan")])',
                      "array(1., dtype=float32)",
                      lambda *parts: e.sqrt(_nanvar(*parts)))
nanmax = _without_nan("nanmax", "The largest of what is not NaN.", 'nanmax([1.0, float("nan")])', "array(1., dtype=float32)",
                      _extreme(r.max, -math.inf))
nanmin = _without_nan("nanmin", "The smallest of what is not NaN.", 'nanmin([1.0, float("nan")])', "array(1., dtype=float32)",
                      _extreme(r.min, math.inf))

__all__ = [
    "average", "bincount", "corrcoef", "count_nonzero", "cumprod", "diff", "histogram", "median", "nanmax", "nanmean", "nanmin",
    "nanprod", "nanstd", "nansum", "nanvar", "percentile", "ptp", "quantile", "trapezoid",
]
