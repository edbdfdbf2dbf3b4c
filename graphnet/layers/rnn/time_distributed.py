"""TimeDistributed: one layer, applied to each step."""
from typing import Any

from graphnet import registry, tree
from graphnet.errors import ShapeError
from graphnet.layers.core.wrapper import Wrapper
from graphnet.layers.layer import signature_of
from graphnet.masking import without_mask
from graphnet.ops.convert import shape, shown
from graphnet.ops.shape import reshape
from graphnet.registry import builtin


@builtin("layers")
class TimeDistributed(Wrapper):
    """A layer or model applied to each step of a sequence alike: batch and steps become one axis for it.

    Arguments: ``layer``, a layer or a model. Call arguments: ``inputs``; ``training``; ``mask`` of the steps, which the output
    keeps.
    Shapes: (batch, steps, *S) -> (batch, steps, *S'), where the layer makes (*S') of (*S). Raises ShapeError below three axes.
    Source: https://keras.io/api/layers/recurrent_layers/time_distributed/

    Example:

        >>> import graphnet
        >>> graphnet.layers.TimeDistributed(graphnet.layers.Dense(4))(graphnet.Input((None, 3))).shape
        (None, None, 4)
    """

    supports_masking = True

    def build(self, input_shape: Any = None) -> None:
        self._check(input_shape)
        super().build((None, *input_shape[2:]))

    def _check(self, extents: Any) -> None:
        if len(extents) < 3:
            raise ShapeError(f"Layer {self.name!r} (TimeDistributed) expects an input with ndim >= 3: (batch, steps, ...); "
                             f"received shape {shown(extents)}.")

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        extents = shape(inputs)
        self._check(extents)
        steps = extents[:2]
        flat = reshape(without_mask(inputs), (steps[0] * steps[1], *extents[2:]))
        kwargs = {}
        if mask is not None:
            given = shape(mask)
            if len(given) < 2 or any(
                type(a) is int and type(b) is int and a != b for a, b in zip(given[:2], steps, strict=True)
            ):
                raise ShapeError(f"Layer {self.name!r} (TimeDistributed) expects a mask whose first axes are those of its "
                                 f"input of shape {shown(extents)}, "
                                 f"batch and steps; received a mask of shape {shown(given)}.")
            if self._hands_on(len(given)):
                kwargs["mask"] = reshape(mask, (steps[0] * steps[1], *given[2:]))
        results = self.layer(flat, **kwargs)
        return tree.map_structure(lambda y: reshape(y, (*steps, *shape(y)[1:])), results)

    def _hands_on(self, axes: int) -> bool:
        """Whether the layer inside gets the mask.

        It gets one that says which of its inner steps count; a layer of one's own also one of whole steps.
        """
        if "mask" not in signature_of(type(self.layer).call).masks:
            return False
        kind = type(self.layer)
        own = all(registry.find_builtin(room, kind.__name__) is not kind for room in ("layers", "models"))
        return axes > 2 or own
