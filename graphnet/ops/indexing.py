"""Gathering by indices from data. An index out of range is an error that names the layer and the position."""
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from graphnet import dtypes
from graphnet.errors import DTypeError, OutOfRangeError
from graphnet.graph import Spec
from graphnet.op import Op, public
from graphnet.ops.elementwise import cast
from graphnet.ops.reduction import normalize_axis, to_tensor


def out_of_range(who: str, index: Any, extent: int, position: Any) -> OutOfRangeError:
    """The one text for an index that is not in its table."""
    return OutOfRangeError(f"{who}: expected indices between 0 and {extent - 1} (a table of {extent} rows); received {index} at position {position}. "
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

    def samples(self) -> Iterator[tuple[Op, list[np.ndarray]]]:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((7, 5, 17)).astype("float32")
        for axis in range(3):
            yield Take(axis), [x, rng.integers(0, x.shape[axis], (3, 2)).astype("int32")]
        yield Take(0), [x, np.zeros((0, 4), "int64")]


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

    def samples(self) -> Iterator[tuple[Op, list[np.ndarray]]]:
        rng = np.random.default_rng(0)
        yield TakeAlongAxis(1), [rng.standard_normal((3, 5)).astype("float32"), rng.integers(0, 5, (3, 2)).astype("int32")]


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

    def samples(self) -> Iterator[tuple[Op, list[np.ndarray]]]:
        yield OneHot(5), [np.array([[0, 4], [2, 7]], "int32")]
        yield OneHot(3, 0), [np.array([0, 2, -1], "int32")]


@public
def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Slices of x along `axis` at integer indices, negative ones from the end; of the flat x for None. Raises OutOfRangeError."""
    from graphnet.ops.shape import reshape
    x, indices = to_tensor(x), to_tensor(indices)
    if str(indices.dtype) not in dtypes.INTS:
        indices = cast(indices, "int32")
    return Take(0)(reshape(x, (-1,)), indices) if axis is None else Take(normalize_axis(axis, x.ndim, "take"))(x, indices)


@public
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Any:
    """x at `indices` along `axis`, the other axes in step; of the flat operands for None."""
    from graphnet.ops.shape import reshape
    x, indices = to_tensor(x), to_tensor(indices)
    if axis is None:
        return TakeAlongAxis(0)(reshape(x, (-1,)), reshape(indices, (-1,)))
    return TakeAlongAxis(normalize_axis(axis, x.ndim, "take_along_axis"))(x, indices)


@public
def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Any:
    """1 at the index along a new axis, 0 elsewhere."""
    if sparse:
        raise ValueError("one_hot expects sparse=False: graphnet has no sparse tensors. Leave the argument out.")
    return OneHot(int(num_classes), axis, dtypes.standardize_dtype(dtype))(to_tensor(x))


__all__ = ["one_hot", "take", "take_along_axis"]
