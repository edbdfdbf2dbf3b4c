"""Pooling over windows of 1 to 3 spatial axes, channels last; the public functions take channels first as well."""
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet import dtypes
from graphnet.errors import ShapeError
from graphnet.graph import Spec
from graphnet.op import Op, Samples, public
from graphnet.ops.convert import bound, shape, shown, to_tensor
from graphnet.ops.convolution import _listed, channels_last
from graphnet.ops.geometry import blank, padded, same_pads, taps, unpadded, window_extent, windows


class Pooling(Op):
    """x (N, *S, C) -> (N, *S', C); "same" padding holds no elements."""

    size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str

    @property
    def dilation(self) -> tuple[int, ...]:
        return (1,) * len(self.size)

    def infer(self, x: Spec) -> Spec:
        rank = len(self.size)
        if len(x.shape) != rank + 2:
            raise ShapeError(f"{self.name}: expected an input with ndim={rank + 2}; received shape {shown(x.shape)}.")
        spatial = [window_extent(s, k, t, 1, self.padding, self.name, i)
                   for i, (s, k, t) in enumerate(zip(x.shape[1:-1], self.size, self.strides, strict=True))]
        return Spec((x.shape[0], *spatial, x.shape[-1]), self.result_dtype(x.dtype))

    def by_rows(self, *specs: Any) -> bool:
        return True

    def result_dtype(self, dtype: str) -> str:
        return dtype

    def pads(self, spatial: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
        if self.padding == "valid":
            return ((0, 0),) * len(spatial)
        return tuple([same_pads(s, k, t, 1) for s, k, t in zip(spatial, self.size, self.strides, strict=True)])

    def view(self, x: np.ndarray, fill: Any) -> np.ndarray:
        return windows(padded(x, self.pads(x.shape[1:-1]), fill), self.size, self.strides, self.dilation)

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        for size, strides, padding, extents in (
                ((3, 3), (3, 3), "valid", (2, 10, 9, 17)), ((2, 3), (1, 2), "same", (2, 7, 8, 5)),
                ((2,), (2,), "same", (3, 7, 4)), ((2, 2, 2), (2, 1, 2), "valid", (1, 5, 4, 6, 3))):
            yield cls(size, strides, padding), [rng.standard_normal(extents).astype("float32")]  # type: ignore[call-arg]


@dataclass(frozen=True)
class MaxPool(Pooling):
    """The largest element of each window; NaN where there is one."""

    size: tuple[int, ...] = (2, 2)
    strides: tuple[int, ...] = (2, 2)
    padding: str = "valid"

    def reference(self, x: np.ndarray) -> np.ndarray:
        low = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        return self.view(x, low).max(tuple(range(-len(self.size), 0)))

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        return [MaxPoolGrad(self.size, self.strides, self.padding)(x, y, g)]


class Chosen(Op):
    """What goes between windows and the element that was the largest: the first one of equals, as in XLA and TensorFlow."""

    size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str

    @property
    def pool(self) -> MaxPool:
        """Whose windows they are."""
        return MaxPool(self.size, self.strides, self.padding)

    def hits(self, x: np.ndarray, y: np.ndarray) -> Iterator[tuple[Any, np.ndarray]]:
        """For each element of a window: its places in padded x, and in which windows it is the one."""
        pool, pads = self.pool, self.pool.pads(x.shape[1:-1])
        inside, x = padded(np.ones((1, *x.shape[1:-1], 1), bool), pads, False), padded(x, pads)
        free = np.ones(y.shape, bool)
        for _, places in taps(pool, self.size, y.shape[1:-1]):
            at = (slice(None), *places)
            hit = free & inside[at] & ((x[at] == y) | ((x[at] != x[at]) & (y != y)))
            free &= ~hit
            yield at, hit

    @classmethod
    def cases(cls) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
        """Pools, inputs and their outputs, for samples; overlapping windows and equal elements included."""
        ties = MaxPool((3, 3), (2, 2), "same"), [np.ones((2, 6, 5, 3), "float32")]
        for op, (x,) in itertools.chain(MaxPool.samples(), [ties]):
            yield op, x, op.reference(x)


@dataclass(frozen=True)
class MaxPoolGrad(Chosen):
    """The cotangent of a maximum's input, of x, y and g: each window's g goes to the first of its largest elements."""

    size: tuple[int, ...] = (2, 2)
    strides: tuple[int, ...] = (2, 2)
    padding: str = "valid"

    def infer(self, x: Spec, y: Spec, g: Spec) -> Spec:
        return Spec(x.shape, g.dtype)

    def reference(self, x: np.ndarray, y: np.ndarray, g: np.ndarray) -> np.ndarray:
        spatial = x.shape[1:-1]
        pads = self.pool.pads(spatial)
        wide = blank(len(x), spatial, pads, x.shape[-1], g.dtype)
        for at, hit in self.hits(x, y):
            wide[at] += np.where(hit, g, 0)
        return unpadded(wide, spatial, pads)

    def vjp(self, g: Any, y: Any, x: Any, pooled: Any, outer: Any) -> list[Any]:
        return [None, None, MaxPoolTake(self.size, self.strides, self.padding)(x, pooled, g)]

    @classmethod
    def samples(cls) -> Samples:
        for op, x, y in cls.cases():
            v = np.cos(1 + np.arange(y.size, dtype="float32")).reshape(y.shape)
            yield MaxPoolGrad(op.size, op.strides, op.padding), [x, y, v]


@dataclass(frozen=True)
class MaxPoolTake(Chosen):
    """The transpose of `MaxPoolGrad`: of v, shaped as x, the element of each window where x has the first of its largest."""

    size: tuple[int, ...] = (2, 2)
    strides: tuple[int, ...] = (2, 2)
    padding: str = "valid"

    def infer(self, x: Spec, y: Spec, v: Spec) -> Spec:
        return Spec(y.shape, v.dtype)

    def reference(self, x: np.ndarray, y: np.ndarray, v: np.ndarray) -> np.ndarray:
        wide = padded(v, self.pool.pads(x.shape[1:-1]))
        out = np.zeros(y.shape, v.dtype)
        for at, hit in self.hits(x, y):
            out[hit] = wide[at][hit]
        return out

    def vjp(self, g: Any, y: Any, x: Any, pooled: Any, v: Any) -> list[Any]:
        return [None, None, MaxPoolGrad(self.size, self.strides, self.padding)(x, pooled, g)]

    @classmethod
    def samples(cls) -> Samples:
        for op, x, y in cls.cases():
            v = np.cos(1 + np.arange(x.size, dtype="float32")).reshape(x.shape)
            yield MaxPoolTake(op.size, op.strides, op.padding), [x, y, v]


@dataclass(frozen=True)
class AveragePool(Pooling):
    """The mean of each window, over the elements that are there."""

    size: tuple[int, ...] = (2, 2)
    strides: tuple[int, ...] = (2, 2)
    padding: str = "valid"

    def result_dtype(self, dtype: str) -> str:
        return dtype if dtype in dtypes.FLOATS else dtypes.floatx()

    def reference(self, x: np.ndarray) -> np.ndarray:
        axes = tuple(range(-len(self.size), 0))
        dtype = self.result_dtype(x.dtype.name)
        count = self.view(np.ones((1, *x.shape[1:-1], 1), dtype), 0).sum(axes)
        return np.asarray(self.view(x, 0).sum(axes, dtype=dtype) / count, dtype)

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        return [AveragePoolGrad(shape(x)[1:-1], self.size, self.strides, self.padding)(g)]


@dataclass(frozen=True)
class AveragePoolGrad(Op):
    """The cotangent of a mean's input (N, *spatial, C): each window's g in equal parts to the elements that are there."""

    spatial: tuple[Any, ...]
    size: tuple[int, ...] = (2, 2)
    strides: tuple[int, ...] = (2, 2)
    padding: str = "valid"

    @property
    def pool(self) -> AveragePool:
        """Whose gradient it is."""
        return AveragePool(self.size, self.strides, self.padding)

    def bind(self, extents: Any) -> "AveragePoolGrad":
        return AveragePoolGrad(bound(self.spatial, extents), self.size, self.strides, self.padding)

    def infer(self, g: Spec) -> Spec:
        return Spec((g.shape[0], *self.spatial, g.shape[-1]), g.dtype)

    def reference(self, g: np.ndarray) -> np.ndarray:
        pool = self.pool
        pads = pool.pads(self.spatial)
        count = pool.view(np.ones((1, *self.spatial, 1), g.dtype), 0).sum(tuple(range(-len(self.size), 0)))
        wide, part = blank(len(g), self.spatial, pads, g.shape[-1], g.dtype), g / count
        for _, places in taps(pool, self.size, g.shape[1:-1]):
            wide[(slice(None), *places)] += part
        return unpadded(wide, self.spatial, pads)

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        return [self.pool(g)]

    @classmethod
    def samples(cls) -> Samples:
        for op, (x,) in AveragePool.samples():
            spatial, (size, strides, padding) = x.shape[1:-1], (op.size, op.strides, op.padding)  # type: ignore[attr-defined]
            yield AveragePoolGrad(spatial, size, strides, padding), [op.reference(x)]


@public
def max_pool(inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None) -> Any:
    """The largest element of each window of the spatial axes. Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.max_pool([[[1.0], [3.0], [2.0], [5.0]]], 2)[0, :, 0]
        array([3., 5.], dtype=float32)
    """
    x = to_tensor(inputs)
    size = _listed(pool_size, x.ndim - 2)
    return channels_last(MaxPool(size, size if strides is None else _listed(strides, x.ndim - 2), padding), x, data_format)


@public
def average_pool(inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None) -> Any:
    """The mean of each window of the spatial axes, padding left out. Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.average_pool([[[1.0], [3.0], [2.0], [4.0]]], 2)[0, :, 0]
        array([2., 3.], dtype=float32)
    """
    x = to_tensor(inputs)
    size = _listed(pool_size, x.ndim - 2)
    return channels_last(AveragePool(size, size if strides is None else _listed(strides, x.ndim - 2), padding), x, data_format)


__all__ = ["average_pool", "max_pool"]
