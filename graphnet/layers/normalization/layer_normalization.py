"""LayerNormalization: each sample by its own mean and variance."""
from typing import Any

from graphnet import dtypes
from graphnet.layers.arguments import WeightOptions
from graphnet.ops.convert import cast, normalize_axes
from graphnet.ops.elementwise import add, multiply, rsqrt
from graphnet.ops.reduction import var
from graphnet.ops.scaling import Normalize
from graphnet.ops.shape import reshape
from graphnet.registry import builtin


def listed_axes(axis: Any, who: str) -> Any:
    """An axis argument: a whole number, or a list of them."""
    if isinstance(axis, (list, tuple)) and axis and all(isinstance(a, int) for a in axis):
        return list(axis)
    if isinstance(axis, int):
        return axis
    raise TypeError(f"{who} expects axis to be a whole number or a list of them; received axis={axis!r}.")


def weights_along(x: Any, weight: Any, axis: list[int]) -> Any:
    """A weight with one axis for each in `axis`, so that it broadcasts against x."""
    axes = [a % x.ndim for a in axis]
    if axes == list(range(x.ndim - len(axes), x.ndim)):
        return weight
    extents = dict(zip(axes, weight.shape, strict=True))
    return reshape(weight, tuple([extents.get(i, 1) for i in range(min(axes), x.ndim)]))


@builtin("layers")
class LayerNormalization(WeightOptions):
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta``, with the mean and the variance of each sample over ``axis``.

    Arguments: ``axis`` (one or several), ``epsilon``, ``center`` (with beta), ``scale`` (with gamma); initializers,
    regularizers and constraints of beta and gamma. ``rms_scaling=True``, of older files, divides by the deviation without
    taking the mean away.
    Shapes: as the input; gamma and beta (extents of axis). Raises ShapeError where there is no such axis, TypeError where it is
    no number.
    Source: https://keras.io/api/layers/normalization_layers/layer_normalization/

    Example:

        >>> import numpy as np, graphnet
        >>> graphnet.layers.LayerNormalization(epsilon=0.0)(np.array([[1.0, 3.0]], "float32"))
        array([[-1.,  1.]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, axis: Any = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
                 beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", beta_regularizer: Any = None,
                 gamma_regularizer: Any = None, beta_constraint: Any = None, gamma_constraint: Any = None,
                 **kwargs: Any) -> None:
        self.rms_scaling = bool(kwargs.pop("rms_scaling", False))
        super().__init__(**kwargs)
        self.axis = listed_axes(axis, f"Layer {self.name!r} (LayerNormalization)")
        self.epsilon, self.center, self.scale = epsilon, center, scale
        self._take_options(locals(), "beta", "gamma")
        self.autocast = False
        self.gamma: Any = None
        self.beta: Any = None

    def build(self, input_shape: Any) -> None:
        self.axis = sorted(self.axis) if isinstance(self.axis, list) else [self.axis]
        normalize_axes(self.axis, len(input_shape), f"Layer {self.name!r} (LayerNormalization)")
        extents = tuple([input_shape[a] for a in self.axis])
        if self.scale or self.rms_scaling:
            self.gamma = self._make_weight("gamma", extents)
        if self.center and not self.rms_scaling:
            self.beta = self._make_weight("beta", extents)

    def call(self, inputs: Any) -> Any:
        x = cast(inputs, dtypes.result_type(str(inputs.dtype), "float32"))
        axes = normalize_axes(self.axis, x.ndim)
        x = multiply(x, rsqrt(add(var(x, axes, True), self.epsilon))) if self.rms_scaling else Normalize(axes, self.epsilon)(x)
        if self.gamma is not None:
            x = multiply(x, weights_along(x, self.gamma, self.axis))
        if self.beta is not None:
            x = add(x, weights_along(x, self.beta, self.axis))
        return cast(x, self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon, "center": self.center, "scale": self.scale,
                "rms_scaling": self.rms_scaling, **self._options_config("beta", "gamma")}
