"""Order: sorting, the k largest, searching in sorted values."""
import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet.dims import Dim
from graphnet.errors import ShapeError
from graphnet.graph import Spec
from graphnet.op import Op, Samples, public
from graphnet.ops.convert import cast, floating, normalize_axis, promote, shape, to_tensor
from graphnet.ops.creation import arange
from graphnet.ops.elementwise import divide, greater, isfinite, less, logical_and, maximum, multiply, subtract
from graphnet.ops.indexing import TakeAlongAxis, take_along_axis
from graphnet.ops.reduction import Cumsum, sum
from graphnet.ops.shape import expand_dims, flip, moveaxis, reshape, squeeze


def _sample(*extents: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 9, extents).astype("float32")


@dataclass(frozen=True)
class Sort(Op):
    """The elements in rising order along an axis; NaN last."""

    axis: int = -1

    def infer(self, x: Spec) -> Spec:
        return x

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.sort(x, self.axis, kind="stable")

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        places = Argsort(self.axis)
        return [take_along_axis(g, places(places(x)), self.axis)]  # the places of the places: where each element has gone to

    @classmethod
    def samples(cls) -> Samples:
        for axis in range(2):
            yield cls(axis), [_sample(5, 7)]
        yield cls(0), [_sample(0, 3)]


@dataclass(frozen=True)
class Argsort(Op):
    """Where the elements in rising order lie along an axis; equal ones stay in their order."""

    axis: int = -1

    def infer(self, x: Spec) -> Spec:
        return Spec(x.shape, "int32")

    def reference(self, x: np.ndarray) -> np.ndarray:
        return np.argsort(x, self.axis, kind="stable").astype("int32")

    @classmethod
    def samples(cls) -> Samples:
        for axis in range(2):
            yield cls(axis), [_sample(5, 7)]
        yield cls(0), [_sample(0, 3)]


@dataclass(frozen=True)
class TopK(Op):
    """The k largest elements along the last axis, in falling order, and where they lie; the first of equal ones first."""

    k: int = 1

    def infer(self, x: Spec) -> tuple[Spec, Spec]:
        if not isinstance(x.shape[-1], Dim) and not 0 <= self.k <= x.shape[-1]:
            raise ShapeError(f"top_k expects k between 0 and the extent of the last axis, {x.shape[-1]}; received k={self.k}.")
        extents = (*x.shape[:-1], self.k)
        return Spec(extents, x.dtype), Spec(extents, "int32")

    def reference(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count = x.shape[-1]
        behind = np.argsort(x[..., ::-1], -1, kind="stable")[..., ::-1]  # of equal elements the first comes first
        at = (count - 1 - behind[..., :self.k]).astype("int32")
        return np.take_along_axis(x, at, -1), at

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        (taken, _), (values, at) = g, y
        return TakeAlongAxis(x.ndim - 1).vjp(taken, values, x, at)[:1]

    @classmethod
    def samples(cls) -> Samples:
        yield cls(3), [_sample(5, 7)]
        yield cls(1), [_sample(2, 3, 1)]
        yield cls(0), [_sample(2, 3)]


@dataclass(frozen=True)
class SearchSorted(Op):
    """Where values would be put into a sorted row so that it stays sorted: before ("left") or behind ("right") equal ones."""

    side: str = "left"

    def infer(self, row: Spec, values: Spec) -> Spec:
        if len(row.shape) != 1:
            raise ShapeError(f"searchsorted expects a sorted row with ndim=1; received ndim={len(row.shape)}.")
        return Spec(values.shape, "int32")

    def reference(self, row: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.asarray(np.searchsorted(row, values, self.side), "int32")  # type: ignore[call-overload]

    @classmethod
    def samples(cls) -> Samples:
        for side in ("left", "right"):
            yield cls(side), [np.sort(_sample(7)), _sample(3, 4)]
        yield cls(), [_sample(0), _sample(2)]


# ---- public functions

@public
def sort(x: Any, axis: int | None = -1) -> Any:
    """The elements of x in rising order along `axis`; of the flat x for None. NaN comes last.

    Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.sort([3, 1, 2])
        array([1, 2, 3], dtype=int32)
    """
    x = to_tensor(x)
    return Sort(0)(reshape(x, (-1,))) if axis is None else Sort(normalize_axis(axis, x.ndim, "sort"))(x)


@public
def argsort(x: Any, axis: int | None = -1) -> Any:
    """Where the elements of x in rising order lie along `axis`, int32; equal ones stay in their order.

    Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.argsort([3, 1, 2])
        array([1, 2, 0], dtype=int32)
    """
    x = to_tensor(x)
    return Argsort(0)(reshape(x, (-1,))) if axis is None else Argsort(normalize_axis(axis, x.ndim, "argsort"))(x)


@public
def argpartition(x: Any, kth: int, axis: int | None = -1) -> Any:
    """Positions that bring the `kth` smallest element to its place, no larger ones before it; here they sort x.

    Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.argpartition([3, 1, 2], 0)
        array([1, 2, 0], dtype=int32)
    """
    return argsort(x, axis)


@public
def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Any, Any]:
    """The k largest elements along the last axis, in falling order, and where they lie (int32).

    Shapes: (..., E) -> (..., k) twice. Raises ShapeError where k > E. Source: https://keras.io/api/ops/math/

    Example:

        >>> from graphnet import ops
        >>> ops.top_k([3, 1, 2], 2)
        (array([3, 2], dtype=int32), array([0, 2], dtype=int32))
    """
    return TopK(int(k))(to_tensor(x))


@public
def in_top_k(targets: Any, predictions: Any, k: int) -> Any:
    """Whether the target's score is among the k largest of its row; ties count as in, a score that is not finite as out.

    Shapes: targets (N,) ints, predictions (N, C) -> (N,) bool. Source: https://keras.io/api/ops/math/

    Example:

        >>> from graphnet import ops
        >>> ops.in_top_k([2, 0], [[0.1, 0.2, 0.7], [0.1, 0.2, 0.7]], 1)
        array([ True, False])
    """
    scores = floating(predictions)
    own = take_along_axis(scores, expand_dims(cast(targets, "int32"), -1), -1)
    better = sum(cast(greater(scores, own), "int32"), -1)
    return logical_and(less(better, k), isfinite(squeeze(own, -1)))


@functools.partial(public, class_name="SearchSorted")
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Any:
    """Where `values` would be put into a sorted row so that it stays sorted, int32. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.searchsorted([1, 3, 5], [3, 4])
        array([1, 2], dtype=int32)
    """
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted expects side 'left' or 'right'; received side={side!r}.")
    return SearchSorted(side)(*promote(sorted_sequence, values))


@public
def digitize(x: Any, bins: Any) -> Any:
    """The bin in which each element lies: i with bins[i - 1] <= x < bins[i], int32. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.digitize([0.2, 6.4, 3.0], [0.0, 1.0, 2.5, 4.0, 10.0])
        array([1, 4, 3], dtype=int32)
    """
    return searchsorted(bins, x, "right")


@public
def sparsemax(x: Any, axis: int = -1) -> Any:
    """The point of the simplex that is nearest to x: a softmax with zeros in it. Source: https://arxiv.org/abs/1602.02068

    Example:

        >>> from graphnet import ops
        >>> ops.sparsemax([[-1.0, 0.0, 1.0]])
        array([[0., 0., 1.]], dtype=float32)
    """
    x = moveaxis(floating(x), axis, -1)
    falling = flip(Sort(x.ndim - 1)(x), -1)
    ranks = arange(1, shape(x)[-1] + 1, dtype=x.dtype)
    excess = subtract(Cumsum(x.ndim - 1)(falling), 1.0)
    inside = cast(greater(multiply(ranks, falling), excess), str(x.dtype))
    support = sum(inside, -1, True)
    last = cast(subtract(support, 1.0), "int32")
    return moveaxis(maximum(subtract(x, divide(take_along_axis(excess, last, -1), support)), 0.0), -1, axis)


__all__ = [
    "argpartition", "argsort", "digitize", "in_top_k", "searchsorted", "sort", "sparsemax", "top_k",
]
