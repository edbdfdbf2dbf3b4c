"""Images sampled at other places: resizing and coordinates, each with its transpose, which is its gradient."""
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet.dims import Dim
from graphnet.errors import ShapeError
from graphnet.graph import Spec
from graphnet.op import Op, Samples
from graphnet.ops import elementwise as e
from graphnet.ops.convert import bound, shape, shown
from graphnet.ops.shape import concatenate, cut, stack


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1.0 - x)


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys' kernel with a = -1/2, https://doi.org/10.1109/TASSP.1981.1163711."""
    near = ((1.5 * x - 2.5) * x) * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x >= 2.0, 0.0, np.where(x >= 1.0, far, near))


def _lanczos(radius: float) -> Callable[[np.ndarray], np.ndarray]:
    def kernel(x: np.ndarray) -> np.ndarray:
        return np.where(x > radius, 0.0, np.sinc(x) * np.sinc(x / radius))
    return kernel


KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bilinear": _triangle, "bicubic": _cubic, "lanczos3": _lanczos(3.0), "lanczos5": _lanczos(5.0)}


def weights(before: int, after: int, interpolation: str, antialias: bool) -> np.ndarray:
    """The matrix (after, before) that resizes one axis: pixels' middles are sampled, kernels widen where they must not alias."""
    scale = before / after
    places = (np.arange(after) + 0.5) * scale
    if interpolation == "nearest":
        return (np.floor(places)[:, None] == np.arange(before)).astype(np.float64)
    widen = max(scale, 1.0) if antialias else 1.0
    raw = KERNELS[interpolation](np.abs(places[:, None] - 0.5 - np.arange(before)) / widen)
    return raw / np.sum(raw, 1, keepdims=True)


@dataclass(frozen=True)
class Resize(Op):
    """Images (..., H, W, C) brought to another height and width; pixels' middles are sampled, as half_pixel_centers has it."""

    size: tuple[Any, ...] = (1, 1)
    interpolation: str = "bilinear"
    antialias: bool = False

    def infer(self, x: Spec) -> Spec:
        if len(x.shape) < 3:
            raise ShapeError(f"resize expects images of shape (..., height, width, channels); received shape {shown(x.shape)}.")
        return Spec((*x.shape[:-3], *self.size, x.shape[-1]), x.dtype)

    def by_rows(self, *specs: Any) -> bool:
        return len(specs[0].shape) > 3

    def bind(self, extents: Any) -> "Resize":
        return Resize(bound(self.size, extents), self.interpolation, self.antialias)

    def reference(self, x: np.ndarray) -> np.ndarray:
        if self.interpolation == "nearest":
            pairs = zip(x.shape[-3:-1], self.size, strict=True)
            rows, columns = (np.floor((np.arange(b) + 0.5) * (a / b)).astype(np.int64) for a, b in pairs)
            return np.take(np.take(x, rows, -3), columns, -2)
        y, z = (weights(a, b, self.interpolation, self.antialias) for a, b in zip(x.shape[-3:-1], self.size, strict=True))
        out = np.einsum("...hwc,ih,jw->...ijc", x.astype(np.float64), y, z, optimize=True)
        if x.dtype.kind in "iu":
            info = np.iinfo(x.dtype)
            out = np.clip(np.rint(out), info.min, info.max)
        return out.astype(x.dtype)

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        return [ResizeGrad(shape(x)[-3:-1], self.interpolation, self.antialias)(g)]

    @classmethod
    def samples(cls) -> Samples:
        x = np.random.default_rng(0).standard_normal((2, 5, 7, 3)).astype("float32")
        for interpolation in ("nearest", *KERNELS):
            yield cls((8, 4), interpolation), [x]
        yield cls((3, 9), "bilinear", True), [x]
        yield cls((10, 14), "nearest"), [x[0]]
        yield cls((4, 4), "bilinear"), [x[:0]]


@dataclass(frozen=True)
class ResizeGrad(Op):
    """The transpose of `Resize`, as a map from images of its result's size to images of `size`, its operand's."""

    size: tuple[Any, ...] = (1, 1)
    interpolation: str = "bilinear"
    antialias: bool = False

    def infer(self, g: Spec) -> Spec:
        return Spec((*g.shape[:-3], *self.size, g.shape[-1]), g.dtype)

    def bind(self, extents: Any) -> "ResizeGrad":
        return ResizeGrad(bound(self.size, extents), self.interpolation, self.antialias)

    def reference(self, g: np.ndarray) -> np.ndarray:
        y, z = (weights(a, b, self.interpolation, self.antialias) for a, b in zip(self.size, g.shape[-3:-1], strict=True))
        return np.einsum("...ijc,ih,jw->...hwc", g.astype(np.float64), y, z, optimize=True).astype(g.dtype)

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        return [Resize(shape(x)[-3:-1], self.interpolation, self.antialias)(g)]

    @classmethod
    def samples(cls) -> Samples:
        g = np.random.default_rng(0).standard_normal((2, 4, 5, 3)).astype("float32")
        for interpolation in ("nearest", *KERNELS):
            yield cls((6, 3), interpolation), [g]
        yield cls((8, 2), "bilinear", True), [g[0]]


REFLECTIONS = ("constant", "nearest", "wrap", "mirror", "reflect")


class _Sampled(Op):
    """What elements lie around given coordinates, and how much each counts; fields ``order``, ``fill_mode``."""

    order: int
    fill_mode: str

    def _inside(self, at: np.ndarray, extent: int) -> np.ndarray:
        """Positions brought into the axis as the fill mode has it."""
        if self.fill_mode == "wrap":
            return at % extent
        if self.fill_mode == "reflect":
            at = at % (2 * extent)
            return np.where(at >= extent, 2 * extent - 1 - at, at)
        if self.fill_mode == "mirror":
            period = max(2 * (extent - 1), 1)
            at = at % period
            return np.where(at >= extent, period - at, at)
        return np.clip(at, 0, extent - 1)

    def neighbours(self, coordinates: np.ndarray, extents: Sequence[int]) -> Iterator[tuple[Any, Any, Any]]:
        """(places, which of them lie on the inputs (else they are to be filled), weights), for each corner around the coordinates."""
        parts = []  # of each axis: (positions, weights)
        for c in coordinates.astype(np.float64):
            if self.order == 0:
                parts.append([(np.floor(c + 0.5), np.ones_like(c))])
            else:
                low = np.floor(c)
                parts.append([(low, 1.0 - (c - low)), (low + 1.0, c - low)])
        for corner in np.ndindex(*[len(p) for p in parts]):
            at = [parts[i][k][0].astype(np.int64) for i, k in enumerate(corner)]
            known: Any = True
            if self.fill_mode == "constant":
                known = np.logical_and.reduce([(a >= 0) & (a < s) for a, s in zip(at, extents, strict=True)])
            weight = math.prod([parts[i][k][1] for i, k in enumerate(corner)], start=np.float64(1.0))
            yield tuple([self._inside(a, s) for a, s in zip(at, extents, strict=True)]), known, weight


@dataclass(frozen=True)
class MapCoordinates(_Sampled):
    """x at coordinates (ndim, *shape), order 0 (the nearest element) or 1 (linear between neighbours), filled beyond the
    borders.
    """

    order: int = 1
    fill_mode: str = "constant"
    fill_value: float = 0.0

    def infer(self, x: Spec, coordinates: Spec) -> Spec:
        if not isinstance(coordinates.shape[0], Dim) and coordinates.shape[0] != len(x.shape):
            raise ShapeError(f"map_coordinates expects {len(x.shape)} coordinates on the first axis for inputs of shape "
                             f"{shown(x.shape)}; "
                             f"received {coordinates.shape[0]}.")
        return Spec(coordinates.shape[1:], x.dtype)

    def reference(self, x: np.ndarray, coordinates: np.ndarray) -> np.ndarray:
        total: Any = np.zeros(coordinates.shape[1:])
        for places, known, weight in self.neighbours(coordinates, x.shape):
            total = total + np.where(known, x[places].astype(np.float64), self.fill_value) * weight
        return (np.rint(total) if x.dtype.kind in "iu" else total).astype(x.dtype)

    def vjp(self, g: Any, y: Any, x: Any, coordinates: Any) -> list[Any]:
        """To x what each corner weighs; to a coordinate the rise between the two elements on either side, along its axis."""
        back = MapCoordinatesGrad(shape(x), self.order, self.fill_mode)(g, coordinates)
        if self.order == 0:
            return [back, None]
        slopes = []
        for axis in range(len(shape(x))):
            rows = [cut(coordinates, 0, i, i + 1) for i in range(len(shape(x)))]
            low = e.floor(rows[axis])
            ends = [concatenate([*rows[:axis], at, *rows[axis + 1:]], 0) for at in (e.add(low, 1.0), low)]
            slopes.append(e.multiply(g, e.subtract(*[self(x, end) for end in ends])))
        return [back, stack(slopes, 0)]

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        for mode in REFLECTIONS:
            for order in (0, 1):
                places = rng.uniform(-6, 12, (2, 4, 3)).astype("float32")
                yield cls(order, mode), [rng.standard_normal((5, 6)).astype("float32"), places]


@dataclass(frozen=True)
class MapCoordinatesGrad(_Sampled):
    """The transpose of `MapCoordinates` in its inputs: g is added to the elements around its coordinates, in zeros of `extents`."""

    extents: tuple[Any, ...] = ()
    order: int = 1
    fill_mode: str = "constant"

    def infer(self, g: Spec, coordinates: Spec) -> Spec:
        return Spec(self.extents, g.dtype)

    def bind(self, extents: Any) -> "MapCoordinatesGrad":
        return MapCoordinatesGrad(bound(self.extents, extents), self.order, self.fill_mode)

    def reference(self, g: np.ndarray, coordinates: np.ndarray) -> np.ndarray:
        out = np.zeros(self.extents)
        for places, known, weight in self.neighbours(coordinates, self.extents):
            np.add.at(out, places, np.where(known, g * weight, 0.0))
        return out.astype(g.dtype)

    def vjp(self, g: Any, y: Any, x: Any, coordinates: Any) -> list[Any]:
        sampled = MapCoordinates(self.order, self.fill_mode)
        return [sampled(g, coordinates), sampled.vjp(x, None, g, coordinates)[1]]

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        for mode in REFLECTIONS:
            places = rng.uniform(-6, 12, (2, 4, 3)).astype("float32")
            yield cls((5, 6), 1, mode), [rng.standard_normal((4, 3)).astype("float32"), places]
