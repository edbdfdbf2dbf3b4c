"""Merge: what layers that join several inputs share: shapes that broadcast behind the batch axis, masks that are joined."""
from typing import Any

from graphnet.errors import ShapeError
from graphnet.layers.layer import Layer
from graphnet.masking import get_mask, warn_dropped
from graphnet.ops.convert import shape, shown
from graphnet.ops.elementwise import logical_or
from graphnet.ops.shape import expand_dims


def listed(shapes: Any) -> str:
    return " and ".join(str(shown(s)) for s in shapes)


class Merge(Layer):
    """Base of layers called on a list of inputs; ``merge(inputs)`` gets them with one number of axes."""

    supports_masking = True
    count: int | None = None  # how many inputs; None: one or more

    @property
    def who(self) -> str:
        return f"Layer {self.name!r} ({type(self).__name__})"

    def merge(self, inputs: list[Any]) -> Any:
        raise NotImplementedError

    def build(self, input_shape: Any) -> None:
        """No weights; shapes are checked at each call."""

    def check_list(self, inputs: Any) -> None:
        """Raises unless there is a list of inputs, of the due length."""
        if not isinstance(inputs, (list, tuple)) or not inputs:
            raise ShapeError(f"{self.who} expects a list of {self.count or 'one or more'} inputs; received {inputs!r}. Put "
                             "them in brackets: [a, b].")
        if self.count is not None and len(inputs) != self.count:
            raise ShapeError(f"{self.who} expects exactly {self.count} inputs; received {len(inputs)}.")

    def check_shapes(self, shapes: list[tuple[Any, ...]]) -> None:
        """Raises where the batch axes differ, or the others do not broadcast."""
        rows = {s[0] for s in shapes if s and type(s[0]) is int}
        if len(rows) > 1:
            raise ShapeError(f"{self.who} expects inputs of one batch size; received shapes {listed(shapes)}.")
        for axis in range(-max(map(len, shapes)) + 1, 0):
            extents = sorted({s[axis] for s in shapes if len(s) > -axis and type(s[axis]) is int} - {1})
            if len(extents) > 1:
                raise ShapeError(f"{self.who} expects inputs whose shapes broadcast behind the batch axis; received shapes "
                                 f"{listed(shapes)}: on axis {axis}, "
                                 f"{' and '.join(map(str, extents))} meet. Equal extents or 1 would do: use a Dense, Reshape "
                                 "or cropping layer on one input.")

    def call(self, inputs: Any) -> Any:
        self.check_list(inputs)
        self.check_shapes([shape(x) for x in inputs])
        widest = max(x.ndim for x in inputs)
        return self.merge([expand_dims(x, list(range(1, 1 + widest - x.ndim))) if x.ndim < widest else x for x in inputs])

    def tell_partial(self, inputs: Any, mask: Any) -> None:
        """Warns where some inputs have a mask and others have none: then the result has none."""
        if not self._untracked_mask_warned and any(m is not None for m in mask):
            self._untracked_mask_warned = True
            source = next((x for x in inputs if get_mask(x) is not None), None)
            mend = ("Give each input a mask, or none; a layer behind may be called with mask=... (An attention layer takes the "
                    "masks off the tensors that it is called on, as in Keras.)")
            warn_dropped(self.who, source, "has another input without one", mend)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """True where any input's mask is; None where an input has no mask."""
        if mask is None:
            return None
        if any(m is None for m in mask):
            self.tell_partial(inputs, mask)
            return None
        out = mask[0]
        for m in mask[1:]:
            out = logical_or(out, m)
        return out
