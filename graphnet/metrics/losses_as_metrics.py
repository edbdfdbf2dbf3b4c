"""Metrics that are means of losses: hinge losses, cross-entropies, errors of numbers."""
from typing import Any

from graphnet import losses, ops
from graphnet.losses.matching import operands
from graphnet.metrics.metric import KIND
from graphnet.metrics.reduction import FunctionMetric, Mean, MeanMetricWrapper
from graphnet.registry import builtin


@builtin(KIND, "hinge")
class Hinge(FunctionMetric):
    """The mean of `graphnet.losses.hinge`.

    Example:

        >>> from graphnet import metrics
        >>> metrics.Hinge()([[-1.0, 1.0]], [[0.5, 2.0]])
        array(0.75, dtype=float32)
    """

    function = staticmethod(losses.hinge)


@builtin(KIND, "squared_hinge")
class SquaredHinge(FunctionMetric):
    """The mean of `graphnet.losses.squared_hinge`.

    Example:

        >>> from graphnet import metrics
        >>> metrics.SquaredHinge()([[-1.0, 1.0]], [[0.5, 2.0]])
        array(1.125, dtype=float32)
    """

    function = staticmethod(losses.squared_hinge)


@builtin(KIND, "categorical_hinge")
class CategoricalHinge(FunctionMetric):
    """The mean of `graphnet.losses.categorical_hinge`.

    Example:

        >>> from graphnet import metrics
        >>> metrics.CategoricalHinge()([[0.0, 1.0]], [[0.5, 1.0]])
        array(0.5, dtype=float32)
    """

    function = staticmethod(losses.categorical_hinge)


@builtin(KIND, "kl_divergence")
class KLDivergence(FunctionMetric):
    """The mean of `graphnet.losses.kl_divergence`.

    Example:

        >>> from graphnet import metrics
        >>> metrics.KLDivergence()([[0.5, 0.5]], [[0.5, 0.5]])
        array(0., dtype=float32)
    """

    function = staticmethod(losses.kl_divergence)


@builtin(KIND, "poisson")
class Poisson(FunctionMetric):
    """The mean of `graphnet.losses.poisson`.

    Example:

        >>> from graphnet import metrics
        >>> metrics.Poisson()([[0.0, 0.0]], [[1.0, 3.0]])
        array(2., dtype=float32)
    """

    function = staticmethod(losses.poisson)


@builtin(KIND, "binary_crossentropy", "bce", "BCE")
class BinaryCrossentropy(MeanMetricWrapper):
    """The mean of `graphnet.losses.binary_crossentropy`.

    Example:

        >>> from graphnet import metrics
        >>> metrics.BinaryCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])
        array(0.6931472, dtype=float32)
    """

    def __init__(self, name: str | None = "binary_crossentropy", dtype: Any = None, from_logits: bool = False,
                 label_smoothing: float = 0) -> None:
        super().__init__(losses.binary_crossentropy, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing)


@builtin(KIND, "categorical_crossentropy")
class CategoricalCrossentropy(MeanMetricWrapper):
    """The mean of `graphnet.losses.categorical_crossentropy`.

    Example:

        >>> from graphnet import metrics
        >>> metrics.CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])
        array(0.6931472, dtype=float32)
    """

    def __init__(self, name: str | None = "categorical_crossentropy", dtype: Any = None, from_logits: bool = False,
                 label_smoothing: float = 0, axis: int = -1) -> None:
        super().__init__(losses.categorical_crossentropy, name, dtype, from_logits=from_logits,
                         label_smoothing=label_smoothing, axis=axis)


@builtin(KIND, "sparse_categorical_crossentropy")
class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """The mean of `graphnet.losses.sparse_categorical_crossentropy`.

    Example:

        >>> from graphnet import metrics
        >>> metrics.SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])
        array(0.6931472, dtype=float32)
    """

    def __init__(self, name: str | None = "sparse_categorical_crossentropy", dtype: Any = None, from_logits: bool = False,
                 ignore_class: int | None = None, axis: int = -1) -> None:
        super().__init__(losses.sparse_categorical_crossentropy, name, dtype, from_logits=from_logits,
                         ignore_class=ignore_class, axis=axis)


@builtin(KIND, "mean_squared_error", "mse", "MSE")
class MeanSquaredError(FunctionMetric):
    """The mean of `graphnet.losses.mean_squared_error`.

    Example:

        >>> from graphnet import metrics
        >>> metrics.MeanSquaredError()([[0.0, 1.0]], [[1.0, 3.0]])
        array(2.5, dtype=float32)
    """

    function = staticmethod(losses.mean_squared_error)


@builtin(KIND, "mean_absolute_error", "mae", "MAE")
class MeanAbsoluteError(FunctionMetric):
    """The mean of `graphnet.losses.mean_absolute_error`.

    Example:

        >>> from graphnet import metrics
        >>> metrics.MeanAbsoluteError()([[0.0, 1.0]], [[1.0, 3.0]])
        array(1.5, dtype=float32)
    """

    function = staticmethod(losses.mean_absolute_error)


@builtin(KIND, "mean_absolute_percentage_error", "mape", "MAPE")
class MeanAbsolutePercentageError(FunctionMetric):
    """The mean of `graphnet.losses.mean_absolute_percentage_error`.

    Example:

        >>> from graphnet import metrics
        >>> metrics.MeanAbsolutePercentageError()([[1.0, 2.0]], [[1.5, 3.0]])
        array(50., dtype=float32)
    """

    function = staticmethod(losses.mean_absolute_percentage_error)


@builtin(KIND, "mean_squared_logarithmic_error", "msle", "MSLE")
class MeanSquaredLogarithmicError(FunctionMetric):
    """The mean of `graphnet.losses.mean_squared_logarithmic_error`.

    Example:

        >>> from graphnet import metrics
        >>> metrics.MeanSquaredLogarithmicError()([[3.0]], [[3.0]])
        array(0., dtype=float32)
    """

    function = staticmethod(losses.mean_squared_logarithmic_error)


@builtin(KIND, "log_cosh_error")
class LogCoshError(FunctionMetric):
    """The mean of `graphnet.losses.log_cosh`.

    Example:

        >>> from graphnet import metrics
        >>> metrics.LogCoshError()([[1.0]], [[1.0]])
        array(0., dtype=float32)
    """

    function = staticmethod(losses.log_cosh)
    called = "logcosh"


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The cosine of the angle between vectors: 1 for one direction, as opposed to the loss."""
    return ops.negative(losses.cosine_similarity(y_true, y_pred, axis))


@builtin(KIND, "cosine_similarity")
class CosineSimilarity(MeanMetricWrapper):
    """The mean of the cosine of the angle between labels and predictions: 1 for one direction, -1 for opposite ones.

    Example:

        >>> from graphnet import metrics
        >>> metrics.CosineSimilarity()([[0.0, 1.0], [0.0, 1.0]], [[0.0, 2.0], [2.0, 0.0]])
        array(0.5, dtype=float32)
    """

    rarely = {"axis": -1}
    _direction = "up"

    def __init__(self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(cosine_similarity, name, dtype, axis=axis)


@builtin(KIND, "root_mean_squared_error")
class RootMeanSquaredError(Mean):
    """The square root of the mean of squared errors.

    Source: https://keras.io/api/metrics/regression_metrics/

    Example:

        >>> from graphnet import metrics
        >>> metrics.RootMeanSquaredError()([[0.0, 1.0]], [[3.0, 1.0]])
        array(2.1213202, dtype=float32)
    """

    _direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    # labels and predictions take the place of values, as Keras has it
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        y_true, y_pred = operands(self.name, y_true, ops.cast(y_pred, self.dtype))
        super().update_state(ops.square(ops.subtract(y_pred, y_true)), sample_weight)

    def result(self) -> Any:
        return ops.sqrt(super().result())


__all__ = [
    "BinaryCrossentropy", "CategoricalCrossentropy", "CategoricalHinge", "CosineSimilarity", "Hinge", "KLDivergence",
    "LogCoshError",
    "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError", "Poisson",
    "RootMeanSquaredError", "SparseCategoricalCrossentropy", "SquaredHinge",
]
