"""Accuracies: how many predictions are right."""
from typing import Any

from graphnet import config, ops
from graphnet.errors import ShapeError
from graphnet.losses.matching import expect_broadcast, expect_same_shape, operands
from graphnet.metrics.metric import KIND
from graphnet.metrics.reduction import FUNCTIONS, FunctionMetric, MeanMetricWrapper
from graphnet.ops.convert import shown
from graphnet.registry import builtin


def _matches(y_true: Any, y_pred: Any) -> Any:
    return ops.cast(ops.equal(y_true, y_pred), config.floatx())


@builtin(FUNCTIONS)
def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where labels and predictions are equal, else 0. Raises ShapeError where the shapes do not fit.

    Source: https://keras.io/api/metrics/accuracy_metrics/

    Example:

        >>> from graphnet.metrics.accuracy import accuracy
        >>> accuracy([1, 2], [1, 3])
        array([1., 0.], dtype=float32)
    """
    return _matches(*operands("accuracy", y_true, y_pred))


@builtin(FUNCTIONS)
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """1 where the label is 1 and the prediction above the threshold, or the label 0 and the prediction not above it; else 0.

    Raises ShapeError where the shapes do not fit. Source: https://keras.io/api/metrics/accuracy_metrics/

    Example:

        >>> from graphnet import metrics
        >>> metrics.binary_accuracy([1, 1, 0, 0], [0.98, 1.0, 0.0, 0.6])
        array([1., 1., 1., 0.], dtype=float32)
    """
    dtype = ops.convert_to_tensor(y_true).dtype
    y_true, y_pred = operands("binary_accuracy", y_true, y_pred)
    return _matches(ops.cast(y_true, dtype), ops.cast(ops.greater(y_pred, threshold), dtype))


@builtin(FUNCTIONS)
def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest of the labels and of the predictions are of one class, else 0. Shapes: (..., C), (..., C) -> (...).

    Raises ShapeError where they differ. Source: https://keras.io/api/metrics/accuracy_metrics/

    Example:

        >>> from graphnet import metrics
        >>> metrics.categorical_accuracy([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
        array([0., 1.], dtype=float32)
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    expect_same_shape("categorical_accuracy", y_true, y_pred,
                      "Labels that are class numbers go with sparse_categorical_accuracy.")
    return _matches(ops.argmax(y_true, -1), ops.argmax(y_pred, -1))


@builtin(FUNCTIONS)
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest of the predictions is of the label's class, else 0. Shapes: (...) or (..., 1), (..., C) -> (...).

    Raises ShapeError where they do not fit. Source: https://keras.io/api/metrics/accuracy_metrics/

    Example:

        >>> from graphnet import metrics
        >>> metrics.sparse_categorical_accuracy([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]])
        array([0., 1.], dtype=float32)
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    if len(y_true.shape) == len(y_pred.shape):
        raise ShapeError(f"sparse_categorical_accuracy expects class numbers, of shape {shown(ops.shape(y_pred)[:-1])}; "
                         "received y_true of "
                         f"shape {shown(ops.shape(y_true))}. Labels that are vectors go with categorical_accuracy.")
    found = ops.cast(ops.argmax(y_pred, -1), y_true.dtype)
    expect_broadcast("sparse_categorical_accuracy", y_true, found)
    matches = _matches(y_true, found)
    return ops.squeeze(matches, -1) if len(matches.shape) > 1 and matches.shape[-1] == 1 else matches


def _in_top_k(who: str, y_true: Any, y_pred: Any, k: int) -> Any:
    """Whether the class is among the k best, of class numbers of any rank."""
    extents = ops.shape(y_true)
    expect_same_shape(who, y_true, y_pred[..., 0])
    if len(extents) > 1:
        y_true, y_pred = ops.reshape(y_true, (-1,)), ops.reshape(y_pred, (-1, y_pred.shape[-1]))
    matches = ops.cast(ops.in_top_k(ops.cast(y_true, "int32"), y_pred, k=k), config.floatx())
    return ops.reshape(matches, extents) if len(extents) > 1 else matches


@builtin(FUNCTIONS)
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the label's class is among the k largest predictions, else 0. Shapes: (..., C), (..., C) -> (...).

    Raises ShapeError where they differ. Source: https://keras.io/api/metrics/accuracy_metrics/

    Example:

        >>> from graphnet import metrics
        >>> metrics.top_k_categorical_accuracy([[0, 0, 1], [0, 1, 0]], [[0.9, 0.1, 0.8], [0.8, 0.05, 0.9]], k=2)
        array([1., 0.], dtype=float32)
    """
    who = "top_k_categorical_accuracy"
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    expect_same_shape(who, y_true, y_pred, "Labels that are class numbers go with sparse_top_k_categorical_accuracy.")
    return _in_top_k(who, ops.argmax(y_true, -1), y_pred, k)


@builtin(FUNCTIONS)
def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Any:
    """1 where the label is among the classes of the k largest predictions, else 0. Shapes: (...), (..., C) -> (...).

    Arguments: ``from_sorted_ids``: the predictions are class numbers, best first. Raises ShapeError where shapes do not fit.
    Source: https://keras.io/api/metrics/accuracy_metrics/

    Example:

        >>> from graphnet import metrics
        >>> metrics.sparse_top_k_categorical_accuracy([2, 1], [[0.9, 0.1, 0.8], [0.8, 0.05, 0.9]], k=2)
        array([1., 0.], dtype=float32)
    """
    who = "sparse_top_k_categorical_accuracy"
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype if from_sorted_ids else "int32")
    if not from_sorted_ids:
        return _in_top_k(who, y_true, y_pred, k)
    expect_same_shape(who, y_true, y_pred[..., 0])
    return ops.cast(ops.any(ops.equal(ops.expand_dims(y_true, -1), y_pred[..., :k]), -1), config.floatx())


@builtin(KIND, "accuracy", "acc")
class Accuracy(FunctionMetric):
    """How often predictions equal labels: see `Mean`. (In ``compile(metrics=["accuracy"])`` the word means one of the others
    below.)

    Example:

        >>> from graphnet import metrics
        >>> metrics.Accuracy()([[1], [2], [3], [4]], [[0], [2], [3], [4]])
        array(0.75, dtype=float32)
    """

    function = staticmethod(accuracy)
    _direction = "up"


@builtin(KIND, "binary_accuracy")
class BinaryAccuracy(MeanMetricWrapper):
    """How often predictions above a threshold meet labels 1, and others labels 0: see `binary_accuracy`.

    Raises ValueError for a threshold outside of [0, 1].

    Example:

        >>> from graphnet import metrics
        >>> metrics.BinaryAccuracy()([[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]])
        array(0.75, dtype=float32)
    """

    _direction = "up"

    def __init__(self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


@builtin(KIND, "categorical_accuracy")
class CategoricalAccuracy(FunctionMetric):
    """How often the largest prediction is of the label's class, of labels that are vectors: see `categorical_accuracy`.

    Example:

        >>> from graphnet import metrics
        >>> metrics.CategoricalAccuracy()([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
        array(0.5, dtype=float32)
    """

    function = staticmethod(categorical_accuracy)
    _direction = "up"


@builtin(KIND, "sparse_categorical_accuracy")
class SparseCategoricalAccuracy(FunctionMetric):
    """How often the largest prediction is of the label's class, of labels that are class numbers: see
    `sparse_categorical_accuracy`.

    Example:

        >>> from graphnet import metrics
        >>> metrics.SparseCategoricalAccuracy()([[2], [1]], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]])
        array(0.5, dtype=float32)
    """

    function = staticmethod(sparse_categorical_accuracy)
    _direction = "up"


@builtin(KIND, "top_k_categorical_accuracy")
class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the label's class is among the k largest predictions: see `top_k_categorical_accuracy`.

    Example:

        >>> from graphnet import metrics
        >>> metrics.TopKCategoricalAccuracy(k=1)([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
        array(0.5, dtype=float32)
    """

    _direction = "up"

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)


@builtin(KIND, "sparse_top_k_categorical_accuracy")
class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the label is among the classes of the k largest predictions: see `sparse_top_k_categorical_accuracy`.

    Example:

        >>> from graphnet import metrics
        >>> metrics.SparseTopKCategoricalAccuracy(k=1)([2, 1], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
        array(0.5, dtype=float32)
    """

    rarely = {"from_sorted_ids": False}
    _direction = "up"

    def __init__(self, k: int = 5, name: str | None = "sparse_top_k_categorical_accuracy", dtype: Any = None,
                 from_sorted_ids: bool = False) -> None:
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k, from_sorted_ids=from_sorted_ids)


__all__ = [
    "Accuracy", "BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy", "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy", "top_k_categorical_accuracy",
]
