"""Wrapper: a layer that holds another one."""
from typing import Any

from graphnet.layers.layer import Layer
from graphnet.layers.serialization import deserialize, serialize
from graphnet.registry import builtin


@builtin("layers")
class Wrapper(Layer):
    """Base of layers that hold another one, as `TimeDistributed` does. Arguments: ``layer``.

    Source: https://keras.io/api/layers/core_layers/

    Example:

        >>> import graphnet
        >>> class Twice(graphnet.layers.Wrapper):
        ...     def call(self, inputs):
        ...         return self.layer(self.layer(inputs))
        >>> Twice(graphnet.layers.Dense(3))(graphnet.Input((3,))).shape
        (None, 3)
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(layer, Layer):
            raise ValueError(f"{type(self).__name__} expects a layer to wrap; received {layer!r} ({type(layer).__name__}).")
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": serialize(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Wrapper":
        config = dict(config)
        return cls(deserialize(config.pop("layer"), custom_objects, str(config.get("name", ""))), **config)
