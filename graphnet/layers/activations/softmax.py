"""Softmax as a layer, with a mask."""
from collections.abc import Sequence
from typing import Any

from graphnet.errors import ShapeError
from graphnet.layers.layer import Layer
from graphnet.ops.convert import shape, shown
from graphnet.ops.elementwise import greater, where
from graphnet.ops.scaling import softmax
from graphnet.registry import builtin

LOW = {"float16": -3e4}  # what stands in for a masked logit; -1e9 for wider floats


def masked(logits: Any, mask: Any) -> Any:
    """The logits, very low where the mask is False, so that a softmax gives (nearly) 0 there."""
    return where(mask, logits, LOW.get(str(logits.dtype), -1e9))


@builtin("layers")
class Softmax(Layer):
    """exp(x) / sum(exp(x)) along ``axis`` (one or several). Shapes: any, unchanged.

    Call arguments: ``inputs``; ``mask``, which broadcasts to them: where it is False (or not above 0.5) the result is 0.
    Source: https://keras.io/api/layers/activation_layers/softmax/

    Example:

        >>> import numpy as np, graphnet
        >>> graphnet.layers.Softmax()(np.zeros((1, 4), "float32"), mask=np.array([[True, True, False, False]])).tolist()
        [[0.5, 0.5, 0.0, 0.0]]
    """

    supports_masking = True

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any, mask: Any = None) -> Any:
        axis = list(self.axis) if isinstance(self.axis, (list, tuple)) else self.axis
        if mask is None:
            return softmax(inputs, axis)
        given, wanted = shape(mask), shape(inputs)
        if len(given) > len(wanted) or any(type(a) is int and type(b) is int and a not in (1, b) for a,
                                           b in zip(given[::-1], wanted[::-1], strict=False)):
            raise ShapeError(f"Layer {self.name!r} (Softmax) expects a mask that broadcasts to its input of shape "
                             f"{shown(wanted)}; "
                             f"received a mask of shape {shown(given)}. A mask of steps broadcasts after expand_dims(mask, "
                             "-1).")
        if str(mask.dtype) != "bool":
            mask = greater(mask, 0.5)
        return where(mask, softmax(masked(inputs, mask), axis), 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
