"""Masks: boolean tensors that travel with symbolic tensors as an attribute, and with arrays in a table beside them."""
import warnings
import weakref
from typing import Any

import numpy as np

from graphnet import tree
from graphnet.errors import MaskDroppedWarning, UnsupportedError
from graphnet.graph import Tensor, user_line
from graphnet.settings import settings

_of_arrays: dict[int, tuple[Any, Any]] = {}  # id of an array -> (weak reference to it, its mask)


def get_mask(x: Any) -> Any:
    """The mask of a tensor or array, or None."""
    if type(x) is Tensor:
        return x.mask
    entry = _of_arrays.get(id(x)) if _of_arrays else None
    return entry[1] if entry is not None and entry[0]() is x else None


def set_mask(x: Any, mask: Any) -> None:
    """Attaches a mask to a tensor or array."""
    if type(x) is Tensor:
        x.mask = mask
    elif isinstance(x, np.ndarray):
        key = id(x)
        _of_arrays[key] = (weakref.ref(x, lambda _: _of_arrays.pop(key, None)), mask)


def without_mask(x: Any) -> Any:
    """The same value under a handle of its own, which has no mask."""
    if type(x) is Tensor:
        return x if x.mask is None else Tensor(x.node, x.index, x.name)
    return x.view() if isinstance(x, np.ndarray) and get_mask(x) is not None else x


def without_masks(result: Any, inputs: Any) -> Any:
    """A result in which what is an input, handed on as it is, has no mask."""
    given = {id(x) for x in tree.iterate(inputs)}
    return tree.map_structure(lambda x: without_mask(x) if id(x) in given else x, result)


def drops(taken: tuple[str, ...], masks: list[Any], result: Any) -> bool:
    """Whether a layer without support for masks loses one: it does not take it, or its output still has the axes that the mask
    speaks of.
    """
    if not taken:
        return True

    def extents(x: Any) -> tuple[Any, ...]:
        return tuple(x.spec.shape if type(x) is Tensor else np.shape(x))
    return any(extents(x)[:len(extents(m))] == extents(m) for m in masks for x in tree.iterate(result))


def warn_dropped(who: str, source: Any, why: str = "does not pass masks on", mend: str | None = None) -> None:
    """Says at the user's own line that the mask of an input is dropped; an error under the strict setting."""
    made = repr(source.node.scope or source.node.name) if type(source) is Tensor else "its input"
    text = (f"{who} received an input with a mask (from {made}), {why}, and drops it, as Keras does: layers behind it see "
            "padded steps as data. "
            + (mend or "Move it before the masking layer, use a layer that supports masking, or, in a layer of your own that "
                       "treats each step alone, "
                       "set self.supports_masking = True."))
    if settings.strict_masks:
        raise UnsupportedError(text)
    file, line = user_line() or (__file__, 0)
    warnings.warn_explicit(text, MaskDroppedWarning, file, line)


def warn_of_op(operation: Any, tensors: tuple[Tensor, ...], specs: list[Any]) -> None:
    """The same of an op between layers, which never passes masks on; a condition that it computes (booleans) needs none."""
    source = next((t for t in tensors if t.mask is not None), None)
    if source is not None and any(spec.dtype != "bool" for spec in specs):
        warn_dropped(f"Operation {operation.name!r}", source, "is not a layer",
                     "Use a layer in its place (layers.Add, layers.Multiply, layers.Activation), or a Layer of your own with "
                     "supports_masking = True.")
