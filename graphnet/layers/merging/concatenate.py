"""Concatenate: inputs one behind the other along an axis."""
from typing import Any

from graphnet.errors import ShapeError
from graphnet.layers.merging.base import Merge, listed
from graphnet.ops.convert import normalize_axis
from graphnet.ops.creation import ones_like
from graphnet.ops.elementwise import logical_and
from graphnet.ops.reduction import any as any_true
from graphnet.ops.shape import concatenate, expand_dims
from graphnet.registry import builtin


@builtin("layers")
class Concatenate(Merge):
    """A list of inputs one behind the other along ``axis``; on every other axis they agree (else ShapeError, naming shapes and
    axis).

    Source: https://keras.io/api/layers/merging_layers/concatenate/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Concatenate()([graphnet.Input((5, 3)), graphnet.Input((5, 4))]).shape
        (None, 5, 7)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def check_shapes(self, shapes: list[tuple[Any, ...]]) -> None:
        if len(set(map(len, shapes))) > 1:
            raise ShapeError(f"{self.who} expects inputs with one number of axes; received shapes {listed(shapes)}. Use "
                             "Reshape on one of them.")
        joined = normalize_axis(self.axis, len(shapes[0]), self.who)
        for axis in range(len(shapes[0])):
            extents = sorted({s[axis] for s in shapes if type(s[axis]) is int})
            if axis != joined and len(extents) > 1:
                raise ShapeError(f"{self.who} along axis={self.axis} expects inputs that agree on every other axis; received "
                                 f"shapes {listed(shapes)}: "
                                 f"on axis {axis}, {' and '.join(map(str, extents))} meet. Crop, pad or reshape one input, or "
                                 "choose another axis.")

    def merge(self, inputs: list[Any]) -> Any:
        return concatenate(inputs, axis=self.axis)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The inputs' masks joined likewise, True for an input that has none; along the last axis, True where any is."""
        if mask is None or all(m is None for m in mask):
            return None
        wide = []
        for x, m in zip(inputs, mask, strict=True):
            everywhere = ones_like(x, dtype="bool")
            if m is not None:
                everywhere = logical_and(expand_dims(m, -1), everywhere) if m.ndim < x.ndim else m
            wide.append(everywhere)
        return any_true(concatenate(wide, axis=self.axis), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
