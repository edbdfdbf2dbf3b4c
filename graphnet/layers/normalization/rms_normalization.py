"""RMSNormalization: each sample by its root mean square."""
from typing import Any

from graphnet import dtypes
from graphnet.layers.layer import Layer
from graphnet.layers.normalization.layer_normalization import listed_axes, weights_along
from graphnet.ops.convert import cast, normalize_axes
from graphnet.ops.elementwise import add, multiply, rsqrt, square
from graphnet.ops.reduction import mean
from graphnet.registry import builtin


@builtin("layers")
class RMSNormalization(Layer):
    """``scale * x / sqrt(mean(x**2) + epsilon)``, the mean of each sample over ``axis`` (one or several).

    Arguments: ``axis``, ``epsilon``. Shapes: as the input; scale (extents of axis). Raises ShapeError where there is no such
    axis.
    Source: https://arxiv.org/abs/1910.07467

    Example:

        >>> import numpy as np, graphnet
        >>> graphnet.layers.RMSNormalization(epsilon=0.0)(np.array([[2.0, -2.0]], "float32"))
        array([[ 1., -1.]], dtype=float32)
    """

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis, self.epsilon = listed_axes(axis, f"Layer {self.name!r} (RMSNormalization)"), epsilon
        self.scale: Any = None

    def build(self, input_shape: Any) -> None:
        self.axis = sorted(self.axis) if isinstance(self.axis, list) else [self.axis]
        normalize_axes(self.axis, len(input_shape), f"Layer {self.name!r} (RMSNormalization)")
        self.scale = self.add_weight(tuple([input_shape[a] for a in self.axis]), "ones", name="scale")

    def call(self, inputs: Any) -> Any:
        x = cast(inputs, dtypes.result_type(str(inputs.dtype), "float32"))
        x = multiply(x, rsqrt(add(mean(square(x), self.axis, True), self.epsilon)))
        return cast(multiply(x, weights_along(x, self.scale, self.axis)), self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}
