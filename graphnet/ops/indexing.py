"""Gathering by indices from data. An index out of range is an error that names the layer and the position."""
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from graphnet import dtypes
from graphnet.dims import Dim
from graphnet.errors import DTypeError, OutOfRangeError, ShapeError
from graphnet.graph import Spec, Tensor
from graphnet.op import Op, Samples, broadcast, public
from graphnet.ops.convert import bound, cast, normalize_axis, shape, shown, to_tensor
from graphnet.ops.shape import Reshape, Slice, broadcast_to, reshape


def out_of_range(who: str, index: Any, extent: int, position: Any) -> OutOfRangeError:
    """The one text for an index that is not in its table."""
    return OutOfRangeError(f"{who}: expected indices between 0 and {extent - 1} (a table of {extent} rows); received {index} at "
                           f"position {position}. "
                           "Enlarge the table (input_dim) or map unknown values into its range.")


def check_indices(who: str, indices: np.ndarray, extent: int) -> None:
    """Raises where an index is not in -extent..extent-1."""
    bad = (indices >= extent) | (indices < -extent)
    if bad.any():
        position = tuple(int(i) for i in np.argwhere(bad)[0])
        raise out_of_range(who, int(indices[position]), extent, position)


@dataclass(frozen=True)
class Take(Op):
    """Slices of x along an axis, at integer indices: x (..., E, ...), indices (*I) -> (..., *I, ...)."""

    axis: int = 0
    checked: ClassVar[bool] = True

    def infer(self, x: Spec, indices: Spec) -> Spec:
        if indices.dtype not in dtypes.INTS:
            raise DTypeError(f"take expects integer indices; received dtype {indices.dtype}.")
        return Spec((*x.shape[:self.axis], *indices.shape, *x.shape[self.axis + 1:]), x.dtype)

    def reference(self, x: np.ndarray, indices: np.ndarray) -> np.ndarray:
        check_indices("take", indices, x.shape[self.axis])
        return np.take(x, indices, self.axis)

    def vjp(self, g: Any, y: Any, x: Any, indices: Any) -> list[Any]:
        return [TakeGrad(shape(x)[self.axis], self.axis)(g, indices), None]

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((7, 5, 17)).astype("float32")
        for axis in range(3):
            yield Take(axis), [x, rng.integers(0, x.shape[axis], (3, 2)).astype("int32")]
        yield Take(0), [x, np.zeros((0, 4), "int64")]


@dataclass(frozen=True)
class TakeGrad(Op):
    """Slices added into zeros at integer indices of an axis, in the order of the indices: (..., *I, ...), (*I) -> (..., extent, ...).

    The gradient of an embedding.
    """

    extent: Any = 1
    axis: int = 0
    checked: ClassVar[bool] = True

    def infer(self, g: Spec, indices: Spec) -> Spec:
        after = self.axis + len(indices.shape)
        fits = all(type(a) is not type(b) or a == b for a, b in zip(g.shape[self.axis:after], indices.shape, strict=False))
        if len(g.shape) < after or not fits:
            raise ShapeError(f"take_grad expects slices for indices of shape {shown(indices.shape)} from axis {self.axis} on; received "
                             f"shape {shown(g.shape)}.")
        return Spec((*g.shape[:self.axis], self.extent, *g.shape[after:]), g.dtype)

    def bind(self, extents: Any) -> "TakeGrad":
        return TakeGrad(bound(self.extent, extents), self.axis)

    def reference(self, g: np.ndarray, indices: np.ndarray) -> np.ndarray:
        check_indices("take", indices, self.extent)
        out = np.zeros((*g.shape[:self.axis], self.extent, *g.shape[self.axis + indices.ndim:]), g.dtype)
        places: Any = (slice(None),) * self.axis + (indices,)
        np.add.at(out, places, g)
        return out

    def vjp(self, g: Any, y: Any, x: Any, indices: Any) -> list[Any]:
        return [Take(self.axis)(g, indices), None]

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        for axis in range(3):
            shape = [7, 5, 17]
            shape[axis:axis + 1] = [3, 2]
            yield TakeGrad(4, axis), [rng.standard_normal(shape).astype("float32"), rng.integers(-4, 4, (3, 2)).astype("int32")]
        yield TakeGrad(6, 0), [rng.standard_normal((40, 17)).astype("float32"), rng.integers(0, 6, 40)]
        yield TakeGrad(3, 0), [np.zeros((0, 5), "float32"), np.zeros(0, "int32")]


@dataclass(frozen=True)
class TakeAlongAxis(Op):
    """x at indices along an axis, the other axes in step."""

    axis: int = 0
    checked: ClassVar[bool] = True

    def infer(self, x: Spec, indices: Spec) -> Spec:
        return Spec(indices.shape, x.dtype)

    def reference(self, x: np.ndarray, indices: np.ndarray) -> np.ndarray:
        check_indices("take_along_axis", indices, x.shape[self.axis])
        return np.take_along_axis(x, indices, self.axis)

    def vjp(self, g: Any, y: Any, x: Any, indices: Any) -> list[Any]:
        return [TakeAlongAxisGrad(shape(x)[self.axis], self.axis)(g, indices), None]

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        yield TakeAlongAxis(1), [rng.standard_normal((3, 5)).astype("float32"), rng.integers(0, 5, (3, 2)).astype("int32")]


@dataclass(frozen=True)
class TakeAlongAxisGrad(Op):
    """Elements added into zeros at indices of an axis, the other axes in step."""

    extent: Any = 1
    axis: int = 0
    checked: ClassVar[bool] = True

    def infer(self, g: Spec, indices: Spec) -> Spec:
        return Spec(tuple([self.extent if i == self.axis else s for i, s in enumerate(g.shape)]), g.dtype)

    def bind(self, extents: Any) -> "TakeAlongAxisGrad":
        return TakeAlongAxisGrad(bound(self.extent, extents), self.axis)

    def reference(self, g: np.ndarray, indices: np.ndarray) -> np.ndarray:
        check_indices("take_along_axis", indices, self.extent)
        places: list[Any] = list(np.indices(indices.shape, sparse=True))
        places[self.axis] = indices
        out = np.zeros(tuple([self.extent if i == self.axis else s for i, s in enumerate(g.shape)]), g.dtype)
        np.add.at(out, tuple(places), g)
        return out

    def vjp(self, g: Any, y: Any, x: Any, indices: Any) -> list[Any]:
        return [TakeAlongAxis(self.axis)(g, indices), None]

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        g = rng.standard_normal((3, 6, 5)).astype("float32")
        for axis in range(3):
            yield TakeAlongAxisGrad(4, axis), [g, rng.integers(-4, 4, g.shape).astype("int32")]


@dataclass(frozen=True)
class OneHot(Op):
    """1 at the index along a new axis, 0 elsewhere; an index out of range gives zeros, as in Keras."""

    num_classes: int = 1
    axis: int = -1
    dtype: str = "float32"

    def infer(self, x: Spec) -> Spec:
        at = self.axis % (len(x.shape) + 1)
        return Spec((*x.shape[:at], self.num_classes, *x.shape[at:]), self.dtype)

    def reference(self, x: np.ndarray) -> np.ndarray:
        at = self.axis % (x.ndim + 1)
        classes = np.arange(self.num_classes).reshape((-1,) + (1,) * (x.ndim - at))
        return (np.expand_dims(x, at) == classes).astype(self.dtype)

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        return [None]

    @classmethod
    def samples(cls) -> Samples:
        yield OneHot(5), [np.array([[0, 4], [2, 7]], "int32")]
        yield OneHot(3, 0), [np.array([0, 2, -1], "int32")]


@public
def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Slices of x along `axis` at integer indices, negative ones from the end; of the flat x for None. Raises OutOfRangeError.

    Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.take([5, 6, 7], [2, 0])
        array([7, 5], dtype=int32)
    """
    x, indices = to_tensor(x), to_tensor(indices)
    if str(indices.dtype) not in dtypes.INTS:
        indices = cast(indices, "int32")
    return Take(0)(reshape(x, (-1,)), indices) if axis is None else Take(normalize_axis(axis, x.ndim, "take"))(x, indices)


@public
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Any:
    """x at `indices` along `axis`, the other axes in step, where they broadcast; of the flat operands for None.

    Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.take_along_axis([[5, 6], [7, 8]], [[1], [0]], 1)
        array([[6],
               [7]], dtype=int32)
    """
    x, indices = to_tensor(x), to_tensor(indices)
    if axis is None:
        return TakeAlongAxis(0)(reshape(x, (-1,)), reshape(indices, (-1,)))
    axis = normalize_axis(axis, x.ndim, "take_along_axis")
    if x.ndim == indices.ndim:
        along, places = (tuple([1 if i == axis else s for i, s in enumerate(shape(t))]) for t in (x, indices))
        others = broadcast([along, places], "take_along_axis")
        x, indices = (_with_others(t, others, axis) for t in (x, indices))
    return TakeAlongAxis(axis)(x, indices)


def _with_others(x: Any, others: tuple[Any, ...], axis: int) -> Any:
    """x broadcast on all axes but one."""
    extents = tuple([s if i == axis else other for i, (s, other) in enumerate(zip(shape(x), others, strict=True))])
    return x if extents == shape(x) else broadcast_to(x, extents)


@public
def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Any:
    """1 at the index along a new axis, 0 elsewhere. Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.one_hot([0, 2], 3)
        array([[1., 0., 0.],
               [0., 0., 1.]], dtype=float32)
    """
    if sparse:
        raise ValueError("one_hot expects sparse=False: graphnet has no sparse tensors. Leave the argument out.")
    return OneHot(int(num_classes), axis, dtypes.standardize_dtype(dtype))(to_tensor(x))


def _basic_index(extents: tuple[Any, ...], keys: list[Any], full_key: Any) -> tuple[list[Any], list[Any], list[int], list[Any]]:
    starts: list[Any] = []
    stops: list[Any] = []
    steps: list[int] = []
    out: list[Any] = []
    axis = 0
    for key in keys:
        if key is None:
            out.append(1)
            continue
        if axis >= len(extents):
            raise ShapeError(f"An operand with ndim={len(extents)} (shape {shown(extents)}) has too few axes for the index "
                             f"{full_key!r}.")
        extent = extents[axis]
        if isinstance(key, slice):
            start, stop, step = (int(v) if isinstance(v, np.integer) else v for v in (key.start, key.stop, key.step))
            out.append("keep")
        else:
            if type(extent) is int and not isinstance(key, Dim) and not -extent <= key < extent:
                raise IndexError(f"Index {key} is out of range for axis {axis} of extent {extent} (shape {shown(extents)}).")
            start, stop, step = key, (key + 1 if isinstance(key, Dim) or key != -1 else None), 1
            out.append("drop")
        starts.append(start)
        stops.append(stop)
        steps.append(1 if step is None else step)
        axis += 1
    for _ in range(axis, len(extents)):
        starts.append(None)
        stops.append(None)
        steps.append(1)
        out.append("keep")
    return starts, stops, steps, out


@public
def get_item(x: Any, key: Any) -> Any:
    """x[key]: ints, slices, None and `...`; an array or tensor of indices on one axis gathers.

    Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.get_item([5, 6, 7], slice(1, None))
        array([6, 7], dtype=int32)
    """
    x = to_tensor(x)
    keys = list(key) if isinstance(key, tuple) else [key]
    for k in keys:
        if isinstance(k, Tensor) and k.dtype == "bool":
            raise DTypeError("Indexing by a boolean tensor gives a shape that depends on values, which a graph cannot have. "
                             "Use graphnet.ops.where(mask, x, 0).")
    if any(k is Ellipsis for k in keys):
        at = next(i for i, k in enumerate(keys) if k is Ellipsis)
        keys[at:at + 1] = [slice(None)] * (x.ndim - sum(k is not None and k is not Ellipsis for k in keys))
    gathered = [i for i, k in enumerate(keys) if isinstance(k, bool) or not (k is None or isinstance(k, (int, np.integer, slice, Dim)))]
    for i in gathered:
        if not isinstance(keys[i], Tensor) and np.asarray(keys[i]).dtype.kind not in "iu":
            raise DTypeError(f"Indexing takes whole numbers, slices, None, `...` and arrays of whole numbers; received {keys[i]!r}.")
    if gathered:
        if len(gathered) > 1 or any(k is None for k in keys):
            raise ShapeError(f"Indexing takes one array of indices; received {key!r}. Use graphnet.ops.take, one axis at a time.")
        axis = gathered[0]
        x = take(x, keys[axis], axis=axis)
        wide = np.ndim(keys[axis]) if not isinstance(keys[axis], Tensor) else keys[axis].ndim
        keys[axis:axis + 1] = [slice(None)] * wide
    starts, stops, steps, out = _basic_index(shape(x), [int(k) if isinstance(k, np.integer) else k for k in keys], key)
    sliced = Slice(tuple(starts), tuple(stops), tuple(steps))(x)
    if all(o == "keep" for o in out):
        return sliced
    rest = iter(shape(sliced))
    target = [1 if o == 1 else (next(rest), o)[0 if o == "keep" else 1] for o in out]
    return Reshape(tuple([s for s in target if not (isinstance(s, str) and s == "drop")]))(sliced)


__all__ = ["get_item", "one_hot", "take", "take_along_axis"]
