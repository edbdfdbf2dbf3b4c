"""How many labels a threshold gets right and wrong: true and false positives and negatives, at each of several thresholds."""
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphnet import config, ops
from graphnet.errors import ShapeError
from graphnet.losses.matching import expect_broadcast, expect_same_shape, squeeze_or_expand_to_same_rank
from graphnet.ops.convert import shown

LOWEST = -1e10  # below any score


def parse_thresholds(who: str, thresholds: Any, default: float) -> list[float]:
    """Thresholds as a list; ValueError where one is outside of [0, 1]."""
    if thresholds is None:
        return [default]
    listed = list(thresholds) if isinstance(thresholds, (list, tuple, np.ndarray)) else [thresholds]
    wrong = [t for t in listed if t is None or t < 0 or t > 1]
    if wrong:
        raise ValueError(f"{who} expects thresholds between 0 and 1; received {wrong}.")
    return listed


MANY = 1 << 20  # thresholds: float32 hardly tells more of them apart


def even_thresholds(count: int) -> list[float]:
    """`count` thresholds from 0 to 1, equally far apart.

    Raises ValueError for more than are of any use: files name the count, too.
    """
    if count > MANY:
        raise ValueError(f"num_thresholds is expected to be at most {MANY}; received {count}.")
    return [0.0, *((i + 1) * 1.0 / (count - 1) for i in range(count - 2)), 1.0]


def evenly_spaced(thresholds: Sequence[float]) -> bool:
    """Whether they go from 0 to 1 in equal steps: then each score belongs to one bucket, and counting needs no comparisons."""
    count = len(thresholds)
    return count >= 3 and bool(np.allclose(thresholds, np.arange(count, dtype="float32") / (count - 1), atol=config.epsilon()))


class Counter:
    """Counts at thresholds: a dict of "tp", "fp", "tn", "fn", each of shape (thresholds,), or (thresholds, labels) by label.

    Arguments: ``top_k``: all but the k largest scores of a row are negative; ``class_id``: only this class counts;
    ``by_label``:
    each label is counted for itself; ``even``: the thresholds go from 0 to 1 in equal steps.
    """

    def __init__(self, who: str, thresholds: Sequence[float], even: bool = False, top_k: int | None = None,
                 class_id: int | None = None, by_label: bool = False) -> None:
        self.who, self.thresholds, self.even, self.top_k, self.class_id = who, thresholds, even, top_k, class_id
        self.by_label = by_label

    def __call__(self, wanted: Sequence[str], y_true: Any, y_pred: Any, sample_weight: Any = None, label_weights: Any = None,
                 dtype: str = "float32") -> dict[str, Any]:
        """The counts that are wanted. Raises ShapeError where shapes do not fit."""
        y_true, y_pred, weights = self._operands(y_true, y_pred, sample_weight, label_weights, dtype)
        if self.even:
            return self._by_buckets(wanted, y_true, y_pred, weights)
        return self._by_comparisons(wanted, y_true, y_pred, weights)

    def _operands(self, y_true: Any, y_pred: Any, sample_weight: Any, label_weights: Any, dtype: str) -> tuple[Any, Any, Any]:
        """Labels 0 or 1, scores, and weights (None for 1 throughout), all of the metric's dtype."""
        y_pred, y_true = squeeze_or_expand_to_same_rank(ops.cast(y_pred, dtype), ops.cast(y_true, dtype))
        expect_same_shape(self.who, y_true, y_pred)
        weights = None
        if sample_weight is not None:
            weights = ops.expand_dims(ops.cast(sample_weight, dtype), -1)
            _, weights = squeeze_or_expand_to_same_rank(y_true, weights, expand_rank_1=False)
            expect_broadcast(self.who, y_pred, weights, "predictions and sample_weight")
        if label_weights is not None:
            labels = ops.cast(label_weights, dtype)
            expect_broadcast(self.who, y_pred, labels, "predictions and label_weights")
            weights = labels if weights is None else ops.multiply(weights, labels)
        if self.top_k is not None:
            y_pred = self._only_top_k(y_pred)
        if self.class_id is not None:
            y_true, y_pred = self._of_class(y_true), self._of_class(y_pred)
            if weights is not None and len(weights.shape) == len(y_pred.shape) and weights.shape[-1] != 1:
                weights = self._of_class(weights)
        return ops.cast(ops.not_equal(y_true, 0.0), dtype), y_pred, weights

    def _only_top_k(self, y_pred: Any) -> Any:
        _, best = ops.top_k(y_pred, self.top_k)
        chosen = ops.sum(ops.one_hot(best, y_pred.shape[-1], dtype=y_pred.dtype), -2)
        return ops.where(ops.greater(chosen, 0.0), y_pred, LOWEST)

    def _of_class(self, y: Any) -> Any:
        if len(y.shape) < 2:
            raise ShapeError(f"{self.who} has class_id={self.class_id}, so it expects predictions of shape (batch, classes); "
                             "received "
                             f"{shown(ops.shape(y))}.")
        if type(y.shape[-1]) is int and not -y.shape[-1] <= (self.class_id or 0) < y.shape[-1]:
            raise ShapeError(f"{self.who} has class_id={self.class_id}, but the predictions, of shape {shown(ops.shape(y))}, "
                             "have "
                             f"{y.shape[-1]} classes: class_id is between 0 and {y.shape[-1] - 1}.")
        return y[..., self.class_id, None]

    def _by_comparisons(self, wanted: Sequence[str], y_true: Any, y_pred: Any, weights: Any) -> dict[str, Any]:
        """Each score against each threshold."""
        rank = len(y_pred.shape)
        axes = tuple(range(1, rank if self.by_label else rank + 1))
        thresholds = np.asarray(self.thresholds, y_pred.dtype).reshape(-1, *[1] * rank)
        positive = ops.greater(ops.expand_dims(y_pred, 0), thresholds)
        yes = y_true if weights is None else ops.multiply(y_true, weights)
        no = ops.subtract(1.0, y_true) if weights is None else ops.multiply(ops.subtract(1.0, y_true), weights)

        def count(kind: str) -> Any:
            label = ops.expand_dims(yes if kind in ("tp", "fn") else no, 0)
            return ops.sum(ops.where(positive, label, 0.0) if kind in ("tp", "fp") else ops.where(positive, 0.0, label), axes)
        return {kind: count(kind) for kind in wanted}

    def _by_buckets(self, wanted: Sequence[str], y_true: Any, y_pred: Any, weights: Any) -> dict[str, Any]:
        """Each score into the bucket below the thresholds that it does not pass; what is in higher buckets is positive."""
        count = len(self.thresholds)
        labels = ops.stack([y_true, ops.subtract(1.0, y_true)], -1)
        if weights is not None:
            labels = ops.multiply(labels, ops.expand_dims(weights, -1))
        bucket = ops.subtract(ops.ceil(ops.multiply(ops.clip(y_pred, 0.0, 1.0), count - 1.0)), 1.0)
        if self.thresholds[0] < 0.0 or self.thresholds[-1] > 1.0:
            bucket = ops.maximum(bucket, 0.0)
        bucket = ops.cast(bucket, "int32")  # -1 for a score of 0, which passes no threshold: left out
        width = 1
        if self.by_label:
            width = y_pred.shape[-1]
            bucket = ops.where(ops.less(bucket, 0), -1, ops.add(ops.multiply(bucket, width), ops.arange(width)))
        sums = ops.segment_sum(ops.reshape(labels, (-1, 2)), ops.reshape(bucket, (-1,)), count * width)
        sums = ops.reshape(sums, (count, width, 2) if self.by_label else (count, 2))
        passed = ops.flip(ops.cumsum(ops.flip(sums, 0), 0), 0)
        counts = {"tp": passed[..., 0], "fp": passed[..., 1]}
        if "fn" in wanted or "tn" in wanted:
            total = ops.sum(labels, tuple(range(len(y_pred.shape) - self.by_label)))
            rest = ops.subtract(total, passed)
            counts |= {"fn": rest[..., 0], "tn": rest[..., 1]}
        return {kind: counts[kind] for kind in wanted}
