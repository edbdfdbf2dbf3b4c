"""Pooling over windows of 1 to 3 spatial axes, channels last; the public functions take channels first as well."""
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet import dtypes
from graphnet.errors import ShapeError
from graphnet.graph import Spec
from graphnet.op import Op, Samples, public
from graphnet.ops.convert import shown, to_tensor
from graphnet.ops.convolution import _listed, channels_last, same_pads, window_extent, windows


class Pooling(Op):
    """x (N, *S, C) -> (N, *S', C); "same" padding holds no elements."""

    size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str

    def infer(self, x: Spec) -> Spec:
        rank = len(self.size)
        if len(x.shape) != rank + 2:
            raise ShapeError(f"{self.name}: expected an input with ndim={rank + 2}; received shape {shown(x.shape)}.")
        spatial = [window_extent(s, k, t, 1, self.padding, self.name, i)
                   for i, (s, k, t) in enumerate(zip(x.shape[1:-1], self.size, self.strides, strict=True))]
        return Spec((x.shape[0], *spatial, x.shape[-1]), self.result_dtype(x.dtype))

    def result_dtype(self, dtype: str) -> str:
        return dtype

    def pads(self, spatial: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
        if self.padding == "valid":
            return ((0, 0),) * len(spatial)
        return tuple([same_pads(s, k, t, 1) for s, k, t in zip(spatial, self.size, self.strides, strict=True)])

    def view(self, x: np.ndarray, fill: Any) -> np.ndarray:
        padded = np.pad(x, ((0, 0), *self.pads(x.shape[1:-1]), (0, 0)), constant_values=fill)
        return windows(padded, self.size, self.strides, (1,) * len(self.size))

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        for size, strides, padding, shape in (((3, 3), (3, 3), "valid", (2, 10, 9, 17)), ((2, 3), (1, 2), "same", (2, 7, 8, 5)),
                                              ((2,), (2,), "same", (3, 7, 4)), ((2, 2, 2), (2, 1, 2), "valid", (1, 5, 4, 6, 3))):
            yield cls(size, strides, padding), [rng.standard_normal(shape).astype("float32")]  # type: ignore[call-arg]


@dataclass(frozen=True)
class MaxPool(Pooling):
    """The largest element of each window; NaN where there is one."""

    size: tuple[int, ...] = (2, 2)
    strides: tuple[int, ...] = (2, 2)
    padding: str = "valid"

    def reference(self, x: np.ndarray) -> np.ndarray:
        low = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        return self.view(x, low).max(tuple(range(-len(self.size), 0)))


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
