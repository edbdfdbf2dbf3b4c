"""Cross-entropies between targets and predictions, element by element of the batch: the heart of the losses of the same names."""
import functools
import math
from typing import Any

from graphnet import config
from graphnet.errors import ShapeError
from graphnet.op import public
from graphnet.ops import elementwise as e
from graphnet.ops import reduction as r
from graphnet.ops.classes import ClassScore, SigmoidCrossentropy, SoftmaxCrossentropy, differ
from graphnet.ops.convert import cast, floating, normalize_axis, promote, shape, shown
from graphnet.ops.elementwise import Clip
from graphnet.ops.shape import moveaxis, squeeze


def _same_shape(target: Any, output: Any, who: str) -> None:
    a, b = shape(target), shape(output)
    if differ(a, b):
        raise ShapeError(f"{who} expects target and output of one shape; received {shown(a)} and {shown(b)}.")


def _safe(p: Any) -> Any:
    small = config.epsilon()
    return Clip(small, 1.0 - small)(p)


@public
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """-(target * log(output) + (1 - target) * log(1 - output)), elementwise; of logits without overflow.

    Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.binary_crossentropy([0.0, 1.0], [0.5, 0.5])
        array([0.6931472, 0.6931472], dtype=float32)
    """
    target, output = promote(floating(target), floating(output))
    _same_shape(target, output, "binary_crossentropy")
    if from_logits:
        return SigmoidCrossentropy()(target, output)
    p = _safe(output)
    gain = e.add(e.multiply(target, e.log(p)), e.multiply(e.subtract(1.0, target), e.log(e.subtract(1.0, p))))
    return e.negative(gain)


@public
def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """-sum(target * log(output)) along the classes; outputs are scaled to add up to 1, or are logits.

    Shapes: (..., C), (..., C) -> (...). Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
        array([0.6931472], dtype=float32)
    """
    target, output = promote(floating(target), floating(output))
    if output.ndim < 1:
        raise ShapeError("categorical_crossentropy expects operands with ndim >= 1; received numbers.")
    _same_shape(target, output, "categorical_crossentropy")
    if from_logits:
        return SoftmaxCrossentropy()(*[moveaxis(x, axis, -1) for x in (target, output)])
    scaled = e.divide(output, r.sum(output, axis, True))
    return e.negative(r.sum(e.multiply(target, e.log(_safe(scaled))), axis))


@public
def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """-log(output[target]) along the classes; outputs are scaled to add up to 1, or are logits; targets are class numbers.

    Raises OutOfRangeError where a target is no class: below 0, or not below C.
    Shapes: (...) or (..., 1), (..., C) -> (...). Source: https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.sparse_categorical_crossentropy([1], [[0.5, 0.5]])
        array([0.6931472], dtype=float32)
    """
    output = floating(output)
    target = target if str(getattr(target, "dtype", "")) in ("int32", "int64") else cast(target, "int32")
    if output.ndim < 1:
        raise ShapeError("sparse_categorical_crossentropy expects an output with ndim >= 1; received a number.")
    axis = normalize_axis(axis, output.ndim, "sparse_categorical_crossentropy")
    last = shape(target)[-1] if target.ndim == output.ndim else None
    if isinstance(last, int) and last == 1:
        target = squeeze(target, -1)
    rest = tuple(s for i, s in enumerate(shape(output)) if i != axis)
    _same_shape_as(target, rest, shape(output))
    output = moveaxis(output, axis, -1)
    if from_logits:
        return SoftmaxCrossentropy()(target, output)
    return e.negative(e.log(_safe(e.divide(ClassScore()(target, output), r.sum(output, -1)))))


def _same_shape_as(target: Any, expected: tuple[Any, ...], output: tuple[Any, ...]) -> None:
    received = shape(target)
    if differ(received, expected):
        raise ShapeError(f"sparse_categorical_crossentropy expects targets of shape {shown(expected)} for outputs of shape "
                         f"{shown(output)}; "
                         f"received {shown(received)}.")


@functools.partial(public, class_name="PSNR")
def psnr(x1: Any, x2: Any, max_val: float) -> Any:
    """The peak signal-to-noise ratio of two images, in decibels: 10 log10(max_val^2 / mean((x1 - x2)^2)). Source:
    https://keras.io/api/ops/nn/

    Example:

        >>> from graphnet import ops
        >>> ops.psnr([0.0, 0.0], [1.0, 1.0], 1.0)
        array(0., dtype=float32)
    """
    a, b = promote(floating(x1), floating(x2))
    _same_shape(a, b, "psnr")
    error = r.mean(e.square(e.subtract(a, b)))
    return e.subtract(20.0 * math.log10(max_val), e.multiply(e.log(error), 10.0 / math.log(10.0)))


__all__ = ["binary_crossentropy", "categorical_crossentropy", "psnr", "sparse_categorical_crossentropy"]
