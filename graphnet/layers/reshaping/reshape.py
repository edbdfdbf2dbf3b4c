"""Reshape: the elements of each sample under another shape."""
import math
from collections.abc import Sequence
from typing import Any

from graphnet.errors import ShapeError
from graphnet.layers.layer import Layer
from graphnet.ops.convert import shape, shown
from graphnet.ops.shape import reshape
from graphnet.registry import builtin


@builtin("layers")
class Reshape(Layer):
    """The elements of each sample, in the same order, under ``target_shape`` (without the batch axis; one extent may be -1:
    what is left).

    Shapes: (N, ...) -> (N, *target_shape). Raises ShapeError where the number of elements differs.
    Source: https://keras.io/api/layers/reshaping_layers/reshape/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Reshape((4, -1))(graphnet.Input((28, 28))).shape
        (None, 4, 196)
    """

    def __init__(self, target_shape: Sequence[int | None], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(target_shape, Sequence) or not all(s is None or hasattr(s, "__index__") for s in target_shape):
            raise ValueError(f"Layer {self.name!r} (Reshape) expects target_shape to be a tuple of whole numbers, as in (6,) "
                             f"or (2, -1); received {target_shape!r}.")
        self.target_shape = tuple(target_shape)
        if (
            any(s is not None and s < -1 for s in self.target_shape)
            or self.target_shape.count(-1) + self.target_shape.count(None) > 1
        ):
            raise ValueError(f"Layer {self.name!r} (Reshape) expects target_shape to have extents that are not negative, and "
                             f"at most one -1; received target_shape={self.target_shape}.")
        self.built = True

    def call(self, inputs: Any) -> Any:
        first, *rest = shape(inputs)
        target = [-1 if s is None else int(s) for s in self.target_shape]
        if all(isinstance(s, int) for s in rest):
            size, known = math.prod(rest), math.prod(s for s in target if s != -1)
            if (size != known if -1 not in target else known == 0 or size % known):
                raise ShapeError(f"Layer {self.name!r} (Reshape) expects target_shape to hold the {size} elements of a sample "
                                 f"of shape {shown(rest)}; received target_shape={self.target_shape}.")
            target = [size // known if s == -1 else s for s in target]
        return reshape(inputs, (first, *target))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": self.target_shape}
