"""The ops under the cross-entropies: from scores (logits) to a loss in one pass, each with a gradient that is one pass too.

Labels are checked: one that is no class is an error that names it, before anything is trained on it.
"""
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from graphnet import dtypes
from graphnet.dims import Dim
from graphnet.errors import OutOfRangeError, ShapeError
from graphnet.graph import Spec
from graphnet.op import Elementwise, Op, Samples
from graphnet.ops import elementwise as e
from graphnet.ops import reduction as r
from graphnet.ops.convert import shape, shown
from graphnet.ops.indexing import one_hot
from graphnet.ops.scaling import LogSoftmax, Softmax
from graphnet.ops.shape import expand_dims


def check_labels(labels: np.ndarray, classes: int) -> None:
    """Raises where a label is not in 0..classes - 1."""
    bad = (labels < 0) | (labels >= classes)
    if bad.any():
        position = tuple(int(i) for i in np.argwhere(bad)[0])
        raise OutOfRangeError(f"Expected class labels between 0 and {classes - 1}, as the scores have {classes} classes on their last axis; "
                              f"received the label {int(labels[position])} at position {position}. Map the labels onto 0..{classes - 1}, "
                              "or give the model as many outputs as there are classes.")


def differ(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    """Whether two shapes surely differ."""
    return len(a) != len(b) or any(not isinstance(i, Dim) and not isinstance(j, Dim) and i != j for i, j in zip(a, b, strict=True))


def dense(target: Any, x: Any) -> Any:
    """Targets as a weight for each class: labels become one-hot rows."""
    return one_hot(target, shape(x)[-1], -1, str(x.dtype)) if str(target.dtype) in dtypes.INTS else target


def _log_softmax(x: np.ndarray) -> np.ndarray:
    z = x - np.max(x, -1, keepdims=True, initial=-np.inf)
    return z - np.log(np.sum(np.exp(z), -1, keepdims=True))


def _sample(*extents: int) -> np.ndarray:
    return np.random.default_rng(len(extents)).standard_normal(extents).astype("float32")


class _OfClasses(Op):
    """Ops of targets and scores x (..., C): targets are labels (...), of whole numbers, or weights (..., C) of the classes."""

    checked: ClassVar[bool] = True

    def check(self, target: Spec, x: Spec) -> None:
        sparse = target.dtype in dtypes.INTS
        if not x.shape or differ(target.shape, x.shape[:-1] if sparse else x.shape):
            raise ShapeError(f"{self.name} expects scores (..., classes), with labels (...) or with a weight for each class; received targets "
                             f"of shape {shown(target.shape)} and dtype {target.dtype} for scores of shape {shown(x.shape)}.")


@dataclass(frozen=True)
class SoftmaxCrossentropy(_OfClasses):
    """-sum(t * log_softmax(x)) along the last axis: targets t, scores x (..., C) -> (...)."""

    def infer(self, target: Spec, x: Spec) -> Spec:
        self.check(target, x)
        return Spec(x.shape[:-1], x.dtype)

    def reference(self, target: np.ndarray, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            if target.dtype.kind == "f":
                return -np.sum(target * _log_softmax(x), -1)
            check_labels(target, x.shape[-1])
            return -np.take_along_axis(_log_softmax(x), target[..., None], -1)[..., 0]

    def vjp(self, g: Any, y: Any, target: Any, x: Any) -> list[Any]:
        back = SoftmaxCrossentropyGrad()(target, x, g)
        if str(target.dtype) in dtypes.INTS:
            return [None, back]
        return [e.negative(e.multiply(LogSoftmax(-1)(x), expand_dims(g, -1))), back]

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        for extents in ((4, 10), (3, 2, 17), (5, 1), (2, 70)):
            x = _sample(*extents)
            yield cls(), [rng.integers(0, extents[-1], extents[:-1]).astype("int32"), 3 * x]
            yield cls(), [np.abs(x), 3 * x[::-1]]
        yield cls(), [np.array(2), _sample(5)]


@dataclass(frozen=True)
class SoftmaxCrossentropyGrad(_OfClasses):
    """(softmax(x) * sum(t) - t) * g: the gradient of `SoftmaxCrossentropy` in the scores; g (...) -> (..., C)."""

    def infer(self, target: Spec, x: Spec, g: Spec) -> Spec:
        self.check(target, x)
        return x

    def reference(self, target: np.ndarray, x: np.ndarray, g: np.ndarray) -> np.ndarray:
        if target.dtype.kind != "f":
            check_labels(target, x.shape[-1])
            target = (target[..., None] == np.arange(x.shape[-1])).astype(x.dtype)
        with np.errstate(all="ignore"):
            return (np.exp(_log_softmax(x)) * np.sum(target, -1, keepdims=True) - target) * g[..., None]

    def vjp(self, g: Any, y: Any, target: Any, x: Any, scale: Any) -> list[Any]:
        """Of y = (s sum(t) - t) scale with s = softmax(x), whose own rule is s (u - sum(u s))."""
        t, s = dense(target, x), Softmax(-1)(x)
        whole, scale = r.sum(t, -1, True), expand_dims(scale, -1)
        mean = r.sum(e.multiply(g, s), -1, True)
        to_x = e.multiply(e.multiply(s, e.subtract(g, mean)), e.multiply(whole, scale))
        to_scale = r.sum(e.multiply(g, e.subtract(e.multiply(s, whole), t)), -1)
        to_target = None if t is not target else e.multiply(e.subtract(mean, g), scale)
        return [to_target, to_x, to_scale]

    @classmethod
    def samples(cls) -> Samples:
        for _, (target, x) in SoftmaxCrossentropy.samples():
            yield cls(), [target, x, np.asarray(_sample(*x.shape[:-1]), "float32")]


@dataclass(frozen=True)
class ClassScore(_OfClasses):
    """The score of the class that a label names: labels (...), scores (..., C) -> (...)."""

    def infer(self, labels: Spec, x: Spec) -> Spec:
        self.check(labels, x)
        return Spec(x.shape[:-1], x.dtype)

    def reference(self, labels: np.ndarray, x: np.ndarray) -> np.ndarray:
        check_labels(labels, x.shape[-1])
        return np.take_along_axis(x, labels[..., None], -1)[..., 0]

    def vjp(self, g: Any, y: Any, labels: Any, x: Any) -> list[Any]:
        return [None, e.multiply(dense(labels, x), expand_dims(g, -1))]

    @classmethod
    def samples(cls) -> Samples:
        rng = np.random.default_rng(0)
        for extents in ((4, 10), (3, 2, 17), (5,)):
            yield cls(), [rng.integers(0, extents[-1], extents[:-1]).astype("int32"), _sample(*extents)]


@dataclass(frozen=True)
class SigmoidCrossentropy(Elementwise):
    """-t log(sigmoid(x)) - (1 - t) log(1 - sigmoid(x)) of targets t and logits x, without overflow or cancellation."""

    formula: ClassVar[str] = "at_least({1}, 0.0) - {0} * {1} + log1p(exp(-absolute({1})))"
    arity: ClassVar[int] = 2
    result: ClassVar[str] = "float"

    def reference(self, target: np.ndarray, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.maximum(x, 0) - target * x + np.log1p(np.exp(-np.abs(x)))

    def vjp(self, g: Any, y: Any, target: Any, x: Any) -> list[Any]:
        """sigmoid(x) - t, at 0 as elsewhere: by its parts the gradient of |x| and that of a maximum would have to agree there."""
        return [e.multiply(e.negative(x), g), e.multiply(e.subtract(e.sigmoid(x), target), g)]

    @classmethod
    def samples(cls) -> Samples:
        for extents in ((4, 17), (3, 2, 5), (0, 3), ()):
            x = np.asarray(_sample(*extents), "float32")
            yield cls(), [np.abs(x), 5 * x]
