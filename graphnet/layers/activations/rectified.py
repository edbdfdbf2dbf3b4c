"""Rectified linear units: ReLU, LeakyReLU, ELU, and PReLU with slopes that are trained."""
import warnings
from collections.abc import Sequence
from typing import Any

from graphnet import activations
from graphnet.layers.arguments import WeightOptions
from graphnet.layers.input_spec import InputSpec
from graphnet.layers.layer import Layer
from graphnet.ops.elementwise import add, multiply, negative
from graphnet.registry import builtin


def _not_negative(who: str, **values: Any) -> None:
    for name, value in values.items():
        if value is None or value < 0:
            raise ValueError(f"{who} expects {name} to be a number not below 0; received {name}={value!r}.")


@builtin("layers")
class ReLU(Layer):
    """min(max(x, 0), max_value); below ``threshold`` it is negative_slope * (x - threshold). Shapes: any, unchanged.

    Source: https://keras.io/api/layers/activation_layers/relu/

    Example:

        >>> import numpy as np, graphnet
        >>> graphnet.layers.ReLU(max_value=6.0)(np.array([-1.0, 2.0, 9.0], "float32")).tolist()
        [0.0, 2.0, 6.0]
    """

    supports_masking = True

    def __init__(self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0,
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
        _not_negative("ReLU", negative_slope=negative_slope, threshold=threshold,
                      max_value=0 if max_value is None else max_value)
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def call(self, inputs: Any) -> Any:
        return activations.relu(inputs, negative_slope=self.negative_slope, max_value=self.max_value, threshold=self.threshold)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_value": self.max_value, "negative_slope": self.negative_slope,
                "threshold": self.threshold}


@builtin("layers")
class LeakyReLU(Layer):
    """x where x >= 0, else negative_slope * x. Shapes: any, unchanged.

    Source: https://keras.io/api/layers/activation_layers/leaky_relu/

    Example:

        >>> import numpy as np, graphnet
        >>> graphnet.layers.LeakyReLU(0.5)(np.array([-1.0, 2.0], "float32")).tolist()
        [-0.5, 2.0]
    """

    supports_masking = True

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        if "alpha" in kwargs:
            warnings.warn("LeakyReLU: alpha is the old name of negative_slope; use that.", DeprecationWarning, stacklevel=2)
            negative_slope = kwargs.pop("alpha")
        super().__init__(**kwargs)
        _not_negative("LeakyReLU", negative_slope=negative_slope)
        self.negative_slope = negative_slope

    def call(self, inputs: Any) -> Any:
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LeakyReLU":
        config = dict(config)
        if "alpha" in config:  # the name in files of Keras 2
            config["negative_slope"] = float(config.pop("alpha"))
        return cls(**config)


@builtin("layers")
class ELU(Layer):
    """x where x > 0, else alpha * (exp(x) - 1). Shapes: any, unchanged.

    Source: https://keras.io/api/layers/activation_layers/elu/

    Example:

        >>> import numpy as np, graphnet
        >>> graphnet.layers.ELU()(np.array([-np.inf, 2.0], "float32")).tolist()
        [-1.0, 2.0]
    """

    supports_masking = True

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: Any) -> Any:
        return activations.elu(inputs, alpha=self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


@builtin("layers")
class PReLU(WeightOptions):
    """x where x >= 0, else alpha * x, with a slope alpha for each feature that is trained.

    Arguments: initializer, regularizer and constraint of alpha; ``shared_axes`` along which slopes are one, such as (1, 2) for
    images.
    Shapes: (batch, *S) unchanged; alpha (*S), 1 on shared axes. Source: https://arxiv.org/abs/1502.01852

    Example:

        >>> import numpy as np, graphnet
        >>> graphnet.layers.PReLU(alpha_initializer="ones")(np.array([[-1.0, 2.0]], "float32")).tolist()
        [[-1.0, 2.0]]
    """

    supports_masking = True

    def __init__(self, alpha_initializer: Any = "Zeros", alpha_regularizer: Any = None, alpha_constraint: Any = None,
                 shared_axes: int | Sequence[int] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._take_options(locals(), "alpha")
        self.shared_axes = None if shared_axes is None else [shared_axes] if isinstance(shared_axes, int) else list(shared_axes)
        self.alpha: Any = None

    def build(self, input_shape: Any) -> None:
        shared = [axis % len(input_shape) for axis in self.shared_axes or ()]
        self.alpha = self._make_weight("alpha", [1 if i in shared else s for i, s in enumerate(input_shape)][1:])
        axes = {i: s for i, s in enumerate(input_shape) if i and i not in shared}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=axes)

    def call(self, inputs: Any) -> Any:
        below = multiply(negative(self.alpha), activations.relu(negative(inputs)))
        return add(activations.relu(inputs), below)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._options_config("alpha"), "shared_axes": self.shared_axes}
