"""Activations, and what their names in arguments and files mean."""
from collections.abc import Callable
from typing import Any

from graphnet import identifiers
from graphnet.activations.functions import (
    FUNCTIONS,
    celu,
    elu,
    exponential,
    gelu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    linear,
    log_sigmoid,
    log_softmax,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    swish,
    tanh,
    tanh_shrink,
    threshold,
)
from graphnet.registry import builtin

_KIND = "activations"
_OTHER_NAMES = {"silu": ("swish",), "hard_silu": ("hard_swish",)}
for _function in FUNCTIONS:
    builtin(_KIND, *_OTHER_NAMES.get(_function.__name__, ()))(_function)


def get(identifier: Any) -> Callable[..., Any]:
    """The activation that an identifier means: a name, a config, a callable; None is `linear`.

    Raises ValueError, which lists the names, where there is none. Source: https://keras.io/api/layers/activations/

    Example:

        >>> from graphnet import activations
        >>> activations.get("relu")([-1.0, 2.0])
        array([0., 2.], dtype=float32)
    """
    return linear if identifier is None else identifiers.get(_KIND, identifier)


def serialize(activation: Callable[..., Any]) -> Any:
    """What a file holds of an activation: the name of one of Keras's own, else a config.

    Example:

        >>> from graphnet import activations
        >>> activations.serialize(activations.relu)
        'relu'
    """
    return identifiers.serialize(_KIND, activation)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Callable[..., Any]:
    """The activation that a file means.

    Example:

        >>> from graphnet import activations
        >>> activations.deserialize("tanh")(0.0)
        array(0., dtype=float32)
    """
    return linear if config is None else identifiers.deserialize(_KIND, config, custom_objects)


__all__ = [
    "celu", "deserialize", "elu", "exponential", "gelu", "get", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish",
    "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "serialize", "sigmoid",
    "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus",
    "swish",
    "tanh", "tanh_shrink", "threshold",
]
