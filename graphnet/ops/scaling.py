"""What reduces along axes and scales by what it found, the shape kept: softmax, its logarithm, normalization."""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet.graph import Spec
from graphnet.op import Op, Samples, public
from graphnet.ops.convert import floating, normalize_axes, shape
from graphnet.ops.elementwise import add, exp, multiply, negative, rsqrt, square, subtract
from graphnet.ops.reduction import AlongAxis, Mean, Sum
from graphnet.ops.shape import reshape, transpose


@dataclass(frozen=True)
class Softmax(AlongAxis):
    """exp(x - max) / sum(exp(x - max)) along an axis."""

    axis: int = -1

    def by_rows(self, *specs: Any) -> bool:
        return self.axis % len(specs[0].shape) != 0

    def reference(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            e = np.exp(x - np.max(x, self.axis, keepdims=True, initial=-np.inf))
            return e / np.sum(e, self.axis, keepdims=True)

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        return [SoftmaxGrad(self.axis % x.ndim)(g, y)]


@dataclass(frozen=True)
class SoftmaxGrad(Op):
    """y (g - sum(g y)) along an axis: for g, the cotangent of a softmax y, that of its operand. Inputs g and y, of one shape."""

    axis: int = 0

    def infer(self, g: Spec, y: Spec) -> Spec:
        return y

    def reference(self, g: np.ndarray, y: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(y * (g - np.sum(g * y, self.axis, keepdims=True)))

    def vjp(self, g: Any, y: Any, *xs: Any) -> list[Any]:
        """It is linear in its g, by a symmetric matrix."""
        (given, scores), total = xs, Sum((self.axis,), True)
        to_scores = subtract(multiply(g, subtract(given, total(multiply(given, scores)))),
                             multiply(given, total(multiply(g, scores))))
        return [self(g, scores), to_scores]

    @classmethod
    def samples(cls) -> Samples:
        for op, (x,) in Softmax.samples():
            yield cls(op.axis), [np.cos(x), op.reference(x)]  # type: ignore[attr-defined]


@dataclass(frozen=True)
class LogSoftmax(AlongAxis):
    """x - max - log(sum(exp(x - max))) along an axis."""

    axis: int = -1

    def reference(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            z = x - np.max(x, self.axis, keepdims=True, initial=-np.inf)
            return z - np.log(np.sum(np.exp(z), self.axis, keepdims=True))

    def vjp(self, g: Any, y: Any, x: Any) -> list[Any]:
        return [subtract(g, multiply(exp(y), Sum((self.axis % y.ndim,), True)(g)))]


@dataclass(frozen=True)
class Normalize(Op):
    """(x - mean) / sqrt(variance + epsilon) over axes, the heart of layer normalization; times a scale and plus a shift if given.

    Inputs: x, or x, scale and shift, which have a value for each of x's last axis.
    """

    axes: tuple[int, ...] = (-1,)
    epsilon: float = 1e-3

    def infer(self, x: Spec, *along: Spec) -> Spec:
        return x

    def by_rows(self, *specs: Any) -> bool:
        return 0 not in [axis % len(specs[0].shape) for axis in self.axes]

    def reference(self, x: np.ndarray, *along: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            centred = x - np.mean(x, self.axes, keepdims=True)
            variance = np.mean(np.square(centred), self.axes, keepdims=True)
            y = np.asarray(centred / np.sqrt(variance + x.dtype.type(self.epsilon)), x.dtype)
            return y * along[0] + along[1] if along else y

    def vjp(self, g: Any, y: Any, x: Any, *along: Any) -> list[Any]:
        back = NormalizeGrad(normalize_axes(self.axes, x.ndim), self.epsilon)
        return [back(multiply(g, along[0]), x), multiply(g, Normalize(self.axes, self.epsilon)(x)), g] if along else [back(g, x)]

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        x, scale, shift = (rng.standard_normal(shape).astype("float32") for shape in ((3, 5, 33), 33, 33))
        for axes in ((2,), (1, 2), (1,)):
            yield Normalize(axes, 1e-3), [x]
            yield Normalize(axes, 1e-3), [x, scale, shift]


@dataclass(frozen=True)
class NormalizeGrad(Op):
    """(g - mean(g) - y mean(g y)) / sqrt(variance + epsilon), where y = Normalize(x): the cotangent of x for g, that of y.

    What of g would change the mean or the scale is taken out. Inputs g and x, of one shape.
    """

    axes: tuple[int, ...] = (0,)
    epsilon: float = 1e-3

    def infer(self, g: Spec, x: Spec) -> Spec:
        return x

    def reference(self, g: np.ndarray, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            centred = x - np.mean(x, self.axes, keepdims=True)
            scale = 1 / np.sqrt(np.mean(np.square(centred), self.axes, keepdims=True) + x.dtype.type(self.epsilon))
            y = centred * scale
            inner = np.mean(g * y, self.axes, keepdims=True)
            return np.asarray((g - np.mean(g, self.axes, keepdims=True) - y * inner) * scale, x.dtype)

    def vjp(self, g: Any, y: Any, *xs: Any) -> list[Any]:
        """It is linear in its g, by a symmetric matrix that depends on x through the normalized x and the scale."""
        (given, x), average = xs, Mean(self.axes, True)
        normal, to_given = Normalize(self.axes, self.epsilon)(x), self(g, x)
        scale = rsqrt(add(average(square(subtract(x, average(x)))), self.epsilon))
        to_x = multiply(normal, average(multiply(g, y)))
        for a, b in ((given, to_given), (g, y)):
            to_x = add(to_x, multiply(average(multiply(a, normal)), b))
        return [to_given, negative(multiply(to_x, scale))]

    @classmethod
    def samples(cls) -> Samples:
        g, x = np.random.default_rng(0).standard_normal((2, 3, 5, 33)).astype("float32")
        for axes in ((2,), (1, 2), (1,)):
            yield cls(axes, 1e-3), [g, x]


# ---- public functions

def _along(op_class: Any, x: Any, axis: Any, who: str) -> Any:
    """Softmax along one axis, or over several at once (they are moved behind and merged)."""
    x = floating(x)
    axes = normalize_axes(axis, x.ndim, who)
    if len(axes) == 1:
        return op_class(axes[0])(x)
    order = [i for i in range(x.ndim) if i not in axes] + list(axes)
    moved = transpose(x, order)
    merged = op_class(x.ndim - len(axes))(reshape(moved, (*shape(moved)[:x.ndim - len(axes)], -1)))
    return transpose(reshape(merged, shape(moved)), np.argsort(order).tolist())


@public
def softmax(x: Any, axis: int | Sequence[int] = -1) -> Any:
    """exp(x) / sum(exp(x)) along `axis`. Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.softmax([0.0, 0.0])
        array([0.5, 0.5], dtype=float32)
    """
    return _along(Softmax, x, axis, "softmax")


@public
def log_softmax(x: Any, axis: int | Sequence[int] = -1) -> Any:
    """log(softmax(x)), computed without overflow. Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.log_softmax([0.0])
        array([0.], dtype=float32)
    """
    return _along(LogSoftmax, x, axis, "log_softmax")


__all__ = ["log_softmax", "softmax"]
