"""Intersection over union: how well regions of classes are met, from a matrix of labels against predictions."""
import warnings
from collections.abc import Sequence
from typing import Any

from graphnet import config, ops
from graphnet.losses.matching import expect_broadcast, expect_same_shape
from graphnet.metrics.metric import KIND, Metric, snapshot
from graphnet.registry import builtin


@builtin(KIND, "io_u")
class IoU(Metric):
    """The mean over some classes of tp / (tp + fp + fn); classes that neither labels nor predictions have do not count.

    Arguments: ``num_classes``; ``target_class_ids`` that are averaged; ``ignore_class``: labels of this class do not count;
    ``sparse_y_true``, ``sparse_y_pred``: class numbers, else vectors along ``axis``, of which the largest element tells the
    class.
    Labels and predictions that are no class do not count. Raises ValueError for a target that is no class.
    Source: https://keras.io/api/metrics/segmentation_metrics/

    Example:

        >>> from graphnet import metrics
        >>> round(float(metrics.IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1])), 6)
        0.333333
    """

    _direction = "up"

    def __init__(self, num_classes: int, target_class_ids: Sequence[int], name: str | None = None, dtype: Any = None,
                 ignore_class: int | None = None, sparse_y_true: bool = True, sparse_y_pred: bool = True,
                 axis: int = -1) -> None:
        if max(target_class_ids) >= num_classes:
            raise ValueError(f"{type(self).__name__} expects target_class_ids below num_classes={num_classes}; received "
                             f"{list(target_class_ids)}.")
        super().__init__(dtype or "int", name)
        self.num_classes, self.target_class_ids, self.ignore_class = num_classes, list(target_class_ids), ignore_class
        self.sparse_y_true, self.sparse_y_pred, self.axis = sparse_y_true, sparse_y_pred, axis
        self.total_cm = self.add_variable((num_classes, num_classes), "zeros", self.dtype, name="total_confusion_matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = self._classes(y_true, self.sparse_y_true), self._classes(y_pred, self.sparse_y_pred)
        expect_same_shape(self.name, y_true, y_pred)
        weights = self._weights(sample_weight, y_true)
        inside = ops.logical_and(self._known(y_true), self._known(y_pred))
        if self.ignore_class is not None:
            inside = ops.logical_and(inside, ops.not_equal(y_true, self.ignore_class))
        place = ops.where(inside, ops.add(ops.multiply(y_true, self.num_classes), y_pred), -1)  # segments leave -1 out
        counts = ops.segment_sum(weights, place, self.num_classes ** 2)
        self.total_cm.assign_add(ops.reshape(counts, (self.num_classes, self.num_classes)))

    def _classes(self, y: Any, sparse: bool) -> Any:
        """Class numbers in a row."""
        y = ops.cast(y if sparse else ops.argmax(y, self.axis), "int32")
        return ops.reshape(y, (-1,)) if len(y.shape) != 1 else y

    def _known(self, classes: Any) -> Any:
        return ops.logical_and(ops.greater_equal(classes, 0), ops.less(classes, self.num_classes))

    def _weights(self, sample_weight: Any, classes: Any) -> Any:
        if sample_weight is None:
            return ops.ones_like(classes, self.dtype)
        if "float" in str(getattr(sample_weight, "dtype", "")) and "int" in self.dtype:
            warnings.warn(f"{self.name} has dtype {self.dtype} and received weights of dtype {sample_weight.dtype}, which lose "
                          "what is behind "
                          "the point. Use integer weights, or dtype='float32'.", stacklevel=3)
        weights = ops.cast(sample_weight, self.dtype)
        if len(weights.shape) > 1:
            weights = ops.reshape(weights, (-1,))
        expect_broadcast(self.name, classes, weights, "class numbers and sample_weight")
        return weights if ops.shape(weights) == ops.shape(classes) else ops.broadcast_to(weights, ops.shape(classes))

    def result(self) -> Any:
        matrix = snapshot(self.total_cm)
        right = ops.diagonal(matrix)
        union = ops.subtract(ops.add(ops.sum(matrix, 0), ops.sum(matrix, 1)), right)
        right, union = (ops.cast(ops.take(v, self.target_class_ids), "float32") for v in (right, union))
        there = ops.cast(ops.greater(union, 1e-9), "float32")
        ratio = ops.multiply(there, ops.divide(right, ops.add(union, config.epsilon())))
        return ops.divide(ops.sum(ratio), ops.add(ops.sum(there), config.epsilon()))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes, "target_class_ids": self.target_class_ids,
                "ignore_class": self.ignore_class, "sparse_y_true": self.sparse_y_true, "sparse_y_pred": self.sparse_y_pred,
                "axis": self.axis}

    def _config_without(self, *names: str) -> dict[str, Any]:
        return {k: v for k, v in IoU.get_config(self).items() if k not in names}


@builtin(KIND, "binary_io_u")
class BinaryIoU(IoU):
    """Intersection over union of two classes, of predictions that are 1 from a threshold on.

    Source: https://keras.io/api/metrics/segmentation_metrics/

    Example:

        >>> from graphnet import metrics
        >>> round(float(metrics.BinaryIoU(target_class_ids=[0, 1], threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])), 6)
        0.333333
    """

    def __init__(self, target_class_ids: Sequence[int] = (0, 1), threshold: float = 0.5, name: str | None = None,
                 dtype: Any = None) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        positive = ops.greater_equal(ops.cast(y_pred, "float32"), self.threshold)
        super().update_state(y_true, ops.cast(positive, "int32"), sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**self._config_without("num_classes", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis"),
                "threshold": self.threshold}


@builtin(KIND, "mean_io_u")
class MeanIoU(IoU):
    """Intersection over union, the mean over all classes: see `IoU`.

    Example:

        >>> from graphnet import metrics
        >>> round(float(metrics.MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])), 6)
        0.333333
    """

    def __init__(self, num_classes: int, name: str | None = None, dtype: Any = None, ignore_class: int | None = None,
                 sparse_y_true: bool = True, sparse_y_pred: bool = True, axis: int = -1) -> None:
        super().__init__(num_classes, range(num_classes), name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return self._config_without("target_class_ids")


@builtin(KIND, "one_hot_io_u")
class OneHotIoU(IoU):
    """Intersection over union of labels that are vectors of classes: see `IoU`.

    Example:

        >>> from graphnet import metrics
        >>> metric = metrics.OneHotIoU(num_classes=2, target_class_ids=[0])
        >>> round(float(metric([[1, 0], [0, 1], [1, 0]], [[0.9, 0.1], [0.6, 0.4], [0.7, 0.3]])), 6)
        0.666667
    """

    def __init__(self, num_classes: int, target_class_ids: Sequence[int], name: str | None = None, dtype: Any = None,
                 ignore_class: int | None = None, sparse_y_pred: bool = False, axis: int = -1) -> None:
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return self._config_without("sparse_y_true")


@builtin(KIND, "one_hot_mean_io_u")
class OneHotMeanIoU(MeanIoU):
    """Intersection over union of labels that are vectors, the mean over all classes: see `IoU`.

    Example:

        >>> from graphnet import metrics
        >>> metric = metrics.OneHotMeanIoU(num_classes=2)
        >>> round(float(metric([[1, 0], [0, 1], [1, 0]], [[0.9, 0.1], [0.6, 0.4], [0.7, 0.3]])), 6)
        0.333333
    """

    def __init__(self, num_classes: int, name: str | None = None, dtype: Any = None, ignore_class: int | None = None,
                 sparse_y_pred: bool = False, axis: int = -1) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return self._config_without("target_class_ids", "sparse_y_true")


__all__ = ["BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"]
