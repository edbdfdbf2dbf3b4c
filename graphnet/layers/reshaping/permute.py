"""Permute: the axes of each sample in another order."""
from collections.abc import Sequence
from typing import Any

from graphnet.layers.input_spec import InputSpec
from graphnet.layers.layer import Layer
from graphnet.ops.shape import transpose
from graphnet.registry import builtin


@builtin("layers")
class Permute(Layer):
    """The axes of each sample in the order ``dims``, counted from 1: axis i of the result is axis dims[i - 1] of the input.

    Raises ValueError where dims is no order of 1..len(dims), ShapeError where the input's ndim is not len(dims) + 1.
    Source: https://keras.io/api/layers/reshaping_layers/permute/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Permute((2, 1))(graphnet.Input((10, 64))).shape
        (None, 64, 10)
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"Layer {self.name!r} (Permute) expects dims to be an order of 1..{len(self.dims)}; received "
                             f"dims={self.dims}.")
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        return transpose(inputs, (0, *self.dims))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": self.dims}
