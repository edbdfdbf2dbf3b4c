"""Dot: products of two inputs, summed over an axis of each."""
from collections.abc import Sequence
from typing import Any

from graphnet import config
from graphnet.errors import ShapeError
from graphnet.layers.merging.base import Merge, listed
from graphnet.ops.convert import normalize_axis, shape
from graphnet.ops.einsum import einsum
from graphnet.ops.elementwise import minimum, multiply, rsqrt, square
from graphnet.ops.reduction import sum as total
from graphnet.ops.shape import expand_dims
from graphnet.registry import builtin

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def unit_length(x: Any, axis: int) -> Any:
    """x with vectors of length 1 along an axis; zeros stay."""
    return multiply(x, minimum(rsqrt(total(square(x), axis, keepdims=True)), 1.0 / config.epsilon()))


@builtin("layers")
class Dot(Merge):
    """The sum of products of two inputs over an axis of each, sample by sample.

    Arguments: ``axes``: one axis, or one for each input, not the batch axis; ``normalize``: vectors along these axes are first
    brought to length 1, so that the result is a cosine. Shapes: (batch, *A, K, *B), (batch, *C, K, *D) -> (batch, *A, *B, *C,
    *D), at least (batch, 1). Raises ShapeError where the axes' extents differ.

    Source: https://keras.io/api/layers/merging_layers/dot/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Dot(axes=(1, 2))([graphnet.Input((3, 5)), graphnet.Input((10, 3))]).shape
        (None, 5, 10)
    """

    count = 2

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(axes, int):
            if not isinstance(axes, (list, tuple)):
                raise TypeError(f"Dot expects axes to be a whole number or two of them; received axes={axes!r}.")
            if len(axes) != 2 or not all(isinstance(a, int) for a in axes):
                raise ValueError(f"Dot expects axes to be a whole number or two of them; received axes={axes!r}.")
        self.axes, self.normalize = axes, normalize

    def chosen(self, shapes: Sequence[tuple[Any, ...]]) -> list[int]:
        """The axis of each input, not negative."""
        axes = [self.axes] * 2 if isinstance(self.axes, int) else self.axes
        found = [normalize_axis(a, len(s), self.who) for a, s in zip(axes, shapes, strict=True)]
        if 0 in found:
            raise ShapeError(f"{self.who} expects axes other than the batch axis 0; received axes={self.axes} for shapes "
                             f"{listed(shapes)}.")
        return found

    def check_shapes(self, shapes: list[tuple[Any, ...]]) -> None:
        if min(map(len, shapes)) < 2:
            raise ShapeError(f"{self.who} expects inputs with ndim >= 2, a batch axis first; received shapes {listed(shapes)}.")
        pairs = [(0, 0), tuple(self.chosen(shapes))]
        for i, j in pairs:
            p, q = shapes[0][i], shapes[1][j]
            if type(p) is int and type(q) is int and p != q:
                raise ShapeError(f"{self.who} with axes={self.axes} expects equal extents on axis {i} of its first input and "
                                 f"axis {j} of its second; "
                                 f"received {p} and {q}, in shapes {listed(shapes)}.")

    def call(self, inputs: Any) -> Any:
        self.check_list(inputs)
        self.check_shapes([shape(x) for x in inputs])
        return self.merge(inputs)

    def merge(self, inputs: list[Any]) -> Any:
        i, j = self.chosen([shape(x) for x in inputs])
        x, y = (unit_length(v, axis) for v, axis in zip(inputs, (i, j), strict=True)) if self.normalize else inputs
        left = _LETTERS[:x.ndim]
        right = list(_LETTERS[x.ndim:x.ndim + y.ndim])
        right[0], right[j] = "a", left[i]
        out = left.replace(left[i], "") + "".join(c for c in right if c not in left)
        product = einsum(f"{left},{''.join(right)}->{out}", x, y)
        return expand_dims(product, 1) if product.ndim == 1 else product

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """None: the sum over steps has none."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}
