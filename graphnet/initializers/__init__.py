"""Initializers of variables, and what their names in arguments and files mean."""
from typing import Any

from graphnet import graph, identifiers
from graphnet.initializers.initializer import Constant, Identity, Initializer, Ones, Zeros
from graphnet.initializers.random import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)

_KIND = "initializers"
# Keras's other spellings
constant, identity, ones, zeros = Constant, Identity, Ones, Zeros
glorot_normal, glorot_uniform, he_normal, he_uniform = GlorotNormal, GlorotUniform, HeNormal, HeUniform
lecun_normal, lecun_uniform, orthogonal, variance_scaling = LecunNormal, LecunUniform, Orthogonal, VarianceScaling
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal


def get(identifier: Any) -> Any:
    """The initializer that an identifier means: a name, a config, a class, a callable (shape, dtype) -> array; None stays None.

    An array or a number is a `Constant`. Raises ValueError, which lists the names, where there is none.

    Example:

        >>> from graphnet import initializers
        >>> initializers.get("zeros")((2,))
        array([0., 0.], dtype=float32)
    """
    if isinstance(identifier, (int, float)) or hasattr(identifier, "__array__"):
        return Constant(identifier)
    return identifiers.get(_KIND, identifier)


graph.Variable._initializer_named = staticmethod(
    get)  # type: ignore[attr-defined]  # variables stand below this room, and take names as well


def serialize(initializer: Any) -> Any:
    """What a file holds of an initializer.

    Example:

        >>> from graphnet import initializers
        >>> initializers.serialize(initializers.Constant(2.0))["config"]
        {'value': 2.0}
    """
    return identifiers.serialize(_KIND, initializer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The initializer that a file means.

    Example:

        >>> from graphnet import initializers
        >>> initializers.deserialize({"class_name": "Constant", "config": {"value": 2.0}}).value
        2.0
    """
    return identifiers.deserialize(_KIND, config, custom_objects)


__all__ = [
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "IdentityInitializer", "Initializer",
    "LecunNormal",
    "LecunUniform", "Ones", "Orthogonal", "OrthogonalInitializer", "RandomNormal", "RandomUniform", "TruncatedNormal",
    "VarianceScaling", "Zeros",
    "constant", "deserialize", "get", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "identity", "lecun_normal",
    "lecun_uniform",
    "ones", "orthogonal", "random_normal", "random_uniform", "serialize", "truncated_normal", "variance_scaling", "zeros",
]
