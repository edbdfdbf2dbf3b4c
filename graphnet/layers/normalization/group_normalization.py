"""GroupNormalization: each sample, by groups of its channels."""
from typing import Any

from graphnet import dtypes
from graphnet.errors import ShapeError
from graphnet.layers.arguments import WeightOptions
from graphnet.layers.input_spec import InputSpec
from graphnet.layers.normalization.layer_normalization import weights_along
from graphnet.ops.convert import cast, normalize_axis, shape
from graphnet.ops.elementwise import add, multiply
from graphnet.ops.scaling import Normalize
from graphnet.ops.shape import reshape
from graphnet.registry import builtin


@builtin("layers")
class GroupNormalization(WeightOptions):
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta``, with the mean and the variance of each sample over each group
    of channels.

    Arguments: ``groups`` (a divisor of the number of channels; -1 makes each channel a group: instance normalization), ``axis``
    (of the channels), ``epsilon``, ``center`` (with beta), ``scale`` (with gamma); initializers, regularizers and constraints
    of beta and gamma.
    Shapes: as the input; gamma and beta (channels,). Raises ValueError where groups does not divide the number of channels.
    Source: https://keras.io/api/layers/normalization_layers/group_normalization/

    Example:

        >>> import numpy as np, graphnet
        >>> graphnet.layers.GroupNormalization(groups=2, epsilon=0.0)(np.array([[1.0, 3.0, 10.0, 30.0]], "float32"))
        array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, groups: int = 32, axis: int = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
                 beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", beta_regularizer: Any = None,
                 gamma_regularizer: Any = None,
                 beta_constraint: Any = None, gamma_constraint: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(groups, int) or (groups <= 0 and groups != -1):
            raise ValueError(f"Layer {self.name!r} (GroupNormalization) expects groups to be a positive whole number, or -1; "
                             f"received groups={groups!r}.")
        self.groups, self.axis, self.epsilon, self.center, self.scale = groups, axis, epsilon, center, scale
        self._take_options(locals(), "beta", "gamma")
        self.autocast = False
        self.gamma: Any = None
        self.beta: Any = None

    def build(self, input_shape: Any) -> None:
        who = f"Layer {self.name!r} (GroupNormalization)"
        channels = input_shape[normalize_axis(self.axis, len(input_shape), who)]
        if channels is None:
            raise ShapeError(f"{who} expects a known extent of axis {self.axis}; received shape {tuple(input_shape)}. Give it "
                             "in Input(shape=...).")
        self.groups = channels if self.groups == -1 else self.groups
        if channels % self.groups or channels < self.groups:
            raise ShapeError(f"{who} expects groups to divide the number of channels; received groups={self.groups} and "
                             f"{channels} channels (axis {self.axis} of shape {tuple(input_shape)}).")
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})
        if self.scale:
            self.gamma = self._make_weight("gamma", (channels,))
        if self.center:
            self.beta = self._make_weight("beta", (channels,))

    def call(self, inputs: Any) -> Any:
        x = cast(inputs, dtypes.result_type(str(inputs.dtype), "float32"))
        axis, extents = self.axis % x.ndim, shape(x)
        grouped = reshape(x, (*extents[:axis], self.groups, extents[axis] // self.groups, *extents[axis + 1:]))
        axes = tuple(i for i in range(1, x.ndim + 1) if i != axis)
        x = reshape(Normalize(axes, self.epsilon)(grouped), extents)
        if self.gamma is not None:
            x = multiply(x, weights_along(x, self.gamma, [axis]))
        if self.beta is not None:
            x = add(x, weights_along(x, self.beta, [axis]))
        return cast(x, self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups, "axis": self.axis, "epsilon": self.epsilon,
                "center": self.center, "scale": self.scale, **self._options_config("beta", "gamma")}
