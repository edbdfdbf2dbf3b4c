"""Writing to places that data name: scattered updates, segments, slices whose start is not known before."""
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from graphnet import dims, dtypes
from graphnet.dims import Dim
from graphnet.errors import DTypeError, ShapeError
from graphnet.graph import Spec, Tensor, Variable
from graphnet.op import Op, Samples, public
from graphnet.ops import elementwise as e
from graphnet.ops import reduction as r
from graphnet.ops.convert import bound, by_value, cast, promote, shape, shown, sized, to_tensor
from graphnet.ops.creation import arange, ones_like, zeros, zeros_like
from graphnet.ops.indexing import Take, check_indices, get_item, one_hot
from graphnet.ops.shape import Slice, expand_dims, reshape, stack

_SPAN = slice  # the public function of that name is defined below
_UFUNCS = {"add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}


def _sample(*extents: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(extents).astype("float32")


@dataclass(frozen=True)
class ScatterUpdate(Op):
    """x with updates (N, *rest) put to places (N, K), which index its first K axes; or combined with what is there.

    reduction: None puts them, the last of several to one place wins; "add", "max", "min", "mul" combine.
    """

    reduction: str | None = None
    checked: ClassVar[bool] = True

    def infer(self, x: Spec, indices: Spec, updates: Spec) -> Spec:
        depth = indices.shape[-1] if indices.shape else None
        if indices.dtype not in dtypes.INTS:
            raise DTypeError(f"scatter_update expects integer indices; received dtype {indices.dtype}.")
        if not isinstance(depth, int) or depth > len(x.shape):
            raise ShapeError(f"scatter_update expects indices (..., K) with K at most the inputs' ndim ({len(x.shape)}); "
                             f"received shape {shown(indices.shape)}.")
        expected = (*indices.shape[:-1], *x.shape[depth:])
        if len(updates.shape) != len(expected):
            raise ShapeError(f"scatter_update expects updates of shape {shown(expected)} for inputs of shape {shown(x.shape)} "
                             "and indices of shape "
                             f"{shown(indices.shape)}; received {shown(updates.shape)}.")
        return x

    def reference(self, x: np.ndarray, indices: np.ndarray, updates: np.ndarray) -> np.ndarray:
        places = tuple([indices[..., k] for k in range(indices.shape[-1])])
        for axis, place in enumerate(places):
            check_indices("scatter_update", place, x.shape[axis])
        out = np.array(x)
        if self.reduction is None:
            out[places] = updates
        else:
            _UFUNCS[self.reduction].at(out, places, updates.astype(out.dtype))
        return out

    def vjp(self, g: Any, y: Any, x: Any, indices: Any, updates: Any) -> list[Any]:
        def spread(table: Any) -> Any:
            return at_places(table, indices)
        if self.reduction is not None:
            base, ones = ScatterUpdate("add"), ScatterUpdate("mul")
            return _shared(self.reduction, g, y, x, updates, spread, lambda u: base(zeros_like(x), indices, u),
                           lambda u: ones(ones_like(x), indices, u), None)
        count = dims.product(shape(indices)[:-1])  # the last of several to one place has won
        numbers = reshape(arange(count), shape(indices)[:-1])
        depth = shape(indices)[-1]
        last = ScatterUpdate()(zeros(shape(x)[:depth], "int32"), indices, numbers)
        won = e.equal(spread(last), numbers)
        won = reshape(won, (*shape(won), *[1] * (len(shape(updates)) - len(shape(won)))))
        return [self(g, indices, zeros_like(updates)), None, e.where(won, spread(g), 0.0)]

    @classmethod
    def samples(cls) -> Samples:
        for reduction in (None, "add", "max", "min", "mul"):
            yield cls(reduction), [_sample(5, 3), np.array([[0], [4], [0]], "int32"), _sample(3, 3)]
            yield cls(reduction), [_sample(5, 3), np.array([[0, 1], [4, 2]], "int32"), _sample(2)]
        yield cls(), [_sample(5, 3), np.zeros((0, 1), "int32"), _sample(0, 3)]


_FIRST = {"sum": 0.0, "prod": 1.0, "max": -np.inf, "min": np.inf}
_INTO = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}


@dataclass(frozen=True)
class Segment(Op):
    """The rows of data with one id combined to one row: "sum", "prod", "max" or "min"; ids out of range are left out."""

    kind: str = "sum"
    count: Any = 1

    def infer(self, data: Spec, ids: Spec) -> Spec:
        if len(ids.shape) != 1 or ids.dtype not in dtypes.INTS:
            raise ShapeError(f"segment_{self.kind} expects a row of integer segment ids; received {ids}.")
        return Spec((self.count, *data.shape[1:]), data.dtype)

    def bind(self, extents: Any) -> "Segment":
        return Segment(self.kind, bound(self.count, extents))

    def reference(self, data: np.ndarray, ids: np.ndarray) -> np.ndarray:
        first = _FIRST[self.kind]
        if data.dtype.kind in "iu" and np.isinf(first):
            first = np.iinfo(data.dtype).min if first < 0 else np.iinfo(data.dtype).max
        out = np.full((self.count, *data.shape[1:]), first, data.dtype)
        inside = (ids >= 0) & (ids < self.count)
        _INTO[self.kind].at(out, ids[inside], data[inside])
        return out

    def vjp(self, g: Any, y: Any, data: Any, ids: Any) -> list[Any]:
        inside = e.logical_and(e.greater_equal(ids, 0), e.less(ids, self.count))
        inside = reshape(inside, (-1, *[1] * (len(shape(data)) - 1)))

        def spread(table: Any) -> Any:
            return e.where(inside, Take(0)(table, e.where(e.less(ids, self.count), e.maximum(ids, 0), 0)), 0)
        found = _shared(self.kind, g, y, None, data, spread, lambda u: Segment("sum", self.count)(u, ids),
                        lambda u: Segment("prod", self.count)(u, ids), inside)
        return [found[-1], None]

    @classmethod
    def samples(cls) -> Samples:
        for kind in _FIRST:
            yield cls(kind, 3), [_sample(5, 2), np.array([0, 2, 2, 7, -1], "int32")]
            yield cls(kind, 2), [_sample(0, 2), np.zeros(0, "int32")]


def at_places(table: Any, indices: Any) -> Any:
    """The slices of a table at places (..., K) of its first K axes: what `scatter_update` writes to."""
    extents, depth = shape(table), shape(indices)[-1]
    flat: Any = 0
    for k in range(depth):
        index = get_item(indices, (..., k))
        flat = e.add(e.multiply(flat, extents[k]), e.where(e.less(index, 0), e.add(index, extents[k]), index))
    return Take(0)(reshape(table, (dims.product(extents[:depth]), *extents[depth:])), flat)


def _shared(kind: str, g: Any, y: Any, base: Any, updates: Any, spread: Any, summed: Any, multiplied: Any, inside: Any) -> list[Any]:
    """Cotangents (base, None, updates) of what combines updates, several to a place, with a base.

    spread: from places to their updates; summed, multiplied: from updates to the sum or product at each place. Bounds that are
    reached more than once share g in equal parts. `inside`: which updates count.
    """
    if kind in ("add", "sum"):
        return [g, None, spread(g)]
    if kind in ("max", "min"):
        reached = e.equal(updates, spread(y))
        hit = cast(reached if inside is None else e.logical_and(reached, inside), str(g.dtype))
        count = summed(hit)
        if base is None:
            return [None, None, e.multiply(hit, spread(e.divide(g, e.maximum(count, 1.0))))]
        kept = cast(e.equal(base, y), str(g.dtype))
        part = e.divide(g, e.add(count, kept))
        return [e.multiply(kept, part), None, e.multiply(hit, spread(part))]
    zero = e.equal(updates, 0.0)  # the product of the others, without a division by 0
    factors = e.where(zero, 1.0, updates)
    nulls, product = summed(cast(zero, str(g.dtype))), multiplied(factors)
    whole = e.where(e.equal(nulls, 0.0), product, 0.0)
    others = g if base is None else e.multiply(g, base)
    alone = spread(e.where(e.equal(nulls, 1.0), e.multiply(others, product), 0.0))
    return [e.multiply(g, whole), None, e.where(zero, alone, e.divide(spread(e.multiply(others, whole)), factors))]


@dataclass(frozen=True)
class DynamicSlice(Op):
    """A block of x of a given shape, at a start that data name; a start too far out is moved so that the block fits."""

    shape: tuple[Any, ...] = ()

    def infer(self, x: Spec, start: Spec) -> Spec:
        if len(self.shape) != len(x.shape):
            raise ShapeError(f"slice expects an extent for each of {len(x.shape)} axes; received shape={shown(self.shape)}.")
        return Spec(self.shape, x.dtype)

    def bind(self, extents: Any) -> "DynamicSlice":
        return DynamicSlice(bound(self.shape, extents))

    def reference(self, x: np.ndarray, start: np.ndarray) -> np.ndarray:
        return x[_block(x.shape, self.shape, start)]

    def vjp(self, g: Any, y: Any, x: Any, start: Any) -> list[Any]:
        return [SliceUpdate()(zeros_like(x), start, g), None]

    @classmethod
    def samples(cls) -> Samples:
        yield cls((2, 3)), [_sample(5, 4), np.array([1, 9], "int32")]


@dataclass(frozen=True)
class SliceUpdate(Op):
    """x with a block of it replaced, at a start that data name; a start too far out is moved so that the block fits."""

    def infer(self, x: Spec, start: Spec, updates: Spec) -> Spec:
        if len(updates.shape) != len(x.shape):
            raise ShapeError(f"slice_update expects updates with ndim={len(x.shape)}; received shape {shown(updates.shape)}.")
        return x

    def reference(self, x: np.ndarray, start: np.ndarray, updates: np.ndarray) -> np.ndarray:
        out = np.array(x)
        out[_block(x.shape, updates.shape, start)] = updates
        return out

    def vjp(self, g: Any, y: Any, x: Any, start: Any, updates: Any) -> list[Any]:
        return [SliceUpdate()(g, start, zeros_like(updates)), None, DynamicSlice(shape(updates))(g, start)]

    @classmethod
    def samples(cls) -> Samples:
        yield cls(), [_sample(5, 4), np.array([1, 9], "int32"), _sample(2, 3)]
        yield cls(), [_sample(3), np.array([0], "int32"), _sample(3)]


def _block(whole: Sequence[int], part: Sequence[int], start: np.ndarray) -> Any:
    places = [min(max(int(s), 0), w - p) for s, w, p in zip(start, whole, part, strict=True)]
    return tuple([_SPAN(s, s + p) for s, p in zip(places, part, strict=True)])


# ---- public functions

@public
def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Any:
    """The inputs with updates put to the places (N, K) of their first K axes; ``reduction``: None, "add", "max", "min" or "mul".

    Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.scatter_update([1, 2, 3], [[0], [2]], [7, 8])
        array([7, 2, 8], dtype=int32)
    """
    if reduction is not None and reduction not in _UFUNCS:
        raise ValueError("scatter_update expects reduction None, 'add', 'max', 'min' or 'mul'; received "
                         f"reduction={reduction!r}.")
    x = to_tensor(inputs)
    return ScatterUpdate(reduction)(x, to_tensor(indices), cast(updates, x.dtype))


@public
def scatter(indices: Any, values: Any, shape: Sequence[Any]) -> Any:
    """Zeros of a shape, with values added at the places (N, K) of the first K axes. Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.scatter([[0], [2]], [7, 8], (4,))
        array([7, 0, 8, 0], dtype=int32)
    """
    values = to_tensor(values)
    return ScatterUpdate("add")(zeros(shape, values.dtype), to_tensor(indices), values)


def _segment(kind: str, data: Any, segment_ids: Any, num_segments: Any) -> Any:
    ids = to_tensor(segment_ids)
    if num_segments is None:
        values = by_value(ids, f"segment_{kind}", "Give num_segments.")
        num_segments = int(values.max(initial=-1)) + 1
    return sized(Segment(kind, num_segments), to_tensor(data), ids)


@public
def segment_sum(data: Any, segment_ids: Any, num_segments: Any = None, sorted: bool = False) -> Any:
    """The sum of the rows of each segment: shapes (N, ...), (N,) -> (num_segments, ...). Source: https://keras.io/api/ops/math/

    Example:

        >>> from graphnet import ops
        >>> ops.segment_sum([1, 2, 3], [0, 1, 1])
        array([1, 5], dtype=int32)
    """
    return _segment("sum", data, segment_ids, num_segments)


@public
def segment_max(data: Any, segment_ids: Any, num_segments: Any = None, sorted: bool = False) -> Any:
    """The largest of the rows of each segment; -inf for one without rows. Source: https://keras.io/api/ops/math/

    Example:

        >>> from graphnet import ops
        >>> ops.segment_max([1, 2, 3], [0, 1, 1])
        array([1, 3], dtype=int32)
    """
    return _segment("max", data, segment_ids, num_segments)


@public
def segment_min(data: Any, segment_ids: Any, num_segments: Any = None, sorted: bool = False) -> Any:
    """The smallest of the rows of each segment; inf for one without rows. Source: https://keras.io/api/ops/math/

    Example:

        >>> from graphnet import ops
        >>> ops.segment_min([1, 2, 3], [0, 1, 1])
        array([1, 2], dtype=int32)
    """
    return _segment("min", data, segment_ids, num_segments)


@public
def segment_prod(data: Any, segment_ids: Any, num_segments: Any = None, sorted: bool = False) -> Any:
    """The product of the rows of each segment; 1 for one without rows. Source: https://keras.io/api/ops/math/

    Example:

        >>> from graphnet import ops
        >>> ops.segment_prod([1, 2, 3], [0, 1, 1])
        array([1, 6], dtype=int32)
    """
    return _segment("prod", data, segment_ids, num_segments)


def _known(values: Any) -> list[Any] | None:
    """Start indices as ints and extents, None where one is a tensor."""
    if isinstance(values, (Tensor, Variable)):
        return None
    listed = list(np.asarray(values).tolist()) if isinstance(values, np.ndarray) else list(values)
    if any(isinstance(v, (Tensor, Variable)) for v in listed):
        return None
    return [v if isinstance(v, Dim) else int(v) for v in listed]


def _starts(values: Any) -> Any:
    if isinstance(values, (Tensor, Variable)):
        return cast(values, "int32")
    return stack([cast(v, "int32") for v in values])


@public
def slice(inputs: Any, start_indices: Any, shape: Sequence[Any]) -> Any:
    """The block of a shape that begins at start_indices; a start that is a tensor is moved so that the block fits.

    Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.slice([1, 2, 3, 4], [1], [2])
        array([2, 3], dtype=int32)
    """
    x, start = to_tensor(inputs), _known(start_indices)
    extents = tuple(shape)
    if start is None:
        return sized(DynamicSlice(extents), x, _starts(start_indices))
    if len(start) != x.ndim or len(extents) != x.ndim:
        raise ShapeError(f"slice expects a start and an extent for each of {x.ndim} axes; received start_indices={start}, "
                         f"shape={shown(extents)}.")
    stops = [None if type(n) is int and n == -1 else s + n for s, n in zip(start, extents, strict=True)]
    return sized(Slice(tuple(start), tuple(stops), (1,) * x.ndim), x)


@public
def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Any:
    """The inputs with the block that begins at start_indices replaced by the updates. Source: https://keras.io/api/ops/core/

    Example:

        >>> from graphnet import ops
        >>> ops.slice_update([1, 2, 3, 4], [1], [7, 8])
        array([1, 7, 8, 4], dtype=int32)
    """
    x = to_tensor(inputs)
    return SliceUpdate()(x, _starts(start_indices), cast(updates, x.dtype))


@public
def multi_hot(inputs: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Any:
    """1 for each class that occurs in a row of class numbers, else 0. Shapes: (..., K) -> (..., num_classes).

    Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.multi_hot([[0, 2]], 4)
        array([[1., 0., 1., 0.]], dtype=float32)
    """
    x = cast(inputs, "int32")
    return r.max(one_hot(x, num_classes, axis, dtype, sparse), 1 if x.ndim > 1 else 0)


@functools.partial(public, class_name="IsIn")
def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Any:
    """Whether each element of x1 is among those of x2. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.isin([1, 2, 3], [3, 1])
        array([ True, False,  True])
    """
    a, b = promote(x1, x2)
    found = r.any(e.equal(expand_dims(a, -1), reshape(b, (-1,))), -1)
    return e.logical_not(found) if invert else found


@public
def unravel_index(indices: Any, shape: Sequence[Any]) -> tuple[Any, ...]:
    """Positions in the flat tensor as one position for each axis. Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.unravel_index([4], (3, 3))
        (array([1], dtype=int32), array([1], dtype=int32))
    """
    rest, out = to_tensor(indices), []
    for extent in reversed(list(shape)):
        out.append(e.mod(rest, extent))
        rest = e.floor_divide(rest, extent)
    return tuple(out[::-1])


__all__ = ["isin", "multi_hot", "scatter", "scatter_update", "segment_max", "segment_min", "segment_prod", "segment_sum",
           "slice", "slice_update",
           "unravel_index"]
