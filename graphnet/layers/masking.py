"""Masks: boolean tensors that travel with symbolic tensors as an attribute, and with arrays in a table beside them."""
import warnings
import weakref
from typing import Any

import numpy as np

from graphnet.errors import MaskDroppedWarning, UnsupportedError
from graphnet.graph import Tensor
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


def warn_dropped(layer: Any, source: Any) -> None:
    """Says that `layer` drops the mask of its input, once a layer; an error under the strict setting."""
    made = source.node.name if type(source) is Tensor else "its input"
    text = (f"Layer {layer.name!r} ({type(layer).__name__}) received an input with a mask (from {made!r}), does not take masks, and drops it, "
            "as Keras does: layers behind it see padded steps as data. Move it before the masking layer, use a layer that supports masking, or set "
            f"supports_masking = True on {layer.name!r} if it treats each step alone.")
    if settings.strict_masks:
        raise UnsupportedError(text)
    warnings.warn(text, MaskDroppedWarning, stacklevel=2)
