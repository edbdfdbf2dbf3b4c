"""How predictions vary with labels: correlations, and the part of the variance that is explained."""
import warnings
from typing import Any

from graphnet import config, ops
from graphnet.errors import ShapeError
from graphnet.losses.matching import expect_broadcast, expect_same_shape, operands, squeeze_or_expand_to_same_rank
from graphnet.metrics.metric import KIND, Metric
from graphnet.metrics.reduction import FUNCTIONS, MeanMetricWrapper
from graphnet.ops.convert import shown
from graphnet.registry import builtin
from graphnet.tracing import current

_AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")


@builtin(FUNCTIONS)
def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The covariance of labels and predictions along an axis, over the product of their standard deviations: -1 to 1.

    Raises ShapeError where the shapes do not fit. Source: https://keras.io/api/metrics/regression_metrics/

    Example:

        >>> from graphnet import metrics
        >>> metrics.pearson_correlation([[0.0, 1.0, 2.0]], [[0.0, 2.0, 4.0]]).round(5)
        array([1.], dtype=float32)
    """
    y_true, y_pred = operands("pearson_correlation", y_true, y_pred)

    def standard(y: Any) -> Any:
        y = ops.subtract(y, ops.mean(y, axis, True))
        return ops.divide(y, ops.std(y, axis, True))
    return ops.mean(ops.multiply(standard(y_true), standard(y_pred)), axis)


@builtin(FUNCTIONS)
def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """2 * covariance / (variance of labels + variance of predictions + squared difference of means), along an axis: -1 to 1.

    Raises ShapeError where the shapes do not fit. Source: https://keras.io/api/metrics/regression_metrics/

    Example:

        >>> from graphnet import metrics
        >>> metrics.concordance_correlation([[0.0, 1.0, 2.0]], [[0.0, 1.0, 2.0]]).round(5)
        array([1.], dtype=float32)
    """
    y_true, y_pred = operands("concordance_correlation", y_true, y_pred)
    mean_true, mean_pred = ops.mean(y_true, axis, True), ops.mean(y_pred, axis, True)
    off_true, off_pred = ops.subtract(y_true, mean_true), ops.subtract(y_pred, mean_pred)
    # Keras takes the labels' distance from the mean of the predictions: the same, as those of the predictions add up to 0
    covariance = ops.multiply(ops.subtract(y_true, mean_pred), off_pred)
    spread = ops.add(ops.mean(ops.square(off_true), axis, True), ops.mean(ops.square(off_pred), axis, True))
    below = ops.add(ops.add(spread, ops.square(ops.subtract(mean_true, mean_pred))), config.epsilon())
    return ops.mean(ops.divide(ops.multiply(covariance, 2.0), below), axis)


@builtin(KIND, "pearson_correlation")
class PearsonCorrelation(MeanMetricWrapper):
    """The mean of `pearson_correlation`.

    Example:

        >>> from graphnet import metrics
        >>> metrics.PearsonCorrelation()([[0.0, 1.0, 2.0]], [[2.0, 1.0, 0.0]]).round(5)
        np.float32(-1.0)
    """

    _direction = "up"

    def __init__(self, name: str | None = "pearson_correlation", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(pearson_correlation, name, dtype, axis=axis)


@builtin(KIND, "concordance_correlation")
class ConcordanceCorrelation(MeanMetricWrapper):
    """The mean of `concordance_correlation`.

    Example:

        >>> from graphnet import metrics
        >>> metrics.ConcordanceCorrelation()([[0.0, 1.0, 2.0]], [[2.0, 1.0, 0.0]]).round(5)
        np.float32(-1.0)
    """

    _direction = "up"

    def __init__(self, name: str | None = "concordance_correlation", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(concordance_correlation, name, dtype, axis=axis)


@builtin(KIND, "r2_score")
class R2Score(Metric):
    """1 - sum of squared errors / sum of squared distances of the labels from their mean: 1 is perfect, 0 no better than the
    mean.

    Arguments: ``class_aggregation``: "uniform_average" over the outputs, "variance_weighted_average", or None (a value for
    each);
    ``num_regressors``: how many predictors there are, for the adjusted score. Shapes (batch, outputs).
    Raises ValueError for other arguments, ShapeError for other shapes. Source: https://keras.io/api/metrics/regression_metrics/

    Example:

        >>> from graphnet import metrics
        >>> round(float(metrics.R2Score()([[1], [4], [3]], [[2], [4], [4]])), 6)
        0.571429
    """

    _direction = "up"

    def __init__(self, class_aggregation: str | None = "uniform_average", num_regressors: int = 0,
                 name: str | None = "r2_score", dtype: Any = None) -> None:
        if class_aggregation not in _AGGREGATIONS:
            raise ValueError(f"R2Score expects class_aggregation among {', '.join(map(repr, _AGGREGATIONS))}; received "
                             f"{class_aggregation!r}.")
        if num_regressors < 0:
            raise ValueError(f"R2Score expects num_regressors >= 0; received num_regressors={num_regressors}.")
        super().__init__(dtype, name)
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        self.num_samples = self.add_variable((), "zeros", name="num_samples")
        self._built = False

    def _build(self, y_true: Any, y_pred: Any) -> None:
        """Makes the variables, once the number of outputs is known."""
        if len(y_true.shape) != 2 or len(y_pred.shape) != 2 or y_pred.shape[1] is None:
            raise ShapeError("R2Score expects y_true and y_pred of shape (batch, outputs), with a known number of outputs; "
                             "received "
                             f"{shown(ops.shape(y_true))} and {shown(ops.shape(y_pred))}.")
        shape = (y_pred.shape[1],)
        self.squared_sum = self.add_variable(shape, "zeros", name="squared_sum")
        self.sum = self.add_variable(shape, "zeros", name="sum")
        self.total_mse = self.add_variable(shape, "zeros", name="residual")
        self.count = self.add_variable(shape, "zeros", name="count")
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = squeeze_or_expand_to_same_rank(ops.cast(y_true, self.dtype), ops.cast(y_pred, self.dtype))
        if not self._built:
            self._build(y_true, y_pred)
        expect_same_shape(self.name, y_true, y_pred)
        weights = ops.cast(1.0 if sample_weight is None else sample_weight, self.dtype)
        if len(weights.shape) == 1:
            weights = ops.expand_dims(weights, 1)
        expect_broadcast(self.name, y_true, weights, "labels and sample_weight")
        weights = ops.broadcast_to(weights, ops.shape(y_true))
        weighted = ops.multiply(y_true, weights)
        self.sum.assign_add(ops.sum(weighted, 0))
        self.squared_sum.assign_add(ops.sum(ops.multiply(y_true, weighted), 0))
        self.total_mse.assign_add(ops.sum(ops.multiply(ops.square(ops.subtract(y_true, y_pred)), weights), 0))
        self.count.assign_add(ops.sum(weights, 0))
        self.num_samples.assign_add(ops.cast(ops.size(y_true), self.num_samples.dtype))

    def result(self) -> Any:
        total = ops.subtract(self.squared_sum, ops.multiply(self.sum, ops.divide(self.sum, self.count)))
        score = ops.subtract(1.0, ops.divide(self.total_mse, total))
        score = ops.where(ops.isinf(score), 0.0, score)
        if self.class_aggregation == "uniform_average":
            score = ops.mean(score)
        elif self.class_aggregation == "variance_weighted_average":
            score = ops.divide(ops.sum(ops.multiply(total, score)), ops.sum(total))
        return self._adjusted(score) if self.num_regressors else score

    def _adjusted(self, score: Any) -> Any:
        """The score less what further predictors add to it by chance; as it is where there are too few samples for that."""
        rest = ops.subtract(self.num_samples, self.num_regressors + 1.0)
        if current() is None and float(rest) <= 0:
            warnings.warn(f"R2Score {self.name!r} has num_regressors={self.num_regressors} and {int(self.num_samples)} "
                          "samples: too few for the "
                          "adjusted score. The result is the plain one.", stacklevel=3)
        enough = ops.greater(rest, 0.0)
        ratio = ops.divide(ops.subtract(self.num_samples, 1.0), ops.where(enough, rest, 1.0))
        return ops.where(enough, ops.subtract(1.0, ops.multiply(ops.subtract(1.0, score), ratio)), score)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}


__all__ = ["ConcordanceCorrelation", "PearsonCorrelation", "R2Score", "concordance_correlation", "pearson_correlation"]
