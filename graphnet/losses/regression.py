"""Losses between numbers: squared, absolute, relative, logarithmic and robust errors, and the cosine of two vectors."""
import math
from typing import Any

from graphnet import config, ops
from graphnet.losses.loss import KIND, FunctionLoss, LossFunctionWrapper
from graphnet.losses.matching import operands
from graphnet.registry import builtin


@builtin(KIND, "mse", "MSE")
def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """mean((y_true - y_pred)^2) along the last axis: (..., D), (..., D) -> (...). Source:
    https://keras.io/api/losses/regression_losses/

    Raises ShapeError where the shapes do not fit.

    Example:

        >>> from graphnet import losses
        >>> losses.mean_squared_error([[0.0, 1.0]], [[1.0, 3.0]])
        array([2.5], dtype=float32)
    """
    y_true, y_pred = operands("mean_squared_error", y_true, y_pred)
    return ops.mean(ops.square(ops.subtract(y_true, y_pred)), -1)


@builtin(KIND, "mae", "MAE")
def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """mean(|y_true - y_pred|) along the last axis: (..., D), (..., D) -> (...). Source:
    https://keras.io/api/losses/regression_losses/

    Raises ShapeError where the shapes do not fit.

    Example:

        >>> from graphnet import losses
        >>> losses.mean_absolute_error([[0.0, 1.0]], [[1.0, 3.0]])
        array([1.5], dtype=float32)
    """
    y_true, y_pred = operands("mean_absolute_error", y_true, y_pred)
    return ops.mean(ops.absolute(ops.subtract(y_true, y_pred)), -1)


@builtin(KIND, "mape", "MAPE")
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """100 * mean(|y_true - y_pred| / max(|y_true|, epsilon)) along the last axis: (..., D), (..., D) -> (...).

    Raises ShapeError where the shapes do not fit. Source: https://keras.io/api/losses/regression_losses/

    Example:

        >>> from graphnet import losses
        >>> losses.mean_absolute_percentage_error([[1.0, 2.0]], [[1.5, 3.0]])
        array([50.], dtype=float32)
    """
    y_true, y_pred = operands("mean_absolute_percentage_error", y_true, y_pred)
    size = ops.maximum(ops.absolute(y_true), config.epsilon())
    return ops.multiply(ops.mean(ops.absolute(ops.divide(ops.subtract(y_true, y_pred), size)), -1), 100.0)


@builtin(KIND, "msle", "MSLE")
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """mean((log(y_true + 1) - log(y_pred + 1))^2) along the last axis, of values not below epsilon: (..., D), (..., D) ->
    (...).

    Raises ShapeError where the shapes do not fit. Source: https://keras.io/api/losses/regression_losses/

    Example:

        >>> from graphnet import losses
        >>> losses.mean_squared_logarithmic_error([[0.0, 3.0]], [[0.0, 3.0]])
        array([0.], dtype=float32)
    """
    y_true, y_pred = operands("mean_squared_logarithmic_error", y_true, y_pred)

    def logarithm(y: Any) -> Any:
        return ops.log(ops.add(ops.maximum(y, config.epsilon()), 1.0))
    return ops.mean(ops.square(ops.subtract(logarithm(y_pred), logarithm(y_true))), -1)


@builtin(KIND)
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """-cos of the angle between vectors along an axis: -1 for one direction, 1 for opposite ones, 0 for a vector of zeros.

    Raises ShapeError where the shapes do not fit. Source: https://keras.io/api/losses/regression_losses/

    Example:

        >>> from graphnet import losses
        >>> losses.cosine_similarity([[0.0, 1.0]], [[0.0, 2.0]])
        array([-1.], dtype=float32)
    """
    y_true, y_pred = operands("cosine_similarity", y_true, y_pred)
    return ops.negative(ops.sum(ops.multiply(ops.normalize(y_true, axis), ops.normalize(y_pred, axis)), axis))


@builtin(KIND)
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """mean over the last axis of error^2 / 2 where |error| <= delta, else delta * |error| - delta^2 / 2.

    Shapes: (..., D), (..., D) -> (...). Raises ShapeError where they do not fit. Source:
    https://doi.org/10.1214/aoms/1177703732

    Example:

        >>> from graphnet import losses
        >>> losses.huber([[0.0, 0.0]], [[1.0, 3.0]])
        array([1.5], dtype=float32)
    """
    y_true, y_pred = operands("huber", y_true, y_pred)
    error = ops.subtract(y_pred, y_true)
    size = ops.absolute(error)
    far = ops.subtract(ops.multiply(size, delta), 0.5 * delta * delta)
    return ops.mean(ops.where(ops.less_equal(size, delta), ops.multiply(ops.square(error), 0.5), far), -1)


@builtin(KIND)
def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """mean(log(cosh(y_pred - y_true))) along the last axis, without overflow: (..., D), (..., D) -> (...).

    Raises ShapeError where the shapes do not fit. Source: https://keras.io/api/losses/regression_losses/

    Example:

        >>> from graphnet import losses
        >>> losses.log_cosh([[0.0, 1.0]], [[0.0, 1.0]])
        array([0.], dtype=float32)
    """
    y_true, y_pred = operands("log_cosh", y_true, y_pred)
    error = ops.subtract(y_pred, y_true)
    return ops.mean(ops.subtract(ops.add(error, ops.softplus(ops.multiply(error, -2.0))), math.log(2.0)), -1)


@builtin(KIND)
class MeanSquaredError(FunctionLoss):
    """The mean of squared errors: see `mean_squared_error` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> losses.MeanSquaredError()([[0.0, 1.0]], [[1.0, 3.0]])
        array(2.5, dtype=float32)
    """

    function = staticmethod(mean_squared_error)


@builtin(KIND)
class MeanAbsoluteError(FunctionLoss):
    """The mean of absolute errors: see `mean_absolute_error` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> losses.MeanAbsoluteError(reduction="sum")([[0.0, 1.0], [0.0, 0.0]], [[1.0, 3.0], [2.0, 2.0]])
        array(3.5, dtype=float32)
    """

    function = staticmethod(mean_absolute_error)


@builtin(KIND)
class MeanAbsolutePercentageError(FunctionLoss):
    """The mean of errors in percent of the labels: see `mean_absolute_percentage_error` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> losses.MeanAbsolutePercentageError()([[1.0, 2.0]], [[1.5, 3.0]])
        array(50., dtype=float32)
    """

    function = staticmethod(mean_absolute_percentage_error)


@builtin(KIND)
class MeanSquaredLogarithmicError(FunctionLoss):
    """The mean of squared differences of logarithms: see `mean_squared_logarithmic_error` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> losses.MeanSquaredLogarithmicError()([[3.0]], [[3.0]])
        array(0., dtype=float32)
    """

    function = staticmethod(mean_squared_logarithmic_error)


@builtin(KIND)
class LogCosh(FunctionLoss):
    """The mean of log(cosh(error)): see `log_cosh` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> losses.LogCosh()([[1.0]], [[1.0]])
        array(0., dtype=float32)
    """

    function = staticmethod(log_cosh)


@builtin(KIND)
class CosineSimilarity(LossFunctionWrapper):
    """Minus the cosine of the angle between labels and predictions along `axis`: see `cosine_similarity` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> losses.CosineSimilarity()([[0.0, 1.0], [0.0, 1.0]], [[0.0, 2.0], [2.0, 0.0]])
        array(-0.5, dtype=float32)
    """

    rarely = {"axis": -1}

    def __init__(self, axis: int = -1, reduction: str | None = "sum_over_batch_size", name: str | None = "cosine_similarity",
                 dtype: Any = None) -> None:
        super().__init__(cosine_similarity, reduction, name, dtype, axis=axis)


@builtin(KIND)
class Huber(LossFunctionWrapper):
    """Squared errors up to `delta`, absolute ones behind: see `huber` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> losses.Huber(delta=2.0)([[0.0]], [[4.0]])
        array(6., dtype=float32)
    """

    rarely = {"delta": 1.0}

    def __init__(self, delta: float = 1.0, reduction: str | None = "sum_over_batch_size", name: str | None = "huber_loss",
                 dtype: Any = None) -> None:
        super().__init__(huber, reduction, name, dtype, delta=delta)


__all__ = [
    "CosineSimilarity", "Huber", "LogCosh", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError",
    "MeanSquaredLogarithmicError", "cosine_similarity", "huber", "log_cosh", "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error", "mean_squared_logarithmic_error",
]
