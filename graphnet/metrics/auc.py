"""The area under a curve of two rates over all thresholds."""
from collections.abc import Sequence
from typing import Any

from graphnet import config, identifiers, ops
from graphnet.dims import Dim
from graphnet.errors import GraphError, ShapeError
from graphnet.losses.loss import plain
from graphnet.metrics.confusion import NAMES, ConfusionMetric
from graphnet.metrics.counts import Counter, even_thresholds, evenly_spaced
from graphnet.metrics.metric import KIND, snapshot
from graphnet.ops.convert import shown
from graphnet.registry import builtin

CURVES, METHODS = ("ROC", "PR", "PRGAIN"), ("interpolation", "minoring", "majoring")


def _choice(argument: str, value: Any, known: Sequence[str]) -> str:
    """The known word that a value means in any case; ValueError, which lists them, where it means none."""
    word = str(getattr(value, "value", value))
    for name in known:
        if word.lower() == name.lower():
            return name
    raise ValueError(f"AUC expects {argument} among {', '.join(map(repr, known))}; received "
                     f"{value!r}.{identifiers.did_you_mean(word, known)}")


@builtin(KIND, "auc")
class AUC(ConfusionMetric):
    """The area under the curve of true against false positive rate (ROC), of precision against recall (PR), or of their gains.

    Arguments: ``num_thresholds`` in equal steps, or ``thresholds`` themselves; ``curve`` "ROC", "PR" or "PRGAIN";
    ``summation_method`` "interpolation", "minoring" or "majoring": how the area between two thresholds is taken;
    ``multi_label``: each label has a curve of its own, and the result is their mean, weighted by ``label_weights``;
    ``num_labels``: how many, known by the first batch otherwise; ``from_logits``: predictions go through a sigmoid before.
    Raises ValueError for other words and numbers, ShapeError where shapes do not fit.
    Sources: https://keras.io/api/metrics/classification_metrics/, https://www.biostat.wisc.edu/~page/rocpr.pdf

    Example:

        >>> from graphnet import metrics
        >>> metrics.AUC(num_thresholds=3)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
        array(0.75, dtype=float32)
    """

    _direction = "up"

    def __init__(self, num_thresholds: int = 200, curve: str = "ROC", summation_method: str = "interpolation",
                 name: str | None = None, dtype: Any = None, thresholds: Sequence[float] | None = None,
                 multi_label: bool = False, num_labels: int | None = None, label_weights: Any = None,
                 from_logits: bool = False) -> None:
        self.curve = _choice("curve", curve, CURVES)
        self.summation_method = _choice("summation_method", summation_method, METHODS)
        if thresholds is None and num_thresholds <= 1:
            raise ValueError(f"AUC expects num_thresholds > 1; received num_thresholds={num_thresholds}.")
        if num_labels and not multi_label:
            raise ValueError(f"AUC takes num_labels with multi_label=True alone; received num_labels={num_labels}.")
        super().__init__(dtype, name)
        self._given = thresholds is not None
        points = [0.0, *sorted(thresholds), 1.0] if thresholds is not None else even_thresholds(num_thresholds)
        even = thresholds is None or evenly_spaced(points)
        self.thresholds = [-config.epsilon(), *points[1:-1], 1.0 + config.epsilon()]
        self.num_thresholds, self.multi_label, self.num_labels = len(points), multi_label, num_labels
        self.label_weights = None if label_weights is None else ops.cast(label_weights, self.dtype)
        self.from_logits = from_logits
        self._count = Counter(self.name, self.thresholds, even, by_label=multi_label)
        self._built = False
        if not multi_label or num_labels:
            self._build(num_labels)

    def _build(self, labels: Any) -> None:
        """Makes the variables, once the number of labels is known."""
        shape = (self.num_thresholds, labels) if self.multi_label else (self.num_thresholds,)
        for kind in self.counted:
            setattr(self, NAMES[kind], self.add_variable(shape, "zeros", name=NAMES[kind]))
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = ops.convert_to_tensor(y_pred)
        if self.multi_label:
            self._expect_labels(ops.shape(y_pred))
        if self.from_logits:
            y_pred = ops.sigmoid(y_pred)
        weights = None if self.multi_label else self.label_weights
        self._add(self._count(self.counted, y_true, y_pred, sample_weight, weights, self.true_positives.dtype))

    def _expect_labels(self, shape: tuple[Any, ...]) -> None:
        if len(shape) != 2 or isinstance(shape[1], Dim):
            raise ShapeError(f"AUC {self.name!r} has multi_label=True, so it expects predictions of shape (batch, labels); "
                             "received "
                             f"{shown(shape)}.")
        if not self._built:
            self._build(shape[1])
        if self.true_positives.shape[1] != shape[1]:
            raise ShapeError(f"AUC {self.name!r} expects predictions of {self.true_positives.shape[1]} labels; received shape "
                             f"{shown(shape)}.")

    def result(self) -> Any:
        if not self._built:
            raise GraphError(f"AUC {self.name!r} with multi_label=True has no result yet: update it first, or give num_labels.")
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._mean_of_labels(self._interpolated_pr())
        x, y = self._curve()
        before, behind = y[:-1], y[1:]
        if self.summation_method == "interpolation":
            heights = ops.divide(ops.add(before, behind), 2.0)
        else:
            heights = (ops.minimum if self.summation_method == "minoring" else ops.maximum)(before, behind)
        return self._mean_of_labels(ops.multiply(ops.subtract(x[:-1], x[1:]), heights))

    def _curve(self) -> tuple[Any, Any]:
        """The two rates at each threshold."""
        if self.curve == "ROC":
            return self._ratio("fp", "tn"), self._ratio("tp", "fn")
        if self.curve == "PR":
            return self._ratio("tp", "fn"), self._ratio("tp", "fp")
        labels = ops.add(self.true_positives, self.false_negatives), ops.add(self.true_negatives, self.false_positives)
        scale = ops.divide_no_nan(*labels)
        none = ops.equal(self.true_positives, 0.0)

        def gain(wrong: Any, empty: float) -> Any:
            return ops.where(none, empty, ops.subtract(1.0, ops.multiply(scale, ops.divide_no_nan(wrong, self.true_positives))))
        return ops.maximum(gain(self.false_negatives, 0.0), 0.0), gain(self.false_positives, 1.0)

    def _interpolated_pr(self) -> Any:
        """The area between two points of precision and recall, where true and false positives are interpolated, not their
        ratios."""
        tp, positive = snapshot(self.true_positives), ops.add(self.true_positives, self.false_positives)
        gained, more = ops.subtract(tp[:-1], tp[1:]), ops.subtract(positive[:-1], positive[1:])
        slope = ops.divide_no_nan(gained, ops.maximum(more, 0.0))
        intercept = ops.subtract(tp[1:], ops.multiply(slope, positive[1:]))
        both = ops.logical_and(ops.greater(positive[:-1], 0.0), ops.greater(positive[1:], 0.0))
        ratio = ops.where(both, ops.divide_no_nan(positive[:-1], ops.maximum(positive[1:], 0.0)), 1.0)
        area = ops.multiply(slope, ops.add(gained, ops.multiply(intercept, ops.log(ratio))))
        return ops.divide_no_nan(area, ops.maximum(ops.add(tp[1:], snapshot(self.false_negatives)[1:]), 0.0))

    def _mean_of_labels(self, areas: Any) -> Any:
        if not self.multi_label:
            return ops.sum(areas)
        by_label = ops.sum(areas, 0)
        if self.label_weights is None:
            return ops.mean(by_label)
        return ops.divide_no_nan(ops.sum(ops.multiply(by_label, self.label_weights)), ops.sum(self.label_weights))

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "num_thresholds": self.num_thresholds, "curve": self.curve,
                  "summation_method": self.summation_method, "multi_label": self.multi_label, "num_labels": self.num_labels,
                  "label_weights": plain(self.label_weights), "from_logits": self.from_logits}
        return {**config, "thresholds": self.thresholds[1:-1]} if self._given else config


__all__ = ["AUC"]
