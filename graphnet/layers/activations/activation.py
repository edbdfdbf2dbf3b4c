"""Activation: any activation function as a layer."""
from typing import Any

from graphnet import activations
from graphnet.layers.layer import Layer
from graphnet.registry import builtin


@builtin("layers")
class Activation(Layer):
    """``activation(inputs)``, elementwise or over the last axis. Arguments: ``activation``, a name or a function. Shapes: any,
    unchanged.

    Source: https://keras.io/api/layers/core_layers/activation/

    Example:

        >>> import numpy as np, graphnet
        >>> graphnet.layers.Activation("relu")(np.array([-1.0, 2.0], "float32")).tolist()
        [0.0, 2.0]
    """

    supports_masking = True

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}
