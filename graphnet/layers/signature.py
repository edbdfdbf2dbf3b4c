"""What a layer's `call` takes, and the names that layers get by themselves."""
import functools
import inspect
import re
from typing import Any, NamedTuple


class Signature(NamedTuple):
    """What `call` takes: names of its arguments, and whether training and masks are among them."""

    names: tuple[str, ...]
    training: bool
    masks: tuple[str, ...]  # arguments named mask or <argument>_mask
    any_keyword: bool


@functools.cache
def signature_of(function: Any) -> Signature:
    parameters = dict(list(inspect.signature(function).parameters.items())[1:])  # without self, whatever its name
    names = tuple(n for n, p in parameters.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
    masks = tuple(n for n in names if n == "mask" or n.endswith("_mask"))
    return Signature(names, "training" in names, masks, any(p.kind is p.VAR_KEYWORD for p in parameters.values()))


def snake_case(name: str) -> str:
    """Keras's automatic names: Conv2DTranspose -> conv2d_transpose, LSTM -> lstm."""
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()
