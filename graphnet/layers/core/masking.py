"""Masking: marks the steps of a sequence that are padding."""
from typing import Any

from graphnet.layers.layer import Layer
from graphnet.masking import set_mask
from graphnet.ops.elementwise import not_equal, where
from graphnet.ops.reduction import any as any_true
from graphnet.ops.shape import squeeze
from graphnet.registry import builtin


@builtin("layers")
class Masking(Layer):
    """Steps whose features all equal ``mask_value`` are padding: they become 0, and the output carries the mask of the others.

    Shapes: (..., F) -> the same; the mask (...). Source: https://keras.io/api/layers/core_layers/masking/

    Example:

        >>> import numpy as np, graphnet
        >>> x = graphnet.layers.Masking(mask_value=-1.0)(np.array([[[1.0, -1.0], [-1.0, -1.0]]], "float32"))
        >>> x.tolist()
        [[[1.0, -1.0], [0.0, 0.0]]]
    """

    supports_masking = True

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value

    def call(self, inputs: Any) -> Any:
        kept = any_true(not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        outputs = where(kept, inputs, 0)
        set_mask(outputs, squeeze(kept, -1))
        return outputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return any_true(not_equal(inputs, self.mask_value), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mask_value": self.mask_value}
