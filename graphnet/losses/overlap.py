"""Losses of how much two regions overlap: for segmentation."""
from collections.abc import Sequence
from typing import Any

from graphnet import config, ops
from graphnet.losses.loss import KIND, LossFunctionWrapper
from graphnet.losses.matching import expect_broadcast
from graphnet.registry import builtin


def _regions(who: str, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    expect_broadcast(who, y_true, y_pred)
    return y_true, y_pred


@builtin(KIND)
def dice(y_true: Any, y_pred: Any, axis: int | Sequence[int] | None = None) -> Any:
    """1 - 2 * sum(y_true * y_pred) / (sum(y_true) + sum(y_pred) + epsilon) over `axis` (all axes for None).

    Raises ShapeError where the shapes do not fit. Source: https://arxiv.org/abs/1606.04797

    Example:

        >>> from graphnet import losses
        >>> round(float(losses.dice([[1.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])), 6)
        0.333333
    """
    y_true, y_pred = _regions("dice", y_true, y_pred)
    both = ops.sum(ops.multiply(y_true, y_pred), axis)
    total = ops.add(ops.add(ops.sum(y_true, axis), ops.sum(y_pred, axis)), config.epsilon())
    return ops.subtract(1.0, ops.divide(ops.multiply(both, 2.0), total))


@builtin(KIND)
def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: int | Sequence[int] | None = None) -> Any:
    """1 - both / (both + alpha * missed + beta * wrong + epsilon), sums over `axis`: what lies in both regions, in one, in the
    other.

    Raises ShapeError where the shapes do not fit. Source: https://arxiv.org/abs/1706.05721

    Example:

        >>> from graphnet import losses
        >>> round(float(losses.tversky([[1.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]], alpha=0.5)), 6)
        0.333333
    """
    y_true, y_pred = _regions("tversky", y_true, y_pred)
    both = ops.sum(ops.multiply(y_true, y_pred), axis)
    missed = ops.sum(ops.multiply(y_true, ops.subtract(1.0, y_pred)), axis)
    wrong = ops.sum(ops.multiply(ops.subtract(1.0, y_true), y_pred), axis)
    total = ops.add(ops.add(ops.add(both, ops.multiply(missed, alpha)), ops.multiply(wrong, beta)), config.epsilon())
    return ops.subtract(1.0, ops.divide(both, total))


@builtin(KIND)
class Dice(LossFunctionWrapper):
    """1 less the Dice coefficient of two regions: see `dice` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> round(float(losses.Dice()([[1.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])), 6)
        0.333333
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "dice",
                 axis: int | Sequence[int] | None = None, dtype: Any = None) -> None:
        super().__init__(dice, reduction, name, dtype, axis=axis)


@builtin(KIND)
class Tversky(LossFunctionWrapper):
    """1 less the Tversky index of two regions; `alpha` weighs what was missed, `beta` what is wrong: see `tversky` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> round(float(losses.Tversky(alpha=1.0)([[1.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])), 6)
        0.5
    """

    def __init__(self, alpha: float = 0.5, beta: float = 0.5, reduction: str | None = "sum_over_batch_size",
                 name: str | None = "tversky", axis: int | Sequence[int] | None = None, dtype: Any = None) -> None:
        super().__init__(tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)


__all__ = ["Dice", "Tversky", "dice", "tversky"]
