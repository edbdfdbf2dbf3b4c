"""F-scores: precision and recall in one number."""
from typing import Any

from graphnet import config, ops
from graphnet.errors import ShapeError
from graphnet.graph import Variable
from graphnet.losses.matching import expect_same_shape
from graphnet.metrics.metric import KIND, Metric
from graphnet.ops.convert import shown
from graphnet.registry import builtin

_AVERAGES = (None, "micro", "macro", "weighted")


@builtin(KIND, "f_beta_score")
class FBetaScore(Metric):
    """(1 + beta^2) * precision * recall / (beta^2 * precision + recall), for each class.

    Arguments: ``average``: None (a value for each class), "micro" (of all classes' counts), "macro" (the mean over classes) or
    "weighted" (by the classes' labels); ``beta``: how much recall counts; ``threshold`` above which a score is positive; by
    default the
    largest of each row is. Predictions and labels have shape (batch, classes).
    Raises ValueError for other arguments, ShapeError for other shapes. Source:
    https://keras.io/api/metrics/classification_metrics/

    Example:

        >>> from graphnet import metrics
        >>> y_true, y_pred = [[1, 1, 1], [1, 0, 0], [1, 1, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]
        >>> metrics.FBetaScore(beta=2.0, threshold=0.5)(y_true, y_pred).round(4)
        array([0.3846, 0.9091, 0.8333], dtype=float32)
    """

    _direction = "up"
    true_positives: Variable
    false_positives: Variable
    false_negatives: Variable
    intermediate_weights: Variable
    counted = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")

    def __init__(self, average: str | None = None, beta: float = 1.0, threshold: float | None = None,
                 name: str | None = "fbeta_score", dtype: Any = None) -> None:
        who = type(self).__name__
        if average not in _AVERAGES:
            raise ValueError(f"{who} expects average among {', '.join(map(repr, _AVERAGES))}; received average={average!r}.")
        if not isinstance(beta, float) or beta <= 0.0:
            raise ValueError(f"{who} expects a float beta > 0; received beta={beta!r}.")
        if threshold is not None and (not isinstance(threshold, float) or not 0.0 < threshold <= 1.0):
            raise ValueError(f"{who} expects a float 0 < threshold <= 1, or None; received threshold={threshold!r}.")
        super().__init__(dtype, name)
        self.average, self.beta, self.threshold = average, beta, threshold
        self._built = False

    def _build(self, y_true: Any, y_pred: Any) -> None:
        """Makes the variables, once the number of classes is known."""
        a, b = y_true.shape, y_pred.shape
        if len(a) != 2 or len(b) != 2 or a[1] is None or b[1] is None:
            raise ShapeError(f"{type(self).__name__} expects y_true and y_pred of shape (batch, classes), with a known number "
                             "of classes; received "
                             f"{shown(ops.shape(y_true))} and {shown(ops.shape(y_pred))}. Labels that are class numbers become "
                             "vectors "
                             "by graphnet.utils.to_categorical.")
        shape = () if self.average == "micro" else (b[1],)
        for name in self.counted:
            setattr(self, name, self.add_variable(shape, "zeros", self.dtype, name=name))
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = ops.cast(y_true, self.dtype), ops.cast(y_pred, self.dtype)
        if not self._built:
            self._build(y_true, y_pred)
        expect_same_shape(self.name, y_true, y_pred)
        if self.threshold is None:
            best = ops.greater_equal(y_pred, ops.max(y_pred, -1, True))
            positive = ops.logical_and(best, ops.greater(ops.absolute(y_pred), 1e-9))
        else:
            positive = ops.greater(y_pred, self.threshold)
        weights = None if sample_weight is None else ops.expand_dims(ops.cast(sample_weight, self.dtype), 1)

        def total(value: Any) -> Any:
            return ops.sum(value if weights is None else ops.multiply(value, weights), None if self.average == "micro" else 0)
        found = ops.cast(positive, self.dtype)
        self.true_positives.assign_add(total(ops.multiply(found, y_true)))
        self.false_positives.assign_add(total(ops.multiply(found, ops.subtract(1.0, y_true))))
        self.false_negatives.assign_add(total(ops.multiply(ops.subtract(1.0, found), y_true)))
        self.intermediate_weights.assign_add(total(y_true))

    def result(self) -> Any:
        small, square = config.epsilon(), self.beta * self.beta

        def part(other: Any) -> Any:
            return ops.divide(self.true_positives, ops.add(ops.add(self.true_positives, other), small))
        precision, recall = part(self.false_positives), part(self.false_negatives)
        below = ops.add(ops.add(ops.multiply(precision, square), recall), small)
        score = ops.multiply(ops.divide(ops.multiply(precision, recall), below), 1.0 + square)
        if self.average == "weighted":
            total = ops.add(ops.sum(self.intermediate_weights), small)
            return ops.sum(ops.multiply(score, ops.divide(self.intermediate_weights, total)))
        return score if self.average is None else ops.mean(score)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "average": self.average, "beta": self.beta, "threshold": self.threshold}


@builtin(KIND, "f1_score")
class F1Score(FBetaScore):
    """2 * precision * recall / (precision + recall): see `FBetaScore`, with beta=1.

    Example:

        >>> from graphnet import metrics
        >>> round(float(metrics.F1Score(average="micro", threshold=0.5)([[1, 1], [1, 0]], [[0.2, 0.6], [0.6, 0.8]])), 4)
        0.6667
    """

    def __init__(self, average: str | None = None, threshold: float | None = None, name: str | None = "f1_score",
                 dtype: Any = None) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        return {k: v for k, v in super().get_config().items() if k != "beta"}


__all__ = ["F1Score", "FBetaScore"]
