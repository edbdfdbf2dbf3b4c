"""Metrics of a decision between two classes: counts of right and wrong, precision, recall, and one of two at a given other."""
from collections.abc import Sequence
from typing import Any, ClassVar

from graphnet import ops
from graphnet.graph import Variable
from graphnet.metrics.counts import LOWEST, Counter, even_thresholds, evenly_spaced, parse_thresholds
from graphnet.metrics.metric import KIND, Metric, snapshot
from graphnet.registry import builtin

NAMES = {"tp": "true_positives", "fp": "false_positives", "tn": "true_negatives", "fn": "false_negatives"}


class ConfusionMetric(Metric):
    """Base of metrics whose variables are counts at thresholds; `counted` says which, in the order of the variables."""

    true_positives: Variable
    false_positives: Variable
    true_negatives: Variable
    false_negatives: Variable
    counted: ClassVar[tuple[str, ...]] = ("tp", "fp", "tn", "fn")

    def _count_at(self, thresholds: Sequence[float], even: bool, **how: Any) -> None:
        self.thresholds = list(thresholds)
        self._count = Counter(self.name, self.thresholds, even, **how)
        for kind in self.counted:
            setattr(self, NAMES[kind], self.add_variable((len(self.thresholds),), "zeros", name=NAMES[kind]))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self._add(self._count(self.counted, y_true, y_pred, sample_weight, dtype=self._counts(self.counted[0]).dtype))

    def _counts(self, kind: str) -> Variable:
        return getattr(self, NAMES[kind])

    def _add(self, counts: dict[str, Any]) -> None:
        for kind, count in counts.items():
            self._counts(kind).assign_add(count)

    def _ratio(self, kind: str, other: str) -> Any:
        """The part of one count in two: precision is "tp" of "tp" and "fp"."""
        return ops.divide_no_nan(self._counts(kind), ops.add(self._counts(kind), self._counts(other)))

    def _one_or_all(self, values: Any) -> Any:
        return ops.squeeze(values, 0) if len(self.thresholds) == 1 else values


class _Count(ConfusionMetric):
    """Base of the metrics that are one count."""

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.init_thresholds = thresholds
        self.thresholds = parse_thresholds(type(self).__name__, thresholds, 0.5)
        self._count = Counter(self.name, self.thresholds, evenly_spaced(self.thresholds))
        self.accumulator = self.add_variable((len(self.thresholds),), "zeros", name="accumulator")

    def _counts(self, kind: str) -> Variable:
        return self.accumulator

    def result(self) -> Any:
        return self._one_or_all(snapshot(self.accumulator))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


@builtin(KIND, "false_positives")
class FalsePositives(_Count):
    """How many labels 0 have a prediction above the threshold (a number, or a list: then a result for each).

    Raises ValueError for thresholds outside of [0, 1]. Source: https://keras.io/api/metrics/classification_metrics/

    Example:

        >>> from graphnet import metrics
        >>> metrics.FalsePositives()([0, 1, 0, 0], [0, 0, 1, 1])
        array(2., dtype=float32)
    """

    counted = ("fp",)


@builtin(KIND, "false_negatives")
class FalseNegatives(_Count):
    """How many labels 1 have a prediction that is not above the threshold (a number, or a list: then a result for each).

    Raises ValueError for thresholds outside of [0, 1]. Source: https://keras.io/api/metrics/classification_metrics/

    Example:

        >>> from graphnet import metrics
        >>> metrics.FalseNegatives()([0, 1, 1, 1], [0, 1, 0, 0])
        array(2., dtype=float32)
    """

    counted = ("fn",)


@builtin(KIND, "true_negatives")
class TrueNegatives(_Count):
    """How many labels 0 have a prediction that is not above the threshold (a number, or a list: then a result for each).

    Raises ValueError for thresholds outside of [0, 1]. Source: https://keras.io/api/metrics/classification_metrics/

    Example:

        >>> from graphnet import metrics
        >>> metrics.TrueNegatives()([0, 1, 0, 0], [1, 1, 0, 0])
        array(2., dtype=float32)
    """

    counted = ("tn",)


@builtin(KIND, "true_positives")
class TruePositives(_Count):
    """How many labels 1 have a prediction above the threshold (a number, or a list: then a result for each).

    Raises ValueError for thresholds outside of [0, 1]. Source: https://keras.io/api/metrics/classification_metrics/

    Example:

        >>> from graphnet import metrics
        >>> metrics.TruePositives()([0, 1, 1, 1], [1, 0, 1, 1])
        array(2., dtype=float32)
    """

    counted = ("tp",)


class _Rate(ConfusionMetric):
    """Base of precision and recall: of the true positives, and of one other count."""

    _direction = "up"

    def __init__(self, thresholds: Any = None, top_k: int | None = None, class_id: int | None = None, name: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.init_thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        parsed = parse_thresholds(type(self).__name__, thresholds, 0.5 if top_k is None else LOWEST)
        self._count_at(parsed, evenly_spaced(parsed), top_k=top_k, class_id=class_id)

    def result(self) -> Any:
        return self._one_or_all(self._ratio(*self.counted))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}


@builtin(KIND, "precision")
class Precision(_Rate):
    """The part of positive predictions that is right: tp / (tp + fp); 0 where there is none.

    Arguments: ``thresholds`` a number (0.5 by default) or a list; ``top_k``: the k largest scores of a row are positive;
    ``class_id``: only this class counts. Raises ValueError for thresholds outside of [0, 1].
    Source: https://keras.io/api/metrics/classification_metrics/

    Example:

        >>> from graphnet import metrics
        >>> round(float(metrics.Precision()([0, 1, 1, 1], [1, 0, 1, 1])), 6)
        0.666667
    """

    counted = ("tp", "fp")


@builtin(KIND, "recall")
class Recall(_Rate):
    """The part of labels 1 that is found: tp / (tp + fn); 0 where there is none.

    Arguments: ``thresholds`` a number (0.5 by default) or a list; ``top_k``: the k largest scores of a row are positive;
    ``class_id``: only this class counts. Raises ValueError for thresholds outside of [0, 1].
    Source: https://keras.io/api/metrics/classification_metrics/

    Example:

        >>> from graphnet import metrics
        >>> round(float(metrics.Recall()([0, 1, 1, 1], [1, 0, 1, 1])), 6)
        0.666667
    """

    counted = ("tp", "fn")


class _AtOther(ConfusionMetric):
    """Base of metrics that give the largest of one ratio over the thresholds at which another is at least a value.

    `held` and `sought` name the two counts of each ratio; `argument` that of the constructor that is the value.
    """

    held: ClassVar[tuple[str, str]]
    sought: ClassVar[tuple[str, str]]
    argument: ClassVar[str]
    _direction = "up"

    def __init__(self, value: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None,
                 dtype: Any = None) -> None:
        if not 0 <= value <= 1:
            raise ValueError(f"{type(self).__name__} expects {self.argument} between 0 and 1; received "
                             f"{self.argument}={value}.")
        if num_thresholds <= 0:
            raise ValueError(f"{type(self).__name__} expects num_thresholds > 0; received num_thresholds={num_thresholds}.")
        super().__init__(dtype, name)
        self.value, self.num_thresholds, self.class_id = value, num_thresholds, class_id
        setattr(self, self.argument, value)
        single = num_thresholds == 1
        self._count_at([0.5] if single else even_thresholds(num_thresholds), not single, class_id=class_id)

    def result(self) -> Any:
        reached = ops.greater_equal(self._ratio(*self.held), self.value)
        return ops.max(ops.where(reached, self._ratio(*self.sought), 0.0), initial=0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_thresholds": self.num_thresholds, self.argument: self.value,
                "class_id": self.class_id}


@builtin(KIND, "sensitivity_at_specificity")
class SensitivityAtSpecificity(_AtOther):
    """The best tp / (tp + fn) over thresholds at which tn / (tn + fp) is at least ``specificity``.

    Raises ValueError for a specificity outside of [0, 1]. Source: https://keras.io/api/metrics/classification_metrics/

    Example:

        >>> from graphnet import metrics
        >>> metrics.SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
        array(0.5, dtype=float32)
    """

    held, sought, argument = ("tn", "fp"), ("tp", "fn"), "specificity"

    def __init__(self, specificity: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)


@builtin(KIND, "specificity_at_sensitivity")
class SpecificityAtSensitivity(_AtOther):
    """The best tn / (tn + fp) over thresholds at which tp / (tp + fn) is at least ``sensitivity``.

    Raises ValueError for a sensitivity outside of [0, 1]. Source: https://keras.io/api/metrics/classification_metrics/

    Example:

        >>> from graphnet import metrics
        >>> round(float(metrics.SpecificityAtSensitivity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])), 6)
        0.666667
    """

    held, sought, argument = ("tp", "fn"), ("tn", "fp"), "sensitivity"

    def __init__(self, sensitivity: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)


@builtin(KIND, "precision_at_recall")
class PrecisionAtRecall(_AtOther):
    """The best tp / (tp + fp) over thresholds at which tp / (tp + fn) is at least ``recall``.

    Raises ValueError for a recall outside of [0, 1]. Source: https://keras.io/api/metrics/classification_metrics/

    Example:

        >>> from graphnet import metrics
        >>> metrics.PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
        array(0.5, dtype=float32)
    """

    held, sought, argument = ("tp", "fn"), ("tp", "fp"), "recall"

    def __init__(self, recall: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)


@builtin(KIND, "recall_at_precision")
class RecallAtPrecision(_AtOther):
    """The best tp / (tp + fn) over thresholds at which tp / (tp + fp) is at least ``precision``.

    Raises ValueError for a precision outside of [0, 1]. Source: https://keras.io/api/metrics/classification_metrics/

    Example:

        >>> from graphnet import metrics
        >>> metrics.RecallAtPrecision(0.8)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
        array(0.5, dtype=float32)
    """

    held, sought, argument = ("tp", "fp"), ("tp", "fn"), "precision"

    def __init__(self, precision: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)


__all__ = [
    "FalseNegatives", "FalsePositives", "Precision", "PrecisionAtRecall", "Recall", "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity", "TrueNegatives", "TruePositives",
]
