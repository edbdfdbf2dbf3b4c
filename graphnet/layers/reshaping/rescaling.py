"""Rescaling: numbers brought to another range."""
from typing import Any

import numpy as np

from graphnet import config
from graphnet.layers.layer import Layer
from graphnet.layers.serialization import plain_data, special
from graphnet.ops.convert import cast
from graphnet.ops.elementwise import add, multiply
from graphnet.registry import builtin


@builtin("layers")
class Rescaling(Layer):
    """``x * scale + offset``, in floats: Rescaling(1 / 127.5, offset=-1) brings 0..255 to -1..1.

    Arguments: ``scale`` and ``offset``, numbers or lists that broadcast against the last axes. Shapes: as the input.
    Source: https://keras.io/api/layers/preprocessing_layers/image_preprocessing/rescaling/

    Example:

        >>> import numpy as np, graphnet
        >>> graphnet.layers.Rescaling(0.5, offset=-1)(np.array([0, 4], "uint8"))
        array([-1.,  1.], dtype=float32)
    """

    supports_masking = True

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset

    def call(self, inputs: Any) -> Any:
        scale, offset = np.asarray(self.scale, self.dtype), np.asarray(self.offset, self.dtype)
        if scale.ndim and config.image_data_format() == "channels_first":
            scale = scale.reshape(*scale.shape, *(1,) * (3 - scale.ndim))
        return add(multiply(cast(inputs, self.dtype), scale), offset)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": plain_data(self.scale), "offset": plain_data(self.offset)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Rescaling":
        return cls(**{**config, "scale": special(config["scale"]), "offset": special(config.get("offset", 0.0))})
