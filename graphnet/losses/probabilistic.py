"""Losses between probabilities, or logits: cross-entropies, divergence, the Poisson distribution's likelihood."""
import warnings
from typing import Any

from graphnet import config, ops
from graphnet.errors import ShapeError
from graphnet.losses.loss import KIND, FunctionLoss, LossFunctionWrapper
from graphnet.losses.matching import expect_broadcast, expect_logits, expect_same_shape
from graphnet.masking import set_mask
from graphnet.ops.convert import shown
from graphnet.registry import builtin


def _operands(who: str, y_true: Any, y_pred: Any, from_logits: Any, label_smoothing: float = 0.0,
              axis: Any = -1) -> tuple[Any, Any]:
    """Labels and predictions as tensors of one dtype, after the checks that all cross-entropies share."""
    if isinstance(axis, bool):
        raise ValueError(f"{who} expects axis to be an int; received axis={axis}. Did you mean from_logits={axis}? Name the "
                         "argument.")
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"{who} expects label_smoothing between 0 and 1; received {label_smoothing}.")
    y_pred = ops.convert_to_tensor(y_pred)
    expect_logits(who, y_pred, from_logits)
    return ops.cast(y_true, y_pred.dtype), y_pred


def _expect_classes(who: str, y_true: Any, y_pred: Any) -> None:
    """Labels with a value for each class; says what fits class numbers."""
    if len(y_pred.shape) and y_pred.shape[-1] == 1:
        warnings.warn(f"{who} expects a prediction for each of several classes; received y_pred of shape "
                      f"{shown(ops.shape(y_pred))}. "
                      "For two classes and one value use binary_crossentropy.", SyntaxWarning, stacklevel=3)
    numbers = len(y_true.shape) == len(y_pred.shape) - 1 or (len(y_true.shape) and y_true.shape[-1] == 1)
    expect_same_shape(who, y_true, y_pred, "Labels that are class numbers, as these seem to be, go with "
                      "sparse_categorical_crossentropy, or become vectors by graphnet.utils.to_categorical." if numbers else "")


def _smoothed(y_true: Any, label_smoothing: float, classes: Any) -> Any:
    """Labels drawn towards the same value for all classes."""
    if not label_smoothing:
        return y_true
    share = ops.divide(label_smoothing, ops.cast(classes, y_true.dtype))
    return ops.add(ops.multiply(y_true, 1.0 - label_smoothing), share)


@builtin(KIND)
def poisson(y_true: Any, y_pred: Any) -> Any:
    """mean(y_pred - y_true * log(y_pred + epsilon)) along the last axis: (..., D), (..., D) -> (...).

    Raises ShapeError where the shapes do not fit. Source: https://keras.io/api/losses/probabilistic_losses/

    Example:

        >>> from graphnet import losses
        >>> losses.poisson([[0.0, 0.0]], [[1.0, 3.0]])
        array([2.], dtype=float32)
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    expect_broadcast("poisson", y_true, y_pred)
    return ops.mean(ops.subtract(y_pred, ops.multiply(y_true, ops.log(ops.add(y_pred, config.epsilon())))), -1)


@builtin(KIND, "kld", "KLD")
def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """sum(y_true * log(y_true / y_pred)) along the last axis, of values between epsilon and 1: (..., C), (..., C) -> (...).

    Raises ShapeError where the shapes do not fit. Source: https://doi.org/10.1214/aoms/1177729694

    Example:

        >>> from graphnet import losses
        >>> losses.kl_divergence([[0.5, 0.5]], [[0.5, 0.5]])
        array([0.], dtype=float32)
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    expect_broadcast("kl_divergence", y_true, y_pred)
    y_true, y_pred = (ops.clip(y, config.epsilon(), 1.0) for y in (y_true, y_pred))
    return ops.sum(ops.multiply(y_true, ops.log(ops.divide(y_true, y_pred))), -1)


@builtin(KIND, "bce", "BCE")
def binary_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0,
                        axis: int = -1) -> Any:
    """-mean(y_true * log(y_pred) + (1 - y_true) * log(1 - y_pred)) along `axis`, of probabilities or of logits.

    Arguments: ``label_smoothing`` draws labels by that share to 0.5. Shapes: (..., D), (..., D) -> (...).
    Raises ShapeError where they differ. Source: https://keras.io/api/losses/probabilistic_losses/

    Example:

        >>> from graphnet import losses
        >>> losses.binary_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
        array([0.6931472], dtype=float32)
    """
    y_true, y_pred = _operands("binary_crossentropy", y_true, y_pred, from_logits, label_smoothing)
    expect_same_shape("binary_crossentropy", y_true, y_pred)
    return ops.mean(ops.binary_crossentropy(_smoothed(y_true, label_smoothing, 2), y_pred, from_logits=from_logits), axis)


@builtin(KIND)
def binary_focal_crossentropy(y_true: Any, y_pred: Any, apply_class_balancing: bool = False, alpha: float = 0.25,
                              gamma: float = 2.0, from_logits: bool = False, label_smoothing: float = 0.0,
                              axis: int = -1) -> Any:
    """The binary cross-entropy times (1 - p)^gamma, p the probability of the true label; times alpha or 1 - alpha if balanced.

    Shapes: (..., D), (..., D) -> (...). Raises ShapeError where they differ. Source: https://arxiv.org/abs/1708.02002

    Example:

        >>> from graphnet import losses
        >>> losses.binary_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
        array([0.1732868], dtype=float32)
    """
    who = "binary_focal_crossentropy"
    y_true, y_pred = _operands(who, y_true, y_pred, from_logits, label_smoothing)
    expect_same_shape(who, y_true, y_pred)
    y_true = _smoothed(y_true, label_smoothing, 2)
    y_pred = ops.sigmoid(y_pred) if from_logits else y_pred
    entropy = ops.binary_crossentropy(y_true, y_pred)
    p = ops.add(ops.multiply(y_true, y_pred), ops.multiply(ops.subtract(1.0, y_true), ops.subtract(1.0, y_pred)))
    focal = ops.multiply(ops.power(ops.subtract(1.0, p), gamma), entropy)
    if apply_class_balancing:
        focal = ops.multiply(ops.add(ops.multiply(y_true, alpha), ops.multiply(ops.subtract(1.0, y_true), 1.0 - alpha)), focal)
    return ops.mean(focal, axis)


@builtin(KIND)
def categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0,
                             axis: int = -1) -> Any:
    """-sum(y_true * log(y_pred)) along `axis`, of probabilities (scaled to add up to 1) or of logits.

    Arguments: ``label_smoothing`` draws labels by that share to 1 / C. Shapes: (..., C), (..., C) -> (...).
    Raises ShapeError where they differ. Source: https://keras.io/api/losses/probabilistic_losses/

    Example:

        >>> from graphnet import losses
        >>> losses.categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
        array([0.6931472], dtype=float32)
    """
    who = "categorical_crossentropy"
    y_true, y_pred = _operands(who, y_true, y_pred, from_logits, label_smoothing, axis)
    _expect_classes(who, y_true, y_pred)
    y_true = _smoothed(y_true, label_smoothing, ops.shape(y_true)[-1])
    return ops.categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)


@builtin(KIND)
def categorical_focal_crossentropy(y_true: Any, y_pred: Any, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False,
                                   label_smoothing: float = 0.0, axis: int = -1) -> Any:
    """-sum(alpha * (1 - y_pred)^gamma * y_true * log(y_pred)) along `axis`; `alpha` may have a value for each class.

    Shapes: (..., C), (..., C) -> (...). Raises ShapeError where they differ. Source: https://arxiv.org/abs/1708.02002

    Example:

        >>> from graphnet import losses
        >>> losses.categorical_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
        array([0.0433217], dtype=float32)
    """
    who = "categorical_focal_crossentropy"
    y_true, y_pred = _operands(who, y_true, y_pred, from_logits, label_smoothing, axis)
    _expect_classes(who, y_true, y_pred)
    y_true = _smoothed(y_true, label_smoothing, ops.shape(y_true)[-1])
    y_pred = ops.softmax(y_pred, axis) if from_logits else y_pred
    p = ops.clip(ops.divide(y_pred, ops.sum(y_pred, axis, True)), config.epsilon(), 1.0 - config.epsilon())
    weight = ops.multiply(ops.power(ops.subtract(1.0, p), gamma), alpha)
    return ops.negative(ops.sum(ops.multiply(weight, ops.multiply(y_true, ops.log(p))), axis))


@builtin(KIND)
def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None,
                                    axis: int = -1) -> Any:
    """-log(y_pred[y_true]) along `axis`, of probabilities (scaled to add up to 1) or of logits; labels are class numbers.

    Arguments: ``ignore_class``: samples of this class count 0, and are masked, so that means leave them out.
    Shapes: (...) or (..., 1), (..., C) -> (...). Raises ShapeError where they do not fit.
    Source: https://keras.io/api/losses/probabilistic_losses/

    Example:

        >>> from graphnet import losses
        >>> losses.sparse_categorical_crossentropy([1], [[0.5, 0.5]])
        array([0.6931472], dtype=float32)
    """
    who = "sparse_categorical_crossentropy"
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    _operands(who, y_true, y_pred, from_logits, axis=axis)
    _expect_class_numbers(who, y_true, y_pred, axis)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[axis] == 1:
        y_true = ops.squeeze(y_true, axis)
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    valid = ops.not_equal(y_true, ignore_class)
    y_true, y_pred = ops.where(valid, y_true, 0), ops.where(ops.expand_dims(valid, axis), y_pred, 0.0)
    values = ops.where(valid, ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis), 0.0)
    set_mask(values, valid)
    return values


def _expect_class_numbers(who: str, y_true: Any, y_pred: Any, axis: int) -> None:
    """Labels without an axis of classes; says what fits vectors."""
    a, b = ops.shape(y_true), ops.shape(y_pred)
    if len(a) == len(b) and len(a) and a[axis] == b[axis] != 1:
        raise ShapeError(f"{who} expects class numbers, of shape {shown(b[:-1])}; received y_true of shape {shown(a)}, the "
                         "shape of y_pred. "
                         "Labels that are vectors go with categorical_crossentropy, or become numbers by ops.argmax(y, -1).")


@builtin(KIND)
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Any:
    """(1 - p^q) / q, p the probability of the true class: robust to wrong labels; q near 0 is cross-entropy, near 1 absolute
    error.

    Shapes: (...) class numbers, (..., C) -> (...). Source: https://arxiv.org/abs/1805.07836

    Example:

        >>> from graphnet import losses
        >>> losses.categorical_generalized_cross_entropy([1], [[0.75, 0.25]], q=0.5)
        array([1.], dtype=float32)
    """
    y_pred = ops.convert_to_tensor(y_pred)
    who = "categorical_generalized_cross_entropy"
    _expect_class_numbers(who, ops.convert_to_tensor(y_true), y_pred, -1)
    picked = ops.one_hot(ops.cast(y_true, "int32"), ops.shape(y_pred)[-1], dtype=y_pred.dtype)
    expect_broadcast(who, picked, y_pred)
    return ops.divide(ops.subtract(1.0, ops.power(ops.sum(ops.multiply(y_pred, picked), -1), q)), q)


@builtin(KIND)
class Poisson(FunctionLoss):
    """The negative logarithm of a Poisson distribution's likelihood: see `poisson` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> losses.Poisson()([[0.0, 0.0]], [[1.0, 3.0]])
        array(2., dtype=float32)
    """

    function = staticmethod(poisson)


@builtin(KIND)
class KLDivergence(FunctionLoss):
    """The Kullback-Leibler divergence of two distributions: see `kl_divergence` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> losses.KLDivergence()([[0.5, 0.5]], [[0.5, 0.5]])
        array(0., dtype=float32)
    """

    function = staticmethod(kl_divergence)


@builtin(KIND)
class BinaryCrossentropy(LossFunctionWrapper):
    """The cross-entropy of labels 0 or 1: see `binary_crossentropy` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> losses.BinaryCrossentropy(from_logits=True)([[0.0, 1.0]], [[0.0, 0.0]])
        array(0.6931472, dtype=float32)
    """

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
                 reduction: str | None = "sum_over_batch_size", name: str | None = "binary_crossentropy",
                 dtype: Any = None) -> None:
        super().__init__(binary_crossentropy, reduction, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing,
                         axis=axis)


@builtin(KIND)
class BinaryFocalCrossentropy(LossFunctionWrapper):
    """The cross-entropy of labels 0 or 1, less for those that are predicted well: see `binary_focal_crossentropy` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> losses.BinaryFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])
        array(0.1732868, dtype=float32)
    """

    def __init__(self, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False,
                 label_smoothing: float = 0.0, axis: int = -1, reduction: str | None = "sum_over_batch_size",
                 name: str | None = "binary_focal_crossentropy", dtype: Any = None) -> None:
        super().__init__(binary_focal_crossentropy, reduction, name, dtype, apply_class_balancing=apply_class_balancing,
                         alpha=alpha,
                         gamma=gamma, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)


@builtin(KIND)
class CategoricalCrossentropy(LossFunctionWrapper):
    """The cross-entropy of labels that are vectors of classes: see `categorical_crossentropy` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> losses.CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])
        array(0.6931472, dtype=float32)
    """

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
                 reduction: str | None = "sum_over_batch_size", name: str | None = "categorical_crossentropy",
                 dtype: Any = None) -> None:
        super().__init__(categorical_crossentropy, reduction, name, dtype, from_logits=from_logits,
                         label_smoothing=label_smoothing,
                         axis=axis)


@builtin(KIND)
class CategoricalFocalCrossentropy(LossFunctionWrapper):
    """The cross-entropy of classes, less for those that are predicted well: see `categorical_focal_crossentropy` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> losses.CategoricalFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])
        array(0.0433217, dtype=float32)
    """

    def __init__(self, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False, label_smoothing: float = 0.0,
                 axis: int = -1, reduction: str | None = "sum_over_batch_size",
                 name: str | None = "categorical_focal_crossentropy", dtype: Any = None) -> None:
        super().__init__(categorical_focal_crossentropy, reduction, name, dtype, alpha=alpha, gamma=gamma,
                         from_logits=from_logits,
                         label_smoothing=label_smoothing, axis=axis)


@builtin(KIND)
class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """The cross-entropy of labels that are class numbers: see `sparse_categorical_crossentropy` and `Loss`.

    Example:

        >>> from graphnet import losses
        >>> losses.SparseCategoricalCrossentropy(ignore_class=-1)([1, -1], [[0.5, 0.5], [0.9, 0.1]])
        array(0.6931472, dtype=float32)
    """

    rarely = {"axis": -1}

    def __init__(self, from_logits: bool = False, ignore_class: int | None = None,
                 reduction: str | None = "sum_over_batch_size", axis: int = -1,
                 name: str | None = "sparse_categorical_crossentropy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_crossentropy, reduction, name, dtype, from_logits=from_logits,
                         ignore_class=ignore_class,
                         axis=axis)


@builtin(KIND)
class CategoricalGeneralizedCrossEntropy(LossFunctionWrapper):
    """A cross-entropy that wrong labels disturb less: see `categorical_generalized_cross_entropy` and `Loss`.

    Raises ValueError for q outside of (0, 1).

    Example:

        >>> from graphnet import losses
        >>> losses.CategoricalGeneralizedCrossEntropy(q=0.5)([1], [[0.75, 0.25]])
        array(1., dtype=float32)
    """

    def __init__(self, q: float = 0.5, reduction: str | None = "sum_over_batch_size",
                 name: str | None = "categorical_generalized_cross_entropy", dtype: Any = None) -> None:
        if not 0 < q < 1:
            raise ValueError(f"CategoricalGeneralizedCrossEntropy expects 0 < q < 1; received q={q}.")
        super().__init__(categorical_generalized_cross_entropy, reduction, name, dtype, q=q)


__all__ = [
    "BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy", "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy", "KLDivergence", "Poisson", "SparseCategoricalCrossentropy", "binary_crossentropy",
    "binary_focal_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "kl_divergence", "poisson", "sparse_categorical_crossentropy",
]
