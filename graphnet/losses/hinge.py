"""Losses with a margin: labels are -1 or 1 (0 or 1 are taken as such), or vectors of classes."""
from typing import Any

from graphnet import ops
from graphnet.losses.loss import KIND, FunctionLoss
from graphnet.losses.matching import expect_broadcast
from graphnet.registry import builtin


def _signs(who: str, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Labels as -1 and 1, where all of them are 0 or 1; predictions as a tensor."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    expect_broadcast(who, y_true, y_pred)
    binary = ops.all(ops.logical_or(ops.equal(y_true, 0.0), ops.equal(y_true, 1.0)))
    return ops.where(binary, ops.subtract(ops.multiply(y_true, 2.0), 1.0), y_true), y_pred


def _shortfall(who: str, y_true: Any, y_pred: Any) -> Any:
    y_true, y_pred = _signs(who, y_true, y_pred)
    return ops.maximum(ops.subtract(1.0, ops.multiply(y_true, y_pred)), 0.0)


@builtin(KIND)
def hinge(y_true: Any, y_pred: Any) -> Any:
    """mean(max(1 - y_true * y_pred, 0)) along the last axis: (..., D), (..., D) -> (...).

    Raises ShapeError where the shapes do not fit. Source: https://keras.io/api/losses/hinge_losses/

    Example:

        >>> from graphnet import losses
        >>> losses.hinge([[-1.0, 1.0]], [[0.5, 2.0]])
        array([0.75], dtype=float32)
    """
    return ops.mean(_shortfall("hinge", y_true, y_pred), -1)


@builtin(KIND)
def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """mean(max(1 - y_true * y_pred, 0)^2) along the last axis: (..., D), (..., D) -> (...).

    Raises ShapeError where the shapes do not fit. Source: https://keras.io/api/losses/hinge_losses/

    Example:

        >>> from graphnet import losses
        >>> losses.squared_hinge([[-1.0, 1.0]], [[0.5, 2.0]])
        array([1.125], dtype=float32)
    """
    return ops.mean(ops.square(_shortfall("squared_hinge", y_true, y_pred)), -1)


@builtin(KIND)
def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """max(best - true + 1, 0): the true class's score against the best of the others. Shapes: (..., C), (..., C) -> (...).

    Raises ShapeError where the shapes do not fit. Source: https://keras.io/api/losses/hinge_losses/

    Example:

        >>> from graphnet import losses
        >>> losses.categorical_hinge([[0.0, 1.0]], [[0.5, 1.0]])
        array([0.5], dtype=float32)
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    expect_broadcast("categorical_hinge", y_true, y_pred)
    true = ops.sum(ops.multiply(y_true, y_pred), -1)
    best = ops.max(ops.multiply(ops.subtract(1.0, y_true), y_pred), -1)
    return ops.maximum(ops.add(ops.subtract(best, true), 1.0), 0.0)


@builtin(KIND)
class Hinge(FunctionLoss):
    """What predictions lack of a margin of 1: see `hinge` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> losses.Hinge()([[-1.0, 1.0]], [[0.5, 2.0]])
        array(0.75, dtype=float32)
    """

    function = staticmethod(hinge)


@builtin(KIND)
class SquaredHinge(FunctionLoss):
    """The square of what predictions lack of a margin of 1: see `squared_hinge` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> losses.SquaredHinge()([[-1.0, 1.0]], [[0.5, 2.0]])
        array(1.125, dtype=float32)
    """

    function = staticmethod(squared_hinge)


@builtin(KIND)
class CategoricalHinge(FunctionLoss):
    """What the true class's score lacks of a margin of 1 to the others: see `categorical_hinge` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> losses.CategoricalHinge()([[0.0, 1.0]], [[0.5, 1.0]])
        array(0.5, dtype=float32)
    """

    function = staticmethod(categorical_hinge)


__all__ = ["CategoricalHinge", "Hinge", "SquaredHinge", "categorical_hinge", "hinge", "squared_hinge"]
