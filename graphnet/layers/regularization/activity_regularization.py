"""ActivityRegularization: a penalty on what passes through."""
from typing import Any

from graphnet import regularizers
from graphnet.layers.layer import Layer
from graphnet.registry import builtin


@builtin("layers")
class ActivityRegularization(Layer):
    """The input itself; in training l1 * sum|x| + l2 * sum(x^2) counts among the losses. Shapes: any, unchanged.

    Source: https://keras.io/api/layers/regularization_layers/activity_regularization/

    Example:

        >>> import graphnet
        >>> graphnet.layers.ActivityRegularization(l2=0.1)(graphnet.Input((3,))).shape
        (None, 3)
    """

    supports_masking = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.l1, self.l2 = l1, l2

    def call(self, inputs: Any) -> Any:
        return inputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["activity_regularizer"]  # l1 and l2 say it
        return {**config, "l1": self.l1, "l2": self.l2}
