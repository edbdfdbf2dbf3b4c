"""Batch statistics: both moments in one pass, what is standardized by them, and the sums that the way back needs.

    Moments          x -> mean, variance            over the batch and the spatial axes, say
    Standardize      (x - middle) * factor + shift  one number for each channel
    CentredSums      g, x, middle -> sum(g), sum(g * (x - middle))

Source: Ioffe and Szegedy, Batch normalization (https://arxiv.org/abs/1502.03167), whose gradient these sums are.
"""
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from graphnet.dims import Dim
from graphnet.graph import Spec
from graphnet.op import Elementwise, Op, Samples, reduced
from graphnet.ops import elementwise as e
from graphnet.ops.convert import Extent, cast, shape, sized
from graphnet.ops.reduction import AXES, wider
from graphnet.ops.shape import BroadcastTo, reshape


def share(x: Any, axes: tuple[int, ...]) -> Any:
    """One divided by the number of elements of x over axes."""
    count: Any = math.prod(shape(x)[a] for a in axes)
    if not isinstance(count, Dim):
        return 1.0 / max(count, 1)
    return cast(e.divide(1.0, cast(sized(Extent(count)), wider(str(x.dtype)))), x.dtype)


def along(y: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """What was reduced over axes of x, so that it broadcasts against x."""
    return y if axes == tuple(range(len(axes))) or y.ndim == x.ndim else reshape(y, reduced(shape(x), axes, True))


class _Statistic(Op):
    """Several sums over axes at once; the subclass has fields ``axes`` (sorted, not negative) and ``keepdims``."""

    axes: tuple[int, ...]
    keepdims: bool

    def infer(self, *specs: Spec) -> tuple[Spec, ...]:
        return (Spec(reduced(specs[0].shape, self.axes, self.keepdims), specs[0].dtype),) * 2


@dataclass(frozen=True)
class Moments(_Statistic):
    """The mean of x over axes, and the mean of the squared differences from it."""

    axes: tuple[int, ...]
    keepdims: bool = False

    def reference(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        wide = x.astype(wider(x.dtype.name), copy=False)
        kept = reduced(x.shape, self.axes, self.keepdims)
        with np.errstate(all="ignore"):
            count = wide.dtype.type(math.prod(x.shape[a] for a in self.axes))
            mean = np.sum(wide, self.axes, keepdims=True) / count
            variance = np.sum(np.square(wide - mean), self.axes, keepdims=True) / count
            return mean.reshape(kept).astype(x.dtype), variance.reshape(kept).astype(x.dtype)

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        (dmean, dvariance), part = g, share(x, self.axes)
        given = None if dmean is None else along(e.multiply(dmean, part), x, self.axes)
        if dvariance is None:
            return [BroadcastTo(shape(x))(given)]
        twice = along(e.multiply(e.multiply(dvariance, part), 2.0), x, self.axes)
        slope = e.multiply(e.subtract(x, along(y[0], x, self.axes)), twice)
        return [slope if given is None else e.add(slope, given)]

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        for axes in AXES:
            for keepdims in (False, True):
                yield cls(axes, keepdims), [rng.standard_normal((3, 5, 17)).astype("float32")]
        yield cls((0, 1, 2)), [rng.standard_normal((4, 9, 10, 37)).astype("float32") + np.float32(9)]


@dataclass(frozen=True)
class CentredSums(_Statistic):
    """sum(g) and sum(g * (x - middle)) over axes; the middle broadcasts against x."""

    axes: tuple[int, ...]
    keepdims: bool = False

    def reference(self, g: np.ndarray, x: np.ndarray, middle: np.ndarray) -> tuple[np.ndarray, ...]:
        with np.errstate(all="ignore"):
            return (np.asarray(np.sum(g, self.axes, keepdims=self.keepdims)),
                    np.asarray(np.sum(g * (x - middle), self.axes, keepdims=self.keepdims)))

    def vjp(self, g: Any, y: Any, *xs: Any) -> list[Any]:
        (a, b), (grown, x, middle) = g, xs
        first = [] if a is None else [along(a, x, self.axes)]
        if b is None:
            return [BroadcastTo(shape(x))(first[0]), None, None]
        b = along(b, x, self.axes)
        dg = e.multiply(b, e.subtract(x, middle))
        return [e.add(dg, *first) if first else dg, e.multiply(b, grown), e.negative(e.multiply(b, grown))]

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        for extents, axes, keepdims, middle in (
                ((3, 5, 17), (0, 1), False, (17,)), ((3, 5, 17), (0, 2), True, (1, 5, 1)),
                ((4, 6, 7, 37), (0, 1, 2), False, (37,))):
            shapes = (extents, extents, middle)
            yield cls(axes, keepdims), [rng.standard_normal(s).astype("float32") for s in shapes]


@dataclass(frozen=True)
class Standardize(Elementwise):
    """(x - middle) * factor + shift, where the last three are of one shape that broadcasts to that of x."""

    formula: ClassVar[str] = "({0} - {1}) * {2} + {3}"
    arity: ClassVar[int] = 4

    def reference(self, x: np.ndarray, middle: np.ndarray, factor: np.ndarray, shift: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray((x - middle) * factor + shift)

    def vjp(self, g: Any, y: Any, *xs: Any) -> list[Any]:
        x, middle, factor, shift = xs
        lead = x.ndim - middle.ndim
        axes = tuple([i for i in range(x.ndim) if i < lead or (shape(middle)[i - lead] == 1 and shape(x)[i] != 1)])
        total, product = CentredSums(axes, True)(g, x, middle)
        wanted = shape(middle)
        total, product = reshape(total, wanted), reshape(product, wanted)
        return [e.multiply(g, factor), e.negative(e.multiply(total, factor)), product, total]

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        for extents, parameters in (((3, 5, 17), (17,)), ((3, 5, 17), (5, 1)), ((4, 7), (4, 7))):
            yield cls(), [rng.standard_normal(s).astype("float32") for s in (extents, *[parameters] * 3)]
