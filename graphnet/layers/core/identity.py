"""Identity: hands its input on."""
from typing import Any

from graphnet.layers.layer import Layer
from graphnet.registry import builtin


@builtin("layers")
class Identity(Layer):
    """The input itself: a place in a model where nothing is done. Shapes: any.

    Source: https://keras.io/api/layers/core_layers/identity/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Identity()(graphnet.Input((3,))).shape
        (None, 3)
    """

    supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs
