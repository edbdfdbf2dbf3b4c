"""Layers that merge inputs element by element: sum, difference, product, mean, bounds."""
from collections.abc import Callable
from typing import Any

from graphnet.layers.merging.base import Merge
from graphnet.masking import get_mask
from graphnet.ops import elementwise as e
from graphnet.ops.convert import shape
from graphnet.ops.shape import broadcast_to, expand_dims
from graphnet.registry import builtin


def _wide_mask(x: Any) -> Any:
    """The mask of an input over all of its elements, or None."""
    mask = get_mask(x)
    return None if mask is None else broadcast_to(expand_dims(mask, -1), shape(x))


@builtin("layers")
class Add(Merge):
    """The sum of a list of inputs, which broadcast behind the batch axis (else ShapeError).

    Source: https://keras.io/api/layers/merging_layers/add/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Add()([graphnet.Input((5, 3)), graphnet.Input((1, 3))]).shape
        (None, 5, 3)
    """

    def merge(self, inputs: list[Any]) -> Any:
        out = inputs[0]
        for x in inputs[1:]:
            out = e.add(out, x)
        return out


@builtin("layers")
class Subtract(Merge):
    """The first of two inputs less the second; they broadcast behind the batch axis.

    Source: https://keras.io/api/layers/merging_layers/subtract/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Subtract()([graphnet.Input((3,)), graphnet.Input((3,))]).shape
        (None, 3)
    """

    count = 2

    def merge(self, inputs: list[Any]) -> Any:
        return e.subtract(*inputs)


@builtin("layers")
class Multiply(Merge):
    """The product of a list of inputs, which broadcast behind the batch axis. Masked steps count as 1; where all are masked the
    product is 0.

    Source: https://keras.io/api/layers/merging_layers/multiply/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Multiply()([graphnet.Input((3,)), graphnet.Input((3,))]).shape
        (None, 3)
    """

    def merge(self, inputs: list[Any]) -> Any:
        masks = [_wide_mask(x) for x in inputs]
        out = None
        for x, mask in zip(inputs, masks, strict=True):
            x = x if mask is None else e.where(mask, x, 1)
            out = x if out is None else e.multiply(out, x)
        if any(mask is None for mask in masks):
            return out
        kept = masks[0]
        for mask in masks[1:]:
            kept = e.logical_or(kept, mask)
        return e.where(kept, out, 0)


@builtin("layers")
class Average(Merge):
    """The mean of a list of inputs, which broadcast behind the batch axis.

    Source: https://keras.io/api/layers/merging_layers/average/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Average()([graphnet.Input((3,)), graphnet.Input((3,))]).shape
        (None, 3)
    """

    def merge(self, inputs: list[Any]) -> Any:
        out = inputs[0]
        for x in inputs[1:]:
            out = e.add(out, x)
        return e.divide(out, len(inputs))


class _Bound(Merge):
    """Maximum or minimum; a masked step of one input takes the value of the others."""

    function: Callable[[Any, Any], Any]

    def merge(self, inputs: list[Any]) -> Any:
        out, out_mask = inputs[0], _wide_mask(inputs[0])
        for x in inputs[1:]:
            mask = _wide_mask(x)
            if mask is not None:
                x = e.where(mask, x, out)
            if out_mask is not None:
                out = e.where(out_mask, out, x)
            out_mask = e.logical_or(out_mask, mask) if mask is not None and out_mask is not None else None
            out = type(self).function(out, x)
        return out


@builtin("layers")
class Maximum(_Bound):
    """The largest of a list of inputs, element by element; they broadcast behind the batch axis.

    Source: https://keras.io/api/layers/merging_layers/maximum/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Maximum()([graphnet.Input((3,)), graphnet.Input((3,))]).shape
        (None, 3)
    """

    function = staticmethod(e.maximum)


@builtin("layers")
class Minimum(_Bound):
    """The smallest of a list of inputs, element by element; they broadcast behind the batch axis.

    Source: https://keras.io/api/layers/merging_layers/minimum/

    Example:

        >>> import graphnet
        >>> graphnet.layers.Minimum()([graphnet.Input((3,)), graphnet.Input((3,))]).shape
        (None, 3)
    """

    function = staticmethod(e.minimum)
