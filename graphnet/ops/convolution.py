"""Convolutions over 1 to 3 spatial axes, channels last; the public functions take channels first as well."""
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet import config
from graphnet.dims import Dim, product
from graphnet.errors import ShapeError
from graphnet.graph import Spec
from graphnet.op import Contraction, Op, Samples, public
from graphnet.ops.convert import bound, floating, promote, shape, shown
from graphnet.ops.geometry import Pads, blank, padded, pads_of, taps, unpadded, window_extent, windows
from graphnet.ops.geometry import same_pads as same_pads
from graphnet.ops.shape import Reshape, Transpose, flip


def _sample(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype("float32")


def geometry_of(op: Any) -> tuple[Any, ...]:
    """The attributes that a convolution shares with its gradients."""
    return op.strides, op.padding, op.dilation


class Grouped:
    """What convolutions and their gradients share: four fields, and how channels and columns fall into groups."""

    strides: tuple[int, ...]
    padding: Pads
    dilation: tuple[int, ...]
    groups: int

    @property
    def geometry(self) -> tuple[Any, ...]:
        """The attributes that a convolution shares with its gradients."""
        return (*geometry_of(self), self.groups)

    def parts(self, channels: int, columns: int) -> list[tuple[slice, slice]]:
        """Of each group its channels of x and its columns of the kernel."""
        a, b = channels // self.groups, columns // self.groups
        return [(slice(i * a, (i + 1) * a), slice(i * b, (i + 1) * b)) for i in range(self.groups)]


@dataclass(frozen=True)
class Conv(Grouped, Contraction):
    """y[n, s, o] = sum over k, c of x[n, s * stride + k * dilation - before, c] kernel[k, c, o].

    x (N, *S, C), kernel (*K, C / groups, O) -> (N, *S', O). padding: "same", "valid" or a (before, after) for each spatial axis.
    """

    strides: tuple[int, ...] = (1, 1)
    padding: Pads = "valid"
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1

    def infer(self, x: Spec, kernel: Spec) -> Spec:
        rank = len(self.strides)
        if len(x.shape) != rank + 2 or len(kernel.shape) != rank + 2:
            raise ShapeError(f"conv: expected operands with ndim={rank + 2}; received shapes {shown(x.shape)} and "
                             f"{shown(kernel.shape)}.")
        if not isinstance(x.shape[-1], Dim) and x.shape[-1] != kernel.shape[-2] * self.groups:
            raise ShapeError(f"conv: expected {kernel.shape[-2] * self.groups} channels on the last axis for a kernel of shape "
                             f"{shown(kernel.shape)} "
                             f"in {self.groups} group(s); received {x.shape[-1]} (shape {shown(x.shape)}). Is the data "
                             "channels_first?")
        sizes = kernel.shape[:rank]
        pads: Any = (self.padding,) * rank if isinstance(self.padding, str) else self.padding
        geometry = zip(x.shape[1:-1], sizes, self.strides, self.dilation, pads, strict=True)
        spatial = [window_extent(*v, "conv", i) for i, v in enumerate(geometry)]  # type: ignore[arg-type]
        return Spec((x.shape[0], *spatial, kernel.shape[-1]), x.dtype)

    def work(self, x: Spec, kernel: Spec) -> Any:
        return product(self.infer(x, kernel).shape) * product(kernel.shape[:-1])

    def reference(self, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        rank = len(self.strides)
        size = kernel.shape[:rank]
        x = padded(x, pads_of(self, x.shape[1:-1], size))
        view = windows(x, size, self.strides, self.dilation)  # (N, *out, C, *K)
        parts = []
        with np.errstate(all="ignore"):
            for xs, ks in zip(np.split(view, self.groups, axis=1 + rank), np.split(kernel, self.groups, axis=-1), strict=True):
                parts.append(np.tensordot(xs, ks, (range(rank + 1, 2 * rank + 2), (rank, *range(rank)))))
        return np.asarray(np.concatenate(parts, -1), x.dtype)

    def vjp(self, g: Any, y: Any, x: Any, kernel: Any) -> list[Any]:
        return [ConvGradInput(shape(x)[1:-1], *self.geometry)(g, kernel),
                ConvGradKernel(tuple(shape(kernel)[:-2]), *self.geometry)(x, g)]

    @classmethod
    def samples(cls) -> Samples:
        yield Conv(), [_sample(2, 9, 11, 3), _sample(3, 3, 3, 17)]
        yield Conv((2, 1), "same", (1, 1)), [_sample(2, 9, 10, 5), _sample(3, 2, 5, 4)]
        yield Conv((1, 1), "same", (2, 2), 2), [_sample(1, 8, 7, 4), _sample(3, 3, 2, 6)]
        yield Conv((2,), ((2, 0),), (1,)), [_sample(3, 13, 4), _sample(3, 4, 33)]
        yield Conv((1, 2, 1), "same", (1, 1, 1)), [_sample(2, 4, 5, 6, 3), _sample(2, 3, 2, 3, 5)]
        yield Conv((2, 1), ((1, -2), (0, 2)), (1, 1)), [_sample(2, 7, 4, 3), _sample(2, 3, 3, 5)]
        yield Conv(), [_sample(0, 5, 5, 3), _sample(3, 3, 3, 2)]


@dataclass(frozen=True)
class ConvGradInput(Grouped, Contraction):
    """The cotangent of a convolution's input (N, *spatial, C): g (N, *S', O), kernel (*K, C / groups, O).

    dx[n, s * stride + k * dilation - before, c] = sum over s, k, o of g[n, s, o] kernel[k, c, o].
    """

    spatial: tuple[Any, ...]
    strides: tuple[int, ...] = (1, 1)
    padding: Pads = "valid"
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1

    def bind(self, extents: Any) -> "ConvGradInput":
        return ConvGradInput(bound(self.spatial, extents), *self.geometry)

    def infer(self, g: Spec, kernel: Spec) -> Spec:
        return Spec((g.shape[0], *self.spatial, kernel.shape[-2] * self.groups), g.dtype)

    def reference(self, g: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        size, channels = kernel.shape[:-2], kernel.shape[-2] * self.groups
        pads = pads_of(self, self.spatial, size)
        wide = blank(len(g), self.spatial, pads, channels, g.dtype)
        with np.errstate(all="ignore"):
            for at, places in taps(self, size, g.shape[1:-1]):
                for some, columns in self.parts(channels, kernel.shape[-1]):
                    wide[(slice(None), *places, some)] += g[..., columns] @ kernel[at][:, columns].T
        return unpadded(wide, self.spatial, pads)

    def vjp(self, g: Any, y: Any, x: Any, kernel: Any) -> list[Any]:
        return [Conv(*self.geometry)(g, kernel), ConvGradKernel(tuple(shape(kernel)[:-2]), *self.geometry)(g, x)]

    @classmethod
    def samples(cls) -> Samples:
        for op, (x, kernel) in Conv.samples():
            g = _sample(*op.reference(x, kernel).shape)
            yield ConvGradInput(x.shape[1:-1], *op.geometry), [g, kernel]  # type: ignore[attr-defined]


@dataclass(frozen=True)
class ConvGradKernel(Grouped, Op):
    """The cotangent of a convolution's kernel (*size, C / groups, O): x (N, *S, C), g (N, *S', O).

    dkernel[k, c, o] = sum over n, s of x[n, s * stride + k * dilation - before, c] g[n, s, o].
    """

    size: tuple[int, ...]
    strides: tuple[int, ...] = (1, 1)
    padding: Pads = "valid"
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1

    def infer(self, x: Spec, g: Spec) -> Spec:
        return Spec((*self.size, x.shape[-1] // self.groups, g.shape[-1]), x.dtype)  # type: ignore[operator]

    def reference(self, x: np.ndarray, g: np.ndarray) -> np.ndarray:
        axes = tuple(range(len(self.size) + 1))
        wide = padded(x, pads_of(self, x.shape[1:-1], self.size))
        out = np.zeros((*self.size, x.shape[-1] // self.groups, g.shape[-1]), x.dtype)
        with np.errstate(all="ignore"):
            for at, places in taps(self, self.size, g.shape[1:-1]):
                for some, columns in self.parts(x.shape[-1], g.shape[-1]):
                    out[at][:, columns] = np.tensordot(wide[(slice(None), *places, some)], g[..., columns], (axes, axes))
        return out

    def vjp(self, g: Any, y: Any, x: Any, outer: Any) -> list[Any]:
        return [ConvGradInput(shape(x)[1:-1], *self.geometry)(outer, g), Conv(*self.geometry)(x, g)]

    @classmethod
    def samples(cls) -> Samples:
        for op, (x, kernel) in Conv.samples():
            g = _sample(*op.reference(x, kernel).shape)
            yield ConvGradKernel(kernel.shape[:-2], *op.geometry), [x, g]  # type: ignore[attr-defined]


@dataclass(frozen=True)
class DepthwiseConv(Contraction):
    """A convolution of each channel by itself: x (N, *S, C), kernel (*K, C, M) -> (N, *S', C * M)."""

    strides: tuple[int, ...] = (1, 1)
    padding: Pads = "valid"
    dilation: tuple[int, ...] = (1, 1)

    def infer(self, x: Spec, kernel: Spec) -> Spec:
        *size, channels, multiplier = kernel.shape
        merged = Spec((*size, 1, channels * multiplier), kernel.dtype)
        return Conv(self.strides, self.padding, self.dilation, channels).infer(x, merged)  # type: ignore[arg-type]

    def work(self, x: Spec, kernel: Spec) -> Any:
        return product(self.infer(x, kernel).shape) * product(kernel.shape[:-2])

    def reference(self, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        rank = len(self.strides)
        x = padded(x, pads_of(self, x.shape[1:-1], kernel.shape[:rank]))
        view = windows(x, kernel.shape[:rank], self.strides, self.dilation)  # (N, *out, C, *K)
        letters = "xyz"[:rank]
        with np.errstate(all="ignore"):
            y = np.einsum(f"...c{letters},{letters}cm->...cm", view, kernel)
        return np.asarray(y.reshape(*y.shape[:-2], y.shape[-2] * y.shape[-1]), x.dtype)

    def vjp(self, g: Any, y: Any, x: Any, kernel: Any) -> list[Any]:
        geometry = geometry_of(self)
        return [DepthwiseConvGradInput(shape(x)[1:-1], *geometry)(g, kernel),
                DepthwiseConvGradKernel(tuple(shape(kernel)[:-2]), *geometry)(x, g)]

    @classmethod
    def samples(cls) -> Samples:
        yield DepthwiseConv(), [_sample(2, 9, 8, 17), _sample(3, 3, 17, 1)]
        yield DepthwiseConv((2, 2), "same"), [_sample(2, 9, 8, 5), _sample(3, 3, 5, 2)]
        yield DepthwiseConv((1,), "same", (2,)), [_sample(2, 9, 3), _sample(3, 3, 1)]


@dataclass(frozen=True)
class DepthwiseConvGradInput(Contraction):
    """The cotangent of a depthwise convolution's input (N, *spatial, C): g (N, *S', C * M), kernel (*K, C, M)."""

    spatial: tuple[Any, ...]
    strides: tuple[int, ...] = (1, 1)
    padding: Pads = "valid"
    dilation: tuple[int, ...] = (1, 1)

    def bind(self, extents: Any) -> "DepthwiseConvGradInput":
        return DepthwiseConvGradInput(bound(self.spatial, extents), *geometry_of(self))

    def infer(self, g: Spec, kernel: Spec) -> Spec:
        return Spec((g.shape[0], *self.spatial, kernel.shape[-2]), g.dtype)

    def reference(self, g: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        *size, channels, multiplier = kernel.shape
        pads = pads_of(self, self.spatial, size)
        wide, parted = blank(len(g), self.spatial, pads, channels, g.dtype), g.reshape(*g.shape[:-1], channels, multiplier)
        with np.errstate(all="ignore"):
            for at, places in taps(self, size, g.shape[1:-1]):
                wide[(slice(None), *places)] += (parted * kernel[at]).sum(-1)
        return unpadded(wide, self.spatial, pads)

    def vjp(self, g: Any, y: Any, x: Any, kernel: Any) -> list[Any]:
        geometry = geometry_of(self)
        return [DepthwiseConv(*geometry)(g, kernel), DepthwiseConvGradKernel(tuple(shape(kernel)[:-2]), *geometry)(g, x)]

    @classmethod
    def samples(cls) -> Samples:
        for op, (x, kernel) in DepthwiseConv.samples():
            g = _sample(*op.reference(x, kernel).shape)
            yield DepthwiseConvGradInput(x.shape[1:-1], *geometry_of(op)), [g, kernel]


@dataclass(frozen=True)
class DepthwiseConvGradKernel(Op):
    """The cotangent of a depthwise convolution's kernel (*size, C, M): x (N, *S, C), g (N, *S', C * M)."""

    size: tuple[int, ...]
    strides: tuple[int, ...] = (1, 1)
    padding: Pads = "valid"
    dilation: tuple[int, ...] = (1, 1)

    def infer(self, x: Spec, g: Spec) -> Spec:
        return Spec((*self.size, x.shape[-1], g.shape[-1] // x.shape[-1]), x.dtype)  # type: ignore[operator]

    def reference(self, x: np.ndarray, g: np.ndarray) -> np.ndarray:
        channels, multiplier = x.shape[-1], g.shape[-1] // x.shape[-1]
        wide = padded(x, pads_of(self, x.shape[1:-1], self.size))
        parted = g.reshape(*g.shape[:-1], channels, multiplier)
        out = np.zeros((*self.size, channels, multiplier), x.dtype)
        with np.errstate(all="ignore"):
            for at, places in taps(self, self.size, g.shape[1:-1]):
                out[at] = (wide[(slice(None), *places)][..., None] * parted).sum(tuple(range(len(self.size) + 1)))
        return out

    def vjp(self, g: Any, y: Any, x: Any, outer: Any) -> list[Any]:
        geometry = geometry_of(self)
        return [DepthwiseConvGradInput(shape(x)[1:-1], *geometry)(outer, g), DepthwiseConv(*geometry)(x, g)]

    @classmethod
    def samples(cls) -> Samples:
        for op, (x, kernel) in DepthwiseConv.samples():
            g = _sample(*op.reference(x, kernel).shape)
            yield DepthwiseConvGradKernel(kernel.shape[:-2], *geometry_of(op)), [x, g]


@dataclass(frozen=True)
class ConvTranspose(Contraction):
    """The transpose of `Conv`: x (N, *S, C), kernel (*K, O, C) -> (N, *S', O). Extents as Keras's Conv2DTranspose has them."""

    strides: tuple[int, ...] = (1, 1)
    padding: str = "valid"
    output_padding: tuple[int, ...] | None = None
    dilation: tuple[int, ...] = (1, 1)

    def geometry(self, axis: int, size: int) -> tuple[int, int]:
        """Of one spatial axis: zeros before and behind the input once its pixels lie `stride` apart; negative ones are cut off.

        The output's extent is then that of Keras: for "same" input * stride, or (input - 1) * stride + window % 2 +
        output_padding.
        """
        stride, out = self.strides[axis], None if self.output_padding is None else self.output_padding[axis]
        reach = (size - 1) * self.dilation[axis] + 1
        if self.padding == "valid":
            return reach - 1, reach - 1 + (max(0, stride - reach) if out is None else out)
        total = reach - 2 + (stride if out is None else reach % 2 + out)
        before = min(-(-total // 2), reach - 1)
        return before, total - before

    def infer(self, x: Spec, kernel: Spec) -> Spec:
        rank = len(self.strides)
        if len(x.shape) != rank + 2:
            raise ShapeError(f"conv_transpose: expected an input with ndim={rank + 2}; received shape {shown(x.shape)}.")
        if not isinstance(x.shape[-1], Dim) and x.shape[-1] != kernel.shape[-1]:
            raise ShapeError(f"conv_transpose: expected {kernel.shape[-1]} channels on the last axis; received {x.shape[-1]} "
                             f"(shape {shown(x.shape)}).")
        spatial = []
        for i, extent in enumerate(x.shape[1:-1]):
            before, after = self.geometry(i, kernel.shape[i])  # type: ignore[arg-type]
            reach = (kernel.shape[i] - 1) * self.dilation[i] + 1
            spatial.append((extent - 1) * self.strides[i] + 1 + before + after - reach + 1)
        return Spec((x.shape[0], *spatial, kernel.shape[-2]), x.dtype)

    def work(self, x: Spec, kernel: Spec) -> Any:
        return product(x.shape[:-1]) * product(kernel.shape)

    def reference(self, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        rank = len(self.strides)
        spread = np.zeros((x.shape[0], *((s - 1) * t + 1 if s else 0 for s, t in zip(x.shape[1:-1], self.strides, strict=True)),
                           x.shape[-1]), x.dtype)
        spread[(slice(None), *(slice(None, None, t) for t in self.strides))] = x
        pads = [self.geometry(i, kernel.shape[i]) for i in range(rank)]
        crops = tuple(slice(max(0, -a), (None if b >= 0 else b)) for a, b in pads)
        spread = np.pad(spread[(slice(None), *crops)], ((0, 0), *((max(0, a), max(0, b)) for a, b in pads), (0, 0)))
        flipped = np.swapaxes(np.flip(kernel, tuple(range(rank))), -1, -2)
        return Conv((1,) * rank, "valid", self.dilation).reference(spread, flipped)

    def pads(self, size: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """The padding of the convolution, from this op's output to its input, whose transpose it is."""
        pads = []
        for axis, (n, dilation) in enumerate(zip(size, self.dilation, strict=True)):
            before, after = self.geometry(axis, n)
            pads.append(((n - 1) * dilation - before, (n - 1) * dilation - after))
        return tuple(pads)

    def vjp(self, g: Any, y: Any, x: Any, kernel: Any) -> list[Any]:
        size: Any = shape(kernel)[:-2]
        geometry = self.strides, self.pads(size), self.dilation
        return [Conv(*geometry)(g, kernel), ConvGradKernel(size, *geometry)(g, x)]

    @classmethod
    def samples(cls) -> Samples:
        for stride, padding in itertools.product((1, 2, 3), ("valid", "same")):
            yield ConvTranspose((stride, stride), padding), [_sample(2, 4, 5, 3), _sample(3, 2, 7, 3)]
        yield ConvTranspose((2,), "same", (1,), (1,)), [_sample(2, 4, 3), _sample(3, 7, 3)]


# ---- public functions

def _listed(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def channels_last(function: Any, x: Any, data_format: str | None) -> Any:
    """function(x) for channels_last data; channels_first data is transposed there and back."""
    if config.standardize_data_format(data_format) == "channels_last":
        return function(x)
    there = (0, *range(2, x.ndim), 1)
    back = (0, x.ndim - 1, *range(1, x.ndim - 1))
    return Transpose(back)(function(Transpose(there)(x)))


@public
def conv(inputs: Any, kernel: Any, strides: Any = 1, padding: Any = "valid", data_format: str | None = None,
         dilation_rate: Any = 1) -> Any:
    """Convolution. inputs (N, *S, C), kernel (*K, C / groups, O); groups follow from the channels. Source:
    https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.conv(ops.ones((1, 4, 1)), ops.ones((2, 1, 1)))[0, :, 0]
        array([2., 2., 2.], dtype=float32)
    """
    x, k = promote(inputs, kernel)
    rank = x.ndim - 2
    channels = x.shape[1] if config.standardize_data_format(data_format) == "channels_first" else x.shape[-1]
    groups = channels // k.shape[-2] if channels and k.shape[-2] and channels % k.shape[-2] == 0 else 1
    op = Conv(_listed(strides, rank), padding, _listed(dilation_rate, rank), groups)
    return channels_last(lambda v: op(v, k), x, data_format)


@public
def depthwise_conv(inputs: Any, kernel: Any, strides: Any = 1, padding: Any = "valid", data_format: str | None = None,
                   dilation_rate: Any = 1) -> Any:
    """Convolution of each channel by itself. inputs (N, *S, C), kernel (*K, C, M) -> (N, *S', C * M).

    Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.depthwise_conv(ops.ones((1, 4, 1)), ops.ones((2, 1, 1)))[0, :, 0]
        array([2., 2., 2.], dtype=float32)
    """
    x, k = promote(inputs, kernel)
    rank = x.ndim - 2
    op = DepthwiseConv(_listed(strides, rank), padding, _listed(dilation_rate, rank))
    return channels_last(lambda v: op(v, k), x, data_format)


@public
def separable_conv(inputs: Any, depthwise_kernel: Any, pointwise_kernel: Any, strides: Any = 1, padding: Any = "valid",
                   data_format: str | None = None, dilation_rate: Any = 1) -> Any:
    """A depthwise convolution, then one of size 1 over the channels. Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.separable_conv(ops.ones((1, 4, 1)), ops.ones((2, 1, 1)), ops.ones((1, 1, 1)))[0, :, 0]
        array([2., 2., 2.], dtype=float32)
    """
    x = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(x, pointwise_kernel, 1, "valid", data_format, 1)


@public
def conv_transpose(inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", output_padding: Any = None,
                   data_format: str | None = None, dilation_rate: Any = 1) -> Any:
    """The transpose of a convolution. inputs (N, *S, C), kernel (*K, O, C) -> (N, *S', O). Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.conv_transpose(ops.ones((1, 2, 1)), ops.ones((2, 1, 1)), 2)[0, :, 0]
        array([1., 1., 1., 1.], dtype=float32)
    """
    x, k = promote(inputs, kernel)
    rank = x.ndim - 2
    op = ConvTranspose(_listed(strides, rank), padding, None if output_padding is None else _listed(output_padding, rank),
                       _listed(dilation_rate, rank))
    return channels_last(lambda v: op(v, k), x, data_format)


@public
def correlate(x1: Any, x2: Any, mode: str = "valid") -> Any:
    """sum over k of x1[n + k] x2[k], of two rows: where one lies within the other ("valid"), wherever they meet ("full"), or
    "same".

    "same" gives as many as the longer row has.

    Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.correlate([1.0, 2.0, 3.0], [0.0, 1.0])
        array([2., 3.], dtype=float32)
    """
    a, b = promote(floating(x1), floating(x2))
    if a.ndim != 1 or b.ndim != 1:
        raise ShapeError(f"correlate expects two rows; received shapes {shown(shape(a))} and {shown(shape(b))}.")
    if mode not in ("valid", "full", "same"):
        raise ValueError(f"correlate expects mode 'valid', 'full' or 'same'; received mode={mode!r}.")
    n, m = shape(a)[0], shape(b)[0]
    if isinstance(n, Dim) or isinstance(m, Dim):
        raise ShapeError(f"correlate expects rows of known extents; received shapes {shown(shape(a))} and {shown(shape(b))}.")
    if n < m:  # the shorter row is the one that moves; the result then runs backwards
        return flip(correlate(b, a, mode))
    before, after = {"valid": (0, 0), "full": (m - 1, m - 1), "same": (m // 2, m - 1 - m // 2)}[mode]
    y = Conv((1,), ((before, after),), (1,))(Reshape((1, n, 1))(a), Reshape((m, 1, 1))(b))
    return Reshape((-1,))(y)


__all__ = ["conv", "conv_transpose", "correlate", "depthwise_conv", "separable_conv"]
