"""UnitNormalization: each sample to length 1."""
from typing import Any

from graphnet.layers.layer import Layer
from graphnet.layers.normalization.layer_normalization import listed_axes
from graphnet.ops.elementwise import minimum, multiply, rsqrt, square
from graphnet.ops.reduction import sum as total
from graphnet.registry import builtin


@builtin("layers")
class UnitNormalization(Layer):
    """``x / sqrt(sum(x**2))``, the sum over ``axis`` (one or several): each sample has length 1; zeros stay zeros.

    Shapes: as the input. Raises ShapeError where there is no such axis, TypeError where it is no number.
    Source: https://keras.io/api/layers/normalization_layers/unit_normalization/

    Example:

        >>> import numpy as np, graphnet
        >>> graphnet.layers.UnitNormalization()(np.array([[3.0, 4.0]], "float32"))
        array([[0.6, 0.8]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = listed_axes(axis, f"Layer {self.name!r} (UnitNormalization)")
        self.built = True

    def call(self, inputs: Any) -> Any:
        return multiply(inputs, minimum(rsqrt(total(square(inputs), self.axis, True)), 1e12))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
