"""Flatten: all axes but the first become one."""
from typing import Any

from graphnet import config, dims
from graphnet.layers.input_spec import InputSpec
from graphnet.layers.layer import Layer
from graphnet.ops.convert import shape
from graphnet.ops.shape import reshape, transpose
from graphnet.registry import builtin


@builtin("layers")
class Flatten(Layer):
    """All axes but the first as one: (N, A, B, ...) -> (N, A * B * ...), and (N,) -> (N, 1).

    Arguments: ``data_format`` ("channels_first" moves axis 1 behind the others before). Unknown extents stay unknown.
    Source: https://keras.io/api/layers/reshaping_layers/flatten/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Flatten()(graphnet.Input((7, 7, 32))).shape
        (None, 1568)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        if self.data_format == "channels_first" and len(inputs.shape) > 2:
            inputs = transpose(inputs, (0, *range(2, len(inputs.shape)), 1))
        first, *rest = shape(inputs)
        return reshape(inputs, (first, dims.product(rest)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}
