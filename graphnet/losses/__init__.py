"""Losses, and what their names in arguments and files mean."""
from typing import Any

from graphnet import identifiers
from graphnet.losses.circle import Circle, circle
from graphnet.losses.ctc import CTC, ctc
from graphnet.losses.hinge import CategoricalHinge, Hinge, SquaredHinge, categorical_hinge, hinge, squared_hinge
from graphnet.losses.loss import Loss
from graphnet.losses.loss import function_config as _function_config
from graphnet.losses.overlap import Dice, Tversky, dice, tversky
from graphnet.losses.probabilistic import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    kl_divergence,
    poisson,
    sparse_categorical_crossentropy,
)
from graphnet.losses.regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    cosine_similarity,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)

_KIND = "losses"


def get(identifier: Any) -> Any:
    """The loss that an identifier means: the name of a function or class, a config, a class, a callable; None stays None.

    Raises ValueError, which lists the names, where there is none.

    Example:

        >>> from graphnet import losses
        >>> losses.get("mse") is losses.mean_squared_error, losses.get("Huber").delta
        (True, 1.0)
    """
    if isinstance(identifier, str) and identifier.lower() in ("ce", "crossentropy"):
        raise ValueError(f"The loss {identifier!r} is chosen by the shapes of labels and outputs: compile(loss={identifier!r}) "
                         "does that. "
                         "Here name one of 'binary_crossentropy', 'categorical_crossentropy', "
                         "'sparse_categorical_crossentropy'.")
    return identifiers.get(_KIND, identifier)


def serialize(loss: Any) -> Any:
    """What a file holds of a loss.

    Example:

        >>> from graphnet import losses
        >>> losses.serialize(losses.MeanSquaredError())["config"]
        {'name': 'mean_squared_error', 'reduction': 'sum_over_batch_size'}
    """
    return _function_config(_KIND, loss)


def deserialize(name: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The loss that a file means.

    Example:

        >>> from graphnet import losses
        >>> losses.deserialize({"class_name": "Huber", "config": {"delta": 2.0}}).delta
        2.0
    """
    return identifiers.deserialize(_KIND, name, custom_objects)


__all__ = [
    "BinaryCrossentropy", "BinaryFocalCrossentropy", "CTC", "CategoricalCrossentropy", "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy", "CategoricalHinge", "Circle", "CosineSimilarity", "Dice", "Hinge", "Huber",
    "KLDivergence", "LogCosh", "Loss", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError",
    "MeanSquaredLogarithmicError", "Poisson", "SparseCategoricalCrossentropy", "SquaredHinge", "Tversky",
    "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy", "categorical_hinge", "circle", "cosine_similarity", "ctc", "deserialize", "dice",
    "get", "hinge", "huber", "kl_divergence", "log_cosh", "mean_absolute_error", "mean_absolute_percentage_error",
    "mean_squared_error", "mean_squared_logarithmic_error", "poisson", "serialize", "sparse_categorical_crossentropy",
    "squared_hinge", "tversky",
]
